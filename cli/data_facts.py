"""What aegen understood of a data set: the facts that `aegen info --data` shows, and its grid of images."""

from typing import TYPE_CHECKING, Any

from .facts import print_facts
from .json_output import print_json
from .messages import done, note, plural

if TYPE_CHECKING:
    import numpy as np

    from ..data.datasets import Dataset
    from ..data.images import LabelledImages

GRID_COLUMNS = 10  # number of images in a row of the grid; if the images have labels, each row is a class
MAX_GRID_ROWS = 40  # maximum number of rows of the grid, and so of classes
MAX_LISTED_CLASSES = 60  # maximum number of classes that are listed one by one; JSON lists all


def show_data(data: str, dataset: "Dataset", output: str | None, *, as_json: bool) -> None:
    """Print the facts of a data set, and write a grid of its images unless `output` is None.

    data: the name or path that the user gave.
    """
    facts = data_facts(data, dataset)
    if output is not None:
        _write_grid(output, dataset)
    if as_json:
        print_json(facts)
        return
    for remark in facts["remarks"]:
        note(remark)
    print_facts(_rows(facts).items())


def data_facts(data: str, dataset: "Dataset") -> dict[str, Any]:
    """The facts of a data set, as `aegen info --data X --json` prints them."""
    images, facts = dataset.train.images, dataset.facts
    return {
        "data": data,
        "name": facts.name,
        "licence": facts.licence,
        "source": facts.source,
        "shape": list(dataset.shape),
        "lowest_level": int(images.min()),
        "highest_level": int(images.max()),
        "training_images": facts.training_images,
        "validation_images": facts.validation_images,
        "test_images": facts.test_images,
        "shuffled": facts.shuffled,
        "classes": _classes(dataset),
        "remarks": list(dataset.remarks),
        "sha256": facts.sha256,
    }


def _classes(dataset: "Dataset") -> list[dict[str, Any]]:
    """For each class its label, its name or None, and the number of its images in each part of the data set."""
    import numpy as np

    parts = {"training_images": dataset.train, "validation_images": dataset.validation, "test_images": dataset.test}
    if not dataset.facts.test_images:
        del parts["test_images"]
    counts = {name: _counts(part) for name, part in parts.items()}
    labels = np.unique(np.concatenate([np.array([*part], np.int64) for part in counts.values()])).tolist()
    names = dataset.class_names
    return [
        {
            "label": label,
            "name": names[label] if 0 <= label < len(names) else None,
            **{name: part.get(label, 0) for name, part in counts.items()},
            **({} if "test_images" in parts else {"test_images": 0}),
        }
        for label in labels
    ]


def _counts(part: "LabelledImages") -> dict[int, int]:
    """The number of images of each label; empty without labels."""
    import numpy as np

    if part.labels is None:
        return {}
    labels, counts = np.unique(part.labels, return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _rows(facts: dict[str, Any]) -> dict[str, str]:
    """The facts to print: a dictionary that maps the name of each fact to its text."""
    from ..runtime.pixels import shape_in_words

    classes = facts["classes"]
    parts = ["training", "validation", *(["test"] if facts["test_images"] else [])]
    counts = [plural(facts[f"{part}_images"], f"{part} image") for part in parts]
    held_out = "" if facts["test_images"] else "; measured on the validation images, as there are no test images"
    listed = [_class_text(entry, parts) for entry in classes[:MAX_LISTED_CLASSES]]
    if len(classes) > MAX_LISTED_CLASSES:
        listed.append(f"and {len(classes) - MAX_LISTED_CLASSES:,} more")
    return {
        "data": facts["data"],
        "name": facts["name"],
        "licence": facts["licence"],
        "images": f"{shape_in_words(facts['shape'])}, levels from {facts['lowest_level']} "
        f"to {facts['highest_level']} of 255",
        "parts": ", ".join(counts) + held_out,
        "classes": "\n".join(listed) or "none",
    }


def _class_text(entry: dict[str, Any], parts: list[str]) -> str:
    """One line on a class: its label, its name, and its numbers of images."""
    name = "" if entry["name"] is None else f" {entry['name']}"
    counts = [f"{entry[f'{part}_images']:,} {part}" for part in parts]
    return f"{entry['label']}{name}: {', '.join(counts)}"


def _write_grid(output: str, dataset: "Dataset") -> None:
    """Write a grid of training images. With labels, each row shows images of one class, with its name."""
    import numpy as np

    from ..images.writing import write_images

    images, labels = dataset.train.images, dataset.train.labels
    if labels is None:
        rows, titles = images[: GRID_COLUMNS * GRID_COLUMNS], []
    else:
        chosen = np.unique(labels)[:MAX_GRID_ROWS].tolist()
        rows = np.concatenate([_first(images[np.flatnonzero(labels == label)[:GRID_COLUMNS]]) for label in chosen])
        names = dataset.class_names
        titles = [names[label] if 0 <= label < len(names) else str(label) for label in chosen]
    write_images(output, [rows], len(rows), columns=GRID_COLUMNS, row_titles=titles)
    done(output, plural(len(rows), "image"))


def _first(images: "np.ndarray") -> "np.ndarray":
    """The first GRID_COLUMNS images of a class, from (n, H, W[, 3]). If there are fewer, white images are added."""
    import numpy as np

    missing = np.full((GRID_COLUMNS - len(images), *images.shape[1:]), 255, np.uint8)
    return np.concatenate([images, missing])
