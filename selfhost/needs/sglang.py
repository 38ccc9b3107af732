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
from .records import Device, How, Term
from .vllm import on_each

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
# the class of GPUs that share the RAM and have builds of it, as a GB10's
_OF_SHARED = 3
# what `lean_option` of specs/runtimes/sglang.toml asks for
_LEAN_TOKENS, _LEAN_SEQUENCES = 2048, 8
# MiB: of the program's tables, of a token read at once, of a sequence of the largest graph, of a
# graph of prompts, of all of those where attention is latent, and of each device
_TABLES, _TOKEN, _SEQUENCE, _PROMPT_GRAPH, _LATENT_GRAPHS, _DEVICE = 512, 1.5, 2, 8, 1536, 128
# on a device of more than 60 GiB at least
_LARGE_BYTES, _LARGE_LEAST = 60 * GIB, 10 * 1024
# of a model that sees it fills 0.95 of that: less a tenth of it for each time that its encoder's
# layers are as many and wide as those of CLIP's ViT-L/14 again, within these ends
_SEEING, _SEEING_STEP, _LEAST_FACTOR, _MOST_FACTOR = 0.95, 0.1, 0.8, 1.05
# parameters of such layers: 24, each of 12 x 1,024^2. Of a whole encoder, which may hold what joins
# it to the text and one for sounds, so much is in its layers
_VIT_PARAMETERS, _IN_LAYERS = 24 * 12 * 1024**2, (0.55, 0.9, 1.05)
# releases since 0.5.3 leave up to a sixth less (tests/truth/sglang.json): they count no graphs of
# prompts
_EARLIER = 5 / 6
# a context of CUDA with its libraries, and what a driver keeps of the size that it tells: 0.5 to
# 1.2 GiB were missing before weights were loaded, of cards of 16 to 80 GB
_CONTEXT = (MIB * 550, MIB * 900, MIB * 1150)
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


def _reserve(latent: bool, prompt_tokens: int, sequences: int, least_bytes: int) -> tuple[int, str]:
    """Bytes that it leaves of one device, and their line. `latent`: attention is so."""
    graphs = _prompt_graphs(prompt_tokens)
    prompt_mib = _LATENT_GRAPHS if latent else graphs * _PROMPT_GRAPH
    size = _TABLES + prompt_tokens * _TOKEN + _DEVICE + sequences * _SEQUENCE + prompt_mib
    line = (
        f"({_TABLES} + {prompt_tokens:,} tokens × {_TOKEN} + {_DEVICE} + {sequences} sequences ×"
        f" {_SEQUENCE} + {prompt_mib:,} of graphs of prompts)"
    )
    if least_bytes >= _LARGE_BYTES and size < _LARGE_LEAST:
        size, line = _LARGE_LEAST, f"{_LARGE_LEAST:,}"
    return int(size * MIB), f"{line} × {MIB:,} bytes"


def _in_graph(kind: _Class, sequences: int) -> int:
    """The sequences of the largest graph."""
    return min(sequences, kind.graph_sequences) if sequences > 1 else kind.graph_sequences


def work(
    architecture: Architecture, sequences: int, encoder_parameters: int, device: Device | None
) -> Term:
    """What it leaves free for its work of what it may take of that device: more on a larger one,
    less where fewer `sequences` than its largest graph holds are asked for
    (--max-running-requests), and of one that others hold a part of the same share of what is free.
    `encoder_parameters`: of what a model sees and hears with, for which a share of the rest stays
    free, too.
    """
    latent = any(group.kind == "latent" for group in architecture.attention)
    total = device.total_bytes if device is not None else None
    kind = _CLASSES[_OF_SHARED]
    if total:
        kind = [each for each in _CLASSES if each.least_bytes <= total][-1]
    tokens, number = kind.prompt_tokens, _in_graph(kind, sequences)
    if device is not None and device.is_lean:
        tokens, number = _LEAN_TOKENS, _LEAN_SEQUENCES
    size, line = _reserve(latent, tokens, number, kind.least_bytes)
    shares = [0.0, 0.0, 0.0]
    if encoder_parameters:
        for end, part in enumerate(_IN_LAYERS):
            factor = 1 - _SEEING_STEP * (part * encoder_parameters / _VIT_PARAMETERS - 1)
            shares[end] = 1 - _SEEING * max(_LEAST_FACTOR, min(_MOST_FACTOR, factor))
    how = How.ASSUMED if any(shares) else How.COMPUTED
    sizes = (int(size * _EARLIER), size, size)
    if device is not None and total and device.room_bytes is not None:
        sizes, line = _left_over(device, total, sizes, shares)
    else:
        smallest = _CLASSES[0]
        number = _in_graph(smallest, sequences)
        least, _ = _reserve(latent, smallest.prompt_tokens, number, smallest.least_bytes)
        sizes = int(least * _EARLIER), size, size
        line += f"; on a device of {binary(kind.least_bytes)} or more, by its size"
    low, likely, high = sizes
    return term("activations", likely, how, _SOURCE, line, low=low, high=high)


def _left_over(
    device: Device, total: int, sizes: tuple[int, int, int], shares: list[float]
) -> tuple[tuple[int, int, int], str]:
    """What stays free of the room on a device of `total` bytes once weights and cache fill the
    rest, least, likely and most, and the line of the likely figure.
    """
    room = device.room_bytes or 0
    free = total if device.free_bytes is None else min(total, device.free_bytes)
    low, likely, high = (
        max(0, int(room - free * (1 - size / total) * (1 - share)))
        for size, share in zip(sizes, shares, strict=True)
    )
    line = f"{room:,} bytes - {free:,} × (1 - {sizes[1]:,} / {total:,})"
    if shares[1]:
        line += f" × (1 - {shares[1]})"
    line = f"{line}; the rest of what it may take" if likely else "0 bytes"
    return (low, likely, high), line


def program(device: Device | None) -> Term:
    """A context of CUDA on a device."""
    low, likely, high = _CONTEXT
    line = f"{likely:,} bytes of a CUDA context"
    context = term("runtime", likely, How.STATED, _SOURCE, line, low=low, high=high)
    return on_each(context, device.devices if device is not None else 1, joining=_TOGETHER)
