"""How fast work goes that is not counted in generated tokens: documents, pictures, clips, speech
and training.

Each pace is operations over a share of what the device computes, with what is read, launched and
moved beside that. The shares stand in `specs/common/pace.toml`. A pace is told only where five or
more independent runs of such work were found; `_why_untimed` says where they were not.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import NamedTuple

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
from . import MEASURED_PROGRAM, TRAINED, Speed, Step, clip_words
from .processor import cores_rate, processor_of, threads_range
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest
from .rates import (
    device_bandwidth,
    gpu_of,
    is_timed,
    layer_from_python,
    share_row,
    shared_gpu_of,
)
from .tables import TypeRow, pace_tables
from .text import processor_seconds
from .work_tables import work_tables

DOCUMENTS, PICTURES_READ = "documents_per_second", "pictures_per_second"
IMAGE, VIDEO = "seconds_per_image", "seconds_per_video"
AUDIO, MUSIC = "seconds_per_audio_minute", "seconds_per_music_minute"
# in what the pace of such models is counted, by their modality
_UNITS = {
    "embedding": DOCUMENTS, "image": IMAGE, "video": VIDEO, "speech": AUDIO, "music": MUSIC,
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

    @property
    def multiplies_rows(self) -> bool:
        """Whether the program multiplies row by row."""
        return self.runtime is not None and self.runtime.pace.multiplies_rows

    @property
    def is_ggml(self) -> bool:
        """Whether the program computes with the code of the one that was measured."""
        return self.runtime is not None and self.runtime.library == MEASURED_PROGRAM

    def seconds(self, operations: float, share: Range) -> Seconds:
        """Of so many operations, where the work reaches that share of the peak."""
        return operations / (self.peak_flops * share)

    def share(self, work: str) -> Range:
        """Of the peak, what work of that kind reaches: of a processor's on prompts, with a type."""
        if self.device is not None:
            return share_row(self.device, work).share
        figures = work_tables().work
        is_wide = processor_of(self.machine).core.wide
        if self.multiplies_rows:
            rows = _row_of_type(self.quantization, with_rows=True).rows
            assert rows is not None, "F16 states its rows"
            return figures.rows * rows.on(is_wide=is_wide)
        if self.is_ggml:
            prompt = _row_of_type(self.quantization, with_rows=False).prompt
            assert prompt is not None, "F16 states its share of a prompt"
            return figures.blocks * prompt.on(is_wide=is_wide)
        return self._share_in_pytorch()

    def _share_in_pytorch(self) -> Range:
        """Of what a processor computes on prompts, what PyTorch reaches in the type."""
        figures = work_tables().work
        core = processor_of(self.machine).core
        threads = threads_range(self.machine, self.runtime).likely
        share = figures.in_pytorch * (
            core.float32 * pace_tables().prompt.cores_fall.share(threads)
        )
        if self.quantization == "bfloat16":
            for name, gain in figures.in_bfloat16.items():
                if name in (self.machine.instruction_sets or ()):
                    return share * gain
        return share

    def basis(self, work: str) -> str:
        """What the share of a GPU's peak rests on, as a clause."""
        if self.device is None:
            return ""
        row = share_row(self.device, work)
        ends = f"{100 * row.share.low:g} to {100 * row.share.high:g} %"
        return f"; such work is counted at {ends} of its peak, {row.basis}"

    def longer_by_type(self, quantization: str) -> Amount:
        """As many times as long as with 16 bits that the hardware computes with."""
        longer = work_tables().work.longer
        usual = Amount.of(1)
        if quantization == "bfloat16" and self._lacks_bfloat16():
            return longer["without_bfloat16"]
        if self.device is None:
            return usual
        return longer.get(quantization, usual)

    def _lacks_bfloat16(self) -> bool:
        if self.device is None:
            return _BFLOAT16_SETS.isdisjoint(self.machine.instruction_sets or ())
        capability = gpus.capability_of(self.device)
        return gpus.reaches_capability(capability, _LEAST_WITH_BFLOAT16) is False


