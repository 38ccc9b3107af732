"""Whisper in CTranslate2 files, and faster-whisper that loaded it.

Measured with faster-whisper 1.2.1 and ctranslate2 4.8.5 on Linux x86_64, one to four threads and
glibc; `tests/truth/whisper.json` has the figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..catalogue.spec import Architecture, Audio, RuntimeSpec
from ..core.records import Record, Unread
from .parts import Asked, Parts, Subject, published, stated_size, term, times
from .records import How, SizedWeights, Term, middle_of
from .tensors import checkpoint_tensors

_SOURCE = (
    "measured on one to four CPU threads: faster-whisper 1.2.1 and ctranslate2 4.8.5; more as its"
    " README states; tests/truth/whisper.json"
)
_ON_GPU = (
    "stated: what others saw of four models in fp16 and int8 on NVIDIA GPUs, less weights and"
    " caches, tests/truth/whisper.json"
)
_BESIDE_GPU = (
    "stated: RAM that others saw beside NVIDIA GPUs, less the program, tests/truth/whisper.json"
)
_BATCHED = "stated: what others saw of batches, tests/truth/whisper.json"
# the length of audio by default: the spectrum of the whole file is made at once
# (faster_whisper/feature_extractor.py)
_AUDIO_SECONDS = 600
_FRAMES_PER_SECOND = 100
# bytes a frame: most while the spectrum is made (audio, windows in 32 and 64 bits, complex
# numbers), and what stays of it
_SPECTRUM_BYTES = 9_360
_KEPT_BYTES = 1_680
# WhisperModel.transcribe: 5 beams; 448 cells of text are half of the text before and what is
# written at most
_BEAMS = 5
# caches of the text while beams change places, in times what they hold: least, likely, most. Where
# weights were converted the heap has more holes, as they fall: 1.2 to 1.6 of small, 1.35 to 1.6 of
# large-v3 and 2.15 of medium, the rest of which is in what is left
_REORDERED = {
    "int8": (1.44, 1.73, 1.85),
    "float32": (1.25, 1.25, 1.25),
    "float16": (1.25, 1.25, 1.25),
}
# what the encoder leaves: at most this number of arrays of all its positions in 32 bits
_ENCODER_ARRAYS = 19
# and the holes beside them: least, likely, most
_LEFT = (-100_000_000, -25_000_000, 30_000_000)
# at most so much of the caches lies in holes beside them; most was seen of medium, 0.03
_CACHES_MORE = 0.04
# the default are four threads, or as many as there are (ctranslate2 4.8.5, intra_threads): so many
# arrays more than one takes, at most
_DEFAULT_THREADS_ARRAYS = 8
# the same on a GPU, with what cuBLAS and cuDNN take and the context of CUDA: 730 to 963 MB in fp16
# and 621 to 813 in int8 were seen; nobody states it of float32, which is assumed to take once to
# twice that of fp16
_LEFT_ON_GPU = {
    "float16": (600_000_000, 780_000_000, 980_000_000),
    "int8": (520_000_000, 650_000_000, 830_000_000),
    "float32": (600_000_000, 1_200_000_000, 1_960_000_000),
}
# the libraries of CUDA in RAM, at most: 71 MB were seen
_CUDA_LIBRARIES = 120_000_000
# cells of text of one piece without text before, as in a batch: least, likely, most. Half of 448 is
# all that may be written
_PIECE_SECONDS = 30
_PIECE_CELLS = (0, 64, 224)
# how many more arrays of all positions eight threads take than one, at most (its README 1.1.0,
# small: 429 and 239 MB)
_THREADS = {"float32": 95, "int8": 52}
# of a 16-bit file whose weights became int8 the heap keeps this share: 0.01 to 0.05
_HOLES = 0.045
# while weights become narrow: the file and its largest matrix in 32 bits, less what is there
# already
_CONVERTING = (10_000_000, 55_000_000, 110_000_000)


class _Counted(Record):
    """Numbers of the model by how CTranslate2 keeps them: matrices and their rows, and all that
    stays in floating point.
    """

    matrices: int
    rows: int
    others: int


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The files: as published, in 16 bits whatever they are loaded as."""
    stated = published(subject.spec, "ctranslate2", quantization)
    if stated is not None:
        return stated_size(stated)
    return Unread(
        fact="download_bytes",
        reason="no source states the size of the files for CTranslate2",
        remedy="state it under [[files]] in a spec of the model",
    )


def parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory. `parallel` is the batch of BatchedInferencePipeline: pieces of 30
    seconds that are heard at once.
    """
    files, architecture = size_of(subject, workload.quantization), subject.architecture
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    if architecture is None or architecture.audio is None or subject.row is None:
        why = Unread(
            fact="memory.weights",
            reason="the architecture is not known",
            remedy="state [architecture] in a spec of the model",
        )
        return Parts(files=files, unknown=(why,))
    counted = _count(subject, architecture)
    weights = _weights(counted, workload.quantization)
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    how = How(runtime.overhead_how)
    program = term(
        "runtime",
        (low + high) // 2,
        how,
        runtime.overhead_source,
        middle_of(low, high),
        low=low,
        high=high,
    )
    on_gpu = _on_gpu(architecture, architecture.audio, workload).replace(
        beside=_beside_gpu(files.bytes, weights.bytes, workload)
    )
    # no processor computes in 16 bits
    work = (
        on_gpu
        if workload.quantization == "float16"
        else _work(architecture, architecture.audio, files.bytes, weights.bytes, workload)
    )
    terms = (weights, work.replace(on_device=on_gpu), program)
    return Parts(files=files, terms=terms, largest_file_bytes=files.bytes)


def _count(subject: Subject, architecture: Architecture) -> _Counted:
    matrices = rows = others = 0
    for group in checkpoint_tensors(architecture, subject.row) if subject.row is not None else ():
        number = prod(group.shape) * (len(group.layers) or 1)
        if (
            len(group.shape) == 2
            and group.name.endswith(".weight")
            and "position_embd" not in group.name
        ):
            matrices += number
            rows += group.shape[1] * (len(group.layers) or 1)
        else:
            others += number
    return _Counted(matrices=matrices, rows=rows, others=others)


def _weights(counted: _Counted, type: str) -> Term:
    """int8: one byte a number of a matrix and a scale for each of its rows; convolutions,
    vectors and positions in 32 bits.
    """
    if type == "int8":
        size = counted.matrices + 4 * (counted.rows + counted.others)
        line = (
            f"{counted.matrices:,} bytes + ({counted.rows:,} scales + {counted.others:,} numbers) ×"
            " 4 bytes"
        )
    else:
        width, number = 2 if type == "float16" else 4, counted.matrices + counted.others
        size, line = number * width, f"{number:,} parameters × {width} bytes"
    return term(
        "weights",
        size,
        How.COMPUTED,
        "CTranslate2 4.8.5: ctranslate2/specs/model_spec.py, which parts it quantizes",
        line,
    )


def _caches(
    architecture: Architecture,
    audio: Audio,
    workload: Asked,
    width: int,
    reordered: tuple[float, ...],
) -> tuple[tuple[int, int, int], str]:
    """Keys and values of the audio in every layer and of the text for every beam, of all
    pieces: least, likely, most.
    """
    each = 2 * architecture.layers * architecture.embedding_length * width
    alone = workload.parallel > 1 or (workload.audio_seconds or _AUDIO_SECONDS) <= _PIECE_SECONDS
    cells = _PIECE_CELLS if alone else (architecture.context_tokens or 448,) * 3
    least, likely, most = (
        int(each * (audio.positions + more * _BEAMS * number) * workload.parallel)
        for more, number in zip(reordered, cells, strict=True)
    )
    line = (
        f"2 × {times(architecture.layers, 'layer')} × {architecture.embedding_length:,} × {width}"
        f" bytes × ({audio.positions:,} positions + {reordered[1]:g} × {_BEAMS} beams"
        f" × {cells[1]:,} cells)"
    )
    return (least, likely, most), line + (
        f" × {workload.parallel:,} pieces" if workload.parallel > 1 else ""
    )


def _ways(workload: Asked) -> tuple[Asked, ...]:
    """The workload as a batch, and as one recording alone, whose pieces come with the text before:
    `parallel` is the most pieces that are heard at once.
    """
    return (workload,) if workload.parallel == 1 else (workload, workload.replace(parallel=1))


def _on_gpu(architecture: Architecture, audio: Audio, workload: Asked) -> Term:
    """What lies beside the weights on a GPU, where int8 computes in 16 bits too: caches,
    buffers, CUDA itself.
    """
    width = 4 if workload.quantization == "float32" else 2
    sizes_and_lines = [
        _caches(architecture, audio, way, width, _REORDERED["float16"]) for way in _ways(workload)
    ]
    caches = tuple(max(sizes[end] for sizes, _ in sizes_and_lines) for end in range(3))
    line = next(line for sizes, line in sizes_and_lines if sizes[1] == caches[1])
    left = _LEFT_ON_GPU[workload.quantization]
    low, likely, high = (cache + each for cache, each in zip(caches, left, strict=True))
    how = How.ASSUMED if workload.quantization == "float32" else How.STATED
    return term(
        "compute",
        likely,
        how,
        _ON_GPU,
        f"{line} + {left[1]:,} bytes of buffers and CUDA",
        low=low,
        high=high,
    )


def _frames(workload: Asked) -> tuple[int, str]:
    """Frames of the audio, with what a longer one takes where nobody said how long it is."""
    if workload.audio_seconds is not None:
        return workload.audio_seconds * _FRAMES_PER_SECOND, ""
    note = (
        f"; audio of {_AUDIO_SECONDS // 60} minutes, a longer one takes"
        f" {_SPECTRUM_BYTES * _FRAMES_PER_SECOND * 60:,} bytes a minute"
    )
    return _AUDIO_SECONDS * _FRAMES_PER_SECOND, note


def _beside_gpu(files: int, weights: int, workload: Asked) -> Term:
    """What stays in RAM where the model is on a GPU: audio and spectrum, for int8 the weights too.
    At most it is the whole file, while that loads.
    """
    frames, longer = _frames(workload)
    spectrum = frames * _SPECTRUM_BYTES
    kept = weights if workload.quantization == "int8" else 0
    size = spectrum + kept + (0 if kept else _CUDA_LIBRARIES // 2)
    line = f"{frames:,} frames of audio × {_SPECTRUM_BYTES:,} bytes"
    line += (
        f" + {kept:,} bytes of weights"
        if kept
        else f" + {_CUDA_LIBRARIES // 2:,} bytes of CUDA's libraries"
    )
    line += f"; at most {files:,} bytes of the file while it loads{longer}"
    return term(
        "compute",
        size,
        How.STATED,
        _BESIDE_GPU,
        line,
        low=spectrum,
        high=max(spectrum + kept, files) + _CUDA_LIBRARIES,
    )


def _work(
    architecture: Architecture, audio: Audio, files: int, weights: int, workload: Asked
) -> Term:
    """The most that lies beside the weights at one of three moments.

    While weights are read, that is the whole file, before its matrices are int8. While the spectrum
    is made, it is the spectrum. While text is written (`_written`), it is audio and spectrum, keys
    and values of the audio in every layer and of the text for every beam, and what the encoder
    left.
    """
    type, (frames, longer) = workload.quantization, _frames(workload)
    spectrum = frames * _SPECTRUM_BYTES
    moments = [
        (
            [spectrum, spectrum, spectrum + spectrum // 50],
            f"{frames:,} frames of audio × {_SPECTRUM_BYTES:,} bytes",
        ),
        *_written(architecture, audio, files, frames, workload),
    ]
    if type == "int8":
        moments.append(
            (
                [files - weights + each for each in _CONVERTING],
                f"{files:,} bytes of the file - {weights:,} + {_CONVERTING[1]:,} while it loads",
            )
        )
    least, likely, most = (max(sizes[end] for sizes, _ in moments) for end in range(3))
    line = next(line for sizes, line in moments if sizes[1] == likely)
    array = audio.positions * audio.embedding_length * 4
    line += (
        f"; on up to 4 threads, the default; 8 threads take up to {_THREADS[type] * array:,} bytes"
        f" more{longer}"
    )
    how, source = (How.STATED, _BATCHED) if workload.parallel > 1 else (How.MEASURED, _SOURCE)
    return term("compute", likely, how, source, line, low=least, high=most)


def _written(
    architecture: Architecture, audio: Audio, files: int, frames: int, workload: Asked
) -> Iterator[tuple[list[int], str]]:
    """The moments in which text is written: least, likely and most bytes, with the line."""
    type, kept = workload.quantization, frames * _KEPT_BYTES
    array = audio.positions * audio.embedding_length * 4
    holes = int(_HOLES * files) if type == "int8" else 0
    for way in _ways(workload):
        caches, counted = _caches(architecture, audio, way, 4, _REORDERED[type])
        arrays = _ENCODER_ARRAYS * array * way.parallel
        most_left = _LEFT[2] + int(_CACHES_MORE * caches[2]) + _DEFAULT_THREADS_ARRAYS * array
        left = (*_LEFT[:2], most_left)
        sizes = [
            kept + cache + arrays + holes + each for cache, each in zip(caches, left, strict=True)
        ]
        line = (
            f"{kept:,} bytes of audio and spectrum + {counted} +"
            f" {arrays + holes + _LEFT[1]:,} bytes of buffers"
        )
        yield sizes, line
