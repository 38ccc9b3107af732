"""What a program asks: `check`, `can_run`, `rank`, `plan`, `compare`, `size`. Here arguments are
checked and given their defaults. The real machine is read only where none is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .answers.understood import judged_for, understand
from .answers.verdicts import check_with
from .catalogue.index import Catalogue
from .catalogue.opened import open_catalogue
from .catalogue.spec import MODALITIES, USES, ModelSpec
from .core.errors import (
    InputError,
    Problem,
    SelfhostError,
    WorkloadError,
    WrongTypeError,
    expect_type,
)
from .core.workload import MOST_BYTES, PRICE_SOURCES, Workload, whole_number
from .machine.reader import Machine
from .verdict.record import Verdict

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import ParamSpec, TypeVar

    from .advice.plan import Plan
    from .advice.sizes import ContainerSize
    from .answers.several import Comparison, Ranking

    Arguments = ParamSpec("Arguments")
    Answer = TypeVar("Answer")

PathLike = str | os.PathLike[str]


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
    machine, notes = _understood(machine)
    verdict = check_with(*_given(model, workload, machine, specs), prices=prices)
    return _with_notes(verdict, notes)


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
    `InputError` where there are fewer than two models, or not as many workloads.
    """
    if isinstance(models, str | os.PathLike) or not isinstance(models, Sequence):
        raise WrongTypeError(f"models must be a list of models, not {type(models).__name__}")
    for model in models:
        expect_type("model", model, _MODEL)
    expect_type("workloads", workloads, (Workload, list, tuple, type(None)))
    for_all = workloads if isinstance(workloads, Workload) or workloads is None else None
    machine, notes = _understood(machine)
    catalogue, shared, machine = _surroundings(for_all, machine, specs)
    each = [shared] * len(models) if not isinstance(workloads, Sequence) else list(workloads)
    for workload in each:
        expect_type("each of workloads", workload, (Workload,))
    if len(models) < 2:
        raise InputError(f"models must be two or more, not {len(models)}")
    if len(each) != len(models):
        raise InputError(
            f"{len(models)} models and {len(each)} workloads: write one workload for each model"
        )
    from .answers.together import Beside, check_together_with

    besides = [
        Beside(model=model, workload=workload) for model, workload in zip(models, each, strict=True)
    ]
    verdict = check_together_with(catalogue, besides, machine, follows_machine=False)
    return _with_notes(verdict, notes)


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
    understood = understand(catalogue, model, workload, machine)
    return judged_for(catalogue, understood, machine).judged.fits


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
    machine, notes = _understood(machine)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    from .advice.listing import Lister
    from .answers.several import ranking

    outlines = filter(None, map(catalogue.outline, catalogue.ids()))
    ids = [
        outline.id
        for outline in outlines
        if (use is None or use in (outline.uses or ())) and modality in (None, outline.modality)
    ]
    listing = Lister(catalogue, workload, machine, use=use).all(ids)
    return ranking(listing.answers, machine, listing).replace(notes=notes)


def plan(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    specs: Sequence[PathLike] = (),
) -> Plan:
    """The least machine that runs the model, and the route on every known machine, as
    `selfhost plan` does. This machine plays no part. Takes and raises what `check` does.
    """
    from .answers.sized import plan_with

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
    is raised, and its notes (`__notes__`) are the others. `InputError` where there are fewer than
    two models.
    """
    if isinstance(models, str | os.PathLike) or not isinstance(models, Sequence):
        # compare("a", "b") is what people try first
        names = [str(name) for name in (models, workload) if isinstance(name, str)]
        example = names if len(names) > 1 else ["mistral-7b", "phi-4"]
        raise WrongTypeError(
            f"models must be a list of models, not {type(models).__name__}:"
            f" write compare({example!r})"
        )
    if len(models) < 2:
        raise InputError(f"models must be two or more, not {len(models)}")
    _one_of("prices", prices, PRICE_SOURCES)
    machine, notes = _understood(machine)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    verdicts: list[Verdict] = []
    errors: list[SelfhostError] = []
    for model in models:
        expect_type("model", model, _MODEL)
        try:
            verdicts.append(check_with(catalogue, model, workload, machine, prices=prices))
        except SelfhostError as error:
            errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(str(other))
        raise errors[0]
    from .answers.several import comparison

    return comparison(
        [verdict.replace(understood_as=(*verdict.understood_as, *notes)) for verdict in verdicts]
    )


_MODEL = (str, os.PathLike, ModelSpec)


def _with_notes(verdict: Verdict, notes: Sequence[str]) -> Verdict:
    """The verdict with sentences on the machine's name."""
    return verdict.replace(notes=(*verdict.notes, *notes)) if notes else verdict


