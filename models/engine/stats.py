"""What an engine has done and is doing; read by metrics, pages and benchmarks."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.engine.stream import Reason


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot. Totals count from the opening of the engine."""

    active: int
    waiting: int
    tokens_total: int
    """Tokens written."""
    prompt_tokens_total: int
    """Tokens read."""
    requests_total: int
    """Requests accepted."""
    refused_total: int
    """Requests refused because the queue was full."""
    seconds_total: float
    """Time the model ran."""
    ended_total: Mapping[Reason, int]
    """Requests that ended, by reason."""
    reused_tokens_total: int = 0
    """Tokens of prompts that were copied, not read."""
    guessed_tokens_total: int = 0
    """Tokens that were guessed and checked."""
    guessed_right_total: int = 0
    preempted_total: int = 0
    """Slots given up to a request of a better class."""
    rows: int = 0
    """Rows of the slots promised to requests that run."""
    prefix_bytes: int = 0
    """Memory of what is kept of prompts."""
    guessing: bool = False
    """Whether this machine and model allow guesses: they change nothing in an answer."""
