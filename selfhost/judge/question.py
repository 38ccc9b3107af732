"""The question that `judging.judge` answers for a machine: the user's request, with every default
filled in.

`ask` takes the model, the request and the machine. In this order it finds the program and the
quantization (`stated`), the files that the program loads (`table`), the tokens and the KV cache,
the draft (`drafts`), the memory (`needs`), one step of decoding (`step`), and the files that lie on
the machine already (`downloaded`). It makes the `Question` once, at the end.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import DTYPES, PACKED
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.workload import (
    DEFAULT_CONTEXT_TOKENS,
    DEFAULT_MIN_TOKENS_PER_SECOND,
    Workload,
)
from ..machine.record import Machine
from ..needs.records import Needs
from ..needs.training import why_not_trained
from .checks import OptionFault, error_of
from .devices import gpu_maker
from .downloaded import WantedFiles
from .drafts import companions_of
from .pace.decode_step import step_of
from .pace.rates import shared_gpu_of
from .record import NO_FILES, DownloadedFiles, NamedFiles, Question, RuntimeRefusal
from .stated import Request, format_refused, request_of, type_not_had
from .table import USUAL, FileRow, ProgramTable, table_of


def ask(
    spec: ModelSpec,
    workload: Workload,
    catalogue: Catalogue,
    machine: Machine,
    files: NamedFiles = NO_FILES,
) -> Question:
    """The question with every default filled in.

    Where several types may be tried, the type whose files lie on the machine already is taken.
    Raises `WorkloadError` with everything that makes no sense.
    """
    question = _question(table_of(spec, catalogue), workload, machine, files)
    if question.here is not None or not machine.models_present:
        return question
    for name in question.in_turn:
        in_type = workload.replace(quantization=name)
        other = asked_again(question, in_type, catalogue, machine)
        # None: the size of the model in this type is not known
        if other is not None and other.here is not None:
            return other.replace(stated=workload)
    return question


def asked_again(
    question: Question,
    stated: Workload,
    catalogue: Catalogue,
    machine: Machine,
) -> Question | None:
    """The question about the same model and files under another stated workload, with every default
    found anew; None where the runtime refuses that workload.
    """
    try:
        return ask(question.spec, stated, catalogue, machine, question.files)
    except WorkloadError:
        return None


def _question(
    table: ProgramTable,
    stated: Workload,
    machine: Machine,
    files: NamedFiles,
) -> Question:
    """The question in the requested type, else in the model's usual type."""
    request = request_of(table, stated, files, machine)
    refusal = _refusal(request)
    if refusal is None and not table.spec.closed:
        return _question_of_files(request, _loaded(request), stated)
    return Question(
        spec=table.spec,
        workload=request.workload,
        stated=stated,
        asked=stated,
        files=files,
        runtime=request.runtime,
        loads_named_files=files.are_here,
        refusal=refusal,
    )


def _question_of_files(request: Request, loaded: _Loaded, stated: Workload) -> Question:
    """The question about the files that the program loads. Raises `WorkloadError` for a draft and
    for a type of KV cache that make no sense.
    """
    spec = request.spec
    runtime = request.runtime
    machine = request.machine
    catalogue = request.table.catalogue
    companions = companions_of(
        spec, runtime, loaded.workload.quantization, stated, catalogue
    )
    workload = _completed(loaded.workload, spec, companions)
    users = stated.parallel
    case = _case_on(machine, spec, runtime, workload, companions, users)
    needs = need.count(case)
    keeps_cache = _keeps_cache(runtime, needs)
    if runtime is not None and stated.kv_cache_type is not None:
        _refuse_cache_type(case, machine, keeps_cache=keeps_cache)
    if not keeps_cache:
        # without a KV cache its type changes nothing
        workload = workload.replace(kv_cache_type=None)
    alone = needs
    if companions is not None:
        alone = need.count(case.replace(companions=need.Companions(), draft=None))
    model_bytes = alone.download_bytes or 0
    here = _files_here(loaded, request, alone)
    made_of: tuple[int | None, ...] = ()
    is_here = here is not None or loaded.loads_named_files
    if loaded.row is not None and not is_here and stated.task == "generate":
        made_of = loaded.row.made_of(catalogue.runtime(USUAL.library))
    return Question(
        spec=spec,
        workload=workload,
        stated=stated,
        asked=stated,
        files=request.files,
        runtime=runtime,
        case=case,
        needs=needs,
        step=step_of(spec, runtime, workload),
        loads_named_files=loaded.loads_named_files,
        here=here,
        companions=companions,
        beside_bytes=max(0, (needs.download_bytes or 0) - model_bytes),
        made_of_bytes=made_of,
        in_turn=loaded.in_turn,
        usual_type=None if request.program is None else request.program.usual_type,
    )


