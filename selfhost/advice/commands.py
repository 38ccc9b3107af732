"""The lines that run, make or train a model, filled with what was judged.

Each public function takes a `Launch` and returns `Steps`, lines to print; nothing here runs them. A
line that would run anything else than the judged model, files and settings is left out.

A line is made in three steps. `_usual_template` and its neighbours choose the template.
`Launch.filled` fills its places. `_with_settings` adds what else has to be set: by an option of the
line, or by a variable of a server that is started first. `steps.py` puts the installation before
the lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..catalogue.runtime_parts import Conversion
from ..core.errors import WorkloadError
from ..core.files import first_numbered_file
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import DEFAULT_LORA_RANK
from ..judge.checks import Outcome
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.record import Question
from ..machine.record import Machine
from ..needs.training import type_not_quantized_again
from .launch import (
    Launch,
    Lines,
    device_word,
    fill_partly,
    options_needed,
    variables_hiding_cards,
    variables_stated,
)

# options that a line may lack: they are typed only where the program has them
_IF_IT_CAN = ("embedding", "reranking", "context_checkpoints", "sampled", "unpacked",
              "tensor_parallel", "one_device", "memory_share", "flash_attention")  # fmt: skip
# in a list of options: one that the program lacks, or whose value is not known
_NOT_TYPED = ""
# the name by which the converters find a config in a folder
_CONFIG = "config.json"
_PLAIN_ON_WINDOWS = r"[\w:./\\+=~-]+"
# words that replace the names of persons and computers in records; such a path cannot be typed
_REPLACED_NAMES = ("USER", "HOST", "ID")


class Steps(Record):
    """The lines to type for a model. A line that begins with `#` is a comment.

    `setup` are the lines to type first; () where nothing is missing. `commands` are the lines that
    download and run the model as it was judged, or train it; () where none is known or can be
    typed. `server` are lines that start a server with the judged context first, where the commands
    leave to the program a context for which nobody asked: a beginner types `ollama run TAG`.
    `commands_class` is "listed" or "unlisted"; None without commands, and until it is told.
    """

    setup: Lines = ()
    server: Lines = ()
    commands: Lines = ()
    commands_class: str | None = None


# ------------------------------------------------------------------ lines that run a model


def commands(launch: Launch) -> Steps:
    """Lines that download and run the model as it was judged, for a model that is not trained."""
    question = launch.question
    if question.loads_named_files:
        return _lines_of_named_files(launch)
    file = _file_to_name(question)
    if file is not None:
        return _lines_of_gguf(launch, file)
    found = _with_settings(launch, _first_template(launch))
    if not found.commands or question.missing_bytes == 0:
        return found
    return found.replace(commands=found.commands + _other_line(launch))


def _file_to_name(question: Question) -> str | None:
    """The path of the judged file, if the file is complete on this machine and the runtime does not
    find the file by itself. None otherwise.
    """
    here = question.here
    if here is None or not here.by_path:
        return None
    if here.missing_bytes != 0:
        return None
    return here.path


def _other_line(launch: Launch) -> Lines:
    """The line of the program that is shown with this one; () for none, or for several lines."""
    id = launch.lines.shown_with
    if not id:
        return ()
    other = launch.replace(runtime=launch.catalogue.runtime(id))
    found = lines_by_tag(other)
    if found.server or len(found.commands) > 1:
        return ()
    return found.commands


def lines_by_tag(launch: Launch) -> Steps:
    """Lines that run the model by its tag in the runtime's library, as Ollama does.

    No lines where the runtime has no tag for what was judged, fetches or runs no such model on
    the machine, or may crash there.
    """
    question = launch.question
    if question.loads_named_files:
        return Steps()
    if question.missing_bytes == 0:
        return Steps()
    if launch.may_crash:
        return Steps()
    if not _can_run(launch):
        return Steps()
    template = _template_of_long_texts(launch)
    if template:
        line = launch.filled(template)
        return Steps(commands=(line,) if line else ())
    return _with_settings(launch, launch.lines.default)


def _template_of_long_texts(launch: Launch) -> str:
    """The line that embeds texts longer than the usual batch; "" where none is needed, and where
    the shell would not take it.
    """
    if launch.spec.modality != "embedding":
        return ""
    if launch.machine.system == "windows":
        return ""
    if launch.values["batch_tokens"] is None:
        return ""
    return launch.template("long_embedding")


def _can_run(launch: Launch) -> bool:
    """Whether the program whose lines are typed can run the judged files on the machine. If these
    were judged with another program, they are judged again with this one.
    """
    runtime = launch.runtime
    workload = launch.workload
    reads_format = workload.format in runtime.formats
    if runtime.id == workload.runtime:
        return reads_format
    # the user may have typed a tag whose files the judged program loads, too
    shares_files = workload.runtime in runtime.library_tags.shared_with
    is_tagged = shares_files and launch.tag is not None
    if not reads_format and not is_tagged:
        return False
    stated = launch.question.stated.replace(
        format=None, runtime=runtime.id, quantization=workload.quantization
    )
    try:
        other = ask(launch.spec, stated, launch.catalogue, launch.machine)
    except WorkloadError:
        return is_tagged
    for finding in judge(other, launch.machine).findings:
        if finding.check == "disk" and finding.outcome is Outcome.UNKNOWN:
            # a service like Ollama keeps its models where other users cannot look
            continue
        if finding.decides:
            return False
    return True


# ------------------------------------------------------------------ templates of lines


def _first_template(launch: Launch) -> str:
    """The first template of the program for such a model that can be filled; "" for none. A
    template with a tag comes before that with the name of the file, and the repository last.
    """
    way = launch.judged.offload
    if way is not None:
        return _template_in_turn(launch, way)
    usual = _usual_template(launch)
    named = launch.template("named")
    templates = [named, usual]
    if "{tag}" in usual:
        templates = [usual, named]
    by_rule = "" if launch.rule is None else launch.rule.command
    if by_rule and not launch.values["quantized"]:
        templates = [by_rule]
    for template in (*templates, launch.template("repository")):
        if launch.filled(template):
            return template
    return ""


def _template_in_turn(launch: Launch, way: str) -> str:
    """The template that moves parts of the model to a GPU in turn, in that way; "" for none."""
    by_family = launch.template(launch.spec.family)
    if by_family and "{device}" not in by_family:
        # it moves the parts by itself
        return by_family
    lines = launch.lines.offload
    if launch.rule is not None:
        lines = launch.rule.offload_commands
    return lines.get(way, "")


def _usual_template(launch: Launch) -> str:
    """The template for the row, the family or the main use, and for as many users as asked; ""
    where it would load another type.
    """
    spec = launch.spec
    row = None if spec.architecture is None else spec.architecture.row
    template = launch.runtime.command_of(spec.family, spec.main_use, row)
    if template == launch.lines.default:
        template = launch.default_command
    elif row is not None:
        template = launch.for_all_users(f"users_{row}", template)
    if not launch.is_cast:
        return template
    return template if "{cast}" in template else ""


# ------------------------------------------------------------------ what a line has to set


def _with_settings(
    launch: Launch,
    template: str,
    paths: Mapping[str, str] = {},
) -> Steps:
    """The filled template with all that has to be set, so that it runs the model as judged: the
    options that the user stated by name, then those that are needed, as options or as variables of
    a server. No lines where something cannot be set, and for a template that cannot be filled.
    """
    line = launch.filled(template, paths)
    if not line:
        return Steps()
    lines = launch.lines
    # a place of the template sets its option; that of the total context sets the context
    places = template.replace("total_context", "context")
    words = [line, *_stated_options(launch)]
    server = {}
    for key in options_needed(launch):
        if key in lines.options:
            option = launch.filled(lines.options[key])
            words.append(option)
        elif key in lines.variables:
            server[key] = launch.filled(lines.variables[key])
        elif key not in _IF_IT_CAN and f"{{{key}}}" not in places:
            return Steps()
    if _NOT_TYPED in words:
        return Steps()
    line = " ".join(words)
    variables = [*variables_stated(launch), *_variables_of_cards(launch)]
    line = _with_variables(variables, line, launch.machine)
    if not server:
        return Steps(commands=(line,))
    # the server gets an address of its own beside a service that runs already
    address = lines.variables["address"]
    with_server = (
        _with_variables([address, *server.values()], lines.serve, launch.machine),
        _with_variables([address], line, launch.machine),
    )
    is_for_context = server.keys() == {"context_tokens"}
    if is_for_context and not launch.question.context_asked:
        return Steps(commands=(line,), server=with_server)
    return Steps(commands=with_server)


def _stated_options(launch: Launch) -> list[str]:
    """The options that the user stated by name, as typed."""
    options = []
    for name, value in launch.workload.runtime_options.items():
        named = launch.runtime.named_options.get(name)
        if named is None:
            options.append(_NOT_TYPED)
            continue
        if not named.line:
            # another line of the command, or a variable, states the value
            continue
        if named.changes == "split_mode" and launch.keeps_to_one_card:
            # the option for one device sets the split mode, too
            continue
        option = fill_partly(named.line, {"value": value})
        options.append(option)
    return options


def _variables_of_cards(launch: Launch) -> list[str]:
    """The variable that numbers accelerators as the options do, and the variable that hides
    accelerators, where the program would see more than it computes on.
    """
    variables = []
    if launch.numbers_cards:
        for maker, variable in launch.runtime.gpus.numbered_by.items():
            # unlike accelerators, which the driver lists in another order
            cards = [card for card in launch.cards if card.vendor == maker]
            names = {card.name for card in cards}
            if len(names) > 1:
                variables.append(variable)
    hiding = variables_hiding_cards(launch)
    variables += [f"{name}={value}" for name, value in hiding.items()]
    return variables


# ------------------------------------------------------------------ files on this machine


def _lines_of_named_files(launch: Launch) -> Steps:
    """The lines that run the file or the folder that was named; no lines where the runtime takes
    none, or where its path cannot be typed.
    """
    path = launch.spec.origin
    ending = path.lower()
    if ending.endswith(".gguf"):
        return _lines_of_gguf(launch, path)
    folder = path
    if ending.endswith((".json", ".safetensors")):
        folder = os.path.dirname(path) or "."
    template = "" if launch.rule is None else launch.rule.command
    if launch.judged.offload is not None:
        template = _template_in_turn(launch, launch.judged.offload)
    elif not template:
        template = _usual_template(launch)
    if "{repository}" not in template:
        return Steps()
    typed = _shell_path(folder, launch.machine)
    is_quoted = typed != folder or folder.startswith("~")
    if is_quoted and "'{repository}'" in template:
        # the template is Python code, in which a quoted path would end the string
        return Steps()
    return _with_settings(launch, template, {"repository": typed})


def _lines_of_gguf(launch: Launch, path: str) -> Steps:
    """The lines that run the judged file; no lines where the runtime takes no GGUF file, or where a
    name in its path was replaced.
    """
    if not path.lower().endswith(".gguf"):
        return Steps()
    here = launch.question.here
    projector = None
    if here is not None:
        projector = here.projector
        folders = path.replace("\\", "/").split("/")
        if not set(folders).isdisjoint(_REPLACED_NAMES):
            return Steps()
    if "-of-" in path:
        # llama.cpp finds the other parts of a split file from the first alone, in its file
        # src/llama-model-loader.cpp
        path = first_numbered_file(path)
    return _lines_of_file(launch, path, projector)


def _lines_of_file(
    launch: Launch,
    path: str,
    projector: str | None,
    setup: Lines = (),
) -> Steps:
    """The line that loads one GGUF file; none where the runtime takes no GGUF file."""
    machine = launch.machine
    template = launch.for_all_users("users_file", launch.template("file"))
    paths = {"file": _shell_path(path, machine)}
    if projector is not None and launch.has_projector:
        paths["projector_file"] = _shell_path(projector, machine)
        template = template.replace(" -c ", " --mmproj {projector_file} -c ", 1)
    return _with_settings(launch, template, paths).replace(setup=setup)


# ------------------------------------------------------------------ what a shell takes


def _shell_path(path: str, machine: Machine) -> str:
    """A path as the machine's shell takes it; `~/` is not quoted, so that the shell reads it."""
    home = "~/" if path.startswith("~/") else ""
    rest = path.removeprefix(home)
    if machine.system != "windows":
        return home + shell_word(rest)
    if re.fullmatch(_PLAIN_ON_WINDOWS, rest):
        return path
    # PowerShell: within single quotes only a quote is special, and is doubled
    quoted = rest.replace("'", "''")
    return f"{home}'{quoted}'"


