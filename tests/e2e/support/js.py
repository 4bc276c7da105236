"""matrix-js-sdk and matrix-encrypt-attachment, as Element Web uses them, in a Node process for each list of steps."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest

from .homeserver import User
from .processes import INSTALL, REPOSITORY, executable

SCRIPTS = REPOSITORY / "tests" / "e2e" / "js"


def node_modules() -> Path:
    """The folder that holds `node_modules`."""
    folder = Path(os.environ.get("LAZARET_E2E_JS") or REPOSITORY / "target" / "e2e-js").resolve()
    if not (folder / "node_modules" / "matrix-js-sdk").is_dir():
        pytest.fail(f"matrix-js-sdk is not in {folder}: {INSTALL}", pytrace=False)
    return folder


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decoded(result: dict, name: str = "data") -> bytes:
    assert name in result, f"no {name} in {result}"
    return base64.b64decode(result[name])


def node(script: str, request: dict | list, *arguments: str) -> list:
    """Runs one of the scripts, which reads JSON and writes a list."""
    process = subprocess.run(
        [executable("node"), str(SCRIPTS / script), *arguments],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def run(base: str, user: User | None, *steps: dict) -> list[dict]:
    """What came of each step; a failed one is `{"error": ...}`, as the client sees it."""
    request = {"base": base, "token": user.token if user else None, "steps": steps}
    return node("client.mjs", request, str(node_modules()))


def run_one(base: str, user: User | None, step: str, **parameters) -> dict:
    (result,) = run(base, user, {"step": step, **parameters})
    return result
