"""All that is known of a model: what `selfhost show` tells."""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import loss_by_size, quality_for
from ..catalogue.spec import RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..machine.reader import Machine
from ..verdict.question import architectures, beyond
from ..verdict.record import Outcome, Question, Size, Verdict, judge
from .understood import question_of, understand
from .verdicts import answer


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
    for or where it trains.

    Those that cannot be asked for so many sequences, or that type of cache, are left out.
    """
    own = question.runtime
    alone = (
        asked_workload.runtime is not None
        or asked_workload.task == "finetune"
        or question.local_files
    )
    if own is None or alone or question.spec.modality not in ("text", "vision", "embedding"):
        return () if own is None else (own,)
    others = (catalogue.runtime(name) for name in SHOWN_RUNTIMES if name != own.id)
    fitting = (runtime for runtime in others if need.why_not_loaded(question.spec, runtime) is None)
    return (
        own,
        *(runtime for runtime in fitting if not any(beyond(asked_workload, runtime, catalogue))),
    )


def _size(catalogue: Catalogue, question: Question, machine: Machine) -> Size | None:
    """That quantization judged, None where its size cannot be told."""
    needs, runtime, quantization = question.needs, question.runtime, question.workload.quantization
    cost = quality_for(question.workload, catalogue, question.spec)
    if (
        needs is None
        or needs.download_bytes is None
        or runtime is None
        or quantization is None
        or cost is None
    ):
        return None
    judged = judge(question, machine)
    # as it would lie: where layers are shared out, each place has a compute buffer of its own
    memory = judged.needs.memory if judged.needs is not None else needs.memory
    # of a file that somebody has, nobody asks here whether it was published
    deciding = [finding for finding in judged.findings if finding.check not in ("weights", "speed")]
    fits = None if any(finding.outcome is Outcome.UNKNOWN for finding in deciding) else True
    if judged.failed:
        fits = False
    return Size(
        quantization=quantization,
        family=question.workload.format or "",
        runtime=runtime.id,
        bytes=needs.download_bytes,
        how=needs.download_how.value if needs.download_how else "assumed",
        source=needs.download_source or "",
        memory_bytes=memory.high_bytes if memory else None,
        fits=fits,
        quality=cost,
    )


def describe(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machine: Machine,
    *,
    prices: str = "snapshot",
) -> Shown:
    """All that is known of a model, its quantizations judged one by one. Raises as `check`."""
    understood = understand(catalogue, model, workload)
    question = question_of(catalogue, understood, machine)
    sizes: list[Size] = []
    for runtime in _runtimes_of(catalogue, question, workload) if question.needs else ():
        # what is trained is made of the published weights, by the method
        trained = (question.workload.quantization,) if workload.task == "finetune" else ()
        for quantization in trained or need.quantizations_of(
            question.spec, runtime, architectures(catalogue)
        ):
            variant = understood.workload.replace(quantization=quantization, runtime=runtime.id)
            # a GGUF file holds one quantization
            held = understood.files_here and (
                "gguf" not in understood.formats or quantization == understood.workload.quantization
            )
            size = _size(
                catalogue,
                question_of(
                    catalogue, understood.replace(workload=variant, files_here=held), machine
                ),
                machine,
            )
            before = (
                next(
                    (
                        listed
                        for listed in sizes
                        if (listed.family, listed.quantization) == (size.family, size.quantization)
                    ),
                    None,
                )
                if size
                else None
            )
            if size is None or (before is not None and (before.fits or not size.fits)):
                continue
            if before is not None:
                # two programs load it: the one that runs here is shown
                sizes[sizes.index(before)] = size
            else:
                sizes.append(size)
    order = list(catalogue.common("quantizations")["quantization"])
    families = list(dict.fromkeys(size.family for size in sizes))
    # best quality first, what is not in the list last
    sizes.sort(
        key=lambda size: (
            families.index(size.family),
            order.index(size.quantization) if size.quantization in order else len(order),
        )
    )
    verdict = answer(catalogue, question, understood, machine, instead=True, prices=prices)
    return Shown(verdict=verdict, sizes=tuple(sizes), loss_by_size=loss_by_size(catalogue))
