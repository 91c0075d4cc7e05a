"""Writes the parts of the documentation that come from the code: `make docs`; a test compares them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config import discover_connectors, example
from bridge.core.conditions import PHRASES
from bridge.core.declared import Declaration
from bridge.core.declared.asking import Ask
from bridge.core.declared.proof import OneProof
from bridge.core.declared.rules import PLACES
from bridge.core.doubts import DOUBTS
from bridge.core.mapping_decision import OVERRIDES
from bridge.core.mapping_file import WORDS, Conditions, MappingFile
from bridge.core.transforms import TRANSFORMS

ROOT = Path(__file__).parents[1]
LISTED = "connectors/thinkific/__init__.py"

NAMES = [
    "How a name is told from none: words that are in nobody's name (undefined, unknown, user, not provided, kein",
    "Name, non renseigné, …) count wherever they stand. Words that people are called, too (Guest, Test, Student,",
    "First, Na, Nan), count where nothing else stands beside them: `Guest` is held, Christopher Guest is not.",
    "`null` and `none` count as the first word, and anywhere in a program's spelling (`null`, `NULL`, `None`):",
    "`null Silva` and `Maria None` are held, Christopher Null and CHRISTOPHER NULL are not. `nan` and `nil` count",
    "in small letters beside a word with capitals. A name of one word, or with digits, is held by `looks",
    "incomplete` only, which includes all of this. A letter like Ã or Â says nothing; that a name was read in a",
    "wrong encoding is found out by reading it back.",
]
AGAIN = [
    "Two tellings of one completion make one certificate: with a key in common, on the same day, or within ten",
    "minutes (more where the source says so). For a completion on another day `again` decides:",
    "",
    "| `again` | what becomes of it |",
    "| --- | --- |",
    "| `reuse` | The certificate there is stays the only one. An older completion says how to print its day instead. |",
    "| `renew` | It gets its own. What renews what follows the days of completion, whatever came when. |",
    "| `hold` | A person decides. |",
    "",
    "After a revocation only a completion on a later day is issued by itself (`renew`); everything else is held as",
    "`completed_after_revocation`. Nobody is congratulated on a certificate that is expired on its day of issue.",
    "",
    "Where a source knows learners by their address alone, another name under it (capitals, accents, spaces and",
    "the order of words do not count) is held as `another_name`, once for each name. Released, it is another",
    "person with certificates of their own; released with the name on the certificate, it is the same one. An id",
    "of the learner in what the source sends settles it for good.",
]


def built() -> dict[str, str]:
    """Returns path to text of everything that is made from the code."""
    return {
        "config.example.yaml": example(discover_connectors()),
        "docs/mapping.md": mapping_reference(),
        "docs/declaring-a-source.md": with_reference(_read("docs/declaring-a-source.md")),
        "docs/connect/README.md": with_part(_read("docs/connect/README.md"), "sources", source_table()),
        "README.md": with_block(_read("README.md"), LISTED, "python", _read(LISTED)),
    }


def with_block(text: str, name: str, language: str, content: str) -> str:
    """Returns the text with the fenced block between `<!-- name -->` and `<!-- /name -->` replaced."""
    block = f"<!-- {name} -->\n```{language}\n{content.rstrip()}\n```\n<!-- /{name} -->"
    pattern = rf"<!-- {re.escape(name)} -->\n.*?<!-- /{re.escape(name)} -->"
    if not re.search(pattern, text, re.DOTALL):
        raise ValueError(f"there is no block {name}")
    return re.sub(pattern, lambda _: block, text, flags=re.DOTALL)


def with_part(text: str, name: str, content: str) -> str:
    """Returns the text with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    pattern = rf"<!-- {re.escape(name)} -->\n.*?<!-- /{re.escape(name)} -->"
    if not re.search(pattern, text, re.DOTALL):
        raise ValueError(f"there is no part {name}")
    return re.sub(pattern, lambda _: f"<!-- {name} -->\n{content}\n<!-- /{name} -->", text, flags=re.DOTALL)


