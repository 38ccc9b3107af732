"""Filling memory: functions of the C library, by the part of ctypes that is loaded fast and by ctypes itself."""

from __future__ import annotations

import mmap
import sys

import pytest

from selfhost.core.records import Unread
from selfhost.machine.probes import glance, pages
from selfhost.machine.probes.pages import ADDRESS, NUMBER, SIZE, function_of, view_of
from selfhost.machine.reader import Machine


@pytest.mark.parametrize("way", [pages._by_its_part_in_c, pages._by_ctypes])
@pytest.mark.skipif(sys.platform == "win32", reason="ctypes alone")
def test_both_ways_fill_and_search_the_same_memory(
    way: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_c_library", way)
    fill = function_of("memset", ADDRESS, NUMBER, SIZE, gives=ADDRESS)
    search = function_of("memchr", ADDRESS, NUMBER, SIZE, gives=ADDRESS)
    with mmap.mmap(-1, 8192) as area:
        view, address = view_of(area, 8192)
        fill(address, 7, 4096)
        assert area[:4097] == b"\7" * 4096 + b"\0"
        assert search(address, 0, 8192) == address + 4096
        assert search(address, 8, 8192) is None
        del view
    with pytest.raises((OSError, AttributeError)):
        function_of("no_such_function_anywhere")


def test_a_python_without_ctypes_says_so_instead_of_glancing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python is often built where libffi is missing."""
    monkeypatch.setitem(sys.modules, "_ctypes", None)
    monkeypatch.delitem(sys.modules, "ctypes", raising=False)
    monkeypatch.setattr(pages, "_c_library", pages._c_library.__wrapped__)
    result = glance.glance(Machine.read())
    assert isinstance(result, Unread)
    assert "_ctypes" in result.reason
