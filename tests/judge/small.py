"""Small hand-made records for the tests of the verdict: a spec, a machine, a question; each test
changes one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

from selfhost import api
from selfhost.catalogue.architecture import Architecture
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.runtime_parts import (
    BuildPlatforms,
    GpuSupport,
    Installation,
    LayerPlacement,
    QuantizationRule,
)
from selfhost.catalogue.spec import (
    Availability,
    License,
    ModelSpec,
    Openness,
    Parameters,
)
from selfhost.core.tables import shipped_table
from selfhost.core.workload import Workload
from selfhost.judge.checks import Finding, Outcome
from selfhost.judge.judging import judge
from selfhost.judge.pace import Speed, Step
from selfhost.judge.record import Judged, Question, Route, Verdict
from selfhost.machine.record import Accelerator, Disk, Machine, PresentRuntime
from selfhost.needs.records import (
    SPLITS,
    CpuNeed,
    How,
    MemoryNeed,
    Needs,
    Split,
    Term,
    stated_range,
)

GIB = 2**30
GB = 10**9


def finding_of(judged: Judged, check: str) -> Finding:
    finding = judged.finding(check)
    assert finding is not None
    return finding


def route_of(judged: Judged, *, offered: bool) -> Route:
    return Verdict.conclude(judged, MACHINE, asked="m", offered=offered).route


def memory_of(judged: Judged) -> MemoryNeed:
    assert judged.memory is not None
    return judged.memory


def speed_of(verdict: Verdict) -> Speed:
    assert verdict.speed is not None
    return verdict.speed


def term(low: int, high: int, name: str = "weights", where: str = "host") -> Term:
    return Term(
        name=name,
        bytes=(low + high) // 2,
        low_bytes=low,
        high_bytes=high,
        where=where,
        split=SPLITS.get(name, Split.EACH),
        how=How.COMPUTED,
        source="test",
        arithmetic="test",
    )


def needs_of(
    low: int = 4 * GIB,
    high: int = 5 * GIB,
    *,
    disk: int | None = 4 * GB,
    largest: int | None = None,
    cpu: CpuNeed | None = None,
) -> Needs:
    return Needs(
        files=None if disk is None else stated_range("files", disk, disk, "test"),
        largest_file_bytes=largest or disk,
        cpu=cpu
        or CpuNeed(
            architectures=("x86_64", "aarch64"),
            instruction_sets={"x86_64": ("sse4_2",)},
            recommended={"x86_64": ("avx2",)},
        ),
        terms=(term(low, high),),
        tensor_parallel=(2, 4, 8),
    )


RUNTIME = RuntimeSpec(
    id="llama.cpp",
    name="llama.cpp",
    formats=("gguf",),
    platforms=BuildPlatforms(systems=("linux-x86_64",)),
    modalities=("text",),
    store="llama.cpp",
    installation=Installation(lines={"any": ("brew install llama.cpp",)}),
    layers=LayerPlacement(split=True),
)
SPEC = ModelSpec(
    id="m",
    name="M",
    gated=False,
    openness=Openness(weights="published"),
    license=License(id="Apache-2.0", commercial_use="yes", modification="yes"),
    architecture=Architecture(
        row="llama",
        runs_in_gguf=True,
        layers=32,
        embedding_length=4096,
        context_tokens=32768,
    ),
    origin="m.toml",
    sources={"openness": "the model card", "license": "the model card"},
)
DISK = Disk(
    purpose="llama.cpp",
    path="~/.cache",
    free_bytes=100 * GB,
    total_bytes=500 * GB,
    filesystem="ext4",
    writable=True,
)
MACHINE = Machine(
    scope="vm",
    system="linux",
    architecture="x86_64",
    memory_total_bytes=16 * GIB,
    memory_limit_bytes=16 * GIB,
    memory_available_bytes=12 * GIB,
    cpu_cores_usable=4.0,
    instruction_sets=("sse4_2", "avx2"),
    disks=(DISK,),
    accelerators=(),
    runtimes=(PresentRuntime(id="llama.cpp", version="b9000"),),
)
WORK = Workload(context_tokens=4096, min_tokens_per_second=2.0)
STEP = Step(architecture=SPEC.architecture, read_bytes={"Q4_K": 4 * GB})


def question(**changes: Any) -> Question:
    own = {"spec": SPEC, "workload": WORK, "runtime": RUNTIME, "step": STEP}
    return Question(**{**own, "needs": needs_of(), **changes})


def found(
    check: str, asked: Question | None = None, machine: Machine = MACHINE
) -> Finding:
    judged = judge(asked or question(), machine)
    matching = [finding for finding in judged.findings if finding.check == check]
    assert len(matching) == 1, f"{check} must be judged exactly once"
    return matching[0]


def spec(**changes: Any) -> Question:
    return question(spec=SPEC.replace(**changes))


def work(**changes: Any) -> Question:
    return question(workload=WORK.replace(**changes))


def with_disk(**changes: Any) -> Machine:
    return MACHINE.replace(disks=(DISK.replace(**changes),))


CLOSED = SPEC.replace(
    openness=Openness(weights="closed"),
    license=None,
    architecture=None,
    availability=Availability(why="the provider keeps them", provider="P"),
)
GPU_ONLY = RUNTIME.replace(gpus=GpuSupport(required=True), layers=LayerPlacement())
FP8_ONLY = GPU_ONLY.replace(
    quantizations={"fp8": QuantizationRule(compute_capability="8.9", source="a page")}
)
GPU = Accelerator(
    vendor="nvidia",
    name="Test GPU",
    memory_total_bytes=24 * GIB,
    memory_free_bytes=23 * GIB,
    unified=False,
)
BIG = question(needs=needs_of(39 * GIB, 40 * GIB, disk=40 * GB))


def training() -> Question:
    """Training that takes 40 GiB, of a model of a billion parameters."""
    spec = SPEC.replace(
        parameters=Parameters(total=10**9), architecture=arch(vocabulary=32000)
    )
    work = WORK.replace(
        task="finetune", finetune_method="full", min_tokens_per_second=None
    )
    return question(spec=spec, workload=work, needs=BIG.needs, step=None)


def arch(**changes: Any) -> Architecture:
    assert SPEC.architecture is not None
    return SPEC.architecture.replace(**changes)


sizes = st.integers(min_value=1, max_value=64)


SLOW = MACHINE.replace(
    memory_bandwidth_bytes_per_second=GB, memory_bandwidth_how="measured"
)


MAC = MACHINE.replace(
    system="macos",
    architecture="aarch64",
    memory_available_bytes=15 * GIB,
    instruction_sets=("asimddp",),
    accelerators=(Accelerator(vendor="apple", name="Apple M4", unified=True),),
)


def of_llama_cpp(architecture: str, **changes: Any) -> Verdict:
    """A machine of this processor with room, on which nothing is installed."""
    machine = MACHINE.replace(
        name="elsewhere",
        architecture=architecture,
        instruction_sets=(),
        memory_total_bytes=32 * GIB,
        memory_limit_bytes=32 * GIB,
        memory_available_bytes=30 * GIB,
        cpu_cores_usable=8,
        runtimes=(),
    )
    return api.check("mistral-7b", machine=machine.replace(**changes))


class Situation(NamedTuple):
    """A question about a machine, and the finding that the contract gives it."""

    outcome: str
    code: str
    asked: Question = question()
    machine: Machine = MACHINE

    @property
    def id(self) -> str:
        return f"{self.outcome}-{self.code}"

    @property
    def check(self) -> str:
        """Reason codes begin with the name of their check."""
        return self.code.partition("-")[0]


def assert_found(situation: Situation) -> None:
    """The check finds what the contract says; where it warns or fails the user can do something."""
    finding = found(situation.check, situation.asked, situation.machine)
    assert (finding.outcome.value, finding.code) == (situation.outcome, situation.code)
    assert finding.reason.endswith(".")
    is_final = finding.code in ("weights-closed", "license-forbids")
    if finding.outcome in (Outcome.WARN, Outcome.FAIL) and not is_final:
        assert finding.remedy


def check_of(situations: Sequence[Situation]) -> str:
    """The check that these situations are of, all of them."""
    (check,) = {situation.check for situation in situations}
    return check


# a situation is of one machine: test_clusters.py reaches these
_OF_SEVERAL_MACHINES = {"runtime-not-together"}


def assert_complete(situations: Sequence[Situation]) -> None:
    """They reach every outcome, and every code that findings.toml lists for their check."""
    prefix = f"{check_of(situations)}-"
    codes = {
        code for code in shipped_table("findings")["codes"] if code.startswith(prefix)
    }
    codes -= _OF_SEVERAL_MACHINES
    assert {situation.code for situation in situations} == codes
    assert {situation.outcome for situation in situations} == set(Outcome)
