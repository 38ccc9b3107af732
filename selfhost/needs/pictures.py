"""Models of images, video and music that come in components.

What goes in: the case of a model, a program and a workload. What comes out: its files, its memory,
and how little of it a GPU may hold while the rest waits in RAM.

diffusers loads all components; stable-diffusion.cpp takes one file a component and the denoiser
quantized. The constants are in specs/common/memory.toml; triples are least, likely and most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..catalogue.runtime_parts import ComponentFile, ModelParts
from ..catalogue.spec import StatedNeeds
from ..core.records import Stated, Unread
from ..core.tables import shipped_record
from ..core.units import plural
from .case import Case, components_type, overhead, published_size, without_files
from .checkpoints import DTYPES
from .quantization import BASE_TYPES, BLOCKS
from .records import (
    Device,
    How,
    Needs,
    Offloaded,
    Size,
    Term,
    files_of,
    stated_range,
    taken_off,
    term,
    unread,
    whole_files,
)


class _DiffusersTable(Stated):
    """`["diffusers"]` of specs/common/memory.toml, which explains each key."""

    source: str
    numbers: int
    numbers_16: int
    uncopied: int
    copied_weights: int
    sides: tuple[int, ...]
    decoders: tuple[int, ...]
    never_read: tuple[float, ...]
    quantized: Mapping[str, float]
    kept_wide: Mapping[str, int]
    least_quantized: int
    rounding: float
    quantized_source: str
    reserved: tuple[int, ...]
    reserved_source: str
    encoding: tuple[int, ...]
    transformer: tuple[int, ...]
    unet: tuple[int, ...]
    sequential: int
    offload_source: str


class _SdCppTable(Stated):
    """`["stable-diffusion.cpp"]` of specs/common/memory.toml, which explains each key."""

    listed: str
    computed: str
    scratch: int
    segment: float
    other_version: float
    defaults: tuple[str, ...]
    over_bits: Mapping[str, tuple[float, ...]]


_DIFFUSERS = shipped_record(_DiffusersTable, "memory", "diffusers")
_CPP = shipped_record(_SdCppTable, "memory", "stable-diffusion.cpp")
# bytes of a weight that bitsandbytes quantized, by its type
_QUANTIZED = _DIFFUSERS.quantized
_SHARD_BYTES = 10_000_000_000
_PIXELS = 1024**2
# what components that read the prompt or its picture are called
_INPUT_ENCODERS = ("text_encoder", "image_encoder")


def quantized_components(components: Mapping[str, int]) -> dict[str, int]:
    """What bitsandbytes quantizes; {} where the denoiser is none of them."""
    least = _DIFFUSERS.least_quantized
    if components.get("transformer", 0) < least:
        return {}
    return {name: number for name, number in components.items() if number >= least}


# ------------------------------------------------------------------ files


def size_of(case: Case) -> Term | Unread:
    """The files of all components: as published, else parameters times 16 or 32 bits."""
    stated = published_size(case)
    if stated is not None:
        return stated
    spec = case.spec
    quantization = case.quantization
    published = components_type(spec)
    if quantization != published and spec.needs is not None:
        if any(way.quantization == quantization for way in spec.needs.ways):
            # made of the published files while they load
            return size_of(case.replace(quantization=published))
        why = f"its needs are stated only for {published}"
        return unread(why, f"use --quant {published}")
    if quantization in _QUANTIZED:
        if not quantized_components(spec.components):
            why = "how much of its denoiser is quantized is not known"
            return unread(why, "use --quant float16")
        return size_of(case.replace(quantization=spec.components_dtype or "float16"))
    if quantization not in DTYPES:
        why = f"no source states the size in {quantization}"
        return unread(why, "use --quant float16 or --quant float32")
    return _computed_size(case)


def _computed_size(case: Case) -> Term:
    """Parameters of the components times the bits in which they are published, as far as known."""
    published = case.spec.components_dtype
    total = sum(case.spec.components.values())
    type = published or case.quantization
    bits = DTYPES[type]
    size = int(total * bits / 8)
    line = f"{total:,} parameters × {bits:g} bits / 8"
    source = "parameters of the components"
    if published is not None:
        source += f", published in {published}"
        return term("files", size, How.COMPUTED, source, line)
    source += "; the repository may hold 16 or 32 bits of each"
    return term("files", size, How.ASSUMED, source, line, low=total * 2, high=total * 4)


# ------------------------------------------------------------------ diffusers


def parts(case: Case) -> Needs:
    """Files and memory of diffusers: every component is resident, and the decoder of `parallel`
    images holds most beside them (tests/truth/diffusers.json).
    """
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    offloaded = _offloaded(case, overhead(case.runtime, on_gpu=True))
    if case.spec.needs is not None:
        # no rule says what it takes beside its weights: the spec states the whole
        why = "the memory beside its weights does not follow from them"
        unknown = unread(why, "read its needs", "memory.activations")
        return Needs(files=files, unknown=(unknown,), offloaded=offloaded)
    decoder = _decoder(case)
    program = overhead(case.runtime, on_gpu=case.device is not None)
    return Needs(
        files=files,
        terms=(_weights(case), decoder, program),
        evictable_bytes=max(0, _mapped_bytes(case) - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
        offloaded=offloaded,
    )


def _mapped_bytes(case: Case) -> int:
    """Pages of a file that lie in memory while its component is converted; 0 where none is.

    Components are converted one after the other. The pages of the largest one's file lie beside
    all copies until it is done, and may go.
    """
    if not _is_converted(case):
        return 0
    largest = max(case.spec.components.values())
    return int(largest * DTYPES[_stored_type(case)] / 8)


def _is_converted(case: Case) -> bool:
    """Whether the weights in memory are made of files in another type."""
    return case.quantization != _stored_type(case)


def _stored_type(case: Case) -> str:
    """The type of the files; 32 bits where the spec does not state it."""
    return case.spec.components_dtype or "float32"


def _weights(case: Case) -> Term:
    """The weights of all components in memory."""
    if case.quantization in _QUANTIZED:
        return _quantized_weights(case)
    components = case.spec.components
    source = _DIFFUSERS.source
    bits = DTYPES.get(case.quantization, 16.0)
    size = int(sum(components.values()) * bits / 8)
    numbers = " + ".join(f"{number:,} {name}" for name, number in components.items())
    line = f"({numbers}) × {bits:g} bits / 8"
    if case.device is not None or _is_converted(case):
        return term("weights", size, How.COMPUTED, source, line)
    # files of the requested type are mapped: a CPU never reads what no image needs
    share, most = _DIFFUSERS.never_read
    half = int(min(share * size, most * bits / 8)) // 2
    line = taken_off(line, half, "that are mapped and not read")
    low = size - 2 * half
    return term("weights", size - half, How.COMPUTED, source, line, low=low, high=size)


def _quantized_weights(case: Case) -> Term:
    """Large components made narrow by bitsandbytes, but for what is kept wide; 16 bits of the rest.

    The least is where nothing is kept wide.
    """
    components = case.spec.components
    width = _QUANTIZED[case.quantization]
    large = quantized_components(components).values()
    wide = sum(_DIFFUSERS.kept_wide.get(str(number), 0) for number in large)
    narrow = sum(large) - wide
    plain = sum(components.values()) - sum(large)
    size = int(narrow * width) + plain * 2 + wide * 4
    line = f"{narrow:,} weights × {width:g} bytes + {plain:,} × 2 bytes"
    line += f" + {wide:,} kept in float32 × 4 bytes"
    return term(
        "weights",
        size,
        How.COMPUTED,
        _DIFFUSERS.quantized_source,
        line,
        low=int(sum(large) * width) + plain * 2,
        high=int(size * _DIFFUSERS.rounding),
    )


def _decoder(case: Case) -> Term:
    """The moment in which the decoder holds most.

    On a GPU transformers that denoise reserve more than PyTorch counts in it.
    """
    on_cpu = _decoder_in_numbers(case)
    if case.device is None or "transformer" not in case.spec.components:
        return on_cpu
    pixels = _pixels(case)
    likely, reserved = _DIFFUSERS.reserved
    low = min(on_cpu.low_bytes, on_cpu.bytes)
    size = max(low, pixels.likely * likely // _PIXELS)
    high = max(on_cpu.bytes, on_cpu.high_bytes, pixels.most * reserved // _PIXELS)
    line = f"{pixels.likely:,} pixels × {likely / _PIXELS:.12g} bytes"
    source = _DIFFUSERS.reserved_source
    return term("activations", size, How.MEASURED, source, line, low=low, high=high)


def _likely_side(case: Case) -> int:
    """The side of one image: the model's; where that is not known, of a usual one."""
    return case.spec.native_pixels or _DIFFUSERS.sides[1]


