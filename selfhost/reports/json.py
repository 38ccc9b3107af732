"""Verdicts, lists and models as JSON values: the keys of the contract, always all of them, whatever
was asked.

The layout is written out here so that the records behind it may change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from .. import __version__
from ..catalogue import openness
from ..catalogue.offers import Offer
from ..catalogue.spec import ModelSpec
from ..core.errors import MAX_PROBLEMS, InputError, NotAModelError, Problem, SelfhostError
from ..core.records import FrozenDict
from ..core.workload import Workload, as_typed
from ..machine.record import Machine
from ..needs.records import MemoryNeed, Needs, Term
from ..verdict.findings import Finding
from ..verdict.record import Alternative, Answer, Placement, Verdict, exit_code
from ..verdict.speed import PaceRange, SecondsRange, Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..advice.listing import Listing
    from ..advice.plan import Known, Least, Plan
    from ..answers.several import Ranked, Ranking
    from ..answers.shown import Shown
    from ..machine.profiles import Profile


class Recurring(dict[str, "Any"]):
    """What a document says thousands of times: it becomes text once for each indent."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.text_by_line: dict[str, str] = {}


def dumps(value: Mapping[str, Any]) -> str:
    """ASCII only, so that any pipe can carry it; ends with a newline."""
    return "".join(pieces(value))


def pieces(value: Mapping[str, Any]) -> Iterator[str]:
    """As `dumps`, in pieces; an iterator in the place of a list is written item by item.

    `ValueError` for a number that JSON does not have.
    """
    indented = _indented()
    start = "{\n  "
    for key, member in value.items():
        yield f"{start}{indented(key, start)}: "
        start = ",\n  "
        if not isinstance(member, Iterator):
            yield indented(member, "\n  ")
            continue
        lead = "[\n    "
        for entry in member:
            yield lead + indented(entry, "\n    ")
            lead = ",\n    "
        yield "\n  ]" if lead[0] == "," else "[]"
    yield "\n}\n" if value else "{}\n"


def _indented() -> Callable[[Any, str], str]:
    """What gives the text of a value, after a new line with the indent of what holds it. The
    encoder of `json` that is written in C knows no indent, and the one that does takes twice as
    long.
    """
    import json

    quote = json.encoder.encode_basestring_ascii

    def indented(value: Any, line: str) -> str:
        kind = type(value)
        if kind is str:
            return quote(value)
        if value is None:
            return "null"
        if kind is int:
            return repr(value)
        if kind is Recurring:
            if line not in value.text_by_line:
                value.text_by_line[line] = indented(dict(value), line)
            text: str = value.text_by_line[line]
            return text
        if kind is bool:
            return "true" if value else "false"
        inner = line + "  "
        if kind is dict and value:
            members = [quote(key) + ": " + indented(each, inner) for key, each in value.items()]
            return "{" + inner + ("," + inner).join(members) + line + "}"
        if kind is list:
            items = [indented(each, inner) for each in value]
            return "[" + inner + ("," + inner).join(items) + line + "]" if items else "[]"
        # numbers, what is empty, and the kinds of records, which are few
        return json.dumps(value, indent=2, allow_nan=False).replace("\n", line)

    return indented


def check(
    verdicts: Sequence[Verdict], errors: Mapping[str, SelfhostError] = FrozenDict()
) -> dict[str, Any]:
    """One verdict for one model, `selfhost.verdicts/1` for several; `errors` are those of names
    that could not be judged.

    The first errors are listed; `errors_not_listed` counts the others.
    """
    if len(verdicts) == 1 and not errors:
        return verdict(verdicts[0])
    code = exit_code((answer.route for answer in verdicts), no_answer=bool(errors))
    listed = list(errors.items())[:MAX_PROBLEMS]
    return {
        "schema": "selfhost.verdicts/1",
        "selfhost_version": __version__,
        "exit_code": code,
        "verdicts": [verdict(answer) for answer in verdicts],
        "errors": [{"asked": name, **_error(error)} for name, error in listed],
        "errors_not_listed": len(errors) - len(listed),
    }


