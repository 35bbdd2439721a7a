"""An output that cannot be written gives a one-line error that names it, and leaves no partial file."""

import errno
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import aegen
import numpy as np
import pytest
from aegen.cli.stopping import has_unfinished_output
from aegen.files.atomic import new_file, new_folder, require_space, write_bytes
from aegen.images.array_output import write_npy
from aegen.images.latents import write_latents
from aegen.images.writing import write_images
from aegen.runtime.errors import OutputError
from PIL import Image

TINY = str(Path(__file__).parent / "tiny" / "grey")
LIMIT = 20_000  # size in bytes above which the operating system refuses to write a file
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


def failed(cli, *arguments):
    """Run a command that must fail, and return the one line that it prints to standard error."""
    done = cli(*arguments)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("Error: ")
    return done.stderr


@pytest.mark.parametrize("output", ["many.npy", "many.npz", "grid.png", "grid.webp", "moving.gif"])
def test_a_file_above_the_size_limit_is_named(tmp_path, output):
    command = [sys.executable, "-m", "aegen", "sample", "-n", "3000", "--model", TINY, "--scale", "8", "-o", output]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limited, timeout=60)
    assert done.returncode == 1
    expected = f"Error: {output}: found a limit on the size of files. Write less, or raise the limit"
    assert done.stderr.startswith(expected), done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_latents_and_files_of_a_folder_above_the_size_limit_are_named(tmp_path):
    code = f"""
import resource, numpy as np
from aegen.files.atomic import new_folder
from aegen.images.latents import write_latents
from aegen.images.writing import write_images
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
noise = np.random.default_rng(0).integers(0, 256, (3, 200, 200), np.uint8)
def export():
    with new_folder("artifact") as folder:
        (folder / "a.bin").write_bytes(bytes(30_000))
for write in (
    lambda: write_latents("c.npy", [np.zeros((4000, 3), np.float32)], 4000),
    lambda: write_latents("c.npz", [np.zeros((4000, 3), np.float32)], 4000),
    lambda: write_images("images", [noise], 3),
    export,
):
    try:
        write()
    except OSError as error:
        print(type(error).__name__, str(error).split(":")[0])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    names = ["c.npy", "c.npz", "images/0.png", "artifact"]
    assert done.stdout.splitlines() == [f"OutputError {name}" for name in names], done.stderr
    assert list(tmp_path.iterdir()) == []


@FULL
@pytest.mark.parametrize(
    "arguments", [("sample", "-n", "4", "-o", "/dev/full"), ("encode", "one.npy", "-o", "/dev/full")]
)
def test_a_full_device_is_named(cli, tmp_path, arguments):
    np.save(tmp_path / "one.npy", np.zeros((1, 6, 5), np.uint8))
    expected = "Error: /dev/full: found no space left on the device. Free some space, or write somewhere else.\n"
    assert failed(cli, *arguments, "--model", TINY) == expected


@FULL
@pytest.mark.parametrize("arguments", ["sample -n 4 -o -", "info", "sample -n 40000 -o -", "--help", "models --json"])
def test_a_full_standard_output_is_named(arguments):
    command = f"{sys.executable} -m aegen {arguments} > /dev/full"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, timeout=60, env={"AEGEN_MODEL": TINY})
    expected = "Error: standard output: found no space left on the device. Free some space, or write somewhere else.\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no such file system here")
@pytest.mark.parametrize("output", ["/proc/x.npy", "/proc/x.png", "/proc/x"])
def test_a_target_in_a_folder_that_accepts_no_files_is_named(cli, output):
    assert failed(cli, "sample", "--model", TINY, "-o", output).startswith(f"Error: {output}: found ")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x" * 300 + ".npy", "a name that is too long"),
        ("a\0b.npy", "a NUL in its name"),
        ("a\ud800.npy", "letters that a file's name cannot hold"),
        ("", "an empty name"),
        ("loop/x.npy", "links that lead in a circle"),
    ],
    ids=["long", "NUL", "surrogate", "empty", "circle"],
)
def test_a_name_that_no_file_can_have_is_an_error_in_one_line(tmp_path, monkeypatch, name, found):
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")
    rows = np.zeros((2, 3), np.float32)
    for write in (write_npy, write_latents, write_images):
        with pytest.raises(OutputError) as caught:
            write(name, [rows], 2)
        assert f"found {found}" in str(caught.value)
        assert len(str(caught.value)) < 400
        assert "\n" not in str(caught.value)
    with pytest.raises(OutputError), new_folder(name):
        pass


@pytest.mark.parametrize("output", ["", ".", "/", "x" * 300 + ".npy"])
def test_unusable_output_names_are_errors_in_one_line(cli, tmp_path, output):
    (tmp_path / "something").write_text("x")
    failed(cli, "sample", "--model", TINY, "-o", output)


def test_a_removed_current_folder_is_an_error_in_one_line(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f"cd gone && rmdir ../gone && {sys.executable} -m aegen sample --model {TINY} -o x.npy"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "x.npy: found that the current folder is not there any more" in done.stderr


@pytest.mark.parametrize("output", ["x.npy", "x.npz", "x.png", "x.jpg", "x.webp", "x.gif"])
def test_an_output_without_enough_space_is_refused_at_once(cli, tmp_path, output):
    message = failed(cli, "sample", "-n", str(2**40), "--model", TINY, "-o", output)
    if output.startswith("x.np"):
        assert "bytes free, expected 131,941,395,333,120 for the output." in message
    else:
        assert "expected at most 2 GiB" in message
    assert list(tmp_path.iterdir()) == []


def test_space_is_required_for_files_alone_and_overwritten_files_do_not_count(tmp_path):
    require_space(tmp_path / "new.npy", 1000)
    write_bytes(tmp_path / "old.npy", bytes(5000))
    require_space(tmp_path / "old.npy", 5000)
    require_space("/dev/null", 2**60)
    with pytest.raises(OutputError, match=r"old\.npy: found [\d,]+ bytes free, expected 1,152,921,504,606,846,976"):
        require_space(tmp_path / "old.npy", 2**60)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("-n", "400", "--columns", "1", "--scale", "64", "-o", "x.jpg"), "at most 65,535 on a side"),
        (("-n", "400", "--columns", "1", "--scale", "6", "-o", "x.webp"), "at most 16,383 on a side"),
        (("-n", "40000", "--scale", "64", "-o", "x.png"), "at most 2 GiB"),
    ],
)
def test_a_grid_that_its_format_cannot_hold_is_refused(cli, tmp_path, options, words):
    assert words in failed(cli, "sample", "--model", TINY, *options)
    assert list(tmp_path.iterdir()) == []


def test_grids_are_written_as_jpeg_and_webp(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8)
    for name in ("a.png", "a.jpg", "a.jpeg", "a.webp"):
        write_images(str(tmp_path / name), [images[:4], images[4:]], 10, columns=5, scale=4)
    png, webp, *jpegs = (Image.open(tmp_path / f"a.{suffix}") for suffix in ("png", "webp", "jpg", "jpeg"))
    assert [image.format for image in (png, webp, *jpegs)] == ["PNG", "WEBP", "JPEG", "JPEG"]
    assert np.array_equal(np.asarray(webp.convert("L")), np.asarray(png))
    for jpeg in jpegs:
        assert np.abs(np.asarray(jpeg).astype(int) - np.asarray(png)).mean() < 3


def test_an_npz_written_chunk_by_chunk_equals_the_one_numpy_writes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8)
    write_images(str(tmp_path / "images.npz"), [images[:4], images[4:]], 10, names=[f"{i}.png" for i in range(10)])
    archive = np.load(tmp_path / "images.npz")
    assert np.array_equal(archive["images"], images)
    assert archive["names"].tolist() == [f"{i}.png" for i in range(10)]
    write_latents(str(tmp_path / "latents.npz"), [images.reshape(10, -1)], 10)
    np.savez(tmp_path / "expected.npz", latents=images.reshape(10, -1))
    assert (tmp_path / "latents.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()


def test_errors_of_the_calling_code_pass_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), new_file(tmp_path / "x"):
        Path("elsewhere").read_bytes()
    with pytest.raises(OSError, match="input") as caught, new_file(tmp_path / "x"):
        raise OSError(errno.ENOENT, "input")
    assert not isinstance(caught.value, aegen.AegenError)


def test_a_folder_without_enough_space_is_refused_before_the_work(cli):
    done = cli("sample", "--model", TINY, "-n", str(2**40), "-o", "folder")
    assert done.returncode == 1
    assert "bytes free" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_artifact_that_is_replaced_while_it_is_read_is_read_again(tmp_path, monkeypatch):
    from aegen.runtime import artifact

    shutil.copytree(TINY, tmp_path / "model")
    usual, calls = artifact.verified, []

    def replaced(file, expected):
        calls.append(file)
        if len(calls) == 2:
            shutil.rmtree(tmp_path / "model")
            shutil.copytree(Path(TINY).with_name("colour"), tmp_path / "model")
        return usual(file, expected)

    monkeypatch.setattr(artifact, "verified", replaced)
    assert artifact.Artifact.open(tmp_path / "model").manifest.name == "colour"


def test_an_unfinished_output_is_known_until_it_is_complete(tmp_path):
    with new_file(tmp_path / "x"):
        assert has_unfinished_output()
    with new_folder(tmp_path / "y"):
        assert has_unfinished_output()
    assert not has_unfinished_output()


def test_a_half_imported_module_is_no_error_when_a_signal_arrives(monkeypatch):
    monkeypatch.setitem(sys.modules, "aegen.files.temporary", type(sys)("aegen.files.temporary"))
    assert not has_unfinished_output()
