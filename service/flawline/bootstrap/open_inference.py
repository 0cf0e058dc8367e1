"""The Open Inference Protocol's two faces on the service."""

from __future__ import annotations

from dataclasses import dataclass

from flawline.adapters.grpc_api import authorization_of
from flawline.adapters.open_inference import (
    BodyReader,
    InferenceLimits,
    InferenceService,
    OpenInferenceRoutes,
    OpenInferenceServicer,
    RepositoryService,
)
from flawline.application.request_room import RequestRoom
from flawline.bootstrap.service import Service
from flawline.core.lock import Lock
from flawline.settings import FlawlineSettings


@dataclass(frozen=True, slots=True)
class OpenInference:
    """One face for the HTTP port, one for the gRPC port."""

    routes: OpenInferenceRoutes
    servicer: OpenInferenceServicer

    @classmethod
    def of(
        cls, settings: FlawlineSettings, service: Service, lock: Lock, room: RequestRoom
    ) -> OpenInference:
        """Both ask the same service; raw tensors are for where the engine is in this process.

        room: for the bodies of all that is served over HTTP.
        """
        inference = InferenceService(
            service.inspector,
            service.raw,
            InferenceLimits(
                max_request_bytes=settings.max_inference_bytes,
                max_pictures=settings.max_inference_pictures,
                deadline_ms=settings.deadline_ms,
            ),
        )
        repository = RepositoryService(service.models, with_raw=service.raw is not None)
        bodies = BodyReader(service.inspector, room, settings.body_timeout_s)
        return cls(
            OpenInferenceRoutes(inference, repository, service.statistics, bodies),
            OpenInferenceServicer(
                inference,
                repository,
                service.statistics,
                lambda metadata: lock.caller_of(authorization_of(metadata)),
            ),
        )
