"""A village machine gets the wheel with the extra [node], and nothing that a city needs."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "optimum", "onnx", "lingua", "argon2", "matplotlib", "playwright")


def run(*command: str | Path, cwd: Path) -> str:
    """The command's output; its stderr is in the failure when it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CHASKI", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def village(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean virtual environment outside the checkout with the wheel [node] in it."""
    folder = tmp_path_factory.mktemp("village")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, root, cwd=folder)
    (wheel,) = folder.glob("chaski-*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    constraints = root / "packaging" / "constraints.txt"
    run(
        python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
        "--constraint", constraints, f"{wheel}[node]", cwd=folder,
    )  # fmt: skip
    return folder


@pytest.mark.slow
def test_the_node_passes_its_selftest_without_the_citys_libraries(village: Path) -> None:
    binaries = village / "venv" / "bin"
    listed = run(binaries / "python", "-m", "pip", "list", "--format=json", cwd=village)
    names = {package["name"].lower().replace("-", "_") for package in json.loads(listed)}
    assert names.isdisjoint(HEAVY)
    config = village / "node.toml"
    config.write_text(f'[node]\nid = "village"\ndata = "{village / "data"}"\n', encoding="utf-8")
    told = run(binaries / "chaski-node", "--config", config, "selftest", cwd=village)
    assert "tutor-es-small" in told
