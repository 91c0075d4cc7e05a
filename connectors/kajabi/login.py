"""Signs in at Kajabi's API with the client credentials of an API key."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr

from bridge.core.answers import answered
from bridge.core.connector import Access, ApiClient
from bridge.core.errors import TemporaryError
from connectors.kajabi.refusals import TOKEN_PATH

_TOKEN_SECONDS: Final = 7200.0


def sign_in(api: ApiClient, base_url: str, client_id: str, client_secret: SecretStr) -> Access:
    """Returns a token for client credentials, sent as a form. Raises PermanentError when they are refused."""
    secret = client_secret.get_secret_value()
    form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", secret)]
    answer = answered(api.request("POST", f"{base_url}{TOKEN_PATH}", form=form), "Kajabi")
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not token:
        raise TemporaryError("Kajabi's answer to the sign-in holds no token.", code="unexpected_answer")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not seconds > 0:
        seconds = _TOKEN_SECONDS
    return Access(base_url, {"Authorization": f"Bearer {token}"}, float(seconds))
