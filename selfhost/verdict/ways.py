"""Other ways to run a model than its own default, and the best of them on a machine: the first of a
list that fits for pictures and for training, a larger quantization or a better program where there
is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import program_of_packed
from ..catalogue.spec import GENERATING, RuntimeSpec
from ..core.errors import WorkloadError
from ..core.records import Record, Unread
from ..core.units import counted
from ..core.workload import DEFAULT_CONTEXT_TOKENS, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from ..needs.quantization import BLOCKS
from ..needs.records import Needs
from . import findings as check
from .devices import index_of, room_of
from .findings import Finding
from .judging import (
    disk_finding,
    first_without_a_fail,
    judge,
    listed,
    model_findings,
    runtime_findings,
)
from .present import NO_FILES, NamedFiles
from .question import PACKED_RUNTIMES, RUNTIMES_BY_MODALITY, architectures, ask
from .record import Judged, Question
from .shared_memory import is_metal, shared_limits
from .speed import uses_shared_gpu

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# a chat grows to it and a program that writes code needs it: a guess between the 4,096 and the
# 32,768 tokens that Ollama sets below and from 24 GiB (docs/context-length.mdx@948f6933)
GROWN_CONTEXT_TOKENS = 16_384
_LACKS_LEAST = "nothing that is tried surely fits, and this comes closest"
# how people write the methods of training
_METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


class Way(Record):
    """One way to run the model on a machine, judged when somebody looks at it."""

    question: Question
    machine: Machine
    judged_before: Judged | None = None

    @cached_property
    def judged(self) -> Judged:
        """Every finding."""
        return self.judged_before or judge(self.question, self.machine)

    @cached_property
    def judged_with_disk(self) -> Judged:
        """The findings if the disk had room."""
        judged = self._held
        findings = (
            *model_findings(self.question),
            *self._of_program,
            *judged.findings,
        )
        return judged.replace(findings=findings)

    @cached_property
    def place(self) -> int:
        """Where it runs."""
        is_held = self.place_with_disk != _NOWHERE
        disk = disk_finding(self.question, self._needs, self.machine) if is_held else None
        return _NOWHERE if disk is not None and disk.decides else self.place_with_disk

    @cached_property
    def place_with_disk(self) -> int:
        """Where it would run if the disk had room."""
        if any(finding.decides for finding in self._of_program):
            return _NOWHERE
        return _place(self._held)

    @property
    def may_lack_bytes(self) -> bool:
        """Whether so much more memory would let it run, if nothing else rules that out."""
        return self._held.failed and self._held.lacking_bytes is not None

    @cached_property
    def _of_program(self) -> tuple[Finding, ...]:
        """What is found of the processor and the program, wherever the model lies."""
        question, machine = self.question, self.machine
        processor = check.cpu_check(self._needs.cpu, machine, question.runtime)
        return processor, *runtime_findings(question, machine)

    @cached_property
    def _held(self) -> Judged:
        """The findings of memory, accelerator and speed, and where the model would lie."""
        chosen = first_without_a_fail(self.question, self._needs, self.machine)
        findings = (*chosen.held, *listed(chosen.speed))
        return Judged(findings=findings, needs=chosen.placed, speed=None)

    @property
    def _needs(self) -> Needs:
        assert self.question.needs is not None
        return self.question.needs


class Variants:
    """What is asked of one model when something else than in `own` is asked for: each once."""

    def __init__(
        self,
        own: Question,
        workload: Workload,
        catalogue: Catalogue,
        machine: Machine,
        files: NamedFiles,
    ) -> None:
        self.own, self.workload, self.catalogue = own, workload, catalogue
        self._machine, self._files = machine, files
        self._asked: dict[tuple[tuple[str, Any], ...], Question | None] = {}
        self._types: dict[str, tuple[str, ...]] = {}

    def types(self, runtime: RuntimeSpec) -> tuple[str, ...]:
        """The types that the model comes in for that program."""
        if runtime.id not in self._types:
            rows = architectures(self.catalogue)
            self._types[runtime.id] = tuple(need.quantizations_of(self.own.spec, runtime, rows))
        return self._types[runtime.id]

    def changed(self, change: Mapping[str, Any]) -> Question | None:
        """The question under the workload with that change; None where the program refuses it."""
        key = tuple(change.items())
        if key not in self._asked:
            self._asked[key] = self._ask(change)
        return self._asked[key]

    def _ask(self, change: Mapping[str, Any]) -> Question | None:
        workload = self.workload.replace(**change)
        try:
            question = ask(self.own.spec, workload, self.catalogue, self._machine, self._files)
        except WorkloadError:
            return None
        if question.needs is None:
            return None
        return question.replace(requires_runtime=self.own.requires_runtime)


def best_way(
    variants: Variants,
    machine: Machine,
    judged: Judged | None,
    *,
    by_list: bool,
    library: RuntimeSpec | None,
) -> Question:
    """The question with the defaults that suit the machine best. `judged` is it judged on the
    machine, where that was done; `by_list`: its type is the first of a list that fits; `library`:
    the program whose library has the file, where no known repository has.
    """
    question, workload = variants.own, variants.workload
    search = Search(
        Way(question=question, machine=machine, judged_before=judged), variants, machine
    )
    if workload.task == "finetune":
        assert question.runtime is not None
        return search.first_method(question.runtime)
    suited = question
    if by_list:
        suited = search.first_picture_type()
    elif question.spec.modality in GENERATING and workload.quantization is None:
        suited = search.larger()
    if suited is not question or library is None:
        return suited
    return search.by_tag(library) or question


def in_program_of_packed(variants: Variants, machine: Machine, judged: Judged | None) -> Question:
    """Of files that others quantized: with the program that serves them from accelerators, as a
    name of such files is understood, where those hold all of it; else the question itself.
    """
    question, quantized = variants.own, variants.own.spec.quantized
    usual, type = question.runtime, quantized.quantization if quantized is not None else None
    if usual is None or type is None or variants.workload.quantization not in (None, type):
        return question
    runtime = variants.catalogue.runtime(program_of_packed(type))
    other = variants.changed({"runtime": runtime.id}) if runtime.id != usual.id else None
    if other is None:
        return question
    own = Way(question=question, machine=machine, judged_before=judged)
    way = Way(question=other, machine=machine)
    if not way.judged.fits or _needs_install(way, own):
        return question
    return other.replace(
        chosen=(
            f"{runtime.name} rather than {usual.name}: it has kernels for {type}, and the GPU"
            f" holds all of it. `--runtime {usual.id}` judges {usual.name}."
        )
    )


class Search:
    """Looks for better defaults than those of `own` on one machine."""

    def __init__(self, own: Way, variants: Variants, machine: Machine) -> None:
        self._own = own
        self._question = own.question
        self._variants = variants
        self._workload = variants.workload
        self._catalogue = variants.catalogue
        self._machine = machine

    # -------------------------------------------------------------- the first of a list

    def first_method(self, runtime: RuntimeSpec) -> Question:
        """The first method of training that accelerators hold, the last of them with shorter
        examples where no length was asked for; else the first that the RAM holds, else the default.
        """
        own = self._question.workload
        methods = runtime.finetune_methods
        if self._workload.finetune_method is not None:
            methods = (self._workload.finetune_method,)
        changes: list[dict[str, Any]] = [
            {"finetune_method": name} for name in methods if name != own.finetune_method
        ]
        if self._workload.context_tokens is None and methods:
            changes += [
                {"finetune_method": methods[-1], "context_tokens": length}
                for length in runtime.finetune_contexts
                if length < (own.context_tokens or 0)
            ]
        way = self._first_that_fits(self._ways(iter(changes)))
        return self._question if way is None else self._as_trained(way)

    def _as_trained(self, way: Way) -> Question:
        """The question of that way, which no one asked for, and why it is taken."""
        own, taken = self._question.workload, way.question.workload
        before, options = (
            _METHODS[own.finetune_method or ""],
            f"--method {own.finetune_method}",
        )
        after = _METHODS[taken.finetune_method or ""]
        if taken.context_tokens != own.context_tokens:
            before += f" with {own.context_tokens:,} tokens"
            after += f" with {taken.context_tokens:,} tokens"
            options += f" --context {own.context_tokens}"
        why = f"{before}, which is tried first, {self._why_not(way)}"
        if way.place == _NOWHERE:
            why = _LACKS_LEAST
        return way.question.replace(
            context_asked=False, chosen=f"{after}: {why}. `{options}` judges {before}."
        )

    def _why_not(self, way: Way) -> str:
        """Why the default is not taken, where `way` is: it may run all the same, once somebody
        raises what the system lends a GPU of the RAM.
        """
        lent = any(card.unified for card in self._machine.accelerators or ())
        if lent and self._own.judged.fits:
            return f"takes more of the RAM than {self._where(way)} may use unless you raise that"
        return f"does not fit {self._where(way)}"

    def first_picture_type(self) -> Question:
        """The first type of the runtime's list that accelerators hold; else the first whose parts
        come to one in turn; else the model's own in RAM, else the first that the RAM holds.
        """
        question = self._question
        runtime, own = question.runtime, question.workload.quantization
        assert runtime is not None
        way = self.picture_way(runtime)
        if way is None or way.question.runtime is None:
            return question
        taken = way.question.workload.quantization
        if way.place == _NOWHERE:
            usual = f"--runtime {runtime.id} --quant {own}"
            return way.question.replace(
                chosen=f"{taken} in {way.question.runtime.name}: {_LACKS_LEAST}. `{usual}` judges"
                " its usual type."
            )
        fits = "fits" if _offload(way.judged) is None else "fits a part at a time, on"
        where = self._where(way)
        if way.question.runtime.id != runtime.id:
            return way.question.replace(
                chosen=(
                    f"{taken} in {way.question.runtime.name}: it {fits} {where} better than"
                    f" {runtime.name} does. `--runtime {runtime.id}` judges that."
                )
            )
        if taken == own:
            return question
        listed = self._listed(runtime)
        rank = f"the first of {', '.join(listed)} that {fits}" if len(listed) > 1 else f"it {fits}"
        return way.question.replace(
            chosen=(f"{taken}: {rank} {where}. `--quant {own}` judges its usual type.")
        )

    def picture_way(self, runtime: RuntimeSpec) -> Way | None:
        """The way that is taken; None for the default."""
        own = self._own
        is_first = own.question.workload.quantization in self._listed(runtime)[:1]
        if own.place != _NOWHERE and not self._machine.accelerators:
            return None
        if is_first and own.place == _ON_ACCELERATORS:
            return None
        ways, is_first = self.picture_ways(runtime)
        return self._first_that_fits(ways, own_first=is_first or not ways)

    def picture_ways(self, runtime: RuntimeSpec) -> tuple[list[Way], bool]:
        """The ways that are tried beside the default, the preferred one first; whether the default
        comes before them.
        """
        names = self._listed(runtime)
        # what is tried first is judged already where it is the model's own
        is_first = self._question.workload.quantization in names[:1]
        ways = list(self._ways({"quantization": name} for name in names[is_first:]))
        whole = [way for way in (self._own, *ways) if way.place == _ON_ACCELERATORS]
        others = []
        if self._workload.runtime is None and not whole:
            others = self._in_other_programs(runtime)
        elif self._workload.runtime is None and all(map(_is_in_four_bits, whole)):
            # the 8 bits of another program come before 4 of this one
            others = list(filter(_is_whole_in_eight_bits, self._in_other_programs(runtime)))
        # in files of fewer bits the parts are smaller, and so is the download
        return [*others, *ways], is_first and not others

    def _listed(self, runtime: RuntimeSpec) -> list[str]:
        """The types of the program's list that the model comes in."""
        return [name for name in runtime.on_accelerators if self._comes_in(name, runtime)]

    def _in_other_programs(self, usual: RuntimeSpec) -> list[Way]:
        """The types of the other programs of its kind that load the model, best first; those that
        lose visibly only where no other comes to an accelerator a component at a time.
        """
        ways: list[Way] = []
        for name in RUNTIMES_BY_MODALITY[self._question.spec.modality]:
            other = self._catalogue.runtime(name)
            if name == usual.id or need.why_not_loaded(self._question.spec, other) is not None:
                continue
            kinds = self._variants.types(other)
            better = [kind for kind in kinds if kind in other.on_accelerators]
            rest = [kind for kind in kinds if kind not in other.on_accelerators]
            for tier in (better, rest):
                ways += self._ways({"runtime": name, "quantization": kind} for kind in tier)
                if any(way.place_with_disk <= _BY_PARTS for way in ways):
                    break
        return ways

    def _first_that_fits(self, ways: Iterable[Way], *, own_first: bool = True) -> Way | None:
        """The first way in the best place: all of it on accelerators, parts that come to one in
        turn, the RAM; where none fits, the one that lacks least memory. None for the default.

        `own_first`: the default is tried before the others. In RAM it always is.
        """
        tried = list(ways)
        # where none fits, it is chosen alike, so that what is short is the disk alone
        for place_of in (_place_of, _place_with_disk_of):
            if any(place_of(way) != _NOWHERE for way in (self._own, *tried)):
                return self._best_place(tried, place_of, own_first=own_first)
        return _least_lacking(tried, self._own)

    def _best_place(
        self, ways: Sequence[Way], place_of: Callable[[Way], int], *, own_first: bool
    ) -> Way | None:
        own_place = place_of(self._own)
        best, best_place = None, _NOWHERE
        if own_first or own_place == _IN_RAM:
            best_place = own_place
        fits = own_place != _NOWHERE
        if best_place == _ON_ACCELERATORS or (fits and not self._machine.accelerators):
            return None
        for way in ways:
            place = place_of(way)
            if place < best_place:
                best, best_place = way, place
            if place == _ON_ACCELERATORS:
                break
        return None if own_place < best_place else best

    # -------------------------------------------------------------- the program that has the file

    def by_tag(self, library: RuntimeSpec) -> Question | None:
        """With that program, whose library has the file; None where it does not run here."""
        spec, workload = self._question.spec, self._question.workload
        quantization = workload.quantization
        change = {"runtime": library.id, "quantization": quantization}
        for way in self._ways(iter([change])):
            if way.judged.fits:
                return way.question.replace(
                    chosen=(
                        f"{library.name}: its library has {spec.name} in {quantization}, and"
                        " no other GGUF file of that type is known."
                        f" `--runtime {workload.runtime}` judges the usual program."
                    )
                )
        return None

    # -------------------------------------------------------------- more than the default

    def larger(self) -> Question:
        """A better program, or the largest quantization that accelerators hold whole at reading
        speed; the default where it does not run here, or not on accelerators alone.
        """
        if not self._machine.accelerators:
            return self._question
        own = self._own
        if not own.judged.fits:
            return self._question
        way = self._on_many(own) or self._in_more_bits(own)
        return self._question if way is None else way

    def _on_many(self, own: Way) -> Question | None:
        """With a program that is preferred on so many accelerators; None where none is, or none
        does it as well.
        """
        number = sum(
            card.unified is False and not card.is_part for card in self._machine.accelerators or ()
        )
        if number < 2:
            return None
        for name in PACKED_RUNTIMES:
            runtime = self._catalogue.runtime(name)
            if not 0 < runtime.preferred_from_accelerators <= number:
                continue
            if need.why_not_loaded(self._question.spec, runtime) is not None:
                continue
            in_types = (None, *runtime.on_accelerators)
            for way in self._ways({"runtime": name, "quantization": kind} for kind in in_types):
                if self._is_as_good(way, own) and not _needs_install(way, own):
                    why = self._why_on_many(way, own, runtime, number)
                    return way.question.replace(chosen=why)
        return None

    def _why_on_many(self, way: Way, own: Way, runtime: RuntimeSpec, number: int) -> str:
        usual, taken = own.question.runtime, way.question.workload.quantization or ""
        bits = need.loaded_bits(runtime, way.question.spec, taken)
        type = taken if bits is None else f"{bits} bits"
        return (
            f"{runtime.name} rather than {usual.name if usual else 'the usual'}:"
            f" {self._where(way)} of the {number} GPUs here holds it in"
            f" {type}, and {runtime.name} serves many requests at once."
            f" `--runtime {own.question.workload.runtime}` judges the usual program."
        )

    def _in_more_bits(self, own: Way) -> Question | None:
        """In a larger quantization of the same program; None where none fits as well."""
        runtime, spec = own.question.runtime, own.question.spec
        usual = own.question.workload.quantization
        if (
            runtime is None
            or not need.from_sixteen_bits(spec.architecture)
            or not self._is_whole(own)
        ):
            return None
        names = [
            name
            for name in runtime.on_accelerators
            if self._comes_in(name, runtime) and self._keeps_the_file(name)
        ]
        if usual in names:
            names = names[: names.index(usual)]
        names = [name for name in names if self._may_hold(name, runtime)]
        for way in self._ways({"quantization": name} for name in names):
            taken = way.question.workload.quantization or ""
            share = runtime.on_accelerators[taken]
            is_whole = self._is_as_good(way, own) and self._is_whole(way, share)
            if is_whole and self._leaves_context(taken):
                return way.question.replace(
                    chosen=(
                        f"{taken} rather than {usual}: {self._where(way)} holds all of it, at"
                        f" reading speed or faster. `--quant {usual}` judges"
                        " the smaller file."
                    )
                )
        return None

    def _ways(self, changes: Iterator[Mapping[str, Any]]) -> Iterator[Way]:
        """Each change of what was asked, on the machine; without those that the program refuses."""
        for question in map(self._variants.changed, changes):
            if question is not None:
                yield Way(question=question, machine=self._machine)

    def _may_hold(self, quantization: str, runtime: RuntimeSpec) -> bool:
        """The files alone are no larger than what accelerators, or the RAM that they share, give
        for it: to ask for its needs takes much longer.
        """
        cards = self._machine.accelerators or ()
        rooms = [room_of(card, gpu_only=runtime.gpu_only) for card in cards if not card.unified]
        if not rooms or None in rooms:
            return True
        format = self._question.workload.format or ""
        rows = architectures(self._catalogue)
        files = need.weights_bytes(self._question.spec, format, quantization, rows)
        most = runtime.on_accelerators[quantization] * sum(room or 0 for room in rooms)
        return isinstance(files, Unread) or files.low_bytes <= most + self._stays_in_ram()

    def _stays_in_ram(self) -> int:
        """Bytes of tables that llama.cpp leaves in RAM wherever the layers lie, as of the
        default; those of a larger type are at most twice as large.
        """
        needs = self._own.judged.needs
        terms = needs.memory.terms if needs is not None and needs.memory is not None else ()
        return 2 * sum(
            term.bytes
            for term in terms
            if term.where == "host" and term.name.endswith("embeddings")
        )

    def _comes_in(self, quantization: str, runtime: RuntimeSpec) -> bool:
        return quantization in self._variants.types(runtime)

    def _keeps_the_file(self, quantization: str) -> bool:
        """A file of it is known, or none of the default is: the command to type stays as sure."""
        spec, workload = self._question.spec, self._question.workload
        format = workload.format or ""
        repository = spec.repository_of(format, quantization)
        return (
            repository is not None
            or spec.repository_of(format, workload.quantization or "") is None
        )

    def _is_as_good(self, way: Way, own: Way) -> bool:
        """It runs here at reading speed or faster, and no finding of the machine is worse."""
        pace = way.judged.speed.judged if way.judged.speed is not None else None
        if not way.judged.fits or pace is None or pace.likely < READING_TOKENS_PER_SECOND:
            return False
        if not self._is_whole(way) or _is_tight(way.judged) > _is_tight(own.judged):
            return False
        before = {finding.check: finding.severity for finding in own.judged.findings}
        return all(
            finding.severity <= before.get(finding.check, 0)
            for finding in way.judged.findings
            if finding.check not in ("weights", "accelerator")
        )

    def _is_whole(self, way: Way, share: float = 1.0) -> bool:
        """Accelerators compute all of it, and it takes at most that share of their memory."""
        needs = way.judged.needs
        if needs is None or needs.memory is None or not _on_accelerator(way.judged):
            return False
        cards = self._machine.accelerators or ()
        gpu_only = way.question.runtime is not None and way.question.runtime.gpu_only
        if needs.placement == "accelerator":
            terms = [term for term in needs.memory.terms if term.where != "host"]
            used = dict.fromkeys(term.where for term in terms)
            rooms = [room_of(cards[index_of(where)], gpu_only=gpu_only) for where in used]
            taken = sum(term.high_bytes for term in terms)
            return None not in rooms and taken <= share * sum(filter(None, rooms))
        if not uses_shared_gpu(self._machine, way.question.runtime):
            return False
        # of AMD's nobody knows what its owner let it use
        limits = shared_limits(cards[0], self._machine) if is_metal(cards[0]) else None
        return limits is not None and needs.memory.high_bytes <= share * limits[0]

    def _leaves_context(self, quantization: str) -> bool:
        """Accelerators hold all of it in that type with `GROWN_CONTEXT_TOKENS`, or what it was
        trained for; what was stated is all that is wanted.
        """
        spec, row = self._question.spec, self._question.rewriting
        if self._variants.workload.context_tokens is not None or spec.architecture is None:
            return True
        tokens = min(
            need.trained_tokens(spec.architecture, row) or DEFAULT_CONTEXT_TOKENS,
            GROWN_CONTEXT_TOKENS,
        )
        change = {"quantization": quantization, "context_tokens": tokens}
        return any(self._is_whole(way) for way in self._ways(iter([change])))

    def _where(self, way: Way) -> str:
        """The accelerators that hold it, or a part of it, equal ones counted; the RAM where none
        does.
        """
        if not _on_accelerator(way.judged) and _offload(way.judged) is None:
            return "the RAM"
        memory = way.judged.needs.memory if way.judged.needs is not None else None
        cards = self._machine.accelerators or ()
        places = dict.fromkeys(term.where for term in memory.terms) if memory else {}
        numbers = [index_of(place) for place in places if place != "host"] or [0]
        return " and ".join(counted([cards[number].name for number in numbers]))


