"""Every setting there is, with its default, its limits and its description; the documentation is made from here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, SerializeAsAny, model_validator

from bridge.config.forms import (
    DatabaseUrl,
    Duration,
    EmailAddress,
    FromConfig,
    HostName,
    ListenAddress,
    Locale,
    PublicBase,
    Secret,
    Sender,
    Since,
    WebAddress,
    ZoneName,
)
from bridge.config.hidden import secrets_in
from bridge.config.machine import Limits, Log, Server
from bridge.config.section import Section
from bridge.core.connector import Connector, ConnectorSettings


def _part(description: str) -> Any:
    # An empty dictionary rather than an instance: it is validated with the context, which knows the folder.
    return Field(default={}, description=description)


class Issuer(Section):
    """Who issues, as printed on every certificate."""

    name: str = Field(
        min_length=1,
        max_length=200,
        description="The organisation's name, as it is printed.",
        examples=["Acme Academy"],
    )
    url: WebAddress | None = Field(
        None, description="The organisation's web site, linked from certificates.", examples=["https://acme.example"]
    )
    email: EmailAddress | None = Field(
        None, description="Where questions about a certificate go.", examples=["training@acme.example"]
    )
    zone: ZoneName = Field(
        description="The time zone in which dates are printed, unless a mapping says otherwise.",
        examples=["Europe/Berlin"],
    )
    locale: Locale = Field("en", description="The language of certificates and mails, unless a mapping says otherwise.")


class Keys(Section):
    """Keys of this installation; keep them, and keep a copy elsewhere."""

    recipient: Secret = Field(
        min_length=16,
        description="Turns addresses into keys that nobody can guess. A new one breaks the link to older certificates.",
        examples=["${CERTBRIDGE_RECIPIENT_KEY}"],
    )
    recipient_file: str | None = Field(
        None, description="A file that holds `recipient`, instead of it.", examples=["keys/recipient.key"]
    )


class Smtp(Section):
    """The mail server."""

    host: HostName = Field(min_length=1, max_length=253, description="Its name.", examples=["smtp.acme.example"])
    port: int | None = Field(
        None, ge=1, le=65535, description="Default: 587 with starttls, 465 with tls, 25 with none.", examples=[587]
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the connection is protected; none is accepted only for a server on this machine."
    )
    username: str | None = Field(None, min_length=1, description="For the login, if there is one.", examples=["acme"])
    password: Secret | None = Field(
        None, description="Belongs to the user name.", examples=["${CERTBRIDGE_SMTP_PASSWORD}"]
    )
    password_file: str | None = Field(
        None, description="A file that holds `password`, instead of it.", examples=["keys/smtp-password.key"]
    )
    timeout: float = Field(
        30.0, gt=0, le=300, allow_inf_nan=False, description="Seconds that the server may be silent."
    )
    ca_file: FromConfig | None = Field(
        None,
        description="The certificate authority (PEM file) of a server inside your own network.",
        examples=["keys/ca.pem"],
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.security == "none" and self.host not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError("security: none would send mails readable over the network. Use starttls or tls.")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: set both or neither.")
        return self


class Mail(Section):
    """How learners get their certificates."""

    mode: Literal["off", "folder", "smtp"] = Field(
        "off", description="off: deliveries are held; folder: mails become files; smtp: a mail server sends them."
    )
    sender: Sender | None = Field(
        None,
        alias="from",
        description="The sender that learners see. Needed with mode smtp.",
        examples=["Acme Academy <training@acme.example>"],
    )
    reply_to: EmailAddress | None = Field(
        None, description="Where answers go, if not to the sender.", examples=["office@acme.example"]
    )
    folder: FromConfig = Field(Path("mail"), description="Where mode folder writes its files (*.eml).")
    test_folder: FromConfig = Field(
        Path("mail-test"), description="Where the mails of sources in mode test go, whatever the mode above is."
    )
    smtp: Smtp | None = Field(None, description="The mail server. Needed with mode smtp.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "smtp" and self.smtp is None:
            raise ValueError("mode smtp needs the mail server: write smtp: and below it, indented, host: and the rest.")
        if self.mode == "smtp" and self.sender is None:
            raise ValueError("mode smtp needs a sender: write from: Your Name <you@school.example>.")
        return self


class SourceBlock(Section):
    """What every source has, beside the settings of its connector."""

    connector: str = Field(description="The kind of system.")
    mode: Literal["test", "live"] = Field(
        "test",
        description="test: certificates are marked TEST, mails become files, nothing is written back; live: for real.",
    )
    mapping: str | None = Field(
        None,
        min_length=1,
        description="Your mapping file, in the folder `mappings`. Default: the one shipped for this kind of system.",
        examples=["school.yaml"],
    )
    since: Since | None = Field(
        None,
        description="Completions before this date get no certificate. Default: when this source was first started.",
        examples=["2026-01-01"],
    )
    formerly: tuple[str, ...] = Field(
        (),
        max_length=20,
        description="Earlier names of this source, so that its past stays known. Default: none.",
        examples=[["academy"]],
    )
    poll_every: Duration | None = Field(
        None,
        description="The pause between two polls, where the system can be asked; off: webhooks only. Default: as the "
        "kind of system recommends.",
        examples=["15 minutes"],
    )
    quiet_after: Duration | None = Field(
        None,
        description="Raises the alarm when nothing was heard from this system for so long. Default: never.",
        examples=["7 days"],
    )
    hold_above: int = Field(
        500,
        ge=1,
        le=1_000_000,
        description="Completions in one hour above which the rest is held for a person: a mass import, or a mistake.",
    )
    allow_private: bool = Field(
        False, description="Whether this system may be reached at an address inside your own network."
    )
    ca_file: FromConfig | None = Field(
        None,
        description="The certificate authority (PEM file) of a system inside your own network.",
        examples=["keys/ca.pem"],
    )


class SourceConfig(SourceBlock):
    """One configured source."""

    name: str
    settings: SerializeAsAny[ConnectorSettings]
    since: datetime | None = None


class Config(Section):
    """The whole configuration."""

    public_url: PublicBase = Field(
        description="The address at which everybody reaches certbridge. QR codes on certificates carry it for years.",
        examples=["https://certificates.acme.example"],
    )
    listen: ListenAddress = Field(
        "127.0.0.1:8080",
        description="Where the web server listens: this machine only, behind a reverse proxy with https.",
    )
    data_dir: FromConfig = Field(Path("data"), description="The folder of everything that certbridge stores.")
    database: DatabaseUrl | None = Field(
        None,
        description="A SQLite file, or PostgreSQL for several machines. Default: the file certbridge.db in data_dir.",
        examples=["postgresql+psycopg://certbridge:${CERTBRIDGE_DATABASE_PASSWORD}@db.acme.example/certbridge"],
    )
    database_file: str | None = Field(
        None, description="A file that holds `database`, instead of it.", examples=["keys/database.key"]
    )
    mappings: FromConfig = Field(Path("mappings"), description="The folder of your mapping files.")
    templates: FromConfig = Field(Path("templates"), description="The folder of your own certificate templates.")
    allow_local_public_url: bool = Field(
        False,
        description="For rehearsals only: lets sources go live although public_url is not a public https address.",
    )
    issuer: Issuer = Field(description="Who issues, as printed on every certificate.")
    keys: Keys = Field(description="Keys of this installation. Keep a copy elsewhere.")
    mail: Mail = _part("How learners get their certificates.")
    limits: Limits = _part("What strangers and slow systems may use.")
    server: Server = _part("The web server. The defaults withstand slow and broken senders.")
    log: Log = _part("What certbridge says about its work, on standard error.")
    sources: dict[str, SourceConfig] = Field({}, description="The systems that report completions.")
    _connectors: Mapping[str, type[Connector[Any]]] = PrivateAttr(default={})
    _file: Path | None = PrivateAttr(default=None)

    @property
    def connectors(self) -> Mapping[str, type[Connector[Any]]]:
        """The connector of each kind of source that is configured, by its name."""
        return self._connectors

    def remember_connectors(self, connectors: Mapping[str, type[Connector[Any]]]) -> None:
        """Keeps what was found while reading: a declaration may be edited meanwhile."""
        self._connectors = dict(connectors)

    @property
    def file(self) -> Path | None:
        """The file it was read from."""
        return self._file

    def remember_file(self, path: Path) -> None:
        """Keeps where it was read from."""
        self._file = path

    @property
    def database_url(self) -> str:
        """The database's address; it may hold a password."""
        return self.database.get_secret_value() if self.database else f"sqlite:///{self.data_dir / 'certbridge.db'}"

    def mapping_path(self, source: str) -> Path | None:
        """Returns the admin's mapping file of a source, or None when the shipped one is used as it is."""
        name = self.sources[source].mapping
        return self.mappings / name if name else None

    def recipient_key(self) -> bytes:
        """Returns the key for hashing addresses."""
        return self.keys.recipient.get_secret_value().encode()

    def secrets(self) -> tuple[str, ...]:
        """Returns every secret value, for redaction."""
        return tuple(dict.fromkeys(secrets_in(self)))
