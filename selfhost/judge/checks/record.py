"""What every check gives: a finding, with its outcome and one of a closed list of reason codes."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ...core.records import Record
from ...core.templates import filled
from .words import WORDS

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any, Self

    from ...machine.record import Machine


class Outcome(StrEnum):
    """Of one finding, from best to worst for the answer."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


_SEVERITY = {outcome: severity for severity, outcome in enumerate(Outcome)}
CHECKS = (
    "weights",
    "license",
    "openness",
    "context",
    "disk",
    "memory",
    "accelerator",
    "cpu",
    "runtime",
    "speed",
)

CODES: Mapping[str, str] = {
    "weights-published": "the weights can be downloaded",
    "weights-here": "the files are already on the machine",
    "weights-stated": "the spec states what the model needs, not where to get it",
    "weights-gated": "the download needs a login or an accepted form",
    "weights-unsafe": "published only as pickle, or loading runs remote code",
    "weights-yours": "only a config.json was given: you must get the weights yourself",
    "weights-partial": "only part of the weights is published",
    "weights-not-known": "whether they were published is not known",
    "weights-closed": "the weights were never published",
    "license-allows": "the license allows what you need",
    "license-conditional": "the license allows it under conditions",
    "license-assumed": "the license allows it by general knowledge, which no source confirms",
    "license-not-known": "whether the license allows it is not known",
    "license-unconfirmed": "the license forbids it by general knowledge, which no source confirms",
    "license-not-accepted": "the license is not one you accept",
    "license-forbids": "the license forbids what you need",
    "openness-open": "it is as open as you need",
    "openness-partly": "it is open in part of what you need",
    "openness-assumed": (
        "it is as open as you need by general knowledge, which no source confirms"
    ),
    "openness-not-known": "whether it is open is not known",
    "openness-closed": "it is closed where you need it open",
    "context-trained": "the context is within what the model was trained for",
    "context-scaled": "beyond the training, within what the publisher documents with scaling",
    "context-untrained": "beyond the training, and no table of positions sets a limit",
    "context-unmeasured": "the memory is known of shorter recordings alone",
    "context-not-known": "the trained context is not known",
    "context-recording-too-long": "the recording is longer than the model hears at once",
    "context-too-long": "the context is beyond what the model can use",
    "disk-nothing-missing": "nothing to download",
    "disk-fits": "the download fits and the margin stays free",
    "disk-tight": "the download fits, but little stays free",
    "disk-slow-or-volatile": "the download fits on a network volume or in RAM",
    "disk-assumed": (
        "the free space is assumed: a profile does not state it, or a quota may leave less"
    ),
    "disk-unread": "the free space could not be read",
    "disk-size-not-known": "the size of the download is not known",
    "disk-too-small": "the download does not fit",
    "disk-too-small-to-make": "the file fits, but there is no room to make it",
    "disk-not-writable": "the folder is not writable",
    "disk-file-too-large": "one file is larger than the file system, or `ulimit -f`, allows",
    "memory-fits": "the memory is there now",
    "memory-tight": "the memory is enough, but little is left to the system and other programs",
    "memory-not-now": "the machine has it, but not free now",
    "memory-close": "what the machine can give lies inside the range of the need",
    "memory-assumed": (
        "it does not fit the assumed RAM, and would fit what such a machine may have"
    ),
    "memory-unread": "the memory could not be read",
    "memory-need-not-known": "how much memory the model needs is not known",
    "memory-too-small": "the machine can never give that much",
    "accelerator-fits": "it all fits on the accelerator",
    "accelerator-not-now": "the accelerator can hold it, but not what is free of it now",
    "accelerator-not-needed": "the model runs without an accelerator",
    "accelerator-partly": "some layers fit, or one part at a time; the rest stays in RAM",
    "accelerator-lean": "it fits with the runtime's option that takes less, and is slower",
    "accelerator-tight": "it likely fits on the accelerator, but its most does not",
    "accelerator-close": "what the accelerator gives lies inside the range of the need",
    "accelerator-shared-out": (
        "it fits only split across several accelerators, as FSDP or ZeRO-3 train"
    ),
    "accelerator-unread": "an accelerator is there but could not be read",
    "accelerator-missing": "the runtime needs an accelerator that is not there",
    "accelerator-too-small": "the runtime needs a larger accelerator",
    "accelerator-unsuitable": "the runtime does not run that quantization on the accelerator",
    "cpu-suits": "the processor suits the runtime's build",
    "cpu-slow": "it runs slowly: a recommended instruction set is missing",
    "cpu-crashes": "the program may crash on an instruction set that this processor has",
    "cpu-assumed": "the instruction sets are assumed: a profile does not state them",
    "cpu-unread": "the processor could not be read",
    "cpu-lacks-instructions": "the runtime's build would crash: an instruction set is missing",
    "cpu-no-build": "the runtime has no build for this processor",
    "runtime-present": "the runtime is installed",
    "runtime-too-old": ("the installed version of the runtime is too old for this model"),
    "runtime-any": "the spec names no runtime",
    "runtime-not-installed": "the runtime is not installed yet",
    "runtime-not-searched": "whether the runtime is installed is not known",
    "runtime-unfamiliar": "whether the runtime supports this architecture is not known",
    "runtime-cannot-load": "the runtime does not load this model",
    "runtime-no-build": "the runtime does not exist for this system",
    "runtime-other-byte-order": (
        "the runtime needs another byte order here than the published files have"
    ),
    "speed-any": "any speed was accepted",
    "speed-comfortable": "at least reading speed, and at least the minimum",
    "speed-slow": "slower than one reads or listens, or perhaps below the minimum",
    "speed-assumed": "fast enough if the assumed memory bandwidth or core count is right",
    "speed-picture": "a picture takes minutes to hours on a CPU, or longer by parts on a GPU",
    "speed-hours": "a picture likely takes an hour or more, or a video is made without a GPU",
    "speed-not-known": "the speed cannot be estimated, and no minimum was stated",
    "speed-no-basis": "the speed cannot be estimated, and a minimum was stated",
    "speed-close": "the stated minimum is above the likely speed and within the range",
    "speed-too-slow": "below the minimum even at best",
}
"""The closed list of reason codes; the README's table is compared with it."""


