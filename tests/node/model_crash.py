"""A program that takes the channel's model and is sent SIGKILL at its n-th step, or before the
first of that name; 0: never.

    python -m tests.node.model_crash DATA SHIPPED N|NAME

Prints how many steps there were.
"""

import sys
from pathlib import Path

from tests.node.crash import Fuse
from tests.node.thinker import Thinker


def main(data: Path, shipped: Path, where: str) -> None:
    """One life of the program."""
    fuse = Fuse(int(where) if where.isdigit() else 0)

    def step(name: str) -> None:
        if name == where:
            fuse.left = 1
        fuse.burn()

    thinker = Thinker(data, shipped, step=step)
    thinker.switch.start()
    thinker.switch.look()
    thinker.switch.look()
    sys.stdout.write(str(fuse.burnt))
    thinker.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
