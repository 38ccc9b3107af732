"""Folders of safetensors: their headers, what contradicts the config.json, and what is damaged."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.local_models import (
    JSON_VALUES,
    again,
    config,
    problem,
    reads_or_refuses,
    safetensors,
    small,
)
from selfhost import SpecError, Workload, check
from selfhost.cli.main import main
from selfhost.machine.profiles import load
from selfhost.modelfiles import read_local


def test_a_folder_of_safetensors(tmp_path: Path) -> None:
    """Parameters and bytes are those of the files; the folder, a shard and the index name the same
    model.
    """
    folder = small(tmp_path / "tiny-llama")
    shards = sorted(folder.glob("*.safetensors"))
    # 2 × 100 × 64 + 64 + 2 × (64 × (64 + 32 + 32 + 64) + 3 × 64 × 128 + 2 × 64)
    parameters = 12_864 + 2 * (12_288 + 24_576 + 128)
    for path in (folder, *shards, folder / "model.safetensors.index.json"):
        local = read_local(path)
        assert (local.format, local.quantization) == ("safetensors", "bfloat16")
        assert local.files_here
        assert local.spec.parameters.total == parameters
        size = sum(shard.stat().st_size for shard in shards)
        assert local.spec.files[0].bytes == {"bfloat16": size}
        assert local.spec.architecture is not None
        assert again(local.spec) == local.spec
    assert read_local(folder).spec.id == "tiny-llama"


def test_a_missing_or_cut_shard(tmp_path: Path) -> None:
    """The missing file is named; of a cut one the missing bytes are counted."""
    folder = small(tmp_path / "m")
    last = folder / "model-00002-of-00002.safetensors"
    os.truncate(last, last.stat().st_size - 7)
    assert "7 bytes are missing" in problem(folder)
    first = folder / "model-00001-of-00002.safetensors"
    index = folder / "model.safetensors.index.json"
    total = json.loads(index.read_text())["metadata"].get("total_size")
    last.unlink()
    half = read_local(folder)
    assert (half.files_here, half.missing) == (False, (last.name,))
    assert (half.size_bytes, half.total_bytes) == (first.stat().st_size, total)
    index.unlink()
    assert read_local(folder).missing == (last.name,)
    (folder / "config.json").unlink()
    assert last.name in problem(folder)


@pytest.mark.parametrize(
    "without",
    [
        pytest.param((), id="beside a config.json"),
        pytest.param(("config.json",), id="alone"),
    ],
)
def test_the_faults_of_all_shards_are_told_at_once(
    without: tuple[str, ...], tmp_path: Path
) -> None:
    folder = small(tmp_path / "m")
    for name in without:
        (folder / name).unlink()
    shards = sorted(folder.glob("*.safetensors"))
    for shard in shards:
        os.truncate(shard, shard.stat().st_size - 7)
    with pytest.raises(SpecError) as raised:
        read_local(folder)
    files = [Path(problem.file).name for problem in raised.value.problems]
    assert files == [shard.name for shard in shards]


def test_files_that_differ_from_their_config_are_believed(tmp_path: Path) -> None:
    """The total is that of the headers, and the difference is told."""
    folder = small(tmp_path / "m")
    config(
        folder,
        model_type="llama",
        hidden_size=64,
        intermediate_size=4096,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=100,
    )
    local = read_local(folder)
    assert local.spec.parameters.total == 12_864 + 2 * (12_288 + 24_576 + 128)
    assert local.spec.parameters.difference
    assert local.notes


def test_files_that_contradict_their_config_are_of_no_known_model(
    tmp_path: Path,
) -> None:
    """from_pretrained refuses tensors of other shapes than the config's, and makes up layers that
    are missing: unknown.
    """
    folder = small(tmp_path / "m")
    fits: dict[str, object] = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 100,
    }
    for change in (
        {"num_key_value_heads": 4},
        {"num_hidden_layers": 4},
        {"intermediate_size": 256},
    ):
        config(folder, **fits | change)
        spec = read_local(folder).spec
        assert spec.architecture is None
        assert "parameters, but config.json describes" in spec.unknown["architecture"]
        assert again(spec) == spec
        machine = load("aws-m7i.2xlarge").machine
        answer = check(str(folder), Workload(runtime="transformers"), machine=machine)
        assert answer.route == "unknown"
    config(folder, **fits)
    assert read_local(folder).spec.architecture is not None


@pytest.mark.parametrize(
    "length", [0x280, 0x380, 0x480, 0x5B20, 0x7B20, 0x5B5B, 0x7B0A, 0x7B7B]
)
def test_a_safetensors_file_is_told_from_others_whatever_the_length_of_its_header(
    length: int, tmp_path: Path
) -> None:
    """Its first eight bytes are that length (the format's README), and may be a pickle's or what
    JSON begins with.
    """
    header = b'{"a":{"dtype":"F16","shape":[5],"data_offsets":[0,10]}}'.ljust(length)
    for name in ("model.safetensors", "model"):
        (tmp_path / name).write_bytes(struct.pack("<Q", length) + header + bytes(10))
        spec = read_local(tmp_path / name).spec
        assert (spec.parameters.total, spec.architecture) == (5, None)
        assert "no config.json" in spec.unknown["architecture"]
        assert again(spec) == spec


def test_a_vision_model_counts_its_encoders_from_the_files(tmp_path: Path) -> None:
    """What the files hold beyond the language model are the encoders, inside the total."""
    folder = small(tmp_path / "m", vision_config={"hidden_size": 8})
    language = 12_864 + 2 * (12_288 + 24_576 + 128)
    alone = read_local(folder / "config.json").spec
    assert alone.parameters.total is None or alone.parameters.encoders
    (folder / "model.safetensors.index.json").unlink()
    for shard in folder.glob("*.safetensors"):
        shard.unlink()
    safetensors(
        folder / "model.safetensors",
        {"language": ("BF16", [language]), "vision": ("BF16", [1000])},
    )
    parameters = read_local(folder).spec.parameters
    assert (parameters.total, parameters.encoders) == (language + 1000, 1000)


def _entry(name: str, dtype: str, shape: list[int], begin: int, end: int) -> str:
    return (
        f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'
    )


@pytest.mark.parametrize(
    ("entries", "room", "says"),
    [
        pytest.param(
            [_entry("a", "F32", [2], 0, 8), _entry("b", "F32", [2], 4, 12)],
            12,
            'the tensor "b" begins 4 bytes after the header, not 8',
            id="tensors that overlap",
        ),
        pytest.param(
            [_entry("a", "F32", [2], 0, 8), _entry("b", "F32", [2], 0, 8)],
            16,
            'the tensor "b" begins 0 bytes after the header, not 8',
            id="two tensors of the same bytes, and as many unused",
        ),
        pytest.param(
            [_entry("a", "F32", [0], 4, 4), _entry("b", "F32", [2], 0, 8)],
            8,
            'the tensor "a" begins 4 bytes after the header, not 8',
            id="an empty tensor inside another",
        ),
        pytest.param(
            [_entry("a", "F32", [2], 4, 12)],
            8,
            'the tensor "a" begins 4 bytes after the header, not 0',
            id="a hole as long as what is missing at the end",
        ),
        pytest.param(
            ['"__metadata__":{"format":1}', _entry("a", "F32", [2], 0, 8)],
            8,
            "__metadata__ is not a table of texts",
            id="a number in the metadata",
        ),
        pytest.param(
            ['"__metadata__":["pt"]', _entry("a", "F32", [2], 0, 8)],
            8,
            "__metadata__ is not a table of texts",
            id="a list as the metadata",
        ),
        pytest.param(
            [_entry("a", "F32", [2], 4, 12)],
            12,
            'the tensor "a" begins 4 bytes after the header, not 0',
            id="a hole before a tensor",
        ),
        pytest.param(
            [_entry("a", "F32", [2], 0, 8), _entry("a", "F32", [2], 8, 16)],
            16,
            'the tensor "a" begins 8 bytes after the header, not 0',
            id="of a name that stands twice the last counts",
        ),
        pytest.param(
            [_entry("a", "F32", [2], 0, 8)],
            9,
            "1 bytes belong to no tensor",
            id="a byte behind the last tensor",
        ),
        pytest.param([], 9, "9 bytes belong to no tensor", id="no tensors"),
        pytest.param(
            [_entry("a", "F32", [2], 0, 8)], 7, "1 bytes are missing", id="cut by one"
        ),
        pytest.param(
            [_entry("a", "Q4_0", [2], 0, 8)],
            8,
            "in Q4_0, a type that safetensors does not have",
            id="a type of GGUF",
        ),
        pytest.param(
            [_entry("a", "F32", [3], 0, 8)], 8, "size of its shape", id="too short"
        ),
        pytest.param(
            [_entry("a", "F32", [2], 8, 0)], 8, "size of its shape", id="end first"
        ),
        pytest.param(
            [_entry("a", "F4", [3], 0, 2)],
            2,
            "size of its shape",
            id="three weights of four bits end within a byte",
        ),
        pytest.param(
            # their product has 3.9 million digits, and takes minutes to work out
            [_entry("a", "F32", [2**64 - 1] * 200_000, 0, 8)],
            8,
            "no usable dtype, shape",
            id="a shape of 200,000 sizes",
        ),
    ],
)
def test_what_the_reader_of_safetensors_refuses(
    entries: list[str], room: int, says: str, tmp_path: Path
) -> None:
    """Every one of these is refused by safetensors 0.8.0, so no program loads it: no answer but the
    reason, and exit code 2.
    """
    path = tmp_path / "model.safetensors"
    header = "{" + ",".join(entries) + "}"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(room))
    assert says in problem(path)
    assert main(["check", str(path), "--machine", "aws-m7i.2xlarge"]) == 2


@pytest.mark.parametrize(
    ("entries", "room"),
    [
        # any order, empty tensors where one ends and at the end, spaces that pad the header
        (
            [
                _entry("b", "F32", [1], 8, 12),
                _entry("a", "F32", [2], 0, 8),
                _entry("c", "F32", [3, 0], 12, 12),
            ],
            12,
        ),
        (
            [
                _entry("a", "F32", [0], 0, 0),
                _entry("b", "F32", [1], 0, 4),
                _entry("c", "F32", [0], 4, 4),
            ],
            4,
        ),
        ([_entry("a", "F32", [], 0, 4)], 4),
        ([_entry("a", "U8", [3], 0, 3), _entry("b", "F32", [1] * 9, 3, 7)], 7),
        ([_entry("a", "F32", [2], 0, 8), _entry("a", "F32", [2], 0, 8)], 8),
        (
            [
                '"__metadata__":null',
                '"a":{"more":1,"dtype":"F32","shape":[2],"data_offsets":[0,8]}',
            ],
            8,
        ),
        (
            [_entry("a", "F32", [0, 2**40, 2**40], 0, 0), _entry("b", "F4", [4], 0, 2)],
            2,
        ),
        *(
            ([_entry("a", dtype, [8], 0, bits)], bits)
            for bits, dtypes in {
                4: "F4",
                6: "F6_E2M3 F6_E3M2",
                8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
                16: "I16 U16 F16 BF16",
                32: "I32 U32 F32",
                64: "C64 F64 I64 U64",
            }.items()
            for dtype in dtypes.split()
        ),
    ],
)
def test_what_the_reader_of_safetensors_takes(
    entries: list[str], room: int, tmp_path: Path
) -> None:
    """safetensors 0.8.0 opens every one of these, its 22 dtypes included."""
    path = tmp_path / "model.safetensors"
    header = "{" + ",".join(entries) + "}   "
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(room))
    assert read_local(path).files_here


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (struct.pack("<Q", 2**60) + b"{}" + bytes(20), "not a safetensors file"),
        (struct.pack("<Q", 200) + b"{" + bytes(20), "cut short"),
        (struct.pack("<Q", 11) + b'{"a": 1234}x', "no usable dtype"),
        (struct.pack("<Q", 2) + b"{}", "no weights"),
        (struct.pack("<Q", 4_000_000) + b'{"a":' * 800_000, "nested"),
        (b"{" * 40, "JSON"),
    ],
)
def test_a_damaged_safetensors_header(
    content: bytes, says: str, tmp_path: Path
) -> None:
    """Lengths past the end, deep nesting, offsets that do not fit: a sentence each."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert says in problem(path)


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ('{"weight_map": {"a": "../../etc/passwd"}}', "outside its folder"),
        ("[]", "no weight_map"),
    ],
)
def test_an_index_may_not_leave_its_folder(
    index: str, says: str, tmp_path: Path
) -> None:
    """A hostile index cannot make other files be opened."""
    folder = small(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    assert says in problem(folder)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    header=st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=3),
    room=st.integers(0, 40),
)
def test_no_safetensors_header_is_a_traceback(
    header: dict[str, object], room: int, tmp_path: Path
) -> None:
    """Any JSON as the header: a spec or a `SpecError`."""
    encoded = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(room))
    reads_or_refuses(path)
