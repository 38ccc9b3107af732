"""Which specs exist: the shipped folder, through an index made when the package was built, then a
user's own folders.

The index is a copy of the TOML files in a form that reads fast. Each entry carries the size and
checksum of the file it was made from, and is used only while that file still has them; without an
index, or beside one that is out of date, the folder is scanned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, Sequence

from ..core.caching import cached_property
from ..core.errors import Problem, SpecError, UnknownModelError, WorkloadError
from ..core.parts import PACKAGE_FOLDER, UNREADABLE, Parts, Tables, joined, shipped_folder
from ..core.reading import Unreadable, read_file
from ..core.spelling import canonical
from ..core.tomlfile import MAX_FILE_BYTES, Document, shortened
from .spec import ModelSpec, RuntimeSpec
from .spec_values import BASE

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from .outlines import Outline

INDEX_FILE = "index.bin"
MAX_FILES = 10_000
_VERSION = 9
_SUBFOLDERS = ("", "common", "runtimes")

# what a name may be, from the most to the least certain; see `Names`
Names = Mapping[str, Mapping[str, str]]
_KINDS = ("ids", "aliases", "titles", "repositories")
# the parts of the index beside those of the files, whose names end in `.toml`
_SPELLINGS, _OUTLINES = "spellings", "outlines"
_NAMES_OF = {kind: f"names {kind}" for kind in _KINDS}
# of a common file: rows of one are asked for, and of some there are hundreds
_VALUES = "values {}"

# tables of which people type the names
_TYPED = {
    "common/families.toml": ("family", "tag"),
    "common/things.toml": ("thing",),
    "common/spread.toml": ("engine",),
}


class Catalogue:
    """The specs of one shipped folder and of a user's folders; made by `open`. Reads files,
    never writes one.
    """

    def __init__(self, shipped: _Folder, own: Sequence[_Folder] = ()) -> None:
        self._shipped = shipped
        # the folder named last comes first: it overrides the earlier ones
        self._folders = (*reversed(own), shipped)
        self._specs: dict[str, ModelSpec] = {}
        self._common: dict[str, Mapping[str, Any]] = {}
        self._tables: dict[tuple[str, str], Mapping[str, tuple[str, Mapping[str, Any]]]] = {}
        self._runtimes: dict[str, RuntimeSpec] = {}
        self._own_faults: tuple[Problem, ...] = ()
        self._outlines: Mapping[str, Outline] | None = None
        self._open_by_size: tuple[Outline, ...] | None = None
        self._base_ids: frozenset[str] | None = None
        # what others worked out of all its data, to be worked out once
        self.derived: dict[str, Any] = {}

    @classmethod
    def open(
        cls, extra: Sequence[str | os.PathLike[str]] = (), *, shipped: str | None = None
    ) -> Catalogue:
        """The shipped specs (of the folder `shipped`, if named) and those of the folders `extra`,
        where a later one overrides an earlier.

        A faulty spec spoils no other: it is met when it is asked for, and `own_faults` tells those
        of `extra`. Raises `SpecError` for a folder that is none.
        """
        catalogue = cls(
            _Folder(shipped or shipped_folder(), _SUBFOLDERS),
            [_Folder(os.fspath(path), ("",)) for path in extra],
        )
        catalogue._read_own()
        return catalogue

    @property
    def own_folders(self) -> tuple[str, ...]:
        """The user's folders, as `open` takes them."""
        return tuple(folder.path for folder in reversed(self._folders[:-1]))

    def _read_own(self) -> None:
        problems: list[Problem] = []
        for folder in self._folders[:-1]:
            for spec_id in folder.ids():
                try:
                    spec = folder.spec(spec_id)
                except SpecError as error:
                    problems.extend(error.problems)
                else:
                    self._specs.setdefault(spec_id, self._with_overrides(folder, spec))
        self._own_faults = tuple(problems)

    def _with_overrides(self, folder: _Folder, spec: ModelSpec) -> ModelSpec:
        for below in self._folders[self._folders.index(folder) + 1 :]:
            if spec.id in below:
                return spec.replace(overrides=below.file(spec.id))
        return spec

    def ids(self) -> tuple[str, ...]:
        """Every model's id, sorted."""
        return tuple(sorted({spec_id for folder in self._folders for spec_id in folder.ids()}))

    def __contains__(self, id: str) -> bool:
        return any(id in folder for folder in self._folders)

    def spec(self, id: str) -> ModelSpec:
        """The spec with exactly this id. Raises `SpecError` with every fault of its file,
        `UnknownModelError` where there is none.
        """
        spec_read = self._specs.get(id)
        if spec_read is not None:
            return spec_read
        for folder in self._folders:
            if id in folder:
                spec = self._with_overrides(folder, folder.spec(id))
                self._specs[id] = spec
                return spec
        raise UnknownModelError(
            f"no spec has the id {id!r}", remedy="`selfhost list` shows them all"
        )

    def shipped_spec(self, id: str) -> ModelSpec:
        """That of the shipped folder, whatever a user's own folder has under the same id.
        Raises as `spec`.
        """
        return self.spec(id) if self.is_shipped(id) else self._shipped.spec(id)

    def specs(self) -> Iterator[ModelSpec]:
        """Every spec that can be read, by id; `broken` has the others."""
        for spec_id in self.ids():
            try:
                yield self.spec(spec_id)
            except SpecError:
                continue

    def license_ids(self) -> tuple[str, ...]:
        """What its models are under, each once. Reads every spec."""
        return tuple(
            sorted({spec.license.id for spec in self.specs() if spec.license and spec.license.id})
        )

    def runtime(self, id: str) -> RuntimeSpec:
        """The runtime with exactly this id. Raises `WorkloadError` where there is none,
        `SpecError` where its file is wrong.
        """
        runtime = self._runtimes.get(id)
        if runtime is None:
            if id not in self.runtime_ids():
                choices = ", ".join(self.runtime_ids())
                raise WorkloadError(
                    [
                        Problem(
                            file="workload",
                            key="runtime",
                            message=f"{id!r} is not known",
                            remedy=f"one of {choices}",
                        )
                    ]
                )
            runtime = self._runtimes[id] = self._shipped.runtime(id)
        return runtime

    def runtime_ids(self) -> tuple[str, ...]:
        """Every runtime's id, sorted."""
        return self._shipped.names_in("runtimes")

    def common(self, name: str) -> Mapping[str, Any]:
        """The values of `common/<name>.toml`, dates as `YYYY-MM-DD`. Raises `SpecError` where
        it is missing or no TOML.
        """
        values = self._common.get(name)
        if values is None:
            values = self._common[name] = self._shipped.values(f"common/{name}.toml")
        return values

    def common_tables(self, file: str, table: str) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
        """Each `[table.NAME]` of `common/<file>.toml` with its name, by that and by its
        `aliases` as `canonical` writes them.
        """
        by_name = self._tables.get((file, table))
        if by_name is None:
            entries = self.common(file).get(table) or {}
            names = self._shipped.keys_of(f"common/{file}.toml", table)
            if names is None:
                from .outlines import keys_of

                names = keys_of(entries)
            by_name = self._tables[file, table] = _Named(names, entries)
        return by_name

    @property
    def folder(self) -> str:
        """Where the shipped specs lie."""
        return self._shipped.path

    @property
    def offers_path(self) -> str:
        """The price snapshot that ships with the specs."""
        return os.path.join(self._shipped.path, "common", "offers.jsonl")

    def shipped_files(self) -> tuple[str, ...]:
        """The names, below `folder`, of every shipped file that an answer rests on, prices
        included.
        """
        return self._shipped.all_files()

    def is_shipped(self, id: str) -> bool:
        """Whether the spec `id` is the shipped one: no folder of the user's has another."""
        return id in self._shipped and not any(id in folder for folder in self._folders[:-1])

    def named_so(self, id: str) -> str | None:
        """The shipped model that answers to this id, as its own or as another of its names;
        None where none does.
        """
        if id in self._shipped:
            return id
        names = self._shipped.names()
        return next(
            (
                names[kind][name]
                for name in (canonical(id),)
                for kind in ("ids", "aliases", "repositories")
                if name in names[kind]
            ),
            None,
        )

    @property
    def has_own(self) -> bool:
        """Whether there are folders of the user's beside the shipped one."""
        return len(self._folders) > 1

    @property
    def own_faults(self) -> tuple[Problem, ...]:
        """Every fault of every file in the user's folders."""
        return self._own_faults

    @cached_property
    def own_faults_by_file(self) -> Mapping[str, Sequence[Problem]]:
        """The faults of each file in the user's folders that has one."""
        by_file: dict[str, list[Problem]] = {}
        for problem in self._own_faults:
            by_file.setdefault(problem.file, []).append(problem)
        return by_file

    def names(self) -> tuple[Names, ...]:
        """One map a folder, the overriding one first and the shipped one last.

        Each maps a kind of name, then a name as `canonical` writes it, to the id of its spec;
        several ids are joined by `/`.
        """
        # asked for several times a name
        return tuple([folder.names() for folder in self._folders])

    def spellings(self) -> tuple[str, ...]:
        """Every id and alias as its spec writes it, sorted."""
        return tuple(sorted({name for folder in self._folders for name in folder.spellings()}))

    def outlines(self) -> tuple[Outline, ...]:
        """Every model in a few words, by id, without reading its spec."""
        return tuple(self._outlined().values())

    def outline(self, id: str) -> Outline | None:
        """That of one model; None where there is none."""
        return self._outlined().get(id)

    def is_closed(self, id: str) -> bool:
        """Whether the weights of that model were never published; False for one that is not
        there.
        """
        outline = self.outline(id)
        return outline is not None and outline.closed

    def _outlined(self) -> Mapping[str, Outline]:
        if self._outlines is None:
            outlines = {
                outline.id: outline
                for folder in reversed(self._folders)
                for outline in folder.outlines()
            }
            self._outlines = {spec_id: outlines[spec_id] for spec_id in sorted(outlines)}
        return self._outlines

    def base_ids(self) -> frozenset[str]:
        """The open models whose specs call them base models: nobody who wants one that chats is
        served with them, nor the reverse.
        """
        if self._base_ids is None:
            self._base_ids = frozenset(
                outline.id
                for outline in self.outlines()
                if not outline.closed and BASE in (outline.uses or ())
            )
        return self._base_ids

    def open_by_size(self) -> tuple[Outline, ...]:
        """Those whose weights are not closed, by their parameters, the smallest first, then by
        id.
        """
        if self._open_by_size is None:
            models = [outline for outline in self.outlines() if not outline.closed]
            self._open_by_size = tuple(
                sorted(models, key=lambda outline: outline.parameters_total or 0)
            )
        return self._open_by_size

    def current_first(self, ids: Iterable[str]) -> tuple[str, ...]:
        """The models in that order, each after the open one that supersedes it; those that are
        superseded come last.
        """
        current: dict[str, None] = {}
        superseded: dict[str, None] = {}
        for id in ids:
            chain = [id]
            while (
                outline := self.outline(chain[-1])
            ) is not None and outline.superseded_by is not None:
                after = self.outline(outline.superseded_by)
                if (
                    after is None
                    or after.closed
                    or after.modality != outline.modality
                    or after.id in chain
                ):
                    break
                chain.append(after.id)
            current[chain.pop()] = None
            superseded.update(dict.fromkeys(reversed(chain)))
        return tuple({**current, **superseded})

    def refresh(self, id: str | None = None) -> bool:
        """Compare the spec `id`, or every file, with the index; True if the index was out of date
        and is now left aside.

        Every file is compared once only: a policy may name thousands of models that nobody knows,
        and each would read all again.
        """
        dropped = self._shipped.drop_stale_index(id)
        if dropped:
            own = {spec_id for folder in self._folders[:-1] for spec_id in folder.ids()}
            self._specs = {spec_id: spec for spec_id, spec in self._specs.items() if spec_id in own}
            self._common, self._runtimes, self._outlines, self._open_by_size, self._base_ids = (
                {},
                {},
                None,
                None,
                None,
            )
            self._tables, self.derived = {}, {}
        return dropped


