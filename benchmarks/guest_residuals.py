"""How far virtual machines of clouds lie from what `specs/common/cpus.toml` says of their class (`guest`).

    python benchmarks/guest_residuals.py          # decode speeds of tests/truth/guests.json and their ranges
    python benchmarks/guest_residuals.py --fit    # the rows of the table, fitted anew, and how many devices
                                                  # lie inside when their own processor is left out

A device is a processor in a cloud. Of each the slowest and the fastest instance type count. `bandwidth`: what
the likely rule needs for the decode speed that was measured.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from math import exp, log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from selfhost import needs as need
from selfhost.catalogue.index import Catalogue
from selfhost.machine import cpus
from selfhost.machine.record import Machine
from selfhost.needs.llamacpp.graphs import operations
from selfhost.needs.tensors import row_of
from selfhost.verdict import memory_bandwidth, pacing
from selfhost.verdict.speed import PaceRange

TRUTH = Path(__file__).parents[1] / "tests" / "truth" / "guests.json"
FACT = "memory_bandwidth_bytes_per_second"
GB = 1e9
COUNTS = (1, 2, 4, 8, 16, 32)
# of devices with so many cores more or less than a column's count, by the power that most follow
_NEAR, _GROWS = 2**0.75, 0.7
# of the low end with half the cores, what is left at least
_NO_LESS = 0.8
# how often more than its neighbours a column counts
_OWN_WEIGHT = 3
# GB/s that one core reads at most, by the reads that it keeps in flight (42 measured, Zen 5)
MOST_OF_CORE = 50.0
# of the types of a column the share below each end
_LOW_SHARE, _HIGH_SHARE = 0.03, 0.97
# a C program with vectors of 512 bits read 31 to 33 GB/s where `--measure` read 27.4 (a guest on
# Emerald Rapids); that lmbench's bw_mem lies as far above it is a guess
_LMBENCH_OVER_OURS = 1.17
# instruction sets that tell each core, as a system shows them
_SETS = {
    "zen5": ("avx2", "avx512f", "avx512_bf16", "avx_vnni"),
    "zen4": ("avx2", "avx512f", "avx512_bf16"),
    "amx": ("avx2", "avx512f", "avx512_bf16", "amx_tile"),
    "avx512": ("avx2", "avx512f"),
    "avx2": ("avx2",),
    "avx": ("avx",),
    "arm": ("asimd", "asimddp"),
    "i8mm": ("asimd", "asimddp", "i8mm"),
}


class Guest(NamedTuple):
    """A row of the truth: `paces` and `reads` are the least, the median and the most."""

    cloud: str
    cpu_model: str
    core: str
    cores: int
    threads: int
    types: int
    model: str
    tokens: int
    paces: tuple[float, float, float]
    reads: tuple[float, float, float]

    @property
    def device(self) -> tuple[str, str]:
        return self.cloud, self.cpu_model

    @property
    def group(self) -> tuple[str, bool]:
        return self.core, "AMD" in self.cpu_model

    def at_median(self) -> Guest:
        """Its usual type alone."""
        pace, read = self.paces[1], self.reads[1]
        return self._replace(paces=(pace, pace, pace), reads=(read, read, read))

    def machine(self) -> Machine:
        is_arm = self.core in ("arm", "i8mm")
        name = self.cpu_model.replace("-", " ") if is_arm else self.cpu_model
        return Machine(
            system="linux",
            architecture="aarch64" if is_arm else "x86_64",
            scope="vm",
            cpu_model=f"Arm {name}" if is_arm else name,
            cpu_cores_physical=self.cores,
            cpu_cores_usable=float(self.threads),
            instruction_sets=_SETS[self.core],
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fit", action="store_true", help="the rows of the table, fitted anew")
    options = parser.parse_args()
    rows = list(of_truth())
    if options.fit:
        print_fit(rows)
        return
    print_table(rows, "by its name", Guest.machine)
    print_table(rows, "by its instruction sets", unnamed)
    # one type of each row, at its median
    print_table(
        [each.at_median() for each in rows if each.reads[1]], "with its bandwidth", measured
    )


def of_truth() -> Iterable[Guest]:
    for row in json.loads(TRUTH.read_text(encoding="utf-8"))["rows"]:
        paces, reads = row[8:11], row[11:14]
        yield Guest._make([*row[:8], tuple(paces), tuple(reads)])


def unnamed(guest: Guest) -> Machine:
    """As many guests show it: a maker without a model number."""
    machine = guest.machine()
    if machine.architecture != "x86_64":
        return machine
    return machine.replace(cpu_model="AMD EPYC" if guest.group[1] else "Intel Xeon Processor")


def measured(guest: Guest) -> Machine:
    """With what lmbench read there, in the measure of `--measure`."""
    read = round(guest.reads[1] * GB / _LMBENCH_OVER_OURS)
    return guest.machine().replace(
        memory_bandwidth_bytes_per_second=read, sources={FACT: "measured: lmbench"}
    )


@cache
def shelf() -> Catalogue:
    return Catalogue.open()


@cache
def model(spec_id: str) -> tuple[Any, Mapping[str, int], int | None]:
    """Architecture, bytes read for a token by type, operations of its graph."""
    spec, architectures = shelf().spec(spec_id), shelf().common("architectures")
    read_bytes = need.decode_bytes_by_type(spec, None, "gguf", "Q4_K_M", architectures)
    assert spec.architecture is not None
    assert read_bytes
    row = row_of(spec.architecture, architectures)
    assert row is not None
    return spec.architecture, read_bytes, operations(spec.architecture, row)


def predicted(machine: Machine, guest: Guest) -> PaceRange:
    architecture, read_bytes, count = model(guest.model)
    pace = pacing.predict(
        machine, architecture, read_bytes, operations=count, depth_tokens=guest.tokens / 2
    ).decode
    assert pace is not None
    return pace


def bandwidth_of(guest: Guest, pace: float) -> float:
    """GB/s at which the likely rule gives that pace; no more than a tenth above what was read."""
    low, high = 0.2, 1.1 * guest.reads[1]
    machine = unnamed(guest)

    def at(gb_per_s: float) -> float:
        return predicted(
            machine.replace(**{FACT: int(gb_per_s * GB), "sources": {FACT: "measured"}}), guest
        ).likely

    if at(high) <= pace:
        return high
    for _ in range(24):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if at(middle) < pace else (low, middle)
    return low


def print_table(rows: Sequence[Guest], title: str, machine_of: Any) -> None:
    print(f"{title}: types, inside, median width and error, by cores")
    groups: dict[tuple[str, str], list[Guest]] = defaultdict(list)
    for guest in rows:
        count = min(COUNTS, key=partial(_distance, guest.cores))
        groups[f"{guest.core}{' AMD' if guest.group[1] else ''}", f"{count}"].append(guest)
        groups["all", ""].append(guest)
        groups["all", f"{count:2}"].append(guest)
    for (core, column), group in sorted(groups.items()):
        inside, widths, errors = 0, [], []
        for guest in group:
            pace = predicted(machine_of(guest), guest)
            inside += sum(
                pace.low <= each <= pace.high for each in (guest.paces[0], guest.paces[2])
            )
            widths.append(pace.high / pace.low)
            errors.append(abs(log(guest.paces[1] / pace.likely)))
        types = sum(guest.types for guest in group)
        print(
            f"  {core:9} {column:>3} {types:5} {inside / 2 / len(group):5.2f}"
            f" {median(widths):6.2f} {exp(median(errors)) - 1:5.2f}"
        )


def _distance(cores: int, count: int) -> float:
    return abs(log(cores / count))


def print_fit(rows: Sequence[Guest]) -> None:
    points = [
        (guest, [bandwidth_of(guest, pace) for pace in guest.paces], guest.reads) for guest in rows
    ]
    # without AVX2 there are too few
    groups = sorted({guest.group for guest in rows} - {("avx", False)})
    inside: dict[tuple[str, bool], list[bool]] = defaultdict(list)
    for group in groups:
        own = [point for point in points if point[0].group == group]
        table = fitted(own)
        for name, column in zip(("low", "likely", "high"), zip(*table, strict=True), strict=True):
            print(f"{group} {name} = [{', '.join(f'{value:.3g}' for value in column)}]")
        print(f"{group} types = {[sum(p[0].types for p in near(own, count)) for count in COUNTS]}")
        for device in {point[0].device for point in own}:
            table = fitted([point for point in own if point[0].device != device])
            with_table(table)
            for guest, _, _ in own:
                if guest.device == device:
                    pace = predicted(unnamed(guest), guest)
                    inside[group] += [pace.low <= guest.paces[0], guest.paces[2] <= pace.high]
    for group, held in inside.items():
        print(f"{group}: {sum(held) / len(held):.3f} inside, of {len(held) // 2} left out")
    every = [each for held in inside.values() for each in held]
    print(f"all: {sum(every) / len(every):.3f}")


def with_table(table: Sequence[tuple[float, float, float]]) -> None:
    """From now on guests have what that table says, whatever they are."""

    def stand_in(core: str, *, is_amd: bool | None, cores: float) -> tuple[cpus.Ends, int]:
        low, likely, high = cpus.between(COUNTS, table, cores)
        return (GB * low, GB * likely, GB * high), 0

    cpus.guests_with = stand_in  # type: ignore[assignment]
    memory_bandwidth.bandwidth.cache_clear()


def near(points: Sequence[Any], count: int) -> list[Any]:
    return [each for each in points if count / _NEAR <= each[0].cores <= count * _NEAR]


def fitted(points: Sequence[Any]) -> list[tuple[float, float, float]]:
    """GB/s of guests of a class with each of `COUNTS` cores: low, likely, high. The ends are those
    of the shares of the likely figure that devices of this column and of its neighbours reach.
    """
    likely: list[float] = []
    shares: list[list[tuple[float, float]]] = []
    for count in COUNTS:
        around = near(points, count)
        if not around:
            likely.append(likely[-1] if likely else 1.0)
            shares.append([(1e-3, 1e3)])
            continue
        of_types = [
            (needed, read[1], (count / guest.cores) ** _GROWS)
            for guest, needed, read in around
            for _ in range(guest.types)
        ]
        usual = median(needed[1] * scale for needed, _, scale in of_types)
        most_usual = median(read * scale for _, read, scale in of_types)
        if around[0][0].core in ("arm", "i8mm"):
            # those builds use half of what the cores have
            usual = (usual * most_usual) ** 0.5
        likely.append(max(usual, *likely, 0.0))
        shares.append(
            [
                (needed[0] * scale / usual, max(needed[2] * scale, most_usual) / usual)
                for needed, _, scale in of_types
            ]
        )
    table: list[tuple[float, float, float]] = []
    for number, count in enumerate(COUNTS):
        pooled = [each for group in shares[max(0, number - 1) : number + 2] for each in group]
        pooled += shares[number] * _OWN_WEIGHT
        low = _quantile([least for least, _ in pooled], _LOW_SHARE)
        high = _quantile([most for _, most in pooled], _HIGH_SHARE)
        if table:
            # with twice the cores hardly less
            low = max(low, _NO_LESS * table[-1][0] / likely[number])
        top = min(likely[number] * high, MOST_OF_CORE * count)
        table.append((likely[number] * low, likely[number], top))
    return table


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    first = ordered[int(at)]
    following = ordered[min(int(at) + 1, len(ordered) - 1)]
    return float(first * (following / first) ** (at - int(at)))


if __name__ == "__main__":
    main()
