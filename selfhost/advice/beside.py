"""What holds of several models on one machine beside each other, once each was judged alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..catalogue.index import Catalogue
from ..catalogue.spec import RuntimeSpec
from ..core.records import Record
from ..judge.record import HELD, Verdict


class Sum(Record):
    """What those that run alone take together at most, of `check`: "memory" or "accelerator";
    `limit_bytes` is what the machine can give to one of them.
    """

    check: str
    total_bytes: int
    limit_bytes: int

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.limit_bytes


def sums(verdicts: Sequence[Verdict]) -> Iterator[Sum]:
    """The sums of the models that run, one for each memory that more than one of them takes.

    What two of them share, as a program's own files, counts twice: `check_together` counts it once.
    Of several accelerators nothing is summed, for each model may lie on another.
    """
    local = [verdict for verdict in verdicts if verdict.can_run]
    for check in HELD:
        if check == "accelerator" and len(verdicts[0].machine.accelerators or ()) > 1:
            continue
        pairs = [
            (finding.needs, finding.has)
            for finding in (verdict.finding(check) for verdict in local)
            if finding is not None
            and isinstance(finding.needs, int)
            and isinstance(finding.has, int)
        ]
        if len(pairs) > 1:
            total_bytes = sum(needs for needs, _ in pairs)
            yield Sum(
                check=check, total_bytes=total_bytes, limit_bytes=max(has for _, has in pairs)
            )


def on_own_ports(verdicts: Sequence[Verdict], catalogue: Catalogue) -> list[Verdict]:
    """The same verdicts, whose lines start servers that do not listen on the port of another."""
    taken: set[int] = set()
    lines: set[tuple[str, ...]] = set()
    apart = []
    for verdict in verdicts:
        name = verdict.workload.runtime
        runtime = catalogue.runtime(name) if name in catalogue.runtime_ids() else None
        if runtime is None or not _starts_a_server(verdict, runtime) or verdict.commands in lines:
            apart.append(verdict)
            continue
        assert runtime.service is not None
        lines.add(verdict.commands)
        usual = port = runtime.service.port
        while port in taken:
            port += 1
        taken.add(port)
        apart.append(verdict if port == usual else _moved(verdict, runtime, port))
    return apart


def _starts_a_server(verdict: Verdict, runtime: RuntimeSpec) -> bool:
    service = runtime.service
    return (
        verdict.can_run
        and service is not None
        and bool(service.port_setting)
        and any(service.program in line for line in verdict.commands)
    )


def _moved(verdict: Verdict, runtime: RuntimeSpec, port: int) -> Verdict:
    """The verdict with its server on that port, which the comment above the line names too."""
    service = runtime.service
    assert service is not None
    setting = service.port_setting.replace("{port}", str(port))
    return verdict.replace(
        commands=tuple(
            f"{line} {setting}" if service.program in line else line for line in verdict.commands
        ),
        setup=tuple(
            line.replace(f"://127.0.0.1:{service.port},", f"://127.0.0.1:{port},")
            for line in verdict.setup
        ),
    )
