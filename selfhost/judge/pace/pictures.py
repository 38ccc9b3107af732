"""How long a picture or a clip of video takes: steps of the denoiser, bound by arithmetic."""

from __future__ import annotations

from ...catalogue.media import Denoising
from ...core import units
from ...machine.record import Machine
from ...needs.records import Needs
from .engine import (
    NOTHING,
    SAME,
    Range,
    Work,
    added,
    basis_of_share,
    constant,
    ends_of,
    longer,
    product,
    scaled,
    seconds,
    share_of_peak,
)
from .speed import Speed
from .work import (
    Power,
    has_bfloat16,
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


def pace_of_pictures(
    machine: Machine,
    power: Power | None,
    spec: ModelSpec,
    placed: Needs,
    quantization: str,
    runtime: RuntimeSpec | None,
) -> Speed:
    """Seconds for one picture or clip of the model's own size, with its usual number of steps."""
    denoising, parameters = denoising_of(spec, runtime), _parameters_of_pictures(spec)
    if denoising is None and parameters is None:
        return unpaced("the arithmetic of one step is not known", UNIT)
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", UNIT)
    taken = seconds_of_picture(machine, power, denoising, quantization, runtime, parameters)
    clip, offload = None, placed.offload
    if denoising is not None and denoising.frames is not None:
        clip = denoising.frames, denoising.width or 0, denoising.height or 0
    if offload is not None:
        if clip is not None:
            taken = product(taken, ends_of("pictures", "clip_by_parts"))
        slow, likely, fast = constant("pictures")["moved_gb"][offload]
        taken = added(taken, scaled((slow, likely, fast), _moved_bytes(spec, placed) / units.GB))
    how = f"on {power.how}; {_what_is_made(denoising, clip, spec.native_pixels, parameters)}"
    if power.device is not None:
        how += f"; {basis_of_share(_kind_of_work(denoising, quantization), power.device)}"
    if offload is not None:
        how += "; its parts move to the GPU one after the other"
    return Speed(
        work=time_range(taken),
        unit=UNIT if clip is None else UNIT_OF_VIDEO,
        how=how,
        clip=clip,
        frames_per_second=spec.frames_per_second,
    )


def seconds_of_picture(
    machine: Machine,
    power: Power,
    denoising: Denoising | None,
    quantization: str,
    runtime: RuntimeSpec | None,
    parameters: int | None = None,
) -> Range:
    """What computing takes, slow end first; `parameters`: of all its parts, for a guess by class
    where the steps are not counted.
    """
    operations, spread = 1.0, ends_of("pictures", "operations_a_parameter")
    spread = scaled(spread, parameters or 0)
    if denoising is not None:
        operations, spread = picture_operations(denoising), SAME
    if power.device is None:
        # the type is in the share
        share = shares_on_cores(machine, runtime, quantization)
        taken = product(power.seconds(operations, share), spread)
    elif denoising is None:
        share = share_of_peak(_kind_of_work(None, quantization), power.device)
        taken = product(power.seconds(operations, share), spread, _longer_by_type(quantization))
    else:
        taken = _seconds_on_gpu(machine, power, denoising, quantization)
    if quantization == "bfloat16" and not has_bfloat16(machine, power):
        taken = product(taken, ends_of("work", "without_bfloat16"))
    if denoising is None or denoising.step_parameters is None:
        return taken
    step = seconds_of_step(machine, power, denoising.step_parameters)
    return taken if step is None else longer(taken, scaled(step, denoising.steps))


def _seconds_on_gpu(
    machine: Machine, power: Power, denoising: Denoising, quantization: str
) -> Range:
    """Of the steps, the longer of computing and launching, of decoding what they made, and of the
    prompt.
    """
    assert power.device is not None
    is_clip = denoising.frames is not None
    share = share_of_peak(_kind_of_work(denoising, quantization), power.device)
    decoder = product(scaled(SAME, share[1]), ends_of("pictures", "decoder"))
    more = _longer_by_type(quantization)
    blocks = denoising.steps * (denoising.blocks or _FEWEST_BLOCKS)
    launching = power.engine(share, ends_of("pictures", "block_seconds"))
    launched = seconds(Work(layers=scaled(SAME, blocks)), launching)
    computed = product(power.seconds(_operations_of_steps(denoising), share), more)
    # clips were timed as a whole
    decoded = power.seconds(denoising.decode_operations, share if is_clip else decoder)
    decoded = product(decoded, more)
    is_turned = denoising.decodes_in_32_bits and quantization == "float16"
    if is_turned and not has_bfloat16(machine, power):
        decoded = product(decoded, ends_of("pictures", "decoder_in_32_bits"))
    beside = NOTHING if is_clip else ends_of("pictures", "beside")
    return added(longer(computed, launched), decoded, beside)


def _longer_by_type(quantization: str) -> Range:
    """As many times as long as with 16 bits on a GPU."""
    slow, likely, fast = constant("work")["longer"].get(quantization, SAME)
    return slow, likely, fast


def _kind_of_work(denoising: Denoising | None, quantization: str) -> str:
    """By which a GPU reaches a share of its peak; nobody timed clips in ggml."""
    from ...needs.quantization import BASE_TYPES

    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising is None or denoising.frames is None else "video"


def _moved_bytes(spec: ModelSpec, placed: Needs) -> float:
    """Weights that move to the GPU for one picture: each component once, or the denoiser, which is
    the largest, with every pass.
    """
    terms = placed.memory.terms if placed.memory else ()
    held = sum(term.bytes for term in terms if term.name == "weights" and term.where == "host")
    if placed.offload != "sequential" or spec.denoising is None or not spec.components:
        return held
    denoiser = held * max(spec.components.values()) / sum(spec.components.values())
    return held + denoiser * (spec.denoising.steps * spec.denoising.passes - 1)


def _what_is_made(
    denoising: Denoising | None,
    clip: tuple[int, int, int] | None,
    pixels: int | None,
    parameters: int | None,
) -> str:
    """What the time is of, in words."""
    if denoising is None:
        size = units.count(parameters or 0)
        return f"a guess by class: its steps are not counted, those of others of {size} parameters"
    side = "" if pixels is None else f", {pixels} × {pixels} pixels"
    if clip is not None:
        side = f", {units.clip(*clip)}"
    operations = picture_operations(denoising) / 1e12
    return f"{denoising.steps} steps{side}, {operations:,.0f} × 10^12 operations in all"


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
