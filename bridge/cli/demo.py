"""`certbridge demo`: the whole loop on this machine; the work is done by bridge.demo."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the loop instead of serving on.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave database, PDFs and mails in DIR (an empty folder, or a new one).",
)
@click.pass_context
def demo(ctx: click.Context, once: bool, keep: Path | None) -> None:
    """Post two real webhooks to a bridge on this machine and show each step; the platforms' APIs are stand-ins."""
    from rich.console import Console

    from bridge.demo.run import demo as run

    ctx.exit(run(once=once, keep=keep, console=Console()))
