"""More is kept of what was worked out; imported before all that keeps anything.

The program asks of each model once, and keeps what some hundred models need. Tests ask of the whole
catalogue again and again: of 1,351 models nothing was left when the next test began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from selfhost.core import caching, records

# times as much; 70 MB for the needs of the whole catalogue in some types
_TIMES = 32
# what keeps less than this keeps the one state of something, not one entry a model
_FEWEST = 16


def _more(most: int | None) -> int | None:
    return most if most is None or most < _FEWEST else most * _TIMES


_lru_cache: Any = caching.lru_cache
_remembered = records.remembered


def _roomy_lru_cache(maxsize: Any = 128) -> Any:
    if callable(maxsize):
        return _lru_cache(_more(128))(maxsize)
    return _lru_cache(_more(maxsize))


def _roomy_remembered(most: int) -> Callable[[Any], Any]:
    return _remembered(_more(most) or most)


_caching: Any = caching
_caching.lru_cache = _roomy_lru_cache
records.remembered = _roomy_remembered
