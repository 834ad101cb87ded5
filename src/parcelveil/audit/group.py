"""Group commit: many callers, one call. What one fsync costs, all who wait in that moment share.

::

    >>> commit = GroupCommit(lambda items: [item.upper() for item in items])
    >>> commit.submit("a")
    'A'

``run`` gets all items that wait, in the order they came, and gives one answer for each; an answer that is an
exception is raised where its item was submitted. ``run`` is never called twice at once. Nobody is employed to
call it: the first thread that comes leads, and who comes while it runs waits for the next group. A leader whose
own item is answered hands the lead to the thread that waits longest, so that nobody is kept by the work of
others. Tasks of asyncio use :meth:`GroupCommit.submit_async`; a task cannot lead, since ``run`` blocks, so one
worker thread leads when a task waits longest. Threads and tasks, of however many loops, share the queue.

What holds whatever happens:

* ``run`` raises: all of its group get that error, each a copy of its own where it can be copied.
* Ctrl-C in the thread that leads: it gets its KeyboardInterrupt, the others of the group a
  :class:`~parcelveil.errors.LogError` saying that nothing is confirmed, and the next in the queue leads.
* Ctrl-C in a thread that waits: its item is withdrawn, unless it is running already.
* A task is cancelled: its item runs all the same, and the answer is dropped.

``run`` must not submit to its own group, which would wait for itself. **Forks**: a child has none of its parent's
threads, so it must make a group of its own; to use the parent's raises RuntimeError there. The
method is that of "leader and followers" in log managers (DeWitt et al., SIGMOD 1984).
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from parcelveil.errors import LogError

if TYPE_CHECKING:  # asyncio is slow to import, and who only seals needs none
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiter(Generic[Item, Result]):
    """One item on its way; also who leads. A thread waits on ``wake``, a task on ``future``, a leader on neither."""

    __slots__ = ("answer", "done", "future", "group", "item", "loop", "wake")

    item: Item
    answer: Result | BaseException

    def __init__(self) -> None:
        self.done = False
        self.wake: threading.Lock | None = None  # a lock as a semaphore: released once for the answer or the lead
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Result] | None = None
        self.group: list[_Waiter[Item, Result]] = []  # whom it must answer, while it leads


class GroupCommit(Generic[Item, Result]):
    """See the module. ``run(items)`` gives the answers in the order of ``items``; ``most`` bounds one group."""

    def __init__(self, run: Callable[[list[Item]], Sequence[Result | BaseException]], most: int = 4096) -> None:
        if most < 1:
            raise ValueError("a group has at least one item")
        self._run = run
        self._most = most
        self._pid = os.getpid()
        # Guards the four below. Held for moments only, never while run runs.
        # A KeyboardInterrupt can strike at every call in the main thread. So each step is one statement that
        # stores without a call in between, and _withdraw can repeat whatever was cut off.
        self._mutex = threading.Lock()
        self._queue: list[_Waiter[Item, Result]] = []
        self._leader: _Waiter[Item, Result] | None = None
        self._worker_called = False
        self._worker: ThreadPoolExecutor | None = None

    def submit(self, item: Item) -> Result:
        """Wait until ``item`` was in a group that ran; its answer. Blocks: never call it in an event loop's thread."""
        self._check_process()
        waiter: _Waiter[Item, Result] = _Waiter()
        waiter.item = item
        try:
            with self._mutex:
                self._queue.append(waiter)
                leads = self._leader is None
                if leads:
                    self._leader = waiter
                else:
                    wake = threading.Lock()
                    wake.acquire()
                    waiter.wake = wake
            if leads or self._wait(waiter):
                while not waiter.done:  # more than ``most`` may stand before it
                    self._run_group(waiter)
                with self._mutex:
                    self._pass_on()
        except BaseException:
            self._withdraw(waiter)
            raise
        answer = waiter.answer
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def submit_async(self, item: Item) -> Result:
        """As :meth:`submit`, for a task. When the task is cancelled its item runs all the same."""
        import asyncio

        self._check_process()
        waiter: _Waiter[Item, Result] = _Waiter()
        waiter.item = item
        waiter.loop = loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        waiter.future = future
        try:
            with self._mutex:
                self._queue.append(waiter)
                if self._leader is None:
                    self._pass_on()
        except BaseException:
            self._withdraw(waiter)
            raise
        return await future

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("a forked process must make a group of its own")

    def _wait(self, waiter: _Waiter[Item, Result]) -> bool:
        """Sleep until answered (False), or until the lead is ours (True)."""
        wake = waiter.wake
        assert wake is not None  # noqa: S101 (who does not lead has one)
        while True:
            wake.acquire()
            if waiter.done:
                return False
            with self._mutex:
                if self._leader is waiter:
                    return True

    def _run_group(self, leader: _Waiter[Item, Result]) -> None:
        """Take what waits, run it, answer it. Only who leads calls this, so run is never called twice at once."""
        with self._mutex:
            leader.group, self._queue = self._queue[: self._most], self._queue[self._most :]
        group = leader.group
        answers: Sequence[Result | BaseException]
        try:
            answers = self._run([waiter.item for waiter in group])
            if len(answers) != len(group):
                raise RuntimeError(f"{len(answers)} answers for {len(group)} items")
        except Exception as error:  # noqa: BLE001 (whatever it is, they all get it)
            answers = [_copy(error) for _ in group]
        _answer(group, answers)
        leader.group = []

    def _pass_on(self) -> None:
        """Have who waits longest lead, or nobody when nobody waits. Call it with the mutex."""
        while self._queue and self._queue[0].loop is not None:
            if self._worker_called or self._call_worker():
                self._leader = None
                return
        if self._queue:
            head = self._queue[0]
            _wake(head)  # it looks who leads only when it has the mutex
            self._leader = head
        else:
            self._leader = None

    def _call_worker(self) -> bool:
        """Have the worker thread lead soon. Where there can be none, the tasks that wait get an error instead."""
        from concurrent.futures import ThreadPoolExecutor

        try:
            if self._worker is None:  # its thread ends with this object, or with the interpreter
                self._worker = ThreadPoolExecutor(1, "group-commit")
            self._worker.submit(self._work)
        except RuntimeError as error:  # the interpreter is ending, or the system has no thread left
            tasks = [waiter for waiter in self._queue if waiter.loop is not None]
            _answer(tasks, [_unconfirmed(error) for _ in tasks])
            self._queue = [waiter for waiter in self._queue if waiter.loop is None]
            return False
        self._worker_called = True
        return True

    def _work(self) -> None:
        """In the worker thread: lead, if nobody does, until nobody waits."""
        leader: _Waiter[Item, Result] = _Waiter()
        try:
            with self._mutex:
                self._worker_called = False
                if self._leader is None and self._queue:
                    self._leader = leader
            while self._leader is leader:
                self._run_group(leader)
                with self._mutex:
                    if not self._queue:
                        self._leader = None
        except BaseException:
            self._withdraw(leader)
            raise

    def _withdraw(self, waiter: _Waiter[Item, Result]) -> None:
        """Somebody was interrupted, at whatever place: leave nobody waiting for him. Can be repeated."""
        while True:
            try:
                for other in waiter.group:
                    if other.done:
                        _wake(other)  # perhaps it was cut off between the two
                    elif other is not waiter:
                        _answer([other], [_unconfirmed(None)])
                with self._mutex:
                    if waiter in self._queue:
                        self._queue.remove(waiter)
                    if self._leader is waiter:
                        self._pass_on()
                return
            except KeyboardInterrupt:  # once more, with impatience; the first one is on its way up already
                continue


