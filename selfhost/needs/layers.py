"""How llama.cpp computes a layer: attention, recurrence, experts, as the allocator sees them.

Read from src/llama-graph.cpp and src/models of llama.cpp 0c1e570. What follows from a spec and its row (norms, fused matrices,
windows, experts) is taken from there; a `Style` holds what only the program knows. Operations that write over their only
source change nothing and are left out: scales, biases, activations, the weight of a norm.
"""

from __future__ import annotations

from ..facts import Record
from ..spec import Architecture, Attention, FeedForward, Recurrent
from .allocator import BLOCKS, CHOSEN, FULL_CELLS, LOGITS_ROWS, POSITIONS, WINDOW_CELLS, Program, Recorder, Section, Tensor
from .cache import CacheGroup, State, states
from .llamacpp import window_of
from .tensors import ArchitectureRow

# Gemma 3n: how many layers have sparse activations, and the width of its low-rank matrices (gemma3n.cpp)
_SPARSE_LAYERS = 10
_LAUREL_RANK = 64
# norms that a model has after its feed-forward, and then after its attention too
_AFTER_FEED_FORWARD = ("post_ffw_norm", "layer_output_norm")
# a quantized cache is rotated in blocks, those of the keys as large as the heads allow
_ROTATION = 64


class Style(Record):
    """How llama.cpp builds one architecture.

    `centred`: LayerNorm, which is not computed in place. `rope`: the layers in which positions are rotated: "all", "none",
    "sliding", "three of four", "of 32 layers" (a model of so many). `positions`: numbers per position. `temperature`: queries are
    scaled by position. `values_normed`: values have a norm. `residual_first`: what attention gives is added to the residual, not
    the reverse. `beside`: what a feed-forward beside the attention reads: "norm" (that of the attention) or "input"; `sums`: what
    is added to what at the end of a layer. `expanded`: the norm runs before all else of a layer. `chosen_first`: the softmax is
    over the experts that were chosen. `normalized`: their weights add up to one. `rescaled`: then they are multiplied.
    `before_experts`: they scale what the experts read. `divided_gate`: the gate of the shared expert is used twice. `late_rows`:
    all tokens pass the last layer, and rows are chosen "before norm", "after norm" or "never". `dense_beside`: a dense feed-forward
    beside the experts is added "first", before they read the layer's input, or "last". `gate_apart`: the gate per head, and what it
    scales, are copied. `unfused`: never flash attention. `normed_first`: what attention gives is normed before rows are chosen.
    `routed_early`: the router reads what the layer is given. `embedding_normed`: the embeddings are normed, without a weight.
    `plain_index`: what an indexer compares is not rotated in blocks. `normed_residual`: what is added to is what the norm gave,
    scaled. `scaled_last`: what the last norm gives is scaled before the output matrix reads it. `muted`: so many logits,
    those of images, are hidden in a copy of all. `skip`: the embeddings are added to what each layer gives.
    """

    centred: bool = False
    rope: str = "all"
    beside: str = ""
    sums: tuple[str, ...] = ("made", "residual")
    late_rows: str = ""
    chosen_first: bool = False
    normalized: bool = False
    before_experts: bool = False
    temperature: bool = False
    positions: int = 1
    residual_first: bool = False
    expanded: bool = False
    divided_gate: bool = False
    rescaled: bool = False
    values_normed: bool = False
    dense_beside: str = ""
    gate_apart: bool = False
    unfused: bool = False
    plain_index: bool = False
    normed_residual: bool = False
    normed_first: bool = False
    routed_early: bool = False
    embedding_normed: bool = False
    scaled_last: bool = False
    muted: int = 0
    skip: bool = False


class _Attending(Record):
    """What layers share that attend alike: room in the cache, and the inputs that say where to write and what to look at."""

    cells: int
    key_places: Tensor
    value_places: Tensor
    mask: Tensor
    key_rotation: Tensor | None
    value_rotation: Tensor | None
    key_block: int


class Layer:
    """What one layer is made of. `deep`: which slice of the embeddings it adds, -1 for none. `cached`: it has a cache of its own.

    `normed`: by a norm in front of its attention.
    """

    __slots__ = ("cached", "deep", "heads", "last", "normed", "rotated", "sparse", "state", "wide")

    def __init__(
        self,
        heads: Attention | None,
        state: Recurrent | None,
        wide: FeedForward | None,
        rotated: bool,
        last: bool,
        deep: int,
        cached: bool,
        sparse: bool,
        normed: bool,
    ) -> None:
        self.heads, self.state, self.wide = heads, state, wide
        self.rotated, self.last, self.deep, self.cached, self.sparse = rotated, last, deep, cached, sparse
        self.normed = normed


