"""Deadlines: every clock can be moved by a test, and every deadline has a test that moves it.

All timers belong to the event loop, whose time ``LoopClock`` and ``LoopTime`` replace. Any other
clock is an argument. The tests read the sources, and list all offenders at once.
"""

import ast
import functools
from collections.abc import Iterator
from typing import Final

from tests.support.checkout import ROOT

CLOCKS: Final = frozenset(
    {
        *(f"time.{name}" for name in ("time", "monotonic", "perf_counter", "time_ns", "sleep")),
        *(f"datetime.{name}" for name in ("now", "utcnow", "today")),
    }
)
"""Functions that read or wait for a clock that no test moves."""

TIMERS: Final = frozenset({"call_later", "call_at", "timeout", "timeout_at", "wait_for"})


MOVED: Final = {
    "protocol/aio/ack_timer.py AckTimer": (
        "tests/client/test_stateful_reconnect.py",
        "test_acks",
    ),
    "protocol/aio/counted_output.py CountedOutput": (
        "tests/client/test_stateful_reconnect.py",
        "test_no_ack_for_too_long",
    ),
    "protocol/aio/keep_alive_timer.py KeepAliveTimer": (
        "tests/client/test_time.py",
        "test_server_timeout",
    ),
    "protocol/client/authentication.py ConnectionAuthentication": (
        "tests/client/test_authentication_refresh.py",
        "test_a_cancelled_caller",
    ),
    "protocol/client/connection.py ClientConnection": (
        "tests/client/test_start.py",
        "test_handshake_timeout",
    ),
    "protocol/client/downloads.py DownloadCounts": (
        "tests/client/test_streams.py",
        "test_a_slow_stream_holds_up_other_messages_for_a_limited_time",
    ),
    "protocol/client/event_queue.py EventQueue": (
        "tests/client/test_waiting.py",
        "test_stop_does_not_wait_for_ever",
    ),
    "protocol/client/keeper.py ConnectionKeeper": (
        "tests/client/test_waiting.py",
        "test_on_closed_that_waits",
    ),
    "protocol/client/uploads.py wait_for_uploads": (
        "tests/client/test_uploads.py",
        "test_a_source_that_ends_slowly",
    ),
    "protocol/jwt_bearer/key_sources.py JwksUrl": (
        "tests/jwt_bearer/test_key_sets.py",
        "test_a_server_that_does_not_answer",
    ),
    "protocol/server/authentication_expiry.py AuthenticationExpiry": (
        "tests/server/test_connection_user.py",
        "test_a_refresh_puts_the_expiry_off",
    ),
    "protocol/server/clients.py SingleClientProxy": (
        "tests/server/test_client_results.py",
        "test_a_timeout",
    ),
    "protocol/server/connection.py ServerConnection": (
        "tests/server/test_stateful_reconnect.py",
        "test_its_deadline_stays",
    ),
    "protocol/server/connection_context.py HubConnectionContext": (
        "tests/server/test_buffers.py",
        "test_but_not_for_ever",
    ),
    "protocol/server/hub_server.py HubServer": (
        "tests/server/test_fairness.py",
        "test_a_shutdown_cancels_what_outlasts_its_grace",
    ),
    "protocol/server/resumable_transport.py ResumableTransport": (
        "tests/server/test_stateful_reconnect.py",
        "test_it_ends_after_a_time",
    ),
    "protocol/transports/server/client_watch.py ClientWatch": (
        "tests/transports/server/test_slow_clients.py",
        "test_an_unfinished_post",
    ),
    "protocol/transports/server/inbound_pipe.py InboundPipe": (
        "tests/transports/server/test_inbound_pipe.py",
        "test_turns_that_nobody_waits_for",
    ),
    "protocol/transports/server/inbound_posts.py _within": (
        "tests/transports/server/test_inbound_posts.py",
        "test_a_body_that_arrives_too_slowly",
    ),
    "protocol/transports/server/long_polling.py LongPollingServerTransport": (
        "tests/transports/server/test_long_polling.py",
        "test_a_poll_times_out",
    ),
    "protocol/transports/server/web_socket.py WebSocketServerTransport": (
        "tests/transports/server/test_slow_clients.py",
        "test_an_unfinished_message",
    ),
    "protocol/transports/server/web_socket_push.py _Parser": (
        "tests/transports/server/test_web_socket_push.py",
        "test_a_message_that_stays_unfinished",
    ),
    "protocol/transports/socket_output.py SocketOutput": (
        "tests/transports/test_socket_output.py",
        "test_a_peer_that_takes_a_little",
    ),
}
"""By module and class or function of the library: a test that moves the time past a deadline."""

