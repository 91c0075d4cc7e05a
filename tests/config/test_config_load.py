"""Reading a configuration that is right."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
from fake_lms import MINIMAL, Lms, LmsSettings
from pydantic import SecretStr, ValidationError, create_model

import bridge.config.forms
import bridge.observe
from bridge.config import Config, live_refusals, load
from bridge.config.forms import is_public_https, public_base
from bridge.core.connector import Connector
from bridge.core.errors import ConfigError

Connectors = Mapping[str, type[Connector[Any]]]

SOURCE = """\
sources:
  school:
    connector: lms
    address: https://lms.acme.example
    signing_secret: a-signing-secret
"""


@pytest.fixture
def loaded(config_file: Path, connectors: Connectors) -> Any:
    def load_with(text: str = "", environ: Mapping[str, str] | None = None, *, minimal: str = MINIMAL) -> Config:
        config_file.write_text(minimal + text)
        return load(config_file, connectors, environ or {})

    return load_with


def test_five_lines_are_enough(loaded: Any, tmp_path: Path) -> None:
    config = loaded()
    assert config.public_url == "https://certificates.acme.example"
    assert config.listen == "127.0.0.1:8080"
    assert config.database_url == f"sqlite:///{tmp_path}/data/certbridge.db"
    assert (config.mappings, config.templates) == (tmp_path / "mappings", tmp_path / "templates")
    assert (config.mail.folder, config.mail.test_folder) == (tmp_path / "mail", tmp_path / "mail-test")
    assert config.mail.mode == "off"
    assert config.recipient_key() == b"0123456789abcdef"
    assert config.sources == {}


def test_the_web_server_is_hardened_by_default(loaded: Any) -> None:
    config = loaded()
    assert 8 <= config.server.threads <= 16
    assert 500 <= config.server.connections <= 1000
    assert 20 <= config.server.idle_seconds <= 30
    assert config.server.header_bytes == 32 * 1024
    assert config.limits.body_bytes == 1024 * 1024
    assert config.server.trusted_proxy is None


def test_names_of_files_are_relative_to_the_configuration(loaded: Any, tmp_path: Path) -> None:
    config = loaded("data_dir: ../store\nmappings: /etc/mappings\nmail: {folder: ./post}\n")
    assert config.data_dir == tmp_path.parent / "store"
    assert config.mappings == Path("/etc/mappings")
    assert config.mail.folder == tmp_path / "post"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///data/x.db", "sqlite:///{folder}/data/x.db"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("postgresql://me@db/x", "postgresql+psycopg://me@db/x"),
        ("postgres://me@db/x", "postgresql+psycopg://me@db/x"),
        ("postgresql+psycopg://me:pw@db/x?sslmode=require", "postgresql+psycopg://me:pw@db/x?sslmode=require"),
    ],
)
def test_takes_the_usual_addresses_of_databases(loaded: Any, tmp_path: Path, written: str, meant: str) -> None:
    assert loaded(f"database: {written}\n").database_url == meant.format(folder=tmp_path)


def test_variables_stand_for_a_value_or_a_part_of_one(loaded: Any) -> None:
    text = "database: postgresql://me:${DB_PASSWORD}@db/x\nlimits: {workers: '${WORKERS}'}\nlisten: '${HOST}:80'\n"
    config = loaded(text, {"DB_PASSWORD": "p: #{x}", "WORKERS": "3", "HOST": "0.0.0.0"})
    assert config.database_url == "postgresql+psycopg://me:p: #{x}@db/x"
    assert (config.limits.workers, config.listen) == (3, "0.0.0.0:80")


def test_a_doubled_dollar_is_no_variable_and_a_value_is_not_expanded_again(loaded: Any) -> None:
    minimal = MINIMAL.replace("Acme Academy", "'$${A} ${B} $C'")
    assert loaded("", {"B": "${A}", "A": "wrong"}, minimal=minimal).issuer.name == "${A} ${A} $C"


def test_an_untouched_section_may_be_empty(loaded: Any) -> None:
    config = loaded("limits:\nmail:\n  smtp:\nsources:\nlog:\n")
    assert (config.limits.workers, config.mail.smtp, config.sources) == (4, None, {})


def test_text_stays_text(loaded: Any) -> None:
    assert loaded(minimal=MINIMAL.replace("Acme Academy", "012")).issuer.name == "012"
    assert loaded("mail: {mode: off}\nallow_local_public_url: no\n").mail.mode == "off"


def test_mail_by_smtp(loaded: Any) -> None:
    config = loaded(
        "mail:\n  mode: smtp\n  from: '\"Acme Academy\" <certs@acme.example>'\n"
        "  smtp: {host: smtp.acme.example, username: me, password: '${PW}', timeout: 5}\n",
        {"PW": "a-mail-password"},
    )
    assert config.mail.sender == "Acme Academy <certs@acme.example>"
    assert (config.mail.smtp.port, config.mail.smtp.security, config.mail.smtp.timeout) == (None, "starttls", 5.0)
    assert config.mail.smtp.password.get_secret_value() == "a-mail-password"


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("certs@acme.example", "", "certs@acme.example"),
        ("Acme, Inc. <certs@acme.example>", "Acme, Inc.", "certs@acme.example"),
        ("Schule Łódź (Büro) <certs@acme.example>", "Schule Łódź (Büro)", "certs@acme.example"),
    ],
)
def test_the_sender_reads_back_as_one_address(loaded: Any, written: str, name: str, address: str) -> None:
    assert parseaddr(loaded(f"mail: {{from: '{written}'}}\n").mail.sender) == (name, address)


# -- sources ---------------------------------------------------------------------------------------


def test_a_source_gets_the_settings_of_its_connector(loaded: Any, tmp_path: Path) -> None:
    source = loaded(SOURCE + "    minutes: 7\n    write_back:\n    allow_private: yes\n").sources["school"]
    assert (source.name, source.connector, source.mode, source.allow_private) == ("school", "lms", "test", True)
    assert type(source.settings) is LmsSettings
    assert source.settings == LmsSettings(
        address="https://lms.acme.example", signing_secret=SecretStr("a-signing-secret"), minutes=7
    )


def test_a_source_without_a_mapping_of_its_own_uses_the_shipped_one(loaded: Any, tmp_path: Path) -> None:
    config = loaded(SOURCE + "    mapping: school.yaml\n  other: {connector: plain}\n")
    assert config.mapping_path("school") == tmp_path / "mappings" / "school.yaml"
    assert config.mapping_path("other") is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-01", datetime(2025, 12, 31, 23, 0, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, 0, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01 08:30+02:00", datetime(2026, 1, 1, 6, 30, tzinfo=UTC)),
        ("2026-01-01 08:30", datetime(2026, 1, 1, 7, 30, tzinfo=UTC)),
    ],
)
def test_since_is_read_in_the_zone_of_the_issuer(loaded: Any, written: str, meant: datetime) -> None:
    assert loaded(f"{SOURCE}    since: {written}\n").sources["school"].since == meant


def test_a_secret_may_stand_in_a_file(loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/recipient.key").write_text("fedcba9876543210\r\n")
    (tmp_path / "keys/signing.key").write_text("from-a-file\n")
    (tmp_path / "keys/older.key").write_text("first-older\n\nsecond-older\n")
    minimal = MINIMAL.replace("recipient: 0123456789abcdef", "recipient_file: keys/recipient.key")
    source = SOURCE.replace("signing_secret: a-signing-secret", "signing_secret_file: '${KEYS}/signing.key'")
    config = loaded(source + "    older_secrets_file: keys/older.key\n", {"KEYS": "keys"}, minimal=minimal)
    settings = config.sources["school"].settings
    assert config.recipient_key() == b"fedcba9876543210"
    assert settings.signing_secret.get_secret_value() == "from-a-file"
    assert [secret.get_secret_value() for secret in settings.older_secrets] == ["first-older", "second-older"]


# -- secrets ---------------------------------------------------------------------------------------

SECRETS = "database: postgresql://me:p%40ss-word@db/x\n" + SOURCE + "    older_secrets: [older-one, older-two]\n"


def test_knows_every_secret_for_redaction(loaded: Any) -> None:
    assert set(loaded(SECRETS).secrets()) == {
        "0123456789abcdef",
        "a-signing-secret",
        "older-one",
        "older-two",
        "postgresql+psycopg://me:p%40ss-word@db/x",
        "p%40ss-word",
        "p@ss-word",
    }
    assert loaded("database: sqlite:///x.db\n").secrets() == ("0123456789abcdef",)


def test_printing_the_configuration_shows_no_secret(loaded: Any) -> None:
    config = loaded(SECRETS)
    printed = f"{config!r} {config} {config.model_dump_json()}"
    assert "acme.example" in printed
    assert not [secret for secret in config.secrets() if secret in printed]


def test_no_message_shows_a_secret_from_the_environment_or_a_file(config_file: Path, connectors: Connectors) -> None:
    (config_file.parent / "s.key").write_text("hunter2-in-a-file\n")
    config_file.write_text(
        "public_url: '${S}'\nlisten: '${S}'\nissuer: {name: x, zone: '${S}', email: '${S}'}\n"
        "keys: {recipient_file: s.key, recipientt: '${S}'}\nlimits: {workers: '${S}', '${S}': 1}\n"
        "mail: {mode: '${S}', from: '${S}', smtp: {host: '${S}', password_file: s.key, security: none}}\n"
        "sources: {a: {connector: '${S}'}, b: {connector: lms, addres: '${S}', api_key_file: s.key}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(config_file, connectors, {"S": "hunter2 in the environment\n"})
    assert len(caught.value.problems) >= 10
    assert "hunter2" not in str(caught.value)


def test_the_shortest_secret_is_one_that_logs_can_hide() -> None:
    assert bridge.config.forms.SHORTEST_SECRET >= bridge.observe.SHORTEST_SECRET


# -- the file --------------------------------------------------------------------------------------


def test_nothing_can_be_changed_afterwards(loaded: Any) -> None:
    config = loaded(SOURCE)
    for part, name in ((config, "listen"), (config.limits, "workers"), (config.sources["school"], "mode")):
        with pytest.raises(ValidationError):
            setattr(part, name, 1)


def test_a_missing_configuration_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"There is no configuration at .*none\.yaml\. Create one with: certbridge init"
    ):
        load(tmp_path / "none.yaml", {}, {})


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory\."):
        load(tmp_path, {}, {})


def test_a_relative_path_of_the_configuration_works(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Path(config_file.name), {}, {}).data_dir == tmp_path / "data"


def test_a_connector_may_not_take_the_name_of_a_common_setting(config_file: Path) -> None:
    settings = create_model("Clashing", __base__=LmsSettings, mode=(str, "x"))
    clashing = type("Clashing", (Lms,), {"name": "clashing", "Settings": settings})
    config_file.write_text(MINIMAL + SOURCE.replace("lms", "clashing", 1))
    with pytest.raises(TypeError, match="clashing: these settings belong to every source: mode"):
        load(config_file, {"clashing": clashing}, {})


# -- going live ------------------------------------------------------------------------------------


def test_a_live_source_needs_mail_and_a_public_address(loaded: Any) -> None:
    config = loaded(SOURCE + "    mode: live\nmail: {mode: folder}\n")
    assert live_refusals(config, config.sources["school"]) == []


def test_a_rehearsal_may_go_live_on_this_machine(loaded: Any) -> None:
    minimal = MINIMAL.replace("https://certificates.acme.example", "http://127.0.0.1:8080")
    text = SOURCE + "    mode: live\nmail: {mode: folder}\nallow_local_public_url: true\n"
    assert loaded(text, minimal=minimal).sources["school"].mode == "live"


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://certificates.acme.example", True),
        ("https://8.8.8.8", True),
        ("http://certificates.acme.example", False),
        ("https://localhost", False),
        ("https://app.localhost", False),
        ("https://bridge.local", False),
        ("https://bridge.internal.", False),
        ("https://intranet", False),
        ("https://127.0.0.1", False),
        ("https://192.168.1.2", False),
        ("https://[::1]", False),
        ("https://[fd00::1]:8443", False),
    ],
)
def test_knows_what_strangers_can_reach(url: str, public: bool) -> None:
    assert is_public_https(url) is public


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://certificates.acme.example/", "https://certificates.acme.example"),
        ("HTTPS://Certificates.ACME.example:8443", "https://certificates.acme.example:8443"),
        ("https://zertifikate.schüle.example", "https://zertifikate.xn--schle-mva.example"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_a_public_address_has_one_spelling(written: str, meant: str) -> None:
    assert public_base(written) == meant
