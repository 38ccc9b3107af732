"""What layers of a model are made of: attention, a recurrent state or a feed-forward; and the
readers of their tables in a spec file, which name layers by `at`.
"""

from __future__ import annotations

from ..core.records import Record
from ..core.tomlfile import Table, kind_of
from .fitting import MAX_EXPERTS, Misfit, undivided, unsized
from .spec_values import note_meaningless

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    _Part = TypeVar("_Part", bound="LayerPart")

# more than any published model has (126); bounds what a hostile file can ask for
MAX_LAYERS = 1000
ATTENTION_KINDS = ("full", "sliding", "latent", "cross", "compressed")
RECURRENT_KINDS = (
    "mamba",
    "mamba2",
    "delta",
    "kda",
    "lightning",
    "convolution",
    "rglru",
    "rwkv6",
    "rwkv7",
    "qrwkv6",
    "qrwkv7",
)
QUERY_KEY_NORMS = ("head", "per_head", "full", "none")
_INDEXER_KEYS = ("indexer_heads", "indexer_length")
_COMPRESSED_KEYS = ("compression", "indexer_rows", "output_groups", "output_latent_length")
# in the order of reading, those that every kind has first
_ATTENTION_SIZES = (
    "heads", "kv_heads", "key_length", "value_length", "window_tokens", "latent_length",
    "query_latent_length", "rope_length", *_INDEXER_KEYS, "indexer_rows", "compression",
    "output_groups", "output_latent_length",
)  # fmt: skip
# what each kind must state beside key_length
_ATTENTION_KEYS_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "full": ("kv_heads",),
    "sliding": ("kv_heads", "window_tokens"),
    "cross": ("kv_heads",),
    "latent": ("latent_length", "rope_length"),
    "compressed": (
        "kv_heads", "window_tokens", "query_latent_length", "output_groups", "output_latent_length",
    ),
}  # fmt: skip
# keys that say something with these kinds alone
_ATTENTION_KEYS_OF_KINDS = (
    (("window_tokens",), ("sliding", "latent", "compressed")),
    (("latent_length", "rope_length"), ("full", "latent")),
    (("query_latent_length", *_INDEXER_KEYS), ("full", "latent", "compressed")),
    (_COMPRESSED_KEYS, ("compressed",)),
)
# what each kind must state; what it may state is in `_RECURRENT_KEYS_OPTIONAL`
_RECURRENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "mamba": ("inner_length", "state_length", "time_step_rank", "convolution"),
    "mamba2": ("inner_length", "state_length", "heads", "groups", "convolution"),
    "delta": ("key_heads", "heads", "key_length", "value_length", "convolution"),
    "kda": ("heads", "key_length", "convolution"),
    "lightning": ("heads", "key_length"),
    "convolution": ("convolution",),
    "rglru": ("inner_length", "heads", "convolution"),
    "rwkv6": ("key_length", "ranks"),
    "rwkv7": ("key_length", "ranks"),
    "qrwkv6": ("key_heads", "key_length", "ranks"),
    "qrwkv7": ("key_length", "ranks"),
}
_RECURRENT_KEYS_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "kda": ("value_length",),
    "mamba": ("heads",),
    "mamba2": ("norm",),
}
# what the ranks of RWKV are of
_RANKS: Mapping[str, tuple[str, ...]] = {
    "rwkv6": ("mixing", "decay"), "qrwkv6": ("mixing", "decay"),
    "rwkv7": ("decay", "rate", "first values", "gate"), "qrwkv7": ("decay", "rate", "first values",
    "gate"),
}  # fmt: skip
_RECURRENT_SIZES = (
    "inner_length", "state_length", "time_step_rank", "convolution", "heads", "key_heads",
    "key_length", "value_length", "groups",
)  # fmt: skip


