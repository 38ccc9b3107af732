"""`check`, `can_run`, `rank`, `plan`, `compare`: the catalogue, the needs and the machine joined.
The real machine is read only where none is given.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice

from . import needs as need
from .advice.alternatives import alternatives, open_alternatives, room
from .advice.api_route import meets, offers_for
from .advice.commands import about_files
from .advice.remarks import (
    DRAFT_NOTE,
    faster_ways,
    lies_elsewhere,
    notes_instead,
    slots,
    tells_sequences,
    training_note,
    which_trainer,
)
from .advice.steps import steps
from .catalogue.index import Catalogue, spec_in
from .catalogue.names import Resolution, is_path, resolve
from .catalogue.offers import Offer, at_context, cheapest_first
from .catalogue.published import PublishedFiles
from .catalogue.quality import loss_by_size, quality_for
from .catalogue.spec import MODALITIES, SIZE_OF, USES, ModelSpec, RuntimeSpec
from .core import dates, units
from .core.errors import (
    MAX_PROBLEMS,
    Problem,
    SelfhostError,
    UnknownModelError,
    WorkloadError,
)
from .core.records import Record
from .core.workload import (
    FLAGS,
    PRICE_SOURCES,
    Workload,
)
from .machine.reader import Machine
from .needs.repack import KINDS, kind_of
from .verdict.defaults import Asker, ask_for_machine
from .verdict.present import Here
from .verdict.question import architectures, ask, asked_for_amounts, beyond
from .verdict.record import (
    Answer,
    Judged,
    Outcome,
    Question,
    Route,
    Size,
    Verdict,
    considered,
    judge,
)
from .verdict.speed import PaceRange, instruction_sets_for_layout

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .advice.listing import Listing
    from .advice.plan import Plan
    from .advice.sizes import ContainerSize
    from .catalogue.openness import Row

PathLike = str | os.PathLike[str]
SPECS_VARIABLE = "SELFHOST_SPECS"


def check(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    prices: str = "snapshot",
) -> Verdict:
    """Can this machine download and run the model, or is an API the practical route?

    `model` is a name as people type it, a path to a local model file, or a ModelSpec. `machine` is
    a Machine, or the name of a known one such as "macbook air m2 16gb"; it defaults to this one,
    read as `Machine.read` does: without a socket or a write, and without a child process but one
    that asks an NVIDIA driver, where there is one. Given one, nothing of this machine is read but
    spec files and the date, on which prices end. `specs` are folders of own spec files, which go
    before those that the environment variable SELFHOST_SPECS names. `prices`: "genai-prices" takes
    the figures of that package, where it is newer than the snapshot; it must be installed (the
    extra `prices`), and nothing is fetched.

    Raises `UnknownModelError`, `UnknownMachineError`, `SpecError`, `WorkloadError`; each says what
    to type instead.
    """
    _one_of("prices", prices, PRICE_SOURCES)
    return check_with(*_given(model, workload, machine, specs), prices=prices)


def check_together(
    models: Sequence[str | os.PathLike[str] | ModelSpec],
    workloads: Workload | Sequence[Workload] | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
) -> Verdict:
    """Can this machine run all of these models at once, each in a process of its own?

    `workloads` is one for all, or one for each. Defaults are each model's own, for what would suit
    it best on a machine of its own may not leave room for the others. See `check_together_with` for
    what the verdict holds. The other arguments are those of `check`, and so is what it raises;
    `ValueError` where there are fewer than two models, or not as many workloads.
    """
    if isinstance(models, str | os.PathLike) or not isinstance(models, Sequence):
        raise TypeError(f"models must be a list of models, not {type(models).__name__}")
    for model in models:
        _expect("model", model, _MODEL)
    one = workloads if isinstance(workloads, Workload) or workloads is None else None
    catalogue, shared, machine = _surroundings(one, machine, specs)
    each = [shared] * len(models) if not isinstance(workloads, Sequence) else list(workloads)
    if len(models) < 2 or len(each) != len(models):
        raise ValueError(f"{len(models)} models and {len(each)} workloads: two or more of both")
    besides = [
        Beside(model=model, workload=workload) for model, workload in zip(models, each, strict=True)
    ]
    return check_together_with(catalogue, besides, machine, follows_machine=False)


def can_run(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
) -> bool:
    """True when the route is `local`. False when it is not, or when it cannot be told: `check`
    says which. Takes the arguments of `check` and raises as it does.
    """
    catalogue, model, workload, machine = _given(model, workload, machine, specs)
    understood = _understood(catalogue, model, workload)
    return (
        judge(_question(catalogue, understood, machine), machine).route(offered=False)
        is Route.LOCAL
    )


def rank(
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    use: str | None = None,
    modality: str | None = None,
) -> Ranking:
    """Every model of the catalogue judged for the machine, best first, as `selfhost list` does.

    `use` ("chat", "code", …) and `modality` ("text", "image", …) keep only such models. Models
    that the workload's license or openness rules out are counted in `ruled_out`. `workload`,
    `machine` and `specs` are those of `check`. Raises `UnknownMachineError`, and `WorkloadError`
    also for a use or modality that does not exist.
    """
    if use is not None:
        _one_of("use", use, USES)
    if modality is not None:
        _one_of("modality", modality, MODALITIES)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    from .advice.listing import judge_all

    listing = judge_all(catalogue, workload, machine)
    chosen = [
        answer
        for answer in listing.answers
        if (use is None or use in (answer.model.uses or ()))
        and modality in (None, answer.model.modality)
    ]
    return ranking(chosen, machine, listing)


def plan(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    specs: Sequence[PathLike] = (),
) -> Plan:
    """The least machine that runs the model, and the route on every known machine, as
    `selfhost plan` does. This machine plays no part. Takes and raises what `check` does.
    """
    # what lies on this machine, and how busy it is, do not matter elsewhere
    anywhere = Machine(planning=True)
    catalogue, model, workload, _ = _given(model, workload, anywhere, specs)
    return plan_with(catalogue, model, workload)


def compare(
    models: Sequence[str | os.PathLike[str] | ModelSpec],
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    prices: str = "snapshot",
) -> Comparison:
    """The verdict of each model with its openness and permissions, in the order given, as
    `selfhost compare` does.

    The arguments are those of `check`, and so is what it raises; of several wrong names the first
    is raised, and its notes (`__notes__`) are the others.
    """
    if isinstance(models, str | os.PathLike) or not isinstance(models, Sequence):
        # compare("a", "b") is what people try first
        names = [str(name) for name in (models, workload) if isinstance(name, str)]
        example = names if len(names) > 1 else ["mistral-7b", "phi-4"]
        raise TypeError(
            f"models must be a list of models, not {type(models).__name__}:"
            f" write compare({example!r})"
        )
    _one_of("prices", prices, PRICE_SOURCES)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    verdicts: list[Verdict] = []
    errors: list[SelfhostError] = []
    for model in models:
        _expect("model", model, _MODEL)
        try:
            verdicts.append(check_with(catalogue, model, workload, machine, prices=prices))
        except SelfhostError as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(str(other))
        raise errors[0]
    from .catalogue import openness

    return Comparison(
        models=tuple(
            Compared(
                verdict=verdict,
                openness=tuple(openness.rows(verdict.model)),
                permissions=tuple(openness.permissions(verdict.model)),
            )
            for verdict in verdicts
        )
    )


_MODEL = (str, os.PathLike, ModelSpec)


def _given(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None,
    machine: Machine | str | None,
    specs: Sequence[PathLike],
) -> tuple[Catalogue, str | os.PathLike[str] | ModelSpec, Workload, Machine]:
    """The arguments with their defaults. Raises as `_surroundings`."""
    _expect("model", model, _MODEL)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    return catalogue, model, workload, machine


def _surroundings(
    workload: Workload | None, machine: Machine | str | None, specs: Sequence[PathLike]
) -> tuple[Catalogue, Workload, Machine]:
    """What a model is judged with, defaults filled in. Raises `TypeError` for an argument of
    another type, which would else fail far from here.
    """
    _expect("workload", workload, (Workload, type(None)))
    _expect("machine", machine, (Machine, str, type(None)))
    _expect("specs", specs, (list, tuple))
    if isinstance(machine, str):
        machine = machine_named(machine)
    return open_catalogue(specs), workload or Workload(), machine or Machine.read()


def _expect(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def _one_of(name: str, value: str, choices: Sequence[str]) -> None:
    """`WorkloadError` for a word that is none of the choices."""
    if value not in choices:
        message = f"{value!r} is not one of {', '.join(choices)}"
        raise WorkloadError([Problem(file="workload", key=name, message=message)])


def machine_named(text: str) -> Machine:
    """The known machine or the GPU that `text` names: what `machine="…"` means. Of a GPU it is a
    typical desktop with it, see `machine.named`.

    Raises `UnknownMachineError`, whose text has the nearest names, or for a file of a record what
    reads it.
    """
    from .machine.named import machine_named as named
    from .machine.profiles import UnknownMachineError

    try:
        return named(text)
    except UnknownMachineError as error:
        is_file = text.endswith((".json", ".jsonl")) or os.path.lexists(text)
        if is_file:
            remedy: str | None = f"a record is read by machine=Machine.from_file({text!r})"
        else:
            remedy = error.remedy
        message = f"{error.message}; {remedy}" if remedy else error.message
        raise UnknownMachineError(message, remedy=remedy, nearest=error.nearest) from None


def open_catalogue(specs: Sequence[PathLike] = ()) -> Catalogue:
    """The shipped specs and the user's own folders. Without own folders it is opened once per
    process.
    """
    # the later one wins
    folders = [folder for folder in os.environ.get(SPECS_VARIABLE, "").split(os.pathsep) if folder]
    folders += [os.fspath(folder) for folder in specs]
    return Catalogue.open(folders) if folders else _shipped()


def left_aside(catalogue: Catalogue) -> tuple[str, ...]:
    """A sentence for each of the user's spec files that cannot be read: a model that it states is
    not known.

    The first files are named, the others are counted.
    """
    by_file = catalogue.own_faults_by_file
    notes = [
        f"{file} is ignored:"
        f" {f'{faults[0].key}: ' if faults[0].key else ''}{faults[0].message}"
        + _more_faults(len(faults) - 1)
        + f" (run `selfhost spec check {file}`)."
        for file, faults in islice(by_file.items(), MAX_PROBLEMS)
    ]
    if rest := len(by_file) - len(notes):
        notes.append(
            f"{rest:,} more of your spec files are ignored because of faults (run `selfhost spec"
            " check`)."
        )
    return tuple(notes)


def _more_faults(count: int) -> str:
    if not count:
        return ""
    return ", and 1 more fault" if count == 1 else f", and {count:,} more faults"


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return Catalogue.open()


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    instead: bool = True,
    today: str | None = None,
    prices: str = "snapshot",
    follows_machine: bool = True,
    requires_runtime: bool = False,
) -> Verdict:
    """`check` with everything given. Without `instead` the verdict names only what decides: no
    alternatives, no room. Without `follows_machine` the defaults are the model's own, the same on
    every machine. `requires_runtime`: the runtime must be installed already.
    """
    understood = _understood(catalogue, model, workload)
    question = _question(catalogue, understood, machine, follows_machine=follows_machine)
    if requires_runtime:
        question = question.replace(requires_runtime=True)
    return _answer(
        catalogue, question, understood, machine, instead=instead, today=today, prices=prices
    )


class Beside(Record):
    """One of several models that are to run side by side, as `check_with` takes it."""

    model: str | os.PathLike[str] | ModelSpec
    workload: Workload
    requires_runtime: bool = False


def check_together_with(
    catalogue: Catalogue,
    models: Sequence[Beside],
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
) -> Verdict:
    """One verdict for several models at once on one machine: see `verdict.together`.

    Its model's id and name join theirs, its needs are the sums, its `speed` is None and its
    `workload` states the basis of memory alone. The route is `api` where an API serves each of
    them. Raises as `check` does, for the first model that is wrong.
    """
    from .verdict.together import judge_together

    # every name is looked up before anything is worked out
    understood = [_understood(catalogue, each.model, each.workload) for each in models]
    questions = [
        _question(catalogue, meant, machine, follows_machine=follows_machine).replace(
            requires_runtime=each.requires_runtime
        )
        for each, meant in zip(models, understood, strict=True)
    ]
    judged = judge_together(questions, [meant.asked for meant in understood], machine)
    day = today or dates.utc_today()
    is_offered = judged.failed and all(
        offers_for(catalogue, question, judged, day) for question in questions
    )
    return Verdict(
        asked=TOGETHER.join(meant.asked for meant in understood),
        model=joined_spec([question.spec for question in questions]),
        workload=Workload().replace(memory_basis=questions[0].workload.memory_basis),
        machine=machine,
        route=judged.route(is_offered),
        needs=judged.needs,
        speed=None,
        findings=judged.findings,
    )


# between the names of models that run side by side
TOGETHER = " + "


def joined_spec(specs: Sequence[ModelSpec]) -> ModelSpec:
    """Ids and names of models that run side by side."""
    return ModelSpec(
        id=TOGETHER.join(spec.id for spec in specs), name=TOGETHER.join(spec.name for spec in specs)
    )


def _wishes(workload: Workload) -> object:
    """What is asked of a model's license and openness."""
    return workload.license, workload.commercial, workload.modify, workload.auditable


