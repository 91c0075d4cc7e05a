"""What every command starts from: the configuration, the bridge behind it, and who is asking."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.core.wording import suggestion

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.output import Page
    from bridge.config import Config


class Session:
    """One run of the command; nothing is read before a command asks for it."""

    def __init__(self, option: Path | None) -> None:
        self._option = option

    @cached_property
    def path(self) -> Path:
        """The configuration file. Raises ConfigError with advice when there is none."""
        from bridge.app import find_config

        return find_config(self._option, os.environ)

    @cached_property
    def config(self) -> Config:
        """The configuration. Raises ConfigError with every problem."""
        from bridge.app import read_config

        return read_config(self.path, os.environ)

    @contextmanager
    def bridge(self) -> Iterator[Bridge]:
        """Opens the bridge beside a running daemon, or alone; log lines below errors stay out of the way."""
        from bridge.app import open_bridge
        from bridge.observe import configure_logging

        configure_logging(level="error", form="text")
        with open_bridge(self.config, role="command") as bridge:
            configure_logging(level="error", form="text", redactor=bridge.redactor)
            yield bridge

    def source(self, name: str) -> str:
        """Returns the name of a configured source. Raises a usage error that lists the names."""
        known = sorted(self.config.sources)
        if name in known:
            return name
        listed = f"Configured: {', '.join(known)}." if known else f"{self.path} names no source yet."
        raise click.UsageError(f"There is no source {name!r}{suggestion(name, known) or '.'} {listed}")

    def page(self) -> Page:
        """Returns standard output for people, on the issuer's clock."""
        from bridge.cli.output import Page

        return Page(zone=self.config.issuer.zone)


pass_session = click.make_pass_decorator(Session)


def actor() -> str:
    """Returns who does this, for the history: the name of the operating system's user."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):
        # In a container the process may run under a number that has no name.
        return f"cli:uid {os.getuid()}"
