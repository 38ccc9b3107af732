"""The question of every shipped model with nothing else asked, worked out when the package is
built.

What a model takes does not depend on the machine, but for the kinds of processors of
`needs.repack`: it is computed once, by `asking.ask`, and kept beside the specs. `list` then only
holds it against the machine, by `verdict.judge` as ever. The file names sizes and checksum of all
it was made from, specs, runtimes, prices and this program; of other files it is left aside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial

from ..catalogue.index import Catalogue
from ..catalogue.licenses import canonical_expression
from ..catalogue.media import Denoising, Sound
from ..catalogue.offers import end_days, offers_of
from ..catalogue.runtime import Conversion
from ..catalogue.service import Service
from ..catalogue.spec import (
    Architecture,
    Attention,
    Audio,
    Availability,
    FeedForward,
    License,
    ModelSpec,
    Openness,
    Parameters,
    QuantizationRule,
    Quantized,
    Recurrent,
    RuntimeSpec,
    Safety,
    StatedNeeds,
    StatedWay,
    TensorGroup,
    Upkeep,
)
from ..core import units
from ..core.errors import SelfhostError
from ..core.installed import contents_of, sizes_if_as_installed, sizes_of
from ..core.parts import PACKAGE_FOLDER, UNREADABLE, Parts, joined, value_of
from ..core.records import FrozenDict, Record, Unread
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import CpuNeed, How, Making, MemoryNeed, Needs, Offload, Offloaded, Term
from ..needs.repack import KINDS, kind_of
from ..verdict.bracket import (
    LEAST_CONTEXT_TOKENS,
    Program,
    Reach,
    arranged,
    memory_sketch,
    program_of,
    sketch_of,
)
from ..verdict.defaults import Asker, follows_a_list, from_a_list
from ..verdict.findings import (
    OPEN_PURPOSES,
    Finding,
    Outcome,
    context_check,
    kept_elsewhere,
    license_guessed,
    open_for,
    open_purposes,
    reads_context,
    worst_of,
)
from ..verdict.present import here, may_be_here
from ..verdict.question import GENERATING, architectures, ask, is_context_stated
from ..verdict.record import Judged, Question
from ..verdict.speed import instruction_sets_for_layout
from ..verdict.ways import other_ways
from .api_route import usable_offers, whose_offers
from .ranking import Standings, day_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..core.installed import Files
    from ..needs.tensors import ArchitectureRow
    from ..verdict.bracket import Sketch, Sketches
    from ..verdict.held_whole import Alike, Figures

QUESTIONS_FILE = "questions.bin"
_VERSION = 24
# of the workload, what is held against the machine or the model or has a price, not what the model
# takes
_JUDGED_BY = (
    "min_tokens_per_second",
    "memory_basis",
    "reserve_bytes",
    "load",
    "download_bytes_per_second",
    "prompt_tokens",
    "dataset_tokens",
)
# of that again, what decides which offers count as well
_WISHES = ("private", "commercial", "modify", "auditable", "license")
# what of the needs changes with it is computed anew
_GROWING_WITH = "context_tokens"
# for these contexts the memory is sketched, too: of a shorter one that is as much at most
_LONGER_TOKENS = (16_384, 65_536, 131_072)
# what judging, sorting and listing a model reads of its spec; the rest is read from the spec when
# somebody asks
_OF_SPEC: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((
        "id", "name", "family", "developer", "released", "modality", "uses", "tuned_from",
        "runtimes", "repository", "gated", "aliases",
        "parameters", "needs", "upkeep", "safety",
        "availability", "overrides", "quantized", "denoising", "sound", "native_pixels",
        "frames_per_second",
        "picture_operations",
    ), ()),
    # of these a part
    "license": ("id", "url", "commercial_use", "conditions"),
    "openness": ("weights",),
    "architecture": (
        "row", "layers", "context_tokens", "scaled_context_tokens", "attention",
        # of the pace
        "audio", "embedding_length", "feed_forward", "vocabulary", "positions",
    ),
}  # fmt: skip
# of those, what is kept once for all models that have the same
_SHARED = (
    "parameters",
    "needs",
    "upkeep",
    "safety",
    "availability",
    "quantized",
    "denoising",
    "sound",
)
_IN_PART: Mapping[str, type[Record]] = {
    "license": License,
    "openness": Openness,
    "architecture": Architecture,
}
_KINDS: Mapping[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        Architecture, Attention, Audio, Availability, Conversion, CpuNeed, Denoising, FeedForward,
        License,
        Making, Offloaded, Openness,
        Parameters, QuantizationRule, Quantized,
        Recurrent, RuntimeSpec, Safety, Service, Sound, StatedNeeds, StatedWay,
        TensorGroup, Term, Unread, Upkeep,
    )
}  # fmt: skip


def _kind_of(value: Record) -> str:
    """The name under which a record is kept. `TypeError` for a kind that `_KINDS` lacks: what is
    kept could not be read again.
    """
    name = type(value).__name__
    if name not in _KINDS:
        raise TypeError(f"{name} is missing in advice/compiled.py, _KINDS")
    return name


# in the row of a model, the numbers of its workload, its runtime and its graph
_WORKLOAD, _RUNTIME, _PROGRAM = 1, 3, 7

_HOW: Mapping[str | None, How | None] = {None: None, **{how.value: how for how in How}}


def _default_but(workload: Workload, fields: tuple[str, ...]) -> bool:
    """Nothing is asked beyond these fields; one that is added to Workload is not among them."""
    return all(
        getattr(workload, name) == Workload._defaults[name]
        for name in Workload._fields
        if name not in fields
    )


def _holds_prompt(spec: ModelSpec, filled: Workload, asked: Workload) -> bool:
    """Whether the default context holds the prompt that was asked for."""
    with_prompt = asked.tokens_with_prompt or 0
    return spec.modality not in GENERATING or (filled.context_tokens or 0) >= with_prompt


class Questions:
    """The questions of one catalogue's shipped models; made by `open`."""

    def __init__(
        self, catalogue: Catalogue, machine: Machine, workload: Workload, parts: Parts
    ) -> None:
        """What machine and workload do not ask for of `parts` stays unread."""
        header = parts.header
        if not _is_made_of(_files_behind(catalogue), header):
            raise ValueError("made of something else")
        self._parts = parts
        self._catalogue = catalogue
        self._machine = machine
        self._has_wishes = not _default_but(workload, _JUDGED_BY)
        self._served_until: Mapping[str, str | None] = header["served_until"]
        self._folder = os.path.join(catalogue.folder, "")
        self._guessed: Mapping[str, Sequence[bool]] = header["license_guessed"]
        self._kept_by: Mapping[str, str] = header["kept_by"]
        self._kind = kind_of(instruction_sets_for_layout(machine))
        # of these each value is read when it is asked for
        self._rows: Mapping[str, bytes] = parts["rows"]
        self._memory: Mapping[str, bytes] = parts[f"memory {self._kind}"]
        self._values = _Values(parts["values"])
        self._asked = workload
        self._purposes = open_purposes(workload)
        self._workloads: dict[tuple[int, bool], Workload] = {}
        self._runtimes: dict[int, RuntimeSpec | None] = {}
        self._of_rows: dict[tuple[object, ...], ArchitectureRow | None] = {}
        self._sketched: dict[int, Program] = {}
        self._may_hold: dict[tuple[int, int], bool] = {}

    @classmethod
    def open(cls, catalogue: Catalogue, workload: Workload, machine: Machine) -> Questions | None:
        """None where that workload asks for something that changes the needs, or where the file
        is missing or of other specs.
        """
        if not _default_but(workload, (*_JUDGED_BY, *_WISHES, _GROWING_WITH)):
            return None
        try:
            parts = Parts(os.path.join(catalogue.folder, QUESTIONS_FILE), _VERSION)
            return cls(catalogue, machine, workload, parts)
        except UNREADABLE:
            return None

    def question(self, id: str, workload: Workload) -> Question | None:
        """As `asking.ask` gives it, and raises; None for a model that is not among them.
        `workload` is as in `open`.
        """
        row = self._row(id)
        if row is None:
            return None
        of_spec, number, _, program, loads, read, needed, _, operations, rewrites = row
        spec, values = self._spec(id, of_spec), self._values
        is_stated = is_context_stated(workload)
        has_context = not is_stated or reads_context(spec)
        filled = self._workload(workload, number, has_context=has_context)
        if not _holds_prompt(spec, filled, workload):
            return None
        runtime = self._runtime(program)
        needs = None
        if needed is not None:
            memory = self._memory.get(id)
            needs = self._needs(needed, None if memory is None else value_of(memory))
        is_longer = has_context and workload.context_tokens is not None
        if needs is not None and runtime is not None and is_longer:
            from ..needs import at_context

            self._remember_program(spec, row[_PROGRAM])
            needs = at_context(needs, spec, runtime, filled, architectures(self._catalogue))
            if needs is None:
                return None
        copy_here = None
        if runtime is not None and needs is not None and self._machine.models_present:
            copy_here = here(spec, runtime, filled, needs, self._machine, self._catalogue)
        purposes = self._purposes
        return Question.partly({
            "spec": spec,
            "workload": filled,
            "runtime": runtime,
            "loads": loads,
            "needs": needs,
            "read_bytes": values[read],
            "operations": operations,
            "rewriting": self._row_of(spec) if rewrites else None,
            "context_asked": has_context and is_stated,
            "speed_stated": workload.min_tokens_per_second is not None,
            "here": copy_here,
            "opened": self._openness(id, purposes),
            "license_guessed": tuple(self._guessed.get(id, (False,
            False))) if filled.commercial or filled.license else None,
            "kept_by": (self._kept_by.get(id),) if needs is not None else None,
        })  # fmt: skip

    @cached_property
    def sketches(self) -> Sketches:
        """What decides of each question, where nothing is asked that is not judged by."""
        sketches: Sketches = self._parts.later(f"sketches {self._kind}")
        return sketches

    @cached_property
    def other_sketches(self) -> Sketches:
        """Of what follows a list, those of the ways that are tried beside its own, by the id, a
        space and a number.
        """
        sketches: Sketches = self._parts.later("sketches of other ways")
        return sketches

    @cached_property
    def reaches(self) -> Mapping[str, Reach]:
        """Of each model that takes a context what one does to it."""
        fields = self._parts.later("reaches")
        names = Reach._fields
        return {id: Reach.partly(dict(zip(names, own, strict=True))) for id, own in fields.items()}

    def longer_sketches(self, context_tokens: int) -> Sketches | None:
        """What decides of the memory under a context that is no shorter; None beyond the longest
        that is sketched.
        """
        tokens = next((longer for longer in _LONGER_TOKENS if longer >= context_tokens), None)
        if tokens is None:
            return None
        sketches: Sketches = self._parts.later(f"memory at {tokens} {self._kind}")
        return sketches

    def beyond(self, context_tokens: int | None) -> set[str]:
        """The models that surely cannot use so long a context."""
        if context_tokens is None:
            return set()
        return {
            id
            for id, reach in self.reaches.items()
            if reach.most_tokens is not None and context_tokens > reach.most_tokens
        }

    @property
    def held_whole(self) -> Mapping[Alike, Mapping[str, Figures]]:
        """By what models of text have in common, by id their figures where GPUs hold them whole,
        under a context that is no shorter than what is asked; without those of which they are not
        at hand.
        """
        from ..verdict.held_whole import Alike

        groups, tokens = self._parts.later(f"held whole {self._kind}"), self._asked.context_tokens
        longer = next((each for each in _LONGER_TOKENS if each >= (tokens or 0)), None)
        at_hand: Mapping[str, Figures] = {}
        if tokens is not None and longer is not None:
            at_hand = self._parts.later(f"held at {longer} {self._kind}")

        def under(id: str, figures: Figures) -> Figures | None:
            reach = None if tokens is None else self.reaches.get(id)
            if reach is None or tokens is None:
                return figures
            if reach.most_tokens is None or tokens > reach.most_tokens:
                return None
            if tokens <= reach.usual_tokens or not reach.grows:
                return figures
            of_memory = at_hand.get(id)
            return None if of_memory is None else (*of_memory, *figures[len(of_memory) :])

        return {
            Alike.partly(dict(zip(Alike._fields, key, strict=True))): {
                id: taken for id, own in of_group.items() if (taken := under(id, own)) is not None
            }
            for key, of_group in groups
        }

    def program(self, number: int) -> Program:
        """What the sketches of that number follow from."""
        if number not in self._sketched:
            modality, workload, runtime, cpu, asked = self._sketched_by[number]
            self._sketched[number] = Program(
                modality=modality,
                workload=self._workload(self._asked, workload),
                speed_stated=self._asked.min_tokens_per_second is not None,
                runtime=self._runtime(runtime),
                cpu=self._values[cpu],
                asked=asked,
            )
        return self._sketched[number]

    @cached_property
    def _sketched_by(self) -> Sequence[Any]:
        programs: Sequence[Any] = self._parts.later("sketched by")
        return programs

    @cached_property
    def standings(self) -> Mapping[str, Sequence[Any]]:
        """By id the fields of its `ranking.Standing`; empty where a user's models count, too."""
        if self._catalogue.has_own:
            return {}
        standings: Mapping[str, Sequence[Any]] = self._parts.later("standings")
        return standings

    @property
    def is_plain(self) -> bool:
        """Nothing but the machine and the context decides: nothing else is asked of the models,
        and all are shipped. The context is none that changes their pace.
        """
        tokens = self._asked.context_tokens
        is_long = tokens is None or tokens >= LEAST_CONTEXT_TOKENS
        asks_nothing = _default_but(self._asked, (*_JUDGED_BY, _GROWING_WITH))
        return is_long and asks_nothing and not self._catalogue.has_own

    def may_be_here(self, id: str) -> bool:
        """Whether files of the model, as it is asked for, may lie on the machine."""
        machine = self._machine
        row = self._row(id) if machine.models_present else None
        if row is None:
            return False
        kind = row[_RUNTIME], row[_WORKLOAD]
        if kind not in self._may_hold:
            runtime, workload = self._runtime(kind[0]), self._workload(self._asked, kind[1])
            self._may_hold[kind] = runtime is not None and may_be_here(runtime, workload, machine)
        if not self._may_hold[kind]:
            return False
        question = self.question(id, self._asked)
        return question is None or question.here is not None

    @property
    def as_of(self) -> str | None:
        """The day of the shipped catalogue, as of `listing.Listing`."""
        as_of: str | None = self._parts.header["as_of"]
        return as_of

    def spec(self, id: str) -> ModelSpec | None:
        """That of a question, what is beyond it read from its file when asked for; None for a
        model that is not among them.
        """
        row = self._row(id)
        return None if row is None else self._spec(id, row[0])

    def _row(self, id: str) -> Sequence[Any] | None:
        row = self._rows.get(id) if self._catalogue.is_shipped(id) else None
        return None if row is None else value_of(row)

    def _openness(self, id: str, purposes: Sequence[str]) -> Finding | None:
        """The worst finding of the model's openness for those purposes; None without any."""
        if not purposes:
            return None
        by_purpose = value_of(self._opened[id])
        return worst_of(
            [
                Finding.partly({**values, "outcome": Outcome(values["outcome"])})
                for values in map(by_purpose.__getitem__, purposes)
            ]
        )

    @cached_property
    def _opened(self) -> Mapping[str, bytes]:
        """By model, by purpose the finding of its openness, for whoever asks for openness."""
        findings: Mapping[str, bytes] = self._parts.later("opened")
        return findings

    def offered(
        self, spec: ModelSpec, own: bool, met: Mapping[str, bool], workload: Workload, today: str
    ) -> bool | None:
        """Whether an API offers the model or a stand-in, where it does not run here; None where
        what is asked may change that.

        `own`: the model itself is as was asked; `met` by id whether others are.
        """
        if (
            self._catalogue.has_own
            or spec.id not in self._rows
            or workload.context_tokens is not None
        ):
            return None
        if workload.private:
            return False
        if not self._has_wishes:
            _, _, until, *_ = value_of(self._rows[spec.id])
            return until is None or today < until

        def serves(model_id: str) -> bool:
            until = self._served_until.get(model_id, "")
            return until is None or today < until

        return (
            whose_offers(
                spec,
                self._catalogue,
                serves,
                lambda model_id: met.get(model_id, False),
                own=own,
                instead=True,
            )
            is not None
        )

    def _spec(self, id: str, row: Sequence[Any]) -> ModelSpec:
        catalogue, values = self._catalogue, self._values
        fields = dict(zip(_OF_SPEC, row, strict=True))
        for name in _SHARED:
            fields[name] = values[fields[name]]
        for name, kind in _IN_PART.items():
            number = fields[name]
            # many models have the same
            part = values.get(number)
            if part is None:
                part = values.part(number, kind, _OF_SPEC[name], partial(self._whole, name))
            fields[name] = part
        fields["origin"] = f"{self._folder}{id}.toml"
        return ModelSpec.partly(fields, lambda: catalogue.spec(id))

    def _whole(self, name: str, place: str | int) -> Any:
        if isinstance(place, int):
            return self._values.revived(value_of(self._architectures[place]))
        return getattr(self._catalogue.shipped_spec(place), name)

    @cached_property
    def _architectures(self) -> Sequence[bytes]:
        """For whoever asks for more of an architecture than most do."""
        architectures: Sequence[bytes] = self._parts.later("architectures")
        return architectures

    def _runtime(self, number: int) -> RuntimeSpec | None:
        if number not in self._runtimes:
            runtime: RuntimeSpec | None = self._values[number]
            # where it lies is not known when the package is built
            place = (
                ""
                if runtime is None
                else os.path.join(self._folder, "runtimes", f"{runtime.id}.toml")
            )
            self._runtimes[number] = None if runtime is None else runtime.replace(origin=place)
        return self._runtimes[number]

    def _workload(self, workload: Workload, number: int, *, has_context: bool = True) -> Workload:
        """What was asked, with the defaults of that number filled in; `has_context`: see
        `findings.reads_context`.
        """
        if workload is not self._asked:
            self._asked, self._workloads = workload, {}
            self._purposes = open_purposes(workload)
        filled = self._workloads.get((number, has_context))
        if filled is None:
            blank = {
                name: value
                for name, value in self._values[number].items()
                if getattr(workload, name) is None
            }
            expression = (
                None
                if workload.license is None
                else canonical_expression(workload.license, self._catalogue.license_ids)
            )
            if not has_context:
                blank["context_tokens"] = None
            filled = workload.replace(license=expression, **blank)
            self._workloads[number, has_context] = filled
        return filled

    def _needs(self, row: Sequence[Any], memory: Sequence[Any] | None) -> Needs:
        values = self._values
        download, disk, largest, how, ends, source, cpu, unknown, offloaded, making = row
        return Needs.partly({
            "download_bytes": download,
            "disk_bytes": disk,
            "largest_file_bytes": largest,
            "download_how": _HOW[how],
            "download_source": values[source],
            "download_range": None if ends is None else tuple(ends),
            "cpu": values[cpu],
            "memory": None if memory is None or memory[0] is None else self._memory_need(*memory),
            "known_terms": tuple([self._term(*term) for term in memory[-1]]) if memory is not None and memory[0] is None else (),  # noqa: E501
            "unknown": values[unknown],
            "offloaded": values[offloaded],
            "making": values[making],
        })  # fmt: skip

    def _memory_need(
        self, evictable: int, total: int, low: int, high: int, terms: Sequence[Any]
    ) -> MemoryNeed:
        """The sums are known, so that the terms are made only where one is asked for: to be
        placed, or to be shown.
        """

        def whole() -> MemoryNeed:
            return MemoryNeed(
                terms=tuple([self._term(*term) for term in terms]), evictable_bytes=evictable
            )

        return MemoryNeed.partly(
            {
                "evictable_bytes": evictable,
                "total_bytes": total,
                "low_bytes": low,
                "high_bytes": high,
            },
            whole,
        )

    def _term(
        self,
        name: str,
        size: int,
        low: int,
        high: int,
        number: int,
        offload: Sequence[int] | None = None,
        device: Sequence[Any] = (),
    ) -> Term:
        parts = (
            None
            if offload is None
            else Offload.partly(dict(zip(Offload._fields, offload, strict=True)))
        )
        on_device = self._term(*device) if device else None

        def whole() -> Term:
            how, source, line = value_of(self._texts[number])
            term = Term(
                name=name,
                bytes=size,
                low_bytes=low,
                high_bytes=high,
                how=How(how),
                source=source,
                arithmetic=line,
            )
            return term.replace(offload=parts, on_device=on_device)

        fields = {
            "name": name,
            "bytes": size,
            "low_bytes": low,
            "high_bytes": high,
            "where": "host",
        }
        return Term.partly({**fields, "offload": parts, "on_device": on_device}, whole)

    def _remember_program(self, spec: ModelSpec, number: int) -> None:
        """Its graph, where it is at hand, for the size of its compute buffer."""
        from ..needs.llamacpp.graphs import remember

        architecture = spec.architecture
        packed = None if architecture is None else value_of(self._programs[number])
        row = None if packed is None else self._row_of(spec)
        if architecture is not None and packed is not None and row is not None:
            remember(architecture, row, packed)

    def _row_of(self, spec: ModelSpec) -> ArchitectureRow | None:
        """The row of its architecture; None where none describes it."""
        from ..needs.tensors import row_of

        architecture = spec.architecture
        if architecture is None:
            return None
        named = (architecture.row, architecture.also, architecture.lacks, architecture.gate)
        if named not in self._of_rows:
            self._of_rows[named] = row_of(architecture, architectures(self._catalogue))
        return self._of_rows[named]

    @cached_property
    def _programs(self) -> Sequence[bytes]:
        programs: Sequence[bytes] = self._parts.later("programs")
        return programs

    @cached_property
    def _texts(self) -> Sequence[bytes]:
        """How a term is known, its source and its arithmetic: read when the first is asked for."""
        texts: Sequence[bytes] = self._parts.later("texts")
        return texts


