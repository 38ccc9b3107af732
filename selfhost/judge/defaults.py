"""The defaults that follow the machine: a larger quantization or a better runtime where there is
room, the first of a list that fits for pictures, for training and for text whose usual type nobody
is known to publish.

What is asked for, what lies in files here, and what is already downloaded is never changed. Of text
the route is never worse than in the usual type. Which quantizations, programs and methods are tried
is data of the runtimes (`on_accelerators`, `preferred_from_accelerators`, `finetune_methods`,
`finetune_contexts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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

Changes = Mapping[str, Any]

# a chat grows to it and a program that writes code needs it: a guess between the 4,096 and the
# 32,768 tokens that Ollama sets below and from 24 GiB (docs/context-length.mdx@948f6933)
_GROWN_CONTEXT_TOKENS = 16_384
# where a third of what it takes is lacking, four bits do not fit either: the file is an eighth
# smaller than in the usual type, and no need of text is so wide a range
_SAVED_PART = 3
# how people write the methods of training
_METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}
# where a candidate runs, the best place first
ON_ACCELERATORS, _TIGHT, _BY_PARTS, _BY_LAYERS, _IN_RAM, _NOWHERE = range(6)
_PLACES_OF_PARTS = {None: _IN_RAM, "model": _BY_PARTS, "sequential": _BY_LAYERS}


class _DefaultSearch(Record):
    """A question judged in its usual defaults, with what asking it in others takes."""

    own: Judged
    catalogue: Catalogue
    machine: Machine

    def candidates(self, changes: Iterable[Changes | str]) -> Iterator[Judged]:
        """What was asked with each of these changes, or types, where the program takes them."""
        for each in changes:
            change = {"quantization": each} if isinstance(each, str) else each
            other = _asked_with(self.own.question, change, self.catalogue, self.machine)
            if other is not None:
                yield judge(other, self.machine)

    def chosen(self, judged: Judged, key: str, **figures: object) -> Judged:
        """A candidate that no one asked for, with why it is taken."""
        cards, where = self.machine.accelerators or (), "the RAM"
        if cards and judged.needs and (judged.is_on_accelerators or judged.offload):
            places = dict.fromkeys(term.where for term in judged.needs.terms)
            names = [cards[index_of(place)].name for place in places if place != "host"]
            where = " and ".join(units.counted(names))
        taken, usual = judged.quantization, self.own.quantization
        figures = {"taken": taken, "usual": usual, "where": where, **figures}
        paces = [each.speed and each.speed.judged for each in (judged, self.own)]
        if paces[0] and paces[1] and paces[0].likely < paces[1].likely:
            figures["faster"] = units.speed(paces[1].likely)
        why = phrase(f"chosen/{key}", **figures)
        return judged.replace(question=judged.question.replace(chosen=why))


def _asked_with(
    question: Question, change: Changes, catalogue: Catalogue, machine: Machine
) -> Question | None:
    workload = question.stated.replace(**change)
    try:
        other = ask(question.spec, workload, catalogue, machine, question.files)
    except WorkloadError:
        return None
    if other.needs is None:
        return None
    return other.replace(stated=question.stated, requires_runtime=question.requires_runtime)


def _types_of(spec: ModelSpec, runtime: RuntimeSpec) -> list[str]:
    types = need.quantizations_of(spec, runtime)
    return [name for name in runtime.on_accelerators if name in types]


def suited(own: Judged, catalogue: Catalogue, machine: Machine) -> Judged:
    """With the defaults that suit the machine best."""
    question, search = own.question, _DefaultSearch(own=own, catalogue=catalogue, machine=machine)
    stated, runtime = question.stated, question.runtime
    if question.needs is None or runtime is None:
        return own
    if question.in_turn and question.here is None:
        first = _first_in_turn(search, runtime)
        if first.question.workload != question.workload:
            return first
        search = search.replace(own=first)
    if takes_first_of_list(question):
        return _first_picture_type(search, runtime)
    if stated.task == "finetune":
        return _first_method(search, runtime)
    if question.here is not None or question.files != NO_FILES:
        return own
    return _larger(search, runtime)


def follows_a_list(spec: ModelSpec, workload: Workload) -> bool:
    """Whether types or methods are tried in turn: the route may be better than the default's."""
    return spec.modality in PICTURES or workload.task == "finetune"


