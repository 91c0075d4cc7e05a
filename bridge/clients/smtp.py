"""Hands mails to a mail server over SMTP, or puts them into a folder; never in plain text over a network."""

from __future__ import annotations

import ipaddress
import os
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.clients.mail import header_text, one_address
from bridge.clients.network import Deadline
from bridge.core.connector import Receipt
from bridge.core.errors import BridgeError, HeldError, PermanentError, TemporaryError

_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_TOTAL: Final = 180.0  # seconds for one mail in all, whatever the server drips


class SmtpSettings(BaseModel):
    """How to reach the mail server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(min_length=1, max_length=253)
    port: int | None = Field(default=None, ge=1, le=65535)
    """None for the usual one: 587 with starttls, 465 with tls, 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is allowed only for a mail server on this machine."""
    username: str | None = None
    password: SecretStr | None = None
    timeout: float = Field(default=30.0, gt=0, le=300)
    """Seconds that the server may be silent."""
    ca_file: str | None = None
    """PEM file with the certificate authority of a mail server inside the own network."""

    @model_validator(mode="after")
    def _consistent(self) -> SmtpSettings:
        if self.security == "none" and not _is_local(self.host):
            raise ValueError(
                f"security: none would send mail and password readable over the network to {self.host}."
                " Use starttls or tls; none is for a mail server on this machine (localhost)."
            )
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: set both or neither.")
        return self

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or _PORTS[self.security]


class MailTransport(Protocol):
    """A way for a composed mail to leave."""

    def send(self, message: bytes, sender: str, recipients: Sequence[str]) -> Receipt:
        """Hands over the mail to exactly these recipients, the learner first.

        Raises TemporaryError, PermanentError, and HeldError where a person has to mend the set-up.
        """
        ...


# -- SMTP ----------------------------------------------------------------------------------------


class SmtpTransport:
    """Sends through one mail server, a connection per mail."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings

    def send(self, message: bytes, sender: str, recipients: Sequence[str]) -> Receipt:
        """See `MailTransport.send`. Error codes: mail_login, mail_tls, mail_address, smtp_<code>, connection."""
        envelope = [one_address(address) for address in (sender, *recipients)]
        if len(envelope) < 2:
            raise ValueError("a mail needs a recipient")
        with self._connected() as server:
            self._log_in(server)
            self._say(server.mail(envelope[0]), f"sender {envelope[0]}")
            refused = self._recipients(server, envelope[1:])
            answer = self._data(server, message)
            _leave(server)
        return Receipt(f"{self._settings.host} accepted the mail: {answer}", False, _details(envelope[1:], refused))

    def check(self) -> None:
        """Connects and logs in without sending, for `certbridge doctor`. Raises what `send` raises."""
        with self._connected() as server:
            self._log_in(server)
            _leave(server)

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """Opens an encrypted connection, closes it at the end, and says in plain words what went wrong inside."""
        host = self._settings.host
        with Deadline(_TOTAL) as deadline:
            server: smtplib.SMTP | None = None
            try:
                server = self._open(deadline)
                yield server
            except ssl.SSLCertVerificationError as error:
                raise HeldError(
                    f"The mail server {host} shows a certificate that cannot be trusted ({error.verify_message})."
                    " Nothing was sent. Mend the certificate or set ca_file, then: certbridge outbox replay --held",
                    code="mail_tls",
                ) from error
            except smtplib.SMTPResponseException as error:
                raise self._refused(error.smtp_code, error.smtp_error, "connection") from error
            except (OSError, smtplib.SMTPException) as error:  # SMTPServerDisconnected, time-out, no such host
                raise TemporaryError(
                    f"The connection to the mail server {host} failed ({_plain_words(error)}).", code="connection"
                ) from error
            finally:
                if server is not None:
                    server.close()

    def _open(self, deadline: Deadline) -> smtplib.SMTP:
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.ca_file)
        kind = _WatchedTls if settings.security == "tls" else _Watched
        server = kind(deadline, settings, context)
        try:
            server.ehlo_or_helo_if_needed()
            self._encrypt(server, context)
        except BaseException:
            server.close()
            raise
        return server

    def _encrypt(self, server: smtplib.SMTP, context: ssl.SSLContext) -> None:
        if self._settings.security == "starttls":
            if not server.has_extn("starttls"):
                raise HeldError(
                    f"The mail server {self._settings.host} offers no encryption (STARTTLS); nothing was sent."
                    " Either the port is wrong (465 wants security: tls) or something on the way removed the offer.",
                    code="mail_tls",
                )
            server.starttls(context=context)
            server.ehlo()
        elif self._settings.security == "none" and not _is_local(_socket_of(server).getpeername()[0]):
            raise HeldError(
                f"{self._settings.host} is not on this machine, and security: none allows nothing else.",
                code="mail_tls",
            )

    def _log_in(self, server: smtplib.SMTP) -> None:
        settings = self._settings
        if settings.username is None or settings.password is None:
            return
        if not server.has_extn("auth"):
            raise HeldError(
                f"The mail server {settings.host} takes no login here. Remove username and password or check the port.",
                code="mail_login",
            )
        try:
            server.login(settings.username, settings.password.get_secret_value())
        except smtplib.SMTPAuthenticationError as error:
            raise self._refused(error.smtp_code, error.smtp_error, "login") from None
        except (smtplib.SMTPServerDisconnected, smtplib.SMTPHeloError):
            raise
        except smtplib.SMTPException as error:
            raise HeldError(
                f"The mail server {settings.host} wants a kind of login that certbridge does not speak.",
                code="mail_login",
            ) from error

    def _recipients(self, server: smtplib.SMTP, recipients: Sequence[str]) -> dict[str, str]:
        """Names the recipients; the learner must be accepted, a refused copy must not keep the mail from them."""
        self._say(server.rcpt(recipients[0]), recipients[0])
        refused = {}
        for address in recipients[1:]:
            code, text = server.rcpt(address)
            if code not in (250, 251):
                refused[address] = f"{code} {_shown(text)}"
        return refused

    def _data(self, server: smtplib.SMTP, message: bytes) -> str:
        try:
            code, text = server.data(message)
        except smtplib.SMTPDataError as error:
            raise self._refused(error.smtp_code, error.smtp_error, "contents") from error
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            raise TemporaryError(
                f"The mail server {self._settings.host} broke off while taking the mail; whether it kept it is unknown."
                " It will be sent again with the same Message-ID.",
                code="connection",
            ) from error
        self._say((code, text), "contents")
        return f"{code} {_shown(text)}"

    def _say(self, answer: tuple[int, bytes], about: str) -> None:
        code, text = answer
        if code not in (250, 251):
            raise self._refused(code, text, about)

    def _refused(self, code: int, text: bytes | str, about: str) -> BridgeError:
        """Returns the error a reply code stands for (RFC 5321 4.2.1, RFC 4954 for logins)."""
        host = self._settings.host
        if code in (530, 534, 535, 538) or (about == "login" and code >= 500):
            return HeldError(
                f"The mail server {host} refused the login ({code} {_shown(text)})."
                " Check username and password, then: certbridge outbox replay --held",
                code="mail_login",
            )
        message = f"The mail server {host} answered {code} {_shown(text)} ({about})"
        if code >= 500:
            return PermanentError(f"{message}. It will refuse this mail again.", code=f"smtp_{code}")
        return TemporaryError(f"{message}; certbridge tries again.", code=f"smtp_{code}")


