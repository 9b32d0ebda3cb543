"""The Python code that README.md and docs/ show is run, page by page.

The blocks of a page run in order and share their names; ``await`` and ``async with`` may stand at top level, and all
of a page runs in one event loop. A block after the comment ``<!-- no-run: reason -->`` is only compiled.
"""

import ast
import asyncio
import inspect
import re
import sys
import types
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("[!_]*/**/*.md")), *sorted((ROOT / "docs").glob("*.md"))]
TIME_LIMIT = 90  # seconds a page
BLOCK = re.compile(
    r"(?:^[ ]*<!--[ ]no-run:[ ]*(?P<reason>[^\n]*?)[ ]*-->\n\s*)?"
    r"^(?P<indent>[ ]*)(?P<fence>`{3,})(?:python|\{code-block\}[ ]python)[ ]*\n"
    r"(?P<code>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One block of code, after as many empty lines as the page has before it: a traceback then points at the page."""

    code: str
    reason: str | None  # why it is not run


def blocks(text):
    for found in BLOCK.finditer(text):
        code = "".join(line.removeprefix(found["indent"]) for line in found["code"].splitlines(keepends=True))
        yield Block("\n" * text.count("\n", 0, found.start("code")) + code, found["reason"])


def compile_block(block, filename):
    return compile(block.code, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def run_page(text, filename):
    page = types.ModuleType("docs_page")  # a module, for what looks up a class's module to read its annotations
    sys.modules[page.__name__] = page
    try:
        with asyncio.Runner() as runner:
            for block in blocks(text):
                code = compile_block(block, filename)
                if block.reason is not None:
                    continue
                if code.co_flags & inspect.CO_COROUTINE:
                    runner.run(eval(code, page.__dict__))
                else:
                    exec(code, page.__dict__)
            left = asyncio.all_tasks(runner.get_loop())
            assert not left, f"the page left tasks running: {left}"
    finally:
        del sys.modules[page.__name__]
    return page


PAGES_WITH_CODE = [page for page in PAGES if any(blocks(page.read_text(encoding="utf-8")))]


@pytest.mark.timeout(TIME_LIMIT)
@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text(encoding="utf-8"), str(page))


def test_blocks_share_names_and_a_loop():
    page = run_page(
        "```python\nimport asyncio\nloop = asyncio.get_running_loop()\nawait asyncio.sleep(0)\n```\n"
        "text\n"
        "```console\n$ not python\n```\n"
        "```python\ndef same():\n    return asyncio.get_running_loop() is loop\n```\n"
        "  ```python\n  async with asyncio.timeout(5):\n      found = same()\n  ```\n",
        "page.md",
    )
    assert page.found is True


def test_a_block_that_is_not_to_run_is_compiled():
    run_page("<!-- no-run: for ever -->\n\n```python\nwhile True: pass\n```\n", "page.md")
    with pytest.raises(SyntaxError):
        run_page("<!-- no-run: for ever -->\n```python\nwhile True\n```\n", "page.md")


def test_an_error_names_the_line_of_the_page():
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("# Title\n\n```python\na = 1\n1 / 0\n```\n", "page.md")
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == ("page.md", 5)
