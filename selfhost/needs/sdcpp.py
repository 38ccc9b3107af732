"""Models of pictures and video as stable-diffusion.cpp loads them: one file a component, the
denoiser quantized.

A file is parameters times the bits of its type (ggml's blocks), and little more: of the first and
last layers and of one-dimensional tensors a publisher keeps 16 or 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..catalogue.runtime import ComponentFile, ModelParts, RuntimeSpec
from ..core.records import Record, Unread
from .kept import overhead
from .parts import Asked, Parts, Subject, parts_of, term
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
DECODER = "vae"
"""The component that makes pictures of latents, in every pipeline that has files here."""
DEFAULT_QUANTIZATIONS = ("Q4_K_S", "Q4_0", "Q4_K_M")
"""What people take on the GPUs that need such a file: the first that a publisher has."""


class FileSizes(Record):
    """Bytes of a file, or of several together."""

    low: int
    likely: int
    high: int

    def plus(self, other: FileSizes) -> FileSizes:
        return FileSizes(
            low=self.low + other.low, likely=self.likely + other.likely, high=self.high + other.high
        )


def default_quantization(parts: ModelParts) -> str:
    """What is taken unless asked otherwise."""
    usual = (mix for mix in DEFAULT_QUANTIZATIONS if mix in parts.quantizations)
    return next(usual, parts.quantizations[0])


def needs_of_parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory: all on one accelerator, or in RAM with a component, or a segment of it, at
    a time on one.
    """
    spec, parts = subject.spec, parts_of(subject.spec, runtime)
    if parts is None:
        why = f"no files of {spec.name} are known for {runtime.name}"
        unknown = Unread(fact="download_bytes", reason=why, remedy="leave out --runtime")
        return Parts(files=unknown, unknown=(unknown, unknown.replace(fact="memory.weights")))
    sizes = [size_of(each, spec.components, workload.quantization) for each in parts.files]
    lines = [_line(each, spec.components, workload.quantization) for each in parts.files]
    total = sizes[0]
    for size in sizes[1:]:
        total = total.plus(size)
    largest = max(sizes, key=lambda size: size.likely)
    line = " + ".join(lines)
    source = _source(parts.files, workload.quantization)
    files = SizedWeights(
        bytes=total.likely,
        low_bytes=total.low,
        high_bytes=total.high,
        how=How.COMPUTED,
        source=source,
        arithmetic=line,
    )
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    denoising = compute_term(parts.denoise_bytes, "a pass of the denoiser", runtime, how)
    decoding = compute_term(parts.decode_bytes, "a tile of the decoder", runtime, how)
    # one after the other: the buffer of one is given back before the other is reserved
    compute = max(denoising, decoding, key=lambda each: each.bytes)
    weights = term(
        "weights", total.likely, How.COMPUTED, source, line, low=total.low, high=total.high,
    )  # fmt: skip
    alone = _alone(lines[sizes.index(largest)], largest)
    part = _segment(largest.likely)
    decoder = _with_decoder(parts, sizes, lines, decoding)
    program = overhead(runtime, on_gpu=workload.device is not None)
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


def _alone(line: str, size: FileSizes) -> Term:
    """The weights of one file on the accelerator, while the others are in RAM."""
    line = f"{line}; alone, the others in RAM"
    return term("weights", size.likely, How.COMPUTED, _SOURCE, line, low=size.low, high=size.high)


def _with_decoder(
    parts: ModelParts, sizes: list[FileSizes], lines: list[str], decoding: Term
) -> tuple[Term, Term]:
    """The decoder's weights and what a tile of it takes."""
    place = next(number for number, file in enumerate(parts.files) if file.component == DECODER)
    return _alone(lines[place], sizes[place]), decoding


def size_of(file: ComponentFile, components: Mapping[str, int], quantization: str) -> FileSizes:
    """The bytes of one file of a model with these components."""
    listed = _listed(file, quantization)
    if listed is not None:
        return FileSizes(low=listed, likely=listed, high=listed)
    weights, size = BLOCKS[BASE_TYPES[file.type or quantization]]
    plain = components.get(file.component, 0) * size / weights
    least, likely, high = _rounding(file, quantization)
    return FileSizes(low=int(plain * least), likely=round(plain * likely), high=int(plain * high))


def _line(file: ComponentFile, components: Mapping[str, int], quantization: str) -> str:
    listed = _listed(file, quantization)
    if listed is not None:
        return f"{listed:,} bytes of {file.component}"
    weights, size = BLOCKS[BASE_TYPES[file.type or quantization]]
    line = f"{components.get(file.component, 0):,} {file.component} × {size}/{weights} bytes"
    _, likely, _ = _rounding(file, quantization)
    return line if likely == 1 else f"{line} × {likely:g}"


def _listed(file: ComponentFile, quantization: str) -> int | None:
    """The size of the file where one is listed."""
    return file.bytes.get(file.type or quantization)


def _rounding(file: ComponentFile, quantization: str) -> tuple[float, float, float]:
    """What the bits of the type are multiplied by: at least, likely and at most."""
    if _is_plain(file, quantization):
        return 1, 1, 1
    least, likely, most = _ROUNDING.get(file.type or quantization, _WIDEST)
    return (1 if file.type else least), likely, most


def _is_plain(file: ComponentFile, quantization: str) -> bool:
    """Whether every weight takes whole bytes, as in F16."""
    return BLOCKS[BASE_TYPES[file.type or quantization]][0] == 1


def _source(files: Iterable[ComponentFile], quantization: str) -> str:
    """Where the sizes of these files come from."""
    mixes = [file for file in files if not _is_plain(file, quantization)]
    are_listed = [_listed(file, quantization) is not None for file in mixes]
    return "; ".join([_LISTED] * any(are_listed) + [_SOURCE] * (not all(are_listed)))
