"""The catalogue as one page of HTML: nothing is loaded from anywhere, and without JavaScript every
row is there.

Layout, style and script are in `catalogue.html`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from .. import __version__
from ..advice.listing import count_rows
from ..catalogue.offers import Offer, provider_name
from ..catalogue.spec import MODALITIES, ModelSpec
from ..core import units
from ..core.workload import INPUT_PER_OUTPUT_TOKEN
from ..machine.record import Machine
from ..verdict.record import Answer, Route
from .list_text import license_words, summary
from .page import fill
from .page import text as _text
from .words import causes, on_machine, pace_cell, planned_words

TYPE_CHECKING = False

if TYPE_CHECKING:
    from ..verdict.speed import PaceRange

ROUTES: Mapping[Route, str] = {
    Route.LOCAL: (
        "It runs on the machine judged: memory, disk, processor and a runtime all suit it."
    ),
    Route.UNKNOWN: (
        "Nothing rules it out, but something that decides is not known, or the memory is too close"
        " to call."
    ),
    Route.API: "It does not run there; an API offers it, or a named stand-in for it.",
    Route.NEITHER: (
        "It does not run there, and no known API offers it, or a stand-in for it, under"
        " your conditions."
    ),
}
_COLUMNS_MEAN = {
    "Memory": "The most it may take: weights, cache and program together.",
    "Tokens/s": "The likely figure of an estimate; hold the pointer on it for its range.",
    "API price": (
        "The cheapest known offer of this very model, in US dollars, with the day on which it was"
        " listed: per million tokens in and out, where a long prompt may cost more, per minute or"
        f" per image. Sorted at {INPUT_PER_OUTPUT_TOKEN} tokens in for 1 out."
    ),
    "Why not": (
        "Why it does not run here, or when a hosted model was retired and its successor;"
        " `selfhost check MODEL` gives the figures and what would fit instead."
    ),
}
_ORDER = (
    "What runs comes first, then what cannot be told, then the rest. Among those that run, the"
    " fast enough come before the slow, general chat models before specialised ones, the larger"
    " before the smaller; size counts for less with age and where nothing shows that a model is"
    " used: `selfhost list --help` states it in full. No benchmark score counts."
)
# the words of `check`, by the route that JSON has
_BADGES: Mapping[Route, str] = {
    Route.LOCAL: "runs",
    Route.UNKNOWN: "cannot tell",
    Route.API: "use an API",
    Route.NEITHER: "no way",
}
_UNITS = (
    "Memory is counted in GiB (1 GiB is 1,073,741,824 bytes), files in GB (1 GB is 1,000,000,000"
    " bytes). After a number of parameters B stands for thousand million, M for million."
)
# a spec may come from anybody: a link leads to a web page or nowhere
_WEB = ("https://", "http://")
_REPOSITORIES = "https://huggingface.co/"


def catalogue_page(
    rows: Sequence[Answer],
    machine: Machine,
    prices: Mapping[str, Offer],
    *,
    asked: str = "",
    ruled_out: int = 0,
    notes: Sequence[str] = (),
) -> str:
    """The whole page, in ASCII for any pipe. `prices`: the cheapest offer by a model's id;
    `asked`: the options beside the defaults; `ruled_out`: how many models they leave out; `notes`:
    how what was typed was taken.
    """
    title = f"Language, speech and image models {on_machine(machine)}"
    dates = _dates(prices)
    blanks = {
        "version": _text(__version__),
        "title": _text(title),
        "summary": _text(_summary(rows, machine, ruled_out)),
        "facts": "\n".join(
            f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
            for name, value in (
                *_facts(machine, asked, dates),
                *(("read as", note) for note in notes),
            )
        ),
        "legend": "\n".join(
            f"<dt>{term}</dt><dd>{_text(words)}</dd>"
            for term, words in (
                *((_badge(route), words) for route, words in ROUTES.items()),
                *((_text(name), words) for name, words in _COLUMNS_MEAN.items()),
            )
        ),
        "order": _text(_ORDER),
        "units": _text(_UNITS),
        "filters": "\n".join(
            _filter(label, key, value, order, rows) for label, key, value, order in _FILTERS
        ),
        "head": "\n".join(_heading(*column) for column in _COLUMNS),
        "rows": "\n".join(_row(answer, prices.get(answer.model.id)) for answer in rows),
        "footer": _text(
            f"Made by selfhost {__version__}; prices {dates}. Speeds and computed sizes are"
            " estimates: check a model by itself."
        ),
    }
    return fill("catalogue.html", blanks)


def _summary(rows: Sequence[Answer], machine: Machine, ruled_out: int) -> str:
    if not rows:
        return "No model matches."
    return summary(count_rows(rows), machine, rows[0].workload, ruled_out=ruled_out)


def _dates(prices: Mapping[str, Offer]) -> str:
    days = sorted({offer.as_of for offer in prices.values()})
    return (
        "none known"
        if not days
        else f"listed {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    )


def _facts(machine: Machine, asked: str, dates: str) -> list[tuple[str, str]]:
    """What was judged, and when; what was not read says so."""
    cores = "" if machine.cpu_cores_usable is None else units.cores(machine.cpu_cores_usable)
    total, free = (
        "not read" if size is None else units.binary(size)
        for size in (machine.memory_limit_bytes, machine.memory_available_bytes)
    )
    devices = machine.accelerators
    cards = [
        device.name
        + (
            ""
            if device.memory_total_bytes is None
            else f", {units.binary(device.memory_total_bytes)}"
        )
        for device in devices or ()
    ]
    planned = planned_words(machine)
    return [
        ("Machine judged", machine.name),
        ("System", " ".join(filter(None, (machine.system, machine.architecture))) or "not read"),
        ("Processor", ", ".join(filter(None, (machine.cpu_model, cores))) or "not read"),
        ("Memory", total if planned else f"{total} in all, {free} available"),
        ("Accelerators", "; ".join(cards) or ("none" if devices is not None else "not read")),
        ("Read at", (machine.read_at or "not said").replace("T", " ")),
        ("Options", asked.strip() or "defaults"),
        ("Prices", dates),
        *([("Planned", planned.removeprefix("Simulated machine: "))] if planned else []),
    ]


def _badge(route: Route) -> str:
    return f'<span class="route {route.value}">{_BADGES[route]}</span>'


# ------------------------------------------------------------------ filters


def _weights(answer: Answer) -> str:
    return answer.model.openness.weights


# label, name, the value of a row, the order of the values or None for that of the alphabet
_FILTERS: tuple[tuple[str, str, Callable[[Answer], str], Sequence[str] | None], ...] = (
    ("Answer", "route", lambda answer: answer.route.value, tuple(route.value for route in ROUTES)),
    ("Kind", "kind", lambda answer: answer.model.modality, MODALITIES),
    ("Weights", "weights", _weights, ("published", "partial", "closed", "unknown")),
    ("License", "license", lambda answer: license_words(answer.model), None),
)


# what stands for a value that is no word
_SHOWN = {"-": "not known", **{route.value: words for route, words in _BADGES.items()}}


def _filter(
    label: str,
    key: str,
    value: Callable[[Answer], str],
    order: Sequence[str] | None,
    rows: Sequence[Answer],
) -> str:
    counts: dict[str, int] = {}
    for answer in rows:
        name = value(answer)
        counts[name] = counts.get(name, 0) + 1
    names = (
        sorted(counts, key=str.lower)
        if order is None
        else [name for name in order if name in counts]
    )
    options = "".join(
        f'<option value="{_text(name)}">{_text(_SHOWN.get(name, name))} ({counts[name]})</option>'
        for name in names
    )
    return (
        f'<label>{_text(label)} <select id="{key}"><option'
        f' value="">all</option>{options}</select></label>'
    )


# ------------------------------------------------------------------ the table

# title, what it sorts by, which way first
_COLUMNS = (
    ("Model", "text", "ascending"),
    ("Answer", "number", "ascending"),
    ("Memory", "number", "ascending"),
    ("Tokens/s", "number", "descending"),
    ("Download", "number", "ascending"),
    ("Parameters", "number", "descending"),
    ("Quantization", "text", "ascending"),
    ("License", "text", "ascending"),
    ("Kind", "text", "ascending"),
    ("Released", "text", "descending"),
    ("API price", "number", "ascending"),
    ("Why not", "text", "ascending"),
)
_RIGHT = ("Parameters", "Memory", "Download", "Tokens/s")


def _heading(title: str, kind: str, first: str) -> str:
    name, side = re.sub(r"\W", "-", title.lower()), ' class="n"' if title in _RIGHT else ""
    return (
        f'<th scope="col" id="by-{name}" data-kind="{kind}" data-first="{first}"{side}>{title}</th>'
    )


def _row(answer: Answer, offer: Offer | None) -> str:
    model = answer.model
    total, pace = model.parameters.total, answer.speed.judged if answer.speed is not None else None
    memory = (
        answer.needs.memory.high_bytes
        if answer.needs is not None and answer.needs.memory is not None
        else None
    )
    download = answer.needs.download_bytes if answer.needs is not None else None
    own, terms = _name(model), _license(model)
    data_attributes = "".join(
        f' data-{key}="{_text(value(answer))}"' for _, key, value, _ in _FILTERS
    )
    words = " ".join(filter(None, (model.family, model.developer, *model.aliases)))
    cells = (
        _cell(_badge(answer.route), tuple(ROUTES).index(answer.route)),
        _cell("" if memory is None else units.binary(memory), memory, "n"),
        _cell(
            "" if pace is None else _pace(pace),
            None if pace is None else round(pace.likely, 2),
            "n",
        ),
        _cell("" if download is None else units.decimal(download), download, "n"),
        _cell("" if total is None else units.count(total), total, "n"),
        _cell(_text(answer.workload.quantization or "")),
        _cell("" if terms == "-" else terms, kind="license"),
        _cell(_text(model.modality)),
        _cell(_text(model.released or ""), kind="d"),
        _cell(*_price(offer), "price"),
        _cell(_text("; ".join(filter(None, (causes(answer), _retired(model))))), kind="why"),
    )
    return (
        f'<tr{data_attributes} data-words="{_text(words)}"><th'
        f' scope="row"><b>{own}</b><small>{_text(model.id)}</small></th>{"".join(cells)}</tr>'
    )


def _pace(pace: PaceRange) -> str:
    """The likely figure, with its range for whoever points at it."""
    whole = _text(f"{units.pace(pace.low, pace.high)} tokens/s")
    return f'<span title="{whole}">{_text(pace_cell(pace))}</span>'


def _name(model: ModelSpec) -> str:
    name = _text(model.name)
    return _link(_REPOSITORIES + model.repository, name) if model.repository else name


def _license(model: ModelSpec) -> str:
    terms = _text(license_words(model))
    address = model.license.url if model.license is not None and model.license.url else ""
    return _link(address, terms) if address.startswith(_WEB) else terms


def _link(address: str, content: str) -> str:
    return f'<a href="{_text(address)}" rel="noreferrer">{content}</a>'


def _cell(content: str, value: float | None = None, kind: str = "") -> str:
    """`value` is what it sorts by. An empty cell is not known, or makes no sense for that kind
    of model.
    """
    side = f' class="{kind}"' if kind else ""
    own = "" if value is None else f' data-v="{value}"'
    return f"<td{side}{own}>{content}</td>"


def _retired(model: ModelSpec) -> str:
    """Since when a hosted model is no longer served, and what follows it; empty for one that is."""
    served = model.availability
    if served is None or served.retired is None:
        return ""
    return f"retired on {served.retired}" + (
        f", {served.successor} follows it" if served.successor else ""
    )


def _price(offer: Offer | None) -> tuple[str, float | None]:
    """The price with its day, and what it sorts by: that of INPUT_PER_OUTPUT_TOKEN tokens in
    for one out, as offers are ordered.
    """
    if offer is None:
        return "", None
    into, out = offer.input_usd_per_million_tokens, offer.output_usd_per_million_tokens
    tokens = " / ".join(units.dollars(price) for price in (into, out) if price is not None)
    for price, unit in (
        (offer.usd_per_audio_minute, "a minute"),
        (offer.usd_per_image, "an image"),
    ):
        if not tokens and price is not None:
            tokens = f"{units.dollars(price)} {unit}"
    value = None if into is None else round(INPUT_PER_OUTPUT_TOKEN * into + (out or 0), 4)
    return (
        f"{_text(tokens)} <small>{_text(provider_name(offer.provider))},"
        f' <span class="d">{_text(offer.as_of)}</span></small>'
        if tokens
        else ""
    ), value
