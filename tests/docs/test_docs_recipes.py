"""What the guides of declared sources and of tables show can be pasted: settings, mappings, bodies, scripts."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import playwright
import pytest
from recipes import CONNECT, CONNECTORS, NOW, ROOT, TOKEN, Guide, decided, received

from bridge.config.declared import shipped_mapping
from bridge.core.connector import ApiResponse, Connector
from bridge.core.errors import BridgeError, ConfigError, SignatureError
from bridge.core.mapping import compile_mapping, gather
from bridge.core.models import Completion, Ignored, InboundRequest, Outcome, SourceEvent

DECLARED = [name for name, connector in CONNECTORS.items() if hasattr(connector, "declaration")]
GUIDES = [Guide(name) for name in (*DECLARED, "spreadsheet")]
guides = pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
ATTENDEE = json.loads(
    (ROOT / "tests" / "samples" / "eventbrite" / "checked_in.SYNTHETIC" / "expected.json").read_bytes()
)["attendee"]
NODE = Path(playwright.__file__).parent / "driver" / "node"
"""The JavaScript that comes with the browser tests' library; the machine need not have one."""


# -- settings and mappings ----------------------------------------------------------------------------


@guides
def test_every_configuration_shown_is_accepted(guide: Guide, tmp_path: Path) -> None:
    shown = guide.configurations()
    assert shown
    for number, configuration in enumerate(shown):
        config = guide.config(configuration, tmp_path / str(number))
        assert {source.connector for source in config.sources.values()} == {guide.name}


@guides
def test_every_mapping_shown_is_accepted(guide: Guide) -> None:
    assert guide.mappings()
    for number in range(len(guide.mappings())):
        assert guide.mapping(number).connector == guide.name


@guides
def test_the_guide_has_its_parts(guide: Guide) -> None:
    headings = re.findall(r"^## [A-Z]\. (.+)$", guide.text, re.MULTILINE)
    assert headings[0] == "Set it up"
    assert headings[-1] == "What goes wrong"
    assert re.search(r"^\*\*(Plan|Needs)\.\*\*", guide.text, re.MULTILINE) or guide.name == "spreadsheet"
    assert "\nWhere this comes from: " in guide.text or guide.name == "spreadsheet"
    assert "certbridge try" in guide.text


@guides
def test_every_command_shown_exists(guide: Guide) -> None:
    import click

    from bridge.cli.commands import certbridge

    releases = re.findall(r"`certbridge (events release \d+ [^`]*)`", guide.text)
    assert [one for one in releases if "--reason" not in one] == []

    context = click.Context(certbridge)
    for words in re.findall(r"certbridge ((?:[a-z-]+ ?)+)", " ".join(re.findall(r"`[^`\n]+`|\$ .+", guide.text))):
        first, *rest = words.split()
        command = certbridge.get_command(context, first)
        assert command is not None, words
        if isinstance(command, click.Group):
            assert command.get_command(context, rest[0]) is not None, words


# -- bodies -------------------------------------------------------------------------------------------


def completed(guide: Guide, folder: Path, body: bytes, headers: dict[str, str] | None = None) -> Completion:
    """Returns the completion that a body becomes at a source set up by the guide's first steps."""
    connector = guide.connector(folder)
    (event,) = (enriched(connector, one) for one in received(connector, body, headers))
    outcome = decided(guide.mapping(), event)
    assert isinstance(outcome, Completion), outcome
    return outcome


def enriched(connector: Any, event: SourceEvent) -> SourceEvent:
    """Asks a vendor's API that has an answer for everything."""
    declaration = getattr(connector, "declaration", None)
    return connector.enrich(event, _Api()) if declaration is not None and declaration.fetch is not None else event


class _Api:
    """Knows one attendee, whatever it is asked."""

    def request(self, method: str, path: str, **_: object) -> ApiResponse:
        return ApiResponse(200, {}, json.dumps(ATTENDEE).encode(), path)


def unsigned(guide: Guide) -> Guide:
    """Canvas' signatures nobody else can make; its guide says to try without."""
    shown = guide.configurations()
    for configuration in shown:
        for settings in configuration["sources"].values():
            settings.pop("root_account_uuid", None)
    object.__setattr__(guide, "configurations", lambda: shown)
    return guide