def _with_variables(
    variables: Sequence[str],
    command: str,
    machine: Machine,
) -> str:
    """The command with variables of its environment; a text is one or several `NAME=value`."""
    if not variables:
        return command
    set_first = " ".join(variables)
    if machine.system == "windows":
        set_first = re.sub(r"(\S+?)=(\S*)", r"$env:\1='\2';", set_first)
    return f"{set_first} {command}"


# ------------------------------------------------------------------ lines that make a file


def lines_of_made_file(launch: Launch) -> Steps:
    """The lines that run a file which the user has to get: the published file of the typed name,
    else a file made of the published weights.
    """
    if launch.question.missing_bytes == 0:
        return Steps()
    listing = launch.type_row.listing
    if listing is None or not listing.named:
        return _lines_of_recipe(launch)
    file = listing.names.get(launch.quantization)
    if file is None:
        return Steps()
    line = f"# download {file}"
    page = launch.spec.conversions_page
    if page:
        line += f"; Hugging Face lists who publishes it: {page}"
    return _lines_of_file(launch, file, None, setup=(line,))


def _lines_of_recipe(launch: Launch) -> Steps:
    """The lines that make the file that was judged, and run it.

    No lines where the runtime has no converter, where the publisher's repository is not known, or
    where the quantization cannot be made so. For a lone config.json the lines take its folder,
    where the weights have to be put; for one of another name a folder that the user makes.
    """
    spec = launch.spec
    conversion = launch.runtime.conversion
    if conversion is None:
        return Steps()
    if launch.type_row.conversion is None:
        return Steps()
    files = _files_of_recipe(launch, conversion)
    templates = []
    if not spec.lone_config:
        # a lone config.json does not say where the weights are
        templates.append(conversion.download)
    if launch.quantization in conversion.types:
        templates.append(conversion.convert)
    else:
        to_source = fill_partly(conversion.convert, {"file": files["source"]})
        templates += [to_source, conversion.quantize]
    projector = None
    if spec.modality == "vision" and launch.has_projector and conversion.projector:
        templates.append(conversion.projector)
        projector = files["projector"]
    setup = _where_to_look(launch, conversion.look_first)
    setup += conversion.tools
    for template in templates:
        line = launch.filled(template, files)
        if line:
            setup.append(line)
    return _lines_of_file(launch, files["file"], projector, setup=tuple(setup))


