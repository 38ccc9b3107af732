"""How the caller named a model, by a name, a path or a spec, and the question that this makes.

`understand` returns the spec of the model, the workload with the facts that the name itself states,
and the files that the user named. `judged_on` judges the question of this meaning on a machine.
"""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.named_files import Resolution
from ..catalogue.names import bare_name, is_path, read, typed_library_tag
from ..catalogue.runtime import RuntimeSpec
from ..catalogue.spec import ModelSpec, PublishedFiles
from ..catalogue.spec_values import mlx_scheme
from ..core.errors import WorkloadError
from ..core.records import Record
from ..core.tables import sentences
from ..core.units import canonical
from ..core.workload import Workload
from ..judge.choice import best_way
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.record import NO_FILES, DownloadedFiles, Judged, NamedFiles, Question
from ..judge.table import USUAL
from ..machine.record import Machine

if TYPE_CHECKING:
    from ..modelfiles.source import LocalModel

# how a caller may name a model
Model = str | os.PathLike[str] | ModelSpec
# sentences for the user; () where there is nothing to say
Sentences = tuple[str, ...]
# returns the sentences of `common/remarks.toml` whose key has a true value, with the figures
remarks = partial(sentences, "remarks", "remark")
# codes of findings which say that no program loads the files on the machine
_NOT_LOADED_HERE = (
    "runtime-cannot-load",
    "accelerator-missing",
    "accelerator-unsuitable",
)
# GGUF types that most converted models are published in
_USUAL_GGUF = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")


def remark(key: str, /, **figures: object) -> Sentences:
    """The sentence of that key in `common/remarks.toml`, filled with the figures."""
    return remarks({key: True}, **figures)


class Understood(Record):
    """The meaning of the caller's words: the spec, the name as typed, the workload with the facts
    that the name itself states, notes on the name, and the files that it names.

    `tag` is the typed tag of Ollama, if it loads the quantization of `workload`. `without_implied`
    is the same meaning without the runtime and the quantization that the name implies; None where
    the name implies neither.
    """

    spec: ModelSpec
    typed_name: str
    workload: Workload
    notes: Sentences = ()
    files: NamedFiles = NO_FILES
    tag: str | None = None
    without_implied: Understood | None = None

    @property
    def typed_workload(self) -> Workload:
        """The workload without the runtime and the quantization that the name implies."""
        if self.without_implied is None:
            return self.workload
        return self.without_implied.workload

    def question(self, catalogue: Catalogue, machine: Machine) -> Question:
        """The question for that machine, with every default filled in. Raises `WorkloadError`."""
        return ask(self.spec, self.workload, catalogue, machine, self.files)

    def judged(self, catalogue: Catalogue, machine: Machine) -> Judged:
        """The judgement in the model's own defaults and the files that the name implies. Raises
        `WorkloadError`.
        """
        return judge(self.question(catalogue, machine), machine)

    def for_machine(self, catalogue: Catalogue, machine: Machine) -> Understood:
        """The meaning for one of several machines. Where no program that has the stated type has a
        build for that machine, the program is the one for other machines, so that the machine gets
        a verdict. Raises `WorkloadError` for what is refused on every machine.
        """
        if self.workload.quantization is None:
            return self
        try:
            self.question(catalogue, machine)
        except WorkloadError:
            runtime = self.question(catalogue, Machine()).workload.runtime
            return self.replace(workload=self.workload.replace(runtime=runtime))
        return self


def understand(
    catalogue: Catalogue,
    model: Model,
    workload: Workload,
) -> Understood:
    """The meaning of a spec, a path or a name. Raises `UnknownModelError` for a name, and
    `SpecError` for a file.
    """
    if isinstance(model, ModelSpec):
        return Understood(spec=model, typed_name=model.id, workload=workload)
    typed = os.fsdecode(model)
    if not isinstance(model, str) or is_path(typed):
        return _understand_file(typed, workload)
    return understand_name(catalogue, typed, workload)


class JudgedMeaning(NamedTuple):
    """The meaning of the caller's words on a machine, and its judgement there."""

    understood: Understood
    judged: Judged


def judged_in_model_defaults(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
) -> JudgedMeaning:
    """The meaning on that machine, judged with the model's own defaults. If no program loads the
    files that the name implies there, the meaning is the model in other files, and a note says why.
    Raises `WorkloadError`.
    """
    without_implied = understood.without_implied
    if without_implied is None:
        return JudgedMeaning(understood, understood.judged(catalogue, machine))
    try:
        judged = understood.judged(catalogue, machine)
        note = _note_if_not_loaded(understood.typed_name, judged)
        if not note:
            return JudgedMeaning(understood, judged)
    except WorkloadError as error:
        if any(problem.key != "quantization" for problem in error.problems):
            raise
        # the type is refused
        why = f"{error.problems[0].message}."
        note = remark("other-files", asked=understood.typed_name, why=why)
    in_other_files = without_implied.replace(notes=without_implied.notes + note)
    return JudgedMeaning(in_other_files, in_other_files.judged(catalogue, machine))


