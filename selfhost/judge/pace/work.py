"""How fast work goes that is not counted in generated tokens: documents, training, pictures and
clips, speech and music. Each is operations over a share of what the device computes, with what is
read, launched and moved beside that; the shares stand in `specs/common/pace.toml`.
"""

from __future__ import annotations

from math import sqrt

from ...catalogue.architecture import Architecture
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import Denoising, ModelSpec, Sound
from ...core import units
from ...core.records import FrozenDict, Record
from ...core.workload import Workload
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.quantization import BASE_TYPES
from ...needs.records import Needs
from ..devices import computes_on_shared, runs_on
from ..record import Question
from . import (
    MEASURED_PROGRAM,
    NOTHING,
    SAME,
    TRAINED,
    Range,
    Speed,
    Step,
    clip_words,
    constant,
    longest,
)
from .rates import (
    basis_of,
    cores_rate,
    device_bandwidth,
    efficiency,
    gpu_of,
    layer_from_python,
    processor_of,
    shared_gpu_of,
    threads_range,
)
from .text import processor_seconds

DOCUMENTS, PICTURES_READ = "documents_per_second", "pictures_per_second"
IMAGE, VIDEO = "seconds_per_image", "seconds_per_video"
# in what the pace of such models is counted, by their modality
_UNITS = {
    "embedding": DOCUMENTS, "image": IMAGE, "video": VIDEO,
    "speech": "seconds_per_audio_minute", "music": "seconds_per_music_minute",
}  # fmt: skip
_DOCUMENT_TOKENS = 512
# a sequence that is trained on, where no length was resolved: that of trl (1,024)
_LEAST_TOKENS = 1024
# seconds that a recognizer's encoder reads at once
_WINDOW_SECONDS = 30
_LEAST_WITH_BFLOAT16 = "8.0"
_BFLOAT16_SETS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))


class Job(Record):
    """What is asked of a model that does no text: where, by which program, in which type.

    `peak_flops`: operations per second of what computes it: of `number` GPUs, of which one is
    `device`, in 16 bits; of a processor (None) what its cores compute on prompts. `called` names
    it.
    """

    machine: Machine
    spec: ModelSpec
    placed: Needs
    runtime: RuntimeSpec | None
    quantization: str = ""
    peak_flops: Range
    device: Accelerator | None = None
    number: int = 1
    called: str

    @property
    def layers(self) -> int:
        """0 where they are not known."""
        return 0 if self.spec.architecture is None else self.spec.architecture.layers

    def seconds(self, operations: float, share: Range) -> Range:
        """Of so many operations, where the work reaches that share of the peak."""
        return operations / (self.peak_flops * share)

    def share(self, work: str) -> Range:
        """Of the peak, what work of that kind reaches: of a processor's on prompts, with a type."""
        if self.device is not None:
            return Range(*efficiency("share", self.device, work=work)["share"])
        runtime, type, core = self.runtime, self.quantization, processor_of(self.machine).core
        by_rows = runtime is not None and runtime.multiplies_rows
        if by_rows or (runtime is not None and runtime.library == MEASURED_PROGRAM):
            key, around = ("rows", "rows") if by_rows else ("prompt", "blocks")
            rows, ends = constant("type"), Range(*constant("work", around))
            names = [name for name, row in rows.items() if type.startswith(name) and key in row]
            row: list[float] = rows[names[0] if names else "F16"][key]
            return ends * row[0 if core.wide else 1]
        sets, gains = self.machine.instruction_sets or (), constant("work", "in_bfloat16")
        few, fall = constant("read_prompt", "cores_fall")
        less = min(1.0, (few / threads_range(self.machine, runtime).likely) ** fall)
        share: Range = Range(*constant("work", "in_pytorch")) * (core.float32 * less)
        gain = next((gains[name] for name in gains if name in sets), None)
        return share if type != "bfloat16" or gain is None else share * gain

    def basis(self, work: str) -> str:
        """What the share of a GPU's peak rests on, as a clause."""
        if self.device is None:
            return ""
        row = efficiency("share", self.device, work=work)
        slow, _, fast = row["share"]
        ends = f"{100 * slow:g} to {100 * fast:g} %"
        return f"; such work is counted at {ends} of its peak, {basis_of(row)}"

    def longer_by_type(self, quantization: str) -> Range:
        """As many times as long as with 16 bits that the hardware computes with."""
        if self.device is None:
            lacks_type = _BFLOAT16_SETS.isdisjoint(self.machine.instruction_sets or ())
        else:
            own = gpus.capability_of(self.device)
            lacks_type = gpus.reaches_capability(own, _LEAST_WITH_BFLOAT16) is False
        name = "without_bfloat16" if quantization == "bfloat16" and lacks_type else quantization
        is_counted = self.device is not None or name != quantization
        return Range(*constant("work", "longer").get(name, SAME)) if is_counted else SAME


def pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed | None:
    """None where nobody counts it; without `work` where nothing tells it, and `how` says why."""
    spec, workload = question.spec, question.workload
    unit = TRAINED if workload.task == "finetune" else _UNITS.get(spec.modality)
    if unit is None:
        return None
    job = job_of(machine, spec, placed, question.runtime, workload.quantization or "")
    if job is None:
        return Speed(
            unit=unit, how="the computing speed of the device that it runs on is not known"
        )
    if unit == TRAINED:
        return pace_of_training(job, workload)
    if unit == DOCUMENTS:
        return pace_of_documents(job)
    if unit in (IMAGE, VIDEO):
        return _pace_of_pictures(job, unit)
    sound, audio_seconds = spec.sound, workload.audio_seconds
    writing = writing_step(spec, placed, job.quantization)
    if placed.offload is not None:
        return Speed(
            unit=unit, how="no timed run with its parts on the GPU one after another was found"
        )
    # by its layers, else by what others published of it, else by its steps and operations
    if writing is not None:
        taken = _written(job, *writing, audio_seconds)
    elif sound is not None:
        taken = _as_published(job, sound) or _stepped(job, sound)
    else:
        return Speed(unit=unit, how="the number of operations for a second of sound is not known")
    if taken is None:
        return Speed(unit=unit, how="no run of it was found on a machine like this")
    pace = Range(*taken[0].ordered()[::-1])
    return Speed(work=pace, unit=unit, how=taken[1], audio_seconds=audio_seconds)


def job_of(
    machine: Machine, spec: ModelSpec, placed: Needs, runtime: RuntimeSpec | None, quantization: str
) -> Job | None:
    """That work, laid out like that; None where nothing tells how fast what computes it is."""
    device, names, peaks = None, list[str](), list[float]()
    for device in _devices_of(machine, placed, runtime, quantization):
        peak = gpus.peak_flops(device.name, gpus.capability_of(device))
        if peak is None and device.vendor.lower() == "apple":
            # that of the chip that it is part of
            peak = gpus.peak_flops(machine.cpu_model or "", None)
        if peak is None:
            return None
        names.append(f"{device.name} ({peak / 1e12:.3g} TFLOPS at most)")
        peaks.append(peak)
    computed, called = SAME * sum(peaks), " and ".join(dict.fromkeys(names))
    if device is None:
        if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
            return None
        threads, computed = threads_range(machine, runtime).likely, cores_rate(machine, runtime)
        called = f"{units.cores(threads)} of the processor (about {computed[1] / 1e12:.3g} TFLOPS)"
    return Job(
        machine=machine, spec=spec, placed=placed, runtime=runtime, quantization=quantization,
        peak_flops=computed, device=device, number=max(1, len(peaks)), called=called,
    )  # fmt: skip


def _devices_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str
) -> list[Accelerator]:
    """Those that it lies on, else a GPU that shares the RAM, on which the program computes in that
    type; without a program one on which any does.
    """
    owned, makers = machine.accelerators or (), constant("shared_gpu", "any_program")
    places = {term.where for term in placed.terms}
    there = [card for number, card in enumerate(owned) if f"accelerator:{number}" in places]
    if there or placed.placement != "host" or processor_of(machine).is_guest:
        return there
    for device in owned:
        vendor, is_used = device.vendor.lower(), bool(device.unified)
        if runtime is None:
            is_used &= vendor in makers
        else:
            rule = runtime.rule_of(quantization)
            is_used &= vendor in makers or computes_on_shared(runtime, device)
            is_used &= not runtime.cpu_only and runs_on(runtime, device)
            is_used &= rule is None or not rule.vendors or vendor in rule.vendors
        if is_used:
            return [device]
    return []


def token_seconds(machine: Machine, device: Accelerator | None, step: Step) -> Range | None:
    """Of one token, as llama.cpp reads it there; None where no bandwidth is known."""
    if device is None:
        taken = processor_seconds(machine, step)
    else:
        gpu = shared_gpu_of(machine) if device.unified else gpu_of(device)
        taken = None if gpu is None else gpu.seconds(step)
    return taken and taken.ordered()


