"""An exported model gives the same results as the network in torch; if they differ, no artifact is written."""

import json
import os
import runpy
import signal
from pathlib import Path

import aegen
import numpy as np
import pytest
import torch
from aegen.data.datasets import load
from aegen.export import pipeline
from aegen.export.artifact import export
from aegen.export.graphs import decoder, encoder, onnx_bytes
from aegen.export.options import ExportOptions
from aegen.export.parity import prove
from aegen.export.statistics import FITS, diagonal, fit, gaussian, log_likelihoods
from aegen.recipes.training import Recipe
from aegen.runtime.closed_form import PRIORS, stored_prior
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError, OutputError, ParityError
from aegen.runtime.metadata import ImageSpec
from aegen.runtime.pixels import to_tensor
from aegen.train import checkpoint
from aegen.train.autoencoder import train
from aegen.train.networks import build
from sklearn.mixture import GaussianMixture

OBJECTIVES = [("bce", "sigmoid"), ("mse", "sigmoid"), ("mse", "tanh")]
QUICK = Recipe(widths=(8,), latent_dim=3, epochs=2, learning_rate=0.02)


@pytest.fixture
def data(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(300, (6, 5)))
    return str(tmp_path / "bars.npz")


@pytest.fixture
def run(tmp_path, data):
    train(QUICK, load(data), tmp_path / "run", data=data)
    return tmp_path / "run"


GREY, COLOUR = (8, 4), (4, 8, 3)
# Models to export. The graphs depend on the image shape, the network, the range of pixels and the kind of model. Every
# pair of values of two of these properties occurs at least once. The loss does not change the graphs.
VARIANTS = {
    "grey-bce-sigmoid": (GREY, {"loss": "bce", "activation": "sigmoid"}),
    "colour-mse-sigmoid": (COLOUR, {"loss": "mse", "activation": "sigmoid"}),
    "grey-mse-tanh": (GREY, {"loss": "mse", "activation": "tanh"}),
    "grey-vae-conv-4-0.01": (GREY, {"kind": "vae", "network": "conv", "channels": 4, "beta": 0.01}),
    "colour-dae-mixed-conv-4-mse-tanh": (
        COLOUR,
        {
            "kind": "dae",
            "corruption": "mixed",
            "network": "conv",
            "channels": 4,
            "loss": "mse",
            "activation": "tanh",
        },
    ),
    "colour-vae-gaussian-tanh": (COLOUR, {"kind": "vae", "loss": "gaussian", "activation": "tanh"}),
}


@pytest.mark.parametrize(("shape", "hyperparameters"), VARIANTS.values(), ids=VARIANTS)
def test_the_python_api_gives_what_torch_gives(tmp_path, bars, shape, hyperparameters):
    np.savez(tmp_path / "bars.npz", images=bars(300, shape))
    dataset = load(str(tmp_path / "bars.npz"))
    recipe = Recipe(widths=(8,), latent_dim=3, epochs=2, learning_rate=0.02, **hyperparameters)
    train(recipe, dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    export(trained, dataset, tmp_path / "artifact")
    model, network = aegen.load(tmp_path / "artifact"), trained.network()

    images = dataset.test.images
    low, high = recipe.pixel_range
    with torch.inference_mode():
        tensor = torch.from_numpy(to_tensor(images, model.manifest.image))
        latents = network.encode(tensor)
        decoded = (network.decode(latents).numpy() - low) / (high - low)
    expected = decoded[:, 0] if len(shape) == 2 else decoded.transpose(0, 2, 3, 1)
    for batch in (1, 2, 3, 7, 50):
        assert np.allclose(model.encode(images, batch_size=batch), latents.numpy(), rtol=1e-4, atol=1e-5)
        assert np.allclose(model.reconstruct(images, batch_size=batch), expected, rtol=1e-4, atol=1e-5)
    outputs = [one.name for one in model.manifest.graphs["encoder.onnx"].outputs]
    assert outputs == (["latent", "logvar"] if recipe.kind == "vae" else ["latent"])
    likelihoods = model.manifest.log_likelihood
    assert likelihoods[model.manifest.default_prior] == max(likelihoods.values())
    levels = model.reconstruct(images, dtype="uint8").astype(int)
    assert np.abs(levels - np.rint(expected * 255)).max() <= 1


@pytest.mark.parametrize(("loss", "activation"), OBJECTIVES[-1:])
def test_the_command_line_gives_what_torch_gives(cli, mnist, tmp_path, loss, activation):
    hyperparameters = ["--loss", loss, "--activation", activation, "--epochs", 1, "--widths", "32", "--latent-dim", 6]
    digits = load(str(mnist)).test
    np.savez(tmp_path / "digits.npz", images=digits.images[:2000], labels=digits.labels[:2000])
    trained = cli("train", "--data", "digits.npz", *hyperparameters, "-o", "run")
    assert trained.returncode == 0, trained.stderr
    assert "  aegen export run -o run-artifact" in trained.stderr.splitlines()
    # One component of the Gaussian mixture is enough for this test; fitting the default of 100 takes half a minute.
    exported = cli("export", "run", "-o", "run-artifact", "--components", 1)
    assert exported.returncode == 0, exported.stderr
    assert "  aegen sample --model ./run-artifact -n 64 -o grid.png" in exported.stderr.splitlines()
    sampled = cli("sample", "--model", "./run-artifact", "-n", 64, "-o", "grid.png")
    assert sampled.returncode == 0, sampled.stderr
    assert (tmp_path / "grid.png").stat().st_size > 1000

    source = f"{mnist / 't10k-images-idx3-ubyte.gz'}[0:50]"
    assert cli("encode", source, "--model", "./run-artifact", "-o", "latents.npy").returncode == 0
    assert cli("decode", "latents.npy", "--model", "./run-artifact", "-o", "again.npy").returncode == 0
    network = checkpoint.read(tmp_path / "run").network()
    low, high = Recipe(loss=loss, activation=activation).pixel_range
    images = digits.images[:50]
    with torch.inference_mode():
        latents = network.encode(torch.from_numpy(to_tensor(images, ImageSpec((1, 28, 28), (low, high)))))
        decoded = (network.decode(latents).numpy()[:, 0] - low) / (high - low)
    assert np.allclose(np.load(tmp_path / "latents.npy"), latents.numpy(), rtol=1e-4, atol=1e-5)
    assert np.allclose(np.load(tmp_path / "again.npy"), decoded, rtol=1e-4, atol=1e-5)
    verified = json.loads(cli("verify", "./run-artifact", "--json").stdout)
    assert verified["passed"]
    assert verified["pairs"] == 20


def test_graphs_of_another_network_fail_the_parity_check():
    image = ImageSpec((1, 6, 5), (0.0, 1.0))
    torch.manual_seed(0)
    network, other = (build(QUICK, image.shape).eval() for _ in range(2))
    graphs = (encoder(network, image.shape), decoder(network, 3))
    contents = {graph.file: onnx_bytes(graph) for graph in graphs}
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 5), np.uint8)
    assert prove(graphs, contents, images, image).batches == (1, 2, 3, 7, 64)
    contents["decoder.onnx"] = onnx_bytes(decoder(other, 3))
    with pytest.raises(
        ParityError, match=r"decoder\.onnx at batch 1: found a difference of .* from torch, expected at most"
    ):
        prove(graphs, contents, images, image)


