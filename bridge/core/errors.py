"""Every error the bridge raises on purpose, and what each one means for the work it interrupts.

BridgeError
├── ConfigError            config or mapping refused; carries every Problem found
│   └── MappingError       the same, for a mapping file
├── SignatureError         the request is not authentic                → 401, nothing processed
├── PayloadError           authentic but unreadable                    → stored as failed
├── UnavailableError       the store is busy or down                   → 503 with Retry-After
│   └── MisplacedError     the database is not the one that was opened → the same, and nothing is done meanwhile
├── HeldError              a person has to decide                      → held
├── PermanentError         the other side will never accept this       → failed
└── TemporaryError         worth another attempt, may name when        → retrying
    └── UnconfirmedError   the vendor does not confirm it (yet)        → retrying, in the end held
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bridge.core.models import SourceEvent


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text file, counted from 1 as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file, and what to do about it."""

    mark: Mark | None
    message: str

    def __str__(self) -> str:
        return f"{self.mark} {self.message}" if self.mark else self.message


class BridgeError(Exception):
    """Something went wrong in certbridge."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n", maxsplit=1)[0])
        self._code = code

    @property
    def stable_code(self) -> str:
        """Returns the short word that programs may rely on; messages may change."""
        return self._code or self.code


class ConfigError(BridgeError):
    """The configuration was refused."""

    code = "config"

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems = (Problem(None, problems),) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MappingError(ConfigError):
    """The mapping was refused."""

    code = "mapping"


class SignatureError(BridgeError):
    """The request could not be shown to come from the source."""

    code = "signature"


class PayloadError(BridgeError):
    """The request is authentic, but its body cannot be read."""

    code = "unreadable"


class UnavailableError(BridgeError):
    """certbridge cannot store anything right now."""

    code = "unavailable"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after: float = 5.0) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after

    @property
    def public(self) -> str:
        """Returns what a stranger may read of it."""
        return str(self)


class MisplacedError(UnavailableError):
    """The database is not the one that was opened; the store has told the log so, once."""

    code = "store_misplaced"

    def __init__(self, message: str, *, public: str) -> None:
        """`message` names files and says what to do; `public` says the same to strangers, without names."""
        super().__init__(message, retry_after=30.0)
        self._public = public

    @property
    def public(self) -> str:
        return self._public


class HeldError(BridgeError):
    """A person has to decide before this can go on."""

    code = "held"

    def __init__(self, message: str = "", *, code: str | None = None, record: SourceEvent | None = None) -> None:
        """`record`: the completed event that counts once a person releases it from a hold with this code."""
        super().__init__(message, code=code)
        self.record = record


class PermanentError(BridgeError):
    """The other side refused this and will refuse it again."""

    code = "refused"


class TemporaryError(BridgeError):
    """The other side could not do this now; another attempt may succeed."""

    code = "temporary"

    def __init__(self, message: str = "", *, code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        """Seconds the other side asked us to wait, or None."""


class UnconfirmedError(TemporaryError):
    """The source does not confirm this completion (yet)."""

    code = "unconfirmed"
