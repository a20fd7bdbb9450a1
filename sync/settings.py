"""How both programs read their configuration: one TOML file and the environment.

* The result is a frozen struct, built once, passed down by constructors.
* An environment variable `CHASKI_NODE__SYNC__HUB` sets key `hub` of table `[sync]`.
* A key given twice with different values (file and environment) is refused, not guessed;
  so are unknown keys and values out of bounds.
* Every field carries a `msgspec.Meta(description=...)`; `describe` lists them for the docs.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from sync.errors import SettingsError

S = TypeVar("S", bound=msgspec.Struct)
MAX_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key, as the docs show it."""

    name: str
    default: str
    description: str


def load(kind: type[S], path: Path | None, environ: Mapping[str, str], prefix: str) -> S:
    """Settings of `kind` from the file at `path` (may be None) and `environ`.

    Raises SettingsError: unreadable file, bad TOML, unknown key, bad value, or ambiguity.
    """
    tables = _read(path) if path else {}
    origin = str(path) if path else "the environment"
    for name, value in sorted(environ.items()):
        if name.startswith(f"{prefix}__"):
            _set(tables, name, name.removeprefix(f"{prefix}__").lower().split("__"), value, origin)
    try:
        return msgspec.convert(tables, kind, strict=False)
    except msgspec.ValidationError as error:
        told = f"configuration {path}" if path else "configuration from the environment alone"
        hint = "docs/reference.md lists every key"
        raise SettingsError(
            f"{told}: {error}", hint=hint if path else f"give --config a TOML file; {hint}"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise SettingsError(f"configuration {path}: larger than {MAX_FILE_BYTES} bytes")
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise SettingsError(
            f"configuration {path}: {error.strerror}", hint="give --config the path of a TOML file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(
            f"configuration {path}: {error}", hint="mend the line it names"
        ) from error


def _set(tables: dict[str, Any], name: str, keys: list[str], value: str, origin: str) -> None:
    table = tables
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise SettingsError(f"environment variable {name}: {key!r} is not a table in {origin}")
    present = table.get(keys[-1])
    if present is not None and str(present) != value:
        raise SettingsError(
            f"{'.'.join(keys)} is {present!r} in {origin} and {value!r} in {name}",
            hint="set it in one place only",
        )
    table[keys[-1]] = value


def describe(kind: type[msgspec.Struct], table: str = "") -> Iterator[Key]:
    """Every key of `kind`, depth first, with its default and description."""
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        name = f"{table}.{field.name}" if table else field.name
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from describe(inner, name)
            continue
        notes = [a.description for a in get_args(hint)[1:] if isinstance(a, msgspec.Meta)]
        default = "required" if field.required else repr(field.default)
        yield Key(name, default, " ".join(n for n in notes if n))
