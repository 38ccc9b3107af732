"""What is asked with every default filled in, and what would fit where that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from . import needs as need
from . import units
from .catalogue import Catalogue, Outline
from .errors import Problem, SpecError, WorkloadError
from .findings import disk
from .licenses import canonical_expression
from .machine import Machine
from .offers import Offer
from .spec import ModelSpec, RuntimeSpec
from .speed import estimate
from .verdict import Alternative, Judged, Question, Room, judge, place
from .workload import DEFAULT_CONTEXT_TOKENS, DEFAULT_MIN_TOKENS_PER_SECOND, Workload

# the runtime taken when none is asked for: the first that loads the model
RUNTIMES_BY_MODALITY = {
    "text": ("llama.cpp", "transformers"),
    "vision": ("llama.cpp", "transformers"),
    "embedding": ("llama.cpp", "transformers"),
    "speech": ("whisper.cpp", "transformers"),
    "image": ("diffusers",),
}
# one stored type under the names that two formats have for it
SAME_TYPE = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "bfloat16": "BF16", "float16": "F16", "float32": "F32"}
# modalities whose work is counted in tokens one after another
GENERATING = ("text", "vision")
SHORTEST_CONTEXT_TOKENS = 1024
MOST_ALTERNATIVES = 3
# of two models that fit, one of the last years is proposed before an older one, however large
RECENT_YEARS = 3
# no default quantization stores less than 4 bits a parameter, so a model above this cannot fit
LEAST_BYTES_PER_PARAMETER = 0.5


def ask(spec: ModelSpec, workload: Workload, shelf: Catalogue, machine: Machine, *, local_files: bool = False) -> Question:
    """The question with every default filled in.

    Raises `WorkloadError` for a runtime or quantization that does not exist, or that this model does not come in.
    """
    if workload.license is not None:
        workload = workload.replace(license=canonical_expression(workload.license))
    runtime = _runtime(spec, workload, shelf)
    quantization = _known_quantization(workload)
    if workload.task == "finetune":
        raise _wrong("task", "fine-tuning is not judged yet", "leave --task out")
    if spec.closed:
        return Question(spec=spec, workload=workload.replace(runtime=None, format=None, quantization=None, kv_cache_type=None))
    loads = need.why_not_loaded(spec, runtime) if runtime else None
    if runtime is not None and loads is None:
        format, default = need.default_format_and_quantization(spec, runtime)
        if quantization and quantization not in (sized := need.quantizations_of(spec, runtime, _rows(shelf))):
            quantization = SAME_TYPE.get(quantization, quantization)
        if quantization and quantization not in sized:
            message = f"{spec.name} does not come in {quantization} for {runtime.name}"
            raise _wrong("quantization", message, f"it comes in {', '.join(sized)}" if sized else "leave --quant out")
        workload = workload.replace(runtime=runtime.id, format=format, quantization=quantization or default)
    elif runtime is not None:
        workload = workload.replace(runtime=runtime.id, quantization=quantization)
    generates = spec.modality in GENERATING
    counted = spec.architecture is not None and spec.modality in (*GENERATING, "embedding")
    asked = workload.context_tokens is not None
    if counted and spec.architecture is not None and not asked:
        workload = workload.replace(context_tokens=min(DEFAULT_CONTEXT_TOKENS, spec.architecture.context_tokens or DEFAULT_CONTEXT_TOKENS))
    if counted and generates and workload.kv_cache_type is None:
        workload = workload.replace(kv_cache_type="f16")
    if generates and workload.min_tokens_per_second is None:
        workload = workload.replace(min_tokens_per_second=DEFAULT_MIN_TOKENS_PER_SECOND)
    needs = need.needs_of(spec, runtime, workload, _rows(shelf), instruction_sets=machine.instruction_sets)
    layers = spec.architecture.layers if spec.architecture else None
    pace = estimate(machine, need.decode_bytes(spec, runtime, workload, _rows(shelf)), layers) if generates else None
    return Question(
        spec=spec, workload=workload, runtime=runtime, loads=loads, needs=needs, speed=pace, context_asked=asked, local_files=local_files
    )


def _rows(shelf: Catalogue) -> Mapping[str, Any]:
    return shelf.common("architectures")


def _wrong(key: str, message: str, remedy: str | None) -> WorkloadError:
    return WorkloadError([Problem(file="workload", key=key, message=message, remedy=remedy)])


def _runtime(spec: ModelSpec, workload: Workload, shelf: Catalogue) -> RuntimeSpec | None:
    """The runtime asked for, or the first of its modality that loads the model; None where the spec names no files at all."""
    if workload.runtime is not None:
        known = shelf.runtime_ids()
        wanted = workload.runtime.strip().lower()
        if wanted not in known:
            from .tomlfile import nearest

            guess = nearest(wanted, known)
            raise _wrong("runtime", f'"{workload.runtime}" is not one of {", ".join(known)}', f"did you mean {guess}?" if guess else None)
        return shelf.runtime(wanted)
    if spec.closed or (spec.architecture is None and not spec.files and not spec.components and spec.needs is not None):
        return None
    candidates = [shelf.runtime(id) for id in RUNTIMES_BY_MODALITY.get(spec.modality, ())]
    for runtime in candidates:
        if need.why_not_loaded(spec, runtime) is None:
            return runtime
    return candidates[0] if candidates else None


def _known_quantization(workload: Workload) -> str | None:
    if workload.quantization is None:
        return None
    known = need.canonical_quantization(workload.quantization)
    if known is None:
        from .tomlfile import nearest

        guess = nearest(workload.quantization, need.QUANTIZATIONS)
        remedy = f"did you mean {guess}?" if guess else f"known: {', '.join(need.QUANTIZATIONS)}"
        raise _wrong("quantization", f'"{workload.quantization}" is no quantization', remedy)
    return known


# ------------------------------------------------------------------ what would fit instead


def alternatives(question: Question, asked: Workload, judged: Judged, machine: Machine, shelf: Catalogue) -> tuple[Alternative, ...]:
    """What would get the route `local`: a smaller quantization, a shorter context, then other models, best first.

    Nothing is proposed where the route is local already. `asked` is the workload before defaults were filled in.
    """
    if judged.fits:
        return ()
    own = list(_smaller_of_itself(question, asked, machine, shelf))
    others = _other_models(question, asked, machine, shelf, MOST_ALTERNATIVES - min(len(own), 1))
    return (*own[:MOST_ALTERNATIVES], *others)


def _smaller_of_itself(question: Question, asked: Workload, machine: Machine, shelf: Catalogue) -> Iterator[Alternative]:
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if asked.runtime is not None:
        other = _fits(spec, asked.replace(runtime=None, format=None, quantization=None), shelf, machine)
        if other and other[0].runtime:
            yield _alternative(other, f"the same model with {other[0].runtime.name}: {_takes(other)}")
    if spec.closed or runtime is None or question.needs is None or question.loads is not None:
        return
    order = need.quantizations_of(spec, runtime, _rows(shelf))
    here = order.index(workload.quantization) if workload.quantization in order else -1
    for quantization in order[here + 1 :]:
        found = _fits(spec, asked.replace(runtime=runtime.id, quantization=quantization), shelf, machine)
        if found:
            quality = need.QUALITY.get(quantization)
            why = f"the same model, smaller: {_takes(found)}" + (f"; {quality}" if quality else "")
            yield _alternative(found, why)
            break
    longest = longest_context(question, machine, shelf)
    if longest is not None and SHORTEST_CONTEXT_TOKENS <= longest < (workload.context_tokens or 0):
        found = _fits(spec, asked.replace(runtime=runtime.id, quantization=workload.quantization, context_tokens=longest), shelf, machine)
        if found:
            yield _alternative(found, f"the same model and quantization with a context of {units.tokens(longest)}: {_takes(found)}")


# ------------------------------------------------------------------ how far one could go

# nobody serves more at once from one machine, and the search needs an end
MOST_PARALLEL = 4096


def room(question: Question, machine: Machine, shelf: Catalogue) -> Room | None:
    """The longest context, the best quantization and the most sequences that fit, each with everything else as judged."""
    if question.needs is None or question.runtime is None or question.loads is not None:
        return None
    return Room(
        longest_context_tokens=longest_context(question, machine, shelf),
        best_quantization=_best_quantization(question, machine, shelf),
        most_parallel=_most_parallel(question, machine, shelf),
    )


def longest_context(question: Question, machine: Machine, shelf: Catalogue) -> int | None:
    """Tokens per sequence, at most what the model can use; None where tokens make no sense or not even one fits."""
    architecture = question.spec.architecture
    if architecture is None or question.workload.context_tokens is None or question.workload.kv_cache_type is None:
        return None
    most = max(architecture.context_tokens or question.workload.context_tokens, architecture.scaled_context_tokens or 0)
    return _largest(most, lambda tokens: _holds(question, question.workload.replace(context_tokens=tokens), machine, shelf))


def _most_parallel(question: Question, machine: Machine, shelf: Catalogue) -> int | None:
    if question.workload.kv_cache_type is None or question.spec.architecture is None:
        return None
    return _largest(MOST_PARALLEL, lambda number: _holds(question, question.workload.replace(parallel=number), machine, shelf))


def _best_quantization(question: Question, machine: Machine, shelf: Catalogue) -> str | None:
    assert question.runtime is not None
    for quantization in need.quantizations_of(question.spec, question.runtime, _rows(shelf)):
        if _holds(question, question.workload.replace(quantization=quantization), machine, shelf):
            return quantization
    return None


def _largest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest number from 1 to `most` for which it fits; the need never shrinks as the number grows."""
    if fits(most):
        return most
    low, high, step = 0, most, 1
    # doubling finds a small answer soon
    while low + step < high and fits(low + step):
        low += step
        step *= 2
    high = min(high, low + step)
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low or None


