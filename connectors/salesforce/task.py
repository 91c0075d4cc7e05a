"""The completed task that shows a certificate in the timeline of a Contact or Lead; there is one for each state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from bridge.core import certificate_id
from bridge.core.connector import Memo
from bridge.core.errors import TemporaryError
from bridge.core.models import Certificate, JsonObject
from bridge.core.text import one_line
from connectors.salesforce import ids, soql
from connectors.salesforce.composite import Part, PartAnswer, query_all_path
from connectors.salesforce.fields import WriteBack
from connectors.salesforce.rest import created_id

_SUBJECT_LENGTH: Final = 255
_PEOPLE: Final = ("003", "00Q")
_LEAD: Final = "00Q"


@dataclass(frozen=True, slots=True)
class Task:
    """What the timeline is to show, and how to find it again."""

    PART: ClassVar[str] = "task"
    key_field: str | None
    key: str
    mark: str
    """How its subject begins."""
    place: Mapping[str, str]
    """WhoId, WhatId, or both."""
    fields: JsonObject

    def look(self) -> Part:
        """Returns the call that finds it: by its key, else by its subject in its place."""
        if self.key_field is not None:
            conditions = [f"{self.key_field} = {soql.quoted(self.key)}"]
        else:
            conditions = [f"{name} = {soql.quoted(value)}" for name, value in self.place.items()]
            conditions.append(f"Subject LIKE {soql.starting_with(self.mark)}")
        query = soql.query(["Id", "Subject"], "Task", *conditions, "IsDeleted = false", tail="LIMIT 2")
        # A year later Salesforce archives it, and an ordinary query leaves it out.
        return Part(self.PART, "GET", query_all_path(query))

    def missing(self, found: Sequence[JsonObject], memo: Memo) -> Part | None:
        """Returns the call that makes it, None where it is there. Raises TemporaryError for one that hides."""
        if found:
            return None
        if memo.get(self._memo) is not None:
            raise self.hides(memo)
        body = {**self.fields, **self.place}
        if self.key_field is None:
            return Part(self.PART, "POST", "/sobjects/Task", body)
        # The key stands in the address and must not stand in the body as well.
        return Part(self.PART, "PATCH", f"/sobjects/Task/{self.key_field}/{self.key}", body)

    def hides(self, memo: Memo) -> TemporaryError:
        """Returns the error for a task that was made and is not shown."""
        return TemporaryError(
            f"Salesforce took task {memo.get(self._memo) or self.key}, but does not show it. Usual cause: somebody "
            "deleted it, or the integration user may not see it.",
            code="not_confirmed",
        )

    def remember(self, answer: PartAnswer, memo: Memo) -> None:
        """Keeps the id of what was made; an upsert that found it there answers without a body."""
        if self.key_field is None:
            memo.save(self._memo, created_id(answer.body))

    @property
    def _memo(self) -> str:
        return f"task:{self.key}"


def task_for(target: Mapping[str, str], certificate: Certificate, wanted: WriteBack) -> Task | None:
    """Returns the task that this certificate is to have, or None where none is wanted or it is to be forgotten."""
    if wanted.task == "no" or certificate.state not in ("issued", "revoked"):
        return None
    number = certificate_id.grouped(certificate.id)
    mark = f"Certificate {number} {certificate.state}"
    revoked = certificate.revoked_at if certificate.state == "revoked" else None
    fields: JsonObject = {
        "Subject": one_line(f"{mark}: {certificate.data.course.title}")[:_SUBJECT_LENGTH].rstrip(),
        "Status": wanted.task_status,
        "ActivityDate": (revoked.date() if revoked else certificate.data.issued_on).isoformat(),
        "Description": f"{mark}. Verify it at {certificate.url}",
    }
    # Letters and digits only: a dot in the key would be read as the ending of a file.
    key = certificate.id if certificate.state == "issued" else f"{certificate.id}R"
    return Task(wanted.task_key_field, key, mark, _place(target, both=wanted.task == "both"), fields)


def _place(target: Mapping[str, str], *, both: bool) -> dict[str, str]:
    """Returns where the task hangs: a Lead takes no second record; who is no person in Salesforce has no timeline."""
    record = target["id"]
    person = next((one for one in (target["learner"], record) if ids.is_of(one, *_PEOPLE)), None)
    if person is None:
        return {"WhatId": record}
    alone = not both or person == record or ids.is_of(person, _LEAD)
    return {"WhoId": person} if alone else {"WhoId": person, "WhatId": record}
