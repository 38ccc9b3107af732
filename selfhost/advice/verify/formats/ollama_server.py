"""The log of Ollama's server where its own engine loads the model: memory by device, and how it was
loaded. A model that llama.cpp loads for it is read by `llama_log`.
"""

from __future__ import annotations

from ....core.records import pattern
from ..run import Run, SeenMemory
from .words import bytes_of, place_of, quantization, whole

_TERMS = {"model weights": "weights", "kv cache": "kv_cache", "compute graph": "compute"}
_SIZE = pattern(
    r'msg="(model weights|kv cache|compute graph)" device=(\w{1,40}) size="([\d.]{1,12} \w{1,3})"'
)
_LOAD = pattern(r"Operation:(?:commit|alloc) .{0,200}?Parallel:(\d{1,6}) .{0,200}?KvSize:(\d{1,9}) KvCacheType:(\w{0,10}) NumThreads:(\d{1,5})")  # fmt: skip # noqa: E501
_MODEL = pattern(r"\barchitecture=(\w{1,40}) file_type=(\w{1,20})")
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
        size = _SIZE.search(line)
        if size is not None:
            count = bytes_of(size[3])
            if count is not None:
                rounded = int(_ROUNDED_SHARE * (bytes_of(f"1 {size[3].split()[1]}") or 0))
                sizes[_TERMS[size[1]], place_of(size[2])] = count, rounded
            continue
        load, layers = _LOAD.search(line) or load, _OFFLOADED.search(line) or layers
        if (seen := _MODEL.search(line)) is not None:
            # another model follows
            model, sizes = seen, {}
    if not sizes:
        return None
    parallel = (whole(load[1]) or 1) if load is not None else None
    context = whole(load[2]) if load is not None else None
    return Run(
        tool="ollama log",
        runtime="ollama",
        architecture=model[1] if model is not None else None,
        quantization=quantization(model[2]) if model is not None else None,
        context_tokens=context // (parallel or 1) if context else None,
        parallel=parallel,
        kv_cache_type=(load[3] or "f16") if load is not None else None,
        threads=whole(load[4]) or None if load is not None else None,
        on_processor=all(place == "host" for _, place in sizes),
        gpu_layers=whole(layers[1]) if layers is not None else None,
        memory=tuple(
            SeenMemory(term=term, bytes=count, where=place, rounded_bytes=rounded)
            for (term, place), (count, rounded) in sizes.items()
            if count
        ),
    )
