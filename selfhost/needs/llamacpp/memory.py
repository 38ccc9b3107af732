"""The size of a GGUF file, and the memory of a llama.cpp or Ollama process that loaded the file.

What goes in: a case. What comes out: the files and the terms of memory, in bytes: the weights
(weights.py), the cache of keys and values, the states of recurrent layers, the compute buffer
(compute.py), the program itself, and the parts loaded in addition to the model (companions.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Architecture, Attention
from ...core.records import Record, Unread
from ...core.workload import CacheTypes
from ..case import Case, ContextSetup, unread_of
from ..quantization import BASE_TYPES, BLOCKS, CACHE_BLOCKS
from ..records import (
    NO_BYTES,
    How,
    Needs,
    Size,
    Term,
    as_size,
    by_layers,
    computed_term,
    middle_of,
    of_sequences,
    sum_bytes,
    term,
    unread,
    with_files,
)
from ..tensors import (
    ArchitectureRow,
    CacheGroup,
    cache_groups,
    row_of,
    states,
    window_of,
    words_of_row,
)
from .companions import draft_file, own_block_terms, with_projector
from .compute import compute_buffer, inputs_in_ram
from .files import SIZES, SOURCE, size_of, tokenizer_kind
from .tensor_split import on_one_of_several
from .weights import needs_of_weights

# makers of GPUs for which the RAM that the driver takes was measured
MAKERS_IN_RAM = tuple(SIZES.gpu_in_ram)
# types of a value cache that work without flash attention
_PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
# activations are quantized before the product with weights: to Q8_0 where the weights have blocks
# of 32 numbers, to Q8_K where they have blocks of 256. Bytes of a block and its numbers
# (`vec_dot_type` in ggml-cpu.c)
_ACTIVATIONS_OF_32 = (34, 32)
_ACTIVATIONS_OF_256 = (292, 256)


def needs_of_case(case: Case) -> Needs:
    """The files and the memory of a case. Weights and cache are counted apart, because one may be
    known without the other.
    """
    others = _beside_weights(case)
    files = size_of(case)
    if isinstance(files, Unread):
        weights_unknown = files.replace(fact="memory.weights")
        return others.replace(unknown=(files, weights_unknown, *others.unknown))
    weights = needs_of_weights(case, files)
    if case.companions.own_block and case.spec.draft is not None:
        draft = case.spec.draft
        files = with_files(files, draft_file(case, draft), f"the draft, {draft.name}")
    projector = with_projector(case, files)
    needs = Needs(
        files=projector.files,
        terms=(*weights.terms, *others.terms, *projector.terms),
        evictable_bytes=weights.evictable_bytes,
        largest_file_bytes=min(files.bytes, SIZES.largest_file_bytes),
        unknown=(*others.unknown, *projector.unknown),
    )
    return on_one_of_several(case, needs)


def _beside_weights(case: Case) -> Needs:
    """The needs beside the weights: cache, states, compute buffer and program, with those of the
    model's own block. Files are not included.
    """
    if not case.has_layers:
        return Needs(unknown=(unread_of(case.spec, "memory.kv_cache"),))
    terms = []
    unknown = []
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
    if case.is_on_device and case.setup.copies_weights:
        terms.append(inputs_in_ram(case))
    terms += own_block_terms(case, compute)
    return Needs(terms=tuple(terms), unknown=tuple(unknown))


def _keys_and_values(case: Case) -> Term | Unread | None:
    """The KV cache in bytes (src/llama-kv-cache.cpp); None where no layer has one.

    Σ layers × bytes of a cell × cells × streams
    """
    groups = cache_groups(case.model, with_idle=True)
    if not groups:
        return None
    why_off = case.why_flash_is_off
    heads = case.heads_without_flash
    why = why_cache_refused(
        groups, case.cache_types, why_off, heads_without_flash=heads
    )
    if why is not None:
        remedy = "use --kv-cache f16"
        if why_off is not None:
            remedy += ", or --runtime llama.cpp with flash attention on"
        return unread(why, remedy, "memory.kv_cache")
    setup = case.setup
    rows = cache_rows(case.model, setup)
    streams = of_sequences(setup.streams)
    size = 0
    unsure_bytes = 0
    parts = []
    for layers in rows:
        size += layers.bytes_in(setup)
        unsure_bytes += layers.unsure_bytes_in(setup)
        parts.append((layers.before, layers.layers, f"{layers.after}{streams}"))
    line = by_layers(parts)
    if any(layers.cells != case.context_tokens for layers in rows):
        line += "; in steps of 256; a layer with a window keeps that and a batch"
    if not unsure_bytes:
        return term("kv_cache", size, SOURCE, line, How.EXACT)
    line += "; up to all tokens if llama.cpp ignores the window, which was not checked"
    source = f"{SOURCE}; this architecture was not measured"
    high = size + unsure_bytes
    return computed_term("kv_cache", Size(size, size, high), source, line)


def _states(case: Case) -> Term | None:
    """The states of recurrent layers in bytes (src/llama-memory-recurrent.cpp); None where there
    are none. `copies`: one, and one more for each drafted token that may be rolled back.

        Σ layers × numbers of a state × 4 × sequences × copies
    """
    kept = states(case.model)
    sequences = case.parallel
    copies = case.setup.states
    size = sum_bytes(kept) * sequences * copies
    if not size:
        return None
    factors = f" × 4 bytes{of_sequences(sequences)}"
    if copies > 1:
        factors += f" × {copies} states to roll drafted tokens back to"
    line = by_layers(
        ("", state.layers, f" × {state.arithmetic}{factors}") for state in kept
    )
    return term("recurrent_state", size, SOURCE, line, How.EXACT)


class CacheRows(Record):
    """A group of equal layers in the KV cache: the elements of one cell, and the number of cells of
    a stream.

    - `unsure_cells`: the extra cells if llama.cpp ignores the layers' window; 0 where that was
      checked.
    - `before`, `after`: the texts that a line of arithmetic has before and after the number of
      layers.
    """

    layers: int
    key_elements: int
    value_elements: int
    cells: int
    after: str
    before: str = ""
    unsure_cells: int = 0

    def _bytes_per_cell(self, setup: ContextSetup) -> int:
        """The bytes of one cell in all of these layers and all streams."""
        row_bytes = setup.row_bytes(self.key_elements, self.value_elements)
        return row_bytes * self.layers * setup.streams

    def bytes_in(self, setup: ContextSetup) -> int:
        """Bytes of all cells."""
        return self.cells * self._bytes_per_cell(setup)

    def unsure_bytes_in(self, setup: ContextSetup) -> int:
        """Bytes of the unsure cells."""
        return self.unsure_cells * self._bytes_per_cell(setup)


def cache_rows(architecture: Architecture, setup: ContextSetup) -> list[CacheRows]:
    """The rows of the KV cache, including those of sparse indexers (src/llama-kv-cache.cpp)."""
    groups = cache_groups(architecture, with_idle=True)
    widest = 0
    if not setup.flash:
        # without flash attention every row of values is as long as the longest of any layer
        # (`n_embd_v_gqa_max`)
        widest = max([group.value_elements for group in groups], default=0)
    row = row_of(architecture)
    rows = []
    for group in groups:
        window = window_of(architecture, group)
        cached = _rows_of_group(group, window, widest, setup)
        if window is not None and not row.window_cache:
            cached = cached.replace(unsure_cells=setup.cells_per_stream - cached.cells)
        rows.append(cached)
        if group.indexer_elements:
            rows.append(_rows_of_indexer(group, setup, row))
    return rows


def _rows_of_group(
    group: CacheGroup,
    window_tokens: int | None,
    widest: int,
    setup: ContextSetup,
) -> CacheRows:
    """The rows of keys and values of a group of layers with equal caches."""
    cells = setup.cells_of_layer(window_tokens, group.tokens_per_row)
    value_elements = max(widest, group.value_elements)
    before, shape = words_of_row(group, widest)
    row = f"{shape} × {_bytes_of_element(setup.key_type)}"
    if setup.key_type != setup.value_type:
        before = ""
        row = _row_of_two_types(group.key_elements, value_elements, setup)
    return CacheRows(
        layers=group.layers,
        key_elements=group.key_elements,
        value_elements=value_elements,
        cells=cells,
        before=before,
        after=f" × {row} bytes × {cells:,} {group.kept}",
    )


def _row_of_two_types(
    key_elements: int,
    value_elements: int,
    setup: ContextSetup,
) -> str:
    """The bytes of one token's keys and values in two types, as a part of a line of arithmetic."""
    keys = f"{key_elements:,} × {_bytes_of_element(setup.key_type)}"
    if not value_elements:
        return keys
    return f"({keys} + {value_elements:,} × {_bytes_of_element(setup.value_type)})"


