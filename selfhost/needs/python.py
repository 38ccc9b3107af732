"""The memory of transformers, MLX LM, vLLM and SGLang once they loaded a checkpoint in safetensors,
pickle or MLX files: one account for all, with the numbers of each in `[account]` of its file in
specs/runtimes/.
"""

from __future__ import annotations

from math import prod

from ..catalogue.runtime import Account
from ..catalogue.spec import PLAIN_DTYPES, Architecture, Attention, RuntimeSpec
from ..core.records import Unread
from .checkpoint_files import cast_to, download_of, published_block_bytes, size_of, unneeded_bytes
from .kept import as_unpacked, cpu_program, kept_terms, overhead
from .loaded import loaded_type, stored_types, width_of
from .packed import DTYPES, expert_bytes_left, left_by_class
from .parts import Asked, Parts, Subject, is_cast, loads_sixteen_bits, name_of, term, unread_cache
from .records import How, SizedWeights, Term, share_of, summed, taken_off
from .tensors import ArchitectureRow, checkpoint_tensors, count

# save_pretrained cuts files at 5 GB, newer releases at 50 GB
_SHARD_BYTES = 5_000_000_000
# a page of Linux, and what it maps at once around a row of a cached file (mm/filemap.c, from 6.18)
_PAGE_BYTES, _AROUND_A_ROW_BYTES = 4096, 2 << 20
# patches of 14 pixels in a picture of 1,024 × 1,024, and numbers alive per patch in the widest of
# the measured encoders: Qwen's rotates in float32, and holds 24 times its width of up to 1,280
_PATCHES, _NUMBERS_PER_PATCH = 5_476, 24 * 1280


