"""The command line: arguments in, a report out, and the exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..core.errors import SelfhostError
from ..core.files import forget_inputs, is_utf8, keep_inputs
from ..core.records import shortened
from ..judge import BUG, INTERRUPTED, NO_ANSWER
from . import COMMANDS
from .output import UsageError, asks_for, bug, complain, write
from .writing import close_pipes

# options without a value, which may stand before the command too
_EVERYWHERE = ("--no-color", "--json", "-v", "--verbose")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, never raises, never shows a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    _collect_garbage_rarely()
    keep_inputs()
    try:
        try:
            _refuse_other_package()
            code = _dispatch(words)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else NO_ANSWER
        write(flush=True)
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SelfhostError as error:
        problem, code = error, NO_ANSWER
    except Exception as error:
        if os.environ.get("SELFHOST_DEBUG"):
            raise
        # errno 12: the system has no memory for it
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == 12):
            remedy = "close other programs, or raise the limit on this process (ulimit -v)"
            problem, code = SelfhostError("not enough memory to answer", remedy=remedy), NO_ANSWER
        else:
            problem, code = bug(error), BUG
    finally:
        close_pipes()
        forget_inputs()
    complain(problem, code, asks_for(words, "json"))
    return code


def _collect_garbage_rarely() -> None:
    """Look for unreachable cycles after 200,000 new objects, not after 700 as Python does.

    One command makes few cycles, and millions of records that it keeps to the end: of a policy of
    80,000 classes the usual collections take a third of the time.
    """
    import gc

    gc.set_threshold(200_000, 50, 1000)


def _refuse_other_package() -> None:
    """Refuse to run where the package's own `__init__.py` is not the one that came with this file.

    Another distribution, `selfhost` on PyPI, has a package of the same name: installed later it
    replaces that file, and its removal takes the file away. `import selfhost` is then no use.
    """
    package = sys.modules[__package__.partition(".")[0]]
    if "can_run" not in getattr(package, "__all__", ()):
        raise SelfhostError(
            "another distribution, `selfhost`, has replaced or removed a file of selfhost-check",
            remedy="pip uninstall selfhost; pip install --force-reinstall selfhost-check",
        )


def _refuse_undecodable(words: Sequence[str]) -> None:
    """Refuse names that are no UTF-8: no report shows them, no printed command names them."""
    for word in words:
        if not is_utf8(word):
            text = "".join(sign if is_utf8(sign) else "\N{REPLACEMENT CHARACTER}" for sign in word)
            remedy = "rename the file, or link to it by a name in UTF-8"
            raise UsageError(f"{shortened(text)!r} is not UTF-8", remedy=remedy)


def _dispatch(words: list[str]) -> int:
    _refuse_undecodable(words)
    everywhere: list[str] = []
    while words and words[0] in _EVERYWHERE:
        everywhere, words = [*everywhere, words[0]], words[1:]
    if not words:
        write(_overview(), to_error=True)
        return NO_ANSWER
    command, rest = words[0], words[1:]
    if command in ("-V", "--version"):
        from ..core import __version__

        write(f"selfhost {__version__}\n")
        return 0
    if command in ("-h", "--help", "help"):
        from .parser import CommandParser

        is_known = bool(rest) and rest[0] in COMMANDS
        write(CommandParser(rest[0]).format_help() if is_known else _overview())
        return 0
    if command == "_complete":
        from .completion import candidates

        write("".join(f"{word}\n" for word in candidates(rest)))
        return 0
    if command not in COMMANDS:
        _refuse_misspelled(command, rest)
        command, rest = "check", words
    module, _, name = COMMANDS[command][0].partition(".")
    answer = getattr(__import__(f"{__package__}.{module}", fromlist=(name,)), name)
    return int(answer([*everywhere, *rest]))


def _refuse_misspelled(word: str, rest: list[str]) -> None:
    """Refuse what looks like an option or a command; anything else is the name of a model."""
    if word.startswith("-"):
        example = "selfhost check mistral-7b --context 8k"
        remedy = f"an option stands behind its command, as in `{example}`"
        raise UsageError(f"unknown command {word!r}", remedy=remedy)
    # no command has a digit or a mark in it; of other words the catalogue decides
    if any(letter.isdecimal() or letter in "./:" for letter in word):
        return
    from ..catalogue.index import open_catalogue
    from ..catalogue.names import id_of

    if id_of(word, open_catalogue()) is not None:
        return
    from ..core.quoting import shell_line
    from ..core.units import nearest
    from .parser import meant

    names = ("--version", *COMMANDS)
    guess = meant("commands", word.lower(), names) or nearest(word, list(COMMANDS))
    line = shell_line([guess, *rest] if guess else ["check", word, *rest])
    remedy = f"did you mean `selfhost {line}`?" if guess else f"to judge a model: selfhost {line}"
    raise UsageError(f"unknown command {word!r}", remedy=remedy)


def _overview() -> str:
    from .parser import help_text

    width = max(map(len, COMMANDS))
    lines = "".join(f"  {name:<{width}}  {job}\n" for name, (_, job) in COMMANDS.items())
    examples = f"examples:\n{help_text('examples')['overview']}\n"
    return "\n".join([help_text("overview"), lines, examples, help_text("exit_codes"), ""])
