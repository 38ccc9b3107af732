"""Lines of JSON Lines that are like one read before: where they differ, and where they do not.

A line of a machine's record is thousands of characters long, of which a few numbers, a name, a
time and labels are its own. The first of each layout is parsed; the others are compared with it,
and only their own values are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.records import pattern
from ..machine.record import MAX_MEMORY_BYTES

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .fleet import Shape

    # a text that goes on at that place of a line, the sign that ends the value behind it (None: the
    # line ends), and what may follow the value
    Next = tuple[str, str | None, Any]

# templates, and sets of labels: more are read one by one
MOST_KEPT = 1 << 14
# texts that may follow one another at one place of a line: more are looked up by the whole line
_MOST_NEXT = 512

# the place of a number in a record, as `("disks", "0", "free_bytes")`
Slot = tuple[str, ...]
# the facts that differ between machines of one shape, beside name, labels and time
MEMORY_SLOTS = (
    "memory_total_bytes",
    "memory_limit_bytes",
    "memory_available_bytes",
    "swap_free_bytes",
    "memory_bandwidth_bytes_per_second",
)
LISTED_SLOTS = {"disks": ("free_bytes", "total_bytes"), "accelerators": ("memory_free_bytes",)}
# a key of an object and its value, where that may differ between machines. In JSON a quote within
# a string follows a backslash, so what matches is a key, or the file is no JSON. The quote stands
# first, which `re` finds quickest
_VALUES = pattern(
    r'("(?<!\\")(?:(?:memory_(?:total_bytes|limit_bytes|available_bytes|free_bytes'
    r"|bandwidth_bytes_per_second)|swap_free_bytes|free_bytes|total_bytes)"
    r'"\s*:\s*(?=(?:0|[1-9][0-9]{0,14})\s*[,}])'
    r'|(?:name|read_at)"\s*:\s*(?="[^"\\]*")|labels"\s*:\s*(?=\{[^{}\\]*\})))'
    r'([0-9]+|"[^"\\]*"|\{[^{}\\]*\})'
)
# a line's own text may not hold it: it is no character of JSON outside of strings, nor may it be
# inside
_SEPARATOR = "\x00"


class Plan:
    """How the lines of one template become machines: which of the values that differ are its name,
    its labels, its time and its numbers; the others belong to the shape.
    """

    __slots__ = (
        "fixed", "labels", "name", "never_zero", "numbers", "order", "read_at", "shapes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.name: int | None = None
        self.labels: int | None = None
        self.read_at: int | None = None
        # the values that the shape holds
        self.fixed: list[int] = []
        # places among the values, by slot
        self.numbers: dict[Slot, int] = {}
        # values that are at least 1
        self.never_zero: list[int] = []
        # pairs of values of which the first may not be the larger
        self.order: list[tuple[int, int]] = []
        # the shape by its own values, and where its columns stand among the values
        self.shapes: dict[tuple[str, ...], tuple[Shape, list[int]]] = {}


class Line:
    """One line of JSON, cut at the values that may differ between machines of one shape:
    `template` is the rest.
    """

    __slots__ = ("_pieces", "template", "values")

    def __init__(self, text: str) -> None:
        pieces = _VALUES.split(text)
        self._pieces = pieces
        self.values = pieces[2::3]
        self.template = _SEPARATOR.join(pieces[0::3]) + _SEPARATOR.join(pieces[1::3])

    def texts(self) -> list[str]:
        """What stands before each of the values, and behind the last."""
        pieces = self._pieces
        before = [text + key for text, key in zip(pieces[0::3], pieces[1::3], strict=False)]
        return [*before, pieces[-1]]

    def with_values(self, values: Sequence[str]) -> str:
        """The line with others in their places."""
        pieces = list(self._pieces)
        pieces[2::3] = values
        return "".join(pieces)


class Own:
    """What lines of one layout have of their own, by places among their values: a name, labels, a
    time, and the numbers of the columns of `shape`. `order`: pairs of places of numbers of which
    the first may not be the larger; behind the columns' stand those that all of them share.
    """

    __slots__ = (
        "labels", "name", "never_zero", "numbers", "order", "read_at", "shape", "shared",
    )  # fmt: skip

    def __init__(self, plan: Plan, shape: Shape, places: Sequence[int], line: Line) -> None:
        own = self.places(plan, places)
        self.shape = shape
        self.name, self.labels, self.read_at = (
            None if place is None else own.index(place)
            for place in (plan.name, plan.labels, plan.read_at)
        )
        self.numbers = [own.index(place) for place in places]
        self.never_zero = [at for at, place in enumerate(places) if place in plan.never_zero]
        compared = {place for pair in plan.order for place in pair}
        shared = sorted(compared.difference(places))
        self.shared = [int(line.values[place]) for place in shared]
        among = [*places, *shared]
        self.order = [(among.index(low), among.index(high)) for low, high in plan.order]

    @staticmethod
    def places(plan: Plan, places: Sequence[int]) -> list[int]:
        """Those of a line's values that are its own."""
        named = [plan.name, plan.labels, plan.read_at]
        return sorted({*places, *(place for place in named if place is not None)})

    def numbers_of(self, words: Sequence[str]) -> list[int] | None:
        """The numbers of the columns; None where one of them is none, is 0 or too large, or is
        more than another one allows.
        """
        texts = [words[place] for place in self.numbers]
        try:
            numbers = list(map(int, texts))
        except ValueError:
            return None
        # `007` and `1_000` are no numbers in JSON
        if list(map(str, numbers)) != texts or not are_in_bounds(numbers, self.never_zero):
            return None
        compared = numbers + self.shared if self.shared else numbers
        for low, high in self.order:
            if compared[low] > compared[high]:
                return None
        return numbers


