"""A device's user: connect, ask, follow. Law: this floor knows nothing of servers but what they send.

``client.py`` is the client of one device, over the parts beside it; what knows sensors and requests stands on top.
"""

__all__: list[str] = []