class Finding(Record):
    """One comparison, need against machine.

    `needs` and `has` are numbers in `unit` or, with `unit` None, text; `short` is how much is
    missing, 0 when nothing is and None where there is no amount. `code` is one of CODES, else
    `ValueError`. `reserve_bytes` is set for memory only.
    """

    check: str
    outcome: Outcome
    code: str
    needs: int | float | str | None = None
    has: int | float | str | None = None
    short: int | float | None = None
    unit: str | None = None
    reserve_bytes: int | None = None
    reason: str
    remedy: str | None = None

    def _check(self) -> None:
        # programs rely on the list of codes, so a code that is missing from it is a bug
        if self.code not in CODES:
            raise ValueError(f'"{self.code}" is not a reason code: add it to CODES')

    def replace(self, **changes: Any) -> Self:
        """As of every record; an outcome may be given as its word. `ValueError` for another."""
        if "outcome" in changes:
            changes["outcome"] = Outcome(changes["outcome"])
        return super().replace(**changes)

    @property
    def severity(self) -> int:
        """0 for a pass, more the worse the outcome is."""
        return _SEVERITY[self.outcome]

    @property
    def leaves_open(self) -> bool:
        """An unknown that decides: any but that of a speed where no minimum was stated."""
        return self.outcome is Outcome.UNKNOWN and self.code != "speed-not-known"

    @property
    def decides(self) -> bool:
        """Whether the route rests on it: a fail, or an unknown that leaves it open."""
        return self.outcome is Outcome.FAIL or self.leaves_open


def finding(
    outcome: Outcome,
    code: str,
    variant: str = "",
    /,
    *,
    needs: int | float | str | None = None,
    has: int | float | str | None = None,
    short: int | float | None = None,
    unit: str | None = None,
    reserve_bytes: int | None = None,
    remedy: str | None = None,
    **figures: Any,
) -> Finding:
    """A finding with the words of its code, or of that variant of it, filled in with its figures.

    `remedy` takes the place of the table's. The code begins with the name of the check.
    """
    values = {"needs": needs, "has": has, "short": short, **figures}
    reason, usual_remedy = WORDS[f"{code}/{variant}" if variant else code]
    return Finding(
        check=code.partition("-")[0],
        outcome=outcome,
        code=code,
        needs=needs,
        has=has,
        short=short,
        unit=unit,
        reserve_bytes=reserve_bytes,
        reason=filled(reason, values),
        remedy=remedy or filled(usual_remedy, values) or None,
    )


def doubt_of(machine: Machine) -> str | None:
    """The confidence of a profile's figures that are not sure; None for those that are, and for a
    machine that was read.
    """
    return None if machine.confidence in (None, "high") else machine.confidence
