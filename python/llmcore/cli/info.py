"""`llmcore info`: what was built, what is used, and which kernel each op runs on."""

import json
import platform
from typing import Any

import click

from llmcore.cli import options


@click.command()
@options.AS_JSON
def info(as_json: bool) -> None:
    """Print the version, the build, the instruction set in use, the devices and each op's backend.

    \b
    Examples:
      llmcore info
      llmcore info --json
      LLMCORE_CPU_ISA=avx2 llmcore info
    """
    facts = collect()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for section, table in facts.items():
        click.echo(section)
        width = max(map(len, table), default=0)
        for name, value in table.items():
            click.echo(f"  {name:<{width}}  {_shown(value)}")


def collect() -> dict[str, dict[str, Any]]:
    """Facts by section, as JSON values: `versions`, `build`, `devices`, `ops`."""
    import torch

    from llmcore import ops, training

    devices: dict[str, Any] = {
        "cpu": {"machine": platform.machine(), "threads": torch.get_num_threads()}
    }
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = {
            "name": properties.name,
            "memory_gib": round(properties.total_memory / 2**30, 1),
            "capability": f"{properties.major}.{properties.minor}",
        }
    return {
        "versions": training.versions(),
        "build": ops.build_info(),
        "devices": devices,
        "ops": ops.op_backends(),
    }


def _shown(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name}: {_shown(item)}" for name, item in value.items())
        case list() | tuple():
            return " ".join(map(str, value)) or "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
