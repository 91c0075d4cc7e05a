"""Which rights a guide names, read from its tables, so that the tests run with exactly these."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

_GUIDES = Path(__file__).parents[2] / "docs" / "connect"


def table(guide: str, *heads: str) -> dict[str, list[str]]:
    """Returns, of every table of a guide with these columns, the names in the second column by the words in the first.

    With one head the first column is called "for".
    """
    wanted = ["for", *heads] if len(heads) == 1 else list(heads)
    found: dict[str, list[str]] = {}
    inside = False
    for line in (_GUIDES / f"{guide}.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            inside = False
        elif cells == wanted:
            inside = True
        elif inside and not cells[0].startswith("---"):
            found[cells[0]] = re.findall(r"`([^`]+)`", cells[1])
    return found


def of_the_role() -> set[str]:
    """Returns the capabilities that the role for Moodle allows."""
    role = ElementTree.parse(_GUIDES / "moodle-role.xml").getroot()
    return {str(entry.text) for entry in role.iter("allow")}
