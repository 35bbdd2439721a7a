"""Images are read from every supported format, and written in the format that the output's name implies."""

import gzip
import io
import struct

import numpy as np
import pytest
from aegen.files.atomic import new_file, new_folder
from aegen.images.array_output import write_npy
from aegen.images.grid import GAP_LEVEL, GAP_PIXELS, stacked, tile
from aegen.images.latents import read_latents
from aegen.images.outputs import output_format
from aegen.images.reading import read_images
from aegen.images.writing import write_images
from aegen.runtime.errors import AegenError, InputError, NotFoundError, OutputError, ShapeError
from PIL import Image

GREY = np.random.default_rng(0).integers(0, 256, (10, 6, 5), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 6, 5, 3), np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def sources(tmp_path):
    """A folder that holds the same ten grey images in every format of SOURCES."""
    (tmp_path / "p-idx3-ubyte").write_bytes(idx_bytes(GREY))
    (tmp_path / "p-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(GREY)))
    np.save(tmp_path / "p.npy", GREY)
    np.savez(tmp_path / "p.npz", images=GREY, labels=np.arange(10))
    np.savez_compressed(tmp_path / "only.npz", digits=GREY)
    (tmp_path / "folder").mkdir()
    for i, image in enumerate(GREY):
        Image.fromarray(image).save(tmp_path / "folder" / f"{i:02d}.png")
    (tmp_path / "folder" / "notes.txt").write_text("not an image")
    return tmp_path


SOURCES = ["p-idx3-ubyte", "p-idx3-ubyte.gz", "p.npy", "p.npz", "only.npz", "folder"]


@pytest.mark.parametrize("name", SOURCES)
def test_every_format_gives_the_same_images(sources, name):
    assert np.array_equal(read_images(sources / name).images, GREY)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("window", "rows"),
    [
        ("[2:5]", slice(2, 5)),
        ("[:3]", slice(3)),
        ("[-2:]", slice(-2, None)),
        ("[4]", slice(4, 5)),
        ("[-1]", slice(-1, None)),
    ],
)
def test_a_slice_selects_images_as_in_a_python_list(sources, name, window, rows):
    assert np.array_equal(read_images(f"{sources / name}{window}").images, GREY[rows])


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp"])
@pytest.mark.parametrize("image", [GREY[0], COLOUR[0]], ids=["grey", "colour"])
def test_an_image_file_is_one_image(tmp_path, suffix, image):
    file = tmp_path / f"one.{suffix}"
    Image.fromarray(image).save(file, **({"lossless": True} if suffix == "webp" else {}))
    shape = (1 if image.ndim == 2 else 3, 6, 5)
    assert np.array_equal(read_images(file, shape=shape).images[0], image)


def test_a_jpeg_is_read_approximately(tmp_path):
    smooth = np.linspace(0, 255, 256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(smooth).save(tmp_path / "one.jpg", quality=95)
    assert np.abs(read_images(tmp_path / "one.jpg").images[0].astype(int) - smooth).max() < 10


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path):
    levels = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / "sixteen.png")
    assert read_images(tmp_path / "sixteen.png").images[0].tolist() == [[0, 100], [200, 255]]


def test_colour_becomes_grey_for_a_grey_model_and_resizing_fits_the_size(tmp_path):
    Image.fromarray(COLOUR[0]).resize((40, 30)).save(tmp_path / "big.png")
    assert read_images(tmp_path / "big.png", shape=(1, 6, 5), resize=True).images.shape == (1, 6, 5)
    assert read_images(tmp_path / "big.png", shape=(3, 6, 5), resize=True).images.shape == (1, 6, 5, 3)
    message = r"found grey images of 40x30 pixels, expected grey images of 5x6 pixels\. Pass resize=True to scale"
    with pytest.raises(ShapeError, match=message):
        read_images(tmp_path / "big.png", shape=(1, 6, 5))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_pixels_become_black(tmp_path, mode):
    stroke = np.zeros((6, 5), np.uint8)
    stroke[2] = 255
    white = np.dstack([np.full((6, 5, 3), 255, np.uint8), stroke])
    image = Image.fromarray(white).convert(mode)
    if mode == "P":
        image = Image.fromarray(stroke).convert("P")
        image.info["transparency"] = 0
    image.save(tmp_path / "stroke.png")
    assert np.array_equal(read_images(tmp_path / "stroke.png", shape=(1, 6, 5)).images[0], stroke)


def test_a_photograph_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # EXIF orientation 6 means that a viewer must turn the image clockwise by 90 degrees
    Image.fromarray(GREY[0]).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_images(tmp_path / "turned.png").images[0], np.rot90(GREY[0], -1))


def test_hidden_files_and_folders_with_an_image_suffix_are_not_read(sources):
    (sources / "folder" / "._00.png").write_bytes(b"\0\5\x16\7")
    (sources / "folder" / "zz.png").mkdir()
    assert np.array_equal(read_images(sources / "folder").images, GREY)


