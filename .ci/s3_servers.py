#!/usr/bin/env python3
"""s3_servers.py [seaweedfs|moto] -- COMMAND...: runs COMMAND with an independent S3 server.

The server listens on loopback, keeps its data in a temporary folder, and has one empty bucket. The
variables of AWS in the environment of COMMAND name the server, and LAKEWRIGHT_TEST_S3 is a prefix
of the bucket. Exits with the code of COMMAND.
"""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

KEY, SECRET, BUCKET = "AKIACI", "ci-secret", "lakewright"
PATIENCE_SECONDS = 60
PROGRAMS = Path(sys.executable).parent


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def seaweedfs(folder):
    identities = [{"name": "ci", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    s3, master, volume, filer = free_ports(4)
    # By default, each gRPC port is the port plus 10000.
    grpc = free_ports(4)
    command = [
        PROGRAMS / "weed", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false",
        "-volume.max=50", "-master.volumeSizeLimitMB=64", "-filer", "-s3", f"-s3.config={folder}/identities.json",
        f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        # Not needed. Their ports are fixed, so a second server on this machine could not start.
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false",
        f"-s3.port.grpc={grpc[0]}", f"-master.port.grpc={grpc[1]}", f"-volume.port.grpc={grpc[2]}", f"-filer.port.grpc={grpc[3]}",
    ]
    return command, s3


# Moto checks whether an object exists and then stores it, in many threads, so two conditional puts
# may both succeed. S3 guarantees that only one does. Therefore requests are handled one after the
# other.
MOTO_IN_TURN = """
import sys, threading
from moto import server

turn = threading.Lock()

class InTurn(server.DomainDispatcherApplication):
    def __call__(self, environ, start_response):
        with turn:
            return list(super().__call__(environ, start_response))

server.DomainDispatcherApplication = InTurn
server.main(sys.argv[1:])
"""


def moto(_):
    port, = free_ports(1)
    return [sys.executable, "-c", MOTO_IN_TURN, "-H", "127.0.0.1", "-p", str(port)], port


def create_bucket(endpoint, server, log):
    client = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"")
            return
        except Exception as error:  # Any exception: the server is not ready yet.
            if server.poll() is not None or time.monotonic() > deadline:
                print(log.read_text(encoding="utf-8", errors="replace")[-4000:], file=sys.stderr)
                sys.exit(f"error: the server exited, or is not ready after {PATIENCE_SECONDS} s: {error}")
            time.sleep(0.5)


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("seaweedfs", "moto") or sys.argv[2] != "--":
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        command, port = {"seaweedfs": seaweedfs, "moto": moto}[sys.argv[1]](Path(folder))
        endpoint = f"http://127.0.0.1:{port}"
        with open(Path(folder) / "log", "w", encoding="utf-8") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
            try:
                create_bucket(endpoint, server, Path(folder) / "log")
                environment = os.environ | {
                    "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
                    "AWS_ENDPOINT_URL_S3": endpoint, "LAKEWRIGHT_TEST_S3": f"s3://{BUCKET}/tests",
                }
                return subprocess.run(sys.argv[3:], env=environment, check=False).returncode
            finally:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    sys.exit(main())
