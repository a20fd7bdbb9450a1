"""Model files in a manifest: `models/NAME/FILE`, of kind `model`. Where they stand, no more.

* What may be a name is the reader's affair; here a path has exactly three parts or none of it.
"""

from collections.abc import Iterable

from sync.manifest import Entry

FOLDER = "models"
PRIORITY = 99
"""After every lesson and file."""


def model_path(name: str, file: str) -> str:
    """Where `file` of model `name` stands in a manifest."""
    return f"{FOLDER}/{name}/{file}"


def model_entries(entries: Iterable[Entry], name: str) -> dict[str, Entry]:
    """The files of model `name`, by file name; empty when it is not carried."""
    found: dict[str, Entry] = {}
    start = model_path(name, "")
    for entry in entries:
        if entry.kind == "model" and entry.path.startswith(start):
            found[entry.path.removeprefix(start)] = entry
    return found