@pytest.mark.parametrize("window", ["[]", "[::2]", "[a]", "[1,2]", "[1.5]"])
def test_an_invalid_slice_is_refused_with_examples_of_valid_ones(sources, window):
    with pytest.raises(InputError, match=r"expected one like \[3\], \[0:16\]"):
        read_images(f"{sources / 'p.npy'}{window}")


def test_arrays_are_resized(sources):
    assert read_images(sources / "p.npy", shape=(1, 12, 10), resize=True).images.shape == (10, 12, 10)


def test_a_file_of_another_size_in_a_folder_is_named(sources):
    Image.fromarray(GREY[0][:4]).save(sources / "folder" / "zz.png")
    with pytest.raises(ShapeError, match=r"zz\.png: found 5x4 pixels, expected 5x6, as 00\.png has"):
        read_images(sources / "folder")


def test_a_header_that_announces_more_data_than_the_file_has_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 32, 28, 28)})
    (tmp_path / "bomb.npy").write_bytes(header.getvalue())
    with pytest.raises(InputError, match="array data: found 0 bytes, expected"):
        read_images(tmp_path / "bomb.npy")
    (tmp_path / "bomb-idx3-ubyte").write_bytes(struct.pack(">BBBB3I", 0, 0, 8, 3, 1 << 31, 1 << 10, 1 << 10))
    for shape in ((-1, -28, 28), (0, 10**20, 28)):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        (tmp_path / "odd.npy").write_bytes(header.getvalue())
        with pytest.raises(InputError, match=r"odd\.npy"):
            read_images(tmp_path / "odd.npy")
    with pytest.raises(InputError, match="0 bytes of data"):
        read_images(tmp_path / "bomb-idx3-ubyte")


def bad_sources(folder):
    whole = gzip.compress(idx_bytes(GREY))
    objects = io.BytesIO()
    np.save(objects, np.array([{}], object), allow_pickle=True)
    png = io.BytesIO()
    Image.fromarray(GREY[0]).save(png, "PNG")
    contents = {
        "cut.gz": (whole[:-40], "a gzip file cut short"),
        "flipped.gz": (whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], "is damaged"),
        "magic-idx3-ubyte": (b"\0\0\x0a\x03" + idx_bytes(GREY)[4:], "no format that can be read"),
        "magic.gz": (gzip.compress(b"\0\0\x0a\x03" + idx_bytes(GREY)[4:]), "magic number: found 00000a03"),
        "short-idx3-ubyte": (idx_bytes(GREY)[:-7], "293 bytes of data, expected 300"),
        "long-idx3-ubyte": (idx_bytes(GREY) + b"x", "found more data"),
        "header-idx3-ubyte": (idx_bytes(GREY)[:9], "a header of 9 bytes"),
        "empty.png": (b"", "an empty file"),
        "text.png": (b"hello, I am no image", "no format that can be read"),
        "cut.png": (png.getvalue()[:60], "is damaged"),
        "objects.npy": (objects.getvalue(), "Python objects"),
        "cut.npy": (b"\x93NUMPY\x01\x00", "no readable .npy"),
        "cut.npz": (b"PK\x03\x04 and no more", "no readable .npz"),
    }
    for name, (content, message) in contents.items():
        (folder / name).write_bytes(content)
        yield name, message


def test_bad_files_are_named_and_described(tmp_path):
    for name, message in bad_sources(tmp_path):
        with pytest.raises(InputError) as caught:
            read_images(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value), name
        assert message in str(caught.value), name


@pytest.mark.parametrize("format", ["npy", "npz", "compressed.npz", "idx", "idx.gz", "png", "jpg", "bmp", "webp"])
def test_a_damaged_file_is_read_or_refused_with_a_library_error(tmp_path, format):
    stream = io.BytesIO()
    match format:
        case "npy":
            np.save(stream, GREY)
        case "npz":
            np.savez(stream, images=GREY)
        case "compressed.npz":
            np.savez_compressed(stream, images=GREY)
        case "idx":
            stream.write(idx_bytes(GREY))
        case "idx.gz":
            stream.write(gzip.compress(idx_bytes(GREY)))
        case _:
            Image.fromarray(COLOUR[0]).save(stream, {"jpg": "JPEG"}.get(format, format))
    whole = stream.getvalue()
    random = np.random.default_rng(0)
    file = tmp_path / "damaged"
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(random.integers(1, 4)):
            content[random.integers(len(content) if random.random() < 0.5 else min(len(content), 64))] = (
                random.integers(256)
            )
        file.write_bytes(content[: random.integers(len(content) + 1)] if random.random() < 0.3 else content)
        try:
            read_images(file, shape=(1, 6, 5), resize=True)
        except AegenError as error:
            assert str(file) in str(error) or "float images" in str(error)


