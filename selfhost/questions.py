"""The question of every shipped model with nothing else asked, worked out when the package is built.

What a model takes does not depend on the machine, but for the layout that llama.cpp gives the weights: it is computed once, by
`asking.ask`, and kept beside the specs. `list` then only holds it against the machine, by `verdict.judge` as ever. The file names
the checksum of all it was made from, specs, runtimes, prices and this program; where that is another, it is left aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial

from .apiroute import usable_offers, whose_offers
from .asking import ask
from .catalogue import Catalogue, checksum_of
from .errors import SelfhostError
from .facts import FrozenDict, Record, Unread
from .findings import OPEN_PURPOSES, Finding, Outcome, open_for, open_purposes, worst_of
from .licenses import canonical_expression
from .machine import Machine
from .needs.records import CpuNeed, How, MemoryNeed, Needs, Term
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
from .verdict import Judged, Question
from .workload import Workload

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

QUESTIONS_FILE = "questions.jsonl"
_VERSION = 2
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
_DEFAULTS: Mapping[str, Any] = {name: ModelSpec._defaults.get(name) for name in _OF_SPEC}
_KINDS: Mapping[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        Architecture, Attention, Audio, Availability, CpuNeed, FeedForward, License, Openness, Parameters, Recurrent, Safety,
        StatedNeeds, TensorGroup, Unread, Upkeep,
    )
}  # fmt: skip


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
        rows: Mapping[str, Any],
        memory: Mapping[str, Any],
        opened: bytes,
        texts: bytes,
    ) -> None:
        self._catalogue = catalogue
        self._has_wishes = not _default_but(workload, _JUDGED_BY)
        self._served_until: Mapping[str, str | None] = header["served_until"]
        self._machine = machine
        self._folder = os.path.join(catalogue.folder, "")
        self._rows = rows
        self._memory = memory
        self._cpus = [_revived(cpu) for cpu in header["cpus"]]
        self._unread_opened = opened
        self._unread_texts = texts
        self._texts: list[list[str]] = []
        self._workloads: dict[tuple[Workload, str], Workload] = {}

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
            rows, *layouts, opened, texts = body.split(b"\n")
            memory = json.loads(layouts[header["layouts"].index(layout_of(machine.instruction_sets))])
            return cls(catalogue, machine, workload, header, json.loads(rows), memory, opened, texts)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
            return None

    def question(self, id: str, workload: Workload) -> Question | None:
        """As `asking.ask` gives it, and raises; None for a model that is not among them. `workload` is as in `open`."""
        row = self._rows.get(id) if self._catalogue.is_shipped(id) else None
        if row is None:
            return None
        needed, read = row.get("needs"), row.get("read")
        spec, asked = self._spec(id, row["spec"]), self._workload(workload, row["workload"])
        runtime = None if row.get("runtime") is None else self._catalogue.runtime(row["runtime"])
        needs = None if needed is None else self._needs(needed, self._memory.get(id))
        found = None
        if runtime is not None and needs is not None:
            found = here(spec, runtime, asked, needs, self._machine, self._catalogue)
        return Question.partly({
            "spec": spec,
            "workload": asked,
            "runtime": runtime,
            "loads": row.get("loads"),
            "needs": needs,
            "read_bytes": None if read is None else FrozenDict(read),
            "here": found,
            "opened": worst_of([Finding.partly(self._opened[id][purpose]) for purpose in open_purposes(asked)]),
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
            until = self._rows[spec.id].get("offered_until", "")
            return until is None or today < until

        def serves(model_id: str) -> bool:
            until = self._served_until.get(model_id, "")
            return until is None or today < until

        return whose_offers(spec, self._catalogue, serves, lambda model_id: met.get(model_id, False), own=own, instead=True) is not None

    def _spec(self, id: str, values: Mapping[str, Any]) -> ModelSpec:
        catalogue = self._catalogue
        made = dict(_DEFAULTS)
        for name, value in values.items():
            if _OF_SPEC[name]:
                value = _revived(value, partial(self._whole, id, name))
            elif type(value) in (dict, list):
                value = _revived(value)
            made[name] = value
        made["origin"] = f"{self._folder}{id}.toml"
        return ModelSpec.partly(made, lambda: catalogue.spec(id))

    def _whole(self, id: str, name: str) -> Any:
        return getattr(self._catalogue.spec(id), name)

    def _workload(self, asked: Workload, filled: Mapping[str, Any]) -> Workload:
        key = asked, repr(filled)
        if key not in self._workloads:
            blank = {name: value for name, value in filled.items() if getattr(asked, name) is None}
            expression = None if asked.license is None else canonical_expression(asked.license)
            self._workloads[key] = asked.replace(license=expression, **blank)
        return self._workloads[key]

    def _needs(self, values: Mapping[str, Any], memory: Any) -> Needs:
        made = {name: _revived(value) if type(value) is list else value for name, value in values.items()}
        made["cpu"] = self._cpus[values["cpu"]]
        if values["download_how"] is not None:
            made["download_how"] = How(values["download_how"])
        if memory is not None:
            evictable, terms = memory
            memory = MemoryNeed.partly({"terms": tuple(map(self._term, terms)), "evictable_bytes": evictable})
        made["memory"] = memory
        return Needs.partly(made)

    def _term(self, values: Sequence[Any]) -> Term:
        name, size, low, high, number = values

        def whole() -> Term:
            how, source, line = self._text(number)
            return Term(name=name, bytes=size, low_bytes=low, high_bytes=high, how=How(how), source=source, arithmetic=line)

        return Term.partly({"name": name, "bytes": size, "low_bytes": low, "high_bytes": high, "where": "host"}, whole)

    def _text(self, number: int) -> list[str]:
        """How a term is known, its source and its arithmetic: parsed when the first is asked for."""
        if not self._texts:
            import json

            self._texts = json.loads(self._unread_texts)
        return self._texts[number]


def compile_questions(directory: str) -> str:
    """The text of `QUESTIONS_FILE` for a folder of specs; the same files and the same program always give the same text.

    One line each: the header, the rows by model, the memory by model for each of LAYOUTS, the openness by model, the
    texts of all terms.
    """
    import json
    from binascii import crc32

    catalogue = Catalogue.open(shipped=directory)
    cpus: dict[str, int] = {}
    texts: dict[str, int] = {}
    rows: dict[str, Any] = {}
    opened: dict[str, Any] = {}
    memory: dict[str, dict[str, Any]] = {name: {} for name in LAYOUTS}
    served: dict[str, str | None] = {}
    for spec in catalogue.specs():
        served[spec.id] = _offered_until(Question(spec=spec, workload=Workload()), _RUNS, catalogue)
        try:
            asked = {name: ask(spec, Workload(), catalogue, Machine(instruction_sets=(name,) if name else None)) for name in LAYOUTS}
        except SelfhostError:
            # no row: whoever asks meets the same error
            continue
        rows[spec.id] = _row(asked[""], catalogue, cpus)
        opened[spec.id] = {purpose: _changed(open_for(spec, purpose)) for purpose in OPEN_PURPOSES}
        for name, question in asked.items():
            if question.needs is not None and question.needs.memory is not None:
                memory[name][spec.id] = _memory(question.needs.memory, texts)
    body = "\n".join([*(json.dumps(value, separators=(",", ":")) for value in (rows, *memory.values(), opened)), f"[{','.join(texts)}]"])
    header = {
        "version": _VERSION,
        "made_of": _made_of(catalogue),
        "body": crc32(body.encode()),
        "layouts": list(LAYOUTS),
        "cpus": [json.loads(text) for text in cpus],
        "served_until": {name: until for name, until in served.items() if until != ""},
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


def _row(question: Question, catalogue: Catalogue, cpus: dict[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "spec": {name: _packed(own, part) for name, part in _OF_SPEC.items() if (own := getattr(question.spec, name)) != _DEFAULTS[name]},
        "workload": {name: value for name in Workload._fields if (value := getattr(question.workload, name)) != Workload._defaults[name]},
        "offered_until": _offered_until(question, _RULED_OUT, catalogue),
    }
    if question.runtime is not None:
        row["runtime"] = question.runtime.id
    if question.loads is not None:
        row["loads"] = question.loads
    if question.read_bytes is not None:
        row["read"] = dict(question.read_bytes)
    if question.needs is not None:
        row["needs"] = {name: _packed(getattr(question.needs, name)) for name in Needs._fields if name not in ("memory", "placement")}
        row["needs"]["cpu"] = _number(cpus, row["needs"]["cpu"])
    return row


def _memory(memory: MemoryNeed, texts: dict[str, int]) -> list[Any]:
    terms = [
        [term.name, term.bytes, term.low_bytes, term.high_bytes, _number(texts, [term.how, term.source, term.arithmetic])]
        for term in memory.terms
    ]
    return [memory.evictable_bytes, terms]


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


def _packed(value: Any, part: tuple[str, ...] = ()) -> Any:
    """Records as objects with the name of their kind under "", mappings under "of"; runs of numbers by their ends.

    Of a record with only `part` of its fields those are written at their defaults too.
    """
    if isinstance(value, Record) and part:
        return {"": type(value).__name__, **{name: _packed(getattr(value, name)) for name in part}}
    if isinstance(value, Record):
        return {"": type(value).__name__, **{name: _packed(own) for name, own in _changed(value).items()}}
    if isinstance(value, Mapping):
        return {"": "of", "of": {key: _packed(own) for key, own in value.items()}}
    if isinstance(value, tuple):
        if len(value) > 3 and all(type(item) is int for item in value) and value[1] > value[0]:
            run = range(value[0], value[-1] + 1, value[1] - value[0])
            if tuple(run) == value:
                return {"": "run", "of": [run.start, run.stop, run.step]}
        return [_packed(item) for item in value]
    return value


def _changed(record: Record) -> dict[str, Any]:
    """The fields of a record that are not at their defaults."""
    kind = type(record)
    return {name: own for name in kind._fields if (own := getattr(record, name)) != kind._defaults.get(name, ...)}


def _revived(value: Any, rest: Callable[[], Any] | None = None) -> Any:
    if type(value) is list:
        return tuple([_revived(item) if type(item) in (dict, list) else item for item in value])
    name = value[""]
    if name == "run":
        return tuple(range(*value["of"]))
    if name == "of":
        return FrozenDict({key: _revived(own) if type(own) in (dict, list) else own for key, own in value["of"].items()})
    return _KINDS[name].partly({key: _revived(own) if type(own) in (dict, list) else own for key, own in value.items() if key}, rest)
