"""Which of many models of text the GPUs of a machine hold whole and run, by as few judgements as it
takes.

Of two models in one program the smaller is held where the larger is, and goes no slower. So where
the least and the most of several are held whole and run, all between them are. What is laid out
otherwise, fails or stays open has to be judged by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..core.records import FrozenDict, Record
from ..machine.record import Machine
from ..needs.records import CpuNeed, How, MemoryNeed, Needs, Term
from . import findings as check
from .bracket import Program, question_of
from .judging import disk_finding, model_findings, ways_held
from .on_devices import on_one, taken_by
from .pacing import pace_and_finding
from .record import Judged, Question, any_fails
from .shared_memory import is_surely_lent
from .speed import LEAST_READ_BYTES
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    Figures = tuple[float, ...]

# of a step, all that its pace rests on beside what `Alike` holds
_OF_STEP = (
    "weights_bytes", "packed_bytes", "nested_bytes", "cache_bytes", "layers",
    "unpacking_core_seconds", "alone_core_seconds", "attending_core_seconds", "choosing_seconds",
    "attending_to_small_heads_core_seconds",
    "few_bit_bytes", "weights_in_planes", "weights_looked_up",
)  # fmt: skip
# the figures of the memory come first: on one GPU the most, the least and the likely of what it
# holds, and those of what stays in RAM; in RAM alone the same, and what may be dropped of it
_ON_GPU, _BESIDE, _IN_RAM, _EVICTABLE, _DISK = 0, 3, 6, 9, 10


class Alike(Record):
    """What models have in common of which the larger takes no less: the number of their program,
    and of their step what is not a figure.
    """

    program: int
    is_vague: bool
    lacks_layers: bool
    replays: bool
    is_launched: bool


def alike(question: Question, number: int) -> Alike | None:
    """What counts of a question whose program has that number beside its figures; None of one that
    has to be judged by itself: that is no text, may not be local, or is not laid out by llama.cpp's
    rules.
    """
    needs, runtime = question.needs, question.runtime
    is_text = question.read_bytes is not None and question.spec.modality not in check.MADE
    if needs is None or runtime is None or not is_text or runtime.cpu_only:
        return None
    if runtime.wants_gpu(question.workload.quantization):
        return None
    about = model_findings(question)
    if any_fails(about) or any(finding.leaves_open for finding in about):
        return None
    step = question.step
    if step.weights_bytes < LEAST_READ_BYTES:
        return None
    return Alike(
        program=number,
        is_vague=step.is_vague,
        lacks_layers=step.lacks_layers,
        replays=step.replays,
        is_launched=step.launched_layers is not None,
    )


def figures_of_memory(needs: Needs) -> Figures | None:
    """Those of what it holds; None where they are not known."""
    memory = needs.memory
    if memory is None:
        return None
    terms = on_one(needs, "accelerator:0").memory
    there = [] if terms is None else [term for term in terms.terms if term.where != "host"]
    beside = [] if terms is None else [term for term in terms.terms if term.where == "host"]
    on_gpu, in_ram = _sums(there), _sums(beside)
    if on_gpu[0] != taken_by(memory).whole_bytes:
        return None
    every = memory.high_bytes, memory.low_bytes, memory.total_bytes
    return *on_gpu, *in_ram, *every, memory.evictable_bytes


def _sums(terms: Sequence[Term]) -> tuple[int, int, int]:
    """The most, the least and the likely bytes of those terms."""
    names = "high_bytes", "low_bytes", "bytes"
    high, low, likely = (sum(getattr(term, name) for term in terms) for name in names)
    return high, low, likely


def other_figures(question: Question, needs: Needs) -> Figures | None:
    """Those of the disk and of the step, which follow the figures of the memory."""
    stored, _ = check.ends_to_store(needs, None)
    if stored is None:
        return None
    step = question.step
    return (
        stored,
        needs.largest_file_bytes or 0,
        *[getattr(step, name) for name in _OF_STEP],
        *step.operation_counts,
        *(step.launched_layers or (0.0, 0.0, 0.0)),
    )


def running_whole(
    groups: Mapping[Alike, Mapping[str, Figures]],
    program: Callable[[int], Program],
    machine: Machine,
    is_slow: Callable[[Judged, float | None], bool],
) -> dict[str, bool]:
    """Of models by what they have in common and their figures, those that surely run held whole by
    GPUs, and whether they are too slow for the pace wanted. None of their files is on the machine.
    """
    running: dict[str, bool] = {}
    for group, figures in groups.items():
        if not figures:
            continue
        judged = _Judging(group, program(group.program), machine, is_slow)
        for ids, slow in _between(figures, judged.is_slow):
            running.update(dict.fromkeys(ids, slow))
    return running


def _between(
    figures: Mapping[str, Figures], is_slow: Callable[[Figures], bool | None]
) -> Iterator[tuple[Sequence[str], bool]]:
    """The ids between corners that run, with whether they are slow: both corners say the same."""
    waiting = [sorted(figures, key=figures.__getitem__)]
    while waiting:
        ids = waiting.pop()
        columns = list(zip(*[figures[id] for id in ids], strict=True))
        least = is_slow(tuple(map(min, columns)))
        if least is None:
            continue
        if len(ids) == 1 or least == is_slow(tuple(map(max, columns))):
            yield ids, least
        else:
            middle = len(ids) // 2
            waiting += [ids[:middle], ids[middle:]]


class _Judging:
    """Judges figures of models that have the same in common."""

    def __init__(
        self,
        group: Alike,
        program: Program,
        machine: Machine,
        is_slow: Callable[[Judged, float | None], bool],
    ) -> None:
        self._group, self._machine, self._is_too_slow = group, machine, is_slow
        self._wanted = program.workload.min_tokens_per_second
        self._question = question_of(program)
        self._runs: dict[str, bool] = {}
        self._program = program

    def is_slow(self, figures: Figures) -> bool | None:
        """Whether a model of these figures, held whole, is too slow; None where it is laid out
        otherwise, or does not run for sure.
        """
        needs = self._needs(figures)
        placed, held = next(ways_held(self._question, needs, self._machine))
        if placed.placement == "host":
            if not self._is_on_shared_gpu(int(figures[_IN_RAM])):
                return None
        elif placed.placement != "accelerator":
            return None
        findings = [*held, disk_finding(self._question, needs, self._machine)]
        if not (self._suits(placed.placement) and _are_clear(findings)):
            return None
        stepping = Question.partly({**vars(self._question), "step": self._step(figures)})
        pace, finding = pace_and_finding(stepping, placed, self._machine)
        if finding is not None and not _are_clear([finding]):
            return None
        return self._is_too_slow(Judged(findings=(), needs=None, speed=pace), self._wanted)

    def _is_on_shared_gpu(self, most_bytes: int) -> bool:
        """Whether a GPU that shares the RAM may surely use so much of it, and no other is there."""
        cards = self._machine.accelerators or ()
        return bool(cards) and all(
            card.unified and is_surely_lent(card, self._machine, most_bytes) is True
            for card in cards
        )

    def _suits(self, placement: str) -> bool:
        """Whether processor and program are there for what is placed so."""
        if placement not in self._runs:
            program, machine, findings = self._program, self._machine, []
            if program.cpu is not None:
                on_gpu = placement == "accelerator"
                of_cpu = check.cpu_check(program.cpu, machine, program.runtime, on_gpu=on_gpu)
                findings.append(of_cpu)
            if program.asked is not None:
                findings.append(check.runtime_check(machine, program.runtime, **program.asked))
            self._runs[placement] = _are_clear(findings)
        return self._runs[placement]

    def _needs(self, figures: Figures) -> Needs:
        """What takes as much, of two terms where GPUs have memory of their own."""
        sizes = [int(size) for size in figures[: _DISK + 2]]
        high, low, likely, evictable = sizes[_IN_RAM:_DISK]
        terms: tuple[Term, ...] = ()
        if any(card.unified is False for card in self._machine.accelerators or ()):
            terms = (
                _term("weights", sizes[_ON_GPU:_BESIDE]),
                _term("runtime", sizes[_BESIDE:_IN_RAM]),
            )
        memory = {
            "terms": terms,
            "high_bytes": high,
            "low_bytes": low,
            "total_bytes": likely,
            "evictable_bytes": evictable,
        }
        stored, largest = sizes[_DISK:]
        return Needs.partly(
            {
                "memory": MemoryNeed.partly(memory),
                "disk_bytes": stored,
                "download_bytes": stored,
                "largest_file_bytes": largest,
                "cpu": _ANY_CPU,
            }
        )

    def _step(self, figures: Figures) -> Step:
        """A step of as much."""
        of_step = figures[_DISK + 2 :]
        named = dict(zip(_OF_STEP, of_step, strict=False))
        counts, launched = of_step[len(_OF_STEP) : -3], of_step[-3:]
        return Step.partly(
            {
                **named,
                "operation_counts": counts,
                "launched_layers": launched if self._group.is_launched else None,
                "is_vague": self._group.is_vague,
                "lacks_layers": self._group.lacks_layers,
                "replays": self._group.replays,
                "foreign": self._question.step.foreign,
                "architecture": None,
                "read_bytes": FrozenDict(),
            }
        )


_ANY_CPU = CpuNeed(architectures=(), instruction_sets={})


def _term(name: str, sizes: Sequence[int]) -> Term:
    """One of that name, of so many bytes: the most, the least and the likely."""
    high, low, likely = sizes
    return Term.partly(
        {
            "name": name,
            "bytes": likely,
            "low_bytes": low,
            "high_bytes": high,
            "where": "host",
            "how": How.COMPUTED,
            "source": "",
            "arithmetic": "",
        }
    )


def _are_clear(findings: Sequence[check.Finding]) -> bool:
    """Whether none of them rules it out or leaves it open."""
    return not any_fails(findings) and not any(finding.leaves_open for finding in findings)
