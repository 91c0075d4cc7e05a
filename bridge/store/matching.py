"""Finding text that people type, in any case, with the same result on both databases."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, and_, or_, type_coerce

from bridge.store.types import clean

WORDS: Final = 8
LENGTH: Final = 200


def matches(
    text: str, columns: Sequence[ColumnElement[Any]], *, json_columns: Sequence[ColumnElement[Any]] = ()
) -> ColumnElement[bool]:
    """Matches rows in which every word of `text` stands in one of the columns.

    Databases disagree about the case of letters beyond ASCII (SQLite knows none of it, PostgreSQL asks the locale),
    so each word is looked for as typed, in lower case, in capitals and as a title.
    """
    words = clean(text)[:LENGTH].split()[:WORDS]
    return and_(True, *(_word(word, columns, json_columns) for word in words))


def _word(
    word: str, columns: Sequence[ColumnElement[Any]], json_columns: Sequence[ColumnElement[Any]]
) -> ColumnElement[bool]:
    plain = [pattern(form) for form in _forms(word)]
    escaped = [pattern(json.dumps(form, ensure_ascii=False)[1:-1]) for form in _forms(word)]
    return or_(
        *(type_coerce(column, Text).ilike(like, escape="\\") for column in columns for like in plain),
        *(type_coerce(column, Text).ilike(like, escape="\\") for column in json_columns for like in escaped),
    )


def _forms(word: str) -> list[str]:
    """Returns the spellings to look for; ILIKE itself covers the case of ASCII."""
    cases = [word] if word.isascii() else [word, word.lower(), word.upper(), word.title()]
    forms = (unicodedata.normalize(form, case) for case in cases for form in ("NFC", "NFD"))
    return list(dict.fromkeys(forms))


def pattern(text: str) -> str:
    """Returns a LIKE pattern that finds `text` literally anywhere."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
