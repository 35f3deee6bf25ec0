"""Generates Python code and type stubs from protos/ into build/protos.

Runs as a hatchling build hook (wheels and editable installs) and as a program
(`make protos`): one code path, so an edit and a release cannot differ.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program where hatchling is not installed
    BuildHookInterface = object  # type: ignore[assignment,misc]  # only the program is used then

OUTPUT = Path("build/protos")


def generate(root: Path) -> None:
    """Writes build/protos/holdfast anew from every contract below protos/holdfast.

    Args:
        root: The project's folder.

    Raises:
        RuntimeError: protoc refused a contract; its own words are on stderr.
    """
    protos = root / "protos"
    target = root / OUTPUT
    fresh = target.with_name("protos.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    well_known = Path(sysconfig.get_path("purelib")) / "grpc_tools" / "_proto"
    if not well_known.is_dir():
        import grpc_tools  # noqa: PLC0415  # only where the usual folder is not it

        well_known = Path(grpc_tools.__file__).parent / "_proto"
    contracts = sorted(str(p.relative_to(protos)) for p in (protos / "holdfast").rglob("*.proto"))
    plugins = _plugin_wrappers(fresh)
    command = [
        sys.executable, "-m", "grpc_tools.protoc",
        f"-I{protos}", f"-I{well_known}",
        f"--plugin=protoc-gen-mypy={plugins['mypy']}",
        f"--plugin=protoc-gen-mypy_grpc={plugins['mypy_grpc']}",
        f"--python_out={fresh}", f"--grpc_python_out={fresh}",
        f"--mypy_out=quiet:{fresh}", f"--mypy_grpc_out=quiet,only_async:{fresh}",
        *contracts,
    ]  # fmt: skip
    if subprocess.run(command, check=False).returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        raise RuntimeError("protoc failed; see above")
    for plugin in plugins.values():
        plugin.unlink()
    for folder in [fresh / "holdfast", *(d for d in (fresh / "holdfast").rglob("*") if d.is_dir())]:
        (folder / "__init__.py").write_text("", encoding="utf-8")
        (folder / "py.typed").touch()
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def _plugin_wrappers(folder: Path) -> dict[str, Path]:
    """The stub plugins as executables: their scripts may not be on PATH."""
    wrappers = {}
    for name, module in (("mypy", "main"), ("mypy_grpc", "grpc")):
        wrapper = folder / f"protoc-gen-{name}"
        program = f"from mypy_protobuf.main import {module}; {module}()"
        # Not Python itself behind "#!": the kernel takes no path with a space there.
        wrapper.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{program}"\n', encoding="utf-8"
        )
        wrapper.chmod(0o755)
        wrappers[name] = wrapper
    return wrappers


class ContractBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]  # object without hatchling
    """Generates before hatchling collects files."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Hatchling's entry point: ``version`` is "standard" or "editable"."""
        if self.target_name == "sdist":
            return
        generate(Path(self.root))
        if version != "editable":  # an editable install reads build/protos where it is
            build_data["force_include"][str(Path(self.root) / OUTPUT / "holdfast")] = "holdfast"


if __name__ == "__main__":
    generate(Path(__file__).resolve().parent)
