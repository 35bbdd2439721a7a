"""The search finds exactly the nearest latents, and an index is complete, opened safely, or not there at all."""

import json
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.images import writing
from aegen.runtime.errors import InputError, NotFoundError, ShapeError
from aegen.search import Index, write_index

TINY = Path(__file__).parent / "tiny"


def nearest_by_sorting(latents, queries, k):
    """Indices and distances (q, k) of the nearest latents: all distances in float64, sorted; ties by index."""
    differences = latents.astype(np.float64) - queries[:, None].astype(np.float64)
    squared = np.square(differences).sum(2)
    indices = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return indices, np.sqrt(np.take_along_axis(squared, indices, 1))


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def farthest_first(latents):
    return latents[np.argsort(-np.square(latents).sum(1))]


CASES = {
    "normal": (normal(20_000, 32), normal(9, 32, seed=1), 10),
    "one query": (normal(20_000, 32), normal(1, 32, seed=1), 10),
    "more queries than are searched at once": (normal(3000, 4), normal(300, 4, seed=1), 3),
    "k is large": (normal(9000, 4), normal(3, 4, seed=1), 4000),
    "all latents": (normal(5, 3), normal(4, 3, seed=1), 5),
    "a single latent": (normal(1, 3), normal(4, 3, seed=1), 1),
    "one dimension": (normal(9000, 1), normal(20, 1, seed=1), 5),
    "ties": (np.round(normal(9000, 4)), np.round(normal(9, 4, seed=1)), 50),
    "equal latents": (np.ones((9000, 4)), np.zeros((2, 4)), 20),
    "far from zero, where norms cancel": (normal(9000, 32) + 1e6, normal(5, 32, seed=1) + 1e6, 10),
    "queries far from all latents": (normal(9000, 8), normal(5, 8, seed=1) + 1e5, 10),
    "outliers": (np.concatenate([normal(9000, 8), normal(3, 8) * 1e10]), normal(5, 8, seed=1), 10),
    "farthest first": (farthest_first(normal(20_000, 8)), normal(9, 8, seed=1) / 10, 10),
    "squares underflow": (normal(2000, 8) * 1e-30, normal(5, 8, seed=1) * 1e-30, 10),
    "large": (normal(9000, 8) * 1e14, normal(5, 8, seed=1) * 1e14, 10),
}


@pytest.mark.parametrize("case", CASES)
def test_the_nearest_latents_are_those_of_a_sort_in_float64(case):
    latents, queries, k = CASES[case]
    latents, queries = latents.astype(np.float32), queries.astype(np.float32)
    indices, distances = Index(latents).nearest(queries, k)
    wanted_indices, wanted_distances = nearest_by_sorting(latents, queries, k)
    assert np.array_equal(indices, wanted_indices)
    assert np.array_equal(distances, wanted_distances)


def test_a_latent_has_distance_0_to_itself_and_the_first_of_equal_latents_is_found():
    latents = normal(5000, 16).astype(np.float32) + 1000
    latents[4000:4010] = latents[100]
    index = Index(latents)
    indices, distances = index.nearest(latents[:4000:7], k=1)
    assert indices[:, 0].tolist() == [*range(0, 4000, 7)]
    assert not distances.any()
    indices, distances = index.nearest(latents[4005], k=11)
    assert indices.tolist() == [100, *range(4000, 4010)]
    assert distances.tolist() == [0.0] * 11


def test_arguments_that_cannot_be_searched_are_refused():
    index = Index(normal(10, 3))
    for k in (0, -1, 11, 2.0):
        with pytest.raises(InputError, match="k: found"):
            index.nearest(np.zeros(3), k)
    with pytest.raises(ShapeError, match="latents"):
        index.nearest(np.zeros(4))
    for value in (np.nan, np.inf, 1e20):
        with pytest.raises(InputError, match="expected finite"):
            index.nearest(np.full(3, value))
        with pytest.raises(InputError, match="expected finite"):
            Index(np.full((2, 3), value))
    with pytest.raises(ShapeError, match="names"):
        Index(normal(10, 3), names=["a"])


@pytest.fixture
def written(model, images, tmp_path):
    """The folder of an index that holds the twenty images of the fixture `images`, with names."""
    names = [f"ä{i}.png" for i in range(len(images))]
    chunks = [model.encode(images[:7]), model.encode(images[7:])]
    write_index(tmp_path / "index", model, chunks, len(images), images=images, names=names)
    return tmp_path / "index"


