"""tools/refresh_catalogue.py: collected files become specs and changes for review, and nothing else changes."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

import refresh_catalogue
from helpers.ggufs import gguf, measured, metadata, placed
from helpers.paths import DATA, SPECS
from selfhost import check
from selfhost.catalogue.index import Catalogue
from selfhost.modelfiles.speccheck import check_spec_files

CONFIGS = DATA / "configs"
IN_CATALOGUE = ("qwen3-8b", "qwen3-0.6b", "gpt-oss-20b")


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    """A catalogue of three models, whose files a test may change."""
    folder = tmp_path / "specs"
    for part in ("common", "runtimes"):
        shutil.copytree(SPECS / part, folder / part)
    for id in IN_CATALOGUE:
        shutil.copy(SPECS / f"{id}.toml", folder)
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
        shutil.copy(path, specs)
    for path in (target / "changes").iterdir():
        spec = specs / f"{path.stem}.toml"
        spec.write_text(applied(path.read_text("utf-8"), spec.read_text("utf-8")), "utf-8")


def test_a_model_that_is_missing_becomes_a_valid_spec(collected: Path, specs: Path) -> None:
    """A config.json and a listing beside it give a spec that passes `spec check` and that `check` answers."""
    copy("Qwen--Qwen3-14B.json", collected / "Qwen--Qwen9-14B.json")
    (collected / "listing.json").write_text(listing("Qwen/Qwen9-14B"), "utf-8")
    code, report, target = run(collected, specs)
    assert code == 1
    path = target / "new" / "qwen9-14b.toml"
    catalogue = Catalogue.open(shipped=str(specs))
    problems, good, _ = check_spec_files(
        [str(path)], catalogue.specs(), catalogue.common("architectures")
    )
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
    changed = applied(diff, (specs / "qwen3-8b.toml").read_text("utf-8"))
    assert "layers = 37" in changed
    # the counts of parameters follow from the layers
    assert re.findall(r"(?m)^\+(\w+)", diff.partition("@@")[2]) == ["total", "active", "layers"]


def test_a_model_is_told_by_where_its_file_lies(collected: Path, specs: Path) -> None:
    """`OWNER--NAME.json` in any folder, OWNER/NAME, a folder of Hugging Face's cache, and a name that the catalogue has."""
    for place in (
        "some/folder/Qwen--Qwen3-8B.json",
        "Qwen/Qwen3-8B/config.json",
        "Qwen--Qwen3-8B/config.json",
        "models--Qwen--Qwen3-8B/snapshots/0123/config.json",
        "qwen3-8b/config.json",
        "Qwen3 8B.json",
    ):
        (collected / place).parent.mkdir(parents=True, exist_ok=True)
        copy("Qwen--Qwen3-8B.json", collected / place)
    code, report, _ = run(collected, specs)
    assert code == 0, report
    assert "6 statements on models; 1 of the models are in the catalogue" in report


def test_what_agrees_is_confirmed_and_nothing_is_to_do(collected: Path, specs: Path) -> None:
    """Published files of models whose specs are right leave the catalogue as it is."""
    for name in ("Qwen--Qwen3-8B.json", "Qwen--Qwen3-0.6B.json", "openai--gpt-oss-20b.json"):
        copy(name, collected / name)
    code, report, target = run(collected, specs)
    assert code == 0
    assert all(f"- `{id}`: " in report for id in IN_CATALOGUE)
    assert not list((target / "new").iterdir())
    assert not list((target / "changes").iterdir())


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


def test_what_a_spec_has_settled_in_words_is_not_proposed_again(
    collected: Path, specs: Path
) -> None:
    """A source of that very fact that quotes the other value says why the spec keeps its own."""
    copy("Qwen--Qwen3-8B.json", collected / "Qwen--Qwen3-8B.json", vocab_size=151_000)
    spec = specs / "qwen3-8b.toml"
    text = spec.read_text("utf-8").replace(
        "[sources]\n",
        '[sources]\n"architecture.vocabulary" = "model card; an early copy of config.json had 151,000"\n'
        '"parameters.total" = "the early copy comes to 8,187,490,304"\n',
    )
    spec.write_text(text, "utf-8")
    _, report, target = run(collected, specs)
    settled = report.partition("## Settled before")[2]
    assert "an early copy of config.json had 151,000" in settled
    diffs = "".join(path.read_text("utf-8") for path in (target / "changes").iterdir())
    assert "vocabulary" not in diffs


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


