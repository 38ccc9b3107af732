"""The graph that llama.cpp builds for a prompt, by architecture, and from it the exact compute buffer.

Read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. What follows from a spec and its row (norms, fused matrices,
windows, experts) is taken from there; `_STYLES` holds what only the program knows. Operations that write over their only
source change nothing and are left out: scales, biases, activations, the weight of a norm.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ..facts import Record
from ..spec import Architecture, Attention, FeedForward
from .allocator import FULL_CELLS, LOGITS_ROWS, WINDOW_CELLS, Program, Recorder, Section, Tensor
from .cache import CacheGroup, cache_groups
from .llamacpp import Cells, window_of
from .tensors import ArchitectureRow

# llama.cpp's own limit (LLAMA_MAX_EXPERTS is 512; no model uses more than 22): bounds what a hostile file can ask for
_MOST_EXPERTS = 64
# a quantized cache is rotated in blocks, those of the keys as large as the heads allow
_ROTATION = 64


class _Style(Record):
    """How llama.cpp builds one architecture.

    `centred`: LayerNorm, which is not computed in place. `rope`: the layers in which positions are rotated: "all", "none",
    "sliding", "three of four". `beside`: what a feed-forward beside the attention reads: "norm" (that of the attention) or
    "input"; `sums`: what is added to what in such a layer, or without one.
    `late_rows`: all tokens pass the last layer. `router`: "softmax"; "late": of those chosen; "sigmoid".
    `normalized`: the weights of the experts add up to one. `before_experts`: they scale what the experts read.
    `temperature`: queries are scaled by position. `positions`: numbers per position.
    """

    centred: bool = False
    rope: str = "all"
    beside: str = ""
    sums: tuple[str, ...] = ("made", "residual")
    late_rows: bool = False
    router: str = "softmax"
    normalized: bool = False
    before_experts: bool = False
    temperature: bool = False
    positions: int = 1


_PLAIN = _Style()
_NORMALIZED = _Style(normalized=True)
_CENTRED = _Style(centred=True)
_CENTRED_UNROTATED = _Style(centred=True, rope="none")
_COHERE = ("made", "residual", "attended")
_STYLES = {
    "llama": _NORMALIZED,
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "qwen3moe": _NORMALIZED,
    "gemma": _PLAIN,
    "gemma2": _PLAIN,
    "gemma3": _PLAIN,
    "phi3": _Style(sums=("residual", "made"), normalized=True),
    "phimoe": _Style(sums=("residual", "made"), normalized=True),
    "falcon": _Style(centred=True, beside="norm", sums=("made", "attended", "residual")),
    "gpt2": _CENTRED_UNROTATED,
    "gpt-oss": _Style(late_rows=True, router="late"),
    "deepseek2": _PLAIN,
    "granite": _PLAIN,
    "granitemoe": _NORMALIZED,
    "olmo": _CENTRED,
    "olmo2": _PLAIN,
    "olmoe": _PLAIN,
    "command-r": _Style(centred=True, beside="norm", sums=_COHERE),
    "cohere2": _Style(centred=True, beside="norm", sums=_COHERE, rope="sliding"),
    "cohere2moe": _Style(centred=True, beside="norm", sums=_COHERE, rope="sliding", late_rows=True),
    "glm4": _PLAIN,
    "chatglm": _PLAIN,
    "starcoder": _CENTRED_UNROTATED,
    "starcoder2": _CENTRED,
    "gptneox": _Style(centred=True, beside="input", sums=_COHERE),
    "stablelm": _CENTRED,
    "minicpm": _PLAIN,
    "internlm2": _PLAIN,
    "exaone": _PLAIN,
    "exaone4": _Style(rope="sliding"),
    "smollm3": _Style(rope="three of four"),
    "seed_oss": _PLAIN,
    "ernie4_5": _PLAIN,
    "ernie4_5-moe": _NORMALIZED,
    "arcee": _PLAIN,
    "nemotron": _CENTRED,
    "mistral3": _NORMALIZED,
    "mistral4": _NORMALIZED,
    "qwen2vl": _Style(positions=4),
    "bloom": _CENTRED_UNROTATED,
    "mpt": _CENTRED_UNROTATED,
    "phi2": _Style(centred=True, beside="norm", sums=("attended", "made", "residual")),
    "qwen2moe": _PLAIN,
    "minimax-m2": _NORMALIZED,
    "glm4moe": _NORMALIZED,
    "qwen3vl": _Style(positions=4),
    "qwen3vlmoe": _Style(positions=4, normalized=True),
    "llama4": _Style(rope="three of four", router="sigmoid", before_experts=True, temperature=True),
}


class _Attending(Record):
    """What layers share that attend alike: room in the cache, and the inputs that say where to write and what to look at."""

    cells: int
    key_places: Tensor
    value_places: Tensor
    mask: Tensor
    key_rotation: Tensor | None
    value_rotation: Tensor | None
    key_block: int


class _Builder:
    """One graph, section by section. Shapes are (row length, …, tokens); heads × size are apart only where it matters."""

    def __init__(
        self, model: Architecture, row: ArchitectureRow, style: _Style, tokens: int, streams: int, flash: bool, quantized: tuple[bool, bool]
    ) -> None:
        self.model, self.row, self.style = model, row, style
        self.tokens, self.streams, self.flash, self.quantized = tokens, streams, flash, quantized
        self.width = model.embedding_length
        self.record = Recorder()
        self.positions = self.record.input(tokens * style.positions)
        self.temperature = self.record.input(tokens) if style.temperature else None
        self.rows = self.record.input(LOGITS_ROWS)
        self.windowed = any(_window(model, group) is not None for group in model.attention)
        self.attending: dict[tuple[int, int, int], _Attending] = {}

    def program(self) -> Program:
        sections = [self.before()]
        order = [0]
        kinds: dict[tuple[object, ...], int] = {}
        attention = {layer: group for group in self.model.attention for layer in group.layers}
        feed_forward = {layer: group for group in self.model.feed_forward for layer in group.layers}
        for layer in range(self.model.layers):
            heads, wide = attention[layer], feed_forward[layer]
            rotated, last = self.rotates(heads, layer), layer == self.model.layers - 1
            kind = id(heads), id(wide), rotated, last
            if kind not in kinds:
                kinds[kind] = len(sections)
                sections.append(self.layer(heads, wide, rotated=rotated, last=last))
            order.append(kinds[kind])
        order.append(len(sections))
        sections.append(self.after())
        return Program(self.record.inputs, sections, order)

    def rotates(self, heads: Attention, layer: int) -> bool:
        match self.style.rope:
            case "all":
                return True
            case "sliding":
                return not self.windowed or _window(self.model, heads) is not None
            case "three of four":
                return layer % 4 != 3
        return False

    # ------------------------------------------------------------------ before and after the layers

    def before(self) -> Section:
        record, width, tokens = self.record, self.width, self.tokens
        record.moment = "the tokens are looked up"
        found = record.result((width, tokens), record.input(tokens))
        record.expand(found)
        # the place of vectors given instead of tokens is there, used or not
        record.expand(record.input(width, tokens))
        if self.row.positions:
            found = record.over((width, tokens), found, record.result((width, tokens), self.positions))
        if self.row.embedding_norm:
            found = self.norm(found, width, tokens)
        return record.section(None, found)

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the logits are computed"
        entry = found = self.stand_in(self.tokens if self.style.late_rows else LOGITS_ROWS)
        if self.style.late_rows:
            entry.kept = True
            found = record.result((width, LOGITS_ROWS), entry, self.rows)
        found = self.norm(found, width, LOGITS_ROWS)
        found.kept = True
        logits = record.result((self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), found)
        logits.kept = True
        return record.section(entry, logits)

    def stand_in(self, side: int) -> Tensor:
        """What the section before hands over."""
        tensor = Tensor((4, self.width, side), ())
        tensor.placed = True
        return tensor

    def norm(self, tensor: Tensor, *sides: int) -> Tensor:
        return self.record.result(sides, tensor) if self.style.centred else self.record.over(sides, tensor)

    # ------------------------------------------------------------------ a layer

    def layer(self, heads: Attention, wide: FeedForward, *, rotated: bool, last: bool) -> Section:
        record, style, norms = self.record, self.style, self.row.norms
        width, side = self.width, self.tokens
        entry = self.stand_in(side)
        record.moment = "the attention"
        normed = self.norm(entry, width, side) if "attn_norm" in norms or not norms else entry
        read = self.norm(entry, width, side) if self.model.parallel_norms == 2 else normed
        attended = self.latent(heads, read) if heads.kind == "latent" else self.attention(heads, read, rotated)
        residual = entry
        if last and not style.late_rows:
            side = LOGITS_ROWS
            attended = record.result((width, side), attended, self.rows)
            residual = record.result((width, side), residual, self.rows)
            if style.beside == "norm":
                normed = record.result((width, side), normed, self.rows)
        record.moment = "the feed-forward"
        after_attention = "post_attention_norm" in norms and "post_ffw_norm" in norms
        if style.beside:
            read = normed if style.beside == "norm" else self.norm(residual, width, side)
        else:
            if after_attention:
                attended = self.norm(attended, width, side)
            residual = record.over((width, side), attended, residual)
            read = residual if after_attention and "ffn_norm" not in norms else self.norm(residual, width, side)
        made = self.feed_forward(wide, read, side)
        if "post_ffw_norm" in norms:
            made = self.norm(made, width, side)
        terms = {"made": made, "residual": residual, "attended": attended}
        total, *rest = [terms[name] for name in style.sums]
        for term in rest:
            total = record.over((width, side), total, term)
        return record.section(entry, total)

    # ------------------------------------------------------------------ attention

    def shared(self, heads: Attention, value_width: int) -> _Attending:
        """The inputs of these layers; made once for all layers with the same cells."""
        record, tokens = self.record, self.tokens
        cells = FULL_CELLS if _window(self.model, heads) is None else WINDOW_CELLS
        latent = heads.kind == "latent"
        key = cells, heads.key_length, value_width
        if key not in self.attending:
            block = _ROTATION
            while heads.key_length % (2 * block) == 0:
                block *= 2
            rotated = [
                quantized and not latent and length % _ROTATION == 0
                for quantized, length in zip(self.quantized, (heads.key_length, heads.value_length), strict=True)
            ]
            self.attending[key] = _Attending(
                cells=cells,
                key_places=record.input(tokens, width=8),
                value_places=record.input(tokens if self.flash else tokens * value_width, width=8),
                mask=record.input(cells, tokens // self.streams, self.streams, width=2 if self.flash else 4),
                key_rotation=record.input(block, block) if rotated[0] else None,
                value_rotation=record.input(_ROTATION, _ROTATION) if rotated[1] else None,
                key_block=block,
            )
        return self.attending[key]

    def attention(self, heads: Attention, normed: Tensor, rotated: bool) -> Tensor:
        record, tokens = self.record, self.tokens
        count, groups, size, value = heads.heads, heads.kv_heads, heads.key_length, heads.value_length
        shared = self.shared(heads, groups * value)
        norm = heads.query_key_norm or self.model.query_key_norm or self.row.query_key_norm
        if self.row.fused_qkv:
            joined = record.result(((count + groups) * size + groups * value, tokens), normed)
            queries, keys, values = (record.view(joined, strided=True) for _ in range(3))
        else:
            queries, keys = (record.result((number * size, tokens), normed) for number in (count, groups))
            if norm == "full":
                queries = self.norm(queries, count * size, tokens)
                keys = self.norm(keys, groups * size, tokens)
            queries, keys = record.view(queries), record.view(keys)
            values = record.view(record.result((groups * value, tokens), normed))
        if norm in ("head", "per_head"):
            queries = self.norm(queries, size, count, tokens)
            keys = self.norm(keys, size, groups, tokens)
        if rotated:
            queries = record.over((size, count, tokens), queries, self.positions)
            keys = record.over((size, groups, tokens), keys, self.positions)
        elif self.temperature is not None:
            queries = record.over((size, count, tokens), queries, self.temperature)
        if shared.key_rotation is not None:
            queries = self.hadamard(queries, count * size * tokens, shared.key_rotation, shared.key_block)
            keys = self.hadamard(keys, groups * size * tokens, shared.key_rotation, shared.key_block)
        if shared.value_rotation is not None:
            values = self.hadamard(values, groups * value * tokens, shared.value_rotation, _ROTATION)
        for tensor in (queries, keys, values) if self.windowed else (queries, values, keys):
            record.expand(tensor)
        record.expand(record.elsewhere(record.view(keys), shared.key_places))
        if not self.flash and values.strided:
            values = record.result((groups * value, tokens), values)
        record.expand(record.elsewhere(record.view(values), shared.value_places))
        looked = self.look(shared, queries, count, value)
        record.expand(looked)
        if shared.value_rotation is not None:
            looked = self.hadamard(looked, count * value * tokens, shared.value_rotation, _ROTATION)
        return record.result((self.width, tokens), looked)

    def hadamard(self, tensor: Tensor, elements: int, rotation: Tensor, block: int) -> Tensor:
        """A rotation in blocks; rows that do not follow each other are copied first."""
        record, sides = self.record, (block, elements // block)
        rows = record.result(sides, tensor) if tensor.strided else record.view(tensor)
        return record.view(record.result(sides, rotation, rows))

    def look(self, shared: _Attending, queries: Tensor, count: int, value: int, unpacked: int = 0) -> Tensor:
        """Attention itself. `unpacked`: the size to which latent values are multiplied out."""
        record, tokens, streams = self.record, self.tokens, self.streams
        queries = record.view(record.view(queries))
        if self.flash:
            found = record.result((value, count, tokens), queries, shared.mask)
            if unpacked:
                found = record.result((unpacked, tokens, count), record.view(found))
                found = record.result((unpacked, count, tokens), record.view(found))
            return record.view(found)
        scores = record.result((shared.cells, tokens // streams, count, streams), queries)
        scores = record.over((shared.cells, tokens // streams, count, streams), scores, shared.mask)
        # the latent row is key and value, so the values have to be turned
        turned = record.result((shared.cells, value, streams), width=2) if unpacked else None
        found = record.result((value, tokens, count), turned, scores)
        if unpacked:
            found = record.result((unpacked, tokens, count), found)
        return record.result((count * (unpacked or value), tokens), record.view(found))

    def latent(self, heads: Attention, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        count, rope, latent = heads.heads, heads.rope_length or 0, heads.latent_length or 0
        shared = self.shared(heads, 0)
        queries = normed
        if heads.query_latent_length:
            queries = record.result((heads.query_latent_length, tokens), normed)
            queries = self.norm(queries, heads.query_latent_length, tokens)
        queries = record.view(record.result((count * (heads.key_length + rope), tokens), queries))
        joined = record.result((latent + rope, tokens), normed)
        packed, rotated = record.view(joined, strided=True), record.view(joined, strided=True)
        rotated = record.over((rope, 1, tokens), rotated, self.positions)
        packed = self.norm(packed, latent, tokens)
        plain, turned = record.view(queries, strided=True), record.view(queries, strided=True)
        turned = record.over((rope, count, tokens), turned, self.positions)
        absorbed = record.result((latent, tokens, count), record.view(plain))
        queries = record.result((latent + rope, count, tokens), record.view(absorbed), turned)
        values = record.view(packed)
        keys = record.result((latent + rope, 1, tokens), values, rotated)
        for tensor in (queries, values, keys):
            record.expand(tensor)
        record.expand(record.elsewhere(record.view(keys), shared.key_places))
        looked = self.look(shared, queries, count, latent, heads.value_length)
        record.expand(looked)
        return record.result((self.width, tokens), looked)

    # ------------------------------------------------------------------ feed-forward

    def feed_forward(self, wide: FeedForward, read: Tensor, side: int) -> Tensor:
        if not wide.experts:
            return self.dense(wide.length, read, side)
        record, width = self.record, self.width
        made = self.experts(wide, wide.experts, wide.used or 1, read, side)
        if not wide.shared_length:
            return made
        gate = None
        if self.row.shared_expert_gate:
            weight = record.result((1, side), read)
            gate = record.over((1, side), record.over((1, side), weight), weight)
        beside = self.dense(wide.shared_length, read, side)
        if gate is not None:
            beside = record.over((width, side), beside, gate)
        return record.over((width, side), made, beside)

    def dense(self, length: int, read: Tensor, side: int) -> Tensor:
        record = self.record
        if self.row.gate == "fused":
            made = record.result((length, side), record.result((2 * length, side), read))
        elif self.row.gate == "split":
            up = record.result((length, side), read)
            made = record.result((length, side), record.result((length, side), read), up)
        else:
            made = record.result((length, side), read)
        return record.result((self.width, side), made)

    def experts(self, wide: FeedForward, count: int, used: int, read: Tensor, side: int) -> Tensor:
        record, width, style, length = self.record, self.width, self.style, wide.length
        scores = record.result((count, side), read)
        chances = record.over((count, side), scores) if style.router != "late" else scores
        ranked = scores if style.before_experts else chances
        if wide.router_bias or self.row.router_bias:
            ranked = record.over((count, side), ranked)
        chosen = record.view(record.result((count, side), ranked), strided=True)
        weights = record.result((1, used, side), record.view(chances), chosen)
        if style.router == "late":
            weights = record.view(record.over((used, side), record.view(weights)))
        if style.normalized:
            flat = record.view(weights)
            total = record.over((1, side), record.result((1, side), flat))
            weights = record.view(record.over((used, side), flat, total))
        record.expand(weights)
        read = record.view(read)
        if style.before_experts:
            read = record.over((width, used, side), record.result((width, used, side), read), weights)
        up = record.result((length, used, side), read, chosen)
        if self.row.feed_forward_bias:
            up = record.over((length, used, side), up, chosen)
        gate = up
        if self.row.gate != "none":
            gate = record.result((length, used, side), read, chosen)
            if self.row.feed_forward_bias:
                gate = record.over((length, used, side), gate, chosen)
            gate = record.result((length, used, side), gate, up)
        made = record.result((width, used, side), gate, chosen)
        if self.row.feed_forward_bias:
            made = record.over((width, used, side), made, chosen)
        if not style.before_experts:
            made = record.over((width, used, side), made, weights)
        record.expand(made)
        parts = [record.view(made, strided=True) for _ in range(used)]
        for part in parts:
            record.expand(part)
        total, *rest = parts
        for part in rest:
            total = record.over((width, side), total, part)
            record.expand(total)
        return record.result((width, side), total) if used == 1 else total


def _window(model: Architecture, heads: Attention) -> int | None:
    group = CacheGroup(layers=1, kv_heads=1, key_length=1, value_length=1, window_tokens=heads.window_tokens if heads.kind == "sliding" else None)
    return window_of(model, group)


@lru_cache(maxsize=256)
def _program(
    model: Architecture, row: ArchitectureRow, tokens: int, streams: int, flash: bool, quantized: tuple[bool, bool]
) -> Program | None:
    style = _STYLES.get(model.row)
    layers = tuple(range(model.layers))
    if style is None or not _covers(model.attention, layers) or not _covers(model.feed_forward, layers):
        return None
    if model.recurrent or any((group.used or 1) > _MOST_EXPERTS for group in model.feed_forward):
        return None
    return _Builder(model, row, style, tokens, streams, flash, quantized).program()


def _covers(groups: Iterable[Attention | FeedForward], layers: tuple[int, ...]) -> bool:
    """True where each layer is in one group."""
    return tuple(sorted(layer for group in groups for layer in group.layers)) == layers


def exact_compute_bytes(
    model: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    flash_attention: bool = True,
    key_type: str = "f16",
    value_type: str = "f16",
) -> int | None:
    tokens = -(-room.micro_batch // room.sequences) * room.sequences
    program = _program(model, row, tokens, room.streams, flash_attention, (key_type not in _PLAIN_TYPES, value_type not in _PLAIN_TYPES))
    if program is None:
        return None
    window = next((w for w in (_window(model, g) for g in model.attention) if w is not None), None)
    return program.peak((1, room.full, room.of(window), min(room.micro_batch, logits_rows))).bytes


_PLAIN_TYPES = ("f16", "f32", "bf16")
