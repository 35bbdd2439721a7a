"""Fuzzing of the files that users give to aegen: images, arrays, IDX files and data sets.

Each public function with the parameters (trial, fixtures) makes random input, often damaged, and reads it with aegen.
"""

import itertools

import array_mutators
import bases
import command_lines
import image_mutators
import mutators
import numpy as np
import oracle
from aegen.data import datasets
from aegen.images.latents import read_latents
from aegen.images.reading import read_images


def image(trial, fixtures):
    """Write a mutated image file, and read it with aegen."""
    random = trial.random
    name = random.choice(list(fixtures.images))
    file = trial.folder / name
    content = image_mutators.mutated(random, fixtures.images[name], fixtures.bomb[0])
    file.write_bytes(content)
    trial.remember(content)
    read_and_encode(trial, fixtures, str(file), {"s": "grey", "c": "colour"}.get(name[0]))


def read_and_encode(trial, fixtures, source, name=None):
    """Read images as commands do, and encode them with a tiny model if they fit it.

    name: the model that most trials use, "grey" or "colour"; with None, each trial chooses one at random.
    """
    random = trial.random
    name = name if name and random.random() < 0.8 else random.choice(("grey", "colour"))
    model = fixtures.models[name]
    shape, resize = random.choice(
        ((None, False), (model.manifest.image.shape, False), (model.manifest.image.shape, True))
    )
    images = trial.call(lambda: read_images(source, shape=shape, resize=resize).images, oracle.image_set)
    if images is None:
        return
    trial.reached("parsed")
    if shape is not None and images.shape[1:] != model.image_shape:
        trial.add_finding("invalid result", f"images of another shape than requested: {images.shape[1:]}")
    elif shape is not None:
        part = images[:50]
        trial.call(lambda: model.encode(part), oracle.array((len(part), model.latent_dim)))


def array(trial, fixtures):
    """Write images or latents as a `.npy` or `.npz` file, usually with faults, and read it with aegen."""
    random = trial.random
    file = trial.folder / random.choice(("x.npy", "x.npz", "x", "x.png"))
    kind = random.choice(("grey", "grey", "colour", "latents"))
    content = array_bytes(trial, fixtures, kind)
    file.write_bytes(content)
    trial.remember(content)
    source = str(file) + _slice(trial)
    if kind != "latents":
        read_and_encode(trial, fixtures, source, kind)
        return
    latents = trial.call(lambda: read_latents(source).latents)
    if latents is not None:
        trial.reached("parsed")
        model, part = fixtures.models["grey"], latents[:50]
        trial.call(lambda: model.decode(part), oracle.images((len(part), *model.image_shape)))


def _slice(trial):
    """Choose a slice to append to a path, such as `[0:2]`; often the empty string, for no slice."""
    text = trial.random.choice(("", "", "", "[0:2]", "[1]", trial.random.choice(command_lines.SLICES)))
    trial.texts.append(text)
    return text


def array_bytes(trial, fixtures, contents):
    """Make the bytes of an `.npy` or `.npz` file, usually with faults. contents: "grey", "colour" or "latents"."""
    random, numbers, kind = trial.random, trial.numbers, trial.random.randrange(12)
    good = random.choice(
        {
            "grey": (
                lambda: numbers.integers(0, 256, (4, 6, 5), np.uint8),
                lambda: numbers.random((4, 6, 5), np.float32),
            ),
            "colour": (lambda: numbers.integers(0, 256, (3, 4, 6, 3), np.uint8), lambda: numbers.random((3, 4, 6, 3))),
            "latents": (lambda: numbers.standard_normal((5, 3), np.float32), lambda: numbers.standard_normal((3, 3))),
        }[contents]
    )()
    if kind <= 1:
        return bases.save_npy(array_mutators.other_array(random, numbers, good))
    if kind <= 3:
        return array_mutators.header(random, str(good.shape), repr(good.dtype.str)) + good.tobytes()
    if kind == 4:
        return mutators.changed(random, bases.save_npy(good))
    if kind == 5:
        return mutators.truncated(random, bases.save_npy(good))
    if kind == 6:
        return bases.save_npy(good)
    names = ["latents" if contents == "latents" else "images"]
    if random.random() < 0.4:
        names = random.sample(
            ("images", "latents", "latents", "labels", "arr_0", "x_train", "x" * 300), random.choice((1, 1, 2, 3))
        )
    members = array_mutators.Members(dict.fromkeys(names, good))
    for _ in range(random.choice((0, 1, 1, 2))):
        members.mutate(random)
    return members.content(random, random.choice((fixtures.bomb, fixtures.array_bomb)))


