"""The rings hold: imports go inwards, the core is pure, the library knows nothing of the gateway.

Reads the sources rather than running them, so that an import inside a function counts as well.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import protocol
from protocol import testing

ROOT: Final = Path(__file__).parent.parent
LIBRARY: Final = ROOT / "protocol"
GATEWAY: Final = ROOT / "signalr_gateway"

CORE: Final = sorted(LIBRARY.glob("*.py"))
AIO: Final = sorted((LIBRARY / "aio").rglob("*.py"))
HOSTING: Final = sorted((LIBRARY / "hosting").rglob("*.py"))
TRANSPORTS: Final = sorted((LIBRARY / "transports").rglob("*.py"))
TESTING: Final = sorted((LIBRARY / "testing").rglob("*.py"))
APPLICATION: Final = sorted(GATEWAY.rglob("*.py"))
RINGS: Final = [*CORE, *AIO, *HOSTING, *TRANSPORTS]
SOURCES: Final = [*RINGS, *TESTING, *APPLICATION]

IMPURE: Final = frozenset({"asyncio", "threading", "selectors", "socket", "ssl", "time", "logging"})

SHARED_BY_HOSTS: Final = ("hosted_connection", "inbound_posts", "long_polling_server")
"""Modules of the transports that import no aiohttp, so that hosts on other servers can use them."""

# What the documentation promises; a change here is a change of the library's interface.
PUBLIC_NAMES: Final = frozenset(
    {
        # client
        "HubConnection",
        "HubConnectionBuilder",
        "HubConnectionState",
        "RetryContext",
        "RetryPolicy",
        # hub protocols
        "ArgumentsReader",
        "Framer",
        "HubMessage",
        "HubProtocol",
        "JsonHubProtocol",
        "MessagePackHubProtocol",
        "Payload",
        "ReceivedMessage",
        "SerializedHubMessage",
        "TransferFormat",
        "ValueReader",
        # server
        "ClientProxy",
        "DefaultHubLifetimeManager",
        "EndpointOptions",
        "GroupManager",
        "HttpRequestData",
        "HttpTransportType",
        "Hub",
        "HubCallerClients",
        "HubCallerContext",
        "HubClients",
        "HubConnectionContext",
        "HubContext",
        "HubLifetimeManager",
        "HubOptions",
        "SlowClientPolicy",
        "Principal",
        "hub_method",
        "is_own_origin",
        "map_hub",
        "normal_origin",
        # errors
        "ArgumentBindingError",
        "ConnectionClosed",
        "GroupLimitError",
        "HandshakeError",
        "HubException",
        "LocalProtocolError",
        "MessageTooLargeError",
        "NegotiationError",
        "NotConnectedError",
        "ProtocolError",
        "RemoteProtocolError",
        "ServerTimeoutError",
        "SignalRError",
        "TranscodingError",
        "TransportViolationError",
        # numbers as narrow as .NET's
        "Byte",
        "Char",
        "DateTimeOffset",
        "Int16",
        "Int32",
        "Int64",
        "SByte",
        "Single",
        "UInt16",
        "UInt32",
        "UInt64",
    }
)


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=lambda path: str(path.relative_to(ROOT)))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def absolute_imports(path: Path) -> set[str]:
    """The top-level packages that ``path`` imports by absolute names."""
    return {name.partition(".")[0] for name, _ in _imports(path) if not name.startswith(".")}


def relative_imports(path: Path) -> set[Path]:
    """The modules of its own package that ``path`` imports, as files."""
    modules = set()
    for name, imported in _imports(path):
        if name.startswith("."):
            folder = path.parent
            for _ in range(len(name) - len(name.lstrip(".")) - 1):
                folder = folder.parent
            target = folder.joinpath(*filter(None, name.lstrip(".").split(".")))
            candidates = [target.with_suffix(".py"), *(target / f"{it}.py" for it in imported)]
            modules |= {it for it in candidates if it.exists()} or {target / "__init__.py"}
    return modules


def _imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each import's module, dots in front where it is relative, and the names taken from it.

    Those for type checkers alone are left out.
    """
    for node in _executed(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), [alias.name for alias in node.names]


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        is_for_checkers = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        if not is_for_checkers:
            yield from _executed(child)


