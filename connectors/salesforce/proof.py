"""Proves that a request comes from the admin's own organisation; Salesforce signs nothing.

An Outbound Message can be told by its secret address, by the organisation that it names, and by a client certificate
that a proxy in front of certbridge may ask for; a Flow's callout by a token in a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.core import address_token
from bridge.core.errors import PayloadError, SignatureError
from bridge.core.models import InboundRequest, SignedRequest
from bridge.core.payload import read_object
from bridge.core.signatures import verify_token
from connectors.salesforce import ids
from connectors.salesforce.envelope import read_message
from connectors.salesforce.settings import SalesforceSettings

_BEARER: Final = "bearer "


def verify(settings: SalesforceSettings, request: InboundRequest) -> None:
    """Raises SignatureError unless every proof that is set fits."""
    by_header = settings.entry == "flow" and settings.callout_token is not None
    if settings.url_token is not None or not by_header:
        address_token.verify(request, settings)
    if by_header:
        accepted = (settings.callout_token, settings.previous_callout_token)
        sent = request.headers.get(settings.callout_header.lower(), "").strip()
        token = sent[len(_BEARER) :].strip() if sent.lower().startswith(_BEARER) else sent
        verify_token(token, accepted, what=f"the header {settings.callout_header}")
    if settings.entry == "outbound_message":
        _verify_organization(settings, request.body)
    elif settings.organization_ids:
        _verify_named(settings, request.body)


def sign(settings: SalesforceSettings, body: bytes, headers: Mapping[str, str]) -> SignedRequest:
    """Returns the request with the tokens that are set."""
    kept = {key: value for key, value in headers.items() if key.lower() != settings.callout_header.lower()}
    if settings.entry == "flow" and settings.callout_token is not None:
        kept[settings.callout_header] = f"Bearer {settings.callout_token.get_secret_value()}"
    return SignedRequest(body, kept, address_token.last_part(settings))


def _verify_organization(settings: SalesforceSettings, body: bytes) -> None:
    try:
        named = read_message(body).organization
    except PayloadError as error:
        # What cannot be read names no organisation. It is refused, not kept as unreadable, so that Salesforce sends a
        # message again that was damaged on its way.
        raise SignatureError(f"The body cannot be read, so it names no organisation. {error}") from error
    _check_organization(settings, named)


def _verify_named(settings: SalesforceSettings, body: bytes) -> None:
    """A callout need not name its organisation, because its token tells enough; one that names another is refused."""
    try:
        named = read_object(body).get("organizationId")
    except PayloadError:
        return  # proven by its token; parse says what is wrong with the body, and it is kept
    if named is not None:
        _check_organization(settings, ids.normal(named))


def _check_organization(settings: SalesforceSettings, named: str | None) -> None:
    if named is None or named not in settings.organization_ids:
        raise SignatureError(
            f"The message comes from organisation {named or '(none)'}, which is not in `organization_ids`. A sandbox "
            "has an id of its own: make it a source of its own.",
            code="organization",
        )
