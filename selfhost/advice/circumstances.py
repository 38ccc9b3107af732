"""What a line to type depends on beside the question: what the program would do by itself, and the
options that hold it to what was judged.
"""

from __future__ import annotations

from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.errors import WorkloadError
from ..core.records import Record, remembered
from ..core.workload import Workload
from ..machine.chips import metal_share
from ..machine.record import Accelerator, Machine
from ..verdict.judging import judge
from ..verdict.question import architectures, ask
from ..verdict.record import Judged, Question
from ..verdict.speed import uses_shared_gpu

# of the need, from which share on what a server comes to keep is held down by the line
WORTH_BOUNDING = 0.1


class Circumstances(Record):
    """What a line depends on beside the question. `takes_longer`: the program takes a longer
    context by itself, with which it would not run alike; `whole`: the context is all that the model
    was trained for, to which the program cuts a longer one; `scaled`: the context is longer than
    the trained one; `batch_tokens`: those that an encoder reads at once; `checkpoints`: to how many
    copies of a conversation the server is held, None where it is not; `bounds` and `environment`:
    options and environment variables that hold a server to what is counted, or keep it running;
    `device`: the runtime's word for where the model is placed; `offload`: the way by which its
    parts come to an accelerator in turn, None where they do not; `leaves_shared_gpu`: a GPU that
    shares the RAM computes in what is judged, and this program leaves it unused unless told;
    `is_windows`: environment variables are set as PowerShell does.
    """

    takes_longer: bool = False
    whole: bool = False
    scaled: bool = False
    batch_tokens: int | None = None
    checkpoints: int | None = None
    bounds: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    device: str | None = None
    offload: str | None = None
    leaves_shared_gpu: bool = False
    is_windows: bool = False


def circumstances_of(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    machine: Machine,
    catalogue: Catalogue,
) -> Circumstances:
    longer = longer_context(runtime, question, judged, catalogue, machine)
    return Circumstances(
        takes_longer=longer is None and own_context(runtime, machine) is not None,
        whole=_is_whole(question, runtime),
        scaled=any(finding.code == "context-scaled" for finding in judged.findings),
        batch_tokens=need.batch_tokens(question.spec, question.workload, architectures(catalogue)),
        checkpoints=_checkpoints(question, judged, catalogue),
        bounds=(
            *_cache_bound(question, runtime, judged),
            *_lean(runtime, judged),
            *_unpacked(runtime, judged, machine),
        ),
        environment=_buffers_bound(question, runtime, judged, machine, catalogue),
        device=_device(runtime, judged, machine),
        offload=judged.needs.offload if judged.needs is not None else None,
        leaves_shared_gpu=_leaves_shared_gpu(question, runtime, machine),
        is_windows=machine.system == "windows",
    )


