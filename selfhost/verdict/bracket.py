"""Which of many models run on a machine without accelerators, by as few judgements as it takes.

Nothing gets better when a model takes more: a larger file, more memory, more work for each token.
So where the least and the most of several needs get the same answer, all between them get it, and
are not judged. What judges is `record`; a test holds every answer against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import CpuNeed, MemoryNeed, Needs
from . import findings as check
from .compute import asked_of_cores, power_of
from .findings import Finding, Outcome
from .judging import disk_finding, model_findings, runtime_asked, ways_held
from .pacing import pace_and_finding
from .record import Judged, Question
from .sketched_work import (
    TEXT,
    UNCOUNTED,
    OnCores,
    figures_of_step,
    figures_of_work,
    pace_of_figures,
    step_of,
)
from .speed import LEAST_READ_BYTES, SHORT_CHAT_TOKENS, Speed

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # what the findings of the model itself leave, the number of its program, then figures: of the
    # memory (the most, the least, evictable), of the disk (to store at least, the largest file) and
    # of the work those of `sketched_work`. Empty where nothing is found of that. None has to be
    # judged whole
    Sketch = tuple[int, int, tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None
    Figures = tuple[float, ...]
    # the least and the most of some figures, the figures by id where they are few, else two halves
    Tree = tuple[Figures, Figures, Mapping[str, Figures], Sequence["Tree"]]
    # sketches of which many are answered at once. First by what is found without figures: what the
    # findings of the model leave, the number of a program and the ids. Then by figures: which they
    # are, of `_COLUMNS`, the number of a program that stands for all, and the tree
    Sketches = tuple[Sequence[tuple[int, int, Sequence[str]]], Sequence[tuple[int, int, Tree]]]

# nothing rules it out, something that decides is not known, something rules it out
RUNS, OPEN, FAILS = range(3)


class Program(Record):
    """What of a question the findings of its program follow from."""

    modality: str
    workload: Workload
    speed_stated: bool
    runtime: RuntimeSpec | None
    cpu: CpuNeed | None
    # of `findings.runtime_check`; None where nothing is asked
    asked: Mapping[str, Any] | None


def program_of(question: Question) -> Program:
    """That of a question."""
    # which release knows the architecture is no more than a warning
    asked = runtime_asked(question)
    return Program(
        modality=question.spec.modality,
        workload=question.workload,
        speed_stated=question.speed_stated,
        runtime=question.runtime,
        cpu=None if question.needs is None else question.needs.cpu,
        asked=None if asked is None else {**asked, "architecture": None},
    )


def sketch_of(question: Question, number: int) -> Sketch:
    """What decides of a question whose program has that number."""
    needs, left = question.needs, _left_by(model_findings(question))
    if needs is None:
        return left, number, (), (), ()
    memory, runtime = needs.memory, question.runtime
    wants_gpu = runtime is not None and runtime.wants_gpu(question.workload.quantization)
    of_disk = _figures_of_disk(needs)
    if memory is None or not of_disk or wants_gpu:
        return None
    is_text = question.read_bytes is not None
    of_work = figures_of_step(question.step) if is_text else figures_of_work(question, needs)
    return (
        left,
        number,
        (memory.high_bytes, memory.low_bytes, memory.evictable_bytes),
        of_disk,
        of_work,
    )


def memory_sketch(needs: Needs, sketch: Sketch) -> Sketch:
    """What decides of these needs' memory alone, of the program of that sketch."""
    memory = needs.memory
    if sketch is None or not sketch[2] or memory is None:
        return None
    figures = memory.high_bytes, memory.low_bytes, memory.evictable_bytes
    return RUNS, sketch[1], figures, (), ()


def _figures_of_disk(needs: Needs) -> tuple[int, ...]:
    """`Sketch`'s figures of the disk; none where what it stores is not known."""
    stored, _ = check.ends_to_store(needs, None)
    return () if stored is None else (stored, needs.largest_file_bytes or 0)


class Reach(Record):
    """What a context does to a model that takes one: `usual_tokens` is its default, `most_tokens`
    what it can use, None where that is not known. Without `grows` its needs are the same at any.
    """

    usual_tokens: int
    most_tokens: int | None
    grows: bool


