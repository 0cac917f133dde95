#!/usr/bin/env python3
"""s3_roles.py COORDINATOR: checks the policies of docs/s3.md on a server that enforces them (moto;
see s3_servers.py).

A user who may only assume roles runs COORDINATOR, with the roles in the setting `role`.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import boto3

SOURCES, LAKE = "udacity-dend", "analytics"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
HEADINGS = {"coordinator": "The coordinator", "reader": "Readers"}


def documented(heading):
    """Returns the policy below a heading of docs/s3.md in the form that moto accepts."""
    page = Path("docs/s3.md").read_text(encoding="utf-8")
    policy = json.loads(re.search(rf"\n### {re.escape(heading)}\n.*?```json\n(.*?)```", page, re.DOTALL).group(1))
    for statement in policy["Statement"]:
        # AWS requires s3:ListBucket for HeadBucket; moto has another action for it.
        if statement["Action"] == "s3:ListBucket":
            statement["Action"] = ["s3:ListBucket", "s3:HeadBucket"]
    return json.dumps(policy)


def main():
    coordinator = str(Path(sys.argv[1]).resolve())
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    s3, iam = (boto3.client(name, endpoint_url=endpoint, region_name="us-east-1") for name in ("s3", "iam"))
    for bucket in (SOURCES, LAKE):
        s3.create_bucket(Bucket=bucket)
    for folder in ("song_data", "log_data"):
        for file in Path("data", folder).rglob("*.json"):
            s3.upload_file(str(file), SOURCES, str(file.relative_to("data")))
    arns = {}
    for role, heading in HEADINGS.items():
        arns[role] = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.put_role_policy(RoleName=role, PolicyName="documented", PolicyDocument=documented(heading))
    iam.create_user(UserName="nobody")
    assume = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": list(arns.values())}]}
    iam.put_user_policy(UserName="nobody", PolicyName="assume", PolicyDocument=json.dumps(assume))
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    # Enforce the policies from now on.
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"})).close()

    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"], "AWS_ENDPOINT_URL_STS": endpoint,
    }

    def run(role, *arguments):
        text = Path("lake.toml").read_text(encoding="utf-8")
        text = text.replace('url = "lake"', f'url = "s3://{LAKE}/lake"').replace('url = "data/', f'url = "s3://{SOURCES}/')
        for bucket in (SOURCES, LAKE):
            text += f'\n[storage."s3://{bucket}"]\nattempts = 2\n' + (f'role = "{arns[role]}"\n' if role else "")
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "lake.toml").write_text(text, encoding="utf-8")
            Path(folder, "models").symlink_to(Path("models").resolve())
            command = [coordinator, "--config", f"{folder}/lake.toml", *arguments]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    count = ("query", "SELECT count(*) AS n FROM songplays", "--csv")
    for role, arguments, code, part in (
        (None, ("run",), 3, "403"),
        ("reader", ("run",), 3, "403"),
        ("coordinator", ("run",), 0, "committed version 1"),
        (None, count, 3, "403"),
        ("reader", count, 0, "n\n"),
    ):
        found, text = run(role, *arguments)
        if found != code or part not in text:
            print(f"error: `{' '.join(arguments)}` as {role} ended with {found}, not with {code} and `{part}`:\n{text}", file=sys.stderr)
            return 1
        print(f"{' '.join(arguments)} as {role}: {code}, as expected")
    return 0


if __name__ == "__main__":
    sys.exit(main())
