"""What the command writes, in the colour and width that the terminal states."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.errors import MAX_PROBLEMS, InputError, Problem, SelfhostError, first_problems
from ..core.errors import UsageError as UsageError
from .writing import Text, write_reports

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


def deliver(options: argparse.Namespace, text: Text) -> None:
    """Write a report, perhaps in pieces, to --output or standard output; then `options.notes`."""
    if options.output is not None:
        write_reports([(options.output, text)])
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
