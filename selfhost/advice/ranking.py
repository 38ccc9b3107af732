"""The order in which models are proposed, and the reason for the place of each.

One rule serves `list` and "What runs here instead". It rests on facts with a source: the judged
pace and placement, the spec's uses and dates, the models that supersede a model, and what others
measured (`catalogue/abilities.py`). Of a model that nobody measured, size and age tell, and whether
people use it: an entry in Ollama's library, or three providers that sell the model by API.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from functools import cache
from math import exp, inf

from ..catalogue.abilities import CHAT, CODE, Abilities, Ability, abilities
from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import snapshot
from ..catalogue.spec_values import GENERATING, MODALITIES, PICTURES
from ..catalogue.uses import uses_table
from ..core import units
from ..core.records import Record, Stated
from ..core.tables import shipped_record
from ..core.workload import Workload
from ..judge.checks.space import available_ram
from ..judge.pace import Speed
from ..judge.pace.rates import gpu_of, shared_gpu_of
from ..judge.pace.reading import BANDWIDTH_SHARE, bandwidth
from ..judge.record import CRAMPED_CODES, TIGHT_CODES, Judged
from ..machine.record import Machine
from ..needs.case import MICRO_BATCH_TOKENS
from ..needs.quantization import BLOCKS

# no server likely writes so many tokens a second for all its users together: at the fast end each
# takes 15 microseconds of a step (`sequence_seconds` of pace.toml); half as many more, for ranges
# are wide
_MOST_SERVED_PER_SECOND = 100_000
_LEAST_BITS = min(8 * size / count for count, size in BLOCKS.values())
_LEAST_PICTURE_BITS = 8 * BLOCKS["Q2_K"][1] / BLOCKS["Q2_K"][0]
_VECTORS_PER_SECOND = ("documents_per_second", "pictures_per_second")
# what a spec says that a model is for; None where it says nothing
Uses = tuple[str, ...] | None
# sections of `Standing`; before all of them, and of the kinds, comes what was asked for
ASKED_FOR = -1
GENERAL = 0
SPECIAL = 1
LAST = 2
# a model that sees answers text too, so the two are one kind
_KINDS = {modality: place for place, modality in enumerate(MODALITIES)}
_KINDS |= {"vision": 0, "text": 0}
_OTHER_KIND = len(_KINDS)
# a year alone counts from its start
_FIRST_MONTH = 1
# a duration of 0 seconds would give an infinite pace
_LEAST_SECONDS = 1e-3


# ------------------------------------------------------------------ the table


class _Factors(Stated):
    """How much each sign weighs.

    - `total_weight`: how much total parameters count beside active ones. `few_bits`: how much a
      parameter counts that was published in such a type of fewer than four bits. The size of a
      model halves in `halving_months`, that of one that makes no text in
      `halving_months_without_text`. A model whose measured ability is 1 above what size and date
      tell counts as exp(`ability_exponent`) times as large.
    - A model counts as adopted if `adopted_providers` API providers or more offer it.
      `providers_exponent` and `unadopted` multiply the worth of a model that nobody measured, the
      next fields that of any.
    - A model is worth at most `below_successor` of its successor in its size class.
    - `same_size`: two models whose sizes differ by no more than this factor are of one size class.
    - `half_…`: the paces at which a model is worth half. `picture`: by how the model is offloaded.
    - `least_bits`: the least bits of a parameter. `least_share_read`: the least share of the active
      parameters that a token reads.
    - `least_worth`: a model worth less than this share of the best comes last in a sorted list, and
      never first because it leaves room.
    """

    total_weight: float
    few_bits: Mapping[str, float]
    halving_months: float
    halving_months_without_text: float
    ability_exponent: float
    adopted_providers: float
    providers_exponent: float
    unadopted: float
    superseded: float
    below_successor: float
    same_size: float
    named: float
    unlicensed: float
    crowded: float
    half_tokens_per_second: float
    half_seconds_of_crossing: float
    prompt_tokens: float
    half_seconds_per_image: float
    half_vectors_per_second: float
    picture: Mapping[str, float]
    least_bits: float
    least_share_read: float
    least_worth: float


class _UsualSize(Stated):
    """The usual size of models of one kind, for the line that estimates how many models fit.
    `program_gib` is the memory of the runtime with its usual context.
    """

    bytes_of_parameter: float
    program_gib: float


class _RankingTable(Stated):
    """`specs/common/ranking.toml`; `count` is the usual size of text models and of other models."""

    schema: int
    factors: _Factors
    count: Mapping[str, _UsualSize]


_TABLE = shipped_record(_RankingTable, "ranking")
FACTORS = _TABLE.factors


# ------------------------------------------------------------------ the standing of a model


class Standing(Record):
    """The sourced facts of one model that its rank rests on.

    - `section`: GENERAL for models that chat about any subject and models that make no text,
      SPECIAL for models of one kind of work, LAST for base models.
    - `api_providers` is the number of providers that sell the model; `is_adopted`: there is a
      sourced sign that people use it.
    - `worth` is the worth on any machine; more is better. It rests on the parameters of an equally
      good dense model of the newest model's month: by what others measured, else by size and age.
    - `successors` are the open models of its kind and size class that supersede it, the oldest
      first.
    """

    outline: Outline
    kind: int
    section: int
    api_providers: int
    is_adopted: bool
    worth: float
    successors: tuple[str, ...]


class Traits(Record):
    """The traits that the uses of a model imply: whether the model is for any subject, and whether
    it answers in words.
    """

    is_general: bool
    answers: bool


class Likeness(Record):
    """How far a model may stand in for another. `is_alike`: both are for any subject, or have the
    same main use. `does_work`: the model does the work of the other.
    """

    is_alike: bool
    does_work: bool


class Standings:
    """The standing of every model of a catalogue, by its id, in a list of models for `use`; None
    stands for any use. `abilities_of` gives the abilities for a use.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        use: str | None = None,
        abilities_of: Callable[[str], Abilities | None] = abilities,
    ) -> None:
        self._abilities = abilities_of(ability_use(use) or "")
        self._outlines = catalogue.outlines
        self._uses = uses_table().use
        self._providers = snapshot(catalogue.offers_path).providers
        # by the uses: most models share theirs with many others
        self._traits: dict[Uses, Traits] = {}
        months = [_months(outline.released) or 0 for outline in self._outlines.values()]
        self._newest_month = max(months, default=0)
        self.by_id: dict[str, Standing] = {}
        for outline in self._outlines.values():
            self.by_id[outline.id] = self._found_alone(outline)
        self._order_by_successors()

    def _order_by_successors(self) -> None:
        """Give each successor at least the worth of what it supersedes, and that a share less than
        its successor (`below_successor`).
        """
        alone = list(self.by_id.values())
        worths = {standing.outline.id: standing.worth for standing in alone}
        for standing in alone:
            for id in standing.successors:
                worths[id] = max(worths[id], standing.worth)
        for standing in alone:
            worth = worths[standing.outline.id]
            share = 1.0
            for id in standing.successors:
                share *= FACTORS.below_successor
                worth = min(worth, share * worths[id])
            self.by_id[standing.outline.id] = standing.replace(worth=worth)

    def preferring(self, ids: Collection[str]) -> Standings:
        """The same standings, with more worth of the models that a spec names as the nearest."""
        preferring = copy(self)
        preferring.by_id = dict(self.by_id)
        for id in self.by_id.keys() & ids:
            standing = self.by_id[id]
            worth = standing.worth * FACTORS.named
            preferring.by_id[id] = standing.replace(worth=worth)
        return preferring

    @classmethod
    @cache
    def load(cls, catalogue: Catalogue, use: str | None) -> Standings:
        """Return the standings of a catalogue. They are made once, however many answers are
        ranked.
        """
        return cls(catalogue, use)

    def _found_alone(self, outline: Outline) -> Standing:
        """The standing of the model by itself, whatever it supersedes."""
        makes_no_text = self._makes_no_text(outline)
        measured = None
        if self._abilities is not None and not makes_no_text:
            measured = self._abilities.of(outline.id)
        traits = self.traits(outline.uses)
        worth = self._size(outline, traits, measured, makes_no_text=makes_no_text)
        providers = self._providers.get(outline.id, 0)
        # a sourced sign that people use the model
        is_adopted = providers >= FACTORS.adopted_providers or _is_in_library(outline)
        if measured is None:
            worth *= (1 + providers) ** FACTORS.providers_exponent
            if not is_adopted:
                worth *= FACTORS.unadopted
        if outline.superseded_by is not None and makes_no_text:
            worth *= FACTORS.superseded
        return Standing(
            outline=outline,
            kind=_kind(outline),
            section=_section(traits, makes_no_text=makes_no_text),
            api_providers=providers,
            is_adopted=is_adopted,
            worth=worth,
            successors=self._successors(outline),
        )

    def _successors(self, outline: Outline) -> tuple[str, ...]:
        """The open models that supersede the model, one after another, as far as each is of the
        kind and the size class of the one before it.
        """
        successors: list[str] = []
        newest = outline
        while newest.superseded_by not in (None, outline.id, *successors):
            following = self._outlines.get(newest.superseded_by or "")
            if following is None or following.closed:
                break
            if _kind(following) != _kind(outline):
                break
            if not _is_same_size(newest, following):
                break
            successors.append(following.id)
            newest = following
        return tuple(successors)

    def _makes_no_text(self, outline: Outline) -> bool:
        """Whether the main use of the model makes anything but text; False where the spec states no
        use.
        """
        if not outline.uses:
            return False
        if outline.modality not in GENERATING:
            return True
        return self._uses[outline.uses[0]].makes != "text"

    def _size(
        self,
        outline: Outline,
        traits: Traits,
        measured: Ability | None,
        *,
        makes_no_text: bool,
    ) -> float:
        """The parameters of an equally good dense model, halved with age, and more where the model
        was measured better than its size and date tell; 0 where the number is not known.
        """
        above_expected = self._above_expected(outline, measured)
        since = outline.released
        if above_expected is None:
            since = self._known_since(outline, traits)
        age_months = 0
        month = _months(since)
        if month is not None:
            age_months = self._newest_month - month
        halving_months = FACTORS.halving_months
        if makes_no_text:
            halving_months = FACTORS.halving_months_without_text
        aging: float = 0.5 ** (age_months / halving_months)
        size = _dense_size(outline) * aging
        if above_expected is not None:
            size *= exp(FACTORS.ability_exponent * above_expected)
        return size

    def _above_expected(
        self, outline: Outline, measured: Ability | None
    ) -> float | None:
        """How much more able the model was measured than its size and date tell; None where nobody
        measured it, or one of these is not known.
        """
        if measured is None or self._abilities is None:
            return None
        expected = self._abilities.expected(
            outline.parameters_total, outline.parameters_active, outline.released
        )
        return None if expected is None else measured.ability - expected.ability

    def _known_since(self, outline: Outline, traits: Traits) -> str | None:
        """The release day that tells the age of a model's knowledge. A model that answers has most
        of its knowledge from the model that it was tuned from, if that is of another family.
        """
        origin = self._outlines.get(outline.tuned_from or "")
        if origin is None:
            return outline.released
        if not traits.answers:
            return outline.released
        if origin.family == outline.family:
            return outline.released
        days = filter(None, (outline.released, origin.released))
        return min(days, default=None)

    def traits(self, uses: Uses) -> Traits:
        """The traits that these uses imply together. A model without stated uses counts as a
        general model that answers; a base model or an embedding model does not answer.
        """
        if uses not in self._traits:
            self._traits[uses] = self._traits_of(uses)
        return self._traits[uses]

    def _traits_of(self, uses: Uses) -> Traits:
        listed = [self._uses[use] for use in uses or ()]
        if not listed:
            return Traits(is_general=True, answers=True)
        return Traits(
            is_general=listed[0].general, answers=any(use.answers for use in listed)
        )

    def does(self, outline: Outline, use: str) -> bool:
        """Whether the model does work of that use: a source states the use, or the model is general
        and has a use which shows that it does (`also` of `uses.toml`), or was measured at it.
        """
        if outline.has_use(use):
            return True
        also = self._uses[use].also
        if also is None:
            return False
        traits = self.traits(outline.uses)
        if not (traits.is_general and traits.answers):
            return False
        if outline.has_use(also):
            return True
        measured = abilities(use)
        return measured is not None and measured.of(outline.id) is not None

    def likeness(self, uses: Uses, other: Outline) -> Likeness:
        """How far the other model may stand in for one that has these uses. A model that answers in
        words is replaced by one that answers, any other model by one with its main use.
        """
        main_use = uses[0] if uses else None
        wanted = self.traits(uses)
        offered = self.traits(other.uses)
        is_alike = other.uses[:1] == (main_use,)
        if wanted.is_general and offered.is_general:
            is_alike = True
        does_work = main_use in other.uses
        if wanted.answers:
            does_work = offered.answers
        if other.superseded_by is not None:
            does_work = False
        return Likeness(is_alike=is_alike, does_work=does_work)


