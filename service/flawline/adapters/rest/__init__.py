"""HTTP: pictures in, one small answer out, at once or later; errors as RFC 9457 problem details."""

from flawline.adapters.rest.app import create_app
from flawline.adapters.rest.body import BodyLimits
from flawline.adapters.rest.schemas import InspectionAnswer

__all__ = ["BodyLimits", "InspectionAnswer", "create_app"]
