"""llama.cpp's table of memory."""

from __future__ import annotations

from selfhost.advice.verify.formats.llama_log import read
from selfhost.advice.verify.run import CONTEXT

MIB = 1 << 20
# of a published run (TDuy22/Day20-Track2-ModelServing: server-metrics-probe.log.err)
TABLE = """\
llama_memory_breakdown_print: | memory breakdown [MiB]          | total   free    self   model   context   compute    unaccounted |
llama_memory_breakdown_print: |   - CUDA0 (RTX 3050 Laptop GPU) |  4095 = 3301 + (2398 =  1918 +     224 +     256) +       -1604 |
llama_memory_breakdown_print: |   - Host                        |                  321 =   308 +       0 +      13                |
"""
RATES = "[ Prompt: 63.8 t/s | Generation: 13.5 t/s ]\n"


def test_the_table_behind_a_chat_is_read() -> None:
    """Its rows sum to what it prints: 2,398 = 1,918 + 224 + 256; nothing is told where it has 0."""
    run = read(RATES + TABLE)
    assert run is not None
    assert run.gpu == "RTX 3050 Laptop GPU"
    assert {(seen.term, seen.where): seen.bytes // MIB for seen in run.memory} == {
        ("weights", "accelerator:0"): 1918,
        (CONTEXT, "accelerator:0"): 224,
        ("compute", "accelerator:0"): 256,
        ("weights", "host"): 308,
        ("compute", "host"): 13,
    }
    assert all(seen.rounded_bytes == MIB for seen in run.memory)


def test_one_that_comes_before_any_answer_is_of_a_fit() -> None:
    """llama-server prints the same table while it tries how many layers fit."""
    run = read(TABLE.replace("llama_memory", "common_memory"))
    assert run is None


def test_buffers_say_it_closer() -> None:
    """Where both are there the buffers count, with two places."""
    run = read("load_tensors:        CUDA0 model buffer size =  1918.35 MiB\n" + RATES + TABLE)
    assert run is not None
    assert [round(seen.bytes / MIB, 2) for seen in run.memory] == [1918.35]
