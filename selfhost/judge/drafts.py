"""The draft of speculative decoding: the model, or the block of the model, that proposes the next
tokens.
"""

from __future__ import annotations

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import is_path
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..core.errors import UnknownModelError
from ..core.units import canonical
from ..core.workload import Workload
from .checks import Figures, OptionFault, error_of
from .table import program_row, table_of


def _names_own_draft(spec: ModelSpec, typed: str) -> bool:
    """Whether a name means the draft that the model's publisher made for the model.

    The draft has the name of its repository, with or without the owner, or of its GGUF file, as
    `mtp-gemma-4-31B-it-Q8_0.gguf`.
    """
    if spec.draft is None:
        return False
    name = canonical(_without_owner(typed))
    draft = canonical(spec.draft.name)
    model = _without_owner(spec.repository or spec.id)
    file = canonical(f"mtp-{model}")
    return name == draft or name.startswith((f"{draft}-", f"{draft}:", file))


def _without_owner(repository: str) -> str:
    return repository.rpartition("/")[2]


def companions_of(
    spec: ModelSpec,
    runtime: RuntimeSpec | None,
    quantization: str | None,
    stated: Workload,
    catalogue: Catalogue,
) -> need.Companions | None:
    """Return the model's own prediction block, or the draft model that the user stated, with the
    number of tokens that it proposes at once; None without a draft. Raises `WorkloadError` where
    the runtime has no such drafts, or the draft does not suit the model in the given quantization.
    """
    typed = stated.draft
    if not typed or runtime is None:
        return None
    is_file = is_path(typed)
    is_own = typed == need.OWN_BLOCK
    if not is_file and not is_own:
        is_own = _names_own_draft(spec, typed)
    kind = "mtp" if is_own else "draft"
    if kind not in runtime.companions:
        others = []
        for row in table_of(spec, catalogue).programs:
            if kind in row.runtime.companions:
                others.append(row.runtime.id)
        figures = {"program": runtime.name, "own": is_own, "others": sorted(others)}
        raise error_of(_fault("draft-program", figures))
    if not spec.writes_text:
        raise error_of(_fault("draft-no-text", {"model": spec.name}))
    if is_own:
        why = need.why_no_own_block(spec)
        if why is not None:
            figures = {"model": spec.name, "why": why}
            raise error_of(_fault("draft-own-block", figures))
        share = _share_read_by_block(spec)
        named = need.Companions(own_block=True, block_share=share)
    elif is_file:
        named = _draft_in_file(typed, runtime)
    else:
        named = _draft_called(typed, runtime, catalogue)
    unsuited = _why_unsuited(named, spec, runtime, quantization)
    if unsuited is not None:
        raise error_of(unsuited)
    settings = runtime.settings_of(stated.runtime_options)
    tokens = settings.get("drafted_tokens", runtime.companions[kind])
    return named.replace(drafted_tokens=int(tokens))


def _share_read_by_block(spec: ModelSpec) -> float | None:
    """The parameters that the draft of a model's publisher reads for a token, as a share of those
    that the model reads: all of a separate file, or those of a layer and of the matrix that chooses
    the token. None where they are not known.
    """
    active = spec.parameters.active
    if active is None:
        return None
    if spec.draft is not None:
        return spec.draft.parameters / active
    model = spec.architecture
    if model is None:
        return None
    if model.vocabulary is None:
        return None
    choosing = model.vocabulary * model.embedding_length / active
    return choosing + (1 - choosing) / model.layers


def _fault(kind: str, figures: Figures) -> OptionFault:
    """The decision that the draft makes no sense, of that kind and with these figures."""
    return OptionFault(option="draft", kind=kind, figures=figures)


def _draft_in_file(path: str, runtime: RuntimeSpec) -> need.Companions:
    """The draft of a file or a folder, in the runtime's usual type where the files tell none."""
    from ..modelfiles import read_local

    local = read_local(path)
    return need.Companions(
        draft=local.spec,
        draft_quantization=local.quantization
        or program_row(local.spec, runtime).usual_type,
        draft_is_here=local.files_here,
    )


def _draft_called(
    name: str,
    runtime: RuntimeSpec,
    catalogue: Catalogue,
) -> need.Companions:
    """The draft of that name, in the runtime's usual type where the name tells none. Raises
    `WorkloadError` for an unknown name: the draft is at fault, and not the model.
    """
    from ..catalogue.searching import resolve

    try:
        named = resolve(name, catalogue)
    except UnknownModelError as error:
        guess = error.nearest[0] if error.nearest else None
        figures = {"why": error.message, "guess": guess}
        raise error_of(_fault("draft-unknown", figures)) from error
    spec = catalogue.spec(named.spec_id)
    quantization = named.quantization or program_row(spec, runtime).usual_type
    return need.Companions(draft=spec, draft_quantization=quantization)


def _why_unsuited(
    named: need.Companions,
    spec: ModelSpec,
    runtime: RuntimeSpec,
    quantization: str | None,
) -> OptionFault | None:
    """The fault that a draft model cannot write ahead for the model; None where it can."""
    drafting = named.draft
    if drafting is None:
        return None
    draft = drafting.name
    if not drafting.writes_text:
        return _fault("draft-no-text", {"model": draft})
    why = need.why_not_loaded(drafting, runtime)
    if drafting.closed:
        why = "its weights are not published"
    if why is not None:
        return _fault("draft-not-loaded", {"draft": draft, "why": why})
    names = {"draft": draft, "model": spec.name}
    apart = need.vocabularies_differ(spec, drafting)
    if apart is not None:
        model_tokens, draft_tokens = apart
        tokens = {"own": draft_tokens, "other": model_tokens}
        return _fault("draft-vocabulary", {**names, **tokens})
    is_itself = (drafting.id, drafting.origin) == (spec.id, spec.origin)
    if is_itself and named.draft_quantization == quantization:
        figures = {"draft": draft, "quantization": quantization}
        return _fault("draft-itself", figures)
    size = drafting.parameters.total
    most = spec.parameters.total
    # the same model in a smaller quantization, and a model of unknown size, may draft
    if size is not None and most is not None and size > most:
        parameters = {"drafting": size, "checking": most}
        return _fault("draft-larger", {**names, **parameters})
    return None
