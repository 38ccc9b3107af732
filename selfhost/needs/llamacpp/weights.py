"""The weights of a GGUF file in memory: mapped as they lie in the file, repacked for the processor,
or on devices.

What goes in: a case and the term of its file. What comes out: terms in bytes. If a device is used,
weights keep their stored layout, in RAM too (make_cpu_buft_list in src/llama-model.cpp,
select_weight_buft in src/llama-model-loader.cpp of llama.cpp 0c1e570).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ...catalogue.spec import SIZE_OF, FileTensors
from ...core.records import Record, Unread
from ...core.units import plural
from ..case import Case
from ..quantization import LAYOUTS, TABLES, LayoutBuffer
from ..records import (
    How,
    Needs,
    Size,
    Split,
    Term,
    Terms,
    sum_bytes,
    summed,
    taken_off,
    term,
    whole_files,
)
from ..tensors import ArchitectureRow, ngram_tables
from .experts import (
    LayersByTensor,
    is_of_experts,
    layers_in_ram,
    layers_with_experts,
    why_patterns_refused,
)
from .files import (
    OUTPUT_MATRIX,
    OWN_MIX,
    RECIPE,
    SIZES,
    SOURCE,
    TOKEN_TABLE,
    UsualTensors,
    block_bytes,
    bytes_by_type,
    is_size_of,
    mix_of,
    recipe_file,
    recipe_of_file,
    size_of,
    usual_tensors,
)

# tables that are looked up by rows: they keep their stored layout whatever their type, and are
# never multiplied, except the token table where it is the output matrix too
_LOOKED_UP = ("token_embd", "per_layer_token_embd", "position_embd", "token_types")
# matrices that latent attention multiplies into the queries (`attn_k_b`) and out of the values
# (`attn_v_b`)
_ABSORBED = ("attn_k_b.weight", "attn_v_b.weight")


class _InFile(Record):
    """The weights as they lie in the file, with the tensors that are loaded. In a publisher's own
    mix (`is_mix`) the bytes of each tensor are in proportion to those by the nearest recipe.
    """

    term: Term
    loaded: list[FileTensors]
    is_mix: bool = False

    def bytes_of(self, names: str | tuple[str, ...]) -> int:
        """The bytes of the tensors whose names begin with these names."""
        return sum_bytes(
            tensor for tensor in self.loaded if tensor.name.startswith(names)
        )

    def filled(self) -> _InFile:
        """The same weights, with the tensors that are loaded as large as all of them together."""
        of_tensors = sum_bytes(self.loaded)
        loaded = _in_proportion(self.loaded, self.term.bytes, of_tensors)
        return self.replace(loaded=loaded)

    def is_tied(self, row: ArchitectureRow) -> bool:
        """Whether the token table is also the output matrix. A model that embeds has no output
        matrix.
        """
        if row.embeds:
            return False
        return all(tensor.name != OUTPUT_MATRIX for tensor in self.loaded)


def needs_of_weights(case: Case, files: Term) -> Needs:
    """The memory of the weights: on devices with the part that stays in RAM, else in the layout
    that the CPU uses, where the system may drop the originals that a second layout replaced.
    """
    usual = _usual_tensors(case)
    if usual is None:
        return Needs(terms=(whole_files(files, remark="; the whole file"),))
    in_file = _without_ngrams(_in_file(case, files, usual), case)
    if case.is_on_device:
        weights = _on_devices(in_file, case.row)
        apart = _with_experts_apart(case, in_file, weights)
        terms = *apart, _tables_in_ram(in_file)
        return Needs(terms=terms)
    if in_file.is_mix:
        in_file = in_file.filled()
    return _SecondLayout(in_file, case).needs()


def _without_ngrams(in_file: _InFile, case: Case) -> _InFile:
    """The weights in the file without tables of n-grams: llama.cpp reads the few rows that a token
    needs from the file (TENSOR_READ_LAZY), so that these tables take no memory of their own.
    """
    tables = ngram_tables(case.model)
    size = in_file.bytes_of(tables) if tables else 0
    if not size:
        return in_file
    kept = [tensor for tensor in in_file.loaded if tensor.name not in tables]
    weights = in_file.term
    line = taken_off(
        weights.arithmetic, size, "of tables of n-grams, which stay on the disk"
    )
    rest = weights.resized(weights.bytes - size, line)
    return in_file.replace(term=rest, loaded=kept)


def tensors_on_devices(case: Case) -> tuple[FileTensors, ...]:
    """The tensors that devices hold: without the tables that stay in RAM, but with a token table
    that is the output matrix too.
    """
    files = size_of(case)
    usual = _usual_tensors(case)
    if isinstance(files, Unread) or usual is None:
        return ()
    in_file = _in_file(case, files, usual)
    tensors = []
    for tensor in in_file.loaded:
        is_output = tensor.name == TOKEN_TABLE and in_file.is_tied(case.row)
        if is_output or not tensor.name.startswith(TABLES):
            tensors.append(tensor)
    return tuple(tensors)


def _usual_tensors(case: Case) -> UsualTensors | None:
    """The tensors of the recipe of the case's quantization, or of the nearest recipe; None where
    the tensors are not known.
    """
    recipe = recipe_of_file(case)
    if recipe is None or not case.has_all_tensors:
        return None
    return usual_tensors(case.model, recipe, case.spec.released)


def _in_file(
    case: Case,
    files: Term,
    usual: UsualTensors,
) -> _InFile:
    """The weights in the file: from the header that was read, for a mix in proportion to a recipe,
    or from the recipe.
    """
    in_header = case.tensors_in_header
    if in_header:
        source = f"tensor table in the header of {case.spec.origin}"
        loaded = _loaded(in_header, case.row)
        weights = _stored("weights", loaded, How.EXACT, source)
        return _InFile(term=weights, loaded=loaded)
    if _is_own_mix(case, files):
        return _of_own_mix(case, files, usual)
    return _by_recipe(case, files, usual)


def _is_own_mix(case: Case, files: Term) -> bool:
    """Whether the file mixes types in another way than llama-quantize, told by its name or its
    size.
    """
    mix = mix_of(case)
    if mix is not None and mix.differs:
        return True
    if files.how is not How.STATED:
        return False
    recipe = recipe_of_file(case)
    assert recipe is not None, "the quantization is one of llama-quantize's"
    computed = recipe_file(case.model, case.spec.released, recipe)
    return not is_size_of(files.bytes, computed)


def _of_own_mix(
    case: Case,
    files: Term,
    usual: UsualTensors,
) -> _InFile:
    """The weights of a publisher's own mix, with the tensors of the nearest recipe."""
    source = f"{files.source}; its tables and output matrix in proportion to {RECIPE}"
    remark = "; the whole file, a mix of its publisher's own"
    mapped = whole_files(files, source, remark)
    error = int(files.bytes * OWN_MIX)
    low = min(files.low_bytes, files.bytes - error)
    mapped = mapped.replace(low_bytes=low)
    if case.companions.own_block and _brings_block(case, files):
        block = own_block_weights(case).bytes
        line = taken_off(mapped.arithmetic, block, "of the block that drafts")
        mapped = mapped.resized(mapped.bytes - block, line)
    of_recipe = sum_bytes(usual.tensors)
    tensors = _loaded(usual.tensors, case.row)
    loaded = _in_proportion(tensors, files.bytes, of_recipe)
    return _InFile(term=mapped, loaded=loaded, is_mix=True)


