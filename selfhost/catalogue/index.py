"""Which specs exist, shipped and of a user's own folders; the names that each model answers to, and
its outline. A package has `package_files` in place of the TOML files of a checkout.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

from ..core import tables
from ..core.errors import Problem, SpecError, UnknownModelError, WorkloadError
from ..core.records import Record, shortened, shown
from ..core.spelling import canonical
from ..core.tomlfile import Document
from .runtime import RuntimeSpec, read_runtime_spec
from .spec import ModelSpec, read_model_spec, read_spec_file
from .spec_values import SOURCES_ENDING

SPECS_VARIABLE = "SELFHOST_SPECS"
# in a package: the names of all models with the places of their specs, their outlines, the specs
_PARTS = ("index", "outlines", "models")
INDEX_FILE, OUTLINES_FILE, MODELS_FILE = (f"{part}{tables.STORED}" for part in _PARTS)

# `whole` (ids, repositories, titles) and `aliases`: a name as `canonical` writes it -> the id of
# its spec; several are joined by `/`
Names = Mapping[str, Mapping[str, str]]

# words of a source where a successor follows from dates or our judgement, and no publisher names it
_JUDGED = ("release dates", "our judgement")


class Outline(Record):
    """As much of a model as one must know to decide whether its spec is worth reading.

    `purpose`: what it was made for, by its main use. `retired`: from then on it is not served;
    `next`: a served model's successor, else what supersedes it; `next_is_judged`: the publisher
    does not say it, its spec does.
    """

    id: str
    family: str | None
    modality: str
    uses: tuple[str, ...] | None
    closed: bool
    parameters_total: int | None
    parameters_active: int | None
    released: str | None
    superseded_by: str | None
    aliases: tuple[str, ...]
    next: str | None
    retired: str | None
    next_is_judged: bool
    purpose: str
    tuned_from: str | None

    @property
    def is_in_ollama(self) -> bool:
        """Whether one of its aliases is a tag of Ollama's library."""
        return any(":" in alias for alias in self.aliases)


