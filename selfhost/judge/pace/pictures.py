"""How long a picture or a clip of video takes: steps of the denoiser, bound by arithmetic."""

from __future__ import annotations

from ...catalogue.media import Denoising
from ...core import units
from ...machine.gpus import basis_of_share, share_of
from ...machine.record import Accelerator, Machine
from ..ranges import Range, added, longer, product
from .compute import (
    FLOAT32_LONGER,
    SAME,
    WITHOUT_BFLOAT16,
    Power,
    has_bfloat16,
    seconds_of_step,
    shares_on_cores,
    unpaced,
)
from .speed import PaceRange, Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ...catalogue.runtime import RuntimeSpec
    from ...catalogue.spec import ModelSpec

UNIT, UNIT_OF_VIDEO = "seconds_per_image", "seconds_per_video"
# of a step on a GPU, what Python takes to launch a block, whatever the GPU: least, likely, most (a
# layer of text takes about as long, `launch` in gpus.toml). Stable Diffusion 1.5, 512 pixels, 38
# blocks: 32 ms on an A100 (50 steps in 1.59 seconds, fal-ai/stable-diffusion-benchmarks), 30 on an
# RTX 4090 and 25 on an H200 (vladmandic/sd-data, 2025), 74 on an RTX 4090 in 2023
# (AUTOMATIC1111/stable-diffusion-webui#2449); SDXL, of 87, in SDXL Turbo 67 on an A100 (Stability
# AI's announcement)
_LAUNCHED_BLOCK_SECONDS = (0.00053, 0.0008, 0.002)
# of a denoiser whose blocks are not counted, those of Stable Diffusion 1.5
_FEWEST_BLOCKS = 38
# of the share of a GPU's peak that steps reach, the decoder's, whose pictures are large: least,
# likely, most. Of 0.56 on six GeForces 0.77 to 1.07 in 16 bits, and 0.44 to 0.6 in 32, as SDXL
# has it (hybrid_inference/vae_decode.md of huggingface/diffusers); of 0.38 on an A100 0.39 and on
# an H100 0.22 (TensorRT, huggingface.co/stabilityai/sdxl-turbo-tensorrt)
_DECODER = (0.2, 0.5, 1.1)
# and as many times as long on a GPU without matrix units for 32 bits, where its pipeline turns the
# decoder into 32: SDXL on a T4, an RTX 2080 Ti and a P100 (huggingface/blog, lcm_lora.md;
# gperdrizet/unit-6-assignments); the ends are a guess
_DECODER_IN_32_BITS = (1.0, 4.5, 12.0)
# for the text encoders and what Python does once a picture on a GPU: of SDXL Turbo's 207 ms on an
# A100 what the step and the decoder leave, 86 ms. The ends are a guess
_BESIDE_STEPS = (0.04, 0.1, 0.3)
# as many times as long as with 16 bits on a GPU, by type: least, likely, most. nf4 28 seconds where
# bfloat16 took 26 (FLUX.1 [dev], A100, matiasbattaglia.com); int8 of bitsandbytes is a guess
_LONGER = {"nf4": (1.0, 1.1, 1.5), "int8": (1.0, 1.5, 3.0), "float32": FLOAT32_LONGER}
# seconds a gigabyte of weights that moves to the GPU, by way. FLUX.1 [dev] with 50 steps on an A100
# in 26 seconds, 56 with enable_model_cpu_offload (33.7 GB once: 0.9), 5 minutes with
# enable_sequential_cpu_offload (1,200 GB: 0.23); in nf4 28 and 39 (16.6 GB: 0.7)
# (matiasbattaglia.com, 2025-06-09). The ends are guesses: a bus of 4 to 25 GB/s, files read anew
_SECONDS_A_MOVED_GB = {"model": (0.1, 0.8, 1.6), "sequential": (0.1, 0.23, 0.6)}
# a clip's steps beside weights that move, of which nobody published a time: a guess
_CLIP_BY_PARTS = (1.0, 1.15, 2.0)
# operations of a picture for each parameter of a model whose steps nobody counted: a guess, of the
# 50 models whose steps are counted (specs), which take 1e4 (SD 3.5 Large Turbo, 4 steps) to 7.4e5
# (50 with guidance) in nine of ten cases, in the middle 1.7e5
OPERATIONS_A_PARAMETER = (1e4, 1.7e5, 7.4e5)


