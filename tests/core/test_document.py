"""Reading YAML with positions, and saying what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bridge.core.document import MAX_BYTES, Document, read, validate
from bridge.core.errors import ConfigError, MappingError, Mark, Problem


def refused(text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, "school.yaml")
    return [str(problem) for problem in caught.value.problems]


# -- reading -------------------------------------------------------------------------------------


def test_every_scalar_stays_text() -> None:
    document = read("a: no\nb: 012\nc: 1:30\nd: 2026-01-01\ne: 1e3\nf: 0x10\n68: yes\ng: '~'\n", "school.yaml")
    expected = {"a": "no", "b": "012", "c": "1:30", "d": "2026-01-01", "e": "1e3", "f": "0x10", "68": "yes", "g": "~"}
    assert document.data == expected


def test_an_empty_value_and_null_are_none_but_quoted_ones_are_text() -> None:
    assert read("a:\nb: ~\nc: null\nd: ''\ne: 'null'\n", "f").data == {
        "a": None,
        "b": None,
        "c": None,
        "d": "",
        "e": "null",
    }


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_none(text: str) -> None:
    assert read(text, "f").data is None


def test_knows_where_every_value_and_key_stands() -> None:
    document = read("courses:\n  FORK-*:\n    title: {en: Forklift, de: Stapler}\n    cc: [a, b]\n", "school.yaml")
    assert str(document.mark(("courses", "FORK-*"), key=True)) == "school.yaml:2:3"
    assert str(document.mark(("courses", "FORK-*", "title", "de"))) == "school.yaml:3:31"
    assert str(document.mark(("courses", "FORK-*", "cc", 1))) == "school.yaml:4:13"


def test_the_mark_of_something_absent_is_that_of_what_encloses_it() -> None:
    document = read("courses:\n  A:\n    title: x\n", "school.yaml")
    assert document.mark(("courses", "A", "template")) == Mark("school.yaml", 3, 5)
    assert read("", "empty.yaml").mark(("a", 0)) == Mark("empty.yaml", 1, 1)


def test_a_byte_order_mark_moves_no_position() -> None:
    assert read("\ufeffa: b\n".encode(), "f").mark(("a",)) == Mark("f", 1, 4)


def test_names_both_places_of_a_duplicate_key_and_all_of_them_at_once() -> None:
    assert refused("a: 1\n'a': 2\nb: {c: 1, c: 2}\n") == [
        'school.yaml:2:1 "a" stands here twice; the first one is at school.yaml:1:1.',
        'school.yaml:3:11 "c" stands here twice; the first one is at school.yaml:3:5.',
    ]


ALIAS = "A word that starts with * is an alias in YAML; aliases are not supported: write the lines out."
QUOTE_IT = "To use the text itself, put it in quotes."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object:os.system x\n", "1:4 Tags (words with an exclamation mark in front) are not supported."),
        ("a: !x\n  b: c\n", "1:4 Tags (words with an exclamation mark in front) are not supported."),
        ("a: *b\n", f"1:4 {ALIAS} {QUOTE_IT}"),
        ("courses:\n  *-SAFETY: Fire\n", f"2:3 {ALIAS} {QUOTE_IT}"),
        ("*: Fire\n", f"1:2 {ALIAS} {QUOTE_IT}"),
        ("a: &b [x]\n", '1:4 Anchors ("&b") are not supported: write the lines out.'),
        ("a:\n  <<: {b: c}\n", '2:3 Merge keys ("<<") are not supported: write the lines out.'),
        ("a:\n\tb: c\n", "2:1 A tab stands here. Use spaces to indent."),
        ("a: 1\n---\nb: 2\n", '2:1 A second document starts here ("---"). Use two files.'),
        (
            "a: b: c\n",
            "1:5 A colon too many. If it belongs to the text, put the text in quotes; else check the indentation.",
        ),
        ("a: @b\n", "1:4 A value cannot start with @. Put it in quotes."),
        ("a: `b`\n", "1:4 A value cannot start with `. Put it in quotes."),
        ("a: 'b\n", "2:1 The quotes that open at line 1 are never closed, or hold a wrong escape."),
        (
            "name: {{ data.name }}\n",
            '1:8 An expression starts here without quotes. Write it as "{{ ... }}", with the quotes.',
        ),
        (
            "a: {b: x [TEST]}\n",
            '1:10 The brackets do not fit. Text with [ ] { }, "${...}" or "{{ ... }}" belongs in quotes.',
        ),
        ("a: [b\n", '2:1 The brackets do not fit. Text with [ ] { }, "${...}" or "{{ ... }}" belongs in quotes.'),
        (
            "a: 1\n  b: 2\n",
            "2:4 A colon too many. If it belongs to the text, put the text in quotes; else check the indentation.",
        ),
        ("a:\n    b: 1\n  c: 2\n", "3:3 The indentation does not fit the lines above, or a colon is missing."),
        ("a: 1\nplain words\nb: 2\n", "2:1 The indentation does not fit the lines above, or a colon is missing."),
        ("? [a, b]\n: c\n", "1:3 A list cannot be the name of a setting. Put the name in quotes."),
        ("? \n: c\n", "1:2 The name before the colon is missing. To use a special name, put it in quotes."),
        ('a: "\\UFFFFFFFF"\n', "1:1 The file has an escape that stands for no character."),
        ('a: "\\ud800"\n', "1:4 This text contains a character that cannot be stored or printed."),
        ('a: "\\0"\n', "1:4 This text contains a character that cannot be stored or printed."),
        ("a: b\x01\n", "1:5 This invisible control character is not allowed. Delete it."),
    ],
)
def test_refuses_with_position_and_advice(text: str, message: str) -> None:
    assert refused(text) == [f"school.yaml:{message}"]


def test_text_that_yaml_would_cut_off_as_a_comment_is_refused() -> None:
    advice = 'put the whole text in quotes: "Excel #1"'
    assert refused("title: Excel #1\n") == [
        'school.yaml:1:8 YAML takes "#1" for a comment. If it belongs to the value, '
        f"{advice}; if it is a comment, write a space after the #."
    ]
    assert 'put it in quotes: "#ff0000"' in refused("colour: #ff0000\n")[0]


def test_an_ordinary_comment_is_a_comment() -> None:
    assert read("a: b  # why\nc:  # see below\n  d: 'e' #x\n", "f").data == {"a": "b", "c": {"d": "e"}}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: \xff\n", "1:4 This character is not UTF-8. Save the file with the encoding UTF-8."),
        ("a: ü\n".encode("utf-16"), "1:1 The file is saved as UTF-16. Save it as UTF-8."),
        (b"a: b\nc: \x00", "2:4 The file contains a NUL character: it is not text."),
        (b"#" * (MAX_BYTES + 1), "1:1 The file is larger than 1 MiB. Split it, or check that it is the right file."),
    ],
)
def test_refuses_bytes_that_are_not_a_small_utf8_text(raw: bytes, message: str) -> None:
    assert refused(raw) == [f"school.yaml:{message}"]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))
    assert any("Anchors" in line for line in refused(f"a0: &a0 [x]\n{levels}\n"))


def test_too_deep_and_too_many_are_refused() -> None:
    assert refused("[" * 100_000)[0].endswith("More than 30 levels inside each other.")
    assert refused("- " * 100_000 + "x")[0].endswith("More than 30 levels inside each other.")
    assert refused("[" + "a," * 30_000 + "]")[0].endswith("The file has more than 20,000 values.")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("ab:{}[]#&*!|>'\"%@`-?,~ \n\t\\x0<=ü\x85\ud800\x01")), max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    problems: Sequence[Problem] = ()
    try:
        read(text, "any.yaml")
    except ConfigError as refusal:
        problems = refusal.problems or [Problem(None, "none given")]
    assert all(problem.mark and problem.mark.line >= 1 for problem in problems)


# -- validating ----------------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(Strict):
    title: str
    valid_for: str | None = None
    again: Literal["reuse", "renew", "hold"] = "reuse"
    hours: int = Field(1, ge=1, le=100)

    @field_validator("valid_for")
    @classmethod
    def _is_a_span(cls, value: str | None) -> str | None:
        if value is not None and not value.endswith("years"):
            raise ValueError("Write it like 2 years.")
        return value


class School(Strict):
    extends: str
    courses: dict[str, str | Entry] = {}
    public: bool = False
    sender: str | None = Field(None, alias="from")


class Login(Strict):
    user: str
    port: int = 1
    password: SecretStr | None = None


class Wrapper(Strict):
    login: Login


def wrong(text: str, model: type[BaseModel] = School, **options: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(read(text, "school.yaml"), model, **options)  # type: ignore[arg-type]
    return [str(problem) for problem in caught.value.problems]


def test_types_text_by_the_model() -> None:
    text = "extends: moodle\nfrom: x\npublic: no\ncourses: {'012': '1:30', B: {title: no, hours: 8}}\n"
    school = validate(read(text, "f"), School)
    assert school == School.model_validate(
        {"extends": "moodle", "from": "x", "courses": {"012": "1:30", "B": Entry(title="no", hours=8)}}
    )


def test_says_every_problem_at_once_in_the_order_of_the_file() -> None:
    text = "courses:\n  A:\n    titel: x\n    hours: many\n    again: renw\npublic: perhaps\nform: me\n"
    assert wrong(text) == [
        'school.yaml:1:1 The file has no "extends". It is required.',
        'school.yaml:2:3 courses.A has no "title". It is required.',
        'school.yaml:3:5 courses.A has "titel: x". There is no such setting; did you mean title?',
        'school.yaml:4:12 courses.A has "hours: many". A whole number is needed.',
        'school.yaml:5:12 courses.A has "again: renw". Allowed: reuse, renew, hold; did you mean renew?',
        'school.yaml:6:9 The file has "public: perhaps". Write true or false.',
        'school.yaml:7:1 The file has "form: me". There is no such setting; did you mean from?',
    ]


def test_the_label_names_the_thing_in_the_admins_words() -> None:
    text = "extends: x\ncourses:\n  FORKLIFT-*:\n    title: x\n    valid_fro: 2 years\n"
    label = lambda path: f'Course "{path[1]}"' if path[:1] == ("courses",) else None  # noqa: E731
    assert wrong(text, label=label) == [
        'school.yaml:5:5 Course "FORKLIFT-*" has "valid_fro: 2 years". '
        "There is no such setting; did you mean valid_for?"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hours: 0", '4:12 courses.A has "hours: 0". The smallest allowed is 1.'),
        ("hours:", '4:5 courses.A has "hours:" without a value. Write one, or remove the line.'),
        ("hours: [1]", '4:12 courses.A has "hours: [...]". A whole number is needed.'),
        ("valid_for: soon", '4:16 courses.A has "valid_for: soon". Write it like 2 years.'),
        ("valid_for: {a: b}", '4:16 courses.A has "valid_for: {...}". One line of text is needed here.'),
        (
            "colour: red",
            '4:5 courses.A has "colour: red". There is no such setting. Allowed here: title, valid_for, again, hours.',
        ),
    ],
)
def test_words_the_mistake(line: str, message: str) -> None:
    assert wrong(f"extends: x\ncourses:\n  A:\n    {line}\n", Loose) == [f"school.yaml:{message}"]


class LooseEntry(Entry):
    title: str = ""


class Loose(Strict):
    extends: str
    courses: dict[str, str | LooseEntry] = {}


def test_a_file_of_the_wrong_shape_is_told_so() -> None:
    assert wrong("just words\n") == [
        'school.yaml:1:1 The file: Settings of the form "name: value" are needed here, indented.'
    ]
    assert len(wrong("")) == 1


def test_validates_a_part_and_keeps_the_places() -> None:
    text = "sources:\n  school:\n    login: {user: [x], prt: 1}\n"
    assert wrong(text, Wrapper, at=("sources", "school")) == [
        'school.yaml:3:19 sources.school.login has "user: [...]". One line of text is needed here.',
        'school.yaml:3:24 sources.school.login has "prt: 1". There is no such setting; did you mean port?',
    ]


def test_never_shows_a_secret_nor_what_may_be_one() -> None:
    lines = wrong("login: {user: x, pasword: hunter2, password: [hunter2]}\n", Wrapper)
    assert len(lines) == 2
    assert "hunter2" not in "\n".join(lines)


def test_shows_what_is_written_and_not_what_a_variable_held() -> None:
    document = read("login: {user: x, port: '${PORT}'}\n", "f")
    filled: Document = replace(document, data={"login": {"user": "x", "port": "hunter2"}})
    with pytest.raises(ConfigError, match=r"port: \$\{PORT\}") as caught:
        validate(filled, Wrapper)
    assert "hunter2" not in str(caught.value)


def test_raises_the_error_it_was_asked_for() -> None:
    with pytest.raises(MappingError):
        validate(read("a: b\n", "f"), School, error=MappingError)
    with pytest.raises(MappingError):
        read("a: b: c\n", "f", error=MappingError)
