"""How fast a model goes where it is placed, and the finding of that; of text also the time to the
first token of an answer, the total of several sequences, and the pace with a draft.

A step of N sequences reads the weights once, computes N tokens, and reads the context of each.
Computing the tokens after the first takes as long as a prompt's, or a multiple of it, for the
programs compute a few tokens at once less well than hundreds.
"""

from __future__ import annotations

from math import exp, hypot, log

from ...catalogue.runtime import RuntimeSpec
from ...core import units
from ...core.records import FrozenDict
from ...machine.record import Machine
from ...needs.records import Needs
from ..checks import Finding
from ..checks.speed import MADE, made_check, speed_check, work_check
from ..record import Question
from .engine import Step, constant, ends_of
from .graphics import uses_shared_gpu
from .placed import laid_out, predict
from .speed import (
    NOTHING,
    PaceRange,
    PromptCopies,
    Range,
    Speed,
    added_apart,
    product,
    scaled,
)

# facts that the pace in RAM rests on
_PACE_SETTING = ("memory_bandwidth_bytes_per_second", "cpu_cores_usable")
# Whisper large, of 1.5 x 10^9 parameters, takes about as long on eight cores as what it hears; a
# voice of as many longer
_LARGE_TO_HEAR = 1_000_000_000
# types of safetensors files by their names in GGUF
_STORED_AS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
# the batch that those take who want prompts read faster (tests/truth/speed_split.json), and how
# many times as fast it must be for a sentence (assumed)
_LARGER_TOKENS, _WORTH_SAYING = 2048, 1.2


def pace_and_finding(
    question: Question, placed: Needs, machine: Machine
) -> tuple[Speed | None, Finding | None]:
    """How fast it would go, laid out like that, and the finding of it."""
    spec, runtime = question.spec, question.runtime
    if question.read_bytes is not None:
        pace, why = _pace_of_text(question, placed, machine)
        return pace, _finding_of_text(question, placed, machine, pace, why)
    from .work import Job, denoising_of, pace_of_work, power_of

    has_gpu = any(device.unified for device in machine.accelerators or ())
    on_processor = (runtime is not None and runtime.cpu_only) or (
        placed.placement == "host" and not has_gpu
    )
    is_music = spec.sound is not None and placed.offload is None
    if spec.modality in MADE and not is_music and denoising_of(spec, runtime) is None:
        return None, made_check(spec.modality, offload=placed.offload, on_processor=on_processor)
    quantization = question.workload.quantization or ""
    power = power_of(machine, placed, runtime, quantization)
    job = Job(
        machine=machine, power=power, spec=spec, placed=placed, runtime=runtime,
        quantization=quantization,
    )  # fmt: skip
    work = pace_of_work(job, question.workload)
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


# ---------------------------------------------------------------- text


