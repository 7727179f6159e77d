"""The releases of the official clients that the tests use.

The hub protocols of .NET are separate packages, with fewer releases than the client. Each release
of the client is listed with the packages that fit it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """The packages of hub protocols for a release of the .NET client; None if there is none."""

    newtonsoft: str | None
    messagepack: str | None


RELEASES = {
    "8.0.34": Release(newtonsoft="8.0.34", messagepack="9.0.22"),
    "9.0.23": Release(newtonsoft="8.0.34", messagepack="9.0.22"),
    "10.0.15": Release(newtonsoft="10.0.15", messagepack="10.0.14"),
    "11.0.0": Release(newtonsoft="11.0.0", messagepack="10.0.14"),
    # ASP.NET Core 2: negotiate version 0; its JSON protocol is Newtonsoft's.
    "1.2.14": Release(newtonsoft=None, messagepack=None),
}

CLIENTS = {
    version: release.newtonsoft for version, release in RELEASES.items() if release.newtonsoft
}
"""The releases that have both JSON protocols, each with its package of Newtonsoft's."""


def build_properties(version: str) -> dict[str, str]:
    """The properties with which MSBuild chooses the packages of that release."""
    release = RELEASES[version]
    packages = {
        "SignalRVersion": version,
        "NewtonsoftVersion": release.newtonsoft,
        "MessagePackVersion": release.messagepack,
    }
    return {name: package for name, package in packages.items() if package is not None}


CURRENT = "10.0.15"
"""The release for tests in which the version makes no difference."""
