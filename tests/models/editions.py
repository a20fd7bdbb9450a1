"""Small decoders that a channel may carry: one, and the same trained a little further."""

from pathlib import Path

import numpy as np

from models import build_gpt2
from models.selftest import measure, to_bytes
from models.store import SELFTEST, unlocked
from tests.models import tiny

NAME = "tutor-tiny"


def decoder(folder: Path, *, seed: int = 1, further: float = 0.0, width: int = 64) -> Path:
    """A model folder `folder`/tutor-tiny with card and self-test; `further` training moves its
    weights by so much."""
    checkpoint = tiny.gpt2(folder / "checkpoint", seed=seed, width=width)
    if further:
        tiny.train_on(checkpoint, np.random.default_rng(7), further)
    made = folder / NAME
    build_gpt2.build(checkpoint, made, 8)
    tiny.write_card(made, "decoder")
    (made / SELFTEST).write_bytes(to_bytes(measure(unlocked(made), 1)))
    return made
