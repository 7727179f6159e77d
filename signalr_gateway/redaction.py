"""Error texts that may be shown: in health answers, on the console, in logs (GW-28).

Shown are the project's own texts, those of the operating system, and names of exception types.
Never shown is what a hub, a user's function or another library has written: it may quote an address
with a token in its query, a header, or a payload.
"""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import protocol
from protocol import SignalRError
from protocol.transports.http_client import system_reason

MAXIMUM_LENGTH = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_OWN_FOLDERS = (Path(__file__).parent, Path(protocol.__file__).parent)


def describe_error(error: BaseException) -> str:
    """One line of at most `MAXIMUM_LENGTH` characters that says what failed."""
    return shortened(_CONTROL.sub(" ", _own_text(error)).strip(), MAXIMUM_LENGTH)


def describe_failure(error: BaseException) -> str:
    """What a function of the operator's has raised, and where: for the one who wrote it."""
    place = _place(error)
    text = _own_text(error)
    name = type(error).__name__
    return (name if text == name else f"{name}: {text}") + (f" ({place})" if place else "")


def _own_text(error: BaseException) -> str:
    if isinstance(error, SignalRError) and not _is_raised_elsewhere(error):
        return error.summary
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return system_reason(error)
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        return f"no module named {error.name!r}"
    if isinstance(error, TypeError | ValueError) and _is_raised_here(error):
        return str(error)
    return type(error).__name__


def _is_raised_elsewhere(error: BaseException) -> bool:
    """Whether a user's function has raised one of our exceptions, with a text of its own."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not _is_own(frames[-1])


def _is_raised_here(error: BaseException) -> bool:
    """Whether this project has raised `error` itself, as it does for a wrong option.

    It has where the last line that ran is a raise statement of ours; a function written in C has no
    line of its own.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and _is_own(frames[-1]) and (frames[-1].line or "").startswith("raise")


def _is_own(frame: traceback.FrameSummary) -> bool:
    return any(folder in Path(frame.filename).parents for folder in _OWN_FOLDERS)


def _place(error: BaseException) -> str:
    """The file and line of the operator's that `error` comes from, empty where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        is_of_python = frame.filename.startswith("<") or "importlib" in path.parts
        if not is_of_python and not _is_own(frame):
            return f"{path.name}, line {frame.lineno}"
    return ""


def no_such_route(api: str, key: str) -> str:
    """What a caller is told that names a route which does not exist: a bounded line of text."""
    return f"There is no route '{shortened(api)}/{shortened(key)}'."


def shortened(text: str, length: int = 64) -> str:
    """At most `length` characters of a text."""
    return text if len(text) <= length else text[: length - 1] + "…"
