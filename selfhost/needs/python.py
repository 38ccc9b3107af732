"""The memory of transformers, MLX LM, vLLM and SGLang once they loaded a checkpoint in safetensors,
pickle or MLX files.

In goes a case; out come its files and the terms of its memory, in bytes. One account serves all
four, with the numbers of each in `[account]` of its file in specs/runtimes/. What the two servers
hold on a device beside that is in `servers.py`.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture, Attention
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES
from ..core import units
from ..core.records import Record, Unread
from . import checkpoints
from .cache import TORCH, as_unpacked, cache_terms
from .case import Case, is_cast, loads_sixteen_bits, overhead, stored_type, unread_of
from .records import (
    NO_BYTES,
    How,
    Needs,
    Size,
    Term,
    share_of,
    summed,
    taken_off,
    term,
    unread,
)
from .servers import devices_of, terms_by_device, terms_of_server

# save_pretrained cuts files at this size
SHARD_BYTES = TORCH.shard_bytes
_PAGE_BYTES = 4096
_GUESSED_PASS = "general knowledge: the widest layer of one pass over the prompt"


def parts(case: Case) -> Needs:
    """Files and memory. Weights and cache are judged apart: one may be known without the other."""
    if is_cast(case.spec, case.runtime, case.quantization):
        return _cast_while_loaded(case)
    loaded = checkpoints.size_of(case)
    files = loaded
    is_narrowed = _is_narrowed(case)
    if is_narrowed:
        files = checkpoints.size_of(_as_stored(case))
        if isinstance(files, Unread):
            # what is made of files is known no better than they are
            loaded = files
    needs = _download(case.spec, files)
    others = _beside_weights(case)
    if isinstance(loaded, Unread):
        unknown = (*needs.unknown, loaded, loaded.replace(fact="memory.weights"))
        return needs.replace(terms=tuple(others), unknown=tuple(dict.fromkeys(unknown)))
    if is_narrowed:
        weights = _narrowed_weights(case, loaded)
    else:
        weights = _weights(case, loaded)
    if not _has_layers(case):
        program = overhead(case.runtime, on_gpu=case.device is not None)
        why = unread_of(case.spec, "memory.kv_cache")
        return needs.replace(terms=(weights, program), unknown=(*needs.unknown, why))
    if case.runtime.account.divides_layers:
        return needs.replace(
            terms=terms_by_device(case, weights, others),
            tensor_parallel=devices_of(case.model, case.quantization),
        )
    mapped = _as_mapped(case, weights)
    return needs.replace(
        terms=(mapped.weights, *others), evictable_bytes=mapped.evictable_bytes
    )


def _has_layers(case: Case) -> bool:
    """Whether anything is known of the model's layers."""
    return bool(case.model.attention or case.model.recurrent)


def _as_stored(case: Case) -> Case:
    """The case with the files as they are published."""
    return case.replace(quantization=stored_type(case.model))


def _is_narrowed(case: Case) -> bool:
    """Whether the program quantizes published 16-bit weights while it loads them."""
    is_at_load = loads_sixteen_bits(
        case.spec, case.runtime, case.format, case.quantization
    )
    return is_at_load and not case.is_own


def _cast_while_loaded(case: Case) -> Needs:
    """The memory of weights in the type that the program casts them to; what is downloaded are the
    files as published.
    """
    needs = parts(checkpoints.cast_to(case))
    files = checkpoints.size_of(_as_stored(case))
    if isinstance(files, Unread):
        return needs.replace(files=None)
    return needs.replace(files=files, largest_file_bytes=min(files.bytes, SHARD_BYTES))


def _download(spec: ModelSpec, files: Term | Unread) -> Needs:
    """The files; unknown of those without a repository whose type nobody states."""
    if isinstance(files, Unread):
        return Needs(unknown=(files,))
    if files.how is How.ASSUMED and _is_untyped(spec):
        low = units.decimal(files.low_bytes)
        high = units.decimal(files.high_bytes)
        why = unread(f"{low} to {high}: {files.source}", checkpoints.GIVE_FILES)
        return Needs(unknown=(why,))
    return Needs(files=files, largest_file_bytes=min(files.bytes, SHARD_BYTES))


