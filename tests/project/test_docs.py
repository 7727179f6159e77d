"""The documents agree with the code: every file, name, code and default that they mention is there.

`test_readme`, `test_migration` and `test_extending` run the examples that need processes or files.
"""

import ast
import asyncio
import doctest
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import pytest
from aiohttp import web

from protocol import (
    EndpointOptions,
    HttpTransportType,
    Hub,
    HubConnectionBuilder,
    HubOptions,
    NegotiationError,
    Principal,
    SlowClientPolicy,
    hub_method,
    map_hub,
    relaying,
)
from protocol import errors as library_errors
from protocol.client.options import HubConnectionOptions
from protocol.testing import LoopClock, TcpLink
from signalr_gateway import BroadcastType, Limits, Orchestrator, QueuePolicy, create_app
from signalr_gateway.access.policies import Action, Policies
from signalr_gateway.cli import main
from signalr_gateway.clients.gateway_hub import GatewayHub
from signalr_gateway.config.file import load_config
from signalr_gateway.config.options import options_of
from signalr_gateway.config.schema import Listen
from signalr_gateway.http.addresses import RESERVED
from signalr_gateway.orchestration.hub_options import DownstreamHubOptions
from signalr_gateway.orchestration.receive_types import receive_type
from signalr_gateway.routing.problem_code import ProblemCode
from signalr_gateway.serving.listener import serving
from tests.project import option_tables
from tests.support.checkout import ROOT
from tests.support.documents import (
    DOCUMENTS,
    README,
    code_blocks,
    code_files,
    code_names,
    prose,
    table,
)
from tests.support.hub_messages import PING, call, completion, result
from tests.support.loop_time import LoopTime
from tests.support.server_harness import ServerHarness

API: Final = ROOT / "docs" / "api.md"
ARCHITECTURE: Final = ROOT / "docs" / "architecture.md"
DEPLOYMENT: Final = ROOT / "docs" / "deployment.md"
GATEWAY: Final = ROOT / "docs" / "gateway.md"
LIBRARY: Final = ROOT / "docs" / "library.md"
OPERATING: Final = ROOT / "docs" / "operating.md"


def loaded(source: str, folder: Path) -> ModuleType:
    """The module that a block of code makes."""
    path = folder / "example.py"
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def value_of(text: str) -> object:
    """A default as the tables write it; nothing where there is none."""
    if not text:
        return inspect.Parameter.empty
    if text == "Limits()":
        return Limits()
    if "HubProtocol()" in text or text.startswith("HttpTransportType."):
        return text
    for kind in (BroadcastType, QueuePolicy, SlowClientPolicy):
        if member := re.fullmatch(rf"{kind.__name__}\.(\w+)", text):
            return kind[member[1]]
    return ast.literal_eval(text)


def field_defaults(kind: Any) -> dict[str, object]:
    """The defaults of a dataclass."""
    return {
        each.name: shown(each.default)
        if each.default_factory is MISSING
        else each.default_factory()
        for each in fields(kind)
    }


def shown(default: object) -> object:
    """As the tables write it: two hub protocols of a kind are not equal, and enums no literals."""
    if default != () and isinstance(default, tuple):  # hub protocols
        return f"({', '.join(f'{type(each).__name__}()' for each in default)})"
    if isinstance(default, HttpTransportType):
        return str(default)
    return default


def parameter_defaults(function: Callable[..., object]) -> dict[str, object]:
    parameters = inspect.signature(function).parameters
    return {name: each.default for name, each in parameters.items() if name != "self"}


def documented_defaults(document: Path, heading: str) -> dict[str, object]:
    return {row[0]: value_of(row[1]) for row in table(document, heading, "default")}


# ---- files and names


def test_links_lead_somewhere() -> None:
    broken = [
        (document.name, link)
        for document in DOCUMENTS
        for link in re.findall(r"\]\(([^)\s]+)\)", prose(document))
        if not link.startswith("https://") and not leads_somewhere(document, link)
    ]
    assert broken == []


