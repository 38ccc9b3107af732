"""What other programs put before each line of a log: containers, journals and terminals."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.files import Unreadable
from ...core.json_text import Decoder
from ...core.records import pattern

# what colours a terminal: a log that was copied from one, or written with --log-colors on
_COLOURS = pattern("\x1b\\[[0-9;]{0,40}[A-Za-z]")
_WHEN = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
# each of the kinds of lines that a program reads as they stand, with what stands before them
_PREFIXES = tuple(
    pattern(prefix)
    for prefix in (
        # journalctl, `-o short` and `-o short-iso`, and syslog
        r"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|" + _WHEN + r")"
        r" [\w.-]{1,64} [\w@./-]{1,80}(?:\[\d{1,10}\])?: ?",
        # the files of containerd and CRI-O
        _WHEN + r" (?:stdout|stderr) [FP] ?",
        # `docker compose logs`, with and without --timestamps
        r"[A-Za-z][\w.-]{0,80} *\| ?(?:" + _WHEN + r" )?",
        # `kubectl logs --prefix`
        r"\[pod/[\w./-]{1,200}\] ?",
        # `docker logs -t`, `kubectl logs --timestamps`
        _WHEN + r" ",
        # a quotation in a mail or an issue
        r"> ?",
    )
)
# a log is wrapped where so many of the lines at its start are
_LEAST_SHARE = 0.8
_LINES_ASKED = 200
_MOST_UNWRAPPED_LINES = 200_000


def without_colours(text: str) -> str:
    return _COLOURS.sub("", text) if "\x1b[" in text else text


def without_json(text: str) -> str:
    """The lines that Docker's json-file log holds; any other text as it is."""
    if not text.startswith('{"log":'):
        return text
    return "".join(_logged(text))


def _logged(text: str) -> Iterator[str]:
    decoder = Decoder()
    for line in text.splitlines()[:_MOST_UNWRAPPED_LINES]:
        try:
            entry = decoder.parse(line)
        except Unreadable:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("log"), str):
            yield entry["log"]


def without_prefix(text: str) -> str:
    """The lines without what stands before nearly all of them; any other text as it is. Where that
    names the program, it stands once below them.
    """
    lines = text.splitlines()
    asked = [line for line in lines[:_LINES_ASKED] if line.strip()]
    for prefix in _PREFIXES:
        wrapped = sum(prefix.match(line[:400]) is not None for line in asked)
        if wrapped and wrapped >= _LEAST_SHARE * len(asked):
            plain = [
                line if (match := prefix.match(line[:400])) is None else line[match.end() :]
                for line in lines
            ]
            first = prefix.match(asked[0])
            program = [first[0]] if first is not None and prefix is _PREFIXES[0] else []
            return "\n".join([*plain, *program, ""])
    return text
