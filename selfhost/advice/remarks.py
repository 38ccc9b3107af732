"""Sentences of an answer on what was not counted: other uses, copies that a server keeps, training,
files that lie elsewhere or are made while loading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core import units
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.present import begun, elsewhere, unseen
from ..verdict.question import architectures
from ..verdict.record import Judged, Question
from ..verdict.speed import advice


def training_note(workload: Workload) -> str:
    from ..needs.training import why_not_shared_out

    alone = why_not_shared_out(workload)
    judged = (
        "if none is large enough, the model is split across GPUs, otherwise it uses RAM"
        if alone is None
        else f"if none is large enough, it uses RAM, because {alone[0]}"
    )
    return (
        f"Assumes one GPU; {judged}. GPUs that each hold the whole model train in parallel. Install"
        " peft beside transformers; QLoRA and 8-bit optimizers also need bitsandbytes."
    )


DRAFT_NOTE = (
    "The speed-up from a draft depends on how many of its tokens are accepted: more in code, fewer"
    " in free text. The range is that of usual texts; where few are accepted, no draft is faster."
)


# from which share of the need on what another use takes is worth a sentence
_WORTH_SAYING = 0.1


def _growth(catalogue: Catalogue, question: Question, judged: Judged) -> str | None:
    """A sentence where the server keeps much more of a long conversation than one prompt
    leaves, and how to bound that.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return None
    more = need.more_in_conversation(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    if more < _WORTH_SAYING * memory.high_bytes:
        return None
    kept, parallel = runtime.kept_checkpoints, question.workload.parallel
    whose = f"each of {parallel} conversations" if parallel > 1 else "a conversation"
    bound = (
        f" Start llama-server with --ctx-checkpoints {runtime.context_checkpoints} to stay within"
        " the figure above."
    )
    return (
        f"Long conversations may need up to {units.binary(more)} more RAM: {runtime.name} keeps up"
        f" to {kept} checkpoints of {whose}.{bound if 'llama-server' in runtime.command else ''}"
    )


# of the need, from which share on what a server takes by itself is worth a sentence beside the line
# that holds it down
_SLOTS_WORTH_SAYING = 0.02


def tells_sequences(lines: Sequence[str]) -> bool:
    """Whether a line that is printed tells the server how many sequences to make room for."""
    return any(" -np " in line for line in lines)


def slots(
    catalogue: Catalogue, question: Question, judged: Judged, lines: tuple[str, ...]
) -> str | None:
    """A sentence where a server that is not told for how many sequences takes more; always
    where no line is printed that tells it.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None or not judged.fits:
        return None
    workload = question.workload
    more = need.more_in_slots(question.spec, runtime, workload, architectures(catalogue))
    if more <= 0 or (lines and more < _SLOTS_WORTH_SAYING * memory.high_bytes):
        return None
    total = "" if lines else f"-c {(workload.context_tokens or 0) * workload.parallel} "
    start = "Keep" if tells_sequences(lines) else f"Start llama-server with {total}".rstrip()
    return (
        f"{start} -np {workload.parallel}. Without it llama-server reserves"
        f" {runtime.slots} sequences, which needs {units.binary(more)} more."
    )


def _larger_picture(catalogue: Catalogue, question: Question, judged: Judged) -> str | None:
    """A sentence where a picture larger than the one that is counted takes much more, and how
    to bound that.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return None
    most, side = need.largest_picture(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    counted = next((term for term in memory.terms if term.name == "projector_compute"), None)
    if (
        counted is None
        or counted.high_bytes >= most
        or most - counted.bytes < _WORTH_SAYING * memory.high_bytes
    ):
        return None
    more = most - counted.bytes
    bound = (
        " To limit that, start llama-server with --image-max-tokens N."
        if "llama-server" in runtime.command
        else ""
    )
    return (
        f"The memory is for an image of one megapixel; one of {side:,} × {side:,} or more needs"
        f" {units.binary(more)} more.{bound}"
    )


def which_trainer(catalogue: Catalogue, question: Question) -> str | None:
    """A sentence where the trainer decides how wide the routed experts lie, which is most of
    what QLoRA takes of such a model.
    """
    if (
        question.workload.finetune_method != "qlora"
        or question.needs is None
        or question.needs.memory is None
    ):
        return None
    from ..needs.training import experts_by_trainer

    expert_bytes = experts_by_trainer(question.spec, architectures(catalogue))
    if expert_bytes is None:
        return None
    least, likely, most = map(units.binary, expert_bytes)
    return (
        f"The memory of the routed experts depends on the trainer: {least} if it quantizes them"
        f" (Unsloth, Axolotl; the low end), {likely} if they stay in 16 bits (bitsandbytes;"
        f" taken as likely), {most} if peft's prepare_model_for_kbit_training casts them to 32 bits"
        " (the high end)."
    )


def _perhaps_here(runtime: RuntimeSpec, machine: Machine) -> str | None:
    """A sentence where the search for models did not get through the store that the runtime
    looks in.
    """
    missed = unseen(machine, runtime.store) if machine.models_present is not None else None
    return (
        f"It may be here already: {missed.reason} ({missed.remedy})."
        if missed and missed.remedy
        else None
    )


def faster_ways(question: Question, judged: Judged, machine: Machine) -> tuple[str, ...]:
    if not judged.fits or judged.needs is None:
        return ()
    if judged.needs.placement == "split":
        return _larger_batches(question, judged)
    if judged.needs.placement != "host":
        return ()
    workload = question.workload
    architecture = question.spec.architecture
    return advice(
        machine,
        architecture,
        question.read_bytes or {},
        context_tokens=workload.context_tokens,
        runtime=question.runtime,
    )


def _larger_batches(question: Question, judged: Judged) -> tuple[str, ...]:
    """What larger batches of a prompt gain; nothing where nothing crosses to a GPU for it."""
    copies = judged.speed.prompt_copies if judged.speed is not None else None
    if copies is None or question.runtime is None:
        return ()
    from ..verdict.prompt_copies import faster_in_batches

    return faster_in_batches(copies, question.runtime)


def notes_instead(
    catalogue: Catalogue, question: Question, judged: Judged, *, is_bounded: bool
) -> Iterator[str]:
    """Sentences on what other uses would take; `is_bounded`: the printed line keeps a long
    conversation at what is counted.
    """
    for note in (
        None if is_bounded else _growth(catalogue, question, judged),
        _larger_picture(catalogue, question, judged),
    ):
        if note is not None:
            yield note


def lies_elsewhere(catalogue: Catalogue, question: Question, machine: Machine) -> str | None:
    """A sentence where files of the model may lie on the machine that do not count as here."""
    needs, runtime, workload = question.needs, question.runtime, question.workload
    if needs is None or question.missing_bytes == 0 or question.local_files:
        return None
    note = elsewhere(question.spec, workload, machine, catalogue)
    if runtime is None or question.here is not None:
        return note
    return (
        note
        or begun(question.spec, runtime, workload, needs, machine, catalogue)
        or _perhaps_here(runtime, machine)
    )


def about_files(question: Question, *, fits: bool) -> tuple[str, ...]:
    """Sentences on the files: that they are quantized while loading, or that no publisher's of
    that quantization are known.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    format, quantization = workload.format or "", workload.quantization or ""
    if runtime is None or question.local_files or not quantization or workload.task != "generate":
        return ()
    rule, notes = runtime.rule_of(quantization), []
    if need.takes_text_alone(spec, runtime):
        notes.append(f"{runtime.name} runs the text part of {spec.name} alone: it takes no images.")
    if need.loads_sixteen_bits(spec, runtime, format, quantization):
        notes.append(
            f"{runtime.name} downloads the published weights"
            f" ({_published_words(spec)}) and makes {quantization} of them while loading."
        )
    elif (
        fits
        and (format in ("gguf", "mlx") or rule is not None)
        and not _known_files(spec, format, quantization)
    ):
        notes.append(_on_a_computed_size(spec, runtime, quantization))
    if rule is not None and rule.needs:
        notes.append(f"{runtime.name} needs for it: pip install {rule.needs}.")
    return tuple(notes)


def _published_words(spec: ModelSpec) -> str:
    architecture = spec.architecture
    is_wide = architecture is not None and architecture.dtype == "float32"
    return "32 bits" if is_wide else "16 bits"


def _on_a_computed_size(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> str:
    """Why no listing has the size, and where files may be found."""
    parts = need.parts_of(spec, runtime)
    if parts is not None and quantization in parts.quantizations:
        return "The size is computed: the catalogue names the files, not their sizes."
    where = f": {spec.conversions_page}" if spec.conversions_page else ""
    return (
        f"The size is computed: this catalogue knows of no {quantization} file of {spec.name}."
        f" Hugging Face lists the conversions{where}"
    )


def _known_files(spec: ModelSpec, format: str, quantization: str) -> bool:
    files = spec.files_of(format, quantization)
    return need.published(spec, format, quantization) is not None or (
        files is not None and files.listed
    )
