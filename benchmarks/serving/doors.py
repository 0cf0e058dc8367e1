"""How each protocol asks and is read: requests as bytes, made before the clock runs, and checks after it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flawline.rpc.open_inference import grpc_service_pb2 as open_inference
from flawline.rpc.v1 import inspection_pb2 as inspection
from serving.detector import Detector

INSPECT = "/flawline.v1.InspectionService/Inspect"
INSPECT_STREAM = "/flawline.v1.InspectionService/InspectStream"
MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"

Count = Callable[[bytes], int]
"""The number of detections in an answer. Raises NotAnAnswer."""


class NotAnAnswer(ValueError):  # noqa: N818 - it says what was found
    """Bytes that are no answer with a verdict."""


@dataclass(frozen=True)
class Door:
    """One way to ask a server.

    transport: http, grpc or stream. target: a path for HTTP, a method for gRPC. model: the name that the Open
    Inference Protocol asks for. body: what is sent: picture; form; instances (KServe's V1); inspect (Flawline's gRPC);
    infer_picture, infer_picture_row (where the first axis is the batch) and infer_images (Open Inference Protocol).
    """

    transport: str
    target: str
    body: str
    model: str = ""


REST = Door("http", "/v1/inspections", "picture")
GRPC = Door("grpc", INSPECT, "inspect")
STREAM = Door("stream", INSPECT_STREAM, "inspect")


def grpc_requests(door: Door, pictures: Sequence[bytes], artifact: Path) -> list[bytes]:
    """The messages of gRPC, one a picture."""
    if door.body == "inspect":
        return [inspection.InspectRequest(picture=p).SerializeToString() for p in pictures]
    return [_infer(door, payload, artifact) for payload in pictures]


def http_requests(door: Door, pictures: Sequence[bytes], artifact: Path, host: str) -> list[bytes]:
    """Whole HTTP/1.1 requests, one a picture."""
    if door.body == "picture":
        return [
            _post(door.target, host, {"Content-Type": "image/jpeg"}, picture)
            for picture in pictures
        ]
    if door.body == "form":
        return [_form(door, host, picture) for picture in pictures]
    if door.body == "instances":
        return [_instances(door, host, picture) for picture in pictures]
    if door.body == "infer_images":
        detector = Detector(artifact, 1)
        return [_infer_rest(door, host, detector.place(picture)[0]) for picture in pictures]
    raise ValueError(f"{door.body} is not asked for over HTTP")


def counts(door: Door, pictures: Sequence[bytes], artifact: Path) -> list[Count]:
    """For each picture, how its answers are read."""
    if door.body == "infer_images":
        detector = Detector(artifact, 1)
        return [_count_raw(door, detector, picture) for picture in pictures]
    if door.body in ("infer_picture", "infer_picture_row"):
        return [_count_inferred] * len(pictures)
    return [
        {"http": _count_json, "grpc": _count_inspection, "stream": _count_stream}[door.transport]
    ] * len(pictures)


def stream_opening() -> bytes:
    """The first message of InspectStream."""
    opening = inspection.StreamOpening()
    encoded: bytes = inspection.InspectStreamRequest(opening=opening).SerializeToString()
    return encoded


def stream_frame(sequence: int, request: bytes) -> bytes:
    """A frame of InspectStream around an encoded InspectRequest, which is not decoded again."""
    # StreamFrame {1: varint sequence, 2: request} in InspectStreamRequest {2: frame}.
    frame = b"\x08" + varint(sequence) + b"\x12" + varint(len(request)) + request
    return b"\x12" + varint(len(frame)) + frame


def varint(number: int) -> bytes:
    """Protocol buffers' variable-length integer."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def _post(path: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body


def _infer(door: Door, picture: bytes, artifact: Path) -> bytes:
    request = open_inference.ModelInferRequest(model_name=door.model)
    if door.body in ("infer_picture", "infer_picture_row"):
        shape = [1] if door.body == "infer_picture" else [1, 1]
        request.inputs.add(name="pictures", datatype="BYTES", shape=shape)
        request.raw_input_contents.append(_element(picture))
    else:
        row, _ = Detector(artifact, 1).place(picture)
        request.inputs.add(name="images", datatype="UINT8", shape=[1, *row.shape])
        request.raw_input_contents.append(row.tobytes())
    encoded: bytes = request.SerializeToString()
    return encoded


