"""A question becomes a verdict with everything beside it: offers, alternatives, notes, and what to
type, the installation, the login and the commands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property

from .. import needs as need
from ..catalogue.index import Catalogue
from ..catalogue.names import bare_name
from ..catalogue.offers import Offer
from ..catalogue.runtime import LIBRARY_RUNTIME, RuntimeSpec
from ..catalogue.spec import ModelSpec
from ..catalogue.spec_values import GENERATING, ONE_AT_A_TIME
from ..core import units
from ..core.errors import MAX_PROBLEMS, Problem
from ..core.records import Record
from ..core.templates import fill
from ..core.workload import FLAGS, Workload
from ..judge.checks.accelerator import more_for_shared
from ..judge.checks.model import gate_remedy, reads_context
from ..judge.checks.runtime import install_lines, runtime_check
from ..judge.devices import computes_on_shared, index_of, is_built_for, reaches
from ..judge.files import who_else_has_the_files
from ..judge.pace import Speed
from ..judge.pace.rates import shared_gpu_of
from ..judge.record import (
    Alternative,
    Judged,
    Question,
    Room,
    Verdict,
    quality_of_workload,
)
from ..machine.record import Machine
from .alternatives import Search
from .api_route import MonthlyCost, month, offers_for, shutdown_of
from .commands import (
    CONVERTED,
    Launch,
    bytes_worth_bounding,
    commands,
    lines_by_tag,
    lines_of_file,
    recipe,
    server_lines,
    training_lines,
)
from .understood import Understood, judged_for, remarks, understand

# what is asked of weights, and says nothing where there are none
_WEIGHT_OPTIONS = (
    "runtime",
    "quantization",
    "kv_cache_type",
    "draft",
    "runtime_options",
)
# what is asked of tokens that are written one by one
_TOKEN_OPTIONS = ("parallel", "prompt_tokens", "min_tokens_per_second")


def check_with(
    catalogue: Catalogue,
    model: str | os.PathLike[str] | ModelSpec | Understood,
    workload: Workload,
    machine: Machine,
    *,
    today: str | None = None,
    follows_machine: bool = True,
) -> Verdict:
    """`check` with everything given. Without `follows_machine` the defaults are the model's own,
    the same on every machine.
    """
    understood = understand(
        catalogue, model, workload, machine if follows_machine else None
    )
    judged = judged_for(catalogue, understood, machine, follows_machine=follows_machine)
    by_tag_first = understood.files.is_tag and understood.workload.runtime is None
    further = _Further(
        catalogue=catalogue,
        understood=understood,
        judged=judged,
        machine=machine,
        to_type=steps(
            judged, catalogue, machine, tag=understood.tag, by_tag_first=by_tag_first
        ),
        day=today or units.utc_today(),
    )
    return _concluded(further)


def _concluded(further: _Further) -> Verdict:
    """The verdict with all that decides and all that is typed; the rest waits until it is read."""
    judged, understood, to_type = further.judged, further.understood, further.to_type
    question = judged.question
    taken = question.workload
    offers: tuple[Offer, ...] = ()
    if judged.failed:
        offers = further.api_offers()
    bits = need.loaded_bits(question.runtime, question.spec, taken)
    # which type a tag of Ollama's loads, where that does not run and nothing says it yet
    is_pinned = understood.files.is_tag and understood.workload.quantization is None
    is_open = is_pinned and taken.format == "gguf" and not judged.fits
    figures = {"tag": bare_name(understood.asked), "type": taken.quantization}
    tag_note = remarks({"tag": is_open}, **figures)
    return Verdict.conclude(
        further.told,
        further.machine,
        asked=understood.asked,
        offered=bool(offers),
        shutdown=shutdown_of(question.spec, offers, further.catalogue, further.day),
        commands=to_type.commands,
        commands_class=to_type.commands_class,
        setup=to_type.setup,
        understood_as=(*understood.notes, *tag_note),
        fine_print=(
            *_fine_print(understood, judged),
            *_note_on_conversion(question),
            *_server_note(to_type, taken),
        ),
        quality=quality_of_workload(taken, question.spec, is_halved=bits == 16),
        loaded_bits=bits,
        further=further,
    )


class _Further(Record):
    """What was judged, and what its alternatives, its room and its costs are worked out from."""

    catalogue: Catalogue
    understood: Understood
    judged: Judged
    machine: Machine
    to_type: Steps
    day: str

    @property
    def search(self) -> Search:
        return Search(
            judged=self.judged,
            catalogue=self.catalogue,
            machine=self.machine,
            asked=self.understood.asked,
        )

    @cached_property
    def whole(self) -> Judged | None:
        """The smaller type that fits the accelerators whole, where the judged one does in part."""
        return self.search.whole_on_gpus()

    @property
    def told(self) -> Judged:
        """What was judged, with the type that fits whole named where one does."""
        if self.whole is None:
            return self.judged
        return self.search.with_remedy(self.whole)

    @cached_property
    def _offers(self) -> tuple[Offer, ...]:
        return offers_for(self.catalogue, self.judged, self.day)

    def api_offers(self) -> tuple[Offer, ...]:
        return self._offers

    def room(self) -> Room | None:
        return self.search.room()

    def alternatives(self) -> tuple[Alternative, ...]:
        if self.whole is not None:
            return (self.search.as_whole(self.whole),)
        if self.judged.fits:
            return ()
        return self.search.alternatives()

    def monthly_cost(self) -> MonthlyCost | None:
        load = self.judged.question.stated.load
        if load is None:
            return None
        return month(load, self.api_offers(), self.told, self.machine)

    def notes(self) -> tuple[str, ...]:
        judged, machine, search = self.judged, self.machine, self.search
        notes = [
            *_notes(self.catalogue, judged, machine, self.api_offers()),
            *_notes_on_cards(self.understood, judged, machine),
        ]
        recorded_on = machine.read_on
        if recorded_on is not None:
            is_later = recorded_on > self.day
            notes += remarks({"future": is_later}, day=recorded_on, today=self.day)
        notes += _note_on_conversations(judged, self.to_type)
        if machine.accelerators:
            notes += search.note_on_gpu()
            notes += search.note_on_users()
        chosen = judged.question.chosen
        if chosen is not None and judged.workload.task == "finetune":
            # how long the examples are decides what is learned: no fine print
            notes.append(chosen)
        return tuple(notes)


def _notes_on_cards(
    understood: Understood, judged: Judged, machine: Machine
) -> tuple[str, ...]:
    """That GPUs stay idle, and that a tag of Ollama's is one file, which may be why."""
    cards = [card for card in machine.accelerators or () if card.unified is not True]
    terms = judged.needs.terms if judged.needs is not None else ()
    used = {term.where for term in terms if term.where != "host"}
    idle = len(cards) - len(used)
    is_idle = judged.fits and judged.placement == "accelerator" and idle > 0
    holds = {"idle": is_idle, "tag-alone": is_idle and understood.files.is_tag}
    figures: dict[str, object] = {"tag": bare_name(understood.asked)}
    figures |= {
        "model": judged.question.spec.id,
        "several": idle > 1,
        "one": len(used) == 1,
    }
    return remarks(holds, idle=idle, number=len(cards), **figures)


