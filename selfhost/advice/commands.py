"""The lines that run, make or train a model, filled with what was judged.

Each public function takes a `Launch` and returns lines to print; nothing here runs them. A line
that would run anything else than the judged model, files and settings is left out.

A line is made in four steps. `_templates` chooses its template. `Launch.values` fills the places of
the template. `options_needed` lists what else has to be set, by a key for each. `_LineNeeds` sets
each of these: by an option of the line, by a variable before it, or by a variable of a server that
is started first. `steps.py` puts the installation before the lines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from ..catalogue.runtime_parts import Conversion
from ..core.errors import WorkloadError
from ..core.quoting import shell_word
from ..core.records import Record
from ..core.workload import DEFAULT_LORA_RANK
from ..judge.checks import Outcome
from ..judge.judging import judge
from ..judge.question import ask
from ..judge.record import Question
from ..machine.record import Machine
from ..needs.picture_size import STATED_SIZES
from ..needs.training import type_not_quantized_again
from .launch import (
    Launch,
    Lines,
    device_word,
    fill_partly,
    options_needed,
    variables_hiding_cards,
)

# options that a line may lack: they are typed only where the program has them
_IF_IT_CAN = ("embedding", "reranking", "context_checkpoints", "sampled", "unpacked",
              "tensor_parallel", "one_device")  # fmt: skip
_PLAIN_ON_WINDOWS = r"[\w:./\\+=~-]+"
# words that replace the names of persons and computers in records; such a path cannot be typed
_REPLACED_NAMES = ("USER", "HOST", "ID")


# ------------------------------------------------------------------ lines that run a model


def commands(launch: Launch) -> Lines:
    """Lines that download and run the model as it was judged, for a model that is not trained."""
    question = launch.question
    if question.loads_named_files:
        return _lines_of_named_files(launch)
    file = _file_to_name(question)
    if file is not None:
        return _lines_of_gguf(launch, file)
    lines = _run_lines(launch)
    if not lines:
        return ()
    if question.missing_bytes == 0:
        return lines
    return lines + _other_line(launch)


def _file_to_name(question: Question) -> str | None:
    """The path of the judged file, if the file is complete on this machine and the runtime does not
    find the file by itself. None otherwise.
    """
    here = question.here
    if here is None:
        return None
    if here.missing_bytes != 0:
        return None
    if not here.by_path:
        return None
    return here.path


def _other_line(launch: Launch) -> Lines:
    """The line of the program that is shown with this one; () for none, or for several lines."""
    id = launch.lines.shown_with
    if not id:
        return ()
    other = launch.replace(runtime=launch.catalogue.runtime(id))
    lines = lines_by_tag(other, with_server=True)
    return lines if len(lines) == 1 else ()


def server_lines(launch: Launch) -> Lines:
    """The lines that start a server with the judged context and then run the model by its tag; ()
    where one line does the same.
    """
    if len(lines_by_tag(launch)) != 1:
        return ()
    lines = lines_by_tag(launch, with_server=True)
    return lines if len(lines) > 1 else ()


def lines_by_tag(launch: Launch, *, with_server: bool = False) -> Lines:
    """Lines that run the model by its tag in the runtime's library, as Ollama does.

    () where the runtime has no tag for what was judged, fetches or runs no such model on the
    machine, or may crash there.
    """
    if not _loads_by_tag(launch):
        return ()
    template = _template_of_long_texts(launch)
    if template:
        line = fill_partly(template, launch.values)
        return (line,) if line else ()
    return _run_lines(launch, launch.lines.default, with_server=with_server)


def _loads_by_tag(launch: Launch) -> bool:
    """Whether the runtime fetches the judged files itself and runs them on the machine."""
    question = launch.question
    if question.loads_named_files:
        return False
    if question.missing_bytes == 0:
        return False
    if launch.may_crash:
        return False
    return _can_run(launch)


def _template_of_long_texts(launch: Launch) -> str:
    """The line that embeds texts longer than the usual batch; "" where none is needed, and where
    the shell would not take it.
    """
    is_embedding = launch.spec.modality == "embedding"
    if not is_embedding:
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
    is_tagged = _has_tag_of(launch, workload.runtime)
    if not (reads_format or is_tagged):
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


def _has_tag_of(launch: Launch, runtime: str | None) -> bool:
    """Whether the user typed a tag whose files that other program loads, too."""
    if launch.tag is None:
        return False
    return runtime in launch.runtime.library_tags.shared_with


def _run_lines(
    launch: Launch,
    template: str | None = None,
    paths: Mapping[str, str] = {},
    *,
    with_server: bool = False,
) -> Lines:
    """The line that runs the model. Before it stands a line that starts a server, where a needed
    setting is one of the server alone. () where a needed value or option cannot be typed.

    A server that would only set a context for which nobody asked is left out, unless `with_server`:
    a beginner types `ollama run TAG`. `template` is None for the program's own lines. `paths` are
    further values for `template`: a path may have braces, which a template may not.
    """
    offload = launch.judged.offload
    if offload is not None:
        line = fill_partly(_template_in_turn(launch, offload), launch.values)
    elif template is not None:
        line = fill_partly(template, {**launch.values, **paths})
    else:
        line = _first_filled(launch)
    if not line:
        return ()
    needed = tuple(options_needed(launch))
    to_run = _LineNeeds(launch=launch, needed=needed)
    if not with_server and to_run.wants_server_for_context_alone:
        needed = tuple(key for key in needed if key != "context_tokens")
        to_run = _LineNeeds(launch=launch, needed=needed)
    return to_run.with_line(line)


class _LineNeeds(Record):
    """What a line needs to run the model as judged. `needed` are the keys of what has to be set: by
    an option of the line, by a variable before it, or by one of a server that is started first.
    """

    launch: Launch
    needed: tuple[str, ...]

    @property
    def wants_server_for_context_alone(self) -> bool:
        """Whether a server would be started only to set a context for which nobody asked."""
        if self.launch.question.context_asked:
            return False
        return self._of_server == ["context_tokens"]

    def with_line(self, line: str) -> Lines:
        """The line with all that is needed; () where something cannot be set."""
        options = self._options()
        if "" in options or not self._all_are_set:
            return ()
        line = " ".join((line, *options))
        variables = self._variables_of_cards()
        if variables:
            line = _with_variables(variables, line, self.launch.machine)
        return self._with_server(line)

    def _options(self) -> list[str]:
        """The options that the user stated by name, then the needed options. "" stands for an
        option that cannot be typed.
        """
        launch = self.launch
        options = []
        for name, value in launch.workload.runtime_options.items():
            named = launch.runtime.named_options.get(name)
            if named is None:
                options.append("")
            elif named.changes in STATED_SIZES:
                # the line itself states the size
                continue
            elif named.changes == "split_mode" and "one_device" in self.needed:
                # the option for one device sets the split mode, too
                continue
            else:
                options.append(fill_partly(named.line, {"value": value}))
        templates = launch.lines.options
        for key in self.needed:
            if key in templates:
                options.append(fill_partly(templates[key], launch.values))
        return options

    @property
    def _all_are_set(self) -> bool:
        """Whether an option, a variable or the usual command sets each needed key."""
        lines = self.launch.lines
        command = self.launch.default_command
        command = command.replace("{total_context_tokens}", "{context_tokens}")
        set_apart = {*lines.options, *lines.variables, *_IF_IT_CAN}
        for key in self.needed:
            if key not in set_apart and f"{{{key}}}" not in command:
                return False
        return True

    def _variables_of_cards(self) -> list[str]:
        """The variable that numbers accelerators as the options do, and the variable that hides
        accelerators, where the program would see more than it computes on.
        """
        launch = self.launch
        variables = []
        if "one_device" in self.needed or "gpu_shares" in launch.stated_settings:
            for maker, variable in launch.runtime.gpus.numbered_by.items():
                # unlike accelerators, which the driver lists in another order
                names = {card.name for card in launch.cards if card.vendor == maker}
                if len(names) > 1:
                    variables.append(variable)
        hiding = variables_hiding_cards(launch.runtime, launch.question, launch.machine)
        variables += [f"{name}={value}" for name, value in hiding.items()]
        return variables

    @property
    def _of_server(self) -> list[str]:
        """The needed keys that only a server can set, which is started first."""
        of_server = self.launch.lines.variables
        return [key for key in self.needed if key in of_server]

    def _with_server(self, line: str) -> Lines:
        """The line; before it the line that starts a server, if a needed key is the server's."""
        of_server = self.launch.lines.variables
        machine = self.launch.machine
        variables = []
        for key in self._of_server:
            variables.append(fill_partly(of_server[key], self.launch.values))
        if not variables:
            return (line,)
        if "address" in of_server:
            address = of_server["address"]
            variables.insert(0, address)
            line = _with_variables([address], line, machine)
        return _with_variables(variables, self.launch.lines.serve, machine), line


