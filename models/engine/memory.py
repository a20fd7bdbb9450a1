"""How a bound on memory is shared out: slots, scratch, and prefixes.

* The bound is for keys and values, which grow with the requests. The weights come on top, and
  are known: as large as the model file, about twice that where onnxruntime repacks them.
* Scratch, which scoring uses, is one context. One whole context must be left for answers.
"""

from dataclasses import dataclass

from models.errors import ModelError

PREFIX_BYTES = 32 * 1024 * 1024
"""Most that prefixes may take when nothing else is said."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the engine may use."""

    rows: int
    """Tokens in all slots together."""
    prefix_bytes: int

    @classmethod
    def share(cls, limit: int, *, row_bytes: int, context: int, slots: int) -> "Memory":
        """`limit` bytes for all, 0 for no limit; a quarter of what is free goes to prefixes.

        Raises:
            ModelError: not even one request would fit.
        """
        most = slots * context
        if not limit:
            return cls(most, PREFIX_BYTES)
        free = limit - context * row_bytes
        if free < context * row_bytes:
            least = 2 * context * row_bytes / 1e6
            raise ModelError(
                f"{limit / 1e6:.0f} MB of memory do not hold one request and one text to score",
                hint=f"max_memory must be {least:.0f} MB or more, or take a smaller model",
            )
        prefixes = min(PREFIX_BYTES, (free - context * row_bytes) // 4)
        return cls(min((free - prefixes) // row_bytes, most), prefixes)
