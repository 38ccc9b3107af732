"""What the program itself holds: its vocabulary, scratch and outputs, and the copies of the context
that a server keeps.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, RuntimeSpec
from ...core.records import Record, remembered
from ..cache import cache_groups
from ..parts import Asked, Subject, term
from ..quantization import BLOCKS, base_type, row_bytes
from ..records import How, Term
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .header import tokenizer_kind
from .load import Load, load_of

# bytes in memory per token of the vocabulary (SentencePiece; byte pairs with 1.0 to 2.25 merges per
# token; unigrams of XLM-R, in a trie): fitted on 8 tokenizers; the high end with what a server's
# samplers keep
_VOCABULARY = {
    "spm": (155, 200),
    "bpe": (307, 410),
    "wpm": (130, 230),
    "unigram": (480, 600),
    "": (155, 410),
}
# Gemma 3: where a spec does not state the vocabulary it may be that large
LARGEST_VOCABULARY = 262_144
# a buffer of glibc below this size stays with the program once it is freed, as soon as one of any
# size was unmapped: DEFAULT_MMAP_THRESHOLD_MAX of malloc.c, mallopt(3)
_LARGEST_KEPT_BYTES = 32 << 20
# tokens before the end of a prompt at which a server makes a copy: n_ubatch + 4 and 4
# (tools/server/server-context.cpp)
_BEFORE_THE_END = (llamacpp.MICRO_BATCH_TOKENS + 4, 4)


class _Copies(Record):
    """What a server keeps of prompts to go back to. `sequences_by_sizes`: the bytes of each copy of
    one prompt, and how many of the sequences in use had such a prompt.
    """

    sequences_by_sizes: Mapping[tuple[int, ...], int]

    @property
    def total_bytes(self) -> int:
        """Of all sequences together."""
        return sum(sum(sizes) * number for sizes, number in self.sequences_by_sizes.items())

    @property
    def sequences(self) -> int:
        """How many are in use."""
        return sum(self.sequences_by_sizes.values())


def program_term(load: Load, scratch: tuple[int, str]) -> tuple[Term, int]:
    """The program, and what it keeps once each sequence in use had a prompt as stated; and the
    least of it, after one short prompt of one sequence.

    `scratch`: what `scratch_of` gives.
    """
    runtime, vocabulary = load.runtime, load.vocabulary
    low_bytes, high_bytes = _VOCABULARY[tokenizer_kind(load.row, vocabulary)]
    outputs, output_line = _outputs(load)
    copied = _copies(load, load.workload.used_tokens)
    copies = copied.total_bytes
    # each sequence has a list of its own (slot.prompt.checkpoints)
    most = copied.sequences * runtime.context_checkpoints * _checkpoint(load, load.room.full)
    low = runtime.overhead_low_bytes + vocabulary * low_bytes + scratch[0] + outputs + copies
    high = (
        runtime.overhead_high_bytes
        + (vocabulary or LARGEST_VOCABULARY) * high_bytes
        + scratch[0]
        + outputs
        + most
    )
    middle = (low_bytes + high_bytes) // 2
    short = _short_prompt(load)
    one_short = _copies(load, (short,)).total_bytes
    program = (runtime.overhead_low_bytes + runtime.overhead_high_bytes) // 2
    measured, counted = program + vocabulary * middle, scratch[0] + outputs + copies
    line = (
        f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle}"
        f" bytes{scratch[1]}{output_line}"
    )
    source = runtime.overhead_source or runtime.name
    if most:
        line += _copies_line(copied, runtime, most, one_short, short)
        copies_source = runtime.sources.get("context_checkpoints", runtime.name)
        source += f"; copies of the context: {copies_source}"
    how = How.MEASURED if counted <= measured else How.COMPUTED
    if runtime.overhead_how != "measured":
        how = How.ASSUMED
    program_and_copies = term("runtime", measured + counted, how, source, line, low=low, high=high)
    return program_and_copies, low - copies + min(copies, one_short)


def longest_alike(load: Load) -> Load:
    """The same with the longest context for which compute buffer and program take the same: that of
    the same cells, where a prompt is longer than a batch and than all that is copied of it.
    """
    workload, row = load.workload, load.row
    if workload.used_tokens or row.encoder:
        return load
    _, windows = _copied(load.architecture, row, workload.key_type, workload.value_type)
    longest_window = max((window for window, _ in windows), default=0)
    if workload.context_tokens <= longest_window + max(_BEFORE_THE_END):
        return load
    longest = workload.replace(context_tokens=llamacpp.padded(workload.context_tokens))
    return load.replace(workload=longest)


def _short_prompt(load: Load) -> int:
    """Tokens of one batch, or of the longest prompt where that is shorter."""
    longest = max(load.workload.used_tokens, default=load.workload.context_tokens)
    return min(llamacpp.MICRO_BATCH_TOKENS, longest)


def _copies_line(
    copied: _Copies, runtime: RuntimeSpec, most: int, one_short: int, short: int
) -> str:
    """The part of the line for copies. `most`: bytes where each sequence has as many as the server
    makes of one prompt; `one_short`: those of one prompt of `short` tokens.
    """
    sums = "".join(
        f" + {times} × ({' + '.join(f'{size:,}' for size in sizes)})"
        for sizes, times in copied.sequences_by_sizes.items()
        if sizes
    )
    copies = copied.total_bytes
    fewer = copies - copied.sequences * one_short
    more = most // runtime.context_checkpoints * runtime.kept_checkpoints - copies
    return (
        f"{sums} bytes copied to go back to of one prompt that fills a context; {fewer:,} less of"
        f" one of {short:,} tokens, up to {more:,} more as conversations go on"
    )


def _outputs(load: Load) -> tuple[int, str]:
    """Where an embedding model puts what it made of each token of a batch: a row of logits, used or
    not, and a vector. Bytes, and their part of the line.

    Cleared when it is made, so all of it is resident (src/llama-context.cpp, output_reserve). A
    model that writes has a row a sequence, one that writes by diffusion a row a token, and no
    vectors.
    """
    row, room = load.row, load.room
    if not load.embeds and not row.diffusion:
        return 0, ""
    tokens = room.encoded if row.encoder else room.micro_batch
    width = 0 if row.diffusion else load.architecture.embedding_length
    line = f" + {tokens:,} tokens × ({load.vocabulary:,} + {width:,}) × 4 bytes of outputs"
    return 4 * tokens * (load.vocabulary + width), line


def freed_outputs(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes of outputs that a server has freed and still holds, at most; 0 where it embeds nothing.

    A text longer than all before it gets a new buffer (src/llama-context.cpp, output_reserve). The
    old one lies below memory in use, so that it is given to nobody: at most one of each length.
    """
    load = None if subject.row is None else load_of(subject, runtime, workload)
    if load is None or not load.embeds:
        return 0
    tokens = load.room.encoded if load.row.encoder else load.room.micro_batch
    token_bytes = 4 * (load.vocabulary + load.architecture.embedding_length)
    lengths = min(tokens - 1, _LARGEST_KEPT_BYTES // token_bytes)
    return token_bytes * lengths * (lengths + 1) // 2


def more_in_conversation(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes that a server comes to hold above the high end of `runtime` where every sequence is a
    conversation of many prompts. 0 where it makes no copies.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    """
    load = None if subject.row is None else load_of(subject, runtime, workload)
    if load is None:
        return 0
    more = max(0, runtime.kept_checkpoints - runtime.context_checkpoints) * workload.parallel
    return more * _checkpoint(load, load.room.full)


def _copies(load: Load, used_tokens: tuple[int, ...]) -> _Copies:
    """What a server keeps of a prompt of so many tokens in each sequence; () where all are full.

    Made where the last message of the user starts, a few tokens in, and `_BEFORE_THE_END`
    (tools/server/server-context.cpp).
    """
    if not load.runtime.context_checkpoints:
        return _Copies(sequences_by_sizes={})
    workload = load.workload
    if not used_tokens:
        return _Copies(
            sequences_by_sizes={_copies_of_one(load, workload.context_tokens): workload.parallel}
        )
    sequences_by_sizes: dict[tuple[int, ...], int] = {}
    for tokens in used_tokens:
        sizes = _copies_of_one(load, tokens)
        sequences_by_sizes[sizes] = sequences_by_sizes.get(sizes, 0) + 1
    return _Copies(sequences_by_sizes=sequences_by_sizes)


def _copies_of_one(load: Load, tokens: int) -> tuple[int, ...]:
    """Bytes of each copy of one prompt, those without any left out."""
    places = [tokens - offset for offset in _BEFORE_THE_END if offset < tokens]
    # a program that renders the prompt itself does not tell the server where messages start
    if load.runtime.context_checkpoints > len(_BEFORE_THE_END):
        places = [0, *places]
    sizes = (_checkpoint(load, place) for place in places)
    return tuple(size for size in sizes if size)


def _checkpoint(load: Load, tokens: int) -> int:
    """What a server copies of a sequence of so many tokens to go back to: its states, and the cells
    of the layers with a window.

    Of what it completes alone: a text to embed leaves none (SERVER_TASK_TYPE_COMPLETION).
    """
    if load.row.encoder or load.embeds:
        return 0
    workload = load.workload
    states, windows = _copied(load.architecture, load.row, workload.key_type, workload.value_type)
    return states + sum([min(window, tokens) * size for window, size in windows])


@remembered(256)
def _copied(
    architecture: Architecture, row: ArchitectureRow, key_type: str, value_type: str
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Bytes of a sequence's states, and of each group of layers with a window its length in tokens
    and the bytes of one token.
    """
    windows = []
    for group in cache_groups(architecture, row):
        window = llamacpp.window_of(architecture, row, group)
        if window is not None:
            size = row_bytes(key_type, group.key_elements)
            size += row_bytes(value_type, group.value_elements)
            windows.append((window, group.layers * size))
    return llamacpp.state_bytes(architecture, 1), tuple(windows)


def scratch_of(
    architecture: Architecture, room: llamacpp.Cells, quantization: str
) -> tuple[int, str]:
    """The backend's work buffer, in which the activations of a batch meet the weights; and its
    part of the line.
    """
    widest = max(
        [architecture.embedding_length]
        + [
            group.heads * max(group.key_length, group.value_length)
            for group in architecture.attention
        ]
        + [group.length * (group.used or 1) for group in architecture.feed_forward]
    )
    numerator, denominator = _turned(quantization)
    size = room.micro_batch * widest * numerator // denominator
    return (
        size,
        (
            f" + {room.micro_batch:,} tokens × {widest:,} × {numerator}/{denominator} bytes of"
            " scratch"
            if size
            else ""
        ),
    )


def _turned(quantization: str) -> tuple[int, int]:
    """Bytes per element of the type that activations are turned into to meet weights of that
    one (`vec_dot_type` in ggml-cpu.c).
    """
    base = base_type(quantization)
    if base in ("F32", "F16", "BF16"):
        # activations are 32-bit floats and meet such weights as they are
        return 0 if base == "F32" else 2, 1
    if base is None or BLOCKS[base][0] == 256:
        return 292, 256
    return (36 if base in ("Q4_1", "Q5_1") else 34), 32
