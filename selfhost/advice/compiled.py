"""The question of every shipped model with nothing else asked, worked out when the package is
built.

What a model takes does not depend on the machine, but for the kinds of processors of
`needs.repack`: it is computed once, by `compiling`, and kept beside the specs. `list` then only
holds it against the machine, by `verdict.judging` as ever. The file names sizes and checksum of all
it was made from, specs, runtimes, prices and this program; of other files it is left aside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..catalogue.account import Account
from ..catalogue.index import Catalogue
from ..catalogue.licenses import canonical_expression
from ..catalogue.media import Denoising, Sound
from ..catalogue.runtime import CacheRule, Conversion, Service
from ..catalogue.spec import (
    GENERATING,
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
from ..core.caching import cached_property, partial
from ..core.installed import contents_of, sizes_if_as_installed
from ..core.parts import PACKAGE_FOLDER, UNREADABLE, Parts, value_of
from ..core.records import FrozenDict, Record, Unread
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import CpuNeed, How, Making, MemoryNeed, Needs, Offload, Offloaded, Term
from ..needs.repack import kind_of
from ..verdict.bracket import (
    LEAST_CONTEXT_TOKENS,
    Program,
    Reach,
)
from ..verdict.defaults import Asker, from_a_list
from ..verdict.findings import (
    Finding,
    Outcome,
    open_purposes,
    reads_context,
    worst_of,
)
from ..verdict.present import here, may_be_here
from ..verdict.question import architectures, is_context_stated, needs_at_context
from ..verdict.record import Question
from ..verdict.speed import instruction_sets_for_layout
from .api_route import whose_offers

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..core.installed import Files
    from ..needs.tensors import ArchitectureRow
    from ..verdict.bracket import Sketches
    from ..verdict.defaults import AtHand
    from ..verdict.held_whole import Alike, Figures
    from ..verdict.present import Here

QUESTIONS_FILE = "questions.bin"
VERSION = 29
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
LONGER_TOKENS = (16_384, 65_536, 131_072)
# what judging, sorting and listing a model reads of its spec; the rest is read from the spec when
# somebody asks
OF_SPEC: Mapping[str, tuple[str, ...]] = {
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
SHARED = (
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
        Account, Architecture, Attention, Audio, Availability, CacheRule, Conversion, CpuNeed,
        Denoising,
        FeedForward, License,
        Making, Offloaded, Openness,
        Parameters, QuantizationRule, Quantized,
        Recurrent, RuntimeSpec, Safety, Service, Sound, StatedNeeds, StatedWay,
        TensorGroup, Term, Unread, Upkeep,
    )
}  # fmt: skip


def in_type(id: str, type: str) -> str:
    """Where the row of a model stands in a type that is tried after its default one."""
    return f"{id} {type}"


def name_of_kind(value: Record) -> str:
    """The name under which a record is kept. `TypeError` for a kind that `_KINDS` lacks: what is
    kept could not be read again.
    """
    name = type(value).__name__
    if name not in _KINDS:
        raise TypeError(f"{name} is missing in advice/compiled.py, _KINDS")
    return name


# in the row of a model, the numbers of its workload, its runtime and its graph
_WORKLOAD, _RUNTIME, _PROGRAM = 1, 3, 7

TERM_ROW = (
    "name",
    "bytes",
    "low_bytes",
    "high_bytes",
    "where",
    "how",
    "source",
    "arithmetic",
    "offload",
    "on_device",
)
"""The fields of a term that have a place in its row; the others stand by name at its end."""
_TERMS_IN_TERM = ("beside", "on_large", "lean")

_HOW: Mapping[str | None, How | None] = {None: None, **{how.value: how for how in How}}


def _default_but(workload: Workload, fields: tuple[str, ...]) -> bool:
    """Nothing is asked beyond these fields; one that is added to Workload is not among them."""
    return all(
        getattr(workload, name) == Workload._defaults[name]
        for name in Workload._fields
        if name not in fields
    )


def leaves_needs(workload: Workload) -> bool:
    """Whether it asks for nothing that changes what models take, but for the context: compiled
    questions hold of it.
    """
    return _default_but(workload, (*_JUDGED_BY, *_WISHES, _GROWING_WITH))


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
        if not _is_made_of(files_behind(catalogue), header):
            raise ValueError("made of something else")
        self._parts = parts
        self._catalogue = catalogue
        self._machine = machine
        self._has_wishes = not _default_but(workload, _JUDGED_BY)
        self._served_until: Mapping[str, str | None] = header["served_until"]
        self._folder = os.path.join(catalogue.folder, "")
        self._guessed: Mapping[str, Sequence[bool]] = header["license_guessed"]
        self._kept_by: Mapping[str, str] = header["kept_by"]
        self.in_turn: Mapping[str, Sequence[str]] = header["in_turn"]
        self._kind = kind_of(instruction_sets_for_layout(machine))
        # of these each value is read when it is asked for
        self._rows: Mapping[str, bytes] = parts["rows"]
        self._memory: dict[str, Mapping[str, bytes]] = {self._kind: parts[f"memory {self._kind}"]}
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
        if not leaves_needs(workload):
            return None
        try:
            parts = Parts(os.path.join(catalogue.folder, QUESTIONS_FILE), VERSION)
            return cls(catalogue, machine, workload, parts)
        except UNREADABLE:
            return None

    def question(
        self, id: str, workload: Workload, kind: str | None = None, type: str | None = None
    ) -> Question | None:
        """As `asking.ask` gives it, and raises; None for a model that is not among them.
        `workload` is as in `open`. `kind`: on another processor, by the names of `needs.repack`.
        `type`: of those that are tried where the model does not run in its default one.
        """
        if type is not None:
            return self._question(id, in_type(id, type), workload, kind)
        question = self._question(id, id, workload, kind)
        if question is None or question.here is not None or not self._machine.models_present:
            return question
        # what is here already goes before what would be downloaded
        others = (self.question(id, workload, kind, name) for name in question.in_turn)
        return next((other for other in others if other and other.here is not None), question)

    def _question(
        self, id: str, place: str, workload: Workload, kind: str | None
    ) -> Question | None:
        """As `question`, of the model's row at that place."""
        row = self._row(place)
        if row is None:
            return None
        of_spec, number, _, program, loads, read, needed, _, operations, matrices, rewrites = row
        spec, values = self._spec(id, of_spec), self._values
        is_stated = is_context_stated(workload)
        has_context = not is_stated or reads_context(spec)
        filled = self._workload(workload, number, has_context=has_context)
        if not _holds_prompt(spec, filled, workload):
            return None
        runtime = self._runtime(program)
        needs = self._needs_by_default(place, needed, self._kind if kind is None else kind)
        is_longer = has_context and workload.context_tokens is not None
        if needs is not None and runtime is not None and is_longer:
            usual_tokens = values[number].get("context_tokens")
            needs = needs_at_context(spec, runtime, needs, usual_tokens, filled, self._catalogue)
            if needs is None:
                return None
        return Question.partly({
            "spec": spec,
            "workload": filled,
            "runtime": runtime,
            "loads": loads,
            "needs": needs,
            "read_bytes": values[read],
            "operations": operations,
            "expert_matrices": matrices,
            "rewriting": self._row_of(spec) if rewrites else None,
            "context_asked": has_context and is_stated,
            "speed_stated": workload.min_tokens_per_second is not None,
            "here": self._here(spec, runtime, filled, needs),
            "opened": self._openness(id, self._purposes),
            "license_guessed": tuple(self._guessed.get(id, (False,
            False))) if filled.commercial or filled.license else None,
            "kept_by": (self._kept_by.get(place),) if needs is not None else None,
            "in_turn": tuple(self.in_turn.get(place, ())),
        })  # fmt: skip

    def _here(
        self, spec: ModelSpec, runtime: RuntimeSpec | None, filled: Workload, needs: Needs | None
    ) -> Here | None:
        """The files that the machine has already; None where it has none, or it is not known."""
        if runtime is None or needs is None or not self._machine.models_present:
            return None
        return here(spec, runtime, filled, needs, self._machine, self._catalogue)

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
        tokens = next((longer for longer in LONGER_TOKENS if longer >= context_tokens), None)
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
        longer = next((each for each in LONGER_TOKENS if each >= (tokens or 0)), None)
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
        if not self._may_hold[kind] and id not in self.in_turn:
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

    def at_hand(self, workload: Workload) -> AtHand:
        """Gives the questions in the types that are tried one after another."""
        return lambda id, type: self.question(id, workload, type=type)

    def _row(self, place: str) -> Sequence[Any] | None:
        id, _, _ = place.partition(" ")
        row = self._rows.get(place) if self._catalogue.is_shipped(id) else None
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
        fields = dict(zip(OF_SPEC, row, strict=True))
        for name in SHARED:
            fields[name] = values[fields[name]]
        for name, kind in _IN_PART.items():
            number = fields[name]
            # many models have the same
            part = values.get(number)
            if part is None:
                part = values.part(number, kind, OF_SPEC[name], partial(self._whole, name))
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

    def takes_alike(self, id: str, kind: str, other: str) -> bool:
        """Whether the model takes the same on two kinds of processor."""
        return self._memory_on(kind).get(id) == self._memory_on(other).get(id)

    def _memory_on(self, kind: str) -> Mapping[str, bytes]:
        if kind not in self._memory:
            self._memory[kind] = self._parts.later(f"memory {kind}")
        return self._memory[kind]

    def _needs_by_default(self, id: str, needed: Sequence[Any] | None, kind: str) -> Needs | None:
        if needed is None:
            return None
        memory = self._memory_on(kind).get(id)
        return self._needs(needed, None if memory is None else value_of(memory))

    def _needs(self, row: Sequence[Any], memory: Sequence[Any] | None) -> Needs:
        values = self._values
        download, disk, largest, how, ends, source, cpu, unknown, offloaded, making, divided = row
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
            "tensor_parallel": values[divided],
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
        device: Sequence[Any] | None = None,
        rest: Mapping[str, Any] = FrozenDict(),
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
            others = {
                field: self._term(*own) if field in _TERMS_IN_TERM and own else own
                for field, own in rest.items()
            }
            return term.replace(offload=parts, on_device=on_device, **others)

        fields = {
            "name": name,
            "bytes": size,
            "low_bytes": low,
            "high_bytes": high,
            "where": "host",
        }
        return Term.partly({**fields, "offload": parts, "on_device": on_device}, whole)

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
        at_hand = None if ready is None else ready.at_hand(workload)
        return from_a_list(question, workload, self.catalogue, self.machine, at_hand)


# the packages whose code decides what a question holds
_FOLDERS = (
    "core",
    "machine",
    "catalogue",
    "needs",
    "needs/llamacpp",
    "verdict",
    "verdict/findings",
    "advice",
)


def files_behind(catalogue: Catalogue) -> Files:
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


class _Values(dict[int, "Any"]):
    """What `compiling` packed, by number; each is made once, when it is asked for: most are asked
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
            return tuple([self.revived(each) if type(each) is dict else each for each in value])
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
