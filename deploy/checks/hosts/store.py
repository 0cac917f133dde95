"""Fills the user's bucket and parameter store.

    store.py FILE KEY [FILE KEY…]            objects of the bucket `lakewright`

LAKEWRIGHT_PARAMETERS is a folder with a worker's certificates, which go to the parameter store.
"""

import os
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3


def objects(arguments):
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region_name="us-east-1")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda file, key: s3.upload_file(file, "lakewright", key), arguments[::2], arguments[1::2]))


def parameters(prefix, folder):
    ssm = boto3.client("ssm", endpoint_url="http://10.77.0.1:5000", region_name="us-east-1")
    for parameter, name in {"ca": "ca.pem", "worker.cert": "worker.pem", "worker.key": "worker.key"}.items():
        ssm.put_parameter(Name=f"{prefix}/{parameter}", Value=(pathlib.Path(folder) / name).read_text(), Type="SecureString")


objects(sys.argv[1:])
if folder := os.environ.get("LAKEWRIGHT_PARAMETERS"):
    parameters("/lakewright", folder)
