"""The checks whether the model needs an accelerator, and whether the machine's accelerators hold
it.

`accelerator_check` takes the needs as placed. The layers on accelerators are compared with their
memory. If the whole model lies in RAM, the finding says why no accelerator is used, or that the
program does not run without one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial
from math import ceil

from ... import needs as need
from ...catalogue.runtime import RuntimeSpec
from ...catalogue.runtime_parts import KernelRule, QuantizationRule
from ...catalogue.spec import ModelSpec
from ...core import units
from ...core.records import Record
from ...core.templates import fill
from ...core.units import GIB, MIB
from ...core.workload import FLAGS
from ...machine.gpus import capability_of, maker_called
from ...machine.record import Accelerator, Machine
from ...needs.records import CACHES, Device, Needs, PlaceNeed
from ..devices import (
    LEFT_PERCENT,
    End,
    SharedMemory,
    amd_gpus,
    computes_on_shared,
    gpu_maker,
    has_capability,
    idle,
    index_of,
    is_built_for,
    least_capability,
    lent_to_gpu,
    may_compute_on,
    percent_of,
    usable_bytes_of,
)
from ..record import Question
from . import (
    Figures,
    Finding,
    Outcome,
    Ruling,
    failing,
    finding,
    passing,
    phrase,
    undecided,
    warning,
)
from .runtime import what_chose_runtime, what_runtime_follows
from .space import what_is_smaller

# the accelerators of one machine
Cards = Sequence[Accelerator]
# the settings that place layers on accelerators or in RAM, and all that place a model
_LAYER_SETTINGS = {"gpu_layers", "experts_in_ram"}
PLACING_SETTINGS = _LAYER_SETTINGS | {"gpu_shares", "split_mode"}


def accelerator_check(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> Finding:
    """Return the finding whether an accelerator is needed, and whether the accelerators that
    `needs` names as places hold their shares.
    """
    missing = _missing_named_device(machine, question)
    if missing is not None:
        return missing
    if needs.placement != "host":
        shares = tuple(_shares(needs, machine, question))
        placed = _OnCards(
            needs=needs, machine=machine, question=question, shares=shares
        )
        return placed.placed_check()
    in_ram = _InRam(needs=needs, machine=machine, question=question)
    runtime = question.runtime
    if runtime is not None:
        if question.wants_gpu:
            return in_ram.of_gpu_program(runtime)
        missing = in_ram.missing_device_to_split_over(runtime)
        if missing is not None:
            return missing
    if in_ram.cards:
        return finding(in_ram.not_needed())
    ignored = placing_options(question, _LAYER_SETTINGS)
    if ignored:
        return finding(warning("accelerator-not-needed", "ignored", names=ignored))
    return finding(passing("accelerator-not-needed"))


def _missing_named_device(machine: Machine, question: Question) -> Finding | None:
    """The finding for an option that names a device of which the machine has none, or may have
    none: llama.cpp then loads nothing ("invalid device", common/arg.cpp). None where a GPU may be
    the device, and for other options.
    """
    runtime = question.program
    makers = question.device_makers
    if not makers:
        return None
    if machine.accelerators is None:
        return finding(
            undecided("accelerator-unread", "device"),
            program=runtime.name,
            device=question.settings["device"],
            why=machine.why_unread("accelerators"),
        )
    if any(question.may_be_device(card.vendor) for card in machine.cards):
        return None
    return finding(
        failing("accelerator-missing", "device"),
        program=runtime.name,
        device=question.settings["device"],
        makers=[maker_called(maker).written for maker in makers],
    )


def placing_options(
    question: Question,
    settings: Collection[str] = PLACING_SETTINGS,
) -> list[str]:
    """The user's options that state where the model lies, by what they change."""
    placing = question.program.options_for(*settings)
    return [name for name in question.workload.runtime_options if name in placing]


# ------------------------------------------------------------------ the model lies in RAM


class _Layout(Record):
    """A model's layout on a machine, and the question about the model."""

    needs: Needs
    machine: Machine
    question: Question


