"""Compares an answer of a stand-in with one captured from the real system: the same keys, the same types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "captures"


def capture(name: str) -> dict[str, Any]:
    """Returns one captured exchange."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def differences(real: Any, ours: Any, path: str = "") -> list[str]:
    """Returns where keys or types differ; lists are compared entry by entry as far as both go."""
    if isinstance(real, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} is missing" for key in real.keys() - ours.keys()]
        found += [f"{path}.{key} is not in the real answer" for key in ours.keys() - real.keys()]
        for key in real.keys() & ours.keys():
            found += differences(real[key], ours[key], f"{path}.{key}")
        return found
    if isinstance(real, list) and isinstance(ours, list):
        if bool(real) != bool(ours):
            return [f"{path} is empty in one of the two"]
        pairs = enumerate(zip(real, ours, strict=False))
        return [line for number, pair in pairs for line in differences(*pair, f"{path}[{number}]")]
    numbers = isinstance(real, int | float) and isinstance(ours, int | float) and type(real) is not bool
    if type(real) is not type(ours) and not (numbers and type(ours) is not bool):
        return [f"{path} is {type(real).__name__} in the real answer, {type(ours).__name__} here"]
    return []
