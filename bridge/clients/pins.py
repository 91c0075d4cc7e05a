"""Which hosts and ports a source may call: those its connector names, and nothing that merely looks like them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import urllib3

from bridge.core.connector import Access, Connector
from bridge.core.errors import PermanentError

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def pin(url: str, connector: Connector[Any], access: Access | None, *, allow_private: bool) -> None:
    """Raises PermanentError unless this very URL, as it will be sent, leads to a host that the connector names.

    `access` is None while signing in. Credentials never go out without https where https was configured.
    """
    parsed = urllib3.util.parse_url(url)
    host = (parsed.host or "").strip("[]").lower()
    if parsed.auth is not None or "\\" in url or parsed.scheme not in _DEFAULT_PORTS:
        raise PermanentError("An address with a user name, a backslash or an unknown scheme is never called.")
    patterns = connector.hosts()
    if not any(matches(host, parsed.port, pattern) for pattern in patterns):
        raise PermanentError(
            f"{connector.title}: {host or 'this address'} is not one of the hosts of this source"
            f" ({', '.join(patterns) or 'none'}); certbridge did not connect.",
            code="host_refused",
        )
    if access is not None:
        _pin_port(parsed, patterns, access)
    elif parsed.scheme == "http" and not allow_private:
        raise PermanentError(f"Signing in at {host} without https would show the secret to everybody on the way.")


def _pin_port(parsed: urllib3.util.Url, patterns: Sequence[str], access: Access) -> None:
    base = urllib3.util.parse_url(access.base_url)
    if parsed.scheme == "http" and base.scheme == "https":
        raise PermanentError(f"{parsed.host} was asked for without https; certbridge did not connect.")
    port = parsed.port or _DEFAULT_PORTS[parsed.scheme or "https"]
    named = any(pattern.endswith(f":{port}") for pattern in patterns)
    if not named and port not in (base.port, *_DEFAULT_PORTS.values()):
        raise PermanentError(
            f"Port {port} of {parsed.host} is not the one of this source; certbridge did not connect.",
            code="host_refused",
        )


def matches(host: str, port: int | None, pattern: str) -> bool:
    """Tells whether `lms.example`, `lms.example:8443` or `*.vendor.example` names this host."""
    pattern = pattern.lower().strip()
    name, colon, wanted = pattern.rpartition(":")
    if not (colon and wanted.isdigit() and (":" not in name or name.endswith("]"))):
        name, wanted = pattern, ""
    name = name.strip("[]")
    if wanted and int(wanted) != port:
        return False
    if name.startswith("*."):
        return host.endswith(name[1:]) and len(host) > len(name) - 1
    return bool(name) and host == name


def host_of(url: str) -> str:
    """Returns the host of a URL, empty when it has none or cannot be read."""
    try:
        return urllib3.util.parse_url(url).host or ""
    except urllib3.exceptions.LocationParseError:
        return ""


def without_query(url: str | None) -> str:
    """Returns the URL without query and fragment, where some vendors put secrets."""
    return (url or "").partition("#")[0].partition("?")[0]
