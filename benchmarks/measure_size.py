"""llama-server in a control group of the size that `selfhost size` prints: figures for `tests/truth/llamacpp_groups.json`.
Linux only; needs a memory control group that may be written (root in a virtual machine), without swap. llama.cpp is built with
-DGGML_NATIVE=OFF, for the processor that `selfhost size` assumes: x86-64-v3.

    pip install gguf numpy
    python benchmarks/measure_size.py --out FILE --programs BUILD/bin --tree LLAMA_CPP [--only TEXT]

Models have the names, shapes and metadata of models of the catalogue and no data. Each run starts a server in a group of its own and
sends prompts of random tokens, no two alike, from as many clients as there are users:

- limit: the printed options under the printed limit
- default: without --cache-ram and environment, under what `check` says the model needs, the limit that somebody would guess
- less: the printed options under nine tenths of what cannot be reclaimed
- no_cache, where asked for: the printed options under the printed limit without the page cache
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from measure_llamacpp import _VOCABULARIES, EMBEDDINGS, TEXTS, _asked, write
from rig import about

from selfhost import Workload
from selfhost.advice.sizes import ContainerSize, node
from selfhost.api import size

# not among the models of that script; whose templates these have
_VOCABULARIES["pythia-70m"] = _VOCABULARIES["pythia-160m"]
_VOCABULARIES["granite-3.1-1b-a400m-instruct"] = _VOCABULARIES["smollm2-135m-instruct"]
_TEMPLATES = {model: template for model, _, template in TEXTS}
_POOLINGS = {model: pooling for model, _, pooling in EMBEDDINGS}
# threads that wait for each other give their core to whoever else has work
_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}
RUNS = ("limit", "default", "less", "no_cache")
# no run waits longer, in seconds: for the server to start, and for all prompts
_START, _MOST = 60, 600


def cases() -> list[dict[str, Any]]:
    """Attention alone with long and with short prompts, layers with a window, recurrent layers, routed experts, several users, texts to
    embed."""
    common = {"quant": "Q4_K_M", "users": 1}
    return [
        common | {"model": "pythia-70m", "n_ctx": 1024, "users": 2, "prompts": 24, "tokens": [100, 500]},
        common | {"model": "falcon-h1-0.5b-instruct", "n_ctx": 512, "prompts": 8, "tokens": [5, 20]},
        common | {"model": "gemma-3-270m-it", "n_ctx": 512, "prompts": 60, "tokens": [30, 200]},
        common | {"model": "gemma-3-270m-it", "n_ctx": 1024, "users": 4, "prompts": 40, "tokens": [100, 900]},
        common | {"model": "granite-3.1-1b-a400m-instruct", "n_ctx": 1024, "prompts": 6, "tokens": [100, 900]},
        common | {"model": "smollm2-135m-instruct", "n_ctx": 1024, "users": 4, "prompts": 16, "tokens": [100, 900]},
        common | {"model": "bge-small-en-v1.5", "quant": "F16", "n_ctx": 512, "prompts": 60, "tokens": [30, 500]},
        common | {"model": "bge-small-en-v1.5", "quant": "F16", "n_ctx": 512, "prompts": 120, "tokens": [20, 500], "grows": True},
        common | {"model": "qwen3-embedding-0.6b", "quant": "Q8_0", "n_ctx": 512, "users": 4, "prompts": 16, "tokens": [400, 500]},
        common | {"model": "pythia-70m", "n_ctx": 1024, "prompts": 80, "tokens": [5, 30]},
        common | {"model": "pythia-160m", "n_ctx": 1024, "users": 2, "prompts": 16, "tokens": [100, 500]},
        common | {"model": "granite-4.0-350m", "n_ctx": 512, "prompts": 12, "tokens": [30, 200]},
        common | {"model": "qwen3-0.6b", "n_ctx": 512, "users": 2, "prompts": 8, "tokens": [30, 200]},
    ]  # fmt: skip


class Group:
    """A memory control group, of version 1 or 2."""

    def __init__(self, name: str, limit_bytes: int) -> None:
        first = Path("/sys/fs/cgroup/memory")
        self._is_first = first.is_dir()
        self._path = (first if self._is_first else Path("/sys/fs/cgroup")) / name
        self._path.mkdir()
        self._write("memory.limit_in_bytes" if self._is_first else "memory.max", limit_bytes)
        if not self._is_first:
            self._write("memory.swap.max", 0)

    def _write(self, file: str, value: int) -> None:
        (self._path / file).write_text(str(value), encoding="ascii")

    def _read(self, file: str) -> dict[str, int]:
        lines = (self._path / file).read_text(encoding="ascii").splitlines()
        return {line.split()[0]: int(line.split()[-1]) for line in lines}

    def enter(self) -> None:
        """Called in the child, before the program starts."""
        self._write("cgroup.procs", os.getpid())

    def usage(self) -> tuple[int, int]:
        """Bytes that cannot be reclaimed, and all that is counted."""
        stat = self._read("memory.stat")
        current = "memory.usage_in_bytes" if self._is_first else "memory.current"
        return stat["rss" if self._is_first else "anon"], int(
            (self._path / current).read_text(encoding="ascii")
        )

    def kills(self) -> int:
        """How many processes were killed for memory."""
        return self._read("memory.oom_control" if self._is_first else "memory.events")["oom_kill"]

    def close(self) -> None:
        """Once no process is left."""
        for _ in range(50):
            try:
                self._path.rmdir()
                return
            except OSError:
                time.sleep(0.1)


class Clients:
    """Users who send prompts until all are answered, the server is gone or the time is over."""

    def __init__(self, case: dict[str, Any], group: Group, port: int) -> None:
        self._case, self._group, self._port = case, group, port
        self._lock, self._random = threading.Lock(), random.Random(7)
        self._left = case["prompts"]
        self.answered = self.tokens = self.anonymous_bytes = 0

    def _next(self) -> list[int] | None:
        with self._lock:
            if not self._left:
                return None
            self._left -= 1
            low, high = self._case["tokens"]
            length = self._random.randint(low, high)
            if self._case.get("grows"):
                # each text is longer than all before it
                length = high - (high - low) * self._left // self._case["prompts"]
            return [self._random.randrange(100, 30_000) for _ in range(length)]

    def _send(self, end: float) -> None:
        while time.monotonic() < end and (prompt := self._next()) is not None:
            body: dict[str, Any] = {"prompt": prompt, "n_predict": 2, "ignore_eos": True}
            path = "/completion"
            if self._case["model"] in _POOLINGS:
                path, body = "/embeddings", {"content": prompt}
            try:
                status, _ = _asked(self._port, path, body)
            except (OSError, ValueError):
                return
            if status != 200:
                return
            with self._lock:
                self.answered += 1
                self.tokens += len(prompt) + 2
                self.anonymous_bytes = max(self.anonymous_bytes, self._group.usage()[0])

    def run(self) -> float:
        """Sends all prompts; returns how many seconds that took."""
        start = time.monotonic()
        threads = [
            threading.Thread(target=self._send, args=(start + _MOST,), daemon=True)
            for _ in range(self._case["users"])
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if time.monotonic() > start + _MOST + _START:
                break
            time.sleep(0.2)
        return time.monotonic() - start


def arguments(sized: ContainerSize, path: Path, *, bounded: bool) -> list[str]:
    """The printed options for the file at `path`; without the prompt cache's where not `bounded`."""
    words = ["-m", str(path), *sized.arguments[2:]]
    if not bounded and "--cache-ram" in words:
        at = words.index("--cache-ram")
        del words[at : at + 2]
    return words


