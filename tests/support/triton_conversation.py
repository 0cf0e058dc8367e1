"""Everything that Triton's own client asks of a server, and what it was told, as JSON.

Runs in an environment with tritonclient, against us or against Triton itself:

    python triton_conversation.py HTTP_HOST:PORT GRPC_HOST:PORT MODEL VERSION OTHER_MODEL PICTURE...

MODEL takes `pictures`, BYTES [N], and gives boxes, scores, image_index, classes and verdict; OTHER_MODEL
is one that is not loaded yet.
"""

from __future__ import annotations

import base64
import json
import queue
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

OUTPUTS = ("boxes", "scores", "image_index", "classes", "verdict")
ID, PARAMETERS = "4711", {"line": "press-1", "part_id": "SN 1"}
TIMEOUT_US = 20_000_000


class Http:
    """The REST half; every method's name is a question."""

    def __init__(self, address: str, model: str, version: str, other: str) -> None:
        self.client = tritonclient.http.InferenceServerClient(address, concurrency=4)
        self.library: Any = tritonclient.http
        self.model, self.version, self.other = model, version, other

    def live(self) -> Any:
        return self.client.is_server_live()

    def ready(self) -> Any:
        return [
            self.client.is_server_ready(),
            self.client.is_model_ready(self.model),
            self.client.is_model_ready(self.model, self.version),
        ]

    def server_metadata(self) -> Any:
        return self.client.get_server_metadata()

    def metadata(self) -> Any:
        return self.client.get_model_metadata(self.model)

    def metadata_of_the_version(self) -> Any:
        return self.client.get_model_metadata(self.model, self.version)

    def config(self) -> Any:
        return self.client.get_model_config(self.model)

    def statistics(self) -> Any:
        return self.client.get_inference_statistics(self.model)

    def all_statistics(self) -> Any:
        return self.client.get_inference_statistics()

    def index(self) -> Any:
        return sorted(
            self.client.get_model_repository_index(), key=lambda row: row["name"] != self.model
        )

    def load(self) -> Any:
        return self.client.load_model(self.other)

    def other_is_ready(self) -> Any:
        return self.client.is_model_ready(self.other)

    def unload(self) -> Any:
        return self.client.unload_model(self.other)

    def unknown_model(self) -> Any:
        return self.client.get_model_metadata("nothing")

    def unknown_version(self) -> Any:
        return self.client.get_model_metadata(self.model, "99")

    def infer(self, pictures: Sequence[bytes]) -> Any:
        return self._answer(self.client.infer(self.model, self._inputs(pictures), **self._fields()))

    def infer_of_the_version(self, pictures: Sequence[bytes]) -> Any:
        inputs, wanted = self._inputs(pictures), self._wanted(("verdict", "boxes"))
        answer = self.client.infer(
            self.model, inputs, model_version=self.version, outputs=wanted, **self._fields()
        )
        return self._answer(answer)

    def infer_async(self, pictures: Sequence[bytes]) -> Any:
        pending = [
            self.client.async_infer(self.model, self._inputs([picture]), **self._fields())
            for picture in pictures
        ]
        return [self._answer(each.get_result()) for each in pending]

    def infer_json(self, pictures: Sequence[bytes]) -> Any:
        """As JSON both ways, which has no byte strings: pictures are in base64."""
        texts = np.array([base64.b64encode(picture) for picture in pictures], dtype=np.object_)
        tensor = self.library.InferInput("pictures", [len(texts)], "BYTES")
        tensor.set_data_from_numpy(texts, binary_data=False)
        wanted = [self.library.InferRequestedOutput(name, binary_data=False) for name in OUTPUTS]
        answer = self.client.infer(self.model, [tensor], outputs=wanted, **self._fields())
        return self._answer(answer)

    def wrong_datatype(self) -> Any:
        tensor = self.library.InferInput("pictures", [1], "FP32")
        tensor.set_data_from_numpy(np.zeros(1, dtype=np.float32))
        return self.client.infer(self.model, [tensor])

    def unknown_output(self, pictures: Sequence[bytes]) -> Any:
        wanted = self._wanted(("nothing",))
        return self.client.infer(self.model, self._inputs(pictures), outputs=wanted)

    def _fields(self) -> dict[str, Any]:
        return {"request_id": ID, "parameters": PARAMETERS, "timeout": TIMEOUT_US}

    def _inputs(self, pictures: Sequence[bytes]) -> list[Any]:
        tensor = self.library.InferInput("pictures", [len(pictures)], "BYTES")
        tensor.set_data_from_numpy(np.array(list(pictures), dtype=np.object_))
        return [tensor]

    def _wanted(self, names: Sequence[str]) -> list[Any]:
        return [self.library.InferRequestedOutput(name) for name in names]

    def _answer(self, result: Any) -> Any:
        told = self._told(result)
        tensors = {name: result.as_numpy(name) for name in OUTPUTS}
        return {
            "id": told.get("id"),
            "outputs": {
                name: {
                    "datatype": next(o["datatype"] for o in told["outputs"] if o["name"] == name),
                    "shape": list(tensor.shape),
                    "data": [_plain(value) for value in tensor.ravel()],
                }
                for name, tensor in tensors.items()
                if tensor is not None
            },
        }

    def _told(self, result: Any) -> Any:
        return result.get_response()


