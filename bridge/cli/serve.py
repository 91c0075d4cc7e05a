"""`certbridge serve`: runs the bridge and says where it listens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from bridge.cli.session import Session, pass_session

if TYPE_CHECKING:
    from bridge.daemon import Running


@click.command("serve")
@pass_session
def serve(session: Session) -> None:
    """Run until Ctrl-C or SIGTERM: receive, issue, mail, write back."""
    from bridge.app import read_config
    from bridge.daemon import serve as run
    from bridge.observe import Redactor, configure_logging

    config = session.config
    configure_logging(level=config.log.level, form=config.log.form, redactor=Redactor(config.secrets()))

    def ready(running: Running) -> None:
        # From here on the log also hides secrets that are changed while it runs.
        configure_logging(level=config.log.level, form=config.log.form, redactor=running.bridge.redactor)
        _say_ready(session, running)

    run(config, on_ready=ready, reread=lambda: read_config(session.path, os.environ))


def _say_ready(session: Session, running: Running) -> None:
    from bridge.cli.shown import source as shown

    page = session.page()
    page.title(f"certbridge listens on {running.url}")
    for one in shown.look(running.bridge):
        page.say(shown.title(one), indent=2)
        page.say(one.webhook, indent=4)
    if not running.bridge.sources:
        page.say(f"{session.path} names no source yet, so nothing can arrive.", style="yellow", indent=2)
    for warning in running.bridge.store.warnings():
        page.say(f"Warning: {warning}", style="yellow")
    page.say("Ctrl-C ends it in order; nothing that was answered is lost.", style="dim")
