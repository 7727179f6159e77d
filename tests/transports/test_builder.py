"""HubConnectionBuilder: what it takes, what it refuses (N-26, R-1, D)."""

import ssl
from typing import Any

import pytest

from protocol import HubConnectionBuilder, HubConnectionState, LocalProtocolError, RetryContext


@pytest.mark.parametrize(
    "url", ["", "/hub", "hub", "ftp://host/hub", "http:///hub", "localhost:80/hub", "http://"]
)
def test_urls_that_are_none(url: str) -> None:
    """Absolute, http or ws; the error does not repeat the URL, which may hold a token."""
    with pytest.raises(ValueError, match="The URL of a hub is absolute") as caught:
        HubConnectionBuilder().with_url(f"{url}?access_token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://host:99999/hub", "has a port from 1 to 65535"),
        ("http://host:0/hub", "has a port from 1 to 65535"),
        ("http://host:x/hub", "has a port from 1 to 65535"),
        ("http://ho st/hub", "has a host without blanks"),
        ("http://host /hub", "has a host without blanks"),
        ("http://host/hub\n", "holds control characters"),
        ("http://:80/hub", "is absolute"),
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


@pytest.mark.parametrize("method", ["with_maximum_send_message_size"])
def test_no_limit(method: str) -> None:
    """None means none."""
    getattr(HubConnectionBuilder(), method)(None)


async def test_build_again_and_again() -> None:
    """Each build gives a connection of its own, not started."""
    builder = HubConnectionBuilder().with_url(
        "https://host/hub", ssl=ssl.create_default_context(), headers={"a": "b"}
    )
    one, other = builder.build(), builder.build()
    assert one is not other
    assert one.state is HubConnectionState.DISCONNECTED


@pytest.mark.parametrize("retry", [[0, 1.5], (5,), lambda context: None, []])
def test_retry_policies(retry: Any) -> None:
    """R-1: delays or a function."""
    HubConnectionBuilder().with_automatic_reconnect(retry)


def test_negative_delays() -> None:
    """R-1."""
    with pytest.raises(ValueError, match="from 0 on"):
        HubConnectionBuilder().with_automatic_reconnect([-1])


def test_retry_context() -> None:
    """R-1: what a policy is told."""
    context = RetryContext(2, 5.0, None)
    assert (context.previous_retry_count, context.elapsed, context.retry_reason) == (2, 5.0, None)