# names without a model that are explained, of a policy: as many as its faults are listed for a
# program to read
_MOST_EXPLAINED = 1_000
# questions that are kept for entries that differ in amounts alone
_MOST_ASKED = 4_096


class FleetJudge:
    """Judges the models of a policy on all machines of a fleet at once, by the models' own
    defaults and without alternatives: each question is asked once for all machines that it does
    not depend on.
    """

    def __init__(self, catalogue: Catalogue, today: str) -> None:
        self._catalogue = catalogue
        self._today = today
        # whether a model meets the license and openness asked for, by what was asked
        self._met: dict[object, dict[str, bool]] = {}
        self._layouts: dict[int, list[str]] = {}
        # a policy may state thousands of entries that differ in an amount alone
        self._meanings: dict[object, _Understood] = {}
        self._unknown = 0
        self._asked: dict[object, tuple[Machine, Question]] = {}

    def verdict(self, model: Beside, machine: Machine) -> Verdict:
        """What `check_with` finds of one model on one machine, and its route: without offers,
        commands and notes. Raises as `check`.
        """
        understood = self._meaning_of(model)
        question = self._question_alone(understood, machine)
        if model.requires_runtime:
            question = question.replace(requires_runtime=True)
        judged = judge(question, machine)
        return Verdict(
            asked=understood.asked,
            model=question.spec,
            workload=question.workload,
            machine=machine,
            route=self.routes([model], [question])(judged),
            needs=judged.needs,
            speed=judged.speed,
            findings=judged.findings,
        )

    def _meaning_of(self, model: Beside) -> _Understood:
        """As `_understood`; a name is looked up once, whatever amounts it is asked with."""
        named, workload = model.model, model.workload
        if not isinstance(named, str) or is_path(named):
            return _understood(self._catalogue, named, workload)
        key = named, workload.quantization, workload.runtime, workload.task
        meaning = self._meanings.get(key)
        if meaning is None:
            explains = self._unknown < _MOST_EXPLAINED
            try:
                meaning = _understood_name(self._catalogue, named, workload, explains=explains)
            except UnknownModelError:
                self._unknown += 1
                raise
            self._meanings[key] = meaning
            return meaning
        own = meaning.workload
        if (own.quantization, own.runtime) != (workload.quantization, workload.runtime):
            workload = workload.replace(quantization=own.quantization, runtime=own.runtime)
        return meaning.replace(workload=workload)

    def _question_alone(self, understood: _Understood, machine: Machine) -> Question:
        """As `_question` by the model's own defaults; of an earlier one that differs in amounts
        alone, all but these is taken.
        """
        workload = understood.workload
        context, pace = workload.context_tokens, workload.min_tokens_per_second
        key = (
            understood.spec.id,
            understood.asked,
            workload.replace(
                context_tokens=None if context is None else 1,
                min_tokens_per_second=None if pace is None else 1.0,
            ),
        )
        earlier = self._asked.get(key)
        if earlier is not None and earlier[0] is machine:
            question = asked_for_amounts(earlier[1], context, pace, self._catalogue)
            if question is not None:
                return question
        question = _question(self._catalogue, understood, machine, follows_machine=False)
        if len(self._asked) >= _MOST_ASKED:
            self._asked.clear()
        self._asked[key] = machine, question
        return question

    def questions(
        self, models: Sequence[Beside], machines: Sequence[Machine]
    ) -> list[list[Question]]:
        """Of each model what is asked of each machine, the same object where the same is asked.
        Raises as `check`, for the first model that is wrong.
        """
        # every name is looked up before anything is worked out
        understood = [self._meaning_of(each) for each in models]
        return [
            self._of_model(meant, each.requires_runtime, machines)
            for each, meant in zip(models, understood, strict=True)
        ]

    def _of_model(
        self, understood: _Understood, requires_runtime: bool, machines: Sequence[Machine]
    ) -> list[Question]:
        distinct: list[Question] = []

        def question_on(machine: Machine) -> Question:
            question = _question(self._catalogue, understood, machine, follows_machine=False)
            if requires_runtime:
                question = question.replace(requires_runtime=True)
            for earlier in distinct:
                if earlier == question:
                    return earlier
            distinct.append(question)
            return question

        of_kind: dict[str, Question] = {}
        of_files: dict[Any, Question] = {}
        asked = []
        for machine, kind in zip(machines, self._kinds_of(machines), strict=True):
            if kind not in of_kind:
                # of a machine without models only this decides what is asked
                of_kind[kind] = question_on(
                    Machine(instruction_sets=KINDS[kind], accelerators=(), models_present=())
                )
            question = of_kind[kind]
            if machine.models_present:
                places = tuple((disk.purpose, disk.path) for disk in machine.disks or ())
                key = (kind, machine.models_present, places)
                if key not in of_files:
                    own = question_on(machine)
                    of_files[key] = question if own.here is None else own
                question = of_files[key]
            asked.append(question)
        return asked

    def _kinds_of(self, machines: Sequence[Machine]) -> list[str]:
        """How each machine's processor has the weights laid out, by the names of `needs.repack`."""
        kinds = self._layouts.get(id(machines))
        if kinds is None:
            kinds = [kind_of(instruction_sets_for_layout(machine)) for machine in machines]
            self._layouts[id(machines)] = kinds
        return kinds

    def routes(
        self, models: Sequence[Beside], questions: Sequence[Question]
    ) -> Callable[[Judged], Route]:
        """The route by what is found for the questions, which are asked of these models."""
        # what is offered depends on what is found of the model itself, and of nothing else
        by_own: dict[bool, bool] = {}

        def route(judged: Judged) -> Route:
            if not judged.failed:
                return judged.route(offered=False)
            is_met = meets(judged.findings)
            if is_met not in by_own:
                by_own[is_met] = all(
                    offers_for(
                        self._catalogue,
                        question,
                        judged,
                        self._today,
                        self._met.setdefault(_wishes(each.workload), {}),
                    )
                    for each, question in zip(models, questions, strict=True)
                )
            return judged.route(by_own[is_met])

        return route


