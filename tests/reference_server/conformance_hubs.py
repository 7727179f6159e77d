"""The hubs of the conformance server: one class per set of options, all with the same methods."""

from protocol import Hub, hub_method

from .conformance_calls import AskingMethods, ConnectionMethods, FailingMethods
from .conformance_sending import GroupMethods, SendingMethods
from .conformance_streams import StreamingMethods, UploadMethods
from .conformance_values import DescribingMethods, EchoMethods


class ChatHub(Hub):
    """The chat hub of the usual tutorial."""

    @hub_method
    async def send_message(self, user: str, message: str) -> None:
        """Sends to all clients, also to the sender."""
        await self.clients.all.send("ReceiveMessage", user, message)


class ConformanceHub(
    StreamingMethods,
    UploadMethods,
    ConnectionMethods,
    AskingMethods,
    FailingMethods,
    EchoMethods,
    DescribingMethods,
    SendingMethods,
    GroupMethods,
):
    """All methods that the recordings under ``hub`` call."""


class DefaultHub(ConformanceHub):
    """With the options as they are."""


class DetailedHub(ConformanceHub):
    """With detailed errors."""


class ParallelHub(ConformanceHub):
    """With four invocations at a time."""


class SmallHub(ConformanceHub):
    """With messages of at most 1000 bytes."""


class UnlimitedHub(ConformanceHub):
    """With messages of any size."""


class FastHub(ConformanceHub):
    """With short times."""