def other_ways(question: Question, workload: Workload, catalogue: Catalogue) -> Iterator[Question]:
    """Of pictures and video the ways that are tried beside that of `question`, which was asked
    under `workload`, on a machine without accelerators; the preferred one first.
    """
    if question.runtime is None or question.needs is None:
        return
    machine = Machine(accelerators=())
    own = Way(question=question, machine=machine)
    variants = Variants(question, workload, catalogue, machine, NO_FILES)
    ways, _ = Search(own, variants, machine).picture_ways(question.runtime)
    yield from (way.question for way in ways)


# the places of a way, the best one first
_ON_ACCELERATORS, _TIGHT, _BY_PARTS, _BY_LAYERS, _IN_RAM, _NOWHERE = range(6)
_PLACES = {None: _IN_RAM, "model": _BY_PARTS, "sequential": _BY_LAYERS}


def _place(judged: Judged) -> int:
    """Where that way runs."""
    if not judged.fits:
        return _NOWHERE
    if any(finding.code == "accelerator-tight" for finding in judged.findings):
        return _TIGHT
    return _ON_ACCELERATORS if _on_accelerator(judged) else _PLACES[_offload(judged)]


def _is_in_four_bits(way: Way) -> bool:
    """Its program makes 4 bits of the weights while loading."""
    runtime = way.question.runtime
    rule = None if runtime is None else runtime.rule_of(way.question.workload.quantization)
    return rule is not None and "4bit" in rule.also


