"""The rules of the house that a reader cannot see from one file."""

import ast
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("hub", "models", "node", "sync")
MAY_IMPORT = {
    "hub": {"hub", "models", "sync"},
    "node": {"node", "models", "sync"},
    "models": {"models"},
    "sync": {"sync"},
}
# One library, one doorway: where each third-party library may be imported.
DOORWAYS = {
    "onnxruntime": ("models/engine/runner.py", "models/encoder.py"),
    "tokenizers": ("models/tokenizer.py", "models/training/"),
    "tuf": ("sync/trust.py", "sync/signing.py", "sync/keys.py", "sync/roots.py"),
    "securesystemslib": ("sync/trust.py", "sync/signing.py", "sync/keys.py", "sync/roots.py"),
    "cryptography": ("sync/trust.py", "sync/keys.py", "sync/identity.py", "hub/users.py"),
    "zstandard": ("sync/codec/", "models/training/"),
    "torch": ("models/parity.py", "models/training/"),
    "transformers": ("models/parity.py", "models/training/"),
    "optimum": ("models/adopt.py", "models/parity.py"),
    "argon2": ("hub/users.py",),
    "kafka": ("sync/transport/kafka.py",),
    "lingua": ("hub/language.py",),
    "onnx": (
        "models/graph.py",
        "models/build_gpt2.py",
        "models/build_bert.py",
        "models/calibrate.py",
        "models/adopt.py",
    ),
}
HOUSE_MAX_LINES = 400


def sources() -> list[Path]:
    return sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_it_may(package: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported(path)
        if name in PACKAGES and name not in MAY_IMPORT[package]
    }
    assert wrong == set()


def test_a_library_comes_in_by_its_doorway_only() -> None:
    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        for name in imported(path)
        if name in DOORWAYS and not str(path.relative_to(ROOT)).startswith(DOORWAYS[name])
    }
    assert wrong == set()


def test_every_doorway_stands_where_the_table_says() -> None:
    missing = {door for doors in DOORWAYS.values() for door in doors if not (ROOT / door).exists()}
    assert missing == set()


def test_packaging_is_no_package() -> None:
    """`packaging/__init__.py` would hide the library of that name that onnxruntime imports."""
    assert not (ROOT / "packaging" / "__init__.py").exists()


def test_no_installed_distribution_claims_our_import_names() -> None:
    claims = importlib.metadata.packages_distributions()
    foreign = {n: claims[n] for n in PACKAGES if n in claims and set(claims[n]) != {"chaski"}}
    assert foreign == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_file_outgrows_the_house() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > HOUSE_MAX_LINES
    }
    assert long == {}


def test_tests_do_not_patch() -> None:
    """Fakes are whole and come in through the constructor."""
    guilty = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__) and any(name == "unittest" for name in imported(path))
    ]
    assert guilty == []
