"""Python's names and .NET's (J-14)."""

import pytest

from protocol.values.naming import camel_case, has_members, members_of, pascal_case
from tests.support.application_types import Aliased, Color, Named, Person, Point, Renamed


@pytest.mark.parametrize(
    ("name", "pascal", "camel"),
    [
        ("send_message", "SendMessage", "sendMessage"),
        ("add", "Add", "add"),
        ("Add", "Add", "add"),
        ("sendMessage", "SendMessage", "sendMessage"),
        ("get_2_items", "Get2Items", "get2Items"),
        ("x", "X", "x"),
        ("x_axis", "XAxis", "xAxis"),
        ("to_URL", "ToURL", "toURL"),
        ("URLOf", "URLOf", "urlOf"),
        ("ID", "ID", "id"),
        ("iOS", "IOS", "ios"),
        ("_hidden", "Hidden", "hidden"),
        ("class_", "Class", "class"),
        ("größe_ändern", "GrößeÄndern", "größeÄndern"),
    ],
)
def test_names(name: str, pascal: str, camel: str) -> None:
    assert pascal_case(name) == pascal
    assert camel_case(name) == camel


def test_an_explicit_name_is_used() -> None:
    assert [it.wire_name(camel_case) for it in members_of(Person)] == [
        "name",
        "age",
        "homeAddress",
        "tags",
    ]
    assert [it.wire_name(pascal_case) for it in members_of(Point)] == ["XAxis", "LabelText"]
    assert [it.wire_name(camel_case) for it in members_of(Renamed)] == ["FirstName"]
    assert [it.wire_name(camel_case) for it in members_of(Named)] == ["$count"]
    assert [it.wire_name(camel_case) for it in members_of(Aliased)] == [
        "plainName",
        "SomethingElse",
    ]


def test_members_say_what_is_required() -> None:
    assert [it.required for it in members_of(Person)] == [True, False, False, False]
    assert [it.required for it in members_of(Point)] == [True, False]


def test_has_members() -> None:
    assert has_members(Person)
    assert has_members(Point)
    assert not has_members(Point(1))
    assert not has_members(Color)
    assert not has_members(dict)
