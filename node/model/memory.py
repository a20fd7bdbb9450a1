"""Memory: may two models be open at once? A judgement from what the system says is free."""

from pathlib import Path

BASE_BYTES = 96 * 1024 * 1024
"""What a self-test needs besides the model: a program and the runtime."""
SPARE_BYTES = 64 * 1024 * 1024
"""Stays free for pages."""


def available_bytes(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Memory that can be had without pushing anything out; None where the system does not say."""
    try:
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def fits_beside(model_bytes: int, available: int | None) -> bool:
    """Whether a model of so many bytes on the disk may be open beside the one that answers.

    Twice its bytes: the runtime packs weights anew when it opens a graph.
    """
    return available is None or available >= 2 * model_bytes + BASE_BYTES + SPARE_BYTES
