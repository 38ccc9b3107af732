"""How to make a file that nobody published: the publisher's weights, converted and quantized."""

from __future__ import annotations

import os

from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import Workload
from ..needs.records import Making
from ..verdict.making import can_be_made


class Recipe(Record):
    """Lines that make `file`, and `projector` beside it for a model that sees (else None)."""

    lines: tuple[str, ...]
    file: str
    projector: str | None


def recipe(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    workload: Workload,
    making: Making | None,
    *,
    is_published: bool = False,
) -> Recipe | None:
    """The lines that make the file that was judged; None where the runtime has no converter, where
    the publisher's repository is not known, or where the quantization cannot be made so. Of a
    lone config.json they take the folder that it lies in, where the weights are to be put.
    `is_published`: somebody publishes the model for another program, so that nothing is said on it.
    """
    conversion, quantization = runtime.conversion, workload.quantization or ""
    if conversion is None or not can_be_made(spec, runtime, workload):
        return None
    folder = _folder_of(spec.origin) if spec.is_lone_config else spec.id
    blanks = {
        "repository": spec.repository or "",
        "model": folder,
        "file": _filled(conversion.file, {"model": spec.id, "quantization": quantization}),
        "quantization": quantization,
        "type": conversion.types.get(quantization) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": runtime.remote_code_option if spec.safety.remote_code else "",
    }
    written = blanks if quantization in conversion.types else {**blanks, "file": blanks["source"]}
    # nobody says where the weights of a lone config.json are
    download = "" if spec.is_lone_config else conversion.download
    lines = [
        f"# {_why(spec, quantization, is_published)}{_room(making)}",
        *conversion.tools,
        *filter(None, [_filled(download, blanks)]),
        _filled(conversion.convert, written),
    ]
    if quantization not in conversion.types:
        lines.append(_filled(conversion.quantize, blanks))
    sees = spec.modality == "vision" and bool(conversion.projector)
    if sees:
        lines.append(_filled(conversion.projector, blanks))
    return Recipe(
        lines=tuple(lines), file=blanks["file"], projector=blanks["projector"] if sees else None
    )


def _folder_of(path: str) -> str:
    """As it is typed in a shell."""
    # it loads re, and few are asked about a file
    from shlex import quote

    return quote(os.path.dirname(path) or ".")


def _why(spec: ModelSpec, quantization: str, is_published: bool) -> str:
    if spec.is_lone_config:
        beside = os.path.basename(spec.origin)
        return f"put the weights beside {beside}, then make {quantization} of them"
    if is_published:
        return f"or make {quantization} files of {spec.name}"
    return f"nobody is known to publish {quantization} files of {spec.name}: make them"


def _room(making: Making | None) -> str:
    """The disk that is taken until the file is made."""
    if making is None:
        return ""
    meanwhile_bytes = making.disk_bytes - making.file_bytes
    return f", with about {units.decimal(meanwhile_bytes)} of disk more meanwhile"


def _filled(template: str, blanks: dict[str, str]) -> str:
    line = template
    for name, value in blanks.items():
        line = line.replace("{" + name + "}", value)
    return line