def idx(trial, fixtures):
    """Write an IDX file, often with faults and sometimes compressed with gzip, and read it with aegen."""
    file = trial.folder / trial.random.choice(("t-images-idx3-ubyte", "x.gz", "x.idx"))
    file.write_bytes(idx_bytes(trial, fixtures))
    read_and_encode(trial, fixtures, str(file) + _slice(trial), "grey")


def idx_bytes(trial, fixtures):
    """Make the bytes of an IDX file, often with faults and sometimes gzip-compressed."""
    random = trial.random
    shape = random.choice(((4, 6, 5), (4, 6, 5), (4, 6, 5), (2, 28, 28), (9,), (3, 4, 6, 3), (0, 6, 5)))
    good = trial.numbers.integers(0, 256, shape, np.uint8)
    content = bases.idx(good)
    kind = random.randrange(10)
    if kind == 0:
        content = mutators.changed(random, content)
    elif kind == 1:
        content = mutators.truncated(random, content)
    elif kind == 2:
        magic = random.choice((0, 0, 1)), 0, random.choice((8, 9, 11, 13, 14, 0)), random.choice((0, 1, 3, 4, 255))
        content = bases.idx(good, magic=bytes(magic))
    elif kind == 3:
        at = random.randrange(4, 16)
        content = content[:at] + random.choice((b"\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0")) + content[at + 1 :]
    elif kind == 4:
        content += random.choice((b"\0", content))
    return _gzipped(trial, fixtures, content) if random.random() < 0.5 else content


def _gzipped(trial, fixtures, content):
    """Compress bytes with gzip; half of the time, damage the result or replace it with a decompression bomb."""
    random = trial.random
    content, change = bases.gzipped(content), trial.random.randrange(8)
    if change == 0:
        return mutators.changed(random, content)
    if change == 1:
        return mutators.truncated(random, content)
    if change == 2:
        return content + random.choice((content, b"\0" * 10, b"x"))
    if change == 3:
        return array_mutators.gzip_of(*random.choice((fixtures.bomb, *fixtures.idx_bombs)))
    return content


def stdin(trial, fixtures):
    """Give images or latents, usually with faults, to aegen on standard input, which is a pipe or a file."""
    random = trial.random
    kind = random.choice(("grey", "grey", "latents"))
    make = random.choice((lambda *_: array_bytes(trial, fixtures, kind), idx_bytes, _image_bytes))
    content = array_bytes(trial, fixtures, kind) if kind == "latents" else make(trial, fixtures)
    trial.remember(content)
    source = random.choice(("-", "-", "-[0:2]", "/dev/stdin"))
    with command_lines.standard_input(content):
        if kind != "latents":
            read_and_encode(trial, fixtures, source, kind)
        elif trial.call(lambda: read_latents(source).latents) is not None:
            trial.reached("parsed")


def _image_bytes(trial, fixtures):
    """Make the bytes of a mutated image file."""
    return image_mutators.mutated(trial.random, trial.random.choice(list(fixtures.images.values())), fixtures.bomb[0])


def dataset(trial, fixtures):
    """Load a random training data set, often damaged: a folder of images or of IDX files, or a file of arrays."""
    random = trial.random
    folder = trial.folder / "set"
    source = random.choice((_image_folder, _idx_folder, _archive))(trial, fixtures, folder)
    result = trial.call(lambda: datasets.load(str(source)), _split_fault)
    if result is not None:
        trial.reached("parsed")


