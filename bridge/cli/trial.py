"""`certbridge try`: what would become of an event, word by word, issuing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import RowNumber, json_option
from bridge.core.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.sample import Chosen
    from bridge.cli.shown.trial import Trial

MOST: Final = 20
"""Events of one file that are shown."""


@click.command("try")
@click.argument("source", required=False, metavar="[SOURCE]")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True), metavar="[FILE]")
@click.option("--event", type=RowNumber("`certbridge events list`"), help="A stored event, instead of a file.")
@click.option("--last", is_flag=True, help="The latest stored event of SOURCE, instead of a file.")
@click.option("--fetch", is_flag=True, help="Ask the platform's API now, where the event alone says too little.")
@click.option(
    "--pdf",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.pdf",
    help="Draw it, marked TEST, into a file.",
)
@json_option
@pass_session
def trial(
    session: Session,
    source: str | None,
    file: Path | None,
    event: int | None,
    last: bool,
    fetch: bool,
    pdf: Path | None,
    as_json: bool,
) -> None:
    """Show each word, where it comes from, which rule decided, and the certificate as it would be.

    FILE is a webhook's body as the platform sent it (its signature does not matter here), or a record as JSON.
    """
    from bridge.cli.output import print_json
    from bridge.cli.shown import trial as shown

    with session.bridge() as bridge:
        chosen = _chosen(session, bridge, source, file, event, last)
        if pdf is not None and len(chosen) > 1:
            raise click.UsageError(f"{file} holds {len(chosen)} events; --pdf draws one. Store them, then use --event.")
        trials = [_tried(bridge, one, fetch=fetch) for one in chosen[:MOST]]
        if as_json:
            print_json([shown.as_json(one) for one in trials])
        else:
            _print(session, trials, left_out=len(chosen) - len(trials))
        if pdf is not None:
            _draw(bridge, trials[0], pdf)


def _chosen(
    session: Session, bridge: Bridge, source: str | None, file: Path | None, event: int | None, last: bool
) -> Sequence[Chosen]:
    from bridge.cli import sample

    sample.choose_one(file=file, event=event, last=last)
    name = session.source(source) if source is not None else None
    if event is not None:
        one = sample.stored(bridge, event)
        if name not in (None, one.source):
            raise click.UsageError(f"Event {event} came from {one.source}, not from {name}. Leave the source out.")
        return [one]
    if name is None:
        raise click.UsageError("Say of which source: certbridge try SOURCE --last.")
    if last:
        return [sample.latest(bridge, name)]
    assert file is not None
    return sample.from_file(bridge, bridge.sources[name], file)


def _tried(bridge: Bridge, chosen: Chosen, *, fetch: bool) -> Trial:
    from bridge.cli import sample
    from bridge.cli.checked import compiled
    from bridge.cli.shown.trial import Trial
    from bridge.flow.normalise import normalise
    from bridge.store import sources

    if fetch:
        chosen = sample.fetched(bridge, chosen)
    row = bridge.store.read(lambda tx: sources.get(tx, chosen.source))
    if row is None:
        raise LookupError(f"source {chosen.source} was not registered")
    decision = normalise(
        chosen.event,
        compiled(bridge.config, chosen.source),  # as the file says now, also while a broken edit waits
        defaults=bridge.defaults,
        overrides=chosen.overrides,
        since=row.since,
    )
    return Trial.of(bridge, chosen, decision)


def _print(session: Session, trials: Sequence[Trial], *, left_out: int) -> None:
    page = session.page()
    for number, one in enumerate(trials):
        if number:
            page.say()
        one.print(page)
    if left_out > 0:
        page.say(f"And {left_out} more events in this file.", style="dim")


def _draw(bridge: Bridge, one: Trial, out: Path) -> None:
    if one.certificate is None or one.unprintable:
        raise PermanentError("Nothing was drawn, because there would be no certificate; the reason stands above.")
    content = one.render(bridge)
    try:
        out.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written ({error.strerror}).") from error
    click.echo(f"{out} written: a preview, marked TEST", err=True)
