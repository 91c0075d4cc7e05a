"""What is asked about a text before it reaches paper, until a person has answered: is it there, is it sound?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.core.damage import damage, garbled
from bridge.core.placeholders import no_name, no_title, no_value
from bridge.core.text import shown

NAME_DOUBTS: Final = ("placeholder_name", "damaged_name")
TEXT_DOUBTS: Final = ("placeholder_text", "damaged_text")
NAME_RULE: Final = "stands for a missing one, or looks damaged"
"""What holds an event without a line in any mapping."""

DOUBTS: Final = {
    "placeholder_name": "the name stands for a missing one: `null null`, `Guest User`, `kein Name`, `[Full Name]`, "
    "`{{name}}`, `#N/A`, a lone dot or hyphen",
    "damaged_name": "the name was damaged on the way: `JosÃ©`, `Jaros?aw`, `O&#039;Brien`, `Jos%C3%A9`, "
    "`Maria+Silva`, `b'Maria'`, a name in quotation marks",
    "placeholder_text": "the course title or a field is nothing but `undefined`, `null`, `#REF!` or a template's word",
    "damaged_text": "the course title was read in a wrong encoding",
}
"""The codes of these holds, with what each is for."""


@dataclass(frozen=True)
class Doubt:
    """Why a person has to look at a text; the finding is a sentence."""

    code: str
    finding: str


def about_name(name: str) -> Doubt | None:
    """Returns what speaks against printing this name (as it came, before it was tidied), or None."""
    if why := no_name(name):
        return Doubt("placeholder_name", f"The name {shown(name)} stands for a missing one: {why}.")
    why = damage(name)
    return Doubt("damaged_name", f"The name {shown(name)} looks damaged: {why}.") if why else None


def about_title(title: str) -> Doubt | None:
    """Returns what speaks against printing this title of a course, or None."""
    if no_title(title):
        said = f"The course title {shown(title)} stands for a missing one: programs write that where there is none."
        return Doubt("placeholder_text", said)
    if garbled(title):
        said = f"The course title {shown(title)} looks damaged: its letters were read in a wrong encoding (UTF-8)."
        return Doubt("damaged_text", said)
    return None


def about_field(name: str, value: str) -> Doubt | None:
    """Returns what speaks against printing the value of a field, or None."""
    if not no_value(value):
        return None
    said = f"The field {name} is {shown(value)}, which programs write where a value is missing."
    return Doubt("placeholder_text", said)


def about_word(word: str, value: str) -> Doubt | None:
    """Returns what speaks against a value that a person sets, by its word: `recipient.name`, `fields.hours`."""
    if word == "recipient.name":
        return about_name(value)
    if word == "course.title":
        return about_title(value)
    return about_field(word.removeprefix("fields."), value) if word.startswith("fields.") else None
