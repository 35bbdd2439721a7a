"""Results of a model have the right shapes, dtypes and ranges, and threads and processes can share a model."""

import copy
import gc
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.runtime import session
from aegen.runtime.errors import InputError


def test_decoded_images_have_the_shape_of_the_input_and_floats_from_0_to_1(model, images):
    latents = model.encode(images)
    assert latents.shape == (20, model.latent_dim)
    assert latents.dtype == np.float32
    again = model.decode(latents)
    assert again.shape == images.shape
    assert again.dtype == np.float32
    assert again.min() >= 0
    assert again.max() <= 1
    levels = model.decode(latents, dtype="uint8")
    assert levels.dtype == np.uint8
    assert np.array_equal(levels, np.rint(again * 255))


def test_one_image_in_one_out(model, images):
    latent = model.encode(images[0])
    assert latent.shape == (model.latent_dim,)
    assert model.decode(latent).shape == model.image_shape
    assert model.reconstruct(images[0]).shape == model.image_shape
    assert np.allclose(model.reconstruct(images[0]), model.reconstruct(images)[0], atol=1e-5)


def test_grey_levels_and_floats_are_the_same_images(model, images):
    assert np.allclose(model.encode(images), model.encode(images / 255), atol=1e-5)
    assert np.allclose(model.encode(images), model.encode((images / 255).astype(np.float32)), atol=1e-5)


def test_every_image_stays_within_its_range_and_can_be_read_again(model):
    images = model.sample(20_000, seed=0, temperature=3)
    assert images.min() >= 0
    assert images.max() <= 1
    assert model.encode(images).shape == (20_000, model.latent_dim)


def test_a_dropped_model_frees_its_sessions_at_once(tiny, monkeypatch):
    sessions, open_session = [], session.open_session

    def recording(content, where):
        opened = open_session(content, where)
        sessions.append(weakref.ref(opened))
        return opened

    monkeypatch.setattr(session, "open_session", recording)
    gc.disable()
    try:
        model = aegen.load(tiny, threads=1)
        model.sample(1)
        assert [opened() is not None for opened in sessions] == [True]
        del model
        assert [opened() for opened in sessions] == [None]
    finally:
        gc.enable()


def test_a_relative_path_survives_pickling_and_a_change_of_folder(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.parent)
    content = pickle.dumps(aegen.load(f"./{tiny.name}"))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(content).name == tiny.name


def test_a_path_is_never_taken_for_a_shipped_name(tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny, tmp_path / "mnist-ae")
    monkeypatch.chdir(tmp_path)
    assert aegen.load(Path("mnist-ae")).name == aegen.load("./mnist-ae").name == tiny.name
    assert aegen.load("mnist-ae").name == "mnist-ae"


def test_no_images_give_no_latents(model):
    assert model.encode(np.empty((0, *model.image_shape), np.uint8)).shape == (0, model.latent_dim)
    assert model.sample(0).shape == (0, *model.image_shape)
    assert list(model.iter_sample(0)) == []


def test_a_view_of_any_layout_is_read_right(model, images):
    expected = model.encode(images[::2])
    assert np.allclose(model.encode(np.asfortranarray(images[::2])), expected, atol=1e-6)
    assert np.allclose(model.encode(images)[::2], expected, atol=1e-5)


def test_the_path_ends_at_the_reconstructions(model, images):
    strip = model.interpolate(images[0], images[1], steps=7)
    assert strip.shape == (7, *model.image_shape)
    assert np.allclose(strip[[0, -1]], model.reconstruct(images[:2]), atol=1e-5)
    many = model.interpolate(images[:3], images[3:6], steps=4)
    assert many.shape == (3, 4, *model.image_shape)
    middle = (model.encode(images[0]) + model.encode(images[1])) / 2
    assert np.allclose(strip[3], model.decode(middle), atol=1e-5)


def test_batches_give_what_one_call_gives(model, images):
    assert np.allclose(model.encode(images, batch_size=3), model.encode(images), atol=1e-5)


def test_sampling_never_opens_the_encoder(model, monkeypatch):
    opened = []
    real = session.open_session
    monkeypatch.setattr(session, "open_session", lambda content, where: opened.append(where) or real(content, where))
    model.sample(3)
    assert [Path(where).name for where in opened] == ["decoder.onnx"]
    model.sample(3)
    assert len(opened) == 1


def test_a_model_works_where_no_thread_can_be_started_to_open_it(tiny, monkeypatch):
    def refused(thread):
        raise RuntimeError("can't start new thread")

    expected = aegen.load(tiny, threads=2).sample(3, seed=1)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert np.array_equal(aegen.load(tiny, threads=2).sample(3, seed=1), expected)


