"""nginx in front of a hub: prefixes, upgrades that nginx drops, cookies, redirects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.interop.nginx import running_nginx
from tests.interop.processes import LineProcess, free_port
from tests.interop.servers import HubServer

_SITE: Final = """
log_format asked '$request_method $request_uri $status';
proxy_http_version 1.1;
proxy_buffering off;
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
map "$request_method$uri$cookie_route" $is_lost {{
  default 1;
  ~/negotiate 0;
  ~chosen$ 0;
}}
server {{
  listen 127.0.0.1:{port};
  access_log /dev/stdout asked;
  location /upgrading/ {{
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_pass {hub}/;
  }}
  location /plain/ {{
    proxy_set_header Connection '';
    proxy_pass {hub}/;
  }}
  location /sticky/ {{
    if ($is_lost) {{ return 404; }}
    add_header Set-Cookie 'route=chosen; Path=/sticky; HttpOnly';
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_pass {hub}/;
  }}
  location ~ ^/moved/(.*)$ {{
    return 307 /upgrading/$1$is_args$args;
  }}
}}
"""


class Proxy:
    """An nginx in front of one hub. ``asked`` are the requests so far: method, target, status."""

    def __init__(self, process: LineProcess, address: str) -> None:
        self._process = process
        self._address = address

    def url(self, location: str) -> str:
        """The URL of the hub at one of the locations."""
        return f"{self._address}/{location}/chathub"

    async def asked(self, pattern: str) -> str:
        """Waits until the log has a request whose line matches the pattern."""
        return (await self._process.line(pattern)).string


@asynccontextmanager
async def running_proxy(hub: HubServer, folder: Path) -> AsyncIterator[Proxy]:
    """Listens on loopback within the block; skips the test if there is no nginx."""
    port = free_port()
    site = _SITE.format(port=port, hub=hub.url.rpartition("/")[0])
    async with running_nginx(site, folder) as process:
        yield Proxy(process, f"http://127.0.0.1:{port}")
