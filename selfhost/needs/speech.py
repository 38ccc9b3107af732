"""Whisper in ggml files with whisper.cpp, and in CTranslate2 files with faster-whisper. The
constants are in specs/common/memory.toml; triples are least, likely, most.
"""

from __future__ import annotations

from ..catalogue.architecture import Audio
from ..core.records import Unread
from ..core.tables import shipped_table
from ..core.units import plural
from .case import Case, overhead, published_size, without_files
from .quantization import BLOCKS, canonical_gguf
from .records import How, Needs, Split, Term, of_sequences, term, unread, whole_files
from .tensors import checkpoint_tensors

_BEAMS, _FRAMES_PER_SECOND, _SAMPLES_PER_SECOND = 5, 100, 16_000
_CPP, _CT2 = (
    shipped_table("memory")[name] for name in ("whisper.cpp", "faster-whisper")
)


def size_of(case: Case) -> Term | Unread:
    """The file: as published; of whisper.cpp else matrices in that type, the rest in 32 bits."""
    is_ggml, architecture = case.format == "ggml", case.spec.architecture
    name = (canonical_gguf(case.quantization) if is_ggml else None) or case.quantization
    stated = published_size(case, name)
    if stated is not None:
        return stated
    if not is_ggml:
        why = "no source states the size of the files for CTranslate2"
        return unread(why, "state it under [[files]] in a spec of the model")
    audio = None if architecture is None else architecture.audio
    if audio is None or not case.has_row or name not in _CPP["types"]:
        why = (
            f"whisper.cpp has no {name} files"
            if audio
            else "it is not known as Whisper"
        )
        return unread(why, "use --quantization F16, Q8_0 or Q5_0")
    elements, block = BLOCKS[name]
    matrices, halves, singles, _ = _counted(case, elements)
    size = (
        matrices // elements * block + 2 * halves + 4 * singles + _CPP["header_bytes"]
    )
    line = f"{matrices:,} × {block}/{elements} bytes of {name} + {halves:,} × 2 bytes"
    line += f" + {singles:,} × 4 bytes + {_CPP['header_bytes']:,} bytes of header"
    source = "whisper.cpp models/convert-pt-to-ggml.py and examples/quantize"
    ends = {"low": int(size * 0.99), "high": int(size * 1.01)}
    return term("files", size, How.COMPUTED, source, line, **ends)


def _counted(case: Case, elements: int) -> tuple[int, int, int, int]:
    """Numbers of matrices in blocks of `elements`, convolutions, and the rest; rows of matrices."""
    matrices = convolutions = others = rows = 0
    for group in checkpoint_tensors(case.model):
        shape, number = group.shape, group.parameters
        is_weight = group.name.endswith(".weight") and "position_embd" not in group.name
        if len(shape) == 2 and is_weight and shape[0] % elements == 0:
            matrices, rows = matrices + number, rows + number // shape[0]
        elif len(shape) == 3:
            convolutions += number
        else:
            others += number
    return matrices, convolutions, others, rows


def parts(case: Case) -> Needs:
    """Files and memory. `parallel`: states or pieces of 30 seconds that are heard at once."""
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    attends = case.model.attention or case.model.recurrent
    audio = case.model.audio if attends and case.has_row else None
    if audio is None or not case.model.vocabulary:
        if case.format != "ggml":
            remedy = "state [architecture] in a spec of the model"
            why = unread("the architecture is not known", remedy, "memory.weights")
            return Needs(files=files, unknown=(why,))
        program = overhead(case.runtime, on_gpu=case.device is not None).replace(
            how=How.ASSUMED
        )
        terms: tuple[Term, ...] = (whole_files(files), program)
    elif case.format == "ggml":
        terms = whole_files(files), *_whisper_cpp(case, audio)
    else:
        terms = _ctranslate2(case, audio, files)
    return Needs(files=files, terms=terms, largest_file_bytes=files.bytes)