def _section(traits: Traits, *, makes_no_text: bool) -> int:
    """GENERAL, SPECIAL or LAST. A model that makes no text is GENERAL without answering."""
    if makes_no_text:
        return GENERAL
    if not traits.answers:
        return LAST
    return GENERAL if traits.is_general else SPECIAL


def ability_use(use: str | None) -> str | None:
    """The use whose abilities order a list of models for `use`; None for a use of which too little
    is measured.
    """
    if use is None:
        return CHAT
    if use == CODE:
        return CODE
    return CHAT if uses_table().use[use].general else None


def _dense_size(outline: Outline) -> float:
    """The parameters of a dense model that would be as good; 0 where the number is not known."""
    total = outline.parameters_total
    if total is None:
        return 0
    active = outline.parameters_active or total
    weight = FACTORS.total_weight
    return float(_share_kept(outline) * total**weight * active ** (1 - weight))


def _share_kept(outline: Outline) -> float:
    """What a parameter of the model counts: less than 1 of one published in few bits."""
    if outline.matrix_dtype is None:
        return 1.0
    return FACTORS.few_bits.get(outline.matrix_dtype, 1.0)


def _is_same_size(one: Outline, other: Outline) -> bool:
    """Whether both sizes are known, and of one class."""
    sizes = sorted([_dense_size(one), _dense_size(other)])
    return sizes[0] > 0 and sizes[1] <= FACTORS.same_size * sizes[0]