def _question(
    catalogue: Catalogue,
    understood: _Understood,
    machine: Machine,
    *,
    follows_machine: bool = True,
) -> Question:
    """The question with its defaults: those that suit the machine best, or the model's own. A name
    that stands for one file keeps the model's own.
    """
    ask_it = ask_for_machine if follows_machine and not understood.is_one_file else ask
    return ask_it(
        understood.spec,
        understood.workload,
        catalogue,
        machine,
        local_files=understood.files_here,
        formats=understood.formats,
        part=understood.part,
        in_memory=understood.in_memory if machine.is_this_one else False,
    )


# what is asked of weights, and says nothing where there are none
_OF_WEIGHTS = {
    key: FLAGS[key] for key in ("runtime", "quantization", "kv_cache_type", "draft", "adapter")
}


class _Understood(Record):
    """What the caller named: the spec, how it was written, the workload with what the name
    itself says, sentences about it.
    """

    spec: ModelSpec
    asked: str
    workload: Workload
    notes: tuple[str, ...] = ()
    files_here: bool = False
    formats: tuple[str, ...] = ()
    part: Here | None = None
    in_memory: bool | None = False
    tag: str | None = None

    @property
    def is_one_file(self) -> bool:
        """What was typed is a tag of Ollama, which loads one file whatever the machine; what is
        trained is no such file.
        """
        if self.workload.task != "generate":
            return False
        return ":" in self.asked and not any(sign in self.asked for sign in "/\\")