def _is_whole_in_eight_bits(way: Way) -> bool:
    """Accelerators hold all of a file of 8 bits a weight or more."""
    elements, size = BLOCKS.get(way.question.workload.quantization or "", (1, 0))
    return size >= elements and way.place == _ON_ACCELERATORS


def _is_tight(judged: Judged) -> bool:
    """The RAM leaves little to anything else."""
    return any(finding.code == "memory-tight" for finding in judged.findings)


def _place_of(way: Way) -> int:
    return way.place


def _place_with_disk_of(way: Way) -> int:
    return way.place_with_disk


def _least_lacking(ways: Iterable[Way], own: Way) -> Way | None:
    """Of ways of which none surely fits the one that lacks least memory; None for `own`, and where
    more memory would not make that run. What is too close to call lacks nothing.
    """
    if not own.may_lack_bytes:
        return None
    best, least = None, own.judged_with_disk.lacking_bytes
    if least is None:
        return None
    for way in ways:
        judged = way.judged_with_disk
        if not judged.failed:
            # the first that lacks nothing: others lack no less
            return way if least > 0 else best
        lacking = judged.lacking_bytes
        if lacking is not None and lacking < least:
            best, least = way, lacking
    return best


def _offload(judged: Judged) -> str | None:
    """By which way its parts come to an accelerator in turn; None where they do not."""
    return judged.needs.offload if judged.needs is not None else None


def _on_accelerator(judged: Judged) -> bool:
    """Accelerators hold all of it that can lie there: their own memory, or RAM that they share."""
    if judged.needs is not None and judged.needs.placement == "accelerator":
        return True
    return any(finding.code == "accelerator-fits" for finding in judged.findings)


def _needs_install(way: Way, own: Way) -> bool:
    """The usual program is here already, and the other is not."""
    is_here = [
        any(finding.code == "runtime-present" for finding in judged.findings)
        for judged in (own.judged, way.judged)
    ]
    return is_here == [True, False]
