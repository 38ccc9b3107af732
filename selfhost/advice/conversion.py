"""How to come by a file that no repository is known to have: where to look first, and how to make
it of the publisher's weights, converted and quantized.
"""

from __future__ import annotations

import os

from ..catalogue.runtime import Conversion
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import Record
from ..core.workload import Workload
from ..judge.files import can_be_made, is_published
from .blanks import filled, in_shell


class Recipe(Record):
    """Lines that make `file`, and `projector` beside it for a model that sees (else None)."""

    lines: tuple[str, ...]
    file: str
    projector: str | None


def recipe(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
) -> Recipe | None:
    """The lines that make the file that was judged, after a comment where it may be had; None where
    the runtime has no converter, where the publisher's repository is not known, or where the
    quantization cannot be made so. Of a lone config.json they take the folder that it lies in,
    where the weights are to be put.
    """
    conversion, quantization = runtime.conversion, workload.quantization or ""
    if conversion is None or not can_be_made(spec, runtime, workload):
        return None
    # as it is typed in a shell
    folder = in_shell(os.path.dirname(spec.origin) or ".", is_windows=False)
    blanks = {
        "repository": spec.repository or "",
        "model": folder if spec.is_lone_config else spec.id,
        "file": filled(conversion.file, {"model": spec.id, "quantization": quantization}),
        "quantization": quantization,
        "type": conversion.types.get(quantization) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": runtime.blanks.get("remote_code", "") if spec.safety.remote_code else "",
    }
    written = blanks if quantization in conversion.types else {**blanks, "file": blanks["source"]}
    # nobody says where the weights of a lone config.json are
    download = "" if spec.is_lone_config else conversion.download
    lines = [
        *_where_to_look(spec, conversion, workload),
        _to_do(spec, quantization),
        *conversion.tools,
        *filter(None, [filled(download, blanks)]),
        filled(conversion.convert, written),
    ]
    if quantization not in conversion.types:
        lines.append(filled(conversion.quantize, blanks))
    sees = spec.modality == "vision" and bool(conversion.projector)
    if sees:
        lines.append(filled(conversion.projector, blanks))
    return Recipe(
        lines=tuple(lines), file=blanks["file"], projector=blanks["projector"] if sees else None
    )


def _where_to_look(spec: ModelSpec, conversion: Conversion, workload: Workload) -> tuple[str, ...]:
    """Comments: that no published files are known, and where they would be."""
    if spec.is_lone_config or is_published(spec, workload):
        return ()
    quantization = workload.quantization or ""
    lacks = f"# this catalogue knows no published {quantization} files of {spec.name}"
    # `-hf` marks a conversion to transformers, whose name other conversions do not repeat
    name = (spec.repository or "").rpartition("/")[2].removesuffix("-hf")
    where = filled(conversion.look_first, {"name": name, "quantization": quantization})
    return f"{lacks}; look first at", f"# {where}"


def _to_do(spec: ModelSpec, quantization: str) -> str:
    if spec.is_lone_config:
        beside = os.path.basename(spec.origin)
        return f"# put the weights beside {beside}, then make {quantization} of them"
    return f"# or make {quantization} files of {spec.name}"
