"""HubConnectionBuilder: valid and invalid options (N-26, R-1)."""

import math
import ssl
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HubConnectionBuilder,
    HubConnectionState,
    JsonHubProtocol,
    LocalProtocolError,
    MessageTooLargeError,
    RetryContext,
)
from tests.transports.host import Host


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "no scheme"),
        ("/hub", "no scheme"),
        ("//host/hub", "no scheme"),
        ("hub", "no scheme"),
        ("localhost:80/hub", "no scheme"),
        ("ftp://host/hub", "the scheme 'ftp'"),
        ("http:///hub", "no host"),
        ("http://", "no host"),
    ],
)
def test_urls_that_are_none(url: str, fault: str) -> None:
    """Absolute, http or ws; the error does not repeat the URL, which may hold a token."""
    text = f"^The URL of a hub has {fault}; it has to be absolute and to begin with http://"
    with pytest.raises(ValueError, match=text) as caught:
        HubConnectionBuilder().with_url(f"{url}?access_token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://host:99999/hub", "has an invalid port; expected 1 to 65535"),
        ("http://host:0/hub", "has an invalid port; expected 1 to 65535"),
        ("http://host:x/hub", "has an invalid port; expected 1 to 65535"),
        ("http://ho st/hub", "has a host with blanks"),
        ("http://host /hub", "has a host with blanks"),
        ("http://host/hub\n", "holds control characters"),
        ("http://:80/hub", "has no host; it has to be absolute"),
    ],
)
def test_urls_that_lead_nowhere(url: str, text: str) -> None:
    with pytest.raises(ValueError, match=f"^The URL of a hub {text}") as caught:
        HubConnectionBuilder().with_url(url)
    assert url not in str(caught.value)


def test_a_builder_without_a_url() -> None:
    with pytest.raises(LocalProtocolError, match="call with_url first"):
        HubConnectionBuilder().build()


@pytest.mark.parametrize(
    "method",
    [
        "with_server_timeout",
        "with_keep_alive_interval",
        "with_handshake_timeout",
        "with_maximum_item_wait",
        "with_maximum_send_message_size",
        "with_maximum_receive_message_size",
    ],
)
def test_limits_are_positive(method: str) -> None:
    """D: and the builder is handed on."""
    builder = HubConnectionBuilder()
    for value in (0, -1):
        with pytest.raises(ValueError, match="not above 0"):
            getattr(builder, method)(value)
    assert getattr(builder, method)(1) is builder


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("with_server_timeout", "30"),
        ("with_keep_alive_interval", None),
        ("with_handshake_timeout", True),
        ("with_maximum_item_wait", "5"),
        ("with_maximum_send_message_size", 1.5),
        ("with_maximum_receive_message_size", "unlimited"),
    ],
)
def test_limits_are_numbers(method: str, wrong: Any) -> None:
    option = method.removeprefix("with_")
    with pytest.raises(TypeError, match=rf"{option} is a .*number.*, not {type(wrong).__name__}"):
        getattr(HubConnectionBuilder(), method)(wrong)
    with pytest.raises((TypeError, ValueError), match=f"{option} is "):
        getattr(HubConnectionBuilder(), method)(math.nan)


