"""Turns a render job into HTML: the sandbox in which an admin's template meets a learner's words."""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache, partial
from pathlib import PurePath
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.loaders import FunctionLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bridge.core.errors import ConfigError, HeldError, Mark, PermanentError, Problem
from bridge.issuing import wording
from bridge.issuing.fitting import fit, shorten
from bridge.issuing.job import RenderJob
from bridge.issuing.template import IMAGE_TYPES, PAGE, TEXT_SUFFIXES, TemplateBundle
from bridge.issuing.words import WORDS, FieldValues

MAX_HTML: Final = 8 * 1024 * 1024
"""Characters. Images count, because they stand in the HTML."""
TOOLS: Final = ("fit", "say", "image", "date", "shorten", "range", "namespace")
"""The functions of templates, beside the words."""
_IMPLICIT: Final = ("loop", "caller", "varargs", "kwargs", "self", "super", "true", "false", "none")


class MissingValueError(UndefinedError):
    """The template prints something this certificate does not have."""


class _Missing(StrictUndefined):
    """Tells a field that was not given (hold this certificate) from a word that does not exist (mend the template)."""

    def __init__(self, hint: str | None = None, obj: Any = None, name: Any = None, exc: Any = UndefinedError) -> None:
        if isinstance(obj, FieldValues):
            hint, exc = f'the field "{name}"', MissingValueError
        super().__init__(hint, obj, name, exc)


def _printable(value: Any) -> Any:
    if value is None:
        raise MissingValueError("a value")
    return value


class CompiledTemplate:
    """A template compiled once and rendered for many learners."""

    def __init__(self, bundle: TemplateBundle) -> None:
        self.bundle = bundle
        self._environment = _environment(bundle)
        try:
            self._page = self._environment.get_template(PAGE)
            self._words = words_of(bundle)
        except TemplateSyntaxError as error:
            raise PermanentError(_at(bundle, error), code="template") from error

    def render(self, job: RenderJob) -> str:
        """Returns the HTML of the job.

        Raises HeldError (`missing_field`, `does_not_fit`) when this certificate is the reason, PermanentError
        (`template`) when the template is.
        """
        job = job.cleaned()
        try:
            values = {name: WORDS[name].read(job) for name in self._words}
            pieces = self._page.generate(
                **values, say=partial(_say, locale=job.locale), date=partial(_format_date, locale=job.locale)
            )
            return _joined(pieces)
        except MissingValueError as error:
            place = _line_of(error, self.bundle)
            raise HeldError(
                f"{place} prints {error.message}, but this certificate has none. Give it in the mapping, "
                "or let the template ask first whether it is there.",
                code="missing_field",
            ) from error
        except TemplateError as error:
            raise PermanentError(_at(self.bundle, error), code="template") from error
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            message = f"{_line_of(error, self.bundle)} The template cannot be used: {shorten(str(error), most=300)}."
            raise PermanentError(message, code="template") from error


def render_html(job: RenderJob) -> str:
    """Returns the HTML of the job; compiled templates are kept for the next one."""
    return compiled(job.template.sha256, job.template).render(job)


def compiled(sha256: str, bundle: TemplateBundle) -> CompiledTemplate:
    """Returns the compiled template for a hash, compiling it the first time."""
    return _compiled(sha256, _Carried(bundle))


class _Carried:
    """Lets a bundle travel through the cache without being part of its key: the hash says it all."""

    def __init__(self, bundle: TemplateBundle) -> None:
        self.bundle = bundle

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Carried)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=16)
def _compiled(sha256: str, carried: _Carried) -> CompiledTemplate:
    return CompiledTemplate(carried.bundle)


# -- the sandbox -----------------------------------------------------------------------------------


def _environment(bundle: TemplateBundle) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=_Missing, loader=FunctionLoader(partial(_source, bundle)), finalize=_printable
    )
    # Nothing beyond what a page needs: lipsum, cycler and the like only help to fill the memory.
    kept = {name: environment.globals[name] for name in ("range", "namespace")}
    environment.globals.clear()
    environment.globals.update(kept, fit=fit, shorten=shorten, image=partial(_image, bundle))
    return environment


def _source(bundle: TemplateBundle, file: str) -> tuple[str, str, Any] | None:
    if file not in bundle.files or not file.endswith(TEXT_SUFFIXES):
        return None
    # The file's own name, so that a traceback points into the template.
    return bundle.text(file), file, lambda: True


def _image(bundle: TemplateBundle, file: str) -> str:
    media_type = IMAGE_TYPES.get(PurePath(file).suffix.lower())
    if media_type is None or file not in bundle.files:
        raise LookupError(f'there is no image "{file}" in the template\'s folder')
    return f"data:{media_type};base64,{base64.b64encode(bundle.files[file]).decode()}"


def _say(phrase: str, *, locale: str, **values: object) -> str:
    if phrase not in wording.PHRASES:
        raise LookupError(f'there is no phrase "{phrase}"{_suggestion(phrase, wording.PHRASES)}')
    return wording.say(phrase, locale=locale, **values)


def _format_date(day: str, *, locale: str) -> str:
    """Lets a template print a field such as 2026-11-21 in the learner's language."""
    return wording.format_date(date.fromisoformat(day), locale)