# ------------------------------------------------------------------ templates of lines


def _first_filled(launch: Launch) -> str:
    """The first line of the program for such a model that can be filled; "" for none."""
    for template in _templates(launch):
        line = fill_partly(template, launch.values)
        if line:
            return line
    return ""


def _templates(launch: Launch) -> list[str]:
    """The templates of the program for such a model; the first that can be filled is typed. A line
    with a tag comes before the line with the name of the file, and the repository last.
    """
    by_repository = launch.template("repository")
    by_rule = "" if launch.rule is None else launch.rule.command
    if by_rule and not launch.values["quantized"]:
        return [by_rule, by_repository]
    line = _usual_template(launch)
    named = launch.template("named")
    if "{tag}" in line:
        return [line, named, by_repository]
    return [named, line, by_repository]


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
    """The template for the row, the family or the main use; "" where it would load another type."""
    spec = launch.spec
    row = None if spec.architecture is None else spec.architecture.row
    template = launch.runtime.command_of(spec.family, spec.main_use, row)
    if template == launch.lines.default:
        template = launch.default_command
    if not launch.is_cast:
        return template
    return template if "{cast}" in template else ""


# ------------------------------------------------------------------ files on this machine


def _lines_of_named_files(launch: Launch) -> Lines:
    """The lines that run the file or the folder that was named; () where the runtime takes none, or
    where its path cannot be typed.
    """
    path = launch.spec.origin
    ending = path.lower()
    if ending.endswith(".gguf"):
        return _lines_of_gguf(launch, path)
    folder = path
    if ending.endswith((".json", ".safetensors")):
        folder = os.path.dirname(path) or "."
    template = "" if launch.rule is None else launch.rule.command
    if not template:
        template = _usual_template(launch)
    if "{repository}" not in template:
        return ()
    typed = _shell_path(folder, launch.machine)
    is_plain = typed == folder and not folder.startswith("~")
    if "'{repository}'" in template and not is_plain:
        # the template is Python code, in which a quoted path would end the string
        return ()
    return _run_lines(launch, template, {"repository": typed})[:1]


