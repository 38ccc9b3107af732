"""The memory of transformers, MLX LM, vLLM and SGLang once they loaded a checkpoint in safetensors,
pickle or MLX files: one account for all, with the numbers of each in `[account]` of its file in
specs/runtimes/.
"""

from __future__ import annotations

from ..catalogue.architecture import Architecture
from ..catalogue.layers import Attention
from ..catalogue.quantization_names import PLAIN_DTYPES
from ..catalogue.runtime import Account, RuntimeSpec
from ..core.records import Unread
from .checkpoints import (
    DTYPES,
    cast_to,
    download_of,
    expert_bytes_left,
    loaded_of,
    loaded_type,
    size_of,
    width_of,
)
from .kept import as_unpacked, kept_terms, overhead
from .parts import Asked, Parts, Subject, is_cast, loads_sixteen_bits, name_of, term, unread_cache
from .records import How, SizedWeights, Term, share_of, summed, taken_off
from .tensors import ArchitectureRow

# save_pretrained cuts files at 5 GB, newer releases at 50 GB
_SHARD_BYTES = 5_000_000_000
# a page of Linux, and what it maps at once around a row of a cached file (mm/filemap.c, from 6.18)
_PAGE_BYTES, _AROUND_A_ROW_BYTES = 4096, 2 << 20
# patches of 14 pixels in a picture of 1,024 × 1,024, and numbers alive per patch in the widest of
# the measured encoders: Qwen's rotates in float32, and holds 24 times its width of up to 1,280
_PATCHES, _NUMBERS_PER_PATCH = 5_476, 24 * 1280


def parts(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    """Files and memory of a Python runtime."""
    spec, architecture, quantization = subject.spec, subject.architecture, workload.quantization
    if is_cast(spec, runtime, quantization):
        return _cast(subject, runtime, format, workload)
    loaded = files = size_of(subject, format, quantization)
    is_narrowed = loads_sixteen_bits(spec, runtime, format, quantization)
    if is_narrowed:
        files = size_of(subject, format, name_of(architecture))
    beside = tuple(_terms_beside(subject, runtime, workload))
    if isinstance(files, Unread) or isinstance(loaded, Unread):
        missing = tuple(part for part in dict.fromkeys((files, loaded)) if isinstance(part, Unread))
        unknown = (*missing, missing[-1].replace(fact="memory.weights"))
        return Parts(files=files, terms=beside, unknown=unknown)
    answer = _downloaded(download_of(spec, files))
    if is_narrowed and quantization != name_of(architecture):
        weights = _quantized_while_loading(loaded, subject, runtime, quantization)
    else:
        weights = _weights(subject, loaded, runtime, format, quantization)
    if not beside or architecture is None:
        terms = (weights, overhead(runtime, on_gpu=workload.device is not None))
        return answer.replace(terms=terms, unknown=(*answer.unknown, unread_cache(spec)))
    row = subject.row or ArchitectureRow(name=architecture.row)
    if not runtime.account.divides_layers:
        weights, evictable = _as_mapped(subject, architecture, row, weights, runtime, workload)
        return answer.replace(terms=(weights, *beside), evictable_bytes=evictable)
    from . import servers

    held = servers.on_each_device((weights, *beside), subject, architecture, row, runtime, workload)
    devices = servers.devices_of(architecture, quantization)
    return answer.replace(terms=held, tensor_parallel=devices)


def _downloaded(files: SizedWeights | Unread) -> Parts:
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files,))
    return Parts(files=files, largest_file_bytes=min(files.bytes, _SHARD_BYTES))


