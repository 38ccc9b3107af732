"""Words that several screens share: the machine, what was judged on it, the pace, the age of data.

Records of a judgement go in, short texts come out. `answer_words.py` has the words of the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Protocol

from ..core import units
from ..core.answering import way_to_newer_catalogue
from ..core.records import Record
from ..core.workload import Workload
from ..judge.record import Route, Speed, Verdict
from ..machine.record import Disk, Machine
from ..needs.records import Needs
from .labels import LABELS
from .layout import Hint

# the place word for the computer on which the command runs
HERE = "here"
# the short word for each memory that holds a model
PLACES: Mapping[str | None, str] = {
    "host": "RAM",
    "accelerator": "GPU",
    "split": "GPU+RAM",
}
_DISK_FIELDS = frozenset(Disk.__annotations__)
# titles of the column of paces: for text, and for figures with units of their own
TOKENS = "tokens/s"
PACES = "pace"
# models and prices change within weeks; from this age on an update is worth it (assumed)
_OLD_DATA_DAYS = 90


class CommandLine(Record):
    """The command line to which an answer belongs.

    `options` go behind each command that no verdict proposes; they have `--measure` where the
    bandwidth was measured. With `today` prices have an age. For several models, `unjudged` counts
    the names without an answer.
    """

    options: str = ""
    today: str | None = None
    unjudged: int = 0


def range_hint(options: str = "") -> Hint:
    """What stands under a table of paces: how to see the range of a pace. `options` repeat the
    machine and the needs of the table, a space before each.
    """
    to_type = f"its range: selfhost check MODEL{options}"
    return Hint("~ is the likely pace; ", to_type, shows="range")


# ---------------------------------------------------------------- the machine


def place_words(machine: Machine) -> str:
    """HERE for the computer that runs the command, unless simulated, or `on` with the name of the
    machine.
    """
    if machine.is_this_one and not machine.planning:
        return HERE
    return f"on {machine.name}"


def would_run(verdict: Verdict) -> str:
    """`runs here`, before the name of another model; `would run` where it is not known."""
    verb = "runs"
    if verdict.route is Route.UNKNOWN:
        verb = "would run"
    return f"{verb} {others_place(verdict)}"


def others_place(verdict: Verdict) -> str:
    """Where other models are looked for: on the machine; of several on the main one by itself."""
    if verdict.cluster is None or verdict.cluster.takes_one:
        return place_words(verdict.machine)
    return f"on {verdict.cluster.cluster.main.name} alone"


def planned_words(machine: Machine) -> str:
    """The sentence on how a simulated machine was judged; empty for a machine that was read."""
    if not machine.planning:
        return ""
    if machine.is_this_one:
        words = "Judged for your machine with the changes that you stated"
        if "cpu_cores_usable" in machine.assumed:
            words += ", with an assumed processor"
        if "disks" in machine.assumed:
            words += ", and with a disk that is large enough"
        return f"{words}."
    doubt = ""
    if machine.confidence not in (None, "high"):
        doubt = f" (figures of {machine.confidence} confidence)"
    return f"A simulated machine{doubt}. All of its memory counts as free."


def limit_words_of(machine: Machine) -> str:
    """The limit of the memory, with the size of the hardware; empty where nothing limits the
    memory.
    """
    limit_bytes = machine.memory_limit_bytes
    total_bytes = machine.memory_total_bytes or 0
    if limit_bytes is None or limit_bytes >= total_bytes:
        return ""
    by_what = machine.sources.get(
        "memory_limit_bytes", "the record does not say by what"
    )
    if "limited by" not in by_what:
        by_what = f"limited: {by_what}"
    return f"{by_what}; the hardware has {units.binary(total_bytes)}"


def memory_words(needs: Needs | None) -> str:
    """The likely memory that decides: the memory on GPUs if these hold all of the model, else all
    memory.
    """
    if needs is None or needs.memory is None:
        return ""
    memory = needs.memory
    if needs.is_whole_on_cards:
        memory = needs.on_cards
    return units.binary(memory.total_bytes)


def rate_words(bytes_per_second: float) -> str:
    """How fast a memory is read: `360 GB/s`."""
    return f"{units.decimal(bytes_per_second)}/s"


def fact_label(fact: str) -> str:
    """A fact in a reader's words: `disks.ollama.free_bytes` is of the disk of ollama."""
    if fact in LABELS.facts:
        return LABELS.facts[fact]
    kind, _, rest = fact.partition(".")
    if kind == "disks" and rest:
        purpose, _, field = rest.rpartition(".")
        if field in _DISK_FIELDS:
            return f"disk of {purpose}"
        return f"disk of {rest}"
    if kind == "accelerators" and rest:
        name = rest.removesuffix("_bytes").removesuffix("_total").replace("_", " ")
        return f"GPU {name}"
    return fact.replace("_", " ")


