"""The program and the quantization of a question, under the names that the catalogue uses.

`named_as_listed` takes the typed names and returns a `Request`, or raises an error with every
fault: a program or a quantization that does not exist, an option that the program does not have. If
no program was named, the usual program for the model is taken, or the first other program that
takes the quantization, the KV cache type and the options that were stated.
"""

from __future__ import annotations

import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import (
    ON_ONE_CARD,
    ONE_STREAM,
    QuantizationRule,
    RuntimeOption,
)
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import PACKED, QUANTIZATION_NAMES, QUANTIZATIONS
from ..core.errors import WorkloadError
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_record
from ..core.units import nearest
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.case import Case, encoder_of, why_no_encoders
from ..needs.file_formats import case_of
from ..needs.records import Term
from .checks import OptionFault, error_of
from .record import NamedFiles

_FLOAT8 = {"fp8", "float8_e4m3", "float8_e4m3_128x128"}
# the KV cache type that every program supports
_USUAL_CACHE = "f16"
# the options of files and programs, which mean nothing for a closed model
_NOT_OF_CLOSED: dict[str, Any] = {
    "runtime": None,
    "format": None,
    "quantization": None,
    "kv_cache_type": None,
    "runtime_options": {},
}
# the shortest word that is taken for the beginning of a program's name, such as "llama"
_LEAST_LETTERS = 4
# how many quantizations of a model an error lists
_NAMED = 8


class UsualPrograms(Stated):
    """`specs/common/usual_programs.toml`: the ids of the programs that are taken where none is
    named, the first that serves.

    - `by_modality`: for each kind of model. `embedding`: for published weights that embed text.
    - `training`: for fine-tuning. `gguf`: for GGUF files of any model.
    - `library`: for a tag of its library.
    - `packed`: for a quantization that the usual program does not load, and for several users.
    - `stated_by`: for options of programs, the option of selfhost that states the same.
    """

    by_modality: Mapping[str, tuple[str, ...]]
    embedding: str
    training: str
    gguf: str
    library: str
    packed: tuple[str, ...]
    stated_by: Mapping[str, str]


USUAL = shipped_record(UsualPrograms, "usual_programs")


class Request(Record):
    """A model, the files that the user named, and the workload under the catalogue's names.

    `runtime` is the requested runtime, else the one that was chosen for the model. None for a
    closed model, and for a model of which no runtime is known.
    """

    spec: ModelSpec
    files: NamedFiles
    workload: Workload
    runtime: RuntimeSpec | None


def named_as_listed(
    spec: ModelSpec,
    stated: Workload,
    files: NamedFiles,
    catalogue: Catalogue,
    machine: Machine,
) -> Request:
    """Return the request with license, runtime and quantization under canonical names. Where no
    runtime was named, the request has the usual one, or the first that takes what was stated.

    Raises `WorkloadError` with everything that makes no sense.
    """
    faults = list(_faulty_values(spec, stated))
    changes = dict[str, Any]()
    if not spec.reads_context:
        changes["context_tokens"] = None
    if stated.license is not None:
        from ..catalogue.openness import canonical_expression

        try:
            changes["license"] = canonical_expression(stated.license)
        except WorkloadError as error:
            [problem] = error.problems
            figures = {"why": problem.message, "remedy": problem.remedy}
            faults.append(OptionFault("license", "license-unknown", figures))
    runtime = _runtime_for(spec, stated, files, catalogue)
    is_runtime_known = not isinstance(runtime, OptionFault)
    if isinstance(runtime, OptionFault):
        faults.append(runtime)
        runtime = None
    if stated.quantization is not None:
        quantization = _listed_quantization(spec, stated.quantization, runtime)
        if isinstance(quantization, OptionFault):
            faults.append(quantization)
            # the other options may be right in a program that takes the type that was meant
            changes["quantization"] = None
        else:
            changes["quantization"] = quantization
    if runtime is not None and stated.runtime is None:
        # the quantization has its canonical name now, so others can be asked whether they take it
        wanted = stated.replace(**changes)
        runtime = _first_that_takes(wanted, spec, files, catalogue, machine, runtime)
    if spec.closed:
        runtime = None
        changes |= _NOT_OF_CLOSED
    elif runtime is not None:
        changes["runtime"] = runtime.id
    workload = stated.replace(**changes)
    if is_runtime_known:
        faults += _options_refused(spec, workload, runtime, catalogue)
    if faults:
        raise error_of(*faults)
    return Request(spec=spec, files=files, workload=workload, runtime=runtime)


