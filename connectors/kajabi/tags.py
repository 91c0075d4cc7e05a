"""The tags that stand for completed courses, and those that mark a certificate as issued; by id or by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.core.answers import digits, line, section
from bridge.core.connector import CourseFound
from bridge.core.errors import PermanentError
from connectors.kajabi.rest import Rest

Wanted = Mapping[str, str | None]
"""The setting `tags`: tag of a completed course -> tag that marks its certificate as issued, if any."""

_COMPLETED: Final = re.compile(r"^\s*completed:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CourseTag:
    """A tag of a completed course, as Kajabi knows it."""

    id: str
    name: str | None
    issued: str | None
    """Id of the tag that marks its certificate as issued."""


def configured(tags: Wanted, number: str | None, name: str | None) -> str | None:
    """Returns how the settings name this tag; None where they do not."""
    for wanted in tags:
        if wanted == number or (name is not None and not digits(wanted) and _same(wanted, name)):
            return wanted
    return None


def found(rest: Rest) -> list[CourseFound]:
    """Returns the tags of the site. Raises PermanentError, TemporaryError."""
    rows = rest.rows("/contact_tags")
    names = [(digits(row.get("id")), line(section(row.get("attributes")).get("name"))) for row in rows]
    return [CourseFound(number, name or "?") for number, name in names if number is not None]


def listed(rest: Rest, tags: Wanted) -> Iterator[CourseFound]:
    """Yields the tags; one of a course is titled as the course is, because these lines are copied into mappings.

    Raises PermanentError, TemporaryError.
    """
    known = found(rest)
    if not known:
        raise no_tags(rest)
    for tag in known:
        of_course = configured(tags, tag.id, tag.title) is not None
        title = _COMPLETED.sub("", tag.title) or tag.title
        yield CourseFound(tag.id, title) if of_course else tag


def course_tags(tags: Wanted, known: list[CourseFound]) -> tuple[list[CourseTag], list[str]]:
    """Returns the tags of the settings that Kajabi has, and what the settings name that it has not."""
    ready, missing = [], []
    for wanted, marker in tags.items():
        tag, issued = _find(wanted, known), _find(marker, known) if marker else None
        missing += [*([] if tag else [wanted]), *([marker] if marker and not issued else [])]
        if tag is not None:
            ready.append(CourseTag(tag.id, tag.title, issued.id if issued else None))
    return ready, missing


def tag_id(wanted: str, rest: Rest) -> str:
    """Returns the id of a tag that the settings name. Raises PermanentError where the site has none of this name."""
    if digits(wanted):
        return wanted
    tag = _find(wanted, found(rest))
    if tag is None:
        raise no_tag([wanted])
    return tag.id


def no_tag(missing: list[str]) -> PermanentError:
    """Returns the error for tags that the site does not have."""
    named = ", ".join(repr(name[:60]) for name in missing)
    return PermanentError(
        f"Kajabi has no tag {named} on this site: renamed, archived, deleted or misspelt. Kajabi's API cannot "
        "create tags: create it there, or correct `tags` (`certbridge sources courses` lists them; an id survives "
        "renaming).",
        code="tag_missing",
    )


def no_tags(rest: Rest) -> PermanentError:
    """Returns the error for a site without any tag, which is most often another site. Raises TemporaryError."""
    try:
        rows = [
            (digits(row.get("id")), line(section(row.get("attributes")).get("title"))) for row in rest.rows("/sites")
        ]
    except PermanentError:
        rows = []  # a key that may not list sites: then the advice alone has to do
    seen = ", ".join(f"{number} ({(title or '?')[:60]})" for number, title in rows[:10])
    sites = f" The sites that this key sees: {seen}." if seen else ""
    return PermanentError(
        f"Kajabi shows no tag on site {rest.site}. Usual cause: `site_id` is that of another site; it is the number in "
        f"the address of the admin pages.{sites}",
        code="no_tags",
    )


def _find(wanted: str, known: list[CourseFound]) -> CourseFound | None:
    if digits(wanted):
        return next((tag for tag in known if tag.id == wanted), None)
    return next((tag for tag in known if _same(tag.title, wanted)), None)


def _same(name: str, other: str) -> bool:
    return name.strip().casefold() == other.strip().casefold()
