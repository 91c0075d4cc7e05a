"""A mapping with everything it extends, as one self-contained value that can be hashed, stored and read back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from bridge.core import document
from bridge.core.document import Document
from bridge.core.errors import MappingError, Problem

_MOST_LAYERS: Final = 5
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class MappingBundle:
    """Files of one mapping as (file name, text): the admin's first, then the ones it extends, nearest first."""

    files: tuple[tuple[str, str], ...]

    @cached_property
    def sha256(self) -> str:
        """The hash of the packed bundle, in hex."""
        return hashlib.sha256(self.pack()).hexdigest()

    def pack(self) -> bytes:
        """Returns the bundle as bytes; equal bundles give equal bytes."""
        return json.dumps(self.files, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    @classmethod
    def unpack(cls, packed: bytes) -> MappingBundle:
        """Reads what `pack` wrote. Raises MappingError."""
        try:
            found = json.loads(packed)
            return cls(tuple((str(name), str(text)) for name, text in found))
        except (ValueError, TypeError):
            raise MappingError("This is not a stored mapping.") from None


def gather(name: str, text: str, shipped: Callable[[str], str | None], *, wanted: str | None = None) -> MappingBundle:
    """Collects a mapping and the shipped ones it extends. Raises MappingError.

    `shipped` returns the text of a shipped mapping by its name, or None; `wanted` is the one that would be right.
    """
    files = [(name, text)]
    seen: list[str] = []
    while True:
        layer = document.read(files[-1][1], files[-1][0], error=MappingError)
        base = layer.at(["extends"])
        if base is None:
            return MappingBundle(tuple(files))
        if not isinstance(base, str) or not _NAME.fullmatch(base):
            raise _refused(layer, "Write the name of one shipped mapping after extends.")
        found = shipped(base)
        if found is None:
            advice = f" Write extends: {wanted}." if wanted and shipped(wanted) is not None else ""
            raise _refused(layer, f'There is no shipped mapping "{base}".{advice}')
        if base in seen or len(files) >= _MOST_LAYERS:
            raise _refused(layer, f'"{base}" extends itself in the end, or more than {_MOST_LAYERS} files are chained.')
        seen.append(base)
        files.append((f"mappings/{base}.yaml", found))


def _refused(layer: Document, message: str) -> MappingError:
    return MappingError([Problem(layer.mark(["extends"]), message)])
