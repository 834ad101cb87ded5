"""Why something was found, in words: findings carry short codes, people read sentences in their own language.

::

    >>> reason_words("check; cue:身份证; beside a phone", "en")
    'the check digit fits; "身份证" stands before it; a phone stands beside it'
    >>> reason_words("weak check; column:phone", "zh")
    '校验只部分符合；列名表明是此类内容'

A reason is a list of codes joined by :data:`JOINT`. A code may carry a word behind a colon (a cue, a kind); such a word
comes from the rules, never from what was read. A code that this table does not know is shown as it is.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["en", "zh"]

#: Between two codes of one reason.
JOINT = "; "

#: The code of a finding that a comment in its line allows; see allowlist.
ALLOWED_HERE = "allowed here"

#: Code -> what it says in English and in Chinese. ``{}`` is the word behind the code's colon.
REASONS: dict[str, tuple[str, str]] = {
    # what the value itself shows
    "shape": ("it has the form", "符合格式"),
    "check": ("the check digit fits", "校验通过"),
    "weak check": ("the check fits only in part", "校验只部分符合"),
    "masked": ("it is masked already", "已脱敏"),
    "sealed": ("parcelveil sealed it", "已由 parcelveil 加密"),
    "extension": ("a number with an extension: a virtual one", "带分机号，属于虚拟号码"),
    "joined": ("it is a part of something longer", "是更长内容的一部分"),
    "custom": ("a rule of one's own fits", "符合自定义规则"),
    # what stands around it
    "cue": ('"{}" stands before it', "前面有“{}”"),
    "against": ('"{}" before it speaks against it', "前面的“{}”表明可能不是"),
    "column": ("its column is named for it", "列名表明是此类内容"),
    "other column": ("its column is named for something else", "所在列名属于其他内容"),
    ALLOWED_HERE: ("a comment in its line allows it", "所在行的注释已允许"),
    # names and addresses
    "cue before": ("a word that announces it stands before it", "前面有提示词"),
    "beside a phone": ("a phone stands beside it", "旁边有电话号码"),
    "column name": ("its column is named for it", "列名表明是此类内容"),
    "column content": ("the other cells of its column are like it", "同列其他单元格也是此类内容"),
    "title behind": ("a title stands behind it", "后面有称谓"),
    "verb behind": ("what people do stands behind it", "后面是人的动作"),
    "province, road, number": ("the parts of an address follow each other", "省、路、门牌号等依次出现"),
    "number, street": ("number and street follow each other", "门牌号与街名相连"),
}


def reason_words(reason: str, language: Language) -> str:
    """What a finding's ``reason`` says in ``language``."""
    side = 1 if language == "zh" else 0
    return ("；" if language == "zh" else JOINT).join(_words(code, side) for code in reason.split(JOINT) if code)


def _words(code: str, side: int) -> str:
    if code in REASONS:
        return REASONS[code][side]
    name, colon, word = code.partition(":")
    if colon and name in REASONS:
        return REASONS[name][side].replace("{}", word)
    return code
