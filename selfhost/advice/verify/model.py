"""Which model a run was of: by what was typed, its file, its own name, or its shape."""

from __future__ import annotations

import os

from ...catalogue.index import Catalogue
from ...catalogue.names import id_of, look_up
from ...catalogue.spec import MODALITIES, ModelSpec
from ...catalogue.spec_values import GENERATING
from ...core import units
from ...core.errors import SelfhostError, UnknownModelError
from ...core.records import Record, pattern
from ..ranking import Standings
from .run import Run

# a log rounds the number of parameters to two places or more, and a file may hold a table of
# rotation factors beside them
_SAME_COUNT = 0.003
# of a text model: a converter may leave out layers that predict further tokens, which are 14 of the
# 685 billion parameters of DeepSeek-V3 (its model card); what differs by more is another (assumed)
_OTHER_COUNT = 0.05
# half of the last place that llama-bench prints of billions: `7.25 B`
_ROUNDED = 5_000_000
# `.gguf`, with the number of a part before it
_NUMBERED = pattern(r"(?:-\d{5}-of-\d{5})?\.gguf$", 2)
_BY_SHAPE = (
    "The run does not name its model. This is the best known one of its architecture and number of"
    " parameters: name yours with --model to be sure."
)


class Identity(Record):
    """What to judge: a name of the catalogue, or the path of the file itself. `by` is typed, file,
    file-name, name or shape; `note` a sentence where another model may be meant.
    `tells_quantization`: the name states one, closer than the run's own word, which calls
    UD-Q4_K_XL as Q4_K_M.
    """

    model: str
    is_path: bool = False
    by: str
    note: str | None = None
    tells_quantization: bool = False


def identify(run: Run, catalogue: Catalogue, typed: str | None) -> Identity:
    """The model of a run. Raises `UnknownModelError` where nothing tells it, and `SelfhostError`
    where the run had many more or fewer parameters than the model that was typed.
    """
    if typed is not None:
        is_file = typed.lower().endswith(".gguf")
        note = _of_another_model(run, catalogue, typed)
        return Identity(model=typed, by="typed", note=note, tells_quantization=is_file)
    if run.file is not None and _is_here(run.file):
        return Identity(model=run.file, is_path=True, by="file", tells_quantization=True)
    for name, by, spec_id in _names_in_catalogue(run, catalogue):
        counts = _unlike_counts(run, catalogue, spec_id)
        note = None
        if counts is not None:
            # a tune of another base, or a table that is shared and was stored twice
            note = (
                f"The run's file holds {units.count(counts[0])} parameters, and the model that it"
                f" is called by {units.count(counts[1])}: give the file itself with --model."
            )
        # what a model calls itself may be the precision that it was made from
        tells = by == "file-name" and _tells_quantization(name, catalogue)
        return Identity(model=name, by=by, note=note, tells_quantization=tells)
    alike = _of_shape(run, catalogue)
    if alike is None:
        raise UnknownModelError(
            "the run does not tell which model it loaded, or no model that is known",
            remedy="name it: add --model NAME, or --model ./model.gguf",
        )
    return Identity(model=alike, by="shape", note=_BY_SHAPE)


def assumed_quantization(
    run: Run, identity: Identity, catalogue: Catalogue, predicted: str | None
) -> tuple[str, ...]:
    """That the default is predicted, where neither the run nor the name tells another."""
    tells = run.quantization is not None or identity.is_path or identity.tells_quantization
    if predicted is None or tells or _tells_quantization(identity.model, catalogue):
        return ()
    return (
        f"The run does not tell its quantization, and {predicted} is predicted: name another with"
        f" the model, as in --model NAME-Q8_0.",
    )


def _is_here(path: str) -> bool:
    """A file of that path lies on this machine, and is one that a model is read of."""
    try:
        return path.lower().endswith(".gguf") and os.path.isfile(path)
    except ValueError:
        return False


def _names_in_catalogue(run: Run, catalogue: Catalogue) -> list[tuple[str, str, str]]:
    """What the run itself calls its model where the catalogue has that: the name, whose word it is
    (`Identity.by`) and the id.
    """
    base = _NUMBERED.sub("", (run.file or "").replace("\\", "/").rpartition("/")[2])
    name = run.name or ""
    # a server may be started with the folder of a download
    names = [(base, "file-name"), (name.rpartition("/")[2] if name[:1] == "/" else name, "name")]
    ids = [(name, by, id_of(name, catalogue)) for name, by in names if name]
    return [(name, by, spec_id) for name, by, spec_id in ids if spec_id is not None]


