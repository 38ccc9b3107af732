"""Whether a policy can be judged at all: its own faults, and names that no model answers to."""

from __future__ import annotations

from ..core.dates import utc_today
from ..core.errors import PolicyError, Problem
from ..core.tomlfile import Document
from ..machine.record import Machine
from .judging import judge_with
from .policy import MAX_POLICY_BYTES, read_policy
from .run import run_audit

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.index import Catalogue


def problems_of(path: str, catalogue: Catalogue) -> tuple[Problem, ...]:
    """Every fault that would keep an audit with this policy from an answer on any machine.

    Models that do not exist, and quantizations or runtimes that a model is not made for, are
    faults; a model that some machine cannot run is none, and neither are expired exceptions. Raises
    `InputError` for a file that cannot be read.
    """
    try:
        policy = read_policy(Document.read(path, max_bytes=MAX_POLICY_BYTES))
    except PolicyError as error:
        return error.problems
    today = utc_today()

    # each entry is put to one machine of which nothing was read, whatever its selectors say
    everywhere = policy.replace(
        models=tuple(wanted.replace(machines=()) for wanted in policy.models)
    )
    judge = judge_with(catalogue, today)
    return run_audit(everywhere, [Machine()], judge, today=today).problems