def _given(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None,
    machine: Machine | str | None,
    specs: Sequence[PathLike],
) -> tuple[Catalogue, str | os.PathLike[str] | ModelSpec, Workload, Machine]:
    """The arguments with their defaults. Raises as `_surroundings`."""
    expect_type("model", model, _MODEL)
    catalogue, workload, machine = _surroundings(workload, machine, specs)
    return catalogue, model, workload, machine


def _surroundings(
    workload: Workload | None, machine: Machine | str | None, specs: Sequence[PathLike]
) -> tuple[Catalogue, Workload, Machine]:
    """What a model is judged with, defaults filled in. Raises `WrongTypeError`."""
    expect_type("workload", workload, (Workload, type(None)))
    machine, _ = _understood(machine)
    expect_type("specs", specs, (list, tuple))
    for folder in specs:
        expect_type("each of specs", folder, (str, os.PathLike))
    return open_catalogue(specs), workload or Workload(), machine or Machine.read()


def _one_of(name: str, value: str, choices: Sequence[str]) -> None:
    """`WorkloadError` for a word that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        from .catalogue.searching import kind_meant
        from .core.spelling import alike

        message = f"{value!r} is not one of {', '.join(choices)}"
        meant = kind_meant(value) if isinstance(value, str) else ""
        guess = meant if meant in choices else alike(meant, choices)
        remedy = f"did you mean {name}={guess!r}?" if guess else None
        raise WorkloadError.of(name, message, remedy)


def machine_named(text: str) -> Machine:
    """The known machine or the GPU that `text` names: what `machine="…"` means. Of a GPU it is a
    typical desktop with it, see `machine.named`.

    Raises `UnknownMachineError`, whose text has the nearest names, or for a file of a record what
    reads it.
    """
    machine, _ = _machine_and_notes(text)
    return machine


def _understood(machine: Machine | str | None) -> tuple[Machine | None, tuple[str, ...]]:
    """The machine, where one is given, and what else its name can mean."""
    given: object = machine
    if isinstance(given, os.PathLike | Mapping):
        reader = "from_file" if isinstance(given, os.PathLike) else "from_json"
        remedy = f"a record is read by machine=Machine.{reader}(…)"
        kind = type(given).__name__
        message = f"machine must be Machine or str or None, not {kind}; {remedy}"
        raise WrongTypeError(message, remedy=remedy)
    expect_type("machine", machine, (Machine, str, type(None)))
    return _machine_and_notes(machine) if isinstance(machine, str) else (machine, ())


def _machine_and_notes(text: str) -> tuple[Machine, tuple[str, ...]]:
    """As `machine_named`, with the sentences on what else the name can mean, slots unfilled."""
    from .machine.named import noted_machine, profile_named
    from .machine.profiles import UnknownMachineError

    try:
        named = profile_named(text)
    except UnknownMachineError as error:
        is_file = text.endswith((".json", ".jsonl")) or os.path.lexists(text)
        if is_file:
            remedy: str | None = f"a record is read by machine=Machine.from_file({text!r})"
        else:
            remedy = error.remedy
        message = f"{error.message}; {remedy}" if remedy else error.message
        raise UnknownMachineError(message, remedy=remedy, nearest=error.nearest) from None
    return noted_machine(named), () if named.note is None else (named.note,)


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

    `machine` gives processor and accelerators, of pictures and video also the memory that says
    which type fits (none stated: the smallest); it defaults to Linux on x86-64 without an
    accelerator, whatever this one is. `workload.parallel` are the users at once. Takes and raises
    what `check` does, and raises `SelfhostError` where the memory is not known.
    """
    from .advice.sizes import node
    from .answers.sized import size_with

    expect_type("prompt_cache_bytes", prompt_cache_bytes, (int, type(None)))
    if isinstance(prompt_cache_bytes, bool):
        raise WrongTypeError("prompt_cache_bytes must be int or None, not bool")
    if prompt_cache_bytes is not None and not 0 <= prompt_cache_bytes <= MOST_BYTES:
        raise InputError(
            f"prompt_cache_bytes must be a number from 0 to {MOST_BYTES:,},"
            f" not {whole_number(prompt_cache_bytes)}"
        )
    if isinstance(workload, Workload) and workload.task != "generate":
        raise WorkloadError(
            [
                Problem(
                    file="workload",
                    key="task",
                    message=f"a container serves a model, and none is sized for {workload.task}",
                    remedy="leave it out; check() has the memory of a fine-tuning",
                )
            ]
        )
    machine, notes = _understood(machine)
    catalogue, model, workload, machine = _given(model, workload, machine or node(), specs)
    size = size_with(catalogue, model, workload, machine, prompt_cache_bytes=prompt_cache_bytes)
    return size.replace(notes=(*size.notes, *notes))