def _cast(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    """What the narrow weights take in memory, with the wide files that are downloaded for them."""
    files = size_of(subject, format, name_of(subject.architecture))
    narrow = parts(cast_to(subject, workload.quantization), runtime, format, workload)
    if isinstance(files, Unread):
        return narrow.replace(files=files)
    return narrow.replace(files=files, largest_file_bytes=min(files.bytes, _SHARD_BYTES))


def _terms_beside(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> list[Term]:
    """The terms beside the weights, whether or not the weights are known; [] where it is not known
    what it keeps.
    """
    architecture = subject.architecture
    if architecture is None or not (architecture.attention or architecture.recurrent):
        return []
    row = subject.row or ArchitectureRow(name=architecture.row)
    terms = [*kept_terms(architecture, row, runtime, workload)]
    if runtime.account.divides_layers:
        from . import servers

        return [*terms, *servers.terms(subject, architecture, row, runtime, workload)]
    if (
        runtime.account.windows == "rotated"
        and architecture.dtype == "float32"
        and subject.spec.quantized is None
    ):
        # files for MLX made of weights in 32 bits may have 16
        terms = [each.replace(low_bytes=each.low_bytes // 2) for each in terms]
    working = activations(subject, architecture, row, runtime, workload)
    return [*terms, working, _program(subject, architecture, runtime, workload)]


# ------------------------------------------------------------------ weights


def _weights(
    subject: Subject, files: SizedWeights, runtime: RuntimeSpec, format: str, quantization: str
) -> Term:
    """The weights in the type that the runtime loads the stored one as."""
    loaded, spec = loaded_of(subject, files, format, quantization), subject.spec
    low, size, high, line = loaded.low_bytes, loaded.bytes, loaded.high_bytes, loaded.arithmetic
    if subject.text_alone:
        width = 2
        if subject.architecture is not None and format != "mlx":
            width = width_of(subject.architecture, runtime, quantization)
        seeing = width * (spec.parameters.encoders or 0)
        # the least of files computed for MLX has no encoders in it
        has_none = format == "mlx" and loaded.how is not How.STATED
        size, high, low = size - seeing, high - seeing, low if has_none else low - seeing
        line = f"{taken_off(line, seeing, 'of encoders')}; it runs the text alone"
    stored, type = loaded_type(runtime, spec, quantization)
    if stored != type:
        low, size, high = (int(each * DTYPES[type] / DTYPES[stored]) for each in (low, size, high))
        line = share_of(f"{DTYPES[type]:g}/{DTYPES[stored]:g}", line)
        line += f"; it loads {stored} weights in {DTYPES[type]:g} bits (dtype auto)"
    size = max(0, size)
    return term("weights", size, loaded.how, loaded.source, line, low=max(0, low), high=high)


def _quantized_while_loading(
    files: SizedWeights, subject: Subject, runtime: RuntimeSpec, quantization: str
) -> Term:
    """The 16-bit files once their linear layers were made narrow, one by one; the rest stays."""
    line, source, extra = files.arithmetic, f"{files.source}, made while loading", 0
    if subject.architecture and subject.row and not runtime.account.divides_layers:
        extra = expert_bytes_left(subject.architecture, subject.row, quantization)
    if extra:
        # transformers 5 keeps a layer's experts in one tensor, which bitsandbytes leaves alone: its
        # issue 1849
        line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
    size = files.bytes + extra
    high = max(files.high_bytes, int(size * 1.005))
    return term("weights", size, files.how, source, line, low=files.low_bytes, high=high)


def _as_mapped(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    weights: Term,
    runtime: RuntimeSpec,
    workload: Asked,
) -> tuple[Term, int]:
    """The weights of files that a CPU maps, all of them on a GPU; and the bytes that may go."""
    account, quantization = runtime.account, workload.quantization
    if not account.maps_files:
        return weights, 0
    types = {architecture.matrix_dtype, architecture.expert_dtype} - {None}
    is_own, widened = quantization == name_of(architecture), set(account.widened_always)
    if is_own and types and types <= {*account.widened, *widened}:
        is_certain = workload.device is None or types <= widened
        return _widened(subject, weights, runtime, is_certain=is_certain)
    stored, type = loaded_type(runtime, subject.spec, quantization)
    if stored != type:
        # the mapped files and the weights made of them are resident together while it loads
        return weights, int(weights.bytes * DTYPES[stored] / DTYPES[type])
    if workload.device is not None or not (is_own or quantization in PLAIN_DTYPES):
        return weights, 0
    width = width_of(architecture, runtime, quantization)
    return _read_by_rows(subject, architecture, row, weights, width, workload)


def _widened(
    subject: Subject, weights: Term, runtime: RuntimeSpec, *, is_certain: bool
) -> tuple[Term, int]:
    """Two bytes for each parameter of types without a kernel, where that is certain."""
    size, type = 2 * (subject.spec.parameters.total or 0), name_of(subject.architecture)
    if not size:
        return weights, 0
    line = f"{size // 2:,} parameters × 2 bytes, for it has no kernel for {type}"
    source = f"{runtime.name}: made bfloat16 when it loads; {runtime.account.source}"
    low, high = int(size * 0.99), int(size * 1.01)
    if is_certain:
        wide = term("weights", size, How.COMPUTED, source, line, low=low, high=high)
        return wide, min(weights.bytes, size) * 9 // 10
    high = max(weights.high_bytes, high)
    return weights.replace(high_bytes=high, arithmetic=f"{weights.arithmetic}; up to {line}"), 0


def _read_by_rows(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    weights: Term,
    width: int,
    workload: Asked,
) -> tuple[Term, int]:
    """Mapped weights of which a text reads rows of the table of tokens, unless that is the output
    matrix too; encoders come in with the first picture.
    """
    encoders = subject.spec.parameters.encoders or 0
    tokens, unread = workload.context_tokens * workload.parallel, 0
    is_multiplied = architecture.tied_embeddings and not row.encoder
    if subject.whole and (not is_multiplied or subject.spec.modality == "embedding"):
        rows = max(0, (architecture.vocabulary or 0) - tokens)
        unread = rows * (architecture.table_length or architecture.embedding_length) * width
    unread = min(weights.low_bytes, unread)
    if not unread and not encoders:
        return weights, 0
    # each row may lie across one more page, and what is mapped around it comes in at once
    evictable = max(0, unread - tokens * _PAGE_BYTES - _AROUND_A_ROW_BYTES)
    line = weights.arithmetic
    mapped = weights.replace(
        bytes=weights.bytes - unread,
        high_bytes=weights.high_bytes - evictable,
        low_bytes=max(0, weights.low_bytes - unread - encoders * width),
        how=How.COMPUTED,
        arithmetic=taken_off(line, unread, "of tokens that no text reads") if unread else line,
    )
    return mapped, evictable


# ------------------------------------------------------------------ what a prompt takes


def activations(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> Term:
    """The most that a pass over the prompt, or a piece of it, holds: the widest layer, scores of
    attention where no kernel fuses it, and scans of recurrent layers; see `Account`.
    """
    account = runtime.account
    width = width_of(architecture, runtime, workload.quantization)
    if architecture.audio is not None:
        return _speech(architecture, runtime, workload, width)
    tokens, wide = workload.context_tokens, architecture.embedding_length
    piece = min(tokens, account.prompt_tokens or tokens) * workload.parallel
    inner = _widest(architecture)
    each = int((account.width * wide + account.inner * inner) * width)
    passes = architecture.layers if account.waits_by_layer else 1
    waiting = min(account.waiting_bytes, piece * each * passes)
    logits = 4 * (architecture.vocabulary or 0) * workload.parallel
    scanned = _scan_bytes(architecture, account, piece)
    scores = most_scores = _score_bytes(architecture, row, account, tokens, piece, width)
    if workload.device is not None and not account.fused_heads:
        # kernels of GPUs store no scores of any heads, or may do so
        scores = 0
    has_experts = any(group.experts for group in architecture.feed_forward)
    least, mixture, most = account.mixture_bytes if has_experts else (0, 0, 0)
    mask, most_mask = _mask_bytes(architecture, account, piece, workload.parallel)
    size = piece * each + waiting + scanned + scores
    most += int(account.high_share * (size - scores + most_scores)) + account.high_bytes + most_mask
    if subject.spec.modality == "vision":
        patches = min(4 * tokens, _PATCHES)
        most = max(most, patches * workload.parallel * _NUMBERS_PER_PATCH * width)
    parts = {
        "logits and of arrays that wait": waiting + logits,
        "the scan": scanned,
        "scores, which it stores": scores,
        "products of experts": mixture,
        "masks of windows": mask,
    }
    line = (
        f"{piece:,} tokens × ({account.width:g} × {wide:,} + {account.inner:g} × {inner:,}) ×"
        f" {width} bytes"
    )
    line += "".join(f" + {part:,} bytes of {what}" for what, part in parts.items() if part)
    source = account.source or "general knowledge: the widest layer of one pass over the prompt"
    is_sure = account.source and not scanned and scores == most_scores
    return term(
        "activations",
        size + logits + mixture + mask,
        How.COMPUTED if is_sure else How.ASSUMED,
        source,
        line,
        low=int(account.low_share * size) + logits + least,
        high=most + logits,
    )


def _mask_bytes(
    architecture: Architecture, account: Account, piece: int, sequences: int
) -> tuple[int, int]:
    """The likely and the most bytes of masks, which torch makes where a window is shorter."""
    each = piece // sequences
    windows = [group.window_tokens or each for group in architecture.attention]
    if min(windows, default=each) >= each:
        return 0, 0
    _, likely, most = account.mask_bytes
    return likely * each**2 * sequences, most * each**2 * sequences


def _widest(architecture: Architecture) -> int:
    """Numbers of one token in the widest array inside a layer."""
    lengths = [
        max(group.length, architecture.embedding_length if group.experts else 0) * (group.used or 1)
        for group in architecture.feed_forward
    ]
    inner = max(lengths, default=2 * architecture.embedding_length)
    return max([inner, *(group.inner_length or 0 for group in architecture.recurrent)])


def _scan_bytes(architecture: Architecture, account: Account, piece: int) -> int:
    """Bytes that scans of recurrent layers keep for all tokens of a piece."""
    sizes = [0]
    for group in architecture.recurrent:
        inner = group.inner_length or (group.heads or 0) * (group.value_length or 0)
        state = group.state_length or group.key_length or 0
        sizes.append(int(piece * inner * state * account.scan_bytes.get(group.kind, 0.0)))
    return max(sizes)


def _score_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    account: Account,
    tokens: int,
    piece: int,
    width: int,
) -> int:
    """Bytes of a score for each pair of tokens and head, where attention stores them."""
    most = 0
    if account.windows == "rotated":
        architecture = as_unpacked(architecture, row)
    for group in architecture.attention:
        if group.kind != "cross" and _stores_scores(group, row, account):
            reach = tokens
            if account.prompt_tokens and group.kind in ("sliding", "latent"):
                reach = min(tokens, (group.window_tokens or tokens) + account.prompt_tokens)
            most = max(most, group.heads * piece * reach)
    return int(most * account.score_bytes * (width / 2 if account.fused_heads else 1))


def _stores_scores(group: Attention, row: ArchitectureRow, account: Account) -> bool:
    """Whether no kernel fuses the attention of these layers."""
    if group.kind == "latent":
        return True
    if account.fused_heads:
        return not group.key_length == group.value_length in account.fused_heads
    if row.torch_scores == "one_head":
        return group.kv_heads == 1 < group.heads
    return bool(row.torch_scores or row.relative_positions)


def _speech(architecture: Architecture, runtime: RuntimeSpec, workload: Asked, width: int) -> Term:
    """What lies beside the caches of half a minute of speech: keys and values of one layer in the
    making, or the encoder; and what earlier caches leave in the heap.
    """
    audio = architecture.audio
    assert audio is not None
    wide, beams = audio.embedding_length, runtime.account.speech_beams
    each = audio.positions * width * workload.parallel
    kept = 2 * architecture.layers * wide * each * beams
    encoding = (4 * wide + 2 * audio.feed_forward_length) * each
    size = 2 * audio.mel_bins * each + max(3 * wide * each * beams, encoding - kept)
    # no block above 32 MiB stays in the heap of glibc
    left = min(kept, 2 * architecture.layers * (32 << 20)) if beams > 1 else 0
    return term(
        "activations",
        size + int(0.9 * left),
        How.COMPUTED,
        runtime.account.source or "general knowledge",
        f"{size:,} bytes of a layer + 0.9 × {left:,} bytes that earlier caches left in the heap",
        low=size + int(0.6 * left),
        high=size + left + 3 * min(32 << 20, audio.feed_forward_length * audio.positions * width),
    )


def _program(
    subject: Subject, architecture: Architecture, runtime: RuntimeSpec, workload: Asked
) -> Term:
    """The program with its libraries and a tokenizer; of a config.json alone one may be there."""
    account, on_gpu = runtime.account, workload.device is not None
    program = overhead(runtime, on_gpu=on_gpu and not account.program_bytes)
    if account.program_bytes and not on_gpu:
        low, likely, high = account.program_bytes
        line, source = f"{likely:,} bytes", f"measured: {account.source}"
        program = term("runtime", likely, How.MEASURED, source, line, low=low, high=high)
    comes, vocabulary = subject.spec.tokenizer, architecture.vocabulary or 0
    if comes is False or architecture.audio is not None:
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
