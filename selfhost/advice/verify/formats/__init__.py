"""The outputs that are understood, one module each. A module has `read(text)`, which gives a Run,
or None for a text of another kind; a new format is one module here and one sample in
`tests/data/logs`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ....core.records import pattern
from ..run import Run

# what colours a terminal: a log that was copied from one, or written with --log-colors on
_COLOURS = pattern("\x1b\\[[0-9;]*[A-Za-z]")


def names() -> tuple[str, ...]:
    """The modules of formats, in the order in which they are asked."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "words"))


def run_of(text: str) -> Run | None:
    """What the output tells of its run, colours left aside; None where no format knows it or it
    holds no figures.
    """
    text = _COLOURS.sub("", text)
    for name in names():
        run: Run | None = import_module(f"{__name__}.{name}").read(text)
        if run is not None and run.holds_figures:
            return run
    return None
