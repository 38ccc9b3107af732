"""The defaults that follow the machine.

`suited` takes a question that was judged in the model's own defaults. It returns the first
candidate that suits the machine better, or what was judged:

- text whose usual type nobody publishes, or that does not run in it: the first type that runs;
- pictures and video: the first type of the program's list that accelerators hold;
- training: the first method that accelerators hold, the last one with shorter examples too;
- text on accelerators: the program for many requests, or the largest type that they hold.

A candidate is a change of what was asked, judged like any other question. What was stated, what
lies in files here, and what is already downloaded is never changed. For text the route is never
worse than in the usual type. Which types, programs and methods are tried is data of the runtimes
(`on_accelerators`, `preferred_from_accelerators`, `finetune_methods`, `finetune_contexts`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from math import inf
from typing import Any

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import LIBRARY_RUNTIME, RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, PICTURES
from ..core import units
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import DEFAULT_CONTEXT_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from ..needs.case import stored_type
from ..needs.checkpoints import DTYPES
from ..needs.file_formats import FOUR_BITS
from ..needs.quantization import BITS_PER_WEIGHT, BLOCKS
from .checks import phrase
from .devices import index_of, places
from .files import loads_by_tag
from .judging import judge
from .programs import PACKED_RUNTIMES, RUNTIMES_BY_MODALITY
from .question import ask
from .record import MEMORY_CHECKS, MODEL_CHECKS, NO_FILES, Judged, Question

# fields of a workload that a candidate has in place of those that were asked for
Change = Mapping[str, Any]

# a chat grows to it and a program that writes code needs it: a guess between the 4,096 and the
# 32,768 tokens that Ollama sets below and from 24 GiB (docs/context-length.mdx@948f6933)
_GROWN_CONTEXT_TOKENS = 16_384
# where a third of what it takes is lacking, four bits do not fit either: the file is an eighth
# smaller than in the usual type, and no need of text is so wide a range
_SAVED_PART = 3
# how people write the methods of training
_METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


class Where(IntEnum):
    """Where a candidate runs, the best place first."""

    ACCELERATORS = 0
    ACCELERATORS_TIGHT = 1
    BY_PARTS = 2
    BY_LAYERS = 3
    RAM = 4
    NOWHERE = 5


_PLACES_OF_PARTS = {
    None: Where.RAM,
    "model": Where.BY_PARTS,
    "sequential": Where.BY_LAYERS,
}


def follows_a_list(spec: ModelSpec, workload: Workload) -> bool:
    """Whether types or methods are tried in turn: the route may be better than the default's."""
    return spec.modality in PICTURES or workload.task == "finetune"


def takes_first_of_list(question: Question) -> bool:
    """Pictures or video in no stated type, where the program is free or has a list."""
    stated, runtime = question.stated, question.runtime
    if (
        question.needs is None
        or question.here is not None
        or question.files != NO_FILES
    ):
        return False
    if runtime is None or (
        stated.runtime is not None and not runtime.gpus.quantizations
    ):
        return False
    if stated.task != "generate" or stated.quantization is not None:
        return False
    return question.spec.modality in PICTURES


def suited(usual: Judged, catalogue: Catalogue, machine: Machine) -> Judged:
    """What was judged in the usual defaults, or the candidate that suits the machine best."""
    question = usual.question
    runtime = question.runtime
    if question.needs is None or runtime is None:
        return usual
    search = _Search(usual=usual, runtime=runtime, catalogue=catalogue, machine=machine)
    if question.in_turn and question.here is None:
        first = _first_type_that_runs(search)
        if first.workload != usual.workload:
            return first
        search = search.replace(usual=first)
    if takes_first_of_list(question):
        return _first_picture_type(search)
    if question.stated.task == "finetune":
        return _first_method(search)
    if question.here is not None or question.files != NO_FILES:
        return usual
    return _program_and_type_for_text(search)


# ------------------------------------------------------------------ candidates


