"""docs/extending.md is true: its examples run, and the names in its tables exist."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Final

import aiohttp
import pytest

import protocol
from protocol import HubException, testing
from signalr_gateway.serving.listener import serving
from tests.project.test_docs import loaded
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks, code_files, code_names, prose, table

EXTENDING: Final = ROOT / "docs" / "extending.md"
LIBRARY: Final = ROOT / "docs" / "library.md"
AUTHENTICATION: Final = ROOT / "docs" / "authentication.md"
FILES: Final = code_files(EXTENDING, "python")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples as files."""
    for name, source in FILES.items():
        (tmp_path / name).write_text(source, encoding="utf-8")
    return tmp_path


def run_pytest(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as a user without plugins does."""
    argv = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*argv, "--rootdir=.", *files],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=50,
    )


def test_the_contract_suites_run_without_plugins(folder: Path) -> None:
    """In a folder of their own; a failure would fail the run."""
    done = run_pytest(folder, "test_extensions.py")
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 40


FAULTY: Final = """
from protocol.testing import lifetime_contract, retry_contract
from protocol.testing import HubLifetimeContract, RetryPolicyContract


class TestPolicy(RetryPolicyContract):
    def make(self):
        answers = iter([5.0])
        return lambda context: next(answers, None)
"""


def test_a_failure_shows_the_values(tmp_path: Path) -> None:
    """Although the module was imported by its own name before."""
    (tmp_path / "test_faulty.py").write_text(FAULTY, encoding="utf-8")
    done = run_pytest(tmp_path, "test_faulty.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "assert (None is None) is (5.0 is None)" in done.stdout


async def test_the_lifetime_manager(tmp_path: Path) -> None:
    """It is started with the application, and writes its table."""
    path = tmp_path / "online.db"
    app = loaded(FILES["presence.py"], tmp_path).make_app(str(path))
    async with serving(app, "127.0.0.1", 0) as url:
        make_connection = loaded(FILES["patience.py"], tmp_path).make_connection
        async with make_connection(f"{url}/rooms") as connection:
            with pytest.raises(HubException):  # the answer is sent after on_connected
                await connection.invoke("Nothing")
            with sqlite3.connect(path) as database:
                rows = database.execute("SELECT id, user FROM online").fetchall()
            database.close()
            assert rows == [(connection.connection_id, None)]
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.get(url)


async def test_a_link_that_is_cut(tmp_path: Path) -> None:
    app = loaded(FILES["presence.py"], tmp_path).make_app(":memory:")
    async with serving(app, "127.0.0.1", 0) as url:
        await loaded(FILES["cut_links.py"], tmp_path).lose_a_connection(f"{url}/rooms")


def test_interfaces() -> None:
    rows = table(EXTENDING, "interface", "passed to")
    assert [row[0] for row in rows] == ["HubLifetimeManager", "HubProtocol", "RetryPolicy"]
    assert {name for row in rows for name in row[2].split(", ")} == {
        name for name in testing.__all__ if "Contract" in name
    }


def test_tools() -> None:
    rows = table(EXTENDING, "protocol.testing", "needs pytest")
    assert sorted(row[0] for row in rows) == testing.__all__
    assert all((row[1] == "yes") is row[0].endswith("Contract") for row in rows)


def test_every_public_name_is_documented() -> None:
    """In one of the pages about the library."""
    words = {
        word
        for page in (EXTENDING, LIBRARY, AUTHENTICATION)
        for code in (*code_names(prose(page)), *code_blocks(page, "python"))
        for word in re.findall(r"\w+", code)
    }
    assert set(protocol.__all__) - words == set()
