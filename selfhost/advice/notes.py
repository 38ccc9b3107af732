"""The notes beside an answer, and its fine print.

The sentences stand in `common/remarks.toml`. The functions here decide which of the sentences hold,
and give the figures that fill them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from os.path import dirname

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import bare_name
from ..catalogue.offers import Offer
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, ONE_AT_A_TIME
from ..catalogue.uses import uses_table
from ..core import units
from ..core.errors import MAX_PROBLEMS, Problem
from ..core.records import Record
from ..core.workload import FLAGS, CacheTypes
from ..judge.devices import gpu_maker
from ..judge.pace.words import likely_words
from ..judge.record import Judged, Question
from ..machine.record import Machine
from .commands import Steps
from .launch import CONVERTED
from .understood import Sentences, Understood, remark

# the options by the fields that they state; a format is stated in a program or a policy only
_OPTIONS = {**FLAGS, "parallel": f"{FLAGS['parallel']} (--users)"}


# ------------------------------------------------------------------ notes


def notes_on_question(
    catalogue: Catalogue,
    judged: Judged,
    machine: Machine,
    offers: tuple[Offer, ...],
) -> Iterator[str]:
    """Yield notes on the question: the models that stand in at an API, faults in the user's own
    specs, and options without effect.
    """
    question = judged.question
    reasons = [offer.why_instead for offer in offers if offer.why_instead]
    yield from dict.fromkeys(reasons)
    yield from _faults_of_own_specs(catalogue)
    spec = question.spec
    if spec.overrides:
        yield from remark("replaced", spec=spec.origin, shipped=spec.overrides)
    if judged.workload.task == "finetune":
        yield from _note_on_hosted_tuning(spec)
    yield from _note_on_context(question)
    yield from _note_on_purpose(question)
    yield from _notes_on_draft(judged)
    yield from _note_on_cache(judged, machine)
    left = machine.address_space_bytes
    if left is not None and judged.placement in ("accelerator", "split"):
        yield from remark("address-space", left=left)
    yield from _options_without_effect(question)


def _note_on_hosted_tuning(spec: ModelSpec) -> Iterator[str]:
    """Yield the note on how the provider of a model fine-tunes the model for customers."""
    served = spec.availability
    if served is not None and served.fine_tuning:
        words = served.fine_tuning
        yield from remark("fine-tuning", provider=served.provider, words=words)


def _notes_on_draft(judged: Judged) -> Iterator[str]:
    """Yield notes on a draft: the memory that a draft takes, and a warning where text likely comes
    slower with the draft.
    """
    if not judged.workload.draft:
        return
    if judged.question.companions is not None:
        yield from remark("draft")
    speed = judged.speed
    if speed is None:
        return
    if speed.decode is None:
        return
    without_draft = speed.undrafted_tokens_per_second or 0
    drafted = speed.decode.likely
    if judged.fits and drafted < without_draft:
        step = judged.question.step
        yield from remark(
            "draft-slower",
            drafted=units.speed(drafted),
            alone=units.speed(without_draft),
            experts=step is not None and step.has_experts,
            split=judged.placement == "split",
        )


def _note_on_cache(judged: Judged, machine: Machine) -> Iterator[str]:
    """Yield notes on what the types of keys and values need of the runtime: a version, or a build
    that nobody publishes.
    """
    runtime = judged.question.runtime
    types = CacheTypes.of(judged.workload.kv_cache_type or "")
    if runtime is None:
        return
    if not judged.fits:
        return
    rules = []
    for type in dict.fromkeys((types.keys, types.values)):
        if type in runtime.cache_rules:
            rules.append(runtime.cache_rules[type])
    for rule in rules:
        if rule.note:
            yield rule.note
    if judged.placement == "host":
        return
    if gpu_maker(machine, runtime) not in runtime.gpus.cuda_attention:
        return
    for rule in rules:
        if rule.cuda_note:
            yield rule.cuda_note
    case = judged.question.case
    if types.differ and case is not None and case.why_flash_is_off is None:
        yield from remark(
            "cache-build",
            program=runtime.name,
            build=runtime.gpus.paired_cache_build,
            plain=types.values == "f16",
        )


def _note_on_purpose(question: Question) -> Iterator[str]:
    """Yield a note where it is not known whether the model can do what the purpose needs."""
    use = question.stated.wanted_use
    spec = question.spec
    if use is None:
        return
    if spec.has_use(use):
        return
    yield from remark(
        "no-use",
        model=spec.name,
        use=uses_table().use[use].label,
        purpose=question.stated.purpose,
    )


def _note_on_context(question: Question) -> Iterator[str]:
    """Yield a note where the length of the prompt sets the context."""
    if question.spec.modality not in GENERATING:
        return
    tokens = question.stated.tokens_with_prompt
    if tokens is not None and tokens == question.workload.context_tokens:
        yield from remark("context", tokens=tokens)


def _faults_of_own_specs(catalogue: Catalogue) -> Iterator[str]:
    """Yield a note on each of the user's first faulty files, with its first fault, and the number
    of the other files.
    """
    by_file: dict[str, list[Problem]] = {}
    for problem in catalogue.own_faults:
        by_file.setdefault(problem.file, []).append(problem)
    files = list(by_file)
    for file in files[:MAX_PROBLEMS]:
        first, *others = by_file[file]
        fault = first.message
        if first.key:
            fault = f"{first.key}: {fault}"
        yield from remark(
            "unread",
            file=file,
            fault=fault,
            more=len(others),
            several=len(others) > 1,
        )
    unlisted = len(files) - MAX_PROBLEMS
    if unlisted > 0:
        folder = dirname(files[0]) or "."
        yield from remark("unread-more", files=unlisted, folder=folder)


# ------------------------------------------------------------------ options without effect


def _has_no_weights(question: Question) -> bool:
    """Whether the weights are not published."""
    return question.spec.closed


def _writes_no_tokens(question: Question) -> bool:
    """Whether the model is asked for anything but tokens that it writes one by one."""
    spec = question.spec
    if spec.closed or spec.modality in GENERATING:
        return False
    return question.stated.task == "generate"


def _makes_one_at_a_time(question: Question) -> bool:
    """Whether the program makes one result after the other, however many users ask."""
    modality = question.spec.modality
    if not _writes_no_tokens(question):
        return False
    if modality != "image":
        return modality in ONE_AT_A_TIME
    if question.needs is None:
        return True
    # the activations of the decoder grow with the pictures made at once; the need in files of
    # stable-diffusion.cpp, which makes one, has none
    return all(term.name != "activations" for term in question.needs.terms)


def _has_no_context(question: Question) -> bool:
    """Whether the model has no context of tokens."""
    return not question.spec.reads_context


def _keeps_no_cache(question: Question) -> bool:
    """Whether the model keeps no KV cache in its program."""
    return question.runtime is not None and question.workload.kv_cache_type is None


class _WithoutEffect(Record):
    """Options without effect: the fields of a workload that state them, when they have none, and
    the key of the note that says why.
    """

    fields: tuple[str, ...]
    have_none: Callable[[Question], bool]
    note: str


_WITHOUT_EFFECT = (
    _WithoutEffect(
        fields=(
            "format",
            "runtime",
            "quantization",
            "kv_cache_type",
            "draft",
            "runtime_options",
        ),
        have_none=_has_no_weights,
        note="no-weights",
    ),
    _WithoutEffect(
        fields=("prompt_tokens", "max_wait_seconds", "min_tokens_per_second"),
        have_none=_writes_no_tokens,
        note="no-tokens",
    ),
    _WithoutEffect(
        fields=("parallel",), have_none=_makes_one_at_a_time, note="no-tokens"
    ),
    _WithoutEffect(
        fields=("context_tokens",), have_none=_has_no_context, note="no-context"
    ),
    _WithoutEffect(
        fields=("kv_cache_type",), have_none=_keeps_no_cache, note="no-cache"
    ),
)


def _options_without_effect(question: Question) -> Iterator[str]:
    """Yield a note for each kind of stated options without effect."""
    for kind in _WITHOUT_EFFECT:
        stated = filter(question.stated.states, kind.fields)
        options = [_OPTIONS.get(field, field) for field in stated]
        if options and kind.have_none(question):
            several = len(options) > 1
            model = question.spec.name
            yield from remark(kind.note, options=options, several=several, model=model)


# ------------------------------------------------------------------ accelerators and users


def note_on_idle_cards(judged: Judged, machine: Machine) -> Sentences:
    """The note on GPUs that stay idle; () where none does, and where RAM holds a part."""
    if not judged.fits:
        return ()
    if judged.placement != "accelerator":
        return ()
    number = len(machine.own_memory_cards)
    # the places that hold a part
    used = {term.where for term in judged.placed.on_cards.terms}
    idle = number - len(used)
    if idle <= 0:
        return ()
    return remark(
        "idle",
        idle=idle,
        number=number,
        several=idle > 1,
        one=len(used) == 1,
    )


def note_on_clock(machine: Machine, today: str) -> Sentences:
    """The note on a machine whose record has a date after today."""
    day = machine.read_on
    if day is None or day <= today:
        return ()
    return remark("future", day=day, today=today)


def note_on_sure_mode(judged: Judged, sure_mode: Judged | None) -> Sentences:
    """The note on the mode that surely fits, with both paces where they differ; () for none."""
    if sure_mode is None:
        return ()
    pace = likely_words(sure_mode.users_pace)
    usual = likely_words(judged.users_pace)
    usual_options = judged.workload.runtime_options
    options = sorted(sure_mode.workload.runtime_options.items() - usual_options.items())
    return remark(
        "surer",
        options=" ".join(f"--runtime-option {name}={value}" for name, value in options),
        pace=pace,
        usual=None if usual == pace else usual,
    )


def note_on_users(judged: Judged) -> Sentences:
    """The note on how many users are served at once while the others wait, and of how many memory
    holds the full context; () where that holds the full contexts of all.
    """
    speed = judged.speed
    if speed is None:
        return ()
    if speed.full_contexts is None:
        return ()
    workload = judged.workload
    users = workload.parallel
    at_once = users - (speed.waiting or 0)
    key = "users-wait"
    if at_once > speed.full_contexts:
        key = "requests-fit"
    runtime = judged.question.runtime
    return remark(
        key,
        full_contexts=speed.full_contexts,
        at_once=at_once,
        users=users,
        request_tokens=workload.request_tokens,
        program="" if runtime is None else runtime.name,
    )


# ------------------------------------------------------------------ how the name was understood


def note_on_tag(understood: Understood, judged: Judged) -> Sentences:
    """The note on the quantization that an Ollama tag loads, where the model does not run and no
    other sentence names the quantization.
    """
    if judged.fits:
        return ()
    if not understood.files.is_tag:
        return ()
    taken = judged.workload
    if understood.workload.quantization is not None:
        return ()
    if taken.format != "gguf":
        return ()
    return remark("tag", tag=bare_name(understood.typed_name), type=taken.quantization)


# ------------------------------------------------------------------ fine print


def fine_print(
    understood: Understood,
    judged: Judged,
    to_type: Steps,
) -> Iterator[str]:
    """Yield the notes that few people need, on the runtime, its files and the commands."""
    question = judged.question
    workload = judged.workload
    runtime = question.runtime
    if workload.task == "finetune":
        if not question.spec.closed:
            yield from remark("training")
    elif question.why_chosen is not None:
        yield question.why_chosen
    if runtime is not None and workload.task != "finetune":
        yield from _note_on_batches(judged, runtime)
        yield from _notes_on_loading(understood, question, runtime)
    yield from _note_on_conversion(question)
    if to_type.server:
        quoted = [f"`{line}`" for line in to_type.server]
        lines = " and, in another terminal, ".join(quoted)
        yield from remark("server", lines=lines, tokens=workload.context_tokens)


def _note_on_batches(judged: Judged, runtime: RuntimeSpec) -> Iterator[str]:
    """Yield a note on the batch size in which prompts are read, if the size is not the usual
    one.
    """
    tokens = None if judged.needs is None else judged.needs.batch_tokens
    if tokens is not None:
        yield from remark(
            "batches",
            tokens=tokens,
            program=runtime.name,
            told=bool(runtime.batches.beside_ram),
        )


def _notes_on_loading(
    understood: Understood,
    question: Question,
    runtime: RuntimeSpec,
) -> Iterator[str]:
    """Yield notes on the conversion that the runtime does while it loads the files, and on the
    packages that the conversion needs; nothing where files or a tag were named.
    """
    spec = question.spec
    workload = question.workload
    type = workload.quantization
    if type is None:
        return
    if question.loads_named_files:
        return
    if understood.tag:
        return
    program = runtime.name
    if need.takes_text_alone(spec, runtime):
        yield from remark("text-alone", runtime=program, model=spec.name)
    rule = runtime.rule_of(type)
    if need.loads_published(spec, runtime, workload.format, type):
        if rule is not None and rule.is_stored:
            yield from _note_on_made_weights(question, program, type)
        else:
            bits = _published_bits(spec)
            yield from remark(
                "made-while-loading", runtime=program, bits=bits, type=type
            )
    if rule is not None and rule.needs:
        yield from remark("packages", packages=rule.needs)


def _note_on_made_weights(question: Question, program: str, type: str) -> Sentences:
    """The note on weights that a script of the program makes, and stores beside the published
    ones.
    """
    written_bytes = 0 if question.needs is None else question.needs.written_bytes
    is_narrow = not need.is_in_plain_type(question.spec.architecture)
    return remark(
        "made-before-loading",
        runtime=program,
        type=type,
        written=written_bytes,
        narrow=is_narrow,
    )


def _published_bits(spec: ModelSpec) -> int:
    """The bits of one weight in the published files; 16 where the spec does not say."""
    if spec.architecture is None:
        return 16
    return 32 if spec.architecture.dtype == "float32" else 16


def _note_on_conversion(question: Question) -> Sentences:
    """The note on the owner of converted files, if the owner is not the publisher of the
    weights.
    """
    spec = question.spec
    format = question.workload.format
    if question.loads_named_files:
        return ()
    if format not in CONVERTED:
        return ()
    row = question.type_row
    repository = None if row is None else row.repository
    if repository is None or spec.repository is None:
        return ()
    owner = repository.partition("/")[0]
    publisher = spec.repository.partition("/")[0]
    if owner.casefold() == publisher.casefold():
        return ()
    return remark("conversion", owner=owner, publisher=publisher, repository=repository)