def _holds(question: Question, workload: Workload, machine: Machine, shelf: Catalogue) -> bool:
    """Memory and download fit under that workload."""
    needs = need.needs_of(question.spec, question.runtime, workload, _rows(shelf), instruction_sets=machine.instruction_sets)
    changed = question.replace(workload=workload, needs=needs)
    _, held = place(changed, needs, machine)
    if workload.quantization != question.workload.quantization and question.runtime is not None:
        held.append(disk(needs, machine, question.runtime.store, nothing_missing=question.local_files))
    return all(finding.outcome in ("pass", "warn") for finding in held)


def _other_models(question: Question, asked: Workload, machine: Machine, shelf: Catalogue, most: int) -> tuple[Alternative, ...]:
    """Other models of the same kind that run here: those the spec names, then the family's, then the rest, the recent and large first.

    Only specs that come into question are read.
    """
    spec = question.spec
    named = spec.availability.open_alternatives if spec.availability else ()
    if spec.upkeep.superseded_by:
        named = (*named, spec.upkeep.superseded_by)
    plain = asked.replace(runtime=None, format=None, quantization=None)
    size = spec.parameters.total
    outlines = shelf.outlines()
    newest = max((outline.released or "" for outline in outlines), default="")[:4]
    recent = str(int(newest) - RECENT_YEARS) if newest.isdecimal() else ""

    def rank(other: Outline) -> tuple[int, bool, bool, int, str]:
        place = named.index(other.id) if other.id in named else len(named)
        return place, other.family != spec.family, (other.released or "") < recent, -(other.parameters_total or 0), other.id

    found: list[Alternative] = []
    for outline in sorted(outlines, key=rank):
        if len(found) >= most:
            break
        if not _comes_into_question(outline, spec, named, size, machine):
            continue
        try:
            other = shelf.spec(outline.id)
        except SpecError:
            continue
        fit = _fits(other, plain, shelf, machine)
        if fit:
            kind = (
                "the nearest open-weight model"
                if other.id in named
                else "the same family"
                if other.family == spec.family
                else "another model"
            )
            found.append(_alternative(fit, f"{kind}, {units.count(other.parameters.total or 0)} parameters: {_takes(fit)}"))
    return tuple(found)


