"""A GGUF file, and what llama.cpp or Ollama takes that loaded it: the weights, the cache, the
states, the compute buffer, the program, the encoder of a model that sees or hears, and a model or
block that drafts for it.

Drafting is as llama.cpp 0c1e570 sets it up (common/speculative.cpp): the draft's context holds as
many tokens as the model's, its cache is f16 whatever the model's is, it asks for one row of logits
per sequence, and the model for `1 + DRAFTED_TOKENS`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...catalogue.architecture import Architecture, Attention
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import FileTensors, ModelSpec, PublishedDraft
from ...core import units
from ...core.records import Record, Unread
from ...core.units import plural
from ..case import (
    ENCODER_REMEDY,
    MEGAPIXEL_SIDE,
    Case,
    Cells,
    encoder_of,
    unread_of,
    why_no_encoders,
)
from ..quantization import (
    BASE_TYPES,
    BITS_PER_WEIGHT,
    BLOCKS,
    CACHE_BLOCKS,
    bytes_of,
)
from ..records import (
    PROGRAMS,
    How,
    Needs,
    Split,
    Term,
    by_layers,
    of_sequences,
    share_by_device,
    term,
    unread,
    with_files,
)
from ..tensors import (
    ArchitectureRow,
    CacheGroup,
    cache_groups,
    row_of,
    shape_of_row,
    states,
    window_of,
)
from .buffers import compute_bytes
from .files import (
    SIZES,
    SOURCE,
    recipe_of,
    size_of,
    tokenizer_kind,
    usual_tensors,
)
from .weights import own_block_weights, weights_terms

# the ends of a guess, as shares of it: 98 of 100 buffers known to the byte lie between
GUESS_LEAST, GUESS_MOST = 0.6, 2.0
# makers of GPUs whose drivers take RAM that was measured
MAKERS_IN_RAM = tuple(SIZES["gpu_in_ram"])
# those that need no flash attention for the values
_PLAIN_CACHE_TYPES = ("f16", "f32", "bf16")
# what is typed for the block that the model itself brings
OWN_BLOCK = "mtp"
_DRAFT_SOURCE = f"{SOURCE}: common/speculative.cpp"
_PADDED = "; in steps of 256; a layer with a window keeps that and a batch"


def parts(case: Case) -> Needs:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    files, room, terms = size_of(case), case.room, list[Term]()
    if not (case.model.attention or case.model.recurrent):
        unknown = [unread_of(case.spec, "memory.kv_cache")]
    else:
        terms, unknown = _kept(case)
        first = case.room_of_first_batch
        compute = _compute(case, first)
        terms += [compute, _program(case, first)]
        if case.device is not None and room.copies_weights:
            terms.append(_inputs_in_ram(case))
        if case.companions.own_block and case.spec.draft is not None:
            terms += _published_draft(case, case.spec.draft, compute)
        elif case.companions.own_block:
            share, likely = SIZES["block_compute"], compute.bytes
            source = f"{_DRAFT_SOURCE}; 36 cases of 6 models"
            source += " measured 0.48 to 0.93 of the model's own buffer"
            line = f"{share[1]:g} × {likely:,} bytes"
            ends = {"low": int(likely * share[0]), "high": likely}
            likely = int(likely * share[1])
            buffer = term("mtp_compute", likely, How.COMPUTED, source, line, **ends)
            kept = _block_cache(case, room.full, room.streams).replace(how=How.EXACT)
            terms += [own_block_weights(case), kept, buffer]
    if isinstance(files, Unread):
        unknown = [files, files.replace(fact="memory.weights"), *unknown]
        return Needs(terms=tuple(terms), unknown=tuple(unknown))
    weights, evictable = weights_terms(case, files)
    if case.device is not None and case.settings.get("cpu_expert_layers"):
        weights = (*_experts_apart(case, weights[0]), *weights[1:])
    if case.companions.own_block and case.spec.draft is not None:
        draft = case.spec.draft
        files = with_files(files, draft_file(case, draft), f"the draft, {draft.name}")
    known_files: Term | None = files
    seeing, unstated = list[Term](), "parameters.encoders" in case.spec.unknown
    sees = case.encoders or case.spec.modality == "vision" or unstated
    if sees and not case.text_alone:
        known_files, seeing, missing = _with_projector(case, files)
        unknown += missing
    return Needs(
        files=known_files,
        terms=(*weights, *terms, *seeing),
        evictable_bytes=evictable,
        largest_file_bytes=min(files.bytes, SIZES["largest_file_bytes"]),
        unknown=tuple(unknown),
    )


def _with_projector(
    case: Case, files: Term
) -> tuple[Term | None, list[Term], list[Unread]]:
    """The files with that of a vision or audio encoder, 16-bit with some 32-bit vectors; what it
    takes in memory; and what of it is not known.
    """
    no_encoders = why_no_encoders(case.spec)
    if no_encoders is not None:
        why = f"{no_encoders}; the file beside it has {units.decimal(files.bytes)}"
        facts = "memory.projector", "download_bytes"
        return None, [], [unread(why, ENCODER_REMEDY, fact) for fact in facts]
    if (
        case.spec.architecture is None
        or not case.encoders
        or case.spec.modality == "speech"
    ):
        return files, [], []
    stated, encoders = case.spec.parameters.projector_bytes, case.encoders
    if stated is not None:
        # names of tensors and keys come on top
        line = f"{stated:,} bytes; {encoders:,} parameters, matrices in 16 bits, the rest in 32"
        source = "F16 projector file as llama.cpp's converter writes it (0c1e570, conversion/*.py)"
        size, low, high = stated, stated, stated + stated // 200
        if stated < 2 * encoders:
            # the publisher quantized it, and others have it in 16 bits
            line = f"{stated:,} bytes; its publisher quantized it, and others have it in 16 bits"
            high = int(encoders * 2.02)
    else:
        source = "F16 projector file; parameters of the encoders in the spec"
        line = f"{encoders:,} parameters × 2.02 bytes"
        size, low, high = int(encoders * 2.02), encoders * 2, int(encoders * 2.12)
    file = term("projector", size, How.COMPUTED, source, line, low=low, high=high)
    stays_in_ram = case.settings.get("projector") == "ram"
    encoder = [file, _picture(case.replace(device=None) if stays_in_ram else case)]
    if stays_in_ram:
        encoder = [each.replace(split=Split.HOST) for each in encoder]
    how = How.ASSUMED if files.how is How.ASSUMED else How.COMPUTED
    return with_files(files, encoder[0], "the projector").replace(how=how), encoder, []


def _kept(case: Case) -> tuple[list[Term], list[Unread]]:
    """What is kept of the tokens: keys and values, and states; and what of it is not known."""
    terms, unknown = list[Term](), list[Unread]()
    cache = _keys_and_values(case)
    if isinstance(cache, Unread):
        unknown.append(cache)
    elif cache is not None:
        terms.append(cache)
    kept_states = _states(case)
    if kept_states is not None:
        terms.append(kept_states)
    return terms, unknown


def _keys_and_values(case: Case) -> Term | Unread | None:
    """The KV cache; None where no layer has one."""
    model, room, runtime = case.model, case.room, case.runtime
    groups = cache_groups(model, with_room=True)
    if not groups:
        return None
    if case.cache_type not in _PLAIN_CACHE_TYPES:
        heads = case.heads_without_flash
        refused = why_cache_refused(
            groups, case.cache_type, runtime, heads_without_flash=heads
        )
        if refused is not None:
            remedy = "use --kv-cache f16"
            if not runtime.memory.flash_attention:
                remedy += ", or --runtime llama.cpp with flash attention on"
            return unread(refused, remedy, "memory.kv_cache")
    parts = cache_rows(model, room)
    size = sum(rows.bytes_in(room) for rows in parts)
    unsure = sum(rows.unsure_bytes_in(room) for rows in parts)
    streams = of_sequences(room.streams)
    line = by_layers(
        (rows.before, rows.layers, f"{rows.after}{streams}") for rows in parts
    )
    windows = ((window_of(model, group), group.tokens_per_row) for group in groups)
    if {room.cells_of_layer(*window) for window in windows} != {case.context_tokens}:
        line += _PADDED
    how, source = How.EXACT, SOURCE
    if unsure:
        how = How.COMPUTED
        line += (
            "; up to all tokens if llama.cpp ignores the window, which was not checked"
        )
        source += "; this architecture was not measured"
    return term("kv_cache", size, how, source, line, high=size + unsure)


def _states(case: Case) -> Term | None:
    """The states of recurrent layers; None where there are none."""
    kept, room, sequences = states(case.model), case.room, case.workload.parallel
    size = sum(state.bytes for state in kept) * sequences * room.states
    if not size:
        return None
    rest = f" × 4 bytes{of_sequences(sequences)}"
    if room.states > 1:
        rest += f" × {room.states} states to roll drafted tokens back to"
    line = by_layers(
        ("", state.layers, f" × {state.arithmetic}{rest}") for state in kept
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
    """The rows of the KV cache, with those that sparse indexers keep. Without flash attention every
    V row has the largest width of any layer, and idle layers have a row too.
    """
    groups, full = cache_groups(architecture, with_room=True), room.full
    row = row_of(architecture)
    widest = (
        0 if room.flash else max((group.value_elements for group in groups), default=0)
    )
    elements, size = CACHE_BLOCKS[room.key_type.upper()]
    of_element = f" × {size}/{elements}".removesuffix("/1") + " bytes"
    parts = []
    for group in groups:
        window = window_of(architecture, group)
        cells = room.cells_of_layer(window, group.tokens_per_row)
        unsure = full - cells if window is not None and not row.window_cache else 0
        before, shape = shape_of_row(group, widest)
        kept = "rows" if group.tokens_per_row > 1 else "tokens"
        rows = CacheRows(
            layers=group.layers,
            key_elements=group.key_elements,
            value_elements=max(widest, group.value_elements),
            cells=cells,
            unsure_cells=unsure,
            before=before,
            after=f" × {shape}{of_element} × {cells:,} {kept}",
        )
        parts.append(rows)
        if group.indexer_elements:
            parts.append(
                _rows_of_indexer(group, full, of_element, is_twice=row.indexer_values)
            )
    attending = {layer for group in architecture.attention for layer in group.layers}
    idle = architecture.layers - len(attending)
    if widest and idle and attending and not architecture.recurrent:
        after = f" without attention × {widest:,}{of_element} × {full:,} tokens"
        rows = CacheRows(
            layers=idle, key_elements=0, value_elements=widest, cells=full, after=after
        )
        parts.append(rows)
    return parts


def _rows_of_indexer(
    group: CacheGroup, cells: int, of_element: str, *, is_twice: bool
) -> CacheRows:
    """The keys of an indexer, which some programs keep for its values, too (`is_twice`)."""
    length = group.indexer_elements
    times_two = "2 × " if is_twice else ""
    return CacheRows(
        layers=group.layers,
        key_elements=length,
        value_elements=length if is_twice else 0,
        cells=cells,
        after=f" × {times_two}{length:,}{of_element} of the indexer × {cells:,} tokens",
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
    """
    if heads_without_flash is not None and type not in _PLAIN_CACHE_TYPES:
        why = "which there is none of on these GPUs for"
        return f"a {type} cache needs flash attention, {why} {heads_without_flash}"
    if (
        runtime is not None
        and not runtime.memory.flash_attention
        and type not in _PLAIN_CACHE_TYPES
    ):
        return f"a {type} cache needs flash attention, which {runtime.name} leaves off by default"
    if type.upper() not in BLOCKS:
        return f"llama.cpp knows no {type} cache"
    block = BLOCKS[type.upper()][0]
    lengths = [
        *(each.key_length for each in groups),
        *(each.value_length for each in groups),
    ]
    odd = next((length for length in lengths if length % block), None)
    why = f"the head size {odd} is not a multiple of {block}"
    return None if odd is None else f"llama.cpp refuses a {type} cache here: {why}"