def _finding_of_text(
    question: Question, placed: Needs, machine: Machine, pace: Speed | None, why: str
) -> Finding | None:
    """What is found of the pace of text; `why` there is none."""
    from ...machine.named import what_to_state

    workload, held = question.workload, None if pace is None else pace.judged
    if pace is not None and pace.decode is None:
        why = pace.how
    elif pace is not None and held is None:
        drafted = " with a draft" if workload.draft is not None else ""
        why = f"the pace of {workload.parallel:,} sequences at once{drafted} cannot be estimated"
    in_ram = placed.placement != "accelerator"
    assumed = in_ram and any(machine.assumes(fact) for fact in _PACE_SETTING)
    return speed_check(
        question,
        held,
        why,
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
    if pace.decode is not None and workload.prompt_tokens is not None:
        pace = _with_first_token(question, placed, machine, pace, workload.prompt_tokens)
    if pace.decode is not None and workload.parallel > 1:
        pace = _with_total(question, placed, machine, pace, is_drafted=is_drafted)
    if is_drafted and companions is not None:
        pace = _with_draft(pace, is_own_block=companions.draft is None)
    return pace.replace(each_of=question.each_of), ""


def _pace_at(question: Question, placed: Needs, machine: Machine, step: Step) -> Speed:
    """The pace of a step of the question, where its model is placed so."""
    tokens, architecture = question.workload.context_tokens, question.spec.architecture
    way = laid_out(placed, machine, question.runtime, architecture, tokens)
    return predict(machine, step, way)


def _with_first_token(
    question: Question, placed: Needs, machine: Machine, pace: Speed, tokens: int
) -> Speed:
    """With the time to the answer's first token: reading the prompt, and one step behind it; a part
    of a batch crosses to a GPU as slowly as a whole one.
    """
    prompt = pace.prompt or _prompt_as_measured(question, placed, machine, tokens)
    if prompt is None or pace.decode is None:
        why = "; how fast it reads prompts is not known, so the first token is neither"
        return pace.replace(how=pace.how + why)
    copies, crossing = pace.prompt_copies, NOTHING
    if copies is not None:
        prompt, crossing = copies.computed, copies.seconds_for(tokens)
    read = added_apart(scaled(prompt.seconds, tokens), crossing)
    slow, likely, fast = pace.decode.seconds
    first = PaceRange.taking((read[0] + slow, read[1] + likely, read[2] + fast))
    how = f"; a prompt of {units.tokens(tokens)} and one step until the first token"
    return pace.replace(first_token_seconds=first, how=pace.how + how)


def _prompt_as_measured(
    question: Question, placed: Needs, machine: Machine, prompt_tokens: int
) -> PaceRange | None:
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
    step = Step.of_program(
        None, architecture, read, expert_matrices=step.expert_matrices, prompt_tokens=prompt_tokens
    )
    tokens = question.workload.context_tokens
    way = laid_out(placed, machine, question.runtime, architecture, tokens)
    pace = predict(machine, step, way.replace(runtime=None))
    # what another program does with weights in RAM was not seen
    return None if pace.prompt_copies is not None else pace.prompt


# ---------------------------------------------------------------- several sequences


def _with_total(
    question: Question, placed: Needs, machine: Machine, pace: Speed, *, is_drafted: bool
) -> Speed:
    """With the pace of all sequences together, where that can be told."""
    number = question.workload.parallel
    what = f"; the total of {number:,} sequences at once"
    if is_drafted:
        return pace.replace(how=f"{pace.how}{what} with a draft is not known")
    step, copies = question.step, pace.prompt_copies
    prompt = _pace_at(question, placed, machine, step.replace(prompt_tokens=0)).prompt
    prompt = prompt or _prompt_as_measured(question, placed, machine, 0)
    on_host = placed.placement == "host"
    shares_ram = on_host and uses_shared_gpu(machine, question.runtime)
    program = _kind_of_program(step, on_processor=on_host and not shares_ram, on_ram=shares_ram)
    if copies is not None:
        # a few tokens at once are no prompt where weights lie in RAM: none cross for them
        prompt, program = copies.in_place, "processor"
    read = FrozenDict({name: 2 * size for name, size in step.read_bytes.items()})
    empty, twice = (
        _pace_at(question, placed, machine, each.at(0)).decode
        for each in (step, step.replace(read_bytes=read))
    )
    if prompt is None or empty is None or twice is None or pace.decode is None:
        return pace.replace(how=f"{pace.how}{what} is not known: how fast it reads prompts is not")
    single, reading = pace.decode.seconds, max(0.0, twice.seconds[1] - empty.seconds[1])
    context = max(0.0, single[1] - empty.seconds[1])
    share, growths = _growths(question, number)
    row = constant("token")[program]
    token = row["of_two"] * (number / 2) ** -row["falls"] / prompt.likely
    # what memory gives and what computing takes have nothing to do with each other
    more = hypot(log(row["more"]), log(prompt.likely / prompt.low))
    less = hypot(log(row["less"]), log(prompt.high / prompt.likely))
    ends = []
    for each, beside, growth in zip(
        (token * exp(more), token, token * exp(-less)), _served_seconds(step), growths, strict=True
    ):
        # a sequence more never costs more than a step of its own: it can be decoded after others
        next_one = max(0.0, min(each + beside + context, single[1] - share * reading))
        grown = share * reading * (growth - 1)
        ends.append(number / (single[1] + (number - 1) * next_one + grown))
    slow, likely, fast = ends
    away = hypot(log(single[0] / single[1]), log(likely / min(slow, likely)))
    beyond = hypot(log(single[1] / single[2]), log(max(fast, likely) / likely))
    low = min(likely, max(1 / single[0], likely * exp(-away)))
    how = (
        f"{pace.how}; of {number:,} sequences at once an estimate: the weights are read once, and"
        " each sequence is computed, reads its context and is served"
    )
    total = PaceRange(low=low, likely=likely, high=likely * exp(beyond))
    return pace.replace(parallel_total=total, how=how)


def _kind_of_program(step: Step, *, on_processor: bool, on_ram: bool) -> str:
    """The row of `token` that tells what a token of a batch costs. On chips that share the RAM
    dense models were as slow as in llama.cpp, whatever the program.
    """
    if on_processor:
        return "processor"
    if step.has_experts:
        return "graph_experts" if step.replays else "gpu_experts"
    return "graph" if step.replays and not on_ram else "gpu"


def _growths(question: Question, number: int) -> tuple[float, Range]:
    """Of the weights that a token reads the share that are experts', and how many times as much of
    these is read for so many tokens: each chooses its own, as if by chance among those that texts
    prefer.
    """
    from ..placement.experts import expert_parameters

    step, active = question.step, question.spec.parameters.active
    architecture = step.architecture
    if architecture is None or not active or not step.has_experts:
        return 0.0, (1.0, 1.0, 1.0)
    _, met, _ = expert_parameters(architecture, step.expert_matrices)
    largest = max(architecture.feed_forward, key=lambda group: group.experts or 0)
    used, experts = largest.used or 1, largest.experts or 1
    growths = []
    for preferred in ends_of("batch", "preferred"):
        chosen = min(1.0, used / (experts * preferred))
        growths.append((1 - (1 - chosen) ** number) / chosen)
    return min(1.0, met / active), (growths[0], growths[1], growths[2])


def _served_seconds(step: Step) -> Range:
    """What the program takes for each sequence beside the model; nothing where it was not seen."""
    if step.replays:
        return ends_of("batch", "sequence_seconds")
    if step.foreign is not None or step.architecture is None:
        return NOTHING
    return scaled(ends_of("batch", "choice_seconds"), step.architecture.vocabulary or 0)


def _with_draft(alone: Speed, *, is_own_block: bool) -> Speed:
    """The pace of a model with tokens proposed for each step; `alone` without them. A full context
    gains as much.
    """
    if alone.decode is None:
        return alone
    gain = ends_of("draft", "own_block" if is_own_block else "draft_model")
    full = alone.full_context_tokens_per_second
    source = "43 published runs on GPUs" if is_own_block else "a guess around published runs"
    return alone.replace(
        decode=PaceRange.of(product(alone.decode.ends, gain)),
        how=(
            f"{alone.how}; with a draft {gain[0]:g} to {gain[2]:g} times as fast ({source}): code"
            " gains more, free text less"
        ),
        full_context_tokens_per_second=full and full * gain[1],
        undrafted_tokens_per_second=alone.decode.likely,
    )


# ---------------------------------------------------------------- what to do about it


def how_to_measure(machine: Machine) -> str | None:
    """How to measure the memory bandwidth; None where it is known, or measuring is no remedy: it
    was measured in vain, or what was read rules it out, as less than a core.
    """
    if machine.memory_bandwidth_bytes_per_second is not None or machine.measured_in_vain:
        return None
    is_unread = machine.memory_available_bytes is None
    is_less_than_a_core = (machine.cpu_cores_usable or 0) < 1
    if machine.planning or is_unread or is_less_than_a_core:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


def faster_in_batches(copies: PromptCopies, runtime: RuntimeSpec) -> tuple[str, ...]:
    """What larger batches gain of a long prompt, by the option of that program; nothing where it
    has none, or where that gains little.
    """
    times = copies.replace(batch_tokens=_LARGER_TOKENS).pace.likely / copies.pace.likely
    if not runtime.batch_option or times < _WORTH_SAYING:
        return ()
    option = runtime.batch_option.format(batch_tokens=_LARGER_TOKENS)
    return (
        f"{option} reads long prompts about {times:.1f} times as fast, for more GPU memory: weights"
        f" in RAM cross to the GPU for each {units.tokens(_LARGER_TOKENS)}, not for each"
        f" {units.tokens(copies.batch_tokens)}",
    )
