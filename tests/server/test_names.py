import time

import pytest

from katcp_aio import DeviceServer, UsageError


@pytest.mark.parametrize(
    "name",
    ["sensors", "log", "limits", "clock", "handlers", "types", "running", "clients", "address", "addresses", "start"],
)
def test_an_author_who_takes_a_name_of_the_servers_is_told_so(device_class, name):
    class Pump(device_class):
        def __init__(self):
            super().__init__()
            setattr(self, name, 1.5)

    with pytest.raises(UsageError, match=rf"Pump\.{name}: the server has an attribute of that name itself"):
        Pump()


@pytest.mark.parametrize("name", ["sensors", "log", "loop", "debug", "versions", "clients"])
def test_also_in_the_class(device_class, name):
    with pytest.raises(UsageError, match=rf"Pump\.{name}"):
        type("Pump", (device_class,), {name: lambda self: None})


def test_also_in_a_mix_in(device_class):
    class Logging:
        log = print

    with pytest.raises(UsageError, match=r"Logging\.log"):
        type("Pump", (Logging, device_class), {})
    type("Pump", (device_class, Logging), {})  # which the server's own come before


def test_a_method_is_overridden_by_what_can_be_called_only(device_class):
    with pytest.raises(UsageError, match=r"Pump\.stop"):
        type("Pump", (device_class,), {"stop": time.time()})

    class Pump(device_class):
        request_halt = None

        async def stop(self, timeout=None):
            await super().stop(timeout)

        @property
        def clients(self):
            return super().clients

    told = []
    device = Pump()
    device.inform_all = lambda *what: told.append(what)  # as a test may do
    device.inform_all("news", 1)
    assert told == [("news", 1)]


def test_what_may_be_set_can_be_set(device_class):
    device = device_class()
    device.logger = device.debug = device.serial = device.access = None
    device.versions = {"firmware": ("1", "1.0")}
    device.mode = device.pressure = 1  # and all that is not the server's
    assert device.mode == 1


def test_a_property_of_the_authors_own_keeps_its_setter(device_class):
    class Pump(device_class):
        speed_in_force = 0

        @property
        def speed(self):
            return self.speed_in_force

        @speed.setter
        def speed(self, value):
            self.speed_in_force = value

    device = Pump()
    device.speed = 3
    assert device.speed_in_force == 3


def test_no_attribute_that_the_server_sets_is_forgotten():
    class Device(DeviceServer):
        VERSION = BUILD_STATE = "device-1.0"

    for name in vars(Device()):
        if not name.startswith("_"):
            with pytest.raises(UsageError):
                type("Pump", (Device,), {name: None})
