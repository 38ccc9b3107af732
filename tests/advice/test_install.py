"""What a printed line of Python imports, and what its calls need, the lines before it install."""

from __future__ import annotations

import ast
import shlex
import sys
import tomllib
from functools import lru_cache

from helpers.paths import TESTS
from selfhost import Workload, check
from selfhost.advice.steps import steps
from selfhost.catalogue.index import open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SelfhostError
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.profiles import load

TABLES = tomllib.loads((TESTS / "advice" / "flags.toml").read_text(encoding="utf-8"))
DISTRIBUTIONS, BRINGS = TABLES["distributions"], TABLES["brings"]


@lru_cache
def printed() -> dict[str, tuple[RuntimeSpec, ModelSpec, tuple[str, ...]]]:
    """Of one model of each program, family, use and first input: the lines on a large machine."""
    catalogue, machine = open_catalogue(), load("server-8x-h100").machine
    lines, seen = {}, set()
    for spec_id in catalogue.ids():
        spec = catalogue.spec(spec_id)
        asked = Workload()
        if spec.modality == "vision" and not spec.runtimes:
            asked = Workload(runtime="transformers")
        kind = (spec.runtimes, spec.family, spec.uses, spec.inputs, spec.modality)
        if (
            (spec.modality == "text" and not spec.runtimes)
            or spec.closed
            or kind in seen
        ):
            continue
        seen.add(kind)
        try:
            question = ask(spec, asked, catalogue, machine)
        except SelfhostError:
            continue
        runtime = question.runtime
        if runtime is None or "python -c" not in " ".join(
            (runtime.command_lines.default, *runtime.command_lines.by_use.values())
        ):
            continue
        shown = steps(judge(question, machine), catalogue, machine)
        if any("python -c" in line for line in shown.commands):
            lines[spec_id] = (runtime, spec, (*shown.setup, *shown.commands))
    return lines


def installed(lines: tuple[str, ...]) -> set[str]:
    """The distributions that pip is told to install, with what comes with them."""
    names = set()
    for line in lines:
        for part in line.split("&&"):
            words = [] if part.startswith("#") else shlex.split(part)
            if words[:2] == ["pip", "install"]:
                names |= {_distribution(word) for word in words[2:]}
    return names | {brought for name in names for brought in BRINGS.get(name, ())}


def _distribution(word: str) -> str:
    if "/" in word:
        return word.rsplit("/", 1)[1].removesuffix(".git").partition("-0.")[0].lower()
    name = word.split(">")[0].split("<")[0].split("=")[0]
    return name if name == "mistral-common[audio]" else name.split("[")[0]


def imports(lines: tuple[str, ...]) -> set[str]:
    """The distributions of the modules that the line of Python imports, but for those of Python."""
    (words,) = (shlex.split(line) for line in lines if "python -c" in line)
    modules: set[str] = set()
    for node in ast.walk(ast.parse(words[words.index("-c") + 1])):
        if isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
    return {
        DISTRIBUTIONS.get(module, module)
        for module in modules - sys.stdlib_module_names
    }


def test_every_module_that_a_line_imports_is_installed_before() -> None:
    lacking = {
        spec_id: missing
        for spec_id, (_, _, lines) in printed().items()
        if (missing := imports(lines) - installed(lines))
    }
    assert lacking == {}
    assert len(printed()) > 100


def test_no_package_is_installed_twice() -> None:
    """accelerate stood in the line that installs Transformers, and again below it for FP8."""
    verdict = check(
        "qwen3-8b",
        machine="RTX 4090, 64 GB RAM",
        runtime="transformers",
        quantization="fp8",
    )
    packages = [
        name
        for line in verdict.setup
        if line.startswith("pip install ")
        for name in line.split()[2:]
    ]
    assert packages.count("accelerate") == 1
