"""What would fit where the question does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.quality import quality_of
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.errors import SelfhostError, SpecError, WorkloadError
from ..core.saying import option
from ..core.workload import Workload
from ..machine.record import Machine
from ..needs.records import Needs
from ..verdict.defaults import (
    Asker,
    ask_for_machine,
    follows_a_list,
    suit,
    tagged_runtime,
)
from ..verdict.devices import lies_beside_cards
from ..verdict.findings import Outcome, host_high, on_cards, openness_check
from ..verdict.findings.speed import is_slow_picture, is_too_slow
from ..verdict.judging import judge
from ..verdict.making import can_be_made
from ..verdict.question import architectures, ask
from ..verdict.record import Alternative, Judged, OpenAlternative, Question
from .ranking import (
    NAMED,
    TIGHT,
    Standings,
    is_practical,
    leaves_little,
    reasons,
    share_on,
)
from .room import (
    exceeds_accelerator,
    is_beyond_any_quantization,
    is_surely_beyond,
    longest_context,
    parameters_that_may_fit,
    shortest_context,
)

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from ..catalogue.outlines import Outline

MOST_ALTERNATIVES = 3
# smaller weights are proposed with a shorter context where that is so many times as long as with
# the model's own (assumed: below that the better weights are worth more)
WORTH_SMALLER_WEIGHTS = 1.5
# where it is not the machine that rules a model out, one up to this many times as large is alike
# (assumed: 7 and 8 B are one class)
ALIKE_IN_SIZE = 1.25
# a model that sees answers text too
_AS_GOOD_AS = {"text": ("text", "vision")}
_OF_THE_MODEL = ("weights", "license", "openness", "runtime")
# no default quantization stores less than 4 bits a parameter, so a model above this cannot fit
LEAST_BYTES_BY_DEFAULT = 0.5


def alternatives(
    question: Question, workload: Workload, judged: Judged, asker: Asker
) -> tuple[Alternative, ...]:
    """What would get the route `local`: the same model as it was trained for a longer context,
    then smaller or with a shorter one, then other models, best first.

    Nothing is proposed where the route is local already. `workload` is the workload before defaults
    were filled in; what it demands is demanded of the alternatives too. `asker` is asked about the
    other models.
    """
    if judged.fits:
        return ()
    machine, catalogue = asker.machine, asker.catalogue
    own = _without_repeats(_of_itself(question, workload, machine, catalogue))
    longer = _with_longer_context(question, workload, judged, asker)
    most = MOST_ALTERNATIVES - min(len(own), 1) - len(longer)
    others = _other_models(question, workload, judged, asker, most)
    others = tuple(other for other in others if other.id not in {each.id for each in longer})
    if not own and not others:
        own = list(_smaller(question, workload, machine, catalogue, worth_having=False))
    return (*longer, *own[:MOST_ALTERNATIVES], *others)


def _without_repeats(alternatives: Iterable[Alternative]) -> list[Alternative]:
    """The first of those that are the same weights in the same program: a smaller quantization may
    be what the program takes by itself.
    """
    by_weights: dict[tuple[object, ...], Alternative] = {}
    for each in alternatives:
        weights = each.runtime, each.quantization, each.context_tokens, each.finetune_method
        by_weights.setdefault(weights, each)
    return list(by_weights.values())


def _of_itself(
    question: Question, asked_workload: Workload, machine: Machine, catalogue: Catalogue
) -> Iterator[Alternative]:
    if question.spec.closed:
        return
    yield from _with_qlora(question, asked_workload, machine, catalogue)
    # with the program that was asked for, before another one
    smaller = [*_smaller(question, asked_workload, machine, catalogue, worth_having=True)]
    yield from smaller
    yield from _with_its_own_cache(question.spec, asked_workload, machine, catalogue)
    if asked_workload.runtime is not None:
        yield from _in_another_program(question.spec, asked_workload, machine, catalogue)
    yield from _with_a_shorter_context(
        question, asked_workload, machine, catalogue, has_smaller=bool(smaller)
    )


def _with_qlora(
    question: Question, asked_workload: Workload, machine: Machine, catalogue: Catalogue
) -> Iterator[Alternative]:
    """Of fine-tuning with another method."""
    workload = question.workload
    is_needed = question.runtime is not None and question.needs is not None
    if is_needed and workload.task == "finetune" and workload.finetune_method != "qlora":
        with_qlora = asked_workload.replace(finetune_method="qlora")
        fit = _fits(question.spec, with_qlora, Asker(catalogue, machine))
        if fit:
            yield _alternative(fit, catalogue, "same model, tuned with QLoRA")


def _with_its_own_cache(
    spec: ModelSpec, asked_workload: Workload, machine: Machine, catalogue: Catalogue
) -> Iterator[Alternative]:
    """Without the type of KV cache that was asked for, which not every GPU computes in."""
    if asked_workload.kv_cache_type is not None:
        plain = asked_workload.replace(kv_cache_type=None)
        fit = _fits(spec, plain, Asker(catalogue, machine))
        if fit:
            yield _alternative(fit, catalogue, f"same files, {OWN_CACHE}")


def _in_another_program(
    spec: ModelSpec, asked_workload: Workload, machine: Machine, catalogue: Catalogue
) -> Iterator[Alternative]:
    """With the program that the model would have by itself."""
    any_program = asked_workload.replace(runtime=None, format=None, quantization=None)
    fit = _fits(spec, any_program, Asker(catalogue, machine))
    fit = fit and _as_its_command(fit, Asker(catalogue, machine))
    if fit and fit[0].runtime:
        why = f"same model with {fit[0].runtime.name}"
        yield _alternative(fit, catalogue, ", ".join((why, *_own_cache(asked_workload, fit))))


def _with_a_shorter_context(
    question: Question,
    asked_workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    has_smaller: bool,
) -> Iterator[Alternative]:
    """In the same files, or in the smallest where these leave far more of a context."""
    spec, workload = question.spec, question.workload
    if question.runtime is None or question.needs is None:
        return
    longest, kind, why = (
        longest_context(question, None, machine, catalogue),
        workload.quantization,
        "same files, shorter context",
    )
    lightest = None if has_smaller else _lightest(question, asked_workload, catalogue, machine)
    if lightest is not None:
        longer = longest_context(lightest, None, machine, catalogue)
        if longer is not None and longer >= WORTH_SMALLER_WEIGHTS * (longest or 0):
            longest, kind = longer, lightest.workload.quantization
            why = "same model, smaller, shorter context"
    if longest is not None and shortest_context(workload) <= longest < (
        workload.context_tokens or 0
    ):
        shorter = asked_workload.replace(
            runtime=question.runtime.id, quantization=kind, context_tokens=longest
        )
        fit = _fits(spec, shorter, Asker(catalogue, machine))
        if fit:
            yield _alternative(fit, catalogue, why)


def _lightest(
    question: Question, asked_workload: Workload, catalogue: Catalogue, machine: Machine
) -> Question | None:
    """The question in the smallest type that is worth having, in a program that takes the model's
    own 16 bits where nothing is stated; None of other programs, and where a type is stated.
    """
    spec, runtime = question.spec, question.runtime
    if runtime is None or not runtime.gpu_only or asked_workload.quantization is not None:
        return None
    types = need.quantizations_of(spec, runtime, architectures(catalogue))
    format = question.workload.format or ""
    # files that are published before what bitsandbytes makes while loading, which is slower
    lightest_first = types[::-1]
    for kind in sorted(lightest_first, key=lambda kind: spec.repository_of(format, kind) is None):
        if _can_be_had(question, kind) and quality_of(kind, catalogue, spec).worth_having:
            try:
                return Asker(catalogue, machine).ask(
                    spec, asked_workload.replace(quantization=kind)
                )
            except WorkloadError:
                continue
    return None


def _smaller(
    question: Question,
    asked_workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    worth_having: bool,
) -> Iterator[Alternative]:
    fit_and_cost = _fits_smaller(
        question, asked_workload, machine, catalogue, worth_having=worth_having
    )
    if fit_and_cost is not None:
        yield _alternative(
            fit_and_cost[0],
            catalogue,
            f"same model, smaller: {fit_and_cost[1]}",
        )


def _fits_smaller(
    question: Question,
    asked_workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    worth_having: bool,
) -> tuple[_Fit, str] | None:
    """The best quantization below the one judged that fits, and what it costs: of those worth
    having, or of the others. One that accelerators hold comes before one that the RAM holds beside
    them. Files that the catalogue names, and what the runtime makes while loading, come before what
    the reader makes; what nobody is known to publish and no printed line makes is not among them.
    """
    in_ram = None
    for fit, cost in _fits_of_smaller(
        question, asked_workload, machine, catalogue, worth_having=worth_having
    ):
        if not lies_beside_cards(fit[1].needs, machine):
            return fit, cost
        in_ram = in_ram or (fit, cost)
    return in_ram


def _fits_of_smaller(
    question: Question,
    asked_workload: Workload,
    machine: Machine,
    catalogue: Catalogue,
    *,
    worth_having: bool,
) -> Iterator[tuple[_Fit, str]]:
    """Those that `_fits_smaller` chooses from, the best first."""
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if spec.closed or runtime is None or question.needs is None or workload.task == "finetune":
        return
    order = need.quantizations_of(spec, runtime, architectures(catalogue))
    if workload.quantization not in order or is_beyond_any_quantization(question, machine):
        return
    smaller = order[order.index(workload.quantization) + 1 :]
    published = [name for name in smaller if _can_be_had(question, name)]
    makeable = [name for name in smaller if name not in published and _can_be_made(question, name)]
    for quantization in (*published, *makeable):
        quality = quality_of(quantization, catalogue, spec)
        if quality.worth_having is not worth_having:
            continue
        if is_surely_beyond(question, quantization, machine):
            continue
        smaller_workload = asked_workload.replace(runtime=runtime.id, quantization=quantization)
        fit = _fits(spec, smaller_workload, Asker(catalogue, machine))
        if fit:
            yield fit, quality.text


def on_cards_instead(
    question: Question, asked_workload: Workload, judged: Judged, asker: Asker
) -> str | None:
    """Of a model that runs in RAM beside accelerators a sentence on the best smaller quantization
    worth having that these hold completely, with its pace; None where there is none.
    """
    machine, runtime = asker.machine, question.runtime
    if runtime is None or not judged.fits or not lies_beside_cards(judged.needs, machine):
        return None
    smaller = _fits_smaller(question, asked_workload, machine, asker.catalogue, worth_having=True)
    if smaller is None:
        return None
    smaller_question, held, _ = smaller[0]
    pace = held.speed.decode if held.speed is not None else None
    if held.needs is None or held.needs.placement != "accelerator" or pace is None:
        return None
    typed = option("quantization", smaller_question.workload.quantization or "")
    if asked_workload.runtime is None:
        typed = f"{option('runtime', runtime.id)} {typed}"
    likely = units.likely_pace(pace.low, pace.likely, pace.high, " tokens/s")
    return f"The GPU holds all of it with `{typed}`: {likely}."


def _can_be_had(question: Question, quantization: str) -> bool:
    """Whether the catalogue names such files of the model, or the runtime makes them."""
    spec, runtime, format = question.spec, question.runtime, question.workload.format or ""
    if spec.repository_of(format, quantization) is not None:
        return True
    return runtime is not None and need.loads_sixteen_bits(spec, runtime, format, quantization)


def _can_be_made(question: Question, quantization: str) -> bool:
    """Whether the printed lines make such files, or the reader has files to make them of."""
    workload = question.workload.replace(quantization=quantization)
    return question.local_files or can_be_made(question.spec, question.runtime, workload)


def _other_models(
    question: Question, asked_workload: Workload, judged: Judged, asker: Asker, most: int
) -> tuple[Alternative, ...]:
    """The best `most` other models that run here as fast as is wanted.

    Those for the same work come before the others, then those that run in the program that was
    asked for. Models are judged in the order of their worth, until none that is left can be worth
    as much here as those that were seen.
    """
    spec, catalogue = question.spec, asker.catalogue
    named = _named(spec, catalogue)
    plain = _of_any_model(asked_workload)
    in_its_program = plain.replace(runtime=asked_workload.runtime)
    standings = Standings.of_catalogue(catalogue)
    proposals: list[tuple[tuple[bool, bool, bool, float], _Fit, str]] = []
    for for_other_work, worth, other in (
        _candidates(spec, plain, _most_times(judged), asker, standings) if most else ()
    ):
        best = (for_other_work, False, False, -worth)
        if len(proposals) >= most and best > proposals[most - 1][0]:
            break
        in_program = _fits(other, in_its_program, asker)
        fit, cost = in_program, ""
        if fit is None and in_its_program != plain:
            fit = _fits(other, plain, asker)
        if fit is None and other.id in named:
            # what the spec names is proposed as asking for it would propose it
            fit, cost = _fits_less(other, plain, asker) or (None, "")
        if fit is None or _likely_short(fit):
            continue
        on_machine = worth * share_on(fit[1])
        is_doubtful = is_slow_picture(fit[1]) or _is_unmeasured(fit[1])
        place = (for_other_work, is_doubtful, in_program is None, -on_machine)
        proposals.append((place, fit, cost))
        proposals.sort(key=lambda proposal: proposal[0])
    return tuple(
        _other_model(
            question, asked_workload, catalogue, _as_its_command(fit, asker), cost, standings
        )
        for _, fit, cost in proposals[:most]
    )


def _is_unmeasured(judged: Judged) -> bool:
    """What it takes of a recording as long as this is not known."""
    return any(finding.code == "context-unmeasured" for finding in judged.findings)


def _with_longer_context(
    question: Question, asked_workload: Workload, judged: Judged, asker: Asker
) -> tuple[Alternative, ...]:
    """The model of the same family, work and number of parameters that takes a context too long
    for this one, where it runs: publishers train one for several, as Phi-3 mini for 4k and 128k.
    """
    spec, own = question.spec, question.spec.parameters.total
    if own is None or all(finding.code != "context-too-long" for finding in judged.findings):
        return ()
    plain = _of_any_model(asked_workload)
    for outline in asker.catalogue.outlines():
        total = outline.parameters_total
        is_alike = (outline.family, outline.uses) == (spec.family, spec.uses)
        if not is_alike or total is None or abs(total - own) > SAME_PARAMETERS * own:
            continue
        fit = (
            _fits(asker.catalogue.spec(outline.id), plain, asker) if outline.id != spec.id else None
        )
        if fit is not None and not _likely_short(fit):
            return (_alternative(_as_its_command(fit, asker), asker.catalogue, LONGER_CONTEXT),)
    return ()


def _likely_short(fit: _Fit) -> bool:
    """Its likely pace is below the wanted one, though its range reaches it."""
    return is_too_slow(fit[1], fit[0].workload.min_tokens_per_second)


def _most_times(judged: Judged) -> float:
    """How many times as large as the model another may be: where it is not the machine that rules
    the model out, one a little larger is alike.
    """
    held = all(
        finding.check in _OF_THE_MODEL or finding.outcome in (Outcome.PASS, Outcome.WARN)
        for finding in judged.findings
    )
    return ALIKE_IN_SIZE if held else 1.0


def _other_model(
    question: Question,
    asked_workload: Workload,
    catalogue: Catalogue,
    fit: _Fit,
    cost: str,
    standings: Standings,
) -> Alternative:
    spec, other, runtime = question.spec, fit[0].spec, fit[0].runtime
    parts = [reasons(fit[1], standings.of(other.id)), cost]
    if other.id in _named(spec, catalogue):
        parts.insert(0, "closest match")
    elif other.family == spec.family:
        parts.insert(0, "same family")
    wanted = asked_workload.runtime
    if wanted is not None and runtime is not None and runtime.id != wanted:
        parts.append(f"with {runtime.name}")
    parts += _own_cache(asked_workload, fit)
    return _alternative(fit, catalogue, ", ".join(part for part in parts if part))


def _own_cache(asked_workload: Workload, fit: _Fit) -> tuple[str, ...]:
    """What a reason adds where the type that was asked for had to be left out."""
    memory = None if fit[0].needs is None else fit[0].needs.memory
    keeps_one = memory is not None and any(term.name == "kv_cache" for term in memory.terms)
    is_left_out = keeps_one and fit[2].kv_cache_type != asked_workload.kv_cache_type
    return (OWN_CACHE,) if is_left_out else ()


def _of_any_model(asked_workload: Workload) -> Workload:
    """The workload without what only one model comes in."""
    return asked_workload.replace(
        runtime=None, format=None, quantization=None, draft=None, adapter=None
    )


def open_alternatives(
    spec: ModelSpec, asked_workload: Workload, asker: Asker
) -> tuple[OpenAlternative, ...]:
    """The open-weight models that a closed one's spec names, and what supersedes them, judged under
    what was asked.

    What meets what was asked of the model itself comes before what does not, then what is current
    before what is superseded, and in each the nearest first, as the spec has them. One that fits in
    a smaller quantization alone runs here, in that.
    """
    others = []
    plain = _of_any_model(asked_workload)
    for name in (
        asker.catalogue.current_first(spec.availability.open_alternatives)
        if spec.availability
        else ()
    ):
        try:
            other = asker.catalogue.spec(name)
            judged = judge(asker.ask(other, plain), asker.machine)
        except SelfhostError:
            continue
        failed = tuple(
            finding.code for finding in judged.findings if finding.outcome is Outcome.FAIL
        )
        license_id = other.license.id if other.license else None
        fits = False if failed else None
        less = None
        if judged.fits:
            fits = True
        else:
            less = _fits_less(other, plain, asker)
        if less is not None:
            fits, failed = True, ()
            judged = less[0][1]
        quantization = less[0][0].workload.quantization if less else None
        others.append(
            OpenAlternative(
                id=other.id,
                name=other.name,
                license=license_id,
                fits=fits,
                failed=failed,
                quantization=quantization,
                practical=fits and is_practical(judged, plain.min_tokens_per_second),
            )
        )
    return tuple(
        sorted(
            others,
            key=lambda other: any(
                code.startswith(("license-", "openness-")) for code in other.failed
            ),
        )
    )


def _named(spec: ModelSpec, catalogue: Catalogue) -> tuple[str, ...]:
    """What the spec itself names in its place, what is current first."""
    named = spec.availability.open_alternatives if spec.availability else ()
    return catalogue.current_first(
        (*named, spec.upkeep.superseded_by) if spec.upkeep.superseded_by else named
    )


def _candidates(
    spec: ModelSpec,
    asked_workload: Workload,
    at_most: float,
    asker: Asker,
    standings: Standings,
) -> Iterator[tuple[bool, float, ModelSpec]]:
    """Models that may take its place: whether each is for other work, its worth, and its spec, the
    best first.

    But for those that its spec names, they have less than `at_most` times its parameters, do its
    work as `_does_its_work` has it, and what is superseded does not come. Where openness is asked
    for, what is open in part comes last, and what is not open does not come. Only specs that come
    into question are read.
    """
    catalogue = asker.catalogue
    named = _named(spec, catalogue)
    most_parameters = parameters_that_may_fit(asker.machine, LEAST_BYTES_BY_DEFAULT)
    is_general = standings.is_general(spec.uses)
    main_use = spec.uses[:1] if spec.uses else None
    ordered: list[tuple[bool, float, str]] = []
    for outline in catalogue.outlines():
        if not _comes_into_question(outline, spec, named, at_most, most_parameters):
            continue
        standing, is_named = standings.of(outline.id), outline.id in named
        if standing is None:
            continue
        if not is_named and not _does_its_work(spec.uses, outline.uses, standings):
            continue
        same_work = (standing.is_general and is_general) or standing.uses[:1] == main_use
        # of those that the spec names the nearest comes first
        weight = NAMED * (1 - 1e-6 * named.index(outline.id)) if is_named else 1.0
        ordered.append((not (same_work or is_named), -standing.worth * weight, outline.id))
    yield from _as_open_as_asked(ordered, asked_workload, asker)


def _as_open_as_asked(
    ordered: Sequence[tuple[bool, float, str]], asked_workload: Workload, asker: Asker
) -> Iterator[tuple[bool, float, ModelSpec]]:
    """Those that are open as was asked, then those that are in part, as if for other work."""
    in_part = []
    for for_other_work, worth, id in sorted(ordered):
        try:
            other = asker.catalogue.spec(id)
        except SpecError:
            continue
        opened = openness_check(other, asked_workload)
        if opened is None or opened.outcome is Outcome.PASS:
            yield for_other_work, -worth, other
        elif opened.outcome is Outcome.WARN:
            in_part.append((True, -worth, other))
    yield from in_part


def _does_its_work(
    own: tuple[str, ...] | None, other: tuple[str, ...] | None, standings: Standings
) -> bool:
    """Whether a model with the uses `other` can do what one with the uses `own` is for.

    What answers in words is replaced by what answers in words, on whatever subject; all else, such
    as a recognizer of speech or a reranker, by what has the same main use among its uses.
    """
    if standings.answers(own):
        return standings.answers(other)
    return own is not None and own[0] in (other or ())


def _comes_into_question(
    outline: Outline,
    spec: ModelSpec,
    named: Sequence[str],
    at_most: float,
    most_parameters: float | None,
) -> bool:
    total, own = outline.parameters_total, spec.parameters.total
    if (
        outline.id == spec.id
        or outline.closed
        or outline.modality not in _AS_GOOD_AS.get(spec.modality, (spec.modality,))
        or total is None
    ):
        return False
    if outline.id in named:
        return True
    if most_parameters is not None and total > most_parameters:
        return False
    return outline.superseded_by is None and (own is None or total < own * at_most)


OWN_CACHE = "KV cache in the model's type"
LONGER_CONTEXT = "the same model, trained for a longer context"
# other factors of a position's encoding are a few thousand parameters
SAME_PARAMETERS = 0.001

_Fit = tuple[Question, Judged, Workload]


def _fits(spec: ModelSpec, workload: Workload, asker: Asker) -> _Fit | None:
    """The question, its judgement and the workload as asked, if the route would be local. The
    type of the KV cache is left out where the model's program does not keep one in it.
    """
    try:
        question = asker.ask(spec, workload)
    except WorkloadError:
        if workload.kv_cache_type is None:
            return None
        return _fits(spec, workload.replace(kv_cache_type=None), asker)
    judged = judge(question, asker.machine)
    return (question, judged, workload) if judged.fits else None


def _as_its_command(fit: _Fit, asker: Asker) -> _Fit:
    """With the defaults that suit the machine best, as its command judges it."""
    question, judged, workload = fit
    machine, catalogue = asker.machine, asker.catalogue
    if follows_a_list(question.spec, workload):
        # the list begins anew, with the model's own default
        question = ask(catalogue.spec(question.spec.id), workload, catalogue, machine)
    suited, judged = suit(question, judged, workload, catalogue, machine)
    if suited is question and tagged_runtime(question, catalogue, machine) is not None:
        # nobody's repository has the file, and Ollama's library does
        suited = ask_for_machine(question.spec, workload, catalogue, machine)
        judged = judge(suited, machine)
    return suited, judged, workload


def _fits_less(spec: ModelSpec, workload: Workload, asker: Asker) -> tuple[_Fit, str] | None:
    """The same in the best smaller quantization worth having, and what that costs."""
    key = spec.id, workload
    if key not in asker.derived:
        try:
            question = asker.ask(spec, workload)
        except WorkloadError:
            return None
        asker.derived[key] = _fits_smaller(
            question, workload, asker.machine, asker.catalogue, worth_having=True
        )
    fit: tuple[_Fit, str] | None = asker.derived[key]
    return fit


def _typed(spec: ModelSpec, catalogue: Catalogue) -> str:
    """How to ask about it: by its id, or by its file where the catalogue has none of that id or
    another.
    """
    try:
        in_catalogue = spec.id in catalogue and catalogue.spec(spec.id).origin == spec.origin
    except SpecError:
        in_catalogue = False
    if in_catalogue or not spec.origin:
        return spec.id
    from shlex import quote

    return quote(spec.origin)


def _memory(needs: Needs | None, *, is_tight: bool) -> dict[str, Any]:
    """What it takes in all, and what stays in RAM where accelerators hold the model or a part. Of
    accelerators that hold it only just it is what is likely, as `check` tells it.
    """
    if needs is None or needs.memory is None:
        return {"memory_high_bytes": None}
    in_ram = host_high(needs) or 0
    if needs.placement == "host":
        return {"memory_high_bytes": in_ram}
    return {
        "memory_high_bytes": in_ram + (on_cards(needs, likely=is_tight) or 0),
        "host_bytes": in_ram,
        "is_whole_on_card": needs.placement == "accelerator",
    }


def _alternative(fit: _Fit, catalogue: Catalogue, why: str) -> Alternative:
    question, judged, _ = fit
    needs, speed = judged.needs, judged.speed
    is_tight = exceeds_accelerator(judged.findings)
    # `reasons` says so of other models
    is_said = TIGHT in why.split(", ")
    return Alternative(
        id=question.spec.id,
        name=question.spec.name,
        quantization=question.workload.quantization,
        context_tokens=question.workload.context_tokens,
        runtime=question.workload.runtime,
        finetune_method=question.workload.finetune_method,
        license=question.spec.license.id if question.spec.license else None,
        **_memory(needs, is_tight=is_tight),
        download_bytes=needs.download_bytes if needs is not None else None,
        decode_tokens_per_second=speed.decode if speed is not None else None,
        judged_tokens_per_second=speed.judged if speed is not None else None,
        why=f"{why}, {TIGHT}" if leaves_little(judged) and not is_said else why,
        command=f"selfhost check {_typed(question.spec, catalogue)}{fit[2].options()}",
    )
