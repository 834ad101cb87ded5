"""The checks of ``checks.py``, compiled: one call a candidate, no allocation for the frequent ones.

::

    >>> import numpy as np
    >>> line = np.frombuffer("电话13812345678".encode(), np.uint8)
    >>> run_check(CODES["mobile"], line, 6, 17)
    2

The kernel knows checks by number (``CODES``; 0 is "no check", and GOOD). A check in ``SLOW`` exists in Python only: here
it says GOOD, and who called asks ``CHECKS`` about the few that are left. numba keeps compiled functions by what stands in
their own file only: after a change here, what calls these functions has to be compiled anew too.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_tables import GOOD
from parcelveil.scan.contact_passes import (
    check_ip,
    check_landline,
    check_mac,
    check_north_american,
    check_position,
    check_service,
    check_virtual,
    check_wechat,
)
from parcelveil.scan.frequent_passes import check_card, check_email, check_mobile, check_resident
from parcelveil.scan.identity_passes import (
    check_hkid,
    check_iban,
    check_imei,
    check_passport,
    check_permit,
    check_plate,
    check_residence,
    check_ssn,
    check_uscc,
)
from parcelveil.scan.parcel_passes import (
    check_masked_card,
    check_masked_email,
    check_masked_id,
    check_masked_landline,
    check_masked_mobile,
    check_order,
    check_sealed,
    check_token,
    check_waybill,
)
from parcelveil.seal.passes import compiled

Bytes = npt.NDArray[np.uint8]

_NAMES = (
    "mobile resident_id card email landline service virtual north_american ip mac wechat position hk_macau_permit hkid "
    "passport foreigner_residence uscc plate imei iban us_ssn waybill order masked_mobile masked_landline masked_id "
    "masked_card masked_email sealed token foreign"
).split()
#: Numbers of the checks. 0: none.
CODES: dict[str, int] = {"": 0, **{name: code for code, name in enumerate(_NAMES, 1)}}
#: Checks that only exist in Python.
SLOW: frozenset[str] = frozenset(["foreign"])


@compiled
def run_check(code: int, data: Bytes, start: int, end: int) -> int:
    """GOOD, WEAK or BAD for ``data[start:end]`` (uint8, int64 positions) by the check of that number; GOOD for 0.

    The span is not empty.
    """
    if code == 1:
        return check_mobile(data, start, end)
    if code == 2:
        return check_resident(data, start, end)
    if code == 3:
        return check_card(data, start, end)
    if code == 4:
        return check_email(data, start, end)
    if code < 13:
        return _contact(code, data, start, end)
    if code < 22:
        return _identity(code, data, start, end)
    return _parcel(code, data, start, end)


@compiled
def _contact(code: int, data: Bytes, start: int, end: int) -> int:
    if code == 5:
        return check_landline(data, start, end)
    if code == 6:
        return check_service(data, start, end)
    if code == 7:
        return check_virtual(data, start, end)
    if code == 8:
        return check_north_american(data, start, end)
    if code == 9:
        return check_ip(data, start, end)
    if code == 10:
        return check_mac(data, start, end)
    if code == 11:
        return check_wechat(data, start, end)
    if code == 12:
        return check_position(data, start, end)
    return GOOD


@compiled
def _identity(code: int, data: Bytes, start: int, end: int) -> int:
    if code == 13:
        return check_permit(data, start, end)
    if code == 14:
        return check_hkid(data, start, end)
    if code == 15:
        return check_passport(data, start, end)
    if code == 16:
        return check_residence(data, start, end)
    if code == 17:
        return check_uscc(data, start, end)
    if code == 18:
        return check_plate(data, start, end)
    if code == 19:
        return check_imei(data, start, end)
    if code == 20:
        return check_iban(data, start, end)
    return check_ssn(data, start, end)


@compiled
def _parcel(code: int, data: Bytes, start: int, end: int) -> int:
    if code == 22:
        return check_waybill(data, start, end)
    if code == 23:
        return check_order(data, start, end)
    if code == 24:
        return check_masked_mobile(data, start, end)
    if code == 25:
        return check_masked_landline(data, start, end)
    if code == 26:
        return check_masked_id(data, start, end)
    if code == 27:
        return check_masked_card(data, start, end)
    if code == 28:
        return check_masked_email(data, start, end)
    if code == 29:
        return check_sealed(data, start, end)
    if code == 30:
        return check_token(data, start, end)
    return GOOD
