"""`cache`, `cached_property`, `lru_cache` and `partial` as `functools` has them, without that
module: with what it imports it takes 11 million instructions, a twentieth of a check.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from functools import cache, cached_property, lru_cache, partial
    from typing import Any
else:
    from _functools import partial

__all__ = ["cache", "cached_property", "lru_cache", "partial"]

# what a wrapper has of the function that it stands for
_OF_FUNCTION = ("__module__", "__name__", "__qualname__", "__doc__")

if not TYPE_CHECKING:
    try:
        # in C, as `functools` takes it
        from _functools import _lru_cache_wrapper
    except ImportError:
        # a Python that has it elsewhere
        from functools import lru_cache
    else:

        def lru_cache(maxsize=128):
            """As `functools.lru_cache`; `cache_info()` is a plain tuple."""
            if callable(maxsize):
                return lru_cache(128)(maxsize)

            def decorate(function):
                wrapper = _lru_cache_wrapper(function, maxsize, False, _info)
                own = vars(wrapper)
                for name in _OF_FUNCTION:
                    own[name] = getattr(function, name)
                own["__wrapped__"] = function
                return wrapper

            return decorate

    def cache(function):
        """As `functools.cache`."""
        return lru_cache(None)(function)

    class cached_property:  # noqa: N801 - the name that it has in `functools`
        """As `functools.cached_property` from Python 3.12 on: two threads that ask for it at once
        may both work it out.
        """

        def __init__(self, function):
            self._function, self._name = function, None
            self.__doc__ = function.__doc__

        def __set_name__(self, owner, name):
            self._name = name

        def __get__(self, record, owner=None):
            if record is None:
                return self
            value = record.__dict__[self._name] = self._function(record)
            return value


def _info(*counts: Any) -> tuple[Any, ...]:
    """Hits, misses, the most that is kept, and how many are."""
    return counts
