"""New specs of models that the catalogue lacks, and changed texts of those that it has."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from pathlib import Path

from selfhost.catalogue.spec import License, ModelSpec, Openness, Parameters, Safety
from selfhost.core.records import Record
from selfhost.modelfiles import spec_text
from selfhost.modelfiles.source import identifier
from selfhost.modelfiles.specfiles import check_spec_files

from .comparing import Compared, Difference, Known
from .editing import changed, with_size, without
from .listings import is_packed
from .statements import LIBRARY, Statement, in_order, value_at, with_value

# no file that a model is published with says these
_BY_HAND = {
    "family": "no file states it",
    "uses": "no file states what it was made for",
    "openness": "no file states what was published of training",
}
# rows of architectures.toml and settings that no table of ours holds: a person decides
_NOT_WRITTEN = (
    "weight_bytes", "safety.formats", "architecture.audio", "license.id", "tag.size", "tag.context",
)  # fmt: skip


class NewSpec(Record):
    """A spec that is proposed: its file's text, and what is left for a person to find out."""

    id: str
    text: str
    statements: tuple[Statement, ...]
    missing: tuple[tuple[str, str], ...]


class ChangedSpec(Record):
    """A change of a spec that is proposed. `by_hand` are differences that no change is written
    for.
    """

    id: str
    diff: str
    by_hand: tuple[Difference, ...]


class Aside(Record):
    """Statements of a model of which no spec is proposed, and why."""

    name: str
    files: tuple[str, ...]
    why: str


def new_spec(statements: Sequence[Statement], known: Known) -> NewSpec | Aside:
    """A spec of a model that is not in the catalogue, of all that is said of it."""
    shape = next((each for each in statements if each.spec.architecture is not None), None)
    first = shape or statements[0]
    name = first.repository or first.name

    def aside(why: str) -> Aside:
        return Aside(name=name, files=tuple(each.file for each in statements), why=why)

    if any(each.spec.quantized for each in statements) or is_packed(name):
        return aside("is a quantized copy: its sizes belong to the spec of what it was made of")
    if shape is None or shape.spec.architecture is None:
        why = first.spec.unknown.get("architecture", "no config.json or GGUF header says its sizes")
        return aside(why)
    if "(incomplete)" in shape.spec.architecture.row:
        return aside(next(iter(shape.spec.unknown.values()), "its config.json is incomplete"))
    spec = _joined(shape, statements, known)
    problems, read = _checked(spec, known)
    if problems:
        return aside(f"its spec would not pass spec check: {'; '.join(problems)}")
    return NewSpec(
        id=spec.id,
        text=spec_text(spec),
        statements=tuple(statements),
        missing=tuple(sorted({**spec.unknown, **_unstated(read)}.items())),
    )


def _unstated(spec: ModelSpec) -> dict[str, str]:
    reasons = dict(_BY_HAND)
    if spec.released is None:
        reasons["released"] = "no listing with the day it was created lies beside it"
    if spec.developer is None:
        reasons["developer"] = "the catalogue has no other model of this owner"
    if spec.license is None:
        reasons["license"] = "no listing or model card with a license lies beside it"
    return reasons


def _joined(shape: Statement, statements: Sequence[Statement], known: Known) -> ModelSpec:
    """One spec of what several files say; the first that states a fact is followed."""
    spec = shape.spec
    architecture = spec.architecture
    assert architecture is not None
    repository = next((each.repository for each in statements if each.repository), None)
    sources = {"architecture": shape.label, "parameters": "sum over the architecture"}
    unknown = {key: why for key, why in spec.unknown.items() if key not in ("files", "license.id")}
    spec = spec.replace(
        id=_free_id(shape, repository, known),
        name=shape.name.replace("-", " ").replace("_", " ") if repository else spec.name,
        repository=repository,
        developer=known.developers.get(repository.partition("/")[0]) if repository else None,
        architecture=in_order(architecture),
        parameters=spec.parameters if spec.parameters.total else Parameters(),
        openness=Openness(weights="published") if repository else Openness(),
        license=None,
        safety=Safety(remote_code=spec.safety.remote_code),
        files=(),
        origin="",
        tensors=(),
        tokenizer=None if repository else spec.tokenizer,
    )
    if repository:
        unknown.pop("tokenizer", None)
        sources["openness"] = f"the repository {repository} holds the weights"
    for key in ("license", "gated", "released", "tuned_from", "safety.formats"):
        said = next((each for each in statements if _has(each, key)), None)
        if said is not None:
            value = value_at(said.spec, key)
            if isinstance(value, License):
                value = known.licenses.get(value.id or "", value)
            spec = with_value(spec, key, value)
            sources[key.partition(".")[0]] = said.label
    if spec.gated is None and repository:
        unknown["gated"] = "no file says whether the repository asks for a login"
    if spec.safety != Safety():
        sources.setdefault("safety", shape.label)
    if spec.license is None:
        unknown["license.id"] = "no file says"
    if spec.parameters.total is None:
        sources.pop("parameters")
    sizes = [files for each in statements for files in each.spec.files if each.kind == "listing"]
    return spec.replace(sources=sources, unknown=unknown, files=tuple(sizes))