def _kind(outline: Outline) -> int:
    """The place of the model's kind in a list."""
    return _KINDS.get(outline.modality, _OTHER_KIND)


def _is_in_library(outline: Outline) -> bool:
    """Whether Ollama's library has the model: only tags of that library have a colon."""
    return ":" in " ".join(outline.aliases)


def _months(day: str | None) -> int | None:
    """Months since year 0; None for no day."""
    if not day:
        return None
    month = day[5:7]
    number = int(month) if month else _FIRST_MONTH
    return 12 * int(day[:4]) + number


# ------------------------------------------------------------------ what it is worth on a machine


def share_of_pace(
    pace: float,
    half: float = FACTORS.half_tokens_per_second,
) -> float:
    """The share of its worth that a model has at a pace: 1/2 at the pace `half`, 1/5 at half of
    that pace, 4/5 at twice that pace. By default `half` is that of text in tokens per second.
    """
    if pace <= 0:
        return 0.0
    return 1 / (1 + (half / pace) ** 2)


def share_on(judged: Judged, most: float = 1.0) -> float:
    """The share of its worth that a model has on the machine, at most 1.

    The pace decides. The share is less where prompts are sent to the accelerator, where the license
    is not known, and where other programs must or should be closed first. `most` bounds the share
    of text without a known pace: the share that the bandwidth of the memory allows.
    """
    share = _share_by_pace(judged, most)
    if judged.placement == "split":
        share *= _share_by_crossing(judged.speed)
    if judged.has("license-not-known", "license-unconfirmed"):
        share *= FACTORS.unlicensed
    if judged.has(*CRAMPED_CODES) or judged.waits_for_setting:
        share *= FACTORS.crowded
    return share


