"""Peers: what the usual tools need for the same two trees. Bytes; None when not installed.

| peer | what is counted |
|---|---|
| xdelta3 | patch between the two tars, `-9`, with a window over all of the old one |
| bsdiff | patch between the two tars |
| git_thin | the smaller of two thin packs: real names; unique names with window 250 |
| zstd_patch | `zstd --ultra -22 --long --patch-from` between the two tars |
| rsync | bytes sent and received for the folders, compressed, the smaller of two settings |
| whole | the changed files whole, as one tar, `zstd -19` |

A peer that fails or needs longer than `seconds` counts as not installed, and says so.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import trees
from tests.bench.report import say
from tests.bench.trees import Tree

NAMES = ("xdelta3", "bsdiff", "git_thin", "zstd_patch", "rsync", "whole")
_TOOL = {"git_thin": "git", "zstd_patch": "zstd", "whole": "zstd"}
_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "PATH": os.environ.get("PATH", ""),
}


def measure(
    old: Tree, new: Tree, folder: Path, seconds: float, names: Sequence[str] = NAMES
) -> dict[str, int | None]:
    """What each peer of `names` needs; `folder` is empty and ours."""
    peers = _Peers(old, new, folder, seconds)
    ways: dict[str, Callable[[], int]] = {name: getattr(peers, name) for name in names}
    return {name: _tried(name, way) for name, way in ways.items()}


def _tried(name: str, way: Callable[[], int]) -> int | None:
    tool = _TOOL.get(name, name)
    if shutil.which(tool) is None:
        say(f"  {name}: {tool} is not installed")
        return None
    try:
        size = way()
    except (subprocess.SubprocessError, OSError) as error:
        say(f"  {name}: {error}"[:200])
        return None
    say(f"  {name}: {size:,}")
    return size


class _Peers:
    """The two trees as tars, and one method for each peer."""

    def __init__(self, old: Tree, new: Tree, folder: Path, seconds: float) -> None:
        self._old, self._new, self._seconds = old, new, seconds
        self._folder = folder
        self._a = trees.write_tar(old, folder / "a.tar")
        self._b = trees.write_tar(new, folder / "b.tar")
        self._out = folder / "out"

    def xdelta3(self) -> int:
        window = max(self._a.stat().st_size, 1 << 20)
        return self._patch("xdelta3", "-9", "-f", "-B", str(window), "-e", "-s", self._a, self._b)

    def bsdiff(self) -> int:
        self._run("bsdiff", self._a, self._b, self._out)
        return self._out.stat().st_size

    def zstd_patch(self) -> int:
        self._run(
            "zstd", "--ultra", "-22", "--long=31", "-qf", f"--patch-from={self._a}", self._b,
            "-o", self._out,
        )  # fmt: skip
        return self._out.stat().st_size

    def whole(self) -> int:
        paths = trees.changed(self._old, self._new)
        tar = trees.write_tar({p: self._new[p] for p in paths}, self._folder / "changed.tar")
        self._run("zstd", "-19", "--long=27", "-qf", tar, "-o", self._out)
        return self._out.stat().st_size

    def rsync(self) -> int:
        target = trees.write_folder(self._new, self._folder / "new")
        ways: tuple[list[str], ...] = (
            [],
            ["--fuzzy", "--delete-after", "--zc=zstd", "--zl=19", "-B512"],
        )
        return min(self._rsync(target, way) for way in ways)

    def _rsync(self, target: Path, options: list[str]) -> int:
        held = self._folder / "old"
        shutil.rmtree(held, ignore_errors=True)
        trees.write_folder(self._old, held)
        said = self._run(
            "rsync", "-rzc", "--no-whole-file", "--delete", "--stats", *options,
            f"{target}/", f"{held}/",
        ).decode()  # fmt: skip
        numbers = re.findall(r"^Total bytes (?:sent|received): ([\d,.]+)$", said, flags=re.M)
        return sum(int(re.sub(r"\D", "", number)) for number in numbers)

    def git_thin(self) -> int:
        unique = self._git("unique", lambda path: path.replace("/", "\\"), window=250)
        return min(self._git("plain", lambda path: path, window=10), unique)

    def _git(self, name: str, rename: Callable[[str], str], window: int) -> int:
        store = self._folder / f"{name}.git"
        self._run("git", "init", "-q", "--bare", store)
        stream = bytearray()
        for mark, tree in ((1, self._old), (2, self._new)):
            stream += b"commit refs/heads/main\nmark :%d\n" % mark
            stream += b"committer bench <bench> %d +0000\ndata 0\n" % mark
            stream += b"deleteall\n"
            for path, data in tree.items():
                quoted = rename(path).replace("\\", "\\\\").replace('"', '\\"')
                stream += f'M 100644 inline "{quoted}"\ndata {len(data)}\n'.encode() + data + b"\n"
        self._run("git", f"--git-dir={store}", "fast-import", "--quiet", feed=bytes(stream))
        pack = self._run(
            "git", f"--git-dir={store}", "-c", "pack.threads=1", "-c", "core.compression=9",
            "-c", "core.bigFileThreshold=1g", "pack-objects", "--revs", "--thin", "--stdout",
            "--delta-base-offset", "--no-reuse-delta", "--no-reuse-object", "-q",
            f"--window={window}", feed=b"main\n^main~1\n",
        )  # fmt: skip
        return len(pack)

    def _patch(self, *command: str | Path) -> int:
        self._run(*command, self._out)
        return self._out.stat().st_size

    def _run(self, *command: str | Path, feed: bytes = b"") -> bytes:
        return subprocess.run(
            [str(part) for part in command],
            input=feed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            check=True, timeout=self._seconds, env=_GIT,
        ).stdout  # fmt: skip
