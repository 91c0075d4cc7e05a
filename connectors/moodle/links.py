"""Finds the number of a learner or course in a link to one of Moodle's own pages."""

from __future__ import annotations

import re
from typing import Final

COURSE: Final = "/course/view.php"
LEARNER: Final = ("/user/profile.php", "/user/view.php")
_QUERY: Final = re.compile(r"\?([^\"'#]*+)")
_ID: Final = re.compile(r"(?:^|[&;])id=(\d{1,18})(?!\d)", re.ASCII)


def number_in(text: str, *pages: str) -> int | None:
    """Returns the parameter `id` of the first link to one of these pages; None where there is none.

    A link in HTML may have its parts joined by `&amp;`.
    """
    # From one link to the next, so that a text of nothing but half a link costs one pass.
    for page in pages:
        at = text.find(page)
        while at >= 0:
            query = _QUERY.match(text, at + len(page))
            found = _ID.findall(query[1]) if query else []
            if found:
                return int(found[-1])
            at = text.find(page, query.end() if query else at + 1)
    return None
