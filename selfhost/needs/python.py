"""The memory of transformers, MLX LM, vLLM and SGLang once they loaded a checkpoint in safetensors,
pickle or MLX files: one account for all, with the numbers of each in `[account]` of its file in
specs/runtimes/. What the two servers hold on a device beside that is in `servers.py`.
"""

from __future__ import annotations

from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES
from ..core import units
from ..core.records import Unread
from ..core.tables import shipped_table
from . import checkpoints
from .cache import as_unpacked, cache_terms
from .case import Case, is_cast, loads_sixteen_bits, overhead, stored_type, unread_of
from .records import How, Needs, Term, share_of, summed, taken_off, term, unread
from .servers import devices_of, terms_by_device, terms_of_server

_TORCH = shipped_table("memory")["torch"]
SHARD_BYTES: int = _TORCH["shard_bytes"]
_PAGE_BYTES = 4096


def parts(case: Case) -> Needs:
    """Files and memory. What is cast while it loads is downloaded as published."""
    spec, runtime, own = (
        case.spec,
        case.runtime,
        case.replace(quantization=stored_type(case.model)),
    )
    if is_cast(spec, runtime, case.quantization):
        wide, narrow = checkpoints.size_of(own), parts(checkpoints.cast_to(case))
        if isinstance(wide, Unread):
            return narrow.replace(files=None)
        return narrow.replace(
            files=wide, largest_file_bytes=min(wide.bytes, SHARD_BYTES)
        )
    loaded = files = checkpoints.size_of(case)
    at_load = loads_sixteen_bits(spec, runtime, case.format, case.quantization)
    is_narrowed = at_load and not case.is_own
    if is_narrowed:
        files = checkpoints.size_of(own)
        # what is made of files is known no better than they are
        loaded = files if isinstance(files, Unread) else loaded
    beside, heard = list[Term](), case.model.audio
    layers = *case.model.attention, *case.model.recurrent
    if layers and runtime.account.divides_layers:
        beside = cache_terms(case) + terms_of_server(case)
    elif heard is not None and layers:
        # the work on half a minute of speech
        cells = heard.positions * case.workload.parallel * runtime.account.speech_beams
        size = 2 * case.model.layers * heard.embedding_length * cells * case.width
        line = f"{size:,} bytes; as much as the caches of the audio"
        ends = {"low": size // 4, "high": 2 * size + _TORCH["heap_block_bytes"]}
        source = runtime.account.source or "general knowledge"
        work = term("activations", size, How.ASSUMED, source, line, **ends)
        beside = [*cache_terms(case), work, _program(case)]
    elif layers:
        beside = [*cache_terms(case), _activations(case), _program(case)]
    answer = _download(spec, files)
    if isinstance(loaded, Unread):
        unknown = (*answer.unknown, loaded, loaded.replace(fact="memory.weights"))
        return answer.replace(
            terms=tuple(beside), unknown=tuple(dict.fromkeys(unknown))
        )
    weights = _weights(case, loaded, is_narrowed=is_narrowed)
    if not layers:
        terms = (weights, overhead(runtime, on_gpu=case.device is not None))
        return answer.replace(
            terms=terms, unknown=(*answer.unknown, unread_of(spec, "memory.kv_cache"))
        )
    if case.runtime.account.divides_layers:
        devices = devices_of(case.model, case.quantization)
        held = terms_by_device(case, weights, beside)
        return answer.replace(terms=held, tensor_parallel=devices)
    weights, evictable = _as_mapped(case, weights)
    return answer.replace(terms=(weights, *beside), evictable_bytes=evictable)


def _download(spec: ModelSpec, files: Term | Unread) -> Needs:
    """The files; unknown of those without a repository whose type nobody states."""
    architecture = spec.architecture
    if isinstance(files, Unread):
        return Needs(unknown=(files,))
    untyped = (
        architecture is not None
        and architecture.dtype is None
        and spec.repository is None
    )
    if not (
        untyped and files.how is How.ASSUMED and "architecture.dtype" in spec.unknown
    ):
        return Needs(files=files, largest_file_bytes=min(files.bytes, SHARD_BYTES))
    low, high = units.decimal(files.low_bytes), units.decimal(files.high_bytes)
    return Needs(
        unknown=(unread(f"{low} to {high}: {files.source}", checkpoints.GIVE_FILES),)
    )


def _weights(case: Case, files: Term, *, is_narrowed: bool) -> Term:
    """The weights in the type that the runtime loads the stored one as; or the 16-bit files once
    their linear layers were made narrow, one by one, where the rest stays.
    """
    if is_narrowed:
        line, source, extra = files.arithmetic, f"{files.source}, made while loading", 0
        if case.has_row and not case.runtime.account.divides_layers:
            # bitsandbytes leaves alone the one tensor of all experts of a layer (its issue 1849)
            extra = checkpoints.more_in_16_bits(case, {"expert"})
        if extra:
            line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
        size = files.bytes + extra
        high = max(files.high_bytes, int(size * 1.005))
        return term(
            "weights", size, files.how, source, line, low=files.low_bytes, high=high
        )
    loaded, architecture = checkpoints.loaded_of(case, files), case.spec.architecture
    low, size, high, line = (
        loaded.low_bytes,
        loaded.bytes,
        loaded.high_bytes,
        loaded.arithmetic,
    )
    if case.text_alone:
        is_wide = architecture is not None and architecture.dtype == "float32"
        is_mlx = case.format == "mlx"
        keeps = is_wide and not is_mlx and case.runtime.account.loads_as != "sixteen"
        seeing = (4 if keeps else 2) * case.encoders
        # the least of files computed for MLX has no encoders in it
        has_none = is_mlx and loaded.how is not How.STATED
        size, high, low = (
            size - seeing,
            high - seeing,
            low if has_none else low - seeing,
        )
        line = f"{taken_off(line, seeing, 'of encoders')}; it runs only the text part"
    type = checkpoints.loaded_type(case.runtime, case.spec, case.quantization)
    if type != case.quantization:
        bits, stored_bits = (
            checkpoints.DTYPES[type],
            checkpoints.DTYPES[case.quantization],
        )
        low, size, high = (int(each * bits / stored_bits) for each in (low, size, high))
        line = share_of(f"{bits:g}/{stored_bits:g}", line)
        line += f"; it loads {case.quantization} weights in {bits:g} bits (dtype auto)"
    size = max(0, size)
    return term(
        "weights", size, loaded.how, loaded.source, line, low=max(0, low), high=high
    )


def _as_mapped(case: Case, weights: Term) -> tuple[Term, int]:
    """The weights of files that a CPU maps, all of them on a GPU; and the bytes that may go."""
    account, architecture, quantization = (
        case.runtime.account,
        case.model,
        case.quantization,
    )
    if not account.maps_files:
        return weights, 0
    types = {architecture.matrix_dtype, architecture.expert_dtype} - {None}
    widened, parameters = set(account.widened_always), case.spec.parameters.total
    if case.is_own and parameters and types and types <= {*account.widened, *widened}:
        # two bytes for each parameter of types without a kernel
        size = 2 * parameters
        line = f"{parameters:,} parameters × 2 bytes, because it has no kernel for {quantization}"
        if case.device is None or types <= widened:
            source = (
                f"{case.runtime.name}: made bfloat16 when it loads; {account.source}"
            )
            ends = {"low": int(size * 0.99), "high": int(size * 1.01)}
            wide = term("weights", size, How.COMPUTED, source, line, **ends)
            return wide, min(weights.bytes, size) * 9 // 10
        high = max(weights.high_bytes, int(size * 1.01))
        line = f"{weights.arithmetic}; up to {line}"
        return weights.replace(high_bytes=high, arithmetic=line), 0
    type = checkpoints.loaded_type(case.runtime, case.spec, quantization)
    if type != quantization:
        # the mapped files and the weights made of them are resident together while it loads
        return weights, int(
            weights.bytes * checkpoints.DTYPES[quantization] / checkpoints.DTYPES[type]
        )
    if case.device is not None or not (case.is_own or quantization in PLAIN_DTYPES):
        return weights, 0
    return _read_by_rows(case, weights)


def _read_by_rows(case: Case, weights: Term) -> tuple[Term, int]:
    """Of the table of tokens a text reads rows; encoders come in with the first picture."""
    architecture, encoders = case.model, case.encoders * case.width
    tokens, unread, line = (
        case.context_tokens * case.workload.parallel,
        0,
        weights.arithmetic,
    )
    is_multiplied = architecture.tied_embeddings and not case.row.encoder
    if case.whole and (not is_multiplied or case.embeds):
        rows = max(0, (architecture.vocabulary or 0) - tokens)
        length = architecture.table_length or architecture.embedding_length
        unread = min(weights.low_bytes, rows * length * case.width)
        line = taken_off(line, unread, "of tokens that no text reads")
    # each row may lie across one more page, and what is mapped around it comes in at once
    evictable = max(0, unread - tokens * _PAGE_BYTES - _TORCH["around_a_row_bytes"])
    mapped = weights.replace(
        bytes=weights.bytes - unread,
        high_bytes=weights.high_bytes - evictable,
        low_bytes=max(0, weights.low_bytes - unread - encoders),
        how=How.COMPUTED if unread or encoders else weights.how,
        arithmetic=line,
    )
    return mapped, evictable


def _activations(case: Case) -> Term:
    """The most that a pass over the prompt, or a piece of it, holds; see `Account`."""
    architecture, account, width = case.model, case.runtime.account, case.width
    tokens, sequences = case.context_tokens, case.workload.parallel
    wide = architecture.embedding_length
    piece = min(tokens, account.prompt_tokens or tokens) * sequences
    inner, scanned = _widest_and_scanned(case, piece)
    each = int((account.width * wide + account.inner * inner) * width)
    passes = architecture.layers if account.waits_by_layer else 1
    waiting = min(account.waiting_bytes, piece * each * passes)
    vocabulary = architecture.vocabulary or 0
    logits = 4 * vocabulary * sequences
    scores = most_scores = _score_bytes(case, piece)
    if case.device is not None and not account.fused_heads:
        # kernels of GPUs store no scores of any heads, or may do so
        scores = 0
    least, mixture, most = (
        account.mixture_bytes if architecture.has_experts else (0, 0, 0)
    )
    # masks, which torch makes where a window is shorter than a text
    text = piece // sequences
    mask = most_masks = 0
    if any((group.window_tokens or text) < text for group in architecture.attention):
        _, likely, most_bytes = account.mask_bytes
        mask = sequences * text**2 * likely
        most_masks = sequences * text**2 * most_bytes
    size = piece * each + waiting + scanned + scores
    most += int(account.high_share * (size - scores + most_scores))
    most += account.high_bytes + most_masks
    if case.spec.modality == "vision":
        patches = min(4 * tokens, _TORCH["patches"])
        most = max(most, patches * sequences * _TORCH["numbers_per_patch"] * width)
    shape = f"({account.width:g} × {wide:,} + {account.inner:g} × {inner:,})"
    beside = waiting + logits + scanned + scores + mixture + mask
    line = f"{piece:,} tokens × {shape} × {width} bytes + {beside:,} bytes of logits,"
    line += " scores, scans and arrays that wait"
    source = (
        account.source
        or "general knowledge: the widest layer of one pass over the prompt"
    )
    is_sure = account.source and not scanned and scores == most_scores
    how = How.COMPUTED if is_sure else How.ASSUMED
    low = int(account.low_share * size) + logits + least
    size = piece * each + beside
    return term("activations", size, how, source, line, low=low, high=most + logits)


def _widest_and_scanned(case: Case, piece: int) -> tuple[int, int]:
    """The numbers of a token in the widest layer, and the bytes that scans of recurrent layers keep
    for all tokens of a piece.
    """
    wide, lengths, scans = case.model.embedding_length, list[int](), [0]
    for feed in case.model.feed_forward:
        chosen = feed.used or 1
        lengths.append(max(feed.length, wide if feed.experts else 0) * chosen)
    lengths = lengths or [2 * wide]
    for group in case.model.recurrent:
        lengths.append(group.inner_length or 0)
        inner = group.inner_numbers
        state = group.state_length or group.key_length or 0
        kept = case.runtime.account.scan_bytes.get(group.kind, 0.0)
        scans.append(int(piece * inner * state * kept))
    return max(lengths), max(scans)


def _score_bytes(case: Case, piece: int) -> int:
    """Bytes of a score for each pair of tokens and head, where attention stores them."""
    architecture, account, most = case.model, case.runtime.account, 0
    if account.windows == "rotated":
        architecture = as_unpacked(architecture)
    for group in architecture.attention:
        stores = case.row.torch_scores or case.row.relative_positions
        if account.fused_heads:
            stores = not group.key_length == group.value_length in account.fused_heads
        elif case.row.torch_scores == "one_head":
            stores = group.kv_heads == 1 < group.heads
        if group.kind == "latent" or (group.kind != "cross" and stores):
            reach = case.context_tokens
            if account.prompt_tokens and group.kind in ("sliding", "latent"):
                reach = min(
                    reach, (group.window_tokens or reach) + account.prompt_tokens
                )
            most = max(most, group.heads * piece * reach)
    return int(
        most * account.score_bytes * (case.width / 2 if account.fused_heads else 1)
    )


def _program(case: Case) -> Term:
    """The program with its libraries and a tokenizer; of a config.json alone one may be there."""
    account, on_gpu = case.runtime.account, case.device is not None
    program = overhead(case.runtime, on_gpu=on_gpu and not account.program_bytes)
    if account.program_bytes and not on_gpu:
        low, likely, high = account.program_bytes
        line, source = f"{likely:,} bytes", f"measured: {account.source}"
        program = term(
            "runtime", likely, How.MEASURED, source, line, low=low, high=high
        )
    comes, vocabulary = case.spec.tokenizer, case.model.vocabulary or 0
    if comes is False or case.model.audio is not None:
        return program
    low, likely, high = (each * vocabulary for each in account.token_bytes)
    if comes is None or (on_gpu and account.program_bytes):
        # what a build for GPUs takes holds it already
        low = likely = 0
    line = program.arithmetic
    return program.replace(
        bytes=program.bytes + likely,
        low_bytes=program.low_bytes + low,
        high_bytes=program.high_bytes + high,
        arithmetic=summed(line, f"{likely:,} bytes of a tokenizer") if likely else line,
    )