# of a shorter context a short chat fills more than half, so that the pace changes with it
LEAST_CONTEXT_TOKENS = 2 * SHORT_CHAT_TOKENS


def at_context(
    left: Mapping[str, tuple[int, bool]],
    context_tokens: int,
    reaches: Mapping[str, Reach],
    runs_longer: Callable[[str], bool],
) -> dict[str, tuple[int, bool]]:
    """Of what the usual contexts left, as `outlook` gives it, what is known under this context: a
    longer one takes no less memory and is no faster. `runs_longer`: of a context of at least as
    many tokens the memory is there. `context_tokens` are LEAST_CONTEXT_TOKENS or more.
    """
    held: dict[str, tuple[int, bool]] = {}
    for id, (worst, is_slow) in left.items():
        reach = reaches.get(id)
        if reach is None:
            held[id] = worst, is_slow
            continue
        is_longer = context_tokens > reach.usual_tokens
        most = reach.most_tokens
        if (most is not None and context_tokens > most) or (worst == FAILS and is_longer):
            held[id] = FAILS, False
        elif context_tokens == reach.usual_tokens or not reach.grows:
            held[id] = (worst, is_slow) if most is not None else (max(worst, OPEN), is_slow)
        elif most is not None and (runs_longer(id) if is_longer else worst == RUNS):
            held[id] = worst, is_slow
    return held


def may_bracket(machine: Machine, workload: Workload) -> bool:
    """Whether sketches tell what questions would: the machine surely has no accelerator, and no
    limit that counts but a part of the memory; of the answer only the pace is asked.
    """
    limits = (machine.address_space_bytes, machine.private_memory_bytes)
    return machine.accelerators == () and limits == (None, None) and workload.prompt_tokens is None


# the findings of figures, as they stand in a `Sketch`
_COLUMNS = ("memory", "disk", "work")


def arranged(sketches: Mapping[str, Sketch], program: Callable[[int], Program]) -> Sketches:
    """Sketches in groups that are answered alike, without those that have to be judged whole."""
    plain: dict[Any, tuple[int, int, list[str]]] = {}
    alike: dict[Any, tuple[int, int, dict[str, Figures]]] = {}
    for id, sketch in sketches.items():
        if sketch is None:
            continue
        about, number, *figures_of_parts = sketch
        own = program(number)
        key: tuple[Any, ...] = (about, own.runtime, own.cpu, repr(own.asked))
        plain.setdefault(key, (about, number, []))[2].append(id)
        for column, figures in enumerate(figures_of_parts):
            if figures:
                key = (column, *_asked_alike(own, column, figures))
                alike.setdefault(key, (column, number, {}))[2][id] = figures
    # the pace, which takes longest, comes last: what failed before is not asked for it
    by_column = sorted(alike.values(), key=lambda group: group[0])
    return (
        tuple(plain.values()),
        tuple([(column, number, _tree(own)) for column, number, own in by_column]),
    )


def _asked_alike(program: Program, column: int, figures: Figures) -> tuple[Any, ...]:
    """What the finding of such figures follows from beside them and the machine."""
    runtime = program.runtime
    if _COLUMNS[column] == "disk":
        return (None if runtime is None else runtime.store,)
    if _COLUMNS[column] == "memory":
        # what wants a GPU is not sketched, and the RAM is the same for all others
        return ()
    if _is_text(figures):
        id = None if runtime is None else runtime.id
        # what reads next to nothing has no pace, so that more is not slower
        is_paced = step_of(figures).weights_bytes >= LEAST_READ_BYTES
        return id, program.workload.min_tokens_per_second, is_paced
    # the time of other work follows from what is counted of it, too
    kind, *figures_of_kind = figures
    counted = (kind, *map(bool, figures_of_kind))
    return program.modality, counted, *asked_of_cores(runtime, program.workload.quantization or "")


# of few the halves are made when they are asked for: most never are
_FEW = 16


def _tree(figures: Mapping[str, Figures]) -> Tree:
    columns = list(zip(*figures.values(), strict=True))
    least, most = tuple(map(min, columns)), tuple(map(max, columns))
    if len(figures) <= _FEW:
        return least, most, figures, ()
    return least, most, {}, _halves(figures)


