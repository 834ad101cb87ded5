"""How the freight is paid, from the words that exports have for it.

::

    >>> codes, unknown = pay_types(pa.array(["寄付月结", " 到 付 ", "Third-Party", "微信支付", "问前台", None]))
    >>> codes.to_pylist(), unknown
    (['monthly', 'collect', 'third_party', None, None, None], 1)

Width, case, blanks and punctuation do not matter. A word that is not known is not kept, since it could be anything
about anybody; it is counted. Columns of the same name tell elsewhere how the *goods* were paid. The usual words for
that (微信支付, credit card, 货到付款) say nothing of the freight and are no fault of the file, so they are not counted.

Left out because they mean two things: carriers' numbers (3 is monthly with some, third party with others), 第三方支付
(a third party pays, or a payment service was used), 现金, 预付 and "on account" (the freight, or the goods), and CC
(collect on an air waybill, credit card in a shop).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from parcelveil.intake.headers import fold
from parcelveil.waybill import PAY_TYPES

_WORDS = {
    "prepaid": "寄付/现付/現付/寄付现结/寄付现付/寄件现付/寄件现结/运费预付/运费已付/prepaid freight/freight prepaid/"
    "freight paid/carriage paid",
    "collect": "到付/到付现结/运费到付/提付/freight collect/collect freight/freight to collect",
    "monthly": "月结/月結/寄付月结/寄付月結/寄件月结/寄方月结/现付月结/月结付款/月结客户/monthly account/monthly billing/"
    "monthly settlement/billed monthly",
    "third_party": "第三方付/第三方付款/第三方付费/第三方月结/第三方/third party billing",
}
#: Who pays, and with what behind or before it.
_CHINESE = {
    "prepaid": "寄方/寄件方/寄件人/寄件/发方/发件方/发件人/发货方/发货人",
    "collect": "收方/收件方/收件人/收件/收货方/收货人",
}
_CHINESE_SHAPES = ("{}", "{}付", "{}付款", "{}付费", "{}支付", "{}承担")
_ENGLISH = {
    "prepaid": "sender/shipper/consignor",
    "collect": "recipient/receiver/consignee",
    "third_party": "third party/3rd party",
}
_ENGLISH_SHAPES = ("{}", "{} pays", "paid by {}", "bill {}")
#: How goods are paid.
_GOODS = (
    "微信/微信支付/支付宝/支付宝支付/银联/银联支付/云闪付/信用卡/借记卡/储蓄卡/银行卡/网银/网银支付/银行转账/余额/余额支付/花呗/"
    "花呗分期/白条/先用后付/京东支付/抖音支付/数字人民币/在线支付/线上支付/货到付款/wechat/wechat pay/alipay/unionpay/paypal/"
    "credit card/debit card/card/visa/mastercard/apple pay/google pay/shop pay/stripe/klarna/bank transfer/"
    "online payment/cod/cash on delivery"
)


def _known() -> dict[str, str | None]:
    """Folded word -> code; None for what says nothing of the freight, a lone dash among it."""
    words: dict[str, str | None] = {fold(word): None for word in ("", *_GOODS.split("/"))}
    for code in PAY_TYPES:
        spellings = [code, *_WORDS[code].split("/")]
        for payers, shapes in ((_CHINESE, _CHINESE_SHAPES), (_ENGLISH, _ENGLISH_SHAPES)):
            spellings += (shape.format(payer) for payer in payers.get(code, "").split("/") if payer for shape in shapes)
        words |= {fold(word): code for word in spellings}
    return words


_KNOWN = _known()


def pay_types(values: pa.StringArray) -> tuple[pa.StringArray, int]:
    """The code (:data:`~parcelveil.waybill.PAY_TYPES`) of each text, null for what is none; how many are not known."""
    encoded = values.dictionary_encode()
    words = [fold(text) for text in encoded.dictionary.to_pylist()]
    codes = pa.array([_KNOWN.get(word) for word in words], pa.string())
    at = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    unknown = np.array([word not in _KNOWN for word in words] + [False])[at]
    return codes.take(encoded.indices), int(unknown.sum())
