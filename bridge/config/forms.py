"""The forms of single settings: addresses, zones, folders, times. Each raises ValueError in words for an admin."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, WithJsonSchema

from bridge.core.dates import OFF as OFF
from bridge.core.dates import duration as duration
from bridge.core.domains import ascii_host, written_host

SHORTEST_SECRET: Final = 4
"""Characters. Shorter ones cannot be kept out of logs by value (see bridge.observe)."""
SOURCE_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")

_ADDRESS: Final = r"[^\s@<>\",;:()\[\]\\]{1,64}@[^\W_](?:(?:[^\W_]|[.-]){0,251}[^\W_])?"
_SENDER: Final = re.compile(rf'(?:"?([^"<>\\\x00-\x1f\x7f]*?)"?\s*<({_ADDRESS})>|({_ADDRESS}))')
_NEEDS_QUOTES: Final = re.compile(r"[()\[\]:;@,.]")
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_SINCE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?")
_PRIVATE_NAMES: Final = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".invalid")


# -- web addresses ---------------------------------------------------------------------------------


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        named = parts.hostname
        _ = parts.port
    except ValueError:
        raise ValueError("It is not a web address. Write it like https://certificates.school.example.") from None
    if parts.scheme not in {"http", "https"} or not named or re.search(r"[\s\x00-\x1f\\]", text):
        raise ValueError("It is not a web address. Write it like https://certificates.school.example.")
    if "@" in parts.netloc:
        raise ValueError("A web address with a user name or password in it is not accepted.")
    return parts


def public_base(text: str) -> str:
    """Returns scheme, host and port without a slash at the end; a path, a query or a fragment is refused."""
    parts = _split(text.strip())
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("Only scheme and host are allowed, nothing after them: https://certificates.school.example.")
    host = _in_ascii(written_host(parts.netloc))
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


def web_address(text: str) -> str:
    """Returns a link for the certificate as it was written."""
    _split(text)
    return text


def is_public_https(url: str) -> bool:
    """Tells whether strangers may reach this address for years: https, and not this machine or an inner network."""
    return urlsplit(url).scheme == "https" and is_public_host(urlsplit(url).hostname or "")


def is_public_host(name: str) -> bool:
    """Tells whether a host is neither this machine nor inside an inner network, as far as its name tells."""
    host = name.rstrip(".").lower()
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_NAMES)


def _in_ascii(host: str) -> str:
    try:
        return ascii_host(host)
    except ValueError as failure:
        raise ValueError(f"{failure}.") from None


PublicBase = Annotated[str, AfterValidator(public_base)]
WebAddress = Annotated[str, AfterValidator(web_address)]
HostName = Annotated[str, Field(pattern=r"^[\w.:-]+$"), AfterValidator(_in_ascii)]
"""The name of a host, or an IP address; a name beyond ASCII becomes its `xn--` form."""
HostHeader = Annotated[str, AfterValidator(_in_ascii)]
"""A host as browsers name it in their requests: in ASCII, an IPv6 address in brackets."""


# -- the machine -----------------------------------------------------------------------------------


def _listen(text: str) -> str:
    host, colon, port = text.strip().rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or re.search(r"[^\w.:-]", bare) or (":" in bare and bare == host):
        raise ValueError("Write it like 127.0.0.1:8080 (this machine only) or 0.0.0.0:8080 (every network).")
    if not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("The number after the colon is the port, from 1 to 65535 (0: any free one).")
    return f"{host}:{int(port)}"


def _from_config(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder", Path())
    return Path(os.path.abspath(Path(folder) / path.expanduser()))


def _database(url: SecretStr, info: ValidationInfo) -> SecretStr:
    text = url.get_secret_value().strip()
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
        if not path or ":memory:" in path or "?" in path:
            raise ValueError("Name a file: sqlite:///data/certbridge.db. A database in memory would lose everything.")
        return SecretStr(f"sqlite:///{_from_config(Path(path), info)}")
    # The driver is ours to choose; the address that a provider of PostgreSQL hands out is accepted as it is.
    text = re.sub(r"^(postgres|postgresql|postgresql\+psycopg)://", "postgresql+psycopg://", text)
    if not text.startswith("postgresql+psycopg://"):
        raise ValueError("Allowed: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.")
    return SecretStr(text)


ListenAddress = Annotated[str, AfterValidator(_listen)]
FromConfig = Annotated[Path, AfterValidator(_from_config)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database)]


# -- people, places, times ---------------------------------------------------------------------------


def _one_address(text: str) -> str:
    if not re.fullmatch(_ADDRESS, text.strip()):
        raise ValueError("It is not an email address. Write it like training@school.example.")
    return _ascii_address(text.strip())


def _ascii_address(address: str) -> str:
    """Returns the address with its domain as mail servers know it. Raises ValueError."""
    local, _, domain = address.rpartition("@")
    return address if domain.isascii() and "xn--" not in domain.lower() else f"{local}@{_in_ascii(domain)}"


def _sender(text: str) -> str:
    match = _SENDER.fullmatch(text.strip())
    if not match:
        raise ValueError("It is not a sender. Write it like Acme Academy <training@school.example>.")
    name, address = (match[1] or "").strip(), _ascii_address(match[2] or match[3])
    if not name:
        return address
    # "Acme, Inc." unquoted would be two addresses to whoever reads the header.
    return f'"{name}" <{address}>' if _NEEDS_QUOTES.search(name) else f"{name} <{address}>"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name.replace(" ", "_"), sorted(available_timezones()), n=1, cutoff=0.6)
        advice = f"; did you mean {near[0]}?" if near else ". Write it like Europe/Berlin."
        raise ValueError(f"There is no such time zone{advice}") from None
    return name


def _locale(text: str) -> str:
    if not _LOCALE.fullmatch(text):
        raise ValueError("It is not a language. Write it like en, de or pt-BR.")
    return text.replace("_", "-")


def _since(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    zone = (info.context or {}).get("zone", UTC)
    try:
        if not _SINCE.fullmatch(value):
            raise ValueError
        if len(value) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(value), time(), zone).astimezone(UTC)
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("A date is needed, such as 2026-01-31, or a time such as 2026-01-31T08:00:00Z.") from None


def _secret(value: SecretStr) -> SecretStr:
    check_secret(value.get_secret_value())
    return value


def check_secret(text: str) -> None:
    """Raises ValueError for a secret that cannot be kept out of logs, or that cannot be sent as it is."""
    if len(text) < SHORTEST_SECRET:
        raise ValueError(f"It is too short for a secret: at least {SHORTEST_SECRET} characters.")
    if text != text.strip() or re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("It starts or ends with a space, or contains a line break or another control character.")


EmailAddress = Annotated[str, AfterValidator(_one_address)]
Sender = Annotated[str, AfterValidator(_sender)]
ZoneName = Annotated[str, AfterValidator(_zone)]
Locale = Annotated[str, AfterValidator(_locale)]
Since = Annotated[datetime, BeforeValidator(_since), WithJsonSchema({"type": "string"})]
Duration = Annotated[timedelta, BeforeValidator(duration), WithJsonSchema({"type": "string"})]
Secret = Annotated[SecretStr, AfterValidator(_secret)]
