"""Feed changed examples of this repository to the commands, and judge how they take them. Linux only.

    python benchmarks/fuzz.py [KIND …] --cases 1000 --seed 1 --jobs 2 [--keep FOLDER] [--large]

Kinds: those of `fuzz_kinds.py`; without any, all. A case follows from seed, kind and number alone. Cases run in this process's
workers, which start anew when they die; one in `--every` runs as a process of its own. `--large` runs the costly inputs of
`fuzz_large.py` instead, each in a process. What counts as a fault is in `judge`. Exit 1 where there was one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import queue
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

from fuzz_kinds import KINDS, REPOSITORY, Case, Draw

CODES = (0, 1, 2, 3)
MAX_SECONDS = 5.0
# without a moment of work: it waits for what never comes
MAX_IDLE_SECONDS = 3.0
MAX_WAITED_SECONDS = 60.0
MAX_PEAK_BYTES = 512 << 20
MAX_OUTPUT_BYTES = 1_000_000
# a catalogue of hundreds of models, each with its verdict
MAX_LIST_BYTES = 16_000_000
ADDRESS_SPACE_BYTES = 6 << 30
CASES_A_WORKER = 500
# what a CI system takes for a command of its own, wherever a report stands in its log
_WORKFLOW = re.compile(r"^\s*::|##\[|##vso\[", re.MULTILINE)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)")
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


class Outcome(NamedTuple):
    """One command: its exit code (None: an exception left it), what it wrote, and what it took."""

    words: tuple[str, ...]
    code: int | None
    out: bytes
    err: bytes
    trace: str
    seconds: float
    peak_bytes: int
    seen: tuple[str, ...] = ()


class OverTime(BaseException):
    """Raised into a command that takes too long; no handler of its own stops it."""


# ------------------------------------------------------------------ running


class _Watch:
    """What a command opens for writing, connects to or starts, while `folder` is set."""

    events = (
        "socket.",
        "subprocess.",
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.fork",
        "urllib.",
        "http.",
        "os.kill",
    )
    moves = (
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
    )

    def __init__(self) -> None:
        self.folder: str | None = None
        self.words: Sequence[str] = ()
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event.startswith(self.events):
            self.seen.append(f"{event} {str(arguments)[:100]}")
        elif event.startswith(self.moves) or (
            event == "open"
            and isinstance(arguments[2], int)
            and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            path = arguments[0]
            if isinstance(path, str | bytes) and not self._allowed(os.fsdecode(path)):
                self.seen.append(f"{event} {os.fsdecode(path)[:100]!r}")

    def _allowed(self, path: str) -> bool:
        whole = os.path.abspath(path)
        asked_for = any(path in (word, word.rpartition("=")[2]) for word in self.words)
        return (
            asked_for
            or (whole + os.sep).startswith((self.folder or "") + os.sep)
            or whole in ("/dev/null", "/dev/full", "/dev/zero", "/dev/tty")
        )


def _peak_bytes() -> int:
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def in_process(words: Sequence[str], folder: Path, watch: _Watch) -> Outcome:
    """Run the command here, with a deadline, its output caught."""
    from selfhost.cli.main import main

    out, err = io.BytesIO(), io.BytesIO()
    # held to the end: a text layer that goes closes what lies below
    texts = (
        io.TextIOWrapper(out, encoding="utf-8", write_through=True),
        io.TextIOWrapper(err, encoding="utf-8", errors="backslashreplace", write_through=True),
    )
    trace, code = "", None
    _forget_peak()
    start = time.process_time()
    try:
        watch.folder, watch.words, watch.seen = str(folder), words, []
        with contextlib.redirect_stdout(texts[0]), contextlib.redirect_stderr(texts[1]):
            signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
            signal.setitimer(signal.ITIMER_REAL, MAX_IDLE_SECONDS, MAX_IDLE_SECONDS)
            code = main(words)
    except OverTime as error:
        trace = f"{error}\n{_last_frames(error)}"
    except BaseException as error:
        trace = f"{type(error).__name__}: {str(error)[:300]}\n{_last_frames(error)}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.folder = None
    return Outcome(
        tuple(words),
        code,
        out.getvalue(),
        err.getvalue(),
        trace,
        time.process_time() - start,
        _peak_bytes(),
        tuple(watch.seen),
    )


def _last_frames(error: BaseException) -> str:
    """Where in the program an exception arose: the innermost of its own frames first."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}selfhost{os.sep}" in frame.filename
    ]
    names = [
        f"{Path(frame.filename).parent.name}/{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in reversed(frames)
    ]
    return "\n".join(names[:8])


