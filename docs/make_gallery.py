"""Make the images of the gallery anew, with the commands of its page.

    python docs/make_gallery.py --data FOLDER

FOLDER holds the four files of MNIST. The commands run in a temporary folder with links to these files, and the images
that the page shows are copied to docs/gallery. The report is shown as Chromium shows it, so Chromium must be installed.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DOCS = Path(__file__).resolve().parent


def main() -> None:
    """Run the commands of the page, and copy the images that it shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="Folder with the files of MNIST.")
    data: Path = parser.parse_args().data
    page = (DOCS / "gallery.md").read_text()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        mnist = folder / "cache" / "aegen" / "mnist"  # where `--data mnist` looks before it downloads
        mnist.mkdir(parents=True)
        for file in data.iterdir():
            (folder / file.name).symlink_to(file.resolve())
            (mnist / file.name).symlink_to(file.resolve())
        for command in commands(page):
            began = time.monotonic()
            run(command, folder)
            print(f"{time.monotonic() - began:6.1f} s  {command}", flush=True)  # noqa: T201
        photograph(folder / "report.html")
        (DOCS / "gallery").mkdir(exist_ok=True)
        for name in shown(page):
            shutil.copyfile(folder / name, DOCS / "gallery" / name)


def commands(page: str) -> list[str]:
    """The lines of all blocks of `bash` in a page."""
    return [line for block in re.findall(r"^```bash\n(.*?)^```$", page, re.S | re.M) for line in block.splitlines()]


def shown(page: str) -> list[str]:
    """The names of the files in the folder `gallery` that a page shows."""
    return re.findall(r"^!\[.*?\]\(gallery/(.*?)\)$", page, re.M)


def run(command: str, folder: Path) -> None:
    """Run a command of aegen or a script of the repository in a folder, whose sub-folder `cache` is for downloads."""
    env = {**os.environ, "AEGEN_MODEL": "", "XDG_CACHE_HOME": str(folder / "cache")}
    program, *arguments = shlex.split(command)
    script = ["-m", "aegen"] if program == "aegen" else [DOCS.parent / arguments.pop(0)]
    subprocess.run([sys.executable, *script, *arguments], cwd=folder, env=env, check=True)  # noqa: S603


def photograph(page: Path) -> None:
    """Write a PNG file of the top of an HTML page beside the page, with the same name."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        opened = browser.new_page(viewport={"width": 1000, "height": 1100})
        opened.goto(page.as_uri())
        opened.screenshot(path=page.with_suffix(".png"))
        browser.close()


if __name__ == "__main__":
    main()