def verdict(answer: Verdict) -> dict[str, Any]:
    """`selfhost.verdict/1`."""
    return {
        "schema": "selfhost.verdict/1",
        "selfhost_version": __version__,
        "asked": answer.asked,
        "model": model_summary(answer.model),
        "workload": workload(answer.workload),
        "machine": machine(answer.machine),
        "route": answer.route.value,
        "can_run": answer.can_run,
        "can_download": answer.can_download,
        "exit_code": answer.exit_code,
        "needs": (
            None if answer.needs is None else _needs(answer.needs, answer.machine.architecture)
        ),
        "download_seconds": _rounded(answer.download_seconds),
        "here": None if answer.here is None else record(answer.here),
        "speed": None if answer.speed is None else _speed(answer.speed),
        "findings": [finding_record(finding) for finding in answer.findings],
        "placements": [_placement(placement) for placement in answer.placements],
        "room": None if answer.room is None else record(answer.room),
        "alternatives": [_alternative(other) for other in answer.alternatives],
        "open_alternatives": [record(other) for other in answer.open_alternatives],
        "api_offers": [offer(listed) for listed in answer.api_offers],
        "monthly_cost": record(answer.monthly_cost),
        "setup": list(answer.setup),
        "commands": list(answer.commands),
        "commands_class": answer.commands_class,
        "advice": list(answer.advice),
        "notes": [*answer.understood_as, *answer.notes, *answer.fine_print],
        "quality": None if answer.quality is None else record(answer.quality),
    }


def _placement(placement: Placement) -> dict[str, Any]:
    return {
        "placement": placement.placement,
        "accelerators": list(placement.accelerators),
        "accelerator_high_bytes": placement.accelerator_high_bytes,
        "host_high_bytes": placement.host_high_bytes,
        "decode": _pace(placement.decode),
        "fits": placement.fits,
        "judged": placement.judged,
    }


def _alternative(other: Alternative) -> dict[str, Any]:
    return {
        "id": other.id,
        "name": other.name,
        "runtime": other.runtime,
        "finetune_method": other.finetune_method,
        "quantization": other.quantization,
        "context_tokens": other.context_tokens,
        "license": other.license,
        "memory_high_bytes": other.memory_high_bytes,
        "download_bytes": other.download_bytes,
        "decode_tokens_per_second": _pace(other.decode_tokens_per_second),
        "judged_tokens_per_second": _pace(other.judged_tokens_per_second),
        "why": other.why,
        "command": other.command,
    }


def model_summary(spec: ModelSpec) -> dict[str, Any]:
    """The `model` object of a verdict."""
    return {
        "id": spec.id,
        "name": spec.name,
        "family": spec.family,
        "developer": spec.developer,
        "modality": spec.modality,
        "weights_published": spec.weights_published,
        "license": spec.license.id if spec.license else None,
        "parameters_total": spec.parameters_total,
        "parameters_active": spec.parameters_active,
    }


def workload(wanted: Workload) -> dict[str, Any]:
    """The `workload` object of a verdict."""
    return {
        "task": wanted.task,
        "runtime": wanted.runtime,
        "format": wanted.format,
        "quantization": wanted.quantization,
        "context_tokens": wanted.context_tokens,
        "parallel": wanted.parallel,
        "kv_cache_type": wanted.kv_cache_type,
        "prompt_tokens": wanted.prompt_tokens,
        "audio_seconds": wanted.audio_seconds,
        "draft": wanted.draft,
        "adapter": wanted.adapter,
        "min_tokens_per_second": wanted.min_tokens_per_second,
        "download_bytes_per_second": wanted.download_bytes_per_second,
        "memory_basis": wanted.memory_basis,
        "reserve_bytes": wanted.reserve_bytes,
        "private": wanted.private,
        "commercial": wanted.commercial,
        "modify": wanted.modify,
        "auditable": wanted.auditable,
        "license": wanted.license,
        "finetune_method": wanted.finetune_method,
        "lora_rank": wanted.lora_rank,
        "optimizer": wanted.optimizer,
        "checkpointing": wanted.checkpointing,
        "dataset_tokens": wanted.dataset_tokens,
        "load": record(wanted.load),
    }