def _compute(case: Case, first: Cells) -> Term:
    """The buffer once the context is full; in RAM as it is touched, on a device all of it. `first`:
    the cells after one batch.
    """
    rows = case.logits_rows
    whole = (
        case.room.micro_batch if case.runtime.memory.logits_rows == "batch" else rows
    )
    on_device = case.device is not None
    size = reserved = None
    if case.has_row and (case.row.encoder or case.model.vocabulary is not None):
        size = compute_bytes(case.model, case.row, case.room, rows, on_device=on_device)
        reserved = compute_bytes(
            case.model, case.row, case.room, whole, on_device=on_device
        )
    if size is None or reserved is None:
        guess = guessed_compute(case.model, case.row, case.room, whole)
        return guess if case.device is None else _with_copies(case, guess)
    source = f"{SOURCE}; its allocator replayed on the graph of {case.model.row}"
    # at most what the states of several sequences add where each drafted token leaves one: 0.8 to
    # 1.15 times those of one layer, of three models
    kept = case.room.states
    extra_states = kept * case.workload.parallel if kept > 1 else 0
    more = (
        5 * extra_states * max((each.memory for each in states(case.model)), default=0)
    )
    if case.device is not None:
        source, line = f"{source}; {SIZES['on_a_device']}", f"{reserved:,} bytes"
        error = SIZES["device_error"]
        low, high = int(reserved * (1 - error)), (reserved + more) * (1 + error)
        compute = term(
            "compute", reserved, How.COMPUTED, source, line, low=low, high=int(high)
        )
        return _with_copies(case, compute)
    low = min(size, compute_bytes(case.model, case.row, first, rows) or size)
    line = f"{size:,} bytes"
    if low < size:
        line += f"; {size - low:,} bytes less are touched by one short prompt"
    how = How.EXACT if size + more == reserved else How.COMPUTED
    return term("compute", size, how, source, line, low=low, high=size + more)


