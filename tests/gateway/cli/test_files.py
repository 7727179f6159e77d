"""``run`` and ``check`` of a TOML file, https on the command line, and error texts."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest

from protocol import HubConnectionBuilder
from signalr_gateway.access.api_keys import key_hash
from signalr_gateway.cli import main
from signalr_gateway.cli.check import changed_options
from signalr_gateway.config.authentication_tables import AuthenticationTable, JwtTable
from signalr_gateway.config.file import GatewayConfig
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.tls import CertificatePair
from tests.gateway.command import command, failure
from tests.gateway.sample_hub import RunningHub

pytestmark = pytest.mark.slow

CONTENT = """\
[listen]
port = 0
{listen}

[hubs.Sample]
url = "{url}"
receive_key = "hush-hush-hush-hush"

[hubs.Sample.routes.Room]
invoke_method = "SendMessage"
receive_method = "ReceiveMessage"
receive_parameter_types = ["string", "string"]

[hubs.Sample.routes.echo]
invoke_method = "Echo"
invoke_timeout = 2.5
maximum_body_size = 100

[hubs.Sample.routes.nothing]
invoke_method = "Nothing"

[hubs.Sample.routes.group]
receive_method = "ToGroup"
broadcast_type = "group"
receive_group = "ChatGroup"
spread = true
"""
DEAD = "http://127.0.0.1:9/samplehub"
PYTHON = f"""
def plain(orchestrator):
    orchestrator.add_hub("dead", lambda builder: builder.with_url("{DEAD}").build())
"""


def write(folder: Path, url: str, listen: str = "") -> None:
    (folder / "gateway.toml").write_text(CONTENT.format(url=url, listen=listen), encoding="utf-8")
    (folder / "mygateway.py").write_text(PYTHON, encoding="utf-8")


async def post(url: str, body: str, trust: ssl.SSLContext | bool = True) -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers, ssl=trust) as answer,
    ):
        return answer.status, await answer.text()


# --- run -----------------------------------------------------------------------------------------


async def test_run_a_file(tmp_path: Path, hub: RunningHub) -> None:
    """GW-3: no Python needed; options of the command line win over the file."""
    write(tmp_path, hub.url, "host = '256.256.256.256'")
    arguments = ("--host", "127.0.0.1", "--maximum-body-size", "50")
    async with command("run", "gateway.toml", *arguments, cwd=tmp_path) as running:
        url = (await running.line(r"console      (\S+)/$"))[1]
        api = f"{url}/api/Gateway/hub/sample"
        assert await post(f"{api}/echo", '["x"]') == (200, '"x"')
        assert (await post(f"{api}/nothing", "[" + 48 * " " + "]"))[0] == 200
        assert (await post(f"{api}/nothing", "[" + 49 * " " + "]"))[0] == 413
        assert (await post(f"{api}/echo", f'["{96 * "x"}"]'))[0] == 200  # a limit of its own
        exit_code, errors = await running.stop()
    assert (exit_code, "Traceback" in errors) == (0, False)


async def test_run_on_https(tmp_path: Path, hub: RunningHub, certificate: CertificatePair) -> None:
    """GW-5: from [listen], from options, and with an orchestration in Python."""
    pair = ("--certificate", str(certificate.certificate), "--key", str(certificate.key))
    listen = f"certificate = '{certificate.certificate}'\nkey = '{certificate.key}'"
    trust = ssl.create_default_context(cafile=certificate.certificate)
    for content, arguments in (
        (listen, ("gateway.toml",)),
        ("", ("gateway.toml", *pair)),
        ("certificate = 'none.pem'\nkey = 'none.pem'", ("gateway.toml", *pair)),
        ("", ("mygateway:plain", "--port", "0", *pair)),
    ):
        write(tmp_path, hub.url, content)
        async with command("run", *arguments, cwd=tmp_path) as running:
            url = (await running.line(r"console      (https://\S+)/$"))[1]
            client = HubConnectionBuilder().with_url(f"{url}/gatewayhub", ssl=trust).build()
            async with client:
                assert client.connection_id
            assert (await running.stop())[0] == 0


@pytest.mark.parametrize("arguments", [("run",), ("check",)])
async def test_a_mistake_in_the_file_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "gateway.toml").write_text(
        "[hubs.Chat]\nurl = 'http://h/hub'\n[hubs.Chat.routes.Room]\ninvoke_metod = 'I'\n", "utf-8"
    )
    exit_code, errors = await failure(*arguments, "gateway.toml", cwd=tmp_path)
    assert exit_code == 2
    assert errors == (
        "signalr-gateway: gateway.toml: hub 'Chat', route 'Room', invoke_metod: unknown;"
        " did you mean 'invoke_method'?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "gateway.toml"),
        ("check", "gateway.toml"),
        ("run", "mygateway:plain", "--certificate", "none.pem", "--key", "none.pem"),
        ("demo", "--certificate", "none.pem", "--key", "none.pem"),
    ],
)
async def test_an_unusable_pair_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write(tmp_path, DEAD, "certificate = 'none.pem'\nkey = 'none.pem'")
    assert await failure(*arguments, cwd=tmp_path) == (
        2,
        "signalr-gateway: cannot read the certificate 'none.pem': No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run", "x:y", "--maximum-body-size", "0"), "must be a whole number of bytes from 1 on, "),
        (("run", "x:y", "--maximum-body-size", "1k"), "number of bytes from 1 on, not '1k'"),
        (("check",), "required: FILE.toml|module:function"),
        (("check", "x:y", "--port", "1"), "unrecognized arguments: --port 1"),
    ],
)
def test_wrong_options(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("demo", "--certificate", "x"), "--certificate and --key belong together"),
        (("demo", "--key", "x"), "--certificate and --key belong together"),
        (
            ("demo", "--https", "--certificate", "x", "--key", "x"),
            "--https makes a certificate itself; leave out --certificate and --key",
        ),
        (("check", "none.toml"), "none.toml: cannot be read: No such file or directory"),
        (("check", "none"), "'none' is not of the form module:function or FILE.toml"),
    ],
)
async def test_wrong_combinations(tmp_path: Path, arguments: tuple[str, ...], text: str) -> None:
    assert await failure(*arguments, cwd=tmp_path) == (2, f"signalr-gateway: {text}\n")


# --- check ---------------------------------------------------------------------------------------

TABLE = """\
HUB     ROUTE    INVOKES      RECEIVES        TYPES           AUDIENCE         OPTIONS
sample  room     SendMessage  ReceiveMessage  String, String  all              receive key, timeout 30 s
sample  echo     Echo         -               -               -                receive key, timeout 2.5 s, body 100 bytes
sample  nothing  Nothing      -               -               -                receive key, timeout 30 s
sample  group    -            ToGroup         any             group ChatGroup  receive key, spread

