# The cluster: its nodes, its step, its end.

mock_provider "aws" {
  source          = "../mocks"
  override_during = plan
}

variables {
  lake = {
    name              = "tests"
    tags              = { Project = "lakewright", Environment = "tests" }
    architecture      = "x86_64"
    kms_key_arn       = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    artifacts_bucket  = "tests-artifacts"
    project_prefix    = "project/1"
    certificates_hash = "0123456789ab"
    glue_database     = null
    bootstrap         = { url = "s3://tests-artifacts/bootstrap/bootstrap-1.sh", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    arguments         = { worker = ["--certificates", "ssm:/it's"], coordinator = ["--project", "s3://tests-artifacts/project/1/"] }
    policies          = { worker = "{}", coordinator = "{}", install_worker = "{}", install_coordinator = "{}" }
  }
  vpc_id                      = "vpc-0a1b2c3d"
  subnet_ids                  = ["subnet-0a", "subnet-0b"]
  endpoint_security_group_ids = ["sg-0e"]
}

run "a_cluster_ends_after_its_run" {
  command = plan

  assert {
    condition     = aws_emr_cluster.this.keep_job_flow_alive_when_no_steps == false && length(aws_emr_cluster.this.auto_termination_policy) == 0
    error_message = "It ends after the last step."
  }

  assert {
    condition     = aws_emr_cluster.this.step[0].action_on_failure == "TERMINATE_CLUSTER" && aws_emr_cluster.this.termination_protection == false
    error_message = "And after one that failed."
  }
}

run "a_cluster_that_is_kept_ends_when_idle" {
  command = plan

  variables {
    keep_alive   = true
    idle_seconds = 600
  }

  assert {
    condition     = aws_emr_cluster.this.keep_job_flow_alive_when_no_steps && aws_emr_cluster.this.auto_termination_policy[0].idle_timeout == 600
    error_message = "It ends after ten idle minutes."
  }

  assert {
    condition     = aws_emr_cluster.this.step[0].action_on_failure == "CONTINUE"
    error_message = "A run that fails leaves it."
  }
}

run "the_step_runs_the_coordinator_with_its_own_role" {
  command = plan

  assert {
    condition     = length(aws_emr_cluster.this.step) == 1 && aws_emr_cluster.this.step[0].hadoop_jar_step[0].jar == "command-runner.jar"
    error_message = "One step."
  }

  assert {
    condition     = aws_emr_cluster.this.step[0].hadoop_jar_step[0].args[length(aws_emr_cluster.this.step[0].hadoop_jar_step[0].args) - 1] == "/opt/lakewright/current/host/run-step" && contains(aws_emr_cluster.this.step[0].hadoop_jar_step[0].args, "AWS_PROFILE=coordinator")
    error_message = "It runs the coordinator under its profile."
  }

  assert {
    condition     = strcontains(aws_s3_object.aws_config.content, "[profile coordinator]\nrole_arn = ${aws_iam_role.coordinator.arn}\ncredential_source = Ec2InstanceMetadata\n") && aws_s3_object.aws_config.key == "project/1/aws.config"
    error_message = "The profile comes with the project."
  }
}

run "a_second_step_names_the_tables_in_the_catalog" {
  command = plan

  variables {
    lake = merge(var.lake, { glue_database = "music" })
  }

  assert {
    condition     = length(aws_emr_cluster.this.step) == 2 && slice(aws_emr_cluster.this.step[1].hadoop_jar_step[0].args, 3, 8) == tolist(["/opt/lakewright/current/host/run-step", "catalog", "--database", "music", "--apply"])
    error_message = "After the run."
  }
}

run "a_bucket_of_logs_is_named_as_everybody_names_it" {
  command = plan

  assert {
    condition     = startswith(output.log_url, "s3://tests-artifacts/logs/")
    error_message = "EMR writes s3n://."
  }
}

run "every_node_is_set_up_by_the_bootstrap_action" {
  command = plan

  variables {
    memory = "12GB"
  }

  assert {
    condition     = length(aws_emr_cluster.this.bootstrap_action) == 1 && aws_emr_cluster.this.bootstrap_action[0].path == var.lake.bootstrap.url
    error_message = "One action, for all nodes."
  }

  assert {
    condition     = aws_emr_cluster.this.bootstrap_action[0].args == tolist(["--project", "s3://tests-artifacts/project/1/", "--memory", "12GB"])
    error_message = "It gets the coordinator's arguments, of which a worker needs fewer."
  }
}

run "nothing_scales_by_yarn" {
  command = plan

  assert {
    condition     = aws_emr_cluster.this.autoscaling_role == null || aws_emr_cluster.this.autoscaling_role == ""
    error_message = "No scaling policy."
  }

  assert {
    condition     = one([for configuration in jsondecode(aws_emr_cluster.this.configurations_json) : configuration.Properties["yarn.nodemanager.resource.memory-mb"] if configuration.Classification == "yarn-site"]) == "1024"
    error_message = "YARN has next to no memory."
  }
}

run "workers_are_on_demand_and_spot_as_said" {
  command = plan

  variables {
    core                 = { on_demand = 1, spot = 3 }
    spot_timeout_minutes = 7
  }

  assert {
    condition     = aws_emr_cluster.this.master_instance_fleet[0].target_on_demand_capacity == 1
    error_message = "One primary, on-demand."
  }

  assert {
    condition     = aws_emr_cluster.this.core_instance_fleet[0].target_on_demand_capacity == 1 && aws_emr_cluster.this.core_instance_fleet[0].target_spot_capacity == 3
    error_message = "One on-demand, three spot."
  }

  assert {
    condition     = aws_emr_cluster.this.core_instance_fleet[0].launch_specifications[0].spot_specification[0].allocation_strategy == "price-capacity-optimized" && aws_emr_cluster.this.core_instance_fleet[0].launch_specifications[0].spot_specification[0].timeout_action == "SWITCH_TO_ON_DEMAND" && aws_emr_cluster.this.core_instance_fleet[0].launch_specifications[0].spot_specification[0].timeout_duration_minutes == 7
    error_message = "Where there is no spot capacity, on-demand."
  }

  assert {
    condition     = alltrue([for type in aws_emr_cluster.this.core_instance_fleet[0].instance_type_configs : type.weighted_capacity == 1])
    error_message = "Capacity counts workers."
  }

  assert {
    condition     = length(aws_emr_instance_fleet.task) == 0
    error_message = "No task nodes, unless said."
  }
}

run "more_workers_come_on_task_nodes" {
  command = plan

  variables {
    task                  = { on_demand = 0, spot = 20 }
    worker_instance_types = ["m7i.xlarge", "m7a.xlarge"]
  }

  assert {
    condition     = aws_emr_instance_fleet.task[0].target_on_demand_capacity == 0 && aws_emr_instance_fleet.task[0].target_spot_capacity == 20
    error_message = "Twenty spot instances."
  }

  assert {
    condition     = toset([for type in aws_emr_instance_fleet.task[0].instance_type_configs : type.instance_type]) == toset(["m7i.xlarge", "m7a.xlarge"])
    error_message = "Of the types that were said."
  }
}

run "metadata_is_imdsv2_only_and_one_hop" {
  command = plan

  assert {
    condition     = jsondecode(aws_emr_security_configuration.this.configuration).InstanceMetadataServiceConfiguration == { MinimumInstanceMetadataServiceVersion = 2, HttpPutResponseHopLimit = 1 }
    error_message = "IMDSv2 is required."
  }

  assert {
    condition     = aws_emr_cluster.this.security_configuration == aws_emr_security_configuration.this.name
    error_message = "The cluster has the configuration."
  }
}

run "disks_are_encrypted_with_the_key" {
  command = plan

  assert {
    condition     = jsondecode(aws_emr_security_configuration.this.configuration).EncryptionConfiguration.AtRestEncryptionConfiguration.LocalDiskEncryptionConfiguration == { EncryptionKeyProviderType = "AwsKms", AwsKmsKey = var.lake.kms_key_arn, EnableEbsEncryption = true }
    error_message = "Volumes and local disks."
  }
}

run "no_node_has_an_ssh_key" {
  command = plan

  assert {
    condition     = aws_emr_cluster.this.ec2_attributes[0].key_name == null || aws_emr_cluster.this.ec2_attributes[0].key_name == ""
    error_message = "No SSH key."
  }
}

run "logs_are_kept" {
  command = plan

  assert {
    condition     = aws_emr_cluster.this.log_uri == "s3://tests-artifacts/logs/"
    error_message = "In the artifacts' bucket, where they expire."
  }
}

run "everything_has_tags" {
  command = plan

  assert {
    condition     = alltrue([for made in [aws_emr_cluster.this, aws_iam_role.node, aws_iam_role.coordinator, aws_iam_role.service, aws_iam_instance_profile.node, aws_security_group.emr_primary, aws_security_group.emr_nodes, aws_security_group.emr_service, aws_security_group.coordinator, aws_security_group.worker] : made.tags["Environment"] == "tests" && made.tags["for-use-with-amazon-emr-managed-policies"] == "true"])
    error_message = "What is made has the tags, and the one that EMR's policy asks for."
  }
}