def as_process(words: Sequence[str], folder: Path, seconds: float = 60) -> Outcome:
    """Run the command as a user would, with its peak memory and the time it took or waited, whichever is told apart by `seconds`."""
    environment = {key: value for key, value in os.environ.items() if key != "SELFHOST_DEBUG"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "selfhost", *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)),
        )  # fmt: skip
        identity = status = 0
        while not identity and time.monotonic() < start + seconds:
            identity, status, used = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0.002)
        trace = ""
        if not identity:
            process.kill()
            _, status, used = os.wait4(process.pid, 0)
            trace = f"over {seconds:g} s of waiting\n"
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        spent = used.ru_utime + used.ru_stime
        return Outcome(
            tuple(words), None if trace else process.returncode, out.read(MAX_LIST_BYTES * 2), err.read(MAX_LIST_BYTES), trace, spent,
            used.ru_maxrss * 1024,
        )  # fmt: skip


# ------------------------------------------------------------------ judging


def judge(outcome: Outcome, validate: bool = False) -> list[str]:
    """What is wrong with how a command ended, each as one line that is the same for the same cause."""
    command = outcome.words[0] if outcome.words and outcome.words[0].isalpha() else "?"
    out, err = outcome.out.decode("utf-8", "replace"), outcome.err.decode("utf-8", "replace")
    if outcome.trace:
        lines = outcome.trace.splitlines()
        return [f"{_without_values(lines[0])} at {lines[1] if len(lines) > 1 else command}"]
    faults = []
    if outcome.code not in CODES:
        place = re.search(r"\(([\w.]+:\d+)\)", err)
        faults.append(f"{command}: exit {outcome.code} {place[0] if place else ''}".strip())
    if _TRACEBACK.search(out + err):
        faults.append(f"{command}: a traceback")
    if outcome.seconds > MAX_SECONDS:
        faults.append(f"{command}: over {MAX_SECONDS:g} s")
    # to measure the memory's pace takes an eighth of what is free
    if outcome.peak_bytes > MAX_PEAK_BYTES and "--measure" not in outcome.words:
        faults.append(f"{command}: over {MAX_PEAK_BYTES >> 20} MiB")
    most = (
        MAX_LIST_BYTES
        if command in ("list", "?") or "--machines" in outcome.words
        else MAX_OUTPUT_BYTES
    )
    faults += [
        f"{command}: {len(text):,} characters on {name}"[:60]
        for name, text in (("stdout", out), ("stderr", err))
        if len(text) > most
    ]
    if outcome.code == 2 and not err.strip():
        faults.append(f"{command}: exit 2 without a word")
    wants_json = _wants_json(outcome.words)
    for name, text in (("stdout", out), ("stderr", err)):
        # what somebody types himself commands nothing that he could not
        typed = any(_WORKFLOW.search(word) for word in outcome.words)
        faults += [
            f"{command}: {letter} on {name}"
            for letter in _unfit(text, wants_json or typed or command == "completion")
        ]
    faults += [f"{command}: {event}" for event in outcome.seen]
    if wants_json and "--help" not in outcome.words and "-h" not in outcome.words:
        faults += [f"{command}: {fault}" for fault in _json_faults(outcome, out, err, validate)]
    if command == "audit" and out.startswith("<?xml"):
        try:
            ElementTree.fromstring(out)
        except ElementTree.ParseError:
            faults.append("audit: no XML")
    return faults


def _without_values(text: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "…", text)[:120]


