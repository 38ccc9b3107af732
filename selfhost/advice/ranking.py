"""In which order models are proposed, and why each stands where it does.

One rule serves `list` and "what runs here instead". It rests on facts with a source: the judged
pace and placement, the spec's uses and dates, what supersedes a model, and two signs that people
use it: an entry in Ollama's library, or three providers that sell it by API. No benchmark score has
a part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import inf

from ..catalogue.index import Catalogue, Outline
from ..catalogue.offers import snapshot
from ..catalogue.spec_values import GENERATING, MODALITIES, PICTURES
from ..core import units
from ..core.records import Record
from ..core.tables import shipped_table
from ..core.workload import Workload
from ..judge.checks.space import given_by
from ..judge.pace.rates import BANDWIDTH_SHARE, bandwidth, gpu_of, shared_gpu_of
from ..judge.pace.text import BATCH_TOKENS
from ..judge.record import TIGHT_CODES, Judged
from ..machine.record import Machine
from ..needs.quantization import BLOCKS

_LEAST_BITS = min(8 * size / count for count, size in BLOCKS.values())
_LEAST_PICTURE_BITS = 8 * BLOCKS["Q2_K"][1] / BLOCKS["Q2_K"][0]
_VECTORS_PER_SECOND = ("documents_per_second", "pictures_per_second")
TIGHT = "little memory left"
_CROWDED_CODES = ("memory-not-now", "accelerator-not-now", *TIGHT_CODES)
Uses = tuple[str, ...] | None
# sections of `Standing`; before all of them, and of the kinds, comes what was asked for
GENERAL, SPECIAL, LAST = 0, 1, 2
MADE_FOR_IT = -1
# a model that sees answers text too, so the two are one kind
_KINDS = {modality: place for place, modality in enumerate(MODALITIES)} | {
    "vision": 0,
    "text": 0,
}


def factors(kind: str) -> Mapping[str, float]:
    """Those of that kind in `common/ranking.toml`."""
    table: Mapping[str, float] = shipped_table("ranking")[kind]
    return table


class Standing(Record):
    """The sourced facts of one model that its rank rests on.

    `section`: GENERAL for what a chat is asked of and what makes no text, SPECIAL for one kind of
    work, LAST for base models and superseded chat models. `size` is the parameters of a dense model
    as good, discounted by age; 0 where it is not known. `api_providers` is how many sell it;
    `is_adopted`: there is a sourced sign that people use it. `worth` is what it counts for before
    the machine has a say; more is better.
    """

    outline: Outline
    kind: int
    section: int
    api_providers: int
    is_adopted: bool
    size: float
    worth: float


class Standings:
    """The standing of every model of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._uses: Mapping[str, Mapping[str, object]] = catalogue.common("uses")["use"]
        self.by_id: dict[str, Standing] = {}
        offered, outlines = (
            snapshot(catalogue.offers_path).providers,
            catalogue.outlines.values(),
        )
        table = factors("worth")
        newest = max(
            (_months(outline.released) or 0 for outline in outlines), default=0
        )
        for outline in outlines:
            providers, size = (
                offered.get(outline.id, 0),
                self._size(outline, newest, catalogue),
            )
            # only of what reads text or images is it asked that it answers: one that writes down
            # what is said does its work, as one that speaks does
            makes = self._uses.get((outline.uses or ("",))[0], {"makes": "text"})[
                "makes"
            ]
            is_general, answers = self.traits(outline.uses)
            section = GENERAL
            if makes == "text" and (outline.modality in GENERATING or not outline.uses):
                is_last = outline.superseded_by is not None or not answers
                section = LAST if is_last else GENERAL
                if answers and not is_general:
                    section = SPECIAL
            # tags of Ollama's library have a colon
            is_adopted = (
                ":" in " ".join(outline.aliases)
                or providers >= table["adopted_providers"]
            )
            worth = size * (1 if is_adopted else table["unadopted"])
            worth *= (1 + providers) ** table["providers_exponent"]
            self.by_id[outline.id] = Standing(
                outline=outline,
                kind=_KINDS.get(outline.modality, len(_KINDS)),
                section=section,
                api_providers=providers,
                is_adopted=is_adopted,
                size=size,
                worth=worth
                * (1 if outline.superseded_by is None else table["superseded"]),
            )

    @classmethod
    @cache
    def load(cls, catalogue: Catalogue) -> Standings:
        """Those of a catalogue, which are made once, however many answers are ranked."""
        return cls(catalogue)

    def _size(self, outline: Outline, newest: int, catalogue: Catalogue) -> float:
        total = outline.parameters_total or 0
        active, known_since = outline.parameters_active or total, outline.released
        # what a model knows it mostly has from what it was tuned from, also in another family
        tuned_from = outline.tuned_from if self.traits(outline.uses)[1] else None
        origin = catalogue.outlines.get(tuned_from) if tuned_from else None
        if origin is not None and origin.released and origin.family != outline.family:
            known_since = min(known_since or origin.released, origin.released)
        month = _months(known_since)
        age = newest - month if month is not None else 0
        weight, halving = (
            factors("size")["total_weight"],
            factors("size")["halving_months"],
        )
        return float(total**weight * active ** (1 - weight) * 0.5 ** (age / halving))

    def traits(self, uses: Uses) -> tuple[bool, bool]:
        """Whether what has these uses is for any subject, as what states none, a chat model; and
        whether it answers a question in words, as a base model or one that embeds does not.
        """
        listed = [self._uses[use] for use in uses or () if use in self._uses]
        is_general = not listed or bool(listed[0]["general"])
        return is_general, not listed or any(use["answers"] for use in listed)

    def has_use_of(self, uses: Uses, other: Outline) -> tuple[bool, bool]:
        """Whether a model is for any subject as what has these uses is, or has its main use; and
        whether it does its work: what answers in words is replaced by what does, all else by what
        has its main use.
        """
        (is_general, answers), (is_too, answers_too) = (
            self.traits(uses),
            self.traits(other.uses),
        )
        is_same = (is_general and is_too) or (uses or ())[:1] == (
            other.uses or (None,)
        )[:1]
        if other.superseded_by is not None or answers:
            return is_same, other.superseded_by is None and answers_too
        return is_same, uses is not None and uses[0] in (other.uses or ())


