"""``signalr-gateway run``, and the functions that ``demo`` and ``check`` share with it."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from aiohttp import web

from ..access.policies import Policies
from ..clients.relayed_events import RELAY_SCOPE
from ..config.authentication import authenticator
from ..config.file import GatewayConfig
from ..config.gateway_hub import endpoint_options, hub_options
from ..config.hosts import allowed_hosts, are_loopback, is_exposed
from ..config.reading import Place
from ..config.schema import Listen
from ..config.sources import UsageError, load_orchestration
from ..http.addresses import CONSOLE_PAGE, SWAGGER
from ..serving.app import GATEWAY, create_app
from ..serving.listener import stop_signals, taken
from ..serving.open_files import check_limit, raise_limit
from ..serving.own_urls import gateway_hub_mismatch, require_other_gateway, require_other_hubs
from ..serving.sockets import host_and_port
from ..serving.tls import CertificatePair, server_context
from .flags import with_flags

log = logging.getLogger(__name__)


async def run(arguments: argparse.Namespace) -> int:
    """Serve the gateway until a signal stops it, and return the exit code."""
    config = with_flags(await load_orchestration(arguments.orchestration), arguments)
    orchestrator, listen = config.orchestrator, config.listen
    require_access_rules(config)
    descriptors = raise_limit()
    pair = pair_of(listen)
    ssl_context = None if pair is None else server_context(pair)
    app = app_of(config)
    with stop_signals() as stopped:
        async with (
            taken(
                listen.hosts,
                listen.port,
                ssl_context,
                limits=config.limits,
                port_option="--port",
                local_sockets=listen.sockets,
                unix_mode=listen.permissions,
            ) as address,
            address.serving(app) as url,
        ):
            require_other_hubs(orchestrator, app[GATEWAY].downstreams.urls, address.urls)
            require_other_gateway(orchestrator, address.urls)
            check_limit(descriptors, config.limits.maximum_connections)
            mismatch = gateway_hub_mismatch(orchestrator, address.urls)
            if mismatch is not None:
                log.warning("%s", mismatch)
            if orchestrator.serves_gateway_hub:
                print(f"gateway hub  {url}{orchestrator.gateway_hub_path}")
            print(f"swagger      {url}{SWAGGER}\nconsole      {url}{CONSOLE_PAGE}", flush=True)
            await stopped.wait()
    return 0


def pair_of(listen: Listen) -> CertificatePair | None:
    """The certificate to serve https with; None for http."""
    if listen.certificate is None or listen.key is None:
        return None
    return CertificatePair(listen.certificate, listen.key)


def require_access_rules(config: GatewayConfig) -> None:
    """Raise `UsageError` if callers would have more or fewer rights than intended.

    The mistakes are: other machines can use the gateway or its sends by an oversight, or no caller
    can relay events or meet a policy. `create_app` cannot check this, because it does not know
    where the gateway listens. Raises `OrchestrationError` if a hub needs tokens of users, and no
    tokens are accepted.
    """  # GW-41, GW-42, GW-55, GW-56, GW-61
    may_change = config.gateway_hub.allow_user_identifier_change_on_authentication_refresh
    has_credentials = config.authentication.has_credentials
    has_tokens = config.authentication.has_tokens
    config.orchestrator.require_users(has_tokens=has_tokens, may_change_user=may_change)
    hosts = ", ".join(config.listen.hosts)
    if is_exposed(config.listen, config.authentication):
        raise UsageError(
            f"will not listen on {hosts} without authentication: configure [authentication], or"
            " allow everyone with --allow-anonymous"
        )
    if config.send.enabled and not has_credentials and not are_loopback(config.listen):
        raise UsageError(
            "[send] enabled needs authentication or loopback addresses; the gateway would listen on"
            f" {hosts}"
        )
    relayed = [hub.api for hub in config.orchestrator.hubs.values() if hub.relayed]
    if relayed and not has_credentials:
        raise UsageError(
            f"hub {relayed[0]!r}, relayed: needs [authentication] with a key that has the scope"
            f" {RELAY_SCOPE!r}"
        )
    if not has_credentials and not Policies(config.orchestrator).are_empty:
        raise UsageError(
            "policies and authenticated routes need credentials: configure [authentication]"
        )


def _is_open(config: GatewayConfig) -> bool:
    """Whether callers need no credentials."""
    return config.authentication.allow_anonymous or not config.authentication.has_credentials


def app_of(config: GatewayConfig) -> web.Application:
    """The application of a configuration."""
    place = Place(Path(), field="authentication")
    return create_app(
        config.orchestrator,
        authenticate=authenticator(config.authentication, place),
        authorize=not _is_open(config),
        allowed_hosts=allowed_hosts(config.listen),
        limits=config.limits,
        hub_options=hub_options(config.gateway_hub),
        endpoint_options=endpoint_options(config.gateway_hub),
        send=config.send.enabled,
    )


def base_urls(listen: Listen) -> list[str]:
    """The URLs of the addresses that the gateway is configured to listen on.

    The ports of sockets that systemd passes are not known, so these are left out.
    """
    if listen.sockets:
        return []
    scheme = "http" if pair_of(listen) is None else "https"
    return [f"{scheme}://{host_and_port(host, listen.port)}" for host in listen.hosts]
