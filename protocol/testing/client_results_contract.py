"""Tests that a ``HubLifetimeManager`` with client results has to pass."""

import asyncio
from typing import Any, Final

import msgspec
import pytest

from ..errors import (
    ConnectionClosed,
    HubException,
    LocalProtocolError,
    NotConnectedError,
    RemoteProtocolError,
)
from ..messages import VOID, Completion
from .lifetime_scene import LifetimeSuite, Scene, with_scene

_ANSWERS: Final = [
    pytest.param(msgspec.Raw(b"5"), int, 5, id="number"),
    pytest.param(msgspec.Raw(b'{"a_B":[1]}'), Any, {"a_B": [1]}, id="anything"),
    pytest.param(msgspec.Raw(b"null"), str | None, None, id="null"),
]

_FAILURES: Final = [
    pytest.param({"error": "no idea"}, "no idea", id="error"),
    pytest.param({"error": ""}, "", id="empty error"),
    pytest.param(
        {"result": msgspec.Raw(b'"x"')},
        "Error trying to deserialize result to int. ",
        id="another type",
    ),
    pytest.param(
        {"result": VOID},
        "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.",
        id="neither",
    ),
]


class ClientResultsContract(LifetimeSuite):
    """The tests of a lifetime manager whose clients can be asked for results.

    Subclass it as ``Test…`` and implement ``make``. Each test runs in an event loop of its own, and
    starts and closes the manager.
    """

    @pytest.mark.parametrize(("answer", "result_type", "expected"), _ANSWERS)
    @with_scene
    async def test_result(
        self, scene: Scene, answer: msgspec.Raw, result_type: Any, expected: Any
    ) -> None:
        """Only the named client gets the call; its result is converted to the given type."""
        # CR-1, CR-2
        waiting = _ask(scene, "a", result_type)
        invocation_id = await _asked(scene, "a")
        assert await scene.targets("b") == []
        _answer(scene, "a", invocation_id, result=answer)
        assert await waiting == expected

    @pytest.mark.parametrize(("outcome", "text"), _FAILURES)
    @with_scene
    async def test_failure(self, scene: Scene, outcome: dict[str, Any], text: str) -> None:
        """For each kind of wrong answer the caller gets a HubException with the expected text."""
        # CR-5
        waiting = _ask(scene, "a", int)
        _answer(scene, "a", await _asked(scene, "a"), **outcome)
        with pytest.raises(HubException) as raised:
            await waiting
        assert str(raised.value).startswith(text)
        assert bool(text) == bool(str(raised.value))

    @with_scene
    async def test_unknown_connection(self, scene: Scene) -> None:
        """A call to an unknown connection raises NotConnectedError."""  # CR-5
        with pytest.raises(NotConnectedError, match=r"^Connection 'z' does not exist\.$"):
            await scene.manager.invoke_connection("z", "X", [], Any)

    @with_scene
    async def test_connection_that_ends(self, scene: Scene) -> None:
        """A call to a connection that ends, before or during the call, raises ConnectionClosed."""
        # CR-5
        waiting = _ask(scene, "a", Any)
        await _asked(scene, "a")
        scene.receivers["a"].connection.abort()
        for asking in (waiting, _ask(scene, "a", Any)):
            with pytest.raises(ConnectionClosed, match=r"^Connection 'a' disconnected\.$"):
                await asking

    @with_scene
    async def test_answers_in_any_order(self, scene: Scene) -> None:
        """Each answer reaches the call with its id."""  # CR-1
        calls = [(name, _ask(scene, name, str)) for name in "aba"]
        await scene.settle()
        ids = {name: [it["invocationId"] for it in await scene.messages(name)] for name in "ab"}
        assert len({*ids["a"], *ids["b"]}) == 3
        for name in "ba":
            for invocation_id in reversed(ids[name]):
                payload = msgspec.Raw(msgspec.json.encode(f"{name} {invocation_id}"))
                _answer(scene, name, invocation_id, result=payload)
        expected = [("a", ids["a"][0]), ("b", ids["b"][0]), ("a", ids["a"][1])]
        assert [await each for _, each in calls] == [f"{name} {id}" for name, id in expected]

    @with_scene
    async def test_answer_of_another_connection(self, scene: Scene) -> None:
        """The answer of a wrong connection raises an error. The right one can still answer."""
        # CR-7
        waiting = _ask(scene, "a", int)
        invocation_id = await _asked(scene, "a")
        with pytest.raises(RemoteProtocolError, match="Connection ID 'b' is not valid"):
            _answer(scene, "b", invocation_id, result=msgspec.Raw(b"1"))
        _answer(scene, "a", invocation_id, result=msgspec.Raw(b"2"))
        assert await waiting == 2

    @with_scene
    async def test_answers_to_no_call(self, scene: Scene) -> None:
        """A second answer, a late answer and an answer to an unknown call are ignored."""  # S-25
        _answer(scene, "a", "unknown", error="no")
        waiting = _ask(scene, "a", int)
        invocation_id = await _asked(scene, "a")
        for number in (b"1", b"2"):
            _answer(scene, "a", invocation_id, result=msgspec.Raw(number))
        assert await waiting == 1
        cancelled = _ask(scene, "a", int)
        invocation_id = await _asked(scene, "a")
        cancelled.cancel()
        await scene.settle()
        _answer(scene, "a", invocation_id, result=msgspec.Raw(b"3"))

    @with_scene
    async def test_arguments_that_cannot_be_written(self, scene: Scene) -> None:
        """The call raises LocalProtocolError, and nothing is sent."""  # J-21
        with pytest.raises(LocalProtocolError):
            await scene.manager.invoke_connection("a", "X", [object()], Any)
        assert await scene.targets("a") == []

    @with_scene
    async def test_types_that_cannot_be_read(self, scene: Scene) -> None:
        """The call raises TypeError, and nothing is sent."""
        with pytest.raises(TypeError):
            await scene.manager.invoke_connection("a", "X", [], asyncio.Event)
        assert await scene.targets("a") == []


def _ask(scene: Scene, name: str, result_type: Any) -> asyncio.Task[Any]:
    waiting = scene.manager.invoke_connection(name, "X", ["ü"], result_type)
    return asyncio.ensure_future(waiting)


async def _asked(scene: Scene, name: str) -> str:
    """Returns the id of the only message that a receiver has got, a call that expects a result."""
    (message,) = await scene.messages(name)
    invocation_id = message.pop("invocationId")
    assert message == {"type": 1, "target": "X", "arguments": ["ü"]}
    assert isinstance(invocation_id, str)
    return invocation_id


def _answer(scene: Scene, name: str, invocation_id: str, **outcome: Any) -> None:
    completion = Completion(invocation_id=invocation_id, **outcome)
    scene.manager.set_connection_result(scene.receivers[name].connection, completion)