# ---------------------------------------------------------------- what was judged


def asked_words(verdict: Verdict) -> str:
    """The settings that were judged, with every default named, and the download."""
    how = run_words(verdict.workload, verdict.question.contexts)
    conditions = _condition_words(verdict.workload)
    if not how and conditions:
        return f"You asked for: {', '.join(conditions)}"
    if verdict.loaded_bits is not None:
        how.insert(1, f"loaded in {verdict.loaded_bits} bits")
    parts = [*how, _where_words(verdict), *conditions, _download_words(verdict)]
    return ", ".join(filter(None, parts))


def _condition_words(workload: Workload) -> list[str]:
    """The conditions that were stated: `judged by total memory`, `private`, `license MIT`."""
    conditions = []
    if workload.memory_basis != "default":
        conditions.append(f"judged by {workload.memory_basis} memory")
    for name in ("private", "commercial", "modify", "auditable"):
        if workload.states(name):
            conditions.append(name)
    if workload.license:
        conditions.append(f"license {workload.license}")
    return conditions


def _where_words(verdict: Verdict) -> str:
    """The place of the model in words, if the model does not lie on the GPU as a whole; empty
    without a GPU, where no need is known, and of a model that lies on several machines.
    """
    if verdict.memory is None:
        return ""
    if verdict.cluster is not None and verdict.cluster.parts:
        # the rows of the machines tell where each part lies
        return ""
    if verdict.placement == "split" and verdict.offload is None:
        return "split over GPU and RAM"
    if verdict.placement == "host" and verdict.machine.own_memory_cards:
        return "in RAM, by the CPU"
    return ""


def format_words(workload: Workload) -> str:
    """`Q4_K_M in llama.cpp`: the quantization and the runtime, each where known."""
    return " in ".join(filter(None, (workload.quantization, workload.runtime)))


def run_words(workload: Workload, contexts: int) -> list[str]:
    """The settings of the run, a part each: `8,192 tokens of context for each of 4 sequences`.

    `contexts` is the number of contexts of that length that the program keeps.
    """
    parts = []
    form = format_words(workload)
    if form:
        parts.append(form)
    if workload.context_tokens is not None:
        context = f"{units.tokens(workload.context_tokens)} of context"
        if workload.parallel > 1:
            of_each = "shared by"
            if contexts == workload.parallel:
                of_each = "for each of"
            context += f" {of_each} {workload.parallel} sequences"
        parts.append(context)
    if workload.kv_cache_type not in (None, "f16"):
        parts.append(f"{workload.kv_cache_type} cache")
    if workload.audio_seconds is not None:
        parts.append(f"{units.duration(workload.audio_seconds)} of audio")
    if workload.draft == "mtp":
        parts.append("drafting by multi-token prediction")
    elif workload.draft is not None:
        parts.append(f"{workload.draft} drafting")
    for name, value in workload.runtime_options.items():
        parts.append(f"{name}={value}")
    if workload.task != "generate":
        task = workload.task
        if workload.finetune_method:
            task += f" by {workload.finetune_method}"
        parts.append(task)
    return parts


def _download_words(verdict: Verdict) -> str:
    """`4.4 GB to download in about 6 minutes, then it runs offline`, or that the files are here;
    empty where the size is not known.
    """
    here = verdict.here
    needs = verdict.needs
    size_bytes = verdict.download_bytes
    if size_bytes == 0 or verdict.has("disk-nothing-missing"):
        where = f": {here.path}" if here is not None and size_bytes == 0 else ""
        # no published file asks a server of its publisher
        offline = ", it runs offline" if verdict.can_run else ""
        return f"the files are here{where}{offline}"
    if size_bytes is None or needs is None:
        return ""
    offline = ", then it runs offline" if verdict.can_run else ""
    amount = units.between(
        units.decimal, *needs.download_range or (size_bytes, size_bytes)
    )
    if verdict.has("weights-yours"):
        return f"{amount} of weights, which you must have{offline}"
    if here is not None and here.size_bytes and here.missing_bytes:
        amount += f" of {units.decimal(here.size_bytes + here.missing_bytes)}"
    made = ""
    if verdict.question.made_of_bytes:
        made = f", to make {amount}"
        amount = "the published weights"
        if verdict.fetched_bytes is not None:
            amount = units.decimal(verdict.fetched_bytes)
    seconds = verdict.download_seconds
    wait = "" if seconds is None else f" in about {units.duration(seconds)}"
    return f"{amount} to download{wait}{made}{offline}"