# ------------------------------------------------------------------ whether the program loads it


def _refusal(request: Request) -> RuntimeRefusal | None:
    """The refusal of the runtime to run or train the files; None where the runtime runs or trains
    them, and where no runtime is known.
    """
    program = request.program
    if program is None:
        return None
    spec = program.spec
    runtime = program.runtime
    why = program.why_not_loaded or _why_not_in_format(request, runtime)
    remedy = None if spec.refused is None else "download the published file again"
    if request.workload.task == "finetune":
        return _refusal_to_train(request, runtime, why, remedy)
    if why is None:
        return None
    is_untold = why == need.why_untold(spec, runtime)
    return RuntimeRefusal(why=why, remedy=remedy, is_untold=is_untold)


def _why_not_in_format(request: Request, runtime: RuntimeSpec) -> str | None:
    """The sentence why named files are of no use to the runtime; None where they are, or where such
    files are made from the published weights.
    """
    formats = request.files.formats
    if runtime.loads_one_of(formats):
        return None
    kind = " or ".join(formats)
    quantization = request.workload.quantization
    if quantization in PACKED and "gguf" in runtime.formats:
        kind += f", quantized as {quantization},"
    elif "mlx" not in formats:
        return None
    return f"The files are {kind}, but {runtime.name} loads {' or '.join(runtime.formats)}."


def _refusal_to_train(
    request: Request,
    runtime: RuntimeSpec,
    why: str | None,
    remedy: str | None,
) -> RuntimeRefusal | None:
    """The refusal of the runtime to train the model; None where the runtime trains it, and where
    the needs say that such training is not computed (`finetune_needs`).

    `why` and `remedy` tell why the runtime does not load the model.
    """
    spec = request.spec
    if runtime.finetuning.trainer:
        return None
    if not runtime.finetuning.methods:
        why = f"{runtime.name} does not train models."
    elif spec.refused is None and _is_trained_elsewhere(spec, runtime):
        return None
    elif why is not None:
        # no other program can train: the remedy is the original weights
        remedy = remedy or "train the original weights (a folder of safetensors files)"
    else:
        method = request.workload.finetune_method or "lora"
        refused = why_not_trained(spec, method)
        if refused is None:
            return None
        why = refused.why
        remedy = refused.remedy
    return RuntimeRefusal(why=why, remedy=remedy)


def _is_trained_elsewhere(spec: ModelSpec, runtime: RuntimeSpec) -> bool:
    """Whether the runtime trains no model of the modality, or another runtime was made for the
    model.
    """
    if spec.modality not in runtime.modalities:
        return True
    if spec.architecture is not None:
        return False
    # for a model without known layers, the spec names the programs that were made for it
    return bool(spec.runtimes) and runtime.id not in spec.runtimes


# ------------------------------------------------------------------ the files that it loads


class _Loaded(Record):
    """The files that the program of a request loads.

    - `workload`: the request in the format and the type of the files.
    - `row`: the row of the files; None where no program is known.
    - `in_turn`: the types to try where the model does not run in the type of the row.
    - `loads_named_files`: the program loads files that the user named.
    """

    workload: Workload
    row: FileRow | None = None
    in_turn: tuple[str, ...] = ()
    loads_named_files: bool


def _loaded(request: Request) -> _Loaded:
    """The files in the requested type, else in the program's usual type. Raises `WorkloadError` for
    a type whose size cannot be told, and for a format in which the program does not load the model.
    """
    files = request.files
    program = request.program
    stated = request.workload
    loads_named_files = files.are_here
    if program is None:
        return _Loaded(workload=stated, loads_named_files=loads_named_files)
    if stated.format not in (None, program.format):
        raise error_of(format_refused(request, program))
    quantization = stated.quantization
    if not program.runtime.loads_one_of(files.formats):
        # the program cannot load the named files: the program's own files are downloaded, or made
        # of the published ones. The type of an original, such as bfloat16, is no type to convert to
        loads_named_files = False
        if quantization in DTYPES:
            quantization = None
    in_turn: tuple[str, ...] = ()
    if quantization is not None and not loads_named_files:
        # the type of files on this machine is a fact: where its size is unknown, the needs say so
        name = program.type_called(quantization)
        if name is None:
            raise error_of(type_not_had(request, program, quantization))
        quantization = name
    elif quantization is None and not program.spec.states_needs_only:
        quantization = program.usual_type
        if files == NO_FILES and stated.task == "generate":
            quantization, *others = program.types_in_turn
            in_turn = tuple(others)
    return _Loaded(
        workload=stated.with_known(format=program.format, quantization=quantization),
        row=program.type_row(quantization),
        in_turn=in_turn,
        loads_named_files=loads_named_files,
    )


