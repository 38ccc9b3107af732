"""What to type, in order: the lines that come first, then those that run the model as judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.published import PublishedFiles
from ..catalogue.spec import RuntimeSpec
from ..core import units
from ..core.records import Record
from ..core.units import counted
from ..machine.record import Accelerator, Machine
from ..verdict.devices import computes_on_shared, is_built_for, reaches
from ..verdict.findings.runtime import install_line, is_built_from_source, runtime_check
from ..verdict.findings.weights import to_pass_gate
from ..verdict.judging import judge
from ..verdict.making import typed_file
from ..verdict.question import ask, is_behind_gate
from ..verdict.record import Judged, Question
from ..verdict.speed import uses_shared_gpu
from .circumstances import longer_context
from .commands import (
    ByTag,
    by_tag,
    commands,
    downloads,
    has_other_byte_order,
    lines_of_made_file,
    to_see,
)

# the repository and the file come from a sourced listing, or the file is here
LISTED = "listed"
# nobody has seen the file: its publisher usually has it, or you make it
UNLISTED = "unlisted"
_UNVERIFIED = "# not verified: that the repository holds this file"


class Steps(Record):
    """`setup` are lines to type first, () where nothing is missing; `commands` those that download
    and run the model, () where none is known; `commands_class` is LISTED or UNLISTED, of the first
    of them, None where there is none. A line that begins with `#` is a comment. `runtime`: whose
    program the commands start, None where that is the judged one.
    """

    setup: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    runtime: RuntimeSpec | None = None
    commands_class: str | None = None


def steps(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
    by_tag_first: bool = False,
) -> Steps:
    """All lines for a model that runs, as the machine's shell takes them; no line at all where it
    would not run here, or where no command is known. `tag` is what Ollama calls the model in the
    judged quantization, where that was typed; with `by_tag_first` the lines are Ollama's, where its
    library has what was judged.
    """
    lines = _steps(question, judged, catalogue, machine, tag=tag, by_tag_first=by_tag_first)
    if question.runtime is not None and question.runtime.launched:
        started = _as_launched(lines.commands, question.runtime, machine)
        lines = lines.replace(commands=started)
    if machine.system != "windows":
        return lines
    setup, commands = _in_powershell(lines.setup), _in_powershell(lines.commands)
    return lines.replace(setup=setup, commands=commands)


def _as_launched(lines: tuple[str, ...], runtime: RuntimeSpec, machine: Machine) -> tuple[str, ...]:
    """The lines with the launcher that is here where the program itself is not: llama.cpp's
    installer puts `llama` alone into place, and in a home folder it may lie beside PATH.
    """
    present = next((each for each in machine.runtimes or () if each.id == runtime.id), None)
    path = (present.path or "").replace("\\", "/") if present is not None else ""
    launcher = runtime.launched.get(path.rpartition("/")[2].removesuffix(".exe"))
    if launcher is None:
        return lines
    if path.startswith("~/") and machine.system != "windows":
        launcher = f"{path} {launcher.partition(' ')[2]}"
    program = runtime.present[0]
    return tuple(
        " ".join(launcher if word == program else word for word in line.split(" "))
        for line in lines
    )


def _in_powershell(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines as the PowerShell that Windows comes with takes them, 5.1: `&&` is of 7 and newer
    (about_Pipeline_Chain_Operators), and `curl` stands for Invoke-WebRequest (about_Aliases). `$?`
    tells in both whether the program before it ended well (about_Automatic_Variables).
    """
    typed = []
    for line in lines:
        # a comment would take the brackets behind it
        code, mark, comment = line.partition("  # ")
        programs = [*map(_with_curl, code.split(" && "))]
        typed.append(line if line[0] == "#" else f"{_if_each_ends_well(programs)}{mark}{comment}")
    return tuple(typed)


def _if_each_ends_well(programs: Sequence[str]) -> str:
    """The programs one after the other, each only where the one before it ended well."""
    first, *others = programs
    return f"{first}; if ($?) {{ {_if_each_ends_well(others)} }}" if others else first


def _with_curl(line: str) -> str:
    """The program of that name, which Windows has since version 1803."""
    return f"curl.exe {line.removeprefix('curl ')}" if line.startswith("curl ") else line


