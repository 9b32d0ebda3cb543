"""What every device is made of: its books and its life. Law: a server owns what it starts, and ends it in time.

The requests that all devices answer are in :mod:`.requests` and :mod:`.sensor_requests`; what a device's author
derives from is :class:`katcp_aio.server.device.DeviceServer`, which has them all.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl as ssl_module
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ..clock import SYSTEM_CLOCK, Clock
from ..connection import ConnectionProtocol
from ..errors import UsageError
from ..limits import Limits
from ..model.sensor import Sensor
from ..model.sensorset import SensorSet
from ..model.signature import Signature
from ..model.strategies import StrategyRegistry
from ..model.strategies import strategies as all_strategies
from ..reports import TroubleLog, logger, safely
from ..version import library_row
from ..wire.datatypes import Address
from ..wire.dialect import Dialect, server_dialect
from ..wire.message import MessageType
from ..wire.values import TypeRegistry
from ..wire.values import registry as all_types
from .access import Access
from .clientele import Clientele
from .context import format_line
from .descriptions import Descriptions
from .handlers import Handler, RequestOptions, check_unasked, collect_handlers, make_handler, put_handler
from .hooks import DeviceHooks
from .interface import InterfaceChanges
from .life import Interruptible, LifeState, await_hook
from .listeners import Listeners
from .logs import DeviceLog, LogLevel
from .sampling import Sampling
from .selection import SensorFinder
from .services import Chores, Service, ServiceTasks, end_tasks
from .session import ClientConnection
from .staleness import StaleWatch

if TYPE_CHECKING:
    from .audit import Audit

__all__ = ["DeviceBase"]


class DeviceBase(DeviceHooks):
    """A server without its standard requests; see :class:`katcp_aio.DeviceServer` for the arguments.

    Attributes:
        dialect: what the server speaks.
        sensors: the device's sensors.
        handlers: request name -> what answers it, sorted.
        types: the Python types that annotations of handlers may name.
        strategies: the sampling strategies that clients may ask for.
        limits: the bounds.
        clock: the time.
        library_row, device_row: version and build state of this library and of the device, as clients are told.
        log: the device's log, which its clients are sent too, as #log informs.
        log_level: from which level on they are; one for the whole device (5.1, section 6).
        trouble: what clients did wrong, counted by kind and logged at a bounded rate.
        logger: where the server itself logs.
        access: who may connect, and ask what; None: the default rules.
        audit: is told who asked for what; None: nobody is.
        serial, debug: whether a client's requests are answered one after another; whether it is sent tracebacks.
    """

    VERSION: ClassVar[str]
    BUILD_STATE: ClassVar[str]

    def __init__(
        self,
        host: str | Sequence[str] = "127.0.0.1",
        port: int = 0,
        *,
        protocol: str = "5.1",
        multi_client: bool = True,
        limits: Limits | None = None,
        ssl: ssl_module.SSLContext | None = None,
        access: Access | None = None,
        audit: Audit | None = None,
        clock: Clock | None = None,
        sock: socket.socket | Sequence[socket.socket] | None = None,
        path: str | os.PathLike[str] | None = None,
        serial: bool = False,
        debug: bool = False,
        types: TypeRegistry | None = None,
        strategies: StrategyRegistry | None = None,
    ) -> None:
        for attribute in ("VERSION", "BUILD_STATE"):
            if not isinstance(getattr(self, attribute, None), str):
                raise UsageError(f"{type(self).__name__} does not say its {attribute}, as a str")
        self.limits = limits or Limits()
        self.clock: Clock = clock or SYSTEM_CLOCK
        self.dialect: Dialect = server_dialect(protocol, multi_client=multi_client)
        self.types = types or all_types
        self.strategies = strategies or all_strategies
        self.serial, self.debug = serial, debug
        self.access, self.audit = access, audit
        self.logger = logger
        self.log = DeviceLog(self)
        self.log_level = LogLevel.WARN
        self.trouble = TroubleLog(logger, self.clock.monotonic, self.limits.log_rate)
        self.library_row, self.device_row = library_row(), (self.VERSION, self.BUILD_STATE)
        self.versions: dict[str, tuple[str, ...]] = {}  #: further components of ?version-list: version, build state
        self._clientele = Clientele(self, multi_client=multi_client)
        self._listeners = Listeners(
            self.make_protocol, self.limits, self.trouble, host=host, port=port, path=path, sock=sock, ssl=ssl
        )
        self._state = LifeState.STOPPED
        self.loop: asyncio.AbstractEventLoop | None = None  #: in which it serves, once it has been started
        self._chores = Chores()
        self._services = ServiceTasks(self._service_failed)
        # Told one by one only where an inform says which change it is.
        one_by_one = self.limits.max_interface_changes if self.dialect.rules.change_arguments else 0
        self._changes = InterfaceChanges(self._tell_change, one_by_one)
        self._stop_task: asyncio.Task[None] | None = None
        self._starting = Interruptible()
        self._again = False  # whether the server starts afresh when it has stopped
        self._stopped = asyncio.Event()
        self._failure: BaseException | None = None
        self.handlers: dict[str, Handler] = collect_handlers(self, self.types, self.dialect)
        self._unhandled = Signature(self.unhandled_request, skip=1, registry=self.types, dialect=self.dialect)
        self.sensors = SensorSet(clock=self.clock)
        self.sensors.on_change(self._sensor_changed)
        self._staleness = StaleWatch(self.sensors, self.clock)
        self.descriptions = Descriptions(self.sensors, self.dialect)
        self.finder = SensorFinder(self.sensors, self.limits)
        self.sampling = Sampling(self.sensors, self.dialect, self.clock, self.trouble)

    # Life

    @property
    def running(self) -> bool:
        """Whether clients are served."""
        return self._state is LifeState.RUNNING

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where the server listens: the addresses of its TCP sockets."""
        return self._listeners.addresses

    @property
    def address(self) -> Address | None:
        """The first of :attr:`addresses`; None for a server that does not listen on TCP."""
        return self.addresses[0] if self.addresses else None

    async def start(self, *, listen: bool = True) -> None:
        """Start to serve. ``listen=False`` opens no socket: clients come by :meth:`make_protocol` only.

        Cancelling it leaves the server stopped, and so does :meth:`stop`, at which it returns. It can be started again.

        Raises:
            UsageError: it runs already.
            OSError: it cannot listen at its address.
            Exception: whatever :meth:`on_start` raises.
        """
        if self._state is not LifeState.STOPPED:
            raise UsageError(f"the server is {self._state.value} already")
        self._failure = None
        self._stopped = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        await self._start(listen=listen)

    async def _start(self, *, listen: bool, same_port: bool = False) -> None:
        self._state = LifeState.STARTING
        started = False
        try:
            async with self._starting as starting:
                await self.on_start()
                self._state = LifeState.RUNNING  # the first client may come before the last socket listens
                if listen:
                    await self._listeners.open(same_port=same_port)
            started = not starting.called_off
        finally:
            if not started:
                self._services.discard()
                self._be_stopped("server could not start")
        if started:
            self._changes.start()
            self._staleness.start()
            self._services.start()

    def begin_stop(self, timeout: float | None = None, *, restart: bool = False) -> None:
        """Start to stop (and to start again), without waiting: for signal handlers, ?halt and ?restart."""
        self._again = restart and (self._again or self._state is LifeState.RUNNING)  # who stops it for good has his way
        if self._starting.active and not restart:
            self._starting.call_off()
        elif self._state is LifeState.RUNNING and not self._starting.active:  # else it starts afresh already
            loop = asyncio.get_running_loop()  # raises in another thread, before anything has changed
            self._state = LifeState.STOPPING
            self._stop_task = loop.create_task(self._stop(self.limits.stop_timeout if timeout is None else timeout))
            self._stop_task.add_done_callback(self._stop_cut_off)

    async def stop(self, timeout: float | None = None) -> None:
        """Stop: listen no more, let handlers end for ``timeout`` seconds, tell the clients why, and close.

        Takes ``timeout`` (``Limits.stop_timeout`` by default) and ``Limits.stop_margin`` at most, whatever
        clients do, and what :meth:`on_stop` and service tasks take to end. Does nothing to a server that is stopped.
        Cancelling it stops the waiting only; and in ``on_stop`` and ``on_restart`` it does not wait for itself.

        Raises:
            Exception: what a service task or :meth:`on_stop` has raised, once.
        """
        self.begin_stop(timeout)
        if self._starting.active:
            await self._stopped.wait()
        elif (task := self._stop_task) is not None and task is not asyncio.current_task():
            await asyncio.wait([task])
        self._raise_failure()

    async def serve_forever(self) -> None:
        """Wait until the server is stopped: by :meth:`stop`, ?halt, or a service task that failed.

        Raises:
            UsageError: it was not started.
            Exception: what a service task or :meth:`on_stop` has raised, once.
        """
        if self.loop is None:
            raise UsageError("the server is not started")
        await self._stopped.wait()
        self._raise_failure()

    async def __aenter__(self) -> Self:
        """Start the server."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the server."""
        await self.stop()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    async def _stop(self, grace: float) -> None:
        """Do all that stopping is; runs in a task of its own, so that nobody's cancellation leaves it half done."""
        reason = "server restarting" if self._again else "server shutting down"
        listened = self._listeners.listening
        self._listeners.close(reopen=self._again)
        self._changes.stop()
        self._staleness.stop()
        monotonic = self.clock.monotonic
        deadline = monotonic() + grace
        ends = deadline + self.limits.stop_margin
        abandoned = await self._clientele.dismiss(reason, deadline)
        await end_tasks(abandoned, deadline - monotonic(), ends - monotonic())
        try:
            await await_hook("on_stop", self.on_stop())
        except Exception as error:  # noqa: BLE001 - a device's own; it surfaces where the server is waited for
            self._fail(error)
        await self._services.stop(grace)
        await end_tasks(self._chores.tasks, deadline - monotonic(), ends - monotonic())
        if self._again and self._failure is None:
            try:
                await await_hook("on_restart", self.on_restart())
                if self._again:
                    await await_hook("on_start", self._start(listen=listened, same_port=True))
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(error)
        self._stop_task = None
        if not self.running:
            self._be_stopped(reason)

    def _stop_cut_off(self, task: asyncio.Task[None]) -> None:
        """Be stopped all the same where the program cancels every task, or a hook raises what nobody is to catch."""
        if task is self._stop_task:  # which did not come to its end
            self._stop_task = None
            if not task.cancelled() and (error := task.exception()) is not None:
                self._fail(error)
            self._be_stopped("server shutting down")

    def _be_stopped(self, reason: str) -> None:
        """Serve nobody any more. There are clients only of a start that fails or a stop that was cut off."""
        self._listeners.close()
        self._services.cancel()
        self._state = LifeState.STOPPED
        for client in self.clients:
            client.disconnect(reason)
        self._stopped.set()

    def _fail(self, error: BaseException) -> None:
        """Keep the first failure for who waits for the server; log the others."""
        if self._failure is None:
            self._failure = error
        else:
            safely(self.logger.error, "while the server stopped", exc_info=error)

    def _service_failed(self, error: BaseException) -> None:
        safely(self.logger.warning, "a service task failed, so the server stops: %s: %s", type(error).__name__, error)
        self._fail(error)
        self.begin_stop()

    def add_service_task(
        self,
        work: Coroutine[Any, Any, object] | Callable[[], Coroutine[Any, Any, object]],
        *,
        name: str | None = None,
        wait_on_stop: bool = False,
    ) -> None:
        """Run a coroutine beside the clients: from now on, or from the start of the server.

        If it raises, the server stops, and whoever waits for the server gets the exception.

        Args:
            work: a coroutine; or a function that returns one, called each time the server starts.
            name: of the task.
            wait_on_stop: whether it has the time that stopping takes to end by itself, before it is cancelled.
        """
        self._services.add(Service(work, name, wait_on_stop))

    # Clients

    @property
    def clients(self) -> tuple[ClientConnection, ...]:
        """The clients, in the order in which they came."""
        return tuple(self._clientele.clients)

    def make_protocol(self) -> ConnectionProtocol:
        """Return the protocol for one more connection, for a transport of one's own."""
        return ConnectionProtocol(
            self.limits, max_backlog=self.limits.max_backlog, on_connection=self._clientele.receive
        )

    async def client_ready(self, client: ClientConnection) -> None:
        """Called by a client's own task before it reads the first request."""
        await await_hook("on_client_connect", self.on_client_connect(client))

    def client_gone(self, client: ClientConnection) -> None:
        """Called by a client whose connection has ended."""
        hook = self.on_client_disconnect
        if self._clientele.gone(client) and getattr(hook, "__func__", None) is not DeviceHooks.on_client_disconnect:
            self._chores.begin("on_client_disconnect", lambda: hook(client))

    def abandon(self, task: asyncio.Task[object], *, cancel: bool) -> None:
        """Called by a client that has gone: let its handler run on, or end."""
        self._clientele.abandon(task, cancel=cancel)

    def inform_all(self, name: str, *arguments: object) -> None:
        """Send an inform to every client, without waiting.

        Raises:
            UsageError: a request has that name, whose informs it would be taken for (5.1, section 2.3).
            TypeError, ValueError: a value that has no form on the wire, or a name outside the grammar.
        """
        check_unasked(name, self.handlers)
        line = format_line(MessageType.INFORM.head(name), arguments, self.dialect, self.types)
        for client in self._clientele.clients:
            client.connection.write(line)

    # Requests

    def add_request(self, name: str, handler: Callable[..., Any], **options: Any) -> None:
        """Answer ?``name`` with ``handler(ctx, ...)``, whose annotations decode the arguments, from now on.

        Clients are told with #interface-changed. ``options``, those of :func:`katcp_aio.request`, may keep it out.

        Raises:
            UsageError: the name or the signature is not fit for a request.
        """
        chosen = RequestOptions(**options) if options else None
        made = make_handler(name, handler, registry=self.types, dialect=self.dialect, options=chosen)
        if made.options.exists_in(name, self.dialect):
            self._changes.note("request", name, put_handler(self.handlers, made))

    def remove_request(self, name: str) -> None:
        """Answer ?``name`` no more; requests that are being answered are not touched.

        Raises:
            KeyError: there is no such request.
        """
        del self.handlers[name]
        self._changes.note("request", name, "removed")

    def unknown_request(self, name: str) -> Handler:
        """Return what answers a request that has no handler."""
        return Handler(name, self.unhandled_request, self._unhandled, RequestOptions())

    # What is told

    def _tell_change(self, what: tuple[str, ...]) -> None:
        name, arguments = self.dialect.interface_changed(*what)
        self.inform_all(name, *arguments)

    def _sensor_changed(self, name: str, old: Sensor[Any] | None, new: Sensor[Any] | None) -> None:
        if new is not None and new.stale_after is not None:
            self._staleness.look()
        self._changes.note("sensor", name, "added" if old is None else "removed" if new is None else "modified")
