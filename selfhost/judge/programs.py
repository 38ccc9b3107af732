"""Which program and which quantization a question is judged in, by their canonical names, and what
to type instead of those that make no sense.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quantization_names import PACKED
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core.errors import Problem, WorkloadError
from ..core.records import Unread
from ..core.spelling import canonical, nearest
from ..core.workload import Workload
from ..needs.case import Case, encoder_of, why_no_encoders
from ..needs.file_formats import case_of
from ..needs.records import Term
from .checks import fault
from .files import can_quantize, states_needs_alone
from .record import Question

# the runtime taken when none is asked for: the first that loads the model
RUNTIMES_BY_MODALITY = {
    "text": ("llama.cpp", "transformers"),
    "vision": ("llama.cpp", "transformers"),
    "embedding": ("llama.cpp", "transformers"),
    "speech": ("whisper.cpp", "transformers"),
    "image": ("diffusers", "stable-diffusion.cpp"),
    "video": ("diffusers", "stable-diffusion.cpp"),
    "music": ("diffusers",),
}
# it loads the published weights of what embeds texts as its users do
_EMBEDDING_RUNTIME = "sentence-transformers"
# the one that trains, with peft
_FINETUNING_RUNTIME = "transformers"
# for a quantization that the usual runtime does not load: the first that takes it
PACKED_RUNTIMES = ("transformers", "vllm", "mlx")
# one stored type under the names that other formats have for it; last the other of 16 bits, as
# which programs load the published one (`--dtype half`), of the same size
_OTHER_NAMES = {
    "BF16": ("bfloat16", "bf16", "float16"), "bfloat16": ("BF16", "bf16", "float16"),
    "F16": ("float16", "fp16", "bfloat16"), "float16": ("F16", "fp16", "bfloat16"),
    "F32": ("float32",), "float32": ("F32",),
    "float8_e4m3": ("fp8",), "float8_e4m3_128x128": ("fp8",),
}  # fmt: skip
_FLOAT8 = {"fp8", "float8_e4m3", "float8_e4m3_128x128"}
# of the quantizations of a model that an error names
_NAMED = 8


def _programs_that(
    does: Callable[[RuntimeSpec], bool], spec: ModelSpec, catalogue: Catalogue
) -> str:
    """What to type for the programs that load the model and do that; empty without any."""
    every = map(catalogue.runtime, catalogue.runtime_ids())
    fitting = [at.id for at in every if does(at) and need.why_not_loaded(spec, at) is None]
    return f"use --runtime {' or '.join(fitting)}" if fitting else ""


def with_program(question: Question, catalogue: Catalogue) -> Question:
    """With license, program and quantization under canonical names, or a `WorkloadError`."""
    problems, spec = list[Problem](), question.spec
    try:
        question = question.replace(workload=with_canonical_license(question.workload))
    except WorkloadError as error:
        problems += error.problems
    for step in (_with_runtime, _with_quantization):
        try:
            question = step(question, catalogue)
        except WorkloadError as error:
            problems += error.problems
    if not spec.closed and question.workload.task == "generate":
        problems += _limits_exceeded(question, catalogue)
    if question.workload.audio_seconds is not None and spec.modality != "speech":
        problems += fault("audio_seconds", "no-recording", model=spec.name).problems
    if problems:
        raise WorkloadError(problems)
    return question


def with_canonical_license(workload: Workload) -> Workload:
    """The workload with its license expression as SPDX writes it; `WorkloadError` for none."""
    if workload.license is None:
        return workload
    from ..catalogue.openness import canonical_expression

    return workload.replace(license=canonical_expression(workload.license))


def _limits_exceeded(question: Question, catalogue: Catalogue) -> Iterator[Problem]:
    spec, workload, runtime = question.spec, question.workload, question.runtime
    type, wanted = workload.kv_cache_type, workload.parallel
    is_narrow = type not in (None, "f16")
    if runtime is None and workload.runtime_options:
        yield from fault("runtime_options", "no-runtime", model=spec.name).problems
    for option in workload.runtime_options:
        yield from () if runtime is None else _option_refused(question, runtime, option, catalogue)
    if runtime is not None and wanted > (runtime.most_sequences or wanted):
        unbound = [at for at in PACKED_RUNTIMES if not catalogue.runtime(at).most_sequences]
        others = _programs_that(lambda at: at.id in unbound, spec, catalogue)
        figures = {"most": runtime.most_sequences, "wanted": wanted, "others": others}
        yield from fault("parallel", "sequences", program=runtime.name, **figures).problems
    if is_narrow and runtime is not None and type not in runtime.kv_cache_types:
        own = "".join(f" or in {each}" for each in runtime.kv_cache_types)
        others = _programs_that(lambda at: type in at.kv_cache_types, spec, catalogue)
        figures = {"own": own, "type": type, "others": others}
        yield from fault("kv_cache_type", "cache-type", program=runtime.name, **figures).problems
    elif is_narrow and spec.needs is not None:
        yield from fault("kv_cache_type", "cache-in-sum", model=spec.name, type=type).problems


def _option_refused(
    question: Question, runtime: RuntimeSpec, name: str, catalogue: Catalogue
) -> tuple[Problem, ...]:
    names, figures = [*runtime.named_options], dict[str, Any](name=name, program=runtime.name)
    spec, workload = question.spec, question.workload
    if name not in names:
        every = map(catalogue.runtime, catalogue.runtime_ids())
        figures["having"] = [at.name for at in every if at.named_options]
        others = _programs_that(lambda at: name in at.named_options, spec, catalogue)
        guess = nearest(name, names)
        figures |= {"guess": guess, "others": others, "none": not (others or guess)}
        return fault("runtime_options", "option-unknown", known=names, **figures).problems
    rule, value = runtime.named_options[name], workload.runtime_options[name]
    if rule.changes == "sequences_sampled":
        rule = rule.replace(least=workload.parallel)
    why = _without_effect(case_of(spec, runtime, workload), rule.changes)
    if rule.takes(value) and not why:
        return ()
    figures |= {"least": f"{rule.least:g}", "most": f"{rule.most:g}", "ends": not rule.to}
    figures |= {"typed": value, "model": spec.name, why: True}
    key = "option-without-effect" if rule.takes(value) else "option-value"
    return fault("runtime_options", key, **figures).problems


def _without_effect(case: Case, changes: str) -> str:
    model, is_picture = case.spec.architecture, changes == "picture_tokens"
    if changes == "cpu_expert_layers" and model is not None and model.feed_forward:
        return "" if any(part.experts for part in model.feed_forward) else "dense"
    if (is_picture or changes == "projector") and not case.encoders:
        return "" if why_no_encoders(case.spec) and not is_picture else "blind"
    encoder = encoder_of(case.spec)
    is_known = encoder is not None and encoder.token_pixels
    return "" if is_known or not is_picture else "unmeasured"


def _with_runtime(question: Question, catalogue: Catalogue) -> Question:
    spec, workload, formats = question.spec, question.workload, question.files.formats
    if workload.runtime is not None:
        typed, ids = workload.runtime, catalogue.runtime_ids()
        wanted = typed.strip().lower()
        if wanted in ids:
            return question.replace(runtime=catalogue.runtime(wanted))
        things = catalogue.common_tables("things", "thing")
        thing_named, facts = things.get(canonical(wanted), ("", {}))
        # llama-server is llama.cpp, too
        guess = thing_named if thing_named in ids else nearest(wanted, ids)
        if not facts or guess == thing_named:
            raise fault("runtime", "runtime-unknown", typed=typed, runtimes=ids, guess=guess)
        # what to type in place of a model stands behind
        what = facts["answer"].partition(";")[0]
        others = [each for each in ids if spec.modality in catalogue.runtime(each).modalities]
        runtimes = facts.get("runs_with") or others
        raise fault("runtime", "runtime-other", typed=typed, what=what, runtimes=runtimes)
    if spec.closed or (states_needs_alone(spec) and not spec.runtimes):
        return question
    if workload.task == "finetune":
        return question.replace(runtime=catalogue.runtime(_FINETUNING_RUNTIME))
    if not formats and spec.quantized is not None:
        formats = (spec.quantized.format,)
    return question.replace(runtime=_first_that_loads(spec, catalogue, formats))


def _first_that_loads(
    spec: ModelSpec, catalogue: Catalogue, formats: tuple[str, ...]
) -> RuntimeSpec:
    """In one of the formats where there are any, else of its modality, else the first of all."""
    usual = RUNTIMES_BY_MODALITY[spec.modality]
    if "embedding" in (spec.uses or ()):
        type = need.default_format_and_quantization(spec, catalogue.runtime(usual[0]))[1]
        has_files = spec.library_tag or any(files.format == "gguf" for files in spec.files)
        if type in _OTHER_NAMES and not has_files:
            # the best would need a file that somebody has to make, no smaller than the published
            # weights: what loads these comes first
            usual = (_EMBEDDING_RUNTIME, *usual)
    own = dict.fromkeys((*spec.runtimes, *usual))
    first: RuntimeSpec | None = None
    # files in a format of their own go before what the modality usually runs in
    for name in dict.fromkeys((*own, *(PACKED_RUNTIMES if formats else ()))):
        runtime = catalogue.runtime(name)
        if need.why_not_loaded(spec, runtime) is None:
            if not formats or set(formats) & set(runtime.formats):
                return runtime
            first = first or (runtime if name in own else None)
    return first or catalogue.runtime(next(iter(own)))


def _runtime_in(
    spec: ModelSpec, quantization: str, usual: RuntimeSpec, catalogue: Catalogue
) -> RuntimeSpec:
    is_packed = quantization in PACKED and usual.rule_of(quantization) is None
    if not (spec.components or is_packed):
        return usual
    names = RUNTIMES_BY_MODALITY[spec.modality] if spec.components else PACKED_RUNTIMES
    for runtime in (usual, *map(catalogue.runtime, names)):
        is_taken = runtime.rule_of(quantization) is not None
        if spec.components:
            is_taken = quantization in need.quantizations_of(spec, runtime)
        if is_taken and (runtime is usual or need.why_not_loaded(spec, runtime) is None):
            return runtime
    return usual


def _with_quantization(question: Question, catalogue: Catalogue) -> Question:
    """Under its canonical name, and a program that takes it where none was asked for."""
    spec, runtime, workload = question.spec, question.runtime, question.workload
    typed = workload.quantization
    if typed is None:
        return question
    name = need.canonical_quantization(typed)
    if name is None and any(typed in files.bytes for files in spec.files):
        # a publisher's own mix has the name under which the spec lists it
        name = typed
    elif runtime is not None:
        name = runtime.quantization_called(typed) or name
    if name is None:
        every = need.EVERY_QUANTIZATION
        # the mixes of Unsloth are typed without their first letters, too
        guess = need.canonical_quantization(f"UD-{typed.strip()}") or _type_of_bits(typed, every)
        usual = ("Q8_0", "Q6_K", "Q4_K_M") if spec.modality in GENERATING else ()
        listed = dict.fromkeys([*(name for files in spec.files for name in files.bytes), *usual])
        figures = {"typed": typed, "guess": guess or nearest(typed, every), "model": spec.id}
        examples = [*listed][:_NAMED]
        raise fault("quantization", "quantization-unknown", **figures, examples=examples)
    if workload.runtime is None and runtime is not None:
        runtime = _runtime_in(spec, name, runtime, catalogue)
    return question.replace(workload=workload.replace(quantization=name), runtime=runtime)


def quantization_there(
    spec: ModelSpec, runtime: RuntimeSpec, quantization: str, catalogue: Catalogue
) -> str:
    """Its name in the program's files; `WorkloadError` where its size cannot be told."""
    format, own = need.default_format_and_quantization(spec, runtime)
    if {quantization, own} <= _FLOAT8:
        return own
    # the default may be asked for by name, too, even where its size is unknown
    listed = need.quantizations_of(spec, runtime)
    by_lower_name = {name.lower(): name for name in reversed((*listed, own))}
    for name in (quantization, *_OTHER_NAMES.get(quantization, ())):
        if name.lower() in by_lower_name:
            return by_lower_name[name.lower()]
        is_sized = format in ("gguf", "mlx") or runtime.rule_of(name) is not None
        # of listed parts the command fetches each by its name
        is_made = need.parts_of(spec, runtime) is None and can_quantize(spec, runtime, name)
        size = need.weights_bytes(spec, format, name) if is_sized and is_made else None
        if isinstance(size, Term):
            return name
    guess, why = _type_of_bits(quantization, listed), None
    unsized = need.weights_bytes(spec, format, quantization)
    if runtime.rule_of(quantization) and isinstance(unsized, Unread):
        why = unsized.reason
    raise fault(
        "quantization",
        "quantization-guess" if guess else "quantization-not-had",
        model=spec.name,
        quantization=quantization,
        program=runtime.name,
        why=why,
        guess=guess,
        listed=listed,
        others=[
            name
            for name in PACKED_RUNTIMES
            if name != runtime.id and _comes_in(spec, catalogue.runtime(name), quantization)
        ],
    )


