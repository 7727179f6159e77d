"""Makes the connection to another gateway from the table `[other_gateway]` (GW-57)."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from protocol import HubConnection, HubConnectionBuilder

from ..orchestration.option_types import no_limit
from .hub_tls import trusting
from .reading import Place
from .relay_table import OtherGatewayTable
from .stored_secrets import secret


def relay_connection(
    table: OtherGatewayTable, url: str, place: Place
) -> Callable[[HubConnectionBuilder], HubConnection]:
    """The function that builds the connection to the gateway hub at `url`.

    Raises `OrchestrationError`.
    """
    key = secret("key", table.key_file, table.key_env, place)
    if key is not None and urlsplit(url).username is not None:
        raise place.error("has a key, which cannot be combined with credentials in the URL")
    trust = table.ca_file is None or trusting(table.ca_file, place.at("ca_file"))

    def build(builder: HubConnectionBuilder) -> HubConnection:
        builder.with_maximum_send_message_size(no_limit(table.maximum_message_size))
        return builder.with_url(url, access_token_factory=key, ssl=trust).build()

    return build
