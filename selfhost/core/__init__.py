"""What everything rests on, and the names of `typing`: its 4 ms to load are for type checkers."""

__version__ = "0.1.0"

# type checkers take this name as true
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO as IO
    from typing import Any as Any
    from typing import ClassVar as ClassVar
    from typing import NoReturn as NoReturn
    from typing import Self as Self
    from typing import dataclass_transform as dataclass_transform
else:
    Any = IO = NoReturn = Self = object
    # as a program that asks `typing.get_type_hints` for the fields of a record evaluates it
    ClassVar = type

    def dataclass_transform(**_):
        return lambda kind: kind