def _files_of_recipe(launch: Launch, conversion: Conversion) -> dict[str, str]:
    """The files and types in a converter's lines, by their places there."""
    spec = launch.spec
    kind = launch.quantization
    model = spec.id
    if spec.lone_config and _is_named_as_read(spec.lone_config):
        # the folder of the config, as a shell takes it
        model = shell_word(os.path.dirname(spec.lone_config) or ".")
    return {
        "repository": spec.repository or "",
        "model": model,
        "file": fill_partly(conversion.file, {"model": spec.id, "quantization": kind}),
        "quantization": kind,
        "type": conversion.types.get(kind) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
    }


def _is_named_as_read(config: str) -> bool:
    """Whether a converter finds the config in its folder: it looks for that name alone."""
    return os.path.basename(config) == _CONFIG


def _where_to_look(launch: Launch, page: str) -> list[str]:
    """The comments before a recipe: where the file may be had, or the weights have to be put."""
    spec = launch.spec
    kind = launch.quantization
    if spec.lone_config:
        config = os.path.basename(spec.lone_config)
        then = f"then make {kind} files from them"
        if _is_named_as_read(spec.lone_config):
            return [f"# put the weights beside {config}, {then}"]
        return [
            f"# put {config} into a folder {spec.id} as {_CONFIG}",
            f"# put the weights beside it, {then}",
        ]
    make = f"# or make {kind} files of {spec.name}"
    if launch.type_row.is_published:
        return [make]
    # `-hf` marks a conversion to transformers, whose name other conversions do not repeat
    repository = spec.repository or ""
    name = repository.rpartition("/")[2].removesuffix("-hf")
    page = fill_partly(page, {"name": name, "quantization": kind})
    return [
        f"# this catalogue knows no published {kind} files of {spec.name}; look first at",
        f"# {page}",
        make,
    ]


