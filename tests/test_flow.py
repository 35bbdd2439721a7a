"""The flow prior samples the distribution it was trained on, computes its density, and is exported unchanged."""

import copy
import math

import aegen
import numpy as np
import pytest
import torch
from aegen.cli.export import command as export_command
from aegen.cli.train_prior import command as train_prior_command
from aegen.data.datasets import load
from aegen.evaluation.distances import frechet_distance
from aegen.export.artifact import export
from aegen.export.learned_priors import exported_prior
from aegen.export.options import ExportOptions
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.training import Recipe
from aegen.runtime.errors import ExecutionError, InputError, NotFoundError
from aegen.runtime.learned import by_fractions
from aegen.runtime.noise import Noise
from aegen.train import checkpoint, flow_prior, priors
from aegen.train.autoencoder import train
from aegen.train.flow import Flow, UnrolledFlow, adams_bashforth
from aegen.train.flow_prior import train as train_flow
from aegen.train.latents import EncodedLatents, class_indices, label_values
from click.testing import CliRunner

QUICK = FlowRecipe(width=32, blocks=1, steps=800, batch_size=256)
STEPS = 3  # number of evaluations of the exported flow's network for one latent


def moons(n, seed):
    """Make latents (n, 2) of two classes on two half circles, a distribution that no Gaussian fits."""
    random = np.random.default_rng(seed)
    classes = np.arange(n) % 2
    angle = np.pi * (random.random(n) + classes)
    centre = np.stack([classes - 0.5, np.zeros(n)], 1)
    mean = centre + np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * random.standard_normal((n, 2))
    return EncodedLatents(mean.astype(np.float32), classes)


@pytest.fixture(scope="module")
def flow():
    return train_flow(QUICK, moons(4000, 0), moons(1000, 1), 2)[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory, bars):
    """Train and export a tiny model of two classes. Returns (model, its flow in torch, class fractions (2,))."""
    folder = tmp_path_factory.mktemp("flow")
    images = bars(600, (6, 5))
    labels = (images.reshape(600, -1).mean(1) > np.median(images.reshape(600, -1).mean(1))).astype(np.int64) + 3
    np.savez(folder / "bars.npz", images=images, labels=labels)
    dataset = load(str(folder / "bars.npz"))
    recipe = Recipe(kind="vae", beta=0.01, widths=(16,), latent_dim=3, epochs=10, learning_rate=0.02)
    train(recipe, dataset, folder / "run")
    trained = checkpoint.read(folder / "run")
    learned = priors.train_prior(trained, dataset, FlowRecipe(width=32, blocks=2, steps=300, batch_size=128))
    priors.save(learned, folder / "run" / "prior.pt")
    learned = priors.read(folder / "run" / "prior.pt", trained)
    # By default an exported flow has 8 evaluations. The model below has fewer, because then the export is faster.
    assert exported_prior(learned, trained, (3, 4), None, halves=False).evaluations == 8
    options = ExportOptions(licence="CC0", components=2, prior="flow", evaluations=STEPS)
    export(trained, dataset, folder / "artifact", learned=learned, options=options)
    class_fractions = np.load(folder / "artifact" / "latents.npz")["class_fractions"]
    return aegen.load(folder / "artifact"), learned.network, class_fractions


def sample(flow, classes, steps=32):
    """Sample latents (n, 2) from a flow in `steps` integration steps. classes: class index of each latent (n,)."""
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal((len(classes), 2)).astype(np.float32))
    with torch.inference_mode():
        return flow.sample(noise, torch.as_tensor(classes), steps).numpy()


def test_the_integration_error_falls_with_the_square_of_the_number_of_steps():
    start = torch.tensor([1.0, 2.0], dtype=torch.float64)
    errors = [
        (adams_bashforth(lambda x, step, n=n: x * (1 + step / n), start, n) - start * math.exp(1.5)).abs().max().item()
        for n in (16, 32, 64)
    ]
    # The integration method is of second order: with half the step size, the error is a quarter.
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_an_untrained_flow_is_the_gaussian_of_its_latents():
    mean, factor = torch.tensor([1.0, -2.0]), torch.tensor([[2.0, 0.0], [0.5, 0.3]])
    flow = Flow(mean, factor, 2, QUICK)
    latents = torch.randn(50, 2)
    expected = torch.distributions.MultivariateNormal(mean, scale_tril=factor).log_prob(latents)
    assert torch.allclose(flow.log_density(latents, torch.zeros(50, dtype=torch.long)), expected, atol=1e-4)
    assert torch.allclose(flow.normalise(flow.denormalise(latents)), latents, atol=1e-5)
    noise = torch.randn(50, 2)
    assert torch.allclose(flow.sample(noise, torch.zeros(50, dtype=torch.long), 3), mean + noise @ factor.T, atol=1e-5)


