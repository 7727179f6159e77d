"""The reference server in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.checkout import ROOT


@contextmanager
def running_reference_server(log: Path) -> Iterator[str]:
    """Serves on a free port; gives the URL. What the process has to say goes to ``log``."""
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.reference_server", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, "TZ": "UTC"},  # as on the machine of the recordings
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("listening on ").strip()
            if not url:
                raise RuntimeError(f"The reference server did not start: {log.read_text()}")
            yield url
        finally:
            process.terminate()
            process.wait(timeout=30)
