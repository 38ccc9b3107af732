"""The one order of ways: what a judged way is worth on a machine.

`rating_of` takes the judgement of a way and returns its `Rating`. The least rating is the best. A
rating follows from the judgement alone, so that the order does not depend on what else was tried.
The table "The choice" in docs/architecture.md explains the order.
"""

from __future__ import annotations

import re
from enum import IntEnum
from math import inf, log
from typing import NamedTuple

from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.workload import READING_TOKENS_PER_SECOND
from ..needs.records import CACHES, likely_bytes
from .checks import Amounts
from .checks.speed import is_too_slow
from .pace.decode_step import Step
from .quality import AS_PUBLISHED, quality_of
from .record import (
    CRAMPED_CODES,
    MEMORY_CHECKS,
    MODEL_CHECKS,
    PACE_CHECKS,
    TIGHT_CODES,
    Judged,
)
from .table import FileRow, program_row
from .ways import Way, has_picture_ways, row_of, way_of

# a person feels a pace that is a fifth faster (assumed)
STEP = 1.2
# a type has to gain by so much more than its size alone gives: a file of half the size is twice as
# fast wherever memory decides, and costs quality
_SIZE_STEPS = 1.25
# where nearly all users wait for their turn, each must get so many times the pace (assumed)
_WORTH_A_WAIT = 2
# what it costs that anybody waits: one step for the wait, one for caches that fill the memory, of
# which only the likely size is known (assumed)
_WAITING_STEPS = 2.0
# what another program than the usual one, and a need that only likely fits, cost
_OTHER_PROGRAM_STEPS = 1.0
_TIGHT_STEPS = 1.0
# what it costs that nobody is known to publish the file (assumed)
_MADE_STEPS = 2.0
# the pace of text that is not known, in tokens per second: worse than any that is
_UNKNOWN_PACE = 1e-6
# a wait for the first word that nobody feels
_SHORT_WAIT_SECONDS = 1.0
# the most of a memory that a type larger than the usual one takes, and the first model of a list:
# what other programs take in the next minute must not change the answer (assumed)
_MOST_SHARE = 0.9
# what a type of unmeasured loss gives up: as much as the worst measured type of four bits
_UNMEASURED_STEPS = 4.3
# the bytes of a weight in 16 bits: more bits keep nothing more
_PLAIN_BYTES = 2
_LEAST_BITS = 4
# the bits that a GGUF type names: Q3_K_M, IQ4_XS, UD-Q2_K_XL
_BITS_IN_NAME = r"(?:UD-)?I?Q(\d)"
# codes of a way that runs only once something else is done
_ONCE_CODES = ("memory-not-now", "accelerator-not-now")


class Runs(IntEnum):
    """Whether a way runs, the best first."""

    NOW = 0
    ONCE_CHANGED = 1
    PERHAPS = 2
    NOT = 3


class RunPlace(IntEnum):
    """The places where a way runs, the best first.

    `BY_PARTS` and `BY_LAYERS` are places on an accelerator that the parts of the model, or its
    layers, enter in turn.
    """

    ACCELERATORS = 0
    ACCELERATORS_TIGHT = 1
    BY_PARTS = 2
    BY_LAYERS = 3
    RAM = 4
    NOWHERE = 5


class Rating(NamedTuple):
    """The worth of a judged way; the least is the best.

    A field decides where all fields before it are equal. The fields that do not count for a kind of
    ways keep their defaults, so that they are equal.

    - Text: all but the places, `lacking_bytes` and `order`. Of ways that do not run only `runs`,
      `unserved` and `settings` count.
    - Pictures and training, whose pace is seldom known: `place`, which says whether the way runs,
      the place if the disk had room, `lacking_bytes`, and `order`, the turn of the way in its
      program's list.
    """

    runs: Runs = Runs.NOW
    place: RunPlace = RunPlace.ACCELERATORS
    place_on_any_disk: RunPlace = RunPlace.ACCELERATORS
    lacking_bytes: float = 0
    unserved: int = 0
    is_slow: bool = False
    is_rough: bool = False
    is_cramped: bool = False
    minus_worth: float = 0.0
    order: int = 0
    settings: int = 0
    download_bytes: float = 0


