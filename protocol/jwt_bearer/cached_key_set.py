"""Keeps the keys of a key set, and decides when the set is read again.

The set is read when the first token arrives, when the set is an hour old, and when a token names a
key that is not known. Any client can send such tokens, so there is a minimum time between two
reads. A read that fails leaves the keys as they were.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from ..aio.log_thinning import LogThinning
from .key_set import KeySetError, read_key_set
from .key_sources import KeySetSource
from .keys import VerificationKey

logger = logging.getLogger(__name__)

MAXIMUM_AGE: Final = 3600.0  # seconds after which the set is read again while its keys are used
BETWEEN_READS: Final = 30.0  # seconds from the end of a read to the next read
AFTER_FAILURE: Final = 5.0  # seconds from the end of a failed read to the next read


class CachedKeySet:
    """The keys of one source. It belongs to the event loop of its first use, until ``close``."""

    def __init__(self, source: KeySetSource) -> None:
        self._source = source
        self._keys: Sequence[VerificationKey] = ()
        self._too_old_at = 0.0  # by the clock of the event loop
        self._next_read_at = 0.0  # by the same clock
        self._reading: asyncio.Task[None] | None = None
        self._thinning = LogThinning()

    @property
    def keys(self) -> Sequence[VerificationKey]:
        """The keys of the last read that was successful."""
        return self._keys

    def refresh_if_old(self) -> None:
        """Starts a read if the keys are too old. Until it has succeeded, they stay in use."""
        if asyncio.get_running_loop().time() >= self._too_old_at:
            self._start_reading()

    async def renew(self) -> None:
        """Waits for the read that is under way.

        If there is none, starts a read and waits for it, unless the last read was a short time ago.
        Does not raise an exception if the read fails.
        """
        self._start_reading()
        if self._reading is not None:
            await asyncio.wait([self._reading])  # unlike the read, this wait may be cancelled

    async def close(self) -> None:
        """Ends a read that is under way."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _start_reading(self) -> None:
        loop = asyncio.get_running_loop()
        if self._reading is None and loop.time() >= self._next_read_at:
            self._reading = loop.create_task(self._read())
            self._reading.add_done_callback(self._end_reading)

    def _end_reading(self, _reading: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            document = await self._source.read()
            self._keys = read_key_set(document, with_secrets=self._source.with_secrets)
        except Exception as error:
            self._next_read_at = loop.time() + AFTER_FAILURE
            # The text of another error, such as that of a codec for host names, may have values.
            reason = str(error) if isinstance(error, KeySetError) else type(error).__name__
            logger.log(
                self._thinning.level(reason),
                "%s cannot be read: %s. The keys that are known stay in use: %d.",
                type(self._source).__name__,
                reason,
                len(self._keys),
            )
        else:
            self._next_read_at = loop.time() + BETWEEN_READS
            self._too_old_at = loop.time() + MAXIMUM_AGE
