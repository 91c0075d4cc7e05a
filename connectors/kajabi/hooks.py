"""Registers our webhook at Kajabi, one for each tag of a completed course, and says whether it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydantic import SecretStr

from bridge.core.answers import digits, line, section
from bridge.core.connector import CourseFound, Finding
from bridge.core.errors import PermanentError
from bridge.core.models import JsonObject
from connectors.kajabi.events import ADDED, site_of
from connectors.kajabi.rest import Rest
from connectors.kajabi.tags import CourseTag, Wanted, course_tags, found, no_tag

_PATH: Final = "/hooks"


def connect(rest: Rest, tags: Wanted, address: str) -> Iterator[Finding]:
    """Registers `address` for every configured tag that Kajabi has. Raises PermanentError, TemporaryError."""
    ready, missing = course_tags(tags, found(rest))
    ours = [hook for hook in _hooks(rest) if section(hook.get("attributes")).get("target_url") == address]
    for tag in ready:
        if any(_covers(hook, tag) for hook in ours):
            yield Finding("ok", f"The webhook for {_named(tag)} is there already.")
            continue
        number = _register(rest, tag, address)
        yield Finding("ok", f"Registered webhook {number} for {_named(tag)}.")
    if missing:
        yield Finding("error", str(no_tag(missing)))


def findings(rest: Rest, tags: Wanted, known: list[CourseFound], tokens: Sequence[SecretStr]) -> Iterator[Finding]:
    """Says which tag has a webhook to us, known by the token in its address. Raises PermanentError, TemporaryError."""
    hooks = [hook for hook in _hooks(rest) if _is_ours(hook, tokens)]
    for tag in course_tags(tags, known)[0]:
        if any(_covers(hook, tag) for hook in hooks):
            yield Finding("ok", f"Kajabi has a webhook for {_named(tag)}.")
        else:
            text = (
                f"Kajabi has no webhook for {_named(tag)}: only the poll finds completions. certbridge sources connect"
            )
            yield Finding("warning", f"{text} registers it.")


def _hooks(rest: Rest) -> list[JsonObject]:
    rows = rest.rows(_PATH, {"filter[event_eq]": ADDED})
    return [row for row in rows if site_of(row) in (None, rest.site)]


def _is_ours(hook: JsonObject, tokens: Sequence[SecretStr]) -> bool:
    url = str(section(hook.get("attributes")).get("target_url"))
    return any(token.get_secret_value() in url for token in tokens)


def _covers(hook: JsonObject, tag: CourseTag) -> bool:
    """Tells whether a hook is for this tag, or for all tags; the tag comes as a number or as a text.

    Raises PermanentError where Kajabi does not show for which: that is not all of them.
    """
    attributes = section(hook.get("attributes"))
    if attributes.get("event") != ADDED:
        return False
    if "resource_id" not in attributes:
        raise PermanentError(
            f"Kajabi does not show for which tag webhook {digits(hook.get('id')) or '?'} to this address is, so it "
            "cannot be told whether another one is needed. Delete it in Kajabi, then run: certbridge sources connect",
            code="not_shown",
        )
    return attributes["resource_id"] is None or digits(attributes["resource_id"]) == tag.id


def _register(rest: Rest, tag: CourseTag, address: str) -> str:
    # The schema says that the tag's id is a number, the documentation's example sends text: whichever Kajabi takes.
    try:
        answer = rest.send("POST", _PATH, _document(rest.site, int(tag.id), address))
    except PermanentError as error:
        if error.stable_code not in ("http_400", "http_422"):
            raise
        answer = rest.send("POST", _PATH, _document(rest.site, tag.id, address))
    return digits(section(answer.get("data")).get("id")) or "?"


def _document(site: str, tag: str | int, address: str) -> JsonObject:
    return {
        "type": "hooks",
        "attributes": {"target_url": address, "event": ADDED, "resource_id": tag},
        "relationships": {"site": {"data": {"type": "sites", "id": site}}},
    }


def _named(tag: CourseTag) -> str:
    return f"tag {tag.id} ({(line(tag.name) or '')[:60]!r})"
