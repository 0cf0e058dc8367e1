"""Where concrete classes meet: settings in, running parts out.

Starting and stopping stand here in their order, and nowhere else.
"""

from flawline.bootstrap.door import Door
from flawline.bootstrap.service import Service, build_service
from flawline.bootstrap.serving import Running, running, serve
from flawline.bootstrap.starting import StartupError
from flawline.bootstrap.working import work

__all__ = [
    "Door",
    "Running",
    "Service",
    "StartupError",
    "build_service",
    "running",
    "serve",
    "work",
]
