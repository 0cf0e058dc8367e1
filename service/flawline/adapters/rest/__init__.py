"""HTTP: a raw picture in, one small answer out; errors as RFC 9457 problem details."""

from flawline.adapters.rest.app import create_app
from flawline.adapters.rest.schemas import InspectionAnswer

__all__ = ["InspectionAnswer", "create_app"]