def _note_on_conversion(question: Question) -> tuple[str, ...]:
    """Whose files they are, where not those of the account that publishes the weights."""
    spec, format = question.spec, question.workload.format
    repository = spec.repository_of(format, question.workload.quantization)
    if format not in CONVERTED or repository is None or spec.repository is None:
        return ()
    owner, publisher = (
        name.partition("/")[0] for name in (repository, spec.repository)
    )
    is_other = owner.casefold() != publisher.casefold()
    holds = {"conversion": is_other and not question.local_files}
    return remarks(holds, owner=owner, publisher=publisher, repository=repository)


def _server_note(to_type: Steps, workload: Workload) -> tuple[str, ...]:
    figures = {
        "lines": " and, in another terminal, ".join(
            f"`{each}`" for each in to_type.server
        )
    }
    return remarks(
        {"server": to_type.server}, tokens=workload.context_tokens, **figures
    )


def _notes(
    catalogue: Catalogue, judged: Judged, machine: Machine, offers: tuple[Offer, ...]
) -> Iterator[str]:
    question = judged.question
    spec, workload, stated = question.spec, question.workload, question.stated
    yield from dict.fromkeys(filter(None, (offer.why_instead for offer in offers)))
    # faults of the user's spec files; the first are named, the others are counted
    by_file: dict[str, list[Problem]] = {}
    for problem in catalogue.own_faults:
        by_file.setdefault(problem.file, []).append(problem)
    for file, (first, *others) in [*by_file.items()][:MAX_PROBLEMS]:
        fault = f"{first.key}: {first.message}" if first.key else first.message
        figures: dict[str, object] = {"more": len(others), "several": len(others) > 1}
        yield from remarks({"unread": True}, file=file, fault=fault, **figures)
    served, tokens = spec.availability, workload.context_tokens
    unread = len(by_file) - MAX_PROBLEMS
    words = getattr(served, "fine_tuning", None)
    holds = {
        "unread-more": unread > 0,
        "replaced": spec.overrides,
        "fine-tuning": words and workload.task == "finetune",
        "context": tokens
        and stated.tokens_with_prompt == tokens
        and spec.modality in GENERATING,
        "draft": workload.draft and question.companions is not None,
        "draft-slower": judged.fits and _is_slower_with_draft(judged.speed),
        "address-space": judged.placement in ("accelerator", "split")
        and machine.address_space_bytes is not None,
    }
    figures = {
        "files": unread,
        "spec": spec.origin,
        "shipped": spec.overrides,
        "words": words,
    }
    figures |= {"provider": getattr(served, "provider", None), "tokens": tokens}
    yield from remarks(holds, left=machine.address_space_bytes, **figures)
    if stated != Workload():
        yield from _without_effect(question)


