"""Writes a certificate back into a declared source: look, write, read back, so that a repeat does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.core import certificate_id
from bridge.core.connector import ApiClient, Memo, Receipt, Step
from bridge.core.declared.asking import Ask
from bridge.core.declared.settings import SETTING
from bridge.core.declared.texts import Formula, Scope, Test, Unclear, Words, line
from bridge.core.declared.words import certificate_words
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.latest import needs_writing, number_in
from bridge.core.models import Certificate, SourceEvent
from bridge.core.section import Section

State = Literal["issued", "revoked", "erased"]
_LOST: Final = "?"
"""Marks a target whose value the event did not bring; what follows says which."""


def _step_name(name: str) -> str:
    if not SETTING.fullmatch(name):
        raise ValueError("The name of a step has small letters, digits and _.")
    return name


def _several(raw: object) -> object:
    return [raw] if isinstance(raw, str) else raw


class LookUp(Ask):
    """A look at what is there."""

    already: Test | None = Field(
        default=None,
        description="What is true of the answer once the step has taken effect, from answer, certificate and target.",
    )
    holds: Formula | None = Field(
        default=None,
        description="With one_number, instead of already: what stands in the place, from answer (answer.number). Where "
        "the answer does not show it, nothing is written and the delivery is held.",
    )

    @model_validator(mode="after")
    def _one(self) -> LookUp:
        if (self.already is None) == (self.holds is None):
            raise ValueError("needs already, or holds for a place of one_number")
        return self


class ReadBack(Ask):
    """A look at what was written."""

    confirm: Test = Field(description="What must be true of the answer, from answer, certificate, target and memo.")


class WriteStep(Section):
    """One effect in the source system."""

    name: Annotated[str, AfterValidator(_step_name)] = Field(description="Its name in the outbox.")
    title: Words = Field(description='What it does, for people: "note about {{ certificate.name }}".')
    when: Annotated[tuple[State, ...], BeforeValidator(_several)] = Field(
        default=("issued",), min_length=1, description="The states of the certificate in which it is done."
    )
    target: dict[str, Words] = Field(
        default={}, max_length=20, description="What finds the record later, from event, data and settings."
    )
    optional: bool = Field(default=False, description="true: left out without a word where a target is missing.")
    lock: Words | None = Field(default=None, description="Steps with the same lock never run at the same time.")
    one_number: bool = Field(
        default=False,
        description="true: the place holds the number (or the link) of the latest certificate; text that is not ours "
        "is never overwritten there.",
    )
    look_up: LookUp | None = Field(default=None, description="Looks before it writes; afterwards it looks again.")
    write: Ask = Field(
        description="What is written, from target, certificate, settings and memo (and answer: looked up)."
    )
    repeatable: bool = Field(
        default=False, description="true: writing it twice does no harm (a POST that the vendor itself recognises)."
    )
    accept: tuple[int, ...] = Field(
        default=(), max_length=10, description="Further statuses that mean done: [404] where what is deleted is gone."
    )
    remember: dict[str, Formula] = Field(
        default={}, max_length=10, description="What of the answer is kept as memo: {id: answer.id}."
    )
    read_back: ReadBack | None = Field(default=None, description="Looks at what was written.")

    @model_validator(mode="after")
    def _safe(self) -> WriteStep:
        if self.write.method == "GET":
            raise ValueError("needs a method that changes something: write method: PUT (or POST, PATCH, DELETE)")
        if self.write.method == "POST" and self.look_up is None and not self.repeatable:
            raise ValueError(
                "needs look_up with already, because a POST whose answer is lost is sent again (or repeatable: true, "
                "where twice does no harm)"
            )
        if self.one_number != (self.look_up is not None and self.look_up.holds is not None):
            raise ValueError(
                "needs one_number: true and look_up with holds together: what stands in the place has to be seen "
                "before it is written"
            )
        return self

    def plan(self, certificate: Certificate, event: SourceEvent, settings: Mapping[str, object]) -> Step | None:
        """Returns the step for a certificate, or None where there is nothing to do."""
        if certificate.state not in self.when:
            return None
        words = {"event": event.words(), "data": event.data, "settings": settings}
        scope: Scope = {**words, "certificate": certificate_words(certificate)}
        target: dict[str, str] = {}
        for name, text in self.target.items():
            target[name] = _target(text, scope)
            if target[name].startswith(_LOST) and self.optional:
                return None
        scope = {**scope, "target": target}
        lock = _words(self.lock, scope) if self.lock is not None else None
        return Step(self.name, target, _words(self.title, scope) or self.name, lock_key=lock, latest=self.one_number)

    def seen(self, event: SourceEvent, settings: Mapping[str, object], api: ApiClient) -> str | None:
        """Returns what stands in the place of `one_number` of this learner; None where nobody can be asked about.

        Raises HeldError where it is not shown, PermanentError, TemporaryError.
        """
        scope: Scope = {"event": event.words(), "data": event.data, "settings": settings}
        target = {name: _target(text, scope) for name, text in self.target.items()}
        if self.look_up is None or any(value.startswith(_LOST) for value in target.values()):
            return None
        scope = {"target": target, "settings": settings, "memo": {}}
        try:
            return _held(self.look_up, {**scope, "answer": self.look_up.send(api, scope)}, self.name)
        except Unclear:
            return None  # it is looked up by the certificate, and there is none here

    def carry_out(
        self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient, settings: Mapping[str, object]
    ) -> Receipt:
        """Makes it true, whatever an earlier attempt left behind.

        Raises HeldError for what is not shown and for text that is not ours, PermanentError, TemporaryError.
        """
        if certificate.state not in self.when:
            return Receipt(f"{step.title}: not for a certificate that is {certificate.state} by now", confirmed=False)
        for name, value in step.target.items():
            if value.startswith(_LOST):
                reason = value.removeprefix(_LOST)
                raise PermanentError(
                    f"{step.title}: there is no {name} to find the record by ({reason}).", code="target"
                )
        words = {"target": dict(step.target), "certificate": certificate_words(certificate), "settings": settings}
        try:
            return _Effect(self, step, words, memo, api, certificate).made()
        except Unclear as unclear:
            raise PermanentError(f"{step.title}: {unclear}.", code="missing_value") from None


class _Effect:
    """One attempt at one step."""

    def __init__(
        self,
        words: WriteStep,
        step: Step,
        scope: dict[str, Any],
        memo: Memo,
        api: ApiClient,
        certificate: Certificate,
    ) -> None:
        self.words, self.step, self.memo, self.api = words, step, memo, api
        self.certificate = certificate
        self._scope = scope

    def made(self) -> Receipt:
        look_up = self.words.look_up
        found = self._look(look_up) if look_up else None
        if look_up and self._is_done(look_up, found):
            return Receipt(f"{self.step.title}: is there already", confirmed=True)
        self._write(found)
        if self.words.read_back is not None:
            read_back = self.words.read_back
            self._confirm(self._true(read_back.confirm, self._look(read_back)))
        elif look_up is not None:
            after = self._look(look_up)
            self._confirm(self._true(look_up.already, after) if look_up.already else self._stands(look_up, after))
        else:
            return Receipt(self.step.title, confirmed=False)
        return Receipt(self.step.title, confirmed=True)

    def _is_done(self, look_up: LookUp, found: object) -> bool:
        if look_up.already is None:
            return not self._has_to_change(self._held(look_up, found))
        try:
            return look_up.already.holds({**self._scope, "answer": found, "memo": self._memo()})
        except Unclear as unclear:
            if not unclear.missing:
                raise
            if self.words.write.method == "POST" and not self.words.repeatable and isinstance(found, dict):
                # Sent without having seen what is there, it would be there twice.
                raise _not_shown(self.step.title, unclear) from None
            return False

    def _held(self, look_up: LookUp, found: object) -> str:
        return _held(look_up, {**self._scope, "answer": found, "memo": self._memo()}, self.step.title)

    def _has_to_change(self, held: str) -> bool:
        wanted = certificate_id.grouped(self.certificate.id) if self.certificate.state == "issued" else ""
        if wanted and number_in(held) == self.certificate.id:
            return False  # as the declaration writes it: the number, or the link
        return needs_writing(held, wanted, self.certificate, where=self.step.title)

    def _stands(self, look_up: LookUp, after: object) -> bool:
        held = self._held(look_up, after)
        return number_in(held) == self.certificate.id if self.certificate.state == "issued" else not held

    def _write(self, found: object) -> None:
        scope = {**self._scope, "answer": found, "memo": self._memo()}
        try:
            answer = self.words.write.send(self.api, scope)
        except PermanentError as error:
            if error.stable_code not in {f"http_{status}" for status in self.words.accept}:
                raise
            answer = None
        for name, formula in self.words.remember.items():
            self.memo.save(name, line(formula, {**scope, "answer": answer}))

    def _look(self, ask: Ask) -> object:
        try:
            return ask.send(self.api, {**self._scope, "memo": self._memo()})
        except PermanentError as error:
            # Nothing there is an answer, too: the conditions then miss what they look at. But a place that is to hold a
            # number is not empty because its record is gone, or hidden.
            if error.stable_code in ("http_404", "http_410") and not self.words.one_number:
                return None
            raise

    def _true(self, test: Test, answer: object) -> bool:
        return test.surely({**self._scope, "answer": answer, "memo": self._memo()})

    def _confirm(self, shown: bool) -> None:
        if not shown:
            raise TemporaryError(f"{self.step.title}: it was written, but does not show.", code="not_confirmed")

    def _memo(self) -> dict[str, object]:
        return {name: self.memo.get(name) for name in self.words.remember}


def _held(look_up: LookUp, scope: Scope, place: str) -> str:
    """Returns what a place holds. Raises HeldError where the answer does not show it, Unclear for what is no text."""
    assert look_up.holds is not None
    try:
        return line(look_up.holds, scope)
    except Unclear as unclear:
        if not unclear.missing:
            raise
        if _is_end(unclear.null_at, look_up.holds.source):
            return ""  # shown, and empty
        raise _not_shown(place, unclear) from None


def _is_end(null_at: str | None, source: str) -> bool:
    """Tells whether null stands where an expression leads; on the way there it is a record that shows nothing."""
    if null_at is None:
        return False
    plain_path = source.replace(".", "").replace("_", "").isalnum()
    return null_at == source if plain_path else null_at.rpartition(".")[2] == source.rpartition(".")[2].strip(" )")


def _not_shown(place: str, unclear: Unclear) -> HeldError:
    return HeldError(
        f"{place}: the answer does not show what stands there ({unclear}), so nothing was written. Usual causes: the "
        "key may not see it, or there is no such field. Mend that, then replay this delivery; or write it by hand.",
        code="not_shown",
    )


def _target(text: Any, scope: Scope) -> str:
    try:
        found = line(text, scope)
    except Unclear as unclear:
        return f"{_LOST}{unclear}"
    if not found:
        return f"{_LOST}{text.source} is empty"
    # The mark is ours; what the source sends cannot set it.
    return found if not found.startswith(_LOST) else f"{_LOST}{text.source} is no id"


def _words(text: Any, scope: Scope) -> str | None:
    try:
        return line(text, scope) or None
    except Unclear:
        return None
