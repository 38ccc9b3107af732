"""The memory of transformers, MLX LM, vLLM and SGLang after they loaded weight files in
safetensors, pickle or MLX files.

What goes in: a case. What comes out: the files and the terms of memory, in bytes. One account
serves all four programs, with the numbers of each program in `[account]` of its file in
specs/runtimes/. The further memory of the two servers on a device is in `servers.py`.
"""

from __future__ import annotations

from ..catalogue.architecture import Attention, Audio
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PLAIN_DTYPES
from ..core import units
from ..core.records import Record, Unread
from . import weight_files
from .cache import TORCH, as_unpacked, cache_terms
from .case import Case, is_cast, loads_published, overhead, stored_type, unread_of
from .records import (
    NO_BYTES,
    How,
    Needs,
    Size,
    Term,
    assumed_term,
    computed_term,
    share_of,
    summed,
    taken_off,
    term,
    unread,
    whole_files,
)
from .servers import devices_of, terms_by_device, terms_of_server
from .weight_files import DTYPES, size_of

# the size at which save_pretrained splits files
SHARD_BYTES = TORCH.shard_bytes
_PAGE_BYTES = 4096
# the term of each part of the weights that may stay in RAM, and its name in a line of arithmetic
_NAMES_IN_RAM = {
    "table": ("embeddings", "the table of tokens"),
    "expert": ("experts", "experts"),
    "ngrams": ("embeddings", "tables of n-grams"),
}


def needs_of_case(case: Case) -> Needs:
    """The files and the memory of a case. Weights and cache are counted apart, because one may be
    known without the other.
    """
    if is_cast(case.spec, case.runtime, case.quantization):
        return _cast_while_loaded(case)
    is_narrowed = _is_narrowed(case)
    # the weights that are loaded, as large as files in their quantization
    loaded = size_of(case)
    files = loaded
    if is_narrowed:
        files = _files_as_published(case)
        if isinstance(files, Unread):
            # the loaded weights are made of these files, so their size is not known either
            loaded = files
    needs = _download(case.spec, files)
    others = _beside_weights(case)
    if isinstance(loaded, Unread):
        needs = needs.without(loaded, loaded.replace(fact="memory.weights"))
        distinct = dict.fromkeys(needs.unknown)
        return needs.replace(terms=tuple(others), unknown=tuple(distinct))
    if is_narrowed:
        if _is_stored(case):
            needs = needs.replace(written_bytes=loaded.bytes)
        weights = _narrowed_weights(case, loaded)
    else:
        weights = _weights(case, loaded)
    return _with_memory(case, needs, weights, others)


def _with_memory(
    case: Case,
    needs: Needs,
    weights: Term,
    others: list[Term],
) -> Needs:
    """The needs with the weights and the other terms of the memory."""
    if not case.has_layers:
        needs = needs.without(unread_of(case.spec, "memory.kv_cache"))
        return needs.replace(terms=(weights, case.program))
    in_ram = _parts_in_ram(case, weights)
    for part in in_ram:
        line = taken_off(weights.arithmetic, part.bytes, f"of {part.name} in RAM")
        weights = weights.with_size(weights.size.plus(-part.bytes), line)
    if case.account.divides_layers:
        terms = *terms_by_device(case, weights, others), *in_ram
        devices = devices_of(case.model, case.quantization)
        return needs.replace(terms=terms, tensor_parallel=devices)
    mapped = _as_mapped(case, weights)
    terms = mapped.weights, *in_ram, *others
    return needs.replace(terms=terms, evictable_bytes=mapped.evictable_bytes)


def _files_as_published(case: Case) -> Term | Unread:
    """The files in the type that the model is published in."""
    return size_of(case.replace(quantization=stored_type(case.model)))


def _is_narrowed(case: Case) -> bool:
    """Whether the program quantizes the published weights, as a rule while it loads them."""
    if case.is_as_published:
        return False
    return loads_published(case.spec, case.runtime, case.format, case.quantization)


def _is_stored(case: Case) -> bool:
    """Whether the weights that the program makes are written to the disk before they are loaded."""
    rule = case.runtime.rule_of(case.quantization)
    return rule is not None and rule.is_stored


def _cast_while_loaded(case: Case) -> Needs:
    """The needs where the program casts the weights to another type while it loads them. The
    published files are downloaded.
    """
    needs = needs_of_case(weight_files.cast_to(case))
    files = _files_as_published(case)
    if isinstance(files, Unread):
        return needs.replace(files=None)
    return _with_shards(needs, files)