def _row_of_type(quantization: str, *, with_rows: bool) -> TypeRow:
    """The row of `type` whose name begins that of a quantization, and that has the figure."""
    types = pace_tables().types
    for name, row in types.items():
        figure = row.rows if with_rows else row.prompt
        if quantization.startswith(name) and figure is not None:
            return row
    return types["F16"]


def pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed:
    """The pace of what writes no text; without `work` where `how` says why nothing tells it."""
    spec = question.spec
    workload = question.workload
    unit = TRAINED if workload.task == "finetune" else _UNITS[spec.modality]
    if unit == MUSIC:
        return Speed(unit=unit, how=_too_few("music models"))
    job = job_of(machine, spec, placed, question.runtime, workload.quantization or "")
    if job is None:
        return Speed(
            unit=unit,
            how="the computing speed of the device that it runs on is not known",
        )
    why_untimed = _why_untimed(job, unit)
    if why_untimed is not None:
        return Speed(unit=unit, how=why_untimed)
    if unit == TRAINED:
        return pace_of_training(job, workload)
    if unit == DOCUMENTS:
        return pace_of_documents(job)
    if unit in (IMAGE, VIDEO):
        return _pace_of_pictures(job, unit)
    return _pace_of_sound(job, unit, workload.audio_seconds)


def _too_few(work: str) -> str:
    return f"fewer than five independent timed runs of {work} were found"


def _why_untimed(job: Job, unit: str) -> str | None:
    """Why nothing is told of such work on that device; None where enough runs were found."""
    device = job.device
    if unit == VIDEO:
        if job.placed.offload is not None:
            return _too_few("video models whose parts move to the GPU in turn")
        if device is None or not is_timed(device, "video"):
            return _too_few(f"video models on {_kind_of(device)}")
        if job.quantization in BASE_TYPES:
            return _too_few("video models in GGUF types")
    if unit == TRAINED:
        if device is None or not is_timed(device, "training"):
            return _too_few(f"training on {_kind_of(device)}")
        if job.number > 1:
            return _too_few("training on several GPUs")
    if unit == AUDIO and device is not None:
        architecture = job.spec.architecture
        is_recognizer = architecture is not None and architecture.audio is not None
        if not is_timed(device, "encoder" if is_recognizer else "voice"):
            return _too_few(f"speech models on {_kind_of(device)}")
    return None


def _kind_of(device: Accelerator | None) -> str:
    return "a CPU" if device is None else f"a GPU like {device.name}"


def job_of(
    machine: Machine,
    spec: ModelSpec,
    placed: Needs,
    runtime: RuntimeSpec | None,
    quantization: str,
) -> Job | None:
    """That work, laid out like that; None where nothing tells how fast what computes it is."""
    devices = _devices_of(machine, placed, runtime, quantization)
    if devices:
        computing = _gpus_computing(machine, devices)
    else:
        computing = _cores_computing(machine, runtime)
    if computing is None:
        return None
    return Job(
        machine=machine,
        spec=spec,
        placed=placed,
        runtime=runtime,
        quantization=quantization,
        peak_flops=computing.peak_flops,
        device=devices[-1] if devices else None,
        number=max(1, len(devices)),
        called=computing.called,
    )


class _Computing(NamedTuple):
    """What computes: operations per second, and its name."""

    peak_flops: Range
    called: str


def _gpus_computing(
    machine: Machine, devices: Iterable[Accelerator]
) -> _Computing | None:
    names = list[str]()
    peaks = list[float]()
    for device in devices:
        peak = gpus.peak_flops(device.name, gpus.capability_of(device))
        if peak is None and device.vendor.lower() == "apple":
            # that of the chip that it is part of
            peak = gpus.peak_flops(machine.cpu_model or "", None)
        if peak is None:
            return None
        names.append(f"{device.name} ({peak / 1e12:.3g} TFLOPS at most)")
        peaks.append(peak)
    return _Computing(Range.of(sum(peaks)), " and ".join(dict.fromkeys(names)))


