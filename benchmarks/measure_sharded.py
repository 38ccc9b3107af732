"""What each process holds where PyTorch's FSDP2 shares training out: figures for `tests/truth/finetune.json`. Not part of the checks.

    pip install torch transformers numpy
    python benchmarks/measure_sharded.py [--processes N] [--adapters RANK] [--tokens N]

A Llama of random weights, every layer and the root wrapped by `fully_shard`, two steps of AdamW, processes that talk by gloo on a CPU.
Bytes of the local parts of parameters, gradients and optimizer state, and the most that PyTorch's allocator held in one step.
With `--adapters` the weights are frozen, and beside each matrix of a layer two of that rank are trained, as peft adds them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from typing import Any

from rig import Allocations

SHAPE = {
    "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4,
    "vocab_size": 8000, "tie_word_embeddings": False,
}  # fmt: skip


def local(tensor: Any) -> int:
    """Bytes of this process's part."""
    part = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return int(part.numel() * part.element_size())


def add_adapters(torch: Any, model: Any, rank: int) -> None:
    """Freezes all weights and adds what LoRA trains to each matrix of the layers."""

    class Adapted(torch.nn.Module):  # type: ignore[misc]
        def __init__(self, base: Any) -> None:
            super().__init__()
            self.base = base
            self.a = torch.nn.Linear(base.in_features, rank, bias=False)
            self.b = torch.nn.Linear(rank, base.out_features, bias=False)

        def forward(self, states: Any) -> Any:
            return self.base(states) + self.b(self.a(states))

    model.requires_grad_(False)
    for layer in model.model.layers:
        for block in (layer.self_attn, layer.mlp):
            for name, child in list(block.named_children()):
                if isinstance(child, torch.nn.Linear):
                    setattr(block, name, Adapted(child))


def train(
    rank: int, processes: int, port: int, mixed: bool, adapters: int, length: int, out: Any
) -> None:
    """Two steps in one of the processes."""
    torch, transformers = import_module("torch"), import_module("transformers")
    sharded = import_module("torch.distributed.fsdp")
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=processes)
    torch.manual_seed(1)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SHAPE))
    parameters = sum(item.numel() for item in model.parameters())
    if adapters:
        add_adapters(torch, model, adapters)
        model.model.embed_tokens.register_forward_hook(lambda _, __, out: out.requires_grad_())
    policy = (
        sharded.MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        if mixed
        else sharded.MixedPrecisionPolicy()
    )
    for layer in model.model.layers:
        sharded.fully_shard(layer, mp_policy=policy)
    sharded.fully_shard(model, mp_policy=policy)
    trained = [item for item in model.parameters() if item.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    tokens = torch.randint(0, SHAPE["vocab_size"], (1, length))

    def step() -> None:
        model(input_ids=tokens, labels=tokens).loss.backward()
        optimizer.step()

    step()
    gradients = sum(local(item.grad) for item in model.parameters() if item.grad is not None)
    optimizer.zero_grad()
    with Allocations(torch) as seen:
        step()
    states = sum(
        local(value)
        for state in optimizer.state.values()
        for value in state.values()
        if value.numel() > 1
    )
    torch.distributed.barrier()
    if rank == 0:
        out.put({
            "processes": processes, "mixed": mixed, "adapters": adapters, "shape": SHAPE, "tokens": length, "parameters": parameters,
            "parameters_bytes": sum(local(item) for item in model.parameters()), "gradients_bytes": gradients,
            "optimizer_bytes": states, "step_allocated_peak_bytes": seen.peak_bytes,
        })  # fmt: skip
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--adapters", type=int, default=0, metavar="RANK")
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    spawning = import_module("multiprocessing").get_context("spawn")
    for number in given.processes:
        for mixed in (False, True):
            out = spawning.Queue()
            port = 29600 + 2 * number + mixed
            started = [
                spawning.Process(
                    target=train,
                    args=(rank, number, port, mixed, given.adapters, given.tokens, out),
                )
                for rank in range(number)
            ]
            for process in started:
                process.start()
            for process in started:
                process.join(300)
            if any(process.exitcode for process in started):
                print(f"{number} processes: failed", file=sys.stderr)
                return 1
            print(json.dumps(out.get()), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
