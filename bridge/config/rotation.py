"""Changing a secret without a gap: the old one is kept beside the new one's file and accepted for seven days."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from bridge.core.errors import ConfigError

KEPT: Final = ".previous"
"""Ends the name of the file with the secret before."""
BEFORE: Final = "previous_"
"""Begins the name of the setting that accepts the secret before."""
ACCEPTED: Final = timedelta(days=7)


def kept_beside(file: Path, *, now: float | None = None) -> Path | None:
    """Returns the file with the secret before, while that one is still accepted; its age is that of the file."""
    kept = file.with_name(file.name + KEPT)
    try:
        age = (time.time() if now is None else now) - kept.stat().st_mtime
    except OSError:
        return None
    return kept if age < ACCEPTED.total_seconds() else None


def replace_secret(file: Path, new: str) -> None:
    """Writes the new secret into its file and the present one beside it. Raises ConfigError when that fails.

    Each file is whole at every moment, and readable by its owner alone.
    """
    try:
        old = file.read_bytes() if file.exists() else None
        if old is not None:
            _write(file.with_name(file.name + KEPT), old)
        _write(file, new.encode() + b"\n")
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be written ({error.strerror}); the secret was not changed."
        ) from error


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
