"""Two programs on one folder: at the same time, and one after the other in the wrong order."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.world import OLD, World

BUSY_EXIT, CONTENT_EXIT = 9, 4
OURS = ("node", "sync")
NEWER = '''

@migrations()
def m900_newer(db: Database) -> None:
    """What a later program adds."""
    db.conn.execute("CREATE TABLE newer (id INTEGER PRIMARY KEY)")
'''
HOLDER = """
import sys
from pathlib import Path
from node.folder import DataFolder
lock = DataFolder(Path(sys.argv[1])).lock()
print("held", flush=True)
sys.stdin.read()
"""


def run(program: Path, folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """`chaski-node` of the sources in `program`, on the node in `folder`."""
    line = [sys.executable, "-c", "from node.cli import main; main()"]
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [*line, "--config", str(folder / "node.toml"), *command],
        cwd=program, env=own, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def newer(root: Path, tmp_path: Path) -> Path:
    """The sources of a program that has one migration more."""
    for name in OURS:
        shutil.copytree(root / name, tmp_path / "newer" / name)
    (tmp_path / "newer" / "models").symlink_to(root / "models")
    schema = tmp_path / "newer" / "node" / "store" / "schema.py"
    text = schema.read_text(encoding="utf-8")
    schema.write_text(text.replace("\n\n_FIRST", f"{NEWER}\n\n_FIRST", 1), encoding="utf-8")
    return tmp_path / "newer"


def digests(folder: Path) -> dict[str, str]:
    """Every file of a data folder but the lock, by its content."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.mark.fault(23, "the node")
@pytest.mark.fault(23, "the newer one goes on")
def test_an_older_program_leaves_a_newer_database_alone_and_the_newer_goes_on(
    world: World, root: Path, newer: Path
) -> None:
    folder = world.copy(world.old, "upgraded")
    assert run(newer, folder, "status").returncode == 0
    held = digests(folder / "data")
    for command in ("serve", "sync", "status", "rollback"):
        refused = run(root, folder, command)
        assert refused.returncode == CONTENT_EXIT
        assert "newer program (m900_newer)" in refused.stderr
        assert "install the newer chaski-node" in refused.stderr
        assert digests(folder / "data") == held
    done = run(newer, folder, "sync")
    assert done.returncode == 0, done.stderr
    assert "version 1 -> 2" in done.stdout


@pytest.mark.fault(22, "in two processes")
def test_a_folder_that_another_process_owns_is_left_alone_until_it_dies(
    world: World, root: Path
) -> None:
    folder = world.copy(world.old, "owned")
    owner = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder / "data")], cwd=root, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert owner.stdout
        assert owner.stdout.readline() == "held\n"
        held = digests(folder / "data")
        refused = run(root, folder, "sync")
        assert refused.returncode == BUSY_EXIT
        assert f"process {owner.pid}" in refused.stderr
        assert digests(folder / "data") == held
        assert OLD[:5] in run(root, folder, "search", "texto").stdout
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    assert "version 1 -> 2" in run(root, folder, "sync").stdout
