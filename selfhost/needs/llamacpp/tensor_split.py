"""The part of a model that each of several devices holds where llama.cpp splits every tensor over
the devices (`-sm tensor`).

A case on one of `Device.devices` devices goes in; its terms in bytes come out. Attention is split
by the heads of keys and values, together with their cache; feed-forwards, also those of each
expert, by their length; the output matrix by tokens; linear attention by the heads of its keys,
together with its states. All other tensors are whole on each device: norms, routers, shared
experts, and a token table that is the output matrix too (llama_meta_device_get_split_state in
src/llama-model.cpp of llama.cpp 0c1e570). The compute buffer is whole on each device as well,
because llama.cpp reserves it for whole tensors (ggml_backend_meta_buffer_type_alloc_buffer in
ggml/src/ggml-backend-meta.cpp; ggml-org/llama.cpp#23937).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from math import gcd, lcm

from ...catalogue.architecture import Architecture, Attention, Recurrent
from ...catalogue.runtime_parts import SPLIT_BY_TENSOR
from ...catalogue.spec import FileTensors
from ..case import Case
from ..quantization import BLOCKS
from ..records import Needs, Size, Split, Term, share_by_device, summed
from ..tensors import (
    cache_groups,
    layers_of,
    tensor_split_of,
    window_of,
    windowed_attention,
)
from .files import OUTPUT_MATRIX, SIZES
from .weights import tensors_on_devices

# the most devices that a model is split over
MOST_SPLIT: int = SIZES.tensor_split.most_devices
# matrices are cut at multiples of this many numbers, where that leaves each device some
# (`blck_size_perf` of get_split_granularity in src/llama-model.cpp)
_STEP = 128
# kinds of attention whose split was checked
_SPLIT_ATTENTION = ("full", "sliding")
# the beginnings of the names, behind `blk.*.`, of tensors that are cut by heads, by the heads of
# linear attention, and by the length of a feed-forward
_BY_HEADS = ("attn_q.", "attn_k.", "attn_v.", "attn_qkv.", "attn_output.weight",
             "attn_sinks.", "attn_gate.")  # fmt: skip
_BY_STATES = ("attn_qkv.", "attn_gate.", "ssm_dt.", "ssm_a", "ssm_alpha.", "ssm_beta.",
              "ssm_ba.", "ssm_conv1d.", "ssm_out.")  # fmt: skip
_BY_LENGTH = ("ffn_up.", "ffn_gate.", "ffn_gate_up.", "ffn_up_exps.", "ffn_gate_exps.",
              "ffn_gate_up_exps.", "ffn_down.weight", "ffn_down_exps.weight")  # fmt: skip
# the matrices that lead back to the width of the hidden state; all tensors of a layer are cut at
# multiples of the blocks of these
_OUT_OF_HEADS = "attn_output.weight"
_OUT_OF_STATES = "ssm_out.weight"
_OUT_OF_LENGTH = ("ffn_down.weight", "ffn_down_exps.weight")
_BLOCK = "blk.*."


def splits_tensors(case: Case) -> bool:
    """Whether a runtime option splits the tensors of the model over devices."""
    return case.settings.get("split_mode") == SPLIT_BY_TENSOR


def why_split_refused(case: Case) -> str | None:
    """Why llama.cpp does not split the model (llm_arch_supports_sm_tensor in src/llama-arch.cpp);
    None where it does, or no option asks for it.
    """
    row = case.model.row
    if splits_tensors(case) and row in SIZES.tensor_split.refused:
        return f"llama.cpp refuses -sm tensor for models of {row}"
    return None


def why_not_split(case: Case) -> str | None:
    """The reason why the parts of the model are not known; None where they are known, or no option
    splits the model. Attention that stores its scores is not split (src/llama-context.cpp).
    """
    if not splits_tensors(case):
        return None
    refused = why_split_refused(case)
    if refused is not None:
        return refused
    if case.why_flash_is_off is not None:
        return f"-sm tensor needs flash attention, which {case.why_flash_is_off}"
    heads = case.heads_without_flash
    if heads is not None:
        return f"-sm tensor needs flash attention, which has no kernel here for {heads}"
    if case.row.encoder or not tensors_on_devices(case):
        return "how -sm tensor splits this model is not known"
    return _why_layers_unchecked(case.model) or _why_placing_unknown(case)


def _why_layers_unchecked(model: Architecture) -> str | None:
    """The kind of layers whose split was not checked against llama.cpp, as a reason; None without
    any.
    """
    for attention in model.attention:
        kind = attention.kind
        if kind not in _SPLIT_ATTENTION or attention.indexer_heads:
            return f"how -sm tensor splits {kind} attention was not checked"
    for recurrent in model.recurrent:
        if not tensor_split_of(recurrent):
            return f"how -sm tensor splits {recurrent.kind} layers was not checked"
    return None


def _why_placing_unknown(case: Case) -> str | None:
    """The reason why the need is not computed beside a draft or layers in RAM; None without
    both.
    """
    if case.draft is not None:
        return "what each GPU holds of a draft under -sm tensor is not computed"
    for placed in ("gpu_layers", "experts_in_ram"):
        if placed in case.settings:
            return "what each GPU holds under -sm tensor beside layers in RAM is not computed"
    return None


def on_one_of_several(case: Case, needs: Needs) -> Needs:
    """The needs of one of several devices: the device's part of each term."""
    if case.devices == 1:
        return needs
    if not splits_tensors(case):
        return needs
    if needs.memory is None:
        return needs
    split = _Split(case)
    terms = [split.part_of(term) for term in needs.terms]
    return needs.replace(terms=tuple(terms))