class LayerPart(Record):
    """What layers have that are alike in it: attention, a recurrent state or a feed-forward."""

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every size that arithmetic cannot take or divide by, once the others are as they are.
        `width`: embedding_length, if known.
        """
        return unsized(self)


class Attention(LayerPart):
    """Layers that attend alike. `layers` are their 0-based numbers, already resolved from `at`.

    `latent_length` of a "full" layer: its keys and values come from one compressed row, and are
    cached unpacked; `key_length` is whole.
    """

    kind: str = "full"
    layers: tuple[int, ...]
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    window_tokens: int | None = None
    values_from_keys: bool = False
    latent_length: int | None = None
    query_latent_length: int | None = None
    rope_length: int | None = None
    indexer_heads: int | None = None
    indexer_length: int | None = None
    indexer_rows: int | None = None
    query_key_norm: str | None = None
    compression: int | None = None
    output_groups: int | None = None
    output_latent_length: int | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Every head shares the keys and values of as many others, and of compressed attention
        a group of the output.
        """
        yield from super().misfits(width)
        heads = f"the {self.heads:,} heads"
        if self.kv_heads <= self.heads:
            yield from undivided("kv_heads", self.kv_heads, self.heads, heads)
        yield from undivided("output_groups", self.output_groups, self.heads, heads)


