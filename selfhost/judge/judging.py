"""The judgement of a question on a machine: every finding, and the layout that is judged.

`judge` takes a complete question. The layout of the model's memory is the first that has room and
runs fast enough. If memory does not surely hold all users at once, some users wait. The other
checks do not depend on the layout. `first_layout_with_room` ignores the pace:
the largest context and the largest number of users are found with this function. `waits_of` says
how long a person waits for the first token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from math import inf

from ..core.purposes import purposes_table
from ..core.records import Record
from ..machine.record import Machine
from ..needs.records import Needs
from .batches import with_automatic_batch
from .checks import in_order
from .checks.accelerator import accelerator_check
from .checks.model import model_checks
from .checks.runtime import cpu_check, runtime_check
from .checks.space import disk_check, model_memory_check
from .checks.speed import no_pace_finding, pace_checks, why_no_pace
from .devices import usable_cards
from .pace import Wait
from .pace.decode_step import step_of
from .pace.text import pace_of_text
from .question import recounted
from .queues import cache_bytes, most_at_once
from .record import MEMORY_CHECKS, PACE_CHECKS, Judged, Question, Speed


def judge(question: Question, machine: Machine) -> Judged:
    """Return every finding for the question on the machine, in the order of `CHECKS`.

    A closed model has the finding `weights` and the findings of the license terms that were asked
    for. A model that the runtime does not load has the finding `runtime` too.
    """
    findings = list(model_checks(question))
    needs = question.needs
    if needs is None:
        if question.refusal is not None:
            findings.append(runtime_check(question, machine))
        return Judged(question=question, findings=tuple(findings))
    on_machine = _OnMachine.of(question, machine)
    machine = on_machine.machine
    layout = on_machine.layout()
    on_gpu = bool(machine.accelerators) and layout.placement == "accelerator"
    processor = cpu_check(needs.cpu, machine, question.runtime, on_gpu=on_gpu)
    program = runtime_check(question, machine)
    why_not = why_no_pace((*layout.findings, processor, program))
    if why_not is not None:
        layout = on_machine.without_pace(layout, why_not)
    findings.append(disk_check(needs, machine, question))
    findings += layout.findings
    findings.append(processor)
    findings.append(program)
    placed = layout.placed.replace(missing_bytes=question.missing_bytes)
    return layout.replace(findings=in_order(findings), needs=placed)


def layout_for_all_users(question: Question, machine: Machine) -> Judged:
    """The layout where all users are served at once, with the findings of memory, accelerators and
    pace only; `judge` also lets users wait, which is no answer to how many have room. A layout
    without room has no pace.
    """
    return _OnMachine.of(question, machine).all_at_once


def first_layout_with_room(question: Question, machine: Machine) -> Judged:
    """The first layout that has room, without its pace; where no layout has room, the layout that
    lacks the least memory.
    """
    seen = []
    for layout in _OnMachine.of(question, machine).layouts(at_any_pace=True):
        if not layout.failed:
            return layout
        seen.append(layout)
    return _nearest_to_fit(seen)


def layout_of_users(
    users: int,
    question: Question,
    machine: Machine,
) -> Judged:
    """The first layout that has room for that number of users, without its pace; where no layout
    has room, the layout that lacks the least memory.
    """
    case = question.case
    if question.wants_gpu and case is not None and case.draft is None:
        # accelerators count their own parts: the needs in RAM matter where no part lies on one
        layout = first_layout_with_room(_for_users(users, question), machine)
        if layout.placement != "host":
            return layout
    workload = question.workload.with_known(parallel=users)
    return first_layout_with_room(recounted(question, workload, machine), machine)


def _for_users(users: int, question: Question) -> Question:
    """The question for that number of users, with its needs in RAM as they were counted."""
    workload = question.workload.with_known(parallel=users)
    case = question.case
    if case is not None:
        case = case.replace(workload=workload)
    return question.replace(workload=workload, case=case)


def _best_of_slow(slow: Sequence[Judged]) -> Judged:
    """The best of layouts that are or may be too slow: the first that may be fast enough, else the
    first of all.

    Where that layout lies on accelerators, the last layout on accelerators takes its place, except
    for accelerators that were not read or that other processes have to leave first.
    """
    perhaps_fast = [layout for layout in slow if not layout.failed]
    candidates = perhaps_fast or slow
    best = candidates[0]
    if best.placement != "accelerator":
        return best
    for layout in candidates[1:]:
        if layout.placement != "accelerator":
            continue
        if not layout.has("accelerator-not-now", "accelerator-unread"):
            best = layout
    return best


def _nearest_to_fit(seen: Sequence[Judged]) -> Judged:
    """The layout that lacks the least memory; of equal layouts the one in RAM.

    Where no amount of RAM is known to be enough: the layout in RAM. Where no layout lies in RAM,
    the last layout stands for it.
    """
    in_ram = seen[-1]
    for layout in seen:
        if layout.placement == "host":
            in_ram = layout
    if in_ram.lacking_bytes() == inf:
        return in_ram
    return min((in_ram, *seen), key=Judged.lacking_bytes)


def _machine_for(question: Question, machine: Machine) -> Machine:
    """The machine, without its accelerators where an option is for the CPU alone."""
    if question.device_makers == ():
        return machine.replace(accelerators=())
    return machine


class _OnMachine(Record):
    """A question whose memory need is counted, compared with a machine."""

    question: Question
    machine: Machine

    @classmethod
    def of(cls, question: Question, machine: Machine) -> _OnMachine:
        """The question on the machine, as options let the program see it."""
        return cls(question=question, machine=_machine_for(question, machine))

    def layout(self) -> Judged:
        """The layout that is judged, with the findings of memory, accelerators and pace only.

        Where memory does not surely hold all users at once, the layout holds as many users as have
        room as surely as one has, if the runtime lets the others wait.
        """
        if not self.question.lets_users_wait:
            return self.all_at_once
        all_at_once = None
        if not self._caches_exceed_card:
            all_at_once = self.all_at_once
            if all_at_once.deciding.isdisjoint(MEMORY_CHECKS):
                return all_at_once
        at_once = most_at_once(
            self._of_users,
            self.question.workload.parallel,
            all_at_once,
            self._least_growth,
        )
        if at_once is None:
            return self.all_at_once
        return self._with_waiting_users(at_once)

    @cached_property
    def all_at_once(self) -> Judged:
        """The layout where all users are served at once; `layout` also lets users wait. It is the
        first layout that has room and is fast enough, with its pace.

        Where no layout is fast enough: the best of the layouts that have room. Where no layout has
        room: the layout that lacks the least memory, without its pace.
        """
        seen = []
        slow = []
        unsure = []
        for layout in self.layouts(at_any_pace=False):
            seen.append(layout)
            if layout.failed:
                continue
            paced = self._paced(layout, self._pace_of(layout))
            is_fast = paced.deciding.isdisjoint(PACE_CHECKS)
            if not is_fast:
                slow.append(paced)
            elif self._may_fit_better_in_ram(paced):
                unsure.append(paced)
            elif paced.fits or not unsure:
                return paced
        if unsure:
            return unsure[0]
        if slow:
            return _best_of_slow(slow)
        return _nearest_to_fit(seen)

    def _may_fit_better_in_ram(self, layout: Judged) -> bool:
        """Whether a training just fits an accelerator, and no method is left that takes less: RAM
        comes next, and it may be known to fit there.
        """
        if not layout.has("accelerator-close"):
            return False
        last_method = self.question.program.finetuning.methods[-1:]
        return self.question.workload.finetune_method in last_method

    def layouts(self, *, at_any_pace: bool) -> Iterator[Judged]:
        """Yield each layout with the findings of memory and accelerators only, in the order in
        which layouts are judged.

        `at_any_pace`: pace plays no part, so that layouts which only read prompts faster than
        another layout are left out.
        """
        question = self.question
        machine = self.machine
        cards = usable_cards(question, machine)
        if cards != machine.accelerators:
            machine = machine.replace(accelerators=cards)
        needs = with_automatic_batch(question, machine)
        layouts: Iterable[Needs] = (needs,)
        if cards != ():
            # a machine without accelerators needs no `placement`: the import costs time
            from .placement import placements

            layouts = placements(needs, machine, question, at_any_pace=at_any_pace)
        for placed in layouts:
            memory = model_memory_check(placed, machine, question)
            accelerator = accelerator_check(placed, machine, question)
            yield Judged(
                question=question, findings=(memory, accelerator), needs=placed
            )

    # -------------------------------------------------------------- the pace

    def without_pace(self, layout: Judged, why_not: str) -> Judged:
        """The layout of a model that does not run, with `why_not` as the reason why no pace is
        told.
        """
        speed = Speed(how=why_not)
        if self.question.step is None:
            # the finding names the unit of the pace that is not known
            speed = speed.replace(unit=self._pace_of(layout).unit)
        findings = []
        for found in layout.findings:
            if found.check not in PACE_CHECKS:
                findings.append(found)
        findings.append(no_pace_finding(self.question, why_not))
        return layout.replace(speed=speed, findings=tuple(findings))

    def _pace_of(self, layout: Judged) -> Speed:
        """The pace of the layout."""
        why_unknown = self.question.program.pace.unknown
        if why_unknown:
            return Speed(how=why_unknown)
        if self.question.step is not None:
            return pace_of_text(self.question, layout.placed, self.machine)
        # pictures, speech and training only: a question about text needs no import of this module
        from .pace.work import pace_of_work

        return pace_of_work(self.question, layout.placed, self.machine)

    def _paced(self, layout: Judged, pace: Speed) -> Judged:
        """The layout with the given pace, compared with the pace and the wait that the user wants.

        A layout of fewer users carries the question for all users.
        """
        question = self.question
        on_pace = pace_checks(question, layout.placed, self.machine, pace)
        findings = (*layout.findings, *on_pace)
        return layout.replace(question=question, speed=pace, findings=findings)

    # -------------------------------------------------------------- users who wait

    def _of_users(self, users: int) -> Judged:
        """The layout of so many users."""
        if users == 1:
            return self._alone
        return layout_of_users(users, self.question, self.machine)

    @cached_property
    def _alone(self) -> Judged:
        """The layout of one user."""
        return layout_of_users(1, self.question, self.machine)

    @cached_property
    def _least_growth(self) -> float:
        """The bytes by which memory grows at least with each user, which are those of the caches;
        0 where that is not told: of several accelerators, more users may lie on more of them.
        """
        needs = self.question.needs
        if needs is None or not self.question.wants_gpu or len(self.machine.cards) != 1:
            return 0
        alone = self._alone
        if alone.failed or not alone.is_on_accelerators:
            return 0
        one_bytes = cache_bytes(alone.placed.on_cards.terms)
        all_bytes = cache_bytes(needs.terms)
        # several users, as `lets_users_wait` says
        next_bytes = (all_bytes - one_bytes) / (self.question.workload.parallel - 1)
        return max(0, min(one_bytes, next_bytes))

    @property
    def _caches_exceed_card(self) -> bool:
        """Whether the caches of all users alone take more than the only accelerator has."""
        growth = self._least_growth
        if not growth:
            return False
        card_bytes = self.machine.cards[0].memory_total_bytes
        caches_bytes = growth * self.question.workload.parallel
        return card_bytes is not None and caches_bytes > card_bytes

    def _with_waiting_users(self, layout: Judged) -> Judged:
        """The layout of the users whose full contexts have room, with the pace of the users that
        are served at once, while the others wait.
        """
        users = self.question.workload.parallel
        full_contexts = layout.workload.parallel
        at_once = max(full_contexts, self._requests_at_once())
        served = self.replace(question=_for_users(at_once, layout.question))
        pace = served._pace_of(layout).in_turn(users, at_once, full_contexts)
        return self._paced(layout, pace)

    def _requests_at_once(self) -> int:
        """The number of requests as stated, with an answer, that have room at once as surely as one
        has. It is 0 where no prompt is stated, and where a request fills its context.

        A program that lets requests wait keeps the tokens of each, and not the context that a
        request may reach (vllm/v1/core/kv_cache_manager.py, allocate_slots).
        """
        question = self.question
        tokens = question.workload.request_tokens
        if tokens is None:
            return 0
        workload = question.workload.replace(context_tokens=tokens)
        requests = _OnMachine(
            question=recounted(question, workload, self.machine),
            machine=self.machine,
        )
        users = workload.parallel
        most = most_at_once(requests._of_users, users, requests._of_users(users))
        if most is None:
            # one full context has room, so one request has: all of them have
            return users
        return most.workload.parallel


# ------------------------------------------------------------------ the wait for the first token


def waits_of(judged: Judged, machine: Machine) -> tuple[Wait, ...]:
    """The waits for the first token of a text model, the shortest prompt first; none where the pace
    is not known.

    The wait is for the stated prompt, or for prompts of usual lengths where none was stated
    (`specs/common/purposes.toml`).
    """

    def pace_behind(asked: Question) -> Speed:
        """The pace of the same layout behind another prompt."""
        return pace_of_text(asked, judged.placed, _machine_for(asked, machine))

    return waits_at(judged, pace_behind)


def waits_at(
    judged: Judged, pace_behind: Callable[[Question], Speed]
) -> tuple[Wait, ...]:
    """`waits_of` where a function gives the pace of the question behind another prompt."""
    question = judged.question
    if question.step is None or judged.decode_tokens_per_second is None:
        return ()
    if judged.workload.prompt_tokens is not None:
        return judged.stated_wait
    trained_tokens = question.trained_tokens
    waits = []
    for usual in purposes_table().wait:
        tokens = usual.prompt_tokens
        if trained_tokens is not None and tokens > trained_tokens:
            continue
        workload = question.workload.replace(prompt_tokens=tokens)
        step = step_of(question.spec, question.runtime, workload)
        asked = question.replace(workload=workload, step=step)
        seconds = pace_behind(asked).first_token_seconds
        if seconds is not None:
            waits.append(Wait(prompt_tokens=tokens, what=usual.what, seconds=seconds))
    return tuple(waits)