def _joined(pieces: Iterator[str]) -> str:
    texts, length = [], 0
    for piece in pieces:
        texts.append(piece)
        length += len(piece)
        if length > MAX_HTML:
            raise ValueError(f"it makes more than {MAX_HTML // 1024 // 1024} million characters")
    return "".join(texts)


# -- looking at a template without running it ------------------------------------------------------


def words_of(bundle: TemplateBundle) -> frozenset[str]:
    """Returns the words (of `WORDS`) that the template's files use. Raises TemplateSyntaxError."""
    return frozenset().union(*(_free_names(tree).keys() & WORDS.keys() for tree in _trees(bundle).values()))


def _free_names(tree: nodes.Template) -> dict[str, int]:
    """Returns the names that the file reads and never sets, with the line of the first use.

    Jinja's own `meta.find_undeclared_variables` generates code, which computes constants such as `"a" * 10**9` in the
    process that only wants to look.
    """
    names = list(tree.find_all(nodes.Name))
    ours = {node.name for node in names if node.ctx != "load"} | {macro.name for macro in tree.find_all(nodes.Macro)}
    free: dict[str, int] = {}
    for node in names:
        if node.name not in ours and node.name not in _IMPLICIT:
            free.setdefault(node.name, node.lineno)
    return free


def fields_of(bundle: TemplateBundle) -> frozenset[str]:
    """Returns what the template prints: words such as `name`, and extra fields as `fields.hours`.

    A field that the template asks for first (`{% if "hours" in fields %}`, `fields.hours is defined`,
    `fields.hours | default(...)`) is optional and not returned. Raises ConfigError when the template cannot be read.
    """
    used: set[str] = set()
    optional: set[str] = set()
    try:
        trees = _trees(bundle)
    except TemplateSyntaxError as error:
        raise ConfigError([_problem(bundle, error)]) from error
    for tree in trees.values():
        used |= _free_names(tree).keys() & WORDS.keys() - {"fields"}
        used |= {f"fields.{name}" for name in _fields_in(tree)}
        optional |= {f"fields.{name}" for name in _asked_for(tree)}
    return frozenset(used - optional)


def static_problems(bundle: TemplateBundle) -> list[Problem]:
    """Returns what can be seen to be wrong without running the template."""
    try:
        trees = _trees(bundle)
    except TemplateSyntaxError as error:
        return [_problem(bundle, error)]
    return [problem for file, tree in trees.items() for problem in _tree_problems(bundle, file, tree)]


def _trees(bundle: TemplateBundle) -> Mapping[str, nodes.Template]:
    environment = _environment(bundle)
    names = sorted(file for file in bundle.files if file.endswith(TEXT_SUFFIXES))
    return {file: environment.parse(bundle.text(file), filename=file) for file in names}


def _tree_problems(bundle: TemplateBundle, file: str, tree: nodes.Template) -> Iterator[Problem]:
    for name, line in _free_names(tree).items():
        if name not in WORDS and name not in TOOLS:
            message = f'There is no word "{name}" for templates{_suggestion(name, WORDS)}.'
            yield Problem(Mark(bundle.path(file), line, 1), message)
    for included in meta.find_referenced_templates(tree):
        if included is not None and included not in bundle.files:
            yield Problem(
                Mark(bundle.path(file), 1, 1), f'It includes "{included}", which is not in the template\'s folder.'
            )


def _fields_in(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all((nodes.Getattr, nodes.Getitem)):
        name = _field_of(node)
        if name is not None:
            yield name


def _asked_for(tree: nodes.Template) -> Iterator[str]:
    for compare in tree.find_all(nodes.Compare):
        names = [operand.expr for operand in compare.ops if operand.op in ("in", "notin")]
        if isinstance(compare.expr, nodes.Const) and any(
            isinstance(n, nodes.Name) and n.name == "fields" for n in names
        ):
            yield str(compare.expr.value)
    for node in tree.find_all((nodes.Test, nodes.Filter)):
        name = _field_of(node.node) if node.name in ("defined", "undefined", "default", "d") else None
        if name is not None:
            yield name


def _field_of(node: nodes.Node | None) -> str | None:
    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "fields":
        return node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.node, nodes.Name) and node.node.name == "fields":
        return str(node.arg.value) if isinstance(node.arg, nodes.Const) else None
    return None


# -- where it went wrong ---------------------------------------------------------------------------


def _problem(bundle: TemplateBundle, error: TemplateSyntaxError) -> Problem:
    return Problem(Mark(bundle.path(error.name or error.filename or PAGE), error.lineno, 1), _sentence(error))


def _at(bundle: TemplateBundle, error: TemplateError) -> str:
    if isinstance(error, TemplateSyntaxError):
        return str(_problem(bundle, error))
    return f"{_line_of(error, bundle)} The template cannot be used: {_sentence(error)}"


def _sentence(error: TemplateError) -> str:
    text = re.sub(r"'bridge\.\S+ object'", "this value", shorten(error.message or type(error).__name__, most=300))
    return text if text.endswith(".") else f"{text}."


def _line_of(error: BaseException, bundle: TemplateBundle) -> str:
    """Returns `template/file:line:` of the innermost frame inside the template."""
    place, frame = f"{bundle.path(PAGE)}:", error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file in bundle.files:
            place = f"{bundle.path(file)}:{frame.tb_lineno}:"
        frame = frame.tb_next
    return place


def _suggestion(word: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
