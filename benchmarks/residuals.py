"""Published rates beside the ranges predicted for them, and the lines that sum up several.

What goes in: a model, a workload and a machine, which may be given by its name. What comes out: the
prediction for them (`ask`), a published rate beside its predicted range (`Run`), and printed lines.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
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

HEADING = f"{'':47} runs devices  error  inside  high/low  seen/likely"


class Run(NamedTuple):
    """A published rate, of which more is faster, and the range predicted for it in the same unit.

    `group` is the kind of work or the class of devices for which a line is printed; `core` is the
    kind of processor core, where the group holds several.
    """

    group: str
    device: str
    model: str
    measured: float
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
        measured: float,
        pace: Range,
        core: str = "",
    ) -> Run:
        """A rate beside the pace predicted for it."""
        return cls(
            group=group,
            device=device,
            model=model,
            measured=measured,
            low=pace.low,
            likely=pace.likely,
            high=pace.high,
            core=core,
        )

    @property
    def is_inside(self) -> bool:
        """Whether the range holds what was measured."""
        return self.low <= self.measured <= self.high

    @property
    def error(self) -> float:
        """The distance of the likely rate from the measured one, as a share of the measured one."""
        return abs(self.likely / self.measured - 1)

    @property
    def width(self) -> float:
        """The high end of the range over its low end."""
        return self.high / self.low

    @property
    def bias(self) -> float:
        """The measured rate over the likely one."""
        return self.measured / self.likely


def print_line(
    name: str,
    runs: Sequence[Run],
    core: str | None = None,
) -> None:
    """Print the number of runs and of devices, the median error, the share inside, the median width
    and the bias. A name that begins with a space is that of a device.
    """
    if not runs:
        return
    error = median(run.error for run in runs)
    inside = sum(run.is_inside for run in runs) / len(runs)
    width = median(run.width for run in runs)
    bias = median(run.bias for run in runs)
    devices = len({run.device for run in runs})
    kind = "" if core is None else f" {core:8}"
    remark = ""
    if devices == 1 and not name.startswith(" "):
        remark = "  one device"
    print(
        f"{name:47}{kind} {len(runs):4} {devices:7}  {error:5.0%}  {inside:6.0%}  {width:8.2f}"
        f"  {bias:11.2f}{remark}"
    )


def print_devices(runs: Sequence[Run], core: str | None = None) -> None:
    """Print a line for each device."""
    for device in sorted({run.device for run in runs}):
        of_device = [run for run in runs if run.device == device]
        print_line(f"  {device}", of_device, core)


def print_misses(runs: Sequence[Run]) -> None:
    """Print each run outside its range, the slowest beside its likely rate first."""
    for run in sorted(runs, key=lambda run: run.bias):
        if not run.is_inside:
            print(
                f"  {run.bias:5.2f} {run.device[:28]:28} {run.model[:44]:44}"
                f" {run.measured:7.1f} of {run.low:.1f} {run.likely:.1f} {run.high:.1f}"
            )


def report_left_out(spec_id: str, device: str, why: str) -> None:
    """Print to standard error that a run is left out, and why."""
    print(f"  left out, {why}: {spec_id} on {device}", file=sys.stderr)


class Answer(NamedTuple):
    """What is predicted for a model on a machine. `needs` and `speed` are those of the judged
    layout; None where they are not known.
    """

    machine: Machine
    workload: Workload
    needs: Needs | None
    speed: Speed | None

    @property
    def decode(self) -> Range | None:
        """Tokens a second of one answer."""
        return None if self.speed is None else self.speed.decode

    @property
    def prompt(self) -> Range | None:
        """Tokens a second of a prompt that is read."""
        return None if self.speed is None else self.speed.prompt

    @property
    def together(self) -> Range | None:
        """Tokens a second of all sequences that are decoded together."""
        return None if self.speed is None else self.speed.parallel_total

    @property
    def work(self) -> Range | None:
        """Units of other work a second, or seconds a unit: the unit is that of the work."""
        return None if self.speed is None else self.speed.work

    @property
    def is_split(self) -> bool:
        """Whether a part of the model lies in RAM beside a GPU."""
        return self.needs is not None and self.needs.placement == "split"


@cache
def machine_named(name: str) -> Machine:
    """The machine of that name; cached, because many runs share a machine."""
    return named(name)[0]


def judged_for(
    model: str,
    workload: Workload,
    machine: Machine,
) -> Judged:
    """The judgement of the model on the machine. Raises what `selfhost.check` raises."""
    return judged_on(open_catalogue(), model, workload, machine).judged


def ask(
    model: str,
    workload: Workload | None = None,
    *,
    machine: Machine | str,
) -> Answer:
    """The prediction for the model on a machine, which may be given by its name. Raises what
    `selfhost.check` raises.
    """
    if isinstance(machine, str):
        machine = machine_named(machine)
    judged = judged_for(model, workload or Workload(), machine)
    return Answer(
        machine=machine,
        workload=judged.question.workload,
        needs=judged.needs,
        speed=judged.speed,
    )