def spec_in(path: str) -> ModelSpec:
    """The spec in a file of whatever name. Raises `SpecError` with every fault of it."""
    from .spec import read_model_spec

    document = Document.read(path)
    spec = read_model_spec(document, path)
    if spec is None or not document.ok:
        raise SpecError(document.problems)
    return spec


class _Folder:
    """One folder of specs. Paths inside it are written with `/`, whatever the system."""

    def __init__(self, path: str, subfolders: Sequence[str]) -> None:
        self.path, self._subfolders = path, subfolders
        self._index = _Index.load(path) if len(subfolders) > 1 else None
        # the names of what lies in each; None where nobody changed those that the index has
        self._listed: Mapping[str, Sequence[str]] | None = None
        if self._index is None or not self._are_as_installed(subfolders):
            self._listed = _listed(path, subfolders)
            if self._index is not None and self._index.listed != self._listed:
                self._index = None
        self._names: Names | None = None
        self._spellings: tuple[str, ...] = ()
        self._outlines: tuple[Outline, ...] | None = None
        # of files in the index: the names in their tables, as `keys_of` gives them
        self._keys: dict[str, Mapping[str, Mapping[str, str]]] = {}
        self._all_compared = False

    def _relative(self) -> list[str]:
        return [
            f"{sub}/{name}.toml" if sub else f"{name}.toml"
            for sub in self._subfolders
            for name in self.names_in(sub)
        ]

    def ids(self) -> tuple[str, ...]:
        return self.names_in("")

    def __contains__(self, id: str) -> bool:
        if self._listed is None:
            return self._index is not None and f"{id}.toml" in self._index
        return id in self._ids

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.ids())

    def names_in(self, sub: str) -> tuple[str, ...]:
        if self._listed is None:
            return () if self._index is None else self._index.names_in(sub)
        return tuple(self._listed[sub])

    def file(self, id: str) -> str:
        return os.path.join(self.path, f"{id}.toml")

    def _content(self, relative: str) -> bytes:
        path = os.path.join(self.path, *relative.split("/"))
        try:
            return read_file(path, MAX_FILE_BYTES)
        except Unreadable as error:
            raise SpecError(
                [Problem(file=_shown(path), message=error.reason, remedy=error.remedy)]
            ) from error

    def all_files(self) -> tuple[str, ...]:
        return (*sorted(self._relative()), "common/offers.jsonl")

    def _path(self, relative: str) -> str:
        return os.path.join(self.path, *relative.split("/"))

    def _are_as_installed(self, names: Sequence[str]) -> bool:
        """Nobody has changed these files, or what is in these folders, since the package was
        installed.
        """
        from ..core.installed import are_as_installed

        return are_as_installed([self._path(name) for name in names])

    def _is_current(self, relative: str) -> bool:
        """Whether there is an index, made of what the file holds now. Raises `SpecError`."""
        if self._index is None:
            return False
        if self._are_as_installed([relative]):
            return True
        return self._index.is_of(relative, self._content(relative))

    def _document(self, relative: str, *, compiled: bool = True) -> Document:
        path = _shown(self._path(relative))
        if compiled and self._index is not None and self._is_current(relative):
            values = self._index.values(relative)
            if values is not None:
                return Document(path, values)
        return Document.parse(path, self._content(relative))

    def values(self, relative: str) -> Mapping[str, Any]:
        if self._index is not None and self._is_current(relative):
            tables = self._index.tables(relative)
            if tables is not None:
                self._keys[relative] = self._index.keys(relative)
                return tables
        document = self._document(relative, compiled=False)
        if document.problems:
            raise SpecError(document.problems)
        values: dict[str, Any] = _plain(document.values)
        return values

    def keys_of(self, relative: str, table: str) -> Mapping[str, str] | None:
        """What `keys_of` gives of a table whose file was read; None where it is not at hand."""
        return self._keys.get(relative, {}).get(table)

    def spec(self, id: str) -> ModelSpec:
        from .spec import read_model_spec

        document = self._document(f"{id}.toml")
        spec = read_model_spec(document, self.file(id))
        if spec is None or spec.id != id:
            # once more from the file itself, whose lines the problems then carry
            document = self._document(f"{id}.toml", compiled=False)
            spec = read_model_spec(document, self.file(id))
        if spec is not None and spec.id != id:
            document.add(("id",), *misnamed(spec.id, f"{id}.toml"))
        if spec is None or not document.ok:
            raise SpecError(document.problems)
        return spec

    def runtime(self, id: str) -> RuntimeSpec:
        from .spec import read_runtime_spec

        document = self._document(f"runtimes/{id}.toml")
        runtime = read_runtime_spec(document, os.path.join(self.path, "runtimes", f"{id}.toml"))
        if runtime is None:
            raise SpecError(document.problems)
        return runtime

    def names(self) -> Names:
        if self._names is None:
            if self._index is not None:
                self._names = _NamesByKind(self._index, self._scanned)
            else:
                self._scan()
        assert self._names is not None
        return self._names

    def spellings(self) -> tuple[str, ...]:
        if not self._spellings:
            listed = self._index.spellings() if self._index is not None else None
            if listed is None:
                self._scan()
            else:
                self._spellings = listed
        return self._spellings

    def outlines(self) -> tuple[Outline, ...]:
        if self._outlines is None:
            listed = self._index.outlines() if self._index is not None else None
            if listed is None:
                self._scan()
            else:
                self._outlines = listed
        assert self._outlines is not None
        return self._outlines

    def _scanned(self) -> Names:
        self._scan()
        assert self._names is not None
        return self._names

    def _scan(self) -> None:
        from .outlines import name_map, outline_of

        models = []
        for spec_id in self.ids():
            try:
                models.append((spec_id, self._outlined_values(f"{spec_id}.toml")))
            except SpecError:
                models.append((spec_id, {}))
        self._names, self._spellings = name_map(models, _KINDS)
        self._outlines = tuple(outline_of(spec_id, values) for spec_id, values in models)

    def _outlined_values(self, relative: str) -> Mapping[str, Any]:
        """What names and outlines are made of: the rest of hundreds of specs would be parsed in
        vain.
        """
        from .outlines import outlined_lines

        lines = outlined_lines(self._content(relative))
        if lines is None:
            return self._document(relative, compiled=False).values
        outline = Document.parse(relative, lines)
        if outline.problems:
            # a list over several lines was cut, or the file itself is faulty
            return self._document(relative, compiled=False).values
        return outline.values

    def drop_stale_index(self, id: str | None) -> bool:
        if self._index is None or (self._all_compared if id is None else id not in self):
            return False
        self._all_compared = self._all_compared or id is None
        if id is None and self._is_as_installed(self._index):
            return False
        for relative in self._relative() if id is None else [f"{id}.toml"]:
            try:
                stale = not self._is_current(relative)
            except SpecError:
                stale = True
            if stale:
                self._listed = self._listed or self._index.listed
                self._index, self._names, self._spellings, self._outlines = None, None, (), None
                self._keys = {}
                return True
        return False

    def _is_as_installed(self, index: _Index) -> bool:
        """Whether nobody has changed a file since the package was installed: to ask for the times
        of all takes a tenth of reading them.
        """
        if os.path.dirname(self.path) != PACKAGE_FOLDER:
            return False
        from ..core.installed import sizes_if_as_installed

        return sizes_if_as_installed([(self.path, sorted(self._relative()))]) == index.sizes


