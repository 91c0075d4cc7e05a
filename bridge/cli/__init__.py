"""The `certbridge` command."""

from __future__ import annotations


def main() -> None:
    """Runs the command line; ends the process with 0 fine, 1 expected failure, 2 usage, 3 unexpected."""
    from bridge.cli.commands import certbridge

    certbridge(prog_name="certbridge")
