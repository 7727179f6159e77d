"""Debian's nginx in front of a hub, with the configuration of a test, and its log."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import Final

from tests.interop.builds import require
from tests.interop.processes import LineProcess, free_port
from tests.support.checkout import ROOT
from tests.support.documents import code_blocks

# The settings of Debian's nginx.conf in the http block, except for files of the system.
_MAIN: Final = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    gzip on;
    log_format told '"$http_accept" "$http_upgrade" $status "$sent_http_content_type"';
    access_log /dev/stdout told;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""

USUAL: Final = """
server {
    listen 80;
    location / { proxy_pass http://127.0.0.1:8080; }
}
"""
"""The smallest configuration of a proxy."""


def documented() -> str:
    """The configuration that docs/deployment.md recommends."""
    [site] = code_blocks(ROOT / "docs" / "deployment.md", "nginx")
    return site


@dataclass(frozen=True)
class Proxy:
    """A running nginx."""

    address: str
    process: LineProcess

    async def served(self, pattern: str) -> None:
        """Waits until the log has a line with this text."""
        await self.process.line(pattern)


@asynccontextmanager
async def nginx_before(hub_url: str, site: str, folder: Path) -> AsyncIterator[Proxy]:
    """nginx with ``site``, its two addresses replaced: what it listens on, and where the hub is."""
    port = free_port()
    origin = re.match(r"http://[^/]+", hub_url)
    assert origin is not None
    assert site.count("listen 80;") == site.count("http://127.0.0.1:8080") == 1
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
    site = site.replace("http://127.0.0.1:8080", origin[0])
    async with running_nginx(site, folder) as process:
        yield Proxy(f"http://127.0.0.1:{port}", process)


@asynccontextmanager
async def running_nginx(site: str, folder: Path) -> AsyncIterator[LineProcess]:
    """nginx with ``site``, within the block; skips the test if there is no nginx."""
    user = f"user {getuser()};"  # the folder is its own
    configuration = folder / "nginx.conf"
    configuration.write_text(_MAIN.format(folder=folder, site=site, user=user), "utf-8")
    process = await LineProcess.start(
        require("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(configuration)
    )
    try:
        await process.line("start worker process ")
        yield process
    finally:
        await process.interrupt()