def _understood(
    catalogue: Catalogue, model: str | os.PathLike[str] | ModelSpec, workload: Workload
) -> _Understood:
    if isinstance(model, ModelSpec):
        return _Understood(spec=model, asked=model.id, workload=workload)
    typed = os.fspath(model)
    if (
        (not isinstance(model, str) or is_path(typed))
        and typed.lower().endswith(".toml")
        and not os.path.isdir(typed)
    ):
        spec = spec_in(typed)
        from .modelfiles import stored_notes

        return _Understood(
            spec=spec,
            asked=typed,
            workload=workload,
            notes=(*_sized_by_a_file(spec), *stored_notes(spec)),
        )
    if not isinstance(model, str) or is_path(typed):
        return _understood_file(catalogue, typed, workload)
    return _understood_name(catalogue, typed, workload)


def _understood_file(catalogue: Catalogue, typed: str, workload: Workload) -> _Understood:
    from .modelfiles import read_local

    local = read_local(typed, catalogue.common("architectures"))
    if local.quantization and local.files_here and workload.quantization is None:
        workload = workload.replace(quantization=local.quantization)
    notes = local.notes
    asked_in = need.canonical_quantization(workload.quantization or "")
    if local.format == "gguf" and local.quantization and asked_in not in (None, local.quantization):
        # a GGUF file holds one quantization, so another is not here
        local = local.replace(files_here=False)
        notes += (
            (
                f"The file holds {local.quantization}. Judged as {asked_in}, which you would"
                " quantize yourself from the original weights."
            ),
        )
    part: Here | None = None
    if local.missing:
        rest = local.total_bytes - local.size_bytes if local.total_bytes is not None else 0
        part = Here(
            path=typed,
            size_bytes=local.size_bytes,
            missing_bytes=rest if rest > 0 else None,
            missing_files=local.missing,
        )
    return _Understood(
        spec=local.spec,
        asked=typed,
        workload=workload,
        notes=notes,
        files_here=local.files_here,
        formats=(local.format,) if local.files_here or local.missing else (),
        part=part,
        in_memory=local.in_memory,
    )