def _type_of_bits(typed: str, names: Collection[str]) -> str | None:
    """GGUF's usual type with as many bits as `4bit`, `int8` or `Q5` says."""
    bits = re.fullmatch(r"(?:int|q|iq)?([2-8])(?:-?bits?|b)?", typed.strip().lower())
    usual = [f"Q{bits[1]}_{rest}" for rest in ("K_M", "K", "0")] if bits else []
    return next((name for name in usual if name in names), None)


def _comes_in(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    name = runtime.quantization_called(quantization) or quantization
    # MLX's files are made by its rules, which tell their sizes
    is_known = "mlx" in runtime.formats or runtime.rule_of(name) is not None
    is_loaded = is_known and need.why_not_loaded(spec, runtime) is None
    return is_loaded and can_quantize(spec, runtime, name)


def companions_of(question: Question, catalogue: Catalogue) -> need.Companions:
    """The model's own prediction block, or the draft model that was named."""
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if runtime is None:
        raise fault("draft", "no-runtime", model=spec.name)
    is_own = workload.draft == need.OWN_BLOCK
    kind = "mtp" if is_own else "draft"
    if kind not in runtime.companions:
        others = _programs_that(lambda at: kind in at.companions, spec, catalogue)
        raise fault("draft", "draft-program", program=runtime.name, own=is_own, others=others)
    if spec.modality not in GENERATING:
        raise fault("draft", "draft-no-text", model=spec.name)
    why = need.why_no_own_block(spec) if is_own else None
    if why is not None:
        raise fault("draft", "draft-own-block", model=spec.name, why=why)
    return need.Companions(own_block=True) if is_own else _named_draft(question, runtime, catalogue)


def _named_draft(question: Question, runtime: RuntimeSpec, catalogue: Catalogue) -> need.Companions:
    from ..catalogue.names import is_path
    from ..catalogue.searching import resolve

    spec, workload = question.spec, question.workload
    typed = workload.draft or ""
    if is_path(typed):
        from ..modelfiles import read_local

        local = read_local(typed)
        draft, quantization, is_here = local.spec, local.quantization, local.files_here
    else:
        named = resolve(typed, catalogue)
        draft, quantization, is_here = catalogue.spec(named.spec_id), named.quantization, False
    quantization = quantization or need.default_format_and_quantization(draft, runtime)[1]
    names = {"draft": draft.name, "model": spec.name}
    if draft.modality not in GENERATING:
        raise fault("draft", "draft-no-text", model=draft.name)
    why = "its weights are not published" if draft.closed else need.why_not_loaded(draft, runtime)
    if why is not None:
        raise fault("draft", "draft-not-loaded", draft=draft.name, why=why)
    apart = need.vocabularies_differ(spec, draft)
    if apart is not None:
        raise fault("draft", "draft-vocabulary", **names, own=apart[1], other=apart[0])
    if (draft.id, draft.origin, quantization) == (spec.id, spec.origin, workload.quantization):
        raise fault("draft", "draft-itself", draft=draft.name, quantization=quantization)
    drafting, checking = draft.parameters.total, spec.parameters.total
    # the same model in fewer bits, and what is of unknown size, may draft
    if drafting is not None and checking is not None and drafting > checking:
        raise fault("draft", "draft-larger", **names, drafting=drafting, checking=checking)
    return need.Companions(draft=draft, draft_quantization=quantization, draft_is_here=is_here)
