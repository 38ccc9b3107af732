"""The rows of a model: one for each program, and for each type of its files there. `ways.py` makes
ways of them.

A `ProgramTable` follows from the model and the catalogue alone, not from a machine. `ProgramRow` is
the model in one program, `FileRow` one type of its files there. The rows stand in the order in
which they are tried. What a user states removes rows, so that the usual program and the usual type
are the first rows that are left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.runtime_parts import Conversion, QuantizationRule
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import PLAIN_DTYPES, QUANTIZATION_NAMES, SAME_TYPES
from ..core.records import Record, Stated, Unread
from ..core.tables import shipped_record
from ..core.workload import Workload
from ..needs.case import stored_type
from ..needs.file_formats import FOUR_BITS, SMALLEST_DEFAULT
from ..needs.quantization import GGUF_QUANTIZATIONS, MIXES
from ..needs.records import Term
from .quality import AS_PUBLISHED, quality_of


class UsualPrograms(Stated):
    """`specs/common/usual_programs.toml`: the ids of the programs that are taken where none is
    named, the first that serves.

    - `by_modality`: for each kind of model. `embedding`: for published weights that embed text.
    - `training`: for fine-tuning. `gguf`: for GGUF files of any model.
    - `library`: for a tag of its library.
    - `packed`: for a quantization that the usual program does not load, and for several users.
    - `stated_by`: for options of programs, the option of selfhost that states the same.
    - `long_names`: by the long name of a program's option, the name under which selfhost has it.
    """

    by_modality: Mapping[str, tuple[str, ...]]
    embedding: str
    training: str
    gguf: str
    library: str
    packed: tuple[str, ...]
    stated_by: Mapping[str, str]
    long_names: Mapping[str, str]


USUAL = shipped_record(UsualPrograms, "usual_programs")


class ProgramTable(Record):
    """The programs of a model."""

    spec: ModelSpec
    catalogue: Catalogue

    def row(self, id: str) -> ProgramRow:
        """The row of the program with that id, whether the program loads the model or not."""
        return program_row(self.spec, self.catalogue.runtime(id))

    @property
    def programs(self) -> Iterator[ProgramRow]:
        """The programs that load the model: those that may be taken by themselves, then all."""
        ids = (*self._proposed_ids, *self.catalogue.runtime_ids())
        return self._loading(dict.fromkeys(ids))

    @property
    def proposed(self) -> Iterator[ProgramRow]:
        """The programs that load the model and may be taken though nobody named them."""
        return self._loading(self._proposed_ids)

    def first(self, formats: Collection[str]) -> ProgramRow:
        """The first program that loads the model in one of the formats, or in any format where none
        is given.

        Else the first usual program that loads the model in another format, else the first usual
        one.
        """
        # a program that is not usual may be the only one for files of that format
        for row in self.programs if formats else self.proposed:
            if row.runtime.loads_one_of(formats):
                return row
        ids = (*self.spec.runtimes, *self._usual_ids())
        return next(self._loading(ids), self.row(ids[0]))

    @cached_property
    def _proposed_ids(self) -> tuple[str, ...]:
        ids = (*self.spec.runtimes, *self._usual_ids(), *USUAL.packed)
        return tuple(dict.fromkeys(ids))

    def _usual_ids(self) -> tuple[str, ...]:
        """The usual programs of the modality. For a model that embeds text, and whose published
        weights the first of these would have to convert, the program that loads them as published
        comes before.
        """
        spec = self.spec
        usual = USUAL.by_modality[spec.modality]
        if not spec.has_use("embedding") or spec.library_tag:
            return usual
        if any(files.format == "gguf" for files in spec.files):
            return usual
        converted = self.row(usual[0]).usual_type
        if converted in QUANTIZATION_NAMES.loaded_as:
            # a type as large as the published weights, and nobody publishes the converted file
            return (USUAL.embedding, *usual)
        return usual

    def _loading(self, ids: Iterable[str]) -> Iterator[ProgramRow]:
        for id in ids:
            row = self.row(id)
            if row.why_not_loaded is None:
                yield row


# cached: each way of a model is a question about the same few programs
@lru_cache(maxsize=128)
def table_of(spec: ModelSpec, catalogue: Catalogue) -> ProgramTable:
    """The table of the model."""
    return ProgramTable(spec=spec, catalogue=catalogue)


class ProgramRow(Record):
    """A model in one program.

    - `format`: the format in which the program loads the model. `usual_type`: the model's usual
      type there, published or not.
    - `why_not_loaded`: the sentence why the program does not load the model, or why that is not
      known; None where nothing speaks against loading it.
    """

    spec: ModelSpec
    runtime: RuntimeSpec
    format: str
    usual_type: str
    why_not_loaded: str | None

    @property
    def types(self) -> tuple[str, ...]:
        """The types whose size is known, the best quality first."""
        return need.quantizations_of(self.spec, self.runtime)

    @property
    def rows(self) -> Iterator[FileRow]:
        """The rows of these types."""
        return map(self.type_row, self.types)

    @property
    def types_on_gpus(self) -> list[str]:
        """The types that the program lists for accelerators, the best first."""
        listed = self.runtime.gpus.quantizations
        types = need.quantizations_of(self.spec, self.runtime, listed)
        return [name for name in listed if name in types]

    def type_row(self, quantization: str | None) -> FileRow:
        """The row of a type, whether the program has such files or not."""
        return FileRow(
            spec=self.spec,
            runtime=self.runtime,
            format=self.format,
            quantization=quantization,
        )

    def type_called(self, typed: str) -> str | None:
        """The name in the program's files of a type that may be typed under other names; None where
        the size of no such files can be told.
        """
        if typed in need.quantizations_of(self.spec, self.runtime, (typed,)):
            # the sizes of all types take time
            return typed
        # the usual type may be asked for by name even where its size is unknown
        known = (*self.types, self.usual_type)
        also = QUANTIZATION_NAMES.loaded_as.get(typed, ())
        called = self.runtime.quantization_called(typed)
        for name in (typed, *also, called or typed):
            for type in known:
                if type.lower() == name.lower():
                    return type
            if self.type_row(name).is_sized:
                return name
        return None

    def takes(self, stated: Workload) -> bool:
        """Whether the program takes the format and the quantization that a user stated."""
        if stated.format not in (None, self.format):
            return False
        if stated.quantization is None:
            return True
        name = self.type_called(stated.quantization)
        if name is None:
            return False
        if name == self.usual_type or name in PLAIN_DTYPES:
            return True
        # others than the publisher make such files, each for some programs
        return self.type_row(name).is_sized

    @property
    def types_in_turn(self) -> tuple[str, ...]:
        """The types that are tried in turn where the user asks for none.

        That is the usual type alone, except for GGUF files. There, where nobody publishes the usual
        type, the type that the program's own library has and the published types that are nearest
        to the usual one come first. A smaller type of four bits (`FOUR_BITS`) comes last, where it
        can be had: a publisher's own mix of it, where nobody publishes the type itself.
        """
        usual = self.usual_type
        if self.format != "gguf" or usual not in GGUF_QUANTIZATIONS:
            return (usual,)
        if self._makes_compared_vectors:
            return (usual,)
        in_turn = [*self._published_instead, usual]
        if usual == SMALLEST_DEFAULT and self.type_row(FOUR_BITS).can_be_had:
            smaller = []
            if FOUR_BITS not in self._published_types:
                smaller = self._published_mixes(FOUR_BITS)
            in_turn += smaller or [FOUR_BITS]
        return tuple(dict.fromkeys(in_turn))

    @cached_property
    def type_of_tag(self) -> str | None:
        """The type of the GGUF file that the program's own library has under a tag of the model,
        without a login; None for none.
        """
        tag = self.spec.library_tag
        if tag is None or self.format != "gguf":
            return None
        if "{tag}" not in self.runtime.command_lines.default:
            return None
        return need.type_of_tag(self.spec, self.runtime, tag)

    @cached_property
    def _published_types(self) -> frozenset[str]:
        """The GGUF types of which the spec names a file in a repository."""
        types: set[str] = set()
        for files in self.spec.files:
            if files.format == "gguf" and files.repository:
                types.update(name.upper() for name in files.quantizations)
        return frozenset(types)

    def _published_mixes(self, recipe: str) -> list[str]:
        """The published mixes of publishers' own that are nearest to a recipe."""
        mixes = []
        for name in sorted(self._published_types):
            mix = MIXES.get(name)
            if mix is not None and mix.recipe == recipe:
                mixes.append(name)
        return mixes

    @property
    def _published_instead(self) -> list[str]:
        """The types that somebody publishes in place of the usual GGUF type; none where somebody
        publishes that one.

        The first is the type under a tag of the program's own library. A publisher's own mix that
        is nearest to the usual type follows. Without a mix these are the smallest published type
        that is larger than the usual one, and the published types from the usual one down to the
        smallest default.
        """
        if self.type_of_tag == self.usual_type:
            return []
        types = self._published_types
        if any(name.endswith(self.usual_type) for name in types):
            # a publisher's own mix of that very name counts as the type
            return []
        by_tag = [] if self.type_of_tag is None else [self.type_of_tag]
        mixes = self._published_mixes(self.usual_type)
        if mixes:
            return [*by_tag, *mixes]
        order = GGUF_QUANTIZATIONS
        usual_place = order.index(self.usual_type)
        last_place = order.index(SMALLEST_DEFAULT)
        larger = [name for name in order[:usual_place] if name in types]
        smaller = order[usual_place : last_place + 1]
        return [*by_tag, *larger[-1:], *(name for name in smaller if name in types)]

    @property
    def _makes_compared_vectors(self) -> bool:
        """Whether the model makes vectors that are compared with vectors of other people, made in
        the usual type.
        """
        return not self.spec.writes_text and self.spec.main_use != "reranking"


