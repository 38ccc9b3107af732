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
from ..judge.pace.pacing import advice
from ..judge.present import begun, elsewhere, unseen
from ..judge.question import architectures
from ..judge.record import Judged, Question
from ..machine.record import Machine
from ..needs.records import MemoryNeed
from .case import WORTH_BOUNDING

DRAFT_NOTE = (
    "The speed-up from a draft depends on how many of its tokens are accepted: more in code, fewer"
    " in free text. The range is that of usual texts; where few are accepted, no draft is faster."
)
_TRAINING = (
    "Assumes one GPU; if none is large enough, {otherwise}. GPUs that each hold the whole model"
    " train in parallel. Install peft beside transformers; QLoRA and 8-bit optimizers also need"
    " bitsandbytes."
)
_EXPERTS_BY_TRAINER = (
    "The memory of the routed experts depends on the trainer: {least} if it quantizes them"
    " (Unsloth, Axolotl; the low end), {likely} if they stay in 16 bits (bitsandbytes;"
    " taken as likely), {most} if peft's prepare_model_for_kbit_training casts them to 32 bits"
    " (the high end)."
)
_CHECKPOINTS = (
    "Long conversations may need up to {more} more RAM: {runtime} keeps up to {kept} checkpoints of"
    " {whose}."
)
_CHECKPOINTS_BOUND = " Start {program} with {option} to stay within the figure above."
_LARGER_PICTURE = (
    "The memory is for an image of one megapixel; one of {side:,} × {side:,} or more needs {more}"
    " more."
)
_PICTURE_BOUND = " To limit that, start {program} with {option}."
_SLOTS = (
    "{start} -np {parallel}. Without it {program} reserves {slots} sequences, which needs {more}"
    " more."
)
_TEXT_ALONE = "{runtime} runs the text part of {model} alone: it takes no images."
_MADE_WHILE_LOADING = (
    "{runtime} downloads the published weights ({bits} bits) and makes {type} of them while"
    " loading."
)
_SIZE_OF_NAMED = "The size is computed: the catalogue names the files, not their sizes."
_SIZE_COMPUTED = (
    "The size is computed: this catalogue knows of no {type} file of {model}. Hugging Face lists"
    " the conversions{where}"
)

# the share of the need from which on what another slot takes is worth a sentence beside the line
# that holds it down
_SLOTS_WORTH_SAYING = 0.02


def training_note(workload: Workload) -> str:
    from ..needs.training import why_not_shared_out

    alone = why_not_shared_out(workload)
    if alone is None:
        return _TRAINING.format(otherwise="the model is split across GPUs, otherwise it uses RAM")
    return _TRAINING.format(otherwise=f"it uses RAM, because {alone[0]}")


def which_trainer(catalogue: Catalogue, question: Question) -> str | None:
    """A sentence where the trainer decides how wide the routed experts lie, which is most of
    what QLoRA takes of such a model.
    """
    needs = question.needs
    if question.workload.finetune_method != "qlora" or needs is None or needs.memory is None:
        return None
    from ..needs.training import experts_by_trainer

    expert_bytes = experts_by_trainer(question.spec, architectures(catalogue))
    if expert_bytes is None:
        return None
    least, likely, most = map(units.binary, expert_bytes)
    return _EXPERTS_BY_TRAINER.format(least=least, likely=likely, most=most)


