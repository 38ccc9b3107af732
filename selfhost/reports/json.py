"""Answers as JSON values: the keys of the contract, always all of them, whatever was asked; and the
sections of `-v`, which are made of them.

`record` walks any record by its fields, or by the keys of `_KEYS` where the contract has others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from .. import __version__
from ..catalogue import openness
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import MAX_PROBLEMS, InputError, NotAModelError, Problem, SelfhostError
from ..core.records import FrozenDict
from ..core.workload import as_typed
from ..judge.record import Verdict, exit_code
from ..needs.records import Needs
from .layout import Blocks, line, section, strong

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..advice.listing import Ranking
    from ..advice.plan import Plan
    from ..advice.runs import Figure
    from ..advice.several import Shown
    from ..advice.sizes import ContainerSize
    from ..advice.verify import Comparison as Verification
    from ..machine.profiles import Profile

# by the record's name; other records have their fields as keys
_KEYS = {
    "Alternative": "id name runtime finetune_method quantization context_tokens license"
    " memory_high_bytes download_bytes decode_tokens_per_second judged_tokens_per_second why"
    " command",
    "Known": "name short title kind confidence runtime quantization context_tokens"
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
}
_VERDICT = (
    "asked model workload machine route can_run can_download exit_code needs download_seconds here"
    " speed findings room alternatives api_offers monthly_cost setup"
    " commands commands_class notes quality"
)
_MODEL = "id name family developer modality weights_published parameters_total parameters_active"
_NEEDS = (
    "download_bytes download_how download_source disk_bytes largest_file_bytes placement memory"
    " known_terms unknown"
)
_SIZE = (
    "asked workload request_bytes unreclaimable_bytes limit_bytes page_cache_bytes"
    " disk_bytes shared_memory_bytes image arguments environment needs_login seconds_to_start notes"
)
_SUMMED = "request_bytes unreclaimable_bytes limit_bytes page_cache_bytes disk_bytes"
_RUN = (
    "tool version context_tokens parallel kv_cache_type threads on_processor gpu_layers"
    " experts_in_ram"
)
_SEEN_MACHINE = (
    "system architecture scope cpu_model cpu_cores_usable cpu_cores_physical instruction_sets"
    " memory_total_bytes memory_bandwidth_bytes_per_second memory_bandwidth_bound"
)

_RANKED = (
    "route quantization runtime context_tokens memory_high_bytes download_bytes"
    " decode_tokens_per_second judged_tokens_per_second failed why"
)


def dumps(value: Mapping[str, Any]) -> str:
    """Return ASCII text, so that any pipe can carry it, that ends with a newline. `ValueError` for
    a number that JSON does not have.
    """
    import json

    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def record(value: Any, keys: str = "") -> Any:
    """Return a record, or values that hold some, as plain JSON values; `keys` chooses fields."""
    if value is None or isinstance(value, str | int | float):
        return value.value if isinstance(value, Enum) else value
    name = type(value).__name__
    if name == "Machine" and not keys:
        return value.to_json()
    if name == "PaceRange":
        return {end: round(getattr(value, end), 3) for end in ("low", "likely", "high")}
    chosen = (keys or _KEYS.get(name, "")).split() or list(getattr(value, "_fields", ()))
    if chosen:
        value = {key: getattr(value, key) for key in chosen}
    return _plain(value)


def _plain(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(key): record(inner) for key, inner in values.items()}
    return list(map(record, values))


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


def document(answer: Any) -> dict[str, Any]:
    """Return any answer of the Python interface as its command prints it."""
    kind = type(answer).__name__
    if kind == "Comparison":
        return compared([model.verdict for model in answer.models])
    writers: dict[str, Callable[[Any], dict[str, Any]]]
    writers = {"Verdict": verdict, "Ranking": ranking, "Plan": plan, "ContainerSize": container}
    return writers[kind](answer)


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
    keys = "name short title kind source note machine"
    listed = [
        {**record(profile, keys), "confidence": profile.machine.confidence}
        for profile in known_profiles
    ]
    return titled("profiles/1", profiles=listed)


def sizes(
    containers: Sequence[ContainerSize], errors: Mapping[str, SelfhostError], code: int
) -> dict[str, Any]:
    """`selfhost.size/1`: the containers of models, and what they take together; `errors` are of
    names that have no size.
    """
    total: dict[str, Any] = {"accelerators": sum(len(size.accelerators) for size in containers)}
    for key in _SUMMED.split():
        values = [getattr(size, key) for size in containers]
        # not known where one of them is not
        total[key] = None if None in values else sum(values)
    return titled(
        "size/1",
        exit_code=code,
        containers=list(map(container, containers)),
        total=total,
        **listed_errors(errors),
    )


def container(size: ContainerSize) -> dict[str, Any]:
    """Return one model's container."""
    return {
        **record(size, _SIZE),
        "model": model_summary(size.model),
        "growths": [
            {**record(growth, "name bytes unbound_bytes why"), "bound": growth.bound or None}
            for growth in size.growths
        ],
        "accelerators": [record(held, "vendor name memory_bytes") for held in size.accelerators],
        "fetch": size.fetch or None,
    }


