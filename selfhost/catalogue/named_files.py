"""The files that a name states beside a model: their quantization, program and repository.

What goes in: a name, and a `NameMatch`, which has the model and the form that the end of the name
states. What comes out: the `Resolution` with the facts on the files, or None where no size or no
program is known for such files.

A model trained for 4 bits (QAT) has a wide table where its token table has 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from ..core.records import Record, Stated
from ..core.tables import expression, sentences, unchecked_record
from ..core.templates import fill
from ..core.units import canonical
from .forms import Form, packed_form
from .index import Catalogue
from .spec import ModelSpec
from .spec_values import PICTURES, TRAINED_FOR, account_of, scheme_of


class Resolution(Record):
    """The spec that a name stands for, with the facts that the name states about the files.

    - `file_notes`: those of the notes that tell of the files, not of the model.
    - `runtime`: set where only one kind of program loads these files.
    - `repository`: the typed repository, where its name says that it holds the files.
    - `names_file`: the name means one published GGUF file, or is Ollama's tag of such a file.
    """

    spec_id: str
    quantization: str | None = None
    notes: tuple[str, ...] = ()
    file_notes: tuple[str, ...] = ()
    runtime: str | None = None
    repository: str | None = None
    names_file: bool = False

    def with_note(self, note: str) -> Resolution:
        """The resolution with a note before the others."""
        return self.replace(notes=(note, *self.notes))


class NameMatch(Record):
    """A known model that a name may mean, and the form that the rest of the name states; None where
    nothing is left.
    """

    resolution: Resolution
    form: Form | None


class Publisher(Stated):
    """A row of `[publisher]` in specs/common/quantizations.toml: the prefix that a publisher writes
    before the names of its own types, and how it names repositories of weights trained for 4 bits.
    """

    prefix: str
    types: tuple[str, ...]
    qat_repository: str
    source: str


def with_files(
    match: NameMatch,
    name: str,
    catalogue: Catalogue,
) -> Resolution | None:
    """The resolution with the facts that the name states about the files; None where no size or no
    program is known for them.
    """
    resolution = match.resolution
    form = match.form
    if form is None:
        return resolution.replace(repository=_gguf_repository(name))
    spec = catalogue.spec(resolution.spec_id)
    if not form.is_sized:
        form = _listed_form(form, name, spec) or form
    if not serves(form, spec, catalogue):
        form = _for_other_programs(form, spec, catalogue) or form
    if not form.is_sized or not serves(form, spec, catalogue):
        return None
    files = _NamedFiles(name=name, form=form, spec=spec, catalogue=catalogue)
    return resolution.replace(
        quantization=files.quantization,
        runtime=form.runtime,
        notes=resolution.notes + files.notes,
        file_notes=files.notes,
        repository=files.repository,
    )


def serves(
    form: Form,
    spec: ModelSpec,
    catalogue: Catalogue,
) -> bool:
    """Whether the program of a form can serve the model: vLLM makes no pictures."""
    if form.runtime is None or spec.modality not in PICTURES:
        return True
    runtime = catalogue.runtime(form.runtime)
    return spec.modality in runtime.modalities


def _listed_form(
    form: Form,
    name: str,
    spec: ModelSpec,
) -> Form | None:
    """The form in the type that the spec lists for this repository: `-INT4` alone does not tell how
    the bits are packed. None where it does not list one type.
    """
    types = _types_listed_in(name, spec)
    if len(types) != 1:
        return None
    listed = packed_form(types)
    return form.replace(
        quantization=listed.quantization,
        runtime=listed.runtime,
        is_sized=listed.is_sized,
    )


def _for_other_programs(
    form: Form,
    spec: ModelSpec,
    catalogue: Catalogue,
) -> Form | None:
    """The form without its program, which cannot serve the model, where a program that makes such
    pictures loads files of the type; None where none does, or where no components are known whose
    size could be computed. A type that is made while the published files are loaded is not one of
    files.
    """
    if not spec.components:
        return None
    for id in catalogue.runtime_ids():
        runtime = catalogue.runtime(id)
        if spec.modality not in runtime.modalities:
            continue
        rule = runtime.quantizations.get(form.quantization or "")
        if rule is not None and not rule.at_load:
            return form.replace(runtime=None)
    return None


def _types_listed_in(repository: str, spec: ModelSpec) -> list[str]:
    """The types of the files that the spec lists in a repository."""
    types: list[str] = []
    key = canonical(repository)
    for files in spec.files:
        listed = files.repository or ""
        if canonical(listed) == key:
            types += files.quantizations
    return types


def _gguf_repository(name: str) -> str | None:
    """The repository of GGUF files that the name is, or a file of which the name is; None for any
    other name.
    """
    if "/" not in name:
        return None
    found = expression("names", "gguf_repository").fullmatch(name)
    if found is None:
        return None
    return found[1]


class _NamedFiles(Record):
    """Files of a model: the name that states them, and the form at its end."""

    name: str
    form: Form
    spec: ModelSpec
    catalogue: Catalogue

    @property
    def names_type_and_program(self) -> bool:
        """Whether the form names both a quantization and the program that loads it."""
        return bool(self.form.runtime and self.form.quantization)

    @property
    def quantization(self) -> str | None:
        """The quantization as its publisher names it; None where the name states none."""
        if self.names_type_and_program:
            listed = self._types_listed
            if len(listed) == 1:
                return listed[0]
        if self.has_wide_table:
            return f"{TRAINED_FOR}Q4_0"
        stated = self.form.quantization
        publisher = self._publishers.get(account_of(self.name).lower())
        if publisher is not None and stated in publisher.types:
            # as `UD-Q4_K_XL` of Unsloth
            return f"{publisher.prefix}{stated}"
        return stated

    @property
    def _types_listed(self) -> list[str]:
        """The types of the files that the spec lists in the repository; [] without a repository."""
        if self.repository is None:
            return []
        return _types_listed_in(self.repository, self.spec)

    @cached_property
    def _publishers(self) -> Mapping[str, Publisher]:
        """The publishers that have types of their own, by their accounts."""
        publishers = {}
        for name, row in self.catalogue.section("quantizations", "publisher").items():
            publishers[name] = unchecked_record(Publisher, row)
        return publishers

    @property
    def repository(self) -> str | None:
        """The repository that holds the files; None where the name does not tell it."""
        if self.names_type_and_program:
            name = _without_branch(self.name)
            is_repository = expression("names", "repository").fullmatch(name)
            return name if is_repository else None
        stated = _gguf_repository(self.name)
        if stated is not None or not self.is_trained_for_4_bits:
            return stated
        return None if self.is_of_library else self._repository_of_qat

    @property
    def is_trained_for_4_bits(self) -> bool:
        """Whether the name is of files whose weights were trained for 4 bits."""
        return self.has_wide_table or "qat" in self.form.notes

    @property
    def is_of_library(self) -> bool:
        """Whether the name is a tag of Ollama's library: `gemma3:4b-it-qat`."""
        return ":" in self.name

    @property
    def _repository_of_qat(self) -> str | None:
        """The repository of GGUF files trained for 4 bits, by the publisher of the type, the
        account that was typed or the model's maker; None where these publish none.
        """
        stated = self.quantization or ""
        named = self.name if "/" in self.name else self.spec.repository
        publisher = self._publishers.get(account_of(named).lower())
        for other in self._publishers.values():
            if other.prefix and stated.startswith(other.prefix):
                publisher = other
        if publisher is None:
            return None
        model = last_part_of(self.spec.repository)
        return fill(publisher.qat_repository, {"model": model})

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences on the form."""
        keys = list(self.form.notes)
        if self.has_wide_table:
            keys = ["qat_as_published"]
        elif "qat" in keys:
            keys += self._notes_on_qat()
        if self.is_by_name_alone:
            keys.insert(0, "by_name_alone")
        return sentences(
            "quantizations",
            "form",
            dict.fromkeys(keys, True),
            written=self.form.written,
            quantization=self.form.quantization,
            repository=self.repository,
            model=self.spec.name,
        )

    @property
    def is_by_name_alone(self) -> bool:
        """Whether only the name tells what the repository holds: the spec does not list it."""
        if self.repository is None or not self.names_type_and_program:
            return False
        return not self._types_listed

    def _notes_on_qat(self) -> Iterator[str]:
        """Yield the keys of what else is told of files that were trained for 4 bits."""
        if self._had_wide_table:
            yield "qat_perhaps_wide"
        if self.repository is None and not self.is_of_library:
            yield "qat_not_known"

    @property
    def _had_wide_table(self) -> bool:
        """Whether the model is older than the day since which such files of its kind have no token
        table in 16 bits; False for kinds that never had one.
        """
        spec = self.spec
        if spec.architecture is None or spec.released is None:
            return False
        rows = self.catalogue.section("architectures", "architecture")
        row = rows.get(spec.architecture.row, {})
        wide_until: str = row.get("wide_qat_table_until", "")
        return spec.released < wide_until

    @cached_property
    def has_wide_table(self) -> bool:
        """Whether the files are Google's own of a model trained for 4 bits whose token table still
        has 16 bits.
        """
        spec = self.spec
        if spec.architecture is None or spec.released is None:
            return False
        account, _, file = self.name.rpartition("/")
        if account.lower() not in ("", "google"):
            return False
        says_qat = "qat" in self.form.notes and self.form.quantization == "Q4_0"
        # Google's own files are named like any converter's except for the lower-case type:
        # stduhpf's card of gemma-3-27b-it-qat-q4_0-gguf-small links to one, and public programs
        # load the files of 1B to 12B
        is_named_as_googles = file == f"{last_part_of(spec.repository)}-q4_0.gguf"
        if not says_qat and not is_named_as_googles:
            return False
        return self._had_wide_table


def _without_branch(name: str) -> str:
    """The name of a repository without the branch behind it that is called by its quantization, as
    those of EXL3 are: `turboderp/Qwen3-32B-exl3:4.0bpw`.
    """
    before, sign, branch = name.replace("@", ":").partition(":")
    return before if sign and scheme_of(branch) is not None else name


def last_part_of(repository: str | None) -> str:
    """The name of a repository without its account; empty for None."""
    if repository is None:
        return ""
    return repository.rpartition("/")[2]
