"""What a package has in place of the TOML files of `specs/`: `setup.py` writes it into the build."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from marshal import dumps
from typing import Any

from selfhost.catalogue.index import (
    INDEX_FILE,
    MODELS_FILE,
    OUTLINES_FILE,
    SpecFolder,
    specs_in,
)
from selfhost.catalogue.offers import ROWS_ENDING, snapshot
from selfhost.core.tables import STORED

# later ones write down which objects are shared, which differs between builds
_FORMAT = 2


def package_files(source: str) -> dict[str, bytes]:
    """What a package has in place of the folder `source`, by the path below it."""
    folder = specs_in(source)
    places, models = _packed(folder.values)
    files = {id: f"specs/{os.path.relpath(file, source)}" for id, file in folder.files.items()}
    contents: dict[str, Any] = {
        INDEX_FILE: {id: (file, *places[id]) for id, file in files.items()},
        **{f"{kind}{STORED}": folder.names(kind) for kind in ("aliases", "whole")},
        OUTLINES_FILE: [outline.__getstate__() for outline in folder.outlines],
        f"machines{STORED}": SpecFolder(os.path.join(source, "machines"), [""]).values,
    }
    for sub in ("common", "runtimes"):
        for name, values in SpecFolder(os.path.join(source, sub), [""]).values.items():
            contents[f"{sub}/{name}{STORED}"] = values
    offers = snapshot(os.path.join(source, "common", "offers.jsonl"))
    places, rows = _packed(offers.rows)
    index = offers.replace(rows=places).__getstate__()
    contents[f"common/offers{STORED}"] = {
        key: dict(part) if isinstance(part, dict) else part for key, part in index.items()
    }
    stored = {name: dumps(value, _FORMAT) for name, value in contents.items()}
    return {**stored, MODELS_FILE: models, f"common/offers{ROWS_ENDING}": rows}


def _packed(values: Mapping[str, Any]) -> tuple[dict[str, tuple[int, int]], bytes]:
    """Each value's place in a file, its start and its length, and that file."""
    places, content = {}, bytearray()
    for name, value in values.items():
        packed = zlib.compress(dumps(value, _FORMAT), 9)
        places[name] = (len(content), len(packed))
        content += packed
    return places, bytes(content)
