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
from .understood import Understood


class Asking(Record):
    """A judged question, and how it was asked.

    `understood` is what the user typed means, so it has the typed name and what was typed beside.
    `carry` are options that every proposed command repeats, so that the command asks about the same
    machine.
    """

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    understood: Understood
    carry: str

    @cached_property
    def reach(self) -> Reach:
        """How far one could go with what was judged."""
        return Reach(judged=self.judged, catalogue=self.catalogue, machine=self.machine)

    def in_same_type(self, stated: Workload) -> Judged | None:
        """What `check` answers to the same name with these options, in the judged program and type;
        None where it refuses, and where the model does not run.
        """
        taken = self.judged.workload
        # others than the judged program and type might be chosen under the options
        typed = stated.replace(runtime=taken.runtime, quantization=taken.quantization)
        question = self.judged.question
        other = best_under(question, typed, self.catalogue, self.machine)
        if other is None or not other.fits:
            return None
        return other

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
        typed = self.understood.typed_workload
        way = question.way
        runtime = question.stated.runtime
        if way is not None and way.is_other:
            runtime = way.runtime.id
        taken = question.asked.replace(runtime=runtime)
        untyped: dict[str, object] = {}
        for field in ("runtime", "quantization", "kv_cache_type"):
            value = getattr(taken, field)
            if value != getattr(typed, field):
                untyped[field] = value
        options = dict(taken.runtime_options)
        for name in typed.runtime_options:
            options.pop(name, None)
        workload = Workload().replace(runtime_options=options, **untyped)
        return workload.options().strip()