def _download(spec: ModelSpec, files: Term | Unread) -> Needs:
    """The needs with the files to download. The files are unknown for a model without a repository
    whose stored type nobody states.
    """
    if isinstance(files, Unread):
        return Needs(unknown=(files,))
    if files.how is How.ASSUMED and _is_untyped(spec):
        low = units.decimal(files.low_bytes)
        high = units.decimal(files.high_bytes)
        why = unread(f"{low} to {high}: {files.source}", weight_files.GIVE_FILES)
        return Needs(unknown=(why,))
    return _with_shards(Needs(), files)


def _with_shards(needs: Needs, files: Term) -> Needs:
    """The needs with these files, the largest of which is a shard."""
    largest = min(files.bytes, SHARD_BYTES)
    return needs.replace(files=files, largest_file_bytes=largest)


def _is_untyped(spec: ModelSpec) -> bool:
    """Whether nobody states the type of the weights, and no repository has files to look it up."""
    if spec.repository is not None:
        return False
    return "architecture.dtype" in spec.unknown


def _beside_weights(case: Case) -> list[Term]:
    """The terms beside the weights: cache, states, the work on a prompt and the program. [] where
    no layer is known.
    """
    if not case.has_layers:
        return []
    if case.account.divides_layers:
        return cache_terms(case) + terms_of_server(case)
    if case.model.audio is not None:
        work = _work_on_speech(case, case.model.audio)
    else:
        work = _PromptPass(case).activations()
    program = _with_tokenizer(case, _program_alone(case))
    return [*cache_terms(case), work, program]


# ------------------------------------------------------------------ weights


def _narrowed_weights(case: Case, narrow: Term) -> Term:
    """The weights of published files after their linear layers were quantized one by one; all other
    tensors stay as they are. `narrow`: the size of files in that quantization.
    """
    line = narrow.arithmetic
    wide_bytes = 0
    if case.has_row and not case.account.divides_layers:
        # bitsandbytes does not quantize a tensor that holds all experts of a layer (its issue 1849)
        wide_bytes = weight_files.experts_in_16_bits(case)
    if wide_bytes:
        line = summed(line, f"{wide_bytes:,} bytes of experts; they stay in 16 bits")
    likely = narrow.bytes + wide_bytes
    most = max(narrow.high_bytes, int(likely * 1.005))
    size = Size(narrow.low_bytes, likely, most)
    made = "made before loading" if _is_stored(case) else "made while loading"
    source = f"{narrow.source}, {made}"
    return term("weights", size, source, line, narrow.how)


def _weights(case: Case, files: Term) -> Term:
    """The weights in the type that the runtime loads them as."""
    weights = weight_files.loaded_of(case, files)
    if case.text_alone:
        weights = _without_encoders(case, weights)
    weights = _in_loaded_type(case, weights)
    weights = whole_files(weights)
    least = max(0, weights.low_bytes)
    likely = max(0, weights.bytes)
    return weights.replace(low_bytes=least, bytes=likely)


def _parts_in_ram(case: Case, weights: Term) -> list[Term]:
    """The weights that the program leaves in RAM, whatever GPUs there are: a table, experts, or
    tables of n-grams where an option says so.
    """
    if not case.has_all_tensors:
        return []
    names = list(case.account.parts_in_ram)
    if "ngrams_in_ram" in case.settings:
        names.append("ngrams")
    parts = []
    for part in names:
        size = weight_files.bytes_of_part(case, part)
        if size:
            name, words = _NAMES_IN_RAM[part]
            line = f"{size:,} bytes of {words}, which {case.runtime.name} leaves there"
            parts.append(computed_term(name, size, weights.source, line))
    return parts


def _without_encoders(case: Case, weights: Term) -> Term:
    """The weights of the text model, without encoders."""
    width = 2
    if case.format != "mlx" and case.model.dtype == "float32":
        width = 4
    seeing_bytes = width * case.encoders
    size = weights.size.plus(-seeing_bytes)
    if case.format == "mlx" and weights.how is not How.STATED:
        # the low end computed for MLX files excludes the encoders
        size = size._replace(least=weights.low_bytes)
    line = taken_off(weights.arithmetic, seeing_bytes, "of encoders")
    return weights.with_size(size, f"{line}; it runs only the text part")


