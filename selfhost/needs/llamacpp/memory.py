"""A GGUF file, and what a process of llama.cpp or Ollama takes that loaded it.

In goes a case; out come the files and the terms of its memory, in bytes: the weights (weights.py),
the cache of keys and values, the states of recurrent layers, the compute buffer (compute.py), the
program itself, and what is loaded beside the model (companions.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Architecture, Attention
from ...catalogue.runtime import RuntimeSpec
from ...core.records import Record, Unread
from ..case import Case, Cells, unread_of
from ..quantization import BASE_TYPES, BLOCKS, CACHE_BLOCKS, bytes_of
from ..records import (
    How,
    Needs,
    Term,
    by_layers,
    of_sequences,
    term,
    unread,
    with_files,
)
from ..tensors import CacheGroup, cache_groups, row_of, shape_of_row, states, window_of
from .companions import block_of_checkpoint as block_of_checkpoint
from .companions import draft_file as draft_file
from .companions import own_block_terms, with_projector
from .companions import with_draft as with_draft
from .compute import compute_buffer, inputs_in_ram
from .files import SIZES, SOURCE, size_of, tokenizer_kind, vocabulary_of
from .weights import weights_terms

# makers of GPUs whose drivers take RAM that was measured
MAKERS_IN_RAM = tuple(SIZES.gpu_in_ram)
# types of a cache whose values need no flash attention
_PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
# activations meet weights with blocks of 32 numbers as Q8_0, those with blocks of 256 as Q8_K:
# bytes of a block and its numbers (`vec_dot_type` in ggml-cpu.c)
_ACTIVATIONS_OF_32 = (34, 32)
_ACTIVATIONS_OF_256 = (292, 256)


def parts(case: Case) -> Needs:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    others = _beside_weights(case)
    files = size_of(case)
    if isinstance(files, Unread):
        weights_unknown = files.replace(fact="memory.weights")
        return Needs(
            terms=others.terms, unknown=(files, weights_unknown, *others.unknown)
        )
    weights = weights_terms(case, files)
    if case.companions.own_block and case.spec.draft is not None:
        draft = case.spec.draft
        files = with_files(files, draft_file(case, draft), f"the draft, {draft.name}")
    projector = with_projector(case, files)
    return Needs(
        files=projector.files,
        terms=(*weights.terms, *others.terms, *projector.terms),
        evictable_bytes=weights.evictable_bytes,
        largest_file_bytes=min(files.bytes, SIZES.largest_file_bytes),
        unknown=(*others.unknown, *projector.unknown),
    )


class _BesideWeights(Record):
    """The terms beside the weights, and what of them is not known."""

    terms: tuple[Term, ...] = ()
    unknown: tuple[Unread, ...] = ()


def _beside_weights(case: Case) -> _BesideWeights:
    """Cache, states, compute buffer and program, with those of the model's own block."""
    if not (case.model.attention or case.model.recurrent):
        return _BesideWeights(unknown=(unread_of(case.spec, "memory.kv_cache"),))
    terms: list[Term] = []
    unknown: list[Unread] = []
    cache = _keys_and_values(case)
    if isinstance(cache, Unread):
        unknown.append(cache)
    elif cache is not None:
        terms.append(cache)
    kept_states = _states(case)
    if kept_states is not None:
        terms.append(kept_states)
    compute = compute_buffer(case)
    terms += [compute, _program(case)]
    if case.device is not None and case.room.copies_weights:
        terms.append(inputs_in_ram(case))
    terms += own_block_terms(case, compute)
    return _BesideWeights(terms=tuple(terms), unknown=tuple(unknown))


def _keys_and_values(case: Case) -> Term | Unread | None:
    """The KV cache: the sum of its rows. None where no layer has one."""
    groups = cache_groups(case.model, with_room=True)
    if not groups:
        return None
    if case.cache_type not in _PLAIN_CACHE_TYPES:
        heads = case.heads_without_flash
        why = why_cache_refused(
            groups, case.cache_type, case.runtime, heads_without_flash=heads
        )
        if why is not None:
            return unread(why, _remedy_for_cache(case.runtime), "memory.kv_cache")
    room = case.room
    rows = cache_rows(case.model, room)
    size = sum(alike.bytes_in(room) for alike in rows)
    unsure_bytes = sum(alike.unsure_bytes_in(room) for alike in rows)
    line = _line_of_rows(rows, of_sequences(room.streams))
    if _has_padded_cells(case, groups):
        line += "; in steps of 256; a layer with a window keeps that and a batch"
    if not unsure_bytes:
        return term("kv_cache", size, How.EXACT, SOURCE, line)
    line += "; up to all tokens if llama.cpp ignores the window, which was not checked"
    source = f"{SOURCE}; this architecture was not measured"
    high = size + unsure_bytes
    return term("kv_cache", size, How.COMPUTED, source, line, high=high)


