"""How far one could go with what fits: the longest context, the best quantization, the most
sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import quality_of
from ..catalogue.spec import GENERATING
from ..core.records import Unread, remembered
from ..core.workload import READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Machine
from ..needs.records import Needs
from ..verdict.devices import places
from ..verdict.findings import Finding, disk_check, given_bytes
from ..verdict.findings.speed import is_too_slow
from ..verdict.judging import files_in_memory, judge, place, smaller_caches
from ..verdict.present import here
from ..verdict.question import architectures, ask, needs_under
from ..verdict.record import Judged, Question, Room

SHORTEST_CONTEXT_TOKENS = 1024
# below every type: the smallest, IQ1_S, stores 256 parameters in 50 bytes (llama.cpp
# ggml/src/ggml-common.h)
LEAST_BYTES_PER_PARAMETER = 0.18
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, "split": 1, "accelerator": 2}
# of what fits once other programs are closed
_NOT_NOW = ("memory-not-now", "accelerator-not-now")
# terms of which every sequence has its own
_OF_EACH_SEQUENCE = ("kv_cache", "recurrent_state")
# nobody serves more at once from one machine, and the search needs an end
MOST_PARALLEL = 4096


def room(
    question: Question,
    judged: Judged,
    machine: Machine,
    catalogue: Catalogue,
    *,
    useful_alone: bool = False,
) -> Room | None:
    """The longest context, the best quantization and the most sequences that fit, each with
    everything else as judged. `useful_alone`: the most sequences are None where already one more
    makes each too slow, which takes a third of the time to find out.
    """
    runs = judged if judged.fits else None
    if question.needs is None or question.runtime is None:
        return None
    longest = longest_context(question, runs, machine, catalogue)
    best = _best_quantization(question, runs, machine, catalogue)
    most = _most_parallel(question, runs, machine, catalogue, useful_alone=useful_alone)
    furthest: dict[str, tuple[str, int | str]] = {
        name: (key, value)
        for name, key, value in (
            ("longest_context_tokens", "context_tokens", longest),
            ("best_quantization", "quantization", best),
            ("most_parallel", "parallel", most),
        )
        if value is not None
    }
    not_now = [
        name
        for name, change in furthest.items()
        if _takes_more_than_free(question, runs, *change, machine, catalogue)
    ]
    too_slow = [
        name
        for name, change in furthest.items()
        if runs is not None and _is_too_slow(question, runs, *change, machine, catalogue)
    ]
    at_pace = most
    if runs is None:
        at_pace = None if is_too_slow(judged, question.workload.min_tokens_per_second) else most
    elif most is not None and "most_parallel" in too_slow:
        at_pace = _parallel_at_pace(question, runs, most, machine, catalogue)
    # fewer take less: what all of them leave free need not be asked for
    if at_pace is not None and "most_parallel" in not_now:
        fewer = _takes_more_than_free(question, runs, "parallel", at_pace, machine, catalogue)
        not_now += ["parallel_at_pace"] * fewer
    return Room(
        longest_context_tokens=longest,
        best_quantization=best,
        most_parallel=most,
        parallel_at_pace=at_pace,
        not_now=tuple(not_now),
        too_slow=tuple(too_slow),
        longer_with_cache_type=_smaller_cache(question, longest, machine),
        useful_tokens_per_second=_useful_pace(question) if _grows(question) else None,
    )


def _takes_more_than_free(
    question: Question,
    runs: Judged | None,
    key: str,
    value: int | str,
    machine: Machine,
    catalogue: Catalogue,
) -> bool:
    """With that, other programs would have to be closed."""
    held = _held_under(question, runs, _with(question, key, value), machine, catalogue)
    return any(finding.code in _NOT_NOW for finding in held or ())


# of one sequence more it is asked twice
@remembered(most=16)
def _is_too_slow(
    question: Question,
    runs: Judged,
    key: str,
    value: int | str,
    machine: Machine,
    catalogue: Catalogue,
) -> bool:
    """With that it is likely slower than is wanted, or than one reads where nothing was stated; a
    longer context only where it leaves less of the model on accelerators, or it is below what is
    wanted already, since a pace is told for a short chat.
    """
    wanted = question.workload.min_tokens_per_second
    if is_too_slow(runs, wanted):
        return True
    of_context = key == "context_tokens"
    moves_layers = runs.needs is not None and runs.needs.placement == "split"
    if getattr(question.workload, key) == value or (of_context and not moves_layers):
        return False
    workload = question.workload.replace(**{key: value})
    changed = question.replace(workload=workload)
    if key == "quantization":
        changed = ask(question.spec, workload, catalogue, machine)
    elif machine.accelerators != ():
        # what it takes decides what lies on them; the pace in RAM rests on nothing of it
        changed = changed.replace(needs=needs_under(question, workload, catalogue, machine))
    usable = wanted if of_context else _useful_pace(question)
    judged = judge(changed, machine)
    total = judged.speed.parallel_total if judged.speed is not None else None
    if total is not None and usable is not None and total.likely < usable * workload.parallel:
        return True
    return is_too_slow(judged, usable)


def _useful_pace(question: Question) -> float | None:
    """Tokens per second that are of use: those that were stated, else as fast as one reads."""
    stated = question.workload.min_tokens_per_second
    return stated if question.speed_stated else READING_TOKENS_PER_SECOND


def _parallel_at_pace(
    question: Question, runs: Judged, most: int, machine: Machine, catalogue: Catalogue
) -> int | None:
    """The most sequences up to `most` that are each as fast as is useful; None where already those
    judged are not.
    """
    now = question.workload.parallel

    def is_useful(number: int) -> bool:
        return number <= now or not _is_too_slow(
            question, runs, "parallel", number, machine, catalogue
        )

    # as many as fit were too slow, which is why they are looked for
    most_useful = _largest(most - 1, is_useful, guess=now + 1)
    return None if most_useful is None or most_useful <= now else most_useful


def _smaller_cache(question: Question, longest: int | None, machine: Machine) -> str | None:
    """The type of cache that the program has there and that loses least, where memory ends the
    context in 16 bits; None where none would lengthen it.
    """
    runtime, workload, architecture = (
        question.runtime,
        question.workload,
        question.spec.architecture,
    )
    memory = question.needs.memory if question.needs is not None else None
    if runtime is None or architecture is None or memory is None or longest is None:
        return None
    trained = need.trained_tokens(architecture, question.rewriting)
    has_cache = any(term.name == "kv_cache" for term in memory.terms)
    if not has_cache or workload.task == "finetune" or longest >= (trained or longest):
        return None
    is_plain = workload.kv_cache_type in (None, "f16")
    return next(iter(smaller_caches(question, machine)), None) if is_plain else None


def shortest_context(workload: Workload) -> int:
    """Tokens of the shortest context that is worth a proposal: it holds the prompt."""
    return max(SHORTEST_CONTEXT_TOKENS, workload.prompt_tokens or 0)


def longest_context(
    question: Question, runs: Judged | None, machine: Machine, catalogue: Catalogue
) -> int | None:
    """Tokens per sequence, at most what the model was trained for: what its publisher documents
    with scaling counts only where more was asked for, because answers may get worse. None where
    tokens make no sense or not even one fits.
    """
    architecture = question.spec.architecture
    if architecture is None or not _grows(question):
        return None
    row, asked_tokens = question.rewriting, question.workload.context_tokens or 1
    most = need.trained_tokens(architecture, row) or asked_tokens
    if asked_tokens > most:
        most = max(most, architecture.scaled_context_tokens or 0)
    if row is not None and not row.bounds_texts:
        # what was asked for is judged all the same
        most = max(most, asked_tokens)
    return _largest(
        most,
        lambda tokens: _holds(
            question, runs, _with(question, "context_tokens", tokens), machine, catalogue
        ),
    )


def _most_parallel(
    question: Question,
    runs: Judged | None,
    machine: Machine,
    catalogue: Catalogue,
    *,
    useful_alone: bool,
) -> int | None:
    if not _grows(question):
        return None
    if runs is not None and useful_alone:
        one_more = question.workload.parallel + 1
        may_fit = _parallel_by_what_is_kept(question, machine) >= one_more
        if may_fit and _is_too_slow(question, runs, "parallel", one_more, machine, catalogue):
            return None

    def fits(number: int) -> bool:
        if _are_surely_too_many(question, number, machine):
            return False
        return _holds(question, runs, _with(question, "parallel", number), machine, catalogue)

    most = (question.runtime.most_sequences if question.runtime else None) or MOST_PARALLEL
    return _largest(most, fits, guess=_parallel_by_slope(question, machine, catalogue))


def _are_surely_too_many(question: Question, number: int, machine: Machine) -> bool:
    """What llama.cpp keeps of so many sequences, and the least of all else, is more than RAM alone
    gives: the graph, which takes no less than that of fewer, need not be replayed.
    """
    needs, workload = question.needs, question.workload
    if needs is None or needs.memory is None or workload.format != "gguf":
        return False
    # files that lie in RAM are given back once it holds them
    if machine.accelerators != () or files_in_memory(question, needs, machine)[1]:
        return False
    terms = needs.memory.terms
    kept = sum(term.low_bytes for term in terms if term.name in _OF_EACH_SEQUENCE)
    least = needs.memory.low_bytes + (number - workload.parallel) * kept // workload.parallel
    given = given_bytes(machine, workload)
    return given is not None and number > workload.parallel and least > given


def _parallel_by_slope(question: Question, machine: Machine, catalogue: Catalogue) -> int:
    """Where the search is best begun: the need grows nearly in proportion to the sequences, and
    mostly by what is kept of each.
    """
    now = question.workload.parallel
    memory = question.needs.memory if question.needs is not None else None
    # far from what is asked: near to it, what grows in steps would mislead
    probe = _parallel_by_what_is_kept(question, machine)
    if memory is None or probe <= now:
        return probe
    probe_needs = _needs_under(question, _with(question, "parallel", probe), catalogue, machine)
    if probe_needs.memory is None:
        return now
    each = (probe_needs.memory.high_bytes - memory.high_bytes) / (probe - now)
    return _reached(question, machine, each) if each > 0 else now


def _parallel_by_what_is_kept(question: Question, machine: Machine) -> int:
    """As many as fit if each took what is kept of it alone."""
    now = question.workload.parallel
    memory = question.needs.memory if question.needs is not None else None
    if memory is None:
        return now
    kept = sum(term.high_bytes for term in memory.terms if term.name in _OF_EACH_SEQUENCE)
    return _reached(question, machine, kept / now)


def _reached(question: Question, machine: Machine, each_bytes: float) -> int:
    """As many sequences as fit where one more takes `each_bytes` more; twice as many as now where
    it takes none.
    """
    now = question.workload.parallel
    memory = question.needs.memory if question.needs is not None else None
    if each_bytes <= 0 or memory is None:
        return 2 * now
    # what is free beside the model; on accelerators the search corrects the guess
    left = (given_bytes(machine, question.workload) or 0) - memory.high_bytes
    return max(1, min(MOST_PARALLEL, now + int(left / each_bytes)))


def _grows(question: Question) -> bool:
    """The need grows with the tokens: there is a cache or a state of each sequence, or
    activations to train.
    """
    workload = question.workload
    return workload.context_tokens is not None and (
        question.spec.modality in GENERATING or workload.task == "finetune"
    )


def _best_quantization(
    question: Question, runs: Judged | None, machine: Machine, catalogue: Catalogue
) -> str | None:
    if question.runtime is None or question.workload.task == "finetune" or question.local_files:
        return None
    if is_beyond_any_quantization(question, machine):
        return None
    order = need.quantizations_of(question.spec, question.runtime, architectures(catalogue))
    for quantization in _without_idle_bits(question, order, catalogue):
        if is_surely_beyond(question, quantization, machine):
            continue
        if _holds(
            question,
            runs,
            _with(question, "quantization", quantization),
            machine,
            catalogue,
            stored=True,
        ):
            is_larger = not _is_as_large(question, quantization, catalogue)
            return quantization if is_larger else question.workload.quantization
    return None


def _without_idle_bits(
    question: Question, order: Sequence[str], catalogue: Catalogue
) -> Sequence[str]:
    """These quantizations, the best first, from the smallest that has no noticeable loss on, or the
    judged one where that has more bits: even more gain nothing.
    """
    judged = question.workload.quantization
    first = order.index(judged) if judged in order else len(order) - 1
    # the order is by what is lost, so none behind the judged one counts unless it does
    while first > 0 and not quality_of(order[first], catalogue, question.spec).is_lossless:
        first -= 1
    return order[max(first, 0) :]


def _is_as_large(question: Question, quantization: str, catalogue: Catalogue) -> bool:
    """Its files are as large as those judged, but for their headers: BF16 beside F16."""
    workload, rows = question.workload, architectures(catalogue)
    sizes = [
        need.weights_bytes(question.spec, workload.format or "", name, rows)
        for name in (quantization, workload.quantization or quantization)
    ]
    own, judged = (None if isinstance(size, Unread) else size.bytes for size in sizes)
    return own is not None and judged is not None and abs(own - judged) <= 0.02 * judged


def is_beyond_any_quantization(question: Question, machine: Machine) -> bool:
    """The weights in the fewest bits are more than all memory together: no need to try each."""
    parameters, most = (
        question.spec.parameters.total,
        parameters_that_may_fit(machine, LEAST_BYTES_PER_PARAMETER),
    )
    return parameters is not None and most is not None and parameters > most


def is_surely_beyond(question: Question, quantization: str, machine: Machine) -> bool:
    """A GGUF file of that quantization takes more than all memory of a machine that has RAM alone:
    no need to count what else it takes.
    """
    least = None
    if question.workload.format == "gguf" and machine.accelerators == ():
        least = need.least_bytes(question.spec, quantization)
    sizes = machine.memory_total_bytes, machine.memory_limit_bytes, machine.memory_available_bytes
    return least is not None and None not in sizes and least > max(filter(None, sizes), default=0)


def _largest(most: int, fits: Callable[[int], bool], guess: int | None = None) -> int | None:
    """The largest number from 1 to `most` for which it fits; the need never shrinks as the number
    grows.

    With a `guess` near the answer few tries are needed.
    """
    if guess is None and fits(most):
        return most
    # low fits or is 0, high does not or is beyond
    low, high, step, at = 0, most + 1, 1, min(most, guess or 1)
    while low < at < high:
        if fits(at):
            low, at = at, min(most, at + step)
        else:
            high, at = at, max(1, at - step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low or None


def _holds(
    question: Question,
    runs: Judged | None,
    workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    stored: bool = False,
) -> bool:
    """Memory fits under that workload, and the files where they are `stored`.

    What `runs` on the accelerators, all of it or a part, does not leave them, and what they hold
    the most of stays so. Of a GPU that shares the RAM no part leaves what the system lends it, or
    what the printed line lets it use.
    """
    held = _held_under(question, runs, workload, machine, catalogue)
    if held is None or any(finding.outcome not in ("pass", "warn") for finding in held):
        return False
    on_disk = _stored_under(question, workload, machine, catalogue) if stored else ()
    if any(finding.outcome not in ("pass", "warn") for finding in on_disk):
        return False
    before = runs.findings if runs is not None else ()
    if runs is not None and any(finding.code == "accelerator-partly" for finding in held):
        needs = _needs_under(question, workload, catalogue, machine)
        if _wants_another_limit(needs, runs, machine):
            return False
    return not exceeds_accelerator(held) or exceeds_accelerator(before)


def _wants_another_limit(needs: Needs, runs: Judged, machine: Machine) -> bool:
    """A GPU that shares the RAM would compute all of it only with another limit than the one that
    `runs` is printed with.
    """
    if runs.needs is None or runs.needs.placement != "host":
        return False
    from ..verdict.findings.accelerator_share import more_for_shared

    return more_for_shared(needs, machine) != more_for_shared(runs.needs, machine)


def exceeds_accelerator(findings: Sequence[Finding]) -> bool:
    """The likely need fits on the accelerator, and the most that it may take does not."""
    return any(finding.code == "accelerator-tight" for finding in findings)


@remembered(most=16)
def _with(question: Question, key: str, value: int | str) -> Workload:
    """The workload with one field changed: one object for what is asked twice."""
    return question.workload.replace(**{key: value})


_needs_under = remembered(most=16)(needs_under)


# of what fits it is also asked whether other programs have to be closed for it
@remembered(most=16)
def _held_under(
    question: Question,
    runs: Judged | None,
    workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
) -> Sequence[Finding] | None:
    """Findings of memory and accelerator; None where it would leave the accelerators."""
    needs = _needs_under(question, workload, catalogue, machine)
    changed = question.replace(workload=workload, needs=needs)
    placed, held = place(changed, needs, machine)
    placement_before = runs.needs.placement if runs is not None and runs.needs is not None else None
    if _NEARNESS.get(placed.placement or "host", 0) < _NEARNESS.get(placement_before or "host", 0):
        return None
    return held


def _stored_under(
    question: Question, workload: Workload, machine: Machine, catalogue: Catalogue
) -> Sequence[Finding]:
    """The finding of the disk, on which the files are to be stored; none without a program."""
    if question.runtime is None:
        return ()
    needs = _needs_under(question, workload, catalogue, machine)
    copy_here, missing = question.here, question.missing_bytes
    if workload.quantization != question.workload.quantization:
        alone = question.companions is None
        copy_here = (
            here(question.spec, question.runtime, workload, needs, machine, catalogue)
            if alone
            else None
        )
        missing = copy_here.missing_bytes if copy_here else None
    return (
        disk_check(needs, machine, question.runtime.store, missing_bytes=missing, here=copy_here),
    )


def parameters_that_may_fit(machine: Machine, bytes_per_parameter: float) -> float | None:
    """More than this cannot fit in all memory of the machine together; None where that was not
    read.
    """
    if machine.memory_limit_bytes is None or machine.accelerators is None:
        return None
    rooms = [place.room_bytes for place in places(machine)]
    read = [size for size in rooms if size is not None]
    return (
        None
        if len(read) < len(rooms)
        else (machine.memory_limit_bytes + sum(read)) / bytes_per_parameter
    )
