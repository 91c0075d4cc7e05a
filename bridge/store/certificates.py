"""Certificates, their versions and their files; nothing here is ever deleted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Join, RowMapping, Select, and_, case, func, insert, literal, or_, select

from bridge.core import certificate_id as certificate_ids
from bridge.core.errors import PermanentError
from bridge.core.models import CertificateData
from bridge.store import queue
from bridge.store.completions import CompletionRow
from bridge.store.matching import matches
from bridge.store.tables import certificates, completions, files
from bridge.store.tables import versions as version_table
from bridge.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One certificate, whatever its versions say."""

    id: str
    completion_id: int
    test: bool
    issuer: str
    state: str
    """`draft`, `issued`, `revoked` or `erased`."""
    version: int
    """The published one (a draft's first)."""
    issued_at: datetime | None
    issued_on: date
    expires_on: date | None
    zone: str
    locale: str
    visibility: str
    recipient_key: str | None
    revoked_at: datetime | None
    revoke_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """What one version of a certificate says."""

    certificate_id: str
    n: int
    data: CertificateData
    template_sha: str
    mapping_sha: str
    key_id: str | None
    status_list: int | None
    status_index: int | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of one version."""

    media_type: str
    sha256: str
    bytes: bytes


class CertificateHit(NamedTuple):
    """A certificate with its published version and the completion it certifies."""

    certificate: CertificateRow
    version: VersionRow
    completion: CompletionRow


def moment(one: CertificateHit) -> tuple[date, datetime, str, str]:
    """Returns what certificates are ordered by: the day of completion as printed, its instant, then what never changes.

    The order in which things arrived has no part in it.
    """
    printed, completion = one.version.data.completed_on, one.completion
    # A corrected day says nothing about the time of day.
    at = completion.completed_at if printed == completion.completed_on else None
    return printed, at or datetime.min.replace(tzinfo=UTC), completion.course, one.certificate.id


def create_draft(
    tx: Transaction,
    *,
    id: str,
    completion_id: int,
    test: bool,
    issuer: str,
    issued_on: date,
    expires_on: date | None,
    zone: str,
    locale: str,
    visibility: str,
    recipient_key: str | None,
    data: CertificateData,
    template_sha: str,
    mapping_sha: str,
    by: str,
    reason: str,
) -> CertificateRow:
    """Reserves the certificate of a completion, with version 1; one that is there already is returned unchanged."""
    values = {
        "id": id,
        "completion_id": completion_id,
        "test": test,
        "issuer": issuer,
        "state": "draft",
        "version": 1,
        "issued_on": issued_on,
        "expires_on": expires_on,
        "zone": zone,
        "locale": locale,
        "visibility": visibility,
        "recipient_key": recipient_key,
    }
    row = queue.insert_new(tx, certificates, values)
    if row is not None:
        _insert_version(tx, id, 1, data, template_sha, mapping_sha, by, reason)
        return _certificate(row)
    existing = of_completion(tx, completion_id)
    if existing is None:
        raise PermanentError(f"The certificate id {id} is taken by another completion.", code="id_taken")
    return existing


def update_draft(
    tx: Transaction, id: str, *, data: CertificateData, template_sha: str, mapping_sha: str, recipient_key: str | None
) -> bool:
    """Gives a certificate that was never issued other words under the same id; False when it is no draft any more."""
    drafted = and_(certificates.c.id == id, certificates.c.state == "draft")
    if not queue.change(tx, certificates, drafted, _facts(data, recipient_key)):
        return False
    said = {"data": data.model_dump(mode="json"), "template_sha": template_sha, "mapping_sha": mapping_sha}
    return queue.change(tx, version_table, and_(version_table.c.certificate_id == id, version_table.c.n == 1), said)


def keep_in_step(tx: Transaction, id: str, *, data: CertificateData, recipient_key: str | None) -> None:
    """Gives a corrected certificate the columns that lists are made from, as its new version says."""
    queue.change(tx, certificates, certificates.c.id == id, _facts(data, recipient_key))


def _facts(data: CertificateData, recipient_key: str | None) -> dict[str, Any]:
    return {
        "expires_on": data.expires_on,
        "zone": data.zone,
        "locale": data.locale,
        "recipient_key": recipient_key,
    }


def of_completion(tx: Transaction, completion_id: int) -> CertificateRow | None:
    """Returns the certificate of a completion."""
    found = select(certificates).where(certificates.c.completion_id == completion_id)
    row = tx.connection.execute(found).mappings().one_or_none()
    return None if row is None else _certificate(row)


def get(tx: Transaction, id: str, *, for_update: bool = False) -> CertificateRow | None:
    """Returns a certificate by its id without hyphens; `for_update` keeps others from changing it meanwhile."""
    found = select(certificates).where(certificates.c.id == id)
    row = tx.connection.execute(found.with_for_update() if for_update else found).mappings().one_or_none()
    return None if row is None else _certificate(row)


# -- versions and files --------------------------------------------------------------------------


def version(tx: Transaction, id: str, n: int) -> VersionRow | None:
    """Returns version `n`, from 1."""
    found = select(version_table).where(version_table.c.certificate_id == id, version_table.c.n == n)
    row = tx.connection.execute(found).mappings().one_or_none()
    return None if row is None else _version(row)


def versions(tx: Transaction, id: str) -> list[VersionRow]:
    """Returns every version, oldest first."""
    found = select(version_table).where(version_table.c.certificate_id == id).order_by(version_table.c.n)
    return [_version(row) for row in tx.connection.execute(found).mappings()]


def add_version(
    tx: Transaction, id: str, *, data: CertificateData, template_sha: str, mapping_sha: str, by: str, reason: str
) -> int:
    """Stores the next version and returns its number; the certificate shows it once it is published.

    Raises PermanentError for an unknown certificate.
    """
    # Locks the certificate, so that two corrections on PostgreSQL get different numbers.
    locked = select(certificates.c.id).where(certificates.c.id == id).with_for_update()
    if tx.connection.scalar(locked) is None:
        raise PermanentError(f"There is no certificate {id}.", code="unknown")
    last = tx.connection.scalar(select(func.max(version_table.c.n)).where(version_table.c.certificate_id == id))
    number = int(last or 0) + 1
    _insert_version(tx, id, number, data, template_sha, mapping_sha, by, reason)
    return number


def put_file(tx: Transaction, id: str, version: int, kind: str, media_type: str, content: bytes) -> str:
    """Stores (or replaces, when a draft is rendered again) a file of a version; returns its SHA-256 in hex."""
    sha256 = hashlib.sha256(content).hexdigest()
    values = {
        "certificate_id": id,
        "version": version,
        "kind": kind,
        "media_type": media_type,
        "sha256": sha256,
        "bytes": content,
    }
    queue.upsert(tx, files, ("certificate_id", "version", "kind"), values)
    return sha256


def file(tx: Transaction, id: str, version: int, kind: str) -> FileRow | None:
    """Returns a file of a version; `kind` is pdf, json, jwt or png."""
    found = select(files.c.media_type, files.c.sha256, files.c.bytes).where(
        files.c.certificate_id == id, files.c.version == version, files.c.kind == kind
    )
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else FileRow(row.media_type, row.sha256, bytes(row.bytes))


# -- what becomes of a certificate ---------------------------------------------------------------


def publish(tx: Transaction, id: str, version: int) -> None:
    """Makes a version the one that is shown; a draft becomes issued, everything else keeps its state.

    Raises PermanentError for an unknown certificate or version, and for a version older than the one shown.
    """
    known = select(version_table.c.n).where(version_table.c.certificate_id == id, version_table.c.n == version).exists()
    drafted = certificates.c.state == "draft"
    values = {
        "version": version,
        "state": case((drafted, "issued"), else_=certificates.c.state),
        "issued_at": func.coalesce(certificates.c.issued_at, literal(tx.now, certificates.c.issued_at.type)),
    }
    condition = and_(certificates.c.id == id, certificates.c.version <= version, known)
    if not queue.change(tx, certificates, condition, values):
        raise PermanentError(f"Version {version} of certificate {id} cannot be published.", code="unknown")


def revoke(tx: Transaction, id: str, *, reason: str) -> bool:
    """Takes a certificate back (a draft as well, so that it never becomes valid); False if it was already."""
    condition = and_(certificates.c.id == id, certificates.c.state.in_(("draft", "issued")))
    values = {"state": "revoked", "revoked_at": tx.now, "revoke_reason": reason}
    return queue.change(tx, certificates, condition, values)


def issued_within(tx: Transaction, source: str, test: bool, age: timedelta, *, most: int) -> int:
    """Returns how many certificates of a source were issued in the last stretch of time, counting up to `most`."""
    recent = (
        select(certificates.c.id)
        .join(completions, completions.c.id == certificates.c.completion_id)
        .where(certificates.c.issued_at > tx.now - age, completions.c.source == source, completions.c.test == test)
        .limit(most)
        .subquery()
    )
    return int(tx.connection.scalar(select(func.count()).select_from(recent)) or 0)


def search(
    tx: Transaction,
    *,
    text: str | None = None,
    state: str | None = None,
    source: str | None = None,
    recipient_key: str | None = None,
    limit: int = 50,
    before_completion: int | None = None,
) -> list[CertificateHit]:
    """Returns certificates, newest completion first; `before_completion` (an id) goes on to the next page.

    `text` is looked for in what the published version says, in subject and course, and read as a certificate id.
    """
    found = _hits().order_by(completions.c.id.desc()).limit(limit)
    if state is not None:
        found = found.where(certificates.c.state == state)
    if source is not None:
        found = found.where(completions.c.source == source)
    if recipient_key is not None:
        found = found.where(certificates.c.recipient_key == recipient_key)
    if before_completion is not None:
        found = found.where(completions.c.id < before_completion)
    if text:
        typed = certificate_ids.read(text)
        plain = [certificates.c.id, completions.c.subject, completions.c.course]
        found = found.where(or_(certificates.c.id == typed, matches(text, plain, json_columns=[version_table.c.data])))
    return [_hit(row) for row in tx.connection.execute(found)]


def of_learner(
    tx: Transaction, source: str, test: bool, subject: str, course: str | None = None
) -> list[CertificateHit]:
    """Returns a learner's certificates in whatever state, of one course or of all, in the order of `moment`."""
    same = completions.c.source == source, completions.c.test == test, completions.c.subject == subject
    found = _hits().where(*same)
    if course is not None:
        found = found.where(completions.c.course == course)
    return sorted((_hit(row) for row in tx.connection.execute(found)), key=moment)


