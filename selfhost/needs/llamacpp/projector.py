"""The encoder of a model that sees or hears, which llama.cpp loads from a file of its own."""

from __future__ import annotations

from ..parts import PLAIN_PICTURE_PIXELS, Encoder, term
from ..records import How, Term
from . import buffers as llamacpp

# of 19 kinds of encoders most reserve less; the largest picture of the largest takes that much
_PICTURE_BYTES, _PICTURE_HIGH_BYTES = 300_000_000, 2_400_000_000


def projector_term(encoders: int, stated: int | None) -> Term:
    """The vision or audio encoder of so many parameters: a file of its own, 16-bit with some 32-bit
    vectors. `stated`: its bytes, where the spec has them.
    """
    if stated is not None:
        # names of tensors and keys come on top
        line = (
            f"{stated:,} bytes; {encoders:,} parameters, matrices in 16 bits, vectors and positions"
            " in 32"
        )
        source = "F16 projector file as llama.cpp's converter writes it (0c1e570, conversion/*.py)"
        return term("projector", stated, How.COMPUTED, source, line, high=stated + stated // 200)
    size = int(encoders * 2.02)
    return term(
        "projector", size, How.COMPUTED,
        "F16 projector file; parameters of the encoders as in the spec",
        f"{encoders:,} parameters × 2.02 bytes", low=encoders * 2, high=int(encoders * 2.12),
    )  # fmt: skip


def reading_pictures(encoder: Encoder | None, *, on_gpu: bool) -> Term:
    """The encoder's own buffer, touched by a picture: none without one, at the most of a picture of
    a megapixel. A device reserves it at load.
    """
    if encoder is None:
        return term(
            "projector_compute", _PICTURE_BYTES, How.ASSUMED,
            "this encoder was not measured; for others it was 21 MB to 2.0 GB (llama.cpp 0c1e570)",
            f"{_PICTURE_BYTES:,} bytes", low=0, high=_PICTURE_HIGH_BYTES,
        )  # fmt: skip
    plain = encoder.plain_bytes
    if encoder.largest_pixels is None:
        line = f"{plain:,} bytes; for {encoder.largest_seconds} seconds of sound, the most"
    else:
        side, largest = min(PLAIN_PICTURE_PIXELS, encoder.largest_pixels), encoder.largest_pixels
        line = f"{plain:,} bytes; for a picture of {side:,} × {side:,}"
        if encoder.largest_bytes > plain:
            line += f", {encoder.largest_bytes:,} for one of {largest:,} × {largest:,}, the most"
    source = f"{llamacpp.SOURCE}: tools/mtmd/clip.cpp, an encoder {encoder.what}"
    how = How.MEASURED
    if encoder.assumed is not None:
        source, how = f"{source}: {encoder.assumed}", How.ASSUMED
    line += "; none without any, up to a fifth more in a work buffer"
    # with what activations take in 16 bits to meet its weights, and the picture itself: 1.19 times
    # as much of a Pixtral's (tests/truth/llamacpp_companions.json)
    if not on_gpu or encoder.reserved_bytes <= plain:
        return term("projector_compute", plain, how, source, line, low=0, high=plain * 6 // 5)
    line = f"{encoder.reserved_bytes:,} bytes; reserved at load, for pictures that take no more"
    return term("projector_compute", encoder.reserved_bytes, how, source, line)