def _device(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> str | None:
    """As `device_of`."""
    # most programs have no such words
    if not runtime.devices:
        return None
    from .device_options import device_of

    return device_of(runtime, judged, machine)


def _is_whole(question: Question, runtime: RuntimeSpec) -> bool:
    """Whether a runtime with a context of its own comes to the judged one by itself: it cuts its
    own to what the model was trained for ("requested context size too large for model",
    llm/server.go of Ollama; published logs show num_ctx=49152 cut to n_ctx_train=40960).
    """
    usual, architecture = runtime.default_context_tokens, question.spec.architecture
    tokens = question.workload.context_tokens
    if usual is None or architecture is None or tokens is None or tokens > usual:
        return False
    return tokens == need.trained_tokens(architecture, question.rewriting)


class LongerContext(Record):
    """The context that a program takes by itself, and what the model takes in memory with it."""

    tokens: int
    memory_bytes: int


@remembered(most=4)
def longer_context(
    runtime: RuntimeSpec,
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
) -> LongerContext | None:
    """The context that the program takes by itself, where the model runs with it as it was judged:
    all of it lies where it lay. None elsewhere, and where a context was asked for.

    It takes no more than the model was trained for (`_is_whole`).
    """
    own_tokens = own_context(runtime, machine)
    workload, architecture = question.workload, question.spec.architecture
    is_usual = workload.context_tokens == runtime.default_context_tokens
    if own_tokens is None or architecture is None or question.context_asked or not is_usual:
        return None
    if tag_of(question.spec, workload) is None or workload.format not in runtime.formats:
        return None
    tokens = min(own_tokens, need.trained_tokens(architecture, question.rewriting) or own_tokens)
    longer = workload.replace(runtime=runtime.id, context_tokens=tokens)
    try:
        judged_longer = judge(ask(question.spec, longer, catalogue, machine), machine)
    except WorkloadError:
        return None
    memory = judged_longer.needs.memory if judged_longer.needs is not None else None
    if not judged_longer.fits or memory is None or _held(judged_longer) != _held(judged):
        return None
    return LongerContext(tokens=tokens, memory_bytes=memory.high_bytes)


def own_context(runtime: RuntimeSpec, machine: Machine) -> int | None:
    """Tokens that the program makes room for by itself on that machine where they are more than its
    usual ones; the most where the memory of a GPU is not known.
    """
    sizes = [_most_bytes(device, machine) for device in machine.accelerators or ()]
    gpu_bytes = inf if None in sizes else sum(size or 0 for size in sizes)
    fitting = (own.tokens for own in runtime.own_contexts if gpu_bytes >= own.gpu_bytes)
    return next(fitting, None)


def _most_bytes(device: Accelerator, machine: Machine) -> int | None:
    """What the GPU has at most, also of one that shares the RAM; None where not known."""
    ram_bytes = machine.memory_total_bytes
    if device.memory_total_bytes is not None or not device.unified or ram_bytes is None:
        return device.memory_total_bytes
    share = metal_share(ram_bytes)[1] if device.vendor == "apple" else 1
    return int(ram_bytes * share)


def _held(judged: Judged) -> tuple[str | None, set[str]]:
    """Where the model lies, and what was found of the memory that holds it."""
    placement = judged.needs.placement if judged.needs is not None else None
    held = {each.code for each in judged.findings if each.check in ("memory", "accelerator")}
    return placement, held


def tag_of(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file
    names.
    """
    if workload.format == "ggml":
        size = spec.id.removeprefix("whisper-")
        return (
            size
            if workload.quantization == "F16"
            else f"{size}-{(workload.quantization or '').lower()}"
        )
    return next((alias for alias in spec.aliases if ":" in alias), None)


def _checkpoints(question: Question, judged: Judged, catalogue: Catalogue) -> int | None:
    """How many copies of a conversation the need counts, where the server keeps many more."""
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None or "checkpoints" not in runtime.options:
        return None
    more_bytes = need.more_in_conversation(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    is_worth_it = more_bytes and more_bytes >= WORTH_BOUNDING * memory.high_bytes
    return runtime.context_checkpoints if is_worth_it else None


def _lean(runtime: RuntimeSpec, judged: Judged) -> tuple[str, ...]:
    """The option that has the program take less, where the model was judged with it."""
    is_lean = judged.needs is not None and judged.needs.is_lean and runtime.lean_option
    return (runtime.lean_option,) if is_lean else ()


def _unpacked(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """The option without which the program may crash on this processor, as the memory is told."""
    option = runtime.unpacked_option
    return (option,) if option and may_crash(runtime, judged, machine) else ()


def may_crash(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> bool:
    """Whether the program may crash there: not where accelerators hold all of the model."""
    placement, _ = _held(judged)
    return placement != "accelerator" and bool(runtime.crashing_sets(machine.instruction_sets))


def _cache_bound(question: Question, runtime: RuntimeSpec, judged: Judged) -> tuple[str, ...]:
    """The option without which a server keeps texts that idle users had embedded, as `size` prints
    it; () where it keeps none.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    service = runtime.service
    if service is None or memory is None or not _embeds(runtime, question.spec):
        return ()
    kept = any(term.name in ("kv_cache", "recurrent_state") for term in memory.terms)
    option = service.bounds.get("prompt_cache", "").replace("{mib}", "0")
    return (option,) if option and kept and question.workload.parallel > 1 else ()


def _buffers_bound(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    machine: Machine,
    catalogue: Catalogue,
) -> tuple[str, ...]:
    """What keeps glibc from holding buffers of shorter texts that were freed, as `size` prints it;
    () where they are few, and on systems with another allocator.
    """
    memory = judged.needs.memory if judged.needs is not None else None
    bound = runtime.service.bounds.get("freed_buffers") if runtime.service is not None else None
    if memory is None or not bound or machine.system not in (None, "linux"):
        return ()
    if not _embeds(runtime, question.spec):
        return ()
    freed_bytes = need.freed_outputs(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    is_worth_it = freed_bytes >= WORTH_BOUNDING * memory.high_bytes
    return (bound,) if is_worth_it else ()


def _embeds(runtime: RuntimeSpec, spec: ModelSpec) -> tuple[str, ...]:
    """A runtime that serves text unless told is told, and whether it shall embed or rank."""
    key = "reranking" if spec.uses and spec.uses[0] == "reranking" else "embedding"
    return (key,) if spec.modality == "embedding" and key in runtime.options else ()


def departures(runtime: RuntimeSpec, question: Question, circumstances: Circumstances) -> list[str]:
    """What is asked that the runtime would not do by itself, by the keys of its options."""
    workload = question.workload
    usual = runtime.default_context_tokens
    has_other_context = workload.context_tokens not in (None, usual)
    drafts_itself = workload.draft is not None and workload.draft == need.OWN_BLOCK
    by_key = {
        "kv_cache_type": workload.kv_cache_type not in (None, "f16"),
        "parallel": workload.parallel > 1,
        "whole_batch": circumstances.batch_tokens,
        "mtp": drafts_itself,
        "draft": workload.draft is not None and not drafts_itself,
        "adapter": workload.adapter,
        "context_tokens": usual is not None
        and not circumstances.whole
        and (
            has_other_context
            or (circumstances.takes_longer and workload.context_tokens is not None)
        ),
        "checkpoints": circumstances.checkpoints is not None and "checkpoints" in runtime.options,
        "yarn": circumstances.scaled,
        "shared_gpu": circumstances.leaves_shared_gpu and "shared_gpu" in runtime.settings,
    }
    asked_beside = [key for key, departs in by_key.items() if departs]
    return [*_embeds(runtime, question.spec), *asked_beside]


def _leaves_shared_gpu(question: Question, runtime: RuntimeSpec, machine: Machine) -> bool:
    """Whether a GPU that shares the RAM computes in the judged program and not in this one."""
    judged_with = question.runtime
    if judged_with is None or judged_with.id == runtime.id:
        return False
    return uses_shared_gpu(machine, judged_with) and not uses_shared_gpu(machine, runtime)
