"""One model over several machines: how many of them hold it together, by each program's own rule
(`specs/common/spread.toml`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import ceil
from typing import Any

from ..catalogue.architecture import Architecture
from ..catalogue.index import Catalogue
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import Problem, SelfhostError, WorkloadError
from ..core.records import Record
from ..core.spelling import canonical
from ..core.workload import Workload
from ..judge.placement.on_devices import terms_of
from ..judge.question import ask
from ..judge.record import Question, Route, exit_code
from ..machine.record import Machine
from ..needs import needs_on
from ..needs.records import Device, Split, Term
from .givers import FREE_DISK, Giver, Givers, LeftOut
from .groups import listed
from .shares import Room, Share, Sizes, equal_stages, rounded_layers, whole_layers

# Layers differ: mixed quantizations give the first and last of them more bits, and some models mix
# kinds of layers. Four of the sixteen of OLMo 2 1B in Q4_K_M weigh 6.4 % more than the average
# (llama.cpp of llama-cpp-python 0.3.36, three RPC servers); DeepSeek's mixtures, 5 % more.
_UNEVEN = 0.07
# of a value of the token table in float16
_HALF_BYTES = 2
# up to so many machines, rules that round try every set; beyond, the largest of each number
_FEW = 10
# the facts of a record behind what was not read of a machine
_FACTS = {
    FREE_DISK: ("disks",),
    "the processor": ("instruction_sets", "architecture", "cpu"),
    "the compute capability": ("accelerators",),
}
_RULES: Mapping[str, Callable[[Sizes, Sequence[Room]], tuple[Share, ...] | None]] = {
    "layers": whole_layers,
    "rounded-layers": rounded_layers,
    "stages": equal_stages,
}


class UnknownEngineError(SelfhostError, LookupError):
    """No program of that name shares a model out over machines."""


class Engine(Record):
    """A program that runs one model over several machines: a row of `spread.toml`, whose head says
    what each key means.
    """

    name: str
    title: str
    runtime: str
    quantization: str | None
    share: str
    memory: str
    files: str
    alone: tuple[str, ...]
    warnings: tuple[str, ...]
    how: str
    sources: tuple[str, ...]


class Spread(Record):
    """Whether machines hold a model together. `shares` are those of the fewest machines that do,
    the first machine first; () where none do. Where the route is unknown, their memory is enough
    and another fact of them was not read; `remedy` says how to read it. `needs_bytes` is the
    model's in all, on one machine.
    """

    engine: Engine
    asked: str
    model: ModelSpec
    workload: Workload
    machines: int
    route: Route
    reason: str
    remedy: str | None
    shares: tuple[Share, ...]
    needs_bytes: int | None
    free_bytes: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Of the command."""
        return exit_code([self.route])


def engine_named(typed: str, catalogue: Catalogue) -> Engine:
    """The program that was meant, by its name or an alias. Raises `UnknownEngineError`."""
    rows = catalogue.common_tables("spread", "engine")
    row = rows.get(canonical(typed))
    if row is None:
        names = dict.fromkeys(name for name, _ in rows.values())
        raise UnknownEngineError(
            f"{typed!r} is no program that shares a model out", remedy=f"one of {', '.join(names)}"
        )
    name, values = row
    fields: dict[str, Any] = {key: values.get(key) for key in Engine._fields}
    for key in ("alone", "warnings", "sources"):
        fields[key] = tuple(values.get(key, ()))
    return Engine(**{**fields, "name": name})


def spread(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machines: Sequence[Machine],
    engine: Engine,
) -> Spread:
    """The fewest of the machines that hold the model together, and what each would hold.

    Machines have different names. Raises what `check` raises for the model and the workload.
    """
    from ..advice.verdicts import check_with

    anywhere = Machine(planning=True)
    fitted = workload.replace(
        runtime=engine.runtime, quantization=engine.quantization or workload.quantization
    )
    named = check_with(catalogue, model, fitted, anywhere, instead=False, follows_machine=False)
    own = ask(named.model, fitted, catalogue, anywhere)
    # a name may state the type
    is_free = own.workload.quantization == named.workload.quantization
    for type in (named.workload.quantization, *(own.in_turn if is_free else ())):
        taken = named.workload.replace(quantization=type)
        question = ask(named.model, taken, catalogue, anywhere)
        _refuse(named.model, question.loads)
        search = _Search(engine, question, machines)
        if search.route is Route.LOCAL:
            break
    memory = question.needs.memory if question.needs else None
    return Spread(
        engine=engine,
        asked=model,
        model=named.model,
        workload=taken,
        machines=len(machines),
        route=search.route,
        reason=search.reason(),
        remedy=search.remedy(),
        shares=search.shares,
        needs_bytes=None if memory is None else memory.high_bytes,
        free_bytes=sum(each.room.bytes for each in search.givers.taking_part),
        left_out=tuple(search.givers.left_out),
        notes=tuple(search.notes()),
    )