def _comes_into_question(outline: Outline, spec: ModelSpec, named: Sequence[str], size: int | None, machine: Machine) -> bool:
    total = outline.parameters_total
    if outline.id == spec.id or outline.closed or outline.modality != spec.modality or total is None:
        return False
    if outline.id in named:
        return True
    room = max((limit for limit in (machine.memory_limit_bytes, *_accelerator_room(machine)) if limit is not None), default=None)
    if room is not None and total * LEAST_BYTES_PER_PARAMETER > room:
        return False
    return outline.superseded_by is None and (size is None or total < size)


def _accelerator_room(machine: Machine) -> list[int | None]:
    return [device.memory_total_bytes for device in machine.accelerators or ()]


def _fits(spec: ModelSpec, workload: Workload, shelf: Catalogue, machine: Machine) -> tuple[Question, Judged] | None:
    try:
        question = ask(spec, workload, shelf, machine)
    except WorkloadError:
        return None
    judged = judge(question, machine)
    return (question, judged) if judged.fits else None


def _alternative(found: tuple[Question, Judged], why: str) -> Alternative:
    question = found[0]
    return Alternative(
        id=question.spec.id,
        name=question.spec.name,
        quantization=question.workload.quantization,
        context_tokens=question.workload.context_tokens,
        why=why,
    )