def _pixels(case: Case) -> Size:
    """Pixels of all images of a workload; where the model does not tell, of usual images."""
    sides: Sequence[int] = _DIFFUSERS.sides
    if case.spec.native_pixels is not None:
        sides = [case.spec.native_pixels] * 3
    return Size(*[side**2 for side in sides]).times(case.workload.parallel)


def _decoder_in_numbers(case: Case) -> Term:
    """What the decoder holds, in numbers per pixel of the image, and copies of its weights.

    The numbers are known of some decoders, by their parameters; of others they are assumed.
    """
    pixels = _pixels(case)
    weights = _DIFFUSERS.copied_weights
    numbers = _DIFFUSERS.numbers_16
    width = 2
    if case.quantization == "float32":
        numbers = _DIFFUSERS.numbers
        width = 4
    size = (pixels.likely * numbers + weights) * width
    most_by_pixel = numbers * width
    if case.quantization == "float16":
        # some publishers ask that the decoder runs in 32 bits (force_upcast)
        most_by_pixel = _DIFFUSERS.numbers * 4
    # small arrays beside those
    high = (pixels.most * most_by_pixel + weights * 4) * 101 // 100
    side = _likely_side(case)
    line = f"{plural(case.workload.parallel, 'image')} × {side:,} × {side:,} pixels"
    line += (
        f" × {numbers:,} numbers × {width} bytes + {weights * width:,} bytes of weights"
    )
    is_known = case.spec.components.get("vae", 0) in _DIFFUSERS.decoders
    if is_known and case.spec.native_pixels is not None:
        line += (
            "; the image decoder holds more than the denoiser and the text encoders do"
        )
        # what oneDNN copies is among it, and was in every run: within 1 % of PyTorch's own count
        how = How.COMPUTED
        low = size - size // 50
    else:
        line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
        how = How.ASSUMED
        low = pixels.least * _DIFFUSERS.uncopied * width // 2
        high *= 2
    ends = Size(low, size, high)
    return ends.as_term("activations", how, _DIFFUSERS.source, line)


