"""The screen of `list`: the number of models that run on the machine, and the best of them.

A `Ranking` goes in, blocks come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

from ..advice.listing import Counts, Ranking
from ..catalogue.uses import uses_table
from ..core import units
from ..core.purposes import purposes_table
from ..core.workload import Workload
from ..judge.checks.space import available_ram
from ..judge.checks.speed import is_slow
from ..judge.devices import usable_bytes_of
from ..judge.record import PACE_CHECKS, Outcome, Verdict
from ..machine.record import Machine
from .answer_words import ATTENTION, how_they_run, reservation_of
from .api_words import offer_words
from .labels import LABELS
from .layout import Blocks, Cells, Hint, Paragraph, Span, Table, line, strong, texts
from .model_figures import (
    ModelFigures,
    figures_of,
    have_paces,
    programs_of,
    table_of_paces,
)
from .words import (
    catalogue_words,
    pace_title,
    place_words,
    planned_words,
    range_hint,
)

# rows of the first screen
TOP = 20
# the columns that the table `listed` has of those of `listed wide`
_NARROW_COLUMNS = 11
# the place of the column of names, and the longest name in a column that does not wrap: 19 of 20
# models of the catalogue have a shorter name
_NAMES = 1
_LONG_NAME = 32
# the models on the disk that are named
_STORED = 4
_ATTENTION = Span(ATTENTION, Outcome.WARN)
# behind a download of which the user makes the file
_TO_CONVERT = "*"
# free memory is shown if it is less than this share of the memory that models may take (assumed)
_NEARLY_ALL = 0.95


def list_document(
    listing: Ranking,
    workload: Workload | None = None,
    *,
    top: int | None = TOP,
    first_row: int | None = None,
    offered: Verdict | None = None,
    wide: bool = False,
    only_running: bool = True,
    sort: str = "best",
    near: Sequence[str] = (),
    today: str | None = None,
    notes: Sequence[str] = (),
    options: str = "",
) -> Blocks:
    """Yield how many models run, then a table of `top` models in the order given, None for all.

    `workload` is the question; None for the default. A command has pages, and names its
    `first_row`, counted from 1. `offered` is the best model that an API offers, where none runs.
    `only_running` leaves out models that do not run here, `wide` adds columns. `sort` is the order
    of the rows. `near` are commands that list models which the user may have meant, where no model
    matches. `notes` are about the machine's name. `options` repeat the machine and the needs in a
    command about one model, a space before each. With `today` the screen tells that the catalogue,
    or the data in it, are old.
    """
    workload = workload or Workload()
    shown = [row for row in listing.models if row.can_run or not only_running]
    rows = shown[(first_row or 1) - 1 :][:top]
    if listing.counts.models:
        yield summary_line(listing, workload)
        yield from texts([planned_words(listing.machine)], indent=0)
    else:
        yield line(_nothing_matches(listing, near, notes))
    days = {"prices": listing.prices_as_of, "boards": listing.boards_as_of}
    yield from texts([catalogue_words(listing.catalogue_as_of, today, days)], indent=0)
    yield from texts(notes, indent=0)
    if rows:
        yield line()
        yield _table(rows, wide=wide, use=listing.use)
        yield line()
        yield _footer(
            listing,
            rows,
            first_row=first_row or 1,
            may_go_on=first_row is not None and len(rows) == top,
            wide=wide,
            only_running=only_running,
        )
        yield from texts([_stored_words(listing.machine)], indent=0)
        if sort in LABELS.orders:
            yield line(LABELS.orders[sort])
        if have_paces(rows):
            yield line(range_hint(options))
    elif shown:
        yield line(f"no model has row {first_row:,}: the last is row {len(shown):,}")
    elif listing.counts.models:
        yield line()
        same = "the same with --all"
        yield line(Hint("why not, model by model: ", same, shows="reasons"))
    if listing.counts.running == 0 and listing.counts.models:
        yield from _instead_blocks(listing, offered, workload)


def _instead_blocks(
    listing: Ranking,
    offered: Verdict | None,
    workload: Workload,
) -> Blocks:
    """Yield what to do where no model runs: the wish to drop so that one does, the first offer of
    an API, and how to find a machine that runs the first model with published weights.
    """
    nearest = [row for row in listing.models if not row.model.closed][:1]
    too_slow = [row for row in listing.models if _wish_to_drop(row)]
    if too_slow:
        # of models that are alike in this, `min` takes the first
        nearest = [min(too_slow, key=is_slow)]
        yield line(f"{nearest[0].model.id} runs with {_wish_to_drop(nearest[0])}")
    if offered is not None and offered.api_offers:
        # another model may be offered in place of the best
        offer = offered.api_offers[0].replace(stands_in=True, why_instead=None)
        whose, prices = offer_words(offer, None)
        yield line("by API: ", strong(whose), f", {prices}")
    for row in nearest:
        to_plan = f"selfhost plan {row.model.id}{workload.options()}"
        yield line(Hint("a machine that runs one: ", to_plan, shows="plan"))


def _wish_to_drop(row: Verdict) -> str:
    """`--max-wait 40m (~9.5 tokens/s, the first word after ~38 minutes)`: the options under which a
    model runs that is only too slow; empty for a model that lacks something else.
    """
    if not row.failed or not set(row.failed) <= set(PACE_CHECKS):
        return ""
    options = []
    figures = []
    pace = row.users_pace
    if "speed" in row.failed:
        if pace is None:
            return ""
        options.append(f"--min-speed {floor(pace.likely * 10) / 10:g}")
    if pace is not None:
        figures.append(f"~{units.speed(pace.likely)}")
    wait = row.first_word_seconds
    if "wait" in row.failed:
        if wait is None:
            return ""
        options.append(f"--max-wait {ceil(wait.likely / 60)}m")
        figures.append(f"the first word after ~{units.duration(wait.likely)}")
    return f"{' '.join(options)} ({', '.join(figures)})"


def _stored_words(machine: Machine) -> str:
    """The models on the disks of the machine; empty where none was found."""
    names = []
    for model in machine.models_present or ():
        names.append(model.tag or model.file or model.repository or model.path)
    if not names:
        return ""
    stored = units.listed(dict.fromkeys(names), _STORED)
    words = f"on the disk already: {stored} ("
    return Hint(words, "selfhost machine -v", ")", shows="machine")


def _nothing_matches(
    listing: Ranking,
    near: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The sentence that the list is empty, with a remedy unless the notes have told the reason
    already.
    """
    hint = ""
    if listing.ruled_out:
        hint = f" {listing.ruled_out:,} are ruled out by your conditions."
    elif near:
        hint = f" Did you mean {' or '.join(near)}?"
    elif not notes:
        hint = (
            " Words of names and uses count: qwen, code. `selfhost list --all` has all."
        )
    return f"No model matches.{hint}"