class ReadyAsker(Asker):
    """As `Asker`, with the questions that are at hand where the workload leaves them as they
    are.
    """

    def __init__(self, catalogue: Catalogue, machine: Machine) -> None:
        super().__init__(catalogue, machine)
        self._opened: tuple[Workload, Questions | None] | None = None

    def _ready(self, workload: Workload) -> Questions | None:
        if self._opened is None or self._opened[0] != workload:
            self._opened = workload, Questions.open(self.catalogue, workload, self.machine)
        return self._opened[1]

    def spec(self, id: str, workload: Workload) -> ModelSpec:
        ready = self._ready(workload)
        return (None if ready is None else ready.spec(id)) or super().spec(id, workload)

    def standings(self, workload: Workload) -> Mapping[str, Sequence[Any]]:
        ready = self._ready(workload)
        return {} if ready is None else ready.standings

    def ask(self, spec: ModelSpec, workload: Workload) -> Question:
        ready = self._ready(workload)
        question = None if ready is None else ready.question(spec.id, workload)
        if question is None:
            return super().ask(spec, workload)
        return from_a_list(question, workload, self.catalogue, self.machine)


def compile_questions(directory: str) -> bytes:
    """The content of `QUESTIONS_FILE` for a folder of specs; the same files and the same program
    always give the same.

    A file of `core.parts`: the rows by model, the values that rows share, the memory by model for
    each of KINDS, the openness by model, the texts of all terms, and what `verdict.bracket` and
    `ranking` ask of all models.
    """
    catalogue = Catalogue.open(shipped=directory)
    values: dict[str, tuple[int, Any]] = {}
    texts: dict[str, tuple[int, Any]] = {}
    shapes: dict[str, tuple[int, Any]] = {}
    programs: dict[str, tuple[int, Any]] = {}
    rows: dict[str, Any] = {}
    opened: dict[str, Any] = {}
    memory: dict[str, dict[str, Any]] = {name: {} for name in KINDS}
    numbered_asks = _Asked(values)
    at_once = _AtOnce(catalogue, numbered_asks)
    served: dict[str, str | None] = {}
    guessed: dict[str, tuple[bool, bool]] = {}
    kept_by: dict[str, str | None] = {}
    for spec in catalogue.specs():
        served[spec.id] = _offered_until(Question(spec=spec, workload=Workload()), _RUNS, catalogue)
        try:
            questions = {
                name: ask(spec, Workload(), catalogue, Machine(instruction_sets=sets))
                for name, sets in KINDS.items()
            }
        except SelfhostError:
            # no row: whoever asks meets the same error
            continue
        asked = questions[""]
        rows[spec.id] = _row(asked, catalogue, numbered_asks, shapes, programs)
        guessed[spec.id] = license_guessed(spec)
        if spec.gated:
            kept_by[spec.id] = kept_elsewhere(
                spec, asked.workload.format, asked.workload.quantization
            )
        opened[spec.id] = {purpose: _changed(open_for(spec, purpose)) for purpose in OPEN_PURPOSES}
        for name, question in questions.items():
            needs = question.needs
            if needs is not None and (needs.memory is not None or needs.known_terms):
                memory[name][spec.id] = _memory(needs, texts)
        at_once.add(questions)
    numbered = {"values": values, "texts": texts, "architectures": shapes, "programs": programs}
    by_name: dict[str, Any] = {
        "rows": rows,
        "opened": opened,
        **{f"memory {name}": needs_of_spec for name, needs_of_spec in memory.items()},
        **at_once.parts(),
        "standings": _standings(catalogue),
        **{name: [value for _, value in table.values()] for name, table in numbered.items()},
    }
    behind = _files_behind(catalogue)
    header = {
        "sizes": sizes_of(behind),
        "contents": contents_of(behind),
        "as_of": day_of(catalogue, (spec.released for spec in catalogue.specs())),
        "served_until": {name: until for name, until in served.items() if until != ""},
        "license_guessed": {name: pair for name, pair in guessed.items() if any(pair)},
        "kept_by": {name: repository for name, repository in kept_by.items() if repository},
    }
    apart = ("rows", "opened", *[f"memory {name}" for name in memory], *numbered)
    return joined(_VERSION, header, by_name, frozen=True, apart=apart)


