"""Prints the board: the kept answers of each program, held against the questions.

    python benchmarks/peers/score.py                  # the tables of docs/accuracy.md
    python benchmarks/peers/score.py --wrong selfhost # each wrong answer of a program
    python benchmarks/peers/score.py --ask selfhost   # ask the installed selfhost anew, and keep that

Standard library alone; nothing is fetched.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import board
from board import GIB, Answer, MemoryQuestion, Program, SpeedQuestion

MEMORY_HEAD = (
    "program", "version", "offline", "answered", "verdict right", "said yes wrongly, no wrongly",
    "weights, off", "KV cache exact", "KV cache within 5 %", "weights and KV, off",
)  # fmt: skip
SPEED_HEAD = (
    "program", "answered", "within 25 %", "within 2x", "off", "lean", "inside its range", "range, high by low",
)  # fmt: skip
# a program that rounds 1.96 to 2.0 has it inside a range that ends at 2.0
_ROUNDING = 0.02
_NONE = "–"


@dataclass(frozen=True)
class MemoryCase:
    """A question of memory with a program's answer."""

    question: MemoryQuestion
    answer: Answer

    @property
    def is_right(self) -> bool:
        return self.answer.fits == self.question.fits

    def itemized_bytes(self) -> int | None:
        """Weights, cache and state; None where the program tells no cache."""
        if self.answer.weights is None or self.answer.kv is None:
            return None
        return self.answer.weights + self.answer.kv + (self.answer.state or 0)


@dataclass(frozen=True)
class SpeedCase:
    """A question of speed with a program's answer, in tokens a second."""

    question: SpeedQuestion
    predicted: float
    low: float | None
    high: float | None

    @property
    def ratio(self) -> float:
        """What was predicted, by what was measured."""
        return self.predicted / self.question.tokens_per_second

    @property
    def is_inside(self) -> bool:
        """Whether the measured speed lies in the stated range."""
        if self.low is None or self.high is None:
            return False
        seen = self.question.tokens_per_second
        return self.low * (1 - _ROUNDING) <= seen <= self.high * (1 + _ROUNDING)


def memory_cases(answers: Mapping[str, Answer]) -> list[MemoryCase]:
    """The questions of memory that a program answered."""
    cases: list[MemoryCase] = []
    for question in board.memory_questions():
        answer = answers.get(question.id)
        if answer is not None and answer.total is not None:
            cases.append(MemoryCase(question, answer))
    return cases


def speed_cases(answers: Mapping[str, Answer]) -> list[SpeedCase]:
    """The questions of speed that a program answered."""
    cases: list[SpeedCase] = []
    for question in board.speed_questions():
        answer = answers.get(question.id)
        if answer is not None and answer.tps is not None:
            cases.append(SpeedCase(question, answer.tps, answer.low, answer.high))
    return cases


def share_off(values: Sequence[float]) -> str:
    """The median distance from 1, as a percentage."""
    if not values:
        return _NONE
    off = median([abs(value - 1) for value in values])
    return f"{off:.1%}" if off < 0.1 else f"{off:.0%}"


def memory_row(program: Program, cases: Sequence[MemoryCase]) -> list[str]:
    """The row of a program in the table of memory."""
    judged = [case for case in cases if case.answer.fits is not None]
    verdicts = wrong = _NONE
    if judged:
        right = sum(case.is_right for case in judged)
        said_yes = sum(
            case.answer.fits is True and not case.is_right for case in judged
        )
        verdicts = f"{right} of {len(judged)}"
        wrong = f"{said_yes}, {len(judged) - right - said_yes}"
    weights = [
        case.answer.weights / case.question.weights
        for case in cases
        if case.answer.weights
    ]
    weights_off = "given" if program.weights_are_given else share_off(weights)
    step_bytes = max(1.0, 0.55 * program.kv_step_gib * GIB)
    exact = near = 0
    itemized: list[float] = []
    for case in cases:
        total = case.itemized_bytes()
        if total is None or case.answer.kv is None:
            continue
        itemized.append(total / case.question.total)
        exact += abs(case.answer.kv - case.question.kv) < step_bytes
        near += abs(case.answer.kv / case.question.kv - 1) <= 0.05
    return [
        program.id, program.version, program.offline, f"{len(cases)}", verdicts, wrong, weights_off,
        f"{exact} of {len(itemized)}", f"{near} of {len(itemized)}", share_off(itemized),
    ]  # fmt: skip


