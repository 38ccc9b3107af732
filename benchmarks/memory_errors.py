"""How far computed quantities of memory are from what was measured, case by case.

What goes in: the measurements in `tests/truth`, and the functions that the tests ask. What comes
out: an `Error` for each quantity of each case.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import ggufs
from helpers import llamacpp_truth as truth
from needs.llamacpp import test_catalogue_truth as catalogue_truth
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.modelfiles import read_local
from selfhost.modelfiles.config import encoder_parameters
from selfhost.needs import weights_files
from selfhost.needs.llamacpp import compute, graph
from selfhost.needs.quantization import recipe_tensors
from selfhost.needs.records import Term

# the guess of the compute buffer assumes prompts of a whole micro-batch
_WHOLE_BATCH_TOKENS = 512


class Error(NamedTuple):
    """How far a computed quantity of an architecture is from the measured one.

    `share` is the distance as a share of the measured quantity.
    """

    quantity: str
    architecture: str
    share: float

    @classmethod
    def of(
        cls,
        quantity: str,
        architecture: str,
        predicted: int,
        measured: int,
    ) -> Error:
        """The error of a prediction; both figures have the same unit."""
        return cls(quantity, architecture, relative_error(predicted, measured))


def all_errors() -> Iterator[Error]:
    """The errors of all quantities."""
    yield from _allocated()
    yield from _loaded()
    yield from _published()
    yield from _published_fused()
    yield from _projectors()
    yield from _catalogue_models()
    yield from _models_of_headers()


def relative_error(predicted: float, measured: float) -> float:
    """The distance as a share of the measured figure; 1 where that is 0 and the predicted one is
    not.
    """
    if measured:
        return abs(predicted - measured) / measured
    return float(predicted != measured)


def _tensor_bytes(
    architecture: Architecture,
    quantization: str,
    *,
    importance_matrix: bool,
) -> int:
    """The bytes of all tensors of a file in that quantization."""
    tensors = recipe_tensors(
        architecture, quantization, importance_matrix=importance_matrix
    )
    return sum(tensor.bytes for tensor in tensors)


class Buffer(NamedTuple):
    """A compute buffer in bytes: the guess, and the exact size, None where the graph is unknown."""

    guess_bytes: int
    exact_bytes: int | None

    @property
    def bytes(self) -> int:
        """The exact size, else the guess."""
        return self.guess_bytes if self.exact_bytes is None else self.exact_bytes


def _buffer(architecture: Architecture, case: Mapping[str, Any]) -> Buffer:
    """The compute buffer of a measured case."""
    batch = truth.batch_of(architecture, case)
    guess = compute.guessed_compute(batch)
    exact = graph.exact_compute_bytes(batch)
    return Buffer(guess_bytes=guess.bytes, exact_bytes=exact)


def _allocated() -> Iterator[Error]:
    """The errors of the buffers of 968 cases, which llama.cpp's allocator measured."""
    for record in truth.records("memory"):
        architecture = truth.architecture(record["model"])
        yield from _weights_and_cache(architecture, record)
        yield from _buffers(architecture, record)


def _weights_and_cache(
    architecture: Architecture,
    record: Mapping[str, Any],
) -> Iterator[Error]:
    """The errors of the weights, the cache and the state of a case."""
    row = architecture.row
    quantization = record["quant"]
    tensors = _tensor_bytes(
        architecture, quantization, importance_matrix=quantization[0] == "I"
    )
    cache, state = truth.kept(architecture, record)
    yield Error.of("tensor bytes", row, tensors, record["tensor_bytes"])
    yield Error.of("KV cache", row, cache, record["kv_bytes"])
    yield Error.of("recurrent state", row, state, record["recurrent_state_bytes"])


def _buffers(
    architecture: Architecture,
    record: Mapping[str, Any],
) -> Iterator[Error]:
    """The errors of the compute buffer of a case, and of the sum of all its buffers."""
    row = architecture.row
    buffer = _buffer(architecture, record)
    measured = record["compute_bytes"]
    yield Error.of("compute buffer", row, buffer.bytes, measured)
    if record["n_ctx"] >= _WHOLE_BATCH_TOKENS:
        yield Error.of("compute buffer, guessed", row, buffer.guess_bytes, measured)
    weights = record["repacked_bytes"] + record["plain_bytes"]
    kept = record["kv_bytes"] + record["recurrent_state_bytes"]
    predicted_sum = weights + sum(truth.kept(architecture, record)) + buffer.bytes
    measured_sum = weights + kept + measured
    yield Error.of("sum of all buffers", row, predicted_sum, measured_sum)


