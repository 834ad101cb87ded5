"""Group commit: every item runs once, in order, one group at a time; and nobody is left waiting, whatever happens."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parcelveil.audit import group as module
from parcelveil.audit.group import GroupCommit
from parcelveil.errors import LogError, OutputError

PATIENCE = 20.0  # seconds after which something hangs
SOURCE = Path(module.__file__).read_text(encoding="utf-8").splitlines()

pytestmark = pytest.mark.timeout(60)


class Thread:
    """One call in a thread of its own; ``outcome`` is what it returned or raised."""

    def __init__(self, call: Callable[..., Any], *arguments: object) -> None:
        self.outcome: object = "nothing yet"

        def work() -> None:
            try:
                self.outcome = call(*arguments)
            except BaseException as error:  # noqa: BLE001
                self.outcome = error

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def join(self) -> object:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "a thread waits for ever"
        return self.outcome


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "that never happens"
        time.sleep(0.0002)


def waiting(commit: GroupCommit[Any, Any]) -> int:
    return len(commit._queue)


class Gate:
    """A ``run`` whose first group is held until the test opens it, so that the others gather behind it."""

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.inside = threading.Event()
        self.open = threading.Event()

    def __call__(self, items: list[Any]) -> list[Any]:
        self.groups.append(items)
        if len(self.groups) == 1:
            self.inside.set()
            assert self.open.wait(PATIENCE)
        return [self.answer(item) for item in items]

    def answer(self, item: Any) -> Any:
        return ("done", item)


def gathered(gate: Callable[[list[Any]], Any], items: list[Any], most: int = 4096) -> tuple[Any, Thread, list[Thread]]:
    """A group whose first item is held at the gate, with ``items`` waiting behind it in that order."""
    commit: GroupCommit[Any, Any] = GroupCommit(gate, most)
    first = Thread(commit.submit, "first")
    assert gate.inside.wait(PATIENCE)  # type: ignore[attr-defined]
    others = []
    for item in items:
        others.append(Thread(commit.submit, item))
        until(lambda: waiting(commit) == len(others))
    return commit, first, others


# ---- what it is for


def test_a_lone_item_runs_at_once_in_its_own_thread() -> None:
    threads: list[int] = []

    def run(items: list[int]) -> list[int]:
        threads.append(threading.get_ident())
        return [item * 2 for item in items]

    commit = GroupCommit(run)
    assert [commit.submit(i) for i in range(3)] == [0, 2, 4]
    assert set(threads) == {threading.get_ident()}


def test_who_comes_while_it_runs_makes_the_next_group_in_order_of_arrival() -> None:
    gate = Gate()
    _, first, others = gathered(gate, list(range(20)))
    gate.open.set()
    assert first.join() == ("done", "first")
    assert [other.join() for other in others] == [("done", i) for i in range(20)]
    assert gate.groups == [["first"], list(range(20))]


def test_a_group_has_at_most_that_many_items() -> None:
    gate = Gate()
    _, first, others = gathered(gate, list(range(10)), most=4)
    gate.open.set()
    assert [other.join() for other in [first, *others]] == [("done", i) for i in ["first", *range(10)]]
    assert gate.groups == [["first"], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(ValueError, match="at least one"):
        GroupCommit(gate, 0)


def test_tasks_and_threads_share_one_queue_in_order_of_arrival() -> None:
    gate = Gate()
    commit, first, others = gathered(gate, ["thread 0"])

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(commit.submit_async(f"task {i}")) for i in range(3)]
        await asyncio.sleep(0)
        others.append(Thread(commit.submit, "thread 1"))
        await asyncio.to_thread(until, lambda: waiting(commit) == 5)
        gate.open.set()
        return await asyncio.gather(*tasks)

    assert asyncio.run(main()) == [("done", f"task {i}") for i in range(3)]
    assert [other.join() for other in [first, *others]] == [("done", i) for i in ("first", "thread 0", "thread 1")]
    assert gate.groups == [["first"], ["thread 0", "task 0", "task 1", "task 2", "thread 1"]]


def test_a_leader_is_not_kept_by_the_work_of_others() -> None:
    """The first leader goes home while the second group, led by another thread, still runs."""
    held, go = threading.Event(), threading.Event()

    class Run(Gate):
        def answer(self, item: Any) -> Any:
            if item == "slow":
                held.set()
                assert go.wait(PATIENCE)
            return threading.get_ident()

    gate = Run()
    _, first, others = gathered(gate, ["slow", "too"])
    gate.open.set()
    assert held.wait(PATIENCE)
    assert first.join() == first.thread.ident
    assert others[0].outcome == "nothing yet"
    go.set()
    assert others[0].join() == others[1].join() == others[0].thread.ident  # who waited longest led


def test_tasks_of_one_loop_are_woken_by_one_call() -> None:
    calls = 0

    class Loop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
            nonlocal calls
            calls += 1
            return super().call_soon_threadsafe(callback, *args, context=context)

    groups: list[int] = []

    def run(items: list[int]) -> list[int]:
        groups.append(len(items))
        return items

    commit = GroupCommit(run)

    async def main() -> list[int]:
        return await asyncio.gather(*[commit.submit_async(i) for i in range(500)])

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(main()) == list(range(500))
        assert sum(groups) == 500
        assert calls == len(groups) < 50


def test_a_worker_thread_leads_for_tasks_and_never_their_loop() -> None:
    names: set[str] = set()

    def run(items: list[int]) -> list[int]:
        names.add(threading.current_thread().name)
        return items

    commit = GroupCommit(run)

    async def main() -> None:
        for i in range(20):
            assert await commit.submit_async(i) == i

    asyncio.run(main())
    asyncio.run(main())  # another loop, the same worker
    assert names == {"group-commit_0"}


def test_the_worker_thread_ends_with_its_group() -> None:
    def run(items: list[int]) -> list[int]:
        return items

    commit = GroupCommit(run)
    assert asyncio.run(commit.submit_async(1)) == 1
    (worker,) = [thread for thread in threading.enumerate() if thread.name.startswith("group-commit")]
    del commit
    gc.collect()
    worker.join(PATIENCE)
    assert not worker.is_alive()


@pytest.mark.parametrize("most", [7, 4096])
def test_stress_of_threads_and_loops_together(most: int) -> None:
    """Never two runs at once, no item lost or run twice, each has its own answer, and each caller's stay in order."""
    inside = threading.Lock()
    ran: list[tuple[int, int]] = []
    overlaps = 0

    def run(items: list[tuple[int, int]]) -> list[Any]:
        nonlocal overlaps
        if not inside.acquire(blocking=False):
            overlaps += 1
        assert 1 <= len(items) <= most
        if len(ran) % 3 == 0:
            time.sleep(0.0003)
        ran.extend(items)
        inside.release()
        return [KeyError(item) if item[1] % 10 == 9 else item for item in items]

    commit = GroupCommit(run, most)

    def thread(who: int) -> bool:
        for i in range(40):
            try:
                assert commit.submit((who, i)) == (who, i)
            except KeyError as error:
                assert error.args[0] == (who, i)
                assert i % 10 == 9
        return True

    async def task(who: int) -> None:
        for i in range(40):
            try:
                assert await commit.submit_async((who, i)) == (who, i)
            except KeyError as error:
                assert error.args[0] == (who, i)
                assert i % 10 == 9

    async def main(first: int) -> bool:
        await asyncio.wait_for(asyncio.gather(*[task(who) for who in range(first, first + 40)]), PATIENCE)
        return True

    threads = [Thread(thread, who) for who in range(40)]
    threads += [Thread(asyncio.run, main(first)) for first in (100, 200, 300)]
    assert [each.join() for each in threads] == [True] * 43
    assert overlaps == 0
    callers = [*range(40), *range(100, 140), *range(200, 240), *range(300, 340)]
    assert sorted(ran) == [(who, i) for who in callers for i in range(40)]
    for who in callers:
        assert [i for other, i in ran if other == who] == list(range(40))
    assert commit._leader is None
    assert not commit._queue