def guessed_compute(
    model: Architecture, row: ArchitectureRow, room: Cells, logits_rows: int
) -> Term:
    """The buffer of an architecture without a graph: logits, or the widest layer with masks."""
    width, words = (
        model.embedding_length,
        model.vocabulary_gguf or model.vocabulary or 0,
    )
    tokens = (
        room.encoded if row.encoder else min(room.micro_batch, room.full * room.streams)
    )
    rows = 0 if row.encoder else min(tokens, logits_rows)
    logits = 4 * (tokens * width + rows * (words + width))
    span = 0
    if model.attention:
        span = tokens if row.encoder else room.full
    # arrays of scores; with a table of distances theirs, turned, beside
    scores = 3 if row.relative_positions else int(not room.flash or row.unfused)
    alive = 4 * width + _numbers_alive(model, row)
    alive += scores * span * max((group.heads for group in model.attention), default=0)
    # of an indexer the scores of each of its heads, twice
    indexed = {
        group.kind: group.indexer_heads
        for group in model.attention
        if group.indexer_heads
    }
    scored = 0
    if "latent" in indexed:
        scored = 6
    elif "full" in indexed:
        scored = 8 * indexed["full"] + 4
    mask = (2 if room.flash else 4) + scored // room.streams
    body = tokens * (span * mask + 4 * alive)
    line = f"{span:,} cells × {mask} bytes of masks + {alive:,} numbers alive × 4 bytes"
    size, line = max(
        (logits, f"{logits:,} bytes of logits"), (body, f"{tokens:,} tokens × ({line})")
    )
    most = size
    if model.vocabulary is None and not row.encoder:
        words = SIZES["largest_vocabulary"]
        line += f"; the vocabulary is not stated: logits of up to {words:,} tokens"
        most += 4 * logits_rows * words
    source = f"{SOURCE}; a guess by the widest layer, for no graph is written down"
    low, high = int(size * GUESS_LEAST), int(most * GUESS_MOST)
    return term("compute", size, How.ASSUMED, source, line, low=low, high=high)


