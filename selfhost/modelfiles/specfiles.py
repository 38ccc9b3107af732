"""`selfhost spec check`: the faults of spec files in one run, in each file alone and in
combination.

What goes in: paths of spec files, and the specs of the catalogue. What comes out: the problems,
each with its file and line, and the specs of the files without one. Stated counts and sizes are
recomputed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from .. import needs as need
from ..catalogue.index import misnamed, spec_files_in
from ..catalogue.openness import canonical_expression, remedy_of_id
from ..catalogue.spec import ModelSpec, read_spec_file
from ..catalogue.spec_rules import read_model_spec
from ..catalogue.spec_values import ID, SCHEMA, SCRATCH, SOURCES_ENDING
from ..core.errors import KeyPath, Problem, SpecError, WorkloadError
from ..core.files import value_at
from ..core.records import Record, shortened, shown
from ..core.tables import Document
from ..core.units import canonical, percent
from ..needs.records import Term
from ..needs.tensors import architectures
from ..needs.weight_files import DTYPES
from .source import filled
from .tables import model_files

# Tables whose facts have their source in [sources]. [needs] and [[files]] carry their own sources,
# and [upkeep] only points to other models.
_SOURCED = (
    "license",
    "openness",
    "parameters",
    "architecture",
    "components",
    "embedding",
    "safety",
    "availability",
)
# keys that refer to other spec files by id
_POINTERS: tuple[KeyPath, ...] = (
    ("availability", "open_alternatives"),
    ("availability", "successor"),
    ("upkeep", "superseded_by"),
    ("tuned_from",),
)
# the relative error that a stated count of parameters may have
PARAMETERS_SHARE = 0.005
# the relative error that a figure of one digit ("7_000_000_000") may have
_ROUNDED_SHARE = 0.1
# Files of one quantization differ by up to 8 %, since publishers leave some tensors in another
# type. Files of another model differ far more.
_FILES_SHARE = 0.25
# the most bytes of a parameter of a projector, whose file has 16 bits and some overhead
_ENCODER_BYTES = 3
# the number of faults over all files that get a suggested name: each suggestion takes 20 to 30 ms
_MOST_GUESSES = 50


class CheckedFiles(NamedTuple):
    """The first problems of each file with a count of the others, and the specs of the files
    without a problem.
    """

    problems: tuple[Problem, ...]
    specs: tuple[ModelSpec, ...]


def check_spec_files(
    paths: Sequence[str],
    catalogue_specs: Iterable[ModelSpec],
    runtime_ids: Sequence[str] = (),
    *,
    tell: Callable[[int, int], None] | None = None,
) -> CheckedFiles:
    """Check spec files, in their order. Raises nothing.

    Every spec in a folder is checked, as `--specs` takes them. A file replaces the spec of the same
    id in the catalogue, so that a shipped file can be checked against the rest. `runtime_ids` are
    the programs that a spec may name; without any, the named programs are not checked. A file named
    twice is read once. `tell` is called with the number of files read, and of all files.
    """
    problems: list[Problem] = []
    files = _named_files(paths, problems)
    checked = []
    # faulty files are compared with the catalogue too, so that one run reports all faults
    comparable = []
    for number, file in enumerate(files):
        if tell is not None:
            tell(number, len(files))
        document = read_spec_file(file)
        checked.append((document, _checked_alone(document)))
        if document.values.get("schema") in (None, SCHEMA):
            comparable.append(document)
    _check_together(comparable, catalogue_specs, runtime_ids)
    guesses = 0
    specs = []
    for document, spec in checked:
        listed = document.listed(_MOST_GUESSES - guesses)
        problems += listed.problems
        guesses += listed.guesses
        if spec is not None and document.ok:
            specs.append(spec)
    return CheckedFiles(tuple(problems), tuple(specs))


def checked_spec(path: str) -> ModelSpec:
    """The spec in a file of any name. Raises `SpecError` with the faults that `spec check` finds in
    it, except faults of names, references and sources.
    """
    document = read_spec_file(path)
    spec = _checked_alone(document)
    if spec is None or not document.ok:
        raise SpecError(document.problems)
    return spec.replace(origin=path)


def _named_files(paths: Sequence[str], problems: list[Problem]) -> list[str]:
    """The spec files at these paths and in the folders at these paths, each once. The problems of
    folders are added to `problems`.
    """
    files = []
    for path in paths:
        if not os.path.isdir(path):
            files.append(path)
            continue
        try:
            found = spec_files_in(path)
        except SpecError as error:
            problems += error.problems
            continue
        files += found.values()
        if not found:
            problems.append(
                Problem(
                    file=shown(path),
                    message="holds no spec",
                    remedy="name a folder that holds <id>.toml files",
                )
            )
    # a file of sources stands for its spec
    sources = re.escape(SOURCES_ENDING) + r"\Z"
    specs = [re.sub(sources, ".toml", file) for file in files]
    # a dict as an ordered set
    return list(dict.fromkeys(specs))


def _note(
    document: Document,
    place: KeyPath,
    fault: str,
    **values: object,
) -> None:
    """Note a fault as `[spec_faults]` of model_files.toml words it."""
    document.add(place, *filled(model_files().spec_faults[fault], values))


# checking a file alone


def _checked_alone(document: Document) -> ModelSpec | None:
    """The spec as far as the document is right, after checks of the file alone; None where nothing
    is right.
    """
    spec = read_model_spec(document, document.file)
    if spec is None:
        return None
    _check_license(document)
    is_countable = _check_layers(document, spec)
    if spec.parameters.total is not None and not document.has_faults("parameters"):
        counted = need.counted_parameters(spec) if is_countable else None
        for count in _counts(document, spec, counted):
            if not count.is_right:
                _note_count(document, count)
    if is_countable:
        _check_files(document, spec)
    return spec


def _note_count(document: Document, count: _Count) -> None:
    """Note the fault of a stated count, with the true one."""
    what, correct = model_files().spec_bases[count.basis]
    _note(
        document,
        ("parameters", count.key),
        "count",
        what=what,
        correct=correct,
        key=count.key,
        stated=count.stated,
        true=count.true,
        written=f"{count.true:_}",
        share=percent(count.apart / count.stated),
        than="more" if count.true > count.stated else "less",
    )


def _texts(document: Document, *path: str | int) -> Iterator[tuple[KeyPath, str]]:
    """Yield the text at a path, or each text of a list there, after its own path."""
    value = value_at(document.values, *path)
    if isinstance(value, list):
        for index, _ in enumerate(value):
            yield from _texts(document, *path, index)
    elif isinstance(value, str) and value.strip():
        yield path, value


def _check_license(document: Document) -> None:
    """Note a fault where the license is not an SPDX expression, or not in SPDX's own spelling."""
    for place, text in _texts(document, "license", "id"):
        try:
            right = canonical_expression(text)
        except WorkloadError:
            document.add(
                place,
                f'"{shortened(text)}" is no SPDX license expression',
                remedy_of_id(text),
            )
            continue
        if right != text:
            _note(document, place, "license", text=text, right=right)


