"""The page at /swagger/index.html: its addresses, its files, and its text without them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib import util
from urllib.parse import urljoin, urlsplit

import msgspec
import pytest

from signalr_gateway.http.openapi import openapi_document
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway

PAGE = "/swagger/index.html"
DOCUMENT = "/swagger/v1/swagger.json"


class Page(HTMLParser):
    """Collects what a page loads and links to, and what a strict policy would forbid."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        address = attributes.get("src") or attributes.get("href")
        if address:
            (self.links if tag == "a" else self.loads).append(address)
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(lambda _: None) as gateway:
        yield gateway


@pytest.fixture
async def without_package(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningGateway]:
    """A gateway without Swagger UI installed."""
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    async with running_gateway(lambda _: None) as gateway:
        yield gateway


async def get(gateway: RunningGateway, path: str) -> Answer:
    return await gateway.request("GET", path)


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/swagger", "swagger/index.html"),
        ("/Swagger", "swagger/index.html"),
        ("/swagger/", "index.html"),
        ("/SWAGGER/", "index.html"),
    ],
)
async def test_the_short_addresses_lead_to_the_page(
    gateway: RunningGateway, path: str, location: str
) -> None:
    """GW-12."""
    answer = await get(gateway, path)
    assert (answer.status, answer.headers["Location"]) == (301, location)
    assert urljoin(f"http://gateway/prefix{path}", location).lower().endswith(f"/prefix{PAGE}")


@pytest.mark.parametrize("path", [PAGE, "/Swagger/Index.html", "/SWAGGER/INDEX.HTML"])
async def test_the_page_loads_only_its_own_files(gateway: RunningGateway, path: str) -> None:
    """GW-12: it works offline."""
    answer = await get(gateway, path)
    assert answer.status == 200
    page = Page(answer.body.decode())
    assert page.inline == []
    assert {"swagger-ui-bundle.js", "swagger-ui.css", "initializer.js"} <= set(page.loads)
    for address in [*page.loads, *page.links]:
        assert not urlsplit(address).netloc
        assert not address.startswith("/")  # relative, so that a proxy may add a prefix
        file = await get(gateway, urljoin(path, address))
        assert file.status == 200
        assert file.body


async def test_the_policy_is_strict(gateway: RunningGateway) -> None:
    for path in (PAGE, "/swagger/swagger-ui-bundle.js", "/swagger/initializer.js", DOCUMENT):
        answer = await get(gateway, path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        (PAGE, "text/html; charset=utf-8"),
        ("/swagger/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/swagger/initializer.js", "text/javascript; charset=utf-8"),
        ("/swagger/swagger-ui.css", "text/css; charset=utf-8"),
        ("/swagger/favicon-32x32.png", "image/png"),
        (DOCUMENT, "application/json; charset=utf-8"),
    ],
)
async def test_content_types(gateway: RunningGateway, path: str, content_type: str) -> None:
    """Without its charset the bundle does not parse."""
    assert (await get(gateway, path)).headers["Content-Type"] == content_type


async def test_the_large_files_are_sent_once(gateway: RunningGateway) -> None:
    path = "/swagger/swagger-ui-bundle.js"
    first = await get(gateway, path)
    assert first.headers["Cache-Control"] == "no-cache"  # browsers ask whether it has changed
    headers = {"If-None-Match": first.headers["ETag"]}
    assert (await gateway.request("GET", path, headers=headers)).status == 304


async def test_the_page_asks_no_third_party(gateway: RunningGateway) -> None:
    script = (await get(gateway, "/swagger/initializer.js")).body.decode()
    assert 'url: "v1/swagger.json"' in script
    assert "validatorUrl: null" in script
    assert "://" not in script


async def test_the_document_is_that_of_the_orchestration(gateway: RunningGateway) -> None:
    """GW-12."""
    for path in (DOCUMENT, "/Swagger/V1/Swagger.json"):
        assert (await get(gateway, path)).body == openapi_document(Orchestrator())


@pytest.mark.parametrize("path", [PAGE, DOCUMENT, "/swagger", "/swagger/initializer.js"])
async def test_other_verbs_are_not_allowed(gateway: RunningGateway, path: str) -> None:
    answer = await gateway.request("POST", path)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
    assert (await gateway.request("HEAD", path)).status in (200, 301)


@pytest.mark.parametrize("path", ["/swagger/nosuch", "/swagger/../pyproject.toml", "/swaggers"])
async def test_nothing_else_is_served(gateway: RunningGateway, path: str) -> None:
    assert (await get(gateway, path)).status == 404


async def test_without_the_package_the_page_says_what_to_install(
    without_package: RunningGateway,
) -> None:
    answer = await get(without_package, PAGE)
    assert answer.status == 501
    text = answer.body.decode()
    assert 'pip install "signalr-gateway[swagger]"' in text
    page = Page(text)
    assert (page.loads, page.inline, page.links) == ([], [], ["v1/swagger.json"])
    assert (await get(without_package, "/swagger/swagger-ui-bundle.js")).status == 404
    document = msgspec.json.decode((await get(without_package, DOCUMENT)).body)
    assert document["openapi"] == "3.1.0"


async def test_can_be_left_out() -> None:
    async with running_gateway(lambda _: None, swagger=False) as gateway:
        for path in ("/swagger", PAGE, DOCUMENT):
            assert (await get(gateway, path)).status == 404
