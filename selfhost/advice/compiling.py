"""Makes the file of `compiled` when the package is built: the question of every shipped model with
nothing else asked, and what `verdict.bracket` and `ranking` ask of all models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..catalogue.index import Catalogue
from ..catalogue.offers import end_days, offers_of
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import SelfhostError
from ..core.installed import contents_of, sizes_of
from ..core.parts import joined
from ..core.records import FrozenDict, Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import Needs, Offload, Term
from ..needs.repack import KINDS
from ..verdict.bracket import (
    Program,
    Reach,
    arranged,
    memory_sketch,
    program_of,
    sketch_of,
)
from ..verdict.defaults import follows_a_list
from ..verdict.findings import (
    OPEN_PURPOSES,
    Finding,
    Outcome,
    context_check,
    kept_elsewhere,
    license_guessed,
    open_for,
    reads_context,
)
from ..verdict.question import ask, needs_at_context
from ..verdict.record import Judged, Question
from ..verdict.ways import other_ways
from .api_route import usable_offers
from .compiled import (
    LONGER_TOKENS,
    OF_SPEC,
    SHARED,
    TERM_ROW,
    VERSION,
    files_behind,
    in_type,
    name_of_kind,
)
from .ranking import Standings, day_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..verdict.bracket import Sketch
    from ..verdict.held_whole import Figures


def compile_questions(directory: str) -> bytes:
    """The content of `QUESTIONS_FILE` for a folder of specs; the same files and the same program
    always give the same.

    A file of `core.parts`: the rows by model, the values that rows share, the memory by model for
    each of KINDS, the openness by model, the texts of all terms, and what `verdict.bracket` and
    `ranking` ask of all models.
    """
    catalogue = Catalogue.open(shipped=directory)
    compiled = _Compiled(catalogue)
    for spec in catalogue.specs():
        compiled.add(spec)
    behind = files_behind(catalogue)
    header = {
        "sizes": sizes_of(behind),
        "contents": contents_of(behind),
        "as_of": day_of(catalogue, (spec.released for spec in catalogue.specs())),
        **compiled.exceptions(),
    }
    apart = ("rows", "opened", *[f"memory {name}" for name in KINDS], *compiled.numbered)
    return joined(VERSION, header, compiled.by_name(), frozen=True, apart=apart)


class _Compiled:
    """What is known of the models so far: by id, and the values that they share by number."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        values: dict[str, tuple[int, Any]] = {}
        self._texts: dict[str, tuple[int, Any]] = {}
        self._shapes: dict[str, tuple[int, Any]] = {}
        self._programs: dict[str, tuple[int, Any]] = {}
        self.numbered = {
            "values": values,
            "texts": self._texts,
            "architectures": self._shapes,
            "programs": self._programs,
        }
        self._asks = _Asked(values)
        self._at_once = _AtOnce(catalogue, self._asks)
        self._rows: dict[str, Any] = {}
        self._opened: dict[str, Any] = {}
        self._memory: dict[str, dict[str, Any]] = {name: {} for name in KINDS}
        self._served: dict[str, str | None] = {}
        self._guessed: dict[str, tuple[bool, bool]] = {}
        self._kept_by: dict[str, str | None] = {}
        self._in_turn: dict[str, tuple[str, ...]] = {}

    def add(self, spec: ModelSpec) -> None:
        """One model. No row of one that cannot be asked for: whoever asks meets the same error."""
        catalogue, plain = self._catalogue, Workload()
        self._served[spec.id] = _offered_until(
            Question(spec=spec, workload=plain), _RUNS, catalogue
        )
        try:
            questions = self._add_in_type(spec.id, spec, plain)
            self._in_turn[spec.id] = questions[""].in_turn
            for type in questions[""].in_turn:
                typed = plain.replace(quantization=type)
                self._add_in_type(in_type(spec.id, type), spec, typed)
        except SelfhostError:
            return
        self._guessed[spec.id] = license_guessed(spec)
        self._opened[spec.id] = {
            purpose: _changed(open_for(spec, purpose)) for purpose in OPEN_PURPOSES
        }
        self._at_once.add(questions, _alike(questions))

    def _add_in_type(self, place: str, spec: ModelSpec, workload: Workload) -> dict[str, Question]:
        """One model in the type that the workload states, or its default one: its row, at that
        place, and what it takes. The question by kind of processor. Raises as `ask`.
        """
        catalogue = self._catalogue
        questions = {
            name: ask(spec, workload, catalogue, Machine(instruction_sets=sets))
            for name, sets in KINDS.items()
        }
        question, alike = questions[""], _alike(questions)
        filled = question.workload
        self._rows[place] = _row(question, catalogue, self._asks, self._shapes, self._programs)
        if spec.gated:
            self._kept_by[place] = kept_elsewhere(spec, filled.format, filled.quantization)
        for name, of_kind in questions.items():
            needs = of_kind.needs
            if needs is not None and (needs.memory is not None or needs.known_terms):
                earlier = self._memory[alike[name]].get(place)
                self._memory[name][place] = earlier or _memory(needs, self._texts)
        return questions

    def by_name(self) -> dict[str, Any]:
        """The parts of the file."""
        return {
            "rows": self._rows,
            "opened": self._opened,
            **{f"memory {name}": needs_of_spec for name, needs_of_spec in self._memory.items()},
            **self._at_once.parts(),
            "standings": _standings(self._catalogue),
            **{
                name: [value for _, value in table.values()]
                for name, table in self.numbered.items()
            },
        }

    def exceptions(self) -> dict[str, Any]:
        """What holds of few models, by id."""
        return {
            "served_until": {id: until for id, until in self._served.items() if until != ""},
            "license_guessed": {id: pair for id, pair in self._guessed.items() if any(pair)},
            "kept_by": {id: name for id, name in self._kept_by.items() if name},
            "in_turn": {id: types for id, types in self._in_turn.items() if types},
        }


