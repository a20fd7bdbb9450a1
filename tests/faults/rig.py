"""Rig: a program that runs `chaski-node` commands over and over, each in a child of its own, and
does to each what the shim can do: watch every change to its files, kill it at the n-th one, or
let the n-th one fail. Reads one job a line from stdin, answers one line each.

It is a program of its own so that forking happens in a process without threads, and so that the
shim is loaded (LD_PRELOAD) by nothing else.
"""

import asyncio
import ctypes
import os
import sys
import traceback
from pathlib import Path
from typing import Literal, get_args

import click
import msgspec

import node.cli
from tests.faults.world import visit

Mode = Literal["watch", "kill", "tear", "once", "always"]
"""`watch`: only tell. `kill`: SIGKILL instead of the change; `tear`: in the middle of it, if it
is a write. `once`, `always`: it fails, alone or with all that follow."""


class Job(msgspec.Struct, frozen=True):
    """One command, and what happens to it."""

    root: str
    """The folder whose changes count."""
    log: str
    """Where they are told."""
    said: str
    """Where the command's output goes."""
    command: list[str]
    """Of `chaski-node`; none: start it, and say what it shows."""
    mode: Mode = "watch"
    at: int = 0
    error: int = 0
    kinds: int = 0
    """Bit n: changes of kind n count."""


def carry_out(job: Job) -> int:
    """The exit status of the command, as `os.waitpid` tells it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    said = os.open(job.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (0, 1, 2):
        os.dup2(said, stream)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    arm = ctypes.CDLL(None).chaski_arm
    arm.argtypes = [
        ctypes.c_char_p,
        *[ctypes.c_int] * 2,
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_uint,
    ]
    mode = get_args(Mode).index(job.mode)
    arm(job.root.encode(), log, mode, job.at, job.error, job.kinds)
    code = 1
    try:
        if job.command:
            node.cli.main(job.command)
        else:
            seen = asyncio.run(visit(Path(job.root), pages=True, sync=False)).before
            click.echo(msgspec.json.encode(seen))
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


def main() -> None:
    """Until stdin ends."""
    os.environ["COLUMNS"] = "200"
    for line in sys.stdin:
        job = msgspec.json.decode(line, type=Job)
        Path(job.root).mkdir(parents=True, exist_ok=True)
        click.echo(carry_out(job))


if __name__ == "__main__":
    main()
