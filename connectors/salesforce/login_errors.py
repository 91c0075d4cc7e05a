"""Says what is wrong when Salesforce does not sign certbridge in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.core.errors import BridgeError, PermanentError, TemporaryError
from bridge.core.retry import retry_after
from bridge.core.text import one_line

PATH: Final = "/services/oauth2/token"

# A piece of error or error_description (which are not translated) -> what an admin can do.
# https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_flow_errors.htm
_ADVICE: Final = MappingProxyType(
    {
        "no client credentials user": "The app has no user to run as: External Client App Manager, your app, Policies, "
        "OAuth Flows, Enable Client Credentials Flow, Run As.",
        "hasn't approved this consumer": "The user is not pre-authorised: in the app's policies choose Admin approved "
        "users are pre-authorized, and add the permission set of the integration user.",
        "invalid assertion": "The certificate in the app is not that of `private_key`, or this machine's clock is "
        "wrong.",
        "audience is invalid": "`audience` must be https://test.salesforce.com for a sandbox, else "
        "https://login.salesforce.com.",
        "expired authorization code": "The clock of this machine is wrong.",
        "inactive_user": "The integration user is inactive or frozen.",
        "inactive_org": "The organisation is locked, closed or suspended.",
        "ip restricted": "The IP restrictions of the app or of the user's profile do not let this machine in.",
        "request not supported on this domain": "`url` must be My Domain (Setup, My Domain), not login.salesforce.com.",
        "unsupported_grant_type": "The app does not allow this flow: Enable Client Credentials Flow (with "
        "`client_secret`) or Enable JWT Bearer Flow (with `private_key`).",
        "invalid_client": "`client_id` or `client_secret` is not that of the app (a new app needs up to ten minutes).",
        "invalid_app_access": "The integration user may not use this app: assign the app's permission set.",
        "app_not_found": "The app is not installed in this organisation.",
        "invalid_grant": "The app or its user does not allow this; the login history of the user says more.",
    }
)
_TEMPORARY: Final = ("login rate exceeded", "rate_limit", "temporarily_unavailable", "server_error", "retry your")


def refusal(status: int, body: object, headers: Mapping[str, str]) -> BridgeError:
    """Returns the error for an answer `{error, error_description}`; without one the status decides."""
    fields = body if isinstance(body, dict) else {}
    said = " ".join(str(fields.get(name) or "") for name in ("error", "error_description"))
    said = one_line(said)[:200]
    shown = f" Salesforce says: {said}" if said else f" (HTTP {status})"
    if status == 429 or status >= 500 or any(sign in said.lower() for sign in _TEMPORARY):
        code = "http_429" if status == 429 else "login_unavailable"
        return TemporaryError(f"Salesforce cannot sign anybody in now.{shown}", code=code, retry_after=_wait(headers))
    advice = next((advice for sign, advice in _ADVICE.items() if sign in said.lower()), "Check `url` and the app.")
    return PermanentError(f"Salesforce did not sign certbridge in. {advice}{shown}", code="login_refused")


def _wait(headers: Mapping[str, str]) -> float:
    return retry_after(headers) or 60.0
