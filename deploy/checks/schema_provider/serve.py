"""Terraform providers that have only a schema: they validate, but cannot plan or apply.

    serve.py SCHEMAS COMMAND…

`terraform test` requests only the schema of a mocked provider, so this is enough. The command runs
with TF_REATTACH_PROVIDERS, so that Terraform uses running providers: starting two for each run of a
test would cost half a second a run. SCHEMAS is a folder that schemas.py has filled with the bytes
of a GetProviderSchema response for each.
"""

import json
import os
import subprocess
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc

PROVIDER = "/tfplugin6.Provider/"
# An empty message of protocol 6 means that there are no diagnostics.
EMPTY = {
    PROVIDER + "ValidateProviderConfig",
    PROVIDER + "ValidateResourceConfig",
    PROVIDER + "ValidateDataResourceConfig",
    PROVIDER + "StopProvider",
    "/plugin.GRPCController/Shutdown",
}


class Handlers(grpc.GenericRpcHandler):
    def __init__(self, schema):
        self.schema = schema

    def service(self, call):
        # Messages are passed as bytes, because only the schema has content, and it is already
        # encoded.
        if call.method == PROVIDER + "GetProviderSchema":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: self.schema)
        if call.method in EMPTY:
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
        if call.method.startswith(PROVIDER):
            return grpc.unary_unary_rpc_method_handler(refuse)
        return None


def refuse(request, context):
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "this provider has a schema only: use it with mock_provider")


def serve(schema, socket):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers([Handlers(schema.read_bytes())])
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    return server


def main(folder, command):
    with tempfile.TemporaryDirectory() as scratch:
        running, reattach = [], {}
        for schema in sorted(folder.glob("*.schema")):
            socket = f"{scratch}/{schema.stem}.sock"
            running.append(serve(schema, socket))
            address = {"Network": "unix", "String": socket}
            reattach[f"hashicorp/{schema.stem}"] = {
                "Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address,
            }
        environment = {**os.environ, "TF_REATTACH_PROVIDERS": json.dumps(reattach)}
        code = subprocess.run(command, env=environment).returncode
        for server in running:
            server.stop(grace=None)
        return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