class Grpc(Http):
    """The gRPC half."""

    def __init__(self, address: str, model: str, version: str, other: str) -> None:
        self.client = tritonclient.grpc.InferenceServerClient(address)
        self.library = tritonclient.grpc
        self.model, self.version, self.other = model, version, other

    def server_metadata(self) -> Any:
        return self.client.get_server_metadata(as_json=True)

    def metadata(self) -> Any:
        return self.client.get_model_metadata(self.model, as_json=True)

    def metadata_of_the_version(self) -> Any:
        return self.client.get_model_metadata(self.model, self.version, as_json=True)

    def config(self) -> Any:
        return self.client.get_model_config(self.model, as_json=True)

    def statistics(self) -> Any:
        return self.client.get_inference_statistics(self.model, as_json=True)

    def all_statistics(self) -> Any:
        return self.client.get_inference_statistics(as_json=True)

    def index(self) -> Any:
        rows = self.client.get_model_repository_index(as_json=True)["models"]
        return sorted(rows, key=lambda row: row["name"] != self.model)

    def infer_async(self, pictures: Sequence[bytes]) -> Any:
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for number, picture in enumerate(pictures):

            def done(result: Any, error: Any, number: int = number) -> None:
                answers.put((number, result, error))

            self.client.async_infer(
                self.model, self._inputs([picture]), callback=done, **self._fields()
            )
        came = sorted((answers.get(timeout=30) for _ in pictures), key=lambda answer: answer[0])
        for _, _, error in came:
            if error is not None:
                raise error
        return [self._answer(result) for _, result, _ in came]

    def infer_json(self, pictures: Sequence[bytes]) -> Any:
        return None  # there is no JSON in gRPC

    def _told(self, result: Any) -> Any:
        return result.get_response(as_json=True)


def _plain(value: Any) -> Any:
    """A BYTES element is text where JSON brought it."""
    if isinstance(value, (bytes, str)):
        return value if isinstance(value, str) else value.decode()
    return value.item()


def told(question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or the status and the sentence of the error."""
    try:
        return question(*arguments)
    except InferenceServerException as error:
        return {"error": error.message(), "status": error.status()}


def conversation(half: Http, pictures: Sequence[bytes]) -> dict[str, Any]:
    """Every question once, in an order in which each can be answered."""
    plain = (
        half.live,
        half.ready,
        half.server_metadata,
        half.metadata,
        half.metadata_of_the_version,
        half.config,
        half.unknown_model,
        half.unknown_version,
        half.wrong_datatype,
    )
    asking = (
        half.infer,
        half.infer_of_the_version,
        half.infer_async,
        half.infer_json,
        half.unknown_output,
    )
    after = (
        half.statistics,
        half.all_statistics,
        half.load,
        half.other_is_ready,
        half.index,
        half.unload,
    )
    return {
        **{each.__name__: told(each) for each in plain},
        **{each.__name__: told(each, pictures) for each in asking},
        **{each.__name__: told(each) for each in after},
    }


def main() -> None:
    """Talk to the server named on the command line."""
    http, grpc, model, version, other, *files = sys.argv[1:]
    pictures = [Path(file).read_bytes() for file in files]
    answers = {
        "http": conversation(Http(http, model, version, other), pictures),
        "grpc": conversation(Grpc(grpc, model, version, other), pictures),
    }
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
