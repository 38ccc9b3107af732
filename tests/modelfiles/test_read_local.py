"""Folders, and everything that is no model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.cases import case_id
from helpers.ggufs import gguf, make, measured, write
from helpers.local_models import again, config, problem, safetensors
from selfhost import Machine, check
from selfhost.core.files import first_numbered_file, numbered_files
from selfhost.machine.profiles import load
from selfhost.modelfiles import LocalModel, read_local, spec_text
from selfhost.needs import counted_parameters


def test_several_quantizations_in_one_folder_are_listed(tmp_path: Path) -> None:
    """Which one is meant is for the user to say."""
    make(tmp_path, "llama-3.2-1b").rename(tmp_path / "a-Q4_K_M.gguf")
    make(tmp_path, "llama-3.2-1b").rename(tmp_path / "a-Q8_0.gguf")
    found = problem(tmp_path)
    assert "a-Q4_K_M.gguf" in found
    assert "a-Q8_0.gguf" in found


def test_a_folder_with_more_files_than_any_model_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of all files of a computer, say: reading its names took minutes."""
    monkeypatch.setattr("selfhost.modelfiles._MAX_ENTRIES", 2)
    make(tmp_path, "llama-3.2-1b")
    (tmp_path / "README.md").write_text("x", encoding="utf-8")
    assert read_local(tmp_path).spec.id == "llama-3.2-1b"
    (tmp_path / "LICENSE").write_text("x", encoding="utf-8")
    assert "has more than 2 entries" in problem(tmp_path)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        pytest.param("m.gguf", "m.gguf", id="whole"),
        pytest.param("m-00002-of-00003.gguf", "m-00001-of-00003.gguf", id="a-part"),
        pytest.param("m-00002-of-10001.gguf", "m-00002-of-10001.gguf", id="too-many"),
    ],
)
def test_the_first_part_of_a_split_file(name: str, first: str) -> None:
    """Names of 60,000 split files are told apart without those of all their parts."""
    assert first_numbered_file(name) == first
    assert numbered_files(name)[0] == first


def test_a_projector_beside_the_model_is_no_second_model(tmp_path: Path) -> None:
    """mmproj files lie beside vision models; they are named with their size, not counted."""
    make(tmp_path, "llama-3.2-1b")
    projector = gguf({"general.architecture": "clip"}, [("t", [32], "F32")])
    write(tmp_path / "mmproj-F16.gguf", *projector)
    local = read_local(tmp_path)
    assert local.spec.id == "llama-3.2-1b"
    assert any("mmproj-F16.gguf" in note for note in local.notes)


