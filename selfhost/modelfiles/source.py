"""Opens a file that somebody named, and says what it is where it is no model file."""

from __future__ import annotations

import os
import re
from itertools import islice

from ..core import files, json_text
from ..core.errors import Problem, SpecError
from ..core.files import shown as shown

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import IO, Any, NoReturn

# how a downloader marks what it has not finished: Hugging Face, curl and wget, browsers, aria2
UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")
# more entries than any model's folder has
_MAX_ENTRIES = 20_000
_NEEDED = "give a GGUF file, a folder with safetensors files, or the model's config.json"
_ANY_CODE = "take the model's safetensors or GGUF files: loading this one can run any code"
_LFS = b"version https://git-lfs.github.com/spec/"
# first bytes of what people mistake for a model file
_MAGIC: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"PK\x03\x04",), "is a zip archive, as PyTorch writes it, or one not unpacked", _ANY_CODE),
    ((b"\x80\x02", b"\x80\x03", b"\x80\x04"), "is a Python pickle", _ANY_CODE),
    ((b"lmgg",), "is a GGML file, as whisper.cpp reads it", "for llama.cpp take a GGUF file"),
    (
        (b"fmgg", b"tjgg", b"algg"),
        "is an old GGML file, which nothing reads now",
        "take the model's GGUF file",
    ),
    (
        (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh", b"7z\xbc\xaf"),
        "is an archive",
        "unpack it first",
    ),
)


def fail(path: str, message: str, remedy: str | None = None, *, key: str | None = None) -> NoReturn:
    """Raise `SpecError` with this one problem."""
    raise SpecError([Problem(file=shown(path), key=key, message=message, remedy=remedy)])


def damaged(path: str, what: str) -> NoReturn:
    """Raise `SpecError` for a file that no program reads."""
    fail(path, f"is damaged: {what}", "download it again")


def cut_short(path: str, what: str) -> NoReturn:
    """Raise `SpecError` for a file that ends too early."""
    fail(path, f"is cut short: {what}", "the download did not finish: start it again")


def status_of(path: str) -> os.stat_result:
    """`os.stat` with links followed. Raises `SpecError` that says what is wrong with the path."""
    try:
        return files.status_of(path)
    except files.Unreadable as error:
        _refuse(path, error)


def _refuse(path: str, error: files.Unreadable, remedy: str | None = None) -> NoReturn:
    """Raise the `SpecError` of a file that cannot be read; `remedy` is for an error without its
    own.
    """
    if error.kind == files.MISSING:
        remedy = None
        if os.path.islink(path) or any(os.path.lexists(path + ending) for ending in UNFINISHED):
            remedy = "the download was removed or did not finish: start it again"
    fail(path, error.reason, error.remedy or remedy)


def names_in(path: str) -> list[str]:
    """The names in a folder, sorted. Raises `SpecError`."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in islice(entries, _MAX_ENTRIES + 1)]
    except OSError as error:
        fail(path, f"cannot be read: {error.strerror}")
    if len(names) > _MAX_ENTRIES:
        fault = f"has more than {_MAX_ENTRIES:,} entries, which no model's folder has"
        fail(path, fault, "give the model's own folder")
    return sorted(names)


def open_file(path: str) -> tuple[IO[bytes], int]:
    """An ordinary file, unbuffered, and its size in bytes. Waits for no pipe or device. Raises
    `SpecError`.
    """
    try:
        stream, size = files.open_file(path)
    except files.Unreadable as error:
        _refuse(path, error, _NEEDED)
    if path.lower().endswith(UNFINISHED):
        stream.close()
        remedy = "start the download again, and give the finished file"
        fail(path, "is a download that did not finish", remedy)
    return stream, size


def read_some(path: str, stream: IO[bytes], limit: int) -> bytes:
    """At most `limit` bytes from where the stream stands; fewer only at the end of the file.
    Raises `SpecError`.
    """
    try:
        return files.read_some(stream, limit)
    except files.Unreadable as error:
        _refuse(path, error)


def read_json(
    path: str,
    limit: int,
    *,
    what: str,
    max_signs: int = json_text.MAX_SIGNS,
    instead: str | None = None,
) -> Any:
    """The values of a JSON file of at most `limit` bytes. Raises `SpecError`.

    `what` names the file in messages. `instead` is the remedy for a file with more than `max_signs`
    (`json_text.signs_in`).
    """
    try:
        content = files.read_file(path, limit)
    except files.Unreadable as error:
        _refuse(path, error, f"give the {what} as it was published")
    refuse_other_kinds(path, content[:4096], len(content))
    return parse_json(path, content, what=what, max_signs=max_signs, instead=instead)


def parse_json(
    path: str,
    content: bytes,
    *,
    what: str,
    max_signs: int = json_text.MAX_SIGNS,
    instead: str | None = None,
) -> Any:
    """The values of JSON that nobody vouches for. Raises `SpecError`."""
    as_published = f"give the {what} as it was published"
    decoder = json_text.Decoder(constant=float)
    try:
        return decoder.parse(content.decode("utf-8-sig"), max_signs=max_signs)
    except UnicodeDecodeError:
        fail(path, "is not UTF-8 text", as_published)
    except files.Unreadable as error:
        line = f" in line {error.line}" if error.line else ""
        remedy = instead if error.kind == files.LARGE else None
        fail(path, f"{error.reason}{line}", remedy or as_published)


def begins_safetensors(start: bytes) -> bool:
    """A safetensors file begins with eight bytes of a length, the upper four of them zero, and the
    brace of its header. No text and no archive has both there.

    The lower bytes may be anything: a pickle begins with 640, a blank and the brace of JSON are
    31,520.
    """
    return start[4:9] == b"\0\0\0\0{"


def refuse_other_kinds(path: str, start: bytes, size: int) -> None:
    """Raise `SpecError` for what people mistake for a model file, by its first bytes."""
    if size == 0:
        remedy = "the download did not start, or the disk was full: download it again"
        fail(path, "is empty", remedy)
    if start.startswith(_LFS):
        size_line = re.search(rb"\nsize (\d{1,18})", start)
        real = f" of {int(size_line[1]):,} bytes" if size_line else ""
        fault = f"is a Git LFS pointer: the real file{real} was not downloaded"
        fail(path, fault, "run `git lfs pull` in the repository's folder")
    if not start.strip(b"\0"):
        remedy = "the space was reserved, but the download did not happen: download it again"
        fail(path, "holds nothing but zeros", remedy)
    if start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        remedy = "the download was answered by a page, for example to log in: download it again"
        fail(path, "is a web page, not a model", remedy)
    for magic, message, remedy in () if begins_safetensors(start) else _MAGIC:
        if start.startswith(magic):
            fail(path, message, remedy)
