"""What the program itself holds: its vocabulary, scratch and outputs, and the copies of the context
that a server keeps.
"""

from __future__ import annotations

from collections import Counter

from ...catalogue.spec import Architecture, RuntimeSpec
from ..cache import cache_groups
from ..parts import Asked, Subject, term
from ..quantization import BLOCKS, base_type, row_bytes
from ..records import How, Term
from ..tensors import ArchitectureRow
from . import buffers as llamacpp
from .header import tokenizer_kind

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
# tokens before the end of a prompt at which a server makes a copy: n_ubatch + 4 and 4
# (tools/server/server-context.cpp)
_BEFORE_THE_END = (llamacpp.MICRO_BATCH_TOKENS + 4, 4)


def program_term(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    runtime: RuntimeSpec,
    workload: Asked,
    scratch: tuple[int, str],
) -> tuple[Term, int]:
    """The program, and what it keeps once each sequence in use had a prompt as told; and the
    least after one short prompt of one.
    """
    vocabulary = architecture.vocabulary_gguf or architecture.vocabulary or 0
    low_bytes, high_bytes = _VOCABULARY[tokenizer_kind(row, vocabulary)]
    outputs, output_line = _outputs(subject, architecture, row, room, vocabulary)
    # each sequence has a list of its own (slot.prompt.checkpoints)
    copied = _copies(subject, architecture, row, runtime, workload)
    copies, busy = _total(copied), sum(copied.values())
    most = (
        busy
        * runtime.context_checkpoints
        * _checkpoint(subject, architecture, row, workload, room.full)
    )
    low = runtime.overhead_low_bytes + vocabulary * low_bytes + scratch[0] + outputs + copies
    high = (
        runtime.overhead_high_bytes
        + (vocabulary or LARGEST_VOCABULARY) * high_bytes
        + scratch[0]
        + outputs
        + most
    )
    middle = (low_bytes + high_bytes) // 2
    short = min(
        llamacpp.MICRO_BATCH_TOKENS, max(workload.used_tokens, default=workload.context_tokens)
    )
    one_short = _total(
        _copies(subject, architecture, row, runtime, workload.replace(used_tokens=(short,)))
    )
    program = (runtime.overhead_low_bytes + runtime.overhead_high_bytes) // 2
    measured, counted = program + vocabulary * middle, scratch[0] + outputs + copies
    size = measured + counted
    line = (
        f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle}"
        f" bytes{scratch[1]}{output_line}"
    )
    if most:
        line += "".join(
            f" + {times} × ({' + '.join(f'{size:,}' for size in sizes)})"
            for sizes, times in copied.items()
            if sizes
        )
        fewer = copies - busy * one_short
        line += (
            f" bytes copied to go back to of one prompt that fills a context; {fewer:,} less of one"
            f" of {short:,} tokens, "
        )
        line += (
            f"up to {most // runtime.context_checkpoints * runtime.kept_checkpoints - copies:,}"
            " more as conversations go on"
        )
    how = How.MEASURED if counted <= measured else How.COMPUTED
    if runtime.overhead_how != "measured":
        how = How.ASSUMED
    source = runtime.overhead_source or runtime.name
    if most:
        source += (
            f"; copies of the context: {runtime.sources.get('context_checkpoints', runtime.name)}"
        )
    return term("runtime", size, how, source, line, low=low, high=high), low - copies + min(
        copies, one_short
    )


def _outputs(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    room: llamacpp.Cells,
    vocabulary: int,
) -> tuple[int, str]:
    """Where an embedding model puts what it made of each token of a batch: a row of logits, used or
    not, and a vector.

    Cleared when it is made, so all of it is resident (src/llama-context.cpp, output_reserve). A
    model that writes has a row a sequence, one that writes by diffusion a row a token, and no
    vectors.
    """
    if subject.spec.modality != "embedding" and not row.diffusion:
        return 0, ""
    tokens = room.encoded if row.encoder else room.micro_batch
    width = 0 if row.diffusion else architecture.embedding_length
    line = f" + {tokens:,} tokens × ({vocabulary:,} + {width:,}) × 4 bytes of outputs"
    return 4 * tokens * (vocabulary + width), line


def more_in_conversation(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> int:
    """Bytes that a server comes to hold above the high end of `runtime` where every sequence is a
    conversation of many prompts.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    0 where it makes none.
    """
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None:
        return 0
    room = llamacpp.cells(workload.context_tokens * workload.parallel, sequences=workload.parallel)
    more = max(0, runtime.kept_checkpoints - runtime.context_checkpoints) * workload.parallel
    return more * _checkpoint(subject, architecture, row, workload, room.full)


def _copies(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> dict[tuple[int, ...], int]:
    """Bytes of each copy that a server keeps of one prompt, to go back to, and of how many of the
    sequences in use.

    Made where the last message of the user starts, a few tokens in, and `_BEFORE_THE_END`
    (tools/server/server-context.cpp).
    """

    def left(tokens: int) -> tuple[int, ...]:
        ends = [tokens - offset for offset in _BEFORE_THE_END if offset < tokens]
        # a program that renders the prompt itself does not tell the server where messages start
        places = [0, *ends] if runtime.context_checkpoints > len(_BEFORE_THE_END) else ends
        return tuple(
            size
            for place in places
            if (size := _checkpoint(subject, architecture, row, workload, place))
        )

    if not runtime.context_checkpoints:
        return {}
    used = (
        Counter(workload.used_tokens)
        if workload.used_tokens
        else {workload.context_tokens: workload.parallel}
    )
    sequences_by_copies: Counter[tuple[int, ...]] = Counter()
    for tokens, sequences in used.items():
        sequences_by_copies[left(tokens)] += sequences
    return sequences_by_copies


def _total(copied: dict[tuple[int, ...], int]) -> int:
    return sum(sum(sizes) * sequences for sizes, sequences in copied.items())


def _checkpoint(
    subject: Subject, architecture: Architecture, row: ArchitectureRow, workload: Asked, tokens: int
) -> int:
    """What a server copies of a sequence of so many tokens to go back to: its states, and the cells
    of the layers with a window.

    Of what it completes alone: a text to embed leaves none (SERVER_TASK_TYPE_COMPLETION).
    """
    if row.encoder or subject.spec.modality == "embedding":
        return 0
    size = llamacpp.state_bytes(architecture, 1)
    for group in cache_groups(architecture, row):
        window = llamacpp.window_of(architecture, row, group)
        if window is not None:
            per_token = row_bytes(workload.key_type, group.key_elements) + row_bytes(
                workload.value_type, group.value_elements
            )
            size += min(window, tokens) * group.layers * per_token
    return size


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