def step_seconds(machine: Machine, device: Accelerator | None, parameters: int) -> Range | None:
    """Of a step that reads so many parameters: in 16 bits on a GPU, in 32 on a processor."""
    read = {"F32": 4 * parameters} if device is None else {"BF16": 2 * parameters}
    token = token_seconds(machine, device, Step(architecture=None, read_bytes=FrozenDict(read)))
    times = constant("work", "step_on_cores" if device is None else "step_on_card")
    return None if token is None else times * token


def pace_of_documents(job: Job, tokens: int = _DOCUMENT_TOKENS) -> Speed:
    """One document of 512 tokens after the other, or one picture: two operations for each parameter
    that a token meets, and attention of all tokens to all.
    """
    spec, architecture, parameters = job.spec, job.spec.architecture, job.spec.parameters.active
    picture_operations = spec.picture_operations if architecture is None else None
    is_picture = picture_operations is not None
    operations, least = None, constant("documents", "least_parameters")
    if architecture is not None and parameters is not None:
        tokens = min(tokens, architecture.context_tokens or tokens)
        tables = sum(filter(None, (architecture.vocabulary, architecture.positions)))
        met = max(0, parameters - tables * architecture.embedding_length)
        attention = sum(
            2 * tokens * group.heads * (group.key_length + group.value_length) * len(group.layers)
            for group in architecture.attention
        )
        operations = SAME * float(tokens * (2 * met + attention))
    elif picture_operations is not None:
        operations = SAME * picture_operations
    elif parameters is not None and parameters >= least:
        operations = constant("documents", "met") * (2.0 * parameters * tokens)
    if operations is None:
        return Speed(unit=DOCUMENTS, how="the shape of the model is not known")
    what, unit = f"{tokens} tokens", DOCUMENTS
    if is_picture:
        what, unit = "one picture", PICTURES_READ
    how = f"on {job.called}; {operations[1] / 1e9:,.0f} × 10^9 operations for {what}"
    # llama.cpp reads them as prompts, others compute them as they do pictures
    work, longer, launched = "picture", job.longer_by_type(job.quantization), NOTHING
    if getattr(job.runtime, "library", None) == MEASURED_PROGRAM:
        work, longer = "prompt", SAME
    share = job.share(work)
    if job.device is not None:
        share *= constant("documents", work) * (1 / longer)
        how += f"; documents at a part of this{job.basis(work)}"
        # sentence-transformers launches the operations for so many at once
        launched = layer_from_python(job.device) * (job.layers / constant("documents", "batch"))
    pace = 1 / (job.seconds(1.0, share) * operations + launched).ordered()
    return Speed(
        work=pace,
        prompt=None if is_picture else pace * tokens,
        unit=unit,
        how=how,
    )


def pace_of_training(job: Job, workload: Workload) -> Speed:
    """Tokens trained on in a second, and how long the stated tokens take."""
    parameters, device = job.spec.parameters, job.device
    is_python = job.runtime is None or job.runtime.trainer_layers is None
    if job.placed.memory is None and is_python:
        why = "where it would be trained is not known, because its memory need is not known"
        return Speed(unit=TRAINED, how=why)
    if parameters.active is None:
        return Speed(unit=TRAINED, how="the number of parameters that each token uses is not known")
    operations = _trained_operations(job, workload) * parameters.active
    length = workload.context_tokens or _LEAST_TOKENS
    tokens = float(length * workload.parallel * job.number)
    share, unpacked, launched = constant("training", "on_cores"), NOTHING, NOTHING
    if device is not None:
        share = job.share("training") * (1 / job.longer_by_type("bfloat16"))
        # forward once, backward as long as two, and forward again
        passes, rate = 4 if workload.checkpointing else 3, device_bandwidth(device)
        if workload.finetune_method == "qlora" and rate is not None:
            moved = constant("training", "unpacked_bytes") * (passes - 1) / rate
            held = parameters.total or parameters.active
            unpacked = moved * held / constant("training", "unpacking")
        if is_python:
            launched = layer_from_python(device) * (job.layers * passes)
            if workload.finetune_method != "full":
                launched *= constant("training", "adapted_layer")
    taken = job.seconds(operations * tokens, share)
    if job.number > 1:
        taken *= constant("training", "together")
    pace = 1 / (longest(taken + unpacked, launched) * (1 / tokens)).ordered()
    asked, basis = workload.dataset_tokens, job.basis("training")
    return Speed(
        work=pace,
        unit=TRAINED,
        how=f"on {job.called}; {operations / 1e9:,.0f} × 10^9 operations a token{basis}",
        dataset_seconds=Range(*(1 / pace * asked).ordered()[::-1]) if asked else None,
    )