def _numbers_alive(model: Architecture, row: ArchitectureRow) -> int:
    """Numbers of a token that are alive in the widest layer."""
    widest = 0
    for state in model.recurrent:
        inner = state.inner_length or 0
        widest = max(widest, 4 * inner)
    matrices = 1 if row.gate == "none" else 3
    for feed in model.feed_forward:
        chosen = feed.used or 1
        widest = max(widest, chosen * feed.length * matrices)
    for heads in model.attention:
        numbers = 2 * (heads.heads + heads.kv_heads) * heads.key_length
        if heads.kind == "latent":
            joined = (heads.rope_length or 0) + (heads.latent_length or 0)
            numbers = heads.heads * (heads.key_length + 2 * joined)
            if heads.indexer_heads:
                # 22 buffers of DeepSeek V3.2 and GLM 5
                numbers *= 2
        widest = max(widest, numbers)
    return widest


def _with_copies(case: Case, compute: Term) -> Term:
    """Each of several devices has four copies of a graph's inputs (GGML_SCHED_MAX_COPIES), mostly
    masks; the first copies for a prompt the experts of the largest layer in RAM (`op_offload`).
    """
    copied_bytes = _experts_of_largest_layer(case) if case.room.copies_weights else 0
    return compute.replace(
        pipeline_bytes=3 * sum(_masks(case)), offload_bytes=copied_bytes
    )