# ---- errors


def test_an_exception_among_the_answers_is_for_its_item_alone() -> None:
    class Run(Gate):
        def answer(self, item: Any) -> Any:
            return ValueError("no") if item == 1 else item

    gate = Run()
    _, _, others = gathered(gate, [0, 1, 2])
    gate.open.set()
    outcomes = [other.join() for other in others]
    assert outcomes[::2] == [0, 2]
    assert isinstance(outcomes[1], ValueError)


def test_all_of_a_group_get_the_error_of_run_each_its_own() -> None:
    original = OutputError("no room left for {file}", hint="make room on {file}", file="log.db")

    class Run(Gate):
        def answer(self, item: Any) -> Any:
            if item in (1, 2):
                raise original
            return item

    gate = Run()
    commit, first, others = gathered(gate, [0, 1, 2], most=3)
    tail = [Thread(commit.submit, 3)]
    until(lambda: waiting(commit) == 4)
    gate.open.set()
    assert first.join() == "first"
    errors = [other.join() for other in others]
    for error in errors:
        assert type(error) is OutputError
        assert error.hint == "make room on log.db"
        assert error.__cause__ is original
    assert len({id(error) for error in errors}) == 3
    assert tail[0].join() == 3  # the next group is none the worse


def test_an_error_that_cannot_be_copied_is_raised_as_it_is() -> None:
    class AwkwardError(Exception):
        def __init__(self, *, why: str) -> None:
            super().__init__("awkward", why)

    class OddError(Exception):
        def __reduce__(self) -> Any:
            return ValueError, ("another type",)

    for original in (AwkwardError(why="x"), OddError()):

        def run(items: list[int], error: Exception = original) -> list[int]:
            raise error

        with pytest.raises(type(original)) as caught:
            GroupCommit(run).submit(1)
        assert caught.value is original