def _trained_operations(job: Job, workload: Workload) -> float:
    """For each token and parameter: forward 2, backward 2 for the activations and 2 for the
    weights; activations that are computed again take 2 more (arXiv:2205.05198, section 5).
    """
    adapted = None if job.runtime is None else job.runtime.trainer_layers
    again = 2 if workload.checkpointing and adapted is None else 0
    if workload.finetune_method == "full":
        return 6 + again
    share = 1.0
    if adapted and job.layers:
        share = min(1.0, adapted / job.layers)
    return 2 + 2 * share + again


def _pace_of_pictures(job: Job, unit: str) -> Speed:
    offload, parts = job.placed.offload, getattr(job.runtime, "parts", {}).get(job.spec.id)
    stated = getattr(parts, "denoising", None)
    denoising = stated or job.spec.denoising
    frames = getattr(denoising, "frames", None)
    # how the printed command makes a picture or a clip
    is_counted = stated or frames is None or "steps" in getattr(job.runtime, "blanks", ())
    if denoising is None or not is_counted:
        return Speed(unit=unit, how="the arithmetic of one step is not known")
    clip, pixels = None, job.spec.native_pixels
    what = f", {pixels} × {pixels} pixels" if pixels else ""
    if frames is not None:
        clip = frames, denoising.width or 0, denoising.height or 0
        what = f", {clip_words(*clip)}"
    how = (
        f"on {job.called}; {denoising.steps} steps{what}, {denoising.operations / 1e12:,.0f} ×"
        f" 10^12 operations in all{job.basis(_kind_of_picture(denoising, job.quantization))}"
    )
    taken = seconds_of_picture(job, denoising)
    if offload is not None:
        terms = job.placed.terms
        held = sum(term.bytes for term in terms if term.name == "weights" and term.where == "host")
        # each part once, or layer by layer with every pass
        times = denoising.steps * denoising.passes if offload == "sequential" else 1
        taken += constant("pictures", "moved_gb", offload) * (times * held / units.GB)
        how += "; its parts move to the GPU one after the other"
    return Speed(
        work=Range(*taken.ordered()[::-1]),
        unit=IMAGE if clip is None else VIDEO,
        how=how,
        clip=clip,
        frames_per_second=job.spec.frames_per_second,
    )


def _kind_of_picture(denoising: Denoising, quantization: str) -> str:
    """By which a GPU reaches a share of its peak; nobody timed clips in ggml."""
    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising.frames is None else "video"


def seconds_of_picture(job: Job, denoising: Denoising) -> Range:
    """Of the steps, the longest of computing, launching and reading, and of decoding."""
    more = job.longer_by_type(job.quantization)
    share = job.share(_kind_of_picture(denoising, job.quantization))
    # on a processor the type is in the share
    taken = job.seconds(denoising.operations, share) * more
    if job.device is not None:
        decoder_share, beside = share, NOTHING
        if denoising.frames is None:
            # clips were timed as a whole
            decoder_share = constant("pictures", "decoder") * share.likely
            beside = constant("pictures", "beside")
        blocks = denoising.blocks or constant("pictures", "fewest_blocks")
        launched = constant("pictures", "block_seconds") * (denoising.steps * blocks)
        steps = job.seconds(denoising.operations - denoising.decode_operations, share)
        decoded = job.seconds(denoising.decode_operations, decoder_share) * more
        taken = longest(steps * more, launched) + decoded + beside
    if denoising.step_parameters is None:
        return taken
    read = step_seconds(job.machine, job.device, denoising.step_parameters)
    return taken if read is None else longest(taken, read * denoising.steps)


def writing_step(spec: ModelSpec, needs: Needs, quantization: str) -> tuple[Step, float] | None:
    """One token that is written down, and the bytes of a parameter while the program computes."""
    decoder, total = spec.architecture, spec.parameters.total
    weights = sum(term.bytes for term in needs.terms if term.name in ("weights", "embeddings"))
    if decoder is None or decoder.audio is None or not total or not weights:
        return None
    width, parameter_bytes = decoder.embedding_length, weights / total
    length = max((group.length or 0 for group in decoder.feed_forward), default=4 * width)
    # four matrices for the text, two for the audio, whose keys and values are computed once
    layer = 6 * width * width + 2 * width * length
    vocabulary = decoder.vocabulary or 0
    parameters = decoder.layers * layer + width * vocabulary
    read = {quantization: int(parameters * parameter_bytes)}
    # of each layer what it keeps of the audio, keys and values of 16 bits
    kept = decoder.layers * 2 * 2 * decoder.audio.positions * width
    read["F16"] = read.get("F16", 0) + kept
    step = Step(architecture=decoder, layers=decoder.layers, read_bytes=FrozenDict(read))
    return step, parameter_bytes


