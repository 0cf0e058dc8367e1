"""The plain handler that most would write: FastAPI on uvicorn, ONNX Runtime in the thread pool, no batching."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from serving.detector import detector_of_environment

app = FastAPI()
detector = detector_of_environment()


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Once imported, it is."""
    return {"ready": True}


@app.post("/inspect")
async def inspect(request: Request) -> Response:
    """One picture as the body; waiting for the network does not block the event loop."""
    picture = await request.body()
    (answer,) = await run_in_threadpool(detector.inspect_to_json, [picture])
    return Response(answer, media_type="application/json")
