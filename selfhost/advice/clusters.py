"""A question about several machines becomes a verdict: `verdict_on` of machines that serve one
model together.

The verdict is that of one machine with the field `cluster`: the link, the part of each machine, and
what one alone does. Its lines to type are those of the program's documentation for each machine
(`[clusters]` of its file in `specs/runtimes/`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import chain

from ..catalogue.index import Catalogue
from ..catalogue.runtime_parts import ClusterSplit
from ..core import units
from ..judge.checks import phrase
from ..judge.cluster_choice import ClusterAnswer, best_on_cluster
from ..judge.clusters import waits_on_cluster
from ..judge.pace import Wait
from ..judge.rating import serves
from ..judge.record import Alternative, Judged, Room, Verdict
from ..machine.clusters import Cluster
from ..machine.record import Machine
from .commands import Steps
from .faster import FasterSetting
from .launch import Launch, Values
from .notes import notes_on_question
from .steps import steps
from .understood import Sentences, Understood, judged_in_model_defaults, remarks
from .verdicts import Advice, verdict_on

# the addresses in printed lines: of the link between the machines, in a private network (RFC 1918)
_ADDRESS = "10.0.0.{number}"


def verdict_on_cluster(
    catalogue: Catalogue,
    understood: Understood,
    cluster: Cluster,
    *,
    split: str | None = None,
    carry: str = "",
    carry_alone: str = "",
    notes: Sentences = (),
) -> Verdict:
    """The verdict on machines that serve the model together. `split` is `layers` or `tensor`; None
    takes the best way, which may be one of the machines alone. `carry_alone` are the options that
    name the main machine alone, for which other models are looked for. The other arguments are
    those of `verdict_on`.
    """
    main = cluster.main
    verdict_alone = partial(verdict_on, catalogue, understood, notes=notes)
    understood, usual = judged_in_model_defaults(catalogue, understood, main)
    if usual.needs is None or usual.question.runtime is None:
        # a closed model, or one that no program loads: others are looked for on the main machine
        return verdict_alone(main, carry=carry_alone)
    answer = best_on_cluster(usual.question, catalogue, cluster, split)
    if answer.takes_one:
        verdict = verdict_alone(answer.best_alone.machine, carry=carry)
        is_served = usual.workload.task == "generate" and verdict.model.writes_text
        may_copy = is_served and cluster.are_equal
        copies = remarks({"copies": may_copy}, count=len(cluster.machines))
        first_notes = (*verdict.first_notes, *copies)
        return verdict.replace(cluster=answer, first_notes=first_notes)
    advice = _ClusterAdvice(
        judged=answer.judged,
        catalogue=catalogue,
        machine=main,
        understood=understood,
        carry=carry_alone,
        day=units.utc_today(),
        answer=answer,
    )
    together = main.replace(name=answer.together.cluster.name)
    verdict = advice.verdict(notes)
    return verdict.replace(machine=together, cluster=advice.answer_with_smaller())


class _ClusterAdvice(Advice):
    """The advice on a verdict of several machines, with what runs on the main machine alone in
    their place. What is worked out for one machine, and would be wrong for several, is left out.
    """

    answer: ClusterAnswer

    def of_same_model(self) -> tuple[Alternative, ...]:
        """The model on the main machine alone; where that does not run it either, the model with a
        wish given up.
        """
        alone = self.answer.alone[0].judged
        if not alone.fits:
            return super().of_same_model()
        return (self._of_this(alone, phrase("instead/alone")),)

    @cached_property
    def smaller(self) -> Judged | None:
        """A smaller type on the main machine; none in place of what runs on all."""
        return None if self.judged.fits else super().smaller

    def answer_with_smaller(self) -> ClusterAnswer:
        """The answer with the smaller type in which the main machine runs the model by itself."""
        first, *others = self.answer.alone
        if first.judged.fits:
            return self.answer
        on_main = self.replace(judged=first.judged, machine=first.machine)
        smaller = on_main.smaller
        if smaller is None or not serves(smaller):
            return self.answer
        alone = (first.replace(smaller=smaller), *others)
        return self.answer.replace(alone=alone)

    @cached_property
    def to_type(self) -> Steps:
        """The lines to type on each machine."""
        usual = steps(self.on_main, self.catalogue, self.machine)
        if not usual.commands:
            return usual
        runtime = self.judged.question.runtime
        assert runtime is not None, "a way has a program"
        lines = _ClusterLines(
            judged=self.on_main,
            catalogue=self.catalogue,
            machine=self.machine,
            runtime=runtime,
            answer=self.answer,
            usual=usual,
        )
        main = lines.main()
        if not main:
            return Steps(setup=usual.setup)
        return usual.replace(setup=tuple(lines.setup()), commands=(main,))

    @cached_property
    def on_main(self) -> Judged:
        """The judgement with the part of the main machine, whose lines are told. Of equal machines
        the fullest stands for each: they start with the same options.
        """
        together = self.answer.together
        if together.cluster.are_equal or not together.parts:
            return self.judged
        return self.judged.replace(needs=together.parts[0].needs)

    def waits(self) -> tuple[Wait, ...]:
        """How long the first token takes on all machines together."""
        return waits_on_cluster(self.answer.together)

    def room(self) -> Room | None:
        """Not worked out for several machines."""
        return None

    def room_options(self) -> str:
        """The options beside a limit of `room`, of which there is none."""
        return ""

    def faster(self) -> tuple[FasterSetting, ...]:
        """Not worked out for several machines."""
        return ()

    def notes(self) -> Sentences:
        """The notes on the question."""
        offers = self.api_offers()
        return tuple(
            notes_on_question(self.catalogue, self.judged, self.machine, offers)
        )


class _ClusterLines(Launch):
    """The lines that start a model on several machines. `usual` are the lines of one machine."""

    answer: ClusterAnswer
    usual: Steps

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines, the main one first."""
        return self.answer.together.cluster.machines

    @property
    def rules(self) -> ClusterSplit:
        """The lines of the program for models that are divided so."""
        return self.runtime.clusters.splits[self.answer.split or ""]

    @property
    def addresses(self) -> list[str]:
        """The addresses of the machines on their link."""
        return [_address(number) for number in range(len(self.machines))]

    @cached_property
    def values(self) -> Values:
        """The values of one machine, and those that tell of all machines."""
        port = self.runtime.clusters.port
        main, *others = self.addresses
        return {
            **super().values,
            "command": self.usual.commands[0],
            "machines": str(len(self.machines)),
            "main": main,
            "hosts": ",".join(self.addresses),
            "others": ",".join(f"{address}:{port}" for address in others),
            "over": self.answer.together.cluster.link.over,
            "port": str(port),
        }

    def main(self) -> str:
        """The line on the main machine; "" where it cannot be written."""
        return self.filled(self.rules.main)

    def setup(self) -> Iterator[str]:
        """Yield the lines before it: the installation on each machine, the link, and the lines on
        the other machines.
        """
        clusters = self.runtime.clusters
        whole = ", with the whole download" if clusters.whole_files else ""
        yield f"# on each machine{whole}: {clusters.alike}"
        yield from self._installation()
        enable = self.answer.together.cluster.link.enable
        if enable:
            yield f"# {enable}"
        addresses = ", ".join(self.addresses)
        yield f"# the machines' addresses on their link, the main one's first: {addresses}"
        yield from map(self.filled, self.rules.before)
        for number in range(1, len(self.machines)):
            values = {"address": _address(number), "rank": str(number)}
            line = self.filled(self.rules.others, values)
            if line:
                yield f"# on machine {number + 1}, {self.machines[number].name}:"
                yield line
        if self.rules.others:
            yield "# then, on the main machine:"

    def _installation(self) -> list[str]:
        """The lines that install the program: the usual ones, or those of the build that joins
        machines in their place.
        """
        joining = list(self.runtime.clusters.installation)
        if not joining:
            return list(self.usual.setup)
        usual_lines = set(chain(*self.runtime.installation.lines.values()))
        lines = []
        for line in self.usual.setup:
            if line not in usual_lines:
                lines.append(line)
            elif joining[0] not in lines:
                lines += joining
        return lines


def _address(number: int) -> str:
    """The address of a machine by its place."""
    return _ADDRESS.format(number=number + 1)
