"""The contract suites find faults: each faulty implementation fails the test for its fault."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pytest
from _pytest.outcomes import Failed

from protocol import (
    ConnectionClosed,
    DefaultHubLifetimeManager,
    HubConnectionContext,
    HubLifetimeManager,
    HubMessage,
    HubProtocol,
    JsonHubProtocol,
    RetryContext,
    RetryPolicy,
)
from protocol.framing import RecordFramer
from protocol.messages import Completion, Ping
from protocol.testing import (
    ClientResultsContract,
    HubLifetimeContract,
    HubProtocolContract,
    RetryPolicyContract,
)
from protocol.testing.lifetime_contract import Send


class Doubling(DefaultHubLifetimeManager):
    """Sends to a connection as often as it is named."""

    async def send_connections(
        self, connection_ids: Iterable[str], target: str, arguments: Sequence[Any]
    ) -> None:
        for connection_id in connection_ids:
            await super().send_connections([connection_id], target, arguments)


class Silent(DefaultHubLifetimeManager):
    """Drops what cannot be written."""

    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = ()
    ) -> None:
        try:
            await super().send_all(target, arguments, excluded)
        except Exception:
            return


class Late(DefaultHubLifetimeManager):
    """Sends to all after a detour, so that a later send overtakes it."""

    def __init__(self) -> None:
        super().__init__()
        self.sends: list[asyncio.Task[None]] = []

    async def send_all(
        self, target: str, arguments: Sequence[Any], excluded: Collection[str] = ()
    ) -> None:
        self.sends.append(asyncio.create_task(super().send_all(target, arguments, excluded)))


class Unforgetting(DefaultHubLifetimeManager):
    """Keeps the groups of a connection that has ended."""

    async def on_disconnected(self, connection: HubConnectionContext) -> None:
        self._connections.pop(connection.connection_id, None)


class Impatient(DefaultHubLifetimeManager):
    """Closes a connection without the reason."""

    async def close_connection(self, connection_id: str, reason: str | None = None) -> bool:
        connection = self._connections.get(connection_id)
        if connection is None or connection.ending is not None:
            return False
        connection.abort()
        return True


class Inflating(DefaultHubLifetimeManager):
    """Counts a group that has no members."""

    async def count_group(self, group: str) -> int:
        return max(await super().count_group(group), 1)


class Trusting(DefaultHubLifetimeManager):
    """Accepts answers of connections that were not asked."""

    def set_connection_result(
        self, connection: HubConnectionContext, completion: Completion
    ) -> None:
        asked = self._results._asked.get(completion.invocation_id, connection)
        super().set_connection_result(asked, completion)


class Deserted(DefaultHubLifetimeManager):
    """Does not notice the end of the connection that it has asked."""

    async def invoke_connection(
        self, connection_id: str, target: str, arguments: Sequence[Any], result_type: Any
    ) -> Any:
        try:
            return await super().invoke_connection(connection_id, target, arguments, result_type)
        except ConnectionClosed:
            return None


class Unclosable(DefaultHubLifetimeManager):
    """Fails to close."""

    async def close(self) -> None:
        raise LookupError("closed")


def manager_contract(make: Callable[[], HubLifetimeManager]) -> HubLifetimeContract:
    class Contract(HubLifetimeContract):
        async def make(self) -> HubLifetimeManager:
            return make()

    return Contract()


def results_contract(make: Callable[[], HubLifetimeManager]) -> ClientResultsContract:
    class Contract(ClientResultsContract):
        async def make(self) -> HubLifetimeManager:
            return make()

    return Contract()


def to_twice(manager: HubLifetimeManager) -> Any:
    return manager.send_connections("aba", "X", [])


TWICE: Send = to_twice


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        (Doubling, lambda contract: contract.test_targets(TWICE, "ab")),
        (Silent, lambda contract: contract.test_arguments_that_cannot_be_written(object())),
        (Late, lambda contract: contract.test_order()),
        (Unforgetting, lambda contract: contract.test_everything_ends_with_the_connection()),
        (Impatient, lambda contract: contract.test_closing()),
        (Inflating, lambda contract: contract.test_presence()),
    ],
)
def test_lifetime_managers(
    kind: type[HubLifetimeManager], run: Callable[[HubLifetimeContract], None]
) -> None:
    run(manager_contract(DefaultHubLifetimeManager))
    with pytest.raises((AssertionError, Failed)):
        run(manager_contract(kind))


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        (Trusting, lambda contract: contract.test_answer_of_another_connection()),
        (Deserted, lambda contract: contract.test_connection_that_ends()),
    ],
)
def test_managers_with_client_results(
    kind: type[HubLifetimeManager], run: Callable[[ClientResultsContract], None]
) -> None:
    run(results_contract(DefaultHubLifetimeManager))
    with pytest.raises((AssertionError, Failed)):
        run(results_contract(kind))


def test_a_manager_that_does_not_close() -> None:
    with pytest.raises(LookupError, match="closed"):
        manager_contract(Unclosable).test_connections()


class Greedy(JsonHubProtocol):
    """Has no limit."""

    def framer(self, maximum_size: int | None) -> RecordFramer:
        return super().framer(None)


class Forgetful(JsonHubProtocol):
    """Drops pings."""

    def encode(self, message: HubMessage) -> bytes:
        return b"" if isinstance(message, Ping) else super().encode(message)


class Shared(JsonHubProtocol):
    """Has one framer for all connections."""

    def __init__(self) -> None:
        super().__init__()
        self._framer = super().framer(None)

    def framer(self, maximum_size: int | None) -> RecordFramer:
        return self._framer


class Fragile(JsonHubProtocol):
    """Fails with an error of its own."""

    def decode(self, record: bytes, /) -> Any:
        try:
            return super().decode(record)
        except Exception as error:
            raise KeyError("type") from error


def protocol_contract(make: Callable[[], HubProtocol]) -> HubProtocolContract:
    class Contract(HubProtocolContract):
        def make(self) -> HubProtocol:
            return make()

    return Contract()


@pytest.mark.parametrize(
    ("kind", "run"),
    [
        (Greedy, lambda contract: contract.test_the_size_of_messages_is_limited(True)),
        (Forgetful, lambda contract: contract.test_messages("a ping")),
        (Shared, lambda contract: contract.test_framers_are_independent()),
        (Fragile, lambda contract: contract.test_damaged_messages("a call")),
    ],
)
def test_hub_protocols(kind: type[HubProtocol], run: Callable[[HubProtocolContract], None]) -> None:
    run(protocol_contract(JsonHubProtocol))
    with pytest.raises((AssertionError, Failed, ValueError, KeyError)):
        run(protocol_contract(kind))


def policy_contract(policy: RetryPolicy) -> RetryPolicyContract:
    class Contract(RetryPolicyContract):
        def make(self) -> RetryPolicy:
            return policy

    return Contract()


class Once:
    """Tries again after the first loss only."""

    def __init__(self) -> None:
        self.is_used = False

    def __call__(self, _: RetryContext) -> float | None:
        if self.is_used:
            return None
        self.is_used = True
        return 0.0


def test_retry_policies() -> None:
    with pytest.raises(ValueError, match="-1"):
        policy_contract(lambda _: -1.0).test_answers_every_attempt(None)
    with pytest.raises(OverflowError):
        policy_contract(lambda it: 2.0**it.previous_retry_count).test_answers_late_attempts(
            10**6, 1
        )
    with pytest.raises(AssertionError):
        policy_contract(Once()).test_a_later_loss_begins_anew()
