"""Settings of the documentation site. `python -m sphinx -W docs build/site` builds it."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the extensions in this folder

project = "aegen"
version = release = version_of("aegen")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "docstring_fields", "repository_links"]

html_theme = "furo"
html_title = f"aegen {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_show_copyright = False

myst_heading_anchors = 4  # makes links such as `page.md#heading` work, as they do in the repository
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give dtypes and shapes, which say more
autodoc_preserve_defaults = True
