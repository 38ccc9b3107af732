"""The memory that vLLM and SGLang take on a device in addition to weights and cache, and their
division of a model over devices.

What goes in: a case whose device is one of several equal devices. What comes out: the memory of the
work on a prompt and of the program on each device, and each device's share of the weights and
caches. The constants are `[vllm]` and `[sglang]` of specs/common/memory.toml; triples are least,
likely, most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..catalogue.architecture import Architecture
from ..catalogue.spec_values import scheme_of
from ..core.records import Stated
from ..core.tables import shipped_record
from ..core.units import GIB, MIB, plural, says_any
from .cache import cache_sizes
from .case import Case, overhead
from .records import (
    NO_BYTES,
    PROGRAMS,
    TENSOR_PARALLEL,
    Device,
    How,
    Size,
    Split,
    Term,
    Terms,
    assumed_term,
    likely_bytes,
    rounded_up,
    share_by_device,
    stated_term,
    summed,
    taken_off,
    term,
)
from .weight_files import typed_tensors


class _Batch(Stated):
    """The size of one pass of vLLM: tokens and sequences, and the most tokens."""

    tokens: int
    sequences: int
    most_tokens: int


class _VllmTable(Stated):
    """`[vllm]` of specs/common/memory.toml, which explains each key."""

    source: str
    small: _Batch
    large: _Batch
    widths: int
    logit_bytes: int
    fused_logit_bytes: int
    multiprocessors: tuple[int, ...]
    constant_bytes: int
    graph_layer: Mapping[str, tuple[int, ...]]
    split_tokens: int
    replicated: tuple[str, ...]
    beside_torch: tuple[int, ...]
    communication: tuple[int, ...]
    seeing: tuple[int, ...]


class _SglangTable(Stated):
    """`[sglang]` of specs/common/memory.toml, which explains each key."""

    source: str
    kinds: tuple[tuple[int, ...], ...]
    shared: int
    large: tuple[int, ...]
    encoders: tuple[float, ...]
    earlier: float
    context: tuple[int, ...]
    communication: tuple[int, ...]


_VLLM = shipped_record(_VllmTable, "memory", "vllm")
_SGLANG = shipped_record(_SglangTable, "memory", "sglang")
# tokens of the largest CUDA graph that vLLM captures (vllm/config/vllm.py, _set_cudagraph_sizes)
_MOST_CAPTURED = 512


def _mib(sizes: Sequence[int]) -> Size:
    """A size that a table states in MiB."""
    return Size(*sizes).times(MIB)


# ------------------------------------------------------------------ beside weights and cache


def terms_of_server(case: Case) -> list[Term]:
    """The terms of the work on a prompt, and of the program on a device and in RAM beside it."""
    device = case.device or Device()
    if case.runtime.memory.reserves_by_device:
        work = _left_free(case, device)
        size = _mib(_SGLANG.context)
        line = f"{size.likely:,} bytes of a CUDA context"
        program = stated_term("runtime", size, _SGLANG.source, line)
        communication = _mib(_SGLANG.communication)
    else:
        work = _longest_prompt(case, device)
        program = _graphs(case, device)
        communication = _mib(_VLLM.communication)
    program = share_by_device(program, device.devices, communication=communication)
    if case.device is None:
        return [work, program]
    on_device = program.replace(split=Split.EACH)
    return [work, on_device, overhead(case.runtime).replace(split=Split.HOST)]


def _longest_prompt(case: Case, device: Device) -> Term:
    """The activations of one pass of vLLM over the longest prompt, with its sampling.

    Encoders, where each token sees all others, read a text whole (vllm/config/model.py,
    is_chunked_prefill_supported). Embedding models sample no token.
    """
    batch = _batch_on(device)
    tokens = batch.tokens
    most_tokens = batch.most_tokens
    if case.embeds and case.row.encoder:
        tokens = max(tokens, case.context_tokens)
        most_tokens = max(most_tokens, case.context_tokens)
    sampled = 0 if case.embeds else _served_sequences(case)
    likely_pass = _VllmPass(case, tokens, sampled)
    largest_pass = _VllmPass(case, most_tokens, sampled)
    size = likely_pass.size._replace(most=largest_pass.size.most)
    line = likely_pass.arithmetic
    how = How.ASSUMED if case.model.recurrent else How.COMPUTED
    if case.encoders:
        seeing = _mib(_VLLM.seeing)
        size = size.plus(seeing)
        line += f" + {seeing.likely:,} bytes of the encoder"
        how = How.ASSUMED
    return term("activations", size, _VLLM.source, line, how)


def _served_sequences(case: Case) -> int:
    """The most sequences that vLLM serves at once, and samples a token of in one pass: as its
    command states, else as many as it takes on such a device.
    """
    stated = case.stated_sequences
    if stated is not None:
        return stated
    return _batch_on(case.device or Device()).sequences


def _batch_on(device: Device) -> _Batch:
    """The batches that vLLM takes on such a device unless told."""
    return _VLLM.large if device.is_large else _VLLM.small


class _VllmPass:
    """The memory in bytes of a pass of vLLM over `tokens` tokens, with the logits of `sampled`
    sequences.

    The pass holds the widest layer without routed experts, or the sampling, whichever is larger.
    Inputs, intermediate results and outputs of the chosen experts stay from the first pass on
    (vllm/v1/worker/workspace.py).
    """

    def __init__(
        self,
        case: Case,
        tokens: int,
        sampled: int,
    ) -> None:
        model = case.model
        self.model = model
        self.width = case.width
        self.tokens = tokens
        lengths = [group.inner_length or 0 for group in model.recurrent]
        self.states = max(lengths, default=0)
        self.inner = self._widest_layer()
        numbers = 3 * self.inner + _VLLM.widths * model.embedding_length
        self.layer = tokens * numbers * self.width
        self.experts = self._bytes_of_experts()
        self.unpacked = _bytes_of_unpacked_experts(case)
        self.vocabulary = model.published_tokens
        self.logits = sampled * self.vocabulary
        self.beside_logits = self._bytes_beside_logits()
        self.sampling = self._sampling()

    def _widest_layer(self) -> int:
        """The inner length of the widest layer, without routed experts."""
        widest = self.states
        for feed in self.model.feed_forward:
            length = feed.length
            if feed.experts:
                length = feed.shared_numbers
            widest = max(widest, length)
        return widest

    def _bytes_of_experts(self) -> int:
        """The bytes of the inputs and outputs of the experts that the tokens choose, in the widest
        layer.
        """
        most = 0
        for feed in self.model.feed_forward:
            if feed.experts:
                inputs = max(2 * feed.length, self.model.embedding_length)
                length = inputs + feed.length
                most = max(most, feed.chosen * length)
        return self.tokens * most * self.width

    def _bytes_beside_logits(self) -> Size:
        """The bytes beside the logits: hidden states, constants, and a row of the vocabulary for
        each multiprocessor.
        """
        hidden = self.tokens * self.model.embedding_length * self.width
        fixed = hidden + _VLLM.constant_bytes
        row_bytes = 4 * self.vocabulary
        rows = Size(*_VLLM.multiprocessors).times(row_bytes)
        return rows.plus(fixed)

    def _sampling(self) -> Size:
        """The bytes of sampling: the logits in all their forms; at the least sampled in one
        kernel.
        """
        if not self.logits:
            return NO_BYTES
        usual = self.logits * _VLLM.logit_bytes
        fused = self.logits * _VLLM.fused_logit_bytes
        return Size(fused, usual, usual).plus(self.beside_logits)

    @property
    def size(self) -> Size:
        """The bytes of the pass: the least without those of experts, the most with the scan of
        recurrent layers in float32, which was not logged alone.
        """
        likely = max(self.layer, self.sampling.likely)
        most = max(self.layer, self.sampling.most)
        scan = 32 * self.tokens * self.states
        return Size(
            max(self.layer * 8 // 10, self.sampling.least) + self.unpacked,
            likely + self.experts + self.unpacked,
            most * 11 // 10 + scan + self.experts * 3 // 2 + self.unpacked,
        )

    @property
    def arithmetic(self) -> str:
        """The line of arithmetic of the likely bytes."""
        if self.sampling.likely > self.layer:
            line = f"{self.logits:,} × {_VLLM.logit_bytes} bytes of logits"
            line += f" + {self.beside_logits.likely:,} bytes beside them"
        else:
            wide = self.model.embedding_length
            shape = f"(3 × {self.inner:,} + {_VLLM.widths} × {wide:,})"
            line = f"{self.tokens:,} tokens × {shape} × {self.width} bytes"
        if self.experts:
            line += f" + {self.experts:,} bytes of experts' inputs and outputs"
        if self.unpacked:
            line += f" + {self.unpacked:,} bytes of a layer's unpacked experts"
        return line


def _bytes_of_unpacked_experts(case: Case) -> int:
    """The bytes of all experts of the widest layer in 16 bits, where each step unpacks them; 0
    where none does.
    """
    rule = case.runtime.rule_of(case.quantization)
    if rule is None or not rule.unpacks_experts:
        return 0
    # up and down, and the gate
    matrices = 2 if case.row.gate == "none" else 3
    most = 0
    for feed in case.model.feed_forward:
        if feed.experts:
            of_one = matrices * feed.length * case.model.embedding_length
            most = max(most, feed.experts * of_one)
    return most * case.width


def _graphs(case: Case, device: Device) -> Term:
    """The CUDA graphs, and the memory that PyTorch does not count, on a device."""
    layers = case.model.layers
    program = _mib(_VLLM.beside_torch)
    line = f"{program.likely:,} bytes beside PyTorch"
    if case.is_lean:
        line += "; --enforce-eager makes no graphs"
        return stated_term("runtime", program, _VLLM.source, line)
    graph = _mib(_VLLM.graph_layer[_kind_of_graph(case)])
    graphs = graph.times(layers)
    graphs_line = f"{plural(layers, 'layer')} × {graph.likely:,} bytes of CUDA graphs"
    sequences = case.stated_sequences
    if sequences is not None:
        captured = _captured_sizes(sequences)
        largest = _captured_sizes(_MOST_CAPTURED)
        graphs = graphs.scaled(captured, largest)
        graphs_line += f" × {captured} / {largest} sizes"
    line = f"{graphs_line} + {line}"
    size = program.plus(graphs)
    partial_bytes = _bytes_of_partial_results(case)
    if partial_bytes:
        likely = 0
        if device.is_large:
            likely = partial_bytes
            line += f" + {partial_bytes:,} bytes for parts of attention"
        size = size.plus(Size(0, likely, partial_bytes))
    if case.embeds or case.model.recurrent:
        return assumed_term("runtime", size, _VLLM.source, line)
    return stated_term("runtime", size, _VLLM.source, line)


def _captured_sizes(sequences: int) -> int:
    """The number of batch sizes of which vLLM captures a CUDA graph, where it serves so many
    sequences at once: 1, 2, 4, multiples of 8 below 256 and of 16 from there on, up to twice the
    sequences (vllm/config/vllm.py, _set_cudagraph_sizes). Each size takes about as much: 24 to 28
    MiB were logged of each of 13 (vllm-project/vllm#22897).
    """
    most = _largest_graph(sequences)
    sizes = (1, 2, 4, *range(8, 256, 8), *range(256, _MOST_CAPTURED + 1, 16))
    return sum(size <= most for size in sizes)


def _largest_graph(sequences: int) -> int:
    """The tokens of the largest CUDA graph, where vLLM serves so many sequences at once."""
    return min(2 * sequences, _MOST_CAPTURED)


def _bytes_of_partial_results(case: Case) -> int:
    """The bytes of the float32 buffers in which attention adds up its partial results while a CUDA
    graph decodes; 0 for a model that embeds.
    """
    if case.embeds:
        return 0
    widest = 0
    for group in case.model.attention:
        if group.kind != "latent":
            widest = max(widest, group.heads * group.value_length)
    split_tokens = _VLLM.split_tokens
    sequences = case.stated_sequences
    if sequences is not None:
        split_tokens = split_tokens * _largest_graph(sequences) // _MOST_CAPTURED
    return widest * split_tokens * 4


def _kind_of_graph(case: Case) -> str:
    """The row of `graph_layer` that has the size of the CUDA graphs of one layer of the model."""
    model = case.model
    kinds = [group.kind for group in model.attention]
    if case.embeds:
        return "pooled"
    if model.has_experts or "latent" in kinds:
        return "mixed"
    return "recurrent" if model.recurrent else "plain"


class _Kind(NamedTuple):
    """A kind of device: the GiB from which it applies, and the MiB that SGLang leaves free
    there.
    """

    gib: int
    likely_mib: int
    most_mib: int


# the smallest first
_KINDS = [_Kind(*kind) for kind in _SGLANG.kinds]


def _kind_of_device(total_bytes: int | None) -> _Kind:
    """The largest kind that is not above the device's memory. Where that is not known, the kind of
    GPUs that share the RAM.
    """
    if not total_bytes:
        return _KINDS[_SGLANG.shared]
    last = _KINDS[0]
    for kind in _KINDS:
        if kind.gib * GIB <= total_bytes:
            last = kind
    return last


def _left_free(case: Case, device: Device) -> Term:
    """The device memory that SGLang leaves free for its work, as a term: more on a larger
    device.
    """
    kind = _kind_of_device(device.total_bytes)
    left = _left_bytes(kind, is_lean=case.is_lean)
    total = device.total_bytes
    usable = device.usable_bytes
    if not total or usable is None:
        return _left_by_size(left, kind)
    free = total
    if device.free_bytes is not None:
        free = min(total, device.free_bytes)
    shares = _SGLANG.encoders if case.encoders else (0.0, 0.0, 0.0)
    # the usable bytes that weights and cache leave free, at each end
    by_end = []
    for left_bytes, share in zip(left, shares, strict=True):
        filled = free * (1 - left_bytes / total) * (1 - share)
        by_end.append(max(0, int(usable - filled)))
    size = Size(*by_end)
    line = "0 bytes"
    if size.likely:
        line = f"{usable:,} bytes - {free:,} × (1 - {left.likely:,} / {total:,})"
        line += f" × (1 - {shares[1]}); the rest of what it may take"
    return assumed_term("activations", size, _SGLANG.source, line)


def _left_by_size(left: Size, kind: _Kind) -> Term:
    """The device memory that SGLang leaves free on a device that is not known, which may be of the
    smallest kind.
    """
    least = int(_KINDS[0].likely_mib * MIB * _SGLANG.earlier)
    size = left._replace(least=least)
    line = f"{left.likely:,} bytes; on a device of {kind.gib} GiB or more, by its size"
    return assumed_term("activations", size, _SGLANG.source, line)


def _left_bytes(kind: _Kind, *, is_lean: bool) -> Size:
    """The bytes of a device that SGLang leaves free. Earlier releases left less, which is the
    least.
    """
    large_gib, least_mib = _SGLANG.large
    if kind.gib < large_gib:
        least_mib = 0
    if is_lean:
        kind = _KINDS[0]
    likely = max(kind.likely_mib, least_mib) * MIB
    most = max(kind.most_mib, least_mib) * MIB
    return Size(int(likely * _SGLANG.earlier), likely, most)


# ------------------------------------------------------------------ a model divided


def devices_of(architecture: Architecture, quantization: str) -> tuple[int, ...]:
    """The numbers of devices in one machine, beside one, over which vLLM can divide the model."""
    numbers = []
    for number in TENSOR_PARALLEL:
        if divides_over(number, architecture, quantization):
            numbers.append(number)
    return tuple(numbers)


def divides_over(number: int, architecture: Architecture, quantization: str) -> bool:
    """Whether vLLM can divide the model over so many devices.

    The number must divide the heads. It must divide the KV heads, or be a multiple of them. Lengths
    of the feed-forward must divide into whole blocks or groups
    (vllm/model_executor/layers/quantization: fp8.py, awq.py, gptq.py).
    """
    step = 1
    scheme = scheme_of(quantization)
    if scheme is not None:
        architecture = architecture.packed_with(scheme.method)
        if scheme.method in ("awq", "gptq", "w4a16"):
            step = scheme.step
    if "float8_e4m3_128x128" in architecture.narrow_types:
        step = 128
    for group in architecture.attention:
        if group.heads % number:
            return False
        kv_heads = 1 if group.kind == "latent" else group.kv_heads
        if not _is_shared_by(kv_heads, number):
            return False
    for feed in architecture.feed_forward:
        for length in (feed.length, feed.shared_numbers):
            if (length / step) % number:
                return False
    return True


def _is_shared_by(heads: int, devices: int) -> bool:
    """Whether the heads divide evenly over the devices, or the devices over the heads."""
    return max(heads, devices) % min(heads, devices) == 0


def terms_by_device(
    case: Case,
    weights: Term,
    others: list[Term],
) -> Terms:
    """The terms on each of the devices. Weights, recurrent states and the cache are divided;
    activations, the program and a latent cache are whole on each device.

    Encoders are divided where they can be (tests/truth/vllm.json: Gemma 3, Mistral Small 3.1).
    """
    devices = case.devices
    weights = _with_additions(case, weights)
    others = [_with_blocks_for_graphs(case, part, others) for part in others]
    if devices == 1:
        return weights, *others
    share = _share_of_weights(case, devices)
    encoders = Size(0, 0, 2 * case.encoders)
    parts = [share_by_device(weights, devices, share, communication=encoders)]
    for part in others:
        if part.name == "kv_cache":
            parts.append(_share_of_cache(case, part, devices))
        elif part.name == "recurrent_state":
            parts.append(share_by_device(part, devices, 1 / devices))
        elif part.name in PROGRAMS:
            parts.append(part)
        else:
            parts.append(share_by_device(part, devices))
    return tuple(parts)


def _with_blocks_for_graphs(case: Case, part: Term, others: list[Term]) -> Term:
    """The recurrent states with what vLLM's CUDA graphs want: a block of its cache for each of the
    sequences that it serves at once, or it does not start (vllm/config/compilation.py since
    vllm-project/vllm#38270).

    A block has the states of as many layers as the smallest group of equal layers has, and the
    keys and values lie in such blocks, too. A draft lowers the number of sequences.
    """
    if part.name != "recurrent_state" or not case.keeps_block_of_each_sequence:
        return part
    sequences = _served_sequences(case)
    block = _bytes_of_block(case, part)
    keys_bytes = likely_bytes(others, "kv_cache")
    kept = sequences * block - keys_bytes
    if kept <= part.bytes:
        return part
    line = f"{sequences:,} sequences × {block:,} bytes of a block"
    line = taken_off(
        line, keys_bytes, "of the KV cache, which lies in these blocks, too"
    )
    return part.with_size(Size(part.low_bytes, kept, kept), line)


def _bytes_of_block(case: Case, states: Term) -> int:
    """The bytes of a block of the cache: the states of one sequence in one layer times the layers
    of the smallest group of equal layers.
    """
    layers = sum(len(group.layers) for group in case.model.recurrent)
    groups = [len(group.layers) for group in case.model.attention]
    smallest = min([layers, *groups])
    return states.bytes // case.parallel // layers * smallest


def in_equal_parts(terms: Terms, model: Architecture | None, devices: int) -> Terms:
    """The terms on each of several machines where the program has no account of its own for them:
    weights, states and cache in equal parts, all else whole. A latent cache is whole, too.
    """
    is_latent = model is not None and any(group.is_latent for group in model.attention)
    parts = []
    for part in terms:
        is_whole = part.split is not Split.LAYERS
        is_whole = is_whole or (is_latent and part.name == "kv_cache")
        share = 1.0 if is_whole else 1 / devices
        parts.append(share_by_device(part, devices, share))
    return tuple(parts)


def _share_of_cache(
    case: Case,
    cache: Term,
    devices: int,
) -> Term:
    """The part of the cache on each device, divided by the KV heads. The most assumes that layers
    with a window keep as many tokens as the others.
    """
    likely = _Divided(devices)
    most = _Divided(devices)
    for layers in cache_sizes(case):
        likely.add(layers.bytes, layers.heads)
        most.add(layers.high_bytes, layers.heads)
    return share_by_device(cache, devices, likely.share, most.share)


def _share_of_weights(case: Case, devices: int) -> float:
    """The share of the weights on each device: some tensors are whole on each, and keys and values
    are divided by their heads.
    """
    if not case.has_all_tensors:
        return 1 / devices
    kv_heads = {}
    for group in case.model.attention:
        kv_heads.update(dict.fromkeys(group.layers, group.kv_heads))
    weights = _Divided(devices)
    weights.add(_table_bytes(case), most_devices=1)
    for typed in typed_tensors(case.model):
        name = typed.group.name
        layers = typed.group.layers
        most_devices = 0
        if says_any(f"{name}.", _VLLM.replicated):
            most_devices = 1
        elif layers and name.endswith(("attn_k.weight", "attn_v.weight")):
            most_devices = kv_heads.get(layers[0], 0)
        weights.add(typed.bytes, most_devices)
    return weights.share


class _Divided:
    """Bytes that several devices divide among themselves."""

    def __init__(self, devices: int) -> None:
        self.devices = devices
        self.total = 0.0
        self.on_device = 0.0

    def add(self, size: float, most_devices: int) -> None:
        """Add bytes that at most `most_devices` devices divide (0: any number); further devices
        hold copies.
        """
        self.total += size
        self.on_device += size / min(self.devices, most_devices or self.devices)

    @property
    def share(self) -> float:
        """The share of all bytes that each device holds."""
        return self.on_device / self.total


def _with_additions(case: Case, weights: Term) -> Term:
    """The weights with vLLM's additions: a table of positions, and padded experts."""
    if not case.has_all_tensors:
        # the layers of the model are not known
        return weights
    most_weights = weights.high_bytes
    if case.model.dtype is None:
        # 16 bits a number, whatever type the files have (--dtype auto)
        most_weights = int(weights.bytes * 1.01)
    line = weights.arithmetic
    table = _table_bytes(case)
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    likely = _padding_bytes(case, 128)
    most = _padding_bytes(case, 256)
    if most:
        note = f"{likely:,} bytes of padded experts; as the Marlin kernels want them"
        line = summed(line, f"{note}, others none, or {most:,} bytes")
    size = Size(
        weights.low_bytes, weights.bytes + table + likely, most_weights + table + most
    )
    return weights.with_size(size, line)


def _padding_bytes(case: Case, step: int) -> int:
    """The bytes by which experts in MXFP4 grow where their length is padded to a multiple of
    `step`.

    The kernels pad the width to a multiple of 256, and the length to a multiple of 128 or 256
    (layers/quantization/mxfp4.py; vLLM's logs of both gpt-oss models).
    """
    model = case.model
    type = model.expert_dtype or ""
    lengths = [feed.length for feed in model.feed_forward if feed.experts]
    if not lengths or not type.startswith("mxfp4"):
        return 0
    experts = 0.0
    for tensor in typed_tensors(model):
        if tensor.type == type:
            experts += tensor.bytes
    length = max(lengths)
    width = model.embedding_length
    padded = rounded_up(width, 256) * rounded_up(length, step)
    return int(experts * (padded / width / length - 1))


def _table_bytes(case: Case) -> int:
    """The bytes of the table of sines and cosines that vLLM keeps whole on every device, in 16
    bits.

    The table has a row for each position that config.json states, as long as the part of a head
    that RoPE rotates (get_rope).
    """
    model = case.model
    row = case.row
    positions = model.rope_positions or model.context_tokens or 0
    if row.positions or not row.rope:
        return 0
    turned = 0
    for group in model.attention:
        if group.kind == "cross":
            continue
        part = int(group.key_length * row.rope_share)
        if group.kind == "latent":
            part = group.rotated_length
        turned = max(turned, part)
    return 2 * positions * row.rope_rows * turned
