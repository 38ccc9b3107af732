"""Writes the stored form of `specs/` into a folder, as a package has it; `setup.py` calls it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from selfhost.catalogue.index import Catalogue, ShippedSpecs
from selfhost.catalogue.offers import snapshot_in
from selfhost.catalogue.scores import scores_in
from selfhost.core.stored import Store
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


def pack(source: str, target: str) -> None:
    """Write every value of the specs in `source` as a file of `target`."""
    store = Store(source, target)
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
