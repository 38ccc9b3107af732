"""Whisper in ggml files, and whisper.cpp that loaded it."""

from __future__ import annotations

from math import prod

from ..facts import Unread
from ..spec import RuntimeSpec
from .parts import Asked, Parts, Subject, published, stated_size, term
from .quantization import BLOCKS, canonical_gguf
from .records import How, SizedWeights
from .tensors import checkpoint_tensors

_README = "table of memory usage in the README of ggml-org/whisper.cpp@233fe1fc"
# memory less file size in that table, by the width of the model: tiny, base, small, medium, large
_BESIDE_WEIGHTS = {384: 194_000_000, 512: 239_000_000, 768: 363_000_000, 1024: 489_000_000, 1280: 786_000_000}
_TYPES = ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
# mel filters and the token table of 52 thousand entries
_HEADER_BYTES = 600_000


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The ggml file: as published, else matrices in the type asked for, vectors and positions in 32 bits."""
    name = canonical_gguf(quantization) or quantization
    found = published(subject.spec, "ggml", name)
    if found is not None:
        return stated_size(found)
    architecture, row = subject.architecture, subject.row
    if (
        architecture is None
        or row is None
        or architecture.audio is None
        or name not in ("F32", "F16", "Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0")
    ):
        reason = f"whisper.cpp has no {quantization} files" if architecture is not None else "the architecture is not known"
        return Unread(fact="download_bytes", reason=reason, remedy="take F16, Q8_0 or Q5_0")
    elements, block = BLOCKS[name]
    matrices = halves = singles = 0
    for group in checkpoint_tensors(architecture, row):
        number = prod(group.shape) * (len(group.layers) or 1)
        if (
            len(group.shape) == 2
            and group.name.endswith(".weight")
            and "position_embd" not in group.name
            and group.shape[0] % elements == 0
        ):
            matrices += number
        elif len(group.shape) == 3:
            halves += number
        else:
            singles += number
    size = matrices // elements * block + 2 * halves + 4 * singles + _HEADER_BYTES
    return SizedWeights(
        bytes=size,
        low_bytes=int(size * 0.99),
        high_bytes=int(size * 1.01),
        how=How.COMPUTED,
        source="whisper.cpp models/convert-pt-to-ggml.py and examples/quantize: which tensors keep 32 or 16 bits",
        arithmetic=(
            f"{matrices:,} × {block}/{elements} bytes of {name} + {halves:,} × 2 bytes + {singles:,} × 4 bytes"
            f" + {_HEADER_BYTES:,} bytes of header"
        ),
    )


def parts(subject: Subject, runtime: RuntimeSpec, asked: Asked) -> Parts:
    """Files and memory: the publisher's own table less the weights, by the width of the model."""
    files = size_of(subject, asked.quantization)
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    weights = term("weights", files.bytes, files.how, files.source, files.arithmetic, low=files.low_bytes, high=files.high_bytes)
    width = subject.architecture.embedding_length if subject.architecture is not None else None
    beside = _BESIDE_WEIGHTS.get(width or 0)
    if beside is not None:
        line = f"{beside:,} bytes beside the weights × {asked.parallel:,}: caches, buffers and the program; newer releases take less"
        rest = term("runtime", beside * asked.parallel, How.STATED, _README, line, low=beside // 2)
    else:
        low, high = runtime.overhead_low_bytes, runtime.overhead_high_bytes
        line = f"{low:,} to {high:,} bytes: the table has no model of this width"
        rest = term("runtime", (low + high) // 2, How.ASSUMED, runtime.overhead_source, line, low=low, high=high)
    return Parts(files=files, terms=(weights, rest), largest_file_bytes=files.bytes)