def _takes(found: tuple[Question, Judged]) -> str:
    needs = found[1].needs
    assert needs is not None
    parts = []
    if needs.memory is not None:
        parts.append(f"{units.binary(needs.memory.high_bytes)} of memory")
    if needs.download_bytes is not None:
        parts.append(f"{units.decimal(needs.download_bytes)} to download")
    return ", ".join(parts)


# ------------------------------------------------------------------ the API route


def usable_offers(
    question: Question, judged: Judged, own: Sequence[Offer], stand_ins: Sequence[tuple[ModelSpec, Sequence[Offer]]]
) -> tuple[Offer, ...]:
    """The offers that meet what was asked, this model's own first; those of a stand-in only where it has none.

    None under `private`. An offer counts only for a context that it is stated to serve, where one was asked for, and only
    if the model it serves meets the license and openness that were asked for.
    """
    workload = question.workload
    if workload.private:
        return ()
    wanted = workload.context_tokens if question.context_asked or question.spec.closed else None

    def long_enough(offer: Offer) -> bool:
        return wanted is None or (offer.context_tokens is not None and offer.context_tokens >= wanted)

    if _open_enough(judged):
        kept = tuple(offer for offer in own if long_enough(offer))
        if kept:
            return kept
    for spec, offers in stand_ins:
        other = judge(question.replace(spec=spec, needs=None), _NOWHERE)
        if _open_enough(other):
            kept = tuple(offer.replace(stands_in=True) for offer in offers if long_enough(offer))
            if kept:
                return kept
    return ()


_NOWHERE = Machine(name="nowhere")


def _open_enough(judged: Judged) -> bool:
    return all(finding.outcome in ("pass", "warn") for finding in judged.findings if finding.check in ("license", "openness"))


def commands(question: Question, judged: Judged, shelf: Catalogue) -> tuple[str, ...]:
    """Lines to type next; they are printed, never run. Empty unless the model would run here."""
    if not judged.fits or question.runtime is None:
        return ()
    lines = [_filled(question.runtime, question)]
    spec, workload = question.spec, question.workload
    # Ollama's bare tag loads the default quantization, whatever was asked here
    plain = workload.parallel == 1 and workload.quantization == need.default_format_and_quantization(spec, question.runtime)[1]
    if plain and question.runtime.id == "llama.cpp":
        lines.append(_filled(shelf.runtime("ollama"), question))
    return tuple(line for line in lines if line)


def _filled(runtime: RuntimeSpec, question: Question) -> str:
    """The runtime's command for this model, empty where something it needs is not known."""
    spec, workload = question.spec, question.workload
    found = need.published(spec, workload.format or "", workload.quantization or "")
    # a publisher's own name of the quantization is the tag that downloads it
    named = next((name for name in found[1].bytes if need.canonical_quantization(name) == workload.quantization), None) if found else None
    quantized = workload.format in ("gguf", "ggml", "mlx")
    values = {
        "repository": (found[1].repository if found else None) if quantized else spec.repository,
        "tag": _tag(spec, workload),
        "quantization": named or workload.quantization,
        "context_tokens": workload.context_tokens,
        "total_context_tokens": (workload.context_tokens or 0) * workload.parallel,
        "parallel": workload.parallel,
    }
    line = runtime.command
    for key, value in values.items():
        if "{" + key + "}" in line:
            if not value:
                return ""
            line = line.replace("{" + key + "}", str(value))
    return line


def _tag(spec: ModelSpec, workload: Workload) -> str | None:
    """What the runtime itself calls the model: Ollama's tag, or the size in whisper.cpp's file names."""
    if workload.format == "ggml":
        size = spec.id.removeprefix("whisper-")
        return size if workload.quantization == "F16" else f"{size}-{(workload.quantization or '').lower()}"
    return next((alias for alias in spec.aliases if ":" in alias), None)
