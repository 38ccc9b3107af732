"""The files of a model that publishers state the sizes of, and how others quantized it; with their
readers.
"""

from __future__ import annotations

from ..core.records import Record
from ..core.tomlfile import Table
from .quantization_names import APART, FORMATS, QUANTIZATIONS
from .spec_values import repository, size_in_bytes, types_apart

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    format: str
    source: str
    repository: str | None = None
    bytes: Mapping[str, int] = {}
    unsized: tuple[str, ...] = ()
    names: Mapping[str, str] = {}
    listed: bool = True
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

    format: str
    quantization: str | None = None
    apart: tuple[tuple[str, str], ...] = ()


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


def published_files(table: Table) -> PublishedFiles | None:
    """One `[[files]]`; None where its format or source is missing or wrong."""
    stored_as = table.string("format", required=True, choices=FORMATS)
    source = table.text("source", required=True)
    owner_and_name = repository(table, "repository")
    unsized = table.strings("unsized")
    _check_unsized(table, stored_as, unsized)
    sizes = _sizes(table, stored_as)
    names = _names(table, (*sizes, *unsized))
    listed = table.boolean("listed")
    table.close()
    if stored_as is None or source is None:
        return None
    return PublishedFiles(
        format=stored_as,
        source=source,
        repository=owner_and_name,
        bytes=sizes,
        unsized=unsized,
        names=names,
        listed=listed is not False,
    )


def _names(table: Table, quantizations: tuple[str, ...]) -> dict[str, str]:
    """`names`: file names by quantization."""
    names_table = table.table("names")
    if names_table is None:
        return {}
    names: dict[str, str] = {}
    for quantization in names_table.values:
        names[quantization] = names_table.string(quantization) or ""
        if quantization not in quantizations:
            guess = table.document.guess(quantization, quantizations)
            listed = f"one of {', '.join(quantizations)}" if quantizations else None
            names_table.problem(
                quantization,
                "is not among the files",
                f"did you mean {guess}?" if guess else listed,
            )
    names_table.close()
    return names


def _check_unsized(table: Table, stored_as: str | None, unsized: tuple[str, ...]) -> None:
    if "bytes" not in table and not unsized:
        table.problem("bytes", "is missing", "write for example bytes.Q4_K_M = 4_372_812_000")
    choices = QUANTIZATIONS.get(stored_as or "")
    for index, name in enumerate(unsized):
        if choices is not None and name not in choices:
            guess = table.document.guess(name, choices)
            table.document.add(
                (*table.path, "unsized", index),
                f'"{name}" is not a quantization of {stored_as}',
                f'did you mean "{guess}"?' if guess else None,
            )
    if unsized and "repository" not in table:
        table.problem(
            "unsized",
            "names files that lie in no repository",
            "write repository, or bytes with their sizes",
        )


def _sizes(table: Table, stored_as: str | None) -> dict[str, int]:
    """`bytes`: sizes by quantization."""
    sizes_table = table.table("bytes")
    if sizes_table is None:
        return {}
    if not sizes_table.values:
        table.problem("bytes", "is empty", "write for example bytes.Q4_K_M = 4_372_812_000")
    sizes: dict[str, int] = {}
    for name in sizes_table.values:
        sizes[name] = size_in_bytes(sizes_table, name) or 0
        choices = QUANTIZATIONS.get(stored_as or "", (name,))
        if name not in choices:
            guess = table.document.guess(name, choices)
            # without the groups and bits, which are variants
            plain = ", ".join(choice for choice in choices if "-" not in choice)
            sizes_table.problem(
                name,
                f"is not a quantization of {stored_as}",
                f"did you mean {guess}?" if guess else f"known: {plain}",
            )
    return sizes


def quantized(root: Table, key: str) -> Quantized | None:
    """`[quantized]`; None where it is missing or its format is wrong."""
    table = root.table(key)
    if table is None:
        return None
    format = table.string("format", required=True, choices=("safetensors", "mlx"))
    name = table.string("quantization")
    choices = QUANTIZATIONS.get(format or "", ())
    if name is not None and choices and name not in choices:
        guess = table.document.guess(name, choices)
        remedy = f"did you mean {guess}?" if guess else f"known: {', '.join(choices)}"
        table.problem("quantization", f'"{name}" is not a quantization of {format}', remedy)
    if format == "safetensors" and "apart" in table:
        table.problem("apart", "is of MLX's files alone", "write it under [architecture.apart]")
    apart = types_apart(table, "apart", types=APART)
    table.close()
    if format is None:
        return None
    return Quantized(format=format, quantization=name, apart=apart)
