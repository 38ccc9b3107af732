"""Which program and which quantization a question is judged in, by their canonical names, what to
type instead of those that make no sense, and which files can be had: those that lie on this machine
already, and those that anybody makes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from math import inf
from typing import Any

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import id_of, is_path
from ..catalogue.runtime import LIBRARY_RUNTIME, RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import GENERATING, PACKED
from ..core.errors import Problem, WorkloadError
from ..core.records import Unread
from ..core.units import canonical, nearest
from ..core.workload import Workload
from ..machine.record import FILES_BY_PATH, LM_STUDIO, Machine, PresentModel
from ..needs.case import Case, encoder_of, stored_type, why_no_encoders
from ..needs.file_formats import FOUR_BITS, SMALLEST_DEFAULT, case_of
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import Needs, Term
from .checks import fault
from .record import Here, Question

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
# Two conversions to one quantization differ by some per cent at most (importance matrix, token
# table, header): what is further off is another model. Where nothing says that a file is whole, it
# must be as large as the need, but for the header.
_SAME_MODEL_SHARE = 0.12
_SAME_SIZE_SHARE = 0.005


def _programs_that(
    does: Callable[[RuntimeSpec], bool], spec: ModelSpec, catalogue: Catalogue
) -> str:
    """What to type for the programs that load the model and do that; empty without any."""
    every = map(catalogue.runtime, catalogue.runtime_ids())
    fitting = [at.id for at in every if does(at) and need.why_not_loaded(spec, at) is None]
    return f"use --runtime {' or '.join(fitting)}" if fitting else ""


def with_program(question: Question, catalogue: Catalogue) -> Question:
    """With license, program and quantization under canonical names, or a `WorkloadError`."""
    if names_own_draft(question.spec, question.workload.draft):
        question = question.replace(workload=question.workload.replace(draft=need.OWN_BLOCK))
    problems, spec, stated = list[Problem](), question.spec, question.workload
    if stated.license is not None:
        from ..catalogue.openness import canonical_expression

        try:
            workload = stated.replace(license=canonical_expression(stated.license))
            question = question.replace(workload=workload)
        except WorkloadError as error:
            problems += error.problems
    steps = [_with_runtime]
    if stated.quantization is not None:
        steps.append(_with_quantization)
    for step in steps:
        try:
            question = step(question, catalogue)
        except WorkloadError as error:
            problems += error.problems
    is_plain = stated.parallel == 1 and not (stated.runtime_options or stated.kv_cache_type)
    if not (is_plain or spec.closed) and stated.task == "generate":
        problems += _limits_exceeded(question, catalogue)
    if question.workload.audio_seconds is not None and spec.modality != "speech":
        problems += fault("audio_seconds", "no-recording", model=spec.name).problems
    if problems:
        raise WorkloadError(problems)
    return question


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
        wanted = workload.runtime.strip().lower()
        with suppress(WorkloadError):
            return question.replace(runtime=catalogue.runtime(wanted))
        typed, ids = workload.runtime, catalogue.runtime_ids()
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
    typed = workload.quantization or ""
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
        is_made = runtime.parts.get(spec.id) is None and can_quantize(spec, runtime, name)
        size = need.weights_files(spec, format, name) if is_sized and is_made else None
        if isinstance(size, Term):
            return name
    guess, why = _type_of_bits(quantization, listed), None
    unsized = need.weights_files(spec, format, quantization)
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


def names_own_draft(spec: ModelSpec, typed: str | None) -> bool:
    """Whether that is the draft which the publisher of the model made for it: its repository, with
    or without the owner, or its GGUF file, as `mtp-gemma-4-31B-it-Q8_0.gguf`.
    """
    if spec.draft is None or not typed or is_path(typed):
        return False
    name = canonical(typed.rpartition("/")[2])
    own = canonical(spec.draft.name)
    file = canonical(f"mtp-{(spec.repository or spec.id).rpartition('/')[2]}")
    return name == own or name.startswith((f"{own}-", f"{own}:", file))


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


def listing_of(spec: ModelSpec, workload: Workload) -> PublishedFiles | None:
    """The published files of that type, whatever their publisher calls it; None where none are."""
    format, quantization = workload.format, workload.quantization
    stated = need.published(spec, format, quantization)
    return spec.files_of(format, quantization) or (stated[1] if stated is not None else None)


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a repository is known that has the file, or its own name was typed."""
    listing = listing_of(spec, workload)
    return listing is not None and (listing.named or listing.repository is not None)


