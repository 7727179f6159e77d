"""Which test floods the gateway over which limit, and shows that the memory stays flat."""

from __future__ import annotations

from typing import Final

_REQUESTS: Final = "tests/bounds/test_gateway_floods.py::test_refused_requests_leave_nothing"
_CALLS: Final = "tests/bounds/test_gateway_floods.py::test_refused_calls_of_a_client_leave_nothing"
_ACTS: Final = "tests/bounds/test_gateway_floods.py::test_memory_is_flat"
_LIBRARY: Final = "tests/bounds/test_memory.py::test_memory_is_flat"
_STREAMS: Final = "tests/server/test_streams.py::test_more_streams_than_allowed"

FLOODS: Final = {
    "maximum_body_size": _REQUESTS,
    "maximum_depth": _REQUESTS,
    "maximum_message_size": _REQUESTS,
    "maximum_posts": _REQUESTS,
    "maximum_memory": _REQUESTS,
    "maximum_calls": _REQUESTS,
    "busy_timeout": _REQUESTS,
    "circuit_timeouts": _REQUESTS,
    "circuit_pause": _REQUESTS,
    "calls_per_second": _REQUESTS,
    "connects_per_second": _REQUESTS,
    "maximum_kept_answers": _REQUESTS,
    "maximum_kept_answers_size": _REQUESTS,
    "maximum_receive_message_size": _CALLS,
    "maximum_subscriptions_per_connection": _CALLS,
    "calls_per_second_per_user": _ACTS,
    "calls_per_second_per_key": _ACTS,
    "maximum_connections_per_address": _ACTS,
    "maximum_connections_per_user": _ACTS,
    "maximum_connections_per_key": _ACTS,
    "maximum_outbound_buffer_size": _ACTS,
    "transport_max_buffer_size": _ACTS,
    "maximum_event_size": _ACTS,
    "maximum_connections": _LIBRARY,
    "maximum_negotiated_connections": _LIBRARY,
    "maximum_refused_call_size": _LIBRARY,
    "maximum_waiting_events_size": _LIBRARY,
    "application_max_buffer_size": (
        "tests/server/test_fairness.py::test_what_is_held_is_counted_whole"
    ),
    "maximum_streams_per_connection": _STREAMS,
    "stateful_reconnect_buffer_size": (
        "tests/server/test_stateful_reconnect.py::test_many_connections_in_a_gap"
    ),
}
"""The test, by limit."""

_TIME: Final = "ends what waits; other limits bound how much waits until then"

NO_FLOOD: Final = {
    **dict.fromkeys(
        (
            "body_timeout",
            "headers_timeout",
            "send_timeout",
            "disconnect_timeout",
            "handshake_timeout",
            "client_timeout_interval",
            "receive_timeout",
            "close_timeout",
            "long_polling_poll_timeout",
            "transport_send_timeout",
            "server_timeout",
            "invoke_timeout",
            "stream_idle_timeout",
            "maximum_item_wait",
            "user_connection_idle_timeout",
        ),
        _TIME,
    ),
    "maximum_parallel_invocations_per_client": "further calls wait in application_max_buffer_size",
    "maximum_user_connections": "a user beyond it gets no connection",
    "spare_connections": "further calls use the first connection, with its limits",
}
"""Limits without a flood, and the reason."""
