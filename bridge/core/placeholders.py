"""Tells what stands where a name is missing: words of programs and forms, leftovers of templates, error cells."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from bridge.core.no_name_words import ALONE, NEVER, PHRASES, known

_NEVER: Final = known(NEVER)
_ALONE: Final = known(ALONE) | _NEVER
_PHRASES: Final = known(PHRASES, "|")
_LONGEST_PHRASE: Final = max(phrase.count(" ") for phrase in _PHRASES) + 1
_NUMBERED: Final = (
    known("guest gast invitado invité convidado ospite gość test tester testuser demo null none") | _NEVER
)
# Names in their own right (Na Li, Nan Zhang, Nil Yılmaz), so these count only where nothing else is there.
_WHOLE: Final = frozenset({"na", "nan", "nil", "nan nan", "nil nil", "nat", "n n"})
_WORD: Final = re.compile(r"[^\W_]+")
_EDGES: Final = " .,;:()\"'!-"
_NOT_AVAILABLE: Final = re.compile(r"(?<!\w)n\s?/\s?[av](?!\w)", re.IGNORECASE)
_SHORT: Final = re.compile(r"k\.\s?A\.|n\.v\.t\.|b\.d\.|n\.d\.|n\.a\.")
_ERROR: Final = re.compile(r"(?<!\S)(?:#(?=\S*[^\W\d])[^\s#]{1,24}[!?]?|Err:\d{3})(?!\S)")
_TEMPLATE: Final = re.compile(
    r"\{[^}]*\}*|\[[^\]]*\]*|[\]}]|\*?\|[^|]*\|?\*?|<no value>|<(?![/!]?[A-Za-z])[^>]*>?|\$[\w({]\w*"
    r"|%(?![0-9A-Fa-f]{2})\w*%?|@@\w*|^@\w+|#\w+#"
)
_MASHED: Final = re.compile(r"([a-z])\1{2,}")
_MACHINE_VALUE: Final = re.compile(
    r"undefined|null|nan|<no value>|\[object \w+\]|\{\{[^{}]*\}\}|\{%[^{}]*%\}|\{[\w.!$ ]+\}|\$\{[^{}]*\}|%\w+%|%[sd]"
    r"|\[\[[^\[\]]*\]\]|\*\|[^|]*\|\*|<%[^<>]*%>|@@\w+@@|#\w+#|#(?:n/?[adv]|[^\W\d][\w/]*[!?]|¡\S+|div/0!)|err:\d{3}",
    re.IGNORECASE,
)
_LONGEST: Final = 1_000


def no_name(name: str) -> str | None:
    """Says what about a name shows that it stands for a missing one, or None for a name.

    - A template's leftover anywhere (`{{name}}`, `[Full Name]`, `%NAME%`, `${name}`, `*|FNAME|*`), an error cell of a
      table (`#N/A`, `#BEZUG!`), `N/A`, a word without a letter (`Suharto .`), no letter at all.
    - A word or phrase that is in nobody's name, wherever it stands: undefined, unknown, user, not provided, kein Name.
    - Words that are no name while nothing else stands beside them: Guest, Test Test, First Last, nan. Beside a real
      name they are a name: Christopher Guest, Nan Zhang.
    - null and none, which are family names too, where they stand first, or are written as a program writes them:
      null, NULL, None. "Christopher Null" is a name, and so is "CHRISTOPHER NULL", where every word has capitals.
      nan and nil only in a program's small letters beside a word with capitals.
    """
    text = unicodedata.normalize("NFC", name[:_LONGEST]).strip()
    if not any(sign.isalpha() for sign in text):
        return "it has no letter"
    if found := _ERROR.search(text):
        return f"{found[0]} is the error of a cell in a table"
    if found := _TEMPLATE.search(text):
        return (
            f"it holds {found[0][:40]}, as templates, forms and programs have it where the name belongs; in the step "
            "that sends, choose the field from the list instead of typing it"
        )
    said = _words_for_nothing(text) or _machine_word(text.split())
    if said is not None:
        return f'"{said}" is what programs and people write where a name is missing'
    lone = next((word for word in text.split() if not any(sign.isalnum() for sign in word) and word != "&"), None)
    return None if lone is None else f'"{lone}" stands in it where a word belongs'


def no_value(text: str) -> bool:
    """Tells whether a text other than a name is nothing but what programs write where a value is missing.

    That is a program's word, an error cell or the leftover of a template; "None", "N/A" and "-" are answers.
    """
    return _MACHINE_VALUE.fullmatch(text.strip()[:_LONGEST]) is not None


def no_title(text: str) -> bool:
    """Tells the same of the title of a course, for which "None" and "N/A" are no answers either."""
    return no_value(text) or text.strip().casefold() in {"none", "nil", "n/a"}


def _words_for_nothing(text: str) -> str | None:
    if found := _NOT_AVAILABLE.search(text) or _SHORT.fullmatch(text):
        return found[0]
    words = [plain for word in _WORD.findall(text.casefold()) if (plain := word.rstrip("0123456789"))]
    joined = " ".join(words)
    if joined in _WHOLE or (joined == "na na" and not text.istitle()):
        return text
    # "Guest 17" is a guest, but "Learner 17" is how some training is told who came.
    alone = _NUMBERED if any(sign.isdigit() for sign in text) else _ALONE
    if words and all(word in alone or _MASHED.fullmatch(word) for word in words):
        return text
    never = next((word for word in words if word in _NEVER), None)
    return never or _phrase(words)


def _phrase(words: list[str]) -> str | None:
    for length in range(2, _LONGEST_PHRASE + 1):
        for at in range(len(words) - length + 1):
            if (phrase := " ".join(words[at : at + length])) in _PHRASES:
                return phrase
    return None


def _machine_word(written: list[str]) -> str | None:
    words = [word.strip(_EDGES) for word in written]
    # "Null, Christopher" has its family name first.
    if words and words[0].casefold() in {"null", "none"} and not written[0].endswith(","):
        return words[0]
    capitals = all(word.isupper() for word in words if word)
    small = all(word.islower() for word in words if word)
    spelt = {"null", "none", "None", "NaN", "NaT"}
    spelt |= set() if capitals else {"NULL", "NONE"}
    spelt |= set() if small else {"nan", "nil"}
    return next((word for word in words if word in spelt), None)
