"""`selfhost verify`: a prediction compared with a run, from a log or a process of the user."""

from __future__ import annotations

from ..advice.verify.comparison import verify
from ..advice.verify.logs import run_of
from ..advice.verify.run import Run, run_of_process
from ..catalogue.index import open_catalogue
from ..core.errors import InputError, Problem
from ..core.files import LARGE, Unreadable, encoding_of, read_file, shown
from ..reports import json
from ..reports.plan_text import verify_document
from .options import measured_where_unknown, one_machine
from .output import deliver, present
from .parser import parse

# a server's log of some days; a longer one tells no more about the model
_MOST_LOG_BYTES = 64 << 20
_LAST_PART = "give its last part: tail -c 32M LOG | selfhost verify -"
_READ = (
    "give what llama-bench prints (its table, -o json or jsonl), the log of llama-server, llama-cli"
    " (-lv 4 shows the memory), Ollama's runner or `vllm serve`, what `ollama run --verbose`"
    " prints, the JSON of an answer of Ollama or llama-server, or the id of a process of llama.cpp"
    " or Python; verify reads no other program's output"
)


def run(words: list[str]) -> int:
    """Compare a prediction with a run."""
    options = parse("verify", words)
    seen = _run_of(options.files[0])
    catalogue = open_catalogue(options.specs)
    machine = measured_where_unknown(options, one_machine(options))
    comparison = verify(seen, catalogue, machine, options.model)
    if options.format == "json":
        deliver(options, json.dumps(json.verification(comparison)))
    else:
        present(options, verify_document(comparison))
    return comparison.exit_code


def _run_of(named: str) -> Run:
    """Read the figures of a log or a process. Raises `InputError` where it has none."""
    if named.isdecimal() and named.isascii():
        return run_of_process(named)
    reason, remedy = "holds no figures of a run that selfhost reads", _READ
    try:
        seen = run_of(_text(named))
    except Unreadable as error:
        seen, reason = None, error.reason
        remedy = _LAST_PART if error.kind == LARGE else error.remedy or _READ
    if seen is None:
        file = "standard input" if named == "-" else shown(named)
        raise InputError([Problem(file=file, message=reason, remedy=remedy)])
    return seen


def _text(named: str) -> str:
    """Read a log; what cannot be decoded, as a letter that was cut, is replaced. Raises
    `Unreadable`.
    """
    path = "/dev/stdin" if named == "-" else named
    # a log that was emptied while it was written begins with them
    content = read_file(path, _MOST_LOG_BYTES, input_allowed=True).lstrip(b"\0")
    text = content.decode(encoding_of(content), "replace")
    if not text.strip():
        raise Unreadable("is empty")
    if "\0" in text:
        raise Unreadable("is not text")
    return text