class Recurrent(LayerPart):
    """Layers that keep a state of fixed size instead of a cache, or beside it."""

    kind: str
    layers: tuple[int, ...]
    inner_length: int | None = None
    state_length: int | None = None
    time_step_rank: int | None = None
    convolution: int | None = None
    heads: int | None = None
    key_heads: int | None = None
    key_length: int | None = None
    value_length: int | None = None
    groups: int | None = None
    norm: bool | None = None
    ranks: tuple[int, ...] | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Heads divide the inner width, and groups or heads of keys those heads; of RWKV the
        length of a head divides that of a layer.
        """
        yield from super().misfits(width)
        yield from undivided(
            "heads", self.heads, self.inner_length, f"inner_length, {self.inner_length or 0:,}"
        )
        heads, divides = (
            self.heads,
            {"mamba2": ("groups", self.groups), "delta": ("key_heads", self.key_heads)}.get(
                self.kind
            ),
        )
        if "rwkv" in self.kind and width is not None and self.key_length:
            yield from undivided(
                "key_length", self.key_length, width, f"embedding_length, {width:,}"
            )
            heads, divides = width // self.key_length, ("key_heads", self.key_heads)
        if divides is not None and heads:
            yield from undivided(*divides, heads, f"the {heads:,} heads")
        names = _RANKS.get(self.kind, ())
        # without a gate its rank is 0
        if names and (len(self.ranks or ()) != len(names) or not all((self.ranks or ())[:3])):
            last = "; without a gate the last is 0" if "gate" in names else ""
            yield (
                "ranks",
                f"is {list(self.ranks or ())}",
                f"write {len(names)} numbers, those of {', '.join(names)}, each at least 1{last}",
            )


class FeedForward(LayerPart):
    """Layers with the same feed-forward. With `experts`, `length` is that of one expert;
    `shared_length` the total of the shared ones. `padded_length` is that of the AWQ and GPTQ files
    whose publisher filled it up with zeros, so that devices share whole groups.
    """

    layers: tuple[int, ...]
    length: int
    experts: int | None = None
    used: int | None = None
    shared_length: int | None = None
    latent_length: int | None = None
    router_bias: bool = False
    beside_dense: int | None = None
    groups: int | None = None
    groups_used: int | None = None
    padded_length: int | None = None

    def misfits(self, width: int | None) -> Iterator[Misfit]:
        """Groups share the experts out evenly, two or more in each, for a group is ranked by
        its two best; those used have enough.
        """
        yield from super().misfits(width)
        if not self.experts or not self.groups:
            return
        unshared = tuple(
            undivided("groups", self.groups, self.experts, f"the {self.experts:,} experts", least=2)
        )
        yield from unshared
        chosen, each = self.groups_used or 0, self.experts // self.groups
        if chosen > self.groups:
            yield (
                "groups_used",
                f"is {chosen:,}, more than the {self.groups:,} groups",
                f"write at most {self.groups:,}",
            )
        elif chosen and not unshared and (self.used or 0) > chosen * each:
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


def places(lists: Sequence[Sequence[Table]], blocks: Blocks) -> list[list[tuple[int, ...] | None]]:
    """The layer numbers of every line of `lists`, which share what is left over; None where a fault
    was noted.
    """
    named: list[list[tuple[int, ...] | None]] = []
    taken: set[int] = set()
    is_sure = blocks.layers is not None
    for lines in lists:
        if blocks.layers is not None and len(lines) > blocks.layers + blocks.beyond:
            lines[-1].problem(
                None,
                f"is line {len(lines):,} of a list for {blocks.layers:,} layers",
                "write one line for each kind of layer",
            )
            blocks, is_sure = blocks.replace(layers=None), False
        numbers, is_right = _places_of_list(lines, blocks)
        is_sure = is_sure and is_right
        for at in numbers:
            taken.update(at or ())
        named.append(numbers)
    rest = tuple(number for number in range(blocks.layers or 0) if number not in taken)
    for lines, numbers in zip(lists, named, strict=True):
        _give_rest(lines, numbers, rest, is_sure)
    return named


def _places_of_list(
    lines: Sequence[Table], blocks: Blocks
) -> tuple[list[tuple[int, ...] | None], bool]:
    """The layer numbers of lines that have an `at`, and whether no fault was noted."""
    is_right = True
    taken: set[int] = set()
    numbers: list[tuple[int, ...] | None] = []
    for line in lines:
        at = _at(line, blocks)
        if at is None:
            is_right = is_right and "at" not in line
        elif not taken.isdisjoint(at):
            _note_named_twice(line, sorted(taken.intersection(at)))
            is_right = False
        taken.update(at or ())
        numbers.append(at)
    without = [line for line in lines if "at" not in line]
    for line in without[1:]:
        line.problem(
            None,
            "has no `at`, and neither has an earlier line",
            "only one line of a list takes the layers that are left",
        )
        is_right = False
    return numbers, is_right


def _note_named_twice(line: Table, twice: Sequence[int]) -> None:
    shown = ", ".join(map(str, twice[:5])) + (", …" if len(twice) > 5 else "")
    line.problem(
        "at",
        f"names layer{'s' if len(twice) > 1 else ''} {shown}, which an earlier line of"
        " the list names",
        "name each layer once",
    )


def _give_rest(
    lines: Sequence[Table],
    numbers: list[tuple[int, ...] | None],
    rest: tuple[int, ...],
    is_sure: bool,
) -> None:
    """Put `rest` where a line has no `at`; a fault where nothing is left for it, which is certain
    only where no other was noted.
    """
    for index, line in enumerate(lines):
        if "at" in line:
            continue
        if is_sure and not rest:
            line.problem(
                None,
                "has no `at`, and no layer is left for it",
                "remove the line, or name its layers with at = …",
            )
        numbers[index] = rest


def _at(line: Table, blocks: Blocks) -> tuple[int, ...] | None:
    """`at` as layer numbers; None where it is missing or wrong."""
    at = line.value("at")
    if at is None or blocks.layers is None:
        return None
    limit = blocks.layers + blocks.beyond
    if isinstance(at, list):
        return _listed(line, at, limit)
    if not isinstance(at, str):
        _refuse_kind(line, at, limit)
        return None
    parts = at.split(":")
    if 2 <= len(parts) <= 3 and all(not part or _is_number(part) for part in parts):
        return _slice(line, at, blocks.layers, limit)
    if len(at) == 1 and (at in (blocks.pattern or "") or not at.isdecimal()):
        return _lettered(line, at, blocks.pattern)
    remedy = f"write at = [{at}]" if _is_number(at) else 'write for example ":3", "3::4" or [3, 7]'
    line.problem("at", f"{kind_of(at)} is no slice start:stop:step", remedy)
    return None


def _refuse_kind(line: Table, at: object, limit: int) -> None:
    """Tell that `at` is no text and no list. `limit`: the number of layers."""
    is_layer = isinstance(at, int) and not isinstance(at, bool) and 0 <= at < limit
    line.problem(
        "at",
        'must be a slice such as ":3" or "3::4", a list of numbers or a letter of'
        f" layer_pattern, not {kind_of(at)}",
        f"write at = [{at}]" if is_layer else None,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 9


def _listed(line: Table, at: list[Any], limit: int) -> tuple[int, ...] | None:
    """`[3, 7]`: the numbers themselves."""
    wrong = [
        number
        for number in at
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < limit
    ]
    if wrong or not at:
        line.problem(
            "at",
            f"must list layer numbers from 0 to {limit - 1}"
            + (f", not {kind_of(wrong[0])}" if wrong else ""),
        )
        return None
    if len(set(at)) < len(at):
        line.problem("at", "names a layer twice")
        return None
    return tuple(sorted(at))


def _slice(line: Table, at: str, layers: int, limit: int) -> tuple[int, ...] | None:
    """`":3"` or `"3::4"`: as Python slices the layers."""
    start_text, stop_text, step_text = (*at.split(":"), "")[:3]
    start, stop, step = int(start_text or 0), int(stop_text or layers), int(step_text or 1)
    if start >= limit or stop > limit:
        line.problem(
            "at",
            f'"{at}" goes beyond the last layer, {limit - 1}',
            "layers count from 0, and the stop is not part of the slice",
        )
        return None
    if start >= stop or step < 1:
        line.problem(
            "at",
            f'"{at}" names no layer',
            "write start:stop:step; layers count from 0, and the stop is not part of the slice",
        )
        return None
    return tuple(range(start, stop, step))


def _lettered(line: Table, letter: str, pattern: str | None) -> tuple[int, ...] | None:
    """The layers that have this letter in `layer_pattern`."""
    if pattern is not None and letter in pattern:
        return tuple(number for number, own in enumerate(pattern) if own == letter)
    if pattern is not None:
        line.problem("at", f"{kind_of(letter)} is not a letter of layer_pattern")
    elif "layer_pattern" not in line.document.values["architecture"]:
        line.problem(
            "at",
            f"{kind_of(letter)} is a letter, and there is no layer_pattern",
            "write layer_pattern, one letter for each layer",
        )
    # else the pattern itself is wrong, which is noted already
    return None


def read_attention(
    line: Table, at: tuple[int, ...] | None, model_heads: int | None, width: int | None
) -> Attention | None:
    """A line of `attention`; None where a size that every kind has is missing or wrong.
    `model_heads` stands for `heads` where the line has none; `width`: embedding_length.
    """
    kind = line.string("kind", choices=ATTENTION_KINDS)
    if kind is None and "kind" not in line:
        kind = "full"
    required = _attention_keys_required(line, kind)
    sizes: dict[str, Any] = {
        key: line.integer(key, required=key in required, minimum=1) for key in _ATTENTION_SIZES
    }
    values_from_keys = line.boolean("values_from_keys")
    query_key_norm = line.string("query_key_norm", choices=QUERY_KEY_NORMS)
    line.close()
    sizes["heads"] = sizes["heads"] or model_heads
    # every head of latent attention has its own key once it is unpacked
    if kind == "latent" and sizes["kv_heads"] is None:
        sizes["kv_heads"] = sizes["heads"]
    sizes["value_length"] = sizes["value_length"] or sizes["key_length"]
    if kind is not None:
        for keys, kinds in _ATTENTION_KEYS_OF_KINDS:
            note_meaningless(line, keys, kind in kinds, f"kind = {_either(kinds)}")
    _check_attention(line, kind, sizes)
    if at is None or kind is None or any(sizes[key] is None for key in _ATTENTION_SIZES[:4]):
        return None
    part = Attention(
        kind=kind,
        layers=at,
        values_from_keys=bool(values_from_keys),
        query_key_norm=query_key_norm,
        **sizes,
    )
    return _fitting(line, part, width)


def _attention_keys_required(line: Table, kind: str | None) -> set[str]:
    """The keys that the kind must have, and those that others of the line call for."""
    required = {"key_length", *_ATTENTION_KEYS_REQUIRED.get(kind or "", ())}
    if "latent_length" in line:
        required.add("rope_length")
    if "indexer_length" in line:
        required.add("indexer_heads")
    if "indexer_heads" in line:
        required.add("indexer_length")
        if kind == "compressed":
            required.add("indexer_rows")
    return required


def _either(words: Sequence[str]) -> str:
    """`"a", "b" or "c"`."""
    quoted = [f'"{word}"' for word in words]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def _check_attention(line: Table, kind: str | None, sizes: Mapping[str, int | None]) -> None:
    """Note the sizes that contradict each other, and heads that nothing states."""
    heads, kv_heads = sizes["heads"], sizes["kv_heads"]
    rope_length, key_length = sizes["rope_length"], sizes["key_length"]
    stated = "heads" in line or "heads" in line.document.values["architecture"]
    if heads is None and not stated:
        line.problem("heads", "is missing, here and in [architecture]")
    if heads is not None and kv_heads is not None and kv_heads > heads:
        line.problem("kv_heads", f"is {kv_heads:,}, more than the {heads:,} heads")
    if kind == "full" and rope_length and key_length and rope_length >= key_length:
        line.problem("rope_length", f"is {rope_length:,}, and the whole key {key_length:,}")


def read_recurrent(line: Table, at: tuple[int, ...] | None, width: int | None) -> Recurrent | None:
    """A line of `recurrent`; None where its kind or place is wrong. `width`: embedding_length."""
    kind = line.string("kind", required=True, choices=RECURRENT_KINDS)
    required = _RECURRENT_KEYS.get(kind or "", ())
    sizes: dict[str, Any] = {
        key: line.integer(key, required=key in required, minimum=1) for key in _RECURRENT_SIZES
    }
    norm = line.boolean("norm")
    ranks = line.integers("ranks", required="ranks" in required) or None
    line.close()
    if kind is not None:
        optional = _RECURRENT_KEYS_OPTIONAL.get(kind, ())
        for key in (*_RECURRENT_SIZES, "norm", "ranks"):
            if key in line and key not in required and key not in optional:
                line.problem(
                    key,
                    f'means nothing with kind = "{kind}"',
                    f"{kind} has {', '.join((*required, *optional))}",
                )
    if at is None or kind is None:
        return None
    part = Recurrent(
        kind=kind,
        layers=at,
        norm=norm,
        ranks=ranks,
        **sizes,
    )
    return _fitting(line, part, width)


def read_feed_forward(line: Table, at: tuple[int, ...] | None) -> FeedForward | None:
    """A line of `feed_forward`; None where its length or place is wrong."""
    length = line.integer("length", required=True, minimum=1)
    experts = line.integer("experts", required="used" in line, minimum=1, maximum=MAX_EXPERTS)
    used = line.integer("used", required="experts" in line, minimum=1, maximum=MAX_EXPERTS)
    shared_length = line.integer("shared_length", minimum=1)
    latent_length = line.integer("latent_length", minimum=1)
    router_bias = line.boolean("router_bias")
    beside_dense = line.integer("beside_dense", minimum=1)
    padded_length = line.integer("padded_length", minimum=1)
    groups = line.integer("groups", required="groups_used" in line, minimum=2, maximum=MAX_EXPERTS)
    groups_used = line.integer(
        "groups_used", required="groups" in line, minimum=1, maximum=MAX_EXPERTS
    )
    line.close()
    only = (
        "shared_length",
        "latent_length",
        "router_bias",
        "beside_dense",
        "groups",
        "groups_used",
    )
    note_meaningless(line, only, "experts" in line or "used" in line, "experts")
    if experts is not None and used is not None and used > experts:
        line.problem("used", f"is {used:,}, more than the {experts:,} experts")
    if padded_length is not None and length is not None and padded_length <= length:
        line.problem("padded_length", f"is {padded_length:,}, not above the length, {length:,}")
    if at is None or length is None:
        return None
    part = FeedForward(
        layers=at,
        length=length,
        experts=experts,
        used=used,
        shared_length=shared_length,
        latent_length=latent_length,
        router_bias=bool(router_bias),
        beside_dense=beside_dense,
        groups=groups,
        groups_used=groups_used,
        padded_length=padded_length,
    )
    return _fitting(line, part, None)


def _fitting(line: Table, part: _Part, width: int | None) -> _Part:
    """The part of a layer, with a problem noted for each size that arithmetic cannot divide by."""
    for key, message, remedy in part.misfits(width):
        # what was taken from another key is told of that
        if key in line:
            line.problem(key, message, remedy)
    return part
