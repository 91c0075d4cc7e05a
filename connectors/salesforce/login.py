"""Signs certbridge in: OAuth's client credentials, or a signed claim (JWT bearer) instead of a shared secret."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from bridge.core.connector import Access, ApiClient
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.payload import read_object
from connectors.salesforce import signing_key
from connectors.salesforce.login_errors import PATH
from connectors.salesforce.settings import SalesforceSettings

_KEPT: Final = 1800.0
"""Seconds. Salesforce does not say how long a token lives (two hours unless the organisation says otherwise)."""
_SALESFORCE: Final = ".salesforce.com"
_JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def hosts(settings: SalesforceSettings) -> Sequence[str]:
    """Names My Domain and, for an organisation on Salesforce's own, the instance that it may send us on to.

    Not *.force.com: the sites that Salesforce's customers build are served there.
    """
    host = _host(settings.url or "")
    return tuple(filter(None, (host, f"*{_SALESFORCE}" if host.endswith(_SALESFORCE) else "")))


def sign_in(settings: SalesforceSettings, api: ApiClient) -> Access | None:
    """Returns the access that My Domain grants, None without API. Raises PermanentError, TemporaryError.

    https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm
    """
    if settings.url is None:
        return None
    response = api.request("POST", settings.url + PATH, form=_form(settings, settings.url))
    try:
        answer = read_object(response.body)
    except PayloadError as error:
        raise TemporaryError(f"Salesforce's answer to signing in cannot be read. {error}", code="not_json") from error
    token, instance = answer.get("access_token"), answer.get("instance_url")
    if not isinstance(token, str) or not token:
        raise TemporaryError("Salesforce signed certbridge in without a token.", code="unexpected_answer")
    return Access(_base(settings.url, instance), {"Authorization": f"Bearer {token}"}, _KEPT)


def _form(settings: SalesforceSettings, url: str) -> list[tuple[str, str]]:
    client_id = settings.client_id or ""
    if settings.client_secret is not None:
        secret = settings.client_secret.get_secret_value()
        return [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)]
    if settings.private_key is None:
        raise PermanentError(f"Nothing is set to sign in at {url} with.", code="no_credentials")
    claim = signing_key.assertion(
        settings.private_key,
        client_id=client_id,
        username=settings.username or "",
        audience=settings.audience or _audience(url),
        now=datetime.now(UTC),
    )
    return [("grant_type", _JWT_BEARER), ("assertion", claim)]


def _audience(url: str) -> str:
    return "https://test.salesforce.com" if ".sandbox." in _host(url) else "https://login.salesforce.com"


def _base(url: str, instance: object) -> str:
    """Returns the instance that Salesforce names, when it is Salesforce's; the token goes nowhere else."""
    if not isinstance(instance, str) or not instance:
        return url
    host = _host(instance)
    ours = instance.rstrip("/") == url
    if not ours and not (instance.startswith("https://") and host.endswith(_SALESFORCE)):
        text = f"Salesforce named {host[:100]!r} as its address, which is not Salesforce's."
        raise PermanentError(text, code="odd_instance")
    return url if ours else f"https://{host}"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
