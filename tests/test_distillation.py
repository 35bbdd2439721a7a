"""A distilled flow maps noise to the latents that the flow gives, but in one evaluation of its network."""

import dataclasses

import aegen
import numpy as np
import onnx
import pytest
import torch
from aegen.cli.distill import command as distill_command
from aegen.data.datasets import load
from aegen.evaluation.distances import frechet_distance
from aegen.export.graphs import TorchGraph, onnx_bytes
from aegen.export.learned_priors import PRIOR
from aegen.export.quantised import all_quantised
from aegen.recipes.distillation import DistillationRecipe
from aegen.recipes.learned_priors import FlowRecipe
from aegen.recipes.refinement import RefinementRecipe
from aegen.recipes.stages import Stage
from aegen.recipes.training import Recipe
from aegen.runtime.errors import InputError, NotFoundError, OutputError
from aegen.runtime.noise import Noise
from aegen.train import checkpoint, priors
from aegen.train.autoencoder import train
from aegen.train.distillation import distill, teacher
from aegen.train.flow import Flow
from aegen.train.flow_map import FlowMap
from aegen.train.priors import LearnedPrior
from aegen.train.refinement import refine
from click.testing import CliRunner

TEACHER = FlowRecipe(width=16, blocks=1)
QUICK = DistillationRecipe(width=64, layers=2, pairs=20_000, steps=1000, batch_size=256, evaluations=16)


