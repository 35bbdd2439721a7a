"""Latents as integers of a few bits: a scale and an offset for each latent dimension, and packed integers.

A latent is offset + scale * integer, dimension by dimension. The integers of one latent are packed into whole bytes,
the lowest bit of the first integer first; with 8 bits each byte is one integer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MIN_BITS, MAX_BITS = 2, 16


@dataclass(frozen=True)
class Quantisation:
    """How latents are stored as integers of `bits` bits. offset, scale: float32 (d,), finite; a scale is 0 or more."""

    bits: int
    offset: np.ndarray
    scale: np.ndarray

    @property
    def row_bytes(self) -> int:
        """Number of bytes for one latent."""
        return packed_bytes(len(self.scale), self.bits)

    @property
    def shared_bytes(self) -> int:
        """Number of bytes for the offsets and scales, which all latents share."""
        return self.offset.nbytes + self.scale.nbytes

    def packed(self, latents: np.ndarray) -> np.ndarray:
        """Quantise latents, float32 (n, d), to packed integers, uint8 (n, row_bytes).

        A latent within the range that the quantisation was made for changes by at most half a step of the scale.
        """
        steps = np.where(self.scale > 0, self.scale, 1).astype(np.float64)
        integers = np.rint((latents.astype(np.float64) - self.offset) / steps)
        integers = np.clip(integers, 0, 2**self.bits - 1).astype(np.uint16)
        if self.bits == 8:
            return np.asarray(integers, np.uint8)
        each = integers[..., None] >> np.arange(self.bits, dtype=np.uint16) & 1  # single bits, (n, d, bits)
        packed: np.ndarray = np.packbits(each.astype(np.uint8).reshape(len(latents), -1), axis=1, bitorder="little")
        return packed

    def latents(self, packed: np.ndarray) -> np.ndarray:
        """Convert packed integers, uint8 (n, row_bytes), back to latents, float32 (n, d)."""
        integers = packed.astype(np.uint16)
        if self.bits != 8:
            used = len(self.scale) * self.bits
            each = np.unpackbits(packed, axis=1, count=used, bitorder="little").astype(np.uint16)
            integers = each.reshape(len(packed), -1, self.bits) @ (1 << np.arange(self.bits, dtype=np.uint16))
        with np.errstate(over="ignore"):
            latents: np.ndarray = (self.offset + self.scale.astype(np.float64) * integers).astype(np.float32)
        return latents


def packed_bytes(latent_dim: int, bits: int) -> int:
    """Number of bytes into which `latent_dim` integers of `bits` bits are packed."""
    return -(-latent_dim * bits // 8)


def fitted_quantisation(chunks: Iterable[np.ndarray], bits: int) -> Quantisation:
    """The quantisation whose integers span exactly the range of the latents, in each dimension.

    chunks: the latents, at least one, float32 arrays (n, d). bits: from MIN_BITS to MAX_BITS.
    """
    low = high = None
    for chunk in chunks:
        low = chunk.min(0) if low is None else np.minimum(low, chunk.min(0))
        high = chunk.max(0) if high is None else np.maximum(high, chunk.max(0))
    if low is None or high is None:
        raise ValueError("no latents")
    scale = (high.astype(np.float64) - low) / (2**bits - 1)
    return Quantisation(bits, low.astype(np.float32), scale.astype(np.float32))
