"""Values for the tests of checks: published or made up examples of each check, and mutations of them, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from parcelveil.scan.check_passes import CODES, run_check

#: Of each check, values of every grade. Documentation numbers, made up ones, and numbers without subscribers.
EXAMPLES: dict[str, str] = {
    "mobile": "13812345678|+86 138-1234-5678|14212345678|12812345678|13800000000|0086 13812345678|013812345678|8713812345678",
    "resident_id": "11010519491231002X|110105189812310024|110105194912310021|110105 19491231 002x|110105491231002|110105490231002|320311770706001",
    "card": "4111111111111111|4111 1111 1111 1112|6222020000000000000|6222021234567894|6259990000000000|378282246310005|30569309025904|4367420000000000009",
    "email": "zhang.wei@example.com|a@b|logo@2x.png|git@github.com|a..b@c.com|a@b.xn--p1ai|x@y.foobar|a@b-c.co.uk|a_b@c.museum",
    "landline": "021-61234567|(0755) 8612 3456|02161234567|+86 21 61234567|+86 (0)21 6123 4567|0086-21-61234567-801|"
    "021-61234567转801|010-12345678|0999-1234567|0100-1234567|86-21-61234567|+862161234567|0371-6123 4567 转 1",
    "service": "400-123-4567|8001234567|95338|953381|9533|12345|9501312345",
    "virtual": "17012345678转1234|17012345678-1234|17012345678-12|17012345678,1234|17012345678,,1234|17012345678 ext. 1234|"
    "95013123456转123|17012345678[1234]|17012345678 分机 12|+8617012345678#1|02161234567转12|17012345678eXt12",
    "north_american": "(212) 555-0123|212-555-0123|(112) 555-0123|(291) 555-0123|(211) 555-0123|(212) 555-5555",
    "ip": "93.184.216.34|1.2.3.4|3.28.24.31|3.28.24.32|10.0.0.1|256.1.1.1|01.2.3.4|2001:db8::1|2001:4860:4860::8888|::1|fe80::1|1:2:3:4:5:6:7:8|"
    "1::2::3|2400:cb00::|::|1:2:3:4:5:6:7::|1::2:3:4:5:6:7|203.0.113.5|192.0.2.1|100.64.0.1|172.31.0.1|198.18.0.1",
    "mac": "00:1a:2b:3c:4d:5e|00-1A-2B-3C-4D-5E|001a.2b3c.4d5e|ff:ff:ff:ff:ff:ff|01:00:5e:00:00:01|1234.5678.9012",
    "wechat": "wxid_abcdefgh|zhangsan|zhang_san8|wx0123456789abcdef|li-si2026",
    "position": '31.2304,121.4737|121.47,31.23|-31.2,121.4|0.123,0.456|95.1,99.2|12.5,181.2|31.2304,"lng":121.4737',
    "hk_macau_permit": "H1234567801|M12345678|H123456780|X1234567801|C12345678|CA1234567|CI1234567|C1234567801",
    "hkid": "A123456(3)|A1234563|AB123456(9)|XA123456(9)|G123456(A)|WX123456(A)|A123456(4)",
    "passport": "E12345678|EA1234567|EI1234567|G12345678|GA1234567|D1234567|123456789",
    "foreigner_residence": "931110198001011234|91131019800101123X|USA110080010112|CAN310085022990|XXX110080010112|USA110000022912",
    "uscc": "91110000600037341L|91110000600037341M|911101056000373410|94110000600037341C|91990000600037341H|A1110000600037341B",
    "plate": "沪A12345|沪AD12345|粤B·12345|京A12345D|粤Z1234港|京O12345|京AABC12|京AABCD1|沪A1234|京a12345",
    "imei": "490154203237518|49-015420-323751-8|490154203237519",
    "iban": "GB29NWBK60161331926819|GB29 NWBK 6016 1331 9268 19|DE89370400440532013000|NO9386011117947|ZZ29NWBK60161331926819",
    "us_ssn": "536-90-4399|000-12-3456|666-12-3456|900-12-3456|536-00-4399|078-05-1120|536 90 4399",
    "waybill": "RR473124829GB|RR473124820GB|RR473124829ZZ|SF1000000000001|YT0000000000001|773000000000001|1Z5R89390357567127|"
    "1Z12345E0205271688|JDVA12345678901|111111111111|DPK1234567890|1234567890",
    "order": "261120-123456789012345|261320-123456789012345|123-1234567-1234567|1234567890123456789|SO-2026-0001|ABC-12",
    "masked_mobile": "138****1234|138●●●●1234|138••••1234|138xxxx1234|+86 138****1234|86138****1234|138***1234|1**********|"
    "138 **** 1234|138××××1234",
    "masked_landline": "021-****1234|0755-8***1234|021-61**1234|021****",
    "masked_id": "110105********002X|1****************X|110105*********|990105********0021|110105●●●●●●●●0021",
    "masked_card": "6222********1234|6222 **** **** 1234|622202******1234567|**** **** **** 1234|1222********1234|6222**********1234",
    "masked_email": "z***@example.com|***@example.com|z●●●g@mail.example.org|z@e***.com|zhang@example.com|z***@localhost",
    "sealed": "pv1:AQ" + "x" * 50 + "|pv1:AA" + "x" * 50 + "|pn1:" + "x" * 21 + "A|pn1:" + "x" * 21 + "B|pv1:Af" + "x" * 180,
    "token": "AEBR" + "A" * 54 + "|AEBR" + "A" * 53 + "B|AEBR" + "A" * 55 + "|AEBR" + "A" * 53 + "E|AEBR" + "A" * 80,
}  # fmt: skip

_OTHERS = np.frombuffer(b"0123456789012345678901234567890123456789AEHIOSXZxz -+().,:@*_#", np.uint8)


class Values(NamedTuple):
    """Values in one buffer: the n-th is ``data[ends[n - 1]:ends[n]]``."""

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    def each(self) -> list[bytes]:
        whole, low, parts = self.data.tobytes(), 0, []
        for end in self.ends.tolist():
            parts.append(whole[low:end])
            low = end
        return parts


def mutated(examples: Sequence[bytes], count: int, seed: int, others: npt.NDArray[np.uint8] = _OTHERS) -> Values:
    """``count`` values: examples, of whose ASCII characters none to three are others, or two neighbours are swapped."""
    draw = np.random.default_rng(seed)
    lengths = np.array([len(one) for one in examples])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    pool = np.frombuffer(b"".join(examples), np.uint8)
    which = draw.integers(0, len(examples), count)
    size = lengths[which]
    ends = np.cumsum(size)
    begin = ends - size
    data = pool[np.repeat(starts[which] - begin, size) + np.arange(ends[-1])]
    changes = draw.integers(0, 4, count)
    for one in range(3):
        rows = changes > one
        place = (begin + draw.integers(0, size))[rows]
        place = place[data[place] < 128]
        data[place] = draw.choice(others, len(place))
    place = (begin + draw.integers(0, np.maximum(size - 1, 1)))[draw.random(count) < 0.2]
    place = place[(place + 1 < len(data))]
    place = place[(data[place] < 128) & (data[place + 1] < 128)]
    data[place], data[place + 1] = data[place + 1], data[place].copy()
    return Values(data, ends)


@numba.njit
def _graded(code, data, ends, out):  # type: ignore[no-untyped-def]
    low = 0
    for one in range(len(ends)):
        out[one] = run_check(code, data, low, ends[one])
        low = ends[one]


def graded(check: str, values: Values) -> npt.NDArray[np.uint8]:
    """What the compiled check says of each value."""
    out = np.zeros(len(values.ends), np.uint8)
    _graded(CODES[check], values.data, values.ends, out)
    return out
