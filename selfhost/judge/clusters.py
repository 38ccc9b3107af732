"""One way of running a model on several machines together, judged machine by machine.

What goes in: a question, asked for the main machine, and a `Cluster`. What comes out: a `Together`:
the part of the model on each machine (`cluster_parts`) with the findings of that machine by itself,
and the pace of all (`cluster_pace`). A way that the program does not have, or that such machines or
such a link do not serve, is refused with the reason (the finding `runtime-not-together`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from ..catalogue.runtime_parts import BY_TENSOR, ClusterSplit
from ..core.records import Record
from ..machine.clusters import Cluster
from ..machine.record import Machine
from ..needs.records import Needs
from ..needs.servers import divides_over
from .checks import CHECKS, Finding, Outcome, Ruling, failing, finding
from .checks.accelerator import accelerator_check
from .checks.model import model_checks
from .checks.runtime import cpu_check, runtime_check
from .checks.space import disk_check, memory_check
from .checks.speed import no_pace_finding, speed_check, wait_check, why_no_pace
from .cluster_pace import pace_on_machines
from .cluster_parts import DividedModel
from .devices import usable_cards
from .judging import most_at_once, waits_at
from .pace import Speed, Wait
from .question import recounted
from .record import MEMORY_CHECKS, Judged, Question


class PartOfMachine(Record):
    """The part of a model on one machine of a cluster.

    - `needs`: what the machine holds and stores. `layers`: how many layers lie on it; None where it
      has a part of every layer.
    - `findings`: those of the machine by itself.
    """

    machine: Machine
    needs: Needs
    layers: int | None = None
    findings: tuple[Finding, ...]

    def finding(self, name: str) -> Finding | None:
        """The finding of the named check; None where the machine has none."""
        return next((found for found in self.findings if found.check == name), None)

    @property
    def fullness(self) -> float:
        """The most bytes as a share of what there is, in the tighter of RAM and accelerators."""
        shares = [0.0]
        for name in MEMORY_CHECKS:
            found = self.finding(name)
            if found is None or not found.has:
                continue
            if isinstance(found.needs, int) and isinstance(found.has, int):
                shares.append(found.needs / found.has)
        return max(shares)


class Together(Record):
    """A model on several machines in one way.

    - `judged`: the question, the worst finding of all machines for each check, the needs of the
      fullest machine, and the pace of all together.
    - `cluster`: the machines. `split`: how the model is divided; None where the program divides
      none.
    - `parts`: the part of each machine, in the order of the cluster; empty where it has none.
    """

    cluster: Cluster
    judged: Judged
    split: str | None
    parts: tuple[PartOfMachine, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the machines do not run a model in this way, whatever memory they have."""
        return self.judged.has("runtime-not-together")


def judge_together(
    question: Question,
    cluster: Cluster,
    split: str | None = None,
) -> list[Together]:
    """Return the judgement of each way to divide the model over the cluster, or of the stated
    `split` alone: at least one, which may be a refusal.
    """
    splits: list[str | None] = [split]
    if split is None and question.runtime is not None:
        splits = [*question.runtime.clusters.splits] or [None]
    judged = []
    refused = []
    for name in splits:
        way = _ClusterWay(question=question, cluster=cluster, split=name)
        refusal = way.refusal()
        if refusal is None:
            judged.append(way.judge())
        else:
            refused.append(way.refused(refusal))
    return judged or refused[:1]


def waits_together(together: Together) -> tuple[Wait, ...]:
    """The waits for the first token behind the stated prompt, else behind prompts of usual lengths;
    none where the pace is not known.
    """

    def pace_behind(asked: Question) -> Speed:
        way = _ClusterWay(
            question=asked, cluster=together.cluster, split=together.split
        )
        return pace_on_machines(way.model)

    return waits_at(together.judged, pace_behind)


