"""The contract's rows `weights`, `license`, `openness`, `runtime` and `cpu`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from typing import Any

import pytest

from judge.small import (
    BIG,
    CLOSED,
    MACHINE,
    RUNTIME,
    SPEC,
    WORK,
    Cells,
    at,
    cell_tests,
    finding_of,
    found,
    needs_of,
    of_llama_cpp,
    question,
    route_of,
    spec,
    work,
)
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import License, Openness, Safety, StatedNeeds
from selfhost.core.records import Unread
from selfhost.judge.checks import Outcome
from selfhost.judge.judging import judge
from selfhost.judge.record import Question, Route, Verdict
from selfhost.machine.record import PresentRuntime
from selfhost.needs.records import CpuNeed

# nobody confirms what is said of a license
UNCONFIRMED = {"license": "general knowledge"}


def under(
    license: License | None, sources: dict[str, str] | None = None, /, **asked: Any
) -> Question:
    """The model under that license, asked about with these wishes."""
    own = SPEC.replace(license=license, sources=SPEC.sources if sources is None else sources)
    return question(spec=own, workload=WORK.replace(**asked))


def own(id: str = "LicenseRef-X", use: str = "yes", *conditions: str) -> License:
    return License(id=id, commercial_use=use, conditions=conditions)


LICENSE: Cells = {
    ("pass", "license-allows"): at(work(commercial=True)),
    ("warn", "license-conditional"): at(
        under(own("LicenseRef-X", "conditional", "under 700 million users"))
    ),
    ("warn", "license-assumed"): at(under(own(), UNCONFIRMED, commercial=True)),
    ("unknown", "license-not-known"): at(under(None, commercial=True)),
    ("unknown", "license-unconfirmed"): at(under(own(use="no"), UNCONFIRMED, commercial=True)),
    ("fail", "license-not-accepted"): at(work(license="MIT")),
    ("fail", "license-forbids"): at(under(own("CC-BY-NC-4.0", "no"), commercial=True)),
}


test_cell_of_license, test_every_code_of_license = cell_tests("license", LICENSE)


# the tag of the repository says which license it is, nobody read what it allows
TAG = "the repository's tag; its terms from general knowledge"
# nobody confirms which license it is
GUESS = "typed from general knowledge"


@pytest.mark.parametrize(
    ("own", "source", "asked", "code"),
    [
        ("LicenseRef-X", TAG, {"commercial": True}, "license-assumed"),
        ("LicenseRef-X", TAG, {"license": "LicenseRef-X"}, "license-allows"),
        ("LicenseRef-X", TAG, {"license": "MIT"}, "license-not-accepted"),
        ("Apache-2.0", GUESS, {"commercial": True}, "license-assumed"),
        ("Apache-2.0", GUESS, {"license": "Apache-2.0"}, "license-assumed"),
        ("Apache-2.0", GUESS, {"license": "MIT"}, "license-unconfirmed"),
        ("Apache-2.0", "a card", {"license": "MIT", "commercial": True}, "license-not-accepted"),
    ],
)
def test_what_only_general_knowledge_says_of_a_license_neither_passes_nor_fails(
    own: str, source: str, asked: dict[str, Any], code: str
) -> None:
    """As with openness: `pass` and `fail` are for what a source confirms; a guess is visible as one, and says what would settle it."""
    license = License(id=own, commercial_use="yes")
    judged = found("license", under(license, {"license": source}, **asked))
    assert judged.code == code
    assert ("(general knowledge, not confirmed)" in judged.reason) is (
        code in ("license-assumed", "license-unconfirmed")
    )
    assert judged.remedy or code == "license-allows"


PARTLY = Openness(weights="published", training_data="partial", paper="published")
OPENNESS: Cells = {
    ("pass", "openness-open"): at(work(modify=True)),
    ("warn", "openness-assumed"): at(under(SPEC.license, UNCONFIRMED, modify=True)),
    ("warn", "openness-partly"): at(
        question(spec=SPEC.replace(openness=PARTLY), workload=WORK.replace(auditable=True))
    ),
    ("unknown", "openness-not-known"): at(work(auditable=True)),
    ("fail", "openness-closed"): at(
        question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True))
    ),
}


test_cell_of_openness, test_every_code_of_openness = cell_tests("openness", OPENNESS)


# read from a config.json, without weights beside it
LONE_CONFIG = SPEC.replace(openness=Openness(), gated=None, origin="m/config.json")

WEIGHTS: Cells = {
    ("pass", "weights-published"): at(),
    ("pass", "weights-here"): at(question(local_files=True)),
    ("pass", "weights-stated"): at(
        spec(openness=Openness(), architecture=None, needs=StatedNeeds(low_bytes=1, high_bytes=2))
    ),
    ("warn", "weights-gated"): at(spec(gated=True)),
    ("warn", "weights-unsafe"): at(spec(safety=Safety(formats=("pickle",)))),
    ("warn", "weights-partial"): at(spec(openness=Openness(weights="partial"))),
    ("warn", "weights-yours"): at(question(spec=LONE_CONFIG)),
    ("unknown", "weights-not-known"): at(spec(openness=Openness())),
    ("fail", "weights-closed"): at(question(spec=CLOSED, needs=None)),
}


test_cell_of_weights, test_every_code_of_weights = cell_tests("weights", WEIGHTS)


def test_the_weights_of_a_lone_config_are_the_users_to_get() -> None:
    """It warns and no more: the route is of the other findings, and where to download nobody knows."""
    result = judge(question(spec=LONE_CONFIG), MACHINE)
    answer = Verdict.conclude(result, MACHINE, asked="m", offered=False)
    assert (answer.route, answer.can_download) == (Route.LOCAL, None)
    assert route_of(judge(BIG.replace(spec=LONE_CONFIG), MACHINE), offered=False) is Route.NEITHER
    own = question(spec=LONE_CONFIG.replace(origin="m.toml"))
    assert found("weights", own).outcome == "unknown"


RUNTIME_CELLS: Cells = {
    ("pass", "runtime-present"): at(),
    ("pass", "runtime-any"): at(question(runtime=None)),
    ("pass", "runtime-not-installed"): at(machine=MACHINE.replace(runtimes=())),
    ("pass", "runtime-not-searched"): at(machine=MACHINE.replace(runtimes=None)),
    ("warn", "runtime-too-old"): at(
        question(runtime=RUNTIME.replace(minimum_versions={"llama": "3.0"})),
        MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version="2.9.1"),)),
    ),
    ("warn", "runtime-unfamiliar"): at(question(unfamiliar="zorglub", local_files=True)),
    ("warn", "runtime-other-byte-order"): at(
        question(
            runtime=RUNTIME.replace(systems=("linux-s390x",), big_endian_systems=("linux-s390x",))
        ),
        MACHINE.replace(architecture="s390x"),
    ),
    ("fail", "runtime-cannot-load"): at(question(why_not_loaded="It does not.")),
    ("unknown", "runtime-untold"): at(question(why_not_loaded="Nobody says.", is_untold=True)),
    ("fail", "runtime-no-build"): at(machine=MACHINE.replace(system="windows")),
}


test_cell_of_runtime, test_every_code_of_runtime = cell_tests(
    "runtime", RUNTIME_CELLS, outcomes=("pass", "warn", "unknown", "fail")
)


def test_a_mainframe_loads_big_endian_files_alone() -> None:
    """llama.cpp's docs/build-s390x.md: all models need to be converted; its releases have a build, and the printed line would fail."""
    verdict = of_llama_cpp("s390x")
    findings = {finding.check: finding for finding in verdict.findings}
    assert findings["cpu"].outcome is Outcome.PASS
    assert findings["runtime"].code == "runtime-other-byte-order"
    assert "gguf_convert_endian.py" in (findings["runtime"].remedy or "")
    assert verdict.commands == ()
    # nor a recipe: what convert_hf_to_gguf.py writes without --bigendian would fail there too
    assert verdict.setup == ()


