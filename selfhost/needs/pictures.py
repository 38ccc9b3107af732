"""Models of images, video and music that come in components: diffusers that loaded them all, and
stable-diffusion.cpp, which takes one file a component and the denoiser quantized.

Triples are least, likely and most.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.runtime import ComponentFile, ModelParts
from ..catalogue.spec import StatedWay
from ..core.records import Unread
from .case import Case, Parts, components_type, overhead, published_size, without_files
from .checkpoints import DTYPES
from .quantization import BASE_TYPES, BLOCKS
from .records import (
    Device,
    How,
    Offloaded,
    Term,
    stated_range,
    taken_off,
    term,
    times,
    unread,
    whole_files,
)

_SHARD_BYTES = 10_000_000_000
_SOURCE = "measured: diffusers 0.42.1 and torch 2.13.0 on a CPU, tests/truth/diffusers.json"
# channels of AutoencoderKL's decoder where it works at full size and before: block_out_channels
# 128, 256, 512, 512 reversed
_WIDE, _NARROW, _BEFORE = 256, 128, 512
# the 3 × 3 convolution at that moment: oneDNN orders its weights anew
_COPIED_WEIGHTS = 9 * 256 * 256
# image side where the spec does not say: likely, least, most
_SIDES = (1024, 512, 1024)
# parameters of that autoencoder with 4 and with 16 latent channels
_DECODERS = (83_653_863, 83_819_683)
# of mapped weights no image reads the encoder of pictures and most rows of tables of tokens: 7 % of
# Stable Diffusion, and 240 million numbers of a pipeline with CLIP-L, CLIP-G and T5-XXL
_NEVER_READ, _NEVER_READ_NUMBERS = 0.08, 250_000_000
# bytes of a weight as bitsandbytes stores it: a byte, beside a scale for each row; half a byte,
# beside a scale of 32 bits for 64 weights
_QUANTIZED = {"int8": 1.0, "nf4": 0.5 + 4 / 64}
# of a text encoder of that many parameters transformers keeps a fifth in 32 bits, whatever
# bitsandbytes makes of the rest: T5-XXL's matrices `wo` (_keep_in_fp32_modules of
# T5PreTrainedModel)
_KEPT_WIDE = {4_762_310_656: 24 * 10_240 * 4_096}
# smaller components are not worth it, and those of convolutions are left as they are: the denoiser
# has to be a transformer
_LEAST_QUANTIZED = 1_000_000_000
# 12.584 GiB loaded and 17.281 at the peak in nf4, 19.273 and 24.432 in int8
_QUANTIZED_SOURCE = (
    "diffusers 0.42.1 and bitsandbytes; checked against FLUX.1 [dev] of 1,024 pixels on an H100"
    " (huggingface/blog@0b53cb19, diffusers-quantization.md)"
)
# beyond the weights, what PyTorch reserved on a GPU for a picture of so many pixels: 3.9 to 5.2
# GiB, 4.72 in bfloat16; Stable Diffusion 3 in float16 4.4, of which it used 2.1. The rest is blocks
# of earlier steps, which PyTorch gives back before it fails
_RESERVED_BYTES, _RESERVED_LIKELY_BYTES, _PIXELS = 5_540_000_000, 5_070_000_000, 1024**2
_RESERVED_SOURCE = (
    "reserved by PyTorch on an H100 for FLUX.1 [dev] in nine types (huggingface/blog@0b53cb19,"
    " diffusers-quantization.md) and for Stable Diffusion 3 (quanto-diffusers.md); the least is"
    " what the image decoder uses"
)
# what a component takes beside its weights while it works alone on a GPU, for that picture: T5-XXL
# with 512 tokens; FLUX's denoiser, least on a CPU (tests/truth/diffusers.json), the others in the
# runs of _OFFLOAD_SOURCE; a denoiser of convolutions, SDXL's on a CPU, the rest a guess
_ENCODING = (93_000_000, 140_000_000, 500_000_000)
_DENOISING = {
    "transformer": (490_000_000, 2_000_000_000, 2_800_000_000),
    "unet": (332_000_000, 664_000_000, 1_500_000_000),
}
# what components that read the prompt or its picture are called
_INPUT_ENCODERS = ("text_encoder", "image_encoder")
# a layer at a time: 2 GB at the peak, FLUX.1 [dev] in bfloat16
_SEQUENTIAL_BYTES = 2_000_000_000
_OFFLOAD_SOURCE = (
    "FLUX.1 [dev], 1,360 × 768 pixels: 24 GB at the peak in bfloat16 and 8.5 GB in nf4 with"
    " enable_model_cpu_offload, 2 GB with enable_sequential_cpu_offload (matiasbattaglia.com,"
    " 2025-06-09); 9 GiB with T5 in 16 bits (huggingface/diffusers#9149)"
)
# what PyTorch reserved beyond the weights themselves: 0.6 % and 2.3 %
_ROUNDING = 1.03


_STATED_WHOLE = Unread(
    fact="memory.activations",
    reason="the memory beside its weights does not follow from them",
    remedy="read the needs that its spec states",
)


def quantized_components(components: Mapping[str, int]) -> dict[str, int]:
    """The components that bitsandbytes quantizes for `components_to_quantize` of the printed
    command; {} where the denoiser is none of them.
    """
    if components.get("transformer", 0) < _LEAST_QUANTIZED:
        return {}
    return {name: number for name, number in components.items() if number >= _LEAST_QUANTIZED}


def size_of(case: Case) -> Term | Unread:
    """The files of all components: as published, else parameters times the type; where that is
    unknown, 16 or 32 bits.
    """
    spec, quantization, own = case.spec, case.quantization, components_type(case.spec)
    stated = published_size(case)
    if stated is not None:
        return stated
    if quantization != own and spec.needs is not None:
        if any(way.quantization == quantization for way in spec.needs.ways):
            # made of the published files while they load
            return size_of(case.replace(quantization=own))
        return unread(f"its needs are stated for {own} alone", f"take {own}")
    if quantization in _QUANTIZED:
        if not quantized_components(spec.components):
            return unread("how much of its denoiser is quantized is not known", "take float16")
        return size_of(case.replace(quantization=spec.components_dtype or "float16"))
    if quantization not in DTYPES:
        why = f"no source states the size in {quantization}"
        return unread(why, "use --quant float16 or --quant float32")
    total, bits = sum(spec.components.values()), DTYPES[spec.components_dtype or quantization]
    size, line = int(total * bits / 8), f"{total:,} parameters × {bits:g} bits / 8"
    if spec.components_dtype is not None:
        source = f"parameters of the components, published in {spec.components_dtype}"
        return term("files", size, How.COMPUTED, source, line)
    source = "parameters of the components; the repository may hold 16 or 32 bits of each"
    return term("files", size, How.ASSUMED, source, line, low=total * 2, high=total * 4)


def parts(case: Case) -> Parts:
    """Files and memory of diffusers: every component is resident, and the decoder of the images
    holds most beside them.

    `parallel` images are made of one prompt and decoded at once. A pass of the denoiser, even of
    two batches for guidance, and the text encoders hold less than the decoder does
    (tests/truth/diffusers.json), and nothing is alive of one when the next runs.
    """
    files, spec = size_of(case), case.spec
    if isinstance(files, Unread):
        return without_files(files)
    offloaded = _offloaded(case, overhead(case.runtime, on_gpu=True))
    if spec.needs is not None:
        # no rule says what it takes beside its weights: the spec states the whole
        return Parts(files=files, unknown=(_STATED_WHOLE,), offloaded=offloaded)
    decoder, stored, mapped = _decoder(case), spec.components_dtype or "float32", 0
    if case.quantization != stored:
        # converted one component after the other: the pages of the largest one's file lie beside
        # all copies until it is done, and may go
        mapped = int(max(spec.components.values()) * DTYPES[stored] / 8)
    return Parts(
        files=files,
        terms=(_weights(case), decoder, overhead(case.runtime, on_gpu=case.on_gpu)),
        evictable_bytes=max(0, mapped - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
        offloaded=offloaded,
    )


def _weights(case: Case) -> Term:
    """The weights. Files of the requested type are mapped: a CPU never reads what no image needs. A
    GPU holds all, and weights of another type are copied whole while they load.
    """
    components, quantization = case.spec.components, case.quantization
    if quantization in _QUANTIZED:
        return _quantized_weights(components, _QUANTIZED[quantization])
    bits = DTYPES.get(quantization, 16.0)
    size = int(sum(components.values()) * bits / 8)
    line = " + ".join(f"{number:,} {name}" for name, number in components.items())
    line = f"({line}) × {bits:g} bits / 8"
    if quantization != (case.spec.components_dtype or "float32") or case.on_gpu:
        return term("weights", size, How.COMPUTED, _SOURCE, line)
    half = int(min(_NEVER_READ * size, _NEVER_READ_NUMBERS * bits / 8)) // 2
    line = taken_off(line, half, "that are mapped and not read")
    low = size - 2 * half
    return term("weights", size - half, How.COMPUTED, _SOURCE, line, low=low, high=size)


def _quantized_weights(components: Mapping[str, int], each: float) -> Term:
    """The weights on a GPU: large components at `each` byte but for what is kept wide, the rest in
    16 bits.
    """
    quantized = quantized_components(components)
    wide = sum(_KEPT_WIDE.get(number, 0) for number in quantized.values())
    narrow = sum(quantized.values()) - wide
    plain = sum(components.values()) - narrow - wide
    size = int(narrow * each) + plain * 2 + wide * 4
    line = f"{narrow:,} weights × {each:g} bytes + {plain:,} × 2 bytes + {wide:,} kept in float32"
    low, high = int((narrow + wide) * each) + plain * 2, int(size * _ROUNDING)
    source = _QUANTIZED_SOURCE
    return term("weights", size, How.COMPUTED, source, f"{line} × 4 bytes", low=low, high=high)


def _decoder(case: Case) -> Term:
    """The moment in which the decoder holds most, in numbers per pixel of the image.

    Its last enlargement (Upsample2D), with 256 channels at full size: the enlarged and the
    convolved array, the one before, and the input of the whole block, which its caller keeps
    (Decoder.forward); oneDNN copies the input. In 16 bits the 1 × 1 convolution of the block after
    it holds more: its input of 256, the sum's other part of 128, and copies of input, output and
    the input as given. On a GPU, where the denoiser is a transformer, PyTorch reserves more, which
    was measured.
    """
    copied = _BEFORE // 4 + _WIDE // 4 + 3 * _WIDE
    is_single = case.quantization == "float32"
    numbers, width = (copied, 4) if is_single else (3 * _WIDE + 2 * _NARROW, 2)
    side = case.spec.native_pixels
    sides = (side, side, side) if side is not None else _SIDES
    pixels, least, most = (number * number * case.parallel for number in sides)
    copies = _COPIED_WEIGHTS * width
    size = pixels * numbers * width + copies
    # float16: some publishers ask that the decoder runs in 32 bits (force_upcast)
    each = copied * 4 if case.quantization == "float16" else numbers * width
    # small arrays beside those
    high = (most * each + _COPIED_WEIGHTS * 4) * 101 // 100
    line = (
        f"{times(case.parallel, 'image')} × {sides[0]:,} × {sides[0]:,} pixels × {numbers:,}"
        f" numbers × {width} bytes + {copies:,} bytes of weights"
    )
    if side is not None and case.spec.components.get("vae", 0) in _DECODERS:
        line += "; the image decoder holds more than the denoiser and the text encoders do"
        # what oneDNN copies is among it, and was in every run: within 1 % of PyTorch's own count
        how, low = How.COMPUTED, size - size // 50
    else:
        line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
        how, low, high = How.ASSUMED, least * (copied - _WIDE) * width // 2, 2 * high
    if not case.on_gpu or "transformer" not in case.spec.components:
        return term("activations", size, how, _SOURCE, line, low=low, high=high)
    low, high = min(low, size), max(size, high, most * _RESERVED_BYTES // _PIXELS)
    reserved = max(low, pixels * _RESERVED_LIKELY_BYTES // _PIXELS)
    line = f"{pixels:,} pixels × {_RESERVED_LIKELY_BYTES / _PIXELS:.12g} bytes"
    return term("activations", reserved, How.MEASURED, _RESERVED_SOURCE, line, low=low, high=high)


def _offloaded(case: Case, program: Term) -> tuple[Offloaded, ...]:
    """A component at a time on the accelerator, then a layer at a time; the weights in RAM. What it
    holds is stated, else a guess.

    bitsandbytes puts all that it quantizes on the accelerator while it loads, so that only the
    denoiser is quantized then; its weights do not move layer by layer (diffusers 0.42.1,
    pipelines/pipeline_utils.py, enable_model_cpu_offload and enable_sequential_cpu_offload).
    """
    quantization, stated, most = case.quantization, case.spec.needs, None
    is_packed = quantization in _QUANTIZED
    each = {"transformer": _QUANTIZED.get(quantization, 2)}
    sizes = {name: int(each.get(name, 2) * n) for name, n in case.spec.components.items()}
    line, total = (
        " + ".join(f"{size:,} {name}" for name, size in sizes.items()),
        sum(sizes.values()),
    )
    host = term("weights", total, How.COMPUTED, "parameters of the components", line), program
    if stated is not None:
        ways = [way for way in stated.ways if way.quantization == quantization]
        if ways or is_packed or not stated.high_bytes:
            return tuple(_as_stated(way, host) for way in ways)
        # what the spec states over all weights
        most = max(0, stated.high_bytes - total)
    elif is_packed and not quantized_components(case.spec.components):
        return ()
    if not is_packed and DTYPES.get(quantization) != 16:
        return ()
    by_component = Offloaded(way="model", host=host, device=_largest(case, sizes, most))
    if is_packed:
        return (by_component,)
    return by_component, Offloaded(way="sequential", host=host, device=_by_layer(case, most))


def _as_stated(way: StatedWay, host: tuple[Term, ...]) -> Offloaded:
    held = stated_range("weights", way.low_bytes, way.high_bytes, way.source)
    return Offloaded(way=way.offload, host=host, device=(held,))


def _largest(case: Case, sizes: Mapping[str, int], most: int | None) -> tuple[Term, Term]:
    """Weights and activations of the component that takes most of the accelerator: beside its
    weights what is stated over all of them, but of what reads the prompt, or what was measured.
    """
    beside = dict.fromkeys(sizes, _ENCODING)
    if most is None:
        pixels = (case.spec.native_pixels or _SIDES[0]) ** 2 * case.parallel
        decoding = _decoder(case.replace(device=Device()))
        beside["vae"] = decoding.low_bytes, decoding.bytes, decoding.high_bytes
        for name, (low, likely, high) in _DENOISING.items():
            low, likely, high = (size * pixels // _PIXELS for size in (low, likely, high))
            beside[name] = low, likely, high
    else:
        working = (name for name in sizes if not name.startswith(_INPUT_ENCODERS))
        beside.update(dict.fromkeys(working, (most // 2, most, most)))
    name = max(sizes, key=lambda each: sizes[each] + beside[each][2])
    size, (low, likely, high) = sizes[name], beside[name]
    weights_line, rounded = f"{size:,} bytes; the {name}, which takes most", int(size * _ROUNDING)
    line = f"{likely:,} bytes beside the {name}; {low:,} to {high:,}"
    return (
        term("weights", size, How.COMPUTED, _OFFLOAD_SOURCE, weights_line, high=rounded),
        term("activations", likely, How.ASSUMED, _OFFLOAD_SOURCE, line, low=low, high=high),
    )


def _by_layer(case: Case, most: int | None) -> tuple[Term, ...]:
    """What is held a layer at a time: at most what the decoder takes, or what is stated beside
    the weights.
    """
    if most is not None:
        size, low = _SEQUENTIAL_BYTES + most, _SEQUENTIAL_BYTES + most // 2
        line, high = f"{_SEQUENTIAL_BYTES:,} + {most:,} bytes; stated, less the weights", size
    else:
        pixels = (case.spec.native_pixels or _SIDES[0]) ** 2 * case.parallel
        low = size = _SEQUENTIAL_BYTES * pixels // _PIXELS
        line = f"{size:,} bytes at the peak, a layer at a time"
        high = _decoder(case.replace(device=Device())).high_bytes
    return (term("activations", size, How.ASSUMED, _OFFLOAD_SOURCE, line, low=low, high=high),)


# Published files over parameters × bits of the base type: the least, the middle and the most, a
# hundredth further, of those in `bytes` of the runtime's record. A Q4_K_M is 1.04 of it for FLUX.1
# and 1.22 for Wan 2.2 5B, whose layers get more bits. It does not hold for FLUX.2 [klein] and
# Z-Image, of whose weights more stay in 16 bits, nor for Krea 2, of whose none do: all of their
# sizes are listed.
_OVER_BITS = {
    "Q8_0": (1, 1.01, 1.035), "Q6_K": (1, 1.02, 1.05), "Q5_K_S": (1, 1.02, 1.05),
    "Q4_K_S": (1, 1.05, 1.12), "Q4_0": (1, 1.05, 1.1), "Q4_K_M": (1.025, 1.13, 1.235),
}  # fmt: skip
_OF_OTHERS = (1, 1.08, 1.24)
_COMPUTED = (
    "parameters × bits of the type, and the share that listed files are larger by, which depends on"
    " the mix and the model: 0 to 3 % in Q8_0, 4 to 22 % in Q4_K_M"
)
_LISTED = "sizes in bytes that programs which download the files list"
# kept free for graphs while it computes a segment at a time, beside a tenth of the denoiser
# (leejet/stable-diffusion.cpp, docs/performance.md: 512 MiB of scratch); the tenth is a guess
_SCRATCH_BYTES, _SEGMENT_SHARE = 512 * 2**20, 0.1
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


def parts_in_files(case: Case, parts: ModelParts) -> Parts:
    """Files and memory of stable-diffusion.cpp: all on one accelerator, or in RAM with a component,
    or a segment of it, at a time on one. One buffer is given back before the next is reserved.
    """
    components = case.spec.components
    by_component = {
        each.component: file_size(each, components, case.quantization) for each in parts.files
    }
    sizes = by_component.values()
    sources = [each for each in (_LISTED, _COMPUTED) if each in {size.source for size in sizes}]
    files = term(
        "files",
        sum(each.bytes for each in sizes),
        How.COMPUTED,
        "; ".join(sources),
        " + ".join(each.arithmetic for each in sizes),
        low=sum(each.low_bytes for each in sizes),
        high=sum(each.high_bytes for each in sizes),
    )
    largest = max(sizes, key=lambda size: size.bytes)
    denoising = _buffer(case, parts, parts.denoise_bytes, "a pass of the denoiser")
    decoding = _buffer(case, parts, parts.decode_bytes, "a tile of the decoder")
    segment = int(_SEGMENT_SHARE * largest.bytes) + _SCRATCH_BYTES
    line = f"{largest.bytes:,} bytes × {_SEGMENT_SHARE:g} + {_SCRATCH_BYTES:,} bytes; a segment of"
    line += " the denoiser, and what is kept free"
    host = whole_files(files), overhead(case.runtime, on_gpu=case.on_gpu)
    alone = "; alone, the others in RAM"
    decoder = whole_files(by_component["vae"], _COMPUTED, alone), decoding
    ways = {
        "model": (whole_files(largest, _COMPUTED, alone), denoising),
        "sequential": (term("weights", segment, How.ASSUMED, _COMPUTED, line), denoising),
    }

    def in_all(terms: tuple[Term, ...]) -> int:
        return sum(each.bytes for each in terms)

    return Parts(
        files=files,
        terms=(host[0], max(denoising, decoding, key=lambda each: each.bytes), host[1]),
        largest_file_bytes=largest.bytes,
        offloaded=tuple(
            Offloaded(way=way, host=host, device=max(held, decoder, key=in_all))
            for way, held in ways.items()
        ),
    )


def _buffer(case: Case, parts: ModelParts, size: int, what: str) -> Term:
    how, high = How.ASSUMED if parts.buffers_like else How.MEASURED, int(size * _OTHER_VERSION)
    line, source = f"{size:,} bytes reserved for {what}", case.runtime.sources.get("parts", "")
    return term("compute", size, how, source, line, high=high)


def file_size(file: ComponentFile, components: Mapping[str, int], quantization: str) -> Term:
    """What one file of a model with these components weighs. `source` is "" where every weight
    takes whole bytes, as in F16, and that is not listed.
    """
    type = file.type or quantization
    weights, size = BLOCKS[BASE_TYPES[type]]
    listed = file.bytes.get(type)
    if listed is not None:
        source = _LISTED if weights > 1 else ""
        return term("files", listed, How.STATED, source, f"{listed:,} bytes of {file.component}")
    number = components.get(file.component, 0)
    plain = number * size / weights
    line = f"{number:,} {file.component} × {size}/{weights} bytes"
    if weights == 1:
        return term("files", int(plain), How.COMPUTED, "", line)
    least, likely, most = _OVER_BITS.get(type, _OF_OTHERS)
    low, high, line = int(plain * least), int(plain * most), f"{line} × {likely:g}"
    return term("files", round(plain * likely), How.COMPUTED, _COMPUTED, line, low=low, high=high)