class _InRam(_Layout):
    """A model that lies in the RAM of a machine."""

    @property
    def cards(self) -> Cards:
        """The accelerators that were found on the machine."""
        return self.machine.cards

    def not_needed(self) -> Ruling:
        """The ruling why a model that fits in RAM does not use the accelerators. The ruling decides
        nothing.
        """
        for card in self.cards:
            fact = _unread_fact(card)
            if fact is not None:
                why = self.machine.why_unread(fact)
                return warning(
                    "accelerator-unread", "in-ram", device=card.name, why=why
                )
        sharing = [card for card in self.cards if card.unified]
        candidates = sharing or self.cards
        runtime = self.question.runtime
        if runtime is not None:
            unused = self._unused(candidates, runtime)
            if unused is not None:
                return unused
        if sharing:
            return self._shared_ruling(sharing)
        largest = max(candidates, key=_usable_bytes)
        return passing("accelerator-not-needed", "too-small", device=largest.name)

    def _unused(self, cards: Cards, runtime: RuntimeSpec) -> Ruling | None:
        """The ruling that no build of the runtime computes on the devices; None where one does."""
        first = cards[0]
        machine = self.machine
        if machine.platform in runtime.gpus.unused_systems and not first.unified:
            return warning(
                "accelerator-not-needed",
                "unused",
                device=first.name,
                processor=machine.architecture,
                program=runtime.name,
            )
        if any(may_compute_on(runtime, card) for card in cards):
            return None
        refusal = _refusal(self.question, (), [first])
        if refusal is None:
            return None
        return warning(
            "accelerator-not-needed",
            "unsuited",
            remedy=refusal.remedy,
            why=refusal.reason,
        )

    def of_gpu_program(self, runtime: RuntimeSpec) -> Finding:
        """The finding for a runtime that runs the model on accelerators only, where none with
        memory of its own is used: whether an accelerator that shares the RAM holds the model, else
        why none runs it.
        """
        rules = self.question.kernel_rules
        lacking = self._missing_stated_parts(runtime)
        if lacking is not None:
            return lacking
        sharing = [card for card in self.cards if _computes_in_ram(runtime, card)]
        if sharing:
            refusal = _refusal(self.question, rules, sharing[:1])
            return refusal or self._stated_share_check(sharing)
        largest = max(self.cards, key=_usable_bytes, default=None)
        if largest is not None and self.needs.memory is None:
            unread = undecided("accelerator-unread", "need", device=largest.name)
            return _refusal(self.question, rules, [largest]) or finding(unread)
        is_by_rule = bool(rules) and not runtime.gpus.required
        ruling = failing("accelerator-missing")
        followed = what_runtime_follows(self.question)
        if followed is not None:
            ruling = failing("accelerator-missing", remedy=followed)
        is_chosen = self.question.stated.runtime is not None
        return finding(
            ruling,
            program=runtime.name,
            rule=rules[0].subject if is_by_rule else None,
            chosen=is_chosen and not is_by_rule,
            default=not is_chosen and not is_by_rule,
            device=None if largest is None else largest.name,
            on_cpu=runtime.gpus.on_cpu,
        )

    def _missing_stated_parts(self, runtime: RuntimeSpec) -> Finding | None:
        """The finding for an option that splits each layer over a number of accelerators that the
        machine does not have, or into which the model does not divide; None for other questions.
        """
        parts = self.question.stated_parts
        if not self.cards or self.needs.memory is None:
            return None
        if parts is None or parts == 1:
            return None
        return finding(
            failing("accelerator-missing", "parts"),
            program=runtime.name,
            parts=parts,
            model=self.question.spec.name,
            divides=parts in self.needs.tensor_parallel,
        )

    def missing_device_to_split_over(self, runtime: RuntimeSpec) -> Finding | None:
        """The finding for an option that splits tensors over accelerators, where the runtime
        computes on none: llama.cpp then loads nothing ("LLAMA_SPLIT_MODE_TENSOR needs >= 1
        devices", src/llama.cpp). None where the runtime computes on one, and for other options.
        """
        if not self.question.splits_tensors:
            return None
        if self.cards and self._unused(self.cards, runtime) is None:
            return None
        return finding(
            failing("accelerator-missing", "tensors"),
            program=runtime.name,
            device=self.cards[0].name if self.cards else None,
        )

    def _stated_share_check(self, sharing: Cards) -> Finding:
        """The finding whether the part of the RAM that an option states (`memory_share`) holds the
        model, and the system leaves that much.

        Without such an option, and where the size of the RAM or the need is not known, the finding
        of `_shared_ruling`.
        """
        total = self.machine.memory_total_bytes
        memory = self.needs.memory
        is_stated = bool(self.question.settings.get("memory_share"))
        if not total or memory is None or not is_stated:
            return finding(self._shared_ruling(sharing))
        card = sharing[0].replace(
            unified=False, memory_total_bytes=total, memory_free_bytes=None
        )
        percent = percent_of(self.question.case)
        share = _CardShare(need=memory.places[0], device=card, percent=percent)
        free = self.machine.memory_available_bytes
        left_percent = LEFT_PERCENT if free is None else free * 100 // total
        if percent <= left_percent:
            return _OnCards(
                needs=self.needs,
                machine=self.machine,
                question=self.question,
                shares=(share,),
            ).check()
        return finding(
            undecided("accelerator-close", "share"),
            taken=share.usable_bytes(),
            left=total * left_percent // 100,
            share=left_percent / 100,
        )

    def _shared_ruling(self, sharing: Cards) -> Ruling:
        """The ruling whether the system lets the GPU use as much of the RAM as the model needs."""
        lent = self._lent(sharing)
        if lent is None:
            return passing("accelerator-fits", "shared", device=sharing[0].name)
        least = lent.least_bytes
        high = self.needs.on_host.high_bytes
        figures: Figures = {"device": lent.device.name, "limit": least}
        if self.needs.memory is None:
            return passing("accelerator-fits", "shared", **figures)
        if high > least or not lent.owner_decides:
            figures |= {"needs": high, "has": least, "short": max(0, high - least)}
            figures["unit"] = "bytes"
        if high <= least:
            return passing("accelerator-fits", "shared", **figures)
        line = more_for_shared(self.needs, self.machine)
        if line is None:
            figures["remedy"] = what_is_smaller(self.needs.terms, least)
        else:
            total = self.machine.memory_total_bytes or 0
            figures["remedy"] = phrase(
                "lend",
                most=high,
                total=total,
                left=total - high,
                line=line,
                restart=lent.owner_decides,
            )
        figures["lent"] = least if lent.owner_decides else (least, lent.most_bytes)
        if not lent.raised_bytes:
            return warning("accelerator-limited", **figures)
        figures["raisable"] = high <= lent.raised_bytes
        return warning("accelerator-partly", "limited", **figures)

    def _lent(self, sharing: Cards) -> SharedMemory | None:
        """The RAM that the system lends to the GPU that shares it. None where the amount is not
        known, and where settings of the owner decide on it and the runtime does not compute on that
        GPU.
        """
        lent = lent_to_gpu(self.machine)
        runtime = self.question.runtime
        if lent is None or runtime is None:
            return lent
        if not lent.owner_decides:
            return lent
        if lent.device not in sharing:
            return None
        if runtime.gpus.required:
            return lent
        return lent if computes_on_shared(runtime, lent.device) else None