def leads_somewhere(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def test_files_and_folders_exist() -> None:
    folders = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir())
    missing = [
        (document.name, name)
        for document in DOCUMENTS
        for name in code_names(prose(document))
        if name.startswith(folders) and not any(ROOT.glob(name))
    ]
    assert missing == []


def test_names_beside_a_file_are_defined_there() -> None:
    """`file.py` `Name`: the name is a class or function of that file."""
    missing = [
        (document.name, file, name)
        for document in DOCUMENTS
        for file, name in re.findall(r"`(\w+/[\w/]+\.py)`\s+`(\w+)`", prose(document))
        if not defines(ROOT / file, name)
    ]
    assert missing == []


def defines(file: Path, name: str) -> bool:
    definition = re.compile(rf"^ *(?:class|(?:async )?def) {name}\b", re.MULTILINE)
    return definition.search(file.read_text()) is not None


def test_every_folder_of_tests_is_described() -> None:
    described = "".join(
        row[0] for row in table(ROOT / "tests" / "README.md", "folder", "what it proves")
    )
    folders = {path.parent for path in (ROOT / "tests").glob("*/**/test_*.py")}
    tops = {path.relative_to(ROOT / "tests").parts[0] for path in folders}
    assert [name for name in sorted(tops) if f"tests/{name}" not in described] == []


def test_the_architecture_lists_every_module() -> None:
    listed = re.findall(r"^\| `(\S+\.py)` \|", ARCHITECTURE.read_text(), re.MULTILINE)
    modules = [
        path.relative_to(ROOT).as_posix()
        for package in ("protocol", "signalr_gateway")
        for path in (ROOT / package).rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    ]
    missing, stale = sorted({*modules} - {*listed}), sorted({*listed} - {*modules})
    assert not missing, f"docs/architecture.md: add a row for {', '.join(missing)}"
    assert not stale, f"docs/architecture.md: delete the row of {', '.join(stale)}"
    assert len(listed) == len(modules), "docs/architecture.md: a module has two rows"


def test_divergences_are_linked_where_there_is_such_a_list() -> None:
    exists = (ROOT / "docs" / "divergences.md").exists()
    assert exists is ("(docs/divergences.md)" in README.read_text())


# ---- the gateway


def test_problem_codes() -> None:
    documented = [row[:3] for row in table(API, "code", "status", "title")]
    assert documented == [[it.code, str(it.status.value), it.title] for it in ProblemCode]


def test_parameters_of_add_hub() -> None:
    parameters = parameter_defaults(Orchestrator.add_hub)
    del parameters["options"]
    options = {each.name: each.default for each in options_of(DownstreamHubOptions)}
    assert documented_defaults(GATEWAY, "add_hub") == parameters | options


def test_attributes_of_the_orchestrator() -> None:
    documented = documented_defaults(GATEWAY, "Orchestrator")
    orchestrator = Orchestrator()
    assert documented == {name: getattr(orchestrator, name) for name in documented}
    assert set(documented) == {
        name
        for name, each in vars(Orchestrator).items()
        if isinstance(each, property) and each.fset is not None
    }


def test_reserved_paths() -> None:
    [listed] = re.findall(r"^Reserved paths: (.*)\.", GATEWAY.read_text(), re.MULTILINE)
    assert [path.strip("`") for path in listed.split(", ")] == list(RESERVED)


def test_parameters_of_create_app() -> None:
    parameters = parameter_defaults(create_app)
    for name in ("orchestrator", "make_downstream"):  # the subject, and a parameter for tests
        del parameters[name]
    assert documented_defaults(GATEWAY, "create_app") == parameters


PYTHON_TYPES: Final[Mapping[str, object]] = {
    **{each.__name__: each for each in (str, int, float, bool, Decimal, datetime, UUID, bytes)},
    "Any": Any,
}


def test_receive_types() -> None:
    rows = table(GATEWAY, "Python", "C#", "shown as")
    for python, csharp, shown, _ in rows:
        assert receive_type(csharp).name == shown
        if python:
            assert receive_type(PYTHON_TYPES[python]).name == shown
    assert {row[0] for row in rows} - {""} == set(PYTHON_TYPES)


