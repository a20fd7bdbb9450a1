"""A stick that holds what a city published, and a node's settings that point to it."""

from pathlib import Path

from sync.head import head_to_bytes
from sync.transport.directory import DirectoryWriter
from tests.node.city import CHANNEL, City


def fill(stick: Path, city: City) -> None:
    """Puts everything the city has published on the stick, the head last."""
    writer = DirectoryWriter(stick)
    for number, root in enumerate(city.roots, 1):
        writer.put_root(number, root)
    for data in city.objects.values():
        writer.put_object(data)
    target = city.versions[-1]
    for base in (None, *city.versions[:-1]):
        writer.put_bundle(*city.bundle(base, target))
    assert city.signed
    writer.put_head(CHANNEL, head_to_bytes(city.signed))


def settings(folder: Path, city: City, more: str = "") -> Path:
    """A node.toml with root.json beside it; its hub is `folder`/stick."""
    folder.mkdir(exist_ok=True)
    (folder / "root.json").write_bytes(city.roots[0])
    path = folder / "node.toml"
    path.write_text(
        '[node]\nid = "ocongate"\ndata = "data"\nkeep_free_megabytes = 0\n\n'
        '[sync]\nhub = "stick"\n\n[portal]\nport = 0\n\n' + (more or "[tutor]\nenabled = false\n"),
        encoding="utf-8",
    )
    return path
