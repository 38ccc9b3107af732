"""How fast a model goes where it is placed, the finding of that, and all that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...catalogue.spec import Architecture, RuntimeSpec
from ...core.workload import Workload
from ...machine.record import Machine
from ...needs.records import Needs
from .. import checks as check
from ..checks import Finding
from ..record import Question
from .speed import (
    WHOLLY,
    LaidOut,
    PaceRange,
    Speed,
    depth_of_chat,
    foreign_to_rules,
    left_in_ram,
    on_processor,
    shared_builds,
    shared_gpu,
    shared_gpu_of,
    shares_of,
    uses_shared_gpu,
    why_unpaced,
)
from .step import WITH_A_GATE, Step

# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")
# Whisper large, of 1.5 x 10^9 parameters, takes about as long on eight cores as what it hears; a
# voice of as many longer
_LARGE_TO_HEAR = 1_000_000_000


def _laid_out(
    question: Question, placed: Needs, machine: Machine, *, as_measured: bool = False
) -> LaidOut:
    """As `laid_out`; `as_measured`: as the program that was measured uses a GPU that shares the
    RAM.
    """
    way = laid_out(placed, machine, question.runtime, question.spec.architecture, question.workload)
    return way.replace(on_shared_gpu=shared_builds(None)) if as_measured else way


def laid_out(
    placed: Needs,
    machine: Machine,
    program: RuntimeSpec | None,
    architecture: Architecture | None,
    workload: Workload,
) -> LaidOut:
    """How that program computes what is placed so; None: one that shares layers out."""
    splits = program is None or program.splits_layers
    # how many layers there are, where only a part of them may be computed by a GPU
    layers = architecture.layers if splits and architecture is not None else None
    is_split = placed.placement == "split"
    on_shared, filled, in_ram_bytes = WHOLLY, 0.0, (0, 0.0)
    if any(card.unified for card in machine.accelerators or ()):
        from ..placement.shared_memory import share_on_shared

        on_shared = share_on_shared(placed, machine, layers)
    if is_split:
        in_ram_bytes = left_in_ram(placed, (workload.context_tokens or 0) * workload.parallel)
    if is_split and placed.offload is None:
        from ..placement.on_devices import share_if_filled

        filled = share_if_filled(placed, layers)
    return LaidOut(
        context_tokens=workload.context_tokens,
        on_shared_gpu=shared_builds(program),
        offloaded=shares_of(placed) if placed.placement != "host" else None,
        in_ram_bytes=in_ram_bytes,
        at_once=program is not None and bool(program.tensor_parallel_option),
        experts_apart=program is not None and program.leaves_experts,
        on_shared=on_shared,
        filled=filled,
    )


def pace_and_finding(
    question: Question, placed: Needs, machine: Machine
) -> tuple[Speed | None, Finding | None]:
    """How fast it would go, laid out like that, and the finding of it."""
    if question.spec.modality in check.MADE and not _is_counted(question, placed):
        on_processor = _is_on_processor(question, placed, machine)
        modality = question.spec.modality
        return None, check.made_check(modality, offload=placed.offload, on_processor=on_processor)
    if question.read_bytes is None:
        from .other_work import pace_of_work

        work = pace_of_work(question, placed, machine)
        if work is None:
            return None, None
        on_processor = _is_on_processor(question, placed, machine)
        parameters = question.spec.parameters.total or 0
        is_large = question.spec.modality == "speech" and parameters >= _LARGE_TO_HEAR
        return work, check.work_check(
            work,
            offload=placed.offload,
            on_processor=on_processor,
            is_large=is_large,
            dataset_tokens=question.workload.dataset_tokens,
        )
    pace, why = _predicted(question, placed, machine)
    return pace, finding_of_pace(question, placed, machine, pace, why)


def finding_of_pace(
    question: Question, placed: Needs, machine: Machine, pace: Speed | None, why: str
) -> Finding | None:
    """What is found of the pace of text; `why` there is none."""
    from ...machine.ram import what_to_state

    held = None if pace is None else pace.judged
    if pace is not None and pace.decode is None:
        why = pace.how
    elif pace is not None and held is None:
        drafted = " with a draft" if question.workload.draft is not None else ""
        sequences = f"{question.workload.parallel:,} sequences at once{drafted}"
        why = f"the pace of {sequences} cannot be estimated"
    in_ram = placed.placement != "accelerator"
    assumed = in_ram and any(machine.assumes(fact) for fact in _PACE_SETTING)
    return check.speed_check(
        held,
        question.workload,
        why,
        stated=question.speed_stated,
        each_of=question.each_of,
        assumed=assumed,
        measure=how_to_measure(machine) if in_ram else None,
        state=what_to_state(machine) if assumed else None,
    )


def _is_counted(question: Question, placed: Needs) -> bool:
    """Whether something tells how long that takes: the steps of the clip that the program makes, or
    of music.
    """
    from .pictures import denoising_of

    is_music = question.spec.sound is not None and placed.offload is None
    return is_music or denoising_of(question.spec, question.runtime) is not None


def _with_whole_answer(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Speed:
    """The pace with the time to the first token, and of all sequences together, where they were
    asked for and can be told.
    """
    workload = question.workload
    if _drafted_tokens(question):
        # a draft begins behind the first token; what it gains for several sequences nobody measured
        workload = workload.replace(parallel=1)
    if workload.prompt_tokens is None and workload.parallel == 1:
        return pace
    from .batch import with_whole_answer

    on_host = placed.placement == "host"
    shares_ram = on_host and uses_shared_gpu(machine, question.runtime)
    return with_whole_answer(
        pace,
        workload,
        _paces_by_depth(question, placed, machine),
        on_processor=on_host and not shares_ram,
        shares_ram=shares_ram,
        step=question.step,
        active_parameters=question.spec.parameters.active,
    )


def _paces_by_depth(question: Question, placed: Needs, machine: Machine) -> Callable[..., Speed]:
    """`_pace_at` of them, by the tokens in the context and its options."""
    return lambda depth_tokens, **how: _pace_at(question, placed, machine, depth_tokens, **how)


# types of safetensors files by their names in GGUF
_STORED_AS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


def _pace_at(
    question: Question,
    placed: Needs,
    machine: Machine,
    depth_tokens: float | None,
    *,
    as_measured: bool = False,
    reads_twice: bool = False,
) -> Speed:
    """The pace of one sequence with so many tokens in its context, None: of a short chat.
    `as_measured`: by the rules of the program that was measured, whichever is asked about;
    `reads_twice`: of a step that reads as much of the weights once more.
    """
    step = question.step
    if reads_twice:
        step = step.replace(read_bytes={name: 2 * size for name, size in step.read_bytes.items()})
    if as_measured:
        step = step.replace(
            read_bytes=_as_in_gguf(question), foreign=None, replays=False, launched_layers=None
        )
    if depth_tokens is not None:
        step = step.at(depth_tokens)
    return predict_step(
        machine, step, _laid_out(question, placed, machine, as_measured=as_measured)
    )


def _as_in_gguf(question: Question) -> dict[str, int]:
    """What a token reads by types that llama.cpp has. Weights that are packed otherwise count as in
    16 bits in programs that replay a step's graph, to which they unpack them before they multiply
    (Marlin's kernels of vLLM); a GPU that multiplies them as they are is faster.
    """
    from ...needs.quantization import BLOCKS

    read = {_STORED_AS.get(name, name): size for name, size in question.step.read_bytes.items()}
    active = question.spec.parameters.active or question.spec.parameters.total
    if active is None or not question.step.replays or read.keys() <= BLOCKS.keys():
        return read
    architecture = question.step.architecture
    if architecture is not None and not architecture.tied_embeddings:
        # one row of the table of words is looked up; a shared one is the output matrix too
        active -= (architecture.vocabulary or 0) * architecture.embedding_length
    return {"BF16": 2 * active}


def _drafted_tokens(question: Question) -> int:
    return 0 if question.companions is None else question.companions.drafted_tokens


def _with_draft(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Speed:
    """The pace with a draft, laid out as the model is."""
    from .batch import DENSE, experts_by_time
    from .drafting import with_draft

    draft = None
    if question.drafting is not None:
        way = _laid_out(question, placed, machine).replace(experts_apart=False)
        draft = predict_step(machine, question.drafting, way).decode
    on_processor = placed.placement == "host" and not uses_shared_gpu(machine, question.runtime)
    shared = shared_gpu_of(machine) if placed.placement == "host" else None
    at = _paces_by_depth(question, placed, machine)
    empty, active = at(0).decode, question.spec.parameters.active
    experts = DENSE if empty is None else experts_by_time(question.step, active, empty, at)
    drafted = with_draft(
        pace,
        empty,
        _drafted_tokens(question),
        draft,
        on_processor=on_processor,
        experts=experts,
        more_token=0.0 if shared is None or on_processor else shared.pace.more_token,
    )
    sequences = question.workload.parallel
    if sequences == 1:
        return drafted
    unknown = f"; the total of {sequences:,} sequences at once with a draft is not known"
    return drafted.replace(how=drafted.how + unknown)


def _is_on_processor(question: Question, placed: Needs, machine: Machine) -> bool:
    """Whether no GPU computes it, nor one that shares the RAM."""
    if question.runtime is not None and question.runtime.cpu_only:
        return True
    shares_ram = any(device.unified for device in machine.accelerators or ())
    return placed.placement == "host" and not shares_ram


def _predicted(question: Question, placed: Needs, machine: Machine) -> tuple[Speed | None, str]:
    """The pace; None with the reason where there is nothing to estimate it from."""
    why = "how many bytes each token reads is not known"
    if placed.memory is None and (
        machine.accelerators is None
        or any(card.unified is not True for card in machine.accelerators)
    ):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return None, "where it would run is not known, because its memory need is not"
    if question.read_bytes is None:
        return None, why
    pace = _pace_at(question, placed, machine, None)
    pace = _with_whole_answer(question, placed, machine, pace)
    if _drafted_tokens(question):
        pace = _with_draft(question, placed, machine, pace)
    if question.each_of > 1:
        pace = pace.replace(each_of=question.each_of)
    return pace, why


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, or measuring is no remedy."""
    if not can_be_measured(machine):
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


def can_be_measured(machine: Machine) -> bool:
    """Whether measuring may tell its memory bandwidth: that is not known, was not measured in vain,
    and nothing that was read rules it out, as an emulated processor or less than a core.
    """
    if machine.memory_bandwidth_bytes_per_second is not None or machine.measured_in_vain:
        return False
    if machine.planning or machine.emulated_on is not None:
        return False
    # an audit knows of machines of a kind why a fact is not known, and of each how much it is
    is_read = machine.unread_about("memory_available_bytes") is None
    return is_read and (machine.cpu_cores_usable or 0) >= 1


def faster_there(
    question: Question, there: Needs, here: Needs, machine: Machine
) -> tuple[PaceRange | None, bool]:
    """The pace laid out like the one, and whether that is, or may be, faster than the other."""
    other, own = (pace_and_finding(question, way, machine)[0] for way in (there, here))
    decode = other.decode if other else None
    if decode is None or own is None or own.decode is None:
        return decode, True
    return decode, decode.likely > own.decode.likely


_IN_RAM = LaidOut()


def predict(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    way: LaidOut = _IN_RAM,
    *,
    expert_matrices: int = WITH_A_GATE,
    depth_tokens: float | None = None,
    runtime: RuntimeSpec | None = None,
) -> Speed:
    """The pace with `depth_tokens` of the context filled; None: those of a short chat
    (`SHORT_CHAT_TOKENS`), or half of the context where that is less. `runtime` is the
    program, None the one that was measured.

    `read_bytes` are the weights read for one token by stored type (`needs.decode_bytes_by_type`);
    {} gives no range. `expert_matrices`: as in `Step`. Without an architecture the cost of layers
    and context is not known and the slow end is lower.
    """
    if runtime is not None:
        way = way.replace(on_shared_gpu=shared_builds(runtime))
    if depth_tokens is None:
        depth_tokens = depth_of_chat(way.context_tokens)
    step = Step(
        architecture=architecture,
        read_bytes=read_bytes,
        expert_matrices=expert_matrices,
        depth_tokens=depth_tokens,
        foreign=foreign_to_rules(runtime),
        replays=runtime is not None and runtime.replays_graphs,
    )
    return predict_step(machine, step, way)


def predict_step(machine: Machine, step: Step, way: LaidOut) -> Speed:
    """As `predict`, of that step."""
    reason = why_unpaced(machine, step.weights_bytes)
    if reason is not None:
        return Speed(how=reason)
    context = max(way.context_tokens or 0, step.depth_tokens)
    if way.offloaded:
        from .gpu_speed import tensor_parallel, with_accelerators

        if way.at_once and len(way.offloaded) > 1:
            return tensor_parallel(machine, step, context, way.offloaded)
        return with_accelerators(machine, step, context, way)
    shared = shared_gpu(machine, way.on_shared_gpu)
    if shared is not None and shared.used:
        from .gpu_speed import on_shared_gpu

        return on_shared_gpu(machine, shared, step, context, way.on_shared)
    return on_processor(machine, shared, step, context)