def _bytes_of_element(type: str) -> str:
    """The bytes of one number in that type, `34/32` of Q8_0."""
    block = CACHE_BLOCKS[type.upper()]
    if block.elements == 1:
        return str(block.bytes)
    return f"{block.bytes}/{block.elements}"


def _rows_of_indexer(
    group: CacheGroup,
    setup: ContextSetup,
    row_of_model: ArchitectureRow,
) -> CacheRows:
    """The rows of a sparse indexer's keys. For some models llama.cpp keeps as much again for
    values, which the indexer does not have; where tokens share a key, it keeps what the key is
    made of.
    """
    with_values = row_of_model.indexer_values
    length = group.indexer_elements * row_of_model.indexer_parts
    row = f"{length:,} × {_bytes_of_element(setup.key_type)}"
    if with_values:
        row = f"2 × {row}"
        if setup.key_type != setup.value_type:
            row = _row_of_two_types(length, length, setup)
    after = f" × {row} bytes of the indexer"
    return CacheRows(
        layers=group.layers,
        key_elements=length,
        value_elements=length if with_values else 0,
        cells=setup.cells_per_stream,
        after=f"{after} × {setup.cells_per_stream:,} tokens",
    )


def why_cache_refused(
    groups: Sequence[CacheGroup | Attention],
    types: CacheTypes,
    why_flash_is_off: str | None,
    *,
    heads_without_flash: str | None = None,
) -> str | None:
    """The reason why llama.cpp refuses a cache of these types; None where it accepts them.

    Blocks have to fill each head, and attention with quantized values works only without stored
    scores (src/llama-context.cpp). Scores are stored where flash attention is off
    (`why_flash_is_off`, a clause), and where a GPU has no kernel for the heads
    (`heads_without_flash`).
    """
    if types.values not in _PLAIN_CACHE_TYPES:
        needed = f"a {types.values} cache needs flash attention, which"
        if types.differ:
            needed = f"a cache of values in {types.values} needs flash attention, which"
        if heads_without_flash is not None:
            return f"{needed} there is none of on these GPUs for {heads_without_flash}"
        if why_flash_is_off is not None:
            return f"{needed} {why_flash_is_off}"
    key_lengths = [group.key_length for group in groups]
    value_lengths = [group.value_length for group in groups]
    return _why_type_refused(types.keys, key_lengths) or _why_type_refused(
        types.values, value_lengths
    )


