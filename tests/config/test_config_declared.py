"""A kind of source that an admin declares: one file in the folder of mappings, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_lms import CONNECTORS, MINIMAL

from bridge.app import mapping_files, mapping_texts, read_config
from bridge.config import Config, load, schemas
from bridge.config.declared import shipped_connector, shipped_declarations
from bridge.config.example import source_lines
from bridge.core.declared import DeclaredConnector
from bridge.core.errors import ConfigError, MappingError
from bridge.flow.mappings import read_mapping

DECLARATION = """\
source:
  title: Acme LMS
  docs_url: https://acme.example/webhooks
  settings:
    school: {description: "The school, as in SCHOOL.acme.example.", example: north, pattern: "[a-z]{2,20}"}
  webhook:
    proof:
      - header: {name: X-Token}
    type: "{{ item.type }}"
  event:
    subject: "{{ data.user }}"
    course: "{{ data.course }}"
events:
  done:
    completion:
      name: "{{ data.name }}"
"""
SOURCE = """\
sources:
  north:
    connector: acme
    header_token: a-token-of-the-school
    school: north
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a configuration and one declaration."""
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "acme.yaml").write_text(DECLARATION)
    (tmp_path / "config.yaml").write_text(MINIMAL + SOURCE)
    return tmp_path


def read(place: Path, **connectors: Any) -> Config:
    return load(place / "config.yaml", connectors or CONNECTORS, {})


def refused(place: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(place)
    return str(caught.value).splitlines()


def test_adding_a_kind_of_source_is_one_file(place: Path) -> None:
    before = {file.name for file in place.rglob("*.yaml")}
    assert before == {"config.yaml", "acme.yaml"}
    config = read(place)
    connector = config.connectors["acme"](config.sources["north"].settings)
    assert isinstance(connector, DeclaredConnector)
    assert connector.event_types == {"done"}
    assert connector.settings.school == "north"  # type: ignore[attr-defined]
    assert config.secrets() == ("0123456789abcdef", "a-token-of-the-school")


def test_the_example_and_the_schema_follow_from_the_declaration(place: Path) -> None:
    connector = read(place).connectors["acme"]
    text = "\n".join(source_lines("acme", connector, explain_common=False))
    assert "    # The school, as in SCHOOL.acme.example." in text
    assert "    school: north" in text
    assert "    header_token: ${ACME_HEADER_TOKEN}" in text
    assert "header_token_file" in str(schemas({"acme": connector}))


@pytest.mark.parametrize("name", shipped_declarations())
def test_every_shipped_declaration_can_be_set_up_with_its_defaults(place: Path, name: str) -> None:
    settings = ""
    for setting, info in shipped_connector(name).Settings.model_fields.items():
        if info.is_required() or info.default is None:
            settings += f"    {setting}: {(info.examples or ['a-value-of-some-length'])[0]}\n"
    (place / "config.yaml").write_text(f"{MINIMAL}sources:\n  school:\n    connector: {name}\n{settings}")
    config = read_config(place / "config.yaml", {})
    assert config.connectors[name](config.sources["school"].settings).name == name


def test_its_settings_are_checked_like_those_of_every_source(place: Path) -> None:
    (place / "config.yaml").write_text(MINIMAL + SOURCE.replace("school: north", "shcool: north"))
    assert refused(place) == [
        'config.yaml:5:3 sources.north has no "school". It is required.',
        'config.yaml:8:5 sources.north has "shcool: north". There is no such setting; did you mean school?',
    ]
    (place / "config.yaml").write_text(MINIMAL + SOURCE.replace("school: north", "school: North!"))
    (message,) = refused(place)
    assert (
        message == 'config.yaml:8:13 sources.north has "school: North!". It has not the right form; an example: north.'
    )


def test_a_secret_may_stand_in_a_file(place: Path) -> None:
    (place / "token.key").write_text("a-token-from-a-file\n")
    text = SOURCE.replace("header_token: a-token-of-the-school", "header_token_file: token.key")
    (place / "config.yaml").write_text(MINIMAL + text)
    assert "a-token-from-a-file" in read(place).secrets()


def test_a_wrong_declaration_is_refused_with_its_own_place(place: Path) -> None:
    wrong = DECLARATION.replace("item.type", "itm.type").replace("subject:", "sbject:")
    (place / "mappings" / "acme.yaml").write_text(wrong)
    assert refused(place) == [
        'mappings/acme.yaml:9:11 source.webhook has "type: {{ itm.type }}". "itm" is not known; did you mean item?',
        'mappings/acme.yaml:11:5 source.event has "sbject: {{ data.user }}". There is no such setting; did you mean '
        "subject?",
    ]


def test_two_sources_of_a_wrong_declaration_say_it_once(place: Path) -> None:
    (place / "mappings" / "acme.yaml").write_text(DECLARATION.replace("item.type", "itm.type"))
    (place / "config.yaml").write_text(
        MINIMAL + SOURCE + SOURCE.replace("sources:\n", "").replace("north:", "south:", 1)
    )
    assert len(refused(place)) == 1


def test_it_may_not_take_the_name_of_an_installed_connector(place: Path) -> None:
    (place / "mappings" / "lms.yaml").write_text("# ours\n" + DECLARATION)
    (place / "config.yaml").write_text(MINIMAL + SOURCE.replace("connector: acme", "connector: lms"))
    assert refused(place) == [
        "mappings/lms.yaml:2:1 There is a connector lms already; a declaration of the same name is not used. Rename "
        "this file."
    ]


def test_a_mapping_of_the_name_of_a_connector_declares_nothing(place: Path) -> None:
    (place / "mappings" / "plain.yaml").write_text("extends: plain\n")
    (place / "config.yaml").write_text(MINIMAL + "sources: {x: {connector: plain}}\n")
    assert read(place).connectors["plain"] is CONNECTORS["plain"]


@pytest.mark.parametrize("name", ["acne", "../mappings/acme", "ACME", "acme.yaml", "school"])
def test_a_connector_that_nobody_declares_is_not_found_and_the_declared_ones_are_named(place: Path, name: str) -> None:
    (place / "mappings" / "school.yaml").write_text("extends: acme\n")
    (place / "config.yaml").write_text(MINIMAL + SOURCE.replace("connector: acme", f"connector: {name}"))
    (message,) = refused(place)
    assert "There is no such connector" in message
    assert "acme" in message


def test_the_folder_of_mappings_is_the_configured_one(place: Path) -> None:
    (place / "mappings").rename(place / "ours")
    (place / "config.yaml").write_text(MINIMAL + "mappings: ours\n" + SOURCE)
    assert "acme" in read(place).connectors


def test_another_mapping_of_the_admin_may_extend_it(place: Path) -> None:
    (place / "mappings" / "north.yaml").write_text("extends: acme\nother_courses: issue\n")
    (place / "config.yaml").write_text(MINIMAL + SOURCE + "    mapping: north.yaml\n")
    config = read_config(place / "config.yaml", {})
    mapping = read_mapping(mapping_files(config)["north"], mapping_texts(config))
    assert mapping.connector == "acme"
    assert mapping.event_types() == ["done"]
    assert mapping.courses()


def test_a_declaration_may_build_on_a_shipped_one_or_on_another_of_the_admin(place: Path) -> None:
    (place / "mappings" / "ifttt.yaml").write_text("extends: zapier\nsource: {title: IFTTT}\n")
    (place / "mappings" / "south.yaml").write_text("extends: acme\nsource: {title: Acme South}\n")
    south = "  south: {connector: south, header_token: another-token-1, school: south}\n"
    ifttt = "  ifttt: {connector: ifttt, header_token: another-token-2}\n"
    (place / "config.yaml").write_text(MINIMAL + "sources:\n" + south + ifttt)
    config = read_config(place / "config.yaml", {})
    assert [config.connectors[name].title for name in ("south", "ifttt")] == ["Acme South", "IFTTT"]
    mappings = {name: read_mapping(file, mapping_texts(config)) for name, file in mapping_files(config).items()}
    assert {name: mapping.connector for name, mapping in mappings.items()} == {"south": "south", "ifttt": "ifttt"}


def test_without_a_mapping_of_its_own_a_source_uses_the_declared_one(place: Path) -> None:
    config = read_config(place / "config.yaml", {})
    assert read_mapping(mapping_files(config)["north"], mapping_texts(config)).connector == "acme"


def test_a_mapping_of_another_kind_is_refused(place: Path) -> None:
    (place / "mappings" / "north.yaml").write_text("extends: thinkific\n")
    (place / "config.yaml").write_text(MINIMAL + SOURCE + "    mapping: north.yaml\n")
    config = read_config(place / "config.yaml", {})
    with pytest.raises(MappingError, match="for thinkific, but the source north is of connector acme"):
        read_mapping(mapping_files(config)["north"], mapping_texts(config))