def _understood_name(
    catalogue: Catalogue, typed: str, workload: Workload, *, explains: bool = True
) -> _Understood:
    resolved = resolve(typed, catalogue, explains=explains)
    quantization, notes = resolved.quantization, resolved.notes
    loaded = _loaded_by_tag(typed, workload, catalogue) if quantization is None else None
    if loaded is not None:
        quantization, notes = loaded, (*notes, f"Ollama's tag {typed} loads {loaded}.")
    if quantization and workload.quantization is None:
        runtime = workload.runtime or resolved.runtime
        workload = workload.replace(quantization=quantization, runtime=runtime)
    elif resolved.runtime and workload.runtime is None and workload.quantization is None:
        workload = workload.replace(runtime=resolved.runtime)
    # what Ollama itself calls it, quantization and all, is the line to type
    tag = (
        typed
        if quantization
        and quantization == workload.quantization
        and ":" in typed
        and "/" not in typed
        else None
    )
    spec = _with_typed_files(catalogue.spec(resolved.spec_id), resolved, catalogue)
    return _Understood(spec=spec, asked=typed, workload=workload, notes=notes, tag=tag)


def _with_typed_files(spec: ModelSpec, resolved: Resolution, catalogue: Catalogue) -> ModelSpec:
    """The spec with the files of the typed repository, where its program would else download
    the original's and quantize them while loading.
    """
    repository, quantization = resolved.repository, resolved.quantization
    if repository is None or quantization is None or resolved.runtime is None:
        return spec
    runtime = catalogue.runtime(resolved.runtime)
    rule, format = runtime.rule_of(quantization), runtime.formats[0]
    if rule is None or not rule.at_load or spec.repository_of(format, quantization) is not None:
        return spec
    files = PublishedFiles(
        format=format,
        repository=repository,
        source=f"the name of {repository}",
        unsized=(quantization,),
    )
    return spec.replace(files=(*spec.files, files))