def _remedy_for_cache(runtime: RuntimeSpec) -> str:
    """What to do about a type of cache that is refused."""
    remedy = "use --kv-cache f16"
    if not runtime.memory.flash_attention:
        remedy += ", or --runtime llama.cpp with flash attention on"
    return remedy


def _line_of_rows(rows: Sequence[CacheRows], streams: str) -> str:
    """The line of arithmetic of a cache; `streams` is the factor of several."""
    return by_layers(
        (alike.before, alike.layers, f"{alike.after}{streams}") for alike in rows
    )


def _has_padded_cells(case: Case, groups: Sequence[CacheGroup]) -> bool:
    """Whether any layer has another number of cells than the context has tokens."""
    for group in groups:
        window = window_of(case.model, group)
        cells = case.room.cells_of_layer(window, group.tokens_per_row)
        if cells != case.context_tokens:
            return True
    return False


def _states(case: Case) -> Term | None:
    """The states of recurrent layers: 4 bytes a number, for each sequence, and for each drafted
    token that may be rolled back. None where there are none.
    """
    kept = states(case.model)
    sequences = case.workload.parallel
    copies = case.room.states
    size = sum(state.bytes for state in kept) * sequences * copies
    if not size:
        return None
    factors = f" × 4 bytes{of_sequences(sequences)}"
    if copies > 1:
        factors += f" × {copies} states to roll drafted tokens back to"
    line = by_layers(
        ("", state.layers, f" × {state.arithmetic}{factors}") for state in kept
    )
    return term("recurrent_state", size, How.EXACT, SOURCE, line)


class CacheRows(Record):
    """Equal layers of a KV cache: what a row of each holds, and how many rows there are.

    `unsure_cells`: rows more, if llama.cpp ignores a window of which was not checked that it does
    not. `before` and `after` stand around the number of layers in the line of arithmetic.
    """

    layers: int
    key_elements: int
    value_elements: int
    cells: int
    after: str
    before: str = ""
    unsure_cells: int = 0

    def _bytes_per_cell(self, room: Cells) -> int:
        """Bytes that one cell takes in all of these layers and all streams."""
        of_keys = bytes_of(room.key_type, self.key_elements)
        of_values = bytes_of(room.value_type, self.value_elements)
        return (of_keys + of_values) * self.layers * room.streams

    def bytes_in(self, room: Cells) -> int:
        """Bytes of all cells."""
        return self.cells * self._bytes_per_cell(room)

    def unsure_bytes_in(self, room: Cells) -> int:
        """Bytes of the cells that there may be more."""
        return self.unsure_cells * self._bytes_per_cell(room)


def cache_rows(architecture: Architecture, room: Cells) -> list[CacheRows]:
    """The rows of the KV cache, with those that sparse indexers keep."""
    groups = cache_groups(architecture, with_room=True)
    row = row_of(architecture)
    widest = 0
    if not room.flash and groups:
        # without flash attention each row of values is as long as the longest of any layer
        widest = max(group.value_elements for group in groups)
    of_element = _bytes_of_element(room)
    rows = []
    for group in groups:
        window = window_of(architecture, group)
        cells = room.cells_of_layer(window, group.tokens_per_row)
        is_checked = window is None or bool(row.window_cache)
        before, shape = shape_of_row(group, widest)
        kept = "rows" if group.tokens_per_row > 1 else "tokens"
        alike = CacheRows(
            layers=group.layers,
            key_elements=group.key_elements,
            value_elements=max(widest, group.value_elements),
            cells=cells,
            unsure_cells=0 if is_checked else room.full - cells,
            before=before,
            after=f" × {shape}{of_element} × {cells:,} {kept}",
        )
        rows.append(alike)
        if group.indexer_elements:
            with_values = row.indexer_values
            rows.append(_rows_of_indexer(group, room, with_values=with_values))
    idle_layers = _idle_layers(architecture)
    if widest and idle_layers:
        rows.append(_rows_of_idle_layers(idle_layers, widest, room))
    return rows


def _bytes_of_element(room: Cells) -> str:
    """The factor for the bytes of one number in the cache, ` × 34/32 bytes` of Q8_0."""
    block = CACHE_BLOCKS[room.key_type.upper()]
    if block.elements == 1:
        return f" × {block.bytes} bytes"
    return f" × {block.bytes}/{block.elements} bytes"


