"""GW-3, GW-5, GW-6: the orchestration as a TOML file, and how its mistakes are reported."""

from __future__ import annotations

import inspect
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocol import HttpTransportType, HubConnection, HubConnectionBuilder
from signalr_gateway.config.file import ConfigError, GatewayConfig, load_config
from signalr_gateway.config.gateway_hub import HUB_PROTOCOLS
from signalr_gateway.config.schema import HubTable, Listen
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.tls import CertificatePair

HUSH = "hush-hush"

FULL = """
start_gateway_hub = false
gateway_hub_url = "https://localhost:44360/GatewayHub"

[listen]
host = "0.0.0.0"
port = 8443
certificate = "tls/certificate.pem"
key = "/etc/key.pem"

[limits]
maximum_body_size = 2000
maximum_depth = 16
body_timeout = 2.5
headers_timeout = 3.5
send_timeout = 4.5
maximum_memory = 1000000
maximum_connections = 100
maximum_outbound_buffer_size = 5000

[hubs.ChatService]
url = "http://localhost:53353/ChatHub"
receive_key = "2f85"
maximum_message_size = 65536
maximum_event_size = 99
invoke_timeout = 7

[hubs.ChatService.routes.Room]
invoke_method = "SendMessage"
receive_method = "ReceiveMessage"
receive_parameter_types = ["string", "System.String"]

[hubs.ChatService.routes.group]
receive_method = "ToGroup"
broadcast_type = "group"
receive_group = "ChatGroup"

[hubs.ChatService.routes.one]
invoke_method = "Echo"
receive_method = "ToOne"
broadcast_type = "Individual"
spread = true
invoke_timeout = 2
maximum_body_size = 100
summary = "Comes back"
examples = [["text"], [{ name = "John" }, 1]]

[hubs."other hub"]
url = "wss://127.0.0.1:9/hub"
maximum_message_size = "unlimited"
maximum_event_size = "unlimited"

[hubs."other hub".routes."a/b"]
invoke_method = "I"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return file


def loaded(folder: Path, text: str) -> GatewayConfig:
    return load_config(written(folder, text))


def build(builder: HubConnectionBuilder) -> HubConnection:
    raise AssertionError("only compared")


def the_same_in_python() -> Orchestrator:
    orchestrator = Orchestrator()
    orchestrator.add_hub(
        "ChatService",
        build,
        receive_key="2f85",
        maximum_message_size=65536,
        invoke_timeout=7,
        maximum_event_size=99,
    ).add_route(
        "Room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=["String", "String"],
        ),
    ).add_route(
        "group",
        HubRouteInfo(
            receive_method="ToGroup",
            broadcast_type=BroadcastType.GROUP,
            receive_group="ChatGroup",
        ),
    ).add_route(
        "one",
        HubRouteInfo(
            invoke_method="Echo",
            receive_method="ToOne",
            broadcast_type=BroadcastType.INDIVIDUAL,
            spread=True,
            invoke_timeout=2,
            maximum_body_size=100,
            summary="Comes back",
            examples=[["text"], [{"name": "John"}, 1]],
        ),
    ).add_hub("other hub", build, maximum_message_size=None, maximum_event_size=None).add_route(
        "a/b", HubRouteInfo(invoke_method="I")
    )
    return orchestrator


def test_a_file_gives_the_same_orchestration_as_python(tmp_path: Path) -> None:
    """GW-3: several hubs, routes of every kind, all fields."""
    config = loaded(tmp_path, FULL)
    expected = the_same_in_python()
    assert list(config.orchestrator.hubs) == list(expected.hubs)
    for api, hub in config.orchestrator.hubs.items():
        other = expected.hubs[api]
        assert dict(hub.routes) == dict(other.routes)
        assert (hub.receive_key, hub.maximum_message_size, hub.invoke_timeout) == (
            other.receive_key,
            other.maximum_message_size,
            other.invoke_timeout,
        )
        assert hub.maximum_event_size == other.maximum_event_size
    assert config.orchestrator.start_gateway_hub is False
    assert config.orchestrator.gateway_hub_path == "/GatewayHub"
    assert config.listen == Listen(
        host="0.0.0.0",
        port=8443,
        certificate=tmp_path / "tls" / "certificate.pem",
        key=Path("/etc/key.pem"),
    )
    assert config.limits == Limits(
        maximum_body_size=2000,
        maximum_depth=16,
        body_timeout=2.5,
        headers_timeout=3.5,
        send_timeout=4.5,
        maximum_memory=1000000,
        maximum_connections=100,
        maximum_outbound_buffer_size=5000,
    )


def test_hosts(tmp_path: Path) -> None:
    hub = '[hubs.h]\nurl = "http://h/hub"\n'
    for host, hosts in (('"::"', ["::"]), ('["127.0.0.1", "::1"]', ["127.0.0.1", "::1"])):
        assert loaded(tmp_path, f"[listen]\nhost = {host}\n{hub}").listen.hosts == hosts


def test_defaults(tmp_path: Path) -> None:
    """GW-2, GW-4, GW-5, GW-9: those of Python."""
    config = loaded(tmp_path, '[hubs.h]\nurl = "http://h/hub"\n')
    assert config.listen == Listen(host="127.0.0.1", port=8080, certificate=None, key=None)
    assert config.limits == Limits(
        maximum_body_size=1048576,
        maximum_depth=32,
        body_timeout=30,
        headers_timeout=30,
        send_timeout=30,
        maximum_connections=20000,
        maximum_outbound_buffer_size=1048576,
    )
    assert config.orchestrator.start_gateway_hub is True
    assert config.orchestrator.gateway_hub_path == "/gatewayhub"
    (hub,) = config.orchestrator.hubs.values()
    assert (hub.receive_key, hub.maximum_message_size, hub.invoke_timeout) == (None, 32768, 30)
    assert hub.maximum_event_size == 1048576
    assert dict(hub.routes) == {}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("string", "String"),
        ("int", "Int32"),
        ("INT32", "Int32"),
        ("long", "Int64"),
        ("System.Int64", "Int64"),
        ("float", "Single"),
        ("double", "Double"),
        ("decimal", "Decimal"),
        ("bool", "Boolean"),
        ("DateTimeOffset", "DateTimeOffset"),
        ("Guid", "Guid"),
        ("byte[]", "Byte[]"),
        ("object", "Object"),
    ],
)
def test_receive_types_are_written_as_in_csharp(tmp_path: Path, written: str, name: str) -> None:
    """GW-6: keywords or .NET's names, in any case."""
    config = loaded(
        tmp_path,
        '[hubs.h]\nurl = "http://h/hub"\n[hubs.h.routes.r]\nreceive_method = "R"\n'
        f'receive_parameter_types = ["{written}"]\n',
    )
    assert config.orchestrator.hubs["h"].routes["r"].receive_parameter_names == [name]


