"""The specs that exist, shipped and in a user's own folders, with the names and the outline of each
model.

What goes in: the folders. What comes out: a `Catalogue`, which gives a spec, a runtime or an
`Outline` by its id, and the id of a name. Shipped specs are read in their stored form
(`core/stored.py`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

from ..core import tables
from ..core.answering import folders_in_environment
from ..core.errors import Problem, SpecError, UnknownModelError, WorkloadError
from ..core.files import reason_of
from ..core.records import Record, Stated, shortened, shown
from ..core.stored import Store, answering_store, store_of
from ..core.tables import Document, TomlRow
from ..core.units import canonical, says_any
from .name_table import NAME_TABLE
from .runtime import RuntimeSpec
from .spec import ModelSpec, read_spec_file, stated_spec
from .spec_values import SOURCES_ENDING
from .uses import uses_table

# words in the source of a successor that no publisher named: it follows from dates or our judgement
_JUDGED = ("release dates", "our judgement")

AnyPath = str | os.PathLike[str]


class Outline(Record):
    """The facts about a model that tell whether its spec is worth reading.

    - `purpose`: the kind of work that the model was made for, found from its main use.
    - `parameters_read`: the parameters that a token uses, without encoders and without tables,
      of which only rows are looked up; None where the layers are not known.
    - `next`: the successor of a served model, else the model that supersedes this one.
    - `next_is_judged`: the spec names `next`, but the publisher does not.
    - `matrix_dtype`: the type in which the publisher left the matrices, where the spec states one.
    """

    id: str
    family: str | None
    modality: str
    uses: tuple[str, ...]
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
    matrix_dtype: str | None = None

    @classmethod
    def of_row(cls, row: TomlRow) -> Outline:
        """The outline of a stored row, which has lists in place of tuples."""
        values = dict(row)
        for field in ("uses", "aliases"):
            values[field] = tuple(values[field])
        return cls(**values)

    @classmethod
    def of_spec(cls, id: str, spec: ModelSpec) -> Outline:
        """The outline of the spec with that id."""
        superseded_by = spec.upkeep.superseded_by
        successor = None
        if spec.availability is not None:
            successor = spec.availability.successor
        matrix_dtype = None
        if spec.architecture is not None:
            matrix_dtype = spec.architecture.matrix_dtype
        # the source of the successor stands in the table that names the successor
        table = "availability" if successor else "upkeep"
        source = spec.sources.get(table, "")
        is_judged = says_any(source, _JUDGED)
        use = uses_table().use.get(spec.main_use)
        purpose = None if use is None else use.purpose
        return cls(
            id=id,
            family=spec.family,
            modality=spec.modality,
            uses=spec.uses or (),
            closed=spec.closed,
            parameters_total=spec.parameters.total,
            parameters_active=spec.parameters.active,
            parameters_read=_parameters_read(spec),
            released=spec.released,
            superseded_by=superseded_by,
            aliases=spec.aliases,
            next=successor or superseded_by,
            next_is_judged=is_judged or not source,
            purpose=purpose or "general",
            tuned_from=spec.tuned_from,
            matrix_dtype=matrix_dtype,
        )

    def has_use(self, use: str) -> bool:
        """Whether a source states the use."""
        return use in self.uses


def _parameters_read(spec: ModelSpec) -> int | None:
    """The `parameters_read` of an outline."""
    counts = spec.parameters
    model = spec.architecture
    used = counts.active or counts.total
    if used is None or model is None:
        return None
    # the elements that a token looks up in the tables; a tied table is read whole, because it is
    # the output matrix too
    row_length = 0
    if model.per_layer_embedding_length is not None:
        row_length = model.layers * model.per_layer_embedding_length
    if not model.tied_embeddings:
        row_length += model.embedding_length
    looked_up = model.published_tokens * row_length
    return used - counts.in_encoders - looked_up


class _Programs(Stated):
    """`specs/common/programs.toml`: the values of each program, over the `default` of all."""

    schema: int = 1
    default: Mapping[str, Any]
    program: Mapping[str, Any]

    def stated_of(self, id: str) -> TomlRow:
        """The values of a program: its own over those of `default`, merged table by table."""
        stated: TomlRow = self.program[id]
        values = {**self.default, "id": id, **stated}
        for key, usual in self.default.items():
            if isinstance(usual, dict) and key in stated:
                values[key] = {**usual, **stated[key]}
        return values


class Catalogue:
    """The specs of one shipped folder and of a user's folders; made by `open`."""

    def __init__(
        self,
        shipped: ShippedSpecs,
        users: Sequence[SpecFolder] = (),
    ) -> None:
        self._shipped = shipped
        # the folder named last comes first, since it overrides the earlier ones
        self._users = tuple(reversed(users))
        self._folders: Sequence[SpecFolder] = (*self._users, shipped)
        # the folder of the shipped specs, and the price snapshot shipped with them
        self.folder = shipped.path
        self.offers_path = os.path.join(self.folder, "common", "offers.jsonl")

    @classmethod
    def open(
        cls,
        extra: Sequence[AnyPath] = (),
        shipped: str | None = None,
    ) -> Catalogue:
        """The catalogue of the shipped specs (of the folder `shipped`, if named) and of the folders
        `extra`, of which a later one overrides an earlier one.

        Raises `SpecError` for a folder that cannot be listed. A faulty spec raises only when
        somebody asks for it.
        """
        users = []
        for path in extra:
            folder = os.fsdecode(path)
            users.append(SpecFolder(folder, spec_files_in(folder)))
        if shipped is None:
            store = answering_store()
        else:
            store = store_of(shipped)
        return cls(_shipped_specs(store), users)

    def __reduce__(self) -> tuple[object, ...]:
        # another process opens the catalogue anew
        users = [folder.path for folder in reversed(self._users)]
        arguments = users, self.folder
        return Catalogue.open, arguments

    def ids(self) -> tuple[str, ...]:
        """Every model's id, sorted."""
        ids: set[str] = set()
        for folder in self._folders:
            ids.update(folder.files)
        return tuple(sorted(ids))

    def __contains__(self, id: str) -> bool:
        return bool(self._folders_with(id))

    def _folders_with(self, id: str) -> list[SpecFolder]:
        """The folders that have a spec with this id, first the one whose spec counts."""
        return [folder for folder in self._folders if id in folder.files]

    def spec(self, id: str) -> ModelSpec:
        """The spec with exactly this id. Raises `SpecError` with every fault of its file,
        `UnknownModelError` where there is none.
        """
        folders = self._folders_with(id)
        if not folders:
            raise UnknownModelError(
                f"no spec has the id {id!r}", remedy="`selfhost list` shows them all"
            )
        spec = folders[0].spec(id)
        if len(folders) == 1:
            return spec
        overridden = folders[1].files[id]
        return spec.replace(overrides=overridden)

    def specs(self, ids: Iterable[str] | None = None) -> Iterator[ModelSpec]:
        """The specs of these ids, or of all models; faulty specs are left out."""
        if ids is None:
            ids = self.ids()
        for spec_id in ids:
            try:
                yield self.spec(spec_id)
            except SpecError:
                continue

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def runtime(self, id: str) -> RuntimeSpec:
        """The runtime with this id. Raises `WorkloadError` for an unknown id, and `SpecError` for a
        faulty file.
        """
        document = self._runtime_document(id)
        document.root.get("schema", "int")
        runtime = document.root.as_record(RuntimeSpec)
        if not document.ok:
            raise SpecError(document.problems)
        if runtime.library:
            return runtime
        return runtime.replace(library=id)

    def _runtime_document(self, id: str) -> Document:
        """The document that describes a runtime: a file of `runtimes/`, or a table of
        `common/programs.toml`. Raises `WorkloadError` for an unknown id.
        """
        programs = self._programs
        if id in programs.program:
            return Document(
                "specs/common/programs.toml",
                programs.stated_of(id),
                is_trusted=self._shipped.store.is_trusted,
            )
        shipped = self._shipped
        if id in shipped.runtime_names:
            return tables.stored_table(shipped.store, f"runtimes/{id}")
        known = ", ".join(self.runtime_ids())
        raise WorkloadError.of("runtime", f"{id!r} is not known", f"one of {known}")

    @cache  # noqa: B019
    def runtime_ids(self) -> tuple[str, ...]:
        """Every runtime's id, sorted: files of `runtimes/`, tables of `common/programs.toml`."""
        ids = list(self._shipped.runtime_names)
        ids += self._programs.program
        return tuple(sorted(ids))

    @cached_property
    def _programs(self) -> _Programs:
        stated = tables.shipped_table("programs", self.folder)
        return tables.unchecked_record(_Programs, stated)

    def section(self, file: str, name: str) -> TomlRow:
        """The values of one table of `common/<file>.toml` in the catalogue's own folder; empty
        where the file has no table of that name.
        """
        table = tables.shipped_table(file, self.folder)
        section: TomlRow = table.get(name, {})
        return section

    @cache  # noqa: B019
    def common_tables(self, file: str, table: str) -> Mapping[str, TomlRow]:
        """The tables `[table.NAME]` of `common/<file>.toml`, each with its `name`, by their names
        and `aliases` as `canonical` writes them.
        """
        by_name: dict[str, TomlRow] = {}
        for name, row in self.section(file, table).items():
            named = {**row, "name": name}
            aliases = row.get("aliases", ())
            for spelling in (name, *aliases):
                key = canonical(spelling)
                by_name.setdefault(key, named)
        return by_name

    def is_shipped(self, id: str) -> bool:
        """Whether the spec `id` is the shipped one: no folder of the user's has another."""
        for folder in self._users:
            if id in folder.files:
                return False
        return id in self._shipped.files

    @property
    def own_faults(self) -> tuple[Problem, ...]:
        """Every fault of every file in the user's folders."""
        faults: list[Problem] = []
        for folder in self._users:
            faults += folder.faults
        return tuple(faults)

    def id_named(
        self,
        key: str,
        *kinds: str,
        is_own: bool = False,
    ) -> str | None:
        """The id of the model with this name, as `canonical` writes it; None where no model has it.

        `kinds` are the kinds of names to look up, in turn: "ids", "aliases", or "whole" (an id, a
        repository, a title). For each kind the user's folders are searched before the shipped one;
        with `is_own` only they are. Raises `UnknownModelError` where several models of a folder
        have the name.
        """
        folders = self._users if is_own else self._folders
        for kind in kinds:
            for folder in folders:
                ids = folder.ids_named(key, kind)
                if len(ids) == 1:
                    return ids[0]
                if ids:
                    raise _several(key, ids)
        return None

    def spellings(self, most_aliases: int | None = None) -> tuple[str, ...]:
        """All ids and aliases as the specs write them, sorted. `most_aliases`: the most aliases of
        one model.
        """
        names = set(self.outlines)
        for outline in self.outlines.values():
            names.update(outline.aliases[:most_aliases])
        return tuple(sorted(names))

    @cached_property
    def makers(self) -> Mapping[str, Sequence[str]]:
        """The ids of the models of each maker, by the maker's names as `canonical` writes them."""
        makers: dict[str, list[str]] = {}
        for folder in self._folders:
            for name, ids in folder.names("makers").items():
                known = makers.setdefault(name, [])
                known.extend(ids)
        return makers

    @cached_property
    def outlines(self) -> Mapping[str, Outline]:
        """The outlines of all models by id, without reading their specs."""
        by_id = {}
        for folder in reversed(self._folders):
            for outline in folder.outlines:
                by_id[outline.id] = outline
        ids = sorted(by_id)
        return {id: by_id[id] for id in ids}

    def current_first(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The newest model of each line, in the order of these ids, and after them the models that
        they supersede.
        """
        current = []
        superseded: list[str] = []
        for id in ids:
            line = self._line_of(id)
            newest = line.pop()
            current.append(newest)
            superseded += reversed(line)
        return tuple(dict.fromkeys(current + superseded))

    def _line_of(self, id: str) -> list[str]:
        """The line of a model: the model, the open model of its modality that supersedes it, and so
        on to the newest.
        """
        line = [id]
        outline = self.outlines.get(id)
        while outline is not None:
            successor = self.outlines.get(outline.superseded_by or "")
            if successor is None or successor.id in line:
                break
            if successor.closed:
                break
            if successor.modality != outline.modality:
                break
            line.append(successor.id)
            outline = successor
        return line


def _several(key: str, ids: Sequence[str]) -> UnknownModelError:
    """The error for a name that means several models."""
    *others, last = ids
    listed = ", ".join(others)
    return UnknownModelError(
        f'"{shortened(key)}" may mean {listed} or {last}',
        nearest=ids,
        remedy="type one of these names in full",
    )


class SpecFolder:
    """The specs in a user's folder, by their ids: the path of each file, its record, and the names
    of the model.
    """

    def __init__(self, path: str, files: Mapping[str, str]) -> None:
        self.path = path
        # the path of the file of each id, sorted by id
        self.files = files

    def spec(self, id: str) -> ModelSpec:
        """The spec of that id. Raises `SpecError` with every fault of its file."""
        document, spec = self._read(id)
        if document.ok and spec is not None:
            if id == spec.id:
                return spec
            message, remedy = misnamed(spec.id, f"{id}.toml")
            document.add(("id",), message, remedy)
        raise SpecError(document.problems)

    @cache  # noqa: B019 - a catalogue lives as long as the program
    def _read(self, id: str) -> tuple[Document, ModelSpec | None]:
        """The file of that id, and the spec as far as it could be read; None where nothing
        could.
        """
        from .spec_rules import read_model_spec  # shipped specs skip the rules

        path = self.files[id]
        document = read_spec_file(path)
        spec = read_model_spec(document, path)
        return document, spec

    @cached_property
    def faults(self) -> Sequence[Problem]:
        """The faults of all files."""
        faults: list[Problem] = []
        for id in self.files:
            try:
                self.spec(id)
            except SpecError as error:
                faults += error.problems
        return faults

    @cached_property
    def _specs_by_id(self) -> Specs:
        """The specs of all files by id, as far as each file could be read; of a file that is no
        TOML, a spec with its id alone.
        """
        specs = {}
        for id in self.files:
            _, spec = self._read(id)
            specs[id] = spec or ModelSpec(id=id, name=id)
        return specs

    @cache  # noqa: B019
    def names(self, wanted: str) -> Mapping[str, Sequence[str]]:
        """The ids of the models that each name stands for.

        Names are written as `canonical` writes them. `wanted` is "aliases" for the aliases,
        "whole" for the ids, repositories and titles, or "makers" for the names of makers.
        """
        if wanted == "makers":
            return _makers_in(self._specs_by_id)
        if wanted != "aliases":
            return _whole_names_in(self._specs_by_id)
        aliases = _Meanings()
        for id, spec in self._specs_by_id.items():
            for alias in spec.aliases:
                aliases.add(alias, id)
        return aliases

    def ids_named(self, key: str, kind: str) -> Sequence[str]:
        """The ids of the models with that name. `kind` is "ids", "aliases" or "whole"."""
        wanted = "aliases" if kind == "aliases" else "whole"
        names = self.names(wanted)
        ids = names.get(key, ())
        # a whole name that is an id means only the models of this id
        if kind == "ids" and ids and canonical(ids[0]) != key:
            return ()
        return ids

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        """The outlines of all models in the folder."""
        outlines = []
        for id, spec in self._specs_by_id.items():
            outlines.append(Outline.of_spec(id, spec))
        return outlines


class ShippedSpecs(SpecFolder):
    """The specs that come with selfhost, in `models/OWNER/<id>.toml`, read in their stored form.
    The store also keeps the names and outlines derived from all files.
    """

    def __init__(self, store: Store) -> None:
        folder = store.folder
        index = store.value("index", lambda: _index_of(folder))
        place = os.path.join(folder, "")
        if store.is_package:
            # faults name a file by its path in a checkout
            place = "specs/"
        files = {}
        for id, path in index["models"].items():
            files[id] = place + path
        super().__init__(folder, files)
        self.store = store
        self.runtime_names: Sequence[str] = index["runtimes"]

    @cache  # noqa: B019
    def _read(self, id: str) -> tuple[Document, ModelSpec | None]:
        path = self.files[id]
        values = self._rows[id]
        if values is None:
            # the file is no TOML: reading it raises the reason
            document = read_spec_file(path)
        else:
            # the spec that somebody adds to a checkout is checked
            document = Document(path, values, is_trusted=self.store.is_package)
        return document, stated_spec(document, path)

    @cached_property
    def _rows(self) -> TomlRow:
        return self.store.rows("models", self._make_rows)

    def _make_rows(self) -> TomlRow:
        rows = {}
        for id, path in self.files.items():
            document = read_spec_file(path)
            rows[id] = document.values if document.ok else None
        return rows

    @cache  # noqa: B019
    def names(self, wanted: str) -> Mapping[str, Sequence[str]]:
        make = partial(super().names, wanted)
        names: Mapping[str, Sequence[str]] = self.store.value(wanted, make)
        return names

    @cached_property
    def outlines(self) -> Sequence[Outline]:
        rows = self.store.value("outlines", self._make_outlines)
        return list(map(Outline.of_row, rows))

    def _make_outlines(self) -> list[TomlRow]:
        outlines = super().outlines
        return [outline.__getstate__() for outline in outlines]


def _index_of(folder: str) -> TomlRow:
    """The paths of the models of a folder of specs, by their ids, and the names of its runtimes."""
    models = os.path.join(folder, "models")
    paths = {}
    for owner in _names_in(models, ""):
        owner_folder = os.path.join(models, owner)
        for id in _names_in(owner_folder):
            paths[id] = f"models/{owner}/{id}.toml"
    sorted_paths = dict(sorted(paths.items()))
    runtimes = os.path.join(folder, "runtimes")
    return {"models": sorted_paths, "runtimes": _names_in(runtimes)}


# the specs by id: names and outlines


Specs = Mapping[str, ModelSpec]


class _Meanings(dict[str, list[str]]):
    """The ids of the models that names stand for, by the name as `canonical` writes it."""

    def add(self, name: str, id: str) -> None:
        """Add the model `id` to the models that the name stands for."""
        ids = self.setdefault(canonical(name), [])
        if id not in ids:
            ids.append(id)


def _whole_names_in(specs: Specs) -> _Meanings:
    """The models that the ids, repositories and titles in the specs stand for."""
    names = _Meanings()
    repositories = _Meanings()
    ids = _Meanings()
    for id, spec in specs.items():
        ids.add(id, id)
        # a faulty file may state no name
        names.add(spec.name or id, id)
        own = _repositories_of(spec)
        for repository in own:
            repositories.add(repository, id)
        for name in (*own, *spec.aliases):
            title = name.partition("/")[2]
            if title:
                # some people write the title without the account
                names.add(title, id)
        for files in spec.files:
            if files.format == "gguf" and files.repository is not None:
                repositories.add(files.repository, id)
        if spec.availability is not None:
            # as resellers of APIs write it: openai/gpt-4o
            repositories.add(f"{spec.availability.provider}/{id}", id)
    # a name that is an id means that model, even if a repository or a title has the same name
    names.update(repositories)
    names.update(ids)
    return names


def _makers_in(specs: Specs) -> _Meanings:
    """The models that the names of makers stand for: the developer of a model, and the account of
    its repository.
    """
    makers = _Meanings()
    for id, spec in specs.items():
        for name in names_of_developer(spec):
            makers.add(name, id)
        if spec.repository is None:
            continue
        account, _, title = spec.repository.partition("/")
        if title:
            makers.add(account, id)
    return makers


def names_of_developer(spec: ModelSpec) -> Sequence[str]:
    """The names in the developer of a spec, which may have several: `Z.ai` and `Zhipu` of
    `Z.ai (Zhipu)`.
    """
    if spec.developer is None:
        return []
    parts = re.split(r"[(),/&]", spec.developer)
    names = map(str.strip, parts)
    return list(filter(None, names))


def _repositories_of(spec: ModelSpec) -> Sequence[str]:
    """All names of the model's repository, including those that redirect to it."""
    if spec.repository is None:
        return ()
    repositories = [spec.repository]
    for form, other in NAME_TABLE.other_repository.items():
        # a copy, since the loop adds repositories; the next form rewrites the added ones too
        for repository in tuple(repositories):
            written = re.sub(form, other, repository)
            if written not in repositories:
                repositories.append(written)
    return repositories


# opening a catalogue and listing the files of a folder


_shipped_specs = cache(ShippedSpecs)


@cache
def _shipped() -> Catalogue:
    return Catalogue.open()


def open_catalogue(specs: Sequence[AnyPath] = ()) -> Catalogue:
    """The catalogue of the shipped specs, of the folders that the environment names, and of the
    folders `specs`. Without such folders it is opened once for the process.

    Raises `UsageError` where a folder is a catalogue in place of the one that was read.
    """
    folders = folders_in_environment()
    folders += [os.fsdecode(path) for path in specs]
    if not folders:
        return _shipped()
    # imported only where folders are named
    from ..core.catalogues import own_folders, refuse_second_catalogue

    refuse_second_catalogue(folders)
    return Catalogue.open(own_folders(folders))


def _names_in(path: str, ending: str = ".toml") -> list[str]:
    """The names of the files in a folder that have an ending, without that ending, sorted. Hidden
    files and files of sources are left out. Raises `SpecError` where the folder cannot be listed.
    """
    try:
        files = os.listdir(path)
    except (OSError, ValueError) as error:
        problem = Problem(
            file=shown(path),
            message=f"cannot be listed: {reason_of(error)}",
            remedy="name a folder that holds <id>.toml files",
        )
        raise SpecError([problem]) from None
    names = []
    for file in files:
        is_hidden = file.startswith(".")
        if is_hidden or file.endswith(SOURCES_ENDING):
            continue
        if file.endswith(ending):
            names.append(file.removesuffix(ending))
    return sorted(names)


def spec_files_in(folder: str) -> Mapping[str, str]:
    """The paths of the spec files in a folder by their ids, sorted. Raises `SpecError` where the
    folder cannot be listed.
    """
    files = {}
    for id in _names_in(folder):
        files[id] = os.path.join(folder, f"{id}.toml")
    return files


def misnamed(id: str, file: str) -> tuple[str, str]:
    """The message and the remedy for a spec whose file is not named after its id."""
    message = f'is "{shortened(id)}", but the file is called {shown(file)}'
    return message, f"the file is named after the id: {shortened(id)}.toml"
