"""Published image sets: their mirrors, the checksums of their files, and their licences."""

import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ..files.atomic import new_file
from ..files.output_errors import output_errors
from ..files.paths import is_file
from ..runtime.errors import NotFoundError
from ..runtime.extras import require_extra

IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class KnownSet:
    """A published set. mirrors: URLs that are tried in turn. files: files to download, with their checksums.

    members: names of the files to unpack, if the download is a zip archive.
    fingerprint: SHA-256 of the training images' bytes, by which a folder that holds the set is recognised.
    """

    name: str
    licence: str
    source: str
    mirrors: tuple[str, ...]
    files: dict[str, str]
    members: tuple[str, ...] = ()
    fingerprint: str | None = None


def _idx_files(*checksums: str) -> dict[str, str]:
    return dict(zip(IDX_FILES, (f"md5:{checksum}" for checksum in checksums), strict=True))


KNOWN = {
    known.name: known
    for known in (
        KnownSet(
            name="mnist",
            licence="CC BY-SA 3.0",
            source="Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits",
            mirrors=(
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ),
            files=_idx_files(
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
            fingerprint="741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        ),
        KnownSet(
            name="fashion-mnist",
            licence="MIT",
            source="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747",
            mirrors=(
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            ),
            files=_idx_files(
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        KnownSet(
            name="kmnist",
            licence="CC BY-SA 4.0",
            source="T. Clanuwat et al., Deep Learning for Classical Japanese Literature, 2018, arXiv:1812.01718",
            mirrors=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
            files=_idx_files(
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        KnownSet(
            name="emnist-digits",
            licence="public domain (US government work)",
            source="G. Cohen, S. Afshar, J. Tapson, A. van Schaik, EMNIST, 2017, arXiv:1702.05373",
            mirrors=(
                "https://biometrics.nist.gov/cs_links/EMNIST/",
                "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/",
            ),
            files={"gzip.zip": "md5:58c8d27c78d21e728a6bc7b3cc06412e"},
            members=tuple(
                f"gzip/emnist-digits-{part}-{content}-ubyte.gz"
                for part in ("train", "test")
                for content in ("images-idx3", "labels-idx1")
            ),
        ),
    )
}


def download(known: KnownSet) -> Path:
    """Download a set's IDX files if they are missing. Returns the folder in the user's cache that holds them.

    A file appears in the folder only when it is complete and has the right checksum. Progress is shown on standard
    error if that is a terminal. The checksums of files that are already in the folder are not checked again. Raises
    NotFoundError, which says where to put which files, when no mirror provides them; MissingExtraError when the
    packages for downloads are not installed; OutputError when the cache cannot be written.
    """
    require_extra("train", f"download {known.name}; a folder with its files can be used without them")
    import pooch

    cache = Path(pooch.os_cache("aegen")) / known.name
    folder = cache / Path(known.members[0]).parent if known.members else cache
    needed = [Path(name).name for name in known.members or known.files]
    if not all(is_file(folder / name) for name in needed):
        remedy = f"Put {', '.join(needed)} into {folder}, or into any folder, and give its path as the data."
        with output_errors(cache):
            for name, checksum in known.files.items():
                _fetch(known, name, checksum, cache, remedy)
    return folder


def _fetch(known: KnownSet, name: str, checksum: str, cache: Path, remedy: str) -> None:
    """Download a file from the first mirror that has it with the right checksum; a zip archive is also unpacked.

    Raises NotFoundError if no mirror has the file.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    failures = []
    for mirror in known.mirrors:
        try:
            file = pooch.retrieve(mirror + name, checksum, name, cache, progressbar=on_terminal)
        except requests.RequestException as error:
            failures.append(f"{mirror} gave {type(error).__name__}")
        except ValueError:  # pooch raises ValueError for a wrong checksum
            failures.append(f"{mirror} gave a file with another checksum")
        else:
            _unpack(Path(file), known.members)
            return
    raise NotFoundError(f"{known.name}: {name} cannot be downloaded", found=", ".join(failures), remedy=remedy)


def _unpack(archive: Path, members: tuple[str, ...]) -> None:
    """Unpack members of a zip archive into the archive's folder; each file appears there only when it is complete."""
    if not members:
        return
    with zipfile.ZipFile(archive) as opened:
        for member in members:
            target = archive.parent / member
            target.parent.mkdir(exist_ok=True)
            with opened.open(member) as packed, new_file(target) as unpacked:
                shutil.copyfileobj(packed, unpacked)
