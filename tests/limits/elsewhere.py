"""Limits without a row in the table, and where they are tested; and numbers that are no limits."""

from __future__ import annotations

from typing import Final

ELSEWHERE: Final = {
    # Times
    "HubOptions.handshake_timeout": "tests/server/test_time.py::test_handshake_timeout",
    "HubOptions.keep_alive_interval": "tests/server/test_time.py::test_pings",
    "HubOptions.client_timeout_interval": "tests/server/test_time.py::test_client_timeout",
    "HubOptions.stateful_reconnect_buffer_size": (
        "tests/server/test_stateful_reconnect.py::test_messages_wait_for_an_ack"
    ),
    "HubConnectionOptions.stateful_reconnect_buffer_size": (
        "tests/client/test_stateful_reconnect.py::test_a_full_buffer"
    ),
    "protocol.client.resumption._MAXIMUM_HELD": (
        "tests/client/test_stateful_reconnect.py"
        "::test_answers_to_a_server_that_acknowledges_nothing"
    ),
    "protocol.client.reopening_transport._MAXIMUM_FRUITLESS": (
        "tests/client/test_stateful_reconnect.py::test_sockets_that_are_lost_at_once"
    ),
    "EndpointOptions.long_polling_poll_timeout": (
        "tests/transports/server/test_long_polling.py::test_a_poll_times_out"
    ),
    "EndpointOptions.transport_send_timeout": (
        "tests/transports/test_socket_output.py::test_a_peer_that_takes_a_little"
    ),
    "EndpointOptions.receive_timeout": (
        "tests/transports/server/test_slow_clients.py::test_an_unfinished_message"
    ),
    "EndpointOptions.disconnect_timeout": "tests/hosting/test_http_connections.py::test_expiry",
    "EndpointOptions.close_timeout": (
        "tests/transports/server/test_web_socket_end.py::test_an_unanswered_close"
    ),
    "HubConnectionOptions.handshake_timeout": (
        "tests/transports/client/test_web_socket.py::test_handshake_timeout"
    ),
    "HubConnectionOptions.keep_alive_interval": "tests/client/test_time.py::test_pings",
    "HubConnectionOptions.server_timeout": "tests/client/test_time.py::test_server_timeout",
    "HttpConnectionOptions.close_timeout": (
        "tests/transports/client/test_web_socket.py::test_a_server_that_does_not_end_tcp"
    ),
    "Limits.body_timeout": (
        "tests/gateway/downstream/test_call_limits.py::test_a_body_that_never_ends_is_given_up"
    ),
    "Limits.headers_timeout": (
        "tests/gateway/serving/test_request_heads.py::test_a_silent_connection"
    ),
    "Limits.send_timeout": (
        "tests/gateway/serving/test_request_heads.py::test_an_answer_that_is_not_read"
    ),
    "HubConnectionOptions.authentication_refresh": (
        "tests/client/test_authentication_refresh.py::test_another_time_before_the_expiry"
    ),
    "HubConnectionOptions.maximum_item_wait": (
        "tests/client/test_streams.py"
        "::test_a_slow_stream_holds_up_other_messages_for_a_limited_time"
    ),
    "HubTable.busy_timeout": (
        "tests/gateway/downstream/test_spares.py::test_a_hub_takes_so_many_calls_at_a_time"
    ),
    "HubTable.circuit_pause": (
        "tests/gateway/downstream/test_spares.py"
        "::test_a_route_whose_calls_time_out_is_not_called_for_a_while"
    ),
    "HubTable.invoke_timeout": (
        "tests/gateway/downstream/test_connection.py"
        "::test_a_call_without_an_answer_times_out_and_is_cancelled"
    ),
    "HubRouteInfo.invoke_timeout": (
        "tests/gateway/downstream/test_call_limits.py::test_a_route_has_its_own_invoke_timeout"
    ),
    "HubRouteInfo.stream_idle_timeout": (
        "tests/gateway/http/test_streams.py::test_each_further_item_has_the_idle_timeout"
    ),
    # A relay to another gateway
    "signalr_gateway.clients.other_gateway.MAXIMUM_WAITING_SIZE": (
        "tests/gateway/clients/test_other_gateway.py::test_what_waits_is_bounded"
    ),
    "signalr_gateway.clients.other_gateway.MAXIMUM_CALLS": (
        "tests/gateway/clients/test_other_gateway.py::test_calls_wait_for_answers_to_earlier_ones"
    ),
    "signalr_gateway.orchestration.orchestrator.DEFAULT_MAXIMUM_RELAY_SIZE": (
        "tests/gateway/config/test_relay_options.py::test_the_connection_of_a_program"
    ),
    # JSON Web Tokens
    "protocol.jwt_bearer.bearer._LONGEST_SKEW": (
        "tests/jwt_bearer/test_tokens.py::test_wrong_values"
    ),
    "protocol.jwt_bearer.cached_key_set.MAXIMUM_AGE": (
        "tests/jwt_bearer/test_key_sets.py::test_a_key_that_is_removed"
    ),
    "protocol.jwt_bearer.key_set.MAXIMUM_SIZE": (
        "tests/jwt_bearer/test_key_sets.py::test_a_file_that_cannot_be_used"
    ),
    "protocol.jwt_bearer.key_set._MAXIMUM_KEYS": (
        "tests/jwt_bearer/test_key_sets.py::test_a_file_that_cannot_be_used"
    ),
    # Calls with a key
    "Limits.maximum_kept_answers": (
        "tests/gateway/http/test_idempotency.py::test_the_oldest_answers_make_room"
    ),
    "Limits.maximum_kept_answers_size": (
        "tests/gateway/http/test_idempotency.py::test_memory_is_bounded_by_the_size"
    ),
    "signalr_gateway.http.idempotency.MAXIMUM_KEY_LENGTH": (
        "tests/gateway/http/test_idempotency.py::test_a_key_that_is_not_valid"
    ),
    # Clients and their addresses
    "Limits.maximum_connections_per_address": (
        "tests/gateway/http/test_client_limits.py::test_connections_of_an_address"
    ),
    "Limits.maximum_connections_per_user": (
        "tests/gateway/http/test_client_limits.py::test_connections_of_a_user_and_of_a_key"
    ),
    "Limits.maximum_connections_per_key": (
        "tests/gateway/http/test_client_limits.py::test_connections_of_a_user_and_of_a_key"
    ),
    "Limits.calls_per_second_per_user": (
        "tests/gateway/http/test_client_limits.py::test_calls_of_a_user_and_of_a_key"
    ),
    "Limits.calls_per_second_per_key": (
        "tests/gateway/http/test_client_limits.py::test_calls_of_a_user_and_of_a_key"
    ),
    "Limits.connects_per_second": (
        "tests/gateway/http/test_client_limits.py::test_connects_of_an_address"
    ),
    "Limits.calls_per_second": "tests/gateway/http/test_client_limits.py::test_calls_of_an_address",
    "Limits.maximum_posts": "tests/gateway/http/test_client_limits.py::test_posts_under_way",
    "signalr_gateway.http.openapi_documents._MAXIMUM_KEPT": (
        "tests/gateway/http/test_visible_routes.py::test_documents_are_kept_up_to_a_number"
    ),
    "signalr_gateway.routing.token_buckets.MAXIMUM_KEYS": (
        "tests/gateway/http/test_client_limits.py::test_a_flood_of_addresses"
    ),
    # Calls of a hub
    "HubTable.maximum_user_connections": (
        "tests/gateway/clients/test_user_connections.py::test_no_more_users_than_allowed"
    ),
    "signalr_gateway.downstream.user_token.MAXIMUM_TOKENS": (
        "tests/gateway/downstream/test_user_token.py::test_a_flood_of_tokens"
    ),
    "HubTable.user_connection_idle_timeout": (
        "tests/gateway/clients/test_user_connections.py"
        "::test_a_connection_that_is_not_used_is_closed"
    ),
    "HubTable.maximum_calls": (
        "tests/gateway/downstream/test_spares.py::test_a_hub_takes_so_many_calls_at_a_time"
    ),
    "HubRouteInfo.maximum_calls": (
        "tests/gateway/downstream/test_spares.py::test_a_route_takes_so_many_calls_at_a_time"
    ),
    "HubTable.spare_connections": (
        "tests/gateway/downstream/test_spares.py"
        "::test_methods_that_hang_take_at_most_the_spare_connections"
    ),
    "HubTable.circuit_timeouts": (
        "tests/gateway/downstream/test_spares.py"
        "::test_a_route_whose_calls_time_out_is_not_called_for_a_while"
    ),
    # The same limit as that of a hub
    "Limits.maximum_outbound_buffer_size": "tests/limits/test_in_memory.py::test_a_limit",
    # Bytes and pings that wait
    "protocol.client.connection._RECEIVE_LIMIT": (
        "tests/client/test_streams.py::test_reading_pauses_while_no_item_is_taken"
    ),
    "protocol.client.downloads._HIGH_WATER": (
        "tests/client/test_streams.py::test_reading_pauses_while_no_item_is_taken"
    ),
    "protocol.client.event_queue._HIGH_WATER": (
        "tests/client/test_waiting.py::test_reading_pauses_while_no_call_waits"
    ),
    "protocol.client.calls.UPLOAD_HIGH_WATER": (
        "tests/client/test_uploads.py::test_a_server_that_does_not_read"
    ),
    "protocol.transports.server.web_socket_push._MAXIMUM_PINGS": (
        "tests/transports/server/test_web_socket_push.py::test_pings_that_nothing_takes"
    ),
    "protocol.transports.client.connector._MINIMUM_LIMIT": (
        "tests/transports/client/test_limits.py::test_more_than_the_limit"
    ),
    # Logs and delays
    "signalr_gateway.logs.foreign._MAXIMUM_LENGTH": (
        "tests/gateway/logs/test_foreign.py::test_a_line_is_short"
    ),
    "signalr_gateway.logs.foreign._MAXIMUM_TEXTS": (
        "tests/gateway/logs/test_foreign.py::test_texts_that_differ_are_thinned_together"
    ),
    "signalr_gateway.logs.redaction.MAXIMUM_LENGTH": (
        "tests/gateway/logs/test_redaction.py::test_is_one_short_line"
    ),
    "signalr_gateway.logs.writing.MAXIMUM_WAITING": (
        "tests/gateway/logs/test_writing.py::test_a_stream_that_blocks"
    ),
    "signalr_gateway.clients.key_failures.LONGEST_DELAY": (
        "tests/gateway/clients/test_key_failures.py::test_the_failures_of_a_connection"
    ),
}