def _is_slower_with_draft(speed: Speed | None) -> bool:
    if (
        speed is None
        or speed.decode is None
        or speed.undrafted_tokens_per_second is None
    ):
        return False
    return bool(speed.decode.likely < speed.undrafted_tokens_per_second)


def _without_effect(question: Question) -> tuple[str, ...]:
    spec, stated, usual = question.spec, question.stated, Workload()
    writes_tokens = (
        spec.closed or stated.task != "generate" or spec.modality in GENERATING
    )
    # what the decoder holds of pictures that are made at once; files of stable-diffusion.cpp are
    # counted for one
    terms = {term.name for term in getattr(question.needs, "terms", ())}
    are_made_at_once = spec.modality == "image" and "activations" in terms
    makes_one = spec.modality in ONE_AT_A_TIME and not are_made_at_once
    options = []
    for key in _WEIGHT_OPTIONS if spec.closed else _TOKEN_OPTIONS:
        if getattr(stated, key) == getattr(usual, key):
            continue
        if key != "parallel":
            options.append(FLAGS[key])
        elif makes_one:
            options.append(f"{FLAGS[key]} (--users)")
    cache_type, runtime = stated.kv_cache_type, question.runtime
    holds = {
        "no-weights": spec.closed and options,
        "no-tokens": options and not writes_tokens,
        "no-context": stated.context_tokens is not None and not reads_context(spec),
        "no-cache": cache_type and runtime and question.workload.kv_cache_type is None,
    }
    figures = {"options": options, "several": len(options) > 1, "model": spec.name}
    figures |= {"type": cache_type, "program": getattr(runtime, "name", None)}
    return remarks(holds, **figures)


def _note_on_conversations(judged: Judged, to_type: Steps) -> tuple[str, ...]:
    # advice is for the program whose lines are printed
    runtime, workload = (
        to_type.runtime or judged.question.runtime,
        judged.question.workload,
    )
    is_bounded = any("--ctx-checkpoints" in line for line in to_type.commands)
    if runtime is None or is_bounded or not judged.fits:
        return ()
    more, kept = (
        bytes_worth_bounding(judged, runtime),
        str(runtime.memory.context_checkpoints),
    )
    option = fill(
        runtime.command_lines.options.get("checkpoints", ""),
        {"context_checkpoints": kept},
        keep_unknown=True,
    )
    program = runtime.service.program if runtime.service is not None else runtime.name
    figures = {
        "more": more,
        "runtime": runtime.name,
        "kept": runtime.memory.kept_checkpoints,
    }
    figures |= {
        "users": workload.parallel if workload.parallel > 1 else None,
        "program": program,
    }
    return remarks({"checkpoints": more}, option=option, **figures)