def _cores_computing(
    machine: Machine, runtime: RuntimeSpec | None
) -> _Computing | None:
    if machine.cpu_cores_usable is None and machine.cpu_cores_physical is None:
        return None
    rate = cores_rate(machine, runtime)
    cores = units.cores(threads_range(machine, runtime).likely)
    return _Computing(
        rate, f"{cores} of the processor (about {rate.likely / 1e12:.3g} TFLOPS)"
    )


def _devices_of(
    machine: Machine, placed: Needs, runtime: RuntimeSpec | None, quantization: str
) -> list[Accelerator]:
    """Those that it lies on, else a GPU that shares the RAM, on which the program computes in that
    type; without a program one on which any does.
    """
    devices = machine.accelerators or ()
    places = {term.where for term in placed.terms}
    holding = list[Accelerator]()
    for number, card in enumerate(devices):
        if f"accelerator:{number}" in places:
            holding.append(card)
    if holding or placed.placement != "host" or processor_of(machine).is_guest:
        return holding
    for device in devices:
        if device.unified and _computes_work(device, runtime, quantization):
            return [device]
    return []


def _computes_work(
    device: Accelerator, runtime: RuntimeSpec | None, quantization: str
) -> bool:
    """Whether a program uses a GPU that shares the RAM for weights of that type."""
    vendor = device.vendor.lower()
    is_used_by_any = vendor in pace_tables().shared_gpu.any_program
    if runtime is None:
        return is_used_by_any
    if runtime.gpus.unused or not runs_on(runtime, device):
        return False
    rule = runtime.rule_of(quantization)
    if rule is not None and rule.vendors and vendor not in rule.vendors:
        return False
    return is_used_by_any or computes_on_shared(runtime, device)


def token_seconds(
    machine: Machine, device: Accelerator | None, step: Step
) -> Seconds | None:
    """Of one token, as llama.cpp reads it there; None where no bandwidth is known."""
    if device is None:
        taken = processor_seconds(machine, step)
        return None if taken is None else taken.ordered()
    gpu = shared_gpu_of(machine) if device.unified else gpu_of(device)
    return None if gpu is None else gpu.seconds(step).ordered()


def step_seconds(
    machine: Machine, device: Accelerator | None, parameters: int
) -> Seconds | None:
    """Of a step that reads so many parameters: in 16 bits on a GPU, in 32 on a processor."""
    figures = work_tables().work
    if device is None:
        read_bytes = {"F32": 4 * parameters}
        longer = figures.step_on_cores
    else:
        read_bytes = {"BF16": 2 * parameters}
        longer = figures.step_on_card
    step = Step(architecture=None, read_bytes=FrozenDict(read_bytes))
    token = token_seconds(machine, device, step)
    return None if token is None else token * longer


def pace_of_documents(job: Job, tokens: int = _DOCUMENT_TOKENS) -> Speed:
    """One document of 512 tokens after the other, or one picture."""
    architecture = job.spec.architecture
    if architecture is not None and job.spec.parameters.active is not None:
        tokens = min(tokens, architecture.context_tokens or tokens)
    operations = _operations_of_document(job.spec, tokens)
    if operations is None:
        return Speed(unit=DOCUMENTS, how="the shape of the model is not known")
    is_picture = architecture is None and job.spec.picture_operations is not None
    what = "one picture" if is_picture else f"{tokens} tokens"
    how = (
        f"on {job.called}; {operations.likely / 1e9:,.0f} × 10^9 operations for {what}"
    )
    figures = work_tables().documents
    share = job.share("prompt" if job.is_ggml else "picture")
    launching = NO_SECONDS
    if job.device is not None:
        # llama.cpp reads them as prompts, others compute them as they do pictures
        if job.is_ggml:
            share *= figures.prompt
            how += f"; documents at a part of this{job.basis('prompt')}"
        else:
            share *= figures.picture * (1 / job.longer_by_type(job.quantization))
            how += f"; documents at a part of this{job.basis('picture')}"
        # sentence-transformers launches the operations for so many at once
        launching = layer_from_python(job.device) * (job.layers / figures.batch)
    pace = 1 / (job.seconds(1.0, share) * operations + launching)
    return Speed(
        work=pace,
        prompt=None if is_picture else pace * tokens,
        unit=PICTURES_READ if is_picture else DOCUMENTS,
        how=how,
    )


