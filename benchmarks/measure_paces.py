"""How fast one core computes work that is no text: figures for `computed` of `tests/truth/compute.json`. Not part of the checks.

    pip install torch transformers diffusers ctranslate2 faster-whisper kokoro numpy
    python benchmarks/measure_paces.py --out FILE [--only TEXT] [--repeats 5] [--list]

Models have the shapes of published ones and random weights, which no pace depends on; the largest have fewer layers of one kind. A
run is one pass of a part: of an encoder, a denoiser, a decoder, or one step that writes a token. Each runs in a process of its own,
on as many threads as asked; its time is the least CPU time of the repeats, divided by the threads, so that a busy machine does no
more than raise it. Operations are those of products and convolutions, two for each multiplication (`FlopCounterMode` of PyTorch).
`read_gb_per_s` is the same threads' pace of summing an array that no cache holds. Runs of a file are gone on with: the least time of
several calls is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from measure_diffusers import PIPELINES
from measure_kinds import MODELS as KINDS
from measure_whisper import SIZES, write_ctranslate2

Call = Callable[[], object]
_FLOAT = "float32"
# of SDXL and SD 3 fewer layers of one kind, that 8 GB hold them
_CUT_XL = {"transformer_layers_per_block": (1, 2, 4)}
_PIXART = {
    "num_attention_heads": 16, "attention_head_dim": 72, "in_channels": 4, "out_channels": 8, "num_layers": 28,
    "cross_attention_dim": 1152, "sample_size": 64, "patch_size": 2, "norm_type": "ada_norm_single", "norm_elementwise_affine": False,
    "attention_bias": True, "activation_fn": "gelu-approximate", "num_embeds_ada_norm": 1000, "norm_eps": 1e-6, "caption_channels": 4096,
}  # fmt: skip
# decoders that write a token from a cache: width, layers, feed-forward width, heads, heads of keys, vocabulary. The names say whose
# shapes they are: of voices, of a recognizer's language model, of a music maker
WRITERS = {
    "csm-depth": (1024, 4, 8192, 8, 2, 2051),
    "qwen3-tts-depth": (1024, 5, 3072, 16, 8, 2048),
    "chatterbox": (1024, 30, 4096, 16, 16, 8194),
    "parler-mini": (1024, 24, 4096, 16, 16, 1088),
    "bark": (1024, 24, 4096, 16, 16, 10048),
    "bark-small": (768, 12, 3072, 12, 12, 10048),
    "cosyvoice2": (896, 24, 4864, 14, 2, 6564),
    "qwen3-asr-0.6b": (1024, 28, 3072, 16, 8, 151936),
    "musicgen-medium": (1536, 48, 6144, 24, 24, 2048),
}


def _torch(threads: int) -> Any:
    torch = import_module("torch")
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    for name in (
        "normal_",
        "trunc_normal_",
        "uniform_",
        "kaiming_uniform_",
        "kaiming_normal_",
        "xavier_uniform_",
    ):
        setattr(torch.nn.init, name, _filled)
    return torch


def _filled(tensor: Any, *_: object, **__: object) -> Any:
    """In place of chance, which takes longer than what is measured."""
    return tensor.data.fill_(0.01)


def _of_diffusers(torch: Any, part: str, dtype: str) -> tuple[Any, dict[str, Any]]:
    """A denoiser or a decoder of pictures, and what one pass of it is given."""
    diffusers = import_module("diffusers")
    name, _, pixels_text = part.rpartition("@")
    pixels = int(pixels_text)
    side = pixels // 8

    def noise(*shape: int) -> Any:
        return torch.randn(*shape)

    step = {"timestep": torch.tensor([500])}
    torch.set_default_dtype(getattr(torch, dtype))
    if name.endswith("-decoder"):
        _, values = PIPELINES[name.removesuffix("-decoder")][2]["vae"]
        vae = diffusers.AutoencoderKL(**values)
        channels = values["latent_channels"]
        return vae.decoder.eval(), {"sample": noise(1, channels, side, side)}
    if name == "sd15":
        kind, values = PIPELINES["sd15"][2]["unet"]
        given = {"sample": noise(1, 4, side, side), "encoder_hidden_states": noise(1, 77, 768)}
    elif name == "sdxl-cut":
        kind, values = PIPELINES["sdxl"][2]["unet"]
        values = {**values, **_CUT_XL}
        given = {
            "sample": noise(1, 4, side, side), "encoder_hidden_states": noise(1, 77, 2048),
            "added_cond_kwargs": {"text_embeds": noise(1, 1280), "time_ids": noise(1, 6)},
        }  # fmt: skip
    elif name == "sd3-cut":
        kind, values = PIPELINES["sd3"][2]["transformer"]
        values = {**values, "num_layers": 6}
        given = {
            "hidden_states": noise(1, 16, side, side), "encoder_hidden_states": noise(1, 333, 4096),
            "pooled_projections": noise(1, 2048),
        }  # fmt: skip
    else:
        kind, values = "PixArtTransformer2DModel", _PIXART
        given = {
            "hidden_states": noise(1, 4, side, side), "encoder_hidden_states": noise(1, 120, 4096),
            "added_cond_kwargs": {"resolution": None, "aspect_ratio": None},
        }  # fmt: skip
    return getattr(diffusers, kind)(**values).eval(), {**given, **step}


def _of_transformers(torch: Any, name: str, seconds: int, dtype: str) -> tuple[Any, dict[str, Any]]:
    """A recognizer's encoder or a voice of one pass, and sound or text of that many seconds."""
    transformers = import_module("transformers")
    kind, config, values = KINDS[name]
    torch.set_default_dtype(getattr(torch, dtype))
    model = getattr(transformers, kind)(getattr(transformers, config)(**values)).eval()
    if name == "vits":
        # how long it speaks, which trained weights decide
        model.duration_predictor = _Steady(torch, seconds)
        return model, {"input_ids": torch.randint(1, 38, (1, 2 * 15 * seconds))}
    if name.startswith("parakeet"):
        return model, {"input_features": torch.randn(1, 100 * seconds, 80)}
    if name.startswith("moonshine"):
        return model.get_encoder(), {"input_values": torch.randn(1, 16000 * seconds)}
    return model, {"input_values": torch.randn(1, 16000 * seconds)}


