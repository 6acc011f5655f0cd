"""How Sphinx builds the site: ``make docs``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

project = "Zeroskip"
author = "the Zeroskip authors"
project_copyright = author
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "generate.extension",
]
exclude_patterns = ["data", "generate"]
suppress_warnings = ["config.cache"]

html_theme = "furo"
html_title = "Zeroskip"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
napoleon_google_docstring = False
napoleon_use_rtype = False
