"""What the answer needs beside it: remarks and notes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, ONE_AT_A_TIME
from ..core.errors import MAX_PROBLEMS, Problem
from ..core.tables import filled, shipped_table
from ..core.workload import FLAGS, Workload
from ..judge.checks.model import reads_context
from ..judge.files import unseen
from ..judge.pace.pacing import advice
from ..judge.question import architectures
from ..judge.record import Judged, Question
from ..machine.record import Machine
from .commands import WORTH_BOUNDING
from .understood import Understood


def _remark(key: str, **figures: object) -> str:
    return filled(shipped_table("remarks")["remark"][key], figures)


def notes_instead(
    catalogue: Catalogue, question: Question, judged: Judged, *, is_bounded: bool
) -> Iterator[str]:
    """A sentence on what long conversations would take, and how to bound that; `is_bounded`: the
    printed line keeps a long conversation at what is counted.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    memory = judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return
    rows, worth_bytes = architectures(catalogue), WORTH_BOUNDING * memory.high_bytes
    service = runtime.service
    program = service.program if service is not None else runtime.name
    more = 0 if is_bounded else need.more_in_conversation(spec, runtime, workload, rows)
    if more and more >= worth_bytes:
        option, kept = runtime.options.get("checkpoints", ""), str(runtime.context_checkpoints)
        yield _remark(
            "checkpoints",
            more=more,
            runtime=runtime.name,
            kept=runtime.kept_checkpoints,
            users=workload.parallel if workload.parallel > 1 else None,
            program=program,
            option=option.replace("{context_checkpoints}", kept),
        )


def faster_ways(question: Question, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """What has a model in RAM answer faster, or a prompt of one that lies there in part."""
    placement = judged.needs.placement if judged.needs is not None and judged.fits else None
    copies = judged.speed.prompt_copies if judged.speed is not None else None
    if placement == "split" and copies is not None and question.runtime is not None:
        from ..judge.pace.pacing import faster_in_batches

        return faster_in_batches(copies, question.runtime)
    if placement != "host":
        return ()
    return advice(machine, question.runtime)


def store_unread(question: Question, machine: Machine) -> str | None:
    """A sentence where the search for models did not get through the store that the runtime looks
    in.
    """
    runtime, here = question.runtime, question.here
    if runtime is None or here is not None or question.local_files:
        return None
    missed = unseen(machine, runtime.store) if machine.models_present is not None else None
    if question.needs is None or missed is None or not missed.remedy:
        return None
    return _remark("elsewhere", reason=missed.reason, remedy=missed.remedy)


def about_files(question: Question, *, fits: bool) -> Iterator[str]:
    """Sentences on the files: that they are quantized while loading, or that no publisher's of
    that quantization are known.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    format, type = workload.format or "", workload.quantization
    if runtime is None or type is None or question.local_files or workload.task != "generate":
        return
    rule, named = runtime.rule_of(type), {"runtime": runtime.name, "model": spec.name, "type": type}
    if need.takes_text_alone(spec, runtime):
        yield _remark("text-alone", **named)
    if need.loads_sixteen_bits(spec, runtime, format, type):
        stored = getattr(spec.architecture, "dtype", None)
        yield _remark("made-while-loading", bits=32 if stored == "float32" else 16, **named)
    elif fits and _has_no_listing(spec, runtime, format, type):
        parts = need.parts_of(spec, runtime)
        named_types = parts.quantizations if parts is not None else ()
        key = "size-of-named" if type in named_types else "size-computed"
        yield _remark(key, where=spec.conversions_page, **named)
    if rule is not None and rule.needs:
        yield _remark("packages", packages=rule.needs, **named)


def _has_no_listing(spec: ModelSpec, runtime: RuntimeSpec, format: str, type: str) -> bool:
    """Whether somebody else than the publisher makes such files, and none are listed."""
    if format not in ("gguf", "mlx") and runtime.rule_of(type) is None:
        return False
    files = spec.files_of(format, type)
    is_listed = files is not None and files.listed
    return not is_listed and need.published(spec, format, type) is None


# what is asked of weights, and says nothing where there are none
_OF_WEIGHTS = ("runtime", "quantization", "kv_cache_type", "draft")
# what is asked of tokens that are written one by one
_OF_TOKENS = ("parallel", "prompt_tokens", "min_tokens_per_second")


def _unread(catalogue: Catalogue) -> Iterator[str]:
    """What is wrong with each of the user's spec files that cannot be read; the first are named,
    the others are counted.
    """
    by_file: dict[str, list[Problem]] = {}
    for problem in catalogue.own_faults:
        by_file.setdefault(problem.file, []).append(problem)
    for file, (first, *others) in islice(by_file.items(), MAX_PROBLEMS):
        fault = f"{first.key}: {first.message}" if first.key else first.message
        figures = {"more": len(others), "several": len(others) > 1}
        yield _remark("unread", file=file, fault=fault, **figures)
    if len(by_file) > MAX_PROBLEMS:
        yield _remark("unread-more", files=len(by_file) - MAX_PROBLEMS)


def notes_of(
    catalogue: Catalogue, question: Question, understood: Understood, offers: tuple[Offer, ...]
) -> Iterator[str]:
    """Sentences on the offers, the user's specs and what was asked to no effect."""
    spec, workload = question.spec, question.workload
    yield from dict.fromkeys(offer.why_instead for offer in offers if offer.why_instead is not None)
    yield from _unread(catalogue)
    if spec.overrides:
        yield _remark("replaced", spec=spec.origin, shipped=spec.overrides)
    served = spec.availability
    if workload.task == "finetune" and served is not None and served.fine_tuning:
        yield _remark("fine-tuning", provider=served.provider, words=served.fine_tuning)
    stated, tokens = understood.workload, workload.context_tokens
    if tokens is not None and stated.tokens_with_prompt == tokens and spec.modality in GENERATING:
        yield _remark("context", tokens=tokens)
    if workload.draft and question.companions is not None:
        yield _remark("draft")
    yield from _without_effect(question, stated)


def _without_effect(question: Question, stated: Workload) -> Iterator[str]:
    """Sentences on what was asked to no effect."""
    spec, workload = question.spec, question.workload
    yield from without_tokens(stated, spec)
    cache_type = stated.kv_cache_type
    if cache_type and workload.kv_cache_type is None and question.runtime is not None:
        program = question.runtime.name
        yield _remark("no-cache", type=cache_type, model=spec.name, program=program)


def without_tokens(stated: Workload, spec: ModelSpec) -> Iterator[str]:
    """Sentences on what was asked of tokens, of a model that writes or reads none."""
    usual = Workload()
    writes_tokens = spec.closed or stated.task != "generate" or spec.modality in GENERATING
    options = [
        FLAGS[key]
        for key in _OF_TOKENS
        if getattr(stated, key) != getattr(usual, key)
        and (key != "parallel" or spec.modality in ONE_AT_A_TIME)
    ]
    if options and not writes_tokens:
        yield _remark("no-tokens", options=options, several=len(options) > 1, model=spec.name)
    if stated.context_tokens is not None and not reads_context(spec):
        yield _remark("no-context", model=spec.name)


def notes_of_asking(
    catalogue: Catalogue, question: Question, understood: Understood
) -> Iterator[str]:
    """Sentences on options of weights for a closed model, and on training."""
    spec, workload = question.spec, question.workload
    if spec.closed:
        stated = understood.workload
        options = [FLAGS[key] for key in _OF_WEIGHTS if getattr(stated, key) is not None]
        if options:
            yield _remark("no-weights", options=options, several=len(options) > 1, model=spec.name)
    elif workload.task == "finetune":
        yield _remark("training")