@pytest.mark.parametrize(
    ("installed", "code"),
    [
        ("4.49.0", "runtime-too-old"),
        ("4.50.0", "runtime-present"),
        ("4.50.0.dev0", "runtime-present"),
        ("4.50.0rc1+cpu", "runtime-present"),
        ("v4.49", "runtime-too-old"),
        ("5.0", "runtime-present"),
        ("nightly", "runtime-present"),
        (None, "runtime-present"),
    ],
)
def test_a_runtime_from_before_the_architecture_is_too_old(
    installed: str | None, code: str
) -> None:
    """Versions are compared as PEP 440 has them; what cannot be compared is not called old."""
    runtime = RUNTIME.replace(minimum_versions={"llama": "4.50.0"}, distributions=("transformers",))
    machine = MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version=installed),))
    finding = found("runtime", question(runtime=runtime), machine)
    assert finding.code == code
    assert (finding.remedy or "") == (
        "pip install --upgrade 'transformers>=4.50.0'" if code == "runtime-too-old" else ""
    )
    # the repository brings its own code
    own = question(runtime=runtime, spec=SPEC.replace(safety=Safety(remote_code=True)))
    assert found("runtime", own, machine).code != "runtime-too-old"


CPU: Cells = {
    ("pass", "cpu-suits"): at(),
    ("warn", "cpu-slow"): at(machine=MACHINE.replace(instruction_sets=("sse4_2",))),
    ("warn", "cpu-crashes"): at(
        question(runtime=Catalogue.open().runtime("llama.cpp")),
        machine=MACHINE.replace(instruction_sets=("sse4_2", "avx2", "fma", "f16c", "amx_int8")),
    ),
    ("warn", "cpu-assumed"): at(machine=MACHINE.replace(assumed=("instruction_sets",))),
    ("unknown", "cpu-unread"): at(machine=MACHINE.replace(instruction_sets=None)),
    ("fail", "cpu-lacks-instructions"): at(machine=MACHINE.replace(instruction_sets=("avx2",))),
    ("fail", "cpu-no-build"): at(machine=MACHINE.replace(architecture="riscv64", runtimes=())),
}


