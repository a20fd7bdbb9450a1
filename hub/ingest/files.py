"""Files beside the lessons of a folder: `assets/` and `books/`, told of in `files.toml`.

    [[files]]
    path = "assets/agua.svg"     title, author, license
    title = "El agua"            optional: source, language, grade, topic, priority, exact

* Every file there must be told of, and every one told of must be there: nothing travels without
  somebody who answers for it.
* What does not fit is a ContentError that names the file and the key, before anything changes.
"""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import msgspec

from sync.errors import ContentError
from sync.inventory import MAX_ASSETS, About
from sync.manifest import check_path

FILES_FILE = "files.toml"
FOLDERS = ("assets", "books")
MAX_TOML_BYTES = 4 * 1024 * 1024
PRIORITY = 90


class Declared(About, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One file of a folder: what readers are told, how urgent it is, how it is kept."""

    priority: Annotated[int, msgspec.Meta(ge=0, le=99)] = PRIORITY
    exact: bool = False

    @property
    def about(self) -> About:
        """What readers are told."""
        return About(*(getattr(self, name) for name in About.__struct_fields__))


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: Annotated[tuple[Declared, ...], msgspec.Meta(max_length=MAX_ASSETS)] = ()


def read_files(folder: Path, topics: Collection[str]) -> tuple[Declared, ...]:
    """What `folder` has in `assets/` and `books/`, by path. Raises ContentError."""
    declared = _declared(folder / FILES_FILE)
    known: set[str] = set()
    for one in declared:
        where = f"{folder / FILES_FILE}: {one.path}"
        check_path(one.path)
        if not one.path.startswith(tuple(f"{name}/" for name in FOLDERS)):
            raise ContentError(f"{where} is not under assets/ or books/")
        if one.path in known:
            raise ContentError(f"{where} is there twice")
        if one.topic and one.topic not in topics:
            raise ContentError(
                f"{where}: topic {one.topic!r} is not in the channel",
                hint=f"topics there: {', '.join(sorted(topics))}",
            )
        known.add(one.path)
    found = set(_found(folder))
    for path in sorted(known - found):
        raise ContentError(f"{folder / path}: {FILES_FILE} tells of it, but it is not there")
    for path in sorted(found - known):
        raise ContentError(
            f"{folder / path}: {FILES_FILE} says nothing about it",
            hint="add [[files]] with its path, title, author and license",
        )
    return tuple(sorted(declared, key=lambda one: one.path))


def _declared(path: Path) -> tuple[Declared, ...]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TOML_BYTES + 1)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ContentError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_TOML_BYTES:
        raise ContentError(f"{path}: larger than the {MAX_TOML_BYTES} bytes allowed")
    try:
        return msgspec.convert(tomllib.loads(data.decode()), _Table).files
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ContentError(f"{path}: {error}", hint="mend the line or key it names") from error


def _found(folder: Path) -> list[str]:
    """The files there are. Those whose name begins with a dot are a system's own."""
    found = []
    for name in FOLDERS:
        for path in sorted((folder / name).rglob("*")):
            if path.is_symlink():
                raise ContentError(f"{path}: a link", hint="put the file itself there")
            if path.is_file() and not path.name.startswith("."):
                found.append(path.relative_to(folder).as_posix())
    return found