def _unfit(text: str, plain: bool) -> list[str]:
    letters = {
        letter
        for letter in set(text)
        if (unicodedata.category(letter) == "Cc" and letter not in "\n\t")
        or letter in _BIDIRECTIONAL
    }
    faults = [
        f"U+{ord(letter):04X}"
        for letter in sorted(letters)
        if not plain or unicodedata.category(letter) == "Cc"
    ]
    line = None if plain else _WORKFLOW.search(text)
    if line:
        faults.append(f"a workflow command {line[0].strip()}")
    return faults


def _wants_json(words: Sequence[str]) -> bool:
    return any(
        word == "--format=json" or (word == "--format" and later == "json")
        for word, later in zip(words, [*words[1:], ""], strict=True)
    )


def _json_faults(outcome: Outcome, out: str, err: str, validate: bool) -> Iterator[str]:
    if outcome.code in (0, 1, 3) or out.strip():
        if not out.strip():
            if not any(
                word.startswith(("--output", "--init", "--format=json=")) for word in outcome.words
            ):
                yield f"no JSON at exit {outcome.code}"
            return
        try:
            value = json.loads(out, parse_constant=_no_constant)
        except ValueError as error:
            yield f"no JSON: {_without_values(str(error))[:60]}"
            return
        if outcome.code == 2 and not (
            isinstance(value, dict) and (value.get("errors") or value.get("verdicts"))
        ):
            yield "something on stdout at exit 2"
        yield from sorted({_without_values(fault) for fault in _odd_numbers(value, "")})
        if validate:
            yield from _against_schema(value)
    if outcome.code == 2 and not out.strip():
        try:
            if json.loads(err, parse_constant=_no_constant)["schema"] != "selfhost.error/1":
                yield "no selfhost.error/1 at exit 2"
        except (ValueError, KeyError, TypeError):
            yield "no JSON on stderr at exit 2"


def _no_constant(word: str) -> None:
    raise ValueError(f"holds {word}")


def _odd_numbers(value: Any, key: str) -> Iterator[str]:
    """Sizes below zero, and ranges whose ends are swapped: a wrong number stated with confidence."""
    if isinstance(value, dict):
        ends = [value.get(name) for name in ("low_bytes", "total_bytes", "high_bytes")]
        sizes = [end for end in ends if isinstance(end, int)]
        if len(sizes) == len(ends) and sizes != sorted(sizes):
            yield f"{key}: a range that is none"
        for name, item in value.items():
            yield from _odd_numbers(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _odd_numbers(item, key)
    elif (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value < 0
        and key.endswith("bytes")
    ):
        yield f"{key} below zero"


@cache
def _schema(name: str) -> Any:
    import jsonschema

    path = (
        REPOSITORY
        / "selfhost"
        / "schemas"
        / f"{name.removeprefix('selfhost.').replace('/', '-')}.json"
    )
    return (
        jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))
        if path.is_file()
        else None
    )


def _against_schema(value: Any) -> Iterator[str]:
    validator = _schema(str(value.get("schema"))) if isinstance(value, dict) else None
    errors = [] if validator is None else list(validator.iter_errors(value))[:3]
    for error in errors:
        keys = "/".join(part for part in error.absolute_path if isinstance(part, str))
        yield f"{value['schema']} {keys}: {_without_values(error.message)[:80]}"


# ------------------------------------------------------------------ a worker