# ------------------------------------------------------------------ lines that train


def training_lines(launch: Launch) -> Steps:
    """The lines that train the model; none where no command is known for the method, and where the
    publisher's repository is not known.

    The lines to type first install the trainer. Comments there tell what trains such models, where
    no command does, and of which weights the user has to name another copy.
    """
    workload = launch.workload
    spec = launch.spec
    finetuning = launch.runtime.finetuning
    method = workload.finetune_method or "lora"
    command = finetuning.commands.get(method, "")
    if not command or spec.repository is None:
        return Steps()
    elsewhere = finetuning.elsewhere.get(spec.modality)
    if elsewhere is not None:
        return Steps(setup=(f"# {elsewhere}",))
    templates = [command]
    for key in _training_options(launch):
        if key in finetuning.options:
            templates.append(finetuning.options[key])
    values = {
        "repository": spec.repository,
        "lora_rank": workload.lora_rank or DEFAULT_LORA_RANK,
        "stored": type_not_quantized_again(spec, method),
    }
    line = launch.filled(" ".join(templates), values)
    packages = finetuning.packages
    names = packages.get(workload.optimizer or "") or packages.get(method)
    setup = []
    if names:
        setup.append(f"pip install {names}")
    wide_copy = launch.filled(finetuning.wide_copy, values)
    if wide_copy:
        setup.append(f"# {wide_copy}")
    found = Steps(setup=tuple(setup))
    return found.replace(commands=(line,)) if line else found


def _training_options(launch: Launch) -> list[str]:
    """The keys of the trainer's options for this device, optimizer and memory."""
    workload = launch.workload
    keys = [device_word(launch), workload.optimizer]
    if not workload.checkpointing:
        keys.append("keeps_activations")
    if launch.keeps_to_one_card:
        # without the option it would start a process on each of several accelerators
        keys.append("replicated")
    return [key for key in keys if key is not None]
