"""The common functions of the readers of model files: opening a file that somebody named,
identifying a file that is no model, parsing untrusted JSON, and naming models without a name.

What goes in: a path. What comes out: the first bytes of the file or its values, and in the end a
`LocalModel`. Every fault is a `SpecError` with a sentence and a remedy of
`specs/common/model_files.toml`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os.path import abspath, basename, dirname, islink, join, lexists
from typing import IO, Any, NamedTuple, NoReturn, TypeVar

from ..catalogue.spec import License, ModelSpec
from ..core import files
from ..core.errors import Problem, SpecError
from ..core.links import exists
from ..core.records import Record, Values, shortened, shown
from ..core.templates import fill
from ..core.units import listed
from .tables import model_files

# the values of a model's JSON file, by key, not checked yet
JsonValues = Mapping[str, object]
# sentences for the user
Notes = tuple[str, ...]
_Header = TypeVar("_Header")
# a thousand times as many as the largest model of 2026
MAX_PARAMETERS = 10**16
# endings of unfinished downloads: Hugging Face, curl and wget, browsers, aria2
UNFINISHED = (
    ".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp",
)  # fmt: skip
_NEEDED = (
    "give a GGUF file, a folder with safetensors files, or the model's config.json"
)
_START_BYTES = 4096
_LFS = b"version https://git-lfs.github.com/spec/"
_WEB_PAGES = (b"<!doctype html", b"<html", b"<?xml")
# A safetensors file begins with eight bytes of a length, of which the upper four are zero, and the
# brace of its header. No text and no archive has these five bytes there, whatever the lower bytes
# are.
_SAFETENSORS = b"\0\0\0\0{"
_MAX_TEXT = 100


class LocalModel(Record):
    """A model as its files describe it.

    - `format`: `gguf`, `safetensors` or `mlx`.
    - `quantization`: in the words of QUANTIZATIONS; None where not known.
    - `files_here`: all weights lie on this machine, complete.
    - `missing`: where only some of the files are here, the names of the others. Then
      `size_bytes` of `total_bytes` are here (None: not known).
    - `notes`: sentences for the user about odd facts.
    - `is_quantized`: config.json says that the weights are no longer in the type of training.
    - `language_parameters`: the parameters of the language model alone; None where they do not
      follow from config.json.
    """

    spec: ModelSpec
    format: str = "safetensors"
    quantization: str | None = None
    files_here: bool = False
    missing: tuple[str, ...] = ()
    size_bytes: int = 0
    total_bytes: int | None = None
    notes: Notes = ()
    is_quantized: bool = False
    language_parameters: int | None = None


# faults, and reasons for unknown values


def fail(
    path: str,
    message: str,
    remedy: str | None = None,
) -> NoReturn:
    """Raise `SpecError` with this one problem."""
    problem = Problem(file=shown(path), message=message, remedy=remedy)
    raise SpecError([problem])


def refuse(
    path: str,
    fault: str,
    **values: object,
) -> NoReturn:
    """Raise `SpecError` with a fault and its remedy, as `[faults]` of model_files.toml words it."""
    fail(path, *filled(model_files().faults[fault], values))


def filled(fault: Sequence[str], values: Values) -> Iterator[str]:
    """The message and the remedy of a fault of model_files.toml, with the values put in."""
    for template in fault:
        yield fill(template, values)


def reason(fact: str, **values: object) -> str:
    """The reason why a fact is not known, as `[reasons]` of model_files.toml words it."""
    return fill(model_files().reasons[fact], values)


def read_each(
    path: str,
    fault: str,
    files: Sequence[str],
    read: Callable[[str], _Header],
) -> Iterator[_Header]:
    """Yield the header of each file that is here, as `read` reads it. At the end, `SpecError` is
    raised where files cannot be read, and, with that fault, where some that belong to `path` do not
    exist.
    """
    problems: list[Problem] = []
    missing = missing_names(files)
    if missing:
        figures = {
            "parts": len(files),
            "missing": len(missing),
            "names": listed(missing),
        }
        message, remedy = filled(model_files().faults[fault], figures)
        problems.append(Problem(file=shown(path), message=message, remedy=remedy))
    for file in filter(exists, files):
        try:
            yield read(file)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)


def missing_names(files: Iterable[str]) -> tuple[str, ...]:
    """The names of the files that do not exist, fit to print."""
    missing = [file for file in files if not exists(file)]
    return tuple(map(shown, map(basename, missing)))


def table_of(value: object) -> JsonValues:
    """An object of a JSON file; an empty one in place of any other value."""
    return value if isinstance(value, dict) else {}


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with `start` is a safetensors file, whatever the length of its
    header.
    """
    return start[4:9] == _SAFETENSORS


def refuse_other_kinds(
    path: str,
    start: bytes,
    size: int,
) -> None:
    """Raise `SpecError` for a file that people mistake for a model file, recognised by its first
    bytes.
    """
    if size == 0:
        refuse(path, "empty")
    if start.startswith(_LFS):
        # the pointer that Git LFS keeps in place of a large file
        size_line = re.search(rb"\nsize (\d{1,18})", start)
        real = int(size_line[1]) if size_line else 0
        refuse(path, "pointer", real=real)
    if not start.strip(b"\0"):
        refuse(path, "zeros")
    beginning = start.lstrip()[:15]
    if beginning.lower().startswith(_WEB_PAGES):
        refuse(path, "web-page")
    if is_safetensors(start):
        return
    for kind in model_files().not_a_model:
        begins = tuple(map(bytes.fromhex, kind.begins))
        if start.startswith(begins):
            fail(path, kind.message, kind.remedy)


