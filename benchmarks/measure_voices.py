"""What programs that speak and listen with libraries of their own take on a CPU: figures for `tests/truth/voices.json`. Not part of the checks.

    pip install torch numpy and one of: kokoro, funasr, f5-tts, chatterbox-tts, coqui-tts, parler-tts, piper-tts
    python benchmarks/measure_voices.py --out FILE --only kokoro [--work DIR] [--list]

Each library builds its own classes at their published sizes with random weights (nothing is downloaded), saves them in the format that
it loads, and loads them in a fresh process as its own code does. The libraries do not install beside each other: one run a library,
with the same FILE. What turns text into phonemes runs only where its data come with the library (Piper).
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rig import Rig, Stages, main

# model -> the distribution whose classes it has
LIBRARIES = {
    "kokoro-82m": "kokoro",
    "sensevoice-small": "funasr",
    "f5-tts": "f5-tts",
    "chatterbox": "chatterbox-tts",
    "xtts-v2": "coqui-tts",
    "parler-tts-mini": "parler-tts",
    "parler-tts-large": "parler-tts",
    "piper-medium": "piper-tts",
}
_KOKORO = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12], "upsample_rates": [10, 6], "gen_istft_hop_size": 5, "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5]] * 3, "resblock_kernel_sizes": [3, 7, 11], "upsample_initial_channel": 512,
    },
    "dim_in": 64, "dropout": 0.2, "hidden_dim": 512, "max_conv_dim": 512, "max_dur": 50, "multispeaker": True, "n_layer": 3,
    "n_mels": 80, "n_token": 178, "style_dim": 128, "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 2048, "max_position_embeddings": 512,
        "num_hidden_layers": 12, "dropout": 0.1,
    },
    "vocab": {chr(97 + number): number + 1 for number in range(26)},
}  # fmt: skip
_SENSEVOICE = {
    "encoder": "SenseVoiceEncoderSmall", "input_size": 560, "vocab_size": 25055,
    "encoder_conf": {
        "output_size": 512, "attention_heads": 4, "linear_units": 2048, "num_blocks": 50, "tp_blocks": 20, "input_layer": "pe",
        "normalize_before": True, "kernel_size": 11, "sanm_shfit": 0, "selfattention_layer_type": "sanm",
    },
}  # fmt: skip
_F5 = {"dim": 1024, "depth": 22, "heads": 16, "ff_mult": 2, "text_dim": 512, "conv_layers": 4}
_PARLER = {"parler-tts-mini": (1024, 24, 16), "parler-tts-large": (1536, 30, 24)}


def cases() -> list[dict[str, Any]]:
    """Every run; `seconds` of sound, made or heard."""
    lengths = {
        "kokoro-82m": (5, 20), "sensevoice-small": (10, 30), "f5-tts": (5, 15), "chatterbox": (3,), "xtts-v2": (3,),
        "parler-tts-mini": (2,), "parler-tts-large": (1,), "piper-medium": (5, 20),
    }  # fmt: skip
    return [
        {
            "kind": "hear" if model.startswith("sense") else "speak",
            "model": model,
            "seconds": seconds,
        }
        for model, each in lengths.items()
        for seconds in each
    ]


def make(model: str, folder: str) -> None:
    """Saves a model with random weights in the files that its library loads."""
    import_module("torch").manual_seed(1)
    Path(folder).mkdir(parents=True)
    _MAKERS[model.partition("-")[0]](model, Path(folder))


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Loads the model as its library does, and runs it twice."""
    load, run = _RUNS[case["model"].partition("-")[0]]
    torch = None
    if not case["model"].startswith("piper"):
        torch = import_module("torch")
        torch.set_num_threads(1)
        torch.manual_seed(1)
    stages.note("torch")
    loaded, parameters = load(stages, Path(folder), case["model"])
    stages.note("loaded")
    for stage in ("first", "second"):
        if torch is None:
            run(torch, loaded, case["seconds"])
        else:
            with torch.inference_mode():
                run(torch, loaded, case["seconds"])
        stages.note(stage)
    library = LIBRARIES[case["model"]]
    return {
        "library": f"{library} {version(library)}",
        "parameters": parameters,
        "weights_bytes": 4 * parameters,
    }


