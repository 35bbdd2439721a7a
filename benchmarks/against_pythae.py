"""pythae's RAE-L2 and VAE beside an artifact of aegen: the same images, network, epochs, batches, rate and feature extractor.

Needs the extra `train` and `pip install pythae==0.1.2`. Prints a table in Markdown, and JSON with --json FILE.

    python benchmarks/against_pythae.py --like mnist-fast --data mnist --json against_pythae.json
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import aegen
import numpy as np
import torch
from aegen.cli.evaluate import real_images
from aegen.evaluation import tables
from aegen.evaluation.metrics import LOW, Metric, Metrics, Report, evaluate, generation
from aegen.evaluation.reference import ReferenceSet
from aegen.evaluation.similarity import similarity
from aegen.recipes.training import Recipe
from aegen.train.networks import build
from pythae.models import RAE_L2, VAE, AEConfig, BaseAE, RAE_L2_Config, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.samplers import (
    BaseSampler,
    GaussianMixtureSampler,
    GaussianMixtureSamplerConfig,
    MAFSampler,
    NormalSampler,
)
from pythae.trainers import BaseTrainerConfig, CoupledOptimizerTrainerConfig

MIXTURE = 50  # Gaussians; pythae's default is 10
OPTIONS = ("network", "channels", "latent_dim", "epochs", "batch_size", "learning_rate")  # that the peers share
FLOW_EPOCHS = 100  # of the MAF sampler, pythae's default


class Encoder(BaseEncoder):  # type: ignore[misc]
    """aegen's encoder, as pythae calls it: of a VAE it gives means and log variances."""

    def __init__(self, network: torch.nn.Module, latent_dim: int, variational: bool) -> None:
        super().__init__()
        self.network, self.latent_dim, self.variational = network, latent_dim, variational

    def forward(self, images: torch.Tensor) -> ModelOutput:
        """Images (n, 1, H, W) -> latents."""
        found = self.network(images)
        if not self.variational:
            return ModelOutput(embedding=found)
        mean, logvar = found.chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=logvar)


class Decoder(BaseDecoder):  # type: ignore[misc]
    """aegen's decoder, as pythae calls it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latents: torch.Tensor) -> ModelOutput:
        """Latents (n, d) -> images (n, 1, H, W)."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(latents)))


def train(recipe: Recipe, images: list[torch.Tensor], seed: int, folder: Path) -> BaseAE:
    """Pythae's model of the recipe's kind (an RAE-L2, or a VAE), trained by its own pipeline; it keeps the best epoch.

    images: for training and for validation, float32 (n, C, H, W) in [0, 1].
    """
    shape, d = tuple(images[0].shape[1:]), recipe.latent_dim
    variational = recipe.kind == "vae"
    torch.manual_seed(seed)
    network = build(recipe, shape)  # type: ignore[arg-type]
    encoder, decoder = Encoder(network.encoder, d, variational), Decoder(network.decoder)
    settings = {
        "output_dir": str(folder),
        "num_epochs": recipe.epochs,
        "learning_rate": recipe.learning_rate,
        "per_device_train_batch_size": recipe.batch_size,
        "per_device_eval_batch_size": 1000,
        "seed": seed,
    }
    config: AEConfig
    if variational:
        config = VAEConfig(input_dim=shape, latent_dim=d, reconstruction_loss="bce")
        model, trainer = VAE(config, encoder=encoder, decoder=decoder), BaseTrainerConfig(**settings)
    else:
        config = RAE_L2_Config(input_dim=shape, latent_dim=d)
        rate = settings.pop("learning_rate")
        rates = {"encoder_learning_rate": rate, "decoder_learning_rate": rate}
        trainer = CoupledOptimizerTrainerConfig(**settings, **rates)
        model = RAE_L2(config, encoder=encoder, decoder=decoder)
    TrainingPipeline(model=model, training_config=trainer)(*images)
    (best,) = folder.glob("*/final_model/model.pt")
    model.load_state_dict(torch.load(best, weights_only=True)["model_state_dict"])
    return model.eval()


def samplers(model: BaseAE, images: list[torch.Tensor], seed: int, folder: Path) -> Iterator[tuple[str, BaseSampler]]:
    """Pythae's samplers of a trained model, by name, each fitted."""
    if isinstance(model, VAE):
        yield "N(0, I)", NormalSampler(model)
    np.random.seed(seed)
    mixture = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=MIXTURE))
    mixture.fit(images[0])
    yield f"GMM, {MIXTURE}", mixture
    flow = MAFSampler(model)
    settings = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=FLOW_EPOCHS,
        learning_rate=1e-3,
        per_device_train_batch_size=500,
        per_device_eval_batch_size=1000,
        seed=seed,
    )
    flow.fit(*images, training_config=settings)
    yield "MAF", flow


@torch.inference_mode()
def rebuilt(model: BaseAE, real: ReferenceSet) -> Metrics:
    """How like the test images their reconstructions are, as aegen measures it."""
    images = torch.from_numpy(real.test[:, None] / np.float32(255))
    parts = [model.decoder(model.encoder(part).embedding).reconstruction for part in torch.split(images, 1000)]
    return {"reconstruction_mse": Metric(similarity(real.test, grey(torch.cat(parts))).mse, None, LOW)}


def grey(images: torch.Tensor) -> np.ndarray:
    """Images (n, 1, H, W) in [0, 1] as uint8 (n, H, W)."""
    return np.rint(images[:, 0].cpu().numpy() * 255).astype(np.uint8)


def main() -> None:
    """Train, draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", default="mnist-fast", help="artifact that gives network, epochs, batches and rate")
    parser.add_argument("--data", default="mnist", help="the training data of that artifact, name or path")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=10_000, help="samples")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    ours = aegen.load(options.like)
    dataset, real = real_images(options.data, "test", None, options.n, None)
    parts = dataset.train, dataset.validation
    images = [torch.from_numpy(part.images[:, None] / np.float32(255)) for part in parts]
    made = ours.manifest.recipe
    hyperparameters = {hyperparameter: made[hyperparameter] for hyperparameter in OPTIONS}
    reports, seconds = [evaluate(ours, real, data=dataset.facts.name, seed=options.seed)], {}
    for kind, name in (("ae", "pythae RAE-L2"), ("vae", "pythae VAE")):
        recipe = Recipe(kind=kind, widths=tuple(made["widths"]), **hyperparameters)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            model = train(recipe, images, options.seed, Path(folder))
            seconds[name] = time.perf_counter() - start
            print(f"{name}: trained in {seconds[name]:.0f} s", file=sys.stderr, flush=True)
            similar = rebuilt(model, real)
            for prior, sampler in samplers(model, images, options.seed, Path(folder)):
                torch.manual_seed(options.seed)
                with torch.inference_mode():
                    drawn = grey(sampler.sample(num_samples=len(real), batch_size=500))
                measured = {**similar, **generation(drawn, real)}
                megabytes = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
                report = Report(name, prior, 1.0, len(real), options.seed, dataset.facts.name, "test",
                                reports[0].extractor, megabytes, {}, measured)  # fmt: skip
                reports.append(report)
                print(f"{name}, {prior}: {measured['frechet_distance'].value:.2f}", file=sys.stderr, flush=True)
    print(tables.as_markdown(tables.comparison(reports)))
    if options.json:
        rows = [json.loads(tables.as_json(report)) for report in reports]
        options.json.write_text(json.dumps({"reports": rows, "training_seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