def _rows_of_indexer(group: CacheGroup, room: Cells, *, with_values: bool) -> CacheRows:
    """The keys of a sparse indexer; some programs keep as much for values that it does not have."""
    length = group.indexer_elements
    times_two = "2 × " if with_values else ""
    after = f" × {times_two}{length:,}{_bytes_of_element(room)} of the indexer"
    return CacheRows(
        layers=group.layers,
        key_elements=length,
        value_elements=length if with_values else 0,
        cells=room.full,
        after=f"{after} × {room.full:,} tokens",
    )


def _idle_layers(architecture: Architecture) -> int:
    """Layers that do not attend and have a row of values all the same, without flash attention; 0
    where recurrences take their place, or where no layer attends.
    """
    if architecture.recurrent:
        return 0
    attending: set[int] = set()
    for group in architecture.attention:
        attending.update(group.layers)
    return architecture.layers - len(attending) if attending else 0


def _rows_of_idle_layers(layers: int, widest: int, room: Cells) -> CacheRows:
    """A row of values, as long as the longest, in each layer that does not attend."""
    after = f" without attention × {widest:,}{_bytes_of_element(room)}"
    return CacheRows(
        layers=layers,
        key_elements=0,
        value_elements=widest,
        cells=room.full,
        after=f"{after} × {room.full:,} tokens",
    )


def why_cache_refused(
    groups: Sequence[CacheGroup | Attention],
    type: str,
    runtime: RuntimeSpec | None,
    *,
    heads_without_flash: str | None = None,
) -> str | None:
    """Why llama.cpp makes no cache of this type: its blocks have to fill each head, and attention
    with quantized values is computed without storing scores or not at all (src/llama-context.cpp).
    None where it makes one.
    """
    if type not in _PLAIN_CACHE_TYPES:
        needed = f"a {type} cache needs flash attention, which"
        if heads_without_flash is not None:
            return f"{needed} there is none of on these GPUs for {heads_without_flash}"
        if runtime is not None and not runtime.memory.flash_attention:
            return f"{needed} {runtime.name} leaves off by default"
    if type.upper() not in BLOCKS:
        return f"llama.cpp knows no {type} cache"
    block = BLOCKS[type.upper()].elements
    lengths = [group.key_length for group in groups]
    lengths += [group.value_length for group in groups]
    for length in lengths:
        if length % block != 0:
            why = f"the head size {length} is not a multiple of {block}"
            return f"llama.cpp refuses a {type} cache here: {why}"
    return None


class _Part(Record):
    """Bytes of one part of a term, with the factors of its line of arithmetic."""

    bytes: int = 0
    line: str = ""


def _program(case: Case) -> Term:
    """The program: itself, its vocabulary, the backend's work buffer, the outputs of an embedding
    model, and what a GPU's driver takes. The high end has the copies that a server keeps of one
    prompt that fills each context.
    """
    memory = case.runtime.memory
    program = (memory.overhead_low_bytes + memory.overhead_high_bytes) // 2
    tokens = vocabulary_of(case.model)
    least_of_token, most_of_token = SIZES.vocabulary_bytes[tokenizer_kind(case.model)]
    of_token = (least_of_token + most_of_token) // 2
    usual = program + tokens * of_token
    work = _work_buffer(case, case.room)
    touched = min(work.bytes, _work_buffer(case, case.room_of_first_batch).bytes)
    driver = _driver_in_ram(case)
    outputs = _outputs(case)
    copies = _copies_of_context(case)
    line = f"{program:,} bytes of program + {tokens:,} tokens of vocabulary × {of_token} bytes"
    line += f"{work.line}{driver.line}{outputs.line}{copies.line}"
    source = memory.overhead_source or case.runtime.name
    if copies.bytes:
        stated = case.runtime.sources.get(
            "memory.context_checkpoints", case.runtime.name
        )
        source += f"; copies of the context: {stated}"
    if memory.overhead_how != "measured":
        how = How.ASSUMED
    elif work.bytes + outputs.bytes <= usual:
        how = How.MEASURED
    else:
        how = How.COMPUTED
    low = memory.overhead_low_bytes + tokens * least_of_token
    most_tokens = tokens or SIZES.largest_vocabulary
    high = memory.overhead_high_bytes + most_tokens * most_of_token
    return term(
        "runtime",
        usual + work.bytes + outputs.bytes + driver.bytes,
        how,
        source,
        line,
        low=low + touched + outputs.bytes + driver.least_bytes,
        high=high + work.bytes + outputs.bytes + copies.bytes + driver.most_bytes,
    )


