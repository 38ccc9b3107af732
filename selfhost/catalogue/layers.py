"""What layers of a model are made of: attention, a recurrent state or a feed-forward; and the
readers of their tables in a spec file, which name layers by `at`.
"""

from __future__ import annotations

from ..core.records import Record, pattern, read_by
from ..core.tomlfile import Table, kind_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    _Part = TypeVar("_Part", bound="LayerPart")

# what arithmetic cannot take: the key, what is wrong with it as a clause that begins with a verb,
# and what to write instead
Misfit = tuple[str, str, str]

# more than any published model has (126); bounds what a hostile file can ask for
MAX_LAYERS = 1000
# the same of experts (896), and of one length or count (a context of 10,485,760 tokens)
MAX_EXPERTS = 10_000
MAX_SIZE = 1 << 32
# what each kind of attention must state, and what it may state beside the keys of all kinds
_ATTENTION_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "full": (
        ("key_length", "kv_heads"),
        (
            "heads", "value_length", "latent_length", "rope_length", "query_latent_length",
            "indexer_heads", "indexer_length",
        ),
    ),
    "sliding": (("key_length", "kv_heads", "window_tokens"), ("heads", "value_length")),
    "latent": (
        ("key_length", "latent_length", "rope_length"),
        (
            "heads", "kv_heads", "value_length", "window_tokens", "query_latent_length",
            "indexer_heads", "indexer_length",
        ),
    ),
    "cross": (("key_length", "kv_heads"), ("heads", "value_length")),
    "compressed": (
        (
            "key_length", "kv_heads", "window_tokens", "query_latent_length", "output_groups",
            "output_latent_length",
        ),
        (
            "heads", "value_length", "compression", "indexer_heads", "indexer_length",
            "indexer_rows",
        ),
    ),
}  # fmt: skip
# the second key is missing beside the first, in any kind and in one
_ATTENTION_PAIRS = (("indexer_heads", "indexer_length"), ("indexer_length", "indexer_heads"))
_ATTENTION_PAIRS_OF = {
    "full": (("latent_length", "rope_length"),),
    "compressed": (("indexer_heads", "indexer_rows"),),
}
_OF_ALL_KINDS = ("kind", "values_from_keys", "query_key_norm")
# of each kind of recurrent layer the same
_RECURRENT_KEYS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mamba": (("inner_length", "state_length", "time_step_rank", "convolution"), ("heads",)),
    "mamba2": (("inner_length", "state_length", "heads", "groups", "convolution"), ("norm",)),
    "delta": (("key_heads", "heads", "key_length", "value_length", "convolution"), ()),
    "kda": (("heads", "key_length", "convolution"), ("value_length",)),
    "lightning": (("heads", "key_length"), ()),
    "convolution": (("convolution",), ()),
    "rglru": (("inner_length", "heads", "convolution"), ()),
    "rwkv7": (("key_length", "ranks"), ()),
}
# keys that say something beside another alone
_OF_EXPERTS = (
    "shared_length", "latent_length", "router_bias", "beside_dense", "groups", "groups_used",
)  # fmt: skip
QUERY_KEY_NORMS = ("head", "per_head", "full", "none")
# what the ranks of RWKV are of
_RANKS: Mapping[str, tuple[str, ...]] = {"rwkv7": ("decay", "rate", "first values", "gate")}


def _size(maximum: int = MAX_SIZE, **limits: Any) -> Any:
    """A field of a part of a layer: a whole number above zero, None where it is not stated."""
    return read_by(Table.integer, **{"minimum": 1, "maximum": maximum, "default": None, **limits})


def unsized(record: Record) -> Iterator[Misfit]:
    """Every number of a record that is no size of a model."""
    for key in type(record)._fields:
        value = getattr(record, key)
        if type(value) is int and not 1 <= value <= MAX_SIZE:
            remedy = f"write a number from 1 to {MAX_SIZE:,}"
            yield key, f"is {value:,}, which is no size of a model", remedy