def _lines_of_gguf(launch: Launch, path: str) -> Lines:
    """The lines that run the judged file; () where the runtime takes no GGUF file, or where a name
    in its path was replaced.
    """
    if not path.lower().endswith(".gguf"):
        return ()
    here = launch.question.here
    projector = None
    if here is not None:
        projector = here.projector
        folders = path.replace("\\", "/").split("/")
        if not set(folders).isdisjoint(_REPLACED_NAMES):
            return ()
    if "-of-" in path:
        from ..core.files import first_numbered_file

        # llama.cpp finds the other parts of a split file from the first alone, in its file
        # src/llama-model-loader.cpp
        path = first_numbered_file(path)
    return lines_of_file(launch, path, projector)


def lines_of_file(
    launch: Launch,
    path: str,
    projector: str | None,
) -> Lines:
    """The line that loads one GGUF file; () where the runtime takes no GGUF file."""
    machine = launch.machine
    template = launch.for_all_users("users_file", launch.template("file"))
    paths = {"file": _shell_path(path, machine)}
    if projector is not None and launch.has_projector:
        paths["projector_file"] = _shell_path(projector, machine)
        template = template.replace(" -c ", " --mmproj {projector_file} -c ", 1)
    return _run_lines(launch, template, paths)


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
    set_first = " ".join(variables)
    if machine.system == "windows":
        set_first = re.sub(r"(\S+?)=(\S*)", r"$env:\1='\2';", set_first)
    return f"{set_first} {command}"


# ------------------------------------------------------------------ lines that make a file


class Recipe(Record):
    """How a file is made. `lines` begin with a comment on where the file may be had instead.
    `projector` is the file that lets a model see; None for others.
    """

    lines: Lines
    file: str
    projector: str | None = None


