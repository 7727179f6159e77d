"""Makes the error texts that logs, health answers and the console show (GW-28).

These texts consist of texts of the project, texts of the operating system, and names of exception
types. Texts of a hub, of a user's function or of another library are never shown, because they may
quote a payload, a header, or a URL whose query contains a token. Texts for health answers and the
console contain no address, path or module either, because any caller may read them.
"""

from __future__ import annotations

import importlib
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import protocol
from protocol import SignalRError
from protocol.relaying import system_reason

MAXIMUM_LENGTH = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_OWN_FOLDERS = (Path(__file__).parent.parent, Path(protocol.__file__).parent)
_IMPORTLIB_FOLDER = Path(importlib.__file__).parent
_LIBRARY_FOLDERS = tuple(
    Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")
)


def describe_error(error: BaseException) -> str:
    """One line of at most `MAXIMUM_LENGTH` characters that says what failed, for the log."""
    return _one_line(_own_text(error))


def describe_publicly(error: BaseException) -> str:
    """One line of at most `MAXIMUM_LENGTH` characters that any caller of the gateway may read."""
    return _one_line(_public_text(error))


def describe_failure(error: BaseException) -> str:
    """The type, the text, the file and the line of an exception that a user's function raised."""
    place = _place(error)
    text = _own_text(error)
    name = type(error).__name__
    return (name if text == name else f"{name}: {text}") + (f" ({place})" if place else "")


def _one_line(text: str) -> str:
    return shortened(_CONTROL.sub(" ", text).strip(), MAXIMUM_LENGTH)


def _public_text(error: BaseException) -> str:
    if isinstance(error, SignalRError) and not _is_raised_elsewhere(error):
        return error.public_summary
    if isinstance(error, OSError) and not isinstance(error, TimeoutError):
        return system_reason(error)
    return type(error).__name__


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
    """Whether code outside the project has raised `error`, and has written its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and not _is_in(frames[-1], _OWN_FOLDERS)


def _is_raised_here(error: BaseException) -> bool:
    """Whether a raise statement of this project has raised `error`, for example for a wrong option.

    A function written in C has no frame. If it raises, the innermost frame is the line of this
    project that calls it. Therefore the line must begin with ``raise``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return (
        bool(frames)
        and _is_in(frames[-1], _OWN_FOLDERS)
        and (frames[-1].line or "").startswith("raise")
    )


def _is_in(frame: traceback.FrameSummary, folders: Iterable[Path]) -> bool:
    parents = Path(frame.filename).parents
    return any(folder in parents for folder in folders)


def _place(error: BaseException) -> str:
    """The innermost file and line outside this project; empty if there is none.

    Python's own files and those of installed packages are used only if there is no other file.
    Files of the import machinery are never used.
    """
    if isinstance(error, SyntaxError) and error.filename is not None:
        # No frame belongs to this file: its code has not run.
        return f"{Path(error.filename).name}, line {error.lineno}"
    frames = [
        frame
        for frame in reversed(traceback.extract_tb(error.__traceback__))
        if not frame.filename.startswith("<")
        and not _is_in(frame, (*_OWN_FOLDERS, _IMPORTLIB_FOLDER))
    ]
    of_user = (frame for frame in frames if not _is_in(frame, _LIBRARY_FOLDERS))
    frame = next(of_user, frames[0] if frames else None)
    return "" if frame is None else f"{Path(frame.filename).name}, line {frame.lineno}"


def no_such_route(api: str, key: str) -> str:
    """The error text for a route that does not exist: one line of bounded length."""
    return f"There is no route '{shortened(api)}/{shortened(key)}'."


def shortened(text: str, length: int = 64) -> str:
    """The text, cut to at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
