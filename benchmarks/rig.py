"""What the scripts that measure memory share: a fresh process per run, its stages, and the file of figures. Linux only."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass
class Rig:
    """One script: its runs, how a model is made and measured. `groups`: by kind of a run, where in the file it stands."""

    script: str
    source: str
    conditions: str
    packages: tuple[str, ...]
    groups: dict[str, str]
    cases: Callable[[], list[dict[str, Any]]]
    make: Callable[[str, str], None]
    measure: Callable[[dict[str, Any], str, Stages], dict[str, Any]]
    config_of: Callable[[str, str], dict[str, Any]]


def name_of(case: dict[str, Any]) -> str:
    """One line that tells a run from every other."""
    return " ".join(
        f"{value}" if key in ("kind", "model", "dtype", "method") else f"{key}={value}"
        for key, value in case.items()
    )


# ------------------------------------------------------------------ inside the measured process


class Stages:
    """Resident memory at named moments, with the highest since the moment before."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, int]] = {}

    def note(self, name: str) -> None:
        """Reads `/proc/self/status` and resets its high-water mark."""
        found = {}
        with open("/proc/self/status", encoding="ascii") as lines:
            for line in lines:
                key, _, value = line.partition(":")
                if key in ("VmHWM", "VmRSS", "RssAnon", "RssFile"):
                    found[key] = int(value.split()[0]) * 1024
        self.seen[name] = {
            "resident_bytes": found["VmRSS"],
            "peak_bytes": found["VmHWM"],
            "anonymous_bytes": found["RssAnon"],
            "file_bytes": found["RssFile"],
        }
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


class Allocations:
    """The most that PyTorch's allocator held inside the block, above what it held before."""

    def __init__(self, torch: Any) -> None:
        self._profile = torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        )
        self.peak_bytes = 0
        self.left_bytes = 0

    def __enter__(self) -> Allocations:
        self._profile.__enter__()
        return self

    def __exit__(self, *gone: object) -> None:
        self._profile.__exit__(*gone)
        events = self._profile.profiler.kineto_results.events()
        for _, change in sorted(
            (event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"
        ):
            self.left_bytes += change
            self.peak_bytes = max(self.peak_bytes, self.left_bytes)


def stored_bytes(tensors: Any) -> tuple[int, int]:
    """Bytes of the elements, and of the storages behind them, each storage once."""
    used, held = 0, {}
    for tensor in tensors:
        used += tensor.numel() * tensor.element_size()
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return used, sum(held.values())


# ------------------------------------------------------------------ the process that starts the others


def about(source: str, conditions: str, packages: tuple[str, ...]) -> dict[str, Any]:
    """What the figures are, the versions and the kind of machine; no name of it."""
    processor = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return {
        "source": source,
        "license": "measurements of this project, Apache-2.0",
        "conditions": conditions,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        "processor": processor,
        "date": datetime.now(tz=UTC).date().isoformat(),
    }


def _child(rig: Rig, *arguments: str, mmap_threshold: int | None = None) -> str | None:
    """The last line that a fresh process of the script prints; None where it failed. `mmap_threshold` in bytes: glibc's, fixed."""
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    if mmap_threshold is not None:
        environment |= {
            "MALLOC_MMAP_THRESHOLD_": str(mmap_threshold),
            "MALLOC_TRIM_THRESHOLD_": str(mmap_threshold),
        }
    done = subprocess.run(
        [sys.executable, rig.script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return done.stdout.strip().rpartition("\n")[2]


def _write(rig: Rig, record: dict[str, Any], path: Path) -> None:
    """One run a line."""
    parts = []
    for key, value in record.items():
        if key in rig.groups.values():
            parts.append(f'"{key}":[\n' + ",\n".join(map(json.dumps, value)) + "\n]")
        elif key == "models":
            parts.append(
                f'"{key}":{{\n'
                + ",\n".join(
                    f"{json.dumps(name)}:{json.dumps(model)}" for name, model in value.items()
                )
                + "\n}"
            )
        else:
            parts.append(f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main(rig: Rig, description: str) -> None:
    """Measures every case that the file does not hold yet, model by model."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write or to go on with")
    parser.add_argument("--only", default="", help="only runs whose name has this text")
    parser.add_argument(
        "--work",
        type=Path,
        help="where models of up to 5 GB are made and kept; default a temporary folder",
    )
    parser.add_argument("--list", action="store_true", help="name the runs and stop")
    parser.add_argument("--make", nargs=2, metavar=("MODEL", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=2, metavar=("CASE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        rig.make(*given.make)
        return
    if given.measure:
        case, stages = json.loads(given.measure[0]), Stages()
        stages.note("interpreter")
        found = rig.measure(case, given.measure[1], stages)
        print(json.dumps({**case, **found, "stages": stages.seen}))
        return
    wanted = [case for case in rig.cases() if given.only in name_of(case)]
    if given.list or given.out is None:
        print("\n".join(map(name_of, wanted)))
        return
    old = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    groups = dict.fromkeys(rig.groups.values())
    record = {
        "about": about(rig.source, rig.conditions, rig.packages),
        "models": old.get("models", {}),
        **{group: old.get(group, []) for group in groups},
    }
    present = {run["name"] for group in groups for run in record[group]}
    with tempfile.TemporaryDirectory() as temporary:
        room = given.work or Path(temporary)
        for model in dict.fromkeys(case["model"] for case in wanted):
            folder = str(room / model)
            for case in wanted:
                if case["model"] != model or name_of(case) in present:
                    continue
                if not Path(folder).exists():
                    _child(rig, "--make", model, folder)
                record["models"][model] = rig.config_of(model, folder)
                begun = time.monotonic()
                line = _child(
                    rig,
                    "--measure",
                    json.dumps(case),
                    folder,
                    mmap_threshold=case.get("mmap_threshold"),
                )
                print(
                    f"{name_of(case)}: {'failed' if line is None else 'done'} in {time.monotonic() - begun:.0f} s",
                    flush=True,
                )
                if line is not None:
                    record[rig.groups[case["kind"]]].append(
                        {"name": name_of(case), **json.loads(line)}
                    )
                    _write(rig, record, given.out)
            if given.work is None:
                shutil.rmtree(folder, ignore_errors=True)