def _why_type_refused(type: str, head_lengths: Sequence[int]) -> str | None:
    """The reason why llama.cpp keeps no heads of these lengths in that type; None where it does."""
    if type in _PLAIN_CACHE_TYPES:
        return None
    if type.upper() not in CACHE_BLOCKS:
        return f"llama.cpp knows no {type} cache"
    block = CACHE_BLOCKS[type.upper()].elements
    for length in head_lengths:
        if length % block != 0:
            why = f"the head size {length} is not a multiple of {block}"
            return f"llama.cpp refuses a {type} cache here: {why}"
    return None


class _Addend(Record):
    """An addend of a term: its size, and its part of the line of arithmetic."""

    size: Size = NO_BYTES
    line: str = ""


_NOTHING = _Addend()


def _program(case: Case) -> Term:
    """The term of the program: the program itself, its vocabulary, the backend's work buffer, the
    RAM of a GPU's driver, and the outputs. The most includes the copies that
    a server keeps of one prompt that fills each context. The sum counts as measured as long as work
    buffer and outputs are no larger than the program and its vocabulary, which were measured.
    """
    memory = case.runtime.memory
    size = middle_of(memory.overhead_low_bytes, memory.overhead_high_bytes)
    line = f"{size.likely:,} bytes of program"
    vocabulary = _vocabulary(case.model)
    measured_bytes = size.likely + vocabulary.size.likely
    work = _work_buffer(case)
    outputs = _outputs(case)
    copies = _copies_of_context(case)
    for addend in (vocabulary, work, _driver_in_ram(case), outputs, copies):
        size = size.plus(addend.size)
        line += addend.line
    if memory.overhead_how != "measured":
        how = How.ASSUMED
    elif work.size.likely + outputs.size.likely <= measured_bytes:
        how = How.MEASURED
    else:
        how = How.COMPUTED
    source = memory.overhead_source or case.runtime.name
    if copies.size.most:
        sources = case.runtime.sources
        stated = sources.get("memory.context_checkpoints", case.runtime.name)
        source += f"; copies of the context: {stated}"
    return term("runtime", size, source, line, how)


