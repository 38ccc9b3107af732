"""The log of Ollama's server where its own engine loads the model: memory by device, and how it was
loaded. A model that llama.cpp loads for it is read by `llama_log`.
"""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenMemory
from .words import bytes_of, place_of, quantization, whole

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from typing import Any

MARKS = ('msg="model weights"', 'msg="kv cache"', 'msg="compute graph"')
_TERMS = {"model weights": "weights", "kv cache": "kv_cache", "compute graph": "compute"}
_SIZE = pattern(
    r'msg="(model weights|kv cache|compute graph)" '
    # builds of the middle of 2025 wrote the second and the third (ollama/ollama pull request 11090)
    r'(?:device=|buffer=|backend=\w{1,40} buffer_type=)(\w{1,40}) size="([\d.]{1,12} \w{1,3})"'
)
_LOAD = pattern(r"Operation:(?:commit|alloc) .{0,200}?Parallel:(\d{1,6}) .{0,200}?KvSize:(\d{1,9}) KvCacheType:(\w{0,10}) NumThreads:(\d{1,5})")  # fmt: skip # noqa: E501
_MODEL = pattern(
    r"\barchitecture=(\w{1,40}) file_type=(\w{1,20})"
    r"(?: name=(?:\"([^\"]{1,200})\"|([^\s\"]{1,200})))?"
)
_OFFLOADED = pattern(r"offloaded (\d{1,5})/\d{1,5} layers to GPU")
# a tenth of the unit is all it prints
_ROUNDED_SHARE = 0.05


def read(text: str) -> Run | None:
    """The model that was loaded last; None where the log shows no memory."""
    sizes: dict[tuple[str, str], tuple[int, int]] = {}
    load = model = layers = None
    for line in text.splitlines():
        line = line[:8192]
        if 'msg="' not in line and "msg=load" not in line:
            continue
        if (size := _SIZE.search(line)) is not None:
            if (count := bytes_of(size[3])) is not None:
                sizes[_TERMS[size[1]], place_of(size[2])] = count, _rounded_to(size[3])
            continue
        load, layers = _LOAD.search(line) or load, _OFFLOADED.search(line) or layers
        if (seen := _MODEL.search(line)) is not None:
            # another model follows
            model, sizes = seen, {}
    return _run_of(sizes, model, load, layers) if sizes else None


def _run_of(
    sizes: Mapping[tuple[str, str], tuple[int, int]],
    model: re.Match[str] | None,
    load: re.Match[str] | None,
    layers: re.Match[str] | None,
) -> Run:
    """`sizes`: by term and place the bytes, and how far they are rounded; the others are what was
    matched of the lines that tell these.
    """
    return Run(
        tool="ollama log",
        runtime="ollama",
        name=(model[3] or model[4]) if model is not None else None,
        architecture=model[1] if model is not None else None,
        quantization=quantization(model[2]) if model is not None else None,
        **(_asked_for(load) if load is not None else {}),
        on_processor=all(place == "host" for _, place in sizes),
        gpu_layers=whole(layers[1]) if layers is not None else None,
        memory=tuple(
            SeenMemory(term=term, bytes=count, where=place, rounded_bytes=rounded)
            for (term, place), (count, rounded) in sizes.items()
            if count
        ),
    )


def _rounded_to(size: str) -> int:
    """Bytes by which a size may differ from what the log rounds it to."""
    unit = size.split()[1]
    return int(_ROUNDED_SHARE * (bytes_of(f"1 {unit}") or 0))


def _asked_for(load: re.Match[str]) -> dict[str, Any]:
    """What the runner was started with, as fields of `Run`."""
    parallel, context = whole(load[1]) or 1, whole(load[2])
    return {
        "context_tokens": context // parallel if context else None,
        "parallel": parallel,
        "kv_cache_type": load[3] or "f16",
        "threads": whole(load[4]) or None,
    }
