"""Blocks to paste: each read by its consumer's own schema or program."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from helpers.paths import DATA
from selfhost import Workload, check
from selfhost.advice.sizes import ContainerSize, node
from selfhost.api import size
from selfhost.core import units
from selfhost.machine.changes import apply
from selfhost.machine.description import cards_named
from selfhost.reports.check_text import check_document
from selfhost.reports.container_files import container_file
from selfhost.reports.layout import plain

yaml = pytest.importorskip(
    "yaml", reason="PyYAML is not installed: it comes with [test]"
)
COMPOSE = json.loads(
    (DATA / "compose" / "compose-spec.json").read_text(encoding="utf-8")
)
BLOCKS = ("kubernetes", "compose", "docker", "systemd")
UNITS = {"m": 2**20, "M": 2**20, "Mi": 2**20, "Gi": 2**30}


class Case(NamedTuple):
    """What is sized, and how a container is given the GPUs that it takes."""

    model: str
    runtime: str = "llama.cpp"
    gpu: str = ""
    users: int = 1
    # of Kubernetes, "" where no GPU is taken
    resource: str = ""
    gpu_count: str = "1"
    # of `docker run`
    option: str = ""


NVIDIA = "nvidia.com/gpu"
ON_CPU = Case("mistral-7b")
OWN_FILE = Case("gemma2:9b", gpu="L4", resource=NVIDIA, option="--gpus")
each_case = pytest.mark.parametrize(
    "case",
    [
        pytest.param(ON_CPU, id="cpu"),
        pytest.param(
            Case("falcon-h1-0.5b-instruct", users=4), id="recurrent, four users"
        ),
        pytest.param(Case("bge-m3"), id="embedding"),
        pytest.param(
            Case("gemma-3-4b-it", gpu="RTX 4090", resource=NVIDIA, option="--gpus"),
            id="nvidia, gated",
        ),
        pytest.param(
            Case(
                "qwen3-8b", gpu="RX 7900 XTX", resource="amd.com/gpu", option="--device"
            ),
            id="amd",
        ),
        # no node has i915 for a Battlemage card: intel-device-plugins-for-kubernetes, README
        pytest.param(
            Case(
                "qwen3-8b",
                gpu="Arc B580",
                resource="gpu.intel.com/xe",
                option="--device",
            ),
            id="intel on xe",
        ),
        pytest.param(Case("llama-3.1-8b", runtime="ollama"), id="ollama"),
        # vLLM needs a GPU where none is named
        pytest.param(
            Case("qwen3-8b", runtime="vllm", resource=NVIDIA, option="--gpus"),
            id="vllm",
        ),
        pytest.param(
            Case(
                "llama-3.3-70b",
                runtime="vllm",
                gpu="4x H100 SXM",
                users=4,
                resource=NVIDIA,
                gpu_count="4",
                option="--gpus",
            ),
            id="vllm on four",
        ),
        pytest.param(OWN_FILE, id="own file"),
    ],
)


@cache
def sized(case: Case) -> ContainerSize:
    """The size of the container."""
    machine = apply(node(), [], [cards_named(case.gpu)]) if case.gpu else None
    workload = Workload(runtime=case.runtime, parallel=case.users)
    return size(case.model, workload, machine=machine)


def test_a_size_tells_the_figure_that_check_shows() -> None:
    """`size` has the most that a GPU may hold, and `check` the likely figure: 22.9 and 20.1 GiB of
    one model stood there without a word.
    """
    own = size("gemma2:9b", machine="rtx 4090")
    terms = [term for term in own.needs.terms if term.where != "host"]
    likely = units.binary(sum(term.bytes for term in terms))
    (row,) = [text for text in str(own).splitlines() if "accelerator" in text]
    assert row.endswith(f"; likely {likely}")
    shown = plain(check_document([check("gemma2:9b", machine="rtx 4090")]))
    assert f"GPU {likely.removesuffix(' GiB')} of" in " ".join(shown.split())


def block(kind: str, *sizes: ContainerSize) -> str:
    """The file of that kind for these containers."""
    return container_file(kind, sizes)


def in_bytes(text: str) -> int:
    """A quantity of any of the blocks."""
    match = re.fullmatch(r"(\d+)(m|M|Mi|Gi)", text)
    assert match is not None, text
    return int(match[1]) * UNITS[match[2]]


def is_within_a_mebibyte(text: str, size_bytes: int) -> bool:
    """Whether a quantity is the size, rounded up."""
    return 0 <= in_bytes(text) - size_bytes < 2**20


@each_case
def test_a_pod_is_given_the_printed_sizes(case: Case) -> None:
    """Requests and limits with the page cache, rounded up; every GPU; the disk of two copies."""
    about = sized(case)
    (document,) = yaml.safe_load_all(block("kubernetes", about))
    (container,) = document["spec"]["template"]["spec"]["containers"]
    requests = container["resources"]["requests"]
    limits = container["resources"]["limits"]
    assert is_within_a_mebibyte(requests["memory"], about.request_bytes)
    assert is_within_a_mebibyte(limits["memory"], about.limit_bytes)
    if not about.files_are_yours:
        disk_bytes = about.disk_bytes or 0
        assert in_bytes(limits["ephemeral-storage"]) >= 2 * disk_bytes
    cards = {case.resource: case.gpu_count} if case.resource else {}
    for quantities in (limits, requests):
        assert {key: quantities[key] for key in quantities if "/" in key} == cards
    assert container["image"] == about.image
    assert container.get("args", []) == list(about.image_arguments)
    waited = container["startupProbe"]["failureThreshold"] * 10
    assert waited >= about.seconds_to_start
    # 600 by default, after which `kubectl rollout status` and Helm call the pod that downloads
    # a failure
    assert document["spec"]["progressDeadlineSeconds"] > waited


def test_no_pod_looks_for_your_file_in_an_empty_directory() -> None:
    """An emptyDir is new with each pod (kubernetes.io, Volumes), so that nobody could fill it.

    A pod whose claim does not exist is not scheduled. Nothing is downloaded, so no token is asked
    for.
    """
    about = sized(OWN_FILE)
    assert about.files_are_yours
    text = block("kubernetes", about)
    (document,) = yaml.safe_load_all(text)
    pod = document["spec"]["template"]["spec"]
    claim = "gemma-2-9b-it-models"
    assert pod["volumes"] == [
        {"name": "models", "persistentVolumeClaim": {"claimName": claim}}
    ]
    assert f"PersistentVolumeClaim {claim} of 6Gi" in text  # 5.44 GB of files
    assert "emptyDir" not in text
    assert "HF_TOKEN" not in text


@each_case
def test_compose_takes_the_file(case: Case) -> None:
    """The schema of the compose specification."""
    about = sized(case)
    document = yaml.safe_load(block("compose", about))
    jsonschema.Draft7Validator(COMPOSE).validate(document)
    (service,) = document["services"].values()
    resources = service["deploy"]["resources"]
    assert is_within_a_mebibyte(resources["limits"]["memory"], about.limit_bytes)
    assert is_within_a_mebibyte(
        resources["reservations"]["memory"], about.request_bytes
    )
    assert service["memswap_limit"] == resources["limits"]["memory"]


def parsed(line: str) -> tuple[dict[str, str], str, list[str]]:
    """Options, image and arguments of a `docker run` command, read as docker does.

    All options but one have a value (docs.docker.com/reference/cli/docker/container/run).
    """
    words = shlex.split(line)
    assert words[:3] == ["docker", "run", "--detach"]
    options: dict[str, str] = {}
    at = 3
    while words[at].startswith("-"):
        options[words[at]] = words[at + 1]
        at += 2
    return options, words[at], words[at + 1 :]


@each_case
def test_docker_takes_the_line(case: Case) -> None:
    """Only documented options; swap is as large as memory, so none is used.

    docs.docker.com, resource constraints.
    """
    about = sized(case)
    text = block("docker", about).replace("\\\n", "")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    options, image, arguments = parsed(lines[0])
    assert image == about.image
    assert arguments == list(about.image_arguments)
    assert is_within_a_mebibyte(options["--memory"], about.limit_bytes)
    assert options["--memory-swap"] == options["--memory"]
    assert is_within_a_mebibyte(options["--memory-reservation"], about.request_bytes)
    expected = {case.option} if case.option else set()
    assert options.keys() & {"--gpus", "--device"} == expected
    assert len(lines) == (2 if about.fetch else 1)
    assert ("--mount" in options) is about.files_are_yours
    assert ("--volume" in options) is not about.files_are_yours


@each_case
def test_a_unit_protects_the_request_and_ends_at_the_limit(
    case: Case, tmp_path: Path
) -> None:
    """MemoryMin is what cannot be given back, MemoryLow the page cache too.

    systemd.resource-control(5); systemd-analyze has nothing to say.
    """
    about = sized(case)
    if program := shutil.which("systemd-analyze"):
        unit = tmp_path / "model.service"
        unit.write_text(block("systemd", about), encoding="utf-8")
        done = subprocess.run(
            [program, "verify", str(unit)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0
        assert "model.service" not in done.stderr
    lines = block("systemd", about).splitlines()
    memory_lines = [line for line in lines if line.startswith("Memory")]
    settings = dict(line.split("=", 1) for line in memory_lines)
    assert is_within_a_mebibyte(settings["MemoryMin"], about.unreclaimable_bytes)
    assert is_within_a_mebibyte(settings["MemoryLow"], about.request_bytes)
    assert is_within_a_mebibyte(settings["MemoryMax"], about.limit_bytes)
    assert "0.0.0.0" not in block("systemd", about)


# names of files as somebody may choose them
FILE_NAMES = [
    pytest.param("\x1b[31mred.gguf", id="escape code"),
    pytest.param("a\u202eb\u2066c\u200b.gguf", id="direction of text"),
    pytest.param("a\nb\tc.gguf", id="line break"),
    pytest.param(
        'it\'s "$HOME" ${HOME} $(HOME) $$ `id` %h%i \\x41 ; #.gguf', id="shell"
    ),
    pytest.param("x ##[error]y ::error::z.gguf", id="CI service"),
    pytest.param("\U000e0001 😀é.gguf", id="beyond U+FFFF"),
]


def by_docker(text: str) -> list[str]:
    """The words that the shell gives to `docker run`."""
    line = text.replace("\\\n", "").splitlines()
    (run,) = [each for each in line if each.startswith("docker run")]
    script = 'docker() { printf "%s\\0" "$@"; }; ' + run
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")


def by_compose(text: str) -> list[str]:
    """The command, its variables put in: `$$` is a dollar (compose-spec, interpolation)."""
    (service,) = yaml.safe_load(text)["services"].values()
    assert not [
        word for word in service["command"] if re.search(r"\$", word.replace("$$", ""))
    ], "a variable would be put in"
    return [word.replace("$$", "$") for word in service["command"]]


def by_kubernetes(text: str) -> list[str]:
    """The arguments, expanded as kubelet does: `$$` is a dollar, `$(NAME)` a variable.

    k8s.io/kubernetes, third_party/forked/golang/expansion.
    """
    (document,) = yaml.safe_load_all(text)
    (container,) = document["spec"]["template"]["spec"]["containers"]

    def expanded(match: re.Match[str]) -> str:
        assert match[0] == "$$", "a variable would be put in"
        return "$"

    return [re.sub(r"\$\$|\$\([^)]*\)", expanded, word) for word in container["args"]]


def by_systemd(text: str) -> list[str]:
    """The words of ExecStart, read as systemd.syntax(7) and systemd.service(5) say."""
    (line,) = [each for each in text.splitlines() if each.startswith("ExecStart=")]
    found = re.findall(
        r'"((?:\\.|[^"\\])*)"|((?:\\.|[^\s"\\])+)', line.partition("=")[2]
    )
    escape = r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))"

    def unescaped(match: re.Match[str]) -> str:
        number = match[1] or match[2] or match[3]
        return chr(int(number, 16)) if number else match[4]

    words = [re.sub(escape, unescaped, quoted or bare) for quoted, bare in found]
    for word in words:
        assert not re.search(r"[$%]", word.replace("$$", "").replace("%%", "")), (
            "put in"
        )
    return [word.replace("$$", "$").replace("%%", "%") for word in words]


READERS = {
    "docker": by_docker,
    "compose": by_compose,
    "kubernetes": by_kubernetes,
    "systemd": by_systemd,
}


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_block_names_the_very_file(kind: str, name: str) -> None:
    """Whatever the name of a file holds: each reader of a block loads that file.

    No sign of the name reaches a terminal as it is.
    """
    about = sized(ON_CPU).replace(arguments=("--model", f"/models/{name}"))
    text = block(kind, about)
    assert [sign for sign in text if not sign.isprintable() and sign != "\n"] == []
    assert "##[" not in text
    assert f"/models/{name}" in READERS[kind](text)


@pytest.mark.parametrize("kind", BLOCKS)
def test_no_name_gives_orders(kind: str) -> None:
    """A model's name with line ends, YAML, shell and workflow commands stays a comment, or text."""
    name = "x\n::error::y\n- a: b\n\x1b[31m; rm -rf /\nExecStart=/bin/sh $(id) `id` %h"
    about = sized(ON_CPU)
    hostile = about.replace(
        model=about.model.replace(name=name, id="A b\n: {c}"), notes=(name,)
    )
    text = block(kind, hostile)
    assert "\x1b" not in text
    assert not re.search(r"^\s*(::|rm|ExecStart=/bin/sh|- a:)", text, re.MULTILINE)
    if kind in ("kubernetes", "compose"):
        harmless = about.replace(model=about.model.replace(id="a-b-c"))
        assert yaml.safe_load(text) == yaml.safe_load(block(kind, harmless))


def test_servers_of_one_machine_share_no_name_and_no_port() -> None:
    """Two of one model would take the place of each other, and the second would not start."""
    about = sized(ON_CPU)
    services = yaml.safe_load(block("compose", about, about, about))["services"]
    name = "mistral-7b-instruct-v0-3"
    assert list(services) == [name, f"{name}-2", f"{name}-3"]
    published = [service["ports"][0].split(":")[1] for service in services.values()]
    assert len(set(published)) == 3
