"""The tables of n-grams that a `config.json` describes: layers that look the last tokens up.

What goes in: the keys of the file. What comes out: the lines of `ngrams` in `[architecture]`. A
table has a part for each hash of an n-gram, of as many rows as a prime number, so that two hashes
seldom meet; all parts together are filled up to a multiple.
"""

from __future__ import annotations

from math import isqrt

from ..catalogue.architecture import Ngrams
from .config_keys import Keys

# a file may ask for a prime beyond any number, and for any number of them
_MOST_ROWS = 1 << 32
_MOST_PARTS = 256


def ngrams_of(keys: Keys) -> tuple[Ngrams, ...]:
    """The layers with a table of n-grams; () where the file names none.

    The keys are those of transformers 5.24.0, models/qwen4_exp.
    """
    layers = keys.places("ple_layer_ids")
    if not layers:
        return ()
    longest = keys.needed("ngram_size")
    heads = keys.needed("heads_per_ngram")
    least_rows = keys.needed("ngram_vocab_size_base")
    multiple = keys.needed("make_ngram_vocab_size_divisible_by")
    width = keys.size("ple_embed_dim") or keys.needed("width")
    parts = (longest - 1) * heads
    is_in_range = 0 < parts <= _MOST_PARTS and least_rows * parts <= _MOST_ROWS
    if max(layers) >= keys.layers or not is_in_range:
        return keys.fault("ple_layer_ids: its table of n-grams is not understood", ())
    rows = sum(_primes_from(least_rows, parts))
    filled_up = -(-rows // multiple) * multiple
    table = Ngrams(
        layers=tuple(layers),
        rows=filled_up,
        length=width // parts,
        used=parts,
        convolution=keys.size("ple_conv_kernel_size"),
    )
    return (table,)


def _primes_from(least: int, count: int) -> list[int]:
    """The first `count` prime numbers from `least` on."""
    primes: list[int] = []
    number = max(2, least)
    while len(primes) < count:
        if _is_prime(number):
            primes.append(number)
        number += 1
    return primes


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, isqrt(number) + 1))
