"""The root of the command line: what there is, and the one option that every command shares."""

from __future__ import annotations

from pathlib import Path

import click

from bridge import __version__
from bridge.cli.group import Entry, RootGroup
from bridge.cli.session import Session

COMMANDS = {
    "demo": Entry("bridge.cli.demo:demo", "Show the whole loop, with stand-ins for the platforms."),
    "init": Entry("bridge.cli.init:init", "Write a first configuration into a folder."),
    "check": Entry("bridge.cli.check:check", "Find every mistake in configuration and mappings."),
    "doctor": Entry("bridge.cli.doctor:doctor", "Try everything that is needed, and say what is missing."),
    "serve": Entry("bridge.cli.serve:serve", "Run the bridge."),
    "sources": Entry("bridge.cli.sources:sources", "The sources and their webhook addresses."),
    "fields": Entry("bridge.cli.fields:fields", "The words a mapping can use, with examples."),
    "try": Entry("bridge.cli.trial:trial", "Show what would become of an event."),
    "send": Entry("bridge.cli.send:send", "Sign a sample and post it to the running bridge."),
    "poll": Entry("bridge.cli.poll:poll", "Ask sources now, without waiting for their time."),
    "past": Entry("bridge.cli.past:past", "Completions from before the start line: list, issue."),
    "issue": Entry("bridge.cli.issue:issue", "Issue from a table (CSV), after a report row by row."),
    "find": Entry("bridge.cli.find:find", "Everything about a learner, certificate or course."),
    "events": Entry("bridge.cli.events:events", "What the sources sent: list, show, replay, release."),
    "certificates": Entry("bridge.cli.certificates:certificates", "List, show, correct, replay, revoke."),
    "outbox": Entry("bridge.cli.outbox:outbox", "Mails and write-backs: list, show, replay, cancel."),
    "schema": Entry("bridge.cli.schema:schema", "Write JSON Schemas that help editors complete."),
}

EPILOG = """Start with `certbridge demo`, then `certbridge init DIR`. Exit codes: 0 fine, 1 expected failure, 2 usage,
3 unexpected."""


@click.group(
    cls=RootGroup,
    entries=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-c",
    "--config",
    "config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration; else CERTBRIDGE_CONFIG, else ./config.yaml.",
)
@click.version_option(__version__, "-V", "--version", prog_name="certbridge", message="%(prog)s %(version)s")
@click.pass_context
def certbridge(ctx: click.Context, config: Path | None) -> None:
    """Turns "this learner completed this course" into a certificate, and closes the loop."""
    ctx.obj = Session(config)
