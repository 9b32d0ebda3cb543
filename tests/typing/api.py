"""How users call the public interface; this file is checked by mypy and never run."""

import katcp_aio

module_name: str = katcp_aio.__name__
