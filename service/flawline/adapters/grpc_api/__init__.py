"""gRPC: InspectionService, health (Check and Watch) and reflection on one asyncio server."""

from flawline.adapters.grpc_api.lock import authorization_of
from flawline.adapters.grpc_api.server import GrpcServer
from flawline.adapters.grpc_api.streaming import StreamLimits

__all__ = ["GrpcServer", "StreamLimits", "authorization_of"]
