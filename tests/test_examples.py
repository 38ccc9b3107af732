"""The examples run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import DATA, EXAMPLES, RECORDS, ROOT
from selfhost import Machine
from selfhost.cli import COMMANDS
from selfhost.cli import main as cli
from selfhost.cli.parser import Options


def run(name: str, source_environment: dict[str, str], *words: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        capture_output=True,
        text=True,
        env=source_environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_pick_model(source_environment: dict[str, str]) -> None:
    """What it names runs there at reading speed; a machine with less memory gets a smaller file. It
    named a model of 1.3 tokens/s.
    """
    from selfhost import check

    downloads = []
    for record in ("vm-24gib", "container-2gib"):
        path = RECORDS / f"{record}.json"
        name = run("pick_model.py", source_environment, str(path))
        machine = Machine.from_file(path)
        verdict = check(name, machine=machine, context_tokens=8192)
        assert verdict.can_run
        assert verdict.users_pace is not None
        assert verdict.users_pace.likely >= 5
        downloads.append(verdict.download_bytes or 0)
    assert downloads[0] > downloads[1] > 0


@pytest.mark.parametrize(
    ("model", "start"),
    [("gpt-4o", "api: "), ("gpt2", ("local: ", "unknown: ", "api: ", "neither: "))],
)
def test_fall_back_to_api(
    model: str, start: str | tuple[str, ...], source_environment: dict[str, str]
) -> None:
    """Each route has its branch."""
    assert run("fall_back_to_api.py", source_environment, model).startswith(start)


def test_own_spec_in_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The example spec is valid and is judged by what it states."""
    folder = EXAMPLES / "specs"
    assert cli.main(["spec", "check", *map(str, folder.glob("*.toml"))]) == 0
    for record, code in (("vm-24gib", 0), ("container-2gib", 1)):
        machine = str(RECORDS / f"{record}.json")
        words = ["check", "my-model", "--specs", str(folder), "--machine", machine]
        assert cli.main(words) == code
    assert "My fine-tuned 7B" in capsys.readouterr().out


def test_audit_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """The example policy can be held against a recorded machine."""
    code = cli.main(
        [
            "audit",
            str(EXAMPLES / "audit.toml"),
            "--machines",
            str(RECORDS / "vm-24gib.json"),
            "--today",
            "2026-11-20",
        ]
    )
    assert code in (0, 1, 3), capsys.readouterr().err


def yaml(text: str) -> Any:
    ruamel = pytest.importorskip(
        "ruamel.yaml", reason="check-jsonschema brings it: the extra `test`"
    )
    return ruamel.YAML(typ="safe").load(text)


