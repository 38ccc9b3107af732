"""The pace of work that is not counted in generated tokens: documents and training in this module,
pictures and speech in `media`.

A pace is given only for work of which five or more independent runs were found; `_untimed` names
the work without such runs.
"""

from __future__ import annotations

from functools import cache

from ...catalogue.spec import ModelSpec
from ...core.workload import Workload
from ...machine.record import Accelerator, Machine
from ...needs.quantization import BASE_TYPES
from ...needs.records import Needs
from ..record import Question
from . import AUDIO, DOCUMENTS, IMAGE, MUSIC, PICTURES_READ, TRAINED, VIDEO, Speed
from .figures import Figures
from .job import Job, job_of
from .ranges import NO_SECONDS, Amount, Range, Seconds, longest
from .rates import device_bandwidth
from .tables import pace_tables

# the unit of the pace of other work than text, by modality
_UNITS = {
    "embedding": DOCUMENTS,
    "image": IMAGE,
    "video": VIDEO,
    "speech": AUDIO,
    "music": MUSIC,
}
_DOCUMENT_TOKENS = 512
# the length of a training sequence where none was resolved: trl's default (1,024)
_LEAST_TOKENS = 1024


def pace_of_work(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> Speed:
    """Return the pace of work that writes no text. Where the pace is not known, `work` is None and
    `how` says why.
    """
    # the case has the model with the size that options state for its pictures
    spec = question.spec if question.case is None else question.case.spec
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
    # imported here: documents and training need no `media`
    from .media import pace_of_pictures, pace_of_sound

    if unit == AUDIO:
        return pace_of_sound(job, workload.audio_seconds)
    return pace_of_pictures(job, unit)


# ------------------------------------------------------------------ what was timed


def _too_few(work: str) -> str:
    return f"fewer than five independent timed runs of {work} were found"


def _untimed(job: Job, unit: str) -> str | None:
    """The kind of work on the job's device of which too few timed runs were found; None where
    enough were found.
    """
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


# ------------------------------------------------------------------ documents


class DocumentFigures(Figures):
    """The figures of documents that are turned into vectors."""

    prompt: Range
    picture: Range
    met: Amount
    least_parameters: int
    batch: int


@cache
def document_figures() -> DocumentFigures:
    """The figures of documents. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("documents", DocumentFigures)


def pace_of_documents(job: Job, tokens: int = _DOCUMENT_TOKENS) -> Speed:
    """Return the pace of documents of 512 tokens, or of pictures, that are read one after the
    other.
    """
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
    # llama.cpp reads these tokens as a prompt; other programs compute them like a picture
    kind = "prompt" if job.is_ggml else "picture"
    if job.device is None:
        taken = job.seconds(1.0, job.share(kind)) * operations
    else:
        taken = _seconds_on_gpu(job, operations)
        how += f"; documents at a part of this{job.basis(kind)}"
    pace = 1 / taken
    if is_picture:
        return Speed(work=pace, unit=PICTURES_READ, how=how)
    return Speed(work=pace, prompt=pace * tokens, unit=DOCUMENTS, how=how)


def _seconds_on_gpu(job: Job, operations: Amount) -> Seconds:
    """The seconds of a document of `operations` operations on a GPU."""
    figures = document_figures()
    if job.is_ggml:
        share = job.share("prompt") * figures.prompt
    else:
        part = figures.picture / job.longer_by_type(job.quantization)
        share = job.share("picture") * part
    computing = job.seconds(1.0, share) * operations
    # sentence-transformers launches the operations once for each batch
    return computing + job.launched_layer * (job.layers / figures.batch)


def _operations_of_document(spec: ModelSpec, tokens: int) -> Amount | None:
    """The operations of a document: two for each parameter that multiplies a token, and attention
    of all tokens to all.

    For a picture, the operations that its spec states. None where the operations are not known.
    """
    architecture = spec.architecture
    parameters = spec.parameters.active
    if architecture is None and spec.picture_operations is not None:
        return Amount.of(spec.picture_operations)
    if parameters is None:
        return None
    if architecture is None:
        figures = document_figures()
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


# ------------------------------------------------------------------ training


class TrainingFigures(Figures):
    """The figures of training."""

    unpacking: Range
    unpacked_bytes: float
    adapted_layer: Amount


@cache
def training_figures() -> TrainingFigures:
    """The figures of training. Raises `SpecError` where the file is missing or wrong."""
    return pace_tables().record("training", TrainingFigures)


def pace_of_training(job: Job, workload: Workload) -> Speed:
    """Return the pace of training on a GPU in tokens per second, with the seconds that the stated
    tokens take.
    """
    if job.placed.memory is None and job.trainer_layers is None:
        why = "where it would be trained is not known, because its memory need is not known"
        return Speed(unit=TRAINED, how=why)
    parameters = job.spec.parameters.active
    if parameters is None:
        why = "the number of parameters that each token uses is not known"
        return Speed(unit=TRAINED, how=why)
    operations = _trained_operations(job, workload) * parameters
    length = workload.context_tokens or _LEAST_TOKENS
    tokens = float(length * workload.parallel)
    step = _seconds_of_training_step(job, workload, operations * tokens)
    pace = 1 / (step / tokens)
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


def _seconds_of_training_step(
    job: Job,
    workload: Workload,
    operations: float,
) -> Seconds:
    """The seconds of a training step: the longer of computing the operations, with unpacking, and
    of launching them.
    """
    assert job.device is not None, "only training on a GPU was timed"
    share = job.share("training") / job.longer_by_type("bfloat16")
    computing = job.seconds(operations, share)
    computing += _unpacking_seconds(job, workload, job.device)
    if job.trainer_layers is not None:
        return computing
    launching = job.launched_layer * (job.layers * _passes(workload))
    if workload.finetune_method != "full":
        launching *= training_figures().adapted_layer
    return longest(computing, launching)


def _passes(workload: Workload) -> int:
    """The number of passes, in forward passes: forward once, backward as long as two, and forward
    again where activations are not kept.
    """
    return 4 if workload.checkpointing else 3


def _unpacking_seconds(
    job: Job,
    workload: Workload,
    device: Accelerator,
) -> Seconds:
    """The seconds in which a training step unpacks weights in 4 bits, once with every pass; zero
    for weights of other types, and where no bandwidth is known.
    """
    rate = device_bandwidth(device)
    if workload.finetune_method != "qlora" or rate is None:
        return NO_SECONDS
    figures = training_figures()
    parameters = job.spec.parameters.total or job.spec.parameters.active or 0
    moved_bytes = figures.unpacked_bytes * (_passes(workload) - 1) * parameters
    return moved_bytes / rate / figures.unpacking


def _trained_operations(job: Job, workload: Workload) -> float:
    """The operations of training for each token and parameter.

    Forward takes 2, backward 2 for the activations and 2 for the weights. Activations that are
    computed again take 2 more (arXiv:2205.05198, section 5).
    """
    trained = job.trainer_layers
    again = 2 if workload.checkpointing and trained is None else 0
    if workload.finetune_method == "full":
        return 6 + again
    share = 1.0
    if trained and job.layers:
        share = min(1.0, trained / job.layers)
    return 2 + 2 * share + again
