"""The demo as a running fixture: a real hub and a real node, two processes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

DEMO_SECONDS = 400


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the running demo listens, the studio's password, and the demo's folder."""

    portal: str
    hub: str
    password: str
    data: Path


def command(root: Path, data: Path, *options: str) -> list[str]:
    """The demo's command line on free ports."""
    script = str(root / "packaging" / "demo" / "demo.py")
    ports = ["--hub-port", "0", "--node-port", "0"]
    return [sys.executable, script, "--data", str(data), *ports, *options]


@pytest.fixture(scope="session")
def demo(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo after its last step; at the end, Ctrl-C must stop everything with exit code 0."""
    data = tmp_path_factory.mktemp("demo") / "data"
    environment = os.environ | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command(root, data),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    told = ""
    try:
        for line in process.stdout:
            told += line
            if "Stop both with Ctrl-C" in line:
                break
        else:
            pytest.fail(f"the demo ended early:\n{told}")
        yield Demo(
            portal=found(r"Portal of the village school\s+(http://\S+)", told),
            hub=found(r"Studio of the hub\s+(http://\S+)", told),
            password=found(r"sign in as\s+editor / (\S+)", told),
            data=data,
        )
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=DEMO_SECONDS)
    assert process.returncode == 0, told + rest


def found(pattern: str, told: str) -> str:
    """What `pattern` captures in the demo's output."""
    match = re.search(pattern, told)
    assert match, f"{pattern} not in:\n{told}"
    return match[1]