class Merits(NamedTuple):
    """What the rating of a way of text follows from: figures of a judgement, or the best figures
    that a way can have (`bounds`).

    - `judged`: the judgement that tells the figures.
    - `runs`, `unserved`, `is_cramped`, `download_bytes`: as in the rating.
    - `type`: the type of the weights.
    - `pace`: the likely tokens per second of each user. `wait_seconds`: the likely wait for the
      first word behind a stated prompt. None where they are not known.
    - `read_bytes`: the bytes of weights that are read for a token (`read_bytes_of`).
    - `cost_steps`: what the way gives up beside the bits of its type, in steps of pace.
    - `settings`: the number of its settings.
    """

    judged: Judged
    type: str
    runs: Runs
    unserved: int
    pace: float | None
    wait_seconds: float | None
    is_cramped: bool
    read_bytes: float
    cost_steps: float
    settings: int
    download_bytes: float

    @property
    def is_slow(self) -> bool:
        """Whether text comes more slowly than people read, or at a pace that is not known; False
        where the user stated a pace.
        """
        if self.judged.question.speed_stated:
            return False
        return _is_below_reading_pace(self.pace)

    @property
    def rating(self) -> Rating:
        """The rating of a way with these merits."""
        if self._fails_alike:
            # the first way stays, which has no settings
            return Rating(
                runs=self.runs, unserved=self.unserved, settings=self.settings
            )
        return Rating(
            runs=self.runs,
            unserved=self.unserved,
            is_slow=self.is_slow,
            is_rough=is_rough(self.type, self.judged.model),
            is_cramped=self.is_cramped,
            minus_worth=-self._worth,
            settings=self.settings,
            download_bytes=self.download_bytes,
        )

    @property
    def _fails_alike(self) -> bool:
        """Whether the way is as bad as all others that run no more or, for one user, serve no
        more.
        """
        if self.runs is Runs.NOT:
            return True
        return self.unserved > 0 and self.judged.question.stated.parallel == 1

    @property
    def _worth(self) -> float:
        """The steps of pace of the way, less what it gives up.

        Where the way is too slow, its type counts by its loss alone. Text that comes fast enough
        may be slower for more bits: there the type counts by the bytes read, so that a smaller file
        must gain more than its size gives. The two scales are never compared, because `unserved`
        and `is_slow` decide before.
        """
        worth = steps_between(1.0, max(self.pace or 0.0, _UNKNOWN_PACE))
        if self.wait_seconds is not None:
            worth -= steps_between(1.0, max(self.wait_seconds, _SHORT_WAIT_SECONDS))
        if self.is_slow or self.unserved:
            worth -= _lost_steps(self.type, self.judged.model)
        else:
            worth += _SIZE_STEPS * steps_between(1.0, max(1, self.read_bytes))
        return worth - self.cost_steps


def merits_of(judged: Judged) -> Merits:
    """The merits of a judged way of text, whose question knows its way."""
    runs = runs_of(judged)
    if _is_made_for_a_limit(judged):
        runs = max(runs, Runs.ONCE_CHANGED)
    wait = judged.first_word_seconds
    return Merits(
        judged=judged,
        type=judged.quantization or "",
        runs=runs,
        unserved=_unserved(judged),
        pace=_likely_pace(judged),
        wait_seconds=None if wait is None else wait.likely,
        is_cramped=_is_cramped(judged),
        read_bytes=read_bytes_of(judged.question.step, row_of(judged.question)),
        cost_steps=_cost_steps(judged),
        settings=len(way_of(judged.question).settings),
        download_bytes=judged.placed.download_bytes or inf,
    )


