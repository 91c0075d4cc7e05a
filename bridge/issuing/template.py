"""A certificate's template: a folder of HTML, CSS and images, packed into one immutable value."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from bridge.core.errors import ConfigError, Mark, Problem
from bridge.core.wording import suggestion

PAGE: Final = "certificate.html"
TEXT_SUFFIXES: Final = (".html", ".css")
IMAGE_TYPES: Final[Mapping[str, str]] = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".svg": "image/svg+xml",
}
_FONT_SUFFIXES: Final = (".ttf", ".otf", ".woff", ".woff2", ".ttc")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
MAX_FILES: Final = 64
MAX_BYTES: Final = 5 * 1024 * 1024
"""For all files of a template together. Every certificate embeds its images, so large ones cost every learner."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class TemplateBundle:
    """All files of one template. Equal bytes have an equal `sha256`, on any machine."""

    name: str
    files: Mapping[str, bytes]

    def pack(self) -> bytes:
        """Returns the bundle as a ZIP archive: sorted, undated and stored, so that equal files give equal bytes."""
        return self._packed

    @cached_property
    def _packed(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.comment = self.name.encode()
            for name in sorted(self.files):
                member = zipfile.ZipInfo(name, _EPOCH)
                # ZipInfo takes the creating system from the machine.
                member.create_system = 3
                archive.writestr(member, self.files[name])
        return buffer.getvalue()

    @cached_property
    def sha256(self) -> str:
        """The hash of the packed bundle: the version of the template."""
        return hashlib.sha256(self._packed).hexdigest()

    @classmethod
    def unpack(cls, content: bytes) -> TemplateBundle:
        """Returns the bundle that `pack` wrote. Raises ConfigError when the archive is not one of ours."""
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = archive.infolist()
                _check_members(members)
                name = archive.comment.decode()
                files = {member.filename: archive.read(member) for member in members}
        except (zipfile.BadZipFile, UnicodeDecodeError) as error:
            raise ConfigError("The stored template is damaged. Load it again from its folder.") from error
        return cls(_checked_name(name), files)

    def text(self, file: str) -> str:
        """Returns a text file of the bundle. Raises ConfigError naming the file when it is missing or not UTF-8."""
        try:
            return self.files[file].decode("utf-8-sig")
        except KeyError:
            raise ConfigError(f'The template "{self.name}" has no file {file}.') from None
        except UnicodeDecodeError as error:
            mark = Mark(self.path(file), self.files[file][: error.start].count(b"\n") + 1, 1)
            raise ConfigError([Problem(mark, "This file is not saved as UTF-8. Save it again as UTF-8.")]) from error

    def path(self, file: str) -> str:
        """Returns the file's name as messages show it."""
        return f"{self.name}/{file}"


def shipped_templates() -> list[str]:
    """Returns the names of the templates that come with certbridge."""
    return sorted(entry.name for entry in _shipped().iterdir() if (entry / PAGE).is_file())


def load_template(name: str, folder: Path | None) -> TemplateBundle:
    """Returns the template `name` from the admin's folder of templates, or else the shipped one.

    Raises ConfigError naming the file that is missing, too large, or does not belong into a template.
    """
    _checked_name(name)
    places: list[Traversable] = [*([folder] if folder else []), _shipped()]
    for place in places:
        if (place / name).is_dir():
            return TemplateBundle(name, _read_folder(place / name))
    where = f"in {folder} or " if folder else ""
    near = suggestion(name, _names_in(places)) or "."
    raise ConfigError(
        f'There is no template "{name}" {where}among the shipped ones ({", ".join(shipped_templates())}){near} '
        f"A template is a folder with a file {PAGE}."
    )


def _names_in(places: Iterable[Traversable]) -> list[str]:
    return sorted({entry.name for place in places if place.is_dir() for entry in place.iterdir() if entry.is_dir()})


def _shipped() -> Traversable:
    return resources.files("bridge.issuing") / "templates"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigError(f'"{name[:80]}" cannot be the name of a template: use small letters, digits, - and _ only.')
    return name


def _read_folder(folder: Traversable) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for entry in sorted(_template_files(folder), key=lambda entry: entry.name):
        files[entry.name] = _read(entry)
        if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
            raise ConfigError(
                f"{folder}: a template has at most {MAX_FILES} files and {MAX_BYTES // 1024 // 1024} MB in all. "
                "Make its images smaller."
            )
    if PAGE not in files:
        raise ConfigError(f"{folder}: the file {PAGE} is missing.")
    return files


def _template_files(folder: Traversable) -> Iterator[Traversable]:
    for entry in folder.iterdir():
        suffix = Path(entry.name).suffix.lower()
        if suffix in _FONT_SUFFIXES:
            raise ConfigError(
                f"{entry}: remove this font; names are checked against the font that comes with certbridge."
            )
        if entry.is_file() and (suffix in TEXT_SUFFIXES or suffix in IMAGE_TYPES):
            if not _FILE_NAME.fullmatch(entry.name):
                raise ConfigError(f"{entry}: rename this file to plain letters, digits, dots, - and _.")
            yield entry


def _read(entry: Traversable) -> bytes:
    try:
        with entry.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{entry}: this file cannot be read ({error.strerror}).") from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if (
        len(members) > MAX_FILES
        or len(set(names)) != len(names)
        or sum(member.file_size for member in members) > MAX_BYTES
        or not all(_FILE_NAME.fullmatch(name) for name in names)
        or any(member.compress_type != zipfile.ZIP_STORED for member in members)
    ):
        raise ConfigError("The stored template is not one that certbridge packed. Load it again from its folder.")
