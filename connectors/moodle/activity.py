"""Tells the learner inside Moodle: ticks an activity as completed, and sends a message."""

from __future__ import annotations

from typing import Final

from bridge.core import certificate_id
from bridge.core.answers import sections
from bridge.core.connector import Memo, Receipt, Step
from bridge.core.errors import PermanentError, TemporaryError
from bridge.core.models import Certificate
from connectors.moodle.rest import Rest

_PLAIN: Final = "2"
_UNKNOWN: Final = "?"


def tick(step: Step, certificate: Certificate, rest: Rest) -> Receipt:
    """Marks the activity as completed, or as open again once revoked; doing it twice changes nothing.

    Moodle answers with the state that it reads after the change.
    """
    user, activity = step.target["user"], step.target["activity"]
    wanted = 1 if certificate.state == "issued" else 0
    arguments = {"userid": user, "cmid": activity, "newstate": str(wanted)}
    answer = rest.call("core_completion_override_activity_completion_status", arguments)
    if not isinstance(answer, dict) or answer.get("state") != wanted:
        raise PermanentError(
            f"Moodle did not mark activity {activity} for user {user}. Check that the number in `activities` is that "
            "of an activity in this course, with completion tracking, which learners mark by hand.",
            code="activity_refused",
        )
    return Receipt(f"Moodle activity {activity} {'done' if wanted else 'open'} for user {user}", confirmed=True)


def message(step: Step, certificate: Certificate, memo: Memo, rest: Rest) -> Receipt:
    """Sends the link to the learner, at most once: Moodle cannot tell whether a message was sent already.

    So nothing is read back either: the receipt has Moodle's number for it, and is not confirmed.
    """
    user, mark = step.target["user"], f"message {certificate.state}"
    if certificate.state != "issued":
        return Receipt("nothing to tell the learner", confirmed=False)
    sent = memo.get(mark)
    if sent == _UNKNOWN:
        return Receipt(f"Moodle did not say whether user {user} got the message; not sent twice", confirmed=False)
    if sent:
        return Receipt(f"Moodle message {sent} to user {user}", confirmed=False)
    rest.site()  # is Moodle there at all? Only then the one try is used up.
    memo.save(mark, _UNKNOWN)
    number = certificate_id.grouped(certificate.id)
    fields = {
        "touserid": user,
        "text": f"Your certificate {number} is ready: {certificate.url}",
        "textformat": _PLAIN,
        "clientmsgid": certificate.id,
    }
    try:
        answer = rest.call(
            "core_message_send_instant_messages", {f"messages[0][{name}]": text for name, text in fields.items()}
        )
    except PermanentError:
        memo.save(mark, "")  # refused, so it was not sent
        raise
    return _sent(user, mark, sections(answer), memo)


def _sent(user: str, mark: str, answer: list[dict[str, object]], memo: Memo) -> Receipt:
    number = answer[0].get("msgid") if answer else None
    if isinstance(number, int) and number > 0:
        memo.save(mark, str(number))
        return Receipt(f"Moodle message {number} to user {user}", confirmed=False)
    if not answer:
        raise TemporaryError("Moodle did not say whether it took the message.", code="unexpected_answer")
    memo.save(mark, "")
    said = str(answer[0].get("errormessage", "no reason"))[:200]
    raise PermanentError(
        f"Moodle did not send the message to user {user}: {said} Usual cause: the service account lacks "
        "moodle/site:messageanyuser.",
        code="message_refused",
    )
