"""The range of memory that is predicted for whole runs, beside the peak that was measured.

What goes in: the measurements in `tests/truth`, and the functions that the tests ask. What comes
out: for each program, a `PeakBesideRange` for each run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from memory_errors import relative_error

from helpers import llamacpp_truth as truth
from needs import test_python as python_truth
from needs import test_runtimes_truth as runtimes_truth
from needs.llamacpp import test_catalogue_truth as catalogue_truth
from selfhost.catalogue.index import Catalogue
from selfhost.needs.records import MemoryNeed

# faster-whisper's runs of a whole recording
_RECORDING_SECONDS = 600
# whisper.cpp reads windows of that length: a shorter clip behind a text is no recording whose
# length a user states
_WINDOW_SECONDS = 30
# whisper.cpp's own number of beams
_BEAMS = 5


class PeakBesideRange(NamedTuple):
    """The predicted range of memory of a run, and the peak that was measured, in bytes."""

    run: str
    low_bytes: int
    likely_bytes: int
    high_bytes: int
    peak_bytes: float

    @property
    def is_inside(self) -> bool:
        """Whether the range holds the peak."""
        return self.low_bytes <= self.peak_bytes <= self.high_bytes

    @property
    def half_width(self) -> float:
        """Half of the range as a share of its middle."""
        return (self.high_bytes - self.low_bytes) / (self.high_bytes + self.low_bytes)

    @property
    def error(self) -> float:
        """The distance of the likely figure from the peak, as a share of the peak."""
        return relative_error(self.likely_bytes, self.peak_bytes)


def _beside(
    run: str,
    memory: MemoryNeed,
    peak_bytes: float,
) -> PeakBesideRange:
    """The predicted range of memory of a run beside its peak."""
    return PeakBesideRange(
        run=run,
        low_bytes=memory.low_bytes,
        likely_bytes=memory.total_bytes,
        high_bytes=memory.high_bytes,
        peak_bytes=peak_bytes,
    )


def ranges_by_program() -> Iterator[tuple[str, Sequence[PeakBesideRange]]]:
    """Yield each program, or kind of work of a program, with its runs."""
    yield "llama.cpp", list(_llamacpp())
    yield "llama.cpp, models of the catalogue", list(_llamacpp_of_catalogue())
    yield from _programs_of_llamacpp()
    for kind in ("generate", "encode", "shapes", "see"):
        yield f"transformers, {kind}", list(_transformers(kind))
    attention: list[PeakBesideRange] = []
    recurrent: list[PeakBesideRange] = []
    for run in (
        *runtimes_truth.truth("mlx")["published"],
        *runtimes_truth.truth("mlx")["unlike"],
    ):
        runs = recurrent if _is_recurrent(run["model"]) else attention
        runs.append(_on_a_mac(run))
    yield "mlx on Macs, attention (no program)", attention
    yield "mlx on Macs, recurrent (no program)", recurrent
    yield "whisper.cpp", [*_whisper_cli(), *_whisper_readme()]
    yield "faster-whisper", list(_faster_whisper())
    yield "diffusers", list(_diffusers())


def _llamacpp() -> Iterator[PeakBesideRange]:
    """Loads of llama.cpp whose file is mapped."""
    for run in truth.records("run"):
        memory = truth.judged(run, repacked=bool(run["repack"])).memory
        if run["mmap"] and memory is not None:
            name = f"{run['model']} {run['quant']} {run['n_ctx']}"
            peak = run["peak_rss_bytes"] - memory.evictable_bytes
            yield _beside(name, memory, peak)


def _llamacpp_of_catalogue() -> Iterator[PeakBesideRange]:
    """Loads of models of the catalogue by llama.cpp."""
    for load in catalogue_truth.truth()["loads"]:
        memory = catalogue_truth.stated_for_load(load)
        peak = load["peak_rss_bytes"] - memory.evictable_bytes
        name = f"{load['model']} {load['quant']} {load['n_ctx']}"
        yield _beside(name, memory, peak)


def _programs_of_llamacpp() -> Iterator[tuple[str, Sequence[PeakBesideRange]]]:
    """The programs that are built on llama.cpp, each with its runs."""
    by_program: dict[str, list[PeakBesideRange]] = {}
    for run in catalogue_truth.programs():
        # no option of a user states these: later prompts of a conversation, logits of every token
        if "turns" in run or run.get("logits_all"):
            continue
        memory = catalogue_truth.stated(run)
        peak = run["peak_bytes"] - memory.evictable_bytes
        runs = by_program.setdefault(run["program"], [])
        runs.append(_beside(run["name"], memory, peak))
    yield from by_program.items()


def _transformers(kind: str) -> Iterator[PeakBesideRange]:
    """Runs of Transformers that do that kind of work."""
    for run in python_truth.usual(kind):
        if run in python_truth.RUNS:
            yield _beside(
                run["name"], python_truth.answered(run), python_truth.peak(run)
            )


def _is_recurrent(model: str) -> bool:
    """Whether some layers of the model keep a state instead of a cache."""
    architecture = Catalogue.open().spec(model).architecture
    return architecture is not None and bool(architecture.recurrent)


def _on_a_mac(run: runtimes_truth.MlxPeak) -> PeakBesideRange:
    """A run of MLX that somebody published."""
    low, likely, high = runtimes_truth.on_a_mac(run)
    return PeakBesideRange(
        run=f"{run['model']} {run['quantization']} {run['prompt_tokens']}",
        low_bytes=low,
        likely_bytes=likely,
        high_bytes=high,
        peak_bytes=run["peak_gb"] * 1e9,
    )


def _whisper_cli() -> Iterator[PeakBesideRange]:
    """Recordings that whisper-cli wrote down with its own number of beams."""
    for run in runtimes_truth.truth("whisper")["whisper-cli"]:
        is_recording = (
            run["audio_seconds"] > _WINDOW_SECONDS or not run["prompt_tokens"]
        )
        if run["beams"] == _BEAMS and is_recording:
            memory = runtimes_truth.speech(run["size"], run["audio_seconds"]).memory
            yield _beside(run["name"], memory, run["peak_bytes"])


def _whisper_readme() -> Iterator[PeakBesideRange]:
    """The memory that the README of whisper.cpp states for each size."""
    for run in runtimes_truth.truth("whisper")["readme"]:
        memory = runtimes_truth.speech(run["size"]).memory
        yield _beside(f"README {run['size']}", memory, run["memory_bytes"])


def _faster_whisper() -> Iterator[PeakBesideRange]:
    """Runs of faster-whisper on a whole recording."""
    for run in runtimes_truth.truth("whisper")["faster-whisper"]:
        if run.get("audio_seconds") == _RECORDING_SECONDS:
            spec = Catalogue.open().spec(f"whisper-{run['size']}")
            quantization = run["compute"]
            answer = runtimes_truth.answer(
                spec, "faster-whisper", quantization=quantization
            )
            yield _beside(run["name"], answer.memory, _peak_of_stages(run))


def _diffusers() -> Iterator[PeakBesideRange]:
    """Runs of diffusers. Token tables that the measured pipelines lack are added to the peak."""
    for run in runtimes_truth.truth("diffusers")["runs"]:
        peak = _peak_of_stages(run, left_out=("loaded", "encoded"))
        peak += runtimes_truth.shortened_tables(run)
        yield _beside(run["name"], runtimes_truth.pipeline(run).memory, peak)


def _peak_of_stages(
    run: Mapping[str, Any],
    left_out: Sequence[str] = (),
) -> int:
    """The highest peak of the run's stages, in bytes."""
    peaks = [
        stage["peak_bytes"]
        for name, stage in run["stages"].items()
        if name not in left_out
    ]
    return int(max(peaks))
