"""Child processes that decode files of strangers: what they get of their parent, and what they may not take."""

import ctypes
import os
import sys

_PR_SET_DUMPABLE = 4

_INHERITED = {
    *("PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
    # Where native libraries lie, and how they use memory, processors and cores.
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTEROP_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH", "ORT_DISABLE_TELEMETRY"),
    # Where weights lie, and whom to trust when they are fetched. A proxy's address may hold a password.
    *("DOCTR_CACHE_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
}
_INHERITED_PREFIXES = ("LC_", "OMP_")


def child_environment() -> dict[str, str]:
    """What of this process's environment a child gets: what is named here, and so no credentials, no addresses."""
    return {
        name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }


def close_to_children() -> None:
    """Keeps processes of the same user from reading this one's environment and memory. Linux only; root still can.

    What it starts is not bound by it. Nor does this process leave core dumps any more.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
