"""Whisper in ggml files with whisper.cpp, and in CTranslate2 files with faster-whisper.

Read in whisper.cpp 1.8.5 (whisper_init_state in src/whisper.cpp) and measured with it, and with
faster-whisper 1.2.1 and ctranslate2 4.8.5 on one to four threads; `tests/truth/whisper.json` has
the figures. Both search with 5 beams by default. Triples are least, likely, most.
"""

from __future__ import annotations

from math import prod

from ..catalogue.architecture import Audio
from ..core.records import Unread
from .case import Case, Parts, overhead, published_size, without_files
from .quantization import BLOCKS, canonical_gguf
from .records import How, Split, Term, term, times, times_sequences, unread, whole_files
from .tensors import checkpoint_tensors

_BEAMS, _FRAMES_PER_SECOND = 5, 100
_CPP = "whisper.cpp 1.8.5, whisper_init_state; equal to the buffers it prints"
_CPP_TYPES = ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# mel filters and the token table of 52 thousand entries
_HEADER_BYTES = 600_000
# audio of unknown length; it stays as it is read in 32 bits, with its spectrum
_SECONDS = (10, 200, 600)
_SAMPLES_PER_SECOND = 16_000
# what is left of runs of whisper-cli from tiny to medium, on two and four threads
_CPP_PROGRAM = (18_000_000, 24_000_000, 28_000_000)
# each of the four graphs takes this for nodes and tensors without data (WHISPER_MAX_NODES), and
# each beam keeps so much of every word
_GRAPH_BYTES, _BEAM_BYTES = 1_590_000, 28
# tokens that half a minute leaves; the text before is read again with each half minute, 223 of 448
# tokens at most, and four that ask for the task
_WRITTEN, _TEXT_TOKENS, _TASK_TOKENS = 105, 223, 4

_CT2_SECONDS = 600
# bytes of a frame of audio: most while the spectrum of the whole file is made, and what stays
_SPECTRUM_BYTES, _KEPT_BYTES = 9_360, 1_680
# cells of text that a beam holds of a recording, and of a piece of 30 seconds of a batch
_TEXT_CELLS, _PIECE_CELLS = 448, 64
# caches of the text while beams change places on a CPU, in times what they hold, in int8 and else
_REORDERED, _PLAIN = 1.73, 1.25
# arrays of all positions in 32 bits that the encoder leaves on a CPU; of a file in 16 bits whose
# weights became int8 the heap keeps this share
_ARRAYS, _HOLES = 15, 0.09
_CT2 = "measured on one to four CPU threads; batches as its README states"
# beside weights and caches on a GPU, with cuBLAS, cuDNN and CUDA's context: what others saw of four
# models, 0.8 to 1.27 times these; of float32 assumed
_LEFT_ON_GPU = {"float16": 780_000_000, "int8": 650_000_000, "float32": 1_200_000_000}
_CT2_ON_GPU = "stated: what others saw of four models in fp16 and int8 on NVIDIA GPUs"
_CT2_IN_RAM = "stated: RAM that others saw beside NVIDIA GPUs, less the program"
# the libraries of CUDA in RAM, at most: 71 MB were seen
_CUDA_LIBRARIES = 120_000_000


def size_of(case: Case) -> Term | Unread:
    """The file: as published; of whisper.cpp else matrices in the requested type, vectors and
    positions in 32 bits. Files for CTranslate2 are in 16 bits whatever they are loaded as.
    """
    is_ggml, architecture = case.format == "ggml", case.spec.architecture
    name = (canonical_gguf(case.quantization) if is_ggml else None) or case.quantization
    stated = published_size(case, name)
    if stated is not None:
        return stated
    if not is_ggml:
        why = "no source states the size of the files for CTranslate2"
        return unread(why, "state it under [[files]] in a spec of the model")
    audio = None if architecture is None else architecture.audio
    if audio is None or case.known_row is None or name not in _CPP_TYPES:
        why = f"whisper.cpp has no {name} files" if audio else "it is not known as Whisper"
        return unread(why, "use --quantization F16, Q8_0 or Q5_0")
    elements, block = BLOCKS[name]
    matrices, halves, singles, _ = _counted(case, elements)
    size = matrices // elements * block + 2 * halves + 4 * singles + _HEADER_BYTES
    line = f"{matrices:,} × {block}/{elements} bytes of {name} + {halves:,} × 2 bytes"
    line += f" + {singles:,} × 4 bytes + {_HEADER_BYTES:,} bytes of header"
    source = "whisper.cpp models/convert-pt-to-ggml.py and examples/quantize"
    ends = {"low": int(size * 0.99), "high": int(size * 1.01)}
    return term("files", size, How.COMPUTED, source, line, **ends)


