"""Tokens: who may use the model through `/v1`. One file, `tokens.json` in the data folder.

* A token is shown once, when it is made; the file keeps its SHA-256 only. 192 bits of chance
  need no slow hash.
* Nobody has a token until an operator makes one: the door is shut by default.
* The command line writes the file beside a node that serves; it is read anew when it changes.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Annotated

import msgspec

from sync.canonical import decode
from sync.errors import ChaskiError, SettingsError
from sync.files import atomic_write

NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_TOKENS = 64
MAX_FILE_BYTES = 64 * 1024
PREFIX = "chaski-"


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One permission. `made` is Unix seconds by the node's clock."""

    name: Annotated[str, msgspec.Meta(pattern=NAME, max_length=40)]
    digest: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    made: Annotated[float, msgspec.Meta(ge=0)]


class Tokens:
    """The tokens of one node, in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._held: tuple[Token, ...] = ()

    def all(self) -> tuple[Token, ...]:
        """Every token, oldest first. Raises ContentError when the file is damaged."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._seen, self._held = None, ()
            return ()
        seen = state.st_mtime_ns, state.st_ino
        if seen != self._seen:
            self._held = decode(
                self._path.read_bytes(), tuple[Token, ...], limit=MAX_FILE_BYTES, what=self._name
            )
            self._seen = seen
        return self._held

    def make(self, name: str, now: float) -> str:
        """A new token called `name`; the only time that it can be read.

        Raises SettingsError: a name that is taken or malformed, or too many tokens.
        """
        held = self.all()
        if any(token.name == name for token in held):
            raise SettingsError(
                f"there is a token {name!r}", hint="revoke it, or take another name"
            )
        if len(held) >= MAX_TOKENS:
            raise SettingsError(f"there are {len(held)} tokens, no more fit", hint="revoke some")
        secret = PREFIX + secrets.token_urlsafe(24)
        try:
            token = msgspec.convert(
                {"name": name, "digest": _digest(secret), "made": max(now, 0.0)}, Token
            )
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"{name[:60]!r} is no name for a token: {error}",
                hint="small letters, digits and hyphens",
            ) from error
        self._write((*held, token))
        return secret

    def revoke(self, name: str) -> None:
        """Takes the token `name` back at once. Raises ChaskiError when there is none."""
        held = self.all()
        left = tuple(token for token in held if token.name != name)
        if len(left) == len(held):
            raise ChaskiError(f"there is no token {name!r}", hint="`chaski-node tokens list`")
        self._write(left)

    def find(self, secret: str) -> Token | None:
        """The token that `secret` is; None for a stranger's. Raises ContentError."""
        asked = _digest(secret)
        return next((t for t in self.all() if hmac.compare_digest(t.digest, asked)), None)

    def _write(self, tokens: tuple[Token, ...]) -> None:
        atomic_write(self._path, msgspec.json.encode(tokens), mode=0o600)

    @property
    def _name(self) -> str:
        return f"the tokens in {self._path}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
