"""The words of the findings: `specs/common/findings.toml` has for each reason code the templates of
its reason and its remedy, as `core.templates` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.tables import filled, shipped_table


def table(name: str) -> Mapping[str, Any]:
    """That table of the file."""
    values: Mapping[str, Any] = shipped_table("findings")[name]
    return values


def codes() -> Mapping[str, str]:
    """The closed list of reason codes, with what each means; the README's table is compared with
    it.
    """
    return table("codes")


def words_of(key: str) -> tuple[str, str]:
    """The templates of reason and remedy of a code, or of a code and variant; "" is none."""
    return _pair("findings", key)


def fault_words(key: str, **figures: Any) -> tuple[str, str | None]:
    """Of what makes no sense for a model or a program: the fault and what to type instead."""
    fault, remedy = _pair("faults", key)
    return filled(fault, figures), filled(remedy, figures) or None


def _pair(name: str, key: str) -> tuple[str, str]:
    words = table(name)[key]
    return whole(words["reason"]), whole(words.get("remedy", ""))


def phrase(key: str, **figures: Any) -> str:
    """A sentence that several findings share, with its figures."""
    return filled(whole(table("phrases")[key]), figures)


def whole(template: str) -> str:
    """The template with each `<name>` of a part replaced by that part."""
    first, *rest = template.split("<")
    for text in rest:
        name, _, behind = text.partition(">")
        first += whole(table("parts")[name]) + behind
    return first