class _ClusterWay(Record):
    """A question in one way to divide the model over a cluster."""

    question: Question
    cluster: Cluster
    split: str | None

    # -------------------------------------------------------------- what is refused

    @cached_property
    def _rules(self) -> ClusterSplit | None:
        """The program's rules for this split; None where it has no such split."""
        runtime = self.question.runtime
        if runtime is None or self.split is None:
            return None
        return runtime.clusters.splits.get(self.split)

    @property
    def _number(self) -> int:
        return len(self.cluster.machines)

    @cached_property
    def model(self) -> DividedModel:
        """The model as it is divided in this way."""
        assert self.split is not None, "a refused way is not judged"
        assert self._rules is not None, "a refused way is not judged"
        return DividedModel(
            question=self.question,
            cluster=self.cluster,
            split=self.split,
            rules=self._rules,
        )

    def refusal(self) -> Ruling | None:
        """Why the machines do not run the model in this way; None where they may."""
        question = self.question
        rules = self._rules
        if question.runtime is None or question.step is None:
            return _refusing("work")
        clusters = question.runtime.clusters
        if not clusters.splits:
            return _refusing("program")
        if rules is None:
            return _refusing("", split=self.split)
        if self._number > clusters.most:
            return _refusing("many", most=clusters.most)
        if not self.cluster.are_equal and not rules.unlike:
            return _refusing("unlike")
        if self.split == BY_TENSOR and question.needs is not None:
            return self._refusal_of_tensors(rules)
        return None

    def _refusal_of_tensors(self, rules: ClusterSplit) -> Ruling | None:
        """Why tensors are not divided over the machines; None where they may be."""
        link = self.cluster.link
        if not link.carries_tensors:
            return _refusing("slow-link", link=link.title)
        if any(len(self.model.cards_of(one)) > 1 for one in self.cluster.kinds):
            return _refusing("several-gpus")
        for name, size in self._sizes_to_divide(rules):
            if size % self._number:
                return _refusing("divides", what=name)
        model = self.question.spec.architecture
        if model is None or not self.model.program.account.divides_layers:
            return None
        quantization = self.question.workload.quantization or ""
        if not divides_over(self._number, model, quantization):
            return _refusing("divides", what="feed-forward layers")
        return None

    def _sizes_to_divide(self, rules: ClusterSplit) -> Iterator[tuple[str, int]]:
        """Yield what of the model each machine gets an equal part of, and its number."""
        model = self.question.spec.architecture
        if model is None:
            return
        if "width" in rules.divides:
            yield "numbers of an embedding", model.embedding_length
        for group in model.attention:
            if "kv_heads" in rules.divides and not group.is_latent:
                yield "KV heads", group.kv_heads
            else:
                yield "attention heads", group.heads

    def refused(self, refusal: Ruling) -> Together:
        """The judgement of a way that is refused."""
        question = self.question
        runtime = question.runtime
        found = finding(
            refusal,
            program="selfhost" if runtime is None else runtime.name,
            machines=self.cluster.name,
            count=self._number,
        )
        findings = sorted([*model_checks(question), found], key=_order)
        judged = Judged(
            question=question, findings=tuple(findings), needs=question.needs
        )
        return Together(cluster=self.cluster, judged=judged, split=self.split)

    # -------------------------------------------------------------- the judgement

    def judge(self) -> Together:
        """The judgement of all machines, and the pace of all together. Where memory does not hold
        all users at once, users may wait.
        """
        question = self.question
        if question.needs is None:
            findings = [
                *model_checks(question),
                runtime_check(question, self.cluster.main),
            ]
            judged = Judged(question=question, findings=tuple(findings))
            return Together(cluster=self.cluster, judged=judged, split=self.split)
        all_at_once = self._judged_with(self)
        if not question.lets_users_wait:
            return all_at_once
        if all_at_once.judged.deciding.isdisjoint(MEMORY_CHECKS):
            return all_at_once
        most = most_at_once(
            self._layout_of_users, question.workload.parallel, self._layout()
        )
        if most is None:
            return all_at_once
        return self._judged_with(self.replace(question=most.question))

    def _layout_of_users(self, users: int) -> Judged:
        """The memory of all machines for so many users."""
        workload = self.question.workload.replace(parallel=users)
        asked = recounted(self.question, workload, self.cluster.main)
        return self.replace(question=asked)._layout()

    def _layout(self) -> Judged:
        """The memory of all machines: the worst findings, and the needs of the fullest machine."""
        parts = self._parts
        fullest = max(parts, key=lambda part: part.fullness)
        findings = []
        for found in _worst_of_each_check(parts, differ=False):
            if found.check in MEMORY_CHECKS:
                findings.append(found)
        return Judged(
            question=self.question, findings=tuple(findings), needs=fullest.needs
        )

    def _pace_for(self, users: int) -> Speed:
        """The pace of this way, for so many users who may have to wait for their turn."""
        speed = pace_on_machines(self.model)
        at_once = self.question.workload.parallel
        if at_once == users or speed.decode is None:
            return speed
        # the sequences that are computed at once serve all users in turn
        total = speed.parallel_total if at_once > 1 else speed.decode
        return speed.replace(
            parallel_total=total, each_of=users, waiting=users - at_once
        )

    def _judged_with(self, at_once: _ClusterWay) -> Together:
        """The judgement of the question, where the machines serve the users of `at_once` at a
        time.
        """
        question = self.question
        findings = list(model_checks(question))
        parts = at_once._parts
        fullest = max(parts, key=lambda part: part.fullness)
        findings += _worst_of_each_check(
            self._telling(parts), differ=len(self.cluster.kinds) > 1
        )
        why_not = why_no_pace(findings)
        if why_not is None:
            speed = at_once._pace_for(question.workload.parallel)
            main = self.cluster.main
            findings.append(speed_check(question, fullest.needs, main, speed))
            wait = wait_check(question, speed)
            if wait is not None:
                findings.append(wait)
        else:
            speed = Speed(how=why_not)
            findings.append(no_pace_finding(question, why_not))
        findings.sort(key=_order)
        judged = Judged(
            question=question,
            findings=tuple(findings),
            needs=fullest.needs.replace(missing_bytes=question.missing_bytes),
            speed=speed,
        )
        return Together(
            cluster=self.cluster,
            judged=judged,
            split=self.split,
            parts=tuple(parts),
        )

    def _telling(self, parts: Sequence[PartOfMachine]) -> Sequence[PartOfMachine]:
        """The parts whose findings tell whether the model fits: where layers go by room, and the
        room of some machine is not known, the findings of such machines alone. It may hold what the
        others do not.
        """
        if not self.model.rules.by_room:
            return parts
        unknown = []
        for part in parts:
            memory = part.finding("memory")
            if memory is not None and memory.outcome is Outcome.UNKNOWN:
                unknown.append(part)
        return unknown or parts

    @cached_property
    def _parts(self) -> Sequence[PartOfMachine]:
        """The part of each machine, with what that machine's checks find."""
        found: dict[tuple[Machine, Needs, bool], tuple[Finding, ...]] = {}
        parts = []
        machines = self.cluster.machines
        for number, needs in enumerate(self.model.parts):
            machine = machines[number]
            stores = number == 0 or self.model.program.clusters.whole_files
            # equal machines with equal parts are checked once
            key = (machine, needs, stores)
            if key not in found:
                findings = self._checks_of(machine, needs, stores=stores)
                found[key] = tuple(findings)
            parts.append(
                PartOfMachine(
                    machine=machine,
                    needs=needs,
                    layers=self.model.layers_on(number),
                    findings=found[key],
                )
            )
        return parts

    def _checks_of(
        self,
        machine: Machine,
        needs: Needs,
        *,
        stores: bool,
    ) -> Iterator[Finding]:
        """Yield the findings of one machine about its part. `stores`: the files lie on its disk."""
        question = self.question
        workload = question.workload
        cards = usable_cards(machine, question.runtime, workload, question.most_cards)
        limited = self._limited(machine).replace(accelerators=cards)
        yield memory_check(needs, limited, workload, 0, question)
        yield accelerator_check(needs, limited, question)
        if stores:
            yield disk_check(needs, machine, question)
        on_gpu = bool(needs.on_cards.terms)
        yield cpu_check(needs.cpu, machine, question.runtime, on_gpu=on_gpu)
        yield runtime_check(question, machine)

    def _limited(self, machine: Machine) -> Machine:
        """The machine with no more RAM than the program takes of it, where a GPU shares the RAM."""
        limit = machine.memory_limit_bytes
        if limit is None or not any(card.unified for card in machine.cards):
            return machine
        share = self.model.program.clusters.most_share
        return machine.replace(memory_limit_bytes=int(limit * share))


def _refusing(variant: str, **figures: object) -> Ruling:
    """The ruling that machines do not run a model together: the wording, and its figures."""
    return failing("runtime-not-together", variant, **figures)


def _order(found: Finding) -> int:
    """The place of a finding among the checks."""
    return CHECKS.index(found.check)


def _worst_of_each_check(
    parts: Sequence[PartOfMachine],
    *,
    differ: bool,
) -> Iterator[Finding]:
    """Yield the worst finding of each check, of equally bad ones that of the fullest machine. Where
    machines differ, what did not pass names its machine.
    """
    by_fullness = sorted(parts, key=lambda part: -part.fullness)
    for check in CHECKS:
        worst: Finding | None = None
        for part in by_fullness:
            found = part.finding(check)
            if found is None:
                continue
            if worst is not None and found.severity <= worst.severity:
                continue
            worst = found
            if differ and found.severity:
                reason = f"{part.machine.name}: {found.reason}"
                worst = found.in_words(reason, found.remedy)
        if worst is not None:
            yield worst
