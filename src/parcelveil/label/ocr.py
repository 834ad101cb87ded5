"""Text of a picture, by optical character recognition: RapidOCR on ONNX, with the models that its package brings.

::

    if available():
        read_text(image)      # [Line('收件人 李** 138******78', (38.0, 67.0, 491.0, 114.0), 0.95), ...]

Nothing is ever fetched or sent: the models' files are looked for in the package, their paths handed to it, and the
telemetry of ONNX Runtime is switched off. What OCR reads is not always what stands there. It takes a star for a letter
or drops one, so :mod:`~parcelveil.label.rules` counts the digits that show and not the stars.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import DependencyError
from parcelveil.label.pages import Box

_MODELS = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}
#: Lines of which the model itself is not sure say nothing.
LEAST_CONFIDENCE = 0.5
#: Pictures are made this long before they are read, if they are longer: pixels.
LONGEST = 2000
#: Narrower pictures get a margin: the detector makes the shorter side 736 pixels long, whatever the longer one becomes.
_NARROW = 4
#: So much of a character's width, more than between most of a line's characters, is a blank.
_GAP = 0.8
#: The reader keeps what it is told in itself: one picture at a time.
_ONE_AT_A_TIME = Lock()


class ReadLine(NamedTuple):
    """A line that was read, the pixels it spans, how sure the model is (0 to 1), and how far the line runs downhill."""

    text: str
    box: Box
    confidence: float
    slope: float = 0.0  # radians; positive where its end lies lower than its beginning


def available() -> bool:
    """Whether the ``ocr`` extra is installed, models included."""
    return _models() is not None and importlib.util.find_spec("onnxruntime") is not None


def _models() -> dict[str, Path] | None:
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "models"
    found = {name: sorted(folder.glob(pattern)) for name, pattern in _MODELS.items()}
    return {name: files[-1] for name, files in found.items()} if all(found.values()) else None


@cache
def _reader() -> Any:
    models = _models()
    if models is None or importlib.util.find_spec("onnxruntime") is None:
        raise DependencyError(
            "reading text of pictures needs {package}, which is not installed",
            hint="pip install 'parcelveil[ocr]', or give --no-ocr",
            package="rapidocr",
        )
    # ONNX Runtime from 1.29 on tells its maker of every session, and keeps an id on the disk, unless this is set before it
    # is loaded (its Privacy.md; 1.29 knew the second name). What is read here is nobody else's business.
    os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
    from rapidocr import RapidOCR

    paths = {f"{name}.model_path": str(path) for name, path in models.items()}
    options = {
        "Global.log_level": "critical",
        "Global.text_score": LEAST_CONFIDENCE,
        # Two threads read hardly faster, and wait for each other in a loop: half as much time of the processor again.
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    return RapidOCR(params={**paths, **options})


def read_text(
    image: npt.NDArray[np.uint8], *, longest: int = LONGEST, upright: bool = False, blanks: bool = False
) -> list[ReadLine]:
    """The lines of text in a gray picture, shape (height, width), from top to bottom. Raises DependencyError.

    Args:
        image: the picture.
        longest: a picture whose longer side has more pixels is made smaller first.
        upright: the picture stands upright. Otherwise each line that seems to stand on its head is turned round, and
            one in some hundred that does not.
        blanks: put a blank where the gap between two letters or digits is wide and the model saw none.
    """
    height, width = image.shape
    step = 1
    if min(height, width) * _NARROW < max(height, width):
        step = max(1, max(height, width) // longest)  # or the margin would be large
        image = image[::step, ::step]
        least = -(-max(image.shape) // _NARROW)
        margin = [(0, max(0, least - side)) for side in image.shape]
        image = np.pad(image, margin, constant_values=255)
    reader = _reader()
    with _ONE_AT_A_TIME:
        reader.max_side_len = longest
        reader.return_single_char_box = blanks
        colours = np.repeat(image[:, :, None], 3, axis=2)
        found = reader(colours, use_det=True, use_cls=not upright, return_word_box=blanks)
    if found.boxes is None or not found.txts:
        return []
    lines = []
    texts = _spaced(found.txts, found.word_results) if blanks else found.txts
    for corners, text, confidence in zip(found.boxes, texts, found.scores, strict=True):
        (left, top), (right, bottom) = np.min(corners, axis=0) * step, np.max(corners, axis=0) * step
        along = (corners[1] - corners[0]) + (corners[2] - corners[3])
        slope = math.atan2(float(along[1]), float(along[0]))
        box = (float(left), float(top), float(right), float(bottom))
        lines.append(ReadLine(text, box, float(confidence), slope))
    return lines


def read_turned(image: npt.NDArray[np.uint8]) -> list[ReadLine]:
    """Like :func:`read_text`, of a picture that lies on its side: turned to the left or right, as its lines break less.

    Upside down, lines are read too, but oftener in pieces.
    """
    height, width = image.shape
    left = [_moved(line, lambda x, y: (width - y, x)) for line in read_text(np.ascontiguousarray(np.rot90(image)))]
    right = [_moved(line, lambda x, y: (y, height - x)) for line in read_text(np.ascontiguousarray(np.rot90(image, 3)))]
    most = max(map(_said, (left, right)))
    return min((lines for lines in (left, right) if _said(lines) >= 0.9 * most), key=len)


def _spaced(texts: Sequence[str], words: Sequence[Sequence[tuple[str, float, Any]]]) -> list[str]:
    """The texts with the blanks that the model left out, by the places of their characters."""
    left = iter(words)
    chars = next(left, ())
    spaced = []
    for text in texts:
        # Lines without places are left out of them.
        if "".join(char for char, _, _ in chars).replace(" ", "") == text.replace(" ", "") != "":
            spaced.append(_with_blanks(text, [(box[0][0], box[1][0]) for char, _, box in chars if char.strip()]))
            chars = next(left, ())
        else:
            spaced.append(text)
    return spaced


def _with_blanks(text: str, spans: Sequence[tuple[float, float]]) -> str:
    """``text`` with a blank in each gap nearly as wide as a letter between two letters or digits.

    >>> _with_blanks("ab12", [(0, 9), (10, 19), (29, 38), (39, 48)])
    'ab 12'
    """
    if len(spans) < 3 or len(spans) != len(text.replace(" ", "")):
        return text
    gaps = [after[0] - before[1] for before, after in pairwise(spans)]
    least = median(gaps) + _GAP * median(right - left for left, right in spans)
    result = text[:1]
    place = 0
    for before, char in pairwise(text):
        if before != " " != char:
            wide = gaps[place] > least
            result += (
                " " if wide and before.isascii() and char.isascii() and before.isalnum() and char.isalnum() else ""
            )
        place += char != " "
        result += char
    return result


def upside_down(image: npt.NDArray[np.uint8], lines: Sequence[ReadLine]) -> bool:
    """Whether the picture that ``lines`` were read from stands on its head.

    :func:`read_text` turns such lines round by itself, without a word. So the longest ones are read both ways once
    more, each without that help.
    """
    upright = turned = 0.0
    for line in sorted(lines, key=lambda one: one.box[0] - one.box[2])[:3]:
        left, top, right, bottom = (max(0, round(side)) for side in line.box)
        crop = image[top:bottom, left:right]
        if min(crop.shape) >= 4:
            upright += _sure(crop)
            turned += _sure(crop[::-1, ::-1])
    return turned > upright


def _sure(line: npt.NDArray[np.uint8]) -> float:
    """How surely a picture of one line is read as it stands."""
    reader = _reader()
    with _ONE_AT_A_TIME:
        found = reader(np.repeat(line[:, :, None], 3, axis=2), use_det=False, use_cls=False, return_word_box=False)
    return sum(float(score) for score in found.scores or ())


def _said(lines: list[ReadLine]) -> float:
    """How much was read, and how surely."""
    return sum(line.confidence * len(line.text.replace(" ", "")) for line in lines)


def _moved(line: ReadLine, back: Callable[[float, float], tuple[float, float]]) -> ReadLine:
    """A line of a turned picture with its box in the picture as it was."""
    (one, other), (third, fourth) = back(*line.box[:2]), back(*line.box[2:])
    return line._replace(box=(min(one, third), min(other, fourth), max(one, third), max(other, fourth)))
