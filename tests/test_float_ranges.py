"""Float images that exceed [0, 1] by a rounding error are clipped; for other ranges, an error says how to convert."""

from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime.errors import InputError

MODEL = aegen.load(Path(__file__).parent / "tiny" / "grey")
SHAPE = MODEL.image_shape


def ramp(low: float, high: float, dtype=np.float32) -> np.ndarray:
    return np.linspace(low, high, SHAPE[0] * SHAPE[1]).reshape(SHAPE).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("outside", [1e-7, 1e-4, 9e-4])
def test_a_rounding_error_is_clipped(dtype, outside):
    images = ramp(-outside, 1 + outside, dtype)
    original = images.copy()
    assert np.array_equal(MODEL.encode(images), MODEL.encode(np.clip(images, 0, 1)))
    assert np.array_equal(images, original)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 1.00125, r"values from 0 to 1\.00125\d*, expected values in \[0, 1\]"),
        (-0.0015, 1, r"values from -0\.0015\d* to 1, "),
        (-1, 1, r"values from -1 to 1, .*\(images \+ 1\) / 2"),
        (-1.0005, 1.0005, r"\(images \+ 1\) / 2"),
        (-0.5, 0.5, r"images \+ 0\.5"),
        (0, 255, r"images / 255.*uint8"),
        (0, 65535, r"images / 65535"),
        (-0.4242, 2.8215, r"values from -0\.424\d* to 2\.821\d*, .*images \* std \+ mean"),
    ],
)
def test_the_message_for_each_range_has_its_own_formula(low, high, message):
    with pytest.raises(InputError, match=message):
        MODEL.encode(ramp(low, high))


def test_each_formula_gives_images_that_are_accepted():
    for low, high, repaired in (
        (-1, 1, lambda images: (images + 1) / 2),
        (-0.5, 0.5, lambda images: images + 0.5),
        (0, 255, lambda images: images / 255),
        (0, 65535, lambda images: images / 65535),
    ):
        images = ramp(low, high)
        with pytest.raises(InputError):
            MODEL.encode(images)
        assert np.isfinite(MODEL.encode(repaired(images))).all()


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "values that are NaN"), (np.inf, "infinite values"), (-np.inf, "infinite")]
)
def test_values_that_are_not_finite_are_named(value, message):
    images = ramp(0, 1)
    images[0, 0] = value
    with pytest.raises(InputError, match=f"found {message}.*expected finite values"):
        MODEL.encode(images)


@pytest.mark.parametrize(
    "images", [[[1], [2, 3]], [[1, [2]], [3]], np.array([[1], [2, 3]], object), [10**400], [[None]]]
)
def test_input_that_is_no_array_of_numbers_is_refused(images):
    with pytest.raises(InputError, match="images: found") as caught:
        MODEL.encode(images)
    assert len(str(caught.value)) < 400