class Builder:
    """One graph, section by section. Shapes are (row length, …, tokens); heads × size are apart only where it matters."""

    def __init__(
        self,
        model: Architecture,
        row: ArchitectureRow,
        style: Style,
        tokens: int,
        streams: int,
        sequences: int,
        flash: bool,
        stored: tuple[str, str],
    ) -> None:
        """`stored`: of keys and values in the cache, "quantized", "32 bits", or "16 bits"."""
        if row.norms_after:
            row = row.replace(norms=("post_attention_norm", "post_ffw_norm"))
        self.model, self.row, self.style = model, row, style
        self.tokens, self.streams, self.sequences, self.flash, self.stored = tokens, streams, sequences, flash, stored
        self.width = model.embedding_length
        # some converters of some years join the three matrices
        self.fused = row.fused_qkv or (
            not model.recurrent and any(group.name == "blk.*.attn_qkv.weight" and group.layers[0] < model.layers for group in model.tensors)
        )
        self.record = Recorder()
        self.positions = self.record.input(tokens * style.positions)
        self.temperature = self.record.input(tokens) if style.temperature else None
        self.rows = self.record.input(LOGITS_ROWS)
        self.states = self.record.input(sequences)
        groups = [group for group in model.recurrent if group.layers]
        self.memories = {id(group): state for group, state in zip(groups, states(model), strict=True)}
        self.encoded: dict[bool, Tensor] = {}
        self.distances: Tensor | None = None
        self.embedded: Tensor | None = None
        self.slices: Tensor | None = None
        self.found = self.positions
        self.fetched: Tensor | None = None
        self.early: dict[int, Recurrent] = {}
        # of a sparse indexer: rotation, places to write to, mask; and what it chose
        self.indexer: tuple[Tensor, Tensor, Tensor] | None = None
        self.chosen: Tensor | None = None
        self.choosing = any(group.indexer_heads and group.kind == "latent" for group in model.attention)
        # of an indexer of blocks: places to write to, what counts for each block, hidden positions, cells by position, blocks by cell
        self.block_inputs: list[Tensor] | None = None
        self.causal: Tensor | None = None
        # Kimi K3: the residuals kept so far
        self.bank: Tensor | None = None
        # of lightning attention: slopes, and how queries, keys and what is between them fade
        self.decays: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self.windowed = any(window_kept(model, group) is not None for group in model.attention)
        self.attending: dict[tuple[int, int], _Attending] = {}

    def program(self) -> tuple[Program, list[str]]:
        """The graph, and for each section the layers it is."""
        model = self.model
        attention = {layer: group for group in model.attention for layer in group.layers}
        recurrent = {layer: group for group in model.recurrent for layer in group.layers}
        feed_forward = {layer: group for group in model.feed_forward for layer in group.layers}
        if not self.style.expanded:
            self.early = {layer: group for layer, group in recurrent.items() if layer not in attention}
        # nothing of a dense feed-forward is asked for before the next layer: where it is a layer of its own, it joins the one before
        steps: list[list[Layer]] = []
        unlike: dict[tuple[object, ...], Layer] = {}
        for layer in range(model.layers):
            heads, state, wide = attention.get(layer), recurrent.get(layer), feed_forward.get(layer)
            # Qwen3-VL: the first layers add a slice of the embeddings each; Gemma 4: the first one projects those of all layers
            deep = layer if layer < (model.deepstack_layers or (1 if model.per_layer_embedding_length or self.style.skip else 0)) else -1
            sparse = model.row == "gemma3n" and layer < _SPARSE_LAYERS
            cached = model.cache_layers is None or layer < model.cache_layers
            rotated, last = self.rotates(heads, layer), layer == model.layers - 1
            normed = ("attn_norm" in self.row.norms or not self.row.norms) and (layer > 0 or self.row.first_norm)
            key = id(heads), id(state), id(wide), rotated, last, deep, cached, sparse, normed
            alike = unlike.get(key)
            if alike is None:
                alike = unlike[key] = Layer(heads, state, wide, rotated, last, deep, cached, sparse, normed)
            if steps and heads is None and state is None and wide is not None and not wide.experts:
                steps[-1].append(alike)
            else:
                steps.append([alike])
        sections, order, names = [self.before()], [0], [""]
        kinds: dict[tuple[object, ...], int] = {}
        layer = 0
        for step in steps:
            first, layer = layer + 1, layer + len(step)
            follower = attention.get(layer)
            handed = self.follows(follower)
            kind = (*step, id(self.early.get(layer)), handed, self.causal is None, *self.stage(first - 1))
            if kind not in kinds:
                kinds[kind] = len(sections)
                sections.append(self.step(first - 1, step, handed))
                for made in (self.slices, self.causal, self.bank):
                    if made is not None:
                        self.record.share(made)
            order.append(kinds[kind])
            names.append(f"layer {first}" if first == layer else f"layers {first} to {layer}")
        order.append(len(sections))
        names.append("")
        sections.append(self.after())
        return Program(self.record, sections, order), names

    def stage(self, layer: int) -> tuple[object, ...]:
        """What tells this layer's graph from that of others of its kind."""
        return ()

    def follows(self, heads: Attention | None) -> bool:
        """Whether these layers look at what an indexer before them chose."""
        return self.choosing and heads is not None and not heads.indexer_heads and heads.window_tokens is None

    def rotates(self, heads: Attention | None, layer: int) -> bool:
        """Whether this layer's attention rotates by position."""
        match self.style.rope:
            case "all":
                return True
            case "sliding":
                return not self.windowed or (heads is not None and window_kept(self.model, heads) is not None)
            case "three of four":
                return layer % 4 != 3
            case "of 32 layers":
                return self.model.layers == 32
        return False

    # ------------------------------------------------------------------ before and after the layers

    def before(self) -> Section:
        record, width, tokens = self.record, self.width, self.tokens
        record.moment = "the look-up of the tokens"
        found = record.result((width, tokens), record.input(tokens))
        deep = self.model.deepstack_layers or 0
        if deep:
            found = record.result((width * (1 + deep), tokens), found)
        record.expand(found)
        # the place of vectors given instead of tokens is there, used or not
        record.expand(record.input(width * (1 + deep), tokens))
        if deep:
            self.embedded = found
            section = record.section(())
            record.share(found)
            return section
        if self.model.per_layer_embedding_length:
            self.look_up_slices(self.model.per_layer_embedding_length)
        if self.row.positions:
            places = record.result((width, tokens), self.positions)
            pair = (places, found) if self.row.encoder else (found, places)
            found = record.over((width, tokens), *pair)
        if self.row.embedding_norm or self.style.embedding_normed:
            found = self.norm(found, width, tokens)
        if self.style.skip:
            record.expand(found)
            self.embedded = found
        section = record.section((), *(() if self.style.skip else self.fetched_early(0, found)))
        if self.embedded is not None:
            record.share(self.embedded)
        return section

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the output matrix"
        entry = found = self.stand_in(self.tokens if self.style.late_rows else LOGITS_ROWS)
        if self.row.embeds:
            return self.pooled(entry)
        if self.style.late_rows == "before norm":
            entry.kept = True
            found = record.result((width, LOGITS_ROWS), entry, self.rows)
        side = self.tokens if self.style.late_rows in ("after norm", "never") else LOGITS_ROWS
        found = self.norm(found, width, side)
        found.kept = True
        if self.style.late_rows == "after norm":
            found = record.result((width, LOGITS_ROWS), found, self.rows)
            found.kept = True
            side = LOGITS_ROWS
        if self.style.scaled_last:
            found = record.result((width, side), found)
        sides = self.model.vocabulary_gguf or self.model.vocabulary or 0, side
        logits = record.result(sides, found)
        if self.style.muted:
            logits = record.result(sides, logits, record.over((self.style.muted,), record.input(self.style.muted)))
        logits.kept = True
        return record.section((entry,), logits)

    def pooled(self, entry: Tensor) -> Section:
        """One vector per sequence. Which pooling a model has is not in its spec; the other differs by 4 bytes per token and sequence."""
        record, tokens, sequences = self.record, self.tokens, self.sequences
        record.moment = "the pooling"
        found = self.norm(entry, self.width, tokens) if self.row.output_norm else entry
        found.kept = True
        if self.row.pooling == "none":
            return record.section((entry,), found)
        if self.row.pooling == "first":
            vectors = record.result((self.width, sequences), found, record.input(sequences))
        else:
            turned = record.result((tokens, self.width), record.view(found, strided=True))
            vectors = record.result((self.width, sequences), turned, record.input(tokens, sequences))
        vectors.kept = True
        return record.section((entry,), vectors)

    def stand_in(self, side: int) -> Tensor:
        """What the section before hands over."""
        tensor = Tensor((4, self.width, side), ())
        tensor.placed = True
        return tensor

    def norm(self, tensor: Tensor, *sides: int) -> Tensor:
        return self.record.result(sides, tensor) if self.style.centred else self.record.over(sides, tensor)

    # ------------------------------------------------------------------ a layer

    def step(self, number: int, layers: list[Layer], handed: bool) -> Section:
        """`handed`: the next layer looks at what the indexer chose here or before."""
        entry = self.stand_in(self.tokens)
        entries: tuple[Tensor, ...] = (entry,)
        if number in self.early:
            self.fetched = Tensor((4, self.memories[id(layers[0].state)].first, self.sequences), ())
            self.fetched.placed = True
            entries = entry, self.fetched
        heads = layers[0].heads
        if self.follows(heads):
            self.chosen = Tensor((4, CHOSEN, self.tokens), ())
            self.chosen.placed = True
            entries = entry, self.chosen
        total = entry
        for layer in layers:
            total = self.layer(layer, total)
        if handed and self.chosen is not None:
            return self.record.section(entries, total, self.chosen)
        return self.record.section(entries, *self.fetched_early(number + len(layers), total))

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, style, norms = self.record, self.style, self.row.norms
        heads, state, wide, rotated, last, deep = layer.heads, layer.state, layer.wide, layer.rotated, layer.last, layer.deep
        width, side = self.width, self.tokens
        if deep == 0 and self.embedded is not None and (self.model.deepstack_layers or style.skip):
            residual = self.embedded if style.skip else record.view(self.embedded, strided=True)
        residual_of_first = residual
        record.moment = "the attention" if heads is not None else "the recurrence" if state is not None else "the feed-forward"
        normed = self.norm(residual, width, side) if layer.normed else residual
        if style.expanded:
            record.expand(normed)
        if self.row.encoder and "layer_output_norm" in norms and heads is not None and wide is not None:
            return self.encoder(heads, wide, residual, rotated, last)
        if (wide is None or (heads is None and state is None)) and not style.beside:
            made = self.mix(heads, state, normed, rotated) if wide is None else self.feed_forward(wide, normed, side)
            if last and not style.late_rows:
                side = LOGITS_ROWS
                made = record.result((width, side), made, self.rows)
                residual = record.result((width, side), residual, self.rows)
            return record.over((width, side), made, residual)
        read = self.norm(residual, width, side) if self.model.parallel_norms == 2 else normed
        attended = self.mix(heads, state, read, rotated, layer.cached)
        if heads is not None and state is not None:
            # Falcon-H1: attention and recurrence beside each other, each with the norm computed anew
            beside = self.recurrence(state, self.norm(residual, width, side))
            residual = record.over((width, side), record.over((width, side), attended, beside), residual)
        after_attention = any(name in norms for name in _AFTER_FEED_FORWARD)
        if after_attention and style.normed_first:
            attended = self.norm(attended, width, side)
        scores = record.result((wide.experts or 1, side), residual) if style.routed_early and wide is not None else None
        if last and not style.late_rows:
            side = LOGITS_ROWS
            attended = record.result((width, side), attended, self.rows)
            residual = record.result((width, side), residual, self.rows)
            if style.beside == "norm" or style.normed_residual:
                normed = record.result((width, side), normed, self.rows)
            if scores is not None and wide is not None:
                scores = record.result((wide.experts or 1, side), scores, self.rows)
        record.moment = "the feed-forward"
        entered = residual
        if style.normed_residual:
            residual = read = self.norm(record.over((width, side), attended, record.over((width, side), normed)), width, side)
        elif style.beside:
            read = normed if style.beside == "norm" else self.norm(residual, width, side)
        else:
            if after_attention and not style.normed_first:
                attended = self.norm(attended, width, side)
            if heads is None or state is None:
                pair = (residual, attended) if style.residual_first else (attended, residual)
                residual = record.over((width, side), *pair)
            # llama.cpp's Chameleon with norms after: the feed-forward reads what attention gives, not the sum
            read = attended if self.row.norms_after else residual
            if not after_attention or "ffn_norm" in norms:
                read = self.norm(residual, width, side)
        assert wide is not None
        if not wide.beside_dense:
            made = self.feed_forward(wide, read, side, scores)
        elif style.dense_beside == "first":
            residual = record.over((width, side), self.dense(wide.beside_dense, read, side), residual)
            made = self.feed_forward(wide, self.norm(entered, width, side), side)
        elif style.dense_beside == "last":
            made = self.feed_forward(wide, read, side)
            made = record.over((width, side), self.dense(wide.beside_dense, read, side), made)
        else:
            made = self.experts_beside_dense(wide, residual)
        if after_attention:
            made = self.norm(made, width, side)
        terms = {"made": made, "residual": residual, "attended": attended}
        total, *rest = [terms[name] for name in style.sums]
        for term in rest:
            total = record.over((width, side), total, term)
        if self.model.per_layer_embedding_length:
            return self.per_layer(self.model.per_layer_embedding_length, total, residual_of_first, deep == 0)
        if style.skip and self.embedded is not None:
            skipped = record.result((width, side), self.embedded, self.rows) if last else self.embedded
            return record.over((width, side), total, record.over((width, side), skipped))
        if deep >= 0 and self.embedded is not None:
            total = record.over((width, side), total, record.view(self.embedded, strided=True))
        return total

    def look_up_slices(self, length: int) -> None:
        """Gemma 3n and 4: embeddings of their own for each layer."""
        record, tokens, layers = self.record, self.tokens, self.model.layers
        slices = record.result((length * layers, tokens), record.input(tokens))
        self.embedded = record.over((length, layers, tokens), record.view(slices))
        record.expand(self.embedded)

    def slice_of(self, length: int, found: Tensor, first: bool) -> Tensor:
        """That of one layer; the first adds a projection of the tokens' embeddings for all."""
        record, tokens, layers = self.record, self.tokens, self.model.layers
        if first:
            assert self.embedded is not None
            projected = record.view(record.result((length * layers, tokens), found))
            projected = record.over((length, layers, tokens), record.over((length, layers, tokens), projected), self.embedded)
            self.slices = record.result((length, tokens, layers), record.view(projected))
        assert self.slices is not None
        return record.view(self.slices, strided=True)

    def per_layer(self, length: int, total: Tensor, found: Tensor, first: bool) -> Tensor:
        record, width, tokens = self.record, self.width, self.tokens
        gate = record.result((length, tokens), total)
        gate = record.over((length, tokens), gate, self.slice_of(length, found, first))
        return record.over((width, tokens), total, record.over((width, tokens), record.result((width, tokens), gate)))

    def encoder(self, heads: Attention, wide: FeedForward, residual: Tensor, rotated: bool, last: bool) -> Tensor:
        """Norms come after the sums."""
        record, width, side = self.record, self.width, self.tokens
        attended = self.attention(heads, residual, rotated)
        if last:
            side = LOGITS_ROWS
            attended = record.result((width, side), attended, self.rows)
            residual = record.result((width, side), residual, self.rows)
        record.moment = "the feed-forward"
        residual = self.norm(record.over((width, side), attended, residual), width, side)
        made = self.feed_forward(wide, residual, side)
        return self.norm(record.over((width, side), made, residual), width, side)

    def mix(self, heads: Attention | None, state: Recurrent | None, normed: Tensor, rotated: bool, cached: bool = True) -> Tensor:
        if heads is None:
            assert state is not None
            return self.recurrence(state, normed)
        return self.latent(heads, normed) if heads.kind == "latent" else self.attention(heads, normed, rotated, cached)

    # ------------------------------------------------------------------ recurrence

    def recurrence(self, group: Recurrent, normed: Tensor) -> Tensor:
        state = self.memories[id(group)]
        match group.kind:
            case "mamba":
                return self.mamba(group, state, normed)
            case "mamba2":
                return self.mamba2(group, state, normed)
            case "delta":
                return self.delta(group, state, normed)
            case "kda":
                return self.kda(group, state, normed)
            case "lightning":
                return self.lightning(group, state, normed)
        return self.convolution(state, normed)

    def fetch(self, elements: int) -> Tensor:
        """The state of each sequence, copied out of the memory that keeps it."""
        fetched, self.fetched = self.fetched, None
        if fetched is None:
            fetched = self.record.result((elements, self.sequences), self.record.view(self.states))
            self.record.expand(fetched)
        return self.record.view(fetched)

    def fetched_early(self, layer: int, result: Tensor) -> tuple[Tensor, ...]:
        """What a section hands over. A recurrent layer fetches its state before the layer before it has computed its last sum."""
        group = self.early.get(layer)
        if group is None:
            return (result,)
        if layer == 0:
            self.record.expand(result)
        fetched = self.record.result((self.memories[id(group)].first, self.sequences), self.record.view(self.states))
        self.record.expand(fetched)
        return result, fetched

    def convolved(self, past: Tensor, channels: int, taps: int, taken: Tensor) -> Tensor:
        """The last inputs before the new ones, the last of which are kept, and the convolution over them."""
        record, each = self.record, self.tokens // self.sequences
        joined = record.result((taps + each, channels, self.sequences), past, taken)
        record.expand(record.elsewhere(record.view(joined, strided=True)))
        return record.result((channels, each, self.sequences), joined)

    def scanned(self, inner: int, memory: int, *sources: Tensor) -> Tensor:
        """The outputs and, behind them, the new states, which are kept."""
        record = self.record
        made = record.result((inner * self.tokens + memory * self.sequences,), *sources, record.view(self.states))
        record.expand(made)
        record.expand(record.elsewhere(record.view(made)))
        return record.view(made)

    def mamba(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        inner, size, rank = group.inner_length or 0, group.state_length or 0, group.time_step_rank or 0
        sides = inner, tokens // self.sequences, self.sequences
        past = self.fetch(state.convolution)
        both = record.result((2 * inner, tokens), record.view(normed))
        read = record.view(both, strided=True)
        if group.heads:
            # PLaMo 2: what is read and its gate lie head by head
            both = record.result((2 * inner, tokens), record.view(both))
            read = record.result((inner, tokens), record.view(both, strided=True))
        taken = self.convolved(past, inner, (group.convolution or 1) - 1, record.view(read))
        mixed = record.result((rank + 2 * size, tokens), taken)
        step, keys, queries = (record.view(mixed, strided=True) for _ in range(3))
        if self.row.mamba_norms:
            step = record.over((rank, tokens), step)
            keys, queries = record.over((size, tokens), keys), record.over((size, tokens), queries)
        else:
            step = record.result((rank, tokens), step)
        step = record.result((group.heads or inner, tokens), step)
        outputs = self.scanned(inner, state.memory, record.view(taken), step, keys, queries)
        outputs = record.over(sides, outputs, record.over(sides, record.view(taken) if group.heads else taken))
        gated = record.result(sides, record.result(sides, record.view(both, strided=True)), outputs)
        return record.view(record.result((self.width, tokens), gated))

    def mamba2(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        inner, heads, mixed = group.inner_length or 0, group.heads or 1, 2 * (group.groups or 0) * (group.state_length or 0)
        sides = inner // heads, heads, tokens // self.sequences, self.sequences
        past = self.fetch(state.convolution)
        all_of_it = record.view(record.result((2 * inner + mixed + heads, tokens), normed))
        taken = self.convolved(past, inner + mixed, (group.convolution or 1) - 1, record.view(record.view(all_of_it, strided=True)))
        step = record.result((heads, *sides[2:]), record.view(all_of_it, strided=True))
        read, keys, queries = (record.view(taken, strided=True) for _ in range(3))
        outputs = self.scanned(inner, state.memory, read, step, keys, queries)
        outputs = record.over(sides, outputs, record.over(sides, read))
        gated = record.result(sides, record.result(sides, record.view(all_of_it, strided=True)), outputs)
        if group.norm is not False:
            gated = record.over((inner, tokens), record.view(gated))
        return record.result((self.width, tokens), record.view(gated))

    def convolution(self, state: State, normed: Tensor) -> Tensor:
        record, width = self.record, self.width
        sides = width, self.tokens // self.sequences, self.sequences
        three = record.result((3 * width, *sides[1:]), record.view(normed))
        before, after, read = (record.view(three, strided=True) for _ in range(3))
        taken = record.view(record.over(sides, before, read), strided=True)
        past = self.fetch(state.convolution)
        mixed = self.convolved(past, width, state.convolution // width, taken)
        return record.view(record.result(sides, record.over(sides, after, mixed)))

    def kda(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        heads, size = group.heads or 1, group.key_length or 0
        inner, sides = heads * size, (size, heads, tokens)
        past = self.fetch(state.convolution)
        parts = []
        for _ in range(3):
            taken = record.view(record.view(record.result((inner, tokens), normed)), strided=True)
            mixed = self.convolved(record.view(past), inner, (group.convolution or 1) - 1, taken)
            parts.append(record.view(record.over((inner, tokens), record.view(mixed))))
        narrow = not self.row.wide_gates
        decay = record.result((inner, tokens), record.result((size, tokens), normed) if narrow else normed)
        decay = record.over(sides, record.view(decay))
        rate = record.over((heads, tokens), record.view(record.result((heads, tokens), normed)))
        memory = self.fetch(state.memory)
        queries, keys = (record.over(sides, tensor) for tensor in parts[:2])
        sources = queries, keys, parts[2], record.view(decay), rate, memory
        made = record.result((inner * tokens + state.memory * self.sequences,), *sources)
        outputs = record.result(sides, record.view(made))
        record.expand(record.elsewhere(record.view(made)))
        read = record.view(record.view(normed)) if narrow else normed
        gate = record.result((inner, tokens), record.result((size, tokens), read) if narrow and not self.row.full_rank_gate else read)
        gate = record.over(sides, record.view(gate))
        gated = record.over(sides, record.over(sides, record.view(outputs)), gate)
        return record.result((self.width, tokens), record.result((inner, tokens), gated))

    def lightning(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        """MiniMax-Text-01: every token of the batch looks at those before it, with weights that fade, and all of them at the state."""
        record, tokens, each = self.record, self.tokens, self.tokens // self.sequences
        heads, size = group.heads or 1, group.key_length or 0
        inner, many = heads * size, (each, each, heads, self.sequences)
        rows, memory = (size, each, heads, self.sequences), (size, size, heads, self.sequences)
        if self.decays is None:
            self.decays = record.input(heads), record.input(heads, tokens), record.input(heads, tokens), record.input(*many)
        slopes, of_queries, of_keys, between = self.decays
        past = self.fetch(state.memory)
        joined = record.view(record.result((3 * inner, tokens), record.view(normed)))
        queries, keys, values = (record.view(joined, strided=True) for _ in range(3))
        faded = record.over((size, heads, tokens), queries, record.over((heads, tokens), of_queries))
        before = record.result(rows, past, record.view(faded))
        turned = record.result((each, size, heads, self.sequences), record.view(values))
        scores = record.result(many, record.view(keys), record.view(queries))
        scores = record.over(many, scores, record.over(many, between))
        looked = record.over(rows, before, record.result(rows, turned, scores))
        record.expand(looked)
        rate = record.view(record.over((heads,), record.over((heads,), slopes)))
        faded = record.result((size, heads, tokens), keys, record.over((heads, tokens), of_keys))
        added = record.result(memory, record.result((each, size, heads, self.sequences), record.view(faded)), turned)
        kept = record.over(memory, record.over(memory, past, rate), added)
        record.expand(record.elsewhere(kept))
        looked = record.over((inner, tokens), record.view(record.result((inner, tokens), record.view(looked))))
        gated = record.over((inner, tokens), record.result((inner, tokens), record.view(normed)), looked)
        return record.view(record.result((self.width, tokens), gated))

    def delta(self, group: Recurrent, state: State, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        heads, value, key_heads, key = group.heads or 1, group.value_length or 0, group.key_heads or 1, group.key_length or 0
        each, inner, keys = tokens // self.sequences, heads * value, key_heads * key
        mixed = record.view(record.result((inner + 2 * keys, tokens), normed))
        if self.row.fused_alpha_beta:
            joined = record.view(record.result((2 * heads, tokens), normed))
            rate, decay = (record.result((heads, tokens), record.view(joined, strided=True)) for _ in range(2))
        else:
            rate, decay = (record.over((heads, tokens), record.view(record.result((heads, tokens), normed))) for _ in range(2))
        past = self.fetch(state.convolution)
        taken = self.convolved(past, inner + 2 * keys, (group.convolution or 1) - 1, record.view(mixed, strided=True))
        memory = self.fetch(state.memory)
        queries, past_keys, values = (record.view(taken, strided=True) for _ in range(3))
        queries, past_keys = (record.result((key, key_heads, each, self.sequences), tensor) for tensor in (queries, past_keys))
        if self.row.fused_alpha_beta and key_heads != heads:
            queries, past_keys = (record.view(record.result((key, heads, tokens), record.view(tensor))) for tensor in (queries, past_keys))
        sources = queries, past_keys, values, record.view(decay), record.view(rate), memory
        made = record.result((inner * tokens + state.memory * self.sequences,), *sources)
        record.expand(record.elsewhere(record.view(made)))
        sides = value, heads, each, self.sequences
        gate = record.over(sides, record.view(record.result((inner, tokens), normed)))
        gated = record.over(sides, record.over(sides, record.view(made)), gate)
        return record.view(record.result((self.width, tokens), record.view(gated)))

    # ------------------------------------------------------------------ attention

    def shared(self, heads: Attention, value_width: int) -> _Attending:
        """The inputs of these layers; made once for all layers with the same cells."""
        record, tokens = self.record, self.tokens
        cells = FULL_CELLS if window_kept(self.model, heads) is None else WINDOW_CELLS
        latent = heads.kind == "latent"
        key = cells, heads.key_length
        if key not in self.attending:
            block = _ROTATION
            while heads.key_length % (2 * block) == 0:
                block *= 2
            rotated = [
                kind == "quantized" and not latent and length % _ROTATION == 0
                for kind, length in zip(self.stored, (heads.key_length, heads.value_length), strict=True)
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

    def attention(self, heads: Attention, normed: Tensor, rotated: bool, cached: bool = True) -> Tensor:
        record, tokens = self.record, self.tokens
        count, groups, size, value = heads.heads, heads.kv_heads, heads.key_length, heads.value_length
        unpacked = heads.kind == "full" and heads.latent_length
        queries, keys, values, gate = self.unpacked(heads, normed) if unpacked else self.projected(heads, normed, rotated)
        if self.row.encoder:
            return self.without_cache(heads, queries, keys, values)
        # without flash attention every value row is as wide as the widest
        widest = groups * value if self.flash else max(group.kv_heads * group.value_length for group in self.model.attention)
        shared = self.shared(heads, widest)
        if shared.key_rotation is not None:
            queries = self.hadamard(queries, count * size * tokens, shared.key_rotation, shared.key_block)
            keys = self.hadamard(keys, groups * size * tokens, shared.key_rotation, shared.key_block)
        if shared.value_rotation is not None:
            values = self.hadamard(values, groups * value * tokens, shared.value_rotation, _ROTATION)
        blocks = self.in_blocks(heads)
        indexed = self.indexed_blocks(heads, normed) if blocks else None
        for tensor in (queries, keys, values) if self.windowed or blocks else (queries, values, keys):
            if cached or tensor is queries:
                record.expand(tensor)
        if cached:
            record.expand(record.elsewhere(record.view(keys), shared.key_places))
            if not self.flash and values.strided:
                values = record.result((groups * value, tokens), values)
            if groups * value < widest:
                values = record.result((widest, tokens), values)
            record.expand(record.elsewhere(record.view(values), shared.value_places))
        if indexed is not None:
            looked = self.look_in_blocks(heads, shared, queries, indexed)
        else:
            looked = self.look(shared, queries, count, value, (groups * size, groups * value))
            record.expand(looked)
        if shared.value_rotation is not None:
            looked = self.hadamard(looked, count * value * tokens, shared.value_rotation, _ROTATION)
        if self.row.gated_query:
            gate = record.result((count * size, tokens), record.view(gate, strided=True))
            looked = record.over((count * size, tokens), looked, gate)
        looked = self.gated(looked, normed, count, value)
        if "attn_sub_norm" in self.row.norms:
            looked = self.norm(looked, count * value, tokens)
        return record.result((self.width, tokens), looked)

    def projected(self, heads: Attention, normed: Tensor, rotated: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys and values; and the matrix product that holds the queries."""
        record, tokens = self.record, self.tokens
        count, groups, size, value = heads.heads, heads.kv_heads, heads.key_length, heads.value_length
        norm = heads.query_key_norm or self.model.query_key_norm or self.row.query_key_norm
        if self.fused:
            joined = record.result(((count + groups) * size + groups * value, tokens), normed)
            queries, keys, values = (record.view(joined, strided=True) for _ in range(3))
        else:
            joined = record.result((count * size * (2 if self.row.gated_query else 1), tokens), normed)
            queries, keys = joined, record.result((groups * size, tokens), normed)
            if norm == "full":
                queries = self.norm(queries, count * size, tokens)
                keys = self.norm(keys, groups * size, tokens)
            values = record.view(keys if heads.values_from_keys else record.result((groups * value, tokens), normed))
            queries, keys = record.view(queries, strided=self.row.gated_query), record.view(keys)
        if norm in ("head", "per_head"):
            queries = self.norm(queries, size, count, tokens)
            keys = self.norm(keys, size, groups, tokens)
        if self.style.values_normed:
            values = self.norm(values, value, groups, tokens)
        if rotated:
            queries = record.over((size, count, tokens), queries, self.positions)
            keys = record.over((size, groups, tokens), keys, self.positions)
        elif self.temperature is not None:
            queries = record.over((size, count, tokens), queries, self.temperature)
        return queries, keys, values, joined

    def unpacked(self, heads: Attention, normed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same of a compressed key and value, cached as they are of plain attention."""
        record, tokens, count, size = self.record, self.tokens, heads.heads, heads.key_length
        rope, latent, value = heads.rope_length or 0, heads.latent_length or 0, heads.value_length
        queries = record.view(record.result((count * size, tokens), self.packed_queries(heads, normed)))
        queries = record.over((size, count, tokens), queries, self.positions)
        joined = record.result((latent + rope, tokens), normed)
        packed = self.norm(record.view(joined, strided=True), latent, tokens)
        both = record.result((count * (size - rope + value), tokens), packed)
        values = record.view(record.result((value, count, tokens), record.view(both, strided=True)))
        turned = record.over((rope, 1, tokens), record.view(joined, strided=True), self.positions)
        keys = record.result((size, count, tokens), record.view(both, strided=True), record.result((rope, count, tokens), turned))
        return queries, keys, values, joined

    def packed_queries(self, heads: Attention, normed: Tensor) -> Tensor:
        """What the query matrix reads: the norm, or a compressed query."""
        if not heads.query_latent_length:
            return normed
        sides = heads.query_latent_length, self.tokens
        return self.norm(self.record.result(sides, normed), *sides)

    def gated(self, looked: Tensor, normed: Tensor, count: int, value: int) -> Tensor:
        """What attention gives, scaled by a matrix of its own."""
        record, tokens = self.record, self.tokens
        if self.row.attention_gate == "element":
            return record.over((count * value, tokens), looked, record.result((count * value, tokens), normed))
        if self.row.attention_gate != "head":
            return looked
        gate = record.view(record.result((count, tokens), normed))
        if self.style.gate_apart:
            gate = record.over((1, count, tokens), gate)
        looked = record.over((value, count, tokens), record.view(looked), gate)
        return record.result((count * value, tokens), looked) if self.style.gate_apart else record.view(looked)

    def in_blocks(self, heads: Attention) -> bool:
        """Whether llama.cpp looks at chosen blocks of cells alone: with flash attention, and a cache apart for each sequence."""
        return self.model.row == "minimax-m3" and bool(heads.indexer_heads) and self.flash and self.sequences == self.streams

    def indexed_blocks(self, heads: Attention, normed: Tensor) -> Tensor:
        """Queries of the indexer; its keys are kept."""
        record, tokens, count, size = self.record, self.tokens, heads.indexer_heads or 1, heads.indexer_length or 0
        if self.block_inputs is None:
            streams = self.streams
            sides = (tokens,), (BLOCKS, tokens), (POSITIONS, tokens), (POSITIONS, streams), (FULL_CELLS, streams)
            self.block_inputs = [record.input(*of, width=8 if number == 0 else 4) for number, of in enumerate(sides)]
        queries, keys = (
            record.over(
                (size, number, tokens),
                self.norm(record.view(record.result((number * size, tokens), normed)), size, number, tokens),
                self.positions,
            )
            for number in (count, 1)
        )
        record.expand(record.elsewhere(record.view(keys), self.block_inputs[0]))
        return queries

    def look_in_blocks(self, heads: Attention, shared: _Attending, queries: Tensor, indexed: Tensor) -> Tensor:
        """One sequence after the other: scores by position, the best blocks, a mask of them for every group of heads."""
        record, groups, each = self.record, heads.indexer_heads or 1, self.tokens // self.streams
        assert self.block_inputs is not None
        _, bias, hidden, cells_of, blocks_of = self.block_inputs
        if self.causal is None:
            self.causal = record.result((FULL_CELLS, each, self.streams), shared.mask)
        many = each * groups
        joined: Tensor | None = None
        for stream in range(1, self.streams + 1):
            keys = record.result((heads.indexer_length or 0, POSITIONS), record.view(cells_of))
            scores = record.result((POSITIONS, many), keys, record.view(indexed))
            scores = record.within(scores, record.view(scores), record.view(hidden))
            best = record.over((BLOCKS, many), record.result((BLOCKS, many), scores), record.view(bias))
            chosen = record.result((CHOSEN, many), best)
            zeros = record.over((CHOSEN, many), record.result((CHOSEN, many), chosen))
            closed = record.result((BLOCKS, each), record.result((BLOCKS, each), record.view(bias)), width=2)
            closed = record.result((BLOCKS, many), closed, width=2)
            opened = record.within(closed, record.view(zeros), record.view(chosen), record.view(closed))
            opened = record.result((BLOCKS, many), record.view(opened), width=2)
            opened = record.result((BLOCKS, many), record.view(opened), width=2)
            mask = record.result((FULL_CELLS, many), opened, record.view(blocks_of))
            mask = record.result((FULL_CELLS, many), record.view(mask))
            mask = record.within(mask, record.view(mask), record.view(self.causal))
            mask = record.result((FULL_CELLS, many), record.view(mask), width=2)
            looked = record.result((heads.value_length, heads.heads, each), record.view(queries), mask)
            looked = record.view(record.result((heads.value_length, heads.heads, each), record.view(looked)))
            length = heads.value_length * heads.heads, each * stream
            joined = looked if joined is None else record.result(length, joined, looked)
        assert joined is not None
        return joined

    def without_cache(self, heads: Attention, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention among the tokens of one batch, as encoders do it."""
        record, tokens, count = self.record, self.tokens, heads.heads
        for tensor in (queries, keys, values):
            record.expand(tensor)
        windowed = heads.window_tokens is not None
        if windowed not in self.encoded:
            self.encoded[windowed] = record.input(tokens, tokens, width=2 if self.flash else 4)
        mask = self.encoded[windowed]
        queries = record.view(record.view(queries))
        if self.flash and not self.row.relative_positions:
            halved = (record.result((heads.key_length, tokens, heads.kv_heads), record.view(tensor), width=2) for tensor in (keys, values))
            looked = record.view(record.result((heads.value_length, count, tokens), queries, *halved, mask))
        else:
            scores = record.result((tokens, tokens, count), record.view(keys), queries)
            if self.row.relative_positions:
                if self.distances is None:
                    self.distances = record.input(tokens, tokens)
                far = record.result((count, tokens, tokens), record.view(self.distances))
                far = record.result((tokens, tokens, count), record.view(record.view(far), strided=True))
                scores = record.over((tokens, tokens, count), scores, far)
            scores = record.over((tokens, tokens, count), scores, mask)
            turned = record.result((tokens, heads.value_length, heads.kv_heads), record.view(record.view(values)))
            looked = record.result((heads.value_length, tokens, count), turned, scores)
            looked = record.result((count * heads.value_length, tokens), record.view(looked))
        record.expand(looked)
        return record.result((self.width, tokens), looked)

    def hadamard(self, tensor: Tensor, elements: int, rotation: Tensor, block: int) -> Tensor:
        """A rotation in blocks; rows that do not follow each other are copied first, and a single one does."""
        record, sides = self.record, (block, elements // block)
        rows = record.result(sides, tensor) if tensor.strided and self.tokens > 1 else record.view(tensor)
        return record.view(record.result(sides, rotation, rows))

    def look(self, shared: _Attending, queries: Tensor, count: int, value: int, widths: tuple[int, int], unpacked: int = 0) -> Tensor:
        """Attention itself. `widths` of a cell's keys and values; `unpacked`: the size to which latent values are multiplied out."""
        record, tokens, streams = self.record, self.tokens, self.streams
        queries = record.view(record.view(queries))
        if self.flash:
            # it reads 16 bits: a cache of 32 is copied whole
            halved = [
                record.result((width, shared.cells, streams), width=2)
                for width, kind in zip(widths, self.stored, strict=True)
                if kind == "32 bits"
            ]
            found = record.result((value, count, tokens), queries, *halved, shared.mask)
            if unpacked:
                found = record.result((unpacked, tokens, count), record.view(found))
                found = record.result((unpacked, count, tokens), record.view(found))
            return record.view(found)
        scores = record.result((shared.cells, tokens // streams, count, streams), queries)
        scores = record.over((shared.cells, tokens // streams, count, streams), scores, shared.mask)
        # the latent row is key and value, so the values have to be turned
        turned = record.result((shared.cells, value, streams), width=4 if self.stored[0] == "32 bits" else 2) if unpacked else None
        found = record.result((value, tokens, count), turned, scores)
        if unpacked:
            found = record.result((unpacked, tokens, count), found)
        return record.result((count * (unpacked or value), tokens), record.view(found))

    def latent(self, heads: Attention, normed: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        count, rope, latent = heads.heads, heads.rope_length or 0, heads.latent_length or 0
        shared = self.shared(heads, 0)
        queries = self.packed_queries(heads, normed)
        if heads.indexer_heads:
            self.chosen = self.indexed(heads, normed, queries)
        queries = record.view(record.result((count * (heads.key_length + rope), tokens), queries))
        joined = record.result((latent + rope, tokens), normed)
        packed, rotated = record.view(joined, strided=True), record.view(joined, strided=True)
        if self.row.rope_key_norm:
            rotated = self.norm(rotated, rope, tokens)
        unrotated = self.style.rope == "none"
        if not unrotated:
            rotated = record.over((rope, 1, tokens), rotated, self.positions)
        packed = self.norm(packed, latent, tokens)
        plain, turned = record.view(queries, strided=True), record.view(queries, strided=True)
        if not unrotated:
            turned = record.over((rope, count, tokens), turned, self.positions)
        absorbed = record.result((latent, tokens, count), record.view(plain))
        queries = record.result((latent + rope, count, tokens), record.view(absorbed), turned)
        values = record.view(packed)
        keys = record.result((latent + rope, 1, tokens), values, rotated)
        for tensor in (queries, values, keys):
            record.expand(tensor)
        record.expand(record.elsewhere(record.view(keys), shared.key_places))
        if self.chosen is not None and heads.window_tokens is None:
            shared = shared.replace(mask=self.chosen_alone(shared.mask, self.chosen))
        looked = self.look(shared, queries, count, latent, (latent + rope, latent), heads.value_length)
        record.expand(looked)
        return record.result((self.width, tokens), self.gated(looked, normed, count, heads.value_length))

    def indexed(self, heads: Attention, normed: Tensor, packed: Tensor) -> Tensor:
        """Scores every cell by keys of the indexer's own, which it keeps, and names the highest."""
        record, tokens, streams = self.record, self.tokens, self.streams
        count, size = heads.indexer_heads or 1, heads.indexer_length or 0
        if self.indexer is None:
            mask = record.input(FULL_CELLS, tokens // streams, streams, width=2)
            self.indexer = record.input(size, size), record.input(tokens, width=8), mask
        rotation, places, mask = self.indexer
        queries = record.view(record.result((count * size, tokens), packed))
        queries = record.over((size, count, tokens), queries, self.positions)
        keys = record.view(record.result((size, tokens), record.result((size, tokens), normed)))
        keys = record.over((size, 1, tokens), keys, self.positions)
        if not self.style.plain_index:
            queries = record.result((size, count, tokens), rotation, queries)
            keys = record.result((size, 1, tokens), rotation, keys)
        record.expand(record.elsewhere(record.view(keys), places))
        weights = record.over((count, tokens), record.view(record.result((count, tokens), normed)))
        scores = record.result((FULL_CELLS, tokens // streams, streams), record.view(queries), weights, mask)
        return record.result((CHOSEN, tokens), record.result((CHOSEN, tokens), scores))

    def chosen_alone(self, mask: Tensor, chosen: Tensor) -> Tensor:
        """A mask of the cells that were chosen, and of what the usual one hides."""
        record, tokens, streams, width = self.record, self.tokens, self.streams, 2 if self.flash else 4
        sides = FULL_CELLS, tokens // streams, streams
        hidden = record.over(sides, mask, width=width)
        zeros = record.over((CHOSEN, tokens), record.input(CHOSEN, tokens, each=True))
        opened = record.within(hidden, zeros, record.view(chosen), record.view(hidden))
        return record.over(sides, record.view(opened), mask, width=width)

    # ------------------------------------------------------------------ feed-forward

    def feed_forward(self, wide: FeedForward, read: Tensor, side: int, scores: Tensor | None = None) -> Tensor:
        """`scores`: of the router, where it has read something else."""
        if not wide.experts:
            return self.dense(wide.length, read, side)
        record, width = self.record, self.width
        if self.row.chunk_experts:
            return self.chunked(wide, wide.experts, wide.used or 1, read, side)
        made = self.experts(wide, wide.experts, wide.used or 1, read, side, scores)
        if wide.latent_length:
            if self.row.routed_norm:
                made = self.norm(made, wide.latent_length, side)
            made = record.result((width, side), made)
        if not wide.shared_length:
            return made
        gate = None
        if self.row.shared_expert_gate:
            gate = record.result((1, side), read)
            if self.style.divided_gate:
                gate = record.over((1, side), record.over((1, side), gate), gate)
        beside = self.dense(wide.shared_length, read, side)
        if gate is not None:
            beside = record.over((width, side), beside, gate)
        return record.over((width, side), made, beside)

    def activated(self, sides: tuple[int, ...], gate: Tensor, up: Tensor) -> Tensor:
        """The gate's activation and the product, one operation."""
        return self.record.result(sides, gate, up)

    def dense(self, length: int, read: Tensor, side: int) -> Tensor:
        record = self.record
        if self.row.gate == "fused":
            made = record.result((length, side), record.result((2 * length, side), read))
        elif self.row.gate == "split":
            up = record.result((length, side), read)
            made = self.activated((length, side), record.result((length, side), read), up)
        else:
            made = record.result((length, side), read)
        return record.result((self.width, side), made)

    def experts_beside_dense(self, wide: FeedForward, residual: Tensor) -> Tensor:
        """Gemma 4: a dense feed-forward and experts, each with norms of its own; the router reads what comes before them."""
        record, width, tokens, experts = self.record, self.width, self.tokens, wide.experts or 1
        dense = self.norm(self.dense(wide.beside_dense or 0, self.norm(residual, width, tokens), tokens), width, tokens)
        read = self.norm(residual, width, tokens)
        scores = record.result((experts, tokens), self.norm(residual, width, tokens))
        made = self.norm(self.experts(wide, experts, wide.used or 1, read, tokens, scores), width, tokens)
        return record.over((width, tokens), dense, made)

    def chunked(self, wide: FeedForward, count: int, used: int, read: Tensor, side: int) -> Tensor:
        """GroveMoE: smaller experts, one for each two, read what the others gave, chosen anew by the same scores."""
        record = self.record
        scores = record.result((count, side), read)
        made = self.experts(wide, count, used, read, side, scores)
        beside = self.experts(wide, count, min(used, count // 2), made, side, scores, self.row.chunk_experts)
        return record.over((self.width, side), made, beside)

    def experts(
        self, wide: FeedForward, count: int, used: int, read: Tensor, side: int, scores: Tensor | None = None, chunk: int = 0
    ) -> Tensor:
        """`chunk`: the width of those that are one for each two."""
        record, width, style, length = self.record, wide.latent_length or self.width, self.style, chunk or wide.length
        scores = scores or record.result((count, side), read)
        chances = record.over((count, side), scores) if not style.chosen_first else scores
        ranked = scores if style.before_experts else chances
        if self.row.chunk_experts:
            ranked = record.over((count, side), scores)
        if wide.router_bias or self.row.router_bias:
            ranked = record.over((count, side), ranked)
        if wide.groups:
            ranked = self.best_groups(wide, ranked, side)
        chosen = record.view(record.result((count, side), ranked), strided=True)
        if chunk:
            chosen = record.result((used, side), record.result((used, side), chosen))
        weights = record.result((1, used, side), record.view(chances), chosen)
        if style.chosen_first:
            weights = record.view(record.over((used, side), record.view(weights)))
        if style.normalized:
            flat = record.view(weights)
            total = record.over((1, side), record.result((1, side), flat))
            weights = record.view(record.over((used, side), flat, total))
        if style.rescaled:
            weights = record.over((1, used, side), weights)
        record.expand(weights)
        read = record.view(record.result((width, side), read) if wide.latent_length else read)
        if style.before_experts:
            read = record.over((width, used, side), record.result((width, used, side), read), weights)
        up = record.result((length, used, side), read, chosen)
        if self.row.expert_bias:
            up = record.over((length, used, side), up, chosen)
        gate = up
        if self.row.gate != "none":
            gate = record.result((length, used, side), read, chosen)
            if self.row.expert_bias:
                gate = record.over((length, used, side), gate, chosen)
            gate = self.activated((length, used, side), gate, up)
        made = record.result((width, used, side), gate, chosen)
        if self.row.expert_norms:
            scales = record.result((1, used, side), record.result((1, count, side)), chosen)
            made = record.over((width, used, side), made, scales)
        if self.row.expert_bias:
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

    def best_groups(self, wide: FeedForward, ranked: Tensor, side: int) -> Tensor:
        """The two best experts of each group name the groups that count; the others are closed."""
        record, groups = self.record, wide.groups or 1
        sides = (wide.experts or 1) // groups, groups, side
        grouped = record.view(ranked)
        pairs = record.view(record.result(sides, grouped), strided=True)
        scores = record.result((2, groups, side), record.view(grouped), pairs)
        totals = record.result((groups, side), record.view(scores))
        best = record.view(record.result((groups, side), record.view(totals)), strided=True)
        kept = record.result((sides[0], wide.groups_used or 1, side), grouped, best)
        closed = record.result(sides, grouped)
        return record.view(record.within(closed, kept, best, closed))


class Alternating(Builder):
    """Gemma 3n: several versions of the hidden state, of which each layer computes one and corrects the others."""

    @property
    def versions(self) -> int:
        return self.model.altup_inputs or 2

    def stand_in(self, side: int) -> Tensor:
        tensor = Tensor((4, self.width, self.tokens, self.versions), ())
        tensor.placed = True
        return tensor

    def before(self) -> Section:
        record, width, tokens, others = self.record, self.width, self.tokens, self.versions - 1
        record.moment = "the look-up of the tokens"
        self.found = record.result((width, tokens), record.input(tokens))
        record.expand(self.found)
        record.expand(record.input(width, tokens))
        self.look_up_slices(self.model.per_layer_embedding_length or 0)
        added = record.result((width, tokens, others), record.result((width, tokens, others), self.found))
        added = self.scaled(added, record.over((width, tokens), self.found))
        section = record.section((), record.result((width, tokens, self.versions), self.found, added))
        for tensor in (self.embedded, self.found):
            assert tensor is not None
            record.share(tensor)
        return section

    def scaled(self, tensor: Tensor, squares: Tensor) -> Tensor:
        """The other versions, brought to the magnitude of the first."""
        record, sides = self.record, (self.width, self.tokens, self.versions - 1)
        scaled = record.over(sides, tensor, record.result((1, self.tokens), squares))
        magnitude = record.result((1, *sides[1:]), record.over(sides, tensor))
        return record.over(sides, scaled, magnitude)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, width, tokens, versions = self.record, self.width, self.tokens, self.versions
        one, every = (width, tokens), (width, tokens, versions)
        assert layer.heads is not None
        assert layer.wide is not None
        record.moment = "the attention"
        turned = record.result((versions, width, tokens), record.view(residual))
        weights = record.result((versions * versions, tokens), self.routed(record.view(residual)))
        predicted = record.result((versions, width, tokens), turned, record.view(weights))
        predicted = record.over(every, record.result(every, record.view(predicted)), residual)
        active = record.view(predicted)
        normed = record.over(one, active)
        narrow = record.over(one, record.result(one, record.result((_LAUREL_RANK, tokens), normed)), normed)
        attended = self.attention(layer.heads, normed, layer.rotated, layer.cached)
        record.moment = "the feed-forward"
        attended = record.over(one, record.over(one, attended, active), narrow)
        made = self.sparse(layer.wide.length, record.over(one, attended), layer.sparse)
        made = record.over(one, made, attended)
        change = record.result(every, record.over(one, made, record.view(predicted)))
        weights = record.result((versions, tokens), self.routed(made))
        weights = record.result((1, tokens, versions), record.view(weights))
        corrected = record.over(every, record.over(every, change, weights), predicted)
        length = self.model.per_layer_embedding_length or 0
        gate = record.result((length, tokens), record.over(one, record.view(corrected)))
        gate = record.over((length, tokens), gate, self.slice_of(length, self.found, layer.deep == 0))
        first = record.over(one, record.result(one, gate))
        rest = record.over((width, tokens, versions - 1), record.view(corrected), first)
        return record.result(every, record.view(corrected), rest)

    def routed(self, tensor: Tensor) -> Tensor:
        return self.record.result((self.versions, self.tokens), self.record.over((self.width, self.tokens), tensor))

    def sparse(self, length: int, read: Tensor, sparse: bool) -> Tensor:
        """The first layers keep the largest activations alone."""
        record, sides = self.record, (length, self.tokens)
        up, gate = record.result(sides, read), record.result(sides, read)
        if sparse:
            mean = record.result((1, self.tokens), gate)
            spread = record.result((1, self.tokens), record.over(sides, gate, mean))
            gate = record.over(sides, gate, record.over((1, self.tokens), mean, spread))
        return record.result((self.width, self.tokens), record.over(sides, up, gate))

    def after(self) -> Section:
        record, width, tokens, others = self.record, self.width, self.tokens, self.versions - 1
        record.moment = "the output matrix"
        entry = self.stand_in(tokens)
        unembedded = record.result((width, tokens, others), record.view(entry))
        unembedded = self.scaled(unembedded, record.over((width, tokens), record.view(entry)))
        found = record.view(entry)
        for _ in range(others):
            found = record.over((width, tokens), found, record.view(unembedded))
        found = self.norm(record.result((width, LOGITS_ROWS), found, self.rows), width, LOGITS_ROWS)
        found.kept = True
        logits = record.result((self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), found)
        logits.kept = True
        return record.section((entry,), logits)


class Streams(Builder):
    """Hy4: parallel streams, whose weighted sum attention and feed-forward read, and to each of which they add."""

    @property
    def streams_beside(self) -> int:
        return self.model.altup_inputs or 1

    def stand_in(self, side: int) -> Tensor:
        tensor = Tensor((4, self.width, self.streams_beside, self.tokens), ())
        tensor.placed = True
        return tensor

    def before(self) -> Section:
        record, tokens = self.record, self.tokens
        record.moment = "the look-up of the tokens"
        found = record.result((self.width, tokens), record.input(tokens))
        record.expand(found)
        record.expand(record.input(self.width, tokens))
        return record.section((), record.result((self.width, self.streams_beside, tokens), record.view(found)))

    def mixed(self, streams: Tensor, side: int, ways: int) -> list[Tensor]:
        """Weights of the streams, so many of each."""
        record, beside = self.record, self.streams_beside
        flat = record.over((beside * self.width, side), record.view(streams))
        weights = record.result((ways * beside, side), flat)
        if ways == 1:
            return [record.over((beside, side), weights)]
        return [record.over((beside, side), record.view(weights, strided=True)) for _ in range(ways)]

    def summed(self, streams: Tensor, weights: Tensor, side: int) -> Tensor:
        record, sides = self.record, (self.width, side)
        copied = record.result((self.width, self.streams_beside, side), streams)
        total: Tensor | None = None
        for _ in range(self.streams_beside):
            part = record.over(sides, record.view(copied, strided=True), record.view(weights, strided=True))
            total = part if total is None else record.over(sides, total, part)
        return record.result(sides, total)

    def added(self, made: Tensor, streams: Tensor, weights: Tensor) -> Tensor:
        record, tokens, beside = self.record, self.tokens, self.streams_beside
        sides = self.width, tokens
        copies = record.result(sides, made), record.result((beside, tokens), weights), record.result((self.width, beside, tokens), streams)
        joined: Tensor | None = None
        for number in range(1, beside + 1):
            part = record.over(sides, copies[0], record.view(copies[1], strided=True))
            part = record.view(record.over(sides, record.view(copies[2], strided=True), part))
            joined = part if joined is None else record.result((self.width, number, tokens), joined, part)
        return record.result((self.width, beside, tokens), joined)

    def layer(self, layer: Layer, residual: Tensor) -> Tensor:
        record, tokens = self.record, self.tokens
        assert layer.heads is not None
        assert layer.wide is not None
        record.moment = "the attention"
        before, after = self.mixed(residual, tokens, 2)
        made = self.latent(layer.heads, self.norm(self.summed(residual, before, tokens), self.width, tokens))
        residual = self.added(made, residual, after)
        record.moment = "the feed-forward"
        before, after = self.mixed(residual, tokens, 2)
        made = self.feed_forward(layer.wide, self.norm(self.summed(residual, before, tokens), self.width, tokens), tokens)
        return self.added(made, residual, after)

    def after(self) -> Section:
        record, width = self.record, self.width
        record.moment = "the output matrix"
        entry = self.stand_in(self.tokens)
        found = record.view(record.result((width * self.streams_beside, LOGITS_ROWS), record.view(entry), self.rows))
        (weights,) = self.mixed(found, LOGITS_ROWS, 1)
        found = self.norm(self.summed(found, weights, LOGITS_ROWS), width, LOGITS_ROWS)
        found.kept = True
        logits = record.result((self.model.vocabulary_gguf or self.model.vocabulary or 0, LOGITS_ROWS), found)
        logits.kept = True
        return record.section((entry,), logits)


def window_kept(model: Architecture, heads: Attention) -> int | None:
    """The window that llama.cpp gives the cache of these layers; None where it keeps every token."""
    return window_of(model, CacheGroup(layers=1, kv_heads=1, key_length=1, value_length=1, window_tokens=heads.window_tokens))
