"""The stored form of the specs: values made once, kept for later processes, read whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from selfhost.core import stored
from selfhost.core.errors import SpecError
from selfhost.core.stored import Store


def refuse() -> None:
    raise AssertionError("the value is made again")


def test_a_value_is_made_once_for_all_processes(tmp_path: Path) -> None:
    """Another process, and one that begins later, reads the file."""
    (tmp_path / "specs").mkdir()
    first = Store(str(tmp_path / "specs"), str(tmp_path / "kept"))
    assert first.value("common/gpus", lambda: {"gpu": [1, 2]}) == {"gpu": [1, 2]}
    later = Store(str(tmp_path / "specs"), str(tmp_path / "kept"))
    assert later.value("common/gpus", refuse) == {"gpu": [1, 2]}


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    """Each has its own place, whatever letters the others hold."""
    (tmp_path / "specs").mkdir()
    rows = {"a": {"name": "通义千问"}, "b": [1, 2], "c": None}
    for _ in range(2):
        store = Store(str(tmp_path / "specs"), str(tmp_path / "kept"))
        assert dict(store.rows("models", lambda: rows)) == rows


def test_a_value_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """What a full disk left of a kept value is no reason to fail."""
    (tmp_path / "specs").mkdir()
    store = Store(str(tmp_path / "specs"), str(tmp_path / "kept"))
    store.value("aliases", lambda: {"a": "b"})
    (tmp_path / "kept" / "aliases.json").write_text('{"a": ')
    assert store.value("aliases", lambda: {"a": "c"}) == {"a": "c"}


def test_without_a_writable_cache_each_process_makes_it(tmp_path: Path) -> None:
    """A file stands where the folder would be, which root meets as well."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "kept").write_text("")
    store = Store(str(tmp_path / "specs"), str(tmp_path / "kept"))
    assert store.value("aliases", lambda: {"a": "b"}) == {"a": "b"}
    assert dict(store.rows("models", lambda: {"a": 1})) == {"a": 1}


def test_a_package_makes_nothing(tmp_path: Path) -> None:
    """A package that lacks a value is damaged: the error says what to type."""
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(SpecError, match="install selfhost-check again"):
        Store(str(tmp_path)).value("aliases", refuse)


def test_only_what_no_process_reads_is_removed(tmp_path: Path) -> None:
    """Values of an hour ago go; those of a process that began before the last edit stay."""
    for name, age_seconds in (("specs-1-old", 7200), ("specs-1-new", 60), ("specs-2-old", 7200)):
        (tmp_path / name).mkdir()
        then = time.time() - age_seconds
        os.utime(tmp_path / name, (then, then))
    stored._remove_older(str(tmp_path), "specs-1-")
    assert {path.name for path in tmp_path.iterdir()} == {"specs-1-new", "specs-2-old"}
