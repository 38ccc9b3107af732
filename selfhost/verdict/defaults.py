"""The defaults that follow the machine: a larger quantization or a better runtime where there is
room, the first of a list that fits for pictures, for training and for text whose usual type nobody
is known to publish.

What is asked for, what lies in files here, and what is already downloaded is never changed. Of text
the route is never worse than in the usual type. Which quantizations, programs and methods are tried
is data of the runtimes (`on_accelerators`, `preferred_from_accelerators`, `finetune_methods`,
`finetune_contexts`).
"""

from __future__ import annotations

from collections.abc import Iterator

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import PACKED
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.workload import Workload
from ..machine.record import Machine
from .judging import judge
from .present import NO_FILES, NamedFiles
from .question import architectures, ask, loads_by_tag
from .record import Judged, Question

# what is made by several models that come one after the other, each a component
_OF_PARTS = ("image", "video")


def takes_first_of_list(question: Question, workload: Workload) -> bool:
    """True where pictures or video are asked for in no stated type, the program is free or has a
    list, and no files decide it.
    """
    if question.needs is None or question.runtime is None or question.here is not None:
        return False
    if workload.runtime is not None and not question.runtime.on_accelerators:
        return False
    is_free = workload.task == "generate" and workload.quantization is None
    return is_free and question.spec.modality in _OF_PARTS


def ask_for_machine(
    spec: ModelSpec,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
    files: NamedFiles = NO_FILES,
) -> Question:
    """As `ask`, with the defaults that suit the machine best; `Question.chosen` says why they are
    others than the model's own. Raises as `ask`.
    """
    question = ask(spec, workload, catalogue, machine, files)
    question = first_in_turn(question, workload, catalogue, machine)
    return _suited(question, workload, catalogue, machine, files)


def _suited(
    question: Question,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
    files: NamedFiles,
    judged: Judged | None = None,
) -> Question:
    """The question that `ask` gave for that workload and those files, with the defaults that suit
    the machine best. `judged` is it judged on the machine, where that was done.
    """
    if question.needs is None or question.runtime is None:
        return question
    if workload.runtime is not None and not takes_first_of_list(question, workload):
        return question
    is_trained = workload.task == "finetune"
    if is_packed(question.spec) and machine.accelerators and not is_trained:
        from .ways import Variants, in_program_of_packed

        variants = Variants(question, workload, catalogue, machine, files)
        return in_program_of_packed(variants, machine, judged)
    if not is_trained and _has_files(question, files):
        return question
    by_list = takes_first_of_list(question, workload)
    library = None if is_trained else tagged_runtime(question, catalogue, machine)
    if not (is_trained or by_list or library or machine.accelerators):
        return question
    # most models run as they are: no other way is looked at
    from .ways import Variants, best_way

    variants = Variants(question, workload, catalogue, machine, files)
    return best_way(variants, machine, judged, by_list=by_list, library=library)


def first_in_turn(
    question: Question,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
    judged: Judged | None = None,
) -> Question:
    """The question that `ask` gave for that workload, in the first of the types that are tried one
    after the other which runs on the machine; in the usual one, which comes last, where none does.
    `judged` is it judged on the machine, where that was done.
    """
    if question.here is not None or not question.in_turn:
        return question
    first, usual = question.workload.quantization or "", question.in_turn[-1]
    if (judged or judge(question, machine)).fits:
        why = f"{first} rather than {usual}: the nearest type of which files are published."
        other = f"--quant {usual}"
        return question.replace(chosen=f"{why} `{other}` judges the usual one.")
    way = question
    for way in ways_in_turn(question, workload, catalogue, machine):
        if judge(way, machine).fits:
            taken, other = way.workload.quantization, f"--quant {first}"
            why = f"{taken} rather than {first}, of which files are published, but which does not"
            return way.replace(chosen=f"{why} run here. `{other}` judges that.")
    return way


def ways_in_turn(
    question: Question, workload: Workload, catalogue: Catalogue, machine: Machine
) -> Iterator[Question]:
    """The question that `ask` gave for that workload, in each type that is tried after its own; the
    usual one comes last.
    """
    for name in question.in_turn:
        way = ask(question.spec, workload.replace(quantization=name), catalogue, machine)
        yield way.replace(requires_runtime=question.requires_runtime)


def in_usual_type(
    question: Question, workload: Workload, catalogue: Catalogue, machine: Machine
) -> Question:
    """The question that `ask` gave for that workload, in the usual type; as it is where that, or
    what is taken in its place, is the same on every machine.
    """
    if question.here is not None:
        return question
    return [question, *ways_in_turn(question, workload, catalogue, machine)][-1]


def _has_files(question: Question, files: NamedFiles) -> bool:
    """Whether files were named, or some are here: these are run, and no others are looked for."""
    if files.are_here or files.formats or files.part is not None:
        return True
    return question.here is not None