def _masks(case: Case) -> list[int]:
    """Bytes of the mask of each kind of layers: those without a window, and those with one."""
    model, room = case.model, case.room
    windows = {window_of(model, group) for group in cache_groups(model)}
    width = 2 if room.flash else 4
    return [
        width * room.micro_batch * room.cells_of_layer(window) for window in windows
    ]


def _inputs_in_ram(case: Case) -> Term:
    """What the graph of a model on a device is fed with, pinned in RAM: masks, and the embeddings
    of a batch as they are looked up and as a caller may hand them over; with several devices four
    copies of the masks. No more of a batch is in RAM where weights lie there, too: a device
    computes it.
    """
    room, masks = case.room, _masks(case)
    # vectors that may come instead of tokens, and what is looked up: of tokens, and of positions
    tables = 3 if case.row.positions else 2
    embeddings_bytes = tables * room.micro_batch * case.model.embedding_length * 4
    # positions, rows, and where keys and values of each kind of layers go
    numbers_bytes = room.micro_batch * (8 + 16 * len(masks))
    size = sum(masks) + embeddings_bytes + numbers_bytes
    line = f"{sum(masks):,} bytes of masks + {embeddings_bytes:,} bytes of embeddings"
    line += f" + {numbers_bytes:,} bytes of positions; in batches of {room.micro_batch:,} tokens"
    source = f"{SOURCE}: CUDA_Host compute buffer; 54 cases on a GPU"
    inputs = term("compute", size, How.COMPUTED, source, line)
    return inputs.replace(split=Split.HOST, pipeline_bytes=3 * sum(masks))


def _experts_of_largest_layer(case: Case) -> int:
    """Bytes of all experts of one layer, of each matrix the largest."""
    largest: dict[str, int] = {}
    for tensor in _expert_tensors(case):
        size = tensor.bytes // tensor.count
        largest[tensor.name] = max(size, largest.get(tensor.name, 0))
    return sum(largest.values())


def _expert_tensors(case: Case) -> list[FileTensors]:
    recipe = recipe_of(case.quantization, case.model)
    if not case.whole or recipe is None:
        return []
    tensors, *_ = usual_tensors(case.model, recipe, case.spec.released)
    return [
        each
        for each in tensors
        if each.name.endswith("_exps.weight") and not each.extra
    ]


def _experts_apart(case: Case, weights: Term) -> tuple[Term, ...]:
    """What a device holds where the experts of the first layers are left in RAM, and these."""
    tensors, first = (
        _expert_tensors(case),
        int(case.settings.get("cpu_expert_layers") or 0),
    )
    layers = [
        n for part in case.model.feed_forward if part.experts for n in part.layers
    ]
    experts, left = sum(each.bytes for each in tensors), sum(n < first for n in layers)
    if not experts or not left:
        return (weights,)
    in_ram, is_mixed = (
        experts * left // len(layers),
        len({t.name for t in tensors}) < len(tensors),
    )
    error = (
        int(min(in_ram, experts - in_ram) * SIZES["experts_error"]) if is_mixed else 0
    )
    line = f"{weights.bytes:,} - {experts:,} bytes of experts"
    rest = weights.resized(weights.bytes - experts, line)
    held = [rest.replace(output_bytes=weights.output_bytes)]
    for size, number in ((experts - in_ram, len(layers) - left), (in_ram, left)):
        line = f"{size:,} bytes; experts of {plural(number, 'layer')}"
        ends = {"low": size - error, "high": size + error}
        part = term("weights", size, How.COMPUTED, weights.source, line, **ends)
        held += (
            [part.replace(first_layer=min(first, case.model.layers))] if number else []
        )
    return *held[:-1], held[-1].replace(first_layer=0, split=Split.HOST)