def _Steady(torch: Any, seconds: int) -> Any:  # noqa: N802
    """A duration predictor by which every letter takes as long."""

    class Steady(torch.nn.Module):  # type: ignore[misc]
        def forward(self, states: Any, mask: Any, *_: Any, **__: Any) -> Any:
            frames = seconds * 16000 / 256
            letters = states.shape[-1]
            return torch.full_like(mask, float(frames / letters)).log()

    return Steady()


# encoders of text of 512 tokens: width, layers, feed-forward width, heads
ENCODERS = {
    "bge-small-en-v1.5": (384, 12, 1536, 12),
    "bge-base-en-v1.5": (768, 12, 3072, 12),
    "bge-large-en-v1.5": (1024, 24, 4096, 16),
}


def _encoder(torch: Any, name: str) -> tuple[Any, Call]:
    """An encoder, and what reads one document of 512 tokens."""
    transformers = import_module("transformers")
    width, layers, feed_forward, heads = ENCODERS[name]
    model = transformers.BertModel(
        transformers.BertConfig(
            hidden_size=width, num_hidden_layers=layers, intermediate_size=feed_forward,
            num_attention_heads=heads,
        )
    ).eval()  # fmt: skip
    tokens = torch.randint(0, 30000, (1, 512))
    return model, lambda: model(tokens)


