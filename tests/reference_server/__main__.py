"""``python -m tests.reference_server --port N``: serves on 127.0.0.1 until a signal ends it.

Prints ``listening on http://127.0.0.1:N`` when it is ready. Port 0 takes a free port.
"""

import argparse
import asyncio
import logging
import signal
import sys

from aiohttp import web

from .app import create_app

BACKLOG = 1024

# Failing hub methods, refused calls and connections, and subprotocols that are not selected are
# part of the tests. Other log lines fail them.
EXPECTED_COMPLAINTS = (
    "protocol.hosting.access",
    "protocol.server.answers",
    "protocol.server.connection",
    "protocol.server.hub_events",
    "protocol.server.refusal_log",
    "aiohttp.websocket",
)


async def serve(port: int) -> None:
    """Serves until SIGTERM, SIGINT or ``POST /shutdown``."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(create_app(stopped.set), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=BACKLOG).start()
        host, bound_port = runner.addresses[0][:2]
        sys.stdout.write(f"listening on http://{host}:{bound_port}\n")
        sys.stdout.flush()
        await stopped.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.reference_server")
    parser.add_argument("--port", type=int, default=5100)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    for name in EXPECTED_COMPLAINTS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.run(serve(arguments.port))


if __name__ == "__main__":
    main()
