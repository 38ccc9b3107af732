"""How long a picture or a clip of video takes: steps of the denoiser, bound by arithmetic."""

from __future__ import annotations

from ..catalogue.media import Denoising
from ..core import units
from ..core.units import GB
from ..machine.gpus import (
    basis_of_share,
    capability_by_name,
    picture_share,
    plain_flops,
    sums_at_half_rate,
)
from ..machine.record import Accelerator, Machine
from .compute import (
    FLOAT32_LONGER,
    WITHOUT_BFLOAT16,
    Power,
    has_bfloat16,
    shares_on_cores,
)
from .ranges import Range, added, inverse, product
from .speed import PaceRange, Speed
from .stepping import seconds_of_step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.runtime import RuntimeSpec
    from ..catalogue.spec import ModelSpec

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
# of the peak in 32 bits of a GPU without matrix units for them, a decoder's that its pipeline turns
# into 32: SDXL Turbo on a P100 0.8 (four steps in 1.30 and SDXL at that size in 14.1 seconds,
# gperdrizet/unit-6-assignments), SDXL on an RTX 2080 Ti 0.2, what LCM's four steps in 4.7 seconds
# leave of 25 in 10.2; the ends are a little beyond
_DECODER_IN_32_BITS = (0.17, 0.35, 0.9)
# for the text encoders and what Python does once a picture on a GPU: of SDXL Turbo's 207 ms on an
# A100 what the step and the decoder leave, 86 ms. The ends are a guess
_BESIDE_STEPS = (0.04, 0.1, 0.3)
# of video, whose attention over tens of thousands of tokens is what takes the time, on cards of
# whole and of half rate: Wan 2.1 1.3B, 81 frames of 480p, 50 steps, 0.66 on an RTX 4090 (four
# minutes, Wan-Video/Wan2.1, README.md), Wan 2.1 14B 0.69 on an RTX 3090 (68 seconds a step,
# Wan2GP#28) and 0.40 on an H100 (6 to 7 minutes, bytedance/ATI#7); Wan 2.2 A14B, 81 frames of 720p,
# 40 steps, 0.61 on an A100 (2,736 seconds, Wan-Video/Wan2.2#284) and 0.33 on an H800 with
# offloading (1,600 seconds, #88); HunyuanVideo, 129 frames of 720p, 50 steps, 0.60 on an A100 and
# 0.38 on an H100 (an hour and half an hour, Tencent-Hunyuan/HunyuanVideo#74). The ends are guesses
VIDEO_SHARES, HALF_RATE_VIDEO_SHARES = (0.2, 0.45, 0.75), (0.3, 0.6, 0.9)
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
_SAME = (1.0, 1.0, 1.0)
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
        return _unpaced("the arithmetic of one step is not known")
    if power is None:
        return _unpaced("nothing tells how fast what it runs on computes")
    computing = _seconds_of_steps(machine, power, denoising, runtime, quantization, parameters)
    is_clip = denoising is not None and denoising.frames is not None
    if offload is not None and is_clip:
        computing = product(computing, _CLIP_BY_PARTS)
    moving = _SECONDS_A_MOVED_GB.get(offload or "", (0.0, 0.0, 0.0))
    low, likely, high = (
        seconds + moved_bytes / GB * each for seconds, each in zip(computing, moving, strict=True)
    )
    how = f"on {power.how}; {_what_is_made(denoising, pixels, parameters)}"
    if power.device is not None:
        how += f"; {_basis(power.device, quantization, is_clip=is_clip)}"
    if offload is not None:
        how += "; its parts move to the GPU in turn"
    return Speed(
        work=PaceRange(low=low, likely=likely, high=high),
        unit=UNIT_OF_VIDEO if is_clip else UNIT,
        how=how,
        clip=_clip_of(denoising),
        frames_per_second=frames_per_second,
    )


def _seconds_of_steps(
    machine: Machine,
    power: Power,
    denoising: Denoising | None,
    runtime: RuntimeSpec | None,
    quantization: str,
    parameters: int | None,
) -> tuple[float, float, float]:
    """The least, likely and most seconds that computing takes; by class where the steps are not
    counted.
    """
    if denoising is None:
        computing = _seconds_by_class(machine, power, runtime, quantization, parameters or 0)
    elif power.device is None:
        # the type is in the share
        shares = shares_on_cores(machine, runtime, quantization)
        computing = power.seconds(picture_operations(denoising), shares)
    else:
        computing = _seconds_on_gpu(power, power.device, denoising, quantization)
    if quantization == "bfloat16" and not has_bfloat16(machine, power):
        computing = product(computing, WITHOUT_BFLOAT16)
    if denoising is None or denoising.step_parameters is None:
        return computing
    return _at_least_read(machine, power, computing, denoising.steps, denoising.step_parameters)


