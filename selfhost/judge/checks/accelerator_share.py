"""Do the accelerators of a machine hold their share of a model?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...catalogue.spec import RuntimeSpec
from ...core.records import Record
from ...machine.record import Accelerator, Machine
from ...needs.records import GATHERED, Needs, Term
from ..placement.devices import TIGHT, emptied, index_of, room_of
from ..placement.on_devices import terms_of
from .accelerator import Program, Training
from .accelerator_kernels import without_kernels
from .accelerator_ram import names
from .memory import what_is_smaller
from .record import Finding, Outcome, doubt_of, finding
from .words import phrase

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# of a GPU that nothing else uses; what a process takes before its share is counted lies outside of
# it: 0.3 to 0.5 GiB (assumed)
_MOST_SHARE = 95
_WEIGHTS = ("weights", "repacked_weights")


class _Held(Record):
    """What the accelerators in use are to hold: the `least`, `likely` and `most` bytes of each, and
    the `rooms` that they can give; `has` is the sum of these, None where one is not known.

    `devices` are those that are there. `left_out`: a sentence on accelerators that are not in use;
    "" for none.
    """

    program: str
    lean_option: str
    share_option: str
    left_out: str
    gpu_only: bool
    smaller_caches: Mapping[str, float]
    terms: tuple[Term, ...]
    devices: tuple[Accelerator, ...]
    least: tuple[int, ...]
    likely: tuple[int, ...]
    most: tuple[int, ...]
    rooms: tuple[int, ...]
    has: int | None

    def idle_rooms(self) -> list[int]:
        """What each can give once other programs use none of them."""
        return [room_of(device, gpu_only=self.gpu_only) or 0 for device in emptied(self.devices)]

    def finding(
        self,
        outcome: Outcome,
        code: str,
        variant: str = "",
        *,
        remedy: str | None = None,
        **figures: Any,
    ) -> Finding:
        """A finding of their whole share."""
        most = sum(self.most)
        return finding(
            outcome,
            code,
            variant,
            needs=most,
            has=self.has,
            short=None if self.has is None else max(0, most - self.has),
            unit="bytes",
            remedy=remedy,
            devices=names(self.devices),
            program=self.program,
            need=(sum(self.least), most),
            likely=sum(self.likely),
            left_out=self.left_out,
            option=self.lean_option,
            **figures,
        )

    def smaller(self) -> str:
        """What to take in place of it, that would fit."""
        return what_is_smaller(self.terms, self.has, self.smaller_caches)


def held_check(
    needs: Needs, machine: Machine, program: Program, training: Training, *, now_only: bool
) -> Finding:
    """What `accelerator_check` finds of a model that accelerators hold, whole or in part. The
    arguments are its own.
    """
    held = _held(needs, machine, program)
    is_one_of_several = len(held.most) == 1 and len(machine.accelerators or ()) > 1
    return (
        _unread(held, machine)
        or without_kernels(program.runtime, program.rules, held.devices)
        or _within_likely(held, training)
        or _lean(held, now_only=now_only)
        or _too_small(held, now_only=now_only, alone=training.alone if is_one_of_several else None)
        or _fits(held, needs, machine)
    )


def _held(needs: Needs, machine: Machine, program: Program) -> _Held:
    runtime, cards = program.runtime, machine.accelerators
    terms = [term for term in terms_of(needs) if term.where != "host"]
    places = list(dict.fromkeys(term.where for term in terms))
    by_place = [[term for term in terms if term.where == place] for place in places]
    devices = [cards[index_of(place)] for place in places] if cards else []
    rooms = [
        room_of(device, gpu_only=program.needs_gpu) if device.unified is False else None
        for device in devices
    ] or [None]
    known = [room or 0 for room in rooms]
    return _Held(
        program=runtime.name if runtime else "The runtime",
        lean_option=runtime.lean_option if runtime and needs.is_lean else "",
        share_option=runtime.share_option if runtime else "",
        left_out=_left_out(needs, len(places), machine, runtime),
        gpu_only=program.needs_gpu,
        smaller_caches=program.smaller_caches,
        terms=tuple(terms),
        devices=tuple(devices),
        least=tuple(sum(term.low_bytes for term in each) for each in by_place),
        likely=tuple(sum(term.bytes for term in each) for each in by_place),
        most=tuple(sum(term.high_bytes for term in each) for each in by_place),
        rooms=tuple(known),
        has=None if None in rooms else sum(known),
    )


def _left_out(needs: Needs, used: int, machine: Machine, runtime: RuntimeSpec | None) -> str:
    """That the program cannot divide the model over all accelerators that are there, as a sentence
    of its own behind a space, with the option that may; "" where it can.
    """
    cards = sum(not (card.unified or card.is_part) for card in machine.accelerators or ())
    if runtime is None or not used < cards or cards in needs.tensor_parallel:
        return ""
    if not runtime.tensor_parallel_option:
        return ""
    option = runtime.pipeline_parallel_option
    return phrase(
        "left-out",
        program=runtime.name,
        used=used,
        cards=cards,
        parts=" or ".join(map(str, needs.tensor_parallel)) or "no",
        option=option.replace("{devices}", str(cards)) if option else None,
    )


def _within(sizes: Sequence[int], rooms: Sequence[int]) -> bool:
    return all(size <= room for size, room in zip(sizes, rooms, strict=True))


def _unread(held: _Held, machine: Machine) -> Finding | None:
    if held.has is not None:
        return None
    fact = "accelerators"
    if machine.accelerators is not None:
        is_sized = any(device.memory_total_bytes is not None for device in held.devices)
        fact = "accelerators.unified" if is_sized else "accelerators.memory_total_bytes"
    why = machine.why_unread(fact)
    return held.finding(Outcome.UNKNOWN, "accelerator-unread", remedy=why.remedy, why=why.reason)


def _within_likely(held: _Held, training: Training) -> Finding | None:
    """Of a training of which each accelerator holds the likely need and nearly the most, or the
    least: which trainer it is decides then whether they hold it.
    """
    if _within(held.most, held.rooms):
        return None
    is_near = _within(held.most, [int(TIGHT * room) for room in held.rooms])
    if training.when_tight is not None and is_near and _within(held.likely, held.rooms):
        return held.finding(Outcome.WARN, "accelerator-tight", remedy=training.when_tight)
    if training.when_close is not None and _within(held.least, held.rooms):
        return held.finding(Outcome.UNKNOWN, "accelerator-close", remedy=training.when_close)
    return None


def _lean(held: _Held, *, now_only: bool) -> Finding | None:
    """It is judged with the option by which the program takes less: without it the most does not
    fit. None where that option is not given, or other programs hold too much of it.
    """
    if not held.lean_option:
        return None
    rooms = held.rooms if now_only else held.idle_rooms()
    if not _within(held.most, rooms):
        is_likely = _within(held.likely, rooms)
        return held.finding(
            Outcome.WARN if is_likely else Outcome.UNKNOWN,
            "accelerator-tight" if is_likely else "accelerator-close",
            "lean",
            smaller=held.smaller(),
            add=_more_share(held, held.most if is_likely else held.likely),
        )
    if not _within(held.most, held.rooms):
        return None
    return held.finding(Outcome.WARN, "accelerator-lean", smaller=held.smaller())


def _more_share(held: _Held, sizes: Sequence[int]) -> str:
    """The option that lets the program take more of each device, where that may hold so much; "" in
    other cases.
    """
    totals = [device.memory_total_bytes or 0 for device in held.devices]
    if not held.share_option or 0 in totals or len(totals) != len(sizes):
        return ""
    percent = max(-(-100 * size // total) for size, total in zip(sizes, totals, strict=True))
    return f"{held.share_option} {percent / 100:g}" if percent <= _MOST_SHARE else ""


def _too_small(held: _Held, *, now_only: bool, alone: tuple[str, str] | None) -> Finding | None:
    """Some accelerator has too little, now or ever; what another has left over is no room on it.
    `alone`: why the others do not take a part, and what would let them.
    """
    lacking = [most - room for most, room in zip(held.most, held.rooms, strict=True)]
    share, has, devices = sum(held.most), sum(held.rooms), held.devices
    if max(lacking) <= 0:
        return None
    is_of_one = share <= has
    if is_of_one:
        # the sums say nothing: of the one that is to hold most beyond what it may
        worst = lacking.index(max(lacking))
        share, has, devices = held.most[worst], held.rooms[worst], devices[worst : worst + 1]
    amounts: dict[str, Any] = {"needs": share, "has": has, "short": share - has, "unit": "bytes"}
    if not now_only and _within(held.most, held.idle_rooms()):
        free = sum(device.memory_free_bytes or 0 for device in devices)
        code = "accelerator-not-now"
        return finding(Outcome.WARN, code, **amounts, devices=names(devices), free=free)
    why, remedy = alone or (None, held.smaller())
    return finding(
        Outcome.FAIL,
        "accelerator-too-small",
        **amounts,
        remedy=remedy,
        program=held.program,
        is_of_one=is_of_one,
        several=len(held.devices) if len(held.devices) != 1 else None,
        devices=names(devices),
        why=why,
        left_out=held.left_out,
    )


def _fits(held: _Held, needs: Needs, machine: Machine) -> Finding:
    if any(term.name == GATHERED for term in held.terms):
        cards, each = len(held.most), max(held.most)
        return held.finding(Outcome.WARN, "accelerator-shared-out", cards=cards, each=each)
    if needs.offload is not None:
        return held.finding(Outcome.WARN, "accelerator-partly", "in-turn")
    if needs.placement == "split":
        remedy = _what_fits_whole(needs, sum(held.rooms), held.smaller_caches)
        return held.finding(Outcome.WARN, "accelerator-partly", remedy=remedy)
    return held.finding(Outcome.PASS, "accelerator-fits", confidence=doubt_of(machine))


def _what_fits_whole(needs: Needs, room_bytes: int, smaller_caches: Mapping[str, float]) -> str:
    """What would leave no layer in RAM of a model of which accelerators hold a part."""
    terms = terms_of(needs)
    weights = sum(term.low_bytes for term in terms if term.name in _WEIGHTS)
    cache = sum(term.low_bytes for term in terms if term.name == "kv_cache")
    others = [term for term in terms if term.name not in (*_WEIGHTS, "kv_cache")]
    left_bytes = room_bytes - sum(term.low_bytes for term in others if term.where != "host")
    if weights <= left_bytes:
        types = [
            name for name, share in smaller_caches.items() if share * cache <= left_bytes - weights
        ]
        return phrase("whole/shorter", cache=types[0] if types else None)
    most = left_bytes - cache
    return (
        phrase("whole/weights", most=most, weights=weights) if most > 0 else phrase("whole/model")
    )