def takes_first_of_list(question: Question) -> bool:
    """Pictures or video in no stated type, where the program is free or has a list."""
    stated, runtime = question.stated, question.runtime
    if question.needs is None or question.here is not None or question.files != NO_FILES:
        return False
    if runtime is None or (stated.runtime is not None and not runtime.on_accelerators):
        return False
    is_free = stated.task == "generate" and stated.quantization is None
    return is_free and question.spec.modality in PICTURES


def _place_of(judged: Judged, aside: Sequence[str] = MODEL_CHECKS) -> int:
    """Where it runs, from ON_ACCELERATORS to _NOWHERE, if the checks `aside` held."""
    if any(each.decides for each in judged.findings if each.check not in aside):
        return _NOWHERE
    if judged.has("accelerator-tight"):
        return _TIGHT
    return ON_ACCELERATORS if judged.is_on_accelerators else _PLACES_OF_PARTS[judged.offload]


def _rank(judged: Judged) -> tuple[int, int, float]:
    """Where it runs, where it would if the disk had room, and the memory that it lacks."""
    places = _place_of(judged), _place_of(judged, (*MODEL_CHECKS, "disk"))
    failed = tuple(check for check in judged.failed if check != "disk")
    lacking: float = 0
    if failed:
        is_of_memory = all(check in MEMORY_CHECKS for check in failed)
        lacking = judged.lacking_bytes() if is_of_memory else inf
    return (*places, lacking)


def _best(search: _DefaultSearch, others: Iterable[Judged], *, own_first: bool) -> Judged:
    """The first candidate in the best place, else the first by `_rank`."""
    own, tried = search.own, list[Judged]()
    ideal = ON_ACCELERATORS if search.machine.accelerators else _IN_RAM
    for each in (own, *others) if own_first else (*others, own):
        tried.append(each)
        if _place_of(each) <= ideal:
            return each
    return min(tried, key=_rank)


def _first_in_turn(search: _DefaultSearch, runtime: RuntimeSpec) -> Judged:
    """In the first type that runs, else the first that may; else in the usual one."""
    own, question = search.own, search.own.question
    first = question.workload.quantization
    usual = need.default_format_and_quantization(question.spec, runtime)[1]
    if own.fits:
        return own if first == usual else search.chosen(own, "published", usual=usual)
    if any(each.decides for each in own.findings if each.check in MODEL_CHECKS):
        return own
    memory, lacking = own.memory, own.lacking_bytes()
    saved_bytes = memory.high_bytes / _SAVED_PART if memory is not None else inf
    if question.in_turn == (FOUR_BITS,) and saved_bytes < lacking < inf:
        return own
    tried = [own]
    for other in search.candidates(question.in_turn):
        if other.fits:
            return search.chosen(other, "smaller", first=first)
        tried.append(other)
    may_run = [each for each in tried if not each.failed]
    return next(iter(may_run or [each for each in tried if each.quantization == usual]), own)


def _first_method(search: _DefaultSearch, runtime: RuntimeSpec) -> Judged:
    """The first method of training that accelerators hold, the last with shorter examples too."""
    usual, stated = search.own.question.workload, search.own.question.stated
    methods = (stated.finetune_method,) if stated.finetune_method else runtime.finetune_methods
    changes: list[Changes] = [
        {"finetune_method": name} for name in methods if name != usual.finetune_method
    ]
    if stated.context_tokens is None and methods:
        changes += [
            {"finetune_method": methods[-1], "context_tokens": length}
            for length in runtime.finetune_contexts
            if length < (usual.context_tokens or 0)
        ]
    best = _best(search, search.candidates(changes), own_first=True)
    if best is search.own:
        return best
    taken = best.question.workload
    # a training has a method, its usual one where none was stated
    assert usual.finetune_method is not None
    assert taken.finetune_method is not None
    before, after = _METHODS[usual.finetune_method], _METHODS[taken.finetune_method]
    options = f"--method {usual.finetune_method}"
    if taken.context_tokens != usual.context_tokens:
        before += f" with {usual.context_tokens:,} tokens"
        after += f" with {taken.context_tokens:,} tokens"
        options += f" --context {usual.context_tokens}"
    best = best.replace(question=best.question.replace(context_asked=False))
    lacks = _place_of(best) == _NOWHERE
    return search.chosen(best, "trained", before=before, after=after, options=options, lacks=lacks)


