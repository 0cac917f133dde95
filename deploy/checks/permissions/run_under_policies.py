"""Runs a coordinator and two workers on data/ under exactly the policies that Terraform gives them,
over mTLS with certificates like those of Terraform; then runs vacuum.

    run_under_policies.py RENDERED REPOSITORY BINARIES
"""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "policies"))
from rendered_resources import rendered_resources  # noqa: E402
from rendered_certificates import write_certificates  # noqa: E402
from s3_with_policies import make_older, serve  # noqa: E402

BUCKET = "company-lake"
POLICIES = {
    "worker": ['module.machines.aws_iam_role_policy.lake["worker"]'],
    "coordinator": ['module.machines.aws_iam_role_policy.lake["coordinator"]'],
    "vacuum": ["module.lake.aws_iam_role_policy.vacuum"],
}
TABLES = {"songs", "artists", "users", "songplays", "time"}


def main(rendered, repository, binaries):
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    found = {made["address"]: made["values"] for made in rendered_resources(rendered / "minimal.json")}
    policies = {role: [statement for address in addresses for statement in json.loads(found[address]["policy"])["Statement"]]
                for role, addresses in POLICIES.items()}
    url, gate = serve(policies)
    upload(url, repository / "data")
    with tempfile.TemporaryDirectory() as scratch:
        lake_toml = next(values["content"] for address, values in found.items() if address.endswith("aws_s3_object.lake_toml"))
        port = free_port()
        write_certificates(Path(scratch), found, "localhost")
        Deployment(url, gate, binaries, write_project(Path(scratch), repository, lake_toml, port), port).check()


def write_project(folder, repository, lake_toml, port):
    (folder / "models").symlink_to(repository / "models")
    # The rendered project, with a free port of this machine.
    lake_toml = lake_toml.replace("0.0.0.0:50051", f"127.0.0.1:{port}").replace('worker_timeout = "15m"', 'worker_timeout = "30s"')
    (folder / "lake.toml").write_text(lake_toml)
    return folder / "lake.toml"


