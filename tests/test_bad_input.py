"""A bad argument raises a subclass of a built-in error that says what was found and what was expected."""

from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime.errors import InputError, ShapeError


@pytest.fixture
def grey():
    return aegen.load(Path(__file__).parent / "tiny" / "grey")


def shaped(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.encode(shaped(5, 6)), r"images: found shape \(5, 6\), expected \(6, 5\) or \(n, 6, 5\)"),
        (lambda m: m.encode(shaped(2, 6, 5, 3)), "found shape"),
        (lambda m: m.encode(7), "images"),
        (lambda m: m.encode(shaped(6, 5, dtype=np.int64)), r"found dtype int64, expected uint8, or float in \[0, 1\]"),
        (lambda m: m.encode(shaped(6, 5, dtype=bool)), "found dtype bool"),
        (
            lambda m: m.encode(shaped(6, 5, dtype=float) + 255),
            r"values from 255 to 255, expected values in \[0, 1\]\. Divide",
        ),
        (lambda m: m.encode(np.full((6, 5), np.nan)), r"values that are NaN, expected finite values in \[0, 1\]"),
        (lambda m: m.encode([["a"]]), "found dtype <U1"),
        (lambda m: m.decode(shaped(2, 4, dtype=float)), r"latents: found shape \(2, 4\), expected \(n, 3\) or \(3,\)"),
        (lambda m: m.decode(shaped(1, 2, 3, dtype=float)), "latents: found shape"),
        (lambda m: m.decode([np.inf, 0, 0]), "latents: found values that are not finite, expected finite numbers"),
        (
            lambda m: m.decode([1e300, 0, 0]),
            "latents: found values that are not finite, expected finite numbers of float32",
        ),
        (lambda m: m.decode(["a", "b", "c"]), "latents: found dtype <U1, expected numbers"),
        (lambda m: m.decode([0, 0, 0], dtype="int8"), "dtype: found 'int8', expected float32 or uint8"),
        (lambda m: m.decode([0, 0, 0], dtype="nonsense"), "dtype: found 'nonsense'"),
        (lambda m: m.decode([0, 0, 0], dtype="\ud800"), "dtype: found"),
        (lambda m: m.sample(-1), "n: found -1, expected a whole number from 0 to"),
        (lambda m: m.sample(2.5), "n: found 2.5"),
        (lambda m: m.sample(True), "n: found True"),
        (lambda m: m.sample(1, seed=-1), "seed: found -1, expected a whole number from 0 to 2\\^64 - 1, or None"),
        (lambda m: m.sample(1, seed="0"), "seed: found '0'"),
        (lambda m: m.sample(1, temperature=-0.1), "temperature: found -0.1, expected a number from 0 to 1000"),
        (lambda m: m.sample(1, temperature=float("nan")), "temperature: found nan"),
        (lambda m: m.sample(1, temperature=1e300), r"temperature: found 1e\+300"),
        (lambda m: m.sample(1, temperature="hot"), "temperature: found 'hot'"),
        (lambda m: m.sample(1, prior=""), "prior: found ''"),
        (lambda m: m.sample(1, batch_size=0), "batch_size: found 0, expected at least 1"),
        (lambda m: m.iter_sample(1, batch_size=-3), "batch_size"),
        (lambda m: m.encode(np.zeros(m.image_shape, np.uint8), batch_size=0), "batch_size"),
        (lambda m: m.interpolate(shaped(6, 5), shaped(6, 5), steps=1), "steps: found 1, expected at least 2"),
        (
            lambda m: m.interpolate(shaped(2, 6, 5), shaped(3, 6, 5)),
            "found shapes \\(2, 6, 5\\) and \\(3, 6, 5\\), expected equally many images at each end",
        ),
    ],
)
def test_a_bad_argument_says_found_and_expected(grey, call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(grey)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, aegen.AegenError)


@pytest.mark.parametrize("setting", [{"threads": 0}, {"threads": 257}, {"threads": 1.5}, {"batch_size": 0}])
def test_bad_settings_of_a_model_are_refused(tiny, setting):
    with pytest.raises(InputError, match=next(iter(setting))):
        aegen.load(tiny, **setting)


def test_settings_are_keyword_only(grey):
    with pytest.raises(TypeError):
        grey.sample(4, 0)


def test_errors_are_the_built_ins_that_a_caller_would_catch(grey, tmp_path):
    with pytest.raises(FileNotFoundError):
        aegen.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="shape"):
        grey.encode(shaped(9, 9))
    assert issubclass(ShapeError, InputError)


def test_an_unknown_name_of_the_package_is_an_attribute_error(grey):
    with pytest.raises(AttributeError, match="module 'aegen' has no attribute 'lod'"):
        _ = aegen.lod
    assert {"load", "Autoencoder", "AegenError"} <= set(dir(aegen))
