"""What must fit together in a declaration: which words stand where, which settings exist, what needs the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from bridge.core.declared.addresses import Address
from bridge.core.declared.jwt_proof import JwtProof
from bridge.core.declared.model import Declaration
from bridge.core.declared.proof import kinds_of
from bridge.core.declared.proofs import ProofKind
from bridge.core.declared.settings import secret_fields
from bridge.core.declared.standard_proof import StandardWebhooksProof
from bridge.core.declared.texts import Condition, Path, Tree
from bridge.core.document import Document
from bridge.core.errors import Problem
from bridge.core.expressions import Expression, Text
from bridge.core.wording import suggestion

_RECEIVED: Final = ("item", "body", "headers", "query", "settings")
_ITEM: Final = ("item", "outer", "answer", "settings", "since", "now")
_LISTED: Final = (*_ITEM, "detail")
_STEP: Final = ("target", "certificate", "settings", "memo")
_ANSWERED: Final = (*_STEP, "answer")
# Where a text stands (numbers and names in between left out) -> what it may start from; the longest beginning counts.
PLACES: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("webhook", "proof"): ("settings", "claims"),
    ("webhook", "items"): ("body",),
    ("webhook",): _RECEIVED,
    ("event",): ("data", "type", "settings"),
    ("api", "client_credentials", "token"): ("answer",),
    ("api",): ("settings",),
    ("fetch", "request"): ("data", "event", "settings"),
    ("fetch",): ("data", "event", "settings", "answer"),
    ("poll", "request"): ("since", "now", "page", "settings"),
    ("poll", "items"): ("answer",),
    ("poll", "pages"): ("answer", "settings"),
    ("poll", "each", "request"): ("outer", "since", "now", "page", "settings"),
    ("poll", "each", "items"): ("answer",),
    ("poll", "each", "pages"): ("answer", "settings"),
    ("poll", "detail"): _ITEM,
    ("poll",): _LISTED,
    ("write_back", "target"): ("event", "data", "certificate", "settings"),
    ("write_back", "title"): ("event", "data", "certificate", "settings", "target"),
    ("write_back", "lock"): ("event", "data", "certificate", "settings", "target"),
    ("write_back", "look_up"): _STEP,
    ("write_back", "look_up", "already"): _ANSWERED,
    ("write_back", "look_up", "holds"): _ANSWERED,
    ("write_back", "read_back"): _STEP,
    ("write_back", "read_back", "confirm"): _ANSWERED,
    ("write_back",): _ANSWERED,
}


def texts(part: object, path: Path = ()) -> Iterator[tuple[Path, Text | Expression]]:
    """Yields every text of a part of a declaration with its place."""
    if isinstance(part, Text | Expression):
        yield path, part
    elif isinstance(part, Condition):
        yield path, part.expression
    elif isinstance(part, Address):
        yield path, part.text
    elif isinstance(part, Tree):
        for inner, leaf in part.leaves():
            yield (*path, *inner), leaf
    else:
        for key, value in _inside(part):
            yield from texts(value, (*path, key))


def _inside(part: object) -> Iterable[tuple[str | int, Any]]:
    if isinstance(part, BaseModel):
        return [(info.alias or name, getattr(part, name)) for name, info in type(part).model_fields.items()]
    if isinstance(part, dict):
        return part.items()
    return enumerate(part) if isinstance(part, list | tuple) else ()


def settings_used(*parts: object) -> set[str]:
    """Returns the names of the settings that texts of these parts read."""
    found = (text.reads for part in parts for _, text in texts(part))
    return {name for reads in found for root, name in reads if root == "settings"}


def problems(document: Document, declaration: Declaration, at: Path) -> list[Problem]:
    """Returns what does not fit together, each with its place; `at` is where the declaration stands."""
    found: list[tuple[Path, str]] = []
    for path, text in texts(declaration):
        found += [(path, message) for message in _text_problems(declaration, path, text)]
    found += [*_setting_problems(declaration), *_key_problems(declaration)]
    found += [*_api_problems(declaration), *_step_problems(declaration)]
    return [document.problem((*at, *path), f"{_name((*at, *path))}: {message}") for path, message in found]


def _name(path: Path) -> str:
    return ".".join(str(step) for step in path)


# -- texts -----------------------------------------------------------------------------------------


def _text_problems(declaration: Declaration, path: Path, text: Text | Expression) -> Iterator[str]:
    known = _known_at(path)
    for root in sorted(text.roots - set(known)):
        yield f'"{root}" is not known here{suggestion(root, known) or ". Known here: " + ", ".join(known) + "."}'
    for root, name in sorted(text.reads):
        named = _named_below(declaration, path, root)
        if named is not None and name not in named:
            advice = suggestion(name, named) or (f". There are: {', '.join(named)}." if named else "; there is none.")
            yield f'There is no "{root}.{name}"{advice}'
        elif root == "settings" and path[0] != "api" and _is_secret(declaration, name):
            yield f'"settings.{name}" is secret, so it can be used below api only.'


def _known_at(path: Path) -> Sequence[str]:
    steps = tuple(step for step in path if isinstance(step, str))
    fits = [place for place in PLACES if steps[: len(place)] == place]
    return PLACES[max(fits, key=len)] if fits else ("settings",)


def _named_below(declaration: Declaration, path: Path, root: str) -> list[str] | None:
    """Returns the names that exist below a root, or None where data decides."""
    if root == "settings":
        return [*declaration.settings, *_proof_settings(declaration)]
    if path[0] == "write_back" and isinstance(path[1], int):
        step = declaration.write_back[path[1]]
        return {"target": list(step.target), "memo": list(step.remember)}.get(root)
    return None


def _is_secret(declaration: Declaration, name: str) -> bool:
    words = declaration.settings.get(name)
    return words.secret if words is not None else name not in _open_proof_settings(declaration)


def _proof_settings(declaration: Declaration) -> list[str]:
    kinds = kinds_of(declaration.webhook.proof) if declaration.webhook else []
    return [name for kind in kinds for name in kind.fields(required=False)]


def _open_proof_settings(declaration: Declaration) -> list[str]:
    # Of the settings that proofs make, the user name of a login is the only one that is no secret.
    secret = {name for known in _proof_settings(declaration) for name in secret_fields(known, "", required=False)}
    kinds = kinds_of(declaration.webhook.proof) if declaration.webhook else []
    return [str(name) for kind in kinds if (name := getattr(kind, "username", None)) in secret]


# -- settings --------------------------------------------------------------------------------------


def _setting_problems(declaration: Declaration) -> Iterator[tuple[Path, str]]:
    made = _proof_settings(declaration)
    for name, words in declaration.settings.items():
        path: Path = ("settings", name)
        if name in made:
            yield path, "a proof makes a setting of this name already. Choose another name, or name that of the proof."
        if words.secret and (words.default is not None or words.pattern is not None or words.url):
            yield path, "a secret has no default, pattern or url."
        if words.optional and words.default is not None:
            yield path, "a setting with a default is optional as it is. Remove one of the two."
    for name in settings_used(declaration.webhook, declaration.event):
        if name in declaration.settings and declaration.settings[name].optional and not _in_jwt(declaration, name):
            yield ("settings", name), "every event needs it, so it cannot be optional. Give it a default."


def _key_problems(declaration: Declaration) -> Iterator[tuple[Path, str]]:
    # A key of Standard Webhooks has a form of its own, which no other secret has: one setting cannot hold both.
    placed = list(_placed(declaration.webhook, ("webhook",)))
    for path, kind in placed:
        if isinstance(kind, StandardWebhooksProof):
            others = [other for _, other in placed if type(other) is not StandardWebhooksProof]
            if any(kind.setting in other.fields(required=False) for other in others):
                yield path, f'another proof holds its secret in "{kind.setting}", too. Name one: setting: standard_key.'


def _placed(part: object, path: Path) -> Iterator[tuple[Path, ProofKind]]:
    """Yields every proof with its place."""
    if isinstance(part, ProofKind):
        yield path, part
    elif isinstance(part, BaseModel | list | tuple):
        for key, value in _inside(part):
            yield from _placed(value, (*path, key))


def _in_jwt(declaration: Declaration, name: str) -> bool:
    kinds = kinds_of(declaration.webhook.proof) if declaration.webhook else []
    elsewhere = settings_used(declaration.event, *(_without_proof(declaration)))
    return any(name in settings_used(kind) for kind in kinds if isinstance(kind, JwtProof)) and name not in elsewhere


def _without_proof(declaration: Declaration) -> list[object]:
    webhook = declaration.webhook
    return [webhook.items, webhook.type, webhook.data, webhook.test_mark] if webhook else []


# -- what needs what -------------------------------------------------------------------------------


def _api_problems(declaration: Declaration) -> Iterator[tuple[Path, str]]:
    for name in ("fetch", "poll", "write_back"):
        if getattr(declaration, name) and declaration.api is None:
            yield (name,), "it needs the vendor's API: write api with base_url."
    if declaration.api is not None and not declaration.api.base_url.absolute:
        yield ("api", "base_url"), "a whole address is needed here: https://..."
    if declaration.fetch is not None or (declaration.poll is not None and declaration.webhook is None):
        what = "fetch" if declaration.fetch is not None else "poll"
        for name in sorted(settings_used(declaration.api, getattr(declaration, what))):
            if name in declaration.settings and declaration.settings[name].optional:
                yield ("settings", name), f"{what} needs it, so it cannot be optional."
    kinds = kinds_of(declaration.webhook.proof) if declaration.webhook else []
    if declaration.api is not None and any(isinstance(kind, JwtProof) for kind in kinds):
        yield (
            ("api",),
            "beside a jwt proof it would send the credentials to the host of the keys; that is not possible.",
        )


def _step_problems(declaration: Declaration) -> Iterator[tuple[Path, str]]:
    names = [step.name for step in declaration.write_back]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield ("write_back", number, "name"), f'"{name}" is the name of an earlier step.'
