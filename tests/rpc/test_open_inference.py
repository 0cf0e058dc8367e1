"""Our copy of the Open Inference Protocol beside another program's, in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from triton_client import SITE_PACKAGES, needs_triton_client

OURS = "from flawline.rpc.open_inference import grpc_service_pb2 as ours, grpc_service_pb2_grpc"
THEIRS = "import tritonclient.grpc; from tritonclient.grpc import service_pb2 as theirs"

# Every message and field of ours is theirs too, under the same number and of the same type.
COMPARE = """
def shape(field):
    kind = field.message_type or field.enum_type
    return field.number, field.type, field.is_repeated, kind and kind.full_name

def compare(mine, their):
    for field in mine.fields:
        assert shape(field) == shape(their.fields_by_name[field.name]), field.full_name
        if field.message_type is not None:
            compare(field.message_type, their.fields_by_name[field.name].message_type)
        if field.enum_type is not None:
            assert dict(field.enum_type.values_by_number.items()).keys() == dict(
                their.fields_by_name[field.name].enum_type.values_by_number.items()).keys()

(service,) = ours.DESCRIPTOR.services_by_name.values()
(reference,) = theirs.DESCRIPTOR.services_by_name.values()
assert service.full_name == reference.full_name
assert len(service.methods) == 11
for method in service.methods:
    their = reference.methods_by_name[method.name]
    assert method.input_type.full_name == their.input_type.full_name
    compare(method.input_type, their.input_type)
    compare(method.output_type, their.output_type)

request = ours.ModelInferRequest(model_name="nano", raw_input_contents=[b"1"])
assert theirs.ModelInferRequest.FromString(request.SerializeToString()).model_name == "nano"
"""


@needs_triton_client
@pytest.mark.parametrize("order", [(OURS, THEIRS), (THEIRS, OURS)], ids=["ours", "theirs"])
def test_both_copies_live_in_one_process_and_agree(order: tuple[str, str]) -> None:
    find_theirs = f"import sys; sys.path.append({str(SITE_PACKAGES)!r})"  # behind our own protobuf
    code = "\n".join([find_theirs, *order, COMPARE])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