def _operations_of_document(spec: ModelSpec, tokens: int) -> Amount | None:
    """Two for each parameter that a token meets, and attention of all tokens to all; of a picture
    those that its spec states. None where they are not known.
    """
    architecture, parameters = spec.architecture, spec.parameters.active
    if architecture is None and spec.picture_operations is not None:
        return Amount.of(spec.picture_operations)
    if parameters is None:
        return None
    if architecture is None:
        figures = work_tables().documents
        if parameters < figures.least_parameters:
            return None
        return figures.met * (2.0 * parameters * tokens)
    tables = (architecture.vocabulary or 0) + (architecture.positions or 0)
    met = max(0, parameters - tables * architecture.embedding_length)
    attention = 0
    for group in architecture.attention:
        width = group.heads * (group.key_length + group.value_length)
        attention += 2 * tokens * width * len(group.layers)
    return Amount.of(tokens * (2 * met + attention))


def pace_of_training(job: Job, workload: Workload) -> Speed:
    """Tokens trained on in a second on a GPU, and how long the stated tokens take."""
    parameters = job.spec.parameters
    device = job.device
    assert device is not None
    is_python = job.runtime is None or job.runtime.finetuning.trainer_layers is None
    if job.placed.memory is None and is_python:
        why = "where it would be trained is not known, because its memory need is not known"
        return Speed(unit=TRAINED, how=why)
    if parameters.active is None:
        return Speed(
            unit=TRAINED,
            how="the number of parameters that each token uses is not known",
        )
    figures = work_tables().training
    operations = _trained_operations(job, workload) * parameters.active
    length = workload.context_tokens or _LEAST_TOKENS
    tokens = float(length * workload.parallel)
    share = job.share("training") * (1 / job.longer_by_type("bfloat16"))
    unpacking = _unpacking_seconds(job, workload, device)
    launching = NO_SECONDS
    if is_python:
        launching = layer_from_python(device) * (job.layers * _passes(workload))
        if workload.finetune_method != "full":
            launching *= figures.adapted_layer
    computing = job.seconds(operations * tokens, share)
    pace = 1 / (longest(computing + unpacking, launching) * (1 / tokens))
    dataset_seconds = None
    if workload.dataset_tokens:
        dataset_seconds = (1 / pace * workload.dataset_tokens).lowest_first()
    basis = job.basis("training")
    return Speed(
        work=pace,
        unit=TRAINED,
        how=f"on {job.called}; {operations / 1e9:,.0f} × 10^9 operations a token{basis}",
        dataset_seconds=dataset_seconds,
    )


def _passes(workload: Workload) -> int:
    """Forward once, backward as long as two, and forward again where activations are not kept."""
    return 4 if workload.checkpointing else 3


def _unpacking_seconds(job: Job, workload: Workload, device: Accelerator) -> Seconds:
    """Of a step on weights in 4 bits, which are unpacked with every pass."""
    rate = device_bandwidth(device)
    if workload.finetune_method != "qlora" or rate is None:
        return NO_SECONDS
    figures = work_tables().training
    parameters = job.spec.parameters.total or job.spec.parameters.active or 0
    moved_bytes = figures.unpacked_bytes * (_passes(workload) - 1) * parameters
    return moved_bytes / rate / figures.unpacking