def _kokoro(torch: Any, seconds: int) -> tuple[Any, Call]:
    """Kokoro, and what speaks 15 signs a second, of three frames each: 11.4 seconds where ten are asked for."""
    voices, library = import_module("measure_voices"), import_module("kokoro.model")
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder) / "empty.pth"
        torch.save({}, empty)
        model = library.KModel(
            repo_id="hexgrad/Kokoro-82M", config=voices._KOKORO, model=str(empty)
        ).eval()
    return model, lambda: voices._run_kokoro(torch, model, seconds)


def _writer(torch: Any, name: str, dtype: str) -> tuple[Any, Any]:
    """A decoder with 250 tokens in its cache, and what makes one step more."""
    transformers = import_module("transformers")
    width, layers, feed_forward, heads, key_heads, vocabulary = WRITERS[name]
    torch.set_default_dtype(getattr(torch, dtype))
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=width, num_hidden_layers=layers, intermediate_size=feed_forward, num_attention_heads=heads,
            num_key_value_heads=key_heads, vocab_size=vocabulary, max_position_embeddings=4096,
        )
    ).eval()  # fmt: skip
    cache = transformers.DynamicCache()
    model(torch.randint(0, vocabulary, (1, 250)), past_key_values=cache, use_cache=True)

    def step() -> object:
        answer = model(torch.randint(0, vocabulary, (1, 1)), past_key_values=cache, use_cache=True)
        cache.crop(-1)
        return answer

    return model, step


def _ctranslate2(size: str, compute: str, threads: int, folder: Path) -> dict[str, Call]:
    """Encoder of half a minute; a step of five beams, and of one, by answers of two lengths."""
    numpy, engine = import_module("numpy"), import_module("ctranslate2")
    write_ctranslate2(size, folder, "float16")
    model = engine.models.Whisper(
        str(folder), device="cpu", compute_type=compute, intra_threads=threads, inter_threads=1
    )
    features = engine.StorageView.from_array(
        numpy.random.default_rng(1).standard_normal((1, SIZES[size][4], 3000), dtype="f4")
    )
    heard = model.encode(features)
    end = [50257]

    def written(length: int, beams: int) -> Call:
        return lambda: model.generate(
            heard, [[50258, 50259, 50360, 50364]], beam_size=beams, max_length=length, suppress_blank=False,
            suppress_tokens=end, return_scores=False,
        )  # fmt: skip

    return {
        "encode": lambda: model.encode(features),
        "short": written(24, 5), "long": written(88, 5), "short_alone": written(24, 1), "long_alone": written(88, 1),
    }  # fmt: skip


def _least(call: Call, repeats: int, threads: int, *, is_warm: bool = False) -> float:
    """Least CPU seconds of the repeats, for each thread; a first call warms up."""
    if not is_warm:
        call()
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken) / threads


def _read_gb_per_s(threads: int) -> float:
    """Of an array of 512 MB, the best of eight."""
    torch = _torch(threads)
    array = torch.ones(128 * 2**20, dtype=torch.float32)
    return float(array.nbytes / 1e9 / _least(array.sum, 8, threads))


def _sgemm_gflops(threads: int) -> float:
    """Of a product of matrices of 2,048 rows and columns in 32 bits: what PyTorch reaches at best."""
    torch = _torch(threads)
    first, second = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return float(2 * 2048**3 / 1e9 / _least(lambda: first @ second, 8, threads))


