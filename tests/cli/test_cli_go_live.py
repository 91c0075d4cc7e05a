"""sources go-live: what test mode caught, whether all is ready, and exactly one changed word in the configuration."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta

import pytest
from cli_harbour import Harbour

from bridge.app import open_bridge, read_config
from bridge.store import sources


@pytest.fixture
def tried(harbour: Harbour) -> Harbour:
    """A school whose source is in test mode."""
    harbour.config.write_text(harbour.config.read_text().replace("mode: live         #", "mode: test         #"))
    return harbour


def go_live(harbour: Harbour, *words: str, code: int = 0, input: str = "y\n") -> str:
    return harbour.says("sources", "go-live", "harbour", *words, code=code, input=input)


def start_line(harbour: Harbour) -> datetime:
    with open_bridge(read_config(harbour.config, {}), role="command") as bridge:
        return bridge.store.read(lambda tx: sources.known(tx, "harbour").since)


def changed_words(before: str, after: str) -> list[tuple[str, str]]:
    """Returns the words that differ, and makes sure that every other character is the same."""
    first, second = before.split(), after.split()
    assert len(first) == len(second)
    return [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]


def test_exactly_one_word_changes_and_comments_order_and_mode_of_the_file_stay(tried: Harbour) -> None:
    before = tried.config.read_bytes().decode()
    tried.config.chmod(0o640)
    said = go_live(tried)
    assert "harbour is live from the next start on: restart certbridge serve." in said
    after = tried.config.read_bytes().decode()
    assert changed_words(before, after) == [("test", "live")]
    assert after == before.replace("mode: test ", "mode: live ")
    assert stat.S_IMODE(tried.config.stat().st_mode) == 0o640
    assert read_config(tried.config, {}).sources["harbour"].mode == "live"
    assert "harbour is live already." in go_live(tried)
    assert tried.config.read_bytes().decode() == after


LINE = "    mode: test         # until Ana has looked at it\n"
CONNECTOR = "    connector: harbour   # the platform\n"


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("    mode: 'test'\n", "    mode: 'live'\n"),
        ('    mode: "test"   # test\n', '    mode: "live"   # test\n'),
        ("    mode:   test\n", "    mode:   live\n"),
        ("    mode:\n      test\n", "    mode:\n      live\n"),
        ('    "mode": test\n', '    "mode": live\n'),
    ],
)
def test_however_the_word_is_written_it_is_that_word(tried: Harbour, was: str, becomes: str) -> None:
    text = tried.config.read_text().replace(LINE, was)
    tried.config.write_text(text)
    go_live(tried)
    assert tried.config.read_text() == text.replace(was, becomes)


def test_a_missing_line_is_added_below_the_connector(tried: Harbour) -> None:
    text = tried.config.read_text().replace(LINE, "")
    tried.config.write_text(text)
    go_live(tried)
    assert tried.config.read_text() == text.replace(CONNECTOR, f"{CONNECTOR}    mode: live\n")


def test_a_last_line_without_an_end_does_not_run_into_the_new_one(tried: Harbour) -> None:
    text = tried.config.read_text().replace(LINE, "").replace(CONNECTOR, "")
    head, block = text.split("  harbour:\n")
    harbour, attendance = block.split("  attendance:\n")
    tried.config.write_text(f"{head}  attendance:\n{attendance}  harbour:\n{harbour}    connector: harbour")
    go_live(tried)
    assert tried.config.read_text().endswith("    connector: harbour\n    mode: live\n")
    assert read_config(tried.config, {}).sources["harbour"].mode == "live"


def test_line_ends_and_byte_order_mark_of_windows_stay(tried: Harbour) -> None:
    raw = b"\xef\xbb\xbf" + tried.config.read_bytes().replace(b"\n", b"\r\n")
    tried.config.write_bytes(raw)
    go_live(tried)
    assert tried.config.read_bytes() == raw.replace(b"mode: test ", b"mode: live ")
    tried.config.write_bytes(raw.replace(LINE.encode().replace(b"\n", b"\r\n"), b""))
    go_live(tried)
    assert b"    mode: live\r\n" in tried.config.read_bytes()
    assert b"\n" not in tried.config.read_bytes().replace(b"\r\n", b"")


def test_in_one_line_the_word_is_found_too(tried: Harbour) -> None:
    text = tried.config.read_text()
    block = text[text.index("  harbour:\n") : text.index("  attendance:")]
    flow = (
        f"  harbour: {{poll_every: off, url: {tried.vendor.url}, mode: test, connector: harbour, allow_private: true,\n"
    )
    flow += "    api_key_file: keys/api.key, signing_secret_file: keys/signing.key, mapping: harbour.yaml}\n"
    tried.config.write_text(text.replace(block, flow))
    go_live(tried)
    assert tried.config.read_text() == text.replace(block, flow.replace("mode: test", "mode: live"))


def test_what_cannot_be_changed_safely_is_left_to_a_person(tried: Harbour) -> None:
    text = tried.config.read_text().replace(LINE, "    mode: |-\n      test\n")
    tried.config.write_text(text)
    assert "Write mode: live for harbour by hand" in go_live(tried, code=1)
    assert tried.config.read_text() == text


def test_a_variable_is_never_replaced_by_a_word(tried: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARBOUR_MODE", "test")
    text = tried.config.read_text().replace(LINE, "    mode: ${HARBOUR_MODE}\n")
    tried.config.write_text(text)
    assert "Write mode: live for harbour by hand" in go_live(tried, code=1)
    assert tried.config.read_text() == text


# -- ready? ---------------------------------------------------------------------------------------


def refused(harbour: Harbour) -> str:
    before = harbour.config.read_text()
    said = go_live(harbour, "--yes", code=1)
    assert "harbour stays in test mode. Mend what is marked, and try again." in said
    assert harbour.config.read_text() == before
    return said


def test_a_key_that_the_platform_refuses_keeps_it_in_test_mode(tried: Harbour) -> None:
    tried.vendor.api_key = "another-key-altogether"
    assert "✗" in refused(tried)


def test_without_mail_or_a_public_address_it_stays_in_test_mode(tried: Harbour) -> None:
    text = tried.config.read_text().replace("    mode: live\n", "    mode: test\n")
    tried.config.write_text(text.replace("https://certificates.acme.example", "http://127.0.0.1:8080"))
    refused(tried)
    tried.config.write_text(text.replace("mode: folder, from: Acme Academy <training@acme.example>", "mode: off"))
    assert "mail" in refused(tried)


def test_no_is_no(tried: Harbour) -> None:
    before = tried.config.read_text()
    assert tried.certbridge("sources", "go-live", "harbour", input="n\n").exit_code == 130
    assert tried.config.read_text() == before


# -- what happens then ------------------------------------------------------------------------------


def catch_one(harbour: Harbour) -> None:
    """Lets test mode catch a completion of a moment ago."""
    harbour.says("sources", "list")
    harbour.vendor.complete("1", datetime.now(UTC), name="Maria Silva")
    harbour.says("poll", "harbour")


def test_what_test_mode_caught_is_listed_and_found_again_by_the_first_live_poll(tried: Harbour) -> None:
    assert "Nothing yet. Complete a course as a test learner first" in go_live(tried, code=130, input="n\n")
    catch_one(tried)
    said = go_live(tried)
    assert "Maria Silva" in said
    assert "The first poll finds those of the 1 above again that are not older, and issues them for real" in said
    tried.says("poll", "harbour")
    assert tried.issued() == ["Maria Silva", "Maria Silva"]
    assert tried.mails() == 1


def test_what_came_but_led_to_no_certificate_is_not_passed_over(tried: Harbour) -> None:
    tried.says("sources", "list")
    tried.vendor.complete("1", datetime.now(UTC), name=" ")
    tried.says("poll", "harbour")
    said = go_live(tried, code=130, input="n\n")
    assert "1 held: these events led to no certificate, and the next ones like them will not either." in said
    assert "The reasons: certbridge events list --source harbour" in said
    assert "No certificate yet. Complete a course as a test learner first" in said
    assert "Nothing yet" not in said


def test_from_now_on_what_test_mode_caught_gets_nothing_real(tried: Harbour) -> None:
    catch_one(tried)
    before = start_line(tried)
    said = go_live(tried, "--from-now")
    assert "Completions from now on get real certificates" in said
    assert start_line(tried) > before
    polled = tried.says("poll", "harbour")
    assert "1 from before the start line" in polled
    assert tried.mails() == 0
    tried.vendor.complete("2", datetime.now(UTC) + timedelta(seconds=1), name="Nora Berg")
    tried.says("poll", "harbour")
    assert tried.mails() == 1


def test_a_start_line_in_the_configuration_would_undo_from_now_and_is_named(tried: Harbour) -> None:
    tried.since("2020-01-01")
    before = tried.config.read_text()
    said = go_live(tried, "--from-now", code=1)
    assert "since: of harbour is set in" in said
    assert "Remove that line, and try again." in said
    assert tried.config.read_text() == before
    go_live(tried)
    assert start_line(tried).year in (2019, 2020)


def test_a_configuration_that_cannot_be_written_is_said_and_stays(
    tried: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bridge.config.files.os.fsync", full)
    before = tried.config.read_text()
    assert "cannot be written (No space left on device). Write mode: live by hand." in go_live(tried, code=1)
    assert tried.config.read_text() == before
    assert sorted(path.name for path in tried.folder.iterdir() if path.name.startswith(".")) == []
