"""The tables of hardware: the compiled copy says what the file says, and no more than it."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfhost.core import tables
from selfhost.core.errors import SpecError
from selfhost.core.parts import UNREADABLE, Parts, joined, shipped_folder


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped tables in which they may be compiled; each is read anew."""
    (tmp_path / "common").mkdir()
    for name in tables.COMPILED:
        source = Path(shipped_folder()) / "common" / f"{name}.toml"
        shutil.copy(source, tmp_path / "common")
    monkeypatch.setattr(tables, "shipped_folder", lambda: str(tmp_path))
    monkeypatch.setattr(tables, "shipped_table", tables.shipped_table.__wrapped__)
    return tmp_path / "common"


def _compiled(file: Path) -> Path:
    copy = Path(tables.compiled_path(str(file)))
    copy.write_bytes(tables.compile_table(str(file)))
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


@pytest.mark.parametrize("content", [b"", b"[]", b"[1, 2]", b"\0" * 8, b"\0" * 100])
def test_a_broken_copy_is_passed_over(shipped: Path, content: bytes) -> None:
    file = shipped / "cpus.toml"
    _compiled(file).write_bytes(content)
    assert tables.shipped_table("cpus")["cpu"]


@given(data=st.data())
def test_a_damaged_copy_is_passed_over(data: st.DataObject) -> None:
    """Whichever byte is another, and wherever the file ends: its checksums tell."""
    content = bytearray(joined(1, {"of": [1, 2]}, {"one": {"key": [1.5, "word"]}}, frozen=False))
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    with TemporaryDirectory() as folder:
        file = Path(folder, "file")
        file.write_bytes(content)
        with pytest.raises(UNREADABLE):
            Parts(str(file), 1)["one"]


def test_a_missing_table_is_a_problem_of_the_installation(shipped: Path) -> None:
    with pytest.raises(SpecError):
        tables.shipped_table("absent")