# ------------------------------------------------------------------ diffusers, less of it on a GPU


def _offloaded(case: Case, program: Term) -> tuple[Offloaded, ...]:
    """A component at a time on the accelerator, then a layer at a time; the weights in RAM.

    What it holds is stated, else a guess. What bitsandbytes quantized does not move layer by layer
    (diffusers 0.42.1, pipelines/pipeline_utils.py, enable_sequential_cpu_offload).
    """
    sizes = _sizes_in_ram(case)
    total = sum(sizes.values())
    line = " + ".join(f"{size:,} {name}" for name, size in sizes.items())
    source = "parameters of the components"
    host = (term("weights", total, How.COMPUTED, source, line), program)
    is_packed = case.quantization in _QUANTIZED
    stated = case.spec.needs
    beside_bytes = None
    if stated is not None:
        ways = _stated_ways(case, stated, host)
        if ways or is_packed or not stated.high_bytes:
            return ways
        # what the spec states over all weights
        beside_bytes = max(0, stated.high_bytes - total)
    if not _may_be_offloaded(case):
        return ()
    if beside_bytes is None:
        working = _held_by_rule(case, sizes)
        layer = _layer_by_rule(case, working["vae"].most)
    else:
        working = _held_as_stated(sizes, beside_bytes)
        layer = _layer_as_stated(beside_bytes)
    component = _largest_component(sizes, working)
    by_component = Offloaded(way="model", host=host, device=component)
    if is_packed:
        return (by_component,)
    return by_component, Offloaded(way="sequential", host=host, device=(layer,))


