"""Keys are secret files that are made once."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sync import keys
from sync.errors import SettingsError
from sync.head import PUBLISHING, ROLES


def test_every_role_gets_a_key_of_its_own_that_only_the_owner_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "keys"
    keys.create(folder)
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{r}.pem" for r in ROLES)
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len({keys.load(folder, r).public_key.keyid for r in ROLES}) == len(ROLES)


def test_a_key_stays_the_same(tmp_path: Path) -> None:
    keys.create(tmp_path)
    first, second = (keys.load(tmp_path, "targets") for _ in range(2))
    first.public_key.verify_signature(second.sign(b"lesson"), b"lesson")


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    keys.create(tmp_path, ["targets"])
    before = keys.path(tmp_path, "targets").read_bytes()
    with pytest.raises(SettingsError, match=r"targets\.pem is there already"):
        keys.create(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["targets.pem"]
    assert keys.path(tmp_path, "targets").read_bytes() == before


def test_the_root_key_may_live_elsewhere(tmp_path: Path) -> None:
    keys.create(tmp_path / "stick", ["root"])
    keys.create(tmp_path / "hub", PUBLISHING)
    with pytest.raises(SettingsError, match=r"no root key: .* is missing") as caught:
        keys.load(tmp_path / "hub", "root")
    assert "USB stick" in caught.value.hint
    keys.load(tmp_path / "stick", "root")


def test_a_missing_key_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no timestamp key") as caught:
        keys.load(tmp_path, "timestamp")
    assert "chaski-hub keys create" in caught.value.hint


@pytest.mark.parametrize("how", ["empty", "cut", "text", "rsa", "password", "huge"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, how: str) -> None:
    keys.create(tmp_path, ["targets"])
    file = keys.path(tmp_path, "targets")
    pem = file.read_bytes()
    locked = load_pem_private_key(pem, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    rsa = generate_private_key(65537, 1024)
    file.write_bytes(
        {
            "empty": b"",
            "cut": pem[:60],
            "text": b"hello",
            "rsa": rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "password": locked,
            "huge": pem + b"\n" * keys.MAX_KEY_BYTES,
        }[how]
    )
    with pytest.raises(SettingsError, match=r"targets key .* is damaged"):
        keys.load(tmp_path, "targets")


def test_a_folder_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="keys cannot be made in"):
        keys.create(tmp_path / "file" / "keys")
    (tmp_path / "targets.pem").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        keys.load(tmp_path, "targets")
