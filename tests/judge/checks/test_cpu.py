"""The contract's row `cpu`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from judge.small import MACHINE, cell_tests, found, needs_of, of_llama_cpp, question
from selfhost.catalogue.index import Catalogue
from selfhost.core.records import Unread
from selfhost.judge.checks import Finding, Outcome
from selfhost.machine.record import PresentRuntime
from selfhost.needs.records import CpuNeed

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "cpu-suits"): lambda: found("cpu"),
    ("warn", "cpu-slow"): lambda: found(
        "cpu", machine=MACHINE.replace(instruction_sets=("sse4_2",))
    ),
    ("warn", "cpu-crashes"): lambda: found(
        "cpu",
        question(runtime=Catalogue.open().runtime("llama.cpp")),
        machine=MACHINE.replace(instruction_sets=("sse4_2", "avx2", "fma", "f16c", "amx_int8")),
    ),
    ("warn", "cpu-assumed"): lambda: found(
        "cpu", machine=MACHINE.replace(assumed=("instruction_sets",))
    ),
    ("unknown", "cpu-unread"): lambda: found("cpu", machine=MACHINE.replace(instruction_sets=None)),
    ("fail", "cpu-lacks-instructions"): lambda: found(
        "cpu", machine=MACHINE.replace(instruction_sets=("avx2",))
    ),
    ("fail", "cpu-no-build"): lambda: found(
        "cpu", machine=MACHINE.replace(architecture="riscv64", runtimes=())
    ),
}


test_cell, test_every_cell_and_every_code_is_walked = cell_tests("cpu", CELLS)


def test_an_instruction_set_that_a_system_does_not_tell_of_is_unread_not_missing() -> None:
    """Windows has no way to ask for FMA: a build that needs it is unknown there, not a crash."""
    asked = question(
        needs=needs_of(
            cpu=CpuNeed(architectures=("x86_64",), instruction_sets={"x86_64": ("avx2", "fma")})
        )
    )
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
        assert (findings["runtime"].outcome, findings["runtime"].code) == (
            Outcome.WARN,
            "runtime-not-installed",
        )
        assert "No build is published" in findings["runtime"].reason
        assert "docs/build.md" in (findings["runtime"].remedy or "")
        # Ollama has no build there either
        assert not any(line.startswith("ollama") for line in verdict.commands)
        # found there, it was built there
        present = of_llama_cpp(
            architecture, runtimes=(PresentRuntime(id="llama.cpp", version="b10361"),)
        )
        assert (
            next(finding for finding in present.findings if finding.check == "runtime").code
            == "runtime-present"
        )
