"""How often the order of models agrees with scores that had no part in it.

    python benchmarks/accuracy.py order                    # the tables of docs/accuracy.md
    python benchmarks/order_score.py                       # every test and order (5 minutes)
    python benchmarks/order_score.py --machine NAME        # of one machine
    python benchmarks/order_score.py --pace 10             # of models of so many tokens per second
    python benchmarks/order_score.py --peers               # beside the orders of other programs

Three tests, each for chat and for code, of all measured open models and of those that run on a machine:

- *left out*: one source after another is left out, the abilities are fitted to the others, and the
  order is held against the boards of the source that was left out.
- *half*: the sources are divided in two in every way; one half is fitted, and the order is held
  against the other. Here one model may be better on all boards that two share: at least three of
  two sources.
- *kept*: pairs with a score that is in no fit, because its source names the model in `kept`
  (`boards.toml`), in the order as it ships.

Of each order the share of pairs in the right order, the mean of that share over boards, and the share
of pairs of which one is better on all boards. The orders: `shown`, that of `selfhost list`; `ability`,
with what size and date tell of models that were not measured; `size and date`, that alone; all
parameters; the day of release; and the mean of a model's ranks by these two, which nothing is fitted
to: the bar.

The orders of other programs are in `peers/orders.jsonl`, best first; `peers/order_*` asked for them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers" / "orders.jsonl"
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from boards import fit  # noqa: E402
from boards.abilities import as_shipped  # noqa: E402
from selfhost.advice.filters import ids_passing  # noqa: E402
from selfhost.advice.listing import Answer, Lister  # noqa: E402
from selfhost.advice.ranking import Standings  # noqa: E402
from selfhost.catalogue.abilities import Abilities, years  # noqa: E402
from selfhost.catalogue.index import Catalogue  # noqa: E402
from selfhost.catalogue.scores import (  # noqa: E402
    Score,
    boards,
    measured_ids,
    scores_of,
)
from selfhost.core.workload import Workload  # noqa: E402
from selfhost.machine.named import named  # noqa: E402
from selfhost.needs import trained_tokens  # noqa: E402

MACHINES = (
    "laptop-ddr4-8gb",
    "desktop-rtx3090-24gb",
    "macbook-pro-m3-max-64gb",
    "strix-halo-128gb",
)
# the use that `selfhost list` is asked for, by the use of the boards
LISTED = {"chat": None, "code": "code"}
# a mean of boards takes boards of so many pairs
LEAST_PAIRS = 20
# better on all boards that two models share: so many of so many sources
LEAST_BOARDS = 3
LEAST_SOURCES = 2
# values nearer than this are ties, which no order can get right
TIE = 1e-9

# the place of a model, more is better; None where the order has not the model
Order = Callable[[str], float | None]


class Tally(NamedTuple):
    """Pairs in the right order, and all pairs; a pair with equal places counts half."""

    right: float
    pairs: int

    def plus(self, other: Tally) -> Tally:
        return Tally(self.right + other.right, self.pairs + other.pairs)

    @property
    def percent(self) -> float:
        return 100 * self.right / self.pairs


class Agreement:
    """How often one order agrees: by board, and where one model is better on all boards."""

    def __init__(self) -> None:
        self.by_board: dict[str, Tally] = defaultdict(lambda: Tally(0, 0))
        self.better_on_all = Tally(0, 0)

    @property
    def total(self) -> Tally:
        """The pairs of all boards."""
        total = Tally(0, 0)
        for tally in self.by_board.values():
            total = total.plus(tally)
        return total

    @property
    def mean_percent(self) -> float | None:
        """The mean of the shares of boards with enough pairs; None without one."""
        shares = [
            tally.percent
            for tally in self.by_board.values()
            if tally.pairs >= LEAST_PAIRS
        ]
        return fmean(shares) if shares else None

    def text(self) -> str:
        """The three shares in percent, and the number of pairs of the first and of the third."""
        total = self.total
        shares = f"{shown(total):>6} {shown(self.mean_percent):>6} {shown(self.better_on_all):>6}"
        return f"{shares} {total.pairs:7} {self.better_on_all.pairs:5}"


def shown(share: Tally | float | None) -> str:
    """A share in percent, a dash where there is none."""
    if isinstance(share, Tally):
        share = share.percent if share.pairs else None
    return "–" if share is None else f"{share:.1f}"


# ------------------------------------------------------------------ scores


@cache
def catalogue() -> Catalogue:
    return Catalogue.open()


@cache
def all_scores() -> Mapping[str, Sequence[Score]]:
    return {id: scores_of(id) for id in measured_ids()}


@cache
def points_of(use: str, *, kept: bool = False) -> tuple[fit.Point, ...]:
    """The points of a use: those in the fit, or those that are kept out of it."""
    return tuple(fit.points(use, all_scores(), catalogue().outlines, kept=kept))


def measured_at(use: str) -> set[str]:
    """The ids of all models with a point of that use, kept or not."""
    points = (*points_of(use), *points_of(use, kept=True))
    return {point.model for point in points}


def sources_of(points: Iterable[fit.Point]) -> list[str]:
    """The sources of these points, sorted."""
    return sorted({point.source for point in points})


# ------------------------------------------------------------------ orders


class Models:
    """The open models of text that are in the tables, and their orders on no machine in particular."""

    def __init__(self, ids: Iterable[str]) -> None:
        outlines = catalogue().outlines
        self.ids = []
        for id in ids:
            outline = outlines[id]
            if not outline.closed and outline.parameters_total and outline.released:
                self.ids.append(id)
        sizes = {id: float(outlines[id].parameters_total or 0) for id in self.ids}
        days = {id: years(outlines[id].released or "") for id in self.ids}
        self._plain = {
            BAR: _sum(_ranks(sizes), _ranks(days)),
            "all parameters": sizes,
            "day of release": days,
        }

    def orders(self, fitted: Abilities) -> dict[str, Order]:
        """Every order, with these abilities in place of those that ship."""
        outlines = catalogue().outlines

        def expected(id: str) -> float | None:
            outline = outlines[id]
            likely = fitted.expected(
                outline.parameters_total, outline.parameters_active, outline.released
            )
            return None if likely is None else likely.ability

        def ability(id: str) -> float | None:
            measured = fitted.of(id)
            return expected(id) if measured is None else measured.ability

        orders: dict[str, Order] = {"ability": ability, "size and date": expected}
        for name, values in self._plain.items():
            orders[name] = values.get
        return orders


class Machine(Models):
    """The models that run on a machine, each judged once, and their orders there."""

    def __init__(self, name: str, use: str, least_pace: float) -> None:
        self._machine, _ = named(name)
        self._use = use
        self._listed = LISTED[use]
        self._judged: dict[str, Answer] = {}
        ids = measured_at(use) & set(ids_passing(catalogue(), use=self._listed))
        answers = self._lister(None).all(sorted(ids))
        self._running = {}
        for row in answers.models:
            pace = row.users_pace
            likely = 0.0 if pace is None else pace.likely
            if row.can_run and likely >= least_pace:
                self._running[row.model.id] = row
        super().__init__(self._running)

    def _lister(self, standings: Standings | None) -> Lister:
        return Lister(
            catalogue(),
            Workload(),
            self._machine,
            use=self._listed,
            judged=self._judged,
            standings=standings,
        )

    def orders(self, fitted: Abilities) -> dict[str, Order]:
        """Every order, and first the one that is shown."""

        def abilities_of(use: str) -> Abilities | None:
            return fitted if use == self._use else None

        lister = self._lister(Standings(catalogue(), self._listed, abilities_of))
        places = sorted(self._running, key=lambda id: lister.key(self._running[id]))
        shown = {id: -float(place) for place, id in enumerate(places)}
        return {"shown": shown.get, **super().orders(fitted)}


def _ranks(values: Mapping[str, float]) -> dict[str, float]:
    """The rank of each value, equal ones with the mean of theirs; more is better."""
    places = defaultdict(list)
    for place, value in enumerate(sorted(values.values())):
        places[value].append(place)
    return {id: fmean(places[value]) for id, value in values.items()}


def _sum(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    return {id: rank + second[id] for id, rank in first.items()}


# ------------------------------------------------------------------ agreement


class Pair(NamedTuple):
    """Two points of one board, the better one first."""

    better: fit.Point
    worse: fit.Point


def pairs_of(points: Iterable[fit.Point], models: Iterable[str]) -> Iterator[Pair]:
    """The pairs of points on each board, of these models, without ties."""
    wanted = set(models)
    by_board = defaultdict(list)
    for point in points:
        if point.model in wanted:
            by_board[point.board].append(point)
    for rows in by_board.values():
        for first, second in combinations(rows, 2):
            if abs(first.value - second.value) > TIE:
                ordered = sorted((first, second), key=lambda point: -point.value)
                yield Pair(*ordered)


def count(
    pairs: Sequence[Pair],
    orders: Mapping[str, Order],
    agreements: Mapping[str, Agreement],
) -> None:
    """Add what each order says of these pairs. Only pairs that all orders know count."""
    won: dict[frozenset[str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        models = (pair.better.model, pair.worse.model)
        if any(order(id) is None for order in orders.values() for id in models):
            continue
        won[frozenset(models)].append(pair)
        for name, order in orders.items():
            tally = Tally(_share_right(order, *models), 1)
            by_board = agreements[name].by_board
            by_board[pair.better.board] = by_board[pair.better.board].plus(tally)
    for shared in won.values():
        better = {pair.better.model for pair in shared}
        boards = {pair.better.board for pair in shared}
        sources = {pair.better.source for pair in shared}
        if (
            len(better) > 1
            or len(boards) < LEAST_BOARDS
            or len(sources) < LEAST_SOURCES
        ):
            continue
        pair = shared[0]
        for name, order in orders.items():
            tally = Tally(_share_right(order, pair.better.model, pair.worse.model), 1)
            agreements[name].better_on_all = agreements[name].better_on_all.plus(tally)


def _share_right(order: Order, better: str, worse: str) -> float:
    """1 for the right order, 0 for the wrong one, half for equal places."""
    first = order(better)
    second = order(worse)
    assert first is not None
    assert second is not None
    if first == second:
        return 0.5
    return float(first > second)


# ------------------------------------------------------------------ the tests


Agreements = dict[str, Agreement]


def left_out(models: Models, use: str, peers: Mapping[str, Order]) -> Agreements:
    """Each source is left out once."""
    points = points_of(use)
    agreements: Agreements = defaultdict(Agreement)
    for source in sources_of(points):
        rest = [point for point in points if point.source != source]
        tested = [point for point in points if point.source == source]
        orders = {**models.orders(_refitted(rest)), **peers}
        count(list(pairs_of(tested, models.ids)), orders, agreements)
    return agreements


def halved(models: Models, use: str, peers: Mapping[str, Order]) -> Agreements:
    """Every division of the sources in two halves, each half fitted once."""
    points = points_of(use)
    sources = sources_of(points)
    agreements: Agreements = defaultdict(Agreement)
    sizes = {len(sources) // 2, (len(sources) + 1) // 2}
    for size in sorted(sizes):
        for half in combinations(sources, size):
            rest = [point for point in points if point.source in half]
            tested = [point for point in points if point.source not in half]
            orders = {**models.orders(_refitted(rest)), **peers}
            count(list(pairs_of(tested, models.ids)), orders, agreements)
    return agreements


def kept(models: Models, use: str, peers: Mapping[str, Order]) -> Agreements:
    """Pairs with at least one score that is in no fit."""
    agreements: Agreements = defaultdict(Agreement)
    orders = {**models.orders(_refitted(points_of(use))), **peers}
    out_of_fit = set(points_of(use, kept=True))
    pairs = []
    for pair in pairs_of((*points_of(use), *out_of_fit), models.ids):
        if not out_of_fit.isdisjoint(pair):
            pairs.append(pair)
    count(pairs, orders, agreements)
    return agreements


def _refitted(points: Sequence[fit.Point]) -> Abilities:
    """The abilities by these points, as the program reads them."""
    return as_shipped(fit.fit_points(points, catalogue().outlines))


TESTS = {"left out": left_out, "half": halved, "kept": kept}


# ------------------------------------------------------------------ the tables of the page

# the pace from which on the order on a machine is held against boards, in tokens a second
_PAGE_PACE = 10.0
_PAGE_MACHINES = {
    "desktop-rtx3090-24gb": "RTX 3090 24 GB with 64 GB",
    "macbook-pro-m3-max-64gb": "MacBook Pro M3 Max 64 GB",
    "strix-halo-128gb": "Strix Halo 128 GB",
}
# nothing is fitted to this order
BAR = "mean of ranks by size and date"
_PAGE_ORDERS = {
    "ability": "ability, else size and date",
    "size and date": "size and date, as fitted",
    BAR: BAR,
    "all parameters": "parameters",
    "day of release": "day of release",
}


def table_of_all() -> Iterator[str]:
    """How often each order of all measured open models agrees, for chat and for code."""
    yield (
        "| order of all measured open models | chat: pairs | mean of boards | better on all"
        " | code: pairs | mean of boards | better on all |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    cells: dict[str, list[str]] = {name: [] for name in _PAGE_ORDERS}
    for use in LISTED:
        models = Models(sorted(measured_at(use)))
        one_out = left_out(models, use, {})
        halves = halved(models, use, {})
        for name in _PAGE_ORDERS:
            cells[name] += [
                shown(one_out[name].total),
                shown(one_out[name].mean_percent),
                shown(halves[name].better_on_all),
            ]
    for name, called in _PAGE_ORDERS.items():
        yield f"| {called} | {' | '.join(cells[name])} |"


def table_on_machines() -> Iterator[str]:
    """How often the order that is shown on a machine agrees, beside the bar."""
    yield (
        "| machine | use | models | shown: pairs | mean of boards | bar: pairs | mean of boards"
        " | shown, kept scores | bar, kept scores |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for use in LISTED:
        for name, called in _PAGE_MACHINES.items():
            machine = Machine(name, use, _PAGE_PACE)
            one_out = left_out(machine, use, {})
            out_of_fit = kept(machine, use, {})
            cells = [called, use, f"{len(machine.ids)}"]
            for order in ("shown", BAR):
                cells += [
                    shown(one_out[order].total),
                    shown(one_out[order].mean_percent),
                ]
            cells += [shown(out_of_fit[order].total) for order in ("shown", BAR)]
            yield f"| {' | '.join(cells)} |"


def table_of_sources() -> Iterator[str]:
    """Where the scores are from, as licenses ask for it."""
    yield "| source | repository | as of | license | who measured | in the fit |"
    yield "| --- | --- | --- | --- | --- | --- |"
    fitted = {board.source for board in boards().board.values() if board.fitted}
    for name, source in boards().source.items():
        link = f"[{source.repository}](https://github.com/{source.repository})"
        cells = (
            source.title,
            link,
            source.as_of,
            source.license,
            source.by,
            "yes" if name in fitted else "no",
        )
        yield f"| {' | '.join(cells)} |"


# ------------------------------------------------------------------ the command


def orders_of_peers(machine: str) -> dict[str, Order]:
    """The orders of other programs on a machine."""
    orders: dict[str, Order] = {}
    for line in PEERS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["machine"] != machine:
            continue
        places = {id: -float(place) for place, id in enumerate(row["models"])}
        orders[row["program"]] = places.get
    return orders


def write_facts(path: Path) -> None:
    """Write what another program is told of each open model of text: a JSON line each."""
    lines = []
    for spec in catalogue().specs():
        if (
            spec.closed
            or not spec.writes_text
            or not spec.repository
            or not spec.parameters.total
        ):
            continue
        facts = {
            "id": spec.id,
            "repository": spec.repository,
            # its first tag of Ollama's library
            "library": next(filter(":".__contains__, spec.aliases), None),
            "released": spec.released,
            "parameters": spec.parameters.total,
            "active": spec.parameters.active,
            "context": None
            if spec.architecture is None
            else trained_tokens(spec.architecture),
        }
        lines.append(json.dumps(facts))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def print_confidence(use: str) -> None:
    """Of pairs that differ by so many joint errors, how many came out so on sources left out."""
    points = points_of(use)
    bands: dict[int, Tally] = defaultdict(lambda: Tally(0, 0))
    for source in sources_of(points):
        rest = [point for point in points if point.source != source]
        estimates = fit.fit_points(rest, catalogue().outlines).estimates
        tested = [point for point in points if point.source == source]
        for better, worse in pairs_of(tested, estimates):
            first = estimates[better.model]
            second = estimates[worse.model]
            band = int(2 * fit.joint_errors(first, second))
            right = float(first.ability > second.ability)
            bands[band] = bands[band].plus(Tally(right, 1))
    print(f"\n{use}: pairs right by how many joint errors they differ")
    for band in sorted(bands):
        tally = bands[band]
        print(f"  from {band / 2:4.1f}: {tally.percent:5.1f} % of {tally.pairs}")


def main() -> None:
    """Print the tables that the arguments ask for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", action="append")
    parser.add_argument("--use", choices=tuple(LISTED))
    parser.add_argument("--pace", type=float, default=0.0)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--facts", type=Path)
    stated = parser.parse_args()
    if stated.facts is not None:
        write_facts(stated.facts)
        return
    for use in (stated.use,) if stated.use else tuple(LISTED):
        models = Models(sorted(measured_at(use)))
        print_tables(f"{use}, all", models, use, [{}])
        for name in stated.machine or MACHINES:
            machine = Machine(name, use, stated.pace)
            # each alone: few models are in the order of all
            beside: list[dict[str, Order]] = [{}]
            if stated.peers:
                orders = orders_of_peers(name)
                beside = [{program: order} for program, order in orders.items()]
            print_tables(f"{use}, {name}", machine, use, beside)
        print_confidence(use)


def print_tables(
    title: str,
    models: Models,
    use: str,
    beside: Sequence[Mapping[str, Order]],
) -> None:
    """Print a line for each test and order; `beside` has orders of others for each table."""
    print(f"\n{title}: {len(models.ids)} measured open models")
    print(f"  {'':10} {'order':32}   pair   mean on all   pairs   all", flush=True)
    for peers in beside:
        for test, run in TESTS.items():
            for order, agreement in run(models, use, peers).items():
                print(f"  {test:10} {order:32} {agreement.text()}", flush=True)


if __name__ == "__main__":
    main()
