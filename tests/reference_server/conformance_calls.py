"""The conformance hub: connections, plain calls and calls that fail."""

import asyncio
import math
from collections.abc import Iterator, Mapping

from protocol import Hub, HubException, Int32, hub_method

from .values import (
    Greeter,
    InvalidOperationException,
    OperationCanceledException,
    Person,
    PolicyException,
    describe,
)


def _observers_of(tag: str) -> str:
    return f"observers:{tag}"


class ConnectionMethods(Hub):
    """What happens when a connection begins and ends is chosen by its query.

    ``?tag=T`` reports it to the observers of T. ``?connect=`` is throw, hubthrow, abort, ask, send
    (a Welcome) or slow (500 ms, then a Welcome); ``?disconnect=throw`` makes OnDisconnected fail.
    """

    async def on_connected(self) -> None:
        """See the class."""
        self.context.items["tag"] = self.query_value("tag")
        self.context.items["disconnect"] = self.query_value("disconnect")
        await self.report("Connected", self.context.connection_id)
        match self.query_value("connect"):
            case "throw":
                raise InvalidOperationException("Not today.")
            case "hubthrow":
                raise HubException("Not today.")
            case "abort":
                self.context.abort()
            case "send":
                await self.clients.caller.send("Welcome", self.context.connection_id)
            case "ask":
                await self.clients.caller.invoke("Answer", "who?", result_type=str)
            case "slow":
                await asyncio.sleep(0.5)
                await self.clients.caller.send("Welcome", self.context.connection_id)
            case _:
                pass

    async def on_disconnected(self, error: Exception | None) -> None:
        """Sends the observers how the connection ended: the error, or null for a normal end."""
        await self.report("Disconnected", self.context.connection_id, describe(error))
        if self.context.items["disconnect"] == "throw":
            raise InvalidOperationException("Not even now.")

    async def report(self, target: str, *arguments: object) -> None:
        """Sends to the observers of this connection's tag, if it has one."""
        tag = self.context.items["tag"]
        if tag is not None:
            await self.clients.group(_observers_of(tag)).send(target, *arguments)

    @hub_method
    async def observe(self, tag: str) -> None:
        """Makes the caller an observer of connections with this tag."""
        await self.groups.add(self.context.connection_id, _observers_of(tag))

    @hub_method
    def connection_id(self) -> str:
        return self.context.connection_id

    @hub_method
    def user_identifier(self) -> str | None:
        return self.context.user_identifier

    @hub_method
    def query_value(self, name: str) -> str | None:
        return self.context.http_request.query(name)

    @hub_method
    def set_item(self, key: str, value: str) -> None:
        self.context.items[key] = value

    @hub_method
    def get_item(self, key: str) -> str | None:
        return self.context.items.get(key)

    @hub_method
    def abort_connection(self) -> None:
        self.context.abort()


class PlainMethods(Hub):
    """Calls that succeed."""

    _count = 0

    @hub_method
    def nothing(self) -> None:
        pass

    @hub_method
    async def nothing_task(self) -> None:
        pass

    @hub_method
    async def nothing_value_task(self) -> None:
        pass

    @hub_method
    def return_null(self) -> None:
        return None

    @hub_method
    def add(self, a: Int32, b: Int32) -> int:
        return a + b

    @hub_method
    async def add_task(self, a: Int32, b: Int32) -> int:
        return a + b

    @hub_method
    async def add_value_task(self, a: Int32, b: Int32) -> int:
        return a + b

    @hub_method
    async def greet_later_async(self, name: str | None) -> str:
        await asyncio.sleep(0)
        return f"Hello, {name}!"

    @hub_method
    def add_optional(self, a: Int32, b: Int32 = 5) -> int:
        """Clients may leave ``b`` out (S-2)."""
        return a + b

    def not_callable(self) -> str:
        return "A method that is not marked is not a hub method."

    @hub_method("renamed")
    def original_name(self) -> str:
        return "called by its other name"

    @hub_method
    def greet(self, name: str, greeter: Greeter) -> str:
        return greeter.greet(name)

    @hub_method(authorize=True)
    def secret(self) -> str:
        return f"for {self.context.user_identifier} only"

    @hub_method(authorize={"admin"})
    def admin_only(self) -> str:
        return "for administrators only"

    @hub_method
    async def slow(self, label: str, milliseconds: Int32) -> str:
        """Sends Started(label), waits, sends Finished(label), returns the label."""
        await self.clients.caller.send("Started", label)
        await asyncio.sleep(milliseconds / 1000)
        await self.clients.caller.send("Finished", label)
        return label

    @hub_method
    def count_on_instance(self) -> int:
        """How often this instance was called: always 1, since every call has its own (S-28)."""
        self._count += 1
        return self._count