def _inputs(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file of a case that no command may change, by what changes with it."""
    known = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            whole = os.path.join(path, name)
            status = os.lstat(whole)
            known[os.path.relpath(whole, folder)] = (
                status.st_mode,
                status.st_size,
                status.st_mtime_ns if name in files else 0,
            )
    return known


def _changed(
    before: dict[str, tuple[int, int, int]], folder: Path, words: Sequence[str]
) -> Iterator[str]:
    after = _inputs(folder)
    named = [
        os.path.normpath(word.rpartition("=")[2]) for word in words if word and "\0" not in word
    ]
    values = {*named, *(os.path.normpath(word) for word in words if word)}
    if "--init" in words:
        values.add("audit.toml")
    for name in sorted(before.keys() | after.keys()):
        asked_for = any(name == value or name.startswith(value + os.sep) for value in values)
        if (
            name in before
            and before[name] != after.get(name)
            and (named.count(name) != 1 or len(words) < 3)
        ):
            yield f"{words[0]}: an input was changed ({'removed' if name not in after else 'overwritten'})"
        elif name not in before and not asked_for:
            yield f"{words[0]}: a file was written that nobody asked for"


def run_case(
    kind: str, name: str, without: frozenset[int], folder: Path, process: bool, watch: _Watch
) -> dict[str, Any]:
    """Build one case, run its commands and judge them."""
    draw = Draw(name, without)
    case: Case = KINDS[kind](draw, folder)
    faults: list[dict[str, Any]] = []
    codes: list[int | None] = []
    seconds, peak_bytes = 0.0, 0
    os.chdir(folder)
    for words in case.commands:
        before = _inputs(folder)
        alone = process and not any("\0" in word for word in words)
        outcome = (
            as_process(words, folder, MAX_WAITED_SECONDS)
            if alone
            else in_process(words, folder, watch)
        )
        wrong = judge(outcome, validate=draw.chance.random() < 0.1)
        wrong += list(_changed(before, folder, words)) if words else []
        if case.plain and len(codes) == 1 and codes[0] == 0 and outcome.code == 2:
            wrong.append(f"{words[0]}: refused what `{' '.join(case.commands[0][:2])}` calls ok")
        codes.append(outcome.code)
        seconds, peak_bytes = max(seconds, outcome.seconds), max(peak_bytes, outcome.peak_bytes)
        text = outcome.trace or outcome.err.decode("utf-8", "replace")
        faults += [{"fault": fault, "words": list(words), "text": text[:1500]} for fault in wrong]
        if case.plain and len(codes) == 1 and codes[0] != 0:
            break
    return {
        "codes": codes,
        "faults": faults,
        "seconds": seconds,
        "peak_bytes": peak_bytes,
        "changes": draw.changes,
        "first": case.commands[0][0],
    }


def work() -> None:
    """A worker: one case a line of standard input, its result a line of standard output."""
    requests, results = (
        os.fdopen(os.dup(0), encoding="utf-8"),
        os.fdopen(os.dup(1), "w", encoding="utf-8"),
    )
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open as long as the worker
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))

    worked = 0.0

    def late(number: int, frame: FrameType | None) -> None:
        raise OverTime(f"over {MAX_SECONDS:g} s")

    def idle(number: int, frame: FrameType | None) -> None:
        nonlocal worked
        before, worked = worked, time.process_time()
        if worked - before < 0.005:
            raise OverTime("waits without end")

    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, idle)
    watch = _Watch()
    sys.addaudithook(watch)
    with tempfile.TemporaryDirectory(prefix="selfhost-fuzz-") as home:
        os.environ.update(HOME=home, SELFHOST_DEBUG="1")
        for line in requests:
            request = json.loads(line)
            folder = Path(home) / "case"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            result = run_case(
                request["kind"],
                request["name"],
                frozenset(request["without"]),
                folder,
                request["process"],
                watch,
            )
            if request["keep"]:
                shutil.copytree(
                    folder,
                    request["keep"],
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=_pipes,
                    copy_function=_copy,
                )
            os.chdir(home)
            results.write(json.dumps(result) + "\n")
            results.flush()


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo()]


def _copy(source: str, target: str) -> None:
    if os.path.getsize(source) < 1 << 22:
        shutil.copy(source, target)
        return
    # most of it is a hole
    with open(source, "rb") as start, open(target, "wb") as copy:
        copy.write(start.read(1 << 20))
        copy.truncate(os.path.getsize(source))


class Worker:
    """One process that runs cases until it dies or has run `CASES_A_WORKER`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._left = 0

    def run(
        self,
        kind: str,
        name: str,
        *,
        without: Sequence[int] = (),
        process: bool = False,
        keep: str | None = None,
    ) -> dict[str, Any]:
        if self._left == 0:
            self.close()
            self._left = CASES_A_WORKER
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self._process is not None
        to, back = _pipes_of(self._process)
        self._left -= 1
        to.write(
            json.dumps(
                {
                    "kind": kind,
                    "name": name,
                    "without": list(without),
                    "process": process,
                    "keep": keep,
                }
            )
            + "\n"
        )
        to.flush()
        ready, _, _ = select.select([back], [], [], 4 * MAX_WAITED_SECONDS)
        line = back.readline() if ready else ""
        if line:
            result: dict[str, Any] = json.loads(line)
            return result
        self._process.kill()
        _, err = self._process.communicate()
        self._left = 0
        end = (
            "was waited for in vain"
            if not ready
            else f"died: {(err.strip().splitlines() or [''])[-1][:100]} ({self._process.returncode})"
        )
        fault = {"fault": f"{kind}: a worker {end}", "words": [], "text": err[-1500:]}
        return {
            "codes": [None],
            "faults": [fault],
            "seconds": 0.0,
            "peak_bytes": 0,
            "changes": 0,
            "first": "",
        }

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            _pipes_of(self._process)[0].close()
            self._process.wait(timeout=60)


def _pipes_of(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


# ------------------------------------------------------------------ the whole run


class Tally:
    """What came of the cases of one kind."""

    def __init__(self) -> None:
        self.cases = self.accepted = self.refused = self.faulty = self.peak_bytes = 0
        self.seconds = 0.0

    def add(self, result: dict[str, Any]) -> None:
        self.cases += 1
        first = result["codes"][0] if result["codes"] else None
        # `spec check` answers 1 for a wrong file
        wrong = (1, 2) if result["first"] == "spec" else (2,)
        self.accepted += first in CODES and first not in wrong
        self.refused += first in wrong
        self.faulty += bool(result["faults"])
        self.peak_bytes = max(self.peak_bytes, result["peak_bytes"])
        self.seconds = max(self.seconds, result["seconds"])


class Fault(NamedTuple):
    """The first case that showed a fault."""

    kind: str
    name: str
    words: list[str]
    text: str
    changes: int
    process: bool


def run_cases(
    kinds: Sequence[str], count: int, seed: str, jobs: int, every: int, minutes: float
) -> tuple[dict[str, Tally], dict[str, Fault], dict[str, int]]:
    tallies = {kind: Tally() for kind in kinds}
    firsts: dict[str, Fault] = {}
    numbers: dict[str, int] = defaultdict(int)
    cases: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for number in range(count):
        for kind in kinds:
            cases.put((kind, number))
    lock = threading.Lock()
    end = time.monotonic() + minutes * 60

    def drain() -> None:
        worker = Worker()
        while time.monotonic() < end:
            try:
                kind, number = cases.get_nowait()
            except queue.Empty:
                break
            name, process = f"{seed}:{kind}:{number}", every > 0 and number % every == every - 1
            result = worker.run(kind, name, process=process)
            with lock:
                tallies[kind].add(result)
                for fault in result["faults"]:
                    numbers[fault["fault"]] += 1
                    firsts.setdefault(
                        fault["fault"],
                        Fault(
                            kind, name, fault["words"], fault["text"], result["changes"], process
                        ),
                    )
        worker.close()

    _together([drain] * jobs)
    return tallies, firsts, numbers


def _together(tasks: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def keep(folder: Path, firsts: dict[str, Fault]) -> None:
    """Write the input of each fault, with as few changes as still show it."""
    worker = Worker()
    for place, (fault, first) in enumerate(sorted(firsts.items())):
        without: list[int] = []
        for change in range(first.changes if first.changes <= 12 else 0):
            tried = worker.run(
                first.kind, first.name, without=[*without, change], process=first.process
            )
            if any(other["fault"] == fault for other in tried["faults"]):
                without.append(change)
        here = folder / f"{place:03d}-{re.sub(r'[^a-zA-Z0-9.]+', '-', fault)[:80].strip('-')}"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir(parents=True)
        final = worker.run(
            first.kind, first.name, without=without, process=first.process, keep=str(here / "case")
        )
        words, text = next(
            (
                (other["words"], other["text"])
                for other in final["faults"]
                if other["fault"] == fault
            ),
            (first.words, first.text),
        )
        about = {
            "fault": fault,
            "case": first.name,
            "without": without,
            "words": words,
            "text": text,
        }
        (here / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    worker.close()


def show(tallies: dict[str, Tally], firsts: dict[str, Fault], numbers: dict[str, int]) -> None:
    print(
        f"{'kind':<12} {'cases':>7} {'accepted':>9} {'refused':>8} {'faulty':>7} {'peak MiB':>9} {'longest s':>10}"
    )
    for kind, tally in tallies.items():
        figures = f"{tally.cases:>7,} {tally.accepted:>9,} {tally.refused:>8,} {tally.faulty:>7,}"
        print(f"{kind:<12} {figures} {tally.peak_bytes / 2**20:>9.0f} {tally.seconds:>10.2f}")
    for fault, number in sorted(numbers.items(), key=lambda entry: -entry[1]):
        first = firsts[fault]
        print(
            f"\n{number:>6,} × {fault}\n         {first.name}  selfhost {' '.join(map(repr, first.words))[:300]}"
        )
        for line in first.text.splitlines()[:6]:
            print(f"         {line[:160]!r}")


def run_large(kinds: Sequence[str], keep_in: Path | None) -> int:
    from fuzz_large import LARGE

    faulty = 0
    print(
        f"{'kind':<12} {'input':<34} {'exit':>4} {'seconds':>8} {'waited':>7} {'peak MiB':>9} {'output':>10}  fault"
    )
    for kind, names in LARGE.items():
        for name in names if kind in kinds else ():
            with tempfile.TemporaryDirectory(prefix="selfhost-fuzz-") as folder:
                # apart: a process begins with the peak of the one that it was made by
                built = subprocess.run(
                    [sys.executable, __file__, "--build", kind, name, folder],
                    capture_output=True,
                    check=True,
                )
                words = tuple(json.loads(built.stdout))
                start = time.monotonic()
                outcome = as_process(words, Path(folder), 120)
                waited = time.monotonic() - start
                faults = judge(outcome)
                faulty += bool(faults)
                size = f"{len(outcome.out) + len(outcome.err):,}"
                figures = f"{outcome.code!s:>4} {outcome.seconds:>8.2f} {waited:>7.2f} {outcome.peak_bytes / 2**20:>9.0f} {size:>10}"
                print(f"{kind:<12} {name:<34} {figures}  {'; '.join(faults)}", flush=True)
                if faults and keep_in is not None:
                    keep_in.mkdir(parents=True, exist_ok=True)
                    text = outcome.trace + outcome.err.decode("utf-8", "replace")[:1500]
                    report = f"selfhost {' '.join(words)[:1000]}\n{'; '.join(faults)}\n{text}\n"
                    (keep_in / f"large-{kind}-{name.replace(' ', '-')}.txt").write_text(
                        report, encoding="utf-8"
                    )
    return faulty


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "kinds", nargs="*", choices=(*KINDS, []), metavar="KIND", help=", ".join(KINDS)
    )
    parser.add_argument("--cases", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no case after so long")
    parser.add_argument(
        "--every", type=int, default=50, help="one case in so many is a process of its own; 0: none"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the input of each fault")
    parser.add_argument("--large", action="store_true", help="costly inputs instead")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        from fuzz_large import LARGE

        kind, name, folder = options.build
        print(json.dumps(LARGE[kind][name](Path(folder))))
        return 0
    if options.work:
        work()
        return 0
    kinds = options.kinds or list(KINDS)
    if options.large:
        return 1 if run_large(kinds, options.keep) else 0
    tallies, firsts, numbers = run_cases(
        kinds, options.cases, options.seed, options.jobs, options.every, options.minutes
    )
    show(tallies, firsts, numbers)
    if options.keep is not None:
        keep(options.keep, firsts)
    return 1 if numbers else 0


if __name__ == "__main__":
    raise SystemExit(main())
