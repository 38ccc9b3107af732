"""Needs held against a machine: findings, the route that follows, and the one place where the exit code is decided."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from .facts import Record
from .machine import Machine
from .needs.records import Needs
from .offers import Offer
from .spec import ModelSpec
from .workload import Workload


class Outcome(StrEnum):
    """Of one finding; where several cells of the contract's table hold, the later one wins."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


class Route(StrEnum):
    """The answer: run it here, use an API, neither, or it cannot be told."""

    LOCAL = "local"
    API = "api"
    NEITHER = "neither"
    UNKNOWN = "unknown"


CHECKS = ("weights", "license", "openness", "context", "disk", "memory", "accelerator", "cpu", "runtime", "speed")


class Finding(Record):
    """One comparison, need against machine.

    `needs` and `has` are numbers in `unit` or, with `unit` None, text. `code` is one of CODES. `reserve_bytes` is set for
    memory only.
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


class PaceRange(Record):
    """Tokens per second: the slow end, the likely figure, the fast end."""

    low: float
    likely: float
    high: float


class Speed(Record):
    """Expected pace; `how` says what it rests on, in a sentence a person understands."""

    decode: PaceRange | None
    prompt: PaceRange | None
    unit: str = "tokens_per_second"
    how: str


class Alternative(Record):
    """Something that would fit instead: the same model smaller or with a shorter context, or another model."""

    id: str
    name: str
    quantization: str | None
    context_tokens: int | None
    why: str


class Verdict(Record):
    """The answer for one model on one machine. It has no truth value: ask `route` or `can_run`.

    `workload` is the one judged, every default filled in. `notes` are sentences about how the name was understood.
    """

    asked: str
    model: ModelSpec
    workload: Workload
    machine: Machine
    route: Route
    needs: Needs | None
    speed: Speed | None
    findings: tuple[Finding, ...]
    alternatives: tuple[Alternative, ...] = ()
    api_offers: tuple[Offer, ...] = ()
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def can_run(self) -> bool:
        """True only when the route is local."""
        return self.route is Route.LOCAL

    @property
    def can_download(self) -> bool | None:
        """Weights published and disk large enough; None where either is unknown."""
        outcomes = {finding.check: finding.outcome for finding in self.findings}
        weights, disk = outcomes.get("weights"), outcomes.get("disk")
        if weights is Outcome.FAIL or disk is Outcome.FAIL:
            return False
        if weights in (None, Outcome.UNKNOWN) or disk in (None, Outcome.UNKNOWN):
            return None
        return True

    @property
    def exit_code(self) -> int:
        """0, 1 or 3: see `exit_code`."""
        return exit_code([self.route])

    def finding(self, check: str) -> Finding | None:
        """The finding of that name, None where it was not asked for."""
        for finding in self.findings:
            if finding.check == check:
                return finding
        return None

    def __bool__(self) -> bool:
        raise TypeError("a Verdict has no truth value: ask verdict.can_run, or verdict.route for the four answers")


def exit_code(routes: Iterable[Route], *, no_answer: bool = False, crashed: bool = False, interrupted: bool = False) -> int:
    """The process's exit code: 130 interrupted, 70 a bug, else 2 beats 1 beats 3 beats 0. Nothing judged is 2, never 0."""
    if interrupted:
        return 130
    if crashed:
        return 70
    seen = list(routes)
    if no_answer or not seen:
        return 2
    if any(route in (Route.API, Route.NEITHER) for route in seen):
        return 1
    return 3 if Route.UNKNOWN in seen else 0
