"""What a model sees or hears with, counted from its config.json, against the classes, the converter and published files."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from helpers.each import each
from helpers.paths import COMMON, CONFIGS, TRUTH
from selfhost import Workload
from selfhost.catalogue.index import Catalogue
from selfhost.catalogue.spec import ModelSpec
from selfhost.core.errors import SpecError
from selfhost.modelfiles import read_local
from selfhost.modelfiles.encoders import Untold, encoders_of
from selfhost.needs import needs_of
from selfhost.needs.records import Term

ROWS: Mapping[str, Any] = tomllib.loads((COMMON / "architectures.toml").read_text(encoding="utf-8"))
MEASURED: Mapping[str, Any] = json.loads((TRUTH / "encoders.json").read_text(encoding="utf-8"))
CLASSES: list[dict[str, Any]] = MEASURED["classes"]
SMALL = {"model_type": "llava", "vision_config": {"model_type": "clip_vision_model"}}


def of_model(name: str) -> dict[str, Any]:
    return next(entry for entry in CLASSES if entry["model"] == name)


def file_of(name: str) -> Path:
    return CONFIGS / f"{name.replace('/', '--')}.json"


@each("entry", CLASSES, ids=lambda entry: str(entry["model"] or entry["class"]))
def test_an_encoder_has_the_parameters_of_its_class(entry: Mapping[str, Any]) -> None:
    """Of the sizes in the file, or of the defaults of the class where the file leaves them out."""
    assert encoders_of(entry["config"], entry["text_width"], ROWS).parameters == entry["encoders"]


@pytest.mark.parametrize(
    "entry", [entry for entry in CLASSES if "total" in entry], ids=lambda entry: str(entry["model"])
)
def test_a_model_with_its_encoder_has_the_parameters_of_its_class(
    entry: Mapping[str, Any], tmp_path: Path
) -> None:
    """Language model, encoder and what joins them are every parameter that the class holds."""
    path = file_of(entry["model"])
    if "language" in entry:
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**entry["language"], **entry["config"]}), encoding="utf-8")
    spec = read_local(path, ROWS).spec
    assert spec.parameters.total == entry["total"]
    assert spec.parameters.encoders == entry["encoders"]
    assert "parameters.encoders" in spec.sources


def test_a_whole_model_may_be_named_like_an_encoder(tmp_path: Path) -> None:
    """Cohere2VisionConfig() of transformers 5.23.0, built without weights: 35,651,000,064 parameters; an encoder alone is refused."""
    entry = next(
        entry for entry in CLASSES if entry["class"] == "Cohere2VisionForConditionalGeneration"
    )
    text = {
        "model_type": "cohere2", "vocab_size": 256000, "hidden_size": 8192, "intermediate_size": 22528, "num_hidden_layers": 40,
        "num_attention_heads": 64, "num_key_value_heads": 64, "head_dim": 128, "tie_word_embeddings": True, "sliding_window": 4096,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**entry["config"], "text_config": text}), encoding="utf-8")
    assert read_local(path, ROWS).spec.parameters.total == 35_651_000_064
    path.write_text(json.dumps({**text, "model_type": "cohere2_vision"}), encoding="utf-8")
    with pytest.raises(SpecError, match="describes an image encoder"):
        read_local(path, ROWS)


@pytest.mark.parametrize("entry", MEASURED["totals"], ids=lambda entry: str(entry["model"]))
def test_a_model_with_its_encoder_has_the_parameters_that_were_published(
    entry: Mapping[str, Any], tmp_path: Path
) -> None:
    """No class of transformers counts InternVL's and Phi-3's own code: the published files do, to the last parameter."""
    path = (
        CONFIGS / entry["config"] if isinstance(entry["config"], str) else tmp_path / "config.json"
    )
    if path.parent == tmp_path:
        path.write_text(json.dumps(entry["config"]), encoding="utf-8")
    assert read_local(path, ROWS).spec.parameters.total == entry["total"] - entry.get(
        "unexplained", 0
    )


@each(
    "entry",
    [entry for entry in CLASSES if "projector" in entry],
    ids=lambda entry: str(entry["model"]),
)
def test_the_projector_file_is_what_the_converter_writes(entry: Mapping[str, Any]) -> None:
    """Names and keys come on top: some tens of bytes a tensor, and numbers of one element in Gemma 4."""
    found = encoders_of(entry["config"], entry["text_width"], ROWS).projector_bytes
    assert found is not None
    header = entry["projector"]["bytes"] - found
    assert 0 < header < 150 * entry["projector"]["tensors"]


@pytest.mark.parametrize("entry", MEASURED["published"], ids=lambda entry: str(entry["repository"]))
def test_a_published_projector_file_is_as_large(entry: Mapping[str, Any]) -> None:
    """Whoever converted it, and whichever of the two converters: LLaVA's leaves the last layer out."""
    found = encoders_of(entry["config"], entry["text_width"], ROWS).projector_bytes
    assert found is not None
    assert found < entry["bytes"] < found * 1.0005


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("google/gemma-3-27b-it", "gemma-3-27b-it"),
        ("llava-hf/llava-1.5-7b-hf", "llava-1.5-7b"),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", "llama-4-scout-17b-16e-instruct"),
        ("mistralai/Devstral-Small-2-24B-Instruct-2512", "devstral-small-2-24b-instruct-2512"),
        ("moonshotai/Kimi-K2.5", "kimi-k2.5"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2.5-vl-7b-instruct"),
        ("Qwen/Qwen3-VL-8B-Instruct", "qwen3-vl-8b-instruct"),
        ("Qwen/Qwen3.5-27B", "qwen3.5-27b"),
        ("Qwen/Qwen3.5-397B-A17B", "qwen3.5-397b-a17b"),
    ],
)
def test_a_config_takes_for_its_pictures_what_the_spec_of_the_model_takes(
    name: str, id: str
) -> None:
    """The same encoder, and the same buffer that was measured for it in llama.cpp."""
    shelf = Catalogue.open()

    def parts(spec: ModelSpec) -> Mapping[str, Term]:
        found = needs_of(
            spec,
            shelf.runtime("llama.cpp"),
            Workload(context_tokens=2048, quantization="Q4_K_M"),
            ROWS,
        )
        assert found.memory is not None
        return {term.name: term for term in found.memory.terms if term.name.startswith("projector")}

    known, read = parts(shelf.spec(id)), parts(read_local(file_of(name), ROWS).spec)
    assert read["projector_compute"] == known["projector_compute"]
    assert read["projector"] == known["projector"]


