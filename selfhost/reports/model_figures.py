"""The figures of one model in a table, which `list`, `compare` and `check` of several share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..advice.listing import is_general_beside
from ..catalogue.spec import ModelSpec
from ..core import units
from ..core.records import Record
from ..judge.record import Verdict
from .answer_words import causes
from .layout import Cells, Table, known_figure
from .measured_words import basis_words
from .words import PACES, PLACES, memory_words, pace_of


class ModelFigures(Record):
    """The cells of a table for one model, ready to print.

    A dash stands for a figure that is not known; "" for a figure that does not apply.
    """

    memory: str
    # GPU, RAM or both
    place: str
    pace: str
    # the wait behind the prompt that was stated
    wait: str
    # the size of the download, and its duration where a download speed was stated
    download: str
    # the quantization, and the settings that were taken with it
    quantization: str
    # the id of the runtime for which memory and pace are counted
    program: str
    # the quantization and the context
    judged_as: str
    parameters: str
    released: str
    # the number of boards that measured the model, or how its place is estimated
    measured: str
    license: str
    # what sets the model apart from the others of a list: "general", "replaced"
    remark: str
    # why the model does not run, or the reason for its place in a list
    why: str


def figures_of(
    answer: Verdict,
    pace_title: str,
    use: str | None = None,
) -> ModelFigures:
    """Return the figures of a model; `pace_title` is the title of the column of paces, `use` the
    use that a list is for.
    """
    model = answer.model
    return ModelFigures(
        memory=memory_words(answer.needs) or "-",
        place=_place(answer),
        pace=pace_of(answer.speed, title=pace_title),
        wait=wait_of(answer),
        download=_download(answer),
        quantization=_taken(answer),
        program=answer.runtime or "",
        judged_as=_judged_as(answer),
        parameters=known_figure(model.parameters.total, units.count),
        released=model.released or "-",
        measured=basis_words(model, use),
        license=_license(answer),
        remark=_remark(answer.model, use),
        why=causes(answer) or answer.why or "",
    )


def _place(answer: Verdict) -> str:
    """`GPU`, `RAM` or `GPU+RAM`; empty where no need is known. A GPU that shares the RAM holds the
    model where the model fits into its share, or once a limit of the system is raised.
    """
    if answer.placement == "accelerator" and not answer.placed.is_whole_on_cards:
        return PLACES["split"]
    if answer.is_on_accelerators or answer.waits_for_setting:
        return "GPU"
    return PLACES.get(answer.placement, "")


def wait_of(answer: Verdict) -> str:
    """`~3.5 seconds`; a dash where the wait is not known, empty where no prompt was stated."""
    if answer.workload.prompt_tokens is None or answer.speed is None:
        return ""
    wait = answer.speed.first_token_seconds
    return "-" if wait is None else f"~{units.duration(wait.likely)}"


def _download(answer: Verdict) -> str:
    """`here`, or `4.37 GB, 6 minutes`."""
    if answer.download_bytes == 0:
        return "here"
    size = known_figure(answer.fetched_bytes, units.decimal)
    if answer.download_seconds is None:
        return size
    return f"{size}, {units.duration(answer.download_seconds)}"


def _taken(answer: Verdict) -> str:
    """`Q4_K_M, q8_0 cache`: the quantization, and the settings that nobody stated and that make the
    model run or run faster.
    """
    parts = [answer.workload.quantization or "-"]
    way = answer.question.way
    if way is not None and way.settings:
        if way.kv_cache_type != answer.question.stated.kv_cache_type:
            parts.append(f"{way.kv_cache_type} cache")
        for name, _ in way.runtime_options:
            if name not in answer.question.stated.runtime_options:
                parts.append(name)
    return ", ".join(parts)


def _judged_as(answer: Verdict) -> str:
    """`Q4_K_M, 4,096 tokens`: the judged quantization and context, each where present."""
    parts = []
    if answer.workload.quantization:
        parts.append(answer.workload.quantization)
    if answer.workload.context_tokens:
        parts.append(units.tokens(answer.workload.context_tokens))
    return ", ".join(parts)


def _license(answer: Verdict) -> str:
    """The license as reports show it; `closed` of a model without published weights."""
    model = answer.model
    if model.closed:
        return "closed"
    if model.license is None or not model.license.id:
        return "-"
    return units.short_license(model.license.id)


def _remark(model: ModelSpec, use: str | None) -> str:
    """`general` for a general model in a list of what was made for a use, `replaced` for a model
    that another one supersedes.
    """
    parts = []
    if is_general_beside(model, use):
        parts.append("general")
    if model.upkeep.superseded_by is not None:
        parts.append("replaced")
    return ", ".join(parts)


def table_of_paces(
    name: str,
    rows: Sequence[Cells],
    pace_title: str,
) -> Table:
    """Return the table of that name in `specs/common/labels.toml`, which has a column of paces."""
    # long paces, as `~69 minutes for an hour of audio`, wrap
    wraps = "~" if pace_title == PACES else ""
    return Table.of(name, rows, pace=pace_title, wraps=wraps)


def programs_of(answers: Iterable[Verdict]) -> list[str]:
    """The ids of the runtimes for which these models are judged, each once. Models without
    published weights have none.
    """
    programs: dict[str, None] = {}
    for answer in answers:
        if answer.runtime is not None:
            programs[answer.runtime] = None
    return list(programs)


def have_paces(answers: Iterable[Verdict]) -> bool:
    """Whether a table of these models shows a likely pace."""
    return any(pace_of(answer.speed).startswith("~") for answer in answers)