def _in_proportion(
    tensors: Iterable[FileTensors],
    size: int,
    of_size: int,
) -> list[FileTensors]:
    """The tensors of `of_size` bytes, each as large as it is in `size` bytes."""
    resized = []
    for tensor in tensors:
        tensor_bytes = tensor.bytes * size // of_size
        resized.append(tensor.replace(bytes=tensor_bytes))
    return resized


def _brings_block(case: Case, files: Term) -> bool:
    """Whether the size of the files includes the multi-token-prediction block that drafts: the
    computed size does, a published one where such files are known to bring the block.
    """
    return files.how is not How.STATED or bool(case.row.mtp_in_gguf)


def _by_recipe(
    case: Case,
    files: Term,
    usual: UsualTensors,
) -> _InFile:
    """The weights of a file that follows llama-quantize's recipe."""
    loaded = _loaded(usual.tensors, case.row)
    source = RECIPE
    if files.how is How.STATED:
        source += f"; agrees with the size of {files.source.removeprefix(SIZE_OF)}"
    weights = _stored("weights", loaded, How.COMPUTED, source)
    size = sum_bytes(usual.tensors)
    less_bytes = size - usual.least_bytes
    if not case.row.mtp_in_gguf:
        # the file may lack the block of multi-token prediction
        less_bytes += block_bytes(loaded)
    weights = weights.widened(less_bytes, usual.most_bytes - size)
    return _InFile(term=weights, loaded=loaded)


