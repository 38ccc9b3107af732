"""Models of images, video and music, and diffusers that loaded all their components."""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import RuntimeSpec, StatedWay
from ..core.records import Unread
from .checkpoints import DTYPES
from .kept import overhead
from .parts import (
    Asked,
    Parts,
    Subject,
    components_type,
    published,
    sized,
    stated_size,
    term,
    times,
    unread,
)
from .records import Device, How, Offloaded, SizedWeights, Term, middle_of, taken_off

_SHARD_BYTES = 10_000_000_000
_SOURCE = "measured: diffusers 0.42.1 and torch 2.13.0 on a CPU, tests/truth/diffusers.json"
# channels of AutoencoderKL's decoder where it works at full size and before: block_out_channels
# 128, 256, 512, 512 reversed
_DECODER_CHANNELS = (256, 128, 512)
# the 3 × 3 convolution at that moment: oneDNN orders its weights anew
_COPIED_WEIGHTS = 9 * 256 * 256
# image side where the spec does not say: likely, least, most
_SIDES = (1024, 512, 1024)
# parameters of that autoencoder with 4 and with 16 latent channels, and of its encoder alone, which
# turns no latent into an image
_ENCODERS = {83_653_863: 34_163_664, 83_819_683: 34_274_208}
# token tables of text encoders of that many parameters, CLIP-L without and with projection, CLIP-G,
# T5-XXL: rows, their length, and how many tokens of a prompt and of its negative are read at most
# (model_max_length of their tokenizers, max_sequence_length of FLUX)
_TOKEN_TABLES = {
    123_060_480: (49_408, 768, 2 * 77), 123_650_304: (49_408, 768, 2 * 77), 694_659_840: (49_408,
    1280, 2 * 77),
    4_762_310_656: (32_128, 4096, 2 * 512),
}  # fmt: skip
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
# FLUX.1 [dev] with 1,024 × 1,024 pixels on an H100, as PyTorch reserved memory: 12.584 GiB loaded
# and 17.281 at the peak in nf4, 19.273 and 24.432 in int8 (huggingface/blog@0b53cb19,
# diffusers-quantization.md)
_QUANTIZED_SOURCE = (
    "diffusers 0.42.1 and bitsandbytes; checked against runs of FLUX.1 [dev] on an H100"
    " (huggingface/blog@0b53cb19, diffusers-quantization.md)"
)
# beyond the weights, what PyTorch reserved on a GPU for that picture, of ten runs in bfloat16 and
# eight quantizations: 3.9 to 5.2 GiB, 4.72 in bfloat16. Stable Diffusion 3 in float16 reserved 4.4,
# of which it used 2.1 (huggingface/blog@0dd3fc43, quanto-diffusers.md: 18.765 and 16.403 GB). The
# rest is blocks of earlier steps, which PyTorch gives back before it fails
_RESERVED_BYTES, _RESERVED_LIKELY_BYTES, _RESERVED_PIXELS = 5_540_000_000, 5_070_000_000, 1024**2
_RESERVED_SOURCE = (
    "reserved by PyTorch on an H100 for FLUX.1 [dev] in nine types (huggingface/blog@0b53cb19,"
    " diffusers-quantization.md) and for Stable Diffusion 3 (quanto-diffusers.md); the least is"
    " what the image decoder uses"
)
# what a component takes beside its weights while it works alone on a GPU, for that picture: least,
# likely, most. A text encoder: 93 MB for 512 tokens of T5-XXL on a CPU (tests/truth/
# diffusers.json), 0.14 GB of 9 GiB with it in 16 bits (huggingface/diffusers#9149). The denoiser:
# 0.49 GB of FLUX's 4,608 tokens on a CPU, 2.0 GB in nf4 with offload (8.5 GB in all,
# _OFFLOAD_SOURCE), 2.8 at most in that of 9 GiB
_ENCODING = (93_000_000, 140_000_000, 500_000_000)
_DENOISING = (490_000_000, 2_000_000_000, 2_800_000_000)
# what components that read the prompt or its picture are called
_INPUT_ENCODERS = ("text_encoder", "image_encoder")
# a denoiser of convolutions: SDXL's on a CPU (tests/truth/diffusers.json); the rest is a guess
_DENOISING_BY_CONVOLUTIONS = (332_000_000, 664_000_000, 1_500_000_000)
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


