"""tools/refresh_catalogue.py: collected files become specs and changes for review, and nothing else changes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import refresh_catalogue
from helpers.paths import DATA, SPEC_FILES, SPECS
from selfhost import check
from selfhost.catalogue.index import Catalogue
from selfhost.modelfiles.specfiles import check_spec_files

CONFIGS = DATA / "configs"
IN_CATALOGUE = ("qwen3-8b", "qwen3-0.6b", "gpt-oss-20b")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A catalogue of three models, whose files a test may change."""
    folder = tmp_path / "specs"
    for part in ("common", "runtimes"):
        shutil.copytree(SPECS / part, folder / part)
    for id in IN_CATALOGUE:
        path = folder / SPEC_FILES[id].relative_to(SPECS)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SPEC_FILES[id], path)
    return folder


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    folder = tmp_path / "collected"
    folder.mkdir()
    return folder


def run(collected: Path, specs: Path, to: str = "proposals") -> tuple[int, str, Path]:
    """Exit code, report and folder of a run."""
    target = collected.parent / to
    code = refresh_catalogue.main([str(collected), "--to", str(target), "--specs", str(specs)])
    report = target / "REPORT.md"
    return code, report.read_text(encoding="utf-8") if report.exists() else "", target


def copy(name: str, target: Path, **changes: object) -> None:
    """A published config.json with some keys changed; None takes one away."""
    values = json.loads((CONFIGS / name).read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in values.items() if value is not None}
    target.write_text(json.dumps(kept), encoding="utf-8")


def listing(repository: str, **more: object) -> str:
    return json.dumps(
        {
            "id": repository, "gated": False, "createdAt": "2026-11-02T08:00:00.000Z",
            "tags": ["license:apache-2.0", "region:us"],
            "siblings": [{"rfilename": "model.safetensors", "size": 1}, {"rfilename": "config.json", "size": 1}],
        }
        | more
    )  # fmt: skip


def applied(diff: str, text: str) -> str:
    """The text after a unified diff of it."""
    old, new, place = text.splitlines(), [], 0
    for line in diff.splitlines()[2:]:
        header = re.match(r"@@ -(\d+)", line)
        if header:
            start = int(header[1]) - 1
            new += old[place:start]
            place = start
        elif line.startswith("+"):
            new.append(line[1:])
        else:
            assert old[place] == line[1:]
            place += 1
            new += [line[1:]] if line.startswith(" ") else []
    return "\n".join([*new, *old[place:]]) + "\n"


def apply_all(target: Path, specs: Path) -> None:
    for path in (target / "new").iterdir():
        shutil.copy(path, next((specs / "models").iterdir()))
    for path in (target / "changes").iterdir():
        (spec,) = specs.glob(f"models/*/{path.stem}.toml")
        spec.write_text(applied(path.read_text("utf-8"), spec.read_text("utf-8")), "utf-8")


def test_a_model_that_is_missing_becomes_a_valid_spec(collected: Path, specs: Path) -> None:
    """A config.json and a listing beside it give a spec that passes `spec check` and that `check` answers."""
    copy("Qwen--Qwen3-14B.json", collected / "Qwen--Qwen9-14B.json")
    (collected / "listing.json").write_text(listing("Qwen/Qwen9-14B"), "utf-8")
    code, report, target = run(collected, specs)
    assert code == 1
    path = target / "new" / "qwen9-14b.toml"
    catalogue = Catalogue.open(shipped=str(specs))
    problems, good = check_spec_files([str(path)], catalogue.specs())
    assert problems == ()
    spec = good[0]
    # the figures of Qwen3 14B's model card: 40 layers, 40 heads of queries and 8 of keys, 14.8 B
    assert spec.architecture is not None
    assert (spec.architecture.layers, spec.architecture.heads) == (40, 40)
    assert spec.architecture.attention[0].kv_heads == 8
    assert round((spec.parameters.total or 0) / 1e8) == 148
    assert spec.license is not None
    assert (spec.license.id, spec.license.commercial_use) == ("Apache-2.0", "yes")
    assert (spec.gated, spec.released, spec.developer) == (False, "2026-11-02", "Alibaba (Qwen)")
    assert spec.safety.formats == ("safetensors",)
    assert "`uses`: no file states what it was made for" in report
    answer = check("qwen9-14b", machine="macbook-air-m2-16gb", specs=[target / "new"])
    assert answer.findings


