"""The needs of Whisper in ggml files with whisper.cpp, and in CTranslate2 files with
faster-whisper.

What goes in: the case of a model, a program and a workload. What comes out: the files and the
memory. The constants are in specs/common/memory.toml; triples are least, likely, most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..catalogue.architecture import Audio
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_record
from ..core.units import plural
from .case import Case, overhead, published_size, without_files
from .quantization import BLOCKS, canonical_gguf
from .records import (
    How,
    Needs,
    Size,
    Split,
    Term,
    Terms,
    as_size,
    computed_term,
    of_sequences,
    rounded_up,
    stated_term,
    term,
    unread,
    whole_files,
)
from .tensors import published_tensors


class _WhisperCppTable(Stated):
    """`["whisper.cpp"]` of specs/common/memory.toml, which explains each key."""

    source: str
    types: tuple[str, ...]
    header_bytes: int
    seconds: tuple[int, ...]
    program: tuple[int, ...]
    graph_bytes: int
    beam_bytes: int
    written: int
    text_tokens: int
    task_tokens: int


class _FasterWhisperTable(Stated):
    """`["faster-whisper"]` of specs/common/memory.toml, which explains each key."""

    source: str
    weights_source: str
    seconds: int
    types: Mapping[str, tuple[int, ...]]
    spectrum_bytes: int
    kept_bytes: int
    text_cells: int
    piece_cells: int
    reordered: float
    plain: float
    arrays: int
    holes: float
    gpu: Mapping[str, int]
    gpu_source: str
    ram_source: str
    cuda_libraries: int


_CPP = shipped_record(_WhisperCppTable, "memory", "whisper.cpp")
_CT2 = shipped_record(_FasterWhisperTable, "memory", "faster-whisper")
_BEAMS = 5
_FRAMES_PER_SECOND = 100
_SAMPLES_PER_SECOND = 16_000
# the context of the text decoder if the spec states none
_USUAL_TOKENS = 448
# the number of cells in whisper.cpp's caches is a multiple of this
_STEP_CELLS = 256


# ------------------------------------------------------------------ files


def size_of(case: Case) -> Term | Unread:
    """The size of the file: as published, else computed for whisper.cpp."""
    if case.format == "ggml":
        return _ggml_size(case)
    stated = published_size(case)
    if stated is None:
        why = "no source states the size of the files for CTranslate2"
        return unread(why, "state it under [[files]] in a spec of the model")
    return stated


def _ggml_size(case: Case) -> Term | Unread:
    """The size of the file for whisper.cpp: as published, else as computed."""
    name = canonical_gguf(case.quantization) or case.quantization
    stated = published_size(case, name)
    if stated is not None:
        return stated
    architecture = case.spec.architecture
    remedy = "use --quantization F16, Q8_0 or Q5_0"
    if architecture is None or not architecture.audio:
        return unread("it is not known as Whisper", remedy)
    if not case.has_row or name not in _CPP.types:
        return unread(f"whisper.cpp has no {name} files", remedy)
    return _converted_size(case, name)


def _converted_size(case: Case, name: str) -> Term:
    """The file as whisper.cpp's converter writes it: matrices in that type, convolutions in 16 bits
    and the rest in 32 bits.
    """
    block = BLOCKS[name]
    numbers = _numbers_of(case, block.elements)
    size = numbers.matrices // block.elements * block.bytes
    size += 2 * numbers.convolutions + 4 * numbers.others + _CPP.header_bytes
    line = f"{numbers.matrices:,} × {block.bytes}/{block.elements} bytes of {name}"
    line += f" + {numbers.convolutions:,} × 2 bytes + {numbers.others:,} × 4 bytes"
    line += f" + {_CPP.header_bytes:,} bytes of header"
    source = "whisper.cpp models/convert-pt-to-ggml.py and examples/quantize"
    ends = Size(int(size * 0.99), size, int(size * 1.01))
    return computed_term("files", ends, source, line)


class _Numbers(Record):
    """The numbers of the published weights: in matrices, in convolutions and in all else; `rows`
    counts the rows of the matrices.
    """

    matrices: int
    convolutions: int
    others: int
    rows: int


def _numbers_of(case: Case, block: int) -> _Numbers:
    """The numbers of a model's published weights. Only matrices whose rows divide into blocks of
    `block` count as matrices.
    """
    matrices = 0
    convolutions = 0
    others = 0
    rows = 0
    for group in published_tensors(case.model):
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


def needs_of_case(case: Case) -> Needs:
    """The files and the memory of a case. `parallel`: the number of states, or of pieces of 30
    seconds, that are transcribed at once.
    """
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    audio = case.model.audio
    is_described = case.has_layers and case.has_row and case.model.vocabulary
    if audio is None or not is_described:
        remedy = "state [architecture] in a spec of the model"
        why = unread("the architecture is not known", remedy, "memory.weights")
        return Needs(files=files, unknown=(why,))
    if case.format == "ggml":
        terms = _whisper_cpp(case, audio, files)
    else:
        terms = _ctranslate2(case, audio, files)
    return Needs(files=files, terms=terms, largest_file_bytes=files.bytes)


# ------------------------------------------------------------------ whisper.cpp


def _whisper_cpp(
    case: Case,
    audio: Audio,
    files: Term,
) -> Terms:
    """The terms of whisper.cpp: the file, the caches, the buffers and the program."""
    seconds = Size(*_CPP.seconds)
    stated = case.workload.audio_seconds
    if stated is not None:
        seconds = as_size(stated)
    return (
        whole_files(files),
        _cpp_caches(case, audio),
        _cpp_buffers(case, audio, seconds),
        _cpp_program(case, audio, seconds),
    )


def _of_states(line: str, states: int) -> str:
    """The line of arithmetic of one state, extended to `states` states."""
    ending = of_sequences(states)
    return f"({line}){ending}" if ending else line


def _cpp_caches(case: Case, audio: Audio) -> Term:
    """The caches of whisper.cpp, in 16 bits and steps of 256 cells: of the text for each beam and
    two more, of the audio in every layer, and of one encoder layer.
    """
    model = case.model
    states = case.parallel
    width = model.embedding_length
    written = rounded_up(model.context_tokens or _USUAL_TOKENS, _STEP_CELLS)
    heard = rounded_up(audio.positions, _STEP_CELLS)
    texts = _BEAMS + 2
    size = 4 * model.layers * width * (texts * written + heard)
    size += 4 * audio.embedding_length * heard
    line = f"2 × {plural(model.layers, 'layer')} × {width:,} × 2 bytes"
    line += f" × ({texts} × {written:,} + {heard:,} cells)"
    line += f" + 2 × {audio.embedding_length:,} × 2 bytes × {heard:,} cells"
    line = _of_states(line, states)
    source = f"{_CPP.source}; {_BEAMS} beams, the default"
    return computed_term("kv_cache", size * states, source, line)


def _cpp_buffers(
    case: Case,
    audio: Audio,
    seconds: Size,
) -> Term:
    """The buffers of whisper.cpp's four graphs: convolutions, encoder, cross attention, and
    decoder.

    The decoder has twice the logits of the tokens that it reads at once: the beams, or in every
    piece after the first the text before. `seconds`: the length of the audio.
    """
    states = case.parallel
    width = audio.embedding_length
    heard = audio.positions
    vocabulary = case.model.published_tokens
    of_token = 2 * (width + vocabulary) * 4
    fixed = 2 * heard * (audio.mel_bins * 10 + 8 * width) + 10 * heard * width * 4
    fixed += 4 * _CPP.graph_bytes + _BEAMS * vocabulary * _CPP.beam_bytes
    likely_tokens = _tokens_at_once(seconds.likely)
    tokens = Size(_BEAMS, likely_tokens, _tokens_at_once(seconds.most))
    size = tokens.times(of_token).plus(fixed).times(states)
    line = f"{fixed:,} bytes of graphs and beams + {plural(likely_tokens, 'token')}"
    line += f" × 2 × ({width:,} + {vocabulary:,}) × 4 bytes"
    line = _of_states(line, states)
    if size.likely > size.least:
        line += "; with the text before, without which audio of 30 seconds takes"
        line += f" {size.likely - size.least:,} bytes less"
    if case.is_on_device:
        # inputs are held twice: whisper.cpp printed five more rows with Vulkan
        inputs = 5 * heard * width * 4 * states
        size = size.plus(Size(0, 0, inputs))
    return computed_term("compute", size, _CPP.source, line)


def _tokens_at_once(seconds: int) -> int:
    """The most tokens that the decoder reads in one batch for audio of `seconds`: the number of
    beams, or the text before a piece and the tokens that ask for the task. A last piece shorter
    than 6 seconds is read without the text before it.
    """
    text = max(0, (seconds - 6) // 30) * _CPP.written
    if not text:
        return _BEAMS
    return min(_CPP.text_tokens, text) + _CPP.task_tokens


def _cpp_program(
    case: Case,
    audio: Audio,
    seconds: Size,
) -> Term:
    """The program with all of the audio, as samples and as a spectrum."""
    of_second = 4 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * audio.mel_bins)
    program = Size(*_CPP.program)
    sound = seconds.times(of_second)
    line = f"{program.likely:,} bytes"
    line += f" + {seconds.likely:,} seconds of audio × {of_second:,} bytes"
    if case.workload.audio_seconds is None:
        line += f"; of unknown length, {seconds.least:,} to {seconds.most:,} seconds:"
        line += f" a minute takes {60 * of_second:,} bytes"
    return term("runtime", program.plus(sound), _CPP.source, line, How.MEASURED)


# ------------------------------------------------------------------ faster-whisper


def _ctranslate2(
    case: Case,
    audio: Audio,
    files: Term,
) -> Terms:
    """The terms of faster-whisper: weights, working memory and the program; on a GPU also the
    memory that stays in RAM, which is not counted where no GPU was chosen yet.
    """
    weights = _ct2_weights(case)
    program = overhead(case.runtime)
    caches = _ct2_caches(case, audio)
    if _computes_on_cpu(case):
        work = _ct2_work_on_cpu(case, audio, files.bytes - weights.bytes, caches)
        return weights, work, program
    on_gpu = _ct2_work_on_gpu(case, caches)
    if case.device is None:
        return weights, on_gpu, program
    in_ram = _ct2_in_ram(case, files, weights)
    return (
        weights,
        on_gpu,
        in_ram.replace(split=Split.HOST),
        program.replace(split=Split.HOST),
    )


class _Ct2Type(NamedTuple):
    """The bytes of each number of a matrix, and of each other number, in a compute type."""

    matrix_bytes: int
    other_bytes: int

    @property
    def is_int8(self) -> bool:
        """Whether only matrices are narrow, with a scale for each row."""
        return self.matrix_bytes == 1


def _ct2_type(case: Case) -> _Ct2Type:
    """The compute type of a case."""
    return _Ct2Type(*_CT2.types[case.quantization])


def _computes_on_cpu(case: Case) -> bool:
    """Whether the model is computed on a CPU. No processor computes in 16 bits."""
    if case.is_on_device:
        return False
    return _ct2_type(case).other_bytes != 2


def _ct2_weights(case: Case) -> Term:
    """The weights: all parameters in one type. In int8 only matrices are narrow, with a scale in 32
    bits for each row.
    """
    numbers = _numbers_of(case, 1)
    total = numbers.matrices + numbers.convolutions + numbers.others
    type = _ct2_type(case)
    if type.is_int8:
        plain = total - numbers.matrices
        width = type.other_bytes
        size = numbers.matrices + 4 * numbers.rows + width * plain
        line = f"{numbers.matrices:,} bytes + {numbers.rows:,} scales × 4 bytes"
        line += f" + {plain:,} numbers × {width} bytes"
    else:
        size = total * type.matrix_bytes
        line = f"{total:,} parameters × {type.matrix_bytes} bytes"
    return computed_term("weights", size, _CT2.weights_source, line)


class _Sound(Record):
    """The length of the audio, and the remark for a line of arithmetic where the length is
    assumed.
    """

    seconds: int
    remark: str = ""

    @property
    def frames(self) -> int:
        return self.seconds * _FRAMES_PER_SECOND

    @property
    def spectrum_bytes(self) -> int:
        """The bytes of the audio's spectrum while it is made."""
        return self.frames * _CT2.spectrum_bytes


