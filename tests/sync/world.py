"""World: channel versions in memory, for tests of what travels between them."""

from collections.abc import Mapping

from sync.canonical import Digest, digest
from sync.errors import ContentError
from sync.manifest import Entry, Kind, Manifest, manifest

WORDS = [
    "agua", "altura", "arroz", "ayllu", "cerro", "chacra", "cosecha", "familia", "helada",
    "lluvia", "maestra", "mercado", "montaña", "niña", "papa", "piedra", "puente", "quinua",
    "río", "semilla", "sol", "tierra", "trueque", "viento",
]  # fmt: skip


def prose(seed: int, lines: int = 12) -> bytes:
    """A text of `lines` lines that no other seed gives."""
    state = seed * 7919 + 1
    rows = []
    for number in range(lines):
        row = []
        for _ in range(9):
            state = (state * 1103515245 + 12345) % 2**31
            row.append(WORDS[(state >> 16) % len(WORDS)])
        rows.append(f"{seed}.{number} " + " ".join(row) + ".")
    return "\n".join(rows).encode() + b"\n"


def noise(seed: int, size: int) -> bytes:
    """Bytes that nothing can squeeze and that no other seed gives; the first is zero."""
    blocks = (bytes.fromhex(digest(b"%d %d" % (seed, n))) for n in range(size // 32 + 1))
    return (b"\0" + b"".join(blocks))[:size]


class World:
    """All objects that a hub has; `manifest` makes a channel version of some."""

    def __init__(self) -> None:
        self.objects: dict[Digest, bytes] = {}
        self.reads: list[Digest] = []

    def put(self, data: bytes) -> Digest:
        """Keeps `data`."""
        name = digest(data)
        self.objects[name] = data
        return name

    def read(self, name: Digest) -> bytes:
        """As `ObjectStore.get`."""
        self.reads.append(name)
        if name not in self.objects or digest(self.objects[name]) != name:
            raise ContentError(f"object {name[:12]} is damaged")
        return self.objects[name]

    def entry(
        self,
        path: str,
        data: bytes,
        *,
        kind: Kind = "lesson",
        priority: int = 50,
        grade: str = "primaria-4",
        language: str = "es",
    ) -> Entry:
        """The entry of `data` at `path`."""
        return Entry(path, self.put(data), len(data), kind, priority, grade, language)

    def manifest(self, files: Mapping[str, bytes]) -> Manifest:
        """A version of channel `escuela` with these files."""
        return manifest("escuela", [self.entry(path, data) for path, data in files.items()])


def library(count: int) -> dict[str, bytes]:
    """`count` lessons by path."""
    return {f"lessons/leccion-{n:03}.es.json": prose(n) for n in range(count)}
