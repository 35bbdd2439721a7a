"""A user's encoder and decoder, tried on real images and wrapped as an artifact needs them."""

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..runtime.errors import InputError, ShapeError
from ..runtime.metadata import ImageSpec
from ..runtime.noise import Noise
from ..runtime.pixels import to_tensor
from ..runtime.session import MAX_ROUNDING
from ..runtime.verification import agree

# Maximum number of latent dimensions. Each component of a Gaussian mixture has a full covariance (d, d), which for
# larger d takes too long to fit and too much space.
MAX_LATENT_VALUES = 1024
# The range of the decoder's output is also checked at random latents with this many times the standard deviations of
# the images' latents.
FAR = 10.0
# If clipping changes more than this fraction of values by more than this fraction of the range, the range is wrong.
MAX_CLIPPED_FRACTION = 0.1
MAX_CLIPPED_DISTANCE = 0.25
LATENTS = "latents (n, d) or (n, c, h, w), or a pair of mean and log variance of such a shape"
IMAGES = "images (n, C, H, W)"
FORWARD_ERRORS = (  # errors that modules raise for a tensor that they cannot use
    RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError,
)  # fmt: skip


class EncoderModule(nn.Module):
    """Wraps a user's encoder: flattens latents with more than two axes, such as maps (n, c, h, w), to (n, d).

    Images (n, C, H, W) -> latents (n, d), or for a VAE a pair: mean and log variance of q(z|x), each (n, d).
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images (n, C, H, W) -> latents (n, d), or for a VAE the mean and the log variance, each (n, d)."""
        outputs = tuple(one.flatten(1) if one.ndim > 2 else one for one in _as_tuple(self.module(images)))
        return outputs if len(outputs) > 1 else outputs[0]

    def encode(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> latents (n, d), for a VAE the mean."""
        latents: Tensor = _as_tuple(self(images))[0]
        return latents


class DecoderModule(nn.Module):
    """A user's decoder that takes latents (n, d) and returns images (n, C, H, W).

    latent_shape: the shape of one latent as the user's decoder takes it, without the batch axis. limits: the values of
    black and white if images are clipped to them, or None.
    """

    def __init__(self, module: nn.Module, latent_shape: tuple[int, ...], limits: tuple[float, float] | None) -> None:
        super().__init__()
        self.module = module
        self.latent_shape = latent_shape
        self.limits = limits

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (n, d) -> images (n, C, H, W)."""
        maps = latents if len(self.latent_shape) == 1 else latents.reshape(-1, *self.latent_shape)
        images: Tensor = self.module(maps)
        return images if self.limits is None else images.clamp(*self.limits)


@dataclass(frozen=True)
class ModulePair:
    """A wrapped encoder and decoder.

    latent_dim: number d of latent dimensions. variational: whether the encoder also returns a log variance, as in a
    VAE.
    """

    encoder: EncoderModule
    decoder: DecoderModule
    latent_dim: int
    variational: bool


@contextlib.contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Put modules into evaluation mode for a block, then give each of their parts its former mode."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def check_module(name: str, module: object) -> None:
    """Raise InputError unless `module` is a torch module whose tensors are float32 on the CPU.

    name: "encoder" or "decoder".
    """
    if not isinstance(module, nn.Module):
        remedy = "Write a class derived from torch.nn.Module whose forward calls it."
        raise InputError(name, found=f"a {type(module).__name__}", expected="a torch.nn.Module", remedy=remedy)
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(name, found="a TorchScript module", expected="the module that it was made from")
    for tensor_name, tensor in itertools.chain(module.named_parameters(), module.named_buffers()):
        if tensor.device.type != "cpu":
            found, remedy = f"{tensor_name} on device {tensor.device}", f"Move it first: {name}.cpu()"
            raise InputError(name, found=found, expected="all tensors on the CPU", remedy=remedy)
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            found, remedy = f"{tensor_name} of {tensor.dtype}", f"Convert it first: {name}.float()"
            raise InputError(name, found=found, expected="float32", remedy=remedy)


@torch.no_grad()
def examined(encoder: nn.Module, decoder: nn.Module, images: np.ndarray, image: ImageSpec, clip: bool) -> ModulePair:
    """Try an encoder and a decoder in evaluation mode, and wrap them.

    images: examples, uint8 (n, H, W[, 3]), at least 2. image: shape and pixel range of the modules' image tensors.
    clip: whether the decoder's output is clipped to this range.
    Raises InputError or ShapeError that names the module, what it returned and what was expected.
    """
    outputs = _tried("encoder", encoder, torch.from_numpy(to_tensor(images, image)), LATENTS)
    _check_latents(outputs, len(images))
    latents, shape = outputs[0].flatten(1), tuple(outputs[0].shape[1:])
    unclipped = DecoderModule(decoder, shape, None)
    _check_images(_tried("decoder", unclipped, latents, IMAGES), (len(images), *image.shape))
    _check_range(unclipped, latents, image.range, clip)
    wrapped = DecoderModule(decoder, shape, image.range if clip else None)
    return ModulePair(EncoderModule(encoder), wrapped, latents.shape[1], len(outputs) == 2)


def _tried(name: str, module: nn.Module, tensor: Tensor, expected: str) -> tuple[Tensor, ...]:
    """Call a module, check its outputs, and return them.

    Raises InputError unless the outputs are finite float32 tensors, are the same in each call, and do not depend on the
    other rows of a batch.

    name, expected: name of the module, and what it should return, for error messages.
    """
    outputs = _outputs(name, module, tensor)
    tensors = tuple(one for one in outputs if isinstance(one, Tensor))
    if not outputs or len(tensors) < len(outputs):
        found = f"an output of type {', '.join(type(one).__name__ for one in outputs) or 'empty tuple'}"
        remedy = "Write a class derived from torch.nn.Module whose forward returns the tensors of that output."
        raise InputError(name, found=found, expected=expected, remedy=remedy)
    for one in tensors:
        if one.dtype != torch.float32 or one.ndim == 0 or not torch.isfinite(one).all():
            found = f"an output of {one.dtype}" if one.dtype != torch.float32 else "values that are not finite"
            found = found if one.ndim else "a single number"
            raise InputError(name, found=found, expected="finite float32 values, some for each image")
    if not _same(_outputs(name, module, tensor), tensors):
        found, expected = "other results for the same input in a second call", "the same in each call"
        raise InputError(name, found=found, expected=expected, remedy="Leave random numbers out of forward.")
    if not _same(_outputs(name, module, tensor[:1]), tuple(one[:1] for one in tensors)):
        found, expected = "a result that changes with the other rows of a batch", "the result of each row on its own"
        raise InputError(name, found=found, expected=expected, remedy="Batch norms need running statistics.")
    return tensors


def _outputs(name: str, module: nn.Module, tensor: Tensor) -> tuple[object, ...]:
    """Call a module. Raises InputError if it fails."""
    try:
        return _as_tuple(module(tensor))
    except FORWARD_ERRORS as error:
        found = f"{type(error).__name__}: {error}"
        expected = f"a module that takes float32 {tuple(tensor.shape)}, and any other number of rows"
        raise InputError(name, found=found, expected=expected) from error


def _as_tuple(output: Any) -> tuple[Any, ...]:
    """Convert the output of a module to a tuple: of the items of a tuple or list, or of the output alone."""
    return tuple(output) if type(output) in (tuple, list) else (output,)


def _same(outputs: tuple[object, ...], expected: tuple[Tensor, ...]) -> bool:
    """Whether outputs are tensors with the expected shapes and values, up to rounding of floats."""
    tensors = [one.detach().numpy() for one in outputs if isinstance(one, Tensor)]
    same_number = len(tensors) == len(outputs) == len(expected)
    return same_number and all(agree(a, b.detach().numpy()) for a, b in zip(tensors, expected, strict=True))


def _check_latents(outputs: tuple[Tensor, ...], rows: int) -> None:
    """Raise ShapeError unless an encoder returned latents with `rows` rows, or two such tensors of equal shape."""
    shapes = [tuple(one.shape) for one in outputs]
    found = f"shape {', '.join(map(str, shapes))}"
    if len(outputs) > 2 or len(set(shapes)) > 1 or len(shapes[0]) < 2 or shapes[0][0] != rows:
        raise ShapeError("encoder", found=found, expected=f"{LATENTS}, with n = {rows}")
    values = math.prod(shapes[0][1:])
    if not 1 <= values <= MAX_LATENT_VALUES:
        expected = f"from 1 to {MAX_LATENT_VALUES:,}, because priors need a covariance of them"
        remedy = "Add a linear layer, or more layers that halve the sides, so that latents are smaller."
        raise ShapeError("encoder", found=f"{values:,} latent values an image", expected=expected, remedy=remedy)


def _check_images(outputs: tuple[Tensor, ...], shape: tuple[int, ...]) -> None:
    """Raise ShapeError unless a decoder's only output has the shape (n, C, H, W) of the images."""
    shapes = [tuple(one.shape) for one in outputs]
    if shapes != [shape]:
        found = f"shape {', '.join(map(str, shapes))}"
        remedy = f"Let forward end with .reshape(-1, {', '.join(map(str, shape[1:]))})."
        fits = len(shapes) == 1 and math.prod(shapes[0]) == math.prod(shape)
        raise ShapeError("decoder", found=found, expected=f"{shape}, as the images", remedy=remedy if fits else None)


def _check_range(decoder: nn.Module, latents: Tensor, limits: tuple[float, float], clip: bool) -> None:
    """Raise InputError if a decoder's values leave the pixel range `limits`.

    The decoder is run on `latents`, which are those of images, and on random latents far from them.

    clip: whether values are clipped later. Then an error is raised only if many values for latents of images lie far
    outside, which shows that the pixel range is wrong.
    """
    low, high = limits
    near = decoder(latents)
    noise = torch.from_numpy(Noise(0).normals(0, *latents.shape))
    far = decoder(latents.mean(0) + FAR * latents.std(0) * noise)
    margin = (MAX_CLIPPED_DISTANCE if clip else MAX_ROUNDING) * (high - low)
    outside = [((values < low - margin) | (values > high + margin)).float().mean().item() for values in (near, far)]
    if clip and outside[0] <= MAX_CLIPPED_FRACTION:
        return
    if clip or max(outside) > 0:
        values, where = (near, "images") if outside[0] else (far, f"noise of {FAR:g} standard deviations")
        found = f"values from {values.min().item():.3g} to {values.max().item():.3g} for latents of {where}"
        remedy = "State another pixel_range, end the decoder with an activation, or set clip_output."
        expected = f"values of the pixel range, {low:g} to {high:g}"
        raise InputError("decoder", found=found, expected=expected, remedy=remedy)
