"""The program of a gateway under load: ``python gateway_server.py asyncio|uvloop HUB_PORT``.

The program imports ``signalr_gateway`` from PYTHONPATH and uses only the command line of the
package, so that it can serve any version of the gateway. It prints its address when it serves, and
ends when its standard input ends.
"""

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

_ORCHESTRATION = """
[hubs.bench]
url = "http://127.0.0.1:{port}/hub"

[hubs.bench.routes.echo]
invoke_method = "Echo"
receive_method = "Event"
"""


def _stop_with_standard_input() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main(loop: str, hub_port: str) -> int:
    """Serve until standard input ends."""
    if loop == "asyncio":
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    from signalr_gateway.cli import main as run_command

    threading.Thread(target=_stop_with_standard_input, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        orchestration = Path(folder, "gateway.toml")
        orchestration.write_text(_ORCHESTRATION.format(port=hub_port), encoding="utf-8")
        arguments = ["run", str(orchestration), "--port", "0", "--log-level", "error"]
        return run_command([*arguments, *(["--uvloop"] if loop == "uvloop" else [])])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