@lru_cache(maxsize=512)
def program_row(spec: ModelSpec, runtime: RuntimeSpec) -> ProgramRow:
    """The row of the model in the program."""
    format, usual_type = need.default_format_and_quantization(spec, runtime)
    return ProgramRow(
        spec=spec,
        runtime=runtime,
        format=format,
        usual_type=usual_type,
        why_not_loaded=need.why_not_loaded(spec, runtime),
    )


class FileRow(Record):
    """One type of a model's files in a program. Files are published in a repository, stand under a
    tag in the program's own library, or are made from the published weights.

    A published type is ready, and a ready type can be had: somebody has the files; nobody has to
    make them; or a converter does. `is_unlisted` asks of GGUF files alone.

    Format and type are None where the program does not load the model.
    """

    spec: ModelSpec
    runtime: RuntimeSpec
    format: str | None
    quantization: str | None

    @property
    def size(self) -> Term | Unread:
        """The size of the files as downloaded, or the reason why the size is not known."""
        return need.weights_files(self.spec, self.format or "", self.quantization or "")

    @cached_property
    def least_bytes(self) -> int:
        """The least bytes of the files; 0 where the size is not known."""
        size = self.size
        return size.low_bytes if isinstance(size, Term) else 0

    @cached_property
    def likely_bytes(self) -> int:
        """The likely bytes of the files; 0 where the size is not known."""
        size = self.size
        return size.bytes if isinstance(size, Term) else 0

    @property
    def is_sized(self) -> bool:
        """Whether the program gets the files, downloaded or made, and their size is known."""
        parts = self.runtime.parts.get(self.spec.id)
        if parts is not None:
            # the command downloads each part by its name
            return self.quantization in parts.quantizations
        rule = self.runtime.rule_of(self.quantization)
        if self.format not in ("gguf", "mlx") and rule is None:
            return False
        if rule is not None and rule.at_load and not self._makes_it(rule):
            return False
        return isinstance(self.size, Term)

    @property
    def is_made_at_load(self) -> bool:
        """Whether the program quantizes the published weights as it loads them."""
        rule = self.runtime.rule_of(self.quantization)
        return rule is not None and rule.at_load

    @property
    def is_made_before(self) -> bool:
        """Whether somebody quantizes the published weights before a program with a rule for that
        type loads them.
        """
        rule = self.runtime.rule_of(self.quantization)
        if rule is None or rule.at_load:
            return False
        return self.quantization != stored_type(self.spec.architecture)

    def _makes_it(self, rule: QuantizationRule) -> bool:
        """Whether the program makes the type of the published weights; True for components, whose
        size says so.
        """
        if self.spec.components:
            return True
        return need.is_made_of(self.spec.architecture, rule)

    # ------------------------------------------------------------------ who has the files

    @cached_property
    def listing(self) -> PublishedFiles | None:
        """The published files of the type; None where nobody is known to publish them."""
        # CTranslate2 files are published in float16 and loaded as any of its types
        name = "float16" if self.format == "ctranslate2" else self.quantization
        listed = self.spec.files_of(self.format, name)
        if listed is None and self.format == "gguf":
            # the maker of a mix of types publishes it
            return need.files_of_maker(self.spec, name or "")
        return listed

    @property
    def repository(self) -> str | None:
        """The repository of the files; None where none is known."""
        return None if self.listing is None else self.listing.repository

    @property
    def is_published(self) -> bool:
        """Whether a known repository has the files, or the user typed the file's own name."""
        if self.listing is None:
            return False
        return self.listing.named or bool(self.listing.repository)

    @property
    def source(self) -> str | None:
        """The repository from which the program would download the files; None where no repository
        is known.
        """
        if self.repository is not None:
            return self.repository
        if self.format in ("mlx", "ctranslate2"):
            return None
        if self.is_made_before:
            # no publisher is known for a model that somebody quantized
            return None
        return self.spec.repository

    @property
    def is_unlisted(self) -> bool:
        """Whether neither a known repository nor the program's library has the GGUF file."""
        if self.format != "gguf" or self.repository is not None:
            return False
        return not self.has_tag

    @property
    def is_ready(self) -> bool:
        """Whether nobody has to make the files: somebody publishes them, the model was published in
        the type, or the program makes the type while it loads the model.
        """
        spec = self.spec
        if self.is_published:
            return True
        if need.loads_published(spec, self.runtime, self.format, self.quantization):
            return True
        return quality_of(self.quantization, spec).cost == AS_PUBLISHED

    @property
    def has_tag(self) -> bool:
        """Whether the program's own library has the file under a tag of the model, without a
        login.
        """
        if self.format != "gguf" or self.quantization is None:
            return False
        program = program_row(self.spec, self.runtime)
        return program.type_of_tag == self.quantization

    @property
    def holder(self) -> str | None:
        """The name of somebody else than the model's publisher who has the files, so that a gated
        model can be downloaded without the publisher's login; None where nobody is known to.
        """
        parts = self.runtime.parts.get(self.spec.id)
        if parts is not None:
            return parts.files[0].repository
        repository = self.repository
        if repository and _owner(repository) != _owner(self.spec.repository):
            return repository
        if self.has_tag:
            return f"{self.runtime.name}'s library"
        files = self.listing
        if files is None or not files.named:
            return None
        file = files.names.get(self.quantization or "")
        return "Ollama's library" if file is None else f"whoever publishes {file}"

    # ------------------------------------------------------------------ who makes the files

    @property
    def conversion(self) -> Conversion | None:
        """The conversion by which the program's converter makes the file from the publisher's
        weights; None where no conversion does.
        """
        conversion = self.runtime.conversion
        if conversion is None or not _reads_weights_of(self.spec, conversion):
            return None
        if self.quantization in conversion.types:
            return conversion
        if stored_type(self.spec.architecture).startswith("mxfp4"):
            return None
        is_made = self.quantization in conversion.quantizations
        return conversion if is_made else None

    @property
    def can_be_had(self) -> bool:
        """Whether the user can get the files: nobody has to make them, or a converter does."""
        return self.conversion is not None or self.is_ready

    def made_of(self, library: RuntimeSpec) -> tuple[int | None, ...]:
        """The sizes of the files of which the file is made, in bytes, the published weights first;
        None for a size that is not known. () where somebody has the file, and where no converter
        makes it. `library` is the program whose library may have it.
        """
        if self.is_published or self.replace(runtime=library).has_tag:
            return ()
        conversion = self.conversion
        if conversion is None:
            return ()
        sources = [("safetensors", stored_type(self.spec.architecture))]
        if self.quantization not in conversion.types:
            sources.append((conversion.format, conversion.through))
        sizes = []
        for format, type in sources:
            size = self.replace(format=format, quantization=type).size
            sizes.append(size.bytes if isinstance(size, Term) else None)
        return tuple(sizes)


def _reads_weights_of(spec: ModelSpec, conversion: Conversion) -> bool:
    """Whether the converter reads the model's published weights. Some converters read 16-bit
    weights only.
    """
    if not spec.repository and not spec.lone_config:
        return False
    if conversion.takes_quantized:
        return True
    stored = spec.architecture
    if stored is None or stored.dtype is None or spec.quantized is not None:
        return False
    return need.is_in_plain_type(stored)


def _owner(repository: str | None) -> str:
    """The account of a repository; empty without one."""
    return "" if repository is None else repository.partition("/")[0]


def names_of_type(quantization: str | None) -> set[str | None]:
    """The names of one type in the files of all formats: `mxfp4` is MXFP4 in GGUF files."""
    names = {quantization}
    for name, others in SAME_TYPES.items():
        if quantization in (name, *others):
            names.update((name, *others))
    return names
