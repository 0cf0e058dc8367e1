"""Open Inference Protocol, version 2, with two faces: REST under /v2, and gRPC.

Both faces translate to the same requests (`messages`), which `service` and `repository` answer.
"""

from flawline.adapters.open_inference.grpc_face import OpenInferenceServicer
from flawline.adapters.open_inference.inference import InferenceLimits, InferenceService
from flawline.adapters.open_inference.repository import RepositoryService
from flawline.adapters.open_inference.rest_body import BodyReader
from flawline.adapters.open_inference.rest_face import OpenInferenceRoutes

__all__ = [
    "BodyReader",
    "InferenceLimits",
    "InferenceService",
    "OpenInferenceRoutes",
    "OpenInferenceServicer",
    "RepositoryService",
]