def _faulty_values(spec: ModelSpec, stated: Workload) -> Iterator[OptionFault]:
    """Yield a fault for a format that does not exist, for a recording where the model does not
    hear, for a purpose where the model writes no text, and for a prompt that leaves no room for an
    answer in the context.
    """
    formats = list(QUANTIZATIONS)
    typed = stated.format
    if typed is not None and typed not in formats:
        figures = {"typed": typed, "guess": nearest(typed, formats), "formats": formats}
        yield OptionFault("format", "format-unknown", figures)
    if stated.audio_seconds is not None and spec.modality != "speech":
        yield OptionFault("audio_seconds", "no-recording", {"model": spec.name})
    if not spec.writes_text:
        if stated.purpose is not None:
            figures = {"model": spec.name, "purpose": stated.purpose}
            yield OptionFault("purpose", "purpose-no-text", figures)
        return
    prompt = stated.prompt_tokens
    context = stated.context_tokens
    if prompt and context and prompt >= context:
        least = Workload(prompt_tokens=prompt).tokens_with_prompt
        tokens = {"prompt": prompt, "context": context, "least": least}
        yield OptionFault("prompt_tokens", "long-prompt", tokens)


# ------------------------------------------------------------------ the program


def _runtime_for(
    spec: ModelSpec,
    workload: Workload,
    files: NamedFiles,
    catalogue: Catalogue,
) -> RuntimeSpec | OptionFault | None:
    """The runtime that the user asked for, else the usual one; None for a closed model and for a
    model of which no runtime is known. An `OptionFault` where the name is no runtime.
    """
    if workload.runtime is not None:
        return _named_runtime(spec, workload.runtime, catalogue)
    if spec.closed:
        return None
    if spec.states_needs_only and not spec.runtimes:
        return None
    if workload.task == "finetune":
        return catalogue.runtime(USUAL.training)
    formats = _stated_formats(workload, files)
    if not formats and spec.quantized is not None:
        formats = (spec.quantized.format,)
    return _first_that_loads(spec, catalogue, formats)


def _stated_formats(workload: Workload, files: NamedFiles) -> tuple[str, ...]:
    """The format that the user stated, else those of the named files; () for neither."""
    return files.formats if workload.format is None else (workload.format,)


def _named_runtime(
    spec: ModelSpec,
    typed: str,
    catalogue: Catalogue,
) -> RuntimeSpec | OptionFault:
    """The runtime of the typed name. An `OptionFault` for another name, with what a tool of that
    name is, or with the runtime that was perhaps meant.
    """
    wanted = typed.strip().lower()
    ids = catalogue.runtime_ids()
    if wanted in ids:
        return catalogue.runtime(wanted)
    # a large module, needed only for a name that is no runtime
    from ..catalogue.searching import thing_called

    runtimes = [id for id in ids if spec.modality in catalogue.runtime(id).modalities]
    thing = thing_called(wanted, catalogue)
    if thing is not None and thing.name not in ids:
        # the answer says after a semicolon what to type in place of a model
        what = (thing.answer or "").partition(";")[0]
        instead = thing.runs_with or runtimes
        figures = {"typed": typed, "what": what, "runtimes": instead}
        return OptionFault("runtime", "runtime-other", figures)
    # a tool may be a part of a runtime: llama-server means llama.cpp
    guess = thing.name if thing is not None else _meant_runtime(wanted, spec, ids)
    return OptionFault(
        "runtime",
        "runtime-unknown",
        {
            "typed": typed,
            "guess": guess,
            "modality": spec.modality,
            "runtimes": runtimes,
        },
    )


def _meant_runtime(
    wanted: str,
    spec: ModelSpec,
    ids: Sequence[str],
) -> str | None:
    """The runtime that the word most likely means: one whose name begins with the word, a usual one
    of the modality first; else one of nearly that name. None where no name is near.
    """
    if len(wanted) >= _LEAST_LETTERS:
        for id in (*USUAL.by_modality[spec.modality], *ids):
            if id.startswith(wanted):
                return id
    return nearest(wanted, ids)


