"""The part of EC2's instance metadata service (IMDSv2) that the hosts of the check use.

    metadata_service.py ADDRESS PORT FOLDER

Serves credentials of a role, the region, and the two notices. A file FOLDER/<address of a
host>.spot or .rebalance is a notice for that host. Tokens from before the file was created have
expired and get a 401.
"""

import json
import os
import pathlib
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLE = "lakewright"
NOTICES = {"spot/instance-action": "spot", "events/recommendations/rebalance": "rebalance"}
tokens: dict[str, float] = {}
folder = pathlib.Path(sys.argv[3])


class Metadata(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        if self.path != "/latest/api/token" or not self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            return self.answer(400, "")
        token = secrets.token_urlsafe(32)
        tokens[token] = time.time()
        self.answer(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": self.headers["X-aws-ec2-metadata-token-ttl-seconds"]})

    def do_GET(self):
        given_at = tokens.get(self.headers.get("X-aws-ec2-metadata-token", ""))
        item = self.path.removeprefix("/latest/meta-data/").rstrip("/")
        notice = folder / f"{self.client_address[0]}.{NOTICES.get(item, 'none')}"
        if given_at is None or (notice.exists() and given_at < notice.stat().st_mtime):
            return self.answer(401, "")
        if notice.exists():
            return self.answer(200, json.dumps({"action": "terminate", "time": "2030-01-01T00:02:00Z"}))
        if item == "iam/security-credentials":
            return self.answer(200, ROLE)
        if item == f"iam/security-credentials/{ROLE}":
            return self.answer(200, json.dumps({
                "Code": "Success", "Type": "AWS-HMAC", "Token": "session", "LastUpdated": "2026-01-01T00:00:00Z",
                "AccessKeyId": os.environ["AWS_ACCESS_KEY_ID"], "SecretAccessKey": os.environ["AWS_SECRET_ACCESS_KEY"],
                "Expiration": "2040-01-01T00:00:00Z",
            }))
        if item == "placement/region":
            return self.answer(200, "us-east-1")
        if item == "placement/availability-zone":
            return self.answer(200, "us-east-1a")
        self.answer(404, "")

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Metadata).serve_forever()
