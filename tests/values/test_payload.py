"""Payload: a value that is already encoded, wherever a value is written."""

import json
from collections.abc import Generator
from typing import Any, Final

import msgspec
import pytest
from msgspec import Raw

from protocol import (
    JsonHubProtocol,
    LocalProtocolError,
    MessagePackHubProtocol,
    Payload,
    TranscodingError,
)
from protocol.hub_protocol import SerializedHubMessage
from protocol.values import payload as payload_module
from protocol.values.transcoding import json_to_messagepack

JSON: Final = JsonHubProtocol()
MESSAGEPACK: Final = MessagePackHubProtocol()


def json_payload(text: bytes) -> Payload:
    return Payload({"json": Raw(text)})


def test_is_unchanged_in_its_own_protocol_and_transcoded_in_another() -> None:
    value = json_payload(b'[ 0.10,"x"]')
    assert (
        JSON.encode_result("1", value) == b'{"type":3,"invocationId":"1","result":[ 0.10,"x"]}\x1e'
    )
    assert bytes(MESSAGEPACK.encode_value(value)) == bytes.fromhex("92cb3fb999999999999aa178")
    other = Payload({"messagepack": Raw(b"\x92\xcc\x01\xc4\x01\xff")})
    assert bytes(MESSAGEPACK.encode_value(other)) == b"\x92\xcc\x01\xc4\x01\xff"
    assert bytes(JSON.encode_arguments([other, 1])) == b'[[1,"/w=="],1]'


def test_given_forms_are_not_transcoded() -> None:
    """GW-14: the forms in two hub protocols may differ."""
    state = Payload({"json": Raw(b"{}"), "messagepack": Raw(b"\x90")})
    arguments = [json_payload(b'["John","Hello!"]'), state]
    message = SerializedHubMessage("ReceiveMessage", arguments)
    assert message.frame(JSON) == (
        b'{"type":1,"target":"ReceiveMessage","arguments":[["John","Hello!"],{}]}\x1e'
    )
    assert message.frame(MESSAGEPACK).hex() == (
        "23960180c0ae526563656976654d6573736167659292a44a6f686ea648656c6c6f219090"
    )


def test_inside_other_values() -> None:
    assert bytes(JSON.encode_value({"a": [json_payload(b"1e400")]})) == b'{"a":[1e400]}'


def test_is_transcoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def counting(payload: Raw) -> Generator[None, None, Raw]:
        yield
        seen.append(bytes(payload))
        return json_to_messagepack(payload)

    transcoders: Any = {("json", "messagepack"): counting}
    monkeypatch.setattr(payload_module, "_TRANSCODERS", transcoders)
    value = json_payload(b"[1]")
    JSON.encode_value(value)
    assert seen == []
    for _ in range(3):
        MESSAGEPACK.encode_value(value)
    assert seen == [b"[1]"]


def test_in_steps() -> None:
    """A large payload takes many, a small one none; the form is there after the last."""
    small, large = (
        Payload({"messagepack": Raw(msgspec.msgpack.encode([[1.5]] * count))})
        for count in (10, 100_000)
    )
    assert list(small.steps("json")) == []
    steps = large.steps("json")
    assert sum(1 for _ in steps) > 100
    assert large.form("json") is large.form("json")
    assert list(large.steps("json")) == []
    assert json.loads(bytes(large.form("json"))) == [[1.5]] * 100_000


def test_without_a_form_in_steps() -> None:
    """The steps raise nothing; the error is known from then on."""
    value = Payload({"messagepack": Raw(msgspec.msgpack.encode([1] * 100_000 + [float("nan")]))})
    list(value.steps("json"))
    assert list(value.steps("json")) == []
    for _ in range(2):
        with pytest.raises(TranscodingError, match="number nan has no JSON"):
            value.form("json")


def test_without_a_form() -> None:
    with pytest.raises(TranscodingError, match="number nan has no JSON"):
        JSON.encode_value(Payload({"messagepack": Raw(msgspec.msgpack.encode(float("nan")))}))
    with pytest.raises(TranscodingError, match="'json' payload cannot be converted to 'other'"):
        json_payload(b"1").form("other")


def test_a_call_without_a_result_has_no_form() -> None:
    """Its empty Raw cannot be written as a value."""
    for protocol in (JSON, MESSAGEPACK):
        with pytest.raises(LocalProtocolError):
            protocol.encode_arguments([json_payload(b"")])


@pytest.mark.parametrize(
    ("forms", "elements"),
    [
        ({"json": rb'[ 1 ,"\ud800",[2]]'}, [b"1", rb'"\ud800"', b"[2]"]),
        ({"messagepack": b"\x93\x01\xa1x\x91\x02"}, [b"\x01", b"\xa1x", b"\x91\x02"]),
    ],
)
def test_elements(forms: dict[str, bytes], elements: list[bytes]) -> None:
    (name,) = forms
    parts = Payload({name: Raw(forms[name])}).elements()
    assert [bytes(part.form(name)) for part in parts] == elements


@pytest.mark.parametrize("forms", [{"json": b"{}"}, {"json": b"[1"}, {"messagepack": b"\x80"}])
def test_elements_of_a_value_that_is_not_an_array(forms: dict[str, bytes]) -> None:
    with pytest.raises(LocalProtocolError, match="not an array"):
        Payload({name: Raw(form) for name, form in forms.items()}).elements()


def test_a_failed_transcoding_is_tried_once_and_collects_no_tracebacks() -> None:
    message = SerializedHubMessage("M", [Payload({"messagepack": Raw(b"\xd4\x05\x00")})])
    errors = []
    for _ in range(3):
        with pytest.raises(TranscodingError, match="extension of type 5") as caught:
            message.frame(JSON)
        errors.append((caught.value, len(list(caught.traceback))))
    assert errors == [(errors[0][0], 2)] * 3
    assert message.frame(MESSAGEPACK).hex() == "0b960180c0a14d91d4050090"
