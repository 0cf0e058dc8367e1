from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest
from fakes import settle
from open_inference_bench import MAX_REQUEST_BYTES, OpenInferenceBench
from rest_app import app_of
from scripted_inspector import NOT_OK, OK, TOO_LATE, ScriptedInspector
from tiny_artifact import boxes_and_scores

from flawline.application.inspector import InspectionRequest, Readiness
from flawline.application.request import checked_idempotency_key
from flawline.core.errors import BadPicture, InvalidRequest, NotReady, QueueFull, UnknownRecipe
from flawline.core.model_errors import ModelControlOff, ModelIsStable, UnknownModel
from flawline.core.values import Inspection

INFER = "/v2/models/tiny/infer"
RAW = "/v2/models/tiny_raw/infer"
LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
async def client(bench: OpenInferenceBench) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app_of(bench.inspector, routers=[bench.routes().router]))
    async with httpx.AsyncClient(transport=transport, base_url="http://flawline") as client:
        yield client


def text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def packed(*elements: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def pictures(*data: bytes, **fields: object) -> dict:
    """A request in JSON."""
    tensor = {"name": "pictures", "datatype": "BYTES", "shape": [len(data)]}
    return {"inputs": [tensor | {"data": [text(picture) for picture in data]}], **fields}


def binary(document: dict, *tensors: bytes) -> dict:
    """A request with binary tensors behind the JSON, as httpx takes it."""
    content = json.dumps(document).encode()
    return {"content": content + b"".join(tensors), "headers": {LENGTH: str(len(content))}}


def parted(response: httpx.Response) -> tuple[dict, list[bytes]]:
    """A binary answer: its JSON, and its tensors."""
    assert response.status_code == 200, response.text
    length = int(response.headers[LENGTH])
    document, tail = json.loads(response.content[:length]), response.content[length:]
    tensors = []
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        tensors.append(tail[:size])
        tail = tail[size:]
    assert tail == b""
    return document, tensors


def fault(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]


async def test_server_and_health(client: httpx.AsyncClient, inspector: ScriptedInspector) -> None:
    server = (await client.get("/v2")).json()
    assert server["name"] == "flawline"
    assert {"binary_tensor_data", "statistics", "model_repository"} <= set(server["extensions"])
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    assert (await client.get("/v2/models/tiny/ready")).json() == {"name": "tiny", "ready": True}
    inspector.ready = Readiness(ready=False, reason="draining")
    for path in ("/v2/health/ready", "/v2/models/tiny/versions/1.2.3/ready"):
        response = await client.get(path)
        assert (response.status_code, response.json()["ready"]) == (503, False)


async def test_an_artifact_shows_as_two_models(client: httpx.AsyncClient) -> None:
    metadata = (await client.get("/v2/models/tiny")).json()
    assert metadata == (await client.get("/v2/models/tiny/versions/1.2.3")).json()
    assert metadata["versions"] == ["1.2.3"]
    assert metadata["inputs"] == [{"name": "pictures", "datatype": "BYTES", "shape": [-1]}]
    assert [(o["name"], o["datatype"], o["shape"]) for o in metadata["outputs"]] == [
        ("boxes", "FP32", [-1, 4]),
        ("scores", "FP32", [-1]),
        ("image_index", "INT32", [-1]),
        ("classes", "BYTES", [-1]),
        ("verdict", "BYTES", [-1]),
    ]
    raw = (await client.get("/v2/models/tiny_raw")).json()
    assert raw["platform"] == "onnx_onnxv1"
    assert raw["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 64, 64]}]
    assert [(o["name"], o["shape"]) for o in raw["outputs"]] == [
        ("boxes_xyxy", [-1, -1, 4]),
        ("scores", [-1, -1, 2]),
    ]
    config = (await client.get("/v2/models/tiny_raw/config")).json()
    assert config["max_batch_size"] == 4
    assert config["input"] == [{"name": "images", "data_type": "TYPE_UINT8", "dims": [1, 64, 64]}]
    config = (await client.get("/v2/models/tiny/versions/1.2.3/config")).json()
    assert (config["max_batch_size"], config["input"][0]["dims"]) == (0, [-1])


@pytest.mark.parametrize(
    "path", ["", "/ready", "/config", "/stats", "/versions/9", "/versions/9/stats"]
)
async def test_unknown_models_and_versions_are_not_found(
    client: httpx.AsyncClient, path: str
) -> None:
    name = "tiny" if "versions" in path else "ti%0Any"
    error = fault(await client.get(f"/v2/models/{name}{path}"), 404)
    assert "tiny" in error


async def test_pictures_in_json_are_inspected_one_by_one(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    parameters = {
        "line": "press-2",
        "part_id": "SN 1",
        "recipe": "default",
        "min_score": 0.25,
        "priority": 2,
        "timeout": 70_500,
    }
    answers = iter([NOT_OK, OK, NOT_OK])

    async def answer(request: InspectionRequest) -> Inspection:
        return next(answers)

    inspector.outcome = answer
    body = pictures(b"\x00one", b"two", b"three", id="4711", parameters=parameters)
    headers = {"traceparent": "trace", "idempotency-key": "k" * 255}
    response = await client.post(INFER, json=body, headers=headers)
    assert response.status_code == 200
    document = response.json()
    assert (document["model_name"], document["model_version"]) == ("tiny", "1.2.3")
    assert document["id"] == "4711"
    assert "parameters" not in document
    outputs = {output["name"]: output for output in document["outputs"]}
    assert outputs["boxes"]["shape"] == [4, 4]
    assert outputs["boxes"]["data"] == [1.5, 2.0, 30.25, 40.0, 0.0, 0.0, 10.0, 12.0] * 2
    assert outputs["scores"]["data"] == [0.875, 0.5] * 2
    assert outputs["image_index"] == {
        "name": "image_index",
        "datatype": "INT32",
        "shape": [4],
        "data": [0, 0, 2, 2],
    }
    assert outputs["classes"]["data"] == ["scratches", "patches"] * 2
    assert outputs["verdict"]["data"] == ["NotOK", "OK", "NotOK"]
    assert [r.picture for r in inspector.requests] == [b"\x00one", b"two", b"three"]
    keys = {r.idempotency_key for r in inspector.requests}
    assert len(keys) == 3
    assert all(checked_idempotency_key(key) for key in keys)
    for request in inspector.requests:
        assert (request.line, request.part_id, request.recipe) == ("press-2", "SN 1", "default")
        assert (request.min_score, request.deadline_ms) == (0.25, 70)
        assert (request.priority, request.traceparent) == ("reinspection", "trace")
        assert (request.model, request.model_version) == ("tiny", None)


async def test_a_parameter_in_the_query_is_not_passed_over(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    refused = await client.post(f"{INFER}?trace=1&min_score=0.3", json=pictures(b"1"))
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("Give min_score among the request's `parameters`")
    assert (await client.post(f"{INFER}?trace=1", json=pictures(b"1"))).status_code == 200
    assert len(inspector.requests) == 1


async def test_pictures_of_one_request_are_inspected_at_the_same_time(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    everybody = asyncio.Event()

    async def answer(request: InspectionRequest) -> Inspection:
        if len(inspector.requests) == 3:
            everybody.set()
        await everybody.wait()
        return OK

    inspector.outcome = answer
    response = await client.post(INFER, json=pictures(b"1", b"2", b"3"))
    assert response.status_code == 200


async def test_binary_tensors_both_ways(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    elements = packed(b"\xff\xd8one", b"")
    document = pictures(parameters={"binary_data_output": True})
    document["inputs"][0] |= {"shape": [2], "parameters": {"binary_data_size": len(elements)}}
    del document["inputs"][0]["data"]
    url = "/v2/models/tiny/versions/1.2.3/infer"
    response = await client.post(url, **binary(document, elements))
    answer, tensors = parted(response)
    assert "id" not in answer
    assert [r.picture for r in inspector.requests] == [b"\xff\xd8one", b""]
    assert [r.model_version for r in inspector.requests] == ["1.2.3"] * 2
    boxes, scores, index, classes, verdict = tensors
    assert np.frombuffer(boxes, "<f4").reshape(-1, 4)[1].tolist() == [0.0, 0.0, 10.0, 12.0]
    assert np.frombuffer(scores, "<f4").tolist() == [0.875, 0.5] * 2
    assert np.frombuffer(index, "<i4").tolist() == [0, 0, 1, 1]
    assert classes == packed(b"scratches", b"patches") * 2
    assert verdict == packed(b"NotOK", b"NotOK")


async def test_an_output_is_spelled_as_it_was_asked_for(client: httpx.AsyncClient) -> None:
    wishes = [
        {"name": "verdict", "parameters": {"binary_data": False}},
        {"name": "scores"},
    ]
    body = pictures(b"1", outputs=wishes, parameters={"binary_data_output": True})
    response = await client.post(INFER, json=body)
    length = int(response.headers[LENGTH])
    verdict, scores = json.loads(response.content[:length])["outputs"]
    assert verdict["data"] == ["NotOK"]
    assert (scores["name"], scores["parameters"]["binary_data_size"]) == ("scores", 8)


async def test_no_flaws_give_empty_tensors(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    inspector.outcome = OK
    response = await client.post(INFER, json=pictures(b"1"))
    boxes, scores = response.json()["outputs"][:2]
    assert (boxes["shape"], boxes["data"]) == ([0, 4], [])
    assert (scores["shape"], scores["data"]) == ([0], [])


@pytest.mark.parametrize("media_type", ["image/jpeg", "application/x-www-form-urlencoded"])
async def test_a_bare_picture_is_a_whole_request(
    client: httpx.AsyncClient, inspector: ScriptedInspector, media_type: str
) -> None:
    headers = {LENGTH: "0", "content-type": media_type}
    answer, tensors = parted(await client.post(INFER, content=b"\xff\xd8jpeg", headers=headers))
    assert inspector.requests[0].picture == b"\xff\xd8jpeg"
    assert answer["outputs"][-1]["shape"] == [1]
    assert tensors[-1] == packed(b"NotOK")


async def test_the_network_itself(client: httpx.AsyncClient, bench: OpenInferenceBench) -> None:
    images = np.random.default_rng(3).integers(0, 256, (3, 1, 64, 64), dtype=np.uint8)
    expected = boxes_and_scores(images)
    tensor = {"name": "images", "datatype": "UINT8", "shape": [3, 1, 64, 64]}
    as_json = {"inputs": [tensor | {"data": images.tolist()}]}
    response = await client.post(RAW, json=as_json)
    boxes, scores = response.json()["outputs"]
    assert (boxes["name"], boxes["shape"]) == ("boxes_xyxy", [3, 4, 4])
    assert np.array(boxes["data"], np.float32).tolist() == expected.boxes_xyxy.ravel().tolist()
    assert scores["shape"] == [3, 4, 2]
    bare = await client.post(RAW, content=images.tobytes(), headers={LENGTH: "0"})
    answer, tensors = parted(bare)
    assert answer["model_name"] == "tiny_raw"
    assert tensors == [expected.boxes_xyxy.tobytes(), expected.scores.tobytes()]
    assert bench.engine.sizes == [3, 3]


async def test_raw_requests_have_limits_and_deadlines(
    client: httpx.AsyncClient, bench: OpenInferenceBench
) -> None:
    def ask(count: int, **headers: str) -> asyncio.Task[httpx.Response]:
        content = bytes(count * 64 * 64)
        return asyncio.create_task(
            client.post(RAW, content=content, headers={LENGTH: "0", **headers})
        )

    assert "1 to 4" in fault(await ask(5), 400)
    bench.engine.hold()
    first, second = ask(4), ask(4)
    await settle()
    assert bench.engine.sizes == [4]
    busy = await ask(1)
    assert "queue is full" in fault(busy, 429)
    assert int(busy.headers["retry-after"]) >= 1
    bench.clock.advance(1.0)
    for late in (await first, await second):
        assert "deadline" in fault(late, 503)
        assert late.json()["verdict"] == "Undefined"
    bench.engine.release()
    bench.engine.fails_on = lambda image: True
    error = fault(await ask(1), 503)
    assert "error id" in error
    assert "secret" not in error
    assert bench.work.count == 0


@pytest.mark.parametrize(
    ("other", "status"), [(QueueFull(1.0), 429), (None, 503), (OSError(), 400)]
)
async def test_a_bad_picture_does_not_tell_that_the_others_are_no_use(
    client: httpx.AsyncClient,
    inspector: ScriptedInspector,
    other: Exception | None,
    status: int,
) -> None:
    async def answer(request: InspectionRequest) -> Inspection:
        if request.picture == b"bad":
            raise BadPicture("corrupt_picture", "The picture is cut off.")
        if other is not None:
            raise other
        return TOO_LATE

    inspector.outcome = answer
    response = await client.post(INFER, json=pictures(b"bad", b"good"))
    assert response.status_code == status
    assert ("Retry-After" in response.headers) is (status != 400)


async def test_one_picture_without_a_verdict_leaves_the_others_theirs(
    client: httpx.AsyncClient, inspector: ScriptedInspector
) -> None:
    async def answer(request: InspectionRequest) -> Inspection:
        if request.picture == b"bad":
            raise BadPicture("corrupt_picture", "The picture is cut off.")
        if request.picture == b"boom":
            raise RuntimeError("secret")
        return TOO_LATE if request.picture == b"late" else NOT_OK

    inspector.outcome = answer
    response = await client.post(INFER, json=pictures(b"bad", b"good", b"late", b"boom"))
    assert response.status_code == 200
    document = response.json()
    assert document["outputs"][-1]["data"] == ["Undefined", "NotOK", "Undefined", "Undefined"]
    assert document["outputs"][2]["data"] == [1, 1]
    said = document["parameters"]
    assert said["undefined_0"] == "corrupt_picture: The picture is cut off."
    assert said["undefined_2"] == "deadline: No verdict within 5 ms."
    assert "secret" not in said["undefined_3"]
    assert set(said) == {"undefined_0", "undefined_2", "undefined_3"}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (BadPicture("unsupported_picture", "This is no picture."), 400),
        (InvalidRequest("line", "line must be short."), 400),
        (InvalidRequest("deadline_ms", "deadline_ms must be from 1 to 60000."), 400),
        (UnknownRecipe("x", ["default"]), 404),
        (UnknownModel("tiny", "1", ["other"]), 404),
        (QueueFull(1.5), 429),
        (NotReady("draining", 2.0), 503),
        (TOO_LATE, 503),
    ],
)
async def test_what_an_inspection_says_gets_its_status(
    client: httpx.AsyncClient, inspector: ScriptedInspector, outcome: object, status: int
) -> None:
    inspector.outcome = outcome
    response = await client.post(INFER, json=pictures(b"1", b"2"))
    error = fault(response, status)
    if outcome is not TOO_LATE:
        assert str(outcome) in error
    assert ("retry-after" in response.headers) == (status in (429, 503))
    assert (response.headers.get("connection") == "close") == isinstance(outcome, NotReady)


async def test_unexpected_errors_show_an_id_and_no_more(
    client: httpx.AsyncClient, bench: OpenInferenceBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*arguments: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(bench.inference, "find", breaks)
    error = fault(await client.get("/v2/models/tiny"), 500)
    assert "under the id" in error
    assert "secret" not in error


def changed(**changes: object) -> dict:
    """A good request whose input is changed."""
    body = pictures(b"1")
    body["inputs"][0] |= changes
    return {"json": body}


def without(field: str) -> dict:
    body = pictures(b"1")
    del body["inputs"][0][field]
    return {"json": body}


SIZED = {"parameters": {"binary_data_size": 5}}
BAD = {
    "datatype": (changed(datatype="FP32"), "datatype BYTES"),
    "no datatype": (without("datatype"), "datatype of input 'pictures'"),
    "rank": (changed(shape=[1, 1]), "shape [-1]"),
    "no pictures": ({"json": pictures()}, "above 0"),
    "more than shape": (changed(shape=[2]), "has 1 elements, but its shape asks for 2"),
    "negative": (changed(shape=[-1]), "array of sizes"),
    "fraction": (changed(shape=[1.0]), "array of sizes"),
    "boolean": (changed(shape=[True]), "array of sizes"),
    "too many by its shape": (changed(shape=[10**18]), "16 are allowed"),
    "beyond 64 bits": (changed(shape=[10**4200]), "array of sizes"),
    "no shape": (without("shape"), "array of sizes"),
    "no data": (without("data"), "either data or"),
    "both": (changed(**SIZED), "either data or"),
    "not base64": (changed(data=["%"]), "base64"),
    "number": (changed(data=[7]), "base64"),
    "no array": (changed(data="abc"), "must be an array"),
    "deep": (changed(data=[[[[[[[[[[1]]]]]]]]]]), "nested too deep"),
    "unknown input": (changed(name="images"), "takes one input, 'pictures'"),
    "no inputs": ({"json": {}}, "has none"),
    "inputs no array": ({"json": {"inputs": {}}}, "array of objects"),
    "unknown output": ({"json": pictures(b"1", outputs=[{"name": "x"}])}, "no output 'x'"),
    "twice": ({"json": pictures(b"1", outputs=[{"name": "scores"}] * 2)}, "once"),
    "id": ({"json": pictures(b"1", id=7)}, "id must be text"),
    "parameter": ({"json": pictures(b"1", parameters={"min_scor": 1})}, "did you mean 'min_score'"),
    "timeout": ({"json": pictures(b"1", parameters={"timeout": "1s"})}, "microseconds"),
    "priority": ({"json": pictures(b"1", parameters={"priority": 4})}, "1 (inline)"),
    "min_score": ({"json": pictures(b"1", parameters={"min_score": "low"})}, "number from 0 to 1"),
    "long min_score": (
        {"json": pictures(b"1", parameters={"min_score": 10**400})},
        "number from 0 to 1",
    ),
    "line": ({"json": pictures(b"1", parameters={"line": 7})}, "must be text"),
    "nested parameter": ({"json": pictures(b"1", parameters={"line": []})}, "must be text"),
    "flag": ({"json": pictures(b"1", parameters={"binary_data_output": 1})}, "true or false"),
    "shared memory": (
        changed(parameters={"shared_memory_region": "r"}),
        "not served",
    ),
    "too many": ({"json": pictures(*[b"1"] * 17)}, "16 are allowed"),
    # What follows the one too many is not looked at: it may be millions of empty ones.
    "one too many": (
        binary(
            {
                "inputs": [
                    {
                        "name": "pictures",
                        "datatype": "BYTES",
                        "shape": [1],
                        "parameters": {"binary_data_size": 10},
                    }
                ]
            },
            packed(b"", b"") + b"\xff\xff",
        ),
        "2 or more elements",
    ),
    "no JSON": ({"content": b"\xff\xd8jpeg"}, f"announced by {LENGTH}"),
    "NaN": ({"content": b'{"inputs": NaN}'}, "must be JSON"),
    "key twice": (
        {"content": b'{"inputs": [{"name": "a", "n\\u0061me": "b"}]}'},
        "once; repeated: 'name'",
    ),
    "brackets": ({"content": b"[" * 200_000}, "must be JSON"),
    "array": ({"content": b"[]"}, "JSON object"),
    "many values": ({"content": b"[" + b"1," * 60_000 + b"1]"}, "more values"),
    "two keys": (
        {"json": pictures(b"1"), "headers": [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]},
        "one Idempotency-Key",
    ),
    "key too long": (
        {"json": pictures(b"1", b"2"), "headers": {"Idempotency-Key": "k" * 256}},
        "1 to 255 printable",
    ),
    "length too long": ({"content": b"{}", "headers": {LENGTH: "3"}}, "has 2 bytes"),
    "length no number": ({"content": b"{}", "headers": {LENGTH: "-1"}}, "number of bytes"),
    "size too long": (
        binary({"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], **SIZED}]}),
        "0 bytes are left",
    ),
    "left over": (
        binary(
            {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], **SIZED}]},
            packed(b"1"),
            b"more",
        ),
        "4 bytes are left over",
    ),
    "element too long": (
        binary(
            {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], **SIZED}]},
            struct.pack("<I", 2) + b"1",
        ),
        "ends within an element",
    ),
    "element without length": (
        binary(
            {
                "inputs": [
                    {"name": "pictures", "datatype": "BYTES", "shape": [2], **SIZED},
                ]
            },
            struct.pack("<I", 0) + b"\0",
        ),
        "ends within the length",
    ),
}


@pytest.mark.parametrize(("request_fields", "says"), BAD.values(), ids=BAD.keys())
async def test_bad_requests_are_named(
    client: httpx.AsyncClient, inspector: ScriptedInspector, request_fields: dict, says: str
) -> None:
    error = fault(await client.post(INFER, **request_fields), 400)
    assert says in error
    assert len(error) < 500
    assert inspector.requests == []
    assert inspector.refusals == ["invalid_request"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shape": [1, 64, 64]}, "[-1, 1, 64, 64]"),
        ({"shape": [1, 1, 64, 32]}, "[-1, 1, 64, 64]"),
        ({"shape": [0, 1, 64, 64], "data": []}, "above 0"),
        ({"datatype": "FP32"}, "UINT8"),
        ({"data": [0] * 4095}, "4095 elements"),
        ({"data": [0] * 4095 + [256]}, "from 0 to 255"),
        ({"data": [0] * 4095 + [0.5]}, "whole numbers"),
        ({"data": [0] * 4095 + [True]}, "whole numbers"),
        ({"data": [0] * 4095 + ["1"]}, "whole numbers"),
    ],
)
async def test_bad_raw_requests_are_named(
    client: httpx.AsyncClient, bench: OpenInferenceBench, changes: dict, says: str
) -> None:
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 64, 64], "data": [0] * 4096}
    error = fault(await client.post(RAW, json={"inputs": [tensor | changes]}), 400)
    assert says in error
    assert bench.engine.sizes == []


