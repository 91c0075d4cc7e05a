"""The transforms that a mapping may use as filters: `{{ data.completed | epoch }}`; this table is the whole list."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, TypeVar

from jinja2 import Undefined

from bridge.core import dates
from bridge.core.choosing import default, find, first_of, lookup
from bridge.core.domains import small_letters
from bridge.core.doubts import about_name
from bridge.core.text import MAX_TEXT, as_text, nfc, one_line, shown

_T = TypeVar("_T")


@dataclass(frozen=True)
class Transform:
    """One transform: what it does in a line, and an example."""

    name: str
    function: Callable[..., object]
    help: str
    example: str
    takes_missing: bool = False
    """It gets missing values too, instead of the event being held."""


# -- dates -----------------------------------------------------------------------------------------


def iso(value: object, zone: str | None = None) -> datetime | date:
    """Reads an ISO 8601 time or date; `zone` for times without offset. Raises ValueError."""
    return value if isinstance(value, date) else _named(value, lambda: dates.read_iso(as_text(value), zone))


def epoch(value: object) -> datetime:
    """Reads seconds since 1970. Raises ValueError."""
    return _named(value, lambda: dates.read_epoch(value))


def epoch_ms(value: object) -> datetime:
    """Reads milliseconds since 1970. Raises ValueError."""
    return _named(value, lambda: dates.read_epoch(value, per_second=1000))


def local(value: object, pattern: str, zone: str) -> datetime:
    """Reads a local time by a strptime pattern. Raises ValueError."""
    return _named(value, lambda: dates.read_local(as_text(value), pattern, zone))


def date_only(value: object, zone: str | None = None) -> date:
    """Drops the time: as written, or as a calendar in `zone` shows it. Raises ValueError."""
    if isinstance(value, str):
        if zone is None:
            value = value.strip()[:10]
        value = iso(value, zone)
    if not isinstance(value, date):
        raise ValueError(f"{shown(value)}: it is not a date.")
    if not isinstance(value, datetime):
        return value
    return dates.civil(value, zone) if zone else value.date()


def sheet_date(value: object, order: str | None = None) -> date:
    """Reads the date in a cell of a table; `order` is dmy, mdy or ymd, else what leaves no doubt. Raises ValueError."""
    return _named(value, lambda: dates.read_sheet(as_text(value), order))


def to_epoch(value: object) -> int:
    """Writes a time as whole seconds since 1970. Raises ValueError."""
    return int(_instant(value).timestamp())


def to_epoch_ms(value: object) -> int:
    """Writes a time as milliseconds since 1970. Raises ValueError."""
    return int(_instant(value).timestamp()) * 1000 + _instant(value).microsecond // 1000


def to_iso(value: object) -> str:
    """Writes a time as 2026-01-31T08:00:00Z, a date as 2026-01-31. Raises ValueError."""
    found = iso(value)
    if not isinstance(found, datetime):
        return found.isoformat()
    return dates.instant(found).isoformat(timespec="seconds").replace("+00:00", "Z")


def to_local(value: object, pattern: str, zone: str = "UTC") -> str:
    """Writes a time as clocks in `zone` show it, by a strftime pattern. Raises ValueError."""
    found = iso(value)
    local = found.astimezone(dates.zone(zone)) if isinstance(found, datetime) else found
    return local.strftime(pattern)


def _instant(value: object) -> datetime:
    found = iso(value)
    if not isinstance(found, datetime):
        raise ValueError(f"{shown(value)}: it is a date without a time.")
    return found


# -- text ------------------------------------------------------------------------------------------

_SMALL: Final = frozenset(
    "af al and bin binti da das de del della den der des di dos du e el ibn la le ten ter van von y zu".split()  # noqa: SIM905
)


def name_case(value: object) -> str:
    """Writes an all-capitals or all-lower-case name as names are written; leaves every other text alone.

    What stands for a missing name, or is damaged, is left as it came: `#N/A` and `JOSÃ‰` cannot be told any more in
    other letters.
    """
    if about_name(as_text(value)):
        return as_text(value)
    text = one_line(as_text(value))
    if not (text.isupper() or text.islower()):
        return text
    words = text.lower().split(" ")
    return " ".join(word if at and word in _SMALL else _capital(word) for at, word in enumerate(words))


def _capital(word: str) -> str:
    parts = re.split(r"(['’-])", word)
    word = "".join(part[:1].upper() + part[1:] for part in parts)
    return re.sub(r"^Mc(\w)(?=\w)", lambda match: "Mc" + match[1].upper(), word)


_TAG: Final = re.compile(r"</?([A-Za-z][A-Za-z0-9:-]{0,40})(?![A-Za-z0-9:-])[^<>]*+>|<[!?][^<>]*+>")
_INLINE: Final = frozenset({"a", "b", "em", "font", "i", "small", "span", "strong", "sub", "sup", "u"})
_HIDDEN: Final = {"script": re.compile("</script[^<>]*+>", re.I), "style": re.compile("</style[^<>]*+>", re.I)}


def strip_html(value: object) -> str:
    """Removes tags, comments and scripts, and resolves entities; a tag that separates lines becomes a space.

    What it gives is text, not safe markup: whoever prints it escapes it.
    """
    # By hand, because Python's own parser takes seconds for a text of nothing but "<a ".
    text = as_text(value)
    parts: list[str] = []
    at = 0
    while (start := text.find("<", at)) >= 0:
        parts.append(text[at:start])
        at, piece = _markup(text, start)
        parts.append(piece)
    parts.append(text[at:])
    return " ".join(_resolved("".join(parts)).split())


def _markup(text: str, start: int) -> tuple[int, str]:
    """Returns where the markup at `start` ends, and the text that stands for it."""
    if text.startswith("<!--", start):
        end = text.find("-->", start)
        return (len(text) if end < 0 else end + 3), ""
    tag = _TAG.match(text, start)
    if tag is None:
        return start + 1, "<"
    name = (tag[1] or "").lower()
    if name in _HIDDEN and text[start + 1] != "/":
        closing = _HIDDEN[name].search(text, tag.end())
        return (closing.end() if closing else len(text)), " "
    return tag.end(), "" if name in _INLINE else " "


def unescape(value: object) -> str:
    """Turns `&amp;` into `&`, once."""
    return _resolved(as_text(value))


_LONG_NUMBER: Final = re.compile(r"&#[0-9]{20,}+;?")


def _resolved(text: str) -> str:
    """Resolves entities; a number that no character has, and that Python would not even read, is a replacement."""
    return html.unescape(_LONG_NUMBER.sub("\ufffd", text))


_SPAN: Final = re.compile(r"<span\b([^<>]{0,200})>([^<]{0,2000})</span>", re.IGNORECASE)
_SPAN_LANG: Final = re.compile(r"""\blang\s*=\s*["']?([A-Za-z0-9_-]{1,20})""", re.IGNORECASE)
# The words end where the next sign of this kind stands, so that a text of nothing but openings costs one pass.
_MLANG: Final = re.compile(
    r"\{mlang\s++([A-Za-z0-9_,-][A-Za-z0-9_, -]{0,99})\}((?:[^{]++|\{(?!mlang))*+)\{mlang\}", re.IGNORECASE
)


