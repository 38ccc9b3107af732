"""The stored form of the specs: values made once, kept for later processes, read whole."""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path

import pytest

from selfhost.core import stored
from selfhost.core.errors import SpecError
from selfhost.core.stored import Store, StoredRows


def refuse() -> None:
    """What makes a value that nothing should make."""
    raise AssertionError("the value is made again")


def store_in(folder: Path) -> Store:
    """A store of the specs in `specs`, whose values are kept in `kept`."""
    specs = folder / "specs"
    specs.mkdir(exist_ok=True)
    return Store(str(specs), str(folder / "kept"))


def test_a_value_is_made_once_for_all_processes(tmp_path: Path) -> None:
    """Another process, and one that begins later, reads the file."""
    first = store_in(tmp_path)
    assert first.value("common/gpus", lambda: {"gpu": [1, 2]}) == {"gpu": [1, 2]}
    later = store_in(tmp_path)
    assert later.value("common/gpus", refuse) == {"gpu": [1, 2]}


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    """Each has its own place, whatever letters the others hold."""
    rows = {"a": {"name": "通义千问"}, "b": [1, 2], "c": None}
    for _ in range(2):
        store = store_in(tmp_path)
        assert dict(store.rows("models", lambda: rows)) == rows


def test_a_value_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """What a full disk left of a kept value is no reason to fail."""
    store = store_in(tmp_path)
    store.value("aliases", lambda: {"a": "b"})
    (tmp_path / "kept" / "aliases.json").write_text('{"a": ')
    assert store.value("aliases", lambda: {"a": "c"}) == {"a": "c"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 40, id="zeros"),
        pytest.param(b"5", id="another type"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="another value"),
    ],
)
@pytest.mark.parametrize("file", ["index.json", "models.jsonl", "models-places.json"])
def test_whatever_a_kept_file_holds_the_answer_is_right(
    file: str, content: bytes, tmp_path: Path
) -> None:
    """A crash may leave zeros, and a person may write JSON: all is made again, and kept again."""
    rows = {"a": {"name": "A"}, "b": {"name": "B"}}
    store = store_in(tmp_path)
    store.value("index", lambda: {"ids": ["a", "b"]})
    store.rows("models", lambda: rows)
    path = tmp_path / "kept" / file
    whole = path.read_bytes()
    path.write_bytes(content)
    assert store.value("index", lambda: {"ids": ["a", "b"]}) == {"ids": ["a", "b"]}
    assert dict(store.rows("models", lambda: rows)) == rows
    assert path.read_bytes() == whole


def test_what_is_stored_is_json(tmp_path: Path) -> None:
    """Any program can read it, with its checksum."""
    store_in(tmp_path).value("index", lambda: {"a": "通"})
    text = (tmp_path / "kept" / "index.json").read_text(encoding="utf-8")
    document = json.loads(text)
    checksum = zlib.crc32('{"a": "通"}'.encode())
    assert document == {"crc32": f"{checksum:08x}", "value": {"a": "通"}}


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b'{"name": "B"}\n', id="still JSON"),
        pytest.param(b'{"name": "A', id="cut off"),
        pytest.param(b"\0" * 14, id="zeros"),
    ],
)
def test_a_damaged_row_of_a_cache_is_made_anew(tmp_path: Path, damaged: bytes) -> None:
    """Also one that is JSON, and not what was kept."""
    rows = {"a": {"name": "A"}}
    cache = tmp_path / "cache"
    store = Store(str(tmp_path), str(cache))
    store.rows("models", lambda: rows)
    (cache / "models.jsonl").write_bytes(damaged)
    assert dict(store.rows("models", lambda: rows)) == rows
    assert (cache / "models.jsonl").read_bytes() == b'{"name": "A"}\n'


def test_a_damaged_row_of_a_package_is_told(tmp_path: Path) -> None:
    """Nothing makes it anew there."""
    with pytest.raises(SpecError, match="install selfhost-check again"):
        StoredRows(str(tmp_path / "models.jsonl"), {"a": (0, 9, 0)})["a"]


def test_every_change_of_a_file_changes_the_state(tmp_path: Path) -> None:
    """An older file in place of a newer one too, and any beside one that is dated in the future."""
    (tmp_path / "models").mkdir()
    future = tmp_path / "future.toml"
    edited = tmp_path / "models" / "edited.toml"
    future.write_text("a")
    edited.write_text("b")
    os.utime(future, (4e9, 4e9))
    first = stored._state(str(tmp_path), 0)
    assert stored._state(str(tmp_path), 0) == first
    edited.write_text("longer")
    longer = stored._state(str(tmp_path), 0)
    edited.write_text("older!")
    os.utime(edited, (1e9, 1e9))
    older = stored._state(str(tmp_path), 0)
    edited.rename(tmp_path / "models" / "renamed.toml")
    renamed = stored._state(str(tmp_path), 0)
    assert len({first, longer, older, renamed}) == 4


def test_a_link_that_leads_nowhere_is_part_of_the_state(tmp_path: Path) -> None:
    """Emacs locks a file that it edits by such a link beside it."""
    before = stored._state(str(tmp_path), 0)
    try:
        (tmp_path / ".#gpus.toml").symlink_to("user@host.1234:1")
    except OSError:
        pytest.skip("this account may make no links")
    assert stored._state(str(tmp_path), 0) != before


def test_threads_that_keep_one_value_do_not_meet(tmp_path: Path) -> None:
    """Each writes a file of its own: what is kept is whole, and nothing else is left."""
    value = {"ids": ["a" * 100_000]}
    store = store_in(tmp_path)
    names: list[str] = []
    keep = os.replace

    def note_name(source: str, target: str) -> None:
        names.append(source)
        keep(source, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", note_name)
        for _ in range(2):
            store.value("index", lambda: value)
            (tmp_path / "kept" / "index.json").unlink()
    assert len(set(names)) == 2
    assert not [*(tmp_path / "kept").iterdir()]


def test_without_a_writable_cache_each_process_makes_it(tmp_path: Path) -> None:
    """A file stands where the folder would be, which root meets as well."""
    (tmp_path / "kept").write_text("")
    store = store_in(tmp_path)
    assert store.value("aliases", lambda: {"a": "b"}) == {"a": "b"}
    made: list[dict[str, int]] = []

    def make() -> dict[str, int]:
        made.append({"a": 1})
        return made[-1]

    assert dict(store.rows("models", make)) == {"a": 1}
    assert len(made) == 1


def test_a_package_makes_nothing(tmp_path: Path) -> None:
    """A package that lacks a value is damaged: the error says what to type."""
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(SpecError, match="install selfhost-check again"):
        Store(str(tmp_path)).value("aliases", refuse)


def test_only_what_no_process_reads_is_removed(tmp_path: Path) -> None:
    """Values of an hour ago go; those of a process that began before the last edit stay."""
    ages = {"specs-1-old": 7200, "specs-1-new": 60, "specs-2-old": 7200}
    for name, age_seconds in ages.items():
        (tmp_path / name).mkdir()
        then = time.time() - age_seconds
        os.utime(tmp_path / name, (then, then))
    stored._remove_older(str(tmp_path), "specs-1-")
    assert {path.name for path in tmp_path.iterdir()} == {"specs-1-new", "specs-2-old"}
