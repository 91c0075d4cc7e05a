"""The transforms, one by one, with what vendors really send."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.choosing import default, find, first_of, lookup
from bridge.core.expressions import compile_text
from bridge.core.sandbox import ExpressionFailure, MissingValue
from bridge.core.transforms import (
    TRANSFORMS,
    date_only,
    epoch,
    epoch_ms,
    iso,
    join,
    local,
    multilang,
    name_case,
    number,
    pick,
    replace,
    rounded,
    sheet_date,
    split_name,
    strip_html,
    unescape,
)

NAMES = ("data", "locale", "zone")


def test_every_transform_has_help_and_an_example_that_compiles() -> None:
    for name, transform in TRANSFORMS.items():
        assert transform.name == name
        assert transform.help
        assert compile_text(transform.example, NAMES).roots


# -- dates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T08:30:00Z",
        "2026-03-01T08:30:00.000Z",
        "2026-03-01T08:30:00.123456789+00:00",
        "2026-03-01 08:30:00 UTC",
        "2026-03-01T10:30:00+02:00",
        "2026-03-01T08:30:00.000+0000",
        "2026-03-01T08:30Z",
    ],
)
def test_iso_reads_instants_as_utc(text: str) -> None:
    found = iso(text)
    assert isinstance(found, datetime)
    assert found.replace(microsecond=0) == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def test_iso_reads_dates_and_times_in_a_named_zone() -> None:
    assert iso("2026-03-01") == date(2026, 3, 1)
    assert iso("2026-07-01T10:00:00", "Europe/Lisbon") == datetime(2026, 7, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2026-13-01", "2026-02-30", "01/03/2026", "2026-W01-1", "2026-03-01T25:00:00Z"])
def test_iso_refuses_everything_else(text: str) -> None:
    with pytest.raises(ValueError, match="date or time"):
        iso(text)


def test_iso_asks_for_the_zone_of_a_local_time() -> None:
    with pytest.raises(ValueError, match="a time without a zone"):
        iso("2026-03-01T10:00:00")
    with pytest.raises(ValueError, match="no time zone"):
        iso("2026-03-01T10:00:00", "Lisbon/../../etc")


@pytest.mark.parametrize("value", [1772353800, "1772353800", 1772353800.0, " 1772353800 "])
def test_epoch_reads_seconds(value: object) -> None:
    assert epoch(value) == datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def test_epoch_keeps_fractions_and_milliseconds_exactly() -> None:
    assert epoch("1772353800.256786") == datetime(2026, 3, 1, 8, 30, 0, 256786, tzinfo=UTC)
    assert epoch_ms(1772353800123) == datetime(2026, 3, 1, 8, 30, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize("value", [0, "x", True, None, "1e9", 1772353800123, 10**30, float("nan")])
def test_epoch_refuses_zero_milliseconds_and_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError):
        epoch(value)


def test_local_reads_a_written_form_in_a_zone() -> None:
    assert local("01/07/2026 10:00", "%d/%m/%Y %H:%M", "Europe/Lisbon") == datetime(2026, 7, 1, 9, tzinfo=UTC)
    with pytest.raises(ValueError, match="does not have the form"):
        local("2026-07-01", "%d/%m/%Y", "Europe/Lisbon")


def test_date_only_drops_the_time_or_converts_first() -> None:
    assert date_only("2026-03-01T23:30:00Z") == date(2026, 3, 1)
    assert date_only("2026-07-01T23:30:00Z", "Europe/Lisbon") == date(2026, 7, 2)
    assert date_only(epoch(1772353800)) == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("cell", "order", "day"),
    [
        ("2026-01-31", None, date(2026, 1, 31)),
        (" 2026/1/31 ", None, date(2026, 1, 31)),
        ("31.01.2026", None, date(2026, 1, 31)),
        ("05.06.2026", None, date(2026, 6, 5)),
        ("31/1/26", None, date(2026, 1, 31)),
        ("1/31/2026", None, date(2026, 1, 31)),
        ("6/6/2026", None, date(2026, 6, 6)),
        ("05/06/2026", "dmy", date(2026, 6, 5)),
        ("05/06/2026", "mdy", date(2026, 5, 6)),
        ("1/31/2026 2:05 PM", "mdy", date(2026, 1, 31)),
        ("46053", None, date(2026, 1, 31)),
    ],
)
def test_a_date_in_a_table_is_read(cell: str, order: str | None, day: date) -> None:
    assert sheet_date(cell, order) == day


@pytest.mark.parametrize(
    ("cell", "order", "said"),
    [
        ("05/06/2026", None, r"5 June 2026 and as 6 May 2026. Say which .* sheet_date\('dmy'\) .* sheet_date\('mdy'\)"),
        ("5-6-26", None, "5 June 2026 and as 6 May 2026"),
        (
            "1/31/2026",
            "dmy",
            r"read as day, month, year.* Read as month, day, year it is one: write sheet_date\('mdy'\)",
        ),
        ("31/1/2026", "mdy", r"write sheet_date\('dmy'\)"),
        ("31.31.2026", None, r"no such date \(read as day, month, year\)\.$"),
        ("31/31/2026", None, r"there is no such date\.$"),
        ("31/1/226", None, "such as 2026-01-31 or 31.01.2026"),
        ("May 5", None, "such as 2026-01-31 or 31.01.2026"),
    ],
)
def test_a_date_that_can_be_read_in_two_ways_or_none_is_refused_with_what_to_write(
    cell: str, order: str | None, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        sheet_date(cell, order)


# -- text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("MARIA DA SILVA", "Maria da Silva"),
        ("maria da silva", "Maria da Silva"),
        ("JEAN-PIERRE O'BRIEN", "Jean-Pierre O'Brien"),
        ("RONALD MCDONALD", "Ronald McDonald"),
        ("Ludwig van Beethoven", "Ludwig van Beethoven"),
        ("DiCaprio", "DiCaprio"),
        ("王小明", "王小明"),
        ("ÉMILE ZOLA", "Émile Zola"),
    ],
)
def test_name_case_changes_only_names_without_any_case(given: str, expected: str) -> None:
    assert name_case(given) == expected


def test_strip_html_keeps_words_apart_and_hides_scripts() -> None:
    assert strip_html("<p>Fire</p><p>Safety</p>") == "Fire Safety"
    assert strip_html("<b>Fire</b>man <script>alert(1)</script>&amp; more") == "Fireman & more"
    assert strip_html("5 < 6 <![CDATA[x]]") == "5 < 6 <![CDATA[x]]"
    assert strip_html("a<!-- <b> -->b<STYLE>p{}</Style>c<br/>d") == "ab c d"
    assert strip_html("a<script>b") == "a"
    assert strip_html("a<!-- b") == "a"
    assert strip_html('<a href="x" title=y>Fire</a> &lt;b&gt;') == "Fire <b>"


def test_unescape_works_once() -> None:
    assert unescape("Health &amp;amp; Safety") == "Health &amp; Safety"


SPANS = '<span lang="en" class="multilang">Basics</span> <span class="multilang" lang="de">Grundlagen</span>'


def test_multilang_picks_one_language_of_spans() -> None:
    assert multilang(SPANS, "de-AT") == "Grundlagen"
    assert multilang(SPANS, "fr") == "Basics"
    assert multilang(f"A {SPANS} 2026: {SPANS}!", "de") == "A Grundlagen 2026: Grundlagen!"


def test_multilang_picks_one_language_of_braces() -> None:
    text = "{mlang en}Basics{mlang}{mlang de,de_du}Grundlagen{mlang} {mlang other}?{mlang} 1"
    assert multilang(text, "de_du") == "Grundlagen 1"
    assert multilang(text, "fr") == "? 1"


def test_multilang_takes_the_words_between_two_signs_and_no_further() -> None:
    assert multilang("{mlang en}A{mlang}{mlang de}B{mlang}" * 2, "de") == "B"
    assert multilang("{mlang   de, at}{B}{mlang}", "de") == "{B}"
    unfinished = "{mlang en}A{mlang de}B"
    assert multilang(unfinished, "de") == unfinished
    assert multilang("{mlang en}" * 1_900, "de") == "{mlang en}" * 1_900
    assert multilang("{mlang" + " " * 19_000, "de") == "{mlang" + " " * 19_000


def test_a_number_of_thousands_of_digits_is_no_sign() -> None:
    for digits in (20, 5_000):
        assert unescape("a&#" + "9" * digits + ";b") == strip_html("a&#" + "9" * digits + ";b") == "a\ufffdb"
    assert unescape("&#65;&#00066;&#x43;") == "ABC"


def test_multilang_leaves_other_text_alone() -> None:
    for text in ("Plain", '<span class="x">A</span>', "{mlang en}open", "<span lang='en'>A</span>"):
        assert multilang(text, "de") == text


def test_pick_prefers_the_nearest_language() -> None:
    titles = {"en": "Fire", "pt-PT": "Fogo", "pt_BR": "Incêndio", "de": None}
    assert pick(titles, "pt-BR") == "Incêndio"
    assert pick(titles, "pt") == "Fogo"
    assert pick(titles, "de") == "Fire"
    assert pick({"fr": "Feu"}, "de") == "Feu"
    with pytest.raises(ValueError, match="not a section"):
        pick("Fire", "en")


# -- choosing, numbers -------------------------------------------------------------------------------


def test_first_of_and_default_skip_blanks() -> None:
    assert first_of("", " ", "b") == "b"
    assert first_of(0, "b") == 0
    assert first_of("", None) == ""
    assert default(None, "x") == "x"
    assert default(False, "x") is False


def test_split_name_reads_both_orders() -> None:
    assert split_name("Maria da Silva") == {"first": "Maria", "last": "da Silva"}
    assert split_name("da Silva, Maria") == {"first": "Maria", "last": "da Silva"}
    assert split_name("Maria") == {"first": "Maria", "last": ""}


def test_find_chooses_the_entry_of_a_list_by_one_of_its_items() -> None:
    entries = [
        None,
        5,
        {"name": None},
        {"name": "Team", "value": "North"},
        {"name": "Team", "value": "South"},
        {"id": 7},
    ]
    assert find(entries, "name", "Team") == {"name": "Team", "value": "North"}
    assert find(entries, "id", "7") == find(entries, "id", 7) == {"id": 7}
    assert find(entries, "name", "None") is None
    assert find([], "name", "Team") is None
    with pytest.raises(ValueError, match="it is not a list"):
        find("Team", "name", "Team")
    found = compile_text("{{ (data | find('name', 'Squad')).value | default('none') }}", ("data",))
    assert found.value({"data": entries}) == "none"
    assert compile_text("{{ (data | find('name', 'Squad')) is defined }}", ("data",)).value({"data": entries}) is False
    with pytest.raises(MissingValue, match="what find looks for is missing"):
        compile_text("{{ data | find('name', 'Squad') }}", ("data",)).value({"data": entries})


def test_lookup_replaces_or_says_what_is_missing() -> None:
    assert lookup(1, {"1": "Basic"}) == "Basic"
    assert lookup("9", {"1": "Basic"}, default="Other") == "Other"
    with pytest.raises(ValueError, match='"9": the lookup table has no such entry'):
        lookup("9", {"1": "Basic"})


@pytest.mark.parametrize(
    ("given", "decimal", "expected"),
    [
        ("87,5", ",", Decimal("87.5")),
        ("80 %", ".", 80),
        ("1,234.5", ".", Decimal("1234.5")),
        ("1.234,5", ",", Decimal("1234.5")),
        (87.5, ".", Decimal("87.5")),
        ("-3", ".", -3),
    ],
)
def test_number_reads_how_people_write_numbers(given: object, decimal: str, expected: object) -> None:
    assert number(given, decimal) == expected


@pytest.mark.parametrize("given", ["", "Passed", "87,5", "1e9", "--1", "9" * 40])
def test_number_refuses_what_is_none(given: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        number(given)


def test_round_rounds_half_up() -> None:
    assert (rounded(0.5), rounded(1.25, 1), rounded("2.5")) == (1, Decimal("1.3"), 3)


def test_join_and_replace_are_capped() -> None:
    assert join(["a", 1]) == "a, 1"
    with pytest.raises(ValueError, match="more than 20,000"):
        join(["a" * 15_000, "b" * 15_000])
    with pytest.raises(ValueError, match="more than 20,000"):
        replace("a" * 1_000, "a", "b" * 1_000)


_JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({"a": "b"})


@pytest.mark.parametrize("example", [transform.example for transform in TRANSFORMS.values()])
@settings(max_examples=40, deadline=None)
@given(value=_JSON)
def test_no_value_makes_a_transform_fail_otherwise(example: str, value: object) -> None:
    text = compile_text(example, NAMES)
    data = dict.fromkeys(
        ["ended", "name", "title", "titles", "a", "b", "level", "grade", "tags", "country", "code"], value
    )
    try:
        text.value({"data": data, "locale": "de", "zone": "UTC"})
    except (MissingValue, ExpressionFailure) as failure:
        assert str(failure)  # noqa: PT017