def _is_untyped(spec: ModelSpec) -> bool:
    """Whether nobody states the type of the weights, and no repository has files to look it up."""
    return spec.repository is None and "architecture.dtype" in spec.unknown


def _beside_weights(case: Case) -> list[Term]:
    """Cache, states, the work on a prompt and the program; nothing where no layer is known."""
    if not _has_layers(case):
        return []
    if case.runtime.account.divides_layers:
        return cache_terms(case) + terms_of_server(case)
    work = _work_on_speech(case)
    if work is None:
        work = _activations(case)
    return [*cache_terms(case), work, _program(case)]


# ------------------------------------------------------------------ weights


def _narrowed_weights(case: Case, files: Term) -> Term:
    """16-bit files once their linear layers were made narrow, one by one, where the rest stays."""
    line = files.arithmetic
    extra = 0
    if case.has_row and not case.runtime.account.divides_layers:
        # bitsandbytes leaves alone the one tensor of all experts of a layer (its issue 1849)
        extra = checkpoints.more_in_16_bits(case, {"expert"})
    if extra:
        line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
    size = files.bytes + extra
    high = max(files.high_bytes, int(size * 1.005))
    source = f"{files.source}, made while loading"
    return term(
        "weights", size, files.how, source, line, low=files.low_bytes, high=high
    )


def _weights(case: Case, files: Term) -> Term:
    """The weights in the type that the runtime loads the stored one as."""
    weights = checkpoints.loaded_of(case, files)
    if case.text_alone:
        weights = _without_encoders(case, weights)
    weights = _in_loaded_type(case, weights)
    return term(
        "weights",
        max(0, weights.bytes),
        weights.how,
        weights.source,
        weights.arithmetic,
        low=max(0, weights.low_bytes),
        high=weights.high_bytes,
    )


def _without_encoders(case: Case, weights: Term) -> Term:
    """The weights of the text part alone."""
    is_mlx = case.format == "mlx"
    seeing_bytes = _bytes_of_encoder_number(case) * case.encoders
    low = weights.low_bytes
    # the least of files computed for MLX has no encoders in it
    if not is_mlx or weights.how is How.STATED:
        low -= seeing_bytes
    line = taken_off(weights.arithmetic, seeing_bytes, "of encoders")
    return weights.replace(
        bytes=weights.bytes - seeing_bytes,
        low_bytes=low,
        high_bytes=weights.high_bytes - seeing_bytes,
        arithmetic=f"{line}; it runs only the text part",
    )


def _bytes_of_encoder_number(case: Case) -> int:
    """Bytes of a number of an encoder in the weights as they are loaded."""
    if case.model.dtype != "float32" or case.format == "mlx":
        return 2
    return 2 if case.runtime.account.loads_as == "sixteen" else 4


def _in_loaded_type(case: Case, weights: Term) -> Term:
    """The weights in the type that config.json states, where the runtime goes by it."""
    type = _loaded_type(case)
    if type == case.quantization:
        return weights
    bits = checkpoints.DTYPES[type]
    stored_bits = checkpoints.DTYPES[case.quantization]
    line = share_of(f"{bits:g}/{stored_bits:g}", weights.arithmetic)
    line += f"; it loads {case.quantization} weights in {bits:g} bits (dtype auto)"
    return weights.replace(
        bytes=int(weights.bytes * bits / stored_bits),
        low_bytes=int(weights.low_bytes * bits / stored_bits),
        high_bytes=int(weights.high_bytes * bits / stored_bits),
        arithmetic=line,
    )


def _loaded_type(case: Case) -> str:
    return checkpoints.loaded_type(case.runtime, case.spec, case.quantization)


class _Mapped(Record):
    """The weights in memory, and bytes of mapped files that the system may drop."""

    weights: Term
    evictable_bytes: int = 0