def test_the_number_of_threads_comes_from_the_caller_or_else_the_environment(tiny, monkeypatch):
    from aegen.runtime import threads as cpus

    run = session.Network.run

    def working(together, **settings):
        names = set()
        all_at_once = threading.Barrier(together)

        def waiting(network, output, inputs):
            if threading.current_thread().name not in names:
                names.add(threading.current_thread().name)
                all_at_once.wait(20)
            return run(network, output, inputs)

        monkeypatch.setattr(session.Network, "run", waiting)
        aegen.load(tiny, batch_size=1, **settings).sample(20)
        return names

    monkeypatch.setenv("AEGEN_THREADS", "3")
    assert len(working(3)) == 3
    assert working(1, threads=1) == {threading.current_thread().name}
    monkeypatch.setenv("AEGEN_THREADS", "1")
    assert working(1) == {threading.current_thread().name}
    assert len(working(2, threads=2)) == 2
    monkeypatch.setenv("AEGEN_THREADS", "")
    assert cpus.chosen_threads(None) == min(cpus.allowed_threads(), cpus.MAX_DEFAULT_THREADS)
    for wrong in ("many", "0", "257"):
        monkeypatch.setenv("AEGEN_THREADS", wrong)
        with pytest.raises(aegen.AegenError, match="AEGEN_THREADS: found"):
            aegen.load(tiny)


def test_threads_share_a_model_and_agree(model):
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda seed: model.sample(50, seed=seed % 4), range(32)))
    for seed, result in enumerate(results):
        assert np.array_equal(result, results[seed % 4])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_model_works_in_other_processes(model, method):
    # This call opens the onnxruntime session and starts the threads of the model before any process is forked.
    expected = model.sample(900, seed=9, batch_size=100)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        for future in [pool.submit(aegen.Autoencoder.sample, model, 900, seed=9, batch_size=100) for _ in range(4)]:
            assert np.allclose(future.result(timeout=120), expected, atol=1e-5)


@pytest.mark.parametrize("use", ["model.sample(900, seed=9)", "del model", "pass"])
@pytest.mark.parametrize("ending", ["sys.exit(0)", "os._exit(0)"])
def test_a_fork_neither_hangs_nor_fails_with_an_open_model(tiny, use, ending):
    code = f"""
import os, sys, aegen
model = aegen.load({str(tiny)!r}, threads=2, batch_size=100)
model.sample(900, seed=9)
child = os.fork()
if child == 0:
    {use}
    {ending}
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_model_is_pickled_as_its_path(model):
    content = pickle.dumps(model)
    assert len(content) < 500
    again = pickle.loads(content)
    assert np.array_equal(again.sample_latents(5, seed=1), model.sample_latents(5, seed=1))
    assert copy.copy(model).name == model.name


def test_settings_survive_pickling(tiny):
    again = pickle.loads(pickle.dumps(aegen.load(tiny, batch_size=3)))
    assert [len(chunk) for chunk in again.iter_sample(7)] == [3, 3, 1]


def test_the_verification_passes_and_counts_the_golden_pairs(model):
    found = model.verify()
    assert found.passed
    assert found.pairs == 20
    assert set(found.largest_difference) == {"encoder.onnx", "decoder.onnx"}


def test_a_model_shows_its_name_and_lists_its_priors(model):
    assert model.name in repr(model)
    assert model.priors == ("standard", "diagonal", "gaussian", "gmm", "kde")
    assert model.manifest.default_prior in model.priors
    assert aegen.__version__.count(".") == 2


def test_results_that_do_not_fit_into_memory_are_an_error_before_anything_is_sampled(monkeypatch, model):
    def empty(shape, dtype):
        raise MemoryError

    monkeypatch.setattr(np, "empty", empty)
    for method in (model.sample, model.sample_latents):
        with pytest.raises(InputError, match="n: found 3, expected as many as fit into memory"):
            method(3)


def _peak(tmp_path, *arguments):
    """Run an aegen command in a new process, and return the peak memory of that process in MB."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "aegen", *map(str, arguments)]
    return float(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
@pytest.mark.parametrize("method", ["sample", "encode", "reconstruct"])
def test_memory_does_not_grow_with_the_number_of_images(method, tmp_path):
    peaks = []
    for n in (5_000, 200_000):
        given = ["-n", n]
        if method != "sample":
            np.lib.format.open_memmap(tmp_path / f"{n}.npy", "w+", np.uint8, (n, 28, 28)).flush()
            given = [tmp_path / f"{n}.npy"]
        peaks.append(_peak(tmp_path, method, *given, "--model", "mnist-ae", "-o", f"{method}-{n}.npy"))
    # Peaks are in MB. The second command handles 153 MB more images than the first, but must not hold all in memory.
    assert peaks[1] < peaks[0] + 40
    assert peaks[1] < 200