def _counted(case: Case, elements: int) -> tuple[int, int, int, int]:
    """Numbers of matrices in blocks of `elements`, convolutions, and the rest; rows of matrices."""
    matrices = convolutions = others = rows = 0
    for group in checkpoint_tensors(case.model, case.row):
        layers = len(group.layers) or 1
        number = prod(group.shape) * layers
        is_weight = group.name.endswith(".weight") and "position_embd" not in group.name
        if len(group.shape) == 2 and is_weight and group.shape[0] % elements == 0:
            matrices += number
            rows += group.shape[1] * layers
        elif len(group.shape) == 3:
            convolutions += number
        else:
            others += number
    return matrices, convolutions, others, rows


def parts(case: Case) -> Parts:
    """Files and memory. `parallel`: of whisper.cpp states that work at once (--processors), of
    faster-whisper pieces of 30 seconds that are heard at once.
    """
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    audio = case.model.audio if case.has_layers and case.known_row is not None else None
    if audio is None or not case.model.vocabulary:
        if case.format != "ggml":
            remedy = "state [architecture] in a spec of the model"
            why = unread("the architecture is not known", remedy, "memory.weights")
            return Parts(files=files, unknown=(why,))
        program = overhead(case.runtime, on_gpu=case.on_gpu).replace(how=How.ASSUMED)
        terms: tuple[Term, ...] = (whole_files(files), program)
    elif case.format == "ggml":
        terms = whole_files(files), *_whisper_cpp(case, audio)
    else:
        terms = _ctranslate2(case, audio, files)
    return Parts(files=files, terms=terms, largest_file_bytes=files.bytes)


