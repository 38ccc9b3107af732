"""The outputs that are understood, one module each. A module has `read(text)`, which gives a Run,
or None for a text of another kind, and `MARKS`, of which one stands in every text of its kind; a
new format is one module here and one sample in `tests/data/logs`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..run import Run
from ..unusable import refuse
from ..wrapped import without_colours, without_json, without_prefix

# of a longer text the start, where a model is loaded, and the end, where it answered last
_START, _END = 2 << 20, 4 << 20


def names() -> tuple[str, ...]:
    """The modules of formats, in the order in which they are asked."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "words"))


def run_of(text: str) -> Run | None:
    """What the output tells of its run, colours and what a container or a journal puts before each
    line left aside; None where no format knows it. Raises `Unreadable` where it is known to hold
    no figure, with what to give instead.
    """
    is_cut = len(text) > _START + _END
    if is_cut:
        text = f"{text[:_START]}\n{text[-_END:]}"
    text = without_prefix(without_json(without_colours(text)))
    run = _read(text)
    if run is None:
        refuse(text)
        return None
    if is_cut:
        run = run.replace(notes=(*run.notes, "The middle of a log so long is left out."))
    return run


def _read(text: str) -> Run | None:
    for name in names():
        module = import_module(f"{__name__}.{name}")
        if not any(mark in text for mark in module.MARKS):
            continue
        run: Run | None = module.read(text)
        if run is not None and run.holds_figures:
            return run
    return None