class _Search(Record):
    """What was judged in the usual defaults, with what judging it in others takes."""

    usual: Judged
    runtime: RuntimeSpec
    catalogue: Catalogue
    machine: Machine

    @property
    def question(self) -> Question:
        return self.usual.question

    def judged_in_types(self, types: Iterable[str]) -> Iterator[Judged]:
        """The question judged in each of these quantizations that the program takes."""
        return self.judged_with({"quantization": name} for name in types)

    def judged_with(self, changes: Iterable[Change]) -> Iterator[Judged]:
        """The question judged with each of these changes that the program takes."""
        for change in changes:
            other = _asked_with(self.question, change, self.catalogue, self.machine)
            if other is not None:
                yield judge(other, self.machine)

    def chosen(self, candidate: Judged, key: str, **figures: object) -> Judged:
        """A candidate that no one asked for, with the sentence why it is taken."""
        figures = {
            "taken": candidate.quantization,
            "usual": self.usual.quantization,
            "where": self._place_in_words(candidate),
            "faster": _faster_pace(self.usual, candidate),
            **figures,
        }
        why = phrase(f"chosen/{key}", **figures)
        return candidate.replace(question=candidate.question.replace(chosen=why))

    def _place_in_words(self, candidate: Judged) -> str:
        """The names of the accelerators that hold it, or the RAM."""
        cards = self.machine.accelerators
        if not cards or candidate.needs is None:
            return "the RAM"
        if not candidate.is_on_accelerators and not candidate.offload:
            return "the RAM"
        wheres = dict.fromkeys(term.where for term in candidate.needs.terms)
        names = [cards[index_of(where)].name for where in wheres if where != "host"]
        return " and ".join(units.counted(names))


def _asked_with(
    question: Question, change: Change, catalogue: Catalogue, machine: Machine
) -> Question | None:
    """What was asked with that change; None where the program does not take it."""
    workload = question.stated.replace(**change)
    try:
        other = ask(question.spec, workload, catalogue, machine, question.files)
    except WorkloadError:
        return None
    if other.needs is None:
        return None
    return other.replace(
        stated=question.stated, requires_runtime=question.requires_runtime
    )


def _faster_pace(usual: Judged, candidate: Judged) -> str | None:
    """The pace of the usual default, where it is faster than the candidate."""
    pace = None if usual.speed is None else usual.speed.judged
    other = None if candidate.speed is None else candidate.speed.judged
    if not pace or not other or other.likely >= pace.likely:
        return None
    return units.speed(pace.likely)


def _first(
    candidates: Iterable[Judged], is_good: Callable[[Judged], bool]
) -> Judged | None:
    return next((candidate for candidate in candidates if is_good(candidate)), None)


def _types_of(spec: ModelSpec, runtime: RuntimeSpec) -> list[str]:
    """The types of the model that the program's list has for accelerators, the best first."""
    types = need.quantizations_of(spec, runtime)
    return [name for name in runtime.gpus.quantizations if name in types]


def _place_of(judged: Judged, *, with_disk_room: bool = False) -> Where:
    """Where it runs, if the checks of the model itself held; `with_disk_room`: and the disk's."""
    for finding in judged.findings:
        is_aside = finding.check in MODEL_CHECKS or (
            with_disk_room and finding.check == "disk"
        )
        if finding.decides and not is_aside:
            return Where.NOWHERE
    if judged.has("accelerator-tight"):
        return Where.ACCELERATORS_TIGHT
    if judged.is_on_accelerators:
        return Where.ACCELERATORS
    return _PLACES_OF_PARTS[judged.offload]


def _rank(judged: Judged) -> tuple[Where, Where, float]:
    """Where it runs, where it would if the disk had room, and the memory that it lacks."""
    failed = [check for check in judged.failed if check != "disk"]
    lacking_bytes: float = 0
    if failed:
        is_of_memory = all(check in MEMORY_CHECKS for check in failed)
        lacking_bytes = judged.lacking_bytes() if is_of_memory else inf
    return _place_of(judged), _place_of(judged, with_disk_room=True), lacking_bytes


def _best(candidates: Iterable[Judged], machine: Machine) -> Judged:
    """The first candidate in the best place that the machine has, else the first by `_rank`."""
    ideal = Where.ACCELERATORS if machine.accelerators else Where.RAM
    tried = list[Judged]()
    for candidate in candidates:
        if _place_of(candidate) <= ideal:
            return candidate
        tried.append(candidate)
    return min(tried, key=_rank)


# ------------------------------------------------------------------ text without its usual type


