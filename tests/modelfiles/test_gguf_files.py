"""GGUF files in parts, cut off, damaged or hostile."""

from __future__ import annotations

import os
import struct
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.ggufs import gguf, make, measured, metadata, placed, text, value, write
from helpers.local_models import problem, reads_or_refuses
from selfhost import SpecError, Workload, check
from selfhost.machine.profiles import load
from selfhost.modelfiles import read_local
from selfhost.modelfiles.gguf_header import MAX_HEADER_BYTES


def split(folder: Path, parts: int) -> list[Path]:
    """A model in so many files; the first one holds the keys."""
    model = measured()["llama-3.2-1b"]
    tensors = placed(model)
    paths = []
    for number in range(parts):
        keys: dict[str, object] = {
            "split.no": number,
            "split.count": parts,
            "split.tensors.count": len(tensors),
        }
        if number == 0:
            keys = metadata("llama-3.2-1b", model) | keys
        header, size = gguf(keys, tensors[number::parts])
        path = folder / f"llama-{number + 1:05d}-of-{parts:05d}.gguf"
        paths.append(write(path, header, size))
    return paths


def test_the_parts_of_a_split_file_are_one_model(tmp_path: Path) -> None:
    """Any part names the model; sizes add up."""
    parts = split(tmp_path, 3)
    whole = read_local(parts[0])
    assert whole.spec.parameters.total == 1_235_814_400
    total_bytes = sum(part.stat().st_size for part in parts)
    assert whole.spec.files[0].bytes == {"F16": total_bytes}
    for path in (*parts, tmp_path):
        local = read_local(path)
        assert local.spec.architecture == whole.spec.architecture
        assert local.spec.files[0].bytes == whole.spec.files[0].bytes


def test_a_split_file_is_run_by_its_first_part(tmp_path: Path) -> None:
    """llama.cpp takes no other: "illegal split file idx" (src/llama-model-loader.cpp)."""
    parts = split(tmp_path, 3)
    workload = Workload(runtime="llama.cpp", min_tokens_per_second=0)
    machine = load("aws-m7i.2xlarge").machine
    for part in parts:
        verdict = check(part, workload, machine=machine)
        (command,) = verdict.commands
        assert f"-m {parts[0]} " in command


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    """Which file to download is said; so is a part whose name does not say which it is, and one of
    another model.
    """
    parts = split(tmp_path, 3)
    parts[1].unlink()
    assert "llama-00002-of-00003.gguf" in problem(parts[0])
    assert "llama-00002-of-00003.gguf" in problem(tmp_path)
    # tensors that do not add up to what the first part promises are of two models
    os.link(parts[2], parts[1])
    assert "parts" in problem(parts[0])
    alone = parts[0].rename(tmp_path / "renamed.gguf")
    assert "one part of 3" in problem(alone)


def test_the_faults_of_all_parts_are_told_at_once(tmp_path: Path) -> None:
    """Two that are cut off and one that is missing: one download mends them all."""
    parts = split(tmp_path, 5)
    for part in parts[1:3]:
        os.truncate(part, 40)
    parts[4].unlink()
    with pytest.raises(SpecError) as raised:
        read_local(parts[0])
    files = [Path(problem.file).name for problem in raised.value.problems]
    assert files == [parts[0].name, parts[1].name, parts[2].name]
    assert parts[4].name in raised.value.problems[0].message


@pytest.mark.parametrize("missing", [1, 1000, 10_000_000])
def test_a_download_that_stopped_says_how_much_is_missing(
    missing: int, tmp_path: Path
) -> None:
    """The number of missing bytes, for the file may look whole in a listing."""
    path = make(tmp_path, "llama-3.2-1b")
    size = path.stat().st_size
    os.truncate(path, size - missing)
    found = problem(path)
    assert f"{missing:,} of its {size:,} bytes are missing" in found


# the beginning of a file of version 3, of one with a key `a`, and of one with a tensor `t`
_HEAD = b"GGUF" + struct.pack("<I", 3)
_KEY = _HEAD + struct.pack("<QQ", 0, 1) + text("a")
_TENSOR = _HEAD + struct.pack("<QQ", 1, 0) + text("t")


def _model(**keys: object) -> bytes:
    """A header with one small tensor, and its data."""
    named = {key.replace("__", "."): value for key, value in keys.items()}
    header, _size = gguf(named, [("t", [32], "F32")])
    return header + bytes(128)


