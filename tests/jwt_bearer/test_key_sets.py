"""Key sets: which of their keys are used, and when a set is read again.

The set is a file, or the answer of a server on a loopback socket; time is moved by the test.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from protocol.jwt_bearer import JwksFile, JwksUrl
from protocol.server.authentication import AuthenticationFailure, Principal
from protocol.testing import LoopClock

from .tokens import (
    SECRET,
    bearer,
    encoded,
    jwk,
    private_key,
    refusal_of,
    request,
    signed,
    user_of,
)

NOT_FOUND = "The signature key was not found"
ES256 = signed(private_key("secp256r1"), "ES256", {"kid": "e"})
RS256 = signed(private_key("RSA"), "RS256", {"kid": "r"})
EDDSA = signed(private_key("Ed25519"), "EdDSA", {"kid": "d"})


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


ONE = document(jwk("secp256r1", kid="e"))
TWO = document(jwk("secp256r1", kid="e"), jwk("RSA", kid="r"))


@pytest.fixture(autouse=True)
async def clock() -> AsyncIterator[LoopClock]:
    with LoopClock() as clock:
        yield clock
        await clock.settle()
        leftovers = clock.leftovers()
    assert leftovers == []
    assert clock.unhandled == []


class KeyFile:
    """A file with a key set, at first ``ONE``, that a test replaces or deletes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.put(ONE)

    @property
    def source(self) -> JwksFile:
        return JwksFile(self._path)

    def put(self, content: bytes | None) -> None:
        self._path.unlink(missing_ok=True)
        if content is not None:
            self._path.write_bytes(content)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


class TestKeys:
    @pytest.mark.parametrize(
        ("kind", "algorithm"),
        [
            ("RSA", "RS256"),
            ("RSA", "PS512"),
            ("secp256r1", "ES256"),
            ("secp384r1", "ES384"),
            ("secp521r1", "ES512"),
            ("Ed25519", "EdDSA"),
            ("Ed448", "EdDSA"),
        ],
    )
    async def test_public_keys(self, file: KeyFile, kind: str, algorithm: str) -> None:
        file.put(document(jwk(kind, kid="k", use="sig")))
        token = signed(private_key(kind), algorithm, {"kid": "k"})
        await user_of(token, bearer(file.source))

    async def test_secrets(self, file: KeyFile) -> None:
        file.put(document({"kty": "oct", "k": encoded(SECRET), "kid": "s"}))
        await user_of(signed(header={"kid": "s"}), bearer(file.source))

    async def test_the_algorithm_of_a_key(self, file: KeyFile) -> None:
        file.put(document(jwk("RSA", kid="r", alg="PS256")))
        authenticator = bearer(file.source)
        key = private_key("RSA")
        await user_of(signed(key, "PS256", {"kid": "r"}), authenticator)
        assert await refusal_of(RS256, authenticator) == "The signature is invalid"

    async def test_a_key_without_id(self, file: KeyFile) -> None:
        file.put(document(jwk("secp256r1")))
        await user_of(ES256, bearer(file.source))

    async def test_the_public_part_of_a_private_key(self, file: KeyFile) -> None:
        algorithm = jwt.get_algorithm_by_name("ES256")
        members = algorithm.to_jwk(private_key("secp256r1"), as_dict=True)
        assert "d" in members
        file.put(document({**members, "kid": "e"}))
        await user_of(ES256, bearer(file.source))

    @pytest.mark.parametrize(
        "bad",
        [
            None,
            "key",
            {},
            {"kty": "rsa"},
            {"kty": ["RSA"]},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "RSA", "n": 5, "e": None},
            jwk("secp256r1", x="AA", y="AA"),
            jwk("secp256r1", x=encoded(bytes(32)), y=encoded(bytes(32))),
            {"kty": "OKP", "crv": "X25519", "x": encoded(bytes(32))},
            {"kty": "oct", "k": encoded(b"short")},
            {"kty": "oct"},
            {**jwk("RSA"), "kid": 5},
            jwk("RSA", kid="r", use="enc"),
            jwk("RSA", kid="r", alg="RSA-OAEP"),
            {**jwk("RSA", kid="r"), "key_ops": ["encrypt"]},
            {**jwk("RSA", kid="r"), "key_ops": 5},
            {**jwk("RSA", kid="r"), "alg": ["RS256"]},
        ],
    )
    async def test_other_keys_are_ignored(self, file: KeyFile, bad: Any) -> None:
        file.put(document(bad, jwk("secp256r1", kid="e")))
        authenticator = bearer(file.source)
        await user_of(ES256, authenticator)
        assert await refusal_of(RS256, authenticator) == NOT_FOUND


