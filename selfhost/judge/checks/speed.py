"""The checks whether the model is as fast as wanted, and how long the first token takes.

- `speed_check` compares the pace of text with the wanted pace; `work_check` compares the pace of
  pictures, recordings, documents and training with a limit of findings.toml.
- `wait_check` judges the time for reading a stated prompt, or the prompt of a purpose. A stated
  longest wait decides; without a stated wait, more than two minutes are a warning.
- `is_slow` and the functions beside it return how the pace of a judged model was judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core import units
from ...core.records import Record
from ...core.workload import (
    ANSWER_TOKENS,
    DEFAULT_CONTEXT_TOKENS,
    READING_TOKENS_PER_SECOND,
    Workload,
)
from ...machine.record import BRIEFLY, Machine
from ...needs.records import Needs
from ..pace import TRAINED, VIDEO, Range, Speed
from ..pace.words import ranged_words
from ..record import MEMORY_CHECKS, Judged, Question
from . import (
    WORDS,
    Figures,
    Finding,
    Outcome,
    Ruling,
    WorkWords,
    failing,
    finding,
    passing,
    undecided,
    warning,
)

# if the fast end is more than this times the slow end, a measurement narrows the range
_WIDE_PACE = 2
# codes of findings that say that no program can compute the model on this machine
_NO_PROGRAM = ("runtime-no-build", "runtime-cannot-load")
# facts that decide the pace in RAM
_PACE_SETTING = {"memory_bandwidth_bytes_per_second", "cpu_cores_usable"}
# the time from which training on stated tokens is called long: a run begun in the evening is not
# finished in the morning (a guess)
_NIGHT_SECONDS = 8 * 3600
# seconds from which the answer leads with the time: the finding is `speed-hours`. At the lowest
# pace, 2 tokens/s, a text takes three minutes; a picture that takes twenty times as long needs the
# time said first. A guess, 30 minutes to 2 hours
_HOURS_SECONDS = 3600
# a user who waits longer does something else meanwhile (`purpose.agent` in
# specs/common/purposes.toml)
LONG_WAIT_SECONDS = 120
# programs read short prompts of several users together, at most so many tokens at once
# (max_num_batched_tokens of vLLM on large GPUs, vllm 0.33.0, engine/arg_utils.py)
_PROMPTS_BATCH_TOKENS = 8192


def pace_checks(
    question: Question,
    placed: Needs,
    machine: Machine,
    speed: Speed,
) -> Iterator[Finding]:
    """Yield the findings on the pace of a layout, and on the wait for the first token where one is
    asked for.
    """
    if question.step is None:
        yield work_check(question, placed, machine, speed)
    else:
        yield speed_check(question, placed, machine, speed)
    wait = wait_check(question, speed)
    if wait is not None:
        yield wait


# ------------------------------------------------------------------ the speed of text


def speed_check(
    question: Question,
    placed: Needs,
    machine: Machine,
    speed: Speed,
) -> Finding:
    """Return the finding that compares the estimated decode pace of text with the wanted pace."""
    wanted = question.workload.min_tokens_per_second
    assert wanted is not None, "text has a default"
    in_ram = placed.placement != "accelerator"
    text = _TextPace(
        question=question,
        speed=speed,
        pace=speed.judged,
        wanted=wanted,
        is_assumed=in_ram and not _PACE_SETTING.isdisjoint(machine.assumed),
    )
    measure = None
    if in_ram and text.is_wide:
        measure = how_to_measure(machine)
    return finding(text.ruling(), **text.figures(), measure=measure)


class _TextPace(Record):
    """The pace at which a model writes, and the wanted tokens per second.

    `pace` is the pace that each user gets, None where it is not known. `is_assumed`: the pace rests
    on assumed facts of the machine.
    """

    question: Question
    speed: Speed
    pace: Range | None
    wanted: float
    is_assumed: bool

    @property
    def is_wide(self) -> bool:
        """Whether a measurement would narrow the range of the pace."""
        return self.pace is not None and self.pace.high > _WIDE_PACE * self.pace.low

    def ruling(self) -> Ruling:
        """The ruling on the pace: too slow by the fast end, then perhaps too slow, then slower than
        a person reads.
        """
        pace = self.pace
        is_stated = self.question.speed_stated
        if not self.wanted:
            return passing("speed-any", "unknown" if pace is None else "")
        if pace is None:
            # a stated minimum pace decides, even where the pace is not known
            return undecided("speed-no-basis" if is_stated else "speed-not-known")
        if units.is_slower(pace.high, self.wanted):
            return failing("speed-too-slow")
        if units.is_slower(pace.likely, self.wanted):
            return undecided("speed-close") if is_stated else warning("speed-slow")
        full = self._slower_when_full()
        if full is not None:
            return warning("speed-when-full", full=units.speed(full))
        if units.is_slower(pace.likely, READING_TOKENS_PER_SECOND):
            return warning("speed-slow", "reading")
        if self.is_assumed:
            return warning("speed-assumed")
        return passing("speed-comfortable")

    def _slower_when_full(self) -> float | None:
        """The pace at the end of a long context, where it is below the wanted pace; None
        elsewhere.
        """
        full = self.speed.full_context_tokens_per_second
        context_tokens = self.question.workload.context_tokens
        if full is None or context_tokens is None:
            return None
        if context_tokens <= DEFAULT_CONTEXT_TOKENS:
            return None
        if self.speed.each_of > 1:
            return None
        return full if units.is_slower(full, self.wanted) else None

    def figures(self) -> Figures:
        """The figures of every branch; the figures of the pace only where a pace is known."""
        users = self.speed.each_of
        waiting = self.speed.waiting
        figures: Figures = {
            "needs": self.wanted,
            "unit": "tokens_per_second",
            "how": self._why_no_shared_pace() or self.speed.how,
            "wanted": units.stated(self.wanted),
            "stated": self.question.speed_stated,
            "each": f"{users:,}" if users > 1 else None,
            "all": users > 1 and not waiting,
            "at_once": f"{users - waiting:,}" if waiting else None,
            "context": self.question.workload.context_tokens,
        }
        if self.pace is not None:
            fastest = self.pace.high
            figures |= {
                "has": self.pace.likely,
                "short": _lacking(fastest, self.wanted),
                "pace": ranged_words(self.pace),
                "assumed": self.is_assumed,
                "answer": ANSWER_TOKENS / fastest if fastest else None,
                "reading": f"{READING_TOKENS_PER_SECOND:g}",
            }
        return figures

    def _why_no_shared_pace(self) -> str | None:
        """The sentence why the pace of one sequence says nothing of several; None where the pace of
        several is known.
        """
        if self.pace is not None or self.speed.decode is None:
            return None
        workload = self.question.workload
        drafted = " with a draft" if workload.draft is not None else ""
        users = f"{workload.parallel:,} sequences at once{drafted}"
        return f"the pace of {users} cannot be estimated"


def _lacking(fastest: float, wanted: float) -> float:
    """The tokens per second that even the fast end lacks; 0 where it lacks none, compared as both
    are printed.
    """
    return wanted - fastest if units.is_slower(fastest, wanted) else 0


def why_no_pace(findings: Iterable[Finding]) -> str | None:
    """Return why the model does not run, whatever its pace would be; None where nothing keeps it
    from running.

    A disk that is too small, and a runtime that is only not installed, give no reason.
    """
    why_not = None
    for found in findings:
        if found.outcome is not Outcome.FAIL:
            continue
        if found.check in MEMORY_CHECKS:
            return "the model does not fit here"
        if found.check == "cpu" or found.code in _NO_PROGRAM:
            why_not = "the model does not run here"
    return why_not


def no_pace_finding(question: Question, why_not: str) -> Finding:
    """Return the finding of a pace that is not told. The finding decides nothing."""
    if question.step is None:
        return finding(undecided("speed-not-known", how=why_not))
    wanted = question.workload.min_tokens_per_second
    ruling = undecided("speed-not-known")
    if not wanted:
        ruling = passing("speed-any", "unknown")
    return finding(ruling, how=why_not, needs=wanted, unit="tokens_per_second")


def how_to_measure(machine: Machine) -> str | None:
    """Return how to measure the memory bandwidth.

    None where the bandwidth is known, not just at present, or cannot be measured.
    """
    is_brief = machine.memory_bandwidth_how == BRIEFLY
    if machine.memory_bandwidth_bytes_per_second is not None and not is_brief:
        return None
    if machine.measured_in_vain or machine.planning:
        return None
    if machine.memory_available_bytes is None:
        return None
    cores = machine.cpu_cores_usable
    if cores is None or cores < 1:
        return None
    if machine.is_this_one:
        return "run with --measure (about a second)"
    return "record it there with `selfhost machine --measure --format json`"


# ------------------------------------------------------------------ the speed of other work


def work_check(
    question: Question,
    placed: Needs,
    machine: Machine,
    speed: Speed,
) -> Finding:
    """Return the finding on the speed of work that is no text.

    Work is slow where it takes long, or where no GPU holds all of the model.
    """
    slowed_by = _slowed_by(question, placed, machine)
    words = _words_for(question, speed.unit, slowed_by)
    likely: float | None = None
    long: str | None = None
    if speed.work is not None:
        # as in `about 12 minutes for an hour of audio (6 minutes to 40 minutes)`
        likely = speed.work.likely
        usual, ends = speed.work_words()
        about, guess = speed.work.about()
        long = f"{about} {usual} ({ends}{guess})"
    ruling = _work_ruling(words, speed.unit, likely, slowed_by)
    return finding(
        ruling,
        needs=words.limit,
        has=likely,
        unit=speed.unit,
        how=speed.how if speed.work is None else None,
        remedy=words.faster if ruling.outcome is Outcome.WARN else None,
        long=long,
    )


def _slowed_by(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> str:
    """The reason why work is slower than on a GPU that holds all of the model, as a variant of the
    finding; "" on such a GPU.

    "processor" stands for a model that no GPU computes; "model", "partial" and "sequential" stand
    for parts that move to a GPU in turn (`Needs.offload`).
    """
    if placed.offload:
        return placed.offload
    return "processor" if _is_on_cpu(question, placed, machine) else ""


def _is_on_cpu(
    question: Question,
    placed: Needs,
    machine: Machine,
) -> bool:
    """Whether no GPU computes the model, not even a GPU that shares the RAM."""
    if question.program.gpus.unused:
        return True
    if placed.placement != "host":
        return False
    return not any(card.unified for card in machine.cards)


def _words_for(
    question: Question,
    unit: str,
    slowed_by: str,
) -> WorkWords:
    """The limit of the work, and its words. `slowed_by` is the result of `_slowed_by`."""
    words = WORDS.work[unit]
    dataset_tokens = question.workload.dataset_tokens
    if unit == TRAINED and dataset_tokens is not None:
        words = words.replace(limit=dataset_tokens / _NIGHT_SECONDS)
    parameters = question.spec.parameters.total or 0
    if slowed_by == "processor" and parameters >= words.on_cpu_from_parameters:
        return words
    return words.replace(on_cpu=None)


def _work_ruling(
    words: WorkWords,
    unit: str,
    likely: float | None,
    slowed_by: str,
) -> Ruling:
    """The ruling whether the work is slow: on a processor where its pace is not known, then work
    that is known to be slow unless a GPU holds all of the model, then by its pace. `slowed_by` is
    the result of `_slowed_by`.
    """
    if likely is None and words.on_cpu is not None:
        return warning(words.code, "unknown-on-cpu", what=words.on_cpu)
    if words.what is not None and slowed_by:
        is_long = _takes_hours(unit, likely, slowed_by)
        code = "speed-hours" if is_long else words.code
        return warning(code, slowed_by, what=words.what)
    if likely is None:
        return undecided("speed-not-known")
    if _is_beyond(likely, words.limit, unit):
        return warning(words.code, "work")
    return passing("speed-comfortable", "work")


def _takes_hours(
    unit: str,
    likely: float | None,
    slowed_by: str,
) -> bool:
    """Whether the user waits so long that the answer leads with the time, as for a video on a
    CPU.
    """
    if likely is None:
        return slowed_by == "processor" and unit == VIDEO
    return likely >= _HOURS_SECONDS


def _is_beyond(
    likely: float,
    limit: float,
    unit: str,
) -> bool:
    """Whether the pace is beyond the limit: longer in seconds, or fewer tokens or documents a
    second.
    """
    return likely > limit if unit.startswith("seconds") else likely < limit


# ------------------------------------------------------------------ the wait


def wait_check(question: Question, speed: Speed) -> Finding | None:
    """Return the finding that compares the wait for the first token with the longest allowed wait.
    Where users wait for their turn, the wait of the last one is compared.

    None where no prompt was stated, and where the wait is not known and the user set no limit.
    """
    workload = question.workload
    if workload.prompt_tokens is None or question.step is None:
        return None
    stated_seconds = workload.max_wait_seconds
    limit = LONG_WAIT_SECONDS if stated_seconds is None else stated_seconds
    common: Figures = {
        "needs": limit,
        "unit": "seconds",
        "limit": units.duration(limit),
        "prompt": workload.prompt_tokens,
        "how": speed.how,
    }
    wait = speed.first_token_seconds
    if wait is not None and speed.waiting:
        least_seconds = _least_queue_seconds(wait, workload)
        return finding(
            _queue_ruling(least_seconds, stated_seconds),
            short=max(0.0, least_seconds - limit),
            wait=wait_words(wait),
            least=units.duration(least_seconds),
            waiting=_waiting_words(speed.waiting),
            stated=stated_seconds is not None,
            **common,
        )
    if wait is not None:
        return finding(
            _wait_ruling(wait, stated_seconds),
            has=wait.likely,
            short=max(0.0, wait.low - limit),
            wait=wait_words(wait),
            alone=workload.parallel > 1,
            **common,
        )
    if stated_seconds is None:
        return None
    return finding(undecided("wait-not-known"), wait=None, **common)


def _waiting_words(users: int) -> str:
    """`1 user waits for its turn`, `37 users wait for their turn`."""
    if users == 1:
        return "1 user waits for its turn"
    return f"{users:,} users wait for their turn"


def _wait_ruling(wait: Range, stated_seconds: float | None) -> Ruling:
    if stated_seconds is None:
        is_long = wait.likely > LONG_WAIT_SECONDS
        return warning("wait-long") if is_long else passing("wait-short")
    if wait.low > stated_seconds:
        return failing("wait-too-long")
    if wait.likely > stated_seconds:
        return undecided("wait-close")
    return passing("wait-short")


def _least_queue_seconds(wait: Range, workload: Workload) -> float:
    """The least wait of the last user where users wait for their turn: the prompts of all users are
    read before, at best in full batches. The answers before it take longer, by their length.
    """
    prompt_tokens = workload.prompt_tokens or 0
    in_batch = max(prompt_tokens, _PROMPTS_BATCH_TOKENS)
    batches = workload.parallel * prompt_tokens / in_batch
    return wait.low * max(1.0, batches)


def _queue_ruling(least_seconds: float, stated_seconds: float | None) -> Ruling:
    if stated_seconds is None:
        return warning("wait-queue")
    if least_seconds > stated_seconds:
        return failing("wait-in-queue")
    return undecided("wait-queue")


def wait_words(wait: Range) -> str:
    """`about 4 seconds (2.0 seconds to 6.0 seconds)`."""
    about, _ = wait.about()
    ends = f"{units.duration(wait.low)} to {units.duration(wait.high)}"
    return f"{about} {units.duration(wait.likely)} ({ends})"


# ------------------------------------------------------------------ what is slow


def is_too_slow(judged: Judged) -> bool:
    """Whether the likely pace of text is below the wanted pace, or other work is beyond its
    limit.
    """
    pace = judged.users_pace
    if pace is not None:
        wanted = judged.workload.min_tokens_per_second or 0
        return units.is_slower(pace.likely, wanted)
    found = judged.finding("speed")
    if found is None:
        return False
    if found.code == "speed-hours":
        return True
    if not isinstance(found.needs, int | float):
        return False
    if not isinstance(found.has, int | float):
        return False
    return _is_beyond(found.has, found.needs, found.unit or "")


def may_be_too_slow(judged: Judged) -> bool:
    """Whether text may come more slowly than wanted: the slow end of its pace is below the wanted
    pace. False where nobody wants a pace, or the pace is not known.
    """
    pace = judged.users_pace
    wanted = judged.workload.min_tokens_per_second
    if pace is None or not wanted:
        return False
    return units.is_slower(pace.low, wanted)


def is_slow(judged: Judged) -> bool:
    """Whether text likely comes more slowly than wanted, or other work takes minutes to days."""
    if judged.decode_tokens_per_second is not None:
        return is_too_slow(judged)
    if judged.has("speed-slow"):
        return True
    return is_slow_work(judged)


def lacks_pace_of_users(judged: Judged) -> bool:
    """Whether text for several users was asked for, and the pace of each user is not known."""
    workload = judged.workload
    if workload.parallel == 1 or workload.task != "generate":
        return False
    if not judged.model.writes_text:
        return False
    return judged.users_pace is None


def lacks_pace(judged: Judged) -> bool:
    """Whether nothing tells how fast the model runs here."""
    return judged.users_pace is None and judged.known_speed.work is None


def is_slow_work(judged: Judged) -> bool:
    """Whether the work takes hours, or takes many times as long as on a GPU because a CPU computes
    it or every layer moves to a GPU at each step.
    """
    if judged.has("speed-hours"):
        return True
    if judged.offload in ("model", "partial"):
        return False
    return judged.has("speed-picture")