def _first_type_that_runs(search: _Search) -> Judged:
    """In the first type that runs, else the first that may; else in the usual one."""
    judged, question = search.usual, search.question
    _, usual = need.default_format_and_quantization(question.spec, search.runtime)
    if judged.fits:
        if judged.quantization == usual:
            return judged
        return search.chosen(judged, "published", usual=usual)
    if any(
        finding.decides for finding in judged.findings if finding.check in MODEL_CHECKS
    ):
        return judged
    if question.in_turn == (FOUR_BITS,) and not _may_fit_in_four_bits(judged):
        return judged
    tried = [judged]
    for candidate in search.judged_in_types(question.in_turn):
        if candidate.fits:
            return search.chosen(candidate, "smaller", first=judged.quantization)
        tried.append(candidate)
    may_run = _first(tried, lambda candidate: not candidate.failed)
    in_usual = _first(tried, lambda candidate: candidate.quantization == usual)
    return may_run or in_usual or judged


def _may_fit_in_four_bits(judged: Judged) -> bool:
    lacking_bytes = judged.lacking_bytes()
    if judged.memory is None or lacking_bytes == inf:
        return True
    return lacking_bytes <= judged.memory.high_bytes / _SAVED_PART


# ------------------------------------------------------------------ training


def _first_method(search: _Search) -> Judged:
    """The first method of training that accelerators hold, the last with shorter examples too."""
    usual = search.usual
    candidates = search.judged_with(_methods_in_turn(search))
    best = _best(_chained(usual, candidates), search.machine)
    if best is usual:
        return best
    before, after = _method_in_words(usual.workload), _method_in_words(best.workload)
    options = f"--method {usual.workload.finetune_method}"
    if best.workload.context_tokens != usual.workload.context_tokens:
        before += f" with {usual.workload.context_tokens:,} tokens"
        after += f" with {best.workload.context_tokens:,} tokens"
        options += f" --context {usual.workload.context_tokens}"
    lacks = _place_of(best) is Where.NOWHERE
    best = best.replace(question=best.question.replace(context_asked=False))
    return search.chosen(
        best, "trained", before=before, after=after, options=options, lacks=lacks
    )


def _chained(first: Judged, others: Iterable[Judged]) -> Iterator[Judged]:
    yield first
    yield from others


def _methods_in_turn(search: _Search) -> Iterator[Change]:
    usual, stated = search.usual.workload, search.question.stated
    methods = search.runtime.finetuning.methods
    if stated.finetune_method:
        methods = (stated.finetune_method,)
    for name in methods:
        if name != usual.finetune_method:
            yield {"finetune_method": name}
    if stated.context_tokens is not None or not methods:
        return
    for tokens in search.runtime.finetuning.contexts:
        if tokens < (usual.context_tokens or 0):
            yield {"finetune_method": methods[-1], "context_tokens": tokens}


def _method_in_words(workload: Workload) -> str:
    # a training has a method, its usual one where none was stated
    assert workload.finetune_method is not None
    return _METHODS[workload.finetune_method]


# ------------------------------------------------------------------ pictures and video


def _first_picture_type(search: _Search) -> Judged:
    """First of the list on accelerators, then by parts in turn, then in RAM; files of 8 bits for
    another program before 4 bits that this one makes.
    """
    usual, listed = search.usual, _types_of(search.question.spec, search.runtime)
    place = _place_of(usual)
    is_first = usual.quantization in listed[:1]
    is_usual = usual.quantization not in listed[1:]
    if is_first and place is Where.ACCELERATORS:
        return usual
    if is_usual and place is not Where.NOWHERE and not search.machine.accelerators:
        return usual
    others = listed[1:] if is_first else listed
    in_own_program = list(search.judged_in_types(others))
    elsewhere = _types_elsewhere(search, [usual, *in_own_program])
    # in files of fewer bits the parts are smaller, and so is the download
    is_in_ram = is_usual and _place_of(usual, with_disk_room=True) is Where.RAM
    if is_in_ram or (is_first and not elsewhere):
        candidates = [usual, *elsewhere, *in_own_program]
    else:
        candidates = [*elsewhere, *in_own_program, usual]
    best = _best(candidates, search.machine)
    if best is usual:
        return usual
    return search.chosen(
        best,
        "picture",
        program=(best.question.runtime or search.runtime).name,
        runtime=search.runtime.id,
        fits="fits" if best.offload is None else "fits a part at a time, on",
        lacks=_place_of(best) is Where.NOWHERE,
    )


