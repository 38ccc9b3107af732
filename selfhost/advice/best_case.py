"""In which order a list shows the models of one machine, and the best place that each may get.

`listing` takes models by their best place and judges only those that may be among the rows it
shows. What a model can need at least and reach at most follows from its outline: the bounds are
arithmetic on published figures, not fits, and a test holds every shipped model to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from ..catalogue.index import Catalogue, Outline
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_MIN_TOKENS_PER_SECOND, Workload
from ..judge.checks.memory import given_bytes
from ..judge.checks.speed import is_slow
from ..judge.pace.graphics import gpu_of, shared_gpu_of
from ..judge.pace.processor import BANDWIDTH_SHARE, bandwidth
from ..judge.record import Outcome, Route, Verdict
from ..machine.record import Accelerator, Machine
from ..needs.quantization import BLOCKS
from .ranking import MADE_FOR_IT, Standings, share_of_pace, share_on

# The smallest type that a program takes unasked is MXFP4, 4.25 bits a parameter, or bitsandbytes'
# NF4, 4 bits before its scales. Ternary weights are smaller, but their tables of words are not. For
# pictures each type down to Q2_K is tried
LEAST_DEFAULT_BITS = 4.0
LEAST_PICTURE_BITS = 8 * BLOCKS["Q2_K"][1] / BLOCKS["Q2_K"][0]
# Of the active parameters a token reads at least so many: of a small model nearly half are the
# table of words, of which a token looks up one row, and of one that sees some more are the encoder
# of pictures, which decoding leaves alone
LEAST_SHARE_READ = 0.4
# For the line that counts models, what most take: bytes of a parameter in Q4_K_M and in 16 bits,
# and what a program and its usual context take beside the weights (guesses: 0.5 to 1, 1 to 2 GiB)
_TEXT_BYTES, _OTHER_BYTES = 0.6, 2.0
_BESIDE_TEXT_BYTES, _BESIDE_OTHERS_BYTES = 0.6 * units.GIB, 1.2 * units.GIB

_OF_TEXT, _OF_PICTURES = ("text", "vision"), ("image", "video")
_ROUTES = (Route.LOCAL, Route.UNKNOWN, Route.API, Route.NEITHER)

Key = tuple[int | bool | float | str, ...]


class BestCase(Record):
    """The most that a machine gives a model: `room_bytes` of memory, `disk_bytes`, and
    `bytes_per_second` read while it answers, infinite where that is not known. `bits_stated` is the
    least that a parameter takes where a type was asked for.
    """

    room_bytes: float
    disk_bytes: float
    bytes_per_second: float
    bits_stated: float | None
    wanted_tokens_per_second: float

    def has_room(self, outline: Outline) -> bool:
        """Whether all memory together may hold the model."""
        parameters = outline.parameters_total or 0
        return parameters * self._least_bits(outline.modality) / 8 <= self.room_bytes

    def _least_bits(self, modality: str) -> float:
        """What a parameter takes at least."""
        if self.bits_stated is not None:
            return self.bits_stated
        return LEAST_PICTURE_BITS if modality in _OF_PICTURES else LEAST_DEFAULT_BITS

    def has_likely_room(self, outline: Outline) -> bool:
        """Whether memory and disk likely hold the model: an estimate, and no bound."""
        parameters, is_text = outline.parameters_total or 0, outline.modality in _OF_TEXT
        size = parameters * (_TEXT_BYTES if is_text else _OTHER_BYTES)
        beside = _BESIDE_TEXT_BYTES if is_text else _BESIDE_OTHERS_BYTES
        return size + beside <= self.room_bytes and size <= self.disk_bytes

    def tokens_per_second(self, outline: Outline) -> float:
        """The most that it may give, of one sequence; infinite where that is not known."""
        parameters = outline.parameters_active or outline.parameters_total
        if parameters is None or outline.modality not in _OF_TEXT:
            return inf
        read_bytes = parameters * LEAST_SHARE_READ * self._least_bits(outline.modality) / 8
        return self.bytes_per_second / read_bytes if read_bytes > 0 else inf

    def is_slow(self, outline: Outline) -> bool:
        """Whether text surely comes more slowly than was wanted."""
        return self.tokens_per_second(outline) < self.wanted_tokens_per_second


def best_case(machine: Machine, workload: Workload) -> BestCase:
    """The bounds for that machine, from the tables that the judge uses."""
    own_cards = [card for card in machine.accelerators or () if card.unified is not True]
    given, limit = given_bytes(machine, workload), machine.memory_limit_bytes
    if given is not None and machine.models_present and limit is not None:
        # files that lie in memory count as free where they are the model's own
        given = max(given, limit)
    sizes = [given, *(card.memory_total_bytes for card in own_cards)]
    disks = [_or_endless(disk.free_bytes) for disk in machine.disks or ()]
    # training has another pace, and a draft multiplies the pace of what reads the weights
    is_bounded = workload.task == "generate" and workload.draft is None
    wanted = workload.min_tokens_per_second
    smallest = min(8 * size / count for count, size in BLOCKS.values())
    return BestCase(
        room_bytes=sum(map(_or_endless, sizes)),
        disk_bytes=max(disks, default=inf),
        bytes_per_second=_read_rate(machine, own_cards) if is_bounded else inf,
        bits_stated=None if workload.quantization is None else smallest,
        wanted_tokens_per_second=DEFAULT_MIN_TOKENS_PER_SECOND if wanted is None else wanted,
    )


def _or_endless(size: float | None) -> float:
    return inf if size is None else size


def _read_rate(machine: Machine, own_cards: Sequence[Accelerator]) -> float:
    """Bytes per second that weights are read at, at most: by the processor, by a GPU that shares
    the RAM, by all other GPUs together; infinite where that is not known.
    """
    memory, shared = bandwidth(machine), shared_gpu_of(machine)
    gpus = map(gpu_of, own_cards)
    return max(
        inf if memory is None else BANDWIDTH_SHARE * memory.ends[2],
        0 if shared is None else max(shared.peak),
        sum(inf if gpu is None else gpu.peak[2] for gpu in gpus),
    )


class Order:
    """The order of a list of one machine's models, or of those for a use or of a modality."""

    def __init__(
        self,
        catalogue: Catalogue,
        bounds: BestCase,
        *,
        use: str | None = None,
        modality: str | None = None,
    ) -> None:
        self._catalogue, self._bounds = catalogue, bounds
        self._standings = Standings.of_catalogue(catalogue)
        self._use, self._modality = use, modality

    def best_key(self, outline: Outline) -> Key:
        """The best place that `key` can give a model, whatever the judge finds."""
        bounds = self._bounds_of(outline)
        # of what is too large the memory may still be unknown, and closed weights run nowhere
        if outline.closed:
            return self._key(Route.API, outline)
        if not bounds.has_room(outline):
            return self._key(Route.UNKNOWN, outline)
        share = share_of_pace(bounds.tokens_per_second(outline))
        return self._key(Route.LOCAL, outline, is_slow=bounds.is_slow(outline), share=share)

    def key(self, answer: Verdict) -> Key:
        """The place of one model in the list; smaller is better.

        The route, the kind of model, whether it is too slow, what it is for, whether it is as open
        as was asked, then its worth on that machine; where it does not run, its worth alone. Text
        of which no pace is known is as fast as the memory allows, at most half as good.
        """
        outline, opened = self._catalogue.outline(answer.model.id), answer.finding("openness")
        assert outline is not None
        is_less_open = opened is not None and opened.outcome is not Outcome.PASS
        if not answer.can_run:
            return self._key(answer.route, outline, is_less_open=is_less_open)
        bounds = self._bounds_of(outline)
        slow = is_slow(answer, answer.workload.min_tokens_per_second)
        if answer.speed is None or answer.speed.judged is None:
            slow = slow or bounds.is_slow(outline)
        share = share_on(answer, share_of_pace(bounds.tokens_per_second(outline)))
        return self._key(
            answer.route, outline, is_slow=slow, is_less_open=is_less_open, share=share
        )

    def likely_runs(self, outline: Outline) -> bool:
        """Whether memory and disk likely have room for the model."""
        return not outline.closed and self._bounds.has_likely_room(outline)

    def _bounds_of(self, outline: Outline) -> BestCase:
        """Those of the machine; none of a user's model, which no test holds to them."""
        if self._catalogue.is_shipped(outline.id):
            return self._bounds
        return self._bounds.replace(room_bytes=inf, bytes_per_second=inf)

    def _key(
        self,
        route: Route,
        outline: Outline,
        *,
        is_slow: bool = False,
        is_less_open: bool = False,
        share: float = 1.0,
    ) -> Key:
        standing = self._standings.of(outline.id)
        assert standing is not None
        kind = MADE_FOR_IT if outline.modality == self._modality else standing.kind
        section, worth = standing.section_for(self._use), standing.worth * share
        return _ROUTES.index(route), kind, is_slow, section, is_less_open, -worth, outline.id
