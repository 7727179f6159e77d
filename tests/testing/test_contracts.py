"""The library's own implementations of the extension points pass the contract suites."""

from protocol import (
    DefaultHubLifetimeManager,
    ExponentialBackoff,
    HubLifetimeManager,
    HubProtocol,
    JsonHubProtocol,
    MessagePackHubProtocol,
    RetryPolicy,
)
from protocol.client.retry import DEFAULT_RETRY_DELAYS, retry_delays
from protocol.testing import (
    ClientResultsContract,
    HubLifetimeContract,
    HubProtocolContract,
    RetryPolicyContract,
)


class TestDefaultHubLifetimeManager(HubLifetimeContract):
    async def make(self) -> HubLifetimeManager:
        return DefaultHubLifetimeManager()


class TestClientResults(ClientResultsContract):
    async def make(self) -> HubLifetimeManager:
        return DefaultHubLifetimeManager()


class TestJsonHubProtocol(HubProtocolContract):
    def make(self) -> HubProtocol:
        return JsonHubProtocol()


class TestMessagePackHubProtocol(HubProtocolContract):
    def make(self) -> HubProtocol:
        return MessagePackHubProtocol()


class TestDefaultDelays(RetryPolicyContract):
    def make(self) -> RetryPolicy:
        return retry_delays(DEFAULT_RETRY_DELAYS)


class TestExponentialBackoff(RetryPolicyContract):
    def make(self) -> RetryPolicy:
        return ExponentialBackoff()


class TestNoDelays(RetryPolicyContract):
    def make(self) -> RetryPolicy:
        return retry_delays(())
