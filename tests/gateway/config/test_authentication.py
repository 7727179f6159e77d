"""GW-39, GW-41: authentication as a TOML file configures it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from protocol import HttpRequestData, Principal
from signalr_gateway import Policy
from signalr_gateway.access.api_keys import KeyOwner, key_hash, new_key
from signalr_gateway.cli import main
from signalr_gateway.config.authentication import authenticator
from signalr_gateway.config.authentication_tables import ApiKeyTable, AuthenticationTable
from signalr_gateway.config.file import ConfigError, load_config
from signalr_gateway.config.hosts import is_exposed
from signalr_gateway.config.reading import Place
from signalr_gateway.config.schema import Listen

HUB = '[hubs.h]\nurl = "http://127.0.0.1:9/h"\n'
KEY = new_key()
HASH = key_hash(KEY)


def written(folder: Path, text: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(text + HUB, encoding="utf-8")
    return path


async def test_keys_of_a_file(tmp_path: Path) -> None:
    text = (
        f'[authentication.api_keys.old]\nhash = "{HASH}"\nuser = "orders"\nscopes = ["call"]\n'
        'roles = ["service"]\nexpires = "2100-01-01T02:00:00+02:00"\n'
    )
    table = load_config(written(tmp_path, text)).authentication
    found = authenticator(table, Place(tmp_path))
    assert found is not None
    user = await found.authenticate(HttpRequestData("GET", "/", "", {"X-Api-Key": KEY}, None))
    claims = {"key": "old", "scope": "call"}
    assert user == KeyOwner("orders", frozenset({"service"}), claims, 4102444800.0, "old")


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("", "authentication.api_keys.k.hash: missing; expected what is stored"),
        ('hash = "hush"', "authentication.api_keys.k.hash: must be 'sha256:' and 64"),
        (f'hash = "{HASH}"\nexpires = "2100-01-01"', "k.expires: must be a date with its time"),
        (f'hash = "{HASH}"\nexpires = "hush"', "k.expires: must be a date with its time"),
        (f'hash = "{HASH}"\nscope = ["hush"]', "k.scope: unknown; did you mean 'scopes'?"),
        (
            f'hash = "{HASH}"\n[authentication.api_keys.l]\nhash = "{HASH}"',
            "authentication.api_keys.l.hash: is that of another key, too",
        ),
    ],
    ids=["no hash", "short hash", "date without time", "no date", "unknown key", "same hash"],
)
def test_mistakes(tmp_path: Path, lines: str, error: str) -> None:
    path = written(tmp_path, f"[authentication.api_keys.k]\n{lines}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert error in str(caught.value)
    assert "hush" not in str(caught.value).removeprefix(str(path))


KEYS = AuthenticationTable(api_keys={"k": ApiKeyTable(hash=HASH)})


@pytest.mark.parametrize(
    ("listen", "authentication", "expected"),
    [
        (Listen(), AuthenticationTable(), False),
        (Listen(host=["127.0.0.1", "::1", "localhost"]), AuthenticationTable(), False),
        (Listen(host="0.0.0.0"), AuthenticationTable(), True),
        (Listen(host=["127.0.0.1", "192.0.2.1"]), AuthenticationTable(), True),
        (Listen(host="gateway.example"), AuthenticationTable(), True),
        (Listen(host="::"), AuthenticationTable(allow_anonymous=True), False),
        (Listen(host="::"), KEYS, False),
    ],
)
def test_an_exposed_gateway(
    listen: Listen, authentication: AuthenticationTable, expected: bool
) -> None:
    """GW-41."""
    assert is_exposed(listen, authentication) is expected


@pytest.mark.parametrize("command", ["run", "demo", "check"])
def test_an_exposed_gateway_does_not_start(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """GW-41: the error says what to do."""
    path = written(tmp_path, '[listen]\nhost = "0.0.0.0"\n')
    arguments = ["--host", "0.0.0.0"] if command == "demo" else [str(path)]
    assert main([command, *arguments]) == 2
    assert "will not listen on 0.0.0.0 without authentication" in capsys.readouterr().err


def test_check_accepts_an_open_gateway_if_the_file_says_so(tmp_path: Path) -> None:
    text = '[listen]\nhost = "0.0.0.0"\n[authentication]\nallow_anonymous = true\n'
    assert main(["check", str(written(tmp_path, text))]) == 0


def test_check_refuses_sends_that_everyone_may_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """GW-61: `check` reports what `run` would report."""
    text = '[listen]\nhost = "0.0.0.0"\n[authentication]\nallow_anonymous = true\n'
    path = written(tmp_path, f"{text}[send]\nenabled = true\n")
    assert main(["check", str(path)]) == 2
    assert "[send] enabled needs authentication or loopback" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a b", 'a"b\x7f\n'])
def test_a_new_key_fits_what_is_stored_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """GW-39: the printed table is valid TOML, also with a name that needs quotes."""
    assert main(["key", "new", name]) == 0
    printed = capsys.readouterr().out
    [key] = [line.strip() for line in printed.splitlines() if line.startswith("    ")]
    table = printed[printed.index("[authentication") :]
    stored = load_config(written(tmp_path, table)).authentication.api_keys[name]
    assert stored.hash == key_hash(key)


# --- JSON Web Tokens -----------------------------------------------------------------------------


def token(**claims: object) -> str:
    jwt = pytest.importorskip("jwt", reason="needs the extra jwt")
    now = int(time.time())
    given = {"iss": "https://login.example/", "aud": "gateway", "exp": now + 600, "sub": "ann"}
    text: str = jwt.encode({**given, **claims}, SECRET, "HS256")
    return text


SECRET = "a secret of thirty-two bytes or more"
JWT = """
[authentication.jwt]
issuer = "https://login.example/"
audience = ["gateway", "other"]
secret_file = "secret.txt"
"""


async def test_tokens_and_keys_of_a_file(tmp_path: Path) -> None:
    """GW-39: a token and a key of the same file are both accepted."""
    (tmp_path / "secret.txt").write_text(SECRET + "\n", encoding="utf-8")
    text = f'{JWT}[authentication.api_keys.k]\nhash = "{HASH}"\n'
    table = load_config(written(tmp_path, text)).authentication
    found = authenticator(table, Place(tmp_path))
    assert found is not None

    async def user_of(credentials: str) -> str | None:
        headers = {"Authorization": f"Bearer {credentials}"}
        user = await found.authenticate(HttpRequestData("GET", "/", "", headers, None))
        return user.user_id if isinstance(user, Principal) else None

    assert await user_of(token()) == "ann"
    assert await user_of(token(aud="else")) is None
    assert await user_of(KEY) == "k"
    assert not is_exposed(Listen(host="0.0.0.0"), table)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("", "authentication.jwt.audience: missing; expected the accepted values"),
        ("clock_skew = 300.0", "authentication.jwt.audience: missing; expected the accepted"),
        ('audience = "a"', "authentication.jwt.issuer: missing; expected the accepted values"),
        ('issuer = "i"', "authentication.jwt.audience: missing; expected the accepted values"),
        ('issuer = "i"\naudience = "a"', "authentication.jwt: has no keys; set jwks_url"),
        (
            'issuer = "i"\naudience = "a"\njwks_url = "http://login.example/keys"',
            "authentication.jwt.jwks_url: ",
        ),
        (
            'issuer = "i"\naudience = "a"\npublic_keys = ["no.pem"]',
            "authentication.jwt.public_keys: cannot be read: No such file",
        ),
        (
            'issuer = "i"\naudience = "a"\nsecret_file = "no.txt"',
            "authentication.jwt.secret_file: ",
        ),
        (
            'issuer = "i"\naudience = "a"\njwks_url = "https://i.example/k"\nalgorithms = ["none"]',
            "authentication.jwt: ",
        ),
    ],
)
def test_mistakes_about_tokens(tmp_path: Path, lines: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, f"[authentication.jwt]\n{lines}\n"))
    assert error in str(caught.value)


# --- policies ------------------------------------------------------------------------------------

POLICIES = """
call_policies = ["user"]
[policies.user]
authenticated = true
[policies.orders]
roles = ["staff"]
scopes = ["orders", "admin"]
claims = { site = ["oslo"] }
[hubs.orders]
url = "http://127.0.0.1:9/orders"
receive_policies = ["orders"]
[hubs.orders.routes.add]
invoke_method = "Add"
receive_method = "Added"
call_policies = ["orders", "user"]
"""


def test_policies_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GW-42: and they need authentication."""
    path = written(tmp_path, POLICIES)
    orchestrator = load_config(path).orchestrator
    assert dict(orchestrator.policies) == {
        "user": Policy(authenticated=True),
        "orders": Policy(roles=("staff",), scopes=("orders", "admin"), claims={"site": ("oslo",)}),
    }
    hub = orchestrator.hubs["orders"]
    assert (orchestrator.call_policies, hub.receive_policies) == (("user",), ("orders",))
    assert hub.routes["add"].call_policies == ("orders", "user")
    assert main(["check", str(path)]) == 2
    assert "policies and authenticated routes need credentials" in capsys.readouterr().err
    key = f'[authentication.api_keys.k]\nhash = "{HASH}"\n'
    assert main(["check", str(written(tmp_path, POLICIES + key))]) == 0


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("call_policies = ['x']", "call_policies: unknown policy 'x'; no policies are defined"),
        ("[policies.p]", "policies.p.authenticated: a policy needs a condition"),
        ("[policies.p]\nrole = ['x']", "policies.p.role: unknown; did you mean 'roles'?"),
        ("[policies.p]\nclaims = { a = 'x' }", "policies.p.claims.a: must be a list of texts"),
        ("[policies.p]\nclaims = { a = [] }", "policies.p.claims: must have a list of at least"),
    ],
)
def test_mistakes_in_policies_of_a_file(tmp_path: Path, lines: str, error: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, f"{lines}\n"))
    assert str(caught.value).removeprefix(f"{tmp_path / 'gateway.toml'}: ").startswith(error)
