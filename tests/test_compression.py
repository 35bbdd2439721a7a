"""Quantised latents are packed as documented, differ by at most half a quantisation step, and are read like others."""

import io
import json
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.evaluation.similarity import similarity
from aegen.images.latents import read_latents, write_quantised_latents
from aegen.images.quantisation import fitted_quantisation
from aegen.runtime.errors import AegenError
from PIL import Image

GREY = Path(__file__).parent / "tiny" / "grey"
LATENTS = np.random.default_rng(0).standard_normal((50, 7), np.float32) * np.float32([0, 1e-3, 1, 1, 5, 100, 1e6])


def numbers(archive, rows, bits):
    """Unpack the integers of a file as the documentation describes: the lowest bit of the first integer comes first."""
    row = int.from_bytes(archive["quantised_latents"][rows].tobytes(), "little")
    return [row >> (bits * i) & (2**bits - 1) for i in range(len(archive["scale"]))]


@pytest.fixture
def images(tmp_path):
    """The file images.npy with random images, and the images, uint8 (30, 6, 5)."""
    array = np.random.default_rng(1).integers(0, 256, (30, 6, 5), np.uint8)
    np.save(tmp_path / "images.npy", array)
    return array


@pytest.mark.parametrize("bits", [2, 3, 5, 8, 12, 16])
def test_a_quantised_latent_is_at_most_half_a_step_away(tmp_path, bits):
    quantisation = fitted_quantisation([LATENTS[:20], LATENTS[20:]], bits)
    file = tmp_path / "latents.npz"
    write_quantised_latents(str(file), [quantisation.packed(LATENTS)], len(LATENTS), quantisation)
    read = read_latents(file, 7).latents
    span = LATENTS.max(0).astype(float) - LATENTS.min(0)
    assert quantisation.scale == pytest.approx(span / (2**bits - 1), rel=1e-6)
    assert (np.abs(read.astype(float) - LATENTS) <= quantisation.scale / 2 + 2e-7 * np.abs(LATENTS).max(0)).all()
    archive = np.load(file)
    assert archive["quantised_latents"].shape == (50, -(-7 * bits // 8))
    by_hand = archive["offset"] + archive["scale"].astype(float) * numbers(archive, 11, bits)
    assert read[11] == pytest.approx(by_hand, rel=1e-6, abs=1e-9)


def test_encode_prints_what_quantisation_costs_and_decode_reads_it(cli, tmp_path, images):
    done = cli("encode", "images.npy", "--bits", 4, "--model", GREY, "--json", "-o", "q.npz")
    assert done.returncode == 0, done.stderr
    printed, model = json.loads(done.stdout), aegen.load(GREY)
    d = model.latent_dim
    size = 30 * -(-d * 4 // 8) + 8 * d
    assert (printed["images"], printed["latent_dim"], printed["bits"]) == (30, d, 4)
    assert printed["bytes_per_image"] == pytest.approx(size / 30)
    assert printed["ratio_to_images"] == pytest.approx(30 * 30 / size)
    assert printed["ratio_to_float32"] == pytest.approx(30 * 4 * d / size)
    latents = read_latents(tmp_path / "q.npz").latents
    before, after = (similarity(images, model.decode(z, dtype="uint8")) for z in (model.encode(images), latents))
    assert (printed["psnr_before"], printed["psnr_after"]) == pytest.approx((before.psnr, after.psnr), abs=1e-4)
    assert f"{before.psnr:.2f} dB before and {after.psnr:.2f} dB after" in done.stderr
    assert cli("decode", "q.npz[3:9]", "--model", GREY, "--dtype", "uint8", "-o", "d.npy").returncode == 0
    assert np.array_equal(np.load(tmp_path / "d.npy"), model.decode(latents[3:9], dtype="uint8"))
    first = (tmp_path / "q.npz").read_bytes()
    assert cli("encode", "images.npy", "--bits", 4, "--model", GREY, "-o", "q.npz").returncode == 0
    assert (tmp_path / "q.npz").read_bytes() == first


def test_quantised_latents_keep_names_and_go_through_a_pipe(cli, cli_process, tmp_path, images):
    (tmp_path / "scans").mkdir()
    for i in range(3):
        Image.fromarray(images[i]).save(tmp_path / "scans" / f"s{i}.png")
    piped = cli_process("encode", "scans", "--bits", 8, "--model", GREY, "-o", "-", text=False)
    assert piped.returncode == 0, piped.stderr
    archive = np.load(io.BytesIO(piped.stdout))
    assert sorted(archive.files) == ["bits", "names", "offset", "quantised_latents", "scale"]
    again = cli_process("decode", "-", "--model", GREY, "-o", "out", input=piped.stdout, text=False)
    assert again.returncode == 0, again.stderr
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["s0.png", "s1.png", "s2.png"]


def test_a_single_image_is_kept_exactly():
    quantisation = fitted_quantisation([LATENTS[:1]], 8)
    assert np.array_equal(quantisation.latents(quantisation.packed(LATENTS[:1])), LATENTS[:1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bits": np.array([1], np.uint8)}, "bits: found 1, expected 2 to 16"),
        ({"bits": np.array([8, 8], np.uint8)}, r"found shape \(2,\)"),
        ({"bits": np.array([8.0])}, "bits: found dtype float64, expected uint8"),
        ({"scale": np.ones(3)}, "scale: found dtype float64, expected float32"),
        ({"scale": -np.ones(3, np.float32)}, "expected finite, and scales >= 0"),
        ({"offset": np.full(3, np.nan, np.float32)}, "expected finite"),
        ({"scale": np.full(3, 3e38, np.float32)}, "found latents that are not finite"),
        ({"offset": np.ones(4, np.float32)}, r"found shapes \(3,\) and \(4,\)"),
        ({"quantised_latents": np.full((4, 2), 9, np.uint8)}, r"expected \(n, 3\) for 3 integers of 8 bits"),
        ({"quantised_latents": np.full(3, 9, np.uint8)}, r"quantised_latents: found shape \(3,\)"),
        ({"quantised_latents": np.full((4, 3), 9, np.int64)}, "found dtype int64, expected uint8"),
        ({"names": np.array(["a"])}, r"expected text of shape \(4,\)"),
        ({"scale": None}, "scale: found nothing"),
    ],
)
def test_quantised_latents_that_do_not_fit_are_refused(tmp_path, change, words):
    arrays = {
        "quantised_latents": np.full((4, 3), 9, np.uint8),
        "bits": np.array([8], np.uint8),
        "scale": np.ones(3, np.float32),
        "offset": np.zeros(3, np.float32),
    }
    file = tmp_path / "latents.npz"
    np.savez(file, **arrays)
    assert np.array_equal(read_latents(file, 3).latents, np.full((4, 3), 9, np.float32))
    np.savez(file, **{name: array for name, array in {**arrays, **change}.items() if array is not None})
    with pytest.raises(AegenError, match=words):
        read_latents(file, 3)


def test_latents_of_another_dimension_are_refused(tmp_path):
    quantisation = fitted_quantisation([LATENTS], 8)
    file = tmp_path / "latents.npz"
    write_quantised_latents(str(file), [quantisation.packed(LATENTS)], len(LATENTS), quantisation)
    with pytest.raises(AegenError, match=r"expected \(5,\) for both"):
        read_latents(file, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bits", 8, "-o", "x.npy"), "--bits: found x.npy, expected a name that ends in .npz, or -"),
        (("--json", "-o", "x.npz"), "--json prints the numbers of --bits"),
        (("--bits", 8, "--json", "-o", "-"), "both write to standard output"),
        (("--bits", 17, "-o", "x.npz"), "17 is not in the range"),
    ],
)
def test_options_that_contradict_are_refused(cli, images, arguments, words):
    done = cli("encode", "images.npy", "--model", GREY, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
