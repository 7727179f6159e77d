"""nginx in front of a hub: prefixes, upgrades that do not pass, cookies, redirects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.interop.builds import require
from tests.interop.processes import LineProcess, free_port
from tests.interop.servers import HubServer

_CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr notice;
events {{}}
http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  log_format asked '$request_method $request_uri $status';
  access_log /dev/stdout asked;
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
}}
"""


class Proxy:
    """Of one hub; ``asked`` are the requests so far: method, target, status."""

    def __init__(self, process: LineProcess, address: str) -> None:
        self._process = process
        self._address = address

    def url(self, location: str) -> str:
        """The hub behind one of the locations."""
        return f"{self._address}/{location}/chathub"

    async def asked(self, pattern: str) -> str:
        """Waits until a request was answered whose line has the pattern."""
        return (await self._process.line(pattern)).string


@asynccontextmanager
async def running_proxy(hub: HubServer, folder: Path) -> AsyncIterator[Proxy]:
    """Listens on loopback for as long as the block runs; skips the test where there is no nginx."""
    port = free_port()
    address = hub.url.rpartition("/")[0]
    file = folder / "nginx.conf"
    file.write_text(_CONFIGURATION.format(folder=folder, port=port, hub=address), "utf-8")
    process = await LineProcess.start(require("nginx"), "-e", "stderr", "-c", str(file))
    try:
        await process.line("nginx/")
        yield Proxy(process, f"http://127.0.0.1:{port}")
    finally:
        await process.kill()