def _fine_print(understood: Understood, judged: Judged) -> Iterator[str]:
    question = judged.question
    spec, workload, runtime = question.spec, question.workload, question.runtime
    trains, type = workload.task == "finetune", workload.quantization
    yield from remarks({"training": trains and not spec.closed})
    if question.chosen is not None and not trains:
        yield question.chosen
    batch_tokens = judged.needs.batch_tokens if judged.needs is not None else None
    if runtime is not None and batch_tokens is not None:
        figures: dict[str, object] = {"tokens": batch_tokens, "program": runtime.name}
        figures["told"] = bool(runtime.batches.beside_ram)
        yield from remarks({"batches": True}, **figures)
    is_of_files = question.local_files or understood.tag
    if runtime is None or type is None or is_of_files or workload.task != "generate":
        return
    packages = getattr(runtime.rule_of(type), "needs", "")
    holds: dict[str, object] = {
        "text-alone": need.takes_text_alone(spec, runtime),
        "made-while-loading": need.loads_sixteen_bits(
            spec, runtime, workload.format, type
        ),
        "packages": packages,
    }
    bits = 32 if getattr(spec.architecture, "dtype", None) == "float32" else 16
    figures = {
        "runtime": runtime.name,
        "type": type,
        "bits": bits,
        "packages": packages,
    }
    figures["model"] = spec.name
    yield from remarks(holds, **figures)


# the repository and the file come from a sourced listing, or the file is here
_LISTED = "listed"
# nobody has seen the file: its publisher usually has it, or you make it
_UNLISTED = "unlisted"


class Steps(Record):
    """`setup` are lines to type first, () where nothing is missing; `commands` those that download
    and run the model, () where none is known; `commands_class` is "listed" or "unlisted", of the
    first of them, None where there is none. A line that begins with `#` is a comment. `runtime`:
    whose program the commands start, None where that is the judged one. `server` are lines that
    start a server with the judged context, where the commands leave that to the program.
    """

    setup: tuple[str, ...] = ()
    server: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    runtime: RuntimeSpec | None = None
    commands_class: str | None = None


def steps(
    judged: Judged,
    catalogue: Catalogue,
    machine: Machine,
    *,
    tag: str | None = None,
    by_tag_first: bool = False,
) -> Steps:
    """All lines for a model that runs, as the machine's shell takes them, none where it does not or
    no command is known. `tag` is what Ollama calls the model, where that was typed; with
    `by_tag_first` the lines are Ollama's, where its library has what was judged.
    """
    question, runtime = judged.question, judged.question.runtime
    if runtime is None or not judged.fits or judged.has("runtime-other-byte-order"):
        return Steps()
    places = {term.where for term in getattr(judged.needs, "terms", ())}
    used, cards = sorted(map(index_of, places - {"host"})), machine.accelerators or ()
    launch = Launch(
        judged=judged,
        spec=question.spec,
        workload=question.workload,
        catalogue=catalogue,
        machine=machine,
        runtime=runtime,
        tag=tag,
        cards_used=tuple(used),
        leaves_cards=judged.placement == "accelerator" and 0 < len(used) < len(cards),
    )
    is_trained = question.workload.task == "finetune"
    lines = commands(launch)
    first = _install(launch, lines)
    if judged.has("accelerator-partly"):
        first += _shared_memory_lines(launch)
    first += _login_lines(launch)
    if is_trained:
        trainer, line = training_lines(launch)
        answer = Steps(setup=trainer)
        if line:
            answer = Steps(
                setup=(*first, *trainer), commands=(line,), commands_class=_LISTED
            )
    else:
        answer = _steps_by_tag(launch) if by_tag_first or not lines else Steps()
        if not answer.commands:
            answer = (
                _steps_of_published(launch, first, lines)
                if lines
                else _steps_of_files(launch, first)
            )
    if machine.system != "windows":
        return answer
    return answer.replace(
        setup=tuple(map(_powershell_line, answer.setup)),
        commands=tuple(map(_powershell_line, answer.commands)),
    )


def _powershell_line(line: str) -> str:
    """As Windows' own PowerShell 5.1 takes it: without `&&` (about_Pipeline_Chain_Operators), and
    with `curl` for Invoke-WebRequest (about_Aliases).
    """
    if line.startswith("#"):
        return line
    # a comment would take the brackets behind it
    code, mark, comment = line.partition("  # ")
    programs = [
        f"curl.exe {program[5:]}" if program.startswith("curl ") else program
        for program in code.split(" && ")
    ]
    chained = "; if ($?) { ".join(programs) + " }" * (len(programs) - 1)
    return f"{chained}{mark}{comment}"