def limits(sized: ContainerSize) -> dict[str, int]:
    """The limit of each run, in bytes."""
    memory = sized.needs.memory
    assert memory is not None
    return {
        "limit": sized.limit_bytes,
        "default": memory.high_bytes,
        "less": sized.unreclaimable_bytes * 9 // 10,
        "no_cache": sized.limit_bytes - sized.page_cache_bytes,
    }


def run(
    kind: str, case: dict[str, Any], sized: ContainerSize, path: Path, server: Path, port: int
) -> dict[str, Any]:
    """One server in one group; what became of it."""
    limit = limits(sized)[kind]
    group = Group(f"selfhost-size-{os.getpid()}", limit)
    # pages that others have read already are not counted in the group
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    words = [str(server), *arguments(sized, path, bounded=kind != "default"), "--port", str(port)]
    clients = Clients(case, group, port)
    with subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=group.enter,
        env={**os.environ, **_ENVIRONMENT, **({} if kind == "default" else sized.environment)},
    ) as process:
        try:
            ready = _wait(process, port)
            seconds = clients.run() if ready else 0.0
            kills, code = group.kills(), process.poll()
        finally:
            process.kill()
    group.close()
    outcome = "killed" if kills or code == -9 else "served"
    if outcome == "served" and clients.answered < case["prompts"]:
        outcome = "stalled" if code is None else f"ended with {code}"
    return {
        "run": kind,
        "limit_bytes": limit,
        "outcome": outcome,
        "answered": clients.answered,
        "tokens": clients.tokens,
        "seconds": round(seconds, 1),
        "anonymous_bytes": clients.anonymous_bytes,
    }