def _check_layers(document: Document, spec: ModelSpec) -> bool:
    """Note a fault where the layers lack attention or feed-forwards that their architecture has.
    Return whether the parameters can be counted, which wrong layers prevent.
    """
    if document.has_faults("architecture", "quantized"):
        return False
    model = spec.architecture
    if model is None or model.row not in architectures().architecture:
        return True
    if need.row_of(model) is not need.UNKNOWN_ROW:
        return True
    key = "feed_forward" if model.attention else "attention"
    place = ("architecture", key)
    _note(document, place, "part", row=model.row, key=key)
    return False


class _Count(Record):
    """A stated count of parameters and the true count.

    - `key`: the key of `[parameters]` that states the count.
    - `basis`: the key of `[spec_bases]` that explains the true count.
    - `allowed`: a further difference that is accepted.
    """

    key: str
    stated: int
    true: int
    basis: str
    allowed: int = 0

    @property
    def apart(self) -> int:
        """The difference between the stated and the true count."""
        return abs(self.true - self.stated)

    @property
    def is_right(self) -> bool:
        """Whether the stated count is near enough to the true one: within a share, or half of its
        last digit.
        """
        digits = str(self.stated)
        significant = digits.rstrip("0")
        half_a_digit: int = 10 ** (len(digits) - len(significant)) // 2
        rounded = min(half_a_digit, int(self.stated * _ROUNDED_SHARE))
        usual = int(self.stated * PARAMETERS_SHARE)
        return self.apart <= max(usual, rounded) + self.allowed


