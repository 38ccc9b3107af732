"""The files of a model that publishers state the sizes of, and how others quantized it; with their
readers.
"""

from __future__ import annotations

from ..core.records import Record, read_by
from ..core.tomlfile import Path, Table, shortened
from .quantization_names import APART, FORMATS, QUANTIZATIONS
from .spec_values import repository, size_in_bytes, types_apart

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# what follows the name of an architecture in the table where a model's own file does not tell all
# its tensors
INCOMPLETE = " (incomplete)"
# what the source of a size begins with that was read off a file on this disk; its path follows
SIZE_OF = "size of "


class PublishedFiles(Record):
    """Sizes that one publisher states: `bytes` by quantization. `repository` is where they can be
    fetched from.

    `unsized`: quantizations that lie there and whose size nobody states to the byte; it is
    computed. `names`: the file of a quantization (the first one of a split file), where its name
    holds no tag of that quantization. `listed` is False where no listing of the repository shows
    these files: its publisher usually offers them. `named`: somebody typed the name of the file, or
    Ollama's tag of it, so that it is published, wherever that is.
    """

    format: str = read_by(Table.string, required=True, choices=FORMATS)
    source: str = read_by(Table.text, required=True)
    repository: str | None = read_by(repository, default=None)
    bytes: Mapping[str, int] = read_by(Table.mapping, of=size_in_bytes, default={})
    unsized: tuple[str, ...] = read_by(Table.strings, default=())
    names: Mapping[str, str] = read_by(Table.mapping, of=Table.string, default={})
    listed: bool = read_by(Table.boolean, default=True)
    named: bool = False

    @property
    def quantizations(self) -> tuple[str, ...]:
        """All that lie there, of stated size or not."""
        return (*self.bytes, *self.unsized)


class Quantized(Record):
    """How weights are stored that others quantized: `quantization` of `format`, None where what it
    is has no name here.

    They are judged as they are stored: a GGUF file is made of the weights that they were quantized
    from. `apart`: tensors of MLX's files in another type than that, under the names of GGUF files
    (`blk.*` for all blocks that have one).
    """

    format: str = read_by(Table.string, required=True, choices=("safetensors", "mlx"))
    quantization: str | None = read_by(Table.string, default=None)
    apart: tuple[tuple[str, str], ...] = read_by(types_apart, types=APART, default=())


class FileTensors(Record):
    """Tensors of one file that are alike, `count` of them, together `bytes`: a block's number in
    their name is `*`.

    `extra`: of blocks that predict more than one token.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    count: int
    bytes: int
    extra: bool = False


def check_files(table: Table, values: Mapping[str, Any]) -> None:
    """Note what the keys of one `[[files]]` cannot tell alone."""
    sizes, unsized = table.values.get("bytes"), values["unsized"]
    sized = list(sizes) if isinstance(sizes, dict) else []
    if not sized and not unsized and sizes in (None, {}):
        missing = "is missing" if sizes is None else "is empty"
        table.problem("bytes", missing, "write for example bytes.Q4_K_M = 4_372_812_000")
    if unsized and "repository" not in table:
        message = "names files that lie in no repository"
        table.problem("unsized", message, "write repository, or bytes with their sizes")
    for name in sized:
        _check_quantization(table, ("bytes", name), name, values["format"])
    for place, name in enumerate(unsized):
        _check_quantization(table, ("unsized", place), name, values["format"])
    for name in values["names"]:
        if name not in (*sized, *unsized):
            guess = table.document.guess(name, (*sized, *unsized))
            remedy = (
                f"did you mean {guess}?" if guess else f"one of {', '.join((*sized, *unsized))}"
            )
            table.document.add((*table.path, "names", name), "is not among the files", remedy)


def check_quantized(table: Table, values: Mapping[str, Any]) -> None:
    """The same of `[quantized]`."""
    if values["quantization"] is not None:
        _check_quantization(table, ("quantization",), values["quantization"], values["format"])
    if values["format"] == "safetensors" and "apart" in table:
        table.problem("apart", "is of MLX's files alone", "write it under [architecture.apart]")


def _check_quantization(table: Table, path: Path, name: str, format: str | None) -> None:
    choices = QUANTIZATIONS.get(format or "", (name,))
    if name not in choices:
        # without the groups and bits, which are variants
        plain = [choice for choice in choices if "-" not in choice] or choices
        guess = table.document.guess(name, choices)
        remedy = f"did you mean {guess}?" if guess else f"known: {', '.join(plain)}"
        message = f'"{shortened(name)}" is not a quantization of {format}'
        table.document.add((*table.path, *path), message, remedy)
