"""The outputs that are understood, one module each. A module has `read(text)`, which gives a Run,
or None for a text of another kind, and `MARKS`, of which one stands in every text of its kind; a
new format is one module here and one sample in `tests/data/logs`.
"""

from __future__ import annotations

from importlib import import_module

from ....core.files import Unreadable
from ....core.records import pattern
from ....core.tables import shipped_table
from ..run import Run
from ..wrapped import unwrapped

# in the order in which they are asked
NAMES = (
    "answers",
    "llama_bench",
    "llama_log",
    "server_windows",
    "vllm_bench",
)
# of a longer text the start, where a model is loaded, and the end, where it answered last
_START, _END = 2 << 20, 4 << 20
# what an output of no use is known by stands near the start, or in the last lines
_NEAR = 1_000_000


def run_of(text: str) -> Run | None:
    """What the output tells of its run, colours and what a container or a journal puts before each
    line left aside; None where no format knows it. Raises `Unreadable` where it is known to hold
    no figure, with what to give instead.
    """
    is_cut = len(text) > _START + _END
    if is_cut:
        text = f"{text[:_START]}\n{text[-_END:]}"
    text = unwrapped(text)
    for name in NAMES:
        module = import_module(f"{__name__}.{name}")
        run: Run | None = module.read(text) if any(map(text.__contains__, module.MARKS)) else None
        if run is not None and run.holds_figures:
            note = ("The middle of a log so long is left out.",) if is_cut else ()
            return run.replace(notes=(*run.notes, *note))
    _refuse(text)
    return None


def _refuse(text: str) -> None:
    """Raise `Unreadable` for an output of a known kind; nothing for any other."""
    part = text if len(text) <= 2 * _NEAR else f"{text[:_NEAR]}\n{text[-_NEAR:]}"
    for kind in shipped_table("runs")["unusable"]:
        if pattern(kind["sign"], 8).search(part) is not None:
            raise Unreadable(kind["reason"], kind["remedy"])