def verification(comparison: Verification) -> dict[str, Any]:
    """`selfhost.verify/1`: a prediction compared with a run, fit for a bug report.

    It holds no name, no path and no address: a model of the catalogue by its id, another by its
    shape, for its name may be its owner's.
    """
    verdict, machine = comparison.verdict, comparison.verdict.machine
    spec, inside, cards = verdict.model, verdict.model.architecture, machine.accelerators
    card_keys = "vendor name memory_total_bytes unified"
    return titled(
        "verify/1",
        **record(comparison, "outcome exit_code notes"),
        model={
            "id": spec.id if comparison.is_public else None,
            "known_by": comparison.by,
            "architecture": getattr(inside, "row", None),
            "layers": getattr(inside, "layers", None),
            "embedding_length": getattr(inside, "embedding_length", None),
            "vocabulary": getattr(inside, "vocabulary", None),
            **record(spec, "parameters_total parameters_active"),
            **record(verdict.workload, "runtime quantization"),
        },
        run=record(comparison.run, _RUN),
        machine={
            **record(machine, _SEEN_MACHINE),
            "accelerators": None if cards is None else [record(card, card_keys) for card in cards],
        },
        placement=verdict.needs.placement if verdict.needs else None,
        differences=[_difference(row) for row in comparison.differences],
        speed_how=verdict.speed.how if verdict.speed else None,
    )


def _difference(row: Figure) -> dict[str, Any]:
    ends = {"low": row.low, "likely": row.likely, "high": row.high}
    rounded = {key: round(end, 3) for key, end in ends.items() if end is not None}
    return {
        **record(row, "subject term where unit inside why tokens depth_tokens sequences"),
        "predicted": rounded if len(rounded) == len(ends) else None,
        "seen": round(row.seen, 3),
        "difference": None if row.difference is None else round(row.difference, 4),
    }


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
        "problems": record(problem.problems) if isinstance(problem, InputError) else [],
        "remedy": problem.remedy if isinstance(problem, SelfhostError) else None,
    }


# ------------------------------------------------------------------ sections of `-v`

# what JSON has a key for, `-v` shows: rules on keys and values, none on single commands
# values that say what they are without their key
_PLAIN = ("outcome", "code", "how", "where", "why", "answer", "reason", "source", "arithmetic",
          "text", "figure", "file", "title", "cost")  # fmt: skip
# longer texts have a line of their own
_SHORT = 44
# what is said where it is not so
_TELLING = ("fits", "writable", "complete", "api")
# ends of keys, which are cut off the label, and how the value is printed
_UNITS: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("usd_per_million_tokens", units.dollars),
    ("bytes_per_second", lambda value: f"{units.decimal(int(value))}/s"),
    ("tokens_per_second", lambda value: units.speed(value, value)),
    ("seconds", units.wait),
    ("tokens", units.tokens),
    ("bytes", units.binary),
)
# stored on disks, which are sold by powers of ten
_DECIMAL = ("disk_bytes", "download_bytes", "free_bytes", "largest_file_bytes", "size_bytes")
# a likely figure with its ends
_RANGES = (
    ("likely", "low", "high"),
    ("bytes", "low_bytes", "high_bytes"),
    ("total_bytes", "low_bytes", "high_bytes"),
)