def _trained_operations(job: Job, workload: Workload) -> float:
    """For each token and parameter: forward 2, backward 2 for the activations and 2 for the
    weights; activations that are computed again take 2 more (arXiv:2205.05198, section 5).
    """
    adapted = None if job.runtime is None else job.runtime.finetuning.trainer_layers
    again = 2 if workload.checkpointing and adapted is None else 0
    if workload.finetune_method == "full":
        return 6 + again
    share = 1.0
    if adapted and job.layers:
        share = min(1.0, adapted / job.layers)
    return 2 + 2 * share + again


def _pace_of_pictures(job: Job, unit: str) -> Speed:
    """Seconds of a picture or a clip of the size that the program makes, or the model's own."""
    denoising = _denoising_of(job)
    if denoising is None:
        return Speed(unit=unit, how="the arithmetic of one step is not known")
    clip: tuple[int, int, int] | None = None
    what = ""
    if denoising.frames is not None:
        clip = denoising.frames, denoising.width or 0, denoising.height or 0
        what = f", {clip_words(*clip)}"
    elif job.spec.native_pixels:
        what = f", {job.spec.native_pixels} × {job.spec.native_pixels} pixels"
    how = (
        f"on {job.called}; {denoising.steps} steps{what}, {denoising.operations / 1e12:,.0f} ×"
        f" 10^12 operations in all{job.basis(_kind_of_picture(denoising, job.quantization))}"
    )
    taken = seconds_of_picture(job, denoising)
    if job.placed.offload is not None:
        taken += _moving_seconds(job.placed, denoising, job.placed.offload)
        how += "; its parts move to the GPU one after the other"
    return Speed(
        work=taken.lowest_first(),
        unit=IMAGE if clip is None else VIDEO,
        how=how,
        clip=clip,
        frames_per_second=job.spec.frames_per_second,
    )


def _denoising_of(job: Job) -> Denoising | None:
    """The steps that the program takes, else the model's own; None where they are not known.

    Of a clip the model's own count where the printed command says how many steps to take.
    """
    runtime = job.runtime
    own = job.spec.denoising
    if runtime is None:
        return None if own is None or own.frames is not None else own
    parts = runtime.parts.get(job.spec.id)
    if parts is not None and parts.denoising is not None:
        return parts.denoising
    if own is None or own.frames is None:
        return own
    return own if "steps" in runtime.command_lines.blanks else None


def _moving_seconds(placed: Needs, denoising: Denoising, offload: str) -> Seconds:
    """Of the parts that move to the GPU: each once, or layer by layer with every pass."""
    host_bytes = 0
    for term in placed.terms:
        if term.name == "weights" and term.where == "host":
            host_bytes += term.bytes
    times = 1
    if offload == "sequential":
        times = denoising.steps * denoising.passes
    seconds = work_tables().pictures.moved_gb_seconds[offload]
    return seconds * (times * host_bytes / units.GB)


def _kind_of_picture(denoising: Denoising, quantization: str) -> str:
    """By which a GPU reaches a share of its peak."""
    if quantization in BASE_TYPES:
        return "picture_ggml"
    return "picture" if denoising.frames is None else "video"


def seconds_of_picture(job: Job, denoising: Denoising) -> Seconds:
    """Of the steps, the longest of computing, launching and reading, and of decoding."""
    share = job.share(_kind_of_picture(denoising, job.quantization))
    longer = job.longer_by_type(job.quantization)
    if job.device is None:
        # on a processor the type is in the share
        taken = job.seconds(denoising.operations, share) * longer
    else:
        taken = _picture_on_gpu(job, denoising, share, longer)
    if denoising.step_parameters is None:
        return taken
    reading = step_seconds(job.machine, job.device, denoising.step_parameters)
    return taken if reading is None else longest(taken, reading * denoising.steps)


