"""How far predictions are from what was measured: median, 95th percentile and worst, per quantity and architecture.

    python benchmarks/prediction_errors.py              # one line a quantity
    python benchmarks/prediction_errors.py --by-model   # and one an architecture, where anything is off
    python benchmarks/prediction_errors.py --widths     # only how wide the ranges are that the catalogue is told, per runtime and modality
    python benchmarks/prediction_errors.py --widths transformers   # and one line a model of it that is wider than ± 10 %

Then one line a runtime: how many peaks of whole runs lie inside the range that is told, how wide that is, and how far off its middle.

The measurements are those in tests/truth; the same functions are asked as in the tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from helpers import ggufs as headers
from helpers import llamacpp_truth as truth
from needs import test_python as python
from needs import test_runtimes_truth as others
from needs.llamacpp import test_catalogue_truth as catalogue
from selfhost import needs
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.workload import Workload
from selfhost.modelfiles import read_local
from selfhost.modelfiles.config import encoder_parameters
from selfhost.needs import weights_files
from selfhost.needs.llamacpp import compute, graph
from selfhost.needs.quantization import recipe_tensors
from selfhost.needs.records import MemoryNeed, Term
from selfhost.needs.tensors import row_of

Error = tuple[str, str, float]
"""Quantity, architecture, relative error."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--by-model",
        action="store_true",
        help="one line an architecture too, where anything is off",
    )
    parser.add_argument(
        "--widths",
        nargs="?",
        const="",
        metavar="RUNTIME",
        help="how wide the ranges of the catalogue are, and stop",
    )
    options = parser.parse_args()
    if options.widths is not None:
        _print_widths(options.widths)
        return 0
    found: dict[tuple[str, str], list[float]] = {}
    for quantity, architecture, error in (
        *_allocated(),
        *_loaded(),
        *_published(),
        *_projectors(),
        *_of_the_catalogue(),
        *_of_headers(),
    ):
        found.setdefault((quantity, ""), []).append(error)
        if options.by_model:
            found.setdefault((quantity, architecture), []).append(error)
    print(
        f"{'quantity':36} {'architecture':16} {'n':>5} {'exact':>6} {'median %':>9} {'95 % %':>8} {'worst %':>8}"
    )
    for (quantity, architecture), errors in sorted(
        found.items(), key=lambda item: item[0]
    ):
        ordered = sorted(errors)
        if architecture and ordered[-1] < 5e-5:
            continue
        high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        exact = sum(error == 0 for error in ordered)
        line = f"{quantity:36} {architecture or 'all':16} {len(ordered):5} {exact:6} "
        print(
            line
            + f"{100 * median(ordered):9.2f} {100 * high:8.2f} {100 * ordered[-1]:8.2f}"
        )
    _print_ranges()
    return 0


Told = tuple[int, int, int, float]
"""Least, likely and most that is told, and what was measured, in bytes."""


def _print_ranges() -> None:
    print(
        f"\n{'whole runs in':36} {'n':>5} {'inside':>7} {'± median':>9} {'± worst':>8} {'off median':>11} {'off worst':>10}  outside"
    )
    for name, found in _ranges():
        widths = sorted((high - low) / (high + low) for _, (low, _, high, _) in found)
        off = sorted(_off(likely, seen) for _, (_, likely, _, seen) in found)
        outside = [
            run for run, (low, _, high, seen) in found if not low <= seen <= high
        ]
        line = f"{name:36} {len(found):5} {100 * (1 - len(outside) / len(found)):6.1f}% {100 * median(widths):8.1f}% {100 * widths[-1]:7.1f}%"
        print(
            f"{line} {100 * median(off):10.1f}% {100 * off[-1]:9.1f}%  {', '.join(outside)}"
        )


