"""The question of every shipped model with nothing else asked, worked out when the package is built.

What a model takes does not depend on the machine, but for the layout that llama.cpp gives the weights: it is computed once, by
`asking.ask`, and kept beside the specs. `list` then only holds it against the machine, by `verdict.judge` as ever. The file names
the checksum of all it was made from, specs, runtimes, prices and this program; where that is another, it is left aside.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial

from .apiroute import usable_offers, whose_offers
from .asking import ask
from .catalogue import Catalogue, checksum_of
from .errors import SelfhostError
from .facts import FrozenDict, Record, Unread
from .findings import OPEN_PURPOSES, Finding, Outcome, license_guessed, open_for, open_purposes, worst_of
from .licenses import canonical_expression
from .machine import Machine
from .needs.records import CpuNeed, How, MemoryNeed, Needs, Offload, Term
from .needs.repack import LAYOUTS, layout_of
from .offers import end_days, offers_of
from .present import here
from .spec import (
    Architecture,
    Attention,
    Audio,
    Availability,
    FeedForward,
    License,
    ModelSpec,
    Openness,
    Parameters,
    Recurrent,
    Safety,
    StatedNeeds,
    TensorGroup,
    Upkeep,
)
from .speed import instruction_sets_for_layout
from .verdict import Judged, Question
from .workload import Workload

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

QUESTIONS_FILE = "questions.jsonl"
_VERSION = 5
# of the workload, what is held against the machine or the model or has a price, not what the model takes
_JUDGED_BY = ("min_tokens_per_second", "memory_basis", "reserve_bytes", "load", "download_bytes_per_second")
# of that again, what decides which offers count as well
_WISHES = ("private", "commercial", "modify", "auditable", "license")
# what judging, sorting and listing a model reads of its spec; the rest is read from the spec when somebody asks
_OF_SPEC: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((
        "id", "name", "family", "developer", "released", "modality", "repository", "gated", "parameters", "needs", "upkeep", "safety",
        "availability", "overrides",
    ), ()),
    # of these a part
    "license": ("id", "url", "commercial_use", "conditions"),
    "openness": ("weights",),
    "architecture": (
        "row", "layers", "embedding_length", "vocabulary", "context_tokens", "scaled_context_tokens", "output_matrix", "attention",
        "feed_forward",
    ),
}  # fmt: skip
# of those, what is kept once for all models that have the same
_SHARED = ("parameters", "needs", "upkeep", "safety", "availability")
_IN_PART = tuple(name for name, part in _OF_SPEC.items() if part)
_OF_NEEDS = ("download_bytes", "disk_bytes", "largest_file_bytes", "download_how", "download_source", "cpu", "unknown")
_KINDS: Mapping[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        Architecture, Attention, Audio, Availability, CpuNeed, FeedForward, License, Openness, Parameters, Recurrent, Safety,
        StatedNeeds, TensorGroup, Unread, Upkeep,
    )
}  # fmt: skip

_HOW = {how.value: how for how in How}


def _default_but(workload: Workload, fields: tuple[str, ...]) -> bool:
    """Nothing is asked beyond these fields; one that is added to Workload is not among them."""
    return all(getattr(workload, name) == Workload._defaults[name] for name in Workload._fields if name not in fields)


class Questions:
    """The questions of one catalogue's shipped models; made by `open`."""

    def __init__(
        self,
        catalogue: Catalogue,
        machine: Machine,
        workload: Workload,
        header: Mapping[str, Any],
        rows: Mapping[str, Sequence[Any]],
        memory: Mapping[str, Any],
        values: Sequence[Any],
        opened: bytes,
        texts: bytes,
    ) -> None:
        self._catalogue = catalogue
        self._machine = machine
        self._has_wishes = not _default_but(workload, _JUDGED_BY)
        self._served_until: Mapping[str, str | None] = header["served_until"]
        self._folder = os.path.join(catalogue.folder, "")
        self._rows = rows
        self._memory = memory
        self._values = _Values(values)
        self._unread_opened = opened
        self._guessed: Mapping[str, Sequence[bool]] = header["license_guessed"]
        self._unread_texts = texts
        self._workloads: dict[tuple[Workload, int], Workload] = {}

    @classmethod
    def open(cls, catalogue: Catalogue, workload: Workload, machine: Machine) -> Questions | None:
        """None where that workload asks for something that changes the needs, or where the file is missing or of other specs."""
        if not _default_but(workload, (*_JUDGED_BY, *_WISHES)):
            return None
        try:
            with open(os.path.join(catalogue.folder, QUESTIONS_FILE), "rb") as file:
                first, body = file.readline(), file.read()
            import json
            from binascii import crc32

            header = json.loads(first)
            if header["version"] != _VERSION or header["body"] != crc32(body) or header["made_of"] != _made_of(catalogue):
                return None
            rows, values, *layouts, opened, texts = body.split(b"\n")
            memory = json.loads(layouts[header["layouts"].index(layout_of(instruction_sets_for_layout(machine)))])
            return cls(catalogue, machine, workload, header, json.loads(rows), memory, json.loads(values), opened, texts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return None

    def question(self, id: str, workload: Workload) -> Question | None:
        """As `asking.ask` gives it, and raises; None for a model that is not among them. `workload` is as in `open`."""
        row = self._rows.get(id) if self._catalogue.is_shipped(id) else None
        if row is None:
            return None
        of_spec, number, _, runtime_id, loads, read, needed = row
        spec, asked = self._spec(id, of_spec), self._workload(workload, number)
        runtime = None if runtime_id is None else self._catalogue.runtime(runtime_id)
        needs = None if needed is None else self._needs(needed, self._memory.get(id))
        found = None
        if runtime is not None and needs is not None:
            found = here(spec, runtime, asked, needs, self._machine, self._catalogue)
        return Question.partly({
            "spec": spec,
            "workload": asked,
            "runtime": runtime,
            "loads": loads,
            "needs": needs,
            "read_bytes": self._values[read],
            "here": found,
            "opened": worst_of([Finding.partly(self._opened[id][purpose]) for purpose in open_purposes(asked)]),
            "license_guessed": tuple(self._guessed.get(id, (False, False))) if asked.commercial or asked.license else None,
        })  # fmt: skip

    @cached_property
    def _opened(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        """By model and purpose the finding of its openness, for whoever asks for openness."""
        import json

        found: Mapping[str, Mapping[str, dict[str, Any]]] = json.loads(self._unread_opened)
        for purposes in found.values():
            for values in purposes.values():
                values["outcome"] = Outcome(values["outcome"])
        return found

    def offered(self, spec: ModelSpec, own: bool, met: Mapping[str, bool], workload: Workload, today: str) -> bool | None:
        """Whether an API offers the model or a stand-in, where it does not run here; None where what is asked may change that.

        `own`: the model itself is as was asked; `met` by id whether others are.
        """
        if self._catalogue.has_own or spec.id not in self._rows:
            return None
        if workload.private:
            return False
        if not self._has_wishes:
            _, _, until, *_ = self._rows[spec.id]
            return until is None or today < until

        def serves(model_id: str) -> bool:
            until = self._served_until.get(model_id, "")
            return until is None or today < until

        return whose_offers(spec, self._catalogue, serves, lambda model_id: met.get(model_id, False), own=own, instead=True) is not None

    def _spec(self, id: str, row: Sequence[Any]) -> ModelSpec:
        catalogue, values = self._catalogue, self._values
        made = dict(zip(_OF_SPEC, row, strict=True))
        for name in _SHARED:
            made[name] = values[made[name]]
        for name in _IN_PART:
            known = values.fields(made[name])
            made[name] = None if known is None else known[0].partly(known[1].copy(), partial(self._whole, id, name))
        made["origin"] = f"{self._folder}{id}.toml"
        return ModelSpec.partly(made, lambda: catalogue.spec(id))

    def _whole(self, id: str, name: str) -> Any:
        return getattr(self._catalogue.spec(id), name)

    def _workload(self, asked: Workload, number: int) -> Workload:
        """What was asked, with the defaults of that number filled in."""
        key = asked, number
        if key not in self._workloads:
            blank = {name: value for name, value in self._values[number].items() if getattr(asked, name) is None}
            expression = None if asked.license is None else canonical_expression(asked.license, self._catalogue.license_ids)
            self._workloads[key] = asked.replace(license=expression, **blank)
        return self._workloads[key]

    def _needs(self, row: Sequence[Any], memory: Any) -> Needs:
        made = dict(zip(_OF_NEEDS, row, strict=True))
        for name in ("download_source", "cpu", "unknown"):
            made[name] = self._values[made[name]]
        if made["download_how"] is not None:
            made["download_how"] = _HOW[made["download_how"]]
        if memory is not None:
            evictable, terms = memory
            memory = MemoryNeed.partly({"terms": tuple([self._term(*term) for term in terms]), "evictable_bytes": evictable})
        made["memory"] = memory
        return Needs.partly(made)

    def _term(
        self, name: str, size: int, low: int, high: int, number: int, offload: Sequence[int] | None = None, device: Sequence[Any] = ()
    ) -> Term:
        parts = None if offload is None else Offload.partly(dict(zip(Offload._fields, offload, strict=True)))
        on_device = self._term(*device) if device else None

        def whole() -> Term:
            how, source, line = self._texts[number]
            made = Term(name=name, bytes=size, low_bytes=low, high_bytes=high, how=How(how), source=source, arithmetic=line)
            return made.replace(offload=parts, on_device=on_device)

        known = {"name": name, "bytes": size, "low_bytes": low, "high_bytes": high, "where": "host"}
        return Term.partly({**known, "offload": parts, "on_device": on_device}, whole)

    @cached_property
    def _texts(self) -> Sequence[Sequence[str]]:
        """How a term is known, its source and its arithmetic: parsed when the first is asked for."""
        import json

        found: Sequence[Sequence[str]] = json.loads(self._unread_texts)
        return found


def compile_questions(directory: str) -> str:
    """The text of `QUESTIONS_FILE` for a folder of specs; the same files and the same program always give the same text.

    One line each: the header, the rows by model, the values that rows share, the memory by model for each of LAYOUTS, the openness
    by model, the texts of all terms.
    """
    import json
    from binascii import crc32

    catalogue = Catalogue.open(shipped=directory)
    values: dict[str, int] = {}
    texts: dict[str, int] = {}
    rows: dict[str, Any] = {}
    opened: dict[str, Any] = {}
    memory: dict[str, dict[str, Any]] = {name: {} for name in LAYOUTS}
    served: dict[str, str | None] = {}
    guessed: dict[str, tuple[bool, bool]] = {}
    for spec in catalogue.specs():
        served[spec.id] = _offered_until(Question(spec=spec, workload=Workload()), _RUNS, catalogue)
        try:
            asked = {name: ask(spec, Workload(), catalogue, Machine(instruction_sets=(name,) if name else None)) for name in LAYOUTS}
        except SelfhostError:
            # no row: whoever asks meets the same error
            continue
        rows[spec.id] = _row(asked[""], catalogue, values)
        guessed[spec.id] = license_guessed(spec)
        opened[spec.id] = {purpose: _changed(open_for(spec, purpose)) for purpose in OPEN_PURPOSES}
        for name, question in asked.items():
            if question.needs is not None and question.needs.memory is not None:
                memory[name][spec.id] = _memory(question.needs.memory, texts)
    tables = [json.dumps(table, separators=(",", ":")) for table in (rows, *memory.values(), opened)]
    body = "\n".join([tables[0], f"[{','.join(values)}]", *tables[1:], f"[{','.join(texts)}]"])
    header = {
        "version": _VERSION,
        "made_of": _made_of(catalogue),
        "body": crc32(body.encode()),
        "layouts": list(LAYOUTS),
        "served_until": {name: until for name, until in served.items() if until != ""},
        "license_guessed": {name: pair for name, pair in guessed.items() if any(pair)},
    }
    return f"{json.dumps(header, separators=(',', ':'))}\n{body}"


def _made_of(catalogue: Catalogue) -> list[int]:
    """Checksums of the catalogue, and of the program that makes questions of it."""
    package = os.path.dirname(os.path.abspath(__file__))
    modules = []
    for room in ("", "needs/"):
        with os.scandir(os.path.join(package, room)) as entries:
            modules += sorted(f"{room}{entry.name}" for entry in entries if entry.name.endswith(".py"))
    return [catalogue.checksum(), checksum_of(package, modules)]


def _row(question: Question, catalogue: Catalogue, values: dict[str, int]) -> list[Any]:
    def number(value: Any, part: tuple[str, ...] = ()) -> int:
        return _number(values, _packed(value, values, part))

    spec, needs, filled = question.spec, question.needs, question.workload
    of_spec = [number(getattr(spec, name), part) if part or name in _SHARED else getattr(spec, name) for name, part in _OF_SPEC.items()]
    of_needs = None
    if needs is not None:
        of_needs = [needs.download_bytes, needs.disk_bytes, needs.largest_file_bytes, needs.download_how]
        of_needs += [number(needs.download_source), number(needs.cpu), number(needs.unknown)]
    return [
        of_spec,
        number(FrozenDict({name: value for name in Workload._fields if (value := getattr(filled, name)) != Workload._defaults[name]})),
        _offered_until(question, _RULED_OUT, catalogue),
        None if question.runtime is None else question.runtime.id,
        question.loads,
        number(question.read_bytes),
        of_needs,
    ]


def _memory(memory: MemoryNeed, texts: dict[str, int]) -> list[Any]:
    def packed(term: Term) -> list[Any]:
        row = [term.name, term.bytes, term.low_bytes, term.high_bytes, _number(texts, [term.how, term.source, term.arithmetic])]
        if term.offload is not None or term.on_device is not None:
            row.append(None if term.offload is None else [getattr(term.offload, name) for name in Offload._fields])
        return row if term.on_device is None else [*row, packed(term.on_device)]

    return [memory.evictable_bytes, [packed(term) for term in memory.terms]]


def _number(known: dict[str, int], value: Any) -> int:
    """The place of a value in a list of different ones."""
    import json

    return known.setdefault(json.dumps(value, separators=(",", ":")), len(known))


_RULED_OUT = Judged(findings=(Finding(check="memory", outcome=Outcome.FAIL, code="memory-too-small", reason=""),), needs=None, speed=None)

_RUNS = Judged(findings=(), needs=None, speed=None)


def _offered_until(question: Question, judged: Judged, catalogue: Catalogue) -> str | None:
    """The day from which no API offers the model: offers only end. None for no such day, "" where none ever did.

    Stand-ins count where the machine rules the model out.
    """

    def offered(today: str) -> bool:
        def priced(model_id: str, day: str = today) -> Any:
            return offers_of(catalogue.offers_path, model_id, today=day)

        return bool(usable_offers(question, judged, catalogue, priced, lambda model_id: priced(model_id, ""), today=today, priced_on=""))

    if offered("9999"):
        return None
    return next(day for day in _end_days(catalogue) if not offered(day))


@lru_cache(maxsize=1)
def _end_days(catalogue: Catalogue) -> Sequence[str]:
    """ "" and every day on which an offer ends or a model retires."""
    retired = {spec.availability.retired for spec in catalogue.specs() if spec.availability and spec.availability.retired}
    return ["", *sorted(retired | set(end_days(catalogue.offers_path)))]


# ------------------------------------------------------------------ records as JSON, without what is at its default


def _packed(value: Any, shared: dict[str, int], part: tuple[str, ...] = ()) -> Any:
    """Records as objects with the name of their kind under "", mappings under "of"; runs of numbers by their ends.

    Of a record with only `part` of its fields those are written at their defaults too. What several may have in common is put in
    `shared`, and its number there stands under "at".
    """
    if isinstance(value, Record):
        own = {name: getattr(value, name) for name in part} if part else _changed(value)
        return {"": type(value).__name__, **{name: _packed(field, shared) for name, field in own.items()}}
    if isinstance(value, Mapping):
        return {"": "of", "of": {key: _packed(own, shared) for key, own in value.items()}}
    if isinstance(value, tuple):
        if len(value) > 3 and all(type(item) is int for item in value) and value[1] > value[0]:
            run = range(value[0], value[-1] + 1, value[1] - value[0])
            if tuple(run) == value:
                return {"": "run", "of": [run.start, run.stop, run.step]}
        items = [_packed(item, shared) for item in value]
        return {"": "at", "of": _number(shared, items)} if any(isinstance(item, Record) for item in value) else items
    return value


def _changed(record: Record) -> dict[str, Any]:
    """The fields of a record that are not at their defaults."""
    kind = type(record)
    return {name: own for name in kind._fields if (own := getattr(record, name)) != kind._defaults.get(name, ...)}


class _Values:
    """What `_packed` wrote, by number; each is made once, when it is asked for."""

    def __init__(self, packed: Sequence[Any]) -> None:
        self._packed = packed
        self._made: dict[int, Any] = {}
        self._fields: dict[int, tuple[type[Record], dict[str, Any]] | None] = {}

    def __getitem__(self, number: int) -> Any:
        made = self._made
        if number not in made:
            made[number] = self._revived(self._packed[number])
        return made[number]

    def fields(self, number: int) -> tuple[type[Record], dict[str, Any]] | None:
        """Of a record that is known in part its kind and those fields; None of None."""
        if number not in self._fields:
            packed = self._packed[number]
            self._fields[number] = None if packed is None else (_KINDS[packed[""]], self._inside(packed))
        return self._fields[number]

    def _inside(self, packed: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._revived(own) if type(own) in (dict, list) else own for key, own in packed.items() if key}

    def _revived(self, value: Any) -> Any:
        if type(value) is list:
            return tuple([self._revived(item) if type(item) in (dict, list) else item for item in value])
        if type(value) is not dict:
            return value
        name = value[""]
        if name == "at":
            return self[value["of"]]
        if name == "run":
            return tuple(range(*value["of"]))
        if name == "of":
            return FrozenDict({key: self._revived(own) for key, own in value["of"].items()})
        return _KINDS[name].partly(self._inside(value))
