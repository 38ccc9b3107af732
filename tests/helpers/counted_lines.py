"""How slipcover counts lines in each of several test processes; `conftest.py` imports this before
the program.

Slipcover takes the counter out of a line that ran often. It looks through all functions for this,
each time that another line was counted 50 times: thousands of times while tests run, which takes
longer than the counting. In the one process of `-n 0` its option `--threshold` says how often.
"""

from __future__ import annotations

import sys
from typing import Any

# a line that runs less often costs less with its counter than the search for it
OFTEN = 20_000

_plugin: Any = sys.modules.get("slipcover.pytest_plugin")
_counter: Any = getattr(_plugin, "_slipcover_instance", None)
if _counter is not None:
    _counter.d_miss_threshold = OFTEN
