"""The command `selfhost`: words -> command -> exit code, never a traceback.

The first word names a command, or a model to check; the command reads its options itself
(`parser.Options.read`). All errors end here as a sentence on standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from ..core import LACK_OF_MEMORY, MEMORY_ERRORS, MEMORY_REMEDY
from ..core.answering import (
    folders_in_environment,
    other_catalogue,
    refused_distribution,
    version_line,
)
from ..core.errors import SelfhostError, UsageError
from ..core.files import forget_inputs, is_utf8, keep_inputs
from ..core.records import shortened
from ..judge import BUG, INTERRUPTED, NO_ANSWER
from . import COMMANDS, interrupts
from .output import asks_for_json, bug, complain, fault_of_catalogue, note, write

# options without a value, allowed before the command too
_EVERYWHERE = ("--no-color", "--json", "-v", "--verbose")
# commands that tell how far they are in a way of their own, or draw a screen
_TOLD_ELSEWHERE = ("audit", "browse", "completion", "mcp")
# the error number for a lack of memory
_ENOMEM = 12


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. It never raises, and never shows a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    _collect_garbage_rarely()
    keep_inputs()
    try:
        _refuse_other_package()
        code = _run(words)
        write(flush=True)
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except SelfhostError as error:
        problem = error
        code = NO_ANSWER
    except Exception as error:
        if os.environ.get("SELFHOST_DEBUG"):
            raise
        problem = bug(error)
        code = BUG
        if other_catalogue() is not None:
            problem = fault_of_catalogue(error)
            code = NO_ANSWER
        if _is_lack_of_memory(error):
            problem = SelfhostError(LACK_OF_MEMORY, remedy=MEMORY_REMEDY)
            code = NO_ANSWER
    finally:
        forget_inputs()
    if interrupts.heard():
        # the error came in the place of the interrupt
        return INTERRUPTED
    complain(problem, code, wants_json=asks_for_json(words))
    return code


def _collect_garbage_rarely() -> None:
    """Look for unreachable cycles after 1,000,000 new objects, not after 700 as Python does.

    One command makes few cycles, and millions of records that it keeps to the end: of a policy of
    80,000 classes the usual collections take a third of the time. A list of all models makes
    300,000 objects more than it drops, 70,000 of them in cycles: about 10 MB.
    """
    import gc

    gc.set_threshold(1_000_000, 50, 1000)


def _refuse_other_package() -> None:
    """Refuse to run where the package's own `__init__.py` is not the one that came with this file.

    Another distribution, `selfhost` on PyPI, has a package of the same name: installed later it
    replaces that file, and its removal takes the file away. `import selfhost` is then no use.
    """
    package = sys.modules[__name__.partition(".")[0]]
    if "can_run" not in getattr(package, "__all__", ()):
        raise SelfhostError(
            "another distribution, `selfhost`, has replaced or removed a file of selfhost-check",
            remedy="pip uninstall selfhost; pip install --force-reinstall selfhost-check",
        )


def _is_lack_of_memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == _ENOMEM
    return isinstance(error, MEMORY_ERRORS)


def _run(words: Sequence[str]) -> int:
    """Run the command that the words name, and return the exit code."""
    _refuse_undecodable(words)
    _choose_catalogue(words)
    everywhere, words = _options_before_command(words)
    if not words:
        write(_overview(), to_error=True)
        return NO_ANSWER
    command = words[0]
    rest = words[1:]
    if command in ("-V", "--version"):
        _note_refused_distribution()
        write(version_line())
        return 0
    if command in ("-h", "--help", "help"):
        write(_help(rest))
        return 0
    if command == "_complete":
        from .completion import candidates

        for word in candidates(rest):
            write(f"{word}\n")
        return 0
    if command == "_answer":
        # the process in which the tools of `selfhost mcp` work
        from .mcp_answers import answer_calls

        return answer_calls()
    if command not in COMMANDS:
        _refuse_unknown(command, rest)
        # a model's name without a command means `check`
        command = "check"
        rest = words
    return _run_command(command, [*everywhere, *rest])


def _refuse_undecodable(words: Sequence[str]) -> None:
    """Refuse names that are not UTF-8, which no report and no printed command can show."""
    for word in words:
        if not is_utf8(word):
            text = word.encode("utf-8", "replace").decode()
            remedy = "rename the file, or link to it by a name in UTF-8"
            raise UsageError(f"{shortened(text)!r} is not UTF-8", remedy=remedy)


def _choose_catalogue(words: Sequence[str]) -> None:
    """Replace the built-in catalogue by the one that --specs or SELFHOST_SPECS names.

    The words are not parsed yet, because the parser reads tables of the catalogue itself.
    """
    typed: list[str] = []
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == "--specs":
            typed += words[place + 1 : place + 2]
        elif word.startswith("--specs="):
            typed.append(word.removeprefix("--specs="))
    if typed or folders_in_environment():
        # imported only where folders are named
        from ..core.catalogues import choose_catalogue

        choose_catalogue(typed)


def _note_refused_distribution() -> None:
    """Note that the installed distribution of specs cannot answer, and why, where the built-in
    catalogue answers in its place.
    """
    refused = refused_distribution()
    if refused is not None and other_catalogue() is None:
        note(f"{refused.message}.\n{refused.remedy}")


def _options_before_command(
    words: Sequence[str],
) -> tuple[Sequence[str], Sequence[str]]:
    """The options that stand before the command, and the words from the command on."""
    place = 0
    while place < len(words) and words[place] in _EVERYWHERE:
        place += 1
    return words[:place], words[place:]


def _refuse_unknown(word: str, rest: Sequence[str]) -> None:
    """Refuse a word that looks like an option or a command. Any other word is the name of a
    model.
    """
    if not word.startswith("-"):
        # no command contains a digit, a dot, a slash or a colon; for other words the catalogue
        # decides
        if any(letter.isdecimal() or letter in "./:" for letter in word):
            return
        from ..catalogue.index import open_catalogue
        from ..catalogue.names import id_of

        if id_of(word, open_catalogue()) is not None:
            return
    from .corrections import unknown_command

    raise unknown_command(word, rest)


def _run_command(command: str, words: list[str]) -> int:
    """Run the command with the words behind it, and return its exit code."""
    _note_refused_distribution()
    module = import_module(f".{command}", __package__)
    try:
        if command in _TOLD_ELSEWHERE or asks_for_json(words):
            return int(module.run(words))
        # imported only for what may take long
        from .progress import LongWork

        with LongWork():
            return int(module.run(words))
    except SystemExit as error:
        # argparse has printed the help
        return error.code if isinstance(error.code, int) else NO_ANSWER


def _help(words: Sequence[str]) -> str:
    """The help of the command that the words name, else the overview."""
    if not words or words[0] not in COMMANDS:
        return _overview()
    from .parser import help_of

    return help_of(words[0])


def _overview() -> str:
    """The text of `selfhost --help`."""
    from .texts import fitted, help_texts

    texts = help_texts()
    width = max(map(len, COMMANDS))
    lines = []
    for name, purpose in COMMANDS.items():
        lines.append(f"  {name:<{width}}  {purpose}")
    examples = texts.examples["overview"]
    lines = [
        texts.overview,
        *lines,
        "",
        f"examples:\n{examples}",
        "",
        texts.exit_codes,
        "",
    ]
    return fitted("\n".join(lines))