def _picture_on_gpu(
    job: Job, denoising: Denoising, share: Range, longer: Amount
) -> Seconds:
    """Of the steps, which Python launches block by block, and of the decoder."""
    figures = work_tables().pictures
    decoder_share = share
    beside = NO_SECONDS
    if denoising.frames is None:
        # clips were timed as a whole
        decoder_share = figures.decoder * share.likely
        beside = figures.beside
    blocks = denoising.blocks or figures.fewest_blocks
    launching = figures.block_seconds * (denoising.steps * blocks)
    step_operations = denoising.operations - denoising.decode_operations
    steps = job.seconds(step_operations, share) * longer
    decoding = job.seconds(denoising.decode_operations, decoder_share) * longer
    return longest(steps, launching) + decoding + beside


class _SoundSeconds(NamedTuple):
    """Seconds of a minute of sound, and what they rest on."""

    taken: Seconds
    how: str


def _pace_of_sound(job: Job, unit: str, audio_seconds: int | None) -> Speed:
    """Seconds of a minute of sound: by the layers of the model, else by what others published of
    it, else by its steps and operations.
    """
    if job.placed.offload is not None:
        return Speed(
            unit=unit,
            how="no timed run with its parts on the GPU one after another was found",
        )
    writing = writing_step(job.spec, job.placed, job.quantization)
    sound = job.spec.sound
    if writing is not None:
        found = _written(job, writing, audio_seconds)
    elif sound is not None:
        found = _as_published(job, sound) or _stepped(job, sound)
    else:
        return Speed(
            unit=unit, how="the number of operations for a second of sound is not known"
        )
    if found is None:
        return Speed(unit=unit, how="no run of it was found on a machine like this")
    pace = found.taken.lowest_first()
    return Speed(work=pace, unit=unit, how=found.how, audio_seconds=audio_seconds)


class WritingStep(NamedTuple):
    """One token that is written down by a decoder, and the bytes of a parameter while the program
    computes.
    """

    step: Step
    decoder: Architecture
    parameter_bytes: float


def writing_step(
    spec: ModelSpec, needs: Needs, quantization: str
) -> WritingStep | None:
    """One token of a recognizer; None of other models, and where its layers are not known."""
    decoder = spec.architecture
    total = spec.parameters.total
    weights = 0
    for term in needs.terms:
        if term.name in ("weights", "embeddings"):
            weights += term.bytes
    if decoder is None or decoder.audio is None or not total or not weights:
        return None
    width = decoder.embedding_length
    parameter_bytes = weights / total
    lengths = [group.length or 0 for group in decoder.feed_forward]
    length = max(lengths, default=4 * width)
    # four matrices for the text, two for the audio, whose keys and values are computed once
    layer = 6 * width * width + 2 * width * length
    vocabulary = decoder.vocabulary or 0
    parameters = decoder.layers * layer + width * vocabulary
    read = {quantization: int(parameters * parameter_bytes)}
    # of each layer what it keeps of the audio, keys and values of 16 bits
    kept = decoder.layers * 2 * 2 * decoder.audio.positions * width
    read["F16"] = read.get("F16", 0) + kept
    step = Step(
        architecture=decoder, layers=decoder.layers, read_bytes=FrozenDict(read)
    )
    return WritingStep(step, decoder, parameter_bytes)


def encoder_seconds(job: Job, decoder: Architecture, parameter_bytes: float) -> Seconds:
    """Of the encoder, for half a minute: its convolutions, its layers, and the keys and values of
    the decoder.
    """
    audio = decoder.audio
    assert audio is not None, "it hears, as `writing_step` found"
    width = audio.embedding_length
    positions = audio.positions
    layer = 4 * width * width + 2 * width * audio.feed_forward_length
    layers = audio.layers * (2 * positions * layer + 4 * positions * positions * width)
    convolutions = (
        2 * 3 * (2 * positions * audio.mel_bins * width + positions * width * width)
    )
    crossed = decoder.layers * 2 * 2 * positions * width * decoder.embedding_length
    operations = float(layers + convolutions + crossed)
    return job.seconds(operations, _share_of_encoder(job, parameter_bytes))


