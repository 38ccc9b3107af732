"""What is asked, with every default filled in: the question that `judging.judge` holds against a
machine.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import INCOMPLETE, ModelSpec
from ..catalogue.spec_values import DTYPES, GENERATING, PACKED
from ..core.errors import WorkloadError
from ..core.records import FrozenDict
from ..core.workload import (
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    Workload,
)
from ..machine.record import Machine
from ..needs.records import Needs
from .checks import fault
from .checks.model import reads_context
from .devices import gpu_maker
from .pace import (
    GATED_MATRICES,
    MEASURED_PROGRAM,
    SHORT_CHAT_TOKENS,
    Range,
    Step,
    constant,
)
from .pace.rates import shared_gpu_of
from .programs import (
    bytes_to_make,
    companions_of,
    loads_by_tag,
    local_copy,
    quantization_there,
    states_needs_alone,
    types_in_turn,
    with_program,
)
from .record import NO_FILES, NamedFiles, Question

# bytes of a parameter, by the type of the weights
_TYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def ask(
    spec: ModelSpec,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
    files: NamedFiles = NO_FILES,
) -> Question:
    """With every default filled in; of types that are tried in turn the one that is here already.
    Raises `WorkloadError` with everything that makes no sense.
    """
    question = _question(spec, workload, catalogue, machine, files)
    tried = question.in_turn if question.here is None and machine.models_present else ()
    for name in tried:
        try:
            other = _question(spec, workload.replace(quantization=name), catalogue, machine, files)
        except WorkloadError:
            # its size cannot be told
            continue
        if other.here is not None:
            return other.replace(stated=workload)
    return question


def _question(
    spec: ModelSpec, workload: Workload, catalogue: Catalogue, machine: Machine, files: NamedFiles
) -> Question:
    stated, prompt, context = workload, workload.prompt_tokens, workload.context_tokens
    if prompt and context and prompt >= context and spec.modality in GENERATING:
        least = workload.replace(context_tokens=None).tokens_with_prompt
        raise fault("prompt_tokens", "long-prompt", prompt=prompt, context=context, least=least)
    if not reads_context(spec):
        workload = workload.replace(context_tokens=None)
    question = Question(
        spec=spec,
        workload=workload,
        stated=stated,
        # who asks for a prompt beyond the default asks for its context, too
        context_asked=workload.context_tokens is not None
        or (workload.tokens_with_prompt or 0) > DEFAULT_CONTEXT_TOKENS,
        speed_stated=workload.min_tokens_per_second is not None,
        files=files,
        local_files=files.are_here,
    )
    if spec.architecture is not None:
        name, row = spec.architecture.row, need.row_of(spec.architecture)
        rows = catalogue.common("architectures")["architecture"]
        question = question.replace(
            row=row,
            trained_tokens=need.trained_tokens(spec.architecture, row),
            unfamiliar=None if name.removesuffix(INCOMPLETE) in rows else name,
        )
    question = with_program(question, catalogue)
    workload, runtime = question.workload, question.runtime
    if spec.closed:
        bare = dict.fromkeys(("runtime", "format", "quantization", "kv_cache_type"))
        return question.replace(runtime=None, workload=workload.replace(**bare, runtime_options={}))
    if runtime is not None:
        question = _with_type(question, runtime, catalogue)
        if question.why_not_loaded is not None:
            return question
    elif workload.quantization is not None:
        raise fault("quantization", "no-quantizations", model=spec.name)
    question = question.replace(workload=_filled_in(question))
    if workload.draft:
        question = question.replace(companions=companions_of(question, catalogue))
    question = _with_needs(question, machine)
    return _with_files(question, catalogue, machine)


def _with_type(question: Question, runtime: RuntimeSpec, catalogue: Catalogue) -> Question:
    """With the type of its files that the program loads, or why it loads none."""
    spec, files, workload = question.spec, question.files, question.workload
    workload, question = workload.replace(runtime=runtime.id), question.replace(store=runtime.store)
    why, remedy = _refusal(question, runtime)
    if why is not None:
        is_untold = why == need.why_untold(spec, runtime)
        question = question.replace(why_not_loaded=why, load_remedy=remedy, is_untold=is_untold)
        return question.replace(workload=workload)
    quantization, types = workload.quantization, tuple[str, ...]()
    if files.formats and not set(files.formats) & set(runtime.formats):
        # another program's files are made of the published ones, or downloaded; converters read
        # such a type, and write another
        question = question.replace(local_files=False)
        quantization = None if quantization in DTYPES else quantization
    format, usual = need.default_format_and_quantization(spec, runtime)
    # a spec that states needs alone may name no type of the weights
    if quantization is None and not states_needs_alone(spec):
        is_free = files == NO_FILES and workload.task == "generate"
        types = types_in_turn(spec, runtime, format, usual) if is_free else (usual,)
        quantization = types[0]
    elif quantization is not None and not question.local_files:
        # the type of files that are here is a fact; the needs say where its size is unknown
        quantization = quantization_there(spec, runtime, quantization, catalogue)
    if format == "gguf" and getattr(spec.files_of(format, quantization), "named", True):
        # the maker of a mix of types goes before a file of which the name alone is known
        by_maker = need.files_of_maker(spec, quantization or "")
        spec = spec if by_maker is None else spec.replace(files=(by_maker, *spec.files))
    workload = workload.replace(format=format, quantization=quantization)
    return question.replace(spec=spec, workload=workload, in_turn=types[1:])


def _refusal(question: Question, runtime: RuntimeSpec) -> tuple[str | None, str | None]:
    """Why the program does not run or train these files, and what to do where no other would."""
    spec, workload, formats = question.spec, question.workload, question.files.formats
    why = need.why_not_loaded(spec, runtime)
    if why is None and formats and not set(formats) & set(runtime.formats):
        is_packed = workload.quantization in PACKED and "gguf" in runtime.formats
        if is_packed or "mlx" in formats:
            kind, loaded = (" or ".join(each) for each in (formats, runtime.formats))
            kind += f", quantized as {workload.quantization}," if is_packed else ""
            why = f"The files are {kind}, but {runtime.name} loads {loaded}."
    remedy = None if spec.refused is None else "download the published file again"
    is_run = workload.task != "finetune"
    return (why, remedy) if is_run else _refused_training(question, runtime, why, remedy)


def _refused_training(
    question: Question, runtime: RuntimeSpec, why: str | None, remedy: str | None
) -> tuple[str | None, str | None]:
    spec, method = question.spec, question.workload.finetune_method or "lora"
    own_program = spec.runtimes if spec.architecture is None else ()
    is_of_others = bool(own_program) and runtime.id not in own_program
    is_not_counted = is_of_others or spec.modality not in runtime.modalities
    if runtime.trainer or (runtime.finetune_methods and is_not_counted and spec.refused is None):
        # the needs say that such training is not computed (`finetune_needs`)
        return None, None
    if not runtime.finetune_methods:
        return f"{runtime.name} does not train models.", remedy
    if why is not None:
        # no other program is judged for training
        return why, remedy or "train the original weights (a folder of safetensors files)"
    from ..needs.training import why_not_trained

    return why_not_trained(spec, method) or (None, remedy)


def _filled_in(question: Question) -> Workload:
    """The workload with the defaults of tokens, where these make sense."""
    spec, workload = question.spec, question.workload
    generates, is_layered = spec.modality in GENERATING, spec.architecture is not None
    if workload.context_tokens is None:
        # what holds the prompt and an answer, or what is usual
        tokens = workload.tokens_with_prompt if generates else None
        if is_layered and (generates or spec.modality == "embedding"):
            trained = question.trained_tokens or DEFAULT_CONTEXT_TOKENS
            tokens = max(min(DEFAULT_CONTEXT_TOKENS, trained), tokens or 0)
        # whether it can use so many is a question even where nothing is known of its layers
        elif not question.context_asked:
            tokens = None
        workload = workload.replace(context_tokens=tokens)
    if workload.task == "finetune":
        return workload.with_finetuning_defaults()
    if generates and is_layered and workload.kv_cache_type is None:
        workload = workload.replace(kv_cache_type="f16")
    if generates and workload.min_tokens_per_second is None:
        workload = workload.replace(min_tokens_per_second=DEFAULT_MIN_TOKENS_PER_SECOND)
    return workload


def needs_under(question: Question, workload: Workload, machine: Machine) -> Needs:
    """What the same question takes under another workload."""
    shared = shared_gpu_of(machine, is_used=True)
    return need.needs_of(
        question.spec,
        question.runtime,
        workload,
        # llama.cpp lays no weights out anew that a GPU reads which shares the RAM
        instruction_sets=() if shared else machine.instruction_sets,
        companions=question.companions,
        gpu_maker=shared.device.vendor if shared else "",
    )


def _with_needs(question: Question, machine: Machine) -> Question:
    spec, runtime, workload = question.spec, question.runtime, question.workload
    is_cache_asked = question.stated.kv_cache_type
    needs = needs_under(question, workload, machine)
    terms = needs.memory.terms if runtime is not None and needs.memory is not None else None
    keeps_no_cache = terms is not None and all(term.name != "kv_cache" for term in terms)
    if is_cache_asked:
        if keeps_no_cache and runtime is not None and not runtime.kv_cache_types:
            raise fault("kv_cache_type", "no-cache", model=spec.name, program=runtime.name)
        maker = gpu_maker(machine, runtime)
        refused = need.why_cache_type_refused(spec, workload, runtime, gpu_maker=maker)
        if refused is not None:
            raise fault("kv_cache_type", "cache-refused", model=spec.name, why=refused)
    if keeps_no_cache:
        # a program that has the option takes it, and it changes nothing
        workload = workload.replace(kv_cache_type=None)
        needs = needs_under(question, workload, machine) if is_cache_asked else needs
    question = question.replace(workload=workload, needs=needs)
    return question.replace(step=step_of(question))


def step_of(question: Question) -> Step | None:
    """One step of decoding, behind the prompt that is stated, or in a short chat where that is
    longer; it reads nothing where that is not known. None where a pace makes no sense.
    """
    spec, runtime, workload = question.spec, question.runtime, question.workload
    if spec.modality not in GENERATING or workload.task != "generate":
        return None
    architecture, prompt_tokens = spec.architecture, workload.prompt_tokens or 0
    chat_tokens = min(SHORT_CHAT_TOKENS, (workload.context_tokens or 0) / 2)
    step = Step(
        architecture=architecture,
        layers=architecture.layers if architecture else 0,
        has_experts=architecture is not None and architecture.has_experts,
        read_bytes=FrozenDict(),
        parameters=spec.parameters.active,
        expert_matrices=2 if question.row.gate == "none" else GATED_MATRICES,
        depth_tokens=max(chat_tokens, prompt_tokens),
        prompt_tokens=prompt_tokens,
        # a cache in blocks counts as one of 16 bits: to unpack it takes time too
        cached_number_bytes=1 if workload.kv_cache_type == "fp8" else 2,
    )
    if runtime is None:
        return step
    format, type = workload.format or "", workload.quantization or ""
    step = step.replace(
        read_bytes=FrozenDict(need.decode_bytes_by_type(spec, runtime, format, type)),
        replays=runtime.replays_graphs,
        foreign=None if runtime.library == MEASURED_PROGRAM else runtime.id,
    )
    return _launched_from_python(step, spec, runtime, type) if runtime.launches_layers else step


def _launched_from_python(step: Step, spec: ModelSpec, runtime: RuntimeSpec, type: str) -> Step:
    """With the layers that it launches; these, and what it reads, by the parameters where no layers
    are known.
    """
    architecture, parameters, figures = step.architecture, step.parameters, constant("step")
    rule = runtime.rule_of(type)
    if architecture is not None:
        fewest, usual, most = (100, 100, 100) if rule is None else rule.launched_percent
        # each expert is called in turn at the slow end
        experts = 0
        for part in architecture.feed_forward:
            if part.experts is not None:
                experts += len(part.layers) * part.experts
        slow = (step.layers + figures["expert"] * experts) * most / 100
        ends = Range(slow, step.layers * usual / 100, step.layers * fewest / 100)
        return step.replace(launched_layers=ends)
    if not parameters:
        return step
    layers = figures["layers_of_7b"] * (parameters / 7e9) ** figures["layers_grow"]
    name = (spec.needs.dtype if spec.needs is not None else None) or "bfloat16"
    read = step.read_bytes or FrozenDict({name: parameters * _TYPE_BYTES.get(name, 2)})
    return step.replace(launched_layers=Range(*figures["layers_ends"]) * layers, read_bytes=read)


def _with_files(question: Question, catalogue: Catalogue, machine: Machine) -> Question:
    needs, part, workload = question.needs, question.files.part, question.workload
    assert needs is not None
    alone = needs
    if question.companions is not None:
        alone = needs_under(question.replace(companions=None), workload, machine)
    download = alone.download_bytes or 0
    if part is not None and part.missing_bytes is None and download > part.size_bytes:
        part = part.replace(missing_bytes=download - part.size_bytes)
    if part is None and question.runtime is not None and not question.local_files:
        part = local_copy(question, alone, machine, catalogue)
    return question.replace(
        here=part,
        kept_by=_kept_by(question) if question.spec.gated else None,
        beside_bytes=max(0, (needs.download_bytes or 0) - download),
        making_bytes=0 if question.local_files or part else bytes_to_make(question, catalogue),
    )


def _kept_by(question: Question) -> str | None:
    """Who has the files beside the publisher with a gate."""
    spec, runtime, workload = question.spec, question.runtime, question.workload
    parts = None if runtime is None else runtime.parts.get(spec.id)
    if parts is not None:
        return parts.files[0].repository
    format, quantization = workload.format, workload.quantization
    repository = spec.repository_of(format, quantization) or ""
    if repository and repository.split("/")[0] != (spec.repository or "").split("/")[0]:
        return repository
    if runtime is not None and loads_by_tag(spec, runtime, workload):
        return f"{runtime.name}'s library"
    named = spec.files_of(format, quantization)
    if named is None or not named.named:
        return None
    file = named.names.get(quantization or "")
    return "Ollama's library" if file is None else f"whoever publishes {file}"
