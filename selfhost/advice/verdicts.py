"""A question becomes a verdict with everything beside it: offers, alternatives, commands, notes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import bare_name
from ..catalogue.offers import Offer
from ..catalogue.quantization_names import quality_of_workload
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, ONE_AT_A_TIME
from ..core import units
from ..core.errors import MAX_PROBLEMS, Problem
from ..core.workload import FLAGS, Workload
from ..judge.checks.model import reads_context
from ..judge.record import Judged, Question, Verdict
from ..machine.record import Machine
from .alternatives import Search
from .api_route import month, offers_for
from .commands import bytes_worth_bounding
from .steps import Steps, steps
from .understood import Understood, judged_for, remarks, understand

# what QLoRA loads of each weight that it trains adapters beside (bitsandbytes, nf4)
_QLORA_BITS = 4
# what is asked of weights, and says nothing where there are none
_WEIGHT_OPTIONS = ("runtime", "quantization", "kv_cache_type", "draft", "runtime_options")
# what is asked of tokens that are written one by one
_TOKEN_OPTIONS = ("parallel", "prompt_tokens", "min_tokens_per_second")


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec | Understood,
    workload: Workload,
    machine: Machine,
    *,
    instead: bool = True,
    today: str | None = None,
    follows_machine: bool = True,
) -> Verdict:
    """`check` with everything given. Without `instead` the verdict names only what decides: no
    alternatives, no room, no costs, and offers only where it does not run. Without
    `follows_machine` the defaults are the model's own, the same on every machine.
    """
    understood = understand(catalogue, model, workload, machine if follows_machine else None)
    judged = judged_for(catalogue, understood, machine, follows_machine=follows_machine)
    question, day = judged.question, today or units.utc_today()
    offers = offers_for(catalogue, judged, day) if instead or judged.failed else ()
    by_tag_first = understood.is_one_file and understood.workload.runtime is None
    to_type = steps(judged, catalogue, machine, tag=understood.tag, by_tag_first=by_tag_first)
    notes = [*_notes(catalogue, judged, machine, offers)]
    more, load = dict[str, object](), question.stated.load
    if instead:
        notes += _note_on_conversations(judged, to_type)
        search = Search(judged=judged, catalogue=catalogue, machine=machine)
        notes += search.note_on_gpu()
        more = {
            "room": search.room(),
            "alternatives": search.alternatives(),
            "monthly_cost": month(load, offers, judged, machine) if load is not None else None,
        }
    if question.chosen is not None and question.workload.task == "finetune":
        # how long the examples are decides what is learned, so a shorter length is not fine print
        notes.append(question.chosen)
    bits, taken = _loaded_bits(question), question.workload
    # which type a tag of Ollama's loads, where that does not run and nothing says it yet
    is_pinned = understood.is_one_file and understood.workload.quantization is None
    is_open = is_pinned and taken.format == "gguf" and not judged.fits
    figures = {"tag": bare_name(understood.asked), "type": taken.quantization}
    tag_note = remarks({"tag": is_open}, **figures)
    return Verdict.conclude(
        judged,
        machine,
        asked=understood.asked,
        offered=bool(offers),
        api_offers=offers,
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        understood_as=(*understood.notes, *tag_note),
        notes=tuple(notes),
        fine_print=tuple(_fine_print(understood, question)),
        quality=quality_of_workload(
            question.workload, catalogue, question.spec, is_halved=bits == 16
        ),
        loaded_bits=bits,
        **more,
    )


def _loaded_bits(question: Question) -> int | None:
    workload = question.workload
    if workload.finetune_method == "qlora":
        return _QLORA_BITS
    is_run = workload.task == "generate" and workload.format != "gguf"
    if workload.quantization is None or not is_run:
        return None
    return need.loaded_bits(question.runtime, question.spec, workload.quantization)


def _notes(
    catalogue: Catalogue, judged: Judged, machine: Machine, offers: tuple[Offer, ...]
) -> Iterator[str]:
    question = judged.question
    spec, workload, stated = question.spec, question.workload, question.stated
    yield from dict.fromkeys(filter(None, (offer.why_instead for offer in offers)))
    # faults of the user's spec files; the first are named, the others are counted
    by_file: dict[str, list[Problem]] = {}
    for problem in catalogue.own_faults:
        by_file.setdefault(problem.file, []).append(problem)
    for file, (first, *others) in [*by_file.items()][:MAX_PROBLEMS]:
        fault = f"{first.key}: {first.message}" if first.key else first.message
        figures: dict[str, object] = {"more": len(others), "several": len(others) > 1}
        yield from remarks({"unread": True}, file=file, fault=fault, **figures)
    served, tokens = spec.availability, workload.context_tokens
    unread = len(by_file) - MAX_PROBLEMS
    words = getattr(served, "fine_tuning", None)
    holds = {
        "unread-more": unread > 0,
        "replaced": spec.overrides,
        "fine-tuning": words and workload.task == "finetune",
        "context": tokens and stated.tokens_with_prompt == tokens and spec.modality in GENERATING,
        "draft": workload.draft and question.companions is not None,
        "address-space": judged.placement in ("accelerator", "split")
        and machine.address_space_bytes is not None,
    }
    figures = {"files": unread, "spec": spec.origin, "shipped": spec.overrides, "words": words}
    figures |= {"provider": getattr(served, "provider", None), "tokens": tokens}
    yield from remarks(holds, left=machine.address_space_bytes, **figures)
    yield from _without_effect(question)


def _without_effect(question: Question) -> tuple[str, ...]:
    spec, stated, usual = question.spec, question.stated, Workload()
    writes_tokens = spec.closed or stated.task != "generate" or spec.modality in GENERATING
    # what the decoder holds of pictures that are made at once; files of stable-diffusion.cpp are
    # counted for one
    terms = {term.name for term in getattr(question.needs, "terms", ())}
    are_made_at_once = spec.modality == "image" and "activations" in terms
    makes_one = spec.modality in ONE_AT_A_TIME and not are_made_at_once
    options = [
        FLAGS[key] + " (--users)" * (key == "parallel")
        for key in (_WEIGHT_OPTIONS if spec.closed else _TOKEN_OPTIONS)
        if getattr(stated, key) != getattr(usual, key) and (key != "parallel" or makes_one)
    ]
    cache_type, runtime = stated.kv_cache_type, question.runtime
    holds = {
        "no-weights": spec.closed and options,
        "no-tokens": options and not writes_tokens,
        "no-context": stated.context_tokens is not None and not reads_context(spec),
        "no-cache": cache_type and runtime and question.workload.kv_cache_type is None,
    }
    figures = {"options": options, "several": len(options) > 1, "model": spec.name}
    figures |= {"type": cache_type, "program": getattr(runtime, "name", None)}
    return remarks(holds, **figures)


def _note_on_conversations(judged: Judged, to_type: Steps) -> tuple[str, ...]:
    # advice is for the program whose lines are printed
    runtime, workload = to_type.runtime or judged.question.runtime, judged.question.workload
    is_bounded = any("--ctx-checkpoints" in line for line in to_type.commands)
    if runtime is None or is_bounded or not judged.fits:
        return ()
    more, kept = bytes_worth_bounding(judged, runtime), str(runtime.context_checkpoints)
    option = runtime.options.get("checkpoints", "").replace("{context_checkpoints}", kept)
    program = runtime.service.program if runtime.service is not None else runtime.name
    figures = {"more": more, "runtime": runtime.name, "kept": runtime.kept_checkpoints}
    figures |= {"users": workload.parallel if workload.parallel > 1 else None, "program": program}
    return remarks({"checkpoints": more}, option=option, **figures)


def _fine_print(understood: Understood, question: Question) -> Iterator[str]:
    spec, workload, runtime = question.spec, question.workload, question.runtime
    trains, type = workload.task == "finetune", workload.quantization
    yield from remarks({"training": trains and not spec.closed})
    if question.chosen is not None and not trains:
        yield question.chosen
    is_of_files = question.local_files or understood.tag
    if runtime is None or type is None or is_of_files or workload.task != "generate":
        return
    packages = getattr(runtime.rule_of(type), "needs", "")
    holds: dict[str, object] = {
        "text-alone": need.takes_text_alone(spec, runtime),
        "made-while-loading": need.loads_sixteen_bits(spec, runtime, workload.format, type),
        "packages": packages,
    }
    bits = 32 if getattr(spec.architecture, "dtype", None) == "float32" else 16
    figures = {"runtime": runtime.name, "type": type, "bits": bits, "packages": packages}
    figures["model"] = spec.name
    yield from remarks(holds, **figures)
