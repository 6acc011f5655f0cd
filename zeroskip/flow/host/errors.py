"""Errors of the host that a user can act on."""

from zeroskip.base.errors import ZeroskipError

__all__ = ["AnswerError", "HostError", "NoAnswerError"]


class HostError(ZeroskipError):
    """The board, or the way to it, does not do what was asked."""


class NoAnswerError(HostError):
    """Nothing, or nothing readable, came back in time."""


class AnswerError(HostError):
    """The board refused a request, and has executed nothing of it.

    Parameters
    ----------
    message : the sentence for the user.
    status : what the board said, see :class:`.Status`.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
