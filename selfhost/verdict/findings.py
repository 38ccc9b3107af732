"""One function per check: needs held against a machine. The branch that decides writes the outcome,
the reason and the remedy.

The cells are those of the table "How a verdict is made"; where several hold, the worst wins, so
each function asks for `fail` first. Every figure a person reads goes through `units`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

from ..catalogue.licenses import satisfies
from ..catalogue.spec import ModelSpec, QuantizationRule, RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.workload import DEFAULT_MIN_TOKENS_PER_SECOND, READING_TOKENS_PER_SECOND, Workload
from ..machine.record import Accelerator, Machine
from ..needs.records import CpuNeed, Needs
from .placement import capability_by_name, emptied, free_bytes, metal_limits, room_of
from .present import Here, unseen

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..core.records import Unread
    from ..needs.tensors import ArchitectureRow

    # gives a reason and its remedy
    Words = Callable[[], tuple[str, str | None]]

MIB, GIB = units.MIB, units.GIB


class Outcome(StrEnum):
    """Of one finding, from best to worst for the answer."""

    PASS = "pass"
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


_OUTCOMES = tuple(Outcome)
CHECKS = (
    "weights",
    "license",
    "openness",
    "context",
    "disk",
    "memory",
    "accelerator",
    "cpu",
    "runtime",
    "speed",
)

CODES: Mapping[str, str] = {
    "weights-published": "the weights can be downloaded",
    "weights-here": "the files are already on the machine",
    "weights-stated": "somebody's own spec states what the model needs",
    "weights-gated": "a login or an accepted form comes before the download",
    "weights-unsafe": "published only as pickle, or loading runs remote code",
    "weights-partial": "only part of the weights is published",
    "weights-not-known": "whether they were published is not known",
    "weights-closed": "the weights were never published",
    "license-allows": "the license allows what was asked",
    "license-conditional": "the license allows it under conditions",
    "license-assumed": "the license allows it by general knowledge, which no source confirms",
    "license-not-known": "whether the license allows it is not known",
    "license-not-accepted": "the license is not among those asked for",
    "license-forbids": "the license forbids what was asked",
    "openness-open": "what was asked to be open is open",
    "openness-partly": "what was asked to be open is open in part",
    "openness-assumed": (
        "what was asked to be open is open by general knowledge, which no source confirms"
    ),
    "openness-not-known": "whether it is open is not known",
    "openness-closed": "what was asked to be open is closed",
    "context-trained": "the context is within what the model was trained for",
    "context-scaled": "beyond the training, within what the publisher documents by scaling",
    "context-untrained": "beyond the training, and no table of positions sets a limit",
    "context-not-known": "the trained context is not known",
    "context-too-long": "the context is beyond what the model can use",
    "disk-nothing-missing": "nothing has to be downloaded",
    "disk-fits": "the download fits and the margin stays free",
    "disk-tight": "the download fits, but little stays free",
    "disk-slow-or-volatile": "the download fits on a network volume or in RAM",
    "disk-assumed": (
        "the free space is assumed: a profile does not state it, or a quota may leave less"
    ),
    "disk-unread": "the free space could not be read",
    "disk-size-not-known": "the size of the download is not known",
    "disk-too-small": "the download does not fit",
    "disk-not-writable": "the folder cannot be written to",
    "disk-file-too-large": "one file is larger than the file system, or `ulimit -f`, allows",
    "memory-fits": "the memory is there now",
    "memory-not-now": "the machine has it, but not free now",
    "memory-close": "the need's range straddles what the machine can give",
    "memory-unread": "the memory could not be read",
    "memory-need-not-known": "what the model takes is not known",
    "memory-too-small": "the machine can never give that much",
    "accelerator-fits": "it all fits on the accelerator",
    "accelerator-not-now": "the accelerator can hold it, but not what is free of it now",
    "accelerator-not-needed": "the model runs without an accelerator",
    "accelerator-partly": "some layers fit, the rest stays in RAM",
    "accelerator-shared-out": (
        "it fits only in parts on several accelerators, as FSDP or ZeRO-3 train"
    ),
    "accelerator-unread": "an accelerator is there but could not be read",
    "accelerator-missing": "the runtime needs an accelerator that is not there",
    "accelerator-too-small": "the runtime needs a larger accelerator",
    "accelerator-unsuitable": "the runtime has no kernels of that quantization for the accelerator",
    "cpu-suits": "the processor suits the runtime's build",
    "cpu-slow": "it works, slowly: a recommended instruction set is missing",
    "cpu-assumed": "the instruction sets are assumed: a profile does not state them",
    "cpu-unread": "the processor could not be read",
    "cpu-lacks-instructions": "the runtime's build would crash: an instruction set is missing",
    "cpu-no-build": "the runtime has no build for this processor",
    "runtime-present": "the runtime is installed",
    "runtime-too-old": (
        "the runtime is installed in a version that does not know this architecture yet"
    ),
    "runtime-any": "the spec names no runtime",
    "runtime-not-installed": "the runtime is not installed yet",
    "runtime-not-searched": "whether the runtime is installed was not read",
    "runtime-unfamiliar": "whether the runtime knows this architecture is not known",
    "runtime-cannot-load": "the runtime does not load this model",
    "runtime-no-build": "the runtime does not exist for this system",
    "runtime-other-byte-order": (
        "the runtime loads files of another byte order here than those that are published"
    ),
    "speed-comfortable": "at least as fast as one reads, and as wanted",
    "speed-slow": "slower than reading, or perhaps slower than wanted",
    "speed-assumed": "fast enough by a memory bandwidth or a number of cores that is assumed",
    "speed-not-known": "there is nothing to estimate the speed from",
    "speed-too-slow": "slower than wanted even at best",
}
"""The closed list of reason codes; the README's table is compared with it."""


class Finding(Record):
    """One comparison, need against machine.

    `needs` and `has` are numbers in `unit` or, with `unit` None, text; `short` is how much is
    missing, 0 when nothing is and None where there is no amount. `code` is one of CODES.
    `reserve_bytes` is set for memory only.
    """

    check: str
    outcome: Outcome
    code: str
    needs: int | float | str | None = None
    has: int | float | str | None = None
    short: int | float | None = None
    unit: str | None = None
    reserve_bytes: int | None = None
    reason: str
    remedy: str | None = None

    @classmethod
    def told(cls, known: Mapping[str, Any], words: Words) -> Finding:
        """Of `known` fields, all but the reason and the remedy: these the branch that decided puts
        into words when they are asked for.

        Hundreds of models are judged at once, and of few somebody reads why.
        """

        def whole() -> Finding:
            reason, remedy = words()
            return cls(**known, reason=reason, remedy=remedy)

        return cls.partly({**known}, whole)


# ------------------------------------------------------------------ what the model is


