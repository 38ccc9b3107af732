"""What a stranger meets around the program: workflows, forms, the container, the site, SECURITY.md.

Nothing here runs them. Their consumers' schemas are held, as check-jsonschema ships them, and what
they name of this repository is there.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.paths import ROOT
from selfhost import __version__

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
DOCKERFILE = ROOT / "Dockerfile"
GUIDE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
GUIDE_TO_ACTION = GUIDE.partition("\n### GitHub Actions\n")[2].partition("\n### ")[0]


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, Any]]:
    """Each job with the name of its workflow."""
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield f"{path.name}: {name}", job


@pytest.mark.parametrize(
    ("schema", "paths"),
    [
        pytest.param("github-workflows", WORKFLOWS, id="workflows"),
        pytest.param("github-issue-forms", FORMS, id="forms"),
        pytest.param(
            "github-issue-config",
            [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
            id="list-of-forms",
        ),
        pytest.param("dependabot", [GITHUB / "dependabot.yml"], id="dependabot"),
    ],
)
def test_githubs_own_schema_holds(schema: str, paths: list[Path]) -> None:
    if find_spec("check_jsonschema") is None:
        pytest.skip("check-jsonschema is absent: the extra `test` has it")
    assert paths
    words = [sys.executable, "-m", "check_jsonschema"]
    words += ["--builtin-schema", f"vendor.{schema}", *map(str, paths)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_each_action_is_pinned_by_its_commit(path: Path) -> None:
    """A tag can be moved to other code. The version stands beside it, for people and Dependabot."""
    pinned = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    used = re.findall(r"\buses: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert used
    for action in used:
        is_of_this_repository = action.startswith(("./ ", "./.github/workflows/"))
        assert is_of_this_repository or pinned.fullmatch(action), action


def test_an_action_has_one_commit_everywhere() -> None:
    commits: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        text = path.read_text(encoding="utf-8")
        for name, commit in re.findall(r"uses: (\S+)@([0-9a-f]{40} # \S+)", text):
            commits.setdefault(name, set()).add(commit)
    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


REQUIREMENTS = GITHUB / "requirements"
_INSTALLS = re.compile(r"pip\"? install (.*)$", re.MULTILINE)


@pytest.mark.parametrize("name", ["build", "checks", "docs"])
def test_each_tool_is_pinned_by_its_hashes(name: str) -> None:
    """pip installs no file then whose hash is not named."""
    wanted = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    pinned = dict(
        re.findall(r"^([\w-]+)==(\S+) \\\n    --hash=sha256:", text, re.MULTILINE)
    )
    unpinned = [line for line in text.splitlines() if re.match(r"[\w-]+(?!.*==)", line)]
    assert unpinned == []
    assert {line for line in wanted if not line.startswith("#")} <= pinned.keys()
    assert (
        re.findall(r"--hash=(?!sha256:[0-9a-f]{64}(?: \\)?$)", text, re.MULTILINE) == []
    )
    assert "://" not in text


# what uploads the program, and what uploads the specs alone, with the folder of its project
UPLOADS = [
    pytest.param("release.yml", ROOT, id="program"),
    pytest.param("specs.yml", ROOT / "data", id="specs"),
]


@pytest.mark.parametrize(("workflow", "folder"), UPLOADS)
def test_what_is_uploaded_is_made_by_pinned_tools_alone(
    workflow: str, folder: Path
) -> None:
    """The build has no environment of its own either, for which pip would fetch the newest."""
    work = read(GITHUB / "workflows" / workflow)["jobs"]
    typed = "\n".join(step.get("run", "") for step in work["build"]["steps"])
    (installed,) = _INSTALLS.findall(typed)
    assert "--require-hashes" in installed
    assert installed.endswith("-r .github/requirements/build.txt")
    assert "-m build --no-isolation" in typed
    (outdir,) = re.findall(r"-m build --no-isolation(.*)$", typed, re.MULTILINE)
    built = outdir.rpartition("--outdir dist ")[2]
    assert ROOT / built == folder
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    text = (REQUIREMENTS / "build.in").read_text(encoding="utf-8")
    for requirement in project["build-system"]["requires"]:
        assert re.split("[<>=]", requirement)[0] in text.splitlines()


def test_the_site_is_made_by_pinned_tools_and_what_selfhost_needs() -> None:
    """Nothing else is installed where the site is made: what a hash does not pin is selfhost
    itself.
    """
    steps = read(GITHUB / "workflows" / "site.yml")["jobs"]["build"]["steps"]
    typed = "\n".join(step.get("run", "") for step in steps)
    assert _INSTALLS.findall(typed) == [
        "--require-hashes -r .github/requirements/docs.txt",
        "--no-deps .",
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = (REQUIREMENTS / "docs.in").read_text(encoding="utf-8").splitlines()
    needed = project["project"]["dependencies"]
    for requirement in [*needed, *project["project"]["optional-dependencies"]["docs"]]:
        assert re.split("[<>=]", requirement)[0] in pinned


def test_dependabot_keeps_each_kind_of_pin_and_waits_a_week() -> None:
    updates = read(GITHUB / "dependabot.yml")["updates"]
    kept = {(update["package-ecosystem"], update["directory"]) for update in updates}
    assert kept == {
        ("github-actions", "/"),
        ("pip", "/.github/requirements"),
        ("docker", "/"),
    }
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_a_job_may_read_and_ends_unless_it_says_more() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}, path.name
        assert "secrets." not in path.read_text(encoding="utf-8")
    for name, job in jobs():
        # a job that calls a workflow has the limits of that
        if "uses" not in job:
            assert job["timeout-minutes"] <= 60, name
    allowed = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert allowed == {
        "release.yml: publish": {"id-token": "write"},
        "release.yml: image": {"contents": "read", "packages": "write"},
        "release.yml: name-image": {"packages": "write"},
        "specs.yml: publish": {"id-token": "write"},
        "site.yml: publish": {"pages": "write", "id-token": "write"},
    }


@pytest.mark.parametrize("workflow", ["release.yml", "specs.yml"])
def test_what_is_published_is_what_was_tried(workflow: str) -> None:
    """Built once, where all tests pass; the job with the token only uploads that."""
    work = read(GITHUB / "workflows" / workflow)["jobs"]
    (check,) = [step["run"] for step in work["ready"]["steps"] if "run" in step]
    assert check == 'python tools/release.py --check "$GITHUB_REF_NAME"'
    assert work["tests"]["needs"] == "ready"
    assert work["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert work["build"]["needs"] == "tests"
    assert work["try"]["needs"] == "build"
    assert work["publish"]["needs"] == "try"
    assert work["publish"]["environment"] == "pypi"
    download, upload = work["publish"]["steps"]
    assert download["uses"].startswith("actions/download-artifact@")
    assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
    # neither a password nor a word against attestations
    assert "with" not in upload


def test_a_release_may_call_the_tests() -> None:
    # `on` is a truth value in YAML 1.1
    assert "workflow_call" in read(GITHUB / "workflows" / "tests.yml")[True]


def test_each_python_of_the_package_is_tested_on_each_system() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    prefix = "Programming Language :: Python :: 3."
    classifiers = project["project"]["classifiers"]
    supported = [text.rpartition(" ")[2] for text in classifiers if prefix in text]
    work = read(GITHUB / "workflows" / "tests.yml")["jobs"]["tests"]
    assert work["strategy"]["matrix"]["python"] == supported
    systems = [name.partition("-")[0] for name in work["strategy"]["matrix"]["os"]]
    assert systems == ["ubuntu", "macos", "windows"]


def test_the_tests_are_run_as_contributing_says() -> None:
    work = read(GITHUB / "workflows" / "tests.yml")["jobs"]["tests"]
    typed = "\n".join(step.get("run", "") for step in work["steps"])
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for part in ("install -e '.[test]'", "-m pytest -n auto"):
        assert part in typed
        assert part in contributing


def test_the_container_copies_what_there_is_and_runs_as_nobody_special() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    names = " ".join(copied).split()
    assert {"pyproject.toml", "setup.py", "specs", "selfhost"} <= set(names)
    for name in names:
        assert (ROOT / name).exists(), name
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["10001"]
    assert 'ENTRYPOINT ["selfhost"]' in text


def yaml_of_guide(heading: str) -> Any:
    """The first block of YAML below that heading of the guide."""
    _, _, below = GUIDE.partition(f"\n### {heading}\n")
    return yaml.safe_load(below.partition("```yaml\n")[2].partition("```")[0])


def test_the_guide_uses_the_action_that_there_is() -> None:
    """Its name, its inputs with their defaults, and its output."""
    action = read(ROOT / "action.yml")
    (job,) = yaml_of_guide("GitHub Actions")["jobs"].values()
    _, step = job["steps"]
    assert step["uses"] == f"OWNER/selfhost@v{__version__}"
    assert f"OWNER/selfhost@v{__version__} " in (ROOT / "action.yml").read_text("utf-8")
    assert set(step["with"]) <= action["inputs"].keys()
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| ", GUIDE_TO_ACTION, re.MULTILINE
    )
    defaults = {name: entry["default"] for name, entry in action["inputs"].items()}
    assert dict(rows) == defaults
    for output in action["outputs"]:
        assert f"output `{output}`" in GUIDE_TO_ACTION
    # the shell finds the repository of the action where GitHub puts it
    install = action["runs"]["steps"][0]["run"]
    assert '"${INSTALL:-$GITHUB_ACTION_PATH}"' in install


def test_the_guide_uses_the_hook_that_there_is() -> None:
    (repository,) = yaml_of_guide("pre-commit")["repos"]
    hooks = {hook["id"] for hook in read(ROOT / ".pre-commit-hooks.yaml")}
    assert {hook["id"] for hook in repository["hooks"]} == hooks
    assert repository["repo"] == "https://github.com/OWNER/selfhost"
    assert repository["rev"] == f"v{__version__}"


def test_the_guide_runs_the_image_that_is_pushed() -> None:
    """Both architectures, under the version without the `v` of its tag."""
    work = read(GITHUB / "workflows" / "release.yml")["jobs"]
    built = work["image"]["steps"][-1]["run"]
    named = work["name-image"]["steps"][-1]["run"]
    assert 'image="ghcr.io/${GITHUB_REPOSITORY,,}' in built
    assert "${GITHUB_REF_NAME#v}-$ARCHITECTURE" in built
    # it answers before it is pushed
    assert built.index("docker run --rm --network none") < built.index("docker push")
    # PyPI has the version before anybody pulls the image
    assert set(work["name-image"]["needs"]) == {"publish", "image"}
    for row in work["image"]["strategy"]["matrix"]["include"]:
        assert f'"$image:$version-{row["architecture"]}"' in named
    used = re.findall(r"ghcr\.io/OWNER/selfhost:(\S+)", GUIDE)
    assert used
    assert set(used) == {__version__}


def test_the_site_has_pages_that_are_there() -> None:
    site = read(ROOT / "mkdocs.yml")
    pages = [page for entry in site["nav"] for page in entry.values()]
    for page in [*pages, *site["extra_css"]]:
        assert (ROOT / site["docs_dir"] / page).is_file(), page


def test_security_names_tests_that_are_there() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:tests|docs)/[\w/.]*)`", text)
    assert len(named) > 12
    for path in named:
        assert (ROOT / path).exists(), path


def test_security_states_the_limits_that_the_code_has() -> None:
    from selfhost.core.files import MAX_TEXT_BYTES
    from selfhost.core.tables import MAX_FILE_BYTES
    from selfhost.modelfiles import config_keys, gguf_header, safetensors_header

    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    mib = 1 << 20
    for limit in (
        f"{gguf_header.MAX_HEADER_BYTES // mib} MiB of a GGUF header",
        f"{safetensors_header.MAX_HEADER_BYTES // 10**6} MB of a safetensors header",
        f"{safetensors_header.MAX_READ_HEADER_BYTES // 10**6} MB of it are read",
        f"{config_keys.MAX_CONFIG_BYTES // mib} MiB of a `config.json`",
        f"{MAX_FILE_BYTES // mib} MiB of TOML",
        f"{MAX_TEXT_BYTES // mib} MiB and 4 million values of records",
    ):
        assert limit in text