def _program(case: Case, first: Cells) -> Term:
    """The program with its vocabulary, the backend's work buffer and the outputs of an embedding
    model. The high end has the copies that a server keeps of one prompt that fills each context.
    """
    runtime, row = case.runtime, case.row
    vocabulary = case.model.vocabulary_gguf or case.model.vocabulary or 0
    least, most = SIZES["vocabulary_bytes"][tokenizer_kind(case.model)]
    middle = (least + most) // 2
    program = (
        runtime.memory.overhead_low_bytes + runtime.memory.overhead_high_bytes
    ) // 2
    work, work_line = _work_buffer(case, case.room)
    line = f"{program:,} bytes of program + {vocabulary:,} tokens of vocabulary × {middle} bytes"
    line += work_line
    driver = _driver_in_ram(case)
    if driver.likely_bytes:
        line += f" + {driver.likely_bytes:,} bytes of the GPU's driver"
    outputs = 0
    if case.embeds or row.diffusion:
        # a row of logits and a vector of each token of a batch, cleared when it is made
        # (src/llama-context.cpp, output_reserve); by diffusion no vector
        tokens = case.room.encoded if row.encoder else case.room.micro_batch
        width = 0 if row.diffusion else case.model.embedding_length
        outputs = 4 * tokens * (vocabulary + width)
        line += (
            f" + {tokens:,} tokens × ({vocabulary:,} + {width:,}) × 4 bytes of outputs"
        )
    source = runtime.memory.overhead_source or runtime.name
    # each sequence has a list of its own (slot.prompt.checkpoints)
    copies = (
        case.workload.parallel * runtime.memory.context_checkpoints * copy_bytes(case)
    )
    if copies:
        line += f"; up to {copies:,} more for copies of a full context to go back to"
        stated = runtime.sources.get("memory.context_checkpoints", runtime.name)
        source += f"; copies of the context: {stated}"
    how = (
        How.MEASURED
        if work + outputs <= program + vocabulary * middle
        else How.COMPUTED
    )
    if runtime.memory.overhead_how != "measured":
        how = How.ASSUMED
    touched = min(work, _work_buffer(case, first)[0])
    low = runtime.memory.overhead_low_bytes + vocabulary * least + touched + outputs
    largest_vocabulary = vocabulary or SIZES["largest_vocabulary"]
    high = runtime.memory.overhead_high_bytes + largest_vocabulary * most
    high += work + outputs + copies
    size = program + vocabulary * middle + work + outputs
    return term(
        "runtime",
        size + driver.likely_bytes,
        how,
        source,
        line,
        low=low + driver.least_bytes,
        high=high + driver.most_bytes,
    )


class _DriverMemory(Record):
    """RAM that a GPU's driver and its library take in the process."""

    least_bytes: int = 0
    likely_bytes: int = 0
    most_bytes: int = 0


def _driver_in_ram(case: Case) -> _DriverMemory:
    """What driving a GPU takes in RAM; nothing where it was not measured of its maker."""
    measured = SIZES["gpu_in_ram"].get(case.gpu_maker)
    if case.device is None or measured is None:
        return _DriverMemory()
    kernels = 0
    if any(part.experts for part in case.model.feed_forward):
        # kernels that choose experts are loaded when they are first used
        kernels = SIZES["experts_in_ram"][case.gpu_maker]
    least, likely, most = measured
    return _DriverMemory(
        least_bytes=least + kernels,
        likely_bytes=likely + kernels,
        most_bytes=most + kernels,
    )


def _work_buffer(case: Case, room: Cells) -> tuple[int, str]:
    """The backend's work buffer and its part of the line: as large as its largest product, of the
    activations with the weights, or without flash attention of the scores with the values.
    """
    architecture, base = case.model, BASE_TYPES.get(case.quantization)
    widest = architecture.embedding_length
    for group in architecture.attention:
        widest = max(widest, group.heads * max(group.key_length, group.value_length))
    for feed in architecture.feed_forward:
        chosen = feed.used or 1
        widest = max(widest, feed.length * chosen)
    usual = (34, 32) if base is not None and BLOCKS[base][0] == 32 else (292, 256)
    numerator, denominator = SIZES["activations"].get(base or "", usual)
    size = room.micro_batch * widest * numerator // denominator
    shape = f"{widest:,} × {numerator}/{denominator} bytes"
    # an encoder without a cache has 32-bit values
    plain = room.flash or case.row.encoder or case.cache_type == "f32"
    if not plain and case.device is None:
        heads = max((group.heads for group in architecture.attention), default=0)
        scores = room.micro_batch * room.full * heads * 2
        if scores > size:
            size, shape = scores, f"{room.full:,} cells × {heads:,} heads × 2 bytes"
    return size, f" + {room.micro_batch:,} tokens × {shape} of scratch" if size else ""


def copy_bytes(case: Case) -> int:
    """What a server copies of a full context to go back to: states, and cells of windows."""
    architecture, row, type = case.model, case.row, case.cache_type
    if row.encoder or case.embeds:
        return 0
    size = sum(each.bytes for each in states(architecture))
    for group in cache_groups(architecture):
        window = window_of(architecture, group)
        if window is not None:
            cell = bytes_of(type, group.key_elements) + bytes_of(
                type, group.value_elements
            )
            size += min(window, case.room.full) * group.layers * cell
    return size