class _AtOnce:
    """What `verdict.bracket` and `verdict.held_whole` ask of all models."""

    def __init__(self, catalogue: Catalogue, asked: _Asked) -> None:
        self._catalogue = catalogue
        self._programs = _Sketched(asked)
        self._sketches: dict[str, dict[str, Sketch]] = {name: {} for name in KINDS}
        self._others: dict[str, Sketch] = {}
        self._longer = _Longer(catalogue)
        self._whole = {name: _HeldWhole() for name in KINDS}

    def add(self, questions: Mapping[str, Question], alike: Mapping[str, str]) -> None:
        """One model, by kind of processor; `alike` says of which the question is the same."""
        question = questions[""]
        spec, plain = question.spec, Workload()
        for name, own in questions.items():
            if alike[name] != name:
                self._sketches[name][spec.id] = self._sketches[alike[name]][spec.id]
                self._whole[name].add_as(self._whole[alike[name]], spec.id)
                continue
            self._sketches[name][spec.id] = self._programs.sketch(own)
            self._whole[name].add(own, self._programs.number(own))
        sketches = {name: own[spec.id] for name, own in self._sketches.items()}
        self._longer.add(questions, sketches, alike)
        # of pictures nothing depends on the kind of processor
        follows = follows_a_list(spec, plain)
        ways = other_ways(question, plain, self._catalogue) if follows else ()
        for number, way in enumerate(ways):
            self._others[f"{spec.id} {number}"] = self._programs.sketch(way)

    def parts(self) -> dict[str, Any]:
        """The parts of the file that hold it, by name."""
        program, longer = self._programs.programs.__getitem__, self._longer
        return {
            **{f"sketches {name}": arranged(own, program) for name, own in self._sketches.items()},
            **{
                f"memory at {tokens} {name}": arranged(own, program)
                for (tokens, name), own in longer.sketches.items()
            },
            "reaches": longer.reaches,
            "sketches of other ways": arranged(self._others, program),
            "sketched by": self._programs.packed,
            **{f"held whole {name}": [*own.groups.items()] for name, own in self._whole.items()},
            **{f"held at {tokens} {name}": own for (tokens, name), own in longer.held.items()},
        }


