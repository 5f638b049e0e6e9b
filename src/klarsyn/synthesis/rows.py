"""A result that is read like the tuple of its rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar, overload

R = TypeVar("R")


class Rows(Sequence[R]):
    """Abstract: length, order and items are those of `rows`."""

    __slots__ = ()

    @property
    @abstractmethod
    def rows(self) -> tuple[R, ...]:
        """The rows in their order."""

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[R, ...]: ...
    def __getitem__(self, index: int | slice) -> R | tuple[R, ...]:
        return self.rows[index]