def encoder_seconds(job: Job, decoder: Architecture, parameter_bytes: float) -> Range:
    """Of the encoder, for half a minute: its convolutions, its layers, and the keys and values of
    the decoder.
    """
    share, runtime, audio = job.share("encoder"), job.runtime, decoder.audio
    if audio is None:
        return NOTHING
    if job.device is None and (runtime is None or not runtime.multiplies_rows):
        # CTranslate2's
        cores = "wide" if processor_of(job.machine).core.wide else "narrow"
        share = constant("sound", cores, "bits_8" if parameter_bytes < 1.5 else "bits_32")
    width, positions = audio.embedding_length, audio.positions
    layer = 4 * width * width + 2 * width * audio.feed_forward_length
    layers = audio.layers * (2 * positions * layer + 4 * positions * positions * width)
    convolutions = 2 * 3 * (2 * positions * audio.mel_bins * width + positions * width * width)
    crossed = decoder.layers * 2 * 2 * positions * width * decoder.embedding_length
    return job.seconds(float(layers + convolutions + crossed), share)


def _written(
    job: Job, step: Step, parameter_bytes: float, audio_seconds: int | None
) -> tuple[Range, str] | None:
    token, decoder = token_seconds(job.machine, job.device, step), step.architecture
    if token is None or decoder is None:
        return None
    windows, tokens = constant("sound", "windows"), constant("sound", "tokens")
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        windows *= -(-audio_seconds // _WINDOW_SECONDS) * _WINDOW_SECONDS / audio_seconds
    encoded = windows * encoder_seconds(job, decoder, parameter_bytes)
    beams, beside = ("beams_on_cores", "beside") if job.device is None else ("beams", "beside_gpu")
    if job.device is None and job.runtime is not None and job.runtime.multiplies_rows:
        beams = "beams_by_rows"
    how = (
        f"on {job.called}; the encoder reads half a minute at a time, and {tokens[2]:g} to"
        f" {tokens[0]:g} tokens of text are written for a minute of speech{job.basis('encoder')}"
    )
    taken = encoded + tokens * constant("sound", beams) * token
    return taken + constant("sound", beside), how


def _as_published(job: Job, sound: Sound) -> tuple[Range, str] | None:
    """By the ends of the runs that others published on such hardware and their middle."""
    low, high, places = sound.card_seconds_low, sound.card_seconds_high, "graphics cards"
    if job.device is None:
        low, high, places = sound.processor_seconds_low, sound.processor_seconds_high, "processors"
    elif job.device.unified:
        # between a card and a processor, where nothing counts its steps
        is_counted = sound.operations_per_second or sound.step_parameters
        high, places = sound.processor_seconds_high, "graphics cards and processors"
        low = None if is_counted else low
    if not low or not high:
        return None
    return Range(high, sqrt(low * high), low), f"as published runs took on {places}"


def _stepped(job: Job, sound: Sound) -> tuple[Range, str] | None:
    """Seconds of a minute by what its steps read and launch, and what is computed beside them."""
    taken, device, steps = NOTHING, job.device, constant("sound", "tokens")
    if sound.operations_per_second:
        in_pytorch = job.replace(runtime=None, quantization="float32")
        taken = job.seconds(60 * sound.operations_per_second, in_pytorch.share("voice"))
        taken += constant("sound", "beside" if device is None else "beside_gpu")
    if sound.step_parameters:
        step = step_seconds(job.machine, device, sound.step_parameters)
        if step is None:
            return None
        layer = NOTHING if device is None else layer_from_python(device)
        if sound.tokens_per_second is not None:
            steps = SAME * (60 * sound.tokens_per_second)
            voice = constant("sound", "voice_layer")
            slow, likely, _ = longest(voice, layer)
            layer = Range(slow, likely, min(voice.high, layer.high))
        if device is not None and sound.step_layers is not None:
            step = longest(step, layer * sound.step_layers)
        taken += steps * step
    how = f"on {job.called}; by its operations and steps for a second of sound"
    return None if taken == NOTHING else (taken, how)