def test_a_flow_samples_a_distribution_that_no_gaussian_fits(flow):
    real = moons(4000, 2)
    samples = sample(flow, real.class_indices)
    assert frechet_distance(samples, real.latent) < 0.02
    centres = np.stack([real.class_indices - 0.5, np.zeros(4000)], 1)
    radius = np.linalg.norm(samples - centres, axis=1)
    # Median distance of the samples from their half circles; samples of a fitted Gaussian have at least 0.3.
    assert np.median(np.abs(radius - 1)) < 0.12
    assert samples[real.class_indices == 0, 1].mean() > 0.4
    assert samples[real.class_indices == 1, 1].mean() < -0.4


def test_the_density_of_a_flow_integrates_to_1_and_is_higher_than_that_of_a_gaussian(flow):
    edge = torch.linspace(-2.5, 2.5, 71)
    grid = torch.cartesian_prod(edge, edge)
    density = flow.log_density(grid, torch.zeros(len(grid), dtype=torch.long)).exp()
    assert (density.sum() * (edge[1] - edge[0]) ** 2).item() == pytest.approx(1, abs=0.03)
    held = moons(1000, 3)
    real, labels = torch.from_numpy(held.latent), torch.from_numpy(held.class_indices)
    upper = real[labels == 0]
    gaussian = torch.distributions.MultivariateNormal(upper.mean(0), torch.cov(upper.T)).log_prob(upper).mean()
    assert flow.log_density(real, labels)[labels == 0].mean() > gaussian + 0.5


def test_the_same_seed_trains_the_same_flow():
    short = FlowRecipe(width=16, blocks=1, steps=20, batch_size=64)
    first, second = (train_flow(short, moons(300, 0), moons(100, 1), 2, threads=1)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_training_gives_the_flow_of_an_uninterrupted_one(monkeypatch):
    monkeypatch.setattr(flow_prior, "INTERVAL", 50)
    recipe = FlowRecipe(width=16, blocks=1, steps=120, batch_size=64)
    states, reports = [], []

    def train_again(**more):
        return train_flow(recipe, moons(300, 0), moons(100, 1), 2, threads=1, **more)

    first, best = train_again(keep=lambda state: states.append(copy.deepcopy(state)), report=reports.append)
    assert [progress.step for progress in reports] == [50, 100, 120]
    rest = []
    second, best_again = train_again(resume=states[0], report=rest.append)
    assert rest == reports[1:]
    assert best_again == best
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())


def test_training_stops_when_the_held_out_loss_no_longer_falls(monkeypatch):
    monkeypatch.setattr(flow_prior, "INTERVAL", 100)
    reports = []
    recipe = FlowRecipe(
        width=64, blocks=1, steps=4000, batch_size=64, learning_rate=5e-3, ema_decay=0.99, patience=1, weight_decay=0.0
    )
    _, best = train_flow(recipe, moons(64, 0), moons(500, 1), 2, report=reports.append)
    assert reports[-1].step < 4000
    assert best == min(reports, key=lambda progress: progress.held_out_loss)
    assert reports[-1].step == best.step + 100


def test_the_unrolled_graph_computes_what_the_flow_computes(exported):
    _, flow, _ = exported
    noise = torch.randn(9, 3)
    label = torch.arange(9) % 2
    unrolled = UnrolledFlow(flow, 6)
    assert torch.allclose(unrolled(noise, label), flow.sample(noise, label, 6), atol=1e-5)