def are_in_bounds(numbers: Sequence[int], never_zero: Sequence[int]) -> bool:
    """Whether these are sizes that a record may state; those at the places `never_zero` are 1 or
    more.
    """
    if numbers and max(numbers) > MAX_MEMORY_BYTES:
        return False
    return 0 not in numbers or all(numbers[place] for place in never_zero)


class Lines:
    """The layouts of the lines that were read, as a tree of the texts between their values."""

    def __init__(self) -> None:
        self._first: list[Next] = []

    def add(self, line: Line, plan: Plan, shape: Shape, places: Sequence[int]) -> None:
        """Remember how that line was read."""
        own = Own.places(plan, places)
        texts, start, following = line.texts(), 0, self._first
        for place in own:
            text = _joined(texts, line.values, start, place)
            value, behind = line.values[place], texts[place + 1]
            closing = {'"': '"', "{": "}"}.get(value[0], behind[:1])
            following = _node(following, text, closing)
            start = place + 1
        text = _joined(texts, line.values, start, len(line.values))
        if len(following) < _MOST_NEXT:
            following.append((text, None, Own(plan, shape, places, line)))
            following.sort(key=_longest_first)

    def match(self, text: str) -> tuple[Own, list[str]] | None:
        """What is the line's own, if it is like one before. Its values are yet to be checked."""
        words: list[str] = []
        following, at = self._first, 0
        while True:
            for option in following:
                if text.startswith(option[0], at):
                    break
            else:
                return None
            shared, closing, then = option
            at += len(shared)
            if closing is None:
                return (then, words) if at == len(text) else None
            is_quoted = closing in _CLOSING
            end = text.find(closing, at + is_quoted) + is_quoted
            if end <= at or (is_quoted and text[at] != _CLOSING[closing]):
                return None
            words.append(text[at:end])
            following, at = then, end


_CLOSING = {'"': '"', "}": "{"}


def _longest_first(option: Next) -> int:
    return -len(option[0])


def _joined(texts: Sequence[str], values: Sequence[str], start: int, stop: int) -> str:
    """The line from behind the value before `start` up to the value `stop`."""
    pieces = [texts[start]]
    for place in range(start, stop):
        pieces += values[place], texts[place + 1]
    return "".join(pieces)


def _node(following: list[Next], text: str, closing: str) -> list[Next]:
    """What may follow the value behind that text."""
    for shared, sign, then in following:
        if shared == text and sign == closing:
            options: list[Next] = then
            return options
    options = []
    if len(following) < _MOST_NEXT:
        following.append((text, closing, options))
        # of a text that another one begins with, the other comes first
        following.sort(key=_longest_first)
    return options


def is_in_order(values: Sequence[str], order: Sequence[tuple[int, int]]) -> bool:
    return all([int(values[low]) <= int(values[high]) for low, high in order])  # noqa: C419 - quicker


def plan_of(line: Line) -> Plan:
    """Where the values of a line stand in the record that it states."""
    plan = Plan()
    try:
        paths = _paths_of(line)
    except ValueError:
        # a label holds a brace: where its value ends was misread, and such lines are parsed
        return plan
    plan.name, plan.labels = paths.pop(("name",), None), paths.pop(("labels",), None)
    plan.read_at = paths.pop(("read_at",), None)
    for path, place in paths.items():
        if path in _SINGLE or (len(path) == 3 and path[2] in LISTED_SLOTS.get(path[0], ())):
            plan.numbers[path] = place
        else:
            plan.fixed.append(place)
    plan.never_zero = [place for slot, place in plan.numbers.items() if slot in _NEVER_ZERO]
    bounds: list[tuple[Slot, Slot]] = [((low,), (high,)) for low, high in _BOUNDED]
    for path in paths:
        if path[0] == "accelerators" and path[-1] == "memory_free_bytes":
            bounds.append((path, (*path[:-1], "memory_total_bytes")))
    plan.order = [
        (paths[low], paths[high]) for low, high in bounds if low in paths and high in paths
    ]
    return plan


_NEVER_ZERO = frozenset((("memory_total_bytes",), ("memory_bandwidth_bytes_per_second",)))
_SINGLE = frozenset((name,) for name in MEMORY_SLOTS)
_BOUNDED = (
    ("memory_available_bytes", "memory_limit_bytes"),
    ("memory_available_bytes", "memory_total_bytes"),
    ("memory_limit_bytes", "memory_total_bytes"),
)


def _paths_of(line: Line) -> dict[Slot, int]:
    """Where in the record each value of a line stands: the values are replaced by marks, which are
    then looked for. Raises ValueError where the line is no JSON.
    """
    import json

    marks: dict[Any, int] = {}
    marked: list[str] = []
    base, text = 10**15, line.with_values(line.values)
    while str(base)[:10] in text:
        # the marks must be nowhere in the line itself
        base += 10**6
    for place, value in enumerate(line.values):
        # no two are equal, and each is of the kind of its value
        mark: Any = base + place
        if value[0] == '"':
            mark = f"-{mark}"
        elif value[0] == "{":
            mark = f"-{mark}-"
        marks[mark] = place
        marked.append(json.dumps({mark: ""} if value[0] == "{" else mark))
    paths: dict[Slot, int] = {}
    _find(json.loads(line.with_values(marked)), (), marks, paths)
    return paths


def _find(value: Any, path: Slot, marks: Mapping[Any, int], paths: dict[Slot, int]) -> None:
    """Put the path of each mark within `value` into `paths`. Records are not deep."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in marks:
                paths[path] = marks[key]
            else:
                _find(each, (*path, key), marks, paths)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _find(each, (*path, str(index)), marks, paths)
    elif isinstance(value, int | str) and value in marks:
        paths[path] = marks[value]
