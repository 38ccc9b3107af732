"""The functions for programs: `check`, `can_run`, `rank`, `plan`, `compare` and `size`, each with
the answer of the command of its name. This module checks the arguments and fills in their defaults.

Without a machine as argument these functions read this machine; otherwise they read only spec files
and today's date, and may be called from several threads. What one function alone needs is imported
inside it, so that `import selfhost` stays quick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .advice.makers import understand_on
from .advice.understood import judged_on
from .advice.verdicts import check_with, verdict_on
from .catalogue.index import Catalogue, open_catalogue
from .catalogue.runtime_parts import CLUSTER_SPLITS
from .catalogue.spec import ModelSpec
from .catalogue.spec_values import MODALITIES, USES
from .core.errors import (
    InputError,
    SelfhostError,
    WorkloadError,
    WrongTypeError,
    expect_type,
)
from .core.quoting import shell_word
from .core.records import Record, fault_of, shortened
from .core.workload import (
    MOST_BYTES,
    Workload,
    error_in_python,
    field_meant,
    in_python,
)
from .judge.record import Verdict
from .machine.record import Machine

if TYPE_CHECKING:
    from typing import Unpack

    from .advice.listing import Ranking
    from .advice.plan import Plan
    from .advice.several import Comparison
    from .advice.sizes import ContainerSize
    from .core.workload_fields import WorkloadFields
    from .machine.clusters import NotedCluster

# the remedies for keywords that other functions here, or other programs, have
_MISPLACED = {
    **dict.fromkeys(("top", "use", "modality"), "only rank() takes it; leave it out"),
    **dict.fromkeys(
        ("machines", "link", "split"),
        "check(model, machines=[...]) judges several machines together",
    ),
    **dict.fromkeys(
        ("users", "concurrency"), "write parallel=4 for four users at once"
    ),
    **dict.fromkeys(("ram", "memory"), 'write machine="RTX 3060, 32 GB of RAM"'),
    "machine": "check(model, machine=...) judges one machine",
    "gpu": 'plan() looks for a machine; check(model, gpu="RTX 3060") judges one',
    "gpus": 'write gpu="2x RTX 3090"',
}
PathLike = str | os.PathLike[str]
Model = str | os.PathLike[str] | ModelSpec
_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def _with_python_errors(
    function: Callable[_Arguments, _Answer],
) -> Callable[_Arguments, _Answer]:
    """The function, whose `WorkloadError` names keywords instead of a command's options."""

    @wraps(function)
    def answer(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return function(*args, **kwargs)
        except WorkloadError as error:
            error_in_python(error)
            raise

    return answer


@_with_python_errors
def check(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    machines: Sequence[Machine | str] | None = None,
    link: str | None = None,
    split: str | None = None,
    gpu: str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Unpack[WorkloadFields],
) -> Verdict:
    """Can this machine download and run the model, or is an API the practical route?

    - `model`: a name such as "mistral-7b" or "llama3.1:8b", the path of a model file or folder, or
      a ModelSpec.
    - `workload`, or its fields as keywords: `check("mistral-7b", context_tokens=8192)`.
    - `machine`: a Machine, or the name of a known one such as "macbook air m2 16gb". None reads
      this machine, as `Machine.read` does: no socket and no write, and a child process only to ask
      the driver of an NVIDIA GPU. "2x dgx spark" names machines that serve the model together.
    - `machines`: such machines one by one, the main one first. `link`: what joins them, "200gbe" or
      "tb5,tcp"; None takes the usual link of such machines. `split`: "layers" or "tensor"; None
      takes the best way, which may be one machine alone. The verdict's `cluster` has the parts.
    - `gpu`: what if the machine had this GPU in place of its own: "RTX 4090", "2x RTX 3090".
    - `specs`: folders with spec files of your own. They come before those of SELFHOST_SPECS.

    The verdict's `setup`, `commands`, `commands_class`, `room`, `waits`, `faster`, `alternatives`,
    `quality`, `api_offers`, `monthly_cost` and `notes` are worked out when they are read, which
    takes several times as long as the route.

    The route is `local` also for a model that writes fewer than 2 tokens a second, slower than
    people can use: its `summary` begins with RUNS SLOWLY. A speed that is stated decides:
    `min_tokens_per_second=2` makes the route of such a model another one.

    Raises `UnknownModelError`, `UnknownMachineError`, `SpecError` or `WorkloadError`, and for an
    argument of a wrong type a `SelfhostError` that is a `TypeError` too. Each message says what to
    write instead.

    >>> check("mistral-7b", machine="macbook air m2 16gb").route.value
    'local'
    """
    _expect_model(model)
    stated = _workload_stated(workload, fields)
    catalogue = _catalogue_with(specs)
    found = _place_found(machine, machines, link, split, gpu)
    understood = understand_on(catalogue, model, stated, found.main)
    if isinstance(found, _FoundMachine):
        return verdict_on(
            catalogue,
            understood,
            found.machine,
            carry=_options_to_repeat(found.names, gpu, specs),
            notes=found.notes,
        )
    # imported here: most questions are about one machine
    from .advice.clusters import verdict_on_cluster

    cluster = found.cluster
    link = None if cluster.link.is_assumed else cluster.link.option
    return verdict_on_cluster(
        catalogue,
        understood,
        cluster,
        split=split,
        carry=_options_to_repeat(cluster.names, gpu, specs, link=link, split=split),
        carry_alone=_options_to_repeat(cluster.names[:1], gpu, specs),
        notes=found.notes,
    )


@_with_python_errors
def can_run(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    machines: Sequence[Machine | str] | None = None,
    link: str | None = None,
    split: str | None = None,
    gpu: str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Unpack[WorkloadFields],
) -> bool:
    """True when the route is `local`. False when it is not, or when it cannot be told: `check`
    says which. Takes the arguments of `check` and raises as it does.

    As the route, it is True also for a model that writes fewer than 2 tokens a second, slower than
    people can use. State the speed that your program needs, and it decides.

    >>> can_run("qwen3-32b", machine="laptop-ddr4-32gb")
    True
    >>> can_run("qwen3-32b", machine="laptop-ddr4-32gb", min_tokens_per_second=2)
    False
    >>> can_run("llama-3.3-70b", context_tokens=8192, machine="macbook air m2 16gb")
    False
    """
    _expect_model(model)
    stated = _workload_stated(workload, fields)
    catalogue = _catalogue_with(specs)
    found = _place_found(machine, machines, link, split, gpu)
    understood = understand_on(catalogue, model, stated, found.main)
    if isinstance(found, _FoundMachine):
        # no verdict is made, since commands, offers and remedies decide nothing here
        return judged_on(catalogue, understood, found.machine).judged.fits
    from .advice.clusters import verdict_on_cluster

    verdict = verdict_on_cluster(catalogue, understood, found.cluster, split=split)
    return verdict.can_run


@_with_python_errors
def rank(
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    gpu: str | None = None,
    specs: Sequence[PathLike] = (),
    use: str | None = None,
    modality: str | None = None,
    top: int | None = None,
    **fields: Unpack[WorkloadFields],
) -> Ranking:
    """The models of the catalogue judged for the machine, best first, as `selfhost list` does.

    `use` ("chat", "code", …) and `modality` ("text", "image", …) keep only such models. `top` asks
    for the first so many, whether they run or not, which takes a small part of the time; None asks
    for all. Models that the workload's license or openness rules out are counted in `ruled_out`.
    `workload`, `machine`, `gpu`, `specs` and other keywords are those of `check`. Raises
    `UnknownMachineError`, and `WorkloadError` also for a use or modality that does not exist.

    >>> ranking = rank(use="code", top=3, machine="macbook air m2 16gb")
    >>> [row.can_run for row in ranking.models]
    [True, True, True]
    """
    _refuse_unknown_kind("use", use, USES)
    _refuse_unknown_kind("modality", modality, MODALITIES)
    expect_type("top", top, (int, type(None)))
    fault = None if top is None else fault_of(top, int, minimum=1)
    if fault is not None:
        raise WorkloadError.of("top", fault.message, fault.remedy, file="rank")
    stated = _workload_stated(workload, fields)
    catalogue = _catalogue_with(specs)
    found = machine_found(machine, gpu)
    from .advice.filters import ids_passing
    from .advice.listing import Lister

    ids = ids_passing(catalogue, use=use, modality=modality, purpose=stated.purpose)
    lister = Lister(catalogue, stated, found.machine, use=use)
    most = len(ids) if top is None else top
    ranking = lister.first(most, ids, only_running=False)
    carry = _options_to_repeat(found.names, gpu, specs)
    return ranking.replace(notes=found.notes, options=f"{stated.options()}{carry}")


@_with_python_errors
def plan(
    model: Model,
    workload: Workload | None = None,
    *,
    specs: Sequence[PathLike] = (),
    **fields: Unpack[WorkloadFields],
) -> Plan:
    """The least machine that runs the model, and the route on every known machine, as
    `selfhost plan` does. This machine plays no part. Takes and raises what `check` does, but for
    `machine` and `gpu`.

    >>> plan("mistral-7b", context_tokens=8192).least.memory_bytes < 16 * 2**30
    True
    """
    from .advice.plan import plan_with

    _expect_model(model)
    return plan_with(_catalogue_with(specs), model, _workload_stated(workload, fields))


@_with_python_errors
def compare(
    models: Sequence[Model],
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    gpu: str | None = None,
    specs: Sequence[PathLike] = (),
    **fields: Unpack[WorkloadFields],
) -> Comparison:
    """The verdict of each model with its openness and permissions, in the order given, as
    `selfhost compare` does. Takes and raises what `check` does, and raises `SelfhostError` for
    fewer than two models.

    >>> compared = compare(["gpt2", "gpt-4o"], machine="macbook air m2 16gb")
    >>> [row.verdict.route.value for row in compared.models]
    ['local', 'api']
    """
    expect_type(
        "models", models, (list, tuple), 'write compare(["mistral-7b", "phi-4"])'
    )
    if len(models) < 2:
        raise InputError(f"models must be two or more, not {len(models)}")
    for model in models:
        _expect_model(model)
    stated = _workload_stated(workload, fields)
    catalogue = _catalogue_with(specs)
    found = machine_found(machine, gpu)
    from .advice.several import comparison, in_one_type

    carry = _options_to_repeat(found.names, gpu, specs)
    verdicts = []
    for model in models:
        verdict = check_with(catalogue, model, stated, found.machine, carry=carry)
        verdicts.append(
            verdict.replace(understood_as=(*verdict.understood_as, *found.notes))
        )
    verdicts = in_one_type(catalogue, models, verdicts, stated, carry)
    return comparison(verdicts, stated, carry)


@_with_python_errors
def size(
    model: Model,
    workload: Workload | None = None,
    *,
    machine: Machine | str | None = None,
    gpu: str | None = None,
    specs: Sequence[PathLike] = (),
    prompt_cache_bytes: int | None = None,
    **fields: Unpack[WorkloadFields],
) -> ContainerSize:
    """The memory request and limit, disk and accelerators of a container or service that serves
    the model, as `selfhost size` does. Memory and disk are in bytes.

    `machine` gives processor and accelerators, of pictures and video also the memory that says
    which type fits (none stated: the smallest); it defaults to Linux on x86-64 without an
    accelerator, whatever this one is. `parallel` of the workload are the users at once.
    `prompt_cache_bytes` are kept for earlier prompts; None keeps one prompt a user. Takes and
    raises what `check` does, and raises `SelfhostError` where the memory is not known.

    >>> sized = size("mistral-7b", parallel=4)
    >>> sized.request_bytes < sized.limit_bytes
    True
    """
    from .advice.sizes import node, size_with

    expect_type("prompt_cache_bytes", prompt_cache_bytes, (int, type(None)))
    fault = fault_of(prompt_cache_bytes or 0, int, maximum=MOST_BYTES)
    if fault is not None:
        raise InputError(f"prompt_cache_bytes {fault.message}")
    _expect_model(model)
    stated = _workload_stated(workload, fields)
    catalogue = _catalogue_with(specs)
    found = machine_found(node() if machine is None else machine, gpu)
    if stated.task != "generate":
        message = f"a container serves a model; selfhost sizes none for {stated.task}"
        remedy = "leave it out; check() gives the memory for fine-tuning"
        raise WorkloadError.of("task", message, remedy)
    sized = size_with(
        catalogue,
        model,
        stated,
        found.machine,
        prompt_cache_bytes=prompt_cache_bytes,
    )
    return sized.replace(notes=(*sized.notes, *found.notes))


# ------------------------------------------------------------------ arguments and defaults


def _expect_model(model: Model) -> None:
    """Raise `WrongTypeError` for what is neither a name nor a path nor a spec."""
    expect_type("model", model, (str, os.PathLike, ModelSpec))


def _workload_stated(workload: Workload | None, fields: Mapping[str, Any]) -> Workload:
    """The stated workload, completed with the fields.

    Raises `WrongTypeError` for what is no workload and for the keywords of other functions, and
    `WorkloadError` where workload and keyword state one field, each with a value of its own. A
    workload states neither its defaults nor the values of its purpose.
    """
    expect_type("workload", workload, (Workload, type(None)))
    _refuse_misplaced(fields)
    if workload is None:
        return Workload(**fields)
    completed = workload.replace(**fields)
    for name, value in fields.items():
        if workload.states(name) and getattr(workload, name) != value:
            remedy = "give it in the workload or as a keyword"
            raise WorkloadError.of(name, "is given twice", remedy)
    return completed


def _refuse_misplaced(fields: Mapping[str, object]) -> None:
    """Raise `WrongTypeError` for keywords that other programs, or other functions here, have."""
    for name in fields:
        remedy = _MISPLACED.get(name)
        if remedy is None:
            meant = field_meant(name)
            if meant in (None, name):
                continue
            remedy = f"did you mean {meant}?"
        raise WrongTypeError(f"there is no argument {name}; {remedy}", remedy=remedy)


def _catalogue_with(specs: Sequence[PathLike]) -> Catalogue:
    """The catalogue with the spec files of these folders. Raises `WrongTypeError` for what is no
    list of paths, and `SpecError` for a folder that does not exist.
    """
    expect_type("specs", specs, (list, tuple))
    for folder in specs:
        expect_type("each of specs", folder, (str, os.PathLike))
    return open_catalogue(specs)


class _FoundMachine(Record):
    """A machine, with notes on what else its name can mean.

    `typed` is the name or description that the caller gave; None for this machine and for a record.
    """

    machine: Machine
    typed: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str | None:
        """The name by which a command asks about the same machine: the typed one, else that of a
        record which the catalogue has too. None for this machine and for any other record, whose
        file is not known.
        """
        if self.typed is not None:
            return self.typed
        # imported here: most programs name a machine or ask about this one
        from .machine.profiles import machine_called

        known = machine_called(self.machine.name)
        is_known = known is not None and known.machine == self.machine
        return self.machine.name if is_known else None

    @property
    def main(self) -> Machine:
        """The machine, as that of several on which other models are looked for."""
        return self.machine

    @property
    def names(self) -> tuple[str, ...]:
        """The name for a command to repeat; () for none."""
        return () if self.name is None else (self.name,)


def _place_found(
    machine: Machine | str | None,
    machines: Sequence[Machine | str] | None,
    link: str | None,
    split: str | None,
    gpu: str | None,
) -> _FoundMachine | NotedCluster:
    """The machine, or the machines that serve a model together. Raises what `_cluster_found` and
    `machine_found` raise.
    """
    together = _cluster_found(machine, machines, link, split, gpu)
    return machine_found(machine, gpu) if together is None else together


def _cluster_found(
    machine: Machine | str | None,
    machines: Sequence[Machine | str] | None,
    link: str | None,
    split: str | None,
    gpu: str | None,
) -> NotedCluster | None:
    """The machines that serve a model together; None for one machine.

    Raises `WrongTypeError` for what is none of these, `UnknownMachineError` for an unknown name,
    and `InputError` for a link or a split of one machine.
    """
    types = (list, tuple, type(None))
    expect_type("machines", machines, types, 'write machines=["dgx spark", …]')
    expect_type("link", link, (str, type(None)))
    expect_type("split", split, (str, type(None)))
    if split not in (None, *CLUSTER_SPLITS):
        message = f"split: {split!r} is not one of {', '.join(CLUSTER_SPLITS)}"
        raise InputError(message)
    if machines is not None and machine is not None:
        raise InputError("machine and machines are both given; leave one out")
    together = _named_together(machine, machines, link)
    if together is None:
        for name, value in (("link", link), ("split", split)):
            if value is not None:
                message = f"{name} is for machines that serve one model together"
                remedy = 'write machine="2x dgx spark"'
                raise InputError(f"{message}; {remedy}")
        return None
    if gpu is None:
        return together
    changed = [machine_found(one, gpu).machine for one in together.cluster.machines]
    cluster = together.cluster.replace(machines=tuple(changed))
    return together.replace(cluster=cluster)


def _named_together(
    machine: Machine | str | None,
    machines: Sequence[Machine | str] | None,
    link: str | None,
) -> NotedCluster | None:
    """The machines of the list, or those that one text names together; None for one machine."""
    if machines is None and not isinstance(machine, str):
        return None
    # imported here: most programs name a machine or ask about this one
    from .machine.clusters import NotedCluster, cluster_named, cluster_of
    from .machine.named import named

    try:
        if isinstance(machine, str):
            return cluster_named(machine, named, link)
        found = [machine_found(one, None) for one in machines or ()]
        names = [one.typed or one.machine.name for one in found]
        cluster = cluster_of([one.machine for one in found], link, names)
    except SelfhostError as error:
        _tell_in_python(error, error.remedy)
        raise
    notes = dict.fromkeys(note for one in found for note in one.notes)
    return NotedCluster(cluster=cluster, notes=tuple(notes))


def machine_found(machine: Machine | str | None, gpu: str | None) -> _FoundMachine:
    """The machine of that name, or the machine itself; None reads this machine. A stated GPU takes
    the place of its own.

    Raises `WrongTypeError` for what is neither, and `UnknownMachineError` for an unknown name.
    """
    expect_type("gpu", gpu, (str, type(None)))
    if isinstance(machine, str):
        found = _machine_named(machine)
    else:
        reader = "from_file" if isinstance(machine, os.PathLike) else "from_json"
        kinds = (Machine, str, type(None))
        expect_type("machine", machine, kinds, _how_to_read(reader))
        found = _FoundMachine(machine=machine or Machine.read())
    if gpu is None:
        return found
    # imported here: most programs ask about a machine as it is
    from .machine.changes import apply
    from .machine.description import cards_named

    try:
        cards = cards_named(gpu)
        changed = apply(found.machine, (), [cards])
    except SelfhostError as error:
        _tell_in_python(error, error.remedy)
        raise
    notes = (*found.notes, *cards.notes)
    return found.replace(typed=found.name, machine=changed, notes=notes)


# cached: a program asks about many models on one machine
@lru_cache(maxsize=32)
def _machine_named(name: str) -> _FoundMachine:
    """The machine of that name. Raises `SelfhostError`, whose remedy is what to write in Python."""
    from .machine.named import named

    try:
        found = named(name)
    except SelfhostError as error:
        _tell_in_python(error, f"{error.remedy or ''}; {_how_to_read('from_file')}")
        raise
    return _FoundMachine(machine=found.machine, typed=name, notes=found.notes)


def _tell_in_python(error: SelfhostError, remedy: str | None) -> None:
    """Change the error so that its text has the remedy, which a traceback would not show, in the
    keywords of Python.
    """
    told = [error.message]
    if remedy is not None:
        error.remedy = in_python(remedy)
        told.append(error.remedy)
    error.args = (in_python("; ".join(told)),)


def _how_to_read(reader: str) -> str:
    """The remedy where a machine's record was meant; `reader` is a method of Machine."""
    return f"read a record with machine=Machine.{reader}(…)"


def _options_to_repeat(
    names: Sequence[str],
    gpu: str | None,
    specs: Sequence[PathLike],
    *,
    link: str | None = None,
    split: str | None = None,
) -> str:
    """The options with which a command asks about the machines of these names, joined alike, with
    the same GPU and specs; a space before each.
    """
    words = []
    for name in names:
        words += ["--machine", name]
    if link is not None:
        words += ["--link", link]
    if split is not None:
        words += ["--split", split]
    if gpu is not None:
        words += ["--gpu", gpu]
    for folder in specs:
        words += ["--specs", os.fsdecode(folder)]
    return "".join(f" {shell_word(word)}" for word in words)


def _refuse_unknown_kind(
    key: str,
    value: str | None,
    choices: Sequence[str],
) -> None:
    """Raise `WorkloadError` for a use or a modality that does not exist, with what was meant, and
    `WrongTypeError` for what is no text.
    """
    expect_type(key, value, (str, type(None)))
    if value is None or value in choices:
        return
    typed = shortened(value)
    message = f"{typed!r} is unknown"
    remedy = _remedy_for_kind(typed, choices)
    if remedy is None:
        message = f"{typed!r} is not one of {', '.join(choices)}"
    raise WorkloadError.of(key, message, remedy, file="rank")


def _remedy_for_kind(typed: str, choices: Sequence[str]) -> str | None:
    """The remedy for a use or a modality that does not exist: what to write instead. None where the
    meaning is unclear.

    `use="coding"` means "code", and `use="image"` is a modality.
    """
    from .catalogue.uses import kind_meant
    from .core.units import nearest

    kind = kind_meant(typed)
    if kind in choices:
        return f"did you mean {kind!r}?"
    if kind in USES:
        return f"did you mean use={kind!r}?"
    if kind in MODALITIES:
        return f"did you mean modality={kind!r}?"
    near = nearest(typed, list(choices))
    return f"did you mean {near!r}?" if near else None
