"""What diffusers really takes on a CPU: figures for `tests/truth/diffusers.json`. Not part of the checks.

    pip install torch diffusers transformers safetensors accelerate numpy
    python benchmarks/measure_diffusers.py --out FILE [--only TEXT] [--work DIR] [--list]

Pipelines have the shapes of Stable Diffusion 1.5, XL, 3 and FLUX.1 (classes and defaults of diffusers, random weights, fewer layers),
are saved, and each is measured in a fresh process: prompts encoded, one step of denoising, images decoded. Resident memory and
PyTorch's own count as in `measure_transformers.py`.
"""

from __future__ import annotations

from importlib import import_module
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

    return [
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
    """Saves a pipeline with random weights, without tokenizers."""
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


def measure(case: dict[str, Any], folder: str, stages: Stages) -> dict[str, Any]:
    """One image: prompt, one step, decoder."""
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
    groups={"pipeline": "runs"},
    cases=cases,
    make=make,
    measure=measure,
    config_of=config_of,
)

if __name__ == "__main__":
    main(RIG, __doc__ or "")
