"""HubProtocol, beyond the reading and writing of single messages (G-8, S-18, C-18)."""

from typing import Any, ClassVar, Final

import pytest
from hypothesis import given
from msgspec import Raw

from protocol.errors import LocalProtocolError
from protocol.hub_protocol import SerializedHubMessage
from protocol.json.protocol import JsonHubProtocol
from protocol.messages import VOID, Completion, HubMessage, Invocation, Role, StreamItem
from protocol.peer_state import MAY_SEND, PeerState
from tests.support.application_types import Color, Person
from tests.support.strategies import IDS, PLAIN_VALUES, messages

PROTOCOL: Final = JsonHubProtocol()


class Counting(JsonHubProtocol):
    """Counts how often it is asked to encode."""

    name: ClassVar[str] = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode(self, message: HubMessage) -> bytes:
        self.encoded += 1
        return super().encode(message)


class TestSerializedHubMessage:
    def test_is_encoded_once_for_all_connections_of_a_protocol(self) -> None:
        """G-8: the same bytes object for all receivers."""
        protocol = Counting()
        message = SerializedHubMessage("ReceiveMessage", ["John", 1])
        frames = [message.frame(protocol) for _ in range(3)]
        assert frames[0] == b'{"type":1,"target":"ReceiveMessage","arguments":["John",1]}\x1e'
        assert frames[0] is frames[1] is frames[2]
        assert protocol.encoded == 1

    def test_is_encoded_once_per_protocol(self) -> None:
        protocol = Counting()
        message = SerializedHubMessage("M", [])
        assert message.frame(PROTOCOL) == message.frame(protocol)
        assert protocol.encoded == 1

    def test_is_not_encoded_without_receivers(self) -> None:
        message = SerializedHubMessage("M", [object()])
        assert message.target == "M"  # the arguments, which cannot be written, are not encoded yet

    def test_the_error_names_what_cannot_be_written(self) -> None:
        message = SerializedHubMessage("M", [object()])
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="object"):
                message.frame(PROTOCOL)

    def test_forwards_raw_arguments(self) -> None:
        message = SerializedHubMessage("M", [Raw(b'["John" , 0.10]'), {}])
        assert message.frame(PROTOCOL) == (
            b'{"type":1,"target":"M","arguments":[["John" , 0.10],{}]}\x1e'
        )


class TestEncodeResult:
    @given(IDS, PLAIN_VALUES)
    def test_is_both_steps_in_one(self, invocation_id: str, value: Any) -> None:
        result = PROTOCOL.encode_value(value)
        assert PROTOCOL.encode_result(invocation_id, value) == PROTOCOL.encode(
            Completion(invocation_id=invocation_id, result=result)
        )

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "null"),  # S-18: also for methods that return nothing
            (Person("Ann"), '{"name":"Ann","age":0,"homeAddress":null,"tags":[]}'),
            (Color.BLUE, "10"),
            (Raw(b"[ 0.10 ]"), "[ 0.10 ]"),
            ([Raw(b"0.10")], "[0.10]"),
        ],
    )
    def test_writes_values_with_dotnets_conventions(self, value: Any, text: str) -> None:
        frame = PROTOCOL.encode_result("1", value)
        assert frame.decode() == f'{{"type":3,"invocationId":"1","result":{text}}}\x1e'

    def test_a_void_result_is_no_result(self) -> None:
        """Any empty Raw is void, not only the one called VOID: results are copied and relayed."""
        void = b'{"type":3,"invocationId":"1"}\x1e'
        for empty in (VOID, VOID.copy(), Raw(b"")):
            assert PROTOCOL.encode_result("1", empty) == void
            assert PROTOCOL.encode(Completion(invocation_id="1", result=empty)) == void

    @pytest.mark.parametrize("value", [float("nan"), object(), "\ud800", {None: 1}, [object()]])
    def test_the_error_names_what_cannot_be_written(self, value: Any) -> None:
        with pytest.raises(LocalProtocolError):
            PROTOCOL.encode_result("1", value)

    @pytest.mark.parametrize("value", [Raw(b'"\x1e"'), [Raw(b'"\x1e"')], {"a": Raw(b'"\x1e"')}])
    def test_a_separator_inside_a_raw_is_not_written(self, value: Any) -> None:
        """The receiver would read two records."""
        with pytest.raises(LocalProtocolError):
            PROTOCOL.encode_result("1", value)


class TestEncodeItem:
    @given(IDS, PLAIN_VALUES)
    def test_is_both_steps_in_one(self, invocation_id: str, value: Any) -> None:
        item = PROTOCOL.encode_value(value)
        assert PROTOCOL.encode_item(invocation_id, value) == PROTOCOL.encode(
            StreamItem(invocation_id=invocation_id, item=item)
        )

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "null"),
            (Person("Ann"), '{"name":"Ann","age":0,"homeAddress":null,"tags":[]}'),
            (Raw(b"[ 0.10 ]"), "[ 0.10 ]"),
            ([Raw(b"0.10")], "[0.10]"),
        ],
    )
    def test_writes_values_with_dotnets_conventions(self, value: Any, text: str) -> None:
        frame = PROTOCOL.encode_item("1", value)
        assert frame.decode() == f'{{"type":2,"invocationId":"1","item":{text}}}\x1e'

    @pytest.mark.parametrize(
        "value",
        [
            float("nan"),
            object(),
            "\ud800",
            Raw(b""),
            Raw(b'"\x1e"'),
            [Raw(b'"\x1e"')],
            {"a": Raw(b'"\x1e"')},
        ],
    )
    def test_what_cannot_be_written(self, value: Any) -> None:
        """Least of all a separator inside a Raw: the receiver would read two records."""
        with pytest.raises(LocalProtocolError):
            PROTOCOL.encode_item("1", value)


@given(messages())
def test_every_kind_of_message_may_be_sent_by_a_role(message: HubMessage) -> None:
    """C-18: clients may send all of them, servers all but two."""
    of_clients, of_servers = (MAY_SEND[role][PeerState.CONNECTED] for role in Role)
    assert type(message) in of_clients
    only_clients = of_clients - of_servers
    assert sorted(kind.__name__ for kind in only_clients) == [
        "CancelInvocation",
        "StreamInvocation",
    ]


def test_messages_do_not_change() -> None:
    """One message may be sent to many connections, and a received one may have many handlers."""
    message = Invocation(target="M", arguments=Raw(b"[]"))
    with pytest.raises(AttributeError):
        message.target = "N"  # type: ignore[misc]
    with pytest.raises(TypeError):
        message.headers["a"] = "b"  # type: ignore[index]
