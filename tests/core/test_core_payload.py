"""JSON from outside: what is read, and each thing that is refused in plain words."""

from __future__ import annotations

import json

import pytest

from bridge.core.errors import PayloadError
from bridge.core.payload import read_json, read_object


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        "true",
        ' {"a": [1, -2.5e3, "x", null, false, {"b": {}}]} ',
        '"\\" { [ \\\\"',
        '{"emoji": "\\ud83d\\ude00 \u0142"}',
        "[" * 100 + "]" * 100,
        "9" * 4000,
        '{"a": {"same": 1}, "b": {"same": 2}}',
    ],
)
def test_reads_what_every_reader_reads_alike(text: str) -> None:
    assert read_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "UTF-16"),
        ("{}".encode("utf-16-le"), "UTF-16"),
        (b'{"a": "\xff"}', "byte 8 is wrong"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b"{", "not JSON"),
        (b"{} {}", "line 1, column 4"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\n"}', "not JSON"),
        (b"[1,]", "not JSON"),
        (b"NaN", "NaN, which is no JSON number"),
        (b"[-Infinity]", "-Infinity"),
        (b"[1e999]", "too large"),
        (b"[-1e999]", "too large"),
        (b"9" * 4001, "4,000 digits"),
        (b"[" + b"9" * 100_000 + b"]", "4,000 digits"),
        (b'{"id": 1, "id": 1}', "'id' twice"),
        (b'{"id": 1, "\\u0069d": 1}', "'id' twice"),
        (b'[{"a": {"b": 1, "b": 2}}]', "'b' twice"),
        (b"[" * 101 + b"]" * 101, "100 levels"),
        (b'{"a":' * 100_000, "100 levels"),
        (b"[" * 1_000_000, "100 levels"),
        (b'["\\u0000"]', "cannot be stored"),
        (b'{"\\u0000": 1}', "cannot be stored"),
        (b'{"a": {"b": ["\\ud800"]}}', "cannot be stored"),
        (b'"\\udc00\\ud800"', "cannot be stored"),
        (b"[" + b"1," * 100_000 + b"1]", "100,000 values"),
        (b" " * 3_000_000 + b"1", "bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refuses_in_plain_words(body: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as caught:
        read_json(body)
    assert reason in str(caught.value)


def test_brackets_in_texts_are_not_nesting() -> None:
    text = "[" * 5_000 + '\\" {'
    assert read_json(json.dumps([text]).encode()) == [text]


@pytest.mark.parametrize("tail", ["\\", '\\"' * 400_000, '"' * 400_001, "\\" * 800_001])
def test_a_text_that_never_ends_is_refused_in_one_pass(tail: str) -> None:
    with pytest.raises(PayloadError):
        read_json(b'"' + tail.encode())


def test_limits_can_be_set() -> None:
    assert read_json(b"[[1]]", max_depth=2) == [[1]]
    for limit in ({"max_depth": 1}, {"max_bytes": 4}, {"max_values": 2}):
        with pytest.raises(PayloadError):
            read_json(b"[[1]]", **limit)


def test_a_refusal_does_not_repeat_the_body() -> None:
    with pytest.raises(PayloadError) as caught:
        read_json(b'{"token": "very-secret-token" "x"}')
    assert "very-secret-token" not in str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1", b"1.5", b"true"])
def test_something_else_than_an_object_is_named(body: bytes) -> None:
    with pytest.raises(PayloadError, match="not an object"):
        read_object(body)
