"""Models of images, video and music that come in components.

What goes in: the case of a model, a program and a workload. What comes out: the files, the memory,
and the least part that a GPU has to hold while the rest waits in RAM.

diffusers loads all components from one repository. Other programs take one file for each component:
stable-diffusion.cpp with a quantized denoiser, ComfyUI in 8 or 16 bits. The constants are in
specs/common/memory.toml; triples are least, likely and most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..catalogue.runtime_parts import ComponentFile, ModelParts
from ..catalogue.spec import StatedNeeds
from ..core.records import Stated, Unread
from ..core.tables import shipped_record
from ..core.units import plural
from .case import Case, components_type, overhead, published_size, without_files
from .quantization import BASE_TYPES, BLOCKS, Block
from .records import (
    NO_BYTES,
    Device,
    How,
    Needs,
    Offloaded,
    Size,
    Term,
    Terms,
    as_size,
    assumed_term,
    computed_term,
    files_of,
    stated_range,
    stated_term,
    sum_bytes,
    taken_off,
    term,
    unread,
    whole_files,
)
from .weight_files import DTYPES


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
    component_numbers: Mapping[str, tuple[float, ...]]
    encoder_numbers: Mapping[str, tuple[float, ...]]
    encoder_wide_bytes: Mapping[str, tuple[int, ...]]
    decoder_numbers: tuple[float, ...]
    component_megapixel: tuple[int, ...]
    component_clip: tuple[int, ...]
    component_pass: tuple[float, ...]
    component_source: str
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
# bytes of a weight quantized by bitsandbytes, by type
_QUANTIZED = _DIFFUSERS.quantized
_SHARD_BYTES = 10_000_000_000
_PIXELS = 1024**2
# names of the components that read the prompt or its picture
_INPUT_ENCODERS = ("text_encoder", "image_encoder")

# parameters, or bytes, by the name of the component
Numbers = Mapping[str, int]


def quantized_components(components: Numbers) -> dict[str, int]:
    """The components that bitsandbytes quantizes, with their numbers of parameters; {} where the
    denoiser is too small to be one of them.
    """
    least = _DIFFUSERS.least_quantized
    if components.get("transformer", 0) < least:
        return {}
    return {name: number for name, number in components.items() if number >= least}


# ------------------------------------------------------------------ files


def size_of(case: Case) -> Term | Unread:
    """The size of the files of all components: as published, else parameters × 16 or 32 bits."""
    if case.runtime.memory.component_files:
        return _size_of_component_files(case)
    stated = published_size(case)
    if stated is not None:
        return stated
    spec = case.spec
    quantization = case.quantization
    published = components_type(spec)
    if quantization != published and spec.needs is not None:
        if any(way.quantization == quantization for way in spec.needs.ways):
            # quantized from the published files while they load
            return size_of(case.replace(quantization=published))
        why = f"its needs are stated only for {published}"
        return unread(why, f"use --quant {published}")
    if quantization in _QUANTIZED:
        if quantized_components(spec.components):
            type = spec.components_dtype or "float16"
            return size_of(case.replace(quantization=type))
        why = "how much of its denoiser is quantized is not known"
        return unread(why, "use --quant float16")
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
        return computed_term("files", size, source, line)
    source += "; the repository may hold 16 or 32 bits of each"
    ends = Size(total * 2, size, total * 4)
    return assumed_term("files", ends, source, line)


# ------------------------------------------------------------------ diffusers


def needs_of_case(case: Case) -> Needs:
    """Files and memory of diffusers: every component is resident, and the decoder of `parallel`
    images holds most beside them (tests/truth/diffusers.json).
    """
    files = size_of(case)
    if isinstance(files, Unread):
        return without_files(files)
    if case.runtime.memory.component_files:
        return _ComponentFiles(case).needs(files)
    offloaded = _Offloading(case).ways()
    if case.spec.needs is not None:
        # no rule gives the memory beside the weights: the spec states the whole need
        why = "the memory beside its weights does not follow from them"
        unknown = unread(why, "read its needs", "memory.activations")
        return Needs(files=files, unknown=(unknown,), offloaded=offloaded)
    pipeline = _Pipeline(case)
    decoder = pipeline.decoder()
    return Needs(
        files=files,
        terms=(pipeline.weights(), decoder, case.program),
        evictable_bytes=max(0, pipeline.mapped_bytes - decoder.bytes),
        largest_file_bytes=min(files.bytes, _SHARD_BYTES),
        offloaded=offloaded,
    )


class _Pipeline:
    """The components of one case, all of them in memory."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.components = case.spec.components
        self.parameters = sum(self.components.values())
        self.quantization = case.quantization
        # pixels of a side of the image, if the model states them
        self.side = case.spec.native_pixels
        # 32 bits if the spec does not state the type of the files
        self.stored_type = case.spec.components_dtype or "float32"
        # True where the weights in memory have another type than the files
        self.is_converted = case.quantization != self.stored_type

    @property
    def mapped_bytes(self) -> int:
        """The pages of a file that lie in memory while its component is converted; 0 where no
        component is converted.

        Components are converted one after the other. The pages of the largest component's file lie
        beside all copies until it is done, and may be dropped.
        """
        if not self.is_converted:
            return 0
        largest = max(self.components.values())
        bits = DTYPES[self.stored_type]
        return int(largest * bits / 8)

    def weights(self) -> Term:
        """The weights of all components in memory."""
        if self.quantization in _QUANTIZED:
            return self._quantized_weights()
        source = _DIFFUSERS.source
        bits = DTYPES.get(self.quantization, 16.0)
        size = int(self.parameters * bits / 8)
        line = f"({_addends(self.components)}) × {bits:g} bits / 8"
        if self.case.is_on_device or self.is_converted:
            return computed_term("weights", size, source, line)
        # files in the requested type are mapped: a CPU never reads the tensors that no image needs
        share, most = _DIFFUSERS.never_read
        unread_bytes = min(share * size, most * bits / 8)
        half = int(unread_bytes) // 2
        line = taken_off(line, half, "that are mapped and not read")
        ends = Size(size - 2 * half, size - half, size)
        return computed_term("weights", ends, source, line)

    def _quantized_weights(self) -> Term:
        """The weights of all components, where bitsandbytes quantizes the large ones: some of their
        weights stay in float32, and the small components in 16 bits. The least assumes that none
        stays in float32.
        """
        width = _QUANTIZED[self.quantization]
        large = 0
        wide = 0
        for number in quantized_components(self.components).values():
            large += number
            wide += _DIFFUSERS.kept_wide.get(str(number), 0)
        narrow = large - wide
        plain = self.parameters - large
        plain_bytes = plain * 2
        size = int(narrow * width) + plain_bytes + wide * 4
        line = f"{narrow:,} weights × {width:g} bytes + {plain:,} × 2 bytes"
        line += f" + {wide:,} kept in float32 × 4 bytes"
        least = int(large * width) + plain_bytes
        most = int(size * _DIFFUSERS.rounding)
        ends = Size(least, size, most)
        return computed_term("weights", ends, _DIFFUSERS.quantized_source, line)

    def decoder(self) -> Term:
        """The activations at the moment when the decoder holds most."""
        on_cpu = self._decoder_by_pixels()
        if self.case.is_on_device and "transformer" in self.components:
            return self._reserved(on_cpu)
        return on_cpu

    def _reserved(self, decoder: Term) -> Term:
        """The activations term on a GPU, where a denoising transformer reserves more memory than
        PyTorch counts in the decoder.
        """
        pixels = self.pixels
        usual, highest = _DIFFUSERS.reserved
        likely = pixels.likely * usual // _PIXELS
        most = pixels.most * highest // _PIXELS
        line = f"{pixels.likely:,} pixels × {usual / _PIXELS:.12g} bytes"
        least = decoder.low_bytes
        ends = Size(least, max(least, likely), max(decoder.high_bytes, most))
        return term("activations", ends, _DIFFUSERS.reserved_source, line, How.MEASURED)

    @property
    def pixels(self) -> Size:
        """The number of pixels of all images of a workload; of usual image sizes where the model
        states none.
        """
        image = Size(*[side**2 for side in _DIFFUSERS.sides])
        if self.side is not None:
            image = as_size(self.side**2)
        return image.times(self.case.parallel)

    def _decoder_by_pixels(self) -> Term:
        """The activations of the decoder: numbers per pixel of the image, and copies of the
        decoder's weights.

        The numbers per pixel are known for some decoders, told by their number of parameters; for
        other decoders they are assumed.
        """
        pixels = self.pixels
        weights = _DIFFUSERS.copied_weights
        numbers = _DIFFUSERS.numbers_16
        width = 2
        if self.quantization == "float32":
            numbers = _DIFFUSERS.numbers
            width = 4
        size = (pixels.likely * numbers + weights) * width
        most_by_pixel = numbers * width
        if self.quantization == "float16":
            # some publishers require a decoder in 32 bits (force_upcast)
            most_by_pixel = _DIFFUSERS.numbers * 4
        most = pixels.most * most_by_pixel + weights * 4
        # 1 % for small arrays beside the numbers and weights
        most = most * 101 // 100
        images = plural(self.case.parallel, "image")
        side = self.side or _DIFFUSERS.sides[1]
        line = f"{images} × {side:,} × {side:,} pixels × {numbers:,} numbers × {width} bytes"
        line += f" + {weights * width:,} bytes of weights"
        source = _DIFFUSERS.source
        if not self._has_known_decoder():
            line += "; assumed: images of 512 to 1,024 pixels, and the decoder of Stable Diffusion"
            least = pixels.least * _DIFFUSERS.uncopied * width // 2
            ends = Size(least, size, 2 * most)
            return assumed_term("activations", ends, source, line)
        line += (
            "; the image decoder holds more than the denoiser and the text encoders do"
        )
        # the measured numbers include oneDNN's copies, which every run had: within 1 % of PyTorch's
        # own count
        ends = Size(size - size // 50, size, most)
        return computed_term("activations", ends, source, line)

    def _has_known_decoder(self) -> bool:
        """Whether the decoder's numbers per pixel were measured, and the size of the images is
        known.
        """
        if self.side is None:
            return False
        return self.components.get("vae", 0) in _DIFFUSERS.decoders


def _addends(components: Numbers) -> str:
    """The numbers of all components as a sum."""
    return " + ".join(f"{number:,} {name}" for name, number in components.items())


# ------------------------------------------------------------------ diffusers, less of it on a GPU


class _Offloading(_Pipeline):
    """The same components in RAM, of which one component, or one layer, at a time lies on the
    accelerator.
    """

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.is_quantized = case.quantization in _QUANTIZED
        self.sizes = self._sizes_in_ram()
        self.total_bytes = sum(self.sizes.values())
        self.weights_in_ram = computed_term(
            "weights",
            self.total_bytes,
            "parameters of the components",
            _addends(self.sizes),
        )

    def _sizes_in_ram(self) -> dict[str, int]:
        """The bytes of each component in RAM: a quantized denoiser in its type, the others in 16
        bits.
        """
        sizes = {}
        for name, number in self.components.items():
            width: float = 2
            if name == "transformer":
                width = _QUANTIZED.get(self.quantization, 2)
            sizes[name] = int(width * number)
        return sizes

    def ways(self) -> tuple[Offloaded, ...]:
        """The ways of offloading, the fastest first: as the spec states them, else a component at a
        time, then a layer at a time. The memory of the accelerator is assumed in the latter case.

        Components that bitsandbytes quantized do not move layer by layer (diffusers 0.42.1,
        pipelines/pipeline_utils.py, enable_sequential_cpu_offload).
        """
        if not self.case.runtime.command_lines.offload:
            # the program has no line that offloads
            return ()
        stated = self.case.spec.needs
        if stated is not None:
            ways = self._stated_ways(stated)
            if ways or self.is_quantized or not stated.high_bytes:
                return ways
        if not self._may_be_offloaded():
            return ()
        if stated is None:
            working = self._working_by_rule()
            layer = self._layer_by_rule(working["vae"].most)
        else:
            # the memory that the spec states beyond all weights
            stated_bytes = stated.high_bytes or 0
            beside_bytes = max(0, stated_bytes - self.total_bytes)
            working = self._working_as_stated(beside_bytes)
            layer = _layer_as_stated(beside_bytes)
        by_component = self._offloaded("model", *self._largest_component(working))
        if self.is_quantized:
            return (by_component,)
        return by_component, self._offloaded("sequential", layer)

    def _offloaded(self, way: str, *on_device: Term) -> Offloaded:
        """A way of offloading, with the terms on the accelerator; the weights are in RAM."""
        host = self.weights_in_ram, overhead(self.case.runtime, on_gpu=True)
        return Offloaded(way=way, host=host, device=on_device)

    def _may_be_offloaded(self) -> bool:
        """Whether the memory of a GPU is known for files in that type: 16 bits, or a denoiser that
        bitsandbytes quantized.
        """
        if self.is_quantized:
            return bool(quantized_components(self.components))
        return DTYPES.get(self.quantization) == 16

    def _stated_ways(self, stated: StatedNeeds) -> tuple[Offloaded, ...]:
        """The ways of offloading files in this type whose memory the spec states."""
        ways = []
        for way in stated.ways:
            if way.quantization == self.quantization:
                low = way.low_bytes
                weights = stated_range("weights", low, way.high_bytes, way.source)
                ways.append(self._offloaded(way.offload, weights))
        return tuple(ways)

    def _largest_component(self, working: Mapping[str, Size]) -> tuple[Term, Term]:
        """The weights and the working memory of the component that takes most on a GPU."""
        most_by_name = {}
        for component, size in self.sizes.items():
            most_by_name[component] = size + working[component].most
        name = max(most_by_name, key=most_by_name.__getitem__)
        source = _DIFFUSERS.offload_source
        size = self.sizes[name]
        ends = Size(size, size, int(size * _DIFFUSERS.rounding))
        line = f"{size:,} bytes; the {name}, which takes most"
        weights = computed_term("weights", ends, source, line)
        ends = working[name]
        line = (
            f"{ends.likely:,} bytes beside the {name}; {ends.least:,} to {ends.most:,}"
        )
        return weights, assumed_term("activations", ends, source, line)

    def _working_by_rule(self) -> dict[str, Size]:
        """The working memory of each component by name: little for encoders, computed for the
        decoder, and for denoisers the bytes per pixel measured with other denoisers.
        """
        decoder = _Pipeline(self.case.replace(device=Device())).decoder()
        working = dict.fromkeys(self.sizes, Size(*_DIFFUSERS.encoding))
        working["vae"] = decoder.size
        working["transformer"] = self._by_pixel(_DIFFUSERS.transformer)
        working["unet"] = self._by_pixel(_DIFFUSERS.unet)
        return working

    def _working_as_stated(self, beside_bytes: int) -> dict[str, Size]:
        """The working memory of each component by name: little for encoders, and for the others all
        bytes that the spec states beside the weights, at the least half of them.
        """
        stated = Size(beside_bytes // 2, beside_bytes, beside_bytes)
        working = dict.fromkeys(self.sizes, stated)
        for name in working:
            if name.startswith(_INPUT_ENCODERS):
                working[name] = Size(*_DIFFUSERS.encoding)
        return working

    def _by_pixel(self, megapixel: Sequence[int]) -> Size:
        """The memory for the images of the workload, in proportion to their pixels. `megapixel`:
        bytes for one image of 1,024 × 1,024, least, likely and most.
        """
        pixels = self.pixels.likely
        return Size(*[size * pixels // _PIXELS for size in megapixel])

    def _layer_by_rule(self, most: int) -> Term:
        """The memory on a GPU that holds one layer at a time, in proportion to the pixels, as
        measured.
        """
        pixels = self.pixels.likely
        at_once = _DIFFUSERS.sequential * pixels // _PIXELS
        line = f"{at_once:,} bytes at the peak, a layer at a time"
        return _working_layer(Size(at_once, at_once, most), line)


# ------------------------------------------------------------------ one file for each component


def _size_of_component_files(case: Case) -> Term | Unread:
    """The size of the files of all components in the type that was asked for."""
    if case.quantization not in _DIFFUSERS.component_numbers:
        why = f"no source states the size of its components in {case.quantization}"
        return unread(why, "use --quant fp8 or --quant bfloat16")
    files = _sizes_of_component_files(case).values()
    return files_of(tuple(files), _DIFFUSERS.component_source, How.COMPUTED)


def _sizes_of_component_files(case: Case) -> dict[str, Term]:
    """The size of each component's file by name: a decoder in 16 or 32 bits, a large component in
    the type that was asked for, of an encoder with parts that stay wider, a small one in 16 bits.
    """
    sizes = {}
    type_name = case.quantization
    for name, number in case.spec.components.items():
        bytes_each = _DIFFUSERS.component_numbers["float16"]
        wide = NO_BYTES
        is_large = number >= _DIFFUSERS.least_quantized
        if name.startswith("vae"):
            bytes_each = _DIFFUSERS.decoder_numbers
        elif is_large and name.startswith("text_encoder"):
            bytes_each = _DIFFUSERS.encoder_numbers.get(
                type_name, _DIFFUSERS.component_numbers[type_name]
            )
            wide = Size(*_DIFFUSERS.encoder_wide_bytes.get(type_name, NO_BYTES))
        elif is_large:
            bytes_each = _DIFFUSERS.component_numbers[type_name]
        ends = Size.of(number, bytes_each).plus(wide)
        line = f"{number:,} {name} × {bytes_each[1]:g} bytes"
        if wide.likely:
            line += f" + {wide.likely:,} bytes of wider parts"
        source = _DIFFUSERS.component_source
        sizes[name] = computed_term("files", ends, source, line)
    return sizes


class _ComponentFiles(_Offloading):
    """The components of one case, each from a file of its own, in the type of the file."""

    def _sizes_in_ram(self) -> dict[str, int]:
        """The bytes of each component in RAM: those of its file."""
        sizes = _sizes_of_component_files(self.case)
        return {name: size.bytes for name, size in sizes.items()}

    def _of_clip(self) -> Size:
        """The memory for a clip beside the weights: by what the spec states beyond all weights in
        16 bits, which is a pass of the denoiser, else what clips took.
        """
        stated = self.case.spec.needs
        if stated is not None and stated.low_bytes:
            a_pass = stated.low_bytes - 2 * self.parameters
            if a_pass > 0:
                return Size.of(a_pass, _DIFFUSERS.component_pass)
        return Size(*_DIFFUSERS.component_clip).scaled(self.case.size_times)

    def needs(self, files: Term) -> Needs:
        """Files and memory: whole on an accelerator, a component of it at a time, or as many of its
        layers as have room.
        """
        working = self._of_clip()
        if self.case.spec.modality == "image":
            working = self._by_pixel(_DIFFUSERS.component_megapixel)
        line = f"{working.likely:,} bytes; {working.least:,} to {working.most:,}"
        source = _DIFFUSERS.component_source
        beside = assumed_term("activations", working, source, line)
        by_component = self._largest_component(dict.fromkeys(self.sizes, working))
        return Needs(
            files=files,
            terms=(whole_files(files), beside, self.case.program),
            largest_file_bytes=max(self.sizes.values()),
            offloaded=(
                self._offloaded("model", *by_component),
                self._offloaded("partial", beside),
            ),
        )


def _layer_as_stated(beside_bytes: int) -> Term:
    """The memory on a GPU that holds one layer at a time: the measured peak, and the bytes that the
    spec states beside the weights, at the least half of them.
    """
    at_peak = _DIFFUSERS.sequential
    least = at_peak + beside_bytes // 2
    at_once = at_peak + beside_bytes
    line = f"{at_peak:,} + {beside_bytes:,} bytes; stated, less the weights"
    return _working_layer(Size(least, at_once, at_once), line)


def _working_layer(ends: Size, line: str) -> Term:
    """The term of the one layer that works on a GPU at a time."""
    return assumed_term("activations", ends, _DIFFUSERS.offload_source, line)


# ------------------------------------------------------------------ stable-diffusion.cpp


def usual_mix(parts: ModelParts) -> str:
    """The default quantization of the denoiser's files: the first usual mix that the publisher
    offers, else the first that it offers.
    """
    for mix in _CPP.defaults:
        if mix in parts.quantizations:
            return mix
    return parts.quantizations[0]


def needs_of_listed_files(case: Case, parts: ModelParts) -> Needs:
    """Files and memory of stable-diffusion.cpp, whose buffers are reserved one after the other."""
    sizes = {}
    for file in parts.files:
        size = file_size(file, case.spec.components, case.quantization)
        if size is None:
            return without_files(_unknown_size(case, parts, file))
        sizes[file.component] = size
    files = _all_files(tuple(sizes.values()))
    largest = max(sizes.values(), key=_likely_bytes)
    how = How.ASSUMED if parts.buffers_like else How.MEASURED
    denoising = _buffer(case, "denoiser", parts.denoise_bytes, how)
    decoding = _buffer(case, "decoder", parts.decode_bytes, how)
    decoder = _alone(sizes["vae"]), decoding
    weights = whole_files(files)
    host = weights, case.program
    by_component = max((_alone(largest), denoising), decoder, key=sum_bytes)
    by_segment = max((_segment(largest), denoising), decoder, key=sum_bytes)
    buffer = max(denoising, decoding, key=_likely_bytes)
    return Needs(
        files=files,
        terms=(weights, buffer, case.program),
        largest_file_bytes=largest.bytes,
        offloaded=(
            Offloaded(way="model", host=host, device=by_component),
            Offloaded(way="sequential", host=host, device=by_segment),
        ),
    )


def _unknown_size(
    case: Case,
    parts: ModelParts,
    file: ComponentFile,
) -> Unread:
    """The reason why the size of a component's file is not known, with a remedy: a quantization in
    which every file has a known size.
    """
    type = file.type or case.quantization
    why = f"no source states the size of its {file.component} in {type}"
    for name in parts.quantizations:
        sizes = [file_size(part, case.spec.components, name) for part in parts.files]
        if None not in sizes:
            return unread(why, f"use --quant {name}")
    return unread(why, "leave out --runtime")


def _likely_bytes(part: Term) -> int:
    return part.bytes


def _all_files(sizes: Terms) -> Term:
    """The files of all components, with the sources of their sizes."""
    used = {size.source for size in sizes}
    sources = [name for name in (_CPP.listed, _CPP.computed) if name in used]
    return files_of(sizes, "; ".join(sources), How.COMPUTED)


def _alone(file: Term) -> Term:
    """The weights of one component on a GPU."""
    return whole_files(file, _CPP.computed, "; alone, the others in RAM")


def _buffer(
    case: Case,
    component: str,
    size: int,
    how: How,
) -> Term:
    """The term of the buffer reserved while the denoiser or the decoder works. The most allows for
    other versions of the program, which may reserve more.
    """
    source = case.runtime.sources.get("parts", "")
    line = f"{size:,} bytes reserved for the {component}"
    ends = Size(size, size, int(size * _CPP.other_version))
    return term("compute", ends, source, line, how)


def _segment(largest: Term) -> Term:
    """A segment of the largest file on a GPU, and the scratch memory that stays free beside it."""
    share = _CPP.segment
    scratch = _CPP.scratch
    size = int(share * largest.bytes) + scratch
    line = f"{largest.bytes:,} bytes × {share:g} + {scratch:,} bytes; a segment and what stays free"
    return assumed_term("weights", size, _CPP.computed, line)


def file_size(
    file: ComponentFile,
    components: Numbers,
    quantization: str,
) -> Term | None:
    """The size of one component's file: as listed, else weights × bytes of a block / weights of a
    block, with an allowance for tensors in wider types.

    None for a file that is not listed and is a publisher's mix, because no rule tells its types.
    `source` is "" where every weight takes whole bytes.
    """
    type = file.type or quantization
    component = file.component
    block = _block_of_most(type)
    is_packed = block is None or block.elements > 1
    listed = file.bytes.get(type)
    if listed is not None:
        source = _CPP.listed if is_packed else ""
        return stated_term("files", listed, source, f"{listed:,} bytes of {component}")
    if block is None:
        return None
    number = components.get(component, 0)
    plain = number * block.bytes / block.elements
    line = f"{number:,} {component} × {block.bytes}/{block.elements} bytes"
    if not is_packed:
        return computed_term("files", int(plain), "", line)
    key = type if type in _CPP.over_bits else "other"
    least, likely, most = _CPP.over_bits[key]
    line += f" × {likely:g}"
    ends = Size(int(plain * least), round(plain * likely), int(plain * most))
    return computed_term("files", ends, _CPP.computed, line)


def _block_of_most(type: str) -> Block | None:
    """The block in which a file of a type stores most of its weights; None for a publisher's own
    mix.
    """
    base = BASE_TYPES.get(type)
    return None if base is None else BLOCKS[base]
