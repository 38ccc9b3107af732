"""Whisper in CTranslate2 files, and faster-whisper that loaded it.

Measured with faster-whisper 1.2.1 and ctranslate2 4.8.5 on Linux x86_64, one thread and glibc; `tests/truth/whisper.json` has the
figures, `benchmarks/measure_whisper.py` makes them.
"""

from __future__ import annotations

from math import prod

from ..facts import Record, Unread
from ..spec import Architecture, Audio, RuntimeSpec
from .parts import Asked, Parts, Subject, published, stated_size, term, times
from .records import How, SizedWeights, Term
from .tensors import checkpoint_tensors

_SOURCE = "measured: faster-whisper 1.2.1 and ctranslate2 4.8.5 on a CPU, tests/truth/whisper.json"
_ON_GPU = "stated: what others saw of four models in fp16 on NVIDIA GPUs, less weights and caches, tests/truth/whisper.json"
AUDIO_SECONDS = 600
"""How long the audio is taken to be: the spectrum of the whole file is made at once (faster_whisper/feature_extractor.py)."""

_FRAMES_PER_SECOND = 100
# bytes a frame: most while the spectrum is made (audio, windows in 32 and 64 bits, complex numbers), and what stays of it
_SPECTRUM_BYTES = 9_360
_KEPT_BYTES = 1_680
# WhisperModel.transcribe: 5 beams; 448 cells of text are half of the text before and what is written at most
_BEAMS = 5
# caches of the text while beams change places, in times what they hold: where weights were converted the heap has more holes
_REORDERED = {"int8": 2.0, "float32": 1.25, "float16": 1.25}
# what the encoder leaves: at most so many arrays of all its positions in 32 bits; the rest, by how holes fall: least, likely, most
_ENCODER_ARRAYS = 19
_LEFT = (-100_000_000, -25_000_000, 60_000_000)
# the same on a GPU, with what cuBLAS and cuDNN take and the context of CUDA
_LEFT_ON_GPU = (450_000_000, 655_000_000, 860_000_000)
# of a 16-bit file whose weights became int8 the heap keeps this share: 0.01 to 0.05
_HOLES = 0.045
# while weights become narrow: the file and its largest matrix in 32 bits, less what is there already
_CONVERTING = (10_000_000, 55_000_000, 110_000_000)


class _Counted(Record):
    """Numbers of the model by how CTranslate2 keeps them: matrices and their rows, and all that stays in floating point."""

    matrices: int
    rows: int
    others: int


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The files: as published, in 16 bits whatever they are loaded as."""
    found = published(subject.spec, "ctranslate2", quantization)
    if found is not None:
        return stated_size(found)
    return Unread(
        fact="download_bytes", reason="nobody states the size of files for CTranslate2", remedy="state it under [[files]] of a spec of it"
    )


def parts(subject: Subject, runtime: RuntimeSpec, asked: Asked) -> Parts:
    """Files and memory. `parallel` is the batch of BatchedInferencePipeline: pieces of 30 seconds that are heard at once."""
    files, made = size_of(subject, asked.quantization), subject.architecture
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    if made is None or made.audio is None or subject.row is None:
        why = Unread(fact="memory.weights", reason="the architecture is not known", remedy="state [architecture] in a spec of it")
        return Parts(files=files, unknown=(why,))
    counted = _count(subject, made)
    weights = _weights(counted, asked.quantization)
    work = _work(made, made.audio, files.bytes, weights.bytes, asked)
    low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
    line = f"{low:,} to {high:,} bytes"
    program = term("runtime", (low + high) // 2, How(runtime.overhead_how), runtime.overhead_source, line, low=low, high=high)
    return Parts(files=files, terms=(weights, work, program), largest_file_bytes=files.bytes)


def _count(subject: Subject, made: Architecture) -> _Counted:
    matrices = rows = others = 0
    for group in checkpoint_tensors(made, subject.row) if subject.row is not None else ():
        number = prod(group.shape) * (len(group.layers) or 1)
        if len(group.shape) == 2 and group.name.endswith(".weight") and "position_embd" not in group.name:
            matrices += number
            rows += group.shape[1] * (len(group.layers) or 1)
        else:
            others += number
    return _Counted(matrices=matrices, rows=rows, others=others)


def _weights(counted: _Counted, type: str) -> Term:
    """int8: one byte a number of a matrix and a scale for each of its rows; convolutions, vectors and positions in 32 bits."""
    if type == "int8":
        size = counted.matrices + 4 * (counted.rows + counted.others)
        line = f"{counted.matrices:,} bytes + ({counted.rows:,} scales + {counted.others:,} numbers) × 4 bytes"
    else:
        width, number = 2 if type == "float16" else 4, counted.matrices + counted.others
        size, line = number * width, f"{number:,} parameters × {width} bytes"
    return term("weights", size, How.COMPUTED, "CTranslate2 4.8.5: ctranslate2/specs/model_spec.py, which parts it quantizes", line)


def _work(made: Architecture, audio: Audio, files: int, weights: int, asked: Asked) -> Term:
    """The most that lies beside the weights at one moment: while they are read, while the spectrum is made, or while text is written.

    Read: the whole file, before its matrices are int8. Written: audio and spectrum, keys and values of the audio in every layer and
    of the text for every beam, and what the encoder left.
    """
    type, frames, wide, cells = asked.quantization, AUDIO_SECONDS * _FRAMES_PER_SECOND, made.embedding_length, made.context_tokens or 448
    width = 2 if type == "float16" else 4
    # audio and spectrum stay in RAM where the model is on a GPU
    kept, spectrum = 0 if type == "float16" else frames * _KEPT_BYTES, frames * _SPECTRUM_BYTES
    caches = int(2 * made.layers * wide * width * (audio.positions + _REORDERED[type] * _BEAMS * cells))
    arrays = 0 if type == "float16" else _ENCODER_ARRAYS * audio.positions * audio.embedding_length * width
    left = _LEFT_ON_GPU if type == "float16" else _LEFT
    holes = int(_HOLES * files) if type == "int8" else 0
    moments = [
        (
            [kept + (caches + arrays) * asked.parallel + holes + each for each in left],
            f"{kept:,} bytes of audio and spectrum + 2 × {times(made.layers, 'layer')} × {wide:,} × {width} bytes × ({audio.positions:,}"
            f" positions + {_REORDERED[type]:g} × {_BEAMS} beams × {cells:,} cells) + {arrays + holes + left[1]:,} bytes of buffers",
        ),
        ([spectrum, spectrum, spectrum + spectrum // 50], f"{frames:,} frames of audio × {_SPECTRUM_BYTES:,} bytes"),
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
    line += f"; audio of {AUDIO_SECONDS // 60} minutes, a longer one takes {_SPECTRUM_BYTES * _FRAMES_PER_SECOND * 60:,} bytes a minute"
    source = _ON_GPU if type == "float16" else _SOURCE
    return term("compute", likely, How.STATED if type == "float16" else How.MEASURED, source, line, low=least, high=most)
