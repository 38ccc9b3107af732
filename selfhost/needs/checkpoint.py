"""The memory of transformers, vLLM or MLX once it loaded a checkpoint in safetensors, pickle or MLX
files.
"""

from __future__ import annotations

from ..catalogue.spec import PLAIN_DTYPES, Architecture, RuntimeSpec
from ..core.records import Unread
from .checkpoint_cache import kept_terms
from .checkpoint_files import (
    cast_to,
    download_of,
    published_block_bytes,
    size_of,
    unneeded_bytes,
)
from .loaded import guessed_activations, loaded_type, overhead, width_of
from .packed import DTYPES, expert_bytes_left
from .parts import Asked, Parts, Subject, is_cast, loads_sixteen_bits, name_of, term, unread_cache
from .records import How, SizedWeights, Term, share_of, summed, taken_off
from .tensors import ArchitectureRow

# save_pretrained cuts files at 5 GB, newer releases at 50 GB
_SHARD_BYTES = 5_000_000_000


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
            terms=(weights, overhead(runtime)),
            unknown=(*file_parts.unknown, unread_cache(subject.spec)),
        )
    row = subject.row or ArchitectureRow(name=architecture.row)
    if runtime.computes_with == "transformers":
        from .torch import parts as torch_parts

        exact, evictable = torch_parts.terms(subject, architecture, row, weights, runtime, workload)
        if exact:
            return file_parts.replace(terms=tuple(exact), evictable_bytes=evictable)
    terms = (weights, *_beside(subject, architecture, row, runtime, workload))
    if runtime.computes_with != "vllm":
        return file_parts.replace(terms=terms)
    from . import vllm_weights

    return file_parts.replace(
        terms=tuple(
            vllm_weights.divided(term, subject, architecture, row, runtime, workload)
            for term in terms
        ),
        tensor_parallel=vllm_weights.devices_of(architecture, workload.quantization),
    )


def _cast(narrow: Parts, files: SizedWeights) -> Parts:
    """What the narrow weights take in memory, with the files that are downloaded for them."""
    return narrow.replace(files=files, largest_file_bytes=_known_files(files).largest_file_bytes)


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
    terms = _beside_of(subject, architecture, row, runtime, workload)
    if (
        runtime.computes_with != "mlx"
        or architecture.dtype != "float32"
        or subject.spec.quantized is not None
    ):
        return terms
    narrow = {
        term.name: term
        for term in _beside_of(
            subject, architecture.replace(dtype="bfloat16"), row, runtime, workload
        )
    }
    return [_as_narrow(counted, narrow[counted.name]) for counted in terms]


def _as_narrow(counted: Term, in_float16: Term) -> Term:
    """The term, whose least is that of files in float16 where that is another."""
    if in_float16.bytes == counted.bytes:
        return counted
    return counted.replace(
        low_bytes=min(counted.low_bytes, in_float16.low_bytes),
        arithmetic=f"{counted.arithmetic}; with files in float16 {in_float16.bytes:,}",
    )


def _beside_of(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    terms = [*kept_terms(architecture, row, runtime, workload)]
    if runtime.reserves_by_device:
        from . import sglang

        encoders = 0 if subject.text_alone else subject.spec.parameters.encoders or 0
        left = sglang.work(architecture, workload.parallel, encoders)
        return [*terms, left, sglang.program(overhead(runtime))]
    if runtime.computes_with == "vllm":
        return [*terms, *_vllm(subject, architecture, row, runtime, workload)]
    program = overhead(runtime)
    if runtime.computes_with == "mlx":
        from .mlx import memory as mlx_memory

        program = mlx_memory.program(architecture, row, program)
    return [*terms, guessed_activations(architecture, row, runtime, workload), program]


def _vllm(
    subject: Subject,
    architecture: Architecture,
    row: ArchitectureRow,
    runtime: RuntimeSpec,
    workload: Asked,
) -> list[Term]:
    from . import vllm as vllm_memory

    encodes = subject.spec.modality == "embedding"
    # a text is read whole where each token sees all others (vllm/config/model.py,
    # is_chunked_prefill_supported)
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
        runtime.computes_with == "vllm"
        and architecture is not None
        and row is not None
        and subject.whole
    ):
        from .vllm_weights import with_additions

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
    extra = (
        expert_bytes_left(architecture, row, quantization)
        if runtime.computes_with == "transformers"
        else 0
    )
    if extra:
        # transformers 5 keeps a layer's experts in one tensor, which bitsandbytes leaves alone: its
        # issue 1849
        line = summed(line, f"{extra:,} bytes of experts; they stay in 16 bits")
        source += "; bitsandbytes issue 1849: experts of transformers 5 are left in 16 bits"
    table = 0
    if runtime.computes_with == "vllm":
        from .vllm_weights import table_bytes

        table = table_bytes(architecture, row)
    if table:
        line = summed(line, f"{table:,} bytes of a table of positions")
    size = files.bytes + extra
    high = max(files.high_bytes, int(size * 1.005)) + table
    return term("weights", size + table, files.how, source, line, low=files.low_bytes, high=high)
