"""What would fit where the question does not: each candidate is judged, the best are kept. And how
far one could go with what fits: the longest context, the best quantization, the most sequences.
"""

from __future__ import annotations

import re
from math import inf

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING
from ..core import units
from ..core.errors import WorkloadError
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import Workload
from ..judge.checks import Outcome, phrase
from ..judge.checks.accelerator import more_for_shared
from ..judge.checks.model import is_partly_open, terms_checks
from ..judge.checks.runtime import is_slow_picture, is_too_slow, lacks_pace_of_users
from ..judge.checks.space import disk_check
from ..judge.defaults import follows_a_list, suited
from ..judge.devices import places
from ..judge.files import can_be_made, local_copy
from ..judge.judging import best_layout, judge
from ..judge.pace.text import pace_of_text
from ..judge.programs import RUNTIMES_BY_MODALITY
from ..judge.question import ask, asked_under
from ..judge.record import (
    LOSSLESS,
    MACHINELESS_CHECKS,
    TIGHT_CODES,
    Alternative,
    Judged,
    Room,
    quality_of,
)
from ..machine.record import Machine
from ..needs.records import Term
from .ranking import TIGHT, Standings, best_case, factors, reasons, share_on
from .understood import remarks

_MOST_ALTERNATIVES = 3
_SHORTEST_CONTEXT_TOKENS = 1024
# where it is not the machine that rules a model out, one up to this many times as large is alike
# (assumed: 7 and 8 B are one class)
_ALIKE_IN_SIZE = 1.25
# a model that sees answers text too
_AS_GOOD_AS = {"text": GENERATING}
# nobody serves more at once from one machine, and the search needs an end
_MOST_PARALLEL = 4096
# a type that fits accelerators whole: of so many bits, else of so many; judged until one does
_FOUR_BITS, _THREE_BITS = 4, 3
_MOST_TYPES_JUDGED = 2
# how much of the weights in RAM has to be saved: the rest is the room of copies of experts, which
# are made only where some wait in RAM (assumed)
_LEFT_SHARE = 0.8
# what options that say where layers lie change
_PLACING = {"gpu_layers", "cpu_expert_layers"}
# how near to the accelerators a placement is
_NEARNESS = {"host": 0, None: 0, "split": 1, "accelerator": 2}


def _bits_of(quantization: str) -> int:
    """The bits of a type by its name: 4 of IQ4_XS and of MXFP4; 0 where it says none."""
    digit = re.search(r"[0-9]", quantization)
    return int(digit[0]) if digit is not None else 0