def _ranges() -> Iterator[tuple[str, list[tuple[str, Told]]]]:
    """What users are told of whole runs, per runtime, against their peaks."""
    found = [
        (
            f"{run['model']} {run['quant']} {run['n_ctx']}",
            _told(need, run["peak_rss_bytes"] - need.evictable_bytes),
        )
        for run in truth.records("run")
        if run["mmap"]
        and (need := truth.judged(run, repacked=bool(run["repack"])).memory) is not None
    ]
    yield "llama.cpp", found
    loads = []
    for load in catalogue.truth()["loads"]:
        need = catalogue.stated_for_load(load)
        told = _told(need, load["peak_rss_bytes"] - need.evictable_bytes)
        loads.append((f"{load['model']} {load['quant']} {load['n_ctx']}", told))
    yield "llama.cpp, models of the catalogue", loads
    # what nobody told apart: later prompts of a conversation, logits of every token
    programs = [
        run
        for run in catalogue.programs()
        if "turns" not in run and not run.get("logits_all")
    ]
    for program in dict.fromkeys(run["program"] for run in programs):
        stated = [
            (run, catalogue.stated(run))
            for run in programs
            if run["program"] == program
        ]
        yield (
            program,
            [
                (run["name"], _told(need, run["peak_bytes"] - need.evictable_bytes))
                for run, need in stated
            ],
        )
    for kind in ("generate", "encode", "shapes", "see"):
        runs = [run for run in python.usual(kind) if run in python.RUNS]
        yield (
            f"transformers, {kind}",
            [
                (run["name"], _told(python.answered(run), python.peak(run)))
                for run in runs
            ],
        )
    attention: list[tuple[str, Told]] = []
    recurrent: list[tuple[str, Told]] = []
    for run in [*others.truth("mlx")["published"], *others.truth("mlx")["unlike"]]:
        architecture = Catalogue.open().spec(run["model"]).architecture
        into = (
            recurrent
            if architecture is not None and architecture.recurrent
            else attention
        )
        into.append(
            (
                f"{run['model']} {run['quantization']} {run['prompt_tokens']}",
                (*others.on_a_mac(run), run["peak_gb"] * 1e9),
            )
        )
    yield "mlx on Macs, attention (no program)", attention
    yield "mlx on Macs, recurrent (no program)", recurrent
    whisper = others.truth("whisper")
    # its default, 5 beams; a clip after text is no recording that a length can be told of
    seen = [
        run
        for run in whisper["whisper-cli"]
        if run["beams"] == 5 and (run["audio_seconds"] > 30 or not run["prompt_tokens"])
    ]
    heard = [
        (
            run["name"],
            _told(
                others.speech(run["size"], run["audio_seconds"]).memory,
                run["peak_bytes"],
            ),
        )
        for run in seen
    ]
    printed = [
        (
            f"README {run['size']}",
            _told(others.speech(run["size"]).memory, run["memory_bytes"]),
        )
        for run in whisper["readme"]
    ]
    yield "whisper.cpp", [*heard, *printed]
    long = [run for run in whisper["faster-whisper"] if run.get("audio_seconds") == 600]
    yield (
        "faster-whisper",
        [(run["name"], _told(others.heard(run).memory, _peak(run))) for run in long],
    )
    pictures = [
        (
            run["name"],
            _told(
                others.pipeline(run).memory,
                _peak(run, "loaded", "encoded") + others.shortened_tables(run),
            ),
        )
        for run in others.truth("diffusers")["runs"]
    ]
    yield "diffusers", pictures


# context that the catalogue is asked with, or what a model was trained for, if less; and what counts as wide
_CONTEXT_TOKENS, _WIDE = 8192, 0.10