class Deployment:
    def __init__(self, url, gate, binaries, config, port):
        self.url, self.gate, self.binaries, self.config, self.port = url, gate, binaries, config, port

    def check(self):
        workers = [self.start("worker", "worker", "--coordinator", f"localhost:{self.port}", "--name", name, *self.tls()) for name in "ab"]
        try:
            self.coordinator("coordinator", "run")
            tables = json.loads(self.coordinator("coordinator", "tables", "--json"))
            if {table["table"] for table in tables} != TABLES or not all(table["rows"] for table in tables):
                sys.exit(f"not the five tables: {tables}")
            self.coordinator("coordinator", "run")
        finally:
            for worker in workers:
                worker.send_signal(signal.SIGTERM)
            codes = [worker.wait(timeout=30) for worker in workers]
        if codes != [0, 0]:
            sys.exit(f"the workers ended with {codes}")
        self.expect_denied()
        # Spool and quarantine files that the coordinator could not delete are old enough for vacuum
        # two days later.
        make_older(BUCKET, "lake/", days=2)
        self.coordinator("vacuum", "vacuum", "--retention", "24h", "--delete")
        self.report()

    def tls(self):
        folder = self.config.parent
        return ["--ca", folder / "ca.pem", "--cert", folder / "worker.pem", "--key", folder / "worker.key"]

    def environment(self, role):
        folder = self.config.parent
        return {
            "LAKEWRIGHT__CLUSTER__CA": str(folder / "ca.pem"),
            "LAKEWRIGHT__CLUSTER__CERT": str(folder / "coordinator.pem"),
            "LAKEWRIGHT__CLUSTER__KEY": str(folder / "coordinator.key"),
            "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL_S3": self.url, "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": role, "AWS_SECRET_ACCESS_KEY": "none",
            # Several splits for each log, so that line numbers of rejected records must be
            # corrected afterwards.
            "LAKEWRIGHT__LIMITS__SPLIT_BYTES": "64KiB",
        }

    def start(self, role, program, *arguments):
        return subprocess.Popen(
            [self.binaries / program, *arguments], env=self.environment(role), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def coordinator(self, role, *arguments):
        ended = subprocess.run(
            [self.binaries / "coordinator", "--config", self.config, *arguments],
            env=self.environment(role), capture_output=True, text=True, timeout=120,
        )
        if ended.returncode != 0:
            sys.exit(f"{' '.join(arguments)} ended with {ended.returncode}:\n{ended.stderr}\ndenied:\n" + "\n".join(self.gate.denied))
        return ended.stdout

    def expect_denied(self):
        """Checks that a worker that misbehaves cannot commit, and that only vacuum can delete."""
        committed = next(key for key in self.keys() if "/_lake/manifest/" in key)
        for role, what in (
            ("worker", lambda s3: s3.put_object(Bucket=BUCKET, Key="lake/_lake/manifest/00000000000000000099.json", Body=b"{}")),
            ("worker", lambda s3: s3.put_object(Bucket=BUCKET, Key="lake/songs/_delta_log/00000000000000000009.json", Body=b"{}")),
            ("worker", lambda s3: s3.put_object(Bucket=BUCKET, Key="lake/songs/_symlink_format_manifest/manifest", Body=b"")),
            ("worker", lambda s3: s3.put_object(Bucket=BUCKET, Key="lake/_lake/consistent/latest", Body=b"{}")),
            ("worker", lambda s3: s3.delete_object(Bucket=BUCKET, Key=committed)),
            ("worker", lambda s3: s3.put_object(Bucket=BUCKET, Key="data/new.json", Body=b"{}")),
            ("coordinator", lambda s3: s3.delete_object(Bucket=BUCKET, Key=committed)),
            ("coordinator", lambda s3: s3.put_object(Bucket=BUCKET, Key="data/new.json", Body=b"{}")),
            ("vacuum", lambda s3: s3.put_object(Bucket=BUCKET, Key=committed, Body=b"{}")),
            ("vacuum", lambda s3: s3.delete_object(Bucket=BUCKET, Key="data/song_data/gone.json")),
            ("nobody", lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="lake/")),
        ):
            try:
                what(client(self.url, role))
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 403:
                    self.gate.denied.pop()
                    continue
                raise
            sys.exit(f"{role} did what it must not be able to do")

    def keys(self):
        pages = client(self.url, "setup").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="lake/")
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def report(self):
        """Checks that only deletions were denied: the coordinator tries to clean up, which it may
        not and need not.
        """
        for denied in self.gate.denied:
            if not re.match(r"coordinator: POST .*'s3:DeleteObject'.*/lake/_lake/(spool|quarantine)/", denied):
                sys.exit(f"denied: {denied}")
        made = {role: {action: count for (who, action), count in self.gate.made.items() if who == role} for role in POLICIES}
        for role, actions in made.items():
            print(f"{role}: " + ", ".join(f"{count} {action}" for action, count in sorted(actions.items())))
        if not (made["worker"].get("s3:PutObject") and made["coordinator"].get("s3:PutObject") and made["vacuum"].get("s3:DeleteObject")):
            sys.exit("the requests that this is about were not made")
        if any("/_lake/spool/" in key for key in self.keys()):
            sys.exit("vacuum left the spool")


def upload(url, data):
    s3 = client(url, "setup")
    s3.create_bucket(Bucket=BUCKET)
    for file in sorted(data.rglob("*.json")):
        if file.relative_to(data).parts[0] in ("song_data", "log_data"):
            # One unreadable record in each log, so that there is a quarantine.
            rejected = b"no JSON\n" if file.relative_to(data).parts[0] == "log_data" else b""
            s3.put_object(Bucket=BUCKET, Key=f"data/{file.relative_to(data)}", Body=file.read_bytes() + rejected)


def client(url, role):
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=role, aws_secret_access_key="none")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
