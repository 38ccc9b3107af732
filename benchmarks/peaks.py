"""The memory that is predicted, beside what was measured, program by program.

What goes in: the measurements of `tests/truth`, and the functions that the tests ask. What comes out: a
`Peak` for each whole run, and a `Part` for each buffer or file that can be counted alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from asked import predicted_memory
from runs import memory_runs

from helpers import llamacpp_truth as truth
from needs import test_python as python_truth
from needs import test_runtimes_truth as runtimes_truth
from needs.llamacpp import test_catalogue_truth as catalogue_truth
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.needs import weights_files
from selfhost.needs.records import MemoryNeed, Term

# what a run of a whole recording heard in faster-whisper
_RECORDING_SECONDS = 600
# whisper.cpp reads windows of that length: a shorter clip behind a text is no recording whose
# length a user states
_WINDOW_SECONDS = 30
# whisper.cpp's own number of beams
_BEAMS = 5
# programs of llama.cpp with fewer runs have no line of their own
_LEAST_RUNS = 10


class Peak(NamedTuple):
    """The predicted range of memory of a run, and what was measured, in bytes."""

    program: str
    label: str
    low_bytes: float
    likely_bytes: float
    high_bytes: float
    measured_bytes: float

    @property
    def is_inside(self) -> bool:
        """Whether the range holds what was measured."""
        return self.low_bytes <= self.measured_bytes <= self.high_bytes

    @property
    def error(self) -> float:
        """The distance of the likely figure, as a share of the measured one."""
        return abs(self.likely_bytes / self.measured_bytes - 1)


class Part(NamedTuple):
    """A buffer or file that is counted alone: the predicted and the measured bytes."""

    name: str
    predicted_bytes: int
    measured_bytes: int

    @property
    def is_exact(self) -> bool:
        """Whether the two are the same to the byte."""
        return self.predicted_bytes == self.measured_bytes

    @property
    def error(self) -> float:
        """The distance as a share of the measured bytes; 1 where those are 0 and the predicted are
        not.
        """
        if not self.measured_bytes:
            return float(self.predicted_bytes != 0)
        return abs(self.predicted_bytes / self.measured_bytes - 1)


def peaks() -> Iterator[Peak]:
    """Every whole run with its prediction, program by program."""
    yield from _llamacpp()
    yield from _llamacpp_of_catalogue()
    yield from _programs_of_llamacpp()
    yield from _transformers("generate", "Transformers, writing")
    yield from _transformers("encode", "Transformers, embedding")
    yield from _transformers("see", "Transformers, seeing")
    yield from _transformers("shapes", "Transformers, other shapes and processors")
    yield from _whisper_cli()
    yield from _whisper_readme()
    yield from _faster_whisper()
    yield from _diffusers()
    for run in memory_runs():
        found = predicted_memory(run)
        if found is not None:
            yield Peak(run.program, run.label, *found, run.measured_bytes)


def _beside(
    program: str,
    label: str,
    memory: MemoryNeed,
    measured_bytes: float,
) -> Peak:
    """The predicted range of memory of a run beside its peak."""
    return Peak(
        program=program,
        label=label,
        low_bytes=memory.low_bytes,
        likely_bytes=memory.total_bytes,
        high_bytes=memory.high_bytes,
        measured_bytes=measured_bytes,
    )


def _llamacpp() -> Iterator[Peak]:
    """Loads of llama.cpp whose file is mapped."""
    for run in truth.records("run"):
        memory = truth.judged(run, repacked=bool(run["repack"])).memory
        if run["mmap"] and memory is not None:
            label = f"{run['model']} {run['quant']} {run['n_ctx']}"
            peak = run["peak_rss_bytes"] - memory.evictable_bytes
            yield _beside("llama.cpp", label, memory, peak)


def _llamacpp_of_catalogue() -> Iterator[Peak]:
    """Loads of models of the catalogue by llama.cpp."""
    for load in catalogue_truth.truth()["loads"]:
        memory = catalogue_truth.stated_for_load(load)
        peak = load["peak_rss_bytes"] - memory.evictable_bytes
        label = f"{load['model']} {load['quant']} {load['n_ctx']}"
        yield _beside("llama.cpp, models of the catalogue", label, memory, peak)


def _programs_of_llamacpp() -> Iterator[Peak]:
    """The programs that are built on llama.cpp, of which there are enough runs."""
    by_program: dict[str, list[Peak]] = {}
    for run in catalogue_truth.programs():
        # no option of a user states these: later prompts of a conversation, logits of every token
        if "turns" in run or run.get("logits_all"):
            continue
        memory = catalogue_truth.stated(run)
        peak = run["peak_bytes"] - memory.evictable_bytes
        found = _beside(run["program"], run["name"], memory, peak)
        by_program.setdefault(run["program"], []).append(found)
    for found_peaks in by_program.values():
        if len(found_peaks) >= _LEAST_RUNS:
            yield from found_peaks


def _transformers(kind: str, program: str) -> Iterator[Peak]:
    """Runs of Transformers that do that kind of work."""
    for run in python_truth.usual(kind):
        if run in python_truth.RUNS:
            memory = python_truth.answered(run)
            yield _beside(program, run["name"], memory, python_truth.peak(run))


def _whisper_cli() -> Iterator[Peak]:
    """Recordings that whisper-cli wrote down with its own number of beams."""
    for run in runtimes_truth.truth("whisper")["whisper-cli"]:
        is_recording = (
            run["audio_seconds"] > _WINDOW_SECONDS or not run["prompt_tokens"]
        )
        if run["beams"] == _BEAMS and is_recording:
            memory = runtimes_truth.speech(run["size"], run["audio_seconds"]).memory
            yield _beside("whisper.cpp", run["name"], memory, run["peak_bytes"])


def _whisper_readme() -> Iterator[Peak]:
    """The memory that the README of whisper.cpp states for each size."""
    for run in runtimes_truth.truth("whisper")["readme"]:
        memory = runtimes_truth.speech(run["size"]).memory
        label = f"README {run['size']}"
        yield _beside("whisper.cpp", label, memory, run["memory_bytes"])


def _faster_whisper() -> Iterator[Peak]:
    """Runs of faster-whisper on a whole recording."""
    for run in runtimes_truth.truth("whisper")["faster-whisper"]:
        if run.get("audio_seconds") == _RECORDING_SECONDS:
            answer = runtimes_truth.answer(
                open_catalogue().spec(f"whisper-{run['size']}"),
                "faster-whisper",
                quantization=run["compute"],
            )
            peak = _peak_of_stages(run)
            yield _beside("faster-whisper", run["name"], answer.memory, peak)


def _diffusers() -> Iterator[Peak]:
    """Runs of diffusers. Token tables that the measured pipelines lack are added to the peak."""
    for run in runtimes_truth.truth("diffusers")["runs"]:
        peak = _peak_of_stages(run, left_out=("loaded", "encoded"))
        peak += runtimes_truth.shortened_tables(run)
        memory = runtimes_truth.pipeline(run).memory
        yield _beside("Diffusers", run["name"], memory, peak)


def _peak_of_stages(run: Mapping[str, Any], left_out: Sequence[str] = ()) -> int:
    """The highest peak of the run's stages, in bytes."""
    highest = 0
    for name, stage in run["stages"].items():
        if name not in left_out:
            highest = max(highest, int(stage["peak_bytes"]))
    return highest