HUB = '[hubs.Chat]\nurl = "http://h/hub"\n'
ROUTE = HUB + "[hubs.Chat.routes.Room]\n"
IN_HUB, IN_ROUTE = "hub 'Chat', ", "hub 'Chat', route 'Room', "


@pytest.mark.parametrize(
    ("text", "error"),
    [
        # the file
        ("", "hubs: no hub; add a table such as [hubs.chatservice]"),
        ("hubs = 5", "hubs: must be a table, not a whole number"),
        ("[hubs]\nchat = 'x'", "hubs.chat: must be a table, not text"),
        ("[hub.chat]\n" + HUB, "hub: unknown; did you mean 'hubs'?"),
        ("colour = 1", "colour: unknown; known are start_gateway_hub, gateway_hub_url, allow"),
        ("start_gateway_hub = 'no'", "start_gateway_hub: must be true or false, not text"),
        ("start_gateway_hub = 0", "start_gateway_hub: must be true or false, not a whole number"),
        ("gateway_hub_url = '/api/gateway/x'", "gateway_hub_url: /api/gateway/x is used by"),
        ("allowed_origins = 'https://a'", "allowed_origins: must be a list of texts, not text"),
        ("allowed_origins = ['*']", "allowed_origins: item 1, '*', cannot be '*', because"),
        ("allowed_origins = ['a.example']", "allowed_origins: item 1, 'a.example', has no scheme"),
        ("[listen]\nallowed_hosts = ['a:80']", "listen.allowed_hosts: item 1, 'a:80', has a port"),
        ("gateway_hub_url = ''", "gateway_hub_url: must not be empty"),
        ("port = 1", "port: unknown in this table; it belongs in [listen]"),
        (
            "[gateway_hub]\nurl = 'http://h/hub'",
            "gateway_hub.url: unknown in this table; did you mean 'gateway_hub_url' at the top of",
        ),
        ("[routes.room]", "routes: unknown in this table; it belongs in [hubs.KEY]"),
        (
            "[listen]\nallowed_origins = []",
            "listen.allowed_origins: unknown in this table; it belongs at the top of the file",
        ),
        (
            "handshake_timeout = 1",
            "handshake_timeout: unknown in this table; it belongs in [gateway_hub] or in [hubs.",
        ),
        ('"a\\nb" = 1', r"'a\nb': unknown; known are start_gateway_hub"),
        ('"" = 1', "'': unknown; known are start_gateway_hub"),
        (HUB + '"\\u001b[1m" = 1', IN_HUB + r"'\x1b[1m': unknown; known are url"),
        ('[listen]\nkey = "a\\u0000b"', "listen.key: must be a path, which cannot contain NUL"),
        ("[listen]\nhost = []", "listen.host: must not be empty"),
        ("[listen]\nhost = ''", "listen.host: must not be empty"),
        ("[listen]\nhost = ['']", "listen.host: must not be empty"),
        ("[listen]\nhost = 8", "listen.host: must be a list of texts or text, not a whole number"),
        (HUB + 'ca_file = "a\\u0000b"', IN_HUB + "ca_file: must be a path, which cannot contain"),
        (
            HUB + 'receive_key_file = "a\\u0000b"',
            IN_HUB + "receive_key_file: must be a path, which cannot contain NUL characters",
        ),
        (
            ROUTE + "receive_key = 'x'",
            IN_ROUTE + "receive_key: unknown in this table; it belongs in",
        ),
        (
            HUB + "headers = { 'Authorization: Bearer secret' = '' }",
            IN_HUB + "headers.Authorization…: not a valid name of an HTTP header",
        ),
        ("[listen]\nprot = 1", "listen.prot: unknown; did you mean 'port'?"),
        ("[listen]\nport = 65536", "listen.port: must be at most 65535"),
        ("[listen]\nport = -1", "listen.port: must be at least 0"),
        ("[listen]\nport = true", "listen.port: must be a whole number, not true or false"),
        ("[listen]\nkey = 'k'", "listen.certificate: required together with key"),
        ("[listen]\ncertificate = 'c'", "listen.key: required together with certificate"),
        ("[limits]\nmaximum_depth = 0", "limits.maximum_depth: must be at least 1"),
        ("[limits]\nbody_timeout = 0", "limits.body_timeout: must be a number of seconds above 0"),
        ("[limits]\nbody_timeout = nan", "limits.body_timeout: must be a number of seconds above"),
        ("[limits]\nbody_timeout = 10:00:00", "limits.body_timeout: must be a number of seconds,"),
        # a hub
        ("[hubs.Chat]", IN_HUB + "url: missing; expected the hub's URL, http or https"),
        (HUB + "urls = ['http://i/hub']", IN_HUB + "urls: cannot be combined with url"),
        ("[hubs.Chat]\nurls = ['chathub']", IN_HUB + "urls: must be an absolute http or https"),
        (HUB + "skip_negotiation = true", IN_HUB + "skip_negotiation: needs transports = ["),
        (
            HUB + "skip_negotiation = true\ntransports = ['WebSockets']\nstateful_reconnect = true",
            IN_HUB + "stateful_reconnect: cannot be combined with skip_negotiation",
        ),
        (
            HUB + "transports = ['LongPolling']\nstateful_reconnect = true",
            IN_HUB + 'stateful_reconnect: needs "WebSockets" in transports',
        ),
        (
            "[gateway_hub]\ntransports = ['LongPolling']\nallow_stateful_reconnects = true",
            'gateway_hub.allow_stateful_reconnects: needs "WebSockets" in transports',
        ),
        (HUB + "cookies = { a = ';' }", IN_HUB + "cookies: contains a cookie that no header"),
        (HUB + "client_key = 'key.pem'", IN_HUB + "client_key: "),
        ("[hubs.Chat]\nurl = 5", IN_HUB + "url: must be text, not a whole number"),
        ("[hubs.Chat]\nurl = 'chathub'", IN_HUB + "url: must be an absolute http or https URL"),
        ("[hubs.Chat]\nurl = 'http://h h/'", IN_HUB + "url: must not contain spaces"),
        ("[hubs.Chat]\nurl = 'http://h:99999'", IN_HUB + "url: must be an absolute http or https"),
        ("[hubs.Chat]\nURL = 'http://h'", IN_HUB + "URL: unknown; did you mean 'url'?"),
        (HUB + "recieve_key = 'x'", IN_HUB + "recieve_key: unknown; did you mean 'receive_key'?"),
        (HUB + "receive_key = 5", IN_HUB + "receive_key: must be text, not a whole number"),
        (HUB + "receive_key = ''", IN_HUB + "receive_key: must not be empty"),
        (HUB + "protocol = 'msgpack'", IN_HUB + "protocol: unknown; did you mean 'messagepack'?"),
        (HUB + "protocol = 'xml'", IN_HUB + "protocol: unknown; known are json, messagepack"),
        (HUB + "protocol = 1", IN_HUB + "protocol: must be text, not a whole number"),
        (
            HUB + "reconnect_delays = ['1']",
            IN_HUB + "reconnect_delays: must be a list of numbers of seconds, but contains text",
        ),
        (
            HUB + "reconnect_delays = [-1]",
            IN_HUB + "reconnect_delays: must be a number of seconds from 0 on",
        ),
        (
            HUB + "reconnect_delays = [nan]",
            IN_HUB + "reconnect_delays: must be a number of seconds from 0 on",
        ),
        (HUB + "transports = 'WebSockets'", IN_HUB + "transports: must be a list of texts, not t"),
        (
            HUB + "transports = ['WebSocket']",
            IN_HUB + "transports: unknown item; did you mean 'WebSockets'?",
        ),
        (HUB + "transports = []", IN_HUB + "transports: must include one that carries json: WebS"),
        (
            HUB + "transports = ['ServerSentEvents']\nprotocol = 'messagepack'",
            IN_HUB + "transports: must include one that carries messagepack: WebSockets or Long",
        ),
        (HUB + "headers = ['x']", IN_HUB + "headers: must be a table, not a list"),
        (HUB + "headers = { X = 5 }", IN_HUB + "headers.X: must be text, not a whole number"),
        (
            HUB + "headers = { 'X Y' = '' }",
            IN_HUB + "headers.X…: not a valid name of an HTTP header",
        ),
        (HUB + 'headers = { X = "a\\nb" }', IN_HUB + "headers.X: contains characters that an"),
        (HUB + "maximum_message_size = 0", IN_HUB + "maximum_message_size: must be at least 1"),
        (HUB + "maximum_message_size = 'none'", IN_HUB + "maximum_message_size: must be a whole"),
        (HUB + "server_timeout = '30'", IN_HUB + "server_timeout: must be a number of seconds, no"),
        (HUB + "keep_alive_interval = 0", IN_HUB + "keep_alive_interval: must be a number of sec"),
        (HUB + "handshake_timeout = inf", IN_HUB + "handshake_timeout: must be a number of second"),
        (HUB + "server_timeout = 1" + "0" * 309, IN_HUB + "server_timeout: must be a number of s"),
        (HUB + "invoke_timeout = -1", IN_HUB + "invoke_timeout: must be a number of seconds above"),
        (HUB + "verify_tls = 'off'", IN_HUB + "verify_tls: must be true or false, not text"),
        (HUB + "ca_file = 'none.pem'", IN_HUB + "ca_file: cannot be read: No such file"),
        (
            HUB + "ca_file = 'gateway.toml'",
            IN_HUB + "ca_file: contains no certificate in PEM format",
        ),
        (
            HUB + "ca_file = 'x'\nverify_tls = false",
            IN_HUB + "ca_file: has no effect when verify_tls is false",
        ),
        (HUB + "[hubs.Chat.routes]\nroom = 1", IN_HUB + "routes.room: must be a table, not a who"),
        (HUB + "[hubs.chat]\nurl = 'http://h'", "hub 'chat', api: a hub with this key is already"),
        ("[hubs.'']\nurl = 'http://h'", "api: a key must be non-empty text"),
        # a route
        (ROUTE, "hub 'chat', route 'room', invoke_method: a route needs an invoke_method, a"),
        (
            ROUTE + "invoke_metod = 'I'",
            IN_ROUTE + "invoke_metod: unknown; did you mean 'invoke_method'?",
        ),
        (
            ROUTE + "InvokeMethod = 'I'",
            IN_ROUTE + "InvokeMethod: unknown; did you mean 'invoke_method'?",
        ),
        (ROUTE + "invoke_method = ['I']", IN_ROUTE + "invoke_method: must be text, not a list"),
        (
            ROUTE + "receive_method = 'R'\nbroadcast_type = 'grup'",
            IN_ROUTE + "broadcast_type: unknown; did you mean 'group'?",
        ),
        (
            ROUTE + "receive_method = 'R'\nbroadcast_type = 'x'",
            IN_ROUTE + "broadcast_type: unknown; known are all, authenticated, group,",
        ),
        (
            ROUTE + "receive_method = 'R'\nbroadcast_type = 'group'",
            "hub 'chat', route 'room', receive_group: required in a group route",
        ),
        (
            ROUTE + "receive_method = 'R'\nreceive_parameter_types = 'string'",
            IN_ROUTE + "receive_parameter_types: must be a list of texts, not text",
        ),
        (
            ROUTE + "receive_method = 'R'\nreceive_parameter_types = [1]",
            IN_ROUTE
            + "receive_parameter_types: must be a list of texts, but contains a whole number",
        ),
        (
            ROUTE + "receive_method = 'R'\nreceive_parameter_types = ['strng']",
            "hub 'chat', route 'room', receive_parameter_types: 'strng' is not a known type (did",
        ),
        (ROUTE + "receive_method = 'R'\nspread = 1", IN_ROUTE + "spread: must be true or false"),
        (ROUTE + "invoke_method = 'I'\ninvoke_timeout = 0", IN_ROUTE + "invoke_timeout: must be"),
        (
            ROUTE + "receive_method = 'R'\nmaximum_body_size = 5",
            "hub 'chat', route 'room', maximum_body_size: has no meaning without an invoke_method",
        ),
        (
            ROUTE + "receive_method = 'R'\n[hubs.Chat.routes.b]\nreceive_method = 'R'\nspread=true",
            "hub 'chat', route 'b', spread: must be the same as in route 'room'",
        ),
    ],
)
def test_a_mistake_names_file_hub_route_and_field(tmp_path: Path, text: str, error: str) -> None:
    """GW-2, GW-3."""
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {error}")
    assert "\n" not in str(caught.value)