def rating_of(judged: Judged) -> Rating:
    """The rating of what was judged, whose question knows its way."""
    question = judged.question
    if question.stated.task == "finetune" or has_picture_ways(question):
        return _rating_by_place(judged)
    return merits_of(judged).rating


# ------------------------------------------------------------------ text


def runs_of(judged: Judged) -> Runs:
    """Whether a way of text runs, at any pace. Checks of the model itself play no part, because all
    ways share the model.
    """
    deciding = judged.deciding.difference(MODEL_CHECKS, PACE_CHECKS)
    if not deciding.isdisjoint(judged.failed):
        return Runs.NOT
    if deciding:
        return Runs.PERHAPS
    if judged.waits_for_setting or judged.has(*_ONCE_CODES):
        return Runs.ONCE_CHANGED
    return Runs.NOW


def _unserved(judged: Judged) -> int:
    """How far a way is from the stated pace and the longest wait: 0 where it serves them, 1 where
    that is too close to call, 2 where it does not.
    """
    if not set(PACE_CHECKS).isdisjoint(judged.failed):
        return 2
    return 0 if judged.deciding.isdisjoint(PACE_CHECKS) else 1


def _likely_pace(judged: Judged) -> float | None:
    """The likely tokens per second of each user; None where they are not known."""
    pace = judged.users_pace
    return None if pace is None else pace.likely


def _is_below_reading_pace(pace: float | None) -> bool:
    """Whether so many tokens per second are fewer than people read, or not known."""
    return pace is None or units.is_slower(pace, READING_TOKENS_PER_SECOND)


def is_rough(quantization: str, spec: ModelSpec) -> bool:
    """Whether weights of that type have fewer than four bits, and were published with more."""
    bits = re.match(_BITS_IN_NAME, quantization)
    if bits is None or int(bits[1]) >= _LEAST_BITS:
        return False
    return quality_of(quantization, spec).cost != AS_PUBLISHED


def _is_cramped(judged: Judged) -> bool:
    """Whether a type that is larger than the usual one leaves too little memory, or is slower than
    people read. A type of the usual size is never cramped.
    """
    most_share = way_of(judged.question).most_share
    if most_share is None:
        return False
    amounts = amounts_on_accelerators(judged)
    if amounts is None or amounts.share > min(most_share, _MOST_SHARE):
        return True
    if _is_below_reading_pace(_likely_pace(judged)):
        return True
    return judged.has(*CRAMPED_CODES)


def amounts_on_accelerators(judged: Judged) -> Amounts | None:
    """The bytes that the model takes of the accelerators, and those that they have; None where
    accelerators do not surely hold and compute all of the model.
    """
    if not judged.has("accelerator-fits", "accelerator-lean"):
        return None
    return _amounts_of("accelerator", judged)


def _amounts_of(check: str, judged: Judged) -> Amounts | None:
    """The bytes that the check compares; None where they are not known."""
    finding = judged.finding(check)
    return None if finding is None else finding.amounts


def _is_made_for_a_limit(judged: Judged) -> bool:
    """Whether somebody has to make the file, while another type is published, and a GPU that shares
    the RAM computes it: to raise the limit of that GPU for the other type is less work than to make
    a file of one in 16 bits.
    """
    if judged.placement != "host" or not judged.is_on_accelerators:
        return False
    if not judged.question.is_unlisted:
        return False
    program = program_row(judged.model, way_of(judged.question).runtime)
    rows = map(program.type_row, program.types_in_turn)
    return not all(row.is_unlisted for row in rows)


def _cost_steps(judged: Judged) -> float:
    """What the way gives up beside the bits of its type, in steps of pace."""
    question = judged.question
    steps = cost_of(way_of(question), is_unlisted=question.is_unlisted)
    speed = judged.speed
    if speed is not None and speed.waiting:
        steps += waiting_steps(speed.waiting / speed.each_of)
    if judged.has("accelerator-tight"):
        steps += _TIGHT_STEPS
    return steps


