"""Only requested arrays of the declared size are read from an untrusted `.npz` file. Damage raises a one-line error."""

import io
import struct
import subprocess
import sys
import zipfile

import aegen
import numpy as np
import pytest
from aegen.runtime.arrays import npz_header, npz_names, read_npy, read_npz
from aegen.runtime.errors import ArtifactError, InputError
from peak_memory import PEAK


def npy(text: str, data: bytes = b"", version=(1, 0)) -> bytes:
    """Make the bytes of a `.npy` file from the text of its header and the bytes of its data."""
    width = "<H" if version[0] == 1 else "<I"
    return b"\x93NUMPY" + bytes(version) + struct.pack(width, len(text)) + text.encode("latin-1") + data


def described(descr="'<f4'", shape="(2,)", order="False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def read(content: bytes) -> np.ndarray:
    return read_npy(io.BytesIO(content), len(content), "some.npy")


def test_headers_as_numpy_and_others_write_them_are_read():
    data = np.arange(6, dtype="<f4").tobytes()
    for text in (
        described(shape="(2, 3)"),
        '{"shape": (2, 3), "fortran_order": False, "descr": "<f4"}',
        "{'fortran_order':False,'descr':'<f4','shape':(2L,3L,)}   \n",
    ):
        for version in ((1, 0), (2, 0), (3, 0)):
            assert np.array_equal(read(npy(text, data, version)), np.arange(6, dtype=np.float32).reshape(2, 3))
    assert read(npy(described(shape="()"), data[:4])).shape == ()
    assert read(npy(described(shape="(2, 3)", order="True"), data))[1, 0] == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        npy(described(), version=(9, 0)),
        npy(described(descr="'<f4', (3,)")),
        npy(described(descr="[('a', '<f4'), ('b', '<i2', (2,))]")),
        npy(described(descr="('<f4', (2, 2))")),
        npy(described(descr="'|O'")),
        npy(described(descr="'<U0'")),
        npy(described(descr="'|S0'")),
        npy(described(descr="'<c8'")),
        npy(described(descr="'<M8'")),
        npy(described(descr="'nonsense'")),
        npy(described(shape=f"({'1,' * 65})")),
        npy(described(shape="(2.5,)")),
        npy(described(shape="(-1,)")),
        npy(described(shape=f"({'9' * 400},)")),
        npy(described(shape=f"({'9' * 5000},)")),
        npy(described(shape="(True,)")),
        npy("{" * 3000),
        npy(described() + "x"),
        npy("{'descr': '<f4', 'shape': (2,)}"),
        npy(described(shape="(99999999, 99999999)")),
        npy(described(), b"\0" * 7),
        npy(described(), b"\0" * 9),
    ],
)
def test_a_header_that_describes_no_plain_array_is_one_short_error(content):
    with pytest.raises(InputError) as caught:
        read(content)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def archive(*members, compression=zipfile.ZIP_STORED) -> io.BytesIO:
    """Make an `.npz` file in memory. members: (name, content) of each file in it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as opened:
        for name, content in members:
            opened.writestr(name, content)
    stream.seek(0)
    return stream


def numbers(n=3) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(n))
    return stream.getvalue()


def test_names_and_headers_are_read_without_opening_other_arrays():
    stream = archive(("a.npy", numbers()), ("b.npy", b"not an array"))
    assert npz_names(stream, "some.npz") == ("a", "b")
    assert npz_header(stream, "some.npz", "a") == ((3,), np.dtype(np.int64))
    assert list(read_npz(stream, "some.npz", ["a"])) == ["a"]
    with pytest.raises(InputError, match=r"some\.npz: b is no readable \.npy"):
        read_npz(stream, "some.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_stored_and_deflated_members_are_opened(method):
    with pytest.raises(InputError, match="compressed by method"):
        read_npz(archive(("a.npy", numbers()), compression=method), "some.npz")
    assert len(read_npz(archive(("a.npy", numbers()), compression=zipfile.ZIP_DEFLATED), "some.npz")["a"]) == 3


def test_a_name_that_occurs_twice_is_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        stream = archive(("a.npy", numbers()), ("a.npy", numbers(4)))
    with pytest.raises(InputError, match="two arrays a"):
        read_npz(stream, "some.npz")


def test_a_member_that_announces_more_than_its_bytes_can_hold_is_refused_before_it_is_inflated():
    stream = archive(("a.npy", numbers(100_000)), compression=zipfile.ZIP_DEFLATED)
    content = bytearray(stream.getvalue())
    offset = content.rindex(b"PK\x01\x02")
    content[offset + 24 : offset + 28] = struct.pack("<I", 2_000_000_000)
    with pytest.raises(InputError, match="2,000,000,000 bytes announced in"):
        read_npz(io.BytesIO(bytes(content)), "some.npz")


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_an_undeclared_array_in_an_artifact_is_refused(alter, copy):
    with np.load(copy / "latents.npz") as arrays:
        stored = dict(arrays)
    stream = io.BytesIO()
    np.savez(stream, **stored, extra=np.zeros(3))
    with pytest.raises(ArtifactError, match=r"latents\.npz: extra: found an array that is not declared"):
        aegen.load(alter("latents.npz", stream.getvalue())).sample(1)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise there")
@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_an_array_that_is_declared_smaller_than_it_is_costs_no_memory(alter, copy):
    with np.load(copy / "latents.npz") as arrays:
        stored = dict(arrays)
    stored["mean"] = np.zeros(100_000_000, np.float32)
    stream = io.BytesIO()
    np.savez_compressed(stream, **stored)
    folder = alter("latents.npz", stream.getvalue())
    code = f"""{PEAK}
