"""Makes single parts of the bridge from the sections of the configuration that are about them."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from functools import partial
from urllib.parse import urlsplit

from bridge.clients.http import HttpClient
from bridge.clients.mail import Mailbox
from bridge.clients.smtp import FolderTransport, SmtpSettings, SmtpTransport
from bridge.config import Config
from bridge.config.forms import OFF
from bridge.core.source import Source
from bridge.flow.plan import MAIL, TEST_MAIL
from bridge.flow.schedule import Rhythm
from bridge.flow.send import Postbox
from bridge.observe import Redactor


def client(config: Config, source: Source, redactor: Redactor) -> HttpClient:
    """Returns the way out to the API of one source."""
    limits, block = config.limits, config.sources[source.name]
    return HttpClient(
        source.connector,
        allow_private=block.allow_private,
        redactor=redactor.text,
        timeout=(limits.connect_seconds, limits.read_seconds),
        max_bytes=limits.response_bytes,
        total_deadline=limits.request_seconds,
        ca_file=str(block.ca_file) if block.ca_file else None,
    )


def rhythms(config: Config, sources: Mapping[str, Source]) -> dict[str, Rhythm]:
    """Returns how often each source is asked: as configured, else as its connector recommends."""
    found = {}
    for name, source in sources.items():
        block = config.sources[name]
        every = block.poll_every if block.poll_every is not None else source.connector.poll_every
        polled = source.connector.polls() and every != OFF
        found[name] = Rhythm(every if polled else None, block.quiet_after or None)
    return found


def postboxes(config: Config) -> dict[str, Postbox]:
    """Returns the ways mail may leave: `mail` when it is set up, and the folder for test certificates always."""
    host = urlsplit(config.public_url).hostname or "localhost"
    name, address = parseaddr(config.mail.sender or f"{config.issuer.name} <certbridge@{host}>")
    box = partial(Postbox, sender=Mailbox(address, name), reply_to=config.mail.reply_to, host=host)
    boxes = {TEST_MAIL: box(FolderTransport(config.mail.test_folder))}
    if config.mail.mode == "folder":
        boxes[MAIL] = box(FolderTransport(config.mail.folder))
    elif config.mail.smtp is not None and config.mail.mode == "smtp":
        smtp = config.mail.smtp
        ca_file = str(smtp.ca_file) if smtp.ca_file else None
        known = {name: getattr(smtp, name) for name in SmtpSettings.model_fields}
        boxes[MAIL] = box(SmtpTransport(SmtpSettings(**{**known, "ca_file": ca_file})))
    return boxes
