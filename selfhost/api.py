"""What a program asks: `check`, `can_run`, `rank`, `plan`, `compare`, `size`. Here arguments are
checked and given their defaults. The real machine is read only where none is given.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .advice.verdicts import check_with
from .catalogue.index import Catalogue, open_catalogue
from .catalogue.spec import ModelSpec
from .catalogue.spec_values import MODALITIES, USES
from .core.errors import InputError, SelfhostError, WorkloadError, WrongTypeError, expect_type
from .core.records import fault_of
from .core.workload import MOST_BYTES, Workload
from .judge.record import Verdict
from .machine.reader import Machine

if TYPE_CHECKING:
    from .advice.listing import Ranking
    from .advice.plan import Plan
    from .advice.several import Comparison
    from .advice.sizes import ContainerSize

# parts of a computer, which the argument `machine` names
_PARTS_OF_MACHINES = ("gpu", "gpus", "ram", "memory")
_ONLY_OF_RANK = ("top", "use", "modality")
PathLike = str | os.PathLike[str]
Model = str | os.PathLike[str] | ModelSpec


def check(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Any,
) -> Verdict:
    """Can this machine download and run the model, or is an API the practical route?

    - `model`: a name such as "mistral-7b" or "llama3.1:8b", the path of a model file or folder, or
      a ModelSpec.
    - `workload`, or its fields as keywords: `check("mistral-7b", context_tokens=8192)`.
    - `machine`: a Machine, or the name of a known one such as "macbook air m2 16gb". None reads
      this machine, as `Machine.read` does: no socket and no write, and a child process only to ask
      the driver of an NVIDIA GPU. Otherwise only spec files and today's date are read.
    - `specs`: folders with spec files of your own. They come before those of SELFHOST_SPECS.

    The verdict's `room`, `alternatives`, `api_offers`, `monthly_cost` and `notes` are worked out
    when they are read, which takes several times as long as the route.

    Raises `UnknownModelError`, `UnknownMachineError`, `SpecError` or `WorkloadError`. Each message
    says what to write instead.
    """
    catalogue, workload, machine, notes = _with_defaults([model], workload, machine, specs, fields)
    verdict = check_with(catalogue, model, workload, machine)
    return verdict.replace(first_notes=(*notes, *verdict.first_notes))


def can_run(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Any,
) -> bool:
    """True when the route is `local`. False when it is not, or when it cannot be told: `check`
    says which. Takes the arguments of `check` and raises as it does:
    `can_run("mistral-7b", context_tokens=8192)`.
    """
    return check(model, workload, machine=machine, specs=specs, **fields).can_run


def rank(
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    use: str | None = None,
    modality: str | None = None,
    top: int | None = None,
    **fields: Any,
) -> Ranking:
    """The models of the catalogue judged for the machine, best first, as `selfhost list` does.

    `use` ("chat", "code", …) and `modality` ("text", "image", …) keep only such models. `top` asks
    for the first so many, whether they run or not, which takes a small part of the time; None asks
    for all. Models that the workload's license or openness rules out are counted in `ruled_out`.
    `workload`, `machine`, `specs` and other keywords are those of `check`. Raises
    `UnknownMachineError`, and `WorkloadError` also for a use or modality that does not exist.
    """
    for key, value, choices in (("use", use, USES), ("modality", modality, MODALITIES)):
        if value not in (None, *choices):
            remedy = _kind_meant(value, choices)
            message = f"{value!r} is not one of {', '.join(choices)}"
            if remedy is not None:
                message = f"{value!r} is unknown"
            raise WorkloadError.of(key, message, remedy, file="rank")
    expect_type("top", top, (int, type(None)))
    if top is not None and (fault := fault_of(top, int, minimum=1)):
        raise WorkloadError.of("top", *fault, file="rank")
    catalogue, workload, machine, notes = _with_defaults([], workload, machine, specs, fields)
    from .advice.listing import Lister, chosen

    ids = chosen(catalogue, use=use, modality=modality)
    lister = Lister(catalogue, workload, machine, use=use)
    ranking = lister.all(ids) if top is None else lister.first(top, ids, only_running=False)
    return ranking.replace(notes=notes)


def _kind_meant(value: object, choices: Sequence[str]) -> str | None:
    """What to write instead of a use or a modality that does not exist; None where it is unclear.

    `use="coding"` means "code", and `use="image"` is a modality.
    """
    if not isinstance(value, str):
        return None
    from .advice.listing import kind_meant
    from .core.units import nearest

    kind = kind_meant(value)
    for key, kinds in (("use", USES), ("modality", MODALITIES)):
        if kind in kinds:
            return f"did you mean {repr(kind) if kinds == choices else f'{key}={kind!r}'}?"
    near = nearest(value, list(choices))
    return f"did you mean {near!r}?" if near else None


def plan(
    model: Model,
    workload: Workload | None = None,
    *,
    specs: Sequence[PathLike] = (),
    **fields: Any,
) -> Plan:
    """The least machine that runs the model, and the route on every known machine, as
    `selfhost plan` does. This machine plays no part. Takes and raises what `check` does, but for
    `machine` and `alternatives`.
    """
    from .advice.plan import plan_with

    # what lies on this machine, and how busy it is, do not matter elsewhere
    elsewhere = Machine(planning=True)
    catalogue, workload, *_ = _with_defaults([model], workload, elsewhere, specs, fields)
    return plan_with(catalogue, model, workload)


def compare(
    models: Sequence[Model],
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Any,
) -> Comparison:
    """The verdict of each model with its openness and permissions, in the order given, as
    `selfhost compare` does. Takes and raises what `check` does, and raises `SelfhostError` for
    fewer than two.
    """
    expect_type("models", models, (list, tuple), 'write compare(["mistral-7b", "phi-4"])')
    if len(models) < 2:
        raise InputError(f"models must be two or more, not {len(models)}")
    catalogue, workload, machine, notes = _with_defaults(models, workload, machine, specs, fields)
    from .advice.several import comparison, in_one_type

    verdicts = list[Verdict]()
    for model in models:
        verdict = check_with(catalogue, model, workload, machine)
        verdicts.append(verdict.replace(understood_as=(*verdict.understood_as, *notes)))
    return comparison(in_one_type(catalogue, models, verdicts, workload))


def size(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    specs: Sequence[PathLike] = (),
    prompt_cache_bytes: int | None = None,
    **fields: Any,
) -> ContainerSize:
    """The memory request and limit, disk and accelerators of a container or service that serves
    the model, as `selfhost size` does.

    `machine` gives processor and accelerators, of pictures and video also the memory that says
    which type fits (none stated: the smallest); it defaults to Linux on x86-64 without an
    accelerator, whatever this one is. `workload.parallel` are the users at once. Takes and raises
    what `check` does, and raises `SelfhostError` where the memory is not known.
    """
    from .advice.sizes import node, size_with

    expect_type("prompt_cache_bytes", prompt_cache_bytes, (int, type(None)))
    if fault := fault_of(prompt_cache_bytes or 0, int, maximum=MOST_BYTES):
        raise InputError(f"prompt_cache_bytes {fault[0]}")
    node_given = machine or node()
    catalogue, workload, at, notes = _with_defaults([model], workload, node_given, specs, fields)
    if workload.task != "generate":
        message = f"a container serves a model, and none is sized for {workload.task}"
        remedy = "leave it out; check() has the memory of a fine-tuning"
        raise WorkloadError.of("task", message, remedy)
    sized = size_with(catalogue, model, workload, at, prompt_cache_bytes=prompt_cache_bytes)
    return sized.replace(notes=(*sized.notes, *notes))


def _machine_with(part: str, stated: object) -> str:
    """The argument that says what `gpu="RTX 3060"` or `ram="32GB"` means, with an example."""
    example = 'machine="RTX 3060, 32 GB of RAM"'
    if part not in ("gpu", "gpus"):
        return example
    named = stated if isinstance(stated, str) else "RTX 3060"
    return f'machine="{named}" for a computer with that GPU, or with its RAM {example}'


def _how_to_read(reader: str) -> str:
    return f"a record is read by machine=Machine.{reader}(…)"


def _with_defaults(
    models: Sequence[Model],
    workload: Workload | None,
    machine: Machine | str | None,
    specs: Sequence[PathLike],
    fields: Mapping[str, Any],
) -> tuple[Catalogue, Workload, Machine, tuple[str, ...]]:
    """The checked arguments, and what else the machine's name can mean."""
    reader = "from_file" if isinstance(machine, os.PathLike) else "from_json"
    for name, values, types, remedy in (
        ("model", models, (str, os.PathLike, ModelSpec), ""),
        ("workload", (workload,), (Workload, type(None)), ""),
        ("specs", (specs,), (list, tuple), ""),
        ("each of specs", specs, (str, os.PathLike), ""),
        ("machine", (machine,), (Machine, str, type(None)), _how_to_read(reader)),
    ):
        for value in values:
            expect_type(name, value, types, remedy)
    for part in _PARTS_OF_MACHINES:
        if part in fields:
            remedy = f"write {_machine_with(part, fields[part])}"
            raise WrongTypeError(f"there is no argument {part}; {remedy}", remedy=remedy)
    for name in _ONLY_OF_RANK:
        if name in fields:
            remedy = "only rank() takes it; leave it out"
            raise WrongTypeError(f"there is no argument {name}; {remedy}", remedy=remedy)
    asked = Workload(**fields) if workload is None else workload.replace(**fields)
    for field in fields if workload is not None else ():
        if getattr(workload, field) not in (Workload._defaults[field], fields[field]):
            remedy = "give it in the workload or as a keyword"
            raise WorkloadError.of(field, "is given twice", remedy)
    note: str | None = None
    if isinstance(machine, str):
        from .machine.named import named

        try:
            machine, note = named(machine)
        except SelfhostError as error:
            # of a traceback only the text is seen
            error.remedy = f"{error.remedy}; {_how_to_read('from_file')}"
            error.args = (f"{error.message}; {error.remedy}",)
            raise
    return open_catalogue(specs), asked, machine or Machine.read(), (note,) if note else ()