def _count(*modules: Any) -> int:
    return sum(
        {id(item): item.numel() for module in modules for item in module.parameters()}.values()
    )


# ------------------------------------------------------------------ Kokoro


def _make_kokoro(_: str, folder: Path) -> None:
    torch, kokoro = import_module("torch"), import_module("kokoro.model")
    empty = folder / "empty.pth"
    torch.save({}, empty)
    model = kokoro.KModel(repo_id="hexgrad/Kokoro-82M", config=_KOKORO, model=str(empty))
    parts = ("bert", "bert_encoder", "predictor", "text_encoder", "decoder")
    torch.save({name: getattr(model, name).state_dict() for name in parts}, folder / "model.pth")
    empty.unlink()


def _load_kokoro(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    kokoro = import_module("kokoro")
    stages.note("library")
    model = kokoro.KModel(
        repo_id="hexgrad/Kokoro-82M", config=_KOKORO, model=str(folder / "model.pth")
    ).eval()
    return model, _count(model)


def _run_kokoro(torch: Any, model: Any, seconds: int) -> None:
    """Sound of 600 samples a frame from a text of 15 signs a second, every sign as long as it takes."""
    signs = 15 * seconds
    frames = 24000 * seconds // 600
    encode = model.predictor.duration_proj.forward
    share = frames / (signs + 2)

    def lasting(states: Any) -> Any:
        # as many steps as a sign lasts are likelier than not
        return torch.where(torch.arange(50) < round(share), 10.0, -10.0).expand_as(encode(states))

    model.predictor.duration_proj.forward = lasting
    model("".join(chr(97 + number % 26) for number in range(signs)), torch.randn(1, 256))
    model.predictor.duration_proj.forward = encode


# ------------------------------------------------------------------ SenseVoice


def _sensevoice() -> Any:
    import_module("funasr.auto.auto_model")
    return import_module("funasr.models.sense_voice.model").SenseVoiceSmall(**_SENSEVOICE)


def _make_sensevoice(_: str, folder: Path) -> None:
    import_module("torch").save(_sensevoice().state_dict(), folder / "model.pt")


def _load_sensevoice(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    import_module("funasr.auto.auto_model")
    stages.note("library")
    model = _sensevoice()
    load = import_module("funasr.train_utils.load_pretrained_model").load_pretrained_model
    load(
        path=str(folder / "model.pt"),
        model=model,
        ignore_init_mismatch=True,
        oss_bucket=None,
        scope_map=[],
        excludes=None,
    )
    return model.eval(), _count(model)


def _run_sensevoice(torch: Any, model: Any, seconds: int) -> None:
    """Frames of 60 ms, as its front end stacks them."""
    frames = seconds * 1000 // 60
    states, _ = model.encoder(torch.randn(1, frames, 560), torch.tensor([frames]))
    model.ctc.log_softmax(states)


# ------------------------------------------------------------------ F5-TTS


def _make_f5(_: str, folder: Path) -> None:
    torch, tools = import_module("torch"), import_module("f5_tts.infer.utils_infer")
    cfm, dit = import_module("f5_tts.model").CFM, import_module("f5_tts.model").DiT
    vocabulary = str(
        import_module("importlib.resources").files("f5_tts").joinpath("infer/examples/vocab.txt")
    )
    words, size = import_module("f5_tts.model.utils").get_tokenizer(vocabulary, "custom")
    model = cfm(
        transformer=dit(**_F5, text_num_embeds=size, mel_dim=100),
        mel_spec_kwargs=_mel(tools),
        vocab_char_map=words,
    )
    state = {f"ema_model.{key}": value.contiguous() for key, value in model.state_dict().items()}
    import_module("safetensors.torch").save_file(state, folder / "model.safetensors")
    vocos = _vocos()
    torch.save(vocos.state_dict(), folder / "vocos.bin")


def _mel(tools: Any) -> dict[str, Any]:
    return {
        "n_fft": tools.n_fft, "hop_length": tools.hop_length, "win_length": tools.win_length,
        "n_mel_channels": tools.n_mel_channels, "target_sample_rate": tools.target_sample_rate, "mel_spec_type": "vocos",
    }  # fmt: skip


def _vocos() -> Any:
    """charactr/vocos-mel-24khz."""
    vocos = import_module("vocos")
    parts = (
        import_module("vocos.feature_extractors"),
        import_module("vocos.models"),
        import_module("vocos.heads"),
    )
    return vocos.Vocos(
        feature_extractor=parts[0].MelSpectrogramFeatures(
            sample_rate=24000, n_fft=1024, hop_length=256, n_mels=100
        ),
        backbone=parts[1].VocosBackbone(
            input_channels=100, dim=512, intermediate_dim=1536, num_layers=8
        ),
        head=parts[2].ISTFTHead(dim=512, n_fft=1024, hop_length=256),
    )


def _load_f5(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    torch, tools = import_module("torch"), import_module("f5_tts.infer.utils_infer")
    stages.note("library")
    vocos = _vocos()
    vocos.load_state_dict(torch.load(folder / "vocos.bin", map_location="cpu", weights_only=True))
    dit = import_module("f5_tts.model").DiT
    model = tools.load_model(dit, _F5, str(folder / "model.safetensors"), device="cpu")
    return (model, vocos.eval()), _count(model, vocos)


def _run_f5(torch: Any, loaded: Any, seconds: int) -> None:
    """A voice of 5 seconds to take, and as many to make; two of its 32 steps."""
    model, vocos = loaded
    frames = 24000 // 256
    mel, _ = model.sample(
        cond=torch.randn(1, 5 * frames, 100), text=["What it says. " * 3 + "Hello " * 2 * seconds], duration=(5 + seconds) * frames,
        steps=2, cfg_strength=2.0,
    )  # fmt: skip
    vocos.decode(mel.permute(0, 2, 1))


# ------------------------------------------------------------------ Chatterbox


def _chatterbox() -> tuple[Any, Any, Any]:
    parts = (
        import_module("chatterbox.models.t3"),
        import_module("chatterbox.models.s3gen"),
        import_module("chatterbox.models.voice_encoder"),
    )
    return parts[0].T3(), parts[1].S3Gen(), parts[2].VoiceEncoder()


def _make_chatterbox(_: str, folder: Path) -> None:
    save = import_module("safetensors.torch").save_file
    for name, part in zip(("t3", "s3gen", "ve"), _chatterbox(), strict=True):
        save(
            {key: value.clone().contiguous() for key, value in part.state_dict().items()},
            folder / f"{name}.safetensors",
        )


def _load_chatterbox(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    """As ChatterboxTTS.from_local does."""
    import_module("chatterbox.tts")
    load = import_module("safetensors.torch").load_file
    stages.note("library")
    parts = []
    for name, place, kind in (
        ("ve", "voice_encoder", "VoiceEncoder"),
        ("t3", "t3", "T3"),
        ("s3gen", "s3gen", "S3Gen"),
    ):
        part = getattr(import_module(f"chatterbox.models.{place}"), kind)()
        part.load_state_dict(load(folder / f"{name}.safetensors"), strict=False)
        parts.append(part.eval())
    return parts, _count(*parts)


def _run_chatterbox(torch: Any, parts: Any, seconds: int) -> None:
    """25 tokens a second by a Llama, guidance of two sequences, and sound of them."""
    _, t3, s3gen = parts
    cond = import_module("chatterbox.models.t3.modules.cond_enc").T3Cond(
        speaker_emb=torch.randn(1, 256),
        cond_prompt_speech_tokens=torch.randint(0, 6000, (1, 150)),
        emotion_adv=0.5 * torch.ones(1, 1, 1),
    )
    text = torch.randint(5, 700, (2, 15 * seconds))
    text[:, 0], text[:, -1] = t3.hp.start_text_token, t3.hp.stop_text_token
    t3.hp.stop_speech_token = -1
    tokens = t3.inference(
        t3_cond=cond, text_tokens=text, max_new_tokens=25 * seconds, temperature=0.8, cfg_weight=0.5
    )
    reference = s3gen.embed_ref(torch.randn(24000 * 6).numpy(), 24000, device="cpu")
    s3gen.inference(speech_tokens=tokens[0].clamp(0, 6000), ref_dict=reference)


# ------------------------------------------------------------------ XTTS


def _xtts() -> Any:
    config = import_module("TTS.tts.configs.xtts_config").XttsConfig()
    config.model_args.gpt_number_text_tokens = 6681
    config.model_args.gpt_num_audio_tokens = 1026
    config.model_args.gpt_start_audio_token, config.model_args.gpt_stop_audio_token = 1024, 1025
    config.model_args.gpt_use_masking_gt_prompt_approach = (
        config.model_args.gpt_use_perceiver_resampler
    ) = True
    model = import_module("TTS.tts.models.xtts").Xtts(config)
    model.init_models()
    return model


def _make_xtts(_: str, folder: Path) -> None:
    import_module("torch").save({"model": _xtts().state_dict()}, folder / "model.pth")


def _load_xtts(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    """As Xtts.load_checkpoint does."""
    import_module("TTS.api")
    import_module("TTS.tts.models.xtts")
    stages.note("library")
    model = _xtts()
    state = model.get_compatible_checkpoint_state_dict(folder / "model.pth")
    model.load_state_dict(state, strict=False)
    del state
    model.gpt.init_gpt_for_inference(kv_cache=model.args.kv_cache)
    # its eval() returns nothing
    model.eval()
    return model, _count(model)


def _run_xtts(torch: Any, model: Any, seconds: int) -> None:
    """22 codes a second by a GPT-2, and sound of them."""
    latents, speaker = torch.randn(1, 32, 1024), torch.randn(1, 512, 1)
    text = torch.randint(5, 6000, (1, 15 * seconds))
    codes = model.gpt.generate(
        cond_latents=latents, text_inputs=text, do_sample=True, num_return_sequences=1, num_beams=1, min_new_tokens=22 * seconds,
        max_new_tokens=22 * seconds,
    )  # fmt: skip
    lengths = torch.tensor([codes.shape[-1] * model.gpt.code_stride_len])
    states = model.gpt(
        text,
        torch.tensor([text.shape[-1]]),
        codes.clamp(0, 1023),
        lengths,
        cond_latents=latents,
        return_attentions=False,
        return_latent=True,
    )
    model.hifigan_decoder(states, g=speaker)


# ------------------------------------------------------------------ Parler-TTS


def _make_parler(model: str, folder: Path) -> None:
    transformers, parler = import_module("transformers"), import_module("parler_tts")
    width, layers, heads = _PARLER[model]
    config = parler.ParlerTTSConfig.from_sub_models_config(
        # Flan-T5 large, and a codec of 9 codebooks at 44.1 kHz
        transformers.T5Config(d_model=1024, d_ff=2816, num_layers=24, num_heads=16, feed_forward_proj="gated-gelu"),
        parler.DACConfig(codebook_size=1088),
        parler.ParlerTTSDecoderConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, ffn_dim=4 * width, vocab_size=1088,
            pad_token_id=1024, bos_token_id=1025, eos_token_id=1024, max_position_embeddings=4096,
        ),
        vocab_size=32128,
    )  # fmt: skip
    parler.ParlerTTSForConditionalGeneration(config).save_pretrained(folder)


def _load_parler(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    parler = import_module("parler_tts")
    stages.note("library")
    model = parler.ParlerTTSForConditionalGeneration.from_pretrained(folder).eval()
    return model, _count(model)


def _run_parler(torch: Any, model: Any, seconds: int) -> None:
    """86 frames a second after a description and a text."""
    frames = 86 * seconds
    model.generate(
        input_ids=torch.randint(5, 1000, (1, 40)), prompt_input_ids=torch.randint(5, 1000, (1, 4 * seconds)), do_sample=True,
        min_new_tokens=frames, max_new_tokens=frames,
    )  # fmt: skip


# ------------------------------------------------------------------ Piper


def _make_piper(_: str, folder: Path) -> None:
    """VITS of the medium size in ONNX, with the class of transformers in the place of Piper's own."""
    torch, transformers = import_module("torch"), import_module("transformers")
    config = transformers.VitsConfig(
        vocab_size=256, upsample_rates=[8, 8, 4], upsample_initial_channel=256, upsample_kernel_sizes=[16, 16, 8],
        resblock_kernel_sizes=[3, 5, 7], resblock_dilation_sizes=[[1], [2], [3]], sampling_rate=22050, speaking_rate=1.0,
    )  # fmt: skip
    model = transformers.VitsModel(config).eval()

    plain = model.forward

    def with_piper_inputs(ids: Any, lengths: Any, scales: Any) -> Any:
        """The three inputs and the shape of the output that Piper expects."""
        return plain(ids).waveform[:, None, None] + 0 * scales.sum() + 0 * lengths.sum()

    model.forward = with_piper_inputs
    example = torch.randint(1, 60, (1, 80)), torch.tensor([80]), torch.tensor([0.667, 1.0, 0.8])
    torch.onnx.export(
        model, example, str(folder / "voice.onnx"), dynamo=False, opset_version=17, input_names=["input", "input_lengths", "scales"],
        output_names=["output"], dynamic_axes={"input": {1: "signs"}, "output": {3: "samples"}},
    )  # fmt: skip
    settings = {
        "audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "num_symbols": 256, "num_speakers": 1,
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8}, "phoneme_type": "espeak",
        "phoneme_id_map": {chr(97 + number): [number + 1] for number in range(26)} | {"^": [27], "_": [28], "$": [29], " ": [30]},
    }  # fmt: skip
    (folder / "voice.onnx.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "parameters.json").write_text(json.dumps(_count(model)), encoding="utf-8")


def _load_piper(stages: Stages, folder: Path, _: str) -> tuple[Any, int]:
    piper = import_module("piper")
    stages.note("library")
    count: int = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
    return piper.PiperVoice.load(
        folder / "voice.onnx", config_path=folder / "voice.onnx.json"
    ), count


def _run_piper(_: Any, voice: Any, seconds: int) -> None:
    """One sentence of 15 letters a second."""
    for _ in voice.synthesize(("lighthouse tower " * seconds)[: 15 * seconds]):
        pass


_MAKERS = {
    "kokoro": _make_kokoro, "sensevoice": _make_sensevoice, "f5": _make_f5, "chatterbox": _make_chatterbox, "xtts": _make_xtts,
    "parler": _make_parler, "piper": _make_piper,
}  # fmt: skip
_RUNS = {
    "kokoro": (_load_kokoro, _run_kokoro), "sensevoice": (_load_sensevoice, _run_sensevoice), "f5": (_load_f5, _run_f5),
    "chatterbox": (_load_chatterbox, _run_chatterbox), "xtts": (_load_xtts, _run_xtts), "parler": (_load_parler, _run_parler),
    "piper": (_load_piper, _run_piper),
}  # fmt: skip


def config_of(model: str, _: str) -> dict[str, Any]:
    """The library and its version."""
    library = LIBRARIES[model]
    return {"library": library, "version": version(library)}


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_voices.py: classes of each library with random weights, each run in a fresh process on one CPU thread",
    conditions="resident memory from /proc/self/status, its peak since the stage before; `library` after its import, `loaded` with the "
    "most that loading took, `first` and `second` two answers",
    packages=("numpy",),
    groups=dict.fromkeys(("speak", "hear"), "runs"),
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
