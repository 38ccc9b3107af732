"""Models of pictures and video as stable-diffusion.cpp loads them: one file a component, the
denoiser quantized.

A file is parameters times the bits of its type (ggml's blocks), and little more: of the first and
last layers and of one-dimensional tensors a publisher keeps 16 or 32 bits.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.runtime import ComponentFile, ModelParts, RuntimeSpec
from ..core.records import Record, Unread
from .loaded import overhead
from .parts import Asked, Parts, Subject, parts_of, term
from .quantization import BASE_TYPES, BLOCKS
from .records import How, Offloaded, SizedWeights, Term

# published files over parameters × bits: 1.002 to 1.006 in Q8_0 and Q6_K, 1.017 to 1.057 in Q4_K_S,
# 1.08 for a text encoder in Q4_K_M
_ROUNDING, _LIKELY_ROUNDING = 1.1, 1.03
_SOURCE = (
    "parameters × bits of the type; published files are up to 6 % larger: qwen-image-Q8_0.gguf"
    " 21,761,817,120 bytes, -Q6_K 16,824,990,240, -Q4_K_S 12,140,608,032 (city96), z_image_turbo-"
    "Q8_0.gguf 6,577,440,704 (leejet), flux1-dev-Q4_K_S.gguf 6.81 GB (city96)"
)
# kept free for graphs while it computes a segment at a time, beside a tenth of the denoiser
# (leejet/stable-diffusion.cpp, docs/performance.md: 512 MiB of scratch); the tenth is a guess
_SCRATCH_BYTES = 512 * 2**20
_SEGMENT_SHARE = 0.1
# the buffer of a graph may be larger in another version: docs/performance.md states 650 MiB for
# FLUX.1 and 768 × 768 pixels with --diffusion-fa, where leejet/stable-diffusion.cpp@97d29908
# reserves 485,559,424 bytes (tests/truth/sdcpp.json)
_OTHER_VERSION = 1.41
DECODER = "vae"
"""The component that makes pictures of latents, in every pipeline that has files here."""
DEFAULT_QUANTIZATION = "Q4_K_S"
"""What people take on the GPUs that need such a file; Q4_0 where a publisher has no Q4_K_S."""


class _Sizes(Record):
    """Bytes of the files: of all, and of the largest component that works alone."""

    low: int
    likely: int
    high: int

    def plus(self, other: _Sizes) -> _Sizes:
        return _Sizes(
            low=self.low + other.low, likely=self.likely + other.likely, high=self.high + other.high
        )


def default_quantization(parts: ModelParts) -> str:
    """What is taken unless asked otherwise."""
    if DEFAULT_QUANTIZATION in parts.quantizations:
        return DEFAULT_QUANTIZATION
    return "Q4_0" if "Q4_0" in parts.quantizations else parts.quantizations[0]


def needs_of_parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory: all on one accelerator, or in RAM with a component, or a segment of it, at
    a time on one.
    """
    spec, parts = subject.spec, parts_of(subject.spec, runtime)
    if parts is None:
        why = f"no files of {spec.name} are known for {runtime.name}"
        unknown = Unread(fact="download_bytes", reason=why, remedy="leave out --runtime")
        return Parts(files=unknown, unknown=(unknown, unknown.replace(fact="memory.weights")))
    sizes = [_size_of(each, spec.components, workload.quantization) for each in parts.files]
    lines = [_line(each, spec.components, workload.quantization) for each in parts.files]
    total = sizes[0]
    for size in sizes[1:]:
        total = total.plus(size)
    largest = max(sizes, key=lambda size: size.likely)
    line = " + ".join(lines)
    files = SizedWeights(
        bytes=total.likely,
        low_bytes=total.low,
        high_bytes=total.high,
        how=How.COMPUTED,
        source=_SOURCE,
        arithmetic=line,
    )
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    denoising = compute_term(parts.denoise_bytes, "a pass of the denoiser", runtime, how)
    decoding = compute_term(parts.decode_bytes, "a tile of the decoder", runtime, how)
    # one after the other: the buffer of one is given back before the other is reserved
    compute = max(denoising, decoding, key=lambda each: each.bytes)
    weights = term(
        "weights", total.likely, How.COMPUTED, _SOURCE, line, low=total.low, high=total.high,
    )  # fmt: skip
    alone = _alone(lines[sizes.index(largest)], largest)
    part = _segment(largest.likely)
    decoder = _with_decoder(parts, sizes, lines, decoding)
    program = overhead(runtime)
    host = (weights, program)
    return Parts(
        files=files,
        terms=(weights, compute, program),
        largest_file_bytes=largest.likely,
        offloaded=(
            Offloaded(
                way="model", host=host, device=max((alone, denoising), decoder, key=_together)
            ),
            Offloaded(
                way="sequential", host=host, device=max((part, denoising), decoder, key=_together)
            ),
        ),
    )


def _together(pair: tuple[Term, ...]) -> int:
    return sum(each.bytes for each in pair)


def compute_term(size: int, of: str, runtime: RuntimeSpec, how: How = How.MEASURED) -> Term:
    """The buffer that the program reserves for a graph."""
    high = int(size * _OTHER_VERSION)
    source = runtime.sources.get("parts", "")
    line = f"{size:,} bytes reserved for {of}"
    return term("compute", size, how, source, line, low=size, high=high)


def _segment(largest_bytes: int) -> Term:
    """What is on the accelerator of the largest file, computed a segment at a time."""
    size = int(_SEGMENT_SHARE * largest_bytes) + _SCRATCH_BYTES
    line = (
        f"{largest_bytes:,} bytes × {_SEGMENT_SHARE:g} + {_SCRATCH_BYTES:,} bytes; a segment of"
        " the denoiser, and what is kept free"
    )
    return term("weights", size, How.ASSUMED, _SOURCE, line)


def _alone(line: str, size: _Sizes) -> Term:
    """The weights of one file on the accelerator, while the others are in RAM."""
    line = f"{line}; alone, the others in RAM"
    return term("weights", size.likely, How.COMPUTED, _SOURCE, line, low=size.low, high=size.high)


def _with_decoder(
    parts: ModelParts, sizes: list[_Sizes], lines: list[str], decoding: Term
) -> tuple[Term, Term]:
    """The decoder's weights and what a tile of it takes."""
    place = next(number for number, file in enumerate(parts.files) if file.component == DECODER)
    return _alone(lines[place], sizes[place]), decoding


def _size_of(file: ComponentFile, components: Mapping[str, int], quantization: str) -> _Sizes:
    weights, size = BLOCKS[BASE_TYPES[file.type or quantization]]
    plain = components.get(file.component, 0) * size / weights
    if weights == 1:
        return _Sizes(low=int(plain), likely=int(plain), high=int(plain))
    return _Sizes(
        low=int(plain), likely=round(plain * _LIKELY_ROUNDING), high=int(plain * _ROUNDING)
    )


def _line(file: ComponentFile, components: Mapping[str, int], quantization: str) -> str:
    weights, size = BLOCKS[BASE_TYPES[file.type or quantization]]
    line = f"{components.get(file.component, 0):,} {file.component} × {size}/{weights} bytes"
    return line if weights == 1 else f"{line} × {_LIKELY_ROUNDING:g}"
