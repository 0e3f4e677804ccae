"""`python -m tests.support.aws SERVICE OPERATION --option VALUE...`: AWS's command line, as far as documents use it.

Operations, options and the shapes of their values are those of boto3's models; an unknown one is an error, as it is
there. Addresses and credentials come from the environment. The answer is printed as JSON.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore import xform_name
from botocore.model import Shape

_SERVICES = {"s3api": "s3"}
_RENAMED = {("subscribe", "endpoint"): "notification-endpoint"}
"""The command line has options of its own with these names."""


def main(words: Sequence[str]) -> None:
    """Makes one call and prints what is answered."""
    service, operation, *options = words
    client = boto3.session.Session().client(_SERVICES.get(service, service))  # type: ignore[call-overload]
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    parser = argparse.ArgumentParser(
        prog=f"aws {service} {operation}", allow_abbrev=False, argument_default=argparse.SUPPRESS
    )
    for name, member in shape.members.items():
        option = xform_name(name, "-")
        option = _RENAMED.get((operation, option), option)
        parser.add_argument(
            f"--{option}", dest=name, type=partial(_value, member), required=name in shape.required_members
        )
    answer = getattr(client, method)(**vars(parser.parse_args(options)))
    print(json.dumps({name: value for name, value in answer.items() if name != "ResponseMetadata"}, default=str))


def _value(shape: Shape, text: str) -> Any:
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text("utf-8")
    return json.loads(text) if shape.type_name in ("structure", "list", "map") else text


if __name__ == "__main__":
    main(sys.argv[1:])