def _halves(figures: Mapping[str, Figures]) -> list[Tree]:
    ids = sorted(figures, key=figures.__getitem__)
    middle = len(ids) // 2
    return [_tree({id: figures[id] for id in part}) for part in (ids[:middle], ids[middle:])]


def outlook(
    sketches: Sketches,
    program: Callable[[int], Program],
    machine: Machine,
    is_slow: Callable[[Judged, float | None], bool],
    is_asked: Callable[[str], bool] | None = None,
) -> dict[str, tuple[int, bool]]:
    """By id RUNS, OPEN or FAILS, and where it does not fail whether it `is_slow` for the pace
    wanted; of those ids that it `is_asked` of, if not of all. Only for what `may_bracket`, where
    the machine holds none of the files.
    """
    by_program, by_figures = sketches
    left: dict[str, int] = {}
    slow: set[str] = set()
    for about, number, of_program in by_program:
        ids = of_program if is_asked is None else [id for id in of_program if is_asked(id)]
        if not ids:
            continue
        worst = about if about == FAILS else max(about, _left_by_program(program(number), machine))
        left.update(dict.fromkeys(ids, worst))
    for column, number, tree in by_figures:
        judged = getattr(_Checks(program(number), machine, is_slow), _COLUMNS[column])
        for id, (worst, is_too_slow) in _spread(tree, judged, left):
            if id in left:
                left[id] = max(left[id], worst)
            if is_too_slow:
                slow.add(id)
    return {id: (worst, worst != FAILS and id in slow) for id, worst in left.items()}


def paces_of_text(
    sketches: Sketches, program: Callable[[int], Program], machine: Machine
) -> Callable[[str], Speed | None]:
    """By id the pace of text on the machine, as `judging` finds it; None of other work."""
    figures: dict[str, tuple[int, Figures]] = {}
    for column, number, tree in sketches[1]:
        if _COLUMNS[column] == "work":
            figures.update({id: (number, own) for id, own in _figures_in(tree)})

    def pace(id: str) -> Speed | None:
        number, own = figures.get(id, (0, ()))
        if not _is_text(own):
            return None
        return _paced(question_of(program(number)), own, machine)[0]

    return pace


def _is_text(work: Sequence[float]) -> bool:
    """Whether those figures of the work are of a step of text; not where there are none."""
    return bool(work) and work[0] == TEXT


def question_of(program: Program) -> Question:
    """Of a model whose layers are not asked for."""
    return Question(
        spec=ModelSpec(id="", name=""),
        workload=program.workload,
        runtime=program.runtime,
        speed_stated=program.speed_stated,
        read_bytes={},
    )


def _paced(
    question: Question, step: Sequence[float], machine: Machine
) -> tuple[Speed | None, Finding | None]:
    """The pace of text of which a step has these figures."""
    stepping = Question.partly({**vars(question), "step": step_of(step)})
    return pace_and_finding(stepping, _NO_NEEDS, machine)


