"""``JwtBearer``: the authenticator, from the token of a request to its user."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from ..aio.log_thinning import LogThinning
from ..option_checks import described, names_of, require_function
from ..server.authentication import (
    NAME_IDENTIFIER,
    AuthenticationFailure,
    Authenticator,
    Principal,
)
from ..server.http_request import HttpRequestData
from .cached_key_set import CachedKeySet
from .claims import ClaimRules
from .compact_token import CompactToken, TokenRefused, read_claims, read_token
from .key_sources import JwksFile, JwksUrl, KeySetSource
from .keys import ALGORITHMS, PemKey, SecretKey, VerificationKey, candidates

logger = logging.getLogger(__name__)

_LONGEST_SKEW: Final = 24 * 3600.0  # seconds

Key = SecretKey | PemKey | JwksFile | JwksUrl

_ROLE: Final = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class JwtBearer(Authenticator):
    """Authenticates requests by a JSON Web Token, as ASP.NET Core's ``JwtBearer`` does.

    The token comes from the header ``Authorization: Bearer …``, or else from ``access_token`` in
    the query, unless ``token_from_query`` is False.

    A token needs a signature by one of ``keys``, an expiry ``exp`` in the future, and the claims
    that ``required_claims`` names. Its ``aud`` has to contain a value of ``audience``, and its
    ``iss`` has to be a value of ``issuer``. If ``audience`` or ``issuer`` is None, its claim is
    not checked. If the header of a token has a ``typ``, this has to be one of ``types``. Each key
    accepts the algorithms that fit it, or only those of them that ``algorithms`` lists.

    ``clock`` returns seconds since the epoch. The issuer's clock may differ from it by
    ``clock_skew`` seconds.

    The user id of the Principal is the value of the first claim that ``user_id_claims`` names. Its
    roles are all values of the claims that ``role_claims`` names. ``expires_at`` is ``exp``.

    Raises TypeError or ValueError for arguments of a wrong type or value.
    """

    def __init__(
        self,
        *,
        audience: str | Collection[str] | None,
        issuer: str | Collection[str] | None,
        keys: Key | Iterable[Key],
        algorithms: Collection[str] | None = None,
        clock_skew: float = 300.0,
        required_claims: Collection[str] = (),
        user_id_claims: Collection[str] = (NAME_IDENTIFIER, "nameid", "sub"),
        role_claims: Collection[str] = (_ROLE, "role", "roles"),
        types: Collection[str] = ("JWT", "at+jwt"),
        token_from_query: bool = True,
        maximum_token_size: int = 16 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_function(clock, "clock")
        _check_numbers(clock_skew, maximum_token_size)
        if not isinstance(token_from_query, bool):
            raise TypeError(f"token_from_query is a bool, not {described(token_from_query)}.")
        self._rules: Final = ClaimRules(
            audience=_accepted(audience, "audience"),
            issuer=_accepted(issuer, "issuer"),
            clock_skew=clock_skew,
            required=frozenset(names_of(required_claims, "required_claims")),
            user_id=frozenset(names_of(user_id_claims, "user_id_claims")),
            roles=frozenset(names_of(role_claims, "role_claims")),
        )
        self._types: Final = frozenset(it.lower() for it in names_of(types, "types"))
        self._algorithms: Final = _known_algorithms(algorithms)
        self._keys, self._key_sets = _sorted_keys(keys)
        self._token_from_query: Final = token_from_query
        self._maximum_token_size: Final = maximum_token_size
        self._clock: Final = clock
        self._thinning: Final = LogThinning()

    async def authenticate(
        self, request: HttpRequestData
    ) -> Principal | AuthenticationFailure | None:
        """Returns the user of the token; None without a token, a failure for a refused one."""
        text = self._token_of(request)
        if text is None:
            return None
        try:
            token = read_token(text, self._maximum_token_size, self._types)
            await self._verify(token)
            return self._rules.principal(read_claims(token), self._clock())
        except TokenRefused as refusal:
            reason = str(refusal)
            level = self._thinning.level(reason, level=logging.INFO)
            logger.log(level, "A token is refused: %s.", reason)
            return AuthenticationFailure(refusal.description)

    async def start(self) -> None:
        """Begins to read the key sets. Does not wait for them, and does not need them."""
        for key_set in self._key_sets:
            key_set.refresh_if_old()

    async def close(self) -> None:
        """Ends the reads of key sets that are under way."""
        for key_set in self._key_sets:
            await key_set.close()

    def _token_of(self, request: HttpRequestData) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (token := token.strip()):
            return token
        if not self._token_from_query:
            return None
        return ",".join(request.query_values("access_token")) or None  # several are no token

    async def _verify(self, token: CompactToken) -> None:
        """Returns if one of the keys has signed the token, else raises TokenRefused."""
        if token.algorithm not in self._algorithms:
            raise TokenRefused("its algorithm is not accepted", "The signature is invalid")
        for key_set in self._key_sets:
            key_set.refresh_if_old()
        if self._is_signed(token):
            return
        for key_set in self._key_sets:
            await key_set.renew()
            if self._is_signed(token):
                return
        raise TokenRefused("no key has signed it", "The signature key was not found")

    def _is_signed(self, token: CompactToken) -> bool:
        """Whether a key has signed the token.

        Raises TokenRefused if the token names a known key that has not signed it.
        """
        keys = [*self._keys, *(key for each in self._key_sets for key in each.keys)]
        fitting, is_named = candidates(keys, token)
        if any(key.verifies(token) for key in fitting):
            return True
        if is_named:
            raise TokenRefused(
                "the key that it names has not signed it", "The signature is invalid"
            )
        return False


def _check_numbers(clock_skew: object, maximum_token_size: object) -> None:
    """Raises TypeError or ValueError. With a skew that is not finite, no token would expire."""
    if not isinstance(clock_skew, int | float) or isinstance(clock_skew, bool):
        raise TypeError(f"clock_skew is a number of seconds, not {described(clock_skew)}.")
    if clock_skew < 0:
        raise ValueError("clock_skew is negative.")
    if not clock_skew <= _LONGEST_SKEW:
        raise ValueError("clock_skew is a day at most: it extends the lifetime of all tokens.")
    if not isinstance(maximum_token_size, int) or isinstance(maximum_token_size, bool):
        raise TypeError(
            f"maximum_token_size is a whole number, not {described(maximum_token_size)}."
        )
    if maximum_token_size <= 0:
        raise ValueError("maximum_token_size is not above 0.")


def _accepted(values: str | Collection[str] | None, what: str) -> frozenset[str] | None:
    if values is None:
        return None
    accepted = frozenset([values] if isinstance(values, str) else names_of(values, what))
    if not accepted or "" in accepted:
        raise ValueError(f"{what} is empty; None accepts all tokens.")
    return accepted


def _known_algorithms(algorithms: Collection[str] | None) -> frozenset[str]:
    if algorithms is None:
        return ALGORITHMS
    chosen = frozenset(names_of(algorithms, "algorithms"))
    if not chosen or not chosen <= ALGORITHMS:
        raise ValueError(f"algorithms are one or more of {', '.join(sorted(ALGORITHMS))}.")
    return chosen


def _sorted_keys(
    keys: Key | Iterable[Key],
) -> tuple[Sequence[VerificationKey], Sequence[CachedKeySet]]:
    """The keys that are given, and the key sets to read."""
    listed = list(keys) if isinstance(keys, Iterable) else [keys]
    fixed: list[VerificationKey] = []
    key_sets: list[CachedKeySet] = []
    for each in listed:
        if isinstance(each, KeySetSource):
            key_sets.append(CachedKeySet(each))
        elif isinstance(each, SecretKey | PemKey):
            fixed.append(each.verification_key)
        else:
            raise TypeError(
                f"keys are SecretKey, PemKey, JwksFile and JwksUrl objects, not {described(each)}."
            )
    if not listed:
        raise ValueError("keys are empty: no token could be verified.")
    return fixed, key_sets
