"""One law held for many things in one test: a test of its own for each takes longer than the law."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any


def each(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Callable[[Any], object] | Iterable[object] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, with all cases in one test. It fails where any case does, and names the first ten with what is wrong.

    For laws that need no fixture of their own for each case. A law without a case fails.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    wrapped = len(fields) == 1
    rows = [
        case.values if hasattr(case, "marks") else (case,) if wrapped else tuple(case)
        for case in cases
    ]
    shown = ids if callable(ids) else lambda value: getattr(value, "id", None) or str(value)[:80]
    given = ["-".join(str(shown(value)) for value in row) for row in rows]
    labels = given if ids is None or callable(ids) else list(map(str, ids))

    def folded(law: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(law)
        def every(**fixtures: object) -> None:
            __tracebackhide__ = True
            assert rows, f"{law.__name__} has no case"
            faults: list[tuple[str, Exception]] = []
            for label, row in zip(labels, rows, strict=True):
                try:
                    law(**fixtures, **dict(zip(fields, row, strict=True)))
                except Exception as error:
                    faults.append((f"{label}: {error!r}", error))
            if faults:
                lines = [
                    f"{len(faults)} of {len(rows)} cases fail",
                    *(line for line, _ in faults[:10]),
                ]
                raise AssertionError("\n".join(lines)) from faults[0][1]

        signature = inspect.signature(law)
        left = [value for name, value in signature.parameters.items() if name not in fields]
        every.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return every

    return folded
