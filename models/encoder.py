"""Sentence vectors from a BERT encoder: `encode` texts, compare by dot product.

* Vectors are float32, of length one: their dot product is their cosine.
* Texts are cut to the model's context. They run sorted by length, in batches bounded by
  BATCH texts, so that little is spent on padding; the answer keeps the caller's order.
* An encoder may be used from any thread; the threads share `threads` cores.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ModelError
from models.store import ModelFolder
from models.tokenizer import Tokenizer, pad

BATCH = 16

Vectors = npt.NDArray[np.float32]


class Encoder:
    """An opened encoder."""

    def __init__(
        self, session: Any, context: int, tokenizer: Tokenizer, name: str, version: str
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self.name = name
        self.version = version
        self.context = context
        """Tokens that are read of a text."""
        self.dimension = int(session.get_outputs()[0].shape[1])

    @classmethod
    def open(cls, folder: ModelFolder, threads: int) -> "Encoder":
        """Load the encoder in a verified model folder.

        Raises:
            ModelError: it is no encoder, or onnxruntime cannot load it.
        """
        session, context = _session(folder.model, threads)
        tokenizer = Tokenizer.open(folder.tokenizer, context)
        return cls(session, context, tokenizer, folder.name, folder.version)

    @classmethod
    def unverified(cls, model: Path, tokenizer: Path, threads: int) -> "Encoder":
        """Load a graph of models.build_bert that nobody has verified; for builders.

        Raises:
            ModelError: it is no encoder, or onnxruntime cannot load it.
        """
        session, context = _session(model, threads)
        return cls(session, context, Tokenizer.open(tokenizer, context), model.parent.name, "")

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors [len(texts), dimension].

        Raises:
            ModelError: a text is longer than the tokenizer's limit.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        rows = self._tokenizer.encode_batch(texts)
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            ids, mask = pad([rows[i] for i in batch])
            (vectors[batch],) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        return vectors


def _session(path: Path, threads: int) -> tuple[Any, int]:
    """An ONNX Runtime session for a graph of models.build_bert, and its context in tokens."""
    import onnxruntime  # 30 MB of memory: only a process that opens a model pays for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's errors have no common base of their own
        raise ModelError(f"onnxruntime cannot load {path}: {error}") from error
    facts = session.get_modelmeta().custom_metadata_map
    if facts.get("chaski.kind") != "bert":
        raise ModelError(
            f"{path} is no encoder of models.build_bert", hint="give the name of an encoder model"
        )
    return session, int(facts["chaski.context"])