def test_a_file_as_windows_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"\xef\xbb\xbf[hubs.chat]\r\nurl = 'http://127.0.0.1:9/chat'\r\n")
    assert list(load_config(file).orchestrator.hubs) == ["chat"]


@pytest.fixture
def usual_recursion_limit() -> Iterator[None]:
    """Restore Python's default recursion limit, which the player of recordings raises for the
    process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"[hubs", "invalid TOML: Expected ']'"),
        (b"a = 1\na = 2\n", "invalid TOML: Cannot overwrite a value (at line 2"),
        (b"\xff\xfea\0", "invalid TOML: expected UTF-8 text, got other bytes (at line 1); save it"),
        (b"a = 1\n\n# caf\xe9", "invalid TOML: expected UTF-8 text, got other bytes (at line 3)"),
        (b"a = " + b"9" * 5000, "invalid TOML: a number has too many digits"),
        (b"a = " + b"[" * 5000, "invalid TOML: arrays or tables are nested too deeply"),
    ],
)
def test_what_is_no_toml_file(
    tmp_path: Path, usual_recursion_limit: None, content: bytes | None, error: str
) -> None:
    file = tmp_path / "gateway.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {error}")


# --- secrets -------------------------------------------------------------------------------------


def test_a_receive_key_may_be_named_instead_of_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GW-18: without the line end that an editor leaves in the file."""
    (tmp_path / "key.txt").write_text(f"{HUSH} 1\n", encoding="utf-8")
    monkeypatch.setenv("CHAT_KEY", f"{HUSH} 2")
    config = loaded(
        tmp_path,
        '[hubs.a]\nurl = "http://h/hub"\nreceive_key_file = "key.txt"\n'
        '[hubs.b]\nurl = "http://h/hub"\nreceive_key_env = "CHAT_KEY"\n',
    )
    keys = [hub.receive_key for hub in config.orchestrator.hubs.values()]
    assert keys == [f"{HUSH} 1", f"{HUSH} 2"]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("access_token_file = 'none'", "access_token_file: cannot read '{folder}/none': No such"),
        ("access_token_file = 'empty'", "access_token_file: '{folder}/empty' does not contain"),
        ("access_token_file = 'lines'", "access_token_file: '{folder}/lines' does not contain"),
        ("access_token_file = 'bytes'", "access_token_file: '{folder}/bytes' is not UTF-8 text"),
        ("access_token_env = 'UNSET'", "access_token_env: the environment variable 'UNSET' is not"),
        ("access_token_env = 'EMPTY'", "access_token_env: the environment variable 'EMPTY' is not"),
        (
            "access_token_env = 'SET'\naccess_token_file = 'good'",
            "access_token_env: cannot be combined with access_token_file",
        ),
        ("receive_key_file = 'none'", "receive_key_file: cannot read '{folder}/none': No such"),
        ("receive_key = 'x'\nreceive_key_env = 'SET'", "receive_key: is set twice; use one of"),
        (
            "access_token_env = 'SET'\nurl = 'http://john:secret@h/hub'",
            "url: contains credentials, which cannot be combined with an access token",
        ),
        (f"access_token = '{HUSH}'", "access_token: unknown; did you mean 'access_token_"),
    ],
)
def test_a_secret_that_is_not_there_is_an_error_that_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, error: str
) -> None:
    for name, content in (
        ("empty", b" \n"),
        ("lines", f"{HUSH}\n{HUSH}".encode()),
        ("bytes", HUSH.encode() + b"\xff"),
        ("good", HUSH.encode()),
    ):
        (tmp_path / name).write_bytes(content)
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("SET", HUSH)
    hub = HUB if "url =" not in lines else "[hubs.Chat]\n"
    file = written(tmp_path, hub + lines)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {IN_HUB}{error.format(folder=tmp_path)}")
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        f"url = 'ftp://john:{HUSH}@h/hub?access_token={HUSH}'",
        f"url = 'http://h/hub'\nreceive_key = ['{HUSH}']",
        f"url = 'http://h/hub'\nheaders = {{ X = ['{HUSH}'] }}",
        f'url = "http://h/hub"\nheaders = {{ X = "{HUSH}\\n" }}',
        f"url = 'http://h/hub'\nserver_timeout = '{HUSH}'",
        f"url = 'http://h/hub'\nmaximum_message_size = '{HUSH}'",
    ],
)
def test_errors_hold_no_values(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"[hubs.Chat]\n{line}\n")
    assert HUSH not in str(caught.value)


