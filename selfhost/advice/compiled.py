"""Stands in for the questions that were compiled with a package: none are."""

from __future__ import annotations

from ..catalogue.index import Catalogue
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.defaults import Asker
from ..verdict.record import Question

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

ReadyAsker = Asker


class Questions:
    """No questions: `open` always gives None."""

    @classmethod
    def open(cls, catalogue: Catalogue, workload: Workload, machine: Machine) -> Questions | None:
        """None."""
        return None

    as_of: str | None

    def question(self, *asked: Any) -> Question | None:
        """None."""
        return None

    def offered(self, *asked: Any) -> bool | None:
        """None."""
        return None

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


def leaves_needs(workload: Workload) -> bool:
    """False: nothing is at hand."""
    return False