def _may_be_offloaded(case: Case) -> bool:
    """Whether what a GPU holds is known of files in that type: 16 bits, or a denoiser that
    bitsandbytes quantized.
    """
    if case.quantization in _QUANTIZED:
        return bool(quantized_components(case.spec.components))
    return DTYPES.get(case.quantization) == 16


def _stated_ways(
    case: Case, stated: StatedNeeds, host: tuple[Term, ...]
) -> tuple[Offloaded, ...]:
    """The ways of offloading files in this type of which the spec states the memory."""
    ways = []
    for way in stated.ways:
        if way.quantization == case.quantization:
            weights = stated_range("weights", way.low_bytes, way.high_bytes, way.source)
            ways.append(Offloaded(way=way.offload, host=host, device=(weights,)))
    return tuple(ways)


def _sizes_in_ram(case: Case) -> dict[str, int]:
    """Bytes of each component: of a quantized denoiser its type, of the others 16 bits."""
    sizes = dict[str, int]()
    for name, number in case.spec.components.items():
        width: float = 2
        if name == "transformer":
            width = _QUANTIZED.get(case.quantization, 2)
        sizes[name] = int(width * number)
    return sizes


def _largest_component(
    sizes: Mapping[str, int], working: Mapping[str, Size]
) -> tuple[Term, Term]:
    """The weights of the component that takes most on a GPU, and what it works with."""
    name = max(sizes, key=lambda name: sizes[name] + working[name].most)
    source = _DIFFUSERS.offload_source
    line = f"{sizes[name]:,} bytes; the {name}, which takes most"
    high = int(sizes[name] * _DIFFUSERS.rounding)
    weights = term("weights", sizes[name], How.COMPUTED, source, line, high=high)
    size = working[name]
    line = f"{size.likely:,} bytes beside the {name}; {size.least:,} to {size.most:,}"
    return weights, size.as_term("activations", How.ASSUMED, source, line)


def _layer_by_rule(case: Case, most: int) -> Term:
    """What a GPU holds where a layer at a time lies on it: what was seen of such, by pixel."""
    at_once = _DIFFUSERS.sequential * _pixels(case).likely // _PIXELS
    line = f"{at_once:,} bytes at the peak, a layer at a time"
    return _held_layer(Size(at_once, at_once, most), line)


