"""Models of images, video and music that come in components: with diffusers, which loads them all,
and stable-diffusion.cpp, which takes one file a component and the denoiser quantized. The constants
are in specs/common/memory.toml; triples are least, likely and most.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.runtime_parts import ComponentFile, ModelParts
from ..core.records import Unread
from ..core.tables import shipped_table
from ..core.units import plural
from .case import Case, components_type, overhead, published_size, without_files
from .checkpoints import DTYPES
from .quantization import BASE_TYPES, BLOCKS
from .records import (
    Device,
    How,
    Needs,
    Offloaded,
    Term,
    files_of,
    stated_range,
    taken_off,
    term,
    unread,
    whole_files,
)

_DIFFUSERS, _CPP = (
    shipped_table("memory")[name] for name in ("diffusers", "stable-diffusion.cpp")
)
_QUANTIZED: Mapping[str, float] = _DIFFUSERS["quantized"]
_SHARD_BYTES, _PIXELS = 10_000_000_000, 1024**2
# what components that read the prompt or its picture are called
_INPUT_ENCODERS = ("text_encoder", "image_encoder")


def quantized_components(components: Mapping[str, int]) -> dict[str, int]:
    """What bitsandbytes quantizes; {} where the denoiser is none of them."""
    least = _DIFFUSERS["least_quantized"]
    if components.get("transformer", 0) < least:
        return {}
    return {name: number for name, number in components.items() if number >= least}


def size_of(case: Case) -> Term | Unread:
    """The files of all components: as published, else parameters times 16 or 32 bits."""
    spec, quantization, own = case.spec, case.quantization, components_type(case.spec)
    stated = published_size(case)
    if stated is not None:
        return stated
    if quantization != own and spec.needs is not None:
        if any(way.quantization == quantization for way in spec.needs.ways):
            # made of the published files while they load
            return size_of(case.replace(quantization=own))
        return unread(f"its needs are stated only for {own}", f"use --quant {own}")
    if quantization in _QUANTIZED:
        if not quantized_components(spec.components):
            return unread(
                "how much of its denoiser is quantized is not known",
                "use --quant float16",
            )
        return size_of(case.replace(quantization=spec.components_dtype or "float16"))
    if quantization not in DTYPES:
        why = f"no source states the size in {quantization}"
        return unread(why, "use --quant float16 or --quant float32")
    total = sum(spec.components.values())
    type = spec.components_dtype or quantization
    bits = DTYPES[type]
    size, line = int(total * bits / 8), f"{total:,} parameters × {bits:g} bits / 8"
    if spec.components_dtype is not None:
        source = f"parameters of the components, published in {spec.components_dtype}"
        return term("files", size, How.COMPUTED, source, line)
    source = (
        "parameters of the components; the repository may hold 16 or 32 bits of each"
    )
    return term("files", size, How.ASSUMED, source, line, low=total * 2, high=total * 4)


def parts(case: Case) -> Needs:
    """Files and memory of diffusers: every component is resident, and the decoder of `parallel`
    images holds most beside them (tests/truth/diffusers.json).
    """
    files, spec = size_of(case), case.spec
    if isinstance(files, Unread):
        return without_files(files)
    offloaded = _offloaded(case, overhead(case.runtime, on_gpu=True))
    if spec.needs is not None:
        # no rule says what it takes beside its weights: the spec states the whole
        why, remedy = (
            "the memory beside its weights does not follow from them",
            "read its needs",
        )
        whole = unread(why, remedy, "memory.activations")
        return Needs(files=files, unknown=(whole,), offloaded=offloaded)
    decoder, stored, mapped = _decoder(case), spec.components_dtype or "float32", 0
    if case.quantization != stored:
        # converted one component after the other: the pages of the largest one's file lie beside
        # all copies until it is done, and may go
        mapped = int(max(spec.components.values()) * DTYPES[stored] / 8)
    return Needs(
        files=files,
        terms=(
            _weights(case),
            decoder,
            overhead(case.runtime, on_gpu=case.device is not None),
        ),
        evictable_bytes=max(0, mapped - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
        offloaded=offloaded,
    )


def _weights(case: Case) -> Term:
    """The weights. Files of the requested type are mapped: a CPU never reads what no image needs.
    bitsandbytes makes large components narrow but for what is kept wide, the rest has 16 bits.
    """
    components, quantization = case.spec.components, case.quantization
    source, total = _DIFFUSERS["source"], sum(components.values())
    if quantization in _QUANTIZED:
        each, source = _QUANTIZED[quantization], _DIFFUSERS["quantized_source"]
        large = quantized_components(components).values()
        wide = sum(_DIFFUSERS["kept_wide"].get(str(number), 0) for number in large)
        narrow, plain = sum(large) - wide, total - sum(large)
        size = int(narrow * each) + plain * 2 + wide * 4
        line = f"{narrow:,} weights × {each:g} bytes + {plain:,} × 2 bytes + {wide:,} kept in"
        line += " float32 × 4 bytes"
        low, high = (
            int(sum(large) * each) + plain * 2,
            int(size * _DIFFUSERS["rounding"]),
        )
        return term("weights", size, How.COMPUTED, source, line, low=low, high=high)
    bits = DTYPES.get(quantization, 16.0)
    size = int(total * bits / 8)
    line = " + ".join(f"{number:,} {name}" for name, number in components.items())
    line = f"({line}) × {bits:g} bits / 8"
    if (
        quantization != (case.spec.components_dtype or "float32")
        or case.device is not None
    ):
        return term("weights", size, How.COMPUTED, source, line)
    share, most = _DIFFUSERS["never_read"]
    half = int(min(share * size, most * bits / 8)) // 2
    line = taken_off(line, half, "that are mapped and not read")
    low = size - 2 * half
    return term("weights", size - half, How.COMPUTED, source, line, low=low, high=size)


def _decoder(case: Case) -> Term:
    """The moment in which the decoder holds most, in numbers per pixel of the image."""
    copied, source = _DIFFUSERS["numbers"], _DIFFUSERS["source"]
    is_single = case.quantization == "float32"
    numbers, width = (copied, 4) if is_single else (_DIFFUSERS["numbers_16"], 2)
    side, weights = case.spec.native_pixels, _DIFFUSERS["copied_weights"]
    sides = _DIFFUSERS["sides"] if side is None else (side, side, side)
    least, pixels, most = (number * number * case.workload.parallel for number in sides)
    size = (pixels * numbers + weights) * width
    # float16: some publishers ask that the decoder runs in 32 bits (force_upcast)
    each = copied * 4 if case.quantization == "float16" else numbers * width
    # small arrays beside those
    high = (most * each + weights * 4) * 101 // 100
    images = plural(case.workload.parallel, "image")
    line = f"{images} × {sides[1]:,} × {sides[1]:,} pixels × {numbers:,} numbers × {width} bytes"
    line += f" + {weights * width:,} bytes of weights"
    if (
        side is not None
        and case.spec.components.get("vae", 0) in _DIFFUSERS["decoders"]
    ):
        line += (
            "; the image decoder holds more than the denoiser and the text encoders do"
        )
        # what oneDNN copies is among it, and was in every run: within 1 % of PyTorch's own count
        how, low = How.COMPUTED, size - size // 50
    else:
        line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
        how, low, high = (
            How.ASSUMED,
            least * _DIFFUSERS["uncopied"] * width // 2,
            2 * high,
        )
    if case.device is None or "transformer" not in case.spec.components:
        return term("activations", size, how, source, line, low=low, high=high)
    likely, reserved = _DIFFUSERS["reserved"]
    low, high = min(low, size), max(size, high, most * reserved // _PIXELS)
    line, source = (
        f"{pixels:,} pixels × {likely / _PIXELS:.12g} bytes",
        _DIFFUSERS["reserved_source"],
    )
    size = max(low, pixels * likely // _PIXELS)
    return term("activations", size, How.MEASURED, source, line, low=low, high=high)


def _offloaded(case: Case, program: Term) -> tuple[Offloaded, ...]:
    """A component at a time on the accelerator, then a layer at a time; the weights in RAM. What it
    holds is stated, else a guess. What bitsandbytes quantized does not move layer by layer
    (diffusers 0.42.1, pipelines/pipeline_utils.py, enable_sequential_cpu_offload).
    """
    quantization, stated, most = case.quantization, case.spec.needs, None
    is_packed = quantization in _QUANTIZED
    each = {"transformer": _QUANTIZED.get(quantization, 2)}
    sizes = {
        name: int(each.get(name, 2) * n) for name, n in case.spec.components.items()
    }
    line = " + ".join(f"{size:,} {name}" for name, size in sizes.items())
    total, source = sum(sizes.values()), "parameters of the components"
    host = term("weights", total, How.COMPUTED, source, line), program
    if stated is not None:
        ways = [way for way in stated.ways if way.quantization == quantization]
        if ways or is_packed or not stated.high_bytes:
            offloaded = []
            for way in ways:
                held = stated_range(
                    "weights", way.low_bytes, way.high_bytes, way.source
                )
                offloaded.append(Offloaded(way=way.offload, host=host, device=(held,)))
            return tuple(offloaded)
        # what the spec states over all weights
        most = max(0, stated.high_bytes - total)
    elif is_packed and not quantized_components(case.spec.components):
        return ()
    if not is_packed and DTYPES.get(quantization) != 16:
        return ()
    by_component, by_layer = _device_terms(case, sizes, most)
    whole_components = Offloaded(way="model", host=host, device=by_component)
    if is_packed:
        return (whole_components,)
    return whole_components, Offloaded(way="sequential", host=host, device=by_layer)


def _device_terms(
    case: Case, sizes: Mapping[str, int], most: int | None
) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """What the component that takes most holds, and what is held a layer at a time."""
    beside, source = (
        dict.fromkeys(sizes, _DIFFUSERS["encoding"]),
        _DIFFUSERS["offload_source"],
    )
    at_peak: int = _DIFFUSERS["sequential"]
    if most is None:
        pixels = (
            case.spec.native_pixels or _DIFFUSERS["sides"][1]
        ) ** 2 * case.workload.parallel
        decoding = _decoder(case.replace(device=Device()))
        beside["vae"] = decoding.low_bytes, decoding.bytes, decoding.high_bytes
        for name in ("transformer", "unet"):
            beside[name] = [size * pixels // _PIXELS for size in _DIFFUSERS[name]]
        at_once = low = at_peak * pixels // _PIXELS
        line, high = (
            f"{at_once:,} bytes at the peak, a layer at a time",
            decoding.high_bytes,
        )
    else:
        working = (name for name in sizes if not name.startswith(_INPUT_ENCODERS))
        beside.update(dict.fromkeys(working, (most // 2, most, most)))
        low, at_once, high = (at_peak + part for part in (most // 2, most, most))
        line = f"{at_peak:,} + {most:,} bytes; stated, less the weights"
    held = term("activations", at_once, How.ASSUMED, source, line, low=low, high=high)
    name = max(sizes, key=lambda each: sizes[each] + beside[each][2])
    size, (low, likely, high) = sizes[name], beside[name]
    line, rounded = (
        f"{size:,} bytes; the {name}, which takes most",
        _DIFFUSERS["rounding"],
    )
    weights = term(
        "weights", size, How.COMPUTED, source, line, high=int(size * rounded)
    )
    line = f"{likely:,} bytes beside the {name}; {low:,} to {high:,}"
    working_on = term(
        "activations", likely, How.ASSUMED, source, line, low=low, high=high
    )
    return (weights, working_on), (held,)


def parts_in_files(case: Case, parts: ModelParts) -> Needs:
    """Files and memory of stable-diffusion.cpp, whose buffers are reserved one after the other."""
    components, computed = case.spec.components, _CPP["computed"]
    quantization = case.quantization
    by_component = {
        e.component: file_size(e, components, quantization) for e in parts.files
    }
    sizes = tuple(by_component.values())
    sources = [
        each for each in (_CPP["listed"], computed) if each in {s.source for s in sizes}
    ]
    files = files_of(sizes, How.COMPUTED, "; ".join(sources))
    largest = max(sizes, key=lambda size: size.bytes)
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    source = case.runtime.sources.get("parts", "")
    buffers = []
    for what, size in (
        ("denoiser", parts.denoise_bytes),
        ("decoder", parts.decode_bytes),
    ):
        line, high = (
            f"{size:,} bytes reserved for the {what}",
            int(size * _CPP["other_version"]),
        )
        buffers.append(term("compute", size, how, source, line, high=high))
    share, scratch = _CPP["segment"], _CPP["scratch"]
    line = f"{largest.bytes:,} bytes × {share:g} + {scratch:,} bytes; a segment and what stays free"
    segment = term(
        "weights", int(share * largest.bytes) + scratch, How.ASSUMED, computed, line
    )
    host = whole_files(files), overhead(case.runtime, on_gpu=case.device is not None)
    alone = "; alone, the others in RAM"
    decoder = whole_files(by_component["vae"], computed, alone), buffers[1]
    offloaded = []
    for way, held in (
        ("model", whole_files(largest, computed, alone)),
        ("sequential", segment),
    ):
        is_less = held.bytes + buffers[0].bytes < decoder[0].bytes + decoder[1].bytes
        device = decoder if is_less else (held, buffers[0])
        offloaded.append(Offloaded(way=way, host=host, device=device))
    terms = host[0], max(buffers, key=lambda each: each.bytes), host[1]
    size = largest.bytes
    return Needs(
        files=files, terms=terms, largest_file_bytes=size, offloaded=tuple(offloaded)
    )


def file_size(
    file: ComponentFile, components: Mapping[str, int], quantization: str
) -> Term:
    """What one file weighs. `source` is "" where every weight takes whole bytes."""
    type = file.type or quantization
    weights, size = BLOCKS[BASE_TYPES[type]]
    listed = file.bytes.get(type)
    if listed is not None:
        source = _CPP["listed"] if weights > 1 else ""
        return term(
            "files", listed, How.STATED, source, f"{listed:,} bytes of {file.component}"
        )
    number = components.get(file.component, 0)
    plain = number * size / weights
    line = f"{number:,} {file.component} × {size}/{weights} bytes"
    if weights == 1:
        return term("files", int(plain), How.COMPUTED, "", line)
    least, likely, most = _CPP["over_bits"].get(type, _CPP["over_bits"]["other"])
    low, high, line = int(plain * least), int(plain * most), f"{line} × {likely:g}"
    source = _CPP["computed"]
    return term(
        "files", round(plain * likely), How.COMPUTED, source, line, low=low, high=high
    )
