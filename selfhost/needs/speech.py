"""Whisper in ggml files with whisper.cpp, and in CTranslate2 files with faster-whisper.

What goes in: the case of a model, a program and a workload. What comes out: its files and what it
takes in memory. The constants are in specs/common/memory.toml; triples are least, likely, most.
"""

from __future__ import annotations

from typing import NamedTuple

from ..catalogue.architecture import Audio
from ..core.records import Record, Unread
from ..core.tables import shipped_table
from ..core.units import plural
from .case import Case, overhead, published_size, without_files
from .quantization import BLOCKS, canonical_gguf
from .records import How, Needs, Split, Term, of_sequences, term, unread, whole_files
from .tensors import checkpoint_tensors

_CPP = shipped_table("memory")["whisper.cpp"]
_CT2 = shipped_table("memory")["faster-whisper"]
_BEAMS = 5
_FRAMES_PER_SECOND = 100
_SAMPLES_PER_SECOND = 16_000
# the context of the text where a spec does not state it
_USUAL_TOKENS = 448
# cells of whisper.cpp's caches come in steps
_STEP_CELLS = 256


# ------------------------------------------------------------------ files


def size_of(case: Case) -> Term | Unread:
    """The file: as published; of whisper.cpp else matrices in that type, the rest in 32 bits."""
    is_ggml = case.format == "ggml"
    name = case.quantization
    if is_ggml:
        name = canonical_gguf(name) or name
    stated = published_size(case, name)
    if stated is not None:
        return stated
    if not is_ggml:
        why = "no source states the size of the files for CTranslate2"
        return unread(why, "state it under [[files]] in a spec of the model")
    architecture = case.spec.architecture
    remedy = "use --quantization F16, Q8_0 or Q5_0"
    if architecture is None or not architecture.audio:
        return unread("it is not known as Whisper", remedy)
    if not case.has_row or name not in _CPP["types"]:
        return unread(f"whisper.cpp has no {name} files", remedy)
    weights, block = BLOCKS[name]
    numbers = _numbers_of(case, weights)
    header = _CPP["header_bytes"]
    matrices = numbers.matrices // weights * block
    size = matrices + 2 * numbers.convolutions + 4 * numbers.others + header
    line = f"{numbers.matrices:,} × {block}/{weights} bytes of {name}"
    line += f" + {numbers.convolutions:,} × 2 bytes + {numbers.others:,} × 4 bytes"
    line += f" + {header:,} bytes of header"
    source = "whisper.cpp models/convert-pt-to-ggml.py and examples/quantize"
    ends = {"low": int(size * 0.99), "high": int(size * 1.01)}
    return term("files", size, How.COMPUTED, source, line, **ends)


class _Numbers(Record):
    """Numbers of a checkpoint: in matrices, in convolutions, and the rest; rows of matrices."""

    matrices: int
    convolutions: int
    others: int
    rows: int


def _numbers_of(case: Case, block: int) -> _Numbers:
    """The numbers of a model; matrices are those that divide into blocks of so many."""
    matrices = convolutions = others = rows = 0
    for group in checkpoint_tensors(case.model):
        shape = group.shape
        is_weight = group.name.endswith(".weight") and "position_embd" not in group.name
        if len(shape) == 2 and is_weight and shape[0] % block == 0:
            matrices += group.parameters
            rows += group.parameters // shape[0]
        elif len(shape) == 3:
            convolutions += group.parameters
        else:
            others += group.parameters
    return _Numbers(
        matrices=matrices, convolutions=convolutions, others=others, rows=rows
    )


# ------------------------------------------------------------------ memory


def parts(case: Case) -> Needs:
    """Files and memory. `parallel`: states or pieces of 30 seconds that are heard at once."""
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    model, is_ggml = case.model, case.format == "ggml"
    attends = model.attention or model.recurrent
    audio = model.audio if attends and case.has_row else None
    terms: tuple[Term, ...]
    if audio is None or not model.vocabulary:
        if not is_ggml:
            remedy = "state [architecture] in a spec of the model"
            why = unread("the architecture is not known", remedy, "memory.weights")
            return Needs(files=files, unknown=(why,))
        program = overhead(case.runtime, on_gpu=case.device is not None)
        terms = whole_files(files), program.replace(how=How.ASSUMED)
    elif is_ggml:
        terms = _whisper_cpp(case, audio, files)
    else:
        terms = _ctranslate2(case, audio, files)
    return Needs(files=files, terms=terms, largest_file_bytes=files.bytes)


# ------------------------------------------------------------------ whisper.cpp


def _whisper_cpp(case: Case, audio: Audio, files: Term) -> tuple[Term, ...]:
    """The file, the caches, the buffers and the program."""
    lengths = _CPP["seconds"]
    if case.workload.audio_seconds is not None:
        lengths = [case.workload.audio_seconds] * 3
    return (
        whole_files(files),
        _cpp_caches(case, audio),
        _cpp_buffers(case, audio, lengths),
        _cpp_program(case, audio, lengths),
    )


