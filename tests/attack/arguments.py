"""Random calls of aegen's Python API with valid, unusual and invalid arguments."""

import aegen
import array_mutators
import mutators
import numpy as np
import oracle
from PIL import Image

LONG_TEXT = "x" * mutators.LONG
ANY_VALUES = (
    None, True, False, 0, 1, 3, -1, 2.0, 0.5, float("nan"), float("inf"), -0.0, 1j, 2**63, 2**64, 10**400,
    -(10**400), 1e308, "", "3", "kde", LONG_TEXT, "\ud800", b"3", [], [3], [1, 2], (3,), {}, {3}, {"kde"}, object(),
    len, Ellipsis, slice(2), np.int64(2), np.uint8(2), np.float32(1), np.float16("nan"), np.bool_(True),
    np.array(2), np.array(2.0), np.array([1, 2]), np.array(["kde", "gmm"]), np.array([None]),
    np.datetime64("2020-01-01"), np.str_("kde"), np.complex64(1j), range(3), bytearray(b"3"), np.zeros(0),
    np.ma.masked, [[1], [2, 3]], np.array([[3]]), np.array([True]),
)  # fmt: skip
VALID = {
    "n": (0, 1, 3, 5, np.int64(3)),
    "seed": (0, 5, 2**32, 2**64 - 1, np.int64(7)),
    "start": (0, 3, 1000, 2**40, np.int64(5)),
    "prior": ("standard", "diagonal", "gaussian", "gmm", "kde", "flow", None),
    "label": (3, 4, None, [3, 4, 3], np.array([3, 3, 4]), "left", ["left", "right", "left"]),
    "temperature": (0, 1, 0.5, None, np.float32(0.1)),
    "batch_size": (1, 2, 1000, None),
    "dtype": ("float32", "uint8", np.uint8, np.float32, np.dtype("uint8")),
    "steps": (2, 3, 10),
    "method": ("linear", "slerp", "norm-corrected", None),
    "threads": (1, 2, None),
    "dimensions": (None, [0, 1], (2, 0), np.array([1, 2])),
    "extent": (1, 3.0, np.float32(0.5)),
}
INVALID = {
    "dimensions": ([3, 99], [0, 0], [0], [True, 1], [0.0, 1.0], [[0, 1]], {0: 1}, "01", b"01", [2**70, 0], np.array(1)),
    "n": (2**40 + 1, 2**62),
    "dtype": (
        "float64",
        "O",
        "f4,f4",
        ">f4",
        "<U5",
        "nonsense",
        ["f4", "u1"],
        {"names": ["a"], "formats": ["f4"]},
        float,
        object,
    ),
    "prior": (np.array("kde"), ["kde"], ("kde",), b"kde", "KDE"),
    "label": (
        [3] * 3,
        [3, 5, 3],
        [True] * 3,
        [3.0] * 3,
        np.array([3, 4, 3], object),
        [[3, 4], [3]],
        [None] * 3,
        "3",
        np.array(3),
    ),
    "threads": (257, 2**40, 0),
    "seed": (2**64, 2**128),
    "start": (2**62, 2**63, 2**64, -1),
}
MAX_VALUES = {"steps": 100, "threads": 300}  # larger values, which could exhaust memory or time, are replaced by 3


def value(trial, name):
    """Choose a random value for the argument `name` of the Python API; at least 60 % of the values are valid."""
    random = trial.random
    if random.random() < 0.6:
        return random.choice(VALID[name])
    result = random.choice((*ANY_VALUES, *INVALID.get(name, ())))
    if isinstance(result, str | bytes):
        trial.texts.append(str(result))
    limit = MAX_VALUES.get(name)
    return 3 if limit and isinstance(result, int) and result > limit else result