def _answer(group: Sequence[_Waiter[Item, Result]], answers: Sequence[Result | BaseException]) -> None:
    """Wake threads one by one, and each loop once for all its tasks."""
    tasks: dict[asyncio.AbstractEventLoop, list[tuple[_Waiter[Item, Result], Result | BaseException]]] = {}
    for waiter, answer in zip(group, answers, strict=True):
        if waiter.loop is None:
            waiter.answer = answer
            waiter.done = True
            _wake(waiter)
        else:
            tasks.setdefault(waiter.loop, []).append((waiter, answer))
    for loop, answered in tasks.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed, and with it all who waited there
            loop.call_soon_threadsafe(_deliver, answered)
        for waiter, _ in answered:
            waiter.done = True


def _deliver(answered: list[tuple[_Waiter[Item, Result], Result | BaseException]]) -> None:
    """In the loop's thread: answer its tasks, but those that were cancelled."""
    for waiter, answer in answered:
        future = waiter.future
        if future is None or future.done():
            continue
        if isinstance(answer, StopIteration):  # no future takes one
            future.set_exception(RuntimeError("StopIteration"))
        elif isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _wake(waiter: _Waiter[Item, Result]) -> None:
    """Let a thread look again. Once too often does no harm."""
    if waiter.wake is not None and waiter.wake.locked():
        waiter.wake.release()


def _copy(error: Exception) -> Exception:
    """A copy for one of many who must raise it, so that their tracebacks do not grow together."""
    try:
        again = copy.copy(error)
    except Exception:  # noqa: BLE001 (its class does not take its own arguments)
        return error
    if type(again) is not type(error):
        return error
    again.__cause__ = error
    return again


def _unconfirmed(cause: BaseException | None) -> LogError:
    error = LogError(
        "the log's writer was interrupted before it confirmed an entry", hint="ask again; it may stand there twice"
    )
    error.__cause__ = cause
    return error
