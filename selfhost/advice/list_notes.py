"""What a list says beside its rows: options that have no effect, and models not judged as asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.index import Catalogue
from ..core.errors import InputError, in_one_line
from ..core.workload import Workload, as_typed
from ..judge.checks.model import reads_context
from ..judge.record import Verdict
from ..machine.record import Machine
from .listing import Listing

# names of models that a note lists
_MOST_NAMED = 3


def list_notes(
    listing: Listing, workload: Workload, machine: Machine, catalogue: Catalogue, *, named: bool
) -> Iterator[str]:
    """Sentences on the options, and what to type instead. `named`: only some models were asked
    for.
    """
    rows = listing.answers
    yield from _without_cache_type(workload, rows, catalogue)
    if workload.context_tokens is not None:
        kinds = sorted({row.model.modality for row in rows if not reads_context(row.model)})
        if kinds:
            listed = ", ".join(kinds)
            yield f"--context has no effect on models without a context of tokens ({listed})."
    if listing.refused and named:
        yield _refused(listing)


def _without_cache_type(
    workload: Workload, rows: Sequence[Verdict], catalogue: Catalogue
) -> Iterator[str]:
    """Which programs have a type of KV cache where none that was judged has it."""
    cache_type = workload.kv_cache_type
    if cache_type in (None, "f16") or not rows or any(row.needs is not None for row in rows):
        return
    having = [
        name
        for name in catalogue.runtime_ids()
        if cache_type in catalogue.runtime(name).kv_cache_types
    ]
    if workload.runtime not in having:
        options = " or ".join(f"--runtime {name}" for name in having)
        yield (
            f"Nothing runs with a KV cache in {cache_type} because the programs judged lack it:"
            f" {options} lists those that have it."
        )


def _refused(listing: Listing) -> str:
    """Which of the models cannot be judged as asked, and why the first cannot."""
    first, *others = sorted(listing.refused)
    names = ", ".join((first, *others[: _MOST_NAMED - 1]))
    rest = len(listing.refused) - _MOST_NAMED
    more = f" and {rest:,} more" if rest > 0 else ""
    shown = as_typed(listing.refused[first])
    assert isinstance(shown, InputError)
    problem = shown.problems[0]
    remedy = f" ({in_one_line(problem.remedy)})" if problem.remedy else ""
    model = f"{first}: " if others else ""
    return (
        f"Cannot be judged as asked: {names}{more}. {model}{problem.key}: {problem.message}{remedy}"
    )