def _tells_quantization(name: str, catalogue: Catalogue) -> bool:
    candidate = look_up(name, catalogue)
    return candidate is not None and candidate.quantization is not None


def _unlike_counts(run: Run, catalogue: Catalogue, spec_id: str) -> tuple[int, int] | None:
    """The parameters of the run and of the model, where those are two models'; an encoder of
    images lies in a file of its own.
    """
    outline = catalogue.outline(spec_id)
    if outline is None or outline.modality != "text":
        return None
    stated, seen = outline.parameters_total, run.parameters
    if not stated or not seen or abs(seen / stated - 1) < _OTHER_COUNT:
        return None
    return seen, stated


def _may_be_stored(seen: int, stated: int, spec: ModelSpec) -> bool:
    """Whether a file of the model may hold so many parameters: with what predicts further tokens,
    or with a shared table twice, as Qwen publishes Qwen2.5 0.5B (630 million instead of 494).
    """
    more = [spec.parameters.extra_in_files or 0]
    if spec.architecture is not None and spec.architecture.tied_embeddings:
        more.append((spec.architecture.vocabulary or 0) * spec.architecture.embedding_length)
    return any(abs(seen / (stated + each) - 1) < _OTHER_COUNT for each in more)


def _of_another_model(run: Run, catalogue: Catalogue, typed: str) -> str | None:
    """What to say where the run calls its model otherwise than was typed, as a tune may be called
    by the model that it was made from. Raises `SelfhostError` where it had another number of
    parameters: no figure of such a run can be compared.
    """
    spec_id = id_of(typed, catalogue)
    if spec_id is None:
        return None
    others = [other for _, _, other in _names_in_catalogue(run, catalogue)]
    is_named_otherwise = bool(others) and spec_id not in others
    # the record goes into bug reports and names nothing of the user's
    is_public = is_named_otherwise and catalogue.is_shipped(others[0])
    other_id = others[0] if is_public else "NAME"
    counts = _unlike_counts(run, catalogue, spec_id)
    if counts is not None and not _may_be_stored(*counts, catalogue.spec(spec_id)):
        raise SelfhostError(
            f"the run loaded another model than {spec_id}: it had {units.count(counts[0])}"
            f" parameters, and that has {units.count(counts[1])}",
            remedy=(
                f"name the one that it loaded, --model {other_id}, or give its file:"
                f" --model ./model.gguf"
            ),
        )
    if not is_named_otherwise:
        return None
    return (
        "The run names another model than you do. If it loaded what it names, type"
        f" --model {other_id}."
    )


def _of_shape(run: Run, catalogue: Catalogue) -> str | None:
    """The id of a model of the same architecture and as many parameters, the one that most people
    use first: of tunes that share a shape it is what their publisher started from. What sees has
    its encoders in a file of their own, so it may have more than the run tells.
    """
    count, standings = run.parameters, Standings.of_catalogue(catalogue)
    if count is None or run.architecture is None:
        return None
    decodes = any(pace.kind == "decode" for pace in run.paces)
    kinds = GENERATING if decodes else MODALITIES
    near = []
    for outline in catalogue.outlines():
        total = outline.parameters_total
        if not total or outline.modality not in kinds:
            continue
        is_same, sees = abs(total / count - 1) < _SAME_COUNT, outline.modality == "vision"
        if is_same or (sees and total > count):
            is_far = abs(total - count) > _ROUNDED
            near.append(
                (not is_same, is_same and is_far, *standings.by_use(outline.id), outline.id)
            )
    for *_, spec_id in sorted(near):
        spec = catalogue.spec(str(spec_id))
        if _has_shape(spec, run.architecture, count):
            return spec.id
    return None


def _has_shape(spec: ModelSpec, architecture: str, count: int) -> bool:
    """Whether it has that architecture and as many parameters, with its encoders or without."""
    row = spec.architecture.row if spec.architecture is not None else None
    total, encoders = spec.parameters.total or 0, spec.parameters.encoders or 0
    is_near = any(abs(each / count - 1) < _SAME_COUNT for each in (total, total - encoders))
    return row == architecture and is_near
