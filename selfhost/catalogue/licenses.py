"""SPDX license expressions: whether the license of a model is among those that were asked for.

Grammar and precedence (`+`, WITH, AND, OR): SPDX specification 3.0.1, annex "SPDX license
expressions", https://spdx.github.io/spdx-spec/v3.0.1/annexes/spdx-license-expressions/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from ..core.errors import WorkloadError

# a license with a version: the family, the version, what follows it; `BSD-3-Clause` counts its
# clauses and has none
_VERSIONED = r"(.+?)-([0-9]+(?:\.[0-9]+)+[a-z]?)((?:-.+)?)"
# what SPDX puts before the name of a license that is not on its list
_REFERENCE = "LicenseRef-"
# more ways to combine licenses than anybody means
MOST_CHOICES = 256
_HOW = (
    "write SPDX ids joined by AND, OR and parentheses, for example 'Apache-2.0 OR MIT'; a license"
    " that is not SPDX's is LicenseRef- and its name"
)

# each choice is the set of licenses that bind together; an expression is a list of choices
Choices = list[frozenset[str]]


def canonical_expression(text: str, named: Callable[[], Iterable[str]] | None = None) -> str:
    """The expression with SPDX's own spelling. `WorkloadError` names the id that is no license.

    `named` gives the license ids that models are under, asked only where the expression is none: a
    `LicenseRef-…` among them whose name was typed alone, as the tables print it, is proposed.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    if len(text) > 500:
        raise WorkloadError.of("license", "is longer than any license expression", _HOW)
    try:
        return str(canonicalize_license_expression(text))
    except InvalidLicenseExpression as error:
        try:
            meant = _with_references(text, named() if named else ())
            remedy = f"did you mean '{canonicalize_license_expression(meant)}'?"
        except InvalidLicenseExpression:
            remedy = _HOW
        raise WorkloadError.of("license", str(error), remedy) from None


def _with_references(text: str, named: Iterable[str]) -> str:
    """The expression with `LicenseRef-` before each name that begins only one that is so named."""
    names = {each for text in named for each in text.split() if each.startswith(_REFERENCE)}

    def meant(word: re.Match[str]) -> str:
        typed = f"{_REFERENCE}{word[0]}".casefold()
        begun = [name for name in names if f"{name}-".casefold().startswith(f"{typed}-")]
        whole = [name for name in begun if name.casefold() == typed]
        return (whole or begun)[0] if len(whole or begun) == 1 else word[0]

    return re.sub(r"[^\s()]+", meant, text)


def choices_of(expression: str) -> Choices:
    """A valid expression as its choices: `A OR (B AND C)` -> [{A}, {B, C}]. `X WITH Y` is one
    license.
    """
    text = re.sub(r"(?i)\s+with\s+", "\0", expression).replace("(", " ( ").replace(")", " ) ")
    return _either(text.split()[::-1])


def _either(words: list[str]) -> Choices:
    """The choices up to the end of what stands in parentheses; takes the words from the end."""
    choices: Choices = []
    bound: Choices = [frozenset()]
    while words:
        word = words.pop()
        if word == ")":
            break
        if word.upper() == "OR":
            choices, bound = choices + bound, [frozenset()]
        elif word.upper() != "AND":
            license_id = word.replace("\0", " with ").casefold()
            others = _either(words) if word == "(" else [frozenset([license_id])]
            bound = [left | right for left in bound for right in others]
            if len(bound) > MOST_CHOICES:
                raise WorkloadError.of("license", f"leaves more than {MOST_CHOICES} choices", _HOW)
    return choices + bound


def satisfies(license_id: str, wanted: str) -> bool:
    """True when some choice that `license_id` leaves is among the wanted licenses and meets one
    wanted choice whole.

    `Apache-2.0` satisfies `Apache-2.0 OR MIT` and `Apache-1.1+`; `MIT AND CC-BY-4.0` satisfies
    neither `MIT` nor `MIT OR Apache-2.0`; `GPL-2.0-or-later` satisfies `GPL-3.0-only`, for whoever
    gets it may choose.
    """
    want = choices_of(wanted)
    acceptable = frozenset[str]().union(*want)
    return any(
        all(any(_is_same(own, each) for each in acceptable) for own in choice)
        and any(all(any(_is_same(own, each) for own in choice) for each in whole) for whole in want)
        for choice in choices_of(license_id)
    )


def _is_same(own: str, wanted: str) -> bool:
    """Both ids can stand for one and the same license: equal, or of one family with a version
    that both leave open.
    """
    family, version, own_later = _read(own)
    wanted_family, wanted_version, wanted_later = _read(wanted)
    if own == wanted or family != wanted_family:
        return own == wanted
    if version == wanted_version or (own_later and wanted_later):
        return True
    return (wanted_later and version > wanted_version) or (own_later and version < wanted_version)


def _read(expression: str) -> tuple[str, list[tuple[int, str]], bool]:
    """The family of a license, its version, and whether any later version may be taken in its
    place.

    What a later version is SPDX leaves to the reader (OrLaterOperator of the model 3.0.1): here the
    same name, and the same words after the number, with a higher number. A license without a
    version has no later one.
    """
    license_id, _, exception = expression.partition(" with ")
    later = license_id.endswith(("+", "-or-later"))
    plain = license_id.removesuffix("+").removesuffix("-or-later").removesuffix("-only")
    # what a LicenseRef calls a version is its author's business
    match = None if plain.startswith("licenseref-") else re.fullmatch(_VERSIONED, plain)
    if match is None:
        return f"{plain} with {exception}", [], later
    numbers = re.findall(r"(\d+)([a-z]?)", match[2])
    version = [(int(number), letter) for number, letter in numbers]
    return f"{match[1]}{match[3]} with {exception}", version, later


def remedy_of_id(text: str) -> str:
    """What to write in place of what is no SPDX expression: the id most likely meant, if any."""
    from packaging.licenses import LICENSES  # type: ignore[attr-defined]

    from ..core.spelling import nearest

    ids = [str(entry["id"]) for entry in LICENSES.values() if not entry["deprecated"]]
    # `GPLv3` and `Apache 2.0 license` as SPDX would write them
    plain = re.sub(r"\s+licen[cs]e$", "", text.strip().lower()[:100])
    plain = re.sub(r"(?<=[a-z])(?:[\s-]*v|[\s-]+|(?<!v))(?=\d)|\s+", "-", plain)
    begun = [id for id in ids if id.lower().startswith(plain)] if re.search(r"\d", plain) else []
    meant = min(begun, key=len) if begun else nearest(plain, ids)
    if meant and not re.search(r"-(?:and|or|with)(?:-|$)", plain):
        return f"did you mean {meant}?"
    return "the ids are at https://spdx.org/licenses; another license is LicenseRef-… with its url"