def _types_elsewhere(search: _Search, in_own_program: Sequence[Judged]) -> list[Judged]:
    """Files of 8 bits or more for other programs; none where this program makes a type of over
    4 bits that accelerators hold whole.
    """
    whole = [
        judged for judged in in_own_program if _place_of(judged) is Where.ACCELERATORS
    ]
    for judged in whole:
        rule = search.runtime.rule_of(judged.quantization)
        if rule is None or "4bit" not in rule.also:
            return []
    changes = _changes_elsewhere(search.question, search.catalogue, search.runtime)
    candidates = list(search.judged_with(changes))
    if not whole:
        return candidates
    in_eight_bits = list[Judged]()
    for candidate in candidates:
        # values and bytes of a block
        values, size_bytes = BLOCKS.get(candidate.quantization or "", (1, 0))
        if size_bytes >= values and _place_of(candidate) is Where.ACCELERATORS:
            in_eight_bits.append(candidate)
    return in_eight_bits


def _changes_elsewhere(
    question: Question, catalogue: Catalogue, usual: RuntimeSpec
) -> Iterator[Change]:
    """Each other program of the modality with each type of its list, where the program is free."""
    if question.stated.runtime is not None:
        return
    for name in RUNTIMES_BY_MODALITY[question.spec.modality]:
        other = catalogue.runtime(name)
        if (
            other.id == usual.id
            or need.why_not_loaded(question.spec, other) is not None
        ):
            continue
        for type in _types_of(question.spec, other):
            yield {"runtime": other.id, "quantization": type}


def smallest_of_list(question: Question, catalogue: Catalogue) -> Workload:
    """The workload asked for in the type and program of least memory without an accelerator."""
    stated, runtime = question.stated, question.runtime
    changes: list[Change] = [{"quantization": name} for name in question.in_turn]
    if not changes and runtime is not None and takes_first_of_list(question):
        changes += [{"quantization": name} for name in runtime.gpus.quantizations]
        changes += _changes_elsewhere(question, catalogue, runtime)
    smallest: Question | None = None
    for change in changes:
        other = _asked_with(question, change, catalogue, Machine(accelerators=()))
        if other is None or other.wants_gpu:
            continue
        if other.making_bytes and not question.making_bytes:
            # where the file of the usual type is known, that of a smaller one must be too
            continue
        if smallest is None or _ram_bytes(other) < _ram_bytes(smallest):
            smallest = other
    if smallest is None:
        return stated
    if _ram_bytes(question) <= _ram_bytes(smallest):
        smallest = question
    taken = smallest.workload
    return stated.replace(runtime=taken.runtime, quantization=taken.quantization)


def _ram_bytes(question: Question) -> float:
    """The RAM that it takes; infinite where that is not known."""
    if question.needs is None:
        return inf
    return question.needs.ram_bytes() or inf


# ------------------------------------------------------------------ text


def _program_and_type_for_text(search: _Search) -> Judged:
    """On accelerators the program for many requests or the largest type; else by a tag."""
    usual, stated = search.usual, search.question.stated
    is_free = (
        stated.quantization is None and search.question.spec.modality in GENERATING
    )
    is_preferred = search.runtime.gpus.preferred_from > 0
    if search.machine.accelerators and is_free and (is_preferred or usual.fits):
        best = _program_for_many(search)
        if best is None and not is_preferred:
            best = _largest_type(search)
        if best is not None:
            return best
    return _by_tag(search) or usual


def _by_tag(search: _Search) -> Judged | None:
    """With Ollama, where its tag alone is known to have the file that is asked for, and it runs."""
    spec, workload = search.question.spec, search.usual.workload
    if search.question.stated.runtime is not None:
        return None
    if spec.repository_of("gguf", workload.quantization) is not None:
        return None
    library = search.catalogue.runtime(LIBRARY_RUNTIME)
    if not loads_by_tag(spec, library, workload):
        return None
    change = {"runtime": library.id, "quantization": workload.quantization}
    candidate = _first(search.judged_with([change]), lambda judged: judged.fits)
    if candidate is None:
        return None
    return search.chosen(
        candidate,
        "tag",
        program=library.name,
        model=spec.name,
        runtime=workload.runtime,
        type=workload.quantization,
    )


