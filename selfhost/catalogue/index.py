"""Which specs exist, shipped and of a user's own folders; the names that each model answers to, and
its outline. Shipped specs are read in their stored form (`core/stored.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial

from ..core import tables
from ..core.errors import Problem, SpecError, UnknownModelError, WorkloadError
from ..core.records import Record, shortened, shown
from ..core.stored import Store, folders_in_environment, shipped_store
from ..core.tables import Document, TomlRow
from ..core.units import canonical
from .name_table import NAME_TABLE
from .runtime import RuntimeSpec
from .spec import ModelSpec, read_spec_file, stated_spec
from .spec_values import SOURCES_ENDING
from .uses import uses_table

# words of a source where a successor follows from dates or our judgement, and no publisher names it
_JUDGED = ("release dates", "our judgement")


class Outline(Record):
    """What tells whether a model's spec is worth reading. `purpose`: what it was made for, by its
    main use. `parameters_read`: those that a token uses but for encoders and for tables, of which
    it looks up rows; None where the layers are not known. `next`: a served model's successor, else
    what supersedes it; `next_is_judged`: the publisher does not say it, its spec does.
    """

    id: str
    family: str | None
    modality: str
    uses: tuple[str, ...] | None
    closed: bool
    parameters_total: int | None
    parameters_active: int | None
    parameters_read: int | None
    released: str | None
    superseded_by: str | None
    aliases: tuple[str, ...]
    next: str | None
    next_is_judged: bool
    purpose: str
    tuned_from: str | None

    @classmethod
    def of_row(cls, row: TomlRow) -> Outline:
        """The outline of a row of `outlines_in`, which has lists in place of tuples."""
        values = dict(row)
        values["aliases"] = tuple(values["aliases"])
        if values["uses"] is not None:
            values["uses"] = tuple(values["uses"])
        return cls(**values)


# a row of a table, behind its name
NamedRow = tuple[str, TomlRow]


class Catalogue:
    """The specs of one shipped folder and of a user's folders; made by `open`."""

    def __init__(self, shipped: ShippedSpecs, own: Sequence[OwnSpecs] = ()) -> None:
        self._shipped = shipped
        self._own = own
        # where the shipped specs lie, and the price snapshot that ships with them
        self.folder = shipped.path
        self.offers_path = os.path.join(shipped.path, "common", "offers.jsonl")
        # the folder named last comes first: it overrides the earlier ones
        self._folders: tuple[SpecFolder, ...] = (*reversed(own), shipped)

    @classmethod
    def open(
        cls, extra: Sequence[str | os.PathLike[str]] = (), *, shipped: str | None = None
    ) -> Catalogue:
        """The shipped specs (of the folder `shipped`, if named) and those of the folders `extra`,
        where a later one overrides an earlier. A faulty spec is met when it is asked for. Raises
        `SpecError` for a folder that is none.
        """
        folder = ShippedSpecs(Store(shipped)) if shipped else _shipped()._shipped
        return cls(folder, [OwnSpecs(os.fspath(path)) for path in extra])

    def __reduce__(self) -> tuple[object, ...]:
        # another process opens it anew
        paths = [folder.path for folder in self._own]
        return partial(Catalogue.open, shipped=self.folder), (paths,)

    def ids(self) -> tuple[str, ...]:
        """Every model's id, sorted."""
        ids: set[str] = set()
        for folder in self._folders:
            ids.update(folder.files)
        return tuple(sorted(ids))

    def __contains__(self, id: str) -> bool:
        return any(id in folder.files for folder in self._folders)

    def spec(self, id: str) -> ModelSpec:
        """The spec with exactly this id. Raises `SpecError` with every fault of its file,
        `UnknownModelError` where there is none.
        """
        folders = [folder for folder in self._folders if id in folder.files]
        if not folders:
            message = f"no spec has the id {id!r}"
            raise UnknownModelError(message, remedy="`selfhost list` shows them all")
        spec = folders[0].spec(id)
        if len(folders) == 1:
            return spec
        return spec.replace(overrides=folders[1].files[id])

    def specs(self, ids: Iterable[str] | None = None) -> Iterator[ModelSpec]:
        """The specs of these ids, of all without; faulty ones are left out."""
        if ids is None:
            ids = self.ids()
        for spec_id in ids:
            try:
                yield self.spec(spec_id)
            except SpecError:
                continue

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def runtime(self, id: str) -> RuntimeSpec:
        """The runtime with this id. `WorkloadError` for none, `SpecError` for a wrong file."""
        document = self._runtime_document(id)
        root = document.root
        root.get("schema", "int")
        values = root.fields(RuntimeSpec)
        root.close()
        if not document.ok:
            raise SpecError(document.problems)
        values["library"] = values["library"] or id
        return RuntimeSpec(**values)

    def _runtime_document(self, id: str) -> Document:
        """What states a runtime: a file of `runtimes/`, or a table of `common/programs.toml`."""
        programs = self.common("programs")
        stated = programs["program"].get(id)
        if stated is not None:
            values = _filled_from(programs["default"], {"id": id, **stated})
            return Document("specs/common/programs.toml", values)
        if id in self._shipped.runtime_names:
            return tables.stored_table(self._shipped.store, f"runtimes/{id}")
        known = ", ".join(self.runtime_ids())
        raise WorkloadError.of("runtime", f"{id!r} is not known", f"one of {known}")

    @cache  # noqa: B019
    def runtime_ids(self) -> tuple[str, ...]:
        """Every runtime's id, sorted: files of `runtimes/`, tables of `common/programs.toml`."""
        programs = self.common("programs")["program"]
        return tuple(sorted((*self._shipped.runtime_names, *programs)))

    def common(self, name: str) -> TomlRow:
        """As `shipped_table`, of its own folder."""
        return tables.shipped_table(name, self.folder)

    @cache  # noqa: B019
    def common_tables(self, file: str, table: str) -> Mapping[str, NamedRow]:
        """Each `[table.NAME]` of `common/<file>.toml` with its name, by that and its `aliases`."""
        by_name: dict[str, NamedRow] = {}
        rows: TomlRow = self.common(file).get(table, {})
        for name, row in rows.items():
            for spelling in (name, *row.get("aliases", ())):
                by_name.setdefault(canonical(spelling), (name, row))
        return by_name

    def is_shipped(self, id: str) -> bool:
        """Whether the spec `id` is the shipped one: no folder of the user's has another."""
        is_overridden = any(id in folder.files for folder in self._own)
        return id in self._shipped.files and not is_overridden

    @property
    def own_faults(self) -> tuple[Problem, ...]:
        """Every fault of every file in the user's folders."""
        faults: list[Problem] = []
        for folder in reversed(self._own):
            for faults_of_file in folder.faults.values():
                faults += faults_of_file
        return tuple(faults)

    def id_named(self, key: str, *kinds: str, is_own: bool = False) -> str | None:
        """The id of the model that has this name, as `canonical` writes it; None where none has.

        `kinds` says as what the name is looked up, in turn: "ids", "aliases", or "whole" (an id, a
        repository, a title). For each kind the user's folders are asked before the shipped one, and
        with `is_own` they alone. Raises `UnknownModelError` where several models of a folder have
        the name.
        """
        folders: Sequence[SpecFolder] = self._own[::-1] if is_own else self._folders
        for kind in kinds:
            for folder in folders:
                ids = folder.ids_named(key, kind)
                if len(ids) == 1:
                    return ids[0]
                if ids:
                    raise _ambiguous(key, ids)
        return None

    def spellings(self, most_aliases: int | None = None) -> tuple[str, ...]:
        """Every id and alias as its spec writes it, sorted; of a model at most so many aliases."""
        names: set[str] = set()
        for outline in self.outlines.values():
            names.add(outline.id)
            names.update(outline.aliases[:most_aliases])
        return tuple(sorted(names))

    @cached_property
    def outlines(self) -> Mapping[str, Outline]:
        """Every model in a few words, by id, without reading its spec."""
        by_id: dict[str, Outline] = {}
        for folder in reversed(self._folders):
            for outline in folder.outlines:
                by_id[outline.id] = outline
        return dict(sorted(by_id.items()))

    def current_first(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The newest of each model's line, in the order of these ids; behind all of them the models
        that they supersede.
        """
        current: list[str] = []
        superseded: list[str] = []
        for id in ids:
            line = self._line_of(id)
            newest = line.pop()
            current.append(newest)
            superseded += reversed(line)
        return tuple(dict.fromkeys(current + superseded))

    def _line_of(self, id: str) -> list[str]:
        """The model, the open one of its modality that supersedes it, and so on to the newest."""
        line = [id]
        while line[-1] in self.outlines:
            outline = self.outlines[line[-1]]
            after = self.outlines.get(outline.superseded_by or "")
            if after is None or after.closed or after.modality != outline.modality:
                break
            if after.id in line:
                break
            line.append(after.id)
        return line


def _ambiguous(key: str, ids: Sequence[str]) -> UnknownModelError:
    """The error for a name of several models."""
    others = ", ".join(ids[:-1])
    message = f'"{shortened(key)}" may mean {others} or {ids[-1]}'
    remedy = "type one of these names in full"
    return UnknownModelError(message, nearest=ids, remedy=remedy)


class SpecFolder:
    """Specs by their ids: of each the path of its file, the record, and the names it answers to."""

    def __init__(self, path: str, files: Mapping[str, str]) -> None:
        self.path = path
        # of each id, sorted, the path of its file
        self.files = files
        self._specs: dict[str, ModelSpec] = {}

    def spec(self, id: str) -> ModelSpec:
        """The spec of that id. Raises `SpecError` with every fault of its file."""
        if id in self._specs:
            return self._specs[id]
        document, spec = self._read(id)
        if spec is not None and document.ok and id != spec.id:
            document.add(("id",), *misnamed(spec.id, f"{id}.toml"))
        if spec is None or not document.ok:
            raise SpecError(document.problems)
        self._specs[id] = spec
        return spec

    def _read(self, id: str) -> tuple[Document, ModelSpec | None]:
        """The file of that id, and what is right in it; None where that is nothing."""
        raise NotImplementedError

    def names(self, wanted: str) -> Mapping[str, str]:
        """What a name means, as `canonical` writes it, as one of `aliases` or as a `whole` (an id,
        a repository, a title). Several ids are joined by `/`.
        """
        raise NotImplementedError

    def ids_named(self, key: str, kind: str) -> Sequence[str]:
        """The ids of the models that have that name, as one of "ids", "aliases" or "whole"."""
        names = self.names("aliases" if kind == "aliases" else "whole")
        if key not in names:
            return ()
        ids = names[key].split("/")
        # a whole name that is an id means the models of that id alone
        if kind == "ids" and canonical(ids[0]) != key:
            return ()
        return ids

    @property
    def outlines(self) -> Sequence[Outline]:
        raise NotImplementedError


class ShippedSpecs(SpecFolder):
    """The specs that come with selfhost, in `models/OWNER/<id>.toml`, read in their stored form."""

    def __init__(self, store: Store) -> None:
        index = store.value("index", lambda: _index_of(store.folder))
        place = os.path.join(store.folder, "")
        if store.is_package:
            # faults name a file as a checkout has it
            place = "specs/"
        files = {id: f"{place}{path}" for id, path in index["models"].items()}
        super().__init__(store.folder, files)
        self.store = store
        self.runtime_names: Sequence[str] = index["runtimes"]
        self._rows = store.rows("models", self._make_rows)

    def _read(self, id: str) -> tuple[Document, ModelSpec | None]:
        path = self.files[id]
        values = self._rows[id]
        if values is None:
            # the file is no TOML: it says why
            document = read_spec_file(path)
        else:
            document = Document(path, values, is_checked=self.store.is_package)
        return document, stated_spec(document, path)

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def names(self, wanted: str) -> Mapping[str, str]:
        names: Mapping[str, str] = self.store.value(
            wanted, lambda: names_in(self._rows, wanted)
        )
        return names

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        rows = self.store.value("outlines", lambda: outlines_in(self._rows))
        return [Outline.of_row(row) for row in rows]

    def keep_all(self) -> None:
        """Make every value of the stored form that follows from models and runtimes."""
        for kind in NAME_KINDS:
            self.names(kind)
        _ = self.outlines
        for name in self.runtime_names:
            tables.stored_table(self.store, f"runtimes/{name}")

    def _make_rows(self) -> TomlRow:
        """What each file states, by id; None of a file that is no TOML."""
        rows: dict[str, TomlRow | None] = {}
        for id, path in self.files.items():
            document = read_spec_file(path)
            rows[id] = document.values if document.ok else None
        return rows


class OwnSpecs(SpecFolder):
    """The files `<id>.toml` in one of the user's folders."""

    def __init__(self, path: str) -> None:
        files = {id: os.path.join(path, f"{id}.toml") for id in _names_in(path)}
        super().__init__(path, files)

    def _read(self, id: str) -> tuple[Document, ModelSpec | None]:
        from .spec_rules import read_model_spec

        document = read_spec_file(self.files[id])
        return document, read_model_spec(document, self.files[id])

    @cached_property
    def faults(self) -> Mapping[str, Sequence[Problem]]:
        """The faults of each faulty file, by its id."""
        faults = {}
        for id in self.files:
            try:
                self.spec(id)
            except SpecError as error:
                faults[id] = error.problems
        return faults

    @cached_property
    def _rows(self) -> Mapping[str, TomlRow]:
        """What each file states, by id; of a faulty file nothing."""
        rows: dict[str, TomlRow] = {}
        for id, path in self.files.items():
            rows[id] = {} if id in self.faults else read_spec_file(path).values
        return rows

    @cache  # noqa: B019
    def names(self, wanted: str) -> Mapping[str, str]:
        return names_in(self._rows, wanted)

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        return [Outline.of_row(row) for row in outlines_in(self._rows)]


def _index_of(folder: str) -> TomlRow:
    """The paths of the models of a folder of specs, by their ids, and the names of its runtimes."""
    models = os.path.join(folder, "models")
    paths: dict[str, str] = {}
    for owner in _names_in(models, ""):
        for id in _names_in(os.path.join(models, owner)):
            paths[id] = f"models/{owner}/{id}.toml"
    runtimes = os.path.join(folder, "runtimes")
    names = _names_in(runtimes) if os.path.isdir(runtimes) else []
    return {"models": dict(sorted(paths.items())), "runtimes": names}


# kinds of names that a folder of specs tells apart
NAME_KINDS = ("aliases", "whole")


def names_in(rows: TomlRow, wanted: str) -> dict[str, str]:
    """Return what the specs' names mean, by a name as `canonical` writes it (see `names`)."""
    titles: dict[str, str] = {}
    repositories: dict[str, str] = {}
    ids: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for id, row in rows.items():
        # of a file that is no TOML only the id is known
        values = row or {}
        repositories_of_model = _repositories_of(values)
        _add_names(titles, id, _titles_of(id, values, repositories_of_model))
        hosted = _hosted_names(id, values)
        _add_names(repositories, id, [*repositories_of_model, *hosted])
        _add_names(ids, id, [id])
        _add_names(aliases, id, values.get("aliases", ()))
    if wanted == "aliases":
        return aliases
    # a name that is an id means that model, whatever repository or title is called so, too
    return {**titles, **repositories, **ids}


def _add_names(meanings: dict[str, str], id: str, names: Iterable[str]) -> None:
    """Let each of the names mean the model `id` too."""
    for name in names:
        key = canonical(name)
        ids = meanings[key].split("/") if key in meanings else []
        if id not in ids:
            meanings[key] = "/".join([*ids, id])


def _repositories_of(values: TomlRow) -> list[str]:
    """The model's repository, under all names that lead there."""
    if "repository" not in values:
        return []
    repositories = [values["repository"]]
    for form, other in NAME_TABLE.other_repository.items():
        for repository in [re.sub(form, other, known) for known in repositories]:
            if repository not in repositories:
                repositories.append(repository)
    return repositories


def _titles_of(id: str, values: TomlRow, repositories: Iterable[str]) -> list[str]:
    """The model's name, and the names of its repositories without the account."""
    titles = [values.get("name", id)]
    for repository in repositories:
        title = repository.partition("/")[2]
        if title:
            titles.append(title)
    return titles


def _hosted_names(id: str, values: TomlRow) -> list[str]:
    """Repositories of the model's GGUF files, and its name as resellers of APIs write it."""
    names = []
    for files in values.get("files", ()):
        if files["format"] == "gguf" and "repository" in files:
            names.append(files["repository"])
    if "availability" in values:
        # openai/gpt-4o
        provider = values["availability"]["provider"]
        names.append(f"{provider}/{id}")
    return names


def outlines_in(rows: TomlRow) -> list[TomlRow]:
    """Return the fields of each spec's `Outline`."""
    return [_outline(id, values or {}) for id, values in rows.items()]


def _outline(id: str, values: TomlRow) -> TomlRow:
    counts = values.get("parameters", {})
    openness = values.get("openness", {})
    upkeep = values.get("upkeep", {})
    uses = list(values.get("uses", ()))
    successor = values.get("availability", {}).get("successor")
    superseded_by = upkeep.get("superseded_by")
    return {
        "id": id,
        "family": values.get("family"),
        "modality": values.get("modality", "text"),
        "uses": uses or None,
        "closed": openness.get("weights") == "closed",
        "parameters_total": counts.get("total"),
        "parameters_active": counts.get("active"),
        "parameters_read": _parameters_read(counts, values.get("architecture")),
        "released": values.get("released"),
        "superseded_by": superseded_by,
        "aliases": list(values.get("aliases", ())),
        "next": successor or superseded_by,
        "next_is_judged": _is_next_judged(values, successor),
        "purpose": _purpose(uses),
        "tuned_from": values.get("tuned_from"),
    }


def _is_next_judged(values: TomlRow, successor: str | None) -> bool:
    """Whether the spec says what comes after a model, and its publisher does not."""
    # where the successor stands, there is its source
    place = "upkeep" if successor is None else "availability"
    source = values.get("sources", {}).get(place, "")
    return not source or any(words in source for words in _JUDGED)


def _purpose(uses: Sequence[str]) -> str:
    """What a model was made for, by its main use."""
    known = uses_table().use
    if not uses or uses[0] not in known:
        return "general"
    return known[uses[0]].purpose or "general"


def _parameters_read(counts: TomlRow, architecture: TomlRow | None) -> int | None:
    """The `parameters_read` of an outline, by the tables of its spec."""
    used: int | None = counts.get("active") or counts.get("total")
    if used is None or architecture is None:
        return None
    width: int = architecture["embedding_length"]
    # a tied table is the output matrix, too, which each token reads whole
    if architecture.get("tied_embeddings"):
        width = 0
    per_layer: int = architecture.get("per_layer_embedding_length", 0)
    width += per_layer * architecture["layers"]
    vocabulary: int = architecture.get("vocabulary", 0)
    encoders: int = counts.get("encoders", 0)
    return used - encoders - vocabulary * width


def _filled_from(default: TomlRow, stated: TomlRow) -> TomlRow:
    """The stated values of a program, each table of them over the same table of the default."""
    values = {**default, **stated}
    for key, table in default.items():
        if isinstance(table, Mapping) and key in stated:
            values[key] = {**table, **stated[key]}
    return values


@cache
def _shipped() -> Catalogue:
    return Catalogue(ShippedSpecs(shipped_store()))


def open_catalogue(specs: Sequence[str | os.PathLike[str]] = ()) -> Catalogue:
    """The shipped specs and the user's own folders; without these it is opened once per process.

    Raises as `refuse_unread` where a folder is a catalogue in place of the shipped one.
    """
    typed = [os.fspath(path) for path in specs]
    folders = [*folders_in_environment(), *typed]
    if not folders:
        return _shipped()
    # only where folders are named
    from ..core.catalogues import own_folders, refuse_unread

    refuse_unread(folders)
    return Catalogue.open(own_folders(folders))


def _names_in(path: str, ending: str = ".toml") -> list[str]:
    """The names in a folder that end so, without the ending, sorted."""
    try:
        files = [name for name in os.listdir(path) if name[0] != "."]
    except (OSError, ValueError) as error:
        # a null character in a path is a `ValueError`
        message = f"cannot be listed: {getattr(error, 'strerror', None) or error}"
        remedy = "name a folder that holds <id>.toml files"
        problem = Problem(file=shown(path), message=message, remedy=remedy)
        raise SpecError([problem]) from None
    names = []
    for file in files:
        if file.endswith(ending) and not file.endswith(SOURCES_ENDING):
            names.append(file.removesuffix(ending))
    return sorted(names)


def spec_files_in(folder: str) -> list[str]:
    """The paths of the spec files in a folder, in the order of their ids. `SpecError` where it
    cannot be listed.
    """
    return [os.path.join(folder, f"{id}.toml") for id in _names_in(folder)]


def misnamed(id: str, file: str) -> tuple[str, str]:
    """What is wrong with a spec in a file of another name than its id, and what to do."""
    message = f'is "{shortened(id)}", but the file is called {shown(file)}'
    return message, f"the file is named after the id: {shortened(id)}.toml"
