"""Exact search of the nearest latents, with numpy alone. An index is a folder of memory-mapped arrays."""

from .index import Index
from .writing import write_index

__all__ = ["Index", "write_index"]
