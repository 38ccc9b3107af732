"""What `check` answers if it is asked again, and what to type for an answer that was shown."""

from __future__ import annotations

from functools import cached_property

from ..catalogue.index import Catalogue
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.choice import best_under
from ..judge.record import NO_FILES, Judged
from ..machine.record import Machine
from .room import Reach


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

    def under(self, stated: Workload) -> Judged | None:
        """What `check` answers to the same name with these options; None where it refuses."""
        return best_under(self.judged.question, stated, self.catalogue, self.machine)

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

    def room_options(self) -> str:
        """The options to type beside a limit of the room, so that `check` keeps the type that was
        chosen, and with a typed type the program that the name states; "" for none.
        """
        question = self.judged.question
        untyped = Workload()
        if question.stated.runtime != self.typed.runtime:
            untyped = untyped.replace(runtime=question.stated.runtime)
        if question.asked.quantization != self.typed.quantization:
            untyped = untyped.replace(quantization=question.asked.quantization)
        return untyped.options().strip()
