"""Changing a secret without a gap: the old one is kept beside the new one's file and accepted for seven days."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from bridge.config.files import replace_file
from bridge.core.errors import ConfigError

KEPT: Final = ".previous"
"""Ends the name of the file with the secret before."""
BEFORE: Final = "previous_"
"""Begins the name of the setting that accepts the secret before."""
READERS: Final = 0o640
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

    Each file is whole at every moment, and readable by nobody whom its owner did not let in.
    """
    try:
        old = file.read_bytes() if file.exists() else None
        if old is not None:
            replace_file(file.with_name(file.name + KEPT), old, like=file, most=READERS)
        replace_file(file, new.encode() + b"\n", most=READERS)
    except OSError as error:
        raise ConfigError(
            f"{error.filename} cannot be written ({error.strerror}); the secret was not changed."
        ) from error