def _counts(
    document: Document,
    spec: ModelSpec,
    counted: need.ParameterCounts | None,
) -> Iterator[_Count]:
    """Yield the stated counts with the true ones. `counted`: the parameters without encoders; None
    where not known.
    """
    parameters = spec.parameters
    stated = parameters.total or 0
    components = sum((spec.components or {}).values())
    if components and not document.has_faults("components"):
        yield _Count(key="total", stated=stated, true=components, basis="components")
    if counted is None:
        return
    encoders = parameters.in_encoders
    if not encoders and "parameters.encoders" in spec.unknown:
        # the stated total includes the encoders: it is at least the sum of the other parts
        encoders = max(0, stated - counted.total)
    true = counted.total + encoders
    basis = "encoders" if parameters.encoders else "architecture"
    yield _Count(key="total", stated=stated, true=true, basis=basis)
    if parameters.active is not None:
        yield _Count(
            key="active",
            stated=parameters.active,
            true=counted.active + encoders,
            basis="active",
            allowed=abs(true - stated),
        )


def _check_files(document: Document, spec: ModelSpec) -> None:
    """Note stated file sizes that cannot be this model's in their quantization, where that size can
    be computed.
    """
    if "parameters.encoders" in spec.unknown and not spec.parameters.encoders:
        return
    without_sizes = spec.replace(files=())
    for index, files in enumerate(spec.files):
        for name, size in files.bytes.items():
            computed = need.weights_files(without_sizes, files.format, name)
            if not isinstance(computed, Term):
                continue
            least = computed.low_bytes * (1 - _FILES_SHARE)
            if least <= size <= _most_bytes(spec, name, computed):
                continue
            counted = f"{computed.bytes:,} ({computed.arithmetic})"
            place = ("files", index, "bytes", name)
            _note(document, place, "size", size=size, name=name, own=counted)


def _most_bytes(
    spec: ModelSpec,
    quantization: str,
    computed: Term,
) -> float:
    """The most bytes that the files of a quantization may have, by the computed size of the
    weights.
    """
    most = computed.high_bytes * (1 + _FILES_SHARE)
    if spec.components and quantization in DTYPES:
        # some pipelines are published in 32 bits and loaded in 16, such as Z-Image
        most *= 32 / DTYPES[quantization]
    # a listing may include the projector
    encoders = spec.parameters.in_encoders
    return most + _ENCODER_BYTES * encoders


# checking a file beside the others


def _check_together(
    documents: Sequence[Document],
    catalogue_specs: Iterable[ModelSpec],
    runtime_ids: Sequence[str],
) -> None:
    """Check the names, the references and the sources of files. Each file replaces the spec of its
    id in the catalogue.
    """
    ids = set()
    for document in documents:
        file = os.path.basename(document.file)
        ids.add(_id_of(document) or file.removesuffix(".toml"))
    others = [spec for spec in catalogue_specs if spec.id not in ids]
    ids.update(spec.id for spec in others)
    known = sorted(ids)
    for document in documents:
        _check_file_name(document)
    _check_names(documents, others)
    for document in documents:
        _check_pointers(document, known)
        _check_runtimes(document, runtime_ids)
        _check_sources(document)


