"""What a Python runtime holds beside weights and cache: `[account]` of `specs/runtimes/*.toml`."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.records import Record, read_by
from ..core.tomlfile import Table


def _scan_bytes(root: Table, key: str) -> dict[str, float]:
    table = root.table(key)
    if table is None:
        return {}
    sizes = {kind: table.number(kind) or 0.0 for kind in table.values}
    table.close()
    return sizes


def _three(root: Table, key: str) -> tuple[int, ...]:
    return root.integers(key) or (0, 0, 0)


class Account(Record):
    """The rule that needs/python.py applies. Three numbers are the least, likely and most bytes.

    A prompt takes (`width` × the model's width + `inner` × the longest row inside a layer) numbers
    for each token of a piece of `prompt_tokens` (0: the whole prompt), and `waiting_bytes` beside
    them; `score_bytes` for each score where attention stores them, which with `fused_heads` is so
    for heads of any other length; for each number of a recurrent state and token the
    `scan_bytes` of its kind; `mixture_bytes` in a model of experts. The ends are `low_share` and
    `high_share` of the sum, and `high_bytes` more. The program takes `program_bytes` on a CPU
    (none: the overhead, which else is that of a GPU build), and `token_bytes` for each token of the
    vocabulary. Of `waiting_bytes` no more than a pass takes, or with `waits_by_layer` a pass of
    each layer.

    `loads_as`: "stored", "config" (the type of config.json), "sixteen" (that, but 16 bits for 32).
    `windows`: layers with a window keep all tokens ("kept"), the window ("rotated"), or pages of it
    ("paged"). `typed_states`: inputs of convolutions are in the type of the model;
    `narrow_states`: kinds of recurrent layers whose states are so, too. `maps_files`: a table of
    tokens is read by rows. `widened`: types without a kernel on a CPU, `widened_always` on a GPU
    either. `divides_layers`: a server of GPUs that divides layers over them, with the padding,
    tables and room for adapters that needs/vllm.py counts; `ignored_quantizers`: whose weights it
    does not apply. `speech_beams` and `speech_tokens`: of a search by default, for speech.
    """

    loads_as: str = read_by(Table.string, choices=("stored", "config", "sixteen"), default="stored")
    windows: str = read_by(Table.string, choices=("kept", "rotated", "paged"), default="paged")
    typed_states: bool = read_by(Table.boolean, default=False)
    narrow_states: tuple[str, ...] = read_by(Table.strings, default=())
    prompt_tokens: int = read_by(Table.integer, default=0)
    width: float = read_by(Table.number, default=4.0)
    inner: float = read_by(Table.number, default=3.0)
    waiting_bytes: int = read_by(Table.integer, default=0)
    waits_by_layer: bool = read_by(Table.boolean, default=False)
    score_bytes: float = read_by(Table.number, default=0.0)
    fused_heads: tuple[int, ...] = read_by(Table.integers, default=())
    scan_bytes: Mapping[str, float] = read_by(_scan_bytes, default={})
    mixture_bytes: tuple[int, ...] = read_by(_three, default=(0, 0, 0))
    low_share: float = read_by(Table.number, default=0.0)
    high_share: float = read_by(Table.number, default=2.0)
    high_bytes: int = read_by(Table.integer, default=0)
    program_bytes: tuple[int, ...] = read_by(Table.integers, default=())
    token_bytes: tuple[int, ...] = read_by(_three, default=(0, 0, 0))
    maps_files: bool = read_by(Table.boolean, default=False)
    widened: tuple[str, ...] = read_by(Table.strings, default=())
    widened_always: tuple[str, ...] = read_by(Table.strings, default=())
    divides_layers: bool = read_by(Table.boolean, default=False)
    ignored_quantizers: tuple[str, ...] = read_by(Table.strings, default=())
    speech_beams: int = read_by(Table.integer, default=1)
    speech_tokens: int = read_by(Table.integer, default=0)
    source: str = read_by(Table.string, default="")


def account(root: Table, key: str) -> Account:
    """Read the table of that name; a runtime without one has the plain rule."""
    table = root.table(key)
    if table is None:
        return Account()
    values = table.fields(Account)
    table.close()
    return Account(**values)