def _first_picture_type(search: _DefaultSearch, runtime: RuntimeSpec) -> Judged:
    """First of the list on accelerators, then by parts in turn, then in RAM; files of 8 bits for
    another program before 4 bits that this one makes.
    """
    own, listed = search.own, _types_of(search.own.question.spec, runtime)
    place, is_first = _place_of(own), own.quantization in listed[:1]
    is_usual = own.quantization not in listed[1:]
    is_settled = is_usual and place != _NOWHERE and not search.machine.accelerators
    if is_settled or (is_first and place == ON_ACCELERATORS):
        return own
    in_own_program = list(search.candidates(listed[is_first:]))
    whole = [each for each in (own, *in_own_program) if _place_of(each) == ON_ACCELERATORS]
    elsewhere = _types_elsewhere(search, runtime, whole)
    # in files of fewer bits the parts are smaller, and so is the download
    own_first = is_usual and _place_of(own, (*MODEL_CHECKS, "disk")) == _IN_RAM
    own_first = own_first or (is_first and not elsewhere)
    best = _best(search, [*elsewhere, *in_own_program], own_first=own_first)
    if best is own:
        return own
    return search.chosen(
        best,
        "picture",
        program=(best.question.runtime or runtime).name,
        runtime=runtime.id,
        fits="fits" if best.offload is None else "fits a part at a time, on",
        lacks=_place_of(best) == _NOWHERE,
    )


def _types_elsewhere(
    search: _DefaultSearch, runtime: RuntimeSpec, whole: Sequence[Judged]
) -> list[Judged]:
    """None where this program makes one of over 4 bits that is held `whole`; else of 8 bits."""
    question, rules = search.own.question, [runtime.rule_of(each.quantization) for each in whole]
    if any(not rule or "4bit" not in rule.also for rule in rules):
        return []
    others = list(search.candidates(_changes_elsewhere(question, search.catalogue, runtime)))
    # values and bytes of a block: of 8 bits or more
    blocks = [(BLOCKS.get(each.quantization or "", (1, 0)), each) for each in others]
    in_eight_bits = [each for (values, size), each in blocks if size >= values]
    return (
        [each for each in in_eight_bits if _place_of(each) == ON_ACCELERATORS] if whole else others
    )


def _changes_elsewhere(
    question: Question, catalogue: Catalogue, usual: RuntimeSpec
) -> list[Changes]:
    is_free, names = question.stated.runtime is None, RUNTIMES_BY_MODALITY[question.spec.modality]
    others = map(catalogue.runtime, names if is_free else ())
    return [
        {"runtime": other.id, "quantization": type}
        for other in others
        if other.id != usual.id and need.why_not_loaded(question.spec, other) is None
        for type in _types_of(question.spec, other)
    ]


def smallest_of_list(question: Question, catalogue: Catalogue) -> Workload:
    """The workload asked for in the type and program of least memory without an accelerator."""
    stated, runtime, machine = question.stated, question.runtime, Machine(accelerators=())
    changes: list[Changes] = [{"quantization": name} for name in question.in_turn]
    if not changes and runtime is not None and takes_first_of_list(question):
        changes = [{"quantization": name} for name in runtime.on_accelerators]
        changes += _changes_elsewhere(question, catalogue, runtime)
    others = [_asked_with(question, change, catalogue, machine) for change in changes]
    # where the file of the usual type is known, that of a smaller one must be too
    most = question.making_bytes and inf
    suiting = [each for each in others if each and not each.wants_gpu and each.making_bytes <= most]
    if not suiting:
        return stated
    tried = question, *suiting
    sizes = [(each.needs and each.needs.ram_bytes()) or inf for each in tried]
    taken = tried[sizes.index(min(sizes))].workload
    return stated.replace(runtime=taken.runtime, quantization=taken.quantization)


def _larger(search: _DefaultSearch, runtime: RuntimeSpec) -> Judged:
    """Text on accelerators with the program for many or in the largest type, else by a tag."""
    own, question = search.own, search.own.question
    spec, workload, stated = question.spec, question.workload, question.stated
    is_free = stated.quantization is None and spec.modality in GENERATING
    is_preferred = runtime.preferred_from_accelerators > 0
    if search.machine.accelerators and is_free and (is_preferred or own.fits):
        best = _program_for_many(search, runtime)
        if best is None and not is_preferred:
            best = _largest_type(search, runtime)
        if best is not None:
            return best
    # with Ollama, where its tag alone is known to have the file that is asked for, and it runs
    library, quantization = search.catalogue.runtime(LIBRARY_RUNTIME), workload.quantization
    is_settled = stated.runtime is not None or spec.repository_of("gguf", quantization) is not None
    if is_settled or not loads_by_tag(spec, library, workload):
        return own
    names = {"program": library.name, "model": spec.name, "runtime": workload.runtime}
    for other in search.candidates([{"runtime": library.id, "quantization": quantization}]):
        if other.fits:
            return search.chosen(other, "tag", **names, type=quantization)
    return own


