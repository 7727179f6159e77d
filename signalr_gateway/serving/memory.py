"""Decides whether the process uses too much memory for new connections and calls.

Each connection has limits, but the limits of all connections together may exceed the memory of the
machine. This module measures the memory once a second and compares it with a high-water mark. While
the memory is above the mark, `serving.draining` refuses requests, and `clients.gateway_hub` refuses
calls of connected clients.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from protocol.relaying import LogThinning

from ..downstream.clock import Clock, Timer

log = logging.getLogger(__name__)

SHARE: Final = 0.8
"""The share of the memory of the container, or else of the machine, that is the default mark."""
_INTERVAL: Final = 1.0
"""Seconds between two measurements."""
_MEBIBYTE: Final = 1024 * 1024


class MemoryMark:
    """Compares the memory of the process with `mark`, in bytes; None for the default.

    `resident` returns the bytes that the process uses, or None if the system does not report them.
    In that case the memory is never above the mark.
    """

    def __init__(
        self, mark: int | None, *, resident: Callable[[], int | None] | None = None
    ) -> None:
        self._mark = mark or default_mark()
        self._resident = resident or resident_memory
        self._timer: Timer | None = None
        self._thinning = LogThinning()
        self.is_exceeded = False
        """Whether the memory was above the mark when it was last measured."""

    def start(self, clock: Clock) -> None:
        """Measure the memory now, and every second until `stop`."""
        used = self._resident()
        if used is None or self._mark is None:
            return
        self.is_exceeded = used > self._mark
        now = clock.time()
        if self.is_exceeded:
            log.log(
                self._thinning.level("memory", now),
                "%d MiB of memory are above the mark of %d MiB: new connections and calls are"
                " refused (limits.maximum_memory)",
                used // _MEBIBYTE,
                self._mark // _MEBIBYTE,
            )
        self._timer = clock.call_at(now + _INTERVAL, lambda: self.start(clock))

    def stop(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()


def resident_memory() -> int | None:
    """The bytes of memory that the process uses, None if the system does not report them."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def default_mark(root: Path = Path("/")) -> int | None:
    """80 % of the `memory.max` of the process's control group, or of the machine's memory.

    None if the system reports neither. `root` is the root of the file system.
    """
    limits = [limit for limit in (_group_limit(root), _machine_memory()) if limit is not None]
    return int(SHARE * min(limits)) if limits else None


def _group_limit(root: Path) -> int | None:
    """The smallest `memory.max` of the control group and of the groups that contain it."""
    groups = root / "sys/fs/cgroup"
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    name = next((line[len("0::/") :] for line in lines if line.startswith("0::/")), None)
    if name is None:
        return None
    group = groups / name
    limits = []
    for folder in (group, *group.parents):
        try:
            limits.append(int((folder / "memory.max").read_text(encoding="ascii")))
        except (OSError, ValueError):
            pass  # the group has no limit: the file contains "max", or is missing
        if folder == groups:
            break
    return min(limits, default=None)


def _machine_memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None