class Search(Record):
    """What would fit in place of what was judged, and how far one could go with what fits."""

    judged: Judged
    catalogue: Catalogue
    machine: Machine
    asked: str = ""

    def alternatives(self) -> tuple[Alternative, ...]:
        """What would get the route `local`: the same model, smaller or with a shorter context, then
        other models, best first. What was asked is asked of the alternatives too.
        """
        question, workload = self.judged.question, self.judged.question.stated
        spec, taken = question.spec, question.workload
        fits = [self.loaded_by_tag()]
        if workload.task == "finetune" and taken.finetune_method != "qlora":
            qlora = workload.replace(finetune_method="qlora")
            fits.append((self.fit(spec, qlora), "same model, tuned with QLoRA"))
        # with the program that was asked for, before another one
        fits.append(self.smaller())
        if workload.kv_cache_type is not None:
            own_cache = workload.replace(kv_cache_type=None)
            fits.append(
                (self.fit(spec, own_cache), "same files, KV cache in the model's type")
            )
        # with the usual program where another was asked for, else with the others of its kind
        others = [
            name
            for name in RUNTIMES_BY_MODALITY[spec.modality]
            if name != taken.runtime
        ]
        for name in (None,) if workload.runtime else others:
            other = workload.replace(runtime=name, format=None, quantization=None)
            if fit := self.fit(spec, other):
                fit = self.as_checked(fit)
                program = getattr(fit.question.runtime, "name", name)
                fits.append((fit, f"same model with {program}"))
        longest = self.longest_context() or 0
        shortest = max(_SHORTEST_CONTEXT_TOKENS, taken.prompt_tokens or 0)
        if shortest <= longest < (taken.context_tokens or 0):
            shorter = workload.replace(
                runtime=taken.runtime,
                quantization=taken.quantization,
                context_tokens=longest,
            )
            fits.append((self.fit(spec, shorter), "same files, shorter context"))
        # a smaller quantization may be what the program takes by itself
        own: dict[tuple[object, ...], Alternative] = {}
        is_slow = any(
            each.check == "speed" and each.decides for each in self.judged.findings
        )
        for fit, why in fits:
            if fit is None:
                continue
            if is_slow and (is_too_slow(fit) or lacks_pace_of_users(fit)):
                # what is as slow is no way out
                continue
            each = self.alternative(fit, why)
            how = (
                each.runtime,
                each.quantization,
                each.context_tokens,
                each.finetune_method,
            )
            own.setdefault((each.id, *how), each)
        most = _MOST_ALTERNATIVES - min(len(own), 1)
        listed = (*[*own.values()][:_MOST_ALTERNATIVES], *self.other_models(most))
        return tuple({each.command: each for each in listed}.values())

    def loaded_by_tag(self) -> tuple[Judged | None, str]:
        """The other model that Ollama loads by the typed name of a family, and why it is named."""
        families = self.catalogue.common_tables("families", "family")
        id = families.get(units.canonical(self.asked), ("", {}))[1].get("ollama", "")
        specs = self.catalogue.specs([id] if id in self.catalogue else ())
        fits = (self.fit(spec, self.judged.question.stated) for spec in specs)
        fit = next(filter(None, fits), None)
        return fit and self.as_checked(
            fit
        ), f"the file that Ollama loads as {self.asked}"

    def note_on_gpu(self) -> tuple[str, ...]:
        """That GPUs would hold a smaller type of what runs in RAM beside them."""
        has_cards = any(
            card.unified is False for card in self.machine.accelerators or ()
        )
        if not has_cards or not self.judged.fits or self.judged.placement != "host":
            return ()
        other = self.smaller()[0]
        if other is None or other.placement != "accelerator":
            return ()
        pace = other.speed and other.speed.judged
        figures = {
            "type": other.quantization,
            "pace": pace and units.speed(pace.likely),
        }
        return remarks({"on-gpu": True}, **figures)

    def note_on_users(self) -> tuple[str, ...]:
        """How many users the accelerators hold, where the text of more spills into RAM; and how
        many are served at once where the others wait.
        """
        judged, question, users = (
            self.judged,
            self.judged.question,
            self.judged.workload.parallel,
        )
        if judged.speed is not None and judged.speed.waiting:
            program = question.runtime.name if question.runtime is not None else ""
            at_once = users - judged.speed.waiting
            figures: dict[str, object] = {
                "at_once": at_once,
                "users": users,
                "program": program,
            }
            return remarks({"users-wait": True}, **figures)
        if users == 1 or judged.placement != "split" or question.step is None:
            return ()

        def held_whole(number: int) -> bool:
            return self._layout_for(number).placement == "accelerator"

        most = units.count_while(held_whole, range(1, users))
        if not most:
            return ()
        layout = self._layout_for(most)
        assert layout.needs is not None
        fewer = layout.question
        pace = pace_of_text(fewer, question.step, layout.needs, self.machine).judged
        told = None if pace is None else units.speed(pace.likely)
        held = "1 user" if most == 1 else f"{most:,} users"
        cards = {term.where for term in layout.needs.terms} - {"host"}
        figures = {
            "most": most,
            "more": most + 1,
            "held": held,
            "several": len(cards) > 1,
        }
        return remarks({"users-spill": True}, pace=told, **figures)

    def _layout_for(self, users: int) -> Judged:
        """Where the same question is placed for so many users."""
        question = self.judged.question
        workload = question.workload.replace(parallel=users)
        other = asked_under(question, workload, self.machine)
        return best_layout(other, self.machine, at_any_pace=True)

    def fit(self, spec: ModelSpec, workload: Workload) -> Judged | None:
        """The model with its defaults, if it would be local; of the KV cache in a type it takes."""
        try:
            judged = judge(
                ask(spec, workload, self.catalogue, self.machine), self.machine
            )
        except WorkloadError:
            if workload.kv_cache_type is None:
                return None
            return self.fit(spec, workload.replace(kv_cache_type=None))
        if follows_a_list(spec, workload):
            judged = suited(judged, self.catalogue, self.machine)
        return judged if judged.fits else None

    def as_checked(self, judged: Judged) -> Judged:
        """With the defaults that suit the machine best, as its command judges it."""
        has_turns = follows_a_list(judged.question.spec, judged.question.stated)
        return judged if has_turns else suited(judged, self.catalogue, self.machine)

    def alternative(self, judged: Judged, why: str = "") -> Alternative:
        """Without `why` it is another model, which says by itself why it is proposed."""
        own, question = self.judged.question, judged.question
        spec, runtime = question.spec, question.runtime
        if not why:
            near = "same family" if spec.family == own.spec.family else ""
            standing = Standings.load(self.catalogue).by_id[spec.id]
            parts = [
                "closest match" if spec.id in self.named_alternatives() else near,
                reasons(judged, standing),
            ]
            if runtime is not None and own.stated.runtime not in (None, runtime.id):
                parts.append(f"with {runtime.name}")
            why = ", ".join(filter(None, parts))
        # by its id, or by its file where the catalogue has none of that id
        typed = (
            spec.id
            if spec.id in self.catalogue or not spec.origin
            else shell_word(spec.origin)
        )
        return Alternative.conclude(
            judged,
            self.machine,
            asked=spec.id,
            offered=False,
            why=f"{why}, {TIGHT}"
            if judged.has(*TIGHT_CODES) and TIGHT not in why
            else why,
            command=f"selfhost check {typed}{question.stated.options()}",
        )

    # -------------------------------------------------------------- the same model

    def smaller(self) -> tuple[Judged | None, str]:
        """The best type below the judged one, those that accelerators hold first, and why. What is
        published goes before what the reader makes of files that are here or by the printed lines.
        """
        question = self.judged.question
        spec, workload, runtime = question.spec, question.workload, question.runtime
        best: tuple[Judged | None, str] = (None, "")
        if runtime is None or question.needs is None or workload.task == "finetune":
            return best
        order, own = need.quantizations_of(spec, runtime), workload.quantization
        published, convertible = list[str](), list[str]()
        for name in order[order.index(own) + 1 :] if own in order else ():
            loads = need.loads_sixteen_bits(spec, runtime, workload.format, name)
            other = workload.replace(quantization=name)
            if loads or spec.repository_of(workload.format, name) is not None:
                published.append(name)
            elif question.local_files or can_be_made(spec, runtime, other):
                convertible.append(name)
        cards = places(self.machine.accelerators)
        for name in (*published, *convertible):
            quality = quality_of(name, spec)
            if quality.worth_having:
                changed = {"runtime": workload.runtime, "quantization": name}
                fit = self.fit(spec, question.stated.replace(**changed))
                each = fit, f"same model, smaller: {quality.text}"
                if fit is not None and not (cards and fit.placement == "host"):
                    return each
                best = max(best, each, key=lambda pair: pair[0] is not None)
        return best

    def whole_on_gpus(self) -> Judged | None:
        """The largest published type below the judged one that accelerators hold all of, where they
        hold a part of the judged one; of three bits only where none of four is held.
        """
        judged, question = self.judged, self.judged.question
        runtime = question.runtime
        is_split = (
            judged.fits and judged.placement == "split" and judged.offload is None
        )
        is_split = is_split and judged.has("accelerator-partly")
        if not is_split or runtime is None or question.local_files:
            return None
        if runtime.settings_of(question.workload.runtime_options).keys() & _PLACING:
            return None
        for bits in (_FOUR_BITS, _THREE_BITS):
            names = self._types_that_may_fit(runtime, bits)
            for name in names[:_MOST_TYPES_JUDGED]:
                changed = {"runtime": runtime.id, "quantization": name}
                fit = self.fit(question.spec, question.stated.replace(**changed))
                if fit is not None and fit.placement == "accelerator":
                    return fit
        return None

    def _types_that_may_fit(self, runtime: RuntimeSpec, bits: int) -> list[str]:
        """Published types of that many bits or more, best first, whose files are smaller than the
        judged ones by what these leave of themselves to the RAM.
        """
        judged, question = self.judged, self.judged.question
        spec, workload = question.spec, question.workload
        order, own = need.quantizations_of(spec, runtime), workload.quantization or ""
        format = workload.format or ""
        whole = need.weights_files(spec, format, own)
        if judged.needs is None or own not in order or not isinstance(whole, Term):
            return []
        in_ram = [term for term in judged.needs.terms if term.where == "host"]
        left_bytes = sum(term.bytes for term in in_ram if term.name == "weights")
        # the copies of experts that wait in RAM are not needed then
        most_bytes = whole.bytes - int(_LEFT_SHARE * left_bytes)
        names = list[str]()
        for name in order[order.index(own) + 1 :]:
            size = need.weights_files(spec, format, name)
            is_small = isinstance(size, Term) and size.bytes <= most_bytes
            is_published = spec.repository_of(format, name) is not None
            is_good = _bits_of(name) >= bits and quality_of(name, spec).worth_having
            if is_small and is_published and is_good:
                names.append(name)
        return names

    def as_whole(self, whole: Judged) -> Alternative:
        """What fits the accelerators whole, with what it gains and costs."""
        quality = quality_of(whole.quantization or "", whole.question.spec)
        return self.alternative(whole, f"fits the GPU whole; {quality.text}")

    def with_remedy(self, whole: Judged) -> Judged:
        """What was judged, with the type that fits whole named where the accelerator is told."""
        pace = whole.speed.judged if whole.speed is not None else None
        quality = quality_of(whole.quantization or "", whole.question.spec)
        remedy = phrase(
            "whole",
            type=whole.quantization,
            pace=units.speed(pace.likely) if pace is not None else None,
            loss=quality.text
            if _bits_of(whole.quantization or "") < _FOUR_BITS
            else None,
        )
        findings = tuple(
            finding.replace(remedy=remedy)
            if finding.check == "accelerator"
            else finding
            for finding in self.judged.findings
        )
        return self.judged.replace(findings=findings)

    # -------------------------------------------------------------- how far it goes

    def room(self) -> Room | None:
        """How far one could go in each respect alone, everything else as judged."""
        question = self.judged.question
        spec, runtime, taken = question.spec, question.runtime, question.workload
        if question.needs is None or runtime is None:
            return None
        longest = most_parallel = best = None
        trains, own = taken.task == "finetune", taken.quantization
        if taken.context_tokens is not None and (trains or spec.modality in GENERATING):
            longest = self.longest_context()
            most = runtime.batches.most_sequences or max(taken.parallel, _MOST_PARALLEL)
            most_parallel = self.largest("parallel", taken.parallel, most)
        if not (trains or question.local_files or own == "F32"):
            order = need.quantizations_of(spec, runtime)
            first = order.index(own) if own in order else len(order) - 1
            # the order is by what is lost, so none behind the judged one counts unless it does
            while first > 0 and own not in ("F16", "BF16"):
                if quality_of(order[first], spec).cost in LOSSLESS:
                    break
                first -= 1
            # the smallest without noticeable loss that fits, else the best that does
            types = order[max(first, 0) :]
            best = next((name for name in types if self.fits(quantization=name)), None)
        return Room(
            longest_context_tokens=longest,
            best_quantization=best,
            most_parallel=most_parallel,
        )

    def longest_context(self) -> int | None:
        """Tokens per sequence, at most what the model was trained for: what its publisher documents
        with scaling counts only where more was asked for, because answers may get worse. None where
        tokens make no sense or not even one fits.
        """
        question = self.judged.question
        architecture, row = question.spec.architecture, question.row
        if (
            architecture is None
            or question.workload.context_tokens is None
            or not question.needs
        ):
            return None
        asked_tokens = question.workload.context_tokens or 1
        most = question.trained_tokens or asked_tokens
        if asked_tokens > most:
            most = max(most, architecture.scaled_context_tokens or 0)
        if row.rewrites and (row.relative_positions or row.sines):
            # it sets no bound: what was asked for is judged all the same
            most = max(most, asked_tokens)
        return self.largest("context_tokens", asked_tokens, most)

    def largest(self, field: str, judged: int, high: int) -> int | None:
        """The largest number of tokens or sequences up to `high` that fits, as all smaller ones do;
        sought in growing steps around what likely has room by what the judged number of them keeps.
        None where not even one fits.
        """
        fits, is_fit = self.fits, self.judged.fits
        low = guess = min(judged, high) if is_fit else 1
        held = self.judged.finding(
            "memory" if self.judged.placement == "host" else "accelerator"
        )
        terms = getattr(self.judged.needs, "terms", ())
        kept = sum(
            term.bytes for term in terms if term.name in ("kv_cache", "recurrent_state")
        )
        if kept and held and isinstance(held.has, int) and isinstance(held.needs, int):
            guess += (held.has - held.needs) * low // kept
        if not (is_fit and low == judged) and not fits(**{field: low}):
            return None
        if not low < guess < high and fits(**{field: high}):
            return high
        step = max(1, guess // 128)
        while low < guess < high:
            if fits(**{field: guess}):
                low, guess = guess, guess + step
            else:
                high, guess = guess, guess - step
            step *= 2
        return low + units.count_while(
            lambda number: fits(**{field: number}), range(low + 1, high + 1)
        )

    def fits(self, **changes: int | str) -> bool:
        """With that change of the workload, and so do the files of another quantization. What runs
        on the accelerators, all of it or a part, does not leave them, nor what a GPU that shares
        the RAM may use; what they hold the most of stays so.
        """
        judged, question, machine = self.judged, self.judged.question, self.machine
        workload = question.workload.replace(**changes)
        other = asked_under(question, workload, machine)
        needs = other.needs
        assert needs is not None
        layout = best_layout(other, machine, at_any_pace=True)
        was_tight = judged.fits and judged.has("accelerator-tight")
        is_tighter = layout.has("accelerator-tight") and not was_tight
        is_farther = _NEARNESS[layout.placement] < _NEARNESS[judged.placement]
        if not layout.fits or is_tighter or (judged.fits and is_farther):
            return False
        if (
            judged.fits
            and judged.placement == "host"
            and layout.has("accelerator-partly")
        ):
            # it would compute all only with another limit than the one that is printed
            runs = judged.needs
            if runs and more_for_shared(needs, machine) != more_for_shared(
                runs, machine
            ):
                return False
        if "quantization" not in changes:
            return True
        if workload.quantization != question.workload.quantization:
            here = local_copy(
                other.spec, other.runtime, workload, needs, machine, self.catalogue
            )
            other = other.replace(here=here)
        return disk_check(needs, machine, other).outcome in (Outcome.PASS, Outcome.WARN)

    # -------------------------------------------------------------- other models

    def other_models(self, most: int) -> list[Alternative]:
        """The best `most` that run here fast enough, judged until none left can be worth more."""
        workload = self.judged.question.stated
        # without what only one model comes in
        plain = workload.replace(
            runtime=None, format=None, quantization=None, draft=None
        )
        proposals: list[tuple[tuple[bool, bool, bool, bool, float], Judged]] = []
        for for_other_work, less, id in self._candidates(plain):
            best_place = for_other_work, False, False, False, less
            if len(proposals) >= most and best_place > proposals[-1][0]:
                break
            other = next(self.catalogue.specs([id]), None)
            terms = [*terms_checks(other, plain)] if other is not None else []
            if other is None or any(finding.decides for finding in terms):
                continue
            is_less_open = any(is_partly_open(finding) for finding in terms)
            best_place = for_other_work, is_less_open, False, False, less
            if len(proposals) >= most and best_place > proposals[-1][0]:
                # what is open whole may still come
                continue
            fit = self.fit(other, plain.replace(runtime=workload.runtime))
            is_elsewhere = fit is None and workload.runtime is not None
            fit = self.fit(other, plain) if is_elsewhere else fit
            if fit is None or is_too_slow(fit):
                continue
            is_unmeasured = fit.has("context-unmeasured") or lacks_pace_of_users(fit)
            is_doubtful = is_slow_picture(fit) or is_unmeasured
            worth_below_zero = less * share_on(fit)
            place = (
                for_other_work,
                is_less_open,
                is_doubtful,
                is_elsewhere,
                worth_below_zero,
            )
            proposals.append((place, fit))
            proposals.sort(key=lambda proposal: proposal[0])
            del proposals[most:]
        return [self.alternative(self.as_checked(fit)) for _, fit in proposals]

    def named_alternatives(self) -> tuple[str, ...]:
        """The ids that the spec names as nearest to its model, or as its successor."""
        spec = self.judged.question.spec
        named = spec.availability.open_alternatives if spec.availability else ()
        return self.catalogue.current_first(
            filter(None, (*named, spec.upkeep.superseded_by))
        )

    def _candidates(self, plain: Workload) -> list[tuple[bool, float, str]]:
        """Whether each is for other work, its worth below 0, and its id, the best first."""
        standings, bounds = (
            Standings.load(self.catalogue),
            best_case(self.machine, plain),
        )
        spec, named = self.judged.question.spec, self.named_alternatives()
        deciding = {each.check for each in self.judged.findings if each.decides}
        # a few parameters more where the machine does not rule it out
        factor = _ALIKE_IN_SIZE if deciding <= {*MACHINELESS_CHECKS} else 1
        total = spec.parameters.total or inf
        most = factor * total - 1
        modalities = _AS_GOOD_AS.get(spec.modality, (spec.modality,))
        ordered: list[tuple[bool, float, str]] = []
        for outline in self.catalogue.outlines.values():
            if (
                outline.closed
                or outline.id == spec.id
                or outline.modality not in modalities
            ):
                continue
            same_work, does_work = standings.has_use_of(spec.uses, outline)
            weight = 1.0
            if outline.id in named:
                # of those that the spec names the nearest comes first
                same_work = True
                weight = factors("worth")["named"] * (
                    1 - 1e-6 * named.index(outline.id)
                )
            else:
                is_small = (outline.parameters_total or inf) <= most
                if not (is_small and bounds.has_room(outline) and does_work):
                    continue
            worth = standings.by_id[outline.id].worth * weight
            ordered.append((not same_work, -worth, outline.id))
        return sorted(ordered)