@pytest.mark.parametrize("method", ["with_server_timeout", "with_automatic_reconnect"])
def test_what_is_refused_changes_nothing(method: str) -> None:
    builder = HubConnectionBuilder()
    before = dict(vars(builder))
    with pytest.raises((TypeError, ValueError)):
        getattr(builder, method)(-1)
    assert vars(builder) == before


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"url": 5}, "url is text, not int"),
        ({"headers": 5}, "headers is a Mapping, not int"),
        ({"headers": {"X": 5}}, "headers maps str to str, not str to int"),
        ({"headers": {5: "X"}}, "headers maps str to str, not int to str"),
        ({"cookies": {"x": None}}, "cookies maps str to str, not str to NoneType"),
        ({"access_token_factory": "t0ken"}, "access_token_factory is a Callable or None, not str"),
        ({"skip_negotiation": "no"}, "skip_negotiation is True or False, not str"),
        ({"transports": "WebSockets"}, "transports is a HttpTransportType, not str"),
        ({"ssl": None}, "ssl is a SSLContext or True or False, not NoneType"),
        ({"close_timeout": "5"}, "close_timeout is a number, not str"),
    ],
)
def test_with_url_and_other_types(given: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text) as caught:
        HubConnectionBuilder().with_url(**{"url": "http://host/hub", **given})
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"headers": {"X": "s3cret\r\nY: z"}},
            "headers: the value of 'X' holds control characters",
        ),
        ({"headers": {"X": "s3cret\ud800"}}, "headers: the value of 'X' holds control characters"),
        ({"headers": {"X Y": "s3cret"}}, "headers: 'X Y' is not a valid name of an HTTP header"),
        ({"headers": {"": "s3cret"}}, "headers: '' is not a valid name of an HTTP header"),
        ({"cookies": {"a": "s3cret;b=c"}}, "cookies: the value of 'a' holds a semicolon"),
        ({"cookies": {"a=": "s3cret"}}, "cookies: 'a=' is not a valid name of a cookie"),
        (
            {"url": "http://me:s3cret@host/hub", "headers": {"authorization": "x"}},
            "The URL holds credentials and headers an Authorization",
        ),
        ({"url": "http://host/hub?s3cret "}, "URL of a hub begins or ends with blanks"),
        ({"url": "http://[s3cret/hub"}, "URL of a hub has an invalid host"),
        ({"close_timeout": math.nan}, "close_timeout is nan, not above 0"),
    ],
)
def test_with_url_and_values_that_cannot_be_sent(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        HubConnectionBuilder().with_url(**{"url": "http://host/hub", **given})
    assert "s3cret" not in str(caught.value)


async def test_no_limit(host: Host) -> None:
    """None means none, in either direction, where there was one before."""
    builder = HubConnectionBuilder().with_url(f"{host.url}/hub")
    builder.with_maximum_send_message_size(1000).with_maximum_receive_message_size(1000)
    text = "x" * 10_000
    async with builder.build() as connection:
        with pytest.raises(MessageTooLargeError):
            await connection.invoke("Echo", text)
    builder.with_maximum_send_message_size(None)
    async with builder.build() as connection:
        with pytest.raises(ConnectionClosed, match="than the 1000 bytes of maximum_rec"):
            await connection.invoke("Echo", text)
    builder.with_maximum_receive_message_size(None)
    async with builder.build() as connection:
        assert await connection.invoke("Echo", text) == text


async def test_build_again_and_again() -> None:
    """Each build gives a connection of its own, not started."""
    builder = HubConnectionBuilder().with_url(
        "https://host/hub", ssl=ssl.create_default_context(), headers={"a": "b"}
    )
    one, other = builder.build(), builder.build()
    assert one is not other
    assert one.state is HubConnectionState.DISCONNECTED


@pytest.mark.parametrize(
    ("retry", "asked"),
    [
        (lambda builder: builder, []),
        (lambda builder: builder.with_automatic_reconnect(), [0, 2, 10, 30, None]),
        (lambda builder: builder.with_automatic_reconnect([0, 1.5]), [0, 1.5, None]),
        (lambda builder: builder.with_automatic_reconnect((5,)), [5, None]),
        (lambda builder: builder.with_automatic_reconnect([]), [None]),
        (
            lambda builder: builder.with_automatic_reconnect(
                lambda context: context.previous_retry_count + 0.5
            ),
            [0.5, 1.5, 2.5],
        ),
    ],
)
def test_retry_policies(retry: Any, asked: list[float | None]) -> None:
    """R-1: delays or a function; the connection gets the policy."""
    connection = retry(HubConnectionBuilder().with_url("http://host/hub")).build()
    policy = connection._retry_policy
    assert (policy is None) is (asked == [])
    assert [policy(RetryContext(count, 0.0, None)) for count in range(len(asked))] == asked


@pytest.mark.parametrize("retry", [5, None, "05", [None], ["5"]])
def test_retry_policies_that_are_none(retry: Any) -> None:
    """R-1."""
    with pytest.raises(TypeError, match=r"list of seconds or a function|is a number of seconds"):
        HubConnectionBuilder().with_automatic_reconnect(retry)


def test_classes_in_place_of_instances() -> None:
    """The error says how an instance is made."""

    class Policy:
        def __call__(self, context: RetryContext) -> float | None:
            return None

    builder = HubConnectionBuilder()
    with pytest.raises(TypeError, match=r"not the class Policy; give an instance, .* Policy\(\)"):
        builder.with_automatic_reconnect(Policy)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"not the class JsonHubProtocol; .* JsonHubProtocol\(\)"):
        builder.with_hub_protocol(JsonHubProtocol)  # type: ignore[arg-type]


def test_negative_delays() -> None:
    """R-1."""
    with pytest.raises(ValueError, match="from 0 on"):
        HubConnectionBuilder().with_automatic_reconnect([-1])


def test_retry_context() -> None:
    """R-1: the arguments of a policy."""
    context = RetryContext(2, 5.0, None)
    assert (context.previous_retry_count, context.elapsed, context.retry_reason) == (2, 5.0, None)
