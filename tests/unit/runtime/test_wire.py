from __future__ import annotations

import pytest

from holdfast.availability.v1.availability_pb2 import WatchDaysResponse
from shared.runtime.wire import bytes_field, integer_field


@pytest.mark.parametrize("length", [0, 1, 127, 128, 300, 70_000])
@pytest.mark.parametrize("version", [0, 1, 127, 128, 2**31, 2**63 - 1])
def test_appended_fields_are_read_as_part_of_the_message(length: int, version: int) -> None:
    token = bytes(length)
    body = WatchDaysResponse(after_version=7, version=1).SerializeToString()

    found = WatchDaysResponse.FromString(
        body
        + integer_field(WatchDaysResponse.VERSION_FIELD_NUMBER, version)
        + bytes_field(WatchDaysResponse.RESUME_TOKEN_FIELD_NUMBER, token)
    )

    assert (found.after_version, found.version, found.resume_token) == (7, version, token)