test_cell_of_cpu, test_every_code_of_cpu = cell_tests("cpu", CPU)


def test_an_instruction_set_that_a_system_does_not_tell_of_is_unread_not_missing() -> None:
    """Windows has no way to ask for FMA: a build that needs it is unknown there, not a crash."""
    cpu = CpuNeed(architectures=("x86_64",), instruction_sets={"x86_64": ("avx2", "fma")})
    asked = question(needs=needs_of(cpu=cpu))
    told = MACHINE.replace(instruction_sets=("avx2",))
    assert found("cpu", asked, told).code == "cpu-lacks-instructions"
    silent = told.replace(
        unread=(Unread(fact="instruction_sets.fma", reason="Windows does not tell"),)
    )
    assert found("cpu", asked, silent).code == "cpu-unread"


def test_what_builds_from_source_is_not_said_to_be_impossible() -> None:
    """riscv64, ppc64le and loongarch64 have no published build of llama.cpp, and people build it there: one remedy says how."""
    for architecture in ("riscv64", "ppc64le", "loongarch64"):
        verdict = of_llama_cpp(architecture)
        findings = {finding.check: finding for finding in verdict.findings}
        assert findings["cpu"].outcome is Outcome.PASS
        assert findings["runtime"].outcome is Outcome.WARN
        assert findings["runtime"].code == "runtime-not-installed"
        assert "No build is published" in findings["runtime"].reason
        assert "docs/build.md" in (findings["runtime"].remedy or "")
        # Ollama has no build there either
        assert not any(line.startswith("ollama") for line in verdict.commands)
        # found there, it was built there
        built = (PresentRuntime(id="llama.cpp", version="b10361"),)
        present = finding_of(of_llama_cpp(architecture, runtimes=built), "runtime")
        assert present.code == "runtime-present"
