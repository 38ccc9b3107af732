"""How to make a file that nobody published: the publisher's weights, converted and quantized."""

from __future__ import annotations

from .. import needs as need
from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import Workload


class Recipe(Record):
    """Lines that make `file`, and `projector` beside it for a model that sees (else None)."""

    lines: tuple[str, ...]
    file: str
    projector: str | None


def recipe(
    spec: ModelSpec, runtime: RuntimeSpec, workload: Workload, *, is_published: bool = False
) -> Recipe | None:
    """The lines that make the file that was judged; None where the runtime has no converter, where
    the publisher's repository is not known, or where the quantization cannot be made so.
    `is_published`: somebody publishes the model for another program, so that nothing is said on it.
    """
    conversion, quantization = runtime.conversion, workload.quantization or ""
    if conversion is None or not spec.repository or workload.format != "gguf":
        return None
    if quantization not in (*conversion.types, *conversion.quantizations):
        return None
    if quantization not in conversion.types and need.trained_in_mxfp4(spec):
        return None
    blanks = {
        "repository": spec.repository,
        "model": spec.id,
        "file": f"{spec.id}-{quantization}.gguf",
        "quantization": quantization,
        "type": conversion.types.get(quantization, conversion.types[conversion.through]),
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
    }
    written = blanks if quantization in conversion.types else {**blanks, "file": blanks["source"]}
    why = f"nobody is known to publish {quantization} files of {spec.name}: make them"
    if is_published:
        why = f"or make {quantization} files of {spec.name}"
    lines = [
        f"# {why}{_room(spec)}",
        *conversion.tools,
        _filled(conversion.download, blanks),
        _filled(conversion.convert, written),
    ]
    if quantization not in conversion.types:
        lines.append(_filled(conversion.quantize, blanks))
    sees = spec.modality == "vision"
    if sees:
        lines.append(_filled(conversion.projector, blanks))
    return Recipe(
        lines=tuple(lines), file=blanks["file"], projector=blanks["projector"] if sees else None
    )


def _room(spec: ModelSpec) -> str:
    """The disk that the weights in 16 bits take twice, as downloaded and as converted."""
    total = spec.parameters.total
    return f", with about {units.decimal(2 * 2 * total)} of disk more meanwhile" if total else ""


def _filled(template: str, blanks: dict[str, str]) -> str:
    line = template
    for name, value in blanks.items():
        line = line.replace("{" + name + "}", value)
    return line
