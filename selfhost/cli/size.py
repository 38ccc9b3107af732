"""`selfhost size`: the container or service in which a model will live."""

from __future__ import annotations

from ..core.errors import SelfhostError
from ..judge.record import Route, exit_code
from .errors import UsageError, complain, together
from .options import workload_of
from .output import deliver, flush, present
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..advice.sizes import ContainerSize
    from ..machine.record import Machine

# files to paste
BLOCKS = ("kubernetes", "compose", "docker", "systemd")


def run(words: list[str]) -> int:
    """Size a container for each model."""
    options = parse("size", words)
    sizes, errors = _sizes(options)
    if not sizes:
        raise together(errors)
    code = exit_code((Route.LOCAL for _ in sizes), no_answer=bool(errors))
    if options.format == "json":
        from ..reports import json
        from ..reports.size_json import sizes_record

        deliver(options, json.dumps(sizes_record(sizes, errors, code)))
    elif options.format in BLOCKS:
        _refuse_without_image(sizes, options)
        from ..reports.size_blocks import block

        deliver(options, block(options.format, sizes))
    else:
        from ..reports.size_text import size_document

        present(options, size_document(sizes, verbose=options.verbose))
    if errors:
        flush()
        complain(together(errors), code, options.format == "json")
    return code


def _sizes(options: argparse.Namespace) -> tuple[list[ContainerSize], dict[str, SelfhostError]]:
    """Size each model's container; also return, by the name that was typed, why one has none."""
    workload = workload_of(options)
    from ..advice.sized import size_with
    from ..advice.sizes import on_node
    from ..catalogue.opened import open_catalogue

    catalogue, machine = open_catalogue(options.specs), _machine(options)
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
    return sizes, errors


def _is_sized(model: str, runtime: str, options: argparse.Namespace) -> bool:
    """Whether the same line with that runtime has an answer."""
    from copy import copy

    other = copy(options)
    other.models, other.runtime = [model], runtime
    return bool(_sizes(other)[0])


def _machine(options: argparse.Namespace) -> Machine:
    """Return the node, with the accelerators that were named; what else a name can mean is put into
    `options.notes`.
    """
    from ..advice.sizes import node

    machine = node()
    if options.set or options.gpu:
        from ..machine.changes import apply
        from ..machine.gpu_names import cards_named

        machine = apply(machine, options.set, options.gpu)
        _refuse_idle_settings(options.set)
        notes = [note for text in options.gpu for note in cards_named(text).notes]
        options.notes = tuple(dict.fromkeys(notes))
    return machine


# keys of --set that no size depends on
_IDLE_SETTINGS = ("bandwidth", "cores", "system")


def _refuse_idle_settings(settings: Sequence[str]) -> None:
    """Refuse a setting that would change nothing."""
    for setting in settings:
        key = setting.partition("=")[0].strip()
        if key in _IDLE_SETTINGS:
            raise UsageError(
                f"--set {key}: no container's size depends on it",
                remedy=f"leave it out, or ask whether the model runs there: selfhost check"
                f" MODEL --set {setting}",
            )


def _refuse_without_image(sizes: list[ContainerSize], options: argparse.Namespace) -> None:
    """Refuse a runtime that nobody publishes an image of, with those that would do, and a model
    that no known command serves as it was asked for.
    """
    from ..catalogue.opened import open_catalogue

    catalogue = open_catalogue(options.specs)
    for size in sizes:
        if size.image is not None and not size.program:
            raise UsageError(
                f"--format {options.format}: no command is known with which {size.runtime.name}"
                f" serves {size.model.name} with these options",
                remedy="leave out what you asked beyond its defaults, such as --context",
            )
        if size.image is not None:
            continue
        others = [
            name
            for name in catalogue.runtime_ids()
            if catalogue.runtime(name).service is not None and _is_sized(size.asked, name, options)
        ]
        own = f"put the figures of `selfhost size {size.asked}` into a container of your own"
        if size.runtime.bare_image:
            own += f", from {size.runtime.bare_image}"
            why = f"the image of {size.runtime.name} starts no server and holds no model,"
            why += " so no file is written for it"
        else:
            why = f"no image of {size.runtime.name} is published that {size.model.name} could be"
            why += " served from"
        raise UsageError(
            f"--format {options.format}: {why}",
            remedy=f"name another with --runtime: {', '.join(others)}" if others else own,
        )
