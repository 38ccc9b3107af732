"""What vLLM holds on a device beside weights and cache. It measures this when it starts, and takes
it from the share of the device that it may use.

That is one pass over as many tokens and sequences as it works on at once, with sampling; the CUDA
graphs that it captures; and what no allocator of PyTorch counts. The first context of a process is
outside of that share (vllm/v1/worker/gpu_worker.py, init_snapshot). Read from vllm 0.33.0 and held
against logs of 0.19: `tests/truth/vllm.json`. Before 0.17 sampling took 39 bytes a logit.
"""

from __future__ import annotations

from ..catalogue.spec import Architecture
from ..core.records import Record
from ..core.units import GIB, MIB
from .parts import term, times
from .records import How, Term
from .tensors import ArchitectureRow

_SOURCE = (
    "vllm 0.33.0, profile_run and _dummy_sampler_run; logs of vLLM 0.19, tests/truth/vllm.json"
)


class _Pass(Record):
    """What one pass works on by default: vllm/engine/arg_utils.py, get_batch_defaults, for a
    server.
    """

    tokens: int
    sequences: int


_SMALL, _LARGE = _Pass(tokens=2048, sequences=256), _Pass(tokens=8192, sequences=1024)
# a device of 160 GiB or more reads twice as many at once
_LARGEST_TOKENS = 16_384
# of a token's width, beside gate, up and their product: 4.2 and 4.3 were left over where sampling
# took less
_WIDTHS = 4
# bytes a logit: as computed, in float32, as probabilities and as noise; sampled in one kernel it is
# the first two
_LOGIT, _LOGIT_FUSED = 14, 6
# multiprocessors, each with a row of the vocabulary in float32
# (vllm/v1/sample/ops/topk_topp_triton.py): none with FlashInfer
_MULTIPROCESSORS = (0, 108, 170)
# inputs, tables and cuBLAS' workspace: about 50 MB were left over
_CONSTANT = 50_000_000
# MiB of graphs by layer, of up to 512 tokens in pieces and whole: 15 to 25 were logged with 0.19,
# 25 to 68 where experts or latent attention lie between, less what decoding accumulates in; 11 on
# an AMD card
_GRAPH_LAYER, _GRAPH_LAYER_MIXED = (11, 20, 25), (11, 26, 72)
# 18 and 21 were logged of Qwen3.5; 0.73 GiB in all were estimated of one (vLLM's pull request
# 39559): 18 to 31 by its number of layers
_GRAPH_LAYER_RECURRENT = (11, 20, 32)
# pooling models are captured in pieces alone, with half as many graphs, or not at all: 0.44 GiB
# were estimated of one (pull request 48214)
_GRAPH_LAYER_POOLED = (0, 10, 17)
# what FlashAttention 3 accumulates in on a large device, in float32 for every head, in so many
# parts of as many tokens as the largest graph: flash_attn_max_num_splits_for_cuda_graph of
# vllm/config/attention.py. It is what two and four devices had less of; on others and in other
# kernels it may be
_SPLITS, _GRAPH_TOKENS = 32, 512
# beside PyTorch, on one device: 0.24 to 0.46 GiB were logged with 0.19, 0.13 before it
_BESIDE_TORCH = (MIB * 130, MIB * 256, MIB * 480)
# what each of several devices has of it more, for NCCL and its buffers: 1.8 to 2 GiB were logged
# with 0.19, 0.4 before it; the least, where cards are not joined, is assumed
_TOGETHER = (MIB * 64, GIB, 2 * GIB)
# an encoder on its largest pictures: 0.1 to 0.26 GiB more were logged of Gemma 3 and Mistral Small
# 3.1, six times; not of others, for whose pictures the largest may be many times as large. Of
# LLaVA, with pictures of 336 points, no more
_SEEING, _SEEING_LOGGED = (0, GIB // 4, 2 * GIB), (0, GIB // 5, GIB // 2)


_Three = tuple[int, int, int]
"""Least, likely and most bytes."""


def _bytes_of(
    architecture: Architecture,
    row: ArchitectureRow,
    batch: _Pass,
    width: int,
    *,
    encodes: bool,
    sees: bool,
) -> tuple[_Three, str]:
    """What a pass holds, and the line of the likely figure. `encodes`: no token is sampled."""
    layer, line = _layer_bytes(architecture, batch, width)
    sampled, sampled_line = (0, 0, 0), ""
    if not encodes and architecture.vocabulary:
        sampled, sampled_line = _sampled_bytes(architecture, batch, width)
    if sampled[1] > layer:
        line = sampled_line
    least = max(layer * 8 // 10, sampled[0])
    likely = max(layer, sampled[1])
    most = max(layer, sampled[2]) * 11 // 10
    # the scan of recurrent layers in float32; not logged alone
    most += 8 * batch.tokens * _states_length(architecture) * 4
    kept = _kept_by_experts(architecture, batch, width)
    if kept:
        line += f" + {kept:,} bytes of experts' inputs and outputs"
    extra = (0, 0, 0)
    if sees:
        extra = _SEEING_LOGGED if row.vllm_pictures_logged else _SEEING
        line += f" + {extra[1]:,} bytes of the encoder"
    return (least + extra[0], likely + kept + extra[1], most + kept * 3 // 2 + extra[2]), line


def _states_length(architecture: Architecture) -> int:
    return max((group.inner_length or 0 for group in architecture.recurrent), default=0)


def _layer_bytes(architecture: Architecture, batch: _Pass, width: int) -> tuple[int, str]:
    """The widest layer without routed experts, and its line."""
    wide = architecture.embedding_length
    dense = max(
        (
            group.shared_length or 0 if group.experts else group.length
            for group in architecture.feed_forward
        ),
        default=0,
    )
    inner = max(dense, _states_length(architecture))
    size = batch.tokens * (3 * inner + _WIDTHS * wide) * width
    return size, f"{batch.tokens:,} tokens × (3 × {inner:,} + {_WIDTHS} × {wide:,}) × {width} bytes"


def _kept_by_experts(architecture: Architecture, batch: _Pass, width: int) -> int:
    """What each chosen expert reads, makes and gives, which stays from the first pass on
    (vllm/v1/worker/workspace.py).
    """
    wide = architecture.embedding_length
    sizes = (
        (group.used or 1) * (max(2 * group.length, wide) + group.length)
        for group in architecture.feed_forward
        if group.experts
    )
    return batch.tokens * max(sizes, default=0) * width


def _sampled_bytes(architecture: Architecture, batch: _Pass, width: int) -> tuple[_Three, str]:
    """What sampling holds, and the line of the likely figure."""
    words = architecture.vocabulary or 0
    rows = batch.sequences * words
    none, likely, most = (
        words * 4 * number + batch.tokens * architecture.embedding_length * width + _CONSTANT
        for number in _MULTIPROCESSORS
    )
    line = (
        f"{batch.sequences:,} sequences × {words:,} × {_LOGIT} bytes + {likely:,} bytes beside them"
    )
    return (rows * _LOGIT_FUSED + none, rows * _LOGIT + likely, rows * _LOGIT + most), line


def activations(
    architecture: Architecture,
    row: ArchitectureRow,
    sequences: int,
    width: int,
    *,
    whole_tokens: int,
    encodes: bool,
    sees: bool,
) -> Term:
    """One pass; `on_large` is that of a device of 70 GiB or more. `whole_tokens`: of a text
    that cannot be read in pieces, else 0.
    """
    terms = []
    for smallest, most_tokens in ((_SMALL, _SMALL.tokens), (_LARGE, _LARGEST_TOKENS)):
        batch = _Pass(
            tokens=max(smallest.tokens, whole_tokens), sequences=max(smallest.sequences, sequences)
        )
        (low, likely, high), line = _bytes_of(
            architecture, row, batch, width, encodes=encodes, sees=sees
        )
        wider = _Pass(tokens=max(most_tokens, whole_tokens), sequences=batch.sequences)
        high = max(
            high, _bytes_of(architecture, row, wider, width, encodes=encodes, sees=sees)[0][2]
        )
        guessed = sees or bool(architecture.recurrent)
        terms.append(
            term(
                "activations",
                likely,
                How.ASSUMED if guessed else How.COMPUTED,
                _SOURCE,
                line,
                low=low,
                high=high,
            )
        )
    return terms[0].replace(on_large=terms[1])


def _graph_sizes(architecture: Architecture, *, encodes: bool) -> tuple[int, int, int]:
    """MiB of graphs for each layer: least, likely and most."""
    if encodes:
        return _GRAPH_LAYER_POOLED
    mixture = any(group.experts for group in architecture.feed_forward)
    if mixture or any(group.kind == "latent" for group in architecture.attention):
        return _GRAPH_LAYER_MIXED
    return _GRAPH_LAYER_RECURRENT if architecture.recurrent else _GRAPH_LAYER


def program(architecture: Architecture, host: Term, *, encodes: bool) -> Term:
    """Graphs, and what is not PyTorch's, on a device; `host` is what the program takes of the
    RAM beside it.
    """
    layers, how = (
        architecture.layers,
        How.ASSUMED if encodes or architecture.recurrent else How.STATED,
    )
    by_layer = [MIB * size for size in _graph_sizes(architecture, encodes=encodes)]
    low, likely, high = (
        layers * size + beside for size, beside in zip(by_layer, _BESIDE_TORCH, strict=True)
    )
    line = (
        f"{times(layers, 'layer')} × {by_layer[1]:,} bytes of CUDA graphs + {_BESIDE_TORCH[1]:,}"
        " bytes beside PyTorch"
    )
    low_beside, beside, high_beside = _BESIDE_TORCH
    lean = term(
        "runtime",
        beside,
        How.STATED,
        _SOURCE,
        f"{beside:,} bytes beside PyTorch; --enforce-eager makes no graphs",
        low=low_beside,
        high=high_beside,
    ).replace(beside=host, joined=_TOGETHER)
    program_term = term("runtime", likely, how, _SOURCE, line, low=low, high=high).replace(
        beside=host, joined=_TOGETHER, lean=lean
    )
    widest = max(
        (
            group.heads * (group.value_length or 0)
            for group in architecture.attention
            if group.kind != "latent"
        ),
        default=0,
    )
    if encodes or not widest:
        return program_term
    parts = _SPLITS * _GRAPH_TOKENS * widest * 4
    line += f" + {_SPLITS} × {_GRAPH_TOKENS} tokens × {widest:,} × 4 bytes for parts of attention"
    large = program_term.replace(bytes=likely + parts, high_bytes=high + parts, arithmetic=line)
    return program_term.replace(high_bytes=high + parts, on_large=large)