def test_an_artifact_samples_from_its_flow(exported):
    model, flow, class_fractions = exported
    assert model.priors[-1] == model.manifest.default_prior == "flow"
    latents = model.sample_latents(200, seed=1)
    noise = Noise(1)
    label = (noise.strata(0, 200) > class_fractions[0]).astype(np.int64)
    with torch.inference_mode():
        expected = flow.sample(torch.from_numpy(noise.normals(0, 200, 3)), torch.from_numpy(label), STEPS).numpy()
    assert np.allclose(latents, expected, atol=1e-4)
    assert np.allclose(model.sample_latents(200, seed=1)[:16], model.sample_latents(16, seed=1), atol=1e-5)
    chunks = list(model.iter_sample(50, seed=1, batch_size=7))
    assert np.abs(np.concatenate(chunks) - model.sample(50, seed=1)).max() < 1 / 255
    assert not np.allclose(model.sample_latents(8, seed=1, label=3), model.sample_latents(8, seed=1, label=4))
    assert np.allclose(
        model.sample_latents(3, seed=1, temperature=0, label=3),
        model.sample_latents(3, seed=2, temperature=0, label=3),
        atol=1e-5,
    )


def test_sampled_classes_are_as_frequent_as_in_the_training_data(exported):
    _, _, fractions = exported
    first = by_fractions(fractions)(Noise(5), 0, 3000)
    for block in first.reshape(3, -1):
        assert np.abs(np.bincount(block, minlength=len(fractions)) - 1000 * fractions).max() < 2
    assert len(np.unique(first[:20])) > 1
    assert (np.diff(first) == 0).mean() > 0.3


def test_a_latent_walk_leads_from_one_sample_to_another(exported):
    model, flow, _ = exported
    paths = model.latent_walk(4, steps=5, seed=1, label=4)
    assert paths.shape == (4, 5, 6, 5)
    noise = torch.from_numpy(Noise(1).normals(0, 8, 3))
    with torch.inference_mode():
        ends = flow.sample(noise, torch.ones(8, dtype=torch.int64), STEPS).numpy()
    assert np.abs(paths[:, [0, -1]].reshape(8, 6, 5) - model.decode(ends)).max() < 1e-4
    assert np.allclose(model.latent_walk(2, steps=5, seed=1, label=4), paths[:2], atol=1e-5)
    straight = model.decode((0.5 * (ends[::2] + ends[1::2])).astype(np.float32))
    # The image in the middle of a walk is not the one decoded from the mean of the two end latents.
    assert np.abs(paths[:, 2] - straight).max() > 1e-3
    assert model.latent_walk(3, steps=2, seed=5, dtype="uint8").dtype == np.uint8
    with pytest.raises(InputError, match="steps: found 1, expected at least 2"):
        model.latent_walk(1, steps=1)


def test_the_parity_and_the_macs_of_a_flow_are_in_the_artifact(exported):
    model, _, _ = exported
    assert set(model.verify().largest_difference) == {"encoder.onnx", "decoder.onnx", "prior.onnx"}
    assert model.verify().passed
    one = 3 * 32 + 2 * (2 * 32 * 32) + 32 * 3
    assert model.manifest.macs["prior.onnx"] == STEPS * one + 9
    assert model.manifest.macs["decoder.onnx"] == 3 * 16 + 16 * 30
    assert model.manifest.commands[1].startswith("aegen train-prior runs/artifact --width 32 --blocks 2 --steps 300")
    assert math.isfinite(model.manifest.log_likelihood["flow"])


def test_an_unknown_label_or_prior_without_density_is_an_error_that_lists_the_choices(exported):
    model, _, _ = exported
    with pytest.raises(InputError, match="label: found 7, expected one of 3, 4"):
        model.sample(1, label=7)
    with pytest.raises(InputError, match="a graph without a density, expected a closed-form prior"):
        model.log_prob(np.zeros(3))


def test_a_prior_of_another_encoder_is_rejected(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (6, 5)))
    dataset = load(str(tmp_path / "bars.npz"))
    for seed in (0, 1):
        train(Recipe(widths=(4,), latent_dim=2, epochs=1, seed=seed), dataset, tmp_path / f"run{seed}")
    trained = [checkpoint.read(tmp_path / f"run{seed}") for seed in (0, 1)]
    learned = priors.train_prior(trained[0], dataset, FlowRecipe(width=4, blocks=1, steps=2))
    priors.save(learned, tmp_path / "prior.pt")
    assert priors.read(tmp_path / "prior.pt", trained[0]).encoder_fingerprint == trained[0].fingerprint
    with pytest.raises(InputError, match="a prior of another encoder"):
        priors.read(tmp_path / "prior.pt", trained[1])
    (tmp_path / "prior.pt").write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged"):
        priors.read(tmp_path / "prior.pt", trained[0])