class _AtOnce:
    """What `verdict.bracket` and `verdict.held_whole` ask of all models."""

    def __init__(self, catalogue: Catalogue, asked: _Asked) -> None:
        self._catalogue = catalogue
        self._programs = _Sketched(asked)
        self._sketches: dict[str, dict[str, Sketch]] = {name: {} for name in KINDS}
        self._others: dict[str, Sketch] = {}
        self._longer = _Longer(catalogue)
        self._whole = {name: _HeldWhole() for name in KINDS}

    def add(self, questions: Mapping[str, Question]) -> None:
        """One model, by kind of processor."""
        question = questions[""]
        spec, plain = question.spec, Workload()
        for name, own in questions.items():
            self._sketches[name][spec.id] = self._programs.sketch(own)
            self._whole[name].add(own, self._programs.number(own))
        self._longer.add(questions, {name: own[spec.id] for name, own in self._sketches.items()})
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
            (tokens, name): {} for tokens in _LONGER_TOKENS for name in KINDS
        }
        # of what GPUs hold whole, the figures of the memory
        self.held: dict[tuple[int, str], dict[str, Figures]] = {key: {} for key in self.sketches}
        self._catalogue = catalogue

    def add(self, questions: Mapping[str, Question], sketches: Mapping[str, Sketch]) -> None:
        """One model, by kind of processor."""
        from ..verdict.held_whole import figures_of_memory

        question = questions[""]
        reach, id = _reach(question), question.spec.id
        if reach is None:
            return
        self.reaches[id] = [getattr(reach, name) for name in Reach._fields]
        for (tokens, name), own in self.sketches.items():
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
    most, runtime = reach.most_tokens, question.runtime
    if question.needs is None or runtime is None or most is None or not reach.grows:
        return None
    from ..needs import at_context

    taken = question.workload.replace(context_tokens=min(most, context_tokens))
    return at_context(question.needs, question.spec, runtime, taken, architectures(catalogue))


