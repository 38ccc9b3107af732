"""The tables of n-grams that a `config.json` describes: layers that look the last tokens up.

What goes in: the keys of the file. What comes out: the lines of `ngrams` in `[architecture]`. A
table has a part for each hash of an n-gram, of as many rows as a prime number, so that two hashes
seldom meet; all parts together are filled up to a multiple.
"""

from __future__ import annotations

from itertools import count, islice
from math import isqrt

from ..catalogue.architecture import Ngrams
from .config_keys import Keys

# a file may ask for a prime beyond any number, and for any number of them
_MOST_ROWS = 1 << 32
_MOST_PARTS = 256


def ngrams_of(keys: Keys) -> tuple[Ngrams, ...]:
    """The layers with a table of n-grams; () where the file names none.

    The keys are those of transformers 5.24.0, models/qwen4_exp, which counts layers from 1.
    """
    numbers = keys.get("ple_layer_ids")
    if not numbers:
        return ()
    longest = keys.needed("ngram_size")
    heads = keys.needed("heads_per_ngram")
    base = keys.needed("ngram_vocab_size_base")
    multiple = keys.needed("make_ngram_vocab_size_divisible_by")
    width = keys.size("ple_embed_dim") or keys.needed("width")
    used = (longest - 1) * heads
    layers = _layers_of(numbers, keys.layers)
    if not layers or not 0 < used <= _MOST_PARTS or base * used > _MOST_ROWS:
        return keys.fault("ple_layer_ids: its table of n-grams is not understood", ())
    rows = sum(_primes_from(base, used))
    rows = -(-rows // multiple) * multiple
    return (
        Ngrams(
            layers=layers,
            rows=rows,
            length=width // used,
            used=used,
            convolution=keys.size("ple_conv_kernel_size"),
        ),
    )


def _layers_of(numbers: object, layers: int) -> tuple[int, ...]:
    """The layers that a list counts from 1; () where it is no list of such numbers."""
    if not isinstance(numbers, list):
        return ()
    found = tuple(number - 1 for number in numbers if type(number) is int)
    in_range = all(0 <= layer < layers for layer in found)
    return found if in_range and len(found) == len(numbers) else ()


def _primes_from(base: int, number: int) -> list[int]:
    """So many prime numbers from `base` on."""
    return list(islice(filter(_is_prime, count(max(2, base))), number))


def _is_prime(number: int) -> bool:
    return all(number % divisor for divisor in range(2, isqrt(number) + 1))
