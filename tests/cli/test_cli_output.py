from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bridge.cli.output import Column, Page, paragraphs, plain, print_json, short

DANGEROUS = {
    "a colour": ("a\x1b[31mb", "ab"),
    "a colour in one character": ("a\x9b31mb", "ab"),
    "the window's title": ("a\x1b]0;pwned\x07b", "ab"),
    "a link": ("a\x1b]8;;http://evil.example\x1b\\b\x1b]8;;\x1b\\", "ab"),
    "a command without an end": ("a\x1b]52;c;b", "a52;c;b"),
    "a cleared screen": ("a\x1b[2J\x1b[Hb", "ab"),
    "a reset": ("a\x1bcb", "ab"),
    "a carriage return over the line": ("real\rfake", "real fake"),
    "a backspace": ("a\x08b", "ab"),
    "text turned around": ("a\u202eb\u202c", "ab"),
    "invisible letters": ("a\u200bb\u2066\ufeff", "ab"),
    "half of a surrogate pair": ("a\ud800b", "ab"),
    "lines": ("a\nb\u2028c", "a b c"),
}


@pytest.mark.parametrize(("text", "shown"), DANGEROUS.values(), ids=DANGEROUS.keys())
def test_data_cannot_command_the_terminal(text: str, shown: str) -> None:
    assert plain(text) == shown


def _harmless(text: str) -> bool:
    return not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 or 0x202A <= ord(sign) <= 0x202E for sign in text)


@given(st.text(st.characters(codec=None, categories=["Cc", "Cf", "Cs", "Co", "Lu", "Zl", "Zs"])))
def test_no_text_at_all_keeps_a_control_character(text: str) -> None:
    assert _harmless(plain(text))
    assert all(_harmless(line) for line in paragraphs(text).split("\n"))


def test_names_in_any_script_stay_as_they_are() -> None:
    for name in ("Łukasz Żółć-Dziewulski", "Дмитрий", "Ελένη", "Nguyễn Văn Ánh", "李小龙", "O'Brien & Sons"):
        assert plain(name) == name


def test_long_texts_are_cut_with_a_mark() -> None:
    assert short("a" * 300, 10) == "aaaaaaaaa…"
    assert short("a" * 10, 10) == "a" * 10


def page(width: int = 100) -> tuple[Page, io.StringIO]:
    out = io.StringIO()
    return Page("Europe/Berlin", Console(file=out, width=width, markup=False, highlight=False, emoji=False)), out


def test_markup_and_emoji_codes_are_printed_as_they_are() -> None:
    shown, out = page()
    shown.table([Column("Name")], [["[bold red]Maria[/] :smile: [link=http://evil.example]x[/link]"]])
    assert "[bold red]Maria[/] :smile: [link=http://evil.example]x[/link]" in out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_table_cuts_nothing_off_and_fits_the_window(width: int) -> None:
    shown, out = page(width)
    words = [f"word{n}" for n in range(60)]
    shown.table(
        [Column("No", fixed=True), Column("Text"), Column("State", fixed=True)], [["1", " ".join(words), "done"]]
    )
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(line == line.rstrip() for line in lines)
    assert all(word in out.getvalue() for word in words)


def test_times_are_on_the_issuers_clock() -> None:
    shown, _ = page()
    assert shown.when(datetime(2026, 11, 23, 2, 14, 5, tzinfo=UTC)) == "2026-11-23 03:14"
    assert shown.when(datetime(2026, 7, 1, 22, 30, 5, tzinfo=UTC), seconds=True) == "2026-07-02 00:30:05"
    assert shown.when(None) == "–"


@given(st.text(st.characters(codec="utf-8")))
def test_json_is_harmless_in_a_terminal_and_loses_nothing(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
        patch.setattr("sys.stdout", out)
        print_json({"name": text})
        out.seek(0)
        said = out.read()
    assert json.loads(said) == {"name": text}
    assert _harmless(said.replace("\n", ""))


def test_json_has_instants_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"at": datetime(2026, 11, 23, 2, 14, tzinfo=UTC), "on": datetime(2026, 11, 23, tzinfo=UTC).date()})
    assert json.loads(capsys.readouterr().out) == {"at": "2026-11-23T02:14:00Z", "on": "2026-11-23"}
