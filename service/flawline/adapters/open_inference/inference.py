"""`infer`: checks the tensors, lets the application do the work, and lays out its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flawline.adapters.open_inference import catalogue
from flawline.adapters.open_inference.catalogue import RAW_SUFFIX, ServedModel, served_models
from flawline.adapters.open_inference.errors import (
    OpenInferenceError,
    invalid,
    no_verdict,
    not_found,
    shown,
    translated,
    unexpected,
)
from flawline.adapters.open_inference.messages import InferRequest, InferResponse, Parameter
from flawline.adapters.open_inference.options import Options, in_protocol_words, options_of
from flawline.adapters.open_inference.pictures import (
    Outcome,
    error_of_all,
    laid_out,
    verdict_of,
    why_undefined,
)
from flawline.adapters.open_inference.tensors import Elements, InputTensor, Tensor, TensorSpec
from flawline.application.failures import new_error_id
from flawline.application.inspector import InspectionRequest, Inspector
from flawline.application.job import Expired, Failed
from flawline.application.raw_inference import RawInference
from flawline.application.request import key_of_one
from flawline.core.errors import InspectionError, InvalidRequest, NotReady
from flawline.core.values import Inspection, Verdict
from flawspec.artifact import BOXES_NAME, SCORES_NAME

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class InferenceLimits:
    """Bounds on a request: its bytes, the pictures in it, and its time unless it says another."""

    max_request_bytes: int
    max_pictures: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class _Checked:
    """A request that can be worked on."""

    model: ServedModel
    tensor: Tensor
    wanted: tuple[TensorSpec, ...]
    options: Options


@dataclass(frozen=True, slots=True)
class _Worked:
    """What came of it, before it is laid out for its caller."""

    version: str
    outputs: Mapping[str, Elements]
    parameters: Mapping[str, Parameter]


class InferenceService:
    """Answers `infer` for pictures by `inspector`, for raw tensors by `raw` (None: not offered)."""

    def __init__(
        self, inspector: Inspector, raw: RawInference | None, limits: InferenceLimits
    ) -> None:
        self._inspector = inspector
        self._raw = raw
        self.limits = limits

    def models(self) -> list[ServedModel]:
        """Every model that can be asked, those of the stable artifact first."""
        raw_max_batch = None if self._raw is None else self._raw.max_batch
        return served_models(self._inspector.models(), raw_max_batch)

    def find(self, name: str, version: str) -> ServedModel:
        """The model of that name; "" for any version. Raises OpenInferenceError."""
        models = self.models()
        if self._raw is None and name in {model.name + RAW_SUFFIX for model in models}:
            raise not_found(
                f"{shown(name)} is where the api inspects by itself; here it shares a queue with "
                "workers, and has no network to run.",
                "unknown_model",
            )
        return catalogue.find(models, name, version)

    def matching(self, name: str, version: str) -> list[ServedModel]:
        """All of that name and version; "" for any. Raises OpenInferenceError when there is none."""
        models = self.models()
        if not name:
            return models
        first = self.find(name, version)
        return [first] if version else [model for model in models if model.name == name]

    def is_ready(self) -> bool:
        """Whether work is taken."""
        return self._inspector.readiness().ready

    def check_ready(self) -> None:
        """For a face that would rather ask before it reads a body. Raises NotReady."""
        self._inspector.check_ready()

    def refused(self, error: OpenInferenceError) -> None:
        """Count a request that was refused before it became one of the application's."""
        self._inspector.refused(error.code)

    async def infer(self, request: InferRequest) -> InferResponse:
        """Raises OpenInferenceError."""
        try:
            checked = self._checked(request)
        except OpenInferenceError as error:
            self.refused(error)
            raise
        if checked.model.is_raw:
            worked = await self._run_raw(checked, request)
        else:
            worked = await self._inspect(checked, request)
        return InferResponse(
            model=request.model,
            version=worked.version,
            outputs=tuple(_laid_out(spec, worked.outputs[spec.name]) for spec in checked.wanted),
            request_id=request.request_id,
            parameters=worked.parameters,
        )

    def _checked(self, request: InferRequest) -> _Checked:
        model = self.find(request.model, request.version)
        given, (spec,) = _only_input(model, request.inputs), model.inputs
        most = self.limits.max_pictures
        # Before any is read: a request has room for millions of empty ones.
        if not model.is_raw and len(given.shape) == 1 and given.shape[0] > most:
            raise invalid(
                f"{given.shape[0]} pictures are too many for one request; "
                f"{most} are allowed (FLAWLINE_MAX_INFERENCE_PICTURES)."
            )
        tensor = given.checked(spec)
        wanted = _wanted_outputs(model, request.outputs)
        return _Checked(model, tensor, wanted, options_of(request.parameters))

    async def _inspect(self, checked: _Checked, request: InferRequest) -> _Worked:
        """N pictures are N inspections; each has its own fate.

        Raises OpenInferenceError when none of them has a verdict.
        """
        pictures = checked.tensor.elements
        try:
            requests = [
                self._one_inspection(checked, request, bytes(picture), index, len(pictures))
                for index, picture in enumerate(pictures)
            ]
        except InvalidRequest as error:
            self._inspector.refused(error.code)
            raise in_protocol_words(error) from error
        outcomes = await asyncio.gather(*map(self._outcome, requests))
        versions = {o.model.version for o in outcomes if isinstance(o, Inspection)}
        if all(verdict_of(outcome) is Verdict.UNDEFINED for outcome in outcomes):
            raise error_of_all(outcomes)
        return _Worked(", ".join(sorted(versions)), laid_out(outcomes), why_undefined(outcomes))

    def _one_inspection(
        self, checked: _Checked, request: InferRequest, picture: bytes, index: int, count: int
    ) -> InspectionRequest:
        options, call = checked.options, request.call
        key = call.idempotency_key
        return InspectionRequest(
            picture=picture,
            line=options.line,
            part_id=options.part_id,
            recipe=options.recipe,
            min_score=options.min_score,
            priority=options.priority,
            deadline_ms=self._deadline_ms(options, request),
            traceparent=call.traceparent,
            idempotency_key=key if count == 1 else key_of_one(key, f"picture {index}"),
            caller=call.caller,
            model=checked.model.info.name,
            model_version=request.version or None,
        )

    async def _outcome(self, request: InspectionRequest) -> Outcome:
        try:
            return await self._inspector.inspect(request)
        except InspectionError as error:
            return _translated(error)
        except Exception:  # one picture's, and its neighbours shall have their answers
            error_id = new_error_id()
            logger.exception("inspection_failed error_id=%s", error_id)
            return unexpected(error_id)

    async def _run_raw(self, checked: _Checked, request: InferRequest) -> _Worked:
        images = checked.tensor.elements
        if self._raw is None or not isinstance(images, np.ndarray):
            raise AssertionError("the catalogue shows a raw model only where there is one")
        try:
            info, output = await self._raw.run(
                checked.model.info.name,
                images,
                version=request.version or None,
                deadline_ms=self._deadline_ms(checked.options, request),
            )
        except InspectionError as error:
            if not isinstance(error, NotReady):  # which is counted where it is noticed
                self._inspector.refused(error.code)
            raise _translated(error) from error
        if isinstance(output, Expired):
            raise no_verdict("The network did not answer by the deadline.", "deadline")
        if isinstance(output, Failed):
            raise no_verdict(
                f"The network failed; error id {output.error_id}.", "processing_failed"
            )
        return _Worked(
            info.version, {BOXES_NAME: output.boxes_xyxy, SCORES_NAME: output.scores}, {}
        )

    def _deadline_ms(self, options: Options, request: InferRequest) -> int | None:
        """What the request asks for, and its call allows."""
        remaining_ms = request.call.remaining_ms
        if remaining_ms is None:
            return options.deadline_ms
        return min(options.deadline_ms or self.limits.deadline_ms, remaining_ms)


