"""Convert images to tensors on the device of the training."""

import numpy as np
import torch
from torch import Tensor


def unit_tensor(images: np.ndarray, device: torch.device) -> Tensor:
    """Convert images, uint8 (n, H, W) or (n, H, W, 3), to float32 (n, C, H, W) in [0, 1], on a device."""
    levels = torch.from_numpy(images).to(device)
    channels = levels[:, None] if levels.ndim == 3 else levels.permute(0, 3, 1, 2)
    return channels.to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def scaled(images: Tensor, pixel_range: tuple[float, float]) -> Tensor:
    """Convert images (n, C, H, W) from [0, 1] to the range from pixel_range[0] to pixel_range[1]."""
    low, high = pixel_range
    return images if pixel_range == (0.0, 1.0) else images * (high - low) + low