def _of_states(line: str, states: int) -> str:
    """A line of one state, as it stands for so many."""
    ending = of_sequences(states)
    return f"({line}){ending}" if ending else line


def _stepped(cells: int) -> int:
    """The cells of a cache that holds so many."""
    return -(-cells // _STEP_CELLS) * _STEP_CELLS


def _cpp_caches(case: Case, audio: Audio) -> Term:
    """The caches, in 16 bits and steps of 256 cells.

    Of the text for each beam and two more, of the audio in every layer, of one encoder layer.
    """
    model, states = case.model, case.workload.parallel
    written = _stepped(model.context_tokens or _USUAL_TOKENS)
    heard = _stepped(audio.positions)
    size = 4 * model.layers * model.embedding_length * ((_BEAMS + 2) * written + heard)
    size += 4 * audio.embedding_length * heard
    line = f"2 × {plural(model.layers, 'layer')} × {model.embedding_length:,} × 2 bytes"
    line += f" × ({_BEAMS + 2} × {written:,} + {heard:,} cells)"
    line += f" + 2 × {audio.embedding_length:,} × 2 bytes × {heard:,} cells"
    source = f"{_CPP['source']}; {_BEAMS} beams, the default"
    line = _of_states(line, states)
    return term("kv_cache", size * states, How.COMPUTED, source, line)


def _cpp_buffers(case: Case, audio: Audio, lengths: list[int]) -> Term:
    """The buffers of four graphs: convolutions, encoder, cross attention, and decoder.

    The decoder has twice the logits of what it reads at once: the beams, or the text before, which
    a piece behind the first has. `lengths`: seconds of audio, least, likely, most.
    """
    model, states = case.model, case.workload.parallel
    heads, heard = audio.embedding_length, audio.positions
    vocabulary = model.vocabulary or 0
    token_bytes = 2 * (heads + vocabulary) * 4
    fixed = 2 * heard * (audio.mel_bins * 10 + 8 * heads) + 10 * heard * heads * 4
    fixed += 4 * _CPP["graph_bytes"] + _BEAMS * vocabulary * _CPP["beam_bytes"]
    likely_tokens, most_tokens = (_tokens_at_once(length) for length in lengths[1:])
    low = states * (fixed + _BEAMS * token_bytes)
    likely = states * (fixed + likely_tokens * token_bytes)
    high = states * (fixed + most_tokens * token_bytes)
    line = f"{fixed:,} bytes of graphs and beams + {plural(likely_tokens, 'token')}"
    line += f" × 2 × ({heads:,} + {vocabulary:,}) × 4 bytes"
    line = _of_states(line, states)
    if likely > low:
        line += "; with the text before, without which audio of 30 seconds takes"
        line += f" {likely - low:,} bytes less"
    if case.device is not None:
        # inputs are there twice: five rows more were printed with Vulkan
        high += 5 * heard * heads * 4 * states
    source = _CPP["source"]
    return term("compute", likely, How.COMPUTED, source, line, low=low, high=high)


def _tokens_at_once(seconds: int) -> int:
    """What the decoder reads at once at most; a last piece of some seconds is read alone."""
    text = max(0, (seconds - 6) // 30) * _CPP["written"]
    if not text:
        return _BEAMS
    return int(min(_CPP["text_tokens"], text) + _CPP["task_tokens"])


def _cpp_program(case: Case, audio: Audio, lengths: list[int]) -> Term:
    """The program with all of the audio, as samples and as a spectrum."""
    by_second = 4 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * audio.mel_bins)
    sizes = zip(_CPP["program"], lengths, strict=True)
    low, likely, high = (size + length * by_second for size, length in sizes)
    line = f"{_CPP['program'][1]:,} bytes"
    line += f" + {lengths[1]:,} seconds of audio × {by_second:,} bytes"
    if case.workload.audio_seconds is None:
        line += f"; of unknown length, {lengths[0]:,} to {lengths[2]:,} seconds:"
        line += f" a minute takes {60 * by_second:,} bytes"
    source = _CPP["source"]
    return term("runtime", likely, How.MEASURED, source, line, low=low, high=high)


# ------------------------------------------------------------------ faster-whisper


def _ctranslate2(case: Case, audio: Audio, files: Term) -> tuple[Term, ...]:
    """Weights, what is held beside them, and the program; on a GPU also what stays in RAM."""
    weights, program = _ct2_weights(case), overhead(case.runtime)
    caches = _ct2_caches(case, audio)
    if _computes_on_cpu(case):
        return weights, _ct2_work_on_cpu(case, audio, files, weights, caches), program
    on_gpu = _ct2_work_on_gpu(case, caches)
    if case.device is None:
        return weights, on_gpu, program
    beside = _ct2_beside_gpu(case, files, weights)
    in_ram = (part.replace(split=Split.HOST) for part in (beside, program))
    return weights, on_gpu, *in_ram


def _computes_on_cpu(case: Case) -> bool:
    """No processor computes in 16 bits."""
    return case.device is None and case.quantization != "float16"


def _ct2_weights(case: Case) -> Term:
    """All parameters in one type; of int8 matrices alone, with a scale for each row."""
    numbers = _numbers_of(case, 1)
    total = numbers.matrices + numbers.convolutions + numbers.others
    if case.quantization == "int8":
        plain = total - numbers.matrices
        size = numbers.matrices + 4 * (numbers.rows + plain)
        line = f"{numbers.matrices:,} bytes"
        line += f" + ({numbers.rows:,} scales + {plain:,} numbers) × 4 bytes"
    else:
        width = 2 if case.quantization == "float16" else 4
        size = total * width
        line = f"{total:,} parameters × {width} bytes"
    return term("weights", size, How.COMPUTED, _CT2["weights_source"], line)


class _Sound(NamedTuple):
    """How long the audio is, and what a line says where that is assumed."""

    seconds: int
    remark: str

    @property
    def spectrum_bytes(self) -> int:
        """Its spectrum while it is made."""
        return self.seconds * _FRAMES_PER_SECOND * int(_CT2["spectrum_bytes"])


def _sound(case: Case) -> _Sound:
    if case.workload.audio_seconds is not None:
        return _Sound(case.workload.audio_seconds, "")
    sound = _Sound(_CT2["seconds"], "")
    minute = _Sound(60, "").spectrum_bytes
    remark = f"; audio of {sound.seconds // 60} minutes, {minute:,} bytes more for each"
    return sound._replace(remark=f"{remark} other minute")


def _ct2_caches(case: Case, audio: Audio) -> int:
    """Bytes of the caches of audio and text; on a GPU int8 computes in 16 bits too."""
    on_cpu, parallel = _computes_on_cpu(case), case.workload.parallel
    is_long = parallel == 1 and _sound(case).seconds > 30
    cells = _CT2["text_cells"] if is_long else _CT2["piece_cells"]
    is_reordered = on_cpu and case.quantization == "int8"
    cells *= _BEAMS * (_CT2["reordered"] if is_reordered else _CT2["plain"])
    is_single = on_cpu or case.quantization == "float32"
    wide = 2 * case.model.embedding_length * (4 if is_single else 2)
    return int(case.model.layers * wide * parallel * (audio.positions + cells))


def _ct2_work_on_cpu(
    case: Case, audio: Audio, files: Term, weights: Term, caches: int
) -> Term:
    """The most beside the weights: for the spectrum, the file, or the text.

    Of a file that is narrowed after it is read, all lies beside what is made of it.
    """
    sound, parallel = _sound(case), case.workload.parallel
    narrowed = files.bytes - weights.bytes if case.quantization == "int8" else 0
    held = 4 * _CT2["arrays"] * (audio.positions * audio.embedding_length * parallel)
    held += sound.seconds * _FRAMES_PER_SECOND * _CT2["kept_bytes"]
    held += int(_CT2["holes"] * narrowed)
    likely = max(sound.spectrum_bytes, narrowed, held + caches)
    line = f"{caches:,} bytes of caches + {held:,} bytes of audio and buffers"
    if likely != held + caches:
        line = f"{likely:,} bytes while the file or the audio is read"
    line += sound.remark
    how = How.STATED if parallel > 1 else How.MEASURED
    ends = {"low": int(likely * 0.85), "high": int(likely * 1.14)}
    return term("compute", likely, how, _CT2["source"], line, **ends)


def _ct2_work_on_gpu(case: Case, caches: int) -> Term:
    """The caches with the buffers and the libraries of CUDA."""
    buffers = _CT2["gpu"][case.quantization]
    size = caches + buffers
    line = f"{caches:,} bytes of caches + {buffers:,} bytes of buffers and CUDA"
    ends = {"low": int(0.75 * size), "high": int(1.3 * size)}
    return term("compute", size, How.STATED, _CT2["gpu_source"], line, **ends)


def _ct2_beside_gpu(case: Case, files: Term, weights: Term) -> Term:
    """What stays in RAM beside a GPU: audio, and weights of a file read whole or libraries."""
    sound, libraries = _sound(case), _CT2["cuda_libraries"]
    kept = sound.spectrum_bytes
    kept += weights.bytes if case.quantization == "int8" else libraries // 2
    line = f"{kept:,} bytes of audio, weights and CUDA's libraries{sound.remark}"
    ends = {"low": sound.spectrum_bytes, "high": max(kept, files.bytes) + libraries}
    return term("compute", kept, How.STATED, _CT2["ram_source"], line, **ends)