def multilang(value: object, locale: str = "") -> str:
    """Picks one language from `<span lang="en" class="multilang">` or `{mlang en}` texts.

    The order is that of `pick`. Neighbouring texts form one group; text around a group stays.
    """
    return _one_language(_one_language(as_text(value), _MLANG, _mlang, locale), _SPAN, _span, locale)


def _mlang(match: re.Match[str]) -> tuple[list[str], str] | None:
    return [code.strip() for code in match[1].split(",")], match[2]


def _span(match: re.Match[str]) -> tuple[list[str], str] | None:
    language = _SPAN_LANG.search(match[1])
    return ([language[1]], match[2]) if language and "multilang" in match[1].lower() else None


def _one_language(
    text: str,
    pattern: re.Pattern[str],
    read: Callable[[re.Match[str]], tuple[list[str], str] | None],
    locale: str,
) -> str:
    result, end = "", 0
    group: dict[str, str] = {}
    for match in pattern.finditer(text):
        found = read(match)
        if found is None:
            continue
        between = text[end : match.start()]
        if group and between.strip():
            result += pick(group, locale)
            group = {}
        if not group:
            result += between
        for code in found[0]:
            group.setdefault(code, found[1])
        end = match.end()
    return result + (pick(group, locale) if group else "") + text[end:]