def _split_fault(dataset):
    """Check dtypes and shapes of the images and labels in every split (training, validation, test) of a data set.

    Images must be uint8 of one size, labels int64 (n,) or None. Returns what is wrong, as text, or None.
    """
    for part in (dataset.train, dataset.validation, dataset.test):
        if (
            part.images.dtype != np.uint8
            or part.images.shape[1:] != dataset.train.images.shape[1:]
            or not len(part.images)
        ):
            return f"{part.images.dtype} {part.images.shape} in a split"
        if part.labels is not None and (part.labels.dtype != np.int64 or part.labels.shape != (len(part.images),)):
            return f"labels {part.labels.dtype} {part.labels.shape} of {len(part.images)} images"
    return None


def _image_folder(trial, fixtures, folder):
    random = trial.random
    folder.mkdir()
    tags = random.choice(("s", "s", "s", "c", "c", "sc"))
    files = {name: content for name, content in fixtures.images.items() if name[0] in tags}
    if random.random() < 0.8:  # usually without rotated images, so that all images have one size
        files = {name: content for name, content in files.items() if "rotated" not in name}
    groups = random.choice((("",), ("0", "1"), ("0", "10", "9"), ("a", "b", ""), ("x" * 250, "名"), ("train", "test")))
    for group, number in itertools.product(groups, range(random.choice((1, 8, 8)))):
        name = random.choice(list(files))
        content = (
            files[name] if random.random() < 0.97 else image_mutators.mutated(random, files[name], fixtures.bomb[0])
        )
        (folder / group).mkdir(exist_ok=True)
        (folder / group / f"{number}{name}").write_bytes(content)
    if random.random() < 0.3:
        (folder / random.choice(("notes.txt", "labels.csv", "Thumbs.db", ".png", "odd.png"))).write_bytes(
            random.randbytes(50)
        )
    if random.random() < 0.1:
        (folder / "gone.png").symlink_to(folder / random.choice(("nowhere", ".")))
    return folder


def _idx_folder(trial, fixtures, folder):
    random = trial.random
    folder.mkdir()
    n = random.choice((0, 12, 12, 12, 30))
    good = trial.numbers.integers(0, 256, (n, 6, 5), np.uint8)
    labels = trial.numbers.integers(0, 3, random.choice((n, n, n, 5)), np.uint8)
    for part, suffix in itertools.product(("train", "t10k"), ("", ".gz")):
        if random.random() < (0.8 if part == "train" else 0.3):
            for what, content in (
                (f"{part}-images-idx3-ubyte", bases.idx(good)),
                (f"{part}-labels-idx1-ubyte", bases.idx(labels)),
            ):
                written = mutators.changed(random, content) if random.random() < 0.1 else content
                (folder / (what + suffix)).write_bytes(bases.gzipped(written) if suffix else written)
    if random.random() < 0.2:
        (folder / "train-images-idx3-ubyte").with_suffix(".d").mkdir()
        (folder / "x-images-idx3-ubyte").write_bytes(idx_bytes(trial, fixtures))
    return folder


def _archive(trial, fixtures, folder):
    random = trial.random
    file = folder.with_suffix(random.choice((".npz", ".npz", ".npz", ".npy", ".csv", ".zip", "")))
    n = random.choice((3, 12, 30, 30))
    good = trial.numbers.integers(0, 256, random.choice(((n, 6, 5), (n, 4, 6, 3), (n, 30), (n, 36))), np.uint8)
    arrays = {random.choice(("images", "x_train", "train_images", "arr_0")): good}
    if random.random() < 0.7:
        labels = trial.numbers.integers(0, 3, random.choice(((n,), (n,), (n, 1), (n, 3), (n + 1,))))
        arrays[random.choice(("labels", "y_train", "train_labels"))] = labels
    name = random.choice(list(arrays))
    if random.random() < 0.4:
        arrays[name] = array_mutators.other_array(random, trial.numbers, arrays[name])
    if file.suffix == ".npy":
        content = bases.save_npy(good) if random.random() < 0.3 else array_bytes(trial, fixtures, "grey")
    else:
        members = array_mutators.Members(arrays)
        if random.random() < 0.5:
            members.mutate(random)
        content = members.content(random, random.choice((fixtures.bomb, fixtures.array_bomb)))
    file.write_bytes(content)
    return file
