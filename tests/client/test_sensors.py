"""The table of a device's sensors, without a device."""

import gc
import weakref

from katcp_aio.client.inventory import SensorInfo
from katcp_aio.client.sensors import SensorTable
from katcp_aio.wire.dialect import V51

__all__ = []


def test_a_device_that_changes_its_options_for_ever_costs_no_memory_for_ever():
    table = SensorTable(None, V51, None)
    first = None
    for number in range(2000):
        table.put(SensorInfo("mode", "", "", "discrete", (b"idle", b"busy-%d" % number)))
        first = first or weakref.ref(table.by_name["mode"].type)
    gc.collect()
    assert first() is None
