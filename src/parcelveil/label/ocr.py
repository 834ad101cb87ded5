"""Text of a picture, by optical character recognition: RapidOCR on ONNX, with the models that its package brings.

::

    if available():
        read_text(image)      # [Line('收件人 李** 138******78', (38.0, 67.0, 491.0, 114.0), 0.95), ...]

Nothing is ever fetched: the models' files are looked for in the package, and their paths handed to it. What OCR reads
is not always what stands there. It takes a star for a letter or drops one, so :mod:`~parcelveil.label.rules` counts the
digits that show and not the stars.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from parcelveil.errors import DependencyError
from parcelveil.label.pages import Box

_MODELS = {"Det": "*_det_*.onnx", "Cls": "*_cls_*.onnx", "Rec": "*_rec_*.onnx"}
#: Lines of which the model itself is not sure say nothing.
LEAST_CONFIDENCE = 0.5


class ReadLine(NamedTuple):
    """A line that was read, the pixels it spans, and how sure the model is (0 to 1)."""

    text: str
    box: Box
    confidence: float


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
    from rapidocr import RapidOCR

    paths = {f"{name}.model_path": str(path) for name, path in models.items()}
    return RapidOCR(params={**paths, "Global.log_level": "critical", "Global.text_score": LEAST_CONFIDENCE})


def read_text(image: npt.NDArray[np.uint8]) -> list[ReadLine]:
    """The lines of text in a gray picture, shape (height, width), from top to bottom. Raises DependencyError."""
    found = _reader()(np.repeat(image[:, :, None], 3, axis=2))
    if found.boxes is None or not found.txts:
        return []
    lines = []
    for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
        (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
        lines.append(ReadLine(text, (float(left), float(top), float(right), float(bottom)), float(confidence)))
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


def _said(lines: list[ReadLine]) -> float:
    """How much was read, and how surely."""
    return sum(line.confidence * len(line.text.replace(" ", "")) for line in lines)


def _moved(line: ReadLine, back: Callable[[float, float], tuple[float, float]]) -> ReadLine:
    """A line of a turned picture with its box in the picture as it was."""
    (one, other), (third, fourth) = back(*line.box[:2]), back(*line.box[2:])
    return line._replace(box=(min(one, third), min(other, fourth), max(one, third), max(other, fourth)))
