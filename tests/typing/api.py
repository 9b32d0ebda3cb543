"""How users call the public interface; this file is checked by mypy and never run."""

import katcp_aio

module_name: str = katcp_aio.__name__
katcp_aio.Servant  # type: ignore[attr-defined]  # noqa: B018 - a name that there is not is an error to a type checker
