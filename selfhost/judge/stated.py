"""What the user stated, read against the table of a model's ways.

`request_of` takes the typed names and returns a `Request` under the names of the table, or raises
an error with every fault: a program or a quantization that does not exist, an option that the
program does not have. If no program was named, the first program is taken that takes what was
stated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .. import needs as need
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import (
    COMPUTED_SETTINGS,
    ON_ONE_CARD,
    ONE_STREAM,
    RuntimeOption,
)
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import QUANTIZATIONS
from ..core.errors import WorkloadError
from ..core.records import Record, Unread
from ..core.units import nearest
from ..core.workload import Workload
from ..machine.gpus import UNKNOWN
from ..machine.record import Machine
from ..needs.case import Case, encoder_of, why_no_encoders
from ..needs.file_formats import case_of
from ..needs.picture_size import STATED_SIZES, why_not_resized
from .checks import OptionFault, error_of
from .devices import gpu_maker
from .record import NamedFiles
from .settings import why_no_effect
from .table import USUAL, ProgramRow, ProgramTable

# the options of files and programs, which mean nothing for a closed model
_NOT_OF_CLOSED: Mapping[str, object] = {
    "runtime": None,
    "format": None,
    "quantization": None,
    "kv_cache_type": None,
    "runtime_options": {},
}
# the shortest word that is taken for the beginning of a program's name, such as "llama"
_LEAST_LETTERS = 4
# the usual GGUF types of so many bits, the first the best; and those of models that were published
# in few bits
_USUAL_KINDS = ("Q{}_K_M", "Q{}_K", "Q{}_0")
_KINDS_OF_TYPES = (*_USUAL_KINDS, "MXFP{}")
# how many quantizations of a model an error lists
_NAMED = 8


class Request(Record):
    """What the user asked for, under the names of the table of a model.

    `program` is the requested program, else the one that was chosen for the model. None for a
    closed model, and for a model of which no program is known.
    """

    table: ProgramTable
    files: NamedFiles
    workload: Workload
    program: ProgramRow | None
    machine: Machine

    @property
    def spec(self) -> ModelSpec:
        """The model."""
        return self.table.spec

    @property
    def runtime(self) -> RuntimeSpec | None:
        """The program as the catalogue describes it; None for no program."""
        return None if self.program is None else self.program.runtime

    @property
    def formats(self) -> tuple[str, ...]:
        """The format that the user stated, else those of the named files; () for neither."""
        typed = self.workload.format
        return self.files.formats if typed is None else (typed,)

    @property
    def _taking_settings(self) -> Iterator[ProgramRow]:
        """The programs that load the formats and have the settings; none for training, which one
        program does. Where the program of the request does not serve so many sequences, they let
        requests wait.
        """
        if self.workload.task == "finetune":
            return
        users = self.workload.parallel
        must_queue = self.program is not None and not self.program.runtime.serves(users)
        for row in self.table.programs:
            runtime = row.runtime
            if must_queue and not runtime.batches.queues_requests:
                continue
            if runtime.loads_one_of(self.formats) and runtime.takes(self.workload):
                yield row

    @property
    def taking(self) -> Iterator[ProgramRow]:
        """The programs that take all that was stated."""
        for row in self._taking_settings:
            if row.takes(self.workload):
                yield row

    @property
    def taking_here(self) -> Iterator[ProgramRow]:
        """Those of these programs that may have a build for the machine."""
        for row in self.taking:
            if _may_be_built_for(self.machine, row):
                yield row

    @property
    def taking_ids(self) -> list[str]:
        """The ids of the programs that take all that was stated and may have a build for the
        machine, sorted: those without a told pace last.
        """
        runtimes = [row.runtime for row in self.taking_here]
        runtimes.sort(key=lambda runtime: (bool(runtime.pace.unknown), runtime.id))
        return [runtime.id for runtime in runtimes]

    @property
    def taking_elsewhere(self) -> list[str]:
        """The names of the programs that take all that was stated, where none of them has a build
        for the machine.
        """
        if next(self.taking_here, None) is not None:
            return []
        return [row.runtime.name for row in self.taking]

    def program_instead(self, usual: ProgramRow) -> ProgramRow:
        """The first program that takes what was stated, of those with a build for the machine.

        Where none of them has a build, and the usual program lacks the stated type, the usual
        program stays: its error says so, and which types it has. Where no program takes all, it is
        the first that runs some models in the stated type: its error says why it does not run this
        one.
        """
        for row in self.taking_here:
            return row
        quantization = self.workload.quantization
        elsewhere = next(self.taking, None)
        if elsewhere is None:
            for row in self._taking_settings:
                if row.runtime.rule_of(quantization) is not None:
                    return row
            return usual
        if quantization is not None and usual.type_called(quantization) is None:
            return usual
        return elsewhere


def request_of(
    table: ProgramTable,
    stated: Workload,
    files: NamedFiles,
    machine: Machine,
) -> Request:
    """Return the request with license, program and quantization under canonical names. Raises
    `WorkloadError` with everything that makes no sense.
    """
    typed = _TypedRequest(
        table=table,
        files=files,
        workload=stated,
        program=None,
        machine=machine,
        faults=[],
    )
    request = typed.read()
    if typed.faults:
        raise error_of(*typed.faults)
    return request


class _TypedRequest(Request):
    """A request as a user typed it, while it is read. `faults` is what made no sense so far."""

    faults: list[OptionFault]

    def read(self) -> Request:
        """The request under canonical names, without what made no sense."""
        self._check_values()
        changes: dict[str, object] = {"license": self._license()}
        if not self.spec.reads_context:
            changes["context_tokens"] = None
        program = self._program()
        # the other options may be right in a program that takes the type that was meant
        changes["quantization"] = self._quantization(program)
        if self.spec.closed:
            return self._in_program(None, {**changes, **_NOT_OF_CLOSED})
        is_chosen = self.workload.runtime is None
        request = self._in_program(program, changes)
        if program is None:
            if is_chosen:
                self._check_without_program(request)
            return request
        if is_chosen and not _suits(program, request.workload):
            program = request.program_instead(program)
            request = self._in_program(program, changes)
        if self.workload.task == "generate":
            self._check_options(request, program)
        return request

    def _in_program(
        self, program: ProgramRow | None, changes: Mapping[str, object]
    ) -> Request:
        """The request in the program, with these changes of what was typed."""
        workload = self.workload.with_known(**changes)
        if program is not None:
            workload = workload.with_known(runtime=program.runtime.id)
        return Request(
            table=self.table,
            files=self.files,
            workload=workload,
            program=program,
            machine=self.machine,
        )

    def _fault(self, option: str, kind: str, /, **figures: Any) -> None:
        """Note that an option makes no sense."""
        self.faults.append(OptionFault(option=option, kind=kind, figures=figures))

    def _check_values(self) -> None:
        """Note a format that does not exist, a recording where the model does not hear, a purpose
        where the model writes no text, and a prompt that leaves no room for an answer in the
        context.
        """
        spec = self.spec
        stated = self.workload
        formats = list(QUANTIZATIONS)
        typed = stated.format
        if typed is not None and typed not in formats:
            guess = nearest(typed, formats)
            self._fault(
                "format", "format-unknown", typed=typed, guess=guess, formats=formats
            )
        if stated.audio_seconds is not None and spec.modality != "speech":
            self._fault("audio_seconds", "no-recording", model=spec.name)
        if not spec.writes_text:
            if stated.purpose is not None:
                self._fault(
                    "purpose",
                    "purpose-no-text",
                    model=spec.name,
                    purpose=stated.purpose,
                )
            return
        prompt = stated.prompt_tokens
        context = stated.context_tokens
        if prompt and context and prompt >= context:
            self._fault(
                "prompt_tokens",
                "long-prompt",
                prompt=prompt,
                context=context,
                least=Workload(prompt_tokens=prompt).tokens_with_prompt,
            )

    def _license(self) -> str | None:
        """The SPDX expression of the license that was stated; None where none was."""
        if self.workload.license is None:
            return None
        from ..catalogue.openness import canonical_expression

        try:
            return canonical_expression(self.workload.license)
        except WorkloadError as error:
            [problem] = error.problems
            self._fault(
                "license",
                "license-unknown",
                why=problem.message,
                remedy=problem.remedy,
            )
            return None

    # -------------------------------------------------------------- the program

    def _program(self) -> ProgramRow | None:
        """The program that the user asked for, else the first one; None for a closed model, for a
        model of which no program is known, and for a name that is no program.
        """
        spec = self.spec
        if self.workload.runtime is not None:
            id = self.workload.runtime.strip().lower()
            if id in self.table.catalogue.runtime_ids():
                return self.table.row(id)
            self._note_unknown_program(id)
            return None
        if spec.closed or (spec.states_needs_only and not spec.runtimes):
            return None
        if self.workload.task == "finetune":
            return self.table.row(USUAL.training)
        formats = self.formats
        if not formats and spec.quantized is not None:
            formats = (spec.quantized.format,)
        return self.table.first(formats)

    def _note_unknown_program(self, typed: str) -> None:
        """Note that a name is no program, with what a tool of that name is, or with the program
        that was perhaps meant.
        """
        # a large module, needed only for a name that is no program
        from ..catalogue.searching import thing_called

        catalogue = self.table.catalogue
        modality = self.spec.modality
        ids = catalogue.runtime_ids()
        runtimes = [id for id in ids if modality in catalogue.runtime(id).modalities]
        thing = thing_called(typed, catalogue)
        if thing is None:
            guess = _meant_program(typed, (*USUAL.by_modality[modality], *ids))
        elif thing.name in ids:
            # a tool may be a part of a program: llama-server means llama.cpp
            guess = thing.name
        else:
            self._fault(
                "runtime",
                "runtime-other",
                typed=typed,
                # the answer says after a semicolon what to type in place of a model
                what=(thing.answer or "").partition(";")[0],
                runtimes=thing.runs_with or runtimes,
            )
            return
        self._fault(
            "runtime",
            "runtime-unknown",
            typed=typed,
            guess=guess,
            modality=modality,
            runtimes=runtimes,
        )

    # -------------------------------------------------------------- the quantization

    def _quantization(self, program: ProgramRow | None) -> str | None:
        """The canonical name of the quantization that the user typed; None where none was typed,
        and where no name matches.
        """
        typed = self.workload.quantization
        if typed is None:
            return None
        name = need.canonical_quantization(typed)
        if name is None and any(typed in files.bytes for files in self.spec.files):
            # a publisher's own mix has the name under which the spec lists it
            return typed
        if program is not None:
            name = program.runtime.quantization_called(typed) or name
        if name is None:
            self._note_unknown_type(typed)
        return name

    def _note_unknown_type(self, typed: str) -> None:
        """Note that a name is no quantization, with the one that was perhaps meant."""
        every = need.EVERY_QUANTIZATION
        # Unsloth's mixes may be typed without the prefix `UD-`
        guess = need.canonical_quantization(f"UD-{typed.strip()}")
        if guess is None:
            guess = _type_of_bits(typed, every) or nearest(typed, every)
        listed = [name for files in self.spec.files for name in files.bytes]
        if self.spec.writes_text:
            listed += ["Q8_0", "Q6_K", "Q4_K_M"]
        self._fault(
            "quantization",
            "quantization-unknown",
            typed=typed,
            guess=guess,
            model=self.spec.id,
            examples=list(dict.fromkeys(listed))[:_NAMED],
        )

    # -------------------------------------------------------------- the other options

    def _check_without_program(self, request: Request) -> None:
        """Note each option of a program, for a model of which no program is known."""
        self._check_cache_type(request)
        for option in ("quantization", "draft", "runtime_options"):
            if getattr(request.workload, option):
                self._fault(option, "no-runtime", model=self.spec.name)

    def _check_cache_type(self, request: Request) -> None:
        """Note a type of KV cache that the program does not keep, or that a spec which states one
        sum for all memory says nothing of.
        """
        type = request.workload.kv_cache_type
        runtime = request.runtime
        if type is None or type == "f16":
            return
        if runtime is not None and not runtime.keeps_cache_in(type):
            self._fault(
                "kv_cache_type",
                "cache-type",
                program=runtime.name,
                own="".join(f" or in {name}" for name in runtime.kv_cache_types),
                type=type,
                others=request.taking_ids,
            )
        elif self.spec.needs is not None:
            self._fault(
                "kv_cache_type", "cache-in-sum", model=self.spec.name, type=type
            )

    def _check_options(self, request: Request, program: ProgramRow) -> None:
        """Note each option that the program does not take."""
        runtime = program.runtime
        workload = request.workload
        for name, value in workload.runtime_options.items():
            if name in runtime.named_options:
                option = runtime.named_options[name]
                self._check_value(name, value, option, program, workload)
            else:
                self._note_unknown_option(name, program)
        contradicting = runtime.contradiction_in(workload.runtime_options)
        if contradicting is not None:
            first, second = contradicting
            self._fault(
                "runtime_options", "option-contradicts", first=first, second=second
            )
        if not runtime.serves(workload.parallel):
            self._fault(
                "parallel",
                "sequences",
                program=runtime.name,
                most=runtime.batches.most_sequences,
                wanted=workload.parallel,
                others=request.taking_ids,
            )
        self._check_cache_type(request)

    def _note_unknown_option(self, name: str, program: ProgramRow) -> None:
        """Note that the program has no such option, with the option to take in its place, or the
        programs that have it.
        """
        known = list(program.runtime.named_options)
        flag = USUAL.stated_by.get(name)
        guess = None
        others = []
        if flag is None:
            guess = USUAL.long_names.get(name)
            if guess not in known:
                guess = nearest(name, known)
            for row in self.table.programs:
                if name in row.runtime.named_options:
                    others.append(row.runtime.id)
        self._fault(
            "runtime_options",
            "option-unknown",
            name=name,
            program=program.runtime.name,
            known=known,
            guess=guess,
            flag=flag,
            others=sorted(others),
            none=not (flag or others or guess),
        )

    def _devices_instead(self, option: RuntimeOption, value: str) -> list[str]:
        """The names of the machine's devices of the backend that the value names, where the machine
        has devices of the backend, and lacks a named one; else [].
        """
        devices = option.devices_named(value)
        if not devices or self.machine.accelerators is None:
            return []
        backend = devices[0].backend
        makers = (*option.devices[backend], UNKNOWN)
        here = list[str]()
        for card in self.machine.cards:
            if card.vendor in makers:
                here.append(f"{backend}{len(here)}")
        if set(value.split(",")).issubset(here):
            return []
        return here

    def _check_value(
        self,
        name: str,
        value: str,
        option: RuntimeOption,
        program: ProgramRow,
        workload: Workload,
    ) -> None:
        """Note that the option does not take the value, or changes nothing for the model."""
        waiting = None
        if option.changes == "sequences_sampled":
            option = option.replace(least=workload.parallel)
            waiting = workload.parallel if workload.parallel > 1 else None
        devices = self._devices_instead(option, value)
        if devices or not option.takes(value):
            choices: Sequence[str] = option.listed
            guess = nearest(value, choices)
            if devices:
                choices = devices
                guess = ",".join(devices)
            self._fault(
                "runtime_options",
                "option-value",
                name=name,
                typed=value,
                switch=bool(option.to),
                choices=choices,
                several=bool(option.devices),
                guess=guess,
                listed=option.is_list,
                most_numbers=option.most_numbers,
                place=option.place,
                ends=option.is_number,
                users=waiting,
                least=f"{option.least:g}",
                most=f"{option.most:g}",
            )
            return
        maker = gpu_maker(self.machine, program.runtime)
        if not option.is_for(maker):
            self._fault(
                "runtime_options",
                "option-other-gpu",
                name=name,
                program=program.runtime.name,
                gpu=self.machine.cards[0].name,
            )
            return
        case = case_of(self.spec, program.runtime, workload)
        refused = _why_refused(case, option)
        if refused is not None:
            self._fault(
                "runtime_options", "option-refused", model=self.spec.name, why=refused
            )
            return
        why = _without_effect(case, option)
        if why:
            self._fault(
                "runtime_options",
                "option-without-effect",
                name=name,
                model=self.spec.name,
                **{why: True},
            )


def _meant_program(typed: str, ids: Sequence[str]) -> str | None:
    """The first program whose name begins with the word, else one of nearly that name; None where
    no name is near.
    """
    if len(typed) >= _LEAST_LETTERS:
        for id in ids:
            if id.startswith(typed):
                return id
    return nearest(typed, ids)


def _suits(usual: ProgramRow, wanted: Workload) -> bool:
    """Whether the usual program stays: where it takes what was stated, and where the stated type
    may mean one of its types, which the user is asked.
    """
    quantization = wanted.quantization
    if quantization is None or usual.type_called(quantization) is not None:
        return usual.runtime.takes(wanted)
    return _type_of_bits(quantization, usual.types) is not None


def _may_be_built_for(machine: Machine, program: ProgramRow) -> bool:
    """Whether the program has a build for the machine; True where its system is not known."""
    if machine.system is None or machine.architecture is None:
        return True
    return machine.platform in program.runtime.platforms.systems


def _type_of_bits(
    typed: str,
    names: Collection[str],
    kinds: Sequence[str] = _USUAL_KINDS,
) -> str | None:
    """The first type of these kinds with as many bits as `4bit`, `int8` or `Q5` says; None where no
    listed type fits.
    """
    bits = re.fullmatch(r"(?:int|q|iq)?([2-8])(?:-?bits?|b)?", typed.strip().lower())
    if bits is None:
        return None
    for kind in kinds:
        name = kind.format(bits[1])
        if name in names:
            return name
    return None


def _why_refused(case: Case, option: RuntimeOption) -> str | None:
    """The reason why the program refuses the option for the model, or why what the option asks for
    is not computed; None without one.
    """
    if option.changes in STATED_SIZES:
        return why_not_resized(case.spec)
    if option.changes not in COMPUTED_SETTINGS:
        return why_no_effect(case, option.changes)
    match option.changes:
        case "split_mode":
            return need.why_split_refused(case)
        case "experts_in_ram":
            return need.why_experts_unplaced(case)
    return None


def _without_effect(case: Case, option: RuntimeOption) -> str:
    """The key of the sentence why an option does nothing for the model, or nothing that is
    computed; empty where its effect is computed.
    """
    match option.changes:
        case "drafted_tokens" if case.workload.draft is None:
            return "undrafted"
        case "experts_in_ram" if case.spec.is_dense:
            return "dense"
        case "ngrams_in_ram" if not case.model.ngrams:
            return "no_ngrams"
        case "clip_frames" if case.spec.modality == "image":
            return "still"
        case "cache_streams" if option.to == ONE_STREAM:
            if any(part.kind == "compressed" for part in case.model.attention):
                return "compressed"
        case "gpu_shares" if case.settings.get("split_mode") == ON_ONE_CARD:
            return "one_gpu"
        case "projector" if not (case.encoders or why_no_encoders(case.spec)):
            return "blind"
        case "picture_tokens" if not case.encoders:
            return "blind"
        case "picture_tokens":
            encoder = encoder_of(case.spec)
            if encoder is None or not encoder.token_side:
                return "unmeasured"
    return ""


# ------------------------------------------------------------------ files that a program lacks


def format_refused(request: Request, program: ProgramRow) -> OptionFault:
    """The fault that the program does not load the model in the stated format."""
    figures = {
        "program": program.runtime.name,
        "model": request.spec.name,
        "format": program.format,
        "typed": request.workload.format,
        "others": request.taking_ids,
    }
    return OptionFault(option="format", kind="format-other", figures=figures)


def type_not_had(
    request: Request,
    program: ProgramRow,
    quantization: str,
) -> OptionFault:
    """The fault that the size of the quantization in the program's files cannot be told, with the
    type that was perhaps meant, or the programs that have such files and take the other settings.
    """
    why = None
    size = program.type_row(quantization).size
    if program.runtime.rule_of(quantization) and isinstance(size, Unread):
        why = size.reason
    guess = _type_of_bits(quantization, program.types, _KINDS_OF_TYPES)
    figures = {
        "model": request.spec.name,
        "quantization": quantization,
        "program": program.runtime.name,
        "why": why,
        "guess": guess,
        "listed": program.types,
        "others": request.taking_ids,
        "elsewhere": request.taking_elsewhere,
        "system": request.machine.platform,
    }
    kind = "quantization-guess" if guess else "quantization-not-had"
    return OptionFault(option="quantization", kind=kind, figures=figures)
