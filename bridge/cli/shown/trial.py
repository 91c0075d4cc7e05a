"""What would become of one event: the words, the rule that decided, and the certificate as it would be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, state
from bridge.cli.sample import Chosen
from bridge.core.errors import HeldError
from bridge.core.mapping import Decision, TraceLine
from bridge.core.models import Certificate, Completion, Held, Ignored, JsonObject
from bridge.flow.view import Publisher
from bridge.issuing.job import RenderJob
from bridge.issuing.preflight import preflight
from bridge.issuing.template import load_template

if TYPE_CHECKING:
    from bridge.app import Bridge

PREVIEW_ID: Final = "0" * 17
"""An id that is well-formed and never given out: sixteen random zeros would be a miracle."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One event, tried."""

    chosen: Chosen
    decision: Decision
    certificate: Certificate | None
    """As it would be; None when none would be issued."""
    unprintable: str | None
    """Why it could not be printed."""
    title: str
    """The connector's, for people."""

    @classmethod
    def of(cls, bridge: Bridge, chosen: Chosen, decision: Decision) -> Trial:
        """Makes the certificate that would follow, and looks whether the fonts have its letters."""
        outcome = decision.outcome
        certificate = _preview(bridge.publisher, chosen.source, outcome) if isinstance(outcome, Completion) else None
        title = bridge.sources[chosen.source].connector.title
        return cls(chosen, decision, certificate, _unprintable(certificate), title)

    def render(self, bridge: Bridge) -> bytes:
        """Draws the certificate, marked TEST. Raises HeldError and PermanentError."""
        outcome = self.decision.outcome
        if not isinstance(outcome, Completion) or self.certificate is None:
            raise TypeError("only a completion can be drawn")
        template = load_template(outcome.template, bridge.config.templates)
        return bridge.renderer().render(RenderJob(certificate=self.certificate, template=template))

    def print(self, page: Page) -> None:
        """Prints words, decision and certificate."""
        event = self.chosen.event
        page.facts(
            [
                ("event", f"{plain(event.event_type)} from {plain(self.chosen.source)}"),
                ("read from", self.chosen.origin),
                ("set by hand", "\n".join(f"{word} = {plain(value)}" for word, value in self.chosen.overrides.items())),
            ]
        )
        if self.chosen.thin:
            page.say(
                f"{self.title} says little in the event itself, and its API was not asked: --fetch asks it now.",
                style="yellow",
            )
        if self.decision.trace:
            page.say()
            columns = [Column("Word"), Column("Value"), Column("Made from")]
            page.table(columns, [_trace_line(line) for line in self.decision.trace])
        page.say()
        self._print_outcome(page)

    def _print_outcome(self, page: Page) -> None:
        outcome = self.decision.outcome
        if isinstance(outcome, Ignored | Held):
            page.say(Text.assemble("No certificate: ", state(outcome.kind), f". {plain(outcome.reason)}"))
        elif not isinstance(outcome, Completion) or self.certificate is None:
            page.say(f"No certificate: the source reports a {outcome.kind}.")
        else:
            if self.unprintable:
                page.say(Text.assemble("No certificate: ", state("held"), f". {plain(self.unprintable)}"))
            else:
                page.say("A certificate would be issued (nothing was)", style="bold green")
            page.facts(_certificate_facts(self.certificate, outcome), indent=2)


def as_json(one: Trial) -> JsonObject:
    """Returns the stable shape for programs."""
    return {
        "source": one.chosen.source,
        "event_type": one.chosen.event.event_type,
        "event_id": one.chosen.event.event_id,
        "read_from": one.chosen.origin,
        "api_not_asked": one.chosen.thin,
        "words": [
            {
                "word": line.word,
                "expression": line.expression,
                "value": line.value,
                "where": str(line.mark) if line.mark else None,
                "note": line.note,
            }
            for line in one.decision.trace
        ],
        "outcome": one.decision.outcome.model_dump(mode="json"),
        "unprintable": one.unprintable,
        "certificate": one.certificate.data.model_dump(mode="json") if one.certificate else None,
    }


def _trace_line(line: TraceLine) -> list[object]:
    value = Text(plain(line.value)) if line.value else Text("–", style="dim")
    decided = line.note == "decided"
    said = Text("this decided" if decided else plain(line.note), style="bold yellow" if decided else "dim")
    where = str(line.mark) if line.mark and str(line.mark) not in line.note else ""
    below = Text("   ").join(part for part in (said, Text(where, style="dim")) if part)
    return [
        Text(plain(line.word), style="bold" if decided else ""),
        value,
        lines(plain(line.expression), below) if line.expression else below,
    ]


def _preview(publisher: Publisher, source: str, completion: Completion) -> Certificate:
    today = datetime.now(UTC).astimezone(ZoneInfo(completion.zone)).date()
    url = publisher.url(PREVIEW_ID)
    return Certificate(
        id=PREVIEW_ID,
        test=True,
        state="issued",
        version=1,
        data=publisher.data(completion, issued_on=today),
        url=url,
        pdf_url=f"{url}.pdf",
        source=source,
        subject=completion.subject,
    )


def _unprintable(certificate: Certificate | None) -> str | None:
    if certificate is None:
        return None
    try:
        preflight(certificate.data)
    except HeldError as error:
        return str(error)
    return None


def _certificate_facts(certificate: Certificate, completion: Completion) -> list[tuple[str, object]]:
    data = certificate.data
    mail = completion.mail
    to = data.recipient.email if mail.send else None
    return [
        ("learner", plain(data.recipient.name)),
        ("course", plain(data.course.title)),
        ("completed on", f"{data.completed_on} ({data.zone})"),
        ("expires on", str(data.expires_on or "never")),
        ("fields", "\n".join(f"{plain(name)}: {plain(value)}" for name, value in data.fields.items())),
        ("template", f"{completion.template}, in {data.locale}"),
        ("mail", plain(to) if to else "none: " + ("no address" if mail.send else "the mapping says so")),
        ("copies to", ", ".join(mail.cc)),
        ("answers to", mail.reply_to),
        ("again", completion.again),
    ]
