"""Reads what Kajabi's API answers when something is wrong: which error it is, and what an admin does about it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from bridge.core.answers import check_known, line, section, sections
from bridge.core.connector import ApiResponse
from bridge.core.errors import PayloadError, PermanentError, TemporaryError
from bridge.core.payload import read_object
from bridge.core.retry import retry_after

TOKEN_PATH: Final = "/oauth/token"  # noqa: S105 (an address)

# Stays wrong until a person acts.
_PERMANENT: Final = MappingProxyType(
    {
        401: "Kajabi refused the token, also a fresh one. Check the API key's user and permissions in Kajabi",
        403: "Kajabi does not allow this: the API key lacks a permission, or the plan does not include the API",
        404: "Kajabi has no such record (any more)",
        422: "Kajabi refused the values",
    }
)
_KEY_REFUSED: Final = (
    "Kajabi refused `client_id` and `client_secret`: the key was rotated or deleted, or it was copied incompletely. "
    "Make a key under Settings, Public API (owners only) and set both anew"
)
_AT_SIGN_IN: Final = MappingProxyType({**_PERMANENT, **dict.fromkeys((400, 401, 403), _KEY_REFUSED)})


def gone(error: PermanentError, contact: str) -> PermanentError:
    """Returns the error in words about the contact, where Kajabi answered that it has, or shows, no such record.

    Its description knows no 404 for contacts: one that is gone may be answered as one that the key may not see.
    """
    if error.stable_code in ("http_404", "http_410"):
        return no_contact(contact)
    if error.stable_code in ("http_400", "http_403", "http_422"):
        return PermanentError(
            f"{error} It was about contact {contact}: if other contacts work, this one was deleted, or the API key may "
            "not see it. Certificates that were issued stay valid.",
            code=error.stable_code,
        )
    return error


def no_contact(contact: str) -> PermanentError:
    """Returns the error for a contact that is not there."""
    return PermanentError(
        f"Kajabi has no contact {contact} (any more). Certificates that were issued stay valid.", code="contact_gone"
    )


def check(response: ApiResponse) -> None:
    """Raises the error an answer stands for: PermanentError, or TemporaryError with the wait Kajabi asks for."""
    if response.status == 429:
        wait = retry_after(response.headers)
        raise TemporaryError("Kajabi asks to slow down.", code="http_429", retry_after=wait)
    signing_in = response.url.rstrip("/").endswith(TOKEN_PATH)
    check_known(response, _AT_SIGN_IN if signing_in else _PERMANENT, complaint)


def complaint(body: bytes) -> str:
    """Returns Kajabi's words: `{"errors": [{title, detail, source}]}`, or `{"error": "text"}` at sign-in."""
    try:
        answer = read_object(body)
    except PayloadError:
        return ""
    parts = [line(answer.get("error"))]
    for error in sections(answer.get("errors"))[:10]:
        words = (error.get("title"), error.get("detail"), section(error.get("source")).get("pointer"))
        parts.append(" ".join(word for word in map(line, words) if word))
    return "; ".join(" ".join(part.split()) for part in parts if part)[:300]