def loads_by_tag(spec: ModelSpec, runtime: RuntimeSpec, workload: Workload) -> bool:
    """Whether the program's own library has it under a tag of the model, without a login."""
    tag = spec.library_tag
    if tag is None or workload.format != "gguf" or workload.task != "generate":
        return False
    if spec.modality not in runtime.modalities or "{tag}" not in runtime.command:
        return False
    default = need.default_format_and_quantization(spec, runtime)[1]
    return runtime.tags.get(tag, default) == workload.quantization


def states_needs_alone(spec: ModelSpec) -> bool:
    """The spec says what the model takes, and names no files."""
    names_files = spec.architecture is not None or spec.files or spec.components
    return spec.needs is not None and not names_files


def types_in_turn(
    spec: ModelSpec, runtime: RuntimeSpec, format: str, usual: str
) -> tuple[str, ...]:
    """The GGUF types that are tried in turn where none is asked for: of a model whose usual type
    nobody publishes the nearest published ones first; last `FOUR_BITS`, where its file can be had.
    """
    # vectors are compared with those that others made in the usual type
    is_any_right = spec.modality in GENERATING or (spec.uses or ())[:1] == ("reranking",)
    if format != "gguf" or usual not in GGUF_QUANTIZATIONS or not is_any_right:
        return (usual,)
    smaller = Workload(format=format, quantization=FOUR_BITS)
    last: tuple[str, ...] = (usual,)
    if usual == SMALLEST_DEFAULT and (
        is_published(spec, smaller) or can_be_made(spec, runtime, smaller)
    ):
        last = (usual, FOUR_BITS)
    files = [
        (each.repository, name.upper())
        for each in spec.files
        if each.format == format
        for name in each.quantizations
    ]
    if any(name.endswith(usual) for _, name in files):
        # a publisher's own mix is named after the type that it weighs as much as
        return last
    is_fetched = {name for repository, name in files if repository}.__contains__
    place, end = map(GGUF_QUANTIZATIONS.index, (usual, SMALLEST_DEFAULT))
    better = [*filter(is_fetched, GGUF_QUANTIZATIONS[:place])]
    return (*better[-1:], *filter(is_fetched, GGUF_QUANTIZATIONS[place : end + 1]), *last)


def can_be_made(spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload) -> bool:
    """Whether the runtime's converter makes that file of the publisher's weights."""
    conversion, stored = runtime.conversion if runtime is not None else None, spec.architecture
    quantization = workload.quantization or ""
    if conversion is None or workload.format != conversion.format:
        return False
    is_stated = stored is not None and stored.dtype is not None and not spec.quantized
    is_in_sixteen_bits = is_stated and need.from_sixteen_bits(stored)
    is_taken = conversion.takes_quantized or is_in_sixteen_bits
    if not is_taken or not (spec.repository or spec.lone_config):
        return False
    if quantization in conversion.types:
        return True
    is_narrow = stored_type(spec.architecture).startswith("mxfp4")
    return quantization in conversion.quantizations and not is_narrow


