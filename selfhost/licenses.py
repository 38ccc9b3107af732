"""SPDX license expressions: whether the license of a model is among those that were asked for."""

from __future__ import annotations

from .errors import Problem, WorkloadError

# more ways to combine licenses than anybody means
MOST_CHOICES = 256

# each choice is the set of licenses that bind together; an expression is a list of choices
Choices = list[frozenset[str]]


def canonical_expression(text: str) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license."""
    if len(text) > 500:
        raise _wrong("is longer than any license expression")
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        raise _wrong(str(error)) from None


def _wrong(message: str) -> WorkloadError:
    remedy = "write SPDX ids joined by AND, OR and parentheses, for example 'Apache-2.0 OR MIT'"
    return WorkloadError([Problem(file="workload", key="license", message=message, remedy=remedy)])


def choices_of(expression: str) -> Choices:
    """A valid expression as its choices: `A OR (B AND C)` -> [{A}, {B, C}]. `X WITH Y` is one license."""
    words = expression.replace("(", " ( ").replace(")", " ) ").split()
    place = 0

    def either() -> Choices:
        nonlocal place
        found = both()
        while place < len(words) and words[place].upper() == "OR":
            place += 1
            found = found + both()
        return found

    def both() -> Choices:
        nonlocal place
        found = one()
        while place < len(words) and words[place].upper() == "AND":
            place += 1
            other = one()
            found = [left | right for left in found for right in other]
            if len(found) > MOST_CHOICES:
                raise _wrong(f"leaves more than {MOST_CHOICES} choices")
        return found

    def one() -> Choices:
        nonlocal place
        word = words[place]
        place += 1
        if word == "(":
            inner = either()
            place += 1
            return inner
        if place + 1 < len(words) and words[place].upper() == "WITH":
            word = f"{word} WITH {words[place + 1]}"
            place += 2
        return [frozenset([word.casefold()])]

    return either()


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one wanted choice whole.

    `Apache-2.0` satisfies `Apache-2.0 OR MIT`; `MIT AND CC-BY-4.0` satisfies neither `MIT` nor `MIT OR Apache-2.0`.
    """
    want = choices_of(wanted)
    acceptable = frozenset[str]().union(*want)
    return any(choice <= acceptable and any(one <= choice for one in want) for choice in choices_of(license_id))
