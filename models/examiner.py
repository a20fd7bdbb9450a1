"""Examiner: a self-test in a process of its own, with bounds of memory and time.

* A model that crashes, hangs or eats memory costs that process, which is the first that the
  system would end for want of memory. It ends itself at its deadline even when nobody waits.
* Whatever happens comes back as a `Report`; the one that waits is never harmed.
* `stop` ends a test that runs; its report is then None: nothing was found out.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click
import msgspec

from models.errors import ModelError, OutOfMemory
from models.report import Report

SECONDS = 120.0
MEGABYTES = 1024
MEGABYTE = 1024 * 1024
OUTPUT_BYTES = 256 * 1024
"""Most that the process may write."""
HOME = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "models.examiner")
NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate", "Cannot allocate memory")


class Examiner:
    """Tries model folders, one at a time."""

    def __init__(
        self,
        *,
        threads: int = 1,
        seconds: float = SECONDS,
        megabytes: int = MEGABYTES,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """`seconds` and `megabytes` bound one test; `command` is the process, less its options."""
        self._bounds = f"--threads={threads}", f"--seconds={seconds}", f"--megabytes={megabytes}"
        self._seconds = seconds
        self._megabytes = megabytes
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def examine(self, folder: Path, *, write: bool = False) -> Report | None:
        """What the self-test of the model in `folder` came to; None: `stop` was called.

        `write`: it has none; measure it, write it, then try it.
        """
        more = ("--write",) if write else ()
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            code = self._wait([*self._bounds, *more, str(folder.resolve())], out, err)
            if self._stopped or code is None:
                return None
            return self._report(code, _tail(out), _tail(err).decode(errors="replace"))

    def stop(self) -> None:
        """Ends the test that runs, and lets none begin."""
        with self._lock:
            self._stopped = True
            if self._process:
                _end(self._process)

    def _wait(self, options: Sequence[str], out: IO[bytes], err: IO[bytes]) -> int | None:
        """The exit code; `-SIGALRM` for one that outlived its deadline."""
        with self._lock:
            if self._stopped:
                return None
            path = os.pathsep.join([str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
            process = self._process = subprocess.Popen(
                [*self._command, *options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env=os.environ | {"PYTHONPATH": path}, start_new_session=True,
            )  # fmt: skip
        try:
            return process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            return -signal.SIGALRM
        finally:
            with self._lock:
                _end(process)
                self._process = None
            process.wait()

    def _report(self, code: int, out: bytes, err: str) -> Report:
        said = " ".join(err.split())[-300:]
        if code == 0:
            try:
                return msgspec.json.decode(out, type=Report)
            except msgspec.DecodeError:
                return Report("crash", f"the self-test said nothing that can be read; {said}")
        if code in (-signal.SIGALRM, -signal.SIGXCPU):
            return Report("slow", f"no answer within {self._seconds:g} s", self._seconds)
        if code == -signal.SIGKILL or _memory(err):
            return Report("memory", f"more than {self._megabytes} MB of memory; {said}")
        how = signal.Signals(-code).name if code < 0 else f"code {code}"
        return Report("crash", f"the self-test ended by {how}; {said}")


def _memory(text: str) -> bool:
    return "MemoryError" in text or any(words in text for words in NO_MEMORY)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process and what it began."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - OUTPUT_BYTES))
    return file.read()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--threads", default=1)
@click.option("--seconds", default=SECONDS)
@click.option("--megabytes", default=MEGABYTES)
@click.option("--write", is_flag=True)
def main(folder: Path, threads: int, seconds: float, megabytes: int, write: bool) -> None:
    """Try the model in FOLDER within bounds; print the report as JSON."""
    _bound(seconds, megabytes)
    from models.selftest import check, measure, to_bytes  # here: who only waits loads no runtime
    from models.store import SELFTEST, unlocked

    try:
        found = unlocked(folder)
        if write:
            (folder / SELFTEST).write_bytes(to_bytes(measure(found, threads)))
        report = check(found, threads)
    except (ModelError, OSError) as error:
        short = isinstance(error, OutOfMemory) or _memory(str(error))
        report = Report("memory" if short else "invalid", str(error))
    click.echo(msgspec.json.encode(msgspec.structs.replace(report, peak_bytes=_peak_bytes())))


def _peak_bytes(status: Path = Path("/proc/self/status")) -> int:
    """Most memory this program had; 0 where the system does not say. Not `ru_maxrss`, which a
    child begins with that of its parent."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _bound(seconds: float, megabytes: int) -> None:
    """Bounds this process: memory it may write, output, time; last in every queue."""
    most = megabytes * MEGABYTE
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    os.nice(10)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
