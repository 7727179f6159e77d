"""The schema of the options: one field is enough to add an option.

The error texts for single values of a file are tested in `test_config`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from msgspec import Meta, Struct, inspect

from protocol import (
    EndpointOptions,
    HandshakeError,
    HttpTransportType,
    HubConnectionBuilder,
    HubOptions,
    MessagePackHubProtocol,
)
from signalr_gateway import HubRouteInfo
from signalr_gateway.cli.flags import add_command_flags
from signalr_gateway.cli.running import app_of
from signalr_gateway.config.command_options import CheckCommand, DemoCommand, EveryCommand
from signalr_gateway.config.file import ConfigError, GatewayConfig, load_config
from signalr_gateway.config.gateway_hub import endpoint_options, hub_options
from signalr_gateway.config.options import Kind, Option, as_toml, options_of
from signalr_gateway.config.reading import Place, read_table
from signalr_gateway.config.schema import (
    File,
    GatewayHubTable,
    HubTable,
    Listen,
    SendTable,
)
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.option_types import Bytes, Seconds, Unlimited, option

TABLES: tuple[type[Struct], ...] = (
    File,
    Listen,
    Limits,
    GatewayHubTable,
    SendTable,
    HubTable,
    HubRouteInfo,
)
COMMANDS: tuple[type[Struct], ...] = (EveryCommand, DemoCommand, CheckCommand)
HUB = '[hubs.h]\nurl = "http://h/hub"\n'


def loaded(folder: Path, text: str) -> GatewayConfig:
    file = folder / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    return load_config(file)


# --- the schema ----------------------------------------------------------------------------------


def all_options() -> Iterator[tuple[str, Option]]:
    for table in (*TABLES, *COMMANDS):
        for each in options_of(table):
            yield f"{table.__name__}.{each.name}", each


def kinds_of(each: Option) -> Iterator[Kind]:
    for kind in each.kinds:
        yield kind
        if kind.item is not None:
            yield kind.item


def test_each_option_has_one_sentence() -> None:
    offenders = [
        name
        for name, each in all_options()
        if not each.sentence.endswith(".")
        or not (each.sentence[0] in "`" or each.sentence[0].isupper())
    ]
    assert offenders == []


def test_no_option_has_a_bound_that_the_reader_does_not_check() -> None:
    checked = {
        inspect.IntType: {"ge", "le"},
        inspect.FloatType: {"gt", "ge"},
        inspect.StrType: {"min_length"},
        inspect.ListType: {"min_length", "item_type"},
        inspect.DictType: {"key_type", "value_type"},
        inspect.LiteralType: {"values"},
        inspect.EnumType: {"cls"},
        inspect.StructType: {"cls", "fields", "array_like", "forbid_unknown_fields"},
        inspect.CustomType: {"cls"},
        inspect.BoolType: set(),
        inspect.AnyType: set(),
    }
    offenders = [
        (name, bound)
        for name, each in all_options()
        for kind in kinds_of(each)
        for bound in kind.type.__struct_fields__
        if getattr(kind.type, bound) is not None and bound not in checked[type(kind.type)]
    ]
    assert offenders == []


def test_flags_are_given_once() -> None:
    flags = [each.flag for _, each in all_options() if each.flag is not None]
    assert len(flags) == len(set(flags)) > 10


def test_a_file_with_all_defaults_is_an_empty_file(tmp_path: Path) -> None:
    """Each option can be set, and what the tables of the documents show is its default."""

    def lines(table: type[Struct], heading: str) -> list[str]:
        shown = {each.name: as_toml(each.default) for each in options_of(table)}
        return [heading, *(f"{name} = {default}" for name, default in shown.items() if default)]

    text = "\n".join(
        [
            *lines(File, ""),
            *lines(Listen, "[listen]"),
            *lines(Limits, "[limits]"),
            *lines(GatewayHubTable, "[gateway_hub]"),
            *lines(SendTable, "[send]"),
            *lines(HubTable, HUB),
            *lines(HubRouteInfo, '[hubs.h.routes.r]\nreceive_method = "R"\ninvoke_method = "I"'),
        ]
    )
    short = f'{HUB}[hubs.h.routes.r]\nreceive_method = "R"\ninvoke_method = "I"\n'
    complete, empty = loaded(tmp_path, text), loaded(tmp_path, short)
    assert complete.listen == empty.listen == Listen()
    assert complete.limits == empty.limits == Limits()
    assert complete.gateway_hub == empty.gateway_hub == GatewayHubTable()
    assert complete.send == empty.send == SendTable()
    assert complete.orchestrator.hubs["h"].routes == empty.orchestrator.hubs["h"].routes


def test_a_wrong_value_is_an_error_that_does_not_show_it() -> None:
    hush = "hush-hush"
    values: list[object] = [hush, [hush], [[hush]], [1], {"x": hush}, {"x": [hush]}, 1, 1.5, True]
    values += [date(2026, 11, 30), [date(2026, 11, 30)], float("nan"), -(2**70), 2**70, "", [], {}]
    errors: list[tuple[str, str]] = []
    for table in TABLES:
        required = {"url": "http://h/hub"} if table is HubTable else {}
        for name, value in product([each.name for each in options_of(table)], values):
            try:
                read_table(table, {**required, name: value}, Place(Path()))
            except OrchestrationError as error:
                errors.append((name, str(error)))
    assert len(errors) > 500
    assert [text for name, text in errors if hush in text or not text.startswith(name)] == []


def test_a_table_of_a_hub_shows_no_secrets() -> None:
    table = HubTable(url="http://john:hush@h", headers={"X": "hush"}, receive_key="hush")
    assert "hush" not in repr(table)
    assert "hush" not in repr(File(hubs={"h": table}))


# --- the library's options of the gateway hub ----------------------------------------------------

SET_ELSEWHERE = {
    "allowed_hosts",  # in [listen], for the whole gateway
    "allowed_origins",  # at the top of the file, for the whole gateway
    "authenticate",  # in [authentication], for the whole gateway
    "authorize",  # the same
    "on_authentication_refresh",  # a function
    "services",  # functions
    "user_id",  # a function
    "filters",  # objects
    "slow_client_policy",  # the routes have policies
    "maximum_groups_per_connection",  # the orchestration determines the number of groups,
    "maximum_group_name_length",  # and their names
    "maximum_client_results_per_connection",  # the gateway hub asks clients for no results,
    "stream_buffer_capacity",  # and takes no streams from them
}

GATEWAY_HUB = """
[limits]
maximum_connections = 1
maximum_outbound_buffer_size = 2

