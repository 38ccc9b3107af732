"""Answers as JSON values: the keys of the contract, always all of them, whatever was asked.

`record` walks any record by its fields, or by the keys of `specs/common/documents.toml` where the
contract has others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..catalogue import openness
from ..catalogue.spec import ModelSpec
from ..core import __version__
from ..core.errors import MAX_PROBLEMS, Problem, SelfhostError
from ..core.records import FrozenDict, brief, brief_lines
from ..core.tables import shipped_table
from ..core.workload import as_typed
from ..judge.record import Verdict, exit_code

if TYPE_CHECKING:
    from ..advice.listing import Ranking
    from ..advice.plan import Plan
    from ..advice.sizes import ContainerSize
    from ..advice.verify import Verification
    from ..machine.profiles import Profile


def dumps(value: Mapping[str, Any]) -> str:
    """Return ASCII text that ends with a newline. `ValueError` for nan and infinity."""
    import json

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def keys_of(name: str) -> str:
    """Return the keys of a record or of a part of a document; empty where they are the fields."""
    return str(shipped_table("documents")["keys"].get(name, ""))


def record(value: Any, keys: str = "") -> Any:
    """Return a record, or values that hold some, as plain JSON values; `keys` chooses fields."""
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, Enum) else value
    name = type(value).__name__
    if not keys and name in _WRITERS:
        return _WRITERS[name](value)
    chosen = (keys or keys_of(name)).split() or list(getattr(value, "_fields", ()))
    if chosen:
        value = {key: getattr(value, key) for key in chosen}
    if isinstance(value, Mapping):
        return {str(key): record(inner) for key, inner in value.items()}
    return list(map(record, value))


def _rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)


def titled(schema: str, **members: Any) -> dict[str, Any]:
    """Return a document of that schema."""
    return {"schema": f"selfhost.{schema}", "selfhost_version": __version__, **members}


def _judged(answer: Verdict | Plan, kind: str, architecture: str | None) -> dict[str, Any]:
    """By the keys of that kind; the needs have of instruction sets those of the machine's
    architecture, if known.
    """
    needs, sizes = answer.needs, None
    if needs is not None:
        by_architecture = needs.cpu.instruction_sets.items()
        sets = {
            each for own, names in by_architecture if architecture in (None, own) for each in names
        }
        ends = needs.download_range
        sizes = {
            **record(needs, keys_of("needs")),
            "download_range": ends and {"low_bytes": ends[0], "high_bytes": ends[1]},
            "cpu": {"architectures": [*needs.cpu.architectures], "instruction_sets": sorted(sets)},
        }
    members = {"needs": sizes, "download_seconds": _rounded(answer.download_seconds, 1)}
    keys = keys_of(kind).split()
    members |= record(answer, " ".join(key for key in keys if key not in members))
    return {key: members[key] for key in keys}


def check(
    verdicts: Sequence[Verdict], errors: Mapping[str, SelfhostError] = FrozenDict()
) -> dict[str, Any]:
    """Return one verdict for one model, `selfhost.verdicts/1` for several and for `errors`."""
    if len(verdicts) == 1 and not errors:
        return verdict(verdicts[0])
    code = exit_code((answer.route for answer in verdicts), no_answer=bool(errors))
    members = {"exit_code": code, "verdicts": record(verdicts), **_listed(errors)}
    return titled("verdicts/1", **members)


def _listed(errors: Mapping[str, SelfhostError]) -> dict[str, Any]:
    first = list(errors.items())[:MAX_PROBLEMS]
    return {
        "errors": [{"asked": name, **fault(error)} for name, error in first],
        "errors_not_listed": len(errors) - len(first),
    }


def verdict(answer: Verdict) -> dict[str, Any]:
    """`selfhost.verdict/1`."""
    notes = [*answer.understood_as, *answer.notes, *answer.fine_print]
    members = _judged(answer, "verdict", answer.machine.architecture)
    return titled("verdict/1", **members | {"notes": notes})


def ranking(ranked: Ranking) -> dict[str, Any]:
    """`selfhost.list/1`."""
    members = record(ranked, "machine ruled_out catalogue_as_of notes")
    models = [
        {"model": record(row.model) | record(row.model, "uses tuned_from")}
        | record(row, keys_of("listed"))
        for row in ranked.models
    ]
    return titled("list/1", **members, models=models)


def about(spec: ModelSpec) -> dict[str, Any]:
    """Return all that a spec states, and the answers on openness that follow."""
    rows = {"openness": openness.rows(spec), "permissions": openness.permissions(spec)}
    return {"spec": record(spec, " ".join(ModelSpec._fields)), **record(rows)}


def profiles(shipped: Sequence[Profile]) -> dict[str, Any]:
    """`selfhost.profiles/1`: every machine that `--machine NAME` knows."""
    keys = "name short title kind source note machine"
    listed = [{**record(each, keys), "confidence": each.machine.confidence} for each in shipped]
    return titled("profiles/1", profiles=listed)


def sizes(
    containers: Sequence[ContainerSize], errors: Mapping[str, SelfhostError], code: int
) -> dict[str, Any]:
    """`selfhost.size/1`: the containers, their sum, and the names that have no size."""
    total: dict[str, Any] = {"accelerators": sum(len(size.accelerators) for size in containers)}
    for key in keys_of("total").split():
        values = [getattr(size, key) for size in containers]
        # not known where one of them is not
        total[key] = None if None in values else sum(values)
    members = {"exit_code": code, "containers": record(containers), "total": total}
    return titled("size/1", **members, **_listed(errors))


def verification(comparison: Verification) -> dict[str, Any]:
    """`selfhost.verify/1`: it has no path and no address, nor the name of an owner's own model."""
    verdict, machine = comparison.verdict, comparison.verdict.machine
    spec, inside, cards = verdict.model, verdict.model.architecture, machine.accelerators
    card_keys = "vendor name memory_total_bytes unified"
    shape, ends = ("layers", "embedding_length", "vocabulary"), ("low", "likely", "high")
    return titled(
        "verify/1",
        **record(comparison, "outcome exit_code notes"),
        model={
            "id": spec.id if comparison.is_public else None,
            "known_by": comparison.by,
            "architecture": getattr(inside, "row", None),
            **{key: getattr(inside, key, None) for key in shape},
            **record(spec, "parameters_total parameters_active"),
            **record(verdict.workload, "runtime quantization"),
        },
        run=record(comparison.run, keys_of("run")),
        machine={
            **record(machine, keys_of("seen machine")),
            "accelerators": None if cards is None else [record(card, card_keys) for card in cards],
        },
        placement=verdict.placement,
        differences=[
            {
                **record(row, keys_of("figure")),
                "predicted": None
                if row.likely is None
                else {end: _rounded(getattr(row, end)) for end in ends},
                "seen": _rounded(row.seen),
                "difference": _rounded(row.difference, 4),
            }
            for row in comparison.differences
        ],
        speed_how=verdict.speed.how if verdict.speed else None,
    )


