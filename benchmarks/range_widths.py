"""How wide the predicted ranges of memory of the catalogue's models are, for each runtime and
modality.

Each model is judged in the default format and quantization of the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.needs.records import MemoryNeed

# the context of the workloads; less where a model was trained for less
_CONTEXT_TOKENS = 8192
# half of a range as a share of its middle, beyond which the range counts as wide
_WIDE = 0.10


class Width(NamedTuple):
    """Half of a model's range as a share of its middle, and the memory that has the range."""

    share: float
    model: str
    modality: str
    memory: MemoryNeed

    @property
    def is_wide(self) -> bool:
        """Whether the range counts as wide."""
        return self.share > _WIDE


def print_widths(detailed_runtime: str) -> None:
    """Print a line for each runtime and modality, and one for each wide model of the runtime of
    that id; "" for none.
    """
    heading = f"{'± median':>9} {'± 95 %':>8} {'± worst':>8} {'over 10':>8}"
    print(f"{'ranges of the catalogue':36} {'n':>5} {heading}")
    catalogue = Catalogue.open()
    for id in catalogue.runtime_ids():
        runtime = catalogue.runtime(id)
        by_modality: dict[str, list[Width]] = {}
        for width in _widths_of(runtime, catalogue):
            by_modality.setdefault(width.modality, []).append(width)
        for modality, widths in sorted(by_modality.items()):
            _print_line(f"{id}, {modality}", widths)
            if id == detailed_runtime:
                _print_wide_models(widths)


def _widths_of(runtime: RuntimeSpec, catalogue: Catalogue) -> Iterator[Width]:
    """The width of each model that the runtime loads and whose memory is known."""
    for id in catalogue.ids():
        spec = catalogue.spec(id)
        if spec.closed or spec.modality not in runtime.modalities:
            continue
        if needs.why_not_loaded(spec, runtime):
            continue
        memory = _memory_of(spec, runtime)
        if memory is not None and memory.high_bytes:
            low = memory.low_bytes
            high = memory.high_bytes
            share = (high - low) / (high + low)
            yield Width(share, spec.id, spec.modality, memory)


def _memory_of(spec: ModelSpec, runtime: RuntimeSpec) -> MemoryNeed | None:
    """The memory of the model by default, None where it is not known."""
    format, quantization = needs.default_format_and_quantization(spec, runtime)
    context_tokens = _CONTEXT_TOKENS
    if spec.architecture is not None and spec.architecture.context_tokens:
        context_tokens = min(context_tokens, spec.architecture.context_tokens)
    workload = Workload(
        runtime=runtime.id,
        format=format,
        quantization=quantization,
        context_tokens=context_tokens,
    )
    case = needs.case_for(spec, runtime, workload, instruction_sets=())
    return needs.count(case).memory


def _print_line(name: str, widths: Sequence[Width]) -> None:
    """Print the number of models, the median, the 95th percentile and the worst width, and how many
    are wide.
    """
    shares = sorted(width.share for width in widths)
    high = shares[int(0.95 * (len(shares) - 1))]
    wide = sum(width.is_wide for width in widths)
    print(
        f"{name:36} {len(shares):5} {100 * median(shares):9.1f} {100 * high:8.1f}"
        f" {100 * shares[-1]:8.1f} {wide:8}"
    )


def _print_wide_models(widths: Sequence[Width]) -> None:
    """Print the terms of each model whose range is wide, the least wide first."""
    for width in sorted(widths, key=lambda width: width.share):
        if width.is_wide:
            terms = [
                f"{term.name} {term.low_bytes:,} to {term.high_bytes:,} ({term.how})"
                for term in width.memory.terms
            ]
            print(f"    ± {100 * width.share:.1f} % {width.model}: {', '.join(terms)}")