class AskingMethods(PlainMethods):
    """Calls that ask a client for a result, by its handler of ``Answer``."""

    @hub_method
    async def ask(self, question: str | None) -> str | None:
        answer: str | None = await self.clients.caller.invoke(
            "Answer", question, result_type=str | None
        )
        return answer

    @hub_method
    async def ask_number(self, question: str | None) -> Int32:
        return await self.clients.caller.invoke("Answer", question, result_type=Int32)

    @hub_method
    async def ask_person(self, question: str | None) -> Person | None:
        answer: Person | None = await self.clients.caller.invoke(
            "Answer", question, result_type=Person | None
        )
        return answer

    @hub_method
    async def ask_other(self, connection_id: str, question: str | None) -> str | None:
        answer: str | None = await self.clients.client(connection_id).invoke(
            "Answer", question, result_type=str | None
        )
        return answer

    @hub_method
    async def ask_with_timeout(self, question: str | None, milliseconds: Int32) -> str | None:
        answer: str | None = await self.clients.caller.invoke(
            "Answer", question, result_type=str | None, timeout=milliseconds / 1000
        )
        return answer

    @hub_method
    async def ask_then_wait(self, question: str | None, label: str, milliseconds: Int32) -> str:
        """Asks for a result, then continues like Slow: the answer does not end the call."""
        await self.ask(question)
        return await self.slow(label, milliseconds)

    @hub_method
    async def describe_answer(self, question: str | None) -> str:
        """Returns the exception of a failed client result, as the hub sees it."""
        try:
            return f"answer: {await self.ask(question) or ''}"
        except Exception as error:
            return str(describe(error))


class Trap(Mapping[str, str]):
    """An object whose second member cannot be read."""

    def __getitem__(self, key: str) -> str:
        if key == "first":
            return "fine"
        raise InvalidOperationException("The value cannot be read.")

    def __iter__(self) -> Iterator[str]:
        return iter(("first", "second"))

    def __len__(self) -> int:
        return 2


class FailingMethods(Hub):
    """Calls that fail, each in its own way."""

    @hub_method
    def throw(self, message: str) -> None:
        raise InvalidOperationException(message)

    @hub_method
    def throw_hub_exception(self, message: str) -> None:
        raise HubException(message)

    @hub_method
    def throw_policy_exception(self, message: str) -> None:
        raise PolicyException(message)

    @hub_method
    def throw_canceled(self) -> None:
        raise OperationCanceledException

    @hub_method
    async def throw_later(self, message: str) -> None:
        await asyncio.sleep(0.05)
        raise InvalidOperationException(message)

    @hub_method
    def not_a_number(self) -> float:
        """Returns a NaN, which JSON cannot express. .NET's NaN has a sign, Python's does not."""
        return -math.nan

    @hub_method
    async def send_not_a_number(self) -> None:
        """Sends an argument that JSON cannot express."""
        await self.clients.caller.send("Receive", math.nan)

    @hub_method
    def unreadable(self) -> Trap:
        return Trap()
