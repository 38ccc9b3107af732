"""`selfhost check MODEL --machines FILE|DIR --spread ENGINE`: one model over several machines."""

from __future__ import annotations

from ..core.errors import MachineFileError
from ..core.spelling import canonical
from .errors import UsageError
from .options import workload_of
from .output import deliver, present

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..audit.spread import Engine

EXAMPLE = "selfhost check llama-3.3-70b --machines records/ --spread llama.cpp-rpc"


def run_spread(options: argparse.Namespace) -> int:
    """Print whether the machines hold the model together; return the exit code."""
    _require(options)
    from ..audit.machines import load_machines
    from ..audit.spread import engine_named, spread
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    engine = engine_named(options.spread, catalogue)
    _require_runtime(options, engine)
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


def _require(options: argparse.Namespace) -> None:
    """Refuse one of the two options without the other, and what contradicts them."""
    if options.spread is None:
        raise UsageError(
            "--machines names machines that share a model, and --spread does not say by what",
            remedy=f"{EXAMPLE}; --machine DIR judges the model on each by itself",
        )
    if not options.machines:
        raise UsageError("--spread needs machines", remedy=EXAMPLE)
    if len(options.models) > 1:
        raise UsageError("--spread takes one model", remedy=EXAMPLE)
    if options.machine or options.gpu or options.set or options.measure:
        raise UsageError(
            "--spread judges the machines of --machines",
            remedy="leave --machine, --gpu, --set and --measure out",
        )


def _require_runtime(options: argparse.Namespace, engine: Engine) -> None:
    """Refuse a runtime or a quantization that the engine does not use."""
    wanted = [("--runtime", options.runtime, engine.runtime)]
    if engine.quantization is not None:
        wanted.append(("--quant", options.quantization, engine.quantization))
    for flag, typed, own in wanted:
        if typed is not None and canonical(typed) != canonical(own):
            raise UsageError(
                f"{engine.title} is counted as {own}, and {flag} asks for {typed}",
                remedy=f"leave {flag} out",
            )
