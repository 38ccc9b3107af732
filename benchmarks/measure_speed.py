"""The predicted pace beside the one that llama-bench measures on this machine. Nothing here passes or fails.

    python benchmarks/measure_speed.py --llama-bench build/bin/llama-bench --run mistral-7b-instruct-v0.3 Q4_K_M mistral.gguf

`--run` (repeatable) takes an id of the catalogue, the file's quantization, and the file. The bandwidth is measured before and after
each run; on a busy machine both are doubtful, and the line says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
from collections.abc import Sequence

from selfhost import needs as need
from selfhost.catalogue.index import Catalogue
from selfhost.machine.probes.bandwidth import FACT
from selfhost.machine.reader import Machine
from selfhost.verdict import pacing, speed

DECODE_TOKENS, PROMPT_TOKENS = 24, 128


def measured() -> Machine:
    """This machine with its bandwidth, also where it is doubtful: here one wants to see what comes of it."""
    machine = Machine.read(measure=True)
    if machine.memory_bandwidth_bytes_per_second is None:
        raise SystemExit(machine.why_unread(FACT).reason)
    return machine


def bench(program: str, file: str, threads: int, kind: str, depth: int) -> float:
    """Tokens per second, the median of three."""
    lengths = (
        ("-p", "0", "-n", str(DECODE_TOKENS))
        if kind == "decode"
        else ("-p", str(PROMPT_TOKENS), "-n", "0")
    )
    command = [
        program,
        "-m",
        file,
        "-t",
        str(threads),
        "-r",
        "3",
        "-o",
        "json",
        *lengths,
        *(("-d", str(depth)) if depth else ()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    samples: list[float] = json.loads(done.stdout)[0]["samples_ts"]
    return statistics.median(samples)


def main(arguments: Sequence[str] | None = None) -> None:
    """One line a run: measured, predicted, how far off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llama-bench", default="llama-bench", help="the program")
    parser.add_argument(
        "--run", nargs=3, action="append", required=True, metavar=("MODEL", "QUANTIZATION", "FILE")
    )
    parser.add_argument(
        "--depth", type=int, default=0, help="tokens in the context before decoding begins"
    )
    options = parser.parse_args(arguments)
    shelf = Catalogue.open()
    rows = shelf.common("architectures")
    for model, quantization, file in options.run:
        architecture = shelf.spec(model).architecture
        weights = need.decode_bytes_by_type(shelf.spec(model), None, "gguf", quantization, rows)
        for kind in ("decode", "prompt"):
            before = measured()
            pace = bench(
                options.llama_bench,
                file,
                before.cpu_cores_physical or 1,
                kind,
                options.depth if kind == "decode" else 0,
            )
            after = measured()
            depth = options.depth + DECODE_TOKENS // 2
            ranges = []
            for machine in (before, after):
                answer = pacing.predict(
                    machine,
                    architecture,
                    weights,
                    speed.LaidOut(context_tokens=2 * depth),
                    runtime=shelf.runtime("llama.cpp"),
                )
                found = answer.decode if kind == "decode" else answer.prompt
                if found is not None:
                    ranges.append(found)
            likely = statistics.mean(found.likely for found in ranges)
            low, high = min(found.low for found in ranges), max(found.high for found in ranges)
            doubts = sorted({each.sources[FACT] for each in (before, after)})
            verdict = (
                f"{likely / pace - 1:+.0%}"
                + ("" if low <= pace <= high else ", OUTSIDE")
                + "".join(f"; {note}" for note in doubts)
            )
            line = (
                f"measured {pace:.2f}, predicted {likely:.2f} ({low:.2f} to {high:.2f}), {verdict}"
            )
            print(f"{model} {quantization} {kind}: {line}", flush=True)


if __name__ == "__main__":
    main()