def _refuse(model: ModelSpec, why_not: str | None) -> None:
    """`WorkloadError` where the program does not run the model, or its layers are not known."""
    message = why_not
    if model.closed:
        message = f"the weights of {model.name} were never published"
    elif message is None and model.architecture is None:
        message = f"the layers of {model.name} are not known, so they cannot be shared out"
    if message is not None:
        remedy = "name another model"
        raise WorkloadError([Problem(file="--spread", message=message, remedy=remedy)])


def _bytes_of(terms: Iterable[Term]) -> int:
    """The most that they take."""
    return sum(term.high_bytes for term in terms)


def _layer_bytes(shared_bytes: int, layers: int, machines: int) -> int:
    """What one layer takes at most."""
    return ceil(shared_bytes * (1 + (_UNEVEN if machines > 1 else 0.0)) / layers)


class _Search:
    """The fewest machines that hold the model: `shares`, () where none do, with the `doubts` about
    their machines.
    """

    def __init__(self, engine: Engine, question: Question, machines: Sequence[Machine]) -> None:
        self._engine, self._question, self._total = engine, question, len(machines)
        assert question.needs is not None
        self._needs, self._memory = question.needs, question.needs.memory
        self.givers = Givers(question, machines, engine.memory, engine.files)
        self._machines = {machine.name: machine for machine in machines}
        architecture = question.spec.architecture
        # how many machines the program cuts this model over
        self._most = 0 if architecture is None else architecture.layers
        if architecture is not None and architecture.row in engine.alone:
            self._most = 1
        self.shares, self._doubts = self._fewest()

    def _fewest(self) -> tuple[tuple[Share, ...], list[str]]:
        """The shares of the fewest machines that hold it, those first of which all was read."""
        taking_part = self.givers.taking_part
        certain = [each for each in taking_part if not self._unread(each, is_first=False)]
        doubtful: tuple[tuple[Share, ...], list[str]] = ((), [])
        for chosen in (*self._sets(certain), *self._sets(taking_part)):
            sizes = self._sizes([each.room for each in chosen])
            for index, first in enumerate(chosen):
                order = (first, *chosen[:index], *chosen[index + 1 :])
                unread = [self._unread(each, is_first=each is first) for each in order]
                if sizes is None or first.short_of_disk or (any(unread) and doubtful[0]):
                    continue
                shares = _RULES[self._engine.share](sizes, [each.room for each in order])
                if shares is not None and not any(unread):
                    return shares, []
                if shares is not None:
                    pairs = zip(order, unread, strict=True)
                    doubts = [
                        f"{' or '.join(why)} of {each.room.name}" for each, why in pairs if why
                    ]
                    doubtful = shares, doubts
        return doubtful

    def _unread(self, giver: Giver, *, is_first: bool) -> tuple[str, ...]:
        """What was not read of the machine and matters in that place."""
        keeps_files = is_first or self._engine.files == "each"
        return tuple(fact for fact in giver.unread if keeps_files or fact != FREE_DISK)

    def _sets(self, givers: Sequence[Giver]) -> Iterator[tuple[Giver, ...]]:
        """Sets of machines to try, the smallest first and of those the largest memory first; one of
        each number has a machine that can surely be the first.
        """
        sure = (each for each in givers if not each.short_of_disk and not each.unread)
        first = next(sure, None)
        for count in range(1, min(len(givers), self._most) + 1):
            if self._engine.share == "rounded-layers" and len(givers) <= _FEW:
                yield from combinations(givers, count)
            elif self._engine.share == "stages":
                yield from _alike(givers, count)
            else:
                yield tuple(givers[:count])
                if first is not None and first not in givers[:count]:
                    yield (*givers[: count - 1], first)

    def _sizes(self, rooms: Sequence[Room]) -> Sizes | None:
        """What is shared out; None where the program cannot cut it so."""
        architecture = self._question.spec.architecture
        if architecture is None or self._memory is None:
            return None
        if self._engine.share == "stages":
            return self._sizes_of_stages(architecture, rooms)
        terms = terms_of(needs_on(self._needs, Device()))
        layers = [term for term in terms if term.split is Split.LAYERS]
        output = sum(term.output_bytes for term in layers)
        return Sizes(
            layers=architecture.layers,
            layer_bytes=_layer_bytes(_bytes_of(layers) - output, architecture.layers, len(rooms)),
            device_bytes=_bytes_of(term for term in terms if term.split is Split.EACH),
            program_bytes=_bytes_of(term for term in terms if term.is_program),
            output_bytes=_bytes_of(term for term in terms if term.split is Split.FIRST) + output,
            table_bytes=_bytes_of(term for term in terms if term.split is Split.HOST),
        )

    def _sizes_of_stages(self, architecture: Architecture, rooms: Sequence[Room]) -> Sizes | None:
        """Of one device; None where the weights do not come in so many parts."""
        devices = len(rooms[0].devices)
        if devices > 1 and devices not in self._needs.tensor_parallel:
            return None
        is_large = any(self.givers.has_large_card(room.name, devices) for room in rooms)
        there = needs_on(self._needs, Device(devices=devices, is_large=is_large))
        terms = [term for term in terms_of(there) if term.where != "host"]
        values = (architecture.vocabulary or 0) * architecture.embedding_length
        table = ceil(values * _HALF_BYTES / devices)
        stored = table if architecture.tied_embeddings else 2 * table
        layers = [term for term in terms if term.split is Split.LAYERS]
        shared = max(0, _bytes_of(layers) - stored)
        return Sizes(
            layers=architecture.layers,
            layer_bytes=_layer_bytes(shared, architecture.layers, len(rooms)),
            device_bytes=_bytes_of(terms) - _bytes_of(layers),
            program_bytes=_bytes_of(term for term in terms_of(there) if term.where == "host"),
            output_bytes=0 if architecture.tied_embeddings and len(rooms) == 1 else table,
            table_bytes=table,
        )

    # -------------------------------------------------------------- in words

    @property
    def route(self) -> Route:
        """`unknown` only where what was not read could still decide."""
        if self.shares:
            return Route.UNKNOWN if self._doubts else Route.LOCAL
        is_open = self._memory is None or any(each.unread for each in self.givers.left_out)
        return Route.UNKNOWN if is_open else Route.NEITHER

    def reason(self) -> str:
        """Why, in a sentence."""
        title, used, total = self._engine.title, len(self.shares), self._total
        if self._doubts:
            more = len(self._doubts) - 1
            others = f", nor something of {more} more" if more else ""
            return (
                f"the memory of {used} of {total} machines is enough with {title}, but"
                f" {self._doubts[0]} was not read{others}"
            )
        if used == 1:
            return f"one machine holds it alone, {self.shares[0].machine}: it need not be spread"
        if used:
            return f"fits on {used} of {total} machines together with {title}"
        if self._memory is None:
            unknown = self._needs.unknown
            why = unknown[0].reason if unknown else "its size is not known"
            return f"the memory that the model needs is not known: {why}"
        machines = "the machine" if total == 1 else f"the {total} machines together"
        given_bytes = sum(each.room.bytes for each in self.givers.taking_part)
        unread = sum(each.unread for each in self.givers.left_out)
        fits = "whether it fits" if unread else "does not fit"
        why = f"of {unread} too little was read" if unread else self._why_not(given_bytes)
        return (
            f"{fits} on {machines} with {title}{' cannot be told' if unread else ''}: the model"
            f" needs {units.binary_at_least(self._memory.high_bytes)} on one machine, and they have"
            f" {units.binary(given_bytes)} to give{'; ' if why else ''}{why}"
        )

    def _why_not(self, given_bytes: int) -> str:
        """What else than the sum keeps machines that were read from holding the model."""
        out, short = self.givers.left_out, [each.short_of_disk for each in self.givers.taking_part]
        if not short:
            return f"none can take part ({out[0].machine}: {out[0].reason})" if out else ""
        if all(short):
            return f"the first machine keeps the whole file, and none has room ({short[0]})"
        if self._most == 1:
            return "it runs this model on one machine only"
        is_enough = self._memory is not None and self._memory.high_bytes <= given_bytes
        return "the sum is enough, but each must hold a whole part" if is_enough else ""

    def remedy(self) -> str | None:
        """How to read what could decide, of the first machine that lacks it."""
        if self.route is not Route.UNKNOWN:
            return None
        unread = {each.room.name: each for each in self.givers.taking_part}
        lacking = [
            (share.machine, _FACTS[fact])
            for index, share in enumerate(self.shares)
            for fact in self._unread(unread[share.machine], is_first=not index)
        ]
        cards = ("accelerators",) if self._engine.memory == "accelerators" else ()
        lacking += [
            (each.machine, (*cards, "memory_")) for each in self.givers.left_out if each.unread
        ]
        if not lacking:
            return None
        name, facts = lacking[0]
        row = next(filter(None, map(self._machines[name].unread_about, facts)), None)
        return None if row is None or row.remedy is None else f"{row.remedy} ({name})"

    def notes(self) -> Iterator[str]:
        """What was assumed."""
        yield from self.givers.notes
        yield (
            f"Some layers are larger than others: each is counted as {units.percent(_UNEVEN)}"
            " larger than the average."
        )
        if self.givers.without_free:
            named = listed(self.givers.without_free)
            yield f"Free memory was not read of {named}: counted is all but the reserve."


def _alike(machines: Sequence[Giver], count: int) -> Iterator[tuple[Giver, ...]]:
    """Machines with the same number of devices, those with the largest of them."""
    for devices in sorted({len(each.room.devices) for each in machines}):
        alike = [each for each in machines if len(each.room.devices) == devices]
        alike.sort(key=lambda each: min(each.room.devices), reverse=True)
        if len(alike) >= count:
            yield tuple(alike[:count])
