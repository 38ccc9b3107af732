"""A checkpoint in safetensors, pickle or MLX files, and transformers, vLLM or MLX that loaded
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.quantization_names import scheme_of
from ..catalogue.spec import PLAIN_DTYPES, Architecture, ModelSpec, RuntimeSpec
from ..core import units
from ..core.records import Record, Unread
from .cache import CacheGroup, cache_groups, states
from .loaded import (
    block_bytes,
    cache_line,
    guessed_activations,
    loaded_type,
    name_of,
    overhead,
    stored_types,
    typed_tensors,
    width_of,
)
from .packed import (
    DTYPES,
    encoders_may_save,
    expert_bytes_left,
    from_sixteen_bits,
    linear_bytes,
    mlx_size,
)
from .packed import size_of as packed_size
from .parts import (
    ENCODER_REMEDY,
    Asked,
    Parts,
    Subject,
    by_layers,
    published,
    stated_size,
    term,
    unread_cache,
    unread_size,
    why_no_encoders,
)
from .records import How, SizedWeights, Term, share_of, summed, taken_off
from .tensors import ArchitectureRow, block_tensors, checkpoint_tensors, count

MLX_QUANTIZATIONS = ("bf16", "fp16", "8bit", "6bit", "5bit", "4bit", "3bit", "2bit")
"""Best quality first."""

# sizes of tensor parallelism that machines have; vllm 0.33.0, vllm/config/model.py: they must
# divide the attention heads
_TENSOR_PARALLEL = (2, 4, 8)
# every device holds them whole: ReplicatedLinear of vllm/model_executor/models/deepseek_v2.py,
# routers, tables of positions
_REPLICATED = (
    "attn_q_a.",
    "attn_kv_a_mqa.",
    "indexer.",
    "ffn_gate_inp.",
    "position_embd.",
    "norm.",
)
# cells are handed out in steps: vllm/config/cache.py block size; mlx_lm/models/cache.py step;
# transformers grows token by token
_STEPS = {"vllm": 16, "mlx": 256}
# save_pretrained cuts files at 5 GB, newer releases at 50 GB
_SHARD_BYTES = 5_000_000_000
_GIVE_FILES = (
    "give the folder with its safetensors files, or state the size under [[files]] of a spec"
)


def size_of(subject: Subject, format: str, quantization: str) -> SizedWeights | Unread:
    """The files: as published, else every tensor in its stored type."""
    own = name_of(subject.architecture)
    stated = published(subject.spec, format, quantization)
    if stated is None and format == "safetensors" and quantization == own:
        stated = published(subject.spec, format, "native")
    if stated is not None:
        return stated_size(stated)
    # without its tensors a model is sized by its total, which has the encoders in it; files for MLX
    # keep them in 16 bits
    no_encoders = why_no_encoders(subject.spec) if subject.whole or format == "mlx" else None
    if no_encoders is not None:
        return Unread(fact="download_bytes", reason=no_encoders, remedy=ENCODER_REMEDY)
    if format == "mlx":
        return mlx_size(subject, quantization)
    unread_type = subject.spec.unknown.get("architecture.matrix_dtype")
    if unread_type is not None and quantization == own:
        return Unread(fact="download_bytes", reason=unread_type, remedy=_GIVE_FILES)
    if quantization != own and (scheme_of(quantization) is not None or quantization == "int8"):
        return packed_size(subject, quantization)
    unknown = scheme_of(quantization) is None and quantization not in DTYPES
    if unknown or (subject.architecture is not None and quantization != own):
        return Unread(
            fact="download_bytes",
            reason=f"nobody states the size of the {format} files in {quantization}",
            remedy=f"take {own}, as published",
        )
    strange = _type_of_unknown_width(subject.architecture)
    if strange is not None:
        return Unread(
            fact="download_bytes",
            reason=f"how many bits a weight takes in {strange} with its scales is not stated",
            remedy="state the size under [[files]] of the spec",
        )
    architecture, row = subject.architecture, subject.row
    if architecture is None or row is None or not subject.whole:
        return _by_count(subject)
    return _by_tensors(subject, architecture, row)


def _type_of_unknown_width(architecture: Architecture | None) -> str | None:
    """The first stored type of which it is not known how many bits a weight takes."""
    if architecture is None:
        return None
    types = (architecture.dtype, architecture.matrix_dtype, architecture.expert_dtype)
    named = [type for type in types if type is not None]
    return next((type for type in named if type not in DTYPES and scheme_of(type) is None), None)


def _by_tensors(subject: Subject, architecture: Architecture, row: ArchitectureRow) -> SizedWeights:
    """Every tensor in its stored type, with encoders and blocks that predict more tokens."""
    parameters = subject.spec.parameters
    sizes = stored_types(architecture, row)
    unsure = architecture.dtype is None
    plain = DTYPES.get(architecture.dtype or "bfloat16", 16.0)
    block = _block_bytes(subject)
    # who makes files of a model drops the blocks that predict more tokens (transformers does), or
    # keeps them in 16 bits
    kept = max(0, 2 * (parameters.mtp or 0) - block)
    beside = (parameters.encoders or 0) * plain / 8 + block
    extra = 0.0
    if parameters.extra_in_files and not (architecture.matrix_dtype or architecture.expert_dtype):
        extra = parameters.extra_in_files * plain / 8
    size = int(sum(sizes.values()) + beside + extra)
    line = " + ".join(f"{int(part):,} bytes of {type}" for type, part in sizes.items())
    if beside or extra:
        line += f" + {int(beside + extra):,} bytes of encoders and other blocks in the files"
    source = "parameters of the architecture in their stored types"
    if unsure:
        source += "; the type is not stated: 16 to 32 bits"
    return SizedWeights(
        bytes=size,
        low_bytes=int((size - block) * 0.995)
        - encoders_may_save(parameters.encoders, architecture.matrix_dtype),
        high_bytes=int(size * (2.01 if unsure else 1.01)) + kept,
        how=How.ASSUMED if unsure else How.COMPUTED,
        source=source,
        arithmetic=line,
    )


def download_of(spec: ModelSpec, files: SizedWeights | Unread) -> SizedWeights | Unread:
    """What one figure can be told of; unknown, with both ends, of files without a repository
    whose type nobody says.
    """
    untyped = (
        spec.architecture is not None
        and spec.architecture.dtype is None
        and spec.repository is None
    )
    if (
        isinstance(files, Unread)
        or files.how is not How.ASSUMED
        or not untyped
        or "architecture.dtype" not in spec.unknown
    ):
        return files
    return Unread(
        fact="download_bytes",
        reason=(
            f"{units.decimal(files.low_bytes)} to {units.decimal(files.high_bytes)}: {files.source}"
        ),
        remedy=_GIVE_FILES,
    )


def _by_count(subject: Subject) -> SizedWeights | Unread:
    total, architecture = subject.spec.parameters.total, subject.architecture
    if total is None:
        return unread_size(subject.spec)
    if architecture is None and "architecture" in subject.spec.unknown:
        # looked for and not found: models of this kind are published in 4 bits a weight as often as
        # in 16
        return Unread(
            fact="download_bytes",
            reason="the spec does not state the type that the weights are stored in",
            remedy="state `dtype` in [architecture] of the spec, or the size under [[files]]",
        )
    if architecture is None or architecture.dtype is None:
        return SizedWeights(
            bytes=total * 2,
            low_bytes=int(total * DTYPES["mxfp4"] / 8),
            high_bytes=total * 4,
            how=How.ASSUMED,
            source="the stored type is not stated: 4 to 32 bits per parameter, most often 16",
            arithmetic=f"{total:,} parameters × 16 bits / 8",
        )
    type = name_of(architecture)
    bits, plain = _bits(type, 16.0), DTYPES.get(architecture.dtype, 16.0)
    size = int(total * bits / 8)
    mixed = type != architecture.dtype
    return SizedWeights(
        bytes=size,
        low_bytes=size,
        high_bytes=int(total * max(bits, plain) / 8) if mixed else int(size * 1.05),
        how=How.ASSUMED if mixed else How.COMPUTED,
        source=(
            f"parameters in {type}; how many are in {architecture.dtype} is not known"
            if mixed
            else "parameters in the published type"
        ),
        arithmetic=f"{total:,} parameters × {bits:g} bits / 8",
    )


def _block_bytes(subject: Subject) -> int:
    """What the published files hold of blocks that predict more tokens; 0 for files that others
    made of them.
    """
    architecture, row, number = subject.architecture, subject.row, subject.spec.parameters.mtp
    if architecture is None or not number or subject.spec.quantized is not None:
        return 0
    counted = count(block_tensors(architecture, row)) if row is not None and subject.whole else 0
    if row is None or not counted:
        return int(
            number
            * _bits(architecture.matrix_dtype, DTYPES.get(architecture.dtype or "bfloat16", 16.0))
            / 8
        )
    return int(block_bytes(architecture, row) * number / counted)


def _bits(type: str | None, plain: float) -> float:
    """Bits per weight of a stored type, scales included; `plain` where there is none of its own."""
    if type is None:
        return plain
    return DTYPES[type] if type in DTYPES else linear_bytes(type, 4096, 4096) * 8 / 4096**2


# ------------------------------------------------------------------ memory


def parts(subject: Subject, runtime: RuntimeSpec, format: str, workload: Asked) -> Parts:
    """Files and memory of a Python runtime."""
    loaded = size_of(subject, format, workload.quantization)
    architecture = subject.architecture
    files = loaded
    if loads_sixteen_bits(subject.spec, runtime, format, workload.quantization):
        files = size_of(subject, format, name_of(architecture))
    if isinstance(files, Unread) or isinstance(loaded, Unread):
        missing = tuple(part for part in dict.fromkeys((files, loaded)) if isinstance(part, Unread))
        beside: list[Term] = []
        if architecture is not None and (architecture.attention or architecture.recurrent):
            row = subject.row or ArchitectureRow(name=architecture.row)
            beside = _beside(subject, architecture, row, runtime, workload)
        return Parts(
            files=files,
            terms=tuple(beside),
            unknown=(*missing, missing[-1].replace(fact="memory.weights")),
        )
    download = download_of(subject.spec, files)
    largest, untold = (
        (None, (download,))
        if isinstance(download, Unread)
        else (min(download.bytes, _SHARD_BYTES), ())
    )
    if architecture is None or not (architecture.attention or architecture.recurrent):
        known_terms = (
            _weights(subject, loaded, runtime, format, workload.quantization),
            overhead(runtime),
        )
        return Parts(
            files=download,
            terms=known_terms,
            largest_file_bytes=largest,
            unknown=(*untold, unread_cache(subject.spec)),
        )
    row = subject.row or ArchitectureRow(name=architecture.row)
    evictable = 0
    terms: list[Term] = []
    if runtime.id == "transformers":
        from .torch import parts as torch_parts

        weights = _weights(subject, loaded, runtime, format, workload.quantization)
        terms, evictable = torch_parts.terms(subject, architecture, row, weights, runtime, workload)
    if not terms:
        terms = [
            _weights(subject, loaded, runtime, format, workload.quantization),
            *_beside(subject, architecture, row, runtime, workload),
        ]
    devices: tuple[int, ...] = ()
    if runtime.id == "vllm":
        terms = [_cut(item, subject, architecture, row, runtime, workload) for item in terms]
        devices = tuple(
            number
            for number in _TENSOR_PARALLEL
            if _divides(number, architecture, workload.quantization)
        )
    return Parts(
        files=download,
        terms=tuple(terms),
        evictable_bytes=evictable,
        largest_file_bytes=largest,
        tensor_parallel=devices,
        unknown=untold,
    )


def _beside(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    """What there is beside the weights, whether or not they are known.

    Where nobody told which files for MLX were made of weights in 32 bits, the least is of such in
    16, as of the weights (`mlx_size`).
    """
    terms = _beside_of(subject, architecture, row, runtime, workload)
    if runtime.id != "mlx" or architecture.dtype != "float32" or subject.spec.quantized is not None:
        return terms
    narrow = {
        term.name: term
        for term in _beside_of(
            subject, architecture.replace(dtype="bfloat16"), row, runtime, workload
        )
    }
    return [
        (
            item
            if narrow[item.name].bytes == item.bytes
            else item.replace(
                low_bytes=min(item.low_bytes, narrow[item.name].low_bytes),
                arithmetic=f"{item.arithmetic}; with files in float16 {narrow[item.name].bytes:,}",
            )
        )
        for item in terms
    ]


def _beside_of(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    terms = [*_cache(architecture, row, runtime, workload)]
    if runtime.id == "vllm":
        return [*terms, *_vllm(subject, architecture, row, runtime, workload)]
    program = overhead(runtime)
    if runtime.id == "mlx":
        from .mlx import memory as mlx_memory

        program = mlx_memory.program(architecture, program)
    return [*terms, guessed_activations(architecture, row, runtime, workload), program]


def _divides(number: int, architecture: Architecture, quantization: str) -> bool:
    """True where vLLM can divide the model over so many devices.

    The number divides the attention heads; it divides the KV heads, or they divide it and are held
    more than once (asserted in its models); lengths of the feed-forward come in whole blocks or
    groups of a quantization (vllm/model_executor/layers/quantization: fp8.py, awq.py, gptq.py).
    """
    scheme = scheme_of(quantization)
    blocks = any(
        (type or "").endswith("128x128")
        for type in (architecture.matrix_dtype, architecture.expert_dtype)
    )
    step = 1
    if scheme is not None and scheme.method in ("awq", "gptq", "w4a16"):
        step = scheme.group or 1
    if blocks:
        step = 128
    for group in architecture.attention:
        kv_heads = 1 if group.kind == "latent" else group.kv_heads
        if group.heads % number or (kv_heads % number and number % kv_heads):
            return False
    return not any(
        length % (number * step)
        for group in architecture.feed_forward
        for length in (group.length, group.shared_length or 0)
    )


def _cut(
    item: Term,
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> Term:
    """With what tensor parallelism divides of it: activations, the program and a latent cache are
    whole on every device.

    Encoders are divided by default, where they can be: tests/truth/vllm.json, Gemma 3 on four
    devices, Mistral Small 3.1 on two.
    """
    shares: dict[int, float] = {}
    if item.name == "kv_cache":
        most: dict[int, float] = {}
        for cached in _cached(architecture, row, runtime, workload):
            heads = 1 if cached.group.latent else cached.group.kv_heads
            shares[heads] = shares.get(heads, 0.0) + cached.bytes
            most[heads] = most.get(heads, 0.0) + cached.high_bytes
        # the most is where layers with a window keep as many tokens as the others
        return item.replace(
            cut=_shares(shares, sum(shares.values())), high_cut=_shares(most, sum(most.values()))
        )
    if item.name == "weights":
        shares = _shared_weights(architecture, row) if subject.whole else {}
        shares = shares or {0: 1.0}
        beside = _table(architecture, row) / item.bytes if subject.whole and item.bytes else 0.0
        cut = _shares(shares, sum(shares.values()) / (1 - beside))
        return item.replace(joined=(0, 0, 2 * (subject.spec.parameters.encoders or 0)), cut=cut)
    return item.replace(cut=((1.0, 0),)) if item.name == "recurrent_state" else item


def _shared_weights(architecture: Architecture, row: ArchitectureRow) -> dict[int, float]:
    """Bytes of weights by the most devices that share them out: 1 where each holds them whole, 0
    where any number may.
    """
    kv_heads = {layer: group.kv_heads for group in architecture.attention for layer in group.layers}
    sizes: dict[int, float] = {}
    for tensor, _, size in typed_tensors(architecture, row):
        most = 0
        if any(part in f"{tensor.name}." for part in _REPLICATED):
            most = 1
        elif tensor.name.endswith(("attn_k.weight", "attn_v.weight")):
            most = kv_heads.get(tensor.layers[0], 0) if tensor.layers else 0
        sizes[most] = sizes.get(most, 0.0) + size
    return sizes


def _shares(sizes: dict[int, float], whole: float) -> tuple[tuple[float, int], ...]:
    return tuple((size / whole, most) for most, size in sorted(sizes.items()) if most != 1)


def loads_sixteen_bits(
    spec: ModelSpec, runtime: RuntimeSpec, format: str, quantization: str
) -> bool:
    """True where the runtime downloads the published 16-bit weights and quantizes them itself,
    while it loads them.
    """
    rule = runtime.rule_of(quantization)
    if rule is None or not rule.at_load or not from_sixteen_bits(spec.architecture):
        return False
    return (
        published(spec, format, quantization) is None
        and spec.repository_of(format, quantization) is None
    )


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
    unneeded = _unneeded(subject, files, format, quantization)
    size, high = files.bytes - unneeded, files.high_bytes
    # the least that computed files take is without the blocks as it is
    low = (
        files.low_bytes
        - unneeded
        + (_block_bytes(subject) if unneeded and files.how is not How.STATED else 0)
    )
    line = (
        taken_off(files.arithmetic, unneeded, "that are not loaded")
        if unneeded
        else files.arithmetic
    )
    if subject.text_alone:
        seeing = _encoder_bytes(subject, runtime, format, quantization)
        # the least that files computed for MLX take is without encoders as it is
        size, high = size - seeing, high - seeing
        low = min(size, low if format == "mlx" and files.how is not How.STATED else low - seeing)
        line = f"{taken_off(line, seeing, 'of encoders')}; it runs the text alone"
    size, low, high, line = _as_loaded(subject, runtime, quantization, (size, low, high), line)
    weights = term(
        "weights", max(0, size), files.how, files.source, line, low=max(0, low), high=high
    )
    if runtime.id == "vllm" and architecture is not None and row is not None and subject.whole:
        return _in_vllm(weights, architecture, row, own=own, unneeded_bytes=unneeded)
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
    """Likely, least and most bytes in the type that the runtime makes of the stored one, and the
    line.
    """
    size, low, high = sizes
    stored, loaded = loaded_type(runtime, subject.spec, quantization)
    if stored == loaded:
        return size, low, high, line
    note = f"it loads {stored} weights as {loaded} (dtype auto)"
    total = subject.spec.parameters.total
    if total and stored not in PLAIN_DTYPES:
        # some of them are wider in the files already
        size = int(total * DTYPES[loaded] / 8)
        return size, size, size, f"{total:,} parameters × {DTYPES[loaded]:g} bits / 8; {note}"
    size, low, high = (int(each * DTYPES[loaded] / DTYPES[stored]) for each in sizes)
    share = share_of(f"{DTYPES[loaded]:g}/{DTYPES[stored]:g}", line)
    return size, low, high, f"{share}; {note}"


def _in_vllm(
    weights: Term,
    architecture: Architecture,
    row: ArchitectureRow,
    *,
    own: bool,
    unneeded_bytes: int,
) -> Term:
    """With what vLLM keeps beside them. `own`: they are in the type that the model is published
    in; `unneeded_bytes`: of the files, what is not loaded.
    """
    how, line = weights.how, weights.arithmetic
    size, high = weights.bytes, weights.high_bytes
    if own and architecture.dtype is None:
        how, high = How.COMPUTED, int(size * 1.01)
        line += "; 16 bits a number whatever the files hold (--dtype auto)"
    if architecture.tied_embeddings:
        high -= unneeded_bytes
    table = _table(architecture, row)
    if table:
        size, high = size + table, high + table
        line = summed(line, f"{table:,} bytes of a table of positions")
    likely, most = _padding(architecture, row, 128), _padding(architecture, row, 256)
    if most:
        size, high = size + likely, high + most
        line = summed(
            line,
            f"{likely:,} bytes of padded experts; as the Marlin kernels want them, others none,"
            f" or {most:,} bytes",
        )
    return term("weights", size, how, weights.source, line, low=weights.low_bytes, high=high)


def _table(architecture: Architecture, row: ArchitectureRow) -> int:
    """What vLLM keeps of sines and cosines for every position, in 16 bits and whole on every
    device.

    All layers share one that turn alike (get_rope of vllm/model_executor/layers/rotary_embedding).
    It has a row for each position that config.json states, trained for or not; logs of Gemma 3,
    whose linear scaling makes it eight times as long, say so as well.
    """
    positions = architecture.rope_positions or architecture.context_tokens
    if not positions or not row.rope:
        return 0
    if any(
        tensor.name.startswith("position_embd") for tensor in checkpoint_tensors(architecture, row)
    ):
        return 0
    near = _turned_length(architecture, row, windowed=True)
    far = _turned_length(architecture, row, windowed=False)
    if row.window_rope and near and far:
        # scaling is for the others
        return 2 * (positions * far + (architecture.context_tokens or positions) * near)
    return 2 * positions * row.rope_rows * max(near, far)


def _turned_length(architecture: Architecture, row: ArchitectureRow, *, windowed: bool) -> int:
    """The part of a head that is turned by its position in layers with a window, or in the
    others; 0 where there are none.
    """
    lengths = [
        (
            (group.rope_length or 0)
            if group.kind == "latent"
            else int(group.key_length * row.rope_share)
        )
        for group in architecture.attention
        if group.kind != "cross" and (group.window_tokens is not None) == windowed
    ]
    return max(lengths, default=0)


def _unneeded(subject: Subject, files: SizedWeights, format: str, quantization: str) -> int:
    """In the files (not those made for MLX), by default not loaded: blocks that predict more
    tokens, a tied matrix stored twice.
    """
    architecture, parameters = subject.architecture, subject.spec.parameters
    if architecture is None or format == "mlx" or quantization != name_of(architecture):
        return 0
    plain = DTYPES.get(architecture.dtype or "bfloat16", 16.0)
    size = _block_bytes(subject)
    if files.how is not How.STATED and not (architecture.matrix_dtype or architecture.expert_dtype):
        size += int((parameters.extra_in_files or 0) * plain / 8)
    return size


def _padding(architecture: Architecture, row: ArchitectureRow, step: int) -> int:
    """What vLLM's kernels for MXFP4 add: experts of a width in multiples of 256, of a length in
    those of `step` by kernel.

    vllm/model_executor/layers/quantization/mxfp4.py; its logs of both gpt-oss models say so too
    (tests/truth/vllm.json).
    """
    length = max((group.length for group in architecture.feed_forward if group.experts), default=0)
    if not length or not (architecture.expert_dtype or "").startswith("mxfp4"):
        return 0
    wide = architecture.embedding_length
    padded = (-(-wide // 256) * 256) * (-(-length // step) * step)
    return int(
        stored_types(architecture, row).get(architecture.expert_dtype or "", 0.0)
        * (padded / (wide * length) - 1)
    )


def _quantized_while_loading(
    files: SizedWeights,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    quantization: str,
) -> Term:
    """Of the 16-bit files the linear layers are made narrow one by one; the rest stays."""
    line, source = files.arithmetic, f"{files.source}, made while loading"
    extra = (
        expert_bytes_left(architecture, row, quantization) if runtime.id == "transformers" else 0
    )
    if extra:
        # transformers 5 keeps a layer's experts in one tensor, which bitsandbytes leaves alone: its
        # issue 1849
        line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
        source += "; bitsandbytes issue 1849: experts of transformers 5 are left in 16 bits"
    table = _table(architecture, row) if runtime.id == "vllm" else 0
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    size = files.bytes + extra
    high = max(files.high_bytes, int(size * 1.005)) + table
    return term("weights", size + table, files.how, source, line, low=files.low_bytes, high=high)


def _cache(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[Term]:
    width, step = _cache_width(architecture, runtime, workload), _STEPS.get(runtime.id, 1)
    ending = f" × {workload.parallel:,} sequences" if workload.parallel > 1 else ""
    size = high = 0
    lines: list[tuple[str, int, str]] = []
    reading: list[str] = []
    for cached in _cached(architecture, row, runtime, workload):
        if runtime.id == "mlx" and cached.reach > cached.kept:
            reading.append(
                f"{cached.reach:,} in place of {cached.kept:,} tokens while a prompt is read"
            )
        lines.append(
            (
                "",
                cached.group.layers,
                f" × {cache_line(cached.group)[1]} × {width} bytes × {cached.kept:,} tokens"
                f"{ending}",
            )
        )
        size, high = size + cached.bytes, high + cached.high_bytes
    if architecture.audio is not None:
        frames, wide = architecture.audio.positions, architecture.embedding_length
        lines.append(
            (
                "2 × ",
                architecture.layers,
                f" × {wide:,} × {width} bytes × {frames:,} positions of the encoder{ending}",
            )
        )
        more = 2 * architecture.layers * wide * width * frames * workload.parallel
        size, high = size + more, high + more
    if size:
        notes = [*dict.fromkeys(reading), *([] if step == 1 else [f"in steps of {step} tokens"])]
        source = f"{runtime.name}: keys and values in the type of the model"
        if _in_fp8(architecture, runtime, workload):
            source = (
                f"{runtime.name}: keys and values in FP8, as quantization_config asks;"
                " --kv-cache-dtype auto does so"
            )
        yield term(
            "kv_cache",
            size,
            How.COMPUTED,
            source,
            "; ".join([" + ".join(by_layers(lines)), *notes]),
            high=high,
        )
    mlx_state = None
    if runtime.id == "mlx":
        from .mlx import cache as mlx_cache

        mlx_state = mlx_cache.state(architecture, width, workload.parallel)
    if mlx_state is not None:
        yield mlx_state
        return
    state = (
        sum(item.layers * (item.convolution + item.memory) for item in states(architecture))
        * workload.parallel
    )
    if state:
        line = " + ".join(
            by_layers(
                ("", item.layers, f" × {item.arithmetic} × 4 bytes{ending}")
                for item in states(architecture)
            )
        )
        yield term(
            "recurrent_state",
            state * 4,
            How.COMPUTED,
            "states in float32; some runtimes halve it",
            line,
            low=state * 2,
        )


class _Cached(Record):
    """What a group of layers keeps: of `kept` tokens, of `reach` at most."""

    group: CacheGroup
    kept: int
    reach: int
    bytes: int
    high_bytes: int


def _cached(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec, workload: Asked
) -> Iterator[_Cached]:
    width, step = _cache_width(architecture, runtime, workload), _STEPS.get(runtime.id, 1)
    tokens = -(-workload.context_tokens // step) * step
    for group in _groups(architecture, row, runtime):
        kept, reach = _kept(architecture, row, group, runtime, tokens)
        elements = cache_line(group)[0]
        # beside an indexer the positions of latent rows stay in 16 bits, with scales of the rest
        # (fp8_ds_mla)
        most = (
            width_of(architecture, runtime, workload.quantization)
            if group.indexer_elements
            else width
        )
        size = group.layers * elements * width * kept * workload.parallel
        high = group.layers * (elements + group.indexer_elements) * most * reach * workload.parallel
        yield _Cached(group=group, kept=kept, reach=reach, bytes=size, high_bytes=high)


def _in_fp8(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> bool:
    """What the published checkpoint asks for vLLM does where --kv-cache-dtype says nothing."""
    return (
        runtime.id == "vllm"
        and architecture.cache_dtype is not None
        and workload.quantization == name_of(architecture)
    )


def _cache_width(architecture: Architecture, runtime: RuntimeSpec, workload: Asked) -> int:
    return (
        1
        if _in_fp8(architecture, runtime, workload)
        else width_of(architecture, runtime, workload.quantization)
    )


def _groups(
    architecture: Architecture, row: ArchitectureRow, runtime: RuntimeSpec
) -> tuple[CacheGroup, ...]:
    if runtime.id != "mlx":
        return cache_groups(architecture, row)
    from .mlx import cache as mlx_cache

    return mlx_cache.groups_of(architecture, row)


def _kept(
    architecture: Architecture,
    row: ArchitectureRow,
    group: CacheGroup,
    runtime: RuntimeSpec,
    tokens: int,
) -> tuple[int, int]:
    """Tokens for which a layer has room, and the most; `tokens` are those of the context, in
    steps of the runtime.
    """
    window = group.window_tokens
    # transformers: DynamicSlidingWindowLayer gives a prompt back once the second token is answered
    if window is None or runtime.id == "transformers":
        return tokens, tokens
    if runtime.id == "mlx":
        from .mlx import cache as mlx_cache

        if not mlx_cache.rotates(architecture, row):
            return tokens, tokens
        # mlx_lm/models/cache.py: beside the piece of the prompt that is read one token less than
        # the window, in Llama 4's the whole
        before = window if row.mlx_windows == "chunked" else window - 1
        from .mlx.memory import PROMPT_STEP

        return min(tokens, window), min(tokens, before + PROMPT_STEP)
    step = _STEPS.get(runtime.id, 1)
    # vLLM may give every layer the room of the longest
    return min(tokens, -(-window // step) * step), tokens


def _vllm(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    from . import vllm as vllm_memory

    encodes = subject.spec.modality == "embedding"
    # no part of a text is read before the whole where each token sees all others
    # (vllm/config/model.py, is_chunked_prefill_supported)
    whole = workload.context_tokens if encodes and row.encoder else 0
    seeing = bool(subject.spec.parameters.encoders) and not subject.text_alone
    width = width_of(architecture, runtime, workload.quantization)
    activations = vllm_memory.activations(
        architecture,
        row,
        workload.parallel,
        width,
        whole_tokens=whole,
        encodes=encodes,
        sees=seeing,
    )
    return [activations, vllm_memory.program(architecture, overhead(runtime), encodes=encodes)]


def decode_bytes(
    subject: Subject,
    format: str,
    quantization: str,
    sized: SizedWeights | Unread,
    runtime: RuntimeSpec | None,
) -> dict[str, int]:
    """Bytes read for one decoded token: the files scaled to the active parameters, less an
    untied token table.
    """
    parameters, architecture, row = subject.spec.parameters, subject.architecture, subject.row
    if isinstance(sized, Unread) or not parameters.total:
        return {}
    if (
        architecture is not None
        and row is not None
        and architecture.expert_dtype is not None
        and quantization == name_of(architecture)
    ):
        # transformers widens them on a CPU and not on a GPU: what is read is not known before it is
        # placed
        in_transformers = runtime is not None and runtime.id == "transformers"
        return {} if in_transformers else _decode_bytes_by_part(architecture, row)
    files = sized.bytes - _unneeded(subject, sized, format, quantization)
    read = max(0, files * _active(subject) // parameters.total)
    stored, loaded = loaded_type(runtime, subject.spec, quantization)
    return {loaded: int(read * DTYPES[loaded] / DTYPES[stored]) if stored != loaded else read}


def _active(subject: Subject) -> int:
    """Parameters that one token reads, as often as it does."""
    parameters, architecture = subject.spec.parameters, subject.architecture
    active = (parameters.active or parameters.total or 0) - (parameters.encoders or 0)
    if architecture is None:
        return active
    table = (architecture.vocabulary or 0) * architecture.embedding_length
    if not architecture.tied_embeddings and architecture.output_matrix:
        active -= table
    if architecture.stored_layers:
        # layers that run through the weights of earlier ones read them once more
        again = architecture.layers - architecture.stored_layers
        active += max(0, active - table) * again // architecture.stored_layers
    return active


def _decode_bytes_by_part(architecture: Architecture, row: ArchitectureRow) -> dict[str, int]:
    """Where experts alone are narrow: a token reads those it uses, and all that lies beside
    them.
    """
    sparse = next((group for group in architecture.feed_forward if group.experts), None)
    share = (sparse.used or 1) / (sparse.experts or 1) if sparse is not None else 1.0
    plain = architecture.dtype or "bfloat16"
    table = 0.0
    if not architecture.tied_embeddings:
        elements = (architecture.vocabulary or 0) * architecture.embedding_length
        table = elements * DTYPES[plain] / 8
    return {
        type: int(
            part * share if type == architecture.expert_dtype else part - table * (type == plain)
        )
        for type, part in stored_types(architecture, row).items()
    }