def fault(problem: SelfhostError) -> dict[str, Any]:
    """Return what is wrong: all but the exit code of `selfhost.error/1`."""
    problem = as_typed(problem)
    listed = [_brief_problem(one) for one in getattr(problem, "problems", ())]
    return {
        "error": type(problem).__name__,
        "message": brief_lines(problem.message),
        "kind": getattr(problem, "kind", None),
        "nearest": list(problem.nearest),
        "problems": record(listed),
        "remedy": problem.remedy and brief_lines(problem.remedy),
    }


def _brief_problem(problem: Problem) -> Problem:
    return problem.replace(
        file=brief(problem.file),
        key=problem.key and brief(problem.key),
        message=brief_lines(problem.message),
        remedy=problem.remedy and brief_lines(problem.remedy),
    )


# what stands for a record wherever it is; other records are walked
_WRITERS: dict[str, Callable[[Any], Any]] = {
    # each in the order asked
    "Comparison": lambda answer: titled("compare/1", models=record(answer.models)),
    "Machine": lambda machine: machine.to_json(),
    # the least machine, and every known one with its route
    "Plan": lambda plan: titled(
        "plan/1", **_judged(plan, "plan", plan.least and plan.least.machine.architecture)
    ),
    "Ranking": ranking,
    # an answer on openness, with the answers it follows from; `unknown` is null
    "Row": lambda row: {
        **record(row, "name why sources assumed"),
        "answer": None if row.answer == "unknown" else row.answer,
        "parts": record(row.parts),
    },
    "Selector": str,
    # what is known of a model, its sizes, and the verdict of the default
    "Shown": lambda shown: titled(
        "model/1", **about(shown.verdict.model), **record(shown, "sizes verdict")
    ),
    "ModelSpec": lambda spec: {
        **record(spec, keys_of("model")),
        "license": spec.license.id if spec.license else None,
    },
    "Range": lambda pace: {end: round(getattr(pace, end), 3) for end in pace._fields},
    "Speed": lambda speed: {
        **record(speed, keys_of("Speed")),
        "full_context_tokens_per_second": _rounded(speed.full_context_tokens_per_second),
    },
    "Verdict": verdict,
}
