"""Domains by IDNA 2008 everywhere: mail and connections go to the name that was written, or nowhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clients.mail import Mailbox, OutgoingMail, compose, one_address
from bridge.config.forms import _one_address, _sender, public_base
from bridge.config.machine import Server
from bridge.config.models import Smtp
from bridge.core.answers import _service_address
from bridge.core.declared.addresses import checked_address
from bridge.core.declared.texts import Unclear
from bridge.core.domains import ascii_address, ascii_domain
from bridge.core.errors import HeldError
from bridge.core.recipients import read_address
from bridge.core.transforms import lower

WRITTEN = {
    "faß.de": "xn--fa-hia.de",
    "FAẞ.de": "xn--fa-hia.de",
    "strasse.de": "strasse.de",
    "βόλος.gr": "xn--nxasmm1c.gr",
    "ΒΌΛΟΣ.gr": "xn--nxasmq6b.gr",  # UTS #46 has it so: the capital is the sigma that does not end a word
    "نامه\u200cای.com": "xn--mgba3gch31f060k.com",
    "ශ්\u200dරී.com": "xn--10cl1a0b660p.com",
    "ａｃｍｅ．example": "acme.example",
    "münchen。example": "xn--mnchen-3ya.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "XN--FA-HIA.DE": "xn--fa-hia.de",
    "r3---sn.example": "r3---sn.example",
}
IMPOSSIBLE = {
    "i❤.ws": "it holds HEAVY BLACK HEART (U+2764)",
    "xn--n3h.net": "U+2603",
    "xn--a.example": "U+0080",
    "xn--.example": "A-label",
    "xn--fass-.example": "hyphen",
    "\u0378.example": "it holds a sign without a name (U+0378)",
    "aא.example": "direction",
    "a\u200cb.example": "it holds ZERO WIDTH NON-JOINER (U+200C)",
    "a\u202eb.example": "it holds RIGHT-TO-LEFT OVERRIDE (U+202E)",
    "ü" * 300 + ".example": "too long",
    "ü..example": "Empty",
}


@pytest.mark.parametrize(("written", "meant"), WRITTEN.items())
def test_case_integrations_01_every_place_means_the_domain_that_was_written(written: str, meant: str) -> None:
    assert ascii_domain(written) == meant
    assert read_address(f"info@{written}") == f"info@{meant}"
    assert one_address(f"info@{written}") == f"info@{meant}"
    assert one_address(read_address(f"info@{written}")) == f"info@{meant}"
    assert public_base(f"https://{written}:8443/") == f"https://{meant}:8443"
    assert read_address(lower(f"INFO@{written}")) == f"info@{meant}"


@pytest.mark.parametrize(("written", "why"), IMPOSSIBLE.items())
def test_case_integrations_01_what_is_no_domain_is_refused_alike_in_every_place(written: str, why: str) -> None:
    with pytest.raises(ValueError, match="domain") as refused:
        ascii_domain(written)
    assert why in str(refused.value)
    with pytest.raises(ValueError, match="is not an e-mail address"):
        read_address(f"info@{written}")
    with pytest.raises(HeldError):
        one_address(f"info@{written}")
    with pytest.raises(ValueError):
        public_base(f"https://{written}")
    with pytest.raises(ValueError):
        _service_address(f"https://{written}/api")


def test_a_sender_and_an_api_beyond_ascii_keep_their_meaning() -> None:
    assert _sender("Faß & Söhne <post@faß.de>") == "Faß & Söhne <post@xn--fa-hia.de>"
    assert _one_address("post@faß.de") == "post@xn--fa-hia.de"
    assert _service_address("https://lms.faß.de/api/") == "https://lms.xn--fa-hia.de/api"
    assert ascii_address("https://[::1]:8080/ü") == "https://[::1]:8080/ü"


def test_the_mail_server_and_a_declared_api_are_reached_at_the_domain_that_was_written() -> None:
    assert Smtp.model_validate({"host": "smtp.faß.de"}).host == "smtp.xn--fa-hia.de"
    assert Smtp.model_validate({"host": "mail_server"}).host == "mail_server"
    assert Server.model_validate({"allowed_hosts": ["FAß.de", "[::1]"]}).allowed_hosts == ("xn--fa-hia.de", "[::1]")
    assert checked_address("https://lms.βόλος.gr:8443/api") == "https://lms.xn--nxasmm1c.gr:8443/api"
    with pytest.raises(Unclear, match="HEAVY BLACK HEART"):
        checked_address("https://i❤.ws")
    with pytest.raises(ValueError, match="HEAVY BLACK HEART"):
        Server.model_validate({"allowed_hosts": ["i❤.ws"]})


@pytest.mark.parametrize(
    "pasted",
    ["\u200bmaria@example.org", "\ufeffmaria@example.org", "\u202amaria@example.org\u202c", "maria@exam\u00adple.org",
     " \u200b maria@example.org\u2060", "maria\u200b@example.org", "maria@example.org\u200d"],
)  # fmt: skip
def test_case_integrations_18_signs_pasted_along_unseen_are_taken_out_of_an_address(pasted: str) -> None:
    assert read_address(pasted) == "maria@example.org"


@pytest.mark.parametrize(("inside", "named"), [("\u202e", "RIGHT-TO-LEFT OVERRIDE"), ("\u200d", "ZERO WIDTH JOINER")])
def test_case_integrations_18_an_unseen_sign_that_changes_the_address_is_named(inside: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"It holds an invisible sign, {named}"):
        read_address(f"ma{inside}ria@example.org")


LABEL = st.text(
    st.one_of(
        st.sampled_from("abcXYZ019-ßẞςΣσßäÄøæœĳİıñ"),
        st.sampled_from("\u200c\u200d\u200b\u00ad\ufeff．。｡ａＢ①ªº✓❤א١۱ا日本ー한"),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=12,
)


@given(st.lists(LABEL, min_size=1, max_size=3), st.sampled_from(["org", "de", "gr", "xn--p1ai", "한국"]))
def test_an_address_that_is_read_once_stays_as_it_is_in_header_and_envelope(labels: list[str], last: str) -> None:
    try:
        address = read_address("Maria+x@" + ".".join([*labels, last]))
    except ValueError:
        return
    assert address.isascii()
    assert read_address(address) == address
    mail = OutgoingMail(Mailbox("a@b.example"), Mailbox(address), "s", "t", "<p>t</p>", "<a@b.example>")
    assert mail.recipients == (address,)
    assert f"\r\nTo: {address}\r\n".encode() in compose(mail)