def projector_compute(name: str) -> Term:
    spec = read_local(file_of(name), ROWS).spec
    found = needs_of(
        spec,
        Catalogue.open().runtime("llama.cpp"),
        Workload(context_tokens=2048, quantization="Q4_K_M"),
        ROWS,
    )
    assert found.memory is not None
    return next(term for term in found.memory.terms if term.name == "projector_compute")


def test_an_encoder_that_was_not_measured_has_a_range() -> None:
    """Phi-3 Vision's buffer is nowhere measured: none is certain, and the largest of others bounds it."""
    found = projector_compute("microsoft/Phi-3-vision-128k-instruct")
    assert (found.how, found.low_bytes) == ("assumed", 0)
    assert found.high_bytes >= 1_984_987_136


def test_a_measured_encoder_is_found_by_its_type() -> None:
    """LFM2.5-VL, one tile of 512 × 512, as llama.cpp 0c1e570 logs it (30.31 MiB); its work buffer takes up to a fifth of that."""
    found = projector_compute("LiquidAI/LFM2.5-VL-1.6B")
    assert (found.how, found.low_bytes, found.bytes, found.high_bytes) == (
        "measured",
        0,
        31_784_960,
        31_784_960 * 6 // 5,
    )


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model_type": "multi_modality"}, "model_type"),
        ({"vision_config": {"model_type": "own_vit"}}, "vision_config.model_type"),
        ({"vision_config": None}, "vision_config"),
        ({"vision_config": "openai/clip"}, "vision_config"),
        (
            {"vision_config": {"model_type": "clip_vision_model", "hidden_size": "wide"}},
            "vision_config.hidden_size",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "hidden_size": [1024, 2048]}},
            "vision_config.hidden_size",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "hidden_size": -1}},
            "vision_config.hidden_size",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "hidden_size": [1024]}},
            "vision_config.hidden_size",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "num_hidden_layers": True}},
            "vision_config.num_hidden_layers",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "intermediate_size": 4096.0}},
            "vision_config.intermediate_size",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "patch_size": 0}},
            "p of the encoder is 0",
        ),
        (
            {"vision_config": None, "mm_vision_tower": "openai/clip-vit-large-patch14-336"},
            "mm_projector_type",
        ),
        (
            {"vision_config": {"model_type": "clip_vision_model", "hidden_size": 2**31}},
            "vision_config",
        ),
        (
            {
                "model_type": "internvl_chat",
                "downsample_ratio": 1.0,
                "vision_config": {"model_type": "intern_vit_6b"},
            },
            "downsample_ratio",
        ),
    ],
)
def test_what_does_not_follow_is_named(changes: Mapping[str, Any], key: str) -> None:
    """Whoever asks learns which key of the file is not understood."""
    with pytest.raises(Untold) as told:
        encoders_of({**SMALL, **changes}, 4096, ROWS)
    assert key in str(told.value)