def judged_on(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
) -> JudgedMeaning:
    """The meaning on that machine, judged in the best way there. Raises `WorkloadError`."""
    meaning = judged_in_model_defaults(catalogue, understood, machine)
    judged = best_way(meaning.judged, catalogue, machine)
    return meaning._replace(judged=judged)


def _note_if_not_loaded(asked: str, judged: Judged) -> Sentences:
    """The note on why the model is judged in other files than the name `asked` implies; () where a
    program loads the implied files on the machine.
    """
    is_named = judged.question.stated.runtime is not None
    for finding in judged.findings:
        why = finding.reason
        if is_named and finding.code == "runtime-no-build":
            program = judged.workload.runtime
            return remark("other-files", asked=asked, why=why, program=program)
        if finding.code in _NOT_LOADED_HERE:
            return remark("other-files", asked=asked, why=why)
    return ()


# ------------------------------------------------------------------ a file


def _understand_file(typed: str, workload: Workload) -> Understood:
    """The meaning of a path: a spec in TOML, a GGUF file, a folder, or a lone config.json."""
    # imported here: most models are named, and reading files takes modules of many formats
    from ..modelfiles import read_local, stored_notes
    from ..modelfiles.specfiles import checked_spec

    if typed.lower().endswith(".toml") and not os.path.isdir(typed):
        spec = checked_spec(typed)
        return Understood(
            spec=spec, typed_name=typed, workload=workload, notes=stored_notes(spec)
        )
    local = read_local(typed)
    notes = local.notes
    file_type = local.quantization or None
    other_type = None
    if workload.quantization is not None:
        other_type = _other_type_asked(local, workload.quantization)
    elif local.files_here:
        workload = workload.replace(quantization=file_type)
    if other_type is not None:
        notes += remark("other-type", held=file_type, asked=other_type)
    are_here = local.files_here and other_type is None
    formats: tuple[str, ...] = ()
    if are_here or local.missing:
        formats = (local.format,)
    part = _part(typed, local)
    return Understood(
        spec=local.spec,
        typed_name=typed,
        workload=workload,
        notes=notes,
        files=NamedFiles(are_here=are_here, formats=formats, part=part),
    )


def _other_type_asked(local: LocalModel, stated: str) -> str | None:
    """The stated type, where a GGUF file, which has only one, is of another; None where they agree,
    and for other files.
    """
    if local.format != "gguf":
        return None
    if not local.quantization:
        return None
    asked = need.canonical_quantization(stated)
    return None if asked == local.quantization else asked


def _part(path: str, local: LocalModel) -> DownloadedFiles | None:
    """The files of a folder that lacks some files; None for a complete folder."""
    if not local.missing:
        return None
    missing_bytes = (local.total_bytes or 0) - local.size_bytes
    return DownloadedFiles(
        path=path,
        size_bytes=local.size_bytes,
        missing_bytes=missing_bytes if missing_bytes > 0 else None,
        missing_files=local.missing,
    )


# ------------------------------------------------------------------ a name


def understand_name(
    catalogue: Catalogue,
    typed: str,
    workload: Workload,
) -> Understood:
    """The meaning of a name. Raises `UnknownModelError`, which says why and lists near names."""
    return _Name(typed=typed, stated=workload, catalogue=catalogue).understood()


