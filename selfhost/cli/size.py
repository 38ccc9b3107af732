"""`selfhost size`: memory request, limit and flags of the container or service that serves a model.

Besides text and JSON it writes a Kubernetes manifest, a Compose file, a line for Docker or a
service for systemd.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..advice.sizes import ContainerSize, fit_to_node, node, size_with
from ..catalogue.index import Catalogue, open_catalogue
from ..core.errors import SelfhostError, UsageError
from ..core.templates import fill
from ..judge import Route, exit_code
from ..machine.record import Machine
from ..reports import json
from ..reports.container_files import container_file
from ..reports.size_text import size_document
from .asked import NotedMachines, changed, one_machine, workload_of
from .models import names_in
from .output import (
    complain_of_names,
    deliver,
    note_faulty_specs,
    one_error,
    present,
    write_json,
)
from .parser import Options
from .progress import Progress
from .texts import help_texts


class SizeOptions(Options):
    """The options of `size`. `prompt_cache` is in bytes; None for one prompt a user."""

    models: list[str]
    prompt_cache: int | None


def run(words: Sequence[str]) -> int:
    """Size a container or service for each model. The exit code is 0 where each name has a size."""
    options = SizeOptions.read("size", words)
    workload = workload_of(options)
    catalogue = open_catalogue(options.specs)
    machine = _node_of(options)
    sizes = []
    errors = {}
    names = names_in(options, options.models)
    cache_bytes = options.prompt_cache
    with Progress("sizing containers") as tell:
        for number, name in enumerate(names):
            tell(number, len(names))
            try:
                size = size_with(
                    catalogue, name, workload, machine, prompt_cache_bytes=cache_bytes
                )
                sizes.append(fit_to_node(size, machine))
            except SelfhostError as error:
                errors[name] = error
    if not sizes:
        raise one_error(errors)
    # a model with a size can be served
    code = exit_code([Route.LOCAL], no_answer=bool(errors))
    if options.format == "json":
        write_json(options, json.sizes(sizes, errors, code))
    elif options.format == "text":
        present(options, size_document(sizes, verbose=options.verbose))
    else:
        for size in sizes:
            _refuse_unservable(size, options.format, catalogue)
        deliver(options, container_file(options.format, sizes))
    note_faulty_specs(catalogue)
    complain_of_names(options, errors, code)
    return code


def _node_of(options: SizeOptions) -> Machine:
    """The machine that the options name, else the one that is assumed, as --set and --gpu change
    it.
    """
    if options.machine is not None:
        return one_machine(options)
    (machine,) = changed(options, NotedMachines(machines=(node(),)))
    return machine


def _refuse_unservable(
    size: ContainerSize,
    form: str,
    catalogue: Catalogue,
) -> None:
    """Raise `UsageError` where no published image serves the model, or no command is known."""
    if size.image is None:
        texts = help_texts().no_image
    elif not size.program:
        texts = help_texts().no_command
    else:
        return
    services = []
    for id in catalogue.runtime_ids():
        runtime = catalogue.runtime(id)
        if runtime.service and size.model.modality in runtime.modalities:
            services.append(id)
    figures = {
        "program": size.runtime.name,
        "model": size.model.name,
        "asked": size.asked,
        "served": ", ".join(services),
    }
    raise UsageError(
        f"--format {form}: {fill(texts['message'], figures)}",
        remedy=fill(texts["remedy"], figures),
    )
