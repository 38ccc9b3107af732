"""A finding is made with a reason code of the closed list, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from selfhost.verdict.findings import Finding, Outcome


def test_a_code_that_is_not_listed_is_refused_where_the_finding_is_made() -> None:
    """The contract's list of codes is closed, so no other code reaches the JSON."""
    fields: dict[str, Any] = {"check": "disk", "outcome": Outcome.PASS, "reason": "It fits."}
    with pytest.raises(ValueError, match='"disk-fine" is not a reason code'):
        Finding(**fields, code="disk-fine")
    with pytest.raises(ValueError, match="CODES"):
        Finding(**fields, code="disk-fits").replace(code="disk-fine")
    del fields["reason"]
    with pytest.raises(ValueError, match="CODES"):
        Finding.worded_when_read({**fields, "code": "disk-fine"}, lambda: ("It fits.", None))
