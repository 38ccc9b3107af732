"""The command line: arguments in, a report out, and the exit code that `verdict.exit_code`
decides.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..core.errors import SelfhostError
from ..judge.route import exit_code
from . import COMMANDS
from .errors import UsageError, bug, complain, to_standard_error
from .output import flush, write

TYPE_CHECKING = False

if TYPE_CHECKING:
    from .parser import CommandParser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, never raises, never shows a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except MemoryError:
        if os.environ.get("SELFHOST_DEBUG"):
            raise
    # said here, where what was being made is let go
    from ..core.out_of_memory import complain_of_memory

    code = exit_code([], no_answer=True)
    complain_of_memory(words, code)
    return code


def _run(words: list[str]) -> int:
    from ..core.out_of_memory import is_lack_of_memory
    from ..core.out_of_memory import wants_json as is_json_wanted

    wants_json = is_json_wanted(words)
    try:
        try:
            code = _dispatch(words)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else exit_code([], no_answer=True)
        flush()
    except KeyboardInterrupt:
        return exit_code([], interrupted=True)
    except SelfhostError as error:
        code = exit_code([], no_answer=True)
        complain(error, code, wants_json, no_color="--no-color" in words)
    except MemoryError:
        raise
    except Exception as error:
        if is_lack_of_memory(error):
            raise MemoryError from error
        if os.environ.get("SELFHOST_DEBUG"):
            raise
        code = exit_code([], crashed=True)
        complain(bug(error), code, wants_json, no_color="--no-color" in words)
    return code


# options without a value, which may stand before the command too
_EVERYWHERE = ("--no-color", "--json", "-v", "--verbose")


def _dispatch(words: list[str]) -> int:
    everywhere: list[str] = []
    while words and words[0] in _EVERYWHERE:
        everywhere, words = [*everywhere, words[0]], words[1:]
    if words and words[0] in ("-V", "--version"):
        from .. import __version__

        write(f"selfhost {__version__}\n")
        return 0
    if words and words[0] in ("-h", "--help", "help"):
        return _help(words[1:])
    if not words:
        to_standard_error(_overview())
        return exit_code([], no_answer=True)
    command, rest = words[0], words[1:]
    if command == "_complete":
        from .completion import candidates

        write("".join(f"{word}\n" for word in candidates(rest)))
        return 0
    if command not in COMMANDS:
        _refuse_misspelled(command, rest)
        command, rest = "check", words
    module = __import__(f"{__package__}.{command}", fromlist=("run",))
    return int(module.run([*everywhere, *rest]))


def _help(words: list[str]) -> int:
    """Print what `selfhost help` or `selfhost help check` asks for."""
    write(parser_of(words[0]).format_help() if words and words[0] in COMMANDS else _overview())
    return 0


def _refuse_misspelled(word: str, rest: list[str]) -> None:
    """Refuse what looks like an option or a command; anything else is the name of a model, for
    `check`.
    """
    from ..core.spelling import nearest

    if word.startswith("-"):
        remedy = (
            "an option stands behind its command, as in `selfhost check mistral-7b --context 8k`"
        )
        raise UsageError(f"{word!r} is no command", remedy=remedy)
    if _looks_like_a_model(word):
        return
    import shlex

    from .hints import MEANT_COMMANDS

    guess = MEANT_COMMANDS.get(word.lower()) or nearest(word, list(COMMANDS))
    meant = shlex.join([guess, *rest] if guess else ["check", word, *rest])
    remedy = f"did you mean `selfhost {meant}`?" if guess else f"to judge a model: selfhost {meant}"
    raise UsageError(f"unknown command {word!r}", remedy=remedy)


def _looks_like_a_model(word: str) -> bool:
    """Whether a word that is no command names a model: no command has a digit or a mark in it; of
    other words the shipped catalogue decides.
    """
    if any(letter.isdecimal() or letter in "./:" for letter in word):
        return True
    from ..catalogue.names import id_of
    from ..catalogue.opened import open_catalogue

    return id_of(word, open_catalogue()) is not None


def parser_of(command: str) -> CommandParser:
    """Return the parser of one command."""
    from .parser import CommandParser

    return CommandParser(command)


def _overview() -> str:
    from .terminal import help_width
    from .texts import DESCRIPTION, EXAMPLES, EXIT_CODES, folded

    width = max(map(len, COMMANDS))
    lines = "".join(f"  {name:<{width}}  {job}\n" for name, job in COMMANDS.items())
    text = (
        f"{DESCRIPTION}\n\nusage: selfhost COMMAND …   (selfhost COMMAND --help explains one)\n"
        f"       selfhost MODEL…     (short for selfhost check MODEL…)\n\n{lines}\n"
        f"{EXAMPLES['']}\n{EXIT_CODES}"
    )
    return folded(text, help_width())
