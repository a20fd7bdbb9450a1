"""Key files: one Ed25519 private key for each role that signs.

* `ROLE.pem` holds PKCS #8 in PEM without a password, mode 0600. The folder is the secret.
* A set of keys comes into being in one step (`create`).
* A key is made once and never overwritten: losing one is what the root key is for.
* A key that follows another waits in `next/` until a root names it; the one that it follows
  goes to `retired/`. A crash between the two steps is mended by `succeed`.
* The root key signs the list of the other keys and nothing else. It may live elsewhere
  (a USB stick in a drawer); publishing needs only the three others.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

from sync.errors import SettingsError
from sync.files import atomic_write, fsync_dir, make_folder, space_errors
from sync.head import ROLES, Role

MAX_KEY_BYTES = 4096
NEXT = "next"
RETIRED = "retired"
_HALF = ".half"
SHORT = 8
"""Characters of a key id that people compare."""


def path(folder: Path, role: Role) -> Path:
    """Where the key of `role` is, or would be."""
    return folder / f"{role}.pem"


def create(
    folder: Path, roles: Sequence[Role] = ROLES, step: Callable[[], None] = lambda: None
) -> None:
    """Makes a new key for each of `roles` in `folder`, which is made when missing.

    All of them or none, whenever the power goes: a set of several is made beside `folder` and
    moved into place in one step, so that `folder` must be missing or empty for it. `step` is
    called before everything that changes the disk.

    Raises SettingsError when one of them is there already (then nothing is made), or when
    the folder cannot be written; SpaceError when the disk is full.
    """
    try:
        make_folder(folder.parent)
        with space_errors(str(folder)), _locked(folder.parent):
            for role in roles:
                if path(folder, role).exists():
                    raise SettingsError(
                        f"key {path(folder, role)} is there already and is never overwritten",
                        hint="to replace keys, make new ones in an empty folder",
                    )
            _sweep(folder)
            if len(roles) == 1:
                folder.mkdir(mode=0o700, exist_ok=True)
                _make(folder, roles, step)
            else:
                _make_set(folder, roles, step)
    except OSError as error:
        raise SettingsError(
            f"keys cannot be made in {folder}: {error.strerror}",
            hint="give a folder that this user may write to, and that is empty",
        ) from error


def _make(folder: Path, roles: Sequence[Role], step: Callable[[], None]) -> None:
    for role in roles:
        step()
        pem = CryptoSigner.generate_ed25519().private_bytes
        atomic_write(path(folder, role), pem, mode=0o600)


def _make_set(folder: Path, roles: Sequence[Role], step: Callable[[], None]) -> None:
    step()
    with space_errors(str(folder)):
        made = Path(mkdtemp(prefix=f".{folder.name}.", suffix=_HALF, dir=folder.parent))
    try:
        _make(made, roles, step)
        step()
        made.replace(folder)
    except BaseException:  # nobody has seen them yet
        shutil.rmtree(made, ignore_errors=True)
        raise
    step()
    fsync_dir(folder.parent)


def _sweep(folder: Path) -> None:
    """Removes the sets that a power cut left half made: nobody has seen them."""
    for left in folder.parent.glob(f".{folder.name}.*{_HALF}"):
        shutil.rmtree(left, ignore_errors=True)


def pending(folder: Path, role: Role) -> Path:
    """The folder of the key that will follow `role` in `folder`; the key is made if need be.

    It counts for nothing until a root names it, and signs nothing until `succeed`.
    """
    made = folder / NEXT
    if not path(made, role).exists():
        create(made, [role])
    return made


def succeed(folder: Path, role: Role, named: Collection[str]) -> bool:
    """Puts the pending key of `role` in its place if it is one of the key ids `named`.

    The old one is kept in `retired/`. Done twice it does nothing; returns whether it did.
    """
    new = path(folder / NEXT, role)
    if not new.exists() or load(folder / NEXT, role).public_key.keyid not in named:
        return False
    old = path(folder, role)
    if old.exists():
        name = load(folder, role).public_key.keyid[:SHORT]
        make_folder(folder / RETIRED)
        (folder / RETIRED).chmod(0o700)
        old.rename(folder / RETIRED / f"{role}.{name}.pem")
        fsync_dir(folder / RETIRED)
    new.rename(old)
    fsync_dir(folder)
    return True


def load(folder: Path, role: Role) -> CryptoSigner:
    """What signs as `role`. Raises SettingsError when its key is missing or no Ed25519 key."""
    file = path(folder, role)
    try:
        with file.open("rb") as opened:
            pem = opened.read(MAX_KEY_BYTES + 1)
    except FileNotFoundError as error:
        raise SettingsError(f"no {role} key: {file} is missing", hint=_where(role)) from error
    except OSError as error:
        raise SettingsError(
            f"the {role} key {file} cannot be read: {error.strerror}",
            hint="run as the user who owns the key files",
        ) from error
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unfit(file, role) from error
    if len(pem) > MAX_KEY_BYTES or not isinstance(key, Ed25519PrivateKey):
        raise _unfit(file, role)
    return CryptoSigner(key)


def _where(role: Role) -> str:
    if role == "root":
        return "bring the folder or USB stick that holds root.pem; it is needed for this step only"
    return "make keys with `chaski-hub keys create`, or copy them from their backup"


def _unfit(file: Path, role: Role) -> SettingsError:
    return SettingsError(
        f"the {role} key {file} is damaged, locked by a password or no Ed25519 key",
        hint="copy it from its backup; if there is none, replace the keys",
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time make keys in `folder`."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
