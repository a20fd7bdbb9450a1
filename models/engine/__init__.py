"""The engine: GPT-2 on ONNX Runtime, continuous batching. What others import is here."""

from models.engine.engine import Engine
from models.engine.sampling import Sampling
from models.engine.stats import EngineStats
from models.engine.stream import Completion, Piece, Reason, Stream
from models.engine.ticket import Priority
from models.errors import OutOfMemory, Overloaded

__all__ = [
    "Completion",
    "Engine",
    "EngineStats",
    "OutOfMemory",
    "Overloaded",
    "Piece",
    "Priority",
    "Reason",
    "Sampling",
    "Stream",
]
