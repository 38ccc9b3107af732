"""What the command writes, in the colour and width that the terminal states."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence

from ..core import TYPE_CHECKING
from ..core.errors import MAX_PROBLEMS, InputError, Problem, SelfhostError, first_problems

if TYPE_CHECKING:
    import argparse

    from ..catalogue.index import Catalogue
    from ..reports.layout import Blocks

_TO_A_FILE = "--output FILE writes the report to a file"
# what a pipe or terminal may not be able to encode, and what says the same in ASCII
_ASCII = str.maketrans(
    {
        "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "≥": ">=", "≤": "<=", "→": "->",
        "·": "*", "•": "*", "≈": "~", "✓": "+", "✗": "x", "‘": "'", "’": "'", "“": '"', "”": '"',
        "━": "#", "─": "-", "╍": "!",
    }
)  # fmt: skip
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_STREAMS = {"/dev/stdout": 1, "/dev/fd/1": 1, "/dev/stderr": 2, "/dev/fd/2": 2}
_OWN_FOLDER = "give a file in a folder that exists and is yours, or send the report to `> FILE`"


class UsageError(SelfhostError):
    """The command line makes no sense, or no report can be written where it says."""


def is_terminal() -> bool:
    """Whether standard output is one."""
    return sys.stdout is not None and sys.stdout.isatty()


def terminal_size() -> os.terminal_size:
    """The columns and lines of standard output; 80 columns and 0 lines where nothing states them.

    The environment's COLUMNS and LINES go before what the terminal says.
    """
    # only a terminal and a help screen are worth the loading
    from shutil import get_terminal_size

    return get_terminal_size((80, 0))


def asks_for(words: Sequence[str], form: str) -> bool:
    """Whether the words of a command line ask for that format."""
    pairs = zip(words, [*words[1:], ""], strict=False)
    is_asked = f"--format={form}" in words or ("--format", form) in pairs
    return is_asked or (form == "json" and "--json" in words)


def complain(error: SelfhostError, code: int, wants_json: bool) -> None:
    """Say what went wrong on standard error, as a person or a program reads it."""
    from ..core.workload import as_typed

    if wants_json:
        from ..reports import json

        document = json.titled("error/1", **json.fault(error), exit_code=code)
        write(json.dumps(document), to_error=True)
    else:
        from ..reports.layout import error_text

        write(error_text(as_typed(error)), to_error=True)


def bug(error: BaseException) -> SelfhostError:
    """Return an error nobody caught as one to report, with the line that raised it."""
    trace, where = error.__traceback__, ""
    while trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        where = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return SelfhostError(
        f"a bug in selfhost: {type(error).__name__}: {error}{where}",
        remedy="report it with the command you typed; SELFHOST_DEBUG=1 shows the traceback",
    )


def together(errors: Mapping[str, SelfhostError]) -> SelfhostError:
    """Return one error for all that is wrong with the names: a single one as it is."""
    if len(errors) == 1:
        return next(iter(errors.values()))
    problems: dict[Problem, None] = {}
    guesses: dict[str, None] = {}
    for name, error in errors.items():
        # to find near names takes far longer than all else: only for what will be listed
        near = error.nearest if len(problems) < MAX_PROBLEMS else ()
        guesses.update(dict.fromkeys(near))
        remedy = f"did you mean {' or '.join(near[:3])}?" if near else error.remedy
        alone = (Problem(file="command line", key=name, message=error.message, remedy=remedy),)
        faults = error.problems if isinstance(error, InputError) else ()
        problems.update(dict.fromkeys(faults or alone))
    return InputError(first_problems("command line", problems), nearest=guesses)


def deliver(options: argparse.Namespace, text: str | Iterable[str]) -> None:
    """Write a report, perhaps in pieces, to --output or standard output; then `options.notes`."""
    if options.output is not None:
        write_whole([(options.output, text)])
    else:
        for piece in (text,) if isinstance(text, str) else text:
            write(str(piece))
    for remark in getattr(options, "notes", ()):
        note(remark)


def write_json(options: argparse.Namespace, name: str, *values: object) -> bool:
    """Write what that function of `reports.json` makes of the values, where JSON was asked for."""
    if options.format != "json":
        return False
    from ..reports import json

    deliver(options, json.dumps(getattr(json, name)(*values)))
    return True


def present(options: argparse.Namespace, blocks: Blocks) -> None:
    """Write blocks for a person: as a web page, drawn on a terminal, plain elsewhere."""
    if options.format == "html":
        from ..reports.markup import page

        deliver(options, page(blocks))
    elif options.output is None and (is_terminal() or _forces_color(options)):
        from ..reports.screen import show

        show(blocks, _Screen(), is_terminal=is_terminal(), no_color=options.no_color)
        # the remarks alone
        deliver(options, ())
    else:
        from ..reports.layout import plain

        deliver(options, plain(blocks))


def _forces_color(options: argparse.Namespace) -> bool:
    """Whether FORCE_COLOR asks for colours in a pipe, as a CI job does: see force-color.org."""
    is_refused = options.no_color or os.environ.get("NO_COLOR")
    return not is_refused and os.environ.get("FORCE_COLOR", "0") not in ("", "0")


class _Screen:
    """Standard output as rich writes to it: refused and spelled as `write` does."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        write(text)
        return len(text)

    def flush(self) -> None:
        write(flush=True)

    def fileno(self) -> int:
        return sys.stdout.fileno()

    def isatty(self) -> bool:
        return is_terminal()


