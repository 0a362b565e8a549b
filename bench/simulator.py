"""Virtual time for real code: many invocations at once, each in a thread, and only ever one of them running.

A thread that sleeps hands the baton to the thread that is due next, so an hour of waiting takes no time, calls of
different invocations interleave as their latencies say, and the same seed gives the same run.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

Act = Callable[[], Any]


class Simulation:
    """A clock and what is due. Takes the place of ``lambdas.model.clock.Clock``.

    Args:
        start: seconds since 1970 at which it begins.
    """

    def __init__(self, start: float) -> None:
        self.start = start
        self._now = start
        self._due: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._main = threading.Semaphore(0)
        self._idle: list[_Worker] = []
        self._error: BaseException | None = None

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def at(self, seconds: float, act: Act) -> None:
        """Do `act` at that time (from the main loop: it must not sleep; see ``spawn``)."""
        heapq.heappush(self._due, (max(seconds, self._now), next(self._order), act))

    def spawn(self, seconds: float, work: Act) -> None:
        """Begin `work` at that time; it may sleep."""
        self.at(seconds, lambda: self._begin(work))

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass for the work that calls this; others go on meanwhile."""
        wake = self._now + seconds
        if not self._due or self._due[0][0] > wake:
            self._now = wake  # no other thread is due before: keep the baton
            return
        me = _current.worker
        self.at(wake, lambda: self._switch_to(me))
        self._main.release()
        me.baton.acquire()

    def park(self) -> Act:
        """What makes the work that calls ``wait`` next go on; call it at most once."""
        me = _current.worker
        return lambda: self.at(self._now, lambda: self._switch_to(me))

    def wait(self) -> None:
        """Let others go on until what ``park`` gave is called."""
        me = _current.worker
        self._main.release()
        me.baton.acquire()

    def run(self, done: Callable[[], bool]) -> None:
        """Do what is due, in order, until `done` or nothing is left.

        Raises:
            BaseException: what a piece of work raised.
        """
        while self._due and not done():
            self._now, _, act = heapq.heappop(self._due)
            act()
            if self._error:
                raise self._error

    def _begin(self, work: Act) -> None:
        worker = self._idle.pop() if self._idle else _Worker(self)
        worker.work.put(work)
        self._main.acquire()

    def _switch_to(self, worker: "_Worker") -> None:
        worker.baton.release()
        self._main.acquire()

    def ended(self, worker: "_Worker", error: BaseException | None) -> None:
        """A worker's piece of work ended."""
        self._error = self._error or error
        self._idle.append(worker)
        self._main.release()


class Executor:
    """Stands for a ThreadPoolExecutor that has as many threads as it is given work."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._under_way: list[_Future] = []

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._under_way:
            future.wait()

    def submit(self, call: Callable[..., Any], *arguments: Any) -> "_Future":
        """Do it beside what the caller does."""
        future = _Future(self._simulation, lambda: call(*arguments))
        self._under_way.append(future)
        return future


class _Future:
    def __init__(self, simulation: Simulation, work: Act) -> None:
        self._simulation = simulation
        self._work = work
        self._done = False
        self._value: Any = None
        self._error: Exception | None = None
        self._waiter: Act | None = None
        self._label = _current.worker.label
        simulation.spawn(simulation.now(), self._run)

    def _run(self) -> None:
        _current.worker.label = self._label
        try:
            self._value = self._work()
        except Exception as error:
            self._error = error
        self._done = True
        if self._waiter:
            self._waiter()

    def wait(self) -> None:
        """Let time pass until it is done."""
        if not self._done:
            self._waiter = self._simulation.park()
            self._simulation.wait()

    def cancel(self) -> bool:
        """It has begun, so it isn't cancelled."""
        return False

    def result(self) -> Any:
        """What came of it, once it is done."""
        self.wait()
        if self._error:
            raise self._error
        return self._value


class _Worker:
    """A thread that does one piece of work after the other."""

    def __init__(self, simulation: Simulation) -> None:
        self.baton = threading.Semaphore(0)
        self.work: SimpleQueue[Act] = SimpleQueue()
        self.label = 0  # whatever the work calls itself; what an Executor does carries it on
        self._simulation = simulation
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        _current.worker = self
        while True:
            work = self.work.get()
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:  # raised again by the caller of the simulation
                error = raised
            self._simulation.ended(self, error)


class _Current(threading.local):
    worker: _Worker


_current = _Current()


def current() -> _Worker | None:
    """Whose turn it is; None in the main loop."""
    return getattr(_current, "worker", None)
