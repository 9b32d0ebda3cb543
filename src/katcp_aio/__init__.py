"""Devices and clients for KATCP, the line-based monitor-and-control protocol of radio telescopes, on asyncio."""
