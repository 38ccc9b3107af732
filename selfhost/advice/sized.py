"""Sizes of containers, and the least machine for a model: a question without a machine."""

from __future__ import annotations

import os

from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import CHECKPOINTS
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..core.errors import SelfhostError
from ..core.records import Record
from ..core.units import counted
from ..core.workload import Workload
from ..judge.defaults import smallest_of_list
from ..judge.question import architectures
from ..judge.record import Outcome, Verdict
from ..machine.reader import Machine
from ..needs import quantizations_of
from .understood import has_ways, judged_for, question_of, understand
from .verdicts import check_with

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .sizes import ContainerSize

_SMALLEST = "The smallest that needs no GPU; for a node's best, --set memory=SIZE or --gpu."
# GPUs that one server holds (HGX and DGX systems of NVIDIA)
_MOST_GPUS_OF_A_NODE = 8


class _Sized(Record):
    """A model, the workload in the type and program to size, and the machine without bounds."""

    catalogue: Catalogue
    model: str | os.PathLike[str] | ModelSpec
    workload: Workload
    place: Machine

    def check(self, **changes: Workload | Machine | ModelSpec) -> Verdict:
        other = self.replace(**changes)
        return check_with(other.catalogue, other.model, other.workload, other.place, instead=False)


def size_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    prompt_cache_bytes: int | None = None,
) -> ContainerSize:
    """`size` with everything given."""
    from .sizes import size_of, with_card, without_bounds

    # any pace will do: how fast it is says `check`
    workload = workload.replace(min_tokens_per_second=0)
    taken = _as_checked(catalogue, model, workload, machine)
    sized = _Sized(catalogue=catalogue, model=model, workload=taken, place=without_bounds(machine))
    verdict = sized.check()
    card = with_card(verdict, catalogue)
    if card is not None:
        sized = sized.replace(place=sized.place.replace(accelerators=(card,)))
        verdict = sized.check()
    verdict = _from_your_folder(sized, _by_its_commands(sized, verdict))
    try:
        size = size_of(verdict, catalogue, prompt_cache_bytes=prompt_cache_bytes)
    except SelfhostError as error:
        smaller, note = _smaller(sized, verdict, error)
        size = size_of(smaller, catalogue, prompt_cache_bytes=prompt_cache_bytes)
        return size.replace(asked=verdict.asked, notes=(*verdict.understood_as, *size.notes, note))
    is_smallest = taken.quantization != workload.quantization and not _tells_memory(machine)
    return size.replace(notes=(*size.notes, _SMALLEST)) if is_smallest else size


def _fails(verdict: Verdict) -> bool:
    return any(finding.outcome is Outcome.FAIL for finding in verdict.findings)


def _tells_memory(machine: Machine) -> bool:
    """Whether a type can be chosen by what fits there."""
    return machine.memory_total_bytes is not None or bool(machine.accelerators)


def _as_checked(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
) -> Workload:
    """The workload with the type and program that `check` takes where they follow the machine and
    its memory or its accelerators are stated, else of pictures and video the smallest that needs no
    accelerator.
    """
    from .sizes import without_bounds

    place, tells_memory = without_bounds(machine), _tells_memory(machine)
    understood = understand(catalogue, model, workload, place)
    question = question_of(catalogue, understood, place)
    if not has_ways(understood, question) or (question.in_turn and not tells_memory):
        return workload
    if not tells_memory:
        taken = smallest_of_list(question, understood.workload, catalogue, in_ram=True)
        return workload.replace(runtime=taken.runtime, quantization=taken.quantization)
    if machine.memory_total_bytes is not None:
        place = place.replace(
            memory_total_bytes=machine.memory_total_bytes,
            memory_limit_bytes=machine.memory_limit_bytes,
            memory_available_bytes=machine.memory_available_bytes,
        )
    taken = judged_for(catalogue, understood, place).question.workload
    return workload.replace(runtime=taken.runtime, quantization=taken.quantization)


