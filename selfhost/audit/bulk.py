"""A policy held against many machines at once: each entry's machines by what is found of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate

from ..answers.together import Beside, joined_spec
from ..catalogue.spec import ModelSpec
from ..core.errors import SelfhostError
from ..core.workload import Workload
from ..machine.record import Machine
from ..verdict.findings import Finding
from ..verdict.parts import Part, parts_of
from ..verdict.record import Judged, Question, Route, Verdict
from .asked import Asked
from .judging import asked_by
from .policy import Policy, Selector, Wanted
from .population import Population, bits_of, lowest, without
from .regions import BY_BANDWIDTH, Layers, SameFindings, Short, Signature, found_by, place_of
from .tracing import Trace

TYPE_CHECKING = False

if TYPE_CHECKING:
    import re
    from typing import Any, Protocol

    from ..verdict.ways import FirstOfList

    Groups = dict[Signature, "Alike"]

    class FleetJudge(Protocol):
        """What judges many machines at once, see `answers.fleet.FleetJudge`."""

        def likeness(self, model: Beside) -> tuple[int, str]:
            """Models with the same may well take the same."""

        def questions(
            self, models: Sequence[Beside], machines: Sequence[Machine]
        ) -> list[list[Question]]:
            """Of each model the question that is asked of each machine."""

        def suited(self, model: Beside, question: Question, machine: Machine) -> FirstOfList | None:
            """What asks about a model whose type and program follow the machine; else None."""

        def routes(
            self, models: Sequence[Beside], questions: Sequence[Question]
        ) -> Callable[[Judged], Route]:
            """The route of each thing that may be found."""

        def verdict_for(
            self, model: Beside, question: Question, route: Route, machine: Machine
        ) -> Verdict:
            """What is found of one model on a machine that was asked this, with this route."""


# parts of one sort that are kept: models that take the same come in a row, each with a few
_MOST_PARTS = 32
# entries of one process in a row: a policy may state thousands for one model
_MOST_IN_FAMILY = 16


class Alike:
    """Machines of one entry with the same findings and the same route.

    `findings` are those that are no pass, in the order of CHECKS and without their words; None
    where it is not known whether the entry is for these machines. `shorts` tells which of them lack
    most, see `SameFindings`. `workload` is the one that was judged, None where it follows the
    machine. `question` is what one model was asked; None of models side by side.
    """

    __slots__ = ("bits", "findings", "model", "question", "route", "shorts", "workload")

    def __init__(
        self,
        bits: int,
        findings: tuple[Finding, ...] | None,
        route: Route,
        shorts: Sequence[dict[Short, int]] = (),
        model: ModelSpec | None = None,
        workload: Workload | None = None,
        question: Question | None = None,
    ) -> None:
        self.bits, self.findings, self.route, self.shorts = bits, findings, route, shorts
        self.model, self.workload, self.question = model, workload, question

    def with_bits(self, bits: int) -> Alike:
        """Some of the machines."""
        return Alike(
            bits,
            self.findings,
            self.route,
            self.shorts,
            self.model,
            self.workload,
            self.question,
        )


def hardest_hit(
    population: Population, groups: Sequence[Alike], bits: int, checks: Sequence[str]
) -> int:
    """Of the machines of a set, which are of those groups, the one that lacks most for one of those
    checks, and of several the first. Where no amount is known it is the one with the slowest
    memory of those that lack a pace, or else the first of all.
    """
    lacking = _lacking(groups, bits, checks)
    slow = _union(lacking.pop(short) for short in [*lacking] if short[1] == BY_BANDWIDTH)
    hit = 0.0, -lowest(bits)
    at_most = {}
    for short in lacking:
        _, form, most = short
        if form and not isinstance(form, Asked):
            most -= population.cut(form).least
        at_most[short] = most
    # questions about pace take longest: they come last, and lack no more than is wanted
    for short in sorted(lacking, key=lambda short: (_is_of_pace(short), -at_most[short])):
        (_, form, most), common = short, lacking[short]
        if at_most[short] < hit[0]:
            continue
        if isinstance(form, Asked):
            amount, number = form.hardest_hit(common)
        elif form:
            # the lower the form, the more is lacking
            number = population.cut(form).first_of(common)
            amount = most - population.form_of(number, form)
        else:
            amount, number = most, lowest(common)
        hit = max(hit, (amount, -number))
    if slow and not hit[0]:
        return population.cut(BY_BANDWIDTH).first_of(slow)
    return -hit[1]


def _lacking(groups: Sequence[Alike], bits: int, checks: Sequence[str]) -> dict[Short, int]:
    """What machines of a set lack for those checks, each with the machines that lack it."""
    lacking: dict[Short, int] = {}
    for alike in groups:
        own = alike.bits & bits
        for shorts in alike.shorts if own else ():
            for short, of_short in shorts.items():
                if short[0] in checks and (common := of_short & own):
                    lacking[short] = lacking.get(short, 0) | common
    return lacking


def lacks(
    population: Population, alike: Alike, number: int, checks: Sequence[str]
) -> dict[str, float | None]:
    """What a machine of a group lacks for each of those checks, None where it lacks no amount;
    without those for which only the verdict tells.
    """
    amounts: dict[str, float | None] = dict.fromkeys(checks)
    for shorts in alike.shorts:
        for (check, form, most), of_short in shorts.items():
            if check in checks and of_short >> number & 1:
                if form == BY_BANDWIDTH:
                    amounts.pop(check, None)
                elif isinstance(form, Asked):
                    amounts[check] = form.short_of(number)
                else:
                    amounts[check] = most - population.form_of(number, form)
    return amounts


def _is_of_pace(short: Short) -> bool:
    return isinstance(short[1], Asked)


class Selections:
    """Which machines the selectors of a policy take."""

    def __init__(self, policy: Policy, population: Population) -> None:
        self._policy = policy
        self._population = population
        self._classes: dict[str, tuple[int, int]] = {}
        self._selectors: dict[Selector, tuple[int, int]] = {}
        self._labels: list[tuple[Machine, int]] | None = None

    def of(self, selectors: Sequence[Selector]) -> tuple[int, int]:
        """The machines that are selected, and those of which that is not known."""
        if not selectors:
            return self._population.all, 0
        selected = unknown = 0
        for selector in selectors:
            own, unsure = self._of(selector)
            selected |= own
            unknown |= unsure
        return selected, without(unknown, selected)

    def bases(self) -> Iterator[tuple[str, int]]:
        """The machines by the memory that counts: that of the first class which states one."""
        rest = self._population.all
        by_basis: dict[str, int] = {}
        for each in self._policy.classes:
            if each.memory:
                own = self._of_class(each.name)[0] & rest
                by_basis[each.memory] = by_basis.get(each.memory, 0) | own
                rest = without(rest, own)
        by_basis["default"] = by_basis.get("default", 0) | rest
        return iter([(basis, bits) for basis, bits in by_basis.items() if bits])

    def _of(self, selector: Selector) -> tuple[int, int]:
        taken = self._selectors.get(selector)
        if taken is None:
            taken = self._selectors[selector] = self._taken_by(selector)
        return taken

    def _taken_by(self, selector: Selector) -> tuple[int, int]:
        population = self._population
        if selector.kind == "host":
            number = population.machines.number_of.get(selector.pattern)
            if selector.names_one_host:
                return (0 if number is None else 1 << number), 0
            matches = _matcher(selector.pattern)
            numbers = [
                number for number, name in enumerate(population.machines.names) if matches(name)
            ]
            return bits_of(numbers, population.size), 0
        if selector.key is None:
            return self._of_class(selector.pattern)
        key, matches = selector.key, _matcher(selector.pattern)
        selected = 0
        for labels, bits in population.by_labels():
            if key in labels and matches(labels[key]):
                selected |= bits
        return selected, 0

    def _of_class(self, name: str) -> tuple[int, int]:
        """The machines of a class, and those of which that is not known."""
        members = self._classes.get(name)
        if members is None:
            members = self._classes[name] = self._held_by(name)
        return members

    def _held_by(self, name: str) -> tuple[int, int]:
        each = self._policy.class_by_name.get(name)
        if each is None:
            return 0, 0
        selected = unknown = 0
        for labels, alike in self._population.by_labels():
            bits = alike
            while bits:
                trace = Trace(self._population, lowest(bits))
                holds = each.holds(trace.view.replace(labels=labels))
                region = trace.region() & bits
                bits ^= region
                if holds:
                    selected |= region
                elif holds is None:
                    unknown |= region
        return selected, unknown


def _matcher(glob: str) -> Callable[[str], re.Match[str] | None]:
    """Whether a text matches, as `fnmatchcase` tells it."""
    import re

    return re.compile(translate(glob)).match


class Bulk:
    """Judges the entries of a policy, one after the other, on all machines."""

    def __init__(
        self, policy: Policy, population: Population, judge: FleetJudge, *, deciding: bool
    ) -> None:
        """`deciding`: findings that decide nothing are not told of, nor are machines set apart by
        them.
        """
        self.population = population
        self.selections = Selections(policy, self.population)
        self._judge, self._deciding = judge, deciding
        self._templates = [kind.template for kind in self.population.kinds]
        self._bases = list(self.selections.bases())
        # what is found by parts that several questions share, by their sort and their keys
        self._by_key: dict[str, dict[object, tuple[int, dict[Signature, SameFindings]]]] = {}
        kinds = self.population.kinds
        self._none = _union(kind.bits for kind in kinds if kind.template.accelerators == ())

    def alike(
        self, wanted: Wanted, within: int | None = None
    ) -> tuple[list[Alike], SelfhostError | None]:
        """The machines that the entry is or may be for, by what is found of them; the error where
        it cannot be judged. `within`: only machines of that set.
        """
        selected, unknown = self.selections.of(wanted.machines)
        if within is not None:
            selected, unknown = selected & within, unknown & within
        groups = [Alike(unknown, None, Route.UNKNOWN)] if unknown else []
        for basis, bits in self._bases:
            workload = wanted.asked.replace(memory_basis=basis)
            try:
                models = asked_by(wanted, workload)
                # what is offered is the same wherever the same is asked of the same models
                routes: dict[Any, Callable[[Judged], Route]] = {}
                for questions, asked, suited in self._asked_of(models, bits & selected):
                    key = tuple([(question.spec.id, question.workload) for question in questions])
                    if key not in routes:
                        routes[key] = self._judge.routes(models, questions)
                    groups += self._judged(questions, asked, routes[key], suited)
            except SelfhostError as error:
                return groups, error
        return groups, None

    def families(self, entries: Sequence[Wanted]) -> list[list[int]]:
        """The places of entries whose models may take the same, so that what is found of one is at
        hand for the next; the largest first.
        """
        judge = self._judge
        by_likeness: dict[object, list[list[int]]] = {}
        likeness = [judge.likeness(asked_by(wanted, wanted.asked)[0]) for wanted in entries]
        for place in sorted(range(len(entries)), key=likeness.__getitem__, reverse=True):
            families = by_likeness.setdefault(likeness[place], [[]])
            if len(families[-1]) >= _MOST_IN_FAMILY:
                families.append([])
            families[-1].append(place)
        return [family for families in by_likeness.values() for family in families]

    def _asked_of(
        self, models: Sequence[Beside], bits: int
    ) -> Iterator[tuple[Sequence[Question], int, Sequence[FirstOfList | None]]]:
        """The questions, one of each model, with the machines that they are asked of. Of models
        side by side also what asks about those whose type and program follow the machine.
        """
        for questions, asked, template in self._questions(models, bits):
            suited = [
                self._judge.suited(model, question, template)
                for model, question in zip(models, questions, strict=True)
            ]
            in_turn = [each.in_turn if each is not None else () for each in suited]
            if len(questions) > 1:
                # side by side text is judged in the usual type, which is tried last
                taken = [
                    ways[-1] if ways else own for ways, own in zip(in_turn, questions, strict=True)
                ]
                left = [None if ways else each for ways, each in zip(in_turn, suited, strict=True)]
                yield taken, asked, left
            elif in_turn[0]:
                for question, own in self._by_turn(in_turn[0], asked):
                    yield (question,), own, (None,)
            elif suited[0] is not None:
                for question, own in self._by_way(suited[0], asked):
                    yield (question,), own, (None,)
            else:
                yield questions, asked, suited

    def _by_turn(self, ways: Sequence[Question], bits: int) -> Iterator[tuple[Question, int]]:
        """The first of the ways that runs on machines of a set, or else the last, each with its
        machines.
        """

        def route(judged: Judged) -> Route:
            return judged.route(offered=False)

        for way in ways[:-1]:
            groups = self._judged((way,), bits, route, (None,))
            runs = _union(alike.bits for alike in groups if alike.route is Route.LOCAL)
            if runs:
                yield way, runs
            bits = without(bits, runs)
        if bits:
            yield ways[-1], bits

    def _by_way(self, suited: FirstOfList, bits: int) -> Iterator[tuple[Question, int]]:
        """The ways that machines of a set take, each with its machines."""
        by_way: dict[int, tuple[Question, int]] = {}
        among = self.population.kinds_of(bits)
        while bits:
            trace = Trace(self.population, lowest(bits), among=among)
            question = suited.question(trace.view)
            region = trace.region_of_its_bandwidth() & bits
            _, own = by_way.get(id(question), (question, 0))
            by_way[id(question)] = question, own | region
            bits ^= region
            among = self.population.kinds_left(among, trace.kinds, bits)
        yield from by_way.values()

    def _questions(
        self, models: Sequence[Beside], bits: int
    ) -> Iterator[tuple[tuple[Question, ...], int, Machine]]:
        """The questions, one of each model, with the machines that they are asked of, and one of
        their kinds.
        """
        if not bits:
            return
        by_questions: dict[tuple[int, ...], tuple[tuple[Question, ...], int, Machine]] = {}
        of_models = self._judge.questions(models, self._templates)
        for questions, kind in zip(
            zip(*of_models, strict=True), self.population.kinds, strict=True
        ):
            key = tuple(map(id, questions))
            _, kinds, template = by_questions.get(key, (questions, 0, kind.template))
            by_questions[key] = questions, kinds | 1 << kind.number, template
        for questions, kinds, template in by_questions.values():
            asked = self.population.of_kinds(kinds) & bits
            if asked:
                yield questions, asked, template

    def _judged(
        self,
        questions: Sequence[Question],
        bits: int,
        route_of: Callable[[Judged], Route],
        suited: Sequence[FirstOfList | None],
    ) -> Iterator[Alike]:
        groups: Groups = {(): Alike(bits, (), Route.UNKNOWN)}
        alone = questions[0] if len(questions) == 1 else None
        if alone is not None:
            for part in parts_of(alone, deciding=self._deciding):
                groups = _cut_by(self._found(part, bits), groups, self._meant(part, bits))
            spec, workload = alone.spec, alone.workload
        else:
            groups = _cut_by(self._found_together(questions, suited, bits), groups, bits)
            spec = joined_spec([question.spec for question in questions])
            workload = Workload()
        for alike in groups.values():
            findings = tuple(sorted(alike.findings or (), key=place_of))
            route = route_of(Judged(findings=findings, needs=None, speed=None))
            yield Alike(alike.bits, findings, route, alike.shorts, spec, workload, alone)

    def _found_together(
        self, questions: Sequence[Question], suited: Sequence[FirstOfList | None], bits: int
    ) -> dict[Signature, SameFindings]:
        """What is found of models side by side. Which of them goes first may depend on pace, so
        that more bandwidth need not be better: each bandwidth is judged by itself.
        """
        from ..verdict.together import judge_together

        names = [question.spec.id for question in questions]

        def find(machine: Machine) -> Sequence[Finding]:
            taken = [
                question if each is None else each.question(machine)
                for question, each in zip(questions, suited, strict=True)
            ]
            return judge_together(taken, names, machine).findings

        return found_by(self.population, find, bits, deciding=self._deciding, each_bandwidth=True)

    def _meant(self, part: Part, bits: int) -> int:
        """The machines of a set that a part is for."""
        if part.accelerators is None:
            return bits
        return without(bits, self._none) if part.accelerators else bits & self._none

    def _found(self, part: Part, bits: int) -> dict[Signature, SameFindings]:
        """What is found of machines of a set, and maybe of others: of all that a part is for where
        other questions ask the same.
        """
        if part.key is None:
            return self._found_by(part, self._meant(part, bits))
        meant = self.population.all if part.accelerators is None else self._meant(part, bits)
        kept = self._by_key.setdefault(part.key[0], {})
        # sets take longer to hash than to compare
        machines, by_signature = kept.pop(part.key, (0, {}))
        if machines != meant:
            by_signature = self._found_by(part, meant)
            if len(kept) >= _MOST_PARTS:
                del kept[next(iter(kept))]
        # the last that was asked for stands last
        kept[part.key] = meant, by_signature
        return by_signature

    def _found_by(self, part: Part, bits: int) -> dict[Signature, SameFindings]:
        layers = None
        if part.layered is not None:
            limits = None if part.free_limits is None else part.free_limits()
            layers = Layers(part.layered, limits)
        return found_by(self.population, part.find, bits, deciding=self._deciding, layers=layers)


def _union(sets: Iterator[int]) -> int:
    union = 0
    for each in sets:
        union |= each
    return union


def _cut_by(by_signature: dict[Signature, SameFindings], groups: Groups, meant: int) -> Groups:
    """The groups, each cut by what one part found."""
    cut: Groups = {}

    def add(signature: Signature, alike: Alike) -> None:
        if signature in cut:
            earlier = cut[signature]
            shorts = (*earlier.shorts, *alike.shorts)
            alike = Alike(earlier.bits | alike.bits, earlier.findings, earlier.route, shorts)
        cut[signature] = alike

    if [*by_signature] == [()]:
        # nothing is told of any
        return groups
    for signature, alike in groups.items():
        left = alike.bits & meant
        rest = alike.bits ^ left
        for found_signature, same_findings in by_signature.items():
            common = left & same_findings.bits
            if common:
                left ^= common
                if not found_signature:
                    add(signature, alike.with_bits(common))
                    continue
                findings = (*(alike.findings or ()), *same_findings.findings)
                shorts = (
                    (*alike.shorts, same_findings.shorts) if same_findings.shorts else alike.shorts
                )
                both = tuple(sorted((*signature, *found_signature)))
                add(both, Alike(common, findings, alike.route, shorts))
            if not left:
                break
        if rest:
            add(signature, alike.with_bits(rest))
    return cut