class _Longer:
    """Of the models that take a context, what one does to them, and their memory under longer ones
    by kind of processor.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.reaches: dict[str, list[Any]] = {}
        self.sketches: dict[tuple[int, str], dict[str, Sketch]] = {
            (tokens, name): {} for tokens in LONGER_TOKENS for name in KINDS
        }
        # of what GPUs hold whole, the figures of the memory
        self.held: dict[tuple[int, str], dict[str, Figures]] = {key: {} for key in self.sketches}
        self._catalogue = catalogue

    def add(
        self,
        questions: Mapping[str, Question],
        sketches: Mapping[str, Sketch],
        alike: Mapping[str, str],
    ) -> None:
        """One model, by kind of processor; `alike` says of which the question is the same."""
        from ..verdict.held_whole import figures_of_memory

        question = questions[""]
        reach, id = _reach(question), question.spec.id
        if reach is None:
            return
        self.reaches[id] = [getattr(reach, name) for name in Reach._fields]
        for (tokens, name), own in self.sketches.items():
            if alike[name] != name:
                for of_kind in (self.sketches, self.held):
                    _add_as(of_kind[tokens, name], of_kind[tokens, alike[name]], id)
                continue
            needs = _needs_at(questions[name], reach, tokens, self._catalogue)
            if needs is not None:
                own[id] = memory_sketch(needs, sketches[name])
                held = figures_of_memory(needs)
                if held is not None:
                    self.held[tokens, name][id] = held


class _HeldWhole:
    """By what models of text have in common, by id their figures where GPUs hold them whole."""

    def __init__(self) -> None:
        self.groups: dict[tuple[Any, ...], dict[str, Figures]] = {}

    def add_as(self, other: _HeldWhole, id: str) -> None:
        """A model of which the other has the same."""
        for key, figures in other.groups.items():
            if id in figures:
                self.groups.setdefault(key, {})[id] = figures[id]

    def add(self, question: Question, number: int) -> None:
        """One model, whose program has that number."""
        from ..verdict.held_whole import Alike, alike, figures_of_memory, other_figures

        group, needs = alike(question, number), question.needs
        if group is None or needs is None:
            return
        of_memory, others = figures_of_memory(needs), other_figures(question, needs)
        if of_memory is not None and others is not None:
            key = tuple(getattr(group, name) for name in Alike._fields)
            self.groups.setdefault(key, {})[question.spec.id] = *of_memory, *others


def _alike(questions: Mapping[str, Question]) -> Mapping[str, str]:
    """Of each kind of processor the first kind of which the question is the same: most models need
    the same on all but some, and what follows from the question is worked out once.
    """
    firsts: dict[str, str] = {}
    for name, own in questions.items():
        same = (first for first in {*firsts.values()} if questions[first] == own)
        firsts[name] = next(same, name)
    return firsts


def _add_as(figures: dict[str, Any], others: Mapping[str, Any], id: str) -> None:
    if id in others:
        figures[id] = others[id]


def _reach(question: Question) -> Reach | None:
    """None of a model that takes no context, or that no program is asked to load."""
    spec, usual = question.spec, question.workload
    if question.needs is None or not reads_context(spec):
        return None
    longest = usual.replace(context_tokens=units.MOST_TOKENS)
    finding = context_check(spec, longest, context_asked=True, row=question.rewriting)
    most: int | None = units.MOST_TOKENS
    if finding is not None and finding.outcome is Outcome.UNKNOWN:
        most = None
    elif finding is not None and finding.outcome is Outcome.FAIL:
        most = finding.has if isinstance(finding.has, int) else None
    grows = spec.architecture is not None
    return Reach(usual_tokens=usual.context_tokens or 0, most_tokens=most, grows=grows)


def _needs_at(
    question: Question, reach: Reach, context_tokens: int, catalogue: Catalogue
) -> Needs | None:
    """The needs under that context, or the longest that the model can use, if that is less; None
    where they have to be asked anew.
    """
    most, runtime, needs = reach.most_tokens, question.runtime, question.needs
    if needs is None or runtime is None or most is None or not reach.grows:
        return None
    usual = question.workload
    taken = usual.replace(context_tokens=min(most, context_tokens))
    spec, usual_tokens = question.spec, usual.context_tokens
    return needs_at_context(spec, runtime, needs, usual_tokens, taken, catalogue)


def _row(
    question: Question,
    catalogue: Catalogue,
    asked: _Asked,
    shapes: dict[str, tuple[int, Any]],
    programs: dict[str, tuple[int, Any]],
) -> list[Any]:
    def number(value: Any) -> int:
        return _number(values, _packed(value, values))

    def part(record: Record | None, names: tuple[str, ...]) -> int:
        if record is None:
            return number(None)
        # models share it that have the same in its other fields too: those are read from the spec
        # of the first of them
        place = _number(shapes, _packed(record, values)) if record is spec.architecture else spec.id
        packed = [place, *(_packed(getattr(record, name), values) for name in names)]
        return values.setdefault(repr(record), (len(values), packed))[0]

    def spec_field(name: str, names: tuple[str, ...], own: Any) -> Any:
        if names:
            return part(own, names)
        return number(own) if name in SHARED else own

    spec, needs, values = question.spec, question.needs, asked.values
    of_spec = [
        spec_field(name, names, own)
        for name, names in OF_SPEC.items()
        for own in (getattr(spec, name),)
    ]
    of_needs = None
    if needs is not None:
        of_needs = [
            needs.download_bytes,
            needs.disk_bytes,
            needs.largest_file_bytes,
            needs.download_how,
            needs.download_range,
        ]
        of_needs += [number(needs.download_source), number(needs.cpu), number(needs.unknown)]
        of_needs.append(number(needs.offloaded))
        of_needs.append(number(needs.making))
        of_needs.append(number(needs.tensor_parallel))
    workload, runtime = asked.numbers(question)
    return [
        of_spec,
        workload,
        _offered_until(question, _RULED_OUT, catalogue),
        runtime,
        question.loads,
        number(question.read_bytes),
        of_needs,
        _number(programs, _program(spec, catalogue)),
        question.operations,
        question.expert_matrices,
        question.rewriting is not None,
    ]


class _Sketched:
    """The programs of sketches, by number: as they are, and as they are kept."""

    def __init__(self, asked: _Asked) -> None:
        self.programs: list[Program] = []
        self.packed: list[list[Any]] = []
        self._asked = asked

    def sketch(self, question: Question) -> Sketch:
        """That of a question, whose program gets a number."""
        return sketch_of(question, self.number(question))

    def number(self, question: Question) -> int:
        """That of its program. The files that it loads each model from are in the figures."""
        runtime = question.runtime
        bare = question.replace(runtime=runtime and runtime.replace(parts=()))
        program = program_of(bare)
        packed = [
            program.modality,
            *self._asked.numbers(bare),
            self._asked.number(program.cpu),
            None if program.asked is None else {**program.asked},
        ]
        if packed not in self.packed:
            self.packed.append(packed)
            self.programs.append(program)
        return self.packed.index(packed)


class _Asked:
    """The numbers of what questions ask, among the values that all share. What stays the same
    from question to question is packed once.
    """

    def __init__(self, values: dict[str, tuple[int, Any]]) -> None:
        self.values = values
        self._numbers: dict[Record | None, int] = {}

    def number(self, record: Record | None) -> int:
        """That of one of a few records."""
        if record not in self._numbers:
            self._numbers[record] = _number(self.values, _packed(record, self.values))
        return self._numbers[record]

    def numbers(self, question: Question) -> tuple[int, int]:
        """Those of its workload, by what is not at its default, and of its program."""
        changed = FrozenDict(
            {
                name: value
                for name in Workload._fields
                if (value := getattr(question.workload, name)) != Workload._defaults[name]
            }
        )
        runtime = None if question.runtime is None else question.runtime.replace(origin="")
        return _number(self.values, _packed(changed, self.values)), self.number(runtime)


def _standings(catalogue: Catalogue) -> dict[str, list[Any]]:
    """By id the fields of each model's standing."""
    standings = Standings(catalogue)
    return {
        standing.id: [getattr(standing, name) for name in type(standing)._fields]
        for id in catalogue.ids()
        if (standing := standings.of(id)) is not None
    }


