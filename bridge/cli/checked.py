"""What a working configuration amounts to, source by source, and what is worth a second look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from bridge.app import mapping_files, mapping_texts, read_config
from bridge.config import Config, SourceConfig, live_refusals, mappings_to_extend, shipped_mapping
from bridge.config.declared import mappings_folder
from bridge.config.forms import is_public_host
from bridge.core import document
from bridge.core.errors import ConfigError, MappingError, Mark, Problem
from bridge.core.mapping import CourseListing
from bridge.core.mapping import Mapping as CompiledMapping
from bridge.core.wording import suggestion
from bridge.flow.mappings import MappingFile, read_mapping
from bridge.installation import vanished
from bridge.issuing.renderer import check_template
from bridge.issuing.template import load_template


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """One source without mistakes."""

    name: str
    connector: str
    mode: str
    mapping: str
    courses: Sequence[CourseListing]
    warnings: Sequence[str]
    before_live: Sequence[str]
    """What stands between a source in test mode and `mode: live`."""

    @property
    def listed(self) -> int:
        """How many courses are listed by name."""
        return sum(1 for course in self.courses if course.key)


def compiled(config: Config, source: str) -> CompiledMapping:
    """Returns the mapping of a source as its file says now. Raises MappingError."""
    return read_mapping(mapping_files(config)[source], mapping_texts(config))


def problems(path: Path, environ: Mapping[str, str]) -> list[Problem]:
    """Returns every problem of configuration, mappings and templates at once; empty when all is well."""
    found: list[Problem] = []
    templates: dict[str, Mark | None] = {"classic": None}
    folder = path.parent / "templates"
    try:
        config = read_config(path, environ)
        files, folder, texts = mapping_files(config), config.templates, mapping_texts(config)
        found += [Problem(None, said) for said in (vanished(config),) if said is not None]
    except ConfigError as error:
        found += error.problems
        texts = mappings_to_extend(mappings_folder(path))
        files = _guessed_files(path, texts)
    for file in files.values():
        try:
            templates |= read_mapping(file, texts).templates()
        except MappingError as error:
            found += error.problems
    for name, mark in sorted(templates.items()):
        try:
            found += check_template(load_template(name, folder))
        except ConfigError as error:
            # What is wrong with a template's name or folder is mended where it is named.
            found += [replace(one, mark=one.mark or mark) for one in error.problems]
    # What is wrong in a declaration is wrong for the configuration and for the mapping.
    return list(dict.fromkeys(found))


def _guessed_files(path: Path, texts: Callable[[str], str | None]) -> dict[str, MappingFile]:
    """Returns the mappings that a broken configuration names, as far as it can be read: they are looked at too."""
    try:
        written = document.read(path.read_bytes(), path.name)
    except (OSError, ConfigError):
        return {}
    sources = written.at(("sources",))
    files = {}
    for name, block in sources.items() if isinstance(sources, dict) else ():
        connector, mapping = (block.get(key) if isinstance(block, dict) else None for key in ("connector", "mapping"))
        if isinstance(connector, str) and isinstance(mapping, str):
            file = mappings_folder(path) / mapping
            if texts(connector) is not None and file.is_file():
                files[name] = MappingFile(name, connector, file)
    return files


def checked(config: Config) -> list[CheckedSource]:
    """Looks at every source of a configuration that has no mistakes."""
    return [_checked(config, source, compiled(config, name)) for name, source in config.sources.items()]


def _checked(config: Config, source: SourceConfig, mapping: CompiledMapping) -> CheckedSource:
    courses = mapping.courses()
    return CheckedSource(
        name=source.name,
        connector=source.connector,
        mode=source.mode,
        mapping=source.mapping or _own_mapping(source.connector),
        courses=courses,
        warnings=list(_warnings(config, source, mapping, courses)),
        before_live=_before_live(config, source),
    )


def _own_mapping(connector: str) -> str:
    return f"{connector}.yaml" if shipped_mapping(connector) is None else f"{connector} (as shipped)"


def _before_live(config: Config, source: SourceConfig) -> list[str]:
    return live_refusals(config, source.model_copy(update={"mode": "live"})) if source.mode == "test" else []


def _warnings(
    config: Config, source: SourceConfig, mapping: CompiledMapping, courses: Sequence[CourseListing]
) -> Iterator[str]:
    if not courses:
        yield f"{source.name}: no course is listed, and courses that are not listed are not issued: {mapping.name}."
    yield from _never_sent(config, source, mapping)
    yield from _unencrypted(source)
    for course in courses:
        yield from _missing_fields(config, source, course)


def _never_sent(config: Config, source: SourceConfig, mapping: CompiledMapping) -> Iterator[str]:
    connector = config.connectors[source.connector]
    for name in sorted(set(mapping.event_types()) - connector.event_types):
        advice = suggestion(name, sorted(connector.event_types)) or "."
        yield (
            f'{source.name}: the entry "{name}" under events never applies, because {connector.title} sends no such '
            f"event{advice} ({mapping.name})"
        )


def _unencrypted(source: SourceConfig) -> Iterator[str]:
    for setting, value in source.settings:
        parts = urlsplit(value) if isinstance(value, str) and value.startswith("http://") else None
        if parts is not None and is_public_host(parts.hostname or ""):
            yield (
                f"{source.name}: {setting} begins with http://, so keys and learners' data would travel through the "
                "internet for everybody to read. Write https:// if the platform has it."
            )


def _missing_fields(config: Config, source: SourceConfig, course: CourseListing) -> Iterator[str]:
    from bridge.issuing.html import fields_of

    printed = fields_of(load_template(course.template, config.templates))
    fields = {word.removeprefix("fields.") for word in printed if word.startswith("fields.")}
    missing = sorted(fields - course.fields)
    if missing:
        which = f'course "{course.key}"' if course.key else "courses that are not listed"
        yield (
            f"{source.name}, {which}: the template {course.template} prints {', '.join(missing)}, but nobody gives "
            f"{'it' if len(missing) == 1 else 'them'}. Add it under fields. ({course.template_mark or course.mark})"
        )