def machine(computer: Machine) -> dict[str, Any]:
    """`selfhost.machine/1`."""
    return computer.to_json()


def offer(listed: Offer) -> dict[str, Any]:
    """One entry of `api_offers`."""
    return {
        "provider": listed.provider,
        "model": listed.model,
        "model_id": listed.model_id,
        "stands_in": listed.stands_in,
        "context_tokens": listed.context_tokens,
        "input_usd_per_million_tokens": listed.input_usd_per_million_tokens,
        "output_usd_per_million_tokens": listed.output_usd_per_million_tokens,
        "usd_per_audio_minute": listed.usd_per_audio_minute,
        "usd_per_image": listed.usd_per_image,
        "price_is_for": listed.price_is_for,
        "price_holds_to_tokens": listed.price_holds_to_tokens,
        "price_holds_above_tokens": listed.price_holds_above_tokens,
        "long_input_usd_per_million_tokens": listed.long_input_usd_per_million_tokens,
        "long_output_usd_per_million_tokens": listed.long_output_usd_per_million_tokens,
        "other_prices": record(listed.other_prices),
        "as_of": listed.as_of,
        "ends": listed.ends,
        "source": listed.source,
    }


def _ends(ends: tuple[int, int] | None) -> dict[str, int] | None:
    """The least and the most of a size; None where it is no range."""
    return None if ends is None else {"low_bytes": ends[0], "high_bytes": ends[1]}


def _needs(needs: Needs, architecture: str | None) -> dict[str, Any]:
    sets = needs.cpu.instruction_sets
    return {
        "download_bytes": needs.download_bytes,
        "download_range": _ends(needs.download_range),
        "download_how": needs.download_how.value if needs.download_how else None,
        "download_source": needs.download_source,
        "disk_bytes": needs.disk_bytes,
        "largest_file_bytes": needs.largest_file_bytes,
        "cpu": {
            "architectures": list(needs.cpu.architectures),
            # those of the machine's own architecture; of all, where that is not known
            "instruction_sets": sorted(
                {
                    name
                    for own, names in sets.items()
                    if architecture in (None, own)
                    for name in names
                }
            ),
        },
        "placement": needs.placement,
        "memory": None if needs.memory is None else _memory(needs.memory),
        "known_terms": [_term(term) for term in needs.known_terms],
        "unknown": [
            {"fact": entry.fact, "reason": entry.reason, "remedy": entry.remedy}
            for entry in needs.unknown
        ],
    }


def _memory(memory: MemoryNeed) -> dict[str, Any]:
    return {
        "total_bytes": memory.total_bytes,
        "low_bytes": memory.low_bytes,
        "high_bytes": memory.high_bytes,
        "evictable_bytes": memory.evictable_bytes,
        "places": [record(place) for place in memory.places],
        "terms": [_term(term) for term in memory.terms],
    }


def _term(term: Term) -> dict[str, Any]:
    return {
        "name": term.name,
        "bytes": term.bytes,
        "low_bytes": term.low_bytes,
        "high_bytes": term.high_bytes,
        "where": term.where,
        "how": term.how.value,
        "source": term.source,
        "arithmetic": term.arithmetic,
    }


def _speed(speed: Speed) -> dict[str, Any]:
    full = speed.full_context_tokens_per_second
    return {
        "decode": _pace(speed.decode),
        "judged": _pace(speed.judged),
        "prompt": _pace(speed.prompt),
        "work": _pace(speed.work),
        "unit": speed.unit,
        "how": speed.how,
        "first_token_seconds": _seconds(speed.first_token_seconds),
        "dataset_seconds": _seconds(speed.dataset_seconds),
        "parallel_total": _pace(speed.parallel_total),
        "full_context_tokens_per_second": None if full is None else round(full, 3),
    }