def test_hub_methods() -> None:
    documented = {row[0] for row in table(API, "method", "argument")}
    methods = [it for it in vars(GatewayHub) if not it.startswith("_") and not hasattr(Hub, it)]
    assert documented == {"".join(map(str.capitalize, name.split("_"))) for name in methods}


@pytest.mark.parametrize("heading", option_tables.TABLES)
def test_tables_of_options_are_current(heading: str) -> None:
    tables = list(option_tables.found(heading).values())
    advice = f"table {heading}: not current; run python -m tests.project.option_tables"
    assert tables == [option_tables.written(heading)], advice


COMMANDS: Final = ("demo", "run", "check")


def test_the_table_of_flags_lists_those_of_each_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    documented = {row[0]: row[3] for row in table(OPERATING, "option", "value", "default", "of")}
    takers: dict[str, list[str]] = {option: [] for option in documented}
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        for option in re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE):
            takers[option].append(command)
    for option, of in documented.items():
        assert takers[option] == (list(COMMANDS) if of == "all" else of.split(", ")), option


def test_the_orchestrations_of_the_document_are_the_same(tmp_path: Path) -> None:
    [source] = code_blocks(GATEWAY, "python")
    orchestrator = Orchestrator()
    loaded(source, tmp_path).configure(orchestrator)
    [toml, *_] = code_blocks(GATEWAY, "toml")
    (tmp_path / "gateway.toml").write_text(toml)
    config = load_config(tmp_path / "gateway.toml")
    assert config.listen == Listen()
    for each in (orchestrator, config.orchestrator):
        hub = each.hubs["chatservice"]
        assert hub.receive_key == "a secret"
        assert hub.routes == orchestrator.hubs["chatservice"].routes
        assert set(hub.routes) == {"room", "notices"}
        assert each.gateway_hub_path == "/GatewayHub"
        assert list(each.allowed_origins) == ["https://app.example"]


def test_the_tokens_of_the_document_can_be_configured(tmp_path: Path) -> None:
    pytest.importorskip("jwt", reason="needs the extra jwt")
    tokens, *_ = (each for each in code_blocks(GATEWAY, "toml") if "authentication.jwt" in each)
    hub = '[hubs.h]\nurl = "http://127.0.0.1:9/h"\n'
    (tmp_path / "gateway.toml").write_text(tokens + hub)
    config = load_config(tmp_path / "gateway.toml")
    jwt = config.authentication.jwt
    assert jwt is not None
    assert jwt.audience == "gateway"
    assert config.authentication.has_credentials


def test_the_hubs_of_the_document_can_be_configured(tmp_path: Path) -> None:
    examples = [each for each in code_blocks(GATEWAY, "toml") if "[hubs." in each]
    for each in examples:
        (tmp_path / "gateway.toml").write_text(each)
        assert load_config(tmp_path / "gateway.toml").orchestrator.hubs
    assert len(examples) > 1


def test_the_policies_of_the_document(tmp_path: Path) -> None:
    [file] = [each for each in code_blocks(GATEWAY, "toml") if "[policies." in each]
    (tmp_path / "gateway.toml").write_text(file)
    orchestrator = load_config(tmp_path / "gateway.toml").orchestrator
    policies, route = Policies(orchestrator), orchestrator.hubs["orders"].routes["add"]
    claims = {"scope": "orders", "site": "oslo"}
    for user, allowed in (
        (Principal("ann", frozenset({"staff"}), claims), (True, True)),
        (Principal("ann", frozenset({"staff"}), {**claims, "site": "rome"}), (False, True)),
        (Principal("ann", frozenset(), claims), (False, False)),
    ):
        assert tuple(policies.allows(user, action, route) for action in Action) == allowed


# ---- the library


