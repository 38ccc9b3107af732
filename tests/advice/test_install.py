"""What a printed line of Python imports, and what its calls need, the lines before it install."""

from __future__ import annotations

import ast
import shlex
import sys
import tomllib
from functools import cache

from helpers.paths import TESTS
from selfhost import Workload, check
from selfhost.advice.steps import steps
from selfhost.catalogue.index import Catalogue, open_catalogue
from selfhost.catalogue.runtime import RuntimeSpec
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SelfhostError
from selfhost.judge.judging import judge
from selfhost.judge.question import ask
from selfhost.machine.profiles import load
from selfhost.machine.record import Machine

_TABLES = tomllib.loads((TESTS / "advice" / "flags.toml").read_text(encoding="utf-8"))
# the distribution that has a module, where it has another name
DISTRIBUTIONS: dict[str, str] = _TABLES["distributions"]
# what pip installs beside a distribution
BRINGS: dict[str, list[str]] = _TABLES["brings"]


def asks_a_line_of_python(runtime: RuntimeSpec) -> bool:
    """Whether a command of the program is `python -c`."""
    commands = runtime.command_lines
    lines = (commands.default, *commands.by_use.values())
    return any("python -c" in line for line in lines)


def lines_printed(
    spec: ModelSpec, catalogue: Catalogue, machine: Machine
) -> tuple[str, ...]:
    """The lines that are printed for a model where one is of Python; else none."""
    workload = Workload()
    if spec.modality == "vision" and not spec.runtimes:
        workload = Workload(runtime="transformers")
    try:
        question = ask(spec, workload, catalogue, machine)
    except SelfhostError:
        return ()
    if question.runtime is None or not asks_a_line_of_python(question.runtime):
        return ()
    shown = steps(judge(question, machine), catalogue, machine)
    if not any("python -c" in line for line in shown.commands):
        return ()
    return (*shown.setup, *shown.commands)


@cache
def printed() -> dict[str, tuple[str, ...]]:
    """Of one model of each program, family, use and first input: the lines on a large machine."""
    catalogue = open_catalogue()
    machine = load("server-8x-h100").machine
    found = {}
    seen = set()
    for spec_id in catalogue.ids():
        spec = catalogue.spec(spec_id)
        is_usual_text = spec.modality == "text" and not spec.runtimes
        if is_usual_text or spec.closed:
            continue
        kind = (spec.runtimes, spec.family, spec.uses, spec.inputs, spec.modality)
        if kind in seen:
            continue
        seen.add(kind)
        lines = lines_printed(spec, catalogue, machine)
        if lines:
            found[spec_id] = lines
    return found


def installed(lines: tuple[str, ...]) -> set[str]:
    """The distributions that pip is told to install, with what comes with them."""
    names: set[str] = set()
    for line in lines:
        for part in line.split("&&"):
            if part.startswith("#"):
                continue
            words = shlex.split(part)
            if words[:2] == ["pip", "install"]:
                names.update(_distribution(word) for word in words[2:])
    brought: set[str] = set()
    for name in names:
        brought.update(BRINGS.get(name, ()))
    return names | brought


def _distribution(word: str) -> str:
    """The name of what a word of `pip install` names: a file, a repository or a requirement."""
    if "/" in word:
        file = word.rsplit("/", 1)[1].removesuffix(".git")
        return file.partition("-0.")[0].lower()
    name = word.split(">")[0].split("<")[0].split("=")[0]
    if name == "mistral-common[audio]":
        return name
    return name.split("[")[0]


def imports(lines: tuple[str, ...]) -> set[str]:
    """The distributions of the modules that the line of Python imports, but for those of Python."""
    (line,) = [line for line in lines if "python -c" in line]
    words = shlex.split(line)
    code = words[words.index("-c") + 1]
    modules: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            modules.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.Import):
            modules.update(alias.name.partition(".")[0] for alias in node.names)
    foreign = modules - sys.stdlib_module_names
    return {DISTRIBUTIONS.get(module, module) for module in foreign}


def test_every_module_that_a_line_imports_is_installed_before() -> None:
    """Whoever pastes the lines in order meets no `ModuleNotFoundError`."""
    lacking = {}
    for spec_id, lines in printed().items():
        missing = imports(lines) - installed(lines)
        if missing:
            lacking[spec_id] = missing
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