def _loaded(tensors: Iterable[FileTensors], row: ArchitectureRow) -> list[FileTensors]:
    """The tensors that are loaded: all but a multi-token-prediction block, which stays in the file
    unless it drafts. Some architectures always load a part of the block.
    """
    names = _loaded_of_block(row)
    loaded = []
    for tensor in tensors:
        if not tensor.extra or tensor.name.startswith(names):
            loaded.append(tensor)
    return loaded


def _loaded_of_block(row: ArchitectureRow) -> tuple[str, ...]:
    """The prefixes of the names of those tensors of a multi-token-prediction block that are loaded
    whether it drafts or not.
    """
    return tuple(f"blk.*.{name}" for name in row.mtp_loaded)


def _stored(
    name: str,
    tensors: Sequence[FileTensors],
    how: How,
    source: str,
) -> Term:
    """The term of tensors as they lie in the file."""
    return term(name, sum_bytes(tensors), source, bytes_by_type(tensors), how)


def _on_devices(in_file: _InFile, row: ArchitectureRow) -> Term:
    """The weights that devices hold: without the tables that stay mapped in RAM (load_tensors in
    src/llama-model.cpp), and with the output matrix on the device of the last layer. A token table
    that is also the output matrix is copied to a device (TENSOR_DUPLICATED).

    weights - tables + copy of the token table
    """
    weights = in_file.term
    output_bytes = in_file.bytes_of("output.")
    tables_bytes = in_file.bytes_of(TABLES)
    copied_bytes = 0
    if in_file.is_tied(row):
        copied_bytes = in_file.bytes_of(TOKEN_TABLE)
    line = weights.arithmetic
    if copied_bytes != tables_bytes:
        line = taken_off(line, tables_bytes, "of embeddings")
        if copied_bytes:
            line = summed(line, f"{copied_bytes:,} of them as the output matrix")
    weights = weights.resized(weights.bytes - tables_bytes + copied_bytes, line)
    return weights.replace(output_bytes=output_bytes + copied_bytes)


def _tables_in_ram(in_file: _InFile) -> Term:
    """The tables that stay mapped in RAM where devices have the weights."""
    tables = in_file.bytes_of(TABLES)
    weights = in_file.term
    source = f"{weights.source}; llama.cpp keeps the input layer in RAM (load_tensors)"
    line = f"{tables:,} bytes of tables, mapped; a token reads a row of each, the rest may be"
    line += " dropped"
    return term("embeddings", Size(0, tables, tables), source, line, weights.how)


class _SecondLayout:
    """The tensors that stay as they lie in the file, and the tensors that move to a second layout.
    A token table that is also the output matrix is in both (TENSOR_DUPLICATED).
    """

    def __init__(self, in_file: _InFile, case: Case) -> None:
        layout = _layout_for(case)
        is_tied = in_file.is_tied(case.row)
        self.mapped = in_file.term
        self.stays = list[FileTensors]()
        self.moves = list[FileTensors]()
        # source files of llama.cpp, in the order of their first use
        self.sources = dict[str, None]()
        self.wider_bytes = 0
        self.table_bytes = 0
        for tensor in in_file.loaded:
            buffer = _buffer_of(tensor, layout, is_tied=is_tied)
            if buffer is None:
                self.stays.append(tensor)
            else:
                self._move(tensor, buffer)

    def _move(self, tensor: FileTensors, buffer: LayoutBuffer) -> None:
        """Note a tensor that the buffer lays out in the second layout."""
        self.sources[buffer.source] = None
        self.wider_bytes += buffer.bytes_beyond(tensor)
        if tensor.name == TOKEN_TABLE:
            self.stays.append(tensor)
            self.table_bytes += tensor.bytes
        else:
            self.moves.append(tensor)

    def needs(self) -> Needs:
        """The weights as they lie in the file and those in the second layout."""
        if not self.sources:
            return Needs(terms=(self.mapped,))
        rest = self._term_of("weights", self.stays, self.mapped.source)
        return Needs(
            terms=(rest, self._copies()), evictable_bytes=sum_bytes(self.moves)
        )

    def _copies(self) -> Term:
        """The tensors in the second layout: bytes in the file + token table + wider blocks."""
        files = ", ".join(self.sources)
        source = f"{SOURCE}: {files}; interleaved for this processor, the originals in the page"
        source += " cache may be dropped"
        copies = self._term_of("repacked_weights", self.moves, source)
        line = copies.arithmetic
        if self.table_bytes:
            table = f"{self.table_bytes:,} bytes of the token table, the output matrix"
            line = summed(line, table)
        if self.wider_bytes:
            line = summed(line, f"{self.wider_bytes:,} bytes of a wider layout")
        size = copies.bytes + self.table_bytes + self.wider_bytes
        return copies.resized(size, line)

    def _term_of(
        self,
        name: str,
        tensors: Sequence[FileTensors],
        source: str,
    ) -> Term:
        """The term of some tensors of the mapped file, with their share of the file's range."""
        mapped = self.mapped
        share = _stored(name, tensors, mapped.how, source)
        less_bytes = (mapped.bytes - mapped.low_bytes) * share.bytes // mapped.bytes
        more_bytes = (mapped.high_bytes - mapped.bytes) * share.bytes // mapped.bytes
        return share.widened(less_bytes, more_bytes)