class Catalogue:
    """The specs of one shipped folder and of a user's folders; made by `open`."""

    def __init__(self, shipped: _Folder, own: Sequence[_Folder] = ()) -> None:
        self._shipped = shipped
        # where the shipped specs lie, and the price snapshot that ships with them
        self.folder = shipped.path
        self.offers_path = os.path.join(shipped.path, "common", "offers.jsonl")
        # the folder named last comes first: it overrides the earlier ones
        self._folders = (*reversed(own), shipped)

    @classmethod
    def open(
        cls, extra: Sequence[str | os.PathLike[str]] = (), *, shipped: str | None = None
    ) -> Catalogue:
        """The shipped specs (of the folder `shipped`, if named) and those of the folders `extra`,
        where a later one overrides an earlier. A faulty spec is met when it is asked for. Raises
        `SpecError` for a folder that is none.
        """
        folder = _specs_in(shipped) if shipped else _shipped()._shipped
        return cls(folder, [_Folder(os.fspath(path)) for path in extra])

    def __reduce__(self) -> tuple[Any, ...]:
        # another process opens it anew
        own = [folder.path for folder in reversed(self._folders[:-1])]
        return partial(Catalogue.open, shipped=self.folder), (own,)

    def ids(self) -> tuple[str, ...]:
        """Every model's id, sorted."""
        return tuple(sorted({spec_id for folder in self._folders for spec_id in folder.ids}))

    def __contains__(self, id: str) -> bool:
        return any(id in folder.ids for folder in self._folders)

    def spec(self, id: str) -> ModelSpec:
        """The spec with exactly this id. Raises `SpecError` with every fault of its file,
        `UnknownModelError` where there is none.
        """
        if not (folders := [folder for folder in self._folders if id in folder.ids]):
            message, remedy = f"no spec has the id {id!r}", "`selfhost list` shows them all"
            raise UnknownModelError(message, remedy=remedy)
        spec = folders[0].spec(id)
        return spec.replace(overrides=folders[1].file(id)) if folders[1:] else spec

    def specs(self, ids: Iterable[str] | None = None) -> Iterator[ModelSpec]:
        """The specs of these ids, of all without; faulty ones are left out."""
        for spec_id in self.ids() if ids is None else ids:
            try:
                yield self.spec(spec_id)
            except SpecError:
                continue

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def runtime(self, id: str) -> RuntimeSpec:
        """The runtime with this id. `WorkloadError` for none, `SpecError` for a wrong file."""
        if id not in self.runtime_ids():
            remedy = f"one of {', '.join(self.runtime_ids())}"
            raise WorkloadError.of(("runtime", f"{id!r} is not known", remedy))
        programs = self.common("programs")
        if own := programs["program"].get(id):
            sources = {**programs["default"]["sources"], **own["sources"]}
            values = {"id": id, **programs["default"], **own, "sources": sources}
            document = Document("specs/common/programs.toml", values)
        else:
            document = tables.table_at(os.path.join(self.folder, "runtimes", id))
        if (runtime := read_runtime_spec(document)) is None:
            raise SpecError(document.problems)
        return runtime

    def runtime_ids(self) -> tuple[str, ...]:
        """Every runtime's id, sorted: files of `runtimes/`, tables of `common/programs.toml`."""
        folder = os.path.join(self.folder, "runtimes")
        files = _names_in(folder, (".toml", tables.STORED)) if os.path.isdir(folder) else ()
        return tuple(sorted((*files, *self.common("programs")["program"])))

    def common(self, name: str) -> Mapping[str, Any]:
        """As `shipped_table`, of its own folder."""
        return tables.shipped_table(name, self.folder)

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def common_tables(self, file: str, table: str) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """Each `[table.NAME]` of `common/<file>.toml` with its name, by that and its `aliases`."""
        by_name: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name, entry in self.common(file).get(table, {}).items():
            for spelling in (name, *entry.get("aliases", ())):
                by_name.setdefault(canonical(spelling), (name, entry))
        return by_name

    def is_shipped(self, id: str) -> bool:
        """Whether the spec `id` is the shipped one: no folder of the user's has another."""
        return id in self._shipped.ids and not any(id in each.ids for each in self._folders[:-1])

    @cached_property
    def own_faults(self) -> tuple[Problem, ...]:
        """Every fault of every file in the user's folders."""
        own = self._folders[:-1]
        return tuple([fault for each in own for id in each.ids for fault in each.faults(id)])

    def id_named(self, key: str, *kinds: str, is_own: bool = False) -> str | None:
        """The id of the model that has this name, as `canonical` writes it, as one of these kinds:
        "ids", "aliases" or "whole"; `is_own`: of a user's spec. Raises `UnknownModelError` where
        several have it.
        """
        for kind in kinds:
            for folder in self._folders[:-1] if is_own else self._folders:
                names = folder.names["aliases" if kind == "aliases" else "whole"]
                ids = names.get(key, "").split("/")
                if ids == [""] or (kind == "ids" and canonical(ids[0]) != key):
                    continue
                if len(ids) > 1:
                    message = f'"{shortened(key)}" may mean {", ".join(ids[:-1])} or {ids[-1]}'
                    remedy = "type one of these names in full"
                    raise UnknownModelError(message, nearest=ids, remedy=remedy)
                return ids[0]
        return None

    def spellings(self) -> tuple[str, ...]:
        """Every id and alias as its spec writes it, sorted."""
        rows = [row for folder in self._folders for row in folder.outlines]
        return tuple(sorted({name for row in rows for name in (row["id"], *row["aliases"])}))

    @cached_property
    def outlines(self) -> Mapping[str, Outline]:
        """Every model in a few words, by id, without reading its spec."""
        rows = [row for folder in reversed(self._folders) for row in folder.outlines]
        by_id = {row["id"]: Outline(**row) for row in rows}
        return {spec_id: by_id[spec_id] for spec_id in sorted(by_id)}

    @cached_property
    def open_by_size(self) -> tuple[Outline, ...]:
        """Those whose weights are not closed, those with the fewest parameters first."""
        models = [outline for outline in self.outlines.values() if not outline.closed]
        return tuple(sorted(models, key=lambda outline: outline.parameters_total or 0))

    def current_first(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The models in that order, each after the open one that supersedes it, which come last."""
        current: dict[str, None] = {}
        superseded: dict[str, None] = {}
        for id in ids:
            chain, model = [id], self.outlines.get(id)
            while model is not None:
                after = self.outlines.get(model.superseded_by or "")
                is_alike = after and not after.closed and after.modality == model.modality
                model = after if after and is_alike and after.id not in chain else None
                chain += [model.id] if model else []
            current[chain.pop()] = None
            superseded.update(dict.fromkeys(reversed(chain)))
        return tuple({**current, **superseded})


class _Folder:
    """A folder of `<id>.toml` files: a user's own, or of those in the folders `below` it."""

    def __init__(self, path: str, below: Iterable[str] | None = None) -> None:
        self.path, self._is_own = path, below is None
        below = [""] if below is None else below
        places = [(id, name) for name in below for id in _names_in(os.path.join(path, name))]
        # an id -> the folder below `path` that its file lies in
        self.ids: Mapping[str, Any] = dict(sorted(places))
        self._specs: dict[str, ModelSpec] = {}

    def file(self, id: str) -> str:
        return os.path.join(self.path, self.ids[id], f"{id}.toml")

    def document(self, id: str) -> Document:
        return read_spec_file(self.file(id))

    def spec(self, id: str) -> ModelSpec:
        if id not in self._specs:
            document = self.document(id)
            spec = read_model_spec(document, self.file(id))
            if spec is not None and document.ok and id != spec.id:
                document.add(("id",), *misnamed(spec.id, f"{id}.toml"))
            if spec is None or not document.ok:
                raise SpecError(document.problems)
            self._specs[id] = spec
        return self._specs[id]

    def faults(self, id: str) -> Sequence[Problem]:
        try:
            self.spec(id)
        except SpecError as error:
            return error.problems
        return ()

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, Any]]:
        """What each file states, by id; of a user's faulty one nothing."""
        return {
            id: {}
            if self._is_own and self.faults(id)
            else tables.with_text_dates(self.document(id).values)
            for id in self.ids
        }

    @cached_property
    def names(self) -> Names:
        """What each name means, by how certain it is."""
        titles, repositories, ids, aliases = kinds = [dict[str, str]() for _ in range(4)]
        for id, values in self.values.items():
            for kind, names in zip(kinds, _names_of(id, values), strict=True):
                for key in map(canonical, names):
                    meant = [each for each in kind.get(key, "").split("/") if each not in ("", id)]
                    kind[key] = "/".join((*meant, id))
        return {"whole": {**titles, **repositories, **ids}, "aliases": aliases}

    @cached_property
    def outlines(self) -> Sequence[Mapping[str, Any]]:
        """The fields of an `Outline` of each model."""
        return [_outline(id, values) for id, values in self.values.items()]