def write(text: str = "", *, flush: bool = False, to_error: bool = False) -> None:
    """Write to standard output, or raise `UsageError`; `to_error` is standard error, where somebody
    reads it. A pipe whose reader has gone is no error.
    """
    stream = sys.stderr if to_error else sys.stdout
    if stream is None:
        if to_error or not text:
            return
        raise UsageError("there is no standard output", remedy=_TO_A_FILE)
    try:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
            stream.write(text)
        if flush:
            stream.flush()
    except OSError as error:
        # what is left in the buffer would complain at exit
        try:  # noqa: SIM105 - contextlib would be loaded for this alone
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError):
            pass
        # a pipe whose reader has gone is EINVAL on Windows
        is_gone = os.name == "nt" and error.errno == errno.EINVAL
        if not (to_error or is_gone or isinstance(error, BrokenPipeError)):
            reason = f"standard output cannot be written: {error.strerror or error}"
            raise UsageError(reason, remedy=_TO_A_FILE) from None


def note(text: str) -> None:
    """Write a remark to standard error, after what of the answer is written so far."""
    write(flush=True)
    from ..reports.layout import clean

    lines = (f"{clean(line)}\n" for line in f"note: {text}".splitlines())
    write("".join(lines), to_error=True)


def note_faulty_specs(catalogue: Catalogue) -> None:
    """Note what is wrong with the user's own specs, where the answer has no place for it."""
    if catalogue.own_faults:
        from ..reports.layout import problems_text

        faults = problems_text(first_problems("--specs", catalogue.own_faults))
        note(f"ignored these spec files because of errors:\n{faults}")


def refuse_targets(
    options: argparse.Namespace, paths: Sequence[str], *, with_standard_output: bool = False
) -> None:
    """Raise `UsageError` where a report would replace an input or another one, or has no place."""
    named: list[str] = []
    for option, value in vars(options).items():
        if option not in ("output", "format", "given"):
            named += value if isinstance(value, list) else [value]
    inputs = ["/dev/stdin" if name == "-" else name for name in named if isinstance(name, str)]
    read = list(filter(os.path.isfile, inputs))
    places: list[int | str] = [1] if with_standard_output else []
    for path in paths:
        place = _STREAMS.get(path) or os.path.realpath(path)
        if place in places and path != os.devnull:
            raise UsageError(f"two reports would go to {path}", remedy="give each its own file")
        places.append(place)
        _device_or_file(path)
        if any(os.path.exists(path) and os.path.samefile(path, other) for other in read):
            message = f"cannot write {path}: this run reads it"
            raise UsageError(message, remedy="name another file for the report")


def _device_or_file(path: str) -> bool:
    """True for a device. Raises `UsageError` for what is no file to be written in its folder."""
    is_device = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    try:
        is_fit = is_device or (stat.S_ISREG(os.stat(path).st_mode) and os.access(path, os.W_OK))
    except FileNotFoundError as error:
        folder = os.path.dirname(os.path.realpath(path))
        is_fit = bool(os.path.basename(path)) and os.path.isdir(folder)
        if not is_fit:
            raise _unwritable(path, error) from None
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    if not is_fit:
        message = f"cannot write {path}: it is no file that this account may change"
        raise UsageError(message, remedy=_OWN_FOLDER)
    return is_device


def write_whole(reports: Sequence[tuple[str, str | Iterable[str]]]) -> None:
    """Write each (path, text): all are on the disk before the first file is replaced, which keeps
    its permissions; a link to it stays a link. Raises `UsageError`.
    """
    temporary: dict[str, str] = {}
    path = ""
    try:
        for path, text in reports:
            is_device = _device_or_file(path)
            if is_device:
                for stream in filter(None, (sys.stdout, sys.stderr)):
                    stream.flush()
                # opened anew, the shell's `> FILE` would begin anew
                is_stream = path in _STREAMS
                number = os.dup(_STREAMS[path]) if is_stream else os.open(path, os.O_WRONLY)
            else:
                place = os.path.realpath(path)
                beside = f"{place}.selfhost-{os.urandom(6).hex()}.tmp"
                temporary[beside] = place
                number = os.open(beside, _NEW_FILE, 0o666)
                if os.path.exists(place):
                    os.chmod(beside, stat.S_IMODE(os.stat(place).st_mode) & 0o777)
            with open(number, "wb") as file:
                for piece in (text,) if isinstance(text, str) else text:
                    file.write(piece.replace("\n", os.linesep).encode("utf-8", "replace"))
                if not is_device:
                    # some file systems say only when it is synchronized that there is no room
                    file.flush()
                    os.fsync(number)
        for beside, path in list(temporary.items()):
            os.replace(beside, path)
            del temporary[beside]
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        for beside in filter(os.path.exists, temporary):
            os.unlink(beside)


def _unwritable(path: str, error: OSError | ValueError) -> UsageError:
    reason = getattr(error, "strerror", None) or "that is no name of a file"
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "make room, or name a file elsewhere" if is_full else _OWN_FOLDER
    return UsageError(f"cannot write {path}: {reason}", remedy=remedy)
