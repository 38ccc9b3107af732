"""One law held for many things in one test: a test of its own for each takes longer than the law."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# a law that everything breaks is read from its first few
_MOST_SHOWN = 10


def each(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Callable[[Any], object] | Iterable[object] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `pytest.mark.parametrize`, with all cases in one test. It fails where any case does, says
    how many, and names each with what is wrong.

    For laws that need no fixture of their own for each case, and that skip none. `AssertionError`
    where there is no case: a law of nothing would hold.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [_values(case, len(fields)) for case in cases]
    labels = _labels(rows, ids)

    def folded(law: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(law)
        def every(**given: object) -> None:
            __tracebackhide__ = True
            assert rows, f"{law.__name__} has no case"
            faults: list[tuple[str, Exception]] = []
            for label, row in zip(labels, rows, strict=True):
                try:
                    law(**given, **dict(zip(fields, row, strict=True)))
                except Exception as error:
                    faults.append((label, error))
            if faults:
                raise AssertionError(_told(faults, len(rows))) from faults[0][1]

        signature = inspect.signature(law)
        left = [own for name, own in signature.parameters.items() if name not in fields]
        assert len(left) == len(signature.parameters) - len(fields), f"{law.__name__}: {names}"
        every.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
        return every

    return folded


def _values(case: Any, count: int) -> tuple[Any, ...]:
    """Of a case its arguments; `TypeError` for a mark, which would count for all."""
    if hasattr(case, "marks"):
        if case.marks:
            raise TypeError(f"a case of many has no mark of its own: {case}")
        case = case.values if count > 1 else case.values[0]
    return tuple(case) if count > 1 else (case,)


def _labels(
    rows: Sequence[tuple[Any, ...]], ids: Callable[[Any], object] | Iterable[object] | None
) -> list[str]:
    if ids is not None and not callable(ids):
        return [str(label) for label in ids]
    shown = _shown if ids is None else ids
    return ["-".join(str(shown(value)) for value in row) for row in rows]


def _shown(value: Any) -> str:
    name = getattr(value, "name", None) or getattr(value, "id", None)
    return name if isinstance(name, str) else str(value)[:80]


def _told(faults: Sequence[tuple[str, Exception]], count: int) -> str:
    lines = [f"{len(faults)} of {count} cases fail"]
    for label, error in faults[:_MOST_SHOWN]:
        what = str(error) or "assertion failed"
        lines.append(
            f"{label}: {'' if isinstance(error, AssertionError) else f'{error!r}: '}{what}"
        )
    rest = [label for label, _ in faults[_MOST_SHOWN:]]
    return "\n".join([*lines, *([f"and {', '.join(rest)}"] if rest else [])])