@pytest.mark.parametrize("name", [guide.name for guide in GUIDES if guide.bodies()])
def test_every_body_shown_is_a_completion_of_a_listed_course(name: str, tmp_path: Path) -> None:
    guide = unsigned(Guide(name))
    for number, body in enumerate(guide.bodies()):
        completion = completed(guide, tmp_path / str(number), body.encode())
        assert completion.recipient.email
        assert completion.course.title in ("Safety Basics", "First Aid at Work")


def test_the_form_shown_for_make_is_a_completion(tmp_path: Path) -> None:
    (form,) = [block for block in Guide("make").blocks("text") if block.startswith("email=")]
    completion = completed(Guide("make"), tmp_path, form.strip().encode())
    assert completion.recipient.name == "Dana O'Kafor"


def test_the_table_shown_has_a_certificate_in_every_row(tmp_path: Path) -> None:
    guide = Guide("spreadsheet")
    (table,) = guide.blocks("csv")
    connector = guide.connector(tmp_path, 0)
    outcomes = [decided(guide.mapping(), event) for event in connector.parse(posted(table.encode()))]
    assert [outcome.kind for outcome in outcomes] == ["completion"] * 2


def test_a_table_with_other_columns_is_read_as_shown(tmp_path: Path) -> None:
    guide = Guide("spreadsheet")
    table = "Name;E-Mail;Kurs;Datum;Ticket No\nDana Okafor;Dana@example.com;Brandschutz;05/06/2026;7\n"
    (event,) = guide.connector(tmp_path, 1).parse(posted(table.encode()))
    outcome = decided(guide.mapping(1), event)
    assert isinstance(outcome, Completion)
    assert (event.subject, outcome.course.title) == ("dana@example.com", "Brandschutzhelfer")
    assert outcome.completed_on.isoformat() == "2026-06-05"


# -- messages -----------------------------------------------------------------------------------------


def texts(name: str) -> Iterator[str]:
    """Yields every text that certbridge can say about such a source, with … where a value is filled in."""
    places = [*(ROOT / "bridge" / "core").rglob("*.py"), *(ROOT / "bridge" / "web").glob("*.py")]
    places += [*(ROOT / "bridge" / "flow").glob("*.py"), ROOT / "bridge" / "cli" / "issue.py"]
    places += [ROOT / "bridge" / "cli" / "choosing.py"]
    if name == "spreadsheet":
        places += (ROOT / "connectors" / "spreadsheet").glob("*.py")
    for path in places:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    while name:
        text = (ROOT / "mappings" / f"{name}.yaml").read_text(encoding="utf-8")
        yield re.sub(r"\n\s+#? ?", " ", text)
        above = re.search(r"^extends: (\S+)", text, re.MULTILINE)
        name = above[1] if above else ""


FROM_OTHERS = "(from Google)", "(in the log of the LMS)", "Run setUp first"
"""Rows about what the vendor says, or our script in the vendor's house."""


def given(guide: Guide, folder: Path) -> Iterator[str]:
    """Yields what certbridge says when a setting, the proof, or any part of what is shown is missing or spoilt."""
    connector = guide.connector(folder / "whole")
    yield from about_bodies(guide, connector)
    wrong = {"x-bridge-token": "x", "learnworlds-webhook-signature": "v1=x", "authorization": "Basic eDp5"}
    for request in (posted(b"{}"), InboundRequest("POST", "", wrong, b"{}", NOW, "x")):
        with pytest.raises(SignatureError) as refused:
            connector.verify(request)
        yield str(refused.value)
    (name, settings), *_ = guide.configurations()[-1]["sources"].items()
    kept = {"connector": settings["connector"], "mapping": settings["mapping"]}
    for number, gone in enumerate([*({key} for key in settings), {key for key in settings if "_" in key}]):
        left = {key: value for key, value in settings.items() if key not in gone}
        try:
            guide.config({"sources": {name: left | kept}}, folder / str(number))
        except ConfigError as error:
            yield str(error)


