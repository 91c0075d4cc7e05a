"""Writes a certificate back into a declared source: look, write, read back, so that a repeat does no harm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.core.connector import ApiClient, Memo, Receipt, Step
from bridge.core.declared.asking import Ask
from bridge.core.declared.settings import SETTING
from bridge.core.declared.texts import Formula, Scope, Test, Unclear, Words, line
from bridge.core.declared.words import certificate_words
from bridge.core.errors import PermanentError, TemporaryError
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

    already: Test = Field(
        description="What is true of the answer once the step has taken effect, from answer, certificate and target."
    )


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
    one_number: bool = Field(default=False, description="true: the place holds the number of the latest certificate.")
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

    def carry_out(
        self, step: Step, certificate: Certificate, memo: Memo, api: ApiClient, settings: Mapping[str, object]
    ) -> Receipt:
        """Makes it true, whatever an earlier attempt left behind. Raises PermanentError, TemporaryError."""
        if certificate.state not in self.when:
            return Receipt(f"{step.title}: not for a certificate that is {certificate.state} by now", confirmed=True)
        for name, value in step.target.items():
            if value.startswith(_LOST):
                reason = value.removeprefix(_LOST)
                raise PermanentError(
                    f"{step.title}: there is no {name} to find the record by ({reason}).", code="target"
                )
        words = {"target": dict(step.target), "certificate": certificate_words(certificate), "settings": settings}
        try:
            return _Effect(self, step, words, memo, api).made()
        except Unclear as unclear:
            raise PermanentError(f"{step.title}: {unclear}.", code="missing_value") from None


class _Effect:
    """One attempt at one step."""

    def __init__(self, words: WriteStep, step: Step, scope: dict[str, Any], memo: Memo, api: ApiClient) -> None:
        self.words, self.step, self.memo, self.api = words, step, memo, api
        self._scope = scope

    def made(self) -> Receipt:
        look_up = self.words.look_up
        found = self._look(look_up) if look_up else None
        if look_up and look_up.already.surely({**self._scope, "answer": found, "memo": self._memo()}):
            return Receipt(f"{self.step.title}: is there already", confirmed=True)
        self._write(found)
        if self.words.read_back is not None:
            read_back = self.words.read_back
            self._confirm(read_back.confirm, self._look(read_back))
        elif look_up is not None:
            self._confirm(look_up.already, self._look(look_up))
        else:
            return Receipt(self.step.title, confirmed=False)
        return Receipt(self.step.title, confirmed=True)

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
            # Nothing there is an answer, too: the conditions then miss what they look at.
            if error.stable_code in ("http_404", "http_410"):
                return None
            raise

    def _confirm(self, test: Any, answer: object) -> None:
        if not test.surely({**self._scope, "answer": answer, "memo": self._memo()}):
            raise TemporaryError(f"{self.step.title}: it was written, but does not show.", code="not_confirmed")

    def _memo(self) -> dict[str, object]:
        return {name: self.memo.get(name) for name in self.words.remember}


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
