"""`aegen similar`: find the images whose latents are nearest to those of other images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .data_sets import input_options
from .grid_texts import grid_facts, legible_texts
from .json_output import print_json
from .messages import done, note, parts, plural, with_progress
from .options import is_grid, json_option, model_options, strip_options, wants_arrays

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.autoencoder import Autoencoder
    from ..search import Index
    from .data_sets import ModelInputs

MAX_NAME_WIDTH = 50  # maximum length of a file name in the table, so that lines fit 80 columns
QUERY_PART = 256  # number of queries between two updates of the progress bar


@click.command
@click.argument("queries", metavar="QUERY...", nargs=-1, required=True)
@click.option(
    "--index",
    "source",
    required=True,
    metavar="INDEX",
    help="Where to search: a folder that `aegen index` wrote, or latents (.npy, .npz), or images.",
)
@click.option("-k", "count", type=click.IntRange(1), default=10, show_default=True, help="Hits for each query.")
@strip_options(without="default: no images are written")
@model_options
@input_options
@json_option
def command(
    queries: tuple[str, ...],
    source: str,
    count: int,
    output: str | None,
    scale: int | None,
    model: str | None,
    threads: int | None,
    inputs: "ModelInputs",
    as_json: bool,
) -> None:
    """Find the images whose latents are nearest to those of other images.

    Prints the hits of each QUERY, an image argument, by Euclidean distance of latents, the nearest first. The search is
    exact. With -o, a grid shows each query and its hits in a row, with their distances and file names; other outputs
    hold the images of all hits. Where there are only latents, hits are decoded from them. Without --model, the model is
    that of the index if it ships with aegen.

    --json prints {"index", "model", "count", "queries"}: the number of latents in the index, and for each query
    {"query", "hits"}: the query's file name or null, and a list of {"index", "distance", "name"}, where "name" is a
    file name or null.

    \b
    aegen similar 't10k-images-idx3-ubyte.gz[0:4]' --index index -o similar.png
    aegen similar photo.png --index photos/ --resize -k 3
    """
    from ..runtime.autoencoder import load
    from ..search import Index
    from ..search.index import is_index

    if output == "-":
        raise click.UsageError("-o - would write images where the hits are printed. Write them to a file.")
    arrays = output is not None and wants_arrays(output)
    loaded = load(model or _model_of_index(source), threads=threads)
    opened = Index.open(source, loaded) if is_index(source) else None
    query_set = inputs.read(loaded, *queries)
    index = opened or _index_of(source, loaded, inputs)
    if count > len(index):
        note(f"{source} has only {plural(len(index), 'latent')}, so each query has as many hits.")
    hits = _search(loaded, index, query_set.images, query_set.names, min(count, len(index)))
    if as_json:
        _print_json(source, loaded, hits)
    else:
        _print_table(hits)
    if output is not None:
        names = [index.name(i) for i in hits.indices.ravel()] if arrays and index.has_names else ()
        _write(output, loaded, hits, scale=scale, names=names)


@dataclass(frozen=True)
class _Hits:
    """What was found in an index.

    queries: the query images (q, H, W[, 3]). names: their file names, or empty. indices: int64 (q, k), distances:
    float64 (q, k), the nearest first.
    """

    index: "Index"
    queries: "np.ndarray"
    names: tuple[str, ...]
    indices: "np.ndarray"
    distances: "np.ndarray"


def _model_of_index(source: str) -> str | None:
    """The name of the model of an index if it ships with aegen; None for other models, and for images and latents."""
    from ..runtime.artifact import shipped
    from ..search.index import is_index, read_index_facts

    name = read_index_facts(Path(source)).model if is_index(source) else ""
    return name if name in shipped() else None


def _index_of(source: str, model: "Autoencoder", inputs: "ModelInputs") -> "Index":
    """Make an index in memory of the latents or images that `source` names."""
    import numpy as np

    from ..files.paths import is_folder, split_slice
    from ..images.latents import read_latents
    from ..runtime.errors import InputError, ShapeError
    from ..search import Index

    is_array = False
    if source != "-" and not is_folder(split_slice(source)[0]):
        try:
            latent_set = read_latents(source, model.latent_dim)
            return Index(latent_set.latents, names=latent_set.names, model=model)
        except InputError as error:  # the file holds no latents, but perhaps images
            is_array = isinstance(error, ShapeError)
    try:
        image_set = inputs.read(model, source)
    except ShapeError as error:
        raise ShapeError(f"{error}, or latents (n, {model.latent_dim})" if is_array else str(error)) from error
    images = image_set.images
    chunks = with_progress((model.encode(part) for part in parts(images)), len(images), "Encoding")
    return Index(np.concatenate([*chunks]), images=images, names=image_set.names, model=model)


def _search(model: "Autoencoder", index: "Index", queries: "np.ndarray", names: tuple[str, ...], k: int) -> _Hits:
    """Find the k nearest latents of each query image (q, H, W[, 3])."""
    import numpy as np

    def found() -> "Iterator[np.ndarray]":
        """Yield indices and distances for parts of the queries, as float64 (m, 2, k)."""
        for start in range(0, len(queries), QUERY_PART):
            yield np.stack(index.nearest(model.encode(queries[start : start + QUERY_PART]), k), 1)

    both = np.concatenate([*with_progress(found(), len(queries), "Searching")])
    return _Hits(index, queries, names, both[:, 0].astype(np.int64), both[:, 1])


def _print_table(hits: _Hits) -> None:
    """Print rank, index, distance and file name of each hit, below the name of its query."""
    from ..runtime.errors import shortened

    width = max(len("index"), len(str(len(hits.index) - 1)))
    for number, (indices, distances) in enumerate(zip(hits.indices, hits.distances, strict=True)):
        title = shortened(hits.names[number], MAX_NAME_WIDTH) if hits.names else str(number)
        if number:
            click.echo()
        click.echo(f"query {title}")
        click.echo(f"rank  {'index':>{width}}  distance{'  name' if hits.index.has_names else ''}")
        for rank, (index, distance) in enumerate(zip(indices, distances, strict=True), 1):
            name = shortened(hits.index.name(index), MAX_NAME_WIDTH)
            click.echo(f"{rank:>4}  {index:>{width}}  {distance:>#8.4g}  {name}".rstrip())


def _print_json(source: str, model: "Autoencoder", hits: _Hits) -> None:
    queries: list[dict[str, Any]] = []
    for number, (indices, distances) in enumerate(zip(hits.indices.tolist(), hits.distances.tolist(), strict=True)):
        pairs = zip(indices, distances, strict=True)
        found = [{"index": i, "distance": distance, "name": hits.index.name(i) or None} for i, distance in pairs]
        queries.append({"query": hits.names[number] if hits.names else None, "hits": found})
    content = {"index": source, "model": model.name, "count": len(hits.index), "queries": queries}
    print_json(content)


def _write(output: str, model: "Autoencoder", hits: _Hits, *, scale: int | None, names: Sequence[str]) -> None:
    """Write the images of all hits. A grid also shows the queries, each at the start of its row."""
    import numpy as np

    from ..images.writing import write_images
    from ..runtime.pixels import grey_levels, unit_pixels

    count, k = hits.indices.shape

    def found() -> "Iterator[np.ndarray]":
        """Yield the images of the hits, k for each query: stored ones, or decoded ones, uint8 (m, H, W[, 3])."""
        for start in range(0, count, QUERY_PART):
            indices = hits.indices[start : start + QUERY_PART].ravel()
            stored = hits.index.images
            yield model.decode(hits.index.latents[indices], dtype="uint8") if stored is None else stored[indices]

    def with_queries(images: "np.ndarray") -> "np.ndarray":
        """Put each query in front of its hits: (q k, H, W[, 3]) -> (q (1 + k), H, W[, 3])."""
        rows = images.reshape(count, k, *images.shape[1:])
        queries = grey_levels(unit_pixels(hits.queries))[:, None]
        return np.concatenate([queries, rows], 1).reshape(-1, *images.shape[1:])

    grid = is_grid(output)
    write_images(
        output,
        with_progress(found(), count * k),
        count * k,
        columns=1 + k,
        scale=scale,
        layout=with_queries,
        names=names,
        captions=_captions(hits) if grid else None,
        facts=grid_facts(model, distance="Euclidean, of latents") if grid else None,
    )
    decoded = ", decoded from their latents" if hits.index.images is None else ""
    done(output, f"{plural(count * k, 'hit')}{decoded}")


def _captions(hits: _Hits) -> list[str]:
    """The texts below each query and each of its hits: the query's file name, and distances with file names."""
    numbers = [str(i) for i in hits.indices.ravel()]
    shown = iter(legible_texts([hits.index.name(i) for i in hits.indices.ravel()], numbers))
    titles = legible_texts(hits.names or [""] * len(hits.queries), [str(i) for i in range(len(hits.queries))])
    second_line = hits.index.has_names or bool(hits.names)
    captions = []
    for title, distances in zip(titles, hits.distances, strict=True):
        lines = [("query", title), *((f"{distance:#.3g}", next(shown)) for distance in distances)]
        captions += ["\n".join(pair) if second_line else pair[0] for pair in lines]
    return captions