def _in_loaded_type(case: Case, weights: Term) -> Term:
    """The weights in the type that config.json states, where the runtime follows it."""
    type = weight_files.loaded_type(case.runtime, case.spec, case.quantization)
    if type == case.quantization:
        return weights
    bits = DTYPES[type]
    stored_bits = DTYPES[case.quantization]
    line = share_of(f"{bits:g}/{stored_bits:g}", weights.arithmetic)
    line += f"; it loads {case.quantization} weights in {bits:g} bits (dtype auto)"
    return weights.with_size(weights.size.scaled(bits, stored_bits), line)


class _MappedWeights(Record):
    """The weights in memory, and how many bytes of mapped files the system may drop."""

    weights: Term
    evictable_bytes: int = 0


def _as_mapped(case: Case, weights: Term) -> _MappedWeights:
    """The weights where a CPU maps their files into memory; all of them where it does not, and on a
    GPU.
    """
    loaded = _MappedWeights(weights=weights)
    if not case.account.maps_files:
        return loaded
    if _has_no_kernel(case):
        return _widened(case, weights)
    type = weight_files.loaded_type(case.runtime, case.spec, case.quantization)
    if type != case.quantization:
        # while the model loads, the mapped files and the weights made of them are resident together
        mapped_bytes = weights.bytes * DTYPES[case.quantization] / DTYPES[type]
        return loaded.replace(evictable_bytes=int(mapped_bytes))
    if _is_read_in_place(case):
        return _read_by_rows(case, weights)
    return loaded


def _is_read_in_place(case: Case) -> bool:
    """Whether a CPU computes with the weights as they lie in the files."""
    if case.device is not None:
        return False
    if case.is_as_published:
        return True
    return case.quantization in PLAIN_DTYPES


def _has_no_kernel(case: Case) -> bool:
    """Whether the published weights are in types that the runtime may have to widen."""
    types = set(case.model.narrow_types)
    if not types or not case.is_as_published:
        return False
    if not case.spec.parameters.total:
        return False
    account = case.account
    return types.issubset((*account.widened, *account.widened_always))


def _may_have_kernel(case: Case) -> bool:
    """Whether a device may compute directly with weights that other hardware has to widen."""
    if not case.is_on_device:
        return False
    types = set(case.model.narrow_types)
    return not types.issubset(case.account.widened_always)


def _widened(case: Case, weights: Term) -> _MappedWeights:
    """The weights widened to two bytes for each parameter, because the runtime has no kernel for
    their type. A GPU may have a kernel after all, so there only the most is widened.
    """
    parameters = case.spec.parameters.total or 0
    size = 2 * parameters
    most = int(size * 1.01)
    line = f"{parameters:,} parameters × 2 bytes, because it has no kernel for {case.quantization}"
    if _may_have_kernel(case):
        both = weights.replace(
            high_bytes=max(weights.high_bytes, most),
            arithmetic=f"{weights.arithmetic}; up to {line}",
        )
        return _MappedWeights(weights=both)
    source = f"{case.runtime.name}: made bfloat16 when it loads; {case.account.source}"
    least = int(size * 0.99)
    wide = computed_term("weights", Size(least, size, most), source, line)
    evictable = min(weights.bytes, size) * 9 // 10
    return _MappedWeights(weights=wide, evictable_bytes=evictable)


def _read_by_rows(case: Case, weights: Term) -> _MappedWeights:
    """The mapped weights on a CPU. A text reads only some rows of the token table, and the encoders
    are first read with the first picture.
    """
    tokens = case.context_tokens * case.parallel
    encoder_bytes = case.encoders * case.width
    unread_bytes = 0
    line = weights.arithmetic
    if case.has_all_tensors and not _multiplies_table(case):
        unread_bytes = min(weights.low_bytes, _rows_beyond(case, tokens))
        line = taken_off(line, unread_bytes, "of tokens that no text reads")
    # each row may reach into one more page, and the kernel also reads pages around each fault
    around_bytes = tokens * _PAGE_BYTES + TORCH.around_a_row_bytes
    evictable = max(0, unread_bytes - around_bytes)
    least = weights.low_bytes - unread_bytes - encoder_bytes
    likely = weights.bytes - unread_bytes
    most = weights.high_bytes - evictable
    size = Size(max(0, least), likely, most)
    mapped = weights.with_size(size, line)
    if unread_bytes or encoder_bytes:
        mapped = mapped.replace(how=How.COMPUTED)
    return _MappedWeights(weights=mapped, evictable_bytes=evictable)


