"""The tables of hardware: the compiled copy says what the file says, and no more than it."""

import json
import shutil
from pathlib import Path

import pytest

from selfhost.core import tables
from selfhost.core.errors import SpecError
from selfhost.core.shipped import shipped_folder


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped tables in which they may be compiled."""
    (tmp_path / "common").mkdir()
    for name in tables.COMPILED:
        source = Path(shipped_folder()) / "common" / f"{name}.toml"
        shutil.copy(source, tmp_path / "common")
    monkeypatch.setattr(tables, "shipped_folder", lambda: str(tmp_path))
    return tmp_path / "common"


def _compiled(file: Path) -> Path:
    copy = Path(tables.compiled_path(str(file)))
    copy.write_text(tables.compile_table(str(file)), encoding="utf-8")
    return copy


def test_a_compiled_table_is_the_table(shipped: Path) -> None:
    for name in tables.COMPILED:
        parsed = tables.shipped_table(name)
        _compiled(shipped / f"{name}.toml")
        assert tables.shipped_table(name) == parsed


def test_an_edited_table_counts_at_once(shipped: Path) -> None:
    """As in an installation in which somebody adds a row."""
    file = shipped / "cpus.toml"
    _compiled(file)
    file.write_text('cpu = []\nnote = "edited"\n', encoding="utf-8")
    assert tables.shipped_table("cpus")["note"] == "edited"


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1, 2]", "\x00", "[" * 10_000])
def test_a_broken_copy_is_passed_over(shipped: Path, content: str) -> None:
    file = shipped / "cpus.toml"
    _compiled(file).write_text(content, encoding="utf-8")
    assert tables.shipped_table("cpus")["cpu"]


def test_a_copy_whose_values_are_no_table_is_passed_over(shipped: Path) -> None:
    file = shipped / "cpus.toml"
    copy = _compiled(file)
    size, checksum, _ = json.loads(copy.read_text(encoding="utf-8"))
    copy.write_text(json.dumps([size, checksum, [1]]), encoding="utf-8")
    assert tables.shipped_table("cpus")["cpu"]


def test_a_missing_table_is_a_problem_of_the_installation(shipped: Path) -> None:
    with pytest.raises(SpecError):
        tables.shipped_table("absent")