class _Name(Record):
    """A name as it was typed, and the workload that was stated with it.

    What a name tells is read in this order: the model, the files that the name implies, and from
    both the workload.
    """

    typed: str
    stated: Workload
    catalogue: Catalogue

    def understood(self) -> Understood:
        """The meaning of the name. The runtime and the quantization that the name implies count
        unless the user stated others.
        """
        as_stated = Understood(
            spec=self.model,
            typed_name=self.typed,
            workload=self.stated,
            notes=self.resolved.notes,
            files=NamedFiles(is_tag=self._is_tag),
        )
        note_on_tag = remarks(
            {"tag": self._type_of_tag}, tag=self.typed, type=self._type_of_tag
        )
        return as_stated.replace(
            spec=self._with_typed_files(),
            workload=self.workload,
            notes=as_stated.notes + note_on_tag,
            tag=self._tag_to_type,
            without_implied=self._without_implied(as_stated),
        )

    # ------------------------------------------------------------------ the model

    @cached_property
    def bare(self) -> str:
        """The name without quotes and the words of a command line."""
        return bare_name(self.typed)

    @cached_property
    def _found(self) -> Resolution:
        """The resolution that the name itself gives, else the one that a search finds. Raises
        `UnknownModelError`.
        """
        reading = read(self.typed, self.catalogue)
        if reading is not None:
            return reading
        # imported here: most names are known without a search
        from ..catalogue.searching import resolve

        return resolve(self.typed, self.catalogue)

    @cached_property
    def _spec(self) -> ModelSpec:
        """The spec of the model as the catalogue has it."""
        return _checked(self._found.spec_id, self.catalogue)

    @cached_property
    def _library_tag(self) -> str | None:
        """The name of the model in Ollama's library that was typed; None for another name."""
        return typed_library_tag(self.typed, self._spec, self.catalogue)

    @cached_property
    def model(self) -> ModelSpec:
        """The spec of the model. Reports name the first alias with a tag, which is the typed
        one.
        """
        if not self._library_tag:
            return self._spec
        aliases = dict.fromkeys((self._library_tag, *self._spec.aliases))
        return self._spec.replace(aliases=tuple(aliases))

    # ------------------------------------------------------------------ the implied files

    @property
    def ollama(self) -> RuntimeSpec:
        """The program whose library has the tags."""
        return self.catalogue.runtime(USUAL.library)

    @property
    def states_program_or_type(self) -> bool:
        """Whether the stated workload has a program or a type."""
        return any((self.stated.runtime, self.stated.quantization))

    @cached_property
    def resolved(self) -> Resolution:
        """The resolution with Ollama as its program, where the typed tag loads another file there
        than other programs load, and Ollama takes the question; else the resolution as found.
        """
        tag = self._library_tag
        tags = self.ollama.library_tags
        is_own_file = tag in (*tags.bytes, *tags.unpacked)
        if not is_own_file or not self._ollama_takes_it:
            return self._found
        notes = self._found.notes + remark("own-file", tag=tag)
        return self._found.replace(runtime=self.ollama.id, notes=notes)

    @property
    def _ollama_takes_it(self) -> bool:
        """Whether the user stated neither a program nor a type, and Ollama has the stated options
        and can draft as stated.
        """
        if self.stated.task != "generate":
            return False
        if self.states_program_or_type:
            return False
        draft = self.stated.draft
        kind = "mtp" if draft == need.OWN_BLOCK else "draft"
        if draft is not None and kind not in self.ollama.companions:
            return False
        return self.ollama.takes(self.stated)

    @property
    def _is_in_library(self) -> bool:
        """Whether the name is a name of the model in Ollama's library, with a tag. The spec must
        list the name, but not the tag: the library may have more tags.
        """
        library, mark, _ = self.bare.lower().partition(":")
        if not mark:
            return False
        return any(alias.startswith(f"{library}:") for alias in self.model.aliases)

    @property
    def _is_tag(self) -> bool:
        """Whether the name stands for one file of Ollama's library, the same on every machine. It
        does not where the model is trained, or where a stated type is another file.
        """
        if self.stated.task != "generate":
            return False
        return self._is_in_library and self.stated.quantization is None

    # ------------------------------------------------------------------ the workload

    @property
    def quantization(self) -> str | None:
        """The type that the name states, or that its tag loads; None for neither."""
        return self.resolved.quantization or self._type_of_tag

    @cached_property
    def workload(self) -> Workload:
        """The stated workload with the program and the type of the name; a stated type counts
        before both.
        """
        if self.stated.quantization is not None:
            return self.stated
        return self.stated.replace(
            quantization=self.quantization, runtime=self._program
        )

    @property
    def _tag_to_type(self) -> str | None:
        """The tag that the line to type has; None where it does not load the type."""
        if not self._is_in_library or not self.quantization:
            return None
        return self.bare if self.quantization == self.workload.quantization else None

    def _without_implied(self, as_stated: Understood) -> Understood | None:
        """The meaning without the files that the name implies; None where it implies none, or the
        user stated a program or a type. They stay one file of Ollama's library where that has the
        model under other tags for every system.
        """
        resolved = self.resolved
        implies_files = bool(resolved.runtime or resolved.quantization)
        if not implies_files or self.states_program_or_type:
            return None
        files = NO_FILES if self._spec.library_tag is None else as_stated.files
        of_files = resolved.file_notes
        notes = tuple(note for note in resolved.notes if note not in of_files)
        return as_stated.replace(spec=self._spec, notes=notes, files=files)

    @property
    def _program(self) -> str | None:
        """The stated program, else the program that the name implies; for a tag of the stated
        program's library, the program whose engine computes it there.
        """
        implied = self.resolved.runtime
        if self.stated.runtime is None:
            return implied
        if ":" in self.bare:
            program = self._stated_or_library
            if implied in program.library_tags.shared_with:
                return implied
        return self.stated.runtime

    @property
    def _stated_or_library(self) -> RuntimeSpec:
        """The stated program; the one whose library has the tags where none was stated."""
        name = self.stated.runtime or self.ollama.id
        return self.catalogue.runtime(name.strip().lower())

    @cached_property
    def _type_of_tag(self) -> str | None:
        """The type that Ollama's tag loads if that is not the usual type; None where the name or
        the user states a type, or the user a program of other files.
        """
        stated = self.stated
        ollama = self.ollama
        if self.resolved.quantization is not None:
            return None
        if stated.quantization is not None:
            return None
        if stated.task != "generate":
            return None
        # the stated program may take a name without a tag for its latest tag
        if ":" not in self.typed and stated.runtime != ollama.id:
            return None
        if self._stated_or_library.formats != ollama.formats:
            return None
        tag = self.bare.lower().removesuffix(":latest")
        return ollama.library_tags.quantizations.get(tag)

    # ------------------------------------------------------------------ the files of the spec

    def _with_typed_files(self) -> ModelSpec:
        """The spec with the files of the typed repository before its files, or with the typed file
        or tag behind them; as it is where the name has neither.
        """
        spec = self.model
        repository = self.resolved.repository
        type_name = self.resolved.quantization
        program = self.resolved.runtime
        if self.resolved.names_file:
            return self._with_named_file(type_name or self.stated.quantization or "")
        if repository is None:
            return self._with_shared_file()
        format = "gguf"
        if program:
            runtime = self.catalogue.runtime(program)
            is_of_mlx = mlx_scheme(type_name or "") is not None
            if runtime.rule_of(type_name) is None and not is_of_mlx:
                # another program loads only files in a type of its own
                return spec
            format = runtime.formats[0]
        known = _typed_files(repository, format, spec)
        # a repository of GGUF files whose type the name states is added even where it is known
        states_gguf_type = bool(type_name) and not program
        if known and not states_gguf_type:
            others = [files for files in spec.files if files not in known]
            meant = (files.replace(typed=True) for files in known)
            return spec.replace(files=(*meant, *others))
        files = PublishedFiles(
            format=format,
            repository=repository,
            source=f"the name of {repository}",
            unsized=(type_name,) if type_name else _USUAL_GGUF,
            listed=type_name is not None,
            typed=True,
        )
        return spec.replace(files=(files, *spec.files))

    def _with_shared_file(self) -> ModelSpec:
        """The spec with the file of a tag of Ollama's library that another program's engine
        computes; as it is for any other name, and where no listing states the size.
        """
        spec = self.model
        resolved = self.resolved
        tags = self.ollama.library_tags
        size_bytes = tags.shared_bytes.get(self.bare.lower())
        if size_bytes is None or resolved.quantization is None:
            return spec
        if resolved.runtime not in tags.shared_with:
            return spec
        file = PublishedFiles(
            format=self.catalogue.runtime(resolved.runtime).formats[0],
            source=self.ollama.sources.get("library_tags.shared_bytes", ""),
            bytes={resolved.quantization: size_bytes},
            typed=True,
        )
        return spec.replace(files=(file, *spec.files))

    def _with_named_file(self, type_name: str) -> ModelSpec:
        """The spec with the GGUF file of that name, or of that tag of Ollama; as it is where the
        model is known not to run in GGUF.
        """
        spec = self.model
        gguf_runtime = self.catalogue.runtime(USUAL.gguf)
        if need.why_not_loaded(spec, gguf_runtime) is not None:
            return spec
        name = self.bare
        kind = need.canonical_quantization(type_name) or ""
        names = {}
        if ":" not in name:
            has_ending = name.lower().endswith(".gguf")
            names[kind] = name if has_ending else f"{name}.gguf"
        file = PublishedFiles(
            format="gguf",
            source=f"the name {name}",
            unsized=(kind,),
            names=names,
            listed=False,
            named=True,
        )
        return spec.replace(files=(*spec.files, file))


def _checked(id: str, catalogue: Catalogue) -> ModelSpec:
    """The spec of that id. Raises `SpecError` with every fault of a user's own file."""
    spec = catalogue.spec(id)
    if not catalogue.is_shipped(spec.id):
        # imported here: few users have specs of their own
        from ..modelfiles.specfiles import checked_spec

        checked_spec(spec.origin)
    return spec


def _typed_files(
    repository: str,
    format: str,
    spec: ModelSpec,
) -> list[PublishedFiles]:
    """The files of that format that the spec lists in the typed repository."""
    wanted = canonical(repository)
    typed = []
    for files in spec.files:
        if files.format == format and canonical(files.repository or "") == wanted:
            typed.append(files)
    return typed