def source_table() -> str:
    """Returns the table of every connector that comes with certbridge, as classes and declarations describe them."""
    lines = ["| source | webhook | signature | enrichment | poll | write-back | limits |", "|" + " --- |" * 7]
    for name, connector in sorted(discover_connectors().items(), key=lambda item: item[1].title.lower()):
        can = connector.abilities
        cells = (can.webhook, can.proof, can.enrichment, can.poll, can.write_back, can.limits)
        lines.append(f"| [{connector.title}]({name}.md) | {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines)


def mapping_reference() -> str:
    """Returns docs/mapping.md."""
    return "\n".join(
        [
            "# Mapping reference",
            "",
            "Made from the code by `make docs`. How to use it stands in the [README](../README.md#editing-a-mapping).",
            "",
            "A mapping has two layers. The shipped one (`mappings/*.yaml`) says how a platform's data becomes our",
            "words; yours says `extends: NAME` and holds decisions. Every value is text, typed by its setting:",
            "`no`, `012` and `1:30` mean what they say. Text with `[ ] { } : #` or `{{ ... }}` belongs in quotes.",
            "",
            *_settings(),
            "## Words for conditions",
            "",
            *_table(WORDS, "word", "what it is"),
            "The name of a custom field is a word, too.",
            "",
            "## Phrases",
            "",
            "A condition is `word: phrase`. In `skip_if` and `hold_if` one true line is enough; `issue_if` needs all.",
            "A value that is missing where a rule needs it holds the event and names the place.",
            "",
            *_table(PHRASES, "phrase", "true for"),
            'The way out is `expression: "..."`, with `because:` as the reason that people read.',
            "",
            "## What is held without a rule",
            "",
            "Whatever a source sends, these hold the event until a person releases it, with the right text (`--set`)",
            "or as it is. They come after `skip_if` and `issue_if`, and before `hold_if`; a release answers for good.",
            "",
            *_table(DOUBTS, "code", "what it is for"),
            *NAMES,
            "",
            "## The same learner and course again",
            "",
            *AGAIN,
            "",
            "## Transforms",
            "",
            'Used as filters: `"{{ data.completed | epoch }}"`. A dot means an item of the data, never anything else.',
            "",
            "| transform | what it does | example |",
            "| --- | --- | --- |",
            *(
                f"| `{one.name}` | {_cell(one.help)} | `{_cell(one.example)}` |"
                for one in sorted(TRANSFORMS.values(), key=lambda transform: transform.name)
            ),
            "",
            "## What a person may set when releasing an event",
            "",
            *_table(OVERRIDES, "word", "what it is"),
            "`fields.NAME` sets a custom field.",
            "",
        ]
    )


def with_reference(text: str) -> str:
    """Returns docs/declaring-a-source.md with its reference made anew."""
    mark = "<!-- reference: made from the code by `make docs` -->"
    return f"{text[: text.index(mark)]}{mark}\n" + "\n".join(["", *_declaration()])


def _declaration() -> Iterator[str]:
    shown: set[type[BaseModel]] = set()
    for model, path in _models(Declaration, "`source:`"):
        if model in shown or model is OneProof:
            continue  # what is written in several places is explained at the first one
        shown.add(model)
        yield from (f"### {path}", "")
        own = dict(model.model_fields)
        if issubclass(model, Ask) and model is not Ask:
            own = {name: info for name, info in own.items() if name not in Ask.model_fields}
            yield from ("What every request has (below), and:", "")
        yield from ("| setting | what it is |", "| --- | --- |", *_rows(own), "")
    yield from ("### Names in texts", "", "What a text may start from depends on where it stands:", "")
    yield from ("| in | names |", "| --- | --- |")
    for place, names in PLACES.items():
        yield f"| `{'.'.join(place)}` | {', '.join(f'`{name}`' for name in names)} |"
    yield ""


def _rows(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, info in fields.items():
        needed = "**Needed.** " if info.is_required() else ""
        default = info.default if isinstance(info.default, str | int) and not isinstance(info.default, bool) else None
        ending = f" Default: `{default}`." if default not in (None, "") else ""
        yield f"| `{info.alias or name}` | {needed}{_cell(info.description or '')}{ending} |"


def _settings() -> Iterator[str]:
    yield from ("## Settings", "")
    for model, path in dict.fromkeys(_models(MappingFile, "")):
        if model is Conditions or path.startswith("`source:`"):
            continue  # each has a section or a page of its own
        yield from (f"### {path or 'The file'}", "", "| setting | what it is |", "| --- | --- |")
        for name, info in model.model_fields.items():
            yield f"| `{info.alias or name}` | {_cell(info.description or '')} |"
        yield ""


def _models(model: type[BaseModel], path: str) -> Iterator[tuple[type[BaseModel], str]]:
    yield model, path
    for name, info in model.model_fields.items():
        for inner in _inside(info.annotation):
            key = info.alias or name
            each = key in ("events", "courses") or get_origin(info.annotation) in (dict, tuple)
            inside = f"`{key}:`, each" if each else f"`{key}:`"
            yield from _models(inner, f"{path} → {inside}" if path else inside)


def _inside(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += [model for model in _inside(part) if model not in found]
    return found


def _table(rows: Mapping[str, str], left: str, right: str) -> list[str]:
    return [
        f"| {left} | {right} |",
        "| --- | --- |",
        *(f"| `{key}` | {_cell(text)} |" for key, text in rows.items()),
        "",
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def main() -> None:
    """Writes the files."""
    for path, text in built().items():
        (ROOT / path).write_text(text, encoding="utf-8")
        print(path)  # noqa: T201 (a command for people)


if __name__ == "__main__":
    main()
