"""Sends the rendered clusters to EMR's API as Terraform's provider does, and compares what comes
back.

    run_job_flow.py RENDERED
"""

import json
import sys
from pathlib import Path

import boto3
from moto import mock_aws

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "policies"))
from rendered_resources import rendered_resources  # noqa: E402


def main(rendered):
    clusters = 0
    for file in sorted(rendered.glob("*.json")):
        resources = rendered_resources(file)
        for cluster in (found for found in resources if found["type"] == "aws_emr_cluster"):
            with mock_aws():
                Example(file.stem, resources, cluster["values"]).check()
            clusters += 1
    if clusters < 2:
        sys.exit(f"{clusters} clusters are rendered, of two")


class Example:
    def __init__(self, name, resources, cluster):
        self.name, self.cluster = name, cluster
        self.security = one(found for found in resources if found["type"] == "aws_emr_security_configuration")["values"]
        self.task_fleets = [found["values"] for found in resources if found["type"] == "aws_emr_instance_fleet"]
        self.emr = boto3.client("emr")
        self.compared = 0

    def check(self):
        self.emr.create_security_configuration(
            Name=self.security["name"], SecurityConfiguration=self.security["configuration"]
        )
        request = run_job_flow(self.cluster, self.security["name"])
        # Terraform adds task nodes by a call of its own, which moto does not have; the fleet's
        # shape is the same here.
        request["Instances"]["InstanceFleets"] += [instance_fleet("TASK", fleet) for fleet in self.task_fleets]
        for problem in unknown_values(self.emr.meta.service_model.operation_model("RunJobFlow").input_shape, request):
            sys.exit(f"{self.name}: {problem}")
        id_ = self.emr.run_job_flow(**request)["JobFlowId"]
        self.compare(id_, request)
        print(f"EMR API: {self.name}: accepted, {self.compared} values came back as they were sent")

    def compare(self, id_, request):
        described = self.emr.describe_cluster(ClusterId=id_)["Cluster"]
        for sent, back in {
            "Name": "Name", "ReleaseLabel": "ReleaseLabel", "LogUri": "LogUri", "ServiceRole": "ServiceRole",
            "SecurityConfiguration": "SecurityConfiguration", "VisibleToAllUsers": "VisibleToAllUsers",
            "StepConcurrencyLevel": "StepConcurrencyLevel",
        }.items():
            if sent in request:
                self.same(sent, request[sent], described[back])
        self.same("Tags", as_pairs(request["Tags"]), as_pairs(described["Tags"]))
        self.same("Configurations", request["Configurations"], described["Configurations"])
        self.same("Applications", [a["Name"] for a in request["Applications"]], [a["Name"] for a in described["Applications"]])
        instances = request["Instances"]
        self.same("KeepJobFlowAliveWhenNoSteps", not instances["KeepJobFlowAliveWhenNoSteps"], described["AutoTerminate"])
        self.same("TerminationProtected", instances["TerminationProtected"], described["TerminationProtected"])
        attributes = described["Ec2InstanceAttributes"]
        for sent, back in {
            "EmrManagedMasterSecurityGroup": "EmrManagedMasterSecurityGroup",
            "EmrManagedSlaveSecurityGroup": "EmrManagedSlaveSecurityGroup",
            "ServiceAccessSecurityGroup": "ServiceAccessSecurityGroup",
            "AdditionalMasterSecurityGroups": "AdditionalMasterSecurityGroups",
            "AdditionalSlaveSecurityGroups": "AdditionalSlaveSecurityGroups",
        }.items():
            self.same(sent, instances[sent], attributes[back])
        self.same("JobFlowRole", request["JobFlowRole"], attributes["IamInstanceProfile"])
        self.compare_actions(id_, request)
        self.compare_steps(id_, request)
        self.compare_security(request)

    def compare_actions(self, id_, request):
        back = self.emr.list_bootstrap_actions(ClusterId=id_)["BootstrapActions"]
        sent = [
            {"Name": action["Name"], "ScriptPath": action["ScriptBootstrapAction"]["Path"], "Args": action["ScriptBootstrapAction"]["Args"]}
            for action in request["BootstrapActions"]
        ]
        self.same("BootstrapActions", sent, back)

    def compare_steps(self, id_, request):
        # The newest comes first.
        back = self.emr.list_steps(ClusterId=id_)["Steps"][::-1]
        for sent, step in zip(request["Steps"], back, strict=True):
            self.same("Steps.Name", sent["Name"], step["Name"])
            self.same("Steps.ActionOnFailure", sent["ActionOnFailure"], step["ActionOnFailure"])
            self.same("Steps.Jar", sent["HadoopJarStep"]["Jar"], step["Config"]["Jar"])
            self.same("Steps.Args", sent["HadoopJarStep"]["Args"], step["Config"]["Args"])

    def compare_security(self, request):
        back = self.emr.describe_security_configuration(Name=request["SecurityConfiguration"])["SecurityConfiguration"]
        self.same("SecurityConfiguration", json.loads(self.security["configuration"]), json.loads(back))

    def same(self, what, sent, back):
        if sent != back:
            sys.exit(f"{self.name}: {what} was sent as {sent!r} and came back as {back!r}")
        self.compared += 1


