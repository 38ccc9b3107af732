"""The contract's rows `weights`, `license`, `openness`, `runtime` and `cpu`: a situation for each
cell and each of its reason codes.
"""

from __future__ import annotations

from typing import Any

import pytest

from helpers.cases import case_id
from judge.small import (
    BIG,
    CLOSED,
    MACHINE,
    RUNTIME,
    SPEC,
    WORK,
    Situation,
    arch,
    assert_complete,
    assert_found,
    check_of,
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
from selfhost.catalogue.runtime_parts import BuildPlatforms, Versions
from selfhost.catalogue.spec import License, Openness, Safety, StatedNeeds
from selfhost.core.records import Unread
from selfhost.judge.checks import Outcome
from selfhost.judge.judging import judge
from selfhost.judge.record import Question, Route, RuntimeRefusal, Verdict
from selfhost.machine.record import PresentRuntime
from selfhost.needs.records import CpuNeed

# nobody confirms what is said of a license
UNCONFIRMED = {"license": "general knowledge"}


def under(
    license: License | None, sources: dict[str, str] | None = None, /, **asked: Any
) -> Question:
    """The model under that license, asked about with these wishes."""
    own = SPEC.replace(
        license=license, sources=SPEC.sources if sources is None else sources
    )
    return question(spec=own, workload=WORK.replace(**asked))


def own(id: str = "LicenseRef-X", use: str = "yes", *conditions: str) -> License:
    return License(id=id, commercial_use=use, conditions=conditions)


LICENSE = [
    Situation("pass", "license-allows", work(commercial=True)),
    Situation(
        "warn",
        "license-conditional",
        under(own("LicenseRef-X", "conditional", "under 700 million users")),
    ),
    Situation("warn", "license-assumed", under(own(), UNCONFIRMED, commercial=True)),
    Situation("unknown", "license-not-known", under(None, commercial=True)),
    Situation(
        "unknown",
        "license-unconfirmed",
        under(own(use="no"), UNCONFIRMED, commercial=True),
    ),
    Situation("fail", "license-not-accepted", work(license="MIT")),
    Situation(
        "fail", "license-forbids", under(own("CC-BY-NC-4.0", "no"), commercial=True)
    ),
]


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
        (
            "Apache-2.0",
            "a card",
            {"license": "MIT", "commercial": True},
            "license-not-accepted",
        ),
    ],
)
def test_what_only_general_knowledge_says_of_a_license_neither_passes_nor_fails(
    own: str, source: str, asked: dict[str, Any], code: str
) -> None:
    """As with openness: `pass` and `fail` are for what a source confirms; a guess is visible as
    one, and says what would settle it.
    """
    license = License(id=own, commercial_use="yes")
    judged = found("license", under(license, {"license": source}, **asked))
    assert judged.code == code
    assert ("(general knowledge, not confirmed)" in judged.reason) is (
        code in ("license-assumed", "license-unconfirmed")
    )
    assert judged.remedy or code == "license-allows"


PARTLY = Openness(weights="published", training_data="partial", paper="published")
OPENNESS = [
    Situation("pass", "openness-open", work(modify=True)),
    Situation(
        "warn", "openness-assumed", under(SPEC.license, UNCONFIRMED, modify=True)
    ),
    Situation(
        "warn",
        "openness-partly",
        question(
            spec=SPEC.replace(openness=PARTLY), workload=WORK.replace(auditable=True)
        ),
    ),
    Situation("unknown", "openness-not-known", work(auditable=True)),
    Situation(
        "fail",
        "openness-closed",
        question(spec=CLOSED, needs=None, workload=WORK.replace(modify=True)),
    ),
]


# read from a config.json, without weights beside it
LONE_CONFIG = SPEC.replace(openness=Openness(), gated=None, origin="m/config.json")

WEIGHTS = [
    Situation("pass", "weights-published"),
    Situation("pass", "weights-here", question(loads_named_files=True)),
    Situation(
        "pass",
        "weights-stated",
        spec(
            openness=Openness(),
            architecture=None,
            needs=StatedNeeds(low_bytes=1, high_bytes=2),
        ),
    ),
    Situation("warn", "weights-gated", spec(gated=True)),
    Situation("warn", "weights-unsafe", spec(safety=Safety(formats=("pickle",)))),
    Situation("warn", "weights-partial", spec(openness=Openness(weights="partial"))),
    Situation("warn", "weights-yours", question(spec=LONE_CONFIG)),
    Situation("unknown", "weights-not-known", spec(openness=Openness())),
    Situation("fail", "weights-closed", question(spec=CLOSED, needs=None)),
]


def test_the_weights_of_a_lone_config_are_the_users_to_get() -> None:
    """It warns and no more: the route is of the other findings, and where to download nobody
    knows.
    """
    result = judge(question(spec=LONE_CONFIG), MACHINE)
    answer = Verdict.conclude(result, MACHINE, asked="m", offered=False)
    assert (answer.route, answer.can_download) == (Route.LOCAL, None)
    assert (
        route_of(judge(BIG.replace(spec=LONE_CONFIG), MACHINE), offered=False)
        is Route.NEITHER
    )
    own = question(spec=LONE_CONFIG.replace(origin="m.toml"))
    assert found("weights", own).outcome == "unknown"


