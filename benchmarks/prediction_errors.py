"""How far predictions of memory are from what was measured: median, 95th percentile and worst, for
each quantity and architecture.

    python benchmarks/prediction_errors.py              # one line a quantity
    python benchmarks/prediction_errors.py --by-model   # and one an architecture that is off
    python benchmarks/prediction_errors.py --widths     # how wide the ranges are
    python benchmarks/prediction_errors.py --widths transformers   # and each wide one of a runtime

The first two then print a line for each program: how many peaks of whole runs lie inside the range
that is predicted, how wide the range is, and how far off its likely figure.

The measurements are those in `tests/truth`; the predictions are those that the tests check.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median

from memory_errors import all_errors
from memory_ranges import PeakBesideRange, ranges_by_program
from range_widths import print_widths

# a smaller share is printed as zero
_SHOWN_SHARE = 5e-5


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--by-model",
        action="store_true",
        help="one line an architecture too, where anything is off",
    )
    parser.add_argument(
        "--widths",
        nargs="?",
        const="",
        metavar="RUNTIME",
        help="how wide the ranges of the catalogue are, and stop",
    )
    options = parser.parse_args()
    if options.widths is not None:
        print_widths(options.widths)
        return 0
    _print_errors(by_architecture=options.by_model)
    _print_ranges()
    return 0


def _print_errors(*, by_architecture: bool) -> None:
    """Print a line a quantity, and perhaps one an architecture that is off."""
    shares: dict[tuple[str, str], list[float]] = {}
    for error in all_errors():
        shares.setdefault((error.quantity, ""), []).append(error.share)
        if by_architecture:
            key = (error.quantity, error.architecture)
            shares.setdefault(key, []).append(error.share)
    numbers = f"{'n':>5} {'exact':>6} {'median %':>9} {'95 % %':>8} {'worst %':>8}"
    print(f"{'quantity':36} {'architecture':16} {numbers}")
    for quantity, architecture in sorted(shares):
        ordered = sorted(shares[quantity, architecture])
        if architecture and ordered[-1] < _SHOWN_SHARE:
            continue
        high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
        exact = ordered.count(0)
        print(
            f"{quantity:36} {architecture or 'all':16} {len(ordered):5} {exact:6} "
            f"{100 * median(ordered):9.2f} {100 * high:8.2f} {100 * ordered[-1]:8.2f}"
        )


def _print_ranges() -> None:
    """Print a line for each program, with the runs outside."""
    widths = f"{'± median':>9} {'± worst':>8} {'off median':>11} {'off worst':>10}"
    print(f"\n{'whole runs in':36} {'n':>5} {'inside':>7} {widths}  outside")
    for program, runs in ranges_by_program():
        _print_range(program, runs)


def _print_range(program: str, runs: Sequence[PeakBesideRange]) -> None:
    """Print the line of a program."""
    widths = [run.half_width for run in runs]
    errors = [run.error for run in runs]
    outside = [run.run for run in runs if not run.is_inside]
    inside = 1 - len(outside) / len(runs)
    print(
        f"{program:36} {len(runs):5} {100 * inside:6.1f}%"
        f" {100 * median(widths):8.1f}% {100 * max(widths):7.1f}%"
        f" {100 * median(errors):10.1f}% {100 * max(errors):9.1f}%  {', '.join(outside)}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
