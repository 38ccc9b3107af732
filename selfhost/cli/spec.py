"""`selfhost spec`: `check` lists the faults of spec files, `new` makes a spec from a model file.

A new spec goes to standard output or to a new file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from ..catalogue.index import open_catalogue
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import ID
from ..core.errors import UsageError
from ..core.records import fault_of
from ..core.tables import expression
from ..core.units import canonical
from ..modelfiles import name_by_place, read_local, spec_text
from ..modelfiles.specfiles import check_spec_files
from ..reports import json
from ..reports.layout import problems_text, texts
from .output import deliver, note, note_faulty_specs, present, write_json
from .parser import Options
from .progress import Progress

# the remedy for a spec that is made without a model file
_BY_HAND = "to write one by hand, begin with examples/specs/my-model.toml of a clone of selfhost"


class SpecOptions(Options):
    """The options of `spec`; `action` is "check" or "new", `id` and `name` are for "new"."""

    action: str
    files: list[str]
    id: str | None
    name: str | None


def run(words: Sequence[str]) -> int:
    """Check spec files, or make one."""
    options = SpecOptions.read("spec", words)
    if options.action == "new":
        return _make(options)
    if options.id is not None or options.name is not None:
        raise UsageError("--id and --name are for spec new", remedy="leave them out")
    return _check(options)


def _check(options: SpecOptions) -> int:
    """Write the faults of the files, or that each file is right. The exit code is 1 for a
    fault.
    """
    catalogue = open_catalogue(options.specs)
    runtimes = catalogue.runtime_ids()
    with Progress("checking specs") as tell:
        problems, valid_specs = check_spec_files(
            options.files, catalogue.specs(), runtimes, tell=tell
        )
    code = 1 if problems else 0
    if options.format == "json":
        document = json.titled(
            "spec-check/1",
            good=[spec.id for spec in valid_specs],
            problems=json.record(problems),
            exit_code=code,
        )
        write_json(options, document)
    else:
        lines = [f"{spec.origin}: ok ({spec.name})" for spec in valid_specs]
        if problems:
            lines = problems_text(problems).splitlines()
        present(options, texts(lines, indent=0))
    if not problems:
        note_faulty_specs(catalogue)
    return code


def _make(options: SpecOptions) -> int:
    """Make a spec from a model's file or folder. The exit code is 0."""
    path = _model_path(options)
    file = _file_to_make(options)
    local = read_local(path)
    spec = _named_spec(local.spec, options, file)
    _refuse_taken_id(spec.id, options)
    notes = [*local.notes]
    has_stated_id = options.id is not None or file is not None
    if _is_named_by_place(local.spec) and not has_stated_id:
        notes.append(
            f'its id is "{spec.id}", after its file or folder: --id states another'
        )
    if options.format == "json":
        document = {"schema": "selfhost.spec/1", "spec": spec, "notes": notes}
        write_json(options, json.record(document))
    else:
        deliver(options, spec_text(spec))
        for remark in notes:
            note(remark)
    return 0


def _model_path(options: SpecOptions) -> str:
    """The file or folder of the one model that a spec is made of. Raises `UsageError`."""
    if len(options.files) != 1:
        remedy = "name one GGUF file, config.json or model folder"
        raise UsageError("a spec is made of one model", remedy=remedy)
    path = options.files[0]
    if not os.path.lexists(path):
        message = f"{path} does not exist: a spec is made of a file on this disk"
        remedy = _BY_HAND
        if expression("names", "repository").fullmatch(path):
            folder = os.path.basename(path)
            remedy = (
                "of a repository on Hugging Face, fetch its config.json first: "
                f"hf download {path} config.json --local-dir {folder}; "
                f"then selfhost spec new {folder}"
            )
        raise UsageError(message, remedy=remedy)
    return path


def _file_to_make(options: SpecOptions) -> str | None:
    """The name of the spec's file without its folder; None where no spec goes to a file. Raises
    `UsageError` for a file that already exists.
    """
    if options.output is None or options.format == "json":
        return None
    if os.path.isfile(options.output):
        remedy = "name another file: selfhost does not replace a spec that you may have edited"
        raise UsageError(f"{options.output} already exists", remedy=remedy)
    return os.path.basename(options.output)


def _named_spec(
    spec: ModelSpec,
    options: SpecOptions,
    file: str | None,
) -> ModelSpec:
    """The spec with the id and the name that were asked for. Raises `UsageError`.

    Without `--id` the id is taken from the name of the new file, because folders of specs find a
    model by its file. Without `--name` a model without a name of its own is called by its id.
    """
    faults = {
        "--id": fault_of(options.id or spec.id, str, form=ID),
        "--name": fault_of(options.name or spec.name, str),
    }
    for option, fault in faults.items():
        if fault is not None:
            raise UsageError(f"{option}: {fault.message}", remedy=fault.remedy)
    id = options.id
    if id is None and file is not None:
        id = _id_in_file_name(file)
    name = options.name
    if name is None and _is_named_by_place(spec):
        name = id
    return spec.replace(id=id or spec.id, name=name or spec.name)


def _refuse_taken_id(id: str, options: SpecOptions) -> None:
    """Raise `UsageError` for an id that is a name of another model: `spec check` refuses it. The
    id of a model itself may be taken, for such a spec replaces the model's.
    """
    catalogue = open_catalogue(options.specs)
    owner = catalogue.id_named(canonical(id), "ids", "aliases")
    if owner in (None, id):
        return
    message = f'the id of the spec would be "{id}": that already means {owner}'
    raise UsageError(message, remedy=f"state another id: --id my-{id}")


def _id_in_file_name(file: str) -> str | None:
    """The id that a file of that name has in a folder of specs; None where it can have none."""
    stem, ending = os.path.splitext(file)
    if ending == ".toml" and re.fullmatch(ID.pattern, stem):
        return stem
    return None


def _is_named_by_place(spec: ModelSpec) -> bool:
    """Whether the model is called after its file or folder, because its files state no name."""
    return spec.name == name_by_place(spec.origin)