class _Checks:
    """What `record` finds of figures, for the questions of one program."""

    def __init__(
        self, program: Program, machine: Machine, is_slow: Callable[[Judged, float | None], bool]
    ) -> None:
        self._machine, self._is_slow = machine, is_slow
        self._modality = program.modality
        self._wanted = program.workload.min_tokens_per_second
        self._question = question_of(program)

    def memory(self, figures: Sequence[float]) -> tuple[int, bool]:
        """Of `Sketch`'s figures of the memory."""
        needs = _needs_of(figures, (0, 0))
        _, findings = next(ways_held(self._question, needs, self._machine))
        return _left_by(findings), False

    def disk(self, figures: Sequence[float]) -> tuple[int, bool]:
        """Of `Sketch`'s figures of the disk."""
        finding = disk_finding(self._question, _needs_of((0, 0, 0), figures), self._machine)
        return _left_by([finding]), False

    def work(self, figures: Sequence[float]) -> tuple[int, bool]:
        """Of `Sketch`'s figures of the work, with whether that is too slow."""
        return self._step(figures) if _is_text(figures) else self._other(figures)

    @cached_property
    def _cores(self) -> OnCores:
        quantization, runtime = self._question.workload.quantization or "", self._question.runtime
        return OnCores(
            modality=self._modality,
            machine=self._machine,
            power=power_of(self._machine, _NO_NEEDS, runtime, quantization),
            runtime=runtime,
            quantization=quantization,
        )

    def _other(self, figures: Sequence[float]) -> tuple[int, bool]:
        """Of work that is no text: its pace decides nothing."""
        if figures[0] != UNCOUNTED:
            speed = pace_of_figures(figures, self._cores)
            finding = check.work_check(speed, offload=None, on_processor=True)
        elif self._modality in check.MADE:
            finding = check.made_on_processor_check(self._modality)
        else:
            return RUNS, False
        return RUNS, self._is_slow(Judged(findings=(finding,), needs=None, speed=None), None)

    def _step(self, figures: Sequence[float]) -> tuple[int, bool]:
        pace, finding = _paced(self._question, figures, self._machine)
        too_slow = self._is_slow(Judged(findings=(), needs=None, speed=pace), self._wanted)
        return _left_by(() if finding is None else (finding,)), too_slow


_ANY_CPU = CpuNeed(architectures=(), instruction_sets={})


def _needs_of(memory: Sequence[float], disk: Sequence[float]) -> Needs:
    """What takes as much, of one term that nobody asks for."""
    high, low, evictable = memory
    stored, largest = disk
    need = MemoryNeed.partly(
        {
            "terms": (),
            "high_bytes": high,
            "low_bytes": low,
            "total_bytes": high,
            "evictable_bytes": evictable,
        }
    )
    return Needs.partly(
        {
            "memory": need,
            "disk_bytes": stored,
            "download_bytes": stored,
            "largest_file_bytes": largest,
            "cpu": _ANY_CPU,
        }
    )


_NO_NEEDS = _needs_of((0, 0, 0), (0, 0))


def _left_by_program(program: Program, machine: Machine) -> int:
    findings = []
    if program.cpu is not None:
        findings.append(check.cpu_check(program.cpu, machine, program.runtime))
    if program.asked is not None:
        findings.append(check.runtime_check(machine, program.runtime, **program.asked))
    return _left_by(findings)


def _left_by(findings: Iterable[Finding]) -> int:
    """What those findings leave: RUNS, OPEN or FAILS."""
    worst = RUNS
    for finding in findings:
        if finding.outcome is Outcome.FAIL:
            return FAILS
        if finding.leaves_open:
            worst = OPEN
    return worst


# of figures that rule nothing out, leave nothing open and are fast enough
_NOTHING = RUNS, False


def _spread(
    tree: Tree, judged: Callable[[Figures], tuple[int, bool]], left: Mapping[str, int]
) -> Iterator[tuple[str, tuple[int, bool]]]:
    """By id what is `judged` of its figures, but for `_NOTHING`: asked only where the least and the
    most of some differ in it. Of few, what fails by `left`, or is not there, is not asked for.
    """
    answers: dict[Figures, tuple[int, bool]] = {}

    def answer(corner: Figures) -> tuple[int, bool]:
        if corner not in answers:
            answers[corner] = judged(corner)
        return answers[corner]

    waiting = [tree]
    while waiting:
        part = waiting.pop()
        least, most, few, halves = part
        still = {id: own for id, own in few.items() if left.get(id, FAILS) != FAILS}
        if len(still) < len(few):
            if not still:
                continue
            least, most, few, halves = part = _tree(still)
        of_all = answer(least)
        if of_all != answer(most):
            waiting += halves or _halves(few)
        elif of_all != _NOTHING:
            yield from [(id, of_all) for id in _ids(part)]


def _ids(tree: Tree) -> list[str]:
    """All that are in it."""
    return [id for id, _ in _figures_in(tree)]


def _figures_in(tree: Tree) -> list[tuple[str, Figures]]:
    """Those of all that are in it, by id."""
    _, _, few, halves = tree
    return [*few.items(), *(pair for half in halves for pair in _figures_in(half))]