def test_a_written_index_gives_what_an_index_in_memory_gives(model, images, written):
    opened, built = Index.open(written, model), Index.build(model, images)
    for k in (1, 20):
        for found, wanted in zip(
            opened.nearest(model.encode(images), k), built.nearest(model.encode(images), k), strict=True
        ):
            assert np.allclose(found, wanted, atol=1e-6)
    assert isinstance(opened.latents, np.memmap)
    assert isinstance(opened.images, np.memmap)
    assert np.array_equal(opened.images, images)
    assert [opened.name(i) for i in range(20)] == [f"ä{i}.png" for i in range(20)]
    assert (len(opened), opened.model_name) == (20, model.name)


def test_an_index_of_another_model_is_refused(written, model):
    other = aegen.load(TINY / ("colour" if len(model.image_shape) == 2 else "grey"))
    with pytest.raises(InputError, match=f"latents of model {model.name}.* expected latents of {other.name}"):
        Index.open(written, other)


def edited(change):
    """Make a function that damages an index: it replaces some keys in the `index.json` of a folder."""

    def edit(folder):
        file = folder / "index.json"
        facts = json.loads(file.read_text())
        change(facts)
        file.write_text(json.dumps(facts))

    return edit


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def removed_mean(facts):
    facts["arrays"] = [array for array in facts["arrays"] if array["name"] != "mean.npy"]


