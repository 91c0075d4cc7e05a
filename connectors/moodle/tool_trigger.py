"""Reads what a workflow of tool_trigger posts: a form or JSON whose field names an admin typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.core.errors import PayloadError
from bridge.core.payload import read_form, read_object

# What we need -> the names under which it may come. Ours first; the others are what people choose.
_NAMES: Final = {
    "eventname": ("eventname", "event"),
    "objectid": ("objectid", "completion_id"),
    "relateduserid": ("relateduserid", "learner_id"),
    "courseid": ("courseid", "course_id"),
    "timecreated": ("timecreated", "time"),
}
TEMPLATE: Final = "&".join(f"{name}={{{name}}}" for name in _NAMES)
"""The params of the HTTP step that our guide recommends: ids only, which nothing can corrupt."""
_PLACEHOLDER: Final = re.compile(r"\{[A-Za-z]\w*\}")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_ADVICE_CUT: Final = (
    "Values with & or + arrive cut, because the workflow encodes as JSON. Names are taken from Moodle's API instead. "
    f"In the workflow's HTTP step switch JSON encoding off, or send ids only: {TEMPLATE}"
)


def fields(body: bytes) -> dict[str, object]:
    """Returns the body's fields, ours under our names, and under `advice` what the admin should change in the workflow.

    Raises PayloadError, with what to change, where the ids themselves did not arrive.
    """
    encoded = body.lstrip().startswith((b"{", b"["))
    found: dict[str, object] = read_object(body) if encoded else {**read_form(body)}
    ours = {name: _first(found, names) for name, names in _NAMES.items()}
    for name, value in ours.items():
        if isinstance(value, str) and _PLACEHOLDER.fullmatch(value.strip()):
            raise PayloadError(
                f"tool_trigger sent {value[:60]} as it stands in the workflow, so no step before it provides {name}. "
                f"In the workflow's HTTP step set the params to: {TEMPLATE}"
            )
    if ours["eventname"] is None:
        raise PayloadError(f"The body names no event. In the workflow's HTTP step set the params to: {TEMPLATE}")
    return {**found, **ours, "advice": _advice(found, encoded=encoded)}


def _first(found: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((found[name] for name in names if found.get(name) not in (None, "")), None)


def _advice(found: Mapping[str, object], *, encoded: bool) -> str | None:
    unknown = [name for name, value in found.items() if isinstance(value, str) and _PLACEHOLDER.fullmatch(value)]
    parts = []
    if encoded and any(_looks_cut(name, value) for name, value in found.items()):
        parts.append(_ADVICE_CUT)
    if unknown:
        parts.append(f"No step of the workflow provides what {', '.join(sorted(unknown)[:5])} should hold: remove it.")
    return " ".join(parts) or None


def _looks_cut(name: str, value: object) -> bool:
    # "O'Brien & Sons" becomes the value "O'Brien " and a stray field "Sons".
    return not _NAME.fullmatch(name) or (isinstance(value, str) and value != value.strip())