def _multiplies_table(case: Case) -> bool:
    """Whether the table of tokens is the output matrix too, which every token reads whole."""
    if case.embeds or case.row.encoder:
        return False
    return bool(case.model.tied_embeddings)


def _rows_beyond(case: Case, tokens: int) -> int:
    """The bytes of the table's rows beyond those that a text of `tokens` tokens reads at most."""
    model = case.model
    rows = max(0, model.published_tokens - tokens)
    length = model.table_length or model.embedding_length
    return rows * length * case.width


# ------------------------------------------------------------------ the work on a prompt


def _work_on_speech(case: Case, heard: Audio) -> Term:
    """The work on half a minute of speech, assumed to be as much as the caches of the audio."""
    account = case.account
    cells = heard.positions * case.parallel * account.speech_beams
    numbers = 2 * case.model.layers * heard.embedding_length * cells
    size = numbers * case.width
    line = f"{size:,} bytes; as much as the caches of the audio"
    most = 2 * size + TORCH.heap_block_bytes
    ends = Size(size // 4, size, most)
    return assumed_term("activations", ends, account.source, line)


class _PromptPass:
    """A pass over the prompts of all sequences, or over a piece of them, with `tokens` computed at
    once.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.model = case.model
        self.account = case.account
        self.sequences = case.parallel
        self.context_tokens = case.context_tokens
        piece_tokens = self.account.prompt_tokens or case.context_tokens
        self.tokens = min(case.context_tokens, piece_tokens) * self.sequences

    def activations(self) -> Term:
        """The activations of the pass (see `Account`): the widest layer, with logits, scores of
        attention, scans of recurrent layers, masks and arrays that wait.
        """
        account = self.account
        layer_bytes, line = self._layer()
        scan_bytes = self._scan_bytes()
        most_score_bytes = self._score_bytes()
        score_bytes = most_score_bytes
        if self.case.is_on_device and not account.fused_heads:
            # kernels of GPUs may need no scores, whatever heads the model has
            score_bytes = 0
        waiting_bytes = layer_bytes
        if account.waits_by_layer:
            waiting_bytes *= self.model.layers
        waiting_bytes = min(waiting_bytes, account.waiting_bytes)
        without_scores = layer_bytes + waiting_bytes + scan_bytes
        likely = without_scores + score_bytes
        least = int(account.low_share * likely)
        most = int(account.high_share * (without_scores + most_score_bytes))
        others = self._other_bytes()
        # the logits of the last token of each sequence, in 32 bits
        logits_bytes = 4 * self.model.published_tokens * self.sequences
        # a picture is encoded before the pass over the prompt, not at the same time
        most = max(most + others.most, self._picture_bytes())
        ends = Size(
            least + others.least + logits_bytes,
            likely + others.likely + logits_bytes,
            most + logits_bytes,
        )
        others_bytes = ends.likely - layer_bytes
        line += (
            f" + {others_bytes:,} bytes of logits, scores, scans and arrays that wait"
        )
        how = How.COMPUTED
        if scan_bytes or score_bytes < most_score_bytes:
            how = How.ASSUMED
        return term("activations", ends, account.source, line, how)

    def _layer(self) -> tuple[int, str]:
        """The bytes of a layer's activations, with their line of arithmetic: tokens × (width ×
        embedding + inner × widest layer) × bytes of a number.
        """
        account = self.account
        width = self.model.embedding_length
        inner = self._numbers_of_widest_layer()
        numbers = account.width * width + account.inner * inner
        line = f"({account.width:g} × {width:,} + {account.inner:g} × {inner:,})"
        line = f"{self.tokens:,} tokens × {line} × {self.case.width} bytes"
        return self.tokens * int(numbers * self.case.width), line

    def _numbers_of_widest_layer(self) -> int:
        """Numbers of a token inside the widest feed-forward or recurrence."""
        width = self.model.embedding_length
        numbers = []
        for feed in self.model.feed_forward:
            length = feed.length
            if feed.experts:
                length = max(length, width)
            numbers.append(length * feed.chosen)
        if not numbers:
            numbers.append(2 * width)
        for group in self.model.recurrent:
            numbers.append(group.inner_length or 0)
        return max(numbers)

    def _other_bytes(self) -> Size:
        """The memory that does not grow with the layer: masks, and the buffers of a mixture of
        experts. The most includes the account's `high_bytes`.
        """
        size = self._mask_bytes()
        if self.model.has_experts:
            size = size.plus(Size(*self.account.mixture_bytes))
        return size.plus(Size(0, 0, self.account.high_bytes))

    def _scan_bytes(self) -> int:
        """Bytes that the scan of the widest recurrent layer keeps for all tokens."""
        most = 0
        for group in self.model.recurrent:
            state = group.state_length or group.key_length or 0
            of_number = self.account.scan_bytes.get(group.kind, 0.0)
            numbers = self.tokens * group.inner_numbers * state
            most = max(most, int(numbers * of_number))
        return most

    def _mask_bytes(self) -> Size:
        """The bytes of masks, which torch makes where a window is shorter than a text: bytes for
        each pair of the text's tokens.
        """
        text = self.tokens // self.sequences
        windows = [group.window_tokens or text for group in self.model.attention]
        if min(windows, default=text) >= text:
            return NO_BYTES
        return Size(*self.account.mask_bytes).times(self.sequences * text**2)

    def _picture_bytes(self) -> int:
        """The most bytes that a vision encoder holds for one picture in each sequence."""
        if self.case.spec.modality != "vision":
            return 0
        patches = min(4 * self.context_tokens, TORCH.patches)
        numbers = patches * self.sequences * TORCH.numbers_per_patch
        return numbers * self.case.width

    def _score_bytes(self) -> int:
        """The bytes of attention scores, one for each pair of tokens and each head, where attention
        stores them.
        """
        account = self.account
        model = self.model
        if account.windows == "rotated":
            model = as_unpacked(model)
        most = 0
        for group in model.attention:
            if self._stores_scores(group):
                pairs = self.tokens * self._reach(group)
                # an indexer scores the same pairs (mlx_lm/models/deepseek_v32.py 0.32.2)
                heads = group.heads + (group.indexer_heads or 0)
                most = max(most, heads * pairs)
        of_score = account.score_bytes
        if account.fused_heads:
            of_score *= self.case.width / 2
        return int(most * of_score)

    def _stores_scores(self, group: Attention) -> bool:
        """Whether these layers store the scores of all pairs of tokens."""
        if group.kind == "latent":
            return True
        if group.kind == "cross":
            return False
        if self.account.fused_heads:
            if group.key_length not in self.account.fused_heads:
                return True
            return group.key_length != group.value_length
        row = self.case.row
        if row.torch_scores == "one_head":
            return group.kv_heads == 1 < group.heads
        if row.torch_scores:
            return True
        return row.relative_positions > 0

    def _reach(self, group: Attention) -> int:
        """The most tokens that a token attends to."""
        reach = self.context_tokens
        piece = self.account.prompt_tokens
        if piece and group.kind in ("sliding", "latent"):
            window = group.window_tokens or reach
            reach = min(reach, window + piece)
        return reach


# ------------------------------------------------------------------ the program


def _program_alone(case: Case) -> Term:
    """The program with its libraries; on a CPU as its account was measured."""
    account = case.account
    if not account.program_bytes:
        return case.program
    if case.is_on_device:
        return overhead(case.runtime)
    size = Size(*account.program_bytes)
    source = f"measured: {account.source}"
    return term("runtime", size, source, f"{size.likely:,} bytes", How.MEASURED)


def _with_tokenizer(case: Case, program: Term) -> Term:
    """The program with the tokenizer: bytes for each token of the vocabulary.

    Only the most counts where it is not known whether there is a tokenizer, as for a config.json
    alone, or where the size of a GPU build includes it already.
    """
    account = case.account
    has_tokenizer = case.spec.tokenizer
    if has_tokenizer is False or case.model.audio is not None:
        return program
    of_token = Size(*account.token_bytes)
    size = of_token.times(case.model.published_tokens)
    is_in_program = case.is_on_device and account.program_bytes
    if has_tokenizer is None or is_in_program:
        size = Size(0, 0, size.most)
    line = program.arithmetic
    if size.likely:
        line = summed(line, f"{size.likely:,} bytes of a tokenizer")
    return program.with_size(program.size.plus(size), line)
