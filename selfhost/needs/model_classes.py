"""Models whose tensors no spec describes: weights by their count, and what their class takes
beside them.

A row of `[[model_class]]` in `specs/common/architectures.toml` holds what was measured of a class
for a request; every model of the class, of whatever size, is judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..catalogue.spec import ModelSpec, RuntimeSpec
from ..core.records import Record, Unread
from .kept import cpu_program
from .packed import DTYPES
from .parts import Asked, term, times, unread
from .records import How, Term

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

Three = tuple[int, int, int]
Shares = tuple[float, float, float]
"""Least, likely and most."""

_SECOND = "second"


class ModelClass(Record):
    """What models of one class take beside their weights and the program, as measured: least,
    likely and most. Sizes are in bytes. `classes` are the library's own names of it.

    `fixed_bytes` come with any request, `unit_bytes` and `weights_share` (of the bytes of the
    weights) with each of `units`: seconds of sound where `unit` is "second", else whatever `unit`
    names. `request` is the default one, in words. `loading_share` of the weights lies beside them
    while they load, `unread_share` of them is mapped and may never be read.
    """

    name: str
    classes: tuple[str, ...]
    request: str
    source: str
    unit: str = ""
    units: int = 1
    fixed_bytes: Three = (0, 0, 0)
    unit_bytes: Three = (0, 0, 0)
    weights_share: Shares = (0.0, 0.0, 0.0)
    loading_share: Shares = (0.0, 0.0, 0.0)
    unread_share: float = 0.0


def class_of(name: str, architectures: Mapping[str, Any]) -> ModelClass | None:
    """The row of that name in the parsed `architectures.toml`; None where there is none."""
    row = next((row for row in architectures.get("model_class", ()) if row["name"] == name), None)
    if row is None:
        return None
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    return ModelClass(**values)


def terms(
    spec: ModelSpec, model_class: ModelClass, runtime: RuntimeSpec, workload: Asked
) -> tuple[Term, ...] | Unread:
    """Weights, activations and the program; why not, where the parameters are not known."""
    stated, total = spec.needs, spec.parameters.total
    if stated is None or stated.dtype is None or total is None:
        why = spec.unknown.get("parameters.total") or "the spec states no parameters"
        return unread(why, "add parameters.total to the spec", "memory.weights")
    width = int(DTYPES[stated.dtype]) // 8
    weights = term(
        "weights",
        total * width,
        How.COMPUTED,
        f"published in {stated.dtype}",
        f"{total:,} parameters × {width} bytes",
        low=int(total * width * (1 - model_class.unread_share)),
    )
    return (
        weights,
        _activations(model_class, weights.bytes, workload),
        cpu_program(runtime, on_gpu=workload.device is not None),
    )


def _activations(model_class: ModelClass, weights_bytes: int, workload: Asked) -> Term:
    """What is computed for the request, or what loading holds, where that is more."""
    hears = model_class.unit == _SECOND and workload.audio_seconds is not None
    units = workload.audio_seconds if hears and workload.audio_seconds else model_class.units
    computing = tuple(
        fixed + units * (size + int(share * weights_bytes)) * workload.parallel
        for fixed, size, share in zip(
            model_class.fixed_bytes, model_class.unit_bytes, model_class.weights_share, strict=True
        )
    )
    loading = tuple(int(share * weights_bytes) for share in model_class.loading_share)
    low, likely, high = (max(pair) for pair in zip(computing, loading, strict=True))
    if loading[1] > computing[1]:
        line = f"{loading[1]:,} bytes of weights a second time, while they load"
    else:
        line = _line_of_request(model_class, weights_bytes, units, workload.parallel)
    request = f"{units:,} seconds of sound" if hears else model_class.request
    line += f"; for {request}; {low:,} to {high:,}"
    how, source = How.MEASURED, model_class.source
    if workload.device is not None:
        # nothing of it was measured on a GPU, whose kernels hold less or more
        how, source = How.ASSUMED, f"as measured on a CPU; a GPU was not: {source}"
        low, high = low // 2, 2 * high
    return term("activations", likely, how, source, line, low=low, high=high)


def _line_of_request(model_class: ModelClass, weights_bytes: int, units: int, parallel: int) -> str:
    each = model_class.unit_bytes[1] + int(model_class.weights_share[1] * weights_bytes)
    line = f"{model_class.fixed_bytes[1]:,} bytes"
    if each:
        several = f" × {times(parallel, 'request')}" if parallel > 1 else ""
        line += f" + {units:,} × {each:,} bytes{several}"
    return line
