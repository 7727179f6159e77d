"""The body of a refused or failed request: RFC 9457 problem details with stable codes (GW-9)."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ..routing.problem_code import ProblemCode

CONTENT_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:signalr-gateway:problem:"


class ProblemBody(msgspec.Struct, rename="camel"):
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    error: str
    """Equal to `detail`: callers of the original read ``{"error": …}``."""
    hint: str | msgspec.UnsetType = msgspec.UNSET
    """What to change in the configuration, if the error shows it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem answer. `headers` are its headers besides Content-Type, such as Allow."""

    code: ProblemCode
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    hint: str | None = None

    def body(self, request_id: str) -> bytes:
        """The JSON text of the answer."""
        # The detail may quote a header that is not UTF-8, which aiohttp decodes to surrogates.
        detail = self.detail.encode(errors="replace").decode()
        return msgspec.json.encode(
            ProblemBody(
                type=_TYPE_PREFIX + self.code.code,
                title=self.code.title,
                status=self.code.status,
                detail=detail,
                code=self.code.code,
                request_id=request_id,
                error=detail,
                hint=msgspec.UNSET if self.hint is None else self.hint,
            )
        )