def _program(spec: ModelSpec, catalogue: Catalogue) -> list[Any] | None:
    return None


def _memory(needs: Needs, texts: dict[str, tuple[int, Any]]) -> list[Any]:
    """Sums and terms; of a memory that is not known in all its terms no sums."""

    def packed(term: Term) -> list[Any]:
        row = [
            term.name,
            term.bytes,
            term.low_bytes,
            term.high_bytes,
            _number(texts, [term.how, term.source, term.arithmetic]),
        ]
        rest = {
            name: packed(own) if isinstance(own, Term) else own
            for name, own in _changed(term).items()
            if name not in TERM_ROW
        }
        if rest or term.offload is not None or term.on_device is not None:
            row.append(
                None
                if term.offload is None
                else [getattr(term.offload, name) for name in Offload._fields]
            )
        if rest or term.on_device is not None:
            row.append(None if term.on_device is None else packed(term.on_device))
        return [*row, rest] if rest else row

    memory = needs.memory
    if memory is None:
        return [None, [packed(term) for term in needs.known_terms]]
    return [
        memory.evictable_bytes,
        memory.total_bytes,
        memory.low_bytes,
        memory.high_bytes,
        [packed(term) for term in memory.terms],
    ]


def _number(numbered: dict[str, tuple[int, Any]], value: Any) -> int:
    """The place of a value among different ones, which `numbered` holds by what they look like."""
    import json

    return numbered.setdefault(json.dumps(value), (len(numbered), value))[0]


