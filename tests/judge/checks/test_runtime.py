"""The contract's row `runtime`: a situation for each cell and each of its reason codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from judge.small import MACHINE, RUNTIME, SPEC, cell_tests, found, of_llama_cpp, question
from selfhost.catalogue.spec import Safety  # fmt: skip
from selfhost.judge.checks import Finding, Outcome
from selfhost.machine.record import PresentRuntime

# (outcome, code) -> the situation of that cell
CELLS: Mapping[tuple[str, str], Callable[[], Finding]] = {
    ("pass", "runtime-present"): lambda: found("runtime"),
    ("pass", "runtime-any"): lambda: found("runtime", question(runtime=None)),
    ("pass", "runtime-not-installed"): lambda: found(
        "runtime", machine=MACHINE.replace(runtimes=())
    ),
    ("pass", "runtime-not-searched"): lambda: found(
        "runtime", machine=MACHINE.replace(runtimes=None)
    ),
    ("warn", "runtime-too-old"): lambda: found(
        "runtime",
        question(runtime=RUNTIME.replace(minimum_versions={"llama": "3.0"})),
        MACHINE.replace(runtimes=(PresentRuntime(id="llama.cpp", version="2.9.1"),)),
    ),
    ("warn", "runtime-unfamiliar"): lambda: found("runtime", question(unfamiliar="zorglub")),
    ("warn", "runtime-other-byte-order"): lambda: found(
        "runtime",
        question(
            runtime=RUNTIME.replace(systems=("linux-s390x",), big_endian_systems=("linux-s390x",))
        ),
        MACHINE.replace(architecture="s390x"),
    ),
    ("fail", "runtime-cannot-load"): lambda: found("runtime", question(loads="It does not.")),
    ("fail", "runtime-no-build"): lambda: found(
        "runtime", machine=MACHINE.replace(system="windows")
    ),
}


# what runs a model is always known
test_cell, test_every_cell_and_every_code_is_walked = cell_tests(
    "runtime", CELLS, outcomes=("pass", "warn", "fail")
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
    assert (
        found(
            "runtime",
            question(runtime=runtime, spec=SPEC.replace(safety=Safety(remote_code=True))),
            machine,
        ).code
        != "runtime-too-old"
    )
