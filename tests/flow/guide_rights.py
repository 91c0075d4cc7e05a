"""Which rights a guide names, read from its tables, so that the tests run with exactly these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_GUIDES = Path(__file__).parents[2] / "docs" / "connect"
PERMISSION_SET = _GUIDES / "salesforce-package" / "permissionsets" / "certbridge.permissionset"


def rows(guide: str, *heads: str) -> Iterator[list[str]]:
    """Yields the cells of each row of the tables of a guide that have these columns."""
    inside = False
    for line in (_GUIDES / f"{guide}.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            inside = False
        elif cells == list(heads):
            inside = True
        elif inside and not cells[0].startswith("---"):
            yield cells


def table(guide: str, head: str) -> dict[str, list[str]]:
    """Returns, of every table of a guide with the columns "for" and `head`, the names in it by what they are for."""
    return {what: _names(names) for what, names in rows(guide, "for", head)}


def needed(guide: str, head: str) -> dict[str, str]:
    """Returns what each right is for, of the table that also says what happens without it."""
    return {name: what for names, what, _ in rows(guide, head, "what for", "without it") for name in _names(names)}


def _names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def of_the_role() -> set[str]:
    """Returns the capabilities that the role for Moodle allows."""
    role = ElementTree.parse(_GUIDES / "moodle-role.xml").getroot()
    return {str(entry.text) for entry in role.iter("allow")}