def _months(day: str | None) -> int | None:
    """Months since year 0; a year alone counts from its start."""
    if not day or not day[:4].isdecimal():
        return None
    month = day[5:7]
    return int(day[:4]) * 12 + (int(month) if month.isdecimal() else 1)


def share_of_pace(pace: float, half: float | None = None) -> float:
    """Below 1: half at the pace `half`, at half of that a fifth, at twice four fifths."""
    half = half or factors("half")["tokens_per_second"]
    return 1 / (1 + (half / pace) ** 2) if pace > 0 else 0.0


def share_on(judged: Judged, most: float = 1.0) -> float:
    """Which share of its worth a model has on that machine, at most 1: by its pace, half where none
    is known; less where a part of it lies beside the accelerator, by how long what crosses for a
    prompt takes, and where other programs must or should be closed first; of a picture or a
    document by the time that it takes. `most` is what the memory allows, for text of which no pace
    is known.
    """
    speed, half = judged.speed, factors("half")
    pace, work = getattr(speed, "judged", None), getattr(speed, "work", None)
    unit = getattr(speed, "unit", "")
    if pace is not None:
        share = share_of_pace(pace.likely)
    elif work is not None and unit in _VECTORS_PER_SECOND:
        share = share_of_pace(work.likely, half["vectors_per_second"])
    elif work is not None and unit == "seconds_per_image":
        share = share_of_pace(1 / work.likely, 1 / half["seconds_per_image"])
    elif judged.has("speed-picture", "speed-hours"):
        offload = judged.offload or "host"
        share = factors("picture")[offload]
    else:
        share = min(share_of_pace(half["tokens_per_second"]), most)
    if judged.placement == "split" and speed is not None and speed.crossing_seconds:
        seconds = speed.crossing_seconds * half["prompt_tokens"] / BATCH_TOKENS
        share *= share_of_pace(1 / max(seconds, 1e-3), 1 / half["seconds_of_crossing"])
    worth = factors("worth")
    share *= (
        worth["unlicensed"]
        if judged.has("license-not-known", "license-unconfirmed")
        else 1
    )
    is_crowded = judged.has(*_CROWDED_CODES) or judged.waits_for_setting
    return share * (worth["crowded"] if is_crowded else 1)


