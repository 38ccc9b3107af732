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

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("[0-9]*.yml"))
DOCKERFILE = ROOT / "Dockerfile"


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


def test_each_action_is_pinned_by_its_whole_version() -> None:
    """A tag such as v6 moves with each release of the action."""
    for name, job in jobs():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"]), name


def test_a_job_may_read_and_ends_unless_it_says_more() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}, path.name
        assert "secrets." not in path.read_text(encoding="utf-8")
    for name, job in jobs():
        assert job["timeout-minutes"] <= 60, name
    allowed = {name: job["permissions"] for name, job in jobs() if "permissions" in job}
    assert allowed == {
        "release.yml: publish": {"id-token": "write"},
        "site.yml: publish": {"pages": "write", "id-token": "write"},
    }


def test_what_is_published_is_what_was_tried() -> None:
    """Built once; the job with the token runs nothing but the upload of that."""
    work = read(GITHUB / "workflows" / "release.yml")["jobs"]
    assert work["try"]["needs"] == "build"
    assert work["publish"]["needs"] == "try"
    assert work["publish"]["environment"] == "pypi"
    download, upload = work["publish"]["steps"]
    assert download["uses"].startswith("actions/download-artifact@")
    assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
    # neither a password nor a word against attestations
    assert "with" not in upload


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