@pytest.mark.parametrize("options", [HubOptions, EndpointOptions])
def test_options(options: type[HubOptions | EndpointOptions]) -> None:
    assert documented_defaults(LIBRARY, options.__name__) == field_defaults(options)


def test_builder() -> None:
    rows = table(LIBRARY, "builder", "default", "meaning")
    documented = {row[0]: row[1] for row in rows}
    methods = {name for name in vars(HubConnectionBuilder) if name.startswith("with_")}
    assert set(documented) == methods
    defaults = field_defaults(HubConnectionOptions)
    buffer_size = defaults.pop("stateful_reconnect_buffer_size")
    parameters = inspect.signature(HubConnectionBuilder.with_stateful_reconnect).parameters
    assert parameters["buffer_size"].default == buffer_size
    assert {row[0] for row in rows if f"{buffer_size}:" in row[2]} == {"with_stateful_reconnect"}
    for name, default in defaults.items():
        assert value_of(documented[f"with_{name}"]) == default


def test_errors() -> None:
    documented = {row[0] for row in table(LIBRARY, "error")}
    bases = {"SignalRError", "ProtocolError"}
    classes = {name: it for name, it in vars(library_errors).items() if isinstance(it, type)}
    defined = {name for name, each in classes.items() if issubclass(each, BaseException)}
    assert documented == defined - bases


def test_names_for_relaying() -> None:
    rows = table(LIBRARY, "protocol.relaying")
    assert {name for row in rows for name in row[0].split(", ")} == set(relaying.__all__)


def test_the_example_of_relaying_runs() -> None:
    [example] = code_blocks(LIBRARY, "pycon")
    parsed = doctest.DocTestParser().get_doctest(example, {}, "relaying", str(LIBRARY), 0)
    assert doctest.DocTestRunner(verbose=False).run(parsed).failed == 0


def test_the_example_of_the_deployment_runs(tmp_path: Path) -> None:
    [example] = code_blocks(DEPLOYMENT, "python")
    assert loaded(example, tmp_path).app


async def test_the_example_of_filters_runs(tmp_path: Path) -> None:
    example = loaded(code_files(LIBRARY, "python")["timing.py"], tmp_path)
    with LoopClock() as clock:
        harness = ServerHarness(clock, example.SpeechHub, example.OPTIONS)
        client = await harness.connect()
        assert await client.ask(call("Say", "x" * 200)) == [result(100)]
        (refused,) = await client.ask(call("Shout", "x"))
        assert refused["error"].endswith(" HubException: Log in to shout.")
        assert sorted(example.TIMING.seconds) == ["Say", "Shout"]
        await harness.close()


async def test_the_example_of_client_results_runs(tmp_path: Path) -> None:
    hub = loaded(code_files(LIBRARY, "python")["dealer_hub.py"], tmp_path).DealerHub
    with LoopClock() as clock:
        harness = ServerHarness(clock, hub)
        client = await harness.connect()
        for number, (answer, outcome) in enumerate(
            [
                (completion("s1", result=True), "sold"),
                (completion("s2", result=False), "kept"),
                (completion("s3", error="Client didn't provide a result."), "no answer"),
            ],
            1,
        ):
            (question,) = await client.ask(call("Trade", 5))
            assert question == call("Accept", 5, id=f"s{number}")
            assert await client.ask(answer) == [result(outcome)]
        await client.ask(call("Trade", 5))
        await clock.advance(30)
        assert [it for it in await client.take() if it != PING] == [result("no answer")]
        await harness.close()


async def test_the_example_of_streams_runs(tmp_path: Path) -> None:
    hub = loaded(code_files(LIBRARY, "python")["sensor_hub.py"], tmp_path).SensorHub

    def item(value: float) -> dict[str, object]:
        return {"type": 2, "invocationId": "s", "item": value}

    end = completion("s")
    with LoopClock() as clock:
        harness = ServerHarness(clock, hub)
        client = await harness.connect()
        assert await client.ask(
            call("Average", "north", streamIds=["s"]), item(1), item(2), end
        ) == [result("north: 1.5")]
        both = {**call("Doubled", id="s", streamIds=["s"]), "type": 4}
        assert await client.ask(both, item(1), item(2), end) == [item(2), item(4), end]
        client.send({**call("Count", 2, 1, id="s"), "type": 4})
        await clock.advance(5)
        assert await client.take() == [item(0), item(1), end]
        (refusal,) = await client.ask(call("Calibrate", 60), {"type": 5, "invocationId": "1"})
        assert "error" in refusal
        await harness.close()


