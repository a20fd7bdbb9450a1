"""The engine: GPT-2 on ONNX Runtime, continuous batching. What others import is here."""

from models.engine.engine import Engine, EngineStats
from models.engine.sampling import Sampling
from models.engine.sequence import Completion, Piece, Reason, Stream
from models.errors import Overloaded

__all__ = [
    "Completion",
    "Engine",
    "EngineStats",
    "Overloaded",
    "Piece",
    "Reason",
    "Sampling",
    "Stream",
]