def _steps_of_published(
    launch: Launch, first: tuple[str, ...], lines: tuple[str, ...]
) -> Steps:
    question, quantization = launch.judged.question, launch.workload.quantization
    here = question.here
    files = launch.spec.files_of(launch.workload.format, quantization)
    is_known = question.local_files or (
        here is not None and (here.by_path or here.repository)
    )
    is_listed = is_known or files is None or files.listed or files.named
    setup = [*first, *_server_address(launch.runtime)]
    if not is_listed:
        setup.append("# not verified: whether the repository holds this file")
    parts = None if question.local_files else launch.runtime.parts.get(launch.spec.id)
    for part in parts.files if parts is not None else ():
        name = fill(part.file, {"quantization": quantization or ""}, keep_unknown=True)
        setup.append(f"hf download {part.repository} {name} --local-dir models")
    kind = _LISTED if is_listed else _UNLISTED
    return Steps(setup=tuple(setup), commands=lines, commands_class=kind)


def _steps_by_tag(launch: Launch) -> Steps:
    runtime = launch.catalogue.runtime(LIBRARY_RUNTIME)
    launch = launch.replace(runtime=runtime)
    lines = lines_by_tag(launch)
    if not lines:
        return Steps()
    question = Question(spec=launch.spec, workload=launch.workload, runtime=runtime)
    code = runtime_check(question, launch.machine).code
    server = (
        "# the service keeps its own settings, so start a second server with those judged here",
    )
    return Steps(
        setup=(
            f"# {runtime.name} has this model in {launch.workload.quantization}",
            *_runtime_lines(
                runtime, code, launch.machine, [launch.machine.system or "linux"]
            ),
            *(
                _shared_memory_lines(launch)
                if launch.judged.has("accelerator-partly")
                else ()
            ),
            *(server if len(lines) > 1 else ()),
        ),
        commands=lines,
        server=server_lines(launch),
        runtime=runtime,
        commands_class=_LISTED if "aliases" in launch.spec.sources else _UNLISTED,
    )


def _steps_of_files(launch: Launch, first: tuple[str, ...]) -> Steps:
    """Of the published file whose name was typed, else of one made of the published weights."""
    spec, quantization = launch.spec, launch.workload.quantization or ""
    named = spec.files_of(launch.workload.format, quantization)
    is_named = named is not None and named.named
    file = named.names.get(quantization) if named is not None and is_named else None
    file_lines = None if is_named else recipe(launch)
    if file is not None:
        page = f"; Hugging Face lists who publishes it: {spec.conversions_page}"
        file_lines = (
            (f"# download {file}{page if spec.conversions_page else ''}",),
            file,
            None,
        )
    if file_lines is None or launch.judged.question.missing_bytes == 0:
        return Steps()
    setup, path, projector = file_lines
    lines = lines_of_file(launch, path, projector)
    setup = (*first, *setup, *_server_address(launch.runtime))
    return (
        Steps(setup=setup, commands=lines, commands_class=_UNLISTED)
        if lines
        else Steps()
    )


def _install(launch: Launch, run_lines: Sequence[str]) -> tuple[str, ...]:
    runtime, machine = launch.runtime, launch.machine
    judged = launch.judged.finding("runtime")
    rule = runtime.rule_of(launch.workload.quantization)
    beside = (f"pip install {rule.needs}",) if rule is not None and rule.needs else ()
    lines = _runtime_lines(
        runtime, judged.code if judged else "", machine, install_keys(launch)
    )
    said, family = "\n".join(run_lines), launch.spec.family
    beyond = [
        names
        for key, names in runtime.installation.packages.items()
        if key == family or key in said
    ]
    packages = " ".join(dict.fromkeys(" ".join(beyond if run_lines else ()).split()))
    if packages and lines and lines[-1].startswith("pip install "):
        # in one line, or pip would first get a torch that a package of the second takes back
        lines = (*lines[:-1], f"{lines[-1]} {packages}")
    elif packages:
        lines = (*lines, f"pip install {packages}")
    first = _first_for_accelerator(launch) if lines and machine.accelerators else ()
    return (*first, *lines, *beside)


