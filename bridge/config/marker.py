"""The marker beside the configuration: which databases belong to it, so that a vanished one is not a first start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.config.files import replace_file
from bridge.core.errors import ConfigError

ENDING: Final = ".installation"
"""Takes the place of `.yaml` in the name of the configuration."""

_HEAD: Final = """\
# Written by certbridge: which database belongs to this configuration. Because of it a data folder that vanished, or a
# disk that is not mounted, is not taken for a first start. It is no secret. Delete it only to begin anew, without any
# of the certificates so far; do not copy it to another installation.
"""


@dataclass(frozen=True, slots=True)
class Marker:
    """The file; it lies outside of what may vanish with the database."""

    path: Path

    @classmethod
    def beside(cls, config: Path) -> Marker:
        """Returns the marker of a configuration file."""
        return cls(config.with_suffix(ENDING))

    def known(self) -> Mapping[str, str]:
        """Returns the identity of the database at each known place; none before the first start. Raises ConfigError."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}. It says which database belongs here.") from error
        lines = [line.strip() for line in text.splitlines()]
        pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
        return {place.strip(): identity for identity, _, place in pairs}

    def remember(self, place: str, identity: str) -> None:
        """Writes down that this database belongs here. Raises OSError where the folder may not be written."""
        known = {**self.known(), place: identity}
        lines = "".join(f"{one} {where}\n" for where, one in known.items())
        replace_file(self.path, (_HEAD + lines).encode(), like=self.path.with_suffix(".yaml"))
