"""init, check and schema: from nothing to a configuration without mistakes."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from cli_school import School
from click.testing import CliRunner, Result

from bridge.cli.commands import certbridge


def run(*words: str) -> Result:
    return CliRunner().invoke(certbridge, words, env={"COLUMNS": "100", "NO_COLOR": "1"})


def test_init_writes_everything_a_first_start_needs(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    result = run("init", str(folder), "--connector", "thinkific")
    assert result.exit_code == 0, result.output
    assert f"certbridge -c {folder}/config.yaml check" in result.output
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"config.yaml", "keys/recipient.key", "config.schema.json", "mapping.schema.json"} <= written
    assert stat.S_IMODE((folder / "keys" / "recipient.key").stat().st_mode) == 0o600


def test_what_init_wrote_needs_only_what_nobody_else_can_know(tmp_path: Path) -> None:
    said = run("init", str(tmp_path / "new"), "--connector", "thinkific").output
    assert "names the lines to fill in, and every mistake at once" in said
    config = tmp_path / "new" / "config.yaml"
    result = run("-c", str(config), "check")
    assert result.exit_code == 1
    assert "signing_secret" in result.stderr
    config.write_text(config.read_text().replace("signing_secret:", "signing_secret: a-long-enough-secret"))
    result = run("-c", str(config), "check")
    assert result.exit_code == 0, result.output
    assert "No mistakes" in result.output
    assert "Before a source can go live" in result.output
    assert "mail is off" in result.output


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("mine")
    result = run("init", str(tmp_path))
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (tmp_path / "config.yaml").read_text() == "mine"
    assert not (tmp_path / "keys").exists()


def test_init_knows_a_misspelt_connector(tmp_path: Path) -> None:
    result = run("init", str(tmp_path / "new"), "--connector", "thinkfic")
    assert result.exit_code == 2
    assert "did you mean thinkific?" in result.output
    assert not (tmp_path / "new").exists()


# -- check ------------------------------------------------------------------------------------------


def test_check_shows_each_source_of_a_good_configuration(school: School) -> None:
    result = school.certbridge("check")
    assert result.exit_code == 0, result.output
    assert "No mistakes" in result.output
    assert "school   thinkific   live   school.yaml         2" in result.output


def test_check_names_every_mistake_at_once(school: School) -> None:
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text().replace("valid_for", "valid_fro").replace("hold_if", "hold_iff"))
    result = school.certbridge("check")
    assert result.exit_code == 1
    assert "certbridge: 2 problems" in result.stderr
    assert 'school.yaml:3:3 every_course has "valid_fro: 2 years". There is no such setting' in result.stderr
    assert "did you mean hold_if?" in result.stderr
    listed = school.certbridge("check", "--json")
    assert listed.exit_code == 1
    assert len(json.loads(listed.stdout)["problems"]) == 2


def test_check_finds_a_mapping_for_another_kind_of_system(school: School) -> None:
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text().replace("extends: thinkific", "extends: moodle"))
    result = school.certbridge("check")
    assert result.exit_code == 1
    assert "The mapping is for moodle, but the source school is of connector thinkific." in result.stderr


def test_check_names_a_mapping_file_that_is_not_there_and_those_that_are(school: School) -> None:
    school.config.write_text(school.config.read_text().replace("mapping: school.yaml", "mapping: schol.yaml"))
    result = school.certbridge("check", columns=300)
    assert result.exit_code == 1
    assert (
        "schol.yaml does not exist; source school names it after `mapping:`; did you mean school.yaml?" in result.stderr
    )
    assert "The folder holds: school.yaml." in result.stderr


def test_check_says_what_to_extend_where_no_such_mapping_is_shipped(school: School) -> None:
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text("extends: thinkfic\n")
    assert 'There is no shipped mapping "thinkfic". Write extends: thinkific.' in school.certbridge("check").stderr


def test_check_says_which_entry_is_about_an_event_that_never_comes(school: School) -> None:
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text() + "events:\n  enrolment.completed: {completion: {name: Ana Silva}}\n")
    warnings = school.json("check")["sources"][0]["warnings"]  # type: ignore[index, call-overload]
    assert warnings == [
        'school: the entry "enrolment.completed" under events never applies, because Thinkific sends no such event; '
        "did you mean enrollment.completed? (school.yaml)"
    ]


def test_check_says_when_a_template_prints_what_nobody_gives(school: School) -> None:
    template = school.folder / "templates" / "safety"
    template.mkdir(parents=True)
    (template / "certificate.html").write_text(
        "<p>{{ name }} {{ course }} {{ certificate_id }} {{ fields.trainer }} {{ fields.hours }}</p>"
    )
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text(mapping.read_text().replace("valid_for", "template: safety\n  valid_for"))
    warnings = school.json("check")["sources"][0]["warnings"]  # type: ignore[index, call-overload]
    assert any('course "68": the template safety prints hours, trainer' in warning for warning in warnings)
    assert any('course "99": the template safety prints trainer, but nobody gives it' in line for line in warnings)
    assert "Worth a look" in school.certbridge("check").output


def test_a_template_that_there_is_not_is_named_where_it_is_written(school: School) -> None:
    mapping = school.folder / "mappings" / "school.yaml"
    mapping.write_text("extends: thinkific\nevery_course:\n  template: clasic\n")
    said = " ".join(school.certbridge("check").stderr.split())
    assert 'school.yaml:3:13 There is no template "clasic"' in said
    assert "did you mean classic?" in said


def test_an_address_that_is_not_encrypted_is_worth_a_look(school: School) -> None:
    config = school.folder / "config.yaml"
    for address, warned in (("http://api.school.example/v1", True), ("http://10.0.0.5/v1", False)):
        before = config.read_text()
        config.write_text(before.replace("connector: thinkific\n", f"connector: thinkific\n    api_url: {address}\n"))
        warnings = school.json("check")["sources"][0]["warnings"]  # type: ignore[index, call-overload]
        assert any("api_url begins with http://" in one for one in warnings) == warned, warnings
        config.write_text(before)


def test_explain_says_where_each_line_of_a_course_comes_from(school: School) -> None:
    lines = school.json("check", "--explain", "99")["school"]  # type: ignore[index, call-overload]
    where = {line["setting"]: (line["value"], line["where"]) for line in lines}
    assert where["valid_for"] == ("2 years", "school.yaml:3:14")
    assert where["fields.hours"] == ("8", "school.yaml:7:42")
    assert where["template"] == ("classic", None)
    shown = school.certbridge("check", "--explain", "99").output
    assert "First Aid" in shown
    assert "school.yaml:7:15" in shown


def test_explain_says_when_a_course_is_not_listed(school: School) -> None:
    result = school.certbridge("check", "--explain", "Knitting", "--source", "school")
    assert result.exit_code == 0
    assert "It is not listed there" in result.output
    assert "other_courses" in result.output


def test_a_source_without_explain_is_a_mistake_of_usage(school: School) -> None:
    assert school.certbridge("check", "--source", "school").exit_code == 2


# -- schema -----------------------------------------------------------------------------------------


def test_the_schemas_are_written_beside_the_configuration(school: School) -> None:
    result = school.certbridge("schema")
    assert result.exit_code == 0
    for name in ("config.schema.json", "mapping.schema.json"):
        schema = json.loads((school.folder / name).read_text())
        assert schema["$schema"].startswith("https://json-schema.org/")
    assert "up to date" in school.certbridge("schema").output


def test_a_schema_can_be_printed(school: School) -> None:
    assert "sources" in json.loads(school.certbridge("schema", "--stdout", "config").stdout)["properties"]
    assert "courses" in json.loads(school.certbridge("schema", "--stdout", "mapping.schema.json").stdout)["properties"]


ACME = """\
extends: zapier
source:
  title: Acme LMS
  settings: {site: {description: The site of the school., example: north}}