def about_bodies(guide: Guide, connector: Connector[Any]) -> Iterator[str]:
    """Yields what becomes of events with something spoilt, by the guide's mapping and where no course is listed."""
    unlisted = f"extends: {guide.name}\nother_courses: issue\n"
    mappings = [guide.mapping(), compile_mapping(gather("any.yaml", unlisted, shipped_mapping))]
    for event in polled(guide):
        yield from (reason(decided(one, event)) for one in mappings)
    shown = chain(*(spoilt(json.loads(body)) for body in guide.bodies()[:1]))
    for body in spoilt_tables(guide) if guide.name == "spreadsheet" else shown:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        try:
            for event in connector.parse(posted(raw)):
                told = enriched(connector, event) if event.skip is None else event
                yield from (reason(decided(one, told)) for one in mappings)
        except BridgeError as error:
            yield str(error)


def polled(guide: Guide) -> Iterator[SourceEvent]:
    """Yields the events of a source that is only polled, with something spoilt."""
    for file in () if guide.bodies() else (ROOT / "tests" / "samples" / guide.name).glob("poll*/expected.json"):
        for event in json.loads(file.read_bytes())["events"]:
            for data in spoilt(event["data"]):
                yield SourceEvent.model_validate({**event, "data": data, "occurred_at": None})


def reason(outcome: Outcome) -> str:
    return str(getattr(outcome, "reason", ""))


def posted(body: bytes) -> InboundRequest:
    return InboundRequest("POST", "", {}, body, NOW)


def spoilt(body: dict[str, Any]) -> Iterator[Any]:
    """Yields the body with each of its parts in turn blank, another, or gone; without two of them; and empty."""
    for key, part in body.items():
        rest = {name: value for name, value in body.items() if name != key}
        yield rest
        yield from ({**body, key: value} for value in ("", None, "x", "{{ name }}"))
        yield from ({other: value for other, value in rest.items() if other != name} for name in rest)
        if isinstance(part, dict):
            yield from ({**body, key: inner} for inner in spoilt(part))


def spoilt_tables(guide: Guide) -> Iterator[str]:
    """Yields the table with each name and cell in turn replaced."""
    (table,) = guide.blocks("csv")
    for part in filter(None, re.split(r"[,\n]", table)):
        yield from (table.replace(part, other) for other in ("", "x", "5/6/2026", "31.31.2026"))


@guides
def test_each_message_that_is_explained_is_one_that_is_given(guide: Guide, tmp_path: Path) -> None:
    rows = [row for row in guide.text.partition("What goes wrong")[2].splitlines() if row.startswith("| ")]
    cells = [row.split("|")[1] for row in rows if not any(mark in row.split("|")[1] for mark in FROM_OTHERS)]
    quoted = [text for cell in cells for text in re.findall(r"\*([^*]+)\*", cell)]
    said = " ".join(" ".join([*texts(guide.name), *given(unsigned(guide), tmp_path)]).split())
    pieces = [piece.strip(" :") for text in quoted for piece in re.split(r"…|\d{2,}", text)]
    assert len(quoted) >= 5
    assert [piece for piece in pieces if len(piece) > 3 and piece not in said] == []


# -- scripts ------------------------------------------------------------------------------------------