def pick(value: object, locale: str = "") -> str:
    """Picks one language from a section such as `{en: Fire Safety, de: Brandschutz}`.

    In this order: the locale, its language, another region of it, `other`, English, the first. Raises ValueError.
    """
    if not isinstance(value, dict) or not value:
        raise ValueError(f"{shown(value)}: it is not a section with one entry per language.")
    wanted = _code(locale)
    codes = {_code(key): key for key in reversed(value) if isinstance(key, str) and value[key] is not None}
    relatives = [code for code in codes if code.split("-")[0] == wanted.split("-")[0]]
    for code in (wanted, wanted.split("-")[0], *reversed(relatives), "other", "en"):
        if code in codes:
            return as_text(value[codes[code]])
    return as_text(next(entry for entry in (*value.values(), "") if entry is not None))


def _code(language: str) -> str:
    return language.strip().lower().replace("_", "-")


# -- names, numbers, lists, small things ---------------------------------------------------------


def split_name(value: object) -> dict[str, str]:
    """Splits "Maria da Silva" or "da Silva, Maria" into `first` and `last`."""
    text = one_line(as_text(value))
    if "," in text:
        last, _, first = text.partition(",")
    else:
        first, _, last = text.partition(" ")
    return {"first": first.strip(), "last": last.strip()}


def number(value: object, decimal: str = ".") -> int | Decimal:
    """Reads "87,5", "1 234.50" or "80 %" as a number; `decimal` is its decimal sign. Raises ValueError."""
    if decimal not in {".", ","}:
        raise ValueError("the decimal sign of number is '.' or ','.")
    text = re.sub(r"[\s  ']", "", as_text(value)).removesuffix("%")
    grouping = "," if decimal == "." else "."
    if re.fullmatch(rf"[+-]?\d{{1,3}}(\{grouping}\d{{3}})+(\{decimal}\d+)?", text):
        text = text.replace(grouping, "")
    if not re.fullmatch(rf"[+-]?\d{{1,18}}(\{decimal}\d{{1,18}})?", text):
        raise ValueError(f"{shown(value)}: it is not a number.")
    return _plain(Decimal(text.replace(decimal, ".")))