def _layout_for(case: Case) -> Sequence[LayoutBuffer]:
    """The buffers of the first layout that the processor supports. () where its instruction sets
    are not known, or where they crash a program that has an option to leave weights as they are
    (`unpacked`).
    """
    instruction_sets = case.instruction_sets or ()
    runtime = case.runtime
    can_leave_out = "unpacked" in runtime.command_lines.options
    if can_leave_out and runtime.crashing_sets(instruction_sets):
        return ()
    for name, buffers in LAYOUTS.items():
        if name in instruction_sets:
            return buffers
    return ()


def _buffer_of(
    tensor: FileTensors,
    layout: Sequence[LayoutBuffer],
    *,
    is_tied: bool,
) -> LayoutBuffer | None:
    """The buffer that lays out the tensor in the second layout; None for tensors that are not
    multiplied matrices.
    """
    name = tensor.name
    is_matrix = name.endswith(".weight") and len(tensor.shape) >= 2
    if not is_matrix or name.endswith(_ABSORBED):
        return None
    is_output = is_tied and name == TOKEN_TABLE
    if name.startswith(_LOOKED_UP) and not is_output:
        return None
    for buffer in layout:
        if buffer.takes(tensor):
            return buffer
    return None


def _expert_tensors(case: Case) -> list[FileTensors]:
    """The matrices of experts and their biases; [] for a model whose tensors are not known."""
    usual = _usual_tensors(case) if case.model.has_experts else None
    if usual is None:
        return []
    return list(filter(is_of_experts, usual.tensors))


def why_experts_unplaced(case: Case) -> str | None:
    """Why the memory is not computed with the tensors that a user's patterns keep in RAM; None
    where it is computed, and without patterns.
    """
    stated = case.settings.get("experts_in_ram", "")
    usual = _usual_tensors(case)
    if "=" not in stated or usual is None:
        return None
    return why_patterns_refused(stated, usual.tensors, case.model.layers)


def largest_experts_bytes(case: Case) -> int:
    """The bytes of all experts of one layer, counting each matrix at its largest, without
    biases.
    """
    largest: dict[str, int] = {}
    for tensor in _expert_tensors(case):
        name = tensor.name
        if not name.endswith("_exps.weight"):
            continue
        size = tensor.bytes // tensor.count
        largest[name] = max(size, largest.get(name, 0))
    return sum(largest.values())