def sections(document: Mapping[str, Any], titles: Mapping[str, str]) -> Blocks:
    """Yield a section for each of the keys, `needs.memory` a key within a key, that has a value."""
    for path, title in titles.items():
        value: Any = document
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        yield from section(title, _lines("", value, 2))


def _lines(title: str, value: Any, indent: int) -> Blocks:
    """Yield a value of any kind under its title; in a list the first of a record's values is its
    title.
    """
    deeper = indent + 2 * bool(title)
    if isinstance(value, Mapping) and {type(text) for text in value.values()} <= {str}:
        value = [f"{key}: {text}" for key, text in value.items()]
    if isinstance(value, Mapping):
        yield from _record_lines(title, value, indent)
        return
    yield from [line(strong(title), ":", indent=indent)] if title and value else ()
    for each in value or ():
        if isinstance(each, Mapping):
            key, name = next(iter(each.items()))
            title = name if isinstance(name, str) else ""
            rest = {inner: each[inner] for inner in each if inner != key or not title}
            title = title.replace("_", " ") if title.islower() else title
            yield from _record_lines(title, rest, deeper)
        else:
            yield line(str(each), indent=deeper)


def _record_lines(title: str, entry: Mapping[str, Any], indent: int) -> Blocks:
    """The short values of a record on one line, then the long ones and what is nested."""
    likely, left = _range(entry)
    short, below = [likely] if likely else [], list[tuple[str, Any]]()
    for key, inner in left.items():
        is_record = isinstance(inner, Mapping)
        text, rest = _range(inner, key) if is_record else (value_words(key, inner), None)
        if not text:
            below.append((key.replace("_", " "), inner))
            continue
        end = next((end for end, _ in _UNITS if key.endswith(f"_{end}")), "")
        label = "→" if key == "remedy" else key.removesuffix(f"_{end}").replace("_", " ")
        text = text if key in _PLAIN else f"{label} {text}"
        is_long = len(text) > _SHORT + len(key) or key == "remedy"
        below += [("", [text])] * is_long + [("", rest)]
        short += [text] * (not is_long)
    if title or short:
        yield line(strong(title), ": " * bool(title), ", ".join(short), indent=indent)
    deeper = indent + 2 * bool(title)
    for name, inner in below:
        yield from _lines(name, inner, deeper) if inner else ()


def _range(entry: Mapping[str, Any], key: str = "") -> tuple[str, Any]:
    """A likely figure with its ends, empty where the entry has none, and the rest of it."""
    for names in _RANGES:
        if all(isinstance(entry.get(name), int | float) for name in names):
            unit = names[0] if names[0] != "likely" else key
            figure, first, last = (value_words(unit, entry[name]) for name in names)
            rest = {name: value for name, value in entry.items() if name not in names}
            return figure + (f" ({first} to {last})" if first != last else ""), rest
    return "", dict(entry)


def value_words(key: str, value: Any) -> str:
    """A value as a person reads it; empty of nothing and of what has lines of its own."""
    if isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
        if all(isinstance(each, int | float) for each in value):
            return text if len(text) <= _SHORT else str(len(value))
        return text if "{" not in text and len(text) <= 2 * _SHORT else ""
    if isinstance(value, bool):
        return "yes" if value else "no" * (key in _TELLING)
    if isinstance(value, int | float):
        words = next((words for end, words in _UNITS if key.endswith(end)), _number)
        return units.decimal(int(value)) if key in _DECIMAL else words(value)
    return "" if isinstance(value, Mapping) else value or ""


def _number(value: float) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