def _program_for_many(search: _DefaultSearch, usual: RuntimeSpec) -> Judged | None:
    """With a program preferred on so many accelerators, in the first type that they hold."""
    number, stated = len(places(search.machine.accelerators)), search.own.question.stated
    for runtime in map(search.catalogue.runtime, PACKED_RUNTIMES if number > 1 else ()):
        is_free = stated.runtime in (None, runtime.id)
        if not (is_free and 0 < runtime.preferred_from_accelerators <= number):
            continue
        types = (None, *runtime.on_accelerators)
        changes = [{"runtime": runtime.id, "quantization": type} for type in types]
        for other in search.candidates(changes):
            if not _is_as_good(other, search.own):
                continue
            if runtime.id == usual.id:
                is_same = other.quantization == search.own.quantization
                first = search.own.quantization
                return search.own if is_same else search.chosen(other, "smaller", first=first)
            taken = other.quantization or ""
            bits = need.loaded_bits(runtime, other.question.spec, other.question.workload)
            held = taken if bits is None else f"{bits} bits"
            names = {"program": runtime.name, "own": usual.name, "runtime": usual.id}
            return search.chosen(other, "many", **names, number=number, held=held)
    return None


def _largest_type(search: _DefaultSearch, runtime: RuntimeSpec) -> Judged | None:
    """In the largest type that accelerators hold at reading speed, with room for more context."""
    own, spec, usual = search.own, search.own.question.spec, search.own.quantization
    if spec.architecture is None or _share_held(own) is None:
        return None
    is_file_known = spec.repository_of(own.workload.format, usual) is not None
    grown: Changes = {}
    if own.question.stated.context_tokens is None:
        tokens = min(own.question.trained_tokens or DEFAULT_CONTEXT_TOKENS, _GROWN_CONTEXT_TOKENS)
        grown = {"context_tokens": tokens}
    for taken in _types_of(spec, runtime):
        if taken == usual:
            break
        if not _has_fewer_bits(taken, spec):
            continue
        if is_file_known and spec.repository_of(own.workload.format, taken) is None:
            continue
        change = {"quantization": taken}
        for other in search.candidates([change]):
            share, most = _share_held(other), runtime.on_accelerators[taken]
            if share is None or share > most or not _is_as_good(other, own):
                continue
            if not grown or any(map(_share_held, search.candidates([{**change, **grown}]))):
                return search.chosen(other, "more-bits")
    return None


def _has_fewer_bits(quantization: str, spec: ModelSpec) -> bool:
    """Whether the published weights have as many bits: more would keep nothing more of them."""
    bits = BITS_PER_WEIGHT.get(quantization)
    if bits is None:
        return need.from_sixteen_bits(spec.architecture)
    return bits <= DTYPES[stored_type(spec.architecture)]


def _share_held(judged: Judged) -> float | None:
    """What it takes of what accelerators give that compute all of it; None where they do not."""
    held = judged.finding("accelerator")
    if held is None or held.code not in ("accelerator-fits", "accelerator-lean"):
        return None
    needs, has = held.needs, held.has
    if not isinstance(needs, int) or not isinstance(has, int) or needs > has:
        return None
    return needs / has if has else 0.0


def _is_as_good(other: Judged, own: Judged) -> bool:
    """At reading speed, with its program there if the own one is, and no finding worse."""
    pace = other.speed.judged if other.speed is not None else None
    if not other.fits or pace is None or units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
        return False
    if _share_held(other) is None or other.has("memory-tight") > own.has("memory-tight"):
        return False
    if own.has("runtime-present") > other.has("runtime-present"):
        return False
    before = {finding.check: finding.severity for finding in own.findings}
    return all(
        finding.severity <= before.get(finding.check, 0)
        for finding in other.findings
        if finding.check not in ("weights", "accelerator")
    )
