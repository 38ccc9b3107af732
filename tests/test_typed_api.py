"""The keywords of the library are the fields of a `Workload`. How a type checker sees them is held
by `typed_calls.py`, which mypy reads with all else (`test_packaging.py`).
"""

from __future__ import annotations

import typed_keywords
from selfhost import Workload, WorkloadFields


def test_the_keywords_are_the_fields_of_a_workload() -> None:
    """After a change of `Workload`: `python tools/typed_keywords.py`."""
    written = typed_keywords.PATH.read_text(encoding="utf-8")
    assert written == typed_keywords.text_of_module(), "run tools/typed_keywords.py"
    assert list(WorkloadFields.__annotations__) == list(Workload._fields)
    assert not WorkloadFields.__required_keys__
