"""Which specs exist, shipped and of a user's own folders; the names that each model answers to, and
its outline. A package has in place of a checkout's TOML files what `tools/packed_specs.py` writes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial

from ..core import Any, tables
from ..core.errors import Problem, SpecError, UnknownModelError, WorkloadError
from ..core.records import Record, shortened, shown
from ..core.tables import Document
from ..core.units import canonical
from .runtime import RuntimeSpec
from .spec import ModelSpec, read_spec_file, stated_spec
from .spec_values import SOURCES_ENDING

SPECS_VARIABLE = "SELFHOST_SPECS"
# in a package: the places of the specs of all models, their outlines, the specs
INDEX_FILE, OUTLINES_FILE = f"index{tables.STORED}", f"outlines{tables.STORED}"
MODELS_FILE = f"models{tables.STORED}"

# words of a source where a successor follows from dates or our judgement, and no publisher names it
_JUDGED = ("release dates", "our judgement")


class Outline(Record):
    """What tells whether a model's spec is worth reading. `purpose`: what it was made for, by its
    main use. `next`: a served model's successor, else what supersedes it; `next_is_judged`: the
    publisher does not say it, its spec does.
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
    next_is_judged: bool
    purpose: str
    tuned_from: str | None


class Catalogue:
    """The specs of one shipped folder and of a user's folders; made by `open`."""

    def __init__(self, shipped: SpecFolder, own: Sequence[SpecFolder] = ()) -> None:
        self._shipped, self._own = shipped, own
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
        folder = specs_in(shipped) if shipped else _shipped()._shipped
        return cls(folder, [SpecFolder(os.fspath(path), [""], is_own=True) for path in extra])

    def __reduce__(self) -> tuple[Any, ...]:
        # another process opens it anew
        return partial(Catalogue.open, shipped=self.folder), ([each.path for each in self._own],)

    def ids(self) -> tuple[str, ...]:
        """Every model's id, sorted."""
        return tuple(sorted({spec_id for folder in self._folders for spec_id in folder.files}))

    def __contains__(self, id: str) -> bool:
        return any(id in folder.files for folder in self._folders)

    def spec(self, id: str) -> ModelSpec:
        """The spec with exactly this id. Raises `SpecError` with every fault of its file,
        `UnknownModelError` where there is none.
        """
        if not (folders := [folder for folder in self._folders if id in folder.files]):
            message, remedy = f"no spec has the id {id!r}", "`selfhost list` shows them all"
            raise UnknownModelError(message, remedy=remedy)
        spec = folders[0].spec(id)
        return spec.replace(overrides=folders[1].files[id]) if folders[1:] else spec

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
        programs = self.common("programs")
        if own := programs["program"].get(id):
            sources = {**programs["default"]["sources"], **own["sources"]}
            values = {"id": id, **programs["default"], **own, "sources": sources}
            document = Document("specs/common/programs.toml", values)
        elif id in self.runtime_ids():
            document = tables.table_at(os.path.join(self.folder, "runtimes", id))
        else:
            remedy = f"one of {', '.join(self.runtime_ids())}"
            raise WorkloadError.of("runtime", f"{id!r} is not known", remedy)
        root = document.root
        root.get("schema", "int")
        values = root.fields(RuntimeSpec)
        root.close()
        if not document.ok:
            raise SpecError(document.problems)
        # what it does not state is as of itself, and of any other GPU
        values["library"] = values["library"] or id
        shared = values["shared_compute_capability"] or values["compute_capability"]
        return RuntimeSpec(**{**values, "shared_compute_capability": shared})

    @cache  # noqa: B019
    def runtime_ids(self) -> tuple[str, ...]:
        """Every runtime's id, sorted: files of `runtimes/`, tables of `common/programs.toml`."""
        folder = os.path.join(self.folder, "runtimes")
        files = _names_in(folder, (".toml", tables.STORED)) if os.path.isdir(folder) else ()
        return tuple(sorted((*files, *self.common("programs")["program"])))

    def common(self, name: str) -> Mapping[str, Any]:
        """As `shipped_table`, of its own folder."""
        return tables.shipped_table(name, self.folder)

    @cache  # noqa: B019
    def common_tables(self, file: str, table: str) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """Each `[table.NAME]` of `common/<file>.toml` with its name, by that and its `aliases`."""
        by_name: dict[str, tuple[str, Mapping[str, Any]]] = {}
        for name, entry in self.common(file).get(table, {}).items():
            for spelling in (name, *entry.get("aliases", ())):
                by_name.setdefault(canonical(spelling), (name, entry))
        return by_name

    def is_shipped(self, id: str) -> bool:
        """Whether the spec `id` is the shipped one: no folder of the user's has another."""
        return id in self._shipped.files and not any(id in folder.files for folder in self._own)

    @property
    def own_faults(self) -> tuple[Problem, ...]:
        """Every fault of every file in the user's folders."""
        faults = [each for folder in self._folders[:-1] for each in folder.faults.values()]
        return tuple([fault for each in faults for fault in each])

    def id_named(self, key: str, *kinds: str, is_own: bool = False) -> str | None:
        """The id of the model that has this name, as `canonical` writes it, as one of these kinds:
        "ids", "aliases" or "whole"; `is_own`: of a user's spec. Raises `UnknownModelError` where
        several have it.
        """
        for kind in kinds:
            for folder in self._folders[:-1] if is_own else self._folders:
                names = folder.names("aliases" if kind == "aliases" else "whole")
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
        outlines = self.outlines.values()
        return tuple(sorted({name for each in outlines for name in (each.id, *each.aliases)}))

    @cached_property
    def outlines(self) -> Mapping[str, Outline]:
        """Every model in a few words, by id, without reading its spec."""
        by_id = {each.id: each for folder in reversed(self._folders) for each in folder.outlines}
        return {spec_id: by_id[spec_id] for spec_id in sorted(by_id)}

    def current_first(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The models in that order, each after the open one that supersedes it, which come last."""
        outlines, current, superseded = self.outlines, list[str](), list[str]()
        for id in ids:
            line = [id]
            while own := outlines.get(line[-1]):
                after = outlines.get(own.superseded_by or "")
                if after is None or after.closed or after.modality != own.modality:
                    break
                if after.id in line:
                    break
                line.append(after.id)
            current.append(line[-1])
            superseded += line[-2::-1]
        return tuple(dict.fromkeys(current + superseded))


class SpecFolder:
    """The `<id>.toml` files in these folders `below` a path; `is_own`: they are a user's."""

    def __init__(self, path: str, below: Iterable[str], *, is_own: bool = False) -> None:
        self.path, self._is_own = path, is_own
        folders = [os.path.join(path, name) for name in below]
        places = {id: each for each in folders for id in _names_in(each)}
        self.files = {id: os.path.join(places[id], f"{id}.toml") for id in sorted(places)}
        self._specs: dict[str, ModelSpec] = {}

    def document(self, id: str) -> Document:
        return read_spec_file(self.files[id])

    def spec(self, id: str) -> ModelSpec:
        if id not in self._specs:
            document = self.document(id)
            read = stated_spec
            if self._is_own:
                from .spec_rules import read_model_spec as read
            spec = read(document, self.files[id])
            if spec is not None and document.ok and id != spec.id:
                document.add(("id",), *misnamed(spec.id, f"{id}.toml"))
            if spec is None or not document.ok:
                raise SpecError(document.problems)
            self._specs[id] = spec
        return self._specs[id]

    @cached_property
    def faults(self) -> Mapping[str, Sequence[Problem]]:
        faults = {}
        for id in self.files:
            try:
                self.spec(id)
            except SpecError as error:
                faults[id] = error.problems
        return faults

    @cached_property
    def values(self) -> Mapping[str, Mapping[str, Any]]:
        """What each file states, by id; of a user's faulty one nothing."""
        faulty = self.faults if self._is_own else {}
        return {id: {} if id in faulty else self.document(id).values for id in self.files}

    @cache  # noqa: B019
    def names(self, wanted: str) -> Mapping[str, str]:
        """What a name means, as `canonical` writes it, as one of `aliases` or as a `whole` (an id,
        a repository, a title). Several ids are joined by `/`.
        """
        titles, repositories, ids, aliases = kinds = [dict[str, str]() for _ in range(4)]
        for id, values in self.values.items():
            for kind, names in zip(kinds, _names_of(id, values), strict=True):
                for key in map(canonical, names):
                    meant = [each for each in kind.get(key, "").split("/") if each not in ("", id)]
                    kind[key] = "/".join((*meant, id))
        return aliases if wanted == "aliases" else {**titles, **repositories, **ids}

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        outlines, kinds = [], tables.shipped_table("uses")["use"]
        for spec_id, values in self.values.items():
            served, upkeep = values.get("availability", {}), values.get("upkeep", {})
            counts, uses = values.get("parameters", {}), tuple(values.get("uses", ()))
            successor = served.get("successor")
            place = "upkeep" if successor is None else "availability"
            source = values.get("sources", {}).get(place, "")
            outlines.append(
                Outline(
                    id=spec_id,
                    family=values.get("family"),
                    modality=values.get("modality", "text"),
                    uses=uses or None,
                    closed=values.get("openness", {}).get("weights") == "closed",
                    parameters_total=counts.get("total"),
                    parameters_active=counts.get("active"),
                    released=values.get("released"),
                    superseded_by=upkeep.get("superseded_by"),
                    aliases=tuple(values.get("aliases", ())),
                    next=successor or upkeep.get("superseded_by"),
                    next_is_judged=not source or any(words in source for words in _JUDGED),
                    purpose=kinds.get(uses[0] if uses else "", {}).get("purpose", "general"),
                    tuned_from=values.get("tuned_from"),
                )
            )
        return outlines


class PackedSpecs(SpecFolder):
    def __init__(self, path: str) -> None:
        super().__init__(path, ())
        # of each spec the file that its faults name, and its place in the one file
        self._places = tables.read_stored(os.path.join(path, INDEX_FILE))
        self.files = {id: place[0] for id, place in self._places.items()}

    def document(self, id: str) -> Document:
        file, *place = self._places[id]
        return Document(file, tables.read_stored(os.path.join(self.path, MODELS_FILE), *place))

    @cache  # noqa: B019
    def names(self, wanted: str) -> Any:
        return tables.read_stored(os.path.join(self.path, wanted + tables.STORED))

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        rows = tables.read_stored(os.path.join(self.path, OUTLINES_FILE))
        return [Outline(**row) for row in rows]


def specs_in(path: str) -> SpecFolder:
    if os.path.exists(os.path.join(path, INDEX_FILE)):
        return PackedSpecs(path)
    owners = _names_in(os.path.join(path, "models"), ("",))
    return SpecFolder(path, [os.path.join("models", owner) for owner in owners])


@cache
def _shipped() -> Catalogue:
    return Catalogue(specs_in(tables.shipped_folder()))


def open_catalogue(specs: Sequence[str | os.PathLike[str]] = ()) -> Catalogue:
    """The shipped specs and the user's own folders; without these it is opened once per process."""
    folders = [folder for folder in os.environ.get(SPECS_VARIABLE, "").split(os.pathsep) if folder]
    return Catalogue.open([*folders, *specs]) if folders or specs else _shipped()


def _names_in(path: str, endings: tuple[str, ...] = (".toml",)) -> list[str]:
    """Those of the files in a folder that end so, without it, sorted."""
    try:
        files = [name for name in os.listdir(path) if name[0] != "."]
    except (OSError, ValueError) as error:
        # a null character in a path is a `ValueError`
        message = f"cannot be listed: {getattr(error, 'strerror', None) or error}"
        remedy = "name a folder that holds <id>.toml files"
        raise SpecError([Problem(file=shown(path), message=message, remedy=remedy)]) from None
    files = [name for name in files if not name.endswith(SOURCES_ENDING)]
    return sorted(name.removesuffix(end) for name in files for end in endings if name.endswith(end))


def misnamed(id: str, file: str) -> tuple[str, str]:
    """What is wrong with a spec in a file of another name than its id, and what to do."""
    message = f'is "{shortened(id)}", but the file is called {shown(file)}'
    return message, f"the file is named after the id: {shortened(id)}.toml"


def _names_of(id: str, values: Mapping[str, Any]) -> tuple[list[str], ...]:
    """Its titles, repositories, ids and aliases, with all that mean the same weights."""
    repositories = [values["repository"]] if "repository" in values else []
    for form, other in tables.shipped_table("names")["other_repository"].items():
        changed = [re.sub(form, other, each) for each in repositories]
        repositories += [each for each in changed if each not in repositories]
    titles = [name for each in repositories if (name := each.partition("/")[2])]
    for table in values.get("files", ()):
        if table["format"] == "gguf" and "repository" in table:
            repositories.append(table["repository"])
    if "availability" in values:
        # as resellers of APIs write it: openai/gpt-4o
        repositories.append(f"{values['availability']['provider']}/{id}")
    return [values.get("name", id), *titles], repositories, [id], [*values.get("aliases", ())]