def _whisper_cpp(case: Case, audio: Audio) -> tuple[Term, Term, Term]:
    """The caches, the buffers of four graphs, and the program with the audio.

    Keys and values lie in 16 bits, in steps of 256 cells: of the text for every beam and two more
    (whisper_full_with_state), of the audio in every layer, and of one encoder layer. The graphs
    stay apart: convolutions (their input, those numbers unfolded in 16 bits, and two results),
    encoder with flash attention (a feed-forward of 4, its input, the normed input, the result
    before and the input in 16 bits), cross attention, and decoder, of which the logits of the
    tokens it reads at once are resident, and a copy of them.
    """
    model, states, seconds = case.model, case.parallel, case.workload.audio_seconds
    lengths = _SECONDS if seconds is None else (seconds,) * 3
    wide, layers, heard = model.embedding_length, model.layers, audio.positions
    written, cells = (-(-size // 256) * 256 for size in (model.context_tokens or 448, heard))
    size = 4 * layers * wide * ((_BEAMS + 2) * written + cells) + 4 * audio.embedding_length * cells
    line = (
        f"2 × {times(layers, 'layer')} × {wide:,} × 2 bytes × ({_BEAMS + 2} × {written:,} +"
        f" {cells:,} cells) + 2 × {audio.embedding_length:,} × 2 bytes × {cells:,} cells"
    )
    ending, source = times_sequences(states), f"{_CPP}; {_BEAMS} beams, the default"
    line = f"({line}){ending}" if ending else line
    cache = term("kv_cache", size * states, How.COMPUTED, source, line)

    heads, vocabulary = audio.embedding_length, model.vocabulary or 0
    token_bytes = 2 * (heads + vocabulary) * 4
    fixed = 2 * heard * (audio.mel_bins * 10 + 8 * heads) + 10 * heard * heads * 4
    fixed += 4 * _GRAPH_BYTES + _BEAMS * vocabulary * _BEAM_BYTES
    # a last piece of some seconds is read alone
    texts = (min(_TEXT_TOKENS, max(0, (length - 6) // 30) * _WRITTEN) for length in lengths[1:])
    tokens = [_BEAMS, *(text + _TASK_TOKENS if text else _BEAMS for text in texts)]
    low, likely, high = (states * (fixed + read * token_bytes) for read in tokens)
    line = f"{fixed:,} bytes of graphs and beams + {times(tokens[1], 'token')}"
    line += f" × 2 × ({heads:,} + {vocabulary:,}) × 4 bytes"
    line, less = f"({line}){ending}" if ending else line, states * (tokens[1] - _BEAMS)
    if less:
        line += "; with the text before, without which audio of 30 seconds takes"
        line += f" {less * token_bytes:,} bytes less"
    if case.on_gpu:
        # inputs are there twice: five rows more were printed with Vulkan
        high += 5 * heard * heads * 4 * states
    compute = term("compute", likely, How.COMPUTED, _CPP, line, low=low, high=high)

    each = 4 * (_SAMPLES_PER_SECOND + _FRAMES_PER_SECOND * audio.mel_bins)
    low, likely, high = (
        size + length * each for size, length in zip(_CPP_PROGRAM, lengths, strict=True)
    )
    line = f"{_CPP_PROGRAM[1]:,} bytes + {lengths[1]:,} seconds of audio × {each:,} bytes"
    if seconds is None:
        line += f"; of unknown length, {lengths[0]:,} to {lengths[2]:,} seconds: a minute takes"
        line += f" {60 * each:,} bytes"
    program = term("runtime", likely, How.MEASURED, _CPP, line, low=low, high=high)
    return cache, compute, program


def _ctranslate2(case: Case, audio: Audio, files: Term) -> tuple[Term, ...]:
    """Weights, what is held beside them, and the program; on a GPU also what stays in RAM."""
    # no processor computes in 16 bits, and on a GPU int8 computes in 16 bits too
    type, seconds, remark = case.quantization, case.workload.audio_seconds, ""
    weights, program = _ct2_weights(case), overhead(case.runtime)
    if seconds is None:
        more = _SPECTRUM_BYTES * _FRAMES_PER_SECOND * 60
        remark = f"; audio of {_CT2_SECONDS // 60} minutes, a longer one takes {more:,} bytes a"
        remark += " minute"
    seconds = seconds or _CT2_SECONDS
    if not case.on_gpu and type != "float16":
        work = _ct2_on_cpu(case, audio, seconds, files.bytes - weights.bytes)
        return weights, work.replace(arithmetic=work.arithmetic + remark), program
    caches = _ct2_caches(case, audio, seconds, 4 if type == "float32" else 2)
    left = _LEFT_ON_GPU[type]
    line = f"{caches:,} bytes of caches + {left:,} bytes of buffers and CUDA"
    ends = {"low": int(0.75 * (caches + left)), "high": int(1.3 * (caches + left))}
    on_gpu = term("compute", caches + left, How.STATED, _CT2_ON_GPU, line, **ends)
    if not case.on_gpu:
        return weights, on_gpu, program
    # the libraries of CUDA are counted with the buffers; the file is read whole
    spectrum = seconds * _FRAMES_PER_SECOND * _SPECTRUM_BYTES
    kept = spectrum + (weights.bytes if type == "int8" else _CUDA_LIBRARIES // 2)
    line = f"{kept:,} bytes of audio, weights and CUDA's libraries{remark}"
    ends = {"low": spectrum, "high": max(kept, files.bytes) + _CUDA_LIBRARIES}
    beside = term("compute", kept, How.STATED, _CT2_IN_RAM, line, **ends)
    return weights, on_gpu, *(each.replace(split=Split.HOST) for each in (beside, program))


def _ct2_caches(
    case: Case, audio: Audio, seconds: int, width: int, reordered: float = _PLAIN
) -> int:
    each = 2 * case.model.layers * case.model.embedding_length * width * case.parallel
    cells = _TEXT_CELLS if case.parallel == 1 and seconds > 30 else _PIECE_CELLS
    return int(each * (audio.positions + reordered * _BEAMS * cells))


def _ct2_on_cpu(case: Case, audio: Audio, seconds: int, narrowed: int) -> Term:
    """The most that lies beside the weights: while the spectrum is made, while the file is read,
    `narrowed` bytes larger than the weights made of it, or while text is written, with what the
    encoder left.
    """
    reordered, frames = _REORDERED, seconds * _FRAMES_PER_SECOND
    if case.quantization != "int8":
        reordered, narrowed = _PLAIN, 0
    caches = _ct2_caches(case, audio, seconds, 4, reordered)
    beside = _ARRAYS * audio.positions * audio.embedding_length * 4 * case.parallel
    beside += frames * _KEPT_BYTES + int(_HOLES * narrowed)
    likely = max(frames * _SPECTRUM_BYTES, narrowed, beside + caches)
    line = f"{caches:,} bytes of caches + {beside:,} bytes of audio and buffers"
    if likely != beside + caches:
        line = f"{likely:,} bytes while the file or the audio is read"
    how = How.STATED if case.parallel > 1 else How.MEASURED
    ends = {"low": int(likely * 0.85), "high": int(max(likely, beside + caches) * 1.14)}
    return term("compute", likely, how, _CT2, line, **ends)


def _ct2_weights(case: Case) -> Term:
    """int8: matrices alone, with a scale for each row."""
    matrices, convolutions, others, rows = _counted(case, 1)
    others += convolutions
    width = {"int8": 1, "float16": 2}.get(case.quantization, 4)
    size, line = (matrices + others) * width, f"{matrices + others:,} parameters × {width} bytes"
    if width == 1:
        size = matrices + 4 * (rows + others)
        line = f"{matrices:,} bytes + ({rows:,} scales + {others:,} numbers) × 4 bytes"
    source = "CTranslate2 4.8.5: ctranslate2/specs/model_spec.py, which parts it quantizes"
    return term("weights", size, How.COMPUTED, source, line)
