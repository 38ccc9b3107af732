"""How fast work goes that is not counted in generated tokens: documents and training here, pictures
and speech in `media`.

Each pace is operations over a share of what the device computes, with what is read, launched and
moved beside that. The shares stand in `specs/common/pace.toml`. A pace is told only where five or
more independent runs of such work were found; `_untimed` says where they were not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...catalogue.runtime import RuntimeSpec
from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import FrozenDict, Record
from ...core.workload import Workload
from ...machine import gpus
from ...machine.record import Accelerator, Machine
from ...needs.quantization import BASE_TYPES
from ...needs.records import Needs
from ..devices import computes_on_shared, runs_on
from ..record import Question
from . import MEASURED_PROGRAM, TRAINED, Speed, Step
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
from .tables import ByVectors, TypeRow, pace_tables
from .text import processor_seconds
from .work_tables import work_tables

DOCUMENTS = "documents_per_second"
PICTURES_READ = "pictures_per_second"
IMAGE = "seconds_per_image"
VIDEO = "seconds_per_video"
AUDIO = "seconds_per_audio_minute"
MUSIC = "seconds_per_music_minute"
# in what the pace of such models is counted, by their modality
_UNITS = {
    "embedding": DOCUMENTS, "image": IMAGE, "video": VIDEO, "speech": AUDIO, "music": MUSIC,
}  # fmt: skip
_DOCUMENT_TOKENS = 512
# a sequence that is trained on, where no length was resolved: that of trl (1,024)
_LEAST_TOKENS = 1024
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

    @property
    def adapted_layers(self) -> int | None:
        """The layers that a trainer of its own trains; None of a program in Python."""
        return None if self.runtime is None else self.runtime.finetuning.trainer_layers

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
            rows = _figure_of_type(self.quantization, lambda row: row.rows)
            return figures.rows * rows.on(is_wide=is_wide)
        if self.is_ggml:
            prompt = _figure_of_type(self.quantization, lambda row: row.prompt)
            return figures.blocks * prompt.on(is_wide=is_wide)
        return self._share_in_pytorch()

    def _share_in_pytorch(self) -> Range:
        """Of what a processor computes on prompts, what PyTorch reaches in the type."""
        figures = work_tables().work
        threads = threads_range(self.machine, self.runtime).likely
        of_core = pace_tables().prompt.cores_fall.share(threads)
        float32 = processor_of(self.machine).core.float32
        share = figures.in_pytorch * (float32 * of_core)
        if self.quantization == "bfloat16":
            sets = self.machine.instruction_sets or ()
            for name, gain in figures.in_bfloat16.items():
                if name in sets:
                    return share * gain
        return share

    def basis(self, work: str) -> str:
        """What the share of a GPU's peak rests on, as a clause."""
        if self.device is None:
            return ""
        row = share_row(self.device, work)
        ends = f"{100 * row.share.low:g} to {100 * row.share.high:g} %"
        return f"; such work is counted at {ends} of its peak, {row.basis}"

    def is_timed(self, work: str) -> bool:
        """Whether enough runs of that kind of work were found on a GPU like it; False of a CPU."""
        return self.device is not None and is_timed(self.device, work)

    @property
    def device_words(self) -> str:
        """The kind of device that computes it."""
        return "a CPU" if self.device is None else f"a GPU like {self.device.name}"

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


def _figure_of_type(
    quantization: str, figure_of: Callable[[TypeRow], ByVectors | None]
) -> ByVectors:
    """The figure of the first type that has it and whose name begins that of a quantization, else
    of F16.
    """
    types = pace_tables().types
    for name, row in types.items():
        figure = figure_of(row)
        if figure is not None and quantization.startswith(name):
            return figure
    usual = figure_of(types["F16"])
    assert usual is not None, "F16 states each figure"
    return usual


def pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed:
    """The pace of what writes no text; without `work` where `how` says why nothing tells it."""
    spec = question.spec
    workload = question.workload
    unit = TRAINED if workload.task == "finetune" else _UNITS[spec.modality]
    if unit == MUSIC:
        return Speed(unit=unit, how=_too_few("music models"))
    job = job_of(machine, spec, placed, question.runtime, workload.quantization or "")
    if job is None:
        how = "the computing speed of the device that it runs on is not known"
        return Speed(unit=unit, how=how)
    untimed = _untimed(job, unit)
    if untimed is not None:
        return Speed(unit=unit, how=_too_few(untimed))
    if unit == TRAINED:
        return pace_of_training(job, workload)
    if unit == DOCUMENTS:
        return pace_of_documents(job)
    # neither documents nor training load them
    from .media import pace_of_pictures, pace_of_sound

    if unit == AUDIO:
        return pace_of_sound(job, workload.audio_seconds)
    return pace_of_pictures(job, unit)


def _too_few(work: str) -> str:
    return f"fewer than five independent timed runs of {work} were found"


def _untimed(job: Job, unit: str) -> str | None:
    """Such work on that device, where too few runs of it were found; None where enough were."""
    if unit == VIDEO:
        return _untimed_video(job)
    if unit == TRAINED:
        return _untimed_training(job)
    if unit == AUDIO:
        return _untimed_speech(job)
    return None


