"""Configuration is read once, refused when it is ambiguous, and every key is documented."""

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from sync import settings
from sync.errors import SettingsError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="TCP port.")]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: Port = 8080
    host: Annotated[str, msgspec.Meta(description="Address to listen on.")] = "127.0.0.1"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(description="Who we are.")]
    server: Server = Server()


def read(path: Path | None = None, **environ: str) -> Config:
    return settings.load(Config, path, environ, "TEST")


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_and_the_environment_fill_different_keys(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n')
    assert read(path, TEST__SERVER__PORT="99") == Config("a", Server(99))


def test_a_key_given_twice_with_different_values_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n')
    with pytest.raises(SettingsError, match=r"name is 'a' in .*config.toml and 'b' in TEST__NAME"):
        read(path, TEST__NAME="b")


def test_the_same_value_twice_is_no_ambiguity(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n[server]\nport = 99\n')
    assert read(path, TEST__SERVER__PORT="99").server.port == 99


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "name"),
        ('name = "a"\ncolour = 1', "colour"),
        ('name = "a"\n[server]\nport = 0', "port"),
        ('name = "a"\n[server]\nport = "x"', "port"),
        ("name = ,", "line 1"),
    ],
)
def test_a_wrong_file_is_refused_by_key_or_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        read(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        read(tmp_path / "none.toml")


def test_an_environment_variable_cannot_turn_a_value_into_a_table(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "a"\n')
    with pytest.raises(SettingsError, match="not a table"):
        read(path, TEST__NAME__X="b")


def test_every_key_is_described() -> None:
    assert [(k.name, k.default, k.description) for k in settings.describe(Config)] == [
        ("name", "required", "Who we are."),
        ("server.port", "8080", "TCP port."),
        ("server.host", "'127.0.0.1'", "Address to listen on."),
    ]
