"""The caches keep what `functools` keeps."""

from __future__ import annotations

from selfhost.core import caching


def test_what_is_kept_is_worked_out_once() -> None:
    """The least recently used goes first; a function keeps its name and its words."""
    asked: list[int] = []

    @caching.lru_cache(maxsize=2)
    def double(number: int) -> int:
        """Twice."""
        asked.append(number)
        return 2 * number

    assert [double(number) for number in (1, 2, 1, 3, 1, 2)] == [2, 4, 2, 6, 2, 4]
    assert asked == [1, 2, 3, 2]
    assert (double.__name__, double.__doc__, double.__module__) == ("double", "Twice.", __name__)
    assert double.__wrapped__(5) == 10
    assert tuple(double.cache_info()) == (2, 4, 2, 2)
    double.cache_clear()
    double(1)
    assert asked == [1, 2, 3, 2, 5, 1]


def test_a_property_is_worked_out_once_for_each_object() -> None:
    """Also where nothing is kept but what was asked for; the class has its words."""
    asked: list[str] = []

    class Thing:
        def __init__(self, name: str) -> None:
            self.name = name

        @caching.cached_property
        def upper(self) -> str:
            """Large."""
            asked.append(self.name)
            return self.name.upper()

    first, second = Thing("a"), Thing("b")
    assert [first.upper, second.upper, first.upper] == ["A", "B", "A"]
    assert asked == ["a", "b"]
    assert Thing.upper.__doc__ == "Large."
    assert vars(first) == {"name": "a", "upper": "A"}

    @caching.cache
    def half(number: int) -> float:
        asked.append("half")
        return number / 2

    assert [half(1), half(1)] == [0.5, 0.5]
    assert asked == ["a", "b", "half"]