def _listed(path: str, subfolders: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What `_list` tells of a folder, which must be there, and of those below it."""
    top, is_package = _list(path, must_exist=True)
    files = {"": top}
    for sub in subfolders[1:]:
        files[sub], _ = _list(os.path.join(path, sub), must_exist=False, is_package=is_package)
    return files


def _list(path: str, *, must_exist: bool, is_package: bool = False) -> tuple[tuple[str, ...], bool]:
    """The names of the TOML files in a folder, sorted and without their ending, but no hidden ones;
    and whether it is a package's own, which has an index.
    """
    try:
        with os.scandir(path) as entries:
            listed = {entry.name: entry for entry in entries}
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and not must_exist:
            return (), is_package
        raise SpecError([_unlistable(path, error)]) from error
    is_package = is_package or INDEX_FILE in listed
    names = [
        name[:-5]
        for name, entry in listed.items()
        if name.endswith(".toml") and name[0] != "." and (is_package or _may_be_read(entry))
    ]
    if len(names) > MAX_FILES:
        raise SpecError(
            [Problem(file=_shown(path), message=f"holds more than {MAX_FILES:,} specs")]
        )
    return tuple(sorted(names)), is_package


def _unlistable(path: str, error: OSError | ValueError) -> Problem:
    """Why a folder cannot be listed; a null character in its path is a `ValueError`."""
    remedy: str | None
    if isinstance(error, ValueError):
        message, remedy = "is no path", "name a folder of <id>.toml files"
    elif isinstance(error, FileNotFoundError):
        message = "there is no such folder of specs" if path else "no folder of specs was named"
        remedy = "name a folder that holds <id>.toml files"
    elif isinstance(error, NotADirectoryError):
        message, remedy = "is not a folder", "name the folder that holds the <id>.toml files"
    else:
        message, remedy = f"cannot be listed: {error.strerror or error}", None
    return Problem(file=_shown(path), message=message, remedy=remedy)


def _may_be_read(entry: os.DirEntry[str]) -> bool:
    """Whether it is no folder, and nothing that blocks whoever opens it, as a fifo does. Of a link
    that leads nowhere its reader tells why.
    """
    # what the listing tells already, but for links: each file asked for takes as long as a check
    if entry.is_file(follow_symlinks=False):
        return True
    return os.path.isfile(entry.path) or not os.path.exists(entry.path)


def misnamed(id: str, file: str) -> tuple[str, str]:
    """What is wrong with a spec in a file of another name than its id, and what to do."""
    return (
        f'is "{shortened(id)}", but the file is called {_shown(file)}',
        f"the file is named after the id: {shortened(id)}.toml",
    )


def _shown(path: str) -> str:
    """File names may hold bytes that are no text; what is printed may not."""
    return path.encode("utf-8", "backslashreplace").decode()


class _Index:
    """The compiled copy of a folder, a file of `core.parts`.

    A part holds size, checksum, values and keys of each file of the folder, by its path; the values
    of a common file are a part of their own, and others hold the spellings, the outlines, and the
    names of each kind.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @classmethod
    def load(cls, folder: str) -> _Index | None:
        """None without an index."""
        try:
            return cls(Parts(os.path.join(folder, INDEX_FILE), _VERSION))
        except UNREADABLE:
            return None

    @property
    def listed(self) -> dict[str, tuple[str, ...]]:
        """Those of which it was made, as `_listed` gives them."""
        return {sub: self.names_in(sub) for sub in self._parts.header["names"]}

    def names_in(self, sub: str) -> tuple[str, ...]:
        """Of a folder of them."""
        # one text, which is read in a fraction of the time
        text: str = self._parts.header["names"][sub]
        return tuple(text.split("\n")) if text else ()

    def __contains__(self, relative: str) -> bool:
        return relative in self._parts

    @property
    def sizes(self) -> object:
        """The number that `core.installed` gives of the names and sizes of its files."""
        return self._parts.header["sizes"]

    def is_of(self, relative: str, content: bytes) -> bool:
        """Whether it was made of a file of that content."""
        from binascii import crc32

        size, checksum, *_ = self._part(relative) or (None, None)
        return bool([size, checksum] == [len(content), crc32(content)])

    def values(self, relative: str) -> dict[str, Any] | None:
        """The values of a file that is none of the common ones; None where it is no TOML."""
        entry = self._part(relative)
        return None if entry is None else entry[2]

    def keys(self, relative: str) -> Mapping[str, Mapping[str, str]]:
        """Of some tables of a file the names in them, as `keys_of` gives them."""
        entry = self._part(relative)
        return {} if entry is None else entry[3]

    def tables(self, relative: str) -> Mapping[str, Any] | None:
        """The values of a common file; None where it is no TOML."""
        contents = self._part(_VALUES.format(relative))
        return None if contents is None else Tables(contents)

    def names_of(self, kind: str) -> Mapping[str, str] | None:
        """The names of one kind; None where they cannot be read."""
        text: str | None = self._part(_NAMES_OF[kind])
        return None if text is None else _NamesInText(text)

    def spellings(self) -> tuple[str, ...] | None:
        names: Sequence[str] | None = self._part(_SPELLINGS)
        return None if names is None else tuple(names)

    def outlines(self) -> tuple[Outline, ...] | None:
        outlines: Sequence[dict[str, Any]] | None = self._part(_OUTLINES)
        if outlines is None:
            return None
        from .outlines import Outline

        for values in outlines:
            values["uses"] = values["uses"] and tuple(values["uses"])
        return tuple([Outline.partly(values) for values in outlines])

    def _part(self, name: str) -> Any:
        """None for one that was damaged since the index was opened."""
        try:
            return self._parts[name]
        except UNREADABLE:
            return None


# how many names are searched for in a text before it is taken apart
_MOST_SEARCHED = 30


class _NamesInText(Mapping[str, str]):
    """Names as the index has them: a tab between a name and its ids, each pair on a line of its
    own. A few names are searched for, which takes up to a tenth of a millisecond each; to tell
    thousands of names apart takes one.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._searched = 0

    @staticmethod
    def text_of(names: Mapping[str, str]) -> str:
        """No name and no id holds a tab or the end of a line: both are words of `canonical`, or
        the names of files.
        """
        return "\n".join(["", *(f"{name}\t{ids}" for name, ids in names.items()), ""])

    def __getitem__(self, name: str) -> str:
        if self._searched >= _MOST_SEARCHED:
            return self._all[name]
        self._searched += 1
        before = f"\n{name}\t"
        place = self._text.find(before)
        if place < 0:
            raise KeyError(name)
        return self._text[place + len(before) : self._text.index("\n", place + 1)]

    @cached_property
    def _all(self) -> Mapping[str, str]:
        pairs = (line.partition("\t") for line in self._text.split("\n")[1:-1])
        return {name: ids for name, _, ids in pairs}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def items(self) -> ItemsView[str, str]:
        return self._all.items()


class _Named(Mapping[str, tuple[str, Mapping[str, "Any"]]]):
    """The entries of a table, each with its name, by every spelling of that."""

    def __init__(self, names: Mapping[str, str], entries: Mapping[str, Any]) -> None:
        self._names_by_key, self._entries = names, entries

    def __getitem__(self, key: str) -> tuple[str, Mapping[str, Any]]:
        name = self._names_by_key[key]
        return name, self._entries[name]

    def __contains__(self, key: object) -> bool:
        return key in self._names_by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self._names_by_key)

    def __len__(self) -> int:
        return len(self._names_by_key)


class _NamesByKind(Mapping[str, Mapping[str, str]]):
    """The names of a folder with an index, each kind read when it is asked for: most names that
    people type need a few of a quarter of a megabyte.
    """

    def __init__(self, index: _Index, scanned: Callable[[], Names]) -> None:
        self._index, self._scanned = index, scanned
        self._kinds: dict[str, Mapping[str, str]] = {}

    def __getitem__(self, kind: str) -> Mapping[str, str]:
        names = self._kinds.get(kind)
        if names is None:
            names = self._index.names_of(kind)
            if names is None:
                names = self._scanned()[kind]
            self._kinds[kind] = names
        return names

    def __iter__(self) -> Iterator[str]:
        return iter(_KINDS)

    def __len__(self) -> int:
        return len(_KINDS)


def compile_index(directory: str) -> bytes:
    """The content of `INDEX_FILE` for a folder of specs; the same files always give the same."""
    from binascii import crc32

    from ..core.installed import sizes_of
    from .outlines import Outline, keys_of, name_map, outline_of

    folder = _Folder(directory, _SUBFOLDERS)
    folder._index = None
    models: list[tuple[str, Mapping[str, Any]]] = []
    parts: dict[str, Any] = {}
    for relative in sorted(folder._relative()):
        content = folder._content(relative)
        document = Document.parse(relative, content)
        values = None if document.problems else _plain(document.values)
        tables = (
            {} if values is None else {name: values.get(name) for name in _TYPED.get(relative, ())}
        )
        keys = {name: keys_of(table) for name, table in tables.items()}
        parts[relative] = [len(content), crc32(content), values, keys]
        if relative.startswith("common/") and values is not None:
            parts[_VALUES.format(relative)], parts[relative][2] = values, None
        if "/" not in relative:
            models.append((relative[:-5], document.values))
    names, spellings = name_map(models, _KINDS)
    outlines = [outline_of(spec_id, _plain(values)) for spec_id, values in models]
    parts[_SPELLINGS] = spellings
    parts[_OUTLINES] = [
        {name: getattr(outline, name) for name in Outline._fields} for outline in outlines
    ]
    parts.update((_NAMES_OF[kind], _NamesInText.text_of(names[kind])) for kind in _KINDS)
    header = {
        "sizes": sizes_of([(directory, sorted(folder._relative()))]),
        "names": {sub: "\n".join(folder.names_in(sub)) for sub in _SUBFOLDERS},
    }
    by_row = [name for name in parts if name.startswith(_VALUES.format(""))]
    return joined(_VERSION, header, parts, frozen=False, tables=by_row)


def _plain(value: Any) -> Any:
    """TOML's dates and times as text; everything else as it is."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
