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

    `typed_name` is the name that the user typed, `typed_workload` the workload without what the
    name states. `carry` are options that every proposed command repeats, so that the command asks
    about the same machine.
    """

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    typed_name: str
    typed_workload: Workload
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
        id = question.spec.id
        if id in self.catalogue:
            spec = self.catalogue.spec(id)
            question = question.replace(spec=spec, files=NO_FILES)
        elif stated.quantization != question.stated.quantization:
            # the named files are of another type
            question = question.replace(files=NO_FILES)
        return best_under(question, stated, self.catalogue, self.machine)

    def command(self, name: str, workload: Workload) -> str:
        """The command that asks about that name with these options on the same machine."""
        options = workload.options() + self.carry
        return f"selfhost check {shell_word(name)}{options}"

    def room_options(self) -> str:
        """The options to type beside a limit of the room, so that `check` keeps the type and the
        settings that were chosen, and a program that is not the usual one; "" for none.
        """
        question = self.judged.question
        typed = self.typed_workload
        untyped = Workload()
        runtime = question.stated.runtime
        way = question.way
        if way is not None and way.is_other:
            runtime = way.runtime.id
        if runtime != typed.runtime:
            untyped = untyped.replace(runtime=runtime)
        for field in ("quantization", "kv_cache_type"):
            value = getattr(question.asked, field)
            if value != getattr(typed, field):
                changed = {field: value}
                untyped = untyped.replace(**changed)
        taken = dict(question.asked.runtime_options)
        for name in typed.runtime_options:
            taken.pop(name, None)
        untyped = untyped.replace(runtime_options=taken)
        options = untyped.options()
        return options.strip()