def test_names_of_files_do_no_harm(collected: Path, specs: Path) -> None:
    """Whatever a file or a model is called, all is written below the given folder, on its own lines."""
    copy("Qwen--Qwen3-14B.json", collected / "Qwen--..%2f..%2fevil.json")
    copy("Qwen--Qwen3-14B.json", collected / "a|b`c\nd.json")
    (collected / "listing.json").write_text(listing("../../x/Qwen9"), "utf-8")
    (collected / "loop").symlink_to(collected, target_is_directory=True)
    before = sorted(path.name for path in collected.parent.iterdir())
    _, report, target = run(collected, specs)
    assert sorted(path.name for path in collected.parent.iterdir()) == sorted(
        [*before, "proposals"]
    )
    assert {path.parent.name for path in target.rglob("*.toml")} <= {"new"}
    assert all(re.fullmatch(r"[a-z0-9.-]+", path.stem) for path in target.rglob("*.toml"))
    assert "\nd.json" not in report


def test_the_head_of_a_gguf_file_is_enough(collected: Path, specs: Path) -> None:
    """The first bytes of a file of some GB, as a range request gives them, are held against the spec."""
    model = measured()["gpt-oss-20b"]
    values = metadata("gpt-oss-20b", model, **{"gpt-oss.context_length": 65_536})
    header, size = gguf(values, placed(model))
    assert size > 10 * 1e9
    (collected / "anything.gguf").write_bytes(header)
    code, report, _ = run(collected, specs)
    assert code == 1
    row = next(line for line in report.splitlines() if "`architecture.context_tokens`" in line)
    assert "`gpt-oss-20b`" in row
    assert "| 131,072 | 65,536 |" in row
    # all else of the file agrees
    assert report.count("| `gpt-oss-20b` |") == 1