def _steps(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None,
    by_tag_first: bool,
) -> Steps:
    """As `steps`, in the words of other shells."""
    runtime = question.runtime
    if runtime is None:
        return Steps()
    has_other_order = has_other_byte_order(judged)
    lines = commands(question, judged, catalogue, machine, tag=tag)
    first = (
        *_install(question, runtime, judged, machine, lines),
        *_instead(question, runtime),
        *_split(question, runtime, judged),
        *_for_shared(judged, machine),
        *_numbered(runtime, judged, machine),
        *_login(question, runtime, judged, machine),
    )
    if question.workload.task == "finetune":
        return _steps_of_training(question, judged, machine, first)
    if by_tag_first and not has_other_order:
        tagged = by_tag(question, judged, catalogue, machine, typed=tag)
        if tagged is not None and tagged.lines:
            return _steps_by_tag(question, judged, tagged, catalogue, machine)
    if lines:
        is_listed = _is_listed(question)
        note = () if is_listed else (_UNVERIFIED,)
        return Steps(
            setup=(
                *first,
                *to_see(question),
                *_answers_at(runtime),
                *_on_its_context(question, judged, catalogue, machine, runtime, lines),
                *note,
                *downloads(question),
            ),
            commands=lines,
            commands_class=LISTED if is_listed else UNLISTED,
        )
    if has_other_order:
        return Steps()
    tagged = by_tag(question, judged, catalogue, machine, typed=tag)
    if tagged is not None and tagged.lines:
        return _steps_by_tag(question, judged, tagged, catalogue, machine)
    return _steps_of_files(question, runtime, judged, catalogue, machine, first, tagged)


def _steps_of_files(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    first: tuple[str, ...],
    tagged: ByTag | None,
) -> Steps:
    """Of a model without a command of its own: the file that was named, else by converting."""
    workload = question.workload
    named = typed_file(question.spec, workload.format or "", workload.quantization or "")
    if named is not None:
        return _steps_of_typed_file(question, judged, catalogue, machine, named, first)
    return _steps_of_conversion(question, runtime, judged, catalogue, machine, first, tagged)


def _steps_of_training(
    question: Question, judged: Judged, machine: Machine, first: tuple[str, ...]
) -> Steps:
    """Those of the trainer, after what is to be done `first`."""
    from .training import training_lines

    trainer, lines = training_lines(question, judged, machine)
    if not lines:
        return Steps(setup=trainer)
    return Steps(setup=(*first, *trainer), commands=lines, commands_class=LISTED)


def _steps_of_conversion(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    first: tuple[str, ...],
    tagged: ByTag | None,
) -> Steps:
    """Those that make a file of the published weights and load it; `tagged` is how Ollama has the
    model otherwise.
    """
    from .conversion import recipe

    conversion = recipe(
        question.spec,
        runtime,
        question.workload,
        judged.needs.making if judged.needs is not None else None,
    )
    if conversion is None:
        return _in_published_type(question, catalogue, machine)
    lines = lines_of_made_file(
        question, judged, catalogue, machine, conversion.file, conversion.projector
    )
    if not lines:
        return Steps()
    instead = (_in_another_type(tagged),) if tagged is not None else ()
    return Steps(
        setup=(
            *instead,
            *first,
            *to_see(question),
            *conversion.lines,
            *_answers_at(runtime),
        ),
        commands=lines,
        commands_class=UNLISTED,
    )


def _steps_of_typed_file(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    named: PublishedFiles,
    first: tuple[str, ...],
) -> Steps:
    """The lines that run the published file whose name was typed, wherever it lies; none of a tag,
    which only Ollama downloads, and of a name without the ending of a file.
    """
    spec, file = question.spec, named.names.get(question.workload.quantization or "")
    if file is None or question.runtime is None:
        return Steps()
    page = f"; Hugging Face lists who publishes it: {spec.conversions_page}"
    where = f"# download {file}{page if spec.conversions_page else ''}"
    lines = lines_of_made_file(question, judged, catalogue, machine, file, None)
    if not lines:
        return Steps()
    return Steps(
        setup=(*first, where, *_answers_at(question.runtime)),
        commands=lines,
        commands_class=UNLISTED,
    )