class LayerPart(Record):
    """What layers have that are alike in it: attention, a recurrent state or a feed-forward."""

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every size that arithmetic cannot take or divide by, once the others are as they are.
        `width`: embedding_length, if known.
        """
        return unsized(self)

    def _above(self, part: str, whole: str, words: str) -> Iterator[Misfit]:
        """Where a part is more than the whole."""
        count, most = getattr(self, part), getattr(self, whole)
        if count is not None and most is not None and count > most:
            message = f"is {count:,}, more than the {most:,} {words}"
            yield part, message, f"write at most {most:,}"

    def _undivided(self, key: str, whole: int | None, what: str) -> Iterator[Misfit]:
        """Where that many parts do not share out `whole`, called `what`, evenly."""
        parts = getattr(self, key)
        if parts and whole is not None and whole % parts:
            message = f"is {parts:,}, which does not divide {what}"
            yield key, message, f"write a divisor of {whole:,}"


class Attention(LayerPart):
    """Layers that attend alike. `layers` are their 0-based numbers, already resolved from `at`.

    `latent_length` of a "full" layer: its keys and values come from one compressed row, and are
    cached unpacked; `key_length` is whole.
    """

    kind: str = read_by(Table.string, choices=tuple(_ATTENTION_KEYS), default="full")
    layers: tuple[int, ...]
    heads: int = _size()
    kv_heads: int = _size()
    key_length: int = _size()
    value_length: int = _size()
    window_tokens: int | None = _size()
    values_from_keys: bool = read_by(Table.boolean, default=False)
    latent_length: int | None = _size()
    query_latent_length: int | None = _size()
    rope_length: int | None = _size()
    indexer_heads: int | None = _size()
    indexer_length: int | None = _size()
    indexer_rows: int | None = _size()
    query_key_norm: str | None = read_by(Table.string, choices=QUERY_KEY_NORMS, default=None)
    compression: int | None = _size()
    output_groups: int | None = _size()
    output_latent_length: int | None = _size()

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every head shares the keys and values of as many others, and of compressed attention
        a group of the output.
        """
        yield from super().misfits(width)
        yield from self._above("kv_heads", "heads", "heads")
        heads = f"the {self.heads:,} heads"
        if self.kv_heads <= self.heads:
            yield from self._undivided("kv_heads", self.heads, heads)
        yield from self._undivided("output_groups", self.heads, heads)
        rope = self.rope_length or 0
        if self.kind == "full" and rope >= self.key_length:
            message = f"is {rope:,}, and the whole key {self.key_length:,}"
            yield "rope_length", message, f"write less than {self.key_length:,}"


def _ranks(table: Table, key: str) -> tuple[int, ...] | None:
    return table.integers(key) or None


