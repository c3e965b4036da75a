"""What a signal asks of a running solver: acted upon between iterations; only a second Ctrl-C does not wait."""

import os
import signal
import threading
from types import FrameType
from typing import Any

NONE, STOP, SNAPSHOT = "none", "stop", "snapshot"


class Signals:
    """A context in which SIGINT, SIGHUP and SIGTERM set a wish that `take` hands out once.

    A second SIGINT while the first still waits (an iteration that hangs) raises KeyboardInterrupt.
    """

    def __init__(self, sigint: str = STOP, sighup: str = SNAPSHOT, note: str = ""):
        """`note` is written to stderr when a stop was asked for."""
        self._effects: dict[int, str] = {signal.SIGINT: sigint, signal.SIGTERM: STOP}
        if hasattr(signal, "SIGHUP"):
            self._effects[signal.SIGHUP] = sighup
        self._wish, self._text = NONE, note
        self._before: dict[int, Any] = {}
        self.stopped_by = 0
        """The number of the signal that asked to stop; 0 for none."""

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._effects}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.stopped_by == signal.SIGINT:
            raise KeyboardInterrupt
        if self._wish != STOP and self._effects[number] != NONE:
            self._wish = self._effects[number]
        if self._wish == STOP and not self.stopped_by:
            self.stopped_by = number
            if self._text:
                os.write(2, self._text.encode())  # print is not safe where it may interrupt another print

    def take(self) -> str:
        wish, self._wish = self._wish, NONE
        return wish