def size_of(subject: Subject, quantization: str) -> SizedWeights | Unread:
    """The files of all components: as published, else parameters times the type; where that is
    unknown, 16 or 32 bits.
    """
    spec = subject.spec
    stated = published(spec, "safetensors", quantization)
    if stated is not None:
        return stated_size(stated)
    own = components_type(spec)
    if quantization != own:
        if _ways_stated(subject, quantization):
            # made of the published files while they load
            return size_of(subject, own)
        if spec.needs is not None:
            return unread(f"its needs are stated for {own} alone", f"take {own}")
    if quantization in _QUANTIZED:
        if not quantized_components(spec.components):
            return unread("how much of its denoiser is quantized is not known", "take float16")
        return size_of(subject, spec.components_dtype or "float16")
    if quantization not in DTYPES:
        why = f"no source states the size in {quantization}"
        return unread(why, "use --quant float16 or --quant float32")
    total, bits = sum(spec.components.values()), DTYPES[spec.components_dtype or quantization]
    size, line = int(total * bits / 8), f"{total:,} parameters × {bits:g} bits / 8"
    if spec.components_dtype is not None:
        source = f"parameters of the components, published in {spec.components_dtype}"
        return sized(size, How.COMPUTED, source, line)
    source = "parameters of the components; the repository may hold 16 or 32 bits of each"
    low, high = min(size, total * 2), max(size, total * 4)
    return sized(size, How.ASSUMED, source, line, low=low, high=high)