[gateway_hub]
supported_protocols = ["MessagePack"]
transports = ["LongPolling", "WebSockets"]
handshake_timeout = 3
keep_alive_interval = 4.5
client_timeout_interval = 5
disconnect_timeout = 6
close_timeout = 7
long_polling_poll_timeout = 8
transport_send_timeout = 9
receive_timeout = 9.5
maximum_receive_message_size = "unlimited"
application_max_buffer_size = 10
transport_max_buffer_size = 11
maximum_parallel_invocations_per_client = 12
maximum_streams_per_connection = 14
maximum_negotiated_connections = 13
minimum_protocol_version = 1
allow_stateful_reconnects = true
stateful_reconnect_buffer_size = 6
enable_detailed_errors = true
close_on_authentication_expiration = true
enable_authentication_refresh = true
allow_user_identifier_change_on_authentication_refresh = true
"""


def test_all_options_of_the_library_can_be_set(tmp_path: Path) -> None:
    config = loaded(tmp_path, HUB + GATEWAY_HUB)
    hub = hub_options(config.gateway_hub)
    endpoint = endpoint_options(config.gateway_hub)
    unchanged = {
        each.name
        for options, default in ((hub, HubOptions()), (endpoint, EndpointOptions()))
        for each in fields(options)
        if getattr(options, each.name) == getattr(default, each.name)
    }
    assert unchanged - set(Limits.__struct_fields__) == SET_ELSEWHERE
    assert config.limits == Limits(
        maximum_connections=1,
        maximum_outbound_buffer_size=2,
    )
    assert [each.name for each in hub.supported_protocols] == ["messagepack"]
    assert hub.maximum_receive_message_size is None
    assert hub.keep_alive_interval == 4.5
    assert endpoint.transports == HttpTransportType.WEB_SOCKETS | HttpTransportType.LONG_POLLING


def test_a_hub_protocol_named_twice_counts_once(tmp_path: Path) -> None:
    config = loaded(tmp_path, '[gateway_hub]\nsupported_protocols = ["json", "JSON"]\n' + HUB)
    hub = hub_options(config.gateway_hub)
    assert [each.name for each in hub.supported_protocols] == ["json"]


def test_by_default_they_are_those_of_the_library() -> None:
    """`HubOptions` compare their hub protocols by identity."""
    hub = hub_options(GatewayHubTable())
    names = [each.name for each in fields(HubOptions) if each.name != "supported_protocols"]
    default = HubOptions()
    assert {name: getattr(hub, name) for name in names} == {
        name: getattr(default, name) for name in names
    }
    assert [each.name for each in hub.supported_protocols] == ["json", "messagepack"]
    assert endpoint_options(GatewayHubTable()) == EndpointOptions()


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("handshake_timout = 1", "handshake_timout: unknown; did you mean 'handshake_timeout'?"),
        ("handshake_timeout = 0", "handshake_timeout: must be a number of seconds above 0"),
        ("supported_protocols = []", "supported_protocols: must not be empty"),
        ("supported_protocols = ['xml']", "supported_protocols: unknown item; known are j"),
        ("transports = []", "transports: must include one that carries json or messagepack: WebS"),
        (
            "supported_protocols = ['messagepack']\ntransports = ['ServerSentEvents']",
            "transports: must include one that carries messagepack: WebSockets or LongPolling",
        ),
        (
            "maximum_receive_message_size = 'none'",
            "maximum_receive_message_size: must be a whole number of bytes or 'unlimited', not o",
        ),
        ("minimum_protocol_version = -1", "minimum_protocol_version: must be at least 0"),
        (
            "maximum_connections = 5",
            "maximum_connections: unknown in this table; it belongs in [limits]",
        ),
        ("enable_detailed_errors = 'yes'", "enable_detailed_errors: must be true or false, not t"),
    ],
)
def test_a_mistake_in_the_table_of_the_gateway_hub(tmp_path: Path, line: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, f"[gateway_hub]\n{line}\n{HUB}")
    assert str(caught.value).startswith(f"{tmp_path / 'gateway.toml'}: gateway_hub.{error}")


async def test_the_gateway_hub_is_served_with_them(tmp_path: Path) -> None:
    text = '[gateway_hub]\nsupported_protocols = ["json"]\ntransports = ["LongPolling"]\n'
    app = app_of(loaded(tmp_path, HUB + text))
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/gatewayhub"))
        async with session.post(f"{url}/negotiate?negotiateVersion=1") as answer:
            offered = (await answer.json())["availableTransports"]
        assert [each["transport"] for each in offered] == ["LongPolling"]
        builder = HubConnectionBuilder().with_url(url).with_hub_protocol(MessagePackHubProtocol())
        with pytest.raises(HandshakeError, match="messagepack"):
            await builder.build().start()


# --- one field defines an option -----------------------------------------------------------------


class Colour(Enum):
    RED = "Red"
    BLUE = "Blue"


class MadeUpFlags(Struct, frozen=True, kw_only=True):
    """Options of a command, as a developer would write them."""

    size: Annotated[Bytes | Unlimited, option("A size.", "--size")] = 5
    wait: Annotated[Seconds | None, option("A time, 100% exact.", "--wait")] = None
    colour: Annotated[Colour, option("A colour.", "--colour")] = Colour.RED
    folder: Annotated[Path | None, option("A folder.", "--folder")] = None
    names: Annotated[list[Literal["a", "b"]] | None, option("Names.", "--name")] = None
    loud: Annotated[bool, option("Loud.", "--loud")] = False


class MadeUp(MadeUpFlags, frozen=True, kw_only=True):
    """A table of a file."""

    level: Annotated[Annotated[int, Meta(ge=1, le=9)], option("A level.")] = 1
    bodies: Annotated[list[list[Any]] | None, option("Bodies.")] = None


def test_a_made_up_option_is_read_from_a_file(tmp_path: Path) -> None:
    values = {
        "size": "Unlimited",
        "wait": 1,
        "level": 9,
        "colour": "blue",
        "folder": "x/y",
        "names": ["B", "a"],
        "loud": True,
        "bodies": [[1, "x"]],
    }
    assert read_table(MadeUp, values, Place(tmp_path)) == MadeUp(
        size="unlimited",
        wait=1,
        level=9,
        colour=Colour.BLUE,
        folder=tmp_path / "x" / "y",
        names=["b", "a"],
        loud=True,
        bodies=[[1, "x"]],
    )


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"sise": 1}, "sise: unknown; did you mean 'size'?"),
        ({"size": True}, "size: must be a whole number of bytes or 'unlimited', not true or false"),
        ({"size": 2**63}, "size: must be at most 4611686018427387904"),
        ({"wait": "1"}, "wait: must be a number of seconds, not text"),
        ({"level": 10}, "level: must be at most 9"),
        ({"colour": "bleu"}, "colour: unknown; did you mean 'blue'?"),
        ({"folder": 1}, "folder: must be a path, not a whole number"),
        ({"folder": ""}, "folder: must not be empty"),
        ({"names": ["c"]}, "names: unknown item; known are a, b"),
        ({"bodies": ["x"]}, "bodies: must be a list of lists, but contains text"),
    ],
)
def test_mistakes_with_a_made_up_option(values: dict[str, object], error: str) -> None:
    with pytest.raises(OrchestrationError) as caught:
        read_table(MadeUp, values, Place(Path()))
    assert str(caught.value) == error


def parsed(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser(prog="made-up", exit_on_error=False)
    add_command_flags(parser, MadeUpFlags)
    return vars(parser.parse_args(arguments))


def test_a_made_up_option_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed() == {
        "size": 5,
        "wait": None,
        "colour": Colour.RED,
        "folder": None,
        "names": None,
        "loud": False,
    }
    arguments = "--size unlimited --wait 1.5 --colour blue --folder x/y --name a --name B --loud"
    assert parsed(*arguments.split()) == {
        "size": "unlimited",
        "wait": 1.5,
        "colour": Colour.BLUE,
        "folder": Path("x/y"),
        "names": ["a", "b"],
        "loud": True,
    }
    with pytest.raises(SystemExit):
        parsed("--help")
    printed = " ".join(capsys.readouterr().out.split())
    assert "--size BYTES A size (5) --wait SECONDS A time, 100% exact" in printed
    assert "--colour {red,blue} A colour (red)" in printed
    assert "--name {a,b} Names; may be given several times" in printed


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--size 0", "must be a whole number of bytes from 1 on or 'unlimited', not '0'"),
        ("--size x", "must be a whole number of bytes from 1 on or 'unlimited', not 'x'"),
        ("--wait nan", "must be a number of seconds above 0, not 'nan'"),
        ("--wait soon", "must be a number of seconds above 0, not 'soon'"),
        ("--colour green", "must be 'red' or 'blue', not 'green'"),
        ("--name c", "must be 'a' or 'b', not 'c'"),
    ],
)
def test_mistakes_with_a_made_up_flag(arguments: str, error: str) -> None:
    with pytest.raises(argparse.ArgumentError) as caught:
        parsed(*arguments.split())
    assert str(caught.value).endswith(f": {error}")
