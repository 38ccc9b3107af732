"""The runs of several machines (`tests/truth/clusters.json`), each with what is told of it."""

from __future__ import annotations

from collections.abc import Iterator

from paces import Scored

from helpers.cluster_runs import compared


def scored(*, is_fitted: bool) -> Iterator[Scored]:
    """Each run on which hops and shares were fitted, or each of the others."""
    for run, pace in compared(is_fitted=is_fitted):
        users = "several users" if run.get("users", 1) > 1 else "one user"
        yield Scored.of(
            f"{run['runtime']}, {run['split']}, {users}",
            run["machines"],
            run["model"],
            run["tokens_per_second"],
            pace,
        )
