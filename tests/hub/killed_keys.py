"""A program that kills `keys create`: forks one, sends it SIGKILL before its n-th change of the
disk, looks at what is left, and lets the next one finish. Prints JSON, a line a kill.

It is a program of its own so that forking happens in a process without threads.
"""

import json
import os
import signal
import sys
from pathlib import Path

from hub.keyring import Keyring
from hub.shelf import Shelf
from sync import keys
from sync.head import PUBLISHING

MOST = 100


def ring(home: Path, kill_at: int = 0) -> Keyring:
    """The keyring in `home`; it dies before its `kill_at`th step, 0 never."""
    left = kill_at

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return Keyring(Shelf(home / "published"), home / "keys", lambda: 1.8e9, step)


def sets(home: Path, drawers: list[Path]) -> list[int]:
    """How many keys are in each place."""
    roles = ["root", *PUBLISHING]
    return [
        sum((place / f"{r}.pem").exists() for r in roles) for place in (home / "keys", *drawers)
    ]


def main(top: Path) -> None:
    """One home for each kill, until one is not killed."""
    for offline in (0, 2):
        for number in range(1, MOST):
            home = top / f"{offline}-{number}"
            drawers = [home / f"stick-{n}" for n in range(offline)]
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                ring(home, number).create(drawers, max(1, offline))
                os._exit(0)
            _, status = os.waitpid(child, 0)
            before = sets(home, drawers)
            rooted = (home / "published" / "root" / "1.root.json").exists()
            if not rooted:
                ring(home).create(drawers, max(1, offline))
            info = ring(home).show()
            own = [keys.load(home / "keys", r).public_key.keyid for r in PUBLISHING]
            sys.stdout.write(json.dumps({
                "offline": offline, "killed": os.WIFSIGNALED(status), "sets": before,
                "rooted": rooted, "after": sets(home, drawers),
                "named": [info.role(r).keys[0] for r in PUBLISHING] == own,
                "left": [p.name for p in home.rglob("*.half")],
            }) + "\n")  # fmt: skip
            if not os.WIFSIGNALED(status):
                break


if __name__ == "__main__":
    main(Path(sys.argv[1]))
