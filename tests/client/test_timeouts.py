"""The timeout that a caller did not give."""

import inspect

from katcp_aio import Client


def test_help_shows_the_usual_timeout_by_a_name():
    assert "timeout: 'float | Default | None' = DEFAULT" in str(inspect.signature(Client.request))
