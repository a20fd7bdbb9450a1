"""A hub and its nodes as a person at a terminal meets them: a command, its exit code, its lines.

* What is tested is a child process with a configuration file of its own; nothing is patched.
  `look` runs the same command in this process, for the many looks at what was left behind.
* A `City` keeps each version that it published as an `edition`, so that a test can put an old,
  a damaged or a foreign one on the shelf that nodes fetch from.
* A `Node` is a copy of a folder in which version 1 is installed.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import hub.cli
import node.cli

MAINS = {"chaski-hub": hub.cli.main, "chaski-node": node.cli.main}
BINARIES = Path(sys.executable).parent
PATIENCE_SECONDS = 120
EDITOR = "Rosa Quispe"
CHANNEL = 'id = "escuela"\nlicense = "CC-BY-4.0"\ntitles = { es = "Escuela" }\n' + (
    'description = { es = "Tres lecciones." }\n[[topics]]\nid = "chacra"\nicon = "🌱"\n'
    'titles = { es = "La chacra" }\n'
)
WHOLE = ("version", "root", "lessons", "applied_at")
"""What must not change when something is refused."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one command said."""

    code: int
    out: str
    err: str

    def refused(self, code: int) -> str:
        """The error line, after everything that every refusal promises."""
        assert "Traceback" not in self.out + self.err, self.err
        assert self.code == code, f"{self.code}: {self.out}{self.err}"
        lines = self.err.splitlines()
        assert len(lines) == 2, self.err
        error, hint = lines
        assert error.startswith("error: "), self.err
        assert hint.startswith("hint: "), self.err
        assert len(error) > len("error: "), self.err
        assert len(hint) > len("hint: "), self.err
        return error

    def done(self) -> str:
        """What it printed, when all went well."""
        assert self.code == 0, f"{self.code}: {self.out}{self.err}"
        return self.out


@dataclass(frozen=True, slots=True)
class Program:
    """`chaski-hub` or `chaski-node` with one configuration file."""

    name: str
    config: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str | Path) -> list[str]:
        """The command line."""
        return [str(part) for part in (BINARIES / self.name, "--config", self.config, *arguments)]

    def run(self, *arguments: str | Path, **environment: str) -> Told:
        """One command to its end."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False,
            timeout=PATIENCE_SECONDS, env=self._environment(environment),
        )  # fmt: skip
        return Told(done.returncode, done.stdout, done.stderr)

    def look(self, *arguments: str) -> str:
        """What a command prints that only looks. One thread at a time."""
        done = CliRunner().invoke(MAINS[self.name], ["--config", str(self.config), *arguments])
        assert done.exit_code == 0, (done.exit_code, done.output, done.exception)
        return str(done.stdout)

    def start(self, *arguments: str | Path, log: Path) -> "subprocess.Popen[bytes]":
        """A command that goes on; what it says goes to `log`."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(*arguments), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=self._environment({}), start_new_session=True,
            )  # fmt: skip

    @contextmanager
    def serving(self, url: str, log: Path) -> Iterator[None]:
        """`serve` while the body runs; Ctrl-C must end it with exit code 0."""
        process = self.start("serve", log=log)
        try:
            wait_for(process, url, log)
            yield
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            code = process.wait(PATIENCE_SECONDS)
        assert code == 0, log.read_text(encoding="utf-8")

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("CHASKI_")}
        return own | {"COLUMNS": "200"} | dict(self.environment) | dict(more)


def wait_for(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Returns when `url` answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            fetch(url)
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"no answer at {url}: {log.read_text(encoding='utf-8')}")