# by what is said of it
_BROKEN = {
    "little-endian only": b"GGUF" + struct.pack(">IQQ", 3, 1, 1),
    "version 1": b"GGUF" + struct.pack("<III", 1, 1, 1) + bytes(16),
    "version 77": b"GGUF" + struct.pack("<IQQ", 77, 1, 1),
    "tensors": _HEAD + struct.pack("<QQ", 2**63, 0),
    "keys": _HEAD + struct.pack("<QQ", 0, 2**63),
    "key of": _HEAD + struct.pack("<QQQ", 0, 1, 5000) + bytes(5000),
    "unknown type 99": _KEY + struct.pack("<I", 99) + bytes(99),
    "list of lists": _KEY + struct.pack("<IIQ", 9, 9, 1) + bytes(99),
    "ends inside its header 0": _KEY + struct.pack("<IIQ", 9, 8, 2**60) + bytes(99),
    "ends inside its header": _KEY + struct.pack("<IIQ", 9, 4, 2**60) + bytes(99),
    "twice": _HEAD + struct.pack("<QQ", 0, 2) + 2 * (text("a") + value(1)),
    "general.alignment": _HEAD
    + struct.pack("<QQ", 0, 1)
    + text("general.alignment")
    + value(33),
    "dimensions": _TENSOR + struct.pack("<I", 5) + bytes(99),
    "shape 0": _TENSOR + struct.pack("<IQIQ", 1, 0, 0, 0) + bytes(99),
    "shape 18446744073709551615": _TENSOR
    + struct.pack("<IQIQ", 1, 2**64 - 1, 0, 0)
    + bytes(99),
    "cannot be Q4_K": _TENSOR + struct.pack("<IQIQ", 1, 31, 12, 0) + bytes(99),
    "Q4_0_4_4": _TENSOR + struct.pack("<IQIQ", 1, 32, 31, 0) + bytes(99),
    "download the model in Q4_0": _TENSOR
    + struct.pack("<IQIQ", 1, 32, 33, 0)
    + bytes(99),
    "begins 64": _TENSOR + struct.pack("<IQIQ", 1, 32, 0, 64) + bytes(999),
    "architecture is missing": _model(general__name="x"),
    "holds no weights": gguf({"general.architecture": "llama"}, [])[0],
    "LoRA adapter": _model(general__architecture="llama", general__type="adapter"),
    "projector": _model(general__architecture="clip"),
    "importance matrix": _model(general__type="imatrix", general__architecture="llama"),
    "neither one whole number": _model(
        general__architecture="llama", llama__block_count="many"
    ),
    "5,000 layers": _model(
        general__architecture="llama",
        llama__block_count=5000,
        llama__embedding_length=8,
        llama__context_length=8,
    ),
}


@pytest.mark.parametrize("says", _BROKEN)
def test_a_damaged_or_hostile_gguf_header(says: str, tmp_path: Path) -> None:
    """Each fault has its own sentence, whatever sizes the header claims."""
    path = tmp_path / "x.gguf"
    path.write_bytes(_BROKEN[says])
    assert says.removesuffix(" 0") in problem(path)


def test_a_header_without_end_stops_at_the_limit(tmp_path: Path) -> None:
    """A sparse file that claims a text of almost its whole size is not read to its end."""
    path = tmp_path / "x.gguf"
    start = (
        _HEAD
        + struct.pack("<QQ", 0, 2)
        + text("a")
        + struct.pack("<IQ", 8, MAX_HEADER_BYTES + 10)
    )
    write(path, start, 2 * MAX_HEADER_BYTES)
    assert "header of more than" in problem(path)


_MUTATED = ["llama-3.2-1b", "gemma-3n-e2b-it", "deepseek-v2-lite", "jamba-large-1.5"]
# the largest and the smallest numbers
_EXTREMES = [b"\xff" * 8, bytes(8), struct.pack("<Q", 2**62), struct.pack("<I", 0)]


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_mutation_of_a_gguf_header_is_a_traceback(
    data: st.DataObject, tmp_path: Path
) -> None:
    """Whatever bytes are changed, added, or cut: a spec or a `SpecError`."""
    header, size = header_of(data.draw(st.sampled_from(_MUTATED)))
    changed = bytearray(header)
    for _ in range(data.draw(st.integers(0, 4))):
        # the first kilobytes hold counts and keys: most of what can go wrong
        start = data.draw(st.integers(0, len(changed) - 9) | st.integers(0, 3000))
        end = start + data.draw(st.integers(0, 8))
        changed[start:end] = data.draw(
            st.binary(max_size=8) | st.sampled_from(_EXTREMES)
        )
    cut = data.draw(st.none() | st.integers(0, len(changed)))
    if cut is not None:
        size = min(cut, size)
    path = tmp_path / "x.gguf"
    write(path, bytes(changed[:cut]), size)
    reads_or_refuses(path)


@cache
def header_of(name: str) -> tuple[bytes, int]:
    """The header of a measured model's file, and the size of the file."""
    model = measured()[name]
    return gguf(metadata(name, model), placed(model))