def rounded(value: object, places: int = 0) -> int | Decimal:
    """Rounds half up to so many decimal places. Raises ValueError."""
    if not isinstance(places, int) or not 0 <= places <= 9:
        raise ValueError("round takes 0 to 9 decimal places.")
    exact = Decimal(number(as_text(value)))
    return _plain(exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def _plain(value: Decimal) -> int | Decimal:
    return int(value) if value == value.to_integral_value() else value


_TRUE: Final = frozenset(  # the second line: as Excel writes it in other languages
    "1 true yes y x ja j oui o si sí sim s on present attended passed ✓ ✔ ✅ ☑ "  # noqa: SIM905
    "wahr vrai vero verdadero verdadeiro waar prawda".split()
)
_VARIANT: Final = re.compile("[\ufe0e\ufe0f]")  # a sign as text, or as a picture


def truth(value: object) -> bool:
    """Reads yes, y, 1, x, true, ja, oui, sí or ✓ as true, everything else as false."""
    return value is True or nfc(_VARIANT.sub("", as_text(value))).strip().casefold() in _TRUE


def join(value: object, separator: str = ", ") -> str:
    """Joins a list to a text. Raises ValueError."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{shown(value)}: it is not a list.")
    # A value that is not there says so itself when it is made a text.
    texts = [str(item) if isinstance(item, Undefined) else as_text(item) for item in value]
    if sum(map(len, texts)) + len(texts) * len(separator) > MAX_TEXT:
        raise ValueError(f"the joined list has more than {MAX_TEXT:,} characters.")
    return separator.join(texts)


def replace(value: object, old: str, new: str = "") -> str:
    """Replaces every `old` by `new`. Raises ValueError."""
    text = as_text(value)
    if not old:
        raise ValueError("replace needs the text to be replaced.")
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise ValueError(f"the text has more than {MAX_TEXT:,} characters after replace.")
    return text.replace(old, new)


def upper(value: object) -> str:
    """Writes a text in capitals."""
    return as_text(value).upper()


def lower(value: object) -> str:
    """Writes a text in small letters; in an address each by itself, since ς at the end would be another domain."""
    text = as_text(value)
    return small_letters(text) if "@" in text else text.lower()


def trim(value: object) -> str:
    """Removes spaces at both ends."""
    return as_text(value).strip()


def _named(value: object, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except ValueError as failure:
        raise ValueError(f"{shown(value)}: {failure}") from None


_LIST: Final = (
    Transform("iso", iso, "ISO 8601 date or time; zone= for times without offset", "{{ data.ended | iso }}"),
    Transform("epoch", epoch, "seconds since 1970, whole or not", "{{ data.ended | epoch }}"),
    Transform("epoch_ms", epoch_ms, "milliseconds since 1970", "{{ data.ended | epoch_ms }}"),
    Transform(
        "local",
        local,
        "a local time: its form (%d day, %m month, %Y year, %H hour, %M minute) and its zone",
        "{{ data.ended | local('%d/%m/%Y %H:%M', 'Europe/Lisbon') }}",
    ),
    Transform("date_only", date_only, "drops the time; zone= converts first", "{{ data.ended | date_only }}"),
    Transform(
        "sheet_date",
        sheet_date,
        "a date in a table: ISO, 31.01.2026, Excel's number; 05/06/2026 needs an order (dmy, mdy)",
        "{{ data.row.date | sheet_date('dmy') }}",
    ),
    Transform("to_epoch", to_epoch, "writes seconds since 1970", "{{ data.ended | to_epoch }}"),
    Transform("to_epoch_ms", to_epoch_ms, "writes milliseconds since 1970", "{{ data.ended | to_epoch_ms }}"),
    Transform("to_iso", to_iso, "writes 2026-01-31T08:00:00Z", "{{ data.ended | to_iso }}"),
    Transform(
        "to_local",
        to_local,
        "writes a time in a form and zone",
        "{{ data.ended | to_local('%d/%m/%Y', 'Europe/Lisbon') }}",
    ),
    Transform("name_case", name_case, "MARIA DA SILVA to Maria da Silva", "{{ data.name | name_case }}"),
    Transform("strip_html", strip_html, "removes tags, resolves entities", "{{ data.title | strip_html }}"),
    Transform("unescape", unescape, "&amp; to &", "{{ data.title | unescape }}"),
    Transform("multilang", multilang, "one language of a multi-language text", "{{ data.title | multilang(locale) }}"),
    Transform("pick", pick, "one language of a section {en: ..., de: ...}", "{{ data.titles | pick(locale) }}"),
    Transform("first_of", first_of, "the first that is not blank", "{{ data.a | first_of(data.b) }}", True),
    Transform("default", default, "another value when it is missing", "{{ data.a | default('none') }}", True),
    Transform("split_name", split_name, "first and last name", "{{ (data.name | split_name).first }}"),
    Transform("lookup", lookup, "a value from a table", "{{ data.level | lookup({'1': 'Basic'}, default='Other') }}"),
    Transform(
        "find", find, "the entry of a list by one of its items", "{{ (data.fields | find('name', 'Team')).value }}"
    ),
    Transform("number", number, 'a number from "87,5" or "80 %"', "{{ data.grade | number(',') }}"),
    Transform("truth", truth, "yes, y, 1, x, ja, oui, ✓ to true", "{{ data.row.attended | truth }}"),
    Transform("round", rounded, "rounds half up", "{{ data.grade | round(1) }}"),
    Transform("join", join, "a list as text", "{{ data.tags | join(', ') }}"),
    Transform("replace", replace, "replaces a part of a text", "{{ data.title | replace('Copy of ', '') }}"),
    Transform("upper", upper, "capitals", "{{ data.country | upper }}"),
    Transform("lower", lower, "small letters", "{{ data.code | lower }}"),
    Transform("trim", trim, "no spaces at the ends", "{{ data.code | trim }}"),
)

TRANSFORMS: Final[Mapping[str, Transform]] = {transform.name: transform for transform in _LIST}
