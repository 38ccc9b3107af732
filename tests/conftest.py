"""Shared fixtures: recorded machines, golden files, and a wall against the network."""

from __future__ import annotations

import gc
import os
import socket
import tomllib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NoReturn

import pytest
from hypothesis import settings

from helpers.goldens import Golden
from helpers.paths import ROOT
from selfhost import api
from selfhost.catalogue import index as catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.shipped import shipped_folder

# a slow machine is no fault of the code
settings.register_profile("selfhost", deadline=None)
settings.load_profile("selfhost")


_parse = tomllib.loads


@lru_cache(maxsize=2048)
def _parsed(text: str) -> dict[str, Any]:
    return _parse(text)


def _copied(value: Any) -> Any:
    """With containers of its own, so that no test finds what another has changed."""
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _loads(text: str, /, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """`tomllib.loads`, which parses the catalogue once a process: in a checkout, without the index, each test would do it again."""
    if parse_float is not float or not isinstance(text, str):
        return _parse(text, parse_float=parse_float)
    found: dict[str, Any] = _copied(_parsed(text))
    return found


# before tests are collected, for some are made from the catalogue
tomllib.loads = _loads


_SHIPPED = shipped_folder()
_read = catalogue._Folder.spec
_specs: dict[str, ModelSpec] = {}


def _spec(folder: catalogue._Folder, id: str) -> ModelSpec:
    """`_Folder.spec`, which reads each of the checkout's own specs once a process: no test changes them, and none can change a record."""
    if folder.path != _SHIPPED:
        return _read(folder, id)
    if id not in _specs:
        _specs[id] = _read(folder, id)
    return _specs[id]


catalogue._Folder.spec = _spec  # type: ignore[assignment, method-assign]


def pytest_collection_finish() -> None:
    """What 13,000 collected tests hold is never looked through for garbage again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden anew; read each change by eye before you commit it",
    )


def _refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a socket was opened")


@pytest.fixture(autouse=True)
def _apart_from_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any socket that a test opens in this process is an error; what the developer's shell says about specs and colours does not reach
    a test; prices end by the calendar, tests do not. One fixture: there are thousands of tests.
    """
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, _refuse)
    for name in ("SELFHOST_SPECS", "SELFHOST_DEBUG", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(api, "utc_today", lambda: "2026-11-20")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(bool(request.config.getoption("--update-golden")))


@pytest.fixture(scope="session")
def source_environment() -> dict[str, str]:
    """Environment for child processes: this checkout first, nothing written beside the sources."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error",
    }
