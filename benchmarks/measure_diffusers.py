"""What diffusers really takes on a CPU: figures for `tests/truth/diffusers.json`. Not part of the checks.

    pip install torch diffusers transformers safetensors accelerate numpy
    python benchmarks/measure_diffusers.py --out FILE [--only TEXT] [--work DIR] [--list]

Pipelines have the shapes of Stable Diffusion 1.5, XL, 3 and FLUX.1 (classes and defaults of diffusers, random weights, fewer layers),
are saved, and each is measured in a fresh process: prompts encoded, one step of denoising, images decoded. Resident memory and
PyTorch's own count as in `measure_transformers.py`.

Video is counted: the tensors that a pass of a denoiser or decoder of full size holds at most, its weights left out, with PyTorch's
fake tensors, which have shapes and no data. Some small ones are run too, and what PyTorch really allocated stands beside the count.
"""

from __future__ import annotations

import weakref
from importlib import import_module
from pathlib import Path
from typing import Any

from measure_transformers import libraries
from rig import Allocations, Rig, Stages, main, stored_bytes

_DECODER = {
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
}  # fmt: skip
_SIXTEEN = {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 4,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
_T5 = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "num_layers": 1,
    "vocab_size": 32128,
}
_CROSS = "CrossAttnDownBlock2D"
_XL = {
    "down_block_types": ("DownBlock2D", _CROSS, _CROSS), "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280), "transformer_layers_per_block": (1, 1, 1), "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048, "use_linear_projection": True, "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
# class of the pipeline, its scheduler, and every component with the values that differ from the defaults of its class
PIPELINES: dict[str, tuple[str, str, dict[str, tuple[str, dict[str, Any]]]]] = {
    "sd15": ("StableDiffusionPipeline", "DDIMScheduler", {
        "unet": ("UNet2DConditionModel", {"cross_attention_dim": 768, "attention_head_dim": 8}),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "vae": ("AutoencoderKL", {**_DECODER, "latent_channels": 4}),
    }),
    "sdxl": ("StableDiffusionXLPipeline", "EulerDiscreteScheduler", {
        "unet": ("UNet2DConditionModel", _XL),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("CLIPTextModelWithProjection", _CLIP_G),
        "vae": ("AutoencoderKL", {**_DECODER, "latent_channels": 4, "force_upcast": True}),
    }),
    "sd3": ("StableDiffusion3Pipeline", "FlowMatchEulerDiscreteScheduler", {
        "transformer": ("SD3Transformer2DModel", {"num_layers": 3, "num_attention_heads": 24, "attention_head_dim": 64,
                                                  "caption_projection_dim": 1536, "pos_embed_max_size": 192, "out_channels": 16,
                                                  "sample_size": 128}),
        "text_encoder": ("CLIPTextModelWithProjection", _CLIP_L),
        "text_encoder_2": ("CLIPTextModelWithProjection", _CLIP_G),
        "text_encoder_3": ("T5EncoderModel", _T5),
        "vae": ("AutoencoderKL", {**_DECODER, **_SIXTEEN, "scaling_factor": 1.5305, "shift_factor": 0.0609}),
    }),
    "flux": ("FluxPipeline", "FlowMatchEulerDiscreteScheduler", {
        "transformer": ("FluxTransformer2DModel", {"num_layers": 1, "num_single_layers": 2, "guidance_embeds": True}),
        "text_encoder": ("CLIPTextModel", _CLIP_L),
        "text_encoder_2": ("T5EncoderModel", _T5),
        "vae": ("AutoencoderKL", {**_DECODER, **_SIXTEEN, "scaling_factor": 0.3611, "shift_factor": 0.1159}),
    }),
}  # fmt: skip
_SVD = {
    "block_out_channels": (128, 256, 512, 512), "down_block_types": ("DownEncoderBlock2D",) * 4, "layers_per_block": 2,
}  # fmt: skip
_WAN_5B_DECODER = {
    "base_dim": 160, "z_dim": 48, "is_residual": True, "in_channels": 12, "out_channels": 12, "decoder_base_dim": 256, "patch_size": 2,
    "scale_factor_spatial": 16, "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
}  # fmt: skip
# decoders of video: class, what departs from its defaults, channels of a latent, pixels and frames of one
DECODERS: dict[str, tuple[str, dict[str, Any], int, int, int]] = {
    "wan2.1": ("AutoencoderKLWan", {}, 16, 8, 4),
    "wan2.2-5b": ("AutoencoderKLWan", _WAN_5B_DECODER, 48, 16, 4),
    "ltx-video": ("AutoencoderKLLTXVideo", {}, 128, 32, 8),
    "ltx-2": ("AutoencoderKLLTX2Video", {}, 128, 32, 8),
    "hunyuanvideo": ("AutoencoderKLHunyuanVideo", {}, 16, 8, 4),
    "cogvideox": ("AutoencoderKLCogVideoX", {"block_out_channels": (128, 256, 256, 512), "latent_channels": 16}, 16, 8, 4),
    "mochi": ("AutoencoderKLMochi", {}, 12, 8, 6),
    "allegro": ("AutoencoderKLAllegro", {"latent_channels": 4}, 4, 8, 4),
    "stable-video-diffusion": ("AutoencoderKLTemporalDecoder", _SVD, 4, 8, 1),
}  # fmt: skip
# denoisers of video: class, what departs from its defaults, the shape of latents, that of the prompt, and what else it is given
DENOISERS: dict[str, tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...], str]] = {
    "wan2.1-1.3b": ("WanTransformer3DModel", {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
                    (1, 16, 21, 60, 104), (1, 512, 4096), ""),
    "wan-14b": ("WanTransformer3DModel", {}, (1, 16, 21, 60, 104), (1, 512, 4096), ""),
    "wan2.2-5b": ("WanTransformer3DModel", {"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "in_channels": 48,
                                            "out_channels": 48}, (1, 48, 21, 30, 52), (1, 512, 4096), ""),
    "cogvideox-5b": ("CogVideoXTransformer3DModel", {"num_attention_heads": 48, "num_layers": 42,
                                                     "use_rotary_positional_embeddings": True},
                     (2, 13, 16, 60, 90), (2, 226, 4096), "rotary"),
    "cogvideox-2b": ("CogVideoXTransformer3DModel", {"num_layers": 30}, (2, 13, 16, 60, 90), (2, 226, 4096), ""),
    "ltx-video-2b": ("LTXVideoTransformer3DModel", {}, (2, 21 * 16 * 22, 128), (2, 128, 4096), "mask frames"),
    "allegro": ("AllegroTransformer3DModel", {}, (2, 4, 22, 90, 160), (2, 512, 4096), "mask everywhere"),
    "hunyuanvideo": ("HunyuanVideoTransformer3DModel", {}, (1, 16, 33, 90, 160), (1, 256, 4096), "mask pooled"),
    "stable-video-diffusion": ("UNetSpatioTemporalConditionModel", {}, (2, 25, 8, 72, 128), (2, 1, 1024), "motion"),
}  # fmt: skip
# the type that a pipeline is saved in
_SAVED = {"sd15": "float32", "sdxl": "bfloat16", "sd3": "bfloat16", "flux": "bfloat16"}

# components that hold no memory to speak of, and those whose use is optional
_NONE = {"tokenizer": None, "feature_extractor": None, "image_encoder": None}
_MISSING: dict[str, dict[str, Any]] = {
    "sd15": {**_NONE, "safety_checker": None, "requires_safety_checker": False},
    "sdxl": {**_NONE, "tokenizer_2": None},
    "sd3": {
        "tokenizer": None,
        "tokenizer_2": None,
        "tokenizer_3": None,
        "image_encoder": None,
        "feature_extractor": None,
    },
    "flux": {**_NONE, "tokenizer_2": None},
}


def cases() -> list[dict[str, Any]]:
    """Every run. `images` of one prompt; guidance doubles the batch in all but FLUX."""
    fixed: dict[str, Any] = {"mmap_threshold": 262144}

    def run(
        model: str, pixels: int, dtype: str | None = None, images: int = 1, **more: Any
    ) -> dict[str, Any]:
        return {
            "kind": "pipeline",
            "model": model,
            "dtype": dtype or _SAVED[model],
            "pixels": pixels,
            "images": images,
            **more,
        }

    def decode(model: str, frames: int, height: int, width: int, **more: Any) -> dict[str, Any]:
        size = {"frames": frames, "height": height, "width": width}
        return {"kind": "decode", "model": model, "dtype": "bfloat16", **size, **more}

    return [
        *({"kind": "denoise", "model": model, "dtype": "bfloat16"} for model in DENOISERS),
        {
            "kind": "denoise",
            "model": "stable-video-diffusion",
            "dtype": "bfloat16",
            "chunked": True,
        },
        # what the pipelines make where nothing else is asked for; Allegro's decoder has tiles alone
        decode("wan2.1", 81, 480, 832),
        decode("wan2.1", 81, 720, 1280),
        decode("wan2.2-5b", 81, 480, 832),
        decode("wan2.2-5b", 121, 704, 1280),
        decode("wan2.1", 81, 480, 832, tiling=True),
        decode("wan2.2-5b", 81, 480, 832, tiling=True),
        decode("ltx-video", 161, 512, 704),
        decode("ltx-video", 161, 512, 704, tiling=True),
        decode("ltx-2", 121, 512, 768),
        decode("hunyuanvideo", 129, 720, 1280),
        decode("cogvideox", 49, 480, 720),
        decode("cogvideox", 49, 480, 720, tiling=True),
        decode("mochi", 19, 480, 848),
        decode("mochi", 19, 480, 848, tiling=True),
        decode("mochi", 163, 480, 848),
        decode("allegro", 88, 720, 1280, tiling=True),
        decode("stable-video-diffusion", 25, 576, 1024),
        decode("stable-video-diffusion", 2, 576, 1024),
        decode("wan2.1", 5, 128, 128, run=True),
        decode("hunyuanvideo", 5, 128, 128, run=True),
        run("sd15", 256),
        run("sd15", 512),
        run("sd15", 256, "bfloat16"),
        run("sd15", 256, images=2),
        run("sd15", 256, **fixed),
        run("sdxl", 256),
        run("sdxl", 512),
        run("sdxl", 768),
        run("sdxl", 1024),
        run("sdxl", 256, "float32"),
        run("sd3", 256),
        run("sd3", 512),
        run("flux", 256),
        run("flux", 512),
        run("flux", 768),
        run("flux", 1024),
    ]


def make(model: str, folder: str) -> None:
    """Saves a pipeline with random weights, without tokenizers; nothing of a component that is counted."""
    if model not in PIPELINES:
        Path(folder).mkdir()
        return
    torch, diffusers, transformers = (
        import_module(name) for name in ("torch", "diffusers", "transformers")
    )
    torch.manual_seed(1)
    kind, scheduler, components = PIPELINES[model]
    made: dict[str, Any] = {}
    torch.set_default_dtype(getattr(torch, _SAVED[model]))
    for name, (component, values) in components.items():
        if name.startswith("text_encoder"):
            encoder = getattr(transformers, component)
            made[name] = encoder(encoder.config_class(**values))
        else:
            made[name] = getattr(diffusers, component)(**values)
        made[name] = made[name].to(getattr(torch, _SAVED[model]))
    torch.set_default_dtype(torch.float32)
    getattr(diffusers, kind)(
        **made, **_MISSING[model], scheduler=getattr(diffusers, scheduler)()
    ).save_pretrained(folder)


def _prompt(pipeline: Any, model: str, torch: Any) -> dict[str, Any]:
    """What encode_prompt of the pipeline hands on; every encoder runs once for the prompt and once for its negative."""

    def ids(tokens: int) -> Any:
        return torch.randint(5, 1000, (1, tokens))

    def clip(encoder: Any) -> tuple[Any, Any]:
        found = encoder(ids(77), output_hidden_states=True)
        return found.hidden_states[-2], found[0] if found[0].ndim == 2 else found.pooler_output

    def both(once: Any) -> dict[str, Any]:
        first, second = once(), once()
        names = ("prompt_embeds", "pooled_prompt_embeds")
        return {
            **dict(zip(names, first, strict=False)),
            **{f"negative_{n}": v for n, v in zip(names, second, strict=False)},
        }

    if model == "sd15":
        return both(lambda: (pipeline.text_encoder(ids(77))[0],))
    if model == "flux":
        return {
            "pooled_prompt_embeds": clip(pipeline.text_encoder)[1],
            "prompt_embeds": pipeline.text_encoder_2(ids(512))[0],
        }

    def once() -> tuple[Any, Any]:
        (first, pooled), (second, pooled_2) = (
            clip(pipeline.text_encoder),
            clip(pipeline.text_encoder_2),
        )
        wide = torch.cat([first, second], dim=-1)
        if model == "sdxl":
            return wide, pooled_2
        third = pipeline.text_encoder_3(ids(256))[0]
        wide = torch.nn.functional.pad(wide, (0, third.shape[-1] - wide.shape[-1]))
        return torch.cat([wide, third], dim=-2), torch.cat([pooled, pooled_2], dim=-1)

    return both(once)


def _counter(torch: Any) -> Any:
    """A mode of PyTorch that counts the bytes of living tensors: `peak_bytes` is the most, without what `leave` names."""

    class Counter(import_module("torch.utils._python_dispatch").TorchDispatchMode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.sizes: dict[int, int] = {}
            self.bytes = self.peak_bytes = 0

        def leave(self, module: Any) -> None:
            self.sizes |= {
                item.untyped_storage()._cdata: 0
                for item in [*module.parameters(), *module.buffers()]
            }

        def _gone(self, key: int) -> None:
            self.bytes -= self.sizes.pop(key, 0)

        def __torch_dispatch__(self, call: Any, _: Any, args: Any = (), named: Any = None) -> Any:
            result = call(*args, **(named or {}))
            for item in import_module("torch.utils._pytree").tree_leaves(result):
                if isinstance(item, torch.Tensor):
                    storage = item.untyped_storage()
                    if storage._cdata not in self.sizes:
                        self.sizes[storage._cdata] = storage.nbytes()
                        self.bytes += storage.nbytes()
                        weakref.finalize(storage, self._gone, storage._cdata)
            self.peak_bytes = max(self.peak_bytes, self.bytes)
            return result

    return Counter()


def _component(case: dict[str, Any], torch: Any) -> tuple[Any, dict[str, Any]]:
    """A denoiser or decoder in the type of the case, and what a pass of it is given."""
    diffusers = import_module("diffusers")
    torch.set_default_dtype(getattr(torch, case["dtype"]))
    if case["kind"] == "decode":
        kind, values, channels, pixels, frames = DECODERS[case["model"]]
        module = getattr(diffusers, kind)(**values).eval()
        count = (case["frames"] - 1) // frames + 1
        area = (case["height"] // pixels, case["width"] // pixels)
        shape = (count, channels, *area) if frames == 1 else (1, channels, count, *area)
        given = {"z": torch.randn(*shape), **({"num_frames": count} if frames == 1 else {})}
        if case.get("tiling"):
            module.enable_tiling()
    else:
        kind, values, latents, prompt, more = DENOISERS[case["model"]]
        module = getattr(diffusers, kind)(**values).eval()
        if case.get("chunked"):
            module.enable_forward_chunking()
        name = "sample" if more == "motion" else "hidden_states"
        given = {
            name: torch.randn(*latents),
            "encoder_hidden_states": torch.randn(*prompt),
            "timestep": torch.full(latents[:1], 500),
            **_more_given(torch, latents, prompt, more.split()),
        }
    torch.set_default_dtype(torch.float32)
    return module, given


def _more_given(
    torch: Any, latents: tuple[int, ...], prompt: tuple[int, ...], wanted: list[str]
) -> dict[str, Any]:
    """What some denoisers take beside latents, prompt and time."""
    tokens = latents[1] * latents[-2] * latents[-1] // 4
    table = torch.randn(tokens, 64) if "rotary" in wanted else None
    choices: dict[str, dict[str, Any]] = {
        "rotary": {"image_rotary_emb": (table, table)},
        "mask": {"encoder_attention_mask": torch.ones(*prompt[:2], dtype=torch.bool)},
        "frames": {
            "encoder_attention_mask": torch.ones(*prompt[:2]), "num_frames": 21, "height": 16, "width": 22,
            "rope_interpolation_scale": (1.0, 32, 32),
        },
        "everywhere": {
            "attention_mask": torch.ones(latents[0], *latents[2:], dtype=torch.bool), "image_rotary_emb": None,
        },
        # frames a second, motion and noise; one time for the whole batch
        "motion": {"added_time_ids": torch.randn(latents[0], 3), "timestep": torch.tensor(500.0)},
        "pooled": {"pooled_projections": torch.randn(1, 768), "guidance": torch.full((1,), 6000.0)},
    }  # fmt: skip
    return {key: value for name in wanted for key, value in choices[name].items()}


def count(case: dict[str, Any], torch: Any) -> dict[str, Any]:
    """One pass with fake tensors, and with `run` a real one."""
    fake = import_module("torch._subclasses.fake_tensor").FakeTensorMode()
    with fake, torch.no_grad():
        module, given = _component(case, torch)
        pass_of = module.decode if case["kind"] == "decode" else module
        counter = _counter(torch)
        counter.leave(module)
        with counter:
            pass_of(**given, return_dict=False)
    parameters = sum(item.numel() for item in module.parameters())
    counted = {"parameters": parameters, "counted_bytes": counter.peak_bytes}
    if not case.get("run"):
        return counted
    with torch.inference_mode():
        module, given = _component(case, torch)
        pass_of = module.decode if case["kind"] == "decode" else module
        with Allocations(torch) as held:
            pass_of(**given, return_dict=False)
    return {**counted, "allocated_peak_bytes": held.peak_bytes}


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One image: prompt, one step, decoder; or a component that is counted."""
    if case["kind"] != "pipeline":
        torch = import_module("torch")
        torch.set_num_threads(1)
        return count(case, torch)
    return measure_pipeline(case, folder, stages)


def measure_pipeline(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """Prompt, one step, decoder."""
    torch, _ = libraries(case, stages)
    diffusers = import_module("diffusers")
    kind = getattr(diffusers, PIPELINES[case["model"]][0])
    stages.note("diffusers")
    pipeline = kind.from_pretrained(
        folder, torch_dtype=getattr(torch, case["dtype"]), **_MISSING[case["model"]]
    )
    pipeline.set_progress_bar_config(disable=True)
    stages.note("loaded")
    side = {
        "height": case["pixels"],
        "width": case["pixels"],
        "num_images_per_prompt": case["images"],
    }
    latents: list[Any] = []
    with torch.inference_mode():
        prompt = _prompt(pipeline, case["model"], torch)
        stages.note("encoded")

        def seen(_: Any, step: int, __: Any, values: dict[str, Any]) -> dict[str, Any]:
            latents.append(values["latents"])
            if step == 0:
                stages.note("denoised")
            return values

        pipeline(**prompt, **side, num_inference_steps=1, callback_on_step_end=seen)
        stages.note("done")
        if case["model"] == "flux":
            latents[-1] = pipeline._unpack_latents(
                latents[-1], case["pixels"], case["pixels"], pipeline.vae_scale_factor
            )
        with Allocations(torch) as encoded:
            _prompt(pipeline, case["model"], torch)
        with Allocations(torch) as denoised:
            pipeline(**prompt, **side, num_inference_steps=1, output_type="latent")
        with Allocations(torch) as decoded:
            pipeline.vae.decode(latents[-1], return_dict=False)
    parts = {
        name: item for name, item in pipeline.components.items() if hasattr(item, "parameters")
    }
    return {
        "weights_bytes": {
            name: stored_bytes({id(w): w for w in part.parameters()}.values())[0]
            for name, part in parts.items()
        },
        "encode_allocated_peak_bytes": encoded.peak_bytes,
        "denoise_allocated_peak_bytes": denoised.peak_bytes,
        "decode_allocated_peak_bytes": decoded.peak_bytes,
    }


def config_of(model: str, _: str) -> dict[str, Any]:
    """The values that a pipeline was made of."""
    if model not in PIPELINES:
        return {
            name: {"class": table[model][0], **table[model][1]}
            for name, table in (("decoder", DECODERS), ("denoiser", DENOISERS))
            if model in table
        }
    kind, _, components = PIPELINES[model]
    return {
        "class": kind,
        "saved": _SAVED[model],
        **{name: {"class": made, **values} for name, (made, values) in components.items()},
    }


RIG = Rig(
    script=__file__,
    source="benchmarks/measure_diffusers.py: pipelines with random weights, each run in a fresh process on one CPU thread",
    conditions="resident memory from /proc/self/status, its peak since the stage before; *_allocated_* from PyTorch's profiler, "
    "above what was held before; mmap_threshold is glibc's, else it moves by itself; attention is PyTorch's own (SDPA)",
    packages=("torch", "diffusers", "transformers", "safetensors", "accelerate", "numpy"),
    groups={"pipeline": "runs", "denoise": "counted", "decode": "counted"},
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
