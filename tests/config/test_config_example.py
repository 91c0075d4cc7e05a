"""`config.example.yaml` is made from the models, complete, and right."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fake_lms import CONNECTORS
from pydantic import BaseModel

from bridge.config import Config, discover_connectors, example, load
from bridge.config.models import SourceBlock
from bridge.config.section import section_of
from bridge.core.connector import Connector
from bridge.core.document import read

COMMITTED = Path(__file__).parents[2] / "config.example.yaml"
ENVIRON = {name: f"a-secret-value-of-{name}" for name in ("LMS_SIGNING_SECRET", "LMS_API_KEY", "LMS_OLD")}
ENVIRON |= {"CERTBRIDGE_RECIPIENT_KEY": "0123456789abcdef", "LMS_URL_TOKEN": "a-token-in-the-address"}
ENVIRON |= {"CERTBRIDGE_SMTP_PASSWORD": "a-mail-password", "CERTBRIDGE_DATABASE_PASSWORD": "a-database-password"}


def test_the_committed_example_is_what_the_models_say() -> None:
    # To make it again: python -c "from bridge.config import *; print(example(discover_connectors()), end='')"
    assert COMMITTED.read_text(encoding="utf-8") == example(discover_connectors())


def test_the_committed_example_is_accepted_but_for_what_only_the_admin_knows(tmp_path: Path) -> None:
    connectors = discover_connectors()
    text = re.sub(r"\$\{\w+\}", "a-value-of-some-length", COMMITTED.read_text(encoding="utf-8"))
    sources = read(text, "x").at(("sources",))
    assert isinstance(sources, dict)
    assert list(sources) == list(connectors)
    # The sources need addresses that the models cannot make up; everything above them has to be right.
    (tmp_path / "config.yaml").write_text(text[: text.index("\nsources:")] + "\n")
    assert load(tmp_path / "config.yaml", connectors, {}).sources == {}


def test_the_example_loads_with_its_secrets_set(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(example(CONNECTORS))
    config = load(tmp_path / "config.yaml", CONNECTORS, ENVIRON)
    assert list(config.sources) == ["lms", "plain"]


def test_every_line_that_is_commented_out_is_right_too(tmp_path: Path) -> None:
    lines = example(CONNECTORS).splitlines()
    # A secret stands once: in the file itself, or in a file of its own.
    kept = [line for line in lines if "_file:" not in line or "ca_file" in line]
    uncommented = "\n".join(re.sub(r"^( *)#(?! \S)(.+)$", r"\1\2", line) for line in kept)
    assert "\n  smtp:\n    # Its name.\n    host: smtp.acme.example\n" in uncommented
    (tmp_path / "config.yaml").write_text(uncommented)
    config = load(tmp_path / "config.yaml", CONNECTORS, ENVIRON)
    plain = load_defaults(tmp_path)
    assert config.mail.smtp is not None
    assert (config.limits, config.log) == (plain.limits, plain.log)
    examples = {"allowed_hosts", "trusted_proxy", "connections_per_peer"}
    assert config.server.model_dump(exclude=examples) == plain.server.model_dump(exclude=examples)


def load_defaults(folder: Path) -> Config:
    (folder / "config.yaml").write_text(example({}))
    return load(folder / "config.yaml", {}, ENVIRON)


def settings_of(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, info in model.model_fields.items():
        key = info.alias or name
        yield f"{path}{key}", info
        if (inner := section_of(info)) is not None:
            yield from settings_of(inner, f"{path}{key}.")


def test_every_setting_is_described_and_stands_in_the_example() -> None:
    text = example(CONNECTORS)
    models: list[tuple[type[BaseModel], str]] = [(Config, ""), (SourceBlock, "sources.")]
    for model, path in models:
        for name, info in settings_of(model, path):
            assert info.description, name
            assert re.search(rf"^ *#? *{re.escape(name.rpartition('.')[2])}:", text, re.MULTILINE), name


def test_every_setting_of_the_real_connectors_is_described() -> None:
    connectors: Mapping[str, type[Connector[Any]]] = discover_connectors()
    assert connectors
    for connector in connectors.values():
        for name, info in settings_of(connector.Settings, f"{connector.name}."):
            assert info.description, name
