"""The compute buffers of llama.cpp, read from a file if they were replayed when the package was
built.

The replay of one buffer takes milliseconds, and a list of all models asks for thousands.
`compute_bytes` has the argument and the answer of `graph.exact_compute_bytes`. A package holds the
buffers of every shipped architecture under its default questions, keyed by a fingerprint of
everything that they depend on. The buffers of other questions, of other models and of a checkout
are replayed when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from zlib import adler32, crc32

from ...catalogue.architecture import Architecture
from ...core.stored import Store, shipped_store
from ..case import Batch, Case, ContextSetup
from ..tensors import row_of

# the bytes of an architecture's buffers by the name of the question; None where no graph can be
# built
Buffers = Mapping[str, int | None]


def compute_bytes(batch: Batch) -> int | None:
    """The compute buffer to the byte; None where the architecture has no graph here."""
    batch = batch.replace(model=_as_built(batch.model))
    stored = _stored_buffers(batch.model)
    # most architectures of a checkout have none stored, and a name takes as long as a look-up
    if stored:
        name = _name_of(batch)
        if name in stored:
            return stored[name]
    # imported here: a stored answer needs no module that replays graphs, which saves 6 ms
    from .graph import exact_compute_bytes

    return exact_compute_bytes(batch)


def _name_of(batch: Batch) -> str:
    """The name of a batch among the stored ones of an architecture; "" where the cells differ from
    the default in anything but tokens, batch and type, because such batches are not stored.
    """
    setup = batch.setup
    type = setup.key_type
    usual = ContextSetup(
        tokens=setup.tokens, batch=setup.batch, key_type=type, value_type=type
    )
    if setup != usual:
        return ""
    place = " on a device" if batch.on_device else ""
    return f"{setup.tokens} {setup.batch} {batch.logits_rows} {type}{place}"


@lru_cache(maxsize=1024)
def _as_built(model: Architecture) -> Architecture:
    """The architecture without the fields that do not affect the graph: the types of the weights,
    and the contexts. Many models differ only in these, so they share a buffer.
    """
    return model.replace(
        dtype=None,
        matrix_dtype=None,
        expert_dtype=None,
        quantizer=None,
        context_tokens=None,
        scaled_context_tokens=None,
        yarn_original_tokens=None,
    )


@lru_cache(maxsize=1024)
def _stored_buffers(model: Architecture) -> Buffers:
    """The stored buffers of an architecture; {} for an architecture that is not shipped."""
    if row_of(model).graph is None:
        return {}
    return _stored_by_fingerprint().get(_fingerprint(model), {})


@cache
def _stored_by_fingerprint() -> Mapping[str, Buffers]:
    store = shipped_store()
    # in a checkout nothing is stored: replaying every graph takes longer than replaying the few
    # that are asked for
    return store.rows("buffers", dict) if store.is_package else {}


def keep_buffers(store: Store, cases: Iterable[Case]) -> None:
    """Store the sizes of the buffers that these cases ask for, in RAM and on a device."""
    by_fingerprint: dict[str, dict[str, int | None]] = {}
    for case in cases:
        if case.row.graph is None:
            continue
        fingerprint = _fingerprint(_as_built(case.model))
        buffers = by_fingerprint.setdefault(fingerprint, {})
        last = case.batch
        first = last.replace(setup=case.setup_of_first_batch)
        # those that compute.py reads
        for batch in (last, last.replace(on_device=True), first):
            name = _name_of(batch)
            if name and name not in buffers:
                buffers[name] = compute_bytes(batch)
    store.rows("buffers", lambda: by_fingerprint)


def _fingerprint(model: Architecture) -> str:
    """64 bits that tell an architecture with its row from any other.

    Two checksums, for hashlib takes longer to load than a buffer to replay.
    """
    content = f"{model} {row_of(model)}".encode()
    return f"{crc32(content):08x}{adler32(content):08x}"
