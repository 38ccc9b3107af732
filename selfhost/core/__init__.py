"""The base of every other package: errors, files, units, records and tables."""

__version__ = "0.1.0"

# what is told where memory ends; it stands here because this module is loaded before all others
LACK_OF_MEMORY = "not enough memory to answer"
MEMORY_REMEDY = "close other programs, or raise the limit on this process (ulimit -v)"
# Python's errors where memory ends: a function in C that gets none and raises nothing itself ends
# in a SystemError
MEMORY_ERRORS = (MemoryError, SystemError)
