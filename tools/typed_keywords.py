"""Writes the keywords of `check`, `can_run`, `rank`, `plan`, `compare` and `size` as type checkers
and editors read them: a TypedDict (PEP 692) of the fields of `Workload`.

`python tools/typed_keywords.py` writes selfhost/core/workload_fields.py; `tests/test_typed_api.py`
compares.
"""

from __future__ import annotations

from pathlib import Path

import selfhost
from selfhost import Workload

PATH = Path(selfhost.__file__).parent / "core" / "workload_fields.py"
_HEAD = '''\
"""The fields of a `Workload` as keywords, for type checkers and editors.

Written from `Workload` by `python tools/typed_keywords.py`: change that class, then run the tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from .workload import Load


class WorkloadFields(TypedDict, total=False):
    """The keywords of `check` and of each function that takes a workload. Each may be left out.

    A function of your own that hands them on takes `**fields: Unpack[WorkloadFields]`.
    """

'''


def text_of_module() -> str:
    """Return the module as its file holds it: each field with the annotation that it has in
    `Workload`.
    """
    lines = []
    for field, annotation in Workload._annotations.items():
        lines.append(f"    {field}: {annotation}\n")
    return _HEAD + "".join(lines)


def main() -> None:
    """Write the module."""
    PATH.write_text(text_of_module(), encoding="utf-8")


if __name__ == "__main__":
    main()
