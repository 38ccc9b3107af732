"""The compute buffers of llama.cpp, read where they were replayed when the package was built.

To replay one takes milliseconds, and a list of all models asks for thousands. `compute_bytes` has
the arguments and the answer of `graph.exact_compute_bytes`. A package holds the buffers of every
shipped architecture under its default questions, by a fingerprint of all that they follow from. The
buffers of other questions, of other models and of a checkout are replayed when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from zlib import adler32, crc32

from ...catalogue.architecture import Architecture
from ...core.stored import Store, shipped_store
from ..case import Case, Cells
from ..tensors import ArchitectureRow

# the bytes of an architecture by what `_key` makes of tokens, batch and rows of logits; None where
# no graph can be built
Buffers = Mapping[str, int | None]


def compute_bytes(
    model: Architecture,
    row: ArchitectureRow,
    room: Cells,
    logits_rows: int,
    *,
    on_device: bool = False,
) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here."""
    stored = _stored_buffers(model, row)
    key = _key(room, logits_rows, on_device=on_device)
    if key is not None and key in stored:
        return stored[key]
    # what is stored needs none of the modules that replay a graph: 6 ms
    from .graph import exact_compute_bytes

    return exact_compute_bytes(model, row, room, logits_rows, on_device=on_device)


@lru_cache(maxsize=1024)
def _stored_buffers(model: Architecture, row: ArchitectureRow) -> Buffers:
    """The stored buffers of an architecture, none where it is no shipped one."""
    if row.graph is None:
        return {}
    return _stored_by_fingerprint().get(_fingerprint(model, row), {})


@cache
def _stored_by_fingerprint() -> Mapping[str, Buffers]:
    store = shipped_store()
    # of a checkout to replay them all takes longer than to replay the few that are asked for
    return store.rows("buffers", dict) if store.is_package else {}


def keep_buffers(store: Store, cases: Iterable[Case]) -> None:
    """Write the stored form of the buffers that these cases ask for, in RAM and on a device."""
    from .graph import exact_compute_bytes

    by_fingerprint: dict[str, dict[str, int | None]] = {}
    for case in cases:
        if case.row.graph is None:
            continue
        fingerprint = _fingerprint(case.model, case.row)
        buffers = by_fingerprint.setdefault(fingerprint, {})
        rows = case.logits_rows
        for room in (case.room, case.room_of_first_batch):
            for on_device in (False, True):
                key = _key(room, rows, on_device=on_device)
                if key is not None and key not in buffers:
                    buffers[key] = exact_compute_bytes(
                        case.model, case.row, room, rows, on_device=on_device
                    )
    store.rows("buffers", lambda: by_fingerprint)


def _key(room: Cells, logits_rows: int, *, on_device: bool) -> str | None:
    """The name of a question among those of one architecture; None where no such is stored: but for
    tokens and batch it has other cells than the default.
    """
    if room != Cells(tokens=room.tokens, batch=room.batch):
        return None
    place = " on a device" if on_device else ""
    return f"{room.tokens} {room.batch} {logits_rows}{place}"


def _fingerprint(model: Architecture, row: ArchitectureRow) -> str:
    """64 bits that tell an architecture with its row from any other.

    Two checksums, for hashlib takes longer to load than a buffer to replay.
    """
    content = f"{model} {row}".encode()
    return f"{crc32(content):08x}{adler32(content):08x}"
