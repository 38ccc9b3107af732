"""Pictures and clips of a size that a user states: pixels, frames and steps.

What goes in: a model of pictures or clips, and the settings of a program's options. What comes out:
the model as if the stated size were its own, with its work and the memory beside its weights.

The tokens of a denoiser grow with the pixels and the frames. Its matrices take as many times as
many operations, and its attention as many times squared.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt, prod

from ..catalogue.spec import Denoising, ModelSpec, StatedNeeds, StatedWay
from ..core.records import Record

# the settings of options (`COMPUTED_SETTINGS`) that state a size
STATED_SIZES = frozenset(
    {"picture_width", "picture_height", "clip_frames", "denoising_steps"}
)
# the share of the operations of a step that attention has, which grow with the square of the
# tokens: what two operations a weight and token leave of the steps of 51 models of pictures (at
# most 0.1 of 42 of them) and of 12 of clips (0.36 to 0.75 of nine)
_OF_A_PICTURE = 0.1
_OF_A_CLIP = 0.4
# bytes of a weight on a GPU by type, of denoisers that a program quantizes
_WEIGHT_BYTES = {"int8": 1.0, "nf4": 0.5625}


class PictureSize(Record):
    """The size of a picture, or of a clip where `frames` is not None. `times` is how many times as
    many pixels it has in all as the model's own size.
    """

    width: int
    height: int
    frames: int | None = None
    times: float


def size_asked(spec: ModelSpec, settings: Mapping[str, str]) -> PictureSize | None:
    """The size that the settings state, the rest of it as the model's own; None where the model's
    own size is not known.
    """
    own = spec.denoising
    side = spec.native_pixels
    width = side if own is None or own.width is None else own.width
    height = side if own is None or own.height is None else own.height
    if width is None or height is None:
        return None
    frames = None if own is None else own.frames
    asked_width = int(settings.get("picture_width") or width)
    asked_height = int(settings.get("picture_height") or height)
    times = asked_width * asked_height / (width * height)
    asked_frames = frames
    if frames is not None:
        asked_frames = int(settings.get("clip_frames") or frames)
        times *= asked_frames / frames
    return PictureSize(
        width=asked_width, height=asked_height, frames=asked_frames, times=times
    )


def why_not_resized(spec: ModelSpec) -> str | None:
    """The reason why what the model takes for another size is not computed; None where it is."""
    if size_asked(spec, {}) is None:
        return "the size that its memory and its pace are told for is not known"
    if spec.denoising is None:
        return "the arithmetic of one of its steps is not known"
    return None


def resized(spec: ModelSpec, settings: Mapping[str, str]) -> ModelSpec:
    """The model as if the size that the settings state were its own; the model unchanged where they
    state none.
    """
    if STATED_SIZES.isdisjoint(settings):
        return spec
    denoising = spec.denoising
    steps = settings.get("denoising_steps")
    if denoising is not None and steps is not None:
        denoising = denoising.replace(steps=int(steps))
    size = size_asked(spec, settings)
    if size is None:
        return spec.replace(denoising=denoising)
    side = spec.native_pixels
    if size.frames is None:
        side = isqrt(size.width * size.height)
    return spec.replace(
        native_pixels=side,
        denoising=denoising and _denoising_of_size(denoising, size),
        needs=spec.needs and _needs_of_size(spec, spec.needs, size),
    )


def _denoising_of_size(own: Denoising, size: PictureSize) -> Denoising:
    """The work of making a picture or a clip of that size."""
    attention = _OF_A_PICTURE
    if own.frames is not None:
        attention = _OF_A_CLIP
    growth = size.times * (1 - attention) + size.times**2 * attention
    return own.replace(
        step_operations=max(1, round(own.step_operations * growth)),
        decode_operations=max(1, round(own.decode_operations * size.times)),
        width=size.width,
        height=size.height,
        frames=size.frames,
    )


def _needs_of_size(
    spec: ModelSpec, stated: StatedNeeds, size: PictureSize
) -> StatedNeeds:
    """The memory that somebody states for the model's own size, with what it has beyond the weights
    in proportion to the pixels.
    """
    weights = 2 * sum(spec.components.values())
    times_of_high = size.times
    if len(stated.high_size) == 3:
        times_of_high = size.width * size.height * (size.frames or 1)
        times_of_high /= prod(stated.high_size)
    ways = [_way_of_size(spec, way, size) for way in stated.ways]
    return stated.replace(
        low_bytes=_grown(stated.low_bytes, weights, size.times),
        high_bytes=_grown(stated.high_bytes, weights, times_of_high),
        ways=tuple(ways),
    )


def _way_of_size(spec: ModelSpec, way: StatedWay, size: PictureSize) -> StatedWay:
    """A stated way of offloading for pictures or clips of another size."""
    times = size.times
    if way.width and way.height:
        times = size.width * size.height / (way.width * way.height)
        if way.frames and size.frames:
            times *= size.frames / way.frames
    weights = 0
    if way.offload == "model":
        largest = max(spec.components.values(), default=0)
        weights = int(largest * _WEIGHT_BYTES.get(way.quantization, 2.0))
    low = _grown(way.low_bytes, weights, times) or way.low_bytes
    high = _grown(way.high_bytes, weights, times) or way.high_bytes
    frames = size.frames
    return way.replace(
        low_bytes=low,
        high_bytes=high,
        width=size.width,
        height=size.height,
        frames=frames,
    )


def _grown(stated: int | None, weights: int, times: float) -> int | None:
    """A stated size in bytes, with what lies beyond the weights so many times as large."""
    if stated is None or stated <= weights:
        return stated
    return weights + round((stated - weights) * times)