def _steps_by_tag(
    question: Question, judged: Judged, tagged: ByTag, catalogue: Catalogue, machine: Machine
) -> Steps:
    """The lines of Ollama, which has the file that the judged runtime would have to be made."""
    ollama = catalogue.runtime("ollama")
    finding = runtime_check(machine, ollama, loads=None)
    why = f"# {ollama.name} has this model in {tagged.quantization}"
    return Steps(
        setup=(
            why,
            *_runtime_lines(ollama, finding.code, machine),
            *_for_shared(judged, machine),
            *_server_of_its_own(tagged),
            *_on_its_context(question, judged, catalogue, machine, ollama, tagged.lines),
        ),
        commands=tagged.lines,
        runtime=ollama,
        commands_class=LISTED if "aliases" in question.spec.sources else UNLISTED,
    )


def _server_of_its_own(tagged: ByTag) -> tuple[str, ...]:
    """A comment on why a server is started beside the service; () where the lines start none."""
    starts_one = len(tagged.lines) > 1
    return ("# the service has settings of its own; this server has the judged ones",) * starts_one


def _on_its_context(
    question: Question,
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    runtime: RuntimeSpec,
    lines: tuple[str, ...],
) -> tuple[str, ...]:
    """A comment on the memory that the program takes where it is left the context that it takes by
    itself; () where a server of its own has the judged one.
    """
    if len(lines) != 1:
        return ()
    longer = longer_context(runtime, question, judged, catalogue, machine)
    if longer is None:
        return ()
    return (
        f"# {runtime.name} makes room for {units.tokens(longer.tokens)} of context here:"
        f" {units.binary(longer.memory_bytes)} in all",
    )


def _in_published_type(question: Question, catalogue: Catalogue, machine: Machine) -> Steps:
    """Of a model with experts in MXFP4 the lines of its published type, for no other can be made;
    none where that does not run, or is the one that was judged.
    """
    spec, workload, runtime = question.spec, question.workload, question.runtime
    if runtime is None or workload.format != "gguf" or not need.trained_in_mxfp4(spec):
        return Steps()
    published = need.default_format_and_quantization(spec, runtime)[1]
    if published == workload.quantization:
        return Steps()
    other = ask(spec, workload.replace(quantization=published), catalogue, machine)
    lines = steps(other, judge(other, machine), catalogue, machine)
    if not lines.commands:
        return Steps()
    why = (
        f"# no {workload.quantization} file of {spec.name} is known, and llama-quantize makes none"
        f" of experts in MXFP4. Published in {published}:"
    )
    return lines.replace(setup=(why, *lines.setup))


def _in_another_type(tagged: ByTag) -> str:
    """A comment: the tag loads something else than was judged."""
    return f"# without converting, in {tagged.quantization} by Ollama: ollama run {tagged.tag}"


def _is_listed(question: Question) -> bool:
    """Whether a listing shows the files that the first command loads, or they are here."""
    spec, workload, here = question.spec, question.workload, question.here
    if question.local_files or (here is not None and (here.by_path or here.repository)):
        return True
    files = spec.files_of(workload.format or "", workload.quantization or "")
    return files is None or files.listed or files.named


def _install(
    question: Question,
    runtime: RuntimeSpec,
    judged: Judged,
    machine: Machine,
    run_lines: tuple[str, ...],
) -> tuple[str, ...]:
    """How to get the runtime and what `run_lines` want beside it; of the runtime nothing where it
    is installed.
    """
    finding = next((each for each in judged.findings if each.check == "runtime"), None)
    code = finding.code if finding is not None else ""
    rule = runtime.rule_of(question.workload.quantization)
    beside = (f"pip install {rule.needs}",) if rule is not None and rule.needs else ()
    lines = _runtime_lines(runtime, code, machine)
    packages = " ".join(runtime.packages_of(question.spec.family, run_lines))
    if packages and lines and lines[-1].startswith("pip install "):
        # in one line, or pip would first get a torch that a package of the second takes back
        lines = (*lines[:-1], f"{lines[-1]} {packages}")
    elif packages:
        lines = (*lines, f"pip install {packages}")
    if not lines:
        return beside
    places = _places(judged, runtime, machine)
    otherwise = _otherwise(runtime, places, machine)
    wanted = next((runtime.install_with[key] for key in places if key in runtime.install_with), "")
    if otherwise and any(key in runtime.install_not_for for key in places):
        ordered = (*lines[:-1], *otherwise)
    else:
        ordered = _ordered(lines, otherwise, wanted if otherwise else "")
    return (*_before(runtime, judged, machine), *ordered, *beside)


