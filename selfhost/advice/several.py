"""Several answers at once.

`describe` judges every size of a model. `comparison` puts models side by side, `in_one_type` in one
quantization. `verdict_together` is the verdict on models that run together on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.openness import OpennessRow, permissions, rows
from ..catalogue.spec import ModelSpec
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks import Outcome
from ..judge.judging import judge
from ..judge.quality import Quality, quality_of_workload
from ..judge.question import ask
from ..judge.record import (
    Judged,
    Question,
    Report,
    Verdict,
)
from ..judge.side_by_side import judge_side_by_side
from ..machine.record import Machine
from .measured import ShownQuality, shown_quality
from .understood import Model
from .verdicts import check_with

# between the names of models that run side by side
TOGETHER = " + "


# ------------------------------------------------------------------ every size of a model


class QuantizationSize(Record):
    """The sizes of a model in one quantization and runtime: its download, its memory, whether it
    fits, and its loss in quality.

    `family` is gguf, safetensors, mlx or another format. `bytes` is the size of the download, and
    `how` says how that size is known. `memory_bytes` is the most that the model may take,
    `memory_likely_bytes` the likely memory; None where these are not known.
    `accelerator_likely_bytes` is the part that decides where accelerators hold all of the model:
    the part on them, or all of it where they share the RAM; None elsewhere. `fits` is None where
    nobody can tell. `placement` is host, accelerator or split; None where the model does not fit.
    """

    quantization: str
    family: str
    runtime: str
    bytes: int
    how: str
    source: str
    memory_bytes: int | None = None
    memory_likely_bytes: int | None = None
    accelerator_likely_bytes: int | None = None
    fits: bool | None
    placement: str | None = None
    quality: Quality


class ShownModel(Record):
    """The verdict of the default, what others measured, every size, and how the loss depends on the
    model's size.
    """

    verdict: Verdict
    quality: ShownQuality
    sizes: tuple[QuantizationSize, ...]
    loss_by_size: tuple[str, str]


def describe(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machine: Machine,
) -> ShownModel:
    """All that is known of a model, its quantizations judged one by one. Raises as `check`."""
    verdict = check_with(catalogue, model, workload, machine)
    sizes = []
    for quantization in _types_of(verdict):
        size = _size(_asked_in(quantization, verdict, catalogue), machine)
        if size is not None:
            sizes.append(size)
    loss: Mapping[str, str] = catalogue.section("quantizations", "size")
    return ShownModel(
        verdict=verdict,
        quality=shown_quality(verdict.model, verdict.quality),
        sizes=tuple(sizes),
        loss_by_size=(loss["text"], loss["source"]),
    )


def _types_of(verdict: Verdict) -> Sequence[str]:
    """The types in which the program takes the model, the best first."""
    runtime = verdict.question.runtime
    if runtime is None or verdict.needs is None:
        return ()
    if verdict.quantization and verdict.workload.task == "finetune":
        # what is trained is made of the published weights, by the method
        return (verdict.quantization,)
    return need.quantizations_of(verdict.model, runtime)


def _asked_in(
    quantization: str,
    verdict: Verdict,
    catalogue: Catalogue,
) -> Question:
    """The question that `check` with that type would ask, of the files that hold it."""
    stated = verdict.question.stated
    files = verdict.question.files
    if "gguf" in files.formats and quantization != stated.quantization:
        # a GGUF file holds one quantization
        files = files.replace(are_here=False)
    workload = stated.replace(quantization=quantization, runtime=verdict.runtime)
    return ask(verdict.model, workload, catalogue, verdict.machine, files)


def _size(question: Question, machine: Machine) -> QuantizationSize | None:
    """The sizes for that question; None where the size of the files or the loss in quality is not
    known.
    """
    workload = question.workload
    quality = quality_of_workload(workload, question.spec)
    if quality is None:
        return None
    needs = question.needs
    if needs is None or needs.files is None:
        return None
    judged = judge(question, machine)
    size = QuantizationSize(
        quantization=workload.quantization or "",
        family=workload.format or "",
        runtime=workload.runtime or "",
        bytes=needs.files.bytes,
        how=needs.files.how.value,
        source=needs.files.source,
        fits=_fits(judged),
        placement=None if judged.failed else judged.placement,
        quality=quality,
    )
    # the judged layout counts more memory: each place of layers has a compute buffer of its own
    memory = judged.memory
    if memory is None:
        return size
    on_accelerators = None
    if judged.is_on_accelerators and not judged.failed:
        on_cards_bytes = judged.placed.on_cards.total_bytes
        on_accelerators = on_cards_bytes or memory.total_bytes
    return size.replace(
        memory_bytes=memory.high_bytes,
        memory_likely_bytes=memory.total_bytes,
        accelerator_likely_bytes=on_accelerators,
    )


def _fits(judged: Judged) -> bool | None:
    """Whether the model fits; None where nobody can tell. The check of the weights plays no part,
    because the user may have made the file.
    """
    if judged.failed:
        return False
    for finding in judged.findings:
        if finding.check in ("weights", "speed"):
            continue
        if finding.outcome is Outcome.UNKNOWN:
            return None
    return True


# ------------------------------------------------------------------ models side by side


class Compared(Record):
    """A model in a `Comparison`: its verdict, how open it is, and what its license permits."""

    openness: tuple[OpennessRow, ...]
    permissions: tuple[OpennessRow, ...]
    verdict: Verdict


class Comparison(Report):
    """Models side by side, by the keys of `selfhost compare --format json`. `options` are the
    options of `selfhost check` under which the models were judged, with the same machine.
    """

    models: tuple[Compared, ...]
    options: str


def comparison(
    verdicts: Sequence[Verdict],
    workload: Workload | None = None,
    carry: str = "",
) -> Comparison:
    """Return the verdicts side by side, with the openness and the permissions of each model.

    `workload` is the workload that all of them share; None for the default. `carry` are the options
    that name the machine and the specs.
    """
    models = []
    for verdict in verdicts:
        compared = Compared(
            verdict=verdict,
            openness=rows(verdict.model),
            permissions=permissions(verdict.model),
        )
        models.append(compared)
    options = "" if workload is None else workload.options()
    return Comparison(models=tuple(models), options=f"{options}{carry}")


def in_one_type(
    catalogue: Catalogue,
    models: Sequence[Model],
    verdicts: Sequence[Verdict],
    workload: Workload,
    carry: str,
) -> list[Verdict]:
    """The verdicts on these models, those on GGUF files in one quantization where one will do.
    `carry` goes behind each proposed command, as in `check_with`.

    Alone, each model gets the largest type that suits the machine, and a model with twice the bits
    looks half as fast. So all models are judged in the smallest of their types, or in the type that
    a tag or a file names. A model without a published file of that type, or that does not run in
    that type, keeps its verdict.
    """
    if workload.quantization is not None or workload.task != "generate":
        return list(verdicts)
    named = {verdict.quantization for verdict in verdicts if _names_its_type(verdict)}
    types = named or {verdict.quantization for verdict in verdicts if _is_gguf(verdict)}
    compared = []
    for model, verdict in zip(models, verdicts, strict=True):
        compared.append(verdict)
        other = _type_in_common(verdict, types)
        if other is None:
            continue
        changed = workload.replace(quantization=other, runtime=verdict.runtime)
        again = check_with(
            catalogue,
            model,
            changed,
            verdict.machine,
            carry=carry,
        )
        if again.can_run or not verdict.can_run:
            compared[-1] = again.replace(understood_as=verdict.understood_as)
    return compared


def _is_gguf(verdict: Verdict) -> bool:
    """Whether the verdict is on a GGUF file."""
    return verdict.workload.format == "gguf"


def _names_its_type(verdict: Verdict) -> bool:
    """Whether the typed name names a GGUF file, or a tag that stands for one file."""
    question = verdict.question
    if not _is_gguf(verdict):
        return False
    if question.files.is_tag or question.loads_named_files:
        return True
    return question.stated.quantization is not None


def _type_in_common(verdict: Verdict, types: set[str | None]) -> str | None:
    """The smallest of the types in which the model is published; None where it stays as it is."""
    runtime = verdict.question.runtime
    if runtime is None or not _is_gguf(verdict):
        return None
    if _names_its_type(verdict):
        return None
    for name in reversed(need.quantizations_of(verdict.model, runtime)):
        is_published = verdict.model.repository_of("gguf", name) is not None
        if name in types and is_published:
            return None if name == verdict.quantization else name
    return None


# ------------------------------------------------------------------ models on one machine


def verdict_together(
    names: Sequence[str],
    questions: Sequence[Question],
    machine: Machine,
    are_offered: Callable[[Judged], bool],
) -> Verdict:
    """The verdict on several models. `are_offered` takes their judgement and says whether APIs
    offer all of them.
    """
    judged = judge_side_by_side(questions, names, machine)
    specs = [question.spec for question in questions]
    together = Question(
        spec=ModelSpec(
            id=TOGETHER.join(spec.id for spec in specs),
            name=TOGETHER.join(spec.name for spec in specs),
        ),
        workload=Workload(memory_basis=questions[0].workload.memory_basis),
    )
    return Verdict.conclude(
        judged.replace(question=together),
        machine,
        offered=are_offered(judged),
        asked=TOGETHER.join(names),
    )