def speed_row(program: Program, cases: Sequence[SpeedCase]) -> list[str]:
    """The row of a program in the table of speed."""
    ratios = [case.ratio for case in cases]
    inside = width = _NONE
    ranges = [case.high / case.low for case in cases if case.low and case.high]
    if ranges:
        inside = f"{sum(case.is_inside for case in cases)} of {len(ranges)}"
        width = f"{median(ranges):.1f}"
    return [
        program.id,
        f"{len(cases)}",
        f"{sum(0.75 <= ratio <= 1.25 for ratio in ratios)}",
        f"{sum(0.5 <= ratio <= 2 for ratio in ratios)}",
        share_off(ratios),
        f"{median(ratios) - 1:+.0%}",
        inside,
        width,
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table in Markdown."""
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def tables() -> Iterator[str]:
    """Both tables: the program with the most right answers first."""
    memory: list[tuple[int, list[str]]] = []
    speed: list[tuple[int, list[str]]] = []
    for program in board.programs().values():
        answers = board.answers_of(program.id)
        bytes_told = memory_cases(answers)
        rates_told = speed_cases(answers)
        right = sum(case.is_right for case in bytes_told)
        memory.append((right, memory_row(program, bytes_told)))
        if rates_told:
            near = sum(0.75 <= case.ratio <= 1.25 for case in rates_told)
            speed.append((near, speed_row(program, rates_told)))
    for head, ranked in ((MEMORY_HEAD, memory), (SPEED_HEAD, speed)):
        # sorting keeps the order of programs.toml among equals
        ranked.sort(key=lambda row: -row[0])
        yield from table(head, [row for _, row in ranked])
        yield ""


def wrong_answers(program: str) -> Iterator[str]:
    """Each wrong verdict of a program, and each speed that was outside its range or twice off."""
    answers = board.answers_of(program)
    for case in memory_cases(answers):
        if case.answer.fits is None or case.is_right:
            continue
        question = case.question
        said = "fits" if case.answer.fits else "does not fit"
        truth = "fits" if question.fits else "does not fit"
        need = f"{question.total / GIB:.1f} of {question.gpu_gib:g} GiB"
        yield (
            f"- {question.model} in {question.quantization} with {question.context:,} tokens on {question.gpu} "
            f"({need}): it says that it {said} in the GPU; by the rule it {truth}."
        )
    for speed in speed_cases(answers):
        is_far = not 0.5 <= speed.ratio <= 2
        is_outside = speed.low is not None and not speed.is_inside
        if not is_far and not is_outside:
            continue
        asked = speed.question
        stated = f"{speed.predicted:.1f} tokens/s"
        if speed.low is not None and speed.high is not None:
            stated += f" ({speed.low:.1f} to {speed.high:.1f})"
        place = asked.machine
        if asked.gpu is not None:
            place += f", GPU: {asked.gpu}"
        yield (
            f"- {asked.model} in {asked.quantization}, {asked.runtime}, {place}: {stated} predicted, "
            f"{asked.tokens_per_second:.1f} measured."
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wrong", metavar="PROGRAM", help="each wrong answer of it")
    parser.add_argument(
        "--ask", choices=["selfhost"], help="ask it anew, and keep what it says"
    )
    options = parser.parse_args()
    if options.ask:
        import ask_selfhost

        ask_selfhost.main()
    lines = tables() if options.wrong is None else wrong_answers(options.wrong)
    for line in lines:
        print(line)


if __name__ == "__main__":
    main()