def _untimed_video(job: Job) -> str | None:
    if job.placed.offload is not None:
        return "video models whose parts move to the GPU in turn"
    if not job.is_timed("video"):
        return f"video models on {job.device_words}"
    if job.quantization in BASE_TYPES:
        return "video models in GGUF types"
    return None


def _untimed_training(job: Job) -> str | None:
    if not job.is_timed("training"):
        return f"training on {job.device_words}"
    if job.number > 1:
        return "training on several GPUs"
    return None


def _untimed_speech(job: Job) -> str | None:
    architecture = job.spec.architecture
    is_recognizer = architecture is not None and architecture.audio is not None
    work = "encoder" if is_recognizer else "voice"
    if job.device is None or job.is_timed(work):
        return None
    return f"speech models on {job.device_words}"


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
    names = []
    peaks = []
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
    places = {term.where for term in placed.terms}
    holding = []
    for number, card in enumerate(machine.cards):
        if f"accelerator:{number}" in places:
            holding.append(card)
    if holding or placed.placement != "host" or processor_of(machine).is_guest:
        return holding
    for card in machine.cards:
        if card.unified and _computes_work(card, runtime, quantization):
            return [card]
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
    else:
        gpu = shared_gpu_of(machine) if device.unified else gpu_of(device)
        taken = None if gpu is None else gpu.seconds(step)
    return None if taken is None else taken.ordered()


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
    spec = job.spec
    architecture = spec.architecture
    if architecture is not None and spec.parameters.active is not None:
        tokens = min(tokens, architecture.context_tokens or tokens)
    operations = _operations_of_document(spec, tokens)
    if operations is None:
        return Speed(unit=DOCUMENTS, how="the shape of the model is not known")
    is_picture = architecture is None and spec.picture_operations is not None
    what = "one picture" if is_picture else f"{tokens} tokens"
    count = f"{operations.likely / 1e9:,.0f} × 10^9 operations for {what}"
    how = f"on {job.called}; {count}"
    if job.device is None:
        share = job.share("prompt" if job.is_ggml else "picture")
        pace = 1 / (job.seconds(1.0, share) * operations)
    else:
        pace = _documents_on_gpu(job, job.device, operations)
        # llama.cpp reads them as prompts, others compute them as they do pictures
        basis = job.basis("prompt" if job.is_ggml else "picture")
        how += f"; documents at a part of this{basis}"
    if is_picture:
        return Speed(work=pace, unit=PICTURES_READ, how=how)
    return Speed(work=pace, prompt=pace * tokens, unit=DOCUMENTS, how=how)


def _documents_on_gpu(job: Job, device: Accelerator, operations: Amount) -> Range:
    """Documents of so many operations a second."""
    figures = work_tables().documents
    if job.is_ggml:
        share = job.share("prompt") * figures.prompt
    else:
        longer = job.longer_by_type(job.quantization)
        share = job.share("picture") * (figures.picture * (1 / longer))
    # sentence-transformers launches the operations for so many at once
    launching = layer_from_python(device) * (job.layers / figures.batch)
    return 1 / (job.seconds(1.0, share) * operations + launching)


def _operations_of_document(spec: ModelSpec, tokens: int) -> Amount | None:
    """Two for each parameter that a token meets, and attention of all tokens to all; of a picture
    those that its spec states. None where they are not known.
    """
    architecture = spec.architecture
    parameters = spec.parameters.active
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
    device = job.device
    assert device is not None
    parameters = job.spec.parameters.active
    is_python = job.adapted_layers is None
    if job.placed.memory is None and is_python:
        why = "where it would be trained is not known, because its memory need is not known"
        return Speed(unit=TRAINED, how=why)
    if parameters is None:
        why = "the number of parameters that each token uses is not known"
        return Speed(unit=TRAINED, how=why)
    operations = _trained_operations(job, workload) * parameters
    length = workload.context_tokens or _LEAST_TOKENS
    tokens = float(length * workload.parallel)
    share = job.share("training") * (1 / job.longer_by_type("bfloat16"))
    unpacking = _unpacking_seconds(job, workload, device)
    launching = NO_SECONDS
    if is_python:
        launching = layer_from_python(device) * (job.layers * _passes(workload))
        if workload.finetune_method != "full":
            launching *= work_tables().training.adapted_layer
    computing = job.seconds(operations * tokens, share)
    pace = 1 / (longest(computing + unpacking, launching) * (1 / tokens))
    dataset_seconds = None
    if workload.dataset_tokens:
        dataset_seconds = (1 / pace * workload.dataset_tokens).lowest_first()
    count = f"{operations / 1e9:,.0f} × 10^9 operations a token"
    return Speed(
        work=pace,
        unit=TRAINED,
        how=f"on {job.called}; {count}{job.basis('training')}",
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
    adapted = job.adapted_layers
    again = 2 if workload.checkpointing and adapted is None else 0
    if workload.finetune_method == "full":
        return 6 + again
    share = 1.0
    if adapted and job.layers:
        share = min(1.0, adapted / job.layers)
    return 2 + 2 * share + again
