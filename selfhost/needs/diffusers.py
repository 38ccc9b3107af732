"""Image models, and diffusers that loaded all their components."""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import RuntimeSpec
from ..core.records import Unread
from .loaded import overhead
from .packed import DTYPES
from .parts import Asked, Parts, Subject, published, stated_size, term, times
from .records import How, SizedWeights, Term, taken_off

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
# T5-XXL's matrices `wo`, 24 × 10,240 × 4,096, which bitsandbytes leaves out and transformers keeps
# in 32 bits (_keep_in_fp32_modules of T5PreTrainedModel)
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
_RESERVED_BYTES, _RESERVED_PIXELS = 5_540_000_000, 1024 * 1024
# what PyTorch reserved beyond the weights themselves: 0.6 % and 2.3 %
_ROUNDING = 1.03


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
    stated = published(subject.spec, "safetensors", quantization)
    if stated is not None:
        return stated_size(stated)
    if quantization in _QUANTIZED:
        if not quantized_components(subject.spec.components):
            return Unread(
                fact="download_bytes",
                reason="how much of its denoiser is quantized is not known",
                remedy="take float16",
            )
        # made of the published files while they load
        return size_of(subject, subject.spec.components_dtype or "float16")
    bits = DTYPES.get(quantization)
    if bits is None:
        return Unread(
            fact="download_bytes",
            reason=f"no source states the size in {quantization}",
            remedy="use --quant float16 or --quant float32",
        )
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
    decoder = _decoder(subject, workload)
    stored = subject.spec.components_dtype or "float32"
    # converted one component after the other: the pages of the largest one's file lie beside all
    # copies until it is done, and may go
    mapped = (
        int(max(subject.spec.components.values()) * DTYPES[stored] / 8)
        if workload.quantization != stored
        else 0
    )
    return Parts(
        files=files,
        terms=(_weights(subject, workload), decoder, overhead(runtime)),
        evictable_bytes=max(0, mapped - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
    )


def _weights(subject: Subject, workload: Asked) -> Term:
    """The weights. Files of the requested type are mapped: a CPU never reads what no image needs. A
    GPU holds all.
    """
    components = subject.spec.components
    if workload.quantization in _QUANTIZED:
        return _quantized_weights(components, workload.quantization)
    bits = DTYPES.get(workload.quantization, 16.0)
    size = int(sum(components.values()) * bits / 8)
    line = (
        "("
        + " + ".join(f"{number:,} {name}" for name, number in components.items())
        + f") × {bits:g} bits / 8"
    )
    device = term("weights", size, How.COMPUTED, "parameters of the components", line)
    if workload.quantization != (subject.spec.components_dtype or "float32"):
        # copied whole while they load
        return device.replace(source=_SOURCE)
    tables = [_TOKEN_TABLES[number] for number in components.values() if number in _TOKEN_TABLES]
    numbers = sum(rows * length for rows, length, _ in tables) + _ENCODERS.get(
        components.get("vae", 0), 0
    )
    if not numbers:
        return device.replace(source=_SOURCE)
    unread = int(numbers * bits / 8)
    # each row may lie across one more page of 4 KiB, and 2 MiB around it come in at once
    read = sum(tokens * (int(length * bits / 8) + 4096) + (2 << 20) for _, length, tokens in tables)
    line = taken_off(line, unread, "that are mapped and not read")
    line += f"; those are the image encoder and tables of tokens, all but {read:,} bytes of rows"
    return term(
        "weights", size - unread, How.COMPUTED, _SOURCE, line, high=min(size, size - unread + read)
    ).replace(on_device=device)


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


def _decoder(subject: Subject, workload: Asked) -> Term:
    """The moment in which the decoder holds most, in numbers per pixel of the image.

    Its last enlargement (Upsample2D), with 256 channels at full size: the enlarged and the
    convolved array, the one before, and the input of the whole block, which its caller keeps
    (Decoder.forward); oneDNN copies the input. In 16 bits the 1 × 1 convolution of the block after
    it holds more: its input of 256, the sum's other part of 128, and copies of input, output and
    the input as given.
    """
    wide, narrow, before = _DECODER_CHANNELS
    copied = before / 4 + wide / 4 + 3 * wide
    bare = copied - wide
    single = workload.quantization == "float32"
    numbers = int(copied if single else 3 * wide + 2 * narrow)
    width = 4 if single else 2
    side, images = subject.spec.native_pixels, workload.parallel
    sides = (side, side, side) if side is not None else _SIDES
    pixels, least, most = (number * number * images for number in sides)
    size = pixels * numbers * width + _COPIED_WEIGHTS * width
    # float16: some publishers ask that the decoder runs in 32 bits (force_upcast)
    high = (
        most * (int(copied) * 4 if workload.quantization == "float16" else numbers * width)
        + _COPIED_WEIGHTS * 4
    )
    # small arrays beside those
    high += high // 100
    if workload.quantization in _QUANTIZED:
        # of a GPU, where libraries take workspaces too
        high = max(high, most * _RESERVED_BYTES // _RESERVED_PIXELS)
    is_measured = side is not None and subject.spec.components.get("vae", 0) in _ENCODERS
    copies = _COPIED_WEIGHTS * width
    line = (
        f"{times(images, 'image')} × {side or _SIDES[0]:,} × {side or _SIDES[0]:,} pixels ×"
        f" {numbers:,} numbers × {width} bytes"
    )
    line += f" + {copies:,} bytes of weights"
    if not is_measured:
        line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
        return term(
            "activations",
            size,
            How.ASSUMED,
            _SOURCE,
            line,
            low=least * int(bare) * width // 2,
            high=2 * high,
        )
    line += "; the image decoder holds more than the denoiser and the text encoders do"
    # what oneDNN copies is among it, and was in every run: within 1 % of PyTorch's own count
    return term("activations", size, How.COMPUTED, _SOURCE, line, low=size - size // 50, high=high)
