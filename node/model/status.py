"""ModelStatus: how the tutor's model is, as a value for pages, metrics and commands."""

from typing import Literal

import msgspec

from node.model.pointer import Change

State = Literal["off", "missing", "damaged", "stopped", "testing", "trial", "running"]
Source = Literal["", "shipped", "channel"]


class ModelStatus(msgspec.Struct, frozen=True):
    """One look.

    `off`: switched off in the settings. `missing`: no folder of that name. `damaged`: no whole
    folder. `stopped`: it does not open, or stopped while answering. In these four nothing is
    explained. `testing`: another edition is tried or opened; where memory is short none answers
    meanwhile. `trial`: it has yet to prove
    itself. `running`.
    """

    state: State
    name: str = ""
    version: str = ""
    """Of the model that answers; empty when none does."""
    source: Source = ""
    trouble: str = ""
    """What is wrong, for operators: also when another edition answers in its place."""
    pending: str = ""
    """Why what the channel carries is not tried yet."""
    last: Change | None = None
