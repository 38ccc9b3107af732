"""What other programs put before each line of a log: containers, journals and terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.files import Unreadable
from ...core.json_text import Decoder
from ...core.records import pattern

# what colours a terminal: a log that was copied from one, or written with --log-colors on
_COLOURS = pattern("\x1b\\[[0-9;]{0,40}[A-Za-z]")
_WHEN = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_PREFIXES = tuple(
    pattern(prefix)
    for prefix in (
        # journalctl, `-o short` and `-o short-iso`, and syslog
        rf"(?:[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{{1,6}})?|{_WHEN})"
        r" [\w.-]{1,64} [\w@./-]{1,80}(?:\[\d{1,10}\])?: ?",
        # the files of containerd and CRI-O
        rf"{_WHEN} (?:stdout|stderr) [FP] ?",
        # `docker compose logs`, with and without --timestamps
        rf"[A-Za-z][\w.-]{{0,80}} *\| ?(?:{_WHEN} )?",
        # `kubectl logs --prefix`
        r"\[pod/[\w./-]{1,200}\] ?",
        # `docker logs -t`, `kubectl logs --timestamps`
        rf"{_WHEN} ",
        # a quotation in a mail or an issue
        r"> ?",
    )
)
# a log is wrapped where so many of the lines at its start are
_LEAST_SHARE = 0.8
_LINES_ASKED = 200


def unwrapped(text: str) -> str:
    """The text without colours, out of the lines of Docker's json-file log, and without what stands
    before nearly all lines; where that names Ollama, it stands once below them.
    """
    if "\x1b[" in text:
        text = _COLOURS.sub("", text)
    if text.startswith('{"log":'):
        text = "".join(_logged(text.splitlines()))
    lines = text.splitlines()
    first = [line for line in lines[:_LINES_ASKED] if line.strip()]
    for prefix in _PREFIXES:
        wrapped = sum(prefix.match(line[:400]) is not None for line in first)
        if wrapped and wrapped >= _LEAST_SHARE * len(first):
            matches = [(line, prefix.match(line[:400])) for line in lines]
            plain = [line[match.end() :] if match else line for line, match in matches]
            return "\n".join([*plain, *(line for line in first[:1] if " ollama[" in line), ""])
    return text


def _logged(lines: Sequence[str]) -> Iterator[str]:
    decoder = Decoder()
    for line in lines:
        try:
            entry = decoder.parse(line)
        except Unreadable:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("log"), str):
            yield entry["log"]