def _whisper_cpp(case: Case, audio: Audio) -> tuple[Term, Term, Term]:
    """The caches, in 16 bits and steps of 256 cells: of the text for each beam and two more, of the
    audio in every layer, of one encoder layer. The buffers of four graphs: convolutions, encoder,
    cross attention, and decoder with twice the logits of what it reads at once. The program.
    """
    model, states, seconds = (
        case.model,
        case.workload.parallel,
        case.workload.audio_seconds,
    )
    lengths = _CPP["seconds"] if seconds is None else (seconds,) * 3
    wide, layers, heard = model.embedding_length, model.layers, audio.positions
    written, cells = (
        -(-size // 256) * 256 for size in (model.context_tokens or 448, heard)
    )
    size = (
        4 * layers * wide * ((_BEAMS + 2) * written + cells)
        + 4 * audio.embedding_length * cells
    )
    line = f"2 × {plural(layers, 'layer')} × {wide:,} × 2 bytes × ({_BEAMS + 2} × {written:,} +"
    line += f" {cells:,} cells) + 2 × {audio.embedding_length:,} × 2 bytes × {cells:,} cells"
    ending = of_sequences(states)
    source = f"{_CPP['source']}; {_BEAMS} beams, the default"
    line = f"({line}){ending}" if ending else line
    cache = term("kv_cache", size * states, How.COMPUTED, source, line)

    heads, vocabulary = audio.embedding_length, model.vocabulary or 0
    token_bytes = 2 * (heads + vocabulary) * 4
    fixed = 2 * heard * (audio.mel_bins * 10 + 8 * heads) + 10 * heard * heads * 4
    fixed += 4 * _CPP["graph_bytes"] + _BEAMS * vocabulary * _CPP["beam_bytes"]
    # a last piece of some seconds is read alone
    most, task = _CPP["text_tokens"], _CPP["task_tokens"]
    texts = [max(0, (length - 6) // 30) * _CPP["written"] for length in lengths[1:]]
    tokens = [_BEAMS, *(min(most, text) + task if text else _BEAMS for text in texts)]
    low, likely, high = (states * (fixed + read * token_bytes) for read in tokens)
    line = f"{fixed:,} bytes of graphs and beams + {plural(tokens[1], 'token')}"
    line += f" × 2 × ({heads:,} + {vocabulary:,}) × 4 bytes"
    line, less = f"({line}){ending}" if ending else line, states * (tokens[1] - _BEAMS)
    if less:
        line += "; with the text before, without which audio of 30 seconds takes"
        line += f" {less * token_bytes:,} bytes less"
    if case.device is not None:
        # inputs are there twice: five rows more were printed with Vulkan
        high += 5 * heard * heads * 4 * states
    compute = term(
        "compute", likely, How.COMPUTED, _CPP["source"], line, low=low, high=high
    )

    each = 4 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * audio.mel_bins)
    sizes = zip(_CPP["program"], lengths, strict=True)
    low, likely, high = (size + length * each for size, length in sizes)
    line = f"{_CPP['program'][1]:,} bytes + {lengths[1]:,} seconds of audio × {each:,} bytes"
    if seconds is None:
        line += f"; of unknown length, {lengths[0]:,} to {lengths[2]:,} seconds: a minute takes"
        line += f" {60 * each:,} bytes"
    program = term(
        "runtime", likely, How.MEASURED, _CPP["source"], line, low=low, high=high
    )
    return cache, compute, program


def _ctranslate2(case: Case, audio: Audio, files: Term) -> tuple[Term, ...]:
    """Weights, what is held beside them, and the program; on a GPU also what stays in RAM."""
    # no processor computes in 16 bits, and on a GPU int8 computes in 16 bits too
    type, seconds, remark = case.quantization, case.workload.audio_seconds, ""
    matrices, convolutions, others, rows = _counted(case, 1)
    numbers, width = (
        matrices + convolutions + others,
        {"int8": 1, "float16": 2}.get(type, 4),
    )
    size, line = numbers * width, f"{numbers:,} parameters × {width} bytes"
    if type == "int8":
        # matrices alone, with a scale for each row
        size = matrices + 4 * (rows + numbers - matrices)
        line = f"{matrices:,} bytes + ({rows:,} scales + {numbers - matrices:,} numbers) × 4 bytes"
    weights = term("weights", size, How.COMPUTED, _CT2["weights_source"], line)
    program, each = overhead(case.runtime), _FRAMES_PER_SECOND * _CT2["spectrum_bytes"]
    if seconds is None:
        seconds = _CT2["seconds"]
        remark = (
            f"; audio of {seconds // 60} minutes, {60 * each:,} bytes "
            f"more for each other minute"
        )
    is_on_cpu, parallel = (
        case.device is None and type != "float16",
        case.workload.parallel,
    )
    cells = _CT2["text_cells" if parallel == 1 and seconds > 30 else "piece_cells"]
    cells *= _BEAMS * _CT2["reordered" if is_on_cpu and type == "int8" else "plain"]
    wide = (
        2
        * case.model.embedding_length
        * (4 if any((is_on_cpu, type == "float32")) else 2)
    )
    caches = int(case.model.layers * wide * parallel * (audio.positions + cells))
    if is_on_cpu:
        # the most beside the weights: for the spectrum, the file, `narrowed` after it, or the text
        frames = seconds * _FRAMES_PER_SECOND
        narrowed = files.bytes - weights.bytes if type == "int8" else 0
        held = (
            4 * _CT2["arrays"] * (audio.positions * audio.embedding_length * parallel)
        )
        held += frames * _CT2["kept_bytes"] + int(_CT2["holes"] * narrowed)
        likely = max(frames * _CT2["spectrum_bytes"], narrowed, held + caches)
        line = f"{caches:,} bytes of caches + {held:,} bytes of audio and buffers"
        if likely != held + caches:
            line = f"{likely:,} bytes while the file or the audio is read"
        how = How.STATED if parallel > 1 else How.MEASURED
        ends = {"low": int(likely * 0.85), "high": int(likely * 1.14)}
        work = term("compute", likely, how, _CT2["source"], line + remark, **ends)
        return weights, work, program
    left = _CT2["gpu"][type]
    line = f"{caches:,} bytes of caches + {left:,} bytes of buffers and CUDA"
    ends = {"low": int(0.75 * (caches + left)), "high": int(1.3 * (caches + left))}
    on_gpu = term(
        "compute", caches + left, How.STATED, _CT2["gpu_source"], line, **ends
    )
    if case.device is None:
        return weights, on_gpu, program
    # the libraries of CUDA are counted with the buffers; the file is read whole
    spectrum = seconds * each
    kept = spectrum + (weights.bytes if type == "int8" else _CT2["cuda_libraries"] // 2)
    line = f"{kept:,} bytes of audio, weights and CUDA's libraries{remark}"
    ends = {"low": spectrum, "high": max(kept, files.bytes) + _CT2["cuda_libraries"]}
    beside = term("compute", kept, How.STATED, _CT2["ram_source"], line, **ends)
    return (
        weights,
        on_gpu,
        *(each.replace(split=Split.HOST) for each in (beside, program)),
    )
