"""The table of memory that llama.cpp prints as it ends, and as it fits a model to its devices:
`memory breakdown [MiB]` (src/llama-context.cpp and common/fit.cpp of ggml-org/llama.cpp).
"""

from __future__ import annotations

from ...core.records import pattern
from .formats.words import MIB, place_of
from .run import CONTEXT, SeenMemory

_HEAD = "memory breakdown [MiB]"
# |   - CUDA0 (RTX 3050 Laptop GPU) |  4095 = 3301 + (2398 =  1918 +     224 +     256) + -1604 |
# |   - Host                        |                  321 =   308 +       0 +      13           |
_ROW = pattern(
    r"memory_breakdown_print: \| +- (\w{1,40})(?: \((.{1,80}?)\))? +\|"
    r"(?: +\d{1,9} = +\d{1,9} \+)? +\(? *\d{1,9} = +(\d{1,9}) \+ +(\d{1,9}) \+ +(\d{1,9})\)? "
)
_LAID_OUT_ANEW = ("REPACK", "AARCH64", "AMX")


class Breakdown:
    """The table that was printed last."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, tuple[int, int, int]]] = []
        self._devices: list[str] = []

    def take(self, line: str) -> None:
        """A line that holds `memory_breakdown_print`."""
        if _HEAD in line:
            self._rows, self._devices = [], []
        elif (row := _ROW.search(line)) is not None:
            self._rows.append((row[1], (int(row[3]), int(row[4]), int(row[5]))))
            self._devices += [row[2]] if row[2] else []

    @property
    def gpu(self) -> str | None:
        """The GPU where all of them are of one name; the table writes some names in brackets."""
        names = {name.partition(" (")[0] for name in self._devices}
        return names.pop() if len(names) == 1 else None

    def memory(self) -> tuple[SeenMemory, ...]:
        """Bytes by term and place, each cut to whole MiB by the table."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for device, sizes in self._rows:
            is_anew = device.rpartition("_")[2] in _LAID_OUT_ANEW
            weights = "repacked_weights" if is_anew else "weights"
            for term, mib in zip((weights, CONTEXT, "compute"), sizes, strict=True):
                before, rows = sums.get((term, place_of(device)), (0, 0))
                sums[term, place_of(device)] = before + mib, rows + 1
        return tuple(
            SeenMemory(term=term, bytes=mib * MIB, where=place, rounded_bytes=rows * MIB)
            for (term, place), (mib, rows) in sums.items()
            if mib
        )
