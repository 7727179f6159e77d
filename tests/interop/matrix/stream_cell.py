"""The test of a cell with a streaming hub: streams both ways, cancellations, client results."""

import pytest

from tests.interop.drivers import DrivenConnection, DriverError
from tests.interop.matrix.scene import Scene

_BROKEN = "An error occurred on the server while streaming results. HubException: no more"


async def play(scene: Scene) -> None:
    client = await scene.connection("/streamhub")
    if scene.cell.uploads_and_answers:
        await client.answer("Greet", "string", result="Hello, Zoë")
        await client.answer("Fail", throws="handler broke")
    await client.start()
    scene.require_way()

    await _downloads(scene, client)
    if scene.cell.uploads_and_answers:
        await _uploads(client)
        await _answers(client)
    await client.stop()


async def _downloads(scene: Scene, client: DrivenConnection) -> None:
    assert await client.stream("Counter", 20, result="int") == list(range(20))
    assert await client.stream("Counter", 0, result="int") == []
    with pytest.raises(DriverError) as caught:
        await client.stream("Break", result="string")
    assert caught.value.message == _BROKEN
    assert await client.stream("Endless", scene.token, result="int", take=2) == [0, 1]
    await scene.target.hub.recorded(scene.token)  # the method was cancelled


async def _uploads(client: DrivenConnection) -> None:
    assert (await client.invoke("Sum", result="int", upload=[*range(20)])).value == sum(range(20))
    assert (await client.invoke("Sum", result="int", upload=[])).value == 0
    assert await client.stream("Doubled", result="int", upload=[1, 2, 3]) == [2, 4, 6]


async def _answers(client: DrivenConnection) -> None:
    """The hub method asks its caller for a result, with one slot for both calls."""
    assert (await client.invoke("Ask", "Greet", ["Zoë"], result="string")).value == "Hello, Zoë"
    failed = (await client.invoke("Ask", "Fail", [], result="string")).value
    assert failed in {"error: handler broke", "error: Error: handler broke"}
    missing = (await client.invoke("Ask", "Nobody", [], result="string")).value
    assert missing == "error: Client didn't provide a result."