class _Package(_Folder):
    def __init__(self, path: str) -> None:
        self.path, self._specs = path, {}
        # an id -> its file, where its spec begins, and how long it is; and the names
        self.ids, self.names = tables.read_stored(os.path.join(path, INDEX_FILE))

    def file(self, id: str) -> str:
        return f"specs/{self.ids[id][0]}"

    def document(self, id: str) -> Document:
        content = tables.read_stored(os.path.join(self.path, MODELS_FILE), *self.ids[id][1:])
        return Document(self.file(id), content)

    @cached_property
    def outlines(self) -> Sequence[Mapping[str, Any]]:
        path = os.path.join(self.path, OUTLINES_FILE)
        rows: Sequence[Mapping[str, Any]] = tables.read_stored(path)
        return rows


def _specs_in(path: str) -> _Folder:
    if os.path.exists(os.path.join(path, INDEX_FILE)):
        return _Package(path)
    owners = _names_in(os.path.join(path, "models"), ("",))
    return _Folder(path, [f"models/{owner}" for owner in owners])


@cache
def _shipped() -> Catalogue:
    return Catalogue(_specs_in(tables.shipped_folder()))


def open_catalogue(specs: Sequence[str | os.PathLike[str]] = ()) -> Catalogue:
    """The shipped specs and the user's own folders; without these it is opened once per process."""
    folders = [folder for folder in os.environ.get(SPECS_VARIABLE, "").split(os.pathsep) if folder]
    folders += [os.fspath(folder) for folder in specs]
    return Catalogue.open(folders) if folders else _shipped()