NO_LIMITS: Final = {
    "EndpointOptions.minimum_protocol_version": "a version, not a quantity",
    "Listen.port": "an address",
    "protocol.client.retry._MAXIMUM_DOUBLINGS": "keeps a power of 2 finite",
    "protocol.negotiate.MAXIMUM_VERSION": "a version, not a quantity",
    "protocol.origins._LONGEST_SHOWN": "how much of a configured origin an error shows",
    "protocol.negotiate._LONGEST_NAME_SHOWN": "how much of a name an error shows",
    "protocol.values.misfit._MAXIMUM_STEPS": "how much of a path an error shows",
    "protocol.client.calls.SEND_HIGH_WATER": "calls of the program itself wait",
    "protocol.transports.client.sender._LOW_WATER": "calls of the program itself wait",
    "protocol.json.scanner._MOST_LEVELS": "how the scanner cuts its work",
    "protocol.transports.server.web_socket_upgrade._LIMIT_OF_UNLIMITED": (
        "for hubs whose options switch the limit off"
    ),
    "protocol.transports.server.web_socket_push._CONTROL_LIMIT": (
        "aiohttp's own; _MAXIMUM_PINGS keeps below it"
    ),
    "protocol.transports.web_socket_frame.LARGEST_LIMIT": "the largest value of other limits",
    "protocol.values.transcoding._LONGEST_INTEGER": "numbers that are longer fit no integer",
    "signalr_gateway.orchestration.receive_types._LONGEST_WHOLE_NUMBER": (
        "numbers that are longer fit no integer"
    ),
    "signalr_gateway.orchestration.hub_options.DEFAULT_MAXIMUM_ITEM_WAIT": "a default",
}