def run_job_flow(cluster, security):
    """The request as the provider makes it of a cluster's attributes."""
    attributes = one(cluster["ec2_attributes"])
    request = {
        "Name": cluster["name"],
        "ReleaseLabel": cluster["release_label"],
        "LogUri": cluster["log_uri"],
        "ServiceRole": cluster["service_role"],
        "JobFlowRole": attributes["instance_profile"],
        "SecurityConfiguration": security,
        "EbsRootVolumeSize": cluster["ebs_root_volume_size"],
        "StepConcurrencyLevel": cluster["step_concurrency_level"],
        "VisibleToAllUsers": True,
        "Applications": [{"Name": name} for name in cluster["applications"]],
        "Configurations": json.loads(cluster["configurations_json"]),
        "Tags": [{"Key": key, "Value": value} for key, value in cluster["tags"].items()],
        "BootstrapActions": [
            {"Name": action["name"], "ScriptBootstrapAction": {"Path": action["path"], "Args": action["args"]}}
            for action in cluster["bootstrap_action"]
        ],
        "Steps": [
            {
                "Name": step["name"],
                "ActionOnFailure": step["action_on_failure"],
                "HadoopJarStep": {"Jar": one(step["hadoop_jar_step"])["jar"], "Args": one(step["hadoop_jar_step"])["args"]},
            }
            for step in cluster["step"]
        ],
        "Instances": {
            "Ec2SubnetIds": attributes["subnet_ids"],
            "EmrManagedMasterSecurityGroup": attributes["emr_managed_master_security_group"],
            "EmrManagedSlaveSecurityGroup": attributes["emr_managed_slave_security_group"],
            "ServiceAccessSecurityGroup": attributes["service_access_security_group"],
            "AdditionalMasterSecurityGroups": attributes["additional_master_security_groups"].split(","),
            "AdditionalSlaveSecurityGroups": attributes["additional_slave_security_groups"].split(","),
            "KeepJobFlowAliveWhenNoSteps": cluster["keep_job_flow_alive_when_no_steps"],
            "TerminationProtected": cluster["termination_protection"],
            "InstanceFleets": [
                instance_fleet("MASTER", one(cluster["master_instance_fleet"])),
                instance_fleet("CORE", one(cluster["core_instance_fleet"])),
            ],
        },
    }
    for policy in cluster["auto_termination_policy"]:
        request["AutoTerminationPolicy"] = {"IdleTimeout": policy["idle_timeout"]}
    return request


def instance_fleet(kind, fleet):
    made = {
        "InstanceFleetType": kind,
        "Name": fleet["name"],
        "TargetOnDemandCapacity": fleet["target_on_demand_capacity"] or 0,
        "TargetSpotCapacity": fleet["target_spot_capacity"] or 0,
        "InstanceTypeConfigs": [
            {
                "InstanceType": type_["instance_type"],
                "WeightedCapacity": type_["weighted_capacity"] or 1,
                "EbsConfiguration": {"EbsBlockDeviceConfigs": [
                    {"VolumeSpecification": {"VolumeType": volume["type"], "SizeInGB": volume["size"]}, "VolumesPerInstance": 1}
                    for volume in type_["ebs_config"]
                ]},
            }
            for type_ in fleet["instance_type_configs"]
        ],
    }
    for launch in fleet["launch_specifications"]:
        on_demand, spot = one(launch["on_demand_specification"]), one(launch["spot_specification"])
        made["LaunchSpecifications"] = {
            "OnDemandSpecification": {"AllocationStrategy": on_demand["allocation_strategy"]},
            "SpotSpecification": {
                "AllocationStrategy": spot["allocation_strategy"],
                "TimeoutAction": spot["timeout_action"],
                "TimeoutDurationMinutes": spot["timeout_duration_minutes"],
            },
        }
    return made


def unknown_values(shape, value, place="RunJobFlow"):
    """Values that the API's own description does not list; the SDK checks types and lengths, and
    not these.
    """
    if shape.type_name == "structure":
        for name, member in value.items():
            yield from unknown_values(shape.members[name], member, f"{place}.{name}")
    elif shape.type_name == "list":
        for member in value:
            yield from unknown_values(shape.member, member, place)
    elif shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        yield f"{place} is `{value}`, which is none of {shape.metadata['enum']}"


def as_pairs(tags):
    return sorted((tag["Key"], tag["Value"]) for tag in tags)


def one(values):
    (value,) = values
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