1 hub, 4 routes, gateway hub at /gatewayhub
listen.port = 0
"""  # noqa: E501 - as it is printed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with nothing in it that was imported before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mygateway", raising=False)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    return tmp_path


def test_check_shows_the_routes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, DEAD)
    assert main(["check", "gateway.toml"]) == 0
    printed = capsys.readouterr()
    assert printed.out == TABLE
    assert printed.err == ""


def test_check_shows_the_options_of_tables_in_tables() -> None:
    jwt = JwtTable(audience="gateway", public_keys=[Path("keys.pem")])
    table = AuthenticationTable(allow_anonymous=True, jwt=jwt)
    config = GatewayConfig(orchestrator=Orchestrator(), authentication=table)
    assert list(changed_options(config)) == [
        "authentication.allow_anonymous = true",
        'authentication.jwt.audience = "gateway"',
        'authentication.jwt.public_keys = ["keys.pem"]',
    ]


def test_check_shows_the_options_that_are_not_default(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "gateway.toml").write_text(
        """\
allowed_origins = ["https://app.example"]
[listen]
host = "127.0.0.1"
port = 8443
[limits]
body_timeout = 2.5
[gateway_hub]
supported_protocols = ["json"]
maximum_receive_message_size = "unlimited"
enable_detailed_errors = true
[hubs.chat]
url = "http://127.0.0.1:1/chat"
receive_key = "hush-hush"
""",
        encoding="utf-8",
    )
    assert main(["check", "gateway.toml"]) == 0
    output = capsys.readouterr()
    printed = output.out
    assert "hush" not in printed + output.err
    assert printed.endswith(
        """\
1 hub, 0 routes, gateway hub at /gatewayhub
allowed origins: https://app.example
listen.port = 8443
limits.body_timeout = 2.5
gateway_hub.supported_protocols = ["json"]
gateway_hub.maximum_receive_message_size = "unlimited"
gateway_hub.enable_detailed_errors = true
"""
    )
    assert output.err == (
        "warning: hub 'chat': receive_key has 9 characters; use at least 16, chosen at random\n"
    )


@pytest.mark.parametrize(("length", "warns"), [(15, True), (16, False)])
def test_check_warns_of_a_short_receive_key(
    here: Path, capsys: pytest.CaptureFixture[str], length: int, warns: bool
) -> None:
    text = f'[hubs.chat]\nurl = "http://h/chat"\nreceive_key = "{"x" * length}"\n'
    (here / "gateway.toml").write_text(text, encoding="utf-8")
    assert main(["check", "gateway.toml"]) == 0
    assert ("warning: hub 'chat': " in capsys.readouterr().err) is warns


def test_check_of_a_function(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, DEAD)
    (here / "mygateway.py").write_text(
        f"{PYTHON}\n    orchestrator.start_gateway_hub = False\n", encoding="utf-8"
    )
    assert main(["check", "mygateway:plain"]) == 0
    assert capsys.readouterr().out == (
        "HUB   ROUTE  INVOKES  RECEIVES  TYPES  AUDIENCE  OPTIONS\n"
        "dead  -      -        -         -      -         -\n"
        "\n"
        "1 hub, 0 routes, gateway hub switched off\n"
    )


def test_check_shows_how_a_hub_is_reached(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "gateway.toml").write_text(
        """\