@pytest.mark.parametrize(
    ("name", "changes", "more"),
    [
        # a class token and patches of 14 × 14 in three colours, 1,024 wide: positions alone change with the picture
        ("llava-hf/llava-1.5-7b-hf", {"image_size": 350}, (25**2 - 24**2) * 1024),
        # a layer of 27: four matrices of 1,152², two of 1,152 × 4,304, their biases, two norms
        (
            "google/gemma-3-27b-it",
            {"num_hidden_layers": 28},
            4 * 1152**2 + 2 * 1152 * 4304 + 4 * 1152 + 1152 + 4304 + 4 * 1152,
        ),
        # what each of the layers it takes from is merged by
        (
            "Qwen/Qwen3-VL-8B-Instruct",
            {"deepstack_visual_indexes": [8, 16]},
            -(2 * 4608 + 4608**2 + 4608 + 4608 * 4096 + 4096),
        ),
        # transformers ignores that key for Qwen3.5
        ("Qwen/Qwen3.5-27B", {"deepstack_visual_indexes": [8, 16]}, 0),
    ],
)
def test_a_size_of_the_file_is_a_size_of_the_encoder(
    name: str, changes: Mapping[str, Any], more: int
) -> None:
    """What one key changes is what the tensors it is part of change by."""
    entry = of_model(name)
    values = copy.deepcopy(entry["config"])
    values["vision_config"].update(changes)
    assert encoders_of(values, entry["text_width"], ROWS).parameters == entry["encoders"] + more


def test_a_tower_named_beside_its_sizes_counts_once() -> None:
    """LLaVA's first code names the tower where transformers describes it; a file with both has one."""
    named = {
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "mm_projector_type": "mlp2x_gelu",
    }
    described = of_model("llava-hf/llava-1.5-7b-hf")["config"]
    found = [
        encoders_of(values, 4096, ROWS).parameters
        for values in ({"model_type": "llava", **named}, {**described, **named}, described)
    ]
    assert found == [324_487_168] * 3


def test_every_measured_encoder_can_be_reached() -> None:
    """A type that no config.json has would leave its row unused."""
    for row in ROWS["encoder"]:
        for type in row.get("types", ()):
            kind, *tower, width = type.split()
            parts = ROWS["seeing"][kind].values()
            assert width.isdigit()
            assert any(("tower" in part) != bool(tower) for part in parts)
            assert not tower or tower[0] in ROWS["tower"]
