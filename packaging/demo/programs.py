"""The two programs as a person runs them: commands to their end, servers until they are stopped.

* Everything is a child process of its own, started with its own configuration file.
* A server's output goes to a log file; when it dies early, the log's end is in the error.
* `stop` sends SIGINT, as Ctrl-C does, and waits; a server that ignores it is an error.
"""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BINARIES = Path(sys.executable).parent
COMMAND_SECONDS = 240
START_SECONDS = 60
STOP_SECONDS = 20


class DemoError(Exception):
    """A step did not do what it should; the message says which and what was seen."""


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else a port the system chooses."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


@dataclass(frozen=True, slots=True)
class Program:
    """`chaski-hub` or `chaski-node` with one configuration file."""

    name: str
    config: Path

    def run(self, *arguments: str) -> str:
        """Run one command to its end and return what it printed."""
        done = subprocess.run(
            [BINARIES / self.name, "--config", self.config, *arguments],
            capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            called = f"{self.name} {' '.join(arguments)}"
            raise DemoError(f"{called} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command with `--json` and return what it said."""
        return json.loads(self.run(*arguments, "--json"))

    def serve(self, log: Path) -> "Server":
        """Start the program's server."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [BINARIES / self.name, "--config", self.config, "serve"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        return Server(self.name, process, log)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_for(self, url: str) -> None:
        """Return when `url` answers 200."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                get(url)
                return
            except DemoError:
                time.sleep(0.1)
        raise DemoError(
            f"{self.name} does not answer at {url} after {START_SECONDS} s:\n{self.tail()}"
        )

    def check_alive(self) -> None:
        """Raise DemoError when the process has ended."""
        if (code := self.process.poll()) is not None:
            raise DemoError(f"{self.name} ended with {code}:\n{self.tail()}")

    def stop(self) -> int:
        """Stop the server as Ctrl-C would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise DemoError(f"{self.name} did not stop within {STOP_SECONDS} s of SIGINT") from None

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


def get(url: str, timeout: float = 60) -> str:
    """The text at `url`. Raises DemoError when there is none."""
    return fetch(url, timeout).decode("utf-8")


def fetch(url: str, timeout: float = 60) -> bytes:
    """The bytes at `url`. Raises DemoError when there are none."""
    return _fetch(urllib.request.Request(url, headers={"Accept-Language": "es"}), timeout)  # noqa: S310


def press(url: str) -> str:
    """Press the button that posts to `url`, as its own page would; the page that follows."""
    home = url.split("/", 3)
    origin = {"Accept-Language": "es", "Origin": "/".join(home[:3])}
    request = urllib.request.Request(url, data=b"", headers=origin)  # noqa: S310
    return _fetch(request, timeout=60).decode("utf-8")


def _fetch(request: urllib.request.Request, timeout: float) -> bytes:
    url = request.full_url
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        raise DemoError(f"{url} answered {error.code}: {error.read(300)!r}") from error
    except OSError as error:
        raise DemoError(f"{url}: {error}") from error