[hubs.chat]
url = "http://127.0.0.1:1/chat"
protocol = "messagepack"
transports = ["LongPolling", "WebSockets"]
[hubs.chat.routes.room]
receive_method = "Said"
[hubs.news]
url = "http://127.0.0.1:1/news"
transports = ["WebSockets", "ServerSentEvents", "LongPolling"]
[hubs.news.routes.all]
receive_method = "News"
""",
        encoding="utf-8",
    )
    assert main(["check", "gateway.toml"]) == 0
    assert capsys.readouterr().out.startswith(
        "HUB   ROUTE  INVOKES  RECEIVES  TYPES  AUDIENCE  OPTIONS\n"
        "chat  room   -        Said      any    all       messagepack, WebSockets or LongPolling\n"
        "news  all    -        News      any    all       -\n"
    )


def test_check_shows_policies(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "gateway.toml").write_text(
        f"""\
call_policies = ["user"]
[policies.user]
authenticated = true
[policies.staff]
roles = ["staff"]
[authentication.api_keys.k]
hash = "{key_hash("k")}"
[hubs.chat]
url = "http://127.0.0.1:1/chat"
receive_policies = ["staff"]
[hubs.chat.routes.room]
invoke_method = "Say"
receive_method = "Said"
call_policies = ["staff", "user"]
""",
        encoding="utf-8",
    )
    assert main(["check", "gateway.toml"]) == 0
    out = capsys.readouterr().out
    assert "  calls need staff and user, events need staff, timeout 30 s\n" in out
    assert "\npolicies of all calls: user\n" in out
    assert "policies of all events" not in out


def test_check_finds_a_function_that_gives_no_connection(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "def plain(orchestrator):\n    orchestrator.add_hub('h', lambda builder: builder)\n"
    (here / "mygateway.py").write_text(text, encoding="utf-8")
    assert main(["check", "mygateway:plain"]) == 2
    assert "hub 'h', build_hub_connection: must return the built" in capsys.readouterr().err


async def test_check_connects_to_the_hubs(tmp_path: Path, hub: RunningHub) -> None:
    write(tmp_path, hub.url)
    async with command("check", "gateway.toml", "--connect", cwd=tmp_path) as running:
        await running.line(r"^hub 'sample': connected$")
        assert await running.ended() == (0, "")
    assert running.output.startswith(TABLE)


async def test_check_says_which_hub_cannot_be_reached(tmp_path: Path, hub: RunningHub) -> None:
    write(tmp_path, hub.url)
    with (tmp_path / "gateway.toml").open("a", encoding="utf-8") as file:
        file.write(f'[hubs.dead]\nurl = "{DEAD}?code=hush"\n[hubs.none]\nurl = "{hub.url}x"\n')
    async with command("check", "gateway.toml", "--connect", cwd=tmp_path) as running:
        await running.line(r"^hub 'sample': connected$")
        await running.line(r"^hub 'dead': cannot connect: .*127\.0\.0\.1:9")
        await running.line(r"^hub 'none': cannot connect: Response status code.*: 404")
        assert await running.ended() == (1, "")
    assert "hush" not in running.output


# --- the demo on https ---------------------------------------------------------------------------


async def test_the_demo_on_https() -> None:
    """The printed lines work as they are: curl trusts --cacert, a client SSL_CERT_FILE."""
    for tool in ("openssl", "curl"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs the program `{tool}` on PATH")
    async with command("demo", "--https", "--port", "0", "--hub-port", "0") as demo:
        hub_url = (await demo.line(r"gateway hub  (https://\S+)$"))[1]
        curl = (await demo.line(r"^curl --cacert .*"))[0]
        variable, _, path = (await demo.line(r"^export (SSL_CERT_FILE=\S+)$"))[1].partition("=")
        answer = await asyncio.create_subprocess_exec(
            *shlex.split(curl), "-sS", "--noproxy", "*", "-w", "%{http_code}",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert (await answer.communicate())[0] == b"200"
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLIENT, hub_url.replace("127.0.0.1", "localhost")),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), variable: path},
        )
        assert await client.wait() == 0
        exit_code, errors = await demo.stop()
    assert (exit_code, "Traceback" in errors) == (0, False)
    assert not Path(path).parent.exists()


CLIENT = """
import asyncio, sys
from protocol import HubConnectionBuilder

async def connect():
    async with HubConnectionBuilder().with_url(sys.argv[1]).build():
        pass

asyncio.run(connect())
"""


async def test_the_demo_names_openssl_if_it_is_missing(tmp_path: Path) -> None:
    async with command("demo", "--https", PATH=str(tmp_path)) as demo:
        exit_code, errors = await demo.ended()
    assert exit_code == 2
    assert errors == (
        "signalr-gateway: generating a self-signed certificate needs the program openssl, which is"
        " not on PATH; install it, or use a pair of your own with --certificate and --key\n"
    )