# opening and parsing


class OpenedFile(NamedTuple):
    """An open, unbuffered file, with its size in bytes and its first bytes. The stream's position
    is behind the first bytes.
    """

    stream: IO[bytes]
    size: int
    start: bytes


def open_file(path: str) -> OpenedFile:
    """Open an ordinary file. Raises `SpecError`, also for an unfinished download."""
    with readable(path, _NEEDED):
        stream, size = files.open_file(path)
        start = files.read_some(stream, _START_BYTES)
    if path.lower().endswith(UNFINISHED):
        stream.close()
        refuse(path, "unfinished-file")
    return OpenedFile(stream, size or 0, start)


@contextmanager
def readable(path: str, remedy: str | None = None) -> Iterator[None]:
    """Raise `SpecError` in place of `Unreadable`. `remedy` is used where the `Unreadable` has none,
    and the file exists.
    """
    try:
        yield
    except files.Unreadable as error:
        if error.kind == files.MISSING:
            unfinished = [path + ending for ending in UNFINISHED]
            remedy = None
            if islink(path) or any(map(lexists, unfinished)):
                remedy = "the download was removed or did not finish: start it again"
        raise SpecError([error.problem(shown(path), remedy)]) from None


class JsonKind(Record):
    """A kind of JSON file, with the limits that it is read under.

    - `what`: the name of the kind.
    - `most_bytes`: the longest file.
    - `signs`: the most signs `[ { , :` in the file; `remedy` is for a file with more.
    """

    what: str
    most_bytes: int = files.MAX_TEXT_BYTES
    signs: int = files.MAX_SIGNS
    remedy: str = "give the file as its program wrote it"


def read_json(path: str, kind: JsonKind) -> object:
    """The values of a JSON file of that kind. Raises `SpecError`."""
    with readable(path, _as_published(kind)):
        content = files.read_file(path, kind.most_bytes)
    refuse_other_kinds(path, content[:_START_BYTES], len(content))
    return parse_json(path, content, kind)


def parse_json(
    path: str,
    content: bytes,
    kind: JsonKind,
) -> object:
    """The values of JSON from an untrusted source. Raises `SpecError`."""
    with readable(path, _as_published(kind)):
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise files.Unreadable("is not UTF-8 text") from None
        return files.parse_json(
            text, constant=float, max_signs=kind.signs, remedy=kind.remedy
        )


def _as_published(kind: JsonKind) -> str:
    return f"give the {kind.what} as it was published"


def sibling(path: str, name: str) -> str | None:
    """The file of that name in the same folder, None where there is none."""
    file = join(dirname(path), name)
    return file if lexists(file) else None


# texts of files, and names


def clean(text: object) -> str:
    """A text of a header on one line, shortened; empty for a value that is no text."""
    return shortened(text, _MAX_TEXT) if isinstance(text, str) else ""


def short(value: object) -> str:
    """A value of a file as JSON writes it, short and safe to print: `null`, `[true, 4]`."""
    import json

    if isinstance(value, str):
        return f'"{clean(value)}"'
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return clean(text[:60])


# the suffix of a file's name after the model's name
_PART_AND_ENDING = r"(?i)(-\d{5}-of-\d{5})?(\.(gguf|safetensors|json))?$"


def name_by_place(path: str) -> str:
    """The name of a model that states none, from its path: the name of the file without its ending
    and part, or the name of the folder, also as Hugging Face caches it.
    """
    place = abspath(path)
    if basename(place).lower() == "config.json":
        place = dirname(place)
    folder = dirname(place)
    if basename(folder) == "snapshots":
        # the folder models--owner--name/snapshots/revision
        place = dirname(folder)
    name = basename(place)
    if name.startswith("models--"):
        name = name.rpartition("--")[2]
    name = re.sub(_PART_AND_ENDING, "", name, count=1)
    return clean(name) or "local model"


def spec_of(
    path: str,
    name: str = "",
    **facts: Any,
) -> ModelSpec:
    """The spec of the model in a file or a folder, named by `name`, else after its path."""
    name = name or name_by_place(path)
    words = re.sub(r"[^a-z0-9.]+", "-", name.lower())
    id = words[:_MAX_TEXT].strip("-.") or "local-model"
    return ModelSpec(id=id, name=name, origin=path, **facts)


def license_of(
    text: str,
    link: str,
    unknown: dict[str, str],
) -> License | None:
    """The license by the name and the address that a header states, either of which may be empty;
    None without a name. The reasons for missing facts are added to `unknown`.
    """
    if not text:
        unknown["license.id"] = "the header does not say"
        return None
    for id in model_files().licenses:
        usual = id.removesuffix("-only")
        if usual.lower() == text.lower():
            return License(id=id)
    words = re.sub(r"[^A-Za-z0-9.]+", "-", text)
    name = words.strip("-") or "unnamed"
    url = None
    if link.startswith(("https://", "http://")):
        url = link
    else:
        unknown["license.url"] = f'the file says "{text}" and no address'
    return License(id=f"LicenseRef-{name}", url=url)