def _runtime_lines(
    runtime: RuntimeSpec, code: str, machine: Machine, keys: Sequence[str]
) -> tuple[str, ...]:
    """How to get the runtime, by the finding's `code`; on an unknown system as on Linux."""
    if code not in ("runtime-not-installed", "runtime-not-searched"):
        return ()
    if machine.platform in runtime.platforms.from_source:
        return (
            f"# build {runtime.name} from source: {runtime.platforms.source_build}",
        )
    lines = install_lines(runtime, keys)
    if not lines and runtime.installation.releases:
        lines = (f"# download {runtime.name}: {runtime.installation.releases}",)
    if lines and runtime.installation.needs:
        lines = (f"# first: {runtime.installation.needs}", *lines)
    if lines and machine.system is None and "any" not in runtime.installation.lines:
        lines = ("# on Linux", *lines)
    if lines and code == "runtime-not-searched":
        lines = (f"# unless {runtime.name} is installed", *lines)
    return lines


def install_keys(launch: Launch) -> list[str]:
    """Keys of a runtime's `install`, closest first: `linux-nvidia`, `linux-accelerator`, …"""
    machine, system = launch.machine, launch.machine.system or "linux"
    is_in_ram = launch.judged.placement in (None, "host")
    if is_in_ram and shared_gpu_of(machine, launch.runtime, is_used=True) is None:
        return [system]
    cards = machine.accelerators or ()
    vendors = {
        card.vendor for card in [cards[n] for n in launch.cards_used if cards] or cards
    }
    if len(vendors) != 1:
        return [f"{system}-accelerator", system]
    vendor = vendors.pop()
    own = [f"{system}-{machine.architecture}-{vendor}", f"{system}-{vendor}"]
    return [*own, f"{system}-accelerator", system]


def _first_for_accelerator(launch: Launch) -> list[str]:
    runtime, cards, machine = (
        launch.runtime,
        launch.machine.accelerators or (),
        launch.machine,
    )
    used = [cards[index] for index in launch.cards_used if cards] or [
        card
        for card in cards
        if runtime.gpus.required or (card.unified and computes_on_shared(runtime, card))
    ]
    lines, here = list[str](), f"{machine.platform}-"
    for key, line in runtime.installation.first.items():
        # a vendor, or `below-7.5` with or without the system before it
        place, _, least = key.partition("below-")
        is_old = place in ("", here)
        if any(
            reaches(card, least) is False if is_old else card.vendor == key
            for card in used
        ):
            lines.append(line)
    lines = lines[:1]
    for version, patterns in runtime.gpus.amd_as.items():
        if machine.system == "linux" and any(
            is_built_for(card, patterns) for card in used
        ):
            lines.append(f"export HSA_OVERRIDE_GFX_VERSION={version}")
    return lines


def _server_address(runtime: RuntimeSpec) -> tuple[str, ...]:
    if runtime.service is None or not runtime.command_lines.serves_api:
        return ()
    address = f"http://127.0.0.1:{runtime.service.port}"
    return (
        f"# answers at {address}, the OpenAI API under {runtime.command_lines.serves_api}",
    )


def _shared_memory_lines(launch: Launch) -> tuple[str, ...]:
    """Of a GPU that may use no more than a part of what it shares."""
    needs, machine = launch.judged.needs, launch.machine
    line = more_for_shared(needs, machine) if needs is not None else None
    if line is None:
        return ()
    why = "once, and restart: by default the GPU may use only half of the RAM, and"
    if machine.system != "linux":
        why = "until the Mac restarts: without it the model may fail to load, or"
    return f"# {why} the pace is at the slow end of its range", line


def _has_gate(question: Question) -> bool:
    """Whether a download from the publisher, who has a gate, is still to come."""
    if not question.spec.gated or question.missing_bytes == 0:
        return False
    return (
        who_else_has_the_files(question.spec, question.runtime, question.workload)
        is None
    )


def _login_lines(launch: Launch) -> tuple[str, ...]:
    # a warning of what loading them may run stands before the one of the gate
    is_hidden = launch.judged.has("weights-unsafe") and _has_gate(
        launch.judged.question
    )
    if not launch.judged.has("weights-gated") and not is_hidden:
        return ()
    lines = [f"# {gate_remedy(launch.spec).partition(', then')[0]}", "hf auth login"]
    variable = launch.runtime.installation.token_variable
    if variable and launch.machine.system == "windows":
        lines.append(f"$env:{variable} = Get-Content $HOME/.cache/huggingface/token")
    elif variable:
        lines.append(f'export {variable}="$(cat ~/.cache/huggingface/token)"')
    return tuple(lines)
