"""Writes the output of a command: the report to standard output or to the file of --output, errors
and notes to standard error.

A command calls one of three functions: `present` with blocks, for a person; `write_json` with a
document; `deliver` with a finished text. A terminal gets blocks in its width and in colour; a pipe
and a file get plain text or HTML. `complain` and `note` write to standard error, `writing.py`
writes files. What one form of output needs is imported only for that form.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TextIO

from ..core.answering import (
    SPECS_DISTRIBUTION,
    catalogue_day,
    installed_folder,
    other_catalogue,
)
from ..core.errors import (
    MAX_PROBLEMS,
    InputError,
    Problem,
    SelfhostError,
    UsageError,
    first_problems,
)
from ..core.files import reason_of
from ..core.records import shown_path

if TYPE_CHECKING:
    from ..catalogue.index import Catalogue
    from ..reports.layout import Blocks
    from .parser import Options
    from .writing import Text

# in fewer columns a wrapped sentence would be a column of words
_FEWEST_COLUMNS = 30
_TO_A_FILE = "--output FILE writes the report to a file"
# characters that a pipe or terminal may not be able to encode, with ASCII substitutes
_ASCII = str.maketrans(
    {
        "×": "x",
        "…": "...",
        "–": "-",
        "—": "-",
        "−": "-",
        "≥": ">=",
        "≤": "<=",
        "→": "->",
        "·": "*",
        "•": "*",
        "≈": "~",
        "✓": "+",
        "✗": "x",
        "‘": "'",
        "’": "'",
        "“": '"',
        "”": '"',
        "━": "#",
        "─": "-",
        "╍": "!",
    }
)


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return is_of_terminal(sys.stdout)


def is_of_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is open, and a terminal's."""
    return stream is not None and stream.isatty()


def terminal_size() -> os.terminal_size:
    """The columns and lines of standard output; 80 columns and 0 lines where nothing states them.

    The environment's COLUMNS and LINES go before what the terminal says.
    """
    # imported only for a terminal and a help screen
    from shutil import get_terminal_size

    return get_terminal_size((80, 0))


def asks_for_json(words: Sequence[str]) -> bool:
    """Whether the words of a command line ask for JSON. The words are not parsed, because the
    command line may make no sense.
    """
    if "--json" in words or "--format=json" in words:
        return True
    return ("--format", "json") in pairwise(words)


def complain(
    error: SelfhostError,
    code: int,
    *,
    wants_json: bool,
) -> None:
    """Write an error to standard error, for a person or for a program. `code` is the exit code that
    follows.
    """
    from ..core.workload import as_typed

    if wants_json:
        from ..reports import json

        document = json.titled("error/1", **json.fault(error), exit_code=code)
        write(json.dumps(document), to_error=True)
    else:
        from ..reports.layout import error_text

        write(_wrapped(error_text(as_typed(error))), to_error=True)


def _wrapped(text: str) -> str:
    """The text of an error. On a terminal its lines are broken between words, in the width of
    standard output: a terminal itself breaks words.
    """
    if not is_of_terminal(sys.stderr):
        return text
    from ..reports.layout import wrapped

    return wrapped(text, max(terminal_size().columns, _FEWEST_COLUMNS))


def own_output() -> int:
    """Take standard output for this program's answers alone: return another descriptor of it, and
    let whatever else is printed go to standard error, or nowhere where that is closed.
    """
    if sys.stderr is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # a copy under this number is inherited by the processes that are started
        os.dup2(os.dup(nowhere), 2)
    output = os.dup(1)
    os.dup2(2, 1)
    return output


def bug(error: BaseException) -> SelfhostError:
    """Return an uncaught error as a `SelfhostError` to report, with the line that raised it."""
    return SelfhostError(
        f"a bug in selfhost: {_with_place(error)}",
        remedy="report it with the command you typed; SELFHOST_DEBUG=1 shows the traceback",
    )


def fault_of_catalogue(error: BaseException) -> SelfhostError:
    """Return an uncaught error as a `SelfhostError` about the catalogue, where another one than the
    built-in answers.

    Most likely a table of that catalogue is wrong.
    """
    return SelfhostError(
        f"the catalogue {other_catalogue()} does not work with this selfhost: {_with_place(error)}",
        remedy="leave it out, or update selfhost; if it fails without it too, report a bug",
    )


def _with_place(error: BaseException) -> str:
    """The error in one line, with the file and the line that raised it."""
    where = ""
    trace = error.__traceback__
    while trace is not None:
        file = os.path.basename(trace.tb_frame.f_code.co_filename)
        where = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{where}"


def one_error(errors: Mapping[str, SelfhostError]) -> SelfhostError:
    """Return one error to raise or show, made of the errors for names of models. `errors` has them
    by name.

    A single error is returned as it is. Several become an `InputError` that lists the first
    `MAX_PROBLEMS` problems: those that an error has itself, else one for its name.
    """
    if len(errors) == 1:
        return next(iter(errors.values()))
    # dicts as ordered sets
    problems: dict[Problem, None] = {}
    guesses: dict[str, None] = {}
    for name, error in errors.items():
        near_names: Sequence[str] = ()
        if len(problems) < MAX_PROBLEMS:
            # near names take long to find, and are not needed for problems that are not listed
            near_names = error.nearest
        guesses |= dict.fromkeys(near_names)
        if isinstance(error, InputError) and error.problems:
            problems |= dict.fromkeys(error.problems)
        else:
            problems[_problem_of_name(name, error, near_names)] = None
    return InputError(first_problems("command line", problems), nearest=guesses)


