"""Whether a policy can be judged at all: its own faults, and names that no model answers to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.dates import utc_today
from ..core.errors import Faults, PolicyError, Problem, SelfhostError, UnknownModelError
from ..core.tomlfile import Document
from .judged_entries import entry_problems
from .judging import PolicyJudge
from .policy import MAX_POLICY_BYTES, Policy, Wanted, read_policy, what_is_read

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..catalogue.index import Catalogue

# amounts of a workload: whether a model is refused for one depends on it being stated, or too large
_AMOUNTS = ("context_tokens", "parallel", "min_tokens_per_second", "audio_seconds")


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
    refused = dict(_refused(policy, PolicyJudge(catalogue, utc_today())))
    return tuple(entry_problems(policy, 0, refused, ()))


def with_refused(error: PolicyError, document: Document, catalogue: Catalogue) -> PolicyError:
    """The faults of a policy with those of its models that do not exist, or cannot be had as they
    are asked for, so that one run tells all. Of an entry with other faults the name alone is held
    against the catalogue, for the rest of it may not be what was meant.
    """
    if document.text is None or document.values == {}:
        return error
    policy = what_is_read(Document.parse(document.file, document.text.encode()))
    # of an entry by itself: where it is judged is no part of what is asked
    keys = [each.key.split(".") for each in error.all_problems if each.key is not None]
    faulty = {key[0] for key in keys if not key[-1].startswith(("machines", "severity"))}
    refused = {
        index: why
        for index, why in _refused(policy, PolicyJudge(catalogue, utc_today()))
        if isinstance(why, UnknownModelError) or f"model[{index}]" not in faulty
    }
    more = tuple(entry_problems(policy, 0, refused, ()))
    if not more:
        return error
    problems = sorted((*error.all_problems, *more), key=lambda each: (each.line is None, each.line))
    return PolicyError(Faults(document.file, problems).problems, all_problems=problems)


def _refused(policy: Policy, judge: PolicyJudge) -> Iterator[tuple[int, SelfhostError]]:
    """The entries that cannot be judged, in the policy's order, and why: each is put to a machine
    of which nothing was read, whatever its selectors say.
    """
    by_kind: dict[object, list[Wanted]] = {}
    for wanted in policy.models:
        # that an entry names no model is told by whoever read it
        if wanted.name:
            by_kind.setdefault(_kind(wanted), []).append(wanted)
    refused: dict[int, SelfhostError] = {}

    def put(wanted: Wanted) -> None:
        try:
            judge.ask(wanted)
        except SelfhostError as error:
            refused[wanted.index] = error

    for alike in by_kind.values():
        extremes = _extremes(alike)
        for wanted in extremes:
            put(wanted)
        if any(wanted.index in refused for wanted in extremes):
            # what one is refused for, others of its kind may be
            for wanted in alike:
                if wanted.index not in refused:
                    put(wanted)
    yield from sorted(refused.items())


def _kind(wanted: Wanted) -> object:
    """What entries share that differ in amounts alone; members of a `[[together]]` have none of
    their own.
    """
    workload = wanted.asked
    stated = tuple([getattr(workload, name) is not None for name in _AMOUNTS])
    return wanted.name, wanted.members, stated, workload.all_but(_AMOUNTS)


def _extremes(alike: Sequence[Wanted]) -> list[Wanted]:
    """Those with the least and the most of each amount: if they can be judged, all between can."""
    by_index = {}
    for name in _AMOUNTS:
        in_order = sorted(alike, key=lambda wanted: getattr(wanted.asked, name) or 0)
        by_index.update({each.index: each for each in (in_order[0], in_order[-1])})
    return list(by_index.values())