def _first_that_loads(
    spec: ModelSpec,
    catalogue: Catalogue,
    formats: tuple[str, ...],
) -> RuntimeSpec:
    """The first runtime that loads the model in one of the formats, or in any format where none is
    given.

    Else the first usual runtime that loads the model, else the first usual one.
    """
    usual = dict.fromkeys((*spec.runtimes, *_usual_runtimes(spec, catalogue)))
    tried = list(usual)
    if formats:
        # a runtime that is not usual may be the only one for files of that format
        others = dict.fromkeys((*USUAL.packed, *catalogue.runtime_ids()))
        tried += [name for name in others if name not in usual]
    in_other_format: RuntimeSpec | None = None
    for runtime in runtimes_that_load(spec, tried, catalogue):
        if loads_one_of(formats, runtime):
            return runtime
        if in_other_format is None and runtime.id in usual:
            in_other_format = runtime
    return in_other_format or catalogue.runtime(tried[0])


def _usual_runtimes(spec: ModelSpec, catalogue: Catalogue) -> tuple[str, ...]:
    """The usual runtimes of the modality. For a model that embeds text, and whose published weights
    the first of these would have to convert, the runtime that loads them as published comes before.
    """
    usual = USUAL.by_modality[spec.modality]
    if not spec.has_use("embedding"):
        return usual
    if spec.library_tag:
        return usual
    if any(files.format == "gguf" for files in spec.files):
        return usual
    _, type = need.default_format_and_quantization(spec, catalogue.runtime(usual[0]))
    if type not in QUANTIZATION_NAMES.loaded_as:
        return usual
    # nobody publishes the converted file, and it is no smaller than the published weights
    return (USUAL.embedding, *usual)


def _first_that_takes(
    workload: Workload,
    spec: ModelSpec,
    files: NamedFiles,
    catalogue: Catalogue,
    machine: Machine,
    usual: RuntimeSpec,
) -> RuntimeSpec:
    """The usual runtime where it takes the quantization, the KV cache, the options and the number
    of sequences that were stated.

    Else the first runtime that takes them all, one with a build for the machine before the others.
    Where the usual runtime does not serve that many sequences, the other must queue requests. The
    usual runtime, too, where no runtime takes them all.
    """
    if workload.task == "finetune":
        return usual
    quantization = workload.quantization
    if quantization is None or _name_in_files(spec, usual, quantization):
        if takes_settings(workload, usual):
            return usual
    elif _type_of_bits(quantization, need.quantizations_of(spec, usual)):
        # `4bit` may mean a type of the usual runtime: the user is asked
        return usual
    formats = _stated_formats(workload, files)
    names = dict.fromkeys(
        (*USUAL.by_modality[spec.modality], *USUAL.packed, *catalogue.runtime_ids())
    )
    is_served = _serves(workload.parallel, usual)
    taking = []
    for runtime in runtimes_that_load(spec, names, catalogue):
        if not loads_one_of(formats, runtime):
            continue
        if not takes_settings(workload, runtime):
            continue
        if not is_served and not runtime.batches.queues_requests:
            continue
        if quantization is None or _is_type_of(spec, runtime, quantization):
            taking.append(runtime)
    for runtime in taking:
        if machine.platform in runtime.platforms.systems:
            return runtime
    return taking[0] if taking else usual


def _serves(sequences: int, runtime: RuntimeSpec) -> bool:
    """Whether the runtime serves that many sequences at once."""
    most = runtime.batches.most_sequences
    return most is None or sequences <= most


def takes_settings(workload: Workload, runtime: RuntimeSpec) -> bool:
    """Whether the runtime has the KV cache type, all options and the sequences of a workload."""
    if not _serves(workload.parallel, runtime):
        return False
    if not runtime.keeps_cache_in(workload.kv_cache_type or _USUAL_CACHE):
        return False
    return workload.runtime_options.keys() <= runtime.named_options.keys()


def _is_type_of(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    quantization: str,
) -> bool:
    """Whether the quantization is one for the runtime: listed for a model of components, else by a
    rule of the runtime, its default for the model, or in files of a known size.

    A rule is enough even where the model cannot be quantized by the rule: the error then names the
    runtime that has the rule.
    """
    if spec.components:
        return quantization in need.quantizations_of(spec, runtime)
    if quantization in PACKED:
        return runtime.rule_of(quantization) is not None
    _, default = need.default_format_and_quantization(spec, runtime)
    return quantization == default or _has_sized_files(spec, runtime, quantization)