def summary_line(listing: Ranking, workload: Workload) -> Paragraph:
    """The line with the numbers of models that run, are slow, are unknown or are ruled out, and the
    memory on which these numbers rest.
    """
    counts = listing.counts
    runs = f"{_count_words(counts)} {place_words(listing.machine)}"
    memory = ", ".join(_memory_parts(listing.machine, workload))
    if memory:
        runs += f" ({memory})"
    if counts.slow:
        runs += f", {counts.slow:,} of them likely slow"
    parts = [runs]
    if counts.unknown:
        parts.append(f"; {counts.unknown:,} unknown")
    if listing.ruled_out:
        parts.append(f"; {listing.ruled_out:,} ruled out by your conditions")
    if workload.purpose is not None:
        parts.append(f"; for {workload.purpose}: {_models_for(workload.purpose)}")
    return line(*parts, ".")


def _models_for(purpose: str) -> str:
    """The models that a purpose leaves in a list: `models with function calling`."""
    use = purposes_table().purpose[purpose].use
    if use is None:
        return "models that write text"
    return f"models with {uses_table().use[use].label}"


def _count_words(counts: Counts) -> str:
    """`7 of 8 models run`; for an estimate `About 900 of 1,351 models fit in memory`."""
    models = units.plural(counts.models, "model")
    if counts.running is None:
        return f"{models}, best first,"
    is_one = counts.running == 1 or counts.models == 1
    if counts.is_estimate:
        verb = "fits" if is_one else "fit"
        return f"About {counts.running:,} of {models} {verb} in memory"
    verb = "runs" if is_one else "run"
    return f"{counts.running:,} of {models} {verb}"


def _memory_parts(machine: Machine, workload: Workload) -> list[str]:
    """The memory on which the count rests: GPU memory and RAM for models, free RAM, and the
    GPUs.
    """
    parts = []
    gpu_bytes = sum(usable_bytes_of(card) or 0 for card in machine.own_memory_cards)
    if gpu_bytes:
        parts.append(f"{units.binary(gpu_bytes)} of GPU memory")
    ram_bytes = available_ram(machine, workload).ceiling_bytes
    if ram_bytes is not None:
        ram = units.binary(ram_bytes)
        if gpu_bytes:
            ram += " of RAM"
        parts.append(f"{ram} for models")
    if machine.planning:
        # all memory of a simulated machine is free, and its name says which GPUs it has
        return parts
    free_bytes = machine.memory_available_bytes
    most_bytes = 0.0
    if ram_bytes is not None:
        most_bytes = _NEARLY_ALL * ram_bytes
    if free_bytes is not None and free_bytes < most_bytes:
        parts.append(f"{units.binary(free_bytes)} free now")
    return parts + units.counted([card.name for card in machine.cards])


