"""Layers: which folder may import which, and what else each may use.

The tests read the sources instead of running them, so that an import inside a function counts. Each
test collects all offenders, so that one run shows all of them.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import protocol
import signalr_gateway
from protocol import jwt_bearer, relaying, testing
from tests.support.checkout import ROOT

LIBRARY: Final = ROOT / "protocol"
GATEWAY: Final = ROOT / "signalr_gateway"

CORE: Final = frozenset({"protocol", "protocol/values", "protocol/json", "protocol/messagepack"})
"""The pure folders: bytes, messages, and rules."""

LIBRARY_LAYERS: Final[Mapping[str, frozenset[str]]] = {
    "protocol": CORE,  # a handshake and a negotiate answer are JSON
    "protocol/values": CORE,
    "protocol/json": frozenset({"protocol", "protocol/values"}),
    "protocol/messagepack": CORE,
    "protocol/aio": CORE,
    "protocol/client": CORE | {"protocol/aio"},
    "protocol/server": CORE | {"protocol/aio"},
    "protocol/hosting": CORE | {"protocol/server"},
    "protocol/jwt_bearer": CORE | {"protocol/aio", "protocol/server"},
    "protocol/transports": CORE | {"protocol/aio"},
    "protocol/transports/client": CORE | {"protocol/aio", "protocol/client", "protocol/transports"},
    "protocol/transports/server": CORE
    | {"protocol/aio", "protocol/server", "protocol/hosting", "protocol/transports"},
    "protocol/testing": CORE | {"protocol/aio", "protocol/client", "protocol/server"},
}
"""What the modules of a folder may import, besides those of the folder itself."""

_GATEWAY_ORDER: Final = (
    "logs",
    "orchestration",
    "access",
    "routing",
    "downstream",
    "clients",
    "http",
    "serving",
    "config",
    "cli",
)
GATEWAY_LAYERS: Final[Mapping[str, frozenset[str]]] = {
    f"signalr_gateway/{name}": frozenset(
        f"signalr_gateway/{inner}" for inner in _GATEWAY_ORDER[:position]
    )
    | {"signalr_gateway"}  # its version
    for position, name in enumerate(_GATEWAY_ORDER)
} | {"signalr_gateway": frozenset(f"signalr_gateway/{name}" for name in _GATEWAY_ORDER)}

SINGLE_MODULES: Final = frozenset(
    {
        ("signalr_gateway/orchestration", "signalr_gateway/http/addresses.py"),
    }
)
"""Modules of an outer folder that an inner one may import: they are plain data."""

IMPURE: Final = frozenset({"asyncio", "threading", "selectors", "socket", "ssl", "time", "logging"})

SHARED_BY_HOSTS: Final = ("hosted_connection", "inbound_posts", "long_polling")
"""Modules of `protocol/transports/server/` without aiohttp: hosts on other servers can use them."""

OUTSIDE_OF_LIBRARY: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    **{folder: (frozenset({"msgspec"}), IMPURE) for folder in CORE},
    **{
        folder: (frozenset({"msgspec"}), frozenset())
        for folder in ("protocol/aio", "protocol/client", "protocol/server", "protocol/testing")
    },
    "protocol/hosting": (frozenset(), IMPURE - {"logging"}),
    "protocol/jwt_bearer": (
        frozenset({"msgspec", "aiohttp", "yarl", "jwt", "cryptography"}),
        frozenset(),
    ),
    **{
        # aiohttp takes URLs of yarl, which it does not quote again.
        folder: (frozenset({"msgspec", "aiohttp", "yarl"}), frozenset())
        for folder in (
            "protocol/transports",
            "protocol/transports/client",
            "protocol/transports/server",
        )
    },
}
"""By folder: allowed packages besides the standard library, and forbidden modules of it."""

WITHOUT_AIOHTTP: Final = ("logs", "orchestration", "access", "routing", "downstream", "clients")
"""Folders of the gateway that must not import HTTP libraries."""

WITHOUT_TASKS: Final = ("orchestration", "routing")
"""Folders of the gateway that are pure."""

# The documented names. A change here changes the interface of the library.
PUBLIC_NAMES: Final = frozenset(
    {
        # client
        "HubConnection",
        "HubConnectionBuilder",
        "HubConnectionState",
        "HubStream",
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
        "AuthenticationRefreshContext",
        "AuthenticationFailure",
        "Authenticator",
        "AuthorizationContext",
        "Challenge",
        "ClientProxy",
        "DefaultHubLifetimeManager",
        "EndpointOptions",
        "ExponentialBackoff",
        "GroupManager",
        "HttpRequestData",
        "HttpTransportType",
        "Hub",
        "HubCallerClients",
        "HubCallerContext",
        "HubClients",
        "HubConnectionContext",
        "HubContext",
        "HubFilter",
        "HubInvocation",
        "SingleClientProxy",
        "HubLifetimeManager",
        "HubOptions",
        "SlowClientPolicy",
        "Presence",
        "Principal",
        "hub_method",
        "is_own_origin",
        "map_hub",
        "normal_origin",
        # errors
        "ArgumentBindingError",
        "AuthenticationRefreshError",
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
        "StreamOverflowError",
        "TranscodingError",
        "TransportViolationError",
        # the number types of .NET
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


def modules_of(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


SOURCES: Final = [*modules_of(LIBRARY), *modules_of(GATEWAY)]


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def folder_of(path: Path) -> str:
    return shown(path.parent)


def in_folders(*folders: str) -> list[Path]:
    return [path for path in SOURCES if folder_of(path) in folders]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def absolute_imports(path: Path) -> set[str]:
    """The top-level packages that `path` imports by absolute names."""
    return {name.partition(".")[0] for name, _ in imports(path) if not name.startswith(".")}


def relative_imports(path: Path) -> set[Path]:
    """The modules of its own package that `path` imports, as files."""
    modules = set()
    for name, imported in imports(path):
        if name.startswith("."):
            folder = path.parent
            for _ in range(len(name) - len(name.lstrip(".")) - 1):
                folder = folder.parent
            target = folder.joinpath(*filter(None, name.lstrip(".").split(".")))
            candidates = [target.with_suffix(".py"), *(target / f"{it}.py" for it in imported)]
            modules |= {it for it in candidates if it.exists()} or {target / "__init__.py"}
    return modules


def imports(path: Path, *, for_checkers: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Each import's module, dots in front where it is relative, and the names taken from it.

    Those for type checkers alone are included with `for_checkers`.
    """
    for node in ast.walk(tree(path)) if for_checkers else _executed(tree(path)):
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
    """The names that `path` imports under a name, as it does for type checkers."""
    return {
        alias.asname
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def run(code: str, folder: Path = ROOT) -> str:
    """What `code` prints in a fresh interpreter that finds packages in `folder` first."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def names_of(paths: Iterable[Path]) -> str:
    """Their modules, as an import statement lists them."""
    modules = [path.relative_to(ROOT).with_suffix("") for path in paths]
    return ", ".join(".".join(module.parts) for module in modules if module.stem != "__init__")


class TestLayers:
    @pytest.mark.parametrize("layers", [LIBRARY_LAYERS, GATEWAY_LAYERS], ids=["library", "gateway"])
    def test_imports_go_inwards(self, layers: Mapping[str, frozenset[str]]) -> None:
        offenders = [
            f"{shown(path)} imports {shown(imported)}"
            for path in in_folders(*layers)
            for imported in relative_imports(path)
            if folder_of(imported) not in layers[folder_of(path)] | {folder_of(path)}
            and (folder_of(path), shown(imported)) not in SINGLE_MODULES
        ]
        assert offenders == []

    def test_every_folder_has_a_layer(self) -> None:
        folders = {folder_of(path) for path in SOURCES}
        missing = folders - LIBRARY_LAYERS.keys() - GATEWAY_LAYERS.keys()
        assert not missing, f"not in LIBRARY_LAYERS or _GATEWAY_ORDER: {', '.join(sorted(missing))}"

    def test_exceptions_are_needed(self) -> None:
        """An exception that no module uses any more is deleted."""
        used = {
            (folder_of(path), shown(imported))
            for path in modules_of(GATEWAY)
            for imported in relative_imports(path)
        }
        assert used >= SINGLE_MODULES

    def test_no_module_waits_for_itself(self) -> None:
        """The graph of imports has no cycle."""
        modules = {path for path in SOURCES if path.name != "__init__.py"}
        order = TopologicalSorter({path: relative_imports(path) & modules for path in modules})
        assert set(order.static_order()) == modules

    def test_only_tests_import_the_tools_for_tests(self) -> None:
        offenders = [
            f"{shown(path)} imports {name}"
            for path in SOURCES
            if folder_of(path) != "protocol/testing"
            for name, imported in imports(path)
            if name.startswith(("protocol.testing", "pytest"))
            or (name == "protocol" and "testing" in imported)
        ]
        assert offenders == []


class TestOutside:
    """The packages outside the project that modules import."""

    def test_the_library_uses_what_its_ring_allows(self) -> None:
        """No I/O, clock or tasks in the core, no aiohttp in the asyncio ring and in hosting."""
        offenders: list[str] = []
        for path in modules_of(LIBRARY):
            packages, forbidden = OUTSIDE_OF_LIBRARY[folder_of(path)]
            suite = {"pytest"} if path.stem.endswith("_contract") else set()
            allowed = packages | suite | (sys.stdlib_module_names - forbidden)
            offenders += [
                f"{shown(path)} imports {name}" for name in absolute_imports(path) - allowed
            ]
        assert offenders == []

    def test_the_library_is_relocatable(self) -> None:
        """It imports itself by relative names only, and nothing of the gateway."""
        offenders = [
            f"{shown(path)} imports {ast.unparse(node)}"
            for path in modules_of(LIBRARY)
            for node in ast.walk(tree(path))
            if _absolute_packages(node) & {"protocol", "signalr_gateway"}
        ]
        assert offenders == []

    def test_inner_folders_of_the_gateway_know_no_http(self) -> None:
        offenders = [
            shown(path)
            for path in in_folders(*(f"signalr_gateway/{name}" for name in WITHOUT_AIOHTTP))
            if absolute_imports(path) & {"aiohttp"}
        ]
        assert offenders == []

    def test_decisions_of_the_gateway_are_pure(self) -> None:
        offenders = [
            shown(path)
            for path in in_folders(*(f"signalr_gateway/{name}" for name in WITHOUT_TASKS))
            if absolute_imports(path) & IMPURE
        ]
        assert offenders == []


def _absolute_packages(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and not node.level:
        return {str(node.module).partition(".")[0]}
    return set()


class TestGateway:
    def test_imports_public_names_of_the_library_only(self) -> None:
        public = {
            "protocol": set(protocol.__all__),
            "protocol.relaying": set(relaying.__all__),
            "protocol.jwt_bearer": set(jwt_bearer.__all__),
        }
        offenders = [
            f"{shown(path)} imports {', '.join(imported)} from {name}"
            for path in modules_of(GATEWAY)
            for name, imported in imports(path, for_checkers=True)
            if name.partition(".")[0] == "protocol"
            if name not in public or not set(imported) <= public[name]
        ]
        assert offenders == []

    def test_uses_no_private_names_of_other_objects(self) -> None:
        offenders = [
            f"{shown(path)}, line {node.lineno}: {ast.unparse(node)}"
            for path in modules_of(GATEWAY)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.endswith("__")
            and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
        ]
        assert offenders == []


class TestModules:
    def test_say_what_they_are_for(self) -> None:
        assert [shown(path) for path in SOURCES if not ast.get_docstring(tree(path))] == []

    def test_hide_none_of_the_standard_library(self) -> None:
        """Folders may have such names, `json` and `http`: their modules are imported relatively."""
        names = [path for path in SOURCES if not path.stem.startswith("__")]
        assert [shown(path) for path in names if path.stem in sys.stdlib_module_names] == []


class TestPublicNames:
    def test_are_those_documented(self) -> None:
        assert set(protocol.__all__) == PUBLIC_NAMES
        assert list(protocol.__all__) == sorted(protocol.__all__)
        assert set(protocol.__all__) <= set(dir(protocol))

    def test_can_be_loaded(self) -> None:
        for name in PUBLIC_NAMES:
            assert getattr(protocol, name) is getattr(protocol, name)

    def test_others_are_missing_as_in_any_module(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'HubConection'"):
            protocol.HubConection  # noqa: B018

    def test_of_the_gateway_can_be_loaded(self) -> None:
        assert list(signalr_gateway.__all__) == sorted(signalr_gateway.__all__)
        for name in signalr_gateway.__all__:
            assert getattr(signalr_gateway, name) is not None
        with pytest.raises(AttributeError, match="no attribute 'create_ap'"):
            signalr_gateway.create_ap  # noqa: B018

    def test_for_relaying_can_be_loaded(self) -> None:
        for name in relaying.__all__:
            assert getattr(relaying, name) is not None
        with pytest.raises(AttributeError, match="no attribute 'split'"):
            relaying.split  # noqa: B018

    def test_are_all_typed(self) -> None:
        """What a type checker sees is what ``__getattr__`` finds."""
        assert declared_names(LIBRARY / "__init__.py") == PUBLIC_NAMES
        assert declared_names(LIBRARY / "testing" / "__init__.py") == set(testing.__all__)
        assert declared_names(LIBRARY / "relaying.py") == set(relaying.__all__)
        assert (LIBRARY / "py.typed").exists()


class TestFreshInterpreter:
    HEAVY: Final = "sorted({'asyncio', 'aiohttp', 'ssl', 'socket'} & set(sys.modules))"

    def test_importing_the_library_is_light(self) -> None:
        assert run(f"import sys, protocol; print({self.HEAVY})") == "[]"

    def test_the_core_needs_nothing_of_the_outer_rings(self) -> None:
        code = f"import sys; import {names_of(in_folders(*CORE))}; print({self.HEAVY})"
        assert run(code) == "[]"

    def test_the_asyncio_ring_needs_no_aiohttp(self) -> None:
        ring = names_of(in_folders("protocol/aio", "protocol/client", "protocol/server"))
        assert run(f"import sys; import {ring}; print('aiohttp' in sys.modules)") == "False"

    def test_what_hosts_share_needs_no_aiohttp(self) -> None:
        shared = [LIBRARY / "transports" / "server" / f"{stem}.py" for stem in SHARED_BY_HOSTS]
        modules = names_of([*in_folders("protocol/hosting"), *shared])
        loaded = "sorted({'aiohttp', 'multidict', 'yarl'} & set(sys.modules))"
        assert run(f"import sys; import {modules}; print({loaded})") == "[]"

    def test_configuring_the_gateway_needs_no_aiohttp(self) -> None:
        schema = [GATEWAY / "config" / f"{stem}.py" for stem in ("schema", "options", "reading")]
        modules = names_of([*in_folders("signalr_gateway/orchestration"), *schema])
        assert run(f"import sys; import {modules}; print('aiohttp' in sys.modules)") == "False"

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
            for name in testing.__all__
            if name.endswith("Contract")
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
        assert run(code, tmp_path) == "False vendored_signalr.client.hub_connection"


def test_modules_and_classes_are_short() -> None:
    """At most 400 lines and 250 lines: a longer one has more than one concept."""
    lengths = [(shown(path), len(path.read_text("utf-8").splitlines()), 400) for path in SOURCES]
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                lengths.append((f"{shown(path)}: {node.name}", length, 250))
    assert [entry for entry in lengths if entry[1] > entry[2]] == []
