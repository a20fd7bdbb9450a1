"""Errors of the model runtime: what happened, to which model, and in `hint` the next step.

`exit_code` is stable. This package imports nothing of ours, so ModelError stands beside
sync.errors and has the same shape.
"""


class ModelError(Exception):
    """A model is missing, damaged, of the wrong kind, or was asked for what it cannot do."""

    exit_code = 6

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class DamagedModelError(ModelError):
    """A file of a model is missing, or is not the one that it must be."""


class Overloaded(ModelError):  # noqa: N818 - an answer, not a fault
    """The queue is full; nothing was queued. `position` is what the caller's would have been."""

    def __init__(self, position: int, limit: int) -> None:
        super().__init__(
            f"the model is busy: {limit} requests are already waiting",
            hint="ask again in a minute, or raise the engine's queue_limit",
        )
        self.position = position
        self.limit = limit


class InvalidRequest(ModelError):  # noqa: N818 - the request is at fault, not the model
    """What is asked cannot be answered as it is: which field, and OpenAI's code for it."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint="see docs/node-api.md")
        self.param = param
        self.code = code


class OutOfMemory(ModelError):  # noqa: N818 - a state of the machine, not a fault of the model
    """There was no memory for this request; it has ended, the others go on."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"not enough memory: {what}",
            hint="ask again later; fewer slots or a smaller max_memory leave more for the rest",
        )
