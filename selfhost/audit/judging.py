"""What a policy asks of a machine -> a verdict: of one model, or of several side by side."""

from __future__ import annotations

from ..answers.fleet import FleetJudge
from ..answers.together import Beside, check_together_with
from ..catalogue.index import Catalogue
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.record import Verdict
from .entries import Wanted
from .judged_entries import Judge


def judge_with(catalogue: Catalogue, today: str, fleet_judge: FleetJudge | None = None) -> Judge:
    """A judge with the models' own defaults, so that a policy means the same on every machine.
    `today` is `YYYY-MM-DD` in UTC, on which offers end. What `fleet_judge` has worked out of that
    catalogue for that day is not worked out again.
    """

    by_one = fleet_judge or FleetJudge(catalogue, today)

    def judge(wanted: Wanted, workload: Workload, machine: Machine) -> Verdict:
        members = asked_by(wanted, workload)
        if not wanted.members:
            return by_one.verdict(members[0], machine)
        return check_together_with(catalogue, members, machine, today=today, follows_machine=False)

    return judge


def asked_by(wanted: Wanted, workload: Workload) -> list[Beside]:
    """The models that an entry asks for at once, one or several, under the workload that holds on
    a machine.
    """
    if not wanted.members:
        return [
            Beside(model=wanted.name, workload=workload, requires_runtime=wanted.require_runtime)
        ]
    return [
        Beside(
            model=member.name,
            workload=member.asked.replace(memory_basis=workload.memory_basis),
            requires_runtime=member.require_runtime,
        )
        for member in wanted.members
    ]