def cost_of(way: Way, *, is_unlisted: bool) -> float:
    """What a way gives up on any machine, in steps of pace: by its settings, by its program, and
    where nobody is known to publish its file.
    """
    steps = cost_of_settings(way)
    if is_unlisted:
        steps += _MADE_STEPS
    if way.is_other:
        steps += _OTHER_PROGRAM_STEPS
    return steps


def cost_of_settings(way: Way) -> float:
    """What the settings of a way give up, in steps of pace."""
    return sum(setting.cost_steps for setting in way.settings)


def waiting_steps(share: float) -> float:
    """What it costs that such a share of the users waits, in steps of pace."""
    return _WAITING_STEPS + steps_between(1.0, _WORTH_A_WAIT) * share


def _lost_steps(quantization: str, spec: ModelSpec) -> float:
    """The steps of pace that the loss of the type is worth: a step for each percent (assumed)."""
    quality = quality_of(quantization, spec)
    if quality.loss_percent is not None:
        return quality.loss_percent
    return 0.0 if quality.cost == AS_PUBLISHED else _UNMEASURED_STEPS


def read_bytes_of(step: Step | None, row: FileRow) -> float:
    """The bytes of weights that a step of decoding reads for one user, of more than 16 bits those
    of 16; 0 where they are not known. `row`: the files that are read.

    A mixture that others packed may keep in 16 bits what each token reads, which is little of the
    file. Such bits are no quality of the type, so that the mean bits of the file are the most that
    count.
    """
    if step is None:
        return 0
    if step.parameters is None:
        return step.weights_bytes
    if step.architecture is not None and step.architecture.stored_layers is not None:
        # a token reads layers that are run through twice more often than once
        return step.weights_bytes
    bytes_each: float = _PLAIN_BYTES
    stored = row.spec.parameters.total
    is_as_published = quality_of(row.quantization, row.spec).cost == AS_PUBLISHED
    if row.likely_bytes and stored and not is_as_published:
        bytes_each = min(bytes_each, row.likely_bytes / stored)
    return min(step.weights_bytes, bytes_each * step.parameters)


def steps_between(slower: float, faster: float) -> float:
    """The steps of a fifth from one pace to another."""
    return log(faster / slower) / log(STEP)


# ------------------------------------------------------------------ pictures and training


def _rating_by_place(judged: Judged) -> Rating:
    """The rating by the place where a way runs: pictures, video, training and what has no pace of
    text. On accelerators the turn of the way decides, elsewhere its preference.
    """
    way = way_of(judged.question)
    place = place_of(judged)
    failed = set(judged.failed).difference(["disk"])
    lacking_bytes: float = 0
    if not failed.issubset(MEMORY_CHECKS):
        lacking_bytes = inf
    elif failed:
        lacking_bytes = judged.lacking_bytes()
    return Rating(
        place=place,
        place_on_any_disk=place_of(judged, any_disk=True),
        lacking_bytes=lacking_bytes,
        order=way.turn if place is RunPlace.ACCELERATORS else way.preference,
    )


def place_of(judged: Judged, *, any_disk: bool = False) -> RunPlace:
    """The place where a judged way runs. With `any_disk`, a disk that is too small does not keep
    the way from running.
    """
    ignored = MODEL_CHECKS
    if any_disk:
        ignored += ("disk",)
    if not judged.deciding.issubset(ignored):
        return RunPlace.NOWHERE
    if judged.has("accelerator-tight") and judged.offload is None:
        return RunPlace.ACCELERATORS_TIGHT
    if judged.is_on_accelerators:
        return RunPlace.ACCELERATORS
    by_offload = {
        "model": RunPlace.BY_PARTS,
        "partial": RunPlace.BY_LAYERS,
        "sequential": RunPlace.BY_LAYERS,
    }
    return by_offload.get(judged.offload or "", RunPlace.RAM)


