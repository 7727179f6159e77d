"""The benchmarks measure what they say: medians of interleaved rounds, messages that are valid."""

import asyncio
import dataclasses
import math
import shutil
from pathlib import Path

import pytest

from benchmarks import client_cost, decode, fan_out, gateway, load, peers, stall, stateful
from benchmarks.processes import serving
from benchmarks.rounds import Row, interleaved, table
from protocol import JsonHubProtocol, MessagePackHubProtocol

PROTOCOLS = {"json": JsonHubProtocol(), "messagepack": MessagePackHubProtocol()}


def test_rounds_alternate_the_order_and_leave_out_the_warm_up() -> None:
    measured = []

    def measure(subject: str) -> dict[str, float]:
        measured.append(subject)
        return {"case": float(len(measured))}

    (row,) = interleaved({"a": "A", "b": "B"}, measure, rounds=2, warm_up=1)
    assert measured == ["B", "A", "A", "B", "B", "A"]
    assert row == Row("case", {"a": [3.0, 6.0], "b": [4.0, 5.0]})


def test_a_failure_names_what_was_measured() -> None:
    def measure(_subject: int) -> dict[str, float]:
        raise RuntimeError("no answer")

    with pytest.raises(RuntimeError) as raised:
        interleaved({"Kestrel": 1}, measure, rounds=1)
    assert raised.value.__notes__ == ["measured: Kestrel"]


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    row = Row("case", {"a": [1.0, 2.0, 30.0], "b": [2.0, 2.0, 10.0]})
    assert row.typical("a") == 2.0
    assert row.ratio("a", "b") == 1.0


def test_a_table_leaves_the_cells_of_refused_messages_empty() -> None:
    row = Row("case", {"a": [0.002], "b": [math.nan]})
    text = table("Title", [row], ["a", "b"], [("a", "b"), ("a", "a")], scale=1e3)
    assert text.splitlines() == [
        "Title",
        "",
        "|  | a | b | a / b | a / a |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| case | 2.0 |  |  | **1.00** |",
    ]


@pytest.mark.parametrize(
    ("hub_protocol", "kind"),
    [
        *(("json", kind) for kind in decode.JSON),
        *(("messagepack", kind) for kind in decode.MESSAGEPACK),
    ],
)
def test_decoded_records_are_of_the_type_they_are_listed_as(hub_protocol: str, kind: str) -> None:
    records, join = {
        "json": (decode.JSON, decode.json_bytes),
        "messagepack": (decode.MESSAGEPACK, decode.messagepack_bytes),
    }[hub_protocol]
    protocol = PROTOCOLS[hub_protocol]
    messages = list(protocol.decode_all(protocol.framer(None).feed(join(records[kind]))))
    assert [type(each).__name__ for each in messages] == [kind.partition(",")[0]] * decode.MESSAGES


@pytest.mark.parametrize("case", stall.RECORDS)
def test_floods_fit_a_message_and_consist_of_valid_records(case: str) -> None:
    hub_protocol, record = stall.RECORDS[case]
    message = stall.flood(record, hub_protocol)
    assert len(message) < 1024 * 1024
    protocol = PROTOCOLS[hub_protocol]
    end = stall.flood(b"", hub_protocol)
    assert message.endswith(record + end)
    *_, last = protocol.decode_all(protocol.framer(None).feed(record + end))
    assert type(last).__name__ == "Invocation"


def test_the_flood_ends_with_the_argument_that_the_load_generator_waits_for() -> None:
    source = Path(load.__file__).with_name("load.c").read_text(encoding="utf-8")
    (argument,) = (
        line.partition('"')[2].rstrip('"')
        for line in source.splitlines()
        if line.startswith("#define ARGUMENT ")
    )
    for hub_protocol in PROTOCOLS:
        assert argument.encode() in stall.flood(b"", hub_protocol)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler named cc on PATH")
def test_the_load_generator_drives_hubs() -> None:
    with serving(peers.library("asyncio")) as hub, serving(peers.plain("asyncio")) as plain:
        both = {"hub": hub, "plain": plain}
        for joined in (False, True):
            for server in both.values():
                assert load.echo(server, 2, 8, joined, seconds=0.05) > 0
        (row,) = fan_out.measured(both, "events", connections=10, events=8, rounds=1)
        assert min(row.typical(name) for name in both) > 0
        for case in ("nothing", "calls", "MessagePack calls"):
            (row,) = stall.measure({"hub": hub}, case, rounds=1)
            assert row.typical("hub") > 0
        assert math.isnan(load.longest_wait(hub, "json", b"x" * (stall.SIZE + 1)))
        with load.idle(hub, 10):
            assert hub.resident_kib() > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler named cc on PATH")
def test_the_load_generator_drives_a_gateway() -> None:
    with (
        gateway.running("asyncio") as ours,
        gateway.running_plain("asyncio") as plain,
        gateway.running_hub("asyncio") as hub,
    ):
        (row,) = gateway.measure_posts({"ours": ours, "plain": plain}, "64 callers", rounds=1)
        assert min(row.typical("ours"), row.typical("plain")) > 0
        (row,) = gateway.measure_fan_out({"ours": ours, "hub": hub}, "100 clients", rounds=1)
        assert min(row.typical("ours"), row.typical("hub")) > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler named cc on PATH")
def test_an_answer_that_is_not_200_ends_the_load_generator() -> None:
    with gateway.running_plain("asyncio") as plain, pytest.raises(RuntimeError, match="404"):
        load.post(plain.at("/nowhere"), callers=1, seconds=0.05)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler named cc on PATH")
def test_the_load_generator_and_the_client_use_stateful_reconnect() -> None:
    with serving(peers.stateful("asyncio")) as hub:
        for server in stateful.both({"hub": hub}).values():
            assert load.echo(server, 2, 8, False, seconds=0.05) > 0
        for is_stateful in (False, True):
            costs = asyncio.run(client_cost.measured(hub.port, is_stateful, messages=64))
            assert min(costs[case] for case in client_cost.CASES) > 0
    with serving(peers.library("asyncio")) as hub, pytest.raises(RuntimeError, match="Token"):
        load.echo(dataclasses.replace(hub, is_stateful=True), 1, 1, False, seconds=0.05)