def _print_widths(chosen: str) -> None:
    """Half the range as a share of its middle, per runtime and modality, at the default format and quantization of each model."""
    print(
        f"{'ranges of the catalogue':36} {'n':>5} {'± median':>9} {'± 95 %':>8} {'± worst':>8} {'over 10':>8}"
    )
    shelf = Catalogue.open()
    for runtime in map(shelf.runtime, shelf.runtime_ids()):
        widths: dict[str, list[tuple[float, str, MemoryNeed]]] = {}
        for spec in map(shelf.spec, shelf.ids()):
            if (
                spec.closed
                or spec.modality not in runtime.modalities
                or needs.why_not_loaded(spec, runtime)
            ):
                continue
            format, quantization = needs.default_format_and_quantization(spec, runtime)
            longest = spec.architecture.context_tokens if spec.architecture else None
            tokens = min(_CONTEXT_TOKENS, longest or _CONTEXT_TOKENS)
            asked = Workload(
                runtime=runtime.id,
                format=format,
                quantization=quantization,
                context_tokens=tokens,
            )
            case = needs.case_for(spec, runtime, asked, instruction_sets=())
            memory = needs.count(case).memory
            if memory is not None and memory.high_bytes:
                low, high = memory.low_bytes, memory.high_bytes
                widths.setdefault(spec.modality, []).append(
                    ((high - low) / (high + low), spec.id, memory)
                )
        for modality, found in sorted(widths.items()):
            ordered = sorted(width for width, _, _ in found)
            line = f"{f'{runtime.id}, {modality}':36} {len(ordered):5} {100 * median(ordered):9.1f}"
            line += f" {100 * ordered[int(0.95 * (len(ordered) - 1))]:8.1f} {100 * ordered[-1]:8.1f}"
            print(f"{line} {sum(width > _WIDE for width in ordered):8}")
            if runtime.id == chosen:
                for width, id, memory in sorted(found, key=lambda item: item[:2]):
                    if width > _WIDE:
                        terms = ", ".join(
                            f"{term.name} {term.low_bytes:,} to {term.high_bytes:,} ({term.how})"
                            for term in memory.terms
                        )
                        print(f"    ± {100 * width:.1f} % {id}: {terms}")


def _told(memory: MemoryNeed | None, seen: float) -> Told:
    assert memory is not None
    return memory.low_bytes, memory.total_bytes, memory.high_bytes, seen


def _peak(run: dict[str, Any], *left_out: str) -> int:
    return max(
        int(stage["peak_bytes"])
        for name, stage in run["stages"].items()
        if name not in left_out
    )


def _off(predicted: float, measured: float) -> float:
    return (
        abs(predicted - measured) / measured
        if measured
        else float(predicted != measured)
    )


def _allocated() -> Iterator[Error]:
    """What llama.cpp's allocator answered, 968 cases."""
    for record in truth.records("memory"):
        model = record["model"]
        made, row, setup = (
            truth.architecture(model),
            truth.row(model),
            truth.setup_of(record),
        )
        name = made.row
        tensors = recipe_tensors(
            made, record["quant"], importance_matrix=record["quant"][0] == "I"
        )
        yield (
            "tensor bytes",
            name,
            _off(sum(tensor.bytes for tensor in tensors), record["tensor_bytes"]),
        )
        cache, state = truth.kept(made, record)
        yield "KV cache", name, _off(cache, record["kv_bytes"])
        yield "recurrent state", name, _off(state, record["recurrent_state_bytes"])
        logits = truth.rows_of_logits(record)
        buffer = graph.exact_compute_bytes(made, row, setup, logits)
        guess = compute.guessed_compute(made, row, setup, logits).bytes
        buffer = guess if buffer is None else buffer
        yield "compute buffer", name, _off(buffer, record["compute_bytes"])
        if record["n_ctx"] >= 512:
            yield "compute buffer, guessed", name, _off(guess, record["compute_bytes"])
        weights = record["repacked_bytes"] + record["plain_bytes"]
        measured = (
            weights
            + record["kv_bytes"]
            + record["recurrent_state_bytes"]
            + record["compute_bytes"]
        )
        yield (
            "sum of all buffers",
            name,
            _off(weights + cache + state + buffer, measured),
        )


def _loaded() -> Iterator[Error]:
    """Peak resident memory of real loads, less what may be evicted."""
    for record in truth.records("run"):
        memory = truth.judged(record, repacked=bool(record["repack"])).memory
        if record["mmap"] and memory is not None:
            peak = record["peak_rss_bytes"] - memory.evictable_bytes
            yield (
                "peak resident memory",
                truth.architecture(record["model"]).row,
                _off(memory.total_bytes, peak),
            )


