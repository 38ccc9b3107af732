"""`selfhost check`: one model or several on one machine or several."""

from __future__ import annotations

from ..core.errors import UnknownModelError
from ..verdict.route import exit_code
from .arguments import Parser, add_cost, add_machine, add_output, add_specs, add_workload, parse
from .errors import complain, together
from .options import judge_each, machines_of, options_to_repeat, with_notes, workload_of
from .output import deliver, flush, present

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..core.errors import SelfhostError


def parser() -> Parser:
    """The positional names, what is shared with other commands, and a month's cost."""
    parser = Parser("check")
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help="as mistral-7b, llama3.1:8b or a Hugging Face id",
    )
    add_workload(parser)
    add_machine(parser, "check")
    parser.add_argument(
        "--machines",
        action="append",
        default=[],
        metavar="FILE|DIR",
        help="recorded machines, for --spread",
    )
    parser.add_argument(
        "--spread",
        metavar="ENGINE",
        help="do they hold it together? llama.cpp-rpc, exo, vllm, …",
    )
    add_cost(parser)
    add_specs(parser)
    add_output(parser, "check")
    return parser


def _in_one_command(words: list[str]) -> list[str]:
    """The words as they are, or the one line that they are: `ollama run llama3.2`."""
    if len(words) < 2:
        return words
    from ..catalogue.pasted import named_in_command

    line = " ".join(words)
    return [line] if named_in_command(line) else words


def run(words: list[str]) -> int:
    options = parse(parser(), words)
    if options.spread is not None or options.machines:
        return _spread(options)
    names = list(dict.fromkeys(_in_one_command(options.models)))
    by_machine, errors = judge_each(options, names, machines_of(options))
    if len(errors) == 1:
        # of several names none is proposed as a line to type
        errors = {name: _as_asked(error, options) for name, error in errors.items()}
    by_machine = with_notes(options, by_machine)
    if len(names) > 1:
        from ..answers.beside import on_own_ports
        from ..catalogue.opened import open_catalogue

        catalogue = open_catalogue(options.specs)
        by_machine = [on_own_ports(part, catalogue) for part in by_machine]
    verdicts = [verdict for part in by_machine for verdict in part]
    if not verdicts:
        raise together(errors)
    from ..core.dates import utc_today

    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.check(verdicts, errors)))
    else:
        from ..reports.check_text import check_document, one_after_the_other

        carry, stated = options_to_repeat(options), workload_of(options).options()
        documents = [
            check_document(
                part,
                verbose=options.verbose,
                carry=carry,
                workload_options=stated,
                today=utc_today(),
            )
            for part in by_machine
            if part
        ]
        present(options, one_after_the_other(documents))
    code = exit_code((verdict.route for verdict in verdicts), no_answer=bool(errors))
    if errors:
        flush()
        complain(together(errors), code, options.format == "json", no_color=options.no_color)
    return code


def _as_asked(error: SelfhostError, options: argparse.Namespace) -> SelfhostError:
    """The error of a name that was not understood; where it proposes to ask about the one model
    that is nearest, with the options of this call.
    """
    remedy = error.remedy or ""
    _, _, proposed = remedy.rpartition("selfhost check ")
    if type(error) is not UnknownModelError or not proposed or len(error.nearest) != 1:
        return error
    if proposed.partition(" ")[0] != error.nearest[0]:
        return error
    workload = workload_of(options)
    if "--quant " in proposed:
        # the name said it
        workload = workload.replace(quantization=None)
    again = f"{remedy}{workload.options()}{options_to_repeat(options)}"
    return UnknownModelError(error.message, nearest=error.nearest, remedy=again)


def _spread(options: argparse.Namespace) -> int:
    """One model over several machines."""
    from .spread import run_spread

    return run_spread(options)
