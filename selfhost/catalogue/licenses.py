"""SPDX license expressions: whether the license of a model is among those that were asked for.

Grammar and precedence (`+`, WITH, AND, OR): SPDX specification 3.0.1, annex "SPDX license
expressions", https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..core.errors import WorkloadError

# a license with a version: the family, the version, what follows it; `BSD-3-Clause` counts its
# clauses and has none
_VERSIONED = r"(.+?)-([0-9]+(?:\.[0-9]+)+[a-z]?)((?:-.+)?)"
# what SPDX puts before the name of a license that is not on its list
_REFERENCE = "LicenseRef-"
# more ways to combine licenses than anybody means
MOST_CHOICES = 256

# each choice is the set of licenses that bind together; an expression is a list of choices
Choices = list[frozenset[str]]


def canonical_expression(text: str, named: Callable[[], Iterable[str]] | None = None) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license.

    `named` gives the license ids that models are under, asked only where the expression is none: a
    `LicenseRef-…` among them whose name was typed alone, as the tables print it, is proposed.
    """
    if len(text) > 500:
        raise _wrong("is longer than any license expression")
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        meant = "" if named is None else _with_references(text, named())
        try:
            proposed = str(canonicalize_license_expression(meant)) if meant else None
        except InvalidLicenseExpression:
            proposed = None
        raise _wrong(str(error), proposed) from None


def _with_references(text: str, named: Iterable[str]) -> str:
    """The expression with `LicenseRef-` before each name that is so named, or begins only one
    that is; "" where none is.
    """
    import re

    references = {
        word.removeprefix(_REFERENCE).casefold(): word
        for text in named
        for word in text.split()
        if word.startswith(_REFERENCE)
    }
    words = re.split(r"([\s()]+)", text)
    for place, word in enumerate(words):
        typed = word.casefold()
        begun = [name for name in references if name == typed or name.startswith(f"{typed}-")]
        begun = [typed] if typed in references else begun
        words[place] = references[begun[0]] if typed and len(begun) == 1 else word
    proposed = "".join(words)
    return proposed if proposed != text else ""


def _wrong(message: str, proposed: str | None = None) -> WorkloadError:
    remedy = "write SPDX ids joined by AND, OR and parentheses, for example 'Apache-2.0 OR MIT'"
    remedy = (
        f"did you mean '{proposed}'?"
        if proposed
        else f"{remedy}; a license that is not SPDX's is LicenseRef- and its name"
    )
    return WorkloadError.of("license", message, remedy)


def choices_of(expression: str) -> Choices:
    """A valid expression as its choices: `A OR (B AND C)` -> [{A}, {B, C}]. `X WITH Y` is one
    license.
    """
    words = expression.replace("(", " ( ").replace(")", " ) ").split()
    words.reverse()
    return _either(words)


def _either(words: list[str]) -> Choices:
    """The choices up to the end of what stands in parentheses; takes the words from the end."""
    choices = _together(words)
    while words and words[-1].upper() == "OR":
        words.pop()
        choices = choices + _together(words)
    return choices


def _together(words: list[str]) -> Choices:
    choices = _single(words)
    while words and words[-1].upper() == "AND":
        words.pop()
        others = _single(words)
        choices = [left | right for left in choices for right in others]
        if len(choices) > MOST_CHOICES:
            raise _wrong(f"leaves more than {MOST_CHOICES} choices")
    return choices


def _single(words: list[str]) -> Choices:
    word = words.pop()
    if word == "(":
        inside = _either(words)
        words.pop()
        return inside
    if len(words) > 1 and words[-1].upper() == "WITH":
        words.pop()
        word = f"{word} WITH {words.pop()}"
    return [frozenset([word.casefold()])]


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one
    wanted choice whole.

    `Apache-2.0` satisfies `Apache-2.0 OR MIT` and `Apache-1.1+`; `MIT AND CC-BY-4.0` satisfies
    neither `MIT` nor `MIT OR Apache-2.0`; `GPL-2.0-or-later` satisfies `GPL-3.0-only`, for whoever
    gets it may choose.
    """
    want = choices_of(wanted)
    acceptable = frozenset[str]().union(*want)
    for choice in choices_of(license_id):
        is_wanted = all(any(_is_one(own, each) for each in acceptable) for own in choice)
        if is_wanted and any(
            all(any(_is_one(own, each) for own in choice) for each in whole) for whole in want
        ):
            return True
    return False


def _is_one(own: str, wanted: str) -> bool:
    """Both ids can stand for one and the same license: equal, or of one family with a version
    that both leave open.
    """
    if own == wanted:
        return True
    (family, version, own_later), (wanted_family, wanted_version, wanted_later) = (
        _read(own),
        _read(wanted),
    )
    if family != wanted_family:
        return False
    if version == wanted_version or (own_later and wanted_later):
        return True
    return (wanted_later and version > wanted_version) or (own_later and version < wanted_version)


_Version = tuple[tuple[int, str], ...]


def _read(expression: str) -> tuple[str, _Version, bool]:
    """The family of a license, its version, and whether any later version may be taken in its
    place.

    What a later version is SPDX leaves to the reader (OrLaterOperator of the model 3.0.1): here the
    same name, and the same words after the number, with a higher number. A license without a
    version has no later one.
    """
    import re

    license_id, _, exception = expression.partition(" with ")
    later = license_id.endswith(("+", "-or-later"))
    plain = license_id.removesuffix("+").removesuffix("-or-later").removesuffix("-only")
    # what a LicenseRef calls a version is its author's business
    match = None if plain.startswith("licenseref-") else re.fullmatch(_VERSIONED, plain)
    if match is None:
        return f"{plain} with {exception}", (), later
    numbers = (
        (int(part.rstrip("abcdefghijklmnopqrstuvwxyz")), part.lstrip("0123456789"))
        for part in match[2].split(".")
    )
    return f"{match[1]}{match[3]} with {exception}", tuple(numbers), later


_REMEDY = "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"


def remedy_of_id(text: str) -> str:
    """What to write in place of what is no SPDX expression: the id most likely meant, if any."""
    import re

    from packaging.licenses import LICENSES  # type: ignore[attr-defined]

    from ..core.spelling import nearest

    lower = re.sub(r"\s+licen[cs]e$", "", text.strip().lower()[:100])
    if re.search(r"\b(and|or|with)\b", lower):
        return _REMEDY
    ids = [str(entry["id"]) for entry in LICENSES.values() if not entry["deprecated"]]
    # `GPLv3` and `Apache 2.0` as SPDX would write them
    plain = re.sub(r"(?<=[a-z])(?:[\s-]*v|[\s-]+|(?<!v))(?=\d)|\s+", "-", lower)
    begun = [id for id in ids if id.lower().startswith(plain)] if re.search(r"\d", plain) else []
    meant = min(begun, key=len) if begun else nearest(plain, ids)
    return f"did you mean {meant}?" if meant else _REMEDY
