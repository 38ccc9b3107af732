"""Which model a run was of: by what was typed, its file or its own name."""

from __future__ import annotations

import os
import re

from ...catalogue.index import Catalogue
from ...catalogue.names import id_of, look_up
from ...core import units
from ...core.errors import SelfhostError, UnknownModelError
from ...core.records import Record
from .run import Run

# of a text model: a converter may leave out layers that predict further tokens, which are 14 of the
# 685 billion parameters of DeepSeek-V3 (its model card); what differs by more is another (assumed)
_OTHER_COUNT = 0.05
# `.gguf`, with the number of a part before it
_NUMBERED = re.compile(r"(?:-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)


class Identity(Record):
    """What to judge: a name of the catalogue, or the path of the file itself. `by` is typed, file,
    file-name or name; `note` a sentence where another model may be meant.
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
        note = _of_another_model(run, catalogue, typed)
        tells = typed.lower().endswith(".gguf") or _states_quantization(typed, catalogue)
        return Identity(model=typed, by="typed", note=note, tells_quantization=tells)
    file = run.file or ""
    if file.lower().endswith(".gguf") and "\0" not in file and os.path.isfile(file):
        return Identity(model=file, is_path=True, by="file", tells_quantization=True)
    base = _NUMBERED.sub("", file.replace("\\", "/").rpartition("/")[2])
    # a server may be started with the folder of a download
    name = (run.name or "").rpartition("/")[2] if (run.name or "")[:1] == "/" else run.name
    for word, by in ((base, "file-name"), (name, "name")):
        if word and id_of(word, catalogue) is not None:
            return _named(word, by, run, catalogue)
    raise UnknownModelError(
        "the run does not tell which model it loaded, or no model that is known",
        remedy="name it: add --model NAME, or --model ./model.gguf",
    )


def _named(word: str, by: str, run: Run, catalogue: Catalogue) -> Identity:
    note, counts = None, _unlike_counts(run, catalogue, id_of(word, catalogue) or "")
    if counts is not None:
        # a tune of another base, or a table that is shared and was stored twice
        note = (
            f"The run's file holds {counts[0]} parameters, and the model that it is called by"
            f" {counts[1]}: give the file itself with --model."
        )
    # what a model calls itself may be the precision that it was made from
    tells = by == "file-name" and _states_quantization(word, catalogue)
    return Identity(model=word, by=by, note=note, tells_quantization=tells)


def _states_quantization(name: str, catalogue: Catalogue) -> bool:
    candidate = look_up(name, catalogue)
    return candidate is not None and candidate.quantization is not None


def _unlike_counts(run: Run, catalogue: Catalogue, spec_id: str) -> tuple[str, str] | None:
    """The parameters of the run and of the model, where those are two models'; an encoder of
    images lies in a file of its own. A file may hold more than its model, what predicts further
    tokens or a shared table twice, as that of Qwen2.5 0.5B (630 million of 494).
    """
    outline = catalogue.outline(spec_id)
    if outline is None or outline.modality != "text":
        return None
    stated, seen = outline.parameters_total, run.parameters
    if not stated or not seen or abs(seen / stated - 1) < _OTHER_COUNT:
        return None
    spec = catalogue.spec(spec_id)
    more, inside = [spec.parameters.extra_in_files or 0], spec.architecture
    if inside is not None and inside.tied_embeddings:
        more.append((inside.vocabulary or 0) * inside.embedding_length)
    if any(abs(seen / (stated + each) - 1) < _OTHER_COUNT for each in more):
        return None
    return units.count(seen), units.count(stated)


def _of_another_model(run: Run, catalogue: Catalogue, typed: str) -> str | None:
    """What to say where the run calls its model otherwise than was typed, as a tune may be called
    by the model that it was made from. Raises `SelfhostError` where it had another number of
    parameters: no figure of such a run can be compared.
    """
    spec_id = id_of(typed, catalogue)
    if spec_id is None:
        return None
    if counts := _unlike_counts(run, catalogue, spec_id):
        raise SelfhostError(
            f"the run loaded another model than {spec_id}: it had {counts[0]} parameters, and that"
            f" has {counts[1]}",
            remedy="name the one that it loaded, --model NAME, or --model ./model.gguf",
        )
    named = id_of(run.name, catalogue) if run.name else None
    if named in (None, spec_id):
        return None
    return "The run names another model than you do. If it loaded what it names, type --model NAME."
