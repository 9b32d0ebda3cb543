"""Tasks that a device runs beside its clients. Law: each has an owner, and one that fails does not fail in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import attrs

from ..errors import UsageError
from ..reports import logger, report_exception, safely
from .life import await_hook

__all__ = ["Chores", "Service", "ServiceTasks", "end_tasks"]

Work = Coroutine[Any, Any, object] | Callable[[], Coroutine[Any, Any, object]]


@attrs.frozen(eq=False)
class Service:
    """One service as it was asked for."""

    work: Work  #: a coroutine, or a function that makes one whenever the server starts
    name: str | None
    wait_on_stop: bool  #: whether it may end by itself when the server stops, or is cancelled


class ServiceTasks:
    """The service tasks of one server.

    Args:
        on_failure: is told of the exception with which a service ended.
    """

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        self._services: list[Service] = []  # to be started with the server, each time
        self._tasks: dict[asyncio.Task[object], Service] = {}
        self._running = False

    def add(self, service: Service) -> None:
        """Start a service: now if the server runs, otherwise with it. Raises UsageError if its work is none."""
        work: object = service.work
        if not asyncio.iscoroutine(work) and (isinstance(work, asyncio.Future) or not callable(work)):
            raise UsageError(f"a service is a coroutine, or a function that returns one, not {work!r}")
        if self._running:
            self._start(service)
        if callable(service.work) or not self._running:
            self._services.append(service)

    def start(self) -> None:
        """Start what was added before; called in the running loop."""
        self._running = True
        services = self._services
        self._services = [service for service in services if callable(service.work)]
        for service in services:
            try:
                self._start(service)
            except Exception as error:  # noqa: BLE001 - a device's own function may raise anything
                # Clients are served by now: the server stops, as if the task had raised, and is not left half started.
                asyncio.get_running_loop().call_soon(self._on_failure, error)

    def discard(self) -> None:
        """Let go of what was added for a start that failed; functions stay for the next one."""
        services = self._services
        self._services = [service for service in services if callable(service.work)]
        for service in services:
            if not callable(service.work):
                service.work.close()  # or Python warns that nobody awaited it

    def _start(self, service: Service) -> None:
        work = service.work() if callable(service.work) else service.work
        task = asyncio.get_running_loop().create_task(work, name=service.name)
        self._tasks[task] = service
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[object]) -> None:
        del self._tasks[task]
        if task.cancelled():
            if self._running and not task.cancelling():  # nobody wanted it to end
                safely(logger.warning, "service task %s ended, as what it waited for was cancelled", task.get_name())
        elif (error := task.exception()) is not None:
            self._on_failure(error)

    async def stop(self, timeout: float) -> None:
        """End all: those that may end by themselves have ``timeout`` seconds for it, the others are cancelled."""
        self._running = False
        waited_for = {task for task, service in self._tasks.items() if service.wait_on_stop}
        for task in self._tasks.keys() - waited_for:
            task.cancel()
        if waited_for:
            await asyncio.wait(waited_for, timeout=timeout)
            for task in waited_for:
                task.cancel()  # does nothing to those that have ended
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    def cancel(self) -> None:
        """Cancel those that run, without waiting; what is added from now on waits for the next start."""
        self._running = False
        for task in self._tasks:
            task.cancel()


class Chores:
    """Hooks of a device's own that nobody waits for until the server stops; what they raise is logged."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, name: str, hook: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run a hook in a task of its own."""
        task = asyncio.get_running_loop().create_task(self._run(name, hook))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    @staticmethod
    async def _run(name: str, hook: Callable[[], Coroutine[Any, Any, object]]) -> None:
        try:
            await await_hook(name, hook())
        except Exception:  # noqa: BLE001 - a device's own
            report_exception(name)


async def end_tasks(tasks: Iterable[asyncio.Task[object]], timeout: float, grace: float) -> None:
    """Wait ``timeout`` seconds for tasks to end, then cancel them, and wait ``grace`` seconds for that."""
    waited_for = set(tasks)
    if not waited_for:
        return
    _, late = await asyncio.wait(waited_for, timeout=max(0.0, timeout))
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=grace)