def _vocabulary(model: Architecture) -> _Addend:
    """The bytes of the vocabulary (src/llama-vocab.cpp): tokens × bytes of a token, measured for
    each kind of tokenizer. Where the size of the vocabulary is not stated, the most assumes the
    largest.
    """
    tokens = model.gguf_tokens
    least, most = SIZES.vocabulary_bytes[tokenizer_kind(model)]
    usual = (least + most) // 2
    most_tokens = tokens or SIZES.largest_vocabulary
    return _Addend(
        size=Size(tokens * least, tokens * usual, most_tokens * most),
        line=f" + {tokens:,} tokens of vocabulary × {usual} bytes",
    )


def _outputs(case: Case) -> _Addend:
    """The outputs, by whether the model embeds, writes by diffusion, or writes token by token."""
    if case.embeds or case.row.diffusion:
        return _outputs_of_reader(case)
    return _outputs_of_writer(case)


def _outputs_of_reader(case: Case) -> _Addend:
    """The outputs of a model that embeds, in bytes: a row of logits and a vector of each token of a
    batch, cleared when they are made (src/llama-context.cpp, output_reserve); no vector where a
    model writes by diffusion.

        tokens × (vocabulary + width) × 4
    """
    tokens = case.batch.tokens
    vocabulary = case.model.gguf_tokens
    width = 0 if case.row.diffusion else case.model.embedding_length
    size = 4 * tokens * (vocabulary + width)
    line = f" + {tokens:,} tokens × ({vocabulary:,} + {width:,}) × 4 bytes of outputs"
    return _Addend(size=as_size(size), line=line)


def _outputs_of_writer(case: Case) -> _Addend:
    """The outputs of a model that writes, in bytes: a row of logits of each sequence and drafted
    token, without the one row that the measured program holds. A model that drafts by its own block
    puts out the hidden state of every token of a batch, too (`embd_nextn` in output_reserve,
    unmasked in common/speculative.cpp).

        (rows - 1) × vocabulary × 4 + tokens of a batch × width × 4
    """
    rows = case.logits_rows - 1
    vocabulary = case.model.gguf_tokens
    size = 4 * rows * vocabulary
    line = ""
    if size:
        line = f" + {rows:,} rows of logits × {vocabulary:,} × 4 bytes"
    if case.companions.own_block:
        tokens = min(case.batch_tokens, case.setup.tokens)
        width = case.model.embedding_length
        if case.row.hyper_connections:
            # every stream of the state (src/models/deepseek4.cpp, n_embd_out_impl)
            width *= case.model.altup_inputs or 1
        size += 4 * tokens * width
        line += f" + {tokens:,} tokens × {width:,} × 4 bytes of states for the draft"
    return _Addend(size=as_size(size), line=line)


def _copies_of_context(case: Case) -> _Addend:
    """The copies of a full context that a server keeps at the most. Each sequence has a list of its
    own (slot.prompt.checkpoints).
    """
    copies = case.parallel * case.runtime.memory.context_checkpoints
    most = copies * copy_bytes(case)
    if not most:
        return _NOTHING
    line = f"; up to {most:,} more for copies of a full context to go back to"
    return _Addend(size=Size(0, 0, most), line=line)