def is_packed(spec: ModelSpec) -> bool:
    """Its own files hold weights that others quantized for programs of accelerators."""
    return spec.quantized is not None and spec.quantized.quantization in PACKED


def follows_a_list(spec: ModelSpec, workload: Workload) -> bool:
    """True where the default is the first of a list that fits, so that the route may be better than
    that of the model's own default.
    """
    return spec.modality in _OF_PARTS or workload.task == "finetune"


def first_of_list(question: Question, workload: Workload, catalogue: Catalogue) -> Workload:
    """The workload that `question` was asked under, with the first type of the program's list for
    pictures, where none was asked for.
    """
    spec, runtime = question.spec, question.runtime
    if spec.modality != "image" or runtime is None or workload.task != "generate":
        return workload
    if workload.quantization is not None or workload.runtime is not None:
        return workload
    names = need.quantizations_of(spec, runtime, architectures(catalogue))
    first = next((name for name in runtime.on_accelerators if name in names), None)
    return workload.replace(quantization=first)


def smallest_of_list(
    question: Question, workload: Workload, catalogue: Catalogue, *, in_ram: bool
) -> Workload:
    """The workload that `question` was asked under, with the type and program of least memory of
    those that are tried; as it is where none are. `in_ram`: of those that need no accelerator.
    """
    if question.in_turn:
        every = (question, *ways_in_turn(question, workload, catalogue, Machine(accelerators=())))
        smallest = min(every, key=_memory_bytes).workload
        return workload.replace(runtime=smallest.runtime, quantization=smallest.quantization)
    if not takes_first_of_list(question, workload):
        return workload
    from .ways import other_ways

    ways = [question]
    for way in other_ways(question, workload, catalogue):
        runtime, quantization = way.runtime, way.workload.quantization
        if not (in_ram and runtime is not None and runtime.wants_gpu(quantization)):
            ways.append(way)
    smallest = min(ways, key=_memory_bytes).workload
    return workload.replace(runtime=smallest.runtime, quantization=smallest.quantization)


def _memory_bytes(question: Question) -> float:
    """The most memory that it takes; infinite where that is not known."""
    memory = question.needs.memory if question.needs is not None else None
    return float("inf") if memory is None else memory.high_bytes


def ask_as_listed(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue, machine: Machine
) -> Question:
    """As `ask`, with `from_a_list`: the route is that of `check`. Raises as `ask`."""
    question = ask(spec, workload, catalogue, machine)
    return from_a_list(question, workload, catalogue, machine)


def from_a_list(
    question: Question, workload: Workload, catalogue: Catalogue, machine: Machine
) -> Question:
    """The question that `ask` gave for that workload; with the defaults that suit the machine best
    where the route depends on them.
    """
    if question.in_turn:
        return first_in_turn(question, workload, catalogue, machine)
    if not follows_a_list(question.spec, workload):
        return question
    return _suited(question, workload, catalogue, machine, NO_FILES)


def judge_for_machine(
    question: Question, workload: Workload, catalogue: Catalogue, machine: Machine
) -> tuple[Question, Judged]:
    """The question that `ask` gave for that workload with the defaults that suit the accelerators
    best, as `ask_for_machine` gives it, judged.
    """
    return suit(question, judge(question, machine), workload, catalogue, machine)


def suit(
    question: Question, judged: Judged, workload: Workload, catalogue: Catalogue, machine: Machine
) -> tuple[Question, Judged]:
    """As `judge_for_machine`, of what was `judged` already."""
    if question.in_turn and not judged.fits:
        question = first_in_turn(question, workload, catalogue, machine, judged)
        judged = judge(question, machine)
    by_list = follows_a_list(question.spec, workload)
    if not (judged.fits or by_list):
        return question, judged
    # without accelerators nothing else that counts follows the machine, and specs are not read
    if not machine.accelerators and (judged.fits or not by_list):
        return question, judged
    suited = _suited(question, workload, catalogue, machine, NO_FILES, judged)
    return suited, judged if suited is question else judge(suited, machine)


def tagged_runtime(
    question: Question, catalogue: Catalogue, machine: Machine
) -> RuntimeSpec | None:
    """The program whose own tag of the model loads what is asked, where no repository of that file
    is known; None where there is none with a build for the machine.
    """
    spec, workload = question.spec, question.workload
    library = catalogue.runtime("ollama")
    if spec.repository_of("gguf", workload.quantization or "") is not None:
        return None
    if not loads_by_tag(spec, library, workload):
        return None
    unread = machine.system is None or machine.architecture is None
    has_build = unread or f"{machine.system}-{machine.architecture}" in library.systems
    return library if has_build else None
