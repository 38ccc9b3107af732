"""Every format is one module with a sample, and each sample is read by its own module."""

from __future__ import annotations

from helpers.each import each
from helpers.paths import DATA
from selfhost.advice.verify import formats

SAMPLES = sorted((DATA / "logs").glob("*.txt"))


def test_each_format_has_a_sample() -> None:
    """A sample is named after its module, a hyphen and what it shows."""
    assert {path.name.partition("-")[0] for path in SAMPLES} == set(formats.NAMES)


@each("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_read_by_its_module(path) -> None:  # type: ignore[no-untyped-def]
    """And by none that is asked before it."""
    from importlib import import_module

    text = path.read_text("utf-8")
    module = import_module(f"selfhost.advice.verify.formats.{path.name.partition('-')[0]}")
    run = formats.run_of(text)
    assert run is not None
    assert run.holds_figures
    assert run == module.read(text)


def test_colours_of_a_terminal_hide_nothing() -> None:
    """llama.cpp's `--log-colors on`, as a terminal shows it: a code before each line and `ESC[0m` behind it."""
    for path in SAMPLES:
        text = path.read_text("utf-8")
        coloured = "".join(f"\x1b[1;34m{line}\x1b[0m\n" for line in text.splitlines())
        assert formats.run_of(coloured) == formats.run_of(text), path.name
