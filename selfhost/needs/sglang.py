"""What SGLang leaves free of a device beside weights and cache: it works in that, and captures its
CUDA graphs there.

It measures nothing. What it leaves follows from the size of the device, the tokens that it reads at
once and the sequences of its largest graph, unless --mem-fraction-static says otherwise. Read from
sglang 0.5.23: srt/arg_groups/memory_hook.py (handle_gpu_memory_settings, reserve_for_graph_mb and
adjust_mem_fraction_for_vlm) and srt/model_executor/model_runner_components. Held against logs:
`tests/truth/sglang.json`.
"""

from __future__ import annotations

from ..catalogue.spec import Architecture
from ..core.records import Record
from ..core.units import GIB, MIB, binary
from .parts import term
from .records import How, Reserve, Term

_SOURCE = (
    "sglang 0.5.23, handle_gpu_memory_settings: the default of --mem-fraction-static;"
    " logs, tests/truth/sglang.json"
)


class _Class(Record):
    """Devices of `least_bytes` or more: the tokens of a prompt that are read at once, and the
    sequences of the largest graph on fewer than four devices.
    """

    least_bytes: int
    prompt_tokens: int
    graph_sequences: int


_CLASSES = (
    _Class(least_bytes=0, prompt_tokens=2048, graph_sequences=8),
    _Class(least_bytes=20 * GIB, prompt_tokens=4096, graph_sequences=48),
    _Class(least_bytes=35 * GIB, prompt_tokens=4096, graph_sequences=32),
    _Class(least_bytes=60 * GIB, prompt_tokens=8192, graph_sequences=256),
    _Class(least_bytes=160 * GIB, prompt_tokens=16_384, graph_sequences=512),
)
# what `lean_option` of specs/runtimes/sglang.toml asks for
_LEAN_TOKENS, _LEAN_SEQUENCES = 2048, 8
# MiB: of the program's tables, of a token read at once, of a sequence of the largest graph, of a
# graph of prompts, of all of those where attention is latent, and of each device
_TABLES, _TOKEN, _SEQUENCE, _PROMPT_GRAPH, _LATENT_GRAPHS, _DEVICE = 512, 1.5, 2, 8, 1536, 128
# on a device of more than 60 GiB at least
_LARGE_BYTES, _LARGE_LEAST = 60 * GIB, 10 * 1024
# of what is left, where the model sees: 0.95 less a tenth for each encoder of the size of CLIP's
# ViT-L/14 beyond the first, 0.76 at least. Qwen3-VL's and Gemma 3's give 0.91 to 0.93
_SEEING_SHARES = (0.0025, 0.09, 0.24)
# releases since 0.5.3 leave up to a sixth less (tests/truth/sglang.json): they count no graphs of
# prompts
_EARLIER = 5 / 6
# a context of CUDA with its libraries: 0.4 to 0.9 GiB were logged of a whole card
_CONTEXT = (MIB * 300, MIB * 500, MIB * 950)
# what each of several devices has of it more: NCCL and its buffers, 1.8 to 2 GiB were logged of
# eight; with four or more the graphs are larger, too
_TOGETHER = (MIB * 192, MIB * 1280, MIB * 3072)


def _prompt_graphs(most_tokens: int) -> int:
    """How many graphs of prompts it captures (generate_prefill_cuda_graph_batch_sizes)."""
    lengths = (
        *range(4, 33, 4),
        *range(48, 257, 16),
        *range(288, 513, 32),
        *range(576, 1025, 64),
        *range(1280, 4097, 256),
        *range(4608, most_tokens + 1, 512),
    )
    return sum(length <= most_tokens for length in lengths)


def _reserve(
    architecture: Architecture, prompt_tokens: int, sequences: int, least_bytes: int
) -> int:
    """Bytes that it leaves of one device."""
    latent = any(group.kind == "latent" for group in architecture.attention)
    graphs = _LATENT_GRAPHS if latent else _prompt_graphs(prompt_tokens) * _PROMPT_GRAPH
    size = _TABLES + prompt_tokens * _TOKEN + _DEVICE + sequences * _SEQUENCE + graphs
    if least_bytes >= _LARGE_BYTES:
        size = max(size, _LARGE_LEAST)
    return int(size * MIB)


def work(architecture: Architecture, sequences: int, *, sees: bool) -> Term:
    """What it leaves free for its work: more on a larger device, less where fewer `sequences` than
    its largest graph holds are asked for (--max-running-requests).
    """
    usual = [
        _reserve(
            architecture,
            each.prompt_tokens,
            min(sequences, each.graph_sequences) if sequences > 1 else each.graph_sequences,
            each.least_bytes,
        )
        for each in _CLASSES
    ]
    lean = [
        _reserve(architecture, _LEAN_TOKENS, _LEAN_SEQUENCES, each.least_bytes)
        for each in _CLASSES
    ]
    return _left(usual, sees=sees).replace(lean=_left(lean, sees=sees))


def _left(sizes: list[int], *, sees: bool) -> Term:
    shares = _SEEING_SHARES if sees else (0.0, 0.0, 0.0)
    reserves = tuple(
        Reserve(
            device_bytes=each.least_bytes,
            low_bytes=int(size * _EARLIER),
            bytes=size,
            high_bytes=size,
            low_share=shares[0],
            share=shares[1],
            high_share=shares[2],
        )
        for each, size in zip(_CLASSES, sizes, strict=True)
    )
    listed = ", ".join(
        f"{binary(each.bytes)} from {binary(each.device_bytes)} on" for each in reserves[1:]
    )
    line = f"left free by the size of the device: {binary(sizes[0])}; {listed}"
    return term(
        "activations",
        sizes[0],
        How.ASSUMED if sees else How.COMPUTED,
        _SOURCE,
        line,
        low=reserves[0].low_bytes,
    ).replace(reserves=reserves)


def program(host: Term) -> Term:
    """A context of CUDA on a device; `host` is what the program takes of the RAM beside it."""
    low, likely, high = _CONTEXT
    line = f"{likely:,} bytes of a CUDA context"
    return term("runtime", likely, How.STATED, _SOURCE, line, low=low, high=high).replace(
        beside=host, joined=_TOGETHER
    )
