"""For tests of what a person does with a source: a school whose source is Harbour LMS over real HTTP, and a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli_school import School
from vendors.harbour_lms import HarbourStandIn

SECRET = "harbour-signing-secret-0002"

CONFIG = """\
# The school's own notes stay where they are.
public_url: https://certificates.acme.example
issuer: {{name: Acme Academy, zone: Europe/Berlin}}
keys: {{recipient: recipient-key-recipient-key-0001}}
mail: {{mode: folder, from: Acme Academy <training@acme.example>}}
sources:
  harbour:
    connector: harbour   # the platform
    mode: {mode}         # until Ana has looked at it
    mapping: harbour.yaml
    poll_every: off
    allow_private: true
    url: {url}
    api_key_file: keys/api.key
    signing_secret_file: keys/signing.key
  attendance:
    connector: spreadsheet
    mode: live
    mapping: attendance.yaml
"""
MAPPING = """\
extends: harbour
other_courses: issue
every_course: {valid_for: 2 years}
"""
TABLE = """\
extends: spreadsheet
every_course: {valid_for: 2 years}
courses: {fire: Fire Safety, aid: First Aid}
"""


@dataclass
class Harbour(School):
    """The folder, and the platform."""

    vendor: HarbourStandIn

    def since(self, day: str) -> None:
        """Writes a start line into the configuration."""
        text = self.config.read_text()
        self.config.write_text(text.replace("    poll_every: off\n", f"    poll_every: off\n    since: {day}\n"))

    def says(self, *words: str, code: int = 0, input: str | None = None) -> str:
        """Runs a command that ends with this code; returns what it says, every white space as one."""
        result = self.certbridge(*words, input=input, columns=250)
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    def mails(self) -> int:
        """How many mails were sent."""
        return len(list((self.folder / "mail").glob("*.eml")))

    def issued(self) -> list[str]:
        """The names on all certificates, sorted."""
        found = self.json("certificates", "list")
        assert isinstance(found, list)
        return sorted(one["recipient"]["name"] if "recipient" in one else one["name"] for one in found)


def make_harbour(folder: Path, vendor: HarbourStandIn, *, mode: str = "live") -> Harbour:
    """Writes everything into a new folder."""
    for name in ("mappings", "keys"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yaml").write_text(CONFIG.format(mode=mode, url=vendor.url))
    (folder / "mappings" / "harbour.yaml").write_text(MAPPING)
    (folder / "mappings" / "attendance.yaml").write_text(TABLE)
    for name, secret in (("api", vendor.api_key), ("signing", SECRET)):
        file = folder / "keys" / f"{name}.key"
        file.write_text(secret + "\n")
        file.chmod(0o600)
    return Harbour(folder, vendor)
