"""All that is known of a model: what `selfhost show` tells."""

from __future__ import annotations

from collections.abc import Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import Quality, loss_by_size, quality_for
from ..catalogue.runtime import RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..judge.judging import judge
from ..judge.question import architectures, beyond
from ..judge.record import Outcome, Question, Verdict
from ..machine.record import Machine
from .understood import Understood, judged_for, question_of, understand
from .verdicts import answer


class Size(Record):
    """One quantization of a model with one runtime: what travels, what it takes, whether it would
    run, what it costs in quality.

    `family` is gguf, safetensors, mlx or another format; `bytes` the download's, `how` they are
    known; `memory_bytes` the most it may take, None where that is not known; `fits` is None where
    it cannot be told.
    """

    quantization: str
    family: str
    runtime: str
    bytes: int
    how: str
    source: str
    memory_bytes: int | None = None
    fits: bool | None = None
    quality: Quality


class Shown(Record):
    """What `selfhost show` tells: the verdict of the default, every size, how the loss depends
    on the model's size (text, source).
    """

    verdict: Verdict
    sizes: tuple[Size, ...]
    loss_by_size: tuple[str, str]


# beside the one that is judged: the programs whose files people download
SHOWN_RUNTIMES = ("llama.cpp", "transformers", "vllm", "mlx")


def _runtimes_of(
    catalogue: Catalogue, question: Question, asked_workload: Workload
) -> tuple[RuntimeSpec, ...]:
    """The runtimes whose quantizations `show` lists: the one judged first, alone where it was asked
    for or where it trains. Those that cannot be asked for so many sequences, or that type of cache,
    are left out.
    """
    own, spec = question.runtime, question.spec
    if own is None:
        return ()
    is_stated = asked_workload.runtime is not None or question.local_files
    is_trained = asked_workload.task == "finetune"
    if is_stated or is_trained or spec.modality not in ("text", "vision", "embedding"):
        return (own,)
    others = [catalogue.runtime(name) for name in SHOWN_RUNTIMES if name != own.id]
    loading = [runtime for runtime in others if need.why_not_loaded(spec, runtime) is None]
    return (own, *(at for at in loading if not any(beyond(spec, asked_workload, at, catalogue))))


def _size(catalogue: Catalogue, question: Question, machine: Machine) -> Size | None:
    """That quantization judged, None where its size cannot be told."""
    needs, runtime, quantization = question.needs, question.runtime, question.workload.quantization
    cost = quality_for(question.workload, catalogue, question.spec)
    if needs is None or needs.download_bytes is None or runtime is None:
        return None
    if quantization is None or cost is None:
        return None
    judged = judge(question, machine)
    # as it would lie: where layers are shared out, each place has a compute buffer of its own
    memory = judged.needs.memory if judged.needs is not None else needs.memory
    # of a file that somebody has, nobody asks here whether it was published
    deciding = [finding for finding in judged.findings if finding.check not in ("weights", "speed")]
    is_open = any(finding.outcome is Outcome.UNKNOWN for finding in deciding)
    fits = None if is_open else True
    return Size(
        quantization=quantization,
        family=question.workload.format or "",
        runtime=runtime.id,
        bytes=needs.download_bytes,
        how=needs.download_how.value if needs.download_how else "assumed",
        source=needs.download_source or "",
        memory_bytes=memory.high_bytes if memory else None,
        fits=False if judged.failed else fits,
        quality=cost,
    )


def _sizes(
    catalogue: Catalogue,
    understood: Understood,
    question: Question,
    machine: Machine,
    runtimes: Sequence[RuntimeSpec],
) -> tuple[Size, ...]:
    """Every quantization judged, best quality first, what no list orders last."""
    by_name: dict[tuple[str, str], Size] = {}
    files, asked = understood.files, understood.workload
    for runtime in runtimes:
        types: Sequence[str | None]
        types = need.quantizations_of(question.spec, runtime, architectures(catalogue))
        if question.workload.task == "finetune" and question.workload.quantization:
            # what is trained is made of the published weights, by the method
            types = (question.workload.quantization,)
        for quantization in types:
            # a GGUF file holds one quantization
            is_held = "gguf" not in files.formats or quantization == asked.quantization
            variant = understood.replace(
                workload=asked.replace(quantization=quantization, runtime=runtime.id),
                files=files.replace(are_here=files.are_here and is_held),
            )
            size = _size(catalogue, question_of(catalogue, variant, machine), machine)
            if size is None:
                continue
            before = by_name.get((size.family, size.quantization))
            # of two programs that load it, the one that runs here is shown
            if before is None or (size.fits and not before.fits):
                by_name[size.family, size.quantization] = size
    order = [*catalogue.common("quantizations")["quantization"]]
    families = [family for family, _ in by_name]
    places = {name: place for place, name in enumerate(order)}
    return tuple(
        sorted(
            by_name.values(),
            key=lambda size: (
                families.index(size.family),
                places.get(size.quantization, len(order)),
            ),
        )
    )


def describe(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machine: Machine,
) -> Shown:
    """All that is known of a model, its quantizations judged one by one. Raises as `check`."""
    understood = understand(catalogue, model, workload, machine)
    judged = judged_for(catalogue, understood, machine)
    question = judged.question
    runtimes = _runtimes_of(catalogue, question, workload) if question.needs else ()
    return Shown(
        verdict=answer(catalogue, judged, understood, machine, instead=True),
        sizes=_sizes(catalogue, understood, question, machine, runtimes),
        loss_by_size=loss_by_size(catalogue),
    )