def _sized_by_a_file(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the spec was made of a file that lies here: it states a model, and
    counts as nothing that was downloaded.
    """
    from shlex import quote

    sized = [
        files.source.removeprefix(SIZE_OF)
        for files in spec.files
        if files.source.startswith(SIZE_OF)
    ]
    return tuple(
        f"You have the file that this spec takes its size from: `selfhost check {quote(path)}`"
        " needs no download."
        for path in sized
        if os.path.exists(path)
    )


def _loaded_by_tag(typed: str, workload: Workload, catalogue: Catalogue) -> str | None:
    """What Ollama loads by that name, where it is a tag whose quantization is another than the
    usual one and GGUF files are asked for.
    """
    if ":" not in typed or workload.quantization is not None or workload.task != "generate":
        return None
    ollama = catalogue.runtime("ollama")
    if (
        workload.runtime is not None
        and catalogue.runtime(workload.runtime.strip().lower()).formats != ollama.formats
    ):
        return None
    return ollama.tags.get(typed.strip().lower().removeprefix("library/").removesuffix(":latest"))


def _priced(
    catalogue: Catalogue, question: Question, judged: Judged, today: str, prices: str
) -> tuple[tuple[Offer, ...], list[str]]:
    """The offers at the prices of that source, the cheapest first for the load or the context that
    was asked for, and a sentence on where newer ones come from.
    """
    workload, notes = question.workload, []
    offers = offers_for(catalogue, question, judged, today)
    if offers and prices != "snapshot":
        from .catalogue.prices import refreshed

        newer = refreshed(offers, catalogue.offers_path, today=today)
        offers = cheapest_first(newer.offers)
        notes.append(newer.note)
    if question.context_asked and workload.context_tokens is not None:
        offers = at_context(offers, workload.context_tokens)
    if workload.load is not None:
        from .advice.costs import dearness

        by_load = partial(dearness, workload.load, question.spec.modality)
        offers = tuple(sorted(offers, key=by_load))
    return offers, notes


def _answer(
    catalogue: Catalogue,
    question: Question,
    understood: _Understood,
    machine: Machine,
    *,
    instead: bool,
    today: str | None = None,
    prices: str = "snapshot",
) -> Verdict:
    spec, workload = question.spec, question.workload
    notes: list[str] = []
    fine_print: list[str] = []
    judged = judge(question, machine)
    day = today or dates.utc_today()
    offers: tuple[Offer, ...] = ()
    if instead or judged.failed:
        offers, newer = _priced(catalogue, question, judged, day, prices)
        fine_print += newer
    to_type = steps(question, judged, catalogue, machine, tag=understood.tag)
    notes = [*notes, *_notes(catalogue, question, understood, offers)]
    if instead:
        is_bounded = any("--ctx-checkpoints" in line for line in to_type.commands)
        notes += notes_instead(catalogue, question, judged, is_bounded=is_bounded)
    fine_print += _notes_of_asking(catalogue, question, understood)
    if instead and (other := lies_elsewhere(catalogue, question, machine)) is not None:
        notes.append(other)
    asker = Asker(catalogue, machine)
    if instead and not judged.fits:
        from .advice.compiled import ReadyAsker

        # other models are asked about
        asker = ReadyAsker(catalogue, machine)
    if question.chosen is not None:
        # how long the examples are decides what is learned, so a shorter length is not fine print
        (notes if workload.task == "finetune" else fine_print).append(question.chosen)
    if not understood.tag:
        fine_print += about_files(question, fits=judged.fits)
    others = alternatives(question, understood.workload, judged, asker) if instead else ()
    cost = None
    if workload.load is not None and instead:
        from .advice.proposal import Costed, month

        cost = month(
            Costed(question=question, asked=understood.workload, machine=machine, offers=offers),
            catalogue,
            judged,
            others,
            lambda other, fit: _priced(catalogue, other, fit, day, prices)[0],
        )
    if instead and (more := slots(catalogue, question, judged, to_type.commands)) is not None:
        (fine_print if tells_sequences(to_type.commands) else notes).append(more)
    return Verdict(
        asked=understood.asked,
        model=spec,
        workload=question.workload,
        machine=machine,
        route=judged.route(bool(offers)),
        needs=judged.needs,
        speed=judged.speed,
        findings=judged.findings,
        here=question.here,
        placements=considered(question, judged, machine) if instead else (),
        room=room(question, judged, machine, catalogue) if instead else None,
        alternatives=others,
        open_alternatives=open_alternatives(spec, understood.workload, asker) if instead else (),
        api_offers=offers,
        monthly_cost=cost,
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        advice=faster_ways(question, judged, machine) if instead else (),
        understood_as=understood.notes,
        notes=tuple(notes),
        fine_print=tuple(fine_print),
        quality=quality_for(workload, catalogue, spec),
        rewrites=question.rewriting is not None,
    )


def _notes(
    catalogue: Catalogue,
    question: Question,
    understood: _Understood,
    offers: tuple[Offer, ...],
) -> Iterator[str]:
    """Sentences on the offers, the user's specs and what was asked to no effect."""
    spec = question.spec
    yield from dict.fromkeys(offer.why_instead for offer in offers if offer.why_instead is not None)
    yield from left_aside(catalogue)
    if spec.overrides:
        yield f"{spec.origin} replaces the shipped {spec.overrides}."
    served = spec.availability
    if question.workload.task == "finetune" and served is not None and served.fine_tuning:
        yield f"Fine-tuning at {served.provider}: {served.fine_tuning}."
    if doubt := spec.unknown.get("availability.retired"):
        yield f"Whether it is still served is not known: {doubt}."
    if question.workload.draft and question.companions is not None:
        yield DRAFT_NOTE
    cache_type = understood.workload.kv_cache_type
    if (
        cache_type is not None
        and question.workload.kv_cache_type is None
        and question.runtime is not None
    ):
        yield (
            f"--kv-cache {cache_type} has no effect: {spec.name} keeps no KV cache in"
            f" {question.runtime.name}."
        )


def _notes_of_asking(
    catalogue: Catalogue, question: Question, understood: _Understood
) -> Iterator[str]:
    """Sentences on options of weights for a closed model, and on training."""
    spec, workload = question.spec, question.workload
    if spec.closed:
        aside = [
            flag
            for key, flag in _OF_WEIGHTS.items()
            if getattr(understood.workload, key) is not None
        ]
        if aside:
            yield (
                f"{' and '.join(aside)} {'has' if len(aside) == 1 else 'have'} no effect: the"
                f" weights of {spec.name} are not published."
            )
    elif workload.task == "finetune":
        yield training_note(workload)
        by_trainer = which_trainer(catalogue, question)
        if by_trainer:
            yield by_trainer


class Ranked(Record):
    """A model in a `Ranking`, by the keys of `selfhost list --format json`.

    `failed` names the findings that rule it out; `why` says in a few words why it stands there,
    None where it does not run. A size or pace that is not known is None.
    """

    model: ModelSpec
    route: Route
    quantization: str | None
    runtime: str | None
    context_tokens: int | None
    memory_high_bytes: int | None
    download_bytes: int | None
    decode_tokens_per_second: PaceRange | None
    failed: tuple[str, ...]
    why: str | None

    def __repr__(self) -> str:
        pace, memory = self.decode_tokens_per_second, self.memory_high_bytes
        parts: list[str] = [self.route]
        if pace is not None:
            parts.append(f"{units.likely_pace(pace.low, pace.likely, pace.high)} tokens/s")
        if memory is not None:
            parts.append(units.binary(memory))
        return f"<Ranked {self.model.id}: {', '.join(parts)}>"


class Ranking(Record):
    """The models judged for one machine, best first, by the keys of `selfhost list --format json`.

    `ruled_out` counts the models left out because of their license or openness. `catalogue_as_of`
    is the day of the catalogue, `YYYY-MM-DD`: what came out later is not in it.
    """

    machine: Machine
    ruled_out: int
    catalogue_as_of: str | None
    models: tuple[Ranked, ...]

    def __repr__(self) -> str:
        running = [row.model.id for row in self.models if row.route is Route.LOCAL]
        first = f"; first: {', '.join(running[:3])}" if running else ""
        return (
            f"<Ranking: {len(running)} of {len(self.models)} models run on"
            f" {self.machine.name}{first}>"
        )

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost list --format json`, `selfhost.list/1`, as a dict."""
        return _as_json("ranking", self)


def _as_json(function: str, value: object) -> dict[str, Any]:
    """What that function of `reports.json` gives: reports import this module, so that it cannot
    import them.
    """
    from importlib import import_module

    document: dict[str, Any] = getattr(import_module(".reports.json", __package__), function)(value)
    return document


def ranking(answers: Sequence[Answer], machine: Machine, listing: Listing) -> Ranking:
    """Those answers of a listing that were chosen, in their order."""
    rows = tuple(_ranked(answer, listing.why.get(answer.model.id)) for answer in answers)
    return Ranking(
        machine=machine,
        ruled_out=listing.ruled_out,
        catalogue_as_of=listing.as_of,
        models=rows,
    )


def _ranked(answer: Answer, why: str | None) -> Ranked:
    needs, asked = answer.needs, answer.workload
    return Ranked(
        model=answer.model,
        route=answer.route,
        quantization=asked.quantization,
        runtime=asked.runtime,
        context_tokens=asked.context_tokens,
        memory_high_bytes=needs.memory.high_bytes if needs and needs.memory else None,
        download_bytes=needs.download_bytes if needs else None,
        decode_tokens_per_second=answer.speed.decode if answer.speed else None,
        failed=tuple(
            finding.check for finding in answer.findings if finding.outcome is Outcome.FAIL
        ),
        why=why,
    )


class Compared(Record):
    """A model in a `Comparison`: its verdict, how open it is, and what its license permits."""

    openness: tuple[Row, ...]
    permissions: tuple[Row, ...]
    verdict: Verdict

    def __repr__(self) -> str:
        return f"<Compared {self.verdict!r}>"


class Comparison(Record):
    """Models side by side, by the keys of `selfhost compare --format json`."""

    models: tuple[Compared, ...]

    def __repr__(self) -> str:
        return f"<Comparison {', '.join(repr(model.verdict) for model in self.models)}>"

    def to_json(self) -> dict[str, Any]:
        """The object of `selfhost compare --format json`, `selfhost.compare/1`, as a dict."""
        return _as_json("compared", [model.verdict for model in self.models])


def plan_with(
    catalogue: Catalogue, model: str | os.PathLike[str] | ModelSpec, workload: Workload
) -> Plan:
    """`plan` with everything given."""
    from .advice.plan import make_plan
    from .machine.profiles import all_profiles

    anywhere = Machine(planning=True)
    named = check_with(catalogue, model, workload, anywhere, instead=False, follows_machine=False)
    plain = ask(named.model, workload, catalogue, anywhere).workload
    # what the name itself says, such as a tag's quantization
    said = {
        key: value
        for key in ("runtime", "quantization")
        if (value := getattr(named.workload, key)) != getattr(plain, key)
    }
    return make_plan(
        named.model,
        workload.replace(**said),
        catalogue,
        all_profiles(),
        asked=named.asked,
        notes=(*named.understood_as, *named.notes),
    )


def size(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    prompt_cache_bytes: int | None = None,
) -> ContainerSize:
    """The memory request and limit, disk and accelerators of a container or service that serves
    the model, as `selfhost size` does.

    `machine` gives processor and accelerators alone; it defaults to Linux on x86-64 without an
    accelerator, whatever this one is. `workload.parallel` are the users at once. Takes and raises
    what `check` does, and raises `SelfhostError` where the memory is not known.
    """
    from .advice.sizes import node

    catalogue, model, workload, machine = _given(model, workload, machine or node(), specs)
    return size_with(catalogue, model, workload, machine, prompt_cache_bytes=prompt_cache_bytes)


def size_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    prompt_cache_bytes: int | None = None,
) -> ContainerSize:
    """`size` with everything given."""
    from .advice.sizes import size_of, with_card, without_bounds

    # any pace will do: how fast it is says `check`
    workload = workload.replace(min_tokens_per_second=0)
    place = without_bounds(machine)
    verdict = check_with(catalogue, model, workload, place, instead=False)
    card = with_card(verdict, catalogue)
    if card is not None:
        place = place.replace(accelerators=(card,))
        verdict = check_with(catalogue, model, workload, place, instead=False)
    try:
        return size_of(verdict, catalogue, prompt_cache_bytes=prompt_cache_bytes)
    except SelfhostError as error:
        count = _cards_that_hold(catalogue, model, workload, place)
        if count is None:
            raise
        remedy = f"{count} of these GPUs would hold it"
        remedy += f"; or {error.remedy}" if error.remedy else ""
        raise SelfhostError(error.message, remedy=remedy) from error


# GPUs that one server holds (HGX and DGX systems of NVIDIA)
_MOST_GPUS_OF_A_NODE = 8


def _cards_that_hold(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    place: Machine,
) -> int | None:
    """The least number of accelerators, all as those of `place`, on which nothing fails; None where
    they differ, where there are none, or where a server cannot hold as many.
    """
    cards = place.accelerators or ()
    if len(set(cards)) != 1:
        return None
    for count in range(len(cards) + 1, _MOST_GPUS_OF_A_NODE + 1):
        larger = place.replace(accelerators=cards[:1] * count)
        verdict = check_with(catalogue, model, workload, larger, instead=False)
        if all(finding.outcome is not Outcome.FAIL for finding in verdict.findings):
            return count
    return None


class Shown(Record):
    """What `selfhost show` tells: the verdict of the default, every size, how the loss depends
    on the model's size (text, source).
    """

    verdict: Verdict
    sizes: tuple[Size, ...]
    loss_by_size: tuple[str, str]


# beside the one that is judged: the programs whose files people download
SHOWN_RUNTIMES = ("llama.cpp", "transformers", "vllm", "mlx")


def _runtimes_of(
    catalogue: Catalogue, question: Question, asked_workload: Workload
) -> tuple[RuntimeSpec, ...]:
    """The runtimes whose quantizations `show` lists: the one judged first, alone where it was asked
    for or where it trains.

    Those that cannot be asked for so many sequences, or that type of cache, are left out.
    """
    own = question.runtime
    alone = (
        asked_workload.runtime is not None
        or asked_workload.task == "finetune"
        or question.local_files
    )
    if own is None or alone or question.spec.modality not in ("text", "vision", "embedding"):
        return () if own is None else (own,)
    others = (catalogue.runtime(name) for name in SHOWN_RUNTIMES if name != own.id)
    fitting = (runtime for runtime in others if need.why_not_loaded(question.spec, runtime) is None)
    return (
        own,
        *(runtime for runtime in fitting if not any(beyond(asked_workload, runtime, catalogue))),
    )


def _size(catalogue: Catalogue, question: Question, machine: Machine) -> Size | None:
    """That quantization judged, None where its size cannot be told."""
    needs, runtime, quantization = question.needs, question.runtime, question.workload.quantization
    cost = quality_for(question.workload, catalogue, question.spec)
    if (
        needs is None
        or needs.download_bytes is None
        or runtime is None
        or quantization is None
        or cost is None
    ):
        return None
    judged = judge(question, machine)
    # as it would lie: where layers are shared out, each place has a compute buffer of its own
    memory = judged.needs.memory if judged.needs is not None else needs.memory
    # of a file that somebody has, nobody asks here whether it was published
    deciding = [finding for finding in judged.findings if finding.check not in ("weights", "speed")]
    fits = None if any(finding.outcome is Outcome.UNKNOWN for finding in deciding) else True
    if judged.failed:
        fits = False
    return Size(
        quantization=quantization,
        family=question.workload.format or "",
        runtime=runtime.id,
        bytes=needs.download_bytes,
        how=needs.download_how.value if needs.download_how else "assumed",
        source=needs.download_source or "",
        memory_bytes=memory.high_bytes if memory else None,
        fits=fits,
        quality=cost,
    )


def describe(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machine: Machine,
    *,
    prices: str = "snapshot",
) -> Shown:
    """All that is known of a model, its quantizations judged one by one. Raises as `check`."""
    understood = _understood(catalogue, model, workload)
    question = _question(catalogue, understood, machine)
    sizes: list[Size] = []
    for runtime in _runtimes_of(catalogue, question, workload) if question.needs else ():
        # what is trained is made of the published weights, by the method
        trained = (question.workload.quantization,) if workload.task == "finetune" else ()
        for quantization in trained or need.quantizations_of(
            question.spec, runtime, architectures(catalogue)
        ):
            variant = understood.workload.replace(quantization=quantization, runtime=runtime.id)
            # a GGUF file holds one quantization
            held = understood.files_here and (
                "gguf" not in understood.formats or quantization == understood.workload.quantization
            )
            size = _size(
                catalogue,
                _question(
                    catalogue, understood.replace(workload=variant, files_here=held), machine
                ),
                machine,
            )
            before = (
                next(
                    (
                        listed
                        for listed in sizes
                        if (listed.family, listed.quantization) == (size.family, size.quantization)
                    ),
                    None,
                )
                if size
                else None
            )
            if size is None or (before is not None and (before.fits or not size.fits)):
                continue
            if before is not None:
                # two programs load it: the one that runs here is shown
                sizes[sizes.index(before)] = size
            else:
                sizes.append(size)
    order = list(catalogue.common("quantizations")["quantization"])
    families = list(dict.fromkeys(size.family for size in sizes))
    # best quality first, what is not in the list last
    sizes.sort(
        key=lambda size: (
            families.index(size.family),
            order.index(size.quantization) if size.quantization in order else len(order),
        )
    )
    verdict = _answer(catalogue, question, understood, machine, instead=True, prices=prices)
    return Shown(verdict=verdict, sizes=tuple(sizes), loss_by_size=loss_by_size(catalogue))