async def test_the_client_of_the_streams_runs(tmp_path: Path) -> None:
    examples = code_files(LIBRARY, "python")
    client = loaded(examples["sensor_client.py"], tmp_path)
    app = web.Application()
    map_hub(app, "/sensors", loaded(examples["sensor_hub.py"], tmp_path).SensorHub)
    async with serving(app, "127.0.0.1", 0) as url:
        assert await client.measure(f"{url}/sensors") == [0, 1, 2, "north: 21.0", 41.0]


async def test_the_client_that_reconnects_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = loaded(code_files(LIBRARY, "python")["lasting_client.py"], tmp_path)
    entered: list[str] = []
    answers = [web.HTTPServiceUnavailable, web.HTTPServiceUnavailable, None, web.HTTPUnauthorized]

    class Rooms(Hub):
        @hub_method
        def enter(self, room: str) -> None:
            entered.append(room)

    @web.middleware
    async def answer(request: web.Request, handler: Any) -> web.StreamResponse:
        refusal = answers.pop(0) if request.path.endswith("/negotiate") else None
        if refusal is not None:
            raise refusal
        response: web.StreamResponse = await handler(request)
        return response

    app = web.Application(middlewares=[answer])
    map_hub(app, "/rooms", Rooms)
    async with serving(app, "127.0.0.1", 0) as url:
        connection = client.make_connection(f"{url}/rooms")
        connecting = asyncio.create_task(client.connect(connection))
        await LoopTime(monkeypatch).pass_until_done(connecting)
        await connecting
        assert entered == ["lobby"]
        await connection.stop()
        with pytest.raises(NegotiationError):
            await client.connect(connection)
    assert answers == []


async def test_the_client_that_keeps_its_connection_runs(tmp_path: Path) -> None:
    client = loaded(code_files(LIBRARY, "python")["kept_client.py"], tmp_path)

    class Names(Hub):
        @hub_method
        def own_id(self) -> str:
            return self.context.connection_id

    app = web.Application()
    options = EndpointOptions(allow_stateful_reconnects=True)
    map_hub(app, "/names", Names, endpoint_options=options)
    async with serving(app, "127.0.0.1", 0) as url, TcpLink(url) as link:
        connection = client.make_connection(f"{link.url}/names")
        async with connection:
            first = await connection.invoke("OwnId")
            opened = link.opened
            link.cut()
            assert await connection.invoke("OwnId") == first == connection.connection_id
            assert link.opened == opened + 1


async def test_the_client_that_answers_runs(tmp_path: Path) -> None:
    examples = code_files(LIBRARY, "python")
    client = loaded(examples["dealer_client.py"], tmp_path)
    app = web.Application()
    map_hub(app, "/dealer", loaded(examples["dealer_hub.py"], tmp_path).DealerHub)
    async with serving(app, "127.0.0.1", 0) as url:
        assert await client.trade(f"{url}/dealer", price=90, limit=100) == "sold"
        assert await client.trade(f"{url}/dealer", price=110, limit=100) == "kept"


async def test_the_examples_of_the_library_run(tmp_path: Path) -> None:
    sources = code_blocks(LIBRARY, "python")
    hub_source, client_source = [each for each in sources if not each.startswith("# ")]
    app = loaded(hub_source, tmp_path).app
    client = loaded(client_source, tmp_path)
    async with serving(app, "127.0.0.1", 0) as url:
        length, error, event = await client.talk(f"{url}/rooms")
    assert (length, event) == (len("Hello!"), "closing")
    assert error.endswith(" HubException: Say something.")