def pace_of_pictures(
    machine: Machine,
    power: Power | None,
    denoising: Denoising | None,
    *,
    pixels: int | None,
    quantization: str,
    runtime: RuntimeSpec | None,
    offload: str | None,
    moved_bytes: float = 0,
    frames_per_second: int | None = None,
    parameters: int | None = None,
) -> Speed:
    """Seconds for one picture or clip of the model's own size, with its usual number of steps.

    `moved_bytes`: weights that move to the GPU for one picture, the way `offload`;
    `frames_per_second`: at which a clip is played; `parameters`: of all its parts, for a guess by
    class where the steps of a model of pictures are not counted.
    """
    if denoising is None and parameters is None:
        return unpaced("the arithmetic of one step is not known", UNIT)
    if power is None:
        return unpaced("nothing tells how fast what it runs on computes", UNIT)
    computing = _seconds_of_steps(machine, power, denoising, runtime, quantization, parameters)
    clip = None
    if denoising is not None and denoising.frames is not None:
        clip = denoising.frames, denoising.width or 0, denoising.height or 0
    if offload is not None and clip is not None:
        computing = product(computing, _CLIP_BY_PARTS)
    low, likely, high = computing
    if offload is not None:
        moved = (moved_bytes / units.GB,) * 3
        low, likely, high = added(computing, product(moved, _SECONDS_A_MOVED_GB[offload]))
    how = f"on {power.how}; {_what_is_made(denoising, clip, pixels, parameters)}"
    if power.device is not None:
        how += f"; {basis_of_share(_work(denoising, quantization), power.device.name)}"
    if offload is not None:
        how += "; its parts move to the GPU in turn"
    return Speed(
        work=PaceRange(low=low, likely=likely, high=high),
        unit=UNIT if clip is None else UNIT_OF_VIDEO,
        how=how,
        clip=clip,
        frames_per_second=frames_per_second,
    )


def _work(denoising: Denoising | None, quantization: str) -> str:
    """The kind of work, by which a GPU reaches a share of its peak; nobody timed clips in ggml."""
    from ...needs.quantization import BASE_TYPES

    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising is None or denoising.frames is None else "video"


def _seconds_of_steps(
    machine: Machine,
    power: Power,
    denoising: Denoising | None,
    runtime: RuntimeSpec | None,
    quantization: str,
    parameters: int | None,
) -> Range:
    """The least, likely and most seconds that computing takes; by class where the steps are not
    counted.
    """
    lower, usual, upper = OPERATIONS_A_PARAMETER
    operations, spread = usual * (parameters or 0), (lower / usual, 1.0, upper / usual)
    if denoising is not None:
        operations, spread = picture_operations(denoising), SAME
    if power.device is None:
        # the type is in the share
        shares = shares_on_cores(machine, runtime, quantization)
        computing = product(power.seconds(operations, shares), spread)
    elif denoising is None:
        shares = share_of(_work(None, quantization), power.device.name)
        taken = power.seconds(operations, shares)
        computing = product(taken, spread, _LONGER.get(quantization, SAME))
    else:
        has_units = has_bfloat16(machine, power)
        computing = _seconds_on_gpu(power, power.device, denoising, quantization, has_units)
    if quantization == "bfloat16" and not has_bfloat16(machine, power):
        computing = product(computing, WITHOUT_BFLOAT16)
    if denoising is None or denoising.step_parameters is None:
        return computing
    step = seconds_of_step(machine, power, denoising.step_parameters)
    if step is None:
        return computing
    return longer(computing, product(step, (float(denoising.steps),) * 3))


def _seconds_on_gpu(
    power: Power, device: Accelerator, denoising: Denoising, quantization: str, has_units: bool
) -> Range:
    """Of the steps, the longer of computing and launching, of decoding what they made, and of the
    prompt. `has_units`: the GPU has matrix units for more than 16 bits.
    """
    is_clip = denoising.frames is not None
    shares = share_of(_work(denoising, quantization), device.name)
    # clips were timed as a whole
    of_decoder = shares if is_clip else product((shares[1],) * 3, _DECODER)
    more = _LONGER.get(quantization, SAME)
    computing = product(power.seconds(_operations_of_steps(denoising), shares), more)
    decoding = product(power.seconds(denoising.decode_operations, of_decoder), more)
    if denoising.decodes_in_32_bits and quantization == "float16" and not has_units:
        decoding = product(decoding, _DECODER_IN_32_BITS)
    blocks = float(denoising.steps * (denoising.blocks or _FEWEST_BLOCKS))
    stepping = longer(computing, product((blocks,) * 3, _LAUNCHED_BLOCK_SECONDS))
    return added(stepping, decoding, (0.0, 0.0, 0.0) if is_clip else _BESIDE_STEPS)


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


def parameters_of_pictures(spec: ModelSpec) -> int | None:
    """Of all parts of a model of pictures, its files of two bytes each where no count is stated;
    None of a model of video, and where nothing tells them.
    """
    if spec.modality != "image":
        return None
    disk_bytes = spec.needs.disk_bytes if spec.needs is not None else None
    return spec.parameters.total or (disk_bytes or 0) // 2 or None


def denoising_of(spec: ModelSpec, runtime: RuntimeSpec | None) -> Denoising | None:
    """How the printed command makes a picture or a clip; None where that is not counted."""
    from ...needs.parts import parts_of

    parts = None if runtime is None else parts_of(spec, runtime)
    if parts is not None and parts.denoising is not None:
        return parts.denoising
    is_clip = spec.denoising is not None and spec.denoising.frames is not None
    makes_that_clip = runtime is not None and "steps" in runtime.blanks
    return spec.denoising if makes_that_clip or not is_clip else None


def picture_operations(denoising: Denoising) -> float:
    """Of all steps, and of turning what they made into a picture."""
    return _operations_of_steps(denoising) + denoising.decode_operations


def _operations_of_steps(denoising: Denoising) -> float:
    return float(denoising.steps * denoising.passes * denoising.step_operations)