def unusual_images(trial, shape, rows=3):
    """Make images (rows, *shape) with a valid or invalid type, dtype, shape or values, or any other object."""
    random, numbers = trial.random, trial.numbers
    good = numbers.integers(0, 256, (rows, *shape), np.uint8)
    unit = numbers.random((rows, *shape), np.float32)
    float_kinds = (np.float16, np.float64, np.longdouble, np.complex64, bool, np.int64, "S4", "U4")
    matrix = np.asmatrix(unit[0].reshape(len(unit[0]), -1))
    sound = (good, unit, good[0], unit[0], good.tolist(), unit.astype(">f4"), unit[:, ::-1], np.asfortranarray(unit))
    lists = ([good[0], good[0][:2]], [[1], [2, 3]], [[10**400]], [["a"]], [[None]], [good, unit], [unit[0].tolist(), 0])
    things = (
        Image.new("L", (5, 6)),
        memoryview(good),
        "digits.npy",
        iter(good),
        {"images": good},
        good.astype("M8[s]"),
    )
    wrapped = (good.astype(object), np.ma.masked_array(unit, unit > 0.5), matrix)
    sizes = (good[:0], np.empty((0, *shape)), np.float32(0.5), np.zeros((1,) * 40), np.zeros((rows, *shape, 1)))
    choices = (
        lambda: random.choice(sound),
        lambda: random.choice((good, unit)),
        lambda: array_mutators.other_array(random, numbers, random.choice((good, unit))),
        lambda: random.choice(ANY_VALUES),
        lambda: unit + np.float32(random.choice((1e-7, -1e-7, 0.5, -2, 1e38))),
        lambda: random.choice(wrapped),
        lambda: random.choice(lists),
        lambda: random.choice(things),
        lambda: nested(random.choice((3, 40, 70, 200, 2000))),
        lambda: unit.astype(random.choice(float_kinds)),
        lambda: random.choice(sizes),
    )
    with np.errstate(all="ignore"):
        return random.choice(choices)()


def nested(depth):
    """Return a number nested in `depth` lists, such as [[0.5]] for a depth of 2."""
    result = 0.5
    for _ in range(depth):
        result = [result]
    return result


def unusual_latents(trial, latent_dim, rows=3):
    """Make latents (rows, latent_dim) with a valid or invalid type, dtype, shape or values, or another object."""
    return unusual_images(trial, (latent_dim,), rows)


def call(trial, fixtures):
    """Call `aegen.load` or a method of a random model. Arguments are random, some of them unusual or invalid."""
    random = trial.random
    name = random.choice(("grey", "colour", "flow", "flow"))
    CALLS[random.choice(list(CALLS))](trial, fixtures.models[name], fixtures.paths[name])


def _some(trial, *names):
    """Choose some of the named arguments at random, and return a random value for each, by name."""
    return {name: value(trial, name) for name in names if trial.random.random() < 0.4}


def _rows(n):
    """Return the number of rows that a result must have for the argument `n`, or None if `n` is not an integer."""
    return int(n) if isinstance(n, int | np.integer) else None


def _images(options, shape):
    """Return a function that checks that images have this shape and the dtype that the call's `options` ask for."""

    def check(result):
        return oracle.images(shape, np.dtype(options.get("dtype", "float32")))(result)

    return check


def _sample(trial, model, path):
    n, options = (
        value(trial, "n"),
        {"seed": 0, **_some(trial, "seed", "start", "prior", "label", "temperature", "batch_size", "dtype")},
    )
    trial.call(lambda: model.sample(n, **options), _images(options, (_rows(n), *model.image_shape)))


def _iter_sample(trial, model, path):
    n, options = (
        value(trial, "n"),
        {"seed": 0, **_some(trial, "seed", "start", "prior", "label", "temperature", "batch_size", "dtype")},
    )
    trial.call(lambda: list(model.iter_sample(n, **options)))


def _sample_latents(trial, model, path):
    n, options = value(trial, "n"), {"seed": 0, **_some(trial, "seed", "start", "prior", "label", "temperature")}
    trial.call(lambda: model.sample_latents(n, **options), oracle.array((_rows(n), model.latent_dim)))


def _log_prob(trial, model, path):
    latents, options = unusual_latents(trial, model.latent_dim), _some(trial, "prior", "label")
    trial.call(
        lambda: model.log_prob(latents, **options),
        lambda result: None if result.dtype == np.float64 else f"dtype {result.dtype}",
    )