def _by_its_commands(sized: _Sized, verdict: Verdict) -> Verdict:
    """The verdict with the program that its commands start, where that is another than was judged
    and none was asked for: one whose library has the file that no repository is known of.
    """
    from .sizes import words_behind

    catalogue, workload = sized.catalogue, sized.workload
    if workload.runtime is not None:
        return verdict
    started = [
        runtime.id
        for runtime in map(catalogue.runtime, catalogue.runtime_ids())
        if runtime.service is not None
        and words_behind(runtime.service.program, verdict.commands) is not None
    ]
    if not started or verdict.workload.runtime in started:
        return verdict
    other = sized.check(workload=workload.replace(runtime=started[0]))
    return verdict if _fails(other) else other


def _from_your_folder(sized: _Sized, verdict: Verdict) -> Verdict:
    """The verdict with the command for files that you put into `MODELS_FOLDER`, all its options
    included, where no repository of them is known and the runtime takes a folder in its place.
    """
    from .sizes import MODELS_FOLDER

    judged = verdict.workload
    if verdict.commands or judged.runtime is None or not judged.quantization:
        return verdict
    service = sized.catalogue.runtime(judged.runtime).service
    if service is None or judged.format not in CHECKPOINTS:
        return verdict
    folder = PublishedFiles(
        format=judged.format,
        repository=f"{MODELS_FOLDER}/{verdict.model.id}",
        source="yours",
        unsized=(judged.quantization,),
    )
    spec = verdict.model.replace(files=(folder, *verdict.model.files))
    said = sized.workload.replace(runtime=judged.runtime, quantization=judged.quantization)
    return verdict.replace(commands=sized.check(model=spec, workload=said).commands)


def _smaller(sized: _Sized, verdict: Verdict, error: SelfhostError) -> tuple[Verdict, str]:
    """What surely fits on the accelerators of the place instead, and a note on what does not.

    Raises the error, with how many GPUs would hold the model, where nothing does.
    """
    is_known = verdict.needs is not None and verdict.needs.memory is not None
    count = _cards_that_hold(sized) if is_known else None
    smaller = _that_fits(sized, verdict)
    if smaller is None:
        more = f"{count} of these GPUs would hold it" if count is not None else None
        remedy = "; or ".join(text for text in (more, error.remedy) if text)
        raise SelfhostError(error.message, remedy=remedy or None) from error
    cards = " and ".join(counted([card.name for card in sized.place.accelerators or ()]))
    taken, usual = smaller.workload.quantization, verdict.workload.quantization
    note = f"{taken} rather than {usual}, which {cards} cannot surely hold"
    return smaller, note + (f"; {count} of these GPUs would hold {usual}" if count else "")


def _that_fits(sized: _Sized, verdict: Verdict) -> Verdict | None:
    """Of the best quantization that runs on the accelerators of the place with the program that was
    judged, and has a command, one that is not tight first; None where one was asked for, or none
    does.
    """
    judged, tight = verdict.workload, None
    if sized.workload.quantization is not None or judged.runtime is None:
        return None
    if not sized.place.accelerators:
        return None
    runtime = sized.catalogue.runtime(judged.runtime)
    for name in quantizations_of(verdict.model, runtime, architectures(sized.catalogue)):
        said = sized.workload.replace(runtime=judged.runtime, quantization=name)
        smaller = sized.check(model=verdict.model, workload=said)
        if not smaller.commands or _fails(smaller):
            continue
        if all(finding.code != "accelerator-tight" for finding in smaller.findings):
            return smaller
        tight = smaller if tight is None else tight
    return tight


def _cards_that_hold(sized: _Sized) -> int | None:
    """The least number of accelerators, all as those of the place, on which nothing fails; None
    where they differ, where there are none, or where a server cannot hold as many.
    """
    cards = sized.place.accelerators or ()
    if len(set(cards)) != 1:
        return None
    for count in range(len(cards) + 1, _MOST_GPUS_OF_A_NODE + 1):
        larger = sized.place.replace(accelerators=cards[:1] * count)
        if not _fails(sized.check(place=larger)):
            return count
    return None