def _layer_as_stated(beside_bytes: int) -> Term:
    """The same with what a spec states beside the weights, perhaps half of that."""
    at_peak = _DIFFUSERS.sequential
    at_once = at_peak + beside_bytes
    line = f"{at_peak:,} + {beside_bytes:,} bytes; stated, less the weights"
    return _held_layer(Size(at_peak + beside_bytes // 2, at_once, at_once), line)


def _held_layer(size: Size, line: str) -> Term:
    source = _DIFFUSERS.offload_source
    return size.as_term("activations", How.ASSUMED, source, line)


def _held_by_rule(case: Case, sizes: Mapping[str, int]) -> dict[str, Size]:
    """Encoders hold little, denoisers what was seen of such by pixel, the decoder as reckoned."""
    working = dict.fromkeys(sizes, Size(*_DIFFUSERS.encoding))
    decoding = _decoder(case.replace(device=Device()))
    working["vae"] = Size(decoding.low_bytes, decoding.bytes, decoding.high_bytes)
    working["transformer"] = _by_pixel(_DIFFUSERS.transformer, case)
    working["unet"] = _by_pixel(_DIFFUSERS.unet, case)
    return working


def _by_pixel(megapixel: Sequence[int], case: Case) -> Size:
    """What grows with the pixels of the images, by bytes for one of 1,024 × 1,024."""
    pixels = _pixels(case).likely
    return Size(*[size * pixels // _PIXELS for size in megapixel])


def _held_as_stated(sizes: Mapping[str, int], beside_bytes: int) -> dict[str, Size]:
    """All that is stated by each component but encoders; perhaps half of it."""
    working = dict[str, Size]()
    for name in sizes:
        if name.startswith(_INPUT_ENCODERS):
            working[name] = Size(*_DIFFUSERS.encoding)
        else:
            working[name] = Size(beside_bytes // 2, beside_bytes, beside_bytes)
    return working


# ------------------------------------------------------------------ stable-diffusion.cpp


def usual_mix(parts: ModelParts) -> str:
    """What people take of the denoiser's files: the first usual mix that its publisher has."""
    for mix in _CPP.defaults:
        if mix in parts.quantizations:
            return mix
    return parts.quantizations[0]


def parts_in_files(case: Case, parts: ModelParts) -> Needs:
    """Files and memory of stable-diffusion.cpp, whose buffers are reserved one after the other."""
    by_component = {}
    for file in parts.files:
        size = file_size(file, case.spec.components, case.quantization)
        by_component[file.component] = size
    sizes = tuple(by_component.values())
    largest = max(sizes, key=lambda size: size.bytes)
    files = _all_files(sizes)
    weights = whole_files(files)
    denoising = _buffer(case, parts, "denoiser", parts.denoise_bytes)
    decoding = _buffer(case, parts, "decoder", parts.decode_bytes)
    program = overhead(case.runtime, on_gpu=case.device is not None)
    decoder = (_alone(by_component["vae"]), decoding)
    offloaded = []
    for way, on_gpu in (("model", _alone(largest)), ("sequential", _segment(largest))):
        device = max((on_gpu, denoising), decoder, key=_bytes_of)
        offloaded.append(Offloaded(way=way, host=(weights, program), device=device))
    buffer = max(denoising, decoding, key=lambda buffer: buffer.bytes)
    return Needs(
        files=files,
        terms=(weights, buffer, program),
        largest_file_bytes=largest.bytes,
        offloaded=tuple(offloaded),
    )


def _bytes_of(terms: Iterable[Term]) -> int:
    """Bytes of all the terms."""
    return sum(part.bytes for part in terms)


def _all_files(sizes: tuple[Term, ...]) -> Term:
    """The files of all components, with the sources of their sizes."""
    used = {size.source for size in sizes}
    sources = [name for name in (_CPP.listed, _CPP.computed) if name in used]
    return files_of(sizes, How.COMPUTED, "; ".join(sources))


def _alone(file: Term) -> Term:
    """The weights of one component on a GPU."""
    return whole_files(file, _CPP.computed, "; alone, the others in RAM")


def _buffer(case: Case, parts: ModelParts, component: str, size: int) -> Term:
    """What is reserved while a component works; another version may reserve more."""
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    source = case.runtime.sources.get("parts", "")
    line = f"{size:,} bytes reserved for the {component}"
    high = int(size * _CPP.other_version)
    return term("compute", size, how, source, line, high=high)


def _segment(largest: Term) -> Term:
    """A segment of the largest file, and the scratch that stays free beside it."""
    share = _CPP.segment
    scratch = _CPP.scratch
    size = int(share * largest.bytes) + scratch
    line = f"{largest.bytes:,} bytes × {share:g} + {scratch:,} bytes; a segment and what stays free"
    return term("weights", size, How.ASSUMED, _CPP.computed, line)


def file_size(
    file: ComponentFile, components: Mapping[str, int], quantization: str
) -> Term:
    """What one file weighs. `source` is "" where every weight takes whole bytes."""
    type = file.type or quantization
    block = BLOCKS[BASE_TYPES[type]]
    listed = file.bytes.get(type)
    if listed is not None:
        source = _CPP.listed if block.elements > 1 else ""
        line = f"{listed:,} bytes of {file.component}"
        return term("files", listed, How.STATED, source, line)
    number = components.get(file.component, 0)
    plain = number * block.bytes / block.elements
    line = f"{number:,} {file.component} × {block.bytes}/{block.elements} bytes"
    if block.elements == 1:
        return term("files", int(plain), How.COMPUTED, "", line)
    key = type if type in _CPP.over_bits else "other"
    least, likely, most = _CPP.over_bits[key]
    return term(
        "files",
        round(plain * likely),
        How.COMPUTED,
        _CPP.computed,
        f"{line} × {likely:g}",
        low=int(plain * least),
        high=int(plain * most),
    )
