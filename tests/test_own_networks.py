"""Networks that another program trained become artifacts, and networks that cannot are refused with a remedy."""

import json

import aegen
import numpy as np
import pytest
import torch
from aegen.data import stored_images
from aegen.data.datasets import from_arrays, load
from aegen.data.stored_images import StoredImages
from aegen.export import ExportOptions, export_modules
from aegen.runtime.errors import InputError, OutputError, ParityError, ShapeError
from torch import nn

SHAPE = (1, 8, 6)
FEW = ExportOptions(components=1)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def images(bars):
    return bars(60, SHAPE[1:])


def conv_encoder(channels=1, latents=3):
    """Images (n, C, 8, 6) -> latents (n, 3), with a batch norm that has seen no image."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(48, latents)
    )


def conv_decoder(channels=1, last=nn.Sigmoid):
    """Latents (n, 3) -> images (n, C, 8, 6) by transposed convolutions, which no network of aegen has."""
    layers = [nn.Linear(3, 48), nn.Unflatten(1, (4, 4, 3)), nn.ConvTranspose2d(4, channels, 4, 2, 1)]
    return nn.Sequential(*layers, last())


class Function(nn.Module):
    """A module that calls a function with its input, and with the output of another module if there is one."""

    def __init__(self, function, module=None):
        super().__init__()
        self.function, self.module = function, module or nn.Identity()

    def forward(self, tensor):
        return self.function(self.module(tensor))


class Gaussian(nn.Module):
    """The encoder of a VAE, whose latents are maps: images (n, 3, 8, 6) -> mean and log variance, each (n, 1, 4, 3)."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 3, 2, 1)

    def forward(self, tensor):
        mean, logvar = self.convolution(tensor).chunk(2, 1)
        return [mean, logvar]


def torch_images(decoder, latents):
    with torch.inference_mode():
        return decoder.eval()(torch.from_numpy(latents)).numpy()


def test_a_hand_written_pair_with_labels_becomes_a_complete_artifact(images, tmp_path, cli):
    encoder, decoder = conv_encoder(), conv_decoder()
    encoder[1].eval()
    manifest = export_modules(
        encoder,
        decoder,
        images,
        tmp_path / "pair",
        labels=["dark" if i % 3 else "light" for i in range(60)],
        data_name="bars",
        recipe={"library": "mine | yours", "epochs": 3, "widths": (4, 8)},
        options=ExportOptions(components=1, licence="CC0", name="mine"),
    )
    assert (encoder.training, encoder[0].training, encoder[1].training, decoder.training) == (True, True, False, True)
    assert (manifest.kind, manifest.class_names, manifest.commands) == ("ae", ("dark", "light"), ())
    assert not manifest.is_trained_by_aegen
    assert manifest.recipe == {"library": "mine | yours", "epochs": 3, "widths": [4, 8]}
    assert manifest.quality["mean_image_mse"] > 0
    assert "validation_loss" not in manifest.quality

    model = aegen.load(tmp_path / "pair")
    latents = model.encode(images)
    with torch.inference_mode():
        expected = encoder.eval()(torch.from_numpy(images)[:, None] / 255).numpy()
    assert np.allclose(latents, expected, rtol=1e-4, atol=1e-5)
    assert np.allclose(model.decode(latents), torch_images(decoder, latents)[:, 0], rtol=1e-4, atol=1e-5)
    assert np.array_equal(model.sample(9, seed=3, label="light")[:4], model.sample(4, seed=3, label="light"))

    card = (tmp_path / "pair" / "README.md").read_text()
    assert "exported with images of bars" in card
    assert "| library | mine \\| yours |\n| epochs | 3 |\n| widths | 4, 8 |" in card
    assert "Another program than aegen trained the networks." in card
    for command in (["verify", "./pair"], ["sample", "--model", "./pair", "-n", 4, "-o", "grid.png"]):
        done = cli(*command)
        assert done.returncode == 0, done.stderr
    assert "another program than aegen" in cli("info", "./pair").stdout
    assert json.loads(cli("verify", "./pair", "--json").stdout)["passed"]