def test_an_export_that_differs_leaves_nothing_behind(run, data, tmp_path, monkeypatch):
    wrong = onnx_bytes(encoder(build(QUICK, (1, 6, 5)).eval(), (1, 6, 5)))
    monkeypatch.setattr(
        pipeline, "onnx_bytes", lambda graph: wrong if graph.file == "encoder.onnx" else onnx_bytes(graph)
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ParityError, match=r"encoder\.onnx"):
        export(checkpoint.read(run), load(data), tmp_path / "artifact")
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_with_other_data_than_it_was_trained_on_is_refused(run, tmp_path, bars):
    np.savez(tmp_path / "other.npz", images=255 - bars(300, (6, 5)))
    with pytest.raises(InputError, match="is not what the network was trained on"):
        export(checkpoint.read(run), load(str(tmp_path / "other.npz")), tmp_path / "artifact")


def test_an_export_replaces_an_artifact_only_if_allowed_and_nothing_else_ever(run, data, tmp_path):
    trained, dataset = checkpoint.read(run), load(data)
    export(trained, dataset, tmp_path / "artifact")
    with pytest.raises(OutputError, match="something there already, expected a free name"):
        export(trained, dataset, tmp_path / "artifact")
    overwrite = ExportOptions(temperature=0.5, overwrite=True)
    export(trained, dataset, tmp_path / "artifact", options=overwrite)
    assert aegen.load(tmp_path / "artifact").manifest.default_temperature == 0.5
    with pytest.raises(OutputError, match="something else than an artifact"):
        export(trained, dataset, run, options=overwrite)
    (tmp_path / "webapp").mkdir()
    (tmp_path / "webapp" / "manifest.json").write_text('{"name": "an app"}')
    (tmp_path / "artifact" / "notes.txt").write_text("mine")
    for name in ("webapp", "artifact"):
        with pytest.raises(OutputError, match="something else than an artifact"):
            export(trained, dataset, tmp_path / name, options=overwrite)
    assert (tmp_path / "artifact" / "notes.txt").read_text() == "mine"
    with pytest.raises(NotFoundError, match="no such folder"):
        export(trained, dataset, tmp_path / "no" / "artifact")
    with pytest.raises(InputError, match="temperature: found inf"):
        export(trained, dataset, tmp_path / "another", options=ExportOptions(temperature=float("inf")))
    with pytest.raises(InputError, match="prior: found 'vamp', expected one of standard, diagonal, gaussian, gmm, kde"):
        export(trained, dataset, tmp_path / "another", options=ExportOptions(prior="vamp"))


