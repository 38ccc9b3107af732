"""`check` and `can_run`: the catalogue, the needs and the machine joined. The real machine is
read only where none is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from functools import lru_cache, partial
from itertools import islice

from . import needs as need
from .advice.alternatives import alternatives, open_alternatives, room
from .advice.api_route import meets, usable_offers
from .advice.commands import about_files
from .advice.ranking import Standings, has_accelerator, list_key, reasons
from .advice.steps import steps
from .catalogue.index import Catalogue, spec_in
from .catalogue.names import is_path, resolve
from .catalogue.offers import Offer, at_context, cheapest_first, offers_of, snapshot_day
from .catalogue.quality import loss_by_size, quality_for
from .catalogue.spec import SIZE_OF, ModelSpec, RuntimeSpec
from .core import units
from .core.errors import MAX_PROBLEMS, Problem, SpecError, WorkloadError
from .core.records import Record
from .core.workload import (
    FLAGS,
    PRICE_SOURCES,
    Workload,
)
from .machine.reader import Machine
from .verdict.present import Here, begun, elsewhere, unseen
from .verdict.question import Asker, architectures, ask, beyond
from .verdict.record import (
    Answer,
    Judged,
    Outcome,
    Question,
    Route,
    Size,
    Verdict,
    considered,
    judge,
)
from .verdict.speed import advice

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .advice.compiled import Questions

PathLike = str | os.PathLike[str]
SPECS_VARIABLE = "SELFHOST_SPECS"


def check(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    machine: Machine | None = None,
    specs: Sequence[PathLike] = (),
    prices: str = "snapshot",
) -> Verdict:
    """Can this machine download and run the model, or is an API the practical route?

    `model` is a name as people type it, a path to a local model file, or a ModelSpec. `machine`
    defaults to this one, read as `Machine.read` does: without a socket or a write, and without a
    child process but one that asks an NVIDIA driver, where there is one. Given one, nothing of this
    machine is read but spec files and the date, on which prices end. `specs` are folders of own
    spec files, which go before those that the environment variable SELFHOST_SPECS names. `prices`:
    "genai-prices" takes the figures of that package, where it is newer than the snapshot; it must
    be installed (the extra `prices`), and nothing is fetched.

    Raises `UnknownModelError`, `SpecError`, `WorkloadError`; each says what to type instead.
    """
    if prices not in PRICE_SOURCES:
        raise WorkloadError(
            [
                Problem(
                    file="workload",
                    key="prices",
                    message=f"{prices!r} is not one of {', '.join(PRICE_SOURCES)}",
                )
            ]
        )
    return check_with(*_given(model, workload, machine, specs), prices=prices)


def can_run(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None = None,
    *,
    machine: Machine | None = None,
    specs: Sequence[PathLike] = (),
) -> bool:
    """True when the route is `local`. False when it is not, or when it cannot be told: `check`
    says which. Raises as `check`.
    """
    catalogue, model, workload, machine = _given(model, workload, machine, specs)
    understood = _understood(catalogue, model, workload)
    return (
        judge(_question(catalogue, understood, machine), machine).route(offered=False)
        is Route.LOCAL
    )


def _given(
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload | None,
    machine: Machine | None,
    specs: Sequence[PathLike],
) -> tuple[Catalogue, str | os.PathLike[str] | ModelSpec, Workload, Machine]:
    """The arguments with their defaults; `TypeError` for one that is no such thing, which would
    else fail far from here.
    """
    for name, value, kinds in (
        ("model", model, (str, os.PathLike, ModelSpec)),
        ("workload", workload, (Workload, type(None))),
        ("machine", machine, (Machine, type(None))),
        ("specs", specs, (list, tuple)),
    ):
        if not isinstance(value, kinds):
            wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
            raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")
    return open_catalogue(specs), model, workload or Workload(), machine or Machine.read()


def open_catalogue(specs: Sequence[PathLike] = ()) -> Catalogue:
    """The shipped specs and the user's own folders. Without own folders it is opened once per
    process.
    """
    # the later one wins
    folders = [folder for folder in os.environ.get(SPECS_VARIABLE, "").split(os.pathsep) if folder]
    folders += [os.fspath(folder) for folder in specs]
    return Catalogue.open(folders) if folders else _shipped()


def left_aside(catalogue: Catalogue) -> tuple[str, ...]:
    """A sentence for each of the user's spec files that cannot be read: a model that it states is
    not known.

    The first files are named, the others are counted.
    """
    by_file = catalogue.own_faults_by_file
    notes = [
        f"{file} is left aside, for it is wrong:"
        f" {f'{faults[0].key}: ' if faults[0].key else ''}{faults[0].message}"
        + (f", and {len(faults) - 1:,} more" if len(faults) > 1 else "")
        + f" (`selfhost spec check {file}`)."
        for file, faults in islice(by_file.items(), MAX_PROBLEMS)
    ]
    if rest := len(by_file) - len(notes):
        notes.append(
            f"{rest:,} more files of your specs are left aside, for they are wrong (`selfhost spec"
            " check`)."
        )
    return tuple(notes)


@lru_cache(maxsize=1)
def _shipped() -> Catalogue:
    return Catalogue.open()


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec,
    workload: Workload,
    machine: Machine,
    *,
    instead: bool = True,
    today: str | None = None,
    prices: str = "snapshot",
) -> Verdict:
    """`check` with everything given. Without `instead` the verdict names only what decides: no
    alternatives, no room.
    """
    understood = _understood(catalogue, model, workload)
    question = _question(catalogue, understood, machine)
    return _answer(
        catalogue, question, understood, machine, instead=instead, today=today, prices=prices
    )


def _question(catalogue: Catalogue, understood: _Understood, machine: Machine) -> Question:
    return ask(
        understood.spec,
        understood.workload,
        catalogue,
        machine,
        local_files=understood.files_here,
        formats=understood.formats,
        part=understood.part,
        in_memory=understood.in_memory if machine.is_this_one else False,
    )


# what is asked of weights, and says nothing where there are none
_OF_WEIGHTS = {
    key: FLAGS[key] for key in ("runtime", "quantization", "kv_cache_type", "draft", "adapter")
}


class _Understood(Record):
    """What the caller named: the spec, how it was written, the workload with what the name
    itself says, sentences about it.
    """

    spec: ModelSpec
    asked: str
    workload: Workload
    notes: tuple[str, ...] = ()
    files_here: bool = False
    formats: tuple[str, ...] = ()
    part: Here | None = None
    in_memory: bool | None = False
    tag: str | None = None


def _understood(
    catalogue: Catalogue, model: str | os.PathLike[str] | ModelSpec, workload: Workload
) -> _Understood:
    if isinstance(model, ModelSpec):
        return _Understood(spec=model, asked=model.id, workload=workload)
    typed = os.fspath(model)
    if (
        (not isinstance(model, str) or is_path(typed))
        and typed.lower().endswith(".toml")
        and not os.path.isdir(typed)
    ):
        spec = spec_in(typed)
        from .modelfiles import stored_notes

        return _Understood(
            spec=spec,
            asked=typed,
            workload=workload,
            notes=(*_sized_by_a_file(spec), *stored_notes(spec)),
        )
    if not isinstance(model, str) or is_path(typed):
        return _understood_file(catalogue, typed, workload)
    return _understood_name(catalogue, typed, workload)


def _understood_file(catalogue: Catalogue, typed: str, workload: Workload) -> _Understood:
    from .modelfiles import read_local

    local = read_local(typed, catalogue.common("architectures"))
    if local.quantization and local.files_here and workload.quantization is None:
        workload = workload.replace(quantization=local.quantization)
    notes = local.notes
    asked_in = need.canonical_quantization(workload.quantization or "")
    if local.format == "gguf" and local.quantization and asked_in not in (None, local.quantization):
        # a GGUF file holds one quantization, so another is not here
        local = local.replace(files_here=False)
        notes += (
            (
                f"The file holds {local.quantization}: told is what {asked_in} would take, which"
                " llama-quantize makes of other weights."
            ),
        )
    part: Here | None = None
    if local.missing:
        rest = local.total_bytes - local.size_bytes if local.total_bytes is not None else 0
        part = Here(
            path=typed,
            size_bytes=local.size_bytes,
            missing_bytes=rest if rest > 0 else None,
            missing_files=local.missing,
        )
    return _Understood(
        spec=local.spec,
        asked=typed,
        workload=workload,
        notes=notes,
        files_here=local.files_here,
        formats=(local.format,) if local.files_here or local.missing else (),
        part=part,
        in_memory=local.in_memory,
    )


def _understood_name(catalogue: Catalogue, typed: str, workload: Workload) -> _Understood:
    resolved = resolve(typed, catalogue)
    quantization, notes = resolved.quantization, resolved.notes
    loaded = _loaded_by_tag(typed, workload, catalogue) if quantization is None else None
    if loaded is not None:
        quantization, notes = loaded, (*notes, f"Ollama's tag {typed} loads {loaded}.")
    if quantization and workload.quantization is None:
        workload = workload.replace(quantization=quantization)
    # what Ollama itself calls it, quantization and all, is the line to type
    tag = (
        typed
        if quantization
        and quantization == workload.quantization
        and ":" in typed
        and "/" not in typed
        else None
    )
    return _Understood(
        spec=catalogue.spec(resolved.spec_id), asked=typed, workload=workload, notes=notes, tag=tag
    )


def _sized_by_a_file(spec: ModelSpec) -> tuple[str, ...]:
    """A sentence where the spec was made of a file that lies here: it states a model, and
    counts as nothing that was downloaded.
    """
    from shlex import quote

    sized = [
        files.source.removeprefix(SIZE_OF)
        for files in spec.files
        if files.source.startswith(SIZE_OF)
    ]
    return tuple(
        f"{path}, which this spec took its size from, lies here: `selfhost check {quote(path)}`"
        " judges that itself, with no download."
        for path in sized
        if os.path.exists(path)
    )


def _loaded_by_tag(typed: str, workload: Workload, catalogue: Catalogue) -> str | None:
    """What Ollama loads by that name, where it is a tag whose quantization is another than the
    usual one and GGUF files are asked for.
    """
    if ":" not in typed or workload.quantization is not None or workload.task != "generate":
        return None
    ollama = catalogue.runtime("ollama")
    if (
        workload.runtime is not None
        and catalogue.runtime(workload.runtime.strip().lower()).formats != ollama.formats
    ):
        return None
    return ollama.tags.get(typed.strip().lower().removeprefix("library/").removesuffix(":latest"))


def _training_note(workload: Workload) -> str:
    from .needs.torch.finetune import why_not_shared_out

    alone = why_not_shared_out(workload)
    judged = (
        "shared out over several where none holds it alone, or in RAM"
        if alone is None
        else f"or in RAM: {alone[0]}"
    )
    return (
        "How long training takes is not estimated: on a CPU far longer than on a GPU. It is judged"
        f" on one accelerator, {judged}. Accelerators that each hold all of it train a batch each"
        " at once (data parallel). It needs peft beside transformers; QLoRA and 8-bit optimizers"
        " need bitsandbytes too."
    )


DRAFT_NOTE = (
    "How much faster a draft makes it depends on how many of its tokens are accepted, which differs"
    " from text to text: the range of the speed covers none and all."
)


# from which share of the need on what another use takes is worth a sentence
_WORTH_SAYING = 0.1


def _growth(catalogue: Catalogue, question: Question, judged: Judged) -> str | None:
    """A sentence where the server keeps much more of a long conversation than one prompt
    leaves, and how to bound that.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return None
    more = need.more_in_conversation(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    if more < _WORTH_SAYING * memory.high_bytes:
        return None
    kept, parallel = runtime.kept_checkpoints, question.workload.parallel
    whose = f"each of {parallel} conversations" if parallel > 1 else "a conversation"
    bound = (
        f" Start llama-server with --ctx-checkpoints {runtime.context_checkpoints} to keep it at"
        " what is counted here."
    )
    return (
        f"Of {whose} {runtime.name} keeps up to {kept} copies of windows and states to go back to:"
        f" after many turns up to {units.binary(more)} of RAM more than one prompt"
        f" takes.{bound if 'llama-server' in runtime.command else ''}"
    )


# of the need, from which share on what a server takes by itself is worth a sentence beside the line
# that holds it down
_SLOTS_WORTH_SAYING = 0.02


def _slots(
    catalogue: Catalogue, question: Question, judged: Judged, lines: tuple[str, ...]
) -> str | None:
    """A sentence where a server that is not told for how many sequences takes more; always
    where no line is printed that tells it.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None or not judged.fits:
        return None
    workload = question.workload
    more = need.more_in_slots(question.spec, runtime, workload, architectures(catalogue))
    if more <= 0 or (lines and more < _SLOTS_WORTH_SAYING * memory.high_bytes):
        return None
    total = "" if lines else f"-c {(workload.context_tokens or 0) * workload.parallel} "
    return (
        f"Start llama-server with {total}-np {workload.parallel}: without -np it makes room for"
        f" {runtime.slots} sequences, which takes {units.binary(more)} more."
    )


def _larger_picture(catalogue: Catalogue, question: Question, judged: Judged) -> str | None:
    """A sentence where a picture larger than the one that is counted takes much more, and how
    to bound that.
    """
    runtime, memory = question.runtime, judged.needs.memory if judged.needs is not None else None
    if runtime is None or memory is None:
        return None
    most, side = need.largest_picture(
        question.spec, runtime, question.workload, architectures(catalogue)
    )
    counted = next((term for term in memory.terms if term.name == "projector_compute"), None)
    if (
        counted is None
        or counted.high_bytes >= most
        or most - counted.bytes < _WORTH_SAYING * memory.high_bytes
    ):
        return None
    more = most - counted.bytes
    bound = (
        " llama-server shrinks pictures to --image-max-tokens."
        if "llama-server" in runtime.command
        else ""
    )
    return (
        f"A picture of a megapixel is counted: one of {side:,} × {side:,} or more takes"
        f" {units.binary(more)} more.{bound}"
    )


def _which_trainer(catalogue: Catalogue, question: Question) -> str | None:
    """A sentence where the trainer decides how wide the routed experts lie, which is most of
    what QLoRA takes of such a model.
    """
    if (
        question.workload.finetune_method != "qlora"
        or question.needs is None
        or question.needs.memory is None
    ):
        return None
    from .needs.torch.finetune import experts_by_trainer

    expert_bytes = experts_by_trainer(question.spec, architectures(catalogue))
    if expert_bytes is None:
        return None
    least, likely, most = map(units.binary, expert_bytes)
    return (
        f"Which trainer it is decides what the routed experts take: {least} where it quantizes them"
        f" too (Unsloth, Axolotl), the low end; {likely} in 16 bits, as bitsandbytes leaves them,"
        f" taken as likely; {most} where peft's prepare_model_for_kbit_training casts them to 32,"
        " the high end."
    )


def _perhaps_here(runtime: RuntimeSpec, machine: Machine) -> str | None:
    """A sentence where the search for models did not get through the store that the runtime
    looks in.
    """
    missed = unseen(machine, runtime.store) if machine.models_present is not None else None
    return (
        f"Whether it is here already is not known: {missed.reason} ({missed.remedy})."
        if missed and missed.remedy
        else None
    )


def _advice(question: Question, judged: Judged, machine: Machine) -> tuple[str, ...]:
    if not judged.fits or judged.needs is None or judged.needs.placement != "host":
        return ()
    workload = question.workload
    architecture = question.spec.architecture
    return advice(
        machine,
        architecture,
        question.read_bytes or {},
        context_tokens=workload.context_tokens,
        runtime=workload.runtime,
    )


def utc_today() -> str:
    """The day on which prices are held to end, `YYYY-MM-DD` in UTC."""
    from time import gmtime, strftime

    return strftime("%Y-%m-%d", gmtime())


def _offers(
    catalogue: Catalogue,
    question: Question,
    judged: Judged,
    today: str,
    met: MutableMapping[str, bool] | None = None,
) -> tuple[Offer, ...]:
    priced = partial(offers_of, catalogue.offers_path, today=today)
    ever = partial(offers_of, catalogue.offers_path, today="")
    priced_on = snapshot_day(catalogue.offers_path)
    return usable_offers(
        question, judged, catalogue, priced, ever, today=today, priced_on=priced_on, met=met
    )


def _answer(
    catalogue: Catalogue,
    question: Question,
    understood: _Understood,
    machine: Machine,
    *,
    instead: bool,
    today: str | None = None,
    prices: str = "snapshot",
) -> Verdict:
    spec, workload = question.spec, question.workload
    notes: list[str] = []
    fine_print: list[str] = []
    judged = judge(question, machine)
    day = today or utc_today()
    offers = _offers(catalogue, question, judged, day) if instead or judged.failed else ()
    if offers and prices != "snapshot":
        from .catalogue.prices import refreshed

        newer = refreshed(offers, catalogue.offers_path, today=day)
        offers = cheapest_first(newer.offers)
        fine_print.append(newer.note)
    if question.context_asked and workload.context_tokens is not None:
        offers = at_context(offers, workload.context_tokens)
    cost = None
    if workload.load is not None and instead:
        from .advice.costs import dearness, monthly_cost

        runs = not any(
            finding.outcome is Outcome.FAIL and finding.check != "speed"
            for finding in judged.findings
        )
        ratings = catalogue.common("power")
        offers = tuple(sorted(offers, key=partial(dearness, workload.load, spec.modality)))
        trains = workload.task == "finetune"
        cost = monthly_cost(
            workload.load,
            spec.modality,
            offers,
            machine,
            judged.needs,
            judged.speed,
            ratings,
            runs=runs,
            trains=trains,
        )
    to_type = steps(question, judged, catalogue, machine, tag=understood.tag)
    notes = [*notes, *_notes(catalogue, question, understood, offers)]
    if instead:
        is_bounded = any("--ctx-checkpoints" in line for line in to_type.commands)
        notes += _notes_instead(catalogue, question, judged, is_bounded=is_bounded)
    fine_print += _notes_of_asking(catalogue, question, understood)
    if instead and (other := _lies_elsewhere(catalogue, question, machine)) is not None:
        notes.append(other)
    asker = Asker(catalogue, machine)
    if instead and not judged.fits:
        from .advice.compiled import ReadyAsker

        # other models are asked about
        asker = ReadyAsker(catalogue, machine)
    if not understood.tag:
        fine_print += about_files(question, fits=judged.fits)
    if instead and (slots := _slots(catalogue, question, judged, to_type.commands)) is not None:
        notes.append(slots)
    return Verdict(
        asked=understood.asked,
        model=spec,
        workload=question.workload,
        machine=machine,
        route=judged.route(bool(offers)),
        needs=judged.needs,
        speed=judged.speed,
        findings=judged.findings,
        here=question.here,
        placements=considered(question, judged, machine) if instead else (),
        room=room(question, judged, machine, catalogue) if instead else None,
        alternatives=alternatives(question, understood.workload, judged, asker) if instead else (),
        open_alternatives=open_alternatives(spec, understood.workload, asker) if instead else (),
        api_offers=offers,
        monthly_cost=cost,
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        advice=_advice(question, judged, machine) if instead else (),
        understood_as=understood.notes,
        notes=tuple(notes),
        fine_print=tuple(fine_print),
        quality=quality_for(workload, catalogue, spec),
        rewrites=question.rewriting is not None,
    )


def _notes(
    catalogue: Catalogue,
    question: Question,
    understood: _Understood,
    offers: tuple[Offer, ...],
) -> Iterator[str]:
    """Sentences on the offers, the user's specs and what was asked to no effect."""
    spec = question.spec
    yield from dict.fromkeys(offer.why_instead for offer in offers if offer.why_instead is not None)
    yield from left_aside(catalogue)
    if spec.overrides:
        yield f"{spec.origin} replaces the shipped {spec.overrides}."
    if doubt := spec.unknown.get("availability.retired"):
        yield f"Whether it is still served is not known: {doubt}."
    if question.workload.draft and question.companions is not None:
        yield DRAFT_NOTE
    cache_type = understood.workload.kv_cache_type
    if (
        cache_type is not None
        and question.workload.kv_cache_type is None
        and question.runtime is not None
    ):
        yield (
            f"--kv-cache {cache_type} has no effect: {spec.name} keeps no KV cache in"
            f" {question.runtime.name}."
        )


def _notes_instead(
    catalogue: Catalogue, question: Question, judged: Judged, *, is_bounded: bool
) -> Iterator[str]:
    """Sentences on what other uses would take; `is_bounded`: the printed line keeps a long
    conversation at what is counted.
    """
    for note in (
        None if is_bounded else _growth(catalogue, question, judged),
        _larger_picture(catalogue, question, judged),
    ):
        if note is not None:
            yield note


def _notes_of_asking(
    catalogue: Catalogue, question: Question, understood: _Understood
) -> Iterator[str]:
    """Sentences on options of weights for a closed model, and on training."""
    spec, workload = question.spec, question.workload
    if spec.closed:
        aside = [
            flag
            for key, flag in _OF_WEIGHTS.items()
            if getattr(understood.workload, key) is not None
        ]
        if aside:
            yield (
                f"{spec.name} has no weights that could be loaded: nothing of it depends on"
                f" {' or '.join(aside)}."
            )
    elif workload.task == "finetune":
        yield _training_note(workload)
        by_trainer = _which_trainer(catalogue, question)
        if by_trainer:
            yield by_trainer


def _lies_elsewhere(catalogue: Catalogue, question: Question, machine: Machine) -> str | None:
    """A sentence where files of the model may lie on the machine that do not count as here."""
    needs, runtime, workload = question.needs, question.runtime, question.workload
    if needs is None or question.missing_bytes == 0 or question.local_files:
        return None
    note = elsewhere(question.spec, workload, machine, catalogue)
    if runtime is None or question.here is not None:
        return note
    return (
        note
        or begun(question.spec, runtime, workload, needs, machine, catalogue)
        or _perhaps_here(runtime, machine)
    )


class Listing(Record):
    """Every model of the catalogue judged for one machine, best first.

    `why` says in a few words, by id, why a model stands where it does. `ruled_out` is how many are
    left out because their license or openness is not what was asked.
    """

    answers: tuple[Answer, ...]
    why: Mapping[str, str]
    ruled_out: int = 0


def judge_all(
    catalogue: Catalogue, workload: Workload, machine: Machine, *, today: str | None = None
) -> Listing:
    """Every model of the catalogue on one machine, in the order of `advice.ranking`.

    Models that do not come as asked (another quantization, another runtime), and those whose
    license or openness is not what was asked, are left out.
    """
    day = today or utc_today()
    from .advice.compiled import Questions

    ready = Questions.open(catalogue, workload, machine)
    judgements = _judgements(catalogue, workload, machine, ready)
    # whether a model may stand in for another is known from its own findings
    met = {question.spec.id: meets(judged.findings) for question, judged in judgements}
    answers = []
    for question, judged in judgements:
        if judged.failed and _is_ruled_out(judged):
            continue
        offered: bool | None = False
        if judged.failed:
            own = met[question.spec.id]
            if ready is not None:
                offered = ready.offered(question.spec, own, met, workload, day)
            if ready is None or offered is None:
                offered = bool(_offers(catalogue, question, judged, day, met))
        answers.append(
            Answer(
                model=question.spec,
                workload=question.workload,
                route=judged.route(bool(offered)),
                needs=judged.needs,
                speed=judged.speed,
                findings=judged.findings,
                here=question.here,
            )
        )
    standings = Standings(catalogue)
    beside = has_accelerator(machine)
    answers.sort(key=lambda answer: list_key(answer, standings, beside=beside))
    why = {
        answer.model.id: reasons(answer, standings.of(answer.model.id))
        for answer in answers
        if answer.can_run
    }
    ruled_out = len(judgements) - len(answers)
    return Listing(answers=tuple(answers), why=why, ruled_out=ruled_out)


def _is_ruled_out(judged: Judged) -> bool:
    return any(
        finding.check in ("license", "openness") and finding.outcome is Outcome.FAIL
        for finding in judged.findings
    )


def _judgements(
    catalogue: Catalogue, workload: Workload, machine: Machine, ready: Questions | None
) -> list[tuple[Question, Judged]]:
    """Every model that comes as asked, judged. The first refusal is raised where none does."""
    judgements: list[tuple[Question, Judged]] = []
    refused: WorkloadError | None = None
    if ready is None:
        catalogue.expect_all()
    for spec_id in catalogue.ids():
        try:
            question = ready.question(spec_id, workload) if ready is not None else None
            if question is None:
                question = ask(catalogue.spec(spec_id), workload, catalogue, machine)
        except SpecError:
            continue
        except WorkloadError as error:
            refused = refused or error
            continue
        judgements.append((question, judge(question, machine)))
    if not judgements and refused is not None:
        raise refused
    return judgements


class Shown(Record):
    """What `selfhost show` tells: the verdict of the default, every size, how the loss depends
    on the model's size (text, source).
    """

    verdict: Verdict
    sizes: tuple[Size, ...]
    loss_by_size: tuple[str, str]


# beside the one that is judged: the programs whose files people download
SHOWN_RUNTIMES = ("llama.cpp", "transformers", "vllm", "mlx")


def _runtimes_of(
    catalogue: Catalogue, question: Question, asked_workload: Workload
) -> tuple[RuntimeSpec, ...]:
    """The runtimes whose quantizations `show` lists: the one judged first, alone where it was asked
    for or where it trains.

    Those that cannot be asked for so many sequences, or that type of cache, are left out.
    """
    own = question.runtime
    alone = (
        asked_workload.runtime is not None
        or asked_workload.task == "finetune"
        or question.local_files
    )
    if own is None or alone or question.spec.modality not in ("text", "vision", "embedding"):
        return () if own is None else (own,)
    others = (catalogue.runtime(name) for name in SHOWN_RUNTIMES if name != own.id)
    fitting = (runtime for runtime in others if need.why_not_loaded(question.spec, runtime) is None)
    return (
        own,
        *(runtime for runtime in fitting if not any(beyond(asked_workload, runtime, catalogue))),
    )


def _size(catalogue: Catalogue, question: Question, machine: Machine) -> Size | None:
    """That quantization judged, None where its size cannot be told."""
    needs, runtime, quantization = question.needs, question.runtime, question.workload.quantization
    cost = quality_for(question.workload, catalogue, question.spec)
    if (
        needs is None
        or needs.download_bytes is None
        or runtime is None
        or quantization is None
        or cost is None
    ):
        return None
    judged = judge(question, machine)
    # as it would lie: where layers are shared out, each place has a compute buffer of its own
    memory = judged.needs.memory if judged.needs is not None else needs.memory
    # of a file that somebody has, nobody asks here whether it was published
    deciding = [finding for finding in judged.findings if finding.check not in ("weights", "speed")]
    fits = None if any(finding.outcome is Outcome.UNKNOWN for finding in deciding) else True
    if judged.failed:
        fits = False
    return Size(
        quantization=quantization,
        family=question.workload.format or "",
        runtime=runtime.id,
        bytes=needs.download_bytes,
        how=needs.download_how.value if needs.download_how else "assumed",
        source=needs.download_source or "",
        memory_bytes=memory.high_bytes if memory else None,
        fits=fits,
        quality=cost,
    )


def describe(
    catalogue: Catalogue,
    model: str,
    workload: Workload,
    machine: Machine,
    *,
    prices: str = "snapshot",
) -> Shown:
    """All that is known of a model, its quantizations judged one by one. Raises as `check`."""
    understood = _understood(catalogue, model, workload)
    question = _question(catalogue, understood, machine)
    sizes: list[Size] = []
    for runtime in _runtimes_of(catalogue, question, workload) if question.needs else ():
        # what is trained is made of the published weights, by the method
        trained = (question.workload.quantization,) if workload.task == "finetune" else ()
        for quantization in trained or need.quantizations_of(
            question.spec, runtime, architectures(catalogue)
        ):
            variant = understood.workload.replace(quantization=quantization, runtime=runtime.id)
            # a GGUF file holds one quantization
            held = understood.files_here and (
                "gguf" not in understood.formats or quantization == understood.workload.quantization
            )
            size = _size(
                catalogue,
                _question(
                    catalogue, understood.replace(workload=variant, files_here=held), machine
                ),
                machine,
            )
            before = (
                next(
                    (
                        listed
                        for listed in sizes
                        if (listed.family, listed.quantization) == (size.family, size.quantization)
                    ),
                    None,
                )
                if size
                else None
            )
            if size is None or (before is not None and (before.fits or not size.fits)):
                continue
            if before is not None:
                # two programs load it: the one that runs here is shown
                sizes[sizes.index(before)] = size
            else:
                sizes.append(size)
    order = list(catalogue.common("quantizations")["quantization"])
    families = list(dict.fromkeys(size.family for size in sizes))
    # best quality first, what is not in the list last
    sizes.sort(
        key=lambda size: (
            families.index(size.family),
            order.index(size.quantization) if size.quantization in order else len(order),
        )
    )
    verdict = _answer(catalogue, question, understood, machine, instead=True, prices=prices)
    return Shown(verdict=verdict, sizes=tuple(sizes), loss_by_size=loss_by_size(catalogue))