def _picture(case: Case) -> Term:
    """The encoder's own buffer, touched by a picture: none without one, at the most of a picture of
    a megapixel, or of as many tokens as an option allows. A device reserves it at load: for one of
    a fixed size, or for the largest (clip-model.h, set_warmup_n_tokens, set_limit_image_tokens).
    """
    encoder = encoder_of(case.spec)
    if encoder is None:
        others = "25 other kinds reserve 20 to 739 MB (llama.cpp 0c1e570)"
        source, (size, most) = (
            f"this encoder was not measured; {others}",
            SIZES["picture_bytes"],
        )
        line, ends = f"{size:,} bytes", {"low": 0, "high": most}
        return term("projector_compute", size, How.ASSUMED, source, line, **ends)
    plain, largest, reserved = (
        encoder.largest_bytes,
        encoder.largest_pixels,
        encoder.reserved_bytes,
    )
    tokens, side = int(case.settings.get("picture_tokens") or 0), encoder.token_pixels
    if tokens and side is not None:
        plain = encoder.picture_bytes(tokens * side**2)
        reserved = plain if reserved == encoder.largest_bytes else reserved
        line = f"{plain:,} bytes; for a picture of {tokens:,} tokens of {side} × {side} pixels"
    elif largest is None:
        line = (
            f"{plain:,} bytes; for {encoder.largest_seconds} seconds of sound, the most"
        )
    else:
        side = min(MEGAPIXEL_SIDE, largest)
        plain = encoder.picture_bytes(side**2)
        line = f"{plain:,} bytes; for a picture of {side:,} × {side:,}"
        if side < largest:
            line += f", {encoder.largest_bytes:,} for one of {largest:,} × {largest:,}, the most"
    source, how = (
        f"{SOURCE}: tools/mtmd/clip.cpp, an encoder {encoder.what}",
        How.MEASURED,
    )
    line += "; none without any, up to a fifth more in a work buffer"
    # with what activations take in 16 bits to meet its weights, and the picture itself: 1.19 times
    # as much of a Pixtral's (tests/truth/llamacpp_companions.json)
    if case.device is None or reserved <= plain:
        low = reserved if case.device else 0
        return term(
            "projector_compute", plain, how, source, line, low=low, high=plain * 6 // 5
        )
    line = f"{reserved:,} bytes; reserved at load, for pictures that need no more"
    return term("projector_compute", reserved, how, source, line)


def vocabularies_differ(model: ModelSpec, draft: ModelSpec) -> tuple[int, int] | None:
    """Both sizes where llama.cpp refuses the draft (SPEC_VOCAB_MAX_SIZE_DIFFERENCE)."""
    shapes = model.architecture, draft.architecture
    own, other = (
        (shape.vocabulary_gguf or shape.vocabulary or 0) if shape is not None else 0
        for shape in shapes
    )
    return (own, other) if own and other and abs(own - other) > 128 else None


def draft_file(case: Case, draft: PublishedDraft) -> Term:
    """The draft's file. llama.cpp takes the file whose type is nearest to the model's: Q8_0 beside
    most files, Q4_0 beside those that were trained for 4 bits, 16 bits beside 16 bits; a program of
    safetensors loads 16 bits.
    """
    weights = 2 * draft.parameters
    if case.format != "gguf":
        line = f"{draft.parameters:,} parameters × 2 bytes"
        high = weights * 101 // 100
        return term("files", weights, How.COMPUTED, draft.source, line, high=high)
    size, in_8_bits = draft.gguf_bytes, bytes_of("Q8_0", draft.parameters)
    low, high = size - in_8_bits + bytes_of("Q4_0", draft.parameters), size
    if BITS_PER_WEIGHT.get(case.quantization, 0) >= 16:
        high = size - in_8_bits + weights
    line = f"{size:,} bytes in Q8_0"
    return term("files", size, How.STATED, draft.source, line, low=low, high=high)