def _table(
    rows: Sequence[Verdict],
    *,
    wide: bool,
    use: str | None,
) -> Table:
    """The table with a row for each model; the column of places is left out where all models lie in
    one place, and that of programs where all are judged in one program.
    """
    title = pace_title(rows)
    figures = [figures_of(row, title, use) for row in rows]
    is_one_place = len({of_model.place for of_model in figures}) == 1
    are_programs_told = len(programs_of(rows)) > 1
    table_rows = []
    for row, of_model in zip(rows, figures, strict=True):
        place = "" if is_one_place else of_model.place
        program = of_model.program if are_programs_told else ""
        cells = row_cells(row, of_model.replace(place=place, program=program))
        table_rows.append(cells if wide else cells[:_NARROW_COLUMNS])
    name = "listed wide" if wide else "listed"
    table = table_of_paces(name, table_rows, title)
    if are_programs_told or _has_long_name(table_rows):
        table = _with_names_wrapped(table)
    # a user who asks for all columns is told which of them have no room
    return table.replace(tells_left_out=wide)


def _has_long_name(rows: Sequence[Cells]) -> bool:
    """Whether the longest name is longer than most: unwrapped, one long name would take the room of
    the memory and the pace of all models.
    """
    return max(len(row[_NAMES].strip()) for row in rows) > _LONG_NAME


def _with_names_wrapped(table: Table) -> Table:
    """The table, in which names may wrap, so that other columns have room."""
    columns = list(table.columns)
    columns[_NAMES] = columns[_NAMES].replace(wrap=True)
    return table.replace(columns=tuple(columns))


def row_cells(row: Verdict, figures: ModelFigures) -> Cells:
    """The cells of a model, for the columns of the table `listed wide`."""
    return (
        sign_of(row),
        strong(row.model.id),
        figures.memory,
        figures.place,
        figures.quantization,
        figures.program,
        figures.pace,
        figures.wait,
        _marked_download(row, figures),
        figures.license,
        figures.remark,
        figures.parameters,
        figures.released,
        figures.measured,
        figures.why,
    )


def _marked_download(row: Verdict, figures: ModelFigures) -> str:
    """The download, marked where the user makes the file of it, which is smaller."""
    if row.question.made_of_bytes:
        return f"{figures.download}{_TO_CONVERT}"
    return figures.download


def sign_of(row: Verdict) -> Span:
    """The sign of the answer; `!` for a model that runs with a reservation, which the footer
    tells.
    """
    if row.can_run and reservation_of(row):
        return _ATTENTION
    return Span(LABELS.routes[row.route].sign, row.route)


def _footer(
    listing: Ranking,
    rows: Sequence[Verdict],
    *,
    first_row: int,
    may_go_on: bool,
    wide: bool,
    only_running: bool,
) -> Paragraph:
    """The line below the table: the rows, the options that show more, and the meaning of `!` and of
    `*`.
    """
    counts = listing.counts
    candidates = counts.models
    about = ""
    if only_running and counts.running:
        candidates = counts.running
        about = "about " if counts.is_estimate else ""
    place = f"{len(rows)}"
    last_row = first_row - 1 + len(rows)
    if first_row > 1:
        place = f"{first_row}-{last_row}"
    parts = [f"{place} of {about}{candidates:,}"]
    programs = programs_of(rows)
    if programs:
        # the memory of a model depends on the program
        parts.append(f", judged in {units.listed(programs)}")
    if may_go_on and last_row < candidates:
        parts.append(Hint(" · next: ", f"--from {last_row + 1}", shows="rows"))
    if len(rows) < counts.models:
        parts.append(Hint(" · all: ", "--all", shows="models"))
    if not wide:
        parts.append(Hint(" · columns: ", "--wide", shows="columns"))
    signs = [f" · {sign}" for sign in legend(rows)]
    if any(row.question.made_of_bytes for row in rows):
        signs.append(f" · {_TO_CONVERT}: the published weights, which you convert")
    return line(*parts, *signs)


def legend(rows: Sequence[Verdict]) -> list[str]:
    """The meaning of `!` in this list, in as few words as its rows need; empty where no row has the
    sign.
    """
    manners = how_they_run(rows)
    return [f"{_ATTENTION}: runs {', or '.join(manners)}"] if manners else []