def _published() -> Iterator[Error]:
    """GGUF files as their publishers list them."""
    for model, sizes in truth.read("published.json")["file_bytes"].items():
        made = truth.architecture(model)
        for quantization, size in sizes.items():
            sized = weights_files(
                ModelSpec(id="model", name="Model", architecture=made),
                "gguf",
                quantization,
            )
            if isinstance(sized, Term):
                yield "published GGUF size", made.row, _off(sized.bytes, size)
    for listed in truth.read("published.json")["fused"]:
        spec = Catalogue.open().spec(listed["model"]).replace(files=())
        for quantization, gigabytes in listed["gigabytes"].items():
            sized = weights_files(spec, "gguf", quantization)
            if isinstance(sized, Term):
                yield (
                    "published GGUF size, fused",
                    spec.id,
                    _off(sized.bytes, int(gigabytes * 1e9)),
                )


def _projectors() -> Iterator[Error]:
    """Encoders by their config.json: the estimate against the parameters of their classes."""
    found = truth.read("encoders.json")
    for entry in (*found["classes"], *found["published"]):
        parts = [entry["config"].get(key) for key in ("vision_config", "audio_config")]
        made = sum(
            encoder_parameters(part, entry["text_width"]) for part in parts if part
        )
        if "encoders" in entry and made:
            yield (
                "encoder parameters",
                entry["config"]["model_type"],
                _off(made, entry["encoders"]),
            )


def _of_the_catalogue() -> Iterator[Error]:
    """The catalogue's own models, with options drawn by chance."""
    found = catalogue.truth()
    for name, cases in found["memory"].items():
        made, _ = catalogue.model(name)
        for values in cases:
            case: dict[str, Any] = dict(zip(found["columns"], values, strict=True))
            computed = catalogue.computed(name, case)
            yield (
                "catalogue: cache and state",
                made.row,
                _off(computed.context_bytes, case["context_bytes"]),
            )
            yield (
                "catalogue: compute buffer",
                made.row,
                _off(computed.compute_bytes, case["compute_bytes"]),
            )
    for name, sizes in found["tensor_bytes"].items():
        made, _ = catalogue.model(name)
        for quantization, size in sizes.items():
            tensors = recipe_tensors(
                made, quantization, importance_matrix=quantization.startswith("IQ")
            )
            yield (
                "catalogue: tensor bytes",
                made.row,
                _off(sum(tensor.bytes for tensor in tensors), size),
            )
    for load in found["loads"]:
        predicted = catalogue.stated_for_load(load)
        peak = load["peak_rss_bytes"] - predicted.evictable_bytes
        yield (
            "catalogue: peak resident memory",
            catalogue.model(load["model"])[0].row,
            _off(predicted.total_bytes, peak),
        )


def _of_headers() -> Iterator[Error]:
    """A model of each of the other architectures of llama.cpp, known from the header of its GGUF file alone."""
    with TemporaryDirectory() as folder:
        for name, model in headers.measured().items():
            made = read_local(headers.make(Path(folder), name)).spec.architecture
            assert made is not None
            row = row_of(made)
            assert row.name
            for case in model["cases"] if "columns" in model else ():
                setup, rows = truth.setup_of(case), truth.rows_of_logits(case)
                yield (
                    "headers: cache and state",
                    row.name,
                    _off(sum(truth.kept(made, case)), case["context_bytes"]),
                )
                buffer = graph.exact_compute_bytes(made, row, setup, rows)
                quantity = "headers: compute buffer" + (
                    ", guessed" if buffer is None else ""
                )
                if buffer is None:
                    buffer = compute.guessed_compute(made, row, setup, rows).bytes
                yield quantity, row.name, _off(buffer, case["compute_bytes"])


if __name__ == "__main__":
    raise SystemExit(main())