DAMAGES = {
    "latents cut short": (cut("latents.npy"), "latents.npy"),
    "images cut short": (cut("images.npy"), "images.npy"),
    "names cut short": (cut("names.npy"), "names.npy"),
    "no latents": (lambda folder: (folder / "latents.npy").unlink(), "latents.npy"),
    "no array": (lambda folder: (folder / "mean.npy").write_bytes(b"noise"), "mean.npy"),
    "pickled": (lambda folder: np.save(folder / "names.npy", np.array([None] * 20), allow_pickle=True), "names.npy"),
    "other rows": (lambda folder: np.save(folder / "half_norms.npy", np.zeros(19, np.float32)), "half_norms.npy"),
    "no JSON": (lambda folder: (folder / "index.json").write_text("{"), "index.json"),
    "another format": (edited(lambda facts: facts.update(format=2)), "format 2"),
    "no encoder": (edited(lambda facts: facts.pop("encoder_sha256")), "encoder_sha256"),
    "an array missing in the list": (edited(removed_mean), "do not fit"),
    "a path as a name": (edited(lambda facts: facts["arrays"][0].update(name="../x.npy")), "x.npy"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_a_damaged_index_is_refused(written, damage):
    change, named = DAMAGES[damage]
    change(written)
    with pytest.raises(InputError, match=named):
        Index.open(written)


def test_a_folder_without_an_index_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(NotFoundError, match=r"no index\.json.*aegen index"):
            Index.open(path)


KILLED = """
import os, signal, sys
import aegen
import numpy as np
from aegen.search import write_index
model = aegen.load(sys.argv[1])
def chunks():
    yield np.zeros((1, model.latent_dim), np.float32)
    os.kill(os.getpid(), signal.SIGKILL)
write_index("index", model, chunks(), 2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="other systems may need two steps")
@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_a_killed_build_leaves_no_index_and_the_next_one_removes_its_rest(tiny, model, images, tmp_path):
    process = subprocess.run([sys.executable, "-c", KILLED, tiny], cwd=tmp_path, timeout=60, check=False)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "index").exists()
    write_index(tmp_path / "index", model, [model.encode(images)], len(images))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_a_failed_build_leaves_nothing(model, images, tmp_path):
    with pytest.raises(InputError, match=r"latents\.npy: found 20 rows, expected 21"):
        write_index(tmp_path / "index", model, [model.encode(images)], 21)
    assert not [*tmp_path.iterdir()]


def test_memory_does_not_grow_with_the_number_of_latents(tmp_path):
    peaks = []
    for count in (100_000, 800_000):
        index = Index(normal(count, 4).astype(np.float32))
        tracemalloc.start()
        index.nearest(normal(20, 4, seed=1), 10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 800_000 * 20  # in bytes; all distances in float32 would take four times as much


@pytest.fixture
def folder(cli, tiny, tmp_path):
    """A folder with an index, and the names of the model and of twelve image files; queries are the files 3 and 11."""
    assert cli("sample", "-n", 12, "--seed", 0, "--model", tiny, "-o", "photos").returncode == 0
    assert cli("index", "photos", "--model", tiny, "-o", "index").returncode == 0
    return tmp_path


def test_similar_prints_the_nearest_images_with_distances_and_names(cli, tiny, folder):
    arguments = ("similar", "photos/03.png", "photos/11.png", "--model", tiny, "-k", 4)
    found = {}
    assert cli("encode", "photos", "--model", tiny, "-o", "latents.npz").returncode == 0
    for source in ("index", "photos", "latents.npz"):
        found[source] = json.loads(cli(*arguments, "--index", source, "--json").stdout)
        assert found[source].pop("index") == source
    assert found["index"] == found["photos"] == found["latents.npz"]
    latents = np.load(folder / "latents.npz")["latents"]
    indices, distances = nearest_by_sorting(latents, latents[[3, 11]], 4)
    assert found["index"]["count"] == 12
    for i, (name, query) in enumerate(zip(["03.png", "11.png"], found["index"]["queries"], strict=True)):
        assert query["query"] == query["hits"][0]["name"] == name
        assert [hit["index"] for hit in query["hits"]] == indices[i].tolist()
        assert [hit["distance"] for hit in query["hits"]] == pytest.approx(distances[i].tolist(), abs=1e-5)
        assert [hit["name"] for hit in query["hits"]] == [f"{index:02}.png" for index in indices[i]]
    lines = cli(*arguments, "--index", "index").stdout.splitlines()
    assert lines[:2] == ["query 03.png", "rank  index  distance  name"]
    assert lines[2].split() == ["1", "3", "0.000", "03.png"]
    assert lines[3].split() == ["2", str(indices[0, 1]), f"{distances[0, 1]:#.4g}", f"{indices[0, 1]:02}.png"]


def test_a_grid_shows_each_query_and_its_hits_with_distances_and_names(cli, tiny, folder, monkeypatch):
    calls = []
    write = writing.write_images

    def recorded(output, chunks, count, **options):
        images = np.concatenate([*chunks])
        calls.append((options["layout"](images), options["captions"], options["columns"]))
        write(output, [images], count, **options)

    monkeypatch.setattr(writing, "write_images", recorded)
    done = cli("similar", "photos/03.png", "photos/05.png", "--index", "index", "--model", tiny, "-k", 2, "-o", "x.png")
    assert done.returncode == 0
    shown, captions, columns = calls[0]
    stored = np.load(folder / "index" / "images.npy")
    others = [int(captions[position].split("\n")[1].removesuffix(".png")) for position in (2, 5)]
    assert np.array_equal(shown, stored[[3, 3, others[0], 5, 5, others[1]]])
    assert columns == 3
    assert [text.split("\n") for text in captions[:2]] == [["query", "03.png"], ["0.00", "03.png"]]


def test_hits_are_decoded_where_no_images_are_stored(cli, tiny, folder):
    assert cli("index", "photos", "--model", tiny, "--no-images", "-o", "small").returncode == 0
    assert not (folder / "small" / "images.npy").exists()
    done = cli("similar", "photos/03.png", "--index", "small", "--model", tiny, "-k", 1, "-o", "hits.npy")
    assert "decoded from their latents" in done.stderr
    assert cli("reconstruct", "photos/03.png", "--model", tiny, "--dtype", "uint8", "-o", "one.npy").returncode == 0
    assert np.array_equal(np.load(folder / "hits.npy"), np.load(folder / "one.npy"))


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_too_many_hits_and_unsuitable_sources_are_explained(cli, tiny, folder):
    done = cli("similar", "photos/03.png", "--index", "photos[0:3]", "--model", tiny, "-k", 50, "--json")
    assert "only 3 latents" in done.stderr
    assert len(json.loads(done.stdout)["queries"][0]["hits"]) == 3
    np.save(folder / "wrong.npy", np.zeros((4, 7), np.float32))
    for source, text in (("wrong.npy", "or latents (n, 3)"), ("nothing", "no such file"), ("index", "--model")):
        done = cli("similar", "photos/03.png", "--index", source, *(("--model", tiny) if source != "index" else ()))
        assert done.returncode == 1
        assert text in done.stderr
    assert cli("similar", "photos/03.png", "--index", "index", "--model", tiny, "-o", "-").returncode == 2
