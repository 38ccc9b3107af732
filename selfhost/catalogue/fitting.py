"""What arithmetic needs of the sizes that a file states: they are above zero, and divide what they
share out.

`spec` says it of each part of a layer; the readers of spec files, config.json and GGUF headers tell
it under the key of their file. `needs` divides by these sizes and asks no more.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.records import Record

# the key, what is wrong with it as a clause that begins with a verb, and what to write instead
Misfit = tuple[str, str, str]

# more than any published model has (896)
MAX_EXPERTS = 10_000
# versions of the hidden state beside each other; published models have 4
MAX_INPUTS = 64
# of one length or count; the largest of a published model is a context of 10,485,760 tokens
MAX_SIZE = 1 << 32
# the most divisors that are tried for a hint
_TRIED = 1 << 16


def unsized(record: Record) -> Iterator[Misfit]:
    """Every number of a record that is no size of a model."""
    for key in type(record)._fields:
        value = getattr(record, key)
        if type(value) is int and not 1 <= value <= MAX_SIZE:
            yield (
                key,
                f"is {value:,}, which is no size of a model",
                f"write a number from 1 to {MAX_SIZE:,}",
            )


def undivided(
    key: str, parts: int | None, whole: int | None, what: str, *, least: int = 1
) -> Iterator[Misfit]:
    """Nothing where `whole`, called `what`, comes in that many equal parts of at least `least`,
    or where one of both is not stated.
    """
    if not parts or whole is None or (whole % parts == 0 and whole // parts >= least):
        return
    within = [
        number
        for number in range(1, min(whole // least, _TRIED) + 1)
        if whole % number == 0 and whole // number >= least
    ]
    remedy = f"write a divisor of {whole:,}"
    if within:
        remedy += f", such as {min(within, key=lambda number: abs(number - parts)):,}"
    yield (
        key,
        f"is {parts:,}, which does not divide {what}"
        + (f" into groups of {least} or more" if least > 1 else ""),
        remedy,
    )
