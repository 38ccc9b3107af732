"""Which of many models run on a machine without accelerators, by as few judgements as it takes.

Nothing gets better when a model takes more: a larger file, more memory, more work for each token.
So where the least and the most of several needs get the same answer, all between them get it, and
are not judged. What judges is `record`; a test holds every answer against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..catalogue.media import Denoising, Sound
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import FrozenDict, Record
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import CpuNeed, MemoryNeed, Needs
from . import findings as check
from .compute import Power, power_of
from .findings import Finding, Outcome
from .judging import disk_finding, model_findings, runtime_asked, ways_held
from .pacing import pace_and_finding
from .record import Judged, Question
from .speed import LEAST_READ_BYTES, PaceRange, Speed
from .step import Step

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    # what the findings of the model itself leave, the number of its program, then figures: of the
    # memory (the most, the least, evictable), of the disk (to store at least, the largest file) and
    # of the work: of text of a step (`_figures_of`), of pictures and vectors the operations of one,
    # of speech `_OF_SPEECH` and of a step, `_OF_SOUND`, or the likely seconds of a minute where
    # they are the same on any processor. Empty where nothing is found of that. None has to be
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
# of a step, all that its pace on a processor follows from
_OF_STEP = (
    "weights_bytes", "unpacking_core_seconds", "alone_core_seconds", "layers", "attention_flops",
    "is_vague", "choosing_seconds",
)  # fmt: skip
# of `speech.SpeechWork`, all that its pace follows from beside the step
_OF_SOUND = ("operations_per_second", "step_parameters", "tokens_per_second")
_OF_SPEECH = ("encoder_operations", "decoder_parameters", "audio_operations", "parameter_bytes")


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
    if memory is None or stored is None or wants_gpu or _is_beyond_figures(question):
        return None
    of_work: tuple[float, ...]
    if question.read_bytes is not None:
        of_work = _figures_of(question.step)
    else:
        of_work = _of_other_work(question, needs)
    return (
        left,
        number,
        (memory.high_bytes, memory.low_bytes, memory.evictable_bytes),
        (stored, (needs.making or needs).largest_file_bytes or 0),
        of_work,
    )


def _is_beyond_figures(question: Question) -> bool:
    """Whether its pace follows from more than a sketch holds: of sound whose layers no rule
    describes, of a clip whose steps are counted, of an embedding model whose layers are not known.
    """
    spec = question.spec
    if spec.sound is not None and spec.modality != "speech":
        return True
    if spec.modality in check.MADE:
        from .pictures import denoising_of

        return denoising_of(spec, question.runtime) is not None
    return spec.modality == "embedding" and spec.architecture is None


def _figures_of(step: Step) -> tuple[float, ...]:
    return (*[getattr(step, name) for name in _OF_STEP], *step.operation_counts)


def _step_of(figures: Sequence[float]) -> Step:
    """One that takes as much."""
    named = dict(zip(_OF_STEP, figures, strict=False))
    counts = tuple(figures[len(_OF_STEP) :])
    return Step.partly({**named, "operation_counts": counts, **_NO_STEP})


def _of_other_work(question: Question, needs: Needs) -> tuple[float, ...]:
    """Of speech, or the operations of one picture or document; of what nothing counts (0,)."""
    spec = question.spec
    architecture, parameters = spec.architecture, spec.parameters.active
    if spec.modality == "image" and spec.denoising is not None:
        from .pictures import picture_operations

        return (picture_operations(spec.denoising),)
    if spec.modality == "image":
        from .other_work import parameters_of_pictures
        from .pictures import OPERATIONS_A_PARAMETER

        return ((parameters_of_pictures(spec) or 0) * OPERATIONS_A_PARAMETER[1],)
    if spec.modality == "embedding" and architecture is not None and parameters is not None:
        from .documents import tokens_and_operations

        return (tokens_and_operations(architecture, parameters)[1],)
    if spec.modality == "speech":
        from .speech import seconds_on_any_processor, speech_work

        work = speech_work(spec, needs, question.workload.quantization or "")
        if work is not None:
            return (*[getattr(work, name) for name in _OF_SPEECH], *_figures_of(work.step))
        seconds = seconds_on_any_processor(spec)
        if seconds is not None:
            return (seconds[1],)
        if spec.sound is not None:
            return tuple([getattr(spec.sound, name) or 0 for name in _OF_SOUND])
    return (0,)


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
    return (
        tuple(plain.values()),
        tuple([(column, number, _tree(own)) for column, number, own in alike.values()]),
    )


def _asked_alike(program: Program, column: int, figures: Figures) -> tuple[Any, ...]:
    """What the finding of such figures follows from beside them and the machine."""
    runtime = program.runtime
    if _COLUMNS[column] == "disk":
        return (None if runtime is None else runtime.store,)
    id = None if runtime is None else runtime.id
    if _COLUMNS[column] == "memory":
        return (id,)
    if _is_text(figures):
        # what reads next to nothing has no pace, so that more is not slower
        is_paced = figures[0] >= LEAST_READ_BYTES
        return id, program.workload.min_tokens_per_second, is_paced
    # the time of other work depends on the type that is computed in
    return id, program.modality, program.workload.quantization, len(figures)


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
) -> dict[str, tuple[int, bool]]:
    """By id RUNS, OPEN or FAILS, and where it does not fail whether it `is_slow` for the pace
    wanted. Only for what `may_bracket`, where the machine holds none of the files.
    """
    by_program, by_figures = sketches
    left: dict[str, int] = {}
    slow: set[str] = set()
    for about, number, ids in by_program:
        worst = about if about == FAILS else max(about, _left_by_program(program(number), machine))
        left.update(dict.fromkeys(ids, worst))
    for column, number, tree in by_figures:
        judged = getattr(_Checks(program(number), machine, is_slow), _COLUMNS[column])
        for id, (worst, is_too_slow) in _spread(tree, judged):
            left[id] = max(left[id], worst)
            if is_too_slow:
                slow.add(id)
    return {id: (worst, worst != FAILS and id in slow) for id, worst in left.items()}


def _is_text(work: Sequence[float]) -> bool:
    """Whether those figures of the work are of a step alone."""
    return len(work) == _STEP_FIGURES


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
        return self._step(figures) if _is_text(figures) else self._other(figures)

    def _other(self, figures: Sequence[float]) -> tuple[int, bool]:
        """Of work that is no text: its pace decides nothing."""
        if self._modality in check.MADE:
            finding = check.made_on_processor_check(self._modality)
        elif not any(figures):
            return RUNS, False
        else:
            speed = self._pace_of_other(figures)
            finding = check.work_check(speed, offload=None, on_processor=True)
        return RUNS, self._is_slow(Judged(findings=(finding,), needs=None, speed=None), None)

    def _pace_of_other(self, figures: Sequence[float]) -> Speed:
        machine, workload, runtime = self._machine, self._question.workload, self._question.runtime
        kind = workload.quantization or ""
        power = power_of(machine, _needs_of((0, 0, 0), (0, 0)), runtime, kind)
        if self._modality == "speech":
            return self._pace_of_speech(power, figures)
        (operations,) = figures
        if self._modality == "image":
            from .pictures import pace_of_pictures

            return pace_of_pictures(
                machine,
                power,
                Denoising(steps=1, passes=1, step_operations=int(operations), decode_operations=0),
                pixels=None,
                quantization=kind,
                runtime=runtime,
                offload=None,
            )
        from .documents import UNIT, documents_a_second, shares_of_documents

        pace = None
        if power is not None:
            shares = shares_of_documents(machine, power, runtime, kind)
            pace = documents_a_second(power, operations, shares)
        return Speed(work=pace, unit=UNIT, how="")

    def _pace_of_speech(self, power: Power | None, figures: Sequence[float]) -> Speed:
        from .speech import UNIT, SpeechWork, pace_of_sound, pace_of_speech

        machine, runtime = self._machine, self._question.runtime
        if len(figures) == 1:
            (likely,) = figures
            pace = PaceRange(low=likely, likely=likely, high=likely)
            return Speed(work=None if power is None else pace, unit=UNIT, how="")
        if len(figures) == len(_OF_SOUND):
            operations, parameters, tokens = figures
            sound = Sound(
                operations_per_second=operations or None,
                step_parameters=int(parameters) or None,
                tokens_per_second=tokens or None,
            )
            return pace_of_sound(machine, power, sound, None)
        work = SpeechWork.partly(
            {
                **dict(zip(_OF_SPEECH, figures, strict=False)),
                "step": _step_of(figures[len(_OF_SPEECH) :]),
            }
        )
        kind = self._question.workload.quantization or ""
        return pace_of_speech(machine, power, work, quantization=kind, runtime=runtime)

    def _step(self, figures: Sequence[float]) -> tuple[int, bool]:
        step = _step_of(figures)
        question = Question.partly({**vars(self._question), "step": step})
        pace, finding = pace_and_finding(question, _needs_of((0, 0, 0), (0, 0)), self._machine)
        too_slow = self._is_slow(Judged(findings=(), needs=None, speed=pace), self._wanted)
        return _left_by(() if finding is None else (finding,)), too_slow


# with the least, the likely and the most operations
_STEP_FIGURES = len(_OF_STEP) + 3
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
    tree: Tree, judged: Callable[[Figures], tuple[int, bool]]
) -> Iterator[tuple[str, tuple[int, bool]]]:
    """By id what is `judged` of its figures, but for `_NOTHING`: asked only where the least and the
    most of some differ in it.
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
        of_all = answer(least)
        if of_all != answer(most):
            waiting += halves or _halves(few)
        elif of_all != _NOTHING:
            yield from [(id, of_all) for id in _ids(part)]


def _ids(tree: Tree) -> list[str]:
    """All that are in it."""
    _, _, few, halves = tree
    return [*few, *(id for half in halves for id in _ids(half))]