def _share_by_crossing(speed: Speed | None) -> float:
    """The share by the seconds that weights take to the accelerator while it reads a usual prompt;
    1 where they stay.
    """
    crossing_seconds = None if speed is None else speed.crossing_seconds
    if not crossing_seconds:
        return 1.0
    seconds = crossing_seconds * FACTORS.prompt_tokens / MICRO_BATCH_TOKENS
    half = 1 / FACTORS.half_seconds_of_crossing
    return share_of_pace(1 / max(seconds, _LEAST_SECONDS), half)


def _share_by_pace(judged: Judged, most: float) -> float:
    """The share by tokens a second, else by the time for a picture or a document. Where no pace is
    known, the share is 1/2 or `most`, whichever is less.
    """
    speed = judged.speed
    pace = judged.users_pace
    if pace is not None:
        return share_of_pace(pace.likely)
    if speed is not None and speed.work is not None:
        likely = speed.work.likely
        if speed.unit in _VECTORS_PER_SECOND:
            return share_of_pace(likely, FACTORS.half_vectors_per_second)
        if speed.unit == "seconds_per_image":
            return share_of_pace(1 / likely, 1 / FACTORS.half_seconds_per_image)
    if judged.has("speed-picture", "speed-hours"):
        offload = judged.offload or "host"
        return FACTORS.picture[offload]
    return min(share_of_pace(FACTORS.half_tokens_per_second), most)


