"""The published Python lines, run with only host and key put in, in fresh environments of every Python."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from wheel import Platform, pythons, run_python, the_wheel

# The lines as they are printed; `export` is the shell's. Host and key are put in.
PUBLISHED = [
    """\
export HOKUSAI_API_KEY=hk_live_your_api_key_here
from hokusai import ModelRegistry

registry = ModelRegistry()
models = registry.list_models_by_type("lead_scoring")
""",
    """\
from hokusai import ModelRegistry

registry = ModelRegistry(api_key="hk_live_your_api_key_here")
""",
    """\
from hokusai import setup

setup(
    api_key="hk_live_your_api_key_here",
    validate_with_auth_service=True
)

from hokusai import ModelRegistry
registry = ModelRegistry()
""",
    """\
from hokusai import setup
setup(
    api_key="your_key",
    auth_service_url="https://auth.staging.hokus.ai"
)
""",
    """\
from hokusai import HokusaiClient
client = HokusaiClient(api_key="hk_test_AbCdEfGhIjKlMnOpQrStUvWxYz123456")
models = client.list_models()
""",
]
# What shows that the lines did something.
THEN = [
    "assert 'Published' in [model.name for model in models]",
    "assert 'Published' in [model.name for model in registry.list_models_by_type('lead_scoring')]",
    "assert 'Published' in [model.name for model in registry.list_models_by_type('lead_scoring')]",
    "from hokusai import HokusaiClient\nassert HokusaiClient().validate().user_id == 'admin'",
    "assert 'Published' in [model.name for model in models]",
]
SAMPLE_KEY = re.compile(r"hk_\w+_your_api_key_here|hk_test_\w{32}|(?<=\")your_key(?=\")")
SHELL = re.compile(r"^export (\w+)=(\S+)$", re.MULTILINE)


@pytest.fixture(scope="module", params=pythons(), ids=lambda python: python.parent.parent.name)
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel in it."""
    environment = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([request.param, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--python", environment / "bin/python"]
    install = [*pip, "install", "--quiet", "--no-index", "--disable-pip-version-check", the_wheel()]
    subprocess.run(install, check=True)
    return environment


@pytest.fixture(scope="module")
def published(platform: Platform) -> Platform:
    """A platform of its own with one model, and a key that the quickstart makes."""
    bearer = {"Authorization": f"Bearer {platform.token}"}
    model = {"name": "Published", "model_type": "lead_scoring"}
    answer = requests.post(f"{platform.url}/api/v1/models", headers=bearer, json=model, timeout=30)
    assert answer.status_code in (201, 409), answer.text
    wish = {"name": "My First Key", "service_id": "prediction", "scopes": ["predict"], "environment": "test"}
    answer = requests.post(f"{platform.url}/api/v1/keys", headers=bearer, json=wish, timeout=30)
    return platform._replace(key=answer.json()["api_key"])


@pytest.mark.parametrize("number", range(len(PUBLISHED)))
def test_the_published_lines_run(published: Platform, fresh: Path, tmp_path: Path, number: int) -> None:
    lines = SAMPLE_KEY.sub(published.key, PUBLISHED[number])
    lines = lines.replace("https://auth.staging.hokus.ai", published.url)
    variables = {**published.variables, "HOME": str(tmp_path), **dict(SHELL.findall(lines))}
    done = run_python(fresh / "bin/python", SHELL.sub("", lines) + THEN[number], variables, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_wheel_brings_module_and_commands_and_needs_nothing(
    published: Platform, fresh: Path, tmp_path: Path
) -> None:
    program = """if True:
        from importlib.metadata import distributions
        print(*sorted(found.name for found in distributions()))
        from importlib.metadata import requires
        print(requires("hokusai"))
    """
    done = run_python(fresh / "bin/python", program, published.variables, tmp_path)
    assert done.stdout.splitlines() == ["hokusai", "None"], done.stderr
    variables = {**published.variables, "HOKUSAI_API_KEY": published.key}
    command = [fresh / "bin/hokusai", "auth", "validate"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_import_is_quick(fresh: Path, published: Platform, tmp_path: Path) -> None:
    # The processor's time, and the least of it: what else the machine does would be measured as well.
    program = "import time; began = time.process_time(); import hokusai; print(time.process_time() - began)"
    took = [
        float(run_python(fresh / "bin/python", program, published.variables, tmp_path).stdout)
        for _ in range(7)
    ]
    assert min(took) <= 0.050, took