@pytest.mark.parametrize("answers", [[], [1, 2]])
def test_a_wrong_number_of_answers_confirms_nothing(answers: list[int]) -> None:
    commit: GroupCommit[int, int] = GroupCommit(lambda items: answers)
    with pytest.raises(RuntimeError, match="answers for 1 items"):
        commit.submit(1)
    with pytest.raises(RuntimeError, match="answers for 1 items"):
        asyncio.run(commit.submit_async(1))


def test_errors_reach_tasks_too() -> None:
    def run(items: list[int]) -> list[Any]:
        if 9 in items:
            raise OSError(28, "No space left on device")
        return [KeyError(1), StopIteration()][: len(items)]

    commit = GroupCommit(run)

    async def main() -> None:
        with pytest.raises(OSError) as caught:
            await commit.submit_async(9)
        assert caught.value.errno == 28
        with pytest.raises(KeyError):
            await commit.submit_async(1)
        outcomes = await asyncio.gather(commit.submit_async(1), commit.submit_async(2), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [KeyError, RuntimeError]

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_the_worker_survives_a_run_that_wants_to_exit() -> None:
    def run(items: list[int]) -> list[int]:
        if items == [0]:
            sys.exit(1)
        return items

    commit = GroupCommit(run)

    async def main() -> None:
        with pytest.raises(LogError, match="interrupted"):
            await commit.submit_async(0)
        assert await commit.submit_async(1) == 1

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert commit.submit(2) == 2


# ---- interrupts and cancelled tasks


def test_an_interrupt_in_the_leader_leaves_nobody_waiting() -> None:
    others: list[Thread] = []

    def run(items: list[int]) -> list[int]:
        if 0 in items:
            others.append(Thread(commit.submit, 3))  # waits for the next group
            until(lambda: waiting(commit) == 1)
            raise KeyboardInterrupt
        if items == [-1]:
            others.extend(Thread(commit.submit, i) for i in (1, 2))
            until(lambda: waiting(commit) >= 2)
            commit._queue.sort(key=lambda waiter: waiter.item)
            go.set()
            until(lambda: waiting(commit) == 3)
            commit._queue.sort(key=lambda waiter: waiter.item)  # the main thread's 0 comes first, and leads
        return items

    go = threading.Event()
    commit = GroupCommit(run)
    first = Thread(commit.submit, -1)
    assert go.wait(PATIENCE)
    with pytest.raises(KeyboardInterrupt):
        commit.submit(0)
    assert first.join() == -1
    outcomes = [other.join() for other in others]
    assert all(type(outcome) is LogError for outcome in outcomes[:2])
    assert outcomes[0] is not outcomes[1]
    assert outcomes[2] == 3
    assert commit.submit(4) == 4


def interrupted_after(line: int) -> bool:
    """Interrupt the main thread before the ``line``-th line it runs of the module, while it waits and then leads.

    Whether there was such a line. Everybody else must get an answer, and the group must go on working.
    """
    others: list[Thread] = []
    gone = threading.Event()
    groups = 0

    def run(items: list[str]) -> list[str]:
        nonlocal groups
        groups += 1
        if groups == 1:
            until(lambda: waiting(commit) == 1 or gone.is_set())
        if groups <= 2:  # two more wait: behind the main thread, then while it leads
            before = waiting(commit)
            others.extend(Thread(commit.submit, f"{groups}.{i}") for i in range(2))
            until(lambda: waiting(commit) >= before + 2 or gone.is_set())
        return items

    commit = GroupCommit(run)
    first = Thread(commit.submit, "first")
    until(lambda: groups)
    lines = 0
    struck = False
    previous: dict[Any, int] = {}

    def trace(frame: Any, event: str, _: object) -> Any:
        nonlocal lines, struck
        if frame.f_code.co_filename != module.__file__:
            return None
        if event == "line":
            # The end of a with block counts as its first line again. No interrupt strikes there: the interpreter
            # looks for signals after calls and at jumps back, and between the block and the release there are none.
            leaves = previous.get(frame, 0) > frame.f_lineno and SOURCE[frame.f_lineno - 1].lstrip().startswith("with ")
            previous[frame] = frame.f_lineno
            lines += not leaves
            if lines == line and not leaves:
                struck = True
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        outcome: object = commit.submit("main")
    except KeyboardInterrupt as error:
        outcome = error
    finally:
        sys.settrace(before)
    gone.set()
    assert isinstance(outcome, KeyboardInterrupt) if struck else outcome == "main"
    assert first.join() == "first"
    assert commit.submit("after") == "after"
    until(lambda: len(others) == 4)
    for i, other in enumerate(others):
        answer = other.join()
        assert answer == f"{1 + i // 2}.{i % 2}" or (struck and type(answer) is LogError), (line, answer)
    assert not commit._mutex.locked()
    assert not commit._queue
    return struck


def test_an_interrupt_at_any_line_leaves_nobody_waiting() -> None:
    line = 1
    while interrupted_after(line):
        line += 1
    assert line > 60


@pytest.mark.slow
def test_thousands_of_real_interrupts_leave_nobody_waiting() -> None:
    """A timer interrupts the main thread at any moment, while six others submit. Nobody hangs, no runs overlap."""
    inside = threading.Lock()
    overlaps, stop = 0, False
    answered = [0] * 6

    def run(items: list[int]) -> list[int]:
        nonlocal overlaps
        overlaps += inside.locked()
        with inside:
            if items[0] % 2:
                time.sleep(0.0001)
            return items

    commit = GroupCommit(run)

    def work(who: int) -> bool:
        while not stop:
            try:
                assert commit.submit(who) == who
            except LogError:
                pass
            answered[who] += 1
        return True

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, interrupt)
    threads = [Thread(work, who) for who in range(6)]
    interrupts = 0
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.00005 + 0.00037 * (interrupts % 7))
            while True:
                commit.submit(6)
        except KeyboardInterrupt:
            interrupts += 1
    signal.signal(signal.SIGVTALRM, before)
    seen = list(answered)
    until(lambda: all(now > then for now, then in zip(answered, seen, strict=True)))  # all six still go on
    stop = True
    assert [thread.join() for thread in threads] == [True] * 6
    assert overlaps == 0
    assert interrupts > 100
    assert commit._leader is None
    assert not commit._queue


