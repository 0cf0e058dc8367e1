"""gRPC: InspectionService, health (Check and Watch) and reflection on one asyncio server."""

from flawline.adapters.grpc_api.server import GrpcServer

__all__ = ["GrpcServer"]
