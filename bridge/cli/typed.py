"""Values typed on the command line: each wrong one is answered with what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import click

from bridge.core import certificate_id
from bridge.core.errors import PermanentError
from bridge.core.text import one_line
from bridge.core.wording import suggestion

LARGEST: Final = 2**63 - 1
"""The largest number a database row can have."""


class RowNumber(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """The number of an event or a delivery, as the lists show it."""

    def __init__(self, listed_by: str) -> None:
        self.name = "number"
        self._listed_by = listed_by

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Reads `12` and `#12`."""
        if isinstance(value, int):
            return value
        text = str(value).strip().removeprefix("#")
        if not (text.isascii() and text.isdigit()) or int(text[:20]) > LARGEST:
            self.fail(f"{one_line(str(value))!r} is no number. {self._listed_by} shows the numbers.", param, ctx)
        return int(text)


class CertificateId(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A certificate id in any spelling, or the link that holds it."""

    name = "certificate id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the id without hyphens; a mistyped one is told apart from an unknown one by its check symbol."""
        from bridge.web.typed import id_within, mistakes
        from bridge.web.words import ENGLISH

        typed = id_within(str(value))
        found = certificate_id.read(typed)
        if found is None:
            wrong = " ".join(mistakes(typed, ENGLISH))
            self.fail(
                f"{one_line(typed)[:60]!r} is mistyped. {wrong} Compare it with the certificate, or look it up with "
                "`certbridge find NAME`.",
                param,
                ctx,
            )
        return found


class Assignment(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A corrected value: `recipient.name=Maria Silva`."""

    name = "WORD=VALUE"
    LONGEST: Final = 2_000

    def __init__(self, words: Callable[[], tuple[str, ...]]) -> None:
        """`words` is asked when a value is read, so that `--help` need not load who knows them."""
        self._words = words

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Returns word and value; the word must be one that can be set."""
        if isinstance(value, tuple):
            return value
        word, equals, text = str(value).partition("=")
        word, known = word.strip(), self._words()
        if not equals:
            self.fail(f"{one_line(word)!r} says no value. Write it as {known[0]}=VALUE.", param, ctx)
        if word not in known and not (word.startswith("fields.") and len(word) > len("fields.")):
            near = suggestion(word, [*known, "fields."])
            listed = ", ".join(known)
            self.fail(f"{one_line(word)!r} cannot be set{near or '.'} These can: {listed}, fields.NAME.", param, ctx)
        if len(text) > self.LONGEST:
            self.fail(f"{word}: at most {self.LONGEST:,} characters.", param, ctx)
        return word, text


class Reason(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """Why a person decided so; it stands in the history."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the reason as one line; an empty one is refused."""
        text = one_line(str(value))
        if not text:
            self.fail("say why in a few words; it stands in the history.", param, ctx)
        if len(text) > 500:
            self.fail("at most 500 characters.", param, ctx)
        return text


def ask_about(changes: Mapping[str, str], *, yes: bool, as_json: bool) -> tuple[str, ...]:
    """Asks about every value that would be held if a source sent it; returns the codes of what is answered so.

    Raises click.Abort when the answer is no, and PermanentError where a program cannot be asked.
    """
    from bridge.core.doubts import about_word

    doubts = [doubt for word, value in changes.items() if (doubt := about_word(word, value))]
    for doubt in doubts if not yes else ():
        if as_json:
            raise PermanentError(f"{doubt.finding} Nothing was changed. If it is right, add --yes.", code=doubt.code)
        click.confirm(f"{doubt.finding} Print it all the same?", abort=True)
    return tuple(doubt.code for doubt in doubts)


def unknown_certificate(identifier: str) -> PermanentError:
    """Returns the error for an id that is written correctly and that nothing has."""
    return PermanentError(
        f"There is no certificate {certificate_id.grouped(identifier)} here. It is typed correctly, so look whether it "
        "was issued by another installation. `certbridge certificates list` shows all.",
        code="unknown",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs instead of a table.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most, newest first."
)
reason_option = click.option("--reason", type=Reason(), required=True, help="Why; it stands in the history.")