def _problem_of_name(
    name: str,
    error: SelfhostError,
    near_names: Sequence[str],
) -> Problem:
    """The error for one name as a line of a list. Near names take the place of the error's
    remedy.
    """
    remedy = error.remedy
    if near_names:
        listed = " or ".join(near_names[:3])
        remedy = f"did you mean {listed}?"
    return Problem(file="command line", key=name, message=error.message, remedy=remedy)


def complain_of_names(
    options: Options,
    errors: Mapping[str, SelfhostError],
    code: int,
) -> None:
    """Write to standard error, after the answer, which names of models have no answer, and why."""
    if errors:
        write(flush=True)
        complain(one_error(errors), code, wants_json=options.format == "json")


def write_json(options: Options, document: Mapping[str, object]) -> None:
    """Write a document of `reports.json` as the report."""
    from ..reports import json

    deliver(options, json.dumps(document))


def present(options: Options, blocks: Blocks) -> None:
    """Write blocks for a person, and the name of the catalogue where it is not the built-in one.

    The form is a web page for `--format html`, a drawing on a terminal, and plain text elsewhere.
    """
    blocks = chain(blocks, _catalogue_blocks())
    if options.format == "html":
        from ..reports.markup import page

        deliver(options, page(blocks))
    elif options.output is None and (is_terminal() or _forces_color(options)):
        from ..reports.screen import show

        show(blocks, _Screen(), is_terminal=is_terminal(), no_color=options.no_color)
        _write_notes(options)
    else:
        from ..reports.layout import plain

        deliver(options, plain(blocks))


def _catalogue_blocks() -> Blocks:
    """Yield the line that names the catalogue that answered; nothing for the built-in one."""
    catalogue = other_catalogue()
    if catalogue is None:
        return
    from ..reports.layout import line

    name = f"the catalogue {shown_path(catalogue)}"
    if catalogue == installed_folder():
        name = f"{SPECS_DISTRIBUTION} of {catalogue_day()}"
    yield line(f"Answered by {name}.")


def deliver(options: Options, text: Text) -> None:
    """Write a report, perhaps in pieces, to the file of --output, else to standard output. Then
    write `options.notes` to standard error.

    Raises `UsageError` where the file cannot be written.
    """
    if options.output is not None:
        # imported only where a file is written
        from .writing import write_reports

        write_reports([(options.output, text)])
    elif isinstance(text, str):
        write(text)
    else:
        for piece in text:
            write(piece)
    _write_notes(options)


def _write_notes(options: Options) -> None:
    for remark in options.notes:
        note(remark)


def _forces_color(options: Options) -> bool:
    """Whether FORCE_COLOR asks for colours in a pipe, as a CI job does: see force-color.org."""
    if options.no_color or os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("FORCE_COLOR", "0") not in ("", "0")


class _Screen:
    """Standard output as the file that rich writes to.

    All text goes through `write`, which handles a closed stream, and letters that the encoding
    lacks.
    """

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


# what takes a note away that a terminal shows while a command is at work
_before_writing: list[Callable[[], None]] = []


def call_before_writing(function: Callable[[], None]) -> None:
    """Have a function called once, before the next text is written."""
    _before_writing.append(function)


def prepare_to_write() -> None:
    """Call what is to be called before a text is written."""
    while _before_writing:
        _before_writing.pop()()


def write(
    text: str = "",
    *,
    flush: bool = False,
    to_error: bool = False,
) -> None:
    """Write to standard output, or with `to_error` to standard error.

    Raises `UsageError` where standard output takes nothing. A pipe whose reader has gone is no
    error, nor is a standard error that takes nothing.
    """
    prepare_to_write()
    stream = sys.stderr if to_error else sys.stdout
    if stream is None:
        if to_error or not text:
            return
        raise UsageError("standard output is closed", remedy=_TO_A_FILE)
    try:
        _write_encodable(stream, text)
        if flush:
            stream.flush()
    except OSError as error:
        _discard_rest(stream)
        if not (to_error or _reader_is_gone(error)):
            message = f"standard output cannot be written: {reason_of(error)}"
            raise UsageError(message, remedy=_TO_A_FILE) from None


def _write_encodable(stream: TextIO, text: str) -> None:
    """Write the text, in ASCII where the stream's encoding lacks one of its letters."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        plainer = text.translate(_ASCII)
        encoded = plainer.encode(encoding, "backslashreplace")
        stream.write(encoded.decode(encoding))


def _discard_rest(stream: TextIO) -> None:
    """Discard the rest of the stream's buffer, of which Python would complain at exit."""
    # a replaced stream has no descriptor
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())


def _reader_is_gone(error: OSError) -> bool:
    """Whether a pipe has lost its reader, as behind `| head`."""
    # Windows reports EINVAL for a pipe without a reader
    is_einval = os.name == "nt" and error.errno == errno.EINVAL
    return is_einval or isinstance(error, BrokenPipeError)


def note(text: str) -> None:
    """Write a remark to standard error, after the part of the answer that was written so far."""
    write(flush=True)
    from ..reports.layout import clean

    remark = f"note: {text}"
    for line in remark.splitlines():
        write(_wrapped(f"{clean(line)}\n"), to_error=True)


def note_faulty_specs(catalogue: Catalogue) -> None:
    """Note the faults of the user's own specs, where the answer has no place for them."""
    if catalogue.own_faults:
        from ..reports.layout import problems_text

        problems = first_problems("--specs", catalogue.own_faults)
        faults = problems_text(problems)
        note(f"ignored these spec files because of errors:\n{faults}")