import sys, aegen, numpy
before = peak()
try:
    aegen.load(sys.argv[1]).sample(1, prior="standard")
except aegen.AegenError as error:
    assert "mean: found" in str(error), error
    print(peak() - before)
"""
    grown = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True).stdout
    # Growth of the peak memory in kB; the whole array would take about 390,000 kB.
    assert int(grown) < 200_000


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
def test_only_the_arrays_of_the_prior_are_read_and_verify_reads_all(alter, copy):
    with np.load(copy / "latents.npz") as arrays:
        stored = dict(arrays)
    stored["class_fractions"] = np.full(1, np.nan, np.float32)  # an array that no closed-form prior needs
    stream = io.BytesIO()
    np.savez(stream, **stored)
    declared = [{"name": k, "dtype": v.dtype.name, "shape": v.shape} for k, v in stored.items()]
    model = aegen.load(alter("latents.npz", stream.getvalue(), lambda manifest: manifest.update(latents=declared)))
    assert [len(model.sample(2, prior=prior, seed=0)) for prior in model.priors] == [2] * len(model.priors)
    with pytest.raises(ArtifactError, match=r"latents\.npz: class_fractions: found values that are not finite"):
        model.verify()


STATISTICS = [
    (lambda a: a.update(mean=np.zeros(3, np.float64)), "mean"),
    (lambda a: a.update(mean=np.zeros((3, 1), np.float32)), "mean"),
    (lambda a: a.update(factor=np.eye(2, dtype=np.float32)), "factor"),
    (lambda a: a.update(factor=np.zeros((3, 3), np.float32)), "factor: found no Cholesky factor"),
    (lambda a: a.update(gmm_weights=np.ones(7, np.float32)), "gmm_"),
    (lambda a: a.update(gmm_weights=-np.ones(3, np.float32)), "gmm_weights: found weights below 0"),
    (lambda a: a.update(kde_latents=np.zeros((0, 3), np.float16)), "kde_latents"),
    (lambda a: a.update(kde_bandwidth=-np.ones(3, np.float32)), "kde_bandwidth"),
    (lambda a: a.update(kde_bandwidth=np.ones(3, np.int64)), "kde_bandwidth: found dtype int64"),
    (lambda a: a.update(mean=np.full(3, 3e38, np.float32), std=np.full(3, 3e38, np.float32)), "not finite"),
    (lambda a: a.pop("gmm_means"), "prior 'gmm': found no gmm_means"),
]


@pytest.mark.parametrize("tiny", ["grey"], indirect=True)
@pytest.mark.parametrize(("change", "words"), STATISTICS)
@pytest.mark.filterwarnings("error")
def test_declared_statistics_that_make_no_prior_are_one_error(alter, copy, change, words):
    with np.load(copy / "latents.npz") as arrays:
        stored = dict(arrays)
    change(stored)
    stream = io.BytesIO()
    np.savez(stream, **stored)
    declared = [{"name": k, "dtype": v.dtype.name, "shape": v.shape} for k, v in stored.items()]
    folder = alter("latents.npz", stream.getvalue(), lambda manifest: manifest.update(latents=declared))
    model = aegen.load(folder)
    with pytest.raises(aegen.AegenError, match=words) as caught:
        for prior in model.priors:
            model.sample(2, prior=prior, seed=0)
    assert "latents.npz" in str(caught.value)
