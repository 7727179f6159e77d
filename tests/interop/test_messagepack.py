"""Values and errors over MessagePack: official clients with our hub, our client with the original.

Every test runs with ASP.NET Core and with our hub server, and in JSON and MessagePack: a value is
the same in both hub protocols.
"""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from protocol import (
    Byte,
    Char,
    DateTimeOffset,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    Int16,
    Int32,
    Int64,
    JsonHubProtocol,
    MessagePackHubProtocol,
    SByte,
    Single,
    UInt16,
    UInt32,
    UInt64,
)
from tests.interop.drivers import (
    ClientDriver,
    DrivenConnection,
    DriverError,
    ProcessDriver,
    dotnet_driver_argv,
)
from tests.interop.expectations import REFUSALS
from tests.interop.servers import HubServer
from tests.interop.versions import CLIENTS
from tests.vectors.value_types import Color, Person

pytestmark = pytest.mark.parametrize("program", ["system-text-json", "python"], indirect=True)

PERSON: Final = {
    "FirstName": "Zoë 😀",
    "Age": 41,
    "Favourite": 10,
    "Friend": {"FirstName": None, "Age": 0, "Favourite": 0, "Friend": None},
}
DOTNET_VALUES: Final[list[tuple[str, str, list[Any]]]] = [
    ("EchoBool", "bool", [True, False]),
    ("EchoByte", "byte", [0, 127, 128, 255]),
    ("EchoSByte", "sbyte", [-128, -33, -32, 127]),
    ("EchoInt16", "short", [-(2**15), -129, 2**15 - 1]),
    ("EchoUInt16", "ushort", [256, 2**16 - 1]),
    ("EchoInt32", "int", [-(2**31), -1, 65_536, 2**31 - 1]),
    ("EchoUInt32", "uint", [2**31, 2**32 - 1]),
    ("EchoInt64", "long", [-(2**63), 2**32, 2**63 - 1]),
    ("EchoUInt64", "ulong", [2**63, 2**64 - 1]),
    ("EchoSingle", "float", [0.1, -1.5, 3.4028235e38]),
    ("EchoDouble", "double", [0.1, 1e300, -2.0]),
    ("EchoDecimal", "decimal", [12.5, 0, -79228162514264337593543950335]),
    ("EchoChar", "char", ["x", "é", "中"]),
    ("EchoString", "string", ["", "Grüße 😀", "x" * 300, "x" * 30_000, None]),
    ("EchoBytes", "byte[]", ["AQL/", "", None]),
    (
        "EchoDateTime",
        "DateTime",
        ["2024-02-29T12:30:45.123456Z", "1900-01-01T00:00:00Z", "2200-12-31T23:59:59Z"],
    ),
    (
        "EchoDateTimeOffset",
        "DateTimeOffset",
        ["2024-02-29T12:30:45.5+02:00", "2024-02-29T12:30:45-03:30", "2024-02-29T00:00:00+00:00"],
    ),
    ("EchoDateOnly", "DateOnly", ["2024-02-29", "0001-01-01", "9999-12-31"]),
    ("EchoTimeOnly", "TimeOnly", ["23:59:59.9999990", "00:00:00"]),
    ("EchoTimeSpan", "TimeSpan", ["1.02:03:04.5000000", "-00:00:00.0000010", "00:00:00"]),
    ("EchoGuid", "Guid", ["00112233-4455-6677-8899-aabbccddeeff"]),
    ("EchoColor", "Color", [0, 10]),
    ("EchoNullable", "int?", [5, None]),
    ("EchoList", "List<int>", [[], [1, -1, 2**31 - 1], list(range(20)), None]),
    ("EchoArray", "string[]", [["a", None], None]),
    ("EchoDictionary", "Dictionary<string,int>", [{"Key As Is": 1, "b": 2}, {}, None]),
    ("EchoIntDictionary", "Dictionary<int,string>", [{"1": "a", "-5": None}, None]),
    ("EchoPerson", "Person", [PERSON, None]),
]
"""Method, type, and values as System.Text.Json writes them for a driver."""