class Recurrent(LayerPart):
    """Layers that keep a state of fixed size instead of a cache, or beside it."""

    kind: str = read_by(Table.string, required=True, choices=tuple(_RECURRENT_KEYS))
    layers: tuple[int, ...]
    inner_length: int | None = _size()
    state_length: int | None = _size()
    time_step_rank: int | None = _size()
    convolution: int | None = _size()
    heads: int | None = _size()
    key_heads: int | None = _size()
    key_length: int | None = _size()
    value_length: int | None = _size()
    groups: int | None = _size()
    norm: bool | None = read_by(Table.boolean, default=None)
    ranks: tuple[int, ...] | None = read_by(_ranks, default=None)

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Heads divide the inner width, and groups or heads of keys those heads; of RWKV the
        length of a head divides that of a layer.
        """
        yield from super().misfits(width)
        inner, heads = self.inner_length, self.heads or 0
        yield from self._undivided("heads", inner, f"inner_length, {inner or 0:,}")
        if self.kind == "rwkv7" and width is not None and self.key_length:
            yield from self._undivided("key_length", width, f"embedding_length, {width:,}")
            heads = width // self.key_length
        key = "groups" if self.kind == "mamba2" else "key_heads"
        if heads and (self.kind in ("mamba2", "delta", "rwkv7")):
            yield from self._undivided(key, heads, f"the {heads:,} heads")
        names, ranks = _RANKS.get(self.kind, ()), self.ranks or ()
        # without a gate its rank is 0
        if names and (len(ranks) != len(names) or not all(ranks[:3])):
            last = "; without a gate the last is 0" if "gate" in names else ""
            numbers = f"{len(names)} numbers, those of {', '.join(names)}"
            yield "ranks", f"is {list(ranks)}", f"write {numbers}, each at least 1{last}"


class FeedForward(LayerPart):
    """Layers with the same feed-forward. With `experts`, `length` is that of one expert;
    `shared_length` the total of the shared ones. `padded_length` is that of the AWQ and GPTQ files
    whose publisher filled it up with zeros, so that devices share whole groups.
    """

    layers: tuple[int, ...]
    length: int = read_by(Table.integer, required=True, minimum=1)
    experts: int | None = _size(MAX_EXPERTS)
    used: int | None = _size(MAX_EXPERTS)
    shared_length: int | None = _size()
    latent_length: int | None = _size()
    router_bias: bool = read_by(Table.boolean, default=False)
    beside_dense: int | None = _size()
    groups: int | None = _size(MAX_EXPERTS, minimum=2)
    groups_used: int | None = _size(MAX_EXPERTS)
    padded_length: int | None = _size()

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Groups share the experts out evenly, two or more in each, for a group is ranked by
        its two best; those used have enough.
        """
        yield from super().misfits(width)
        yield from self._above("used", "experts", "experts")
        yield from self._above("groups_used", "groups", "groups")
        if self.padded_length is not None and self.padded_length <= self.length:
            message = f"is {self.padded_length:,}, not above the length, {self.length:,}"
            yield "padded_length", message, f"write more than {self.length:,}"
        if not self.experts or not self.groups:
            return
        each, chosen = self.experts // self.groups, self.groups_used or 0
        if self.experts % self.groups or each < 2:
            message = f"is {self.groups:,}, which does not divide the {self.experts:,} experts"
            yield "groups", f"{message} into groups of 2 or more", "write half of them at most"
        elif chosen and (self.used or 0) > chosen * each:
            message = (
                f"is {chosen:,}: so many groups of {each:,} experts have less than the"
                f" {self.used or 0:,} that a token uses"
            )
            yield "groups_used", message, f"write at least {-(-(self.used or 0) // each):,}"


class Blocks(Record):
    """What the `at` of a line may name: that many layers, None where the number is wrong, letters
    of `layer_pattern`, and `beyond` more blocks after the last layer.
    """

    layers: int | None
    pattern: str | None
    beyond: int = 0


Places = list[tuple[int, ...] | None]


def places(lists: Sequence[Sequence[Table]], blocks: Blocks) -> list[Places]:
    """The layer numbers of every line of `lists`, which share what no line names; None where a
    fault was noted.
    """
    named = [_named_places(lines, blocks) for lines in lists]
    taken = {number for numbers in named for at in numbers for number in at or ()}
    rest = tuple(number for number in range(blocks.layers or 0) if number not in taken)
    pairs = [pair for each in zip(lists, named, strict=True) for pair in zip(*each, strict=True)]
    is_certain = blocks.layers is not None and all(at or "at" not in line for line, at in pairs)
    for lines, numbers in zip(lists, named, strict=True):
        _give_rest(lines, numbers, rest, is_certain)
    return named


