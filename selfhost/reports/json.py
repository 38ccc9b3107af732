"""Answers as JSON values. A document always has all keys of its schema, whatever was asked.

`record(value)` turns any value into plain JSON values, chosen by the value's type:

- None, a text, a number: as it is; an enum: its value
- a `Record`: an object of the keys that `specs/common/documents.toml` lists for its class, else of
  all its fields
- a mapping: an object; any other iterable: a list
- the types under "types with a JSON of their own": the result of the function there

The functions under "documents" make a whole document each; an answer (`Report`) calls its own in
`to_json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, StrEnum
from functools import singledispatch
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..catalogue import openness
from ..catalogue.spec import ModelSpec
from ..core import __version__
from ..core.answering import other_catalogue
from ..core.errors import MAX_PROBLEMS, Problem, SelfhostError
from ..core.records import FrozenDict, Record, brief, brief_lines
from ..core.workload import as_typed
from ..judge.checks import Finding
from ..judge.record import Range, Report, Speed, Verdict, exit_code
from ..machine.record import Machine
from ..needs.records import Needs
from .labels import documents

if TYPE_CHECKING:
    from ..advice.listing import Ranking
    from ..advice.plan import Plan
    from ..advice.run_record import Figure
    from ..advice.several import Comparison, ShownModel
    from ..advice.sizes import ContainerSize
    from ..advice.verify import Verification
    from ..judge.cluster_choice import ClusterAnswer
    from ..machine.profiles import Profile

# a JSON object
Object = dict[str, Any]
# the keys of a memory need without its terms
_SIZES = "total_bytes low_bytes high_bytes"


def dumps(value: Mapping[str, object]) -> str:
    """Return ASCII text that ends with a newline. `ValueError` for nan and infinity."""
    import json

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def keys_of(name: str) -> str:
    """Return the keys listed for the class of a record or a part of a document, in one text with
    spaces between; empty where none are listed, so that a record has all its fields.
    """
    return documents().keys.get(name, "")


# ---------------------------------------------------------------- any value


@singledispatch
def record(value: object) -> Any:
    """Return any value as plain JSON values. Raises `TypeError` for a type that has none."""
    raise TypeError(f"no JSON for a value of the type {type(value).__name__}")


@record.register(type(None))
@record.register(str)
@record.register(int)
@record.register(float)
def _(value: object) -> object:
    """JSON has these values itself."""
    return value


# a `StrEnum` is a `str` as well
@record.register(Enum)
@record.register(StrEnum)
def _(value: Enum) -> object:
    """The value of a member."""
    return value.value


@record.register(Mapping)
def _(value: Mapping[object, object]) -> Object:
    """Keys of JSON are texts."""
    members = {}
    for key, inner in value.items():
        members[str(key)] = record(inner)
    return members


@record.register(Iterable)
def _(value: Iterable[object]) -> list[object]:
    """The list of the items, for every iterable type that is not registered itself."""
    return list(map(record, value))


@record.register(Record)
def fields(value: Record, keys: str = "") -> Object:
    """Return an object of a record: of the `keys` in the text, else of those that
    `documents.toml` lists for its class, else of all its fields.
    """
    kind = type(value)
    listed = keys or keys_of(kind.__name__)
    names = listed.split() or kind._fields
    members = {}
    for name in names:
        members[name] = record(getattr(value, name))
    return members


# ---------------------------------------------------------------- types with a JSON of their own


@record.register
def _(machine: Machine) -> Object:
    """The keys of a machine record, which `--machine` reads."""
    return machine.to_json()


@record.register
def _(answer: Report) -> Object:
    """An answer: the few keys that are listed for its class (an `Alternative` or a `KnownMachine`
    in another answer), else its own document.
    """
    if keys_of(type(answer).__name__):
        return fields(answer)
    return answer.to_json()


@record.register
def _(spec: ModelSpec) -> Object:
    """A model in an answer: its license is an SPDX expression, null where it is not known."""
    members = fields(spec, keys_of("model"))
    members["license"] = None
    if spec.license is not None:
        members["license"] = spec.license.id
    return members


@record.register
def _(pace: Range) -> Object:
    """The ends and the likely figure, rounded."""
    return _range(pace.low, pace.likely, pace.high)


@record.register
def _(speed: Speed) -> Object:
    """A speed with all its fields, rounded."""
    members = fields(speed)
    full_context = _rounded(speed.full_context_tokens_per_second)
    members["full_context_tokens_per_second"] = full_context
    return members


@record.register
def _(finding: Finding) -> Object:
    """A finding, with figures rounded as a speed is: beyond that they depend on the computer's own
    library of mathematics.
    """
    members = fields(finding)
    for name in ("needs", "has", "short"):
        if isinstance(members[name], float):
            members[name] = _rounded(members[name])
    return members


@record.register
def _(row: openness.OpennessRow) -> Object:
    """An answer on openness, with the answers that it follows from; `unknown` is null."""
    members = fields(row, "name why sources assumed")
    members["answer"] = row.answer
    if row.answer == "unknown":
        members["answer"] = None
    members["parts"] = record(row.parts)
    return members


def _rounded(value: float | None, digits: int = 3) -> float | None:
    """The number with so many digits behind the point; None stays."""
    if value is None:
        return None
    return round(value, digits)


def _range(
    low: float | None,
    likely: float | None,
    high: float | None,
) -> Object:
    """The likely figure between its ends, rounded."""
    return {"low": _rounded(low), "likely": _rounded(likely), "high": _rounded(high)}


# ---------------------------------------------------------------- documents


def titled(schema: str, **members: object) -> Object:
    """Return a document of that schema, with the catalogue that answered: its folder, or None for
    the one that came with selfhost.
    """
    return {
        "schema": f"selfhost.{schema}",
        "selfhost_version": __version__,
        "catalogue": other_catalogue(),
        **members,
    }


def _document(
    name: str,
    answer: Record,
    stated: Mapping[str, object],
) -> Object:
    """Return the document of that name with the keys that `documents.toml` lists for it, in that
    order. A value is taken from `stated`, else it is the answer's attribute of that name.
    """
    members = {}
    for key in keys_of(name).split():
        if key in stated:
            members[key] = stated[key]
        else:
            members[key] = record(getattr(answer, key))
    return titled(f"{name}/1", **members)


def check(
    verdicts: Sequence[Verdict],
    errors: Mapping[str, SelfhostError] = FrozenDict(),
) -> Object:
    """Return one verdict for one model, `selfhost.verdicts/1` for several and for `errors`."""
    if len(verdicts) == 1 and not errors:
        return verdict(verdicts[0])
    routes = [answer.route for answer in verdicts]
    code = exit_code(routes, no_answer=bool(errors))
    return titled(
        "verdicts/1",
        exit_code=code,
        verdicts=list(map(verdict, verdicts)),
        **_listed(errors),
    )


def _listed(errors: Mapping[str, SelfhostError]) -> Object:
    """The first names that could not be judged, and how many others there are."""
    listed = []
    for name, error in islice(errors.items(), MAX_PROBLEMS):
        listed.append({"asked": name, **fault(error)})
    return {"errors": listed, "errors_not_listed": len(errors) - len(listed)}


def verdict(answer: Verdict) -> Object:
    """`selfhost.verdict/1`."""
    stated = {
        "needs": _needs(answer.needs, answer.machine.architecture),
        "download_seconds": _rounded(answer.download_seconds, 1),
        "notes": [*answer.understood_as, *answer.notes, *answer.fine_print],
    }
    members = _document("verdict", answer, stated)
    if answer.cluster is not None:
        members |= _together(answer.cluster)
    return members


def _together(answer: ClusterAnswer) -> Object:
    """The keys that several machines add to a verdict."""
    link = fields(answer.cluster.link, "name title transport gigabits_per_second")
    link["assumed"] = answer.cluster.link.is_assumed
    parts = []
    for part in answer.parts:
        memory = part.memory
        disk = part.finding("disk")
        parts.append(
            {
                "machine": part.machine.name,
                "layers": part.layers,
                "memory": None if memory is None else fields(memory, _SIZES),
                "disk_bytes": None if disk is None else part.placed.disk_bytes,
                "findings": record(part.findings),
            }
        )
    alone = []
    for one in answer.alone:
        alone.append(
            {
                "machine": one.machine.name,
                "can_run": one.judged.fits,
                "runtime": one.judged.workload.runtime,
                "quantization": one.judged.quantization,
                "judged_tokens_per_second": record(one.judged.users_pace),
            }
        )
    machines_used = len(answer.together.cluster.machines)
    if answer.takes_one:
        machines_used = 1
    return {
        "machines": [machine.name for machine in answer.cluster.machines],
        "machines_used": machines_used,
        "link": link,
        "split": answer.split,
        "per_machine": parts,
        "alone": alone,
    }


def plan(answer: Plan) -> Object:
    """`selfhost.plan/1`: the least machine, and every known machine with its route."""
    architecture = None
    if answer.least is not None:
        architecture = answer.least.machine.architecture
    stated = {
        "needs": _needs(answer.needs, architecture),
        "download_seconds": _rounded(answer.download_seconds, 1),
    }
    return _document("plan", answer, stated)


def _needs(needs: Needs | None, architecture: str | None) -> Object | None:
    """The needs with the instruction sets of that architecture; of all architectures for None."""
    if needs is None:
        return None
    instruction_sets: set[str] = set()
    for name, names in needs.cpu.instruction_sets.items():
        if architecture in (None, name):
            instruction_sets.update(names)
    members = fields(needs, keys_of("needs"))
    members["download_range"] = None
    if needs.download_range is not None:
        low_bytes, high_bytes = needs.download_range
        members["download_range"] = {"low_bytes": low_bytes, "high_bytes": high_bytes}
    members["cpu"] = {
        "architectures": list(needs.cpu.architectures),
        "instruction_sets": sorted(instruction_sets),
    }
    return members


def comparison(answer: Comparison) -> Object:
    """`selfhost.compare/1`: the models in the order asked."""
    return titled("compare/1", models=record(answer.models))


def ranking(ranked: Ranking) -> Object:
    """`selfhost.list/1`."""
    models = list(map(_listed_row, ranked.models))
    members = fields(ranked, "machine ruled_out catalogue_as_of notes")
    return titled("list/1", **members, models=models)


def _listed_row(row: Verdict) -> Object:
    """A model of a list with its verdict."""
    model = record(row.model)
    model |= fields(row.model, "uses tuned_from")
    members = {"model": model, **fields(row, keys_of("listed"))}
    members["quality"] = None
    if row.quality is not None:
        members["quality"] = fields(row.quality, keys_of("listed quality"))
    return members


def shown(answer: ShownModel) -> Object:
    """`selfhost.model/1`: the spec of a model, its sizes, and the verdict of the default."""
    members = fields(answer, "quality sizes verdict")
    return titled("model/1", **about(answer.verdict.model), **members)


def about(spec: ModelSpec) -> Object:
    """Return all that a spec states, and the answers on openness that follow."""
    return {
        "spec": fields(spec, " ".join(ModelSpec._fields)),
        "openness": record(openness.rows(spec)),
        "permissions": record(openness.permissions(spec)),
    }


def profiles(shipped: Sequence[Profile]) -> Object:
    """`selfhost.profiles/1`: every machine that `--machine NAME` knows."""
    listed = []
    for profile in shipped:
        members = fields(profile, "name short title kind source note machine")
        members["confidence"] = profile.machine.confidence
        listed.append(members)
    return titled("profiles/1", profiles=listed)


def sizes(
    containers: Sequence[ContainerSize],
    errors: Mapping[str, SelfhostError],
    code: int,
) -> Object:
    """`selfhost.size/1`: the containers, their sum, and the names that have no size."""
    return titled(
        "size/1",
        exit_code=code,
        containers=record(containers),
        total=_total(containers),
        **_listed(errors),
    )


def _total(containers: Sequence[ContainerSize]) -> Object:
    """The sums over all containers; None where the figure of one is not known."""
    cards = [card for size in containers for card in size.accelerators]
    total: Object = {"accelerators": len(cards)}
    for key in keys_of("total").split():
        values = [getattr(size, key) for size in containers]
        total[key] = None
        if None not in values:
            total[key] = sum(values)
    return total


def verification(comparison: Verification) -> Object:
    """`selfhost.verify/1`: it has no path and no address, nor the name of an owner's own model."""
    verdict = comparison.verdict
    machine = fields(verdict.machine, keys_of("seen machine"))
    cards = verdict.machine.accelerators
    machine["accelerators"] = None
    if cards is not None:
        card_keys = "vendor name memory_total_bytes unified"
        machine["accelerators"] = [fields(card, card_keys) for card in cards]
    speed_how = None
    if verdict.speed is not None:
        speed_how = verdict.speed.how
    # the path of the catalogue may name a person
    catalogue = None if other_catalogue() is None else "another"
    return titled(
        "verify/1",
        catalogue=catalogue,
        **fields(comparison, "outcome exit_code notes"),
        model=_verified_model(comparison),
        run=fields(comparison.run, keys_of("run")),
        machine=machine,
        placement=verdict.placement,
        differences=list(map(_verified_figure, comparison.differences)),
        speed_how=speed_how,
    )


