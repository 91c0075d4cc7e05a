"""serve, send and sources, with a real bridge running beside the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_school import School, completed, make_school

from bridge.store.engine import OwnerLock

PROGRAM = "import sys; from bridge.cli import main; sys.argv[0] = 'certbridge'; main()"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(school: School) -> tuple[subprocess.Popen[str], str]:
    """Starts the real daemon; returns it with what it said until it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "-c", str(school.config), "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Ctrl-C"):
            break
    return process, said


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(timeout=60)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[School, str]]:
    """A school that serves, with what `serve` said."""
    school = make_school(tmp_path_factory.mktemp("running") / "school", port=free_port())
    process, said = serve(school)
    try:
        yield school, said
    finally:
        assert stop(process) == 0


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A fresh completion in a file, with headers beside it."""
    (tmp_path / "body").write_bytes(completed(event=tmp_path.name, user=abs(hash(tmp_path.name)) % 10**9))
    (tmp_path / "headers.json").write_text('{"Content-Type": "application/json", "Host": "elsewhere.example"}')
    return tmp_path


def test_serve_says_where_it_listens_and_where_webhooks_go(running: tuple[School, str]) -> None:
    school, said = running
    port = school.config.read_text().split("127.0.0.1:")[1].split()[0]
    assert f"certbridge listens on http://127.0.0.1:{port}" in said
    assert "school  Thinkific, live" in said
    assert "https://certificates.acme.example/hooks/school/***" in said
    assert "url-token" not in said


def test_a_second_serve_on_the_same_file_is_refused(running: tuple[School, str]) -> None:
    result = running[0].certbridge("serve")
    assert result.exit_code == 1
    assert "Only one may serve a SQLite file" in result.stderr


def test_case_hostile_4_serve_waits_for_a_command_and_says_so(tmp_path: Path) -> None:
    school = make_school(tmp_path / "school", port=free_port())
    school.certbridge("sources", "list")
    log = tmp_path / "log"
    with log.open("wb") as err, OwnerLock(f"sqlite:///{school.folder}/data/certbridge.db", command=True) as command:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "-c", str(school.config), "serve"],
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
        )
        while not command.wanted() or "waiting for a command" not in log.read_text():
            assert process.poll() is None, log.read_text()
        second = school.certbridge("serve")
        assert second.exit_code == 1
        assert f"process {process.pid}" in second.stderr
        assert str(os.getpid()) in log.read_text()
    assert process.stdout is not None
    assert any(line.startswith("Ctrl-C") for line in process.stdout)
    assert stop(process) == 0


def test_serve_that_waits_for_a_command_ends_when_it_is_told_to(tmp_path: Path) -> None:
    school = make_school(tmp_path / "school", port=free_port())
    school.certbridge("sources", "list")
    with OwnerLock(f"sqlite:///{school.folder}/data/certbridge.db", command=True) as command:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "-c", str(school.config), "serve"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        while not command.wanted():
            assert process.poll() is None
        assert stop(process) == 0


def test_send_posts_a_signed_sample_and_follows_it_to_the_last_mail(running: tuple[School, str], sample: Path) -> None:
    school, _ = running
    result = school.certbridge("send", "school", str(sample / "body"), "--follow")
    assert result.exit_code == 0, result.output
    places = [result.output.index(part) for part in ("POST http", "HTTP 200", "event ", "certificate ", "mail to ")]
    assert places == sorted(places)
    assert "done" in result.output
    assert "url-token" not in result.output


def test_a_folder_is_a_sample_as_well(running: tuple[School, str], sample: Path) -> None:
    result = running[0].certbridge("send", "school", str(sample))
    assert result.exit_code == 0, result.output
    assert '"accepted"' in result.output
    again = running[0].certbridge("send", "school", str(sample))
    assert '"duplicate"' in again.output


def test_following_an_event_that_is_held_ends_with_what_can_be_done(
    running: tuple[School, str], tmp_path: Path
) -> None:
    (tmp_path / "body").write_bytes(completed("X", "", user=31, event="held-1"))
    result = running[0].certbridge("send", "school", str(tmp_path), "--follow")
    assert result.exit_code == 1
    assert "looks incomplete" in " ".join(result.output.split())
    assert "certbridge events release" in result.output


def test_commands_work_beside_the_daemon_and_leave_the_work_to_it(running: tuple[School, str], tmp_path: Path) -> None:
    school, _ = running
    (tmp_path / "body").write_bytes(completed("Y", "", user=32, event="held-2"))
    assert school.certbridge("send", "school", str(tmp_path), "--follow").exit_code == 1
    held = school.json("events", "list", "--text", "32@example.org")
    assert isinstance(held, list)
    number = str(held[0]["id"])
    result = school.certbridge("events", "release", number, "--set", "recipient.name=Yara Nowak", "--reason", "asked")
    assert result.exit_code == 0, result.output
    assert "Yara Nowak, Fire Safety" in result.output
    assert "done" in result.output


def test_a_bridge_with_another_secret_refuses_and_the_command_says_so(
    running: tuple[School, str], sample: Path, tmp_path: Path
) -> None:
    other = make_school(tmp_path / "other")
    other.config.write_text(other.config.read_text().replace("signing_secret: a-", "signing_secret: b-"))
    port = running[0].config.read_text().split("127.0.0.1:")[1].split()[0]
    result = other.certbridge("send", "school", str(sample), "--url", f"http://127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "HTTP 401" in result.output
    assert "The bridge refused it as not authentic; why: certbridge sources show school." in result.stderr
    shown = running[0].certbridge("sources", "show", "school", columns=250).output
    assert "refused       the last one, HTTP 401: " in shown


def test_without_a_running_bridge_send_says_how_to_start_one(school: School, sample: Path) -> None:
    result = school.certbridge("send", "school", str(sample), "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert "refused the connection" in result.stderr
    assert "certbridge serve" in result.stderr


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8080", "http://", "http://127.0.0.1/?a=b"])
def test_a_wrong_address_is_answered_with_a_right_one(school: School, sample: Path, url: str) -> None:
    result = school.certbridge("send", "school", str(sample), "--url", url)
    assert result.exit_code == 2
    assert "Write it as http://127.0.0.1:8080." in result.output


def test_headers_that_no_request_can_carry_are_refused(school: School, sample: Path) -> None:
    (sample / "headers.json").write_text('{"X-Test": "a\\r\\nX-Evil: b"}')
    result = school.certbridge("send", "school", str(sample))
    assert result.exit_code == 1
    assert "'X-Test' has characters that no header can carry" in result.stderr


def test_an_unknown_source_is_answered_with_the_known_ones(school: School, sample: Path) -> None:
    result = school.certbridge("send", "scholl", str(sample))
    assert result.exit_code == 2
    assert "did you mean school? Configured: school." in result.output


# -- sources ----------------------------------------------------------------------------------------


def test_sources_are_listed_with_where_they_stand(busy: School) -> None:
    shown = busy.certbridge("sources", "list").output
    for part in ("Thinkific, live", "/hooks/school/***", "school.yaml", "2020-01-01", "4 held", "1 done", "1 failed"):
        assert part in shown
    assert "url-token" not in shown
    rows = busy.json("sources", "list")
    assert isinstance(rows, list)
    assert rows[0]["events"] == {"held": 4, "done": 1, "ignored": 1, "failed": 1}
    assert rows[0]["webhook_url"].endswith("/hooks/school/***")


def test_a_configuration_without_sources_says_what_to_do(school: School) -> None:
    school.config.write_text(school.config.read_text().split("sources:")[0])
    result = school.certbridge("sources", "list")
    assert result.exit_code == 0
    assert "names no source yet" in " ".join(result.output.split())
    assert "It names no source yet." in school.certbridge("check").output