def package_files(source: str) -> dict[str, bytes]:
    """What a package has in place of the folder `source`, by the path below it."""
    from .offers import offer_lines

    folder, models, places = _specs_in(source), bytearray(), {}
    for spec_id, values in folder.values.items():
        content = tables.to_stored(values, is_packed=True)
        file = f"{folder.ids[spec_id]}/{spec_id}.toml"
        places[spec_id] = (file, len(models), len(content))
        models += content
    contents = {
        INDEX_FILE: tables.to_stored((places, folder.names)),
        OUTLINES_FILE: tables.to_stored(folder.outlines),
        MODELS_FILE: bytes(models),
    }
    for sub in ("common", "runtimes"):
        for name, values in _Folder(os.path.join(source, sub), [""]).values.items():
            contents[f"{sub}/{name}{tables.STORED}"] = tables.to_stored(values)
    machines = _Folder(os.path.join(source, "machines"), [""]).values
    contents[f"machines{tables.STORED}"] = tables.to_stored(machines)
    offers = os.path.join(source, "common", "offers.jsonl")
    contents[f"common/offers{tables.STORED}"] = tables.to_stored(offer_lines(offers))
    return contents


def _names_in(path: str, endings: tuple[str, ...] = (".toml",)) -> list[str]:
    """Those of the files in a folder that end so, without it, sorted."""
    try:
        files = [name for name in os.listdir(path) if name[0] != "."]
    except (OSError, ValueError) as error:
        # a null character in a path is a `ValueError`
        message = f"cannot be listed: {getattr(error, 'strerror', None) or error}"
        remedy = "name a folder that holds <id>.toml files"
        problem = Problem(file=shown(path), message=message, remedy=remedy)
        raise SpecError([problem]) from None
    files = [name for name in files if not name.endswith(SOURCES_ENDING)]
    return sorted(name.removesuffix(end) for name in files for end in endings if name.endswith(end))


def misnamed(id: str, file: str) -> tuple[str, str]:
    """What is wrong with a spec in a file of another name than its id, and what to do."""
    message = f'is "{shortened(id)}", but the file is called {shown(file)}'
    return message, f"the file is named after the id: {shortened(id)}.toml"


def _names_of(id: str, values: Mapping[str, Any]) -> tuple[list[str], ...]:
    """Its titles, repositories, ids and aliases, with every name that Hugging Face had or has for
    the same weights: without `-hf`, which marks a conversion to transformers, or `-BF16`; Llama 3
    and 3.1 were `Meta-Llama-…`.
    """
    owner, _, name = values.get("repository", "").partition("/")
    names = [name] if name else []
    if name.lower().endswith(("-hf", "-bf16")):
        names.append(name.rpartition("-")[0])
    if owner.lower() == "meta-llama" and name.lower().startswith("llama-3"):
        names.append(f"Meta-{name}")
    old = tables.shipped_table("names")["old_account"]
    owners = filter(None, (owner, old.get(owner.lower())))
    repositories = [f"{each}/{name}" for each in owners for name in names] or [owner] * bool(owner)
    for table in values.get("files", ()):
        if table["format"] == "gguf" and "repository" in table:
            repositories.append(table["repository"])
    if "availability" in values:
        # as resellers of APIs write it: openai/gpt-4o
        repositories.append(f"{values['availability']['provider']}/{id}")
    return [values.get("name", id), *names], repositories, [id], [*values.get("aliases", ())]


def _outline(spec_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    served, upkeep = values.get("availability", {}), values.get("upkeep", {})
    feeding = values.get("architecture", {}).get("feed_forward")
    is_dense = feeding and not any("experts" in part for part in feeding)
    is_known = is_dense and "parameters.active" not in values.get("unknown", {})
    counts, successor = values.get("parameters", {}), served.get("successor")
    total, uses = counts.get("total"), values.get("uses", ())
    kinds = tables.shipped_table("uses")["use"]
    source = values.get("sources", {}).get("upkeep" if successor is None else "availability", "")
    return {
        "id": spec_id,
        **{key: values.get(key) for key in ("family", "released", "tuned_from")},
        "modality": values.get("modality", "text"),
        "uses": tuple(uses) or None,
        "closed": values.get("openness", {}).get("weights") == "closed",
        "parameters_total": total,
        "parameters_active": counts.get("active", total if is_known else None),
        "superseded_by": upkeep.get("superseded_by"),
        "aliases": tuple(values.get("aliases", ())),
        "next": successor or upkeep.get("superseded_by"),
        "retired": served.get("retired"),
        "purpose": kinds.get(uses[0] if uses else "", {}).get("purpose", "general"),
        "next_is_judged": not source or any(words in source for words in _JUDGED),
    }