def _verified_model(comparison: Verification) -> Object:
    """The model of the run by its shape, with its id only if it is in the shipped catalogue."""
    spec = comparison.verdict.model
    shape_keys = "layers embedding_length vocabulary"
    members = {"id": None, "known_by": comparison.by, "architecture": None}
    if comparison.is_public:
        members["id"] = spec.id
    if spec.architecture is None:
        members |= dict.fromkeys(shape_keys.split())
    else:
        members["architecture"] = spec.architecture.row
        members |= fields(spec.architecture, shape_keys)
    members |= fields(spec, "parameters_total parameters_active")
    members |= fields(comparison.verdict.workload, "runtime quantization")
    return members


def _verified_figure(row: Figure) -> Object:
    """A figure of the run with its prediction, which is None where nothing was predicted."""
    members = fields(row, keys_of("figure"))
    members["predicted"] = None
    if row.likely is not None:
        members["predicted"] = _range(row.low, row.likely, row.high)
    members["seen"] = _rounded(row.seen)
    members["difference"] = _rounded(row.difference, 4)
    return members


def fault(problem: SelfhostError) -> Object:
    """Return an error with the keys of `selfhost.error/1`, but without the exit code."""
    problem = as_typed(problem)
    listed = list(map(_brief_problem, getattr(problem, "problems", ())))
    return {
        "error": type(problem).__name__,
        "message": brief_lines(problem.message),
        "kind": getattr(problem, "kind", None),
        "nearest": list(problem.nearest),
        "problems": record(listed),
        "remedy": problem.remedy and brief_lines(problem.remedy),
    }


def _brief_problem(problem: Problem) -> Problem:
    """The problem, its longest words in part."""
    return problem.replace(
        file=brief(problem.file),
        key=problem.key and brief(problem.key),
        message=brief_lines(problem.message),
        remedy=problem.remedy and brief_lines(problem.remedy),
    )
