"""Which systems' answers are read, and by what. Each reader takes an object of JSON and the name of
its file; it gives the machines in it, or None where the object is no answer of that system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .ansible import read_ansible
from .answers import Answer
from .kubernetes import read_kubernetes
from .prometheus import read_prometheus
from .record_text import Entry

Reader = Callable[[Answer, str], list[Entry] | None]
READERS: Mapping[str, Reader] = {
    "ansible": read_ansible,
    "kubernetes": read_kubernetes,
    "prometheus": read_prometheus,
}
