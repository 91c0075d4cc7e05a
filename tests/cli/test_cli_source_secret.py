"""sources secret: a new secret is asked for, tried and written; the old one is accepted for seven days more."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_harbour import SECRET, Harbour
from flow.harbour_site import request

from bridge.app import read_config
from bridge.config.rotation import ACCEPTED
from bridge.core.errors import SignatureError

NEW = "another-signing-secret-0003"
WEEK = timedelta(days=7)


def signing(harbour: Harbour) -> Path:
    return harbour.folder / "keys" / "signing.key"


def change(harbour: Harbour, new: str = NEW, *words: str, code: int = 0, setting: str = "signing_secret") -> str:
    typed = f"{new}\n{new}\n"
    said = harbour.says("sources", "secret", "harbour", setting, *words, code=code, input=typed)
    assert new not in said, "a secret is never printed"
    assert SECRET not in said
    return said


def accepts(harbour: Harbour, secret: str) -> bool:
    """Tells whether a webhook with this secret would be accepted after a start of the daemon now."""
    from pydantic import SecretStr

    from bridge.app import open_bridge
    from bridge.core.signatures import hmac_signature

    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        headers = {"X-Harbour-Signature": hmac_signature(b"{}", SecretStr(secret))}
        try:
            bridge.sources["harbour"].connector.verify(request(b"{}", headers))
        except SignatureError:
            return False
        return True


def grow_old(file: Path, age: timedelta) -> None:
    then = (datetime.now(UTC) - age).timestamp()
    os.utime(file, (then, then))


def test_a_new_secret_is_written_and_the_old_one_is_accepted_for_seven_days(harbour: Harbour) -> None:
    said = change(harbour)
    assert "signing_secret of harbour is changed" in said
    assert "accepted for 7 days more" in said
    assert signing(harbour).read_text() == NEW + "\n"
    assert (accepts(harbour, NEW), accepts(harbour, SECRET)) == (True, True)
    before = signing(harbour).with_name("signing.key.previous")
    assert before.read_text().strip() == SECRET
    grow_old(before, WEEK - timedelta(minutes=5))
    assert accepts(harbour, SECRET)
    grow_old(before, WEEK + timedelta(minutes=5))
    assert (accepts(harbour, NEW), accepts(harbour, SECRET)) == (True, False)
    assert ACCEPTED == WEEK


def test_a_second_change_within_the_week_says_that_the_first_secret_ends(harbour: Harbour) -> None:
    third = "the-third-signing-secret-0004"
    assert "no longer is" not in change(harbour)
    assert "The one before that, which was still accepted until now, no longer is." in change(harbour, third)
    assert [accepts(harbour, one) for one in (third, NEW, SECRET)] == [True, True, False]


def test_both_files_are_for_their_owner_alone_and_keep_whom_he_let_in(harbour: Harbour) -> None:
    change(harbour)
    for file in (signing(harbour), signing(harbour).with_name("signing.key.previous")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    signing(harbour).chmod(0o644)
    change(harbour, "a-third-signing-secret-0004")
    for file in (signing(harbour), signing(harbour).with_name("signing.key.previous")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in signing(harbour).parent.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_is_a_link_stays_one(harbour: Harbour) -> None:
    elsewhere = harbour.folder / "vault.key"
    signing(harbour).rename(elsewhere)
    signing(harbour).symlink_to(elsewhere)
    change(harbour)
    assert signing(harbour).is_symlink()
    assert elsewhere.read_text() == NEW + "\n"
    assert accepts(harbour, SECRET)


def test_a_secret_that_the_platform_refuses_is_not_written(harbour: Harbour) -> None:
    harbour.says("sources", "test", "harbour")
    said = change(harbour, "a-wrong-api-key-9999", setting="api_key", code=1)
    assert "With the new api_key something is wrong that was right before, so nothing was changed" in said
    file = harbour.folder / "keys" / "api.key"
    assert file.read_text().strip() == harbour.vendor.api_key
    assert not file.with_name("api.key.previous").exists()
    change(harbour, "a-wrong-api-key-9999", "--untested", setting="api_key")
    assert file.read_text() == "a-wrong-api-key-9999\n"


def test_a_new_key_that_the_platform_takes_is_written(harbour: Harbour) -> None:
    harbour.vendor.api_key = "the-new-api-key-8888"
    change(harbour, "the-new-api-key-8888", setting="api_key")
    assert "Harbour accepts the key." in harbour.says("sources", "test", "harbour")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("abc", "too short"),
        ("short-one", "at least 12 characters"),
        (" spaces-around-the-secret ", "starts or ends with a space"),
        (SECRET, "in use already"),
    ],
)
def test_a_secret_that_the_configuration_would_refuse_is_not_written(harbour: Harbour, new: str, said: str) -> None:
    result = harbour.says(
        "sources", "secret", "harbour", "signing_secret", "--untested", code=1, input=f"{new}\n{new}\n"
    )
    assert said in result
    assert "othing was changed" in result
    assert signing(harbour).read_text().strip() == SECRET
    assert not signing(harbour).with_name("signing.key.previous").exists()
    read_config(harbour.config, {})


def test_typed_differently_the_second_time_it_is_asked_for_again(harbour: Harbour) -> None:
    typed = f"{NEW}\nsomething else\n{NEW}\n{NEW}\n"
    harbour.says("sources", "secret", "harbour", "signing_secret", input=typed)
    assert signing(harbour).read_text() == NEW + "\n"


def test_certbridge_may_choose_it_and_says_where_it_stands(harbour: Harbour) -> None:
    said = harbour.says("sources", "secret", "harbour", "signing_secret", "--generate")
    made = signing(harbour).read_text().strip()
    assert len(made) >= 40
    assert made not in said
    assert "Enter it at the platform: it stands in" in said
    assert accepts(harbour, SECRET)


def test_which_secret_is_meant_must_be_clear(harbour: Harbour) -> None:
    assert "Say which secret. harbour has these: api_key, signing_secret." in harbour.says(
        "sources", "secret", "harbour", code=2
    )
    said = harbour.says("sources", "secret", "harbour", "signing_secrt", code=2)
    assert "'signing_secrt' is no secret that is set; did you mean signing_secret?" in said
    assert "previous" not in said


def test_a_secret_inside_the_configuration_cannot_be_changed_and_says_how(harbour: Harbour) -> None:
    text = harbour.config.read_text().replace("signing_secret_file: keys/signing.key", f"signing_secret: {SECRET}")
    harbour.config.write_text(text)
    said = harbour.says("sources", "secret", "harbour", "signing_secret", code=1, input=f"{NEW}\n{NEW}\n")
    assert "Write signing_secret_file: keys/harbour-signing-secret.key instead" in said
    assert SECRET not in said
    assert harbour.config.read_text() == text


def test_the_change_is_in_the_history_and_the_secret_is_not_in_the_database(harbour: Harbour) -> None:
    from sqlalchemy import select

    from bridge.app import open_bridge
    from bridge.store import tables

    change(harbour)
    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        found = select(tables.history.c.data).where(tables.history.c.kind == "source.secret_changed")
        data = bridge.store.read(lambda tx: tx.connection.execute(found).scalars().all())
    assert data == [{"source": "harbour", "setting": "signing_secret"}]
    assert NEW.encode() not in (harbour.folder / "data" / "certbridge.db").read_bytes()