def notes_instead(
    catalogue: Catalogue, question: Question, judged: Judged, *, is_bounded: bool
) -> Iterator[str]:
    """Sentences on what other uses would take, and how to bound that; `is_bounded`: the printed
    line keeps a long conversation at what is counted.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    memory = judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return
    rows, worth_bytes = architectures(catalogue), WORTH_BOUNDING * memory.high_bytes
    program = runtime.service.program if runtime.service is not None else runtime.name
    more = 0 if is_bounded else need.more_in_conversation(spec, runtime, workload, rows)
    if more and more >= worth_bytes:
        users = workload.parallel
        note = _CHECKPOINTS.format(
            more=units.binary(more),
            runtime=runtime.name,
            kept=runtime.kept_checkpoints,
            whose=f"each of {users} conversations" if users > 1 else "a conversation",
        )
        option = runtime.options.get("checkpoints", "")
        option = option.replace("{context_checkpoints}", str(runtime.context_checkpoints))
        yield note + (_CHECKPOINTS_BOUND.format(program=program, option=option) if option else "")
    yield from _on_larger_pictures(catalogue, question, memory)


def _on_larger_pictures(
    catalogue: Catalogue, question: Question, memory: MemoryNeed
) -> Iterator[str]:
    """A sentence where a picture larger than the one that is counted takes much more."""
    runtime = question.runtime
    if runtime is None:
        return
    most, side = need.largest_picture(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    worth_bytes = WORTH_BOUNDING * memory.high_bytes
    picture = next((term for term in memory.terms if term.name == "projector_compute"), None)
    if picture is None or picture.high_bytes >= most or most - picture.bytes < worth_bytes:
        return
    note, service = _LARGER_PICTURE, runtime.service
    if service is not None and "pictures" in service.bounds:
        note += _PICTURE_BOUND
    program, option = (service.program, service.bounds.get("pictures")) if service else ("", "")
    more = units.binary(most - picture.bytes)
    yield note.format(side=side, more=more, program=program, option=option)


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
    total = "" if lines else f" -c {(workload.context_tokens or 0) * workload.parallel}"
    program = runtime.service.program if runtime.service is not None else runtime.name
    return _SLOTS.format(
        start="Keep" if tells_sequences(lines) else f"Start {program} with{total}",
        program=program,
        parallel=workload.parallel,
        slots=runtime.slots,
        more=units.binary(more),
    )


def faster_ways(question: Question, judged: Judged, machine: Machine) -> tuple[str, ...]:
    placement = judged.needs.placement if judged.needs is not None and judged.fits else None
    copies = judged.speed.prompt_copies if judged.speed is not None else None
    if placement == "split" and copies is not None and question.runtime is not None:
        from ..judge.pace.prompt_copies import faster_in_batches

        return faster_in_batches(copies, question.runtime)
    if placement != "host":
        return ()
    return advice(
        machine,
        question.spec.architecture,
        question.read_bytes or {},
        context_tokens=question.workload.context_tokens,
        runtime=question.runtime,
    )


def lies_elsewhere(catalogue: Catalogue, question: Question, machine: Machine) -> str | None:
    """A sentence where files of the model may lie on the machine that do not count as here."""
    spec, needs, runtime, workload = (
        question.spec,
        question.needs,
        question.runtime,
        question.workload,
    )
    if needs is None or question.missing_bytes == 0 or question.local_files:
        return None
    note = elsewhere(spec, workload, machine, catalogue)
    if note is not None or runtime is None or question.here is not None:
        return note
    note = begun(spec, runtime, workload, needs, machine, catalogue)
    # the search for models did not get through the store that the runtime looks in
    missed = unseen(machine, runtime.store) if machine.models_present is not None else None
    if note is not None or missed is None or not missed.remedy:
        return note
    return f"It may be here already: {missed.reason} ({missed.remedy})."


def about_files(question: Question, *, fits: bool) -> Iterator[str]:
    """Sentences on the files: that they are quantized while loading, or that no publisher's of
    that quantization are known.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    format, type = workload.format or "", workload.quantization or ""
    if runtime is None or question.local_files or not type or workload.task != "generate":
        return
    rule = runtime.rule_of(type)
    if need.takes_text_alone(spec, runtime):
        yield _TEXT_ALONE.format(runtime=runtime.name, model=spec.name)
    if need.loads_sixteen_bits(spec, runtime, format, type):
        stored = spec.architecture.dtype if spec.architecture is not None else None
        bits = 32 if stored == "float32" else 16
        yield _MADE_WHILE_LOADING.format(runtime=runtime.name, bits=bits, type=type)
    elif fits and _has_no_listing(spec, runtime, format, type):
        yield _on_a_computed_size(spec, runtime, type)
    if rule is not None and rule.needs:
        yield f"{runtime.name} needs for it: pip install {rule.needs}."


def _on_a_computed_size(spec: ModelSpec, runtime: RuntimeSpec, type: str) -> str:
    """Why no listing has the size, and where files may be found."""
    parts = need.parts_of(spec, runtime)
    if parts is not None and type in parts.quantizations:
        return _SIZE_OF_NAMED
    where = f": {spec.conversions_page}" if spec.conversions_page else ""
    return _SIZE_COMPUTED.format(type=type, model=spec.name, where=where)


def _has_no_listing(spec: ModelSpec, runtime: RuntimeSpec, format: str, type: str) -> bool:
    """Whether somebody else than the publisher makes such files, and none are listed."""
    if format not in ("gguf", "mlx") and runtime.rule_of(type) is None:
        return False
    files = spec.files_of(format, type)
    is_listed = files is not None and files.listed
    return not is_listed and need.published(spec, format, type) is None