def shown_setup(verdict: Verdict, *, verbose: bool) -> Sequence[str]:
    """The lines that install the program: with `verbose` all ways, else the first."""
    if verbose:
        return verdict.setup
    return first_way(verdict.setup)


def first_way(setup: Sequence[str]) -> list[str]:
    """The lines without other ways to install the program.

    Another way begins with `# or`. If that line ends in a colon, the next line belongs to that way.
    """
    shown = []
    is_typed_for_another_way = False
    for text in setup:
        is_another_way = text.startswith("# or ")
        if not is_another_way and not is_typed_for_another_way:
            shown.append(text)
        is_typed_for_another_way = is_another_way and text.endswith(":")
    return shown


# ---------------------------------------------------------------- the pace


def below_words(verdict: Verdict) -> str:
    """`below the 5 you need`; where nobody stated a minimum, the default minimum and its option."""
    least = units.stated(verdict.workload.needed_pace)
    if verdict.question.speed_stated:
        return f"below the {least} you need"
    return f"below {least} (--min-speed)"


class Timed(Protocol):
    """An answer with a pace: a verdict, or a known machine of a plan."""

    @property
    def speed(self) -> Speed | None:
        """The pace; None where it is not known."""
        raise NotImplementedError


def pace_title(answers: Iterable[Timed]) -> str:
    """The title of a column of paces: PACES if all known paces are of other work than text, else
    TOKENS.
    """
    title = TOKENS
    for answer in answers:
        if answer.speed is None:
            continue
        if answer.speed.work is None:
            return TOKENS
        title = PACES
    return title


def pace_of(speed: Speed | None, *, title: str = "") -> str:
    """The likely pace in a column with that title; a dash where no pace is known.

    The pace of other work than text has its own unit, which is short under TOKENS: `~69 minutes an
    hour` for an hour of audio.
    """
    if speed is not None and speed.work is not None:
        return _work_cell(speed, title)
    if speed is None or speed.judged is None:
        return "-"
    cell = f"~{units.pace(speed.judged.likely)}"
    if title == PACES:
        cell += f" {TOKENS}"
    if speed.each_of > 1:
        cell += " each"
    return cell


def _work_cell(speed: Speed, title: str) -> str:
    """`~12 minutes for an hour of audio`, `~5 minutes a clip of 81 frames`."""
    likely, _ = speed.work_words()
    likely, _, _ = likely.partition(" in training")
    if title == TOKENS:
        likely = likely.replace(" for an hour of audio", " an hour").replace(
            " for a ", " a "
        )
    elif speed.clip is not None:
        frames = speed.clip[0]
        likely += f" of {frames} frames"
    return f"~{likely}"


# ---------------------------------------------------------------- the age of data


def is_old(day: str | None, today: str | None) -> bool:
    """Whether data of that day are older than 90 days; False where a day is not known."""
    if day is None or today is None:
        return False
    age = date.fromisoformat(today) - date.fromisoformat(day)
    return age > timedelta(days=_OLD_DATA_DAYS)


def catalogue_words(
    as_of: str | None,
    today: str | None,
    parts: Mapping[str, str | None] = {},
) -> str:
    """The sentence with the day of the catalogue, and with the days of the parts of it that are
    old; of an old catalogue with what brings a newer one. "" where the day is not known.
    """
    if as_of is None:
        return ""
    if not is_old(as_of, today):
        words = f"Catalogue of {as_of}"
        for part, day in parts.items():
            if is_old(day, today):
                words += f"; {part} of {day}"
        return f"{words}."
    age = f"The catalogue of {as_of} is older than {_OLD_DATA_DAYS} days"
    return f"{age} and has no newer models: {way_to_newer_catalogue()}."
