"""Published rates beside the ranges predicted for them, and the line that sums up several."""

from __future__ import annotations

from functools import cache
from statistics import median
from typing import NamedTuple

from selfhost import Machine, Workload
from selfhost.advice.understood import judged_on
from selfhost.catalogue.index import open_catalogue
from selfhost.judge.pace import Range, Speed
from selfhost.judge.record import Judged
from selfhost.machine.named import named
from selfhost.needs.records import Needs


class Run(NamedTuple):
    """A published rate, higher is faster, and the range predicted for it, in the same unit.

    `group` is the kind of work or the class of devices that is summed up; `core` is the kind of
    processor core, where the group holds several.
    """

    group: str
    device: str
    model: str
    seen: float
    low: float
    likely: float
    high: float
    core: str = ""

    @classmethod
    def of(
        cls,
        group: str,
        device: str,
        model: str,
        seen: float,
        pace: Range,
    ) -> Run:
        """A rate beside the pace predicted for it."""
        return cls(group, device, model, seen, *pace)

    @property
    def is_inside(self) -> bool:
        return self.low <= self.seen <= self.high


def print_line(
    name: str,
    runs: list[Run],
    core: str | None = None,
) -> None:
    """Runs, devices, median error, share inside, median width and bias; a name that begins with a
    space is that of a device.
    """
    if not runs:
        return
    error = median(abs(run.likely / run.seen - 1) for run in runs)
    inside = sum(run.is_inside for run in runs) / len(runs)
    width = median(run.high / run.low for run in runs)
    bias = median(run.seen / run.likely for run in runs)
    devices = len({run.device for run in runs})
    kind = "" if core is None else f" {core:8}"
    print(
        f"{name:47}{kind} {len(runs):4} {devices:7}  {error:5.0%}  {inside:6.0%}  {width:8.2f}"
        f"  {bias:11.2f}{'  one device' if devices == 1 and not name.startswith(' ') else ''}"
    )


class Asked(NamedTuple):
    """What one question about a machine gives: the layout that is judged and its pace."""

    machine: Machine
    workload: Workload
    needs: Needs | None
    speed: Speed | None


@cache
def machine_named(name: str) -> Machine:
    """The machine of that name, of which many runs were published."""
    return named(name)[0]


def judged_named(
    model: str,
    workload: Workload,
    machine: Machine | str,
) -> Judged:
    """What is judged of a question about a machine, or about one by its name."""
    shelf = open_catalogue()
    known = machine_named(machine) if isinstance(machine, str) else machine
    return judged_on(shelf, model, workload, known).judged


def ask(
    model: str,
    workload: Workload | None = None,
    *,
    machine: Machine | str,
) -> Asked:
    """As `selfhost.check`, without what it finds beside the judged layout. Raises as that does."""
    judged = judged_named(model, workload or Workload(), machine)
    known = machine_named(machine) if isinstance(machine, str) else machine
    return Asked(known, judged.question.workload, judged.needs, judged.speed)