def can_quantize(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """False where the runtime would have to quantize weights that are narrow already."""
    rule = runtime.rule_of(quantization)
    # the size of components says whether they are quantized
    is_as_stored = rule is None or not rule.at_load or bool(spec.components)
    return is_as_stored or need.from_sixteen_bits(spec.architecture)


def bytes_to_make(question: Question, catalogue: Catalogue) -> int:
    """What lies on the disk beside a file while it is made; 0 where somebody has the file."""
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if workload.task != "generate" or is_published(spec, workload):
        return 0
    is_tagged = loads_by_tag(spec, catalogue.runtime(LIBRARY_RUNTIME), workload)
    if is_tagged or not can_be_made(spec, runtime, workload):
        return 0
    kinds = [("safetensors", stored_type(spec.architecture))]
    conversion = runtime.conversion if runtime is not None else None
    if conversion is not None and workload.quantization not in conversion.types:
        kinds.append((conversion.format, conversion.through))
    sizes = [need.weights_files(spec, *kind) for kind in kinds]
    return sum(max(1, size.bytes) if isinstance(size, Term) else 1 for size in sizes)


def local_copy(
    question: Question, needs: Needs, machine: Machine, catalogue: Catalogue
) -> Here | None:
    """The whole files of the question's type that lie where its runtime finds them."""
    place, present, copies = machine.disk_for(question.store), machine.models_present or (), []
    path = None if place is None else place.path
    beside = [disk.purpose for disk in machine.disks or () if disk.path == path]
    stores = question.store, *FILES_BY_PATH.get(question.store, ()), *beside
    # what turns pictures or sound into tokens, by repository
    projectors = {
        model.repository: model.path
        for model in present
        if "mmproj" in (model.file or "").lower() and model.complete is not False
    }
    for model in present:
        if model.store not in stores or not _has_format(model, question.workload):
            continue
        projector = projectors.get(model.repository)
        missing = _missing_bytes(model, question.workload, needs, has_projector=bool(projector))
        if missing is not None and _is_model(model, question, catalogue):
            copy = Here(
                path=model.path,
                size_bytes=model.size_bytes,
                missing_bytes=missing,
                store=model.store,
                repository=model.repository,
                tag=model.tag,
                by_path=model.store == LM_STUDIO,
                projector=projector if question.spec.modality == "vision" else None,
            )
            copies.append(copy)
    return min(copies, key=lambda copy: copy.missing_bytes or 0, default=None)


def _has_format(model: PresentModel, workload: Workload) -> bool:
    is_folder = model.file is None and model.tag is None
    if workload.format not in ("gguf", "ggml"):
        return is_folder
    stated, wanted = (
        (need.canonical_quantization(name or "") or name or "").upper()
        for name in (model.quantization, workload.quantization)
    )
    return not is_folder and bool(stated) and stated == wanted


def _missing_bytes(
    model: PresentModel, workload: Workload, needs: Needs, *, has_projector: bool
) -> int | None:
    """None where it is another model, or nothing says how much is missing."""
    wanted, size, is_gguf = needs.download_bytes, model.size_bytes, workload.format == "gguf"
    if model.complete is False:
        return max(0, (model.total_bytes or wanted or 0) - size) or None
    if wanted is None:
        return 0 if model.complete else None
    if workload.format == "ggml":
        # downloaded under its last name: only the published size tells that it is whole
        return 0 if size == wanted else None
    projector_bytes = 0
    if is_gguf and model.tag is None:
        projector_bytes = sum(term.bytes for term in needs.terms if term.name == "projector")
    share = _SAME_MODEL_SHARE if model.complete else _SAME_SIZE_SHARE
    most_bytes = wanted * (1 + _SAME_MODEL_SHARE) if is_gguf else inf
    if not (wanted - projector_bytes) * (1 - share) <= size <= most_bytes:
        return None
    return 0 if has_projector else projector_bytes


def _is_model(model: PresentModel, question: Question, catalogue: Catalogue) -> bool:
    spec, format, file = question.spec, question.workload.format, model.file or ""
    repository, tag = (model.repository or "").lower(), (model.tag or "").lower()
    if format == "ggml":
        size = file.removeprefix("ggml-").removesuffix(".bin")
        return spec.id.removeprefix("whisper-") == re.sub(r"-q\d_\d$", "", size)
    if format != "gguf":
        return bool(repository) and repository == _repository_of(question).lower()
    if "mmproj" in file.lower():
        return False
    repositories = (spec.repository, *(files.repository for files in spec.files))
    if {repository, tag} & {name.lower() for name in (*repositories, *spec.aliases) if name}:
        return True
    # names of models begin with their family's: others need no look-up
    family = re.split(r"[^a-z]", spec.id, maxsplit=1)[0]
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", file, flags=re.IGNORECASE)
    name = model.repository or model.tag or stem
    return family in name.lower() and id_of(name, catalogue) == spec.id


def _repository_of(question: Question) -> str:
    """Where the runtime would download the files from; empty where none are known."""
    runtime, workload = question.runtime, question.workload
    listing = listing_of(question.spec, workload)
    if listing is not None and listing.repository:
        return listing.repository
    rule = None if runtime is None else runtime.rule_of(workload.quantization)
    is_made = workload.format in ("mlx", "ctranslate2") or (rule and not rule.at_load)
    return "" if is_made else question.spec.repository or ""
