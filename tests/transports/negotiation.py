"""The negotiate request with which most tests of endpoints begin."""

from typing import Any

import aiohttp


async def negotiate(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.post(url) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert "Content-Length" in response.headers
        body: dict[str, Any] = await response.json()
    return body