def test_folders_without_a_model(tmp_path: Path) -> None:
    """Empty; something else; an adapter; a download that did not finish; the outer folder of
    Hugging Face's cache.
    """
    assert "empty folder" in problem(tmp_path)
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert "notes.txt" in problem(tmp_path)
    (tmp_path / "m.gguf.incomplete").write_bytes(b"x")
    assert "m.gguf.incomplete" in problem(tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    safetensors(adapter / "adapter_model.safetensors", {"a": ("F16", [2])})
    assert "adapter_config.json" in problem(adapter)
    hub = tmp_path / "models--a--b"
    (hub / "snapshots" / "abc").mkdir(parents=True)
    assert "snapshots" in problem(hub)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4372812000\n",
            "4,372,812,000 bytes was not downloaded",
            id="git-lfs",
        ),
        pytest.param(b"PK\x03\x04" + bytes(40), "zip archive", id="zip"),
        pytest.param(b"\x80\x02}q\x00", "pickle", id="pickle"),
        pytest.param(b"<!DOCTYPE html><html>", "web page", id="html"),
        pytest.param(b"lmgg" + bytes(40), "GGML", id="ggml"),
        pytest.param(bytes(4096), "zeros", id="zeros"),
        pytest.param(b"\x1f\x8b" + bytes(40), "is an archive", id="gzip"),
        pytest.param(b"GGUG" + bytes(400), "GGUF", id="misspelt"),
        pytest.param(bytes(range(256)), "GGUF", id="every-byte"),
    ],
)
@pytest.mark.parametrize("name", ["x.gguf", "x.bin"])
def test_files_that_are_no_model_say_what_they_are(
    content: bytes, says: str, name: str, tmp_path: Path
) -> None:
    """What a failed download, another format or a pointer looks like is recognised by its first
    bytes.
    """
    path = tmp_path / name
    path.write_bytes(content)
    assert says in problem(path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    """Missing, a dead link, a link to itself, a file used as a folder, an unfinished download,
    impossible names.
    """
    assert "does not exist" in problem(tmp_path / "none.gguf")
    (tmp_path / "dead.gguf").symlink_to(tmp_path / "gone")
    assert "a link to a file that does not exist" in problem(tmp_path / "dead.gguf")
    (tmp_path / "loop.gguf").symlink_to(tmp_path / "loop.gguf")
    assert "cannot be read" in problem(tmp_path / "loop.gguf")
    (tmp_path / "file").write_bytes(b"x")
    assert "does not exist" in problem(tmp_path / "file" / "x.gguf")
    (tmp_path / "x.gguf.part").write_bytes(b"GGUF")
    assert "did not finish" in problem(tmp_path / "x.gguf.part")
    assert "did not finish" in problem(tmp_path / "x.gguf")
    assert "not a path" in problem("")
    assert problem("a\0b.gguf")
    assert problem("x" * 5000 + ".gguf")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_an_unreadable_file(tmp_path: Path) -> None:
    """The remedy is about permissions."""
    path = make(tmp_path, "llama-3.2-1b")
    path.chmod(0)
    assert "permissions" in problem(path)


def test_a_path_keeps_the_form_it_was_typed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder of this machine gets into the spec that was not typed."""
    make(tmp_path, "llama-3.2-1b")
    monkeypatch.chdir(tmp_path)
    local: LocalModel = read_local("llama-3.2-1b.gguf")
    assert local.spec.origin == "llama-3.2-1b.gguf"
    assert str(tmp_path) not in spec_text(local.spec)


@pytest.mark.parametrize("name", measured(), ids=case_id)
def test_a_spec_made_of_a_gguf_file_reads_back(name: str, tmp_path: Path) -> None:
    """`spec new` writes a valid spec file that says the same, but for the types of the very file's
    tensors. It states the parameters that its architecture has, as `spec check` counts them.
    """
    spec = read_local(make(tmp_path, name)).spec
    assert again(spec) == spec.replace(tensors=())
    counted = counted_parameters(again(spec))
    assert counted is not None
    assert counted.total == spec.parameters.total
    assert counted.active == spec.parameters.active


MAC = Machine(planning=True, system="darwin", architecture="aarch64")


@pytest.mark.parametrize("machine", [load("desktop-rtx3060-12gb").machine, MAC])
@pytest.mark.parametrize(
    "of",
    [
        pytest.param({"quantization": {"bits": 8, "group_size": 64}}, id="mlx"),
        pytest.param(
            {
                "quantization_config": {
                    "quant_method": "awq",
                    "bits": 4,
                    "group_size": 64,
                }
            },
            id="awq",
        ),
        pytest.param(
            {
                "quantization_config": {
                    "quant_method": "modelopt",
                    "quant_algo": "NVFP4",
                }
            },
            id="nvfp4",
        ),
    ],
)
def test_a_spec_made_of_a_config_has_its_route(
    of: dict[str, object], machine: Machine, tmp_path: Path
) -> None:
    """Its weights are the user's to get for either, by path or by id: the same route, findings and
    figures.
    """
    file = config(tmp_path, **of)
    made = tmp_path / "specs" / "made.toml"
    made.parent.mkdir()
    made.write_text(
        spec_text(read_local(file).spec.replace(id="made")), encoding="utf-8"
    )
    answers = [
        check(str(file), machine=machine),
        check(str(made), machine=machine),
        check("made", machine=machine, specs=[made.parent]),
    ]
    first, *others = (
        (each.route, each.exit_code, each.workload, each.needs, each.findings)
        for each in answers
    )
    assert others == [first, first]
