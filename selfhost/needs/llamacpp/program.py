"""What the program itself holds: its vocabulary, scratch and outputs, and the copies of the context
that a server keeps.
"""

from __future__ import annotations

from ...catalogue.spec import Architecture
from ..cache import cache_groups
from ..parts import term
from ..quantization import BLOCKS, base_type, row_bytes
from ..records import How, Term
from . import buffers as llamacpp
from .buffers import Load
from .compute_term import LARGEST_VOCABULARY
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
# tokens before the end of a prompt at which a server makes a copy: n_ubatch + 4 and 4
# (tools/server/server-context.cpp)
_BEFORE_THE_END = (llamacpp.MICRO_BATCH_TOKENS + 4, 4)


def program_term(load: Load, scratch: tuple[int, str]) -> Term:
    """The program, and what it keeps once each sequence had one prompt that fills its context.

    `scratch`: what `scratch_of` gives.
    """
    runtime, vocabulary = load.runtime, load.vocabulary
    low_bytes, high_bytes = _VOCABULARY[tokenizer_kind(load.row, vocabulary)]
    outputs, output_line = _outputs(load)
    sizes = _copies(load)
    parallel = load.workload.parallel
    copies = parallel * sum(sizes)
    # each sequence has a list of its own (slot.prompt.checkpoints)
    most = parallel * runtime.context_checkpoints * _checkpoint(load, load.room.full)
    kept = scratch[0] + outputs + copies
    middle = (low_bytes + high_bytes) // 2
    program = (runtime.overhead_low_bytes + runtime.overhead_high_bytes) // 2
    line = (
        f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle}"
        f" bytes{scratch[1]}{output_line}"
    )
    source = runtime.overhead_source or runtime.name
    if copies:
        more = runtime.kept_checkpoints * parallel * _checkpoint(load, load.room.full) - copies
        line += (
            f" + {parallel} × ({' + '.join(f'{size:,}' for size in sizes)}) bytes copied to go back"
            f" to of one prompt that fills a context; up to {more:,} more as conversations go on"
        )
        copies_source = runtime.sources.get("context_checkpoints", runtime.name)
        source += f"; copies of the context: {copies_source}"
    how = How.MEASURED if kept <= program + vocabulary * middle else How.COMPUTED
    if runtime.overhead_how != "measured":
        how = How.ASSUMED
    return term(
        "runtime",
        program + vocabulary * middle + kept,
        how,
        source,
        line,
        # after one short prompt of one sequence there is at most one copy
        low=runtime.overhead_low_bytes + vocabulary * low_bytes + kept - copies,
        high=runtime.overhead_high_bytes
        + (vocabulary or LARGEST_VOCABULARY) * high_bytes
        + kept
        - copies
        + most,
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


def more_in_conversation(load: Load) -> int:
    """Bytes that a server comes to hold above the high end of `runtime` where every sequence is a
    conversation of many prompts. 0 where it makes no copies.

    It drops a copy only when its list is full (tools/server/server-context.cpp, create_checkpoint).
    """
    runtime = load.runtime
    more = max(0, runtime.kept_checkpoints - runtime.context_checkpoints)
    return more * load.workload.parallel * _checkpoint(load, load.room.full)


def _copies(load: Load) -> list[int]:
    """Bytes of each copy that a server keeps of a prompt that fills the context, those without any
    left out: where the last message of the user starts, a few tokens in, and `_BEFORE_THE_END`
    (tools/server/server-context.cpp).
    """
    if not load.runtime.context_checkpoints:
        return []
    tokens = load.workload.context_tokens
    places = [tokens - offset for offset in _BEFORE_THE_END if offset < tokens]
    # a program that renders the prompt itself does not tell the server where messages start
    if load.runtime.context_checkpoints > len(_BEFORE_THE_END):
        places = [0, *places]
    return [size for place in places if (size := _checkpoint(load, place))]


def _checkpoint(load: Load, tokens: int) -> int:
    """What a server copies of a sequence of so many tokens to go back to: its states, and the cells
    of the layers with a window.

    Of what it completes alone: a text to embed leaves none (SERVER_TASK_TYPE_COMPLETION).
    """
    architecture, row, workload = load.architecture, load.row, load.workload
    if row.encoder or load.embeds:
        return 0
    size = llamacpp.state_bytes(architecture, 1)
    for group in cache_groups(architecture, row):
        window = llamacpp.window_of(architecture, row, group)
        if window is not None:
            cell = row_bytes(workload.key_type, group.key_elements)
            cell += row_bytes(workload.value_type, group.value_elements)
            size += min(window, tokens) * group.layers * cell
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
    line = (
        f" + {room.micro_batch:,} tokens × {widest:,} × {numerator}/{denominator} bytes of scratch"
    )
    return size, line if size else ""


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
