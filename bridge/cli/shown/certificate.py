"""One certificate as people and programs see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from bridge.cli.output import Column, Page, lines, plain, print_json, state
from bridge.cli.shown import delivery
from bridge.cli.shown import history as shown_history
from bridge.cli.typed import unknown_certificate
from bridge.core import certificate_id
from bridge.core.models import CertificateData, JsonObject
from bridge.store import certificates, chain, history, outbox
from bridge.store.certificates import CertificateHit, VersionRow
from bridge.store.history import HistoryRow
from bridge.store.outbox import OutboxRow
from bridge.store.transaction import Store, Transaction

COLUMNS = (
    Column("Certificate", fixed=True),
    Column("Learner, course"),
    Column("Source"),
    Column("Completed", fixed=True),
    Column("Expires", fixed=True),
    Column("State", fixed=True),
)


def as_json(hit: CertificateHit, links: chain.Links, url: str) -> JsonObject:
    """Returns the stable shape for programs."""
    row, data = hit.certificate, hit.version.data
    return {
        "id": row.id,
        "shown_id": certificate_id.grouped(row.id),
        "url": url,
        "pdf_url": f"{url}.pdf",
        "test": row.test,
        "state": row.state,
        "version": row.version,
        "source": hit.completion.source,
        "subject": hit.completion.subject,
        "recipient": data.recipient.model_dump(mode="json"),
        "course": data.course.model_dump(mode="json"),
        "fields": data.fields,
        "completed_at": hit.completion.completed_at,
        "completed_on": data.completed_on,
        "issued_at": row.issued_at,
        "issued_on": row.issued_on,
        "expires_on": row.expires_on,
        "renews": links.renews,
        "renewed_by": links.renewed_by,
        "revoked_at": row.revoked_at,
        "revoke_reason": row.revoke_reason,
    }


def standing(hit: CertificateHit) -> Text:
    """Returns the state, and TEST where it is one."""
    shown = state(hit.certificate.state)
    return lines(shown, "TEST") if hit.certificate.test else shown


def line(hit: CertificateHit) -> list[object]:
    """Returns the row of a table; its columns are COLUMNS."""
    data = hit.version.data
    return [
        certificate_id.grouped(hit.certificate.id),
        lines(plain(data.recipient.name), plain(data.course.title)),
        plain(hit.completion.source),
        f"{data.completed_on}",
        f"{hit.certificate.expires_on or '–'}",
        standing(hit),
    ]


@dataclass(frozen=True, slots=True)
class CertificatePage:
    """Everything that is known about one certificate."""

    hit: CertificateHit
    links: chain.Links
    url: str
    versions: Sequence[VersionRow]
    files: Sequence[JsonObject]
    deliveries: Sequence[OutboxRow]
    history: Sequence[HistoryRow]

    @classmethod
    def read(cls, store: Store, identifier: str, url: str) -> CertificatePage:
        """Reads a certificate. Raises PermanentError for an id nothing has."""

        def look(tx: Transaction) -> CertificatePage:
            hit = certificates.hit(tx, identifier)
            if hit is None:
                raise unknown_certificate(identifier)
            said = certificates.versions(tx, identifier)
            return cls(
                hit,
                chain.links(tx, hit),
                url,
                said,
                [file for version in said for file in _files(tx, identifier, version.n)],
                outbox.search(tx, certificate_id=identifier)[::-1],
                history.timeline(tx, certificate_id=identifier),
            )

        return store.read(look)

    def print_json(self) -> None:
        """Prints all of it for programs."""
        shape = as_json(self.hit, self.links, self.url)
        shape["versions"] = [
            {"n": said.n, "reason": said.reason, "by": said.by, "data": said.data.model_dump(mode="json")}
            for said in self.versions
        ]
        shape["files"] = list(self.files)
        shape["deliveries"] = [delivery.as_json(row) for row in self.deliveries]
        shape["history"] = [shown_history.as_json(row) for row in self.history]
        print_json(shape)

    def print(self, page: Page) -> None:
        """Prints all of it for people."""
        identifier = certificate_id.grouped(self.hit.certificate.id)
        page.title(f"Certificate {identifier}" + (" (TEST)" if self.hit.certificate.test else ""))
        page.facts(self._facts(page))
        if len(self.versions) > 1:
            page.heading("Versions")
            self._print_versions(page)
        page.heading("Files")
        page.table(
            [Column("Version", "right"), Column("Kind"), Column("Bytes", "right"), Column("SHA-256")],
            [[str(one["version"]), one["kind"], f"{one['bytes']:,}", one["sha256"]] for one in self.files],
        )
        if self.deliveries:
            page.heading("Deliveries")
            delivery.table(page, self.deliveries)
        if self.history:
            page.heading("History")
            shown_history.table(page, self.history)
        page.clock()

    def _facts(self, page: Page) -> list[tuple[str, object]]:
        row, data, completion = self.hit.certificate, self.hit.version.data, self.hit.completion
        revoked = f"{page.when(row.revoked_at)}: {row.revoke_reason}" if row.revoked_at else None
        return [
            ("state", state(row.state)),
            ("revoked", revoked),
            ("learner", lines(plain(data.recipient.name), data.recipient.email)),
            ("course", plain(data.course.title)),
            ("completed on", f"{data.completed_on} ({data.zone})"),
            ("issued on", str(row.issued_on)),
            ("expires on", str(row.expires_on) if row.expires_on else "never"),
            ("fields", "\n".join(f"{plain(name)}: {plain(value)}" for name, value in data.fields.items())),
            ("version", f"{row.version}"),
            ("renews", certificate_id.grouped(self.links.renews) if self.links.renews else None),
            ("renewed by", certificate_id.grouped(self.links.renewed_by) if self.links.renewed_by else None),
            ("source", f"{completion.source}, learner {completion.subject}, course {completion.course}"),
            ("page", self.url),
        ]

    def _print_versions(self, page: Page) -> None:
        columns = [Column("No", "right", fixed=True), Column("What changed"), Column("Why"), Column("Who")]
        rows, before = [], None
        for said in self.versions:
            rows.append([str(said.n), changes(before, said.data), plain(said.reason), plain(said.by)])
            before = said.data
        page.table(columns, rows)


def _files(tx: Transaction, identifier: str, version: int) -> list[JsonObject]:
    found = [(kind, certificates.file(tx, identifier, version, kind)) for kind in ("pdf", "json", "jwt", "png")]
    return [
        {
            "version": version,
            "kind": kind,
            "media_type": file.media_type,
            "bytes": len(file.bytes),
            "sha256": file.sha256,
        }
        for kind, file in found
        if file is not None
    ]


def changes(before: CertificateData | None, after: CertificateData) -> str:
    """Returns what a version changed: `recipient.name: Maria Silvs → Maria Silva`."""
    if before is None:
        return "first version"
    old, new = _flat(before), _flat(after)
    changed = [word for word in {**old, **new} if old.get(word) != new.get(word)]
    return "\n".join(f"{word}: {old.get(word, '–')} → {new.get(word, '–')}" for word in changed) or "no words"


def _flat(data: CertificateData) -> dict[str, str]:
    flat: dict[str, str] = {}
    for word, value in data.model_dump(mode="json").items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{word}.{name}".rstrip("."): plain(item) for name, item in inner if item is not None}
    return flat
