"""A hub protocol with a fault."""

from protocol import HubMessage, JsonHubProtocol


class FailingProtocol(JsonHubProtocol):
    """JSON, except that messages of one kind cannot be encoded."""

    def __init__(self, kind: type[HubMessage]) -> None:
        super().__init__()
        self._kind = kind

    def encode(self, message: HubMessage) -> bytes:
        """See HubProtocol. Raises LookupError for the kind."""
        if isinstance(message, self._kind):
            raise LookupError("This kind of message cannot be encoded.")
        return super().encode(message)