RUNTIMES = [
    Situation("pass", "runtime-present"),
    Situation("pass", "runtime-any", question(runtime=None)),
    Situation("pass", "runtime-not-installed", machine=MACHINE.replace(runtimes=())),
    Situation("pass", "runtime-not-searched", machine=MACHINE.replace(runtimes=None)),
    Situation(
        "warn",
        "runtime-too-old",
        question(runtime=RUNTIME.replace(versions=Versions(minimum={"llama": "3.0"}))),
        MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version="2.9.1"),)),
    ),
    Situation(
        "warn",
        "runtime-unfamiliar",
        question(
            spec=SPEC.replace(architecture=arch(row="zorglub")), loads_named_files=True
        ),
    ),
    Situation(
        "warn",
        "runtime-other-byte-order",
        question(
            runtime=RUNTIME.replace(
                platforms=BuildPlatforms(
                    systems=("linux-s390x",), big_endian_systems=("linux-s390x",)
                )
            )
        ),
        MACHINE.replace(architecture="s390x"),
    ),
    Situation(
        "fail",
        "runtime-cannot-load",
        question(refusal=RuntimeRefusal(why="It does not.")),
    ),
    Situation(
        "unknown",
        "runtime-untold",
        question(refusal=RuntimeRefusal(why="Nobody says.", is_untold=True)),
    ),
    Situation("fail", "runtime-no-build", machine=MACHINE.replace(system="windows")),
]


def test_a_mainframe_loads_big_endian_files_alone() -> None:
    """llama.cpp's docs/build-s390x.md: all models need to be converted; its releases have a build,
    and the printed line would fail.
    """
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
    runtime = RUNTIME.replace(
        versions=Versions(minimum={"llama": "4.50.0"}),
        installation=RUNTIME.installation.replace(distributions=("transformers",)),
    )
    machine = MACHINE.replace(
        runtimes=(PresentRuntime(id="llama.cpp", version=installed),)
    )
    finding = found("runtime", question(runtime=runtime), machine)
    assert finding.code == code
    assert (finding.remedy or "") == (
        "pip install --upgrade 'transformers>=4.50.0'"
        if code == "runtime-too-old"
        else ""
    )
    # the repository brings its own code
    own = question(runtime=runtime, spec=SPEC.replace(safety=Safety(remote_code=True)))
    assert found("runtime", own, machine).code != "runtime-too-old"


CPU = [
    Situation("pass", "cpu-suits"),
    Situation(
        "warn", "cpu-slow", machine=MACHINE.replace(instruction_sets=("sse4_2",))
    ),
    Situation(
        "warn",
        "cpu-crashes",
        question(runtime=Catalogue.open().runtime("llama.cpp")),
        machine=MACHINE.replace(
            instruction_sets=("sse4_2", "avx2", "fma", "f16c", "amx_int8")
        ),
    ),
    Situation(
        "warn", "cpu-assumed", machine=MACHINE.replace(assumed=("instruction_sets",))
    ),
    Situation("unknown", "cpu-unread", machine=MACHINE.replace(instruction_sets=None)),
    Situation(
        "fail",
        "cpu-lacks-instructions",
        machine=MACHINE.replace(instruction_sets=("avx2",)),
    ),
    Situation(
        "fail",
        "cpu-no-build",
        machine=MACHINE.replace(architecture="riscv64", runtimes=()),
    ),
]


@pytest.mark.parametrize(
    "situation", [*LICENSE, *OPENNESS, *WEIGHTS, *RUNTIMES, *CPU], ids=case_id
)
def test_a_situation_gets_the_finding_of_the_contract(situation: Situation) -> None:
    """Its outcome and its code, and something to do about it where it warns or fails."""
    assert_found(situation)


@pytest.mark.parametrize(
    "situations", [LICENSE, OPENNESS, WEIGHTS, RUNTIMES, CPU], ids=check_of
)
def test_every_code_of_a_check_is_reached(situations: list[Situation]) -> None:
    """The list of reason codes is closed: a situation reaches each of them, and each outcome."""
    assert_complete(situations)


def test_an_instruction_set_that_a_system_does_not_tell_of_is_unread_not_missing() -> (
    None
):
    """Windows has no way to ask for FMA: a build that needs it is unknown there, not a crash."""
    cpu = CpuNeed(
        architectures=("x86_64",), instruction_sets={"x86_64": ("avx2", "fma")}
    )
    asked = question(needs=needs_of(cpu=cpu))
    told = MACHINE.replace(instruction_sets=("avx2",))
    assert found("cpu", asked, told).code == "cpu-lacks-instructions"
    silent = told.replace(
        unread=(Unread(fact="instruction_sets.fma", reason="Windows does not tell"),)
    )
    assert found("cpu", asked, silent).code == "cpu-unread"


def test_what_builds_from_source_is_not_said_to_be_impossible() -> None:
    """riscv64, ppc64le and loongarch64 have no published build of llama.cpp, and people build it
    there: one remedy says how.
    """
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
