"""The console page: its files, and the status that it shows."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib import resources

import pytest

from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes

CONSOLE = resources.files("signalr_gateway.http") / "console"


class Page(HTMLParser):
    """Collects ids, what the page loads, and what a strict policy would forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.labelled: set[str] = set()
        self.inline: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        if tag == "label":
            self.labelled.add(attributes["for"] or "")
        address = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        if address:
            self.loads.append(address)
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)
        self.inline += [name for name in attributes if name == "style" or name.startswith("on")]


@pytest.fixture
def page() -> Page:
    page = Page()
    page.feed((CONSOLE / "index.html").read_text(encoding="utf-8"))
    return page


def test_ids_are_unique_and_those_that_tests_rely_on_are_there(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert {
        "hubs",
        "events",
        "invoke-form",
        "invoke-route",
        "invoke-body",
        "invoke-send",
        "invoke-stop",
        "invoke-result",
        "connection-state",
        "clients",
    } <= set(page.ids)


def test_every_field_has_a_label(page: Page) -> None:
    assert {"invoke-route", "invoke-body"} <= page.labelled


def test_the_script_finds_every_element_it_asks_for(page: Page) -> None:
    script = (CONSOLE / "console.js").read_text(encoding="utf-8")
    asked = set(re.findall(r'byId\("([^"]+)"\)', script))
    assert asked
    assert asked <= set(page.ids)


def test_nothing_is_ever_put_on_the_page_as_markup() -> None:
    script = (CONSOLE / "console.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_the_page_needs_nothing_that_its_policy_forbids(page: Page) -> None:
    assert page.inline == []
    assert all(address.startswith("console/") for address in page.loads)


async def test_the_page_and_its_files(gateway: RunningGateway, page: Page) -> None:
    for path in ["", *page.loads]:
        answer = await gateway.request("GET", f"/{path}")
        assert answer.status == 200
        assert answer.body
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (await gateway.request("GET", "/console/nosuch")).status == 404


async def test_the_status_shows_hubs_routes_and_clients(gateway: RunningGateway) -> None:
    async with gateway.client():
        answer = await gateway.request("GET", "/console/status.json")
    status = json.loads(answer.body)
    assert (status["status"], status["gatewayHub"], status["clients"]) == ("ok", "/gatewayhub", 1)
    (hub,) = status["hubs"]
    assert (hub["api"], hub["state"], hub["lastError"]) == ("sample", "connected", None)
    assert hub["events"] == {"forwarded": 0, "misfit": 0, "unrouted": 0, "unwritable": 0}
    assert hub["routes"][0] == {
        "key": "room",
        "invokeMethod": "SendMessage",
        "streams": False,
        "examples": [],
        "receiveMethod": "ReceiveMessage",
        "receiveParameterTypes": ["String", "String"],
        "broadcastType": "All",
        "receiveGroup": None,
        "spread": False,
    }


async def test_the_status_holds_no_secret(hub: RunningHub) -> None:
    async with running_gateway(
        lambda o: sample_routes(o, f"{hub.url}?access_token=HUSH", receive_key="HUSH")
    ) as gateway:
        assert b"HUSH" not in (await gateway.request("GET", "/console/status.json")).body


async def test_the_status_without_a_gateway_hub(hub: RunningHub) -> None:
    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.start_gateway_hub = False

    async with running_gateway(orchestrate) as gateway:
        status = json.loads((await gateway.request("GET", "/console/status.json")).body)
    assert (status["gatewayHub"], status["clients"]) == (None, 0)


async def test_the_console_can_be_left_out(hub: RunningHub) -> None:
    async with running_gateway(lambda o: sample_routes(o, hub.url), console=False) as gateway:
        assert (await gateway.request("GET", "/")).status == 404
        assert (await gateway.request("GET", "/console/status.json")).status == 404