def programs_that(
    does: Callable[[RuntimeSpec], bool],
    spec: ModelSpec,
    catalogue: Catalogue,
) -> str:
    """The option to type for the runtimes that load the model and satisfy `does`; empty where no
    runtime does.
    """
    loading = runtimes_that_load(spec, catalogue.runtime_ids(), catalogue)
    fitting = [runtime.id for runtime in loading if does(runtime)]
    return f"use --runtime {' or '.join(fitting)}" if fitting else ""


def runtimes_that_load(
    spec: ModelSpec,
    ids: Iterable[str],
    catalogue: Catalogue,
) -> Iterator[RuntimeSpec]:
    """Yield the runtimes of these ids that load the model."""
    for id in ids:
        runtime = catalogue.runtime(id)
        if need.why_not_loaded(spec, runtime) is None:
            yield runtime


def loads_one_of(formats: Collection[str], runtime: RuntimeSpec) -> bool:
    """Whether the runtime loads files in one of the formats, or no formats are named."""
    return not formats or not set(formats).isdisjoint(runtime.formats)


# ------------------------------------------------------------------ the quantization


def _listed_quantization(
    spec: ModelSpec,
    typed: str,
    runtime: RuntimeSpec | None,
) -> str | OptionFault:
    """The canonical name of the quantization that the user typed. An `OptionFault` where no name
    matches.
    """
    name = need.canonical_quantization(typed)
    if name is None and any(typed in files.bytes for files in spec.files):
        # a publisher's own mix has the name under which the spec lists it
        return typed
    if runtime is not None:
        name = runtime.quantization_called(typed) or name
    if name is not None:
        return name
    every = need.EVERY_QUANTIZATION
    # Unsloth's mixes may be typed without the prefix `UD-`
    guess = need.canonical_quantization(f"UD-{typed.strip()}")
    if guess is None:
        guess = _type_of_bits(typed, every) or nearest(typed, every)
    listed = [name for files in spec.files for name in files.bytes]
    if spec.writes_text:
        listed += ["Q8_0", "Q6_K", "Q4_K_M"]
    examples = list(dict.fromkeys(listed))[:_NAMED]
    return OptionFault(
        "quantization",
        "quantization-unknown",
        {"typed": typed, "guess": guess, "model": spec.id, "examples": examples},
    )


def format_refused(
    request: Request,
    runtime: RuntimeSpec,
    format: str,
    catalogue: Catalogue,
) -> OptionFault:
    """The fault that the runtime loads the model in `format`, and not in the stated one."""
    spec = request.spec
    stated = request.workload.format

    def loads_it(other: RuntimeSpec) -> bool:
        return need.default_format_and_quantization(spec, other)[0] == stated

    others = ""
    if request.workload.task == "generate":
        others = programs_that(loads_it, spec, catalogue)
    return OptionFault(
        "format",
        "format-other",
        {
            "program": runtime.name,
            "model": spec.name,
            "format": format,
            "typed": stated,
            "others": others,
        },
    )


def quantization_in_files(
    request: Request,
    runtime: RuntimeSpec,
    quantization: str,
    catalogue: Catalogue,
) -> str:
    """The name of the quantization in the runtime's files. Raises `WorkloadError` where its size
    cannot be told.
    """
    name = _name_in_files(request.spec, runtime, quantization)
    if name is None:
        raise error_of(_not_in_files(request, runtime, quantization, catalogue))
    return name


def _not_in_files(
    request: Request,
    runtime: RuntimeSpec,
    quantization: str,
    catalogue: Catalogue,
) -> OptionFault:
    """The fault that the size of the quantization in the runtime's files cannot be told, with the
    type that was perhaps meant, or the runtimes that have such files and take the other settings.
    """
    spec = request.spec
    format, _ = need.default_format_and_quantization(spec, runtime)
    listed = need.quantizations_of(spec, runtime)
    guess = _type_of_bits(quantization, listed)
    others = []
    for other in runtimes_that_load(spec, USUAL.packed, catalogue):
        if other.id == runtime.id or not takes_settings(request.workload, other):
            continue
        name = other.quantization_called(quantization) or quantization
        if _has_sized_files(spec, other, name):
            others.append(other.id)
    why = None
    unsized = need.weights_files(spec, format, quantization)
    if runtime.rule_of(quantization) and isinstance(unsized, Unread):
        why = unsized.reason
    return OptionFault(
        "quantization",
        "quantization-guess" if guess else "quantization-not-had",
        {
            "model": spec.name,
            "quantization": quantization,
            "program": runtime.name,
            "why": why,
            "guess": guess,
            "listed": listed,
            "others": others,
        },
    )