def _program_for_many(search: _Search) -> Judged | None:
    """With a program preferred on so many accelerators, in the first type that they hold."""
    number = len(places(search.machine.accelerators))
    if number < 2:
        return None
    for name in PACKED_RUNTIMES:
        runtime = search.catalogue.runtime(name)
        if search.question.stated.runtime not in (None, runtime.id):
            continue
        if not 0 < runtime.gpus.preferred_from <= number:
            continue
        types = (None, *runtime.gpus.quantizations)
        changes = [{"runtime": runtime.id, "quantization": type} for type in types]
        candidate = _first(
            search.judged_with(changes),
            lambda judged: _is_as_good(judged, search.usual),
        )
        if candidate is None:
            continue
        if runtime.id != search.runtime.id:
            return _with_program_for_many(search, candidate, runtime, number)
        if candidate.quantization == search.usual.quantization:
            return search.usual
        return search.chosen(candidate, "smaller", first=search.usual.quantization)
    return None


def _with_program_for_many(
    search: _Search, candidate: Judged, runtime: RuntimeSpec, number: int
) -> Judged:
    bits = need.loaded_bits(runtime, candidate.question.spec, candidate.workload)
    return search.chosen(
        candidate,
        "many",
        program=runtime.name,
        own=search.runtime.name,
        runtime=search.runtime.id,
        number=number,
        held=candidate.quantization or "" if bits is None else f"{bits} bits",
    )


def _largest_type(search: _Search) -> Judged | None:
    """In the largest type that accelerators hold at reading speed, with room for more context."""
    usual, spec = search.usual, search.question.spec
    if spec.architecture is None or _share_held(usual) is None:
        return None
    for name in _types_of(spec, search.runtime):
        if name == usual.quantization:
            return None
        if not _is_worth_trying(name, usual):
            continue
        most = search.runtime.gpus.quantizations[name]
        for candidate in search.judged_in_types([name]):
            share = _share_held(candidate)
            if share is None or share > most or not _is_as_good(candidate, usual):
                continue
            if _has_room_to_grow(search, name):
                return search.chosen(candidate, "more-bits")
    return None


def _is_worth_trying(quantization: str, usual: Judged) -> bool:
    """Whether the file is as well known as the usual one, and its bits keep more of the weights."""
    spec, format = usual.question.spec, usual.workload.format
    if not _has_fewer_bits(quantization, spec):
        return False
    if spec.repository_of(format, usual.quantization) is None:
        return True
    return spec.repository_of(format, quantization) is not None


def _has_fewer_bits(quantization: str, spec: ModelSpec) -> bool:
    """Whether the published weights have as many bits: more would keep nothing more of them."""
    bits = BITS_PER_WEIGHT.get(quantization)
    if bits is None:
        return need.from_sixteen_bits(spec.architecture)
    return bits <= DTYPES[stored_type(spec.architecture)]


def _has_room_to_grow(search: _Search, quantization: str) -> bool:
    """Whether accelerators hold that type with a longer context, where no context was stated."""
    if search.question.stated.context_tokens is not None:
        return True
    trained_tokens = search.question.trained_tokens or DEFAULT_CONTEXT_TOKENS
    change = {
        "quantization": quantization,
        "context_tokens": min(trained_tokens, _GROWN_CONTEXT_TOKENS),
    }
    return any(_share_held(candidate) for candidate in search.judged_with([change]))


def _share_held(judged: Judged) -> float | None:
    """What it takes of what accelerators give that compute all of it; None where they do not."""
    finding = judged.finding("accelerator")
    if finding is None or finding.code not in ("accelerator-fits", "accelerator-lean"):
        return None
    needs_bytes, has_bytes = finding.needs, finding.has
    if not isinstance(needs_bytes, int) or not isinstance(has_bytes, int):
        return None
    if needs_bytes > has_bytes:
        return None
    return needs_bytes / has_bytes if has_bytes else 0.0


def _is_as_good(candidate: Judged, usual: Judged) -> bool:
    """At reading speed, with its program here if the usual one is, and no finding worse."""
    pace = None if candidate.speed is None else candidate.speed.judged
    if not candidate.fits or pace is None or _share_held(candidate) is None:
        return False
    if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return False
    if candidate.has("memory-tight") and not usual.has("memory-tight"):
        return False
    if usual.has("runtime-present") and not candidate.has("runtime-present"):
        return False
    severities = {finding.check: finding.severity for finding in usual.findings}
    for finding in candidate.findings:
        if finding.check in ("weights", "accelerator"):
            continue
        if finding.severity > severities.get(finding.check, 0):
            return False
    return True
