"""Runs an ONNX file: by onnxruntime where the text extra has brought it, else by OpenCV.

The same numbers come out (to 1e-4 on the models used here); onnxruntime is three to four times as fast, and 80 MB.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


class OnnxSession:
    """One input, the *outputs* named. On one thread: jobs run beside each other, a process each."""

    def __init__(self, file: Path, outputs: Sequence[str]) -> None:
        self._outputs = list(outputs)
        self._session = _session(file)
        self._opencv: Any = None if self._session else cv2.dnn.readNetFromONNX(str(file))

    def run(self, values: Values) -> list[Values]:
        if self._session:
            results = self._session.run(self._outputs, {self._session.get_inputs()[0].name: values})
        else:
            self._opencv.setInput(values)
            results = self._opencv.forward(self._outputs)
        return [np.asarray(result, np.float32) for result in results]


def _session(file: Path) -> Any:
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