def _id_of(document: Document) -> str | None:
    """The id that a file states; None where it states none."""
    for _, text in _texts(document, "id"):
        return text
    return None


def _owners(specs: Iterable[ModelSpec]) -> dict[str, str]:
    """The id of the first spec that answers to a name, by the name in its canonical spelling."""
    owners: dict[str, str] = {}
    for spec in specs:
        names = [spec.id, *spec.aliases]
        if spec.repository:
            names.append(spec.repository)
        for name in map(canonical, names):
            owners.setdefault(name, spec.id)
    return owners


def _check_file_name(document: Document) -> None:
    """Note a fault where the file is not named after its id."""
    spec_id = _id_of(document)
    if spec_id is None or re.fullmatch(ID.pattern, spec_id) is None:
        return
    file = os.path.basename(document.file)
    if file != f"{spec_id}.toml":
        document.add(("id",), *misnamed(spec_id, file))


def _check_names(documents: Iterable[Document], others: Iterable[ModelSpec]) -> None:
    """Note each name in a file that another spec or an earlier file has already."""
    owners = _owners(others)
    for document in documents:
        spec_id = _id_of(document)
        if spec_id is None:
            continue
        if owners.get(canonical(spec_id)) == spec_id:
            _note(document, ("id",), "twice", name=shortened(spec_id))
            continue
        for key in ("id", "aliases", "repository"):
            for place, name in _texts(document, key):
                # a name without an owner belongs to this file
                owner = owners.setdefault(canonical(name), spec_id)
                if owner != spec_id:
                    _note(document, place, "taken", name=shortened(name), owner=owner)


def _check_pointers(document: Document, ids: Sequence[str]) -> None:
    """Note each id of another model that no spec has, and each that is the model's own."""
    spec_id = _id_of(document)
    for path in _POINTERS:
        may_be_undescribed = path == ("tuned_from",)
        for place, text in _texts(document, *path):
            if text == spec_id:
                document.add(place, f'"{shortened(text)}" is this model itself')
                continue
            # a model may be tuned from a model that no spec describes
            is_undescribed = text == SCRATCH or "/" in text
            if text in ids or (may_be_undescribed and is_undescribed):
                continue
            remedy = document.did_you_mean(text, ids, None, '"{name}"')
            document.add(place, f'no spec has the id "{shortened(text)}"', remedy)


def _check_runtimes(document: Document, runtime_ids: Sequence[str]) -> None:
    """Note each id of a runtime that is not among `runtime_ids`; nothing where there are none."""
    all_ids = f"one of {', '.join(runtime_ids)}"
    for place, text in _texts(document, "runtimes"):
        if runtime_ids and text not in runtime_ids:
            remedy = document.did_you_mean(text, runtime_ids, all_ids, '"{name}"')
            document.add(place, f'no runtime has the id "{shortened(text)}"', remedy)


def _check_sources(document: Document) -> None:
    """Note each table of facts that has no source, neither in the file nor in the file of sources
    beside it, and stated needs without one.
    """
    stated = document.values
    sources = stated.get("sources") or {}
    if not isinstance(sources, dict):
        # this fault was already reported
        return
    sourced = {key.partition(".")[0] for key in sources}
    for table in _SOURCED:
        if table not in stated or table in sourced:
            continue
        document.add(
            ("sources", table),
            "is missing",
            f'say where the facts in [{table}] come from: {table} = "…" in [sources], '
            f"or in the file that ends in {SOURCES_ENDING}",
        )
    needs = stated.get("needs")
    if not isinstance(needs, dict) or "needs" in sourced:
        return
    if needs and "source" not in needs:
        document.add(
            ("needs", "source"),
            "is missing",
            'say who states the figures: source = "measured on my laptop"',
        )
