"""Requests of llama-server that share it, and what stands in their context. The lines are those of a
server of 16 slots (hogeheer499-commits/strix-halo-guide: llama-server-np16.log) and of one with a
prompt cache (acdtrx/llama-runner: llama-server.log), cut to what is read.
"""

from __future__ import annotations

from selfhost.advice.verify.formats.llama_log import read


def begun(task: int) -> str:
    return f"slot launch_slot_: id  0 | task {task} | processing task, is_child = 0\n"


def ended(task: int, prompt: int, written: int, rate: float, held: int) -> str:
    milliseconds = written * 1000 / rate
    return (
        f"slot print_timing: id  0 | task {task} | \n"
        f"prompt eval time =     100.00 ms /  {prompt} tokens (    1.00 ms per token,   900.00 tokens per second)\n"
        f"       eval time =  {milliseconds:.2f} ms /  {written} tokens (   1.00 ms per token, {rate:.2f} tokens per second)\n"
        f"slot      release: id  0 | task {task} | stop processing: n_tokens = {held}, truncated = 0\n"
    )


def test_of_several_requests_those_alone_count() -> None:
    """59.96 tokens/s of one alone; each of 16 at once had 10.35 of the same machine."""
    alone = begun(0) + ended(0, 24, 128, 59.96, 151)
    together = "".join(begun(task) for task in range(131, 147))
    together += "".join(ended(task, 24, 128, 10.35, 151) for task in range(131, 147))
    run = read(alone + together)
    assert run is not None
    pace = run.paces[0]
    assert (pace.kind, round(pace.tokens_per_second or 0, 2), pace.shared) == (
        "decode",
        59.96,
        False,
    )
    assert "left out: 16." in run.notes[1]
    shared = read(together)
    assert shared is not None
    assert all(pace.shared for pace in shared.paces)


def test_what_a_cache_held_back_stands_in_the_context() -> None:
    """7,007 tokens at the end of an answer of 717: 6,290 before it, of which 4,914 were read anew."""
    run = read(begun(65) + ended(65, 4914, 717, 17.75, 7007))
    assert run is not None
    depths = {pace.kind: pace.depth_tokens for pace in run.paces}
    assert depths == {"prompt": 1376, "decode": 6290 + 717 // 2}


def test_a_short_prompt_does_not_hide_a_long_one() -> None:
    """A real run: 253 tokens in 2,795.77 ms, then 9 new ones in 620.20 ms that were a tenth as fast."""
    text = (
        "prompt eval time =    2795.77 ms /   253 tokens (   11.05 ms per token,    90.49 tokens per second)\n"
        "       eval time =   11475.19 ms /    80 tokens (  145.26 ms per token,     6.88 tokens per second)\n"
        "prompt eval time =     620.20 ms /     9 tokens (   68.91 ms per token,    14.51 tokens per second)\n"
        "       eval time =   17738.75 ms /    80 tokens (  224.54 ms per token,     4.45 tokens per second)\n"
    )
    run = read(text)
    assert run is not None
    paces = {pace.kind: pace for pace in run.paces}
    assert (paces["prompt"].tokens, round(paces["prompt"].tokens_per_second or 0, 2)) == (
        253,
        90.49,
    )