def _sound(case: Case) -> _Sound:
    """The audio of the workload; ten minutes where its length is not stated."""
    if case.workload.audio_seconds is not None:
        return _Sound(seconds=case.workload.audio_seconds)
    minutes = _CT2.seconds // 60
    minute = _Sound(seconds=60).spectrum_bytes
    remark = (
        f"; audio of {minutes} minutes, {minute:,} bytes more for each other minute"
    )
    return _Sound(seconds=_CT2.seconds, remark=remark)


def _ct2_caches(case: Case, audio: Audio) -> int:
    """The bytes of the caches of audio and text. On a GPU int8 also computes in 16 bits."""
    on_cpu = _computes_on_cpu(case)
    parallel = case.parallel
    is_long = parallel == 1 and _sound(case).seconds > 30
    cells = _CT2.text_cells if is_long else _CT2.piece_cells
    # while beams change places, the cells of a beam are held this often
    copies = _CT2.plain
    type = _ct2_type(case)
    if on_cpu and type.is_int8:
        copies = _CT2.reordered
    is_in_32_bits = on_cpu or type.matrix_bytes == 4
    width = 4 if is_in_32_bits else 2
    cell_bytes = 2 * case.model.embedding_length * width
    held_cells = audio.positions + cells * (_BEAMS * copies)
    return int(case.model.layers * cell_bytes * parallel * held_cells)


