"""`spec new` writes what `spec check` takes, and the spec is answered as the file that it was made
of.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.ggufs import gguf, make, measured, metadata, one_a_file, placed, write
from helpers.local_models import config
from helpers.paths import CONFIGS, HEADERS, RECORDS
from selfhost import Machine, Route, check
from selfhost.core.tables import shipped_table
from selfhost.core.units import is_slip
from selfhost.modelfiles import read_local, spec_text
from selfhost.modelfiles.specfiles import check_spec_files

HERE = Machine.from_file(RECORDS / "vm-24gib.json")
FILES = sorted([*CONFIGS.glob("*.json"), *(HEADERS / "odd_configs").glob("*.json")])
# its widths as https://huggingface.co/allenai/Molmo-7B-D-0924/blob/main/config.json has them
MOLMO: dict[str, Any] = {
    "architectures": ["MolmoForCausalLM"],
    "model_type": "molmo",
    "embedding_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 37888,
    "max_position_embeddings": 4096,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "qkv_bias": True,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": 152064,
    "auto_map": {
        "AutoConfig": "config_molmo.MolmoConfig",
        "AutoModelForCausalLM": "modeling_molmo.MolmoForCausalLM",
    },
}


def new(folder: Path, model: Path) -> Path:
    """The spec file that `spec new` writes of a model's file."""
    spec = read_local(model).spec
    file = folder / f"{spec.id}.toml"
    file.write_text(spec_text(spec), encoding="utf-8")
    return file


def faults(file: Path) -> list[str]:
    """What `spec check` says of it."""
    return [str(problem) for problem in check_spec_files([str(file)], ())[0]]


def answer(model: Path) -> tuple[Any, ...]:
    """What is decided of a model, its paths aside."""
    verdict = check(str(model), machine=HERE)
    findings = [
        (found.check, found.code, found.needs, found.has) for found in verdict.findings
    ]
    return verdict.route, verdict.workload, verdict.needs, findings


@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in FILES])
def test_a_spec_of_a_config_is_right_and_has_its_answer(
    file: Path, tmp_path: Path
) -> None:
    """Route, needs and findings, of every config.json of the tests."""
    folder = tmp_path / file.stem
    folder.mkdir()
    model = Path(shutil.copy(file, folder / "config.json"))
    made = new(tmp_path, model)
    assert faults(made) == []
    assert answer(made) == answer(model)


def test_an_architecture_that_is_not_known_is_no_slip_of_one_that_is(
    tmp_path: Path,
) -> None:
    """Molmo is no OLMo: its spec is right, and says as its config.json does that it cannot be
    told.
    """
    folder = tmp_path / "molmo-7b-d"
    folder.mkdir()
    model = folder / "config.json"
    model.write_text(json.dumps(MOLMO))
    made = new(tmp_path, model)
    assert faults(made) == []
    assert answer(made) == answer(model)
    verdict = check(str(made), machine=HERE)
    assert (verdict.route, verdict.exit_code) == (Route.UNKNOWN, 3)
    assert not any(
        "olmo" in finding.reason.replace("molmo", "") for finding in verdict.findings
    )


ROWS = sorted(shipped_table("architectures")["architecture"])


@st.composite
def slips(draw: st.DrawFn) -> str:
    """A name that is one letter more, less or other than that of an architecture known here."""
    row = draw(st.sampled_from(ROWS))
    at = draw(st.integers(0, len(row)))
    put = draw(st.sampled_from(["", "m", "x", "-", "2", '"', "é"]))
    name: str = row[:at] + put + row[at + draw(st.integers(0, 1)) :]
    return name


@settings(
    deadline=None,
    max_examples=75,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(name=slips())
def test_a_model_type_of_any_name_gives_a_spec_that_is_right(
    name: str, tmp_path: Path
) -> None:
    """Whether it is known here, is spelled like one that is, or needs quotes."""
    assert faults(new(tmp_path, config(tmp_path, model_type=name))) == []


def test_a_slip_in_a_spec_by_hand_is_still_told(tmp_path: Path) -> None:
    """A spec that states its parameters has an architecture from which they follow."""
    made = new(tmp_path, config(tmp_path))
    text = made.read_text(encoding="utf-8")
    made.write_text(text.replace('gguf = "llama"', 'gguf = "lama"'), encoding="utf-8")
    assert is_slip("lama", "llama")
    assert 'did you mean "llama"?' in "".join(faults(made))


def test_the_padding_of_the_last_tensor_is_not_odd(tmp_path: Path) -> None:
    """Writers fill up to the alignment, 32 bytes, behind the last tensor too."""
    file = make(tmp_path, "llama-3.2-1b")
    with file.open("r+b") as stream:
        stream.truncate(-(-file.stat().st_size // 32) * 32)
    assert read_local(file).notes == ()


GGUF_MODELS = {**measured(), **one_a_file("gguf_mtp")}


def header_of(name: str) -> tuple[bytes, int]:
    """The header of a file, and the bytes of the whole file."""
    model = GGUF_MODELS[name]
    return gguf(metadata(name, model), placed(model))


@pytest.mark.parametrize("name", [pytest.param(name, id=name) for name in GGUF_MODELS])
def test_a_spec_of_a_gguf_file_is_right(name: str, tmp_path: Path) -> None:
    """Of every GGUF file of the tests."""
    file = write(tmp_path / "model.gguf", *header_of(name))
    assert faults(new(tmp_path, file)) == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, id=name) for name in list(GGUF_MODELS)[::20]]
)
def test_what_stands_behind_the_tensors_is_left_out(name: str, tmp_path: Path) -> None:
    """As much again as the file: no program reads that."""
    header, size = header_of(name)
    file = write(tmp_path / "model.gguf", header, size)
    right = read_local(file)
    write(file, header, 2 * size)
    assert faults(new(tmp_path, file)) == []
    longer = read_local(file)
    (bytes_of_type,) = right.spec.files[0].bytes.values()
    (bytes_of_longer,) = longer.spec.files[0].bytes.values()
    # padded to 32 bytes
    assert 0 <= bytes_of_longer - bytes_of_type < 32
