"""Edition: all files of one model folder, by digest; what travels and what is switched.

* Two editions with one version answer alike: only card, licence or self-test differ.
* The names of an edition come from outside: `edition` refuses what is no model folder.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from models.errors import ModelError
from models.store import CARD, MODEL, NAME, SELFTEST, TOKENIZER, Files, LockedFile, version

NEEDED = (CARD, MODEL, SELFTEST, TOKENIZER)
MAX_BYTES = 2 * 1024**3


class Edition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model folder as it should be."""

    name: Annotated[str, Meta(pattern=NAME)]
    files: Files

    @property
    def version(self) -> str:
        """What people compare: names model, tokenizer and data."""
        return version(self.files)

    @property
    def id(self) -> str:
        """Names every file."""
        text = "".join(f"{f.sha256}  {name}\n" for name, f in sorted(self.files.items()))
        return f"{self.version}-{sha256(text.encode()).hexdigest()[:8]}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())


def edition(name: str, files: Mapping[str, tuple[str, int]]) -> Edition:
    """The edition of these (SHA-256, bytes) by file name. Raises ModelError."""
    found = {file: LockedFile(sha256=digest, size=size) for file, (digest, size) in files.items()}
    try:
        made = msgspec.convert({"name": name, "files": msgspec.to_builtins(found)}, Edition)
    except msgspec.ValidationError as error:
        raise ModelError(f"model {name[:80]!r}: {error}") from error
    missing = [file for file in NEEDED if file not in made.files]
    if missing:
        raise ModelError(f"model {name}: {', '.join(missing)} is missing")
    if made.size > MAX_BYTES:
        raise ModelError(f"model {name} has {made.size:,} bytes, more than {MAX_BYTES:,}")
    return made