def measure(case: dict[str, Any], repeats: int) -> dict[str, Any]:
    """The figures of one run, in this process."""
    kind, model, threads = case["kind"], case["model"], case["threads"]
    if kind == "whisper":
        with tempfile.TemporaryDirectory() as folder:
            calls = _ctranslate2(model, case["dtype"], threads, Path(folder))
            taken = {name: _least(call, repeats, threads) for name, call in calls.items()}
        return {
            "seconds": taken["encode"],
            "step_seconds": (taken["long"] - taken["short"]) / 64,
            "step_alone_seconds": (taken["long_alone"] - taken["short_alone"]) / 64,
            "sgemm_gflops": _sgemm_gflops(threads), "read_gb_per_s": _read_gb_per_s(threads),
        }  # fmt: skip
    torch = _torch(threads)
    counter = import_module("torch.utils.flop_counter").FlopCounterMode(display=False)
    if kind == "write":
        module, call = _writer(torch, model, case["dtype"])
    elif kind == "document":
        module, call = _encoder(torch, model)
    elif kind == "voice":
        module, call = _kokoro(torch, case["sound_seconds"])
    else:
        module, inputs = (
            _of_diffusers(torch, model, case["dtype"])
            if kind == "picture"
            else _of_transformers(torch, model, case["sound_seconds"], case["dtype"])
        )

        def call() -> object:
            return module(**inputs)

    with counter:
        call()
    taken_seconds = _least(call, repeats, threads, is_warm=True)
    parameters = sum(each.numel() for each in module.parameters())
    torch.set_default_dtype(torch.float32)
    return {
        "parameters": parameters, "operations": counter.get_total_flops(), "seconds": taken_seconds,
        "sgemm_gflops": _sgemm_gflops(threads), "read_gb_per_s": _read_gb_per_s(threads),
    }  # fmt: skip


def cases() -> Iterator[dict[str, Any]]:
    """Every run, the short ones first."""
    for threads in (1, 2):
        for model in ("wav2vec2-base", "moonshine-base", "vits", "wav2vec2-large"):
            yield {"kind": "sound", "model": model, "sound_seconds": 10, "dtype": _FLOAT, "threads": threads}  # fmt: skip
        for model in ENCODERS:
            yield {"kind": "document", "model": model, "dtype": _FLOAT, "threads": threads}
        yield {"kind": "voice", "model": "kokoro-82m", "sound_seconds": 10, "dtype": _FLOAT, "threads": threads}  # fmt: skip
        for model in WRITERS:
            for dtype in (_FLOAT, "bfloat16"):
                yield {"kind": "write", "model": model, "dtype": dtype, "threads": threads}
        for size in ("tiny", "base", "small", "medium", "large-v3-turbo"):
            for compute in ("int8", _FLOAT):
                yield {"kind": "whisper", "model": size, "dtype": compute, "threads": threads}
        for dtype in (_FLOAT, "bfloat16"):
            for part in ("sd15-decoder@256", "pixart@256", "sd15@256", "sd3-cut@512", "sdxl-cut@512", "sd15@512"):  # fmt: skip
                yield {"kind": "picture", "model": part, "dtype": dtype, "threads": threads}
        yield {"kind": "sound", "model": "parakeet-ctc-1.1b", "sound_seconds": 10, "dtype": _FLOAT, "threads": threads}  # fmt: skip


def main() -> None:
    """Measures what is asked, and keeps the least."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, help="the JSON file to write or to go on with")
    parser.add_argument("--only", default="", help="only runs whose name has this text")
    parser.add_argument("--repeats", type=int, default=5, help="passes of which the fastest counts")
    parser.add_argument("--list", action="store_true", help="names of the runs")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(measure(json.loads(given.case), given.repeats)))
        return
    held: dict[str, Any] = {}
    if given.out is not None and given.out.exists():
        held = json.loads(given.out.read_text(encoding="utf-8"))
    for case in cases():
        name = " ".join(map(str, case.values()))
        if given.only not in name:
            continue
        if given.list or given.out is None:
            print(name)
            continue
        asked = [sys.executable, __file__, "--case", json.dumps(case), "--repeats", str(given.repeats)]  # fmt: skip
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr, flush=True)
            continue
        run = {**case, **json.loads(done.stdout.splitlines()[-1])}
        before = held.get(name, run)
        times = [key for key in run if key.endswith("seconds") and key != "sound_seconds"]
        rates = [key for key in run if key.endswith(("gflops", "per_s"))]
        run |= {key: min(run[key], before[key]) for key in times}
        run |= {key: max(run[key], before[key]) for key in rates}
        held[name] = run
        print(name, {key: round(run[key], 4) for key in times + rates}, flush=True)
        given.out.write_text(json.dumps(held, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