def _loaded() -> Iterator[Error]:
    """The errors of the peak resident memory of real loads, less the pages that may be evicted."""
    for record in truth.records("run"):
        memory = truth.judged(record, repacked=bool(record["repack"])).memory
        if record["mmap"] and memory is not None:
            peak = record["peak_rss_bytes"] - memory.evictable_bytes
            row = truth.architecture(record["model"]).row
            yield Error.of("peak resident memory", row, memory.total_bytes, peak)


def _published() -> Iterator[Error]:
    """The errors of the sizes of GGUF files that their publishers list."""
    for model, sizes in truth.read("published.json")["file_bytes"].items():
        architecture = truth.architecture(model)
        spec = ModelSpec(id="model", name="Model", architecture=architecture)
        for quantization, size in sizes.items():
            files = weights_files(spec, "gguf", quantization)
            if isinstance(files, Term):
                row = architecture.row
                yield Error.of("published GGUF size", row, files.bytes, size)


def _published_fused() -> Iterator[Error]:
    """The same errors for models whose experts are stored fused."""
    for listed in truth.read("published.json")["fused"]:
        spec = Catalogue.open().spec(listed["model"]).replace(files=())
        for quantization, gigabytes in listed["gigabytes"].items():
            files = weights_files(spec, "gguf", quantization)
            if isinstance(files, Term):
                size = int(gigabytes * 1e9)
                yield Error.of("published GGUF size, fused", spec.id, files.bytes, size)


def _projectors() -> Iterator[Error]:
    """The errors of the parameters of encoders, estimated from their config.json."""
    encoders = truth.read("encoders.json")
    for entry in (*encoders["classes"], *encoders["published"]):
        config = entry["config"]
        predicted = 0
        for part in ("vision_config", "audio_config"):
            if config.get(part):
                predicted += encoder_parameters(config[part], entry["text_width"])
        if "encoders" in entry and predicted:
            kind = config["model_type"]
            yield Error.of("encoder parameters", kind, predicted, entry["encoders"])


def _catalogue_models() -> Iterator[Error]:
    """The errors for models of the catalogue, with options drawn by chance."""
    found = catalogue_truth.truth()
    for name, cases in found["memory"].items():
        row = catalogue_truth.model(name).row
        for values in cases:
            case: dict[str, Any] = dict(zip(found["columns"], values, strict=True))
            computed = catalogue_truth.computed(name, case)
            measured = case["context_bytes"]
            yield Error.of(
                "catalogue: cache and state", row, computed.context_bytes, measured
            )
            measured = case["compute_bytes"]
            yield Error.of(
                "catalogue: compute buffer", row, computed.compute_bytes, measured
            )
    for name, sizes in found["tensor_bytes"].items():
        architecture = catalogue_truth.model(name)
        for quantization, size in sizes.items():
            predicted = _tensor_bytes(
                architecture,
                quantization,
                importance_matrix=quantization.startswith("IQ"),
            )
            row = architecture.row
            yield Error.of("catalogue: tensor bytes", row, predicted, size)
    for load in found["loads"]:
        memory = catalogue_truth.stated_for_load(load)
        peak = load["peak_rss_bytes"] - memory.evictable_bytes
        row = catalogue_truth.model(load["model"]).row
        predicted = memory.total_bytes
        yield Error.of("catalogue: peak resident memory", row, predicted, peak)


def _models_of_headers() -> Iterator[Error]:
    """The errors for a model of each other architecture of llama.cpp, which is known only by the
    header of its GGUF file.
    """
    with TemporaryDirectory() as folder:
        for name, model in ggufs.measured().items():
            architecture = read_local(ggufs.make(Path(folder), name)).spec.architecture
            assert architecture is not None, name
            if "columns" not in model:
                continue
            for case in model["cases"]:
                row = architecture.row
                kept = sum(truth.kept(architecture, case))
                measured = case["context_bytes"]
                yield Error.of("headers: cache and state", row, kept, measured)
                buffer = _buffer(architecture, case)
                quantity = "headers: compute buffer"
                if buffer.exact_bytes is None:
                    quantity += ", guessed"
                yield Error.of(quantity, row, buffer.bytes, case["compute_bytes"])