# ------------------------------------------------------------------ two ways compared, and one way


def is_slower_than_reading(judged: Judged) -> bool:
    """Whether each user likely gets text more slowly than people read; True where a pace is not
    known, False where the user stated a pace.
    """
    if judged.question.speed_stated:
        return False
    return _is_below_reading_pace(_likely_pace(judged))


def has_waiting_users(judged: Judged) -> bool:
    """Whether some of the users wait, because memory does not hold all at once."""
    return judged.speed is not None and bool(judged.speed.waiting)


def lies_better(other: Judged, judged: Judged) -> bool:
    """Whether `other` runs in a better place than `judged`, or at all where that does not run."""
    return place_of(other) < place_of(judged)


def runs_as_well(
    other: Judged,
    judged: Judged,
    *,
    may_be_tight: bool = False,
) -> bool:
    """Whether `other`, which asks for more, runs as well as `judged`: as surely, in as good a
    place, and with text as fast as wanted, or where no pace was stated as fast as people read.

    Where `judged` is hardly faster than people read, or slower, text may come a step more slowly,
    but not too slowly.
    What rules out both alike, such as a license, plays no part. Memory is no tighter, unless it
    `may_be_tight`.
    """
    if not other.deciding.isdisjoint((*MEMORY_CHECKS, *PACE_CHECKS, "disk")):
        return False
    if not other.deciding <= judged.deciding or runs_of(other) > runs_of(judged):
        return False
    if place_of(other) > place_of(judged):
        return False
    may_be_tight = may_be_tight or judged.has(*TIGHT_CODES)
    if other.has(*TIGHT_CODES) and not may_be_tight:
        return False
    slower = other.users_pace
    if slower is None or not is_slower_than_reading(other):
        return True
    if is_too_slow(other):
        return False
    pace = judged.users_pace
    return pace is None or pace.likely <= STEP * slower.likely


def is_a_step_faster(other: Judged, judged: Judged) -> bool:
    """Whether each user gets text faster by a step; False where a pace is not known."""
    pace = judged.users_pace
    faster = other.users_pace
    if pace is None or faster is None:
        return False
    return faster.likely >= STEP * pace.likely


def gains_no_step(other: Judged, judged: Judged) -> bool:
    """Whether both paces are known, and that of `other` is not faster by a step."""
    if judged.users_pace is None or other.users_pace is None:
        return False
    return not is_a_step_faster(other, judged)


def serves(judged: Judged) -> bool:
    """Whether a way runs, and is not too slow."""
    return judged.fits and not is_too_slow(judged)


def is_way_out(other: Judged, judged: Judged) -> bool:
    """Whether `other` runs, and not too slowly where `judged` is too slow."""
    return serves(other) if "speed" in judged.deciding else other.fits


def leaves_room(judged: Judged) -> bool:
    """Whether the model still has its memory when other programs take some more in the next minute:
    neither the RAM nor accelerators that hold all of the model are nearly full. True where a share
    is not known. Accelerators that hold a part of the model are meant to be full, and so are those
    that serve as many users as they hold: with less memory they serve fewer at once.
    """
    if has_waiting_users(judged):
        return _leaves_room_for_caches(judged)
    if judged.has(*CRAMPED_CODES):
        return False
    for amounts in (amounts_on_accelerators(judged), _amounts_of("memory", judged)):
        if amounts is not None and amounts.share > _MOST_SHARE:
            return False
    return True


def _leaves_room_for_caches(judged: Judged) -> bool:
    """Whether the accelerators are not nearly full of what does not grow with the users."""
    amounts = _amounts_of("accelerator", judged)
    if amounts is None:
        return False
    fixed_bytes = amounts.needs - likely_bytes(judged.placed.on_cards.terms, *CACHES)
    return fixed_bytes <= _MOST_SHARE * amounts.has