def test_a_folder_with_something_in_it_is_left_alone(
    collected: Path, specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Proposals never mix with other files; bad usage says what to type."""
    copy("Qwen--Qwen3-8B.json", collected / "Qwen--Qwen3-8B.json")
    full = collected.parent / "proposals"
    full.mkdir()
    (full / "mine.txt").write_text("x", "utf-8")
    assert run(collected, specs)[0] == 2
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    assert "name a new folder" in capsys.readouterr().err
    assert refresh_catalogue.main([str(collected)]) == 2
    assert refresh_catalogue.main([str(collected / "none"), "--to", str(full / "x")]) == 2


def test_count_says_what_the_sizes_rest_on(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source counts where it can be looked up; `general knowledge` is none, nor is our own arithmetic."""
    spec = specs / "qwen3-8b.toml"
    text = re.sub(
        r"(?m)^(architecture|parameters) = .*$",
        r'\1 = "general knowledge"',
        spec.read_text("utf-8"),
    )
    text = text.replace(
        'parameters = "general knowledge"',
        'parameters = "the transformers 5.23.0 class built without weights has as many"',
    )
    spec.write_text(text.partition("[[files]]")[0], "utf-8")
    assert refresh_catalogue.main(["--count", "--specs", str(specs)]) == 0
    printed = capsys.readouterr().out
    assert "two or more sources" in printed
    text_row = next(line for line in printed.splitlines() if line.startswith("text"))
    assert text_row.split() == ["text", "3", "2", "0", "0", "1"]
    assert "3 open, 0 closed, 3 in all" in printed
    (alone,) = (line for line in printed.splitlines() if "general knowledge alone" in line)
    assert "architecture 1" in alone
    assert "parameters" not in alone


def test_a_listing_sizes_the_files_that_nobody_had_listed(collected: Path, specs: Path) -> None:
    """Sizes of a repository's GGUF files replace what a spec guessed of them; one that differs is a disagreement."""
    spec = specs / "qwen3-8b.toml"
    text = spec.read_text("utf-8").partition("[[files]]")[0]
    text += (
        '[[files]]\nformat = "gguf"\nrepository = "someone/Qwen3-8B-GGUF"\nsource = "its listing"\n'
        "bytes.Q8_0 = 8_000_000_000\n\n"
        '[[files]]\nformat = "gguf"\nrepository = "someone/Qwen3-8B-GGUF"\nlisted = false\n'
        'unsized = ["Q4_K_M", "Q6_K"]\nsource = "general knowledge"\n'
    )
    spec.write_text(text, "utf-8")
    tree = [
        {"type": "file", "path": "Qwen3-8B-Q8_0.gguf", "size": 8_709_518_624},
        {"type": "file", "path": "Qwen3-8B-Q4_K_M.gguf", "size": 5_027_783_488},
        {"type": "file", "path": "Q6/Qwen3-8B-Q6_K-00001-of-00002.gguf", "size": 6_000_000_000},
        {"type": "file", "path": "Q6/Qwen3-8B-Q6_K-00002-of-00002.gguf", "size": 725_899_040},
        {"type": "file", "path": "Qwen3-8B-Q5_K_M-00001-of-00002.gguf", "size": 1},
        {"type": "directory", "path": "Q6"},
    ]
    (collected / "someone--Qwen3-8B-GGUF.json").write_text(json.dumps(tree), "utf-8")
    code, report, target = run(collected, specs)
    assert code == 1
    assert "| `qwen3-8b` | `files.Q8_0` | 8,000,000,000 | 8,709,518,624 |" in report
    apply_all(target, specs)
    files = tomllib.loads(spec.read_text("utf-8"))["files"]
    assert files[0]["bytes"] == {"Q8_0": 8_709_518_624}
    assert files[1]["bytes"] == {"Q4_K_M": 5_027_783_488, "Q6_K": 6_725_899_040}
    assert "unsized" not in files[1]
    assert "listed" not in files[1]
    assert files[1]["source"] == "listing of someone/Qwen3-8B-GGUF"
    code, report, _ = run(collected, specs, "again")
    assert code == 0, report


def test_a_manifest_of_ollamas_registry_is_held_against_the_size(
    collected: Path, specs: Path
) -> None:
    """Its path names the model; a size that no quantization of it has is a disagreement."""
    folder = collected / "manifests" / "registry.ollama.ai" / "library" / "qwen3"
    folder.mkdir(parents=True)
    for tag, size in (("8b-q4_K_M", 5_225_373_760), ("0.6b-q8_0", 5_225_373_760)):
        layers = [{"mediaType": "application/vnd.ollama.image.model", "size": size}]
        (folder / tag).write_text(json.dumps({"schemaVersion": 2, "layers": layers}), "utf-8")
    for id, tag in (("qwen3-8b", "qwen3:8b-q4_K_M"), ("qwen3-0.6b", "qwen3:0.6b-q8_0")):
        spec = specs / f"{id}.toml"
        text = re.sub(
            r"(?m)^aliases = \[", f'aliases = ["{tag}", ', spec.read_text("utf-8"), count=1
        )
        spec.write_text(text, "utf-8")
    code, report, _ = run(collected, specs)
    assert code == 1
    assert "- `qwen3-8b`: 1 facts" in report
    assert "| `qwen3-0.6b` | `tag.size` |" in report
    assert "5,225,373,760 bytes in Q8_0 (qwen3:0.6b-q8_0)" in report


def test_a_list_of_ollamas_library_confirms_sizes_and_contexts(
    collected: Path, specs: Path
) -> None:
    """A tag whose size or context is not its model's is a disagreement; one that fits becomes a second source."""
    tags = {
        "8b": {"size": "5.2GB", "contextWindow": "40K", "modelHash": "500a1f067a9f"},
        "8b-q4_K_M": {"size": "5.2GB", "contextWindow": "40K", "modelHash": "500a1f067a9f"},
        "0.6b": {"size": "9.9GB", "contextWindow": "1M", "modelHash": "7df6b6e09427"},
        "0.6b-q4_K_M": {"size": "9.9GB", "contextWindow": "1M", "modelHash": "7df6b6e09427"},
    }
    (collected / "tags.json").write_text(json.dumps({"models": {"qwen3": {"tags": tags}}}), "utf-8")
    index = [{"file": "tags.json", "source": "someone/tags@0123456 (2026-08-21)"}]
    spec = specs / "qwen3-8b.toml"
    text = re.sub(r"; list of Ollama's library[^;\"]*", "", spec.read_text("utf-8"))
    spec.write_text(text, "utf-8")
    (collected / "index.json").write_text(json.dumps({"files": index}), "utf-8")
    code, report, target = run(collected, specs)
    assert code == 1
    rows = [line for line in report.splitlines() if line.startswith("| `qwen3")]
    assert [row.split("|")[2].strip() for row in rows] == ["`tag.size`", "`tag.context`"]
    assert all("`qwen3-0.6b`" in row for row in rows)
    assert "9.9GB in Q4_K_M (qwen3:0.6b)" in rows[0]
    diff = (target / "changes" / "qwen3-8b.diff").read_text("utf-8")
    assert "someone/tags@0123456 (2026-08-21): size and context of qwen3:8b agree" in diff
    assert [path.name for path in (target / "changes").iterdir()] == ["qwen3-8b.diff"]