def _give_rest(
    lines: Sequence[Table], numbers: Places, rest: tuple[int, ...], is_certain: bool
) -> None:
    """Put `rest` where a line has no `at`. That none is left is a fault where no other was
    noted.
    """
    without = [place for place, line in enumerate(lines) if "at" not in line]
    for place in without:
        numbers[place] = rest
        if place != without[0]:
            message = "has no `at`, and neither has an earlier line"
            remedy = "only one line of a list takes the layers that are left"
            lines[place].problem(None, message, remedy)
    if is_certain and not rest and len(without) == 1:
        message = "has no `at`, and no layer is left for it"
        remedy = "remove the line, or name its layers with at = …"
        lines[without[0]].problem(None, message, remedy)


def _named_places(lines: Sequence[Table], blocks: Blocks) -> Places:
    """The layer numbers of the lines with an `at`, each layer in one line alone."""
    if blocks.layers is not None and len(lines) > blocks.layers + blocks.beyond:
        message = f"is line {len(lines):,} of a list for {blocks.layers:,} layers"
        lines[-1].problem(None, message, "write one line for each kind of layer")
        blocks = blocks.replace(layers=None)
    taken: set[int] = set()
    numbers: Places = []
    for line in lines:
        at = line.value("at")
        layers = None if at is None or blocks.layers is None else _layers(line, at, blocks)
        twice = sorted(taken.intersection(layers or ()))
        if twice:
            shown = ", ".join(map(str, twice[:5])) + (", …" if len(twice) > 5 else "")
            message = f"names {shown}, which an earlier line of the list names"
            line.problem("at", message, "name each layer once")
        taken.update(layers or ())
        numbers.append(layers)
    return numbers


# `":3"` or `"3::4"`: as Python slices the layers
_SLICE = pattern(r"(?a)(\d{0,9}):(\d{0,9})(?::(\d{0,9}))?")


def _layers(line: Table, at: Any, blocks: Blocks) -> tuple[int, ...] | None:
    """`at` as layer numbers; None where it is wrong."""
    letters, limit = blocks.pattern, (blocks.layers or 0) + blocks.beyond
    slice = _SLICE.fullmatch(at) if isinstance(at, str) else None
    if isinstance(at, list):
        return _listed(line, at, limit)
    if slice is not None:
        ends = [int(digits) if digits else None for digits in slice.groups()]
        return _sliced(line, ends, blocks.layers or 0, limit)
    if isinstance(at, str) and len(at) == 1 and (letters or not at.isdecimal()):
        return _lettered(line, at, letters)
    is_number = str(at).isascii() and str(at).isdecimal() and len(str(at)) < 10
    line.problem(
        "at",
        'must be a slice such as ":3" or "3::4", a list of numbers or a letter of'
        f" layer_pattern, not {kind_of(at)}",
        f"write at = [{at}]" if is_number else None,
    )
    return None


def _listed(line: Table, at: list[Any], limit: int) -> tuple[int, ...] | None:
    is_right = all(type(number) is int and 0 <= number < limit for number in at)
    if at and is_right and len(set(at)) == len(at):
        return tuple(sorted(at))
    line.problem("at", f"must list layer numbers from 0 to {limit - 1}, each once")
    return None


def _sliced(
    line: Table, ends: Sequence[int | None], layers: int, limit: int
) -> tuple[int, ...] | None:
    start, stop = ends[0] or 0, layers if ends[1] is None else ends[1]
    step = 1 if ends[2] is None else ends[2]
    is_beyond = start >= limit or stop > limit
    if not is_beyond and start < stop and step:
        return tuple(range(start, stop, step))
    fault = f"goes beyond the last layer, {limit - 1}" if is_beyond else "names no layer"
    remedy = "layers count from 0, and the stop of start:stop:step is not part of the slice"
    line.problem("at", f'"{line.values["at"]}" {fault}', remedy)
    return None


def _lettered(line: Table, letter: str, letters: str | None) -> tuple[int, ...] | None:
    """The layers that have this letter in `layer_pattern`."""
    numbers = tuple(number for number, own in enumerate(letters or "") if own == letter)
    if numbers:
        return numbers
    if letters is not None:
        line.problem("at", f"{kind_of(letter)} is not a letter of layer_pattern")
    elif "layer_pattern" not in line.document.values["architecture"]:
        message = f"{kind_of(letter)} is a letter, and there is no layer_pattern"
        line.problem("at", message, "write layer_pattern, one letter for each layer")
    # else the pattern itself is wrong, which is noted already
    return None