def fetch(url: str, data: bytes | None = None) -> str:
    """The text at `url`; with `data`, what follows when the page's own button is pressed."""
    origin = "/".join(url.split("/", 3)[:3])
    headers = {"Accept-Language": "es", "Origin": origin}
    with urllib.request.urlopen(
        urllib.request.Request(url, data=data, headers=headers), timeout=PATIENCE_SECONDS
    ) as answer:
        return str(answer.read().decode("utf-8"))


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_lessons(folder: Path, count: int, text: str) -> Path:
    """A folder with the channel and `count` lessons."""
    folder.mkdir(parents=True)
    (folder / "channel.toml").write_text(CHANNEL, encoding="utf-8")
    for number in range(count):
        page = "\n\n".join(f"En la feria {n} hay {n * 7 + number} papas." for n in range(20))
        (folder / f"leccion-{number}.es.md").write_text(
            f'+++\nid = "leccion-{number}"\ntitle = "Lección {number}"\ntopic = "chacra"\n'
            'language = "es"\ngrade = "primaria-3"\nsummary = "Una lección."\n'
            'keywords = ["papa"]\nauthor = "Rosa"\nlicense = "CC-BY-4.0"\nsource = "original"\n'
            f"+++\n\n{text} Página {number}.\n\n{page}\n",
            encoding="utf-8",
        )
    return folder


class City:
    """A hub in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        folder.mkdir(parents=True)
        self.hub = Program("chaski-hub", folder / "hub.toml")
        self.hub.config.write_text(
            f'[hub]\ndata = "data"\n\n[server]\nport = {port}\n', encoding="utf-8"
        )
        self.published = folder / "data" / "published"

    def publish(self, version: int, count: int, text: str) -> None:
        """Imports `count` lessons, publishes them and keeps the edition."""
        lessons = write_lessons(self.folder / f"lessons-{version}", count, text)
        self.hub.run("import", lessons, "--approver", EDITOR).done()
        told = json.loads(self.hub.run("publish", "--json").done())
        assert told["version"] == version
        shutil.copytree(self.published, self.edition(version))

    def edition(self, version: int) -> Path:
        """What was published as `version`."""
        return self.folder / "editions" / str(version)

    def show(self, edition: Path) -> None:
        """Puts `edition` on the shelf that nodes fetch from."""
        shutil.rmtree(self.published)
        shutil.copytree(edition, self.published)

    def bundles(self) -> list[Path]:
        """The bundles on the shelf."""
        return sorted((self.published / "bundles").iterdir())


@dataclass(frozen=True, slots=True)
class Node:
    """A node in `folder`."""

    folder: Path

    @property
    def program(self) -> Program:
        """`chaski-node` with its configuration."""
        return Program("chaski-node", self.folder / "node.toml")

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    def copy(self, folder: Path) -> "Node":
        """Another node with the same content."""
        shutil.copytree(self.folder, folder)
        return Node(folder)

    def configure(self, old: str, new: str) -> None:
        """Changes one line of its configuration."""
        text = self.program.config.read_text(encoding="utf-8")
        assert old in text
        self.program.config.write_text(text.replace(old, new), encoding="utf-8")

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The address of its portal while the body runs."""
        lines = self.program.config.read_text(encoding="utf-8").splitlines()
        port = next(line.split()[-1] for line in lines if line.startswith("port = "))
        url = f"http://127.0.0.1:{port}"
        with self.program.serving(f"{url}/api/version", self.folder / "node.log"):
            yield url

    def log(self) -> str:
        """What its server said."""
        return (self.folder / "node.log").read_text(encoding="utf-8")

    def status(self) -> Any:
        """What `status --json` says."""
        return json.loads(self.program.look("status", "--json"))

    def state(self) -> dict[str, Any]:
        """What must not change when something is refused."""
        told = self.status()
        return {key: told[key] for key in WHOLE}


def settle(city: City, folder: Path) -> Node:
    """A node of `city` in `folder`, without a tutor, on a port of its own."""
    node = Node(folder)
    city.hub.run(
        "enrol", "aldea", "--hub", city.url, "--host", "127.0.0.1", "--out", node.program.config
    ).done()
    with node.program.config.open("a", encoding="utf-8") as config:
        config.write(f"port = {free_port()}\n\n[tutor]\nenabled = false\n")
    return node