def assert_schema(name: str, path: Path) -> None:
    """The consumer's own schema, as check-jsonschema ships it."""
    if find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is absent: the extra `test` has it")
    words = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        name,
        str(path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


ROLE = EXAMPLES / "ansible" / "roles" / "selfhost_machine"


def is_example(path: Path) -> bool:
    """Whether a file is one of ours: npm installs what the page is built of beside it."""
    is_installed = "node_modules" in path.parts
    return path.is_file() and path.suffix != ".pyc" and not is_installed


FILES = sorted(filter(is_example, EXAMPLES.rglob("*")))
# `… selfhost audit WORDS` up to what a shell, a comment or a quotation ends it with
LINES = re.compile(
    r"""(?:^|[\s'"`/])(?:selfhost|\$\{?SELFHOST(?::-selfhost\})?)"?[ ]"""
    rf"""((?:{"|".join(COMMANDS)})[ ][^`#\n|>)]*)""",
    re.MULTILINE,
)


def is_shell(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith("#!/bin/sh")


def assert_ruby(path: Path) -> None:
    """Ruby compiles it; Homebrew's own audit is not seen here."""
    if shutil.which("ruby") is None:
        pytest.skip("no ruby")
    words = ["ruby", "-c", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(EXAMPLES).as_posix()
)
def test_each_file_is_valid(path: Path) -> None:
    """A file of a kind that nothing here reads is no example yet."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".yml", ".yaml"):
        for document in re.split(r"^---$", text, flags=re.MULTILINE):
            yaml(document)
    elif path.suffix == ".toml":
        tomllib.loads(text)
    elif path.suffix == ".py":
        compile(text, path.name, "exec")
    elif path.suffix == ".json":
        json.loads(text)
    elif path.suffix == ".rb":
        assert_ruby(path)
    elif path.parent.name == "page":
        # `test_page_build.py` reads what they say
        assert path.suffix in (".html", ".css", ".js", ".mjs", ".md")
        assert text.count("{") == text.count("}")
    elif is_shell(path):
        if shutil.which("sh") is None:
            pytest.skip("no sh")
        # what Ansible fills in is one word
        filled = re.sub(r"\{\{.*?\}\}", "words", text)
        done = subprocess.run(
            ["sh", "-n"], input=filled, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert path.name == "Jenkinsfile", "say how this kind of file is checked"
        assert text.count("{") == text.count("}")


def test_each_line_of_the_examples_parses() -> None:
    """Every `selfhost …` that an example types is accepted by that command's own parser."""
    parsed: set[str] = set()
    for path in FILES:
        for line in LINES.findall(path.read_text(encoding="utf-8")):
            # an input that may be empty stands as it does where it is given
            filled = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", line)
            command, *words = shlex.split(filled.strip().rstrip("'\\"), posix=True)
            words = [word for word in words if word not in ("2", "2>&1", "\\")]
            Options.read(command, words)
            parsed.add(path.relative_to(EXAMPLES).as_posix())
    # of Ansible the words stand in a list
    (listed,) = re.findall(
        r"selfhost_machine_program, (.*?), inventory_hostname",
        (ROLE / "vars" / "main.yml").read_text(encoding="utf-8"),
    )
    command, *words = re.findall(r"'([^']+)'", listed)
    Options.read(command, [*words, "host-1", "--label", "site=s1"])
    assert parsed >= {
        "audit_gitlab.yml",
        "audit_machine.yml",
        "audit.toml",
        "ansible/gather.yml",
        "gitlab/templates/selfhost.yml",
        "jenkins/Jenkinsfile",
        "kubernetes/machines.yaml",
        "kubernetes/reader.yaml",
        "slurm/gather.sh",
        "slurm/selfhost-healthcheck",
        "specs/my-model.toml",
    }


def test_what_an_example_names_of_this_folder_exists() -> None:
    """Paths of examples/ in comments, documents and templates that tasks and includes name."""
    pages = [*FILES, *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    for page in pages:
        for name in re.findall(
            r"(?<![\w/])examples/[\w./-]*[\w-]", page.read_text(encoding="utf-8")
        ):
            assert (ROOT / name).exists(), f"{page.name}: {name}"
    for tasks in (ROLE / "tasks").glob("*.yml"):
        for template in re.findall(
            r"^\s+src: (\S+\.j2)$", tasks.read_text("utf-8"), re.MULTILINE
        ):
            assert (ROLE / "templates" / template).is_file()
    for mode in ("push", "facts"):
        assert (ROLE / "tasks" / f"{mode}.yml").is_file()


ACTION = ROOT / "action.yml"
COMPONENT = EXAMPLES / "gitlab" / "templates" / "selfhost.yml"
JENKINSFILE = EXAMPLES / "jenkins" / "Jenkinsfile"


def component(**inputs: str) -> str:
    """The component's job as GitLab makes it: every input replaced by its value or its default."""
    header, job = COMPONENT.read_text(encoding="utf-8").split("\n---\n")
    for name, entry in yaml(header)["spec"]["inputs"].items():
        job = job.replace(f"$[[ inputs.{name} ]]", inputs.get(name, entry["default"]))
    return job


def test_github_action_schema() -> None:
    """The composite action is valid by GitHub's schema for actions."""
    assert_schema("vendor.github-actions", ACTION)


def test_gitlab_component_schema(tmp_path: Path) -> None:
    """Every input has a default and a place, and the job is valid by GitLab's schema."""
    job = component()
    assert "$[[" not in job
    path = tmp_path / ".gitlab-ci.yml"
    path.write_text(job, encoding="utf-8")
    assert_schema("vendor.gitlab-ci", path)


def test_no_input_is_text_of_a_script() -> None:
    """An input is data: GitHub and GitLab would paste it into the shell otherwise, and Groovy
    too.
    """
    for step in yaml(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]:
        assert "${{" not in step["run"]
    (job,) = yaml(component(policy="P", machines="M", install="I")).values()
    assert not re.search(r"\b[PMI]\b", "\n".join(job["before_script"] + job["script"]))
    groovy = JENKINSFILE.read_text(encoding="utf-8")
    assert re.findall(r"""sh\s*\(?\s*"|script:\s*\"""", groovy) == []


# as the runners of pipelines start it
OF_RUNNERS = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")


def shell(
    script: str, folder: Path, *, by: Sequence[str] = OF_RUNNERS, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run with `selfhost` on the path and in `.selfhost/bin`."""
    place = folder / ".selfhost" / "bin"
    place.mkdir(parents=True, exist_ok=True)
    program = place / "selfhost"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m selfhost "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return subprocess.run(
        [*by, script],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**environment, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"},
    )


def github(name: str) -> str:
    steps = yaml(ACTION.read_text(encoding="utf-8"))["runs"]["steps"]
    return str(next(step["run"] for step in steps if step["name"] == name))


def gitlab(_: str) -> str:
    (job,) = yaml(component()).values()
    return "\n".join(job["script"])


def jenkins(_: str) -> str:
    (script,) = re.findall(r"script: '(.*)'", JENKINSFILE.read_text(encoding="utf-8"))
    return str(script)


def write_policy(folder: Path, name: str, model: str) -> None:
    (folder / name).write_text(
        f'schema = 1\n[[model]]\nname = "{model}"\n', encoding="utf-8"
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("script_of", [github, gitlab, jenkins])
@pytest.mark.parametrize(
    ("model", "record", "code"),
    [("gpt2", "vm-24gib.json", 0), ("mistral-7b", "container-2gib.json", 1)],
)
def test_jobs_do_what_they_say(
    script_of: Any,
    model: str,
    record: str,
    code: int,
    tmp_path: Path,
    source_environment: dict[str, str],
) -> None:
    """The exit code is the audit's, the reports lie where the job looks, and a policy's name that
    is a command in disguise is only a name.
    """
    policy = "a; touch broken; $(touch broken).toml"
    write_policy(tmp_path, policy, model)
    shutil.copy(RECORDS / record, tmp_path / "machine.json")
    done = shell(
        script_of("Audit")
        + (" --machines machine.json" if script_of is jenkins else ""),
        tmp_path,
        **{
            **source_environment,
            **dict.fromkeys(("POLICY", "SELFHOST_POLICY"), policy),
            **dict.fromkeys(("MACHINES", "SELFHOST_MACHINES"), "machine.json"),
            "FORMATS": "text junit=selfhost-junit.xml json=selfhost-audit.json",
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        },
    )
    assert (done.returncode, done.stderr) == (code, "")
    answer = json.loads((tmp_path / "selfhost-audit.json").read_text(encoding="utf-8"))
    assert answer["exit_code"] == code
    assert "<testsuite" in (tmp_path / "selfhost-junit.xml").read_text(encoding="utf-8")
    assert not (tmp_path / "broken").exists()
    if script_of is github:
        assert (tmp_path / "output").read_text(
            encoding="utf-8"
        ) == f"exit-code={code}\n"
        heading, empty, *lines = (
            (tmp_path / "summary.md").read_text("utf-8").splitlines()
        )
        assert (heading, empty) == ("### selfhost audit", "")
        assert lines
        assert all(line.startswith("    ") for line in lines)


def test_pre_commit_hook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hook takes the files that pre-commit gives it, and names each fault of each."""
    (hook,) = yaml((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    command, *words = hook["entry"].split()
    assert command == "selfhost"
    assert [
        re.search(hook["files"], path) is not None
        for path in ("audit.toml", "a/audit.toml", "audit.tom")
    ] == [True, True, False]
    assert cli.main([*words, str(EXAMPLES / "audit.toml")]) == 0
    assert "is valid" in capsys.readouterr().out
    for name, model in (("one.toml", "mistrl-7b"), ("two.toml", "gemma-99b")):
        write_policy(tmp_path, name, model)
    assert (
        cli.main([*words, str(tmp_path / "one.toml"), str(tmp_path / "two.toml")]) == 2
    )
    out, err = capsys.readouterr()
    assert out == ""
    assert "one.toml:3" in err
    assert "two.toml:3" in err


def test_recordings_name_nobody() -> None:
    """No address of the network that they were made in, and no home folder's owner."""
    for path in (DATA / "engines").iterdir():
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b\d+\.\d+\.\d+\.\d+\b|/home/", text), path.name


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_pod_logs_one_line(
    tmp_path: Path, source_environment: dict[str, str]
) -> None:
    """The DaemonSet's command: one record a line, read where the models would be stored."""
    manifest = yaml(
        (EXAMPLES / "kubernetes" / "machines.yaml").read_text(encoding="utf-8")
    )
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    (script,) = container["args"]
    waits = tmp_path / ".selfhost" / "bin" / "sleep"
    waits.parent.mkdir(parents=True)
    waits.write_text("#!/bin/sh\n", encoding="utf-8")
    waits.chmod(0o755)
    stores = {
        entry["name"]: str(tmp_path) for entry in container["env"] if "value" in entry
    }
    done = shell(
        script, tmp_path, **source_environment, **stores, NODE_NAME="node; touch broken"
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    record = json.loads(line)
    assert record["name"] == "node; touch broken"
    paths = {disk["path"] for disk in record["disks"]}
    # the pod works in the folder of the models, as the test does
    assert container["workingDir"] == "/models"
    assert {
        path for path in paths if path != "." and not path.startswith(str(tmp_path))
    } == set()
    assert not (tmp_path / "broken").exists()


def stand_ins(folder: Path, **programs: str) -> Path:
    """The folder of programs that `shell` finds there: Slurm's, and others by name and text."""
    place = folder / ".selfhost" / "bin"
    place.mkdir(parents=True)
    slurm = {"sinfo": "echo idle", "scontrol": f'echo "$@" > "{folder}/drained"'}
    for name, text in {**slurm, **programs}.items():
        (place / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (place / name).chmod(0o755)
    return place


def health_check(
    folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """The health check of a node, by `slurm.conf` in the folder."""
    return shell(
        (EXAMPLES / "slurm" / "selfhost-healthcheck").read_text(encoding="utf-8"),
        folder,
        by=("sh", "-c"),
        **environment,
        SELFHOST_CONFIG=str(folder / "slurm.conf"),
        SLURMD_NODENAME="n1",
    )


@pytest.mark.skipif(shutil.which("timeout") is None, reason="no timeout(1)")
@pytest.mark.parametrize(
    ("model", "drains", "state"),
    [
        ("gpt2", True, ""),
        ("llama-3.1-405b", True, "drain"),
        ("llama-3.1-405b", False, ""),
        ("no-such-model", True, ""),
    ],
)
def test_the_health_check_drains_for_a_broken_policy_alone(
    model: str,
    drains: bool,
    state: str,
    tmp_path: Path,
    source_environment: dict[str, str],
) -> None:
    """One line; a policy that is at fault takes no node away."""
    write_policy(tmp_path, "audit.toml", model)
    stand_ins(tmp_path)
    settings = (
        f""
        f"SELFHOST_POLICY={tmp_path}/audit.toml\nSELFHOST_DRAIN={'yes' if drains else 'no'}\n"
    )
    (tmp_path / "slurm.conf").write_text(settings, encoding="utf-8")
    done = health_check(tmp_path, source_environment)
    (line,) = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert line.startswith("selfhost: ")
    drained = tmp_path / "drained"
    assert drained.exists() is bool(state)
    if state:
        words = drained.read_text(encoding="utf-8")
        assert (
            "NodeName=n1 State=DRAIN Reason=selfhost: FAIL: the policy is broken"
            in words
        )