def _outputs(case: Case) -> _Part:
    """A row of logits and a vector of each token of a batch, in 32 bits, of a model that embeds,
    cleared when they are made (src/llama-context.cpp, output_reserve); no vector where a model
    writes by diffusion.
    """
    if not (case.embeds or case.row.diffusion):
        return _Part()
    tokens = case.room.encoded if case.row.encoder else case.room.micro_batch
    vocabulary = vocabulary_of(case.model)
    width = 0 if case.row.diffusion else case.model.embedding_length
    return _Part(
        bytes=4 * tokens * (vocabulary + width),
        line=f" + {tokens:,} tokens × ({vocabulary:,} + {width:,}) × 4 bytes of outputs",
    )


def _copies_of_context(case: Case) -> _Part:
    """The copies of a full context that a server keeps at the most: each sequence has a list of its
    own (slot.prompt.checkpoints).
    """
    copies = case.workload.parallel * case.runtime.memory.context_checkpoints
    size = copies * copy_bytes(case) if copies else 0
    if not size:
        return _Part()
    line = f"; up to {size:,} more for copies of a full context to go back to"
    return _Part(bytes=size, line=line)


class _DriverMemory(_Part):
    """RAM that a GPU's driver and its library take in the process, with the least and the most."""

    least_bytes: int = 0
    most_bytes: int = 0


def _driver_in_ram(case: Case) -> _DriverMemory:
    """What driving a GPU takes in RAM; nothing where it was not measured of its maker."""
    measured = SIZES.gpu_in_ram.get(case.gpu_maker)
    if case.device is None or measured is None:
        return _DriverMemory()
    kernels = 0
    if any(feed.experts for feed in case.model.feed_forward):
        # kernels that choose experts are loaded when they are first used
        kernels = SIZES.experts_in_ram[case.gpu_maker]
    least, likely, most = measured
    size = likely + kernels
    return _DriverMemory(
        bytes=size,
        line=f" + {size:,} bytes of the GPU's driver",
        least_bytes=least + kernels,
        most_bytes=most + kernels,
    )


def _work_buffer(case: Case, room: Cells) -> _Part:
    """The backend's work buffer, as large as its largest product: of the activations with the
    weights, or without flash attention of the scores with the values.
    """
    tokens = room.micro_batch
    width = _widest_activation(case.model)
    numerator, denominator = _activation_bytes(case.quantization)
    size = tokens * width * numerator // denominator
    factors = f"{width:,} × {numerator}/{denominator} bytes"
    if _multiplies_scores(case, room):
        heads = max((group.heads for group in case.model.attention), default=0)
        scores = tokens * room.full * heads * 2
        if scores > size:
            size = scores
            factors = f"{room.full:,} cells × {heads:,} heads × 2 bytes"
    if not size:
        return _Part()
    return _Part(bytes=size, line=f" + {tokens:,} tokens × {factors} of scratch")


def _widest_activation(architecture: Architecture) -> int:
    """The most numbers of a token that meet a matrix of weights."""
    widths = [architecture.embedding_length]
    for group in architecture.attention:
        widths.append(group.heads * max(group.key_length, group.value_length))
    for feed in architecture.feed_forward:
        chosen = feed.used or 1
        widths.append(feed.length * chosen)
    return max(widths)


def _activation_bytes(quantization: str) -> tuple[int, ...]:
    """Bytes of so many activations that meet weights of that quantization, as a numerator and a
    denominator.
    """
    base = BASE_TYPES.get(quantization, "")
    if base in SIZES.activations:
        return SIZES.activations[base]
    if base in BLOCKS and BLOCKS[base].elements == 32:
        return _ACTIVATIONS_OF_32
    return _ACTIVATIONS_OF_256


def _multiplies_scores(case: Case, room: Cells) -> bool:
    """Whether a CPU turns stored scores to 16 bits to meet values: not those of 32 bits, as of an
    encoder, which has no cache.
    """
    if case.device is not None or room.flash:
        return False
    return not case.row.encoder and case.cache_type != "f32"


def copy_bytes(case: Case) -> int:
    """What a server copies of a full context to go back to: states, and cells of windows."""
    if case.row.encoder or case.embeds:
        return 0
    size = sum(state.bytes for state in states(case.model))
    for group in cache_groups(case.model):
        window = window_of(case.model, group)
        if window is None:
            continue
        of_keys = bytes_of(case.cache_type, group.key_elements)
        of_values = bytes_of(case.cache_type, group.value_elements)
        size += min(window, case.room.full) * group.layers * (of_keys + of_values)
    return size