def node(script: str, **given: object) -> Any:
    """Runs JavaScript that has the values as constants and prints one JSON."""
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
    ran = subprocess.run([NODE, "-"], input=constants + script, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


GOOGLE = """
// A sheet with its answers, and the parts of Google that the script calls.
const cells = sheetRows;
const requests = [];
const triggers = [];
const cell = (row, column) => ((cells[row - 1] || [])[column - 1] ?? '');
const real = (value) => (value && value.date ? new Date(value.date) : value);
const shown = (value) => (value && value.date ? 'as the sheet shows it' : String(value));
const sheet = {
  getFormUrl: () => 'https://docs.google.com/forms/d/x',
  getLastColumn: () => Math.max(...cells.map((row) => row.length)),
  getLastRow: () => cells.length,
  getRange: (row, column, height = 1, width = 1) => {
    const values = () => [Array.from({ length: width }, (_, at) => cell(row, column + at))];
    return {
      getSheet: () => sheet,
      getRow: () => row,
      getDisplayValues: () => values().map((line) => line.map(shown)),
      getValues: () => values().map((line) => line.map(real)),
      setValue: (value) => { cells[row - 1][column - 1] = value; },
    };
  },
};
const SpreadsheetApp = { getActiveSpreadsheet: () => ({ getSheets: () => [{ getFormUrl: () => null }, sheet] }) };
const made = (name, kind) => ({ create: () => triggers.push([name, kind]) });
const ScriptApp = {
  getProjectTriggers: () => [],
  deleteTrigger: () => {},
  newTrigger: (name) => ({
    forSpreadsheet: () => ({ onFormSubmit: () => made(name, 'submit') }),
    timeBased: () => ({ everyHours: (hours) => made(name, `${hours} h`) }),
  }),
};
const two = (number) => String(number).padStart(2, '0');
const Utilities = {
  formatDate: (date, zone, form) => {
    if (zone !== 'UTC' || form !== 'MM/dd/yyyy HH:mm:ss') throw new Error(`not made up here: ${zone} ${form}`);
    const day = [two(date.getUTCMonth() + 1), two(date.getUTCDate()), date.getUTCFullYear()].join('/');
    return `${day} ${[date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':')}`;
  },
};
const UrlFetchApp = {
  fetch: (url, options) => {
    requests.push({ url, options });
    const [status, body] = answers.length > 1 ? answers.shift() : answers[0];
    return { getResponseCode: () => status, getContentText: () => body };
  },
};
"""
END = """
let failed = null;
try { CALLS } catch (error) { failed = error.message; }
console.log(JSON.stringify({ cells, requests, triggers, failed }));
"""
TITLES = ["Zeitstempel", "Email Address", "Full name", "Course", "Score", "Which team?\nNorth or south"]
ANSWERED = [{"date": "2026-02-14T14:30:11Z"}, " Dana@example.com", "Dana Okafor", "Safety Basics", "8 / 10", "north"]
ISSUED = {
    "status": "issued",
    "certificate_id": "3ZPE-6GY9-DFJ0-473NY",
    "verify_url": "https://x.example/c/3",
    "test": False,
}
MARKED = ["Certificate", "Certificate link"]


def google(calls: str, *rows: list[Any], answers: list[tuple[int, Any]] | None = None) -> Any:
    """Runs the script of the guide on a sheet with these rows."""
    (script,) = Guide("google-forms").blocks("js")
    replies = [
        (status, said if isinstance(said, str) else json.dumps(said)) for status, said in answers or [(200, ISSUED)]
    ]
    return node(GOOGLE + script + END.replace("CALLS", calls), sheetRows=list(rows), answers=replies)


FIRST = "onAnswer({ range: sheet.getRange(2, 1) });"


def test_the_script_for_google_forms_posts_a_completion_and_writes_the_certificate_into_the_sheet(
    tmp_path: Path,
) -> None:
    ran = google(f"setUp(); {FIRST}", TITLES, ANSWERED)
    assert ran["failed"] is None
    assert ran["triggers"] == [["onAnswer", "submit"], ["sendRest", "6 h"]]
    (request,) = ran["requests"]
    assert (request["url"], request["options"]["method"]) == (
        "https://certificates.your-school.example/hooks/answers",
        "post",
    )
    assert request["options"]["headers"] == {"X-Bridge-Token": "YOUR-TOKEN"}
    completion = completed(Guide("google-forms"), tmp_path, request["options"]["payload"].encode())
    assert (completion.recipient.name, completion.recipient.email) == ("Dana Okafor", "dana@example.com")
    assert str(completion.completed_at) == "2026-02-14 14:30:11+00:00"
    assert completion.fields["score"] == "8"
    assert ran["cells"][0][-2:] == MARKED
    assert ran["cells"][1][-2:] == ["3ZPE-6GY9-DFJ0-473NY", "https://x.example/c/3"]


def test_the_script_sends_what_has_no_certificate_yet_and_nothing_else() -> None:
    done = [*ANSWERED, "3ZPE-6GY9-DFJ0-473NY", "https://x.example/c/3"]
    ignored, held = [*ANSWERED, "ignored: a test", ""], [*ANSWERED, "held: no name", ""]
    kept = [*ANSWERED, "done: completed again", ""]
    test, empty = [*ANSWERED, "TEST 3ZPE-6GY9-DFJ0-473NY", ""], ["", "", "", "", "", "", "", ""]
    ran = google("sendRest();", [*TITLES, *MARKED], done, ignored, held, test, empty, ANSWERED, kept)
    assert len(ran["requests"]) == 3
    assert [row[6] for row in (ran["cells"][3], ran["cells"][4], ran["cells"][6])] == ["3ZPE-6GY9-DFJ0-473NY"] * 3


@pytest.mark.parametrize(
    ("status", "said", "written", "failed"),
    [
        (200, {"status": "held", "reason": "The course is not listed."}, "held: The course is not listed.", None),
        (202, {"status": "processing", "reason": ""}, "processing", None),
        (200, {**ISSUED, "test": True}, "TEST 3ZPE-6GY9-DFJ0-473NY", None),
        (401, {"outcome": "rejected", "reason": "No."}, "rejected: No.", "certbridge answered 401: No."),
        (502, "<html>Bad gateway</html>", "HTTP 502", "certbridge answered 502"),
    ],
)
def test_the_script_says_in_the_sheet_what_became_of_an_answer(
    status: int, said: object, written: str, failed: str | None
) -> None:
    ran = google(FIRST, [*TITLES, *MARKED], ANSWERED, answers=[(status, said)])
    assert ran["cells"][1][6] == written
    assert ran["failed"] == failed


def test_one_row_that_fails_does_not_keep_the_script_from_the_others() -> None:
    answers = [(502, "no"), (200, ISSUED)]
    ran = google("sendRest();", [*TITLES, *MARKED], ANSWERED, ANSWERED, answers=answers)
    assert len(ran["requests"]) == 2
    assert ran["failed"] == "row 2: certbridge answered 502"


def test_the_script_says_when_it_was_not_set_up() -> None:
    assert google(FIRST, TITLES, ANSWERED)["failed"] == 'There is no column "Certificate". Run setUp first.'


WORKFLOW = json.loads((CONNECT / "n8n-workflow.json").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in WORKFLOW["nodes"]}
N8N = """
// An n8n expression is text that begins with = and has JavaScript between braces.
const worked = (text, $json) => {
  if (typeof text !== 'string' || !text.startsWith('=')) return text;
  const alone = /^=\\{\\{([\\s\\S]*)\\}\\}$/.exec(text);
  return new Function('$json', `return (${alone[1]});`)($json);
};
const learner = {};
for (const one of assignments) learner[one.name] = worked(one.value, {});
const later = { status_url: 'https://x.example/?event=7' };
console.log(JSON.stringify({ learner, body: worked(jsonBody, learner), again: worked(address, later) }));
"""


def test_every_step_of_the_workflow_for_n8n_is_reached_from_the_trigger() -> None:
    reached, waiting = set(), ["Your trigger"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        ends = [end for outlet in WORKFLOW["connections"].get(name, {"main": []})["main"] for end in outlet]
        assert all(end["node"] in STEPS and end["type"] == "main" for end in ends)
        waiting += [end["node"] for end in ends if end["node"] not in reached]
    assert reached == set(STEPS)
    assert all(
        {"id", "name", "type", "typeVersion", "position", "parameters"} <= set(step) for step in WORKFLOW["nodes"]
    )
    assert TOKEN not in json.dumps(WORKFLOW)


def test_the_workflow_for_n8n_posts_a_completion_once_its_test_mark_is_gone(tmp_path: Path) -> None:
    post, again = STEPS["Ask certbridge for the certificate"]["parameters"], STEPS["Ask again"]["parameters"]
    ran = node(
        N8N,
        assignments=STEPS["Learner"]["parameters"]["assignments"]["assignments"],
        jsonBody=post["jsonBody"],
        address=again["url"],
    )
    marks = {one["name"]: one["value"] for one in post["headerParameters"]["parameters"]}
    guide = Guide("n8n")
    (sample,) = received(guide.connector(tmp_path / "1"), ran["body"].encode(), marks)
    assert isinstance(decided(guide.mapping(), sample), Ignored)
    assert completed(guide, tmp_path / "2", ran["body"].encode()).recipient.name == "Dana Okafor"
    assert (post["method"], again["method"], ran["again"]) == ("POST", "GET", "https://x.example/?event=7")
    assert {post["genericAuthType"], again["genericAuthType"]} == {"httpHeaderAuth"}
    assert post["options"]["timeout"] > 1000 * CONNECTORS["n8n"].answer_wait
