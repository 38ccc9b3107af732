"""`selfhost check MODEL --machines FILE|DIR --spread ENGINE`: one model over several machines."""

from __future__ import annotations

from ..core.errors import MachineFileError
from ..core.spelling import canonical
from .options import workload_of
from .output import UsageError, deliver, present

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

_EXAMPLE = "selfhost check llama-3.3-70b --machines records/ --spread llama.cpp-rpc"


def run_spread(options: argparse.Namespace) -> int:
    """Print whether the machines hold the model together; return the exit code."""
    _refuse_contradictions(options)
    from ..audit.machines import load_machines
    from ..audit.spread import engine_named, spread
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    engine = engine_named(options.spread, catalogue)
    for flag, typed, own in (
        ("--runtime", options.runtime, engine.runtime),
        ("--quant", options.quantization, engine.quantization),
    ):
        if typed is not None and own is not None and canonical(typed) != canonical(own):
            message = f"{engine.title} is counted as {own}, and {flag} asks for {typed}"
            raise UsageError(message, remedy=f"leave {flag} out")
    fleet = load_machines(*options.machines)
    if fleet.problems:
        raise MachineFileError(fleet.problems)
    (model,) = options.models
    answer = spread(catalogue, model, workload_of(options), fleet.machines, engine)
    if options.format == "json":
        from ..reports import json, spread_json

        deliver(options, json.dumps(spread_json.render(answer)))
    else:
        from ..reports.spread_text import document

        present(options, document(answer, verbose=options.verbose))
    return answer.exit_code


def _refuse_contradictions(options: argparse.Namespace) -> None:
    """Refuse one of the two options without the other, and what contradicts them."""
    if options.spread is None:
        raise UsageError(
            "--machines names machines that share a model, and --spread does not say by what",
            remedy=f"{_EXAMPLE}; --machine DIR judges the model on each by itself",
        )
    if not options.machines:
        raise UsageError("--spread needs machines", remedy=_EXAMPLE)
    if len(options.models) > 1:
        raise UsageError("--spread takes one model", remedy=_EXAMPLE)
    if options.machine or options.gpu or options.set or options.measure:
        raise UsageError(
            "--spread judges the machines of --machines",
            remedy="leave --machine, --gpu, --set and --measure out",
        )
