"""Unix sockets, and sockets that systemd has opened for the process (GW-58).

A file at the path of a Unix socket is removed only if it is a socket on which no program listens.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from .sockets import CannotListen

UNIX: Final = "unix:"
"""The beginning of the name of a Unix socket; its path follows."""
SYSTEMD: Final = "systemd"
"""The name of all sockets that systemd passes."""
_FIRST_DESCRIPTOR: Final = 3
"""The descriptor of the first passed socket; the others follow. It is fixed by systemd."""


@dataclass(frozen=True, slots=True)
class LocalSocket:
    """A bound socket. `file` is the file that is removed when the socket is closed."""

    bound: socket.socket
    file: SocketFile | None = None

    def remove_file(self) -> None:
        """Remove the file of the socket, if it has one."""
        if self.file is not None:
            self.file.remove()


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The file of a Unix socket that this process has bound."""

    path: str
    device: int
    inode: int

    @staticmethod
    def of(path: str) -> SocketFile:
        found = os.lstat(path)
        return SocketFile(path, found.st_dev, found.st_ino)

    def remove(self) -> None:
        """Remove the file, unless another program has replaced it."""
        with suppress(OSError):
            if SocketFile.of(self.path) == self:
                os.unlink(self.path)


def open_sockets(names: Sequence[str], mode: int) -> list[LocalSocket]:
    """Bind Unix sockets with these permissions, and take the sockets of systemd.

    `names` are `SYSTEMD`, or `UNIX` with a path. Raises `CannotListen`; then no socket is left
    open.
    """
    opened: list[LocalSocket] = []
    try:
        for name in names:
            if name == SYSTEMD:
                opened += [LocalSocket(each) for each in _take_passed()]
            else:
                opened.append(_bind(name.removeprefix(UNIX), mode))
    except BaseException:
        for each in opened:
            each.remove_file()
            each.bound.close()
        raise
    return opened


def _bind(path: str, mode: int) -> LocalSocket:
    with _failures_reported(path):
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_dead_socket(path)
            bound.setblocking(False)
            bound.bind(path)
            file = SocketFile.of(path)
            try:
                os.chmod(path, mode)
                # Clients can connect from here on. Before, another process that starts would take
                # the socket for a dead one.
                bound.listen()
            except BaseException:
                file.remove()
                raise
        except BaseException:
            bound.close()
            raise
    return LocalSocket(bound, file)


def _remove_dead_socket(path: str) -> None:
    """Remove the file at `path` if it is a socket on which no program listens.

    Raises `CannotListen` if it is another file, or if a program listens there.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise CannotListen(f"cannot listen on {UNIX}{path}: the file is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog, too, shows that a program listens; the probe must not wait for it.
        probe.setblocking(False)
        error = probe.connect_ex(path)
    if error != errno.ECONNREFUSED:
        reason = (
            "another program listens there" if error in (0, errno.EAGAIN) else os.strerror(error)
        )
        raise CannotListen(f"cannot listen on {UNIX}{path}: {reason}")
    os.unlink(path)


@contextmanager
def _failures_reported(path: str) -> Iterator[None]:
    """Raise `CannotListen` in place of the errors that binding a Unix socket raises."""
    try:
        yield
    except AttributeError as exc:  # the system has no Unix sockets
        raise CannotListen(f"cannot listen on {UNIX}{path}: not available on this system") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise CannotListen(f"cannot listen on {UNIX}{path}: {reason}") from exc


def inherited_hosts() -> list[str]:
    """The IP addresses of the sockets that systemd has passed. Unix sockets have none."""
    hosts = []
    for descriptor in _passed_descriptors():
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as passed:
            if passed.family in (socket.AF_INET, socket.AF_INET6):
                hosts.append(str(passed.getsockname()[0]))
    return hosts


def _take_passed() -> list[socket.socket]:
    """The sockets that systemd has passed. Child processes find none: they have other ids."""
    taken: list[socket.socket] = []
    try:
        taken.extend(map(_passed_socket, _passed_descriptors()))
        if not taken:
            problem = "it has passed none (LISTEN_FDS); start the gateway by a socket unit"
            raise CannotListen(f"cannot listen on the sockets of systemd: {problem}")
    except BaseException:
        for each in taken:
            each.close()
        raise
    return taken


def _passed_descriptors() -> range:
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)
    count = os.environ.get("LISTEN_FDS", "")
    return range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + (int(count) if count.isdecimal() else 0))


def _passed_socket(descriptor: int) -> socket.socket:
    problem = f"cannot listen on the sockets of systemd: descriptor {descriptor} is not a socket"
    try:
        passed = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise CannotListen(problem) from exc
    if passed.type != socket.SOCK_STREAM or not passed.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        passed.close()
        raise CannotListen(f"{problem} for streams that accepts connections")
    passed.set_inheritable(False)
    passed.setblocking(False)
    return passed