def declared_names(path: Path) -> set[str]:
    """The names that ``path`` imports under a name, as it does for type checkers."""
    return {
        alias.asname
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def run(code: str, folder: Path = ROOT) -> str:
    """What ``code`` prints in a fresh interpreter that finds packages in ``folder`` first."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@each(CORE)
def test_the_core_is_pure(path: Path) -> None:
    """No I/O, no clock, no tasks: msgspec and the standard library without asyncio."""
    imported = absolute_imports(path)
    assert imported - {"msgspec"} <= sys.stdlib_module_names
    assert imported.isdisjoint(IMPURE)
    assert relative_imports(path) <= set(CORE)


@each(AIO)
def test_the_asyncio_ring_knows_no_transport(path: Path) -> None:
    assert absolute_imports(path) - {"msgspec"} <= sys.stdlib_module_names
    assert relative_imports(path) <= {*CORE, *AIO}


@each(HOSTING)
def test_hosting_decides_on_plain_data(path: Path) -> None:
    """No aiohttp, no tasks, no clock: hosts on any server share these decisions."""
    imported = absolute_imports(path)
    assert imported <= sys.stdlib_module_names
    assert imported.isdisjoint(IMPURE - {"logging"})
    assert relative_imports(path) <= {*CORE, *AIO, *HOSTING}


@each(TRANSPORTS)
def test_only_transports_know_aiohttp(path: Path) -> None:
    """yarl is how aiohttp wants its URLs, where they must not be written anew."""
    assert absolute_imports(path) - {"msgspec", "aiohttp", "yarl"} <= sys.stdlib_module_names
    assert relative_imports(path) <= {*CORE, *AIO, *HOSTING, *TRANSPORTS}


@each(TESTING)
def test_tools_for_tests_know_no_transport(path: Path) -> None:
    """Only the contract suites need pytest; what they test is in the two inner rings."""
    allowed = {"msgspec", "pytest"} if path.stem.endswith("_contract") else set()
    assert absolute_imports(path) - allowed <= sys.stdlib_module_names
    assert relative_imports(path) <= {*CORE, *AIO, *TESTING}


@each([*RINGS, *APPLICATION])
def test_only_tests_import_the_tools_for_tests(path: Path) -> None:
    assert relative_imports(path).isdisjoint(TESTING)
    for name, imported in _imports(path):
        assert not name.startswith("protocol.testing")
        assert name != "protocol" or "testing" not in imported
        assert not name.startswith("pytest")


@each([*RINGS, *TESTING])
def test_the_library_is_relocatable(path: Path) -> None:
    """It imports itself by relative names only, and nothing of the gateway."""
    everything = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0)
        for alias in node.names
    }
    packages = {str(name).partition(".")[0] for name in everything}
    assert packages.isdisjoint({"protocol", "signalr_gateway"})


@each(APPLICATION)
def test_the_gateway_uses_the_library_as_anybody_would(path: Path) -> None:
    for name, imported in _imports(path):
        parts = name.split(".")
        if parts[0] == "protocol":
            assert not any(part.startswith("_") for part in (*parts, *imported))


@each(APPLICATION)
def test_the_gateway_reaches_into_nobodys_privates(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            is_dunder = node.attr.endswith("__")
            is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            assert is_own or is_dunder, f"line {node.lineno}: {ast.unparse(node)}"


def test_relaying_is_decided_without_io() -> None:
    path = GATEWAY / "relay.py"
    assert absolute_imports(path).isdisjoint({"aiohttp", "asyncio"})


def test_no_module_waits_for_itself() -> None:
    """The graph of imports inside the library has no cycle."""
    library = [path for path in (*RINGS, *TESTING) if path.name != "__init__.py"]
    order = TopologicalSorter({path: relative_imports(path) & set(library) for path in library})
    assert set(order.static_order()) == set(library)


@each(SOURCES)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path))


@each([path for path in SOURCES if path.stem not in ("__init__", "__main__")])
def test_no_module_hides_one_of_the_standard_library(path: Path) -> None:
    assert path.stem not in sys.stdlib_module_names


class TestPublicNames:
    def test_are_those_documented(self) -> None:
        assert set(protocol.__all__) == PUBLIC_NAMES
        assert list(protocol.__all__) == sorted(protocol.__all__)
        assert set(protocol.__all__) <= set(dir(protocol))

    @pytest.mark.parametrize("name", sorted(PUBLIC_NAMES))
    def test_can_be_loaded(self, name: str) -> None:
        assert getattr(protocol, name) is getattr(protocol, name)

    def test_others_are_missing_as_in_any_module(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'HubConection'"):
            protocol.HubConection  # noqa: B018

    def test_are_all_typed(self) -> None:
        """What a type checker sees is what ``__getattr__`` finds."""
        assert declared_names(LIBRARY / "__init__.py") == PUBLIC_NAMES
        assert declared_names(LIBRARY / "testing" / "__init__.py") == set(testing.__all__)
        assert (LIBRARY / "py.typed").exists()


class TestFreshInterpreter:
    HEAVY: Final = "sorted({'asyncio', 'aiohttp', 'ssl', 'socket'} & set(sys.modules))"

    def test_importing_the_library_is_light(self) -> None:
        assert run(f"import sys, protocol; print({self.HEAVY})") == "[]"

    def test_the_core_needs_nothing_of_the_outer_rings(self) -> None:
        modules = ", ".join(f"protocol.{path.stem}" for path in CORE if path.stem != "__init__")
        assert run(f"import sys; import {modules}; print({self.HEAVY})") == "[]"

    def test_the_asyncio_ring_needs_no_aiohttp(self) -> None:
        modules = ", ".join(f"protocol.aio.{path.stem}" for path in AIO if path.stem != "__init__")
        assert run(f"import sys; import {modules}; print('aiohttp' in sys.modules)") == "False"

    def test_what_hosts_share_needs_no_aiohttp(self) -> None:
        hosting = [f"protocol.hosting.{path.stem}" for path in HOSTING if path.stem != "__init__"]
        shared = [f"protocol.transports.{stem}" for stem in SHARED_BY_HOSTS]
        loaded = "sorted({'aiohttp', 'multidict', 'yarl'} & set(sys.modules))"
        assert run(f"import sys; import {', '.join([*hosting, *shared])}; print({loaded})") == "[]"

    def test_tools_for_tests_without_pytest(self) -> None:
        """Those that are no contract suites work; the others say what is missing."""
        code = (
            "import sys; sys.modules['pytest'] = None\n"
            "from protocol.testing import LoopClock, MemoryTransport, memory_pair\n"
            "import protocol.testing\n"
            "for name in protocol.testing.__all__:\n"
            "    try: getattr(protocol.testing, name)\n"
            "    except ImportError as error: print(error)"
        )
        assert run(code).splitlines() == [
            f"protocol.testing.{name} needs pytest, which is not installed: pip install pytest"
            for name in ("HubLifetimeContract", "HubProtocolContract", "RetryPolicyContract")
        ]

    def test_the_folder_works_under_another_name(self, tmp_path: Path) -> None:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(LIBRARY, tmp_path / "vendored_signalr", ignore=ignored)
        code = (
            "import sys, vendored_signalr as v\n"
            "import vendored_signalr.testing as t\n"
            "for module in (v, t):\n"
            "    for name in module.__all__: getattr(module, name)\n"
            "print('protocol' in sys.modules, v.HubConnection.__module__)"
        )
        assert run(code, tmp_path) == "False vendored_signalr.aio.client"