def _as_mapped(case: Case, weights: Term) -> _Mapped:
    """The weights of files that a CPU maps, all of them on a GPU."""
    if not case.runtime.account.maps_files:
        return _Mapped(weights=weights)
    if _has_no_kernel(case):
        return _widened(case, weights)
    type = _loaded_type(case)
    if type != case.quantization:
        # the mapped files and the weights made of them are resident together while it loads
        stored_bits = checkpoints.DTYPES[case.quantization]
        mapped_bytes = weights.bytes * stored_bits / checkpoints.DTYPES[type]
        return _Mapped(weights=weights, evictable_bytes=int(mapped_bytes))
    is_as_published = case.is_own or case.quantization in PLAIN_DTYPES
    if case.device is None and is_as_published:
        return _read_by_rows(case, weights)
    return _Mapped(weights=weights)


def _has_no_kernel(case: Case) -> bool:
    """Whether the published weights are in types that the runtime may have to widen."""
    if not case.is_own or not case.spec.parameters.total:
        return False
    types = set(case.model.narrow_types)
    account = case.runtime.account
    may_be_widened = {*account.widened, *account.widened_always}
    return bool(types) and types <= may_be_widened


def _widened(case: Case, weights: Term) -> _Mapped:
    """Weights without a kernel: two bytes for each parameter. A GPU may have a kernel after all."""
    account = case.runtime.account
    parameters = case.spec.parameters.total or 0
    size = 2 * parameters
    most = int(size * 1.01)
    line = f"{parameters:,} parameters × 2 bytes, because it has no kernel for {case.quantization}"
    always = set(case.model.narrow_types) <= set(account.widened_always)
    if case.device is not None and not always:
        both = weights.replace(
            high_bytes=max(weights.high_bytes, most),
            arithmetic=f"{weights.arithmetic}; up to {line}",
        )
        return _Mapped(weights=both)
    source = f"{case.runtime.name}: made bfloat16 when it loads; {account.source}"
    wide = Size(int(size * 0.99), size, most)
    return _Mapped(
        weights=wide.as_term("weights", How.COMPUTED, source, line),
        evictable_bytes=min(weights.bytes, size) * 9 // 10,
    )


def _read_by_rows(case: Case, weights: Term) -> _Mapped:
    """Of the table of tokens a text reads rows; encoders come in with the first picture."""
    tokens = case.context_tokens * case.workload.parallel
    encoder_bytes = case.encoders * case.width
    unread_bytes = 0
    line = weights.arithmetic
    if case.whole and not _multiplies_table(case):
        unread_bytes = min(weights.low_bytes, _rows_beyond(case, tokens))
        line = taken_off(line, unread_bytes, "of tokens that no text reads")
    # each row may lie across one more page, and what is mapped around it comes in at once
    around_bytes = tokens * _PAGE_BYTES + TORCH.around_a_row_bytes
    evictable = max(0, unread_bytes - around_bytes)
    is_less = bool(unread_bytes or encoder_bytes)
    mapped = weights.replace(
        bytes=weights.bytes - unread_bytes,
        high_bytes=weights.high_bytes - evictable,
        low_bytes=max(0, weights.low_bytes - unread_bytes - encoder_bytes),
        how=How.COMPUTED if is_less else weights.how,
        arithmetic=line,
    )
    return _Mapped(weights=mapped, evictable_bytes=evictable)


def _multiplies_table(case: Case) -> bool:
    """Whether the table of tokens is the output matrix too, which every token reads whole."""
    if case.embeds or case.row.encoder:
        return False
    return bool(case.model.tied_embeddings)


def _rows_beyond(case: Case, tokens: int) -> int:
    """Bytes of the table's rows beyond those that so many tokens read at most."""
    model = case.model
    rows = max(0, model.published_tokens - tokens)
    length = model.table_length or model.embedding_length
    return rows * length * case.width


# ------------------------------------------------------------------ the work on a prompt


