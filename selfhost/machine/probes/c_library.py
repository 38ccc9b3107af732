"""Functions of the C library, during which other threads run Python.

`ctypes` takes 10 million instructions to load, nearly all of them for names and types that are not
needed here (Python 3.11, valgrind). Its part in C takes 2 million; where that is built otherwise,
as on Windows, it is `ctypes` all the same.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import Any

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


try:
    _TYPES, _BYTE, _named = _by_its_part_in_c()
except ImportError:
    _TYPES, _BYTE, _named = _by_ctypes()


def function_of(name: str, *arguments: str, gives: str = NUMBER) -> Callable[..., Any]:
    """That function of the C library, by what it takes and gives. An address is an int, and None
    where it is null. `OSError` or `AttributeError` where there is none.
    """
    function = _named(name)
    function.argtypes = tuple([_TYPES[each] for each in arguments])
    function.restype = _TYPES[gives]
    return function  # type: ignore[no-any-return]


def view_of(area: mmap, size: int) -> tuple[object, int]:
    """What keeps that memory in its place, and its address. The area cannot be closed before the
    former is gone.
    """
    from _ctypes import addressof

    view = (_BYTE * size).from_buffer(area)
    return view, addressof(view)
