"""How fast a model goes where it is placed, and the finding of that."""

from __future__ import annotations

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...machine.record import Machine
from ...needs.records import Needs
from ..checks import Finding
from ..checks.speed import MADE, made_check, speed_check, work_check
from ..record import Question
from .engine import Step
from .placed import laid_out, predict
from .processor import is_guest, named_processor, sockets_of
from .speed import PaceRange, Speed, uses_shared_gpu

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .batch import Sequence

# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")
# Whisper large, of 1.5 x 10^9 parameters, takes about as long on eight cores as what it hears; a
# voice of as many longer
_LARGE_TO_HEAR = 1_000_000_000
# types of safetensors files by their names in GGUF
_STORED_AS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


def pace_and_finding(
    question: Question, placed: Needs, machine: Machine
) -> tuple[Speed | None, Finding | None]:
    """How fast it would go, laid out like that, and the finding of it."""
    spec, runtime = question.spec, question.runtime
    has_gpu = any(device.unified for device in machine.accelerators or ())
    on_processor = (runtime is not None and runtime.cpu_only) or (
        placed.placement == "host" and not has_gpu
    )
    if question.read_bytes is not None:
        pace, why = _pace_of_text(question, placed, machine)
        return pace, _finding_of_text(question, placed, machine, pace, why)
    if spec.modality in MADE and not _is_counted(question, placed):
        return None, made_check(spec.modality, offload=placed.offload, on_processor=on_processor)
    work = _pace_of_work(question, placed, machine)
    if work is None:
        return None, None
    is_large = spec.modality == "speech" and (spec.parameters.total or 0) >= _LARGE_TO_HEAR
    return work, work_check(
        work,
        offload=placed.offload,
        on_processor=on_processor,
        is_large=is_large,
        dataset_tokens=question.workload.dataset_tokens,
    )


# ---------------------------------------------------------------- other work than text


def _is_counted(question: Question, placed: Needs) -> bool:
    """Whether something tells how long that takes: the steps of the clip that the program makes, or
    of music.
    """
    from .pictures import denoising_of

    is_music = question.spec.sound is not None and placed.offload is None
    return is_music or denoising_of(question.spec, question.runtime) is not None


def _pace_of_work(question: Question, placed: Needs, machine: Machine) -> Speed | None:
    """The pace of work that is not counted in generated tokens; None where nobody counts it. Where
    nothing tells it, `work` is None and `how` says why.
    """
    from .work import Job, pace_of_documents, pace_of_training, power_of

    spec, workload, runtime = question.spec, question.workload, question.runtime
    power = power_of(machine, placed, runtime, workload.quantization)
    job = Job(machine=machine, power=power, spec=spec, placed=placed, runtime=runtime)
    job = job.replace(quantization=workload.quantization or "")
    if workload.task == "finetune":
        return pace_of_training(job, workload)
    if spec.modality == "embedding":
        return pace_of_documents(job)
    if spec.modality in ("image", "video"):
        from .pictures import pace_of_pictures

        return pace_of_pictures(job)
    if spec.modality not in ("speech", "music"):
        return None
    from .speech import pace_of_sound

    return pace_of_sound(job, workload.audio_seconds)


# ---------------------------------------------------------------- text


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


def _pace_of_text(question: Question, placed: Needs, machine: Machine) -> tuple[Speed | None, str]:
    """The pace; None with the reason where there is nothing to estimate it from."""
    cards, workload, companions = machine.accelerators, question.workload, question.companions
    if placed.memory is None and (cards is None or any(card.unified is not True for card in cards)):
        # an accelerator with memory of its own may hold what does not say how much it takes
        return None, "where it would run is not known, because its memory need is not"
    pace = _pace_at(question, placed, machine, question.step)
    is_drafted = companions is not None and companions.drafted_tokens > 0
    if pace.decode is not None and (workload.prompt_tokens is not None or workload.parallel > 1):
        pace = _with_whole_answer(question, placed, machine, pace, is_drafted=is_drafted)
    if is_drafted and companions is not None:
        from .batch import with_draft

        pace = with_draft(pace, is_own_block=companions.draft is None)
    return pace.replace(each_of=question.each_of), ""


def _pace_at(question: Question, placed: Needs, machine: Machine, step: Step) -> Speed:
    """The pace of a step of the question, where its model is placed so."""
    tokens, architecture = question.workload.context_tokens, question.spec.architecture
    way = laid_out(placed, machine, question.runtime, architecture, tokens)
    return predict(machine, step, way)


