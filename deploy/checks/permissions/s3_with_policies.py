"""An S3 server that enforces the rendered IAM policies: moto, behind a gate that answers 403 like
AWS.

The access key of a request is the name of its role. The gate supports what these policies use:
Allow and Deny, actions, resources with `*`, and conditions on `s3:prefix`. It denies every request
that it does not know.
"""

import io
import re
import threading
from collections import Counter
from datetime import timedelta
from fnmatch import fnmatchcase
from urllib.parse import parse_qs, unquote

from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

DENIED = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


class Gate:
    """A WSGI application in front of moto."""

    def __init__(self, policies):
        self.policies = policies
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.made, self.denied = Counter(), []

    def __call__(self, environ, start_response):
        who = re.search(r"Credential=([\w-]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        who = who[1] if who else "nobody"
        if who == "setup":
            return self.moto(environ, start_response)
        asked = list(self.asked_for(environ))
        if not asked or not all(self.allows(who, *request) for request in asked):
            return self.deny(who, environ, asked, start_response)
        self.made.update((who, action) for action, _, _ in asked)
        if any(action == "s3:GetObject" for action, _, _ in asked) and not self.allows(who, "s3:ListBucket", bucket_of(asked), None):
            start_response = self.hide_what_is_missing(who, environ, asked, start_response)
        return self.moto(environ, start_response)

    def deny(self, who, environ, asked, start_response):
        self.denied.append(f"{who}: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']} {asked}")
        start_response("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(DENIED)))])
        return [DENIED]

    def hide_what_is_missing(self, who, environ, asked, start_response):
        """Answers 403 instead of 404 for a missing object (HeadObject, GetObject) if the role may
        not list the bucket.
        """

        def start(status, headers, *rest):
            if status.startswith("404"):
                self.denied.append(f"{who}: 404 hidden: {environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
                status = "403 Forbidden"
            return start_response(status, headers, *rest)

        return start

    def asked_for(self, environ):
        """Yields (action, resource, prefix) of a request; nothing for an unknown one."""
        method, query = environ["REQUEST_METHOD"], parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
        arn = f"arn:aws:s3:::{bucket}"
        if not key:
            if method == "POST" and "delete" in query:
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                environ["wsgi.input"] = io.BytesIO(body)
                for name in re.findall(rb"<Key>(.*?)</Key>", body):
                    yield "s3:DeleteObject", f"{arn}/{name.decode()}", None
            elif method == "GET" and "uploads" in query:
                yield "s3:ListBucketMultipartUploads", arn, query.get("prefix", [None])[0]
            elif method == "GET" and (not query.keys() & {"location", "versions", "versioning", "policy", "acl"}):
                yield "s3:ListBucket", arn, query.get("prefix", [None])[0]
            elif method == "HEAD":
                yield "s3:ListBucket", arn, None
            return
        object_ = f"{arn}/{key}"
        if method in ("GET", "HEAD") and "uploadId" not in query:
            yield "s3:GetObject", object_, None
        elif method == "PUT" or (method == "POST" and query.keys() & {"uploads", "uploadId"}):
            yield "s3:PutObject", object_, None
            if "HTTP_X_AMZ_COPY_SOURCE" in environ:
                yield "s3:GetObject", f"arn:aws:s3:::{unquote(environ['HTTP_X_AMZ_COPY_SOURCE']).lstrip('/')}", None
        elif method == "DELETE":
            yield "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject", object_, None

    def allows(self, who, action, resource, prefix):
        effects = {
            statement["Effect"] for statement in self.policies.get(who, [])
            if action in statement["Action"]
            and any(fnmatchcase(resource, pattern.replace("[", "[[]")) for pattern in statement["Resource"])
            and all(holds(operator, wanted, prefix) for operator, wanted in statement.get("Condition", {}).items())
        }
        return effects == {"Allow"}


def holds(operator, wanted, prefix):
    if set(wanted) != {"s3:prefix"} or operator not in ("StringLike", "StringLikeIfExists"):
        return False
    if prefix is None:
        return operator.endswith("IfExists")
    return any(fnmatchcase(prefix, pattern) for pattern in wanted["s3:prefix"])


def bucket_of(asked):
    return asked[0][1].split("/")[0]


def serve(policies):
    """Starts the server on a free port of this machine. Returns its URL and the gate."""
    gate = Gate(policies)
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.port}", gate


def make_older(bucket, prefix, days):
    """Changes when objects were written, as if days had passed."""
    for backend in s3_backends["123456789012"].values():
        for name, key in backend.buckets[bucket].keys.items() if bucket in backend.buckets else []:
            if name.startswith(prefix):
                key.last_modified -= timedelta(days=days)
