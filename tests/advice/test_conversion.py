"""A file that no repository is known to have: where to look, and how to make it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from helpers.paths import CONFIGS, SPECS
from selfhost import Outcome, Route, Verdict, Workload, check
from selfhost.advice.conversion import recipe
from selfhost.catalogue.opened import open_catalogue
from selfhost.machine.changes import apply
from selfhost.machine.profiles import load
from selfhost.reports.check_text import check_document
from selfhost.reports.layout import plain


def test_a_type_that_the_converter_writes_takes_no_second_program() -> None:
    """convert_hf_to_gguf.py writes Q8_0 itself (--outtype q8_0), Q4_K_M is made by llama-quantize."""
    catalogue = open_catalogue()
    spec, runtime = catalogue.spec("bloom-7b1"), catalogue.runtime("llama.cpp")
    direct = recipe(spec, runtime, Workload(format="gguf", quantization="Q8_0"), None)
    assert direct is not None
    assert direct.lines[-1].endswith(" --outtype q8_0 --outfile bloom-7b1-Q8_0.gguf")
    quantized = recipe(spec, runtime, Workload(format="gguf", quantization="Q4_K_M"), None)
    assert quantized is not None
    assert quantized.lines[-1] == "llama-quantize bloom-7b1-BF16.gguf bloom-7b1-Q4_K_M.gguf Q4_K_M"


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


def test_the_first_lines_say_where_to_look_before_they_make_anything() -> None:
    """What this catalogue does not know may well be published: a transformers conversion (`-hf`)
    has its other files under the name without that ending.
    """
    setup = checked("olmo-7b", "Q4_K_M", "500GB").setup
    looked = setup.index("# https://huggingface.co/models?search=OLMo-7B+GGUF")
    assert "knows no published Q4_K_M files" in setup[looked - 1]
    # 6,888,095,744 parameters, which the card's index has in float32
    assert "27.6 GB of published weights" in setup[looked + 1]
    assert "nobody" not in " ".join(setup)


def test_files_that_somebody_publishes_are_all_that_the_disk_holds() -> None:
    """mradermacher publishes Pythia 2.8B in GGUF: 1.8 GB, where a conversion takes 13."""
    verdict = checked("pythia-2.8b", "Q4_K_M", "5GB")
    assert verdict.can_download
    assert not any("convert_hf_to_gguf" in line for line in verdict.setup)


@pytest.mark.parametrize(
    ("model", "other"),
    # the listing of ggml-org/SmolVLM-500M-Instruct-GGUF, and LiquidAI's of Q4_0, Q8_0 and F16
    [("smolvlm-500m-instruct", "Q8_0"), ("lfm2-vl-1.6b", "Q8_0")],
)
def test_a_published_type_is_named_before_another_is_made(model: str, other: str) -> None:
    setup = checked(model, "Q4_K_M", "500GB").setup
    told = next(line for line in setup if "knows no published Q4_K_M files" in line)
    assert f"but {other} files" in told
    command = setup[setup.index(told) + 1].removeprefix("# selfhost check ")
    assert shlex.split(command) == [model, "--runtime", "llama.cpp", "--quant", other]
    published = checked(model, other, "500GB")
    assert published.commands
    assert not any("convert" in line for line in published.setup)


@pytest.mark.parametrize(
    ("model", "repository"),
    [
        # the cards of these repositories, and exo's for the one whose experts stay in MXFP4
        ("gpt-oss-20b", "mlx-community/gpt-oss-20b-MXFP4-Q8"),
        ("gemma-3-27b", "mlx-community/gemma-3-27b-it-4bit"),
        ("qwen2.5-vl-7b", "mlx-community/Qwen2.5-VL-7B-Instruct-4bit"),
    ],
)
def test_mlx_loads_what_is_published(model: str, repository: str) -> None:
    verdict = check(model, Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
    assert verdict.commands == (f"mlx_lm.generate --model {repository} --prompt Hello",)
    assert not any("convert" in line for line in verdict.setup)


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


def test_what_is_quantized_already_is_not_converted_for_mlx() -> None:
    """mlx_lm.convert reads weights of 16 bits; MiniMax M2 is published in FP8 alone."""
    verdict = check("minimax-m2", Workload(runtime="mlx"), machine="mac-studio-m3-ultra-512gb")
    assert not any("mlx_lm.convert" in line for line in verdict.setup)


def test_a_conversion_is_told_where_the_library_cannot_do_what_is_asked() -> None:
    """Ollama has the file, but embeds no text of 4,096 tokens at once: the lines convert.

    567,754,752 parameters of 4 bytes are published, and F16 has 2.
    """
    model = "snowflake-arctic-embed-l-v2.0"
    verdict = check(model, Workload(runtime="llama.cpp"), machine="aws-m7i.2xlarge")
    assert any("convert_hf_to_gguf" in line for line in verdict.setup)
    assert verdict.needs is not None
    assert verdict.needs.download_bytes == pytest.approx(2 * 567_754_752, rel=0.03)
    assert verdict.needs.making is not None
    assert verdict.needs.making.disk_bytes == pytest.approx(6 * 567_754_752, rel=0.02)


def test_a_guess_of_the_published_weights_is_a_range(tmp_path: Path) -> None:
    """Weights of no stated type have 16 to 32 bits: the conversion's download has both ends."""
    shipped = (SPECS / "pythia-70m.toml").read_text(encoding="utf-8")
    own = shipped.replace('"pythia-70m"', '"pythia-mine"').replace(
        "EleutherAI/pythia-70m", "me/own"
    )
    own = own.replace('dtype = "float16"\n', "")
    own = own.replace("[unknown]\n", '[unknown]\n"architecture.dtype" = "nobody says it"\n')
    (tmp_path / "pythia-mine.toml").write_text(own, encoding="utf-8")
    verdict = check("pythia-mine", machine="aws-m7i.2xlarge", specs=[tmp_path])
    assert verdict.needs is not None
    assert verdict.needs.download_range is None
    assert verdict.needs.making is not None
    least, most = verdict.needs.making.download_range or (0, 0)
    assert (least, most) == pytest.approx((2 * 70_426_624, 4 * 70_426_624), rel=0.01)
    assert any("140 to 283 MB" in line and "a guess" in line for line in verdict.setup)


def test_a_smaller_file_that_nobody_makes_is_not_proposed() -> None:
    """IQ3_M wants an importance matrix, so that the printed lines make none of it."""
    machine = apply(load("aws-m7i.2xlarge").machine, ["disk=0.04GB"])
    verdict = check("pythia-70m", Workload(runtime="llama.cpp"), machine=machine)
    assert verdict.route is not Route.LOCAL
    assert "IQ3_M" not in {each.quantization for each in verdict.alternatives}