# the packages whose code decides what a question holds
_FOLDERS = (
    "core",
    "machine",
    "catalogue",
    "needs",
    "needs/llamacpp",
    "needs/mlx",
    "needs/torch",
    "verdict",
    "verdict/findings",
    "advice",
)


def _files_behind(catalogue: Catalogue) -> Files:
    """Those of the catalogue, and of the program that makes questions of it."""
    package = PACKAGE_FOLDER
    modules = []
    for folder in _FOLDERS:
        with os.scandir(os.path.join(package, folder)) as entries:
            modules += sorted(
                f"{folder}/{entry.name}" for entry in entries if entry.name.endswith(".py")
            )
    return (catalogue.folder, catalogue.shipped_files()), (package, modules)


def _is_made_of(files: Files, header: Mapping[str, Any]) -> bool:
    """Whether a file with that header was made of these."""
    folder, _ = files[0]
    is_installed = os.path.dirname(folder) == PACKAGE_FOLDER
    sizes = sizes_if_as_installed(files) if is_installed else None
    if sizes is not None:
        return bool(sizes == header["sizes"])
    return bool(contents_of(files) == header["contents"])


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
        return number(own) if name in _SHARED else own

    spec, needs, values = question.spec, question.needs, asked.values
    of_spec = [
        spec_field(name, names, own)
        for name, names in _OF_SPEC.items()
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
    from ..needs.llamacpp.graphs import packed_program
    from ..needs.tensors import row_of

    row = None if spec.architecture is None else row_of(spec.architecture, architectures(catalogue))
    return (
        None if spec.architecture is None or row is None else packed_program(spec.architecture, row)
    )


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
        if term.offload is not None or term.on_device is not None:
            row.append(
                None
                if term.offload is None
                else [getattr(term.offload, name) for name in Offload._fields]
            )
        return row if term.on_device is None else [*row, packed(term.on_device)]

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
            "": _kind_of(value),
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


class _Values(dict[int, "Any"]):
    """What `_packed` wrote, by number; each is made once, when it is asked for: most are asked
    for many times.
    """

    def __init__(self, packed: Sequence[bytes]) -> None:
        super().__init__()
        self._packed = packed

    def __missing__(self, number: int) -> Any:
        packed = value_of(self._packed[number])
        value = packed if type(packed) not in (dict, tuple) else self.revived(packed)
        self[number] = value
        return value

    def part(
        self, number: int, kind: type[Record], names: tuple[str, ...], whole: Callable[[Any], Any]
    ) -> Any:
        """A record that is known in part; `whole` gives all of it, by the place where it is."""
        record = self.get(number)
        whole_row = None if record is not None else value_of(self._packed[number])
        if whole_row is not None:
            place, *packed = whole_row
            values = dict(
                zip(
                    names,
                    [self.revived(own) if type(own) is dict else own for own in packed],
                    strict=True,
                )
            )
            record = self[number] = kind.partly(values, lambda: whole(place))
        return record

    def revived(self, value: Any) -> Any:
        """A value as it was."""
        if type(value) is tuple:
            return tuple([self.revived(item) if type(item) is dict else item for item in value])
        if type(value) is not dict:
            return value
        name = value[""]
        if name == "at":
            return self[value["of"]]
        if name == "run":
            return tuple(range(*value["of"]))
        if name == "of":
            return FrozenDict(
                {
                    key: self.revived(own) if type(own) is dict else own
                    for key, own in value["of"].items()
                }
            )
        return _KINDS[name].partly(
            {
                key: self.revived(own) if type(own) is dict else own
                for key, own in value.items()
                if key
            }
        )