class _Watched(smtplib.SMTP):
    """Connects at once, under the deadline from the first byte on."""

    def __init__(self, deadline: Deadline, settings: SmtpSettings, context: ssl.SSLContext) -> None:
        self._deadline = deadline
        super().__init__(settings.host, settings.effective_port, timeout=settings.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._deadline.watch(sock)
        return sock


class _WatchedTls(smtplib.SMTP_SSL, _Watched):
    """The same with TLS from the start; SMTP_SSL wraps the socket that _Watched has opened."""

    def __init__(self, deadline: Deadline, settings: SmtpSettings, context: ssl.SSLContext) -> None:
        self._deadline = deadline
        smtplib.SMTP_SSL.__init__(
            self, settings.host, settings.effective_port, timeout=settings.timeout, context=context
        )


def _leave(server: smtplib.SMTP) -> None:
    try:
        server.quit()
    except (OSError, smtplib.SMTPException):
        return  # the mail is accepted by now; how the server says goodbye does not matter


def _details(recipients: Sequence[str], refused: dict[str, str]) -> dict[str, object]:
    accepted = [address for address in recipients if address not in refused]
    return {"accepted": accepted, "refused": refused} if refused else {"accepted": accepted}


def _shown(text: bytes | str) -> str:
    plain = text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
    return header_text(plain, 200)


def _plain_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name could not be found"
    if isinstance(error, ConnectionRefusedError):
        return "nobody is listening there"
    return header_text(str(error), 200) or type(error).__name__


def _socket_of(server: smtplib.SMTP) -> socket.socket:
    sock = server.sock
    if sock is None:
        raise smtplib.SMTPServerDisconnected("the connection is closed")
    return sock


def _is_local(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# -- folder --------------------------------------------------------------------------------------


class FolderTransport:
    """Writes each mail to `<message-id>.eml`, for test mode and for trying things out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: bytes, sender: str, recipients: Sequence[str]) -> Receipt:
        """See `MailTransport.send`; the file is on disk when this returns, and a repeat replaces it.

        Raises TemporaryError when the folder cannot be written.
        """
        envelope = [one_address(address) for address in (sender, *recipients)]
        path = self._folder / f"{_file_stem(message)}.eml"
        try:
            # Learners' names, addresses and certificates; who wants others to read them makes the folder himself.
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_durably(path, message)
        except OSError as error:
            raise TemporaryError(f"The mail folder {self._folder} cannot be written: {error.strerror}.") from error
        return Receipt(f"written to {path}", True, {"accepted": envelope[1:], "file": str(path)})


def _file_stem(message: bytes) -> str:
    message_id = str(BytesHeaderParser().parsebytes(message[:65_536])["Message-ID"] or "").strip().strip("<>")
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "+-_@.") else "-" for sign in message_id)
    if not safe.strip(".-"):
        raise ValueError("a mail needs a Message-ID")
    return safe.lstrip(".")[:200]


def _write_durably(path: Path, data: bytes) -> None:
    """Writes beside the target and renames, so that a reader and a crash see the whole file or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
