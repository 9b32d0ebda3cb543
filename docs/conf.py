"""How Sphinx builds the documentation. No page needs the network to be built."""

from importlib.metadata import version as installed_version
from pathlib import Path

import attrs
from sphinx.application import Sphinx

from katcp_aio import Limits

__all__ = ["setup"]

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "katcp_aio"
API = HERE / "reference" / "api"  # written anew by each build
LIMITS_TABLE = HERE / "reference" / "limits-table.md"  # as well

project = "katcp_aio"
author = "katcp_aio developers"
copyright = "katcp_aio developers"  # noqa: A001 - Sphinx's own name for it
release = installed_version("katcp-aio")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "reference/limits-table.md"]
# The word `type` in an annotation is the builtin, and several classes here have an attribute of that name.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"katcp_aio {release}"

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False


def write_api_pages(_app: Sphinx) -> None:
    """Write one page for each module of the package, so that none can be forgotten.

    Objects are described on the page of the file that defines them; the page of a package is its docstring alone.
    """
    pages = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts):
            continue
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        option = "   :no-members:\n" if is_package else ""
        pages[f"{name}.md"] = f"# {name}\n\n```{{eval-rst}}\n.. automodule:: {name}\n{option}```\n"
    API.mkdir(exist_ok=True)
    for stale in {page.name for page in API.glob("katcp_aio*.md")} - pages.keys():
        (API / stale).unlink()
    for page, text in pages.items():
        target = API / page
        if not target.exists() or target.read_text(encoding="utf-8") != text:  # unchanged pages are not built again
            target.write_text(text, encoding="utf-8")


def write_limits_table(_app: Sphinx) -> None:
    """Write the table of bounds from the class itself, so that it is never out of date."""
    lines = ["| bound | default | what it is; what happens beyond it |", "|---|---|---|"]
    lines += [f"| `{field.name}` | {field.default:,} | {field.metadata['reason']} |" for field in attrs.fields(Limits)]
    text = "\n".join(lines) + "\n"
    if not LIMITS_TABLE.exists() or LIMITS_TABLE.read_text(encoding="utf-8") != text:
        LIMITS_TABLE.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.connect("builder-inited", write_api_pages)
    app.connect("builder-inited", write_limits_table)