def _wait(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server answers before it ends."""
    end = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < end:
        try:
            if _asked(port, "/health", None)[0] == 200:
                return True
        except OSError:
            pass
        time.sleep(0.1)
    return False


def sized_for(case: dict[str, Any]) -> ContainerSize:
    """What `selfhost size` prints for the model on the node that it assumes."""
    workload = Workload(
        runtime="llama.cpp",
        quantization=case["quant"],
        context_tokens=case["n_ctx"],
        parallel=case["users"],
    )
    return size(case["model"], workload, machine=node())


def main() -> None:
    """Measures what the file does not hold yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to go on with")
    parser.add_argument("--programs", type=Path, required=True, help="where llama-server was built")
    parser.add_argument("--tree", type=Path, required=True, help="the source tree of llama.cpp")
    parser.add_argument("--only", default="", help="only cases whose name has this text")
    parser.add_argument("--runs", default=",".join(RUNS[:3]), help=f"of {', '.join(RUNS)}")
    parser.add_argument("--port", type=int, default=18300)
    given = parser.parse_args()
    old = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    results: dict[str, dict[str, Any]] = {result["name"]: result for result in old.get("cases", ())}
    with tempfile.TemporaryDirectory() as temporary:
        for case in cases():
            name = " ".join(f"{key}={value}" for key, value in case.items())
            if given.only not in name:
                continue
            sized = sized_for(case)
            result = results.setdefault(name, _about(name, case, sized))
            present = {measured["run"] for measured in result["runs"]}
            for kind in [kind for kind in given.runs.split(",") if kind not in present]:
                path = Path(temporary) / f"{case['model']}-{case['quant']}.gguf"
                if not path.exists():
                    template = _TEMPLATES.get(case["model"], "")
                    pooling = _POOLINGS.get(case["model"], 0)
                    write(path, case["model"], case["quant"], given.tree, template, pooling)
                measured = run(kind, case, sized, path, given.programs / "llama-server", given.port)
                result["runs"].append(measured)
                print(name, measured, flush=True)
                _save(given.out, results)


def _about(name: str, case: dict[str, Any], sized: ContainerSize) -> dict[str, Any]:
    """A case before its runs, with what was printed for it."""
    return {
        "name": name,
        **case,
        "unreclaimable_bytes": sized.unreclaimable_bytes,
        "limit_bytes": sized.limit_bytes,
        "page_cache_bytes": sized.page_cache_bytes,
        "arguments": list(sized.arguments[2:]),
        "environment": dict(sized.environment),
        "runs": [],
    }


def _save(path: Path, results: dict[str, dict[str, Any]]) -> None:
    made = about(
        "benchmarks/measure_size.py: llama-server of llama.cpp 0c1e570, CPU backend, in a control group",
        "run: limit (printed options, printed limit), default (without --cache-ram and environment, under what check says), less (nine tenths of "
        "what cannot be reclaimed), no_cache (the printed limit without the page cache); answered: of so many prompts; anonymous_bytes: the most that could "
        "not be reclaimed, seen after an answer; grows: each text is longer than all before; seconds: on a machine that others used too",
        ("numpy",),
    )
    rows = ",\n".join(map(json.dumps, results.values()))
    path.write_text(f'{{"about":{json.dumps(made)},\n"cases":[\n{rows}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
