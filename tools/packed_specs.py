"""Writes the stored form of `specs/` into a folder, as a package has it; `setup.py` calls it."""

from __future__ import annotations

import os

from selfhost.catalogue.index import ShippedSpecs
from selfhost.catalogue.offers import snapshot_in
from selfhost.catalogue.scores import scores_in
from selfhost.core.stored import Store
from selfhost.core.tables import stored_table
from selfhost.machine.profiles import rows_in


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
