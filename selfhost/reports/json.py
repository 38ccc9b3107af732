"""Answers as JSON values: the keys of the contract, always all of them, whatever was asked.

`record` walks any record by its fields, or by the keys of `_KEYS` where the contract has others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

from .. import __version__
from ..catalogue import openness
from ..catalogue.spec import ModelSpec
from ..core.errors import MAX_PROBLEMS, InputError, NotAModelError, Problem, SelfhostError
from ..core.records import FrozenDict
from ..core.workload import as_typed
from ..judge.record import Verdict, exit_code
from ..machine.record import Machine
from ..needs.records import Needs

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..advice.listing import Listing, Ranking
    from ..advice.plan import Plan
    from ..advice.several import Comparison, Shown
    from ..machine.profiles import Profile

# by the record's name; other records have their fields as keys
_KEYS = {
    "Alternative": "id name runtime finetune_method quantization context_tokens license"
    " memory_high_bytes download_bytes decode_tokens_per_second judged_tokens_per_second why"
    " command",
    "Finding": "check outcome code needs has short unit reserve_bytes reason remedy",
    "Known": "name short title kind confidence advice runtime quantization context_tokens"
    " finetune_method route placement memory_limit_bytes accelerator_memory_bytes"
    " decode_tokens_per_second judged_tokens_per_second codes",
    "Least": "memory_bytes reserve_bytes disk_bytes bandwidth_bytes_per_second machine cpu"
    " accelerator",
    "MemoryNeed": "total_bytes low_bytes high_bytes evictable_bytes places terms",
    "Offer": "provider model model_id stands_in context_tokens input_usd_per_million_tokens"
    " output_usd_per_million_tokens usd_per_audio_minute usd_per_image price_is_for"
    " as_of ends source",
    "Problem": "file line key message remedy",
    "Speed": "decode judged prompt work unit how first_token_seconds dataset_seconds"
    " parallel_total full_context_tokens_per_second",
    "Term": "name bytes low_bytes high_bytes where how source arithmetic",
    "Unread": "fact reason remedy",
    "Workload": "task runtime format quantization context_tokens parallel kv_cache_type"
    " prompt_tokens audio_seconds draft min_tokens_per_second download_bytes_per_second"
    " memory_basis reserve_bytes private commercial modify auditable license finetune_method"
    " lora_rank optimizer checkpointing dataset_tokens load",
}
_VERDICT = (
    "asked model workload machine route can_run can_download exit_code needs download_seconds here"
    " speed findings room alternatives api_offers monthly_cost setup"
    " commands commands_class advice notes quality"
)
_MODEL = "id name family developer modality weights_published parameters_total parameters_active"
_NEEDS = (
    "download_bytes download_how download_source disk_bytes largest_file_bytes placement memory"
    " known_terms unknown"
)
_RANKED = (
    "route quantization runtime context_tokens memory_high_bytes download_bytes"
    " decode_tokens_per_second judged_tokens_per_second failed why"
)


def dumps(value: Mapping[str, Any]) -> str:
    """Return ASCII text, so that any pipe can carry it, that ends with a newline."""
    return "".join(pieces(value))


def pieces(value: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of `dumps`; an iterator in the place of a list is written item by item.

    `ValueError` for a number that JSON does not have.
    """
    import json

    def text(part: Any, indent: str) -> str:
        return json.dumps(part, indent=2, allow_nan=False).replace("\n", indent)

    start = "{\n  "
    for key, member in value.items():
        yield f"{start}{json.dumps(key)}: "
        start = ",\n  "
        if not isinstance(member, Iterator):
            yield text(member, "\n  ")
            continue
        lead = "[\n    "
        for entry in member:
            yield lead + text(entry, "\n    ")
            lead = ",\n    "
        yield "\n  ]" if lead[0] == "," else "[]"
    yield "\n}\n" if value else "{}\n"


def record(value: Any, keys: str = "") -> Any:
    """Return a record, or values that hold some, as plain JSON values; `keys` chooses fields."""
    kind = type(value)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Machine) and not keys:
        return value.to_json()
    if kind.__name__ == "PaceRange":
        return {end: round(getattr(value, end), 3) for end in ("low", "likely", "high")}
    names = (keys or _KEYS.get(kind.__name__, "")).split() or getattr(kind, "_fields", None)
    if names:
        return {name: record(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): record(inner) for key, inner in value.items()}
    return [record(inner) for inner in value]


def titled(schema: str, **members: Any) -> dict[str, Any]:
    """Return a document of that schema."""
    return {"schema": f"selfhost.{schema}", "selfhost_version": __version__, **members}


def model_summary(spec: ModelSpec) -> dict[str, Any]:
    """Return the `model` object of a verdict."""
    return {**record(spec, _MODEL), "license": spec.license.id if spec.license else None}


def _needs(needs: Needs | None, architecture: str | None) -> dict[str, Any] | None:
    """Sizes and memory; of the instruction sets those of the machine's architecture, if known."""
    if needs is None:
        return None
    by_architecture = needs.cpu.instruction_sets.items()
    sets = {set_ for own, names in by_architecture if architecture in (None, own) for set_ in names}
    ends = needs.download_range
    return {
        **record(needs, _NEEDS),
        "download_range": None if ends is None else {"low_bytes": ends[0], "high_bytes": ends[1]},
        "cpu": {"architectures": [*needs.cpu.architectures], "instruction_sets": sorted(sets)},
    }


def _judged(answer: Verdict | Plan, keys: str, architecture: str | None) -> dict[str, Any]:
    """What a verdict and a plan say alike."""
    own = ("model", "needs", "download_seconds")
    seconds = answer.download_seconds
    return {
        **record(answer, " ".join(key for key in keys.split() if key not in own)),
        "model": model_summary(answer.model),
        "needs": _needs(answer.needs, architecture),
        "download_seconds": None if seconds is None else round(seconds, 1),
    }


