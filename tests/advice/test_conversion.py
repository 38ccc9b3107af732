"""A file that no repository is known to have: where to look, and how to make it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from helpers.paths import CONFIGS
from selfhost import Outcome, Route, Verdict, Workload, check
from selfhost.machine.changes import apply
from selfhost.machine.profiles import load
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain


def test_a_lone_config_is_converted_in_its_folder(tmp_path: Path) -> None:
    """convert_hf_to_gguf.py takes the folder of the weights (its README); nothing is downloaded, for
    nobody says from where.
    """
    folder = tmp_path / "my model"
    folder.mkdir()
    (folder / "config.json").write_bytes((CONFIGS / "Qwen--Qwen3-0.6B.json").read_bytes())
    verdict = check(folder / "config.json", machine=load("aws-m7i.2xlarge").machine)
    written = [*verdict.setup, *verdict.commands]
    converting = next(line for line in written if "convert_hf_to_gguf.py " in line)
    assert shlex.split(converting)[2] == str(folder)
    assert not any("hf download" in line for line in written)
    # 596,049,920 parameters (the model's card: 0.6B), published in 16 bits
    assert any("then make Q4_K_M of them: 1.19 GB of published weights" in line for line in written)
    assert not any("look first" in line for line in written)
    told = plain(check_document([verdict]))
    assert "of weights, yours to get" in told
    assert "No command is known" not in told


def checked(spec_id: str, quantization: str, disk: str) -> Verdict:
    machine = apply(load("aws-m7i.2xlarge").machine, [f"disk={disk}"])
    return check(spec_id, Workload(runtime="llama.cpp", quantization=quantization), machine=machine)


@pytest.mark.parametrize(("quantization", "copies"), [("Q4_K_M", 2), ("Q8_0", 1)])
def test_the_file_to_run_decides_and_a_disk_too_small_to_make_it_is_told(
    quantization: str, copies: int
) -> None:
    """Pythia 70M has 70,426,624 parameters of 2 bytes.

    To make the file they are downloaded, and converted to 16 bits once more where llama-quantize
    makes it.
    """
    roomy = checked("pythia-70m", quantization, "50GB")
    assert roomy.needs is not None
    assert any("convert_hf_to_gguf" in line for line in roomy.setup)
    # the file has between 4 and 9 bits a weight
    assert 70_426_624 * 4 / 8 < (roomy.needs.disk_bytes or 0) < 70_426_624 * 9 / 8
    assert roomy.needs.download_bytes == roomy.needs.disk_bytes
    making = copies * 2 * 70_426_624
    lacking = checked("pythia-70m", quantization, f"{making}B")
    assert lacking.route is Route.LOCAL
    assert lacking.can_download
    disk = lacking.finding("disk")
    assert disk is not None
    assert (disk.code, disk.outcome) == ("disk-too-small-to-make", Outcome.WARN)
    assert "take a published file" in (disk.remedy or "")
    assert "disk: The file fits, but making it yourself takes" in plain(check_document([lacking]))
    assert checked("pythia-70m", quantization, "30MB").can_download is False


def test_mlx_is_told_the_usual_name_and_converts_otherwise() -> None:
    """The options are those of mlx_lm/convert.py; mlx-community names its folders so throughout."""
    verdict = check("pythia-70m", Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
    assert verdict.setup[-1] == (
        "mlx_lm.convert --hf-path EleutherAI/pythia-70m -q --q-bits 4 --mlx-path pythia-70m-4bit"
    )
    assert verdict.setup[-3] == (
        "# https://huggingface.co/mlx-community/pythia-70m-4bit (the usual name, not verified)"
    )
    assert verdict.commands == ("mlx_lm.generate --model pythia-70m-4bit --prompt Hello",)
    assert verdict.needs is not None
    # 4.5 bits a weight, not the 2 bytes of the published ones
    assert (verdict.needs.download_bytes or 0) < 70_426_624