def _with_experts_apart(case: Case, in_file: _InFile, weights: Term) -> Terms:
    """The terms of the weights where options keep experts in RAM: all weights but experts, the
    experts on the devices by layers, and the experts in RAM. Each has its share of the range.
    """
    if "experts_in_ram" not in case.settings:
        return (weights,)
    tensors = list(filter(is_of_experts, in_file.loaded))
    in_ram = layers_in_ram(case, tensors)
    if not any(in_ram.values()):
        return (weights,)
    size = sum_bytes(tensors)
    line = f"{weights.bytes:,} - {size:,} bytes of experts"
    rest = _part_of(weights, weights.bytes - size, line)
    if in_file.is_mix:
        # publishers give the rest 8 bits where experts have 4
        rest = rest.replace(high_bytes=2 * rest.bytes)
    terms = [rest]
    layers = layers_with_experts(case)
    ram_bytes = size
    on_devices = []
    for run in _runs_on_devices(in_ram, layers):
        of_names = sum_bytes(tensor for tensor in tensors if tensor.name in run.names)
        run_bytes = of_names * run.layers // len(layers)
        ram_bytes -= run_bytes
        on_devices.append((run, run_bytes))
    error = 0
    if len(in_ram) < len(tensors):
        # the matrices of one name have different types in different layers
        error = int(min(ram_bytes, size - ram_bytes) * SIZES.experts_error)
    for run, run_bytes in on_devices:
        experts = _experts_of(weights, run_bytes, run.layers, min(error, run_bytes))
        terms.append(
            experts.replace(first_layer=run.first_layer, stop_layer=run.stop_layer)
        )
    layers_of_ram = frozenset[int]().union(*in_ram.values())
    experts = _experts_of(weights, ram_bytes, len(layers_of_ram), error)
    terms.append(experts.replace(split=Split.HOST))
    return tuple(terms)


def _part_of(weights: Term, size: int, line: str) -> Term:
    """A part of the weights of so many bytes, with its share of their range."""
    low = weights.low_bytes * size // weights.bytes
    high = weights.high_bytes * size // weights.bytes
    return weights.with_size(Size(low, size, high), line)


class _Run(Record):
    """Layers in a row of which the devices hold the same tensors of experts.

    `layers` counts those with experts from `first_layer` to the one before `stop_layer`; the last
    run ends with the model.
    """

    names: frozenset[str]
    layers: int
    first_layer: int
    stop_layer: int | None = None


def _runs_on_devices(in_ram: LayersByTensor, layers: Sequence[int]) -> list[_Run]:
    """The layers whose experts the devices hold, in runs of equal layers."""
    runs = list[_Run]()

    def names_on_devices(layer: int) -> frozenset[str]:
        """The tensors of experts that the devices hold of a layer."""
        return frozenset(name for name, ram in in_ram.items() if layer not in ram)

    for names, run in groupby(layers, key=names_on_devices):
        numbers = list(run)
        if not names:
            continue
        is_last = numbers[-1] == layers[-1]
        stop_layer = None if is_last else numbers[-1] + 1
        runs.append(
            _Run(
                names=names,
                layers=len(numbers),
                first_layer=numbers[0],
                stop_layer=stop_layer,
            )
        )
    return runs


def _experts_of(
    weights: Term,
    size: int,
    layers: int,
    error: int,
) -> Term:
    """The term of the experts of `layers` layers, with an error of `error` bytes."""
    line = f"{size:,} bytes; experts of {plural(layers, 'layer')}"
    experts = _part_of(weights, size, line).widened(error, error)
    return experts.replace(how=How.COMPUTED, output_bytes=0)


def own_block_weights(case: Case) -> Term:
    """The model's own multi-token-prediction block in bytes, as far as it is not loaded anyway.

    It is as large as in the file that was read; else as by the recipe of the quantization, or by
    the recipe nearest to a publisher's mix.
    """
    loaded = _loaded_of_block(case.row)
    read = _block_tensors(case.tensors_in_header or (), loaded)
    if read:
        source = f"tensor table in the header of {case.spec.origin}"
        return _stored("mtp_weights", read, How.EXACT, source)
    recipe = recipe_of_file(case)
    usual: tuple[FileTensors, ...] = ()
    if recipe is not None:
        usual = usual_tensors(case.model, recipe, case.spec.released).tensors
    tensors = _block_tensors(usual, loaded)
    block = _stored("mtp_weights", tensors, How.COMPUTED, RECIPE)
    error = int(block.bytes * SIZES.recipe_error)
    block = block.widened(error, error)
    if case.row.mtp_in_gguf:
        return block
    why = "published files may lack the block: use one that was converted with it"
    return block.replace(arithmetic=f"{block.arithmetic}; {why}")


def _block_tensors(
    tensors: Iterable[FileTensors],
    loaded: tuple[str, ...],
) -> list[FileTensors]:
    """The tensors of the block whose names do not begin with one of those that are always
    loaded.
    """
    block = []
    for tensor in tensors:
        if tensor.extra and not tensor.name.startswith(loaded):
            block.append(tensor)
    return block
