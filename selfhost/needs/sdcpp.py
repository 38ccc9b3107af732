"""Models of pictures and video as stable-diffusion.cpp loads them: one file a component, the
denoiser quantized.

A file is parameters times the bits of its type (ggml's blocks), and little more: of the first and
last layers and of one-dimensional tensors a publisher keeps 16 or 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.runtime import ComponentFile, ModelParts, RuntimeSpec
from .parts import Asked, Parts, Subject, overhead, parts_of, sized, term, unread
from .quantization import BASE_TYPES, BLOCKS
from .records import How, Offloaded, SizedWeights, Term

# Published files over parameters × bits of the base type, by the mix: the least, the middle and the
# most, a hundredth further, of those in `bytes` of the runtime's record. A Q4_K_M is 1.04 of it for
# FLUX.1 and 1.22 for Wan 2.2 5B, whose layers get more bits. Text encoders in Q4_K_M: 1.00
# (Qwen2.5-VL 7B, whose eyes lie in another file) to 1.08.
# It does not hold for FLUX.2 [klein] and Z-Image, of whose weights more stay in 16 bits, nor for
# Krea 2, of whose none do: all of their sizes are listed.
_ROUNDING = {
    "Q8_0": (1, 1.01, 1.035),
    "Q6_K": (1, 1.02, 1.05),
    "Q5_K_M": (1.02, 1.07, 1.12),
    "Q5_K_S": (1, 1.02, 1.05),
    "Q5_1": (1, 1.02, 1.045),
    "Q5_0": (1.015, 1.04, 1.07),
    "Q4_K_M": (1.025, 1.13, 1.235),
    "Q4_K_S": (1, 1.05, 1.12),
    "Q4_1": (1, 1.02, 1.055),
    "Q4_0": (1, 1.05, 1.1),
    "Q3_K_M": (1.04, 1.13, 1.23),
    "Q3_K_S": (1.01, 1.06, 1.15),
    "Q2_K": (1.02, 1.09, 1.23),
}
# of a type that no listed file has
_WIDEST = (1, 1.1, 1.235)
_SOURCE = (
    "parameters × bits of the type, and the share that listed files are larger by, which depends on"
    " the mix and the model: 0 to 3 % in Q8_0, 4 to 22 % in Q4_K_M"
)
_LISTED = "sizes in bytes that programs which download the files list"
# kept free for graphs while it computes a segment at a time, beside a tenth of the denoiser
# (leejet/stable-diffusion.cpp, docs/performance.md: 512 MiB of scratch); the tenth is a guess
_SCRATCH_BYTES = 512 * 2**20
_SEGMENT_SHARE = 0.1
# the buffer of a graph may be larger in another version: docs/performance.md states 650 MiB for
# FLUX.1 and 768 × 768 pixels with --diffusion-fa, where leejet/stable-diffusion.cpp@97d29908
# reserves 485,559,424 bytes (tests/truth/sdcpp.json)
_OTHER_VERSION = 1.41
# what people take on the GPUs that need such a file: the first that a publisher has
_DEFAULTS = ("Q4_K_S", "Q4_0", "Q4_K_M")


def default_quantization(parts: ModelParts) -> str:
    """What is taken unless asked otherwise."""
    usual = (mix for mix in _DEFAULTS if mix in parts.quantizations)
    return next(usual, parts.quantizations[0])


def needs_of_parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory: all on one accelerator, or in RAM with a component, or a segment of it, at
    a time on one.
    """
    spec, parts = subject.spec, parts_of(subject.spec, runtime)
    if parts is None:
        why = f"no files of {spec.name} are known for {runtime.name}"
        unknown = unread(why, "leave out --runtime")
        return Parts(files=unknown, unknown=(unknown, unknown.replace(fact="memory.weights")))
    by_component = {
        file.component: size_of(file, spec.components, workload.quantization)
        for file in parts.files
    }
    sizes = by_component.values()
    files = sized(
        sum(each.bytes for each in sizes),
        How.COMPUTED,
        "; ".join(source for source in (_LISTED, _SOURCE) if source in {s.source for s in sizes}),
        " + ".join(each.arithmetic for each in sizes),
        low=sum(each.low_bytes for each in sizes),
        high=sum(each.high_bytes for each in sizes),
    )
    largest = max(sizes, key=lambda size: size.bytes)
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    denoising, decoding = (
        term(
            "compute",
            size,
            how,
            runtime.sources.get("parts", ""),
            f"{size:,} bytes reserved for {what}",
            high=int(size * _OTHER_VERSION),
        )
        for size, what in (
            (parts.denoise_bytes, "a pass of the denoiser"),
            (parts.decode_bytes, "a tile of the decoder"),
        )
    )
    segment = int(_SEGMENT_SHARE * largest.bytes) + _SCRATCH_BYTES
    line = f"{largest.bytes:,} bytes × {_SEGMENT_SHARE:g} + {_SCRATCH_BYTES:,} bytes; a segment of"
    line += " the denoiser, and what is kept free"
    host = (
        _weights(files, files.source, ""),
        overhead(runtime, on_gpu=workload.device is not None),
    )
    alone = "; alone, the others in RAM"
    decoder = _weights(by_component["vae"], _SOURCE, alone), decoding
    ways = {
        "model": (_weights(largest, _SOURCE, alone), denoising),
        "sequential": (term("weights", segment, How.ASSUMED, _SOURCE, line), denoising),
    }
    return Parts(
        files=files,
        # one after the other: the buffer of one is given back before the other is reserved
        terms=(host[0], max(denoising, decoding, key=lambda each: each.bytes), host[1]),
        largest_file_bytes=largest.bytes,
        offloaded=tuple(
            Offloaded(
                way=way,
                host=host,
                device=max(held, decoder, key=lambda pair: pair[0].bytes + pair[1].bytes),
            )
            for way, held in ways.items()
        ),
    )


def _weights(files: SizedWeights, source: str, remark: str) -> Term:
    ends = {"low": files.low_bytes, "high": files.high_bytes}
    return term("weights", files.bytes, How.COMPUTED, source, files.arithmetic + remark, **ends)


def size_of(file: ComponentFile, components: Mapping[str, int], quantization: str) -> SizedWeights:
    """What one file of a model with these components weighs. `source` is "" where every weight
    takes whole bytes, as in F16, and that is not listed.
    """
    type = file.type or quantization
    weights, size = BLOCKS[BASE_TYPES[type]]
    listed = file.bytes.get(type)
    if listed is not None:
        source = _LISTED if weights > 1 else ""
        return sized(listed, How.STATED, source, f"{listed:,} bytes of {file.component}")
    number = components.get(file.component, 0)
    plain = number * size / weights
    line = f"{number:,} {file.component} × {size}/{weights} bytes"
    if weights == 1:
        return sized(int(plain), How.COMPUTED, "", line)
    least, likely, most = _ROUNDING.get(type, _WIDEST)
    low, high = int(plain * (1 if file.type else least)), int(plain * most)
    line += "" if likely == 1 else f" × {likely:g}"
    return sized(round(plain * likely), How.COMPUTED, _SOURCE, line, low=low, high=high)