def reasons(judged: Judged, standing: Standing) -> str:
    """Why a model stands where it does: `from 2026-08, in Ollama's library, fits the GPU`."""
    outline = standing.outline
    reasons = []
    if outline.released:
        reasons.append(f"from {outline.released[:7]}")
    if _is_in_library(outline):
        reasons.append("in Ollama's library")
    elif standing.is_adopted:
        reasons.append(f"{standing.api_providers} API providers")
    if judged.placed.is_whole_on_cards:
        is_likely = judged.has("accelerator-tight")
        reasons.append("likely fits the GPU" if is_likely else "fits the GPU")
    reasons += reservations(judged)
    return ", ".join(reasons)


def reservations(judged: Judged) -> list[str]:
    """What may keep a model that fits from running well, in words."""
    found = []
    if judged.waits_for_setting:
        found.append("fits the GPU once its limit is raised")
    if judged.has(*TIGHT_CODES):
        found.append("little memory left")
    return found


# ------------------------------------------------------------------ the most that a machine gives


class BestCase(Record):
    """The most that a machine can give a model: `room_bytes` of memory, `disk_bytes`,
    `bytes_per_second` of weights that an answer reads, and `served_per_second`, the tokens that a
    program writes for each user; infinite where a figure is not known. `bits_stated` is the least
    bits of a parameter where the user stated a type.
    """

    room_bytes: float
    disk_bytes: float
    bytes_per_second: float
    served_per_second: float
    bits_stated: float | None

    def _least_bytes(self, parameters: int | None, outline: Outline) -> float:
        """The least bytes that so many parameters of the model take; 0 where the number is not
        known.
        """
        bits = FACTORS.least_bits * _share_kept(outline)
        if outline.modality in PICTURES:
            bits = _LEAST_PICTURE_BITS
        if self.bits_stated is not None:
            bits = self.bits_stated
        return (parameters or 0) * bits / 8

    def has_room(self, outline: Outline) -> bool:
        """Whether all memory together may hold the model."""
        least = self._least_bytes(outline.parameters_total, outline)
        return least <= self.room_bytes

    def has_likely_room(self, outline: Outline) -> bool:
        """Whether memory and disk likely hold the open model: an estimate, not a bound."""
        if outline.closed:
            return False
        kind = "text" if outline.modality in GENERATING else "other"
        usual = _TABLE.count[kind]
        parameters = outline.parameters_total or 0
        file_bytes = parameters * usual.bytes_of_parameter
        memory_bytes = file_bytes + usual.program_gib * units.GIB
        return memory_bytes <= self.room_bytes and file_bytes <= self.disk_bytes

    def tokens_per_second(self, outline: Outline) -> float:
        """The most tokens per second of one user; infinite where that is not known."""
        if outline.modality not in GENERATING:
            return inf
        read_bytes = self._read_bytes(outline)
        if read_bytes <= 0:
            return self.served_per_second
        return min(self.bytes_per_second / read_bytes, self.served_per_second)

    def _read_bytes(self, outline: Outline) -> float:
        """The least bytes that one token reads; 0 where that is not known."""
        if outline.parameters_read is not None:
            return self._least_bytes(outline.parameters_read, outline)
        parameters = outline.parameters_active or outline.parameters_total
        least = self._least_bytes(parameters, outline)
        return FACTORS.least_share_read * least


