"""Reads what the guides show (settings, mappings, bodies, scripts), so that tests can use it as a reader would."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from bridge.config import Config, discover_connectors, load
from bridge.config.declared import shipped_mapping
from bridge.core.connector import Connector
from bridge.core.mapping import Defaults, Mapping, compile_mapping, gather
from bridge.core.models import InboundRequest, Outcome, SourceEvent

ROOT = Path(__file__).parents[2]
CONNECT = ROOT / "docs" / "connect"
CONNECTORS = discover_connectors()
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TOKEN = "a-long-random-text-for-the-guides"

BASE: dict[str, Any] = {
    "public_url": "https://certificates.acme.example",
    "issuer": {"name": "Acme Academy", "zone": "Europe/Berlin"},
    "keys": {"recipient": "recipient-key-recipient-key-0001"},
}
_MAPPING_WORDS = frozenset({"extends", "events", "every_course", "other_courses", "courses"})


@dataclass(frozen=True)
class Guide:
    """One guide, docs/connect/NAME.md."""

    name: str

    @cached_property
    def text(self) -> str:
        return (CONNECT / f"{self.name}.md").read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Returns the code blocks of a language, without the margin of the list they stand in."""
        found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", self.text, re.DOTALL | re.MULTILINE)
        return [textwrap.dedent(block) for _, block in found]

    # -- settings ------------------------------------------------------------------------------------

    def configurations(self) -> list[dict[str, Any]]:
        """Returns each configuration shown; loose settings belong to the source of the block before."""
        found: list[dict[str, Any]] = []
        for block in self.blocks("yaml"):
            read = yaml.load(block, yaml.BaseLoader)
            if "sources" in read:
                found.append(read)
            elif not _MAPPING_WORDS & set(read):
                (name, settings), *_ = found[-1]["sources"].items()
                found.append({"sources": {name: {**settings, **read}}})
        return found

    def config(self, shown: dict[str, Any], folder: Path) -> Config:
        """Loads a configuration as an admin would have it: with the files that it names."""
        (folder / "mappings").mkdir(parents=True)
        for settings in shown["sources"].values():
            for name in [value for key, value in settings.items() if key.endswith("_file")]:
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(TOKEN)
            (folder / "mappings" / settings["mapping"]).write_text(f"extends: {self.name}\n")
        (folder / "config.yaml").write_text(yaml.safe_dump({**BASE, **shown}))
        return load(folder / "config.yaml", CONNECTORS, {})

    def connector(self, folder: Path, number: int = 0) -> Connector[Any]:
        """Returns the connector of a source set up as shown."""
        config = self.config(self.configurations()[number], folder)
        (source,) = config.sources.values()
        return config.connectors[source.connector](source.settings)

    # -- mappings ------------------------------------------------------------------------------------

    def mappings(self) -> list[str]:
        """Returns each mapping shown; a part of one stands below `extends`, as it would in the file."""
        blocks = [block for block in self.blocks("yaml") if _MAPPING_WORDS & set(yaml.safe_load(block))]
        return [block if "extends:" in block else f"extends: {self.name}\n{block}" for block in blocks]

    def mapping(self, number: int = 0) -> Mapping:
        """Compiles a mapping shown. Raises MappingError."""
        return compile_mapping(gather(f"{self.name}-shown.yaml", self.mappings()[number], shipped_mapping))

    # -- bodies ---------------------------------------------------------------------------------------

    def bodies(self) -> list[str]:
        """Returns each body shown that is sent to certbridge."""
        return [block for block in self.blocks("json") if '"certificate_id"' not in block]


def received(connector: Connector[Any], body: bytes, headers: dict[str, str] | None = None) -> list[SourceEvent]:
    """Sends a body with the source's own proof through the connector's door."""
    signed = connector.sign(body, dict(headers or {}), NOW)
    request = InboundRequest(
        method="POST",
        url="https://certificates.acme.example/hooks/shown",
        headers={name.lower(): value for name, value in signed.headers.items()},
        body=signed.body,
        received_at=NOW,
        path_token=signed.path_token,
    )
    connector.verify(request)
    return list(connector.parse(request))


def decided(mapping: Mapping, event: SourceEvent) -> Outcome:
    """Returns what a mapping makes of an event that came now."""
    event = event.model_copy(update={"received_at": NOW})
    return mapping.apply(event, defaults=Defaults(zone="Europe/Berlin", locale="en")).outcome