def check(
    verdicts: Sequence[Verdict], errors: Mapping[str, SelfhostError] = FrozenDict()
) -> dict[str, Any]:
    """Return one verdict for one model, `selfhost.verdicts/1` for several.

    `errors` are those of names that could not be judged; `errors_not_listed` counts more of them.
    """
    if len(verdicts) == 1 and not errors:
        return verdict(verdicts[0])
    return titled(
        "verdicts/1",
        exit_code=exit_code((answer.route for answer in verdicts), no_answer=bool(errors)),
        verdicts=[verdict(answer) for answer in verdicts],
        **listed_errors(errors),
    )


def listed_errors(errors: Mapping[str, SelfhostError]) -> dict[str, Any]:
    """Return the first errors by what was asked, and how many there are more."""
    listed = list(errors.items())[:MAX_PROBLEMS]
    return {
        "errors": [{"asked": name, **_error(error)} for name, error in listed],
        "errors_not_listed": len(errors) - len(listed),
    }


def verdict(answer: Verdict) -> dict[str, Any]:
    """`selfhost.verdict/1`."""
    members = _judged(answer, _VERDICT, answer.machine.architecture)
    members["notes"] = [*answer.understood_as, *answer.notes, *answer.fine_print]
    full = answer.speed.full_context_tokens_per_second if answer.speed is not None else None
    if full is not None:
        members["speed"]["full_context_tokens_per_second"] = round(full, 3)
    return titled("verdict/1", **{key: members[key] for key in _VERDICT.split()})


def listing(
    answers: Sequence[Verdict], computer: Machine, listed: Listing, *, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """`selfhost.list/1`: the chosen models, best first; `notes` are about the machine's name."""
    from ..advice.listing import ranking as ranking_of

    return ranking(ranking_of(answers, computer, listed).replace(notes=tuple(notes)))


def ranking(ranked: Ranking) -> dict[str, Any]:
    """`selfhost.list/1`."""
    members = record(ranked, "machine ruled_out catalogue_as_of notes")
    members["models"] = [
        {
            "model": model_summary(row.model) | record(row.model, "uses tuned_from"),
            **record(row, _RANKED),
        }
        for row in ranked.models
    ]
    return titled("list/1", **members)


def shown(shown: Shown) -> dict[str, Any]:
    """`selfhost.model/1`: what is known of a model, its sizes, and the verdict of the default."""
    members = {"sizes": record(shown.sizes), "verdict": verdict(shown.verdict)}
    return titled("model/1", **about(shown.verdict.model), **members)


def about(spec: ModelSpec) -> dict[str, Any]:
    """Return all that a spec states, and the answers on openness that follow."""
    return {"spec": record(spec), **_openness(spec)}


def compared(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """`selfhost.compare/1`: the verdict of each model with its openness, in the order asked."""
    models = [{**_openness(answer.model), "verdict": verdict(answer)} for answer in verdicts]
    return titled("compare/1", models=models)


def comparison(models: Comparison) -> dict[str, Any]:
    """`selfhost.compare/1`."""
    return compared([model.verdict for model in models.models])


def _openness(spec: ModelSpec) -> dict[str, Any]:
    return {
        "openness": [_row(row) for row in openness.rows(spec)],
        "permissions": [_row(row) for row in openness.permissions(spec)],
    }


def _row(row: openness.Row) -> dict[str, Any]:
    """One answer on openness, with the answers it follows from; `unknown` is null."""
    return {
        **record(row, "name why sources assumed"),
        "answer": None if row.answer == "unknown" else row.answer,
        "parts": [_row(part) for part in row.parts],
    }


def plan(answer: Plan) -> dict[str, Any]:
    """`selfhost.plan/1`: the least machine, and every known one with its route."""
    architecture = answer.least.machine.architecture if answer.least else None
    keys = "asked workload exit_code least reasons machines notes"
    return titled("plan/1", **_judged(answer, keys, architecture))


def profiles(known_profiles: Sequence[Profile]) -> dict[str, Any]:
    """`selfhost.profiles/1`: every machine that `--machine NAME` knows."""
    from ..advice.plan import CHECK_YOURS

    listed = []
    for profile in known_profiles:
        confidence = profile.machine.confidence
        advice = None if confidence == "high" else CHECK_YOURS
        members = record(profile, "name short title kind source note machine")
        listed.append({**members, "confidence": confidence, "advice": advice})
    return titled("profiles/1", profiles=listed)


def spec_check(problems: Sequence[Problem], good: Sequence[ModelSpec], code: int) -> dict[str, Any]:
    """`selfhost.spec-check/1`: every fault, and the ids of the specs without one."""
    ids = [spec.id for spec in good]
    return titled("spec-check/1", good=ids, problems=record(problems), exit_code=code)


def error(problem: BaseException, code: int) -> dict[str, Any]:
    """`selfhost.error/1`: what goes to standard error under `--format json`."""
    return titled("error/1", **_error(problem), exit_code=code)


def _error(problem: BaseException) -> dict[str, Any]:
    """What is wrong, as the error's own object and the list beside verdicts have it."""
    problem = as_typed(problem) if isinstance(problem, SelfhostError) else problem
    return {
        "error": type(problem).__name__,
        "message": problem.message if isinstance(problem, SelfhostError) else str(problem),
        "kind": problem.kind if isinstance(problem, NotAModelError) else None,
        "nearest": list(problem.nearest) if isinstance(problem, SelfhostError) else [],
        "problems": record(problem.all_problems) if isinstance(problem, InputError) else [],
        "remedy": problem.remedy if isinstance(problem, SelfhostError) else None,
    }
