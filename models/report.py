"""Report: what a self-test came to."""

from typing import Literal

import msgspec

Why = Literal["", "answer", "crash", "slow", "memory", "invalid"]


class Report(msgspec.Struct, frozen=True):
    """What a self-test came to. `why` is empty when it passed; `detail` is for operators."""

    why: Why
    detail: str
    seconds: float = 0.0
    peak_bytes: int = 0
    """Most memory the process had that tried it."""

    @property
    def passed(self) -> bool:
        """True when the model says what it must."""
        return not self.why
