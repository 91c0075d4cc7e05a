"""`certbridge demo`: the whole loop on this machine; the work is done by bridge.demo."""

from __future__ import annotations