def reasons(judged: Judged, standing: Standing) -> str:
    """Why a model stands where it does: `from 2026-08, in Ollama's library, fits the GPU`."""
    outline = standing.outline
    reasons = []
    if outline.released:
        reasons.append(f"from {outline.released[:7]}")
    # tags of Ollama's library have a colon
    if any(":" in alias for alias in outline.aliases):
        reasons.append("in Ollama's library")
    elif standing.is_adopted:
        reasons.append(f"{standing.api_providers} API providers")
    if judged.placement == "accelerator":
        is_likely = judged.has("accelerator-tight")
        reasons.append("likely fits the GPU" if is_likely else "fits the GPU")
    if judged.waits_for_setting:
        reasons.append("fits the GPU once its limit is raised")
    if judged.has(*TIGHT_CODES):
        reasons.append(TIGHT)
    return ", ".join(reasons)


class BestCase(Record):
    """The most that a machine gives a model: `room_bytes` of memory, `disk_bytes`, and
    `bytes_per_second` read while it answers, infinite where that is not known. `bits_stated` is the
    least that a parameter takes where a type was asked for.
    """

    room_bytes: float
    disk_bytes: float
    bytes_per_second: float
    bits_stated: float | None

    def least_bytes(self, parameters: int | None, modality: str) -> float:
        """What so many parameters take at least; 0 where their number is not known."""
        if parameters is None:
            return 0
        bits = self.bits_stated
        if not bits:
            bits = (
                _LEAST_PICTURE_BITS
                if modality in PICTURES
                else factors("least")["bits"]
            )
        return parameters * bits / 8

    def has_room(self, outline: Outline) -> bool:
        """Whether all memory together may hold the model."""
        return (
            self.least_bytes(outline.parameters_total, outline.modality)
            <= self.room_bytes
        )

    def has_likely_room(self, outline: Outline) -> bool:
        """Whether memory and disk likely hold the open model: an estimate, and no bound."""
        kind = "text" if outline.modality in GENERATING else "other"
        bytes_each, beside_gib = shipped_table("ranking")["count"][kind]
        parameters = outline.parameters_total or 0
        size = parameters * bytes_each
        held = size + beside_gib * units.GIB
        return (
            not outline.closed and held <= self.room_bytes and size <= self.disk_bytes
        )

    def tokens_per_second(self, outline: Outline) -> float:
        """The most that it may give, of one sequence; infinite where that is not known."""
        if outline.modality not in GENERATING:
            return inf
        parameters = outline.parameters_active or outline.parameters_total
        read_bytes = factors("least")["share_read"] * self.least_bytes(
            parameters, outline.modality
        )
        return self.bytes_per_second / read_bytes if read_bytes > 0 else inf


def best_case(machine: Machine, workload: Workload) -> BestCase:
    """The bounds for that machine, from the tables that the judge uses."""
    cards = [card for card in machine.accelerators or () if card.unified is not True]
    given, limit = given_by(machine, workload).ceiling_bytes, machine.memory_limit_bytes
    if given is not None and machine.models_present:
        # files that lie in memory count as free where they are the model's own
        given = max(given, limit or 0)
    sizes = [given, *(card.memory_total_bytes for card in cards)]
    frees = [disk.free_bytes for disk in machine.disks or ()]
    # training has another pace, and a draft multiplies the pace of what reads the weights
    is_bounded = workload.task == "generate" and workload.draft is None
    return BestCase(
        room_bytes=inf if None in sizes else sum(filter(None, sizes)),
        disk_bytes=max((inf if free is None else free for free in frees), default=inf),
        bytes_per_second=_read_rate(machine) if is_bounded else inf,
        bits_stated=None if workload.quantization is None else _LEAST_BITS,
    )


def _read_rate(machine: Machine) -> float:
    """Bytes of weights read in a second, at most, by what reads fastest; else infinite."""
    memory, shared = bandwidth(machine), shared_gpu_of(machine)
    gpus = [
        gpu_of(card) for card in machine.accelerators or () if card.unified is not True
    ]
    return max(
        inf if memory is None else BANDWIDTH_SHARE * memory.ends[2],
        0 if shared is None else max(shared.peak_bandwidth),
        sum(inf if gpu is None else gpu.peak_bandwidth[2] for gpu in gpus),
    )