def _ordered(lines: tuple[str, ...], otherwise: tuple[str, ...], wanted: str) -> tuple[str, ...]:
    """The other way comes first where the line wants what not everyone has."""
    if not wanted:
        return (*lines, *otherwise)
    # a comment behind a command is none to every shell, zsh for one
    return (*lines[:-1], *otherwise, f"# or {wanted}:", lines[-1])


def _runtime_lines(runtime: RuntimeSpec, code: str, machine: Machine) -> tuple[str, ...]:
    """How to get the runtime, of which `code` says whether it is installed; () where it is."""
    if code not in ("runtime-not-installed", "runtime-not-searched"):
        return ()
    if is_built_from_source(machine, runtime):
        return (f"# build {runtime.name} from source: {runtime.source_build}",)
    first = (f"# first: {runtime.install_needs}",) if runtime.install_needs else ()
    if code == "runtime-not-searched":
        first = (f"# unless {runtime.name} is installed", *first)
    line = install_line(runtime, machine.system)
    if not line:
        return (*first, f"# download {runtime.name}: {runtime.builds}") if runtime.builds else ()
    if machine.system is None and "any" not in runtime.install:
        by_line: dict[str, list[str]] = {}
        for system, text in runtime.install.items():
            by_line.setdefault(text, []).append(system)
        choices = [
            line
            for text, systems in by_line.items()
            for line in (f"# on {' or '.join(systems)}", text)
        ]
        return (*first, *choices)
    return (*first, line)


def _otherwise(runtime: RuntimeSpec, places: list[str], machine: Machine) -> tuple[str, ...]:
    """Comments on how else the runtime is had; () where nothing is known."""
    if is_built_from_source(machine, runtime):
        return ()
    ways = runtime.install_otherwise
    others = next((ways[key] for key in places if key in ways), ())
    return tuple(f"# {line}" for line in others)


def _places(judged: Judged, runtime: RuntimeSpec, machine: Machine) -> list[str]:
    """What a runtime's ways to be installed are kept by, closest first: `linux-aarch64-nvidia`,
    `linux-nvidia` and `linux-accelerator` where the model is on one or one that shares the RAM
    computes it, `linux`.
    """
    system = machine.system or ""
    if not (_uses_accelerator(judged) or uses_shared_gpu(machine, runtime)):
        return [system]
    by_vulkan = any(
        is_built_for(card, runtime.amd_gpus_by_vulkan) is True
        for card in machine.accelerators or ()
    )
    vendors = [] if by_vulkan else _vendors(machine)
    alone = [
        f"{place}-{vendor}"
        for vendor in vendors[: len(vendors) == 1]
        for place in (f"{system}-{machine.architecture}", system)
    ]
    return [*alone, f"{system}-accelerator", system]


def _instead(question: Question, runtime: RuntimeSpec) -> tuple[str, ...]:
    """A comment on another program that the users of such a model run; () where none is known."""
    architecture = question.spec.architecture
    other = runtime.other_programs.get(architecture.row) if architecture is not None else None
    return (f"# {other}",) if other and question.workload.task == "generate" else ()


def _split(question: Question, runtime: RuntimeSpec, judged: Judged) -> tuple[str, ...]:
    """A comment on who places a mixture that an accelerator does not hold: no option does."""
    architecture = question.spec.architecture
    layers = architecture.feed_forward if architecture is not None else ()
    is_mixture = any(group.experts for group in layers)
    is_split = judged.needs is not None and judged.needs.placement == "split"
    is_told = is_mixture and is_split and question.workload.task == "generate"
    return (f"# {runtime.split_mixture}",) if is_told and runtime.split_mixture else ()


def _for_shared(judged: Judged, machine: Machine) -> tuple[str, ...]:
    """What lets a GPU that shares the RAM hold all of the model; () where it does."""
    is_partly = any(finding.code == "accelerator-partly" for finding in judged.findings)
    needs = judged.needs
    if needs is None or not is_partly:
        return ()
    from ..verdict.findings.accelerator_share import left_by_metal, more_for_shared

    line = more_for_shared(needs, machine)
    if line is None:
        return ()
    if machine.system == "linux":
        return (
            "# once, and restart: by default the GPU may use half of the RAM alone, and the pace is"
            " at its slow end",
            line,
        )
    why = (
        "# until the next start of the Mac; without it a part may run on the CPU, and the pace is"
        " at its slow end"
    )
    return why + left_by_metal(needs, machine), line


