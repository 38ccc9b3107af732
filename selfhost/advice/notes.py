"""Sentences of an answer on the offers, the user's specs, and what was asked to no effect."""

from __future__ import annotations

from collections.abc import Iterator

from ..catalogue.index import Catalogue
from ..catalogue.offers import Offer
from ..catalogue.opened import left_aside
from ..catalogue.spec import GENERATING, ONE_AT_A_TIME, ModelSpec
from ..core.tables import filled
from ..core.workload import FLAGS, Workload
from ..judge.checks import reads_context
from ..judge.record import Question
from ..needs.quantization import OF_EXPERTS
from .remarks import DRAFT_NOTE, training_note, which_trainer
from .understood import Understood

_NO_EFFECT = "{options:and} [[several?have]][[!several?has]] no effect: "
_NOTES = {
    "replaced": "{spec} replaces the shipped {shipped}.",
    "fine-tuning": "Fine-tuning at {provider}: {words}.",
    "retired": "Whether it is still served is not known: {why}.",
    "context": (
        "The context is {tokens:tokens}, for the prompt and an answer: --context states another."
    ),
    "no-cache": "--kv-cache {type} has no effect: {model} keeps no KV cache in {program}.",
    "no-experts": (
        "{type} is no smaller than {rest} here: llama-quantize stores experts alone in it, of which"
        " {model} has none, and all else in {rest}. For 4 bits a weight: --quant Q4_K_M."
    ),
    "no-tokens": _NO_EFFECT + "{model} writes no tokens.",
    "no-context": "--context has no effect: {model} takes no context of tokens.",
    "no-weights": _NO_EFFECT + "the weights of {model} are not published.",
}
# what is asked of weights, and says nothing where there are none
_OF_WEIGHTS = ("runtime", "quantization", "kv_cache_type", "draft", "adapter")
# what is asked of tokens that are written one by one
_OF_TOKENS = ("parallel", "prompt_tokens", "min_tokens_per_second")


def _note(key: str, **figures: object) -> str:
    return filled(_NOTES[key], figures)


def notes_of(
    catalogue: Catalogue, question: Question, understood: Understood, offers: tuple[Offer, ...]
) -> Iterator[str]:
    """Sentences on the offers, the user's specs and what was asked to no effect."""
    spec, workload = question.spec, question.workload
    yield from dict.fromkeys(offer.why_instead for offer in offers if offer.why_instead is not None)
    yield from left_aside(catalogue)
    if spec.overrides:
        yield _note("replaced", spec=spec.origin, shipped=spec.overrides)
    served = spec.availability
    if workload.task == "finetune" and served is not None and served.fine_tuning:
        yield _note("fine-tuning", provider=served.provider, words=served.fine_tuning)
    if why := spec.unknown.get("availability.retired"):
        yield _note("retired", why=why)
    stated, tokens = understood.workload, workload.context_tokens
    if tokens is not None and stated.tokens_with_prompt == tokens and spec.modality in GENERATING:
        yield _note("context", tokens=tokens)
    if workload.draft and question.companions is not None:
        yield DRAFT_NOTE
    yield from _without_effect(question, stated)


def _without_effect(question: Question, stated: Workload) -> Iterator[str]:
    """Sentences on what was asked to no effect."""
    spec, workload = question.spec, question.workload
    rest, stored = OF_EXPERTS.get(workload.quantization or ""), question.read_bytes
    is_of_experts = stated.quantization is not None and workload.format == "gguf" and rest
    if is_of_experts and stored and workload.quantization not in stored:
        yield _note("no-experts", type=workload.quantization, rest=rest, model=spec.name)
    yield from without_tokens(stated, spec)
    cache_type = stated.kv_cache_type
    if cache_type and workload.kv_cache_type is None and question.runtime is not None:
        program = question.runtime.name
        yield _note("no-cache", type=cache_type, model=spec.name, program=program)


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
        yield _note("no-tokens", options=options, several=len(options) > 1, model=spec.name)
    if stated.context_tokens is not None and not reads_context(spec):
        yield _note("no-context", model=spec.name)


def notes_of_asking(
    catalogue: Catalogue, question: Question, understood: Understood
) -> Iterator[str]:
    """Sentences on options of weights for a closed model, and on training."""
    spec, workload = question.spec, question.workload
    if spec.closed:
        stated = understood.workload
        options = [FLAGS[key] for key in _OF_WEIGHTS if getattr(stated, key) is not None]
        if options:
            yield _note("no-weights", options=options, several=len(options) > 1, model=spec.name)
    elif workload.task == "finetune":
        yield training_note(workload)
        by_trainer = which_trainer(catalogue, question)
        if by_trainer:
            yield by_trainer
