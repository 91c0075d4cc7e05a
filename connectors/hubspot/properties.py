"""Holds number, link and day of a contact's latest certificate in its properties, over nothing it has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from bridge.core import certificate_id
from bridge.core.connector import Receipt, Step
from bridge.core.errors import HeldError, PermanentError, TemporaryError
from bridge.core.latest import needs_writing, number_in
from bridge.core.models import Certificate
from bridge.core.text import shown
from connectors.hubspot.crm import Crm, missing
from connectors.hubspot.record import Contact
from connectors.hubspot.scopes import sensitive
from connectors.hubspot.settings import HubSpotSettings
from connectors.hubspot.values import moment

NUMBER: Final = "contact_property"
LINK: Final = "contact_link"
# Our word -> what a step's target calls the property; the first one there is tells whose certificate stands there.
_PLACES: Final = MappingProxyType({"number": "property", "url": "url_property", "issued": "issued_property"})


def places(contact: str, course: str | None, settings: HubSpotSettings) -> Iterator[Step]:
    """Yields a step without a title for each place that holds one certificate.

    Number, link and day are one place; where each course has a number of its own, all courses share link and day.
    """
    back = settings.write_back
    shared = {"url_property": back.url_property, "issued_property": back.issued_property}
    number = {"property": settings.certificate_property(course)}
    together = not back.property_by_course
    for name, properties in {NUMBER: number | (shared if together else {}), LINK: {} if together else shared}.items():
        named = {key: value for key, value in properties.items() if value}
        if named:
            yield Step(name, {"contact": contact, **named}, "", lock_key=f"contact:{contact}", latest=True)


def hold(step: Step, certificate: Certificate, found: Contact, crm: Crm) -> Receipt:
    """Makes a contact hold this certificate, or none where it is not valid any more, in one change that is read back.

    Raises HeldError over what is hidden or foreign, PermanentError, TemporaryError.
    """
    names = {word: step.target[key] for word, key in _PLACES.items() if key in step.target}
    place = f"{', '.join(names.values())} of HubSpot contact {found.id}"
    todo = _todo(_seen(found, names, crm), certificate, names)
    if not todo:
        return Receipt(f"{place}: right already", confirmed=True)
    crm.change(found.id, {names[word]: value for word, value in todo.items()})
    after = crm.contact(step.target["contact"], list(names.values()))
    if after is None or any(_value(after, names[word]) != value for word, value in todo.items()):
        raise TemporaryError(
            f"HubSpot took the values, but does not show them in {place}. Usual causes: a workflow in HubSpot that "
            "changes them, or a property of another type than single-line text (number, link) or date (day).",
            code="not_confirmed",
        )
    return Receipt(place, confirmed=True, details={"contact": found.id})


def names_of(step: Step) -> Sequence[str]:
    """Returns the properties that have to be asked for."""
    return [step.target[key] for key in _PLACES.values() if key in step.target]


def _seen(found: Contact, names: Mapping[str, str], crm: Crm) -> dict[str, str]:
    """Returns what the properties hold. Raises HeldError, PermanentError for one that HubSpot does not show.

    An empty property is null; what is left out of an answer, or REDACTED, is not empty.
    """
    for name in names.values():
        if name in found.hidden or name not in found.properties:
            definition = crm.property(name)
            if definition is None:
                raise PermanentError(missing(name), code="no_property")
            raise HeldError(
                f"HubSpot hides the property {name} of contact {found.id} from this token, so nothing was written and "
                f"nothing is confirmed. It holds sensitive data: give the app the scopes "
                f"{' and '.join(sensitive(definition))}, or name another property, then replay this delivery.",
                code="hidden",
            )
    return {word: _value(found, name) for word, name in names.items()}


def _todo(held: Mapping[str, str], certificate: Certificate, names: Mapping[str, str]) -> dict[str, str]:
    """Returns what has to be written. Raises HeldError where text stands that is not ours."""
    ours = {
        "number": certificate_id.grouped(certificate.id),
        "url": certificate.url,
        "issued": certificate.data.issued_on.isoformat(),
    }
    wanted = {word: ours[word] if certificate.state == "issued" else "" for word in names}
    sign = next(iter(names))
    todo = {
        word: value
        for word, value in wanted.items()
        if word != "issued"
        and needs_writing(held[word], value, certificate, where=f"The HubSpot property {names[word]}")
    }
    if "issued" in names and held["issued"] != wanted["issued"] and (wanted["issued"] or sign in todo):
        _refuse_foreign_day(held, sign, names["issued"])
        todo["issued"] = wanted["issued"]
    return todo


def _refuse_foreign_day(held: Mapping[str, str], sign: str, name: str) -> None:
    """Raises HeldError for a day that belongs to no certificate: it stands beside no number of ours."""
    if held["issued"] and number_in(held[sign]) is None:
        raise HeldError(
            f"The HubSpot property {name} holds {shown(held['issued'])} though no certificate number stands beside it, "
            "so it was not overwritten. Empty it there, or name another property, then replay this delivery.",
            code="foreign_text",
        )


def _value(found: Contact, name: str) -> str:
    return moment(found.properties.get(name)) or ""
