"""Devices and clients for KATCP, the protocol by which radio telescopes monitor and control their instruments.

A device is a class derived from :class:`DeviceServer`; a client is a :class:`Client`, or a :class:`DeviceClient`, which
knows the device's requests and sensors. Law: each name here is taken from the one module that is its home.

What both are made of is imported at once. What one of them alone needs is imported when its name is first asked for, as
by ``from katcp_aio import Client``: a client does not wait for a server's modules, nor a device for a client's.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import version as _version
from .clock import Clock
from .connection import Connection
from .errors import (
    ConnectionLost,
    FailReply,
    GroupError,
    InvalidReply,
    KatcpError,
    LineTooLong,
    MalformedMessage,
    NotConnected,
    ProtocolError,
    ReplyTooLong,
    RequestError,
    RequestTimeout,
    UnsupportedProtocol,
    UsageError,
)
from .limits import Limits
from .model.aggregate import AggregateSensor
from .model.health import DeviceStatus, device_status, device_status_from
from .model.reading import Reading, Status
from .model.reporting import Strategy
from .model.sensor import Sensor
from .model.sensorset import SensorSet
from .model.strategies import StrategyParams, StrategyRegistry, register_strategy
from .model.tallies import Tally
from .model.tree import SensorTree
from .wire.datatypes import Address, Lru, Now, Range, Timestamp, TimestampOrNow
from .wire.dialect import Dialect
from .wire.message import Message, MessageType
from .wire.parser import MessageParser
from .wire.values import TypeRegistry, register_type

if TYPE_CHECKING:  # what is in _HOMES, for type checkers and editors
    from .client.backoff import Backoff
    from .client.client import Client
    from .client.device import DeviceClient
    from .client.group import DeviceGroup
    from .client.inventory import Changes
    from .client.metrics import metrics_text
    from .client.mirror import SensorMirror
    from .client.proxy import RequestProxy
    from .client.recorder import SensorRecorder
    from .client.remote_sensor import RemoteSensor
    from .client.replies import Reply
    from .client.results import GroupResults, Retry
    from .client.sideport import download, upload
    from .client.sinks import CsvSink, InfluxSink, Recorded, Sink, SqliteSink
    from .client.states import State
    from .client.stream import InformStream
    from .server.access import ADMINISTRATIVE, OPEN_ACCESS, READ_ONLY, Access, AccessRule, Permission
    from .server.audit import Audit, AuditRecord, log_audit
    from .server.context import RequestContext
    from .server.device import DeviceServer
    from .server.handlers import request
    from .server.logs import KatcpLogHandler, LogLevel
    from .server.metadata import MetadataRequests
    from .server.runner import run
    from .server.session import ClientConnection
    from .server.timesync import TimeSync

__all__ = [
    "ADMINISTRATIVE",
    "OPEN_ACCESS",
    "READ_ONLY",
    "Access",
    "AccessRule",
    "Address",
    "AggregateSensor",
    "Audit",
    "AuditRecord",
    "Backoff",
    "Changes",
    "Client",
    "ClientConnection",
    "Clock",
    "Connection",
    "ConnectionLost",
    "CsvSink",
    "DeviceClient",
    "DeviceGroup",
    "DeviceServer",
    "DeviceStatus",
    "Dialect",
    "FailReply",
    "GroupError",
    "GroupResults",
    "InfluxSink",
    "InformStream",
    "InvalidReply",
    "KatcpError",
    "KatcpLogHandler",
    "Limits",
    "LineTooLong",
    "LogLevel",
    "Lru",
    "MalformedMessage",
    "Message",
    "MessageParser",
    "MessageType",
    "MetadataRequests",
    "NotConnected",
    "Now",
    "Permission",
    "ProtocolError",
    "Range",
    "Reading",
    "Recorded",
    "RemoteSensor",
    "Reply",
    "ReplyTooLong",
    "RequestContext",
    "RequestError",
    "RequestProxy",
    "RequestTimeout",
    "Retry",
    "Sensor",
    "SensorMirror",
    "SensorRecorder",
    "SensorSet",
    "SensorTree",
    "Sink",
    "SqliteSink",
    "State",
    "Status",
    "Strategy",
    "StrategyParams",
    "StrategyRegistry",
    "Tally",
    "TimeSync",
    "Timestamp",
    "TimestampOrNow",
    "TypeRegistry",
    "UnsupportedProtocol",
    "UsageError",
    "device_status",
    "device_status_from",
    "download",
    "log_audit",
    "metrics_text",
    "register_strategy",
    "register_type",
    "request",
    "run",
    "upload",
]

__version__: str  #: as installed

# What is imported when it is asked for, and the module that it comes from.
_HOMES = {
    "ADMINISTRATIVE": "server.access",
    "OPEN_ACCESS": "server.access",
    "READ_ONLY": "server.access",
    "Access": "server.access",
    "AccessRule": "server.access",
    "Audit": "server.audit",
    "AuditRecord": "server.audit",
    "Backoff": "client.backoff",
    "Changes": "client.inventory",
    "Client": "client.client",
    "ClientConnection": "server.session",
    "CsvSink": "client.sinks",
    "DeviceClient": "client.device",
    "DeviceGroup": "client.group",
    "DeviceServer": "server.device",
    "GroupResults": "client.results",
    "InfluxSink": "client.sinks",
    "InformStream": "client.stream",
    "KatcpLogHandler": "server.logs",
    "LogLevel": "server.logs",
    "MetadataRequests": "server.metadata",
    "Permission": "server.access",
    "Recorded": "client.sinks",
    "RemoteSensor": "client.remote_sensor",
    "Reply": "client.replies",
    "RequestContext": "server.context",
    "RequestProxy": "client.proxy",
    "Retry": "client.results",
    "SensorMirror": "client.mirror",
    "SensorRecorder": "client.recorder",
    "Sink": "client.sinks",
    "SqliteSink": "client.sinks",
    "State": "client.states",
    "TimeSync": "server.timesync",
    "download": "client.sideport",
    "log_audit": "server.audit",
    "metrics_text": "client.metrics",
    "request": "server.handlers",
    "run": "server.runner",
    "upload": "client.sideport",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# Not for type checkers: to one that saw this function, a name that is misspelt would be one that it finds.
if not TYPE_CHECKING:  # pragma: no branch - always so where it runs

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return _version.library_version()
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value  # from now on it is found without being asked for here