def _encode(trial, model, path):
    images, options = unusual_images(trial, model.image_shape), _some(trial, "batch_size")
    latent_dim = model.latent_dim
    trial.call(
        lambda: model.encode(images, **options),
        lambda result: oracle.array((None, latent_dim) if result.ndim == 2 else (latent_dim,))(result),
    )


def _posterior(trial, model, path):
    images = unusual_images(trial, model.image_shape)
    trial.call(lambda: model.posterior(images))


def _decode(trial, model, path):
    latents, options = unusual_latents(trial, model.latent_dim), _some(trial, "batch_size", "dtype")
    trial.call(lambda: model.decode(latents, **options), _of_any_rows(options, model.image_shape))


def _reconstruct(trial, model, path):
    images, options = unusual_images(trial, model.image_shape), _some(trial, "batch_size", "dtype")
    trial.call(lambda: model.reconstruct(images, **options), _of_any_rows(options, model.image_shape))


def _of_any_rows(options, shape):
    """Return a function like that of `_images`, but for images (..., *shape) with any number of leading axes."""

    def check(result):
        axes = (None,) * (result.ndim - len(shape))
        return _images(options, (*axes, *shape))(result)

    return check


def _interpolate(trial, model, path):
    a, b = (unusual_images(trial, model.image_shape) for _ in range(2))
    if trial.random.random() < 0.6:
        a, b = trial.numbers.random((2, 2, *model.image_shape), np.float32)
    options = _some(trial, "steps", "method", "batch_size", "dtype")
    trial.call(lambda: model.interpolate(a, b, **options), _of_any_rows(options, model.image_shape))


def _morph(trial, model, path):
    ends = trial.numbers.random((4, 2, *model.image_shape), np.float32)
    options = _some(trial, "steps", "method", "batch_size", "dtype")
    last = unusual_images(trial, model.image_shape, 2)
    trial.call(lambda: model.morph(*ends[:3], last, **options), _of_any_rows(options, model.image_shape))


def _traverse(trial, model, path):
    latent = unusual_latents(trial, model.latent_dim)
    options = _some(trial, "dimensions", "steps", "extent", "batch_size", "dtype")
    start = trial.random.choice((None, latent, np.zeros(model.latent_dim)))
    trial.call(lambda: model.traverse(start, **options), _of_any_rows(options, model.image_shape))


def _manifold(trial, model, path):
    options = _some(trial, "dimensions", "steps", "batch_size", "dtype")
    trial.call(lambda: model.manifold(**options), _of_any_rows(options, model.image_shape))


def _activity(trial, model, path):
    options = _some(trial, "dimensions", "batch_size")
    trial.call(lambda: model.activity(**options))


def _latent_walk(trial, model, path):
    n = value(trial, "n")
    n = 3 if isinstance(n, int) and n > 100 and n <= 2**40 else n
    options = {"seed": 0, **_some(trial, "steps", "seed", "start", "label", "temperature", "batch_size", "dtype")}
    trial.call(lambda: model.latent_walk(n, **options), _of_any_rows(options, model.image_shape))


def _load(trial, model, path):
    random = trial.random
    options = _some(trial, "threads", "batch_size")
    texts = ("nowhere", "x" * 300, LONG_TEXT, "a\0b", "~nobody/x", ".", "/dev/null", "\udcff", "\ud800", "mnist\n")
    valid = (path, str(path), f"{path}/", path / "manifest.json", path.parent, path / ".." / path.name)
    source = path if random.random() < 0.3 else random.choice((*valid, *texts, *ANY_VALUES))
    if isinstance(source, str):
        trial.texts.append(source)
    loaded = trial.call(lambda: aegen.load(source, **options))
    if loaded is not None:
        trial.call(lambda: loaded.sample_latents(2, seed=0), oracle.array((2, loaded.latent_dim)))


CALLS = {
    "sample": _sample, "iter_sample": _iter_sample, "sample_latents": _sample_latents, "log_prob": _log_prob,
    "encode": _encode, "posterior": _posterior, "decode": _decode, "reconstruct": _reconstruct,
    "interpolate": _interpolate, "latent_walk": _latent_walk, "load": _load, "morph": _morph, "traverse": _traverse,
    "manifold": _manifold, "activity": _activity,
}  # fmt: skip