def _usable_bytes(card: Accelerator) -> int:
    """The bytes that a program may take of the card; 0 where its memory was not read."""
    return usable_bytes_of(card) or 0


def _unread_fact(card: Accelerator) -> str | None:
    """The missing fact without which the card's usable memory is not known; None where all facts
    were read.
    """
    if card.unified:
        return None
    if card.memory_total_bytes is None:
        return "accelerators.memory_total_bytes"
    if card.unified is None:
        return "accelerators.unified"
    return None


def _computes_in_ram(runtime: RuntimeSpec, card: Accelerator) -> bool:
    """Whether the card shares the RAM, and the runtime computes on such a card. Of what the runtime
    demands of a GPU, only its list of AMD GPUs is looked at: `_refusal` tells what else is not met.
    """
    if not card.unified:
        return False
    if card.vendor != "amd":
        return True
    return is_built_for(card, runtime.gpus.amd_gpus) is True


def more_for_shared(needs: Needs, machine: Machine) -> str | None:
    """The command line that lets a GPU use as much of the RAM as the model needs; None where no
    line does.
    """
    lent = lent_to_gpu(machine)
    high = needs.on_host.high_bytes
    if lent is None or needs.memory is None:
        return None
    if not lent.least_bytes < high <= lent.raised_bytes:
        return None
    pages = ceil(high / GIB) * (GIB // 4096)
    return fill(lent.line, {"mib": ceil(high / MIB), "pages": pages})


# ------------------------------------------------------------------ layers on accelerators


class _CardShare(Record):
    """The part of a model that lies on one accelerator: the need there, and the accelerator.

    `percent` is the percentage of the accelerator's memory that the runtime takes; None for a
    runtime that takes as much as it needs. `spared_share` is the share of the caches without which
    the runtime starts, too, and serves fewer users at once.
    """

    need: PlaceNeed
    device: Accelerator
    percent: float | None
    spared_share: float = 0.0

    @property
    def is_read(self) -> bool:
        """Whether the accelerator's usable memory is known."""
        if self.device.unified is not False:
            return False
        return usable_bytes_of(self.device, self.percent) is not None

    def usable_bytes(self, *, is_idle: bool = False) -> int:
        """The bytes that the runtime may take of the accelerator now, or once nothing else runs
        there; 0 where the memory was not read.
        """
        device = self.device
        if is_idle:
            device = idle(device)
        return usable_bytes_of(device, self.percent) or 0

    @property
    def deciding_bytes(self) -> int:
        """The bytes that decide whether the accelerator has room: the likely bytes of a program
        that takes a share of the accelerator, the most of any other program.
        """
        return self.need.high_bytes if self.percent is None else self.need.total_bytes

    @property
    def most_bytes_to_start(self) -> int:
        """The most bytes that may have to lie there for the runtime to start. The caches of one
        user are enough (vLLM: check_enough_kv_cache_memory in vllm/v1/core/kv_cache_utils.py).
        """
        caches_bytes = 0
        for term in self.need.terms:
            if term.name in CACHES:
                caches_bytes += term.high_bytes
        return self.need.high_bytes - int(self.spared_share * caches_bytes)

    @property
    def lacking_bytes(self) -> int:
        """The bytes that the accelerator lacks now; below 0 where some bytes are left."""
        return self.deciding_bytes - self.usable_bytes()


def _shares(
    needs: Needs,
    machine: Machine,
    question: Question,
) -> Iterator[_CardShare]:
    """Yield the share of the model on each accelerator; nothing where the accelerators were not
    read, or the memory is not known.
    """
    percent = percent_of(question.case) if question.wants_gpu else None
    spared_share = 0.0
    case = question.case
    keeps_blocks = case is not None and case.keeps_block_of_each_sequence
    if question.lets_users_wait and not keeps_blocks:
        # the caches of all users but one
        spared_share = 1 - 1 / question.workload.parallel
    if needs.memory is None or not machine.accelerators:
        return
    for place in needs.memory.places:
        if place.where != "host":
            device = machine.accelerators[index_of(place.where)]
            yield _CardShare(
                need=place,
                device=device,
                percent=percent,
                spared_share=spared_share,
            )


class _OnCards(_Layout):
    """A model on accelerators: `shares` has the part that lies on each. For a GPU that takes a
    stated part of the RAM, `_stated_share_check` makes the only share.
    """

    shares: tuple[_CardShare, ...]

    def placed_check(self) -> Finding:
        """The finding whether the memory of the used accelerators is known, the runtime computes on
        them, and they have room for their shares: the first of these that is not so.
        """
        unread = [share for share in self.shares if not share.is_read]
        if unread or not self.shares:
            return self._unread()
        refusal = None
        if self.question.runtime is not None:
            devices = [share.device for share in self.shares]
            refusal = _refusal(self.question, self.question.kernel_rules, devices)
        return refusal or self.check()

    def _unread(self) -> Finding:
        """The finding that the memory of an accelerator is not known, with the reason."""
        fact = "accelerators"
        for share in self.shares:
            fact = _unread_fact(share.device) or fact
        unread = undecided("accelerator-unread", why=self.machine.why_unread(fact))
        return finding(unread, needs=self.needs.on_cards.high_bytes, unit="bytes")

    def check(self) -> Finding:
        """The finding whether the accelerators have room for their shares, as `_ruling` decides."""
        usable = low = likely = high = deciding = 0
        names = []
        for share in self.shares:
            usable += share.usable_bytes()
            deciding += share.deciding_bytes
            low += share.need.low_bytes
            likely += share.need.total_bytes
            high += share.need.high_bytes
            names.append(share.device.name)
        runtime = self.question.runtime
        return finding(
            self._ruling(),
            needs=deciding,
            has=usable,
            short=max(0, deciding - usable),
            unit="bytes",
            most=high if high > deciding else None,
            devices=" and ".join(units.counted(names)),
            program=runtime.name if runtime else "The runtime",
            need=(low, high),
            likely=likely,
            option=_lean_option(self.question),
            smaller=partial(self._what_takes_less, usable),
            confidence=self.machine.confidence,
        )

    def _what_takes_less(self, usable_bytes: int) -> str:
        """The phrase that names what takes less of the accelerators: first to leave out the user's
        options that place layers there.
        """
        # the RAM is such a place where a GPU takes a stated part of it
        places = {share.need.where for share in self.shares}
        terms = [term for term in self.needs.terms if term.where in places]
        smaller = what_is_smaller(terms, usable_bytes, self.question)
        names = placing_options(self.question)
        if not names:
            return smaller
        return phrase("smaller/placed", names=names, smaller=smaller)

    def _hold(self, end: End | None = None, *, is_idle: bool = False) -> bool:
        """Whether each accelerator holds the bytes that decide, or that end of what may lie there,
        of the most those to start: now or once idle.
        """
        for share in self.shares:
            size = share.deciding_bytes
            if end is End.MOST:
                size = share.most_bytes_to_start
            elif end is not None:
                size = share.need.size[end]
            if size > share.usable_bytes(is_idle=is_idle):
                return False
        return True

    @property
    def _now_only(self) -> bool:
        """Whether the user asked for the memory that is free now, so that an idle accelerator does
        not count.
        """
        return self.question.workload.memory_basis == "available"

    def _ruling(self) -> Ruling:
        """The ruling whether the accelerators have room for the bytes that decide, now or once they
        are idle; and if they have, whether parts of the model stay in RAM.
        """
        left_open = self._ruling_of_what_stays()
        if left_open is not None:
            return left_open
        if not self._hold():
            return self._too_full()
        if not self._hold(End.MOST):
            return warning("accelerator-tight")
        if self._is_lean:
            return warning("accelerator-lean")
        if self.needs.placement != "split":
            return passing("accelerator-fits", beyond=self._most_beyond)
        if self.needs.offload:
            return warning("accelerator-partly", "in-turn")
        if placing_options(self.question, _LAYER_SETTINGS):
            return warning("accelerator-partly", "stated")
        return warning("accelerator-partly", smaller=self._what_would_fit)

    @property
    def _most_beyond(self) -> int | None:
        """The most bytes that may lie on the accelerators, where these do not hold as many: fewer
        users are served at once then. None where they do.
        """
        most_bytes = 0
        is_beyond = False
        for share in self.shares:
            most_bytes += share.need.high_bytes
            if share.need.high_bytes > share.usable_bytes():
                is_beyond = True
        if not is_beyond:
            return None
        return most_bytes

    @property
    def _is_lean(self) -> bool:
        """Whether an option makes the runtime take less memory."""
        return "lean" in self.question.settings

    def _ruling_of_what_stays(self) -> Ruling | None:
        """The ruling where only the likely or only the least bytes fit, of a model of which nothing
        moves to the RAM by itself: in training, and where an option makes the runtime take less or
        states what lies on the accelerators.

        None where the bytes that decide tell: for any other model, where the most bytes fit, and
        where not even the least do.
        """
        is_idle = not self._now_only
        if self._is_lean:
            variant = "lean"
        elif self.question.workload.task == "finetune":
            variant = ""
            # training is placed by the memory that is free now
            is_idle = False
        elif placing_options(self.question, _LAYER_SETTINGS):
            variant = "placed"
        else:
            return None
        if self._hold(End.MOST, is_idle=is_idle):
            return None
        if self._hold(End.LIKELY, is_idle=is_idle):
            return warning("accelerator-tight", variant)
        if self._hold(End.LEAST, is_idle=is_idle):
            return undecided("accelerator-close", variant)
        return None

    def _what_would_fit(self) -> str:
        """The phrase that names what is smaller, so that the accelerators may hold all of it."""
        question = self.question
        usable = sum(share.usable_bytes() for share in self.shares)
        device = Device(maker=gpu_maker(self.machine, question.runtime))
        whole = need.needs_on(self.needs, question.case, device)
        return what_is_smaller(whole.on_cards.terms, usable, question)

    def _too_full(self) -> Ruling:
        """The ruling for accelerators without room for their shares: whether they have room once
        idle.
        """
        shares = self.shares
        figures: Figures = {"several": len(shares) if len(shares) > 1 else 0}
        is_of_one = sum(share.lacking_bytes for share in shares) <= 0
        if is_of_one:
            # together they have enough memory: name the accelerator that lacks most
            worst = max(shares, key=lambda share: share.lacking_bytes)
            shares = (worst,)
            figures |= {
                "needs": worst.deciding_bytes,
                "has": worst.usable_bytes(),
                "short": worst.lacking_bytes,
                "devices": worst.device.name,
            }
        if self._now_only or not self._hold(is_idle=True):
            in_row = self._cards_in_a_row()
            if in_row:
                return undecided("accelerator-close", "row", cards=in_row)
            return failing("accelerator-too-small", is_of_one=is_of_one, **figures)
        free = sum(share.device.memory_free_bytes or 0 for share in shares)
        return warning("accelerator-not-now", free=free, **figures)

    def _cards_in_a_row(self) -> int:
        """The number of accelerators that together have the memory for the model, where they are
        more than each layer can be divided over. A runtime that divides layers also lays whole
        layers on one accelerator after another, which is not counted here. 0 for no such number.
        """
        question = self.question
        if not question.program.account.divides_layers:
            return 0
        if question.stated_parts is not None or question.spec.architecture is None:
            return 0
        share = self.shares[0]
        cards = []
        for card in self.machine.own_memory_cards:
            if card.vendor == share.device.vendor:
                cards.append(share.replace(device=card))
        has_bytes = sum(card.usable_bytes(is_idle=not self._now_only) for card in cards)
        need_bytes = sum(share.deciding_bytes for share in self.shares)
        if len(cards) <= len(self.shares):
            return 0
        return len(cards) if has_bytes >= need_bytes else 0


def _lean_option(question: Question) -> str:
    """The runtime's options, to be typed, that make it take less memory; "" for none."""
    options = question.program.command_lines.options
    lines: list[str | None] = []
    for name, value in question.workload.runtime_options.items():
        option = question.program.named_options.get(name)
        if option is not None and option.changes == "lean":
            lines.append(fill(option.line, {"value": value}))
    if "sequences_sampled" not in question.settings:
        lines.append(options.get("sampled"))
    joined = " ".join(filter(None, lines))
    return fill(joined, {"parallel": question.workload.parallel}, keep_unknown=True)


# ------------------------------------------------------------------ what programs ask of a GPU


def _refusal(
    question: Question,
    rules: Sequence[KernelRule],
    devices: Cards,
) -> Finding | None:
    """The finding that the runtime does not run on one of the devices, or that nobody knows; None
    where it runs on all.
    """
    runtime = question.runtime
    assert runtime is not None, "a runtime computes on the devices"
    for device in devices:
        unmet = []
        for ruling in _unmet_by_builds(runtime, device):
            # where a GPU is optional, a device with an unlisted name is assumed to meet the demands
            # of the builds
            if ruling.outcome is Outcome.FAIL or runtime.gpus.required:
                unmet.append(ruling)
        for rule in rules:
            unmet += _unmet_by_rule(rule, device, question.spec)
        if unmet:
            return finding(
                unmet[0],
                program=runtime.name,
                device=device.name,
                capability=capability_of(device),
                chosen_by=what_chose_runtime(question),
            )
    return None


def _unmet(
    variant: str,
    figures: Figures,
    *,
    is_met: bool | None,
) -> Iterator[Ruling]:
    """Yield the ruling that a demand of a runtime on a device is not met, or that nobody knows
    whether it is; nothing for a demand that is met.
    """
    if is_met is None:
        yield undecided("accelerator-unread", variant, **figures)
    elif not is_met:
        yield failing("accelerator-unsuitable", variant, **figures)


def _unmet_by_builds(runtime: RuntimeSpec, device: Accelerator) -> Iterator[Ruling]:
    """Yield a ruling for each demand of the builds that the device is not known to meet: the least
    compute capability, and the AMD GPUs for which a build was made.
    """
    common: Figures = {"rule": None}
    if not runtime.gpus.required:
        # the program computes without this device, too
        common["chosen_by"] = ()
    least = least_capability(runtime, device)
    key = "gpus.shared_compute_capability"
    if least == runtime.gpus.compute_capability:
        key = "gpus.compute_capability"
    figures = {**common, "least": least, "source": runtime.sources.get(key, "")}
    yield from _unmet("capability", figures, is_met=has_capability(device, least))
    patterns = amd_gpus(runtime)
    if device.vendor == "amd" and patterns:
        figures = {**common, "source": runtime.sources.get("gpus.amd_gpus", "")}
        is_built = is_built_for(device, patterns)
        yield from _unmet("build", figures, is_met=is_built)


def _unmet_by_rule(
    rule: KernelRule,
    device: Accelerator,
    spec: ModelSpec,
) -> Iterator[Ruling]:
    """Yield a ruling for each demand of the runtime's kernels that the device is not known to meet:
    the makers, the compute capability and, for a mixture of experts, the AMD GPUs.
    """
    # without a stated type the cache has the model's type, which every GPU of the program supports
    has_default = rule.asked_by == "kv_cache_type"
    figures: Figures = {
        "rule": rule.subject,
        "flag": FLAGS[rule.asked_by],
        "default": has_default,
        "other": not has_default,
        "source": rule.source,
        "chosen_by": (),
        "makers": rule.vendors,
        "least": rule.compute_capability,
    }
    variant = "untold" if device.vendor in rule.vendors_untold else "maker"
    yield from _unmet(variant, figures, is_met=_is_of_maker(rule, device))
    has_kernels = has_capability(device, rule.compute_capability)
    yield from _unmet("capability", figures, is_met=has_kernels)
    model = spec.architecture
    if model is None or not model.has_experts:
        return
    if isinstance(rule, QuantizationRule) and rule.mixtures_on_amd:
        # an AMD GPU of an unknown name was asked for by the demands of the builds
        has_experts = is_built_for(device, rule.mixtures_on_amd) is not False
        yield from _unmet("mixture", figures, is_met=has_experts)


def _is_of_maker(rule: KernelRule, device: Accelerator) -> bool | None:
    """Whether the kernel runs on GPUs of the device's maker; None where that is not known."""
    if device.vendor in rule.vendors_untold:
        return None
    if not rule.vendors:
        return True
    if device.vendor in rule.vendors:
        return True
    return None if device.vendor == "unknown" else False