def _has(statement: Statement, key: str) -> bool:
    return f"{key}.id" in statement.keys or key in statement.keys


def _free_id(statement: Statement, repository: str | None, known: Known) -> str:
    """The name as an id; with its owner in front where another model has that name."""
    plain = identifier(statement.name)
    if known.catalogue.named_so(plain) is None or repository is None:
        return plain
    return identifier(repository.replace("/", "-"))


def _checked(spec: ModelSpec, known: Known) -> tuple[list[str], ModelSpec]:
    """What `spec check` says of the spec's text, and the spec as it is read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"{spec.id}.toml")
        Path(path).write_text(spec_text(spec), encoding="utf-8")
        catalogue = known.catalogue
        problems, good = check_spec_files([path], catalogue.specs(), catalogue.runtime_ids())
    return [f"{problem.key}: {problem.message}" for problem in problems], next(iter(good), spec)


def changed_spec(compared: Compared, text: str) -> ChangedSpec:
    """What of the differences a change of the spec's text would mend, with the sources it would
    name.
    """
    spec = mended = compared.spec
    by_hand: list[Difference] = []
    new = text
    written: dict[str, Statement] = {}
    for key, differences in _by_key(compared.open).items():
        values = {str(each.theirs) for each in differences}
        if key.startswith("files."):
            before, new = new, _sized(new, differences[0]) if len(values) == 1 else new
            by_hand += differences if new == before else ()
            continue
        # what another license allows is read by a person
        is_other_license = key == "license.id" and spec.license is not None
        if len(values) > 1 or is_other_license or key in _NOT_WRITTEN or compared.agreeing.get(key):
            by_hand += differences
            continue
        said = differences[0].statement
        mended = with_value(mended, key, value_at(said.spec, key))
        if mended.architecture is not None:
            mended = mended.replace(architecture=in_order(mended.architecture))
        table, _, name = key.rpartition(".")
        new = without(changed(new, table, name, spec_text(mended)), "unknown", key)
        written[key] = said
    sources = _sources(compared, written)
    mended = mended.replace(sources=sources)
    for name in sources:
        if sources[name] != spec.sources.get(name):
            new = changed(new, "sources", name, spec_text(mended))
    place = "/".join(spec.origin.split(os.sep)[-4:])
    diff = unified_diff(
        text.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"a/{place}",
        f"b/{place}",
    )
    return ChangedSpec(id=spec.id, diff="".join(diff), by_hand=tuple(by_hand))


def _sized(text: str, difference: Difference) -> str:
    """The text with the size of a file that a listing of its repository has."""
    said = difference.statement
    if said.repository is None:
        return text
    source = f"listing of {said.repository}" + (f", {said.origin}" if said.origin else "")
    quantization = difference.key.partition(".")[2]
    return with_size(text, said.repository, quantization, difference.theirs, source)


def _by_key(differences: Iterable[Difference]) -> dict[str, list[Difference]]:
    by_key: dict[str, list[Difference]] = {}
    for difference in differences:
        by_key.setdefault(difference.key, []).append(difference)
    return by_key


def _sources(compared: Compared, written: dict[str, Statement]) -> dict[str, str]:
    """[sources] with each statement that a table's facts agree with, or would after the change,
    behind those that stand there. Copies whose origin nobody noted are named nowhere.
    """
    sources = dict(compared.spec.sources)
    for statement in compared.statements:
        if statement.origin is None:
            continue
        disputed = {each.key for each in compared.differences if each.statement is statement}
        disputed -= {key for key, said in written.items() if said is statement}
        if statement.tag is not None:
            _note_tag(sources, statement, compared)
            continue
        for table in ("architecture", "parameters", "license", "gated"):
            if table == "parameters" and statement.kind == "config.json":
                # counted of the same keys as its architecture
                continue
            keys = {key for key in statement.keys if key.partition(".")[0] == table}
            facts = keys & {*compared.agreeing, *written}
            before = sources.get(table, "")
            if not facts or _names(before, statement.origin):
                continue
            but = sorted(key.partition(".")[2] or key for key in keys & disputed)
            if but == sorted(key.partition(".")[2] for key in keys):
                continue
            agrees = "agrees" + (f" but for {', '.join(but)}" if but else "")
            word = f"{statement.label} {agrees}"
            sources[table] = f"{before}; {word}" if before else statement.label
    return sources


def _note_tag(sources: dict[str, str], statement: Statement, compared: Compared) -> None:
    """Name a tag of Ollama's behind the sources of the sizes that it confirms."""
    agreed = [
        key.partition(".")[2]
        for key in statement.keys
        if statement in compared.agreeing.get(key, ())
    ]
    table = "architecture" if "architecture" in sources else "parameters"
    before = sources.get(table, "")
    # one word of the library is enough, wherever a copy of it was kept
    if "size" in agreed and statement.origin and LIBRARY not in before:
        what = " and ".join(agreed)
        word = f"{statement.label}: {what} of {statement.name} agree{'s' * (len(agreed) == 1)}"
        sources[table] = f"{before}; {word}" if before else word


def _names(text: str, origin: str) -> bool:
    """Whether a source stands in the text already: the same repository and commit, or package."""
    return origin in text or origin.partition(":")[0] in text