_RULED_OUT = Judged(
    findings=(Finding(check="memory", outcome=Outcome.FAIL, code="memory-too-small", reason=""),),
    needs=None,
    speed=None,
)


_RUNS = Judged(findings=(), needs=None, speed=None)


def _offered_until(question: Question, judged: Judged, catalogue: Catalogue) -> str | None:
    """The day from which no API offers the model: offers only end. None for no such day, "" where
    none ever did.

    Stand-ins count where the machine rules the model out.
    """

    def offered(today: str) -> bool:
        def priced(model_id: str, day: str = today) -> Any:
            return offers_of(catalogue.offers_path, model_id, today=day)

        return bool(
            usable_offers(
                question,
                judged,
                catalogue,
                priced,
                lambda model_id: priced(model_id, ""),
                today=today,
                priced_on="",
            )
        )

    if offered("9999"):
        return None
    return next(day for day in _end_days(catalogue) if not offered(day))


@lru_cache(maxsize=1)
def _end_days(catalogue: Catalogue) -> Sequence[str]:
    """ "" and every day on which an offer ends or a model retires."""
    retired = {
        spec.availability.retired
        for spec in catalogue.specs()
        if spec.availability and spec.availability.retired
    }
    return ["", *sorted(retired | set(end_days(catalogue.offers_path)))]


# ------------------------------------------------------------------ records as plain values,
# without what is at its default


def _packed(value: Any, shared: dict[str, tuple[int, Any]]) -> Any:
    """Records as objects with the name of their kind under "", mappings under "of"; runs of numbers
    by their ends.

    What several may have in common is put in `shared`, and its number there stands under "at".
    """
    if isinstance(value, Record):
        return {
            "": name_of_kind(value),
            **{name: _packed(field, shared) for name, field in _changed(value).items()},
        }
    if isinstance(value, Mapping):
        return {"": "of", "of": {key: _packed(own, shared) for key, own in value.items()}}
    if isinstance(value, tuple):
        if len(value) > 3 and all(type(item) is int for item in value) and value[1] > value[0]:
            run = range(value[0], value[-1] + 1, value[1] - value[0])
            if tuple(run) == value:
                return {"": "run", "of": [run.start, run.stop, run.step]}
        items = [_packed(item, shared) for item in value]
        return (
            {"": "at", "of": _number(shared, items)}
            if any(isinstance(item, dict) for item in items)
            else items
        )
    return value


def _changed(record: Record) -> dict[str, Any]:
    """The fields of a record that are not at their defaults."""
    kind = type(record)
    return {
        name: own
        for name in kind._fields
        if (own := getattr(record, name)) != kind._defaults.get(name, ...)
    }
