"""Filling a buffer with memory of its own: pages that were never written are one shared page of
zeros, which a cache holds.

Huge pages are filled about twice as fast (1.3 GiB by each of two threads: 0.46 s against 0.74,
measured in a virtual machine), and reading them waits for no address look-ups.

It is filled by functions of the C library, during which other threads run Python. `ctypes` takes 10
million instructions to load, nearly all of them for names and types that are not needed here
(Python 3.11, valgrind). Its part in C takes 2 million; where that is built otherwise, as on
Windows, it is `ctypes` all the same.
"""

from __future__ import annotations

import sys
from functools import cache

from ...core import units

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import Any

# a huge page of x86-64 and of 64-bit ARM; what is filled between two looks at the clock
HUGE_BYTES = 2 * units.MIB
# Linux 5.14, <linux/mman.h>: fill the pages without writing to each
_MADV_HUGEPAGE, _MADV_NOHUGEPAGE, _MADV_POPULATE_WRITE = 14, 15, 23
_MADV_DONTNEED = 4
# glibc, <malloc.h>: how much more than is needed the heap grows by
_M_TOP_PAD, _GROWTH_BYTES = -2, 16 * units.MIB
# what a function takes or gives
ADDRESS, NUMBER, SIZE = "address", "number", "size"


def _by_its_part_in_c() -> tuple[dict[str, Any], Any, Callable[[str], Any]]:
    """The types, a byte, and what finds a function by its name. `ImportError` where there is none
    of these.
    """
    import _ctypes
    from _ctypes import dlopen, dlsym

    parts: Any = _ctypes
    value_type, function_type = parts._SimpleCData, parts.CFuncPtr
    # by the letters of `struct`; an unsigned long is a size on every system but Windows
    address, number, size, byte = (
        type(value_type)(letter, (value_type,), {"_type_": letter}) for letter in "PiLc"
    )
    function = type(function_type)("function", (function_type,), {"_flags_": parts.FUNCFLAG_CDECL})
    opened: Any = dlopen
    # None: what this program is linked with
    library = opened(None, 0)
    types = {ADDRESS: address, NUMBER: number, SIZE: size}
    return types, byte, lambda name: function(dlsym(library, name))


def _by_ctypes() -> tuple[dict[str, Any], Any, Callable[[str], Any]]:
    """The same."""
    from ctypes import CDLL, c_char, c_int, c_size_t, c_void_p

    # on Windows its old name, which every version has
    library = CDLL("msvcrt" if sys.platform == "win32" else None)
    types = {ADDRESS: c_void_p, NUMBER: c_int, SIZE: c_size_t}
    return types, c_char, lambda name: getattr(library, name)


@cache
def _c_library() -> tuple[dict[str, Any], Any, Callable[[str], Any]]:
    """By the former where that is possible."""
    try:
        return _by_its_part_in_c()
    except ImportError:
        return _by_ctypes()


def function_of(name: str, *arguments: str, gives: str = NUMBER) -> Callable[..., Any]:
    """That function of the C library, by what it takes and gives. An address is an int, and None
    where it is null. `OSError` or `AttributeError` where there is none.
    """
    types, _, named = _c_library()
    function = named(name)
    function.argtypes = tuple([types[each] for each in arguments])
    function.restype = types[gives]
    return function  # type: ignore[no-any-return]


def view_of(area: mmap, size: int) -> tuple[object, int]:
    """What keeps that memory in its place, and its address. The area cannot be closed before the
    former is gone.
    """
    from _ctypes import addressof

    view = (_c_library()[1] * size).from_buffer(area)
    return view, addressof(view)


def private_memory(size: int) -> mmap:
    """Memory of this process alone: Python's default is shared memory, which Linux gives no huge
    pages unless it is told to.
    """
    import mmap

    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def grow_heap_in_large_steps() -> None:
    """The heap of this process, for as long as it runs. By itself it grows by 132 KiB at a time,
    sixty times in a check, and each waits until the system has filled what it is filling: together
    6 ms. Nothing where the C library is not glibc.
    """
    try:
        function_of("mallopt", NUMBER, NUMBER)(_M_TOP_PAD, _GROWTH_BYTES)
    except (OSError, AttributeError):
        return


class Filler:
    """Fills with the C library's functions. `OSError` or `AttributeError` where it lacks them."""

    def __init__(self) -> None:
        is_linux = sys.platform == "linux"
        self._advise = function_of("madvise", ADDRESS, SIZE, NUMBER) if is_linux else None
        self._set = function_of("memset", ADDRESS, NUMBER, SIZE, gives=ADDRESS)

    def ask_for_huge_pages(self, address: int, size: int) -> None:
        """Before any of it is filled."""
        if self._advise is not None:
            self._advise(address, size, _MADV_HUGEPAGE)

    def ask_for_small_pages(self, address: int, size: int) -> None:
        """For what is not filled yet. A host that takes free memory back takes whole huge pages:
        small ones are where some are in use, and the memory is still there.
        """
        if self._advise is not None:
            self._advise(address, size, _MADV_NOHUGEPAGE)

    def give_back(self, address: int, size: int) -> None:
        """Before its area is closed: to close one that is filled holds up every other thread, for
        3 ms where 64 MiB lie in small pages.
        """
        if self._advise is not None:
            self._advise(address, size, _MADV_DONTNEED)

    def populate(self, address: int, size: int) -> None:
        """Fill all of it in one call of the system, which writes small pages 1.7 times as fast as
        touching each does (2.5 MiB in a millisecond against 1.5; EPYC, a virtual machine). Other
        threads cannot take memory meanwhile.
        """
        if self._advise is None or self._advise(address, size, _MADV_POPULATE_WRITE):
            self._set(address, 1, size)

    def write(self, address: int, size: int) -> None:
        """Fill all of it in one call. It takes a third longer than `fill`, and leaves other threads
        the process's address space, in which they may take memory meanwhile.
        """
        self._set(address, 1, size)

    def fill(self, address: int, size: int, deadline: float, clock: Callable[[], float]) -> int:
        """Bytes from `address` on that memory stands behind; it stops at the deadline."""
        self.ask_for_huge_pages(address, size)
        filled = 0
        while filled < size and clock() < deadline:
            count = min(HUGE_BYTES, size - filled)
            self.populate(address + filled, count)
            filled += count
        return filled