@pytest.mark.parametrize("count", [0, 4095, 4097])
async def test_a_bare_tensor_of_the_wrong_length_is_refused(
    client: httpx.AsyncClient, count: int
) -> None:
    response = await client.post(RAW, content=bytes(count), headers={LENGTH: "0"})
    assert "images" in fault(response, 400)


@pytest.mark.parametrize("length", ["-1", "1.5", "", "\u00b2", "0" * 19, "1" * 5000])
async def test_a_json_length_that_is_none_is_named(client: httpx.AsyncClient, length: str) -> None:
    headers = {LENGTH: length.encode("latin-1")}
    response = await client.post(INFER, content=b"{}", headers=headers)
    assert LENGTH in fault(response, 400)


async def test_bodies_are_bounded(client: httpx.AsyncClient, inspector: ScriptedInspector) -> None:
    async def too_much() -> AsyncIterator[bytes]:
        for _ in range(MAX_REQUEST_BYTES // (1 << 20) + 1):
            yield bytes(1 << 20)

    async def too_slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert "larger" in fault(await client.post(INFER, content=bytes(MAX_REQUEST_BYTES + 1)), 413)
    assert "larger" in fault(await client.post(INFER, content=too_much()), 413)
    packed_body = {"content": b"x", "headers": {"content-encoding": "gzip"}}
    assert "compressed" in fault(await client.post(INFER, **packed_body), 415)
    late = await client.post(INFER, content=too_slow())
    assert "did not arrive" in fault(late, 408)
    assert late.json()["code"] == "body_too_slow"
    assert inspector.refusals == [
        *("too_many_bytes", "too_many_bytes", "unsupported_media_type", "body_too_slow")
    ]
    inspector.ready = Readiness(ready=False, reason="starting")
    assert "starting" in fault(await client.post(INFER, content=too_slow()), 503)


async def test_statistics_are_those_of_what_was_done(
    client: httpx.AsyncClient, bench: OpenInferenceBench
) -> None:
    bench.statistics.inspected(NOT_OK)
    bench.statistics.inspected(TOO_LATE)
    bench.statistics.inspections(NOT_OK.model).executed(2, 0.25)
    (figures,) = (await client.get("/v2/models/tiny/stats")).json()["model_stats"]
    assert (figures["inference_count"], figures["execution_count"]) == (1, 1)
    assert figures["last_inference"] == 1769847330123
    spent = figures["inference_stats"]
    assert spent["success"] == {"count": 1, "ns": 15_000_490}
    assert spent["fail"]["count"] == 1
    assert [spent[part]["ns"] for part in ("queue", "compute_input", "compute_infer")] == [
        1_000_000,
        5_000_000,
        4_000_000,
    ]
    (batches,) = figures["batch_stats"]
    assert batches["batch_size"] == 2
    assert batches["compute_infer"] == {"count": 1, "ns": 250_000_000}
    await client.post(RAW, content=bytes(2 * 4096), headers={LENGTH: "0"})
    every = (await client.get("/v2/models/stats")).json()["model_stats"]
    assert [(f["name"], f["inference_count"], f["execution_count"]) for f in every] == [
        ("tiny", 1, 1),
        ("tiny_raw", 2, 1),
    ]


async def test_the_repository(client: httpx.AsyncClient, bench: OpenInferenceBench) -> None:
    rows = (await client.post("/v2/repository/index")).json()
    assert [(row["name"], row["version"], row["state"]) for row in rows] == [
        ("tiny", "1.2.3", "READY"),
        ("tiny_raw", "1.2.3", "READY"),
        ("other", "2.0.0", "UNAVAILABLE"),
        ("broken.onnx", "", "UNAVAILABLE"),
    ]
    assert rows[-1]["reason"] == "it is no ONNX file"
    ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert [row["name"] for row in ready] == ["tiny", "tiny_raw"]
    version = {"parameters": {"version": "2.0.0"}}
    dependents = {"parameters": {"unload_dependents": False}}
    for response in (
        await client.post("/v2/repository/models/other/load", json=version),
        await client.post("/v2/repository/models/other_raw/load"),
        await client.post("/v2/repository/models/other/unload", json=dependents),
    ):
        assert (response.status_code, response.content) == (200, b"")
    assert bench.control.changes == [
        ("load", "other", "2.0.0"),
        ("load", "other", None),
        ("unload", "other", None),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownModel("x", None, ["tiny"]), 404),
        (ModelIsStable("tiny", "1.2.3"), 409),
        (ModelControlOff(), 403),
    ],
)
async def test_changes_that_are_refused(
    client: httpx.AsyncClient, bench: OpenInferenceBench, error: Exception, status: int
) -> None:
    bench.control.error = error
    for verb in ("load", "unload"):
        response = await client.post(f"/v2/repository/models/tiny/{verb}")
        assert fault(response, status) == str(error)


@pytest.mark.parametrize(
    "command",
    [
        {"parameters": {"config": "{}"}},
        {"parameters": {"version": 2}},
        {"parameters": []},
    ],
)
async def test_bad_commands_change_nothing(
    client: httpx.AsyncClient, bench: OpenInferenceBench, command: dict
) -> None:
    fault(await client.post("/v2/repository/models/other/load", json=command), 400)
    assert bench.control.changes == []
    fault(await client.post("/v2/repository/index", json={"ready": "yes"}), 400)


async def test_paths_that_are_not_there(client: httpx.AsyncClient) -> None:
    assert "/v2/nothing" in fault(await client.get("/v2/nothing"), 404)
    assert "GET" in (await client.post("/v2")).headers["allow"]
    response = await client.get(INFER)
    fault(response, 405)
    assert response.json()["code"] == "method_not_allowed"
    assert response.headers["allow"] == "POST"


async def test_every_route_is_documented(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    ours = {path: verbs for path, verbs in paths.items() if path.startswith("/v2")}
    assert len(ours) == 17
    for verbs in ours.values():
        for described in verbs.values():
            for answer in described["responses"].values():
                for content in answer.get("content", {}).values():
                    assert "schema" in content