def test_a_vae_of_colour_images_with_maps_as_latents_keeps_mean_and_log_variance(bars, tmp_path):
    encoder = Gaussian()
    decoder = nn.Sequential(nn.ConvTranspose2d(1, 3, 4, 2, 1))
    dataset = from_arrays(bars(60, (8, 6, 3)), name="bars")
    options = ExportOptions(components=1, precision="fp16")
    manifest = export_modules(
        encoder, decoder, dataset, tmp_path / "vae", pixel_range=(-1, 1), clip_output=True, options=options
    )
    assert (manifest.kind, manifest.latent_dim, manifest.labels) == ("vae", 12, ())
    assert manifest.image.range == (-1.0, 1.0)
    model = aegen.load(tmp_path / "vae")
    assert model.verify().passed
    batch = dataset.test.images
    with torch.inference_mode():
        tensor = torch.from_numpy(batch).permute(0, 3, 1, 2) / 127.5 - 1
        mean, logvar = (one.flatten(1).numpy() for one in encoder(tensor))
    assert np.allclose(model.posterior(batch)[0], mean, rtol=1e-3, atol=1e-3)
    assert np.allclose(model.posterior(batch)[1], logvar, rtol=1e-3, atol=1e-3)
    samples = model.sample(50, seed=0, temperature=30)
    assert samples.min() == 0
    assert samples.max() == 1


class Hidden(nn.Module):
    """A decoder whose output is different while it is exported, so that parity fails."""

    def __init__(self):
        super().__init__()
        self.decoder = conv_decoder()

    def forward(self, latents):
        images = self.decoder(latents)
        return images * 0.5 if torch.compiler.is_exporting() else images


def test_a_network_that_is_exported_differently_fails_the_parity_check(images, tmp_path):
    with pytest.raises(ParityError, match=r"decoder\.onnx at batch 1: found a difference of"):
        export_modules(conv_encoder(), Hidden(), images, tmp_path / "pair", options=FEW)
    assert not list(tmp_path.iterdir())


def choose(tensor):
    return tensor if tensor.sum() > 0 else 2 * tensor


def spectrum(tensor):
    return torch.fft.fft(tensor).real


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (choose, r"encoder\.onnx: found an `if` or a loop that depends on the values of a tensor, .* torch\.where"),
        (spectrum, r"encoder\.onnx as torch exports it: found operators DFT, expected"),
    ],
)
def test_what_onnx_or_the_runtime_cannot_express_is_named(images, tmp_path, function, message):
    with pytest.raises(InputError, match=message):
        export_modules(Function(function, conv_encoder()), conv_decoder(), images, tmp_path / "pair")
    assert not list(tmp_path.iterdir())


def with_noise(latents):
    return latents + torch.randn_like(latents)


def of_the_batch(latents):
    return latents - latents.mean(0)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda images: images, "encoder: found a function, expected a torch.nn.Module. Write a class"),
        (conv_encoder().half(), "encoder: found 0.weight of torch.float16, expected float32. .* encoder.float()"),
        (conv_encoder().to("meta"), "encoder: found 0.weight on device meta, expected all tensors on the CPU. Move"),
        (torch.jit.trace(nn.ReLU(), torch.zeros(1)), "encoder: found a TorchScript module"),
        (conv_encoder(channels=3), "encoder: found RuntimeError: .*expected a module that takes float32 .14, 1, 8, 6"),
        (
            Function(lambda x: {"latent": x}),
            "encoder: found an output of type dict, expected latents .* forward",
        ),
        (Function(with_noise, conv_encoder()), "encoder: found other results for the same input in a second call"),
        (Function(of_the_batch, conv_encoder()), "encoder: found a result that changes with the other rows"),
        (Function(lambda x: x / 0, conv_encoder()), "encoder: found values that are not finite"),
        (Function(lambda x: x.double(), conv_encoder()), "encoder: found an output of torch.float64"),
        (Function(lambda x: x[:, 0], conv_encoder()), r"encoder: found shape \(14,\), expected latents \(n, d\)"),
        (Function(lambda x: (x, x[:, :2]), conv_encoder()), r"encoder: found shape \(14, 3\), \(14, 2\), expected"),
        (Function(lambda x: x.repeat(1, 400), conv_encoder()), "encoder: found 1,200 latent values an image"),
        (Function(lambda x: ()), "encoder: found an output of type empty tuple"),
        (Function(lambda x: x.sum()), "encoder: found a single number"),
        (Function(lambda x: (x, x), conv_encoder()), "encoder of kind ae: found mean and log variance"),
    ],
    ids=range(16),
)
def test_an_encoder_that_cannot_be_used_is_refused(images, tmp_path, encoder, message):
    with pytest.raises(InputError, match=message):
        export_modules(encoder, conv_decoder(), images, tmp_path / "pair", kind="ae")


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (conv_decoder(channels=3), r"decoder: found shape \(14, 3, 8, 6\), expected \(14, 1, 8, 6\), as the images$"),
        (
            Function(lambda x: x.flatten(1), conv_decoder()),
            r"decoder: found shape \(14, 48\), .* forward end with .reshape\(-1, 1, 8, 6\)",
        ),
        (conv_decoder(last=nn.Tanh), "decoder: found values from -.* of the pixel range, 0 to 1. State another"),
        (conv_decoder(last=nn.Identity), "decoder: found values from .* set clip_output"),
        (nn.Linear(5, 48), "decoder: found RuntimeError"),
    ],
    ids=range(5),
)
def test_a_decoder_that_cannot_be_used_is_refused(images, tmp_path, decoder, message):
    with pytest.raises(InputError, match=message):
        export_modules(conv_encoder(), decoder, images, tmp_path / "pair")