def _name_in_files(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    quantization: str,
) -> str | None:
    """The name of the quantization in the runtime's files; None where its size cannot be told."""
    _, usual = need.default_format_and_quantization(spec, runtime)
    if {quantization, usual} <= _FLOAT8:
        return usual
    # the default may be asked for by name even where its size is unknown
    listed = need.quantizations_of(spec, runtime)
    by_lower_name = {name.lower(): name for name in reversed((*listed, usual))}
    for name in (quantization, *QUANTIZATION_NAMES.loaded_as.get(quantization, ())):
        if name.lower() in by_lower_name:
            return by_lower_name[name.lower()]
        if _has_sized_files(spec, runtime, name):
            return name
    return None


def _has_sized_files(
    spec: ModelSpec,
    runtime: RuntimeSpec,
    name: str,
) -> bool:
    """Whether the runtime gets the files of the type, downloaded or made, and their size is
    known.
    """
    format, _ = need.default_format_and_quantization(spec, runtime)
    rule = runtime.rule_of(name)
    if format not in ("gguf", "mlx") and rule is None:
        return False
    # a model in listed parts: the command downloads each part by its name
    if spec.id in runtime.parts:
        return False
    if not _can_apply(spec, rule):
        return False
    return isinstance(need.weights_files(spec, format, name), Term)


def _can_apply(spec: ModelSpec, rule: QuantizationRule | None) -> bool:
    """Whether a runtime can have the weights in the type of its rule. False only where the runtime
    would have to quantize weights at load that are quantized already. `rule` is None for the type
    of published files.
    """
    if rule is None or not rule.at_load:
        return True
    # the size of components says whether they are quantized
    if spec.components:
        return True
    return need.is_in_plain_type(spec.architecture)


def _type_of_bits(typed: str, names: Collection[str]) -> str | None:
    """The usual GGUF type with as many bits as `4bit`, `int8` or `Q5` says; None where no listed
    type fits.
    """
    bits = re.fullmatch(r"(?:int|q|iq)?([2-8])(?:-?bits?|b)?", typed.strip().lower())
    if bits is None:
        return None
    for rest in ("K_M", "K", "0"):
        name = f"Q{bits[1]}_{rest}"
        if name in names:
            return name
    return None


# ------------------------------------------------------------------ what a program cannot do


def _options_refused(
    spec: ModelSpec,
    workload: Workload,
    runtime: RuntimeSpec | None,
    catalogue: Catalogue,
) -> Iterator[OptionFault]:
    """Yield a fault for each option that means nothing to the model or its runtime."""
    if spec.closed:
        return
    if runtime is None:
        yield from _options_without_runtime(spec, workload)
    elif workload.task == "generate":
        limits = _Limits(
            spec=spec, runtime=runtime, workload=workload, catalogue=catalogue
        )
        yield from limits.exceeded()


def _options_without_runtime(
    spec: ModelSpec, workload: Workload
) -> Iterator[OptionFault]:
    """Yield a fault for each option of a runtime, for a model of which no runtime is known."""
    model = {"model": spec.name}
    if workload.kv_cache_type not in (None, _USUAL_CACHE):
        yield from _cache_in_a_sum(spec, workload)
    for option in ("quantization", "draft", "runtime_options"):
        if getattr(workload, option):
            yield OptionFault(option, "no-runtime", model)


def _cache_in_a_sum(spec: ModelSpec, workload: Workload) -> Iterator[OptionFault]:
    """Yield the fault that a spec which states one sum for all memory says nothing of the KV cache;
    nothing for other specs.
    """
    if spec.needs is not None:
        figures = {"model": spec.name, "type": workload.kv_cache_type}
        yield OptionFault("kv_cache_type", "cache-in-sum", figures)


