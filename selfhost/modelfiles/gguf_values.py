"""The header of a GGUF model by the names of its keys and tensors, which are those of llama.cpp's
gguf-py/gguf/constants.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.layers import MAX_LAYERS
from ..core.records import pattern
from ..needs.tensors import ArchitectureRow
from .gguf_header import Header, Tensor
from .source import clean, fail

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, NoReturn

MAX_NUMBER = 1 << 40
BLOCK = pattern(r"(?s)((?:.*\.)?blk\.)(\d{1,6})(\..+)$")
# T5 has two stacks of blocks of the same widths
_STACKS = ("enc.blk.", "dec.blk.")
# without these llama.cpp loads no model (src/llama-model.cpp, load_hparams)
_REQUIRED = ("block_count", "embedding_length", "context_length")
# arrays that have one entry, or one for each block, no more and no less
# (src/llama-model-loader.cpp, get_key_or_arr)
_BY_BLOCK = (
    "attention.head_count",
    "attention.head_count_kv",
    "feed_forward_length",
    "expert_feed_forward_length",
    "expert_used_count",
    "attention.recurrent_layers",
)


class Unclear(Exception):
    """The header does not tell what the layers are; the text says why."""


class Refused(Unclear):
    """Every llama.cpp that knows the architecture stops at this file."""


class GgufModel:
    """All parts of one model, and what reading them brings up.

    `name` is `general.architecture`; `row` its row, one with the defaults alone where it is not
    `known`. `shapes` has the tensors of both stacks of a T5 under the names of one stack too.
    `blocks` are all, `layers` those that do not predict more tokens. `notes` are sentences for the
    user, `unknown` what the spec cannot say, by key.
    """

    def __init__(
        self,
        path: str,
        header: Header,
        tensors: tuple[Tensor, ...],
        architectures: Mapping[str, Any],
    ) -> None:
        """`path` is what the user gave, `header` that of the first part, `tensors` those of all
        parts; `architectures` is the parsed `specs/common/architectures.toml`.
        """
        self.path, self.tensors = path, tensors
        self.values, self.counts = header.values, header.counts
        self.architectures = architectures
        self.notes: list[str] = []
        self.unknown: dict[str, str] = {}
        self.name = clean(self.values.get("general.architecture"))
        if not self.name:
            self.damaged("general.architecture is missing")
        row = architectures["architecture"].get(self.name)
        self.known = row is not None
        self.row = ArchitectureRow.from_values(self.name, row or {})
        # it attends both ways
        self.is_encoder = self.row.encoder
        if not self.known:
            self.is_encoder = self.values.get(f"{self.name}.attention.causal") is False
        # an encoder that ends in vectors, not in text
        self.embeds = self.is_encoder and not self.row.diffusion
        self.shapes = {tensor.name: tensor.shape for tensor in tensors}
        stacked = [name for name in self.shapes if name.startswith(_STACKS)]
        self.shapes |= {
            name[4:].replace("attn_o.", "attn_output."): self.shapes[name] for name in stacked
        }
        self.blocks = self.layers = MAX_LAYERS

    def count_blocks(self) -> None:
        """Set `blocks` and `layers`, once the file has the keys that every model needs, and as many
        entries in each array as there are blocks.
        """
        for key in _REQUIRED:
            if self.number(key) is None:
                self.damaged(f"its header has no {self.name}.{key}")
        self.blocks, predicting = (
            self.number("block_count") or 0,
            self.number("nextn_predict_layers"),
        )
        self.layers = self.blocks - (predicting or 0)
        if not 0 < self.layers <= self.blocks <= MAX_LAYERS:
            self.damaged(f"{self.blocks:,} layers, {predicting or 0:,} of them beyond the last")
        for key in _BY_BLOCK:
            name = f"{self.name}.{key}"
            value = self.values.get(name)
            number = len(value) if isinstance(value, list) else self.counts.get(name, self.blocks)
            if number != self.blocks:
                self.damaged(
                    f"{name} lists {number:,} numbers, and there are {self.blocks:,} blocks"
                )

    def damaged(self, what: str) -> NoReturn:
        remedy = "the file is damaged, or was not made by llama.cpp's converter: download it again"
        fail(self.path, f"cannot be used: {what}", remedy)

    def number(self, key: str) -> int | None:
        """A whole number of at least 0; None where the key is missing. Raises `Unclear` where it
        differs between blocks.
        """
        value = self.values.get(f"{self.name}.{key}")
        if value is None:
            return None
        if isinstance(value, list) and key in _BY_BLOCK and value:
            if any(each != value[0] for each in value):
                raise Unclear(f"{self.name}.{key} is another number in each block")
            value = value[0]
        if type(value) is not int or not 0 <= value < MAX_NUMBER:
            self.damaged(f"{self.name}.{key} is no whole number")
        return int(value)

    def size(self, *keys: str) -> int | None:
        """The first of these numbers that is above 0; None without one."""
        return next(filter(None, map(self.number, keys)), None)

    def needed(self, key: str) -> int:
        """A number above 0. Raises `Unclear` where the header has none."""
        value = self.number(key)
        if not value:
            raise Unclear(f"{self.name}.{key} is {'missing' if value is None else 0}")
        return value

    def per_layer(self, key: str) -> list[int] | None:
        """One number for each layer; None where the key is missing. A single number stands for
        all layers.
        """
        value = self.values.get(f"{self.name}.{key}")
        if not isinstance(value, list):
            of_all_layers = self.number(key)
            return None if of_all_layers is None else [of_all_layers] * self.layers
        if len(value) < self.layers or not all(
            isinstance(of_layer, int) and 0 <= of_layer < MAX_NUMBER for of_layer in value
        ):
            self.damaged(f"{self.name}.{key} does not list one number for each layer")
        return [int(of_layer) for of_layer in value[: self.layers]]

    def has(self, layer: int, *names: str) -> bool:
        """The layer has at least one of these tensors."""
        return any(f"blk.{layer}.{name}" in self.shapes for name in names)

    def shape(self, layer: int, name: str) -> tuple[int, ...] | None:
        """That of a tensor of the layer, the row length first; None without it."""
        return self.shapes.get(f"blk.{layer}.{name}")

    def layer_of(self, tensor: Tensor) -> int:
        """The tensor's block, -1 outside the blocks."""
        match = BLOCK.match(tensor.name)
        return int(match[2]) if match else -1