def _share_of_encoder(job: Job, parameter_bytes: float) -> Range:
    """On a processor CTranslate2's, unless the program multiplies row by row."""
    if job.device is not None or job.multiplies_rows:
        return job.share("encoder")
    figures = work_tables().sound
    shares = figures.wide if processor_of(job.machine).core.wide else figures.narrow
    return shares.bits_8 if parameter_bytes < 1.5 else shares.bits_32


def _written(
    job: Job, writing: WritingStep, audio_seconds: int | None
) -> _SoundSeconds | None:
    """Of a recognizer: the encoder, the tokens that are written, and what the program does."""
    token = token_seconds(job.machine, job.device, writing.step)
    if token is None:
        return None
    figures = work_tables().sound
    windows = figures.windows
    if audio_seconds:
        # the encoder reads half a minute whatever is left of it
        count = -(-audio_seconds // _WINDOW_SECONDS)
        windows *= count * _WINDOW_SECONDS / audio_seconds
    encoding = encoder_seconds(job, writing.decoder, writing.parameter_bytes) * windows
    if job.device is not None:
        beams = figures.beams
        beside = figures.beside_gpu
    else:
        beams = figures.beams_by_rows if job.multiplies_rows else figures.beams_on_cores
        beside = figures.beside
    tokens = figures.tokens
    how = (
        f"on {job.called}; the encoder reads half a minute at a time, and {tokens.fast:g} to"
        f" {tokens.slow:g} tokens of text are written for a minute of speech{job.basis('encoder')}"
    )
    return _SoundSeconds(encoding + token * (tokens * beams) + beside, how)


def _as_published(job: Job, sound: Sound) -> _SoundSeconds | None:
    """By the ends of the runs that others published on such hardware and their middle."""
    low = sound.card_seconds_low
    high = sound.card_seconds_high
    places = "graphics cards"
    if job.device is None:
        low = sound.processor_seconds_low
        high = sound.processor_seconds_high
        places = "processors"
    elif job.device.unified:
        return None
    if not low or not high:
        return None
    return _SoundSeconds(
        Seconds(high, sqrt(low * high), low), f"as published runs took on {places}"
    )


def _stepped(job: Job, sound: Sound) -> _SoundSeconds | None:
    """Seconds of a minute by what its steps read and launch, and what is computed beside them."""
    figures = work_tables().sound
    taken = NO_SECONDS
    if sound.operations_per_second:
        in_pytorch = job.replace(runtime=None, quantization="float32")
        taken += job.seconds(
            60 * sound.operations_per_second, in_pytorch.share("voice")
        )
        taken += figures.beside if job.device is None else figures.beside_gpu
    if sound.step_parameters:
        step = _step_of_voice(job, sound, sound.step_parameters)
        if step is None:
            return None
        steps = figures.tokens
        if sound.tokens_per_second is not None:
            steps = Amount.of(60 * sound.tokens_per_second)
        taken += step * steps
    if taken == NO_SECONDS:
        return None
    how = f"on {job.called}; by its operations and steps for a second of sound"
    return _SoundSeconds(taken, how)


def _step_of_voice(job: Job, sound: Sound, parameters: int) -> Seconds | None:
    """Of a step of a voice, the longer of reading its parameters and launching its layers."""
    reading = step_seconds(job.machine, job.device, parameters)
    if reading is None or job.device is None or sound.step_layers is None:
        return reading
    layer = layer_from_python(job.device)
    if sound.tokens_per_second is not None:
        voice_layer = work_tables().sound.voice_layer
        fast = min(voice_layer.fast, layer.fast)
        layer = longest(voice_layer, layer)._replace(fast=fast)
    return longest(reading, layer * sound.step_layers)
