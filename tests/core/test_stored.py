"""The stored form of the specs: what a package holds is read back whole, and damage is told."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from packed_specs import PackedStore
from selfhost.core.errors import SpecError
from selfhost.core.stored import Store

ROWS = {"a": {"name": "通义千问"}, "b": [1, 2], "c": None}


def refuse() -> None:
    """What makes a value that nothing should make."""
    raise AssertionError("the value is made again")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of a package with two values."""
    store = PackedStore(str(tmp_path / "specs"), str(tmp_path / "package"))
    store.value("index", lambda: {"a": "通"})
    store.rows("models", lambda: ROWS)
    return tmp_path / "package"


def test_a_package_makes_nothing(package: Path) -> None:
    """Its values are read from its files, rows one by one."""
    store = Store(str(package))
    assert store.value("index", refuse) == {"a": "通"}
    rows = store.rows("models", dict)
    assert dict(rows) == ROWS
    assert len(rows) == 3


def test_a_folder_of_toml_files_stores_nothing(tmp_path: Path) -> None:
    """Each process makes its values, and no file is written."""
    store = Store(str(tmp_path))
    assert store.value("common/gpus", lambda: {"gpu": [1, 2]}) == {"gpu": [1, 2]}
    assert store.rows("models", lambda: ROWS) == ROWS
    assert not [*tmp_path.iterdir()]


def test_what_is_stored_is_json(package: Path) -> None:
    """Any program can read it, with its checksum."""
    document = json.loads((package / "index.json").read_text(encoding="utf-8"))
    checksum = zlib.crc32('{"a": "通"}'.encode())
    assert document == {"crc32": f"{checksum:08x}", "value": {"a": "通"}}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\0" * 40, id="zeros"),
        pytest.param(b"5", id="another type"),
        pytest.param(b"{}", id="another value"),
        pytest.param(b'{"a": ', id="cut short"),
    ],
)
@pytest.mark.parametrize("file", ["index.json", "models-places.json", "models.jsonl"])
def test_a_damaged_file_is_told(package: Path, file: str, content: bytes) -> None:
    """A crash may leave zeros, and a person may write JSON: the error says what to type."""
    (package / file).write_bytes(content)
    store = Store(str(package))
    with pytest.raises(SpecError, match="install selfhost-check again"):
        _ = store.value("index", refuse), store.rows("models", dict)["a"]


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b'{"name": "B"}\n', id="still JSON"),
        pytest.param(b'{"name": "A', id="cut off"),
        pytest.param(b"\0" * 14, id="zeros"),
    ],
)
def test_a_damaged_row_is_told(package: Path, damaged: bytes) -> None:
    """Also one that is JSON, and not what was stored."""
    (package / "models.jsonl").write_bytes(damaged)
    rows = Store(str(package)).rows("models", dict)
    with pytest.raises(SpecError, match="install selfhost-check again"):
        _ = rows["a"]


def test_a_package_without_a_value_is_damaged(package: Path) -> None:
    with pytest.raises(SpecError, match="install selfhost-check again"):
        Store(str(package)).value("aliases", refuse)