def test_another_number_of_layers_is_a_disagreement_and_a_diff(
    collected: Path, specs: Path
) -> None:
    """The report names fact, both values and both sources; the diff changes that line alone."""
    copy("Qwen--Qwen3-8B.json", collected / "Qwen--Qwen3-8B.json", num_hidden_layers=37)
    code, report, target = run(collected, specs)
    assert code == 1
    row = next(line for line in report.splitlines() if "`architecture.layers`" in line)
    assert [cell.strip() for cell in row.split("|")][1:5] == [
        "`qwen3-8b`", "`architecture.layers`", "36", "37",
    ]  # fmt: skip
    assert "llmfit" in row
    assert "Qwen--Qwen3-8B.json" in row
    diff = (target / "changes" / "qwen3-8b.diff").read_text("utf-8")
    assert "-layers = 36\n+layers = 37\n" in diff
    changed = applied(diff, (specs / SPEC_FILES["qwen3-8b"].relative_to(SPECS)).read_text("utf-8"))
    assert "layers = 37" in changed
    # the counts of parameters follow from the layers
    assert re.findall(r"(?m)^\+(\w+)", diff.partition("@@")[2]) == ["total", "active", "layers"]


def test_a_second_run_over_what_was_applied_proposes_nothing(collected: Path, specs: Path) -> None:
    """New specs, mended facts and noted sources are found again as they were written."""
    copy("Qwen--Qwen3-14B.json", collected / "Qwen--Qwen9-14B.json")
    (collected / "listing.json").write_text(listing("Qwen/Qwen9-14B"), "utf-8")
    copy("Qwen--Qwen3-8B.json", collected / "other.json", max_position_embeddings=50_000)
    copy("Qwen--Qwen3-0.6B.json", collected / "Qwen--Qwen3-0.6B.json")
    source = {"repository": "someone/copies", "commit": "0123456789abcdef", "path": "a/config.json"}
    index = [
        {"file": "other.json", "model": "Qwen/Qwen3-8B", "source": source},
        {"file": "Qwen--Qwen3-0.6B.json", "model": "Qwen/Qwen3-0.6B", "source": source},
    ]
    (collected / "index.json").write_text(json.dumps({"files": index}), "utf-8")
    code, _, target = run(collected, specs)
    assert code == 1
    noted = (target / "changes" / "qwen3-0.6b.diff").read_text("utf-8")
    assert "someone/copies@01234567: a/config.json agrees" in noted
    apply_all(target, specs)
    code, report, target = run(collected, specs, "again")
    assert code == 0, report
    assert not [*(target / "new").iterdir(), *(target / "changes").iterdir()]


def test_every_broken_file_is_listed_and_the_others_are_read(collected: Path, specs: Path) -> None:
    """One run names each file that cannot be read, and exits with 2."""
    (collected / "a.json").write_text("{", "utf-8")
    (collected / "b.json").write_bytes(b"")
    (collected / "c.gguf").write_bytes(b"GGUF" + bytes(8))
    (collected / "d.json").write_text("version https://git-lfs.github.com/spec/v1\nsize 12\n")
    (collected / "e.json").write_text("[" * 100_000, "utf-8")
    (collected / "f.json").write_text('{"a": 1}', "utf-8")
    copy("Qwen--Qwen3-8B.json", collected / "Qwen--Qwen3-8B.json")
    code, report, _ = run(collected, specs)
    assert code == 2
    faulty = report.partition("## Not readable")[2].partition("## Not used")[0]
    assert re.findall(r"`(\w)\.\w+`", faulty) == ["a", "b", "c", "d", "e"]
    assert "`f.json`" in report.partition("## Not used")[2]
    assert "- `qwen3-8b`: " in report
