"""What a signal asks of a running solver: acted upon between iterations, never in the middle of one."""

import signal
import threading
from types import FrameType
from typing import Any

NONE, STOP, SNAPSHOT = "none", "stop", "snapshot"


class Signals:
    """A context in which SIGINT, SIGHUP and SIGTERM set a wish that `take` hands out once."""

    def __init__(self, sigint: str = STOP, sighup: str = SNAPSHOT):
        self._effects: dict[int, str] = {signal.SIGINT: sigint, signal.SIGTERM: STOP}
        if hasattr(signal, "SIGHUP"):
            self._effects[signal.SIGHUP] = sighup
        self._wish = NONE
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._effects}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._wish != STOP:
            self._wish = self._effects[number]

    def take(self) -> str:
        wish, self._wish = self._wish, NONE
        return wish