def test_labels_have_class_indices():
    values = label_values(np.array([5, 5, 9, 2, 9]))
    assert values.tolist() == [5, 9]
    assert class_indices(np.array([9, 5, 2, 11]), 4, values).tolist() == [1, 0, 2, 2]
    assert class_indices(None, 3, label_values(None)).tolist() == [0, 0, 0]


def test_a_flow_that_cannot_be_trained_is_an_error():
    short = FlowRecipe(width=8, blocks=1, steps=5, batch_size=64)
    unknown = EncodedLatents(moons(50, 1).latent, np.full(50, 2))
    with pytest.raises(InputError, match="held-out latents: found none of a known class"):
        train_flow(short, moons(50, 0), unknown, 2)
    not_finite = EncodedLatents(np.full((50, 2), np.nan, np.float32), np.zeros(50, np.int64))
    with pytest.raises(ExecutionError, match="step 5: held-out loss: found nan"):
        train_flow(short, moons(50, 0), not_finite, 2)


@pytest.mark.parametrize(
    "hyperparameter", [{"width": 0}, {"learning_rate": -1}, {"warmup": math.nan}, {"ema_decay": 1}, {"seed": 2**64}]
)
def test_an_unusable_hyperparameter_of_a_flow_is_rejected(hyperparameter):
    with pytest.raises(InputError, match=f"flow: {next(iter(hyperparameter))}"):
        FlowRecipe(**hyperparameter)


def test_a_damaged_prior_is_rejected_wherever_the_damage_is(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (6, 5)))
    dataset = load(str(tmp_path / "bars.npz"))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), dataset, tmp_path / "run")
    trained = checkpoint.read(tmp_path / "run")
    file = tmp_path / "prior.pt"
    priors.save(priors.train_prior(trained, dataset, FlowRecipe(width=8, blocks=1, steps=2)), file)
    content = file.read_bytes()
    expected = priors.read(file, trained).network.state_dict()
    for position in range(100, len(content), len(content) // 15):
        file.write_bytes(content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :])
        try:
            state = priors.read(file, trained).network.state_dict()
        except InputError:
            continue
        # If a damaged file is read without an error, the changed byte was unused padding, and all weights are as
        # before.
        assert all(torch.equal(value, state[name]) for name, value in expected.items())


def test_the_command_trains_a_prior_and_an_export_contains_it(cli, tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(300, (8, 4, 3)), labels=np.random.default_rng(0).integers(0, 3, 300))
    data, run = str(tmp_path / "bars.npz"), tmp_path / "run"
    train(Recipe(network="conv", channels=4, latent_dim=3, epochs=2, kind="vae"), load(data), run, data=data)
    rejected = CliRunner().invoke(export_command, [str(run), "-o", str(tmp_path / "none"), "--evaluations", "4"])
    assert (rejected.exit_code, "prior.pt" in rejected.output) == (2, True)
    assert CliRunner().invoke(train_prior_command, [str(run), "--learning-rate", "-1"]).exit_code == 2
    missing = CliRunner().invoke(train_prior_command, [str(run), "--resume"])
    assert isinstance(missing.exception, NotFoundError)
    assert CliRunner().invoke(train_prior_command, [str(run), "--resume", "--width", "9"]).exit_code == 2
    done = cli("train-prior", "run", "--width", "16", "--blocks", "1", "--steps", "60", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "step 60/60" in done.stderr
    done = cli("export", "run", "-o", "made", "--evaluations", "2", "--components", "2", "--prior", "flow")
    assert done.returncode == 0, done.stderr
    model = aegen.load(tmp_path / "made")
    assert model.manifest.commands[1] == ("aegen train-prior runs/made --width 16 --blocks 1 --steps 60 --threads 1")
    assert "--evaluations 2" in model.manifest.commands[2]
    assert model.sample(5, label=2).shape == (5, 8, 4, 3)
    done = cli("interpolate", "-n", "2", "--steps", "3", "--seed", "0", "--model", "./made", "-o", "paths.npy")
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "paths.npy"), model.latent_walk(2, steps=3, seed=0))
    assert model.verify().passed