def hit(tx: Transaction, id: str) -> CertificateHit | None:
    """Returns a certificate with its published version and completion, in one query (the verification page)."""
    row = tx.connection.execute(_hits().where(certificates.c.id == id)).one_or_none()
    return None if row is None else _hit(row)


# -- rows ----------------------------------------------------------------------------------------


def _hits() -> Select[Any]:
    shown = and_(version_table.c.certificate_id == certificates.c.id, version_table.c.n == certificates.c.version)
    joined: Join = certificates.join(version_table, shown).join(
        completions, completions.c.id == certificates.c.completion_id
    )
    return select(*certificates.c, *version_table.c, *completions.c).select_from(joined)


def _hit(row: Any) -> CertificateHit:
    parts = tuple(row)
    first, second = len(certificates.c), len(certificates.c) + len(version_table.c)
    certificate = dict(zip(certificates.c.keys(), parts[:first], strict=True))
    shown = dict(zip(version_table.c.keys(), parts[first:second], strict=True))
    completion = dict(zip(completions.c.keys(), parts[second:], strict=True))
    return CertificateHit(_certificate(certificate), _version(shown), CompletionRow(**completion))


def _insert_version(
    tx: Transaction, id: str, n: int, data: CertificateData, template_sha: str, mapping_sha: str, by: str, reason: str
) -> None:
    values = {
        "certificate_id": id,
        "n": n,
        "data": data.model_dump(mode="json"),
        "template_sha": template_sha,
        "mapping_sha": mapping_sha,
        "by": by,
        "reason": reason,
    }
    tx.connection.execute(insert(version_table).values(values))


def _certificate(row: RowMapping | dict[str, Any]) -> CertificateRow:
    return CertificateRow(**dict(row))


def _version(row: RowMapping | dict[str, Any]) -> VersionRow:
    values = dict(row)
    values["data"] = CertificateData.model_validate(values["data"])
    return VersionRow(**values)