def parts(subject: Subject, runtime: RuntimeSpec, workload: Asked) -> Parts:
    """Files and memory: every component is resident, and the decoder of the images holds most
    beside them.

    `parallel` images are made of one prompt and decoded at once. A pass of the denoiser, even of
    two batches for guidance, and the text encoders hold less than the decoder does
    (tests/truth/diffusers.json), and nothing is alive of one when the next runs.
    """
    files = size_of(subject, workload.quantization)
    if isinstance(files, Unread):
        return Parts(files=files, unknown=(files, files.replace(fact="memory.weights")))
    offloaded = _offloaded(subject, workload, overhead(runtime, on_gpu=True))
    if subject.spec.needs is not None:
        # no rule says what it takes beside its weights: the spec states the whole
        return Parts(files=files, unknown=(_STATED_WHOLE,), offloaded=offloaded)
    decoder = _decoder(subject, workload)
    program = overhead(runtime, on_gpu=workload.device is not None)
    stored, mapped = subject.spec.components_dtype or "float32", 0
    if workload.quantization != stored:
        # converted one component after the other: the pages of the largest one's file lie beside
        # all copies until it is done, and may go
        mapped = int(max(subject.spec.components.values()) * DTYPES[stored] / 8)
    return Parts(
        files=files,
        terms=(_weights(subject, workload), decoder, program),
        evictable_bytes=max(0, mapped - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
        offloaded=offloaded,
    )


def _weights(subject: Subject, workload: Asked) -> Term:
    """The weights. Files of the requested type are mapped: a CPU never reads what no image needs. A
    GPU holds all, and weights of another type are copied whole while they load.
    """
    components, quantization = subject.spec.components, workload.quantization
    if quantization in _QUANTIZED:
        return _quantized_weights(components, quantization)
    bits = DTYPES.get(quantization, 16.0)
    size = int(sum(components.values()) * bits / 8)
    line = " + ".join(f"{number:,} {name}" for name, number in components.items())
    line = f"({line}) × {bits:g} bits / 8"
    tables = [_TOKEN_TABLES[number] for number in components.values() if number in _TOKEN_TABLES]
    numbers = sum(rows * length for rows, length, _ in tables)
    numbers += _ENCODERS.get(components.get("vae", 0), 0)
    is_copied = quantization != (subject.spec.components_dtype or "float32")
    if is_copied or not numbers or workload.device is not None:
        return term("weights", size, How.COMPUTED, _SOURCE, line)
    unread_bytes = int(numbers * bits / 8)
    # each row may lie across one more page of 4 KiB, and 2 MiB around it come in at once
    read = sum(tokens * (int(length * bits / 8) + 4096) + (2 << 20) for _, length, tokens in tables)
    line = taken_off(line, unread_bytes, "that are mapped and not read")
    line += f"; those are the image encoder and tables of tokens, all but {read:,} bytes of rows"
    least = size - unread_bytes
    return term("weights", least, How.COMPUTED, _SOURCE, line, high=min(size, least + read))


def _quantized_weights(components: Mapping[str, int], quantization: str) -> Term:
    """The weights on a GPU: large components quantized but for tables and what is kept wide, the
    rest in 16 bits.
    """
    each = _QUANTIZED[quantization]
    quantized = quantized_components(components)
    tables = sum(
        rows * length
        for number in quantized.values()
        for rows, length, _ in [_TOKEN_TABLES.get(number, (0, 0, 0))]
    )
    wide = sum(_KEPT_WIDE.get(number, 0) for number in quantized.values())
    narrow = sum(quantized.values()) - tables - wide
    plain = sum(components.values()) - narrow - wide
    size = int(narrow * each) + plain * 2 + wide * 4
    line = (
        f"{narrow:,} weights × {each:g} bytes + {plain:,} × 2 bytes + {wide:,} kept in float32"
        " × 4 bytes"
    )
    low = int((narrow + wide) * each) + plain * 2
    high = int(size * _ROUNDING)
    return term("weights", size, How.COMPUTED, _QUANTIZED_SOURCE, line, low=low, high=high)


# ------------------------------------------------------------------ offloaded


def _ways_stated(subject: Subject, quantization: str) -> list[StatedWay]:
    """What somebody states of the pipeline in that type."""
    ways = subject.spec.needs.ways if subject.spec.needs is not None else ()
    return [way for way in ways if way.quantization == quantization]


def _offloaded(subject: Subject, workload: Asked, program: Term) -> tuple[Offloaded, ...]:
    """A component at a time on the accelerator, then a layer at a time; the weights in RAM. What it
    holds is stated, else a guess.

    bitsandbytes puts all that it quantizes on the accelerator while it loads, so that only the
    denoiser is quantized then; its weights do not move layer by layer (diffusers 0.42.1,
    pipelines/pipeline_utils.py, enable_model_cpu_offload and enable_sequential_cpu_offload).
    """
    quantization, is_stated = workload.quantization, subject.spec.needs is not None
    ways, sizes = _ways_stated(subject, quantization), _component_sizes(subject, quantization)
    line = " + ".join(f"{size:,} {name}" for name, size in sizes.items())
    source = "parameters of the components"
    host = term("weights", sum(sizes.values()), How.COMPUTED, source, line), program
    if ways:
        return tuple(
            Offloaded(way=way.offload, host=host, device=(_held_as_stated(way),)) for way in ways
        )
    is_packed = quantization in _QUANTIZED
    is_known = not is_stated and bool(quantized_components(subject.spec.components))
    if not (is_known if is_packed else DTYPES.get(quantization) == 16):
        return ()
    held = _held_beside_stated if is_stated else _held_beside
    by_component, layers = held(subject, workload, sizes)
    answer = (Offloaded(way="model", host=host, device=by_component),) if by_component else ()
    if is_packed or not by_component:
        return answer
    return (*answer, Offloaded(way="sequential", host=host, device=layers))


def _component_sizes(subject: Subject, quantization: str) -> dict[str, int]:
    """Bytes of each component: 16 bits a weight, but of a denoiser that is quantized fewer."""
    sizes = {name: 2 * number for name, number in subject.spec.components.items()}
    if quantization in _QUANTIZED and "transformer" in sizes:
        sizes["transformer"] = int(sizes["transformer"] * _QUANTIZED[quantization] / 2)
    return sizes


def _held_as_stated(way: StatedWay) -> Term:
    low, high = way.low_bytes, way.high_bytes
    line = middle_of(low, high)
    return term("weights", (low + high) // 2, How.STATED, way.source, line, low=low, high=high)


def _held_beside_stated(
    subject: Subject, workload: Asked, sizes: Mapping[str, int]
) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """What the accelerator holds of a component, and of a layer: beside the denoiser, and beside
    what decodes, lies what is stated over all weights.
    """
    stated = subject.spec.needs
    if stated is None or stated.high_bytes is None:
        return (), ()
    most = max(0, stated.high_bytes - sum(sizes.values()))
    beside = {
        name: _ENCODING if name.startswith(_INPUT_ENCODERS) else (most // 2, most, most)
        for name in sizes
    }
    source = f"{stated.source or 'the spec'}, less all weights"
    line = f"{most:,} bytes; the most that is stated, less the weights"
    at_once = f"{_SEQUENTIAL_BYTES:,} bytes at the peak, a layer at a time"
    layers = (
        term("weights", _SEQUENTIAL_BYTES, How.ASSUMED, _OFFLOAD_SOURCE, at_once),
        term("activations", most, How.ASSUMED, source, line, low=most // 2),
    )
    return _held_by(sizes, beside, source), layers


def _held_beside(
    subject: Subject, workload: Asked, sizes: Mapping[str, int]
) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """The same of a pipeline whose decoder is known; the most of a layer is what PyTorch reserves
    for the image.
    """
    pixels = (subject.spec.native_pixels or _SIDES[0]) ** 2 * workload.parallel
    decoding = _decoder(subject, workload.replace(device=Device()))
    beside = dict.fromkeys(sizes, _ENCODING)
    beside["vae"] = decoding.low_bytes, decoding.bytes, decoding.high_bytes
    for name, measured in (("transformer", _DENOISING), ("unet", _DENOISING_BY_CONVOLUTIONS)):
        low, likely, high = (size * pixels // _RESERVED_PIXELS for size in measured)
        beside[name] = low, likely, high
    size = _SEQUENTIAL_BYTES * pixels // _RESERVED_PIXELS
    line, high = f"{size:,} bytes at the peak, a layer at a time", max(decoding.high_bytes, size)
    layers = term("activations", size, How.ASSUMED, _OFFLOAD_SOURCE, line, high=high)
    return _held_by(sizes, beside, _OFFLOAD_SOURCE, rounding=_ROUNDING), (layers,)


def _held_by(
    sizes: Mapping[str, int],
    beside: Mapping[str, tuple[int, int, int]],
    source: str,
    rounding: float = 1.0,
) -> tuple[Term, Term]:
    """Weights and activations of the component that takes most of the accelerator; the source is
    that of the activations, and the rounding what PyTorch reserves beyond weights, where what is
    stated does not hold it.
    """
    name = max(sizes, key=lambda each: sizes[each] + beside[each][2])
    size, (low, likely, high) = sizes[name], beside[name]
    weights_line = f"{size:,} bytes; the {name}, which takes most"
    line = f"{likely:,} bytes beside the {name}; {low:,} to {high:,}"
    most = int(size * rounding)
    return (
        term("weights", size, How.COMPUTED, _OFFLOAD_SOURCE, weights_line, high=most),
        term("activations", likely, How.ASSUMED, source, line, low=low, high=high),
    )


def _decoder(subject: Subject, workload: Asked) -> Term:
    """The moment in which the decoder holds most, in numbers per pixel of the image.

    Its last enlargement (Upsample2D), with 256 channels at full size: the enlarged and the
    convolved array, the one before, and the input of the whole block, which its caller keeps
    (Decoder.forward); oneDNN copies the input. In 16 bits the 1 × 1 convolution of the block after
    it holds more: its input of 256, the sum's other part of 128, and copies of input, output and
    the input as given. On a GPU, where the denoiser is a transformer, PyTorch reserves more, which
    was measured.
    """
    wide, narrow, before = _DECODER_CHANNELS
    copied = before / 4 + wide / 4 + 3 * wide
    is_single = workload.quantization == "float32"
    numbers, width = (int(copied), 4) if is_single else (3 * wide + 2 * narrow, 2)
    side, images = subject.spec.native_pixels, workload.parallel
    sides = (side, side, side) if side is not None else _SIDES
    pixels, least, most = (number * number * images for number in sides)
    copies = _COPIED_WEIGHTS * width
    size = pixels * numbers * width + copies
    # float16: some publishers ask that the decoder runs in 32 bits (force_upcast)
    each = int(copied) * 4 if workload.quantization == "float16" else numbers * width
    high = most * each + _COPIED_WEIGHTS * 4
    # small arrays beside those
    high += high // 100
    line = (
        f"{times(images, 'image')} × {sides[0]:,} × {sides[0]:,} pixels × {numbers:,} numbers ×"
        f" {width} bytes + {copies:,} bytes of weights"
    )
    if side is not None and subject.spec.components.get("vae", 0) in _ENCODERS:
        line += "; the image decoder holds more than the denoiser and the text encoders do"
        # what oneDNN copies is among it, and was in every run: within 1 % of PyTorch's own count
        how, low = How.COMPUTED, size - size // 50
    else:
        line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
        how, low, high = How.ASSUMED, least * int(copied - wide) * width // 2, 2 * high
    if workload.device is None or "transformer" not in subject.spec.components:
        return term("activations", size, how, _SOURCE, line, low=low, high=high)
    low, high = min(low, size), max(size, high, most * _RESERVED_BYTES // _RESERVED_PIXELS)
    reserved = max(low, pixels * _RESERVED_LIKELY_BYTES // _RESERVED_PIXELS)
    line = f"{pixels:,} pixels × {_RESERVED_LIKELY_BYTES / _RESERVED_PIXELS:.12g} bytes"
    return term(
        "activations", reserved, How.MEASURED, _RESERVED_SOURCE, line, low=low, high=high,
    )  # fmt: skip