def test_missing_and_empty_sources_are_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"nowhere\.png: found no such file"):
        read_images(tmp_path / "nowhere.png")
    with pytest.raises(InputError, match="found no images, expected files ending in .png"):
        read_images(tmp_path)
    np.save(tmp_path / "p.npy", GREY)
    with pytest.raises(InputError, match="no images, expected at least one"):
        read_images(f"{tmp_path / 'p.npy'}[20:30]", shape=(1, 6, 5))
    np.save(tmp_path / "flat.npy", GREY.reshape(10, 30))
    with pytest.raises(ShapeError, match=r"shape \(10, 30\), expected \(n, H, W\)"):
        read_images(tmp_path / "flat.npy")
    np.savez(tmp_path / "two.npz", a=GREY, b=GREY)
    with pytest.raises(InputError, match="arrays a, b, expected one array, or one called 'images'"):
        read_images(tmp_path / "two.npz")


def test_latents_are_read_from_npy_and_npz(tmp_path):
    latents = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.save(tmp_path / "c.npy", latents)
    np.savez(tmp_path / "c.npz", latents=latents, other=latents[:1])
    assert np.array_equal(read_latents(tmp_path / "c.npy").latents, latents)
    assert np.array_equal(read_latents(f"{tmp_path / 'c.npz'}[1:3]").latents, latents[1:3])
    np.save(tmp_path / "one.npy", latents[0])
    assert np.array_equal(read_latents(tmp_path / "one.npy").latents, latents[:1])


def test_a_grid_shows_each_image_at_its_row_and_column():
    grid = tile(GREY, columns=4)
    assert grid.shape == (3 * (6 + GAP_PIXELS) + GAP_PIXELS, 4 * (5 + GAP_PIXELS) + GAP_PIXELS)
    for i, image in enumerate(GREY):
        top, left = GAP_PIXELS + i // 4 * (6 + GAP_PIXELS), GAP_PIXELS + i % 4 * (5 + GAP_PIXELS)
        assert np.array_equal(grid[top : top + 6, left : left + 5], image)
    assert tile(COLOUR, columns=2, scale=3).shape == (3 * 18, 3 * 16, 3)


def test_stacked_rows_show_originals_above_reconstructions():
    rows = stacked(4, GREY, 255 - GREY)
    assert np.array_equal(rows[:4], GREY[:4])
    assert np.array_equal(rows[4:8], 255 - GREY[:4])
    assert np.array_equal(rows[16:18], GREY[8:])
    assert np.array_equal(rows[20:22], 255 - GREY[8:])
    assert (rows[18:20] == GAP_LEVEL).all()


def test_every_output_format_holds_the_images(tmp_path):
    chunks = [GREY[:7], GREY[7:]]
    for name in ("out.npy", "out.npz", "out"):
        write_images(str(tmp_path / name), chunks, 10)
        assert np.array_equal(read_images(tmp_path / name).images, GREY)
    write_images(str(tmp_path / "out.png"), chunks, 10, columns=5, scale=2)
    assert Image.open(tmp_path / "out.png").size == (2 * (5 * 7 + GAP_PIXELS), 2 * (2 * 8 + GAP_PIXELS))
    write_images(str(tmp_path / "out.gif"), chunks, 10, scale=3)
    with Image.open(tmp_path / "out.gif") as animation:
        assert animation.n_frames == 10
        assert animation.size == (15, 18)


def test_an_unknown_output_suffix_is_refused():
    with pytest.raises(
        InputError,
        match=r"out\.tiff: found \.tiff, expected \.png, \.jpg, \.jpeg, \.webp, \.gif, \.npy, \.npz, a folder's name",
    ):
        output_format("out.tiff")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "latents.npy"
    target.write_bytes(b"old")

    def failing():
        yield GREY[:7]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_npy(str(target), failing(), 10)
    assert target.read_bytes() == b"old"
    with pytest.raises(RuntimeError, match="half way"):
        write_images(str(tmp_path / "folder"), failing(), 10)
    assert [file.name for file in tmp_path.iterdir()] == ["latents.npy"]


def test_a_folder_with_files_is_not_overwritten_unless_asked(tmp_path):
    (tmp_path / "existing").mkdir()
    (tmp_path / "existing" / "mine.txt").write_text("keep me")
    with pytest.raises(OutputError, match="something there already"), new_folder(tmp_path / "existing"):
        pass
    assert (tmp_path / "existing" / "mine.txt").read_text() == "keep me"
    with new_folder(tmp_path / "existing", overwrite=True) as folder:
        (folder / "new.txt").write_text("new")
    assert [file.name for file in (tmp_path / "existing").iterdir()] == ["new.txt"]
    assert [file.name for file in tmp_path.iterdir()] == ["existing"]


def test_a_folder_that_appears_during_the_work_is_not_overwritten(tmp_path):
    with pytest.raises(OutputError, match="something there already"), new_folder(tmp_path / "target"):
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "theirs.txt").write_text("keep me")
    assert [file.name for file in tmp_path.rglob("*")] == ["target", "theirs.txt"]


def test_a_missing_parent_folder_is_named(tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"), new_file(tmp_path / "no" / "file.png"):
        pass


def test_a_link_is_followed_not_replaced(tmp_path):
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to("real.bin")
    with new_file(tmp_path / "link.bin") as stream:
        stream.write(b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"
