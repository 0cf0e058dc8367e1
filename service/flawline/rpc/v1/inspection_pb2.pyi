import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_INLINE: _ClassVar[Priority]
    PRIORITY_REINSPECTION: _ClassVar[Priority]
    PRIORITY_BACKFILL: _ClassVar[Priority]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_OK: _ClassVar[Verdict]
    VERDICT_NOT_OK: _ClassVar[Verdict]
    VERDICT_NOT_DECIDABLE: _ClassVar[Verdict]
    VERDICT_UNDEFINED: _ClassVar[Verdict]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_INLINE: Priority
PRIORITY_REINSPECTION: Priority
PRIORITY_BACKFILL: Priority
VERDICT_UNSPECIFIED: Verdict
VERDICT_OK: Verdict
VERDICT_NOT_OK: Verdict
VERDICT_NOT_DECIDABLE: Verdict
VERDICT_UNDEFINED: Verdict

class InspectRequest(_message.Message):
    __slots__ = ("picture", "line", "part_id", "recipe", "min_score", "deadline_ms", "priority")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    PART_ID_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    picture: bytes
    line: str
    part_id: str
    recipe: str
    min_score: float
    deadline_ms: int
    priority: Priority
    def __init__(self, picture: _Optional[bytes] = ..., line: _Optional[str] = ..., part_id: _Optional[str] = ..., recipe: _Optional[str] = ..., min_score: _Optional[float] = ..., deadline_ms: _Optional[int] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class InspectResponse(_message.Message):
    __slots__ = ("inspection",)
    INSPECTION_FIELD_NUMBER: _ClassVar[int]
    inspection: Inspection
    def __init__(self, inspection: _Optional[_Union[Inspection, _Mapping]] = ...) -> None: ...

class InspectStreamRequest(_message.Message):
    __slots__ = ("opening", "frame", "acknowledgement")
    OPENING_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    opening: StreamOpening
    frame: StreamFrame
    acknowledgement: StreamAcknowledgement
    def __init__(self, opening: _Optional[_Union[StreamOpening, _Mapping]] = ..., frame: _Optional[_Union[StreamFrame, _Mapping]] = ..., acknowledgement: _Optional[_Union[StreamAcknowledgement, _Mapping]] = ...) -> None: ...

class StreamOpening(_message.Message):
    __slots__ = ("stream_id", "in_order", "acknowledged")
    STREAM_ID_FIELD_NUMBER: _ClassVar[int]
    IN_ORDER_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    stream_id: str
    in_order: bool
    acknowledged: int
    def __init__(self, stream_id: _Optional[str] = ..., in_order: _Optional[bool] = ..., acknowledged: _Optional[int] = ...) -> None: ...

class StreamFrame(_message.Message):
    __slots__ = ("sequence", "request", "traceparent")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    request: InspectRequest
    traceparent: str
    def __init__(self, sequence: _Optional[int] = ..., request: _Optional[_Union[InspectRequest, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class StreamAcknowledgement(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class InspectStreamResponse(_message.Message):
    __slots__ = ("opened", "answer")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    opened: StreamOpened
    answer: StreamAnswer
    def __init__(self, opened: _Optional[_Union[StreamOpened, _Mapping]] = ..., answer: _Optional[_Union[StreamAnswer, _Mapping]] = ...) -> None: ...

class StreamOpened(_message.Message):
    __slots__ = ("window", "memory_id", "max_picture_bytes")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MEMORY_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_PICTURE_BYTES_FIELD_NUMBER: _ClassVar[int]
    window: int
    memory_id: str
    max_picture_bytes: int
    def __init__(self, window: _Optional[int] = ..., memory_id: _Optional[str] = ..., max_picture_bytes: _Optional[int] = ...) -> None: ...

class StreamAnswer(_message.Message):
    __slots__ = ("sequence", "inspection", "problem")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    INSPECTION_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    inspection: Inspection
    problem: Problem
    def __init__(self, sequence: _Optional[int] = ..., inspection: _Optional[_Union[Inspection, _Mapping]] = ..., problem: _Optional[_Union[Problem, _Mapping]] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("code", "detail", "field", "verdict")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    field: str
    verdict: Verdict
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ..., field: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ...) -> None: ...

class WatchInspectionsRequest(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, lines: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchInspectionsResponse(_message.Message):
    __slots__ = ("inspection", "missed")
    INSPECTION_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    inspection: Inspection
    missed: int
    def __init__(self, inspection: _Optional[_Union[Inspection, _Mapping]] = ..., missed: _Optional[int] = ...) -> None: ...

class Inspection(_message.Message):
    __slots__ = ("inspection_id", "verdict", "reasons", "detections", "frame", "line", "part_id", "recipe", "model", "created_at", "processing_times_ms")
    INSPECTION_ID_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    PART_ID_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    PROCESSING_TIMES_MS_FIELD_NUMBER: _ClassVar[int]
    inspection_id: str
    verdict: Verdict
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    detections: _containers.RepeatedCompositeFieldContainer[Detection]
    frame: Frame
    line: str
    part_id: str
    recipe: RecipeRef
    model: ModelRef
    created_at: _timestamp_pb2.Timestamp
    processing_times_ms: ProcessingTimes
    def __init__(self, inspection_id: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., detections: _Optional[_Iterable[_Union[Detection, _Mapping]]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., line: _Optional[str] = ..., part_id: _Optional[str] = ..., recipe: _Optional[_Union[RecipeRef, _Mapping]] = ..., model: _Optional[_Union[ModelRef, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., processing_times_ms: _Optional[_Union[ProcessingTimes, _Mapping]] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "detail")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    code: str
    detail: str
    def __init__(self, code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Detection(_message.Message):
    __slots__ = ("label", "score", "box")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    box: Box
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., box: _Optional[_Union[Box, _Mapping]] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("x_min", "y_min", "x_max", "y_max")
    X_MIN_FIELD_NUMBER: _ClassVar[int]
    Y_MIN_FIELD_NUMBER: _ClassVar[int]
    X_MAX_FIELD_NUMBER: _ClassVar[int]
    Y_MAX_FIELD_NUMBER: _ClassVar[int]
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    def __init__(self, x_min: _Optional[float] = ..., y_min: _Optional[float] = ..., x_max: _Optional[float] = ..., y_max: _Optional[float] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("width", "height", "sha256")
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    sha256: str
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., sha256: _Optional[str] = ...) -> None: ...

class RecipeRef(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ModelRef(_message.Message):
    __slots__ = ("name", "version", "sha256")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    sha256: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...

class ProcessingTimes(_message.Message):
    __slots__ = ("queue", "decode", "preprocess", "inference", "postprocess", "total")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_FIELD_NUMBER: _ClassVar[int]
    POSTPROCESS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queue: float
    decode: float
    preprocess: float
    inference: float
    postprocess: float
    total: float
    def __init__(self, queue: _Optional[float] = ..., decode: _Optional[float] = ..., preprocess: _Optional[float] = ..., inference: _Optional[float] = ..., postprocess: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...
