"""`selfhost size`: the container or service in which a model will live."""

from __future__ import annotations

from ..core.errors import SelfhostError
from ..judge.record import Route, exit_code
from .options import workload_of
from .output import UsageError, complain, deliver, flush, present, together
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..advice.sizes import ContainerSize
    from ..catalogue.index import Catalogue
    from ..machine.record import Machine

# keys of --set that no size depends on
_IDLE_SETTINGS = ("bandwidth", "cores", "system")


def run(words: list[str]) -> int:
    """Size a container for each model."""
    options = parse("size", words)
    from ..advice.sizes import on_node, size_with
    from ..catalogue.index import open_catalogue

    workload, catalogue = workload_of(options), open_catalogue(options.specs)
    machine = _machine(options)
    sizes: list[ContainerSize] = []
    errors: dict[str, SelfhostError] = {}
    for name in options.models:
        try:
            size = size_with(
                catalogue, name, workload, machine, prompt_cache_bytes=options.prompt_cache
            )
            sizes.append(on_node(size, machine))
        except SelfhostError as error:
            errors[name] = error
    if not sizes:
        raise together(errors)
    code = exit_code((Route.LOCAL for _ in sizes), no_answer=bool(errors))
    if options.format == "json":
        from ..reports import json

        deliver(options, json.dumps(json.sizes(sizes, errors, code)))
    elif options.format == "text":
        from ..reports.size_text import size_document

        present(options, size_document(sizes, verbose=options.verbose))
    else:
        for size in sizes:
            _refuse_without_image(size, options.format, catalogue)
        from ..reports.size_text import block

        deliver(options, block(options.format, sizes))
    if errors:
        flush()
        complain(together(errors), code, options.format == "json")
    return code


def _machine(options: argparse.Namespace) -> Machine:
    """Return the node, with the accelerators that were named; what else a name can mean is put into
    `options.notes`.
    """
    from ..advice.sizes import node

    if not (options.set or options.gpu):
        return node()
    from ..machine.changes import apply
    from ..machine.gpus import cards_named

    machine = apply(node(), options.set, options.gpu)
    idle = [text for text in options.set if text.partition("=")[0].strip() in _IDLE_SETTINGS]
    if idle:
        raise UsageError(
            f"--set {idle[0]}: no container's size depends on it",
            remedy=f"leave it out, or ask whether the model runs there: selfhost check"
            f" MODEL --set {idle[0]}",
        )
    notes = [note for text in options.gpu for note in cards_named(text).notes]
    options.notes = tuple(dict.fromkeys(notes))
    return machine


def _refuse_without_image(size: ContainerSize, form: str, catalogue: Catalogue) -> None:
    """Refuse a runtime that nobody publishes an image of, and a model that no known command serves
    as it was asked for.
    """
    runtime = size.runtime
    if size.image is not None and size.program:
        return
    if size.image is not None:
        raise UsageError(
            f"--format {form}: no command is known with which {runtime.name} serves"
            f" {size.model.name} with these options",
            remedy="leave out what you asked beyond its defaults, such as --context, or put the"
            f" figures of `selfhost size {size.asked}` into a container of your own",
        )
    why = f"no image of {runtime.name} is published that {size.model.name} could be served from"
    served = filter(lambda name: catalogue.runtime(name).service, catalogue.runtime_ids())
    raise UsageError(
        f"--format {form}: {why}",
        remedy=f"with an image are {', '.join(served)} (--runtime); or put the figures of"
        f" `selfhost size {size.asked}` into a container of your own",
    )
