"""Which of many models run on a machine without accelerators, by as few judgements as it takes.

Nothing gets better when a model takes more: a larger file, more memory, more work for each token.
So where the least and the most of several needs get the same answer, all between them get it, and
are not judged. What judges is `record`; a test holds every answer against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..catalogue.spec import Denoising, ModelSpec, RuntimeSpec
from ..core.records import FrozenDict, Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import CpuNeed, MemoryNeed, Needs
from . import findings as check
from .compute import power_of
from .findings import Finding, Outcome
from .record import (
    Judged,
    Question,
    disk_finding,
    model_findings,
    pace_and_finding,
    runtime_asked,
    ways_held,
)
from .speed import LEAST_READ_BYTES, Speed
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # what the findings of the model itself leave, the number of its program, then figures: of the
    # memory (the most, the least, evictable), of the disk (to store at least, the largest file) and
    # of the work: of text of a step (`_OF_STEP`), of pictures and vectors the operations of one.
    # Empty where nothing is found of that. None has to be judged whole
    Sketch = tuple[int, int, tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None

# nothing rules it out, something that decides is not known, something rules it out
RUNS, OPEN, FAILS = range(3)
# of a step, all that its pace on a processor follows from
_OF_STEP = (
    "weights_bytes", "unpacking_core_seconds", "alone_core_seconds", "layers", "attention_flops",
    "is_vague", "choosing_seconds",
)  # fmt: skip


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
    return Program(
        modality=question.spec.modality,
        workload=question.workload,
        speed_stated=question.speed_stated,
        runtime=question.runtime,
        cpu=None if question.needs is None else question.needs.cpu,
        asked=runtime_asked(question),
    )


def sketch_of(question: Question, number: int) -> Sketch:
    """What decides of a question whose program has that number."""
    needs, left = question.needs, _left_by(model_findings(question))
    if needs is None:
        return left, number, (), (), ()
    memory, runtime = needs.memory, question.runtime
    wants_gpu = runtime is not None and runtime.wants_gpu(question.workload.quantization)
    stored, _ = check.ends_to_store(needs, None)
    if memory is None or stored is None or wants_gpu:
        return None
    of_work: tuple[float, ...]
    if question.read_bytes is not None:
        step = question.step
        if step.weights_bytes < LEAST_READ_BYTES:
            return None
        of_work = (*[getattr(step, name) for name in _OF_STEP], *step.operation_counts)
    else:
        of_work = _operations(question.spec)
    return (
        left,
        number,
        (memory.high_bytes, memory.low_bytes, memory.evictable_bytes),
        (stored, needs.largest_file_bytes or 0),
        of_work,
    )


def _operations(spec: ModelSpec) -> tuple[float, ...]:
    """Of one picture or document; of what nothing counts none, and () of speech."""
    architecture, parameters = spec.architecture, spec.parameters.active
    if spec.modality == "image" and spec.denoising is not None:
        from .pictures import picture_operations

        return (picture_operations(spec.denoising),)
    if spec.modality == "embedding" and architecture is not None and parameters is not None:
        from .documents import tokens_and_operations

        return (tokens_and_operations(architecture, parameters)[1],)
    return () if spec.modality == "speech" else (0,)


def tells_pace(sketch: Sketch) -> bool:
    """Whether how fast the work goes follows from it."""
    return sketch is not None and bool(sketch[-1])


def may_bracket(machine: Machine, workload: Workload) -> bool:
    """Whether sketches tell what questions would: the machine surely has no accelerator, and no
    limit that counts but a part of the memory; of the answer only the pace is asked.
    """
    limits = (machine.address_space_bytes, machine.private_memory_bytes)
    return machine.accelerators == () and limits == (None, None) and workload.prompt_tokens is None


def outlook(
    sketches: Mapping[str, Sketch],
    program: Callable[[int], Program],
    machine: Machine,
    is_slow: Callable[[Judged, float | None], bool],
) -> dict[str, tuple[int, bool]]:
    """By id RUNS, OPEN or FAILS, and where it does not fail whether it `is_slow` for the pace
    wanted. Only for what `may_bracket`, where the machine holds none of the files.
    """
    left, alike = _left_and_alike(sketches, program, machine)
    slow: set[str] = set()
    for own, members in alike.values():
        checks = _Checks(own, machine, is_slow)
        for column, judged in enumerate((checks.memory, checks.disk, checks.work)):
            figures = {
                id: each[column]
                for id, each in members.items()
                if each[column] and left[id] != FAILS
            }
            for id, (worst, is_too_slow) in _spread(figures, judged):
                left[id] = max(left[id], worst)
                if is_too_slow:
                    slow.add(id)
    return {id: (worst, worst != FAILS and id in slow) for id, worst in left.items()}


# models that are asked for alike: of each its figures, by id
_Alike = tuple[Program, dict[str, Sequence[tuple[float, ...]]]]


def _left_and_alike(
    sketches: Mapping[str, Sketch], program: Callable[[int], Program], machine: Machine
) -> tuple[dict[str, int], dict[tuple[Any, ...], _Alike]]:
    """What is left by the model itself and by its program, and the models whose figures decide."""
    left: dict[str, int] = {}
    of_program: dict[int, int] = {}
    alike: dict[tuple[Any, ...], _Alike] = {}
    for id, sketch in sketches.items():
        if sketch is None:
            continue
        about, number, *figures_of_parts = sketch
        memory, _, work = figures_of_parts
        own = program(number)
        if number not in of_program:
            of_program[number] = _left_by(_of_program(own, machine))
        left[id] = max(about, of_program[number])
        if left[id] != FAILS and memory:
            of_text = len(work) >= len(_OF_STEP)
            wanted = own.workload.min_tokens_per_second if of_text else None
            # the time of other work depends on the type that is computed in
            kind = None if of_text else (own.modality, own.workload.quantization, len(work))
            key = (own.runtime and own.runtime.id, wanted, kind)
            alike.setdefault(key, (own, {}))[1][id] = figures_of_parts
    return left, alike


class _Checks:
    """What `record` finds of figures, for the questions of one program."""

    def __init__(
        self, program: Program, machine: Machine, is_slow: Callable[[Judged, float | None], bool]
    ) -> None:
        self._machine, self._is_slow = machine, is_slow
        self._modality = program.modality
        self._wanted = program.workload.min_tokens_per_second
        self._question = Question(
            # of a model whose layers are not asked for
            spec=ModelSpec(id="", name=""),
            workload=program.workload,
            runtime=program.runtime,
            speed_stated=program.speed_stated,
            read_bytes={},
        )

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
        return self._step(figures) if len(figures) >= len(_OF_STEP) else self._other(*figures)

    def _other(self, operations: float) -> tuple[int, bool]:
        """Of work that is no text: its pace decides nothing."""
        from .documents import UNIT, documents_a_second, shares_of_documents
        from .pictures import pace_of_pictures

        machine, workload, runtime = self._machine, self._question.workload, self._question.runtime
        kind = workload.quantization or ""
        if self._modality in check.MADE:
            finding = check.made_on_processor_check(self._modality)
        elif not operations:
            return RUNS, False
        else:
            power = power_of(machine, _needs_of((0, 0, 0), (0, 0)), runtime, kind)
            if self._modality == "image":
                picture = Denoising(
                    steps=1, passes=1, step_operations=int(operations), decode_operations=0
                )
                speed = pace_of_pictures(
                    machine,
                    power,
                    picture,
                    pixels=None,
                    quantization=kind,
                    runtime=runtime,
                    offload=None,
                )
            else:
                pace = None
                if power is not None:
                    shares = shares_of_documents(machine, power, runtime, kind)
                    pace = documents_a_second(power, operations, shares)
                speed = Speed(work=pace, unit=UNIT, how="")
            finding = check.work_check(speed, offload=None, on_processor=True)
        return RUNS, self._is_slow(Judged(findings=(finding,), needs=None, speed=None), None)

    def _step(self, figures: Sequence[float]) -> tuple[int, bool]:
        named = dict(zip(_OF_STEP, figures, strict=False))
        counts = tuple(figures[len(_OF_STEP) :])
        step = Step.partly({**named, "operation_counts": counts, **_NO_STEP})
        question = Question.partly({**vars(self._question), "step": step})
        pace, finding = pace_and_finding(question, _needs_of((0, 0, 0), (0, 0)), self._machine)
        too_slow = self._is_slow(Judged(findings=(), needs=None, speed=pace), self._wanted)
        return _left_by(() if finding is None else (finding,)), too_slow


_NO_STEP = {"architecture": None, "read_bytes": FrozenDict()}
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


def _of_program(program: Program, machine: Machine) -> Iterator[Finding]:
    if program.cpu is not None:
        yield check.cpu_check(program.cpu, machine, program.runtime)
    if program.asked is not None:
        yield check.runtime_check(machine, program.runtime, **program.asked)


def _left_by(findings: Iterable[Finding]) -> int:
    """What those findings leave: RUNS, OPEN or FAILS."""
    worst = RUNS
    for finding in findings:
        if finding.outcome is Outcome.FAIL:
            return FAILS
        if finding.leaves_open:
            worst = OPEN
    return worst


def _spread(
    figures: Mapping[str, tuple[float, ...]], judged: Callable[[tuple[float, ...]], Any]
) -> Iterator[tuple[str, Any]]:
    """By id what is `judged` of its figures, asked only where the least and the most of some differ
    in it.
    """
    answers: dict[tuple[float, ...], Any] = {}

    def answer(corner: tuple[float, ...]) -> Any:
        if corner not in answers:
            answers[corner] = judged(corner)
        return answers[corner]

    waiting: list[Sequence[str]] = [sorted(figures, key=figures.__getitem__)] if figures else []
    while waiting:
        ids = waiting.pop()
        columns = list(zip(*[figures[id] for id in ids], strict=True))
        least = answer(tuple(map(min, columns)))
        if len(ids) == 1 or least == answer(tuple(map(max, columns))):
            yield from ((id, least) for id in ids)
        else:
            middle = len(ids) // 2
            waiting += [ids[:middle], ids[middle:]]