def weights(
    spec: ModelSpec,
    *,
    format: str | None = None,
    local_files: bool = False,
    here: Here | None = None,
) -> Finding:
    """Can the weights be had at all, and does loading them run code?

    `format` is the files' that would be loaded, where one was chosen: GGUF and GGML hold no code
    and call for none of the repository, MLX is never pickle. `local_files`: the model was read from
    files on this machine; `here`: its files lie there.
    """
    state = spec.openness.weights

    def found(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
        return _of_weights(outcome, code, state, reason, remedy)

    if state == "closed":
        why = spec.availability.why if spec.availability else "the publisher keeps them"
        retired = spec.availability.retired if spec.availability else None
        gone = (
            f" {spec.availability.provider} retired it on {retired}."
            if spec.availability and retired
            else ""
        )
        if spec.availability and not spec.availability.api:
            gone += f" {spec.availability.provider} has no public API of it."
        return found(
            Outcome.FAIL, "weights-closed", f"The weights cannot be downloaded: {why}.{gone}"
        )
    if local_files:
        return found(Outcome.PASS, "weights-here", "The files are already on this machine.")
    if here is not None and here.missing_files:
        names = ", ".join(here.missing_files[:5]) + (
            f" and {len(here.missing_files) - 5} more" if len(here.missing_files) > 5 else ""
        )
        reason = (
            f"Part of the weights is missing in {here.path}: {names}. Where they can be downloaded"
            " is not known."
        )
        return found(
            Outcome.UNKNOWN, "weights-not-known", reason, f"download them into that folder: {names}"
        )
    whole = here is not None and here.missing_bytes == 0
    stated_alone = spec.needs is not None and spec.architecture is None
    if state == "unknown" and not stated_alone and not spec.files and not whole:
        own = spec.origin.endswith(".toml")
        remedy = (
            "look at the publisher's page, then set openness.weights in"
            f" {spec.origin if own else 'a spec of it'}"
        )
        return found(
            Outcome.UNKNOWN,
            "weights-not-known",
            "Whether the weights were published is not known.",
            remedy,
        )
    remote_code = spec.safety.remote_code and format not in ("gguf", "ggml")
    if remote_code or (
        spec.safety.formats == ("pickle",) and format not in ("gguf", "ggml", "mlx")
    ):
        danger = (
            "loading them runs code from the repository"
            if remote_code
            else "they come only as pickle files, which can run code"
        )
        return found(
            Outcome.WARN,
            "weights-unsafe",
            f"The weights are {'here' if whole else 'published'}, but {danger}.",
            "load them only in a sandbox, from a publisher you trust",
        )
    if here is not None and whole:
        return found(Outcome.PASS, "weights-here", f"The files are already there: {here.path}.")
    if spec.gated:
        remedy = (
            f"accept the terms at https://huggingface.co/{spec.repository}, then run `hf auth"
            " login`"
            if spec.repository
            else "accept the publisher's terms first"
        )
        return found(
            Outcome.WARN,
            "weights-gated",
            "The weights are published behind a login or a form.",
            remedy,
        )
    if state == "partial":
        return found(
            Outcome.WARN,
            "weights-partial",
            "Only part of the weights is published.",
            "check that the part you need is there",
        )
    if state == "unknown" and stated_alone:
        return found(
            Outcome.PASS,
            "weights-stated",
            "The spec states the model's needs; where to get the weights is its author's business.",
        )
    if state == "unknown" and not (
        spec.repository or any(files.repository for files in spec.files)
    ):
        return found(
            Outcome.PASS,
            "weights-stated",
            "The size of the weights is stated; where to get them is not.",
        )
    gate = "" if spec.gated is False else " Whether a login is needed is not known."
    return found(Outcome.PASS, "weights-published", f"The weights are published.{gate}")


# of most models the same is found
@lru_cache(maxsize=256)
def _of_weights(
    outcome: Outcome, code: str, state: str, reason: str, remedy: str | None
) -> Finding:
    return Finding(
        check="weights",
        outcome=outcome,
        code=code,
        needs="published",
        has=state,
        reason=reason,
        remedy=remedy,
    )


def license_check(
    spec: ModelSpec, workload: Workload, guessed: tuple[bool, bool] | None = None
) -> Finding | None:
    """May it be used as asked? None where nothing was asked and nothing is conditional.

    As with openness: of what no source confirms a yes is a `warn` and a no is `unknown`. `guessed`
    is what `license_guessed` gives, where that is known already.
    """
    own = spec.license
    name = own.id if own and own.id else None
    asked: list[str] = [
        *(["commercial use"] if workload.commercial else []),
        *([workload.license] if workload.license else []),
    ]
    conditional = own is not None and own.commercial_use == "conditional"
    if not asked and not conditional:
        return None

    def found(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
        return Finding(
            check="license",
            outcome=outcome,
            code=code,
            needs=", ".join(asked) or None,
            has=name,
            reason=reason,
            remedy=remedy,
        )

    label = name or "no license known"
    read_it = f"read it: {own.url}" if own and own.url else "read the license before you rely on it"
    if spec.closed:
        if workload.license:
            reason = (
                "There are no weights, so there is no license of them that could be among those"
                " asked for."
            )
            return found(
                Outcome.FAIL,
                "license-not-accepted",
                reason,
                "choose a model under a license you accept: `selfhost list`",
            )
        reason = "There are no weights to license: the provider's terms of service decide."
        return found(Outcome.WARN, "license-conditional", reason, "read the provider's terms")
    # which license it is, and what it allows, take a source each
    named_by_guess, allowed_by_guess = (
        (guessed or license_guessed(spec)) if asked else (False, False)
    )
    doubt = " (general knowledge, not confirmed)"
    of_name = doubt if named_by_guess else ""
    if workload.license:
        if name is None:
            reason = (
                "Which license the weights have is not known, so it cannot be held against"
                f" {workload.license}."
            )
            return found(Outcome.UNKNOWN, "license-not-known", reason, read_it)
        if not satisfies(name, workload.license):
            reason = (
                f"The license is {label}{of_name}, not among those asked for: {workload.license}."
            )
            if named_by_guess:
                return found(Outcome.UNKNOWN, "license-not-known", reason, _SETTLE_LICENSE)
            return found(
                Outcome.FAIL,
                "license-not-accepted",
                reason,
                "choose a model under a license you accept: `selfhost list`",
            )
    commercial = own.commercial_use if own else None
    of_use = doubt if workload.commercial and allowed_by_guess else ""
    if workload.commercial and commercial == "no":
        reason = f"{label} forbids commercial use{of_use}."
        if of_use:
            return found(Outcome.UNKNOWN, "license-not-known", reason, _SETTLE_LICENSE)
        return found(Outcome.FAIL, "license-forbids", reason, read_it)
    if workload.commercial and commercial is None:
        return found(
            Outcome.UNKNOWN,
            "license-not-known",
            f"Whether {label} allows commercial use is not known.",
            read_it,
        )
    if conditional:
        terms = (
            "; ".join(own.conditions)
            if own and own.conditions
            else "conditions that the spec does not name"
        )
        return found(
            Outcome.WARN,
            "license-conditional",
            f"{label} allows commercial use under conditions{of_use}: {terms}.",
            read_it,
        )
    allowed = (
        f"The license is {label}"
        + (", as asked" if workload.license else "")
        + (" and allows commercial use" if workload.commercial else "")
    )
    if of_use or (workload.license and named_by_guess):
        return found(Outcome.WARN, "license-assumed", f"{allowed}{doubt}.", _SETTLE_LICENSE)
    return found(Outcome.PASS, "license-allows", f"{allowed}.")


_SETTLE_LICENSE = (
    "look at the publisher's page, then set [license] in a spec of it, and where that is from under"
    " [sources]"
)


def license_guessed(spec: ModelSpec) -> tuple[bool, bool]:
    """Whether only general knowledge says which license it is, and whether only that says what
    it allows in commerce.
    """
    from ..catalogue import openness

    return (
        openness.unconfirmed(spec.sources.get("license")),
        openness.permission(spec, "commercial use").assumed,
    )


def openness_check(spec: ModelSpec, workload: Workload) -> Finding | None:
    """Open in the respects that were asked for? None where nothing was asked. The worst of the
    respects decides.
    """
    return worst_of([open_for(spec, purpose) for purpose in open_purposes(workload)])


def open_purposes(workload: Workload) -> tuple[str, ...]:
    """What a model was asked to be open for, of OPEN_PURPOSES."""
    return tuple(
        name
        for name, asked in zip(OPEN_PURPOSES, (workload.modify, workload.auditable), strict=True)
        if asked
    )


OPEN_PURPOSES = ("modification", "audit")
_OPEN = {
    "yes": (Outcome.PASS, "openness-open"),
    "partly": (Outcome.WARN, "openness-partly"),
    "unknown": (Outcome.UNKNOWN, "openness-not-known"),
    "no": (Outcome.FAIL, "openness-closed"),
}
# instead, where no source confirms the answer
_OPEN_AS_ASSUMED = {
    "yes": (Outcome.WARN, "openness-assumed"),
    "no": (Outcome.UNKNOWN, "openness-not-known"),
}


def open_for(spec: ModelSpec, purpose: str) -> Finding:
    """Open enough for one of OPEN_PURPOSES? Of what no source confirms a yes is a `warn` and a
    no is `unknown`.
    """
    from ..catalogue import openness

    row = (
        openness.auditable(spec)
        if purpose == "audit"
        else openness.permission(spec, "modification")
    )
    outcome, code = (
        _OPEN_AS_ASSUMED.get(row.answer, _OPEN[row.answer]) if row.assumed else _OPEN[row.answer]
    )
    remedy = (
        None
        if outcome is Outcome.PASS
        else "`selfhost list` shows models that are open in more respects"
    )
    doubt = " (general knowledge, not confirmed)" if row.assumed else ""
    if row.assumed:
        part = "license" if purpose == "modification" else "openness"
        remedy = (
            f"look at the publisher's page, then set [{part}] in a spec of it, and where that is"
            " from under [sources]"
        )
    return Finding(
        check="openness",
        outcome=outcome,
        code=code,
        needs=purpose,
        has=", ".join(f"{part.name} {part.answer}" for part in row.parts or (row,)),
        reason=f"To {'audit' if purpose == 'audit' else 'modify'} it: {row.why}{doubt}.",
        remedy=remedy,
    )


def worst_of(found: Sequence[Finding]) -> Finding | None:
    """Findings of `open_for` as one; None of none."""
    if len(found) < 2:
        return found[0] if found else None
    worst = max(found, key=lambda one: _OUTCOMES.index(one.outcome))
    return worst.replace(
        needs=", ".join(str(one.needs) for one in found),
        has="; ".join(str(one.has) for one in found),
        reason=" ".join(one.reason for one in found),
    )


def context(
    spec: ModelSpec, workload: Workload, *, asked: bool, row: ArchitectureRow | None = None
) -> Finding | None:
    """Was it trained for that much? `asked`: the context was given, not taken by default. None
    where tokens make no sense. `row`: of an encoder with a decoder, whose context is what is read
    and written together.
    """
    made, wanted = spec.architecture, workload.context_tokens
    if wanted is None:
        return None
    if row is not None and made is not None and made.context_tokens is not None:
        return _rewritten(wanted, made.context_tokens, bounded=row.bounds_texts)
    return _context(
        wanted,
        made.context_tokens if made else None,
        made.scaled_context_tokens if made else None,
        asked,
    )


def _rewritten(wanted: int, each: int, *, bounded: bool) -> Finding:
    """`each`: tokens that the encoder reads at most, or was trained to where nothing bounds it,
    and the decoder writes.
    """
    most, stacks = 2 * each, f"{units.tokens(each)} to read and as many to write"
    outcome, code, remedy = Outcome.PASS, "context-trained", None
    reason = (
        f"{units.tokens(wanted)}, read and written together, is within the {units.tokens(most)} it"
        f" was trained for, {stacks}."
    )
    if wanted > most and bounded:
        outcome, code, remedy = Outcome.FAIL, "context-too-long", f"--context {most}"
        reason = (
            f"{units.tokens(wanted)}, read and written together, is beyond the {units.tokens(most)}"
            f" the model can use, {stacks}."
        )
    elif wanted > most:
        outcome, code, remedy = (
            Outcome.WARN,
            "context-untrained",
            "answers may get worse; a shorter text is what it was trained for",
        )
        reason = (
            f"{units.tokens(wanted)}, read and written together, is beyond the {units.tokens(most)}"
            f" it was trained for, {stacks}; its positions set no limit."
        )
    return Finding(
        check="context", outcome=outcome, code=code, needs=wanted, has=most, short=max(0,
            wanted - most) if bounded else 0, unit="tokens",
        reason=reason, remedy=remedy,
    )  # fmt: skip


# many models were trained for as much
@lru_cache(maxsize=256)
def _context(wanted: int, trained: int | None, scaled: int | None, asked: bool) -> Finding:
    most = max((limit for limit in (trained, scaled) if limit is not None), default=None)

    def found(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
        short = None if most is None else max(0, wanted - most)
        return Finding(
            check="context",
            outcome=outcome,
            code=code,
            needs=wanted,
            has=most,
            short=short,
            unit="tokens",
            reason=reason,
            remedy=remedy,
        )

    if trained is not None and wanted <= trained:
        return found(
            Outcome.PASS,
            "context-trained",
            f"{units.tokens(wanted)} is within the {units.tokens(trained)} it was trained for.",
        )
    if scaled is not None and wanted <= scaled:
        beyond = (
            f"beyond the {units.tokens(trained)} it was trained for"
            if trained
            else "perhaps beyond what it was trained for, which is not known"
        )
        reason = (
            f"{units.tokens(wanted)} is {beyond}, within the {units.tokens(scaled)} its publisher"
            " documents by scaling."
        )
        return found(
            Outcome.WARN,
            "context-scaled",
            reason,
            "set the scaling its publisher documents; answers may get worse",
        )
    if most is not None:
        reason = f"{units.tokens(wanted)} is beyond the {units.tokens(most)} the model can use."
        return found(Outcome.FAIL, "context-too-long", reason, f"--context {most}")
    if asked:
        reason = (
            f"What context the model was trained for is not known, so {units.tokens(wanted)} cannot"
            " be judged."
        )
        return found(
            Outcome.UNKNOWN,
            "context-not-known",
            reason,
            "leave --context out, or give the model's context_tokens in a spec",
        )
    return found(
        Outcome.PASS,
        "context-trained",
        f"No context was asked for; judged at {units.tokens(wanted)}.",
    )


# ------------------------------------------------------------------ what the machine has

# a system disk filled to the last byte breaks swap, logs and databases: 5 GiB or 5 % of the volume,
# whichever is less (assumed)
DISK_MARGIN_BYTES = 5 * GIB
DISK_MARGIN_SHARE = 0.05


def disk(
    needs: Needs,
    machine: Machine,
    purpose: str,
    *,
    missing_bytes: int | None = None,
    here: Here | None = None,
) -> Finding:
    """Do the files that are missing, and what the work itself writes, fit where that runtime would
    store them?

    `missing_bytes` are those still to be downloaded where some of the files are `here`; None: all
    of them. Free space that is assumed gives a `warn`; only what was stated, such as the size of
    the disk, may rule the model out.
    """
    made = _disk(needs, machine, purpose, missing_bytes, here)
    assumed = any(
        map(machine.assumes, ("disks", f"disks.{purpose}", f"disks.{purpose}.free_bytes"))
    )
    if not assumed or made.code not in ("disk-unread", "disk-too-small", "disk-tight", "disk-fits"):
        return made
    place, size = machine.disk_for(purpose), made.needs
    whole = place.total_bytes if place else None
    if not isinstance(size, int) or (whole is not None and size > whole):
        return made
    room = size + disk_margin_bytes(whole)
    reason = f"{units.decimal(size)} have to fit, and the free space is assumed"
    if place is not None and whole is not None:
        reason += (
            f": {place.shown} has {units.decimal(whole)} in all, and how much of it is free is not"
            " stated."
        )
    else:
        blank = (
            f"disks.{purpose}.free_bytes"
            if place
            else "disks"
            if machine.disks is None
            else f"disks.{purpose}"
        )
        reason += f": {machine.why_unread(blank).reason}."
    remedy = f"make sure that {units.decimal(room)} are free there"
    return made.replace(
        outcome=Outcome.WARN, code="disk-assumed", reason=reason + _doubt(machine), remedy=remedy
    )


def _disk(
    needs: Needs, machine: Machine, purpose: str, missing: int | None, here: Here | None
) -> Finding:
    size, largest = _to_store(needs, missing), needs.largest_file_bytes
    if missing is not None and largest is not None:
        largest = min(largest, missing)
    if size == 0:
        reason = (
            f"Nothing has to be downloaded: the files are at {here.path}."
            if here
            else "Nothing has to be downloaded."
        )
        return Finding(
            check="disk",
            outcome=Outcome.PASS,
            code="disk-nothing-missing",
            needs=0,
            short=0,
            unit="bytes",
            reason=reason,
        )
    place = machine.disk_for(purpose)
    free, whole = (place.free_bytes, place.total_bytes) if place else (None, None)
    where = place.shown if place else "the download folder"
    whose = f" under the {place.quota}'s quota" if place and place.quota else ""
    there = f"The {where[4:]}" if where.startswith("the ") else where
    what = (
        "What is missing"
        if missing
        else "The download"
        if size == needs.download_bytes
        else "What it stores"
    )

    def unless() -> str:
        missed = unseen(machine, purpose) if machine.models_present is not None else None
        return f" Whether it is there already is not known: {missed.reason}." if missed else ""

    def told(outcome: Outcome, code: str, words: Words) -> Finding:
        short = None if size is None or free is None else max(0, size - free)
        known = {
            "check": "disk",
            "outcome": outcome,
            "code": code,
            "needs": size,
            "has": free,
            "short": short,
            "unit": "bytes",
        }
        return Finding.told({**known, "reserve_bytes": None}, words)

    def found(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
        return told(outcome, code, lambda: (reason, remedy))

    if place and place.writable is False:
        reason = f"{there} cannot be written to.{unless()}"
        return found(
            Outcome.FAIL, "disk-not-writable", reason, _move_store(purpose, "that you may write to")
        )
    if place and place.free_files == 0:
        reason = (
            f"No file can be made in {where}: its file system has no free inodes, whatever space is"
            f" left.{unless()}"
        )
        return found(
            Outcome.FAIL,
            "disk-not-writable",
            reason,
            f"delete files there (`df -i` counts them), or {_move_store(purpose)}",
        )
    limit = place.max_file_bytes if place else None
    if place and limit and largest is not None and largest > limit:
        reason = (
            f"One file is {units.decimal(largest)}, and {place.filesystem} on {where} allows"
            f" {units.decimal(limit)} at most."
        )
        return found(
            Outcome.FAIL,
            "disk-file-too-large",
            reason,
            _move_store(purpose, "on another file system"),
        )
    # Ollama's server stores what it is asked for, under limits of its own
    shell = machine.file_size_limit_bytes if purpose != "ollama" else None
    if shell is not None and largest is not None and largest > shell:
        reason = (
            f"One file is {units.decimal(largest)}, and `ulimit -f` lets this shell write"
            f" {units.decimal(shell)} at most."
        )
        return found(
            Outcome.FAIL,
            "disk-file-too-large",
            reason,
            "lift it: `ulimit -f unlimited`, or ask who set it",
        )
    if size is not None and free is not None and size > free:

        def lacks() -> tuple[str, str]:
            short = units.decimal(size - free)
            takes = (
                f"{what} takes {units.decimal(size)}, and {where} has {units.decimal(free)}"
                f" free{whose}: {short} short."
            )
            return takes + unless(), f"free {short}, or {_move_store(purpose)}"

        return told(Outcome.FAIL, "disk-too-small", lacks)
    if size is not None and free is None and whole is not None and size > whole:
        reason = (
            f"{what} takes {units.decimal(size)}, and {where} has {units.decimal(whole)} in"
            f" all{whose}, free or not."
        )
        return found(
            Outcome.FAIL, "disk-too-small", reason + unless(), _move_store(purpose)
        ).replace(has=whole, short=size - whole)
    if place is None or free is None:
        why = machine.why_unread(
            "disks"
            if machine.disks is None
            else f"disks.{purpose}"
            if place is None
            else f"disks.{purpose}.free_bytes"
        )
        return found(
            Outcome.UNKNOWN,
            "disk-unread",
            f"The free space could not be read: {why.reason}.",
            why.remedy,
        )
    if size is None:
        unsized = next(
            (entry for entry in needs.unknown if entry.fact in ("download_bytes", "disk_bytes")),
            None,
        )
        reason = (
            "The size of the download is not known:"
            f" {unsized.reason if unsized else 'nobody states it'}."
        )
        return found(
            Outcome.UNKNOWN, "disk-size-not-known", reason, unsized.remedy if unsized else None
        )
    margin = disk_margin_bytes(whole)
    kind = place.filesystem
    if place.in_memory:
        kind = f"{kind} over {place.backing}" if place.backing else kind
        return found(
            Outcome.WARN,
            "disk-slow-or-volatile",
            f"{there} is {kind}: files there take RAM and are gone after a restart.",
            _move_store(purpose, "on a disk"),
        )
    if place.on_network:
        return found(
            Outcome.WARN,
            "disk-slow-or-volatile",
            f"{there} is on a network volume ({kind}): loading is slow there, and a quota would not"
            " be visible.",
            _move_store(purpose, "on a local disk"),
        )
    quota = next(
        (entry for entry in machine.unread if entry.fact.startswith(f"disks.{purpose}.quota")), None
    )
    if quota is not None:
        reason = (
            f"{what} takes {units.decimal(size)}, and {where} has {units.decimal(free)} free, of"
            f" which less may be yours: {quota.reason}."
        )
        return found(Outcome.WARN, "disk-assumed", reason, quota.remedy)
    beneath = _untold_medium(machine, purpose)
    if beneath is not None:
        reason = f"Files in {where} may take RAM and be gone after a restart: {beneath.reason}."
        return found(Outcome.WARN, "disk-slow-or-volatile", reason, beneath.remedy)
    if size + margin > free:
        return found(
            Outcome.WARN,
            "disk-tight",
            f"{what} fits, but only {units.decimal(free - size)} of {where} would stay free.",
            f"free {units.decimal(size + margin - free)} more to keep a margin",
        )
    part = f" {units.decimal(here.size_bytes)} are here already." if missing and here else ""

    def fits() -> tuple[str, None]:
        return (
            (
                f"{units.decimal(size)} of the {units.decimal(free)} free in"
                f" {where}{whose}.{part}{_doubt(machine)}"
            ),
            None,
        )

    return told(Outcome.PASS, "disk-fits", fits)


def _to_store(needs: Needs, missing: int | None) -> int | None:
    """Bytes to be written, where `missing` of the files are to come (None: all); fine-tuning
    writes more than it downloads.
    """
    if missing is None:
        return needs.disk_bytes
    return missing + max(0, (needs.disk_bytes or 0) - (needs.download_bytes or 0))


def disk_margin_bytes(total_bytes: int | None) -> int:
    """What should stay free of a volume of that size; None is not known."""
    return min(DISK_MARGIN_BYTES, int((total_bytes or 2**62) * DISK_MARGIN_SHARE))


def _move_store(purpose: str, which: str = "on a larger disk") -> str:
    variable = {
        "huggingface": "HF_HOME",
        "llama.cpp": "LLAMA_CACHE",
        "ollama": "OLLAMA_MODELS (of the Ollama service)",
    }.get(purpose)
    return f"set {variable} to a folder {which}" if variable else f"download to a folder {which}"


# What the system needs for itself beside a model: assumed. Ubuntu Server 24.04 asks for 1 GB; an
# idle desktop of macOS or Windows takes about 3 GiB, below the 4 GB that Windows 11 asks for.
# Inside a limit only what that leaves out is kept for the system, and a little for the other
# processes in there.
CONTAINER_RESERVE_BYTES = 64 * MIB
SYSTEM_RESERVE_BYTES = {"linux": 1 * GIB, "macos": 3 * GIB, "windows": 3 * GIB}


def reserve_of(machine: Machine, workload: Workload) -> tuple[int, str]:
    """Bytes kept for the system itself, and where the figure comes from."""
    if workload.reserve_bytes is not None:
        return workload.reserve_bytes, "as asked"
    total, limit = machine.memory_total_bytes, machine.memory_limit_bytes
    amount = SYSTEM_RESERVE_BYTES.get(machine.system or "", GIB)
    if total is not None and limit is not None and limit < total:
        # what lies outside the limit serves the system already
        return (
            max(CONTAINER_RESERVE_BYTES, amount - (total - limit)),
            "assumed for the other processes inside the limit",
        )
    return amount, f"assumed for {machine.system or 'the system'} itself"


def _untold_medium(machine: Machine, purpose: str) -> Unread | None:
    """Why it is not known whether files of that purpose would take RAM; None where it is."""
    return next(
        (entry for entry in machine.unread if entry.fact == f"disks.{purpose}.backing"), None
    )


def lies_in_memory(machine: Machine, purpose: str) -> bool | None:
    """Whether files of that purpose take RAM where they lie; None where that is not told."""
    place = machine.disk_for(purpose)
    if place is None:
        return False
    if place.in_memory:
        return True
    return None if _untold_medium(machine, purpose) is not None else False


def stored_in_memory(
    needs: Needs, machine: Machine, purpose: str, *, missing_bytes: int | None = None
) -> int:
    """Bytes of files to be stored where they take RAM, or may do so, of which `missing_bytes`
    are to come (None: all); 0 on a disk.
    """
    return 0 if lies_in_memory(machine, purpose) is False else _to_store(needs, missing_bytes) or 0


def held_in_memory(here: Here | None, machine: Machine, purpose: str) -> int:
    """Bytes of files that lie on a volume that is or may be RAM already; 0 on a disk."""
    place = machine.disk_for(here.store or purpose) if here is not None else None
    if here is None or place is None or lies_in_memory(machine, place.purpose) is False:
        return 0
    # whisper.cpp's place is the current folder, whose files are named without it
    return here.size_bytes if place.path == "." or here.path.startswith(place.path) else 0


def memory(
    needs: Needs,
    machine: Machine,
    workload: Workload,
    stored_bytes: int = 0,
    held_bytes: int = 0,
    *,
    surely: bool = True,
) -> Finding:
    """The host's share of the need against what this machine gives now, and what it could give if
    other programs closed.

    A limit of the shell counts otherwise than memory does, and holds beside it: the worse of the
    two is told. `stored_bytes` are files to come in RAM: they join the most that it may take, and
    the least where copies are made of them; else they are mapped, not held twice. `held_bytes` are
    files that lie in RAM already: what is free now lacks them, so they join only against the
    limits. Not `surely`: whether those files lie in RAM is not told, so they join the most alone.
    """
    made = _memory(needs, machine, workload, stored_bytes, held_bytes, surely)
    if machine.address_space_bytes is None and machine.private_memory_bytes is None:
        return made
    return max(
        (made, *_shell_limits(needs, machine, made)), key=lambda one: _OUTCOMES.index(one.outcome)
    )


# what glibc sets aside for the stack of each thread: the usual soft limit of the stack
# (pthread_create(3)). Both limits count all of it: 14 more threads of llama-bench took 118 and 121
# MiB more (llama.cpp 0c1e5709, measured by bisection).
STACK_BYTES = 8 * MIB
# threads beside those that compute: of a server one a core and some more (llama.cpp 0c1e5709:
# tools/server, n_threads_http): assumed
OTHER_THREADS = 16


def _stacks(machine: Machine) -> tuple[int, int]:
    """Bytes of threads' stacks, low and high: one thread a core computes; a server has as many
    again and OTHER_THREADS.
    """
    cores = math.ceil(machine.cpu_cores_usable or 1)
    return (cores - 1) * STACK_BYTES, (2 * cores + OTHER_THREADS) * STACK_BYTES


def _shell_limits(needs: Needs, machine: Machine, made: Finding) -> Iterator[Finding]:
    """Findings of `ulimit -v` and `ulimit -d` that are or may be too low: the first counts mapped
    files, the second none.

    As the second counts the kernel's own limit on promises, CommitLimit. All count the stacks of
    threads whole. What glibc reserves for arenas does not count: where it gets none it shares one.
    """
    low, high, memory = host_low(needs), host_high(needs), needs.memory
    if low is None or high is None or memory is None:
        return
    host = [term for term in memory.terms if term.where == "host"]
    # runtimes that map the weights need no private memory for them; which do is not known here
    unmapped = sum(term.low_bytes for term in host if not term.may_be_mapped)
    mapped = memory.evictable_bytes
    copied = sum(term.low_bytes for term in host if term.is_copy)
    counted = (
        f" of address space, the {units.binary(mapped)} that stay mapped included"
        if mapped
        else " of address space"
    )
    few, many = _stacks(machine)
    for fact, option, least, most, what in (
        ("address_space_bytes", "-v", low + mapped + few, high + mapped + many, counted),
        ("private_memory_bytes", "-d", unmapped + few, high + many, " of private memory"),
    ):
        left = getattr(machine, fact)
        if left is None or most <= left:
            continue
        never = least > left
        limit, remedy = (
            f"`ulimit {option}`",
            f"lift it: `ulimit {option} unlimited`, or ask who set it",
        )
        if "CommitLimit" in machine.sources.get(fact, ""):
            limit, remedy = (
                "the kernel's CommitLimit",
                "raise it: `sudo sysctl vm.overcommit_ratio=100`, or vm.overcommit_memory=0",
            )
        if mapped and copied and option == "-v" and most - copied <= left:
            remedy += "; or run it with --no-repack, without a second copy of the weights"
        yield made.replace(
            outcome=Outcome.FAIL if never else Outcome.UNKNOWN,
            code="memory-too-small" if never else "memory-close",
            needs=most,
            has=left,
            short=most - left,
            reason=(
                f"It takes {units.binary(least)} to {units.binary(most)}{what}, and {limit} leaves"
                f" {units.binary(left)}"
            )
            + ("." if never else ": too close to call."),
            remedy=remedy,
        )


def _memory(
    needs: Needs,
    machine: Machine,
    workload: Workload,
    stored_bytes: int,
    held_bytes: int,
    surely: bool,
) -> Finding:
    reserve, reserve_source = reserve_of(machine, workload)
    total, limit, now = (
        machine.memory_total_bytes,
        machine.memory_limit_bytes,
        machine.memory_available_bytes,
    )
    basis = workload.memory_basis
    if basis == "default" and machine.planning:
        basis = "total"
    could = None if limit is None else max(0, limit - reserve)
    # what was asked to stay free does, also where the memory is free now
    if workload.reserve_bytes is not None and now is not None and could is not None:
        now = min(now, could)

    def kept() -> str:
        return f"after {units.binary(reserve)} kept back, {reserve_source}"

    def aside() -> str:
        return f" {kept()}" if workload.reserve_bytes is not None and could is not None else ""

    low, high = host_low(needs), host_high(needs)
    # what is free now lacks the files that are held, and the limits do not
    held = (
        0
        if basis == "available"
        or (basis == "default" and now is not None and (high or 0) + stored_bytes <= now)
        else held_bytes
    )
    most_now = None if now is None else now + (held if surely else 0)
    could_now = max((x for x in (most_now, could) if x is not None), default=None)
    ceiling = now if basis == "available" else could if basis == "total" else could_now
    files = stored_bytes + held
    if high is not None:
        high += files
    if low is not None and needs.memory is not None and surely:
        # on a disk the originals of what a runtime copies may leave the page cache, in RAM they
        # stay
        low += min(files, needs.memory.evictable_bytes)

    def found(
        outcome: Outcome,
        code: str,
        has: int | None,
        reason: Callable[[], str],
        remedy: str | None = None,
    ) -> Finding:
        short = None if has is None or high is None else max(0, high - has)
        known = {
            "check": "memory",
            "outcome": outcome,
            "code": code,
            "needs": high,
            "has": has,
            "short": short,
            "unit": "bytes",
        }
        return Finding.told(
            {**known, "reserve_bytes": reserve}, lambda: (reason() + _doubt(machine), remedy)
        )

    if low is None or high is None:
        why = next((entry for entry in needs.unknown if entry.fact.startswith("memory")), None)
        alone = machine.accelerators is not None and all(
            card.unified for card in machine.accelerators
        )
        known, most = (
            sum(term.low_bytes for term in needs.known_terms),
            min((x for x in (total, limit) if x is not None), default=None),
        )
        if alone and most is not None and known > most and why is not None:
            told = (
                f"It takes more than the {units.binary(most)} that {_giver(machine, basis)} has;"
                f" how much more is not known: {why.reason}."
            )
            return found(
                Outcome.FAIL,
                "memory-too-small",
                most,
                lambda: told,
                "a smaller quantization or a smaller model needs less",
            )
        unsaid = (
            "What the model takes is not known:"
            f" {why.reason if why else 'the spec states too little'}."
        )
        remedy = why.remedy if why else "state it in [needs] of a spec"
        return found(Outcome.UNKNOWN, "memory-need-not-known", ceiling, lambda: unsaid, remedy)

    def takes() -> str:
        most, least = units.binary(high), units.binary(low)
        need = most if most == least else f"{least} to {most}"
        if files:
            lie = "would lie" if stored_bytes else "lie"
            need += (
                f" (with the {units.decimal(files)} of files, which {lie if surely else 'may lie'}"
                " in memory too)"
            )
        return f"It takes {need}"

    smaller = "a smaller quantization, a shorter context or a smaller model needs less"
    if files:
        smaller = f"with the files on a disk it takes less; {smaller}"
    # any ceiling that was read is enough to say no, even where the binding one was not
    read = [
        x for x in ((ceiling,) if basis != "default" or limit is not None else ()) if x is not None
    ] + [x for x in (total, limit) if x is not None]
    if read and low > min(read):
        has = min(read)

        def too_small() -> str:
            reason = (
                f"{takes()} of memory, and {_giver(machine, basis)} can give {units.binary(has)} at"
                f" most{aside()}."
            )
            if not aside() and has == could and limit is not None and low <= limit:
                # nothing but the reserve decides, and that is assumed
                reason += (
                    f" It {'would' if high <= limit else 'might'} fit but for the"
                    f" {units.binary(reserve)} kept back, {reserve_source}:"
                )
                reason += " `--reserve SIZE` changes it."
            return reason

        return found(Outcome.FAIL, "memory-too-small", has, too_small, smaller)
    if basis == "default" and now is not None and high <= now:
        return found(
            Outcome.PASS,
            "memory-fits",
            now,
            lambda: f"{takes()}, and {units.binary(now)} are available now{aside()}.",
        )
    if (now if basis == "available" else limit) is None:
        why_not = machine.why_unread(
            "memory_available_bytes" if basis == "available" else "memory_limit_bytes"
        )
        unread = f"How much memory it may use could not be read: {why_not.reason}."
        return found(Outcome.UNKNOWN, "memory-unread", ceiling, lambda: unread, why_not.remedy)
    assert ceiling is not None
    if high > ceiling:
        return found(
            Outcome.UNKNOWN,
            "memory-close",
            ceiling,
            lambda: (
                f"{takes()}, and {_giver(machine, basis)} can give"
                f" {units.binary(ceiling)}{aside()}: too close to call."
            ),
            f"to be safe, {smaller}",
        )
    if basis == "default":
        free = (
            "how much is free now could not be read"
            if now is None
            else f"only {units.binary(now)} are free now"
        )
        remedy = (
            "close other programs first"
            if now is not None
            else machine.why_unread("memory_available_bytes").remedy
        )
        return found(
            Outcome.WARN,
            "memory-not-now",
            ceiling,
            lambda: (
                f"{takes()}; {_giver(machine, basis)} has {units.binary(ceiling)} for it"
                f" ({kept()}), but {free}."
            ),
            remedy,
        )
    return found(
        Outcome.PASS,
        "memory-fits",
        ceiling,
        lambda: (
            f"{takes()}, and {_giver(machine, basis)} can give {units.binary(ceiling)}{aside()}."
        ),
    )


def host_low(needs: Needs) -> int | None:
    """Least memory of the terms that stay in RAM."""
    if needs.memory is None or needs.placement == "host":
        return None if needs.memory is None else needs.memory.low_bytes
    return sum(term.low_bytes for term in needs.memory.terms if term.where == "host")


def host_high(needs: Needs) -> int | None:
    """Most memory of the terms that stay in RAM."""
    if needs.memory is None or needs.placement == "host":
        return None if needs.memory is None else needs.memory.high_bytes
    return sum(term.high_bytes for term in needs.memory.terms if term.where == "host")


def _doubt(machine: Machine) -> str:
    """What follows a figure of a profile that is not sure; empty for one that is, and for what
    was read.
    """
    if machine.confidence in (None, "high"):
        return ""
    return f" That figure is of {machine.confidence} confidence: check your configuration."


def _giver(machine: Machine, basis: str) -> str:
    name = machine.name
    if (
        machine.memory_limit_bytes is not None
        and machine.memory_total_bytes is not None
        and machine.memory_limit_bytes < machine.memory_total_bytes
    ):
        name += (
            f" (limited to {units.binary(machine.memory_limit_bytes)} of"
            f" {units.binary(machine.memory_total_bytes)})"
        )
    return f"{name} now" if basis == "available" else name


# what AMD's own graphics share the RAM and are among the chips that vLLM is built for (its page on
# installing for ROCm)
_BUILT_FOR = frozenset(("gfx942", "gfx950", "gfx1150", "gfx1151"))
# of the RAM, Metal lets the GPU use two thirds on a Mac with 16 GB to five sixths on one with 128
# GB (AlexsJones/llmfit#570, antirez/ds4#893); iogpu.wired_limit_mb changes it
METAL_SHARE = (0.66, 0.85)


_NONE_NEEDED = Finding(
    check="accelerator",
    outcome=Outcome.PASS,
    code="accelerator-not-needed",
    reason="None is needed: judged in RAM.",
)


def accelerator(
    needs: Needs,
    machine: Machine,
    runtime: RuntimeSpec | None,
    rule: QuantizationRule | None = None,
    *,
    now_only: bool = False,
    alone: tuple[str, str] | None = None,
) -> Finding:
    """Is an accelerator needed, and do those that `needs` names as places hold their share?

    `rule`: how the runtime takes the quantization, where it has kernels for some accelerators
    alone. `now_only`: what others hold of an accelerator does not count, even if they may leave it.
    `alone`: why it is not shared out over several, and what would be.
    """
    needed = runtime is not None and (runtime.gpu_only or (rule is not None and rule.gpu_only))
    if needs.placement == "host" and not needed and not machine.accelerators:
        return _NONE_NEEDED
    terms = [term for term in needs.memory.terms if term.where != "host"] if needs.memory else []
    share = sum(term.high_bytes for term in terms)
    devices = {
        f"accelerator:{index}": device for index, device in enumerate(machine.accelerators or ())
    }
    held: dict[str, int] = {}
    for term in terms:
        held[term.where] = held.get(term.where, 0) + term.high_bytes
    used = [devices.get(where) for where in held]
    rooms = [
        None if device is None or device.unified is not False else room_of(device, gpu_only=needed)
        for device in used
    ]
    has = None if None in rooms else sum(room for room in rooms if room is not None)
    names = [device.name for device in used if device]
    counted_names = (
        f"{names.count(one)} × {one}" if names.count(one) > 1 else one
        for one in dict.fromkeys(names)
    )
    name = " and ".join(counted_names) or "the accelerator"

    def found(
        outcome: Outcome, code: str, reason: str, remedy: str | None = None, *, counted: bool = True
    ) -> Finding:
        return Finding(
            check="accelerator",
            outcome=outcome,
            code=code,
            needs=share if counted else None,
            has=has if counted else None,
            short=max(0, share - has) if counted and has is not None else None,
            unit="bytes" if counted else None,
            reason=reason,
            remedy=remedy,
        )

    if needs.placement == "host":
        shared = [device for device in machine.accelerators or () if device.unified]
        if needed:
            shared = [
                device
                for device in shared
                if device.vendor != "amd" or device.compute_capability in _BUILT_FOR
            ]
        largest = max(
            (device for device in machine.accelerators or ()),
            key=lambda device: free_bytes(device) or 0,
            default=None,
        )
        program = runtime.name if runtime else "The runtime"
        if not needed and (made := _unread(machine)) is not None:
            return made
        if shared:
            if (
                needed
                and rule is not None
                and runtime is not None
                and (unfit := _unfit(rule, runtime, shared[0]))
            ):
                return found(*unfit, counted=False)
            metal = next((device for device in shared if device.vendor == "apple"), None)
            if metal is not None and (made := _metal(metal, needs, machine)) is not None:
                return made
            return found(
                Outcome.PASS,
                "accelerator-fits",
                f"{shared[0].name} shares the RAM: judged there.",
                counted=False,
            )
        if needed and needs.memory is None and largest is not None and largest.unified is False:
            if (
                rule is not None
                and runtime is not None
                and (unfit := _unfit(rule, runtime, largest))
            ):
                return found(*unfit, counted=False)
            return found(
                Outcome.UNKNOWN,
                "accelerator-unread",
                f"How much it takes of {largest.name} is not known.",
                counted=False,
            )
        if needed:
            remedy = "choose a runtime that works on a CPU: leave --runtime out"
            what = (
                " for that quantization"
                if rule is not None and runtime is not None and not runtime.gpu_only
                else ""
            )
            remedy = "choose another quantization: leave --quant out" if what else remedy
            return found(
                Outcome.FAIL,
                "accelerator-missing",
                f"{program} needs a GPU{what}, and none was found.",
                remedy,
                counted=False,
            )
        unused = largest.name if largest is not None else name
        if alone is not None and needs.memory is not None and len(machine.accelerators or ()) > 1:
            reason = f"{unused} holds too little of it, and {alone[0]}: judged in RAM."
            return found(Outcome.WARN, "accelerator-not-needed", reason, alone[1], counted=False)
        reason = f"{unused} is not needed, or holds too little of it: judged in RAM."
        return found(Outcome.PASS, "accelerator-not-needed", reason, counted=False)
    if has is None:
        blank = (
            "unified"
            if any(device and device.memory_total_bytes is not None for device in used)
            else "memory_total_bytes"
        )
        why = machine.why_unread(
            "accelerators" if machine.accelerators is None else f"accelerators.{blank}"
        )
        reason = (
            "Only an accelerator could hold it, or be fast enough, and that could not be read:"
            f" {why.reason}."
        )
        return found(Outcome.UNKNOWN, "accelerator-unread", reason, why.remedy)
    for device in used:
        if (
            rule is not None
            and runtime is not None
            and device is not None
            and (unfit := _unfit(rule, runtime, device)) is not None
        ):
            return found(*unfit, counted=False)
    # what one has left over is no room on another
    if any(size > (room or 0) for size, room in zip(held.values(), rooms, strict=True)):
        idle = [
            room_of(device, gpu_only=needed) or 0
            for device in emptied([device for device in used if device is not None])
        ]
        could = all(size <= room for size, room in zip(held.values(), idle, strict=True))
        on = "a GPU" if len(used) == 1 else f"{len(used)} GPUs"
        if share <= (has or 0):
            # the sums tell nothing: of the one that is to hold most beyond what it may
            share, has, device = max(
                zip(held.values(), rooms, used, strict=True), key=lambda one: one[0] - (one[1] or 0)
            )
            used, name, on = [device], device.name if device is not None else name, f"one of {on}"
        if could and not now_only:
            free = sum(device.memory_free_bytes or 0 for device in used if device is not None)
            reason = (
                f"{name} can hold the {units.binary(share)} it takes there, but only"
                f" {units.binary(free)} are free now."
            )
            return found(Outcome.WARN, "accelerator-not-now", reason, "end what else runs on it")
        program = runtime.name if runtime else "The runtime"
        reason = (
            f"{program} needs {units.binary(share)} on {on}, and may take {units.binary(has or 0)}"
            f" of {name}."
        )
        return found(
            Outcome.FAIL,
            "accelerator-too-small",
            reason,
            "a smaller quantization or a shorter context needs less",
        )
    if any(term.name == "gathered" for term in terms):
        each = max(
            sum(term.high_bytes for term in terms if term.where == where)
            for where in {term.where for term in terms}
        )
        reason = (
            f"No accelerator holds it alone; shared out over {len(used)} by FSDP or ZeRO-3 it takes"
            f" up to {units.binary(each)} of each."
        )
        remedy = (
            "train with `accelerate launch` and FSDP: https://huggingface.co/docs/transformers/fsdp"
        )
        return found(Outcome.WARN, "accelerator-shared-out", reason, remedy)
    if needs.placement == "split":
        reason = f"{units.binary(share)} of it fit on {name}; the rest stays in RAM."
        return found(
            Outcome.WARN,
            "accelerator-partly",
            reason,
            "a smaller quantization or a shorter context may fit whole",
        )
    fits = f"It all fits on {name}: {units.binary(share)} of {units.binary(has)}."
    return found(Outcome.PASS, "accelerator-fits", fits + _doubt(machine))


def _unread(machine: Machine) -> Finding | None:
    """That of some accelerator with memory of its own it was not read how much; None where each
    says.
    """
    for device in machine.accelerators or ():
        if device.unified is True or (
            device.unified is False and device.memory_total_bytes is not None
        ):
            continue
        why = machine.why_unread(
            f"accelerators.{'unified' if device.memory_total_bytes is not None else 'memory_total_bytes'}"  # noqa: E501
        )
        reason = (
            f"Whether {device.name} would hold it could not be read: {why.reason}. Judged in RAM."
        )
        return Finding(
            check="accelerator",
            outcome=Outcome.WARN,
            code="accelerator-unread",
            reason=reason,
            remedy=why.remedy,
        )
    return None


def once_idle(chosen: Finding, held: Finding, pace: tuple[float, float] | None) -> Finding:
    """The accelerator's finding of what is judged, with that of the same accelerator once
    others have left it, and its pace there.
    """
    there = held.reason + (f" Idle it would give {units.speed(*pace)}." if pace else "")
    if chosen.outcome is Outcome.PASS:
        return held.replace(reason=f"{there} Judged in RAM.")
    return chosen.replace(reason=f"{chosen.reason} {there}", remedy=held.remedy)


def _metal(device: Accelerator, needs: Needs, machine: Machine) -> Finding | None:
    """Where Metal may not let the GPU use as much of the RAM; None where it surely does, or
    nothing can be said.
    """
    high, total = host_high(needs), machine.memory_total_bytes
    limits = metal_limits(device, machine)
    if high is None or limits is None or high <= limits[0]:
        return None
    least, most = limits
    if least == most:
        gives = f"lets its GPU use {units.binary(least)} of the RAM"
    else:
        gives = (
            f"lets its GPU use about {units.binary(least)} to {units.binary(most)} of the RAM by"
            " default"
        )
    # no setting gives it more than there is
    fits = total is None or high <= total
    return Finding(
        check="accelerator",
        outcome=Outcome.WARN,
        code="accelerator-partly",
        needs=high,
        has=least,
        short=high - least,
        unit="bytes",
        reason=(
            f"It takes up to {units.binary(high)}, and macOS {gives}; what is left over runs on the"
            " CPU, slower."
        ),
        remedy=(
            f"give the GPU more: `sudo sysctl iogpu.wired_limit_mb={-(-high // MIB)}`"
            if fits
            else "a smaller quantization, a shorter context or a smaller model needs less"
        ),
    )


def _unfit(
    rule: QuantizationRule, runtime: RuntimeSpec, device: Accelerator
) -> tuple[Outcome, str, str, str] | None:
    """Why a device runs no kernel of that quantization, or that it cannot be told; None where
    it does.
    """
    another = f"choose another quantization, or another GPU ({rule.source})"
    if rule.vendors and device.vendor == "unknown":
        makers = " and ".join(rule.vendors)
        reason = (
            f"{runtime.name} has kernels of that quantization for GPUs of {makers}, and the maker"
            f" of {device.name} is not known."
        )
        return (
            Outcome.UNKNOWN,
            "accelerator-unread",
            reason,
            "name the GPU's maker, or choose another quantization",
        )
    if rule.vendors and device.vendor not in rule.vendors:
        reason = f"{runtime.name} has no kernels of that quantization for {device.name}."
        return Outcome.FAIL, "accelerator-unsuitable", reason, another
    least = rule.compute_capability
    if least is None or device.vendor != "nvidia":
        return None
    has = device.compute_capability or capability_by_name(device.name)
    if has is None:
        reason = (
            f"{runtime.name} wants compute capability {least} for that quantization, and that of"
            f" {device.name} is not known."
        )
        return (
            Outcome.UNKNOWN,
            "accelerator-unread",
            reason,
            "look it up at https://developer.nvidia.com/cuda-gpus",
        )
    if _version(has) < _version(least):
        reason = (
            f"{runtime.name} wants compute capability {least} for that quantization, and"
            f" {device.name} has {has}."
        )
        return Outcome.FAIL, "accelerator-unsuitable", reason, another
    return None


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else 0 for part in text.split("."))


@lru_cache(maxsize=64)
def cpu(needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None) -> Finding:
    """Does a build of the runtime exist for this processor, and does it have the instruction sets
    that build uses?

    What is assumed of the processor gives a `warn`, whatever it says.
    """
    made = _cpu(
        needs, machine, runtime, "may have no" if machine.assumes("instruction_sets") else "has no"
    )
    used = needs.instruction_sets.get(machine.architecture or "") or needs.recommended.get(
        machine.architecture or ""
    )
    assumed = [fact for fact in ("architecture", "instruction_sets") if machine.assumes(fact)]
    if not used or made.code == "cpu-no-build":
        assumed = [fact for fact in assumed if fact == "architecture"]
    if not assumed:
        return made
    what = " and ".join(fact.replace("_", " ") for fact in assumed)
    reason = (
        f"The processor's {what} {'is' if assumed == ['architecture'] else 'are'} assumed:"
        f" {made.reason}"
    )
    return made.replace(
        outcome=Outcome.WARN, code="cpu-assumed", reason=reason, remedy=f"check the {what} of yours"
    )


def _cpu(needs: CpuNeed, machine: Machine, runtime: RuntimeSpec | None, lacks: str) -> Finding:
    own, sets = machine.architecture, machine.instruction_sets
    builder = runtime.name if runtime else "what the spec states"
    required = needs.instruction_sets.get(own or "", ())
    wanted = needs.recommended.get(own or "", ())

    def found(outcome: Outcome, code: str, reason: str, remedy: str | None = None) -> Finding:
        # of one that suits, what holds for it; else all there are
        suits = (own,) if own is not None and own in needs.architectures else needs.architectures
        shown = ", ".join((*suits, *required)) or None
        has = (
            None
            if own is None
            else (
                own
                if sets is None
                else ", ".join((own, *(name for name in (*required, *wanted) if name in sets)))
            )
        )
        return Finding(
            check="cpu",
            outcome=outcome,
            code=code,
            needs=shown,
            has=has,
            reason=reason,
            remedy=remedy,
        )

    if (
        own is not None
        and needs.architectures
        and own not in needs.architectures
        and not _installed(runtime, machine)
    ):
        if runtime is not None and runtime.elsewhere:
            # what is known of other systems is told with the runtime, of which the processor is a
            # part
            reason = (
                f"{builder} is judged for {' and '.join(needs.architectures)} alone, and this"
                f" processor is {own}."
            )
            return found(
                Outcome.FAIL, "cpu-no-build", reason, "choose another runtime with --runtime"
            )
        reason = f"{builder} has no build for {own}."
        return found(Outcome.FAIL, "cpu-no-build", reason, _other_runtime(runtime, machine))
    # where a system does not tell of one instruction set, that one alone is unread
    untold = {
        entry.fact.partition(".")[2]
        for entry in machine.unread
        if entry.fact.startswith("instruction_sets.")
    }
    missing = [
        name for name in required if sets is not None and name not in sets and name not in untold
    ]
    if missing:
        return found(
            Outcome.FAIL,
            "cpu-lacks-instructions",
            f"{builder}'s build would crash: this processor {lacks} {', '.join(missing)}.",
            "build it for this processor from source",
        )
    if own is None and (needs.architectures or needs.instruction_sets):
        why = machine.why_unread("architecture")
        return found(
            Outcome.UNKNOWN,
            "cpu-unread",
            f"The processor could not be read: {why.reason}.",
            why.remedy,
        )
    if sets is None and (required or wanted or machine.emulated_on is not None):
        why = machine.why_unread("instruction_sets")
        return found(
            Outcome.UNKNOWN,
            "cpu-unread",
            f"The processor's instruction sets could not be read: {why.reason}.",
            why.remedy,
        )
    if lost := [name for name in required if name in untold and name not in (sets or ())]:
        why = machine.why_unread(f"instruction_sets.{lost[0]}")
        return found(
            Outcome.UNKNOWN,
            "cpu-unread",
            f"Whether the processor has {', '.join(lost)} could not be read: {why.reason}.",
            why.remedy,
        )
    slow = [name for name in wanted if sets is not None and name not in sets and name not in untold]
    if slow:
        but = "but slowly" if lacks == "has no" else "perhaps slowly"
        return found(
            Outcome.WARN,
            "cpu-slow",
            f"It works, {but}: this processor {lacks} {', '.join(slow)}.",
            "prefer a small model",
        )
    return found(Outcome.PASS, "cpu-suits", f"{own or 'The processor'} suits {builder}.")


def _installed(runtime: RuntimeSpec | None, machine: Machine) -> bool:
    """Whether it was found on a system that it is judged on, in a build of whatever origin.

    No 32-bit one counts: it maps no file as large as most models' are.
    """
    if runtime is None or runtime.elsewhere or machine.architecture in _WIDE:
        return False
    if not any(entry.partition("-")[0] == machine.system for entry in runtime.systems):
        return False
    return any(present.id == runtime.id for present in machine.runtimes or ())


# 32-bit systems, and what the processor may also run
_WIDE = {"i686": "x86_64", "armv7l": "aarch64", "armv6l": None}


def _other_runtime(runtime: RuntimeSpec | None, machine: Machine) -> str:
    """What to do where a runtime has no build for the machine's system and processor."""
    wide = f"{machine.system}-{_WIDE.get(machine.architecture or '')}"
    if runtime is not None and wide in runtime.systems:
        return (
            f"install a 64-bit system, if the processor runs one: {wide} has a build; or choose"
            " another runtime with --runtime"
        )
    if runtime is not None and "gguf" not in runtime.formats and "text" in runtime.modalities:
        return "take a GGUF file of the same model: --runtime llama.cpp"
    return "choose another runtime with --runtime"


@lru_cache(maxsize=256)
def runtime_check(
    machine: Machine,
    runtime: RuntimeSpec | None,
    *,
    loads: str | None,
    mend: str | None = None,
    unfamiliar: str | None = None,
    architecture: str | None = None,
) -> Finding:
    """Is there a program that loads it? `loads` is None when `runtime` does, else the sentence why
    it does not, and `mend` what helps where another would not load it either.

    `unfamiliar` is an architecture that this catalogue does not know, so that whether the runtime
    does is not known either; `architecture` one whose first release is held against the version
    that is installed.
    """
    name = runtime.name if runtime else None

    def found(
        outcome: Outcome, code: str, has: str | None, reason: str, remedy: str | None = None
    ) -> Finding:
        return Finding(
            check="runtime",
            outcome=outcome,
            code=code,
            needs=name,
            has=has,
            reason=reason,
            remedy=remedy,
        )

    if runtime is None:
        return found(
            Outcome.PASS,
            "runtime-any",
            None,
            "The spec names no runtime: any that loads the files will do.",
        )
    if loads is not None:
        return found(
            Outcome.FAIL,
            "runtime-cannot-load",
            None,
            loads,
            mend or "leave --runtime out to take one that loads it",
        )
    system, processor = machine.system, machine.architecture
    exists = [
        entry for entry in runtime.systems if system is None or entry.partition("-")[0] == system
    ]
    place = f"{system}-{processor}"
    built = place in runtime.builds_from_source
    unpublished = not exists or (system and processor and place not in exists)
    if unpublished and not built and not _installed(runtime, machine):
        where = f"{system} on {processor}" if exists else system
        reason = f"{name} has no build for {where}."
        if runtime.elsewhere:
            reason = f"{name} is not judged for {where}: {runtime.elsewhere}."
        return found(
            Outcome.FAIL,
            "runtime-no-build",
            place if exists else system,
            reason,
            _other_runtime(runtime, machine),
        )
    if place in runtime.big_endian_systems:
        reason = (
            f"{name} on {processor} loads big-endian GGUF files alone, and published ones are"
            " little-endian."
        )
        types = "Q4_0, Q8_0, Q4_K, Q6_K, MXFP4 and unquantized weights"
        remedy = (
            "convert the file there with llama.cpp's gguf_convert_endian.py (docs/build-s390x.md),"
            f" which converts {types}; ask selfhost for the model by its name, for it does not read"
            " the converted file"
        )
        return found(Outcome.WARN, "runtime-other-byte-order", None, reason, remedy)
    if unfamiliar is not None:
        reason = (
            f"Whether {name} knows the architecture {unfamiliar} is not known: it may refuse the"
            " file."
        )
        return found(
            Outcome.WARN,
            "runtime-unfamiliar",
            None,
            reason,
            f"look for {unfamiliar} among the models that {name} supports",
        )
    get = f"to install it: {runtime.install}" if runtime.install else None
    unbuilt = ""
    if built:
        get = f"build it from source: {runtime.source_build}"
        unbuilt = f" No build of it is published for {system} on {processor}."
    if machine.runtimes is None:
        return found(
            Outcome.WARN,
            "runtime-not-searched",
            None,
            f"Whether {name} is installed was not read.{unbuilt}",
            get,
        )
    for present in machine.runtimes:
        if present.id == runtime.id:
            version = f" {present.version}" if present.version else ""
            has = f"{name}{version}"
            first = runtime.minimum_versions.get(architecture or "")
            if first and present.version and _is_older(present.version, first):
                reason = (
                    f"{has} is installed, too old for this model: the architecture {architecture}"
                    f" came with {first}."
                )
                return found(Outcome.WARN, "runtime-too-old", has, reason, _update(runtime, first))
            if (
                runtime.command_version
                and present.version
                and _is_older(present.version, runtime.command_version)
            ):
                reason = (
                    f"{has} is installed, and the command that loads this model right came with"
                    f" {runtime.command_version}."
                )
                return found(
                    Outcome.WARN,
                    "runtime-too-old",
                    has,
                    reason,
                    _update(runtime, runtime.command_version),
                )
            build = runtime.minimum_builds.get(architecture or "")
            if build and not _is_build_since(present.version, build):
                which = (
                    "which may be too old" if present.version else "in a build that is not known"
                )
                reason = (
                    f"{has} is installed, {which}: the architecture {architecture} was there by"
                    f" {build}, and may have come earlier."
                )
                return found(
                    Outcome.WARN, "runtime-unfamiliar", has, reason, _update(runtime, build)
                )
            return found(Outcome.PASS, "runtime-present", has, f"{has} is installed.")
    lacking = (
        f"{name} was not found on this machine."
        if machine.is_this_one
        else f"{name} is not in the record of {machine.name}."
    )
    return found(Outcome.WARN, "runtime-not-installed", None, f"{lacking}{unbuilt}", get)


def _is_older(installed: str, first: str) -> bool:
    """False as well where one of them is no version that can be compared; a development version
    counts as its release.
    """
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(installed).base_version) < Version(first)
    except InvalidVersion:
        return False


def _is_build_since(installed: str | None, first: str) -> bool:
    """Whether an installed version names a build, as b6641, 6641, 6641-1 or 0.0.6641 do, and it
    is `first` or later.
    """
    import re

    match = re.fullmatch(r"(?:b|0\.0\.)?(\d{3,6})(?:[-_]\d{1,3})?", installed or "")
    return match is not None and int(match[1]) >= int(first.removeprefix("b"))


def _update(runtime: RuntimeSpec, first: str) -> str:
    if runtime.distributions:
        return f"pip install --upgrade '{runtime.distributions[0]}>={first}'"
    return (
        f"install it anew: {runtime.install}"
        if runtime.install
        else f"update it to {first} or later"
    )


# a range whose ends are further apart than this is told by its slow end
WIDE_PACE = 2


def speed(
    pace: tuple[float, float] | None,
    workload: Workload,
    how: str,
    *,
    assumed: bool = False,
    measure: str | None = None,
) -> Finding | None:
    """The estimated decode pace (slow end, fast end) against what is wanted. None where tokens make
    no sense.

    `assumed`: it rests on facts that were taken from the machine's class. `measure`: what to type
    for the bandwidth that it rests on.
    """
    wanted = workload.min_tokens_per_second
    if wanted is None:
        return None

    def found(
        outcome: Outcome, code: str, what: Callable[[], str], remedy: str | None = None
    ) -> Finding:
        known = {
            "check": "speed",
            "outcome": outcome,
            "code": code,
            "needs": wanted,
            "has": None,
            "short": None,
        }
        if pace is not None:
            known["has"], known["short"] = (
                pace[0],
                max(0.0, wanted - pace[1]) if pace[1] < wanted else 0,
            )

        def words() -> tuple[str, str | None]:
            if pace is None:
                return what(), remedy
            guess = " That rests on what is assumed of the machine." if assumed else ""
            return f"It would run at {units.speed(*pace)}{what()}.{guess}", remedy

        return Finding.told({**known, "unit": "tokens_per_second", "reserve_bytes": None}, words)

    if pace is None:
        return found(Outcome.UNKNOWN, "speed-not-known", lambda: f"The speed is not known: {how}.")
    low, high = pace
    faster = "a smaller model is faster"
    if measure and high > WIDE_PACE * low:
        faster = f"{measure} tells it closer, in under a second; {faster}"
    if high < wanted:

        def too_slow() -> str:
            usual = (
                " (a 300-word answer in three minutes)"
                if wanted == DEFAULT_MIN_TOKENS_PER_SECOND
                else ""
            )
            return f", too slow for the wanted {wanted:g} tokens/s{usual}"

        return found(
            Outcome.FAIL,
            "speed-too-slow",
            too_slow,
            "a smaller model is faster; --min-speed 0 accepts any pace",
        )
    if low < wanted:
        return found(
            Outcome.WARN,
            "speed-slow",
            lambda: f": perhaps below the wanted {wanted:g} tokens/s",
            faster,
        )
    if low < READING_TOKENS_PER_SECOND:
        return found(
            Outcome.WARN,
            "speed-slow",
            lambda: (
                f", which may be slower than one reads ({READING_TOKENS_PER_SECOND:g} tokens/s)"
            ),
            faster,
        )
    if assumed:
        return found(
            Outcome.WARN, "speed-assumed", str, "measure it there: `selfhost check --measure`"
        )
    return found(Outcome.PASS, "speed-comfortable", str)
