"""Train diffusers' AutoencoderKL, whose latents are maps, and export it as an artifact.

pip install torch==2.13.0 diffusers==0.42.1 "aegen[train]"
python diffusers_kl.py
"""

import torch
from aegen.data.datasets import load
from aegen.export import ExportOptions, export_modules
from diffusers import AutoencoderKL
from torch import Tensor, nn

IMAGES, STEPS, BATCH = 6000, 300, 32


class Encoder(nn.Module):
    """The encoder of an AutoencoderKL. The maps of its latents are flattened by `export_modules`."""

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, 1, 28, 28) in [-1, 1] -> mean and log variance of q(z|x), each (n, 1, 7, 7)."""
        posterior = self.model.encode(images).latent_dist
        return posterior.mean, posterior.logvar


class Decoder(nn.Module):
    """The decoder of an AutoencoderKL. It ends without an activation, so that `clip_output` is needed."""

    def __init__(self, model: AutoencoderKL) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (n, 1, 7, 7) -> images (n, 1, 28, 28), about in [-1, 1]."""
        images: Tensor = self.model.decode(latents).sample
        return images


def trained(pixels: Tensor) -> AutoencoderKL:
    """A small AutoencoderKL, trained on images (n, 1, 28, 28) in [-1, 1]."""
    torch.manual_seed(0)
    model = AutoencoderKL(
        in_channels=1, out_channels=1, latent_channels=1, sample_size=28, layers_per_block=1, norm_num_groups=4,
        block_out_channels=(8, 16, 16), down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
    )  # fmt: skip
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(STEPS):
        images = pixels[torch.randint(len(pixels), (BATCH,))]
        posterior = model.encode(images).latent_dist
        error = (model.decode(posterior.sample()).sample - images).square().sum()
        optimiser.zero_grad()
        ((error + 0.1 * posterior.kl().sum()) / BATCH).backward()
        optimiser.step()
    return model


def main() -> None:
    """Train and export."""
    digits = load("mnist").train[:IMAGES]
    model = trained(torch.from_numpy(digits.images)[:, None] / 127.5 - 1)
    manifest = export_modules(
        Encoder(model), Decoder(model), digits.images, "diffusers-kl",
        data_name="mnist-6000", pixel_range=(-1, 1), clip_output=True,
        recipe={"library": "diffusers 0.42.1", "model": "AutoencoderKL", "steps": STEPS},
        options=ExportOptions(licence="CC BY-SA 3.0", overwrite=True),
    )  # fmt: skip
    print(f"kind {manifest.kind}, {manifest.latent_dim} dimensions, prior {manifest.default_prior}, {manifest.quality}")


if __name__ == "__main__":
    main()