def test_a_wrong_pixel_range_is_not_hidden_by_clipping(images, tmp_path):
    decoder = Function(lambda x: x - 1, conv_decoder())
    with pytest.raises(InputError, match="decoder: found values from -.* for latents of images"):
        export_modules(conv_encoder(), decoder, images, tmp_path / "pair", clip_output=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"pixel_range": (1, 0)}, r"pixel_range: found \(1, 0\), expected two numbers"),
        ({"pixel_range": 255}, "pixel_range: found 255, expected two numbers"),
        ({"kind": "gan"}, "kind: found 'gan', expected one of ae, dae, vae"),
        ({"kind": "vae"}, "encoder of kind vae: found one tensor"),
        ({"labels": [0, 1]}, "labels: found 2 labels, expected 60"),
        ({"class_names": ["a"]}, "class_names: found no labels"),
        ({"labels": np.arange(60) % 3, "class_names": ["a", "b"]}, "class_names: found 2 names, .* from 0 to 2"),
        ({"recipe": {"model": nn.ReLU()}}, "recipe: found Object of type ReLU is not JSON serializable"),
        ({"options": ExportOptions(precision="int8")}, "precision int8: found a network that aegen did not train"),
        ({"options": ExportOptions(prior="flow")}, "prior: found 'flow', expected one of standard"),
    ],
    ids=range(10),
)
def test_arguments_that_cannot_be_used_are_refused(images, tmp_path, changed, message):
    with pytest.raises(InputError, match=message):
        export_modules(conv_encoder(), conv_decoder(), images, tmp_path / "pair", **changed)


def test_images_that_cannot_be_used_are_refused(images, tmp_path):
    pair = conv_encoder(), conv_decoder()
    with pytest.raises(InputError, match="labels beside a data set"):
        export_modules(*pair, from_arrays(images), tmp_path / "pair", labels=np.zeros(60, int))
    with pytest.raises(InputError, match="images"):
        export_modules(*pair, images[:3], tmp_path / "pair")
    with pytest.raises(ShapeError):
        export_modules(*pair, images[0, 0], tmp_path / "pair")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError):
        export_modules(*pair, images, tmp_path / "file", options=FEW)


def test_arrays_are_split_as_a_file_of_them_is(images, tmp_path):
    np.savez(tmp_path / "bars.npz", images=images, labels=np.arange(60) % 2)
    from_file, given = aegen_load(tmp_path / "bars.npz"), from_arrays(images, np.arange(60) % 2, ["a", "b"], "bars.npz")
    assert given.facts == from_file.facts
    assert np.array_equal(given.validation.images, from_file.validation.images)
    assert np.array_equal(given.train.labels, from_file.train.labels)
    assert given.class_names == ("a", "b")


def aegen_load(path):
    from aegen.data.datasets import load

    return load(str(path))


def test_training_images_that_stay_in_their_file_give_the_same_artifact(images, tmp_path, monkeypatch):
    np.save(tmp_path / "images.npy", images)
    for folder, limit in (("copied", stored_images.MAX_COPIED_BYTES), ("kept", 1000)):
        torch.manual_seed(0)
        monkeypatch.setattr(stored_images, "MAX_COPIED_BYTES", limit)
        dataset = load(str(tmp_path / "images.npy"))
        assert isinstance(dataset.train.images, StoredImages) == (folder == "kept")
        options = ExportOptions(components=1, name="same")
        export_modules(conv_encoder(), conv_decoder(), dataset, tmp_path / folder, options=options)
    for file in (tmp_path / "copied").iterdir():
        assert file.read_bytes() == (tmp_path / "kept" / file.name).read_bytes(), file.name
