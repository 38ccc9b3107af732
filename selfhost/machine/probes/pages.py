"""Filling a buffer with memory of its own: pages that were never written are one shared page of
zeros, which a cache holds.

Huge pages are filled about twice as fast (1.3 GiB by each of two threads: 0.46 s against 0.74,
measured in a virtual machine), and reading them waits for no address look-ups.
"""

from __future__ import annotations

import sys

from ...core import units

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap

# a huge page of x86-64 and of 64-bit ARM; what is filled between two looks at the clock
HUGE_BYTES = 2 * units.MIB
# Linux 5.14, <linux/mman.h>: fill the pages without writing to each
_MADV_HUGEPAGE, _MADV_NOHUGEPAGE, _MADV_POPULATE_WRITE = 14, 15, 23
_MADV_DONTNEED = 4
# glibc, <malloc.h>: how much more than is needed the heap grows by
_M_TOP_PAD, _GROWTH_BYTES = -2, 16 * units.MIB


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
    from .c_library import NUMBER, function_of

    try:
        function_of("mallopt", NUMBER, NUMBER)(_M_TOP_PAD, _GROWTH_BYTES)
    except (OSError, AttributeError):
        return


class Filler:
    """Fills with the C library's functions. `OSError` or `AttributeError` where it lacks them."""

    def __init__(self) -> None:
        from .c_library import ADDRESS, NUMBER, SIZE, function_of

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
