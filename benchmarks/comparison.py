"""Prints tables that compare this checkout with Kestrel, aiohttp alone and another checkout."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from . import decode, echo, fan_out, gateway, growth, load, memory, peers, stall, stateful, stream
from .processes import SERVER_CORE, Program, Server, Unavailable, on_core, serving
from .rounds import Row, interleaved, table


@dataclass(frozen=True)
class Comparison:
    """The programs to compare, and the number of rounds."""

    programs: dict[str, Program]
    checkouts: dict[str, Path]
    ratios: list[tuple[str, str]]
    """Pairs of names. The costs of the first are divided by the costs of the second."""
    rounds: int

    def without_plain(self) -> "Comparison":
        """Return the comparison without aiohttp alone, which has no hub."""
        programs = {name: it for name, it in self.programs.items() if name != peers.PLAIN}
        ratios = [pair for pair in self.ratios if peers.PLAIN not in pair]
        return Comparison(programs, self.checkouts, ratios, self.rounds)

    def table(self, title: str, rows: list[Row], scale: float = 1.0) -> str:
        """Return the table of all programs."""
        return table(title, rows, list(self.programs), self.ratios, scale)


def comparison(against: Path | None, rounds: int) -> Comparison:
    """Return the comparison of the programs that this machine can run.

    Prints to standard error which program is missing.
    """
    checkouts = {"this": peers.ROOT} | ({} if against is None else {"before": against})
    programs = {
        f"{name} ({loop})": peers.library(loop, root)
        for loop in peers.LOOPS
        for name, root in checkouts.items()
    }
    ratios = [(f"this ({loop})", f"before ({loop})") for loop in peers.LOOPS if against is not None]
    fastest = f"this ({peers.LOOPS[0]})"
    try:
        programs["Kestrel"] = peers.kestrel()
        ratios.append((fastest, "Kestrel"))
    except Unavailable as missing:
        print(f"left out: {missing}", file=sys.stderr)
    programs[peers.PLAIN] = peers.plain(peers.LOOPS[0])
    ratios.append((fastest, peers.PLAIN))
    return Comparison(programs, checkouts, ratios, rounds)


def _measured(
    compared: Comparison,
    measure: Callable[[Mapping[str, Server], str, int], list[Row]],
    cases: Iterable[str],
) -> list[Row]:
    with peers.running(compared.programs) as servers:
        return [row for case in cases for row in measure(servers, case, compared.rounds)]


def _echo(compared: Comparison) -> str:
    rows = _measured(compared, echo.measure, echo.CASES)
    return compared.table("Server CPU in µs per echo", rows, scale=1e6)


def _fan_out(compared: Comparison) -> str:
    rows = _measured(compared, fan_out.measure, fan_out.CASES)
    return compared.table("Server CPU in µs per delivery of an event", rows, scale=1e6)


def _stream(compared: Comparison) -> str:
    programs = {
        f"{name} ({loop})": peers.streaming(loop, root)
        for loop in peers.LOOPS
        for name, root in compared.checkouts.items()
    }
    hubs = compared.without_plain()
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(programs.get(name, it)))
            for name, it in hubs.programs.items()
        }
        rows = [row for case in stream.CASES for row in stream.measure(servers, case, hubs.rounds)]
    return hubs.table("Server CPU in µs per stream item", rows, scale=1e6)


def _stateful(compared: Comparison) -> str:
    hubs = compared.without_plain()
    clients = {
        f"{name} ({loop})": (loop, root)
        for loop in peers.LOOPS
        for name, root in hubs.checkouts.items()
    }
    programs = {name: peers.stateful(*client) for name, client in clients.items()}
    rows = []
    with peers.running(hubs.programs | programs) as servers:
        for case in stateful.CASES:
            rows += stateful.measure(servers, case, hubs.rounds)
    title = "Server CPU in µs per message, with stateful reconnect and without"
    of_servers = _with_and_without(title, rows, list(servers))
    rows = stateful.measure_clients(clients, hubs.rounds)
    title = "Client CPU in µs per message, with stateful reconnect and without"
    of_clients = _with_and_without(title, rows, list(clients))
    return f"{of_servers}\n{of_clients}"


def _with_and_without(title: str, rows: list[Row], names: list[str]) -> str:
    pairs = [stateful.named(name) for name in names]
    columns = [column for pair in pairs for column in pair]
    return table(title, rows, columns, pairs, scale=1e6)


def _post(compared: Comparison) -> str:
    title = "CPU of the gateway in µs per POST"
    plain = {f"aiohttp alone ({loop})": gateway.running_plain(loop) for loop in peers.LOOPS}
    ratios = [(f"this ({loop})", f"aiohttp alone ({loop})") for loop in peers.LOOPS]
    return _through_gateway(
        compared, title, plain, ratios, gateway.measure_posts, list(gateway.CALLERS)
    )


def _gateway_fan_out(compared: Comparison) -> str:
    title = "CPU of the gateway in µs per delivery of an event"
    hubs = {f"hub alone ({loop})": gateway.running_hub(loop) for loop in peers.LOOPS}
    ratios = [(f"this ({loop})", f"hub alone ({loop})") for loop in peers.LOOPS]
    return _through_gateway(
        compared, title, hubs, ratios, gateway.measure_fan_out, list(gateway.CLIENTS)
    )


def _through_gateway(
    compared: Comparison,
    title: str,
    others: Mapping[str, AbstractContextManager[gateway.Target]],
    ratios: list[tuple[str, str]],
    measure: Callable[[Mapping[str, gateway.Target], str, int], list[Row]],
    cases: Iterable[str],
) -> str:
    starting = {
        f"{name} ({loop})": gateway.running(loop, root)
        for loop in peers.LOOPS
        for name, root in compared.checkouts.items()
    }
    ratios = [*ratios, *(it for it in compared.ratios if it[1].startswith("before"))]
    with ExitStack() as stack:
        targets = {name: stack.enter_context(it) for name, it in (starting | dict(others)).items()}
        rows = [row for case in cases for row in measure(targets, case, compared.rounds)]
    return table(title, rows, list(targets), ratios, scale=1e6)


def _memory(compared: Comparison) -> str:
    rows = memory.measure(compared.programs, compared.rounds)
    return compared.table("Resident memory in KiB per connection", rows)


def _stall(compared: Comparison) -> str:
    compared = compared.without_plain()
    rows = _measured(compared, stall.measure, stall.RECORDS)
    title = "Longest wait in ms of another client while one sends 1 MiB"
    return compared.table(title, rows, scale=1e3)


def _decode(compared: Comparison) -> str:
    rows = interleaved(compared.checkouts, _decode_times, compared.rounds)
    usual = {row.case: row for row in rows if row.case.endswith(decode.USUAL)}
    for row in rows:  # the usual message is a subject of the ratios, and has no column
        hub_protocol = row.case.partition(" ")[0]
        row.values[decode.USUAL] = usual[f"{hub_protocol} {decode.USUAL}"].values["this"]
    ratios = [("this", decode.USUAL), *(("this", it) for it in compared.checkouts if it != "this")]
    return table("Time in ns to decode a message", rows, list(compared.checkouts), ratios)


def _decode_times(root: Path) -> dict[str, float]:
    with on_core(SERVER_CORE):
        done = subprocess.run(
            [sys.executable, decode.__file__],
            env={**os.environ, **peers.environment(root)},
            stdout=subprocess.PIPE,
            check=True,
        )
    return {
        f"{hub_protocol} {kind}": time
        for hub_protocol, kinds in json.loads(done.stdout).items()
        for kind, time in kinds.items()
    }


def _growth(_compared: Comparison) -> str:
    growing, costly = growth.measure()
    return (
        f"Hostile input of {growth.FACTOR} times the size takes at most {growing.factor:.1f} times "
        f"as long ({growing.case}). Per byte it takes at most {costly.factor:.0f} times the CPU "
        f"time of `json.loads` ({costly.case}).\n"
    )


PARTS: dict[str, Callable[[Comparison], str]] = {
    "echo": _echo,
    "fan-out": _fan_out,
    "stream": _stream,
    "stateful": _stateful,
    "post": _post,
    "gateway-fan-out": _gateway_fan_out,
    "memory": _memory,
    "stall": _stall,
    "decode": _decode,
    "growth": _growth,
}


def run(parts: list[str], against: Path | None, rounds: int) -> None:
    """Print the tables. Raises Unavailable if this machine cannot measure them."""
    load.program()
    compared = comparison(against, rounds)
    versions = " · ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec"))
    print(f"Medians of {rounds} rounds · Python {platform.python_version()} · {versions}\n")
    for part in parts:
        print(PARTS[part](compared), flush=True)
