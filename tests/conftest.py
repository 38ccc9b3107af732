"""Shared fixtures: recorded machines, golden files, and a wall against the network."""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import NoReturn

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import WorkStealingScheduling

from helpers.written import Golden, pack
from selfhost.catalogue.index import Catalogue
from selfhost.cli import progress
from selfhost.core import units

# a slow machine is no fault of the code; each run draws other examples
settings.register_profile("selfhost", deadline=None, max_examples=40)
settings.load_profile("selfhost")

# of an editable install pytest takes the whole package for the code of a plugin, and would rewrite
# the assertions of its modules: 3 s of each test process, for none that a test reads
for _finder in sys.meta_path:
    getattr(_finder, "_must_rewrite", set()).discard("selfhost")
# rewritten modules of tests are kept for the other processes and for the next run, whatever the
# developer's shell says: to rewrite them all takes each process 6 s
sys.dont_write_bytecode = False


# `gw0`, `gw1` and so on, one of several processes that share the tests; "" for the only one
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Every second process reads the modules of tests from the last to the first. So two processes
    meet in the middle, and each finds the assertions of the other half rewritten, in the file where
    Python keeps compiled modules. To rewrite them all takes 10 s.
    """
    report = yield
    if isinstance(collector, pytest.Dir) and PROCESS.endswith(tuple("13579")):
        report.result.reverse()
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(
    config: pytest.Config, log: Producer
) -> WorkStealingScheduling:
    """Give each process a half, of which it keeps what no idle process takes: the tests of a file
    share what they prepare, and most files stay in one process.
    """
    return WorkStealingScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order of the modules is the same in each process. What takes longest comes first: begun
    last, one process would work and the others wait.
    """
    items.sort(
        key=lambda item: (
            item.path.name != "test_packaging.py",
            item.nodeid.partition("::")[0],
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> bool | None:
    """One of several processes tells only of the test itself, and of what went wrong before or
    after it. To tell of each step takes six messages a test, and 15 s in all.
    """
    if not PROCESS or item.config.getoption("durations") is not None:
        return None
    for report in runtestprotocol(item, log=False, nextitem=nextitem):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


def pytest_collection_finish() -> None:
    """What thousands of collected tests hold is never looked through for garbage again."""
    gc.collect()
    gc.freeze()
    # at 20,000 it took 6 % of the time of the tests
    gc.set_threshold(100_000, 20, 20)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help=(
            "write tests/golden and the values in tests/answers anew; read each change "
            "before you commit it"
        ),
    )


def _refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a socket was opened")


class _RefusedSocket(socket.socket):
    """A socket that nobody can open. A class, because `ssl` makes a subclass where it is imported
    first.
    """

    __init__ = _refuse


@pytest.fixture(autouse=True)
def _apart_from_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any socket that a test opens in this process is an error; the developer's shell and the day
    reach no test.
    """
    monkeypatch.setattr(socket, "socket", _RefusedSocket)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, _refuse)
    for name in (
        "SELFHOST_SPECS",
        "SELFHOST_DEBUG",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLUMNS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(units, "utc_today", lambda: "2026-11-20")
    # on a busy machine any command may take two seconds
    monkeypatch.setattr(progress, "SECONDS_BEFORE_NOTE", 10_000.0)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder to start the program from, as a package has it."""
    return pack(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def packed(installation: Path) -> Path:
    """The shipped specs as a package holds them. Tests that change them take a copy."""
    return installation / "specs"


@pytest.fixture
def few_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every eighth model is listed, and GPT-2, which tests ask for: for laws of any list, which
    need not judge a thousand models. A name still means any of them.
    """
    ids = Catalogue.ids
    monkeypatch.setattr(
        Catalogue, "ids", lambda own: tuple(sorted({*ids(own)[::8], "gpt2"}))
    )


@pytest.fixture(scope="session")
def source_environment(installation: Path) -> dict[str, str]:
    """Environment for child processes: this checkout's modules beside packed specs, as users have
    them. What they import is compiled once.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS")
    }
    # not those of the folder they start in, the checkout itself
    own = {"PYTHONPATH": str(installation), "PYTHONSAFEPATH": "1"}
    return {**kept, **own, "PYTHONWARNINGS": "error"}