def _ct2_work_on_cpu(
    case: Case,
    audio: Audio,
    narrowed_bytes: int,
    caches: int,
) -> Term:
    """The most memory beside the weights: for the spectrum, the file, or the text.

    A file that is narrowed after it is read lies whole beside the narrowed weights;
    `narrowed_bytes` are the bytes that it loses.
    """
    sound = _sound(case)
    parallel = case.parallel
    if not _ct2_type(case).is_int8:
        narrowed_bytes = 0
    kept = 4 * _CT2.arrays * audio.positions * audio.embedding_length * parallel
    kept += sound.frames * _CT2.kept_bytes + int(_CT2.holes * narrowed_bytes)
    of_text = kept + caches
    likely = max(sound.spectrum_bytes, narrowed_bytes, of_text)
    line = f"{caches:,} bytes of caches + {kept:,} bytes of audio and buffers"
    if likely > of_text:
        line = f"{likely:,} bytes while the file or the audio is read"
    line += sound.remark
    how = How.STATED if parallel > 1 else How.MEASURED
    ends = Size(int(likely * 0.85), likely, int(likely * 1.14))
    return term("compute", ends, _CT2.source, line, how)


def _ct2_work_on_gpu(case: Case, caches: int) -> Term:
    """The caches with the buffers and the libraries of CUDA."""
    buffers = _CT2.gpu[str(_ct2_type(case).matrix_bytes)]
    size = caches + buffers
    line = f"{caches:,} bytes of caches + {buffers:,} bytes of buffers and CUDA"
    ends = Size(int(0.75 * size), size, int(1.3 * size))
    return stated_term("compute", ends, _CT2.gpu_source, line)


def _ct2_in_ram(
    case: Case,
    files: Term,
    weights: Term,
) -> Term:
    """The memory that stays in RAM beside a GPU: the spectrum of the audio, and the weights of an
    int8 file, which is read whole, or for other types half of CUDA's libraries.
    """
    sound = _sound(case)
    least = sound.spectrum_bytes
    libraries = _CT2.cuda_libraries
    likely = least + libraries // 2
    if _ct2_type(case).is_int8:
        likely = least + weights.bytes
    most = max(likely, files.bytes) + libraries
    line = f"{likely:,} bytes of audio, weights and CUDA's libraries{sound.remark}"
    return stated_term("compute", Size(least, likely, most), _CT2.ram_source, line)