def _check_keys(line: Table, part: type[Record], kind: str, keys: Mapping[str, Any]) -> None:
    """Note what the kind must state and the line has not, and what says nothing with it."""
    required, allowed = keys[kind]
    for key in required:
        if key not in line:
            line.problem(key, "is missing")
    for key in part._keys:
        if key in line and key not in (*required, *allowed, *_OF_ALL_KINDS):
            remedy = f"{kind} has {', '.join((*required, *allowed))}"
            line.problem(key, f'means nothing with kind = "{kind}"', remedy)


def _check_beside(line: Table, *pairs: tuple[str, str]) -> None:
    """Note each second key that is missing beside the first."""
    for key, other in pairs:
        if key in line and other not in line:
            line.problem(other, "is missing")


def read_attention(
    line: Table, at: tuple[int, ...] | None, model_heads: int | None, width: int | None
) -> Attention | None:
    """A line of `attention`; None where a size that every kind has is missing or wrong.
    `model_heads` stands for `heads` where the line has none; `width`: embedding_length.
    """
    values = line.fields(Attention)
    line.close()
    # else the kind itself is wrong
    kind = values["kind"] if line.values.get("kind", values["kind"]) == values["kind"] else None
    if kind is not None:
        _check_keys(line, Attention, kind, _ATTENTION_KEYS)
        _check_beside(line, *_ATTENTION_PAIRS, *_ATTENTION_PAIRS_OF.get(kind, ()))
    elif "key_length" not in line:
        line.problem("key_length", "is missing")
    values["heads"] = values["heads"] or model_heads
    # every head of latent attention has its own key once it is unpacked
    if kind == "latent" and values["kv_heads"] is None:
        values["kv_heads"] = values["heads"]
    values["value_length"] = values["value_length"] or values["key_length"]
    stated = {**line.document.values["architecture"], **line.values}
    if values["heads"] is None and "heads" not in stated:
        line.problem("heads", "is missing, here and in [architecture]")
    sizes = ("heads", "kv_heads", "key_length", "value_length")
    if at is None or kind is None or any(values[key] is None for key in sizes):
        return None
    return _fitting(line, Attention(layers=at, **values), width)


def read_recurrent(line: Table, at: tuple[int, ...] | None, width: int | None) -> Recurrent | None:
    """A line of `recurrent`; None where its kind or place is wrong. `width`: embedding_length."""
    values = line.fields(Recurrent)
    line.close()
    kind = values["kind"]
    if kind is None:
        return None
    _check_keys(line, Recurrent, kind, _RECURRENT_KEYS)
    return None if at is None else _fitting(line, Recurrent(layers=at, **values), width)


def read_feed_forward(line: Table, at: tuple[int, ...] | None) -> FeedForward | None:
    """A line of `feed_forward`; None where its length or place is wrong."""
    values = line.fields(FeedForward)
    line.close()
    pairs = (("experts", "used"), ("used", "experts"))
    _check_beside(line, *pairs, ("groups", "groups_used"), ("groups_used", "groups"))
    if "experts" not in line and "used" not in line:
        for key in _OF_EXPERTS:
            if key in line:
                line.problem(key, "means nothing without experts")
    if at is None or values["length"] is None:
        return None
    return _fitting(line, FeedForward(layers=at, **values), None)


def _fitting(line: Table, part: _Part, width: int | None) -> _Part:
    """The part of a layer, with a problem noted for each size that arithmetic cannot divide by."""
    for key, message, remedy in part.misfits(width):
        # what was taken from another key is told of that
        if key in line:
            line.problem(key, message, remedy)
    return part