def parts(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    """Files and memory of a Python runtime."""
    if is_cast(subject.spec, runtime, workload.quantization):
        files = size_of(subject, format, name_of(subject.architecture))
        narrow = parts(cast_to(subject, workload.quantization), runtime, format, workload)
        return narrow.replace(files=files) if isinstance(files, Unread) else _cast(narrow, files)
    loaded = size_of(subject, format, workload.quantization)
    architecture = subject.architecture
    files = loaded
    if loads_sixteen_bits(subject.spec, runtime, format, workload.quantization):
        files = size_of(subject, format, name_of(architecture))
    if isinstance(files, Unread) or isinstance(loaded, Unread):
        return _parts_of_unread(subject, runtime, workload, files, loaded)
    weights = _weights(subject, loaded, runtime, format, workload.quantization)
    file_parts = _known_files(download_of(subject.spec, files))
    if architecture is None or not (architecture.attention or architecture.recurrent):
        return file_parts.replace(
            terms=(weights, overhead(runtime, on_gpu=workload.device is not None)),
            unknown=(*file_parts.unknown, unread_cache(subject.spec)),
        )
    row = subject.row or ArchitectureRow(name=architecture.row)
    evictable = 0
    if runtime.account.maps_files:
        weights, evictable = _as_mapped(subject, architecture, row, weights, runtime, workload)
    terms = (weights, *_beside(subject, architecture, row, runtime, workload))
    if not runtime.account.divides_layers:
        return file_parts.replace(terms=terms, evictable_bytes=evictable)
    from . import vllm

    return file_parts.replace(
        terms=tuple(
            vllm.divided(each, subject, architecture, row, runtime, workload) for each in terms
        ),
        tensor_parallel=vllm.devices_of(architecture, workload.quantization),
    )


def _cast(narrow: Parts, files: SizedWeights) -> Parts:
    """What the narrow weights take in memory, with the files that are downloaded for them."""
    return narrow.replace(files=files, largest_file_bytes=min(files.bytes, _SHARD_BYTES))


def _known_files(download: SizedWeights | Unread) -> Parts:
    if isinstance(download, Unread):
        return Parts(files=download, unknown=(download,))
    return Parts(files=download, largest_file_bytes=min(download.bytes, _SHARD_BYTES))


def _parts_of_unread(
    subject: Subject,
    runtime: RuntimeSpec,
    workload: Asked,
    files: SizedWeights | Unread,
    loaded: SizedWeights | Unread,
) -> Parts:
    """What is known beside weights of unknown size."""
    missing = tuple(part for part in dict.fromkeys((files, loaded)) if isinstance(part, Unread))
    beside: list[Term] = []
    architecture = subject.architecture
    if architecture is not None and (architecture.attention or architecture.recurrent):
        row = subject.row or ArchitectureRow(name=architecture.row)
        beside = _beside(subject, architecture, row, runtime, workload)
    return Parts(
        files=files,
        terms=tuple(beside),
        unknown=(*missing, missing[-1].replace(fact="memory.weights")),
    )


def _beside(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    """The terms beside the weights, whether or not the weights are known.

    Files for MLX made of weights in 32 bits may have 16 bits, so the least is that of 16, as for
    the weights (`mlx_size`).
    """
    terms = _terms_beside(subject, architecture, row, runtime, workload)
    if (
        "mlx" not in runtime.formats
        or architecture.dtype != "float32"
        or subject.spec.quantized is not None
    ):
        return terms
    narrow = architecture.replace(dtype="bfloat16")
    lows = {
        each.name: each.low_bytes for each in _terms_beside(subject, narrow, row, runtime, workload)
    }
    return [each.replace(low_bytes=min(each.low_bytes, lows[each.name])) for each in terms]


def _terms_beside(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    terms = [*kept_terms(architecture, row, runtime, workload)]
    if runtime.reserves_by_device:
        from . import sglang, vllm

        encoders = 0 if subject.text_alone else subject.spec.parameters.encoders or 0
        device = workload.device
        left = sglang.work(architecture, workload.parallel, encoders, device)
        return [*terms, left, *vllm.on_devices(sglang.program(device), runtime, device)]
    if runtime.account.divides_layers:
        from . import vllm

        return [*terms, *vllm.terms(subject, architecture, row, runtime, workload)]
    return [
        *terms,
        activations(subject, architecture, row, runtime, workload),
        _program(subject, architecture, runtime, on_gpu=workload.device is not None),
    ]


# ------------------------------------------------------------------ weights


def _weights(
    subject: Subject, files: SizedWeights, runtime: RuntimeSpec, format: str, quantization: str
) -> Term:
    architecture, row = subject.architecture, subject.row
    own = quantization == name_of(architecture)
    if (
        not own
        and row is not None
        and architecture is not None
        and loads_sixteen_bits(subject.spec, runtime, format, quantization)
    ):
        return _quantized_while_loading(files, architecture, row, runtime, quantization)
    unneeded = unneeded_bytes(subject, files, format, quantization)
    size, high = files.bytes - unneeded, files.high_bytes
    # the least of computed files has no blocks in it
    low = (
        files.low_bytes
        - unneeded
        + (published_block_bytes(subject) if unneeded and files.how is not How.STATED else 0)
    )
    line = (
        taken_off(files.arithmetic, unneeded, "that are not loaded")
        if unneeded
        else files.arithmetic
    )
    if subject.text_alone:
        seeing = _encoder_bytes(subject, runtime, format, quantization)
        # the least of files computed for MLX has no encoders in it
        size, high = size - seeing, high - seeing
        low = min(size, low if format == "mlx" and files.how is not How.STATED else low - seeing)
        line = f"{taken_off(line, seeing, 'of encoders')}; it runs the text alone"
    size, low, high, line = _as_loaded(subject, runtime, quantization, (size, low, high), line)
    weights = term(
        "weights", max(0, size), files.how, files.source, line, low=max(0, low), high=high
    )
    if (
        runtime.account.divides_layers
        and architecture is not None
        and row is not None
        and subject.whole
    ):
        from .vllm import with_additions

        return with_additions(weights, architecture, row, own=own, unneeded_bytes=unneeded)
    return weights


def _encoder_bytes(subject: Subject, runtime: RuntimeSpec, format: str, quantization: str) -> int:
    width = 2
    if subject.architecture is not None and format != "mlx":
        width = width_of(subject.architecture, runtime, quantization)
    return width * (subject.spec.parameters.encoders or 0)


def _as_loaded(
    subject: Subject,
    runtime: RuntimeSpec,
    quantization: str,
    sizes: tuple[int, int, int],
    line: str,
) -> tuple[int, int, int, str]:
    """Likely, least and most bytes in the type that the runtime loads the stored one as, and the
    line. `sizes` are likely, least and most as stored.
    """
    size, low, high = sizes
    stored, loaded = loaded_type(runtime, subject.spec, quantization)
    if stored == loaded:
        return size, low, high, line
    note = f"it loads {stored} weights in {DTYPES[loaded]:g} bits (dtype auto)"
    total = subject.spec.parameters.total
    if total and stored not in PLAIN_DTYPES:
        # some of them are wider in the files already
        size = int(total * DTYPES[loaded] / 8)
        return size, size, size, f"{total:,} parameters × {DTYPES[loaded]:g} bits / 8; {note}"
    size, low, high = (int(each * DTYPES[loaded] / DTYPES[stored]) for each in sizes)
    share = share_of(f"{DTYPES[loaded]:g}/{DTYPES[stored]:g}", line)
    return size, low, high, f"{share}; {note}"


def _quantized_while_loading(
    files: SizedWeights,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    quantization: str,
) -> Term:
    """The 16-bit files once their linear layers were made narrow, one by one; the rest stays."""
    line, source = files.arithmetic, f"{files.source}, made while loading"
    extra = table = 0
    if runtime.account.divides_layers:
        from .vllm import table_bytes

        table = table_bytes(architecture, row)
    else:
        extra = expert_bytes_left(architecture, row, quantization)
    if extra:
        # transformers 5 keeps a layer's experts in one tensor, which bitsandbytes leaves alone: its
        # issue 1849
        line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
        source += "; bitsandbytes issue 1849: experts of transformers 5 are left in 16 bits"
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    size = files.bytes + extra
    high = max(files.high_bytes, int(size * 1.005)) + table
    return term("weights", size + table, files.how, source, line, low=files.low_bytes, high=high)


def _as_mapped(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    weights: Term,
    runtime: RuntimeSpec,
    workload: Asked,
) -> tuple[Term, int]:
    """The weights of files that a CPU maps, all of them on a GPU; and the bytes that may go.

    Narrow types without a kernel are made 16 bits wide.
    """
    account, quantization = runtime.account, workload.quantization
    stored, loaded = loaded_type(runtime, subject.spec, quantization)
    types = {architecture.matrix_dtype, architecture.expert_dtype} - {None}
    is_own = quantization == name_of(architecture)
    if is_own and types and types <= {*account.widened, *account.widened_always}:
        is_counted = subject.row is not None and subject.whole
        on_gpu = workload.device is not None
        widened = _widened(subject, architecture, row, weights, runtime, on_gpu=on_gpu)
        return widened if is_counted else (weights, 0)
    if stored != loaded:
        # the mapped files and the weights made of them are resident together while it loads
        return weights, int(weights.bytes * DTYPES[stored] / DTYPES[loaded])
    if not is_own and quantization not in PLAIN_DTYPES:
        return weights, 0
    if loaded == "float16" and subject.whole:
        groups = checkpoint_tensors(architecture, row)
        wider = 2 * count(group for group in groups if left_by_class(group.name, row))
        if wider:
            weights = weights.replace(
                bytes=weights.bytes + wider,
                high_bytes=weights.high_bytes + wider,
                arithmetic=summed(weights.arithmetic, f"{wider:,} bytes for 32 bits"),
            )
    width = width_of(architecture, runtime, quantization)
    return _read_by_rows(subject, architecture, row, weights, width, workload)


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
    if workload.device is not None:
        return weights, 0
    encoders = subject.spec.parameters.encoders or 0
    tokens = workload.context_tokens * workload.parallel
    is_multiplied = architecture.tied_embeddings and not row.encoder
    unread = 0
    if subject.whole and (not is_multiplied or subject.spec.modality == "embedding"):
        for group in checkpoint_tensors(architecture, row):
            if group.name == "token_embd.weight":
                unread = (prod(group.shape) - tokens * group.shape[0]) * width
    unread = min(weights.low_bytes, max(0, unread))
    if not unread and not encoders:
        return weights, 0
    evictable = max(0, unread - tokens * _PAGE_BYTES - _AROUND_A_ROW_BYTES)
    line = weights.arithmetic
    mapped = weights.replace(
        bytes=weights.bytes - unread,
        low_bytes=max(0, weights.low_bytes - unread - encoders * width),
        high_bytes=weights.high_bytes - evictable,
        how=How.COMPUTED,
        arithmetic=taken_off(line, unread, "of tokens that no text reads") if unread else line,
    )
    return mapped, evictable


def _widened(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    files: Term,
    runtime: RuntimeSpec,
    *,
    on_gpu: bool,
) -> tuple[Term, int]:
    """Two bytes for each parameter; on a device as in the files where a kernel takes them. The
    narrow weights in mapped files may go.
    """
    encoders = subject.spec.parameters.encoders or 0
    number = count(checkpoint_tensors(architecture, row)) + encoders
    apart = 2 * abs((subject.spec.parameters.total or number) - number)
    size, name = 2 * number, name_of(architecture)
    line = f"{number:,} parameters × 2 bytes, for it has no kernel for {name}"
    source = f"{runtime.name}: made bfloat16 when it loads; {runtime.account.source}"
    widened = term("weights", size, How.COMPUTED, source, line, low=size - apart, high=size + apart)
    plain = stored_types(architecture, row).get(architecture.dtype or "bfloat16", 0.0)
    narrow_bytes = max(0, int(files.bytes - (plain + 2 * encoders)))
    types = {architecture.matrix_dtype, architecture.expert_dtype} - {None}
    if not on_gpu or types <= set(runtime.account.widened_always):
        return widened, narrow_bytes
    device = files.replace(
        high_bytes=max(files.high_bytes, widened.high_bytes),
        arithmetic=f"{files.arithmetic}; up to {line}",
    )
    return device, narrow_bytes


# ------------------------------------------------------------------ what a prompt takes


def activations(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> Term:
    """The most that a pass over the prompt, or a piece of it, holds: see `Account`."""
    account = runtime.account
    width = width_of(architecture, runtime, workload.quantization)
    if architecture.audio is not None:
        return _speech(architecture, runtime, workload, width)
    tokens = workload.context_tokens
    piece = min(tokens, account.prompt_tokens or tokens) * workload.parallel
    wide, inner = architecture.embedding_length, _widest(architecture)
    each = int((account.width * wide + account.inner * inner) * width)
    passes = architecture.layers if account.waits_by_layer else 1
    waiting = min(account.waiting_bytes, piece * each * passes)
    logits = 4 * (architecture.vocabulary or 0) * workload.parallel
    size = piece * each + waiting
    line = (
        f"{piece:,} tokens × ({account.width:g} × {wide:,} + {account.inner:g} × {inner:,}) ×"
        f" {width} bytes + {waiting + logits:,} bytes of logits and of arrays that wait"
    )
    scanned = _scan_bytes(architecture, runtime, piece)
    scores = _score_bytes(architecture, row, runtime, tokens, piece, width)
    if scanned:
        line += f" + {scanned:,} bytes of the scan"
    if scores:
        line += f" + {scores:,} bytes of scores, which it stores"
    size += scanned + scores
    low = int(account.low_share * size) + logits
    high = int(account.high_share * size) + logits + account.high_bytes
    mixture = _mixture_bytes(architecture, account)
    if mixture[1]:
        line += f" + {mixture[1]:,} bytes of products of experts"
    if subject.spec.modality == "vision":
        patches = min(4 * workload.context_tokens, _PATCHES)
        high = max(high, patches * workload.parallel * _NUMBERS_PER_PATCH * width)
    source = account.source or "general knowledge: the widest layer of one pass over the prompt"
    how = How.COMPUTED if account.source and not scanned else How.ASSUMED
    whole = term(
        "activations",
        size + logits + mixture[1],
        how,
        source,
        line,
        low=low + mixture[0],
        high=high + mixture[2],
    )
    if workload.device is None or account.fused_heads or not scores:
        return whole
    # kernels of GPUs store no scores of any heads, or may do so
    line = f"{size - scores + logits:,} bytes; up to {high:,} where scores are stored"
    low = int(account.low_share * (size - scores)) + logits
    likely = size - scores + logits
    return term("activations", likely, How.ASSUMED, source, line, low=low, high=high)


def _mixture_bytes(architecture: Architecture, account: Account) -> tuple[int, ...]:
    has_experts = any(group.experts for group in architecture.feed_forward)
    return account.mixture_bytes if has_experts else (0, 0, 0)


def _widest(architecture: Architecture) -> int:
    """Numbers of one token in the widest array inside a layer."""
    lengths = [
        max(group.length, architecture.embedding_length if group.experts else 0) * (group.used or 1)
        for group in architecture.feed_forward
    ]
    inner = max(lengths, default=2 * architecture.embedding_length)
    return max([inner, *(group.inner_length or 0 for group in architecture.recurrent)])


def _scan_bytes(architecture: Architecture, runtime: RuntimeSpec, piece: int) -> int:
    """Bytes that scans of recurrent layers keep for all tokens of a piece."""
    sizes = [0]
    for group in architecture.recurrent:
        inner = group.inner_length or (group.heads or 0) * (group.value_length or 0)
        state = group.state_length or group.key_length or 0
        scan_bytes = runtime.account.scan_bytes.get(group.kind, 0.0)
        sizes.append(int(piece * inner * state * scan_bytes))
    return max(sizes)


def _score_bytes(
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    tokens: int,
    piece: int,
    width: int,
) -> int:
    """Bytes of a score for each pair of tokens and head, where attention stores them."""
    account, most = runtime.account, 0
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
    wide, positions, beams = audio.embedding_length, audio.positions, runtime.account.speech_beams
    kept = 2 * architecture.layers * wide * positions * width * workload.parallel * beams
    making = 3 * positions * wide * width * workload.parallel * beams
    encoding = (4 * wide + 2 * audio.feed_forward_length) * positions * width * workload.parallel
    features = 2 * positions * audio.mel_bins * width * workload.parallel
    size = features + max(making, encoding - kept)
    # no block above 32 MiB stays in the heap of glibc
    left = min(kept, 2 * architecture.layers * (32 << 20)) if beams > 1 else 0
    line = f"{size:,} bytes of a layer + 0.9 × {left:,} bytes that earlier caches left in the heap"
    return term(
        "activations",
        size + int(0.9 * left),
        How.COMPUTED,
        runtime.account.source or "general knowledge",
        line,
        low=size + int(0.6 * left),
        high=size + left + 3 * min(32 << 20, audio.feed_forward_length * positions * width),
    )


def _program(
    subject: Subject, architecture: Architecture, runtime: RuntimeSpec, *, on_gpu: bool
) -> Term:
    """The program with its tokenizer; of a config.json alone one may be there or not."""
    program, tokens = cpu_program(runtime, on_gpu=on_gpu), architecture.vocabulary or 0
    comes = subject.spec.tokenizer
    if comes is False or not tokens or architecture.audio is not None:
        return program
    low, likely, high = (each * tokens for each in runtime.account.token_bytes)
    if not high:
        return program
    if on_gpu and runtime.account.program_bytes:
        # among what a build for GPUs takes
        return program.replace(high_bytes=program.high_bytes + high)
    if comes is None:
        low = likely = 0
    return program.replace(
        bytes=program.bytes + likely,
        low_bytes=program.low_bytes + low,
        high_bytes=program.high_bytes + high,
        arithmetic=summed(
            program.arithmetic, f"{likely:,} bytes of a tokenizer; that takes up to {high:,}"
        ),
    )