def _answers_at(runtime: RuntimeSpec) -> tuple[str, ...]:
    """A comment on where the server that the line starts is found; () where it starts none."""
    if runtime.service is None or not runtime.serves_api:
        return ()
    address = f"http://127.0.0.1:{runtime.service.port}"
    return (f"# answers at {address}, the OpenAI API under {runtime.serves_api}",)


def _numbered(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """A comment on which of unlike accelerators is meant, for programs number them each their own
    way, or on how to name those that suffice; () where the line says it.
    """
    cards, listed = machine.accelerators or (), runtime.devices_listed
    if not listed or len(cards) < 2:
        return ()
    from .device_options import (
        devices_used,
        is_one_of_several,
        is_some_of_several,
        names_of_some,
    )

    used = devices_used(judged)
    is_one, is_some = is_one_of_several(judged, machine), is_some_of_several(judged, machine)
    if not (is_one or is_some):
        return ()
    if is_some and not names_of_some(runtime, judged, machine):
        option = runtime.some_devices_option.replace("{devices}", "NAMES")
        return (f"# {len(used)} GPUs suffice; {option} keeps to those you name, from: {listed}",)
    if len({card.name for card in cards}) == 1:
        return ()
    if is_one:
        return (f"# the number below is that of {cards[used[0]].name} in: {listed}",)
    named = " and ".join(counted([cards[index].name for index in used]))
    return (f"# the devices below are {named} in: {listed}",)


def _before(runtime: RuntimeSpec, judged: Judged, machine: Machine) -> tuple[str, ...]:
    """What the accelerator in use wants installed or set before the program."""
    is_shared = any(
        card.unified and computes_on_shared(runtime, card) for card in machine.accelerators or ()
    )
    if not (_uses_accelerator(judged) or runtime.gpu_only or is_shared):
        return ()
    from .device_options import devices_used

    texts, cards = runtime.install_first, machine.accelerators or ()
    used = dict.fromkeys(cards[index].vendor for index in devices_used(judged) if cards)
    vendors = used or _vendors(machine)
    comments = tuple(f"# {texts[vendor]}" for vendor in vendors if vendor in texts)
    used_cards = [cards[index] for index in devices_used(judged) if cards]
    return (
        *comments,
        *_older_build(runtime, used_cards, machine),
        *_told_to(runtime, used_cards, machine),
    )


def _older_build(
    runtime: RuntimeSpec, cards: Sequence[Accelerator], machine: Machine
) -> Iterator[str]:
    """The line that gets a build with kernels for the oldest of the GPUs; none where any has."""
    here = f"{machine.system}-{machine.architecture}"
    for key, line in runtime.install_below.items():
        system, _, least = key.rpartition("-")
        if system in ("", here) and any(reaches(card, least) is False for card in cards):
            yield line
            return


def _told_to(runtime: RuntimeSpec, cards: Sequence[Accelerator], machine: Machine) -> Iterator[str]:
    """The line by which GPUs of AMD's run the kernels of another."""
    if machine.system != "linux":
        return
    for version, patterns in runtime.amd_gpus_as.items():
        if any(is_built_for(card, patterns) for card in cards):
            yield f"export HSA_OVERRIDE_GFX_VERSION={version}"


def _vendors(machine: Machine) -> list[str]:
    """The makers of its accelerators, each once."""
    return [*dict.fromkeys(card.vendor for card in machine.accelerators or ())]


def _uses_accelerator(judged: Judged) -> bool:
    """Whether a part of the model lies on an accelerator."""
    return judged.needs is not None and judged.needs.placement != "host"


def _login(
    question: Question, runtime: RuntimeSpec, judged: Judged, machine: Machine
) -> tuple[str, ...]:
    """The form and the login before a gated download; () where the files are not gated."""
    codes = {finding.code for finding in judged.findings}
    # a warning of what loading them may run stands before the one of the gate
    is_hidden = "weights-unsafe" in codes and is_behind_gate(question)
    if "weights-gated" not in codes and not is_hidden:
        return ()
    lines = [f"# {to_pass_gate(question.spec).partition(', then')[0]}", "hf auth login"]
    if runtime.token_variable and machine.system == "windows":
        token = "Get-Content $HOME/.cache/huggingface/token"
        lines.append(f"$env:{runtime.token_variable} = {token}")
    elif runtime.token_variable:
        token = '"$(cat ~/.cache/huggingface/token)"'
        lines.append(f"export {runtime.token_variable}={token}")
    return tuple(lines)