def recipe(launch: Launch) -> Recipe | None:
    """The lines that make the file that was judged.

    None where the runtime has no converter, where the publisher's repository is not known, or where
    the quantization cannot be made so. For a lone config.json the lines take its folder, where the
    weights have to be put.
    """
    spec = launch.spec
    conversion = launch.runtime.conversion
    if conversion is None:
        return None
    if launch.type_row.conversion is None:
        return None
    values = _values_of_recipe(launch, conversion)
    templates = []
    if not spec.lone_config:
        # a lone config.json does not say where the weights are
        templates.append(conversion.download)
    if launch.quantization in conversion.types:
        templates.append(conversion.convert)
    else:
        to_source = fill_partly(conversion.convert, {"file": values["source"]})
        templates += [to_source, conversion.quantize]
    projector = None
    if spec.modality == "vision" and launch.has_projector and conversion.projector:
        templates.append(conversion.projector)
        projector = values["projector"]
    lines = [fill_partly(template, values) for template in templates]
    return Recipe(
        lines=(
            *_where_to_look(launch, conversion.look_first),
            *conversion.tools,
            *filter(None, lines),
        ),
        file=values["file"],
        projector=projector,
    )


def _values_of_recipe(launch: Launch, conversion: Conversion) -> dict[str, str]:
    """The values of the places in a converter's lines."""
    spec = launch.spec
    kind = launch.quantization
    model = spec.id
    if spec.lone_config:
        # the folder of the config, as a shell takes it
        model = shell_word(os.path.dirname(spec.lone_config) or ".")
    remote_code = ""
    if spec.safety.remote_code:
        remote_code = launch.lines.blanks.get("remote_code", "")
    return {
        "repository": spec.repository or "",
        "model": model,
        "file": fill_partly(conversion.file, {"model": spec.id, "quantization": kind}),
        "quantization": kind,
        "type": conversion.types.get(kind) or conversion.types[conversion.through],
        "source": f"{spec.id}-{conversion.through}.gguf",
        "projector": f"mmproj-{spec.id}.gguf",
        "remote_code": remote_code,
    }


def _where_to_look(launch: Launch, page: str) -> list[str]:
    """The comments before a recipe: where the file may be had, or the weights have to be put."""
    spec = launch.spec
    kind = launch.quantization
    if spec.lone_config:
        config = os.path.basename(spec.lone_config)
        return [f"# put the weights beside {config}, then make {kind} files from them"]
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


class TrainingLines(Record):
    """How a model is trained: the lines to type first, and the line that trains; "" where no
    command trains such models.

    `setup` installs the trainer. It also has comments: on what trains such models, where no command
    does, and on weights of which the user has to name another copy.
    """

    setup: Lines = ()
    line: str = ""


def training_lines(launch: Launch) -> TrainingLines:
    """The lines that train the model; none where no command is known for the method, and where the
    publisher's repository is not known.
    """
    workload = launch.workload
    spec = launch.spec
    finetuning = launch.runtime.finetuning
    method = workload.finetune_method or "lora"
    command = finetuning.commands.get(method, "")
    if not command:
        return TrainingLines()
    if spec.repository is None:
        return TrainingLines()
    elsewhere = finetuning.elsewhere.get(spec.modality)
    if elsewhere is not None:
        return TrainingLines(setup=(f"# {elsewhere}",))
    lora_rank = workload.lora_rank or DEFAULT_LORA_RANK
    values = {
        "repository": spec.repository,
        "lora_rank": str(lora_rank),
        "context_tokens": str(workload.context_tokens),
        "parallel": str(workload.parallel),
        "devices": "1",
    }
    templates = [command]
    for key in _training_options(launch):
        templates.append(finetuning.options.get(key, ""))
    line = fill_partly(" ".join(filter(None, templates)), values)
    packages = finetuning.packages
    names = packages.get(workload.optimizer or "") or packages.get(method)
    setup = []
    if names:
        setup.append(f"pip install {names}")
    stored = type_not_quantized_again(spec, method)
    if stored is not None:
        figures = {"repository": spec.repository, "stored": stored}
        setup.append(f"# {fill_partly(finetuning.wide_copy, figures)}")
    return TrainingLines(setup=tuple(setup), line=line)


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