def _published_draft(
    case: Case, draft: PublishedDraft, compute: Term
) -> tuple[Term, Term]:
    """The draft's weights, on the first of several devices, and its compute buffer. It attends to
    the cache of the model (`ctx_other` in src/models/gemma4-assistant.cpp), so it has none.
    """
    file = draft_file(case, draft)
    weights = file.replace(name="mtp_weights", split=Split.FIRST)
    source = f"{_DRAFT_SOURCE}; not measured of {draft.name}, which is narrower than the model"
    likely = int(compute.bytes * SIZES["block_compute"][0])
    line = (
        f"{SIZES['block_compute'][0]:g} × {compute.bytes:,} bytes, as of other blocks"
    )
    ends = {"low": likely // 4, "high": compute.bytes}
    return weights, term("mtp_compute", likely, How.ASSUMED, source, line, **ends)


def why_no_own_block(model: ModelSpec) -> str | None:
    """Why the model has no block or published draft of its own to draft with; None where it has."""
    architecture = model.architecture
    if model.draft is not None:
        return None
    if architecture is None or not architecture.mtp_layers:
        return "brings no block that predicts more than one token"
    if not cache_groups(architecture):
        return "keeps no cache of tokens, so the size of its block's cache is not known"
    return None


def with_draft(model: Needs, draft: Needs, case: Case, source: str) -> Needs:
    """The model with another that drafts for it, on the first of several accelerators."""
    name = case.draft.spec.name if case.draft is not None else ""
    terms = [
        each.replace(
            name=f"draft_{each.name}",
            split=each.split if each.stays_in_ram else Split.FIRST,
            output_bytes=0,
            arithmetic=f"{each.arithmetic}; of {name}",
            source=f"{each.source}; as a draft: {source}",
        )
        for each in draft.terms
        if each.name not in ("activations", *PROGRAMS)
    ]
    unknown = [
        each.replace(reason=f"{name}, the draft: {each.reason}")
        for each in draft.unknown
    ]
    files, more, largest = model.files, draft.files, model.largest_file_bytes or 0
    if not case.companions.draft_is_here and files is not None:
        files = None if more is None else with_files(files, more, f"the draft, {name}")
        largest = max(largest, draft.largest_file_bytes or 0)
    parallel = [each for each in model.tensor_parallel if each in draft.tensor_parallel]
    return model.replace(
        files=files,
        terms=(*model.terms, *terms),
        unknown=(*model.unknown, *unknown),
        evictable_bytes=model.evictable_bytes + draft.evictable_bytes,
        largest_file_bytes=largest or None,
        tensor_parallel=tuple(parallel),
    )


def block_of_checkpoint(case: Case) -> list[Term]:
    """The block's weights, in a narrow type or in 16 bits, and a cache as wide as a layer's; or the
    weights of the draft that its publisher made for it.
    """
    parameters, architecture = case.spec.parameters.mtp, case.spec.architecture
    devices = case.device.devices if case.device is not None else 1
    if case.spec.draft is not None:
        # it reads the keys and values of the model, which every device has a part of
        whole = draft_file(case, case.spec.draft).replace(name="mtp_weights")
        return [share_by_device(whole, devices, 1 / devices)]
    if architecture is None or not parameters or not architecture.mtp_layers:
        return []
    low, line = parameters * 2, f"{parameters:,} parameters × 2 bytes"
    if architecture.matrix_dtype is not None or architecture.expert_dtype is not None:
        low = parameters // 2
        line += "; less where the block is stored in the model's narrow type"
    source = case.runtime.sources.get("companions", case.runtime.name)
    weights = term("mtp_weights", parameters * 2, How.COMPUTED, source, line, low=low)
    kept = _block_cache(case, case.context_tokens, case.workload.parallel).replace(
        source=source
    )
    heads = max(1, min(group.kv_heads for group in cache_groups(architecture)))
    return [
        share_by_device(weights, devices, 1 / devices),
        share_by_device(kept, devices, 1 / min(devices, heads)),
    ]


def _block_cache(case: Case, tokens: int, sequences: int) -> Term:
    """A plain 16-bit cache of the block's layers, as wide as a layer that keeps every token."""
    groups, blocks = cache_groups(case.model), case.model.mtp_layers or 0
    group = next(
        (group for group in reversed(groups) if group.window_tokens is None), groups[-1]
    )
    size = blocks * 2 * (group.key_elements + group.value_elements) * tokens * sequences
    before, shape = shape_of_row(group)
    line = f"{before}{plural(blocks, 'block')} × {shape} × 2 bytes × {tokens:,} tokens"
    line += of_sequences(sequences)
    return term("mtp_kv_cache", size, How.COMPUTED, _DRAFT_SOURCE, line)