def _seconds(span: SecondsRange | None) -> dict[str, float] | None:
    if span is None:
        return None
    return {
        "low": round(span.low, 3),
        "likely": round(span.likely, 3),
        "high": round(span.high, 3),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _pace(pace: PaceRange | None) -> dict[str, float] | None:
    return (
        None
        if pace is None
        else {
            "low": round(pace.low, 3),
            "likely": round(pace.likely, 3),
            "high": round(pace.high, 3),
        }
    )


def finding_record(finding: Finding) -> dict[str, Any]:
    """One finding, as documents of a check and of an audit have it."""
    return {
        "check": finding.check,
        "outcome": finding.outcome.value,
        "code": finding.code,
        "needs": finding.needs,
        "has": finding.has,
        "short": finding.short,
        "unit": finding.unit,
        "reserve_bytes": finding.reserve_bytes,
        "reason": finding.reason,
        "remedy": finding.remedy,
    }


def listing(
    answers: Sequence[Answer], computer: Machine, listed: Listing, *, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """`selfhost.list/1`: the models of a listing that were chosen, best first; `notes` on how the
    machine's name was understood.
    """
    from ..answers.several import ranking as ranking_of

    return ranking(ranking_of(answers, computer, listed).replace(notes=tuple(notes)))


def ranking(ranked: Ranking) -> dict[str, Any]:
    """`selfhost.list/1`."""
    return {
        "schema": "selfhost.list/1",
        "selfhost_version": __version__,
        "machine": machine(ranked.machine),
        "ruled_out": ranked.ruled_out,
        "catalogue_as_of": ranked.catalogue_as_of,
        "models": [_ranked(row) for row in ranked.models],
        "notes": list(ranked.notes),
    }


def _ranked(row: Ranked) -> dict[str, Any]:
    return {
        "model": {
            **model_summary(row.model),
            "uses": record(row.model.uses),
            "tuned_from": row.model.tuned_from,
        },
        "route": row.route.value,
        "quantization": row.quantization,
        "runtime": row.runtime,
        "context_tokens": row.context_tokens,
        "memory_high_bytes": row.memory_high_bytes,
        "download_bytes": row.download_bytes,
        "decode_tokens_per_second": _pace(row.decode_tokens_per_second),
        "judged_tokens_per_second": _pace(row.judged_tokens_per_second),
        "failed": list(row.failed),
        "why": row.why,
    }


def shown(about: Shown) -> dict[str, Any]:
    """`selfhost.model/1`: what is known of a model, its sizes, and the verdict of the default."""
    return {
        "schema": "selfhost.model/1",
        "selfhost_version": __version__,
        "spec": record(about.verdict.model),
        **_openness(about.verdict.model),
        "sizes": [record(size) for size in about.sizes],
        "verdict": verdict(about.verdict),
    }


def compared(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """`selfhost.compare/1`: the verdict of each model with its openness, in the order asked."""
    models = [{**_openness(answer.model), "verdict": verdict(answer)} for answer in verdicts]
    return {"schema": "selfhost.compare/1", "selfhost_version": __version__, "models": models}


def _openness(spec: ModelSpec) -> dict[str, Any]:
    return {
        "openness": [_row(row) for row in openness.rows(spec)],
        "permissions": [_row(row) for row in openness.permissions(spec)],
    }


def _row(row: openness.Row) -> dict[str, Any]:
    """One answer on openness, with the answers it follows from; `unknown` is null."""
    return {
        "name": row.name,
        "answer": None if row.answer == "unknown" else row.answer,
        "why": row.why,
        "sources": list(row.sources),
        "assumed": row.assumed,
        "parts": [_row(part) for part in row.parts],
    }


def plan(answer: Plan) -> dict[str, Any]:
    """`selfhost.plan/1`: the least machine, and every known one with its route."""
    least = answer.least
    architecture = least.machine.architecture if least else None
    return {
        "schema": "selfhost.plan/1",
        "selfhost_version": __version__,
        "asked": answer.asked,
        "model": model_summary(answer.model),
        "workload": workload(answer.workload),
        "exit_code": answer.exit_code,
        "needs": None if answer.needs is None else _needs(answer.needs, architecture),
        "download_seconds": _rounded(answer.download_seconds),
        "least": None if least is None else _least(least),
        "reasons": [finding_record(finding) for finding in answer.reasons],
        "machines": [_known(candidate) for candidate in answer.machines],
        "notes": list(answer.notes),
    }


def _least(least: Least) -> dict[str, Any]:
    return {
        "memory_bytes": least.memory_bytes,
        "reserve_bytes": least.reserve_bytes,
        "disk_bytes": least.disk_bytes,
        "cpu": {
            "architectures": list(least.cpu.architectures),
            "instruction_sets": list(least.cpu.instruction_sets),
            "recommended_instruction_sets": list(least.cpu.recommended_instruction_sets),
            "cores": least.cpu.cores,
        },
        "bandwidth_bytes_per_second": least.bandwidth_bytes_per_second,
        "bandwidth_perhaps_bytes_per_second": least.bandwidth_perhaps_bytes_per_second,
        "accelerator": {
            "required": least.accelerator.required,
            "memory_bytes": least.accelerator.memory_bytes,
            "memory_beside_bytes": least.accelerator.memory_beside_bytes,
        },
        "machine": machine(least.machine),
    }


def _known(candidate: Known) -> dict[str, Any]:
    return {
        **_profile_summary(candidate.profile),
        "route": candidate.route.value,
        "runtime": candidate.workload.runtime,
        "quantization": candidate.workload.quantization,
        "context_tokens": candidate.workload.context_tokens,
        "finetune_method": candidate.workload.finetune_method,
        "placement": candidate.placement,
        "memory_limit_bytes": candidate.memory_limit_bytes,
        "accelerator_memory_bytes": candidate.accelerator_memory_bytes,
        "decode_tokens_per_second": _pace(candidate.decode_tokens_per_second),
        "judged_tokens_per_second": _pace(candidate.judged_tokens_per_second),
        "codes": list(candidate.codes),
    }


def profiles(known_profiles: Sequence[Profile]) -> dict[str, Any]:
    """`selfhost.profiles/1`: every machine that `--machine NAME` knows."""
    listed = [
        {
            **_profile_summary(profile),
            "source": profile.source,
            "note": profile.note,
            "machine": machine(profile.machine),
        }
        for profile in known_profiles
    ]
    return {"schema": "selfhost.profiles/1", "selfhost_version": __version__, "profiles": listed}


def _profile_summary(profile: Profile) -> dict[str, Any]:
    from ..advice.plan import CHECK_YOURS

    sure = profile.machine.confidence
    advice = None if sure == "high" else CHECK_YOURS
    return {
        "name": profile.name,
        "short": profile.short,
        "title": profile.title,
        "kind": profile.kind,
        "confidence": sure,
        "advice": advice,
    }


def spec_check(problems: Sequence[Problem], good: Sequence[ModelSpec], code: int) -> dict[str, Any]:
    """`selfhost.spec-check/1`: every fault, and the ids of the specs without one."""
    return {
        "schema": "selfhost.spec-check/1",
        "selfhost_version": __version__,
        "good": [spec.id for spec in good],
        "problems": [fault_record(problem) for problem in problems],
        "exit_code": code,
    }


def record(value: Any) -> Any:
    """A spec or a part of it as plain JSON values, key by key."""
    fields = getattr(type(value), "_fields", None)
    if fields is not None:
        return {name: record(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {str(key): record(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [record(inner) for inner in value]
    return value


def fault_record(problem: Problem) -> dict[str, Any]:
    """One fault of an input."""
    return {
        "file": problem.file,
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def error(problem: BaseException, code: int) -> dict[str, Any]:
    """`selfhost.error/1`: what goes to standard error under `--format json`."""
    return {
        "schema": "selfhost.error/1",
        "selfhost_version": __version__,
        **_error(problem),
        "exit_code": code,
    }


def _error(problem: BaseException) -> dict[str, Any]:
    """What is wrong, as the error's own object and the list beside verdicts have it."""
    problem = as_typed(problem) if isinstance(problem, SelfhostError) else problem
    problems = problem.all_problems if isinstance(problem, InputError) else ()
    return {
        "error": type(problem).__name__,
        "message": problem.message if isinstance(problem, SelfhostError) else str(problem),
        "kind": problem.kind if isinstance(problem, NotAModelError) else None,
        "nearest": list(problem.nearest) if isinstance(problem, SelfhostError) else [],
        "problems": [fault_record(fault) for fault in problems],
        "remedy": problem.remedy if isinstance(problem, SelfhostError) else None,
    }
