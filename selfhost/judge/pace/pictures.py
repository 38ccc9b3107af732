"""How long a picture or a clip of video takes: steps of the denoiser, bound by arithmetic."""

from __future__ import annotations

from ...catalogue.media import Denoising
from ...core import units
from .engine import (
    NOTHING,
    SAME,
    Range,
    added,
    basis_of_share,
    constant,
    ends_of,
    longer,
    product,
    scaled,
    share_of_peak,
)
from .speed import Speed
from .work import (
    NOTHING_TELLS,
    Job,
    Power,
    longer_by_type,
    seconds_of_step,
    shares_on_cores,
    time_range,
    unpaced,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ...catalogue.spec import ModelSpec

UNIT, UNIT_OF_VIDEO = "seconds_per_image", "seconds_per_video"
# of a denoiser whose blocks are not counted, those of Stable Diffusion 1.5
_FEWEST_BLOCKS = 38


def denoising_of(spec: ModelSpec, runtime: RuntimeSpec | None) -> Denoising | None:
    """How the printed command makes a picture or a clip; None where that is not counted."""
    from ...needs.parts import parts_of

    parts = None if runtime is None else parts_of(spec, runtime)
    if parts is not None and parts.denoising is not None:
        return parts.denoising
    is_clip = spec.denoising is not None and spec.denoising.frames is not None
    makes_that_clip = runtime is not None and "steps" in runtime.blanks
    return spec.denoising if makes_that_clip or not is_clip else None


def pace_of_pictures(job: Job) -> Speed:
    """Seconds for one picture or clip of the model's own size, with its usual number of steps."""
    spec, power, offload = job.spec, job.power, job.placed.offload
    denoising, parameters = denoising_of(spec, job.runtime), _parameters_of_pictures(spec)
    if denoising is None and parameters is None:
        return unpaced("the arithmetic of one step is not known", UNIT)
    if power is None:
        return unpaced(NOTHING_TELLS, UNIT)
    clip, how = None, f"on {power.how}; {_what_is_made(denoising, spec, parameters or 0)}"
    if denoising is None:
        taken = _seconds_by_class(job, power, parameters or 0)
    else:
        taken = seconds_of_picture(job, power, denoising)
        if denoising.frames is not None:
            clip = denoising.frames, denoising.width or 0, denoising.height or 0
    if power.device is not None:
        how += f"; {basis_of_share(_kind_of_work(denoising, job.quantization), power.device)}"
    if offload is not None:
        slow, likely, fast = constant("pictures")["moved_gb"][offload]
        taken = added(taken, scaled((slow, likely, fast), _moved_bytes(job) / units.GB))
        how += "; its parts move to the GPU one after the other"
    return Speed(
        work=time_range(taken),
        unit=UNIT if clip is None else UNIT_OF_VIDEO,
        how=how,
        clip=clip,
        frames_per_second=spec.frames_per_second,
    )


def _what_is_made(denoising: Denoising | None, spec: ModelSpec, parameters: int) -> str:
    """What the time is of, in words."""
    if denoising is None:
        size = units.count(parameters)
        return f"a guess by class: its steps are not counted, those of others of {size} parameters"
    side = (
        ""
        if spec.native_pixels is None
        else f", {spec.native_pixels} × {spec.native_pixels} pixels"
    )
    if denoising.frames is not None:
        side = f", {units.clip(denoising.frames, denoising.width or 0, denoising.height or 0)}"
    operations = picture_operations(denoising) / 1e12
    return f"{denoising.steps} steps{side}, {operations:,.0f} × 10^12 operations in all"


def seconds_of_picture(job: Job, power: Power, denoising: Denoising) -> Range:
    """Of the steps, the longer of computing and launching, of decoding what they made, and of the
    prompt; no less than reading what each step reads.
    """
    machine, quantization = job.machine, job.quantization
    more = longer_by_type(machine, power, quantization)
    if power.device is None:
        # the type is in the share
        share = shares_on_cores(machine, job.runtime, quantization)
        taken = product(power.seconds(picture_operations(denoising), share), more)
    else:
        is_clip = denoising.frames is not None
        share = share_of_peak(_kind_of_work(denoising, quantization), power.device)
        # clips were timed as a whole
        decoder = product(scaled(SAME, share[1]), ends_of("pictures", "decoder"))
        blocks = denoising.steps * (denoising.blocks or _FEWEST_BLOCKS)
        launched = scaled(ends_of("pictures", "block_seconds"), blocks)
        computed = product(power.seconds(_operations_of_steps(denoising), share), more)
        decoded = power.seconds(denoising.decode_operations, share if is_clip else decoder)
        beside = NOTHING if is_clip else ends_of("pictures", "beside")
        taken = added(longer(computed, launched), product(decoded, more), beside)
    if denoising.step_parameters is None:
        return taken
    step = seconds_of_step(machine, power, denoising.step_parameters)
    return taken if step is None else longer(taken, scaled(step, denoising.steps))


def _seconds_by_class(job: Job, power: Power, parameters: int) -> Range:
    """Of a model whose steps are not counted: as others take for each parameter."""
    share = shares_on_cores(job.machine, job.runtime, job.quantization)
    if power.device is not None:
        share = share_of_peak(_kind_of_work(None, job.quantization), power.device)
    spread = scaled(ends_of("pictures", "operations_a_parameter"), parameters)
    more = longer_by_type(job.machine, power, job.quantization)
    return product(power.seconds(1.0, share), spread, more)


def _kind_of_work(denoising: Denoising | None, quantization: str) -> str:
    """By which a GPU reaches a share of its peak; nobody timed clips in ggml."""
    from ...needs.quantization import BASE_TYPES

    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising is None or denoising.frames is None else "video"


def _moved_bytes(job: Job) -> float:
    """Weights that move to the GPU for one picture: each component once, or the denoiser, which is
    the largest, with every pass.
    """
    terms, spec = job.placed.memory.terms if job.placed.memory else (), job.spec
    held = sum(term.bytes for term in terms if term.name == "weights" and term.where == "host")
    if job.placed.offload != "sequential" or spec.denoising is None or not spec.components:
        return held
    denoiser = held * max(spec.components.values()) / sum(spec.components.values())
    return held + denoiser * (spec.denoising.steps * spec.denoising.passes - 1)


def _parameters_of_pictures(spec: ModelSpec) -> int | None:
    """Of all parts of a model of pictures, its files of two bytes each where no count is stated;
    None of a model of video, and where nothing tells them.
    """
    if spec.modality != "image":
        return None
    disk_bytes = spec.needs.disk_bytes if spec.needs is not None else None
    return spec.parameters.total or (disk_bytes or 0) // 2 or None


def picture_operations(denoising: Denoising) -> float:
    """Of all steps, and of turning what they made into a picture."""
    return _operations_of_steps(denoising) + denoising.decode_operations


def _operations_of_steps(denoising: Denoising) -> float:
    return float(denoising.steps * denoising.passes * denoising.step_operations)
