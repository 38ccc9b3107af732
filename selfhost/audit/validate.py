"""Whether a policy can be judged at all: its own faults, and names that no model answers to."""

from __future__ import annotations

from ..catalogue.index import Catalogue
from ..core.dates import utc_today
from ..core.errors import Faults, PolicyError, Problem, SelfhostError, UnknownModelError
from ..core.tomlfile import Document
from .entries import MAX_POLICY_BYTES, Policy
from .judged_entries import entry_problems
from .judging import PolicyJudge
from .policy import read_policy, what_is_read


def problems_of(path: str, catalogue: Catalogue) -> tuple[Problem, ...]:
    """Every fault that would keep an audit with this policy from an answer on any machine.

    Models that do not exist, and quantizations or runtimes that a model is not made for, are
    faults; a model that some machine cannot run is none, and neither are expired exceptions. Raises
    `InputError` for a file that cannot be read.
    """
    document = Document.read(path, max_bytes=MAX_POLICY_BYTES)
    try:
        policy = read_policy(document)
    except PolicyError as error:
        return with_refused(error, document, catalogue).problems
    return tuple(entry_problems(policy, 0, _refused(policy, catalogue), ()))


def with_refused(error: PolicyError, document: Document, catalogue: Catalogue) -> PolicyError:
    """The faults of a policy with those of its models that do not exist, or cannot be had as they
    are asked for, so that one run tells all. Of an entry with other faults the name alone is held
    against the catalogue, for the rest of it may not be what was meant.
    """
    if document.text is None or document.values == {}:
        return error
    policy = what_is_read(Document.parse(document.file, document.text.encode()))
    # where an entry is judged is no part of what is asked
    keys = [each.key.split(".") for each in error.all_problems if each.key is not None]
    faulty = {key[0] for key in keys if not key[-1].startswith(("machines", "severity"))}
    refused = {
        index: why
        for index, why in _refused(policy, catalogue).items()
        if isinstance(why, UnknownModelError) or f"model[{index}]" not in faulty
    }
    more = tuple(entry_problems(policy, 0, refused, ()))
    if not more:
        return error
    problems = sorted((*error.all_problems, *more), key=lambda each: (each.line is None, each.line))
    return PolicyError(Faults(document.file, problems).problems, all_problems=problems)


def _refused(policy: Policy, catalogue: Catalogue) -> dict[int, SelfhostError]:
    """Why entries cannot be judged on any machine, by their index."""
    judge = PolicyJudge(catalogue, utc_today())
    refused: dict[int, SelfhostError] = {}
    for wanted in policy.models:
        try:
            # that an entry names no model is told by whoever read it
            if wanted.name:
                judge.ask(wanted)
        except SelfhostError as error:
            refused[wanted.index] = error
    return refused
