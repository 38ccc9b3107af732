"""What it takes to make a file that no repository is known to have: the publisher's weights,
converted and quantized.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.published import PublishedFiles
from ..catalogue.spec import GENERATING, ModelSpec, RuntimeSpec
from ..core.records import Unread
from ..core.workload import Workload
from ..needs.file_formats import SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS
from ..needs.records import How, Making, Needs

# of a weight in the file that is quantized
_SIXTEEN_BITS = 16
# a guess for weights of no stated type: 16 bits are usual, FP8 has half, old models have float32
_BITS_OF_NO_STATED_TYPE = (8, 16, 32)


def can_be_made(spec: ModelSpec, runtime: RuntimeSpec | None, workload: Workload) -> bool:
    """Whether the runtime's converter makes that file of the publisher's weights, wherever those
    of a lone config.json are.
    """
    conversion = runtime.conversion if runtime is not None else None
    quantization = workload.quantization or ""
    if conversion is None or workload.format != conversion.format:
        return False
    if not (spec.repository or spec.is_lone_config):
        return False
    if not conversion.takes_quantized and not _is_in_sixteen_bits(spec):
        return False
    if quantization in conversion.types:
        return True
    return quantization in conversion.quantizations and not need.trained_in_mxfp4(spec)


def _is_in_sixteen_bits(spec: ModelSpec) -> bool:
    """Whether the published weights are known to be of 16 bits or more, all of them."""
    stored = spec.architecture
    if stored is None or stored.dtype is None or spec.quantized is not None:
        return False
    return stored.matrix_dtype is None and stored.expert_dtype is None


def making_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    workload: Workload,
    needs: Needs,
    catalogue: Catalogue,
) -> Making | None:
    """What the conversion takes where it is the only way to the file that is known; None where a
    repository or Ollama's library has it, where it cannot be made, or where a size is not known.
    """
    total, size = spec.parameters.total, needs.disk_bytes
    if workload.task != "generate" or not can_be_made(spec, runtime, workload):
        return None
    if runtime is None or runtime.conversion is None or total is None or size is None:
        return None
    if is_published(spec, workload) or _is_in_library(spec, workload, catalogue):
        return None
    weights_bytes, ends = _published_bytes(spec, total, catalogue)
    between_bytes = 0
    if workload.quantization not in runtime.conversion.types:
        between_bytes = total * _SIXTEEN_BITS // 8
    file_bytes = max((size, *(needs.download_range or ())))
    return Making(
        download_bytes=weights_bytes,
        disk_bytes=weights_bytes + between_bytes + file_bytes,
        download_range=ends,
    )


def is_published(spec: ModelSpec, workload: Workload) -> bool:
    """Whether a repository is known that has the file, or its own name was typed."""
    format, quantization = workload.format or "", workload.quantization or ""
    files, stated = spec.files_of(format, quantization), need.published(spec, format, quantization)
    listing = files or (stated[1] if stated is not None else None)
    named = typed_file(spec, format, quantization)
    return named is not None or (listing is not None and listing.repository is not None)


def has_files(spec: ModelSpec, format: str) -> bool:
    """Whether files of the model in that format are known, in any type, or Ollama's library has
    some.
    """
    is_in_library = format == "gguf" and any(":" in alias for alias in spec.aliases)
    return is_in_library or any(files.format == format for files in spec.files)


def types_in_turn(spec: ModelSpec, format: str, usual: str) -> tuple[str, ...]:
    """The GGUF types that are tried one after the other where none is asked for: of the published
    ones the nearest that is no worse than the usual one, then worse ones down to the smallest
    default, then the usual one. () where the usual one is published, or none of these is: it is
    taken on every machine.
    """
    if format != "gguf" or usual not in GGUF_QUANTIZATIONS or not _may_be_in_any_type(spec):
        return ()
    files = [each for each in spec.files if each.format == format]
    if any(name.upper().endswith(usual) for each in files for name in each.quantizations):
        # a publisher's own mix is named after the type that it weighs as much as
        return ()
    fetched = {name.upper() for each in files if each.repository for name in each.quantizations}
    place, last = map(GGUF_QUANTIZATIONS.index, (usual, SMALLEST_DEFAULT))
    better, worse = (
        [name for name in types if name in fetched]
        for types in (GGUF_QUANTIZATIONS[:place], GGUF_QUANTIZATIONS[place : last + 1])
    )
    published = (*better[-1:], *worse)
    return (*published, usual) if published else ()


def _may_be_in_any_type(spec: ModelSpec) -> bool:
    """False of vectors, which are compared with those that others made in the usual type."""
    return spec.modality in GENERATING or (spec.uses or ())[:1] == ("reranking",)


def typed_file(spec: ModelSpec, format: str, quantization: str) -> PublishedFiles | None:
    """The published file of that quantization whose name was typed; None where none was."""
    alike = (each for each in spec.files if each.named and each.format == format)
    return next((each for each in alike if quantization in each.quantizations), None)


def _is_in_library(spec: ModelSpec, workload: Workload, catalogue: Catalogue) -> bool:
    """Whether Ollama's library has the model in that quantization, for what is asked."""
    tag = next((alias for alias in spec.aliases if ":" in alias), None)
    if tag is None:
        return False
    ollama = catalogue.runtime("ollama")
    if spec.modality not in ollama.modalities:
        return False
    whole_batch = need.batch_tokens(spec, workload, catalogue.common("architectures"))
    options = {"whole_batch": whole_batch, "draft": workload.draft, "adapter": workload.adapter}
    if any(value and key not in ollama.options for key, value in options.items()):
        # it has the file and does not do what is asked, so that no line of it is printed
        return False
    default = need.default_format_and_quantization(spec, ollama)[1]
    return workload.quantization == ollama.tags.get(tag, default)


def _published_bytes(
    spec: ModelSpec, total: int, catalogue: Catalogue
) -> tuple[int, tuple[int, int] | None]:
    """The weights as the publisher has them, with the least and the most that they can be where
    their type is not known; None where it is.
    """
    from ..needs.parts import name_of

    weights = need.weights_bytes(
        spec, "safetensors", name_of(spec.architecture), catalogue.common("architectures")
    )
    if not isinstance(weights, Unread):
        is_guess = weights.how is How.ASSUMED
        return weights.bytes, (weights.low_bytes, weights.high_bytes) if is_guess else None
    least, usual, most = (total * bits // 8 for bits in _BITS_OF_NO_STATED_TYPE)
    return usual, (least, most)


def makes(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """False where the runtime would have to quantize weights that are narrow already."""
    rule = runtime.rule_of(quantization)
    if rule is None or not rule.at_load or spec.components:
        # of components the size itself says whether they are quantized
        return True
    return need.from_sixteen_bits(spec.architecture)
