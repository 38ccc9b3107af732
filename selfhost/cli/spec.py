"""`selfhost spec`: check specs of your own, and make one from a model file."""

from __future__ import annotations

import os

from .output import UsageError, deliver, note, tell_left_aside
from .parser import parse

TYPE_CHECKING = False

if TYPE_CHECKING:
    import argparse

    from ..catalogue.index import Catalogue


def run(words: list[str]) -> int:
    """Check spec files, or make one from a model file."""
    options = parse("spec", words)
    from ..catalogue.index import open_catalogue

    catalogue = open_catalogue(options.specs)
    if options.action == "new":
        return _make(options, catalogue)
    from ..modelfiles.specfiles import check_spec_files

    problems, valid_specs = check_spec_files(
        options.files,
        catalogue.specs(),
        catalogue.common("architectures"),
        catalogue.runtime_ids(),
    )
    code = 1 if problems else 0
    if options.format == "json":
        from ..reports import json

        text = json.dumps(json.spec_check(problems, valid_specs, code))
    else:
        from ..reports.layout import clean, problems_text

        good = [f"{clean(f'{spec.origin}: ok ({spec.name})')}\n" for spec in valid_specs]
        text = problems_text(problems) if problems else "".join(good)
    deliver(options, text)
    if not code:
        tell_left_aside(catalogue)
    return code


def _make(options: argparse.Namespace, catalogue: Catalogue) -> int:
    from ..modelfiles import read_local, spec_text

    if len(options.files) != 1:
        remedy = "name one GGUF file, config.json or model folder"
        raise UsageError("a spec is made of one model", remedy=remedy)
    local = read_local(options.files[0], catalogue.common("architectures"))
    spec, notes = local.spec, local.notes
    if options.output is not None and options.format != "json":
        from ..catalogue.index import misnamed
        from ..catalogue.spec_values import is_id

        # folders of specs find a model by the name of its file
        file = os.path.basename(options.output)
        name, ending = os.path.splitext(file)
        if ending == ".toml" and is_id(name):
            spec = spec.replace(id=name)
        elif f"{spec.id}.toml" != file:
            notes += (f"its id {': '.join(misnamed(spec.id, file))}",)
    taken = catalogue.named_so(spec.id)
    if taken is not None:
        what = "is that of a model of the catalogue, which this spec replaces under --specs"
        if taken != spec.id:
            what = f"already means {taken} of the catalogue, so that spec check refuses it"
        notes += (f"its id {spec.id} {what}: --output OTHER-NAME.toml gives it another",)
    if options.format == "json":
        from ..reports import json

        document = {"schema": "selfhost.spec/1", "spec": json.record(spec), "notes": list(notes)}
        deliver(options, json.dumps(document))
        return 0
    deliver(options, spec_text(spec))
    for remark in notes:
        note(f"{remark}\n")
    return 0