# ------------------------------------------------------------------ parts


def parts() -> Iterator[Part]:
    """The buffers of llama.cpp that its own allocator measured, and sizes of published files."""
    for record in truth.records("memory"):
        kept = truth.kept(truth.architecture(record["model"]), record)
        measured = record["kv_bytes"] + record["recurrent_state_bytes"]
        yield Part("cache and state of a context", sum(kept), measured)
    found = catalogue_truth.truth()
    for name, cases in found["memory"].items():
        for values in cases:
            case: dict[str, Any] = dict(zip(found["columns"], values, strict=True))
            computed = catalogue_truth.computed(name, case)
            yield Part(
                "cache and state of a context",
                computed.context_bytes,
                case["context_bytes"],
            )
            # the buffer counts by what it moves the memory of a model in 4 bits
            weights = truth.weights_bytes(catalogue_truth.model(name))
            yield Part(
                "the same with weights and compute buffer",
                weights + sum(computed),
                weights + case["context_bytes"] + case["compute_bytes"],
            )
    yield from _published_files()


def _published_files() -> Iterator[Part]:
    """The sizes of GGUF files that their publishers list."""
    listed = truth.read("published.json")
    for model, sizes in listed["file_bytes"].items():
        spec = ModelSpec(
            id="model", name="Model", architecture=truth.architecture(model)
        )
        for quantization, size in sizes.items():
            yield from _file(spec, quantization, size)
    for row in listed["fused"]:
        spec = open_catalogue().spec(row["model"]).replace(files=())
        for quantization, gigabytes in row["gigabytes"].items():
            yield from _file(spec, quantization, int(gigabytes * 1e9))


def _file(spec: ModelSpec, quantization: str, size_bytes: int) -> Iterator[Part]:
    """A published file, where its size can be counted."""
    files = weights_files(spec, "gguf", quantization)
    if isinstance(files, Term):
        yield Part("published GGUF file", files.bytes, size_bytes)
