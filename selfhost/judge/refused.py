"""What to say of a question that makes no sense for a model or a program, and what to type
instead: loaded only where there is something to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.errors import WorkloadError
from ..core.records import Unread
from .checks import fault_words
from .files import makes

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

# of the quantizations of a model that an error names
_NAMED = 8


def fault(option: str, key: str, **figures: Any) -> WorkloadError:
    """What makes no sense of that option, in the words of that key."""
    return WorkloadError.of(option, *fault_words(key, **figures))


def unknown_runtime(typed: str, modality: str, catalogue: Catalogue) -> WorkloadError:
    """That no program of that name is judged, and which is meant or can take its place."""
    ids, wanted = catalogue.runtime_ids(), typed.strip().lower()
    from ..core.spelling import canonical, nearest

    thing_named, facts = catalogue.common_tables("things", "thing").get(canonical(wanted), ("", {}))
    # llama-server is llama.cpp, too
    guess = thing_named if thing_named in ids else nearest(wanted, ids)
    if not facts or guess == thing_named:
        return fault("runtime", "runtime-unknown", typed=typed, runtimes=ids, guess=guess)
    # what to type in place of a model stands behind
    what = facts["answer"].partition(";")[0]
    inside = facts.get("runs_with")
    if inside:
        return fault("runtime", "runtime-part", typed=typed, what=what, runtimes=inside)
    others = [each for each in ids if modality in catalogue.runtime(each).modalities]
    return fault("runtime", "runtime-other", typed=typed, what=what, runtimes=others)


def unknown_quantization(typed: str, spec: ModelSpec) -> WorkloadError:
    """That the name is none of a quantization whose size can be computed, and which is meant."""
    from ..core.spelling import nearest

    every = need.every_quantization()
    # the mixes of Unsloth are typed without their first letters, too
    guess = need.canonical_quantization(f"UD-{typed.strip()}") or _of_bits(typed, every)
    guess = guess or nearest(typed, every)
    usual = ("Q8_0", "Q6_K", "Q4_K_M") if spec.modality in ("text", "vision") else ()
    listed = dict.fromkeys([*(name for files in spec.files for name in files.bytes), *usual])
    return fault(
        "quantization",
        "quantization-unknown",
        typed=typed,
        guess=guess,
        examples=[*listed][:_NAMED],
        model=spec.id,
    )


def _of_bits(typed: str, names: Collection[str]) -> str | None:
    """Of those names GGUF's usual one with as many bits as `4bit`, `int8` or `Q5` says; None where
    there is none, or no number of bits alone was typed.
    """
    import re

    bits = re.fullmatch(r"(?:int|q|iq)?([2-8])(?:-?bits?|b)?", typed.strip().lower())
    usual = [f"Q{bits[1]}_{rest}" for rest in ("K_M", "K", "0")] if bits else []
    return next((name for name in usual if name in names), None)


def not_had_in(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    file_format: str,
    quantization: str,
    other_runtimes: Iterable[RuntimeSpec],
    rows: Mapping[str, Any],
) -> WorkloadError:
    """That the model does not come in it for that runtime, and what to type instead.
    `other_runtimes`: those that may have it; `rows`: the architectures.
    """
    why = None
    if runtime.rule_of(quantization) is not None:
        size = need.weights_bytes(spec, file_format, quantization, rows)
        why = size.reason if isinstance(size, Unread) else None
    listed = need.quantizations_of(spec, runtime, rows)
    guess = _of_bits(quantization, listed)
    return fault(
        "quantization",
        "quantization-guess" if guess else "quantization-not-had",
        model=spec.name,
        quantization=quantization,
        program=runtime.name,
        why=why,
        guess=guess,
        listed=listed,
        others=[other.id for other in other_runtimes if _had_with(spec, other, quantization)],
    )


def _had_with(spec: ModelSpec, runtime: RuntimeSpec, quantization: str) -> bool:
    """Would another runtime have it, by that name or by what people call it there?"""
    name = runtime.named(quantization) or quantization
    # of files that anybody makes by its rules a format knows the sizes itself
    is_known = "mlx" in runtime.formats or runtime.rule_of(name) is not None
    return is_known and need.why_not_loaded(spec, runtime) is None and makes(spec, runtime, name)


def that_load(spec: ModelSpec, catalogue: Catalogue, does: Callable[[RuntimeSpec], bool]) -> str:
    """What to type for the programs that load the model and do that; empty where there is none."""
    fitting = [
        name
        for name in catalogue.runtime_ids()
        if does(other := catalogue.runtime(name)) and need.why_not_loaded(spec, other) is None
    ]
    return f"use --runtime {' or '.join(fitting)}" if fitting else ""