def _form(door: Door, host: str, picture: bytes) -> bytes:
    """multipart/form-data with the picture as the one file `pictures`."""
    mark = "----flawline-bench"
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="pictures"; filename="picture.jpg"\r\n'
    )
    body = (
        f"{head}Content-Type: image/jpeg\r\n\r\n".encode()
        + picture
        + f"\r\n--{mark}--\r\n".encode()
    )
    return _post(door.target, host, {"Content-Type": f"multipart/form-data; boundary={mark}"}, body)


def _instances(door: Door, host: str, picture: bytes) -> bytes:
    """What KServe calls its V1 protocol: pictures in JSON, as base64."""
    body = json.dumps({"instances": [{"b64": base64.b64encode(picture).decode()}]}).encode()
    return _post(door.target, host, {"Content-Type": "application/json"}, body)


def _element(content: bytes) -> bytes:
    """One element of a BYTES tensor."""
    return struct.pack("<I", len(content)) + content


def _infer_rest(door: Door, host: str, row: NDArray[np.uint8]) -> bytes:
    """With binary tensors both ways."""
    content = row.tobytes()
    head = {
        "inputs": [
            {
                "name": "images",
                "datatype": "UINT8",
                "shape": [1, *row.shape],
                "parameters": {"binary_data_size": len(content)},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(text)),
    }
    return _post(door.target, host, headers, text + content)


def _count_json(body: bytes) -> int:
    document = json.loads(body)
    if "predictions" in document:
        document = document["predictions"]
    if isinstance(document, list):  # the answers to a batch of one
        (document,) = document
    _require_verdict(document["verdict"], len(document["detections"]))
    return len(document["detections"])


def _count_inspection(body: bytes) -> int:
    return _of_inspection(inspection.InspectResponse.FromString(body).inspection)


def _count_stream(body: bytes) -> int:
    answer = inspection.InspectStreamResponse.FromString(body).answer
    if answer.WhichOneof("outcome") != "inspection":
        raise NotAnAnswer(answer.problem.code)
    return _of_inspection(answer.inspection)


def _of_inspection(found: inspection.Inspection) -> int:
    name = {inspection.VERDICT_OK: "OK", inspection.VERDICT_NOT_OK: "NotOK"}.get(found.verdict, "")
    reasons = " ".join(reason.code for reason in found.reasons)
    _require_verdict(name or f"no verdict {reasons}", len(found.detections))
    return len(found.detections)


def _require_verdict(verdict: str, detections: int) -> None:
    if verdict != ("NotOK" if detections else "OK"):
        raise NotAnAnswer(f"{verdict} with {detections} detections")


def _tensors(response: open_inference.ModelInferResponse) -> dict[str, bytes]:
    raw = list(response.raw_output_contents)
    return {
        output.name: raw[n] if raw else b"".join(_packed(output.contents.bytes_contents))
        for n, output in enumerate(response.outputs)
    }


def _packed(elements: Sequence[bytes]) -> list[bytes]:
    return [_element(element) for element in elements]


def _count_inferred(body: bytes) -> int:
    """Of `pictures`: Flawline's tensors, or the one tensor `answer` (JSON) that our peers give."""
    tensors = _tensors(open_inference.ModelInferResponse.FromString(body))
    if "answer" in tensors:
        return _count_json(tensors["answer"][4:])
    detections = len(tensors["scores"]) // 4
    _require_verdict(tensors["verdict"][4:].decode(), detections)
    return detections


def _count_raw(door: Door, detector: Detector, picture: bytes) -> Count:
    _, letterbox = detector.place(picture)
    classes = len(detector.manifest.labels)

    def count(body: bytes) -> int:
        tensors = _raw_rest(body) if door.transport == "http" else _raw_grpc(body)
        scores = np.frombuffer(tensors["scores"], np.float32).reshape(-1, classes)
        boxes_xyxy = np.frombuffer(tensors["boxes_xyxy"], np.float32).reshape(-1, 4)
        return len(detector.judge(boxes_xyxy, scores, letterbox).detections)

    return count


def _raw_grpc(body: bytes) -> dict[str, bytes]:
    return _tensors(open_inference.ModelInferResponse.FromString(body))


def _raw_rest(body: bytes) -> dict[str, bytes]:
    head, length = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    tensors = {}
    for output in head["outputs"]:
        size = output["parameters"]["binary_data_size"]
        tensors[output["name"]] = body[length : length + size]
        length += size
    return tensors