def _with_whole_answer(
    question: Question, placed: Needs, machine: Machine, pace: Speed, *, is_drafted: bool
) -> Speed:
    """The pace with the time to the first token, and of all sequences together, where they were
    asked for and can be told.
    """
    from . import batch

    of, workload = _sequence(question, placed, machine, pace), question.workload
    if of is None:
        why = "; how fast it reads prompts is not known, so neither are the first token and a total"
        return pace.replace(how=pace.how + why)
    prompt_tokens, copies = workload.prompt_tokens, pace.prompt_copies
    if prompt_tokens is not None:
        first = batch.first_token(of, prompt_tokens, pace)
        how = f"; a prompt of {units.tokens(prompt_tokens)} and one step until the first token"
        pace = pace.replace(first_token_seconds=first, how=pace.how + how)
    if workload.parallel == 1:
        return pace
    what = f"{workload.parallel:,} sequences at once"
    if is_drafted:
        return pace.replace(how=f"{pace.how}; the total of {what} with a draft is not known")
    if copies is not None:
        if copies.in_place is None:
            why = "is not known, because part of the weights lies in RAM"
            return pace.replace(how=f"{pace.how}; the total of {what} {why}")
        # a few tokens at once are no prompt where weights lie in RAM: none cross for them
        of = of.replace(prompt=copies.in_place, program="processor")
    how = (
        f"{pace.how}; of {what} an estimate: the weights are read once, and each sequence is"
        " computed, reads its context and is served"
    )
    return pace.replace(parallel_total=batch.parallel_total(of, workload.parallel), how=how)


def _sequence(question: Question, placed: Needs, machine: Machine, pace: Speed) -> Sequence | None:
    """One sequence as what several take follows of it; None where the pace of prompts is not known:
    by the rules of the program that was measured, which stand for others.
    """
    from .batch import Sequence, kind_of_program

    step = question.step
    read = {name: 2 * size for name, size in step.read_bytes.items()}
    empty, twice = (
        _pace_at(question, placed, machine, each.at(0)).decode
        for each in (step, step.replace(read_bytes=read))
    )
    prompt = pace.prompt or _prompt_as_measured(question, placed, machine)
    if pace.decode is None or empty is None or twice is None or prompt is None:
        return None
    on_host = placed.placement == "host"
    shares_ram = on_host and uses_shared_gpu(machine, question.runtime)
    on_processor = on_host and not shares_ram
    return Sequence(
        step=step,
        single=pace.decode.seconds,
        empty=empty.seconds,
        twice=twice.seconds,
        prompt=prompt,
        program=kind_of_program(step, on_processor=on_processor, shares_ram=shares_ram),
        active_parameters=question.spec.parameters.active,
    )


def _prompt_as_measured(question: Question, placed: Needs, machine: Machine) -> PaceRange | None:
    """How fast the program that was measured would read a prompt. Weights that are packed otherwise
    count as in 16 bits, to which programs that replay a step's graph unpack them before they
    multiply (Marlin's kernels of vLLM); a GPU that multiplies them as they are is faster.
    """
    from ...needs.quantization import BLOCKS

    step, counts = question.step, question.spec.parameters
    read = {_STORED_AS.get(name, name): size for name, size in step.read_bytes.items()}
    active, architecture = counts.active or counts.total, step.architecture
    if active is not None and step.replays and not read.keys() <= BLOCKS.keys():
        if architecture is not None and not architecture.tied_embeddings:
            # one row of the table of words is looked up; a shared one is the output matrix too
            active -= (architecture.vocabulary or 0) * architecture.embedding_length
        read = {"BF16": 2 * active}
    step = Step.of_program(None, architecture, read, expert_matrices=step.expert_matrices)
    tokens = question.workload.context_tokens
    way = laid_out(placed, machine, question.runtime, architecture, tokens)
    pace = predict(machine, step, way.replace(runtime=None))
    # what another program does with weights in RAM was not seen
    return None if pace.prompt_copies is not None else pace.prompt


# ---------------------------------------------------------------- what to do about it


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, or measuring is no remedy: it
    was measured in vain, or what was read rules it out, as an emulated processor or less than a
    core.
    """
    if machine.memory_bandwidth_bytes_per_second is not None or machine.measured_in_vain:
        return None
    is_unread = machine.unread_about("memory_available_bytes") is not None
    is_less_than_a_core = (machine.cpu_cores_usable or 0) < 1
    if machine.planning or machine.emulated_on is not None or is_unread or is_less_than_a_core:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


def advice(machine: Machine, runtime: RuntimeSpec | None) -> tuple[str, ...]:
    """What measurements say would make it faster here; nothing where none applies."""
    series = named_processor(machine)
    has_sockets = series is not None and not is_guest(machine) and sockets_of(machine, series) > 1
    if runtime is None or not runtime.numa_option or not has_sockets:
        return ()
    return (
        f"{runtime.numa_option} reads from all sockets: up to 1.8 times as fast, once the file"
        " was loaded with it (two EPYC 9175F, ggml-org/llama.cpp#11744)",
    )