def _only_input(model: ServedModel, inputs: Sequence[InputTensor]) -> InputTensor:
    """The one input that every model here has, not read yet."""
    (spec,) = model.inputs
    names = [tensor.name for tensor in inputs]
    if names != [spec.name]:
        raise invalid(
            f"Model {model.name!r} takes one input, {spec.name!r}; the request has "
            f"{shown(', '.join(names)) if names else 'none'}."
        )
    return inputs[0]


def _wanted_outputs(model: ServedModel, names: Sequence[str]) -> tuple[TensorSpec, ...]:
    """Those asked for, in that order; all of them when none is."""
    specs = {spec.name: spec for spec in model.outputs}
    unknown = next((name for name in names if name not in specs), None)
    if unknown is not None:
        raise invalid(
            f"Model {model.name!r} has no output {shown(unknown)}; it has: {', '.join(specs)}."
        )
    if len(set(names)) != len(names):
        raise invalid("Each output may be asked for once.")
    return tuple(specs[name] for name in names) or model.outputs


def _laid_out(spec: TensorSpec, elements: Elements) -> Tensor:
    shape = (len(elements),) if isinstance(elements, list) else elements.shape
    return Tensor(spec.name, spec.datatype, shape, elements)


def _translated(error: InspectionError) -> OpenInferenceError:
    return in_protocol_words(error) if isinstance(error, InvalidRequest) else translated(error)