def test_an_export_of_the_last_epoch_says_so(run, data, tmp_path):
    manifest = export(checkpoint.read(run / "last.pt"), load(data), tmp_path / "artifact")
    assert manifest.commands[1].startswith("aegen export runs/artifact/last.pt ")
    assert "at epoch 2 of 2" in (tmp_path / "artifact" / "README.md").read_text()


def test_an_export_records_where_it_comes_from(run, data, tmp_path):
    options = ExportOptions(name="bars", licence="CC0")
    manifest = export(checkpoint.read(run), load(data), tmp_path / "artifact", options=options)
    assert manifest.commands == (
        "aegen train --data bars.npz --widths 8 --latent-dim 3 --epochs 2 --learning-rate 0.02 "
        f"--threads {checkpoint.read(run).threads} -o runs/bars",
        f"aegen export runs/bars --prior {manifest.default_prior} --temperature 1 --licence CC0 -o bars",
    )
    assert (manifest.data.name, manifest.data.licence, manifest.name) == ("bars.npz", "CC0", "bars")
    assert manifest.recipe["latent_dim"] == 3
    assert manifest.versions["torch"] == torch.__version__
    for file in (tmp_path / "artifact").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file
    card = (tmp_path / "artifact" / "README.md").read_text()
    assert manifest.commands[0] in card
    assert "CC0" in card


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_dies_between_two_files_leaves_no_artifact(run, data, tmp_path):
    trained, dataset, options = checkpoint.read(run), load(data), ExportOptions(components=1)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(120)
            pipeline.model_card = lambda manifest: os._exit(9)
            export(trained, dataset, tmp_path / "artifact", options=options)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert not (tmp_path / "artifact").exists()
    assert any(file.name.startswith(".artifact.") for file in tmp_path.iterdir())
    export(trained, dataset, tmp_path / "artifact", options=options)
    assert aegen.load(tmp_path / "artifact").verify().passed


def test_moments_are_exact_even_if_a_latent_dimension_is_constant():
    latents = np.random.default_rng(0).normal(2, 3, (500, 4))
    latents[:, 2] = 1
    arrays = {**diagonal(latents), **gaussian(latents)}
    assert np.allclose(arrays["mean"], latents.mean(0))
    assert np.allclose(arrays["std"], latents.std(0))
    assert np.allclose(arrays["factor"] @ arrays["factor"].T, np.cov(latents, rowvar=False, bias=True), atol=1e-3)
    assert np.array_equal(arrays["factor"], np.tril(arrays["factor"]))


def test_every_closed_form_prior_of_the_runtime_can_be_fitted():
    assert list(FITS) == list(PRIORS)
    for name, prior in PRIORS.items():
        assert (FITS[name].to_class is None) == (prior.of_class is None)


def test_the_fit_finds_clusters_and_chooses_by_held_out_latents():
    random = np.random.default_rng(0)
    centres = random.normal(0, 20, (5, 3))
    labels = random.integers(0, 5, 3000)
    latents = (centres[labels] + random.normal(0, 1, (3000, 3))).astype(np.float32)
    arrays = fit(latents[:2500], latents[2500:], labels[:2500])
    assert len(arrays["gmm_weights"]) == 5
    assert np.allclose(np.sort(arrays["gmm_means"], 0), np.sort(centres, 0), atol=0.3)
    likelihoods = log_likelihoods(arrays, latents[2500:])
    assert max(likelihoods, key=likelihoods.get) == "gmm"
    assert likelihoods["gmm"] > likelihoods["gaussian"] > likelihoods["standard"]
    assert likelihoods["kde"] > likelihoods["gaussian"]
    assert np.allclose(arrays["class_mean"], centres, atol=0.3)
    assert arrays["labels"].tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(fit(latents[:2500], latents[2500:], labels[:2500])["gmm_means"], arrays["gmm_means"])


def test_the_fitted_mixture_has_the_density_of_scikit_learn_s():
    latents = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    latents[:200] += 5
    arrays = fit(latents, latents, None, components=2)
    reference = GaussianMixture(2, random_state=0).fit(latents)
    assert np.allclose(stored_prior("gmm", arrays).log_prob(latents), reference.score_samples(latents), atol=1e-2)


def test_latents_that_are_not_finite_are_refused(run, data, tmp_path):
    trained = checkpoint.read(run)
    trained.state_dict["network.encoder.1.bias"][:] = float("nan")
    with pytest.raises((ParityError, ExecutionError)):
        export(trained, load(data), tmp_path / "artifact")


def test_the_tiny_artifacts_are_what_their_generator_makes(tmp_path):
    generator = Path(__file__).parent / "tiny" / "generate.py"
    runpy.run_path(str(generator))["generate"](tmp_path)
    for name in ("grey", "colour"):
        generated = aegen.load(tmp_path / name)
        committed = aegen.load(generator.parent / name)
        for fact in ("image", "latent_dim", "graphs", "operators", "priors", "latents", "recipe", "data", "commands"):
            assert getattr(generated.manifest, fact) == getattr(committed.manifest, fact), fact
        assert generated.verify().passed