# --- how the connection is built -----------------------------------------------------------------


class SpyBuilder(HubConnectionBuilder):
    """Records the arguments of the methods that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, object] = {}

    def with_url(self, url: str, **options: Any) -> SpyBuilder:
        self.given |= {"url": url, **options}
        super().with_url(url, **options)
        return self

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if not name.startswith("with_") or name == "with_url":
            return method

        def record(value: object) -> HubConnectionBuilder:
            self.given[name.removeprefix("with_")] = value
            builder: HubConnectionBuilder = method(value)
            return builder

        return record


def settings(config: GatewayConfig) -> dict[str, object]:
    """The calls with which the only hub of the configuration sets its builder."""
    (hub,) = config.orchestrator.hubs.values()
    builder = SpyBuilder()
    assert hub.build_hub_connection is not None
    assert isinstance(hub.build_hub_connection(builder), HubConnection)
    assert HUSH not in repr(hub)
    return builder.given


def test_the_connection_has_the_options_of_the_hub(tmp_path: Path) -> None:
    hub = f"""
        server_timeout = 60
        keep_alive_interval = 20.5
        handshake_timeout = 5
        close_timeout = 1.5
        maximum_item_wait = 2.5
        maximum_receive_message_size = "unlimited"
        maximum_waiting_events_size = 1000
        authentication_refresh = 30
        reconnect_delays = [0, 0.5, 2]
        redirects = ["https://other.example"]
        cookies = {{ a = "1" }}
        verify_tls = false
        headers = {{ X-Tenant = "{HUSH}", Accept-Language = "de" }}
        protocol = "MessagePack"
        transports = ["longpolling", "WebSockets"]
    """
    assert settings(loaded(tmp_path, HUB + hub)) == {
        "url": "http://h/hub",
        "alternatives": [],
        "hub_protocol": HUB_PROTOCOLS["messagepack"],
        "cookies": {"a": "1"},
        "skip_negotiation": False,
        "close_timeout": 1.5,
        "maximum_receive_message_size": None,
        "maximum_waiting_events_size": 1000,
        "authentication_refresh": 30,
        "automatic_reconnect": [0, 0.5, 2],
        "transports": HttpTransportType.WEB_SOCKETS | HttpTransportType.LONG_POLLING,
        "headers": {"X-Tenant": HUSH, "Accept-Language": "de"},
        "access_token_factory": None,
        "ssl": False,
        "server_timeout": 60,
        "keep_alive_interval": 20.5,
        "handshake_timeout": 5,
        "maximum_item_wait": 2.5,
    }


def test_by_default_certificates_are_verified_and_timeouts_are_the_clients(tmp_path: Path) -> None:
    assert settings(loaded(tmp_path, HUB)) == {
        "url": "http://h/hub",
        "alternatives": [],
        "hub_protocol": HUB_PROTOCOLS["json"],
        "cookies": {},
        "skip_negotiation": False,
        "transports": HttpTransportType.ALL,
        "headers": {},
        "access_token_factory": None,
        "ssl": True,
        "maximum_item_wait": 5.0,
    }


def test_every_option_of_the_builder_can_be_set_in_a_file() -> None:
    """Each has a field of the table of a hub; some with another name."""
    names = {
        "access_token_factory": "access_token_file",
        "alternatives": "urls",
        "automatic_reconnect": "reconnect_delays",
        "hub_protocol": "protocol",
        "maximum_send_message_size": "maximum_message_size",
        "ssl": "ca_file",
    }
    methods = [name for name in dir(HubConnectionBuilder) if name.startswith("with_")]
    options = {name.removeprefix("with_") for name in methods if name != "with_url"}
    options |= set(inspect.signature(HubConnectionBuilder.with_url).parameters) - {"self"}
    fields = {field.name for field in msgspec.structs.fields(HubTable)}
    assert {names.get(option, option) for option in options} <= fields


def test_a_hub_with_several_addresses(tmp_path: Path) -> None:
    hub = "[hubs.Chat]\nurls = ['http://a/hub', 'https://b:8443/hub']"
    given = settings(loaded(tmp_path, hub))
    assert (given["url"], given["alternatives"]) == ("http://a/hub", ["https://b:8443/hub"])


def test_an_access_token_may_change_while_the_gateway_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first\n", encoding="utf-8")
    factory = settings(loaded(tmp_path, HUB + "access_token_file = 'token'"))[
        "access_token_factory"
    ]
    assert callable(factory)
    assert factory() == "first"
    token.write_text("second\n", encoding="utf-8")
    assert factory() == "second"
    token.write_text("of Windows\r\n", encoding="utf-8-sig")
    assert factory() == "of Windows"
    monkeypatch.setenv("CHAT_TOKEN", "third")
    factory = settings(loaded(tmp_path, HUB + "access_token_env = 'CHAT_TOKEN'"))[
        "access_token_factory"
    ]
    assert callable(factory)
    assert factory() == "third"


def test_a_ca_file_is_what_is_trusted(tmp_path: Path, certificate: CertificatePair) -> None:
    trust = settings(loaded(tmp_path, f"{HUB}ca_file = '{certificate.certificate}'"))["ssl"]
    assert isinstance(trust, ssl.SSLContext)
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname
    assert trust.cert_store_stats()["x509"] == 1
