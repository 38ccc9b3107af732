"""How fast a model goes where it is placed, and the finding of that."""

from __future__ import annotations

from collections.abc import Mapping

from ...catalogue.spec import Architecture, RuntimeSpec
from ...core import units
from ...core.records import FrozenDict
from ...core.workload import Workload
from ...machine.record import Machine
from ...needs.records import Needs
from ..checks import Finding
from ..checks.speed import MADE, made_check, speed_check, work_check
from ..record import Question
from .engine import NOTHING, WITH_A_GATE, Step
from .memory_bandwidth import bandwidth
from .placed import predict_step, processor_seconds
from .processor import has_sockets
from .speed import (
    WHOLLY,
    LaidOut,
    Speed,
    depth_of_chat,
    foreign_to_rules,
    shared_gpu,
    shared_gpu_of,
    shares_of,
    uses_shared_gpu,
    weights_by_place,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .batch import Answered

# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")
# Whisper large, of 1.5 x 10^9 parameters, takes about as long on eight cores as what it hears; a
# voice of as many longer
_LARGE_TO_HEAR = 1_000_000_000
# types of safetensors files by their names in GGUF
_STORED_AS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


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
    on_shared, filled, in_ram_bytes = WHOLLY, 0.0, (0, 0.0)
    if any(card.unified for card in machine.accelerators or ()):
        from ..placement.shared_memory import share_on_shared

        on_shared = share_on_shared(placed, machine, layers)
    if placed.placement == "split":
        terms = placed.memory.terms if placed.memory else ()
        kept = [term for term in terms if (term.name, term.where) == ("kv_cache", "host")]
        tokens = max(1, (workload.context_tokens or 0) * workload.parallel)
        cached_token = sum(term.bytes for term in kept) / tokens
        in_ram_bytes = weights_by_place(placed).get("host", 0), cached_token
        from ..placement.on_devices import share_if_filled

        filled = share_if_filled(placed, layers)
    return LaidOut(
        runtime=program,
        context_tokens=workload.context_tokens,
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
    spec, runtime = question.spec, question.runtime
    has_gpu = any(device.unified for device in machine.accelerators or ())
    on_processor = (runtime is not None and runtime.cpu_only) or (
        placed.placement == "host" and not has_gpu
    )
    if spec.modality in MADE and not _is_counted(question, placed):
        found = made_check(spec.modality, offload=placed.offload, on_processor=on_processor)
        return None, found
    if question.read_bytes is not None:
        pace, why = _predicted(question, placed, machine)
        return pace, _finding_of_text(question, placed, machine, pace, why)
    work = _pace_of_work(question, placed, machine)
    if work is None:
        return None, None
    return work, work_check(
        work,
        offload=placed.offload,
        on_processor=on_processor,
        is_large=spec.modality == "speech" and (spec.parameters.total or 0) >= _LARGE_TO_HEAR,
        dataset_tokens=question.workload.dataset_tokens,
    )


def _pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed | None:
    """The pace of work that is not counted in generated tokens; None where nobody counts it. Where
    nothing tells it, `work` is None and `how` says why.
    """
    from .work import pace_of_documents, power_of, training_of

    spec, workload, runtime = question.spec, question.workload, question.runtime
    quantization = workload.quantization or ""
    power = power_of(machine, placed, runtime, workload.quantization)
    if workload.task == "finetune":
        return training_of(question, placed, machine, power)
    if spec.modality == "embedding":
        return pace_of_documents(machine, power, spec, quantization=quantization, runtime=runtime)
    if spec.modality in ("image", "video"):
        from .pictures import pace_of_pictures

        return pace_of_pictures(machine, power, spec, placed, quantization, runtime)
    if spec.modality not in ("speech", "music"):
        return None
    from .speech import pace_of_sound

    return pace_of_sound(
        machine,
        power,
        spec,
        placed,
        quantization=quantization,
        runtime=runtime,
        audio_seconds=workload.audio_seconds,
    )


def _is_counted(question: Question, placed: Needs) -> bool:
    """Whether something tells how long that takes: the steps of the clip that the program makes, or
    of music.
    """
    from .pictures import denoising_of

    is_music = question.spec.sound is not None and placed.offload is None
    return is_music or denoising_of(question.spec, question.runtime) is not None


def _finding_of_text(
    question: Question, placed: Needs, machine: Machine, pace: Speed | None, why: str
) -> Finding | None:
    """What is found of the pace of text; `why` there is none."""
    from ...machine.ram import what_to_state

    workload, held = question.workload, None if pace is None else pace.judged
    if pace is not None and pace.decode is None:
        why = pace.how
    elif pace is not None and held is None:
        drafted = " with a draft" if workload.draft is not None else ""
        why = f"the pace of {workload.parallel:,} sequences at once{drafted} cannot be estimated"
    in_ram = placed.placement != "accelerator"
    assumed = in_ram and any(machine.assumes(fact) for fact in _PACE_SETTING)
    return speed_check(
        held,
        workload,
        why,
        stated=question.speed_stated,
        each_of=question.each_of,
        assumed=assumed,
        measure=how_to_measure(machine) if in_ram else None,
        state=what_to_state(machine) if assumed else None,
    )


def _predicted(question: Question, placed: Needs, machine: Machine) -> tuple[Speed | None, str]:
    """The pace; None with the reason where there is nothing to estimate it from."""
    cards, workload = machine.accelerators, question.workload
    if placed.memory is None and (cards is None or any(card.unified is not True for card in cards)):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return None, "where it would run is not known, because its memory need is not"
    pace = _pace_at(question, placed, machine, None)
    drafted = 0 if question.companions is None else question.companions.drafted_tokens
    # a draft begins behind the first token; what it gains for several sequences nobody measured
    sequences = 1 if drafted else workload.parallel
    if (workload.prompt_tokens is not None or sequences > 1) and pace.decode is not None:
        pace = _with_whole_answer(question, placed, machine, pace, sequences)
    if drafted:
        pace = _with_draft(question, placed, machine, pace, drafted)
    if question.each_of > 1:
        pace = pace.replace(each_of=question.each_of)
    return pace, ""


def _answered(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Answered | None:
    """One sequence as what several take follows of it; None where the pace of prompts is not known:
    by the rules of the program that was measured, which stand for others.
    """
    from .batch import Answered, experts_of, host_seconds, kind_of_program

    step, prompt = question.step, pace.prompt
    empty = _pace_at(question, placed, machine, 0).decode
    if prompt is None:
        as_measured = _pace_at(question, placed, machine, None, as_measured=True)
        # what another program does with weights in RAM was not seen
        prompt = None if as_measured.prompt_copies is not None else as_measured.prompt
    if pace.decode is None or empty is None or prompt is None:
        return None
    twice = None
    if step.has_experts:
        twice = _pace_at(question, placed, machine, 0, reads_twice=True).decode
    experts = experts_of(step, question.spec.parameters.active, empty, twice)
    on_host = placed.placement == "host"
    shares_ram = on_host and uses_shared_gpu(machine, question.runtime)
    return Answered(
        single=pace.decode,
        empty=empty,
        prompt=prompt,
        experts=experts,
        host=host_seconds(step),
        program=kind_of_program(
            experts,
            on_processor=on_host and not shares_ram,
            replays=step.replays,
            shares_ram=shares_ram,
        ),
    )


def _with_whole_answer(
    question: Question, placed: Needs, machine: Machine, pace: Speed, sequences: int
) -> Speed:
    """The pace with the time to the first token, and of all sequences together, where they were
    asked for and can be told.
    """
    from .batch import with_first_token, with_total

    answering, tokens = _answered(question, placed, machine, pace), question.workload.prompt_tokens
    if answering is None:
        why = "; how fast it reads prompts is not known, so neither are the first token and a total"
        return pace.replace(how=pace.how + why)
    after = None if tokens is None else _pace_at(question, placed, machine, tokens).decode
    if tokens is not None and after is not None:
        active = question.spec.parameters.active
        pace = with_first_token(
            pace, answering.replace(single=after), question.step, active, tokens
        )
    return pace if sequences == 1 else with_total(pace, answering, sequences)


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
    step, architecture = question.step, question.spec.architecture
    way = laid_out(placed, machine, question.runtime, architecture, question.workload)
    if reads_twice:
        step = step.replace(read_bytes={name: 2 * size for name, size in step.read_bytes.items()})
    if as_measured:
        read = FrozenDict(_as_in_gguf(question))
        step = step.replace(read_bytes=read, foreign=None, replays=False, launched_layers=None)
        way = way.replace(runtime=None)
    if depth_tokens is not None:
        step = step.at(depth_tokens)
    return predict_step(machine, step, way)


def _as_in_gguf(question: Question) -> dict[str, int]:
    """What a token reads by types that llama.cpp has. Weights that are packed otherwise count as in
    16 bits in programs that replay a step's graph, to which they unpack them before they multiply
    (Marlin's kernels of vLLM); a GPU that multiplies them as they are is faster.
    """
    from ...needs.quantization import BLOCKS

    step, counts = question.step, question.spec.parameters
    read = {_STORED_AS.get(name, name): size for name, size in step.read_bytes.items()}
    active, architecture = counts.active or counts.total, step.architecture
    if active is None or not step.replays or read.keys() <= BLOCKS.keys():
        return read
    if architecture is not None and not architecture.tied_embeddings:
        # one row of the table of words is looked up; a shared one is the output matrix too
        active -= (architecture.vocabulary or 0) * architecture.embedding_length
    return {"BF16": 2 * active}


def _with_draft(
    question: Question, placed: Needs, machine: Machine, pace: Speed, drafted: int
) -> Speed:
    """The pace with a draft, laid out as the model is."""
    from .batch import with_draft

    draft, spec, workload = None, question.spec, question.workload
    if question.drafting is not None:
        way = laid_out(placed, machine, question.runtime, spec.architecture, workload)
        draft = predict_step(machine, question.drafting, way.replace(experts_apart=False)).decode
    answering, copies = _answered(question, placed, machine, pace), pace.prompt_copies
    if answering is not None:
        answering = answering.replace(host=NOTHING)
    if answering is not None and copies is not None:
        # a few tokens at once are no prompt where weights lie in RAM: none cross for them
        prompt = copies.in_place
        answering = (
            None if prompt is None else answering.replace(prompt=prompt, program="processor")
        )
    shares_ram = placed.placement == "host" and uses_shared_gpu(machine, question.runtime)
    shared = shared_gpu_of(machine) if shares_ram else None
    more_token = 0.0 if shared is None else shared.more_token
    drawn = with_draft(pace, answering, drafted, draft, more_token=more_token)
    if workload.parallel == 1:
        return drawn
    unknown = f"; the total of {workload.parallel:,} sequences at once with a draft is not known"
    return drawn.replace(how=drawn.how + unknown)


def predict(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    way: LaidOut | None = None,
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
    way = (way or LaidOut()).replace(runtime=runtime)
    step = Step(
        architecture=architecture,
        read_bytes=FrozenDict(read_bytes),
        expert_matrices=expert_matrices,
        depth_tokens=depth_of_chat(way.context_tokens) if depth_tokens is None else depth_tokens,
        foreign=foreign_to_rules(runtime),
        replays=runtime is not None and runtime.replays_graphs,
    )
    return predict_step(machine, step, way)


# ---------------------------------------------------------------- what to do about it


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, or measuring is no remedy: it
    was measured in vain, or what was read rules it out, as an emulated processor or less than a
    core.
    """
    if machine.memory_bandwidth_bytes_per_second is not None or machine.measured_in_vain:
        return None
    # an audit knows of machines of a kind why a fact is not known, and of each how much it is
    is_unread = machine.unread_about("memory_available_bytes") is not None
    is_less_than_a_core = (machine.cpu_cores_usable or 0) < 1
    if machine.planning or machine.emulated_on is not None or is_unread or is_less_than_a_core:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


def advice(
    machine: Machine,
    architecture: Architecture | None,
    read_bytes: Mapping[str, int],
    *,
    context_tokens: int | None,
    runtime: RuntimeSpec | None,
) -> tuple[str, ...]:
    """What measurements say would make it faster here; nothing where none applies."""
    lines = []
    if runtime is not None and runtime.numa_option and has_sockets(machine):
        lines.append(
            f"{runtime.numa_option} reads from all sockets: up to 1.8 times as fast, once the file"
            " was loaded with it (two EPYC 9175F, ggml-org/llama.cpp#11744)"
        )
    if architecture is None or not context_tokens or not sum(read_bytes.values()):
        return tuple(lines)
    empty = Step(architecture=architecture, read_bytes=FrozenDict(read_bytes))
    shared, memory = shared_gpu(machine, runtime), bandwidth(machine)
    steps = empty.at(context_tokens), empty
    if shared is not None and shared.used:
        full, least = (shared.gpu.seconds(step)[1] for step in steps)
    elif memory is not None:
        full, least = (processor_seconds(machine, memory, step)[1] for step in steps)
    else:
        return tuple(lines)
    if full > 2 * least:
        lines.append(
            f"a shorter --context keeps it fast: with all {units.tokens(context_tokens)} in use,"
            f" decoding takes {full / least:.1f} times as long as with few"
        )
    return tuple(lines)