def portions(
    numbers: int,
    granule: int,
    proportions: Sequence[float],
    turn: int,
) -> list[int]:
    """The numbers of a tensor's dimension that each device gets (llama_meta_device_get_split_state
    in src/llama-model.cpp).

    The cut behind each device lies at its share of `proportions`, with the shares before it,
    rounded down to a multiple of `granule`; the last device gets the rest. `turn` is the device
    that is counted first (`rotation`); it differs from layer to layer.
    """
    devices = len(proportions)
    order = [(place + turn) % devices for place in range(devices)]
    total = sum(proportions)
    given = [0] * devices
    proportions_so_far = 0.0
    low = 0
    for device in order:
        proportions_so_far += proportions[device]
        high = int(numbers * proportions_so_far / total)
        high -= high % granule
        if device == order[-1]:
            high = numbers
        given[device] = high - low
        low = high
    return given


def _mean(shares: Sequence[tuple[int, float]]) -> float:
    """The mean of the shares of layers that a device holds, each with its weight: the number of the
    layers, or their bytes. 1 without layers, which are then whole.
    """
    total = 0
    held = 0.0
    for weight, share in shares:
        total += weight
        held += weight * share
    if not total:
        return 1.0
    return held / total


class _Split:
    """The split of a case on one of several devices."""

    def __init__(self, case: Case) -> None:
        assert case.device is not None
        self.case = case
        self.proportions = _proportions_of(case)
        # the number of the counted device
        self.index = case.device.index
        # the tensors of the file that lie on devices
        self.tensors = tensors_on_devices(case)

    def part_of(self, term: Term) -> Term:
        """The part of the term that the device holds."""
        devices = self.case.devices
        if term.stays_in_ram:
            return term
        if term.name == "weights":
            weights = share_by_device(term, devices, self._share_of_weights)
            error = int(weights.bytes * SIZES.tensor_split.error)
            return weights.widened(error, error)
        if term.name == "kv_cache":
            return share_by_device(term, devices, self._share_of_cache())
        if term.name == "recurrent_state":
            return share_by_device(term, devices, self._share_of_states)
        if term.name == "compute":
            return _with_sums(term)
        if term.name == "mtp_weights":
            return self._each(term, self._share_of_weights)
        if term.name == "mtp_kv_cache":
            return self._each(term, self._share_of_heads)
        if term.name == "mtp_compute":
            return term.replace(split=Split.EACH)
        return term

    def _each(self, term: Term, share: float) -> Term:
        """The share of a term that every device holds, where layers would lie on one alone.

        The block that predicts several tokens is split as the layers before it: of Qwen3.8 27B on
        two RTX 3060 each takes 1,212 MiB more with eight drafted tokens, states to roll back to
        included.
        """
        part = share_by_device(term, self.case.devices, share)
        return part.replace(split=Split.EACH)

    # -------------------------------------------------------------- weights

    @cached_property
    def _share_of_weights(self) -> float:
        """Σ share × bytes / Σ bytes of the tensors."""
        held_bytes = 0.0
        total = 0
        for tensor in self.tensors:
            held_bytes += tensor.bytes * self._share_of_tensor(tensor)
            total += tensor.bytes
        return held_bytes / total

    def _share_of_tensor(self, tensor: FileTensors) -> float:
        """The share of a tensor that the device holds; 1 for a tensor that is whole on each
        device.
        """
        if tensor.name == OUTPUT_MATRIX:
            # it counts as one more layer behind the last
            tokens = tensor.shape[-1]
            given = portions(tokens, 1, self.proportions, self.case.model.layers)
            return given[self.index] / tokens
        if not tensor.name.startswith(_BLOCK):
            return 1.0
        name = tensor.name.removeprefix(_BLOCK)
        if name.startswith(_BY_LENGTH):
            return self._share_by_length(tensor)
        if name.startswith(_BY_STATES) and self._has_split_states:
            return self._share_of_states
        if name.startswith(_BY_HEADS):
            return self._share_of_heads
        return 1.0

    def _share_by_length(self, tensor: FileTensors) -> float:
        """The share of a feed-forward matrix, split by the length that stands in its shape. Two
        matrices that are stored as one have twice that length.

        - granule = lcm(128, block of the matrices that lead back to the width)
        """
        leads_out = tensor.name.endswith(_OUT_OF_LENGTH)
        is_vector = len(tensor.shape) == 1
        length = tensor.shape[0] if leads_out or is_vector else tensor.shape[1]
        layers = self._layers_fed(length)
        if not layers and length % 2 == 0:
            length //= 2
            layers = self._layers_fed(length)
        turns = self._turns_of(layers) or tuple(range(tensor.count))
        granule = lcm(_STEP, self._block_of(_OUT_OF_LENGTH))
        return self._share_of_layers(length, granule, turns)

    def _layers_fed(self, length: int) -> list[int]:
        """The layers with a feed-forward of that length."""
        layers = list[int]()
        for feed in self.case.model.feed_forward:
            if length in (feed.length, feed.beside_dense):
                layers += feed.layers
        return layers

    def _share_of_layers(
        self,
        numbers: int,
        granule: int,
        turns: Sequence[int],
    ) -> float:
        """The share of tensors of several layers: `numbers` of each tensor are split at multiples
        of `granule`. `turns` has the turn of each layer.
        """
        devices = self.case.devices
        # turns that leave the same device to begin with cut alike
        layers_by_turn = Counter(turn % devices for turn in turns)
        taken = 0
        for turn, layers in layers_by_turn.items():
            given = portions(numbers, granule, self.proportions, turn)
            taken += layers * given[self.index]
        return taken / (numbers * len(turns))

    def _turns_of(self, layers: Iterable[int]) -> tuple[int, ...]:
        """The turn of each layer: its number among those of its kind (`get_il_eff`)."""
        return tuple(self._turns[layer] for layer in layers)

    @cached_property
    def _turns(self) -> list[int]:
        """The turn of each layer of the model; layers are of a kind that recur, and have a window,
        or neither.
        """
        model = self.case.model
        recurring = layers_of(model.recurrent)
        windowed = layers_of(windowed_attention(model))
        counts = Counter[tuple[bool, bool]]()
        turns = []
        for layer in range(model.layers):
            kind = layer in recurring, layer in windowed
            turns.append(counts[kind])
            counts[kind] += 1
        return turns

    def _block_of(self, names: str | tuple[str, ...]) -> int:
        """The numbers of a block in the types of the tensors of those names, the largest; 1 where
        no tensor has such a name. llama.cpp takes the block of each layer's own tensor.
        """
        blocks = [1]
        for tensor in self.tensors:
            if tensor.name.endswith(names):
                blocks.append(BLOCKS[tensor.type].elements)
        return max(blocks)

    # -------------------------------------------------------------- heads

    @cached_property
    def _share_of_heads(self) -> float:
        """The mean share over the layers that attend."""
        return self._mean_share(lambda attention: len(attention.layers))

    def _mean_share(self, weigh: Callable[[Attention], int]) -> float:
        """The mean share over the layers that attend, weighted by their number or their bytes."""
        shares = []
        for attention in self.case.model.attention:
            weight = weigh(attention)
            share = self._share_of_attention(attention)
            shares.append((weight, share))
        return _mean(shares)

    def _share_of_attention(self, attention: Attention) -> float:
        """The share of layers with equal attention, split by heads of keys.

        Each head of keys goes with the heads of queries that share it. The number of key heads that
        are cut at once ends with a block of the output matrix:

        - granule = lcm(numbers of the queries of one key head, block) / numbers of these queries
        """
        queries = attention.heads // attention.kv_heads * attention.key_length
        block = self._block_of(_OUT_OF_HEADS)
        while block < _STEP and block * len(self.proportions) < queries:
            block *= 2
        granule = block // gcd(queries, block)
        turns = self._turns_of(attention.layers)
        return self._share_of_layers(attention.kv_heads, granule, turns)

    def _share_of_cache(self) -> float:
        """Σ share × bytes / Σ bytes of the layers that cache alike."""
        return self._mean_share(self._cache_bytes)

    def _cache_bytes(self, attention: Attention) -> int:
        """The bytes that layers with this attention cache on all devices together."""
        model = self.case.model
        setup = self.case.setup
        size = 0
        for group in cache_groups(model.replace(attention=(attention,))):
            window = window_of(model, group)
            cells = setup.cells_of_layer(window)
            row_bytes = setup.row_bytes(group.key_elements, group.value_elements)
            size += group.layers * row_bytes * cells
        return size

    # -------------------------------------------------------------- linear attention

    @property
    def _has_split_states(self) -> bool:
        """Whether layers with linear attention are split."""
        splits = [tensor_split_of(group) for group in self.case.model.recurrent]
        return "cut" in splits

    @cached_property
    def _share_of_states(self) -> float:
        """The mean share over the recurrent layers; 1 for layers that stay whole."""
        shares = []
        for recurrent in self.case.model.recurrent:
            layers = len(recurrent.layers)
            share = self._share_of_recurrent(recurrent)
            shares.append((layers, share))
        return _mean(shares)

    def _share_of_recurrent(self, recurrent: Recurrent) -> float:
        """The share of equal recurrent layers, split by heads of keys. The number of heads that are
        cut at once ends with a block:

        - granule = lcm(length of a head, block, 128) / length of a head
        """
        if tensor_split_of(recurrent) == "whole":
            return 1.0
        heads = recurrent.key_heads or recurrent.heads
        length = recurrent.key_length or recurrent.value_length
        assert heads is not None
        assert length is not None
        block = self._block_of(_OUT_OF_STATES)
        granule = lcm(length, block, _STEP) // length
        turns = self._turns_of(recurrent.layers)
        return self._share_of_layers(heads, granule, turns)


def _proportions_of(case: Case) -> tuple[float, ...]:
    """The proportions in which the devices share each tensor: as the option `-ts` states them, else
    equal. A device without a number gets nothing.
    """
    stated = case.settings.get("gpu_shares", "")
    proportions = [0.0] * case.devices
    for index, text in enumerate(stated.split(",")):
        if text and index < case.devices:
            proportions[index] = float(text)
    if any(proportions):
        return tuple(proportions)
    return (1.0,) * case.devices


def _with_sums(compute: Term) -> Term:
    """The compute buffer, with what devices take to add up their parts of a layer."""
    least, likely, most = SIZES.tensor_split.sums_bytes
    line = summed(compute.arithmetic, f"{likely:,} bytes to add up the parts")
    size = compute.size.plus(Size(least, likely, most))
    source = f"{compute.source}; {SIZES.tensor_split.source}"
    summing = compute.with_size(size, line)
    return summing.replace(source=source, pipeline_bytes=0)
