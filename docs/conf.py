"""How Sphinx builds the documentation. No page needs the network to be built."""

from importlib.metadata import version as installed_version

__all__: list[str] = []

project = "katcp_aio"
author = "katcp_aio developers"
copyright = "katcp_aio developers"  # noqa: A001 - Sphinx's own name for it
release = installed_version("katcp-aio")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"katcp_aio {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
