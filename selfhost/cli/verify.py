"""`selfhost verify`: a prediction compared with a run, from a log or a process of the user."""

from __future__ import annotations

import os

from ..core.errors import InputError, Problem, WorkloadError
from .options import measured_where_unknown, one_machine
from .output import UsageError, deliver, present
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..advice.verify.comparison import Comparison
    from ..advice.verify.run import Run

# a server's log of some days; a longer one tells no more about the model
_MOST_LOG_BYTES = 64 << 20
_LAST_PART = "give its last part: tail -c 32M LOG | selfhost verify -"
_UNDERSTOOD = (
    "give the output of llama-bench or llama-batched-bench, the log of llama-server, llama-cli or"
    " KoboldCpp (-lv 4 shows the memory), what `ollama run --verbose` prints, the JSON of an answer"
    " of Ollama, llama-server or LM Studio, what `lms chat --stats` prints, Ollama's server log,"
    " the log of a server of vLLM or SGLang, what `vllm bench serve --max-concurrency N` or"
    " MLX LM's `mlx_lm.generate` prints, or the id of a process; verify reads no other program's"
    " output"
)


def run(words: list[str]) -> int:
    """Compare a prediction with a run."""
    options = parse("verify", words)
    seen = _run_of(options.files[0])
    comparison = _compared(options, seen)
    if options.format == "json":
        from ..reports import json
        from ..reports.verify_json import verification

        deliver(options, json.dumps(verification(comparison)))
    else:
        from ..reports.verify_text import verify_document

        present(options, verify_document(comparison))
    return comparison.exit_code


def _run_of(named: str) -> Run:
    """Read the figures of a log or a process. Raises `InputError` where it has none."""
    if named.isdecimal() and named.isascii():
        from ..advice.verify.process import run_of_process

        return run_of_process(named)
    from ..advice.verify.formats import run_of
    from ..core.files import Unreadable, shown

    reason, remedy = "holds no figures of a run that selfhost understands", _UNDERSTOOD
    try:
        seen = run_of(_text(named))
    except Unreadable as error:
        seen, reason, remedy = None, error.reason, error.remedy or _UNDERSTOOD
    if seen is None:
        file = "standard input" if named == "-" else shown(named)
        raise InputError([Problem(file=file, message=reason, remedy=remedy)])
    return seen


def _text(named: str) -> str:
    """Read a log; what cannot be decoded, as a letter that was cut, is replaced. Raises
    `Unreadable`.
    """
    from ..core.files import LARGE, Unreadable, encoding_of, read_file

    path = "/dev/stdin" if named == "-" else named
    try:
        content = read_file(path, _MOST_LOG_BYTES, input_allowed=True)
    except Unreadable as error:
        if error.kind == LARGE:
            error.remedy = _LAST_PART
        raise
    # a log that was emptied while it was written begins with them
    content = content.lstrip(b"\0")
    text = content.decode(encoding_of(content), "replace")
    if not text.strip():
        raise Unreadable("is empty")
    if "\0" in text:
        raise Unreadable("is not text")
    return text


def _compared(options: argparse.Namespace, seen: Run) -> Comparison:
    from ..advice.verdicts import check_with
    from ..advice.verify.comparison import compare, machine_of, seen_in_places, workload_of
    from ..advice.verify.layout import layout_of, speed_at
    from ..advice.verify.model import assumed_quantization, identify
    from ..catalogue.opened import open_catalogue
    from ..judge.question import architectures

    catalogue = open_catalogue(options.specs)
    identity = identify(seen, catalogue, options.model)
    machine, notes = machine_of(seen, measured_where_unknown(options, one_machine(options)))
    model: str | os.PathLike[str] = identity.model
    if identity.is_path:
        from pathlib import Path

        model = Path(identity.model)
    workload = workload_of(seen)
    if identity.tells_quantization:
        workload = workload.replace(quantization=None)

    try:
        verdict = check_with(
            catalogue, model, workload, machine, instead=False, follows_machine=False
        )
    except WorkloadError as error:
        if not any(problem.key == "quantization" for problem in error.problems):
            raise
        raise UsageError(
            f"{workload.quantization}, the run's quantization, is none that selfhost knows of"
            " this model",
            remedy="give the file itself: --model ./model.gguf",
        ) from None
    if verdict.model.closed:
        raise UsageError(
            f"{verdict.model.name} is a closed model, which nobody runs",
            remedy="name the model that was run with --model",
        )
    runtime = catalogue.runtime(verdict.workload.runtime) if verdict.workload.runtime else None
    rows = architectures(catalogue)
    layout = layout_of(seen, verdict, rows, seen_in_places(seen, verdict))
    return compare(
        seen,
        verdict,
        by=identity.by,
        is_public=catalogue.is_shipped(verdict.model.id),
        speed_at=speed_at(verdict, runtime, rows, layout),
        notes=(
            *([identity.note] if identity.note else []),
            *assumed_quantization(seen, identity, catalogue, verdict.workload.quantization),
            *notes,
        ),
        fast_prompts="" if runtime is None else runtime.fast_prompts,
        unpacks=runtime is not None and runtime.is_unpacked_on(verdict.machine.instruction_sets),
        layout=layout,
    )
