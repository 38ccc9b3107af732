"""Writes the stored form of `specs/` into a folder, as a package has it; `setup.py` calls it.

`core/stored.py` reads what is written here.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from selfhost.catalogue.index import Catalogue, ShippedSpecs
from selfhost.catalogue.offers import snapshot_in
from selfhost.catalogue.scores import scores_in
from selfhost.core.stored import Rows, Store, as_json, with_checksum
from selfhost.core.tables import stored_table
from selfhost.core.workload import DEFAULT_CONTEXT_TOKENS, Workload
from selfhost.judge.settings import SMALLER_CACHES
from selfhost.machine.profiles import rows_in
from selfhost.needs import Case, case_for, in_batches, trained_tokens
from selfhost.needs.llamacpp.buffers import keep_buffers

# the program whose compute buffers are stored; those that are made of it ask for the same
_RUNTIME = "llama.cpp"
# the usual context, and that of a conversation that grew
_CONTEXTS = (DEFAULT_CONTEXT_TOKENS, 16_384)


class PackedStore(Store):
    """A folder of TOML files, each value of which is written into the folder of a package."""

    def __init__(self, source: str, target: str) -> None:
        super().__init__(source)
        self._target = target

    def value(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the value, and write it where a package has it."""
        value = make()
        self._write(f"{name}.json", with_checksum(as_json(value)))
        return value

    def rows(self, name: str, make: Callable[[], Rows]) -> Rows:
        """Return the rows, and write them, and the place of each, where a package has them."""
        rows = make()
        places = {}
        content = bytearray()
        for key, value in rows.items():
            line = as_json(value)
            places[key] = (len(content), len(line), zlib.crc32(line))
            content += line + b"\n"
        self._write(f"{name}.jsonl", bytes(content))
        self.value(f"{name}-places", lambda: places)
        return rows

    def _write(self, file: str, content: bytes) -> None:
        path = os.path.join(self._target, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)


def pack(source: str, target: str) -> None:
    """Write every value of the specs in `source` as a file of `target`."""
    store = PackedStore(source, target)
    specs = ShippedSpecs(store)
    for kind in ("aliases", "whole", "makers"):
        specs.names(kind)
    _ = specs.outlines
    for name in specs.runtime_names:
        stored_table(store, f"runtimes/{name}")
    rows_in(store)
    common = os.path.join(source, "common")
    snapshot_in(store, os.path.join(common, "offers.jsonl"))
    scores_in(store)
    for file in sorted(os.listdir(common)):
        if file.endswith(".toml"):
            stored_table(store, f"common/{file.removesuffix('.toml')}")
    keep_buffers(store, usual_cases(Catalogue(specs)))


def usual_cases(catalogue: Catalogue) -> Iterator[Case]:
    """What is asked of each model of which the layers are known, unless a user says more."""
    runtime = catalogue.runtime(_RUNTIME)
    for spec in catalogue.specs():
        if spec.architecture is None:
            continue
        trained = trained_tokens(spec.architecture)
        for tokens in _CONTEXTS:
            context_tokens = min(trained or DEFAULT_CONTEXT_TOKENS, tokens)
            workload = Workload(format="gguf", context_tokens=context_tokens)
            case = case_for(spec, runtime, workload)
            yield case
            for type in SMALLER_CACHES:
                # the choice tries such a cache where the usual one has no room
                if runtime.keeps_cache_in(type):
                    smaller = workload.replace(kv_cache_type=type)
                    yield case_for(spec, runtime, smaller)
            if spec.architecture.has_experts:
                # experts in RAM cross to a GPU once for each batch of a prompt
                for batch_tokens in runtime.batches.beside_ram:
                    yield in_batches(case, min(batch_tokens, context_tokens))
