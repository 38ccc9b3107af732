"""A finding is made with a reason code of the closed list, or not at all."""

from __future__ import annotations

import re
from typing import Any

import pytest

from selfhost.core.tables import RANGES, UNITS
from selfhost.judge.checks import Finding, Outcome, codes, table, whole, words_of


def test_a_code_that_is_not_listed_is_refused_where_the_finding_is_made() -> None:
    """The contract's list of codes is closed, so no other code reaches the JSON."""
    fields: dict[str, Any] = {"check": "disk", "outcome": Outcome.PASS, "reason": "It fits."}
    with pytest.raises(ValueError, match='"disk-fine" is not a reason code'):
        Finding(**fields, code="disk-fine")
    with pytest.raises(ValueError, match="is not a reason code"):
        Finding(**fields, code="disk-fits").replace(code="disk-fine")


def test_every_code_has_words_and_every_words_a_code() -> None:
    """The table of words is compared with the closed list of codes."""
    assert {key.partition("/")[0] for key in table("findings")} == codes().keys()


def test_every_template_can_be_filled_in() -> None:
    """Parts in brackets are closed and not nested, and every figure is of a known unit."""
    findings = [(key, text) for key in table("findings") for text in words_of(key)]
    phrases = [(key, whole(text)) for key, text in table("phrases").items()]
    for key, template in (*findings, *phrases):
        plain = re.sub(r"\[\[!?[a-z_]+\?((?:(?!\[\[).)*?)\]\]", r"\1", template)
        assert "[[" not in plain, key
        assert "]]" not in plain, key
        fields = re.findall(r"\{[a-z_]+(?::([a-z]+))?\}", plain)
        assert len(fields) == plain.count("{"), key
        assert set(fields) <= {"", *UNITS, *RANGES}, key