def _work_on_speech(case: Case) -> Term | None:
    """The work on half a minute of speech, assumed to be as much as the caches of the audio; None
    of a model that does not hear.
    """
    heard = case.model.audio
    if heard is None:
        return None
    beams = case.runtime.account.speech_beams
    cells = heard.positions * case.workload.parallel * beams
    size = 2 * case.model.layers * heard.embedding_length * cells * case.width
    line = f"{size:,} bytes; as much as the caches of the audio"
    source = case.runtime.account.source or "general knowledge"
    ends = Size(size // 4, size, 2 * size + TORCH.heap_block_bytes)
    return ends.as_term("activations", How.ASSUMED, source, line)


def _activations(case: Case) -> Term:
    """The most that a pass over the prompt, or a piece of it, holds; see `Account`: the widest
    layer, with logits, scores of attention, scans of recurrent layers, masks and arrays that wait.
    """
    account = case.runtime.account
    tokens = _tokens_of_piece(case)
    layer = _widest_layer(case, tokens)
    scanned = _scan_bytes(case, tokens)
    most_scores = _score_bytes(case, tokens)
    scores = most_scores
    if case.device is not None and not account.fused_heads:
        # kernels of GPUs store no scores of any heads, or may do so
        scores = 0
    waiting = min(account.waiting_bytes, layer.bytes * _waiting_layers(case))
    without_scores = layer.bytes + waiting + scanned
    others = _other_bytes(case, tokens)
    logits = _logit_bytes(case)
    most = others.most + int(account.high_share * (without_scores + most_scores))
    size = Size(
        int(account.low_share * (without_scores + scores)) + others.least + logits,
        without_scores + scores + others.likely + logits,
        max(most, _picture_bytes(case)) + logits,
    )
    line = f"{layer.line} + {size.likely - layer.bytes:,} bytes of logits, scores, scans and arrays"
    line += " that wait"
    is_sure = account.source and not scanned and scores == most_scores
    how = How.COMPUTED if is_sure else How.ASSUMED
    source = account.source or _GUESSED_PASS
    return size.as_term("activations", how, source, line)


class _Layer(Record):
    """Bytes of the widest layer, with the line of arithmetic."""

    bytes: int
    line: str


def _widest_layer(case: Case, tokens: int) -> _Layer:
    """Tokens × (width × embedding + inner × widest layer) × bytes of a number."""
    account = case.runtime.account
    wide = case.model.embedding_length
    inner = _numbers_of_widest_layer(case.model)
    numbers = account.width * wide + account.inner * inner
    shape = f"({account.width:g} × {wide:,} + {account.inner:g} × {inner:,})"
    return _Layer(
        bytes=tokens * int(numbers * case.width),
        line=f"{tokens:,} tokens × {shape} × {case.width} bytes",
    )


def _other_bytes(case: Case, tokens: int) -> Size:
    """What does not grow with the layer: masks, and what mixtures of experts hold; at the most what
    the account adds.
    """
    account = case.runtime.account
    size = _mask_bytes(case, tokens)
    if case.model.has_experts:
        size = size.plus(Size(*account.mixture_bytes))
    return size.plus(Size(0, 0, account.high_bytes))


def _logit_bytes(case: Case) -> int:
    """Logits of the last token of each sequence, in 32 bits."""
    return 4 * case.model.published_tokens * case.workload.parallel


def _tokens_of_piece(case: Case) -> int:
    """Tokens of all sequences that are computed at once: of the whole prompt, or of a piece."""
    tokens = case.context_tokens
    piece = case.runtime.account.prompt_tokens or tokens
    return min(tokens, piece) * case.workload.parallel


def _waiting_layers(case: Case) -> int:
    """Layers whose arrays wait to be given back at once."""
    return case.model.layers if case.runtime.account.waits_by_layer else 1


def _numbers_of_widest_layer(model: Architecture) -> int:
    """Numbers of a token inside the widest feed-forward or recurrence."""
    numbers = []
    for feed in model.feed_forward:
        length = feed.length
        if feed.experts:
            length = max(length, model.embedding_length)
        numbers.append(length * feed.chosen)
    if not numbers:
        numbers.append(2 * model.embedding_length)
    for group in model.recurrent:
        numbers.append(group.inner_length or 0)
    return max(numbers)


def _scan_bytes(case: Case, tokens: int) -> int:
    """Bytes that the scan of the widest recurrent layer keeps for all tokens of a piece."""
    most = 0
    for group in case.model.recurrent:
        state = group.state_length or group.key_length or 0
        of_number = case.runtime.account.scan_bytes.get(group.kind, 0.0)
        most = max(most, int(tokens * group.inner_numbers * state * of_number))
    return most


def _mask_bytes(case: Case, tokens: int) -> Size:
    """Masks, which torch makes where a window is shorter than a text: bytes for each pair of its
    tokens.
    """
    sequences = case.workload.parallel
    text = tokens // sequences
    windows = [group.window_tokens or text for group in case.model.attention]
    if all(window >= text for window in windows):
        return NO_BYTES
    return Size(*case.runtime.account.mask_bytes).times(sequences * text**2)


def _picture_bytes(case: Case) -> int:
    """The most that the encoder of a model that sees holds of a picture in each sequence."""
    if case.spec.modality != "vision":
        return 0
    patches = min(4 * case.context_tokens, TORCH.patches)
    numbers = patches * case.workload.parallel * TORCH.numbers_per_patch
    return numbers * case.width


def _score_bytes(case: Case, tokens: int) -> int:
    """Bytes of a score for each pair of tokens and head, where attention stores them."""
    account = case.runtime.account
    model = case.model
    if account.windows == "rotated":
        model = as_unpacked(model)
    most = 0
    for group in model.attention:
        if _stores_scores(case, group):
            most = max(most, group.heads * tokens * _reach(case, group))
    of_score = case.width / 2 if account.fused_heads else 1
    return int(most * account.score_bytes * of_score)


def _stores_scores(case: Case, group: Attention) -> bool:
    """Whether these layers store the scores of all pairs of tokens."""
    if group.kind == "latent":
        return True
    if group.kind == "cross":
        return False
    fused_heads = case.runtime.account.fused_heads
    if fused_heads:
        is_fused = group.key_length == group.value_length in fused_heads
        return not is_fused
    if case.row.torch_scores == "one_head":
        return group.kv_heads == 1 < group.heads
    return bool(case.row.torch_scores or case.row.relative_positions)


def _reach(case: Case, group: Attention) -> int:
    """How many tokens each token attends to at the most."""
    reach = case.context_tokens
    piece = case.runtime.account.prompt_tokens
    if piece and group.kind in ("sliding", "latent"):
        reach = min(reach, (group.window_tokens or reach) + piece)
    return reach


# ------------------------------------------------------------------ the program


def _program(case: Case) -> Term:
    """The program with its libraries and a tokenizer."""
    account = case.runtime.account
    on_gpu = case.device is not None
    if account.program_bytes and not on_gpu:
        size = Size(*account.program_bytes)
        source = f"measured: {account.source}"
        line = f"{size.likely:,} bytes"
        program = size.as_term("runtime", How.MEASURED, source, line)
    else:
        program = overhead(case.runtime, on_gpu=on_gpu and not account.program_bytes)
    return _with_tokenizer(case, program)


def _with_tokenizer(case: Case, program: Term) -> Term:
    """The program with the bytes of each token of the vocabulary. Of a config.json alone a
    tokenizer may be there; what a build for GPUs takes holds it already.
    """
    account = case.runtime.account
    comes = case.spec.tokenizer
    if comes is False or case.model.audio is not None:
        return program
    tokenizer = Size(*account.token_bytes).times(case.model.published_tokens)
    low, likely, high = tokenizer
    is_in_program = case.device is not None and bool(account.program_bytes)
    if comes is None or is_in_program:
        low = 0
        likely = 0
    line = program.arithmetic
    if likely:
        line = summed(line, f"{likely:,} bytes of a tokenizer")
    return program.replace(
        bytes=program.bytes + likely,
        low_bytes=program.low_bytes + low,
        high_bytes=program.high_bytes + high,
        arithmetic=line,
    )
