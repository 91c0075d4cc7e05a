from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from issuing_samples import a_template

from bridge.core import certificate_id
from bridge.core.errors import ConfigError
from bridge.issuing.html import CompiledTemplate, fields_of, static_problems
from bridge.issuing.renderer import Renderer, check_template
from bridge.issuing.template import TemplateBundle, load_template, shipped_templates
from bridge.issuing.words import WORDS, sample_job


def messages(bundle: TemplateBundle) -> str:
    return "\n".join(map(str, static_problems(bundle)))


# -- the bundle ------------------------------------------------------------------------------------


def test_packs_to_the_same_bytes_whatever_the_order() -> None:
    one = TemplateBundle("own", {"certificate.html": b"<p>", "a.css": b"p {}"})
    other = TemplateBundle("own", {"a.css": b"p {}", "certificate.html": b"<p>"})
    assert one.pack() == other.pack()
    assert one.sha256 == hashlib.sha256(other.pack()).hexdigest()
    assert TemplateBundle.unpack(one.pack()) == one


def test_the_shipped_template_has_a_known_packed_form() -> None:
    # Stored versions name this hash: packing must not depend on Python, zlib, the clock or the file system.
    with zipfile.ZipFile(io.BytesIO(load_template("classic", None).pack())) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def packed(files: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = b"own"
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"not an archive",
        packed([("../certificate.html", b"")]),
        packed([("/etc/passwd", b"")]),
        packed([("certificate.html", b"0" * 100_000_000)], zipfile.ZIP_DEFLATED),
        packed([(f"a{number}.css", b"") for number in range(65)]),
    ],
    ids=["no archive", "path upwards", "absolute path", "bomb", "too many"],
)
def test_refuses_a_stored_template_that_it_did_not_pack(content: bytes) -> None:
    with pytest.raises(ConfigError):
        TemplateBundle.unpack(content)


def test_the_admins_template_goes_before_the_shipped_one(tmp_path: Path) -> None:
    folder = tmp_path / "classic"
    folder.mkdir()
    (folder / "certificate.html").write_text("<p>ours</p>")
    (folder / "notes.txt").write_text("not part of it")
    assert load_template("classic", tmp_path).files == {"certificate.html": b"<p>ours</p>"}
    assert load_template("classic", tmp_path / "elsewhere").name == "classic"
    assert shipped_templates() == ["classic"]


def test_says_which_file_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "safety"
    folder.mkdir()
    with pytest.raises(ConfigError, match=r"safety: the file certificate.html is missing"):
        load_template("safety", tmp_path)
    (folder / "certificate.html").write_bytes(b"<p>\nM\xfcller</p>")
    (problem,) = check_template(load_template("safety", tmp_path))
    assert str(problem).startswith("safety/certificate.html:2:1 This file is not saved as UTF-8")
    (folder / "Own.ttf").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"Own\.ttf: remove this font"):
        load_template("safety", tmp_path)


@pytest.mark.parametrize("name", ["../classic", "/etc", "", "Classic", "a" * 70])
def test_a_template_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a template"):
        load_template(name, tmp_path)


def test_lists_the_shipped_templates_when_there_is_no_such_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'no template "safety" .*classic'):
        load_template("safety", tmp_path)


# -- its words -------------------------------------------------------------------------------------


def test_every_sample_is_what_the_sample_certificate_gives() -> None:
    job = sample_job(a_template(""))
    assert {word.name: word.read(job) for word in WORDS.values() if word.sample is not None} == {
        word.name: word.sample for word in WORDS.values() if word.sample is not None
    }
    assert certificate_id.read(job.certificate.id) == job.certificate.id


def test_tells_fields_it_needs_from_fields_it_asks_for() -> None:
    bundle = a_template(
        '{{ name }} {{ fields.hours }} {{ fields["licence no"] }} '
        '{% if "score" in fields %}{{ fields.score }}{% endif %}'
        '{{ fields.grade | default("") }}{% if fields.level is defined %}{{ fields.level }}{% endif %}'
    )
    assert fields_of(bundle) == {"name", "fields.hours", "fields.licence no"}


def test_the_classic_template_needs_no_extra_field() -> None:
    needed = fields_of(load_template("classic", None))
    assert not {word for word in needed if word.startswith("fields.")}
    assert needed >= {"name", "course", "issuer", "completed_on", "issued_on", "certificate_id", "url_text", "qr"}


def test_suggests_the_word_that_was_meant() -> None:
    bundle = a_template("<p>\n{{ nmae }}</p>")
    assert messages(bundle) == 'own/certificate.html:2:1 There is no word "nmae" for templates; did you mean name?.'


def test_finds_syntax_errors_with_their_line() -> None:
    assert messages(a_template("<p>\n\n{% if %}")).startswith("own/certificate.html:3:1 Expected an expression")
    with pytest.raises(ConfigError, match=r"certificate\.html:3:1"):
        fields_of(a_template("<p>\n\n{% if %}"))


def test_finds_files_that_are_not_there() -> None:
    assert 'includes "/etc/passwd"' in messages(a_template('{% include "/etc/passwd" %}'))


def test_knows_its_own_names_loops_and_tools() -> None:
    html = "{% set a = name %}{% for b in range(3) %}{{ a }}{{ b }}{{ loop.index }}{% endfor %}{{ say('title') }}"
    assert messages(a_template(html)) == ""


def test_looking_at_a_template_computes_nothing() -> None:
    # With Jinja's own introspection this line needs a gigabyte in the daemon.
    assert static_problems(a_template('{{ "a" * 10 ** 12 }}')) == []


# -- the sandbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "html",
    [
        "{{ name.__class__.__mro__ }}",
        "{{ fit.__globals__ }}",
        "{{ fields._values }}",
        "{{ ''.format.__self__ }}",
        "{{ qr.mro() }}",
        "{{ nothing }}",
        "{{ 1 / 0 }}",
        "{{ name + 1 }}",
        '{{ image("../x.png") }}',
        '{{ say("nonsense") }}',
        "{% for a in range(1000000) %}{% endfor %}",
    ],
)
def test_a_wrong_template_is_a_template_error_and_names_the_line(html: str, renderer: Renderer) -> None:
    (problem,) = check_template(a_template("<p>\n" + html), renderer)
    assert "own/certificate.html:2" in str(problem)


def test_compiles_a_template_once() -> None:
    bundle = a_template("<p>{{ name }}</p>")
    compiled = CompiledTemplate(bundle)
    assert compiled.render(sample_job(bundle)) == "<p>Maria da Silva</p>"
    assert compiled.render(sample_job(bundle)) == "<p>Maria da Silva</p>"


def test_the_shipped_templates_pass_their_own_check(renderer: Renderer) -> None:
    for name in shipped_templates():
        assert check_template(load_template(name, None), renderer) == []
