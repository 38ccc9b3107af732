"""Image models, and diffusers that loaded all their components."""

from __future__ import annotations

from ..facts import Unread
from ..spec import RuntimeSpec
from .checkpoint import overhead
from .packed import DTYPES
from .parts import Asked, Parts, Subject, published, stated_size, term
from .records import How, SizedWeights

_SHARD_BYTES = 10_000_000_000


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The files of all components: as published, else parameters times the type; where that is unknown, 16 or 32 bits."""
    found = published(subject.spec, "safetensors", quantization)
    if found is not None:
        return stated_size(found)
    bits = DTYPES.get(quantization)
    if bits is None:
        return Unread(fact="download_bytes", reason=f"nobody states the size in {quantization}", remedy="take float16 or float32")
    total = sum(subject.spec.components.values())
    stored = subject.spec.components_dtype
    if stored is not None:
        size = int(total * DTYPES[stored] / 8)
        return SizedWeights(
            bytes=size,
            low_bytes=size,
            high_bytes=size,
            how=How.COMPUTED,
            source=f"parameters of the components, published in {stored}",
            arithmetic=f"{total:,} parameters × {DTYPES[stored]:g} bits / 8",
        )
    size = int(total * bits / 8)
    return SizedWeights(
        bytes=size,
        low_bytes=min(size, total * 2),
        high_bytes=max(size, total * 4),
        how=How.ASSUMED,
        source="parameters of the components; the repository may hold 16 or 32 bits of each",
        arithmetic=f"{total:,} parameters × {bits:g} bits / 8",
    )


def parts(subject: Subject, runtime: RuntimeSpec, asked: Asked) -> Parts:
    """Files and memory: every component is resident."""
    files = size_of(subject, asked.quantization)
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    components = subject.spec.components
    bits = DTYPES.get(asked.quantization, 16.0)
    size = int(sum(components.values()) * bits / 8)
    line = "(" + " + ".join(f"{number:,} {name}" for name, number in components.items()) + f") × {bits:g} bits / 8"
    weights = term("weights", size, How.COMPUTED, "all components resident, in the type asked for (diffusers 0.42.1)", line)
    return Parts(files=files, terms=(weights, overhead(runtime)), largest_file_bytes=min(files.bytes, _SHARD_BYTES))
