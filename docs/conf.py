"""How the pages of this folder become a site: `make docs`."""

import sys
from importlib import metadata
from pathlib import Path

from pygments.lexers.python import PythonLexer
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from settings_table import SettingsTable  # noqa: E402  -- beside this file

project = "MedGEN engine"
author = "the authors of MedGEN engine"
release = metadata.version("medgen-engine")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_llms_txt",
]
exclude_patterns: list[str] = []
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
python_use_unqualified_type_names = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Nothing is fetched from elsewhere: the theme brings its fonts' names and scripts with it.
html_theme = "furo"
html_title = f"MedGEN engine {release}"
html_show_copyright = False
html_show_sourcelink = False

llms_txt_summary = (
    "Evaluates multimodal medical models on MedGEN-Bench and benchmarks of its kind: on a laptop "
    "or a Ray cluster, with every sample accounted for and every value with a passport."
)
llms_txt_full_file = True


def setup(app: Sphinx) -> None:
    """What two kinds of fences are read as, and the directive of this folder."""
    app.add_lexer("mermaid", TextLexer)
    app.add_lexer("pandas", PythonLexer)
    app.add_directive("settings-table", SettingsTable)
