"""Run inside the image by docker/prove: one frame over gRPC, with the token; the verdict is printed."""

from pathlib import Path

import grpc

from flawline.rpc.v1 import inspection_pb2 as pb
from flawline.rpc.v1 import inspection_pb2_grpc as pb_grpc

token = Path("/in/token").read_text()
picture = Path("/in/frames/images/steel_000001.png").read_bytes()
with grpc.insecure_channel("127.0.0.1:18081") as channel:
    answer = pb_grpc.InspectionServiceStub(channel).Inspect(
        pb.InspectRequest(picture=picture),
        metadata=[("authorization", f"Bearer {token}")],
        timeout=30,
    )
verdict = pb.Verdict.Name(answer.inspection.verdict)
print("over gRPC:", verdict)
assert verdict in ("VERDICT_OK", "VERDICT_NOT_OK"), verdict
