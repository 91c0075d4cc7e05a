"""The tokens of Kajabi's API: granted for a client's secret or a refresh token, and gone when their time is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

_ALLOWED: Final = {
    "client_credentials": {"grant_type", "client_id", "client_secret"},
    "refresh_token": {"grant_type", "refresh_token"},
}


class Tokens:
    """Which tokens are good; the key of the account can be changed, which kills them all."""

    def __init__(self, clock: Callable[[], float], client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.lifetime = 7200
        """Seconds."""
        self.tells_lifetime = True
        """False: `expires_in` is missing in the answer."""
        self.granted: list[str] = []
        """How each token was asked for, in order."""
        self._clock = clock
        self._access: dict[str, float] = {}
        self._refresh: set[str] = set()

    def rotate(self, client_secret: str) -> None:
        """Gives the key a new secret; every token that came from the old one is dead."""
        self.client_secret = client_secret
        self.expire_all()
        self._refresh.clear()

    def expire_all(self) -> None:
        """Ends the access tokens; they can be refreshed."""
        self._access.clear()

    def good(self, token: str) -> bool:
        """Tells whether this access token opens the API now."""
        return self._access.get(token, 0.0) > self._clock()

    def grant(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Returns status and body for a request of a token."""
        kind = form.get("grant_type", "")
        if kind not in _ALLOWED:
            return 400, {"error": "unsupported_grant_type"}
        if set(form) != _ALLOWED[kind]:
            return 400, {"error": "invalid_request"}
        if kind == "refresh_token":
            if form["refresh_token"] not in self._refresh:
                return 401, {"error": "invalid_grant"}
            self._refresh.discard(form["refresh_token"])
        elif (form["client_id"], form["client_secret"]) != (self.client_id, self.client_secret):
            return 401, {"error": "invalid_client"}
        self.granted.append(kind)
        access, refresh = f"sample-access-{len(self.granted)}", f"sample-refresh-{len(self.granted)}"
        self._access[access] = self._clock() + self.lifetime
        self._refresh.add(refresh)
        body: dict[str, Any] = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        return 200, body | ({"expires_in": self.lifetime} if self.tells_lifetime else {})
