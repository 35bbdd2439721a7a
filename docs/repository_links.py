"""A Sphinx extension for links from a page to files and folders of the repository outside the folder docs.

Pages are also read in the repository itself, where such links work. On the site they lead to the repository's address,
which is `Source` in the URLs of pyproject.toml; without an address they become plain text. A link to something that
does not exist is an error of the build.
"""

import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCE = PROJECT.get("urls", {}).get("Source", "").rstrip("/")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension. Sphinx calls this function."""
    app.connect("doctree-read", replace_links)
    return {"parallel_read_safe": True}


def replace_links(app: Sphinx, doctree: nodes.document) -> None:
    """Replace the links of a page that lead out of the folder docs. Sphinx calls this function for each page."""
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        path = _target(str(node.get("reftarget", "")))
        if path is None or path.is_relative_to(DOCS):
            continue
        if not path.exists():
            logging.getLogger(__name__).warning("%s does not exist", path, location=node)
        node.replace_self(_link(path, node))


def _target(target: str) -> Path | None:
    """The file or folder that a link means, or None for a link within the site.

    target: the link as the parser returns it: an absolute path without .md for a page, otherwise a relative path.
    """
    path = target.partition("#")[0]
    if path.startswith("/"):
        return Path(path) if Path(path).exists() else Path(f"{path}.md")
    return (DOCS / path).resolve() if path.startswith("..") else None


def _link(path: Path, node: Any) -> nodes.Node:
    """A link to a file or folder of the repository, with the text of `node`; only the text if SOURCE is empty."""
    if not SOURCE:
        return nodes.inline("", "", *node.children)
    return nodes.reference("", "", *node.children, refuri=f"{SOURCE}/blob/main/{path.relative_to(ROOT).as_posix()}")
