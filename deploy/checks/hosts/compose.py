"""Interprets compose.yaml like a container engine, and starts its services without one.

    compose.py check                               checks it against the compose specification
    compose.py run NAMESPACE CONTAINER FOLDER      starts its services in one network namespace, from a working
                                                   container of buildah; exits with the code of `coordinator`

All services share one network, so their names resolve to loopback. SeaweedFS is the program of the
same version from PyPI, because its image is not available here.
"""

import copy
import os
import pathlib
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import compose_spec
import yaml
from botocore.config import Config

FILE = pathlib.Path(__file__).parents[2] / "container" / "compose.yaml"
ROOT = FILE.parents[2]


def interpolated():
    """Expands `${NAME:-default}` as the specification says."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: os.environ.get(found[1], found[2]), FILE.read_text())


def check():
    try:
        compose_spec.PyOptions(apply_merge=True).from_yaml(interpolated()).validate()
    except ValueError as error:
        sys.exit(f"does not hold: compose.yaml: {error}")
    services = yaml.safe_load(interpolated())["services"]
    if sorted(services) != ["coordinator", "s3", "worker"] or services["worker"]["deploy"]["replicas"] != 2:
        sys.exit("does not hold: compose.yaml is not a coordinator, two workers and an S3 server")
    for name in ("coordinator", "worker"):
        if not services[name]["read_only"] or services[name]["cap_drop"] != ["ALL"]:
            sys.exit(f"does not hold: {name} of compose.yaml is not confined")
    for port in [port for service in services.values() for port in service.get("ports", [])]:
        if not port.startswith("127.0.0.1:"):
            sys.exit(f"does not hold: compose.yaml opens {port} to the network")


class Services:
    def __init__(self, namespace, container, folder):
        self.services = yaml.safe_load(interpolated())["services"]
        self.inside = ["ip", "netns", "exec", namespace]
        # Options for the storage, then the name of the container.
        self.container = container.split()
        self.folder = pathlib.Path(folder)
        self.started = []
        hosts = "".join(f"127.0.0.1 {name}\n" for name in ["localhost", *self.services])
        (self.folder / "hosts").write_text(hosts)

    def command(self, name, overriding=None):
        """Returns how an engine starts a service of our image: entry point, command, environment
        and volumes.
        """
        service = self.services[name]
        options = [f"--env={key}={value}" for key, value in service["environment"].items()]
        for volume in service.get("volumes", []):
            source, target, mode = volume.split(":")
            options.append(f"--volume={(FILE.parent / source).resolve()}:{target}:{mode}")
        options.append(f"--volume={self.folder}/hosts:/etc/hosts:ro")
        entrypoint = service.get("entrypoint", ["/usr/local/bin/coordinator"])
        command = overriding or service.get("command", ["--config", "/project/lake.toml", "run"])
        *storage, container = self.container
        return [*self.inside, "buildah", *storage, "run", "--isolation=chroot", "--no-hosts", *options, container, "--", *entrypoint, *command]

    def start(self, name, command, environment=None):
        log = open(self.folder / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        self.started.append(process)
        return process

    def start_s3(self):
        service = self.services["s3"]
        data = self.folder / "s3"
        data.mkdir()
        program = pathlib.Path(sys.executable).parent / "weed"
        command = [argument.replace("-dir=/tmp", f"-dir={data}") for argument in service["command"]]
        self.start("s3", [*self.inside, program, *command], os.environ | service["environment"])

    def stop(self):
        for process in self.started:
            # SeaweedFS takes half a minute to shut down in an orderly way.
            process.kill() if process is self.started[0] else process.terminate()
        for process in self.started:
            process.wait()


def run(namespace, container, folder):
    services = Services(namespace, container, folder)
    try:
        services.start_s3()
        # Uploads the data like the commands at the top of compose.yaml, through the port that it
        # publishes.
        upload = [*services.inside, sys.executable, __file__, "upload"]
        subprocess.run(upload, check=True, env=os.environ | services.services["s3"]["environment"])
        for i in range(services.services["worker"]["deploy"]["replicas"]):
            services.start(f"worker-{i + 1}", services.command("worker"))
        with open(services.folder / "coordinator.log", "w") as log:
            code = subprocess.run(services.command("coordinator"), stderr=log, stdin=subprocess.DEVNULL, check=False).returncode
        if code == 0:
            tables = ["--config", "/project/lake.toml", "--quiet", "tables", "--checksum", "--jsonlines"]
            code = subprocess.run(services.command("coordinator", tables), check=False).returncode
        return code
    finally:
        services.stop()


def upload():
    once = Config(retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:8333", region_name="us-east-1", config=once)
    deadline = time.monotonic() + 30
    while True:
        try:
            s3.create_bucket(Bucket="lakewright")
            break
        except Exception:  # Any exception: the server is not ready yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    paths = [path for folder in ("song_data", "log_data") for path in (ROOT / "data" / folder).rglob("*.json")]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: s3.upload_file(str(path), "lakewright", str(path.relative_to(ROOT))), paths))


match sys.argv[1:]:
    case ["check"]:
        check()
    case ["upload"]:
        upload()
    case ["run", *arguments] if len(arguments) == 3:
        sys.exit(run(*arguments))
    case _:
        sys.exit(__doc__)