SHORTENED: Final = frozenset(
    {
        "protocol/transports/client/http_client.py HttpClient",
        "protocol/transports/client/posting.py PostingClientTransport",
        "protocol/transports/client/sender.py Sender",
        "protocol/transports/client/web_socket.py WebSocketClientTransport",
        "protocol/transports/server/poll_delivery.py deliver",
        "protocol/transports/server/server_sent_events.py ServerSentEventsServerTransport",
    }
)
"""Deadlines over real sockets, which tests shorten instead."""

CHOSEN_CLOCKS: Final = frozenset(
    {
        "protocol/transports/server/http_dispatcher.py",
        "signalr_gateway/clients/services.py",
        "signalr_gateway/serving/app.py",
    }
)
"""Modules that pass a clock to a part whose clock is an argument."""


@functools.cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    """The modules of the library and the gateway, with their names."""
    names = [
        path.relative_to(ROOT).as_posix()
        for folder in ("protocol", "signalr_gateway")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return tuple(
        (name, ast.parse((ROOT / name).read_text()))
        for name in names
        if not name.startswith("protocol/testing/")
    )


def owners(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    """The statements of a module, with the names of classes and functions."""
    for node in tree.body:
        yield getattr(node, "name", ""), node


def sets_timer(node: ast.AST) -> bool:
    """Whether a node is a call that sets a timer of the event loop."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    argument = node.args[0] if node.args else None
    value = argument.value if isinstance(argument, ast.Constant) else ...
    match node.func.attr:
        case "sleep":
            return value != 0
        case "timeout":
            return value is not None
        case "wait":
            return any(keyword.arg == "timeout" for keyword in node.keywords)
        case name:
            return name in TIMERS or name == "ClientTimeout"


def reads_clock(node: ast.AST) -> bool:
    """Whether a node names a clock that no test moves, or imports one."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "time"
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and f"{node.value.id}.{node.attr}" in CLOCKS
    )


def default_values(tree: ast.AST) -> set[ast.AST]:
    """The nodes of the default values of all parameters."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            for default in (*node.defaults, *node.kw_defaults):
                if default is not None:
                    found |= {*ast.walk(default)}
    return found


def test_every_clock_is_the_loop_or_an_argument() -> None:
    """Only the default value of a parameter reads another clock."""
    offenders = {
        f"{module}:{getattr(node, 'lineno', 0)}"
        for module, tree in sources()
        if module not in CHOSEN_CLOCKS
        for defaults in [default_values(tree)]
        for node in ast.walk(tree)
        if reads_clock(node) and node not in defaults
    }
    assert offenders == set()


def test_every_deadline_of_the_library_has_a_test() -> None:
    """A new deadline needs a row in the tables above."""
    found = {
        f"{module} {owner}"
        for module, tree in sources()
        if module.startswith("protocol/")
        for owner, statement in owners(tree)
        for node in ast.walk(statement)
        if sets_timer(node)
    }
    assert found == MOVED.keys() | SHORTENED


def test_the_tests_exist() -> None:
    missing = [
        (path, name)
        for path, name in MOVED.values()
        if f"def {name}(" not in (ROOT / path).read_text()
    ]
    assert missing == []
