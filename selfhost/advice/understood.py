"""How the caller named a model, by a name, a path or a spec, and the question that this makes.

`understand` returns the spec of the model, the workload with the facts that the name itself states,
and the files that the user named. `judged_on` judges that question on a machine.
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
    asked: str
    workload: Workload
    notes: Sentences = ()
    files: NamedFiles = NO_FILES
    tag: str | None = None
    without_implied: Understood | None = None

    @property
    def typed(self) -> Workload:
        """The workload without the runtime and the quantization that the name implies."""
        if self.without_implied is None:
            return self.workload
        return self.without_implied.workload

    def question(self, catalogue: Catalogue, machine: Machine) -> Question:
        """The question for that machine, with every default filled in. Raises `WorkloadError`."""
        return ask(self.spec, self.workload, catalogue, machine, self.files)

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
        return Understood(spec=model, asked=model.id, workload=workload)
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
        return _judged_as_named(catalogue, understood, machine)
    try:
        meaning = _judged_as_named(catalogue, understood, machine)
    except WorkloadError as error:
        if any(problem.key != "quantization" for problem in error.problems):
            raise
        why = f"{error.problems[0].message}."
        notes = remark("other-files", asked=understood.asked, why=why)
    else:
        notes = _note_if_not_loaded(understood.asked, meaning.judged)
        if not notes:
            return meaning
    in_other_files = without_implied.replace(notes=without_implied.notes + notes)
    return _judged_as_named(catalogue, in_other_files, machine)


def _judged_as_named(
    catalogue: Catalogue,
    understood: Understood,
    machine: Machine,
) -> JudgedMeaning:
    """The meaning, judged with the model's own defaults and the files that the name implies. Raises
    `WorkloadError`.
    """
    question = understood.question(catalogue, machine)
    return JudgedMeaning(understood, judge(question, machine))


def judged_on(
    catalogue: Catalogue,
    model: Model | Understood,
    workload: Workload,
    machine: Machine,
    *,
    follows_machine: bool = True,
) -> JudgedMeaning:
    """The meaning, judged with the defaults that suit the machine. Without `follows_machine` it is
    judged with the model's own defaults and the files that the name implies, whatever the machine.
    Raises `WorkloadError`.
    """
    if isinstance(model, Understood):
        understood = model
    else:
        understood = understand(catalogue, model, workload)
    if not follows_machine:
        return _judged_as_named(catalogue, understood, machine)
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
    from ..modelfiles import read_local, stored_notes
    from ..modelfiles.specfiles import checked_spec

    if typed.lower().endswith(".toml") and not os.path.isdir(typed):
        spec = checked_spec(typed)
        return Understood(
            spec=spec, asked=typed, workload=workload, notes=stored_notes(spec)
        )
    local = read_local(typed)
    notes = local.notes
    are_here = local.files_here
    file_type = local.quantization or None
    if are_here and workload.quantization is None:
        workload = workload.replace(quantization=file_type)
    other_type = _other_type_asked(local, workload)
    if other_type is not None:
        are_here = False
        notes += remark("other-type", held=file_type, asked=other_type)
    formats: tuple[str, ...] = ()
    if are_here or local.missing:
        formats = (local.format,)
    part = _part(typed, local)
    return Understood(
        spec=local.spec,
        asked=typed,
        workload=workload,
        notes=notes,
        files=NamedFiles(are_here=are_here, formats=formats, part=part),
    )


def _other_type_asked(local: LocalModel, workload: Workload) -> str | None:
    """The type that the user stated instead of the type of the GGUF file, which has only one; None
    where they agree, and for other files.
    """
    if local.format != "gguf":
        return None
    if not local.quantization:
        return None
    asked = need.canonical_quantization(workload.quantization or "")
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
    """A name as it was typed, and the workload that was stated with it."""

    typed: str
    stated: Workload
    catalogue: Catalogue

    @cached_property
    def bare(self) -> str:
        """The name without quotes and the words of a command line."""
        return bare_name(self.typed)

    def is_library_tag(self, spec: ModelSpec) -> bool:
        """Whether the name is a name of the model in Ollama's library, with a tag. The spec must
        list the name, but not the tag: the library may have more tags.
        """
        library, mark, _ = self.bare.lower().partition(":")
        if not mark:
            return False
        return any(alias.startswith(f"{library}:") for alias in spec.aliases)

    @property
    def _may_be_tag(self) -> bool:
        """Whether the name has a tag, or the stated program takes a name without one for its latest
        tag.
        """
        return ":" in self.typed or self.stated.runtime == self.ollama.id

    @property
    def states_program_or_type(self) -> bool:
        """Whether the stated workload has a program or a type."""
        return any((self.stated.runtime, self.stated.quantization))

    @property
    def ollama(self) -> RuntimeSpec:
        """The program whose library has the tags."""
        return self.catalogue.runtime(USUAL.library)

    def understood(self) -> Understood:
        """The meaning of the name. The runtime and the quantization that the name implies count
        unless the user stated others.
        """
        stated = self.stated
        resolved = self._resolved()
        spec = _checked(resolved.spec_id, self.catalogue)
        typed_tag = typed_library_tag(self.typed, spec, self.catalogue)
        if typed_tag:
            # reports name the first alias with a tag, which is thus the typed one
            aliases = dict.fromkeys((typed_tag, *spec.aliases))
            spec = spec.replace(aliases=tuple(aliases))
            resolved = self._read_by_ollama(resolved, typed_tag)
        quantization = resolved.quantization
        notes = resolved.notes
        if quantization is None and self._may_be_tag:
            quantization = self._type_of_tag()
            notes += remarks({"tag": quantization}, tag=self.typed, type=quantization)
        workload = stated
        if stated.quantization is None:
            runtime = self._program(resolved)
            workload = stated.replace(quantization=quantization, runtime=runtime)
        # a tag of Ollama's loads the same file on every machine, but is not trained; a stated type
        # is another file
        is_library_tag = self.is_library_tag(spec)
        is_tag = is_library_tag and stated.task == "generate"
        if stated.quantization is not None:
            is_tag = False
        as_stated = Understood(
            spec=spec,
            asked=self.typed,
            workload=stated,
            notes=resolved.notes,
            files=NamedFiles(is_tag=is_tag),
        )
        # the line to type has the tag, where that loads the type
        tag = None
        if is_library_tag and quantization:
            tag = self.bare if quantization == workload.quantization else None
        without_implied = None
        implies_files = bool(resolved.runtime or resolved.quantization)
        if implies_files and not self.states_program_or_type:
            without_implied = self._without_implied(as_stated, resolved)
        return as_stated.replace(
            spec=self._with_typed_files(spec, resolved),
            workload=workload,
            notes=notes,
            tag=tag,
            without_implied=without_implied,
        )

    def _without_implied(
        self, as_stated: Understood, resolved: Resolution
    ) -> Understood:
        """The meaning without the files that the name implies. They stay one file of Ollama's
        library where that has the model under other tags for every system.
        """
        spec = _checked(resolved.spec_id, self.catalogue)
        files = NO_FILES if spec.library_tag is None else as_stated.files
        of_files = resolved.file_notes
        notes = tuple(note for note in resolved.notes if note not in of_files)
        return as_stated.replace(spec=spec, notes=notes, files=files)

    def _resolved(self) -> Resolution:
        """The resolution that the name itself gives, else the one that a search finds. Raises
        `UnknownModelError`.
        """
        reading = read(self.typed, self.catalogue)
        if reading is not None:
            return reading
        from ..catalogue.searching import resolve

        return resolve(self.typed, self.catalogue)

    def _program(self, resolved: Resolution) -> str | None:
        """The stated program, else the program that the name implies; for a tag of the stated
        program's library, the program whose engine computes it there.
        """
        stated = self.stated.runtime
        if stated is None or ":" not in self.bare:
            return stated or resolved.runtime
        program = self.catalogue.runtime(stated.strip().lower())
        if resolved.runtime in program.library_tags.shared_with:
            return resolved.runtime
        return stated

    def _read_by_ollama(self, resolved: Resolution, tag: str) -> Resolution:
        """The resolution with Ollama as its program, where the tag loads another file than other
        programs load, the user stated neither a program nor a type, and Ollama has the stated
        options and can draft as stated; else the resolution as it is.
        """
        if self.stated.task != "generate":
            return resolved
        if self.states_program_or_type:
            return resolved
        ollama = self.ollama
        draft = self.stated.draft
        kind = "mtp" if draft == need.OWN_BLOCK else "draft"
        if draft is not None and kind not in ollama.companions:
            return resolved
        if not ollama.takes(self.stated):
            return resolved
        tags = ollama.library_tags
        if tag in tags.bytes or tag in tags.unpacked:
            notes = resolved.notes + remark("own-file", tag=tag)
            return resolved.replace(runtime=ollama.id, notes=notes)
        return resolved

    def _type_of_tag(self) -> str | None:
        """The type that Ollama's tag loads if that is not the usual type; None where the user
        stated a type or a program of other files.
        """
        stated = self.stated
        if stated.task != "generate":
            return None
        if stated.quantization is not None:
            return None
        ollama = self.ollama
        name = stated.runtime or ollama.id
        program = self.catalogue.runtime(name.strip().lower())
        if program.formats != ollama.formats:
            return None
        tag = self.bare.lower().removesuffix(":latest")
        return ollama.library_tags.quantizations.get(tag)

    def _with_typed_files(self, spec: ModelSpec, resolved: Resolution) -> ModelSpec:
        """The spec with the files of the typed repository before its files, or with the typed file
        or tag behind them; as it is where the name has neither.
        """
        type_name = resolved.quantization
        if resolved.names_file:
            wanted_type = type_name or self.stated.quantization or ""
            return self._with_named_file(spec, wanted_type)
        repository = resolved.repository
        if repository is None:
            return self._with_shared_file(spec, resolved)
        format = "gguf"
        # a repository of GGUF files whose type the name states is added even where it is known
        adds_known = bool(type_name)
        if resolved.runtime:
            runtime = self.catalogue.runtime(resolved.runtime)
            is_of_mlx = mlx_scheme(type_name or "") is not None
            if runtime.rule_of(type_name) is None and not is_of_mlx:
                # another program loads only files in a type of its own
                return spec
            format = runtime.formats[0]
            adds_known = False
        typed = _typed_files(repository, format, spec)
        if not adds_known and typed:
            others = [files for files in spec.files if files not in typed]
            meant = (files.replace(typed=True) for files in typed)
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

    def _with_shared_file(self, spec: ModelSpec, resolved: Resolution) -> ModelSpec:
        """The spec with the file of a tag of Ollama's library that another program's engine
        computes; as it is for any other name, and where no listing states the size.
        """
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

    def _with_named_file(self, spec: ModelSpec, type_name: str) -> ModelSpec:
        """The spec with the GGUF file of that name, or of that tag of Ollama; as it is where the
        model is known not to run in GGUF.
        """
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