def test_an_interrupt_while_waiting_withdraws_the_item() -> None:
    gate = Gate()
    commit, first, others = gathered(gate, [0])

    def strike() -> None:
        until(lambda: waiting(commit) == 2)
        others.append(Thread(commit.submit, 2))
        until(lambda: waiting(commit) == 3)
        time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    striker = Thread(strike)
    with pytest.raises(KeyboardInterrupt):
        commit.submit(1)
    striker.join()
    gate.open.set()
    assert [each.join() for each in [first, *others]] == [("done", i) for i in ("first", 0, 2)]
    assert gate.groups == [["first"], [0, 2]]


def test_a_cancelled_task_has_its_item_run_all_the_same() -> None:
    gate = Gate()
    commit, first, _ = gathered(gate, [])

    async def main() -> None:
        tasks = [asyncio.create_task(commit.submit_async(i)) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        gate.open.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert outcomes[::2] == [("done", 0), ("done", 2)]
        assert isinstance(outcomes[1], asyncio.CancelledError)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    first.join()
    assert gate.groups == [["first"], [0, 1, 2]]


def test_a_loop_that_has_gone_does_not_stop_the_others() -> None:
    gate = Gate()
    commit, first, others = gathered(gate, [])

    async def leave() -> None:
        task = asyncio.create_task(commit.submit_async("gone"))
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(leave())  # cancels the task and closes the loop
    others.append(Thread(commit.submit, "here"))
    until(lambda: waiting(commit) == 2)
    gate.open.set()
    assert first.join() == ("done", "first")
    assert others[0].join() == ("done", "here")
    assert gate.groups == [["first"], ["gone", "here"]]
    assert Thread(commit.submit, "later").join() == ("done", "later")


def test_where_no_worker_can_be_had_tasks_get_an_error_and_threads_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    commit, first, others = gathered(gate, [])

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)

    async def main() -> None:
        task = asyncio.create_task(commit.submit_async("task"))
        await asyncio.sleep(0)
        others.append(Thread(commit.submit, "thread"))
        until(lambda: waiting(commit) == 2)
        gate.open.set()
        with pytest.raises(LogError) as caught:
            await task
        assert isinstance(caught.value.__cause__, RuntimeError)
        until(lambda: commit._leader is None)
        with pytest.raises(LogError):
            await commit.submit_async("another")

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert first.join() == ("done", "first")
    assert others[0].join() == ("done", "thread")
    monkeypatch.undo()
    assert asyncio.run(commit.submit_async("again")) == ("done", "again")


def test_items_of_tasks_that_were_left_run_before_the_interpreter_ends() -> None:
    script = """
import asyncio, time
from parcelveil.audit.group import GroupCommit

def run(items):
    time.sleep(0.2)
    print("ran", len(items), flush=True)
    return items

commit = GroupCommit(run)

async def main():
    task = asyncio.create_task(commit.submit_async(1))
    await asyncio.sleep(0.05)

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ran 1\n", b"")


def _in_child(commit: GroupCommit[int, int]) -> None:
    with pytest.raises(RuntimeError, match="forked"):
        commit.submit(1)
    with pytest.raises(RuntimeError, match="forked"):
        asyncio.run(commit.submit_async(1))
    os._exit(42)


def test_a_forked_child_must_make_its_own() -> None:
    commit: GroupCommit[int, int] = GroupCommit(lambda items: items)
    assert commit.submit(1) == 1
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(commit,))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 42
