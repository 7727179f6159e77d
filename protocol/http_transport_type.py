"""``HttpTransportType``: the three transports over which a hub can be reached (LA-4, N-14).

This module decides their names on the wire and the transfer formats that each can carry. A server
uses the type for the transports that an endpoint offers. A client uses it for the transports that
it may use.
"""

from enum import Flag
from typing import Final

from .hub_protocol import TransferFormat


class HttpTransportType(Flag):
    """A set of transports, with ASP.NET Core's names and numbers."""

    NONE = 0
    WEB_SOCKETS = 1
    SERVER_SENT_EVENTS = 2
    LONG_POLLING = 4
    ALL = WEB_SOCKETS | SERVER_SENT_EVENTS | LONG_POLLING


TRANSPORT_NAMES: Final = {
    HttpTransportType.WEB_SOCKETS: "WebSockets",
    HttpTransportType.SERVER_SENT_EVENTS: "ServerSentEvents",
    HttpTransportType.LONG_POLLING: "LongPolling",
}
"""The name of each transport on the wire, in the order in which servers list them."""  # N-14

TRANSFER_FORMATS: Final = {
    HttpTransportType.WEB_SOCKETS: (TransferFormat.TEXT, TransferFormat.BINARY),
    HttpTransportType.SERVER_SENT_EVENTS: (TransferFormat.TEXT,),
    HttpTransportType.LONG_POLLING: (TransferFormat.TEXT, TransferFormat.BINARY),
}
"""The transfer formats of each transport, in the order in which servers list them."""  # N-11
