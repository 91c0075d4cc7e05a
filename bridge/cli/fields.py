"""`certbridge fields`: the words a mapping can use, with an example of each from a real event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from bridge.cli.session import Session, pass_session
from bridge.cli.typed import json_option
from bridge.core.errors import PermanentError
from bridge.core.models import SourceEvent

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.cli.output import Page
    from bridge.cli.sample import Chosen
    from bridge.core.mapping import TraceLine, WordListing

MOST: Final = 300
"""Values of one event that are listed."""
LONGEST: Final = 80
"""Characters of an example."""


@click.command("fields")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--sample",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE",
    help="A webhook's body or a record as JSON.",
)
@json_option
@pass_session
def fields(session: Session, source: str, sample: Path | None, as_json: bool) -> None:
    """List the words of SOURCE's mapping and everything the platform sends; examples are from its latest event."""
    from bridge.cli.checked import compiled
    from bridge.cli.output import print_json

    name = session.source(source)
    with session.bridge() as bridge:
        chosen = _example(bridge, name, sample)
        mapping = compiled(bridge.config, name)
        trace = mapping.apply(chosen.event, defaults=bridge.defaults).trace if chosen else ()
        words = mapping.words()
    examples = {line.word: line for line in trace}
    if chosen is not None and any(word.event_type == chosen.event.event_type for word in words):
        words = [word for word in words if word.event_type == chosen.event.event_type]
    if as_json:
        print_json(_json(words, examples, chosen))
        return
    _print(session.page(), name, words, examples, chosen)


def _example(bridge: Bridge, name: str, sample: Path | None) -> Chosen | None:
    from bridge.cli import sample as samples

    if sample is not None:
        return samples.from_file(bridge, bridge.sources[name], sample)[0]
    try:
        return samples.latest(bridge, name)
    except PermanentError:
        # Nothing has come yet: the words are listed without examples.
        return None


def _print(
    page: Page, name: str, words: Sequence[WordListing], examples: dict[str, TraceLine], chosen: Chosen | None
) -> None:
    from bridge.cli.output import Column, lines, plain

    page.title(f"Words of {name}, for conditions, titles and fields")
    columns = [Column("Word"), Column("Example"), Column("Made from")]
    page.table(
        columns,
        [
            [
                lines(plain(word.word), word.help),
                _value(examples.get(word.word)),
                lines(word.expression, str(word.mark)),
            ]
            for word in words
        ],
    )
    if chosen is None:
        page.say()
        page.say(
            f"Nothing has come from {name} yet. With --sample FILE there are examples, and what the platform sends."
        )
        return
    page.heading(f"What the platform sends, for {{{{ … }}}}  (from {chosen.origin})")
    page.table(
        [Column("Path"), Column("Example")],
        [[plain(path), plain(value)] for path, value in _paths(chosen.event)],
    )
    if chosen.thin:
        page.say("Its API was not asked for this one, so there is more than this.", style="yellow")


def _value(line: TraceLine | None) -> str:
    from bridge.cli.output import plain

    return plain(line.value)[:LONGEST] if line is not None and line.value else "–"


def _json(words: Sequence[WordListing], examples: dict[str, TraceLine], chosen: Chosen | None) -> dict[str, object]:
    return {
        "words": [
            {
                "event_type": word.event_type,
                "word": word.word,
                "help": word.help,
                "expression": word.expression,
                "where": str(word.mark),
                "example": examples[word.word].value if word.word in examples else None,
            }
            for word in words
        ],
        "example_from": chosen.origin if chosen else None,
        "sends": dict(_paths(chosen.event)) if chosen else {},
    }


def _paths(event: SourceEvent) -> list[tuple[str, str]]:
    """Returns every value of an event by the path an expression reads it with."""
    found: list[tuple[str, str]] = []
    for path, value in _walk("data", event.data):
        if len(found) >= MOST:
            break
        found.append((path, _short(value)))
    return found


def _walk(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            simple = isinstance(name, str) and name.isidentifier()
            yield from _walk(f"{path}.{name}" if simple else f'{path}["{name}"]', inner)
    elif isinstance(value, list) and value:
        # The first item stands for all of them.
        yield from _walk(f"{path}[0]", value[0])
    else:
        yield path, value


def _short(value: object) -> str:
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