def _driver_in_ram(case: Case) -> _Addend:
    """The RAM that the driver of a GPU takes, with its library. An empty addend where it was not
    measured for the GPU's maker.
    """
    measured = SIZES.gpu_in_ram.get(case.gpu_maker)
    if case.device is None:
        return _NOTHING
    if measured is None:
        return _NOTHING
    size = Size(*measured)
    if case.model.has_experts:
        # kernels that choose experts are loaded on first use
        kernels = SIZES.experts_in_ram[case.gpu_maker]
        size = size.plus(kernels)
    return _Addend(size=size, line=f" + {size.likely:,} bytes of the GPU's driver")


class _Product(Record):
    """A product of matrices: the bytes that it works on, and the factors of one token in a line of
    arithmetic.
    """

    bytes: int
    factors: str


def _work_buffer(case: Case) -> _Addend:
    """The work buffer of the CPU backend in bytes, as large as the largest product of the graph
    needs (ggml/src/ggml-cpu/ggml-cpu.c, ggml_graph_plan). A first short prompt may not fill it.

    A product with experts also takes lists of rows, experts × tokens × experts of a token × 8
    bytes. These are left out, for most of their pages stay untouched.
    """
    largest = _largest_product(case, case.setup)
    if not largest.bytes:
        return _NOTHING
    touched = _largest_product(case, case.setup_of_first_batch)
    least = min(largest.bytes, touched.bytes)
    line = f" + {case.setup.micro_batch:,} tokens × {largest.factors} of scratch"
    return _Addend(size=Size(least, largest.bytes, largest.bytes), line=line)


def _largest_product(case: Case, setup: ContextSetup) -> _Product:
    """The largest product of a batch: the activations with the weights, or without flash attention
    the scores with the values.

    - tokens × widest activation × bytes of a number as weights meet it
    - tokens × cells × heads × 2
    """
    tokens = setup.micro_batch
    width = _widest_activation(case.model)
    numerator, denominator = _activation_bytes(case.quantization)
    activations = _Product(
        bytes=tokens * width * numerator // denominator,
        factors=f"{width:,} × {numerator}/{denominator} bytes",
    )
    if not _multiplies_scores(case, setup):
        return activations
    heads = case.model.most_heads
    scores = _Product(
        bytes=tokens * setup.cells_per_stream * heads * 2,
        factors=f"{setup.cells_per_stream:,} cells × {heads:,} heads × 2 bytes",
    )
    return scores if scores.bytes > activations.bytes else activations


def _widest_activation(architecture: Architecture) -> int:
    """The most numbers of a token that are multiplied by a matrix of weights."""
    widths = [architecture.embedding_length]
    for group in architecture.attention:
        widths.append(group.heads * max(group.key_length, group.value_length))
    for feed in architecture.feed_forward:
        widths.append(feed.length * feed.chosen)
    return max(widths)


def _activation_bytes(quantization: str) -> tuple[int, ...]:
    """The bytes of an activation that is multiplied by weights of a quantization, as a numerator
    and a denominator.
    """
    base = BASE_TYPES.get(quantization, "")
    if base in SIZES.activations:
        return SIZES.activations[base]
    if base in BLOCKS and BLOCKS[base].elements == 32:
        return _ACTIVATIONS_OF_32
    return _ACTIVATIONS_OF_256


def _multiplies_scores(case: Case, setup: ContextSetup) -> bool:
    """Whether a CPU converts stored scores to 16 bits to multiply them by values. Values in 32 bits
    need no conversion, such as those of an encoder, which has no cache.
    """
    if case.is_on_device:
        return False
    if setup.flash:
        return False
    return not case.row.encoder and case.cache_types.values != "f32"


def copy_bytes(case: Case) -> int:
    """The bytes of one copy of a full context, to which a server can return: the states, and the
    cells of layers with a window, but not the cells of layers that keep every token
    (LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY in include/llama.h). 0 for encoders and models that embed.

    Σ states + Σ layers × bytes of a cell × tokens of the window
    """
    if case.row.encoder:
        return 0
    if case.embeds:
        return 0
    setup = case.setup
    size = sum_bytes(states(case.model))
    for group in cache_groups(case.model):
        window = window_of(case.model, group)
        if window is None:
            continue
        row_bytes = setup.row_bytes(group.key_elements, group.value_elements)
        size += min(window, setup.cells_per_stream) * group.layers * row_bytes
    return size
