"""The files of a first installation."""

from __future__ import annotations

import os
import stat
from importlib import resources
from pathlib import Path

import pytest
from fake_lms import CONNECTORS

from bridge.config import discover_connectors, load, starter, write_starter
from bridge.core.document import read
from bridge.core.errors import ConfigError
from bridge.core.mapping import compile_mapping, gather


def test_loads_as_it_is_with_its_sources_still_comments(tmp_path: Path) -> None:
    write_starter(tmp_path / "new", CONNECTORS)
    config = load(tmp_path / "new/config.yaml", CONNECTORS, {})
    assert config.sources == {}
    assert config.mail.mode == "off"
    assert len(config.recipient_key()) == 64


def test_the_commented_sources_work_once_the_signs_are_gone(tmp_path: Path) -> None:
    write_starter(tmp_path, CONNECTORS)
    path = tmp_path / "config.yaml"
    head, tail = path.read_text().split("\nsources:\n")
    tail = "\n".join(line.replace("  # ", "  ", 1) for line in tail.splitlines())
    tail = tail.replace("address:", "address: https://x.example").replace("signing_secret:", "signing_secret: 12345678")
    path.write_text(f"{head}\nsources:\n{tail}\n")
    config = load(path, CONNECTORS, {})
    assert {name: source.mode for name, source in config.sources.items()} == {
        "lms-school": "test",
        "plain-school": "test",
    }


def test_a_chosen_connector_lacks_only_what_the_admin_knows(tmp_path: Path) -> None:
    write_starter(tmp_path, CONNECTORS, ["lms"])
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml", CONNECTORS, {})
    assert [problem.message for problem in caught.value.problems] == [
        'sources.school has "address:" without a value. Write one; it is required.',
        'sources.school has "signing_secret:" without a value. Write one; it is required.',
    ]
    path = tmp_path / "config.yaml"
    text = path.read_text().replace(" address:", " address: https://lms.example")
    path.write_text(text.replace(" signing_secret:", " signing_secret: ${SECRET}"))
    config = load(path, CONNECTORS, {"SECRET": "a-signing-secret"})
    source = config.sources["school"]
    assert source.mode == "test"
    assert config.mapping_path("school") == tmp_path / "mappings/school.yaml"
    token = (tmp_path / "keys/school-url-token.key").read_text().strip()
    assert source.settings.url_token.get_secret_value() == token  # type: ignore[attr-defined]


def test_a_secret_that_the_sender_has_to_be_told_is_made_as_well(tmp_path: Path) -> None:
    connectors = discover_connectors()
    write_starter(tmp_path, connectors, ["zapier"])
    source = load(tmp_path / "config.yaml", connectors, {}).sources["school"]
    made = (tmp_path / "keys/school-header-token.key").read_text().strip()
    assert len(made) > 30
    assert source.settings.header_token.get_secret_value() == made  # type: ignore[attr-defined]
    # One that the vendor gives is none that certbridge could make up.
    write_starter(tmp_path / "lw", connectors, ["learnworlds"])
    assert [path.name for path in (tmp_path / "lw/keys").iterdir()] == ["recipient.key"]


def test_nothing_goes_live_under_the_name_that_init_wrote(tmp_path: Path) -> None:
    write_starter(tmp_path, CONNECTORS, ["plain"])
    path = tmp_path / "config.yaml"
    text = path.read_text().replace("mode: test\n", "mode: live\n").replace("mode: off", "mode: folder")
    path.write_text(text.replace("http://127.0.0.1:8080", "https://certificates.acme.example"))
    with pytest.raises(ConfigError, match=r"issuer\.name is still the placeholder"):
        load(path, CONNECTORS, {})


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written = write_starter(tmp_path / "new", CONNECTORS, ["lms"])
    finally:
        os.umask(before)
    for path in written:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == {
        "config.yaml",
        ".gitignore",
        "keys/recipient.key",
        "keys/school-url-token.key",
        "mappings/school.yaml",
    }


@pytest.mark.parametrize("name", ["config.yaml", "mappings/school.yaml", "keys/recipient.key"])
def test_never_overwrites_and_then_writes_nothing_at_all(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"{name} exists already; nothing was written"):
        write_starter(tmp_path, CONNECTORS, ["lms"])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="exists already"):
        write_starter(tmp_path, CONNECTORS)
    assert not (tmp_path / "elsewhere").exists()


def test_keys_are_fresh_every_time() -> None:
    first, second = starter(CONNECTORS, ["lms"]), starter(CONNECTORS, ["lms"])
    for name in ("keys/recipient.key", "keys/school-url-token.key"):
        assert first[name] != second[name]
        assert len(first[name].strip()) >= 40
        assert first[name].strip() not in first["config.yaml"]


def test_an_unknown_connector_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"There is no connector moodel\. Available: lms, plain\."):
        starter(CONNECTORS, ["moodel"])


def test_every_real_connector_can_be_started_with() -> None:
    connectors = discover_connectors()
    for name in connectors:
        files = starter(connectors, [name])
        assert read(files["config.yaml"], "c").at(("sources", "school", "connector")) == name
        bundle = gather("school.yaml", files["mappings/school.yaml"], shipped)
        assert compile_mapping(bundle).connector == name


def shipped(name: str) -> str | None:
    file = resources.files("mappings") / f"{name}.yaml"
    return file.read_text(encoding="utf-8") if file.is_file() else None
