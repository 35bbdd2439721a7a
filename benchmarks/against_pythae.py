"""Compare the RAE-L2 and the VAE of the library pythae with an aegen model.

pythae's models are trained on the same images, with the same networks and hyperparameters, as the aegen model was.
Needs aegen's extra `train` and `pip install pythae==0.1.2`. Prints a table in Markdown, and writes JSON with --json
FILE.

    python benchmarks/against_pythae.py --like mnist-fast --data mnist --json against_pythae.json
"""

import argparse
import dataclasses
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
from aegen.cli.evaluate import load_reference
from aegen.data.datasets import load
from aegen.evaluation import tables
from aegen.evaluation.metric_inputs import MetricInputs, ScoredImages
from aegen.evaluation.reference import ReferenceSet
from aegen.evaluation.report import Evaluator, Report
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

COMPONENTS = 50  # components of the Gaussian mixture; pythae's default is 10
MAF_EPOCHS = 100  # training epochs of the masked autoregressive flow; 100 is pythae's default
# Hyperparameters that pythae's models take from the recipe of the aegen model.
SHARED = ("network", "widths", "channels", "latent_dim", "epochs", "batch_size", "learning_rate")


class Encoder(BaseEncoder):  # type: ignore[misc]
    """Wraps an encoder network of aegen in pythae's interface. For a VAE it returns means and log variances."""

    def __init__(self, network: torch.nn.Module, latent_dim: int, variational: bool) -> None:
        super().__init__()
        self.network, self.latent_dim, self.variational = network, latent_dim, variational

    def forward(self, images: torch.Tensor) -> ModelOutput:
        """Images (n, 1, H, W) -> latents (n, d); for a VAE, their posterior means and log variances, each (n, d)."""
        outputs = self.network(images)
        if not self.variational:
            return ModelOutput(embedding=outputs)
        mean, logvar = outputs.chunk(2, dim=1)
        return ModelOutput(embedding=mean, log_covariance=logvar)


class Decoder(BaseDecoder):  # type: ignore[misc]
    """Wraps a decoder network of aegen in pythae's interface."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latents: torch.Tensor) -> ModelOutput:
        """Latents (n, d) -> images (n, 1, H, W)."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(latents)))


def train(recipe: Recipe, images: list[torch.Tensor], seed: int, folder: Path) -> BaseAE:
    """Train one of pythae's models with pythae's training pipeline, and return it with the weights of its best epoch.

    The model is a VAE if `recipe.kind` is "vae", and otherwise an RAE-L2. images: the training images and the
    validation images, each float32 (n, C, H, W) in [0, 1].
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
    """Fit pythae's samplers (priors over latents) to a trained model. Yields the name of each prior and its sampler.

    images: the training images and the validation images, each float32 (n, C, H, W) in [0, 1].
    """
    if isinstance(model, VAE):
        yield "N(0, I)", NormalSampler(model)
    np.random.seed(seed)
    mixture = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=COMPONENTS))
    mixture.fit(images[0])
    yield f"GMM, {COMPONENTS}", mixture
    flow = MAFSampler(model)
    settings = BaseTrainerConfig(
        output_dir=str(folder),
        num_epochs=MAF_EPOCHS,
        learning_rate=1e-3,
        per_device_train_batch_size=500,
        per_device_eval_batch_size=1000,
        seed=seed,
    )
    flow.fit(*images, training_config=settings)
    yield "MAF", flow


@torch.inference_mode()
def reconstructions(model: BaseAE, reference: ReferenceSet) -> ScoredImages:
    """Reconstruct the test images with one of pythae's models."""
    images = torch.from_numpy(reference.test_images[:, None] / np.float32(255))
    parts = [model.decoder(model.encoder(part).embedding).reconstruction for part in torch.split(images, 1000)]
    return ScoredImages(reference, grey_levels(torch.cat(parts)))


@torch.inference_mode()
def samples(sampler: BaseSampler, reference: ReferenceSet, seed: int) -> ScoredImages:
    """Sample as many images as there are test images with one of pythae's samplers."""
    torch.manual_seed(seed)
    return ScoredImages(reference, grey_levels(sampler.sample(num_samples=len(reference), batch_size=500)))


def grey_levels(images: torch.Tensor) -> np.ndarray:
    """Convert images (n, 1, H, W) in [0, 1] to uint8 (n, H, W)."""
    return np.rint(images[:, 0].cpu().numpy() * 255).astype(np.uint8)


def megabytes(model: BaseAE) -> float:
    """Size of a model's parameters, in units of 10^6 bytes."""
    return sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) / 1e6


def main() -> None:
    """Train pythae's models, score them and the aegen model, and print one table with all scores."""
    options = parsed_options()
    logging.disable(logging.INFO)
    artifact = aegen.load(options.like)
    dataset = load(options.data)
    reference = load_reference(dataset, "test", None, options.n, None)
    evaluator = Evaluator(reference, dataset.facts.name, seed=options.seed)
    images = [torch.from_numpy(part.images[:, None] / np.float32(255)) for part in (dataset.train, dataset.validation)]
    shared = {name: artifact.manifest.recipe[name] for name in SHARED}
    shared["widths"] = tuple(shared["widths"])
    reports, seconds = [evaluator.report(artifact)], {}
    for kind, name in (("ae", "pythae RAE-L2"), ("vae", "pythae VAE")):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            model = train(Recipe(kind=kind, **shared), images, options.seed, Path(folder))
            seconds[name] = time.perf_counter() - start
            print(f"{name}: trained in {seconds[name]:.0f} s", file=sys.stderr, flush=True)
            reconstructed = reconstructions(model, reference)
            for prior, sampler in samplers(model, images, options.seed, Path(folder)):
                inputs = MetricInputs(samples=samples(sampler, reference, options.seed), reconstructions=reconstructed)
                report = dataclasses.replace(
                    reports[0],
                    model=name,
                    prior=prior,
                    temperature=1.0,
                    megabytes=megabytes(model),
                    macs={},
                    metrics=evaluator.scores(inputs),
                )
                reports.append(report)
                print(f"{name}, {prior}: {report.metrics['frechet_distance'].value:.2f}", file=sys.stderr, flush=True)
    print(tables.as_markdown(tables.comparison(reports)))
    if options.json:
        write_json(options.json, reports, seconds)


def parsed_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--like", default="mnist-fast", help="artifact that gives networks, epochs, batches and learning rate"
    )
    parser.add_argument("--data", default="mnist", help="training data of that artifact, a name or a path")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=10_000, help="number of samples")
    parser.add_argument("--json", type=Path, help="file to write")
    return parser.parse_args()


def write_json(file: Path, reports: list[Report], seconds: dict[str, float]) -> None:
    """Write the reports, each as `aegen evaluate --json` prints it, and the training times in seconds."""
    rows = [json.loads(tables.as_json(report)) for report in reports]
    file.write_text(json.dumps({"reports": rows, "training_seconds": seconds}, indent=1))


if __name__ == "__main__":
    main()
