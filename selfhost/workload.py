"""What is asked of a model."""

from __future__ import annotations

from .errors import Problem, WorkloadError
from .facts import Record

TASKS = ("generate", "finetune")
KV_CACHE_TYPES = ("f16", "q8_0", "q4_0")
MEMORY_BASES = ("default", "total", "available")
DEFAULT_CONTEXT_TOKENS = 4096
# a 300-word answer in three minutes; 0 switches the wish off
DEFAULT_MIN_TOKENS_PER_SECOND = 2.0
READING_TOKENS_PER_SECOND = 5.0
_FILE = "workload"


class Workload(Record):
    """What is asked. None means: what fits the model best, and the answer states what was taken.

    `context_tokens` is per sequence: N `parallel` sequences need N times the cache. `min_tokens_per_second` is the lowest
    useful decode speed; 0 switches it off. `reserve_bytes` is the memory kept for the system itself.
    `private`: nothing may leave the machine, so an API is no answer. `license` is an SPDX expression that the model's
    license must meet. Raises `WorkloadError` with every fault found.
    """

    task: str = "generate"
    runtime: str | None = None
    format: str | None = None
    quantization: str | None = None
    context_tokens: int | None = None
    parallel: int = 1
    kv_cache_type: str | None = None
    min_tokens_per_second: float | None = None
    memory_basis: str = "default"
    reserve_bytes: int | None = None
    private: bool = False
    commercial: bool = False
    modify: bool = False
    auditable: bool = False
    license: str | None = None

    def __init__(self, **values: object) -> None:
        super().__init__(**values)
        found = [Problem(file=_FILE, key=key, message=message, remedy=remedy) for key, message, remedy in _faults(self)]
        if found:
            raise WorkloadError(found)


def _faults(asked: Workload) -> list[tuple[str, str, str | None]]:
    found: list[tuple[str, str, str | None]] = []
    for key, choices in (("task", TASKS), ("memory_basis", MEMORY_BASES), ("kv_cache_type", KV_CACHE_TYPES)):
        value = getattr(asked, key)
        if value not in choices and not (value is None and key == "kv_cache_type"):
            found.append((key, f"{value!r} is not one of {', '.join(choices)}", None))
    for key, least, most in (("context_tokens", 1, 10**9), ("parallel", 1, 10**6), ("reserve_bytes", 0, 10**18)):
        value = getattr(asked, key)
        if value is None and key != "parallel":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            found.append((key, f"must be a whole number, not {value!r}", None))
        elif value < least:
            found.append((key, f"must be at least {least}, not {value:,}", None))
        elif value > most:
            found.append((key, f"must be at most {most:,}", None))
    pace = asked.min_tokens_per_second
    if pace is not None and (isinstance(pace, bool) or not isinstance(pace, int | float) or not 0 <= pace < 1e9):
        found.append(("min_tokens_per_second", f"must be a number of at least 0, not {pace!r}", "0 switches the wish off"))
    for key in ("private", "commercial", "modify", "auditable"):
        if not isinstance(getattr(asked, key), bool):
            found.append((key, f"must be True or False, not {getattr(asked, key)!r}", None))
    for key in ("runtime", "format", "quantization", "license"):
        value = getattr(asked, key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            found.append((key, f"must be a name, not {value!r}", None))
    return found