def parameters_of_pictures(spec: ModelSpec) -> int | None:
    """Of all parts of a model of pictures, its files of two bytes each where no count is stated;
    None of a model of video, and where nothing tells them.
    """
    if spec.modality != "image":
        return None
    disk_bytes = spec.needs.disk_bytes if spec.needs is not None else None
    return spec.parameters.total or (disk_bytes or 0) // 2 or None


def _clip_of(denoising: Denoising | None) -> tuple[int, int, int] | None:
    """Frames, width and height; None of a picture."""
    if denoising is None or denoising.frames is None:
        return None
    return denoising.frames, denoising.width or 0, denoising.height or 0


def _what_is_made(denoising: Denoising | None, pixels: int | None, parameters: int | None) -> str:
    """What the time is of, in words."""
    if denoising is None:
        size = units.count(parameters or 0)
        return f"a guess by class: its steps are not counted, those of others of {size} parameters"
    clip = _clip_of(denoising)
    side = "" if pixels is None else f", {pixels} × {pixels} pixels"
    if clip is not None:
        side = f", {units.clip(*clip)}"
    operations = picture_operations(denoising) / 1e12
    return f"{denoising.steps} steps{side}, {operations:,.0f} × 10^12 operations in all"


def _at_least_read(
    machine: Machine, power: Power, computing: Range, steps: int, step_parameters: int
) -> Range:
    """The longer of computing and of reading so many parameters with each step."""
    step = seconds_of_step(machine, power, step_parameters)
    if step is None:
        return computing
    low, likely, high = map(max, computing, product(step, (float(steps),) * 3))
    return low, likely, high


def _seconds_by_class(
    machine: Machine,
    power: Power,
    runtime: RuntimeSpec | None,
    quantization: str,
    parameters: int,
) -> Range:
    """Of a picture whose steps nobody counted."""
    if power.device is None:
        shares, longer = shares_on_cores(machine, runtime, quantization), _SAME
    else:
        shares, longer = _gpu_shares(power.device), _LONGER.get(quantization, _SAME)
    low, likely, high = (each * parameters for each in OPERATIONS_A_PARAMETER)
    spread = low / likely, 1.0, high / likely
    return product(power.seconds(likely, shares), spread, longer)


def _seconds_on_gpu(
    power: Power, device: Accelerator, denoising: Denoising, quantization: str
) -> Range:
    """Of the steps, the longer of computing and launching, of decoding what they made, and of the
    prompt.
    """
    from ..needs.quantization import BASE_TYPES

    is_clip = denoising.frames is not None
    shares = _gpu_shares(device, of_video=is_clip, in_ggml=quantization in BASE_TYPES)
    # clips were timed as a whole
    of_decoder = shares if is_clip else product((shares[1],) * 3, _DECODER)
    longer = _LONGER.get(quantization, _SAME)
    computing = product(power.seconds(_operations_of_steps(denoising), shares), longer)
    decoding = product(power.seconds(denoising.decode_operations, of_decoder), longer)
    plain = _plain_flops(device) if denoising.decodes_in_32_bits else None
    if plain is not None and quantization == "float16":
        decoding = product((denoising.decode_operations / plain,) * 3, inverse(_DECODER_IN_32_BITS))
    blocks = denoising.steps * (denoising.blocks or _FEWEST_BLOCKS)
    stepping = [
        max(seconds, blocks * each)
        for seconds, each in zip(computing, _LAUNCHED_BLOCK_SECONDS, strict=True)
    ]
    beside = (0.0, 0.0, 0.0) if is_clip else _BESIDE_STEPS
    return added((stepping[0], stepping[1], stepping[2]), decoding, beside)


def _plain_flops(device: Accelerator) -> float | None:
    return plain_flops(device.name, device.compute_capability or capability_by_name(device.name))


def denoising_of(spec: ModelSpec, runtime: RuntimeSpec | None) -> Denoising | None:
    """How the printed command makes a picture or a clip; None where that is not counted."""
    from ..needs.parts import parts_of

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


def _basis(device: Accelerator, quantization: str, *, is_clip: bool) -> str:
    """What the share of the GPU's peak rests on."""
    from ..needs.quantization import BASE_TYPES

    if is_clip and quantization not in BASE_TYPES:
        return "such work reached 33 to 69 % of the peak on 5 GPUs, as published"
    return basis_of_share("picture_ggml" if quantization in BASE_TYPES else "picture", device.name)


def _gpu_shares(device: Accelerator, *, of_video: bool = False, in_ggml: bool = False) -> Range:
    """Of the peak of a GPU, what steps reach; `in_ggml`: with GGUF files, whose clips nobody timed,
    so that the share is that of pictures.
    """
    if in_ggml or not of_video:
        return picture_share(device.name, in_ggml=in_ggml)
    capability = device.compute_capability or capability_by_name(device.name)
    half_rate = sums_at_half_rate(device.name, capability)
    return HALF_RATE_VIDEO_SHARES if half_rate else VIDEO_SHARES


def _unpaced(why: str) -> Speed:
    return Speed(unit=UNIT, how=why)
