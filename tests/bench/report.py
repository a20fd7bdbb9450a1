"""Report: what every benchmark has in common: its options, its progress, its last line."""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any


def options(about: str) -> argparse.ArgumentParser:
    """A command line with `--quick`; `about` is the docstring of the benchmark."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller inputs; at most 50 seconds")
    return parser


def say(line: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def finish(result: Mapping[str, Any]) -> None:
    """The last line."""
    sys.stdout.write(json.dumps(result) + "\n")


class Stopwatch:
    """Seconds of work of this process since it was made or last read."""

    def __init__(self) -> None:
        self._at = time.process_time()

    def read(self) -> float:
        """Seconds, to the millisecond; starts again."""
        now = time.process_time()
        spent, self._at = now - self._at, now
        return round(spent, 3)
