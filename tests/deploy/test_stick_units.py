"""The unit and the rule that import a plugged stick: sound, and about files that exist."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import main
from node.config import SyncTable
from sync.errors import TransportError, TrustError

UNIT = "chaski-stick@.service"


@pytest.fixture
def unit(root: Path) -> str:
    return (root / "packaging" / "systemd" / UNIT).read_text(encoding="utf-8")


@pytest.fixture
def rules(root: Path) -> str:
    path = root / "packaging" / "udev" / "90-chaski-stick.rules"
    return path.read_text(encoding="utf-8")


def values(unit: str, key: str) -> list[str]:
    """Every value of `key` in a unit."""
    return re.findall(rf"^{key}=(.*)$", unit, re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_the_unit(unit: str, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is missing: install systemd")
    here = shutil.which("chaski-node", path=str(Path(sys.executable).parent))
    assert here is not None
    path = tmp_path / UNIT.replace("@", "@sda1")
    path.write_text(unit.replace("/usr/bin/chaski-node", here), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    complaints = [line for line in done.stderr.splitlines() if path.name in line]
    assert complaints == []


def test_the_unit_mounts_where_the_node_looks_for_sticks(unit: str) -> None:
    (mount,), (umount,) = values(unit, "ExecStartPre"), values(unit, "ExecStopPost")
    (start,) = values(unit, "ExecStart")
    places = {line.split()[-1] for line in (mount, umount, start)}
    assert places == {"/run/chaski/sticks/%i"}
    assert str(Path(places.pop()).parent) in SyncTable().stick_folders
    assert {"nosuid", "nodev", "noexec"} <= set(re.findall(r"--options=(\S+)", mount)[0].split(","))


def test_the_unit_calls_a_command_that_there_is(unit: str) -> None:
    program, *words = values(unit, "ExecStart")[0].split()
    assert program == "/usr/bin/chaski-node"
    assert words[:1] == ["--config"]
    assert words[2] in main.commands


def test_a_stick_without_our_channel_is_no_failure_of_the_machine(unit: str) -> None:
    good = {int(code) for code in values(unit, "SuccessExitStatus")[0].split()}
    assert good == {TrustError.exit_code, TransportError.exit_code}


def test_the_rule_starts_the_unit_for_file_systems_on_usb_only(rules: str) -> None:
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    assert lines[-1] == 'LABEL="chaski_stick_end"'
    guards = [line for line in lines if line.endswith('GOTO="chaski_stick_end"')]
    assert {re.split(r"[!={]", line)[0] for line in guards} == {"ACTION", "SUBSYSTEM", "ENV"}
    assert 'ENV{ID_BUS}!="usb"' in rules
    assert 'ENV{ID_FS_USAGE}!="filesystem"' in rules
    (wants,) = re.findall(r'SYSTEMD_WANTS}\+="(.*?)"', rules)
    assert wants.replace("%k", "") == UNIT