# ------------------------------------------------------------------ tokens, cache and memory


def _completed(
    workload: Workload,
    spec: ModelSpec,
    companions: need.Companions | None,
) -> Workload:
    """The workload with the defaults that nobody stated: the draft, the tokens, the KV cache and
    the least pace.
    """
    changes = dict[str, str | int | float | None]()
    if companions is not None and companions.own_block:
        changes["draft"] = need.OWN_BLOCK
    if workload.context_tokens is None:
        changes["context_tokens"] = _usual_context(workload, spec)
    if workload.task == "finetune":
        return workload.with_known(**changes).with_finetuning_defaults()
    if spec.writes_text:
        if spec.architecture is not None and workload.kv_cache_type is None:
            changes["kv_cache_type"] = "f16"
        if workload.min_tokens_per_second is None:
            changes["min_tokens_per_second"] = DEFAULT_MIN_TOKENS_PER_SECOND
    return workload.with_known(**changes)


def _usual_context(workload: Workload, spec: ModelSpec) -> int | None:
    """The context length that holds the prompt and an answer, or the usual length; None where
    tokens make no sense.
    """
    tokens = 0
    if spec.writes_text:
        tokens = workload.tokens_with_prompt or 0
    elif spec.modality != "embedding":
        return None
    if spec.architecture is None:
        # without known layers it is still asked whether the model can use so many tokens
        return tokens if tokens > DEFAULT_CONTEXT_TOKENS else None
    usual = DEFAULT_CONTEXT_TOKENS
    trained = need.trained_tokens(spec.architecture)
    if trained:
        usual = min(usual, trained)
    return max(usual, tokens)


def _case_on(
    machine: Machine,
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    companions: need.Companions | None,
    users: int,
) -> need.Case:
    """The case from which the memory under the workload is counted, on a machine. `users`: those
    that were asked for, of whom the workload may have fewer.
    """
    shared = shared_gpu_of(machine, is_used=True)
    sets = machine.instruction_sets
    maker = ""
    if shared is not None:
        # llama.cpp repacks no weights that a GPU sharing the RAM reads
        sets = ()
        maker = shared.device.vendor
    return need.case_for(
        spec,
        runtime,
        workload,
        instruction_sets=sets,
        companions=companions,
        gpu_maker=maker,
        users=users,
    )


def recounted(
    question: Question,
    workload: Workload,
    machine: Machine,
) -> Question:
    """The same question under another workload: only the memory is counted again, and no default is
    found anew.
    """
    case = _case_on(
        machine,
        question.spec,
        question.runtime,
        workload,
        question.companions,
        question.stated.parallel,
    )
    return question.replace(workload=workload, case=case, needs=need.count(case))


def _keeps_cache(runtime: RuntimeSpec | None, needs: Needs) -> bool:
    """Whether the model keeps a KV cache; True where that is not known."""
    if runtime is None or needs.memory is None:
        return True
    return any(term.name == "kv_cache" for term in needs.memory.terms)


def _refuse_cache_type(case: need.Case, machine: Machine, *, keeps_cache: bool) -> None:
    """Raise `WorkloadError` where the runtime keeps no KV cache of the requested type."""
    runtime = case.runtime
    figures = {"model": case.spec.name, "program": runtime.name}
    kind = "no-cache"
    if keeps_cache or runtime.kv_cache_types:
        maker = gpu_maker(machine, runtime)
        why = need.why_cache_type_refused(case, gpu_maker=maker)
        if why is None:
            return
        figures["why"] = why
        kind = "cache-refused"
    raise error_of(OptionFault(option="kv_cache_type", kind=kind, figures=figures))


# ------------------------------------------------------------------ the files on the machine


def _files_here(
    loaded: _Loaded, request: Request, needs: Needs
) -> DownloadedFiles | None:
    """The files on the machine: the part that the user named, else the files that the program finds
    there. None for no files, and where the program loads files that the user named whole.

    `needs` are the needs of the model without its companions.
    """
    part = request.files.part
    if part is not None:
        return _with_missing_bytes(part, needs.download_bytes or 0)
    if loaded.loads_named_files or loaded.row is None:
        return None
    catalogue = request.table.catalogue
    wanted = WantedFiles(row=loaded.row, needs=needs, catalogue=catalogue)
    return wanted.copy_on(request.machine)


def _with_missing_bytes(part: DownloadedFiles, model_bytes: int) -> DownloadedFiles:
    """The named part of the files, with the bytes that are still missing."""
    if part.missing_bytes is not None or model_bytes <= part.size_bytes:
        return part
    return part.replace(missing_bytes=model_bytes - part.size_bytes)