"""


def declared(school: School, text: str = ACME) -> School:
    """Declares a kind of source, and sets up a source of it that has no mapping of its own."""
    (school.folder / "mappings" / "acme.yaml").write_text(text)
    source = "  north: {connector: acme, site: north, header_token: a-token-of-the-north}\n"
    school.config.write_text(school.config.read_text() + source)
    return school


def test_the_schema_knows_the_admins_own_declarations(school: School) -> None:
    made = json.loads(declared(school).certbridge("schema", "--stdout", "config").stdout)
    sources = made["properties"]["sources"]["additionalProperties"]
    assert "acme" in sources["properties"]["connector"]["enum"]
    assert made["$defs"]["source-acme"]["properties"]["site"]["description"] == "The site of the school."


def test_the_schema_of_everything_else_is_written_where_a_declaration_is_wrong(school: School) -> None:
    declared(school, ACME.replace("title:", "titel:"))
    result = school.certbridge("schema")
    assert result.exit_code == 1
    assert "mappings/acme.yaml:3:3" in result.stderr
    assert "did you mean title?" in result.stderr
    made = json.loads((school.folder / "config.schema.json").read_text())
    assert "thinkific" in made["properties"]["sources"]["additionalProperties"]["properties"]["connector"]["enum"]


def test_check_names_the_file_that_an_admin_declared_a_source_in(school: School) -> None:
    result = declared(school).certbridge("check", columns=200)
    assert result.exit_code == 0, result.output
    assert "acme.yaml" in result.output
    assert "as shipped" not in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--stdout", "mappin"), "did you mean mapping?"),
        (("--stdout", "config", "--out", "x"), "give one of the two"),
    ],
)
def test_a_wrong_wish_for_a_schema_is_answered(school: School, words: tuple[str, ...], said: str) -> None:
    result = school.certbridge("schema", *words)
    assert result.exit_code == 2
    assert said in result.output


def test_check_names_the_mistakes_of_the_mapping_although_the_configuration_has_some_too(tmp_path: Path) -> None:
    run("init", str(tmp_path / "school"), "--connector", "thinkific")
    config, mapping = tmp_path / "school" / "config.yaml", tmp_path / "school" / "mappings" / "school.yaml"
    config.write_text(config.read_text().replace("zone: UTC", "zone: Europe/Berlim"))
    mapping.write_text(mapping.read_text() + "\ncourses:\n  68:\n    titel: Fire Safety\n")
    said = " ".join(run("-c", str(config), "check").stderr.split())
    assert "There is no such time zone; did you mean Europe/Berlin?" in said
    assert "There is no such setting; did you mean title?" in said