class TestFailures:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "it is not JSON"),
            (b"\xff", "it is not JSON"),
            (b"[" * 100_000, "it is not JSON"),
            (b"[]", "it is not a JSON Web Key Set"),
            (b'{"keys":{}}', "it is not a JSON Web Key Set"),
            (document(), "it has no key that verifies signatures"),
            (document(jwk("RSA", use="enc")), "it has no key that verifies signatures"),
            (document(*[jwk("secp256r1")] * 101), "it has more than 100 keys"),
            (b" " * 262_145, "it is larger than 256 KiB"),
            (None, "No such file or directory"),
        ],
    )
    async def test_a_file_that_cannot_be_used(
        self, file: KeyFile, content: bytes | None, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        file.put(content)
        assert await refusal_of(ES256, bearer(file.source)) == NOT_FOUND
        assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
            f"JwksFile cannot be read: {reason}. The keys that are known stay in use: 0."
        ]


class TestTimes:
    async def test_a_new_key_is_found(self, file: KeyFile, clock: LoopClock) -> None:
        """A token that names an unknown key causes a read, at most one in 30 seconds."""
        authenticator = bearer(file.source)
        await user_of(ES256, authenticator)
        file.put(TWO)
        assert await refusal_of(RS256, authenticator) == NOT_FOUND
        await clock.advance(29)
        assert await refusal_of(RS256, authenticator) == NOT_FOUND
        await clock.advance(1)
        await user_of(RS256, authenticator)

    async def test_a_key_that_is_removed(self, file: KeyFile, clock: LoopClock) -> None:
        """After an hour a set is read again, without a token that waits for it."""
        file.put(TWO)
        authenticator = bearer(file.source)
        await user_of(RS256, authenticator)
        file.put(ONE)
        await clock.advance(3599)
        await user_of(RS256, authenticator)
        await clock.advance(1)
        await user_of(RS256, authenticator)  # starts the read
        await settled()
        assert await refusal_of(RS256, authenticator) == NOT_FOUND
        await user_of(ES256, authenticator)

    async def test_known_keys_outlive_the_set(
        self, file: KeyFile, clock: LoopClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        authenticator = bearer(file.source)
        await user_of(ES256, authenticator)
        file.put(None)
        await clock.advance(100_000)
        await user_of(ES256, authenticator)
        await settled()
        await user_of(ES256, authenticator)
        [line] = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        assert line == (
            "JwksFile cannot be read: No such file or directory. "
            "The keys that are known stay in use: 1."
        )

    async def test_a_failure_is_tried_again(
        self, file: KeyFile, clock: LoopClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After 5 seconds; the log has one line in a minute for each reason."""
        caplog.set_level(logging.WARNING)
        file.put(None)
        authenticator = bearer(file.source)
        for _ in range(20):
            assert await refusal_of(ES256, authenticator) == NOT_FOUND
        file.put(ONE)
        await clock.advance(4)
        assert await refusal_of(ES256, authenticator) == NOT_FOUND
        await clock.advance(1)
        await user_of(ES256, authenticator)
        assert len(caplog.records) == 1

    @pytest.mark.parametrize(
        ("source", "line"),
        [
            (JwksFile("a\0b"), "JwksFile cannot be read: its path is not valid."),
            (
                JwksUrl(f"https://{'a' * 70}.example/"),
                "JwksUrl cannot be read: the host of its URL is not valid.",
            ),
        ],
    )
    async def test_an_address_that_no_system_accepts(
        self, source: Any, line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is a failure like others: logged without a traceback, and tried again later."""
        authenticator = bearer(source)
        for _ in range(3):
            assert await refusal_of(ES256, authenticator) == NOT_FOUND
        [record] = [each for each in caplog.records if each.levelname == "WARNING"]
        assert record.getMessage().startswith(line)
        assert record.exc_info is None

    async def test_start_reads_the_set(self, file: KeyFile) -> None:
        authenticator = bearer(file.source)
        await authenticator.start()
        await settled()
        file.put(None)
        await user_of(ES256, authenticator)
        await authenticator.close()


async def settled() -> None:
    """Waits until only this task is left: reads in threads have ended."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


class KeyServer:
    """A server of key sets that a test steers."""

    def __init__(self) -> None:
        self.body = ONE
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests: list[web.Request] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.asked.set()
        await self.gate.wait()
        return web.Response(body=self.body, status=self.status, headers=self.headers)


@pytest.fixture
async def server() -> AsyncIterator[tuple[KeyServer, str]]:
    served = KeyServer()
    app = web.Application()
    app.router.add_get("/{name:.*}", served.answer)
    async with TestServer(app) as running:
        yield served, str(running.make_url("/keys"))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (JwksUrl(f"https://{'a' * 64}.example/planted"), "the host of its URL is not valid"),
        (JwksFile("planted\0"), "its path is not valid"),
    ],
)
async def test_a_place_that_does_not_exist(
    source: JwksUrl | JwksFile, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The next token does not cause another read."""
    authenticator = bearer(source)
    assert await refusal_of(ES256, authenticator) == NOT_FOUND
    assert await refusal_of(ES256, authenticator) == NOT_FOUND
    [line] = caplog.messages
    assert f"cannot be read: {reason}." in line
    assert "planted" not in line


class TestUrl:
    async def test_its_keys(self, server: tuple[KeyServer, str]) -> None:
        served, url = server
        authenticator = bearer(JwksUrl(url))
        await user_of(ES256, authenticator)
        await user_of(ES256, authenticator)
        assert len(served.requests) == 1
        await authenticator.close()

    async def test_requests_share_one_read(self, server: tuple[KeyServer, str]) -> None:
        served, url = server
        served.gate.clear()
        authenticator = bearer(JwksUrl(url))
        waiting = [asyncio.ensure_future(authenticator.authenticate(request(ES256))) for _ in "abc"]
        await served.asked.wait()
        waiting.pop().cancel()  # a client that has left
        served.gate.set()
        assert all(isinstance(each, Principal) for each in await asyncio.gather(*waiting))
        assert len(served.requests) == 1

    async def test_secrets_are_ignored(self, server: tuple[KeyServer, str]) -> None:
        served, url = server
        served.body = document({"kty": "oct", "k": encoded(SECRET)}, jwk("secp256r1", kid="e"))
        authenticator = bearer(JwksUrl(url))
        assert await refusal_of(signed(), authenticator) == NOT_FOUND
        await user_of(ES256, authenticator)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"status": 503}, "its server answers with status 503"),
            (
                {"status": 302, "headers": {"Location": "/others"}},
                "its server answers with status 302",
            ),
            ({"body": b" " * 300_000}, "it is larger than 256 KiB"),
            ({"headers": {"Content-Encoding": "gzip"}, "body": b"\x1f\x8b"}, "it is not JSON"),
        ],
    )
    async def test_answers_that_cannot_be_used(
        self,
        server: tuple[KeyServer, str],
        change: dict[str, Any],
        reason: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        served, url = server
        for name, value in change.items():
            setattr(served, name, value)
        assert await refusal_of(ES256, bearer(JwksUrl(url))) == NOT_FOUND
        assert len(served.requests) == 1
        assert reason in caplog.text

    async def test_a_server_that_cannot_be_reached(
        self, server: tuple[KeyServer, str], clock: LoopClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Known keys stay in use, and unknown ones are refused."""
        served, url = server
        authenticator = bearer(JwksUrl(url))
        await user_of(ES256, authenticator)
        served.status = 500
        await clock.advance(30)
        assert await refusal_of(RS256, authenticator) == NOT_FOUND
        await user_of(ES256, authenticator)
        assert "JwksUrl cannot be read: its server answers with status 500." in caplog.text

    async def test_a_closed_port(self, unused_port: int, caplog: pytest.LogCaptureFixture) -> None:
        authenticator = bearer(JwksUrl(f"http://127.0.0.1:{unused_port}/planted-path"))
        assert await refusal_of(ES256, authenticator) == NOT_FOUND
        assert "JwksUrl cannot be read: Connection refused." in caplog.text
        assert "planted" not in caplog.text

    async def test_a_server_that_does_not_answer(
        self, server: tuple[KeyServer, str], clock: LoopClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        served, url = server
        served.gate.clear()
        waiting = asyncio.ensure_future(bearer(JwksUrl(url)).authenticate(request(ES256)))
        await served.asked.wait()
        await clock.advance(10)
        assert isinstance(await waiting, AuthenticationFailure)
        served.gate.set()
        assert "its server does not answer in time" in caplog.text

    async def test_closing_ends_a_read(self, server: tuple[KeyServer, str]) -> None:
        served, url = server
        served.gate.clear()
        authenticator = bearer(JwksUrl(url))
        waiting = asyncio.ensure_future(authenticator.authenticate(request(ES256)))
        await served.asked.wait()
        await authenticator.close()
        assert isinstance(await waiting, AuthenticationFailure)
        served.gate.set()

    @pytest.mark.parametrize("url", ["", "keys.json", "ftp://a/b", "https://", "file:///keys"])
    def test_what_is_no_url(self, url: str) -> None:
        with pytest.raises(ValueError, match="begins with https://"):
            JwksUrl(url)

    def test_http_is_refused(self) -> None:
        with pytest.raises(ValueError, match="could be replaced on the way") as caught:
            JwksUrl("http://issuer.example/planted")
        assert "planted" not in str(caught.value)
        JwksUrl("http://issuer.example/keys", require_https=False)
        JwksUrl("https://issuer.example/keys")
        JwksUrl("http://[::1]/keys")

    def test_wrong_types(self) -> None:
        with pytest.raises(TypeError, match="url is a str, not int"):
            JwksUrl(5)  # type: ignore[arg-type]


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
