"""Work that several processes share, begun in an interpreter of its own:

    python -m helpers.shared_work spawn results

starts workers by `spawn`, and prints as JSON what came of it. pytest itself has several threads, so
that no process of it may be copied; and a worker that is no copy imports this module by its name.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from itertools import count
from multiprocessing.process import BaseProcess

from selfhost.audit import processes
from selfhost.audit.processes import in_order
from selfhost.core.errors import SelfhostError

PIECES = 40
# more than a pipe holds
LARGE = 1 << 20
POLICY = """
[[model]]
name = "gpt2"
[[model]]
name = "mistral-7b"
context_tokens = 16384
[[model]]
name = "deepseek-v3"
"""


def square(number: int) -> tuple[int, int]:
    """The square, and the process that found it. Early pieces take longest."""
    time.sleep(max(0, 10 - number) / 1_000)
    return number * number, os.getpid()


def lengthen(text: str) -> str:
    """A large result of a large piece."""
    return text + text[:1]


def refuse_seven(number: int) -> int:
    """An error of selfhost for one piece."""
    if number == 7:
        raise SelfhostError("seven is refused", remedy="leave it out")
    return number


def fail_at_seven(number: int) -> int:
    """An error of Python's, as by a bug."""
    return number // (number - 7)


def die_at_seven(number: int) -> int:
    """The end of the process, as by a system that lacks memory."""
    if number == 7:
        os._exit(9)
    return number


def rest(_number: int) -> int:
    """The process, after a moment."""
    time.sleep(0.1)
    return os.getpid()


def results() -> object:
    """The squares in order, and whether others than this process found them."""
    found = list(in_order(range(PIECES), square, 3))
    workers = {process for _, process in found}
    return {
        "squares": [value for value, _ in found],
        "workers": len(workers),
        "alone": workers == {os.getpid()},
    }


def results_beside_a_thread() -> object:
    """As `results`, while this process has another thread."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        return results()
    finally:
        done.set()
        thread.join()


def results_in_a_pool() -> object:
    """As `results`, in a worker of another pool."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(results)


def results_of_few(allowed: str) -> object:
    """As `results`, where the system lets so many processes begin."""
    start = BaseProcess.start
    begun: list[BaseProcess] = []

    def start_few(process: BaseProcess) -> None:
        if len(begun) == int(allowed):
            raise BlockingIOError("the limit of processes is reached")
        begun.append(process)
        start(process)

    BaseProcess.start = start_few  # type: ignore[assignment, method-assign]
    return results()


def large() -> object:
    """The lengths of large results of large pieces."""
    pieces = ("x" * (LARGE + number) for number in range(PIECES))
    return [len(result) for result in in_order(pieces, lengthen, 3)]


def error() -> object:
    """The results before an error, and the error."""
    before: list[int] = []
    try:
        before.extend(in_order(range(PIECES), refuse_seven, 1))
    except SelfhostError as raised:
        return [str(raised), raised.remedy]
    return before


def bug() -> object:
    """What is told of an error of Python's."""
    try:
        return list(in_order(range(PIECES), fail_at_seven, 3))
    except ZeroDivisionError as raised:
        return traceback.format_exception(raised)


def death() -> object:
    """The error where a worker has ended."""
    try:
        return list(in_order(range(PIECES), die_at_seven, 3))
    except SelfhostError as raised:
        return [str(raised), raised.remedy]


def endless() -> object:
    """Work that ends by an interrupt, told once each worker has a piece."""
    # a job in the background of a shell would hear of none
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for number, _ in enumerate(in_order(count(), rest, 3)):
            if number == 0:
                print("begun", flush=True)
    except KeyboardInterrupt:
        return "interrupted"
    raise AssertionError("the work has ended")


def audit(folder: str) -> object:
    """The rows of an audit of the records in a folder, read and judged by several processes, and
    what is told of the machines.
    """
    # the other work does without the audit, whose modules take each worker a quarter of a second
    from helpers.audits import as_lines, judged
    from selfhost.audit import fleet_judge, machines
    from selfhost.audit.machines import load_machines

    machines._READ_ALONE = 0
    machines._BATCH_RECORDS = 10
    fleet_judge._WORK_OF_TASK = 3
    fleet = load_machines(folder, processes=2)
    rows = as_lines(judged(POLICY, fleet=fleet)).splitlines()
    problems = [str(problem) for problem in fleet.problems]
    return {"rows": rows, "told": [*fleet.machines.names, *problems]}


WORK: Mapping[str, Callable[..., object]] = {
    "results": results,
    "beside a thread": results_beside_a_thread,
    "in a pool": results_in_a_pool,
    "few": results_of_few,
    "large": large,
    "error": error,
    "bug": bug,
    "death": death,
    "endless": endless,
    "audit": audit,
}


def main(start_method: str, name: str, *arguments: str) -> None:
    """Do the work, and print what came of it. `own` leaves the choice of a start method to the
    program; `none` starts no process.
    """
    if start_method != "own":
        chosen = None if start_method == "none" else start_method
        processes._start_method = lambda: chosen
    print(json.dumps(WORK[name](*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