def best_case(machine: Machine, workload: Workload) -> BestCase:
    """The bounds for that machine, from the tables that the judge uses."""
    # training has another pace, and a draft multiplies the pace of what reads the weights
    bytes_per_second = inf
    if workload.task == "generate" and workload.draft is None:
        bytes_per_second = _read_rate(machine)
    return BestCase(
        room_bytes=_most_room(machine, workload),
        disk_bytes=_most_disk(machine),
        bytes_per_second=bytes_per_second,
        served_per_second=_MOST_SERVED_PER_SECOND / workload.parallel,
        bits_stated=None if workload.quantization is None else _LEAST_BITS,
    )


def _most_room(machine: Machine, workload: Workload) -> float:
    """Bytes of RAM and of all cards together, at most; infinite where one is not known."""
    ram_bytes = available_ram(machine, workload).ceiling_bytes
    if ram_bytes is None:
        return inf
    if machine.models_present:
        # the pages of a model's own files in memory count as free
        ram_bytes = max(ram_bytes, machine.memory_limit_bytes or 0)
    room_bytes = ram_bytes
    for card in machine.own_memory_cards:
        if card.memory_total_bytes is None:
            return inf
        room_bytes += card.memory_total_bytes
    return room_bytes


def _most_disk(machine: Machine) -> float:
    """Bytes free on the disk with the most room; infinite where that is not known."""
    if not machine.disks:
        return inf
    most = 0
    for disk in machine.disks:
        if disk.free_bytes is None:
            return inf
        most = max(most, disk.free_bytes)
    return most


def _read_rate(machine: Machine) -> float:
    """The most bytes of weights that RAM or accelerators read in a second; infinite where a
    bandwidth is not known.
    """
    memory = bandwidth(machine)
    if memory is None:
        return inf
    cards_rate: float = 0
    for card in machine.own_memory_cards:
        gpu = gpu_of(card)
        if gpu is None:
            return inf
        cards_rate += gpu.peak_bandwidth[2]
    shared = shared_gpu_of(machine)
    shared_rate = 0 if shared is None else max(shared.peak_bandwidth)
    return max(BANDWIDTH_SHARE * memory.ends[2], shared_rate, cards_rate)
