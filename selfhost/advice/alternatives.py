"""Alternatives to a model that does not run as asked.

`AlternativeSearch` takes a judgement on a machine. Its `alternatives` are the same model in another
form, then other models; each is judged as `check` would judge it. `all_on_gpus` is a smaller type
that accelerators hold as a whole, where they hold only a part of the judged type.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import loaded_by_family
from ..catalogue.runtime import RuntimeSpec
from ..core import units
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks import phrase
from ..judge.checks.accelerator import PLACING_SETTINGS, placing_options
from ..judge.checks.speed import is_too_slow, lacks_pace
from ..judge.devices import places
from ..judge.quality import quality_of
from ..judge.record import (
    TIGHT_CODES,
    Alternative,
    Judged,
    Question,
    Room,
    RoomOptions,
)
from ..judge.table import USUAL, program_row
from ..machine.record import Machine
from ..needs.records import Term, likely_bytes
from .asking import workload_to_type
from .gains import gain_of
from .room import Reach

if TYPE_CHECKING:
    from .proposals import Proposals

_MOST_ALTERNATIVES = 3
_SHORTEST_CONTEXT_TOKENS = 1024
# `all_on_gpus` looks for a type of four bits or more first, then of three; it judges two of each
_FOUR_BITS = 4
_THREE_BITS = 3
_MOST_TYPES_JUDGED = 2
# the files of a smaller type must be smaller by so much of the weights in RAM (assumed): the rest
# of these weights are copies of experts, which exist only while some experts wait in RAM
_LEFT_SHARE = 0.8


class OtherForm(Record):
    """The same work in another form that runs here, and why it is named."""

    judged: Judged
    why: str


class AlternativeSearch(Record):
    """The search for alternatives to a judged question.

    `asked` is the name that the user typed, `typed` the workload without what the name states.
    `carry` are options that every proposed command
    repeats, so that the command asks about the same machine.
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

    @cached_property
    def proposals(self) -> Proposals:
        """Other models, each judged in place of the judged one."""
        # imported here: most checked models run, and no other model is proposed
        from .proposals import Proposals

        return Proposals(
            judged=self.judged, catalogue=self.catalogue, machine=self.machine
        )

    def alternatives(self) -> tuple[Alternative, ...]:
        """The alternatives with the route `local`: first the same model, smaller or with a shorter
        context, then other models, the best first; last those of the same model that are too slow.

        Every alternative meets the conditions that the user stated.
        """
        same_model = self._of_same_model()
        others = _MOST_ALTERNATIVES
        if same_model:
            others -= 1
        by_command = {found.command: found for found in same_model}
        for judged in self.proposals.best(others):
            found = self._alternative(judged, self.proposals.why(judged))
            by_command[found.command] = found
        return tuple(sorted(by_command.values(), key=is_too_slow))

    def _of_same_model(self) -> list[Alternative]:
        """The first three alternatives that differ in what runs. Two ways may lead to the same
        files and program: another program may take the smaller type by itself.
        """
        found: dict[tuple[object, ...], Alternative] = {}
        # whether the speed rules out what was judged
        is_slow = "speed" in self.judged.deciding
        for way in self._ways():
            is_slow_too = is_too_slow(way.judged) or lacks_pace(way.judged)
            if is_slow and is_slow_too:
                # another slow form is no way out
                continue
            alternative = self._alternative(way.judged, way.why)
            runs_as = (
                alternative.id,
                alternative.runtime,
                alternative.quantization,
                alternative.context_tokens,
                alternative.finetune_method,
            )
            found.setdefault(runs_as, alternative)
            if len(found) == _MOST_ALTERNATIVES:
                break
        return list(found.values())

    def _alternative(self, judged: Judged, why: str) -> Alternative:
        """The alternative that a judgement makes, with the command that asks for the same again."""
        # imported here: most checked models run, and have no alternatives
        from .ranking import ONCE_RAISED, TIGHT

        spec = judged.model
        typed = spec.id
        if spec.id not in self.catalogue and spec.origin:
            # the catalogue has none of that id, so its file is named
            typed = shell_word(spec.origin)
        if judged.waits_for_setting and ONCE_RAISED not in why:
            why = f"{why}, {ONCE_RAISED}"
        if judged.has(*TIGHT_CODES) and TIGHT not in why:
            why = f"{why}, {TIGHT}"
        if lacks_pace(judged):
            why = f"{why}, speed not known"
        stated = self.to_type(judged.question.stated, judged.question)
        options = f"{stated.options()}{self.carry}"
        return Alternative.conclude(
            judged,
            self.machine,
            asked=spec.id,
            offered=False,
            why=why,
            command=f"selfhost check {typed}{options}",
        )

    def to_type(self, typed: Workload, question: Question) -> Workload:
        """What to type in place of `typed`, so that `check` answers `question`."""
        return workload_to_type(typed, question, self.catalogue, self.machine)

    # ------------------------------------------------------------------ room

    def room_options(self, room: Room) -> RoomOptions:
        """The options to type beside each limit, so that `check` keeps the judged program and
        type.
        """
        return RoomOptions(
            longest_context_tokens=self._options_beside(
                context_tokens=room.longest_context_tokens
            ),
            best_quantization=self._options_beside(quantization=room.best_quantization),
            most_parallel=self._options_beside(parallel=room.most_parallel),
        )

    def _options_beside(self, **limit: str | int | None) -> str:
        """The options to type beside one limit; empty for none, and for a limit that is not known
        or that was judged.
        """
        judged = self.judged
        if None in limit.values():
            return ""
        wanted = judged.workload.replace(**limit)
        if wanted == judged.workload:
            return ""
        stated = judged.question.stated
        if "quantization" in limit:
            # beside a type, the program that the name states does not count
            stated = stated.replace(runtime=self.typed.runtime)
        stated = stated.replace(**limit)
        typed = self.to_type(stated, judged.question.replace(workload=wanted))
        quantization = None
        if typed.quantization != stated.quantization:
            quantization = typed.quantization
            # a type is typed now
            stated = self.typed
        runtime = None
        if typed.runtime != stated.runtime:
            runtime = typed.runtime
        return Workload(runtime=runtime, quantization=quantization).options().strip()

    # ------------------------------------------------------------------ the same model

    def _ways(self) -> Iterator[OtherForm]:
        """Yield the model in other forms that run here, the form nearest to the question first."""
        yield from self._loaded_by_tag()
        yield from self._placed_by_program()
        yield from self._trained_with_qlora()
        # the asked runtime comes before other runtimes
        smaller = self.smaller()
        if smaller is not None:
            yield smaller
        yield from self._with_other_cache()
        yield from self._in_other_programs()
        yield from self._with_shorter_context()

    def _if_local(self, workload: Workload, why: str) -> Iterator[OtherForm]:
        """Yield the same model under that workload, if it runs here."""
        judged = self._fitted(workload)
        if judged is not None:
            yield OtherForm(judged=judged, why=why)

    def _fitted(self, workload: Workload) -> Judged | None:
        """The same model judged under that workload; None where it does not run here."""
        return self.proposals.fit(self.judged.model, workload)

    def _loaded_by_tag(self) -> Iterator[OtherForm]:
        """Yield the other model that Ollama loads by the typed name of a family."""
        id = loaded_by_family(self.asked, self.catalogue)
        if id is None:
            return
        if id not in self.catalogue:
            return
        stated = self.judged.question.stated
        for spec in self.catalogue.specs([id]):
            judged = self.proposals.fit(spec, stated)
            if judged is None:
                continue
            why = f"the file that Ollama loads as {self.asked}"
            yield OtherForm(judged=self.proposals.as_checked(judged), why=why)

    def _trained_with_qlora(self) -> Iterator[OtherForm]:
        """Yield the same model trained with QLoRA, the method that takes least memory, unless QLoRA
        was judged already.
        """
        question = self.judged.question
        taken = question.workload
        if taken.task == "finetune" and taken.finetune_method != "qlora":
            workload = question.stated.replace(finetune_method="qlora")
            yield from self._if_local(workload, "same model, tuned with QLoRA")

    def smaller(self) -> OtherForm | None:
        """The best smaller type that runs here; None where no smaller type runs.

        A type that accelerators hold comes before one in RAM. A published type comes before one
        that the user has to make, from files on the machine or with the printed commands.
        """
        question = self.judged.question
        spec = question.spec
        runtime = question.runtime
        if runtime is None:
            return None
        if question.needs is None:
            return None
        if question.workload.task == "finetune":
            return None
        in_ram = None
        for name in self._smaller_types(runtime):
            quality = quality_of(name, spec)
            if not quality.worth_having:
                continue
            workload = question.stated.replace(
                runtime=question.workload.runtime, quantization=name
            )
            judged = self._fitted(workload)
            if judged is None:
                continue
            way = OtherForm(judged=judged, why=f"same model, smaller: {quality.text}")
            if judged.placement != "host":
                return way
            if not places(self.machine.accelerators):
                return way
            if in_ram is None:
                in_ram = way
        return in_ram

    def _smaller_types(self, runtime: RuntimeSpec) -> list[str]:
        """The smaller types that the user can get: published types, then types to be made."""
        question = self.judged.question
        spec = question.spec
        workload = question.workload
        format = workload.format
        published = []
        made = []
        for name in self._types_below(runtime):
            is_to_load = need.loads_sixteen_bits(spec, runtime, format, name)
            if is_to_load or self._is_published(name):
                published.append(name)
                continue
            row = program_row(spec, runtime).type_row(name)
            if question.loads_named_files or row.conversion is not None:
                made.append(name)
        return published + made

    def _types_below(self, runtime: RuntimeSpec) -> Sequence[str]:
        """The types of the program that lose more quality than the judged type, best first."""
        judged = self.judged
        order = need.quantizations_of(judged.model, runtime)
        if judged.quantization not in order:
            return ()
        place = order.index(judged.quantization)
        return order[place + 1 :]

    def _placed_by_program(self) -> Iterator[OtherForm]:
        """Yield the same files without the options that place layers, so that the program places
        as many on the accelerators as fit.
        """
        question = self.judged.question
        names = placing_options(question)
        if not names:
            return
        options = dict(question.stated.runtime_options)
        for name in names:
            options.pop(name, None)
        workload = question.stated.replace(
            runtime=question.workload.runtime,
            quantization=question.workload.quantization,
            runtime_options=options,
        )
        why = f"same files, without {' and '.join(names)}"
        yield from self._if_local(workload, why)

    def _with_other_cache(self) -> Iterator[OtherForm]:
        """Yield the same files without the stated type of KV cache."""
        stated = self.judged.question.stated
        if stated.kv_cache_type is None:
            return
        judged = self._fitted(stated.replace(kv_cache_type=None))
        if judged is not None:
            cache = judged.workload.kv_cache_type
            yield OtherForm(judged=judged, why=f"same files, KV cache in {cache}")

    def _in_other_programs(self) -> Iterator[OtherForm]:
        """Yield the same model in other runtimes: in the usual runtime where the user named another
        one, else in each runtime of the modality.
        """
        question = self.judged.question
        spec = question.spec
        names: Iterable[str | None] = [None]
        if question.stated.runtime is None:
            names = USUAL.by_modality[spec.modality]
        for name in names:
            if name == question.workload.runtime:
                continue
            workload = question.stated.replace(
                runtime=name, format=None, quantization=None
            )
            judged = self._fitted(workload)
            if judged is None:
                continue
            judged = self.proposals.as_checked(judged)
            runtime = judged.question.runtime
            program = name if runtime is None else runtime.name
            yield OtherForm(judged=judged, why=f"same model with {program}")

    def _with_shorter_context(self) -> Iterator[OtherForm]:
        """Yield the same files with the longest context that fits, if that context still holds the
        prompt.
        """
        question = self.judged.question
        taken = question.workload
        shortest = max(_SHORTEST_CONTEXT_TOKENS, taken.prompt_tokens or 0)
        longest = self.reach.longest_context() or 0
        if not shortest <= longest < (taken.context_tokens or 0):
            return
        workload = question.stated.replace(
            runtime=taken.runtime,
            quantization=taken.quantization,
            context_tokens=longest,
        )
        yield from self._if_local(workload, "same files, shorter context")

    # ------------------------------------------------------------------ all on the GPUs

    def all_on_gpus(self) -> Judged | None:
        """The type of least loss that accelerators hold as a whole, where they hold only a part of
        the judged type; None where there is none. A type of three bits counts only if no type of
        four bits or more fits. A published type goes before a type to be made.
        """
        question = self.judged.question
        runtime = question.runtime
        if runtime is None:
            return None
        if not self._lies_in_part_on_gpus:
            return None
        if not PLACING_SETTINGS.isdisjoint(question.settings):
            return None
        for least_bits in (_FOUR_BITS, _THREE_BITS):
            for name in self._types_that_may_fit(runtime, least_bits):
                workload = question.stated.replace(
                    runtime=runtime.id, quantization=name
                )
                judged = self._fitted(workload)
                if judged is not None and judged.placement == "accelerator":
                    return judged
        return None

    def _is_faster(self, smaller: Judged) -> bool:
        """Whether a type gains enough over the judged one; True where no pace is known."""
        if self.judged.users_pace is None or smaller.users_pace is None:
            return True
        return gain_of(self.judged, smaller, self.machine) is not None

    @property
    def _lies_in_part_on_gpus(self) -> bool:
        """Whether published files run here, with some layers on accelerators and others in RAM."""
        judged = self.judged
        if judged.placement != "split":
            return False
        if not judged.fits:
            return False
        if judged.question.loads_named_files:
            return False
        if judged.offload is not None:
            return False
        return judged.has("accelerator-partly")

    def _types_that_may_fit(self, runtime: RuntimeSpec, least_bits: int) -> list[str]:
        """The types of at least that many bits whose files are small enough to leave no weights in
        RAM: the two best published types, then the two best types that the user can make.
        """
        spec = self.judged.model
        format = self.judged.workload.format or ""
        most_bytes = self._most_file_bytes(format)
        published = []
        made = []
        for name in self._smaller_types(runtime):
            if _bits_of(name) < least_bits:
                continue
            if not quality_of(name, spec).worth_having:
                continue
            size = need.weights_files(spec, format, name)
            if not isinstance(size, Term) or size.bytes > most_bytes:
                continue
            if self._is_published(name):
                published.append(name)
            else:
                made.append(name)
        return published[:_MOST_TYPES_JUDGED] + made[:_MOST_TYPES_JUDGED]

    def _is_published(self, quantization: str) -> bool:
        """Whether the catalogue knows files of that type in the judged format."""
        spec = self.judged.model
        return spec.repository_of(self.judged.workload.format, quantization) is not None

    def _most_file_bytes(self, format: str) -> int:
        """The size of files that leave no weights in RAM; 0 where the size is not known."""
        judged = self.judged
        quantization = judged.quantization or ""
        files = need.weights_files(judged.model, format, quantization)
        if not isinstance(files, Term):
            return 0
        in_ram_bytes = likely_bytes(judged.placed.on_host.terms, "weights")
        return files.bytes - int(_LEFT_SHARE * in_ram_bytes)

    def as_alternative(self, smaller: Judged) -> Alternative:
        """The alternative with the type that accelerators hold as a whole, and the loss of that
        type.
        """
        return self._alternative(smaller, f"fits the GPU whole; {_loss_of(smaller)}")

    def with_remedy(self, smaller: Judged) -> Judged:
        """The judgement with a new remedy in its accelerator finding: the quantization that fits on
        the accelerators as a whole; no remedy where even that one gains too little.
        """
        remedy = self._remedy(smaller) if self._is_faster(smaller) else None
        findings = []
        for finding in self.judged.findings:
            if finding.check == "accelerator":
                findings.append(finding.in_words(finding.reason, remedy))
            else:
                findings.append(finding)
        return self.judged.replace(findings=tuple(findings))

    def _remedy(self, smaller: Judged) -> str:
        """The words that name the type, its pace, its loss, and that it has to be made."""
        quantization = smaller.quantization or ""
        users_pace = smaller.users_pace
        pace = None if users_pace is None else units.speed(users_pace.likely)
        loss = None
        if _bits_of(quantization) < _FOUR_BITS:
            loss = _loss_of(smaller)
        made = None if self._is_published(quantization) else quantization
        return phrase("whole", type=quantization, pace=pace, made=made, loss=loss)


def _loss_of(judged: Judged) -> str:
    """The loss in quality of a judged type, in words."""
    return quality_of(judged.quantization or "", judged.model).text


def _bits_of(quantization: str) -> int:
    """The bits of a type by its name: 4 for IQ4_XS and for MXFP4; 0 for a name without a digit."""
    digit = re.search(r"[0-9]", quantization)
    return int(digit[0]) if digit is not None else 0
