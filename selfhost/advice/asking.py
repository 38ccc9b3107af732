"""What `check` answers if it is asked again, and what to type for an answer that was shown.

A default depends on the rest of a command: the program of many GPUs is taken only where no type is
stated, and a larger type only for one user. So an option that is added to a command may change the
program or the type.
"""

from __future__ import annotations

from functools import cached_property

from ..catalogue.index import Catalogue
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.choice import best_under
from ..judge.record import NO_FILES, Judged, RoomOptions
from ..machine.record import Machine
from .room import Reach

# what may be stated beside other options, the shortest first
_PINS = ((), ("quantization",), ("runtime",), ("runtime", "quantization"))
# the limits of a room, by the fields of a workload that they bound
_LIMITS = {
    "context_tokens": "longest_context_tokens",
    "quantization": "best_quantization",
    "parallel": "most_parallel",
}


class Asking(Record):
    """A judged question, and how it was asked.

    `asked` is the name that the user typed, `typed` the workload without what the name states.
    `carry` are options that every proposed command repeats, so that the command asks about the same
    machine.
    """

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    asked: str
    typed: Workload
    carry: str

    @cached_property
    def reach(self) -> Reach:
        """How far one could go with what was judged."""
        return Reach(judged=self.judged, catalogue=self.catalogue, machine=self.machine)

    def by_name(self, typed: Workload) -> Judged | None:
        """What `check` answers to the typed name with these options; None where it refuses."""
        question = self.judged.question
        if typed.quantization is None:
            # a stated type takes the place of all that the name states
            implied = question.stated
            runtime = typed.runtime or implied.runtime
            typed = typed.replace(runtime=runtime, quantization=implied.quantization)
        return best_under(question, typed, self.catalogue, self.machine)

    def by_id(self, stated: Workload) -> Judged | None:
        """What `check` answers to the id of the model with these options; None where it refuses."""
        question = self.judged.question
        if question.spec.id in self.catalogue:
            spec = self.catalogue.spec(question.spec.id)
            question = question.replace(spec=spec, files=NO_FILES)
        elif stated.quantization != question.stated.quantization:
            # the named files are of another type
            question = question.replace(files=NO_FILES)
        return best_under(question, stated, self.catalogue, self.machine)

    def command(self, name: str, workload: Workload) -> str:
        """The command that asks about that name with these options on the same machine."""
        return f"selfhost check {shell_word(name)}{workload.options()}{self.carry}"

    def pins(self, typed: Workload, wanted: Workload) -> dict[str, str | None]:
        """What to state beside `typed`: as few of the type and the program of `wanted` as make
        `check` take the program, the type and the context of `wanted`.
        """
        for names in _PINS:
            beside = {name: getattr(wanted, name) for name in names}
            answer = self.by_name(typed.replace(**beside))
            if answer is not None and _what_runs(answer.workload) == _what_runs(wanted):
                return beside
        return {}

    def room_options(self) -> RoomOptions:
        """The options to type beside each limit, so that `check` keeps the judged program and
        type; empty for a limit that is not known or that was judged.
        """
        room = self.reach.room()
        taken = self.judged.workload
        options = {}
        for field, name in _LIMITS.items():
            limit = None if room is None else getattr(room, name)
            if limit not in (None, getattr(taken, field)):
                limited = {field: limit}
                typed = self.typed.replace(**limited)
                beside = self.pins(typed, taken.replace(**limited))
                options[name] = Workload().replace(**beside).options().strip()
        return RoomOptions(**options)


def _what_runs(workload: Workload) -> tuple[str | None, str | None, int | None]:
    """The program, the type and the context."""
    return workload.runtime, workload.quantization, workload.context_tokens
