"""Train a VAE with pythae, and export it as an artifact.

pip install torch==2.13.0 pythae==0.1.2 "aegen[train]"
python pythae_vae.py
"""

import tempfile

import torch
from aegen.data.datasets import load
from aegen.export import ExportOptions, export_modules
from pythae.models import VAE, VAEConfig
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from torch import Tensor, nn

IMAGES, EPOCHS = 6000, 10


class Encoder(nn.Module):
    """pythae's encoder returns an object. This one returns mean and log variance of q(z|x), each (n, 16)."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (n, 1, 28, 28) in [0, 1] -> mean and log variance."""
        output = self.encoder(images)
        return output["embedding"], output["log_covariance"]


class Decoder(nn.Module):
    """pythae's decoder returns an object too. This one returns the images."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (n, 16) -> images (n, 1, 28, 28) in [0, 1]."""
        images: Tensor = self.decoder(latents)["reconstruction"]
        return images


def main() -> None:
    """Train, then export with labels, so that single digits can be sampled."""
    digits = load("mnist").train[:IMAGES]
    torch.manual_seed(0)
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=64, no_cuda=True
        )
        TrainingPipeline(model=model, training_config=config)(train_data=digits.images[:, None].astype("float32") / 255)
    manifest = export_modules(
        Encoder(model),
        Decoder(model),
        digits.images,
        "pythae-vae",
        labels=digits.labels,
        data_name="mnist-6000",
        recipe={"library": "pythae 0.1.2", "model": "VAE", "loss": "bce", "epochs": EPOCHS},
        options=ExportOptions(licence="CC BY-SA 3.0", overwrite=True),
    )
    print(f"kind {manifest.kind}, default prior {manifest.default_prior}, {manifest.quality}")


if __name__ == "__main__":
    main()
