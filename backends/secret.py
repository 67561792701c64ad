"""`Secret`: a text that never prints itself. Never imports anything of the console."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A secret value. `str`, `repr`, format and pickle give `***` or refuse; only `reveal` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: call this where it is used, and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        import hmac

        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")

    def __bool__(self) -> bool:
        return bool(self._value)
