"""The leak check of conftest.py finds what it is there to find, and lets pass what is clean."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = """
import asyncio, socket, threading, time
import pytest

KEPT = []

async def test_leaves_a_task():
    KEPT.append(asyncio.create_task(asyncio.sleep(30)))

def test_leaves_a_thread():
    threading.Thread(target=time.sleep, args=(2,), daemon=True).start()

def test_leaves_a_socket():
    KEPT.append(socket.socket())

def test_leaves_a_socket_to_the_collector():
    socket.socket()

@pytest.mark.leaks("to see that it may")
def test_clean_by_leave():
    KEPT.append(socket.socket())

@pytest.fixture(scope="module")
def shared():
    with socket.socket() as listener:
        yield listener

@pytest.fixture
async def background():
    task = asyncio.create_task(asyncio.sleep(30))
    yield task
    task.cancel()

async def test_clean_fixtures(shared, background):
    await asyncio.to_thread(int)

async def test_clean_streams():
    async def serve(reader, writer):
        await reader.read()
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()

def test_clean_closes():
    for kept in KEPT:
        getattr(kept, "close", int)()
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="sockets are counted where /proc is")
def test_leak_check(tmp_path):
    shutil.copy(HERE / "conftest.py", tmp_path)
    shutil.copy(HERE.parent / "pyproject.toml", tmp_path)
    (tmp_path / "test_inner.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "test_inner.py"]
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=150).stdout
    blamed = {
        line.split()[1].partition("::")[2] for line in output.splitlines() if line.startswith(("ERROR ", "FAILED "))
    }
    assert blamed == {
        "test_leaves_a_task",
        "test_leaves_a_thread",
        "test_leaves_a_socket",
        "test_leaves_a_socket_to_the_collector",
    }, output
