"""The tests, bounds and pages that the documentation names are there."""

import ast
import functools
import re
from pathlib import Path

import attrs
import pytest

from katcp_aio import Limits

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
NAMED = re.compile(r"`((?:\w+/)*test_\w+\.py)::(\w+)`")
PAGES = sorted(
    page for page in [ROOT / "SECURITY.md", *(ROOT / "docs").glob("*/*.md")] if NAMED.search(page.read_text("utf-8"))
)


@functools.cache
def names_in(file):
    """Return the names of the tests in a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_some_pages_name_tests():
    assert {page.name for page in PAGES} >= {"cancellation.md", "limits.md", "threat-model.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_that_a_page_names_exist(page):
    named = NAMED.findall(page.read_text("utf-8"))
    missing = [f"{file}::{name}" for file, name in named if not (TESTS / file).is_file() or name not in names_in(file)]
    assert not missing, f"{page.name} names tests that there are not: {missing}"


def test_each_bound_has_its_test_on_the_page_of_limits():
    page = (ROOT / "docs" / "reference" / "limits.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(?:\w+/)*test_\w+\.py::test_\w+` \|$", page, re.MULTILINE)
    assert rows == [field.name for field in attrs.fields(Limits)]


def test_each_threat_has_its_test_and_names_real_bounds():
    page = (ROOT / "docs" / "explanation" / "threat-model.md").read_text("utf-8")
    rows = re.findall(r"^\| [STRIDE] \|.*\|$", page, re.MULTILINE)
    assert len(rows) >= 40
    bounds = {field.name for field in attrs.fields(Limits)}
    for row in rows:
        *_, limit, shown_by = (cell.strip() for cell in row[1:-1].split("|"))
        assert NAMED.search(shown_by), row
        assert set(re.findall(r"`(\w+)`", limit)) <= bounds, row


@pytest.mark.parametrize("link", re.findall(r"\]\(([\w/.-]+\.md)\)", (ROOT / "SECURITY.md").read_text("utf-8")))
def test_links_of_the_security_policy_lead_somewhere(link):
    assert (ROOT / link).is_file()
