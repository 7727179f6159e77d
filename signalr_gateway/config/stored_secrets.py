"""Reads secrets from files and environment variables that a TOML file names.

An access token is read again for each request that needs one, so that it can be renewed while the
gateway runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .reading import Place


def secret(
    name: str, path: Path | None, variable: str | None, place: Place
) -> Callable[[], str] | None:
    """Return a function that reads the secret `name`, or None if neither option for it is set.

    `path` and `variable` are the values of the options ``<name>_file`` and ``<name>_env`` in the
    table at `place`. The secret is read once to check it. Raises `OrchestrationError`.
    """
    if path is not None and variable is not None:
        raise place.at(f"{name}_env").error(f"cannot be combined with {name}_file")
    if path is not None:
        source: Callable[[], str] = _FileSecret(path)
        place = place.at(f"{name}_file")
    elif variable is not None:
        source, place = _EnvironmentSecret(variable), place.at(f"{name}_env")
    else:
        return None
    try:
        source()
    except SecretUnavailable as exc:
        raise place.error(str(exc)) from exc
    return source


class SecretUnavailable(ValueError):
    """A secret cannot be read, or is not one line of text; `str()` names its file or variable.

    It is a ValueError, so that the log shows its text when a connection attempt fails with it.
    """


@dataclass(frozen=True, slots=True)
class _FileSecret:
    path: Path

    def __call__(self) -> str:
        """The text of the file, without a byte order mark and without white space around it."""
        try:
            text = self.path.read_text(encoding="utf-8-sig").strip()
        except OSError as exc:
            raise SecretUnavailable(f"cannot read {str(self.path)!r}: {exc.strerror}") from exc
        except UnicodeDecodeError as exc:
            raise SecretUnavailable(f"{str(self.path)!r} is not UTF-8 text") from exc
        return _one_line(text, repr(str(self.path)))


@dataclass(frozen=True, slots=True)
class _EnvironmentSecret:
    variable: str

    def __call__(self) -> str:
        text = os.environ.get(self.variable, "").strip()
        if not text:
            raise SecretUnavailable(f"the environment variable {self.variable!r} is not set")
        return _one_line(text, f"the environment variable {self.variable!r}")


def _one_line(text: str, source: str) -> str:
    if not text or not text.isprintable():
        raise SecretUnavailable(f"{source} does not contain one line of printable text")
    return text
