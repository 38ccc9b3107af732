"""JSON as it is written, against what Python's own encoder writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.core.records import FrozenDict
from selfhost.core.workload import Workload
from selfhost.reports.json import dumps, pieces

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES))
def test_documents_are_written_as_python_writes_them(document: dict[str, object]) -> None:
    assert dumps(document) == json.dumps(document, indent=2) + "\n"


def test_kinds_of_records_and_lists_that_come_one_by_one() -> None:
    values = {"frozen": FrozenDict(a=[1]), "enum": Workload().memory_basis, "none": [], "no": {}}
    assert dumps(values) == json.dumps(values, indent=2) + "\n"
    for items in ([], [1], [{"a": [1, {}]}, "b"]):
        assert "".join(pieces({"x": 1, "all": iter(items)})) == dumps({"x": 1, "all": items})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_that_json_does_not_have(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps({"x": [number]})
