"""One way of running a model on several machines together, judged machine by machine.

What goes in: a question, asked for the main machine, and a `Cluster`. What comes out: an
`OnCluster`: the part of the model on each machine (`cluster_parts`) with the findings of that
machine by itself, and the pace of all (`cluster_pace`). A way that the program does not have, or
that such machines or such a link do not serve, is refused with the reason (the finding
`runtime-not-together`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial

from ..catalogue.architecture import Architecture
from ..catalogue.runtime_parts import BY_TENSOR, ClusterSplit
from ..core.records import Record
from ..machine.clusters import Cluster
from ..machine.record import Machine
from ..needs.records import Needs
from ..needs.servers import divides_over
from .checks import Finding, Outcome, Ruling, failing, finding, in_order
from .checks.accelerator import accelerator_check
from .checks.model import model_checks
from .checks.runtime import cpu_check, runtime_check
from .checks.space import disk_check, memory_check
from .checks.speed import no_pace_finding, pace_checks, why_no_pace
from .cluster_pace import pace_on_machines
from .cluster_parts import DividedModel
from .devices import usable_cards
from .judging import waits_at
from .pace import Speed, Wait
from .question import recounted
from .queues import most_at_once
from .record import MEMORY_CHECKS, Judged, Question


class PartOfMachine(Judged):
    """The part of a model on one machine of a cluster, with the findings of the machine by itself.

    `layers`: how many layers lie on the machine; None where it has a part of every layer.
    """

    machine: Machine
    layers: int | None = None

    @property
    def fullness(self) -> float:
        """The most bytes as a share of what there is, in the tighter of RAM and accelerators."""
        return max((amounts.share for amounts in self.memory_amounts), default=0.0)


class OnCluster(Record):
    """The judgement of a model on several machines in one way.

    - `model`: the model, and how it is divided.
    - `judged`: the question, the worst finding of all machines for each check, the needs of the
      fullest machine, and the pace of all together.
    - `parts`: the part of each machine, in the order of the cluster; empty where it has none.
    """

    model: DividedModel
    judged: Judged
    parts: tuple[PartOfMachine, ...] = ()

    @property
    def cluster(self) -> Cluster:
        """The machines."""
        return self.model.cluster

    @property
    def split(self) -> str | None:
        """How the model is divided; None where the program divides none."""
        return self.model.split or None

    @property
    def is_refused(self) -> bool:
        """Whether the machines do not run a model in this way, whatever memory they have."""
        return self.judged.has("runtime-not-together")


def judge_on_cluster(
    question: Question,
    cluster: Cluster,
    split: str | None = None,
) -> list[OnCluster]:
    """Return the judgement of each way to divide the model over the cluster, or of the stated
    `split` alone: at least one, which may be a refusal.
    """
    judged = []
    refused = []
    for name in _splits_to_judge(question, cluster, split):
        model = DividedModel(question=question, cluster=cluster, split=name)
        refusal = _refusal(model)
        if refusal is None:
            judged.append(_OnMachines(model=model).judge())
        else:
            refused.append(_refused(model, refusal))
    return judged or refused[:1]


def _splits_to_judge(
    question: Question, cluster: Cluster, stated: str | None
) -> Sequence[str]:
    """The names of the ways to divide the model: at least one, which is "" for no way."""
    if stated is not None:
        return [stated]
    splits = list(question.program.clusters.splits)
    if len(splits) > 1 and not cluster.link.carries_tensors:
        # over a slow link layers are faster
        splits = [name for name in splits if name != BY_TENSOR]
    return splits or [""]


def waits_on_cluster(answer: OnCluster) -> tuple[Wait, ...]:
    """The waits for the first token behind the stated prompt, else behind prompts of usual lengths;
    none where the pace is not known.
    """

    def pace_behind(asked: Question) -> Speed:
        return pace_on_machines(answer.model.replace(question=asked))

    return waits_at(answer.judged, pace_behind)


# ------------------------------------------------------------------ what is refused

_refusing = partial(failing, "runtime-not-together")


def _refusal(model: DividedModel) -> Ruling | None:
    """Why the machines do not run the model in this way; None where they may."""
    question = model.question
    cluster = model.cluster
    if question.workload.task == "finetune":
        return _refusing("training")
    if question.runtime is None or question.needs is None or question.step is None:
        return _refusing("work")
    clusters = question.runtime.clusters
    if not clusters.splits:
        return _refusing("program")
    rules = clusters.splits.get(model.split)
    if rules is None:
        return _refusing("", split=model.split)
    if len(cluster.machines) > clusters.most:
        return _refusing("many", most=clusters.most)
    if not cluster.are_equal and not rules.unlike:
        return _refusing("unlike")
    return _refusal_of_tensors(model) if model.is_by_tensor else None


def _refusal_of_tensors(model: DividedModel) -> Ruling | None:
    """Why tensors are not divided over the machines; None where they may be."""
    if any(len(model.cards_of(one)) > 1 for one in model.cluster.kinds):
        return _refusing("several-gpus")
    undivided = _what_does_not_divide(model, model.number)
    if undivided is None:
        return None
    numbers = []
    for number in range(2, model.program.clusters.most + 1):
        if _what_does_not_divide(model, number) is None:
            numbers.append(str(number))
    return _refusing("divides", what=undivided, numbers=numbers)


def _what_does_not_divide(model: DividedModel, number: int) -> str | None:
    """What of the model has no equal parts for so many machines; None where all has."""
    architecture = model.question.spec.architecture
    if architecture is None:
        return None
    for name, size in _sizes_to_divide(architecture, model.rules):
        if size % number:
            return name
    if not model.program.account.divides_layers:
        return None
    quantization = model.question.workload.quantization or ""
    if divides_over(number, architecture, quantization):
        return None
    return "KV heads or feed-forward layers"


def _sizes_to_divide(
    architecture: Architecture, rules: ClusterSplit
) -> Iterator[tuple[str, int]]:
    """Yield what of the model each machine gets an equal part of, and its number."""
    if "width" in rules.divides:
        yield "numbers of an embedding", architecture.embedding_length
    for group in architecture.attention:
        if "kv_heads" in rules.divides and not group.is_latent:
            yield "KV heads", group.kv_heads
        else:
            yield "attention heads", group.heads


def _refused(model: DividedModel, refusal: Ruling) -> OnCluster:
    """The judgement of a way that is refused."""
    question = model.question
    runtime = question.runtime
    found = finding(
        refusal,
        program="selfhost" if runtime is None else runtime.name,
        machines=model.cluster.name,
        count=model.number,
    )
    judged = Judged(
        question=question,
        findings=in_order([*model_checks(question), found]),
        needs=question.needs,
    )
    return OnCluster(model=model, judged=judged)


# ------------------------------------------------------------------ the judgement


class _OnMachines(Record):
    """A model that is divided over the machines of a cluster, compared with these machines."""

    model: DividedModel

    @property
    def question(self) -> Question:
        return self.model.question

    def judge(self) -> OnCluster:
        """The judgement of all machines, and the pace of all together. Where memory does not hold
        all users at once, users may wait.
        """
        cluster = self.model.cluster
        at_once = self._holding_users()
        placed = fullest_first(at_once.parts)[0].placed
        findings = list(model_checks(self.question))
        findings += _worst_of_each_check(
            at_once._telling_parts(), names_machine=len(cluster.kinds) > 1
        )
        why_not = why_no_pace(findings)
        if why_not is None:
            speed = at_once._pace_for(self.question.workload.parallel)
            findings += pace_checks(self.question, placed, cluster.main, speed)
        else:
            speed = Speed(how=why_not)
            findings.append(no_pace_finding(self.question, why_not))
        judged = Judged(
            question=self.question,
            findings=in_order(findings),
            needs=placed.replace(missing_bytes=self.question.missing_bytes),
            speed=speed,
        )
        return OnCluster(model=self.model, judged=judged, parts=tuple(at_once.parts))

    # -------------------------------------------------------------- users who wait

    def _holding_users(self) -> _OnMachines:
        """The same model for as many users as the machines hold at once."""
        if not self.question.lets_users_wait:
            return self
        users = self.question.workload.parallel
        most = most_at_once(self._memory_for, users, self._memory())
        return self if most is None else self._asked(most.question)

    def _asked(self, question: Question) -> _OnMachines:
        """The same way for another question about the model."""
        return _OnMachines(model=self.model.replace(question=question))

    def _memory_for(self, users: int) -> Judged:
        """The memory of all machines for so many users."""
        workload = self.question.workload.replace(parallel=users)
        asked = recounted(self.question, workload, self.model.cluster.main)
        return self._asked(asked)._memory()

    def _memory(self) -> Judged:
        """The memory of all machines: the worst findings."""
        findings = []
        for found in _worst_of_each_check(self.parts, names_machine=False):
            if found.check in MEMORY_CHECKS:
                findings.append(found)
        return Judged(question=self.question, findings=tuple(findings))

    def _pace_for(self, users: int) -> Speed:
        """The pace of this way, for so many users who may have to wait for their turn."""
        speed = pace_on_machines(self.model)
        at_once = self.question.workload.parallel
        if at_once == users or speed.decode is None:
            return speed
        return speed.in_turn(users, at_once)

    # -------------------------------------------------------------- each machine

    @cached_property
    def parts(self) -> Sequence[PartOfMachine]:
        """The part of each machine, with what that machine's checks find."""
        model = self.model
        checked: dict[tuple[Machine, Needs, bool], tuple[Finding, ...]] = {}
        parts = []
        for number, needs in enumerate(model.needs_by_machine):
            machine = model.cluster.machines[number]
            stores = number == 0 or model.program.clusters.whole_files
            # equal machines with equal parts are checked once
            key = (machine, needs, stores)
            if key not in checked:
                checked[key] = tuple(self._checks_of(machine, needs, stores=stores))
            parts.append(
                PartOfMachine(
                    question=self.question,
                    findings=checked[key],
                    needs=needs,
                    machine=machine,
                    layers=model.layers_on(number),
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
        cards = usable_cards(question, machine)
        limited = self._limited(machine).replace(accelerators=cards)
        yield memory_check(needs, limited, question.workload, question=question)
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

    def _telling_parts(self) -> Sequence[PartOfMachine]:
        """The parts whose findings tell whether the model fits: where layers go by room, and the
        room of some machine is not known, the findings of such machines alone. It may hold what the
        others do not.
        """
        if not self.model.rules.by_room:
            return self.parts
        unknown = []
        for part in self.parts:
            memory = part.finding("memory")
            if memory is not None and memory.outcome is Outcome.UNKNOWN:
                unknown.append(part)
        return unknown or self.parts


def fullest_first(parts: Sequence[PartOfMachine]) -> list[PartOfMachine]:
    """The parts, those of the fullest machines first."""
    return sorted(parts, key=lambda part: -part.fullness)


def _worst_of_each_check(
    parts: Sequence[PartOfMachine],
    *,
    names_machine: bool,
) -> list[Finding]:
    """The worst finding of each check, of equally bad ones that of the fullest machine. With
    `names_machine`, the reason of what did not pass begins with its machine.
    """
    worst: dict[str, Finding] = {}
    for part in fullest_first(parts):
        for found in part.findings:
            known = worst.get(found.check)
            if known is not None and found.severity <= known.severity:
                continue
            worst[found.check] = found
            if names_machine and found.severity:
                reason = f"{part.machine.name}: {found.reason}"
                worst[found.check] = found.in_words(reason, found.remedy)
    return list(worst.values())