@pytest.fixture(scope="module")
def flow():
    """A flow of two classes in two dimensions with random weights, far from the Gaussian of its latents."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        flow = Flow(
            torch.tensor([1.0, -2.0]), torch.tensor([[2.0, 0.0], [0.5, 0.3]]), 2, FlowRecipe(width=16, blocks=1)
        )
        with torch.no_grad():
            for parameter in flow.trained_parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return flow.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def distilled(flow):
    return distill(LearnedPrior((Stage(TEACHER, 1),), "", (3, 4), 1, 1.0, flow), QUICK)


def noise_and_classes(n):
    generator = torch.Generator().manual_seed(9)
    return torch.randn(n, 2, generator=generator), torch.arange(n) % 2


@torch.inference_mode()
def test_one_evaluation_gives_the_latents_that_the_flow_gives(flow, distilled):
    noise, classes = noise_and_classes(4000)
    expected = flow.transport(noise, classes, QUICK.evaluations)
    # The flow is far from the identity, and differs between the classes.
    assert ((expected - noise) ** 2).mean() > 0.2
    assert ((expected[classes == 0].mean(0) - expected[classes == 1].mean(0)) ** 2).sum() > 0.2
    error = ((distilled.network(noise, classes) - expected) ** 2).mean().item()
    assert error < 0.03
    assert error == pytest.approx(distilled.loss, rel=0.5)
    latents = distilled.network.sample(noise, classes)
    assert torch.allclose(distilled.network.normalise(latents), distilled.network(noise, classes), atol=1e-4)
    assert frechet_distance(latents.numpy(), flow.sample(noise, classes, 16).numpy()) < 0.03


def test_the_exported_module_and_the_density_are_those_of_the_network_and_the_flow(flow, distilled):
    (noise, classes), network = noise_and_classes(50), distilled.network
    with torch.no_grad():
        assert torch.allclose(network.unrolled(1)(noise, classes), network.sample(noise, classes), atol=1e-5)
        assert torch.equal(network.log_density(noise, classes), flow.log_density(noise, classes))
    with pytest.raises(InputError, match="evaluations: found 2, expected 1, because the flow is distilled"):
        network.unrolled(2)


def test_a_distilled_flow_can_be_distilled_anew_and_another_prior_cannot(flow, distilled):
    assert torch.equal(teacher(distilled).state_dict()["output_proj.weight"], flow.output_proj.weight)
    with pytest.raises(InputError, match="a flow, which can be distilled"):
        teacher(dataclasses.replace(distilled, network=torch.nn.Identity()))


def test_a_step_of_refinement_moves_the_network_but_not_the_flow(distilled):
    network = FlowMap(distilled.network.flow, QUICK)
    noise, classes = noise_and_classes(32)
    loss = network.training_loss(noise, classes, torch.Generator().manual_seed(0))
    loss.backward()
    assert loss.item() > 0
    assert all(parameter.grad is not None for parameter in network.trained_parameters())
    assert all(parameter.grad is None for parameter in network.flow.parameters())


def test_the_commands_refine_distill_refine_again_and_export_a_run(cli, tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(120, (8, 4)), labels=np.arange(120) % 2)
    few = "--classifiers 1 --classifier-epochs 1"
    for command in (
        "train --data bars.npz --kind vae --widths 8 --latent-dim 3 --epochs 2 --threads 1 -o run",
        "train-prior run --width 8 --blocks 1 --steps 20 --threads 1",
        f"refine run -o first --steps 2 --flow-steps 2 --batch-size 8 {few} --threads 1",
        "distill first --width 12 --layers 2 --pairs 500 --steps 30 --threads 1",
        f"refine first -o second --steps 3 --batch-size 8 {few} --threads 1",
        "export second --prior flow --components 2 --licence CC0 -o made",
    ):
        done = cli(*command.split())
        assert done.returncode == 0, done.stderr
    model = aegen.load(tmp_path / "made")
    refined, again = "runs/made-refined", "runs/made-refined-2"
    assert [command.replace(" --threads 1", "") for command in model.manifest.commands[1:]] == [
        "aegen train-prior runs/made --width 8 --blocks 1 --steps 20",
        f"aegen refine runs/made --steps 2 --batch-size 8 --flow-steps 2 {few} -o {refined}",
        f"aegen distill {refined} --width 12 --layers 2 --pairs 500 --evaluations 2 --steps 30",
        f"aegen refine {refined} --steps 3 --batch-size 8 --flow-steps 1 {few} -o {again}",
        f"aegen export {again} --prior flow --temperature 1 --components 2 --evaluations 1 --licence CC0 -o made",
    ]
    assert model.manifest.learned_priors["flow"].evaluations == 1
    assert model.manifest.macs["prior.onnx"] == 3 * 12 + 12 * 12 + 12 * 3 + 3 * 3
    assert model.verify().passed
    trained = checkpoint.read(tmp_path / "second")
    network = priors.read(tmp_path / "second" / "prior.pt", trained).network
    with torch.inference_mode():
        latents = network.sample(torch.from_numpy(Noise(3).normals(0, 40, 3)), torch.ones(40, dtype=torch.int64))
    assert np.allclose(model.sample_latents(40, seed=3, label=1), latents.numpy(), atol=1e-4)
    finished = cli("distill", "first", "--resume")
    assert (finished.returncode, "distillation is finished" in finished.stderr) == (0, True)
    before = checkpoint.read(tmp_path / "first")
    prior = priors.read(tmp_path / "first" / "prior.pt", before)
    recipe = RefinementRecipe(steps=1, flow_steps=4, classifiers=1, classifier_epochs=1, batch_size=4)
    with pytest.raises(InputError, match="evaluations: found 4, expected 1, because the flow is distilled"):
        refine(before, prior, load_bars(tmp_path), recipe)


def load_bars(folder):
    return load(str(folder / "bars.npz"))


def test_only_the_large_products_of_a_distilled_flow_get_8_bits(flow):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = FlowMap(flow, DistillationRecipe(width=128, layers=2)).eval()
    inputs = {"noise": torch.zeros(2, 2), "label": torch.zeros(2, dtype=torch.int64)}
    graph = TorchGraph(PRIOR, network.unrolled(1), inputs, ("latent",), num_classes=2)
    rows = {"noise": Noise(0).normals(0, 500, 2), "label": np.arange(500) % 2}
    contents, errors = all_quantised({PRIOR: onnx_bytes(graph)}, {PRIOR: rows}, {PRIOR: rows}, {PRIOR: 16_384})
    nodes = onnx.load_from_string(contents[PRIOR]).graph.node
    # The one matrix product in 8 bits has two quantisations, of its input and of its output.
    assert len([node for node in nodes if node.op_type == "QuantizeLinear"]) == 2
    assert 0 < errors[PRIOR] < 0.05


def test_what_cannot_be_distilled_is_an_error(tmp_path, bars):
    np.savez(tmp_path / "bars.npz", images=bars(60, (8, 4)))
    train(Recipe(widths=(4,), latent_dim=2, epochs=1), load_bars(tmp_path), tmp_path / "run")
    run = str(tmp_path / "run")
    assert isinstance(CliRunner().invoke(distill_command, [run]).exception, NotFoundError)
    assert CliRunner().invoke(distill_command, [run, "--resume", "--width", "9"]).exit_code == 2
    assert CliRunner().invoke(distill_command, [run, "--width", "0"]).exit_code == 2
    trained = checkpoint.read(tmp_path / "run")
    flow = priors.train_prior(trained, load_bars(tmp_path), FlowRecipe(width=4, blocks=1, steps=2))
    priors.save(flow, tmp_path / "run" / "prior.pt")
    (tmp_path / "run" / "prior-distilling.pt").write_bytes(b"nothing")
    assert isinstance(CliRunner().invoke(distill_command, [run]).exception, OutputError)
    assert isinstance(CliRunner().invoke(distill_command, [run, "--resume"]).exception, InputError)
