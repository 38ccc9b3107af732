"""One module per check: needs held against a machine. The branch that decides gives the outcome,
the code and the figures; `specs/common/findings.toml` has the sentences.

What the model is: `weights`, `license`, `openness`, `context`. What the machine gives: `disk`,
`memory`, `cpu`. How it would run: `accelerator`, `runtime`, `speed`. Where several outcomes hold,
the worst one wins, so each check looks for `fail` first.
"""

from .accelerator import Program, accelerator_check
from .disk import (
    bytes_to_store,
    disk_check,
    disk_margin_bytes,
    ends_to_store,
    held_in_memory,
    lies_in_memory,
    stored_in_memory,
)
from .memory import (
    given_bytes,
    host_high,
    host_low,
    memory_check,
    on_cards,
    reserve_beside,
    reserve_of,
)
from .model import (
    context_check,
    kept_elsewhere,
    license_check,
    license_guessed,
    openness_check,
    reads_context,
    weights_check,
)
from .record import CHECKS, Finding, Outcome, codes, finding
from .runtime import cpu_check, runtime_check
from .speed import HOURS_SECONDS, MADE, WIDE_PACE, made_check, speed_check, work_check

__all__ = [
    "CHECKS",
    "HOURS_SECONDS",
    "MADE",
    "WIDE_PACE",
    "Finding",
    "Outcome",
    "Program",
    "accelerator_check",
    "bytes_to_store",
    "codes",
    "context_check",
    "cpu_check",
    "disk_check",
    "disk_margin_bytes",
    "ends_to_store",
    "finding",
    "held_in_memory",
    "given_bytes",
    "host_high",
    "host_low",
    "license_check",
    "kept_elsewhere",
    "license_guessed",
    "lies_in_memory",
    "made_check",
    "memory_check",
    "on_cards",
    "openness_check",
    "reads_context",
    "reserve_beside",
    "reserve_of",
    "runtime_check",
    "speed_check",
    "stored_in_memory",
    "weights_check",
    "work_check",
]
