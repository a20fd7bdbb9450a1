"""Networks: where each kind of checkpoint keeps what a GPT-2-like decoder is made of.

* `Gpt2` also stands for distilgpt2 and the Spanish GPT-2s: other sizes, the same names.
* `GptNeo` differs in three things: queries, keys and values are apart and without bias;
  attention is not scaled; every other layer looks back `window_size` tokens only.
* Matrices come out as [outputs, inputs], whatever the checkpoint has.
"""

from typing import ClassVar, Literal

import numpy as np

from models.checkpoint import Checkpoint
from models.errors import ModelError
from models.weights import Float

Activation = Literal["tanh", "erf"]
ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "gelu_fast": "tanh",
    "gelu": "erf",
}
Linear = tuple[Float, Float | None]
"""Matrix [n, k] and bias [n], if there is one."""


class Gpt2:
    """A GPT-2. `scale` is what scores are multiplied with; 0: 1 / sqrt(head size)."""

    keys: ClassVar[dict[str, str]] = {
        "width": "n_embd",
        "heads": "n_head",
        "layers": "n_layer",
        "context": "n_positions",
    }
    inner_key, activation_key = "n_inner", "activation_function"
    scale = 0.0

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Raises ModelError: a value of the config is missing or not of this network."""
        config = checkpoint.config
        self.checkpoint = checkpoint
        self.width = checkpoint.integer(self.keys["width"])
        self.heads = checkpoint.integer(self.keys["heads"])
        self.layers = checkpoint.integer(self.keys["layers"])
        self.context = checkpoint.integer(self.keys["context"])
        self.vocabulary = checkpoint.integer("vocab_size")
        inner = config.get(self.inner_key)
        self.inner = 4 * self.width if inner is None else checkpoint.integer(self.inner_key)
        self.epsilon = float(config.get("layer_norm_epsilon", 1e-5))
        name = str(config.get(self.activation_key, "gelu_new"))
        if name not in ACTIVATIONS:
            raise ModelError(
                f"{checkpoint.where}: the activation {name!r} is not known",
                hint=f"known: {', '.join(ACTIVATIONS)}",
            )
        self.activation = ACTIVATIONS[name]
        self.head_size = self.width // self.heads
        if self.width % self.heads or self.head_size % 8:
            raise ModelError(f"a width of {self.width} does not split into {self.heads} heads")

    def window(self, layer: int) -> int | None:
        """How many tokens a token of `layer` sees, itself included; None: all before it."""
        return None

    def table(self) -> Float:
        """The words' vectors [vocabulary, width], which are also the head."""
        return self.tensor("wte.weight", self.vocabulary, self.width)

    def places(self) -> Float:
        """The positions' vectors [context, width]."""
        return self.tensor("wpe.weight", self.context, self.width)

    def qkv(self, layer: int) -> Linear:
        """Queries, keys and values, one below the other."""
        return self._linear(f"h.{layer}.attn.c_attn", 3 * self.width, self.width)

    def attention_out(self, layer: int) -> Linear:
        """What follows attention."""
        return self._linear(f"h.{layer}.attn.c_proj", self.width, self.width)

    def mlp_in(self, layer: int) -> Linear:
        """The first half of the layer's network, before its activation."""
        return self._linear(f"h.{layer}.mlp.c_fc", self.inner, self.width)

    def mlp_out(self, layer: int) -> Linear:
        """The second half."""
        return self._linear(f"h.{layer}.mlp.c_proj", self.width, self.inner)

    def tensor(self, name: str, *shape: int) -> Float:
        """A tensor, whether the checkpoint is of the body or of the whole model."""
        prefix = "" if name in self.checkpoint.names else "transformer."
        return self.checkpoint.tensor(prefix + name, shape)

    def _linear(self, name: str, n: int, k: int) -> Linear:
        """GPT-2's Conv1D keeps [k, n]."""
        return self.tensor(f"{name}.weight", k, n).T, self.tensor(f"{name}.bias", n)


class GptNeo(Gpt2):
    """A GPT-Neo."""

    keys: ClassVar[dict[str, str]] = {
        "width": "hidden_size",
        "heads": "num_heads",
        "layers": "num_layers",
        "context": "max_position_embeddings",
    }
    inner_key = "intermediate_size"
    scale = 1.0

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Raises ModelError as Gpt2."""
        super().__init__(checkpoint)
        kinds = self._attention()
        if len(kinds) != self.layers or not set(kinds) <= {"global", "local"}:
            raise ModelError(
                f"{checkpoint.where}: config.json tells the attention of {len(kinds)} layers"
                f" as {sorted(set(kinds))}, there are {self.layers}"
            )
        size = checkpoint.integer("window_size") if "local" in kinds else 0
        self._windows = [size if kind == "local" else None for kind in kinds]

    def window(self, layer: int) -> int | None:
        """See Gpt2."""
        return self._windows[layer]

    def qkv(self, layer: int) -> Linear:
        """See Gpt2."""
        name, d = f"h.{layer}.attn.attention", self.width
        parts = [self.tensor(f"{name}.{part}_proj.weight", d, d) for part in "qkv"]
        return np.concatenate(parts), None

    def attention_out(self, layer: int) -> Linear:
        """See Gpt2."""
        return self._linear(f"h.{layer}.attn.attention.out_proj", self.width, self.width)

    def _linear(self, name: str, n: int, k: int) -> Linear:
        return self.tensor(f"{name}.weight", n, k), self.tensor(f"{name}.bias", n)

    def _attention(self) -> list[str]:
        """The kind of every layer: listed, or told as [[["global", "local"], 6]]."""
        config = self.checkpoint.config
        try:
            if listed := config.get("attention_layers"):
                return [str(kind) for kind in listed]
            told = config.get("attention_types", [])
            return [str(kind) for kinds, times in told for _ in range(times) for kind in kinds]
        except (TypeError, ValueError) as error:
            raise ModelError(f"{self.checkpoint.where}: config.json: {error}") from error


NETWORKS: dict[str, type[Gpt2]] = {"gpt2": Gpt2, "gpt_neo": GptNeo}


def network(checkpoint: Checkpoint) -> Gpt2:
    """The decoder in `checkpoint`. Raises ModelError: it is none that we build."""
    kind = str(checkpoint.config.get("model_type"))
    if kind not in NETWORKS:
        raise ModelError(
            f"{checkpoint.where} is a {kind}, no decoder that is built here",
            hint=f"known: {', '.join(NETWORKS)}",
        )
    return NETWORKS[kind](checkpoint)