class _Limits(Record):
    """The limits of a runtime with a model, and the workload that is checked against them."""

    spec: ModelSpec
    runtime: RuntimeSpec
    workload: Workload
    catalogue: Catalogue

    def exceeded(self) -> Iterator[OptionFault]:
        """Yield a fault for each part of the workload beyond the runtime's limits."""
        for name, value in self.workload.runtime_options.items():
            refused = self._option_refused(name, value)
            if refused is not None:
                yield refused
        most = self.runtime.batches.most_sequences
        if most and self.workload.parallel > most:
            yield self._too_many_sequences(most)
        type = self.workload.kv_cache_type
        if type is None or type == _USUAL_CACHE:
            return
        if self.runtime.keeps_cache_in(type):
            yield from _cache_in_a_sum(self.spec, self.workload)
        else:
            yield self._cache_type_refused(type)

    def _programs_that(self, does: Callable[[RuntimeSpec], bool]) -> str:
        """The option to type for the programs that satisfy `does` and take the rest of what was
        stated; empty where no program does.
        """

        def takes_all(other: RuntimeSpec) -> bool:
            return does(other) and self._takes_the_rest(other)

        return programs_that(takes_all, self.spec, self.catalogue)

    def _takes_the_rest(self, other: RuntimeSpec) -> bool:
        """Whether another runtime takes the quantization, the KV cache, and the options that this
        runtime has.
        """
        if not other.keeps_cache_in(self.workload.kv_cache_type or _USUAL_CACHE):
            return False
        quantization = self.workload.quantization
        if quantization and not _is_type_of(self.spec, other, quantization):
            return False
        options = self.workload.runtime_options.keys()
        kept = options & self.runtime.named_options.keys()
        return kept <= other.named_options.keys()

    def _too_many_sequences(self, most: int) -> OptionFault:
        return OptionFault(
            "parallel",
            "sequences",
            {
                "program": self.runtime.name,
                "most": most,
                "wanted": self.workload.parallel,
                "others": self._programs_that(
                    lambda other: other.batches.queues_requests
                ),
            },
        )

    def _cache_type_refused(self, type: str) -> OptionFault:
        return OptionFault(
            "kv_cache_type",
            "cache-type",
            {
                "program": self.runtime.name,
                "own": "".join(
                    f" or in {name}" for name in self.runtime.kv_cache_types
                ),
                "type": type,
                "others": self._programs_that(lambda other: other.keeps_cache_in(type)),
            },
        )

    def _option_refused(self, name: str, value: str) -> OptionFault | None:
        """The fault that the runtime does not take the option with that value; None where it
        does.
        """
        if name not in self.runtime.named_options:
            return self._option_unknown(name)
        option = self.runtime.named_options[name]
        if option.changes == "sequences_sampled":
            option = option.replace(least=self.workload.parallel)
        if not option.takes(value):
            return _option_value_refused(name, option, value)
        case = case_of(self.spec, self.runtime, self.workload)
        refused = need.why_split_refused(case)
        if refused is not None and option.changes == "split_mode":
            figures = {"model": self.spec.name, "why": refused}
            return OptionFault("runtime_options", "option-refused", figures)
        why = _without_effect(case, option)
        if not why:
            return None
        return OptionFault(
            "runtime_options",
            "option-without-effect",
            {"name": name, "model": self.spec.name, why: True},
        )

    def _option_unknown(self, name: str) -> OptionFault:
        known = list(self.runtime.named_options)
        flag = USUAL.stated_by.get(name)
        guess = None
        others = ""
        if flag is None:
            guess = nearest(name, known)
            others = programs_that(
                lambda other: name in other.named_options, self.spec, self.catalogue
            )
        return OptionFault(
            "runtime_options",
            "option-unknown",
            {
                "name": name,
                "program": self.runtime.name,
                "known": known,
                "guess": guess,
                "flag": flag,
                "others": others,
                "none": not (flag or others or guess),
            },
        )


def _option_value_refused(
    name: str,
    option: RuntimeOption,
    value: str,
) -> OptionFault:
    """The fault that the option does not take `value`, with the values that it takes."""
    return OptionFault(
        "runtime_options",
        "option-value",
        {
            "name": name,
            "typed": value,
            "switch": bool(option.to),
            "choices": option.choices,
            "guess": nearest(value, option.choices),
            "listed": option.is_list,
            "most_numbers": option.most_numbers,
            "ends": option.is_number,
            "least": f"{option.least:g}",
            "most": f"{option.most:g}",
        },
    )


def _without_effect(case: Case, option: RuntimeOption) -> str:
    """The key of the sentence why an option does nothing for the model, or nothing that is
    computed; empty where its effect is computed.
    """
    match option.changes:
        case "cpu_expert_layers" if case.spec.is_dense:
            return "dense"
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