MOMENT: Final = datetime(2024, 2, 29, 12, 30, 45, 123456, tzinfo=UTC)
PYTHON_VALUES: Final[list[tuple[str, Any, list[Any]]]] = [
    ("EchoBool", bool, [True, False]),
    ("EchoByte", Byte, [0, 255]),
    ("EchoSByte", SByte, [-128, 127]),
    ("EchoInt16", Int16, [-(2**15), 2**15 - 1]),
    ("EchoUInt16", UInt16, [2**16 - 1]),
    ("EchoInt32", Int32, [-(2**31), 2**31 - 1]),
    ("EchoUInt32", UInt32, [2**32 - 1]),
    ("EchoInt64", Int64, [-(2**63), 2**63 - 1]),
    ("EchoUInt64", UInt64, [2**64 - 1]),
    ("EchoSingle", Single, [Single(0.1), Single(-1.5)]),
    ("EchoDouble", float, [0.1, 1e300]),
    ("EchoDecimal", Decimal, [Decimal("12.50"), Decimal("-79228162514264337593543950335")]),
    ("EchoChar", Char, [Char("x"), Char("中")]),
    ("EchoString", str | None, ["", "Grüße 😀", "x" * 30_000, None]),
    ("EchoBytes", bytes | None, [b"\x01\x02\xff", b"", None]),
    ("EchoDateTime", datetime, [MOMENT, datetime(1900, 1, 1, tzinfo=UTC)]),
    (
        "EchoDateTimeOffset",
        DateTimeOffset,
        [
            DateTimeOffset.of(MOMENT),
            DateTimeOffset(2024, 1, 1, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
        ],
    ),
    ("EchoDateOnly", date, [date(2024, 2, 29), date.min, date.max]),
    ("EchoTimeOnly", time, [time(23, 59, 59, 999_999), time(0)]),
    ("EchoTimeSpan", timedelta, [timedelta(days=1, microseconds=1), -timedelta(microseconds=1)]),
    ("EchoGuid", UUID, [UUID("00112233-4455-6677-8899-aabbccddeeff")]),
    ("EchoColor", Color, list(Color)),
    ("EchoNullable", int | None, [5, None]),
    ("EchoList", list[int], [[], [1, -1], list(range(20))]),
    ("EchoArray", list[str | None], [["a", None]]),
    ("EchoDictionary", dict[str, int], [{"Key As Is": 1, "b": 2}, {}]),
    ("EchoIntDictionary", dict[int, str | None], [{1: "a", -5: None}]),
    ("EchoPerson", Person | None, [Person("Zoë 😀", 41, Color.DARK_BLUE, Person()), None]),
]
"""Method, type, and values as a Python program has them."""


async def started(driver: ClientDriver, url: str, protocol: str) -> DrivenConnection:
    connection = await driver.connect(url, protocol=protocol)
    await connection.start()
    return connection


@pytest.mark.parametrize("version", CLIENTS)
async def test_dotnet_values(hub: HubServer, version: str) -> None:
    driver = await ProcessDriver.start(*dotnet_driver_argv(version))
    for protocol in ("messagepack", "json"):
        connection = await started(driver, hub.values_url, protocol)
        for method, type_name, values in DOTNET_VALUES:
            for value in values:
                result = await connection.invoke(method, value, types=[type_name], result=type_name)
                assert result.value == value, (protocol, method)
        await connection.stop()
    await driver.exit()


async def test_what_dotnet_reads_without_a_type(
    dotnet_driver: ClientDriver, hub: HubServer
) -> None:
    """M-16: primitives, arrays and maps."""
    connection = await started(dotnet_driver, hub.values_url, "messagepack")
    for value in (True, None, "x", 2**40, -1, 0.5, [1, "x", None], {"a": [1], "b": {"c": None}}):
        assert (await connection.invoke("EchoObject", value)).plain == value
    await connection.stop()


async def test_javascript_values(node_driver: ClientDriver, hub: HubServer) -> None:
    connection = await started(node_driver, hub.values_url, "messagepack")
    for method, value in (
        ("EchoBool", True),
        ("EchoInt32", -(2**31)),
        ("EchoUInt32", 2**32 - 1),
        ("EchoDouble", 0.1),
        ("EchoDouble", 3),
        ("EchoString", "Grüße 😀"),
        ("EchoDecimal", "12.50"),
        ("EchoChar", 120),
        ("EchoGuid", "00112233-4455-6677-8899-aabbccddeeff"),
        ("EchoColor", "DarkBlue"),
        ("EchoTimeSpan", 10_000_000),
        ("EchoNullable", None),
        ("EchoList", [1, 2, 3]),
        ("EchoDictionary", {"Key As Is": 1}),
        ("EchoPerson", {**PERSON, "Favourite": "DarkBlue", "Friend": None}),
        ("EchoObject", {"a": [1, None, "x"]}),
    ):
        assert (await connection.invoke(method, value)).value == value, method
    # Text is accepted for bytes (M-14).
    assert (await connection.invoke("EchoBytes", "AQI")).value == {"bytes": [65, 81, 73]}
    await connection.stop()


@pytest.mark.parametrize(("target", "arguments", "text"), REFUSALS)
async def test_errors(
    driver: ClientDriver, hub: HubServer, target: str, arguments: list[Any], text: str
) -> None:
    connection = await started(driver, hub.url, "messagepack")
    with pytest.raises(DriverError) as caught:
        await connection.invoke(target, *arguments)
    assert caught.value.message == text
    assert (await connection.invoke("Add", 1, 1)).plain == 2  # the connection is still open
    await connection.stop()


async def test_a_broadcast_to_clients_of_either_protocol(
    driver: ClientDriver, hub: HubServer
) -> None:
    """M-3, H-4: both protocols on one hub, each client is told in its own."""
    connections = [await started(driver, hub.url, name) for name in ("messagepack", "json")]
    for connection in connections:
        await connection.on("ReceiveText", "string")
        await connection.invoke("JoinGroup", "both")
    for number, connection in enumerate(connections):
        await connection.invoke("SendToGroup", "both", f"hello {number}")
    for connection in connections:
        calls = await connection.calls("ReceiveText", 2)
        assert [call[0].plain for call in calls] == ["hello 0", "hello 1"]
        await connection.stop()


# ---- our client


@pytest_asyncio.fixture(loop_scope="session", params=["messagepack", "json"])
async def connection(
    hub: HubServer, request: pytest.FixtureRequest
) -> AsyncIterator[HubConnection]:
    is_binary = request.param == "messagepack"
    hub_protocol = MessagePackHubProtocol() if is_binary else JsonHubProtocol()
    builder = HubConnectionBuilder().with_url(hub.values_url).with_hub_protocol(hub_protocol)
    async with builder.build() as connection:
        yield connection


@pytest.mark.parametrize(
    ("method", "annotation", "values"), PYTHON_VALUES, ids=[row[0] for row in PYTHON_VALUES]
)
async def test_python_values(
    connection: HubConnection, method: str, annotation: Any, values: list[Any]
) -> None:
    for value in values:
        result = await connection.invoke(method, value, result_type=annotation)
        assert (type(result), result) == (type(value), value)


@pytest.mark.parametrize(("target", "arguments", "text"), REFUSALS)
async def test_errors_for_our_client(
    hub: HubServer, target: str, arguments: list[Any], text: str
) -> None:
    builder = HubConnectionBuilder().with_url(hub.url).with_hub_protocol(MessagePackHubProtocol())
    async with builder.build() as connection:
        with pytest.raises(HubException) as caught:
            await connection.invoke(target, *arguments)
        assert str(caught.value) == text
        assert await connection.invoke("Add", 1, 1) == 2
