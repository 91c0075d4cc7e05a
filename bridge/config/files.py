"""Replaces a file in one step: whole at every moment, in the hands of its owner, a link still a link."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, like: Path | None = None, most: int = 0o777) -> None:
    """Writes a file with owner and mode of `like` (default: of the file before), but at most mode `most`.

    A new file is for its owner alone. Raises OSError, and then nothing has changed.
    """
    target = path.resolve()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _as_before(file.fileno(), (like or path).resolve(), most)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _as_before(descriptor: int, like: Path, most: int) -> None:
    try:
        before = like.stat()
    except FileNotFoundError:
        return
    # An admin writes as root what the daemon reads as somebody else.
    with suppress(PermissionError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, before.st_mode & most | 0o600)
